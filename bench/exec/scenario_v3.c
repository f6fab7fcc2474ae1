// SPDX-License-Identifier: GPL-2.0-only
/*
 * v3: how series v1 to v5 counted. A put drops to zero outside the lock and looks
 * again under it; a get that comes in between finds the pair still there
 * (PAMT.ADD answers "not free"), adopts it and sets the count to one. For the
 * explorer alone: two puts with an adopting get between them both see zero under
 * the lock, and the second one's PAMT.REMOVE finds no pair (race R4).
 */
#include "exec/scenario_explore.h"
#include "emu/module/abi.h"

static int v3_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	atomic_t *word = &p->count[region];
	struct pamt_lock *l = &p->locks[0];
	struct pamt_pair pair;
	bool used = false;
	int err;
	u64 status;

	if (atomic_inc_not_zero(word))
		return 0;
	err = pamt_pair_alloc(p, cache, &pair);
	if (err)
		return err;
	pamt_lock(p, l, region);
	if (!atomic_inc_not_zero(word)) {
		status = pamt_seamcall(p, region, PAMT_LEAF_ADD, pamt_call_add, &pair);
		used = !status;
		/* A put has dropped to zero and waits for the lock: the pair is there. */
		if (!status || EMU_ST_CLASS(status) == EMU_HPA_RANGE_NOT_FREE)
			atomic_set(word, 1);
		else
			err = -EIO;
	}
	pamt_unlock(l);
	if (!used)
		pamt_pair_free(p, cache, &pair);
	return err;
}

static void v3_put(struct pamt *p, unsigned long region)
{
	atomic_t *word = &p->count[region];
	struct pamt_lock *l = &p->locks[0];
	struct pamt_pair pair;
	bool removed = false;

	if (!atomic_dec_and_test(word))
		return;
	pamt_lock(p, l, region);
	if (!atomic_read(word)) {
		removed = !pamt_seamcall(p, region, PAMT_LEAF_REMOVE, pamt_call_remove, &pair);
		if (!removed)
			atomic_inc(word);
	}
	pamt_unlock(l);
	if (removed)
		pamt_pair_free(p, NULL, &pair);
}

static unsigned int v3_users(const struct pamt *p, unsigned long region)
{
	return atomic_read(&p->count[region]);
}

const struct pamt_ops scenario_v3_ops = {
	.name = "v3",
	.what = "series v1 to v5: drop outside the lock, adopt what is still there",
	.dynamic = true,
	.has_locks = true,
	.get = v3_get,
	.put = v3_put,
	.users = v3_users,
};
