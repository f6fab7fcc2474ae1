// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's run-time part: private faults, conversions, demotion (host.h). Building
 * and tearing down TDs is in host_td.c.
 *
 * Faults run under mmu_lock for reading, so vCPUs of one TD fault in parallel;
 * an entry is frozen while it is being linked, and whoever meets a frozen entry
 * lets go and tries again, as KVM's RET_PF_RETRY does. Zaps run under mmu_lock
 * for writing.
 */
#include "exec/host_internal.h"

/* ---------------------------------------------------------------- linking */

/*
 * Make sure that the table of @level over @gpa exists: a page from the cache, its
 * reference, TDH.MEM.SEPT.ADD. -EAGAIN if another vCPU is at it or on BUSY.
 */
static int link_table(struct host_vcpu *v, unsigned int level, u64 gpa)
{
	struct host_td *td = v->td;
	struct world *w = td->w;
	u64 i = gpa >> host_shift(level), hpa, status;
	atomic_t *entry = &td->entry[level][i];
	struct tdx_module_args args;
	int old = atomic_read_acquire(entry), err;

	if (likely(old == HOST_TABLE))
		return 0;
	if (old != HOST_NONE || !atomic_try_cmpxchg_acquire(entry, &old, HOST_FROZEN))
		return -EAGAIN;

	hpa = v->sept[--v->nr_sept];
	err = world_get(w, hpa, &v->cache);
	if (err)
		goto out_page;
	args = (struct tdx_module_args){
		.rcx = (i << host_shift(level)) | level, .rdx = td->tdr, .r8 = hpa,
	};
	status = world_seamcall(w, EMU_TDH_MEM_SEPT_ADD, &args);
	if (status) {
		err = host_busy(w, status) ? -EAGAIN : world_error(w, "TDH.MEM.SEPT.ADD", status);
		goto out_put;
	}
	td->table[level][i] = hpa;
	atomic_set_release(entry, HOST_TABLE);
	return 0;

out_put:
	world_put(w, hpa);
out_page:
	phys_free_kernel(&w->phys, hpa);
	atomic_set_release(entry, HOST_NONE);
	return err;
}

int host_link(struct host_vcpu *v, unsigned int to_level, u64 gpa)
{
	unsigned int level;
	int err;

	for (level = HOST_SEPT_LEVELS; level >= to_level; level--) {
		err = link_table(v, level, gpa);
		if (err)
			return err;
	}
	return 0;
}

/* ----------------------------------------------------------------- faults */

/* Give the page of a fault that failed back. */
static void unget_page(struct host_td *td, u64 gpa, u64 hpa, bool referenced)
{
	if (referenced)
		world_put(td->w, hpa);
	phys_free_guest(&td->w->phys, hpa, host_chunk(td, gpa));
}

int host_map_4k(struct host_vcpu *v, u64 gpa, u64 leaf, const char *name)
{
	struct host_td *td = v->td;
	struct world *w = td->w;
	u64 gfn = gpa >> PAGE_SHIFT, hpa, status;
	struct tdx_module_args args;
	int err;

	if (test_and_set_bit(gfn, td->mapped))
		return 0;
	hpa = world_guest_page(w, td->c.index, gfn, host_chunk(td, gpa));
	if (!hpa) {
		err = -ENOMEM;
		goto out_unmap;
	}
	err = world_get(w, hpa, &v->cache);
	if (err)
		goto out_page;
	args = (struct tdx_module_args){ .rcx = gpa, .rdx = td->tdr, .r8 = hpa };
	status = world_seamcall(w, leaf, &args);
	if (!status) {
		world_this_cpu(w)->pages++;
		return 0;
	}
	err = host_busy(w, status) ? -EAGAIN : world_error(w, name, status);
	unget_page(td, gpa, hpa, true);
	clear_bit(gfn, td->mapped);
	return err;

out_page:
	unget_page(td, gpa, hpa, false);
out_unmap:
	clear_bit(gfn, td->mapped);
	return err;
}

