// SPDX-License-Identifier: GPL-2.0-only
/*
 * From raw counters to metrics. Every formula of METHODOLOGY.md section
 * "Metrics" that needs more than one counter is in this file.
 */
#include "exec/cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAIR_BYTES (2 * PAGE_SIZE)
#define SERIES_POINTS 240
#define STATIC_BYTES_PER_PAGE 16

struct cell *cell_new(void)
{
	return calloc(1, sizeof(struct cell));
}

void cell_free(struct cell *c)
{
	if (!c)
		return;
	json_decref(c->series);
	free(c->td);
	free(c);
}

/* ------------------------------------------------------- memory over time */

static int by_time(const void *a, const void *b)
{
	const struct pair_event *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

static void add_point(json_t *series, u64 ns, u64 bytes)
{
	json_array_append_new(series, json_pack("[I,I]", (json_int_t)ns, (json_int_t)bytes));
}

void cell_pairs(struct cell *c, struct pair_event *event, size_t nr, u64 preinstalled)
{
	u64 pairs = preinstalled, peak = preinstalled, last = 0, next = 0;
	u64 step = c->elapsed_ns / SERIES_POINTS + 1;
	double area = 0;
	size_t i;

	qsort(event, nr, sizeof(*event), by_time);
	c->series = json_array();
	add_point(c->series, 0, pairs * PAIR_BYTES);
	for (i = 0; i < nr; i++) {
		u64 ns = event[i].ns < c->elapsed_ns ? event[i].ns : c->elapsed_ns;

		area += (double)pairs * (ns - last);
		last = ns;
		pairs += event[i].delta;
		if (pairs > peak)
			peak = pairs;
		if (ns >= next) {
			add_point(c->series, ns, pairs * PAIR_BYTES);
			next = ns + step;
		}
	}
	area += (double)pairs * (c->elapsed_ns - last);
	add_point(c->series, c->elapsed_ns, pairs * PAIR_BYTES);
	c->pairs_mean_bytes = c->elapsed_ns ? area / c->elapsed_ns * PAIR_BYTES : 0;
	c->pairs_peak_bytes = peak * PAIR_BYTES;
}

/* Every value becomes the middle of its bin: quantiles to 1/32, sum and maximum are kept apart. */
void cell_hist(struct hist *to, const struct pamt_hist *from)
{
	unsigned int i, n;

	hist_reset(to);
	for (i = 0; i < PAMT_HIST_BINS; i++) {
		u64 low = pamt_hist_low(i), high = pamt_hist_low(i + 1);

		for (n = 0; n < from->bin[i]; n++)
			hist_add(to, low + (high - low) / 2);
	}
}

/* ---------------------------------------------------------------- metrics */

static void put_real(json_t *m, const char *key, double v)
{
	json_object_set_new(m, key, isfinite(v) ? json_real(v) : json_null());
}

static void put(json_t *m, const char *key, u64 v)
{
	json_object_set_new(m, key, json_integer(v));
}

static double ratio(double a, double b)
{
	return b ? a / b : NAN;
}

static void fault_metrics(json_t *m, const char *prefix, const struct hist *h,
			  const struct cell_mean *mean)
{
	static const struct {
		const char *key;
		unsigned int num, den;
	} quantile[] = {
		{ "fault_p50_ns", 1, 2 },	 { "fault_p90_ns", 9, 10 },
		{ "fault_p99_ns", 99, 100 },	 { "fault_p999_ns", 999, 1000 },
	};
	char key[80];
	size_t i;

	snprintf(key, sizeof(key), "%sfault_count", prefix);
	put(m, key, h->count);
	for (i = 0; i < ARRAY_SIZE(quantile); i++) {
		snprintf(key, sizeof(key), "%s%s", prefix, quantile[i].key);
		put_real(m, key, h->count ? (double)hist_quantile(h, quantile[i].num,
								 quantile[i].den) : NAN);
	}
	snprintf(key, sizeof(key), "%sfault_max_ns", prefix);
	put_real(m, key, h->count ? (double)h->max : NAN);
	snprintf(key, sizeof(key), "%sfault_mean_ns", prefix);
	put_real(m, key, ratio(mean->sum_ns, mean->count));
	snprintf(key, sizeof(key), "%sfault_stall_count", prefix);
	put(m, key, mean->stalls);
}

static void wait_metrics(json_t *m, const struct cell *c)
{
	const struct pamt_stats *s = &c->stats;
	u64 ns = s->wait_ns[0] + s->wait_ns[1], count = s->wait_count[0] + s->wait_count[1];
	struct hist *h = calloc(1, sizeof(*h));

	put_real(m, "wait_pct", 100 * ratio(ns, c->cpu_ns));
	put_real(m, "wait_true_pct", 100 * ratio(s->wait_ns[1], c->cpu_ns));
	put_real(m, "wait_false_pct", 100 * ratio(s->wait_ns[0], c->cpu_ns));
	put(m, "wait_total_ns", ns);
	put(m, "wait_count", count);
	put(m, "wait_true_count", s->wait_count[1]);
	put(m, "wait_false_count", s->wait_count[0]);
	put_real(m, "wait_mean_ns", ratio(ns, count));
	if (h) {
		cell_hist(h, &s->wait);
		put_real(m, "wait_p99_ns", h->count ? (double)hist_quantile(h, 99, 100) : NAN);
	}
	put_real(m, "wait_max_ns", count ? (double)s->wait.max_ns : NAN);
	put_real(m, "irqoff_max_ns", s->irqoff_max_ns ? (double)s->irqoff_max_ns : NAN);
	free(h);
}

static void slow_metrics(json_t *m, const char *what, const struct pamt_hist *from, u64 count)
{
	struct hist *h = calloc(1, sizeof(*h));
	char key[64];

	if (!h)
		return;
	cell_hist(h, from);
	snprintf(key, sizeof(key), "%s_slow_count", what);
	put(m, key, count);
	snprintf(key, sizeof(key), "%s_slow_ns", what);
	put_real(m, key, ratio(from->sum_ns, count));
	snprintf(key, sizeof(key), "%s_slow_p99_ns", what);
	put_real(m, key, h->count ? (double)hist_quantile(h, 99, 100) : NAN);
	free(h);
}

static void busy_metrics(json_t *m, const struct cell *c)
{
	const struct pamt_stats *s = &c->stats;
	u64 busy = 0, calls = 0, demote = 0;
	unsigned int l, o;

	for (l = 0; l < PAMT_NR_LEAVES; l++) {
		calls += s->seamcall[l];
		for (o = 0; o < PAMT_NR_OPERANDS; o++) {
			busy += s->busy[l][o];
			if (l == PAMT_LEAF_DEMOTE || l == PAMT_LEAF_PROMOTE)
				demote += s->busy[l][o];
		}
	}
	put(m, "busy_count", busy);
	put(m, "busy_add_rcx", s->busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION]);
	put(m, "busy_add_page", s->busy[PAMT_LEAF_ADD][PAMT_BUSY_PAGE]);
	put(m, "busy_remove_rcx", s->busy[PAMT_LEAF_REMOVE][PAMT_BUSY_REGION]);
	put(m, "busy_demote", demote);
	put(m, "busy_other", c->sum.busy_other);
	put_real(m, "busy_per_seamcall", ratio(busy, calls));
}

