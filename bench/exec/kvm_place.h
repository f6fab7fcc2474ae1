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
/*
 * Fragment memory, but for what @w's TDs need, unless that was done; or give all of it
 * back. 0, or -errno with one line in @err.
 */
int place_fragment(const struct workload *w, char *err, size_t size);
void place_release(void);
bool place_fragmented(void);
/* Share of the free memory that is in pieces of at least 2M, in percent; or NAN. */
double place_free_2m_pct(void);

#endif
