/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transitions under a spinlock, fast path outside it: what series v6 does with
 * one lock and what a hashed array does with many. The includer says which lock
 * a region has.
 *
 * The count word is the number of users. It leaves and reaches zero only under
 * the region's lock, so a get that finds it non-zero needs nothing else (R1, R3),
 * and dropping to zero and holding the lock are one step (R2, R4).
 *
 * The spinlock is taken with IRQs off: a put may come from a softirq (R8).
 */
#ifndef PAMT_LOCKED_H
#define PAMT_LOCKED_H

#include <linux/errno.h>

#include "transition.h"

/* Take @n references on a region whose count was seen to be zero. */
static noinline int locked_get_slow(struct pamt *p, struct pamt_lock *lock, unsigned long region,
				    int n, struct pamt_cache *cache, struct pamt_install *in)
{
	bool own_pair = in->leaf == PAMT_LEAF_ADD, used = false;
	atomic_t *word = &p->count[region];
	struct pamt_section sec;
	struct pamt_slow slow;
	struct pamt_pair pair;
	int err = 0;

	pamt_slow_begin(&slow, 0);
	if (own_pair) {
		err = pamt_pair_alloc(p, cache, &pair);
		in->ctx = &pair;
	}
	if (err)
		goto out;

	pamt_section_begin(&sec);
	pamt_lock(p, lock, region);
	/* A region mapped at 2M has no pair: DEMOTE must be the one that installs it. */
	if (!own_pair && WARN_ON_ONCE(atomic_read(word))) {
		err = -EIO;
	} else if (!atomic_add_unless(word, n, 0)) {
		err = pamt_install_claimed(p, region, in);
		used = !err;
		if (!err)
			atomic_set_release(word, n);
	}
	pamt_unlock(lock);
	pamt_section_end(p, &sec);

	if (own_pair && !used) {
		pamt_pair_free(p, cache, &pair);
		if (!err)
			pamt_stat(p, lost_race);
	}
out:
	if (err)
		pamt_stat(p, get_failed);
	pamt_slow_end_get(p, &slow);
	return err;
}

static noinline void locked_put_slow(struct pamt *p, struct pamt_lock *lock, unsigned long region)
{
	atomic_t *word = &p->count[region];
	struct pamt_section sec;
	struct pamt_slow slow;
	struct pamt_pair pair;
	bool removed = false;

	pamt_slow_begin(&slow, 0);
	pamt_section_begin(&sec);
	pamt_lock(p, lock, region);
	/* A put without its get must not take the count below zero. */
	if (!WARN_ON_ONCE(atomic_read(word) <= 0) && atomic_dec_and_test(word)) {
		removed = !pamt_remove_claimed(p, region, &pair);
		/* The pair stays for good: one user stands for it. */
		if (!removed)
			atomic_set_release(word, 1);
	}
	pamt_unlock(lock);
	pamt_section_end(p, &sec);
	if (removed)
		pamt_pair_free(p, NULL, &pair);
	pamt_slow_end_put(p, &slow);
}

static __always_inline int locked_get(struct pamt *p, struct pamt_lock *lock, unsigned long region,
				      struct pamt_cache *cache)
{
	if (unlikely(!atomic_inc_not_zero(&p->count[region]))) {
		struct pamt_install in = { .leaf = PAMT_LEAF_ADD, .call = pamt_call_add };

		return locked_get_slow(p, lock, region, 1, cache, &in);
	}
	return 0;
}

static __always_inline void locked_put(struct pamt *p, struct pamt_lock *lock,
				       unsigned long region)
{
	atomic_t *word = &p->count[region];
	int v = atomic_read(word);

	while (likely(v > 1))
		if (likely(atomic_try_cmpxchg_release(word, &v, v - 1)))
			return;
	locked_put_slow(p, lock, region);
}

static inline int locked_demote(struct pamt *p, struct pamt_lock *lock, unsigned long region,
				pamt_call_t call, void *ctx)
{
	struct pamt_install in = { .leaf = PAMT_LEAF_DEMOTE, .call = call, .ctx = ctx };

	return locked_get_slow(p, lock, region, PAMT_REGION_PAGES, NULL, &in);
}

static inline int locked_promote(struct pamt *p, struct pamt_lock *lock, unsigned long region,
				 pamt_call_t call, void *ctx)
{
	atomic_t *word = &p->count[region];
	struct pamt_section sec;
	int v = PAMT_REGION_PAGES, err = 0;

	pamt_section_begin(&sec);
	pamt_lock(p, lock, region);
	/* To zero first: from here on a get waits for the lock. */
	if (!atomic_try_cmpxchg_acquire(word, &v, 0)) {
		err = -EBUSY;
	} else if (pamt_seamcall(p, region, PAMT_LEAF_PROMOTE, call, ctx)) {
		atomic_set_release(word, PAMT_REGION_PAGES);
		err = -EIO;
	} else {
		pamt_stat(p, remove);
	}
	pamt_unlock(lock);
	pamt_section_end(p, &sec);
	return err;
}

static inline unsigned int locked_users(const struct pamt *p, unsigned long region)
{
	return atomic_read(&p->count[region]);
}

/*
 * The functions of the strategy NAME, whose lock for a region is LOCK_OF(p, region).
 * Each strategy's have names of their own: probes and profiles tell them apart.
 */
#define PAMT_LOCKED_OPS(NAME, LOCK_OF)                                              \
	static int pamt_##NAME##_get(struct pamt *p, unsigned long region,          \
				     struct pamt_cache *cache)                      \
	{                                                                           \
		return locked_get(p, LOCK_OF(p, region), region, cache);            \
	}                                                                           \
	static void pamt_##NAME##_put(struct pamt *p, unsigned long region)         \
	{                                                                           \
		locked_put(p, LOCK_OF(p, region), region);                          \
	}                                                                           \
	static int pamt_##NAME##_demote(struct pamt *p, unsigned long region,       \
					pamt_call_t call, void *ctx)                \
	{                                                                           \
		return locked_demote(p, LOCK_OF(p, region), region, call, ctx);     \
	}                                                                           \
	static int pamt_##NAME##_promote(struct pamt *p, unsigned long region,      \
					 pamt_call_t call, void *ctx)               \
	{                                                                           \
		return locked_promote(p, LOCK_OF(p, region), region, call, ctx);    \
	}

#endif
