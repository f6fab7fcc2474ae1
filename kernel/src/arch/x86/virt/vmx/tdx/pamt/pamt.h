/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic PAMT reference counting: what core, strategies and executors share.
 *
 * Every 4K page that the TDX module is given needs the PAMT page pair of its
 * 2M region. A strategy counts the users of each region and serialises the
 * 0->1 and 1->0 transitions with TDH.PHYMEM.PAMT.ADD and REMOVE. The same
 * strategy files run in the kernel, on real threads, on a simulated machine
 * and under an interleaving explorer, so they touch shared data only through
 * atomic_*(), READ_ONCE()/WRITE_ONCE() and the acquire/release forms, wait only
 * through pamt_wait(), pamt_lock() and pamt_busy_wait(), and hang all state off
 * one struct pamt.
 *
 * Lock order: a strategy's lock or a claimed region, then the fallback. A CPU
 * that holds the fallback never waits for a region.
 */
#ifndef PAMT_H
#define PAMT_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "strategies.h"

struct pamt;
struct pamt_cache;

/* The two 4K pages that hold the PAMT entries of one 2M region; physical addresses. */
struct pamt_pair {
	u64 hpa[2];
};

/*
 * A SEAMCALL that changes a region's pair; returns the TDX status. It holds no
 * lock of ours and may be answered BUSY: pamt_seamcall() runs it.
 */
typedef u64 (*pamt_call_t)(struct pamt *p, unsigned long region, void *ctx);

enum pamt_leaf {
	PAMT_LEAF_ADD,
	PAMT_LEAF_REMOVE,
	PAMT_LEAF_DEMOTE,
	PAMT_LEAF_PROMOTE,
	PAMT_NR_LEAVES,
};

/* Which operand a BUSY answer named: the region (RCX), a PAMT page, or something else. */
enum pamt_operand { PAMT_BUSY_REGION, PAMT_BUSY_PAGE, PAMT_BUSY_OTHER, PAMT_NR_OPERANDS };

/* ------------------------------------------------------------- statistics */

/*
 * Log-linear histogram of nanoseconds: 2^PAMT_HIST_SUB bins per power of two, so
 * a bin's width is at most 1/16 of its value. Values from 2^PAMT_HIST_MAX on
 * (69 s) share the last bin.
 */
#define PAMT_HIST_SUB 4
#define PAMT_HIST_MAX 36
#define PAMT_HIST_BINS ((PAMT_HIST_MAX - PAMT_HIST_SUB + 1) << PAMT_HIST_SUB)

struct pamt_hist {
	u64 sum_ns;
	u64 max_ns;
	u32 bin[PAMT_HIST_BINS];
};

/*
 * One per CPU, written by that CPU only with plain increments, in slow paths
 * alone, which are timed call by call. The fast path counts nothing: a locked
 * instruction waits for the store in front of it, so one plain increment per
 * get costs a third of the two locked adds that get and put consist of. Who
 * wants the number of gets counts them where the pages are mapped.
 */
struct pamt_stats {
	/* First, as these two are never reset: their difference is the pairs in place. */
	u64 install;		/* pairs put into place, by ADD or DEMOTE */
	u64 remove;		/* pairs taken back, by REMOVE or PROMOTE */
	u64 get_slow;
	u64 put_slow;
	u64 lost_race;		/* a pair was allocated and not needed */
	u64 retained_hit;	/* a get found the pair of an idle region in place */
	u64 leaked;		/* pairs left in place because their REMOVE failed */
	u64 get_failed;
	u64 seamcall[PAMT_NR_LEAVES];
	u64 busy[PAMT_NR_LEAVES][PAMT_NR_OPERANDS];
	u64 wait_count[2];	/* [0] false: another region's CPU; [1] true: the same region's */
	u64 wait_ns[2];
	u64 irqoff_max_ns;
	struct pamt_hist wait;
	struct pamt_hist get_ns;	/* slow gets */
	struct pamt_hist put_ns;	/* slow puts */
};

