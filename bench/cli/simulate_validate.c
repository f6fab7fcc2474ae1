// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate --validate: the one contention figure that was published (R. Edgecombe, 13
 * and 14 Aug 2025): 10 TDs of 16 GiB with 4 vCPUs fault all their memory under global-fast:
 * 1136 contentions, 4 ms of waiting. The window in which they faulted was not published
 * (the whole test took about 60 s), so it is swept from 15 to 60 s: what a vCPU does
 * between faults is drawn with the mean that makes the window, and PAMT.ADD and REMOVE at
 * the ends of their ranges. Nothing is fitted. A contention is a failed trylock of
 * the lock, as the kernel's lock tools count them.
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "stats/limit.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALIDATE_DEN 16u	/* simulated in full at this scale; counts times as many */
#define PUBLISHED_WAITS 1136.0
#define PUBLISHED_NS 4e6
#define VALIDATE_TDS 10
#define REGION_PAGES (WL_2M / WL_PAGE)

/*
 * Means of PAMT.ADD and REMOVE. They were published in whole microseconds, 4 and 2: what is
 * judged is what these may stand for. The last two are the machine file's range, for a
 * server that is not the one they were measured on.
 */
static const struct end {
	const char *name;
	uint64_t add, remove;		/* ns; 0: the range of the machine file */
} ends[] = {
	{ "3.5, 1.5", 3500, 1500 }, { "4, 2", 4000, 2000 }, { "4.5, 2.5", 4500, 2500 },
	{ "low", 0, 0 }, { "high", 0, 1 },
};

/*
 * Waits in a run are as good as independent: 50 to 200 of them, the fewer the longer the
 * window. With so many seeds the mean of each cell is of 600 and more, good to 4%.
 */
static const struct validate_cell {
	uint64_t seconds;
	unsigned int end, seeds;
} plan[] = {
	{ 15, 0, 4 },  { 15, 1, 4 },  { 15, 2, 4 },  { 30, 0, 7 }, { 30, 1, 7 },  { 30, 2, 7 },
	{ 60, 0, 12 }, { 60, 1, 12 }, { 60, 2, 12 }, { 15, 4, 4 }, { 60, 3, 12 },
};

enum {
	VALIDATE_CELLS = sizeof(plan) / sizeof(plan[0]),
	JUDGED = 9, MEAN_COSTS = 1,	/* MEAN_COSTS: of ends[] */
};

/* Pages that a vCPU faults in; @w as its file has it. */
static uint64_t vcpu_pages(const struct workload *w)
{
	return w->tds[0].memory / WL_PAGE / w->tds[0].vcpus;
}

/* What is done between two faults of a vCPU so that its page takes @page ns. */
static void set_pause(struct machine *m, uint64_t page)
{
	struct machine_cost *accept = &m->costs[COST_accept];
	uint64_t spent = machine_cost_mean(m, COST_fault_base) +
			 machine_cost_mean(m, COST_page_aug) + machine_cost_mean(m, COST_page_alloc);
	uint64_t mean;

	accept->ns = page > spent ? page - spent : accept->ns;
	/* Exponential, as gaps between arrivals of independent work are: ten points. */
	static const struct { uint64_t percent, permille; } exponential[] = {
		{ 0, 0 },     { 10, 105 },  { 25, 288 },  { 50, 693 },  { 75, 1386 },
		{ 90, 2303 }, { 95, 2996 }, { 98, 3912 }, { 99, 4605 }, { 100, 7000 },
	};
	accept->nr_quantiles = sizeof(exponential) / sizeof(exponential[0]);
	for (uint32_t i = 0; i < accept->nr_quantiles; i++)
		accept->quantiles[i] = (struct machine_quantile){
			exponential[i].percent, accept->ns * exponential[i].permille / 1000,
		};
	/* Straight lines between the points lie above the curve: the mean is to be the window's. */
	mean = machine_cost_mean(m, COST_accept);
	for (uint32_t i = 0; i < accept->nr_quantiles; i++)
		accept->quantiles[i].ns = accept->quantiles[i].ns * accept->ns / mean;
}

