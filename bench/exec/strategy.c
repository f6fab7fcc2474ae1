// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's list of strategies, for the command line.
 */
#include "exec/strategy.h"

#include "pamt/pamt.h"

#define MAX_STRATEGIES 32

const struct strategy_info *strategy_list(size_t *nr)
{
	static const struct strategy_info own[] = {
		{ .name = "v3", .what = "series v1 to v5, with its double REMOVE", .explore_only = true },
		{ .name = "retain", .what = "lockless, but a pair stays until it is wanted gone",
		  .explore_only = true },
	};
	static struct strategy_info list[MAX_STRATEGIES];
	const struct pamt_ops *ops;
	size_t n, i;

	for (n = 0; n < MAX_STRATEGIES && (ops = pamt_ops_at(n)); n++)
		list[n] = (struct strategy_info){
			.name = ops->name, .what = ops->what, .control = ops->control,
		};
	/* Not in the kernel's list, and built for the explorer alone (scenario_*.c). */
	for (i = 0; i < sizeof(own) / sizeof(own[0]) && n < MAX_STRATEGIES; i++)
		list[n++] = own[i];
	*nr = n;
	return list;
}
