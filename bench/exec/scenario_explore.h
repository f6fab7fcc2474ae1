/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the parts of the explorer's scenarios: the table of programs
 * (scenario_programs.c), what they run on and what must hold (scenario_explore.c),
 * and the strategies that are the explorer's alone (scenario_v3.c, scenario_retain.c).
 */
#ifndef DPAMT_SCENARIO_EXPLORE_H
#define DPAMT_SCENARIO_EXPLORE_H

#include "exec/explore.h"
#include "exec/world.h"
#include "pamt/transition.h"

enum program_op {
	OP_END,
	OP_GET,		/* region */
	OP_PUT,
	OP_DEMOTE,	/* the references are this CPU's, one per page */
	OP_AWAIT,	/* until a demotion has installed its pair */
	OP_PROMOTE,	/* given up if it answers -EBUSY */
	OP_MAP_2M,	/* given up likewise */
	OP_UNMAP_2M,
	OP_AUDIT,	/* PAGE.RDMD of the region's entry, as the kernel's audit does */
	OP_DROP,	/* a pair that is retained is wanted back */
	OP_SWITCH,	/* all others have come to this point: CPU 0 lets another strategy take over */
	/* SEAMCALLs alone, for the module's own locks: */
	OP_ADD,		/* region, pages of this CPU */
	OP_REMOVE,
	OP_READ,	/* PAGE.RDMD of the region's first page */
};

struct program_step {
	u8 op, region;
};

#define PROGRAM_REGIONS 3
#define PROGRAM_STEPS 8

/* Where a CPU's page pairs lie. */
enum program_pages {
	PAGES_OWN_POOL,		/* in a region of the CPU's own that is nobody's target */
	PAGES_ONE_POOL,		/* all CPUs' in one such region */
	PAGES_CROSS,		/* CPU 0's in region B, all others' in region A */
	PAGES_INSIDE,		/* CPU 0's in region A, CPU 1's in B: where they are used */
};

struct program {
	const char *name, *what;
	unsigned int cpus;
	enum program_pages pages;
	struct program_step step[EXPLORE_CPUS][PROGRAM_STEPS];
	u8 held[EXPLORE_CPUS][PROGRAM_REGIONS];	/* references from the start */
	u8 busy, no_pages, bad_add, bad_remove;	/* so many are injected, at any call */
	bool module;		/* the module alone: the strategy does nothing */
	bool resizes;		/* DEMOTE or PROMOTE: strategies that have them */
	bool retains;		/* pairs without a user: strategies that retain some */
};

extern const struct program programs[];
extern const unsigned int nr_programs;
extern const struct pamt_ops scenario_v3_ops, scenario_retain_ops;

/* For struct flavour. */
const char *scenario_explore_name(unsigned int i, const char **what);
int scenario_explore_applies(unsigned int i, const char *strategy);
int scenario_explore_open(unsigned int i, const char *strategy, struct explore_program *p,
			  char *err, size_t err_size);
void scenario_explore_close(void);

#endif
