// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for another CPU, in one place: every wait of every strategy passes
 * pamt_wait_begin() and pamt_wait_end(), where it is timed, told true from
 * false, and shown to the kernel's lock tools as a contention of the lock or
 * state word.
 */
#include <linux/preempt.h>
#include <linux/sched/clock.h>
#include <trace/events/lock.h>
#include <trace/events/tdx_pamt.h>

#include "pamt.h"

#ifdef CONFIG_LOCKDEP
static struct lock_class_key word_key, wait_key, fallback_key;
struct lockdep_map pamt_word_map = STATIC_LOCKDEP_MAP_INIT("tdx_pamt_word", &word_key);
struct lockdep_map pamt_wait_map = STATIC_LOCKDEP_MAP_INIT("tdx_pamt_wait", &wait_key);
struct lockdep_map pamt_fallback_map = STATIC_LOCKDEP_MAP_INIT("tdx_pamt_fallback", &fallback_key);
#endif

void pamt_wait_begin(struct pamt *p, struct pamt_waiting *w, void *what, unsigned long region,
		     unsigned long holder)
{
	w->same_region = holder == region;
	w->start = local_clock();
	trace_contention_begin(what, LCB_F_SPIN);
}

void pamt_wait_end(struct pamt *p, struct pamt_waiting *w, void *what)
{
	u64 ns = local_clock() - w->start;
	struct pamt_stats *st;

	trace_contention_end(what, 0);
	/* A get may wait with preemption on. */
	preempt_disable();
	st = this_cpu_ptr(p->stats);
	st->wait_count[w->same_region]++;
	st->wait_ns[w->same_region] += ns;
	pamt_hist_add(&st->wait, ns);
	preempt_enable();
	trace_tdx_pamt_wait(what, w->same_region, ns);
}

/*
 * The contention events enclose those of the queued spinlock, which come only
 * after its pending-bit stage and not for its first waiter. Both name the same
 * address, and perf takes the first begin and the first end of an address.
 */
u64 pamt_lock_slow(struct pamt *p, struct pamt_lock *l, unsigned long region)
{
	struct pamt_waiting w;

	pamt_wait_begin(p, &w, l, region, READ_ONCE(l->region));
	spin_lock(&l->lock);
	pamt_wait_end(p, &w, l);
	return w.start;
}
