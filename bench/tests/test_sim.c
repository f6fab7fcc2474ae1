// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated machine: what accesses to a line cost, where vCPUs sit, cells that hold
 * their invariants and repeat to the byte; what sweeps and their map are made of.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/sim.h"
#include "exec/pool.h"
#include "exec/sweep.h"
#include "report/map.h"
#include "shim_exec.h"
#include "tests/sim_bed.h"

/* ------------------------------------------------------------------ lines */

/* Two sockets of two cores with two threads; every figure another one. */
static struct machine tiny(void)
{
	struct machine m = { .sockets = 2, .cores = 2, .threads = 2, .has_shape = true };
	static const u64 ps[LINE_NR] = {
		[LINE_read_hit] = 1, [LINE_reload] = 1, [LINE_write_hit] = 2, [LINE_rmw_hit] = 5, [LINE_shared] = 30,
		[LINE_sibling] = 8, [LINE_local] = 60, [LINE_remote] = 140, [LINE_memory] = 110,
	};
	unsigned int i;

	for (i = 0; i < LINE_NR; i++)
		m.lines[i].ns = ps[i];
	return m;
}

static void lines(void)
{
	/* 0 and 1: threads of a core; 2: its neighbour; 3: the other socket */
	static const struct sim_place place[4] = { { 0, 0 }, { 0, 0 }, { 0, 1 }, { 1, 2 } };
	struct sim_line line = { 0 };
	struct machine m = tiny();
	struct sim_access a;
	struct sim_lines s;

	CHECK_EQ(sim_lines_init(&s, &m, place, 4, 1), 0);
#define GO(cpu, kind, now, cost)                                                  \
	do {                                                                      \
		sim_line_access(&s, &line, cpu, SIM_##kind, now, &a);             \
		CHECK_EQ(a.done - (now), cost);                                   \
	} while (0)
	GO(0, RMW, 1000, 110 + 5);	/* from memory */
	GO(0, RMW, 2000, 5);
	GO(0, READ, 2005, 1);
	CHECK(!line.met);
	GO(1, RMW, 3000, 8 + 5);	/* from the sibling */
	CHECK(line.met);
	GO(2, RMW, 4000, 60 + 5);
	GO(3, RMW, 5000, 140 + 5);
	GO(0, READ, 6000, 140);		/* modified: it changes its owner */
	GO(0, RMW, 6500, 5);
	GO(0, READ, 6510, 1);
	GO(3, READ, 6600, 140);
	GO(0, READ, 6800, 140);		/* clean: both hold it now */
	GO(1, READ, 6850, 90 + 8);	/* who reads waits for a transfer, too */
	GO(3, READ, 6990, 1);
	GO(0, READ, 7100, 1);
	GO(2, RMW, 8000, 140 + 5);	/* three others, one far away */
	CHECK_EQ(line.set, 0);
	/* Queue: who comes meanwhile waits for the transfer before its own. */
	GO(0, RMW, 9000, 60 + 5);
	GO(2, RMW, 9020, 40 + 60 + 5);
	CHECK_EQ(a.queued, 40);
	/* A store does not stop the CPU; others see it when it has landed. */
	GO(3, WRITE, 20000, 2);
	CHECK_EQ(a.visible, 20000 + 140 + 2);
	GO(3, READ, 20002, 1);
	GO(3, RMW, 20003, 137 + 5);
	/* Clean, and the core has it already: by its other thread. */
	memset(&line, 0, sizeof(line));
	GO(0, READ, 30000, 110);
	GO(2, READ, 31000, 60);
	GO(1, READ, 32000, 8);
	GO(3, READ, 32500, 140);
	GO(0, RMW, 33000, 140 + 5);
	/* Only the other thread has it. */
	memset(&line, 0, sizeof(line));
	GO(0, READ, 40000, 110);
	GO(1, READ, 41000, 8);
	GO(1, RMW, 42000, 8 + 5);
#undef GO
	sim_lines_free(&s);
}

/*
 * What is drawn for a transfer of 60 +- 20: its time, and until when who had the line goes on,
 * 24 at most. Both with their means, and no further off than they may be.
 */
static void drawn(void)
{
	static const struct sim_place place[2] = { { 0, 0 }, { 0, 1 } };
	struct machine m = tiny();
	struct sim_lines s;
	struct sim_access a, b;
	unsigned int i, kept[3] = { 0 };
	u64 sum = 0, low = ~0ull, high = 0, now = 0;

	m.lines[LINE_spread].ns = 20;
	m.lines[LINE_keep].ns = 12;
	CHECK_EQ(sim_lines_init(&s, &m, place, 2, 1), 0);
	for (i = 0; i < 30000; i++, now += 1000) {
		struct sim_line line = { .owner = 1, .dirty = 1 };

		sim_line_access(&s, &line, 1, SIM_RMW, now, &a);
		sum += a.done - now - 5;
		low = a.done - now < low ? a.done - now : low;
		high = a.done - now > high ? a.done - now : high;
		sim_line_access(&s, &line, 0, SIM_RMW, now + 1 + i % 3 * 11, &b);
		kept[i % 3] += !b.moved;
	}
	CHECK(low >= 45 && low <= 47 && high <= 85 && high >= 82);
	CHECK(sum / 30000 >= 58 && sum / 30000 <= 60);
	CHECK(kept[0] > 9000 && kept[1] > 4500 && kept[1] < 5500 && kept[2] < 1000);
	sim_lines_free(&s);
}

/* Two CPUs that meet at one word at their own pace: neither runs ahead of the other. */
static u64 ends[2];

static void meet(void *arg, unsigned int cpu)
{
	unsigned int i;

	for (i = 0; i < 10; i++) {
		sim_charge((2 + cpu) * 1000000ull);
		exec_now->access(arg, 4, SHIM_RMW, __ATOMIC_SEQ_CST, NULL);
	}
	ends[cpu] = sim_now();
}

static void nobody(unsigned int cpu)
{
	(void)cpu;
}

static void in_order(void)
{
	static const struct sim_place place[2] = { { 0, 0 }, { 0, 1 } };
	static char word[64] __aligned(64);
	struct machine m = tiny();
	struct sim_setup s = { .machine = &m, .nr_cpus = 2, .place = place, .base = word, .size = 64,
			       .body = meet, .arg = word, .switched = nobody };
	struct sim_figures f;

	CHECK_EQ(sim_fibers(&s, &f), 0);
	CHECK_EQ(f.accesses, 20);
	CHECK(ends[0] < 20002000 && ends[1] < 30002000);
}

/* Who waits for a word goes on when the write can be seen, not before. */
static u64 woken;

static void hand_over(void *arg, unsigned int cpu)
{
	int *word = arg;

	if (!cpu) {
		sim_spend(5000000);
		exec_now->access(word, 4, SHIM_WRITE, __ATOMIC_RELEASE, NULL);
		*word = 1;
		return;
	}
	for (;;) {
		exec_now->access(word, 4, SHIM_READ, __ATOMIC_ACQUIRE, NULL);
		if (*word)
			break;
		exec_now->block(word);
	}
	woken = sim_now();
}

static void waiting(void)
{
	static const struct sim_place place[2] = { { 0, 0 }, { 0, 1 } };
	static int word[16] __aligned(64);
	struct machine m = tiny();
	struct sim_setup s = { .machine = &m, .nr_cpus = 2, .place = place, .base = (char *)word,
			       .size = 64, .body = hand_over, .arg = word, .switched = nobody };
	struct sim_figures f;

	word[0] = 0;
	CHECK_EQ(sim_fibers(&s, &f), 0);
	CHECK(woken > 5000000 && woken < 5001000);
	CHECK(f.shared > 0 && f.shared < f.accesses);
}

/*
 * Two lines, and what stands in them when CPU 1 looks: at 1030 it asks for the first, of
 * which CPU 0 changes the content at 1040, before it has left; CPU 0's release at 1100, to the
 * second, lands at 1162.
 */
static struct landing {
	char line[2][64] __aligned(64);
	unsigned int content, published;
	unsigned int seen[3];
} landing;

static void touch(unsigned int line, enum shim_access kind, int order)
{
	exec_now->access(landing.line[line], 4, kind, order, NULL);
}

static void land_0(void)
{
	touch(0, SHIM_RMW, __ATOMIC_SEQ_CST);
	sim_charge(1040 - sim_now());
	touch(0, SHIM_WRITE, __ATOMIC_RELAXED);
	landing.content = 1;
	sim_charge(1100 - sim_now());
	touch(1, SHIM_WRITE, __ATOMIC_RELEASE);
	landing.published = 1;
}

static void land_1(void)
{
	touch(1, SHIM_RMW, __ATOMIC_SEQ_CST);
	sim_charge(1030 - sim_now());
	touch(0, SHIM_RMW, __ATOMIC_SEQ_CST);
	landing.seen[0] = landing.content;
	sim_charge(1130 - sim_now());
	sim_sync();
	landing.seen[1] = landing.published;
	sim_charge(1200 - sim_now());
	sim_sync();
	landing.seen[2] = landing.published;
}

static void land(void *arg, unsigned int cpu)
{
	(void)arg;
	if (cpu)
		land_1();
	else
		land_0();
}

static void lands(void)
{
	static const struct sim_place place[2] = { { 0, 0 }, { 0, 1 } };
	struct machine m = tiny();
	struct sim_setup s = { .machine = &m, .nr_cpus = 2, .place = place, .base = landing.line[0],
			       .size = sizeof(landing.line), .body = land, .switched = nobody };
	struct sim_figures f;

	m.lines[LINE_keep].ns = 50;
	for (s.seed = 0; s.seed < 32; s.seed++) {
		memset(&landing, 0, sizeof(landing));
		CHECK_EQ(sim_fibers(&s, &f), 0);
		CHECK_EQ(landing.seen[0], 1);
		CHECK_EQ(landing.seen[1], 0);
		CHECK_EQ(landing.seen[2], 1);
	}
}

/* A clock that comes to its end ends the run, whoever else could go on. */
static void for_ever(void *arg, unsigned int cpu)
{
	(void)arg;
	if (cpu)
		sim_idle(SIM_END + 1000);
	else
		sim_idle(SIM_END - 1000);
	sim_spend(500);
}

static void too_late(void)
{
	static const struct sim_place place[2] = { { 0, 0 }, { 0, 1 } };
	static char word[64] __aligned(64);
	struct machine m = tiny();
	struct sim_setup s = { .machine = &m, .nr_cpus = 2, .place = place, .base = word, .size = 64,
			       .body = for_ever, .switched = nobody };
	struct sim_figures f;

	alarm(20);
	CHECK_EQ(sim_fibers(&s, &f), -ETIME);
	s.nr_cpus = 1;
	CHECK_EQ(sim_fibers(&s, &f), 0);
	alarm(0);
}

/* Memory that nobody named. */
static void stray(void *arg, unsigned int cpu)
{
	(void)cpu;
	exec_now->access((char *)arg + 64, 4, SHIM_READ, __ATOMIC_RELAXED, NULL);
}

static void strangers(void)
{
	static const struct sim_place place[1] = { { 0, 0 } };
	static char words[128] __aligned(64);
	struct machine m = tiny();
	struct sim_setup s = { .machine = &m, .nr_cpus = 1, .place = place, .base = words, .size = 64,
			       .body = stray, .arg = words, .switched = nobody };
	struct sim_figures f;

	CHECK_EQ(sim_fibers(&s, &f), -EFAULT);
	CHECK_EQ(f.strangers, 1);
	s.size = 128;
	CHECK_EQ(sim_fibers(&s, &f), 0);
}

static void places(void)
{
	struct machine m = tiny();
	struct workload *w;
	struct td_error err;
	struct sim_place place[MACHINE_CPUS_MAX];
	uint16_t cpu_of[64];
	unsigned int i, nr;

	CHECK_EQ(workload_load("fault-storm", workloads, &w, &err), 0);
	CHECK_EQ(workload_set(w, "td.storm.count=2", &err), 0);
	CHECK_EQ(workload_set(w, "td.storm.vcpus=3", &err), 0);
	nr = sim_place_vcpus(&m, w, cpu_of, place);
	CHECK_EQ(nr, 6);
	for (i = 0; i < 6; i++)
		CHECK_EQ(place[cpu_of[i]].socket, i / 3);
	CHECK(place[cpu_of[0]].core != place[cpu_of[1]].core);
	CHECK_EQ(place[cpu_of[2]].core, place[cpu_of[0]].core);
	CHECK(cpu_of[2] != cpu_of[0]);
	/* More than there are: CPUs are shared. */
	CHECK_EQ(workload_set(w, "td.storm.vcpus=8", &err), 0);
	CHECK_EQ(sim_place_vcpus(&m, w, cpu_of, place), 8);
	workload_free(w);
}

/* ------------------------------------------------------------------ cells */

static void strategies(void)
{
	static const char *const names[] = { "boot-10x16g", "fault-storm", "conversion-storm",
					     "create-destroy", "huge" };
	static const u64 den[] = { 1024, 16, 64, 16, 512 };
	const struct pamt_ops *ops;
	unsigned int i, s;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		for (s = 0; (ops = pamt_ops_at(s)); s++) {
			struct result r = run("edge", names[i], ops->name, den[i], false, NULL, 0);

			CHECK(r.status == CELL_OK || r.status == CELL_SKIPPED);
			CHECK_EQ(r.f.strangers, 0);
			CHECK(r.status == CELL_SKIPPED || r.f.accesses > 1000);
			free(r.text);
		}
}

/* What nobody can know before: a pace of 30 s for each of 1024 pages of a vCPU. */
static void slow_pace(void)
{
	static const char *const sets[] = { "arrivals=open:30s" };
	struct result r;

	alarm(20);
	r = run("edge", "boot-10x16g", "lockless", 1024, false, sets, 1);
	alarm(0);
	CHECK_EQ(r.status, CELL_FAILED);
	CHECK(r.text && strstr(r.text, "more than 5 hours"));
	free(r.text);
}

static void repeats(void)
{
	struct result a = run("spr-2s", "fault-storm", "lockless", 16, false, NULL, 0), b;
	void *hole = malloc(100000);

	b = run("spr-2s", "fault-storm", "lockless", 16, false, NULL, 0);
	CHECK_STR(a.text, b.text);
	CHECK_EQ(a.f.accesses, b.f.accesses);
	free(a.text);
	free(b.text);
	free(hole);
}

/*
 * vCPUs that begin together run side by side: as long as if they began by themselves. Who
 * comes last, and from where, differs from cell to cell.
 */
static void together(void)
{
	static const char *const counts[] = { "td.boot.count=3", "td.boot.count=4", "td.boot.count=5",
					      "td.boot.count=6", "td.boot.count=7", "td.boot.count=8" };
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(counts); i++) {
		const char *mach = i % 2 ? "edge" : "spr-2s";
		const char *const sets[] = { counts[i / 2], "td.boot.vcpus=2",
					     "phase.fault.together=no" };
		struct result yes = run(mach, "boot-10x16g", "lockless", 1024, false, sets, 2);
		struct result no = run(mach, "boot-10x16g", "lockless", 1024, false, sets, 3);

		CHECK_EQ(yes.status, CELL_OK);
		CHECK(yes.elapsed < 1.2 * no.elapsed);
		free(yes.text);
		free(no.text);
	}
}

