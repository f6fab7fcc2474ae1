// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of Dynamic PAMT as KVM uses it: control pages, caches, switching of
 * the strategy while TDs come and go. Where Dynamic PAMT is on (a TDX host, real
 * or emulated) they run on it; elsewhere the software TDX module is made to know
 * this machine's memory.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <asm/tdx.h>
#include <asm/tdx_pamt.h>

#include "../../seamcall_internal.h"
#include "../../tdx.h"
#include "../../emu/module/abi.h"
#include "../../emu/module/leaves.h"
#include "../../emu/module/module.h"
#include "host.h"

/* The software module over the machine's own memory. NULL: the host's module answers. */
static struct emu_module *module;
static void *areas;
static size_t areas_bytes;

static u64 answer(u64 leaf, struct tdx_module_args *args)
{
	if (module)
		return emu_seamcall(module, leaf, args);
	return seamcall_ret(leaf, args);
}

static u64 soft_add(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M,
		.rdx = pair->hpa[0],
		.r8 = pair->hpa[1],
	};

	return answer(EMU_TDH_PHYMEM_PAMT_ADD, &args);
}

static u64 soft_remove(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M,
	};
	u64 status = answer(EMU_TDH_PHYMEM_PAMT_REMOVE, &args);

	if (!status) {
		pair->hpa[0] = args.rdx;
		pair->hpa[1] = args.r8;
	}
	return status;
}

/* Pages come from the allocator and the caches as without a seam. */
static const struct pamt_seam soft_seam = { .add = soft_add, .remove = soft_remove };

static bool has_pair(u64 pa)
{
	struct tdx_module_args args = { .rcx = ALIGN_DOWN(pa, PMD_SIZE) | EMU_LEVEL_2M };

	return !answer(EMU_TDH_PHYMEM_PAGE_RDMD, &args) && (args.rcx & 0xff) == EMU_PT_PAMT;
}

static int module_start(void)
{
	u64 size = ALIGN((u64)max_pfn << PAGE_SHIFT, SZ_1G);
	size_t of_1g = PAGE_ALIGN(size / SZ_1G * 16), of_2m = PAGE_ALIGN(size / SZ_2M * 16);
	size_t of_4k = PAGE_ALIGN(size / PAGE_SIZE / 8);
	struct tdx_module_args args;
	struct emu_tdmr *t;
	u64 status;

	areas_bytes = of_1g + of_2m + of_4k;
	areas = alloc_pages_exact(areas_bytes, GFP_KERNEL | __GFP_ZERO);
	module = kvzalloc_obj(*module);
	t = kvzalloc_obj(*t);
	if (!areas || !module || !t) {
		kvfree(t);
		return -ENOMEM;
	}
	t->size = size;
	t->pamt_1g_base = __pa(areas);
	t->pamt_1g_size = of_1g;
	t->pamt_2m_base = t->pamt_1g_base + of_1g;
	t->pamt_2m_size = of_2m;
	t->pamt_4k_base = t->pamt_2m_base + of_2m;
	t->pamt_4k_size = of_4k;
	t->nr_reserved = 1;
	t->reserved[0] = (struct emu_reserved){ __pa(areas), areas_bytes };
	module->mem = (void *)PAGE_OFFSET;
	module->max_pa = 1ULL << 46;
	module->hkid_shift = 46;
	module->first_hkid = 32;
	module->nr_hkids = 32;
	status = emu_module_config(module, t, 1, true);
	do {
		args = (struct tdx_module_args){};
		status = status ?: emu_seamcall(module, EMU_TDH_SYS_TDMR_INIT, &args);
	} while (!status && args.rdx < size);
	kvfree(t);
	return status ? -EIO : 0;
}

static void module_stop(void)
{
	kvfree(module);
	module = NULL;
	if (areas)
		free_pages_exact(areas, areas_bytes);
	areas = NULL;
}

static int host_suite_init(struct kunit_suite *suite)
{
	int err;

	if (tdx_pamt_is_on())
		return 0;
	err = module_start();
	if (!err)
		err = pamt_host_test_begin(pamt_find_ops(CONFIG_TDX_PAMT_STRATEGY), &soft_seam,
					   PHYS_PFN(SZ_1M), max_pfn);
	if (err)
		module_stop();
	return err;
}

