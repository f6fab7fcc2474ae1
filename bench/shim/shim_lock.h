/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * spinlock_t and rwlock_t in the kernel's queued forms, on the shim's atomics,
 * so that every executor sees their accesses.
 *
 * spinlock_t: one word, free = 0, held = 1 in the low byte, the queue's tail
 * (CPU + 1) in the high half. trylock is one cmpxchg and unlock one byte store,
 * as in the kernel; waiters queue and each spins on its own node (MCS), so a
 * hand-over moves one line. The kernel's pending bit is left out: it saves the
 * first waiter one line.
 *
 * rwlock_t: the kernel's qrwlock: readers count in steps of 0x200, the writer
 * holds the low byte, 0x100 says that a writer waits; waiters of both kinds
 * queue on a spinlock, so it is fair.
 */
#ifndef SHIM_LOCK_H
#define SHIM_LOCK_H

#define SHIM_NR_CPUS 1024
#define SHIM_LOCK_NESTING 4

struct shim_mcs {
	struct shim_mcs *next;
	u32 ready;
} __aligned(SMP_CACHE_BYTES);

extern struct shim_mcs shim_mcs[SHIM_NR_CPUS][SHIM_LOCK_NESTING];
#ifdef SHIM_YIELD
/* Fibers share a thread: the nesting is the CPU's. */
extern unsigned int shim_lock_depths[SHIM_NR_CPUS];
#define shim_lock_depth shim_lock_depths[shim_cpu]
#else
extern __thread unsigned int shim_lock_depth;
#endif

typedef struct {
	union {
		u32 val;
		u8 locked;
		struct {
			u16 locked_pending;
			u16 tail;
		};
	};
} spinlock_t;

typedef spinlock_t raw_spinlock_t;

static inline void spin_lock_init(spinlock_t *l)
{
	l->val = 0;
}

static __always_inline bool spin_trylock(spinlock_t *l)
{
	u32 old = 0;

	return try_cmpxchg_acquire(&l->val, &old, 1);
}

void shim_spin_lock_slow(spinlock_t *l);

static __always_inline void spin_lock(spinlock_t *l)
{
	if (unlikely(!spin_trylock(l)))
		shim_spin_lock_slow(l);
}

static __always_inline void spin_unlock(spinlock_t *l)
{
	smp_store_release(&l->locked, 0);
}

static __always_inline bool spin_is_locked(spinlock_t *l)
{
	return READ_ONCE(l->val) != 0;
}

typedef struct {
	u32 cnts;
	spinlock_t wait;
} rwlock_t;

#define SHIM_QW_LOCKED 0xffu
#define SHIM_QW_WAITING 0x100u
#define SHIM_QW_WMASK 0x1ffu
#define SHIM_QR_BIAS 0x200u

static inline void rwlock_init(rwlock_t *l)
{
	l->cnts = 0;
	spin_lock_init(&l->wait);
}

static __always_inline bool read_trylock(rwlock_t *l)
{
	if (READ_ONCE(l->cnts) & SHIM_QW_WMASK)
		return false;
	SHIM_ACCESS(&l->cnts, SHIM_RMW, __ATOMIC_ACQUIRE);
	if (likely(!(__atomic_fetch_add(&l->cnts, SHIM_QR_BIAS, __ATOMIC_ACQUIRE) & SHIM_QW_WMASK)))
		return true;
	/* A writer came in between. */
	SHIM_ACCESS(&l->cnts, SHIM_RMW, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&l->cnts, SHIM_QR_BIAS, __ATOMIC_RELAXED);
	return false;
}

static __always_inline bool write_trylock(rwlock_t *l)
{
	u32 old = 0;

	return try_cmpxchg_acquire(&l->cnts, &old, SHIM_QW_LOCKED);
}

void shim_read_lock_slow(rwlock_t *l);
void shim_write_lock_slow(rwlock_t *l);

static __always_inline void read_lock(rwlock_t *l)
{
	if (unlikely(!read_trylock(l)))
		shim_read_lock_slow(l);
}

static __always_inline void write_lock(rwlock_t *l)
{
	if (unlikely(!write_trylock(l)))
		shim_write_lock_slow(l);
}

static __always_inline void read_unlock(rwlock_t *l)
{
	SHIM_ACCESS(&l->cnts, SHIM_RMW, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&l->cnts, SHIM_QR_BIAS, __ATOMIC_RELEASE);
}

static __always_inline void write_unlock(rwlock_t *l)
{
	SHIM_ACCESS(&l->cnts, SHIM_RMW, __ATOMIC_RELEASE);
	__atomic_fetch_and(&l->cnts, ~SHIM_QW_LOCKED, __ATOMIC_RELEASE);
}

#endif
