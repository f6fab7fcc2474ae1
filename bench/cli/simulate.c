// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate: what is asked for decides which study runs; without one it is
 * `run --on sim`.
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "exec/strategy.h"

#include <errno.h>
#include <math.h>
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

/* --------------------------------------------------------------- options */

static const enum option_id asks_for[NR_STUDIES] = {
	[STUDY_SWEEP] = OPT_SWEEP,
	[STUDY_SENSITIVITY] = OPT_SENSITIVITY,
	[STUDY_VALIDATE] = OPT_VALIDATE,
	[STUDY_MEASURED] = OPT_MEASURED,
};

#define CELLS (1u << STUDY_CELLS)
#define SWEEP (1u << STUDY_SWEEP)
#define SENSITIVITY (1u << STUDY_SENSITIVITY)
#define VALIDATE (1u << STUDY_VALIDATE)
#define MEASURED (1u << STUDY_MEASURED)

/* Who takes which option, and why the others do not. What is not here all of them take. */
static const struct {
	enum option_id id;
	unsigned int by;
	const char *why;
} taken[] = {
	{ OPT_STRATEGY, CELLS | SWEEP | MEASURED, "it is about global-fast" },
	{ OPT_WORKLOAD, CELLS | SWEEP | SENSITIVITY, "what it runs is given" },
	{ OPT_SET, CELLS | SWEEP | SENSITIVITY, "what it runs is given" },
	{ OPT_MACHINE, CELLS | SWEEP | SENSITIVITY | VALIDATE, "it is about machine `this`" },
	{ OPT_SCALE, CELLS | SENSITIVITY, "how much memory it runs with is given" },
	{ OPT_RUNS, CELLS, "one seed gives one result, so each cell runs once" },
	{ OPT_SEED, CELLS | SWEEP | SENSITIVITY | VALIDATE, "nothing of it is random" },
	{ OPT_BLOCK, CELLS, "block mode loses waits, which studies are about" },
	{ OPT_OUT, CELLS | SWEEP, "it writes no files" },
	{ OPT_RESUME, CELLS | SWEEP, "it writes nothing that it could go on with" },
	{ OPT_FORMAT, CELLS | SWEEP | SENSITIVITY, "it prints text" },
	{ OPT_LIMIT, SWEEP | SENSITIVITY | VALIDATE | MEASURED, "runs are limited by --runs and --scale" },
};

static int check_options(const struct study *s)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		const char *study = s->id == STUDY_CELLS ? "without a study" :
							   options_table[asks_for[s->id]].name;

		if (s->o->v[taken[i].id].given && !(taken[i].by & 1u << s->id))
			return complain(DPAMT_USAGE, "--%s: not %s%s: %s",
					options_table[taken[i].id].name,
					s->id == STUDY_CELLS ? "" : "with --", study, taken[i].why);
	}
	return DPAMT_FINE;
}

/* ----------------------------------------------------------------- running */

double study_seconds(double sum, double longest)
{
	return fmax(sum / pool_cpus(), longest);
}

int study_begin(const struct study *s, const char *plan, size_t nr, double seconds, bool *run)
{
	const struct options *o = s->o;

	*run = false;
	if (seconds > (double)o->v[OPT_LIMIT].number)
		return complain(DPAMT_USAGE,
				"--%s: %zu cells take about %.0f s on %u CPUs, more than --limit %s; make it "
				"smaller, or the limit larger",
				options_table[asks_for[s->id]].name, nr, ceil(seconds), pool_cpus(),
				o->v[OPT_LIMIT].text);
	*run = !o->v[OPT_DRY_RUN].set;
	if (!*run)
		printf("%s, about %.0f s on %u CPUs\n", plan, ceil(seconds), pool_cpus());
	return DPAMT_FINE;
}

struct cells {
	const struct sweep_cell *cell;
	struct sweep_figures *figures;
	double accesses, shared;
};

