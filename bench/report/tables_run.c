// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tables that are not columns of metrics: memory per TD, verdicts, and
 * what ran (strategies, machine file, environment).
 *
 * Memory per TD is that of one block, the one whose mean is nearest to the
 * median: shares of one moment add up, medians of shares do not. It is in
 * bytes, whole, because the claim is that it adds up to the byte.
 */
#define _GNU_SOURCE 1
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/tables.h"

/* More rows than this are folded into one. */
#define MAX_TDS 32

/* --- memory per TD ----------------------------------------------------- */

static char *td_name(const json_t *td)
{
	const json_t *number = json_object_get(td, "td");
	const char *group = json_string_value(json_object_get(td, "group"));

	if (json_integer_value(number) < 0)
		return report_format("%s", group ? group : "kernel");
	return report_format("TD %" JSON_INTEGER_FORMAT "%s%s", json_integer_value(number),
			     group && *group ? ", " : "", group ? group : "");
}

/* Add @field of every TD of the cell to @sums, indexed as @ids. */
static void add_tds(const struct result_sample *s, const char *field, const struct names *ids,
		    double *sums)
{
	const json_t *td;
	size_t i;

	json_array_foreach(json_object_get(s->json, "tds"), i, td) {
		const json_t *value = json_object_get(td, field);
		char *name = td_name(td);

		for (size_t k = 0; k < ids->nr && json_is_number(value); k++)
			if (!strcmp(ids->name[k], name))
				sums[k] = (isnan(sums[k]) ? 0 : sums[k]) + json_number_value(value);
		free(name);
	}
}

static void add_ids(const struct result_sample *s, struct names *ids)
{
	const json_t *td;
	size_t i;

	json_array_foreach(json_object_get(s->json, "tds"), i, td) {
		char *name = td_name(td);

		names_add(ids, name);
		free(name);
	}
}

/* Rows of the table: the first MAX_TDS - 1 names, the rest as one. */
static void set_td_cells(struct table *t, size_t column, const double *sums, size_t nr)
{
	size_t single = nr > MAX_TDS ? MAX_TDS - 1 : nr;
	double rest = 0;

	for (size_t k = 0; k < nr; k++) {
		if (k < single && isfinite(sums[k]))
			table_setf(t, k, column, "%.0f", sums[k]);
		else if (isfinite(sums[k]))
			rest += sums[k];
	}
	if (single < nr)
		table_setf(t, single, column, "%.0f", rest);
}

static void add_td_rows(struct table *t, const struct names *ids)
{
	size_t single = ids->nr > MAX_TDS ? MAX_TDS - 1 : ids->nr;

	for (size_t k = 0; k < single; k++)
		table_row(t, ids->name[k]);
	if (single < ids->nr) {
		char *name = report_format("%zu more", ids->nr - single);

		table_row(t, name);
		free(name);
	}
}

/* "sum", "host", "sums exactly" under the TDs. */
static void add_sum_rows(struct table *t, const struct result_run *run, const char *workload,
			 const struct names *strategies, const size_t *columns)
{
	size_t sum_row = table_row(t, "sum"), host_row = table_row(t, "host's figure");
	size_t exact_row = table_row(t, "sums exactly");

	t->rows[sum_row].strong = t->rows[host_row].strong = t->rows[exact_row].strong = true;
	for (size_t s = 0; s < strategies->nr; s++) {
		const char *strategy = strategies->name[s];
		struct td_check check = run_td_check(run, workload, strategy);
		struct td_sum sum;

		if (!columns[s])
			continue;
		sum = cell_td_sum(run_representative(run, workload, strategy, "tds"));
		if (sum.known) {
			table_setf(t, sum_row, columns[s], "%" JSON_INTEGER_FORMAT, sum.sum);
			table_setf(t, host_row, columns[s], "%" JSON_INTEGER_FORMAT, sum.host);
		}
		if (!check.checked)
			continue;
		if (check.wrong)
			table_setf(t, exact_row, columns[s], "NO (%u of %u)", check.exact,
				   check.checked);
		else
			table_setf(t, exact_row, columns[s], "yes (%u of %u)", check.exact,
				   check.checked);
	}
}

