/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cost of an uncontended get and put, against floors taken in the same loop
 * of the same process: an empty loop, a clock read, a pair of locked adds, a pair
 * of cmpxchgs, two spinlock sections. Two shapes: one word, and 1024 words in
 * turn (the counts of 2 GiB).
 */
#ifndef DPAMT_COST_H
#define DPAMT_COST_H

#include <jansson.h>

#include "exec/world.h"

#define COST_WORDS 1024

/* The loops of one strategy, its fast path inlined (cost_loop.c). */
struct cost_loops {
	void (*one)(struct pamt *p, struct pamt_cache *cache, unsigned long n);
	void (*many)(struct pamt *p, struct pamt_cache *cache, unsigned long n);
	/* One get, one put, of each of the COST_WORDS words. */
	void (*gets)(struct pamt *p, struct pamt_cache *cache, unsigned long n);
	void (*puts)(struct pamt *p, struct pamt_cache *cache, unsigned long n);
};

/*
 * Measure the floors and @nr strategies, interleaved in rounds, on the calling
 * thread, bound to its CPU by the caller. @mem is address space of @nr x COST_ARENA bytes.
 * Returns an array of samples ("control", then one "cost" per strategy) for
 * @block, NULL with @err set when a world could not be made or its audit failed.
 */
#define COST_ARENA (4UL << 30)
json_t *cost_measure(const struct pamt_ops *const *ops, unsigned int nr, char *mem, int block,
		     char *err, size_t err_size);

#endif
