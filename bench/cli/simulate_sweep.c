// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate --sweep: every strategy at every point of a grid, on all CPUs, into a
 * folder from which --resume goes on; then the decision map.
 *
 *   sweep.json	what is swept, by which program, which must be the same where it is resumed,
 *		and of which commit
 *   cells.jsonl	one line a cell, as it lands; of a cell that was tried again the last one counts
 *   map.txt, map.svg	at the end
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "measure/environment.h"
#include "report/map.h"
#include "report/result.h"
#include "td/units.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct sweep {
	struct study *s;
	struct sweep_grid grid;
	char dir[PATH_MAX];
	size_t nr;			/* cells */
	struct sweep_figures *figures;
	bool *have;
	int error;			/* of writing: -errno */
	double accesses, shared;	/* of the cells that ran now */
};

static size_t nr_strategies(const struct sweep *w)
{
	return w->s->o->v[OPT_STRATEGY].nr;
}

static uint64_t vcpus_of(const struct sweep *w, size_t i)
{
	return w->grid.vcpus.value[i / nr_strategies(w) % w->grid.vcpus.nr];
}

static uint64_t lone_of(const struct sweep *w, size_t i)
{
	return w->grid.lone.value[i / nr_strategies(w) / w->grid.vcpus.nr];
}

static const char *strategy_of(const struct sweep *w, size_t i)
{
	return w->s->o->v[OPT_STRATEGY].list[i % nr_strategies(w)];
}

/* --------------------------------------------------------------- the cells */

static json_t *failed(const struct sweep *w, size_t i, const char *reason)
{
	return json_pack("{s:s,s:s,s:s}", "strategy", strategy_of(w, i), "status", "failed", "reason",
			 reason);
}

static json_t *sweep_job(void *ctx, size_t i)
{
	struct sweep *w = ctx;
	char err[TD_ERROR_MAX];
	struct workload *own = sweep_workload(w->s->workload, vcpus_of(w, i), lone_of(w, i), err,
					      sizeof(err));
	struct sweep_cell c = {
		.workload = own, .machine = w->s->machine, .strategy = strategy_of(w, i),
		.seed = w->s->o->v[OPT_SEED].number,
	};
	json_t *j = own ? sweep_run_cell(&c) : failed(w, i, err);

	workload_free(own);
	return j;
}

static int sweep_done(void *ctx, size_t i, const json_t *answer)
{
	struct sweep *w = ctx;
	json_t *j;

	/* Made to end: it is not there, and nothing is wrong with it. */
	if (!answer && (pool_stopped() || w->error))
		return w->error;
	j = answer ? json_copy((json_t *)answer) :
		     failed(w, i, "its process ended without an answer; out of memory?");

	json_object_set_new(j, "vcpus", json_integer((json_int_t)vcpus_of(w, i)));
	json_object_set_new(j, "lone_pct", json_integer((json_int_t)lone_of(w, i)));
	json_object_set_new(j, "cell", json_integer((json_int_t)i));
	sweep_read(j, &w->figures[i]);
	w->accesses += w->figures[i].accesses;
	w->shared += w->figures[i].shared;
	w->error = j ? result_append_to(w->dir, "cells.jsonl", j) : -ENOMEM;
	json_decref(j);
	return w->error;
}

static bool sweep_skip(void *ctx, size_t i)
{
	return ((struct sweep *)ctx)->have[i];
}

/* ------------------------------------------------------------- the folder */

static json_t *axis_json(const struct sweep_axis *a)
{
	json_t *j = json_array();

	for (unsigned int i = 0; i < a->nr; i++)
		json_array_append_new(j, json_integer((json_int_t)a->value[i]));
	return j;
}

/* Which program: cells of two simulators make no map. Null if it cannot be told. */
static json_t *build_json(void)
{
	uint64_t program = environment_program();
	char name[24];

	snprintf(name, sizeof(name), "%016llx", (unsigned long long)program);
	return program ? json_string(name) : json_null();
}

