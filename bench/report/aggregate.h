/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the documents need from a run beyond report_stat(): names in the order
 * of run.json, the state of cells, the sum over TDs, merged histograms, the
 * sentences of run.json. Nothing here formats.
 */
#ifndef DPAMT_REPORT_AGGREGATE_H
#define DPAMT_REPORT_AGGREGATE_H

#include <stdarg.h>

#include "measure/hist.h"
#include "report/report.h"

/* A list of strings that it owns. Zero-filled is empty. */
struct names {
	char **name;
	size_t nr;
};

void names_add(struct names *names, const char *name); /* a copy, unless it is in */
void __attribute__((format(printf, 2, 3))) names_addf(struct names *n, const char *format, ...);
void names_free(struct names *names);
bool names_has(const struct names *names, const char *name);

/* calloc and (v)asprintf that end the program with a message when memory is short. */
void *report_alloc(size_t nr, size_t size);
void *report_realloc(void *old, size_t nr, size_t size);
char *report_vformat(const char *format, va_list ap);
char *__attribute__((format(printf, 1, 2))) report_format(const char *format, ...);

/* Those of run.json in its order, then any that only the samples name. */
struct names run_workloads(const struct result_run *run);
struct names run_strategies(const struct result_run *run);
/* Its entry in run.json, NULL if it has none. */
const json_t *run_workload(const struct result_run *run, const char *workload);
const json_t *run_strategy(const struct result_run *run, const char *strategy);
bool run_is_control(const struct result_run *run, const char *strategy);
/* A string or, as text, a number or boolean at @key of @object; "" if there is none. */
char *member_text(const json_t *object, const char *key);
/* The sentences to print under every table; with its number where columns refer to it. */
struct names run_marks(const struct result_run *run);
/* Violations, one loud sentence each. */
struct names run_violations(const struct result_run *run);
/* Warnings of cells, of run.json and of the reading, each once with its count. */
struct names run_warnings(const struct result_run *run);

/* Measured by the cost loop, and shown beside the cells. */
bool key_is_cost(const char *key);

/* Not repeated later for the same block. */
bool sample_is_current(const struct result_run *run, const struct result_sample *s);
bool sample_matches(const struct result_sample *s, const char *workload, const char *strategy);

/* How the cells of a workload and a strategy ended. */
struct cell_state {
	unsigned int cells, ok;
	const struct result_sample *bad; /* the last that is not ok */
};

struct cell_state cell_state(const struct result_run *run, const char *workload,
			     const char *strategy);

/* Keys and histogram names that the usable cells of @workload have; NULL: controls, cost loops. */
struct names run_keys(const struct result_run *run, const char *workload);
struct names run_hist_names(const struct result_run *run, const char *workload);
/*
 * All blocks of histogram @name merged into @h. Returns the number of blocks.
 * One that is damaged is left out and, if @why is given, named there.
 */
unsigned int run_hist(const struct result_run *run, const char *workload, const char *strategy,
		      const char *name, struct hist *h, struct names *why);

/*
 * Of the usable cells that have something in @member ("tds", "series"), the one
 * whose mean of resident pairs is nearest to the median; NULL if none.
 */
const struct result_sample *run_representative(const struct result_run *run, const char *workload,
					       const char *strategy, const char *member);

/* The TDs' share of PAMT pairs against the host's figure, in bytes. */
struct td_sum {
	bool known;	/* the cell has both */
	bool exact;	/* equal to the byte, all parts whole numbers */
	json_int_t sum, host;
};

struct td_sum cell_td_sum(const struct result_sample *s);
/* Over all usable cells: number checked, number exact, the first that is not. */
struct td_check {
	unsigned int checked, exact;
	const struct result_sample *wrong;
};

struct td_check run_td_check(const struct result_run *run, const char *workload,
			     const char *strategy);

#endif
