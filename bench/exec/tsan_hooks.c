// SPDX-License-Identifier: GPL-2.0-only
/*
 * What -fsanitize=thread makes the explorer's build call around every access,
 * plain or atomic, led to the executor (shim_exec.h). The compiler's names
 * (__tsan_*) become yield_tsan_* in that one object, so a real ThreadSanitizer
 * can be linked beside it.
 *
 * An operand that the executor keeps elsewhere (a store buffer) never reaches
 * memory here: load and store are the executor's own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/shim_exec.h"

__thread const struct exec_ops *exec_now;
__thread struct exec_untold exec_untold;

#define PC __builtin_return_address(0)

static uint64_t peek(const volatile void *a, unsigned int size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)a;
	case 2:
		return *(const volatile uint16_t *)a;
	case 4:
		return *(const volatile uint32_t *)a;
	default:
		return *(const volatile uint64_t *)a;
	}
}

static void poke(volatile void *a, unsigned int size, uint64_t v)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)a = (uint8_t)v;
		break;
	case 2:
		*(volatile uint16_t *)a = (uint16_t)v;
		break;
	case 4:
		*(volatile uint32_t *)a = (uint32_t)v;
		break;
	default:
		*(volatile uint64_t *)a = v;
	}
}

static inline uint64_t do_load(const volatile void *a, unsigned int size, int order, void *pc)
{
	const struct exec_ops *x = exec_now;

	if (!x)
		return peek(a, size);
	x->access(a, size, SHIM_READ, order, pc);
	return x->load ? x->load(a, size) : peek(a, size);
}

static inline void do_store(volatile void *a, unsigned int size, uint64_t v, int order, void *pc)
{
	const struct exec_ops *x = exec_now;

	if (!x) {
		poke(a, size, v);
		return;
	}
	/* A sequentially consistent store is an xchg on x86. */
	x->access(a, size, order == __ATOMIC_SEQ_CST ? SHIM_RMW : SHIM_WRITE, order, pc);
	if (x->store && order != __ATOMIC_SEQ_CST) {
		x->store(a, size, v);
		return;
	}
	uint64_t old = peek(a, size);

	poke(a, size, v);
	if (x->wrote)
		x->wrote(a, size, old);
}

static inline void rmw_begin(const volatile void *a, unsigned int size, int order, void *pc)
{
	if (exec_now)
		exec_now->access(a, size, SHIM_RMW, order, pc);
}

static inline void fetch_begin(const volatile void *a, unsigned int size, int order, void *pc,
			       enum shim_fetch op, uint64_t operand)
{
	if (exec_now && exec_now->fetch)
		exec_now->fetch(op, operand);
	rmw_begin(a, size, order, pc);
}

static inline uint64_t rmw_end(const volatile void *a, unsigned int size, uint64_t old)
{
	return exec_now && exec_now->wrote ? exec_now->wrote(a, size, old) : old;
}

