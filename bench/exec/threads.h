/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The executor `model`: strategy and module sources on real threads, one pinned
 * worker per CPU. A worker steps the TD programs of many vCPUs in turn and
 * changes vCPU only between steps, never inside get, put or a SEAMCALL, so
 * contention is that of the workers. SEAMCALLs, and what KVM does around them,
 * take the time that the machine file says: a deadline counted from entry and
 * spun out while the SEAMCALL's try-locks are held.
 */
#ifndef DPAMT_THREADS_H
#define DPAMT_THREADS_H

#include "exec/cell.h"
#include "measure/topology.h"

struct model_config {
	const struct workload *workload;	/* scaled */
	const struct machine *machine;
	const struct pamt_ops *ops;
	const struct topology *topology;
	unsigned int workers;
	u64 seed;		/* placement, orders and costs; common to a block's cells */
	char *mem;		/* an arena of at least model_host_bytes() */
};

/* Physical memory of the workload's host, a multiple of 1G. */
u64 model_host_bytes(const struct workload *w);

/*
 * Run one cell. Fills @cell, whatever happens: its status says ok, skipped
 * (the strategy cannot run this workload), violation (a broken invariant),
 * interrupted or failed, with the reason.
 */
void model_run(const struct model_config *c, struct cell *cell);

/* Set from a signal handler: the cell in progress ends early and says so. */
extern volatile int model_interrupted;

#endif
