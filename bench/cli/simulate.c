// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate: what is asked for decides which study runs; without one it is
 * `run --on sim`.
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "exec/strategy.h"

#include <errno.h>
#include <string.h>

bool strategy_is_control(const char *name)
{
	size_t nr;
	const struct strategy_info *list = strategy_list(&nr);

	for (size_t i = 0; i < nr; i++)
		if (!strcmp(list[i].name, name))
			return list[i].control;
	return false;
}

struct cells {
	const struct sweep_cell *cell;
	struct sweep_figures *figures;
};

static json_t *job(void *ctx, size_t i)
{
	return sweep_run_cell(&((struct cells *)ctx)->cell[i]);
}

static void done(void *ctx, size_t i, const json_t *answer)
{
	sweep_read(answer, &((struct cells *)ctx)->figures[i]);
}

int run_cells(const struct study *s, const struct sweep_cell *cell, struct sweep_figures *f,
	      size_t nr, const char *what)
{
	struct cells c = { cell, f };
	struct pool p = {
		.nr = nr, .job = job, .done = done, .ctx = &c,
		.what = s->o->v[OPT_QUIET].set ? NULL : what,
	};
	int ret = pool_run(&p);

	if (ret == -EINTR)
		return complain(DPAMT_INCONCLUSIVE, "interrupted");
	return ret ? complain(DPAMT_ENVIRONMENT, "a process cannot be started: %s", strerror(-ret)) :
		     DPAMT_FINE;
}

static int load(struct study *s)
{
	const struct options *o = s->o;
	struct td_error err;

	if (machine_load(o->v[OPT_MACHINE].text, machine_dirs(), &s->machine, &err))
		return complain(DPAMT_USAGE, "--machine: %s", err.text);
	if (!s->machine->has_shape)
		return complain(DPAMT_USAGE,
				"--machine: %s has no [topology] and [line] sections, which a simulated "
				"machine needs",
				s->machine->file);
	if (o->v[OPT_WORKLOAD].nr != 1)
		return complain(DPAMT_USAGE, "--workload: a study takes one workload, not %zu",
				o->v[OPT_WORKLOAD].nr);
	if (workload_load(o->v[OPT_WORKLOAD].list[0], workload_dirs(), &s->workload, &err))
		return complain(DPAMT_USAGE, "--workload: %s", err.text);
	if (workload_set_all(s->workload, o->v[OPT_SET].list, o->v[OPT_SET].nr, &err))
		return complain(DPAMT_USAGE, "--set: %s", err.text);
	return DPAMT_FINE;
}

int verb_simulate(const struct options *o)
{
	struct study s = { .o = o };
	bool sweep = o->v[OPT_SWEEP].set, tornado = o->v[OPT_SENSITIVITY].set;
	bool validate = o->v[OPT_VALIDATE].set, measured = o->v[OPT_MEASURED].set;
	int ret;

	if (sweep + tornado + validate + measured > 1)
		return complain(DPAMT_USAGE, "--sweep, --sensitivity, --validate, --measured: one at a time");
	if (o->v[OPT_BLOCK].set && sweep + tornado + validate)
		return complain(DPAMT_USAGE, "--block: loses waits, which --sweep, --sensitivity and "
					     "--validate are about; leave it out");
	if (measured)
		return simulate_measured(o);
	if (sweep + tornado + validate == 0)
		return verb_run(o);
	ret = load(&s);
	if (!ret)
		ret = sweep ? simulate_sweep(&s) : tornado ? simulate_sensitivity(&s) :
							     simulate_validate(&s);
	workload_free(s.workload);
	machine_free(s.machine);
	return ret;
}
