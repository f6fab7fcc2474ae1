/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * perf about the waits that the strategies count: "perf lock" over the contention events
 * of all CPUs. A tool that knows nothing of this project, as a witness of kvm_waits.h.
 */
#ifndef DPAMT_KVM_PERF_H
#define DPAMT_KVM_PERF_H

#include <stdbool.h>
#include <stdint.h>

/* Was perf brought along? */
bool kvm_perf_can(void);
/* From now on: false if perf does not begin to record. */
bool kvm_perf_begin(void);
/* Until now: waits whose caller is a strategy, and their nanoseconds. False: perf failed. */
bool kvm_perf_end(uint64_t *waits, uint64_t *ns);
/*
 * A row of perf lock contention ("1  4.16 ms  4.16 ms  4.16 ms  spinlock  pamt_x+0x29"): adds
 * it if its caller is a strategy.
 */
void kvm_perf_row(const char *line, uint64_t *waits, uint64_t *ns);

#endif
