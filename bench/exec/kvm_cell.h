/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cell in progress, as the files that run it see it: kvm.c (lives of TDs),
 * kvm_watch.c (does it still move?), kvm_gate.c (stop the world for a moment),
 * kvm_shot.c (what kernel and module have at that moment).
 *
 * r->lock covers the states of TDs and the counters behind "who may go down". The
 * world page is written by guests: nothing here trusts it.
 */
#ifndef DPAMT_KVM_CELL_H
#define DPAMT_KVM_CELL_H

#include <pthread.h>

#include "exec/kvm.h"
#include "exec/kvm_td.h"

struct kvm_cell;

struct task_vcpu {
	struct task *task;
	struct kvm_vcpu *v;
	unsigned int cpu;
	int out;	/* its thread has left KVM_RUN for good */
};

struct task {
	struct kvm_cell *r;
	pthread_t thread;
	unsigned int index, group;
	u64 start_at;
	u64 lives_left;
	u32 life;
	unsigned int running;	/* vCPUs whose programs are not over */
	struct kvm_td *td;	/* set and cleared inside the gate */
	const struct kvm_td *shown;	/* the same, while watch() may look at it */
	struct task_vcpu *vcpu;
	unsigned int kickable;	/* vCPUs whose threads exist; under the lock */
	unsigned int first_cpu;
};

/*
 * Whoever may make the TDX module do something is inside the gate: vCPUs in KVM_RUN,
 * VMMs that make or end a TD. While it is closed nobody is.
 */
struct gate {
	unsigned int inside;
	volatile bool closed;
};

struct kvm_cell {
	const struct kvm_config *c;
	const struct workload *wl;
	struct cell *cell;
	struct kvm_host host;
	struct task *task;
	unsigned int nr_tasks;
	u64 start, paused_ns;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct gate gate;
	bool shot;			/* the snapshot was taken, or is not to be */
	unsigned int left;		/* tasks that are not over */
	unsigned int alive, gone;	/* TDs that exist; that were torn down */
	unsigned int making;		/* TDs that may have a KeyID, and do not exist yet */
	unsigned int finite_left;	/* without a for-ever phase, with work to do */
	unsigned int running_down[WL_GROUPS_MAX];
	bool stop;
	struct pair_event *event;
	size_t nr_events, max_events;
	u64 pairs;
	u64 last_pulse, pulse_at;
	bool running_told;
};

/* The first reason is the one that is told. Takes the lock. */
void kvm_stop_run(struct kvm_cell *r, enum cell_status status, const char *reason);
__attribute__((format(printf, 2, 3)))
void kvm_fail_run(struct kvm_cell *r, const char *format, ...);
/* Wait for a change, at most @ns. With the lock held. */
void kvm_wait_change(struct kvm_cell *r, u64 ns);

/* ------------------------------------------------------------- kvm_watch.c */

/* Until all tasks are over: the number of pairs now and then, and whether anything moves. */
void kvm_watch(struct kvm_cell *r);
/* The number of pairs was @pairs at @now. With the lock held. */
void kvm_note_pairs(struct kvm_cell *r, u64 now, u64 pairs);

/* -------------------------------------------------------------- kvm_gate.c */

void kvm_gate_enter(struct kvm_cell *r);
void kvm_gate_leave(struct kvm_cell *r);
/* Close the gate and wait until nobody is inside; by somebody outside. One at a time. */
void kvm_gate_close(struct kvm_cell *r);
void kvm_gate_open(struct kvm_cell *r);

/* -------------------------------------------------------------- kvm_shot.c */

/*
 * Before the first TD goes: what is in place, whose it is, and whether kernel, module
 * and report count the same. Stops the world where there is a module to be looked into.
 */
void kvm_shot(struct kvm_cell *r);

#endif
