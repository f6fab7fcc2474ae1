/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The executors `hw` and `emu`: the workload's TDs on the KVM of the running kernel.
 * What the kernel does is measured by the guests' clocks around first touches (their
 * mailboxes) and by the kernel's own statistics; nothing is modelled here. Whether a
 * TDX module or an emulated one answers is not visible from here.
 */
#ifndef DPAMT_KVM_H
#define DPAMT_KVM_H

#include "exec/cell.h"

struct kvm_config {
	const struct workload *workload;	/* scaled */
	const char *strategy;	/* to be switched to; must then be in force */
	const char *stats_dir;	/* KERNEL_STATS_DIR */
	const unsigned int *cpu;	/* to pin vCPUs to, in turn */
	unsigned int nr_cpus;
	u64 seed;
	u64 keyid_wait_ns;	/* for a KeyID, while no other TD goes; 0: 10 s */
	u64 stall_ns;		/* no progress for so long fails the cell; 0: 60 s */
};

/* Are there TDs here? 0, or -errno with one line that says how to get them. */
int kvm_probe(char *err, size_t size);

/*
 * Run one cell; @cell's status says how it went, as model_run() does. CELL_FAILED
 * without elapsed time is the environment's fault.
 */
void kvm_run(const struct kvm_config *c, struct cell *cell);

/* cell_json() without what cannot be known from outside of the kernel. */
json_t *kvm_cell_json(const struct cell *cell, const struct workload *w, const char *strategy,
		      int block, u64 seed);

/* Set from a signal handler: the cell in progress ends early and says so. */
extern volatile int kvm_interrupted;

/* ------------------------------------------------------- the kernel's side */

/* Switch the kernel to c->strategy. 0, -errno with one line in cell->reason. */
int kvm_strategy_set(const struct kvm_config *c, struct cell *cell);
/* Number of pairs in place; 0 if the kernel does not tell. */
u64 kvm_pairs(const struct kvm_config *c);
/* Zero the kernel's statistics; pairs installed and removed so far go to @before. */
void kvm_stats_begin(const struct kvm_config *c, struct pamt_stats *before);
/* What was counted since, into the cell. */
void kvm_stats_end(const struct kvm_config *c, const struct pamt_stats *before,
		   struct cell *cell);
/* With no TD left: do counts and the module agree, is nothing leaked? Else a violation. */
void kvm_audit(const struct kvm_config *c, struct cell *cell);

#endif
