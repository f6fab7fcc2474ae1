// SPDX-License-Identifier: GPL-2.0-only
/*
 * A comparison as a reader takes it: sentences, an aligned table, CSV,
 * markdown, JSON. The sentences are made once, in compare_words(), and every
 * document uses them, so that no two documents word one verdict differently.
 *
 * No figure is printed that is not finite: what is undefined is "-" in a
 * table, an empty field in CSV, null in JSON.
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

#define COLUMNS 100
#define NAME_SIZE 16	/* of a formatted figure, terminator included */

/* Three significant digits with a scaled unit: "12.3 us", "1.50 MiB", "-4.00%". */
static const char *scaled(double value, double step, const char *const *units, char *text)
{
	double size = fabs(value);

	/* 999.5 would print as 1000 (bytes: up to 1023 is fine) */
	while (size >= (step > 1000 ? step - 0.5 : 999.5) && units[1]) {
		size /= step;
		units++;
	}
	if (size >= 99999.5)
		snprintf(text, NAME_SIZE, "%s%.3g%s", value < 0 ? "-" : "", size, *units);
	else
		snprintf(text, NAME_SIZE, "%s%.*f%s", value < 0 ? "-" : "",
			 size == 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2, size, *units);
	return text;
}

static const char *figure(double value, enum metric_unit unit, char *text)
{
	static const char *const times[] = { " ns", " us", " ms", " s", NULL };
	static const char *const bytes[] = { " B", " KiB", " MiB", " GiB", " TiB", NULL };
	static const char *const counts[] = { "", " k", " M", " G", " T", NULL };
	static const char *const rates[] = { "/s", " k/s", " M/s", " G/s", NULL };
	static const char *const percents[] = { "%", NULL };
	static const char *const plain[] = { "", NULL };

	if (!isfinite(value))
		return strcpy(text, "-");
	switch (unit) {
	case UNIT_NS:
		return scaled(value, 1000, times, text);
	case UNIT_BYTES:
		return scaled(value, 1024, bytes, text);
	case UNIT_PCT:
		return scaled(value, 1000, percents, text);
	case UNIT_PER_SEC:
		return scaled(value, 1000, rates, text);
	case UNIT_COUNT:
		return scaled(value, 1000, counts, text);
	default:
		return scaled(value, 1000, plain, text);
	}
}

static const char *p_value(double p, char *text)
{
	if (!isfinite(p))
		return strcpy(text, "-");
	if (p < 0.0001)
		return strcpy(text, "<0.0001");
	snprintf(text, NAME_SIZE, "%.2g", p);
	return text;
}

static const char *ratio_text(double ratio, char *text)
{
	if (!isfinite(ratio))
		return strcpy(text, "-");
	snprintf(text, NAME_SIZE, ratio < 99.95 ? "%.3f" : "%.4g", ratio);
	return text;
}

static enum metric_unit unit_of(const struct compare_workload *w)
{
	return w->metric ? w->metric->unit : UNIT_RATIO;
}

static bool has_effect(const struct compare_row *row)
{
	return row->verdict != VERDICT_NO_DATA;
}

static const char *effect_text(const struct compare_workload *w, const struct compare_row *row,
			       char *text)
{
	if (!has_effect(row))
		return strcpy(text, "-");
	if (row->effect.kind == EFFECT_RATIO)
		return ratio_text(row->effect.estimate, text);
	return figure(row->effect.estimate, unit_of(w), text);
}

static void interval_text(const struct compare_workload *w, const struct compare_row *row,
			  char *text, size_t size)
{
	const struct effect *e = &row->effect;
	char low[NAME_SIZE], high[NAME_SIZE];

	if (!has_effect(row) || !isfinite(e->low) || !isfinite(e->high))
		snprintf(text, size, "-");
	else if (e->kind == EFFECT_RATIO)
		snprintf(text, size, "%s..%s", ratio_text(e->low, low), ratio_text(e->high, high));
	else
		snprintf(text, size, "%s..%s", figure(e->low, unit_of(w), low),
			 figure(e->high, unit_of(w), high));
}

/* A share in per cent, one decimal below 10. */
static const char *percent(double share, char *text)
{
	double value = 100 * fabs(share);

	snprintf(text, NAME_SIZE, value < 9.95 ? "%.1f" : "%.0f", value);
	return text;
}