/* A 2M leaf takes no reference and wants a region that has no pair. */
static int map_2m(struct host_vcpu *v, u64 gpa)
{
	struct host_td *td = v->td;
	struct world *w = td->w;
	u64 i = gpa >> PMD_SHIFT, hpa, status;
	atomic_t *entry = &td->entry[1][i];
	struct tdx_module_args args;
	int old = HOST_NONE;

	if (atomic_read_acquire(entry) == HOST_LEAF_2M)
		return 0;
	if (!atomic_try_cmpxchg_acquire(entry, &old, HOST_FROZEN))
		return old == HOST_LEAF_2M ? 0 : -EAGAIN;
	hpa = phys_alloc_2m(&w->phys);
	if (!hpa) {
		atomic_set_release(entry, HOST_NONE);
		return -ENOMEM;
	}
	args = (struct tdx_module_args){
		.rcx = (i << PMD_SHIFT) | EMU_LEVEL_2M, .rdx = td->tdr, .r8 = hpa,
	};
	status = world_seamcall(w, EMU_TDH_MEM_PAGE_AUG, &args);
	if (status) {
		phys_free_2m(&w->phys, hpa);
		atomic_set_release(entry, HOST_NONE);
		return host_busy(w, status) ? -EAGAIN :
					      world_error(w, "TDH.MEM.PAGE.AUG 2M", status);
	}
	td->page_2m[i] = hpa;
	world_this_cpu(w)->pages_2m++;
	atomic_set_release(entry, HOST_LEAF_2M);
	return 0;
}

static bool present(struct host_td *td, u64 gpa)
{
	if (test_bit(gpa >> PAGE_SHIFT, td->mapped))
		return true;
	return atomic_read_acquire(&td->entry[1][gpa >> PMD_SHIFT]) == HOST_LEAF_2M;
}

static int fault(struct host_vcpu *v, u64 gpa)
{
	struct host_td *td = v->td;
	bool huge = gpa >= td->c.huge_start;
	int err;

	read_lock(&td->mmu_lock);
	err = host_link(v, huge ? 2 : 1, gpa);
	/* Part of a 2M range that was demoted: its table is there, the page may not be. */
	if (!err && huge && atomic_read_acquire(&td->entry[1][gpa >> PMD_SHIFT]) == HOST_TABLE)
		huge = false;
	if (!err)
		err = huge ? map_2m(v, gpa) :
			     host_map_4k(v, gpa, EMU_TDH_MEM_PAGE_AUG, "TDH.MEM.PAGE.AUG");
	read_unlock(&td->mmu_lock);
	return err;
}

int host_touch(struct host_vcpu *v, u64 gpa, u64 intended)
{
	struct world *w = v->td->w;
	int err;

	if (!v->fault_start) {
		if (present(v->td, gpa))
			return 0;
		/* KVM fills the caches with zeroed pages before it takes mmu_lock. */
		err = host_topup(v);
		if (err)
			return err;
		v->fault_start = intended ? intended : shim_clock();
		world_spend(w, COST_fault_base);
	} else {
		err = host_topup(v);
		if (err)
			return err;
	}
	world_settle(w, &v->cache);
	err = fault(v, gpa);
	if (err == -EAGAIN) {
		world_this_cpu(w)->retries++;
		return err;
	}
	if (!err) {
		world_spend(w, COST_accept);
		if (w->hooks.fault)
			w->hooks.fault(w, v->td->c.group, v->fault_start);
	}
	v->fault_start = 0;
	return err;
}

/* ------------------------------------------------------------ conversions */

