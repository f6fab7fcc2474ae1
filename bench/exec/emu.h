/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The executor `emu`, seen from outside: a block's cells go to scripts/emu-run.sh, which
 * boots the patched kernel on an emulated TDX host and runs them there (exec/kvm*).
 * Strategies that the kernel switches between share one boot; a strategy that is
 * settled at boot (null, static) has one of its own.
 */
#ifndef DPAMT_EMU_H
#define DPAMT_EMU_H

#include <stdio.h>

#include "exec/plan.h"

/* Is there a kernel, a guest program, QEMU? 0, or an exit code with one line on stderr. */
int emu_check(const struct plan *p);

/* CPUs that the emulated host needs: a TD has no more vCPUs than that. */
unsigned int emu_cpus(const struct plan *p);

/* Memory of the emulated host, in bytes. */
u64 emu_memory(const struct plan *p);

/* Does the kernel run @ops only if told so on its command line? */
bool emu_own_boot(const struct pamt_ops *ops);

/*
 * In the process of a block: boot and run what is left of @block, and send its lines
 * to @pipe as they come. An exit code; 1 and 3 have been told to @pipe or on stderr.
 */
int emu_block(const struct plan *p, unsigned int block, FILE *pipe);

/* Put into run.json what every table must say, and what the host has said of itself. */
void emu_describe(const struct plan *p, json_t *meta);
/* A line of kind "host": what it ran on, and what was measured of it. */
void emu_take_host(const struct plan *p, json_t *meta, const json_t *said);
/* The primary metric of all workloads on such a host. */
const char *emu_primary(void);

/* A guess in seconds, for a machine that has nothing else to do. */
double emu_estimate(const struct plan *p);

#endif
