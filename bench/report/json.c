// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run as data: a JSON document with the figures of the tables, unrounded,
 * and CSV in long form with every number of every usable sample.
 * results/README.md describes both.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/aggregate.h"
#include "report/compare.h"

/* NaN is null. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* Takes @value over; lack of memory ends the program as elsewhere in the report. */
static void put(json_t *object, const char *key, json_t *value)
{
	if (!object || json_object_set_new(object, key, value)) {
		fputs("dpamt: out of memory while making the JSON document\n", stderr);
		exit(3);
	}
}

static json_t *stat_json(const struct report_stat *stat)
{
	json_t *json = json_object();

	put(json, "median", number(stat->median));
	put(json, "min", number(stat->min));
	put(json, "max", number(stat->max));
	put(json, "n", json_integer(stat->n));
	return json;
}

static void put_stat(json_t *object, const struct result_run *run, const char *workload,
		     const char *strategy, const char *key, bool always)
{
	struct report_stat stat = report_stat(run, workload, strategy, key);

	if (stat.n || always)
		put(object, key, stat_json(&stat));
}

/* Of one cell of the matrix: what its samples have, and what the cost loop adds. */
static json_t *metrics_json(const struct result_run *run, const char *workload,
			    const char *strategy)
{
	struct names keys = run_keys(run, workload);
	json_t *json = json_object();
	const struct metric *m;
	size_t nr;

	for (size_t i = 0; i < keys.nr; i++)
		put_stat(json, run, workload, strategy, keys.name[i], true);
	for (m = metric_list(&nr); nr--; m++)
		if (key_is_cost(m->key) && !names_has(&keys, m->key))
			put_stat(json, run, workload, strategy, m->key, false);
	names_free(&keys);
	return json;
}

/* Of the controls (@strategy NULL) or of a cost loop. */
static json_t *loop_json(const struct result_run *run, const char *strategy)
{
	struct names keys = run_keys(run, NULL);
	json_t *json = json_object();

	for (size_t i = 0; i < keys.nr; i++)
		put_stat(json, run, NULL, strategy, keys.name[i], false);
	names_free(&keys);
	return json;
}

static json_t *hist_json(const struct result_run *run, const char *workload, const char *strategy)
{
	struct names names = run_hist_names(run, workload);
	struct hist *h = report_alloc(1, sizeof(*h));
	json_t *json = json_object();

	for (size_t i = 0; i < names.nr; i++)
		if (run_hist(run, workload, strategy, names.name[i], h, NULL))
			put(json, names.name[i], hist_encode(h));
	free(h);
	names_free(&names);
	return json;
}

static void put_tds(json_t *json, const struct result_run *run, const char *workload,
		    const char *strategy)
{
	const struct result_sample *s = run_representative(run, workload, strategy, "tds");
	struct td_check check = run_td_check(run, workload, strategy);
	struct td_sum sum;

	if (!s)
		return;
	put(json, "tds_block", json_integer(s->block));
	put(json, "tds", json_incref(json_object_get(s->json, "tds")));
	sum = cell_td_sum(s);
	put(json, "tds_sum_bytes", sum.known ? json_integer(sum.sum) : json_null());
	put(json, "tds_host_bytes", sum.known ? json_integer(sum.host) : json_null());
	put(json, "tds_sum_exact",
	    check.checked ? json_boolean(check.exact == check.checked) : json_null());
}

static json_t *cell_json(const struct result_run *run, const char *workload, const char *strategy)
{
	struct cell_state state = cell_state(run, workload, strategy);
	json_t *json = json_object();
	double waits;

	put(json, "blocks", json_integer(state.cells));
	put(json, "ok", json_integer(state.ok));
	if (state.bad) {
		put(json, "status", json_string(state.bad->status));
		put(json, "reason", state.bad->reason ? json_string(state.bad->reason) :
							json_null());
	}
	if (!state.ok)
		return json;
	waits = report_value(run, workload, strategy, "wait_count");
	put(json, "cannot_discriminate", json_boolean(waits < REPORT_MIN_WAITS));
	put(json, "metrics", metrics_json(run, workload, strategy));
	put(json, "hist", hist_json(run, workload, strategy));
	put_tds(json, run, workload, strategy);
	return json;
}

static json_t *workload_json(const struct result_run *run, const char *workload)
{
	const char *primary = json_string_value(json_object_get(run_workload(run, workload),
								"primary"));
	struct names strategies = run_strategies(run);
	json_t *json = json_object(), *cells = json_object();

	put(json, "primary", primary ? json_string(primary) : json_null());
	for (size_t s = 0; s < strategies.nr; s++)
		if (cell_state(run, workload, strategies.name[s]).cells)
			put(cells, strategies.name[s],
			    cell_json(run, workload, strategies.name[s]));
	put(json, "strategies", cells);
	names_free(&strategies);
	return json;
}

static json_t *names_json(struct names names)
{
	json_t *json = json_array();

	for (size_t i = 0; i < names.nr; i++)
		json_array_append_new(json, json_string(names.name[i]));
	names_free(&names);
	return json;
}

static json_t *verdicts_json(const struct result_run *run)
{
	struct compare *c;
	json_t *json;
	char err[512];

	if (compare_run(run, NULL, &c, err, sizeof(err))) {
		json = json_object();
		put(json, "error", json_string(err));
		return json;
	}
	json = compare_json(c);
	compare_free(c);
	return json;
}

json_t *report_json(const struct result_run *run)
{
	struct names workloads = run_workloads(run), strategies = run_strategies(run);
	json_t *json = json_object(), *by_workload = json_object(), *costs = json_object();

	put(json, "schema", json_integer(RESULT_SCHEMA));
	put(json, "document", json_string("dpamt-report"));
	put(json, "run_id", json_string(run->run_id));
	put(json, "truncated", json_integer(run->truncated));
	put(json, "meta", json_incref(run->meta));
	put(json, "violations", names_json(run_violations(run)));
	put(json, "warnings", names_json(run_warnings(run)));
	for (size_t w = 0; w < workloads.nr; w++)
		put(by_workload, workloads.name[w], workload_json(run, workloads.name[w]));
	put(json, "workloads", by_workload);
	put(json, "controls", loop_json(run, NULL));
	for (size_t s = 0; s < strategies.nr; s++)
		if (cell_state(run, NULL, strategies.name[s]).ok)
			put(costs, strategies.name[s], loop_json(run, strategies.name[s]));
	put(json, "costs", costs);
	put(json, "verdicts", verdicts_json(run));
	names_free(&strategies);
	names_free(&workloads);
	return json;
}

/* --- CSV --------------------------------------------------------------- */

/* A field as RFC 4180 wants it. */
static void csv_field(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void csv_sample(FILE *out, const struct result_sample *s)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(s->json, "metrics"), key, value) {
		csv_field(out, s->workload ? s->workload : "");
		putc(',', out);
		csv_field(out, s->strategy ? s->strategy : "");
		fprintf(out, ",%d,", s->block);
		csv_field(out, key);
		putc(',', out);
		if (json_is_integer(value))
			fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		else if (json_is_real(value))
			fprintf(out, "%.17g", json_real_value(value));
		putc('\n', out);
	}
}

int report_csv(FILE *out, const struct result_run *run)
{
	errno = 0;
	fputs("workload,strategy,block,key,value\n", out);
	for (size_t i = 0; i < run->nr_samples; i++)
		if (run->samples[i].ok && sample_is_current(run, &run->samples[i]))
			csv_sample(out, &run->samples[i]);
	if (!fflush(out) && !ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}
