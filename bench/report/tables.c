// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tables of metrics: main, groups, all metrics with their range, controls.
 *
 * A column is filled in one go: the medians of all rows first, then the scale
 * that suits the largest, then the cells. Marks of run.json that carry a
 * "prefix" ("fault_") put their number into the heads of the columns whose
 * keys begin with it.
 */
#define _GNU_SOURCE 1
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/tables.h"

/* A row's place in the run. */
struct place {
	const char *strategy, *prefix;	/* prefix "victim." or "" */
};

static const char *key_base(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot ? dot + 1 : key;
}

static const char *primary_key(const struct result_run *run, const char *workload)
{
	const char *key = json_string_value(json_object_get(run_workload(run, workload),
							    "primary"));

	return key ? key : "";
}

/* "[2]" for a key that the second mark speaks of; "" for others. */
static char *mark_of(const struct result_run *run, const char *key)
{
	const json_t *mark;
	size_t i;

	json_array_foreach(json_object_get(run->meta, "marks"), i, mark) {
		const char *prefix = json_string_value(json_object_get(mark, "prefix"));

		if (prefix && *prefix && !strncmp(key_base(key), prefix, strlen(prefix)))
			return report_format("[%zu]", i + 1);
	}
	return report_format("%s", "");
}

static size_t add_metric_column(struct table *t, const struct result_run *run,
				const struct metric *m, bool primary)
{
	char *mark = mark_of(run, m->key);
	char *title = report_format("%s%s%s", m->title, mark, primary ? " (primary)" : "");
	size_t column = table_column(t, title, "", false);

	free(title);
	free(mark);
	return column;
}

/* Rows 0.. of @column: @values in the unit of @m. */
static void fill_column(struct table *t, size_t column, const struct metric *m,
			const double *values, size_t nr)
{
	struct scale scale;
	double largest = 0;

	for (size_t r = 0; r < nr; r++)
		largest = fmax(largest, fabs(values[r]));
	scale = scale_for(m->unit, largest);
	free(t->columns[column].unit);
	t->columns[column].unit = report_format("%s", scale.unit);
	for (size_t r = 0; r < nr; r++) {
		char *text = scale_value(scale, values[r], m->unit == UNIT_COUNT);

		table_set(t, r, column, text);
		free(text);
	}
}

static void fill_metric(struct table *t, size_t column, const struct result_run *run,
			const char *workload, const struct metric *m, const struct place *places)
{
	double *values = report_alloc(t->nr_rows, sizeof(*values));

	for (size_t r = 0; r < t->nr_rows; r++) {
		char *key = report_format("%s%s", places[r].prefix, m->key);

		values[r] = report_value(run, workload, places[r].strategy, key);
		free(key);
	}
	fill_column(t, column, m, values, t->nr_rows);
	free(values);
}

/* --- the main table ---------------------------------------------------- */

/* 0: time and throughput; 1: waiting, transitions, memory. */
static int part_of(const struct metric *m)
{
	bool time = m->unit == UNIT_NS || m->unit == UNIT_PER_SEC;

	return time && strncmp(m->key, "wait_", 5) ? 0 : 1;
}

static char *row_reason(const struct cell_state *state)
{
	if (!state->cells)
		return report_format("not run");
	return report_format("%s: %s", state->bad->status,
			     state->bad->reason ? state->bad->reason : "no reason recorded");
}

struct table *table_main(const struct result_run *run, const char *workload, int part)
{
	struct names strategies = run_strategies(run);
	struct place *places = report_alloc(strategies.nr, sizeof(*places));
	const char *primary = primary_key(run, workload);
	const struct metric *m, **shown;
	struct table *t = table_new("");
	size_t nr, columns;

	m = metric_list(&nr);
	shown = report_alloc(nr + 1, sizeof(*shown));
	table_column(t, "strategy", "", true);
	for (; nr--; m++) {
		bool is_primary = !strcmp(primary, m->key);

		if (part_of(m) == part && (m->column == COLUMN_SHOW || is_primary))
			shown[add_metric_column(t, run, m, is_primary)] = m;
	}
	columns = t->nr_columns;
	for (size_t s = 0; s < strategies.nr; s++) {
		places[s] = (struct place){ strategies.name[s], "" };
		table_row(t, strategies.name[s]);
	}
	for (size_t c = 1; c < columns; c++)
		fill_metric(t, c, run, workload, shown[c], places);
	for (size_t s = 0; s < strategies.nr; s++) {
		struct cell_state state = cell_state(run, workload, strategies.name[s]);
		char *reason = state.ok ? NULL : row_reason(&state);

		if (reason)
			table_span(t, s, reason);
		free(reason);
	}
	free(shown);
	free(places);
	names_free(&strategies);
	return t;
}

