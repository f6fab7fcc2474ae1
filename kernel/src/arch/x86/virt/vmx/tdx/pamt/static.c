// SPDX-License-Identifier: GPL-2.0-only
/*
 * static: a control. Dynamic PAMT is off: the module has a PAMT entry for each
 * 4K page of the host from the start, 0.4% of all memory.
 */
#include <linux/errno.h>

#include "transition.h"

static int pamt_static_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return 0;
}

static void pamt_static_put(struct pamt *p, unsigned long region)
{
}

/*
 * DEMOTE and PROMOTE move no pair here, and may be answered BUSY all the same:
 * through the tail, on one CPU from its begin to its end.
 */
static int pamt_static_resize(struct pamt *p, unsigned long region, enum pamt_leaf leaf,
			      pamt_call_t call, void *ctx)
{
	struct pamt_section sec;
	u64 status;

	pamt_section_begin(&sec);
	status = pamt_seamcall(p, region, leaf, call, ctx);
	pamt_section_end(p, &sec);
	return status ? -EIO : 0;
}

static int pamt_static_demote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	return pamt_static_resize(p, region, PAMT_LEAF_DEMOTE, call, ctx);
}

static int pamt_static_promote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	return pamt_static_resize(p, region, PAMT_LEAF_PROMOTE, call, ctx);
}

const struct pamt_ops pamt_static_ops = {
	.name = "static",
	.what = "Dynamic PAMT off, 0.4% of memory paid at boot",
	.control = true,
	.get = pamt_static_get,
	.put = pamt_static_put,
	.demote = pamt_static_demote,
	.promote = pamt_static_promote,
};
