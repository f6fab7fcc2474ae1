// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate --sensitivity and --validate.
 *
 * Sensitivity: each constant of the machine halved and doubled, one at a time, under
 * global-fast; what moves the waiting and the mean fault, largest first. Beside it what
 * `global` costs against `global-fast`, under all constants as they are.
 *
 * Validation: the one contention figure that was published (R. Edgecombe, 13 and 14 Aug
 * 2025): 10 TDs of 16 GiB with 4 vCPUs fault all their memory under global-fast:
 * 1136 contentions, 4 ms of waiting. The window in which they faulted was not published
 * (the whole test took about 60 s), so it is swept from 15 to 60 s: what a vCPU does
 * between faults is drawn with the mean that makes the window, and PAMT.ADD and REMOVE at
 * the ends of their ranges. Nothing is fitted. A contention is a failed trylock of
 * the lock, as the kernel's lock tools count them.
 */
#include "cli/simulate.h"
#include "cli/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------- sensitivity */

struct lever {
	const char *name;
	struct machine machine[2];	/* halved, doubled */
	double wait[2], fault[2];	/* relative to the machine as it is */
};

/* Constant @i of the machine: costs first, then lines. NULL past the end. */
static struct machine_cost *constant(struct machine *m, size_t i, const char **name)
{
	if (i < COST_NR) {
		*name = machine_cost_name((enum cost)i);
		return &m->costs[i];
	}
	i -= COST_NR;
	if (i >= LINE_NR)
		return NULL;
	*name = machine_line_name((enum line_cost)i);
	return &m->lines[i];
}

static double swing(const struct lever *l)
{
	return fmax(fabs(log(l->wait[0] > 0 ? l->wait[0] : 1)), fabs(log(l->wait[1] > 0 ? l->wait[1] : 1)));
}

static int by_swing(const void *a, const void *b)
{
	double x = swing(a), y = swing(b);

	return x > y ? -1 : x < y;
}

static void print_levers(const struct lever *l, size_t nr, bool csv)
{
	if (csv)
		printf("constant,wait_half,wait_double,fault_half,fault_double\n");
	else
		printf("%-16s %12s %12s %12s %12s\n%-16s %12s %12s %12s %12s\n", "constant", "waiting",
		       "waiting", "mean fault", "mean fault", "", "x0.5", "x2", "x0.5", "x2");
	for (size_t i = 0; i < nr; i++)
		printf(csv ? "%s,%.4f,%.4f,%.4f,%.4f\n" : "%-16s %12.3f %12.3f %12.3f %12.3f\n",
		       l[i].name, l[i].wait[0], l[i].wait[1], l[i].fault[0], l[i].fault[1]);
}

static size_t make_levers(const struct machine *m, struct lever *l)
{
	struct machine_cost *c;
	size_t nr = 0;

	for (size_t i = 0; i < COST_NR + LINE_NR; i++) {
		for (int way = 0; way < 2; way++) {
			l[nr].machine[way] = *m;
			c = constant(&l[nr].machine[way], i, &l[nr].name);
			machine_scale_cost(c, way ? 2 : 1, way ? 1 : 2);
			machine_rehash(&l[nr].machine[way]);
		}
		nr += c->ns != 0;
	}
	return nr;
}