/* TDs that go down together and have several lives: only the last ones wait for each other. */
static void lives(void)
{
	static const char *const sets[] = { "td.storm.lives=3" };
	struct result one = run("edge", "fault-storm", "lockless", 32, false, NULL, 0);
	struct result three = run("edge", "fault-storm", "lockless", 32, false, sets, 1);

	CHECK_EQ(three.status, CELL_OK);
	CHECK(three.elapsed > 2 * one.elapsed);
	free(one.text);
	free(three.text);
}

/* ------------------------------------------------------------------ sweeps */

static void grids(void)
{
	static const char *const bad[] = { "", "vcpus=", "vcpus=3..2", "vcpus=0..4", "vcpus=1..9999",
					   "lone=1..101%", "cores=1..2", "vcpus=4:4", "lone=a",
					   "vcpus=1,vcpus=2", "lone=1,vcpus=2,lone=1" };
	struct sweep_grid g;
	char err[512];
	unsigned int i;

	CHECK_EQ(sweep_parse("vcpus=1..448,lone=0..100%", &g, err, sizeof(err)), 0);
	CHECK_EQ(g.vcpus.nr, 10);
	CHECK_EQ(g.vcpus.value[8], 256);
	CHECK_EQ(g.vcpus.value[9], 448);
	CHECK_EQ(g.lone.nr, 6);
	CHECK_EQ(sweep_parse("vcpus=3:7", &g, err, sizeof(err)), 0);
	CHECK_EQ(g.vcpus.nr, 2);
	CHECK_EQ(g.lone.value[0], 50);
	CHECK(!g.rounded);
	/* Two TDs of 4, seven of 4, sixteen of 6. */
	CHECK_EQ(sweep_parse("vcpus=8:9:31:100", &g, err, sizeof(err)), 0);
	CHECK(g.rounded);
	CHECK_EQ(g.vcpus.nr, 3);
	CHECK_EQ(g.vcpus.value[0], 8);
	CHECK_EQ(g.vcpus.value[1], 28);
	CHECK_EQ(g.vcpus.value[2], 96);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(sweep_parse(bad[i], &g, err, sizeof(err)) != 0);
}

