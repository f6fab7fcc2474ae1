/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The strategies as the command line sees them: name and one line each, from
 * the one list of the kernel sources.
 */
#ifndef DPAMT_EXEC_STRATEGY_H
#define DPAMT_EXEC_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>

struct strategy_info {
	const char *name;
	const char *what;	/* the idea in one line */
	bool control;		/* null, static: a floor or a ceiling, not a candidate */
	bool explore_only;	/* broken on purpose: whatever runs strategies refuses it */
};

/* All strategies in list order; *@nr of them. Static storage. */
const struct strategy_info *strategy_list(size_t *nr);

#endif
