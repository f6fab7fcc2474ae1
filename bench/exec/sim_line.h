/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cache lines of a simulated machine: who holds one, and when the next one can
 * have it. Times are picoseconds of virtual time.
 *
 * A line is with nobody, with one CPU that may write it (owner), or with several
 * that may read it (a set). A load that finds it modified elsewhere becomes its owner, so
 * that the store or locked instruction behind it is free; one that finds it
 * clean shares it: migratory sharing, as seen on Emerald Rapids (METHODOLOGY.md, 3a).
 *
 * A transfer occupies the line: who asks meanwhile starts when it is over, so
 * contenders queue. It takes its mean give or take LINE_spread: where a line and two
 * cores lie to each other. Who had the line goes on using it for a while after it was
 * asked for (twice LINE_keep at most), as a core does until the request has reached it;
 * without that a contended locked add would look twice as dear as it is. Both are drawn,
 * evenly, for every transfer: CPUs with fixed times would fall into step for ever, and
 * what they pay would hang on the last ps of a constant.
 *
 * A store that finds the line elsewhere is made (@visible) when the line is there.
 *
 * One owner of all state, no locks: one thread simulates one machine.
 */
#ifndef DPAMT_SIM_LINE_H
#define DPAMT_SIM_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "td/machine.h"

#define SIM_NOBODY 0xffffu

enum sim_kind { SIM_READ, SIM_WRITE, SIM_RMW };

struct sim_line {
	uint64_t free_at;	/* the transfer under way is over */
	uint32_t keep;		/* ps before free_at until which prev may use it */
	uint16_t owner;		/* CPU plus one; 0: nobody */
	uint16_t prev : 14;	/* the same */
	uint16_t met : 1;	/* by more than one CPU */
	uint16_t dirty : 1;	/* its owner has written it */
	uint32_t set;		/* of readers; 0: none */
} __attribute__((packed, aligned(4)));

/* One for each 64 bytes that are used: the larger part of what a simulation needs besides the host's memory. */
_Static_assert(sizeof(struct sim_line) == 20, "no holes");

/* Where a simulated CPU sits. */
struct sim_place {
	uint16_t socket, core;	/* core: over the whole machine */
};

struct sim_lines {
	uint64_t ps[LINE_NR];
	unsigned int nr_cpus, words;	/* words: of a set */
	const struct sim_place *place;
	uint64_t *socket_cpus;		/* a set for each socket */
	uint16_t *sibling;		/* of each CPU the next on its core, in a ring */
	uint64_t *sets;			/* sets[set * words], the first one is not used */
	uint32_t nr_sets, max_sets, free_set;
	uint64_t rng, spread;		/* spread: in 1024ths of a transfer's mean */
};

/* What an access did, for whoever sums it up. */
struct sim_access {
	uint64_t done;		/* when the CPU goes on */
	uint64_t visible;	/* when others can see it */
	uint64_t queued;	/* of it, waiting for somebody else's transfer */
	bool moved;		/* the line had to come from somewhere */
};

/* 0, -ENOMEM. What is drawn follows from @seed. */
int sim_lines_init(struct sim_lines *s, const struct machine *m, const struct sim_place *place,
		   unsigned int nr_cpus, uint64_t seed);
void sim_lines_free(struct sim_lines *s);

/* An access by @cpu at time @now; @line is as it was left, or zero if nobody has touched it. */
void sim_line_access(struct sim_lines *s, struct sim_line *line, unsigned int cpu,
		     enum sim_kind kind, uint64_t now, struct sim_access *a);

/* The CPU that owns @line, or SIM_NOBODY. Zeroed lines are nobody's. */
static inline unsigned int sim_owner(const struct sim_line *line)
{
	return line->owner ? line->owner - 1u : SIM_NOBODY;
}

#endif