static json_t *job(void *ctx, size_t i)
{
	return sweep_run_cell(&((struct cells *)ctx)->cell[i]);
}

static int done(void *ctx, size_t i, const json_t *answer)
{
	struct cells *c = ctx;

	sweep_read(answer, &c->figures[i]);
	c->accesses += c->figures[i].accesses;
	c->shared += c->figures[i].shared;
	return 0;
}

int run_cells(const struct study *s, const struct sweep_cell *cell, struct sweep_figures *f,
	      size_t nr, const char *what, bool *run)
{
	struct cells c = { .cell = cell, .figures = f };
	struct pool_use use = { 0 };
	struct pool p = {
		.nr = nr, .job = job, .done = done, .ctx = &c, .use = &use,
		.what = s->o->v[OPT_QUIET].set ? NULL : what,
	};
	double sum = 0, longest = 0;
	char plan[80];
	int ret;

	for (size_t i = 0; i < nr; i++) {
		double one = sweep_seconds(cell[i].workload, cell[i].machine);

		sum += one;
		longest = fmax(longest, one);
	}
	snprintf(plan, sizeof(plan), "%zu %s", nr, what);
	ret = study_begin(s, plan, nr, study_seconds(sum, longest), run);
	if (ret || !*run)
		return ret;
	ret = pool_run(&p);
	if (ret == -EINTR)
		return complain(DPAMT_INCONCLUSIVE, "interrupted");
	if (ret)
		return complain(DPAMT_ENVIRONMENT, "a process cannot be started: %s", strerror(-ret));
	tell_effort(s, c.accesses, c.shared, &use);
	return DPAMT_FINE;
}

void tell_effort(const struct study *s, double accesses, double shared,
		 const struct pool_use *use)
{
	struct sweep_effort e = { accesses, shared, use->cpu_s, use->peak_kib };
	char text[SWEEP_EFFORT_TEXT];

	if (!s->o->v[OPT_QUIET].set)
		complain(0, "%s", sweep_effort_text(&e, text));
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
		return complain(DPAMT_USAGE, "%s", err.text);
	return DPAMT_FINE;
}

#define MEASURED_SECONDS 8.0	/* a strategy, about: most of it is measuring */

/* Each strategy on this machine, and simulated. */
static int measured(struct study *s)
{
	const struct option_value *v = &s->o->v[OPT_STRATEGY];
	char plan[80];
	size_t nr = 0;
	bool run;
	int ret;

	for (size_t i = 0; i < v->nr; i++)
		nr += !strategy_is_control(v->list[i]);
	if (!nr)
		return complain(DPAMT_SKIPPED, "--measured: controls touch nothing that could be compared, "
				"and no other strategy is given");
	snprintf(plan, sizeof(plan), "%zu strategies measured and simulated", nr);
	ret = study_begin(s, plan, nr, MEASURED_SECONDS * (double)nr, &run);
	return ret || !run ? ret : simulate_measured(s->o);
}

int verb_simulate(const struct options *o)
{
	struct study s = { .o = o };
	unsigned int asked = 0;
	int ret;

	for (int i = STUDY_SWEEP; i < NR_STUDIES; i++)
		if (o->v[asks_for[i]].set) {
			s.id = (enum study_id)i;
			asked++;
		}
	if (asked > 1)
		return complain(DPAMT_USAGE, "--sweep, --sensitivity, --validate, --measured: one at a time");
	ret = check_options(&s);
	if (!ret)
		ret = refuse_explore_only(o);
	if (ret)
		return ret;
	if (s.id == STUDY_CELLS)
		return verb_run(o);
	if (s.id == STUDY_MEASURED)
		return measured(&s);
	ret = load(&s);
	if (!ret)
		ret = s.id == STUDY_SWEEP	? simulate_sweep(&s) :
		      s.id == STUDY_SENSITIVITY ? simulate_sensitivity(&s) :
						  simulate_validate(&s);
	workload_free(s.workload);
	machine_free(s.machine);
	return ret;
}
