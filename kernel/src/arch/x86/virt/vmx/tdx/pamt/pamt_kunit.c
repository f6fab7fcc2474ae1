// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the Dynamic PAMT strategies, with the software TDX module as
 * the answerer of SEAMCALLs.
 *
 * A bed is a host of 1 GiB in the module's eyes, of which only the first
 * BED_BACKED bytes exist: PAMT areas and the pages that become PAMT pages lie
 * there. Regions beyond can be counted, and pairs installed for them, because
 * nobody touches their pages.
 */
#include <kunit/run-in-irq-context.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "host/host.h"
#include "../emu/module/abi.h"
#include "../emu/module/leaves.h"
#include "../emu/module/module.h"

#define BED_BACKED (16UL << 20)
#define BED_FIRST_PAGE (8UL << 20)
#define BED_NR_PAGES ((BED_BACKED - BED_FIRST_PAGE) >> PAGE_SHIFT)
#define BED_THREADS 4
#define BED_REGIONS 3

struct bed {
	struct pamt pamt;
	struct emu_module module;
	spinlock_t lock;		/* protects the free pages */
	u64 page[BED_NR_PAGES];
	unsigned int nr_pages;
	bool fail_alloc;
	bool discard;			/* freed pages are the caller's affair */
	unsigned int busy;		/* PAMT SEAMCALLs still to be answered BUSY */
	u64 fail_leaf;			/* answered with an error, if not 0 */
	atomic_t errors;
};

/* What a bed's "struct pamt_cache" is. */
struct bed_cache {
	u64 page[2];
	bool full;
};

static struct bed *bed_of(struct pamt *p)
{
	return container_of(p, struct bed, pamt);
}

/* --------------------------------------- what the strategies ask for */

static u64 bed_add(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M,
		.rdx = pair->hpa[0],
		.r8 = pair->hpa[1],
	};

	return emu_seamcall(&bed_of(p)->module, EMU_TDH_PHYMEM_PAMT_ADD, &args);
}

static u64 bed_remove(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct tdx_module_args args = { .rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M };
	u64 status = emu_seamcall(&bed_of(p)->module, EMU_TDH_PHYMEM_PAMT_REMOVE, &args);

	if (!status) {
		pair->hpa[0] = args.rdx;
		pair->hpa[1] = args.r8;
	}
	return status;
}

static int bed_alloc(struct pamt *p, struct pamt_cache *opaque, struct pamt_pair *pair)
{
	struct bed_cache *cache = (struct bed_cache *)opaque;
	struct bed *bed = bed_of(p);
	unsigned long flags;
	int err = -ENOMEM;

	if (cache && cache->full) {
		cache->full = false;
		pair->hpa[0] = cache->page[0];
		pair->hpa[1] = cache->page[1];
		return 0;
	}
	spin_lock_irqsave(&bed->lock, flags);
	if (bed->nr_pages >= 2 && !bed->fail_alloc) {
		pair->hpa[0] = bed->page[--bed->nr_pages];
		pair->hpa[1] = bed->page[--bed->nr_pages];
		err = 0;
	}
	spin_unlock_irqrestore(&bed->lock, flags);
	return err;
}

static void bed_free_pair(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair)
{
	struct bed *bed = bed_of(p);
	unsigned long flags;

	if (bed->discard)
		return;
	spin_lock_irqsave(&bed->lock, flags);
	bed->page[bed->nr_pages++] = pair->hpa[0];
	bed->page[bed->nr_pages++] = pair->hpa[1];
	spin_unlock_irqrestore(&bed->lock, flags);
}

static const struct pamt_seam bed_seam = {
	.add = bed_add,
	.remove = bed_remove,
	.alloc = bed_alloc,
	.free = bed_free_pair,
};

/* ------------------------------------------------------------------ bed */

