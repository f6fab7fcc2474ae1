// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt check: random schedules of every strategy over the software TDX module.
 */
#include "cli/cli.h"
#include "exec/run.h"

int verb_check(const struct options *o)
{
	int ret = refuse_explore_only(o);

	if (ret)
		return ret;
	return check_execute(o->v[OPT_STRATEGY].list, o->v[OPT_STRATEGY].nr, o->v[OPT_SEED].number,
			     (unsigned int)o->v[OPT_SCHEDULES].number, o->v[OPT_QUIET].set);
}
