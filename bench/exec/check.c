// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt check: every strategy through every scenario under random schedules,
 * sequentially consistent. A finding names the seed that shows it again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exec/fiber.h"
#include "exec/flavour.h"
#include "exec/run.h"

#define MAX_STEPS 2000000ull

static void body(void *arg, unsigned int fiber)
{
	yield_flavour.body(arg, fiber);
}

/* One schedule. 0, or 1 with what broke in @err. */
static int one(unsigned int scenario, const char *strategy, uint64_t seed,
	       struct scenario_result *r, uint64_t *steps, char *err, size_t err_size)
{
	struct fiber_stats stats;
	unsigned int cpus;
	struct scenario *s;
	int end;

	err[0] = 0;
	s = yield_flavour.open(scenario, strategy, seed, &cpus, err, err_size);
	if (!s)
		return 1;
	end = fiber_run(&(struct fiber_run){ .nr = cpus, .body = body, .arg = s,
					     .switched = yield_flavour.set_cpu,
					     .max_steps = MAX_STEPS, .seed = seed,
					     /* From long runs of one CPU to a switch at each access. */
					     .switch_rate = 8 << seed % 6 },
			&stats);
	*steps += stats.steps;
	if (end == FIBER_DEADLOCK)
		snprintf(err, err_size, "deadlock: %u CPUs wait for each other", stats.blocked);
	else if (end == FIBER_LIVELOCK)
		snprintf(err, err_size, "no end after %llu steps: livelock", MAX_STEPS);
	else if (end < 0)
		snprintf(err, err_size, "no memory for the fibers' stacks");
	return yield_flavour.close(s, r, err, err_size) ? 1 : 0;
}

static int check_scenario(unsigned int i, const char *name, const char *strategy, uint64_t seed,
			  unsigned int schedules, bool quiet)
{
	struct scenario_result r = { 0 };
	uint64_t steps = 0;
	unsigned int n;
	char err[300];

	for (n = 0; n < schedules; n++) {
		if (one(i, strategy, seed + n, &r, &steps, err, sizeof(err))) {
			printf("%s %s: %s\n\tschedule %u of %u; again: dpamt check --strategy %s --seed %" PRIu64
			       " --schedules 1\n",
			       strategy, name, err, n + 1, schedules, strategy, seed + n);
			return 1;
		}
	}
	if (!quiet)
		printf("%-12s %-6s %6u schedules %10" PRIu64 " steps: %" PRIu64 " installs, %" PRIu64
		       " removes, %" PRIu64 " BUSY, %" PRIu64 " lost races, %" PRIu64
		       " waits, %" PRIu64 " failed gets, %" PRIu64 " leaked\n",
		       strategy, name, schedules, steps, r.installs, r.removes, r.busy, r.lost_races,
		       r.waits, r.failed_gets, r.leaked);
	return 0;
}

int check_execute(const char **strategies, size_t nr, uint64_t seed, unsigned schedules,
		  bool quiet)
{
	const char *name, *what;
	unsigned int i, failed = 0, ran = 0;
	size_t k;

	for (k = 0; k < nr; k++) {
		for (i = 0; (name = yield_flavour.scenario_name(i, &what)); i++) {
			if (!yield_flavour.applies(i, strategies[k]))
				continue;
			ran++;
			failed += check_scenario(i, name, strategies[k], seed, schedules, quiet);
		}
	}
	printf("check: %u passed, %u failed\n", ran - failed, failed);
	return failed ? 1 : 0;
}
