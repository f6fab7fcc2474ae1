// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost loops around one strategy's own file, which is included so that its
 * fast path is inlined as a caller in the kernel would have it through
 * static_call with no call's stack traffic on top. Compiled per strategy.
 */
#include COST_FILE

#include "exec/cost.h"

/* Everything that is not noinline goes into the loop. */
#define flatten __attribute__((__flatten__))

#define COST_PASTE(a, b) a##b
#define COST_NAME(a) COST_PASTE(a, _loops)

static flatten void one(struct pamt *p, struct pamt_cache *cache, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		COST_GET(p, 0, cache);
		COST_PUT(p, 0);
		barrier();
	}
}

static flatten void many(struct pamt *p, struct pamt_cache *cache, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		COST_GET(p, i % COST_WORDS, cache);
		COST_PUT(p, i % COST_WORDS);
		barrier();
	}
}

static flatten void gets(struct pamt *p, struct pamt_cache *cache, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		COST_GET(p, i % COST_WORDS, cache);
		barrier();
	}
}

static flatten void puts_(struct pamt *p, struct pamt_cache *cache, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		COST_PUT(p, i % COST_WORDS);
		barrier();
	}
}

extern const struct cost_loops COST_NAME(COST_SYMBOL);
const struct cost_loops COST_NAME(COST_SYMBOL) = {
	.one = one,
	.many = many,
	.gets = gets,
	.puts = puts_,
};
