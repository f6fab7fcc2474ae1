// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decision rule of stats/verdict.h. Nothing here knows which direction is
 * the better one: the caller does, in one place.
 */
#include "stats/verdict.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stats/describe.h"
#include "stats/permute.h"
#include "stats/student.h"

static double neutral(const struct effect *e)
{
	return e->kind == EFFECT_RATIO ? 1 : 0;
}

static double margin_of(const struct effect *e, const struct verdict_rule *rule)
{
	return e->kind == EFFECT_RATIO ? rule->margin : rule->margin * fabs(e->mean_a);
}

static bool all_at_least(const double *values, size_t nr, double floor, bool strictly)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!(strictly ? values[i] > floor : values[i] >= floor))
			return false;
	return true;
}

/*
 * Deviation of the estimate per block, by linearising it in the two means:
 * each b counts 1 / scale, each a counts -slope / scale.
 */
static int measure_spread(const struct blocks *x, struct effect *e)
{
	double scale = e->kind == EFFECT_RATIO ? e->mean_a : 1;
	double slope = e->kind == EFFECT_RATIO ? e->estimate : 1;
	double *residual;
	size_t i;

	if (!x->paired) {
		e->spread = hypot(stats_deviation(x->b, x->nb),
				  slope * stats_deviation(x->a, x->na)) / scale;
		return 0;
	}
	residual = malloc(x->na * sizeof(*residual));
	if (!residual)
		return -ENOMEM;
	for (i = 0; i < x->na; i++)
		residual[i] = x->b[i] - slope * x->a[i];
	e->spread = stats_deviation(residual, x->na) / scale;
	free(residual);
	return 0;
}

static double test_value(double value, bool logs)
{
	return logs ? log(value) : value;
}

static int sign_of(double value)
{
	return (value > 0) - (value < 0);
}

/* The permutation test; @work holds na + nb doubles. */
static int run_test(const struct blocks *x, uint64_t seed, double *work, struct effect *e)
{
	bool logs = all_at_least(x->a, x->na, 0, true) && all_at_least(x->b, x->nb, 0, true);
	double *a = work, *b = work + x->na;
	size_t i;

	for (i = 0; i < x->na; i++)
		a[i] = test_value(x->a[i], logs);
	for (i = 0; i < x->nb; i++)
		b[i] = test_value(x->b[i], logs);
	e->sign = sign_of(stats_mean(b, x->nb) - stats_mean(a, x->na));
	if (!x->paired) {
		e->p = permute_two_sample(a, x->na, b, x->nb, seed);
		e->p_floor = permute_two_sample_floor(x->na, x->nb);
		return e->p < 0 ? -ENOMEM : 0;
	}
	for (i = 0; i < x->na; i++)
		b[i] -= a[i];
	e->p = permute_paired(b, x->nb, seed);
	e->p_floor = permute_paired_floor(x->nb);
	return 0;
}

int effect_measure(const struct blocks *x, const struct verdict_rule *rule, uint64_t seed,
		   struct effect *e)
{
	struct interval interval = { NAN, NAN };
	double *work;
	int ret;

	if (!x->na || !x->nb || (x->paired && x->na != x->nb))
		return -EINVAL;
	*e = (struct effect){ .kind = EFFECT_DIFFERENCE, .paired = x->paired,
			      .na = x->na, .nb = x->nb };
	if (all_at_least(x->a, x->na, 0, true) && all_at_least(x->b, x->nb, 0, false))
		e->kind = EFFECT_RATIO;
	e->mean_a = stats_mean(x->a, x->na);
	e->mean_b = stats_mean(x->b, x->nb);
	e->estimate = bootstrap_estimate(x, e->kind);
	if (x->na > 1 && x->nb > 1) {
		ret = bootstrap_interval(x, e->kind, rule->alpha, rule->resamples, seed,
					 &interval);
		if (ret)
			return ret;
	}
	e->low = interval.low;
	e->high = interval.high;
	ret = measure_spread(x, e);
	if (ret)
		return ret;
	work = malloc((x->na + x->nb) * sizeof(*work));
	if (!work)
		return -ENOMEM;
	ret = run_test(x, seed, work, e);
	free(work);
	return ret;
}

static double test_floor(bool paired, unsigned int nr)
{
	return paired ? permute_paired_floor(nr) : permute_two_sample_floor(nr, nr);
}

unsigned int verdict_fewest_blocks(bool paired, double alpha, unsigned int family)
{
	unsigned int nr = 2;

	while (nr < VERDICT_MAX_NEEDED && family * test_floor(paired, nr) > alpha)
		nr++;
	return nr;
}

/* Half the width of a Student interval of level 1 - @alpha from @nr blocks. */
static double half_width(const struct effect *e, double alpha, unsigned int nr)
{
	return student_quantile(1 - alpha / 2, nr - 1) * e->spread / sqrt(nr);
}

/* Smallest number of blocks, from 2, whose half width is at most @width. */
static unsigned int blocks_for_width(const struct effect *e, double alpha, double width)
{
	unsigned int low = 1, high = 2, middle;

	while (half_width(e, alpha, high) > width) {
		low = high;
		if (high > VERDICT_MAX_NEEDED)
			return VERDICT_MAX_NEEDED + 1;
		high *= 2;
	}
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (half_width(e, alpha, middle) > width)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static unsigned int blocks_needed(const struct effect *e, const struct verdict_rule *rule,
				  unsigned int family)
{
	double away = fabs(e->estimate - neutral(e)), margin = margin_of(e, rule);
	unsigned int now = (unsigned int)(e->na < e->nb ? e->na : e->nb), nr;
	unsigned int fewest = verdict_fewest_blocks(e->paired, rule->alpha, family);

	if (away > margin)
		nr = blocks_for_width(e, rule->alpha / family, away);
	else
		nr = blocks_for_width(e, rule->alpha, margin - away);
	if (nr < fewest)
		nr = fewest;
	if (nr < VERDICT_MIN_BLOCKS)
		nr = VERDICT_MIN_BLOCKS;
	return nr > now ? nr : now + 1;
}

enum finding effect_decide(const struct effect *e, const struct verdict_rule *rule,
			   double p_holm, unsigned int family, unsigned int *needed)
{
	double none = neutral(e), margin = margin_of(e, rule);
	bool higher = e->estimate > none;

	*needed = 0;
	if (family * e->p_floor <= rule->alpha) {
		if (e->low >= none - margin && e->high <= none + margin)
			return FINDING_SAME;
		if (fabs(e->estimate - none) > margin && (e->low > none || e->high < none) &&
		    p_holm <= rule->alpha && e->sign == (higher ? 1 : -1))
			return higher ? FINDING_HIGHER : FINDING_LOWER;
		*needed = blocks_needed(e, rule, family);
		return FINDING_UNDECIDED;
	}
	*needed = verdict_fewest_blocks(e->paired, rule->alpha, family);
	if (*needed < VERDICT_MIN_BLOCKS)
		*needed = VERDICT_MIN_BLOCKS;
	return FINDING_UNDECIDED;
}
