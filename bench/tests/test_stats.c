// SPDX-License-Identifier: GPL-2.0-only
/*
 * The statistics against known vectors (published tables, worked examples,
 * brute force), and the two properties that no vector shows: intervals of 8
 * blocks cover what they say, and no finding appears too often where there is
 * nothing to find.
 */
#include "tests/test.h"

#include <errno.h>
#include <math.h>

#include "stats/bootstrap.h"
#include "stats/describe.h"
#include "stats/limit.h"
#include "stats/permute.h"
#include "stats/rng.h"
#include "stats/student.h"
#include "stats/verdict.h"

#define NEAR(got, want, within) near_to((got), (want), (within), __LINE__, #got)

static const struct verdict_rule rule = { .alpha = 0.05, .margin = 0.02, .resamples = 2000 };

static void near_to(double got, double want, double within, int line, const char *what)
{
	if (!test_result(fabs(got - want) <= within, __FILE__, line, what))
		printf("\tgot  %.12g\n\twant %.12g +- %g\n", got, want, within);
}

static void generator(void)
{
	struct rng rng = { { 1, 2, 3, 4 } };
	uint64_t state = 1234567, i, seen[10] = { 0 };

	/* reference output of Blackman and Vigna's C files */
	CHECK_EQ(rng_next(&rng), 11520);
	CHECK_EQ(rng_next(&rng), 0);
	CHECK_EQ(rng_next(&rng), 1509978240);
	CHECK_EQ(rng_next(&rng), 1215971899390074240);
	CHECK_EQ(splitmix64(&state), 6457827717110365317);
	CHECK_EQ(splitmix64(&state), 3203168211198807973);
	rng_seed(&rng, 7);
	for (i = 0; i < 100000; i++)
		seen[rng_below(&rng, 10)]++;
	for (i = 0; i < 10; i++)
		NEAR(seen[i], 10000, 400);
	CHECK_EQ(rng_below(&rng, 1), 0);
}

static void descriptions(void)
{
	double values[] = { 2, 4, 4, 4, 5, 5, 7, 9 }, one[] = { 3 };

	NEAR(stats_mean(values, 8), 5, 0);
	NEAR(stats_deviation(values, 8), 2.138089935299395, 1e-15);
	NEAR(stats_deviation(one, 1), 0, 0);
	NEAR(stats_median(values, 8), 4.5, 0);
	NEAR(stats_median(one, 1), 3, 0);
	CHECK(isnan(stats_mean(NULL, 0)));
	CHECK(isnan(stats_median(NULL, 0)));
}

static void quantiles(void)
{
	double values[] = { 9, 1, 5, 3, 7 };

	stats_sort(values, 5);
	NEAR(values[0], 1, 0);
	NEAR(values[4], 9, 0);
	/* R: quantile(c(1,3,5,7,9), type = 7) */
	NEAR(stats_quantile_sorted(values, 5, 0), 1, 0);
	NEAR(stats_quantile_sorted(values, 5, 0.1), 1.8, 1e-15);
	NEAR(stats_quantile_sorted(values, 5, 0.25), 3, 0);
	NEAR(stats_quantile_sorted(values, 5, 0.975), 8.8, 1e-14);
	NEAR(stats_quantile_sorted(values, 5, 1), 9, 0);
}

static void distributions(void)
{
	NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
	NEAR(normal_quantile(0.025), -1.959963984540054, 1e-12);
	NEAR(normal_cdf(1), 0.841344746068543, 1e-14);
	NEAR(student_quantile(0.975, 1), 12.706204736, 1e-8);
	NEAR(student_quantile(0.975, 2), 4.302652730, 1e-8);
	NEAR(student_quantile(0.975, 3), 3.182446305, 1e-8);
	NEAR(student_quantile(0.975, 7), 2.364624252, 1e-8);
	NEAR(student_quantile(0.995, 10), 3.169272673, 1e-8);
	NEAR(student_quantile(0.975, 30), 2.042272456, 1e-8);
	NEAR(student_quantile(0.975, 1000), 1.962339081, 1e-5);
	NEAR(student_quantile(0.05, 5), -2.015048373, 1e-8);
	NEAR(student_cdf(2, 4), 0.941941738, 1e-8);
	NEAR(student_quantile(0.975, STUDENT_EXACT), student_quantile(0.975, STUDENT_EXACT + 1),
	     1e-4);
}

