// SPDX-License-Identifier: GPL-2.0-only
/*
 * static: a control. Dynamic PAMT is off: the module has a PAMT entry for each
 * 4K page of the host from the start, 0.4% of all memory.
 */
#include <linux/errno.h>

#include "pamt.h"

static int get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return 0;
}

static void put(struct pamt *p, unsigned long region)
{
}

/* DEMOTE and PROMOTE move no pair here, and may be answered BUSY all the same. */
static int demote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	return pamt_seamcall(p, region, PAMT_LEAF_DEMOTE, call, ctx) ? -EIO : 0;
}

static int promote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	return pamt_seamcall(p, region, PAMT_LEAF_PROMOTE, call, ctx) ? -EIO : 0;
}

const struct pamt_ops pamt_static_ops = {
	.name = "static",
	.what = "Dynamic PAMT off, 0.4% of memory paid at boot",
	.control = true,
	.get = get,
	.put = put,
	.demote = demote,
	.promote = promote,
};