int simulate_sensitivity(struct study *s)
{
	const struct options *o = s->o;
	size_t nr, max = COST_NR + LINE_NR;
	struct lever *l = must_calloc(max, sizeof(*l));
	struct sweep_cell *cell = must_calloc(2 * max + 2, sizeof(*cell));
	struct sweep_figures *f = must_calloc(2 * max + 2, sizeof(*f));
	bool csv = !strcmp(o->v[OPT_FORMAT].text, "csv");
	struct td_error err;
	int ret = DPAMT_FINE;
	uint64_t den = o->v[OPT_SCALE].set ? o->v[OPT_SCALE].number : s->workload->bench_scale.den;

	if (workload_scale(s->workload, 1, den ? den : 1, &err))
		ret = complain(DPAMT_USAGE, "--scale: %s", err.text);
	nr = make_levers(s->machine, l);
	for (size_t i = 0; i < 2 * nr + 2; i++)
		cell[i] = (struct sweep_cell){
			.workload = s->workload, .strategy = i == 2 * nr + 1 ? "global" : "global-fast",
			.seed = o->v[OPT_SEED].number, .block = o->v[OPT_BLOCK].set,
			.machine = i < 2 * nr ? &l[i / 2].machine[i % 2] : s->machine,
		};
	if (!ret)
		ret = run_cells(s, cell, f, 2 * nr + 2, "cells of the sensitivity table");
	if (!ret && (!f[2 * nr].ok || !f[2 * nr + 1].ok))
		ret = complain(DPAMT_ENVIRONMENT, "the cell with the constants as they are failed: %s",
			       f[2 * nr].status);
	if (!ret) {
		for (size_t i = 0; i < 2 * nr; i++) {
			l[i / 2].wait[i % 2] = f[i].wait_ns / f[2 * nr].wait_ns;
			l[i / 2].fault[i % 2] = f[i].fault_mean_ns / f[2 * nr].fault_mean_ns;
		}
		qsort(l, nr, sizeof(*l), by_swing);
		if (!csv)
			printf("Sensitivity: %s under global-fast on %s (simulated), relative to the constants "
			       "as they are:\n%.0f waits, %.3f ms of waiting (%.4f%% of CPU time), mean fault "
			       "%.0f ns\n\n",
			       s->workload->name, s->machine->name, f[2 * nr].wait_count,
			       f[2 * nr].wait_ns / 1e6, f[2 * nr].wait_pct, f[2 * nr].fault_mean_ns);
		print_levers(l, nr, csv);
		printf(csv ? "strategy global,%.4f,,%.4f,\n" :
			     "\nstrategy global instead: waiting x%.3f, mean fault x%.3f",
		       f[2 * nr + 1].wait_ns / f[2 * nr].wait_ns,
		       f[2 * nr + 1].fault_mean_ns / f[2 * nr].fault_mean_ns);
		if (!csv)
			printf(", get and put per page %.1f ns against %.1f ns\n",
			       f[2 * nr + 1].pamt_ns_per_page, f[2 * nr].pamt_ns_per_page);
	}
	free(l);
	free(cell);
	free(f);
	return ret;
}

/* -------------------------------------------------------------- validation */

#define VALIDATE_DEN 64u	/* simulated in full at this scale; counts times as many */
#define PUBLISHED_WAITS 1136.0
#define PUBLISHED_NS 4e6

static const uint64_t windows[] = { 15, 30, 60 };
static const char *const ends[] = { "low", "mean", "high" };

/* What is done between two faults of a vCPU so that all memory takes @seconds to fault. */
static void set_pause(struct machine *m, const struct workload *w, uint64_t seconds)
{
	uint64_t pages = w->tds[0].memory / WL_PAGE / w->tds[0].vcpus * VALIDATE_DEN;
	uint64_t page = seconds * 1000000000ull / pages, spent;
	struct machine_cost *accept = &m->costs[COST_accept];

	spent = machine_cost_mean(m, COST_fault_base) + machine_cost_mean(m, COST_page_aug) +
		machine_cost_mean(m, COST_page_alloc);
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
}

/* PAMT.ADD and REMOVE with their means at one end of what they may be. */
static void set_end(struct machine *m, unsigned int end)
{
	static const enum cost pamt[] = { COST_pamt_add, COST_pamt_remove };

	for (size_t i = 0; i < 2; i++) {
		struct machine_cost *c = &m->costs[pamt[i]];
		uint64_t want = end == 0 ? c->low : end == 1 ? c->ns : c->high;

		machine_scale_cost(c, want, c->ns);
	}
	machine_rehash(m);
}

