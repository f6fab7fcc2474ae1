/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From workload to TD programs, one a vCPU.
 */
#ifndef DPAMT_TD_COMPILE_H
#define DPAMT_TD_COMPILE_H

#include <stdint.h>

#include "td/error.h"
#include "td/program.h"
#include "td/workload.h"

/*
 * The program of vCPU @vcpu in a TD of group @group, for one life; malloc'ed,
 * td_program_size((*out)->count) bytes. @seed orders the random phases: all
 * vCPUs of one TD need the same one, another TD or another life should have
 * another. Together the programs of a TD touch every page behind the image
 * that the fault phases ask for exactly once.
 *
 * Barriers: TD_SCOPE_ALL before a together phase (id: the phase; who meets:
 * workload_barrier_vcpus()), TD_SCOPE_TD (same ids) between other phases of a
 * TD with several vCPUs. -EINVAL: no such group or vCPU; -E2BIG; -ENOMEM.
 */
int td_compile(const struct workload *w, unsigned int group, unsigned int vcpu, uint64_t seed,
	       struct td_program **out, struct td_error *err);

/* Touches of TOUCH and WALK in the program: the first touches, for progress and checks. */
uint64_t td_program_touches(const struct td_program *program);
/* Flips in it, those for ever not counted. */
uint64_t td_program_flips(const struct td_program *program);

#endif
