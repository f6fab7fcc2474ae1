// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dynamic PAMT on this host: set up beside the TDX module, then get and put for
 * whoever gives pages to it.
 *
 * The strategy is called through a static call. Boot parameter and Kconfig choose
 * it, and while no TD exists it can be switched: the switch and the first TDR page
 * take one mutex, so that a switch never meets a reference.
 */
#define pr_fmt(fmt) "virt/tdx: " fmt

#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kvm_types.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <asm/processor.h>
#include <asm/tdx.h>
#include <asm/tdx_pamt.h>
#include <trace/events/tdx_pamt.h>

#include "../../tdx.h"
#include "../transition.h"
#include "host.h"

/* Bits of a physical address that the module's tables with Dynamic PAMT can hold. */
#define PAMT_MAX_PHYS_BITS 48
/* What TDH.SYS.CONFIG wants in R8. */
#define PAMT_CONFIG_DYNAMIC BIT_ULL(16)

struct pamt_host pamt_host __read_mostly;
/* See host.h: protects pamt_host against switching. */
DEFINE_MUTEX(pamt_host_mutex);

static bool dynamic __initdata;	/* decided for, from tdx_pamt_setup() on */
static u16 bits_per_page __initdata;
static char wanted[32] __initdata;

static int get_nothing(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return 0;
}

static void put_nothing(struct pamt *p, unsigned long region)
{
}

DEFINE_STATIC_CALL(pamt_host_get, get_nothing);
DEFINE_STATIC_CALL(pamt_host_put, put_nothing);
static DEFINE_STATIC_KEY_FALSE(pamt_host_on);

DEFINE_STATIC_KEY_FALSE(pamt_host_counting);
DEFINE_PER_CPU(struct pamt_host_calls, pamt_host_calls);

/* --------------------------------------------------------- get and put */

bool tdx_pamt_is_on(void)
{
	return static_branch_unlikely(&pamt_host_on);
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_is_on);

int tdx_pamt_get(kvm_pfn_t pfn, struct tdx_pamt_cache *cache)
{
	struct pamt *p;
	int err;

	if (!tdx_pamt_is_on())
		return 0;
	might_sleep_if(!cache);
	p = READ_ONCE(pamt_host.pamt);
	err = static_call(pamt_host_get)(p, pamt_region(p, PFN_PHYS(pfn)),
					 (struct pamt_cache *)cache);
	trace_tdx_pamt_get(pfn, err);
	if (static_branch_unlikely(&pamt_host_counting) && !err)
		this_cpu_inc(pamt_host_calls.get);
	return err;
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_get);

void tdx_pamt_put(kvm_pfn_t pfn)
{
	struct pamt *p;

	if (!tdx_pamt_is_on())
		return;
	p = READ_ONCE(pamt_host.pamt);
	trace_tdx_pamt_put(pfn);
	if (static_branch_unlikely(&pamt_host_counting))
		this_cpu_inc(pamt_host_calls.put);
	static_call(pamt_host_put)(p, pamt_region(p, PFN_PHYS(pfn)));
}
EXPORT_SYMBOL_FOR_KVM(tdx_pamt_put);

struct page *tdx_alloc_control_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);

	if (page && tdx_pamt_get(page_to_pfn(page), NULL)) {
		__free_page(page);
		page = NULL;
	}
	return page;
}
EXPORT_SYMBOL_FOR_KVM(tdx_alloc_control_page);

void tdx_free_control_page(struct page *page)
{
	if (!page)
		return;
	tdx_pamt_put(page_to_pfn(page));
	__free_page(page);
}
EXPORT_SYMBOL_FOR_KVM(tdx_free_control_page);

struct page *tdx_alloc_tdr_page(void)
{
	struct page *page;

	/* From here on no switch begins, and one that began is over. */
	scoped_guard(mutex, &pamt_host_mutex)
		pamt_host.nr_tds++;
	page = tdx_alloc_control_page();
	if (!page) {
		scoped_guard(mutex, &pamt_host_mutex)
			pamt_host.nr_tds--;
	}
	return page;
}
EXPORT_SYMBOL_FOR_KVM(tdx_alloc_tdr_page);