static void host_suite_exit(struct kunit_suite *suite)
{
	if (!module)
		return;
	pamt_host_test_end();
	module_stop();
}

static u64 pairs(void)
{
	guard(mutex)(&pamt_host_mutex);
	return pamt_host_pairs();
}

static const struct pamt_ops *active(void)
{
	guard(mutex)(&pamt_host_mutex);
	return pamt_host.ops;
}

/* ---------------------------------------------------------------- tests */

static void host_control_page(struct kunit *test)
{
	u64 before = pairs();
	struct page *page = tdx_alloc_control_page();

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, has_pair(page_to_phys(page)));
	KUNIT_EXPECT_GE(test, pairs(), 1);
	tdx_free_control_page(page);
	tdx_free_control_page(NULL);
	KUNIT_EXPECT_EQ(test, pairs(), before);
}

/* A full cache serves a get in atomic context; pages that were not needed stay in it. */
static void check_cache(struct kunit *test, struct page *page)
{
	static DEFINE_SPINLOCK(lock);
	struct tdx_pamt_cache cache;
	u64 before = pairs();
	int err;

	tdx_pamt_cache_init(&cache);
	KUNIT_EXPECT_EQ(test, tdx_pamt_cache_fill(&cache, 2), 0);
	KUNIT_EXPECT_EQ(test, cache.nr, 4);
	spin_lock(&lock);
	err = tdx_pamt_get(page_to_pfn(page), &cache);
	spin_unlock(&lock);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, cache.nr, 4 - 2 * (pairs() - before));
	/* One that takes a pair for every get brings it back. */
	KUNIT_EXPECT_EQ(test, tdx_pamt_get(page_to_pfn(page), &cache), 0);
	KUNIT_EXPECT_EQ(test, cache.nr, 4 - 2 * (pairs() - before));
	tdx_pamt_put(page_to_pfn(page));
	tdx_pamt_put(page_to_pfn(page));
	KUNIT_EXPECT_EQ(test, pairs(), before);
	/* Nothing in the cache, nothing in the region: no memory, nothing changed. */
	tdx_pamt_cache_empty(&cache);
	KUNIT_EXPECT_EQ(test, cache.nr, 0);
	if (!has_pair(page_to_phys(page))) {
		KUNIT_EXPECT_EQ(test, tdx_pamt_get(page_to_pfn(page), &cache), -ENOMEM);
		KUNIT_EXPECT_EQ(test, pairs(), before);
	}
}

static void host_cache(struct kunit *test)
{
	const struct pamt_ops *first = active(), *ops;
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	check_cache(test, page);
	for (i = 0; pamt_host_switchable(first) && (ops = pamt_ops_at(i)); i++)
		if (pamt_host_switchable(ops) && !pamt_host_switch(ops))
			check_cache(test, page);
	if (pamt_host_switchable(first))
		KUNIT_EXPECT_EQ(test, pamt_host_switch(first), 0);
	__free_page(page);
}

