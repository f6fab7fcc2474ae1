// SPDX-License-Identifier: GPL-2.0-only
/* get and put of each strategy, measured here against simulated on such a machine (twin.h). */
#define _GNU_SOURCE
#include "exec/twin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/cost.h"
#include "exec/duo.h"
#include "exec/sim.h"
#include "measure/clock.h"
#include "shim_runtime.h"

#define APART_WORDS 64u	/* as sim_micro.c */
#define SPOTS 8u	/* words on which each case is measured */
#define LINE_ROUNDS 50u	/* before what one CPU does is measured, and after it */
#define PAIR_LINES 64u
#define CPU_SLOTS 16u	/* shim CPUs to choose two from: other queue nodes, other lines */
#define LEFT_OUT 8u	/* the passes with the highest and the lowest ratio: one in so many, each */

/* One case of one pass. */
struct point {
	double measured, simulated;
};

struct rows {
	struct twin_row *row;
	size_t nr;
	unsigned int passes;
	const struct topology *topo;
	const struct topology_cpu *cpu;
	struct machine machine;		/* with the lines of the pass */
	const struct pamt_ops **ops;
	char *mem;
	struct point *point;		/* [pass][row][case] */
};

struct pair_of_loops {
	struct pamt *pamt;
	unsigned long word[2];
	struct {
		struct pamt_cache cache __aligned(SMP_CACHE_BYTES);
	} own[2];
};

static struct point *point_of(const struct rows *r, unsigned int pass, size_t row, int c)
{
	return &r->point[(pass * r->nr + row) * TWIN_CASES + (unsigned int)c];
}

static void get_put(struct duo *d, unsigned int id, unsigned int n)
{
	struct pair_of_loops *l = d->arg;
	unsigned long word = l->word[id];

	while (n--) {
		l->pamt->ops->get(l->pamt, word, &l->own[id].cache);
		l->pamt->ops->put(l->pamt, word);
	}
}

/* ns of a get and put of one side alone, with the two calls; the least. */
static double alone(struct duo *d)
{
	u64 best = 0, t;
	char err[128];
	int i;

	shim_set_cpu(d->first_cpu);
	topology_bind(d->topo, d->side[0].cpu, err, sizeof(err));
	for (i = 0; i < 100; i++) {
		t = clock_ns();
		get_put(d, 0, DUO_CHUNK * DUO_BURST);
		t = clock_ns() - t;
		if (!best || t < best)
			best = t;
	}
	return (double)best / (DUO_CHUNK * DUO_BURST);
}

/* The mean over some words, in ns; -EAGAIN when the two never ran side by side. */
static int contend(struct duo *d, unsigned long apart, double *ns)
{
	struct pair_of_loops *l = d->arg;
	unsigned int i, nr = 0;
	u64 ps, sum = 0;

	/* On a busy machine the two may not meet at one of them. */
	for (i = 0; i < SPOTS; i++) {
		l->word[0] = (clock_ns() >> 4) % (COST_WORDS - apart);
		l->word[1] = l->word[0] + apart;
		ps = duo_run(d);
		sum += ps;
		nr += ps != 0;
	}
	if (!nr)
		return -EAGAIN;
	*ns = (double)sum / nr / 1e3;
	return 0;
}

static int loops(struct rows *r, struct duo *d, struct world *w, struct point *p)
{
	double call;
	unsigned long i;
	int ret = 0;

	/* A user each, so that all in the loops is fast. */
	for (i = 0; i < COST_WORDS && !ret; i++)
		ret = w->pamt.ops->get(&w->pamt, i, NULL);
	if (ret)
		return ret;
	/* Less the two calls, which the kernel makes directly and the cost loops inline. */
	call = alone(d) - p[TWIN_ONE_WORD].measured;
	ret = contend(d, 0, &p[TWIN_SAME_WORD].measured);
	if (!ret)
		ret = contend(d, APART_WORDS, &p[TWIN_OWN_WORDS].measured);
	p[TWIN_SAME_WORD].measured -= call > 0 ? call : 0;
	p[TWIN_OWN_WORDS].measured -= call > 0 ? call : 0;
	for (i = 0; i < COST_WORDS; i++)
		w->pamt.ops->put(&w->pamt, i);
	return ret;
}

