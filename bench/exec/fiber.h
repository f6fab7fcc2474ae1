/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fibers under a random scheduler: CPUs that one thread runs in turn. Code of
 * the yielding flavour calls the executor before each shared access
 * (shim_exec.h); the scheduler may go on with any other runnable fiber there.
 * Memory is sequentially consistent: one fiber runs at a time and its accesses
 * take effect at once.
 */
#ifndef DPAMT_FIBER_H
#define DPAMT_FIBER_H

#include <stddef.h>
#include <stdint.h>

#define FIBER_MAX 64
#define FIBER_STACK (256u << 10)

enum fiber_end {
	FIBER_ALL_DONE,
	FIBER_DEADLOCK,		/* nobody can run */
	FIBER_LIVELOCK,		/* the bound on steps was reached */
};

/* What to run: @nr bodies. @switched is told which fiber runs from now on. */
struct fiber_run {
	unsigned int nr;
	void (*body)(void *arg, unsigned int fiber);
	void *arg;
	void (*switched)(unsigned int fiber);
	uint64_t max_steps;	/* scheduling points before it is called a livelock */
	uint64_t seed;
	/* Of 256 scheduling points, so many let another fiber in. */
	unsigned int switch_rate;
};

struct fiber_stats {
	uint64_t steps, switches;
	unsigned int blocked;	/* fibers that waited at the end (deadlock) */
	const volatile void *blocked_on; /* and the address that the first of them waited for */
};

/*
 * Run all bodies to their end under a schedule drawn from the seed: the same
 * seed, the same schedule. After a deadlock or livelock the fibers are dropped
 * where they stand. -ENOMEM when there are no stacks.
 */
int fiber_run(const struct fiber_run *r, struct fiber_stats *stats);

#endif
