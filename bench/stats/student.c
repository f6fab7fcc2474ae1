// SPDX-License-Identifier: GPL-2.0-only
/*
 * Distribution functions in closed form, their inverses by bisection: slow,
 * short, and right to the last digits that matter.
 */
#include "stats/student.h"

#include <math.h>

double normal_cdf(double x)
{
	return 0.5 * erfc(-x * M_SQRT1_2);
}

/* The x with cdf(x) = p for an ascending cdf that is symmetric about 0. */
static double invert(double p, double (*cdf)(double x, unsigned int df), unsigned int df)
{
	double low = 0, high = 1, middle;
	int i;

	if (!(p > 0))
		return -INFINITY;
	if (!(p < 1))
		return INFINITY;
	if (p < 0.5)
		return -invert(1 - p, cdf, df);
	while (cdf(high, df) < p && high < 1e15)
		high *= 2;
	for (i = 0; i < 100; i++) {
		middle = (low + high) / 2;
		if (cdf(middle, df) < p)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

static double normal_of_df(double x, unsigned int df)
{
	(void)df;
	return normal_cdf(x);
}

double normal_quantile(double p)
{
	return invert(p, normal_of_df, 0);
}

/* P(|T| < t) of a whole number of degrees of freedom, as a finite sum. */
static double student_within(double t, unsigned int df)
{
	double theta = atan(t / sqrt((double)df)), c2 = cos(theta) * cos(theta);
	double term, sum;
	unsigned int k;

	if (df == 1)
		return theta * M_2_PI;
	term = df & 1 ? cos(theta) : 1;
	sum = term;
	for (k = df & 1 ? 3 : 2; k < df; k += 2) {
		term *= c2 * (double)(k - 1) / (double)k;
		sum += term;
	}
	return df & 1 ? M_2_PI * (theta + sin(theta) * sum) : sin(theta) * sum;
}

double student_cdf(double t, unsigned int df)
{
	double n = df;

	if (df > STUDENT_EXACT)
		return normal_cdf(copysign((8 * n + 1) / (8 * n + 3) *
					   sqrt(n * log1p(t * t / n)), t));
	return 0.5 + 0.5 * student_within(t, df);
}

double student_quantile(double p, unsigned int df)
{
	return invert(p, student_cdf, df);
}
