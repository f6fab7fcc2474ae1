/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the workers of one cell step: a task per TD (its VMM: create, build, tear
 * down, lives) and a task per vCPU (its TD program). Shared state of a cell.
 */
#ifndef DPAMT_TASKS_H
#define DPAMT_TASKS_H

#include "exec/host.h"
#include "exec/threads.h"
#include "td/compile.h"
#include "td/program.h"

enum td_state {
	TD_WAITING,		/* for its start time */
	TD_CREATING,
	TD_BUILDING,
	TD_RUNNING,
	TD_READY_DOWN,		/* programs over; waits for the others if they go down together */
	TD_TEARDOWN_STATE,
	TD_DONE,
};

struct run;
struct run_td;

struct run_vcpu {
	struct run_td *td;
	unsigned int id;
	struct td_cpu cpu;
	struct td_program *program;
	u32 life;		/* the life that cpu and program are of; 0: none yet */
	bool ended;
	/* callbacks' state */
	u64 idle_until;
	u64 pace_next, pace_ns;	/* open loop: when the next access is due */
	u64 intended;		/* of the access under way; 0 in a closed loop */
	u32 barrier_id;		/* the barrier that was joined, plus one; 0: none */
	u64 barrier_target;
};

struct run_td {
	struct run *run;
	unsigned int index, group;
	enum td_state state;	/* written by the worker of the VMM task */
	u32 running_life;	/* released to vCPUs when the TD runs: 1, 2, .. */
	u32 lives_left;
	u64 start_at;
	atomic_t vcpus_left;
	struct host_td *host;
	struct run_vcpu *vcpu;
	u64 wait_ns;		/* summed by whichever worker steps for it */
	atomic_t barrier[WL_PHASES_MAX];
};

/* A worker's own data. */
struct run_worker {
	struct run *run;
	unsigned int id;
	pthread_t thread;
	u64 rng;
	struct hist fault;
	struct hist group_fault[WL_GROUPS_MAX];
	struct cell_mean mean[WL_GROUPS_MAX];
	struct pair_event *event;
	size_t nr_events, max_events;
	u64 overruns, seamcalls;
	u64 entered;		/* clock at the entry of the SEAMCALL under way */
	struct counters counters;
	struct counter_values values;
	int error;
	char error_text[160];
};

struct run {
	const struct model_config *c;
	const struct workload *wl;
	struct world world;
	struct run_worker *worker;
	struct run_td *td;
	unsigned int nr_tds, nr_vcpus;
	u64 start;		/* clock when the gate opened */

	atomic_t gate;		/* workers at the start */
	atomic_t tds_left;	/* not torn down for good */
	atomic_t finite_left;	/* TDs without a for-ever phase that still have work */
	atomic_t running_down[WL_GROUPS_MAX]; /* TDs of a group that have not finished their programs */
	atomic_t stop;		/* an error or an interrupt: end programs, tear down */
	atomic_t barrier[WL_PHASES_MAX];

	/* The snapshot: one worker stops the world between steps. */
	atomic_t pause, parked, snapshot_taken;
	u64 paused_at, paused_ns;
	struct cell *cell;
};

/* Prepare all tasks for a cell. 0, -ENOMEM. */
int tasks_init(struct run *r);
void tasks_free(struct run *r);

/*
 * One step of the VMM of @td or of a vCPU: true if something was done. An error
 * is stored in the worker and stops the run.
 */
bool task_step_td(struct run_worker *w, struct run_td *td);
bool task_step_vcpu(struct run_worker *w, struct run_vcpu *v);

/* Called by a TD's VMM when the first TD goes down: stop the world and look at it. */
void run_snapshot(struct run_worker *w);

void run_fail(struct run_worker *w, int err, const char *what);

/* Why the strategy cannot run the workload, or NULL. */
const char *run_unsupported(const struct model_config *c);
/* Every TD's share of the pairs. Under static PAMT a page's share is its own entry. */
void run_take_shares(struct run *r);
/* All figures of a run that ended at @end (clock). */
void run_collect(struct cell *c, struct run *r, u64 end);
/* Status and reason: what the run itself met, then what the host at rest shows. */
void run_judge(struct cell *c, struct run *r);

#endif