#define pamt_stat(p, field) this_cpu_inc((p)->stats->field)

/* Index of the bin for @ns; pamt_hist_low() is the smallest value of bin @i. */
unsigned int pamt_hist_index(u64 ns);
u64 pamt_hist_low(unsigned int i);
void pamt_hist_add(struct pamt_hist *h, u64 ns);
/* Add all CPUs' statistics into *@sum (zeroed first). Exact only at rest. */
void pamt_stats_sum(struct pamt *p, struct pamt_stats *sum);

/* ------------------------------------------------------------ locks, waits */

/*
 * A spinlock that knows what its holder works on: the region lies in the
 * lock's own line, so a waiter that must fetch the line anyway can tell a true
 * conflict (same region) from a false one for nothing.
 */
struct pamt_lock {
	spinlock_t lock;	/* protects the words of its regions, and region */
	unsigned long region;	/* what the holder works on */
} ____cacheline_aligned_in_smp;

#define PAMT_NO_REGION (~0UL)

/*
 * Every PAMT SEAMCALL (DEMOTE and PROMOTE included) holds the fallback shared;
 * one that was answered BUSY is retried with it held exclusively, when no other
 * PAMT SEAMCALL can run and BUSY is impossible. Shared side: a counter per CPU,
 * no line moves; or, for the strategy that upstream agreed on as its plan, a
 * plain rwlock_t.
 */
struct pamt_reader {
	atomic_t active;
};

struct pamt_fallback {
	struct pamt_lock writer;	/* serialises exclusive holders */
	atomic_t exclusive ____cacheline_aligned_in_smp; /* 1: shared holders stay out */
	unsigned long region;		/* of the exclusive holder */
	struct pamt_reader __percpu *readers;
	bool use_rwlock;
	rwlock_t rwlock ____cacheline_aligned_in_smp;
};

/* One wait: filled by pamt_wait_begin(), accounted by pamt_wait_end(). */
struct pamt_waiting {
	u64 start;
	bool same_region;
};

/*
 * Lockdep's view of what is not a lock. Whoever claims a region in its word holds
 * word_map from claim to publish, with IRQs off; whoever waits for a word acquires
 * it for a moment, so that a wait under a lock that a claimant may need is
 * reported. wait_map is held while waiting, which may be with IRQs on, and is where
 * lock_stat counts it. fallback_map is the fallback in its form of per-CPU counters.
 */
extern struct lockdep_map pamt_word_map, pamt_wait_map, pamt_fallback_map;

static inline void pamt_wait_mapped(void)
{
#ifdef CONFIG_LOCKDEP
	unsigned long flags;

	local_irq_save(flags);
	lock_map_acquire(&pamt_word_map);
	lock_map_release(&pamt_word_map);
	local_irq_restore(flags);
#endif
	lock_map_acquire(&pamt_wait_map);
	lock_contended(&pamt_wait_map, _THIS_IP_);
}

void pamt_wait_begin(struct pamt *p, struct pamt_waiting *w, void *what, unsigned long region,
		     unsigned long holder);
void pamt_wait_end(struct pamt *p, struct pamt_waiting *w, void *what);

/*
 * Wait until @cond, an expression of VAL (the value of atomic_t *@word), holds;
 * returns VAL with acquire order. @holder is the region that whoever is waited
 * for works on. Call it only after a first look has failed.
 */
#define pamt_wait(p, word, region, holder, cond)                        \
	({                                                              \
		struct pamt_waiting __w;                                \
		int __v;                                                \
									\
		pamt_wait_begin((p), &__w, (word), (region), (holder)); \
		pamt_wait_mapped();                                     \
		__v = atomic_cond_read_acquire((word), (cond));         \
		lock_acquired(&pamt_wait_map, _THIS_IP_);               \
		lock_map_release(&pamt_wait_map);                       \
		pamt_wait_end((p), &__w, (word));                       \
		__v;                                                    \
	})

