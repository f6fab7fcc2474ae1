/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own tools about the waits that the strategies count: lock_stat (a kernel
 * with CONFIG_LOCK_STAT), the contention events of its locks, and what perf makes of them
 * if it was brought along. Where none is there, nothing is said. Of one cell, from its process.
 */
#ifndef DPAMT_KVM_WAITS_H
#define DPAMT_KVM_WAITS_H

#include <jansson.h>

/* Before the cell: both from zero. */
void kvm_waits_begin(void);
/* After it: an object for the cell's line, or NULL. A new reference. */
json_t *kvm_waits_end(void);

#endif