/* Two shares as "19..27%", or with @sign as "-8..+12%"; a decimal where it tells something. */
static void percent_range(FILE *f, double low, double high, bool sign)
{
	bool small = fabs(low) < 0.0995 && fabs(high) < 0.0995;
	int decimals = small || fabs(high - low) < 0.02;

	fprintf(f, sign ? "%+.*f..%+.*f%%" : "%.*f..%.*f%%", decimals, 100 * low, decimals,
		100 * high);
}

/* "23% lower fault p99 than BASE", "2.4 times the fault p99 of BASE", "the same fault p99 as .." */
static void effect_words(FILE *f, const struct compare *c, const struct compare_workload *w,
			 const struct compare_row *row)
{
	const char *in = c->two_runs ? "in " : "";
	const struct effect *e = &row->effect;
	char text[NAME_SIZE];

	if (e->kind == EFFECT_DIFFERENCE && e->estimate != 0)
		fprintf(f, "%s %s %s than %s", w->label,
			figure(fabs(e->estimate), unit_of(w), text),
			e->estimate < 0 ? "lower" : "higher", in);
	else if (e->kind == EFFECT_DIFFERENCE || fabs(e->estimate - 1) < 0.0005)
		fprintf(f, "the same %s as %s", w->label, in);
	else if (e->estimate >= 2)
		fprintf(f, "%.3g times the %s of ", e->estimate, w->label);
	else
		fprintf(f, "%s%% %s %s than %s", percent(e->estimate - 1, text),
			e->estimate < 1 ? "lower" : "higher", w->label, in);
	fprintf(f, "%s", c->base);
}

/* The interval in the terms of effect_words(): "19..27%", "-8..+12%", "2.1..2.7 times" */
static void interval_words(FILE *f, const struct compare_workload *w,
			   const struct compare_row *row)
{
	const struct effect *e = &row->effect;
	char low[NAME_SIZE], high[NAME_SIZE];

	if (!isfinite(e->low) || !isfinite(e->high))
		fprintf(f, "none");
	else if (e->kind == EFFECT_DIFFERENCE)
		fprintf(f, "%s..%s", figure(e->low, unit_of(w), low),
			figure(e->high, unit_of(w), high));
	else if (e->estimate >= 2)
		fprintf(f, "%.3g..%.3g times", e->low, e->high);
	else if (e->high < 1)
		percent_range(f, 1 - e->high, 1 - e->low, false);
	else
		percent_range(f, e->low - 1, e->high - 1, e->low <= 1);
}

static void needed_words(FILE *f, const struct compare_row *row)
{
	if (row->too_few)
		fprintf(f, "too noisy, needs at least %u blocks", row->needed);
	else if (row->needed > VERDICT_MAX_NEEDED)
		fprintf(f, "too noisy, more than %u blocks would be needed", VERDICT_MAX_NEEDED);
	else
		fprintf(f, "too noisy, about %u blocks would decide", row->needed);
}

static void verdict_words(FILE *f, const struct compare *c, const struct compare_row *row)
{
	char text[NAME_SIZE];

	if (row->verdict == VERDICT_TOO_NOISY)
		needed_words(f, row);
	else if (row->verdict == VERDICT_CANNOT_DISCRIMINATE)
		fprintf(f, "cannot discriminate here: %.3g contended events per cell",
			row->contended);
	else if (row->verdict == VERDICT_NO_CHANGE)
		fprintf(f, "no change (margin %s%%)", percent(c->options.rule.margin, text));
	else
		fprintf(f, "%s", verdict_name(row->verdict));
}

static void blocks_words(FILE *f, const struct effect *e)
{
	if (e->paired || e->na == e->nb)
		fprintf(f, "%zu block%s%s", e->nb, e->nb == 1 ? "" : "s",
			e->paired ? "" : " each");
	else
		fprintf(f, "%zu and %zu blocks", e->na, e->nb);
}

/* "lockless has 23% lower fault p99 than global-fast (..): improved" */
static void row_words(FILE *f, const struct compare *c, const struct compare_workload *w,
		      const struct compare_row *row)
{
	char text[NAME_SIZE];

	if (!has_effect(row)) {
		fprintf(f, "%s: no data: %s", row->strategy, row->reason);
		return;
	}
	fprintf(f, "%s%s%s has ", row->strategy, c->two_runs ? " in " : "",
		c->two_runs ? c->run_b : "");
	effect_words(f, c, w, row);
	fprintf(f, " (%g%% interval ", 100 * (1 - c->options.rule.alpha));
	interval_words(f, w, row);
	fprintf(f, ", p=%s, ", p_value(row->effect.p, text));
	if (isfinite(row->p_holm))
		fprintf(f, "Holm %s, ", p_value(row->p_holm, text));
	blocks_words(f, &row->effect);
	fprintf(f, "): ");
	verdict_words(f, c, row);
}

