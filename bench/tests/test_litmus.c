// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer on programs whose outcomes are known: litmus tests with the exact
 * set of outcomes of each memory model, and algorithms that are broken from a
 * known number of preemptions on.
 */
#include "tests/explore_bed.h"

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

	p.end = collect;
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

/* ------------------------------------------------- algorithms, right and broken */

static void enter(void)
{
	yield_tsan_write4(&m.out[7]);
	if (m.out[7]++)
		exec_now->fail("two CPUs in the critical section");
}

static void leave(void)
{
	yield_tsan_write4(&m.out[7]);
	m.out[7]--;
}

/* One attempt each: a flag up, a look at the other's. */
static void dekker(void *arg, unsigned int cpu)
{
	set(cpu, 1);
	if (get(!cpu))
		return;
	enter();
	add(4, 1);
	leave();
	set(cpu, 0);
}

static void dekker_fenced(void *arg, unsigned int cpu)
{
	set(cpu, 1);
	fence();
	if (get(!cpu))
		return;
	enter();
	add(4, 1);
	leave();
	set(cpu, 0);
}

static void serve(uint32_t ticket)
{
	wait_for(1, ticket);
	enter();
	add(4, 1);
	leave();
	set(1, ticket + 1);
}

static void ticket_lock(void *arg, unsigned int cpu)
{
	serve(add(0, 1));
}

/* The ticket is taken in two steps. */
static void broken_ticket_lock(void *arg, unsigned int cpu)
{
	uint32_t ticket = get(0);

	set(0, ticket + 1);
	serve(ticket);
}

/* A stack of nodes 1 and 2: v[0] is the top, v[n] what lies below n. */
static uint32_t pop(void)
{
	uint32_t top, below;

	do {
		top = get(0);
		if (!top)
			return 0;
		below = get(top);
	} while (!swap_if(0, top, below));
	return top;
}

static void push_back(uint32_t n)
{
	uint32_t top;

	do {
		top = get(0);
		set(n, top);
	} while (!swap_if(0, top, n));
}

static void aba(void *arg, unsigned int cpu)
{
	uint32_t a, b;

	if (!cpu) {
		out(0, pop());
		return;
	}
	a = pop();
	b = pop();
	if (a)
		push_back(a);
	out(1, b);
}

/* A node that somebody has popped and kept must not be on the stack. */
static const char *aba_end(void *arg)
{
	uint32_t kept = m.out[1];

	return kept && m.v[0] == kept ? "a popped node is on the stack" : NULL;
}

static void lock_order(void *arg, unsigned int cpu)
{
	take(cpu);
	take(!cpu);
	set(!cpu, 0);
	set(cpu, 0);
}

static void retry_for_ever(void *arg, unsigned int cpu)
{
	if (cpu)
		set(0, 1);
	else
		while (!get(0))
			;
}

static void plain_race(void *arg, unsigned int cpu)
{
	yield_tsan_write4(&m.v[0]);
	m.v[0] = cpu;
}

static void plain_after_message(void *arg, unsigned int cpu)
{
	if (cpu) {
		wait_for(1, 1);
		yield_tsan_read4(&m.v[0]);
		out(0, m.v[0]);
		return;
	}
	yield_tsan_write4(&m.v[0]);
	m.v[0] = 5;
	set(1, 1);
}

/*
 * The same algorithms without a check of their own, and with no wait that may last for ever: all
 * that can happen. The sets were found by another enumerator than the explorer: by trying each
 * step, and each store becoming visible, in each state.
 */

/* How many others were inside, by an addition to a counter of who is. */
static uint32_t section(void)
{
	uint32_t others = add(4, 1);

	add(4, -1u);
	return others;
}

/* 0: gave up; 1: was alone inside; 2: was not. */
static void dekker_outcome(unsigned int cpu, bool fenced)
{
	set(cpu, 1);
	if (fenced)
		fence();
	if (get(!cpu))
		return;
	out(cpu, 1 + section());
	set(cpu, 0);
}

static void dekker_all(void *arg, unsigned int cpu)
{
	dekker_outcome(cpu, false);
}

static void dekker_fenced_all(void *arg, unsigned int cpu)
{
	dekker_outcome(cpu, true);
}

/* The ticket; 8 more: was not alone inside. */
static void ticket_lock_all(void *arg, unsigned int cpu)
{
	uint32_t ticket = add(0, 1);

	wait_for(1, ticket);
	out(cpu, ticket + 8 * section());
	set(1, ticket + 1);
}

/* 4 times the ticket; 1 more: was alone inside; 2 more: was not. Who is not next gives up. */
static void broken_ticket_lock_all(void *arg, unsigned int cpu)
{
	uint32_t ticket = get(0);

	set(0, ticket + 1);
	if (get(1) != ticket) {
		out(cpu, 4 * ticket);
		return;
	}
	out(cpu, 4 * ticket + 1 + section());
	set(1, ticket + 1);
}

/* What CPU 0 popped, what CPU 1 kept, the top, what lies below 1 and below 2. */
static const char *collect_stack(void *arg)
{
	add_outcome(m.out[0] | m.out[1] << 4 | m.v[0] << 8 | m.v[1] << 12 | m.v[2] << 16);
	return NULL;
}