static u64 bed_inject(struct emu_module *m, const struct emu_call *c)
{
	struct bed *bed = m->priv;

	if (bed->fail_leaf && c->leaf == bed->fail_leaf)
		return EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX;
	if (!bed->busy ||
	    (c->leaf != EMU_TDH_PHYMEM_PAMT_ADD && c->leaf != EMU_TDH_PHYMEM_PAMT_REMOVE))
		return 0;
	bed->busy--;
	return EMU_OPERAND_BUSY | EMU_OP_RCX;
}

static void bed_free(void *data)
{
	struct bed *bed = data;

	pamt_destroy(&bed->pamt);
	vfree(bed->module.mem);
	kvfree(bed);
}

static void bed_init_module(struct kunit *test, struct bed *bed, bool dynamic)
{
	struct emu_tdmr tdmr = {
		.size = EMU_1G_SIZE,
		.pamt_1g_base = 1UL << 20, .pamt_1g_size = PAGE_SIZE,
		.pamt_2m_base = 2UL << 20, .pamt_2m_size = 2 * PAGE_SIZE,
		.pamt_4k_base = 3UL << 20,
		.pamt_4k_size = dynamic ? EMU_1G_SIZE / PAGE_SIZE / 8 :
					  EMU_1G_SIZE / PAGE_SIZE * 16,
		.reserved = { { .offset = 0, .size = BED_FIRST_PAGE } },
		.nr_reserved = 1,
	};
	struct tdx_module_args args;
	struct emu_module *m = &bed->module;

	m->max_pa = EMU_1G_SIZE;
	m->hkid_shift = 46;
	m->first_hkid = 32;
	m->nr_hkids = 32;
	m->priv = bed;
	KUNIT_ASSERT_EQ(test, emu_module_config(m, &tdmr, 1, dynamic), 0);
	do {
		args = (struct tdx_module_args){ .rcx = 0 };
		KUNIT_ASSERT_EQ(test, emu_seamcall(m, EMU_TDH_SYS_TDMR_INIT, &args), 0);
	} while (args.rdx < EMU_1G_SIZE);
	m->inject = bed_inject;
}

/* A bed for the strategy under test; freed when the test ends. NULL skips the test. */
static struct bed *bed_new(struct kunit *test)
{
	const struct pamt_ops *ops = *(const struct pamt_ops *const *)test->param_value;
	struct bed *bed;
	u64 pa;

	if (!ops->users)
		kunit_skip(test, "%s keeps no count", ops->name);
	bed = kvzalloc_obj(*bed);
	KUNIT_ASSERT_NOT_NULL(test, bed);
	bed->module.mem = vzalloc(BED_BACKED);
	if (!bed->module.mem || pamt_init(&bed->pamt, ops, 0, EMU_1G_SIZE / EMU_2M_SIZE)) {
		vfree(bed->module.mem);
		kvfree(bed);
		KUNIT_FAIL_AND_ABORT(test, "out of memory");
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, bed_free, bed), 0);
	bed->pamt.seam = &bed_seam;
	spin_lock_init(&bed->lock);
	for (pa = BED_BACKED; pa > BED_FIRST_PAGE; pa -= PAGE_SIZE)
		bed->page[bed->nr_pages++] = pa - PAGE_SIZE;
	bed_init_module(test, bed, ops->dynamic);
	return bed;
}

/* A host at rest: no count, no pair, no lock held, all pages back. */
static void bed_audit(struct kunit *test, struct bed *bed)
{
	struct emu_census c;
	unsigned long region;

	emu_census(&bed->module, &c);
	KUNIT_EXPECT_EQ(test, c.pairs, 0);
	KUNIT_EXPECT_EQ(test, c.bitmap_pages, 0);
	KUNIT_EXPECT_EQ(test, c.locked, 0);
	KUNIT_EXPECT_EQ(test, pamt_idle(&bed->pamt, &region), 0);
	KUNIT_EXPECT_EQ(test, bed->nr_pages, BED_NR_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&bed->errors), 0);
}

/*
 * The pair of @region must be there while somebody holds a reference: a walk
 * to one of its pages then ends at 4K.
 */