void tdx_free_tdr_page(struct page *page)
{
	if (!page)
		return;
	tdx_free_control_page(page);
	scoped_guard(mutex, &pamt_host_mutex)
		pamt_host.nr_tds--;
}
EXPORT_SYMBOL_FOR_KVM(tdx_free_tdr_page);

/* ------------------------------------------------------ choosing a strategy */

static int __init choose(char *name)
{
	strscpy(wanted, name ?: "", sizeof(wanted));
	return 0;
}
early_param("tdx_pamt", choose);

static const struct pamt_ops __init *chosen(void)
{
	const struct pamt_ops *ops, *fallback = pamt_find_ops(CONFIG_TDX_PAMT_STRATEGY);
	char names[128] = "";
	unsigned int i;

	if (!fallback) {
		fallback = pamt_find_ops("global-fast");
		pr_err("CONFIG_TDX_PAMT_STRATEGY=\"%s\" is unknown; using %s\n",
		       CONFIG_TDX_PAMT_STRATEGY, fallback->name);
	}
	if (!wanted[0])
		return fallback;
	ops = pamt_find_ops(wanted);
	if (ops)
		return ops;
	for (i = 0; (ops = pamt_ops_at(i)); i++) {
		strlcat(names, " ", sizeof(names));
		strlcat(names, ops->name, sizeof(names));
	}
	pr_err("tdx_pamt=%s is unknown, valid:%s; using %s\n", wanted, names, fallback->name);
	return fallback;
}

static void bind_calls(const struct pamt_ops *ops)
{
	static_call_update(pamt_host_get, ops->get);
	static_call_update(pamt_host_put, ops->put);
}

static struct pamt *new_instance(const struct pamt_ops *ops)
{
	const struct pamt_words *w = &pamt_host.words;
	struct pamt *p = kzalloc_obj(*p);

	if (p && pamt_init_sparse(p, ops, w->base, w->count, w->ranges, w->nr_ranges)) {
		kfree(p);
		p = NULL;
	}
	if (p)
		p->seam = pamt_host.seam;
	return p;
}

static void free_instance(struct pamt *p)
{
	pamt_destroy(p);
	kfree(p);
}

bool pamt_host_switchable(const struct pamt_ops *ops)
{
	return ops->users && ops->dynamic;
}

/* All counts zero, and retained pairs given back? */
static int settle(struct pamt *p)
{
	unsigned long i;
	unsigned int r;

	for (r = 0; p->ops->drop && r < p->nr_ranges; r++) {
		for (i = p->ranges[r].first; i < p->ranges[r].end; i++) {
			p->ops->drop(p, i);
			cond_resched();
		}
	}
	if (!pamt_idle(p, &i))
		return 0;
	/* A page that could not be reclaimed keeps its reference: known, and said at the time. */
	pr_warn("no TD, but pages at 0x%llx are still counted: the strategy stays %s\n",
		pamt_region_hpa(p, i), p->ops->name);
	return -EBUSY;
}

int pamt_host_switch(const struct pamt_ops *ops)
{
	struct pamt *old, *new;
	int err;

	guard(mutex)(&pamt_host_mutex);
	old = pamt_host.pamt;
	if (!old)
		return -ENODEV;
	if (!pamt_host_switchable(ops) || !pamt_host_switchable(old->ops))
		return -EINVAL;
	if (pamt_host.nr_tds)
		return -EBUSY;
	err = settle(old);
	if (err)
		return err;
	/* Its words are those of the old one. */
	new = new_instance(ops);
	if (!new)
		return -ENOMEM;
	/* From here on nothing fails. */
	WRITE_ONCE(pamt_host.pamt, new);
	pamt_host.ops = ops;
	bind_calls(ops);
	/*
	 * Without a TD nobody is in a get or a put. One from a caller with a bug at
	 * least does not meet freed memory.
	 */
	synchronize_rcu();
	free_instance(old);
	return 0;
}

static void begin(void)
{
	pamt_host.ops = pamt_host.pamt->ops;
	bind_calls(pamt_host.ops);
	static_branch_enable(&pamt_host_on);
}

