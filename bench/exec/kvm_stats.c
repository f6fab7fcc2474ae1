// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel counted during a cell, and whether it adds up when no TD is left.
 */
#include "exec/kvm.h"

#include <errno.h>
#include <inttypes.h>
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

void kvm_stats_begin(const struct kvm_config *c, struct pamt_stats *before)
{
	kernel_stats_write(c->stats_dir, "reset", "1");
	read_stats(c, before);
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

void kvm_stats_end(const struct kvm_config *c, const struct pamt_stats *before,
		   struct cell *cell)
{
	struct pamt_stats *s = &cell->stats;
	char *text = kernel_stats_read(c->stats_dir, "histograms");

	read_stats(c, s);
	s->install -= before->install;
	s->remove -= before->remove;
	if (text) {
		read_hist(text, "wait", &s->wait);
		read_hist(text, "get", &s->get_ns);
		read_hist(text, "put", &s->put_ns);
	}
	free(text);
	read_memory(c, cell);
}

/* ------------------------------------------------------------------- audit */

static void violation(struct cell *cell, const char *text)
{
	if (cell->status == CELL_VIOLATION)
		return;
	cell->status = CELL_VIOLATION;
	snprintf(cell->reason, sizeof(cell->reason), "%s", text);
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

void kvm_audit(const struct kvm_config *c, struct cell *cell)
{
	u64 tds = wait_for_no_tds(c), counted, mismatches;
	char text[200], *audit;

	if (tds) {
		snprintf(text, sizeof(text), "%" PRIu64 " TDs still exist after the last was closed",
			 tds);
		violation(cell, text);
		return;
	}
	/* not there without Dynamic PAMT */
	audit = kernel_stats_read(c->stats_dir, "audit");
	if (!audit)
		return;
	counted = kernel_stats_get(audit, "counted");
	mismatches = kernel_stats_get(audit, "mismatches");
	if (mismatches)
		snprintf(text, sizeof(text), "counts and the TDX module disagree on %" PRIu64
			 " regions", mismatches);
	else if (counted)
		snprintf(text, sizeof(text), "%" PRIu64 " regions have users, and no TD exists",
			 counted);
	else if (cell->stats.leaked)
		snprintf(text, sizeof(text), "%" PRIu64 " pairs were leaked", cell->stats.leaked);
	if (mismatches || counted || cell->stats.leaked)
		violation(cell, text);
	free(audit);
}

/* -------------------------------------------------------------------- JSON */

/* The kernel counts slow gets and puts only, and knows of no TD what it waited. */
static const char *const unknown[] = {
	"get_count", "put_count", "pamt_ns_per_page", "fairness", "busy_other", "overrun_count",
	"overrun_pct", "stall_count", "saved_per_td_bytes", "lone_region_pct",
};

json_t *kvm_cell_json(const struct cell *cell, const struct workload *w, const char *strategy,
		      int block, u64 seed)
{
	json_t *o = cell_json(cell, w, strategy, block, seed);
	json_t *m = json_object_get(o, "metrics");

	for (size_t i = 0; m && i < ARRAY_SIZE(unknown); i++)
		json_object_set_new(m, unknown[i], json_null());
	return o;
}