/* The two-CPU cases of a strategy, in a world of this pass's own: other lines each time. */
static int measure_two(struct rows *r, unsigned int pass, size_t row, char *err, size_t err_size)
{
	struct world_config wc = {
		.host_bytes = COST_ARENA, .placement = PHYS_BUDDY, .ops = r->ops[row], .mem = r->mem,
	};
	void *filler = shim_zalloc((1 + clock_ns() % 1024) * 128);
	struct world *w = shim_zalloc(sizeof(*w));
	struct duo *d = shim_zalloc(sizeof(*d));
	struct pair_of_loops *l = shim_zalloc(sizeof(*l));
	unsigned int i;
	int ret = -ENOMEM;

	snprintf(err, err_size, "out of memory");
	shim_set_nr_cpus(CPU_SLOTS);
	shim_clear_warnings();
	if (filler && w && d && l)
		ret = world_init(w, &wc, err, err_size);
	if (!ret) {
		*d = (struct duo){ .topo = r->topo, .op = get_put, .arg = l,
				   .first_cpu = 2 * pass % CPU_SLOTS };
		l->pamt = &w->pamt;
		for (i = 0; i < 2; i++) {
			d->side[i].cpu = r->cpu[i].cpu;
			world_topup(w, &l->own[i].cache, 8);
		}
		ret = loops(r, d, w, point_of(r, pass, row, 0));
		if (ret)
			snprintf(err, err_size, "%s: the loops failed: %s", r->ops[row]->name,
				 ret == -EAGAIN ? "two threads never ran side by side" :
						  strerror(-ret));
		for (i = 0; i < 2; i++)
			world_cache_drain(w, &l->own[i].cache);
		if (!ret)
			ret = world_audit(w, err, err_size);
		world_exit(w);
	}
	shim_free(l);
	shim_free(d);
	shim_free(w);
	shim_free(filler);
	return ret;
}

static int take_costs(struct rows *r, unsigned int pass, char *err, size_t err_size)
{
	json_t *samples = cost_measure(r->ops, (unsigned int)r->nr, r->mem, 0, err, err_size);
	const json_t *s, *m;
	size_t i, row;

	json_array_foreach(samples, i, s) {
		const char *name = json_string_value(json_object_get(s, "strategy"));

		for (row = 0; name && row < r->nr; row++) {
			if (strcmp(name, r->row[row].strategy))
				continue;
			m = json_object_get(s, "metrics");
			point_of(r, pass, row, TWIN_ONE_WORD)->measured =
				json_number_value(json_object_get(m, "cost_one_ns"));
			point_of(r, pass, row, TWIN_MANY_WORDS)->measured =
				json_number_value(json_object_get(m, "cost_many_ns"));
		}
	}
	json_decref(samples);
	return samples ? 0 : -EIO;
}

/*
 * What one CPU does, and the lines that two have: the machine that this pass simulates. A CPU's
 * own lines are measured around the loops that they are to explain, for the machine may be
 * slower or faster a moment later.
 */
static int measure_one(struct rows *r, unsigned int pass, struct twin_conditions *c, char *err,
		       size_t err_size)
{
	unsigned int first = r->cpu[0].cpu, second = r->cpu[1].cpu;
	struct twin_lines l = { 0 };
	struct twin_pair p;
	uint64_t ps[LINE_NR];
	int i, ret = twin_lines_measure(r->topo, first, LINE_ROUNDS, &l);

	if (!ret && take_costs(r, pass, err, err_size))
		return -EIO;
	if (!ret)
		ret = twin_lines_measure(r->topo, first, LINE_ROUNDS, &l);
	if (!ret)
		ret = twin_pair_measure(r->topo, first, second, PAIR_LINES, &p);
	if (ret) {
		snprintf(err, err_size, "CPUs %u and %u cannot be measured: %s", first, second,
			 strerror(-ret));
		return ret;
	}
	twin_constants(&l, &p, ps);
	for (i = 0; i < LINE_NR; i++) {
		if (i != LINE_sibling && i != LINE_remote)
			r->machine.lines[i].ns = ps[i];
		c->ps[i] += ps[i] / r->passes;
	}
	machine_rehash(&r->machine);
	return 0;
}

