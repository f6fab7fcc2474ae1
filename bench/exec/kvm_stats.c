// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel counted during a cell, and whether it adds up when no TD is there:
 * the kernel's counts, what the TDX module answers, and what an emulated one has.
 */
#include "exec/kvm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "measure/kernel_stats.h"

#define TDS_GONE_TRIES 200	/* of 10 ms: the kernel frees a VM when the last file is gone */

/* -------------------------------------------------------------- strategy */

static bool in_force(const struct kvm_config *c, char *name, size_t size)
{
	char *text = kernel_stats_read(c->stats_dir, "strategy");
	bool ok = text && kernel_stats_choice(text, name, size);

	free(text);
	return ok;
}

static void switch_failed(const struct kvm_config *c, struct cell *cell, int err)
{
	if (err == -EINVAL)
		snprintf(cell->reason, sizeof(cell->reason),
			 "strategy %s is none that this kernel can switch to: it has no such one, or that "
			 "one takes a boot of its own, with tdx_pamt=%s", c->strategy, c->strategy);
	else if (err == -EBUSY)
		snprintf(cell->reason, sizeof(cell->reason),
			 "strategy %s: the kernel switches only when no TD exists, and one does",
			 c->strategy);
	else
		snprintf(cell->reason, sizeof(cell->reason), "strategy %s: %s", c->strategy,
			 strerror(-err));
}

int kvm_strategy_set(const struct kvm_config *c, struct cell *cell)
{
	char now[32];
	int err;

	if (!in_force(c, now, sizeof(now))) {
		snprintf(cell->reason, sizeof(cell->reason),
			 "%s/strategy cannot be read: the kernel must be the one of make kernel, "
			 "debugfs mounted, the user root", c->stats_dir);
		return -ENODEV;
	}
	if (!strcmp(now, c->strategy))
		return 0;
	err = kernel_stats_write(c->stats_dir, "strategy", c->strategy);
	if (err) {
		/* what needs another boot is not run in this one */
		if (err == -EINVAL || err == -ENODEV)
			cell->status = CELL_SKIPPED;
		switch_failed(c, cell, err == -ENODEV ? -EINVAL : err);
		return err;
	}
	if (in_force(c, now, sizeof(now)) && !strcmp(now, c->strategy))
		return 0;
	snprintf(cell->reason, sizeof(cell->reason), "strategy %s was asked for, %s is in force",
		 c->strategy, now);
	return -EIO;
}

/* ------------------------------------------------------------- statistics */

u64 kvm_pairs(const struct kvm_config *c)
{
	char *text = kernel_stats_read(c->stats_dir, "memory");
	u64 pairs = text ? kernel_stats_get(text, "pairs") : 0;

	free(text);
	return pairs;
}

static void read_busy(const char *text, struct pamt_stats *s)
{
	static const char *const leaf[PAMT_NR_LEAVES] = {
		[PAMT_LEAF_ADD] = "add",
		[PAMT_LEAF_REMOVE] = "remove",
		[PAMT_LEAF_DEMOTE] = "demote",
		[PAMT_LEAF_PROMOTE] = "promote",
	};
	static const char *const operand[PAMT_NR_OPERANDS] = {
		[PAMT_BUSY_REGION] = "region",
		[PAMT_BUSY_PAGE] = "page",
		[PAMT_BUSY_OTHER] = "other",
	};
	char key[48];

	for (unsigned int l = 0; l < PAMT_NR_LEAVES; l++) {
		snprintf(key, sizeof(key), "seamcall_%s", leaf[l]);
		s->seamcall[l] = kernel_stats_get(text, key);
		for (unsigned int o = 0; o < PAMT_NR_OPERANDS; o++) {
			snprintf(key, sizeof(key), "busy_%s_%s", leaf[l], operand[o]);
			s->busy[l][o] = kernel_stats_get(text, key);
		}
	}
}

static void read_stats(const struct kvm_config *c, struct pamt_stats *s)
{
	char *text = kernel_stats_read(c->stats_dir, "stats");

	if (!text)
		return;
	s->get_slow = kernel_stats_get(text, "get_slow");
	s->put_slow = kernel_stats_get(text, "put_slow");
	s->install = kernel_stats_get(text, "install");
	s->remove = kernel_stats_get(text, "remove");
	s->lost_race = kernel_stats_get(text, "lost_race");
	s->retained_hit = kernel_stats_get(text, "retained_hit");
	s->leaked = kernel_stats_get(text, "leaked");
	s->get_failed = kernel_stats_get(text, "get_failed");
	s->wait_count[0] = kernel_stats_get(text, "wait_count_false");
	s->wait_count[1] = kernel_stats_get(text, "wait_count_true");
	s->wait_ns[0] = kernel_stats_get(text, "wait_ns_false");
	s->wait_ns[1] = kernel_stats_get(text, "wait_ns_true");
	s->irqoff_max_ns = kernel_stats_get(text, "irqoff_max_ns");
	read_busy(text, s);
	free(text);
}

