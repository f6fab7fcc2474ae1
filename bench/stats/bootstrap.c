// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resampling of blocks and the percentiles of what comes out. Deterministic:
 * the seed gives the draws, in one order.
 */
#include "stats/bootstrap.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stats/describe.h"
#include "stats/rng.h"
#include "stats/student.h"

static double effect_of(double mean_a, double mean_b, enum effect_kind kind)
{
	return kind == EFFECT_RATIO ? mean_b / mean_a : mean_b - mean_a;
}

double bootstrap_estimate(const struct blocks *x, enum effect_kind kind)
{
	return effect_of(stats_mean(x->a, x->na), stats_mean(x->b, x->nb), kind);
}

double bootstrap_tail(size_t nr, double alpha)
{
	double n = (double)nr, t = student_quantile(1 - alpha / 2, (unsigned int)nr - 1);

	return normal_cdf(-sqrt(n / (n - 1)) * t);
}

static double draw_paired(const struct blocks *x, enum effect_kind kind, struct rng *rng)
{
	double a = 0, b = 0;
	size_t i;

	for (i = 0; i < x->na; i++) {
		size_t block = rng_below(rng, x->na);

		a += x->a[block];
		b += x->b[block];
	}
	return effect_of(a / (double)x->na, b / (double)x->na, kind);
}

static double draw_mean(const double *values, size_t nr, struct rng *rng)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		sum += values[rng_below(rng, nr)];
	return sum / (double)nr;
}

static double draw_unpaired(const struct blocks *x, enum effect_kind kind, struct rng *rng)
{
	double a = draw_mean(x->a, x->na, rng), b = draw_mean(x->b, x->nb, rng);

	return effect_of(a, b, kind);
}

static bool usable(const struct blocks *x, enum effect_kind kind)
{
	size_t i;

	if (x->na < 2 || x->nb < 2 || (x->paired && x->na != x->nb))
		return false;
	for (i = 0; kind == EFFECT_RATIO && i < x->na; i++)
		if (!(x->a[i] > 0))
			return false;
	return true;
}

int bootstrap_interval(const struct blocks *x, enum effect_kind kind, double alpha,
		       unsigned int resamples, uint64_t seed, struct interval *interval)
{
	double *draws, tail;
	struct rng rng;
	unsigned int i;

	if (!usable(x, kind) || !resamples)
		return -EINVAL;
	draws = malloc(resamples * sizeof(*draws));
	if (!draws)
		return -ENOMEM;
	rng_seed(&rng, seed);
	for (i = 0; i < resamples; i++)
		draws[i] = x->paired ? draw_paired(x, kind, &rng) : draw_unpaired(x, kind, &rng);
	stats_sort(draws, resamples);
	tail = bootstrap_tail(x->na < x->nb ? x->na : x->nb, alpha);
	interval->low = stats_quantile_sorted(draws, resamples, tail);
	interval->high = stats_quantile_sorted(draws, resamples, 1 - tail);
	free(draws);
	return 0;
}