/* What a cell does decides how long it is said to take, whatever its vCPUs. */
static void estimates(void)
{
	static const char *const more[] = { "td.torture.lives=320" };	/* 20 times its own */
	struct machine *m = machine("spr-2s");
	struct workload *loops, *flips, *own;
	struct td_error err;
	char text[512];
	double few, many, one, two;

	CHECK_EQ(workload_load("create-destroy", workloads, &loops, &err), 0);
	CHECK_EQ(workload_load("conversion-storm", workloads, &flips, &err), 0);
	own = sweep_workload(loops, 16, 50, text, sizeof(text));
	few = sweep_seconds(own, m);
	CHECK_EQ(workload_set_all(own, more, 1, &err), 0);
	many = sweep_seconds(own, m);
	CHECK(many > 15 * few && many < 25 * few);
	workload_free(own);
	/* Who flips for ever does so as long as the others run. */
	own = sweep_workload(flips, 4, 0, text, sizeof(text));
	one = sweep_seconds(own, m);
	workload_free(own);
	own = sweep_workload(flips, 64, 0, text, sizeof(text));
	two = sweep_seconds(own, m);
	workload_free(own);
	CHECK(two > 3 * one && isfinite(two));
	workload_free(loops);
	workload_free(flips);
	machine_free(m);
}

