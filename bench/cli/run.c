// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt run: checks what only this machine can tell (the CPUs, the files
 * behind the names), hands the plan to the executor, and prints what the run measured.
 */
#include "cli/cli.h"
#include "cli/memory.h"
#include "exec/run.h"
#include "exec/strategy.h"
#include "measure/counters.h"
#include "measure/topology.h"
#include "report/report.h"
#include "td/find.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct plan {
	struct run_options run;
	char **paths;		/* of the workloads */
	size_t nr_paths;
	char *machine, *resume;
};

/* A name or file of option @id as a file that can be read, in *@path. */
static int resolve(enum option_id id, const char *name, const char *const *dirs, const char *ext,
		   char **path)
{
	const char *kind = id == OPT_MACHINE ? "machine" : "workload";
	struct td_error err;

	*path = NULL;
	if (td_find_file(kind, name, dirs, ext, path, &err))
		return complain(DPAMT_USAGE, "--%s: %s", options_table[id].name, err.text);
	if (access(*path, R_OK))
		return complain(DPAMT_USAGE, "--%s: %s: %s", options_table[id].name, *path,
				strerror(errno));
	return DPAMT_FINE;
}

static int find_files(const struct options *o, struct plan *p)
{
	const struct option_value *v = &o->v[OPT_WORKLOAD];
	int ret = DPAMT_FINE;

	p->paths = must_calloc(v->nr, sizeof(*p->paths));
	for (size_t i = 0; i < v->nr && !ret; i++) {
		p->nr_paths = i + 1;
		ret = resolve(OPT_WORKLOAD, v->list[i], workload_dirs(), ".wl", &p->paths[i]);
	}
	/* The model's default has no topology. */
	if (!ret)
		ret = resolve(OPT_MACHINE,
			      p->run.sim && !o->v[OPT_MACHINE].given ?
				      option_preset(&options_table[OPT_MACHINE], VERB_SIMULATE) :
				      o->v[OPT_MACHINE].text,
			      machine_dirs(), ".mach", &p->machine);
	return ret;
}

int refuse_explore_only(const struct options *o)
{
	const struct strategy_info *list;
	size_t nr;

	list = strategy_list(&nr);
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < o->v[OPT_STRATEGY].nr && list[i].explore_only; k++)
			if (!strcmp(list[i].name, o->v[OPT_STRATEGY].list[k]))
				return complain(DPAMT_SKIPPED,
						"--strategy: %s runs under explore only, not under %s: %s",
						list[i].name, verbs[o->verb].name, list[i].what);
	return DPAMT_FINE;
}

static int check_threads(const struct options *o, const struct topology *topo)
{
	char list[128], present[64] = "";
	size_t nr;

	topology_cpus(topo, &nr);
	if (o->v[OPT_THREADS].number <= nr)
		return DPAMT_FINE;
	if (topology_nr_present(topo) > nr)
		snprintf(present, sizeof(present), " that this process may use, of %zu",
			 topology_nr_present(topo));
	return complain(DPAMT_USAGE,
			"--threads: %s is more than the CPUs present: %zu (%s)%s; the way beyond "
			"is the simulated machine, --on sim",
			o->v[OPT_THREADS].text, nr, topology_cpu_list(topo, list, sizeof(list)),
			present);
}

static void tell(const struct plan *p, const struct topology *topo)
{
	char list[128], note[COUNTERS_NOTE_SIZE];
	struct counters c;

	for (size_t i = 0; i < p->nr_paths; i++)
		complain(0, "workload %s", p->paths[i]);
	complain(0, "machine %s", p->machine);
	complain(0, "CPUs in worker order, of these: %s",
		 topology_cpu_list(topo, list, sizeof(list)));
	counters_open(&c, note);
	counters_close(&c);
	complain(0, "%s", note);
}

static int check_machine(const struct options *o, const struct plan *p)
{
	struct topology *topo = NULL;
	char err[256];
	int ret;

	if (topology_open(&topo, err, sizeof(err)))
		return complain(DPAMT_ENVIRONMENT, "%s", err);
	/* the emulated host has its own CPUs */
	ret = strcmp(o->v[OPT_ON].text, "emu") ? check_threads(o, topo) : DPAMT_FINE;
	if (!ret && o->v[OPT_VERBOSE].set)
		tell(p, topo);
	topology_free(topo);
	return ret;
}

static int make_plan(const struct options *o, struct plan *p)
{
	int ret = refuse_explore_only(o);

	p->run.sim = o->verb == VERB_SIMULATE || !strcmp(o->v[OPT_ON].text, "sim");
	if (!ret && p->run.sim && o->v[OPT_THREADS].given)
		ret = complain(DPAMT_USAGE, "--threads: not with --on sim: a simulated machine has the CPUs "
				"of its machine file");
	if (!ret)
		ret = find_files(o, p);
	if (!ret && !p->run.sim)
		ret = check_machine(o, p);
	if (ret)
		return ret;
	if (o->v[OPT_RESUME].set) {
		p->resume = run_folder(o->v[OPT_RESUME].text, o->v[OPT_OUT].text);
		if (!p->resume)
			return DPAMT_USAGE;
	}
	p->run = (struct run_options){
		.sim = p->run.sim,
		.block = o->v[OPT_BLOCK].set,
		.on = o->v[OPT_ON].text,
		.strategies = o->v[OPT_STRATEGY].list,
		.nr_strategies = o->v[OPT_STRATEGY].nr,
		.workloads = (const char **)p->paths,
		.nr_workloads = p->nr_paths,
		.machine = p->machine,
		.out = o->v[OPT_OUT].text,
		.resume = p->resume,
		.sets = o->v[OPT_SET].list,
		.nr_sets = o->v[OPT_SET].nr,
		.scale_den = (unsigned int)o->v[OPT_SCALE].number,
		.threads = (unsigned int)o->v[OPT_THREADS].number,
		.blocks = (unsigned int)o->v[OPT_RUNS].number,
		.seed = o->v[OPT_SEED].number,
		.dry_run = o->v[OPT_DRY_RUN].set,
		.quiet = o->v[OPT_QUIET].set,
		.echo = options_json(o),
		.argv = o->argv,
		.argc = o->argc,
	};
	return DPAMT_FINE;
}

static void free_plan(struct plan *p)
{
	for (size_t i = 0; i < p->nr_paths; i++)
		free(p->paths[i]);
	free(p->paths);
	free(p->machine);
	free(p->resume);
	json_decref(p->run.echo);
}

/* Write the report beside the results and print it. */
static int report_run(const char *dir, const char *format)
{
	struct result_run *run = NULL;
	char err[1024];
	int ret;

	if (result_load(dir, &run, err, sizeof(err)))
		return complain(DPAMT_ENVIRONMENT, "%s", err);
	ret = report_write_all(run) ? DPAMT_ENVIRONMENT : DPAMT_FINE;
	if (print_run(run, format, false))
		ret = DPAMT_ENVIRONMENT;
	result_free(run);
	return ret;
}

int verb_run(const struct options *o)
{
	char dir[PATH_MAX] = "";
	struct plan p = { 0 };
	int ret = make_plan(o, &p), reported;

	if (!ret) {
		ret = run_execute(&p.run, dir, sizeof(dir));
		if (dir[0] && !p.run.dry_run) {
			reported = report_run(dir, o->v[OPT_FORMAT].text);
			ret = ret ? ret : reported;
		}
	}
	free_plan(&p);
	return ret;
}
