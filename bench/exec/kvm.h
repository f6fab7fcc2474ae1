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
	const char *emu_dir;	/* KERNEL_EMU_DIR; there on an emulated host alone */
	const unsigned int *cpu;	/* to pin vCPUs to, in turn */
	unsigned int nr_cpus;
	u64 seed;
	u64 keyid_wait_ns;	/* for a KeyID, while no other TD goes; 0: 10 s */
	u64 stall_ns;		/* no progress for so long fails the cell; 0: 60 s */
	void (*running)(void);	/* called once, when a TD has touched memory; may be NULL */
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

/*
 * Private faults per second of one TD with two vCPUs, on the first two CPUs of @c (whose
 * workload is not looked at), by the guest's clock. 0: it failed, with one line in @err.
 */
double kvm_fault_rate(const struct kvm_config *c, char *err, size_t size);

/* Set from a signal handler: the cell in progress ends early and says so. */
extern volatile int kvm_interrupted;

/* ------------------------------------------------------- the kernel's side */

/* Switch the kernel to c->strategy. 0, -errno with one line in cell->reason. */
int kvm_strategy_set(const struct kvm_config *c, struct cell *cell);
/* Number of pairs in place; 0 if the kernel does not tell. */
u64 kvm_pairs(const struct kvm_config *c);
/* Where a cell begins. */
struct kvm_stats {
	struct pamt_stats s;	/* pairs installed and removed so far */
	u64 pairs;
};
/*
 * Zero the kernel's statistics. On an emulated host every get and put is counted from
 * here on: where time is what is measured, the fast path is left alone.
 */
void kvm_stats_begin(const struct kvm_config *c, struct kvm_stats *before);
/* What was counted since, into the cell. */
void kvm_stats_end(const struct kvm_config *c, const struct kvm_stats *before,
		   struct cell *cell);
/*
 * With no TD there: do counts, the module's answers (PHYMEM.PAGE.RDMD of every region)
 * and, on an emulated host, its own records agree; is nothing left, leaked, or broken?
 * Else a violation that says @when.
 */
void kvm_audit(const struct kvm_config *c, const struct kvm_stats *before, struct cell *cell,
	       const char *when);
/* Is this host's module the emulated one, which can be looked into? */
bool kvm_emulated(const struct kvm_config *c);
/* The cell breaks an invariant; the first one is told. */
__attribute__((format(printf, 2, 3)))
void kvm_violation(struct cell *cell, const char *format, ...);

#endif