/* Whoever takes the answers has no room for the third one: no more jobs begin. */
struct jobs {
	unsigned int ran;
};

static json_t *answer(void *ctx, size_t i)
{
	(void)ctx;
	return i == 1 ? NULL : json_pack("{s:i}", "job", (int)i);
}

static int take(void *ctx, size_t i, const json_t *j)
{
	struct jobs *jobs = ctx;

	jobs->ran++;
	/* Once there is no room whoever runs is made to end, answer or not. */
	CHECK(jobs->ran > 3 ||
	      (i == 1 ? !j : json_integer_value(json_object_get(j, "job")) == (json_int_t)i));
	return jobs->ran == 3 ? -ENOSPC : 0;
}

static bool skip_even(void *ctx, size_t i)
{
	(void)ctx;
	return i % 2 == 0;
}

static void pools(void)
{
	struct jobs jobs = { 0 };
	struct pool_use use = { 0 };
	struct pool p = { .nr = 200, .job = answer, .done = take, .ctx = &jobs, .use = &use };

	CHECK_EQ(pool_run(&p), -ENOSPC);
	CHECK(jobs.ran >= 3 && jobs.ran <= 3 + pool_cpus());
	CHECK(use.peak_kib > 0);
	jobs.ran = 0;
	p.nr = 4;
	p.skip = skip_even;
	CHECK_EQ(pool_run(&p), 0);
	CHECK_EQ(jobs.ran, 2);
}

