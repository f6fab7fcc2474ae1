/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Running cells: every strategy over every workload, in randomised blocks, on
 * the chosen executor, into one results folder. The verbs `run` and `check` of
 * the command line are thin callers of the two functions here.
 */
#ifndef DPAMT_EXEC_RUN_H
#define DPAMT_EXEC_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_options {
	const char *on;			/* model (also NULL), emu */
	const char **strategies;	/* names, checked against strategy_list() */
	size_t nr_strategies;
	const char **workloads;		/* names or files; the CLI passes paths */
	size_t nr_workloads;
	const char *machine;		/* name or file; the CLI passes a path */
	const char *out;		/* parent of the run's folder */
	const char *resume;		/* run id or folder, NULL: a new run */
	const char *const *sets;	/* "key=value" overrides; "workload:key=value" of one */
	size_t nr_sets;
	unsigned scale_den;		/* 0 = the workload's bench_scale or 1 */
	unsigned threads;		/* 0 = all; of the model executor */
	bool sim, block;		/* on the simulated machine; in block mode */
	unsigned blocks;
	uint64_t seed;
	bool dry_run, quiet;
	json_t *echo;			/* all options as given, for run.json; borrowed */
	char **argv;
	int argc;
};

/*
 * Run the plan of @o (or print it with dry_run). Messages and progress go to
 * stderr. Returns an exit code (0 fine, 1 broken invariant, 2 usage, 3 environment,
 * 4 skipped, 5 inconclusive); @run_dir receives the results
 * folder, or "" if none was made.
 */
int run_execute(const struct run_options *o, char *run_dir, size_t run_dir_size);

/*
 * Check @strategies on fibers under @schedules random schedules each, from
 * @seed. Returns an exit code: 0, or 1 after printing what broke.
 */
int check_execute(const char **strategies, size_t nr, uint64_t seed, unsigned schedules,
		  bool quiet);

#endif
