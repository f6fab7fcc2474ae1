// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer's reductions and its memory of states: random programs and real
 * ones reach the same with them and without. And schedule files.
 */
#include <errno.h>
#include <unistd.h>

#include "exec/explore_file.h"
#include "exec/flavour.h"
#include "tests/explore_bed.h"

/* -------------------------------------------------------- random programs */

#define PROGRAMS 50
#define RANDOM_CPUS 3
#define RANDOM_OPS 3

static struct {
	uint8_t op, var;
} random_op[RANDOM_CPUS][RANDOM_OPS];

static struct set finals[2], *into_finals;

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

	into_finals = &finals[to];
	memset(into_finals, 0, sizeof(*into_finals));
	explore_search(&o, &result);
	CHECK_EQ(result.end, EXPLORE_EXHAUSTED);
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

static bool is_one(uint64_t value)
{
	return value == 1;
}

/* With and without reduction and seen states: the same final states; @states without, with. */
static void same_finals(const struct explore_program *p, enum explore_memory memory,
			uint64_t states[2])
{
	CHECK(explore_open(p));
	for (unsigned int bound = 0; bound < 4; bound++) {
		/* At the last bound it would take a quarter of a minute without seen states. */
		bool no_cache = bound < 3;

		random_search(0, memory, bound, true, no_cache);
		states[0] += result.states;
		random_search(1, memory, bound, false, no_cache);
		states[1] += result.states;
		CHECK(same(&finals[0], &finals[1]));
		if (!no_cache)
			continue;
		random_search(1, memory, bound, false, false);
		CHECK(same(&finals[0], &finals[1]));
	}
	explore_close();
}

static void test_lock_programs(void)
{
	static char name[64];
	uint64_t seed = 7, states[2] = { 0 };
	unsigned int n, cpu, k;

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
		p.lock[0] = (struct explore_lock){ .addr = &m.v[6], .size = 4, .held = is_one };
		p.lock[1] = (struct explore_lock){ .addr = &m.v[7], .size = 4, .mask = 1 };
		same_finals(&p, memory, states);
	}
	test_current = "lock programs";
	CHECK(states[1] < states[0]);
}

/*
 * Additions to a counter and bits of a bitmap, in some programs accessed otherwise too: the
 * same ends, though the orders of these are not all searched.
 */
static void counting_body(void *arg, unsigned int cpu)
{
	unsigned int k, bit;

	for (k = 0; k < RANDOM_OPS; k++) {
		exec_now->rest();
		bit = 1u << random_op[cpu][k].var;
		switch (random_op[cpu][k].op) {
		case 0:
			out(cpu, m.out[cpu] * 31 + (add(4, 4) & 3) + 1);
			break;
		case 1:
			out(cpu, m.out[cpu] * 31 +
				 !!(yield_tsan_atomic32_fetch_or(&m.v[6], bit, __ATOMIC_SEQ_CST) & bit));
			break;
		case 2:
			yield_tsan_atomic32_fetch_and(&m.v[6], ~bit, __ATOMIC_SEQ_CST);
			break;
		case 3:
			set(0, m.out[cpu] + cpu + 1);
			break;
		case 4:
			out(cpu, m.out[cpu] * 31 + get(0));
			break;
		case 5:
			out(cpu, m.out[cpu] * 31 + (get(4) & 3) + get(6));
			break;
		default:
			/* A bit of the mask: this is no counter. */
			add(4, 1);
		}
	}
}

