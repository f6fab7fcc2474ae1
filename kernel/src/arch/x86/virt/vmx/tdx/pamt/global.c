// SPDX-License-Identifier: GPL-2.0-only
/*
 * global: patch 05 of series v6 alone. One spinlock around every get and every
 * put, a page pair taken before it and returned after it on each get that did
 * not need it. Nobody has published what this costs.
 *
 * The count is only touched under the lock; it is atomic_t because it is read
 * without the lock by the memory report.
 */
#include "locked.h"

static noinline int global_install(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct pamt_install in = { .leaf = PAMT_LEAF_ADD, .call = pamt_call_add, .ctx = pair };
	int err = pamt_install_claimed(p, region, &in);

	if (!err)
		atomic_set(&p->count[region], 1);
	else
		pamt_stat(p, get_failed);
	return err;
}

static noinline bool global_remove(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	bool removed = !pamt_remove_claimed(p, region, pair);

	/* A pair that stays for good keeps one user. */
	atomic_set(&p->count[region], removed ? 0 : 1);
	return removed;
}

/*
 * A call that waited or made a transition is slow, from the first of the two
 * on; IRQs were off all the time.
 */
static void global_irqoff(struct pamt *p, u64 since)
{
	struct pamt_stats *st = this_cpu_ptr(p->stats);
	u64 ns = local_clock() - since;

	if (ns > st->irqoff_max_ns)
		st->irqoff_max_ns = ns;
}

static noinline void global_slow_get(struct pamt *p, u64 transition, u64 waited)
{
	struct pamt_slow slow;

	pamt_slow_begin(&slow, waited ? waited : transition);
	pamt_slow_end_get(p, &slow);
	global_irqoff(p, slow.start);
}

static noinline void global_slow_put(struct pamt *p, u64 transition, u64 waited)
{
	struct pamt_slow slow;

	pamt_slow_begin(&slow, waited ? waited : transition);
	pamt_slow_end_put(p, &slow);
	global_irqoff(p, slow.start);
}

static __always_inline int global_get(struct pamt *p, unsigned long region,
				      struct pamt_cache *cache)
{
	struct pamt_lock *lock = &p->locks[0];
	struct pamt_pair pair;
	unsigned long flags;
	u64 waited, start = 0;
	bool used = false;
	int n, err;

	err = pamt_pair_alloc(p, cache, &pair);
	if (unlikely(err)) {
		pamt_stat(p, get_failed);
		return err;
	}
	local_irq_save(flags);
	waited = pamt_lock(p, lock, region);
	n = atomic_read(&p->count[region]);
	if (likely(n)) {
		atomic_set(&p->count[region], n + 1);
	} else {
		start = local_clock();
		err = global_install(p, region, &pair);
		used = !err;
	}
	pamt_unlock(lock);
	if (unlikely(start || waited))
		global_slow_get(p, start, waited);
	local_irq_restore(flags);
	if (likely(!used))
		pamt_pair_free(p, cache, &pair);
	return err;
}

static __always_inline void global_put(struct pamt *p, unsigned long region)
{
	struct pamt_lock *lock = &p->locks[0];
	struct pamt_pair pair;
	unsigned long flags;
	u64 waited, start = 0;
	bool removed = false;
	int n;

	local_irq_save(flags);
	waited = pamt_lock(p, lock, region);
	n = atomic_read(&p->count[region]);
	if (likely(n > 1)) {
		atomic_set(&p->count[region], n - 1);
	} else if (!WARN_ON_ONCE(n <= 0)) {
		start = local_clock();
		removed = global_remove(p, region, &pair);
	}
	pamt_unlock(lock);
	if (unlikely(start || waited))
		global_slow_put(p, start, waited);
	local_irq_restore(flags);
	if (unlikely(removed))
		pamt_pair_free(p, NULL, &pair);
}

static int pamt_global_get(struct pamt *p, unsigned long region, struct pamt_cache *cache)
{
	return global_get(p, region, cache);
}

static void pamt_global_put(struct pamt *p, unsigned long region)
{
	global_put(p, region);
}

static int pamt_global_demote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	return locked_demote(p, &p->locks[0], region, call, ctx);
}

static int pamt_global_promote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	return locked_promote(p, &p->locks[0], region, call, ctx);
}

const struct pamt_ops pamt_global_ops = {
	.name = "global",
	.what = "v6 patch 05 alone: one spinlock around every get and put",
	.dynamic = true,
	.primitive = PAMT_PRIM_LOCK,
	.has_locks = true,
	.get = pamt_global_get,
	.put = pamt_global_put,
	.demote = pamt_global_demote,
	.promote = pamt_global_promote,
	.users = locked_users,
};
