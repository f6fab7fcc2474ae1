/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole host in user space: physical memory, a software TDX module, one
 * strategy, and the part of KVM that takes and drops references. Compiled once
 * per flavour of the shim; nothing in it knows whether a CPU is a thread or a
 * fiber. Time passes only where the executor's hooks let it.
 */
#ifndef DPAMT_WORLD_H
#define DPAMT_WORLD_H

#include "shim.h"

#include "pamt/pamt.h"
#include "emu/module/module.h"
#include "exec/phys.h"
#include "measure/hist.h"
#include "td/machine.h"

struct world;

/* What an executor hangs into a world. Called on the CPU concerned. */
struct world_hooks {
	/* Let the time of @cost pass (a constant of the machine file); NULL: none passes. */
	void (*spend)(struct world *w, enum cost cost);
	/* Called with all try-locks of a SEAMCALL held, when its work is done. */
	void (*hold)(struct world *w, const struct emu_call *c);
	/* Status to answer instead of running the SEAMCALL, 0 to run it. */
	u64 (*inject)(struct world *w, const struct emu_call *c);
	/* True to make this page pair allocation fail. */
	bool (*fail_alloc)(struct world *w);
	/* A pair was installed (+1) or removed (-1). */
	void (*pair)(struct world *w, int delta);
	/* An access to a private page was completed after a fault that began at @start. */
	void (*fault)(struct world *w, unsigned int group, u64 start);
	void *ctx;
};

/* Counters of one CPU (a worker, a fiber), written by it alone. */
struct world_cpu {
	u64 pages;		/* private pages mapped */
	u64 pages_2m;		/* private 2M mappings made */
	u64 flips;		/* pages converted to shared */
	u64 demotes;
	u64 tds;		/* TDs built */
	u64 retries;		/* faults retried after BUSY or a frozen entry */
	u64 pamt_ns;		/* inside get and put, clock reads taken off */
	u64 gets, puts;		/* that returned, failed gets included */
	u64 stalls;		/* gets and puts that were stalled by the machine */
	u64 busy_other;		/* BUSY from leaves that are not PAMT's */
	u64 seamcalls;
} ____cacheline_aligned;

/*
 * No get, put or fault lasts this long by itself: every other worker may be in
 * front with two SEAMCALLs of at most 18 us each. Whatever lasts longer had its
 * CPU taken away by the kernel or the hypervisor. Such calls are counted, and
 * left out of the means that compare strategies; waits and maxima keep them.
 */
#define WORLD_STALL_NS(workers) (100000ull + 40000ull * (workers))

#define WORLD_CACHE_PAGES 32

/* A cache of pages for pairs, and for control pages. */
struct pamt_cache {
	unsigned int nr;
	unsigned int owed, owed_refills;	/* allocations whose time has not been spent yet */
	u64 page[WORLD_CACHE_PAGES];
};

struct world {
	struct phys phys;
	struct emu_module module;
	struct pamt pamt;
	struct world_hooks hooks;
	struct world_cpu *cpu;		/* one per shim CPU */
	u64 clock_cost_ns;		/* of one shim_clock() read */
	u64 stall_ns;			/* WORLD_STALL_NS() of this run */
	u32 next_hkid;
	u64 hkid_free;			/* bitmap of private HKIDs that no TD has */
	/* KVM programs keys on the first CPU of a package only, one TD after the other. */
	spinlock_t key_lock;
	spinlock_t tdx_lock;		/* KVM's tdx_lock: creation, VPFLUSHDONE, FREEID */
	u64 fixed_bytes;		/* 1G and 2M arrays, bitmap or 4K array */
	u64 static_bytes;		/* what static PAMT costs on this host */
	u64 preinstalled;		/* pairs installed at start (null) */
	u64 errors;			/* unexpected SEAMCALL statuses */
	char error[256];		/* the first of them */
};

struct world_config {
	u64 host_bytes;			/* physical memory, multiple of 1G (of the geometry) */
	enum phys_placement placement;
	unsigned int lone_pct;
	u64 seed;
	const struct pamt_ops *ops;
	struct world_hooks hooks;
	unsigned int nodes;		/* of physical memory; 0: one */
	char *mem;			/* an arena of host_bytes, from phys_map() */
	u64 clock_cost_ns;
};

/* Bring the host up: module configured and initialised, strategy ready. 0 or -errno; @err one line. */
int world_init(struct world *w, const struct world_config *c, char *err, size_t err_size);
void world_exit(struct world *w);

/*
 * The invariants of a host at rest with no TD: the module owns no page and holds
 * no lock, no HKID is in use, no pair is installed (but for preinstalled ones),
 * every count is zero, no page is out, nothing warned. 0, or -EIO with
 * the first broken one in @err.
 */
int world_audit(struct world *w, char *err, size_t err_size);

/* SEAMCALL with the world's module; counts. */
u64 world_seamcall(struct world *w, u64 leaf, struct tdx_module_args *args);

/* Pair transitions by DEMOTE and PROMOTE, which the wrappers of ADD and REMOVE do not see. */
void world_pair_event(struct world *w, int delta);

static inline struct world *world_of(struct pamt *p)
{
	return container_of(p, struct world, pamt);
}

static inline struct world_cpu *world_this_cpu(struct world *w)
{
	return &w->cpu[shim_cpu];
}

static inline void world_spend(struct world *w, enum cost cost)
{
	if (w->hooks.spend)
		w->hooks.spend(w, cost);
}

/* Record an unexpected status: the run is void. Always returns -EIO. */
int world_error(struct world *w, const char *leaf, u64 status);

/* References by physical address, timed from outside when the world has a clock cost. */
int world_get(struct world *w, u64 hpa, struct pamt_cache *cache);
void world_put(struct world *w, u64 hpa);

/*
 * Fill @cache to @want pages; done before any lock is taken. 0 or -ENOMEM. Its
 * own work, faulting the pages' backing in, is no part of the model: the time of
 * the allocations is owed until world_settle() spends it.
 */
int world_topup(struct world *w, struct pamt_cache *cache, unsigned int want);
/* The same for @page, which holds *@nr of them; @cache owes their time. */
int world_fill(struct world *w, struct pamt_cache *cache, u64 *page, unsigned int *nr,
	       unsigned int want);
void world_settle(struct world *w, struct pamt_cache *cache);
void world_cache_drain(struct world *w, struct pamt_cache *cache);

/* A guest page, as phys_alloc_guest(), with the time that the allocation takes. */
u64 world_guest_page(struct world *w, unsigned int td, u64 gfn, u64 *chunk);

/*
 * One control page with its reference (TDR, TDCS, TDVPR, ..); 0 when memory is
 * out. @cache is filled first, so that get need not allocate.
 */
u64 world_control_alloc(struct world *w, struct pamt_cache *cache);
void world_control_free(struct world *w, u64 hpa);

/* --------------------------------------------- who uses the pairs, as PSS */

struct world_share {
	u64 tdr;		/* the TD's TDR; 0 stands for the kernel */
	u64 bytes;		/* of page pairs */
	u64 pages;		/* pages in use that need a pair */
};

/*
 * Divide each installed pair over the pages in use in its region. @share has
 * @nr entries for TDs (tdr set by the caller) and one more at the end for the
 * kernel (pairs without a user, and the pages that belong to no listed TD).
 * Bytes that do not divide go to the largest remainder, so that the shares sum
 * to the return value, the bytes of all installed pairs, exactly. At rest only.
 */
u64 world_shares(struct world *w, struct world_share *share, unsigned int nr);

/* Share of regions with a pair whose only used page is one guest page; percent. */
double world_lone_pct(struct world *w);

#endif
