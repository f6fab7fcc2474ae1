/* SPDX-License-Identifier: GPL-2.0-only */
/* Cells on a simulated machine, for tests. */
#ifndef SIM_BED_H
#define SIM_BED_H

#include <stdlib.h>

#include "exec/sim.h"
#include "tests/td_fixtures.h"

static const char *const machines[] = { "bench/machines", NULL };
static const char *const workloads[] = { "workloads", NULL };

static inline struct machine *machine(const char *name)
{
	struct td_error err;
	struct machine *m = NULL;

	if (machine_load(name, machines, &m, &err)) {
		printf("%s\n", err.text);
		exit(1);
	}
	return m;
}

struct result {
	char *text;		/* the line of samples.jsonl */
	double elapsed, fault;
	struct sim_figures f;
	enum cell_status status;
};

static inline struct result run(const char *mach, const char *workload, const char *strategy, u64 den,
			 bool block, const char *const *sets, size_t nr_sets)
{
	struct machine *m = machine(mach);
	struct sim_options o = { .block = block };
	struct model_config c = { .machine = m, .ops = pamt_find_ops(strategy), .seed = 7 };
	struct cell *cell = cell_new();
	struct result r = { 0 };
	struct workload *w = NULL;
	struct td_error err = { "" };
	json_t *j;

	if (workload_load(workload, workloads, &w, &err) || workload_set_all(w, sets, nr_sets, &err) ||
	    workload_scale(w, 1, den, &err)) {
		printf("%s\n", err.text);
		exit(1);
	}
	c.workload = w;
	sim_flavour.run(&c, &o, cell, &r.f);
	j = cell_json(cell, w, strategy, 0, c.seed);
	r.text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	r.status = cell->status;
	r.elapsed = cell->elapsed_ns;
	r.fault = cell->mean[0].count ? (double)cell->mean[0].sum_ns / cell->mean[0].count : 0;
	if (cell->status == CELL_VIOLATION || cell->status == CELL_FAILED)
		printf("%s %s %s: %s\n", mach, workload, strategy, cell->reason);
	json_decref(j);
	cell_free(cell);
	workload_free(w);
	machine_free(m);
	return r;
}

#endif
