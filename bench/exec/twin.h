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

/* ps a loop; the least of all rounds so far, so what disturbs is left out. 0: none yet. */
struct twin_lines {
	uint64_t rmw;			/* locked add on an own line */
	uint64_t cas[2];		/* load and cmpxchg: on one word, on many in turn */
	uint64_t section;		/* locked add, a load, two stores */
	uint64_t lock, wait;		/* a free lock taken at once, or as by one who has to wait */
	uint64_t memory;		/* load of a line that is in no cache */
};

/* Two CPUs, in ps; means over lines. */
struct twin_pair {
	uint64_t transfer;	/* a line's way from one to the other, half of a round trip */
	uint64_t spread;	/* how far lines are off that, evenly to both sides */
	uint64_t contended;	/* one locked add where both add to one word */
	uint64_t handover;	/* one queued spinlock section where both want the lock */
};

/*
 * Whether a load takes over a line that another CPU has modified, in ps: that load, a locked
 * add of the same CPU behind it, and one to a line that both have loaded. Where it does, and
 * the simulated machine assumes so, the second is that of an own line.
 */
struct twin_share {
	uint64_t load, add_behind, add_shared;
};

static inline bool twin_migrates(const struct twin_share *s)
{
	return s->add_behind < s->add_shared / 2;
}

/* On CPUs @a and @b. 0; -ENOMEM; -EAGAIN: no thread can be made, or bound. */
int twin_share_measure(const struct topology *t, unsigned int a, unsigned int b,
		       struct twin_share *out);

/*
 * On CPU @a alone, @rounds times about 1 ms, added to what @out has. 0 or -errno: -ENOMEM, or the
 * CPU cannot be had.
 */
int twin_lines_measure(const struct topology *t, unsigned int a, unsigned int rounds,
		       struct twin_lines *out);
/*
 * On CPUs @a and @b, over @lines lines (at most 256): all of @out but the hand-over, which is the
 * second one's. 0; -ENOMEM; -EAGAIN: they never ran side by side.
 */
int twin_pair_measure(const struct topology *t, unsigned int a, unsigned int b, unsigned int lines,
		      struct twin_pair *out);
int twin_handover_measure(const struct topology *t, unsigned int a, unsigned int b,
			  unsigned int lines, struct twin_pair *out);
/* The [line] constants of a machine of one socket, in ps, by enum line_cost. */
void twin_constants(const struct twin_lines *l, const struct twin_pair *p, uint64_t *ps);

/* get and put of a strategy in ns, measured and simulated: by what is done. */
enum twin_case { TWIN_ONE_WORD, TWIN_MANY_WORDS, TWIN_SAME_WORD, TWIN_OWN_WORDS, TWIN_CASES };

struct twin_row {
	const char *strategy;
	double measured[TWIN_CASES], simulated[TWIN_CASES];	/* means over the passes */
};

/* What @row was measured under: means over the passes, ps. */
struct twin_conditions {
	unsigned int passes;
	uint64_t ps[LINE_NR];
};

/*
 * Fill the rows, measured on the first two CPUs of @t. In each of @passes passes everything is
 * measured once and simulated on @m with the lines as they are in that pass: clocks, caches
 * and neighbours change faster than a file of constants. 0 or -errno with @err.
 */
int twin_rows(struct twin_row *row, size_t nr, unsigned int passes, const struct topology *t,
	      const struct machine *m, struct twin_conditions *c, char *err, size_t err_size);

#endif
