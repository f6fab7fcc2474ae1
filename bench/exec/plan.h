/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plan of a run: what is run, in which order, and how it is described in
 * run.json; made from options, or read back from a run that is resumed.
 */
#ifndef DPAMT_PLAN_H
#define DPAMT_PLAN_H

#include "exec/run.h"
#include "exec/threads.h"
#include "report/result.h"

struct plan_cell {
	unsigned int workload;	/* index */
	unsigned int strategy;
};

/* Where a workload came from, for an executor that loads it again elsewhere. */
struct plan_source {
	char *path;
	char **sets;		/* the overrides that are this workload's */
	size_t nr_sets;
};

struct plan {
	bool emu;		/* on an emulated host; else model */
	struct plan_source *source;	/* as @workload */
	unsigned int scale_den;
	const struct pamt_ops **ops;
	unsigned int nr_ops;
	struct workload **workload;
	unsigned int nr_workloads;
	struct machine *machine;
	struct topology *topology;
	unsigned int threads, blocks;	/* threads: CPUs, of this machine or the simulated one */
	bool sim, block;
	u64 seed;
	char *dir, *run_id;
	struct result_run *old;	/* what a resumed run has already */
	unsigned char *done;	/* per block x workload x strategy; and one more for its controls */
	json_t *meta;		/* run.json */
	char note[COUNTERS_NOTE_SIZE];
	bool counters;
};

/*
 * Make the plan of @o and, but for a dry run, its results folder with run.json;
 * or read both from the run to be resumed. An exit code, with one line on
 * stderr when it is not 0. plan_free() either way.
 */
int plan_make(const struct run_options *o, struct plan *p);
void plan_free(struct plan *p);

/* plan_meta.c: run.json of a new run; a new reference, NULL without memory. */
json_t *plan_meta(const struct run_options *o, struct plan *p);
/* The name of where it runs. */
const char *plan_executor(const struct plan *p);

/*
 * The cells of @block in their order: workloads shuffled, and the strategies
 * within each. The same seed gives the same order. @cell has room for all.
 */
unsigned int plan_order(const struct plan *p, unsigned int block, struct plan_cell *cell);

/* Seed of a block's cells of one workload: common to its strategies. */
u64 plan_cell_seed(const struct plan *p, unsigned int block, unsigned int workload);

bool plan_is_done(const struct plan *p, unsigned int block, const struct plan_cell *c);
bool plan_controls_done(const struct plan *p, unsigned int block);
unsigned int plan_left(const struct plan *p);

/* Bytes of arena that the largest workload needs, and of memory that it will touch. */
u64 plan_arena_bytes(const struct plan *p);
u64 plan_memory_bytes(const struct plan *p);

#endif