static void transition_metrics(json_t *m, const struct cell *c)
{
	const struct pamt_stats *s = &c->stats;

	put(m, "install_count", s->install);
	put(m, "remove_count", s->remove);
	put(m, "lost_race_count", s->lost_race);
	put(m, "retained_hit_count", s->retained_hit);
	put(m, "leaked_pair_count", s->leaked);
	put_real(m, "transitions_per_sec", ratio((s->install + s->remove) * 1e9, c->elapsed_ns));
	put(m, "get_count", c->sum.gets);
	put(m, "put_count", c->sum.puts);
	put_real(m, "pamt_ns_per_page",
		 ratio(c->sum.pamt_ns, c->sum.pages + c->sum.pages_2m * EMU_ENTRIES));
}

/* What one TD's pages cost under static PAMT: an entry for each 4K page. */
static u64 td_static_bytes(const struct cell_td *t)
{
	return t->memory / PAGE_SIZE * STATIC_BYTES_PER_PAGE;
}

static void memory_metrics(json_t *m, const struct cell *c)
{
	u64 rest = c->fixed_bytes + c->count_bytes + c->strategy_bytes;
	double mean = rest + c->pairs_mean_bytes, peak = rest + c->pairs_peak_bytes, saved = 0;
	unsigned int i;

	put_real(m, "pamt_mean_bytes", mean);
	put_real(m, "pamt_peak_bytes", peak);
	put_real(m, "pairs_mean_bytes", c->pairs_mean_bytes);
	put(m, "pairs_peak_bytes", c->pairs_peak_bytes);
	put(m, "pamt_static_bytes", c->static_bytes);
	put(m, "pamt_fixed_bytes", c->fixed_bytes);
	put(m, "pamt_count_bytes", c->count_bytes);
	put(m, "strategy_bytes", c->strategy_bytes);
	put_real(m, "saved_mean_bytes", c->static_bytes - mean);
	put_real(m, "saved_peak_bytes", c->static_bytes - peak);
	for (i = 0; i < c->nr_tds; i++)
		saved += (double)td_static_bytes(&c->td[i]) - c->td[i].pamt_bytes;
	put_real(m, "saved_per_td_bytes", c->snapshot ? ratio(saved, c->nr_tds) : NAN);
	put_real(m, "lone_region_pct", c->snapshot ? c->lone_pct : NAN);
}