static void bootstrap_known(void)
{
	static const double a[] = { 10, 12, 9, 11, 10, 13, 8, 11 };
	double b[8], level;
	struct blocks x = { a, b, 8, 8, true };
	struct interval first, again, other;
	int i;

	for (i = 0; i < 8; i++)
		b[i] = 1.25 * a[i];
	/* B is A times a constant: paired resampling sees no spread at all */
	CHECK_EQ(bootstrap_interval(&x, EFFECT_RATIO, 0.05, 1000, 1, &first), 0);
	NEAR(bootstrap_estimate(&x, EFFECT_RATIO), 1.25, 1e-15);
	NEAR(first.low, 1.25, 1e-12);
	NEAR(first.high, 1.25, 1e-12);
	x.paired = false;
	CHECK_EQ(bootstrap_interval(&x, EFFECT_RATIO, 0.05, 1000, 1, &first), 0);
	CHECK(first.low < 1.2 && first.high > 1.3);
	CHECK_EQ(bootstrap_interval(&x, EFFECT_RATIO, 0.05, 1000, 1, &again), 0);
	CHECK(first.low == again.low && first.high == again.high);
	CHECK_EQ(bootstrap_interval(&x, EFFECT_RATIO, 0.05, 1000, 2, &other), 0);
	CHECK(first.low != other.low);
	CHECK_EQ(bootstrap_interval(&x, EFFECT_DIFFERENCE, 0.05, 1000, 1, &first), 0);
	NEAR(bootstrap_estimate(&x, EFFECT_DIFFERENCE), 2.625, 1e-12);
	CHECK(first.low < 2.625 && first.high > 2.625);
	/* Hesterberg's table: for n = 10 nominal 2.5% tails become 0.86% (t = 2.262) */
	level = bootstrap_tail(10, 0.05);
	NEAR(level, normal_cdf(-2.2621571628 * sqrt(10.0 / 9)), 1e-9);
	NEAR(bootstrap_tail(100000, 0.05), 0.025, 1e-5);
}

static void bootstrap_refuses(void)
{
	static const double a[] = { 1, 0, 2 }, b[] = { 1, 2, 3 };
	struct blocks x = { a, b, 3, 3, true };
	struct interval interval;

	CHECK_EQ(bootstrap_interval(&x, EFFECT_RATIO, 0.05, 100, 1, &interval), -EINVAL);
	CHECK_EQ(bootstrap_interval(&x, EFFECT_DIFFERENCE, 0.05, 100, 1, &interval), 0);
	x.nb = 2;
	CHECK_EQ(bootstrap_interval(&x, EFFECT_DIFFERENCE, 0.05, 100, 1, &interval), -EINVAL);
	x.na = 1;
	x.nb = 1;
	CHECK_EQ(bootstrap_interval(&x, EFFECT_DIFFERENCE, 0.05, 100, 1, &interval), -EINVAL);
}

/* Roughly normal: twelve uniforms. */
static double draw_normal(struct rng *rng)
{
	double sum = -6;
	int i;

	for (i = 0; i < 12; i++)
		sum += (double)(rng_next(rng) >> 11) * 0x1p-53;
	return sum;
}

