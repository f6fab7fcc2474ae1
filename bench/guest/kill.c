// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt-guest kill [N [STRATEGY]]: N times a VMM with many TDs is killed by SIGKILL at
 * a random moment, while it creates, populates, runs, converts or tears them down;
 * each time everything must come back. The strategy changes from kill to kill unless
 * one is named: a switch is refused while the kernel believes that a TD exists.
 *
 * The moment is uniform over the time that the same cell takes undisturbed, which is
 * measured first.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/guest.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"

#define KILLS 20
#define STRATEGIES_MAX 16

/* Each well below a second, so that the moment is somewhere else each time. */
static const struct {
	const char *workload, *set[2];
} victims[] = {
	{ "create-destroy", { "td.torture.lives=1", "td.torture.count=12" } },
	{ "fault-storm", { "td.storm.memory=32M", "td.storm.count=6" } },
	{ "conversion-storm", { "td.victim.memory=64M", "td.attacker.count=3" } },
};
#define NR_VICTIMS (sizeof(victims) / sizeof(victims[0]))

struct killing {
	struct workload *workload[NR_VICTIMS];
	uint64_t ns[NR_VICTIMS];	/* of an undisturbed run */
	char *strategies;		/* names, cut up */
	const char *strategy[STRATEGIES_MAX];
	unsigned int nr_strategies;
	uint64_t tds;			/* that existed when the signal came */
	unsigned int over;		/* cells that were over before it came */
};

/* A cell in a process of its own, which says nothing. */
static pid_t start(const struct killing *k, unsigned int victim, const char *strategy,
		   uint64_t seed)
{
	struct kvm_config c = {
		.workload = k->workload[victim], .strategy = strategy,
		.stats_dir = KERNEL_STATS_DIR, .cpu = guest_cpus, .nr_cpus = guest_nr_cpus,
		.seed = seed,
	};
	struct cell *cell;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child)
		return child;
	cell = cell_new();
	if (!cell)
		_exit(EXIT_ENVIRONMENT);
	kvm_run(&c, cell);
	if (cell->status != CELL_OK)
		guest_say("%s %s: %s", victims[victim].workload, strategy, cell->reason);
	_exit(cell->status == CELL_OK ? EXIT_FINE : EXIT_REGRESSED);
}

/* How long the cell takes undisturbed; 0: it does not end well. */
static uint64_t undisturbed(const struct killing *k, unsigned int victim)
{
	uint64_t since = clock_ns();
	pid_t child = start(k, victim, k->strategy[0], 1);
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		guest_say("kill: %s does not run undisturbed", victims[victim].workload);
		return 0;
	}
	return clock_ns() - since;
}

/* The shorter of two: the first warms up. */
static bool measure(struct killing *k)
{
	for (unsigned int i = 0; i < NR_VICTIMS; i++) {
		uint64_t first, second;

		k->workload[i] = guest_workload(victims[i].workload, victims[i].set, 2);
		if (!k->workload[i])
			return false;
		first = undisturbed(k, i);
		second = first ? undisturbed(k, i) : 0;
		if (!second)
			return false;
		k->ns[i] = first < second ? first : second;
	}
	return true;
}

/* All that the kernel can switch to, or the one that is named. */
static bool take_strategies(struct killing *k, const char *only)
{
	char *word, *rest;

	k->strategies = only ? strdup(only) : kernel_stats_read(KERNEL_STATS_DIR, "strategy");
	for (word = k->strategies ? strtok_r(k->strategies, " []\n", &rest) : NULL;
	     word && k->nr_strategies < STRATEGIES_MAX; word = strtok_r(NULL, " []\n", &rest))
		k->strategy[k->nr_strategies++] = word;
	if (!k->nr_strategies)
		guest_say("kill: %s/strategy cannot be read: the kernel must be the one of make kernel",
			  KERNEL_STATS_DIR);
	return k->nr_strategies;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	nanosleep(&ts, NULL);
}

/* One kill; false: something is left. */
static bool kill_one(struct killing *k, unsigned int n)
{
	const char *strategy = k->strategy[n % k->nr_strategies];
	unsigned int victim = n / k->nr_strategies % NR_VICTIMS;
	uint64_t after = drand48() * k->ns[victim];
	uint64_t tds;
	char why[300];
	pid_t child = start(k, victim, strategy, n + 1);
	int status;

	if (child < 0) {
		guest_say("kill: no process for a VMM");
		return false;
	}
	sleep_ns(after);
	tds = judge_pamt("memory", "tds");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	if (WIFEXITED(status)) {
		k->over++;
		if (WEXITSTATUS(status))
			return false;
	}
	k->tds += tds;
	if (judge_all_back(why, sizeof(why)))
		return true;
	guest_say("kill %u: %s of %s, killed after %.3f s with %" PRIu64 " TDs: %s", n + 1, strategy,
		  victims[victim].workload, after / 1e9, tds, why);
	return false;
}

int guest_kill(int argc, char **argv)
{
	struct killing k = { 0 };
	uint64_t kills = KILLS, i, before, since;
	int ret = EXIT_FINE;
	char why[300];

	if (argc > 2 || (argc && !guest_number(argv[0], &kills))) {
		guest_say("kill: usage: kill [NUMBER [STRATEGY]]");
		return EXIT_USAGE;
	}
	clock_init();
	srand48(kills);
	judge_log_skip(true);
	judge_free_kb();	/* so that CPUs keep little from here on */
	if (!take_strategies(&k, argc > 1 ? argv[1] : NULL) || !measure(&k))
		return EXIT_ENVIRONMENT;
	if (!judge_all_back(why, sizeof(why))) {
		guest_say("kill: before the first: %s", why);
		return EXIT_REGRESSED;
	}
	before = judge_free_kb();
	since = clock_ns();
	for (i = 0; i < kills && ret == EXIT_FINE; i++)
		if (!kill_one(&k, i))
			ret = EXIT_REGRESSED;
	/* Some must have come while TDs were there, or nothing was tested. */
	if (ret == EXIT_FINE && (!k.tds || k.over == kills)) {
		guest_say("kill: %u of %" PRIu64 " signals came too late, %" PRIu64 " TDs were hit", k.over,
			  kills, k.tds);
		ret = EXIT_REGRESSED;
	}
	if (ret == EXIT_FINE && !judge_memory_back(before, why, sizeof(why))) {
		guest_say("kill: %s", why);
		ret = EXIT_REGRESSED;
	}
	guest_say("kill: %s: %" PRIu64 " kills, %" PRIu64 " TDs existed when they came, %u were "
		  "over before, %u strategies, %" PRId64 " KB of memory less, %.0f s",
		  ret ? "FAILED" : "all came back", i, k.tds, k.over, k.nr_strategies,
		  (int64_t)(before - judge_free_kb()), (clock_ns() - since) / 1e9);
	for (i = 0; i < NR_VICTIMS; i++)
		workload_free(k.workload[i]);
	free(k.strategies);
	return ret;
}
