// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dynamic PAMT: the instance, the BUSY tail and the transitions that all
 * strategies share.
 *
 * BUSY. TDH.PHYMEM.PAMT.ADD locks the 2M entry of its region exclusively, and
 * shared those of the regions that its two pages lie in, and the module never
 * waits: it answers TDX_OPERAND_BUSY. Two ADDs whose pages lie in each
 * other's regions can refuse each other for ever, so retrying is no answer:
 *
 *   CPU0 ADD(A, pages in B)		CPU1 ADD(B, pages in A)
 *   A: exclusive			B: exclusive
 *   B: shared -> BUSY			A: shared -> BUSY
 *
 * The tail takes the fallback exclusively and tries again alone. With correct
 * counts only PAMT SEAMCALLs of other regions conflict, and whoever asks for a
 * region's entry (pamt_seamcall_beside()); all of them hold the fallback shared,
 * so the second BUSY would be a bug: it warns. One reader of entries cannot hold
 * it: the machine check handler's, on its way to a panic.
 */
#include <linux/bug.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/shared/tdx_errno.h>
#include <trace/events/tdx_pamt.h>

#include "transition.h"

#define PAMT_ENTRY(sym, name) &pamt_##sym##_ops,
static const struct pamt_ops *const strategies[] = { PAMT_STRATEGIES(PAMT_ENTRY) };

const struct pamt_ops *pamt_ops_at(unsigned int i)
{
	return i < ARRAY_SIZE(strategies) ? strategies[i] : NULL;
}

const struct pamt_ops *pamt_find_ops(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(strategies); i++)
		if (!strcmp(strategies[i]->name, name))
			return strategies[i];
	return NULL;
}

/* ----------------------------------------------------------- the instance */

static int fallback_init(struct pamt *p)
{
	struct pamt_fallback *f = &p->fallback;

	spin_lock_init(&f->writer.lock);
	f->writer.region = PAMT_NO_REGION;
	f->region = PAMT_NO_REGION;
	atomic_set(&f->exclusive, 0);
	rwlock_init(&f->rwlock);
	f->use_rwlock = p->ops->use_rwlock;
	f->readers = alloc_percpu(struct pamt_reader);
	return f->readers ? 0 : -ENOMEM;
}

static int init_over_ranges(struct pamt *p)
{
	const struct pamt_ops *ops = p->ops;
	unsigned long i, nr_locks = ops->has_locks ? 1UL << ops->lock_bits : 0;
	unsigned int r;

	p->lock_bits = ops->lock_bits;
	p->nr_regions = p->ranges[p->nr_ranges - 1].end;
	p->stats = alloc_percpu(struct pamt_stats);
	if (nr_locks)
		p->locks = kvcalloc(nr_locks, sizeof(*p->locks), GFP_KERNEL);
	if (!p->count || !p->stats || (nr_locks && !p->locks) || fallback_init(p)) {
		pamt_destroy(p);
		return -ENOMEM;
	}
	for (r = 0; r < p->nr_ranges; r++)
		for (i = p->ranges[r].first; i < p->ranges[r].end; i++)
			atomic_set(&p->count[i], ops->absent);
	for (i = 0; i < nr_locks; i++) {
		spin_lock_init(&p->locks[i].lock);
		p->locks[i].region = PAMT_NO_REGION;
	}
	p->strategy_bytes = nr_locks * sizeof(*p->locks);
	if (ops->users && !ops->use_rwlock)
		p->strategy_bytes += num_possible_cpus() * sizeof(struct pamt_reader);
	return 0;
}

int pamt_init(struct pamt *p, const struct pamt_ops *ops, u64 base, unsigned long nr_regions)
{
	memset(p, 0, sizeof(*p));
	p->ops = ops;
	p->first_region = base >> PMD_SHIFT;
	p->count = kvcalloc(nr_regions, sizeof(*p->count), GFP_KERNEL);
	p->owns_count = true;
	p->whole.end = nr_regions;
	p->ranges = &p->whole;
	p->nr_ranges = 1;
	return init_over_ranges(p);
}