u64 pamt_lock_slow(struct pamt *p, struct pamt_lock *l, unsigned long region);

/*
 * Take @l for work on @region. Returns 0 if it was free, else the time (ns) at
 * which the wait began: an uncontended call reads no clock.
 */
static __always_inline u64 pamt_lock(struct pamt *p, struct pamt_lock *l, unsigned long region)
{
	u64 waited = 0;

	if (unlikely(!spin_trylock(&l->lock)))
		waited = pamt_lock_slow(p, l, region);
	WRITE_ONCE(l->region, region);
	return waited;
}

static __always_inline void pamt_unlock(struct pamt_lock *l)
{
	spin_unlock(&l->lock);
}

/*
 * The BUSY tail, one for all strategies: run @call with the fallback shared and,
 * if it was answered BUSY, again with the fallback exclusive. Returns the TDX
 * status of the last try. The caller has claimed the region and runs with IRQs
 * off; it must not hold the fallback.
 */
u64 pamt_seamcall(struct pamt *p, unsigned long region, enum pamt_leaf leaf, pamt_call_t call,
		  void *ctx);

/*
 * A SEAMCALL that takes the entry of @region shared and is no transition, like
 * TDH.PHYMEM.PAGE.RDMD: it is kept out where a PAMT SEAMCALL is tried alone, which it
 * would make BUSY. For tasks; returns the TDX status, BUSY among others.
 */
u64 pamt_seamcall_beside(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx);

/* -------------------------------------------------------------- strategies */

/* What a fast get and put are made of: the floor that their cost is held against. */
enum pamt_primitive { PAMT_PRIM_NONE, PAMT_PRIM_ADD, PAMT_PRIM_CMPXCHG, PAMT_PRIM_LOCK };

struct pamt_ops {
	const char *name;
	const char *what;	/* the idea, one line */
	bool control;		/* a control, not a candidate */
	bool dynamic;		/* the module runs with Dynamic PAMT */
	bool preinstalled;	/* pairs of all regions are installed at boot */
	bool use_rwlock;	/* form of the fallback's shared side */
	enum pamt_primitive primitive;
	unsigned int lock_bits;	/* 2^lock_bits locks; meaningless without has_locks */
	bool has_locks;
	int absent;		/* initial value of a region's word */

	/*
	 * Take a reference on @region, installing its pair if it is the first.
	 * @cache supplies the pages; 0 or -ENOMEM, -EIO with nothing changed.
	 * Any context that may spin.
	 */
	int (*get)(struct pamt *p, unsigned long region, struct pamt_cache *cache);
	/* Drop a reference taken by get; the last one returns the pair. Cannot fail. */
	void (*put)(struct pamt *p, unsigned long region);
	/*
	 * A region mapped at 2M is split: @call (TDH.MEM.PAGE.DEMOTE) installs the
	 * pair, and the region gets a reference per 4K page, in one step. 0 or -EIO.
	 */
	int (*demote)(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx);
	/*
	 * The opposite: @call (TDH.MEM.PAGE.PROMOTE) takes the pair out; -EBUSY
	 * if anybody but the 4K mappings holds a reference. 0, -EBUSY or -EIO.
	 */
	int (*promote)(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx);
	/*
	 * Give back the pair of @region if it is retained without a user; NULL: this
	 * strategy retains none. 0, -EBUSY if there are users.
	 */
	int (*drop)(struct pamt *p, unsigned long region);
	/* Users of @region; meaningful at rest. */
	unsigned int (*users)(const struct pamt *p, unsigned long region);
};

/* Regions @first .. @end - 1. */
struct pamt_range {
	unsigned long first, end;
};

struct pamt_seam;