/* The kernel's bins, counted by ours of the same place. */
static void read_hist(const char *text, const char *name, struct pamt_hist *to)
{
	struct kernel_hist *h = malloc(sizeof(*h));

	if (h && !kernel_stats_hist(text, name, h)) {
		to->sum_ns = h->sum_ns;
		to->max_ns = h->max_ns;
		for (unsigned int i = 0; i < h->nr; i++)
			to->bin[pamt_hist_index(h->bin[i].low)] += h->bin[i].count;
	}
	free(h);
}

bool kvm_emulated(const struct kvm_config *c)
{
	char *text = c->emu_dir ? kernel_stats_read(c->emu_dir, "census") : NULL;

	free(text);
	return text;
}

void kvm_stats_begin(const struct kvm_config *c, struct kvm_stats *before)
{
	if (kvm_emulated(c))
		kernel_stats_write(c->stats_dir, "count", "1");
	kernel_stats_write(c->stats_dir, "reset", "1");
	read_stats(c, &before->s);
	before->pairs = kvm_pairs(c);
}

/* There while they are counted. */
static void read_calls(const struct kvm_config *c, struct cell *cell)
{
	char *text = kernel_stats_read(c->stats_dir, "stats");

	cell->sum.gets = text ? kernel_stats_get(text, "get") : 0;
	cell->sum.puts = text ? kernel_stats_get(text, "put") : 0;
	free(text);
	if (cell->sum.gets != cell->sum.puts && !cell->stats.leaked)
		kvm_violation(cell, "%" PRIu64 " gets and %" PRIu64 " puts, and nothing was leaked",
			      cell->sum.gets, cell->sum.puts);
}

static void read_memory(const struct kvm_config *c, struct cell *cell)
{
	char *text = kernel_stats_read(c->stats_dir, "memory");

	if (!text)
		return;
	cell->static_bytes = kernel_stats_get(text, "static_bytes");
	cell->fixed_bytes = kernel_stats_get(text, "boot_bytes");
	cell->count_bytes = kernel_stats_get(text, "count_bytes");
	cell->strategy_bytes = kernel_stats_get(text, "strategy_bytes");
	free(text);
}

void kvm_stats_end(const struct kvm_config *c, const struct kvm_stats *before,
		   struct cell *cell)
{
	struct pamt_stats *s = &cell->stats;
	char *text = kernel_stats_read(c->stats_dir, "histograms");

	read_stats(c, s);
	s->install -= before->s.install;
	s->remove -= before->s.remove;
	if (s->leaked)
		kvm_violation(cell, "%" PRIu64 " pairs were leaked", s->leaked);
	read_calls(c, cell);
	if (text) {
		read_hist(text, "wait", &s->wait);
		read_hist(text, "get", &s->get_ns);
		read_hist(text, "put", &s->put_ns);
	}
	free(text);
	read_memory(c, cell);
}

/* ------------------------------------------------------------------- audit */

void kvm_violation(struct cell *cell, const char *format, ...)
{
	va_list ap;

	if (cell->status == CELL_VIOLATION)
		return;
	cell->status = CELL_VIOLATION;
	va_start(ap, format);
	vsnprintf(cell->reason, sizeof(cell->reason), format, ap);
	va_end(ap);
}

static u64 wait_for_no_tds(const struct kvm_config *c)
{
	u64 tds = 0;

	for (int i = 0; i < TDS_GONE_TRIES; i++) {
		char *text = kernel_stats_read(c->stats_dir, "memory");

		tds = text ? kernel_stats_get(text, "tds") : 0;
		free(text);
		if (!tds)
			return 0;
		usleep(10000);
	}
	return tds;
}

/* What the module has when no TD exists: nothing but pairs. */
static const char *const none_left[] = { "tdr", "tdcx", "tdvpr", "sept", "private", "hkids",
					 "locked" };
/* What must never have happened since the boot. */
static const char *const never[] = { "stale_tlb", "ownership", "contents", "image", "fatal" };

static void audit_events(const struct kvm_config *c, struct cell *cell, const char *when)
{
	char *text = kernel_stats_read(c->emu_dir, "events");

	for (size_t i = 0; text && i < ARRAY_SIZE(never); i++)
		if (kernel_stats_get(text, never[i]))
			kvm_violation(cell, "%s: the module has seen \"%s\" %" PRIu64 " times", when,
				      never[i], kernel_stats_get(text, never[i]));
	free(text);
}