static bool has_pair(struct bed *bed, unsigned long region)
{
	struct tdx_module_args args = { .rcx = pamt_region_hpa(&bed->pamt, region) };

	return !emu_seamcall(&bed->module, EMU_TDH_PHYMEM_PAGE_RDMD, &args) &&
	       args.r8 == EMU_LEVEL_4K;
}

static int get(struct bed *bed, unsigned long region)
{
	return bed->pamt.ops->get(&bed->pamt, region, NULL);
}

static void put(struct bed *bed, unsigned long region)
{
	bed->pamt.ops->put(&bed->pamt, region);
}

static struct pamt_stats *stats(struct kunit *test, struct bed *bed)
{
	struct pamt_stats *sum = kunit_kzalloc(test, sizeof(*sum), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sum);
	pamt_stats_sum(&bed->pamt, sum);
	return sum;
}

/* ---------------------------------------------------------------- tests */

static u64 call_add(struct pamt *p, unsigned long region, void *pair)
{
	return tdh_phymem_pamt_add(p, region, pair);
}

static u64 call_remove(struct pamt *p, unsigned long region, void *pair)
{
	return tdh_phymem_pamt_remove(p, region, pair);
}

static void pamt_first_and_last(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	unsigned long r = 100;
	struct pamt_stats *sum;

	KUNIT_EXPECT_FALSE(test, has_pair(bed, r));
	KUNIT_ASSERT_EQ(test, get(bed, r), 0);
	KUNIT_ASSERT_EQ(test, get(bed, r), 0);
	KUNIT_EXPECT_TRUE(test, has_pair(bed, r));
	KUNIT_EXPECT_FALSE(test, has_pair(bed, r + 1));
	KUNIT_EXPECT_EQ(test, bed->pamt.ops->users(&bed->pamt, r), 2);
	put(bed, r);
	KUNIT_EXPECT_TRUE(test, has_pair(bed, r));
	put(bed, r);
	KUNIT_EXPECT_FALSE(test, has_pair(bed, r));
	sum = stats(test, bed);
	KUNIT_EXPECT_EQ(test, sum->install, 1);
	KUNIT_EXPECT_EQ(test, sum->remove, 1);
	bed_audit(test, bed);
}

static void pamt_alloc_fails(struct kunit *test)
{
	struct bed *bed = bed_new(test);

	bed->fail_alloc = true;
	KUNIT_EXPECT_EQ(test, get(bed, 7), -ENOMEM);
	bed_audit(test, bed);
	bed->fail_alloc = false;
	KUNIT_EXPECT_EQ(test, get(bed, 7), 0);
	put(bed, 7);
	bed_audit(test, bed);
}

/* A failed install changes nothing; the region can be used when the cause is gone. */
static void pamt_add_fails(struct kunit *test)
{
	struct bed *bed = bed_new(test);

	bed->fail_leaf = EMU_TDH_PHYMEM_PAMT_ADD;
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, get(bed, 11), -EIO);
	}
	KUNIT_EXPECT_EQ(test, stats(test, bed)->get_failed, 1);
	bed_audit(test, bed);
	bed->fail_leaf = 0;
	KUNIT_EXPECT_EQ(test, get(bed, 11), 0);
	KUNIT_EXPECT_TRUE(test, has_pair(bed, 11));
	put(bed, 11);
	bed_audit(test, bed);
}