/* What makes a sweep this sweep. */
static json_t *plan_json(const struct sweep *w)
{
	const struct options *o = w->s->o;
	json_t *names = json_array();
	char machine[24], workload[24];
	json_t *plan;

	for (size_t i = 0; i < nr_strategies(w); i++)
		json_array_append_new(names, json_string(o->v[OPT_STRATEGY].list[i]));
	snprintf(machine, sizeof(machine), "%016llx", (unsigned long long)w->s->machine->hash);
	snprintf(workload, sizeof(workload), "%016llx",
		 (unsigned long long)workload_hash(w->s->workload));
	plan = json_pack("{s:o,s:o,s:o,s:s,s:s,s:s,s:s,s:I,s:o,s:o}", "vcpus", axis_json(&w->grid.vcpus),
			 "lone_pct", axis_json(&w->grid.lone), "strategies", names, "machine",
			 w->s->machine->name, "machine_hash", machine, "workload",
			 w->s->workload->name, "workload_hash", workload, "seed",
			 (json_int_t)o->v[OPT_SEED].number, "build", build_json(), "git",
			 environment_git(NULL));
	return plan;
}

static int make_folder(struct sweep *w)
{
	const char *out = w->s->o->v[OPT_OUT].text;
	time_t now = time(NULL);
	char stamp[32], path[PATH_MAX + 16];
	json_t *plan = plan_json(w);
	int ret;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&now));
	snprintf(w->dir, sizeof(w->dir), "%s/%s-sweep-%04x", out, stamp,
		 (unsigned int)getpid() & 0xffff);
	mkdir(out, 0777);
	ret = mkdir(w->dir, 0777);
	snprintf(path, sizeof(path), "%s/sweep.json", w->dir);
	if (!ret)
		ret = json_dump_file(plan, path, JSON_INDENT(2));
	json_decref(plan);
	return ret ? complain(DPAMT_USAGE, "--out: folder %s cannot be written: %s", w->dir,
			      strerror(errno)) :
		     DPAMT_FINE;
}

static void take_line(struct sweep *w, const char *line)
{
	json_t *j = json_loads(line, 0, NULL), *cell = json_object_get(j, "cell");
	json_int_t i = json_is_integer(cell) ? json_integer_value(cell) : -1;

	/* A line that was cut off is a cell that is not there. One that failed is tried again. */
	if (j && i >= 0 && (size_t)i < w->nr) {
		sweep_read(j, &w->figures[i]);
		w->have[i] = w->figures[i].ok || !strcmp(w->figures[i].status, "skipped");
	}
	json_decref(j);
}

/* Is what lies in the folder this sweep, by this build? */
static int compare_plan(const struct sweep *w)
{
	static const char *const told[] = { "build", "git" };	/* not what is swept */
	char path[PATH_MAX + 16];
	bool same, same_build;
	json_t *plan, *old, *build;

	snprintf(path, sizeof(path), "%s/sweep.json", w->dir);
	old = json_load_file(path, 0, NULL);
	if (!json_is_object(old)) {
		json_decref(old);
		return complain(DPAMT_USAGE, "--resume: %s cannot be read: no sweep to go on with", path);
	}
	plan = plan_json(w);
	build = json_object_get(plan, "build");
	same_build = json_is_string(build) && json_equal(build, json_object_get(old, "build"));
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		json_object_del(plan, told[i]);
		json_object_del(old, told[i]);
	}
	same = json_equal(plan, old);
	json_decref(plan);
	json_decref(old);
	if (!same)
		return complain(DPAMT_USAGE, "--resume: %s is another sweep; give the options of its "
				"sweep.json", w->dir);
	if (!same_build)
		return complain(DPAMT_USAGE, "--resume: %s was begun by another build of dpamt, whose "
				"cells do not go with this one's; begin anew, or go back to that program: "
				"its commit is in sweep.json", w->dir);
	return DPAMT_FINE;
}