static void set_end(struct machine *m, const struct end *e)
{
	struct machine_cost *add = &m->costs[COST_pamt_add], *remove = &m->costs[COST_pamt_remove];

	machine_scale_cost(add, e->add ? e->add : e->remove ? add->high : add->low, add->ns);
	machine_scale_cost(remove, e->add ? e->remove : e->remove ? remove->high : remove->low,
			   remove->ns);
	machine_rehash(m);
}

/*
 * TDs begin a tenth of a region apart, and each goes down when it is done. In a run that is
 * scaled down nothing that happens once may be common to all: it would be counted
 * VALIDATE_DEN times. So do vCPUs that all begin a region in the same nanosecond.
 */
static int set_apart(struct workload *w, uint64_t page, struct td_error *err)
{
	char start[64];
	const char *const sets[] = { "td.boot.lives=1", "td.boot.shutdown=own",
				     "phase.fault.together=no", start };

	snprintf(start, sizeof(start), "td.boot.start=staggered:%lluns",
		 (unsigned long long)(page * REGION_PAGES / VALIDATE_TDS));
	return workload_set_all(w, sets, sizeof(sets) / sizeof(sets[0]), err);
}

static const char *verdict(bool ok)
{
	return ok ? "met" : "NOT met";
}

static double scaled(double v)
{
	return v * VALIDATE_DEN;
}

/*
 * The mean wait hardly knows the window: over all of them, with the means as published. One
 * window alone is 300 waits, whose mean is good to 5%.
 */
static double mean_wait(const struct sweep_figures *f)
{
	double ns = 0, count = 0;

	for (size_t i = 0; i < JUDGED; i++)
		if (plan[i].end == MEAN_COSTS) {
			ns += f[i].wait_ns * plan[i].seeds;
			count += f[i].wait_count * plan[i].seeds;
		}
	return ns / count;
}

static int judge_band(const struct sweep_figures *f)
{
	double low_n = INFINITY, high_n = 0, low_ns = INFINITY, high_ns = 0, mean = mean_wait(f);
	bool inside, narrow, near;

	for (size_t i = 0; i < JUDGED; i++) {
		low_n = fmin(low_n, scaled(f[i].wait_count));
		high_n = fmax(high_n, scaled(f[i].wait_count));
		low_ns = fmin(low_ns, scaled(f[i].wait_ns));
		high_ns = fmax(high_ns, scaled(f[i].wait_ns));
	}
	inside = low_n <= PUBLISHED_WAITS && PUBLISHED_WAITS <= high_n && low_ns <= PUBLISHED_NS &&
		 PUBLISHED_NS <= high_ns;
	narrow = high_n < 4 * low_n;
	near = mean < 1.5 * PUBLISHED_NS / PUBLISHED_WAITS && mean > PUBLISHED_NS / PUBLISHED_WAITS / 1.5;
	printf("\npublished 1136 and 4 ms inside the band %.0f..%.0f, %.1f..%.1f ms of the means as "
	       "published: %s\n",
	       low_n, high_n, low_ns / 1e6, high_ns / 1e6, verdict(inside));
	printf("band of counts narrower than 4x: %.1fx: %s\n", high_n / low_n, verdict(narrow));
	printf("mean wait, all windows and mean costs, within 1.5x of 3.52 us: %.2f us: %s\n", mean / 1e3,
	       verdict(near));
	printf("with the whole range of the machine file (not judged): %.0f..%.0f, %.1f..%.1f ms\n",
	       scaled(f[JUDGED + 1].wait_count), scaled(f[JUDGED].wait_count),
	       scaled(f[JUDGED + 1].wait_ns) / 1e6, scaled(f[JUDGED].wait_ns) / 1e6);
	return inside && narrow && near ? DPAMT_FINE : DPAMT_REGRESSED;
}

static void print_validation(const struct study *s, const struct workload *w,
			     const struct sweep_figures *f)
{
	uint64_t pages = vcpu_pages(w) * VALIDATE_DEN;

	printf("Validation: %s under global-fast on %s, simulated at 1/%u, counts times %u; means of 4 to 12 "
	       "seeds\n\nwindow  came out  ADD, REMOVE  contentions    false   waiting  mean wait\n",
	       w->name, s->machine->name, VALIDATE_DEN, VALIDATE_DEN);
	for (size_t i = 0; i < VALIDATE_CELLS; i++)
		printf("%4llu s  %6.1f s  %-11s  %11.0f  %6.0f%%  %5.1f ms  %6.2f us\n",
		       (unsigned long long)plan[i].seconds, (double)pages * f[i].fault_mean_ns / 1e9,
		       ends[plan[i].end].name, scaled(f[i].wait_count),
		       100 * f[i].wait_false / f[i].wait_count, scaled(f[i].wait_ns) / 1e6,
		       f[i].wait_ns / f[i].wait_count / 1e3);
}

