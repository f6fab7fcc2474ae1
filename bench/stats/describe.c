// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plain descriptive statistics. Sums run in input order, so that one input
 * gives one result.
 */
#include "stats/describe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double stats_mean(const double *values, size_t nr)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		sum += values[i];
	return nr ? sum / (double)nr : NAN;
}

double stats_deviation(const double *values, size_t nr)
{
	double mean = stats_mean(values, nr), sum = 0;
	size_t i;

	if (nr < 2)
		return nr ? 0 : NAN;
	for (i = 0; i < nr; i++)
		sum += (values[i] - mean) * (values[i] - mean);
	return sqrt(sum / (double)(nr - 1));
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void stats_sort(double *values, size_t nr)
{
	if (nr)
		qsort(values, nr, sizeof(*values), ascending);
}

double stats_quantile_sorted(const double *sorted, size_t nr, double q)
{
	double h;
	size_t i;

	if (!nr)
		return NAN;
	h = (double)(nr - 1) * (q < 0 ? 0 : q > 1 ? 1 : q);
	i = (size_t)h;
	if (i + 1 >= nr)
		return sorted[nr - 1];
	return sorted[i] + (h - (double)i) * (sorted[i + 1] - sorted[i]);
}

double stats_median(const double *values, size_t nr)
{
	double *copy, median;

	if (!nr)
		return NAN;
	copy = malloc(nr * sizeof(*copy));
	if (!copy)
		return NAN;
	memcpy(copy, values, nr * sizeof(*copy));
	stats_sort(copy, nr);
	median = stats_quantile_sorted(copy, nr, 0.5);
	free(copy);
	return median;
}