static int row_sentence(const struct compare *c, const struct compare_workload *w,
			struct compare_row *row)
{
	size_t size;
	FILE *f = open_memstream(&row->sentence, &size);

	if (!f)
		return -ENOMEM;
	fprintf(f, "%s: ", w->name);
	row_words(f, c, w, row);
	fputc('.', f);
	return fclose(f) ? -ENOMEM : 0;
}

/* How far a row is from neutral, on a scale on which half and double are alike. */
static double distance(const struct compare_row *row)
{
	const struct effect *e = &row->effect;

	if (e->kind == EFFECT_RATIO)
		return e->estimate > 0 ? fabs(log(e->estimate)) : HUGE_VAL;
	return e->mean_a != 0 ? fabs(e->estimate / e->mean_a) : HUGE_VAL;
}

/* The row with @verdict that is furthest from neutral, or NULL. */
static const struct compare_row *furthest(const struct compare_workload *w, enum verdict verdict)
{
	const struct compare_row *best = NULL;
	size_t i;

	for (i = 0; i < w->nr_rows; i++) {
		const struct compare_row *row = &w->rows[i];

		if (!row->control && row->verdict == verdict &&
		    (!best || distance(row) > distance(best)))
			best = row;
	}
	return best;
}

/* "; no change: hashed, rwlock; too noisy: tuned" for all rows but @told */
static void other_rows(FILE *f, const struct compare_workload *w, const struct compare_row *told)
{
	const char *lead = told ? ". Others: " : "";
	int verdict;
	size_t i;

	for (verdict = 0; verdict < NR_VERDICTS; verdict++) {
		bool first = true;

		for (i = 0; i < w->nr_rows; i++) {
			const struct compare_row *row = &w->rows[i];

			if (row->control || row == told || (int)row->verdict != verdict)
				continue;
			if (first)
				fprintf(f, "%s%s: ", lead, verdict_name(row->verdict));
			fprintf(f, "%s%s", first ? "" : ", ", row->strategy);
			first = false;
			lead = "; ";
		}
	}
}

static unsigned int count_rows(const struct compare_workload *w)
{
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < w->nr_rows; i++)
		nr += !w->rows[i].control;
	return nr;
}

/*
 * The row that carries the message: the largest gain of a run, the worst loss
 * between two runs, the only row there is. NULL: the message is that there is none.
 */
static const struct compare_row *headline(const struct compare *c,
					  const struct compare_workload *w)
{
	const struct compare_row *row;
	size_t i;

	row = furthest(w, c->two_runs ? VERDICT_REGRESSED : VERDICT_IMPROVED);
	if (!row && c->two_runs)
		row = furthest(w, VERDICT_IMPROVED);
	for (i = 0; !row && count_rows(w) == 1 && i < w->nr_rows; i++)
		if (!w->rows[i].control)
			row = &w->rows[i];
	return row;
}

static int workload_sentence(const struct compare *c, struct compare_workload *w)
{
	const struct compare_row *row = headline(c, w);
	size_t size;
	FILE *f = open_memstream(&w->sentence, &size);

	if (!f)
		return -ENOMEM;
	fprintf(f, "%s: ", w->name);
	if (row)
		row_words(f, c, w, row);
	else if (!count_rows(w))
		fprintf(f, "no strategy to compare");
	else if (c->two_runs)
		fprintf(f, "%s of no strategy is shown to differ between %s and %s: ", w->label,
			c->run_a, c->run_b);
	else
		fprintf(f, "no strategy is shown to improve %s over %s: ", w->label, c->base);
	other_rows(f, w, row);
	fputc('.', f);
	return fclose(f) ? -ENOMEM : 0;
}

int compare_words(struct compare *c)
{
	size_t i, j;
	int ret = 0;

	for (i = 0; !ret && i < c->nr_workloads; i++) {
		struct compare_workload *w = &c->workloads[i];

		for (j = 0; !ret && j < w->nr_rows; j++)
			ret = row_sentence(c, w, &w->rows[j]);
		if (!ret)
			ret = workload_sentence(c, w);
	}
	return ret;
}

