/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of KVM that the strategies see: building a TD, faulting a private
 * page in, converting it, tearing the TD down. References are taken and dropped
 * where series v6 does it (dynamic-pamt.md, A.7), SEAMCALLs in the order of
 * Linux 7.3 (tdx-abi.md, 2.6), and both run the real strategy and the software
 * module; what the rest of KVM costs is spent as constants of the machine file.
 */
#ifndef DPAMT_HOST_H
#define DPAMT_HOST_H

#include "exec/world.h"

#define HOST_TDCS_PAGES 6
#define HOST_TDVPS_PAGES 6	/* TDVPR and five TDCX */
#define HOST_SEPT_LEVELS 3	/* S-EPT pages at levels 1 .. 3; the root is in the TDCS */
/*
 * A vCPU's pages for S-EPT tables as in kvm_mmu_topup_memory_cache(): with fewer than 5 left
 * (PT64_ROOT_MAX_LEVEL) it is filled to 40. So they come in runs, and few regions have any:
 * they go last of all when a TD is torn down.
 */
#define HOST_SEPT_CACHE 40
#define HOST_SEPT_LEAST 5

/* What a TD is built of. Bytes; multiples of 4K, huge_start of 2M. */
struct host_td_config {
	unsigned int index;		/* of the TD in its run: part of the placement's seed */
	unsigned int group;
	unsigned int vcpus;
	u64 memory;
	u64 image;			/* measured in before the TD runs, from GPA 0 */
	u64 huge_start;			/* GPA from which memory is mapped as 2M */
};

struct host_vcpu {
	struct host_td *td;
	u64 page[HOST_TDVPS_PAGES];	/* TDVPR first; 0: not there */
	bool initialised;
	u64 fault_start;		/* a fault is under way since; 0: none */
	struct pamt_cache cache;	/* for pairs */
	unsigned int nr_sept;
	u64 sept[HOST_SEPT_CACHE];	/* pages for S-EPT tables */
};

/* State of one S-EPT entry, as KVM's mirror page table holds it. */
enum host_entry { HOST_NONE, HOST_FROZEN, HOST_TABLE, HOST_LEAF_2M };

struct host_td {
	struct world *w;
	struct host_td_config c;
	u64 tdr, tdcs[HOST_TDCS_PAGES];
	unsigned int hkid;
	rwlock_t mmu_lock ____cacheline_aligned;
	atomic_t *entry[HOST_SEPT_LEVELS + 1];	/* by level: enum host_entry of each table */
	u64 *table[HOST_SEPT_LEVELS + 1];	/* and its page */
	u64 nr[HOST_SEPT_LEVELS + 1];
	unsigned long *mapped;		/* bit per 4K page: mapped, or being mapped */
	u64 *page_2m;			/* page behind a 2M leaf */
	u64 *chunk;			/* the allocator's record per 2M of guest memory */
	u64 built;			/* bytes of the image that are in */
	u64 cursor;			/* teardown: GPA up to which everything is zapped */
	bool created, finalised;
	struct pamt_cache cache;	/* for control pages */
	struct host_vcpu *vcpu;
};

/*
 * Begin a TD: TDR, key, TDCS, vCPUs. 0; -EAGAIN when no HKID is free; -ENOMEM;
 * -EIO. On error nothing is left behind but what the module may still own.
 */
int host_td_create(struct world *w, const struct host_td_config *c, struct host_td **td);

/*
 * Measure the image in, up to @pages pages a call: -EAGAIN while there is more; 0
 * when the TD is finalised and may run; -ENOMEM, -EIO.
 */
int host_td_build(struct host_td *td, unsigned int pages);

/*
 * Tear down @td, which may be half built, up to @pages pages a call. -EAGAIN while
 * there is more; 0 or -EIO when it is gone and *@td is NULL.
 */
int host_td_destroy(struct host_td **td, unsigned int pages);

/*
 * vCPU @v touches private @gpa. @intended is when the access should have begun (0:
 * now). 0 when the page is there; -EAGAIN when the fault must be tried again
 * (BUSY, a frozen entry); -ENOMEM, -EIO.
 */
int host_touch(struct host_vcpu *v, u64 gpa, u64 intended);

/* Convert the 4K page at @gpa: to shared is a zap, to private only says so. As host_touch(). */
int host_convert(struct host_vcpu *v, u64 gpa, bool to_private);

/* Merge the 2M range at @gpa, all of it mapped 4K, into one leaf. -EBUSY when it cannot be. */
int host_promote(struct host_vcpu *v, u64 gpa);

#endif