static int reopen(struct sweep *w)
{
	const struct option_value *v = w->s->o->v;
	char *dir = sweep_folder(v[OPT_RESUME].text, v[OPT_OUT].text), path[PATH_MAX + 16];
	char *line = NULL;
	size_t size = 0;
	FILE *f;
	int ret;

	if (!dir)
		return DPAMT_USAGE;
	snprintf(w->dir, sizeof(w->dir), "%s", dir);
	free(dir);
	ret = compare_plan(w);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/cells.jsonl", w->dir);
	f = fopen(path, "r");
	while (f && getline(&line, &size, f) > 0)
		take_line(w, line);
	free(line);
	if (f)
		fclose(f);
	return DPAMT_FINE;
}

/* ------------------------------------------------------------------- map */

static int write_map(const struct sweep *w, const struct map *m)
{
	char path[PATH_MAX + 16];
	FILE *f;
	int ret;

	snprintf(path, sizeof(path), "%s/map.txt", w->dir);
	f = fopen(path, "w");
	if (f)
		map_print(f, m, "text");
	if (!f || fclose(f))
		return complain(DPAMT_ENVIRONMENT, "%s: %s", path, strerror(errno));
	/* The map is there without its picture. */
	ret = map_svg(m, w->dir);
	if (ret == -ENOENT)
		complain(0, "no gnuplot: the map is not drawn as SVG");
	else if (ret)
		complain(0, "%s/map.svg is not drawn: gnuplot failed, or the file cannot be written", w->dir);
	return DPAMT_FINE;
}

static int show_map(const struct sweep *w)
{
	const struct options *o = w->s->o;
	struct map_value *value = must_calloc(w->nr, sizeof(*value));
	bool *control = must_calloc(nr_strategies(w), sizeof(*control));
	struct map m = {
		.workload = w->s->workload->name, .machine = w->s->machine->name,
		.strategy = o->v[OPT_STRATEGY].list, .control = control,
		.nr_strategies = nr_strategies(w), .vcpus = w->grid.vcpus.value,
		.lone = w->grid.lone.value, .nr_vcpus = w->grid.vcpus.nr,
		.nr_lone = w->grid.lone.nr, .value = value, .baseline = "global-fast",
	};
	int ret;

	for (size_t i = 0; i < nr_strategies(w); i++)
		control[i] = strategy_is_control(m.strategy[i]);
	for (unsigned int g = 1; g < w->s->workload->nr_tds; g++)
		m.others += w->s->workload->tds[g].count * w->s->workload->tds[g].vcpus;
	for (size_t i = 0; i < w->nr; i++) {
		const struct sweep_figures *f = &w->figures[i];

		value[i] = (struct map_value){
			.ok = f->ok && isfinite(f->wait_pct) && isfinite(f->pamt_ns_per_page),
			.wait_pct = f->wait_pct, .pamt_ns = f->pamt_ns_per_page, .cpus = f->cpus,
		};
	}
	ret = write_map(w, &m);
	if (!strcmp(o->v[OPT_FORMAT].text, "json"))
		ret = print_json(map_json(&m)) ? DPAMT_ENVIRONMENT : ret;
	else
		map_print(stdout, &m, o->v[OPT_FORMAT].text);
	if (!o->v[OPT_QUIET].set)
		complain(0, "the map and its cells are in %s", w->dir);
	free(value);
	free(control);
	return ret;
}

/* ------------------------------------------------------------------- verb */

/* Seconds that the cells which are not there take; an error where the workload has no such cell. */
static int estimate(const struct sweep *w, size_t *left, double *seconds)
{
	double sum = 0, longest = 0, one = 0;
	struct workload *own;
	char err[TD_ERROR_MAX];

	*left = 0;
	for (size_t i = 0; i < w->nr; i++) {
		/* All strategies of a point run the same. */
		if (i % nr_strategies(w) == 0) {
			own = sweep_workload(w->s->workload, vcpus_of(w, i), lone_of(w, i), err,
					     sizeof(err));
			if (!own)
				return complain(DPAMT_USAGE, "--sweep: %s with %llu vCPUs: %s",
						w->s->workload->name,
						(unsigned long long)vcpus_of(w, i), err);
			one = sweep_seconds(own, w->s->machine);
			workload_free(own);
		}
		*left += !w->have[i];
		sum += w->have[i] ? 0 : one;
		longest = w->have[i] ? longest : fmax(longest, one);
	}
	*seconds = study_seconds(sum, longest);
	return DPAMT_FINE;
}