/* Share of intervals of 8 blocks that hold the true ratio of means. */
static double coverage(bool paired)
{
	double a[8], b[8];
	struct blocks x = { a, b, 8, 8, paired };
	struct interval interval;
	int trial, i, hits = 0;
	struct rng rng;

	rng_seed(&rng, 11);
	for (trial = 0; trial < 1000; trial++) {
		for (i = 0; i < 8; i++) {
			double block = exp(0.2 * draw_normal(&rng));

			a[i] = 100 * block * exp(0.1 * draw_normal(&rng));
			if (!paired)
				block = exp(0.2 * draw_normal(&rng));
			b[i] = 80 * block * exp(0.1 * draw_normal(&rng));
		}
		bootstrap_interval(&x, EFFECT_RATIO, 0.05, 1000, (uint64_t)trial, &interval);
		hits += interval.low <= 0.8 && interval.high >= 0.8;
	}
	return hits / 1000.0;
}

static void bootstrap_covers(void)
{
	double paired = coverage(true), unpaired = coverage(false);

	printf("coverage of 95%% intervals from 8 blocks: paired %.3f, unpaired %.3f\n", paired,
	       unpaired);
	CHECK(paired > 0.93 && paired < 0.98);
	CHECK(unpaired > 0.93 && unpaired < 0.985);
}

static void permute_known(void)
{
	/* Darwin's maize, eighths of an inch; Fisher enumerated it: 863 of 32768 one-sided */
	static const double maize[] = {
		49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48,
	};
	static const double same_sign[] = { 0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2 };
	static const double zeros[8];
	double shifted[8], scaled[8];
	int i;

	NEAR(permute_paired(maize, 15, 0), 2 * 863 / 32768.0, 1e-15);
	NEAR(permute_paired(same_sign, 8, 0), 2 / 256.0, 0);
	NEAR(permute_paired(same_sign, 5, 0), 2 / 32.0, 0);
	NEAR(permute_paired(zeros, 8, 0), 1, 0);
	NEAR(permute_paired(NULL, 0, 0), 1, 0);
	for (i = 0; i < 8; i++) {
		shifted[i] = i == 3 ? -same_sign[i] : same_sign[i];
		scaled[i] = -3 * shifted[i];
	}
	/* one block of 0.1 turned over: itself, and any one of the three 0.1 instead */
	NEAR(permute_paired(shifted, 8, 0), 2 * 4 / 256.0, 0);
	/* the unit and the direction of the difference do not matter */
	NEAR(permute_paired(scaled, 8, 0), permute_paired(shifted, 8, 0), 0);
}

static void permute_monte_carlo(void)
{
	double d[24], exact;
	int i;

	/* 20 blocks are enumerated, 21 are drawn */
	for (i = 0; i < 24; i++)
		d[i] = (i % 3 ? 1 : -1) * (1 + 0.01 * i);
	exact = permute_paired(d, 20, 5);
	d[20] = 0;	/* adds nothing, but passes the limit: the same test, now drawn */
	NEAR(permute_paired(d, 21, 5), exact, 0.006);
	NEAR(permute_paired(d, 21, 5), permute_paired(d, 21, 5), 0);
	CHECK(permute_paired(d, 21, 5) != permute_paired(d, 21, 6));
	for (i = 0; i < 24; i++)
		d[i] = 1;
	NEAR(permute_paired(d, 24, 5), permute_paired_floor(24), 1e-4);
	CHECK(permute_paired(d, 24, 5) > 0);
}

/* Enumeration by bit masks, written as differently as possible. */
static double two_sample_by_masks(const double *a, int na, const double *b, int nb)
{
	double pooled[16], observed = fabs(stats_mean(b, nb) - stats_mean(a, na)), sums[2];
	int i, mask, hits = 0, ways = 0;

	for (i = 0; i < na + nb; i++)
		pooled[i] = i < na ? a[i] : b[i - na];
	for (mask = 0; mask < 1 << (na + nb); mask++) {
		if (__builtin_popcount(mask) != nb)
			continue;
		sums[0] = sums[1] = 0;
		for (i = 0; i < na + nb; i++)
			sums[mask >> i & 1] += pooled[i];
		ways++;
		hits += fabs(sums[1] / nb - sums[0] / na) >= observed - 1e-9;
	}
	return (double)hits / ways;
}

