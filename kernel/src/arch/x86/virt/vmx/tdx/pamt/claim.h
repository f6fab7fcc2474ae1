/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Per-region exclusion in the count word, for the strategies that take no lock
 * around a transition.
 *
 *   word	>= 0		present, word + 1 users
 *		-1		present, no user: whoever turns it into REMOVING removes
 *		ABSENT + k	no pair; k gets have come and try to install
 *		INSTALLING + k	one of the k is in PAMT.ADD, the others wait
 *		REMOVING + k	a put is in PAMT.REMOVE, k gets wait for its end
 *
 * A get is one unconditional locked add: not negative means that it has its
 * reference. If the result is negative the reference is already registered in
 * k; the get that claims INSTALLING publishes "present" by one add that turns
 * k into users, so waiting gets return without touching the word again. A put
 * is one locked add too; only the put that sees -1 goes on, and only the
 * winner of the cmpxchg from exactly -1 removes. A word carries its state with
 * it, so a get that comes back between (-1 -> 0) and a second put (0 -> -1)
 * cannot make two puts remove (race R4).
 *
 * From claim to publish a CPU runs with IRQs off, holds no lock that a waiter
 * may hold, and waits for nothing but the fallback.
 *
 * Ordering: get is acquire, put is release, the claim of a removal is acquire:
 * all uses of a region happen before its REMOVE. Publishing is release.
 */
#ifndef PAMT_CLAIM_H
#define PAMT_CLAIM_H

#include <linux/errno.h>

#include "transition.h"

/* 2^27 registrations either way fit in a zone; bit 31 is set in all three. */
#define CLAIM_ABSENT ((int)0x88000000U)
#define CLAIM_INSTALLING ((int)0xa8000000U)
#define CLAIM_REMOVING ((int)0xc8000000U)
#define CLAIM_IDLE (-1)
#define CLAIM_ZONE(v) ((u32)(v) >> 28)

static inline bool claim_is(int v, int zone)
{
	return CLAIM_ZONE(v) == CLAIM_ZONE(zone);
}

/* Registrations in a word that is not present; a put without its get makes them negative. */
static inline int claim_registered(int v)
{
	return (v & 0x0fffffff) - 0x08000000;
}

static inline bool claim_underflow(int v)
{
	return v < CLAIM_IDLE &&
	       (CLAIM_ZONE(v) == CLAIM_ZONE(CLAIM_IDLE) || claim_registered(v) < 0);
}

/* A put without its get must not take away what the next get registers. */
static inline void claim_mend_underflow(atomic_t *word, int v)
{
	if (!WARN_ON_ONCE(claim_underflow(v)))
		return;
	while (claim_underflow(v))
		if (atomic_try_cmpxchg_relaxed(word, &v, v + 1))
			break;
}

/* Drop @n registrations of a get that gives up; true if they became users meanwhile. */
static inline bool claim_withdraw(atomic_t *word, int n)
{
	for (;;) {
		/* A user needs to see what the publisher did. */
		int v = atomic_read_acquire(word);

		if (v >= 0)
			return true;
		if (atomic_try_cmpxchg_relaxed(word, &v, v - n))
			return false;
	}
}

/*
 * The slow path of a get whose @n references are registered and whose word was
 * negative. With an @in of leaf ADD the pair is allocated here, before the claim;
 * DEMOTE brings its own.
 */
static noinline int claim_get_slow(struct pamt *p, unsigned long region, int n,
				   struct pamt_cache *cache, struct pamt_install *in)
{
	bool own_pair = in->leaf == PAMT_LEAF_ADD, in_hand = !own_pair;
	atomic_t *word = &p->count[region];
	struct pamt_pair pair;
	struct pamt_section sec;
	struct pamt_slow slow;
	int v, err = 0;

