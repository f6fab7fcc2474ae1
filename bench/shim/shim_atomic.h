/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * atomic_t, atomic64_t, atomic_long_t and bit operations with the kernel's
 * names and orders (Documentation/atomic_t.txt): no suffix is fully ordered,
 * _relaxed, _acquire and _release are what they say.
 */
#ifndef SHIM_ATOMIC_H
#define SHIM_ATOMIC_H

static __always_inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	s64 counter;
} atomic64_t;
typedef struct {
	long counter;
} atomic_long_t;

#define ATOMIC_INIT(i) { (i) }

#define SHIM_ATOMIC_OP(pfx, type, T, suffix, order)                                             \
	static __always_inline T pfx##_add_return##suffix(T i, type *v)                         \
	{                                                                                       \
		SHIM_ACCESS(&v->counter, SHIM_RMW, order);                                      \
		return __atomic_add_fetch(&v->counter, i, order);                               \
	}                                                                                       \
	static __always_inline T pfx##_sub_return##suffix(T i, type *v)                         \
	{                                                                                       \
		SHIM_ACCESS(&v->counter, SHIM_RMW, order);                                      \
		return __atomic_sub_fetch(&v->counter, i, order);                               \
	}                                                                                       \
	static __always_inline T pfx##_fetch_add##suffix(T i, type *v)                          \
	{                                                                                       \
		SHIM_ACCESS(&v->counter, SHIM_RMW, order);                                      \
		return __atomic_fetch_add(&v->counter, i, order);                               \
	}                                                                                       \
	static __always_inline bool pfx##_add_negative##suffix(T i, type *v)                    \
	{                                                                                       \
		SHIM_ACCESS(&v->counter, SHIM_RMW, order);                                      \
		return __atomic_add_fetch(&v->counter, i, order) < 0;                           \
	}                                                                                       \
	static __always_inline bool pfx##_try_cmpxchg##suffix(type *v, T *old, T new)           \
	{                                                                                       \
		return SHIM_TRY_CMPXCHG(&v->counter, old, new, order, __ATOMIC_RELAXED);        \
	}                                                                                       \
	static __always_inline T pfx##_cmpxchg##suffix(type *v, T old, T new)                   \
	{                                                                                       \
		pfx##_try_cmpxchg##suffix(v, &old, new);                                        \
		return old;                                                                     \
	}

#define SHIM_ATOMIC(pfx, type, T)                                                               \
	static __always_inline T pfx##_read(const type *v)                                      \
	{                                                                                       \
		return READ_ONCE(v->counter);                                                   \
	}                                                                                       \
	static __always_inline T pfx##_read_acquire(const type *v)                              \
	{                                                                                       \
		return smp_load_acquire(&v->counter);                                           \
	}                                                                                       \
	static __always_inline void pfx##_set(type *v, T i)                                     \
	{                                                                                       \
		WRITE_ONCE(v->counter, i);                                                      \
	}                                                                                       \
	static __always_inline void pfx##_set_release(type *v, T i)                             \
	{                                                                                       \
		smp_store_release(&v->counter, i);                                              \
	}                                                                                       \
	SHIM_ATOMIC_OP(pfx, type, T, , __ATOMIC_SEQ_CST)                                        \
	SHIM_ATOMIC_OP(pfx, type, T, _relaxed, __ATOMIC_RELAXED)                                \
	SHIM_ATOMIC_OP(pfx, type, T, _acquire, __ATOMIC_ACQUIRE)                                \
	SHIM_ATOMIC_OP(pfx, type, T, _release, __ATOMIC_RELEASE)                                \
	static __always_inline void pfx##_add(T i, type *v)                                     \
	{                                                                                       \
		pfx##_add_return_relaxed(i, v);                                                 \
	}                                                                                       \
	static __always_inline void pfx##_sub(T i, type *v)                                     \
	{                                                                                       \
		pfx##_sub_return_relaxed(i, v);                                                 \
	}                                                                                       \
	static __always_inline void pfx##_inc(type *v)                                          \
	{                                                                                       \
		pfx##_add_return_relaxed(1, v);                                                 \
	}                                                                                       \
	static __always_inline void pfx##_dec(type *v)                                          \
	{                                                                                       \
		pfx##_sub_return_relaxed(1, v);                                                 \
	}                                                                                       \
	static __always_inline bool pfx##_dec_and_test(type *v)                                 \
	{                                                                                       \
		return pfx##_sub_return(1, v) == 0;                                             \
	}                                                                                       \
	static __always_inline bool pfx##_add_unless(type *v, T a, T u)                         \
	{                                                                                       \
		T old = pfx##_read(v);                                                          \
                                                                                                \
		do {                                                                            \
			if (unlikely(old == u))                                                 \
				return false;                                                   \
		} while (!pfx##_try_cmpxchg(v, &old, old + a));                                 \
		return true;                                                                    \
	}                                                                                       \
	static __always_inline bool pfx##_inc_not_zero(type *v)                                 \
	{                                                                                       \
		return pfx##_add_unless(v, 1, 0);                                               \
	}

SHIM_ATOMIC(atomic, atomic_t, int)
SHIM_ATOMIC(atomic64, atomic64_t, s64)
SHIM_ATOMIC(atomic_long, atomic_long_t, long)

#define atomic_cond_read_acquire(v, c) smp_cond_load_acquire(&(v)->counter, (c))

#define BITS_PER_LONG 64
#define SHIM_BIT_WORD(nr, addr) ((unsigned long *)(addr) + (nr) / BITS_PER_LONG)

static __always_inline bool test_and_set_bit(unsigned long nr, volatile unsigned long *addr)
{
	unsigned long *w = SHIM_BIT_WORD(nr, addr), bit = BIT(nr % BITS_PER_LONG);

	SHIM_ACCESS(w, SHIM_RMW, __ATOMIC_SEQ_CST);
	return __atomic_fetch_or(w, bit, __ATOMIC_SEQ_CST) & bit;
}

static __always_inline bool test_and_clear_bit(unsigned long nr, volatile unsigned long *addr)
{
	unsigned long *w = SHIM_BIT_WORD(nr, addr), bit = BIT(nr % BITS_PER_LONG);

	SHIM_ACCESS(w, SHIM_RMW, __ATOMIC_SEQ_CST);
	return __atomic_fetch_and(w, ~bit, __ATOMIC_SEQ_CST) & bit;
}

static __always_inline void set_bit(unsigned long nr, volatile unsigned long *addr)
{
	test_and_set_bit(nr, addr);
}

static __always_inline void clear_bit(unsigned long nr, volatile unsigned long *addr)
{
	test_and_clear_bit(nr, addr);
}

static __always_inline bool test_bit(unsigned long nr, const volatile unsigned long *addr)
{
	return READ_ONCE(*SHIM_BIT_WORD(nr, addr)) & BIT(nr % BITS_PER_LONG);
}

#endif
