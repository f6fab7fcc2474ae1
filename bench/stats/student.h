/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Normal and Student's t distribution, as far as small-sample intervals need
 * them. Student's is exact for whole degrees of freedom up to STUDENT_EXACT
 * (Abramowitz and Stegun 26.7.3, 26.7.4), and by Wallace's transformation to a
 * normal deviate above, where that is good to five digits.
 */
#ifndef DPAMT_STATS_STUDENT_H
#define DPAMT_STATS_STUDENT_H

#define STUDENT_EXACT 200

double normal_cdf(double x);
/* 0 < p < 1; outside gives -INFINITY or INFINITY. */
double normal_quantile(double p);
/* df >= 1 */
double student_cdf(double t, unsigned int df);
double student_quantile(double p, unsigned int df);

#endif
