// SPDX-License-Identifier: GPL-2.0-only
/* Figures with errors against limits (limit.h). */
#include "stats/limit.h"

#include <math.h>

#include "stats/describe.h"

struct figure figure_mean(const double *values, size_t nr)
{
	return (struct figure){
		stats_mean(values, nr), stats_deviation(values, nr) / sqrt((double)nr),
	};
}

struct figure figure_quotient(struct figure a, struct figure b)
{
	double value = a.value / b.value;

	return (struct figure){
		value, fabs(value) * hypot(a.error / a.value, b.error / b.value),
	};
}

/* The variance of the sum of what the pairs of one kind are off @ratio. */
static double variance(const struct figure_pairs *k, double ratio)
{
	double mean = 0, sum = 0;

	for (size_t i = 0; i < k->nr; i++)
		mean += (k->top[i] - ratio * k->bottom[i]) / (double)k->nr;
	for (size_t i = 0; i < k->nr; i++)
		sum += pow(k->top[i] - ratio * k->bottom[i] - mean, 2);
	return k->nr > 1 ? sum * (double)k->nr / (double)(k->nr - 1) : 0;
}

struct figure figure_pooled(const struct figure_pairs *kinds, size_t nr)
{
	double top = 0, bottom = 0, sum = 0;

	for (size_t k = 0; k < nr; k++)
		for (size_t i = 0; i < kinds[k].nr; i++) {
			top += kinds[k].top[i];
			bottom += kinds[k].bottom[i];
		}
	for (size_t k = 0; k < nr; k++)
		sum += variance(&kinds[k], top / bottom);
	return (struct figure){ top / bottom, sqrt(sum) / bottom };
}

enum limit_verdict limit_judge(struct figure f, double low, double high)
{
	if (isnan(f.value) || isnan(f.error))
		return LIMIT_MISSED;
	if (fabs(f.value - low) <= f.error || fabs(f.value - high) <= f.error)
		return LIMIT_UNDECIDED;
	return f.value > low && f.value < high ? LIMIT_MET : LIMIT_MISSED;
}

const char *limit_text(enum limit_verdict v)
{
	return v == LIMIT_MET	    ? "met" :
	       v == LIMIT_UNDECIDED ? "not decided: a limit lies within one standard error" :
				      "NOT met";
}