static void two_sample(void)
{
	static const double low[] = { 1, 2, 3 }, high[] = { 4, 5, 6 };
	/* Efron's mice: survival in days */
	static const double treated[] = { 94, 197, 16, 38, 99, 141, 23 };
	static const double control[] = { 52, 104, 146, 10, 51, 30, 40, 27, 46 };
	static const double same[] = { 1000.1, 1000.1, 1000.1, 1000.1 };
	double wide_a[14], wide_b[14];
	int i;

	NEAR(permute_two_sample(low, 3, high, 3, 0), 2 / 20.0, 1e-15);
	NEAR(permute_two_sample(high, 3, low, 3, 0), 2 / 20.0, 1e-15);
	NEAR(permute_two_sample(treated, 7, control, 9, 0),
	     two_sample_by_masks(treated, 7, control, 9), 1e-15);
	NEAR(permute_two_sample(control, 9, treated, 7, 0),
	     two_sample_by_masks(treated, 7, control, 9), 1e-15);
	NEAR(permute_two_sample(same, 4, same, 3, 0), 1, 0);
	NEAR(permute_two_sample(same, 0, same, 3, 0), 1, 0);
	/* C(28,14) is 40 million: drawn */
	for (i = 0; i < 14; i++) {
		wide_a[i] = i;
		wide_b[i] = i + 100;
	}
	NEAR(permute_two_sample(wide_a, 14, wide_b, 14, 3), 1e-5, 1e-5);
	for (i = 0; i < 14; i++)
		wide_b[i] = i + 0.5;
	CHECK(permute_two_sample(wide_a, 14, wide_b, 14, 3) > 0.7);
}

static void floors(void)
{
	NEAR(permute_paired_floor(5), 0.0625, 0);
	NEAR(permute_paired_floor(8), 0.0078125, 0);
	NEAR(permute_two_sample_floor(3, 3), 0.1, 1e-15);
	NEAR(permute_two_sample_floor(8, 8), 2 / 12870.0, 1e-15);
	NEAR(permute_two_sample_floor(2, 3), 0.1, 1e-15);
	CHECK_EQ(verdict_fewest_blocks(true, 0.05, 1), 6);
	CHECK_EQ(verdict_fewest_blocks(true, 0.05, 5), 8);
	CHECK_EQ(verdict_fewest_blocks(true, 0.05, 7), 9);
	CHECK_EQ(verdict_fewest_blocks(false, 0.05, 1), 4);
	CHECK_EQ(verdict_fewest_blocks(false, 0.05, 5), 5);
}

static void holm(void)
{
	/* R: p.adjust(c(0.01,0.04,0.03,0.005), "holm") */
	static const double p[] = { 0.01, 0.04, 0.03, 0.005 };
	static const double ties[] = { 0.0078125, 0.5, 0.0078125, 0.0078125, 0.9 };
	double adjusted[5];

	holm_adjust(p, adjusted, 4);
	NEAR(adjusted[0], 0.03, 1e-15);
	NEAR(adjusted[1], 0.06, 1e-15);
	NEAR(adjusted[2], 0.06, 1e-15);
	NEAR(adjusted[3], 0.02, 1e-15);
	holm_adjust(ties, adjusted, 5);
	NEAR(adjusted[0], 0.0390625, 0);
	NEAR(adjusted[2], 0.0390625, 0);
	NEAR(adjusted[3], 0.0390625, 0);
	NEAR(adjusted[1], 1, 0);
	NEAR(adjusted[4], 1, 0);
	holm_adjust((const double[]){ 0.6, 0.7 }, adjusted, 2);
	NEAR(adjusted[0], 1, 0);
	NEAR(adjusted[1], 1, 0);
	holm_adjust(p, adjusted, 1);
	NEAR(adjusted[0], 0.01, 0);
	holm_adjust(NULL, NULL, 0);
}

static void fill(double *values, size_t nr, double mean, double step)
{
	size_t i;

	for (i = 0; i < nr; i++)
		values[i] = mean + step * ((double)i - (double)(nr - 1) / 2);
}

