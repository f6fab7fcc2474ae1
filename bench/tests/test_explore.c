// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer itself: litmus programs with the exact set of outcomes of each
 * memory model, broken algorithms that it must see broken, random programs with
 * reduction and memory of states on and off, and replay.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "exec/explore.h"
#include "tests/test.h"

/* What the compiler's instrumentation would call. */
uint32_t yield_tsan_atomic32_load(const volatile void *p, int order);
void yield_tsan_atomic32_store(volatile void *p, uint32_t v, int order);
uint32_t yield_tsan_atomic32_fetch_add(volatile void *p, uint32_t v, int order);
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

static uint32_t get(unsigned int i)
{
	return yield_tsan_atomic32_load(&m.v[i], __ATOMIC_ACQUIRE);
}

static void set(unsigned int i, uint32_t v)
{
	yield_tsan_atomic32_store(&m.v[i], v, __ATOMIC_RELEASE);
}

static uint32_t add(unsigned int i, uint32_t v)
{
	return yield_tsan_atomic32_fetch_add(&m.v[i], v, __ATOMIC_SEQ_CST);
}

static bool swap_if(unsigned int i, uint32_t want, uint32_t v)
{
	return yield_tsan_atomic32_compare_exchange_strong(&m.v[i], &want, v, __ATOMIC_SEQ_CST,
							   __ATOMIC_RELAXED);
}