/* --- groups ------------------------------------------------------------ */

/* "victim." of "victim.fault_p99_ns", each once. */
static struct names group_prefixes(const struct names *keys)
{
	struct names prefixes = { 0 };

	for (size_t i = 0; i < keys->nr; i++) {
		const char *base = key_base(keys->name[i]);

		if (base != keys->name[i] && metric_find(base))
			names_addf(&prefixes, "%.*s", (int)(base - keys->name[i]), keys->name[i]);
	}
	return prefixes;
}

static void add_group_columns(struct table *t, const struct result_run *run, const char *workload,
			      const struct place *places)
{
	const char *primary = key_base(primary_key(run, workload));
	const struct metric *m;
	size_t nr;

	for (m = metric_list(&nr); nr--; m++) {
		bool is_primary = !strcmp(primary, m->key);

		if (m->column == COLUMN_SHOW || is_primary)
			fill_metric(t, add_metric_column(t, run, m, is_primary), run, workload, m,
				    places);
	}
}

struct table *table_groups(const struct result_run *run, const char *workload)
{
	struct names strategies = run_strategies(run), keys = run_keys(run, workload);
	struct names prefixes = group_prefixes(&keys);
	struct place *places = report_alloc(strategies.nr * prefixes.nr, sizeof(*places));
	struct table *t = table_new("by group of TDs");

	table_column(t, "group, strategy", "", true);
	for (size_t i = 0; i < prefixes.nr; i++) {
		for (size_t s = 0; s < strategies.nr; s++) {
			size_t len = strlen(prefixes.name[i]) - 1;
			char *name;

			if (!cell_state(run, workload, strategies.name[s]).ok)
				continue;
			name = report_format("%.*s, %s", (int)len, prefixes.name[i],
					     strategies.name[s]);
			places[table_row(t, name)] =
				(struct place){ strategies.name[s], prefixes.name[i] };
			free(name);
		}
	}
	add_group_columns(t, run, workload, places);
	table_drop_empty(t);
	if (!t->nr_rows || t->nr_columns < 2) {
		table_free(t);
		t = NULL;
	}
	free(places);
	names_free(&prefixes);
	names_free(&keys);
	names_free(&strategies);
	return t;
}

/* --- all metrics ------------------------------------------------------- */

static enum metric_unit unit_of_key(const char *key)
{
	static const struct {
		const char *suffix;
		enum metric_unit unit;
	} units[] = {
		{ "_ns", UNIT_NS },   { "_bytes", UNIT_BYTES },	    { "_pct", UNIT_PCT },
		{ "_sec", UNIT_PER_SEC }, { "_count", UNIT_COUNT },
	};
	const struct metric *m = metric_find(key);
	size_t len = strlen(key);

	if (m)
		return m->unit;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t suffix = strlen(units[i].suffix);

		if (len > suffix && !strcmp(key + len - suffix, units[i].suffix))
			return units[i].unit;
	}
	return UNIT_RATIO;
}

static char *range_text(struct scale scale, const struct report_stat *stat, bool whole)
{
	char *median = scale_value(scale, stat->median, whole), *text;
	char *min = scale_value(scale, stat->min, whole);
	char *max = scale_value(scale, stat->max, whole);

	if (stat->n > 1 && stat->min < stat->max)
		text = report_format("%s (%s..%s)", median, min, max);
	else
		text = report_format("%s", median);
	free(median);
	free(min);
	free(max);
	return text;
}

/* "victim fault p99, us" */
static char *key_title(const struct result_run *run, const char *key, const char *unit)
{
	const struct metric *m = metric_find(key);
	const char *base = key_base(key);
	char *mark = mark_of(run, key), *title;

	title = report_format("%.*s%s%s%s%s%s", m && base > key ? (int)(base - key - 1) : 0, key,
			      m && base > key ? " " : "", m ? m->title : key, mark,
			      *unit ? ", " : "", unit);
	free(mark);
	return title;
}