static const char *verdict(bool ok)
{
	return ok ? "met" : "NOT met";
}

static int judge_band(const struct sweep_figures *f, size_t nr)
{
	double low_n = INFINITY, high_n = 0, low_ns = INFINITY, high_ns = 0, mean;
	bool inside, narrow, near;

	for (size_t i = 0; i < nr; i++) {
		low_n = fmin(low_n, f[i].wait_count * VALIDATE_DEN);
		high_n = fmax(high_n, f[i].wait_count * VALIDATE_DEN);
		low_ns = fmin(low_ns, f[i].wait_ns * VALIDATE_DEN);
		high_ns = fmax(high_ns, f[i].wait_ns * VALIDATE_DEN);
	}
	mean = f[4].wait_ns / f[4].wait_count;
	inside = low_n <= PUBLISHED_WAITS && PUBLISHED_WAITS <= high_n && low_ns <= PUBLISHED_NS &&
		 PUBLISHED_NS <= high_ns;
	narrow = high_n < 4 * low_n;
	near = mean < 1.5 * PUBLISHED_NS / PUBLISHED_WAITS && mean > PUBLISHED_NS / PUBLISHED_WAITS / 1.5;
	printf("\npublished 1136 and 4 ms inside the band %.0f..%.0f, %.1f..%.1f ms: %s\n", low_n, high_n,
	       low_ns / 1e6, high_ns / 1e6, verdict(inside));
	printf("band of counts narrower than 4x: %.1fx: %s\n", high_n / low_n, verdict(narrow));
	printf("mean wait, 30 s and mean costs, within 1.5x of 3.52 us: %.2f us: %s\n", mean / 1e3,
	       verdict(near));
	return inside && narrow && near ? DPAMT_FINE : DPAMT_REGRESSED;
}

int simulate_validate(struct study *s)
{
	enum { NR = 9 };
	struct machine *m = must_calloc(NR, sizeof(*m));
	struct sweep_figures f[NR] = { 0 };
	struct sweep_cell cell[NR];
	struct td_error err;
	int ret;

	workload_free(s->workload);
	if (workload_load("boot-10x16g", workload_dirs(), &s->workload, &err) ||
	    workload_set(s->workload, "td.boot.lives=1", &err) ||
	    workload_scale(s->workload, 1, VALIDATE_DEN, &err)) {
		free(m);
		return complain(DPAMT_ENVIRONMENT, "%s", err.text);
	}
	for (size_t i = 0; i < NR; i++) {
		m[i] = *s->machine;
		set_pause(&m[i], s->workload, windows[i / 3]);
		set_end(&m[i], i % 3);
		cell[i] = (struct sweep_cell){ .workload = s->workload, .machine = &m[i],
					       .strategy = "global-fast",
					       .seed = s->o->v[OPT_SEED].number };
	}
	ret = run_cells(s, cell, f, NR, "cells of the validation");
	for (size_t i = 0; i < NR && !ret; i++)
		if (!f[i].ok)
			ret = complain(DPAMT_ENVIRONMENT, "a cell failed: %s", f[i].status);
	if (!ret) {
		printf("Validation: %s under global-fast on %s, simulated at 1/%u, counts times %u\n\n"
		       "window  ADD, REMOVE  contentions   waiting  mean wait\n",
		       s->workload->name, s->machine->name, VALIDATE_DEN, VALIDATE_DEN);
		for (size_t i = 0; i < NR; i++)
			printf("%4llu s  %-11s  %11.0f  %5.1f ms  %6.2f us\n",
			       (unsigned long long)windows[i / 3], ends[i % 3],
			       f[i].wait_count * VALIDATE_DEN, f[i].wait_ns * VALIDATE_DEN / 1e6,
			       f[i].wait_ns / f[i].wait_count / 1e3);
		ret = judge_band(f, NR);
	}
	free(m);
	return ret;
}