/* -------------------------------------------------------------------- map */

static const char *const names[] = { "null", "global-fast", "lockless" };
static const bool controls[] = { true, false, false };
static const u64 axis_vcpus[] = { 4, 8, 16, 32 }, axis_lone[] = { 0 };

/* One row of four cells: waiting of the baseline in percent; below 0: it failed. */
static char *map_text(const double wait[4], bool baseline, u64 others)
{
	struct map_value value[4][3];
	struct map m = {
		.workload = "w", .machine = "m", .strategy = names, .control = controls,
		.nr_strategies = 3, .vcpus = axis_vcpus, .lone = axis_lone, .nr_vcpus = 4,
		.nr_lone = 1, .others = others, .value = value[0],
		.baseline = baseline ? "global-fast" : "hashed",
	};
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		unsigned int cpus = axis_vcpus[i] + others > 20 ? 20 : axis_vcpus[i] + others;

		value[i][0] = (struct map_value){ true, 0, 1, cpus };
		value[i][1] = (struct map_value){ wait[i] >= 0, wait[i], 100, cpus };
		value[i][2] = (struct map_value){ true, 0, i == 0 ? 99 : 50, cpus };
	}
	map_print(f, &m, "text");
	fclose(f);
	CHECK(size && text[size - 1] == '\n');
	return text;
}

