/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Permutation tests, two-sided. Under the null hypothesis the labels A and B
 * carry no meaning: within a block (paired) the sign of a difference could as
 * well be the other one; across runs (two-sample) every split of the pooled
 * figures is as likely as the one seen. p is the share of relabellings whose
 * statistic is at least as far from 0. All are enumerated where that is at
 * most about a million, otherwise PERMUTE_DRAWS are drawn from the seed, and
 * p = (hits + 1) / (draws + 1), which keeps the test valid.
 *
 * Holm's step-down correction for a family of tests is here too.
 */
#ifndef DPAMT_STATS_PERMUTE_H
#define DPAMT_STATS_PERMUTE_H

#include <stddef.h>
#include <stdint.h>

#define PERMUTE_EXACT_BLOCKS 20		/* paired: 2^20 sign patterns */
#define PERMUTE_EXACT_SPLITS 1000000	/* two-sample: C(na + nb, na) */
#define PERMUTE_DRAWS 100000

/* Sign flips of @nr per-block differences (or log ratios). No block gives 1. */
double permute_paired(const double *differences, size_t nr, uint64_t seed);

/* Splits of the pooled @a and @b; statistic: difference of means. -1 when memory is short. */
double permute_two_sample(const double *a, size_t na, const double *b, size_t nb, uint64_t seed);

/* The smallest p that the test can return for so many blocks; 1 when there are none. */
double permute_paired_floor(size_t nr);
double permute_two_sample_floor(size_t na, size_t nb);

/*
 * Holm: @adjusted[i] = max over the tests up to i in ascending order of p of
 * min(1, (nr - rank) p), rank from 0. @p and @adjusted are two arrays.
 */
void holm_adjust(const double *p, double *adjusted, size_t nr);

#endif
