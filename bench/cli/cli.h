/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the verbs of `dpamt` share: exit codes, the verb table, the one-line
 * messages, and how names on the command line become files.
 *
 * stdout carries the result document and nothing else; all messages go to
 * stderr as "dpamt: ...", one line each.
 */
#ifndef DPAMT_CLI_H
#define DPAMT_CLI_H

#include <stddef.h>
#include <stdio.h>

#include "cli/options.h"
#include "td/error.h"

enum dpamt_exit {
	DPAMT_FINE = 0,
	DPAMT_REGRESSED = 1,	/* a regression, or a broken invariant */
	DPAMT_USAGE = 2,
	DPAMT_ENVIRONMENT = 3,
	DPAMT_SKIPPED = 4,
	DPAMT_INCONCLUSIVE = 5,
	NR_EXIT_CODES
};

/* What each of them means. */
extern const char *const exit_codes[NR_EXIT_CODES];

struct verb {
	const char *name;
	const char *args;	/* positional arguments, "" for none */
	unsigned int max_args;
	const char *what;	/* one line */
	const char *more;	/* help text below it, lines of at most 78 columns */
	const char *example;
	int (*run)(const struct options *o);
};

/* Indexed by enum verb_id. */
extern const struct verb verbs[NR_VERBS];

/* One line to stderr with "dpamt: " in front and a newline behind. Returns @code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The verbs, one file each (main.c has the table). Each returns an exit code. */
int verb_list(const struct options *o);
int verb_run(const struct options *o);
int verb_check(const struct options *o);
int verb_explore(const struct options *o);
int verb_simulate(const struct options *o);
int verb_calibrate(const struct options *o);
int verb_compare(const struct options *o);
int verb_report(const struct options *o);
int verb_help(const struct options *o);

/* Strategies that exist for explore alone end whatever else they are given to: an exit code. */
int refuse_explore_only(const struct options *o);

/* Documents about the command line itself (help.c, man.c, completion.c). */
void help_global(FILE *out);
void help_verb(FILE *out, enum verb_id verb);
void help_man(FILE *out);
void help_completion(FILE *out);
/* @text wrapped at @width columns, each line behind @indent blanks; the first if @first. */
void help_wrap(FILE *out, const char *text, int indent, int width, bool first);

/* Where workload and machine files are looked for; NULL-terminated, static. */
const char *const *workload_dirs(void);
const char *const *machine_dirs(void);

/*
 * The folder of run @name: a folder with a run.json, a run id under @out, or
 * "latest", which is the run under @out that was finished last. malloc()ed; NULL
 * after one line on stderr.
 */
char *run_folder(const char *name, const char *out);
/* The same of a sweep, which has a sweep.json; "latest" was begun last. */
char *sweep_folder(const char *name, const char *out);

struct result_run;
/* run_folder() and result_load(). Returns 0, or an exit code after one line on stderr. */
int run_open(const char *name, const char *out, struct result_run **run);

/* Print @run as @format (a value of --format) says. Returns an exit code. */
int print_run(const struct result_run *run, const char *format, bool full);
/* @json, consumed, to stdout, indented. Returns an exit code. */
int print_json(json_t *json);

#endif
