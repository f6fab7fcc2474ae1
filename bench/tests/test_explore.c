// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer itself: litmus programs with the exact set of outcomes of each
 * memory model, broken algorithms that it must see broken, random programs with
 * reduction and memory of states on and off, and replay.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/explore.h"
#include "exec/explore_file.h"
#include "exec/flavour.h"
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

static void take(unsigned int l)
{
	while (!swap_if(l, 0, 1))
		wait_for(l, 0);
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
	p.end = end;
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
}

/* -------------------------------------------------------- random programs */

#define PROGRAMS 50
#define RANDOM_CPUS 3
#define RANDOM_OPS 3
#define SET_SIZE (1u << 16)

static struct {
	uint8_t op, var;
} random_op[RANDOM_CPUS][RANDOM_OPS];

static void random_body(void *arg, unsigned int cpu)
{
	unsigned int k, i;

	for (k = 0; k < RANDOM_OPS; k++) {
		i = random_op[cpu][k].var;
		switch (random_op[cpu][k].op) {
		case 0:
			out(cpu, m.out[cpu] * 31 + get(i) + 1);
			break;
		case 1:
			set(i, cpu * 8 + k + 1);
			break;
		case 2:
			out(cpu, m.out[cpu] * 31 + add(i, 1) + 1);
			break;
		default:
			fence();
		}
	}
}

struct set {
	uint64_t at[SET_SIZE];
	unsigned int nr;
};

static struct set traces[2], finals[2], *into_traces, *into_finals;

static uint64_t stir(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9E3779B97F4A7C15ull + b;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	return z ^ z >> 27;
}

static void put_in(struct set *s, uint64_t v)
{
	unsigned int i;

	v |= 1;
	for (i = v >> 20 & (SET_SIZE - 1); s->at[i]; i = (i + 1) & (SET_SIZE - 1))
		if (s->at[i] == v)
			return;
	s->at[i] = v;
	s->nr++;
}

static bool is_in(const struct set *s, uint64_t v)
{
	unsigned int i;

	for (i = v >> 20 & (SET_SIZE - 1); s->at[i]; i = (i + 1) & (SET_SIZE - 1))
		if (s->at[i] == v)
			return true;
	return false;
}

static bool same(const struct set *a, const struct set *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < SET_SIZE; i++)
		if (a->at[i] && !is_in(b, a->at[i]))
			return false;
	return true;
}

/*
 * The happens-before trace: which of two conflicting accesses came first, for
 * every such pair; an access is named by CPU, address and how often before.
 */
static void random_trace(void *arg, const struct explore_access *a, size_t nr)
{
	uint64_t sum = 0, name[RANDOM_CPUS * RANDOM_OPS];
	size_t i, k, n;

	for (i = 0; i < nr; i++) {
		for (n = k = 0; k < i; k++)
			n += a[k].cpu == a[i].cpu && a[k].addr == a[i].addr;
		name[i] = stir(stir(a[i].cpu, (uintptr_t)a[i].addr), n);
		for (k = 0; k < i; k++)
			if (a[k].cpu != a[i].cpu && a[k].addr == a[i].addr &&
			    (a[k].kind != SHIM_READ || a[i].kind != SHIM_READ))
				sum += stir(name[k], name[i]);
	}
	put_in(into_traces, sum);
}

static const char *random_end(void *arg)
{
	uint64_t h = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		h = stir(stir(h, m.v[i]), m.out[i]);
	put_in(into_finals, h);
	return NULL;
}

static void random_search(unsigned int to, enum explore_memory memory, unsigned int bound,
			  bool no_reduction, bool no_cache)
{
	struct explore_options o = { .memory = memory, .bound = bound, .no_reduction = no_reduction,
				     .no_cache = no_cache };

	into_traces = &traces[to];
	into_finals = &finals[to];
	memset(into_traces, 0, sizeof(*into_traces));
	memset(into_finals, 0, sizeof(*into_finals));
	explore_search(&o, &result);
	CHECK_EQ(result.end, EXPLORE_EXHAUSTED);
}

