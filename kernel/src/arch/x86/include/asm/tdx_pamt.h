/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic PAMT, for those who give pages to the TDX module: each 4K page needs a
 * reference on the PAMT page pair of its 2M region for as long as the module has
 * it. All of it is free of effect where Dynamic PAMT is off.
 */
#ifndef _ASM_X86_TDX_PAMT_H
#define _ASM_X86_TDX_PAMT_H

#include <linux/kvm_types.h>
#include <linux/list.h>
#include <linux/mm_types.h>

/* Pages for page pairs, filled where sleeping is allowed. No lock: one user at a time. */
struct tdx_pamt_cache {
	struct list_head pages;		/* struct page, by lru */
	unsigned int nr;
};

static inline void tdx_pamt_cache_init(struct tdx_pamt_cache *cache)
{
	INIT_LIST_HEAD(&cache->pages);
	cache->nr = 0;
}

struct attribute_group;

#ifdef CONFIG_TDX_DYNAMIC_PAMT

/*
 * Is Dynamic PAMT on? Constant from the end of the TDX module's initialisation.
 */
bool tdx_pamt_is_on(void);

/*
 * Fill @cache with pages for @nr references that may each be the first of their
 * region. Sleeps. 0 or -ENOMEM; what was got stays in the cache.
 */
int tdx_pamt_cache_fill(struct tdx_pamt_cache *cache, unsigned int nr);
void tdx_pamt_cache_empty(struct tdx_pamt_cache *cache);

/*
 * Take a reference for the page @pfn, before it is given to the TDX module. Pages
 * come from @cache, and with NULL from the page allocator, which may sleep; with a
 * cache, callable under spinlocks. 0, -ENOMEM (nothing left in @cache), or -EIO
 * (the module refused, after a warning); nothing has changed then.
 */
int tdx_pamt_get(kvm_pfn_t pfn, struct tdx_pamt_cache *cache);

/*
 * Drop the reference for @pfn, after the module has given the page back. Cannot
 * fail; task or softirq. A page that could not be taken back keeps its reference.
 */
void tdx_pamt_put(kvm_pfn_t pfn);

/*
 * A page with its reference, for a control structure of a TD or vCPU; sleeps.
 * NULL: no memory, or the module refused the pair, which the log says. Free with
 * tdx_free_control_page() once the module has given it back, or if it never got
 * it; NULL is allowed.
 */
struct page *tdx_alloc_control_page(void);
void tdx_free_control_page(struct page *page);

/*
 * The same for the root page of a TD: from the first until the last one is freed
 * the strategy cannot be switched.
 */
struct page *tdx_alloc_tdr_page(void);
void tdx_free_tdr_page(struct page *page);

/* What sysfs shows of it, for the tdx_host device. */
extern const struct attribute_group tdx_pamt_group;

#else

#include <linux/gfp.h>

static inline bool tdx_pamt_is_on(void)
{
	return false;
}

static inline int tdx_pamt_cache_fill(struct tdx_pamt_cache *cache, unsigned int nr)
{
	return 0;
}

static inline void tdx_pamt_cache_empty(struct tdx_pamt_cache *cache)
{
}

static inline int tdx_pamt_get(kvm_pfn_t pfn, struct tdx_pamt_cache *cache)
{
	return 0;
}

static inline void tdx_pamt_put(kvm_pfn_t pfn)
{
}

static inline struct page *tdx_alloc_control_page(void)
{
	return alloc_page(GFP_KERNEL_ACCOUNT);
}

static inline void tdx_free_control_page(struct page *page)
{
	if (page)
		__free_page(page);
}

#define tdx_alloc_tdr_page tdx_alloc_control_page
#define tdx_free_tdr_page tdx_free_control_page

#endif
#endif
