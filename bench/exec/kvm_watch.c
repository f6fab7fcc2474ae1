// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cell's watchman: the number of pairs over time, and whether TDs, touches and
 * timers still move.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "exec/kvm_cell.h"
#include "measure/clock.h"

#define PAIRS_NS 50000000ULL	/* between two looks at the number of pairs */
#define STALL_NS 60000000000ULL	/* a program that is longer idle at a stretch is none */

void kvm_note_pairs(struct kvm_cell *r, u64 now, u64 pairs)
{
	if (r->nr_events == r->max_events) {
		size_t max = r->max_events ? 2 * r->max_events : 256;
		struct pair_event *e = realloc(r->event, max * sizeof(*e));

		if (!e)
			return;
		r->event = e;
		r->max_events = max;
	}
	r->event[r->nr_events++] = (struct pair_event){
		.ns = now - r->start - r->paused_ns, .delta = (s64)(pairs - r->pairs),
	};
	r->pairs = pairs;
}

static void watch_pairs(struct kvm_cell *r)
{
	u64 pairs = kvm_pairs(r->c);

	pthread_mutex_lock(&r->lock);
	/* Time stands still while the world does. */
	if (!r->gate.closed)
		kvm_note_pairs(r, clock_ns(), pairs);
	pthread_mutex_unlock(&r->lock);
}

/* Does anything in this run still move? TDs that come and go, touches, timers. */
static u64 pulse(const struct kvm_cell *r)
{
	u64 sum = r->gone + r->cell->sum.tds;

	for (unsigned int i = 0; i < r->nr_tasks; i++) {
		const struct kvm_td *td = r->task[i].shown;

		for (unsigned int v = 0; td && v < td->vcpus; v++)
			sum += td->vcpu_box[v].accepts + td->vcpu_box[v].conversions +
			       td->vcpu_box[v].idles + td->vcpu_box[v].state;
	}
	return sum;
}

/* Has any guest touched memory? With the lock held. */
static bool has_touched(const struct kvm_cell *r)
{
	for (unsigned int i = 0; i < r->nr_tasks; i++) {
		const struct kvm_td *td = r->task[i].shown;

		for (unsigned int v = 0; td && v < td->vcpus; v++)
			if (td->vcpu_box[v].touches)
				return true;
	}
	return false;
}

static void tell_running(struct kvm_cell *r)
{
	bool now;

	if (!r->c->running || r->running_told)
		return;
	pthread_mutex_lock(&r->lock);
	now = has_touched(r) || r->gone;
	pthread_mutex_unlock(&r->lock);
	r->running_told = now;
	if (now)
		r->c->running();
}

/* The first vCPU whose program is not over, in words. */
static void describe_stuck(const struct kvm_cell *r, char *text, size_t size)
{
	snprintf(text, size, "no program is running");
	for (unsigned int i = 0; i < r->nr_tasks; i++) {
		const struct kvm_td *td = r->task[i].shown;

		for (unsigned int v = 0; td && v < td->vcpus; v++) {
			const struct vcpu_box *b = &td->vcpu_box[v];

			if (b->state >= TD_VCPU_DONE)
				continue;
			snprintf(text, size, "TD %u vCPU %u %s in phase %u after %" PRIu64
				 " touches, %" PRIu64 " conversions, %" PRIu64 " halts, %" PRIu64
				 " interrupts", i, v, b->state == TD_VCPU_NEW ? "has not begun," : "is",
				 b->phase, b->touches, b->conversions, b->idles, b->interrupts);
			return;
		}
	}
}

static void watch_pulse(struct kvm_cell *r)
{
	u64 now = clock_ns(), beat;
	char text[200] = "";

	pthread_mutex_lock(&r->lock);
	beat = pulse(r);
	if (beat != r->last_pulse)
		r->pulse_at = now;
	r->last_pulse = beat;
	if (now > r->pulse_at + (r->c->stall_ns ? r->c->stall_ns : STALL_NS) && !r->stop)
		describe_stuck(r, text, sizeof(text));
	pthread_mutex_unlock(&r->lock);
	if (text[0])
		kvm_fail_run(r, "nothing moves any more: %s", text);
}

static void interrupt(struct kvm_cell *r)
{
	char where[200], text[sizeof(r->cell->reason)];

	pthread_mutex_lock(&r->lock);
	describe_stuck(r, where, sizeof(where));
	pthread_mutex_unlock(&r->lock);
	snprintf(text, sizeof(text), "interrupted: %s", where);
	kvm_stop_run(r, CELL_INTERRUPTED, text);
}

void kvm_watch(struct kvm_cell *r)
{
	bool over = false;

	r->pulse_at = clock_ns();
	while (!over) {
		watch_pairs(r);
		watch_pulse(r);
		tell_running(r);
		if (kvm_interrupted)
			interrupt(r);
		pthread_mutex_lock(&r->lock);
		if (r->left)
			kvm_wait_change(r, PAIRS_NS);
		over = !r->left;
		pthread_mutex_unlock(&r->lock);
	}
}
