/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the figures of blocks to a finding: the decision rule, in one place.
 *
 * The effect is mean(B) / mean(A); where a ratio has no meaning (a figure of A
 * is 0 or less, or one of B is below 0) it is mean(B) - mean(A). "Neutral" is
 * 1 or 0, "margin" is the relative margin (times |mean(A)| for a difference).
 * Rules, in this order, the first that fits decides:
 *
 * 1. The exact test cannot reach alpha after Holm with so few blocks
 *    (family * floor(blocks) > alpha): UNDECIDED, whatever the figures look
 *    like. Two-sided and paired, 5 blocks give p >= 0.0625 even alone.
 * 2. The whole interval lies inside neutral +- margin: SAME. A difference that
 *    is significant but this small is still SAME.
 * 3. HIGHER or LOWER, if all of: the estimate lies outside the margin; the
 *    interval excludes neutral; the Holm-adjusted p is at most alpha; and the
 *    test statistic points the same way as the estimate (they can part when
 *    one block is an outlier).
 * 4. Otherwise UNDECIDED, with the number of blocks that would decide at the
 *    effect and spread seen: the smallest n such that a Student interval of
 *    level 1 - alpha / family excludes neutral, or, when the estimate lies
 *    inside the margin, such that one of level 1 - alpha fits into it. At
 *    least what rule 1 asks for, at least one more than there are now.
 *
 * Absence of significance is never taken for absence of an effect.
 */
#ifndef DPAMT_STATS_VERDICT_H
#define DPAMT_STATS_VERDICT_H

#include "stats/bootstrap.h"

#define VERDICT_MIN_BLOCKS 8		/* what a run should have */
#define VERDICT_MAX_NEEDED 10000	/* "more than this" stands for it */

struct verdict_rule {
	double alpha;		/* 0.05: intervals of 95%, adjusted p up to 0.05 */
	double margin;		/* 0.02: up to 2% is no change */
	unsigned int resamples;	/* of the bootstrap */
};

struct effect {
	enum effect_kind kind;
	bool paired;
	size_t na, nb;
	double mean_a, mean_b;
	double estimate;
	double low, high;	/* NAN with fewer than two blocks */
	double p, p_floor;	/* two-sided; what the test could reach at best */
	int sign;		/* of the test statistic: 1 B is higher, -1 lower, 0 */
	double spread;		/* of the estimate, for one block a side */
};

enum finding { FINDING_UNDECIDED, FINDING_SAME, FINDING_LOWER, FINDING_HIGHER };

/*
 * Measure the effect of @x. Log ratios are permuted where all figures are
 * above 0, else differences. Returns 0, -EINVAL when a side is empty or paired
 * sides differ in number, or -ENOMEM.
 */
int effect_measure(const struct blocks *x, const struct verdict_rule *rule, uint64_t seed,
		   struct effect *e);

/*
 * Decide @e as one of a family of @family tests, @p_holm its adjusted p.
 * @needed: for UNDECIDED the blocks (of each run, if unpaired) that would
 * decide, above VERDICT_MAX_NEEDED if that many would not; else 0.
 */
enum finding effect_decide(const struct effect *e, const struct verdict_rule *rule,
			   double p_holm, unsigned int family, unsigned int *needed);

/* Fewest blocks with which one test of @family can be significant at @alpha. */
unsigned int verdict_fewest_blocks(bool paired, double alpha, unsigned int family);

#endif
