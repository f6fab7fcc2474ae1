/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Comparison of results: the strategies of one run against a baseline, or one
 * strategy at a time across two runs (A is the base, B is judged).
 *
 * Each workload has one primary metric, declared in run.json before the run,
 * and one family of tests: its strategies without the controls. stats/verdict.h
 * holds the decision rule; metrics.h says which direction is the better one.
 * Added here:
 *
 * - Within one run, blocks are paired: block n of the strategy against block n
 *   of the baseline; a block that lacks either is left out and reported. Across
 *   runs nothing pairs.
 * - A metric of latency or waiting (fault_*, wait_*, get_slow*, put_slow*,
 *   irqoff_*, lost_race*, fairness) needs contention to tell strategies apart:
 *   when the mean wait_count per cell is below min_contended on both sides, the
 *   verdict is "cannot discriminate". The larger side counts, since a strategy
 *   that ends all waiting has none. Costs, memory and rates do not depend on
 *   it, nor do controls. Across two runs a regression stands all the same: the
 *   same strategy got slower, contended or not.
 * - Cells of one block that were run again (--resume): the last one counts.
 */
#ifndef DPAMT_COMPARE_H
#define DPAMT_COMPARE_H

#include "report/result.h"
#include "stats/verdict.h"

enum verdict {
	VERDICT_IMPROVED,
	VERDICT_REGRESSED,
	VERDICT_NO_CHANGE,
	VERDICT_TOO_NOISY,
	VERDICT_CANNOT_DISCRIMINATE,
	VERDICT_NO_DATA,
	NR_VERDICTS
};

/* "improved", "regressed", "no change", "too noisy", "cannot discriminate", "no data" */
const char *verdict_name(enum verdict verdict);

struct compare_options {
	const char *baseline;			/* of compare_run() */
	const char *const *strategies;		/* NULL-terminated; NULL: all */
	const char *const *workloads;		/* NULL-terminated; NULL: all */
	struct verdict_rule rule;
	unsigned int min_contended;		/* events per cell */
	uint64_t seed;				/* of bootstrap and Monte Carlo */
};

#define COMPARE_DEFAULTS {							\
	.baseline = "global-fast",						\
	.rule = { .alpha = 0.05, .margin = 0.02, .resamples = 10000 },		\
	.min_contended = 20,							\
	.seed = 1,								\
}

struct compare_row {
	const char *strategy;
	bool control;		/* shown across runs; in no family, in no gate */
	bool skipped;		/* no data because every cell was skipped */
	enum verdict verdict;
	struct effect effect;	/* meaningless with VERDICT_NO_DATA */
	double p_holm;		/* NAN outside the family */
	double contended;	/* wait_count per cell, larger side; NAN if unknown */
	unsigned int needed;	/* VERDICT_TOO_NOISY: blocks that would decide */
	bool too_few;		/* it is the number of blocks that rules a verdict out */
	char *reason;		/* VERDICT_NO_DATA: why; else NULL */
	char *sentence;		/* the verdict in words */
};

struct compare_workload {
	const char *name, *title;
	const char *key;		/* of the primary metric */
	const struct metric *metric;	/* NULL if unknown: every row is without data */
	char *label;			/* "victim fault p99" */
	bool comparable;		/* false: the two runs ran different things */
	struct compare_row *rows;
	size_t nr_rows;
	char *sentence;
};

/* Names belong to the runs, which must outlive it. */
struct compare {
	struct compare_options options;
	bool two_runs;
	const char *run_a, *run_b;	/* one run: both are its id */
	const char *base;		/* baseline strategy, or the id of run A */
	struct compare_workload *workloads;
	size_t nr_workloads;
	char **warnings;
	size_t nr_warnings;
	unsigned int violations;	/* cells of the judged run that broke an invariant */
};

/*
 * Compare within @run, or @b against @a. @options may be NULL. Returns 0 and
 * *@result, to be freed with compare_free(), or -errno and one line in @err:
 * -ENOENT unknown baseline, strategy or workload (the line lists the valid
 * ones), -EINVAL run.json lacks what is needed, -ENOMEM.
 */
int compare_run(const struct result_run *run, const struct compare_options *options,
		struct compare **result, char *err, size_t err_size);
int compare_runs(const struct result_run *a, const struct result_run *b,
		 const struct compare_options *options, struct compare **result,
		 char *err, size_t err_size);
void compare_free(struct compare *c);

enum compare_gate { GATE_PASS = 0, GATE_REGRESSED = 1, GATE_INCONCLUSIVE = 5 };

/*
 * The gate; its values are the exit codes. GATE_REGRESSED: a primary metric
 * regressed, or the judged run broke an invariant. Else GATE_INCONCLUSIVE: a
 * row is undecided or without data (skipped cells apart), nothing was decided
 * at all, or the runs are not comparable. @why (may be NULL) gets one line.
 */
enum compare_gate compare_gate(const struct compare *c, char *why, size_t why_size);

/*
 * The documents (report/compare_out.c). The strings are malloc()ed and end
 * with a newline, text lines have at most 100 columns; NULL when memory is
 * short. What is undefined is "-", an empty CSV field or null.
 */
char *compare_text(const struct compare *c);
char *compare_csv(const struct compare *c);
char *compare_markdown(const struct compare *c);
json_t *compare_json(const struct compare *c);

/* Fill every sentence of @c. Returns 0 or -ENOMEM. For compare.c. */
int compare_words(struct compare *c);

#endif
