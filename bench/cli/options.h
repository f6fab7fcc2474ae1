/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options of every verb, from one table: a row of OPTIONS below yields
 * parsing and its messages, --help, the man page, bash completion and the
 * JSON echo in run.json. Long options only, the same spelling in every verb,
 * as --name=value or --name value; what follows "--" is an argument.
 */
#ifndef DPAMT_CLI_OPTIONS_H
#define DPAMT_CLI_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/choices.h"

enum verb_id {
	VERB_LIST,
	VERB_RUN,
	VERB_CHECK,
	VERB_EXPLORE,
	VERB_SIMULATE,
	VERB_CALIBRATE,
	VERB_COMPARE,
	VERB_REPORT,
	VERB_HELP,
	NR_VERBS
};

#define ON_LIST (1u << VERB_LIST)
#define ON_RUN (1u << VERB_RUN)
#define ON_CHECK (1u << VERB_CHECK)
#define ON_EXPLORE (1u << VERB_EXPLORE)
#define ON_SIMULATE (1u << VERB_SIMULATE)
#define ON_CALIBRATE (1u << VERB_CALIBRATE)
#define ON_COMPARE (1u << VERB_COMPARE)
#define ON_REPORT (1u << VERB_REPORT)
#define ON_HELP (1u << VERB_HELP)
#define ON_ALL ((1u << NR_VERBS) - 1)

enum option_type {
	TYPE_FLAG,	/* no value */
	TYPE_TEXT,	/* any text that is not empty */
	TYPE_COUNT,	/* an integer from min to max */
	TYPE_PERCENT,	/* "2", "2.5", "2%"; from min to max */
	TYPE_SCALE,	/* "1" or "1/N" */
	TYPE_CHOICE,	/* one name of the source */
	TYPE_CHOICES,	/* "all", or some of them, separated by commas */
	TYPE_FILE,	/* a name of the source, or a file */
	TYPE_FILES,	/* "all", or some of either, separated by commas */
	TYPE_SETS,	/* KEY=VALUE; the option may be repeated */
};

/*
 * OPTION(ID, name, type, metavar, default, min, max, source, verbs, help)
 * default: as it would be typed; NULL: not set. source: see choices.h.
 */