static void test_random_programs(void)
{
	static char name[64];
	uint64_t seed = 1, states[2] = { 0 };
	unsigned int n, cpu, k, bound, most = 0;

	for (n = 0; n < PROGRAMS; n++) {
		struct explore_program p = program(RANDOM_CPUS, random_body);

		snprintf(name, sizeof(name), "random program %u", n);
		test_current = name;
		for (cpu = 0; cpu < RANDOM_CPUS; cpu++) {
			for (k = 0; k < RANDOM_OPS; k++) {
				seed = stir(seed, n);
				random_op[cpu][k].op = seed >> 8 & 3;
				/* Two for all, one of one's own: the reduction has something to do. */
				random_op[cpu][k].var = (seed >> 16) % 3 < 2 ? (seed >> 16) % 3 : 2 + cpu;
			}
		}
		p.end = random_end;
		p.trace = random_trace;
		CHECK(explore_open(&p));
		for (bound = 0; bound < 4; bound++) {
			random_search(0, EXPLORE_SC, bound, true, true);
			states[0] += result.states;
			random_search(1, EXPLORE_SC, bound, false, true);
			states[1] += result.states;
			CHECK(same(&traces[0], &traces[1]));
			CHECK(same(&finals[0], &finals[1]));
			if (traces[0].nr > most)
				most = traces[0].nr;
			/* Seen states drop traces, but no outcome. */
			random_search(1, EXPLORE_SC, bound, false, false);
			CHECK(same(&finals[0], &finals[1]));
			if (bound > 2)
				continue;
			random_search(0, EXPLORE_TSO, bound, true, true);
			random_search(1, EXPLORE_TSO, bound, false, false);
			CHECK(same(&finals[0], &finals[1]));
		}
		explore_close();
	}
	test_current = "random programs";
	/* Or it would have shown nothing. */
	CHECK(most > 50);
	CHECK(states[1] * 2 < states[0]);
}

/* The same for sections under two spinlocks, some of which touch what is not theirs. */
static void lock_body(void *arg, unsigned int cpu)
{
	unsigned int k, l = 6 + (random_op[cpu][0].var & 1);

	take(l);
	for (k = 0; k < 2; k++) {
		unsigned int i = random_op[cpu][k].op ? l - 6 : random_op[cpu][k].var;

		out(cpu, m.out[cpu] * 31 + get(i) + 1);
		set(i, m.out[cpu] + cpu);
	}
	set(l, 0);
}

static void test_lock_programs(void)
{
	static char name[64];
	uint64_t seed = 7, states[2] = { 0 };
	unsigned int n, cpu, k, bound;

	for (n = 0; n < PROGRAMS / 2; n++) {
		struct explore_program p = program(RANDOM_CPUS, lock_body);
		enum explore_memory memory = n & 1 ? EXPLORE_TSO : EXPLORE_SC;

		snprintf(name, sizeof(name), "lock program %u", n);
		test_current = name;
		for (cpu = 0; cpu < RANDOM_CPUS; cpu++) {
			for (k = 0; k < 2; k++) {
				seed = stir(seed, n);
				random_op[cpu][k].op = seed >> 8 & 3;
				random_op[cpu][k].var = seed >> 16 & 1;
			}
		}
		p.end = random_end;
		p.lock[0] = (struct explore_lock){ &m.v[6], 4, 1 };
		p.lock[1] = (struct explore_lock){ &m.v[7], 4, 1 };
		CHECK(explore_open(&p));
		into_traces = &traces[0];
		for (bound = 0; bound < 3; bound++) {
			random_search(0, memory, bound, true, true);
			states[0] += result.states;
			random_search(1, memory, bound, false, true);
			states[1] += result.states;
			CHECK(same(&finals[0], &finals[1]));
			random_search(1, memory, bound, false, false);
			CHECK(same(&finals[0], &finals[1]));
		}
		explore_close();
	}
	test_current = "lock programs";
	CHECK(states[1] < states[0]);
	/* A lock that does not exclude protects nothing. */
	{
		struct explore_program p = program(2, broken_ticket_lock);

		p.lock[0] = (struct explore_lock){ &m.v[0], 4, 7 };
		CHECK(explore_open(&p));
		search(EXPLORE_SC, 3, false);
		CHECK_EQ(result.end, EXPLORE_BROKEN);
		free(result.schedule);
		explore_close();
	}
}