/* A failed remove leaves the pair in place for good (R9), and the region usable. */
static void pamt_remove_fails(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	struct pamt_stats *sum;
	unsigned long region;

	KUNIT_ASSERT_EQ(test, get(bed, 12), 0);
	bed->fail_leaf = EMU_TDH_PHYMEM_PAMT_REMOVE;
	kunit_warning_suppress(test) {
		put(bed, 12);
	}
	bed->fail_leaf = 0;
	KUNIT_EXPECT_TRUE(test, has_pair(bed, 12));
	KUNIT_EXPECT_EQ(test, bed->pamt.ops->users(&bed->pamt, 12), 1);
	KUNIT_EXPECT_EQ(test, get(bed, 12), 0);
	put(bed, 12);
	KUNIT_EXPECT_TRUE(test, has_pair(bed, 12));
	sum = stats(test, bed);
	KUNIT_EXPECT_EQ(test, sum->leaked, 1);
	KUNIT_EXPECT_EQ(test, sum->install, 1);
	KUNIT_EXPECT_EQ(test, sum->remove, 0);
	KUNIT_EXPECT_EQ(test, pamt_idle(&bed->pamt, &region), -EBUSY);
	KUNIT_EXPECT_EQ(test, region, 12);
	KUNIT_EXPECT_EQ(test, pamt_map_2m(&bed->pamt, 12), -EBUSY);
	KUNIT_EXPECT_EQ(test, bed->nr_pages, BED_NR_PAGES - 2);
}

/* A pair that was not needed is back, whoever won. */
static void pamt_split_fails(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	struct pamt *p = &bed->pamt;
	struct pamt_pair pair;

	KUNIT_ASSERT_EQ(test, pamt_pair_alloc(p, NULL, &pair), 0);
	bed->fail_leaf = EMU_TDH_PHYMEM_PAMT_ADD;
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, p->ops->demote(p, 35, call_add, &pair), -EIO);
	}
	KUNIT_EXPECT_EQ(test, p->ops->users(p, 35), 0);
	bed->fail_leaf = 0;
	KUNIT_ASSERT_EQ(test, p->ops->demote(p, 35, call_add, &pair), 0);
	bed->fail_leaf = EMU_TDH_PHYMEM_PAMT_REMOVE;
	KUNIT_EXPECT_EQ(test, p->ops->promote(p, 35, call_remove, &pair), -EIO);
	KUNIT_EXPECT_EQ(test, p->ops->users(p, 35), PAMT_REGION_PAGES);
	bed->fail_leaf = 0;
	KUNIT_EXPECT_EQ(test, p->ops->promote(p, 35, call_remove, &pair), 0);
	pamt_pair_free(p, NULL, &pair);
	bed_audit(test, bed);
}

/* A 2M mapping takes no reference and wants a region without a pair (R12). */
static void pamt_before_2m(struct kunit *test)
{
	struct bed *bed = bed_new(test);

	KUNIT_EXPECT_EQ(test, pamt_map_2m(&bed->pamt, 14), 0);
	KUNIT_ASSERT_EQ(test, get(bed, 14), 0);
	KUNIT_EXPECT_EQ(test, pamt_map_2m(&bed->pamt, 14), -EBUSY);
	put(bed, 14);
	KUNIT_EXPECT_EQ(test, pamt_map_2m(&bed->pamt, 14), 0);
	KUNIT_EXPECT_FALSE(test, has_pair(bed, 14));
	bed_audit(test, bed);
}

static void pamt_busy_once(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	struct pamt_stats *sum;

	bed->busy = 1;
	KUNIT_EXPECT_EQ(test, get(bed, 9), 0);
	KUNIT_EXPECT_TRUE(test, has_pair(bed, 9));
	bed->busy = 1;
	put(bed, 9);
	KUNIT_EXPECT_FALSE(test, has_pair(bed, 9));
	sum = stats(test, bed);
	KUNIT_EXPECT_EQ(test, sum->busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION], 1);
	KUNIT_EXPECT_EQ(test, sum->busy[PAMT_LEAF_REMOVE][PAMT_BUSY_REGION], 1);
	KUNIT_EXPECT_EQ(test, sum->seamcall[PAMT_LEAF_ADD], 2);
	bed_audit(test, bed);
}