/* Print @text in lines of at most COLUMNS, continued lines indented by two. */
static void wrap(FILE *f, const char *text)
{
	size_t width = COLUMNS, cut;

	while (strlen(text) > width) {
		for (cut = width; cut && text[cut] != ' '; cut--)
			;
		if (!cut)
			cut = width;
		fprintf(f, "%.*s\n  ", (int)cut, text);
		text += cut + (text[cut] == ' ');
		width = COLUMNS - 2;
	}
	fprintf(f, "%s\n", text);
}

__attribute__((format(printf, 2, 3)))
static void wrapf(FILE *f, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) >= 0) {
		wrap(f, text);
		free(text);
	}
	va_end(args);
}

static const char *better(const struct compare_workload *w)
{
	if (!w->metric || w->metric->direction == DIR_INFO)
		return "no direction";
	return w->metric->direction == DIR_LOWER ? "lower is better" : "higher is better";
}

/* The verdict with its number, at most 19 characters. */
static void verdict_cell(const struct compare_row *row, char *text, size_t size)
{
	const char *name = verdict_name(row->verdict);

	if (row->verdict != VERDICT_TOO_NOISY)
		snprintf(text, size, "%s", name);
	else if (row->needed > VERDICT_MAX_NEEDED)
		snprintf(text, size, "%s (>%u)", name, VERDICT_MAX_NEEDED);
	else
		snprintf(text, size, "%s (%s%u)", name, row->too_few ? "min " : "~", row->needed);
}

struct row_cells {
	char a[NAME_SIZE], b[NAME_SIZE], effect[NAME_SIZE], p[NAME_SIZE], holm[NAME_SIZE];
	char interval[2 * NAME_SIZE + 2], verdict[32];
};

static void make_cells(const struct compare_workload *w, const struct compare_row *row,
		       struct row_cells *cells)
{
	bool has = has_effect(row);

	figure(has ? row->effect.mean_a : NAN, unit_of(w), cells->a);
	figure(has ? row->effect.mean_b : NAN, unit_of(w), cells->b);
	effect_text(w, row, cells->effect);
	interval_text(w, row, cells->interval, sizeof(cells->interval));
	p_value(has ? row->effect.p : NAN, cells->p);
	p_value(has ? row->p_holm : NAN, cells->holm);
	verdict_cell(row, cells->verdict, sizeof(cells->verdict));
}

static void text_row(FILE *f, const char *name, const struct row_cells *r)
{
	wrapf(f, "%-12.12s %9s %9s %9s %20s %7s %7s  %s", name, r->a, r->b, r->effect,
	      r->interval, r->p, r->holm, r->verdict);
}

static struct row_cells heading(const struct compare *c)
{
	struct row_cells r = { .effect = "B/A", .p = "p", .holm = "Holm", .verdict = "verdict" };

	strcpy(r.a, c->two_runs ? "run A" : "A: base");
	strcpy(r.b, c->two_runs ? "run B" : "B: this");
	snprintf(r.interval, sizeof(r.interval), "%g%% interval",
		 100 * (1 - c->options.rule.alpha));
	return r;
}

static void text_workload(FILE *f, const struct compare *c, const struct compare_workload *w)
{
	struct row_cells cells = heading(c);
	size_t i;

	wrapf(f, "%s: %s, %s%s", w->title, w->label, better(w),
	      w->comparable ? "" : " (NOT COMPARABLE, see the warnings)");
	if (w->nr_rows)
		text_row(f, "strategy", &cells);
	for (i = 0; i < w->nr_rows; i++) {
		make_cells(w, &w->rows[i], &cells);
		text_row(f, w->rows[i].strategy, &cells);
	}
	wrap(f, w->sentence);
	for (i = 0; i < w->nr_rows; i++)
		if (w->rows[i].reason && !strstr(w->sentence, w->rows[i].reason))
			wrap(f, w->rows[i].sentence);
	fputc('\n', f);
}

static void intro(FILE *f, const struct compare *c)
{
	if (c->two_runs)
		wrapf(f, "Run B %s against run A %s, strategy by strategy.", c->run_b, c->run_a);
	else
		wrapf(f, "Run %s, strategies against %s, paired by block.", c->run_a, c->base);
}