	pamt_slow_begin(&slow, 0);
	for (;;) {
		v = atomic_read_acquire(word);
		if (v >= 0)
			break;
		if (!claim_is(v, CLAIM_ABSENT)) {
			pamt_wait(p, word, region, region,
				  VAL >= 0 || claim_is(VAL, CLAIM_ABSENT));
			continue;
		}
		if (!in_hand) {
			err = pamt_pair_alloc(p, cache, &pair);
			if (err) {
				if (claim_withdraw(word, n))
					err = 0;
				break;
			}
			in->ctx = &pair;
			in_hand = true;
			continue;
		}
		pamt_section_begin(&sec);
		if (!atomic_try_cmpxchg_acquire(word, &v, v - CLAIM_ABSENT + CLAIM_INSTALLING)) {
			local_irq_restore(sec.flags);
			continue;
		}
		pamt_claimed();
		err = pamt_install_claimed(p, region, in);
		pamt_published();
		/* Publish: the k registrations become k users, or absent again without ours. */
		if (!err)
			atomic_add_return_release(-CLAIM_INSTALLING - 1, word);
		else
			atomic_add_return_release(CLAIM_ABSENT - CLAIM_INSTALLING - n, word);
		pamt_section_end(p, &sec);
		in_hand = in_hand && err;
		if (!own_pair)
			in_hand = false;
		break;
	}
	if (own_pair && in_hand) {
		pamt_pair_free(p, cache, &pair);
		if (!err)
			pamt_stat(p, lost_race);
	}
	if (err)
		pamt_stat(p, get_failed);
	pamt_slow_end_get(p, &slow);
	return err;
}

/* The slow path of a put that took the word below zero. */
static noinline void claim_put_slow(struct pamt *p, unsigned long region)
{
	atomic_t *word = &p->count[region];
	struct pamt_section sec;
	struct pamt_slow slow;
	struct pamt_pair pair;
	int v = CLAIM_IDLE;
	bool removed;

	pamt_slow_begin(&slow, 0);
	pamt_section_begin(&sec);
	if (!atomic_try_cmpxchg_acquire(word, &v, CLAIM_REMOVING)) {
		/* A get came back, or another put has taken it from here. */
		local_irq_restore(sec.flags);
		claim_mend_underflow(word, v);
		pamt_slow_end_put(p, &slow);
		return;
	}
	pamt_claimed();
	removed = !pamt_remove_claimed(p, region, &pair);
	pamt_published();
	if (removed) {
		atomic_add_return_release(CLAIM_ABSENT - CLAIM_REMOVING, word);
		pamt_section_end(p, &sec);
		pamt_pair_free(p, NULL, &pair);
	} else {
		/* Present for good: one user stands for the pair that stays. */
		atomic_add_return_release(-CLAIM_REMOVING, word);
		pamt_section_end(p, &sec);
	}
	pamt_slow_end_put(p, &slow);
}

static int claim_demote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	struct pamt_install in = { .leaf = PAMT_LEAF_DEMOTE, .call = call, .ctx = ctx };

	/* A region mapped at 2M has no pair, so nobody can have installed one. */
	if (WARN_ON_ONCE(atomic_add_return_acquire(PAMT_REGION_PAGES, &p->count[region]) >= 0)) {
		/* The last user may have gone meanwhile: then the pair is ours to remove. */
		if (atomic_sub_return_release(PAMT_REGION_PAGES, &p->count[region]) < 0)
			claim_put_slow(p, region);
		return -EIO;
	}
	return claim_get_slow(p, region, PAMT_REGION_PAGES, NULL, &in);
}

static int claim_promote(struct pamt *p, unsigned long region, pamt_call_t call, void *ctx)
{
	atomic_t *word = &p->count[region];
	struct pamt_section sec;
	int v = PAMT_REGION_PAGES - 1;
	u64 status;

	pamt_section_begin(&sec);
	if (!atomic_try_cmpxchg_acquire(word, &v, CLAIM_REMOVING)) {
		local_irq_restore(sec.flags);
		return -EBUSY;
	}
	pamt_claimed();
	status = pamt_seamcall(p, region, PAMT_LEAF_PROMOTE, call, ctx);
	pamt_published();
	if (!status) {
		pamt_stat(p, remove);
		atomic_add_return_release(CLAIM_ABSENT - CLAIM_REMOVING, word);
	} else {
		atomic_add_return_release(PAMT_REGION_PAGES - 1 - CLAIM_REMOVING, word);
	}
	pamt_section_end(p, &sec);
	return status ? -EIO : 0;
}

static unsigned int claim_users(const struct pamt *p, unsigned long region)
{
	int v = atomic_read(&p->count[region]);

	return v >= CLAIM_IDLE ? v + 1 : claim_registered(v);
}

#endif
