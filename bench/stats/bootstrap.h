/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bootstrap intervals over blocks. The block is what repeats independently
 * (a process, a boot, a seed), so the block is what is drawn: in paired data
 * A and B of a block are drawn together, in unpaired data each side alone.
 *
 * The interval is the expanded percentile interval (Hesterberg, "What teachers
 * should know about the bootstrap", 2015): the plain percentile interval of n
 * blocks is too narrow, by sqrt((n-1)/n) and by normal instead of Student
 * quantiles; with 8 blocks a nominal 95% covers about 89%. The percentiles
 * are therefore taken at Phi(-sqrt(n/(n-1)) t(1 - alpha/2, n-1)) and its
 * mirror. n is the smaller side where the data is unpaired.
 */
#ifndef DPAMT_STATS_BOOTSTRAP_H
#define DPAMT_STATS_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One figure a block, base side A and other side B; paired: na == nb, same order. */
struct blocks {
	const double *a, *b;
	size_t na, nb;
	bool paired;
};

enum effect_kind {
	EFFECT_RATIO,		/* mean(B) / mean(A); every a > 0 */
	EFFECT_DIFFERENCE,	/* mean(B) - mean(A) */
};

struct interval {
	double low, high;
};

/* The effect itself, of the means over blocks. */
double bootstrap_estimate(const struct blocks *x, enum effect_kind kind);

/*
 * Interval of level 1 - @alpha from @resamples draws. Returns 0, -EINVAL with
 * fewer than two blocks on a side or a ratio to a value <= 0, or -ENOMEM.
 */
int bootstrap_interval(const struct blocks *x, enum effect_kind kind, double alpha,
		       unsigned int resamples, uint64_t seed, struct interval *interval);

/* The tail share at which the percentiles of @nr blocks are taken; for tests and text. */
double bootstrap_tail(size_t nr, double alpha);

#endif