static void pamt_split_and_merge(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	struct pamt *p = &bed->pamt;
	struct pamt_pair pair;
	unsigned long r = 33;

	KUNIT_ASSERT_EQ(test, pamt_pair_alloc(p, NULL, &pair), 0);
	KUNIT_ASSERT_EQ(test, p->ops->demote(p, r, call_add, &pair), 0);
	KUNIT_EXPECT_EQ(test, p->ops->users(p, r), PAMT_REGION_PAGES);
	KUNIT_EXPECT_TRUE(test, has_pair(bed, r));
	KUNIT_EXPECT_EQ(test, get(bed, r), 0);
	KUNIT_EXPECT_EQ(test, p->ops->promote(p, r, call_remove, &pair), -EBUSY);
	put(bed, r);
	KUNIT_EXPECT_EQ(test, p->ops->promote(p, r, call_remove, &pair), 0);
	pamt_pair_free(p, NULL, &pair);
	bed_audit(test, bed);
}

/* ------------------------------------------------------ kernel threads */

struct crew {
	struct bed *bed;
	void (*body)(struct crew *crew, unsigned int id);
	unsigned int id;
	struct completion *done;
	atomic_t *left;
};

static int crew_main(void *data)
{
	struct crew *crew = data;

	crew->body(crew, crew->id);
	if (atomic_dec_and_test(crew->left))
		complete(crew->done);
	return 0;
}

static void run_crew(struct kunit *test, struct bed *bed, unsigned int nr,
		     void (*body)(struct crew *crew, unsigned int id))
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct crew crew[BED_THREADS];
	atomic_t left = ATOMIC_INIT(nr);
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		crew[i] = (struct crew){
			.bed = bed, .body = body, .id = i, .done = &done, .left = &left,
		};
		task = kthread_run(crew_main, &crew[i], "pamt_kunit/%u", i);
		if (IS_ERR(task)) {
			KUNIT_FAIL(test, "no thread");
			if (atomic_dec_and_test(&left))
				complete(&done);
		}
	}
	wait_for_completion(&done);
}

static void stress_body(struct crew *crew, unsigned int id)
{
	unsigned int held[BED_REGIONS] = { 0 }, n, i;
	struct bed *bed = crew->bed;

	for (n = 0; n < 20000; n++) {
		i = get_random_u32_below(BED_REGIONS);
		if (held[i] && get_random_u32_below(2)) {
			held[i]--;
			put(bed, i + 4);
		} else if (held[i] < 2 && !get(bed, i + 4)) {
			held[i]++;
			if (!has_pair(bed, i + 4))
				atomic_inc(&bed->errors);
		}
		if (n % 64 == 0)
			cond_resched();
	}
	for (i = 0; i < BED_REGIONS; i++)
		while (held[i]--)
			put(bed, i + 4);
}

/* Regions 4 .. 6 hold the pages that become PAMT pages, so ADDs meet across regions. */
static void pamt_stress(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	struct pamt_stats *sum;

	run_crew(test, bed, BED_THREADS, stress_body);
	sum = stats(test, bed);
	KUNIT_EXPECT_GT(test, sum->install, 0);
	KUNIT_EXPECT_EQ(test, sum->install, sum->remove);
	kunit_info(test, "%llu transitions, %llu waits, %llu BUSY, %llu lost races",
		   sum->install + sum->remove, sum->wait_count[0] + sum->wait_count[1],
		   sum->busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION] +
			   sum->busy[PAMT_LEAF_ADD][PAMT_BUSY_PAGE] +
			   sum->busy[PAMT_LEAF_REMOVE][PAMT_BUSY_REGION],
		   sum->lost_race);
	bed_audit(test, bed);
}

#define MUTUAL_A 4
#define MUTUAL_B 5