/* What waiting inside get and put adds to a fault of @group (all groups: -1), on average. */
static void wait_per_fault(json_t *m, const char *prefix, const struct cell *c, int group, u64 faults)
{
	char key[80];
	double ns = 0;
	unsigned int i;

	for (i = 0; i < c->nr_tds; i++)
		if (group < 0 || c->td[i].group == (unsigned int)group)
			ns += c->td[i].wait_ns;
	snprintf(key, sizeof(key), "%swait_per_fault_ns", prefix);
	put_real(m, key, c->nr_tds ? ratio(ns, faults) : NAN);
}

static double fairness(const struct cell *c)
{
	double sum = 0, max = 0;
	unsigned int i;

	for (i = 0; i < c->nr_tds; i++) {
		sum += c->td[i].wait_ns;
		if (c->td[i].wait_ns > max)
			max = c->td[i].wait_ns;
	}
	return ratio(max, ratio(sum, c->nr_tds));
}

static void throughput_metrics(json_t *m, const struct cell *c)
{
	u64 pages = c->sum.pages + c->sum.pages_2m * EMU_ENTRIES;
	static const char *const per_page[NR_COUNTERS] = {
		[COUNTER_CYCLES] = "cycles_per_page",
		[COUNTER_INSTRUCTIONS] = "instructions_per_page",
		[COUNTER_LLC_MISSES] = "cache_misses_per_page",
	};
	unsigned int i;

	put_real(m, "pages_per_sec", ratio(pages * 1e9, c->elapsed_ns));
	put_real(m, "tds_per_sec", ratio(c->sum.tds * 1e9, c->elapsed_ns));
	put_real(m, "flips_per_sec", ratio(c->sum.flips * 1e9, c->elapsed_ns));
	put(m, "elapsed_ns", c->elapsed_ns);
	put_real(m, "fairness", fairness(c));
	put(m, "overrun_count", c->overruns);
	put(m, "stall_count", c->sum.stalls);
	put_real(m, "overrun_pct", 100 * ratio(c->overruns, c->seamcalls));
	put_real(m, "steal_pct", c->steal_pct);
	for (i = 0; i < NR_COUNTERS; i++)
		put_real(m, per_page[i],
			 c->counters.valid[i] ? ratio(c->counters.value[i], pages) : NAN);
}

/* ------------------------------------------------------------------- JSON */

static json_t *td_rows(const struct cell *c, const struct workload *w)
{
	json_t *rows = json_array();
	unsigned int i;

	for (i = 0; i < c->nr_tds; i++) {
		const struct cell_td *t = &c->td[i];

		json_array_append_new(
			rows, json_pack("{s:i,s:s,s:I,s:I,s:I,s:o}", "td", (int)t->td, "group",
					w->tds[t->group].name, "pages", (json_int_t)t->pages,
					"pamt_bytes", (json_int_t)t->pamt_bytes, "saved_bytes",
					(json_int_t)(td_static_bytes(t) - t->pamt_bytes), "wait_ns",
					c->block ? json_null() : json_integer((json_int_t)t->wait_ns)));
	}
	json_array_append_new(rows, json_pack("{s:i,s:s,s:I,s:I,s:I,s:I}", "td", -1, "group",
					      "kernel", "pages", (json_int_t)c->kernel_pages,
					      "pamt_bytes", (json_int_t)c->kernel_bytes,
					      "saved_bytes", (json_int_t)0, "wait_ns",
					      (json_int_t)0));
	return rows;
}

