/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few kernel services that the strategies and the software TDX module
 * need outside the kernel: types, atomics, bit operations, per-CPU data,
 * locks, clock. linux/ and asm/ beside this file are one-line includes of it.
 *
 * Every access to shared data goes through SHIM_ACCESS(). The native flavour
 * (real threads) compiles it to nothing: an atomic_add_negative() here is the
 * locked add that the kernel emits. The yielding flavour (SHIM_YIELD: fibers)
 * calls the executor before the access, with address, size, kind and order, and
 * the executor may run another CPU in between (shim_exec.h). Memory orders are passed on to
 * the compiler as written, so that ThreadSanitizer judges the strategy's own
 * acquire and release, not stronger ones.
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef unsigned int gfp_t;

#define __user
#define __percpu
#define __aligned(x) __attribute__((__aligned__(x)))
#define __maybe_unused __attribute__((__unused__))
#undef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#define noinline __attribute__((__noinline__))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define fallthrough __attribute__((__fallthrough__))
#define barrier() __asm__ volatile("" ::: "memory")

#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN(x, a) (((x) + ((typeof(x))(a)-1)) & ~((typeof(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
/* Entries per table are a build parameter: 512, or few for the explorer. */
#ifndef TDX_LEVEL_BITS
#define TDX_LEVEL_BITS 9
#endif
#define PMD_SHIFT (PAGE_SHIFT + TDX_LEVEL_BITS)
#define PMD_SIZE (1UL << PMD_SHIFT)

#define SMP_CACHE_BYTES 64
#define ____cacheline_aligned __aligned(SMP_CACHE_BYTES)
#define ____cacheline_aligned_in_smp ____cacheline_aligned

/* ------------------------------------------------------------- executor */
#ifdef SHIM_YIELD
#include "shim_exec.h"
#endif
#ifdef SHIM_TSAN
/* The compiler does not instrument these. */
void *__tsan_memset(void *to, int byte, size_t n);
void *__tsan_memmove(void *to, const void *from, size_t n);
void *__tsan_memcpy(void *to, const void *from, size_t n);
#define memset(to, byte, n) __tsan_memset((to), (byte), (n))
#define memmove(to, from, n) __tsan_memmove((to), (from), (n))
#define memcpy(to, from, n) __tsan_memcpy((to), (from), (n))
#endif
/*
 * In the yielding flavour the hook comes from here, or, where the compiler's
 * thread-sanitizer instrumentation is on (SHIM_TSAN), from the calls that it puts
 * around every access, plain ones included.
 */
#if defined(SHIM_YIELD) && !defined(SHIM_TSAN)
#define SHIM_ACCESS(ptr, kind, order) exec_access((ptr), sizeof(*(ptr)), (kind), (order))
#else
#define SHIM_ACCESS(ptr, kind, order) ((void)0)
#endif

/* ------------------------------------------------------- single accesses */
#define READ_ONCE(x)                                             \
	({                                                       \
		SHIM_ACCESS(&(x), SHIM_READ, __ATOMIC_RELAXED);  \
		__atomic_load_n(&(x), __ATOMIC_RELAXED); \
	})
#define WRITE_ONCE(x, v)                                     \
	({                                                   \
		SHIM_ACCESS(&(x), SHIM_WRITE, __ATOMIC_RELAXED); \
		__atomic_store_n(&(x), (v), __ATOMIC_RELAXED); \
	})
#define smp_load_acquire(p)                             \
	({                                              \
		SHIM_ACCESS((p), SHIM_READ, __ATOMIC_ACQUIRE); \
		__atomic_load_n((p), __ATOMIC_ACQUIRE); \
	})
#define smp_store_release(p, v)                              \
	({                                                   \
		SHIM_ACCESS((p), SHIM_WRITE, __ATOMIC_RELEASE); \
		__atomic_store_n((p), (v), __ATOMIC_RELEASE); \
	})

#define SHIM_FENCE_POINT()                              \
	do {                                            \
		static const int shim_fence;            \
		SHIM_ACCESS(&shim_fence, SHIM_FENCE, __ATOMIC_SEQ_CST); \
		(void)shim_fence;                       \
		__atomic_thread_fence(__ATOMIC_SEQ_CST); \
	} while (0)
