// SPDX-License-Identifier: GPL-2.0-only
/*
 * get and put by themselves on a simulated machine: the same loops as the cost
 * loops and the two-thread loops that are measured on a real one (twin.c).
 */
#include "exec/sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "exec/cost.h"
#include "exec/sim_heap.h"
#include "exec/world.h"
#include "shim_runtime.h"

#define ROUNDS 1024ul
#define WARM 128ul		/* and twice all words */
#define SEEDS 8u		/* two CPUs fall into one of several rhythms, and stay there for long */
#define APART_WORDS 64		/* words between the two: other lines, other pages of counts */

struct micro {
	struct world w;
	struct {
		struct pamt_cache cache __aligned(SMP_CACHE_BYTES);
	} own[2];
	unsigned long first[2], words;
	u64 seed, ps[2];
};

static void body(void *arg, unsigned int cpu)
{
	struct micro *x = arg;
	const struct pamt_ops *ops = x->w.pamt.ops;
	unsigned long i, warm = 2 * x->words + WARM;
	u64 start = 0;

	/* Without the clock at first: the lines come from memory. */
	for (i = 0; i < warm + ROUNDS; i++) {
		if (i == warm)
			start = sim_now();
		unsigned long word = x->first[cpu] + i % x->words;

		ops->get(&x->w.pamt, word, &x->own[cpu].cache);
		ops->put(&x->w.pamt, word);
	}
	x->ps[cpu] = (sim_now() - start) / ROUNDS;
}

static int run(struct micro *x, const struct machine *m, char *base, unsigned int cpus)
{
	/* Two cores of a socket: what two threads get where there are two CPUs. */
	static const struct sim_place place[2] = { { 0, 0 }, { 0, 1 } };
	struct sim_setup s = {
		.machine = m, .nr_cpus = cpus, .place = place, .base = base,
		.size = sim_memory_size(), .extra = (const char *)shim_mcs,
		.extra_size = sizeof(shim_mcs), .body = body, .arg = x, .switched = shim_set_cpu,
		.seed = x->seed,
	};
	struct sim_figures f;

	return sim_fibers(&s, &f);
}

/* The mean of two CPUs over the seeds. */
static int run_two(struct micro *x, const struct machine *m, char *base, u64 *ps)
{
	u64 sum = 0;
	int ret = 0;

	for (x->seed = 0; x->seed < SEEDS && !ret; x->seed++) {
		ret = run(x, m, base, 2);
		sum += x->ps[0] + x->ps[1];
	}
	*ps = sum / (2 * SEEDS);
	return ret;
}

static int loops(struct micro *x, const struct machine *m, char *base, struct sim_micro *out)
{
	unsigned long i;
	unsigned int cpu;
	int ret = 0;

	for (cpu = 0; cpu < 2 && !ret; cpu++)
		ret = world_topup(&x->w, &x->own[cpu].cache, 8);
	for (i = 0; i < COST_WORDS && !ret; i++)
		ret = x->w.pamt.ops->get(&x->w.pamt, i, NULL);
	x->words = COST_WORDS;
	if (!ret)
		ret = run(x, m, base, 1);
	out->alone_many = x->ps[0];
	x->words = 1;
	if (!ret)
		ret = run(x, m, base, 1);
	out->alone = x->ps[0];
	if (!ret)
		ret = run_two(x, m, base, &out->same);
	x->first[1] = APART_WORDS;
	if (!ret)
		ret = run_two(x, m, base, &out->apart);
	for (i = 0; i < COST_WORDS && !ret; i++)
		x->w.pamt.ops->put(&x->w.pamt, i);
	for (cpu = 0; cpu < 2; cpu++)
		world_cache_drain(&x->w, &x->own[cpu].cache);
	return ret;
}

int sim_micro(const struct machine *m, const char *strategy, struct sim_micro *out, char *err,
	      size_t err_size)
{
	char *base = sim_memory_open(COST_ARENA);
	struct world_config wc = {
		.host_bytes = COST_ARENA, .placement = PHYS_BUDDY,
		.ops = pamt_find_ops(strategy), .mem = base,
	};
	struct micro *x = base ? shim_zalloc(sizeof(*x)) : NULL;
	int ret = -ENOMEM;

	shim_set_nr_cpus(2);
	shim_set_cpu(0);
	shim_clear_warnings();
	snprintf(err, err_size, "out of memory");
	if (x)
		ret = world_init(&x->w, &wc, err, err_size);
	if (!ret) {
		ret = loops(x, m, base, out);
		if (ret)
			snprintf(err, err_size, "%s: the loops failed: %s", strategy,
				 strerror(-ret));
		else
			ret = world_audit(&x->w, err, err_size);
		world_exit(&x->w);
	}
	if (base)
		sim_memory_close();
	return ret;
}