static enum finding find_paired(const double *a, const double *b, size_t nr, unsigned int family,
				unsigned int *needed, struct effect *e)
{
	struct blocks x = { a, b, nr, nr, true };

	CHECK_EQ(effect_measure(&x, &rule, 1, e), 0);
	return effect_decide(e, &rule, fmin(1, family * e->p), family, needed);
}

static void findings(void)
{
	double a[8], b[8];
	struct effect e;
	unsigned int needed;

	fill(a, 8, 100, 1);
	fill(b, 8, 80, 2);
	CHECK_EQ(find_paired(a, b, 8, 5, &needed, &e), FINDING_LOWER);
	CHECK_EQ(needed, 0);
	CHECK_EQ(e.kind, EFFECT_RATIO);
	CHECK_EQ(e.sign, -1);
	NEAR(e.estimate, 0.8, 1e-12);
	NEAR(e.p, 2 / 256.0, 0);
	CHECK_EQ(find_paired(b, a, 8, 5, &needed, &e), FINDING_HIGHER);
	NEAR(e.estimate, 1.25, 1e-12);
	/* significant, yet inside the margin */
	fill(b, 8, 100.5, 1);
	CHECK_EQ(find_paired(a, b, 8, 5, &needed, &e), FINDING_SAME);
	NEAR(e.p, 2 / 256.0, 0);
	CHECK_EQ(find_paired(a, a, 8, 5, &needed, &e), FINDING_SAME);
	/* the family is too large for 8 blocks, whatever the figures */
	fill(b, 8, 10, 1);
	CHECK_EQ(find_paired(a, b, 8, 7, &needed, &e), FINDING_UNDECIDED);
	CHECK_EQ(needed, 9);
	CHECK_EQ(find_paired(a, a, 5, 1, &needed, &e), FINDING_UNDECIDED);
	CHECK_EQ(needed, VERDICT_MIN_BLOCKS);
}

static void absence_is_not_sameness(void)
{
	static const double noise[] = { 30, -25, 20, -30, 10, -5, 15, -10 };
	double a[8], b[8];
	struct effect e;
	unsigned int needed;
	int i;

	for (i = 0; i < 8; i++) {
		a[i] = 100;
		b[i] = 100 + noise[i];
	}
	CHECK_EQ(find_paired(a, b, 8, 1, &needed, &e), FINDING_UNDECIDED);
	CHECK(e.p > 0.5);
	CHECK(needed > 100);
}

static void zero_and_negative(void)
{
	double a[8] = { 0 }, b[8] = { 0 };
	struct effect e;
	unsigned int needed;

	CHECK_EQ(find_paired(a, b, 8, 1, &needed, &e), FINDING_SAME);
	CHECK_EQ(e.kind, EFFECT_DIFFERENCE);
	fill(b, 8, 50, 1);
	CHECK_EQ(find_paired(a, b, 8, 1, &needed, &e), FINDING_HIGHER);
	NEAR(e.estimate, 50, 1e-12);
	CHECK(isfinite(e.low) && isfinite(e.high) && isfinite(e.p));
	/* to zero is a ratio of 0, not undefined */
	CHECK_EQ(find_paired(b, a, 8, 1, &needed, &e), FINDING_LOWER);
	CHECK_EQ(e.kind, EFFECT_RATIO);
	NEAR(e.estimate, 0, 0);
	fill(a, 8, -50, 1);
	CHECK_EQ(find_paired(b, a, 8, 1, &needed, &e), FINDING_LOWER);
	CHECK_EQ(e.kind, EFFECT_DIFFERENCE);
}