#define smp_mb() SHIM_FENCE_POINT()
/* A locked instruction is a full barrier on x86. */
#define smp_mb__after_atomic() barrier()
#define smp_mb__before_atomic() barrier()

#define SHIM_TRY_CMPXCHG(ptr, oldp, new, ok, fail)                                        \
	({                                                                                \
		SHIM_ACCESS((ptr), SHIM_RMW, (ok));                                       \
		__atomic_compare_exchange_n((ptr), (oldp), (new), false, (ok), (fail));   \
	})
#define try_cmpxchg(ptr, oldp, new) \
	SHIM_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define try_cmpxchg_acquire(ptr, oldp, new) \
	SHIM_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define try_cmpxchg_release(ptr, oldp, new) \
	SHIM_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define cmpxchg(ptr, old, new)                            \
	({                                                \
		typeof(*(ptr)) shim_old = (old);          \
		try_cmpxchg((ptr), &shim_old, (new));     \
		shim_old;                                 \
	})
#define xchg(ptr, v)                                            \
	({                                                      \
		SHIM_ACCESS((ptr), SHIM_RMW, __ATOMIC_SEQ_CST); \
		__atomic_exchange_n((ptr), (v), __ATOMIC_SEQ_CST); \
	})
#define xadd(ptr, v)                                             \
	({                                                       \
		SHIM_ACCESS((ptr), SHIM_RMW, __ATOMIC_SEQ_CST); \
		__atomic_fetch_add((ptr), (v), __ATOMIC_SEQ_CST); \
	})

/* Wait until @cond, an expression of VAL (the value at @ptr), holds. */
#ifdef SHIM_YIELD
#define smp_cond_load_acquire(ptr, cond)                          \
	({                                                        \
		typeof(*(ptr)) VAL;                               \
		for (;;) {                                        \
			VAL = smp_load_acquire(ptr);              \
			if (cond)                                 \
				break;                            \
			exec_block(ptr);                          \
		}                                                 \
		VAL;                                              \
	})
#else
/*
 * A worker has its CPU to itself, and waits are short. Where it has not (tests
 * with more threads than CPUs, a busy machine) the CPU is given up now and then.
 */
#define SHIM_SPINS 4096u
#define smp_cond_load_acquire(ptr, cond)                          \
	({                                                        \
		typeof(*(ptr)) VAL;                               \
		unsigned int shim_spins = 0;                      \
								  \
		for (;;) {                                        \
			VAL = smp_load_acquire(ptr);              \
			if (cond)                                 \
				break;                            \
			cpu_relax();                              \
			if (unlikely(!(++shim_spins % SHIM_SPINS))) \
				sched_yield();                    \
		}                                                 \
		VAL;                                              \
	})
#endif

#include "shim_atomic.h"
#include "shim_percpu.h"
#include "shim_lock.h"

/* ------------------------------------------------------------------ misc */
void shim_warn(const char *file, int line, const char *what);
#define WARN_ON_ONCE(cond)                                           \
	({                                                           \
		bool shim_bad = !!(cond);                            \
		if (unlikely(shim_bad))                              \
			shim_warn(__FILE__, __LINE__, #cond);        \
		unlikely(shim_bad);                                  \
	})

#define GOLDEN_RATIO_64 0x61C8864680B583EBull
static inline u32 hash_64(u64 val, unsigned int bits)
{
	return (u32)(val * GOLDEN_RATIO_64 >> (64 - bits));
}

void *shim_zalloc(size_t size);
void shim_free(void *p);
#define GFP_KERNEL 0u
#define GFP_KERNEL_ACCOUNT 0u
#define kvzalloc(size, gfp) shim_zalloc(size)
#define kvcalloc(n, size, gfp) shim_zalloc((size_t)(n) * (size))
#define kzalloc(size, gfp) shim_zalloc(size)
#define kvfree(p) shim_free(p)
#define kfree(p) shim_free(p)

#endif
