// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate --sensitivity: each constant of the machine halved and doubled, one at a
 * time, under global-fast; what moves the waiting and the mean fault, largest first. Beside
 * it what `global` costs against `global-fast`, under all constants as they are.
 *
 * Every row is a mean over the same few seeds. What single seeds of the constants as they
 * are differ by is noise, and a row that moves a figure no farther says nothing about it.
 */
#include "cli/simulate.h"
#include "cli/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 4u
#define FEW_WAITS 20	/* fewer of them tell nothing apart */

struct lever {
	const char *name;
	struct machine machine[2];	/* halved, doubled */
	bool zero;			/* it is 0: instead of doubled, at the top of its range */
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

/* How far single seeds of one cell are off their mean, as a ratio. */
struct spread {
	double low, high;
};

/* The table, and what it is relative to. */
struct tornado {
	const struct study *s;
	struct lever *lever;
	size_t nr;
	const struct sweep_figures *base, *global;	/* the constants as they are */
	struct spread wait, fault;			/* of the base */
};

static void widen(struct spread *s, double v)
{
	s->low = fmin(s->low, v);
	s->high = fmax(s->high, v);
}

/* Do the figures of a row lie where single seeds of the base do? */
static bool in_noise(const double v[2], const struct spread *s)
{
	bool any = false;

	for (int way = 0; way < 2; way++) {
		if (isnan(v[way]))
			continue;
		any = true;
		if (v[way] < s->low || v[way] > s->high)
			return false;
	}
	return any;
}

/* With so few waits nothing that moves them can be told. */
static bool too_few(const struct tornado *t)
{
	return t->base->wait_count < FEW_WAITS;
}

static void print_ratio(double v, bool csv)
{
	if (isnan(v))
		printf(csv ? "," : " %12s", "n/a");
	else
		printf(csv ? ",%.4f" : " %12.3f", v);
}

static const char *noise_text(bool wait, bool fault)
{
	return wait && fault ? "within noise" :
	       wait	     ? "waiting: within noise" :
	       fault	     ? "mean fault: within noise" :
			       "";
}

static void print_row(const struct tornado *t, const char *name, const double wait[2],
		      const double fault[2], bool csv)
{
	bool wait_noise = in_noise(wait, &t->wait), fault_noise = in_noise(fault, &t->fault);

	printf(csv ? "%s" : "%-16s", name);
	for (int way = 0; way < 2; way++)
		print_ratio(wait[way], csv);
	for (int way = 0; way < 2; way++)
		print_ratio(fault[way], csv);
	if (csv)
		printf(",%d,%d\n", wait_noise, fault_noise);
	else
		printf("%s%s\n", wait_noise || fault_noise ? "  " : "", noise_text(wait_noise, fault_noise));
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
		printf("constant,wait_half,wait_double,fault_half,fault_double,wait_in_noise,"
		       "fault_in_noise\n");
	else
		printf("%-16s %12s %12s %12s %12s\n%-16s %12s %12s %12s %12s\n", "constant", "waiting",
		       "waiting", "mean fault", "mean fault", "", "x0.5", "x2", "x0.5", "x2");
	for (size_t i = 0; i < t->nr; i++)
		print_row(t, t->lever[i].name, t->lever[i].wait, t->lever[i].fault, csv);
	global_row(t, wait, fault);
	print_row(t, "strategy global", wait, fault, csv);
}

static void print_tornado(const struct tornado *t)
{
	const struct sweep_figures *b = t->base;

	printf("Sensitivity: %s under global-fast on %s (simulated), relative to the constants as they "
	       "are:\n%.0f waits, %.3f ms of waiting (%.4f%% of CPU time), mean fault %.0f ns; means of %u "
	       "seeds\n",
	       t->s->workload->name, t->s->machine->name, b->wait_count, b->wait_ns / 1e6,
	       b->wait_pct, b->fault_mean_ns, SEEDS);
	printf("noise: single seeds of these lie at ");
	if (b->wait_ns > 0)
		printf("%.3f to %.3f of the mean waiting, ", t->wait.low, t->wait.high);
	printf("%.3f to %.3f of the mean fault\n\n", t->fault.low, t->fault.high);
	print_rows(t, false);
	for (size_t i = 0; i < t->nr; i++)
		if (t->lever[i].zero)
			printf("\n%s is 0: its column x2 has the top of its range", t->lever[i].name);
	printf("\n");
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

static json_t *json_row(const struct tornado *t, const char *name, const double wait[2],
			const double fault[2])
{
	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:b,s:b}", "constant", name, "wait_half",
			 real_or_null(wait[0]), "wait_double", real_or_null(wait[1]), "fault_half",
			 real_or_null(fault[0]), "fault_double", real_or_null(fault[1]),
			 "wait_in_noise", in_noise(wait, &t->wait), "fault_in_noise",
			 in_noise(fault, &t->fault));
}