/* The emulated module's own records. @pairs: what the kernel counts. */
static void audit_module(const struct kvm_config *c, struct cell *cell, u64 pairs,
			 const char *when)
{
	char *census = c->emu_dir ? kernel_stats_read(c->emu_dir, "census") : NULL;
	u64 has;

	if (!census)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(none_left); i++) {
		has = kernel_stats_get(census, none_left[i]);
		if (has)
			kvm_violation(cell, "%s: no TD exists, and the module has %" PRIu64 " %s", when,
				      has, none_left[i]);
	}
	has = kernel_stats_get(census, "pairs");
	if (has != pairs)
		kvm_violation(cell, "%s: the kernel counts %" PRIu64 " pairs, the module has %" PRIu64,
			      when, pairs, has);
	if (kernel_stats_get(census, "pamt_pages") != 2 * has)
		kvm_violation(cell, "%s: %" PRIu64 " pairs in the module, and %" PRIu64
			      " pages in its bitmap", when, has, kernel_stats_get(census, "pamt_pages"));
	free(census);
	audit_events(c, cell, when);
}

/* What the module answers about each region. Not there without Dynamic PAMT. */
static void audit_regions(const struct kvm_config *c, struct cell *cell, u64 pairs,
			  const char *when)
{
	char *audit = kernel_stats_read(c->stats_dir, "audit");
	u64 counted, mismatches, with_pair, regions, unreadable;

	if (!audit)
		return;
	regions = kernel_stats_get(audit, "regions");
	unreadable = kernel_stats_get(audit, "unreadable");
	counted = kernel_stats_get(audit, "counted");
	mismatches = kernel_stats_get(audit, "mismatches");
	with_pair = kernel_stats_get(audit, "with_pair");
	if (counted)
		kvm_violation(cell, "%s: %" PRIu64 " regions have users, and no TD exists", when,
			      counted);
	else if (regions && unreadable == regions && kvm_emulated(c))
		kvm_violation(cell, "%s: the TDX module tells of none of %" PRIu64 " regions", when,
			      regions);
	else if (regions && unreadable == regions)
		fprintf(stderr, "dpamt: %s: the TDX module answers no PHYMEM.PAGE.RDMD of %" PRIu64
			" regions: counts are not compared with it\n", when, regions);
	else if (mismatches)
		kvm_violation(cell, "%s: counts and the TDX module disagree on %" PRIu64 " regions", when,
			      mismatches);
	else if (with_pair != pairs)
		kvm_violation(cell, "%s: the kernel counts %" PRIu64 " pairs, the module tells of %" PRIu64,
			      when, pairs, with_pair);
	free(audit);
}

void kvm_audit(const struct kvm_config *c, const struct kvm_stats *before, struct cell *cell,
	       const char *when)
{
	u64 tds = wait_for_no_tds(c), pairs;
	struct pamt_stats *now;

	if (tds) {
		kvm_violation(cell, "%s: %" PRIu64 " TDs still exist", when, tds);
		return;
	}
	pairs = kvm_pairs(c);
	audit_regions(c, cell, pairs, when);
	audit_module(c, cell, pairs, when);
	now = calloc(1, sizeof(*now));
	if (!now)
		return;
	read_stats(c, now);
	if (before->pairs + (now->install - before->s.install) !=
	    pairs + (now->remove - before->s.remove))
		kvm_violation(cell, "%s: %" PRIu64 " pairs at first, %" PRIu64 " installs and %" PRIu64
			      " removes since, and %" PRIu64 " pairs", when, before->pairs,
			      now->install - before->s.install, now->remove - before->s.remove, pairs);
	free(now);
}

/* -------------------------------------------------------------------- JSON */

/* What is not known from outside of the kernel: it does not know of whom it waits for. */
static const char *const unknown[] = {
	"pamt_ns_per_page", "fairness", "busy_other", "overrun_count", "overrun_pct", "stall_count",
};

static void set_null(json_t *object, const char *key)
{
	if (json_object_get(object, key))
		json_object_set_new(object, key, json_null());
}

/* Waiting per fault is known of all TDs together. */
static void set_waits(json_t *m, const struct cell *cell, const struct workload *w)
{
	u64 ns = cell->stats.wait_ns[0] + cell->stats.wait_ns[1];
	char key[WL_NAME_MAX + 32];

	for (unsigned int g = 0; g < w->nr_tds; g++) {
		snprintf(key, sizeof(key), "%s.wait_per_fault_ns", w->tds[g].name);
		set_null(m, key);
	}
	json_object_set_new(m, "wait_per_fault_ns",
			    cell->fault.count ? json_real((double)ns / cell->fault.count) :
						json_null());
}

json_t *kvm_cell_json(const struct cell *cell, const struct workload *w, const char *strategy,
		      int block, u64 seed)
{
	json_t *o = cell_json(cell, w, strategy, block, seed);
	json_t *m = json_object_get(o, "metrics"), *td;
	size_t i;

	if (!m)
		return o;
	for (i = 0; i < ARRAY_SIZE(unknown); i++)
		set_null(m, unknown[i]);
	if (!cell->sum.gets) {
		set_null(m, "get_count");
		set_null(m, "put_count");
	}
	set_waits(m, cell, w);
	json_array_foreach(json_object_get(o, "tds"), i, td)
		set_null(td, "wait_ns");
	return o;
}
