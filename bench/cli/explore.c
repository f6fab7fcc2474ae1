// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt explore: every interleaving of small programs over the strategies and the
 * software TDX module, up to a number of preemptions.
 */
#include <string.h>

#include "cli/cli.h"
#include "exec/explore_run.h"

/* What a schedule file says itself. */
static int check_replay(const struct options *o)
{
	static const enum option_id given[] = {
		OPT_STRATEGY, OPT_SCENARIO, OPT_MEMORY, OPT_BOUND,
		OPT_SECONDS,  OPT_RANDOM,   OPT_SEED,	OPT_JOBS,
	};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (o->v[given[i]].given)
			return complain(DPAMT_USAGE,
					"--%s: not with --replay: the schedule file says what runs",
					options_table[given[i]].name);
	return DPAMT_FINE;
}

int verb_explore(const struct options *o)
{
	const char *memory = o->v[OPT_MEMORY].text;
	struct explore_config c = {
		.strategies = o->v[OPT_STRATEGY].list,
		.nr_strategies = o->v[OPT_STRATEGY].nr,
		.scenarios = o->v[OPT_SCENARIO].list,
		.nr_scenarios = o->v[OPT_SCENARIO].nr,
		.memory = { strcmp(memory, "tso") != 0, strcmp(memory, "sc") != 0 },
		.bound = (unsigned int)o->v[OPT_BOUND].number,
		.seconds = (unsigned int)o->v[OPT_SECONDS].number,
		.random = o->v[OPT_RANDOM].number,
		.seed = o->v[OPT_SEED].number,
		.jobs = o->v[OPT_JOBS].set ? (unsigned int)o->v[OPT_JOBS].number : 0,
		.out = o->v[OPT_OUT].text,
		.quiet = o->v[OPT_QUIET].set,
	};
	int ret;

	if (!o->v[OPT_REPLAY].set)
		return explore_execute(&c);
	ret = check_replay(o);
	return ret ? ret : explore_replay_file(o->v[OPT_REPLAY].text);
}
