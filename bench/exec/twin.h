/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the machine at hand does with cache lines: the figures that `dpamt calibrate`
 * writes into a machine file, and get and put of each strategy on two threads at
 * once, which the simulated machine is held against.
 */
#ifndef DPAMT_TWIN_H
#define DPAMT_TWIN_H

#include "measure/topology.h"
#include "td/machine.h"

/* ps; the least of many rounds, so what disturbs is left out. */
struct twin_lines {
	uint64_t read, write, rmw;	/* on an own line */
	uint64_t memory;		/* load of a line that is in no cache */
	uint64_t clock;
};

/* Two CPUs, in ps. */
struct twin_pair {
	uint64_t transfer;	/* a line's way from one to the other, half of a round trip */
	uint64_t contended;	/* one locked add where both add to one word */
	uint64_t handover;	/* one queued spinlock section where both want the lock */
};

/* On CPU @a alone. 0 or -errno. */
int twin_lines_measure(const struct topology *t, unsigned int a, struct twin_lines *out);
int twin_pair_measure(const struct topology *t, unsigned int a, unsigned int b,
		      struct twin_pair *out);

/* What get and put of a strategy take, in ps per get and put, as sim.h's struct sim_micro. */
struct twin_micro {
	uint64_t call;		/* one CPU, one word, with the two calls */
	uint64_t same, apart;
};

int twin_micro_measure(const struct topology *t, unsigned int a, unsigned int b,
		       const char *strategy, struct twin_micro *out, char *err, size_t err_size);

/* get and put of a strategy in ns, measured and simulated: by what is done. */
enum twin_case { TWIN_ONE_WORD, TWIN_MANY_WORDS, TWIN_SAME_WORD, TWIN_OWN_WORDS, TWIN_CASES };

struct twin_row {
	const char *strategy;
	double measured[TWIN_CASES], simulated[TWIN_CASES];
};

/* Fill the rows, measured on the first two CPUs of @t, simulated on @m. 0 or -errno with @err. */
int twin_rows(struct twin_row *row, size_t nr, const struct topology *t, const struct machine *m,
	      char *err, size_t err_size);

#endif
