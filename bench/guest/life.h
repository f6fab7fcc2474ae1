/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One small TD, step by step (life.c).
 */
#ifndef DPAMT_GUEST_LIFE_H
#define DPAMT_GUEST_LIFE_H

#include "exec/kvm_td.h"

#define LIFE_VCPUS 2
#define LIFE_NS 100000000000ULL	/* then a TD hangs, whatever the machine */

/*
 * This process stays on its CPU number @cpu, vCPU i on number @cpu + i * @step. It must:
 * KVM 7.3 wants INIT_VCPU not to migrate (see kvm.c). With @step 0 what a TD gives back
 * to the page allocator is what the next one is given first.
 */
void life_pin(unsigned int cpu, unsigned int step);

/* NULL with a line said. */
struct workload *life_workload(void);
/* kvm_host_open() and what programs need of the host: 0 or -errno with a line said. */
int life_open(struct kvm_host *host);
/* As kvm_td_create(). */
int life_make(const struct kvm_host *host, const struct workload *w, uint64_t seed,
	      struct kvm_td **td, char *err, size_t size);
/*
 * Run all vCPUs until their programs are over, or *@stop (NULL: never), or one has
 * failed: 0, -EINTR, or the first error, -ETIMEDOUT of one that hangs, -EPROTO of a
 * program that ended with an error.
 */
int life_run(struct kvm_td *td, const volatile int *stop);

#endif