#define SAYS(text, words) CHECK(strstr(text, words))

static void maps(void)
{
	static const double calm[] = { 0, 0.5, 1, 1 }, rising[] = { 0, 2, 3, 4 },
			    gap[] = { 0, 2, 0.5, 4 }, broken[] = { 0, -1, 0, 0 },
			    none[] = { -1, -1, -1, -1 };
	char *t = map_text(calm, true, 0);

	/* The control is cheaper and no candidate; 99 for 100 is no reason to change. */
	SAYS(t, "global-fast is cheapest in 1, lockless is cheapest in 3. Cheapest or within 10% of "
		"it: global-fast in 1, lockless in 4. ");
	SAYS(t, "global-fast spends at most 1% of CPU time waiting in all of them.");
	SAYS(t, "From 32 vCPUs on several take turns on each of the 20 CPUs.");
	free(t);
	t = map_text(rising, true, 0);
	SAYS(t, "in 3 of them: with 0% of the pages in lone regions from 8 vCPUs on.");
	free(t);
	t = map_text(gap, true, 0);
	SAYS(t, "in 2 of them: with 0% of the pages in lone regions at 8, 32 vCPUs.");
	free(t);
	t = map_text(broken, true, 0);
	SAYS(t, "at most 1% of CPU time waiting in all of the 3 in which it ran.");
	free(t);
	t = map_text(none, true, 0);
	SAYS(t, "lockless is cheapest in 4. Cheapest or within 10% of it: lockless in 4. Of "
		"global-fast no cell ran.");
	free(t);
	t = map_text(rising, false, 6);
	CHECK(!strstr(t, "hashed"));
	SAYS(t, "Beside the vCPUs of the table there are 6 of other TDs. From 16 vCPUs on");
	free(t);
}

/* More script than a pipe holds, and nobody who reads it: an error, not the end of the process. */
static void no_gnuplot(void)
{
	enum { SIDE = 300 };
	struct map_value *value = calloc(SIDE * SIDE, sizeof(*value));
	u64 *axis = calloc(SIDE, sizeof(*axis));
	struct map m = {
		.workload = "w", .machine = "m", .strategy = names + 1, .control = controls + 1,
		.nr_strategies = 1, .vcpus = axis, .lone = axis, .nr_vcpus = SIDE, .nr_lone = SIDE,
		.value = value, .baseline = "global-fast",
	};
	unsigned int i;
	int status = 0;
	pid_t pid;

	for (i = 0; i < SIDE * SIDE; i++)
		value[i] = (struct map_value){ true, 0, 1, 1 };
	pid = fork();
	if (!pid) {
		setenv("PATH", "/nonexistent", 1);
		_exit(map_svg(&m, ".") == -ENOENT ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	free(value);
	free(axis);
}

int main(void)
{
	test_begin("sim");
	go_to_root(__FILE__);
	TEST(lines);
	TEST(drawn);
	TEST(in_order);
	TEST(lands);
	TEST(waiting);
	TEST(too_late);
	TEST(strangers);
	TEST(places);
	TEST(grids);
	TEST(estimates);
	TEST(pools);
	TEST(maps);
	TEST(no_gnuplot);
	TEST(slow_pace);
	TEST(repeats);
	TEST(together);
	TEST(lives);
	TEST(strategies);
	return test_end();
}