static void needed_blocks(void)
{
	struct effect e = {
		.kind = EFFECT_RATIO, .paired = true, .na = 8, .nb = 8, .mean_a = 1, .mean_b = 0.9,
		.estimate = 0.9, .low = 0.7, .high = 1.1, .p = 0.3, .p_floor = 2 / 256.0,
		.sign = -1, .spread = 0.2,
	};
	unsigned int needed;

	/* t(0.975, n-1) / sqrt(n) <= 0.5: 17 gives 0.514, 18 gives 0.497 */
	CHECK_EQ(effect_decide(&e, &rule, 0.3, 1, &needed), FINDING_UNDECIDED);
	CHECK_EQ(needed, 18);
	/* the family costs blocks: t(0.995, n-1) / sqrt(n) <= 0.5: 30 gives 0.503 */
	CHECK_EQ(effect_decide(&e, &rule, 1, 5, &needed), FINDING_UNDECIDED);
	CHECK_EQ(needed, 31);
	/* inside the margin: 0.005 + t 0.03 / sqrt(n) <= 0.02 */
	e.estimate = 1.005;
	e.spread = 0.03;
	CHECK_EQ(effect_decide(&e, &rule, 0.3, 1, &needed), FINDING_UNDECIDED);
	CHECK_EQ(needed, 18);
	/* on the edge of the margin no number is enough */
	e.estimate = 1.01999;
	e.spread = 1;
	CHECK_EQ(effect_decide(&e, &rule, 0.3, 1, &needed), FINDING_UNDECIDED);
	CHECK(needed > VERDICT_MAX_NEEDED);
	/* enough by the formula already, and still undecided: one more at least */
	e.estimate = 0.9;
	e.spread = 0.01;
	CHECK_EQ(effect_decide(&e, &rule, 0.06, 1, &needed), FINDING_UNDECIDED);
	CHECK_EQ(needed, 9);
}

static void disagreement_is_undecided(void)
{
	struct effect e = {
		.kind = EFFECT_RATIO, .paired = true, .na = 8, .nb = 8, .mean_a = 1, .mean_b = 0.9,
		.estimate = 0.9, .low = 0.85, .high = 0.95, .p = 0.0078125, .p_floor = 0.0078125,
		.sign = -1, .spread = 0.05,
	};
	unsigned int needed;

	CHECK_EQ(effect_decide(&e, &rule, 0.0078125, 1, &needed), FINDING_LOWER);
	e.sign = 1;
	CHECK_EQ(effect_decide(&e, &rule, 0.0078125, 1, &needed), FINDING_UNDECIDED);
	e.sign = -1;
	e.high = 1.01;
	CHECK_EQ(effect_decide(&e, &rule, 0.0078125, 1, &needed), FINDING_UNDECIDED);
	e.high = 0.95;
	CHECK_EQ(effect_decide(&e, &rule, 0.051, 1, &needed), FINDING_UNDECIDED);
	e.estimate = 0.985;
	e.high = 0.99;
	e.low = 0.975;
	CHECK_EQ(effect_decide(&e, &rule, 0.0078125, 1, &needed), FINDING_UNDECIDED);
}

/* Where A and B are alike, a direction is found in at most alpha of the cases. */
static void false_findings(void)
{
	static const struct verdict_rule quick = { 0.05, 0, 500 };
	int trial, i, paired, found[2] = { 0, 0 };
	double a[8], b[8], block;
	unsigned int needed;
	struct effect e;
	struct rng rng;

	rng_seed(&rng, 3);
	for (trial = 0; trial < 2000; trial++) {
		struct blocks x = { a, b, 8, 8, trial & 1 };

		for (i = 0; i < 8; i++) {
			block = exp(0.3 * draw_normal(&rng));
			a[i] = block * exp(0.1 * draw_normal(&rng));
			b[i] = block * exp(0.1 * draw_normal(&rng));
		}
		effect_measure(&x, &quick, (uint64_t)trial, &e);
		paired = trial & 1;
		found[paired] += effect_decide(&e, &quick, e.p, 1, &needed) >= FINDING_LOWER;
	}
	printf("false findings: unpaired %.3f, paired %.3f\n", found[0] / 1000.0,
	       found[1] / 1000.0);
	CHECK(found[1] > 10 && found[1] < 60);
	CHECK(found[0] < 60);
}