struct table *table_tds(const struct result_run *run, const char *workload, const char *caption,
			const char *field, bool sum)
{
	struct names strategies = run_strategies(run), ids = { 0 };
	size_t *columns = report_alloc(strategies.nr, sizeof(*columns));
	struct table *t = table_new(caption);
	double *sums;

	table_column(t, "", "", true);
	for (size_t s = 0; s < strategies.nr; s++) {
		const struct result_sample *cell =
			run_representative(run, workload, strategies.name[s], "tds");

		if (!cell)
			continue;
		columns[s] = table_column(t, strategies.name[s], "", false);
		add_ids(cell, &ids);
	}
	add_td_rows(t, &ids);
	sums = report_alloc(ids.nr, sizeof(*sums));
	for (size_t s = 0; s < strategies.nr; s++) {
		if (!columns[s])
			continue;
		for (size_t k = 0; k < ids.nr; k++)
			sums[k] = NAN;
		add_tds(run_representative(run, workload, strategies.name[s], "tds"), field, &ids,
			sums);
		set_td_cells(t, columns[s], sums, ids.nr);
	}
	if (sum && ids.nr)
		add_sum_rows(t, run, workload, &strategies, columns);
	table_drop_empty(t);
	free(sums);
	free(columns);
	names_free(&ids);
	names_free(&strategies);
	if (!t->nr_rows || t->nr_columns < 2) {
		table_free(t);
		return NULL;
	}
	return t;
}

/* --- verdicts ---------------------------------------------------------- */

static void set_effect(struct table *t, size_t row, const struct compare_row *r,
		       const struct metric *m)
{
	const struct effect *e = &r->effect;
	bool ratio = e->kind == EFFECT_RATIO;
	double unit_of = ratio ? 1 : fmax(fabs(e->mean_a), fabs(e->mean_b));
	struct scale scale = ratio ? (struct scale){ 1, "" } : scale_for(m->unit, unit_of);
	char *estimate = scale_value(scale, e->estimate, false);
	char *low = scale_value(scale, e->low, false), *high = scale_value(scale, e->high, false);
	char *p = scale_value((struct scale){ 1, "" }, isnan(r->p_holm) ? e->p : r->p_holm, false);

	table_setf(t, row, 1, "%s%s%s%s", ratio ? "x" : estimate[0] == '-' ? "" : "+", estimate,
		   *scale.unit ? " " : "", scale.unit);
	table_setf(t, row, 2, "%s..%s", low, high);
	table_set(t, row, 3, p);
	table_setf(t, row, 4, "%zu", e->na < e->nb ? e->na : e->nb);
	free(p);
	free(high);
	free(low);
	free(estimate);
}

struct table *table_verdicts(const struct compare_workload *w, bool paired)
{
	char *caption = report_format("%s%s", w->label ? w->label : w->key,
				      paired ? ", paired by block" : "");
	struct table *t = table_new(caption);

	free(caption);
	table_column(t, "strategy", "", true);
	table_column(t, "effect", "", false);
	table_column(t, "interval", "", false);
	table_column(t, "p (Holm)", "", false);
	table_column(t, "blocks", "", false);
	table_column(t, "verdict", "", true);
	for (size_t i = 0; i < w->nr_rows; i++) {
		const struct compare_row *r = &w->rows[i];
		size_t row = table_row(t, r->strategy);

		if (r->verdict == VERDICT_NO_DATA) {
			table_setf(t, row, 5, "%s%s%s", verdict_name(r->verdict),
				   r->reason ? ": " : "", r->reason ? r->reason : "");
			continue;
		}
		set_effect(t, row, r, w->metric);
		if (r->verdict == VERDICT_TOO_NOISY && r->needed)
			table_setf(t, row, 5, "%s, %s%u blocks would decide",
				   verdict_name(r->verdict),
				   r->needed > VERDICT_MAX_NEEDED ? "more than " : "",
				   r->needed > VERDICT_MAX_NEEDED ? VERDICT_MAX_NEEDED : r->needed);
		else
			table_set(t, row, 5, verdict_name(r->verdict));
	}
	return t;
}