#if IS_ENABLED(CONFIG_TDX_PAMT_KUNIT_TEST)
int pamt_host_test_begin(const struct pamt_ops *ops, const struct pamt_seam *seam,
			 unsigned long start, unsigned long end)
{
	int err;

	guard(mutex)(&pamt_host_mutex);
	/* A TD without Dynamic PAMT has pages that were never counted. */
	if (pamt_host.pamt || pamt_host.nr_tds)
		return -EBUSY;
	err = pamt_words_alloc(&pamt_host.words, &start, &end, 1);
	if (err)
		return err;
	pamt_host.seam = seam;
	pamt_host.pamt = new_instance(ops);
	if (!pamt_host.pamt) {
		pamt_words_free(&pamt_host.words);
		pamt_host.seam = NULL;
		return -ENOMEM;
	}
	begin();
	return 0;
}

void pamt_host_test_end(void)
{
	guard(mutex)(&pamt_host_mutex);
	static_branch_disable(&pamt_host_on);
	free_instance(pamt_host.pamt);
	pamt_host.pamt = NULL;
	pamt_host.seam = NULL;
	pamt_host.ops = pamt_find_ops("static");
	pamt_words_free(&pamt_host.words);
}
#endif

/* ---------------------------------------------------------------- set-up */

static unsigned int __init count_blocks(const struct list_head *memlist)
{
	return list_count_nodes((struct list_head *)memlist);
}

static int __init alloc_words(const struct list_head *memlist)
{
	unsigned int nr = count_blocks(memlist), i = 0;
	const struct tdx_memblock *block;
	unsigned long *pfn;
	int err = -ENOMEM;

	pfn = kcalloc(2 * nr, sizeof(*pfn), GFP_KERNEL);
	if (!pfn)
		return err;
	list_for_each_entry(block, memlist, list) {
		pfn[i] = block->start_pfn;
		pfn[nr + i++] = block->end_pfn;
	}
	err = nr ? pamt_words_alloc(&pamt_host.words, pfn, pfn + nr, nr) : -ENOMEM;
	kfree(pfn);
	return err;
}

static const char __init *why_not(const struct tdx_sys_info *sysinfo)
{
	const struct tdx_sys_info_tdmr *tdmr = &sysinfo->tdmr;

	if (!(sysinfo->features.tdx_features0 & TDX_FEATURES0_DYNAMIC_PAMT))
		return "the TDX module does not offer it";
	if (boot_cpu_data.x86_phys_bits > PAMT_MAX_PHYS_BITS)
		return "physical addresses have more than 48 bits";
	if (!tdmr->pamt_page_bitmap_entry_bits)
		return "the TDX module gives no size for its bitmap";
	if (PTRS_PER_PTE * tdmr->pamt_4k_entry_size != sizeof_field(struct pamt_pair, hpa) /
						       sizeof(u64) * PAGE_SIZE)
		return "the TDX module wants other than two pages per 2M";
	return NULL;
}

void __init tdx_pamt_setup(const struct tdx_sys_info *sysinfo, const struct list_head *memlist)
{
	const struct pamt_ops *ops = chosen();
	const char *why = why_not(sysinfo);

	pamt_host.ops = pamt_find_ops("static");
	if (!ops->dynamic) {
		pamt_host.ops = ops;
		pr_info("Dynamic PAMT: off, the strategy is %s%s%s\n", ops->name,
			why ? "; " : "", why ?: "");
		return;
	}
	if (!why && alloc_words(memlist))
		why = "no memory for its counts";
	if (!why) {
		pamt_host.pamt = new_instance(ops);
		if (!pamt_host.pamt) {
			pamt_words_free(&pamt_host.words);
			why = "no memory for its state";
		}
	}
	if (why) {
		pr_info("Dynamic PAMT: off, %s\n", why);
		return;
	}
	bits_per_page = sysinfo->tdmr.pamt_page_bitmap_entry_bits;
	dynamic = true;
}

void __init tdx_pamt_teardown(void)
{
	dynamic = false;
	if (!pamt_host.pamt)
		return;
	free_instance(pamt_host.pamt);
	pamt_host.pamt = NULL;
	pamt_host.ops = pamt_find_ops("static");
	pamt_words_free(&pamt_host.words);
}

unsigned long __init tdx_pamt_4k_bytes(unsigned long nr_pages, u16 entry_size)
{
	unsigned long fixed = nr_pages * entry_size, bytes;

	if (!dynamic)
		return fixed;
	bytes = PAGE_ALIGN(DIV_ROUND_UP(nr_pages * bits_per_page, BITS_PER_BYTE));
	pamt_host.static_bytes += PAGE_ALIGN(fixed);
	pamt_host.bitmap_bytes += bytes;
	return bytes;
}

