/* SPDX-License-Identifier: GPL-2.0-only */
/* What dpamt simulate is made of, besides running cells: one file per study. */
#ifndef DPAMT_CLI_SIMULATE_H
#define DPAMT_CLI_SIMULATE_H

#include "cli/cli.h"
#include "exec/pool.h"
#include "exec/sweep.h"

/* The workload and machine of the options, as loaded. */
struct study {
	const struct options *o;
	struct workload *workload;
	struct machine *machine;
};

int simulate_sweep(struct study *s);
int simulate_sensitivity(struct study *s);
int simulate_validate(struct study *s);
/* On machine `this`, whatever --machine says. */
int simulate_measured(const struct options *o);

/* Is @name a control? */
bool strategy_is_control(const char *name);

/* Jobs of a study that are cells: run them all, figures in @f[i]. An exit code. */
int run_cells(const struct study *s, const struct sweep_cell *cell, struct sweep_figures *f,
	      size_t nr, const char *what);

#endif