static void add_all_row(struct table *t, const struct result_run *run, const char *workload,
			const struct names *strategies, const char *key)
{
	struct report_stat *stats = report_alloc(strategies->nr, sizeof(*stats));
	enum metric_unit unit = unit_of_key(key);
	double largest = 0;
	struct scale scale;
	unsigned int n = 0;
	char *title;
	size_t row;

	for (size_t s = 0; s < strategies->nr; s++) {
		stats[s] = report_stat(run, workload, strategies->name[s], key);
		if (stats[s].n)
			largest = fmax(largest, fmax(fabs(stats[s].min), fabs(stats[s].max)));
		n += stats[s].n;
	}
	if (!n) {
		free(stats);
		return;
	}
	scale = scale_for(unit, largest);
	title = key_title(run, key, scale.unit);
	row = table_row(t, title);
	free(title);
	for (size_t s = 0; s < strategies->nr; s++) {
		char *text = range_text(scale, &stats[s], unit == UNIT_COUNT);

		table_set(t, row, s + 1, text);
		free(text);
	}
	free(stats);
}

struct table *table_all(const struct result_run *run, const char *workload)
{
	struct names strategies = run_strategies(run), keys = run_keys(run, workload);
	struct table *t = table_new("every metric: median over blocks (least..greatest)");
	const struct metric *m;
	size_t nr;

	table_column(t, "metric", "", true);
	for (size_t s = 0; s < strategies.nr; s++)
		table_column(t, strategies.name[s], "", false);
	for (m = metric_list(&nr); nr--; m++)
		if (names_has(&keys, m->key))
			add_all_row(t, run, workload, &strategies, m->key);
	for (size_t i = 0; i < keys.nr; i++)
		if (key_base(keys.name[i]) != keys.name[i] || !metric_find(keys.name[i]))
			add_all_row(t, run, workload, &strategies, keys.name[i]);
	table_drop_empty(t);
	if (!t->nr_rows) {
		table_free(t);
		t = NULL;
	}
	names_free(&keys);
	names_free(&strategies);
	return t;
}

/* --- controls ---------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

static bool is_cost_loop(const struct metric *m)
{
	return !strncmp(m->key, "cost_", 5);
}

/* Of a row: which key it takes in which column, and from which samples. */
struct control_row {
	const char *strategy;		/* NULL: a floor */
	const struct metric *floor;	/* its first key */
};

static double control_value(const struct result_run *run, const struct control_row *row,
			    const struct metric *column)
{
	const char *key = column->key;
	double value = NAN;
	size_t stem;
	char *many;

	if (row->strategy)
		return report_value(run, NULL, row->strategy, key);
	if (!strcmp(key, "cost_one_ns"))
		return report_value(run, NULL, NULL, row->floor->key);
	if (!strcmp(key, "cost_many_ns") && ends_with(row->floor->key, "_one_ns")) {
		stem = strlen(row->floor->key) - strlen("_one_ns");
		many = report_format("%.*s_many_ns", (int)stem, row->floor->key);
		value = report_value(run, NULL, NULL, many);
		free(many);
	}
	return value;
}

/* Rows point into @strategies. */
static struct control_row *add_control_rows(struct table *t, const struct result_run *run,
					    const struct names *strategies)
{
	struct control_row *rows;
	const struct metric *m;
	size_t nr;

	m = metric_list(&nr);
	rows = report_alloc(nr + strategies->nr, sizeof(*rows));
	for (; nr--; m++) {
		char *name;

		if (strncmp(m->key, "floor_", 6) || ends_with(m->key, "_many_ns") ||
		    !report_stat(run, NULL, NULL, m->key).n)
			continue;
		name = report_format("floor: %.*s", (int)strcspn(m->title, ","), m->title);
		rows[table_row(t, name)] = (struct control_row){ NULL, m };
		free(name);
	}
	for (size_t s = 0; s < strategies->nr; s++) {
		const char *name = strategies->name[s];

		if (cell_state(run, NULL, name).ok)
			rows[table_row(t, name)] = (struct control_row){ name, NULL };
	}
	return rows;
}

struct table *table_controls(const struct result_run *run)
{
	struct table *t = table_new("controls: floors of this machine, cost loops, statistics");
	struct names strategies = run_strategies(run);
	const struct metric *m, *list;
	struct control_row *rows;
	double *values;
	size_t nr, column = 1;

	list = metric_list(&nr);
	table_column(t, "", "", true);
	for (m = list; m < list + nr; m++)
		if (is_cost_loop(m))
			table_column(t, m->title, "", false);
	rows = add_control_rows(t, run, &strategies);
	values = report_alloc(t->nr_rows, sizeof(*values));
	for (m = list; m < list + nr; m++) {
		if (!is_cost_loop(m))
			continue;
		for (size_t r = 0; r < t->nr_rows; r++)
			values[r] = control_value(run, &rows[r], m);
		fill_column(t, column++, m, values, t->nr_rows);
	}
	free(values);
	free(rows);
	names_free(&strategies);
	table_drop_empty(t);
	if (!t->nr_rows || t->nr_columns < 2) {
		table_free(t);
		t = NULL;
	}
	return t;
}