/* Every get and put while counting is on, and none before; where the pages lie. */
static void host_count(struct kunit *test)
{
	struct page *pages = alloc_pages(GFP_KERNEL, 1);
	unsigned long pfn = page_to_pfn(pages);
	struct pamt_placement before, at;
	struct pamt_host_calls calls;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	scoped_guard(mutex, &pamt_host_mutex)
		err = pamt_host_placement(&before);
	if (err == -EOPNOTSUPP) {
		__free_pages(pages, 1);
		kunit_skip(test, "%s does not count", active()->name);
	}
	KUNIT_EXPECT_EQ(test, tdx_pamt_get(pfn, NULL), 0);
	scoped_guard(mutex, &pamt_host_mutex) {
		KUNIT_EXPECT_TRUE(test, pamt_host_count(true));
		KUNIT_EXPECT_FALSE(test, pamt_host_count(true));
	}
	KUNIT_EXPECT_EQ(test, tdx_pamt_get(pfn + 1, NULL), 0);
	tdx_pamt_put(pfn + 1);
	scoped_guard(mutex, &pamt_host_mutex)
		pamt_host_placement(&at);
	KUNIT_EXPECT_EQ(test, at.used, before.used + 1);
	KUNIT_EXPECT_EQ(test, at.lone, before.lone + 1);
	KUNIT_EXPECT_EQ(test, at.bin[0], before.bin[0] + 1);
	KUNIT_EXPECT_EQ(test, tdx_pamt_get(pfn + 1, NULL), 0);
	scoped_guard(mutex, &pamt_host_mutex)
		pamt_host_placement(&at);
	KUNIT_EXPECT_EQ(test, at.used, before.used + 1);
	KUNIT_EXPECT_EQ(test, at.lone, before.lone);
	KUNIT_EXPECT_EQ(test, at.users, before.users + 2);
	KUNIT_EXPECT_EQ(test, at.bin[1], before.bin[1] + 1);
	tdx_pamt_put(pfn);
	tdx_pamt_put(pfn + 1);
	pamt_host_sum_calls(&calls);
	KUNIT_EXPECT_EQ(test, calls.get, 2);
	KUNIT_EXPECT_EQ(test, calls.put, 3);
	scoped_guard(mutex, &pamt_host_mutex)
		KUNIT_EXPECT_TRUE(test, pamt_host_count(false));
	__free_pages(pages, 1);
}

static void host_switch(struct kunit *test)
{
	const struct pamt_ops *first = active(), *ops;
	struct page *tdr;
	unsigned int i;

	if (!pamt_host_switchable(first))
		kunit_skip(test, "%s is chosen at boot", first->name);
	for (i = 0; (ops = pamt_ops_at(i)); i++) {
		if (!pamt_host_switchable(ops)) {
			KUNIT_EXPECT_EQ(test, pamt_host_switch(ops), -EINVAL);
			continue;
		}
		KUNIT_ASSERT_EQ(test, pamt_host_switch(ops), 0);
		KUNIT_EXPECT_PTR_EQ(test, active(), ops);
		tdr = tdx_alloc_tdr_page();
		KUNIT_ASSERT_NOT_NULL(test, tdr);
		KUNIT_EXPECT_TRUE(test, has_pair(page_to_phys(tdr)));
		KUNIT_EXPECT_EQ(test, pamt_host_switch(first), -EBUSY);
		KUNIT_EXPECT_PTR_EQ(test, active(), ops);
		tdx_free_tdr_page(tdr);
	}
	KUNIT_EXPECT_EQ(test, pamt_host_switch(first), 0);
	KUNIT_EXPECT_EQ(test, pairs(), 0);
}

/* A count that is not zero keeps its strategy, even if no TD exists. */
static void host_switch_refused(struct kunit *test)
{
	const struct pamt_ops *first = active();
	struct page *page;

	if (!pamt_host_switchable(first))
		kunit_skip(test, "%s is chosen at boot", first->name);
	page = tdx_alloc_control_page();
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, pamt_host_switch(first), -EBUSY);
	tdx_free_control_page(page);
	/* Nor is one switched for a TD that has no page yet. */
	scoped_guard(mutex, &pamt_host_mutex)
		pamt_host.nr_tds++;
	KUNIT_EXPECT_EQ(test, pamt_host_switch(first), -EBUSY);
	scoped_guard(mutex, &pamt_host_mutex)
		pamt_host.nr_tds--;
	KUNIT_EXPECT_EQ(test, pamt_host_switch(first), 0);
}

/* Every region is asked about once, whatever the mutex was let go for meanwhile. */
static void host_audit(struct kunit *test)
{
	struct pamt_audit before, a;
	struct page *page;

	if (module)
		kunit_skip(test, "the host's module is not the one that answers here");
	KUNIT_ASSERT_EQ(test, pamt_host_audit(&before), 0);
	KUNIT_EXPECT_EQ(test, before.regions, pamt_host.words.nr_regions);
	KUNIT_EXPECT_EQ(test, before.mismatches, 0);
	page = tdx_alloc_control_page();
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, pamt_host_audit(&a), 0);
	KUNIT_EXPECT_EQ(test, a.regions, before.regions);
	KUNIT_EXPECT_EQ(test, a.mismatches, 0);
	if (pamt_host.ops->users)
		KUNIT_EXPECT_EQ(test, a.references, before.references + 1);
	tdx_free_control_page(page);
}

