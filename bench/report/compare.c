// SPDX-License-Identifier: GPL-2.0-only
/*
 * From result runs to verdicts: collect the primary metric of each cell by
 * block, measure each row, correct over the workload's family, decide. The
 * documents are made in report/compare_out.c.
 *
 * Every row draws from a seed of its own, made of the seed and the names of
 * the row, so that a row does not change with what it is shown beside.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* asprintf() */
#endif
#include "report/compare.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/permute.h"

static const char *const verdict_names[NR_VERDICTS] = {
	[VERDICT_IMPROVED] = "improved",
	[VERDICT_REGRESSED] = "regressed",
	[VERDICT_NO_CHANGE] = "no change",
	[VERDICT_TOO_NOISY] = "too noisy",
	[VERDICT_CANNOT_DISCRIMINATE] = "cannot discriminate",
	[VERDICT_NO_DATA] = "no data",
};

const char *verdict_name(enum verdict verdict)
{
	return verdict_names[verdict];
}

__attribute__((format(printf, 4, 5)))
static int fail(int error, char *err, size_t err_size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (err && err_size)
		vsnprintf(err, err_size, format, args);
	va_end(args);
	return error;
}

/* Keep @text, unless it was said before or memory is short. */
static void add_warning(struct compare *c, char *text)
{
	char **list;
	size_t i;

	for (i = 0; i < c->nr_warnings; i++)
		if (!strcmp(c->warnings[i], text))
			goto drop;
	list = realloc(c->warnings, (c->nr_warnings + 1) * sizeof(*list));
	if (!list)
		goto drop;
	c->warnings = list;
	c->warnings[c->nr_warnings++] = text;
	return;
drop:
	free(text);
}

__attribute__((format(printf, 2, 3)))
static void warn(struct compare *c, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) >= 0)
		add_warning(c, text);
	va_end(args);
}

/* The entry of array @key of run.json whose "name" is @name. */
static const json_t *meta_entry(const struct result_run *run, const char *key, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(run->meta, key), i, item) {
		const char *item_name = json_string_value(json_object_get(item, "name"));

		if (item_name && !strcmp(item_name, name))
			return item;
	}
	return NULL;
}

