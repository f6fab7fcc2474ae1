// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples to figures: median, least and greatest over blocks, the state of
 * cells, merged histograms, and whether the TDs' shares add up.
 *
 * A run that was resumed may have a block twice; the later line counts. A
 * violation counts even if the block was repeated without one.
 */
#define _GNU_SOURCE 1
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/aggregate.h"
#include "stats/describe.h"

/* --- memory and names -------------------------------------------------- */

static void *alloc_check(void *p)
{
	if (!p) {
		fputs("dpamt: out of memory while making the report\n", stderr);
		exit(3);
	}
	return p;
}

void *report_alloc(size_t nr, size_t size)
{
	return alloc_check(calloc(nr ? nr : 1, size));
}

void *report_realloc(void *old, size_t nr, size_t size)
{
	return alloc_check(reallocarray(old, nr ? nr : 1, size));
}

char *report_vformat(const char *format, va_list ap)
{
	char *text;

	return alloc_check(vasprintf(&text, format, ap) < 0 ? NULL : text);
}

char *report_format(const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = report_vformat(format, ap);
	va_end(ap);
	return text;
}

bool names_has(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->nr; i++)
		if (!strcmp(names->name[i], name))
			return true;
	return false;
}

static void names_take(struct names *names, char *name)
{
	if (names_has(names, name)) {
		free(name);
		return;
	}
	names->name = report_realloc(names->name, names->nr + 1, sizeof(*names->name));
	names->name[names->nr++] = name;
}

void names_add(struct names *names, const char *name)
{
	names_take(names, report_format("%s", name));
}

void names_addf(struct names *names, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	names_take(names, report_vformat(format, ap));
	va_end(ap);
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct names){ 0 };
}

/* --- run.json ---------------------------------------------------------- */

static void add_meta_names(struct names *names, const json_t *list)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (!name)
			name = json_string_value(entry);
		if (name)
			names_add(names, name);
	}
}

struct names run_workloads(const struct result_run *run)
{
	struct names names = { 0 };

	add_meta_names(&names, json_object_get(run->meta, "workloads"));
	for (size_t i = 0; i < run->nr_samples; i++)
		if (run->samples[i].workload)
			names_add(&names, run->samples[i].workload);
	return names;
}

struct names run_strategies(const struct result_run *run)
{
	struct names names = { 0 };

	add_meta_names(&names, json_object_get(run->meta, "strategies"));
	for (size_t i = 0; i < run->nr_samples; i++)
		if (run->samples[i].strategy)
			names_add(&names, run->samples[i].strategy);
	return names;
}

static const json_t *find_entry(const json_t *list, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *has = json_string_value(json_object_get(entry, "name"));

		if (has && !strcmp(has, name))
			return entry;
	}
	return NULL;
}

const json_t *run_workload(const struct result_run *run, const char *workload)
{
	return find_entry(json_object_get(run->meta, "workloads"), workload);
}

const json_t *run_strategy(const struct result_run *run, const char *strategy)
{
	return find_entry(json_object_get(run->meta, "strategies"), strategy);
}

bool run_is_control(const struct result_run *run, const char *strategy)
{
	return json_is_true(json_object_get(run_strategy(run, strategy), "control"));
}

char *member_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		return report_format("%s", json_string_value(value));
	case JSON_INTEGER:
		return report_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return report_format("%g", json_real_value(value));
	case JSON_TRUE:
		return report_format("yes");
	case JSON_FALSE:
		return report_format("no");
	default:
		return report_format("%s", "");
	}
}

struct names run_marks(const struct result_run *run)
{
	struct names marks = { 0 };
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(run->meta, "marks"), i, entry) {
		const char *text = json_string_value(json_object_get(entry, "text"));

		if (!text)
			text = json_string_value(entry);
		if (text && json_string_value(json_object_get(entry, "prefix")))
			names_addf(&marks, "[%zu] %s", i + 1, text);
		else if (text)
			names_add(&marks, text);
	}
	return marks;
}

static const char *sample_place(const struct result_sample *s)
{
	static const char *const kinds[] = {
		[RESULT_CELL] = "", [RESULT_CONTROL] = "controls", [RESULT_COST] = "cost loop",
	};

	return s->workload ? s->workload : kinds[s->kind];
}