/* BLOCK and TRACK, with mmu_lock held for writing and the vCPUs kicked. */
int host_block(struct host_td *td, u64 gpa, unsigned int level)
{
	struct world *w = td->w;
	struct tdx_module_args args = { .rcx = gpa | level, .rdx = td->tdr };
	u64 status = host_seamcall_retry(w, EMU_TDH_MEM_RANGE_BLOCK, &args);

	if (status)
		return world_error(w, "TDH.MEM.RANGE.BLOCK", status);
	args = (struct tdx_module_args){ .rcx = td->tdr };
	status = host_seamcall_retry(w, EMU_TDH_MEM_TRACK, &args);
	return status ? world_error(w, "TDH.MEM.TRACK", status) : 0;
}

/* Zap one leaf; *@hpa is the page that the module gave back. */
int host_zap(struct host_td *td, u64 gpa, unsigned int level, u64 *hpa)
{
	struct world *w = td->w;
	struct tdx_module_args args = { .rcx = gpa | level, .rdx = td->tdr };
	u64 status;
	int err = host_block(td, gpa, level);

	if (err)
		return err;
	status = host_seamcall_retry(w, EMU_TDH_MEM_PAGE_REMOVE, &args);
	if (status)
		return world_error(w, "TDH.MEM.PAGE.REMOVE", status);
	*hpa = args.rcx & ~EMU_HINT_EMPTY;
	args = (struct tdx_module_args){ .rcx = *hpa | (u64)td->hkid << w->module.hkid_shift };
	status = host_seamcall_retry(w, EMU_TDH_PHYMEM_PAGE_WBINVD, &args);
	return status ? world_error(w, "TDH.PHYMEM.PAGE.WBINVD", status) : 0;
}

void host_drop_4k(struct host_td *td, u64 gpa, u64 hpa)
{
	world_put(td->w, hpa);
	phys_free_guest(&td->w->phys, hpa, host_chunk(td, gpa));
}

/* What the strategy's demote calls: the SEAMCALL with its pages in hand. */
struct demote {
	struct host_td *td;
	u64 gpa, sept, status;
	struct pamt_pair pair;
};

static u64 call_demote(struct pamt *p, unsigned long region, void *ctx)
{
	struct demote *d = ctx;
	struct world *w = d->td->w;
	struct tdx_module_args args = {
		.rcx = d->gpa | EMU_LEVEL_2M, .rdx = d->td->tdr, .r8 = d->sept,
		.r12 = d->pair.hpa[0], .r13 = d->pair.hpa[1],
	};
	d->status = world_seamcall(w, EMU_TDH_MEM_PAGE_DEMOTE, &args);
	if (!d->status && w->module.dynamic)
		world_pair_event(w, 1);
	return d->status;
}

/* Split the 2M leaf over @gpa into 4K leaves. Caches are full, mmu_lock held for writing. */
static int demote(struct host_vcpu *v, u64 gpa)
{
	struct host_td *td = v->td;
	struct world *w = td->w;
	u64 i = gpa >> PMD_SHIFT, first = i << (PMD_SHIFT - PAGE_SHIFT), n;
	struct demote d = { .td = td, .gpa = i << PMD_SHIFT };
	int err;

	if (!w->pamt.ops->demote)
		return -EOPNOTSUPP;
	d.sept = v->sept[--v->nr_sept];
	err = world_get(w, d.sept, &v->cache);
	if (err)
		goto out_page;
	if (w->module.dynamic) {
		err = pamt_pair_alloc(&w->pamt, &v->cache, &d.pair);
		if (err)
			goto out_put;
	}
	err = host_block(td, d.gpa, EMU_LEVEL_2M);
	if (!err)
		err = w->pamt.ops->demote(&w->pamt, pamt_region(&w->pamt, td->page_2m[i]),
					  call_demote, &d);
	if (err) {
		world_error(w, "TDH.MEM.PAGE.DEMOTE", d.status);
		goto out_pair;
	}
	for (n = 0; n < EMU_ENTRIES; n++)
		set_bit(first + n, td->mapped);
	td->table[1][i] = d.sept;
	td->page_2m[i] = 0;
	atomic_set_release(&td->entry[1][i], HOST_TABLE);
	world_this_cpu(w)->demotes++;
	return 0;

out_pair:
	if (w->module.dynamic)
		pamt_pair_free(&w->pamt, &v->cache, &d.pair);
out_put:
	world_put(w, d.sept);
out_page:
	phys_free_kernel(&w->phys, d.sept);
	return err;
}

