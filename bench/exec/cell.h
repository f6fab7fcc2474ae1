/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One cell: one workload under one strategy, once. What an executor measured,
 * and how it becomes a line of samples.jsonl.
 */
#ifndef DPAMT_CELL_H
#define DPAMT_CELL_H

#include <jansson.h>

#include "exec/world.h"
#include "measure/counters.h"
#include "td/workload.h"

enum cell_status { CELL_OK, CELL_SKIPPED, CELL_VIOLATION, CELL_INTERRUPTED, CELL_FAILED };

/* A change of the number of installed pairs. */
struct pair_event {
	u64 ns;			/* since the start of the cell */
	s64 delta;
};

struct cell_td {
	unsigned int td, group;
	u64 pages;		/* pages that need a pair, at the snapshot */
	u64 memory;
	u64 pamt_bytes;		/* its share of the pairs, at the snapshot */
	u64 wait_ns;
};

/*
 * Sum and number of the faults that enter the mean. In a closed loop those of
 * more than WORLD_STALL_NS() are the machine's doing and stay out; in an open
 * loop a queue may be that long, and all count.
 */
struct cell_mean {
	u64 sum_ns, count, stalls;
};

struct cell {
	enum cell_status status;
	char reason[256];
	bool block;		/* block mode: some metrics cannot be given */
	unsigned int workers;
	u64 elapsed_ns;		/* without the pause of the snapshot */
	u64 cpu_ns;		/* workers x elapsed */
	u64 guest_ns;		/* on KVM: the longest life of a TD's programs, by its own clock */

	struct hist fault;	/* of all groups */
	struct hist group_fault[WL_GROUPS_MAX];
	struct cell_mean mean[WL_GROUPS_MAX];
	struct world_cpu sum;	/* over CPUs */
	struct pamt_stats stats;
	u64 overruns, seamcalls;

	/* Memory: constant parts, and the pairs over time. */
	u64 fixed_bytes, static_bytes, count_bytes, strategy_bytes, preinstalled_bytes;
	double pairs_mean_bytes;
	u64 pairs_peak_bytes;
	json_t *series;		/* [[ns, bytes],..] or NULL */

	/* The snapshot: when the first TD began its teardown. */
	bool snapshot;
	u64 snapshot_bytes;	/* all installed pairs (static: the 4K arrays) */
	u64 kernel_bytes, kernel_pages;
	double lone_pct;
	struct cell_td *td;
	unsigned int nr_tds;

	double steal_pct;
	struct counter_values counters;
};

struct cell *cell_new(void);
void cell_free(struct cell *c);

/*
 * Fill the pair figures from @nr events in any order (sorted in place), starting
 * at @preinstalled pairs: time-weighted mean, exact peak, a series of at most
 * 240 points.
 */
void cell_pairs(struct cell *c, struct pair_event *event, size_t nr, u64 preinstalled);

/*
 * The line of samples.jsonl: metrics by the keys of metrics.h, histograms, the
 * pairs over time, shares per TD. @w names the groups; @fast_* are not here:
 * the cost samples have them. A new reference.
 */
json_t *cell_json(const struct cell *c, const struct workload *w, const char *strategy, int block,
		  u64 seed);

/* Copy a histogram of the strategies (coarser bins) into one of the results' form. */
void cell_hist(struct hist *to, const struct pamt_hist *from);

#endif
