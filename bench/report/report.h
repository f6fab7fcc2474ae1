/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Documents made from a run: text, markdown, HTML, CSV, JSON, plots.
 *
 * All of them take their numbers from report_stat(), so a table, the JSON
 * document and the page show the same figure; sums of a run are never
 * recomputed, only the median over blocks is taken. The text functions write
 * the document and nothing else to @out and return 0 or -errno (-EIO, -ENOSPC)
 * when it could not be written. Verdicts are those of compare_run() with its
 * defaults. Lack of memory ends the program with a message.
 */
#ifndef DPAMT_REPORT_H
#define DPAMT_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "report/result.h"

/* A cell with fewer waits than this cannot tell strategies apart. */
#define REPORT_MIN_WAITS 20

/* For `dpamt run`: the main tables, verdicts and controls. */
int report_summary(FILE *out, const struct result_run *run);
/* For `dpamt report`: all of it. */
int report_text(FILE *out, const struct result_run *run);
int report_markdown(FILE *out, const struct result_run *run);
/* One self-contained page; the plots of run->dir are drawn in where they exist. */
int report_html(FILE *out, const struct result_run *run);
/* workload,strategy,block,key,value: every number of every usable sample. */
int report_csv(FILE *out, const struct result_run *run);
/* The JSON document (results/README.md); a new reference. */
json_t *report_json(const struct result_run *run);

/*
 * Write report.md, report.html and plots/ (SVG, by gnuplot) into run->dir. Each part is
 * tried even if another fails; failures are named on stderr. Returns 0 or the
 * first -errno. A missing gnuplot is one note on stderr, not a failure.
 */
int report_write_all(const struct result_run *run);

/* Median, least and greatest over the n blocks that have a finite value; NAN if n is 0. */
struct report_stat {
	double median, min, max;
	unsigned int n;
};

/*
 * @key over the usable samples: cells of @workload and @strategy; the cost loop
 * of @strategy when @workload is NULL; the controls when both are. A cost_*,
 * get_fast_ns or put_fast_ns that the cells do not have comes from the cost
 * loop. Usable is ok, and not repeated later for the same block (--resume).
 */
struct report_stat report_stat(const struct result_run *run, const char *workload,
			       const char *strategy, const char *key);
double report_value(const struct result_run *run, const char *workload, const char *strategy,
		    const char *key);

/*
 * Number of samples with the status "violation", repeated later or not, and of
 * cells whose TDs' PAMT pairs do not sum to the host's figure.
 */
unsigned int report_violations(const struct result_run *run);

#endif