static int zap_4k(struct host_vcpu *v, u64 gpa)
{
	struct host_td *td = v->td;
	u64 hpa;
	int err;

	write_lock(&td->mmu_lock);
	err = 0;
	if (atomic_read_acquire(&td->entry[1][gpa >> PMD_SHIFT]) == HOST_LEAF_2M)
		err = demote(v, gpa);
	if (!err && test_bit(gpa >> PAGE_SHIFT, td->mapped)) {
		err = host_zap(td, gpa, EMU_LEVEL_4K, &hpa);
		if (!err) {
			host_drop_4k(td, gpa, hpa);
			clear_bit(gpa >> PAGE_SHIFT, td->mapped);
		}
	}
	write_unlock(&td->mmu_lock);
	return err;
}

int host_convert(struct host_vcpu *v, u64 gpa, bool to_private)
{
	struct world *w = v->td->w;
	int err = 0;

	world_spend(w, COST_convert_base);
	if (to_private)
		return 0;
	err = host_topup(v);
	world_settle(w, &v->cache);
	if (!err)
		err = zap_4k(v, gpa);
	if (!err)
		world_this_cpu(w)->flips++;
	return err;
}

/* -------------------------------------------------------------- promotion */

struct promote {
	struct host_td *td;
	u64 gpa, sept;
	struct pamt_pair pair;
};

static u64 call_promote(struct pamt *p, unsigned long region, void *ctx)
{
	struct promote *d = ctx;
	struct world *w = d->td->w;
	struct tdx_module_args args = { .rcx = d->gpa | EMU_LEVEL_2M, .rdx = d->td->tdr };
	u64 status = world_seamcall(w, EMU_TDH_MEM_PAGE_PROMOTE, &args);

	if (status)
		return status;
	d->sept = args.rcx & ~EMU_HINT_EMPTY;
	d->pair.hpa[0] = args.r12;
	d->pair.hpa[1] = args.r13;
	if (w->module.dynamic)
		world_pair_event(w, -1);
	return 0;
}

int host_promote(struct host_vcpu *v, u64 gpa)
{
	struct host_td *td = v->td;
	struct world *w = td->w;
	u64 i = gpa >> PMD_SHIFT, first = i << (PMD_SHIFT - PAGE_SHIFT), base, n;
	struct promote d = { .td = td, .gpa = i << PMD_SHIFT };
	struct emu_page_info info;
	int err;

	if (!w->pamt.ops->promote)
		return -EOPNOTSUPP;
	if (!td->chunk || !td->chunk[i])
		return -EBUSY;
	base = td->chunk[i];
	write_lock(&td->mmu_lock);
	for (n = 0; n < EMU_ENTRIES; n++) {
		if (!test_bit(first + n, td->mapped) ||
		    emu_page_info(&w->module, base + n * PAGE_SIZE, &info) ||
		    info.owner != td->tdr) {
			write_unlock(&td->mmu_lock);
			return -EBUSY;
		}
	}
	err = host_block(td, d.gpa, EMU_LEVEL_2M);
	if (!err)
		err = w->pamt.ops->promote(&w->pamt, pamt_region(&w->pamt, base), call_promote, &d);
	if (err) {
		write_unlock(&td->mmu_lock);
		return err;
	}
	for (n = 0; n < EMU_ENTRIES; n++)
		clear_bit(first + n, td->mapped);
	td->page_2m[i] = base;
	atomic_set_release(&td->entry[1][i], HOST_LEAF_2M);
	write_unlock(&td->mmu_lock);
	if (w->module.dynamic)
		pamt_pair_free(&w->pamt, &v->cache, &d.pair);
	world_control_free(w, d.sept);
	return 0;
}