/* ------------------------------------------------------------ real programs */

static const struct explore_range *end_ranges[2];
static const char *(*real_end)(void *);

static const char *hashed_end(void *arg)
{
	uint64_t h = 0;
	unsigned int i;
	size_t k;

	for (i = 0; i < 2; i++)
		for (k = 0; k < end_ranges[i]->size; k++)
			h = stir(h, ((const unsigned char *)end_ranges[i]->addr)[k]);
	put_in(into_finals, h);
	return real_end(arg);
}

/* A state that was seen leads nowhere new: the same ends are reached without remembering any. */
static void same_ends(const char *strategy, const char *scenario, unsigned int bound)
{
	struct explore_program p;
	const char *what, *name;
	char err[200] = "";
	unsigned int i;

	for (i = 0; (name = yield_flavour.explore_name(i, &what)) && strcmp(name, scenario);)
		i++;
	if (!CHECK_EQ(yield_flavour.explore_open(i, strategy, &p, err, sizeof(err)), 0))
		return;
	/* The counts, and the checker's books. */
	end_ranges[0] = &p.memory[2];
	end_ranges[1] = &p.quiet[0];
	real_end = p.end;
	p.end = hashed_end;
	CHECK(explore_open(&p));
	random_search(0, EXPLORE_SC, bound, false, true);
	random_search(1, EXPLORE_SC, bound, false, false);
	CHECK(finals[0].nr > 0);
	CHECK(same(&finals[0], &finals[1]));
	explore_close();
	yield_flavour.explore_close();
}

static void test_real_programs(void)
{
	test_current = "real programs";
	same_ends("lockless", "nomem", 1);
	same_ends("lockless", "badremove", 2);
	same_ends("global-fast", "busy", 1);
	same_ends("rwlock", "puts", 2);
}

/* ------------------------------------------------------------ schedule files */

static void test_files(void)
{
	struct explore_decision d[] = { { 0, 5 }, { -1, 1 }, { 0, 2 }, { 1, 0 } };
	struct explore_file s = { .strategy = "lockless", .scenario = "first", .broke = "this and that",
				  .memory = EXPLORE_TSO, .schedule = d, .nr = 4 }, t;
	char file[] = "/tmp/dpamt-schedule-XXXXXX", err[400] = "", text[1000];
	int fd = mkstemp(file);
	size_t n;
	FILE *f;

	test_current = "schedule files";
	if (!CHECK(fd >= 0))
		return;
	close(fd);
	CHECK_EQ(explore_file_write(file, &s, err, sizeof(err)), 0);
	CHECK_EQ(explore_file_read(file, &t, err, sizeof(err)), 0);
	CHECK(!strcmp(t.strategy, "lockless") && !strcmp(t.scenario, "first"));
	CHECK(!strcmp(t.broke, "this and that"));
	CHECK_EQ(t.memory, EXPLORE_TSO);
	CHECK_EQ(t.nr, 4);
	CHECK(!memcmp(t.schedule, d, sizeof(d)));
	free(t.schedule);
	/* Another build's. */
	f = fopen(file, "r+");
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	CHECK(strstr(text, "build ") != NULL);
	strstr(text, "build ")[8] ^= 1;
	rewind(f);
	fwrite(text, 1, n, f);
	fclose(f);
	CHECK_EQ(explore_file_read(file, &t, err, sizeof(err)), -1);
	CHECK(strstr(err, "this is build") && !strchr(err, '\n'));
	/* No schedule at all. */
	f = fopen(file, "w");
	fputs("hello\n", f);
	fclose(f);
	CHECK_EQ(explore_file_read(file, &t, err, sizeof(err)), -1);
	CHECK(strstr(err, "no schedule file") != NULL);
	unlink(file);
	CHECK_EQ(explore_file_read(file, &t, err, sizeof(err)), -1);
}

int main(void)
{
	test_begin("test_explore");
	test_litmus();
	test_algorithms();
	test_random_programs();
	test_lock_programs();
	test_real_programs();
	test_files();
	return test_end();
}