/* Thread 0 installs A with pages of B, thread 1 B with pages of A. */
static void mutual_body(struct crew *crew, unsigned int id)
{
	unsigned long mine = id ? MUTUAL_B : MUTUAL_A, other = id ? MUTUAL_A : MUTUAL_B;
	struct bed *bed = crew->bed;
	u64 pages = pamt_region_hpa(&bed->pamt, other) + PAGE_SIZE;
	unsigned int n;

	for (n = 0; n < 3000; n++) {
		struct bed_cache cache = { .page = { pages, pages + PAGE_SIZE }, .full = true };

		if (bed->pamt.ops->get(&bed->pamt, mine, (struct pamt_cache *)&cache) ||
		    !has_pair(bed, mine))
			atomic_inc(&bed->errors);
		put(bed, mine);
	}
}

static void pamt_mutual(struct kunit *test)
{
	struct bed *bed = bed_new(test);

	/* The threads bring their own pages and know when they are free again. */
	bed->discard = true;
	run_crew(test, bed, 2, mutual_body);
	bed_audit(test, bed);
}

/* --------------------------------------------------- puts from interrupts */

struct irq_puts {
	struct bed *bed;
	atomic_t credits[BED_REGIONS];	/* references that anybody may drop */
	unsigned int step;		/* of the task */
};

/*
 * A task takes references, and in every other step drops some; softirqs drop what
 * they find, so last puts happen in both, also while the task is in a transition of
 * that region or another one (R8).
 */
static bool irq_step(void *data)
{
	struct irq_puts *s = data;
	bool drop = true;
	unsigned int i;

	/* Locks that wait by sleeping on PREEMPT_RT are not for hard interrupts. */
	if (in_hardirq())
		return true;
	if (in_task())
		drop = s->step++ % 2;
	for (i = 0; i < BED_REGIONS; i++) {
		if (in_task()) {
			if (get(s->bed, i + 4) || !has_pair(s->bed, i + 4))
				return false;
			atomic_inc(&s->credits[i]);
		}
		if (drop && atomic_dec_if_positive(&s->credits[i]) >= 0)
			put(s->bed, i + 4);
	}
	return true;
}

static void pamt_irq_puts(struct kunit *test)
{
	struct bed *bed = bed_new(test);
	struct irq_puts s = { .bed = bed };
	unsigned int i;

	kunit_run_irq_test(test, irq_step, 20000, &s);
	for (i = 0; i < BED_REGIONS; i++)
		while (atomic_dec_if_positive(&s.credits[i]) >= 0)
			put(bed, i + 4);
	KUNIT_EXPECT_EQ(test, stats(test, bed)->install, stats(test, bed)->remove);
	bed_audit(test, bed);
}

/* -------------------------------------------------------------- suites */

#define PAMT_ENTRY(sym, name) &pamt_##sym##_ops,
static const struct pamt_ops *const strategies[] = { PAMT_STRATEGIES(PAMT_ENTRY) };

static void describe(const struct pamt_ops *const *ops, char *desc)
{
	strscpy(desc, (*ops)->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(strategy, strategies, describe);

static void pamt_hist_bins(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i + 1 < PAMT_HIST_BINS; i++) {
		KUNIT_ASSERT_EQ(test, pamt_hist_index(pamt_hist_low(i)), i);
		KUNIT_ASSERT_EQ(test, pamt_hist_index(pamt_hist_low(i + 1) - 1), i);
	}
	KUNIT_EXPECT_EQ(test, pamt_hist_index(~0ULL), PAMT_HIST_BINS - 1);
}

static struct kunit_case pamt_cases[] = {
	KUNIT_CASE_PARAM(pamt_first_and_last, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_alloc_fails, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_add_fails, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_remove_fails, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_busy_once, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_before_2m, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_split_and_merge, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_split_fails, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_mutual, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_stress, strategy_gen_params),
	KUNIT_CASE_PARAM(pamt_irq_puts, strategy_gen_params),
	KUNIT_CASE(pamt_hist_bins),
	{}
};

static struct kunit_suite pamt_suite = {
	.name = "tdx_pamt",
	.test_cases = pamt_cases,
};
kunit_test_suite(pamt_suite);

MODULE_DESCRIPTION("KUnit tests of Dynamic PAMT reference counting");
MODULE_LICENSE("GPL");