struct pamt {
	/* Read by every get and put, written never. */
	atomic_t *count;		/* one word per region */
	struct pamt_stats __percpu *stats;
	struct pamt_lock *locks;
	unsigned int lock_bits;
	unsigned long first_region;
	unsigned long nr_regions;
	const struct pamt_ops *ops;
	/* Who answers SEAMCALLs and supplies pages; NULL: the CPU and the page allocator. */
	const struct pamt_seam *seam;
	/* Where there is memory: only these words of count exist. */
	const struct pamt_range *ranges;
	unsigned int nr_ranges;
	struct pamt_range whole;	/* the only range of an instance without holes */
	bool owns_count;
	size_t strategy_bytes;		/* what the strategy adds: locks, per-CPU state */

	struct pamt_fallback fallback ____cacheline_aligned_in_smp;
};

/* 4K pages in a region: what DEMOTE and PROMOTE add and take in one step. */
#define PAMT_REGION_PAGES (1 << (PMD_SHIFT - PAGE_SHIFT))

static __always_inline unsigned long pamt_region(const struct pamt *p, u64 hpa)
{
	return (hpa >> PMD_SHIFT) - p->first_region;
}

static __always_inline u64 pamt_region_hpa(const struct pamt *p, unsigned long region)
{
	return (u64)(region + p->first_region) << PMD_SHIFT;
}

/*
 * Set up @p for @nr_regions regions from the 2M-aligned physical address @base,
 * all absent. 0, -ENOMEM. pamt_destroy() frees; pamt_idle() says whether every
 * count is zero (0), else -EBUSY with the first region that is not.
 * pamt_init_sparse(): the same over the caller's words, which exist for the
 * regions of @ranges only; words and ranges must outlive @p.
 */
int pamt_init(struct pamt *p, const struct pamt_ops *ops, u64 base, unsigned long nr_regions);
int pamt_init_sparse(struct pamt *p, const struct pamt_ops *ops, u64 base, atomic_t *count,
		     const struct pamt_range *ranges, unsigned int nr_ranges);
void pamt_destroy(struct pamt *p);
int pamt_idle(const struct pamt *p, unsigned long *region);

/*
 * @region is about to be mapped at 2M: such a mapping takes no reference and
 * wants no pair (the module refuses a 2M AUG of a region that has one, R12), so
 * a retained pair is given back. 0, or -EBUSY if the pair cannot go: there are
 * users, or pairs are installed for good. The caller sees to it that no 4K page
 * of the region is given to the module meanwhile, and that the puts of those which
 * it had are over: whoever has all 512 pages to map has both.
 */
int pamt_map_2m(struct pamt *p, unsigned long region);

#define PAMT_DECLARE(sym, name) extern const struct pamt_ops pamt_##sym##_ops;
PAMT_STRATEGIES(PAMT_DECLARE)
#undef PAMT_DECLARE

const struct pamt_ops *pamt_find_ops(const char *name);
/* The @i-th strategy of strategies.h, NULL past the end. */
const struct pamt_ops *pamt_ops_at(unsigned int i);

/* --------------------------------------- what the surroundings must supply */

/*
 * SEAMCALL wrappers: TDH.PHYMEM.PAMT.ADD takes the two pages of @pair, REMOVE
 * returns them there. TDX status.
 */
u64 tdh_phymem_pamt_add(struct pamt *p, unsigned long region, struct pamt_pair *pair);
u64 tdh_phymem_pamt_remove(struct pamt *p, unsigned long region, struct pamt_pair *pair);

/*
 * Page pairs. @cache is filled before any spinlock is taken and where sleeping
 * is allowed, so that alloc does neither; NULL stands for the page allocator,
 * and alloc may sleep then. alloc: 0 or -ENOMEM. free with a @cache keeps the
 * pages there; a pair that REMOVE gave back is freed with NULL, in any context.
 */
int pamt_pair_alloc(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair);
void pamt_pair_free(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair);

#endif