static json_t *hist_rows(const struct cell *c)
{
	json_t *o = json_object();
	struct hist *h = calloc(1, sizeof(*h));

	json_object_set_new(o, "fault_ns", hist_encode(&c->fault));
	if (h) {
		cell_hist(h, &c->stats.wait);
		json_object_set_new(o, "wait_ns", hist_encode(h));
		cell_hist(h, &c->stats.get_ns);
		json_object_set_new(o, "get_slow_ns", hist_encode(h));
		cell_hist(h, &c->stats.put_ns);
		json_object_set_new(o, "put_slow_ns", hist_encode(h));
	}
	free(h);
	return o;
}

/* What block mode cannot give: all that comes of CPUs meeting, and how a fault's time is spread. */
static bool block_gives(const char *key)
{
	static const char *const not[] = {
		"wait_", "busy_", "get_slow_", "put_slow_", "pamt_ns_per_page", "irqoff_",
		"lost_race_", "fairness", "overrun_", "fault_p", "fault_max_ns", "fault_stall_",
	};
	const char *dot = strrchr(key, '.');
	size_t i;

	if (dot)
		key = dot + 1;
	for (i = 0; i < ARRAY_SIZE(not); i++)
		if (!strncmp(key, not[i], strlen(not[i])))
			return false;
	return true;
}

static void drop_block(json_t *m)
{
	const char *key;
	json_t *v;

	json_object_foreach(m, key, v)
		if (!block_gives(key))
			json_object_set_new(m, key, json_null());
}

static json_t *metrics(const struct cell *c, const struct workload *w)
{
	struct cell_mean all = { 0 };
	json_t *m = json_object();
	unsigned int g;
	char prefix[WL_NAME_MAX + 2];

	for (g = 0; g < w->nr_tds; g++) {
		all.sum_ns += c->mean[g].sum_ns;
		all.count += c->mean[g].count;
		all.stalls += c->mean[g].stalls;
	}
	fault_metrics(m, "", &c->fault, &all);
	wait_per_fault(m, "", c, -1, c->fault.count);
	for (g = 0; g < w->nr_tds && w->nr_tds > 1; g++) {
		snprintf(prefix, sizeof(prefix), "%s.", w->tds[g].name);
		fault_metrics(m, prefix, &c->group_fault[g], &c->mean[g]);
		wait_per_fault(m, prefix, c, g, c->group_fault[g].count);
	}
	slow_metrics(m, "get", &c->stats.get_ns, c->stats.get_slow);
	slow_metrics(m, "put", &c->stats.put_ns, c->stats.put_slow);
	wait_metrics(m, c);
	busy_metrics(m, c);
	transition_metrics(m, c);
	memory_metrics(m, c);
	throughput_metrics(m, c);
	if (c->block)
		drop_block(m);
	return m;
}

static const char *const status_name[] = {
	[CELL_OK] = "ok",
	[CELL_SKIPPED] = "skipped",
	[CELL_VIOLATION] = "violation",
	[CELL_INTERRUPTED] = "interrupted",
	[CELL_FAILED] = "failed",
};

json_t *cell_json(const struct cell *c, const struct workload *w, const char *strategy, int block,
		  u64 seed)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:i,s:s,s:I}", "kind", "cell", "workload", w->name,
			      "strategy", strategy, "block", block, "status",
			      status_name[c->status], "seed", (json_int_t)seed);

	if (c->reason[0])
		json_object_set_new(o, "reason", json_string(c->reason));
	if (c->status == CELL_SKIPPED || !c->elapsed_ns)
		return o;
	json_object_set_new(o, "workers", json_integer(c->workers));
	json_object_set_new(o, "metrics", metrics(c, w));
	if (!c->block)
		json_object_set_new(o, "hist", hist_rows(c));
	if (c->series)
		json_object_set_new(o, "series", json_pack("{s:O}", "pamt_bytes", c->series));
	if (c->snapshot) {
		json_object_set_new(o, "tds", td_rows(c, w));
		json_object_set_new(o, "snapshot_pamt_bytes", json_integer(c->snapshot_bytes));
	}
	return o;
}
