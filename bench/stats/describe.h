/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mean, median, quantile and spread of a few doubles. All inputs are finite;
 * the caller drops what is absent (NAN) before. An empty input gives NAN.
 */
#ifndef DPAMT_STATS_DESCRIBE_H
#define DPAMT_STATS_DESCRIBE_H

#include <stddef.h>

double stats_mean(const double *values, size_t nr);
/* Standard deviation with nr - 1 in the denominator; 0 when nr is 1. */
double stats_deviation(const double *values, size_t nr);

void stats_sort(double *values, size_t nr);
/*
 * Quantile @q (0 .. 1) of ascending @sorted, linear between the order
 * statistics (h = (nr - 1) q, Hyndman and Fan's type 7).
 */
double stats_quantile_sorted(const double *sorted, size_t nr, double q);
/* Median of @values in any order. NAN when memory is short, too. */
double stats_median(const double *values, size_t nr);

#endif
