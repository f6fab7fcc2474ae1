// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics: log-linear histograms of nanoseconds, and the sum over CPUs.
 */
#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "pamt.h"

unsigned int pamt_hist_index(u64 ns)
{
	unsigned int shift;

	if (ns >> PAMT_HIST_MAX)
		return PAMT_HIST_BINS - 1;
	if (ns < 1u << PAMT_HIST_SUB)
		return ns;
	shift = 63 - __builtin_clzll(ns) - PAMT_HIST_SUB;
	return ((shift + 1) << PAMT_HIST_SUB) + (ns >> shift) - (1u << PAMT_HIST_SUB);
}

u64 pamt_hist_low(unsigned int i)
{
	unsigned int octave = i >> PAMT_HIST_SUB;
	u64 step = i & ((1u << PAMT_HIST_SUB) - 1);

	return octave ? (step + (1u << PAMT_HIST_SUB)) << (octave - 1) : step;
}

void pamt_hist_add(struct pamt_hist *h, u64 ns)
{
	h->bin[pamt_hist_index(ns)]++;
	h->sum_ns += ns;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

static void hist_merge(struct pamt_hist *to, const struct pamt_hist *from)
{
	unsigned int i;

	for (i = 0; i < PAMT_HIST_BINS; i++)
		to->bin[i] += from->bin[i];
	to->sum_ns += from->sum_ns;
	to->max_ns = max(to->max_ns, from->max_ns);
}

static void stats_add(struct pamt_stats *to, const struct pamt_stats *from)
{
	unsigned int i, j;

	to->get_slow += from->get_slow;
	to->put_slow += from->put_slow;
	to->install += from->install;
	to->remove += from->remove;
	to->lost_race += from->lost_race;
	to->retained_hit += from->retained_hit;
	to->leaked += from->leaked;
	to->get_failed += from->get_failed;
	for (i = 0; i < PAMT_NR_LEAVES; i++) {
		to->seamcall[i] += from->seamcall[i];
		for (j = 0; j < PAMT_NR_OPERANDS; j++)
			to->busy[i][j] += from->busy[i][j];
	}
	for (i = 0; i < 2; i++) {
		to->wait_count[i] += from->wait_count[i];
		to->wait_ns[i] += from->wait_ns[i];
	}
	to->irqoff_max_ns = max(to->irqoff_max_ns, from->irqoff_max_ns);
	hist_merge(&to->wait, &from->wait);
	hist_merge(&to->get_ns, &from->get_ns);
	hist_merge(&to->put_ns, &from->put_ns);
}

void pamt_stats_sum(struct pamt *p, struct pamt_stats *sum)
{
	unsigned int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu)
		stats_add(sum, per_cpu_ptr(p->stats, cpu));
}
