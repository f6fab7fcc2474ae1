// SPDX-License-Identifier: GPL-2.0-only
/*
 * null: a control, the floor. No count and no lock; the pairs of all regions
 * are installed when the host starts, so memory is as with static PAMT, and a
 * 2M mapping, which wants a region without a pair, is refused by the module.
 */
#include "pamt.h"

static int pamt_null_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return 0;
}

static void pamt_null_put(struct pamt *p, unsigned long region)
{
}

const struct pamt_ops pamt_null_ops = {
	.name = "null",
	.what = "no count, no lock, all pairs installed at start",
	.control = true,
	.dynamic = true,
	.preinstalled = true,
	.get = pamt_null_get,
	.put = pamt_null_put,
};