static int judge(const struct sweep *w)
{
	size_t bad = 0, first = 0;

	for (size_t i = w->nr; i-- > 0;)
		if (!w->figures[i].ok && strcmp(w->figures[i].status, "skipped")) {
			bad++;
			first = i;
		}
	if (!bad)
		return DPAMT_FINE;
	return complain(strcmp(w->figures[first].status, "violation") ? DPAMT_ENVIRONMENT :
									DPAMT_REGRESSED,
			"%zu cells failed; the first: %s at %llu vCPUs, %llu%% lone: %s; reasons are in "
			"%s/cells.jsonl",
			bad, strategy_of(w, first), (unsigned long long)vcpus_of(w, first),
			(unsigned long long)lone_of(w, first), w->figures[first].status, w->dir);
}

static int execute(struct sweep *w)
{
	struct pool_use use = { 0 };
	struct pool p = {
		.nr = w->nr, .job = sweep_job, .done = sweep_done, .skip = sweep_skip, .ctx = w,
		.what = w->s->o->v[OPT_QUIET].set ? NULL : "cells of the sweep", .use = &use,
	};
	int ret = pool_run(&p), broken;

	if (w->error)
		return complain(DPAMT_ENVIRONMENT, "%s/cells.jsonl: %s; what was written before is kept: "
				"make room and go on with the same options and --resume %s",
				w->dir, strerror(-w->error), w->dir);
	if (ret == -EINTR)
		return complain(DPAMT_INCONCLUSIVE, "interrupted; go on with the same options and "
				"--resume %s", w->dir);
	if (ret)
		return complain(DPAMT_ENVIRONMENT, "a process cannot be started: %s", strerror(-ret));
	if (w->accesses)
		tell_effort(w->s, w->accesses, w->shared, &use);
	ret = show_map(w);
	broken = judge(w);
	return broken ? broken : ret;
}

/* A point would set these over: what --set says would be lost. */
static int check_sets(const struct study *s)
{
	const struct option_value *v = &s->o->v[OPT_SET];

	for (size_t i = 0; i < v->nr; i++) {
		const char *axis = sweep_axis_of(s->workload, v->list[i]);

		if (axis)
			return complain(DPAMT_USAGE,
					"--set %.*s: not with --sweep, whose axis \"%s\" decides it",
					(int)strcspn(v->list[i], "="), v->list[i], axis);
	}
	return DPAMT_FINE;
}

int simulate_sweep(struct study *s)
{
	const struct options *o = s->o;
	struct sweep w = { .s = s };
	char err[512], plan[120];
	double seconds = 0;
	bool run = false;
	size_t left = 0;
	int ret;

	if (sweep_parse(o->v[OPT_SWEEP].text, &w.grid, err, sizeof(err)))
		return complain(DPAMT_USAGE, "--sweep: %s", err);
	ret = check_sets(s);
	if (ret)
		return ret;
	w.nr = (size_t)w.grid.vcpus.nr * w.grid.lone.nr * nr_strategies(&w);
	w.figures = must_calloc(w.nr, sizeof(*w.figures));
	w.have = must_calloc(w.nr, sizeof(*w.have));
	ret = o->v[OPT_RESUME].set ? reopen(&w) : DPAMT_FINE;
	if (w.grid.rounded && !o->v[OPT_QUIET].set)
		complain(0, "--sweep: vCPUs are rounded down to whole TDs");
	if (!ret)
		ret = estimate(&w, &left, &seconds);
	snprintf(plan, sizeof(plan), "%u x %u points x %zu strategies = %zu cells, %zu of them to run",
		 w.grid.vcpus.nr, w.grid.lone.nr, nr_strategies(&w), w.nr, left);
	if (!ret)
		ret = study_begin(s, plan, left, seconds, &run);
	if (run && !o->v[OPT_RESUME].set)
		ret = make_folder(&w);
	if (run && !ret)
		ret = execute(&w);
	free(w.figures);
	free(w.have);
	return ret;
}
