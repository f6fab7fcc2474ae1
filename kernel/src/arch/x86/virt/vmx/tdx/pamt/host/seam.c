// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the strategies ask of their surroundings, in the kernel: the two SEAMCALLs
 * and page pairs. An instance with a seam of its own (a test) is answered there.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <asm/tdx.h>
#include <asm/tdx_pamt.h>

#include "../../seamcall_internal.h"
#include "../../tdx.h"
#include "host.h"

u64 tdh_phymem_pamt_add(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | TDX_PS_2M,
		.rdx = pair->hpa[0],
		.r8 = pair->hpa[1],
	};

	if (p->seam)
		return p->seam->add(p, region, pair);
	return seamcall(TDH_PHYMEM_PAMT_ADD, &args);
}

u64 tdh_phymem_pamt_remove(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | TDX_PS_2M,
	};
	u64 status;

	if (p->seam)
		return p->seam->remove(p, region, pair);
	status = seamcall_ret(TDH_PHYMEM_PAMT_REMOVE, &args);
	if (!status) {
		pair->hpa[0] = args.rdx;
		pair->hpa[1] = args.r8;
	}
	return status;
}

/* ------------------------------------------------------------- page pairs */

#define PAIR_PAGES ARRAY_SIZE(((struct pamt_pair *)0)->hpa)

static struct page *take_page(struct tdx_pamt_cache *cache)
{
	struct page *page;

	if (!cache)
		return alloc_page(GFP_KERNEL_ACCOUNT);
	page = list_first_entry_or_null(&cache->pages, struct page, lru);
	if (page) {
		list_del(&page->lru);
		cache->nr--;
	}
	return page;
}

static void give_page(struct tdx_pamt_cache *cache, struct page *page)
{
	list_add(&page->lru, &cache->pages);
	cache->nr++;
}

int pamt_pair_alloc(struct pamt *p, struct pamt_cache *opaque, struct pamt_pair *pair)
{
	struct tdx_pamt_cache *cache = (struct tdx_pamt_cache *)opaque;
	struct page *page[PAIR_PAGES];
	unsigned int i;

	if (p->seam && p->seam->alloc)
		return p->seam->alloc(p, opaque, pair);
	for (i = 0; i < PAIR_PAGES; i++) {
		page[i] = take_page(cache);
		if (!page[i])
			break;
		pair->hpa[i] = page_to_phys(page[i]);
	}
	if (i == PAIR_PAGES)
		return 0;
	while (i--) {
		if (cache)
			give_page(cache, page[i]);
		else
			__free_page(page[i]);
	}
	return -ENOMEM;
}

void pamt_pair_free(struct pamt *p, struct pamt_cache *opaque, struct pamt_pair *pair)
{
	struct tdx_pamt_cache *cache = (struct tdx_pamt_cache *)opaque;
	unsigned int i;

	if (p->seam && p->seam->free) {
		p->seam->free(p, opaque, pair);
		return;
	}
	for (i = 0; i < PAIR_PAGES; i++) {
		struct page *page = phys_to_page(pair->hpa[i]);

		if (cache) {
			give_page(cache, page);
			continue;
		}
		/* The module may have written it with its own KeyID. */
		tdx_quirk_reset_paddr(pair->hpa[i], PAGE_SIZE);
		__free_page(page);
	}
}

int tdx_pamt_cache_fill(struct tdx_pamt_cache *cache, unsigned int nr)
{
	if (!tdx_pamt_is_on())
		return 0;
	while (cache->nr < nr * PAIR_PAGES) {
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);

		if (!page)
			return -ENOMEM;
		give_page(cache, page);
	}
	return 0;
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_cache_fill);

void tdx_pamt_cache_empty(struct tdx_pamt_cache *cache)
{
	while (cache->nr)
		__free_page(take_page(cache));
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_cache_empty);