/* ------------------------------------------- switching against creation */

#define STORM_TDS 3
#define STORM_ROUNDS 300
#define STORM_PAGES 12

struct storm {
	atomic_t errors, switched, refused, running;
	struct completion done;
};

static void storm_end(struct storm *s)
{
	if (atomic_dec_and_test(&s->running))
		complete(&s->done);
}

/* A TD's life in pages: TDR first and last, others in between; each has its pair. */
static void storm_td(struct storm *s)
{
	struct page *page[STORM_PAGES], *tdr = tdx_alloc_tdr_page();
	unsigned int i, nr = get_random_u32_below(STORM_PAGES);

	if (!tdr || !has_pair(page_to_phys(tdr))) {
		atomic_inc(&s->errors);
		tdx_free_tdr_page(tdr);
		return;
	}
	for (i = 0; i < nr; i++) {
		page[i] = tdx_alloc_control_page();
		if (!page[i] || !has_pair(page_to_phys(page[i])))
			atomic_inc(&s->errors);
	}
	cond_resched();
	for (i = 0; i < nr; i++)
		tdx_free_control_page(page[i]);
	if (!has_pair(page_to_phys(tdr)))
		atomic_inc(&s->errors);
	tdx_free_tdr_page(tdr);
}

static int storm_creator(void *data)
{
	struct storm *s = data;
	unsigned int n;

	for (n = 0; n < STORM_ROUNDS; n++) {
		storm_td(s);
		if (n % 8 == 0)
			usleep_range(50, 200);
	}
	storm_end(s);
	return 0;
}

static int storm_switcher(void *data)
{
	struct storm *s = data;
	unsigned int i = 0;

	while (atomic_read(&s->running) > 1) {
		const struct pamt_ops *ops = pamt_ops_at(i++);
		int err;

		if (!ops)
			i = 0;
		if (!ops || !pamt_host_switchable(ops))
			continue;
		err = pamt_host_switch(ops);
		if (!err)
			atomic_inc(&s->switched);
		else if (err == -EBUSY)
			atomic_inc(&s->refused);
		else
			atomic_inc(&s->errors);
		usleep_range(20, 100);
	}
	storm_end(s);
	return 0;
}

static void host_switch_storm(struct kunit *test)
{
	const struct pamt_ops *first = active();
	struct storm s = { .running = ATOMIC_INIT(STORM_TDS + 1) };
	unsigned int i;

	if (!pamt_host_switchable(first))
		kunit_skip(test, "%s is chosen at boot", first->name);
	init_completion(&s.done);
	for (i = 0; i <= STORM_TDS; i++) {
		struct task_struct *t = kthread_run(i ? storm_creator : storm_switcher, &s,
						    "pamt_storm/%u", i);

		if (IS_ERR(t)) {
			KUNIT_FAIL(test, "no thread");
			storm_end(&s);
		}
	}
	wait_for_completion(&s.done);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.errors), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&s.switched), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&s.refused), 0);
	kunit_info(test, "%d switches, %d refused", atomic_read(&s.switched),
		   atomic_read(&s.refused));
	KUNIT_EXPECT_EQ(test, pamt_host_switch(first), 0);
	KUNIT_EXPECT_EQ(test, pairs(), 0);
}

static struct kunit_case host_cases[] = {
	KUNIT_CASE(host_control_page),
	KUNIT_CASE(host_cache),
	KUNIT_CASE(host_count),
	KUNIT_CASE(host_switch),
	KUNIT_CASE(host_switch_refused),
	KUNIT_CASE(host_audit),
	KUNIT_CASE(host_switch_storm),
	{}
};

static struct kunit_suite host_suite = {
	.name = "tdx_pamt_host",
	.suite_init = host_suite_init,
	.suite_exit = host_suite_exit,
	.test_cases = host_cases,
};
kunit_test_suite(host_suite);

MODULE_DESCRIPTION("KUnit tests of Dynamic PAMT as KVM uses it");
MODULE_LICENSE("GPL");