static void method(FILE *f, const struct compare *c)
{
	char text[NAME_SIZE];

	wrapf(f, "Means over blocks; bootstrap interval over blocks; %s permutation test, "
	      "two-sided; Holm over the strategies of a workload; no change: interval within %s%%; "
	      "too noisy (~n): about n blocks would decide.",
	      c->two_runs ? "two-sample" : "paired",
	      percent(c->options.rule.margin, text));
}

static void gate_line(FILE *f, const struct compare *c)
{
	static const char *const words[] = {
		[GATE_PASS] = "pass", [GATE_REGRESSED] = "FAIL",
		[GATE_INCONCLUSIVE] = "inconclusive",
	};
	char why[300];
	enum compare_gate gate = compare_gate(c, why, sizeof(why));

	wrapf(f, "Gate: %s (%s).", words[gate], why);
}

char *compare_text(const struct compare *c)
{
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	intro(f, c);
	fputc('\n', f);
	for (i = 0; i < c->nr_workloads; i++)
		text_workload(f, c, &c->workloads[i]);
	for (i = 0; i < c->nr_warnings; i++)
		wrapf(f, "warning: %s", c->warnings[i]);
	method(f, c);
	gate_line(f, c);
	return fclose(f) ? NULL : text;
}

/* Markdown: what a cell may hold without ending it. */
static void markdown_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (strchr("|<*_`\\", *text))
			fputc('\\', f);
		fputc(*text, f);
	}
}

static void markdown_workload(FILE *f, const struct compare *c, const struct compare_workload *w)
{
	struct row_cells cells = heading(c);
	size_t i;

	fprintf(f, "### ");
	markdown_escaped(f, w->title);
	fprintf(f, "\n\n%s, %s%s.\n\n", w->label, better(w),
		w->comparable ? "" : "; **the runs are not comparable**");
	fprintf(f, "| strategy | %s | %s | %s | %s | p | Holm | verdict |\n", cells.a, cells.b,
		cells.effect, cells.interval);
	fprintf(f, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
	for (i = 0; i < w->nr_rows; i++) {
		make_cells(w, &w->rows[i], &cells);
		fprintf(f, "| ");
		markdown_escaped(f, w->rows[i].strategy);
		fprintf(f, " | %s | %s | %s | %s | ", cells.a, cells.b, cells.effect,
			cells.interval);
		markdown_escaped(f, cells.p);
		fprintf(f, " | ");
		markdown_escaped(f, cells.holm);
		fprintf(f, " | %s |\n", cells.verdict);
	}
	fputc('\n', f);
	for (i = 0; i < w->nr_rows; i++) {
		fprintf(f, "- ");
		markdown_escaped(f, w->rows[i].sentence);
		fputc('\n', f);
	}
	fprintf(f, "\n**");
	markdown_escaped(f, w->sentence);
	fprintf(f, "**\n\n");
}

char *compare_markdown(const struct compare *c)
{
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	intro(f, c);
	fputc('\n', f);
	for (i = 0; i < c->nr_workloads; i++)
		markdown_workload(f, c, &c->workloads[i]);
	for (i = 0; i < c->nr_warnings; i++) {
		fprintf(f, "- warning: ");
		markdown_escaped(f, c->warnings[i]);
		fputc('\n', f);
	}
	if (c->nr_warnings)
		fputc('\n', f);
	method(f, c);
	fputc('\n', f);
	gate_line(f, c);
	return fclose(f) ? NULL : text;
}

static void csv_string(FILE *f, const char *text)
{
	if (!text)
		return;
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, f);
		return;
	}
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

static void csv_number(FILE *f, double value)
{
	fputc(',', f);
	if (isfinite(value))
		fprintf(f, "%.9g", value);
}

static const char *kind_name(const struct effect *e)
{
	return e->kind == EFFECT_RATIO ? "ratio" : "difference";
}