#define OPTIONS(OPTION)                                                                            \
	OPTION(STRATEGY, "strategy", CHOICES, "A[,B..]|all", "all", 0, 0, strategy_choices,        \
	       ON_RUN | ON_CHECK | ON_EXPLORE | ON_SIMULATE | ON_COMPARE, "refcount strategies")   \
	OPTION(WORKLOAD, "workload", FILES, "NAME|FILE[,..]|all",                                  \
	       "boot-10x16g,fault-storm,conversion-storm", 0, 0, workload_choices,                 \
	       ON_RUN | ON_SIMULATE | ON_COMPARE, "workloads; compare takes names only")           \
	OPTION(ON, "on", CHOICE, "EXECUTOR", "model", 0, 0, executor_choices, ON_RUN,              \
	       "where the workloads run")                                                          \
	OPTION(MACHINE, "machine", FILE, "NAME|FILE", "published", 0, 0, machine_choices,          \
	       ON_RUN | ON_SIMULATE, "machine file: what SEAMCALLs, KVM and cache lines cost")     \
	OPTION(SCALE, "scale", SCALE, "1|1/N", NULL, 1, 1 << 20, NULL, ON_RUN | ON_SIMULATE,       \
	       "shrink memory to 1/N; by default what the workload says, or 1")                    \
	OPTION(THREADS, "threads", COUNT, "N", NULL, 1, 1 << 20, NULL, ON_RUN,                     \
	       "workers, one per CPU; by default one on each usable CPU")                          \
	OPTION(RUNS, "runs", COUNT, "N", "8", 1, 10000, NULL, ON_RUN | ON_SIMULATE,                \
	       "blocks: every strategy and workload once in each, in random order")                \
	OPTION(SEED, "seed", COUNT, "N", "1", 0, INT64_MAX, NULL,                                  \
	       ON_RUN | ON_CHECK | ON_EXPLORE | ON_SIMULATE | ON_COMPARE, "of every random choice") \
	OPTION(BLOCK, "block", FLAG, NULL, NULL, 0, 0, NULL, ON_SIMULATE,                          \
	       "block mode: simulate a sample of streamed pages, charge the rest: for times and "  \
	       "transitions, not for waits, get and put")                                          \
	OPTION(SWEEP, "sweep", TEXT, "vcpus=A..B,lone=A..B%", NULL, 0, 0, NULL, ON_SIMULATE,       \
	       "a grid of cells and the decision map; A..B is a ladder, A:B:C these values")       \
	OPTION(LIMIT, "limit", COUNT, "SECONDS", "600", 1, 1000000, NULL, ON_SIMULATE,             \
	       "refuse a study that would take longer")                                            \
	OPTION(SENSITIVITY, "sensitivity", FLAG, NULL, NULL, 0, 0, NULL, ON_SIMULATE,              \
	       "each constant of the machine halved and doubled: a tornado table")                 \
	OPTION(VALIDATE, "validate", FLAG, NULL, NULL, 0, 0, NULL, ON_SIMULATE,                    \
	       "the published contention of a boot against the simulated band")                    \
	OPTION(MEASURED, "measured", FLAG, NULL, NULL, 0, 0, NULL, ON_SIMULATE,                    \
	       "get and put measured here against simulated on machine `this`")                    \
	OPTION(SCHEDULES, "schedules", COUNT, "N", "1000", 1, 1000000000, NULL, ON_CHECK,          \
	       "random schedules per strategy")                                                    \
	OPTION(SCENARIO, "scenario", CHOICES, "A[,B..]|all", "all", 0, 0, scenario_choices,        \
	       ON_EXPLORE, "small programs to explore")                                            \
	OPTION(MEMORY, "memory", CHOICE, "sc|tso|all", "all", 0, 0, memory_choices, ON_EXPLORE,    \
	       "memory model")                                                                     \
	OPTION(BOUND, "bound", COUNT, "N", "3", 0, 14, NULL, ON_EXPLORE,                           \
	       "preemptions: the search grows from none to N")                                     \
	OPTION(SECONDS, "seconds", COUNT, "S", "60", 1, 1000000, NULL, ON_EXPLORE,                 \
	       "for one strategy, of CPU time of each job; exit 5 if it is up first")               \
	OPTION(RANDOM, "random", COUNT, "N", "1000", 0, 1000000000, NULL, ON_EXPLORE,              \
	       "schedules by random priorities after each search")                                 \
	OPTION(JOBS, "jobs", COUNT, "N", NULL, 1, 1024, NULL, ON_EXPLORE,                          \
	       "scenarios explored at once; by default one on each CPU")                           \
	OPTION(REPLAY, "replay", TEXT, "FILE", NULL, 0, 0, NULL, ON_EXPLORE,                       \
	       "run the schedule in FILE again and print it")                                      \
	OPTION(SET, "set", SETS, "KEY=VALUE", NULL, 0, 0, NULL, ON_RUN | ON_SIMULATE,              \
	       "change a key of the workloads: KEY, td.GROUP.KEY or phase.NAME.KEY; repeatable")   \
	OPTION(OUT, "out", TEXT, "DIR", "results", 0, 0, NULL,                                     \
	       ON_RUN | ON_EXPLORE | ON_SIMULATE | ON_COMPARE | ON_REPORT, "folder of the results") \
	OPTION(FILE, "file", TEXT, "FILE", NULL, 0, 0, NULL, ON_CALIBRATE,                         \
	       "where to write the machine file; by default this.mach beside the others")          \
	OPTION(RESUME, "resume", TEXT, "RUN", NULL, 0, 0, NULL, ON_RUN | ON_SIMULATE,              \
	       "go on with an interrupted run: its id, its folder, or latest")                     \
	OPTION(DRY_RUN, "dry-run", FLAG, NULL, NULL, 0, 0, NULL, ON_RUN | ON_SIMULATE,             \
	       "print the plan, run nothing")                                                      \
	OPTION(BASELINE, "baseline", CHOICE, "STRATEGY", "global-fast", 0, 0, strategy_choices,    \
	       ON_COMPARE, "what the strategies of one run are compared with")                     \
	OPTION(MARGIN, "margin", PERCENT, "PCT", "2", 0, 100, NULL, ON_COMPARE,                    \
	       "differences below this are no change")                                             \
	OPTION(GATE, "gate", FLAG, NULL, NULL, 0, 0, NULL, ON_COMPARE,                             \
	       "exit 1 on a regression or a broken invariant, 5 if undecided")                     \
	OPTION(WRITE, "write", FLAG, NULL, NULL, 0, 0, NULL, ON_REPORT,                            \
	       "also write report.md, report.html and plots/ into the run's folder")               \
	OPTION(FORMAT, "format", CHOICE, "FORMAT", "text", 0, 0, format_choices,                   \
	       ON_LIST | ON_RUN | ON_SIMULATE | ON_COMPARE | ON_REPORT,                            \
	       "of the document on stdout")                                                        \
	OPTION(MAN, "man", FLAG, NULL, NULL, 0, 0, NULL, ON_HELP, "print the manual page (roff)")  \
	OPTION(COMPLETION, "completion", FLAG, NULL, NULL, 0, 0, NULL, ON_HELP,                    \
	       "print the completion script for bash")                                             \
	OPTION(QUIET, "quiet", FLAG, NULL, NULL, 0, 0, NULL,                                       \
	       ON_RUN | ON_CHECK | ON_EXPLORE | ON_SIMULATE | ON_CALIBRATE, "no progress on stderr") \
	OPTION(VERBOSE, "verbose", FLAG, NULL, NULL, 0, 0, NULL, ON_RUN,                           \
	       "tell on stderr which files, CPUs and counters are used")                           \
	OPTION(HELP, "help", FLAG, NULL, NULL, 0, 0, NULL, ON_ALL, "this text")

