// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the strategies ask of their surroundings, in the kernel: the two SEAMCALLs
 * and page pairs. An instance with a seam of its own (a test) is answered there.
 */
#define pr_fmt(fmt) "virt/tdx: " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <asm/cacheflush.h>
#include <asm/shared/tdx_errno.h>
#include <asm/tdx.h>
#include <asm/tdx_pamt.h>

#include "../../seamcall_internal.h"
#include "../../tdx.h"
#include "host.h"

/* BUSY is tried again; of a region at boot it may be known that it takes no pair. */
static void tell(struct pamt *p, unsigned long region, const char *leaf, u64 status)
{
	u64 class = status & TDX_SEAMCALL_STATUS_MASK;

	if (status && class != TDX_OPERAND_BUSY && class != TDX_HPA_RANGE_NOT_FREE)
		pr_err_ratelimited("TDH.PHYMEM.PAMT.%s of 0x%llx failed: 0x%llx\n", leaf,
				   pamt_region_hpa(p, region), status);
}

u64 tdh_phymem_pamt_add(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | TDX_PS_2M,
		.rdx = pair->hpa[0],
		.r8 = pair->hpa[1],
	};
	u64 status;

	if (p->seam)
		return p->seam->add(p, region, pair);
	status = seamcall(TDH_PHYMEM_PAMT_ADD, &args);
	tell(p, region, "ADD", status);
	return status;
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
	tell(p, region, "REMOVE", status);
	return status;
}

/* ------------------------------------------------------------- page pairs */

#define PAIR_PAGES ARRAY_SIZE(((struct pamt_pair *)0)->hpa)

/*
 * The module writes the page with its own KeyID: what of it is dirty in a cache with
 * the host's must not be written back later. As for every page that it is given.
 */
static struct page *new_page(int nid)
{
	struct page *page = alloc_pages_node(nid, GFP_KERNEL_ACCOUNT, 0);

	if (page)
		clflush_cache_range(page_address(page), PAGE_SIZE);
	return page;
}

static struct page *take_page(struct tdx_pamt_cache *cache)
{
	struct page *page;

	if (!cache)
		return new_page(NUMA_NO_NODE);
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

/* Until there are @nr pages; from the node @nid. */
static int fill(struct tdx_pamt_cache *cache, unsigned int nr, int nid)
{
	while (cache->nr < nr) {
		struct page *page = new_page(nid);

		if (!page)
			return -ENOMEM;
		give_page(cache, page);
	}
	return 0;
}

int pamt_cache_add_pair(struct tdx_pamt_cache *cache, int nid)
{
	return fill(cache, cache->nr + PAIR_PAGES, nid);
}

/* From the node of who faults, as the memory that KVM is given in most cases. */
int tdx_pamt_cache_fill(struct tdx_pamt_cache *cache, unsigned int nr)
{
	return tdx_pamt_is_on() ? fill(cache, nr * PAIR_PAGES, NUMA_NO_NODE) : 0;
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_cache_fill);

void tdx_pamt_cache_empty(struct tdx_pamt_cache *cache)
{
	while (cache->nr)
		__free_page(take_page(cache));
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_cache_empty);
