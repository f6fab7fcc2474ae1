/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Progress of a run on stderr: one line that rewrites itself, with an ETA, on a
 * terminal; one line per cell where stderr is none; nothing when quiet.
 */
#ifndef DPAMT_PROGRESS_H
#define DPAMT_PROGRESS_H

#include "exec/plan.h"

struct progress {
	const struct plan *p;
	unsigned int total, done;
	u64 start;	/* CLOCK_MONOTONIC, ns */
	bool quiet, terminal;
};

void progress_init(struct progress *g, const struct plan *p, bool quiet);
void progress_begin(struct progress *g, const char *workload, const char *strategy);
void progress_cell(struct progress *g, const char *workload, const char *strategy,
		   const char *status, const char *reason);
void progress_end(struct progress *g);

/* Seconds that the plan will take, from the machine file's constants; overheads are not in it. */
double progress_estimate(const struct plan *p);

#endif
