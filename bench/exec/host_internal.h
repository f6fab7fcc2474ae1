/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by host.c and host_td.c. */
#ifndef DPAMT_HOST_INTERNAL_H
#define DPAMT_HOST_INTERNAL_H

#include "exec/host.h"
#include "emu/module/abi.h"
#include "emu/module/leaves.h"

/*
 * Pages for pairs that a fault may need at most: a pair for the S-EPT page of each level,
 * and one for the guest page (a demotion needs less).
 */
#define HOST_CACHE_WANT (2 * HOST_SEPT_LEVELS + 2)

/* Log2 of what one S-EPT page of @level maps. */
static inline unsigned int host_shift(unsigned int level)
{
	return EMU_4K_SHIFT + level * TDX_LEVEL_BITS;
}

static inline u64 *host_chunk(struct host_td *td, u64 gpa)
{
	return td->chunk ? &td->chunk[gpa >> PMD_SHIFT] : NULL;
}

static inline bool host_busy(struct world *w, u64 status)
{
	if (EMU_ST_CLASS(status) != EMU_OPERAND_BUSY)
		return false;
	world_this_cpu(w)->busy_other++;
	return true;
}

/*
 * For leaves that KVM must not see fail: it kicks all vCPUs and tries once more.
 * Here nothing but another SEAMCALL's own duration can be in the way, so a few
 * tries bound it.
 */
#define HOST_RETRIES 1000

static inline u64 host_seamcall_retry(struct world *w, u64 leaf, struct tdx_module_args *args)
{
	const struct tdx_module_args in = *args;
	unsigned int n = 0;
	u64 status;

	do {
		*args = in;
		status = world_seamcall(w, leaf, args);
	} while (host_busy(w, status) && ++n < HOST_RETRIES);
	return status;
}

/* Fill the caches of @v as KVM does before a fault. 0 or -ENOMEM. */
static inline int host_topup(struct host_vcpu *v)
{
	struct world *w = v->td->w;

	if (v->nr_sept < HOST_SEPT_LEAST &&
	    world_fill(w, &v->cache, v->sept, &v->nr_sept, HOST_SEPT_CACHE) &&
	    v->nr_sept < HOST_SEPT_LEAST)
		return -ENOMEM;
	return world_topup(w, &v->cache, HOST_CACHE_WANT);
}

int host_link(struct host_vcpu *v, unsigned int to_level, u64 gpa);
int host_map_4k(struct host_vcpu *v, u64 gpa, u64 leaf, const char *name);
int host_block(struct host_td *td, u64 gpa, unsigned int level);
int host_zap(struct host_td *td, u64 gpa, unsigned int level, u64 *hpa);
void host_drop_4k(struct host_td *td, u64 gpa, u64 hpa);

#endif
