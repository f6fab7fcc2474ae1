// SPDX-License-Identifier: GPL-2.0-only
/*
 * Enumeration by recursion over partial sums: each leaf adds few terms in one
 * fixed order, so that no rounding builds up, and equal patterns of equal
 * figures compare equal within TIE of the scale.
 */
#include "stats/permute.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/rng.h"

/* Sums that differ by less than this share of the sum of magnitudes are ties. */
#define TIE 1e-12

static double magnitude(const double *values, size_t nr)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		sum += fabs(values[i]);
	return sum;
}

static uint64_t count_flips(const double *d, size_t nr, double sum, double bound)
{
	if (!nr)
		return fabs(sum) >= bound;
	return count_flips(d + 1, nr - 1, sum + *d, bound) +
	       count_flips(d + 1, nr - 1, sum - *d, bound);
}

static double draw_flips(const double *d, size_t nr, double bound, uint64_t seed)
{
	uint64_t hits = 0;
	struct rng rng;
	double sum;
	size_t i;
	int draw;

	rng_seed(&rng, seed);
	for (draw = 0; draw < PERMUTE_DRAWS; draw++) {
		sum = 0;
		for (i = 0; i < nr; i++)
			sum += rng_next(&rng) >> 63 ? d[i] : -d[i];
		hits += fabs(sum) >= bound;
	}
	return (double)(hits + 1) / (PERMUTE_DRAWS + 1);
}

double permute_paired(const double *differences, size_t nr, uint64_t seed)
{
	double sum = 0, bound;
	size_t i;

	if (!nr)
		return 1;
	for (i = 0; i < nr; i++)
		sum += differences[i];
	bound = fabs(sum) - TIE * magnitude(differences, nr);
	if (nr > PERMUTE_EXACT_BLOCKS)
		return draw_flips(differences, nr, bound, seed);
	/* |sum| is symmetric: the first sign may stay as it is */
	return (double)count_flips(differences + 1, nr - 1, differences[0], bound) /
	       (double)(1ull << (nr - 1));
}

/* Ways to take @k of @n, or 2 * PERMUTE_EXACT_SPLITS when there are more. */
static uint64_t splits(size_t n, size_t k)
{
	double ways = 1;
	size_t i;

	for (i = 1; i <= k; i++) {
		ways = ways * (double)(n - k + i) / (double)i;
		if (ways > 2.0 * PERMUTE_EXACT_SPLITS)
			return 2 * PERMUTE_EXACT_SPLITS;
	}
	return (uint64_t)llround(ways);
}

/*
 * Of the @nr centred figures at @v, @k more go to B. The figures sum to 0, so
 * the difference of means is proportional to the sum of B alone.
 */
static uint64_t count_splits(const double *v, size_t nr, size_t k, double sum, double bound)
{
	uint64_t count = 0;

	if (!k)
		return fabs(sum) >= bound;
	if (nr > k)
		count = count_splits(v + 1, nr - 1, k, sum, bound);
	return count + count_splits(v + 1, nr - 1, k - 1, sum + *v, bound);
}

static double draw_splits(double *v, size_t nr, size_t k, double bound, uint64_t seed)
{
	uint64_t hits = 0;
	struct rng rng;
	double sum;
	size_t i;
	int draw;

	rng_seed(&rng, seed);
	for (draw = 0; draw < PERMUTE_DRAWS; draw++) {
		sum = 0;
		for (i = 0; i < k; i++) {
			size_t other = i + rng_below(&rng, nr - i);
			double taken = v[other];

			v[other] = v[i];
			v[i] = taken;
			sum += taken;
		}
		hits += fabs(sum) >= bound;
	}
	return (double)(hits + 1) / (PERMUTE_DRAWS + 1);
}

double permute_two_sample(const double *a, size_t na, const double *b, size_t nb, uint64_t seed)
{
	double *pooled, mean = 0, sum = 0, bound, p;
	size_t i, nr = na + nb;

	if (!na || !nb)
		return 1;
	pooled = malloc(nr * sizeof(*pooled));
	if (!pooled)
		return -1;
	memcpy(pooled, b, nb * sizeof(*b));
	memcpy(pooled + nb, a, na * sizeof(*a));
	for (i = 0; i < nr; i++)
		mean += pooled[i] / (double)nr;
	for (i = 0; i < nr; i++)
		pooled[i] -= mean;
	for (i = 0; i < nb; i++)
		sum += pooled[i];
	/* centring rounds at the scale of the mean, so ties are judged on that scale */
	bound = fabs(sum) - TIE * (magnitude(pooled, nr) + fabs(mean) * (double)nr);
	if (splits(nr, nb) <= PERMUTE_EXACT_SPLITS)
		p = (double)count_splits(pooled, nr, nb, 0, bound) / (double)splits(nr, nb);
	else
		p = draw_splits(pooled, nr, nb, bound, seed);
	free(pooled);
	return p;
}

double permute_paired_floor(size_t nr)
{
	if (!nr)
		return 1;
	return nr > PERMUTE_EXACT_BLOCKS ? 1.0 / (PERMUTE_DRAWS + 1) : ldexp(1, 1 - (int)nr);
}

double permute_two_sample_floor(size_t na, size_t nb)
{
	uint64_t ways = splits(na + nb, nb);

	if (!na || !nb)
		return 1;
	if (ways > PERMUTE_EXACT_SPLITS)
		return 1.0 / (PERMUTE_DRAWS + 1);
	/* sides of one size: swapping all labels gives the mirrored statistic */
	return (na == nb ? 2.0 : 1.0) / (double)ways;
}

/* What the step at p = @value multiplies it to; tied figures share the first of their steps. */
static double holm_step(const double *p, size_t nr, double value)
{
	size_t i, smaller = 0;

	for (i = 0; i < nr; i++)
		smaller += p[i] < value;
	return (double)(nr - smaller) * value;
}

void holm_adjust(const double *p, double *adjusted, size_t nr)
{
	size_t i, j;

	for (i = 0; i < nr; i++) {
		adjusted[i] = 0;
		for (j = 0; j < nr; j++)
			if (p[j] <= p[i])
				adjusted[i] = fmax(adjusted[i], holm_step(p, nr, p[j]));
		adjusted[i] = fmin(adjusted[i], 1);
	}
}