enum option_id {
#define OPTION(id, ...) OPT_##id,
	OPTIONS(OPTION)
#undef OPTION
	NR_OPTIONS
};

struct option {
	const char *name;
	enum option_type type;
	const char *metavar, *preset;
	uint64_t min, max;
	choice_source source;
	unsigned int verbs;
	const char *help;
};

extern const struct option options_table[NR_OPTIONS];

struct option_value {
	bool given;		/* on the command line */
	bool set;		/* given, or has a default */
	const char *text;	/* as typed, or the default */
	uint64_t number;	/* COUNT; SCALE: N of 1/N; FLAG: 1 */
	double real;		/* PERCENT, as a fraction of 1 */
	const char **list;	/* CHOICES, FILES, SETS: the names, NULL-terminated */
	size_t nr;
};

struct options {
	enum verb_id verb;
	struct option_value v[NR_OPTIONS];
	const char *args[2];
	size_t nr_args;
	int argc;		/* the whole command line */
	char **argv;
	char **texts;		/* owns the strings of the lists */
	size_t nr_texts;
};

/*
 * Parse @argv (with argv[0]). Returns -1 and @o when the verb shall run;
 * otherwise the exit code: --help or a `help` value was answered on stdout, or
 * one line of what is wrong went to stderr. options_free() either way.
 */
int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/*
 * All options of the verb as they stand, {"strategy": ["null", ..], "runs": 8,
 * "scale": null, ..}, for run.json. A new reference.
 */
json_t *options_json(const struct options *o);

/* The default of @opt for @verb, NULL if there is none. compare takes all that the runs have. */
const char *option_preset(const struct option *opt, enum verb_id verb);

/* The name nearest to @word, or NULL if none is near. */
const char *nearest(const char *word, const char *const *names, size_t nr);

#endif