/* --- sentences about a workload ---------------------------------------- */

/* "7 of 8 blocks usable; block 3 failed: reason", for a strategy that has some. */
static void note_unusable(struct names *notes, const char *strategy, const struct cell_state *state)
{
	if (state->ok && state->bad)
		names_addf(notes, "%s: %u of %u blocks usable; block %d %s: %s", strategy,
			   state->ok, state->cells, state->bad->block, state->bad->status,
			   state->bad->reason ? state->bad->reason : "no reason recorded");
}

struct names workload_notes(const struct result_run *run, const char *workload)
{
	struct names strategies = run_strategies(run), notes = { 0 }, few = { 0 };
	bool contended = false;
	char *line = NULL;

	for (size_t s = 0; s < strategies.nr; s++) {
		const char *strategy = strategies.name[s];
		struct cell_state state = cell_state(run, workload, strategy);
		double waits = report_value(run, workload, strategy, "wait_count");

		note_unusable(&notes, strategy, &state);
		if (waits < REPORT_MIN_WAITS && !run_is_control(run, strategy))
			names_addf(&few, "%s (%g waits)", strategy, waits);
		contended |= waits >= REPORT_MIN_WAITS;
	}
	for (size_t i = 0; i < few.nr; i++) {
		char *longer = report_format("%s%s%s", line ? line : "cannot discriminate here: ",
					     line ? ", " : "", few.name[i]);

		free(line);
		line = longer;
	}
	if (line)
		names_addf(&notes, "%s%s", line,
			   contended ? "; a verdict counts the waits of the busier side" : "");
	free(line);
	names_free(&few);
	names_free(&strategies);
	return notes;
}

/* Append ", " and the formatted text to *line, and free @value, unless @value is empty. */
static void add_part(char **line, const char *format_before, char *value, const char *after)
{
	if (*value) {
		char *longer = report_format("%s%s%s%s%s", *line, **line ? ", " : "",
					     format_before, value, after);

		free(*line);
		*line = longer;
	}
	free(value);
}

static char *bytes_text(const json_t *object, const char *key)
{
	double bytes = json_number_value(json_object_get(object, key));
	struct scale scale = scale_for(UNIT_BYTES, bytes);
	char *number, *text;

	if (!json_is_number(json_object_get(object, key)))
		return report_format("%s", "");
	number = scale_value(scale, bytes, true);
	text = report_format("%s %s", number, scale.unit);
	free(number);
	return text;
}

/* Least and greatest share over the strategies, as measured. */
static char *lone_regions(const struct result_run *run, const char *workload)
{
	struct names strategies = run_strategies(run);
	double min = INFINITY, max = -INFINITY;

	for (size_t s = 0; s < strategies.nr; s++) {
		double v = report_value(run, workload, strategies.name[s], "lone_region_pct");

		if (isfinite(v)) {
			min = fmin(min, v);
			max = fmax(max, v);
		}
	}
	names_free(&strategies);
	if (min > max)
		return report_format("%s", "");
	if (max - min < 0.05)
		return report_format("%.1f%%", max);
	return report_format("%.1f..%.1f%%", min, max);
}

char *workload_line(const struct result_run *run, const char *workload)
{
	const json_t *meta = run->meta, *w = run_workload(run, workload);
	const json_t *machine = json_object_get(meta, "machine");
	char *line = report_format("%s", ""), *scale = member_text(w, "scale");
	char *done = member_text(meta, "blocks_done"), *blocks = member_text(meta, "blocks");

	if (!*scale) {
		free(scale);
		scale = member_text(meta, "scale");
	}
	add_part(&line, "scale ", scale, "");
	add_part(&line, "", member_text(w, "tds"), " TDs");
	add_part(&line, "", member_text(w, "vcpus"), " vCPUs");
	add_part(&line, "", member_text(meta, "threads"), " workers");
	add_part(&line, "", bytes_text(w, "memory_bytes"), " of TD memory");
	add_part(&line, "host ", bytes_text(w, "host_bytes"), "");
	add_part(&line, "placement ", member_text(w, "placement"), "");
	add_part(&line, "", lone_regions(run, workload), " lone regions (measured)");
	if (*done && *blocks)
		add_part(&line, "", report_format("%s of %s", done, blocks), " blocks");
	else
		add_part(&line, "", report_format("%s", blocks), " blocks");
	add_part(&line, "machine ", member_text(machine, "name"), "");
	add_part(&line, "primary metric ", member_text(w, "primary"), "");
	free(done);
	free(blocks);
	return line;
}
