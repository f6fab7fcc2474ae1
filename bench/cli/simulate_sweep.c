// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt simulate --sweep: every strategy at every point of a grid, on all CPUs, into a
 * folder from which --resume goes on; then the decision map.
 *
 *   sweep.json	what is swept: a resumed sweep must be the same
 *   cells.jsonl	one line a cell, as it lands
 *   map.txt, map.svg	at the end
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "report/map.h"
#include "report/result.h"
#include "td/units.h"

#include <errno.h>
#include <limits.h>
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
	int error;			/* of writing */
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
	json_t *j = own ? sweep_run_cell(&c) : json_pack("{s:s,s:s}", "status", "failed", "reason", err);

	json_object_set_new(j, "vcpus", json_integer((json_int_t)vcpus_of(w, i)));
	json_object_set_new(j, "lone_pct", json_integer((json_int_t)lone_of(w, i)));
	json_object_set_new(j, "cell", json_integer((json_int_t)i));
	workload_free(own);
	return j;
}

static void sweep_done(void *ctx, size_t i, const json_t *answer)
{
	struct sweep *w = ctx;

	sweep_read(answer, &w->figures[i]);
	w->have[i] = answer;
	if (answer && !w->error)
		w->error = result_append_to(w->dir, "cells.jsonl", answer);
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

/* What makes a sweep this sweep. */
static json_t *plan_json(const struct sweep *w)
{
	const struct options *o = w->s->o;
	json_t *names = json_array();
	char machine[24], workload[24];

	for (size_t i = 0; i < nr_strategies(w); i++)
		json_array_append_new(names, json_string(o->v[OPT_STRATEGY].list[i]));
	snprintf(machine, sizeof(machine), "%016llx", (unsigned long long)w->s->machine->hash);
	snprintf(workload, sizeof(workload), "%016llx",
		 (unsigned long long)workload_hash(w->s->workload));
	return json_pack("{s:o,s:o,s:o,s:s,s:s,s:s,s:s,s:I}", "vcpus", axis_json(&w->grid.vcpus),
			 "lone_pct", axis_json(&w->grid.lone), "strategies", names, "machine",
			 w->s->machine->name, "machine_hash", machine, "workload",
			 w->s->workload->name, "workload_hash", workload, "seed",
			 (json_int_t)o->v[OPT_SEED].number);
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
	json_t *j = json_loads(line, 0, NULL);
	json_int_t i = json_integer_value(json_object_get(j, "cell"));

	/* A line that was cut off is a cell that is not there. */
	if (j && i >= 0 && (size_t)i < w->nr) {
		sweep_read(j, &w->figures[i]);
		w->have[i] = true;
	}
	json_decref(j);
}

static int reopen(struct sweep *w)
{
	const char *name = w->s->o->v[OPT_RESUME].text;
	char path[PATH_MAX + 16], *line = NULL;
	size_t size = 0;
	json_t *plan, *old;
	FILE *f;
	bool same;

	if (strchr(name, '/') || !access(name, F_OK))
		snprintf(w->dir, sizeof(w->dir), "%s", name);
	else
		snprintf(w->dir, sizeof(w->dir), "%s/%s", w->s->o->v[OPT_OUT].text, name);
	snprintf(path, sizeof(path), "%s/sweep.json", w->dir);
	old = json_load_file(path, 0, NULL);
	if (!old)
		return complain(DPAMT_USAGE, "--resume: %s has no sweep.json: no sweep to go on with",
				w->dir);
	plan = plan_json(w);
	same = json_equal(plan, old);
	json_decref(plan);
	json_decref(old);
	if (!same)
		return complain(DPAMT_USAGE, "--resume: %s is another sweep; give the options of its "
				"sweep.json", w->dir);
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
	ret = map_svg(m, w->dir);
	if (ret == -ENOENT)
		complain(0, "no gnuplot: the map is not drawn as SVG");
	else if (ret)
		return complain(DPAMT_ENVIRONMENT, "%s/map.svg: %s", w->dir, strerror(-ret));
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
	for (size_t i = 0; i < w->nr; i++)
		value[i] = (struct map_value){ w->figures[i].ok, w->figures[i].wait_pct,
					       w->figures[i].pamt_ns_per_page };
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

static double estimate(const struct sweep *w)
{
	double s = 0;

	for (size_t i = 0; i < w->nr; i++)
		if (!w->have[i])
			s += sweep_seconds(vcpus_of(w, i), lone_of(w, i));
	return s / pool_cpus();
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
	struct pool p = {
		.nr = w->nr, .job = sweep_job, .done = sweep_done, .skip = sweep_skip, .ctx = w,
		.what = w->s->o->v[OPT_QUIET].set ? NULL : "cells of the sweep",
	};
	int ret = pool_run(&p);

	if (w->error)
		return complain(DPAMT_ENVIRONMENT, "%s: %s; what was written before is kept", w->dir,
				strerror(-w->error));
	if (ret == -EINTR)
		return complain(DPAMT_INCONCLUSIVE, "interrupted; go on with the same options and "
				"--resume %s", w->dir);
	if (ret)
		return complain(DPAMT_ENVIRONMENT, "a process cannot be started: %s", strerror(-ret));
	ret = judge(w);
	return ret ? ret : show_map(w);
}

int simulate_sweep(struct study *s)
{
	const struct options *o = s->o;
	struct sweep w = { .s = s };
	char err[512];
	double seconds;
	int ret;

	if (sweep_parse(o->v[OPT_SWEEP].text, &w.grid, err, sizeof(err)))
		return complain(DPAMT_USAGE, "--sweep: %s", err);
	w.nr = (size_t)w.grid.vcpus.nr * w.grid.lone.nr * nr_strategies(&w);
	w.figures = must_calloc(w.nr, sizeof(*w.figures));
	w.have = must_calloc(w.nr, sizeof(*w.have));
	ret = o->v[OPT_RESUME].set ? reopen(&w) : DPAMT_FINE;
	seconds = estimate(&w);
	if (!ret && seconds > (double)o->v[OPT_LIMIT].number)
		ret = complain(DPAMT_USAGE,
			       "--sweep: %zu cells take about %.0f s on %u CPUs, more than --limit %s; make it "
			       "smaller, or the limit larger",
			       w.nr, seconds, pool_cpus(), o->v[OPT_LIMIT].text);
	if (!ret && o->v[OPT_DRY_RUN].set)
		printf("%u x %u points x %zu strategies = %zu cells, about %.0f s on %u CPUs\n",
		       w.grid.vcpus.nr, w.grid.lone.nr, nr_strategies(&w), w.nr, seconds, pool_cpus());
	else if (!ret) {
		if (!o->v[OPT_RESUME].set)
			ret = make_folder(&w);
		if (!ret)
			ret = execute(&w);
	}
	free(w.figures);
	free(w.have);
	return ret;
}
