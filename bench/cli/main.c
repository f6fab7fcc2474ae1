// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt: compare refcount strategies of Dynamic PAMT. This file has the table
 * of verbs and calls the one that was asked for; the options are in options.h.
 */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

#ifndef DPAMT_VERSION
#define DPAMT_VERSION "0.1"
#endif

const struct verb verbs[NR_VERBS] = {
	[VERB_LIST] = {
		"list", "[strategies|workloads|machines|executors|metrics]", 1,
		"what there is to choose from",
		"Without an argument all lists are printed.",
		"dpamt list workloads", verb_list,
	},
	[VERB_RUN] = {
		"run", "", 0,
		"run strategies over workloads, print the tables, write results/RUN-ID/",
		"Every strategy runs over every workload once per block, in random order.\n"
		"The document goes to stdout, progress to stderr. An interrupted run keeps\n"
		"what was measured; --resume goes on.",
		"dpamt run --strategy global-fast,lockless --workload fault-storm", verb_run,
	},
	[VERB_CHECK] = {
		"check", "", 0,
		"run strategies over the software TDX module under random schedules",
		"Every schedule is checked for pages without PAMT, double ADD and REMOVE,\n"
		"leaks, deadlock and livelock; the first violation is printed and exits 1.",
		"dpamt check --strategy lockless --schedules 100000", verb_check,
	},
	[VERB_EXPLORE] = {
		"explore", "", 0,
		"every interleaving of small programs, up to a number of preemptions",
		"Every shared access of strategy and module is a scheduling point, BUSY and\n"
		"failures are choices of the search. What breaks is shown with one column per\n"
		"CPU and kept as a schedule file. Exits 0 only if all was searched.",
		"dpamt explore --strategy lockless --memory tso --bound 4", verb_explore,
	},
	[VERB_SIMULATE] = {
		"simulate", "", 0,
		"run strategies on a simulated machine of up to 1024 CPUs",
		"As run --on sim, and on top: --sweep (a grid of cells and from it the map\n"
		"of cheapest strategies), --sensitivity, --validate, --measured. Virtual time:\n"
		"one seed gives one result, bit for bit. Uses all CPUs; --resume goes on.",
		"dpamt simulate --sweep vcpus=1..448,lone=0..100% --machine gnr-2s", verb_simulate,
	},
	[VERB_CALIBRATE] = {
		"calibrate", "", 0,
		"measure this machine's cache lines and write machine file this.mach",
		"Locked add, load, store, line transfer between CPUs, and the clock. SEAMCALL\n"
		"and KVM costs are taken from published.mach.",
		"dpamt calibrate && dpamt simulate --measured", verb_calibrate,
	},
	[VERB_COMPARE] = {
		"compare", "[RUN [RUN]]", 2,
		"ratios with intervals, tests and verdicts",
		"One RUN (default: latest): its strategies against --baseline, paired by\n"
		"block. Two RUNs: each strategy of the second against that of the first.\n"
		"RUN is a run id, a folder, or latest.",
		"dpamt compare --gate 20250101-120000 latest", verb_compare,
	},
	[VERB_REPORT] = {
		"report", "[RUN]", 1,
		"everything that a run measured",
		"RUN is a run id, a folder, or latest (the default).",
		"dpamt report latest --format markdown", verb_report,
	},
	[VERB_HELP] = {
		"help", "[VERB]", 1,
		"this help, that of a verb, the manual page, or bash completion",
		"",
		"dpamt help --completion > ~/.local/share/bash-completion/completions/dpamt",
		verb_help,
	},
};

/* A document that did not get out is not a success. */
static int finish(int code)
{
	if (fflush(stdout) || ferror(stdout))
		return complain(code ? code : DPAMT_ENVIRONMENT, "stdout: %s",
				errno ? strerror(errno) : "cannot write the document");
	return code;
}

int main(int argc, char **argv)
{
	struct options o;
	int ret;

	if (argc < 2) {
		help_global(stderr);
		return DPAMT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		help_global(stdout);
		return finish(DPAMT_FINE);
	}
	if (!strcmp(argv[1], "--version")) {
		puts("dpamt " DPAMT_VERSION);
		return finish(DPAMT_FINE);
	}
	ret = options_parse(&o, argc, argv);
	if (ret < 0)
		ret = verbs[o.verb].run(&o);
	options_free(&o);
	return finish(ret);
}
