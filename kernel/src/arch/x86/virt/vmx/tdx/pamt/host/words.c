// SPDX-License-Identifier: GPL-2.0-only
/*
 * The count words of a host: four bytes per 2M region, in one address range from
 * the first to the last region with memory, in which only the pages that hold
 * words of memory are mapped. Memory for the words is thus bounded by the memory
 * that there is (2 MiB per TiB), not by where it lies.
 */
#include <linux/align.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "host.h"

#define PFN_TO_REGION(pfn) ((pfn) >> (PMD_SHIFT - PAGE_SHIFT))

/* The regions that have memory, relative to region 0; neighbours are joined. */
static int find_ranges(struct pamt_words *w, const unsigned long *start, const unsigned long *end,
		       unsigned int nr)
{
	unsigned long origin = PFN_TO_REGION(start[0]);
	unsigned int i;

	w->ranges = kcalloc(nr, sizeof(*w->ranges), GFP_KERNEL);
	if (!w->ranges)
		return -ENOMEM;
	w->base = (u64)origin << PMD_SHIFT;
	for (i = 0; i < nr; i++) {
		unsigned long first = PFN_TO_REGION(start[i]) - origin;
		unsigned long last = PFN_TO_REGION(end[i] - 1) - origin;
		struct pamt_range *r = w->nr_ranges ? &w->ranges[w->nr_ranges - 1] : NULL;

		if (r && first <= r->end) {
			r->end = last + 1;
			continue;
		}
		w->ranges[w->nr_ranges++] = (struct pamt_range){ first, last + 1 };
	}
	for (i = 0; i < w->nr_ranges; i++)
		w->nr_regions += w->ranges[i].end - w->ranges[i].first;
	return 0;
}

static unsigned long page_of_word(const struct pamt_words *w, unsigned long region)
{
	return ALIGN_DOWN((unsigned long)&w->count[region], PAGE_SIZE);
}

static int map_page(struct pamt_words *w, unsigned long addr)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	int err;

	if (!page)
		return -ENOMEM;
	err = vm_area_map_pages(w->area, addr, addr + PAGE_SIZE, &page);
	if (err)
		__free_page(page);
	else
		w->nr_pages++;
	return err;
}

/* Two ranges may share a page of words: @next is where the first unmapped page may lie. */
static int map_range(struct pamt_words *w, const struct pamt_range *r, unsigned long *next)
{
	unsigned long addr = max(page_of_word(w, r->first), *next);
	int err = 0;

	for (; !err && addr <= page_of_word(w, r->end - 1); addr += PAGE_SIZE) {
		err = map_page(w, addr);
		if (!err)
			*next = addr + PAGE_SIZE;
		cond_resched();
	}
	return err;
}

int pamt_words_alloc(struct pamt_words *w, const unsigned long *start, const unsigned long *end,
		     unsigned int nr)
{
	unsigned long next = 0;
	unsigned int i;
	int err;

	memset(w, 0, sizeof(*w));
	err = find_ranges(w, start, end, nr);
	if (err)
		return err;
	w->area = get_vm_area(PAGE_ALIGN(w->ranges[w->nr_ranges - 1].end * sizeof(*w->count)),
			      VM_SPARSE);
	if (!w->area)
		err = -ENOMEM;
	else
		w->count = w->area->addr;
	for (i = 0; !err && i < w->nr_ranges; i++)
		err = map_range(w, &w->ranges[i], &next);
	if (err)
		pamt_words_free(w);
	return err;
}

static void unmap_range(struct pamt_words *w, const struct pamt_range *r, unsigned long *next)
{
	unsigned long addr = max(page_of_word(w, r->first), *next);

	for (; addr <= page_of_word(w, r->end - 1); addr += PAGE_SIZE) {
		struct page *page = vmalloc_to_page((void *)addr);

		*next = addr + PAGE_SIZE;
		if (!page)
			continue;
		vm_area_unmap_pages(w->area, addr, addr + PAGE_SIZE);
		__free_page(page);
	}
}

void pamt_words_free(struct pamt_words *w)
{
	unsigned long next = 0;
	unsigned int i;

	if (w->area) {
		for (i = 0; i < w->nr_ranges; i++)
			unmap_range(w, &w->ranges[i], &next);
		free_vm_area(w->area);
	}
	kfree(w->ranges);
	memset(w, 0, sizeof(*w));
}

bool pamt_words_have(const struct pamt_words *w, unsigned long region)
{
	unsigned int i;

	for (i = 0; i < w->nr_ranges; i++)
		if (region >= w->ranges[i].first && region < w->ranges[i].end)
			return true;
	return false;
}
