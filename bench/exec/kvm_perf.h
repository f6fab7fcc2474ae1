/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * perf about the waits that the strategies count: "perf lock" over the contention events
 * of all CPUs. A tool that knows nothing of this project, as a witness of kvm_waits.h.
 */
#ifndef DPAMT_KVM_PERF_H
#define DPAMT_KVM_PERF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Was perf brought along? */
bool kvm_perf_can(void);
/* From now on: false if perf does not begin to record. */
bool kvm_perf_begin(void);
/* Until now: waits with a strategy's function on the stack, and their nanoseconds. False: perf failed. */
bool kvm_perf_end(uint64_t *waits, uint64_t *ns);
/* The same of what perf lock contention -v prints. */
void kvm_perf_table(FILE *table, uint64_t *waits, uint64_t *ns);

#endif
