/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The executor `sim`: strategy and module sources on the CPUs of a simulated
 * machine. Where the model executor spins, this one adds: the time of SEAMCALLs and
 * of KVM comes from the machine file, that of every access to shared memory from
 * the state of its cache line (sim_line.h). Integers only; one seed, one result.
 *
 * A SEAMCALL takes what the machine file says, and on top of that the time that its
 * accesses queued behind other CPUs' transfers: the figure in the file was
 * measured with its lines coming from somewhere already.
 *
 * Block mode: of each 2M of guest memory that one vCPU streams through, two pages
 * are simulated access by access and the others are charged: their constants one by
 * one, and for their accesses the mean of pages that were simulated in full (of the
 * first block, and of every 128th). Code and state are the same: a charged page runs through
 * the same functions, with the costs of its accesses left out; and whoever takes
 * a slow path in get or put, or has to wait, is simulated from there on. Not where each get
 * and put takes a lock (`global`), where waiting is no exception: there the mean includes
 * it, and what a charged page has waited is taken off.
 */
#ifndef DPAMT_SIM_H
#define DPAMT_SIM_H

#include "exec/sim_core.h"
#include "exec/threads.h"

struct sim_options {
	bool block;
};

/* What one CPU, or several at once, pay for get and put; all in ps per get and put. */
struct sim_micro {
	uint64_t alone;			/* one CPU, one word */
	uint64_t alone_many;		/* one CPU, 1024 words in turn */
	uint64_t same, apart;		/* two CPUs, same word; each a word of its own line */
};

struct sim_flavour {
	/* As model_run(); of @c->ops only the name counts, topology and mem are not used. */
	void (*run)(const struct model_config *c, const struct sim_options *o, struct cell *cell,
		    struct sim_figures *f);
	/* sim_micro() */
	int (*micro)(const struct machine *m, const char *strategy, struct sim_micro *out,
		     char *err, size_t err_size);
};

/* 0, or -errno with @err. */
int sim_micro(const struct machine *m, const char *strategy, struct sim_micro *out, char *err,
	      size_t err_size);

extern const struct sim_flavour sim_flavour;

/*
 * Which hardware thread each vCPU gets: TDs take turns over the sockets, cores
 * before their second threads, and a full machine begins again. Fills @cpu_of (one per
 * vCPU) and @place (one per CPU used, room for all); returns the number of CPUs used.
 */
unsigned int sim_place_vcpus(const struct machine *m, const struct workload *w,
			     uint16_t *cpu_of, struct sim_place *place);

/* Is it known before it runs that @w lasts beyond SIM_END: by starts and idle phases alone? */
bool sim_too_long(const struct workload *w);

#endif