/* --- what ran ---------------------------------------------------------- */

struct table *table_strategies(const struct result_run *run)
{
	const json_t *list = json_object_get(run->meta, "strategies"), *entry;
	struct table *t = table_new("strategies");
	size_t i;

	table_column(t, "strategy", "", true);
	table_column(t, "control", "", true);
	table_column(t, "read back", "", true);
	table_column(t, "what it is", "", true);
	json_array_foreach(list, i, entry) {
		char *name = member_text(entry, "name"), *what = member_text(entry, "what");
		char *read_back = member_text(entry, "read_back");
		size_t row = table_row(t, name);

		table_set(t, row, 1, json_is_true(json_object_get(entry, "control")) ? "yes" : "");
		table_set(t, row, 2, read_back);
		table_set(t, row, 3, what);
		free(read_back);
		free(what);
		free(name);
	}
	table_drop_empty(t);
	if (t->nr_rows && t->nr_columns > 1)
		return t;
	table_free(t);
	return NULL;
}

static void set_number(struct table *t, size_t row, size_t column, const json_t *constant,
		       const char *key)
{
	const json_t *value = json_object_get(constant, key);

	if (json_is_number(value))
		table_setf(t, row, column, "%.6g", json_number_value(value));
}

struct table *table_machine(const struct result_run *run)
{
	const json_t *machine = json_object_get(run->meta, "machine"), *constant;
	char *caption, *name = member_text(machine, "name"), *hash = member_text(machine, "hash");
	struct table *t;
	size_t i;

	caption = report_format("machine file %s%s%s", name, *hash ? ", hash " : "", hash);
	t = table_new(caption);
	free(caption);
	free(hash);
	free(name);
	table_column(t, "constant", "", true);
	table_column(t, "value", "ns", false);
	table_column(t, "low", "ns", false);
	table_column(t, "high", "ns", false);
	table_column(t, "source", "", true);
	json_array_foreach(json_object_get(machine, "constants"), i, constant) {
		char *key = member_text(constant, "key"), *source = member_text(constant, "source");
		size_t row = table_row(t, key);

		set_number(t, row, 1, constant, "value_ns");
		set_number(t, row, 2, constant, "low_ns");
		set_number(t, row, 3, constant, "high_ns");
		table_set(t, row, 4, source);
		free(source);
		free(key);
	}
	table_drop_empty(t);
	if (t->nr_rows)
		return t;
	table_free(t);
	return NULL;
}

/* Depth first: "cache.l3_bytes", "nodes.0.cpus". Short lists of plain values are one row. */
static void add_members(struct table *t, const char *prefix, const json_t *value, int depth)
{
	const json_t *entry;
	const char *key;
	char *text;
	size_t i;

	if (json_is_object(value) && depth < 6) {
		json_object_foreach((json_t *)value, key, entry) {
			text = report_format("%s%s%s", prefix, *prefix ? "." : "", key);
			add_members(t, text, entry, depth + 1);
			free(text);
		}
		return;
	}
	if (json_is_array(value) && json_is_object(json_array_get(value, 0)) && depth < 6) {
		json_array_foreach(value, i, entry) {
			text = report_format("%s.%zu", prefix, i);
			add_members(t, text, entry, depth + 1);
			free(text);
		}
		return;
	}
	if (json_is_string(value))
		text = report_format("%s", json_string_value(value));
	else
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
	table_set(t, table_row(t, *prefix ? prefix : "value"), 1, text ? text : "");
	free(text);
}

struct table *table_object(const json_t *object, const char *caption)
{
	struct table *t;

	if (!object || json_is_null(object))
		return NULL;
	t = table_new(caption);
	table_column(t, "what", "", true);
	table_column(t, "value", "", true);
	add_members(t, "", object, 0);
	if (t->nr_rows)
		return t;
	table_free(t);
	return NULL;
}