static int one_pass(struct rows *r, unsigned int pass, struct twin_conditions *c, char *err,
		    size_t err_size)
{
	struct sim_micro sim;
	int ret = measure_one(r, pass, c, err, err_size);
	size_t row;

	for (row = 0; row < r->nr && !ret; row++) {
		struct point *p = point_of(r, pass, row, 0);

		ret = measure_two(r, pass, row, err, err_size);
		if (!ret)
			ret = sim_flavour.micro(&r->machine, r->row[row].strategy, &sim, err, err_size);
		if (ret)
			break;
		p[TWIN_ONE_WORD].simulated = (double)sim.alone / 1e3;
		p[TWIN_MANY_WORDS].simulated = (double)sim.alone_many / 1e3;
		p[TWIN_SAME_WORD].simulated = (double)sim.same / 1e3;
		p[TWIN_OWN_WORDS].simulated = (double)sim.apart / 1e3;
	}
	return ret;
}

static int by_ratio(const void *a, const void *b)
{
	const struct point *x = a, *y = b;
	double p = x->simulated * y->measured, q = y->simulated * x->measured;

	return p < q ? -1 : p > q;
}

static void sum_up(struct rows *r, struct point *of)
{
	unsigned int pass, skip = r->passes / LEFT_OUT, from = skip, to = r->passes - skip;

	for (size_t row = 0; row < r->nr; row++) {
		for (int c = 0; c < TWIN_CASES; c++) {
			double measured = 0, simulated = 0;

			for (pass = 0; pass < r->passes; pass++)
				of[pass] = *point_of(r, pass, row, c);
			qsort(of, r->passes, sizeof(*of), by_ratio);
			for (pass = from; pass < to; pass++) {
				measured += of[pass].measured;
				simulated += of[pass].simulated;
			}
			r->row[row].measured[c] = measured / (to - from);
			r->row[row].simulated[c] = simulated / (to - from);
		}
	}
}

int twin_rows(struct twin_row *row, size_t nr, unsigned int passes, const struct topology *t,
	      const struct machine *m, struct twin_conditions *c, char *err, size_t err_size)
{
	struct rows r = { .row = row, .nr = nr, .passes = passes, .topo = t, .machine = *m };
	struct point *of = calloc(passes, sizeof(*of));
	char text[128];
	size_t i, cpus;
	unsigned int pass;
	int ret = -ENOMEM;

	r.cpu = topology_cpus(t, &cpus);
	r.ops = calloc(nr + 1, sizeof(*r.ops));
	r.mem = phys_map((nr ? nr : 1) * COST_ARENA);
	r.point = calloc(passes * (nr + 1) * TWIN_CASES, sizeof(*r.point));
	*c = (struct twin_conditions){ .passes = passes };
	snprintf(err, err_size, "out of memory");
	if (of && r.ops && r.mem && r.point)
		ret = 0;
	for (i = 0; i < nr && !ret; i++)
		r.ops[i] = pamt_find_ops(row[i].strategy);
	for (pass = 0; pass < passes && !ret; pass++) {
		topology_bind(t, r.cpu[0].cpu, text, sizeof(text));
		ret = one_pass(&r, pass, c, err, err_size);
	}
	if (!ret)
		sum_up(&r, of);
	phys_unmap(r.mem, (nr ? nr : 1) * COST_ARENA);
	free(r.point);
	free(r.ops);
	free(of);
	return ret;
}