static void test_outcomes(void)
{
	struct explore_program p = program(2, aba);
	const uint32_t *either;

	test_current = "dekker, outcomes";
	litmus(2, dekker_all, SET(0x00, 0x01, 0x10, 0x11),
	       SET(0x00, 0x01, 0x10, 0x11, 0x12, 0x21));
	test_current = "dekker with fences, outcomes";
	either = SET(0x00, 0x01, 0x10, 0x11);
	litmus(2, dekker_fenced_all, either, either);
	test_current = "ticket lock, outcomes";
	either = SET(0x01, 0x10);
	litmus(2, ticket_lock_all, either, either);
	test_current = "broken ticket lock, outcomes";
	either = SET(0x01, 0x10, 0x11, 0x12, 0x14, 0x15, 0x21, 0x41, 0x51);
	litmus(2, broken_ticket_lock_all, either, either);
	test_current = "ABA, outcomes";
	/* 0x221 is the ABA: node 2 is kept, and on the stack. */
	either = SET(0x0021, 0x0102, 0x0120, 0x0221, 0x2201);
	m.v[0] = 1;
	m.v[1] = 2;
	p.end = collect_stack;
	CHECK(explore_open(&p));
	expect(EXPLORE_SC, either);
	expect(EXPLORE_TSO, either);
	explore_close();
	m.v[0] = m.v[1] = 0;
}

/*
 * Broken from bound @first on, if it is broken at all (@what), as found with and
 * without reduction; the schedule shows it again.
 */
static void algorithm(const char *name, unsigned int nr, void (*body)(void *, unsigned int),
		      const char *(*end)(void *), enum explore_memory memory, int first,
		      const char *what)
{
	struct explore_program p = program(nr, body);
	struct explore_result again;
	unsigned int bound, plain;

	test_current = name;
	p.end = end ? end : collect;
	CHECK(explore_open(&p));
	for (plain = 0; plain < 2; plain++) {
		for (bound = 0; bound < 4; bound++) {
			struct explore_options o = { .memory = memory, .bound = bound,
						     .no_reduction = plain, .no_cache = plain };

			explore_search(&o, &result);
			if (!what || bound < first) {
				CHECK_EQ(result.end, EXPLORE_EXHAUSTED);
				continue;
			}
			if (!CHECK_EQ(result.end, EXPLORE_BROKEN))
				continue;
			CHECK(strstr(result.what, what) != NULL);
			explore_replay(&o, result.schedule, result.nr_schedule, NULL, &again);
			CHECK_EQ(again.end, EXPLORE_BROKEN);
			CHECK(!strcmp(again.what, result.what));
			free(result.schedule);
			free(again.schedule);
		}
	}
	if (what) {
		struct explore_options o = { .memory = memory, .bound = 3 };

		explore_random(&o, 1, 20000, &result);
		CHECK_EQ(result.end, EXPLORE_BROKEN);
		free(result.schedule);
	}
	explore_close();
}

static void test_algorithms(void)
{
	const char *two = "two CPUs in the critical section";

	algorithm("dekker, sc", 2, dekker, NULL, EXPLORE_SC, 0, NULL);
	algorithm("dekker, tso", 2, dekker, NULL, EXPLORE_TSO, 1, two);
	algorithm("dekker with fences, tso", 2, dekker_fenced, NULL, EXPLORE_TSO, 0, NULL);
	algorithm("ticket lock, sc", 3, ticket_lock, NULL, EXPLORE_SC, 0, NULL);
	algorithm("ticket lock, tso", 3, ticket_lock, NULL, EXPLORE_TSO, 0, NULL);
	algorithm("broken ticket lock, sc", 2, broken_ticket_lock, NULL, EXPLORE_SC, 1, "");
	m.v[0] = 1;
	m.v[1] = 2;
	algorithm("ABA, sc", 2, aba, aba_end, EXPLORE_SC, 1, "popped node");
	algorithm("ABA, tso", 2, aba, aba_end, EXPLORE_TSO, 1, "popped node");
	m.v[0] = m.v[1] = 0;
	algorithm("lock order", 2, lock_order, NULL, EXPLORE_SC, 1, "deadlock");
	algorithm("retry for ever", 2, retry_for_ever, NULL, EXPLORE_SC, 0, "livelock");
	algorithm("plain race", 2, plain_race, NULL, EXPLORE_SC, 1, "plain access");
	algorithm("plain after message, sc", 2, plain_after_message, NULL, EXPLORE_SC, 0, NULL);
	algorithm("plain after message, tso", 2, plain_after_message, NULL, EXPLORE_TSO, 0, NULL);
	/* A lock that does not exclude protects nothing. */
	test_current = "broken ticket lock that says it is one";
	{
		struct explore_program p = program(2, broken_ticket_lock);

		p.lock[0] = (struct explore_lock){ .addr = &m.v[0], .size = 4, .mask = 7 };
		CHECK(explore_open(&p));
		search(EXPLORE_SC, 3, false);
		CHECK_EQ(result.end, EXPLORE_BROKEN);
		free(result.schedule);
		explore_close();
	}
}

int main(void)
{
	test_begin("test_litmus");
	test_litmus();
	test_outcomes();
	test_algorithms();
	return test_end();
}