static int load_cell(const struct study *s, struct machine *m, struct workload **w, size_t i)
{
	struct td_error err;
	uint64_t page;

	*m = *s->machine;
	if (workload_load("boot-10x16g", workload_dirs(), w, &err))
		return complain(DPAMT_ENVIRONMENT, "%s", err.text);
	page = plan[i].seconds * 1000000000ull / vcpu_pages(*w);
	set_pause(m, page);
	set_end(m, &ends[plan[i].end]);
	if (set_apart(*w, page, &err) || workload_scale(*w, 1, VALIDATE_DEN, &err))
		return complain(DPAMT_ENVIRONMENT, "%s", err.text);
	return 0;
}

/* The mean over the seeds of a cell, whose figures are @f and those behind it. */
static struct sweep_figures mean_of_seeds(const struct sweep_figures *f, unsigned int seeds)
{
	struct sweep_figures sum = *f;

	for (unsigned int k = 1; k < seeds; k++) {
		sum.wait_count += f[k].wait_count;
		sum.wait_false += f[k].wait_false;
		sum.wait_ns += f[k].wait_ns;
		sum.fault_mean_ns += f[k].fault_mean_ns;
	}
	sum.wait_count /= seeds;
	sum.wait_false /= seeds;
	sum.wait_ns /= seeds;
	sum.fault_mean_ns /= seeds;
	return sum;
}

/* @run: of every cell all its seeds. The means into @mean, or what failed. */
static int cell_means(const struct sweep_figures *run, uint64_t seed, struct sweep_figures *mean)
{
	for (size_t i = 0; i < VALIDATE_CELLS; run += plan[i++].seeds) {
		for (unsigned int k = 0; k < plan[i].seeds; k++)
			if (!run[k].ok)
				return complain(strcmp(run[k].status, "violation") ? DPAMT_ENVIRONMENT :
										     DPAMT_REGRESSED,
						"the cell of %" PRIu64 " s, ADD and REMOVE %s us, seed %"
						PRIu64 " failed: %s", plan[i].seconds,
						ends[plan[i].end].name, seed + k, run[k].status);
		mean[i] = mean_of_seeds(run, plan[i].seeds);
	}
	return 0;
}

int simulate_validate(struct study *s)
{
	struct machine *m = must_calloc(VALIDATE_CELLS, sizeof(*m));
	struct workload *w[VALIDATE_CELLS] = { NULL };
	struct sweep_figures *run, mean[VALIDATE_CELLS];
	struct sweep_cell *cell;
	uint64_t seed = s->o->v[OPT_SEED].number;
	size_t nr = 0;
	bool ran = false;
	int ret = 0;

	for (size_t i = 0; i < VALIDATE_CELLS; i++)
		nr += plan[i].seeds;
	run = must_calloc(nr, sizeof(*run));
	cell = must_calloc(nr, sizeof(*cell));
	nr = 0;
	for (size_t i = 0; i < VALIDATE_CELLS && !ret; i++) {
		ret = load_cell(s, &m[i], &w[i], i);
		for (unsigned int k = 0; k < plan[i].seeds; k++)
			cell[nr++] = (struct sweep_cell){
				.workload = w[i], .machine = &m[i], .strategy = "global-fast",
				.seed = seed + k,
			};
	}
	if (!ret)
		ret = run_cells(s, cell, run, nr, "cells of the validation", &ran);
	if (!ret && ran)
		ret = cell_means(run, seed, mean);
	if (!ret && ran) {
		print_validation(s, w[0], mean);
		ret = judge_band(mean);
	}
	for (size_t i = 0; i < VALIDATE_CELLS; i++)
		workload_free(w[i]);
	free(m);
	free(run);
	free(cell);
	return ret;
}