static void test_counting_programs(void)
{
	static char name[64];
	uint64_t seed = 11, states[2] = { 0 };
	unsigned int n, cpu, k;

	for (n = 0; n < PROGRAMS; n++) {
		struct explore_program p = program(RANDOM_CPUS, counting_body);
		enum explore_memory memory = n & 1 ? EXPLORE_TSO : EXPLORE_SC;

		snprintf(name, sizeof(name), "counting program %u", n);
		test_current = name;
		for (cpu = 0; cpu < RANDOM_CPUS; cpu++) {
			for (k = 0; k < RANDOM_OPS; k++) {
				seed = stir(seed, n);
				random_op[cpu][k].op = (seed >> 8) % (n % 5 == 4 ? 7 : n % 5 == 3 ? 6 : 5);
				random_op[cpu][k].var = seed >> 16 & 1;
			}
		}
		p.end = random_end;
		p.counters[0] = (struct explore_counters){ &m.v[4], 1, 4, 4, 3, n / 2 % 2 };
		p.bitmap = (struct explore_range){ &m.v[6], 8 };
		same_finals(&p, memory, states);
	}
	test_current = "counting programs";
	CHECK(states[1] * 2 < states[0]);
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

/*
 * A state that was seen leads nowhere new, nor does a preemption where there is no scheduling
 * point: the same ends are reached without remembering any state (@no_cache), or by stopping at
 * each access (@no_reduction).
 */
static void same_ends(const char *strategy, const char *scenario, enum explore_memory memory,
		      unsigned int bound, bool no_reduction, bool no_cache)
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
	random_search(0, memory, bound, no_reduction, no_cache);
	random_search(1, memory, bound, false, false);
	CHECK(finals[0].nr > 0);
	CHECK(same(&finals[0], &finals[1]));
	explore_close();
	yield_flavour.explore_close();
}

static void test_real_programs(void)
{
	enum explore_memory m;

	test_current = "real programs, no state remembered";
	same_ends("lockless", "nomem", EXPLORE_SC, 1, false, true);
	same_ends("lockless", "badremove", EXPLORE_SC, 2, false, true);
	same_ends("global-fast", "busy", EXPLORE_SC, 1, false, true);
	same_ends("rwlock", "puts", EXPLORE_SC, 2, false, true);
	test_current = "real programs, every access a scheduling point";
	same_ends("lockless", "cross", EXPLORE_TSO, 1, true, false);
	for (m = EXPLORE_SC; m <= EXPLORE_TSO; m++) {
		same_ends("lockless", "badremove", m, 1, true, false);
		same_ends("global-fast", "last", m, 1, true, false);
		same_ends("hashed", "puts", m, 1, true, false);
		same_ends("rwlock", "switch", m, 1, true, false);
		same_ends("retain", "retained", m, 1, true, false);
	}
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
	/* A full disk, found at the end and in the middle. */
	CHECK_EQ(explore_file_write("/dev/full", &s, err, sizeof(err)), -1);
	CHECK(strstr(err, strerror(ENOSPC)) != NULL);
	s.schedule = calloc(5000, sizeof(d[0]));
	s.nr = 5000;
	CHECK(s.schedule && explore_file_write("/dev/full", &s, err, sizeof(err)) == -1);
	CHECK(strstr(err, strerror(ENOSPC)) != NULL);
	free(s.schedule);
}

/* ------------------------------------------------------- what cannot be said */

static void unseen_body(void *arg, unsigned int cpu)
{
	set(0, cpu);
	/* Past the hooks, as what is not instrumented would. */
	*(volatile uint32_t *)&m.v[3] = 7;
}

static void test_refusals(void)
{
	struct explore_options o = { .memory = EXPLORE_SC, .bound = EXPLORE_BOUND_MAX };
	struct explore_program p = program(2, unseen_body);

	test_current = "memory written unseen";
	CHECK(explore_open(&p));
	explore_search(&o, &result);
	CHECK_EQ(result.end, EXPLORE_CONFUSED);
	CHECK(strstr(result.what, "written unseen") != NULL);
	explore_close();
	m.v[3] = 0;
	CHECK(explore_open(&p));
	explore_random(&o, 1, 3, &result);
	CHECK_EQ(result.end, EXPLORE_CONFUSED);
	CHECK(strstr(result.what, "written unseen") != NULL);
	test_current = "a bound above all";
	o.bound++;
	explore_search(&o, &result);
	CHECK_EQ(result.end, EXPLORE_CONFUSED);
	CHECK(strstr(result.what, "a bound above 14") != NULL);
	explore_close();
	m.v[3] = 0;
}

int main(void)
{
	test_begin("test_explore");
	test_lock_programs();
	test_counting_programs();
	test_real_programs();
	test_files();
	test_refusals();
	return test_end();
}