/* --- samples ----------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool sample_is_current(const struct result_run *run, const struct result_sample *s)
{
	for (size_t i = (size_t)(s - run->samples) + 1; i < run->nr_samples; i++) {
		const struct result_sample *later = &run->samples[i];

		if (later->block == s->block && later->kind == s->kind &&
		    same(later->workload, s->workload) && same(later->strategy, s->strategy))
			return false;
	}
	return true;
}

bool sample_matches(const struct result_sample *s, const char *workload, const char *strategy)
{
	return same(s->workload, workload) && same(s->strategy, strategy);
}

static struct report_stat stat_of(const struct result_run *run, const char *workload,
				  const char *strategy, const char *key)
{
	double *values = report_alloc(run->nr_samples, sizeof(*values));
	struct report_stat stat = { NAN, NAN, NAN, 0 };

	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		double value;

		if (!s->ok || !sample_matches(s, workload, strategy))
			continue;
		value = result_metric(s, key);
		if (!isfinite(value) || !sample_is_current(run, s))
			continue;
		stat.min = stat.n ? fmin(stat.min, value) : value;
		stat.max = stat.n ? fmax(stat.max, value) : value;
		values[stat.n++] = value;
	}
	if (stat.n)
		stat.median = stats_median(values, stat.n);
	free(values);
	return stat;
}

bool key_is_cost(const char *key)
{
	return !strncmp(key, "cost_", 5) || !strcmp(key, "get_fast_ns") ||
	       !strcmp(key, "put_fast_ns");
}

struct report_stat report_stat(const struct result_run *run, const char *workload,
			       const char *strategy, const char *key)
{
	struct report_stat stat = stat_of(run, workload, strategy, key);

	if (!stat.n && workload && strategy && key_is_cost(key))
		stat = stat_of(run, NULL, strategy, key);
	return stat;
}

double report_value(const struct result_run *run, const char *workload, const char *strategy,
		    const char *key)
{
	return report_stat(run, workload, strategy, key).median;
}

struct cell_state cell_state(const struct result_run *run, const char *workload,
			     const char *strategy)
{
	struct cell_state state = { 0 };

	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];

		if (!sample_matches(s, workload, strategy) || !sample_is_current(run, s))
			continue;
		state.cells++;
		if (s->ok)
			state.ok++;
		else
			state.bad = s;
	}
	return state;
}

static struct names member_names(const struct result_run *run, const char *workload,
				 const char *member)
{
	struct names names = { 0 };

	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		const char *key;
		json_t *value;

		if (!s->ok || !same(s->workload, workload))
			continue;
		json_object_foreach(json_object_get(s->json, member), key, value)
			names_add(&names, key);
	}
	return names;
}

struct names run_keys(const struct result_run *run, const char *workload)
{
	return member_names(run, workload, "metrics");
}

struct names run_hist_names(const struct result_run *run, const char *workload)
{
	return member_names(run, workload, "hist");
}

unsigned int run_hist(const struct result_run *run, const char *workload, const char *strategy,
		      const char *name, struct hist *h, struct names *why)
{
	struct hist *block = report_alloc(1, sizeof(*block));
	unsigned int blocks = 0;
	char err[256];

	hist_reset(h);
	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		const json_t *json;

		if (!s->ok || !sample_matches(s, workload, strategy) || !sample_is_current(run, s))
			continue;
		json = json_object_get(json_object_get(s->json, "hist"), name);
		if (!json || json_is_null(json))
			continue;
		if (!hist_decode(json, block, err, sizeof(err))) {
			hist_merge(h, block);
			blocks++;
		} else if (why) {
			names_addf(why, "%s, %s, block %d: histogram %s left out: %s", workload,
				   strategy, s->block, name, err);
		}
	}
	free(block);
	return blocks;
}

const struct result_sample *run_representative(const struct result_run *run, const char *workload,
					       const char *strategy, const char *member)
{
	double median = report_value(run, workload, strategy, "pamt_mean_bytes"), best = INFINITY;
	const struct result_sample *found = NULL;

	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		const json_t *has = json_object_get(s->json, member);
		double off;

		if (!s->ok || !sample_matches(s, workload, strategy) || !sample_is_current(run, s))
			continue;
		if (!json_array_size(has) && !json_object_size(has))
			continue;
		off = fabs(result_metric(s, "pamt_mean_bytes") - median);
		if (!found || off < best) {
			found = s;
			best = isfinite(off) ? off : INFINITY;
		}
	}
	return found;
}

/* --- the sum over TDs -------------------------------------------------- */

/* A whole number of bytes into *bytes; false for anything else. */
static bool whole_bytes(const json_t *value, json_int_t *bytes)
{
	double real = json_number_value(value);

	*bytes = json_integer_value(value);
	if (json_is_integer(value))
		return true;
	if (!json_is_real(value) || fabs(real) > 9e15 || real != floor(real))
		return false;
	*bytes = (json_int_t)real;
	return true;
}

struct td_sum cell_td_sum(const struct result_sample *s)
{
	const json_t *tds = json_object_get(s->json, "tds"), *td;
	const json_t *host = json_object_get(s->json, "snapshot_pamt_bytes");
	struct td_sum sum = { 0 };
	bool whole = true;
	json_int_t bytes;
	size_t i;

	if (!host)
		host = json_object_get(json_object_get(s->json, "metrics"), "snapshot_pamt_bytes");
	sum.known = json_array_size(tds) && json_is_number(host);
	if (!sum.known)
		return sum;
	whole = whole_bytes(host, &sum.host);
	json_array_foreach(tds, i, td) {
		if (!whole_bytes(json_object_get(td, "pamt_bytes"), &bytes) ||
		    __builtin_add_overflow(sum.sum, bytes, &sum.sum))
			whole = false;
	}
	sum.exact = whole && sum.sum == sum.host;
	return sum;
}

