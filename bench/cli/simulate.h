/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What dpamt simulate is made of, besides running cells: one file per study.
 * Every function here that returns int returns an exit code, after one line on stderr
 * where it is not 0.
 */
#ifndef DPAMT_CLI_SIMULATE_H
#define DPAMT_CLI_SIMULATE_H

#include "cli/cli.h"
#include "exec/pool.h"
#include "exec/sweep.h"

/* What simulate can do; STUDY_CELLS: as run. */
enum study_id {
	STUDY_CELLS, STUDY_SWEEP, STUDY_SENSITIVITY, STUDY_VALIDATE, STUDY_MEASURED, NR_STUDIES
};

/* The workload and machine of the options, as loaded. */
struct study {
	enum study_id id;
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

/* Seconds that jobs of @sum seconds, the longest of them @longest, take on all CPUs. */
double study_seconds(double sum, double longest);
/*
 * Before a study of @nr jobs begins: 0 with *@run, whether it shall. Not on a dry run,
 * which prints @plan and the @seconds; nor if they are more than --limit.
 */
int study_begin(const struct study *s, const char *plan, size_t nr, double seconds, bool *run);

/*
 * Run the jobs of a study that are cells, figures in @f[i]; the estimate comes first.
 * @run: were they run? A cell that failed is not an error here.
 */
int run_cells(const struct study *s, const struct sweep_cell *cell, struct sweep_figures *f,
	      size_t nr, const char *what, bool *run);

/* On stderr unless --quiet: how fast cells of @accesses were simulated in processes that took @use. */
void tell_effort(const struct study *s, double accesses, double shared,
		 const struct pool_use *use);

#endif