int pamt_init_sparse(struct pamt *p, const struct pamt_ops *ops, u64 base, atomic_t *count,
		     const struct pamt_range *ranges, unsigned int nr_ranges)
{
	memset(p, 0, sizeof(*p));
	p->ops = ops;
	p->first_region = base >> PMD_SHIFT;
	p->count = count;
	p->ranges = ranges;
	p->nr_ranges = nr_ranges;
	return init_over_ranges(p);
}

void pamt_destroy(struct pamt *p)
{
	free_percpu(p->fallback.readers);
	free_percpu(p->stats);
	kvfree(p->locks);
	if (p->owns_count)
		kvfree(p->count);
	p->fallback.readers = NULL;
	p->stats = NULL;
	p->locks = NULL;
	p->count = NULL;
}

int pamt_idle(const struct pamt *p, unsigned long *region)
{
	unsigned long i;
	unsigned int r;

	if (!p->ops->users)
		return 0;
	for (r = 0; r < p->nr_ranges; r++) {
		for (i = p->ranges[r].first; i < p->ranges[r].end; i++) {
			if (atomic_read(&p->count[i]) != p->ops->absent) {
				*region = i;
				return -EBUSY;
			}
		}
	}
	return 0;
}

int pamt_map_2m(struct pamt *p, unsigned long region)
{
	const struct pamt_ops *ops = p->ops;

	if (ops->preinstalled)
		return -EBUSY;
	if (!ops->users)
		return 0;
	if (ops->drop)
		return ops->drop(p, region);
	return atomic_read(&p->count[region]) == ops->absent ? 0 : -EBUSY;
}

/* ------------------------------------------------------------ the fallback */

static void fallback_share(struct pamt *p, unsigned long region)
{
	struct pamt_fallback *f = &p->fallback;
	struct pamt_reader *r = this_cpu_ptr(f->readers);

	if (f->use_rwlock) {
		if (!read_trylock(&f->rwlock)) {
			struct pamt_waiting w;

			pamt_wait_begin(p, &w, f, region, READ_ONCE(f->region));
			read_lock(&f->rwlock);
			pamt_wait_end(p, &w, f);
		}
		return;
	}
	lock_map_acquire_read(&pamt_fallback_map);
	for (;;) {
		struct pamt_waiting w;

		/* Fully ordered: pairs with the exclusive side's set and look, store then load. */
		atomic_fetch_add(1, &r->active);
		if (likely(!atomic_read_acquire(&f->exclusive)))
			return;
		atomic_sub_return_release(1, &r->active);
		pamt_wait_begin(p, &w, &f->exclusive, region, READ_ONCE(f->region));
		lock_contended(&pamt_fallback_map, _THIS_IP_);
		atomic_cond_read_acquire(&f->exclusive, !VAL);
		lock_acquired(&pamt_fallback_map, _THIS_IP_);
		pamt_wait_end(p, &w, &f->exclusive);
	}
}

static void fallback_unshare(struct pamt *p)
{
	struct pamt_fallback *f = &p->fallback;

	if (f->use_rwlock) {
		read_unlock(&f->rwlock);
		return;
	}
	atomic_sub_return_release(1, &this_cpu_ptr(f->readers)->active);
	lock_map_release(&pamt_fallback_map);
}

/*
 * The region is in place before anybody can be kept out by it. Of writers that
 * queue for the rwlock the last one's is seen until one of them has the lock.
 */
static void fallback_exclude(struct pamt *p, unsigned long region)
{
	struct pamt_fallback *f = &p->fallback;
	unsigned int cpu;

	if (f->use_rwlock) {
		WRITE_ONCE(f->region, region);
		write_lock(&f->rwlock);
		WRITE_ONCE(f->region, region);
		return;
	}
	spin_lock(&f->writer.lock);
	WRITE_ONCE(f->region, region);
	lock_map_acquire(&pamt_fallback_map);
	lock_contended(&pamt_fallback_map, _THIS_IP_);
	/* Fully ordered against fallback_share(). */
	atomic_fetch_add(1, &f->exclusive);
	for_each_possible_cpu(cpu)
		atomic_cond_read_acquire(&per_cpu_ptr(f->readers, cpu)->active, !VAL);
	lock_acquired(&pamt_fallback_map, _THIS_IP_);
}

