// SPDX-License-Identifier: GPL-2.0-only
/*
 * retain: lockless, but the pair of a region that nobody uses any more stays where it is
 * until somebody wants it gone (pamt_ops.drop): the simplest strategy that retains, with no
 * budget. For the explorer alone: it is what the scenarios of retained pairs (race R12) and
 * the generic code around drop() are tested with.
 *
 * The word is that of claim.h; CLAIM_IDLE, where lockless removes at once, is at rest here.
 */
#include "exec/scenario_explore.h"
#include "pamt/claim.h"

static int retain_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	struct pamt_install in = { .leaf = PAMT_LEAF_ADD, .call = pamt_call_add };

	if (!atomic_add_negative_acquire(1, &p->count[region]))
		return 0;
	return claim_get_slow(p, region, 1, cache, &in);
}

static void retain_put(struct pamt *p, unsigned long region)
{
	int v = atomic_sub_return_release(1, &p->count[region]);

	if (v < CLAIM_IDLE)
		claim_mend_underflow(&p->count[region], v);
}

/* Who finds it idle removes the pair, unless a get was faster. */
static int retain_drop(struct pamt *p, unsigned long region)
{
	atomic_t *word = &p->count[region];
	int v = atomic_read(word);

	if (v == CLAIM_IDLE) {
		claim_put_slow(p, region);
		v = atomic_read(word);
	}
	return v == CLAIM_ABSENT ? 0 : -EBUSY;
}

const struct pamt_ops scenario_retain_ops = {
	.name = "retain",
	.what = "lockless, but a pair stays until it is wanted gone",
	.dynamic = true,
	.absent = CLAIM_ABSENT,
	.get = retain_get,
	.put = retain_put,
	.demote = claim_demote,
	.promote = claim_promote,
	.drop = retain_drop,
	.users = claim_users,
};
