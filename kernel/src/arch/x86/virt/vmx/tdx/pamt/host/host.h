/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic PAMT on this host: the one instance that KVM uses, how it is set up
 * while the TDX module is initialised, how its strategy is switched, and what is
 * shown of it.
 */
#ifndef PAMT_HOST_H
#define PAMT_HOST_H

#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>

#include <asm/tdx_global_metadata.h>

#include "../pamt.h"

/*
 * Who answers SEAMCALLs and supplies pages of an instance, where that is not the
 * CPU and the page allocator; for tests. As the functions of pamt.h; without alloc
 * and free, pages are the page allocator's.
 */
struct pamt_seam {
	u64 (*add)(struct pamt *p, unsigned long region, struct pamt_pair *pair);
	u64 (*remove)(struct pamt *p, unsigned long region, struct pamt_pair *pair);
	int (*alloc)(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair);
	void (*free)(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair);
};

#ifdef CONFIG_TDX_DYNAMIC_PAMT

/* ------------------------------------ for the initialisation of the module */

/*
 * Decide whether Dynamic PAMT is used (the module offers it, addresses fit, the
 * chosen strategy wants it) and allocate its counts for the memory in @memlist
 * (struct tdx_memblock, sorted). Prints why not.
 */
void tdx_pamt_setup(const struct tdx_sys_info *sysinfo, const struct list_head *memlist);
/* After a failed initialisation of the module. */
void tdx_pamt_teardown(void);
/*
 * Bytes of a TDMR's area for its @nr_pages 4K pages: an entry of @entry_size bytes
 * each, or with Dynamic PAMT a few bits. Once for each TDMR: their sums are kept.
 */
unsigned long tdx_pamt_4k_bytes(unsigned long nr_pages, u16 entry_size);
/* What TDH.SYS.CONFIG wants in R8 beside the KeyID. */
u64 tdx_pamt_config_bits(void);
/* The module is initialised, with @pamt_kb KB of PAMT: begin, and say so. */
void tdx_pamt_start(unsigned long pamt_kb);

#else

static inline void tdx_pamt_setup(const struct tdx_sys_info *sysinfo,
				  const struct list_head *memlist)
{
}

static inline void tdx_pamt_teardown(void)
{
}

static inline unsigned long tdx_pamt_4k_bytes(unsigned long nr_pages, u16 entry_size)
{
	return nr_pages * entry_size;
}

static inline u64 tdx_pamt_config_bits(void)
{
	return 0;
}

static inline void tdx_pamt_start(unsigned long pamt_kb)
{
}

#endif

/* ------------------------------------------------- words of the host's memory */

/*
 * Count words for the regions that have memory, in an address range for all of
 * them: only the pages with words that are used exist.
 */
struct pamt_words {
	struct vm_struct *area;
	atomic_t *count;		/* of region 0 */
	u64 base;			/* physical address of region 0 */
	struct pamt_range *ranges;
	unsigned int nr_ranges;
	unsigned long nr_regions;	/* with memory */
	unsigned long nr_pages;		/* of words */
};

/*
 * Words for the memory [@start[i], @end[i]) (frame numbers, ascending, without
 * overlap), @nr of them, at least one. 0 or -ENOMEM.
 */
int pamt_words_alloc(struct pamt_words *w, const unsigned long *start, const unsigned long *end,
		     unsigned int nr);
void pamt_words_free(struct pamt_words *w);
/* Is there a word for @region? */
bool pamt_words_have(const struct pamt_words *w, unsigned long region);

/* ------------------------------------------------------------- the instance */

struct pamt_host {
	struct pamt *pamt;		/* NULL: Dynamic PAMT is off */
	const struct pamt_ops *ops;	/* what is in force, also if Dynamic PAMT is off */
	const struct pamt_seam *seam;	/* of pamt and those that follow it; NULL but in tests */
	struct pamt_words words;
	unsigned int nr_tds;		/* TDR pages handed out */
	unsigned long preinstalled;	/* pairs installed at boot (null) */
	u64 boot_bytes;			/* of PAMT, allocated at boot */
	u64 static_bytes;		/* what it would be without Dynamic PAMT */
	u64 bitmap_bytes;		/* of boot_bytes: the areas for 4K pages */
};

extern struct pamt_host pamt_host;
/* Protects nr_tds, and ops and pamt against switching; never taken by get or put. */
extern struct mutex pamt_host_mutex;

/*
 * Take @ops from now on: -EBUSY while there are TDs or counts, -EINVAL for a
 * strategy that is chosen at boot, -ENODEV without Dynamic PAMT, -ENOMEM.
 */
int pamt_host_switch(const struct pamt_ops *ops);
/* May @ops be switched to at run time? */
bool pamt_host_switchable(const struct pamt_ops *ops);

#if IS_ENABLED(CONFIG_TDX_PAMT_KUNIT_TEST)
/*
 * A host without Dynamic PAMT runs it over @seam, for the memory [@start, @end)
 * (frame numbers), until pamt_host_test_end(). 0, -ENOMEM, -EBUSY if it is on.
 */
int pamt_host_test_begin(const struct pamt_ops *ops, const struct pamt_seam *seam,
			 unsigned long start, unsigned long end);
void pamt_host_test_end(void);
#endif

/* Add a pair of pages of the node @nid to @cache: 0 or -ENOMEM. */
struct tdx_pamt_cache;
int pamt_cache_add_pair(struct tdx_pamt_cache *cache, int nid);

/* Pairs that are in place now. Exact at rest. Under the mutex. */
u64 pamt_host_pairs(void);

/*
 * Gets and puts that succeeded, of this CPU, while pamt_host_counting is on: the fast
 * path counts nothing by itself, and is not to.
 */
struct pamt_host_calls {
	u64 get, put;
};
DECLARE_PER_CPU(struct pamt_host_calls, pamt_host_calls);
DECLARE_STATIC_KEY_FALSE(pamt_host_counting);

/* Turn counting on, from zero, or off; true if that was a change. Under the mutex. */
bool pamt_host_count(bool on);
/* The sum over CPUs. Exact at rest. */
void pamt_host_sum_calls(struct pamt_host_calls *sum);

/* How the pages in use lie, by the counts. Exact at rest. Under the mutex. */
#define PAMT_PLACEMENT_BINS 11
struct pamt_placement {
	u64 regions;			/* with memory */
	u64 used;			/* with users */
	u64 lone;			/* with one user */
	u64 users;			/* of all regions */
	u64 bin[PAMT_PLACEMENT_BINS];	/* used regions, by the power of two of their users */
};
/* 0, -EOPNOTSUPP where the strategy does not count. */
int pamt_host_placement(struct pamt_placement *at);

/* Counts against what the module says of each region; see debugfs.c. */
struct pamt_audit {
	unsigned long regions;		/* with memory */
	unsigned long counted;		/* with users */
	unsigned long references;	/* of all users */
	unsigned long with_pair;	/* in the module's eyes */
	unsigned long unreadable;	/* the module would not say (reserved, BUSY) */
	unsigned long mismatches;
	u64 first;			/* address of the first mismatch */
};
/*
 * 0, or -ENODEV without Dynamic PAMT. Takes the mutex, and lets go of it from time to time:
 * TDs may come and go, the strategy may be switched.
 */
int pamt_host_audit(struct pamt_audit *a);

#endif
