// SPDX-License-Identifier: GPL-2.0-only
/*
 * From counters to metrics: the pairs over time, and every formula of a cell
 * against a hand computation. What was not measured is null, never NaN.
 */
#include <math.h>
#include <stdlib.h>

#include "exec/cell.h"
#include "tests/test.h"

#define PAIR_BYTES (2 * PAGE_SIZE)

static void pairs_over_time(void)
{
	/* Out of order on purpose: 2 pairs from the start, 3 at 100, 5 at 200, 4 at 400 .. 1000 ns. */
	struct pair_event e[] = { { 200, 2 }, { 100, 1 }, { 400, -1 } };
	struct cell *c = cell_new();
	json_t *point;

	c->elapsed_ns = 1000;
	cell_pairs(c, e, ARRAY_SIZE(e), 2);
	CHECK_EQ(c->pairs_peak_bytes, 5 * PAIR_BYTES);
	CHECK(fabs(c->pairs_mean_bytes - (2 * 100 + 3 * 100 + 5 * 200 + 4 * 600) / 1000.0 * PAIR_BYTES) <
	      1e-6);
	point = json_array_get(c->series, 0);
	CHECK_EQ(json_integer_value(json_array_get(point, 1)), 2 * PAIR_BYTES);
	point = json_array_get(c->series, json_array_size(c->series) - 1);
	CHECK_EQ(json_integer_value(json_array_get(point, 0)), 1000);
	CHECK_EQ(json_integer_value(json_array_get(point, 1)), 4 * PAIR_BYTES);
	cell_free(c);
}

static double metric(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(json_object_get(j, "metrics"), key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void check_metric(const json_t *j, const char *key, double want)
{
	double got = metric(j, key);

	if (!CHECK(fabs(got - want) <= 1e-9 * fabs(want)))
		printf("\t%s: got %g, want %g\n", key, got, want);
}

static void figures(void)
{
	static struct workload wl = { .nr_tds = 1 };
	struct cell *c = cell_new();
	json_t *j;
	char *text;
	unsigned int i;

	snprintf(wl.name, sizeof(wl.name), "hand");
	snprintf(wl.tds[0].name, sizeof(wl.tds[0].name), "all");
	c->workers = 2;
	c->elapsed_ns = 1000000;
	c->cpu_ns = 2000000;
	for (i = 1; i <= 100; i++)
		hist_add(&c->fault, i);
	c->mean[0] = (struct cell_mean){ .sum_ns = 5000, .count = 50, .stalls = 3 };
	c->sum.pages = 100;
	c->sum.pages_2m = 1;
	c->sum.pamt_ns = 6120;
	c->sum.gets = 612;
	c->sum.tds = 4;
	c->sum.flips = 10;
	c->stats.wait_count[0] = 3;
	c->stats.wait_count[1] = 1;
	c->stats.wait_ns[0] = 30000;
	c->stats.wait_ns[1] = 10000;
	c->stats.install = 7;
	c->stats.remove = 5;
	c->stats.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION] = 2;
	c->stats.busy[PAMT_LEAF_DEMOTE][PAMT_BUSY_PAGE] = 1;
	c->stats.seamcall[PAMT_LEAF_ADD] = 12;
	c->fixed_bytes = 1000;
	c->count_bytes = 100;
	c->strategy_bytes = 10;
	c->static_bytes = 50000;
	c->pairs_mean_bytes = 8192;
	c->pairs_peak_bytes = 16384;
	c->snapshot = true;
	c->snapshot_bytes = 16384;
	c->kernel_bytes = 384;
	c->nr_tds = 2;
	c->td = calloc(2, sizeof(*c->td));
	c->td[0] = (struct cell_td){ .td = 0, .memory = 4 << 20, .pamt_bytes = 10000, .wait_ns = 30 };
	c->td[1] = (struct cell_td){ .td = 1, .memory = 4 << 20, .pamt_bytes = 6000, .wait_ns = 10 };
	j = cell_json(c, &wl, "lockless", 3, 42);

	check_metric(j, "fault_count", 100);
	check_metric(j, "fault_mean_ns", 100);
	check_metric(j, "fault_stall_count", 3);
	check_metric(j, "fault_p50_ns", 50);
	check_metric(j, "fault_max_ns", 100);
	check_metric(j, "wait_pct", 2);
	check_metric(j, "wait_true_pct", 0.5);
	check_metric(j, "wait_false_pct", 1.5);
	check_metric(j, "wait_count", 4);
	check_metric(j, "wait_mean_ns", 10000);
	check_metric(j, "wait_per_fault_ns", 0.4);
	check_metric(j, "busy_count", 3);
	check_metric(j, "busy_add_rcx", 2);
	check_metric(j, "busy_demote", 1);
	check_metric(j, "busy_per_seamcall", 0.25);
	check_metric(j, "pamt_ns_per_page", 10);
	check_metric(j, "transitions_per_sec", 12000);
	check_metric(j, "pages_per_sec", 612000);
	check_metric(j, "tds_per_sec", 4000);
	check_metric(j, "flips_per_sec", 10000);
	check_metric(j, "pamt_mean_bytes", 9302);
	check_metric(j, "pamt_peak_bytes", 17494);
	check_metric(j, "saved_mean_bytes", 40698);
	check_metric(j, "saved_peak_bytes", 32506);
	check_metric(j, "saved_per_td_bytes", (2 * 16384 - 16000) / 2.0);
	check_metric(j, "fairness", 1.5);
	/* What was not measured is null, and nothing is NaN. */
	CHECK(json_is_null(json_object_get(json_object_get(j, "metrics"), "get_slow_ns")));
	CHECK(json_is_null(json_object_get(json_object_get(j, "metrics"), "cycles_per_page")));
	text = json_dumps(j, JSON_COMPACT);
	CHECK(text && !strstr(text, "nan") && !strstr(text, "inf"));
	CHECK_STR(json_string_value(json_object_get(j, "status")), "ok");
	CHECK_EQ(json_integer_value(json_object_get(j, "snapshot_pamt_bytes")), 16384);
	CHECK_EQ(json_array_size(json_object_get(j, "tds")), 3);
	free(text);
	json_decref(j);
	cell_free(c);
}

int main(void)
{
	test_begin("test_cell");
	TEST(pairs_over_time);
	TEST(figures);
	return test_end();
}