static void fence(void)
{
	yield_tsan_atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void wait_for(unsigned int i, uint32_t v)
{
	while (get(i) != v)
		exec_block(&m.v[i]);
}

static void out(unsigned int i, uint32_t v)
{
	yield_tsan_write4(&m.out[i]);
	m.out[i] = v;
}

/* --------------------------------------------------------------- outcomes */

#define OUTCOMES 64
static uint32_t outcome[OUTCOMES];
static unsigned int nr_outcomes;

static void add_outcome(uint32_t o)
{
	unsigned int i;

	for (i = 0; i < nr_outcomes; i++)
		if (outcome[i] == o)
			return;
	if (nr_outcomes < OUTCOMES)
		outcome[nr_outcomes++] = o;
}

static const char *collect(void *arg)
{
	add_outcome(m.out[0] | m.out[1] << 4 | m.out[2] << 8 | m.out[3] << 12);
	return NULL;
}

static void no_cpu(unsigned int cpu)
{
}

static struct explore_program program(unsigned int nr, void (*body)(void *, unsigned int))
{
	return (struct explore_program){
		.nr = nr, .body = body, .set_cpu = no_cpu, .end = collect,
		.memory = { { &m, sizeof(m) } }, .quiet = { { m.out, sizeof(m.out) } },
	};
}

static struct explore_result result;

static void search(enum explore_memory memory, unsigned int bound, bool plain)
{
	struct explore_options o = { .memory = memory, .bound = bound, .no_reduction = plain,
				     .no_cache = plain };

	nr_outcomes = 0;
	explore_search(&o, &result);
}

/* The outcomes are exactly those of @want (ends with UINT32_MAX), with all reductions and none. */
static void expect(enum explore_memory memory, const uint32_t *want)
{
	unsigned int n, i, plain;

	for (n = 0; want[n] != UINT32_MAX; n++)
		;
	for (plain = 0; plain < 2; plain++) {
		search(memory, UINT_MAX, plain);
		CHECK_EQ(result.end, EXPLORE_EXHAUSTED);
		CHECK(result.whole);
		if (!CHECK_EQ(nr_outcomes, n))
			for (i = 0; i < nr_outcomes; i++)
				printf("\toutcome %#x\n", outcome[i]);
		for (i = 0; i < n; i++) {
			unsigned int k;

			for (k = 0; k < nr_outcomes && outcome[k] != want[i]; k++)
				;
			if (!CHECK(k < nr_outcomes))
				printf("\toutcome %#x does not occur\n", want[i]);
		}
	}
}

#define SET(...) ((const uint32_t[]){ __VA_ARGS__, UINT32_MAX })

static void litmus(unsigned int nr, void (*body)(void *, unsigned int), const uint32_t *sc,
		   const uint32_t *tso)
{
	struct explore_program p = program(nr, body);

	CHECK(explore_open(&p));
	expect(EXPLORE_SC, sc);
	expect(EXPLORE_TSO, tso);
	explore_close();
}

/* ----------------------------------------------------------------- litmus */

static void store_buffering(void *arg, unsigned int cpu)
{
	set(cpu, 1);
	out(cpu, get(!cpu));
}

static void store_buffering_fenced(void *arg, unsigned int cpu)
{
	set(cpu, 1);
	fence();
	out(cpu, get(!cpu));
}

/* A locked instruction on memory of one's own is a fence, too. */
static void store_buffering_locked(void *arg, unsigned int cpu)
{
	set(cpu, 1);
	add(2 + 2 * cpu, 1);
	out(cpu, get(!cpu));
}

static void message_passing(void *arg, unsigned int cpu)
{
	if (cpu) {
		out(0, get(1));
		out(1, get(0));
		return;
	}
	set(0, 1);
	set(1, 1);
}

static void load_buffering(void *arg, unsigned int cpu)
{
	out(cpu, get(cpu));
	set(!cpu, 1);
}

/* Own stores are seen at once (n6 of the x86-TSO papers). */
static void own_store_first(void *arg, unsigned int cpu)
{
	if (cpu) {
		set(1, 2);
		set(0, 2);
		return;
	}
	set(0, 1);
	out(0, get(0));
	out(1, get(1));
}

static void iriw(void *arg, unsigned int cpu)
{
	if (cpu < 2) {
		set(cpu, 1);
		return;
	}
	out(2 * cpu - 4, get(cpu & 1));
	out(2 * cpu - 3, get(!(cpu & 1)));
}

static void two_plus_two_w(void *arg, unsigned int cpu)
{
	set(cpu, 1);
	set(!cpu, 2);
}

static const char *collect_memory(void *arg)
{
	add_outcome(m.v[0] | m.v[1] << 4);
	return NULL;
}

static void test_litmus(void)
{
	struct explore_program p = program(2, two_plus_two_w);

	test_current = "store buffering";
	litmus(2, store_buffering, SET(0x01, 0x10, 0x11), SET(0x00, 0x01, 0x10, 0x11));
	test_current = "store buffering, fences";
	litmus(2, store_buffering_fenced, SET(0x01, 0x10, 0x11), SET(0x01, 0x10, 0x11));
	test_current = "store buffering, locked instructions";
	litmus(2, store_buffering_locked, SET(0x01, 0x10, 0x11), SET(0x01, 0x10, 0x11));
	test_current = "message passing";
	litmus(2, message_passing, SET(0x00, 0x10, 0x11), SET(0x00, 0x10, 0x11));
	test_current = "load buffering";
	litmus(2, load_buffering, SET(0x00, 0x01, 0x10), SET(0x00, 0x01, 0x10));
	test_current = "own store first";
	/* out[0] = x, out[1] = y */
	litmus(2, own_store_first, SET(0x01, 0x21, 0x22), SET(0x01, 0x21, 0x22));
	test_current = "independent reads";
	{
		/* All but "each sees another write first". */
		uint32_t want[17];
		unsigned int i, n = 0;

		for (i = 0; i < 16; i++)
			if (i != (1 | 1 << 2))
				want[n++] = (i & 1) | (i & 2) << 3 | (i & 4) << 6 | (i & 8) << 9;
		want[n] = UINT32_MAX;
		litmus(4, iriw, want, want);
	}
	test_current = "2+2W";
	p.end = collect_memory;
	p.quiet[0].addr = NULL;
	CHECK(explore_open(&p));
	expect(EXPLORE_SC, SET(0x21, 0x12, 0x22));
	expect(EXPLORE_TSO, SET(0x21, 0x12, 0x22));
	explore_close();
}

int main(void)
{
	test_begin("test_explore");
	test_litmus();
	return test_end();
}
