/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of an emulated host, fragmented before cells: fio runs workloads/fio/fragment.fio
 * (copied to /fio of its initramfs) over a tmpfs. Root's work, for a machine that has
 * nothing else to do.
 */
#ifndef DPAMT_KVM_PLACE_H
#define DPAMT_KVM_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "td/workload.h"

#define PLACE_JOB "/fio/fragment.fio"

/* Does @w ask for memory that lies scattered? */
bool place_wants(const struct workload *w);
/* Is there a job to run, in this host? */
bool place_can(void);
/* @w will be run too: what its TDs need stays free. Before place_fragment(). */
void place_expect(const struct workload *w);
/*
 * Fragment memory, but for what the TDs need, unless that was done; or give all of it
 * back. Memory that was fragmented does not become whole again, so once is for all
 * workloads. 0, or -errno with one line in @err.
 */
int place_fragment(char *err, size_t size);
void place_release(void);
bool place_fragmented(void);
/* Share of the free memory that is in pieces of at least 2M, in percent; or NAN. */
double place_free_2m_pct(void);

#endif
