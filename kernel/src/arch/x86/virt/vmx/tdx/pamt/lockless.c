// SPDX-License-Identifier: GPL-2.0-only
/*
 * lockless: the region's state lives in its count word (claim.h). A get or put
 * is one locked add; a transition claims the word by cmpxchg, runs the SEAMCALL
 * with no lock held, and publishes by one add. CPUs meet only if they work on
 * the same region.
 */
#include "claim.h"

static __always_inline int lockless_get(struct pamt *p, unsigned long region,
					struct pamt_cache *cache)
{
	if (unlikely(atomic_add_negative_acquire(1, &p->count[region]))) {
		struct pamt_install in = { .leaf = PAMT_LEAF_ADD, .call = pamt_call_add };

		return claim_get_slow(p, region, 1, cache, &in);
	}
	return 0;
}

static __always_inline void lockless_put(struct pamt *p, unsigned long region)
{
	if (unlikely(atomic_add_negative_release(-1, &p->count[region])))
		claim_put_slow(p, region);
}

static int pamt_lockless_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return lockless_get(p, region, cache);
}

static void pamt_lockless_put(struct pamt *p, unsigned long region)
{
	lockless_put(p, region);
}

const struct pamt_ops pamt_lockless_ops = {
	.name = "lockless",
	.what = "state in the count word: one locked add, SEAMCALL with no lock held",
	.dynamic = true,
	.primitive = PAMT_PRIM_ADD,
	.absent = CLAIM_ABSENT,
	.get = pamt_lockless_get,
	.put = pamt_lockless_put,
	.demote = claim_demote,
	.promote = claim_promote,
	.users = claim_users,
};
