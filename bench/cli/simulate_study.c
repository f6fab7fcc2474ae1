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

#include <inttypes.h>
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

/* @a over @b; no number where there is nothing to relate to. */
static double ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

/* How far a lever moves the waiting; the mean fault where nobody waits. */
static double swing(const struct lever *l)
{
	const double *v = isnan(l->wait[0]) || isnan(l->wait[1]) ? l->fault : l->wait;

	return fmax(fabs(log(v[0] > 0 ? v[0] : 1)), fabs(log(v[1] > 0 ? v[1] : 1)));
}

static int by_swing(const void *a, const void *b)
{
	double x = swing(a), y = swing(b);

	return x > y ? -1 : x < y;
}

/* The table, and what it is relative to. */
struct tornado {
	const struct study *s;
	struct lever *lever;
	size_t nr;
	const struct sweep_figures *base, *global;	/* the constants as they are */
};

static void print_ratio(double v, bool csv)
{
	if (isnan(v))
		printf(csv ? "," : " %12s", "n/a");
	else
		printf(csv ? ",%.4f" : " %12.3f", v);
}

static void print_row(const char *name, const double wait[2], const double fault[2], bool csv)
{
	printf(csv ? "%s" : "%-16s", name);
	for (int way = 0; way < 2; way++)
		print_ratio(wait[way], csv);
	for (int way = 0; way < 2; way++)
		print_ratio(fault[way], csv);
	printf("\n");
}

/* One strategy for the other is no halving: its figures stand in the columns of x2. */
static void global_row(const struct tornado *t, double wait[2], double fault[2])
{
	wait[0] = fault[0] = NAN;
	wait[1] = ratio(t->global->wait_ns, t->base->wait_ns);
	fault[1] = ratio(t->global->fault_mean_ns, t->base->fault_mean_ns);
}

static void print_rows(const struct tornado *t, bool csv)
{
	double wait[2], fault[2];

	if (csv)
		printf("constant,wait_half,wait_double,fault_half,fault_double\n");
	else
		printf("%-16s %12s %12s %12s %12s\n%-16s %12s %12s %12s %12s\n", "constant", "waiting",
		       "waiting", "mean fault", "mean fault", "", "x0.5", "x2", "x0.5", "x2");
	for (size_t i = 0; i < t->nr; i++)
		print_row(t->lever[i].name, t->lever[i].wait, t->lever[i].fault, csv);
	global_row(t, wait, fault);
	print_row("strategy global", wait, fault, csv);
}

static void print_tornado(const struct tornado *t)
{
	const struct sweep_figures *b = t->base;

	printf("Sensitivity: %s under global-fast on %s (simulated), relative to the constants as they "
	       "are:\n%.0f waits, %.3f ms of waiting (%.4f%% of CPU time), mean fault %.0f ns\n\n",
	       t->s->workload->name, t->s->machine->name, b->wait_count, b->wait_ns / 1e6,
	       b->wait_pct, b->fault_mean_ns);
	print_rows(t, false);
	if (!(b->wait_ns > 0))
		printf("\nn/a: nobody waits with the constants as they are, so there is nothing to relate "
		       "waiting to\n");
	printf("\nstrategy global for global-fast: get and put per page %.1f ns against %.1f ns\n",
	       t->global->pamt_ns_per_page, b->pamt_ns_per_page);
}