static json_t *tornado_json(const struct tornado *t)
{
	double wait[2], fault[2];
	json_t *rows = json_array();

	for (size_t i = 0; i < t->nr; i++)
		json_array_append_new(rows, json_row(t, t->lever[i].name, t->lever[i].wait,
						     t->lever[i].fault));
	global_row(t, wait, fault);
	json_array_append_new(rows, json_row(t, "strategy global", wait, fault));
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:i,s:[o,o],s:[o,o],s:b,s:o}", "workload",
			 t->s->workload->name, "machine", t->s->machine->name, "strategy", "global-fast", "wait_count",
			 real_or_null(t->base->wait_count), "wait_total_ns",
			 real_or_null(t->base->wait_ns), "fault_mean_ns",
			 real_or_null(t->base->fault_mean_ns), "seeds", (int)SEEDS, "wait_spread",
			 real_or_null(t->wait.low), real_or_null(t->wait.high), "fault_spread",
			 real_or_null(t->fault.low), real_or_null(t->fault.high), "can_discriminate",
			 !too_few(t), "rows", rows);
}

static void pull(struct machine_cost *c, bool up)
{
	if (c->ns)
		machine_scale_cost(c, up ? 2 : 1, up ? 1 : 2);
	else if (up)
		c->ns = c->high;
}

static size_t make_levers(const struct machine *m, struct lever *l)
{
	struct machine_cost *c;
	size_t nr = 0;

	for (size_t i = 0; i < COST_NR + LINE_NR; i++) {
		for (int way = 0; way < 2; way++) {
			l[nr].machine[way] = *m;
			c = constant(&l[nr].machine[way], i, &l[nr].name);
			l[nr].zero = !c->ns;
			pull(c, way);
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

/* Every row's mean over its seeds into @f, and the spread of the base. */
static void take_means(struct tornado *t, const struct sweep_figures *run, struct sweep_figures *f)
{
	const struct sweep_figures *base = &run[2 * t->nr * SEEDS];

	for (size_t i = 0; i < 2 * t->nr + 2; i++)
		f[i] = sweep_mean(&run[i * SEEDS], SEEDS);
	t->wait = t->fault = (struct spread){ NAN, NAN };
	for (unsigned int k = 0; k < SEEDS; k++) {
		widen(&t->wait, ratio(base[k].wait_ns, t->base->wait_ns));
		widen(&t->fault, ratio(base[k].fault_mean_ns, t->base->fault_mean_ns));
	}
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
		ret = print_json(tornado_json(t));
	else if (!strcmp(format, "csv"))
		print_rows(t, true);
	else
		print_tornado(t);
	if (ret || !too_few(t))
		return ret;
	return complain(DPAMT_INCONCLUSIVE,
			"cannot discriminate here: %.1f waits with the constants as they are, fewer than %d",
			t->base->wait_count, FEW_WAITS);
}

int simulate_sensitivity(struct study *s)
{
	const struct options *o = s->o;
	size_t nr, max = COST_NR + LINE_NR;
	struct lever *l;
	struct sweep_cell *cell;
	struct sweep_figures *run, *f;
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
	cell = must_calloc((2 * max + 2) * SEEDS, sizeof(*cell));
	run = must_calloc((2 * max + 2) * SEEDS, sizeof(*run));
	f = must_calloc(2 * max + 2, sizeof(*f));
	nr = make_levers(s->machine, l);
	for (size_t i = 0; i < 2 * nr + 2; i++)
		for (unsigned int k = 0; k < SEEDS; k++)
			cell[i * SEEDS + k] = (struct sweep_cell){
				.workload = s->workload,
				.strategy = i == 2 * nr + 1 ? "global" : "global-fast",
				.seed = o->v[OPT_SEED].number + k,
				.machine = i < 2 * nr ? &l[i / 2].machine[i % 2] : s->machine,
			};
	t = (struct tornado){ .s = s, .lever = l, .nr = nr, .base = &f[2 * nr], .global = &f[2 * nr + 1] };
	ret = run_cells(s, cell, run, (2 * nr + 2) * SEEDS, "cells of the sensitivity table", &ran);
	if (!ret && ran) {
		take_means(&t, run, f);
		ret = show(&t, f);
	}
	free(l);
	free(cell);
	free(run);
	free(f);
	return ret;
}