static void fallback_admit(struct pamt *p)
{
	struct pamt_fallback *f = &p->fallback;

	if (f->use_rwlock) {
		write_unlock(&f->rwlock);
		return;
	}
	atomic_set_release(&f->exclusive, 0);
	lock_map_release(&pamt_fallback_map);
	spin_unlock(&f->writer.lock);
}

/* ------------------------------------------------------------ the BUSY tail */

static bool status_busy(u64 status)
{
	return (status & TDX_SEAMCALL_STATUS_MASK) == TDX_OPERAND_BUSY;
}

/* The low half of a BUSY status is the operand's id: RCX is 1; PAMT pages are RDX, R8, R12, R13. */
static enum pamt_operand busy_operand(u64 status)
{
	switch ((u32)status) {
	case 1:
		return PAMT_BUSY_REGION;
	case 2:
	case 8:
	case 12:
	case 13:
		return PAMT_BUSY_PAGE;
	default:
		return PAMT_BUSY_OTHER;
	}
}

static void count_busy(struct pamt *p, unsigned long region, enum pamt_leaf leaf, u64 status)
{
	this_cpu_ptr(p->stats)->busy[leaf][busy_operand(status)]++;
	trace_tdx_pamt_busy(pamt_region_hpa(p, region), leaf, status);
}

/*
 * A SEAMCALL was answered BUSY: wait until no other PAMT SEAMCALL runs. Always
 * a false wait, whoever it was works on another region.
 */
static void pamt_busy_wait(struct pamt *p, unsigned long region)
{
	struct pamt_waiting w;

	pamt_wait_begin(p, &w, &p->fallback, region, PAMT_NO_REGION);
	fallback_exclude(p, region);
	pamt_wait_end(p, &w, &p->fallback);
}

u64 pamt_seamcall(struct pamt *p, unsigned long region, enum pamt_leaf leaf, pamt_call_t call,
		  void *ctx)
{
	u64 status;

	fallback_share(p, region);
	status = call(p, region, ctx);
	fallback_unshare(p);
	this_cpu_ptr(p->stats)->seamcall[leaf]++;
	if (likely(!status_busy(status)))
		return status;

	count_busy(p, region, leaf, status);
	pamt_busy_wait(p, region);
	status = call(p, region, ctx);
	fallback_admit(p);
	this_cpu_ptr(p->stats)->seamcall[leaf]++;
	if (WARN_ON_ONCE(status_busy(status)))
		count_busy(p, region, leaf, status);
	return status;
}

u64 pamt_seamcall_beside(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	unsigned long flags;
	u64 status;

	local_irq_save(flags);
	fallback_share(p, region);
	status = call(p, region, ctx);
	fallback_unshare(p);
	local_irq_restore(flags);
	return status;
}

/* ------------------------------------------------------------- transitions */

u64 pamt_call_add(struct pamt *p, unsigned long region, void *pair)
{
	return tdh_phymem_pamt_add(p, region, pair);
}

u64 pamt_call_remove(struct pamt *p, unsigned long region, void *pair)
{
	return tdh_phymem_pamt_remove(p, region, pair);
}

int pamt_install_claimed(struct pamt *p, unsigned long region, const struct pamt_install *in)
{
	u64 status = pamt_seamcall(p, region, in->leaf, in->call, in->ctx);

	trace_tdx_pamt_install(pamt_region_hpa(p, region), in->leaf, status);
	if (WARN_ON_ONCE(status))
		return -EIO;
	pamt_stat(p, install);
	return 0;
}

int pamt_remove_claimed(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	u64 status = pamt_seamcall(p, region, PAMT_LEAF_REMOVE, pamt_call_remove, pair);

	trace_tdx_pamt_remove(pamt_region_hpa(p, region), PAMT_LEAF_REMOVE, status);
	if (WARN_ON_ONCE(status)) {
		/* The module may still own the pages: they stay where they are. */
		pamt_stat(p, leaked);
		return -EIO;
	}
	pamt_stat(p, remove);
	return 0;
}