static json_t *real_or_null(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

static json_t *json_row(const char *name, const double wait[2], const double fault[2])
{
	return json_pack("{s:s,s:o,s:o,s:o,s:o}", "constant", name, "wait_half",
			 real_or_null(wait[0]), "wait_double", real_or_null(wait[1]), "fault_half",
			 real_or_null(fault[0]), "fault_double", real_or_null(fault[1]));
}

static json_t *tornado_json(const struct tornado *t)
{
	double wait[2], fault[2];
	json_t *rows = json_array();

	for (size_t i = 0; i < t->nr; i++)
		json_array_append_new(rows, json_row(t->lever[i].name, t->lever[i].wait,
						     t->lever[i].fault));
	global_row(t, wait, fault);
	json_array_append_new(rows, json_row("strategy global", wait, fault));
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "workload", t->s->workload->name, "machine",
			 t->s->machine->name, "strategy", "global-fast", "wait_count",
			 real_or_null(t->base->wait_count), "wait_total_ns",
			 real_or_null(t->base->wait_ns), "fault_mean_ns",
			 real_or_null(t->base->fault_mean_ns), "rows", rows);
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

/* The first cell that failed: with which constants, and how. Two a lever, then @t's base and global. */
static int judge_cells(const struct tornado *t, const struct sweep_figures *f)
{
	for (size_t i = 0; i < 2 * t->nr + 2; i++)
		if (!f[i].ok)
			return complain(strcmp(f[i].status, "violation") ? DPAMT_ENVIRONMENT :
									   DPAMT_REGRESSED,
					"the cell of %s %s failed: %s",
					i < 2 * t->nr	   ? t->lever[i / 2].name :
					&f[i] == t->global ? "strategy global and the constants" :
							     "global-fast and the constants",
					i < 2 * t->nr ? i % 2 ? "x2" : "x0.5" : "as they are",
					f[i].status);
	return DPAMT_FINE;
}

static int show(struct tornado *t, const struct sweep_figures *f)
{
	const char *format = t->s->o->v[OPT_FORMAT].text;
	int ret = judge_cells(t, f);

	if (ret)
		return ret;
	for (size_t i = 0; i < 2 * t->nr; i++) {
		struct lever *l = &t->lever[i / 2];

		l->wait[i % 2] = ratio(f[i].wait_ns, t->base->wait_ns);
		l->fault[i % 2] = ratio(f[i].fault_mean_ns, t->base->fault_mean_ns);
	}
	qsort(t->lever, t->nr, sizeof(*t->lever), by_swing);
	if (!strcmp(format, "json"))
		return print_json(tornado_json(t));
	if (!strcmp(format, "csv"))
		print_rows(t, true);
	else
		print_tornado(t);
	return DPAMT_FINE;
}

int simulate_sensitivity(struct study *s)
{
	const struct options *o = s->o;
	size_t nr, max = COST_NR + LINE_NR;
	struct lever *l;
	struct sweep_cell *cell;
	struct sweep_figures *f;
	struct tornado t;
	struct td_error err;
	bool ran;
	int ret;
	uint64_t den = o->v[OPT_SCALE].set ? o->v[OPT_SCALE].number : s->workload->bench_scale.den;

	if (!strcmp(o->v[OPT_FORMAT].text, "markdown"))
		return complain(DPAMT_USAGE, "--format: --sensitivity prints text, csv or json");
	if (workload_scale(s->workload, 1, den ? den : 1, &err))
		return complain(DPAMT_USAGE, "--scale: %s", err.text);
	l = must_calloc(max, sizeof(*l));
	cell = must_calloc(2 * max + 2, sizeof(*cell));
	f = must_calloc(2 * max + 2, sizeof(*f));
	nr = make_levers(s->machine, l);
	for (size_t i = 0; i < 2 * nr + 2; i++)
		cell[i] = (struct sweep_cell){
			.workload = s->workload, .strategy = i == 2 * nr + 1 ? "global" : "global-fast",
			.seed = o->v[OPT_SEED].number,
			.machine = i < 2 * nr ? &l[i / 2].machine[i % 2] : s->machine,
		};
	t = (struct tornado){ s, l, nr, &f[2 * nr], &f[2 * nr + 1] };
	ret = run_cells(s, cell, f, 2 * nr + 2, "cells of the sensitivity table", &ran);
	if (!ret && ran)
		ret = show(&t, f);
	free(l);
	free(cell);
	free(f);
	return ret;
}

/* -------------------------------------------------------------- validation */

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