static void bad_blocks(void)
{
	static const double a[] = { 1, 2 };
	struct blocks x = { a, a, 0, 0, true };
	struct effect e;

	CHECK_EQ(effect_measure(&x, &rule, 1, &e), -EINVAL);
	x.na = 2;
	x.nb = 1;
	CHECK_EQ(effect_measure(&x, &rule, 1, &e), -EINVAL);
	x.na = 1;
	CHECK_EQ(effect_measure(&x, &rule, 1, &e), 0);
	CHECK(isnan(e.low) && isnan(e.high));
	NEAR(e.p, 1, 0);
}

/* Errors by hand; a limit within one of them decides nothing, from either side. */
static void limits(void)
{
	static const double values[] = { 9, 11, 10 }, top[] = { 9, 11 }, bottom[] = { 4, 6 };
	static const double more[] = { 20, 20 }, ten[] = { 10, 10 };
	const struct figure_pairs kinds[] = { { top, bottom, 2 }, { more, ten, 2 } };
	struct figure f = figure_mean(values, 3);

	NEAR(f.value, 10, 1e-12);
	NEAR(f.error, 0.5773502691896258, 1e-12);
	NEAR(figure_mean(values, 1).error, 0, 0);
	f = figure_quotient((struct figure){ 12, 0.3 }, (struct figure){ 4, 0.4 });
	NEAR(f.value, 3, 1e-12);
	NEAR(f.error, 3 * sqrt(0.025 * 0.025 + 0.1 * 0.1), 1e-12);
	/* 60 over 30; 9 - 8 and 11 - 12 are off their mean by 1: 2 x 2 / 1 = 4; the others by 0. */
	f = figure_pooled(kinds, 2);
	NEAR(f.value, 2, 1e-12);
	NEAR(f.error, 2.0 / 30, 1e-12);

	CHECK_EQ(limit_judge((struct figure){ 5, 0.9 }, 4, 6), LIMIT_MET);
	CHECK_EQ(limit_judge((struct figure){ 5, 1 }, 4, 6), LIMIT_UNDECIDED);
	CHECK_EQ(limit_judge((struct figure){ 3.5, 0.6 }, 4, 6), LIMIT_UNDECIDED);
	CHECK_EQ(limit_judge((struct figure){ 6.1, 0.2 }, 4, 6), LIMIT_UNDECIDED);
	CHECK_EQ(limit_judge((struct figure){ 3, 0.9 }, 4, 6), LIMIT_MISSED);
	CHECK_EQ(limit_judge((struct figure){ 7, 0.9 }, 4, 6), LIMIT_MISSED);
	CHECK_EQ(limit_judge((struct figure){ 3, 0.9 }, -INFINITY, 4), LIMIT_MET);
	CHECK_EQ(limit_judge((struct figure){ 5, 0.9 }, -INFINITY, 4), LIMIT_MISSED);
	CHECK_EQ(limit_judge((struct figure){ NAN, 0 }, 4, 6), LIMIT_MISSED);
	CHECK_STR(limit_text(LIMIT_MET), "met");
	CHECK(!strncmp(limit_text(LIMIT_UNDECIDED), "not decided", 11));
	CHECK_STR(limit_text(LIMIT_MISSED), "NOT met");
}

int main(void)
{
	test_begin("stats");
	TEST(generator);
	TEST(descriptions);
	TEST(quantiles);
	TEST(distributions);
	TEST(bootstrap_known);
	TEST(bootstrap_refuses);
	TEST(bootstrap_covers);
	TEST(permute_known);
	TEST(permute_monte_carlo);
	TEST(two_sample);
	TEST(floors);
	TEST(holm);
	TEST(findings);
	TEST(absence_is_not_sameness);
	TEST(zero_and_negative);
	TEST(needed_blocks);
	TEST(disagreement_is_undecided);
	TEST(false_findings);
	TEST(bad_blocks);
	TEST(limits);
	return test_end();
}