struct td_check run_td_check(const struct result_run *run, const char *workload,
			     const char *strategy)
{
	struct td_check check = { 0 };

	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		struct td_sum sum;

		if (!s->ok || !sample_matches(s, workload, strategy) || !sample_is_current(run, s))
			continue;
		sum = cell_td_sum(s);
		check.checked += sum.known;
		check.exact += sum.known && sum.exact;
		if (sum.known && !sum.exact && !check.wrong)
			check.wrong = s;
	}
	return check;
}

/* The TDs' shares of an usable cell do not make up the host's figure. */
static bool sum_is_wrong(const struct result_sample *s)
{
	struct td_sum sum = cell_td_sum(s);

	return s->ok && sum.known && !sum.exact;
}

struct names run_violations(const struct result_run *run)
{
	struct names found = { 0 };

	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		const char *strategy = s->strategy ? s->strategy : "-";

		if (!strcmp(s->status, "violation"))
			names_addf(&found, "BROKEN INVARIANT: %s, %s, block %d: %s",
				   sample_place(s), strategy, s->block,
				   s->reason ? s->reason : "no reason recorded");
		else if (sum_is_wrong(s))
			names_addf(&found,
				   "BROKEN INVARIANT: %s, %s, block %d: the TDs' PAMT pairs sum to "
				   "%" JSON_INTEGER_FORMAT " bytes, the host's figure is "
				   "%" JSON_INTEGER_FORMAT,
				   sample_place(s), strategy, s->block, cell_td_sum(s).sum,
				   cell_td_sum(s).host);
	}
	return found;
}

unsigned int report_violations(const struct result_run *run)
{
	unsigned int nr = 0;

	for (size_t i = 0; i < run->nr_samples; i++)
		nr += !strcmp(run->samples[i].status, "violation") ||
		      sum_is_wrong(&run->samples[i]);
	return nr;
}

/* --- warnings ---------------------------------------------------------- */

static void add_warning(struct names *texts, unsigned int **counts, const char *text)
{
	size_t nr = texts->nr;

	names_add(texts, text);
	if (texts->nr > nr) {
		*counts = report_realloc(*counts, texts->nr, sizeof(**counts));
		(*counts)[nr] = 0;
	}
	for (size_t i = 0; i < texts->nr; i++)
		if (!strcmp(texts->name[i], text))
			(*counts)[i]++;
}

/* One sentence for each sample that is neither ok nor a violation, by status and reason. */
static void add_failures(const struct result_run *run, struct names *texts, unsigned int **counts)
{
	for (size_t i = 0; i < run->nr_samples; i++) {
		const struct result_sample *s = &run->samples[i];
		char *text;

		if (s->ok || !strcmp(s->status, "violation") || !sample_is_current(run, s))
			continue;
		text = report_format("%s, %s: %s: %s", sample_place(s),
				     s->strategy ? s->strategy : "-", s->status,
				     s->reason ? s->reason : "no reason recorded");
		add_warning(texts, counts, text);
		free(text);
	}
}

static void add_list(const json_t *list, const struct result_sample *s, struct names *texts,
		     unsigned int **counts)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *said = json_string_value(entry);
		char *text;

		if (!said)
			continue;
		text = s ? report_format("%s, %s: %s", sample_place(s),
					 s->strategy ? s->strategy : "-", said) :
			   report_format("%s", said);
		add_warning(texts, counts, text);
		free(text);
	}
}

static void add_hist_warnings(const struct result_run *run, struct names *out)
{
	struct names workloads = run_workloads(run), strategies = run_strategies(run);
	struct hist *h = report_alloc(1, sizeof(*h));

	for (size_t w = 0; w < workloads.nr; w++) {
		struct names hists = run_hist_names(run, workloads.name[w]);

		for (size_t i = 0; i < strategies.nr * hists.nr; i++)
			run_hist(run, workloads.name[w], strategies.name[i / hists.nr],
				 hists.name[i % hists.nr], h, out);
		names_free(&hists);
	}
	free(h);
	names_free(&workloads);
	names_free(&strategies);
}

struct names run_warnings(const struct result_run *run)
{
	struct names texts = { 0 }, out = { 0 };
	unsigned int *counts = NULL;

	if (run->truncated)
		names_addf(&out, "samples.jsonl: the last line was cut off and is left out (%u)",
			   run->truncated);
	add_list(json_object_get(run->meta, "warnings"), NULL, &texts, &counts);
	add_failures(run, &texts, &counts);
	for (size_t i = 0; i < run->nr_samples; i++)
		add_list(json_object_get(run->samples[i].json, "warnings"), &run->samples[i],
			 &texts, &counts);
	for (size_t i = 0; i < texts.nr; i++) {
		if (counts[i] > 1)
			names_addf(&out, "%s (%u times)", texts.name[i], counts[i]);
		else
			names_add(&out, texts.name[i]);
	}
	add_hist_warnings(run, &out);
	free(counts);
	names_free(&texts);
	return out;
}