/* One thread runs all fibers, so what follows access() is atomic as it stands. */
#define FETCH(bits, name, expr, op, operand)                                           \
	uint##bits##_t yield_tsan_atomic##bits##_fetch_##name(volatile void *p,        \
							      uint##bits##_t v, int order); \
	uint##bits##_t yield_tsan_atomic##bits##_fetch_##name(volatile void *p,        \
							      uint##bits##_t v, int order) \
	{                                                                              \
		volatile uint##bits##_t *a = p;                                        \
		uint##bits##_t old;                                                    \
										       \
		fetch_begin(a, bits / 8, order, PC, op, operand);                      \
		old = *a;                                                              \
		*a = (uint##bits##_t)(expr);                                           \
		return (uint##bits##_t)rmw_end(a, bits / 8, old);                      \
	}

#define ATOMIC(bits)                                                                   \
	uint##bits##_t yield_tsan_atomic##bits##_load(const volatile void *p, int order); \
	uint##bits##_t yield_tsan_atomic##bits##_load(const volatile void *p, int order)  \
	{                                                                              \
		return (uint##bits##_t)do_load(p, bits / 8, order, PC);                \
	}                                                                              \
	void yield_tsan_atomic##bits##_store(volatile void *p, uint##bits##_t v, int order); \
	void yield_tsan_atomic##bits##_store(volatile void *p, uint##bits##_t v, int order)  \
	{                                                                              \
		do_store(p, bits / 8, v, order, PC);                                   \
	}                                                                              \
	FETCH(bits, add, old + v, SHIM_FETCH_add, v)                                   \
	FETCH(bits, sub, old - v, SHIM_FETCH_add, -(uint64_t)v)                        \
	FETCH(bits, and, old & v, SHIM_FETCH_and, v)                                   \
	FETCH(bits, or, old | v, SHIM_FETCH_or, v)                                     \
	FETCH(bits, xor, old ^ v, SHIM_FETCH_other, v)                                 \
	uint##bits##_t yield_tsan_atomic##bits##_exchange(volatile void *p, uint##bits##_t v, \
							  int order);                  \
	uint##bits##_t yield_tsan_atomic##bits##_exchange(volatile void *p, uint##bits##_t v, \
							  int order)                   \
	{                                                                              \
		volatile uint##bits##_t *a = p;                                        \
		uint##bits##_t old;                                                    \
										       \
		rmw_begin(a, bits / 8, order, PC);                                     \
		old = *a;                                                              \
		*a = v;                                                                \
		rmw_end(a, bits / 8, old);                                             \
		return old;                                                            \
	}                                                                              \
	bool yield_tsan_atomic##bits##_compare_exchange_strong(                        \
		volatile void *p, void *expected, uint##bits##_t v, int ok, int fail); \
	bool yield_tsan_atomic##bits##_compare_exchange_strong(                        \
		volatile void *p, void *expected, uint##bits##_t v, int ok, int fail)  \
	{                                                                              \
		volatile uint##bits##_t *a = p;                                        \
		uint##bits##_t *want = expected, old;                                  \
										       \
		rmw_begin(a, bits / 8, ok, PC);                                        \
		old = *a;                                                              \
		if (old == *want)                                                      \
			*a = v;                                                        \
		rmw_end(a, bits / 8, old);                                             \
		if (old == *want)                                                      \
			return true;                                                   \
		*want = old;                                                           \
		return false;                                                          \
	}                                                                              \
	uint##bits##_t yield_tsan_atomic##bits##_compare_exchange_val(                 \
		volatile void *p, uint##bits##_t want, uint##bits##_t v, int ok, int fail); \
	uint##bits##_t yield_tsan_atomic##bits##_compare_exchange_val(                 \
		volatile void *p, uint##bits##_t want, uint##bits##_t v, int ok, int fail)  \
	{                                                                              \
		volatile uint##bits##_t *a = p;                                        \
		uint##bits##_t old;                                                    \
										       \
		rmw_begin(a, bits / 8, ok, PC);                                        \
		old = *a;                                                              \
		if (old == want)                                                       \
			*a = v;                                                        \
		rmw_end(a, bits / 8, old);                                             \
		return old;                                                            \
	}

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void yield_tsan_atomic_thread_fence(int order);
void yield_tsan_atomic_thread_fence(int order)
{
	static const int nowhere;

	if (exec_now && order == __ATOMIC_SEQ_CST)
		exec_now->access(&nowhere, sizeof(nowhere), SHIM_FENCE, order, PC);
}

/* ---------------------------------------------------------- plain accesses */

static inline void plain(const volatile void *a, size_t size, enum shim_access kind, void *pc)
{
	const struct exec_ops *x = exec_now;

	if (x && x->plain && size && (uintptr_t)a - exec_untold.from >= exec_untold.size)
		x->plain(a, (unsigned int)size, kind, pc);
}

#define PLAIN(name, size, kind)                       \
	void yield_tsan_##name(void *a);              \
	void yield_tsan_##name(void *a)               \
	{                                             \
		plain(a, size, kind, PC);             \
	}
#define PLAIN_SIZE(size)                              \
	PLAIN(read##size, size, SHIM_READ)            \
	PLAIN(write##size, size, SHIM_WRITE)          \
	PLAIN(unaligned_read##size, size, SHIM_READ)  \
	PLAIN(unaligned_write##size, size, SHIM_WRITE) \
	PLAIN(volatile_read##size, size, SHIM_READ)   \
	PLAIN(volatile_write##size, size, SHIM_WRITE)
PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)

void yield_tsan_read_range(void *a, unsigned long size);
void yield_tsan_read_range(void *a, unsigned long size)
{
	plain(a, size, SHIM_READ, PC);
}

void yield_tsan_write_range(void *a, unsigned long size);
void yield_tsan_write_range(void *a, unsigned long size)
{
	plain(a, size, SHIM_WRITE, PC);
}

/* Byte loops on purpose: libc's own would not be seen, and the sizes are small. */
void *yield_tsan_memset(void *to, int byte, size_t n);
void *yield_tsan_memset(void *to, int byte, size_t n)
{
	char *t = to;

	plain(to, n, SHIM_WRITE, PC);
	while (n--)
		*t++ = (char)byte;
	return to;
}

void *yield_tsan_memmove(void *to, const void *from, size_t n);
void *yield_tsan_memmove(void *to, const void *from, size_t n)
{
	plain(from, n, SHIM_READ, PC);
	plain(to, n, SHIM_WRITE, PC);
	__builtin_memmove(to, from, n);
	return to;
}

void *yield_tsan_memcpy(void *to, const void *from, size_t n);
void *yield_tsan_memcpy(void *to, const void *from, size_t n)
{
	plain(from, n, SHIM_READ, PC);
	plain(to, n, SHIM_WRITE, PC);
	__builtin_memcpy(to, from, n);
	return to;
}

void yield_tsan_func_entry(void *pc);
void yield_tsan_func_entry(void *pc)
{
	(void)pc;
}

void yield_tsan_func_exit(void);
void yield_tsan_func_exit(void)
{
}

void yield_tsan_init(void);
void yield_tsan_init(void)
{
}
