/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all strategies do in the slow path, whatever serialises them: time the
 * call, run the SEAMCALL with IRQs off, count the transition, and keep or
 * return the pair.
 */
#ifndef PAMT_TRANSITION_H
#define PAMT_TRANSITION_H

#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/sched/clock.h>

#include "pamt.h"

/*
 * One slow call. Waiting may begin before it is known that the call is slow;
 * pamt_slow_begin() then takes the wait's start.
 */
struct pamt_slow {
	u64 start;
};

static inline void pamt_slow_begin(struct pamt_slow *s, u64 waited_since)
{
	s->start = waited_since ? waited_since : local_clock();
}

static inline void pamt_slow_end_get(struct pamt *p, const struct pamt_slow *s)
{
	struct pamt_stats *st;

	preempt_disable();
	st = this_cpu_ptr(p->stats);
	st->get_slow++;
	pamt_hist_add(&st->get_ns, local_clock() - s->start);
	preempt_enable();
}

static inline void pamt_slow_end_put(struct pamt *p, const struct pamt_slow *s)
{
	struct pamt_stats *st;

	preempt_disable();
	st = this_cpu_ptr(p->stats);
	st->put_slow++;
	pamt_hist_add(&st->put_ns, local_clock() - s->start);
	preempt_enable();
}

/*
 * A section with IRQs off, from claim (or lock) to publish (or unlock): a
 * claimant that is preempted or interrupted by a put of the same region would
 * leave waiters spinning.
 */
struct pamt_section {
	unsigned long flags;
	u64 start;
};

static inline void pamt_section_begin(struct pamt_section *s)
{
	local_irq_save(s->flags);
	s->start = local_clock();
}

static inline void pamt_section_end(struct pamt *p, struct pamt_section *s)
{
	struct pamt_stats *st = this_cpu_ptr(p->stats);
	u64 ns = local_clock() - s->start;

	if (ns > st->irqoff_max_ns)
		st->irqoff_max_ns = ns;
	local_irq_restore(s->flags);
}

/* The same for a region that is claimed in its word, which lockdep cannot see by itself. */
static inline void pamt_claimed(void)
{
	lock_map_acquire(&pamt_word_map);
}

static inline void pamt_published(void)
{
	lock_map_release(&pamt_word_map);
}

/* How a get installs a pair: with ADD and a pair in hand, or as DEMOTE does. */
struct pamt_install {
	enum pamt_leaf leaf;
	pamt_call_t call;
	void *ctx;
};

u64 pamt_call_add(struct pamt *p, unsigned long region, void *pair);
u64 pamt_call_remove(struct pamt *p, unsigned long region, void *pair);

/*
 * Install the pair of a region that the caller has claimed: 0 or -EIO. The
 * SEAMCALL's other errors are bugs of the host, so they warn.
 */
int pamt_install_claimed(struct pamt *p, unsigned long region, const struct pamt_install *in);

/*
 * Remove the pair of a claimed region into *@pair: 0, or -EIO when the pair
 * stays in place for good (the caller keeps a reference for it).
 */
int pamt_remove_claimed(struct pamt *p, unsigned long region, struct pamt_pair *pair);

#endif