u64 __init tdx_pamt_config_bits(void)
{
	return dynamic ? PAMT_CONFIG_DYNAMIC : 0;
}

/* ------------------------------------------------- pairs installed at boot */

static void __init uninstall(struct pamt *p, unsigned int nr_ranges, unsigned long end)
{
	struct pamt_pair pair;
	unsigned long i;
	unsigned int r;

	for (r = 0; r < nr_ranges; r++) {
		unsigned long last = r + 1 < nr_ranges ? p->ranges[r].end : end;

		for (i = p->ranges[r].first; i < last; i++)
			if (!tdh_phymem_pamt_remove(p, i, &pair))
				pamt_pair_free(p, NULL, &pair);
	}
	pamt_host.preinstalled = 0;
}

/* Where the memory is that it describes, as static PAMT: 0 or -ENOMEM. */
static int __init alloc_near(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_pamt_cache cache;
	int err;

	tdx_pamt_cache_init(&cache);
	err = pamt_cache_add_pair(&cache, pfn_to_nid(PHYS_PFN(pamt_region_hpa(p, region))));
	if (!err)
		err = pamt_pair_alloc(p, (struct pamt_cache *)&cache, pair);
	if (err)
		tdx_pamt_cache_empty(&cache);
	return err;
}

/* A region in which the module uses no page (PAMT, reserved) refuses its pair. */
static int __init install_one(struct pamt *p, unsigned long region)
{
	struct pamt_pair pair;
	u64 status;

	if (alloc_near(p, region, &pair))
		return -ENOMEM;
	status = tdh_phymem_pamt_add(p, region, &pair);
	if (!status) {
		pamt_host.preinstalled++;
		return 0;
	}
	pamt_pair_free(p, NULL, &pair);
	return (status & TDX_SEAMCALL_STATUS_MASK) == TDX_HPA_RANGE_NOT_FREE ? 0 : -EIO;
}

/* All of @p's pairs, or none and an error. */
static int __init preinstall(struct pamt *p)
{
	unsigned long i;
	unsigned int r;
	int err;

	for (r = 0; r < p->nr_ranges; r++) {
		for (i = p->ranges[r].first; i < p->ranges[r].end; i++) {
			err = install_one(p, i);
			if (err) {
				uninstall(p, r + 1, i);
				return err;
			}
			cond_resched();
		}
	}
	return 0;
}

/*
 * The host is set up for Dynamic PAMT and cannot go back to static: should the pairs not
 * all be there, another strategy takes over. Its instance is made while there is memory.
 */
static struct pamt __init *preinstall_or_other(struct pamt *p)
{
	const struct pamt_ops *ops = pamt_find_ops(CONFIG_TDX_PAMT_STRATEGY);
	struct pamt *other;

	if (!ops || !pamt_host_switchable(ops))
		ops = pamt_find_ops("global-fast");
	other = new_instance(ops);
	if (other && preinstall(p)) {
		pr_err("not all pairs could be installed at boot; using %s instead of %s\n",
		       ops->name, p->ops->name);
		swap(p, other);
	}
	if (other)
		free_instance(other);
	else
		pr_err("no memory for any pair: no TD can be created\n");
	return p;
}

void __init tdx_pamt_start(unsigned long pamt_kb)
{
	struct pamt *p = pamt_host.pamt;

	pamt_host.boot_bytes = (u64)pamt_kb << 10;
	if (!dynamic) {
		pamt_host.static_bytes = pamt_host.boot_bytes;
		return;
	}
	pamt_host.static_bytes += pamt_host.boot_bytes - pamt_host.bitmap_bytes;

	if (p->ops->preinstalled)
		p = preinstall_or_other(p);
	pamt_host.pamt = p;
	begin();
	pr_info("Dynamic PAMT: %s, %llu KB at boot instead of %llu KB, %lu KB of counts for %lu regions\n",
		p->ops->name, pamt_host.boot_bytes >> 10, pamt_host.static_bytes >> 10,
		pamt_host.words.nr_pages << (PAGE_SHIFT - 10), pamt_host.words.nr_regions);
}
