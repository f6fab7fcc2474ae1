/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the explorer's tests write their programs in: eight words of shared memory,
 * and eight of results, which belong to the checker.
 */
#ifndef EXPLORE_BED_H
#define EXPLORE_BED_H

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "exec/explore.h"
#include "shim/shim_exec.h"
#include "tests/test.h"

/* What the compiler's instrumentation would call. */
uint32_t yield_tsan_atomic32_load(const volatile void *p, int order);
void yield_tsan_atomic32_store(volatile void *p, uint32_t v, int order);
uint32_t yield_tsan_atomic32_fetch_add(volatile void *p, uint32_t v, int order);
uint32_t yield_tsan_atomic32_fetch_or(volatile void *p, uint32_t v, int order);
uint32_t yield_tsan_atomic32_fetch_and(volatile void *p, uint32_t v, int order);
uint32_t yield_tsan_atomic32_exchange(volatile void *p, uint32_t v, int order);
bool yield_tsan_atomic32_compare_exchange_strong(volatile void *p, void *want, uint32_t v, int ok,
						 int fail);
void yield_tsan_atomic_thread_fence(int order);
void yield_tsan_write4(void *p);
void yield_tsan_read4(void *p);

/* The programs' shared memory, and what they report. */
static struct {
	uint32_t v[8];
	uint32_t out[8];
} m __attribute__((__aligned__(64)));

static inline uint32_t get(unsigned int i)
{
	return yield_tsan_atomic32_load(&m.v[i], __ATOMIC_ACQUIRE);
}

static inline void set(unsigned int i, uint32_t v)
{
	yield_tsan_atomic32_store(&m.v[i], v, __ATOMIC_RELEASE);
}

static inline uint32_t add(unsigned int i, uint32_t v)
{
	return yield_tsan_atomic32_fetch_add(&m.v[i], v, __ATOMIC_SEQ_CST);
}

static inline bool swap_if(unsigned int i, uint32_t want, uint32_t v)
{
	return yield_tsan_atomic32_compare_exchange_strong(&m.v[i], &want, v, __ATOMIC_SEQ_CST,
							   __ATOMIC_RELAXED);
}

static inline void fence(void)
{
	yield_tsan_atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void wait_for(unsigned int i, uint32_t v)
{
	while (get(i) != v)
		exec_block(&m.v[i]);
}

static inline void take(unsigned int l)
{
	while (!swap_if(l, 0, 1))
		wait_for(l, 0);
}

static inline void out(unsigned int i, uint32_t v)
{
	yield_tsan_write4(&m.out[i]);
	m.out[i] = v;
}

static inline void no_cpu(unsigned int cpu)
{
}

static inline struct explore_program program(unsigned int nr, void (*body)(void *, unsigned int))
{
	return (struct explore_program){
		.nr = nr, .body = body, .set_cpu = no_cpu,
		.memory = { { &m, sizeof(m) } }, .quiet = { { m.out, sizeof(m.out) } },
	};
}

static struct explore_result result;

/* ------------------------------------------------------------- sets of hashes */

#define SET_SIZE (1u << 17)

struct set {
	uint64_t at[SET_SIZE];
	unsigned int nr;
};

static inline uint64_t stir(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9E3779B97F4A7C15ull + b;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	return z ^ z >> 27;
}

/* Is it new there? */
static inline bool put_in(struct set *s, uint64_t v)
{
	unsigned int i;

	v |= 1;
	for (i = v >> 20 & (SET_SIZE - 1); s->at[i]; i = (i + 1) & (SET_SIZE - 1))
		if (s->at[i] == v)
			return false;
	s->at[i] = v;
	if (++s->nr == SET_SIZE / 2)
		abort();
	return true;
}

static inline bool is_in(const struct set *s, uint64_t v)
{
	unsigned int i;

	for (i = v >> 20 & (SET_SIZE - 1); s->at[i]; i = (i + 1) & (SET_SIZE - 1))
		if (s->at[i] == v)
			return true;
	return false;
}

static inline bool same(const struct set *a, const struct set *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < SET_SIZE; i++)
		if (a->at[i] && !is_in(b, a->at[i]))
			return false;
	return true;
}

#endif
