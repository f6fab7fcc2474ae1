/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Figures that are known to within a standard error, held against limits that are not
 * theirs. A limit within one standard error of a figure decides nothing, on whichever side
 * the figure lies.
 */
#ifndef DPAMT_STATS_LIMIT_H
#define DPAMT_STATS_LIMIT_H

#include <stddef.h>

struct figure {
	double value, error;
};

/* In rising order: of several the worst counts. */
enum limit_verdict { LIMIT_MET, LIMIT_UNDECIDED, LIMIT_MISSED };

/* The mean of @nr values; its error is 0 where there is one. */
struct figure figure_mean(const double *values, size_t nr);
/* @a over @b, which do not depend on each other. */
struct figure figure_quotient(struct figure a, struct figure b);

/* Pairs of one kind: what is divided, and by what. */
struct figure_pairs {
	const double *top, *bottom;
	size_t nr;
};

/*
 * The sum of all ->top over that of all ->bottom. Its error is that of a ratio estimator in
 * strata: from how far pairs of a kind lie off that ratio, beside their kind's mean.
 */
struct figure figure_pooled(const struct figure_pairs *kinds, size_t nr);

/* Is @f from @low to @high? -INFINITY, INFINITY: no limit there. */
enum limit_verdict limit_judge(struct figure f, double low, double high);
/* "met", "not decided: ..", "NOT met". */
const char *limit_text(enum limit_verdict v);

#endif
