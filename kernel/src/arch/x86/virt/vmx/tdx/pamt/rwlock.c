// SPDX-License-Identifier: GPL-2.0-only
/*
 * rwlock: the plan that upstream keeps in its pocket (R. Edgecombe, 30 Sep
 * 2025): PAMT SEAMCALLs run as readers of one rwlock_t, and as its writer after
 * a BUSY. A rwlock excludes nobody of the same region, so per-region exclusion
 * lives in the count word (claim.h); the fast path is the conditional increment
 * of series v6.
 */
#include "claim.h"

static __always_inline int rwlock_get(struct pamt *p, unsigned long region,
				      struct pamt_cache *cache)
{
	atomic_t *word = &p->count[region];
	int v = atomic_read(word);

	while (likely(v >= 0))
		if (likely(atomic_try_cmpxchg_acquire(word, &v, v + 1)))
			return 0;
	if (atomic_add_negative_acquire(1, word)) {
		struct pamt_install in = { .leaf = PAMT_LEAF_ADD, .call = pamt_call_add };

		return claim_get_slow(p, region, 1, cache, &in);
	}
	return 0;
}

static __always_inline void rwlock_put(struct pamt *p, unsigned long region)
{
	atomic_t *word = &p->count[region];
	int v = atomic_read(word);

	while (likely(v > 0))
		if (likely(atomic_try_cmpxchg_release(word, &v, v - 1)))
			return;
	if (atomic_add_negative_release(-1, word))
		claim_put_slow(p, region);
}

static int pamt_rwlock_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return rwlock_get(p, region, cache);
}

static void pamt_rwlock_put(struct pamt *p, unsigned long region)
{
	rwlock_put(p, region);
}

const struct pamt_ops pamt_rwlock_ops = {
	.name = "rwlock",
	.what = "PAMT SEAMCALLs as readers of one rwlock, as its writer after BUSY",
	.dynamic = true,
	.primitive = PAMT_PRIM_CMPXCHG,
	.use_rwlock = true,
	.absent = CLAIM_ABSENT,
	.get = pamt_rwlock_get,
	.put = pamt_rwlock_put,
	.demote = claim_demote,
	.promote = claim_promote,
	.users = claim_users,
};