static const char *meta_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool selected(const char *const *names, const char *name)
{
	if (!names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* One line with every name of array @key, for an error that lists the valid ones. */
static void list_names(const struct result_run *run, const char *key, char *line, size_t size)
{
	const json_t *item;
	size_t i, used = 0;

	*line = 0;
	json_array_foreach(json_object_get(run->meta, key), i, item) {
		const char *name = meta_string(item, "name");

		if (name && used < size)
			used += (size_t)snprintf(line + used, size - used, "%s%s",
						 used ? ", " : "", name);
	}
}

static int check_name(const struct result_run *run, const char *key, const char *what,
		      const char *name, char *err, size_t err_size)
{
	char valid[400];

	if (meta_entry(run, key, name))
		return 0;
	list_names(run, key, valid, sizeof(valid));
	return fail(-ENOENT, err, err_size, "%s \"%s\" is not in run %s; it has: %s", what, name,
		    run->run_id, valid);
}

static int check_list(const json_t *list, const char *key, const struct result_run *run,
		      char *err, size_t err_size)
{
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return fail(-EINVAL, err, err_size, "run %s: run.json has no \"%s\"",
			    run->run_id, key);
	json_array_foreach(list, i, item)
		if (!meta_string(item, "name"))
			return fail(-EINVAL, err, err_size,
				    "run %s: run.json: entry %zu of \"%s\" has no \"name\"",
				    run->run_id, i, key);
	return 0;
}

static int check_run(const struct result_run *run, const struct compare_options *o, char *err,
		     size_t err_size)
{
	const char *const *name;
	int ret;

	ret = check_list(json_object_get(run->meta, "workloads"), "workloads", run, err, err_size);
	if (!ret)
		ret = check_list(json_object_get(run->meta, "strategies"), "strategies", run, err,
				 err_size);
	for (name = o->workloads; !ret && name && *name; name++)
		ret = check_name(run, "workloads", "workload", *name, err, err_size);
	for (name = o->strategies; !ret && name && *name; name++)
		ret = check_name(run, "strategies", "strategy", *name, err, err_size);
	return ret;
}

/* The cells of one workload and strategy, ascending by block, one a block. */
struct cells {
	const struct result_sample **list;
	size_t nr;
};

static void take_cell(struct cells *cells, const struct result_sample *s)
{
	size_t at = cells->nr;

	while (at && cells->list[at - 1]->block > s->block)
		at--;
	if (at && cells->list[at - 1]->block == s->block) {
		cells->list[at - 1] = s;
		return;
	}
	memmove(cells->list + at + 1, cells->list + at, (cells->nr - at) * sizeof(*cells->list));
	cells->list[at] = s;
	cells->nr++;
}

static int collect(const struct result_run *run, const char *workload, const char *strategy,
		   struct cells *cells)
{
	size_t i;

	cells->nr = 0;
	cells->list = calloc(run->nr_samples + 1, sizeof(*cells->list));
	if (!cells->list)
		return -ENOMEM;
	for (i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];

		if (s->kind == RESULT_CELL && s->workload && s->strategy &&
		    !strcmp(s->workload, workload) && !strcmp(s->strategy, strategy))
			take_cell(cells, s);
	}
	return 0;
}

static bool usable(const struct result_sample *s, const char *key)
{
	return s->ok && isfinite(result_metric(s, key));
}

/* Keep the cells that have a figure. *@all_skipped: there are cells, all with that status. */
static void keep_usable(struct compare *c, struct cells *cells, const char *key,
			const char *run_id, bool *all_skipped)
{
	const struct result_sample *first = NULL;
	size_t i, kept = 0, dropped;

	*all_skipped = cells->nr > 0;
	for (i = 0; i < cells->nr; i++) {
		const struct result_sample *s = cells->list[i];

		if (usable(s, key)) {
			cells->list[kept++] = s;
			*all_skipped = false;
			continue;
		}
		if (s->ok || !s->status || strcmp(s->status, "skipped"))
			*all_skipped = false;
		if (!first)
			first = s;
	}
	dropped = cells->nr - kept;
	cells->nr = kept;
	if (!dropped || *all_skipped)
		return;
	if (first->ok)
		warn(c, "run %s: %s, %s: %zu cells left out: %s is null", run_id, first->workload,
		     first->strategy, dropped, key);
	else
		warn(c, "run %s: %s, %s: %zu cells left out: %s%s%s", run_id, first->workload,
		     first->strategy, dropped, first->status ? first->status : "not ok",
		     first->reason ? ": " : "", first->reason ? first->reason : "");
}

/* Drop from both sides the blocks that the other one lacks. */
static void pair_cells(struct compare *c, struct cells *a, struct cells *b)
{
	size_t i = 0, j = 0, kept = 0, before = a->nr > b->nr ? a->nr : b->nr;
	const struct result_sample *any = b->nr ? b->list[0] : NULL;

	while (i < a->nr && j < b->nr) {
		if (a->list[i]->block < b->list[j]->block) {
			i++;
		} else if (a->list[i]->block > b->list[j]->block) {
			j++;
		} else {
			a->list[kept] = a->list[i++];
			b->list[kept++] = b->list[j++];
		}
	}
	a->nr = kept;
	b->nr = kept;
	if (any && kept < before)
		warn(c, "%s, %s: %zu of %zu blocks have both sides", any->workload, any->strategy,
		     kept, before);
}

static bool needs_contention(const char *key)
{
	static const char *const prefixes[] = {
		"fault_", "wait_", "get_slow", "put_slow", "irqoff_", "lost_race", "fairness",
	};
	const char *dot = strrchr(key, '.');
	size_t i;

	if (dot)
		key = dot + 1;
	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(key, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* Mean wait_count over @cells; NAN when none has it. */
static double waits_per_cell(const struct cells *cells)
{
	double sum = 0, value;
	size_t i, nr = 0;

	for (i = 0; i < cells->nr; i++) {
		value = result_metric(cells->list[i], "wait_count");
		if (!isfinite(value))
			continue;
		sum += value;
		nr++;
	}
	return nr ? sum / (double)nr : NAN;
}

static uint64_t row_seed(uint64_t seed, const char *workload, const char *strategy)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ seed;
	const char *parts[] = { workload, "/", strategy };
	const char *at;
	int i;

	for (i = 0; i < 3; i++)
		for (at = parts[i]; *at; at++)
			hash = (hash ^ (unsigned char)*at) * 0x100000001b3ull;
	return hash;
}

static int measure(const struct compare *c, const struct compare_workload *w,
		   struct compare_row *row, const struct cells *a, const struct cells *b)
{
	double *values = calloc(a->nr + b->nr, sizeof(*values));
	struct blocks x = { .a = values, .na = a->nr, .nb = b->nr, .paired = !c->two_runs };
	size_t i;
	int ret;

	if (!values)
		return -ENOMEM;
	x.b = values + a->nr;
	for (i = 0; i < a->nr; i++)
		values[i] = result_metric(a->list[i], w->key);
	for (i = 0; i < b->nr; i++)
		values[a->nr + i] = result_metric(b->list[i], w->key);
	ret = effect_measure(&x, &c->options.rule,
			     row_seed(c->options.seed, w->name, row->strategy), &row->effect);
	free(values);
	return ret;
}

__attribute__((format(printf, 2, 3)))
static int no_data(struct compare_row *row, const char *format, ...)
{
	va_list args;
	int ret;

	row->verdict = VERDICT_NO_DATA;
	va_start(args, format);
	ret = vasprintf(&row->reason, format, args);
	va_end(args);
	if (ret < 0)
		row->reason = NULL;
	return ret < 0 ? -ENOMEM : 0;
}

/* Why a side has no figure; @first is any of its cells before they were left out. */
static int no_side(struct compare_row *row, const char *key, const char *whose,
		   const struct result_sample *first)
{
	if (!first)
		return no_data(row, "no cell of %s", whose);
	if (first->ok)
		return no_data(row, "%s of %s is null", key, whose);
	return no_data(row, "%s %s%s%s", whose, first->status ? first->status : "not ok",
		       first->reason ? ": " : "", first->reason ? first->reason : "");
}

/* Decide whether there is data, and measure it. Verdicts follow in decide(). */
static int fill_from_cells(struct compare *c, const struct compare_workload *w,
			   struct compare_row *row, struct cells *a, struct cells *b)
{
	const struct result_sample *first_a = a->nr ? a->list[0] : NULL;
	const struct result_sample *first_b = b->nr ? b->list[0] : NULL;
	const char *whose_b = c->two_runs ? c->run_b : row->strategy;
	bool skipped_a, skipped_b;

	keep_usable(c, a, w->key, c->run_a, &skipped_a);
	keep_usable(c, b, w->key, c->run_b, &skipped_b);
	row->skipped = skipped_a || skipped_b;
	if (!b->nr)
		return no_side(row, w->key, whose_b, first_b);
	if (!a->nr)
		return no_side(row, w->key, c->base, first_a);
	if (!c->two_runs)
		pair_cells(c, a, b);
	if (!a->nr)
		return no_data(row, "no block has both %s and %s", c->base, row->strategy);
	row->contended = fmax(waits_per_cell(a), waits_per_cell(b));
	return measure(c, w, row, a, b);
}

static int fill_row(struct compare *c, const struct compare_workload *w, struct compare_row *row,
		    const struct result_run *a, const struct result_run *b)
{
	struct cells side_a = { 0 }, side_b = { 0 };
	int ret;

	if (!w->metric)
		return no_data(row, "unknown metric \"%s\"", w->key);
	if (w->metric->direction == DIR_INFO)
		return no_data(row, "%s has no better direction", w->metric->title);
	ret = collect(a, w->name, c->two_runs ? row->strategy : c->base, &side_a);
	if (!ret)
		ret = collect(b, w->name, row->strategy, &side_b);
	if (!ret)
		ret = fill_from_cells(c, w, row, &side_a, &side_b);
	free(side_a.list);
	free(side_b.list);
	return ret;
}

/* The one place where a direction becomes better or worse. */
static enum verdict judge(enum finding finding, enum metric_direction better)
{
	switch (finding) {
	case FINDING_SAME:
		return VERDICT_NO_CHANGE;
	case FINDING_LOWER:
		return better == DIR_LOWER ? VERDICT_IMPROVED : VERDICT_REGRESSED;
	case FINDING_HIGHER:
		return better == DIR_HIGHER ? VERDICT_IMPROVED : VERDICT_REGRESSED;
	default:
		return VERDICT_TOO_NOISY;
	}
}

static void decide_row(const struct compare *c, const struct compare_workload *w,
		       struct compare_row *row, unsigned int family)
{
	const struct verdict_rule *rule = &c->options.rule;
	double p = row->control ? row->effect.p : row->p_holm;
	bool stands;

	row->verdict = judge(effect_decide(&row->effect, rule, p, family, &row->needed),
			     w->metric->direction);
	row->too_few = family * row->effect.p_floor > rule->alpha;
	stands = row->control || (c->two_runs && row->verdict == VERDICT_REGRESSED);
	if (!stands && needs_contention(w->key) && row->contended < c->options.min_contended) {
		row->verdict = VERDICT_CANNOT_DISCRIMINATE;
		row->needed = 0;
	}
}

/* Holm over the rows that have data and are no controls, then the verdicts. */
static int decide(const struct compare *c, struct compare_workload *w)
{
	double *p = calloc(2 * w->nr_rows + 1, sizeof(*p)), *adjusted = p + w->nr_rows;
	unsigned int family = 0;
	size_t i;

	if (!p)
		return -ENOMEM;
	for (i = 0; i < w->nr_rows; i++)
		if (!w->rows[i].reason && !w->rows[i].control)
			p[family++] = w->rows[i].effect.p;
	holm_adjust(p, adjusted, family);
	for (i = 0; i < w->nr_rows; i++) {
		struct compare_row *row = &w->rows[i];

		if (row->reason)
			continue;
		if (!row->control)
			row->p_holm = *adjusted++;
		decide_row(c, w, row, row->control ? 1 : family);
	}
	free(p);
	return 0;
}

/* "victim.fault_p99_ns" is labelled "victim fault p99". */
static char *make_label(const char *key, const struct metric *metric)
{
	const char *dot = strrchr(key, '.');
	char *label;

	if (!metric)
		return strdup(key);
	if (!dot)
		return strdup(metric->title);
	if (asprintf(&label, "%.*s %s", (int)(dot - key), key, metric->title) < 0)
		return NULL;
	return label;
}

static int fill_rows(struct compare *c, struct compare_workload *w, const struct result_run *a,
		     const struct result_run *b)
{
	const json_t *list = json_object_get(a->meta, "strategies"), *item;
	size_t i;
	int ret;

	w->rows = calloc(json_array_size(list), sizeof(*w->rows));
	if (!w->rows)
		return -ENOMEM;
	json_array_foreach(list, i, item) {
		const char *name = meta_string(item, "name");
		bool control = json_is_true(json_object_get(item, "control"));
		struct compare_row *row = &w->rows[w->nr_rows];

		if (!c->two_runs && (control || !strcmp(name, c->base)))
			continue;
		if (!selected(c->options.strategies, name))
			continue;
		row->strategy = name;
		row->control = control;
		row->p_holm = NAN;
		row->contended = NAN;
		w->nr_rows++;
		ret = fill_row(c, w, row, a, b);
		if (ret)
			return ret;
	}
	return decide(c, w);
}

static int add_workload(struct compare *c, const json_t *item, const struct result_run *a,
			const struct result_run *b, char *err, size_t err_size)
{
	struct compare_workload *w = &c->workloads[c->nr_workloads];

	w->name = meta_string(item, "name");
	w->title = meta_string(item, "title") ? meta_string(item, "title") : w->name;
	w->key = meta_string(item, "primary");
	w->comparable = true;
	c->nr_workloads++;
	if (!w->key)
		return fail(-EINVAL, err, err_size,
			    "run %s: run.json: workload \"%s\" has no \"primary\" metric",
			    a->run_id, w->name);
	w->metric = metric_find(w->key);
	w->label = make_label(w->key, w->metric);
	return w->label ? fill_rows(c, w, a, b) : -ENOMEM;
}

static int build(struct compare *c, const struct result_run *a, const struct result_run *b,
		 char *err, size_t err_size)
{
	const json_t *list = json_object_get(a->meta, "workloads"), *item;
	size_t i;
	int ret;

	c->run_a = a->run_id;
	c->run_b = b->run_id;
	c->workloads = calloc(json_array_size(list), sizeof(*c->workloads));
	if (!c->workloads)
		return -ENOMEM;
	json_array_foreach(list, i, item) {
		if (!selected(c->options.workloads, meta_string(item, "name")))
			continue;
		ret = add_workload(c, item, a, b, err, err_size);
		if (ret)
			return ret;
	}
	for (i = 0; i < b->nr_samples; i++)
		c->violations += b->samples[i].status && !strcmp(b->samples[i].status, "violation");
	return 0;
}

/* What two runs must share; without the first group no figure compares. */
static const struct {
	const char *key;
	bool decisive;
} shared_fields[] = {
	{ "on", true }, { "machine", true }, { "topology", true }, { "host", true },
	{ "scale", true }, { "virtualisation", false }, { "governor", false }, { "turbo", false },
	{ "smt", false }, { "mitigations", false },
};

/* A field of run.json, or of the environment in it. */
static const json_t *meta_field(const json_t *meta, const char *key)
{
	const json_t *value = json_object_get(meta, key);

	return value ? value : json_object_get(json_object_get(meta, "environment"), key);
}

/* @json in at most 40 characters, or "..." */
static const char *brief(const json_t *json, char *text, size_t size)
{
	char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

	snprintf(text, size, "%s", !json ? "nothing" : dump && strlen(dump) <= 40 ? dump : "...");
	free(dump);
	return text;
}

static bool same_field(struct compare *c, const char *where, const char *key, const json_t *a,
		       const json_t *b)
{
	char text_a[48], text_b[48];

	if (a == b || json_equal(a, b))
		return true;
	warn(c, "the runs differ in %s\"%s\": %s has %s, %s has %s", where, key, c->run_a,
	     brief(a, text_a, sizeof(text_a)), c->run_b, brief(b, text_b, sizeof(text_b)));
	return false;
}

static void check_workload(struct compare *c, struct compare_workload *w,
			   const struct result_run *a, const struct result_run *b)
{
	const json_t *in_a = meta_entry(a, "workloads", w->name);
	const json_t *in_b = meta_entry(b, "workloads", w->name);
	char where[80];

	if (!in_b)
		return;	/* its rows say that there is no cell */
	snprintf(where, sizeof(where), "workload %s: ", w->name);
	if (!same_field(c, where, "hash", json_object_get(in_a, "hash"),
			json_object_get(in_b, "hash")))
		w->comparable = false;
	if (!same_field(c, where, "primary", json_object_get(in_a, "primary"),
			json_object_get(in_b, "primary")))
		w->comparable = false;
}

static void warn_of_controls(struct compare *c, const struct compare_workload *w)
{
	size_t i;

	for (i = 0; i < w->nr_rows; i++) {
		const struct compare_row *row = &w->rows[i];

		if (row->control && (row->verdict == VERDICT_IMPROVED ||
				     row->verdict == VERDICT_REGRESSED))
			warn(c, "%s: control %s %s between the runs: what surrounds the "
			     "strategies changed, too", w->name, row->strategy,
			     verdict_name(row->verdict));
	}
}

static void check_shared(struct compare *c, const struct result_run *a,
			 const struct result_run *b)
{
	bool comparable = true;
	size_t i;

	for (i = 0; i < sizeof(shared_fields) / sizeof(shared_fields[0]); i++) {
		const char *key = shared_fields[i].key;

		if (!same_field(c, "", key, meta_field(a->meta, key), meta_field(b->meta, key)) &&
		    shared_fields[i].decisive)
			comparable = false;
	}
	for (i = 0; i < c->nr_workloads; i++) {
		check_workload(c, &c->workloads[i], a, b);
		c->workloads[i].comparable &= comparable;
		warn_of_controls(c, &c->workloads[i]);
	}
}

static void warn_of_truncation(struct compare *c, const struct result_run *run)
{
	if (run->truncated)
		warn(c, "run %s: %u lines of samples.jsonl were cut off and dropped", run->run_id,
		     run->truncated);
}

static struct compare *start(const struct compare_options *options)
{
	static const struct compare_options defaults = COMPARE_DEFAULTS;
	struct compare *c = calloc(1, sizeof(*c));

	if (c)
		c->options = options ? *options : defaults;
	return c;
}

static int finish(struct compare *c, int ret, struct compare **result, char *err, size_t err_size)
{
	if (!ret)
		ret = compare_words(c);
	if (ret) {
		if (ret == -ENOMEM)
			fail(ret, err, err_size, "out of memory");
		compare_free(c);
		return ret;
	}
	*result = c;
	return 0;
}

int compare_run(const struct result_run *run, const struct compare_options *options,
		struct compare **result, char *err, size_t err_size)
{
	struct compare *c = start(options);
	int ret;

	if (!c)
		return fail(-ENOMEM, err, err_size, "out of memory");
	c->base = c->options.baseline;
	ret = check_run(run, &c->options, err, err_size);
	if (!ret)
		ret = check_name(run, "strategies", "baseline", c->base, err, err_size);
	if (!ret)
		ret = build(c, run, run, err, err_size);
	if (!ret)
		warn_of_truncation(c, run);
	return finish(c, ret, result, err, err_size);
}

int compare_runs(const struct result_run *a, const struct result_run *b,
		 const struct compare_options *options, struct compare **result,
		 char *err, size_t err_size)
{
	struct compare *c = start(options);
	int ret;

	if (!c)
		return fail(-ENOMEM, err, err_size, "out of memory");
	c->two_runs = true;
	c->base = a->run_id;
	ret = check_run(a, &c->options, err, err_size);
	if (!ret)
		ret = check_run(b, &c->options, err, err_size);
	if (!ret)
		ret = build(c, a, b, err, err_size);
	if (!ret) {
		check_shared(c, a, b);
		warn_of_truncation(c, a);
		warn_of_truncation(c, b);
	}
	return finish(c, ret, result, err, err_size);
}

static void free_workload(struct compare_workload *w)
{
	size_t i;

	for (i = 0; i < w->nr_rows; i++) {
		free(w->rows[i].reason);
		free(w->rows[i].sentence);
	}
	free(w->rows);
	free(w->label);
	free(w->sentence);
}

void compare_free(struct compare *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->nr_workloads; i++)
		free_workload(&c->workloads[i]);
	for (i = 0; i < c->nr_warnings; i++)
		free(c->warnings[i]);
	free(c->workloads);
	free(c->warnings);
	free(c);
}

struct tally {
	const struct compare_row *regressed, *open;
	const struct compare_workload *regressed_in, *open_in, *foreign;
	unsigned int decided;
};

static void tally_workload(const struct compare_workload *w, struct tally *t)
{
	size_t i;

	if (!w->comparable)
		t->foreign = w;
	for (i = 0; i < w->nr_rows; i++) {
		const struct compare_row *row = &w->rows[i];

		if (row->control || row->skipped)
			continue;
		if (row->verdict == VERDICT_REGRESSED) {
			t->regressed = row;
			t->regressed_in = w;
		} else if (row->verdict == VERDICT_IMPROVED || row->verdict == VERDICT_NO_CHANGE) {
			t->decided++;
		} else {
			t->open = row;
			t->open_in = w;
		}
	}
}

enum compare_gate compare_gate(const struct compare *c, char *why, size_t why_size)
{
	struct tally t = { 0 };
	size_t i;

	for (i = c->nr_workloads; i-- > 0;)
		tally_workload(&c->workloads[i], &t);
	if (c->violations)
		return (enum compare_gate)fail(GATE_REGRESSED, why, why_size,
					       "%u cells of run %s broke an invariant",
					       c->violations, c->run_b);
	if (t.regressed)
		return (enum compare_gate)fail(GATE_REGRESSED, why, why_size,
					       "%s: %s of %s regressed", t.regressed_in->name,
					       t.regressed_in->label, t.regressed->strategy);
	if (t.foreign)
		return (enum compare_gate)fail(GATE_INCONCLUSIVE, why, why_size,
					       "%s: the runs are not comparable", t.foreign->name);
	if (t.open)
		return (enum compare_gate)fail(GATE_INCONCLUSIVE, why, why_size,
					       "%s: %s of %s: %s", t.open_in->name,
					       t.open_in->label, t.open->strategy,
					       verdict_name(t.open->verdict));
	if (!t.decided)
		return (enum compare_gate)fail(GATE_INCONCLUSIVE, why, why_size,
					       "nothing was there to compare");
	return (enum compare_gate)fail(GATE_PASS, why, why_size,
				       "%u primary metrics, none regressed", t.decided);
}