static void csv_row(FILE *f, const struct compare *c, const struct compare_workload *w,
		    const struct compare_row *row)
{
	const struct effect *e = &row->effect;
	bool has = has_effect(row);

	csv_string(f, w->name);
	fputc(',', f);
	csv_string(f, w->key);
	fprintf(f, ",%s,", better(w));
	csv_string(f, row->strategy);
	fprintf(f, ",%s,", row->control ? "true" : "false");
	csv_string(f, c->base);
	fprintf(f, ",%s,%zu,%zu", has ? kind_name(e) : "", e->na, e->nb);
	csv_number(f, has ? e->mean_a : NAN);
	csv_number(f, has ? e->mean_b : NAN);
	csv_number(f, has ? e->estimate : NAN);
	csv_number(f, has ? e->low : NAN);
	csv_number(f, has ? e->high : NAN);
	csv_number(f, has ? e->p : NAN);
	csv_number(f, has ? row->p_holm : NAN);
	fprintf(f, ",%s,", verdict_name(row->verdict));
	if (row->needed)
		fprintf(f, "%u", row->needed);
	csv_number(f, row->contended);
	fputc(',', f);
	csv_string(f, row->reason);
	fputc('\n', f);
}

char *compare_csv(const struct compare *c)
{
	char *text = NULL;
	size_t size, i, j;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "workload,metric,better,strategy,control,base,effect_kind,blocks_a,blocks_b,"
		"mean_a,mean_b,effect,low,high,p,p_holm,verdict,blocks_needed,"
		"contended_per_cell,reason\n");
	for (i = 0; i < c->nr_workloads; i++)
		for (j = 0; j < c->workloads[i].nr_rows; j++)
			csv_row(f, c, &c->workloads[i], &c->workloads[i].rows[j]);
	return fclose(f) ? NULL : text;
}

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_effect(const struct compare_row *row)
{
	const struct effect *e = &row->effect;

	if (!has_effect(row))
		return json_null();
	return json_pack("{s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "kind", kind_name(e), "paired", e->paired,
			 "blocks_a", (json_int_t)e->na, "blocks_b", (json_int_t)e->nb,
			 "mean_a", number(e->mean_a), "mean_b", number(e->mean_b),
			 "estimate", number(e->estimate), "low", number(e->low),
			 "high", number(e->high), "p", number(e->p));
}

static json_t *json_row(const struct compare_row *row)
{
	return json_pack("{s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:s?, s:s}",
			 "strategy", row->strategy, "control", row->control,
			 "verdict", verdict_name(row->verdict), "effect", json_effect(row),
			 "p_holm", number(has_effect(row) ? row->p_holm : NAN),
			 "contended_per_cell", number(row->contended),
			 "blocks_needed", row->needed ? json_integer(row->needed) : json_null(),
			 "reason", row->reason, "sentence", row->sentence);
}

static json_t *json_workload(const struct compare_workload *w)
{
	json_t *rows = json_array();
	size_t i;

	for (i = 0; rows && i < w->nr_rows; i++) {
		if (json_array_append_new(rows, json_row(&w->rows[i]))) {
			json_decref(rows);
			return NULL;
		}
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o}", "name", w->name,
			 "title", w->title, "metric", w->key, "label", w->label,
			 "better", better(w), "comparable", w->comparable,
			 "sentence", w->sentence, "rows", rows);
}

static json_t *json_gate(const struct compare *c)
{
	static const char *const words[] = {
		[GATE_PASS] = "pass", [GATE_REGRESSED] = "regressed",
		[GATE_INCONCLUSIVE] = "inconclusive",
	};
	char why[300];
	enum compare_gate gate = compare_gate(c, why, sizeof(why));

	return json_pack("{s:s, s:i, s:s}", "verdict", words[gate], "exit", (int)gate, "why", why);
}

static json_t *json_list(const struct compare *c, bool warnings)
{
	size_t i, nr = warnings ? c->nr_warnings : c->nr_workloads;
	json_t *list = json_array();

	for (i = 0; list && i < nr; i++) {
		json_t *item = warnings ? json_string(c->warnings[i])
					: json_workload(&c->workloads[i]);

		if (json_array_append_new(list, item)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *compare_json(const struct compare *c)
{
	const struct compare_options *o = &c->options;

	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:i, s:i, s:I, s:i, "
			 "s:o, s:o, s:o}",
			 "schema", RESULT_SCHEMA, "kind", "comparison",
			 "mode", c->two_runs ? "runs" : "strategies",
			 "run_a", c->run_a, "run_b", c->run_b, "base", c->base,
			 "margin", o->rule.margin, "alpha", o->rule.alpha,
			 "resamples", (int)o->rule.resamples,
			 "min_contended", (int)o->min_contended, "seed", (json_int_t)o->seed,
			 "violations", (int)c->violations,
			 "workloads", json_list(c, false), "warnings", json_list(c, true),
			 "gate", json_gate(c));
}
