/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's physical memory and its page allocator, in user space.
 *
 * Physical addresses index one sparse mapping (the arena), so physical to
 * virtual is one addition and only pages that somebody writes cost memory:
 * what the module keeps in donated pages does, the guests' own pages never do.
 *
 * Memory is managed in blocks of one 2M region. Kernel pages (S-EPT, control
 * pages, PAMT pairs) and guest_memfd pages are both unmovable allocations of
 * Linux, so they come from the same blocks through the same per-CPU lists:
 * that is where PAMT pages end up in other TDs' regions. Partly used blocks are
 * used up first, low pages first, as the order-0 path of a buddy allocator does.
 *
 * A per-CPU list is refilled by a batch that doubles with each refill and falls back with
 * each page freed, and gives back the more the more was freed in a row, as in Linux since
 * 6.7 (nr_pcp_alloc() and nr_pcp_free() in mm/page_alloc.c): a CPU that faults guest memory in
 * soon takes whole 2M blocks at a time. Linux also shrinks lists once a second; this does not.
 *
 * Guest pages are placed by the workload's placement:
 *   contiguous		a 2M block for each 2M of guest memory
 *   buddy		page by page from the per-CPU lists
 *   scattered:SHARE	that share of guest pages each alone in a 2M region,
 *			the rest as buddy
 */
#ifndef DPAMT_PHYS_H
#define DPAMT_PHYS_H

#include "shim.h"

/* Of a per-CPU list, as Linux has them on a large host: */
#define PHYS_BATCH 63		/* pages moved between it and the blocks at least */
#define PHYS_SCALE 5		/* at most so many times doubled (PCP_BATCH_SCALE_MAX) */
#define PHYS_HIGH 186		/* at rest a list longer than this gives pages back */
/*
 * What that bound grows to: an eighth of the memory over the CPUs, and no more than holds
 * the largest batch (Linux: no such end). Small tables: the lists do not grow.
 */
#define PHYS_HIGH_MAX (TDX_LEVEL_BITS < 9 ? PHYS_HIGH : 2 * (PHYS_BATCH << PHYS_SCALE))

#define PHYS_NODES 16

enum phys_placement { PHYS_CONTIGUOUS, PHYS_BUDDY, PHYS_SCATTERED };

struct phys_block;
struct phys_list {
	u32 first, last;
};

struct phys_cpu {
	u32 nr, high;
	u32 node;		/* whose memory it takes first; whoever knows sets it */
	u32 scale;		/* of the next batch: PHYS_BATCH << scale */
	u32 freed;		/* of late, not made up for by allocations */
	u64 refills;		/* in units of PHYS_BATCH pages */
	u64 page[PHYS_HIGH_MAX + 1];
} ____cacheline_aligned;

/* Memory of one socket: an equal part of the whole, in order. */
struct phys_node {
	spinlock_t lock;
	struct phys_list partial, free;
	u64 used_pages;		/* taken from blocks, those in per-CPU lists included */
} ____cacheline_aligned;

struct phys {
	char *mem;		/* the arena: virtual address of physical address 0 */
	u64 size;		/* bytes of physical memory */
	u64 reserved;		/* bytes from 0 that the allocator does not own */
	u64 seed;
	enum phys_placement placement;
	unsigned int lone_pct;	/* scattered: share of guest pages */
	u32 high_max;		/* of the per-CPU lists */
	unsigned int nr_nodes;
	struct phys_block *block;
	u64 nr_blocks, node_blocks;
	struct phys_cpu *cpu;	/* one per shim CPU */
	spinlock_t chunk_lock;	/* the TDs' records of chunks; outside of a node's lock */
	struct phys_node node[PHYS_NODES];
};

/*
 * Map @size bytes of address space for an arena. NULL when the address space
 * cannot be had. phys_unmap() gives it back.
 */
char *phys_map(u64 size);
void phys_unmap(char *mem, u64 size);

/*
 * Bookkeeping over an arena of @nodes nodes, 1 to PHYS_NODES; everything from @reserved on is
 * free. Every CPU is of node 0 until somebody says otherwise. 0 or -ENOMEM.
 */
int phys_init(struct phys *ph, char *mem, u64 size, u64 reserved, u64 seed, unsigned int nodes);
void phys_exit(struct phys *ph);

/* One unmovable 4K page of the kernel; physical address, or 0 when memory is out. */
u64 phys_alloc_kernel(struct phys *ph);
void phys_free_kernel(struct phys *ph, u64 hpa);

/*
 * The page behind page @gfn of TD @td. *@chunk is the TD's own record for the
 * 2M of guest memory around it (contiguous placement), zero at first, and may
 * be NULL otherwise. 0 when memory is out.
 */
u64 phys_alloc_guest(struct phys *ph, unsigned int td, u64 gfn, u64 *chunk);
/* @chunk as given to the allocation; zeroed when its last page goes. */
void phys_free_guest(struct phys *ph, u64 hpa, u64 *chunk);

/* A whole free 2M block for a 2M mapping, and its return (page by page is also fine). */
u64 phys_alloc_2m(struct phys *ph);
void phys_free_2m(struct phys *ph, u64 hpa);

/* Pages handed out and not returned; exact at rest. */
u64 phys_in_use(const struct phys *ph);

#endif
