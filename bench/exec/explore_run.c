// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt explore: each strategy in a process of its own, its scenarios in
 * turn with a bound that grows from 0, so that what breaks is shown with the
 * fewest preemptions; then random priorities. The table goes to stdout when a
 * strategy is through, progress to stderr.
 */
#include "exec/explore_run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exec/explore.h"
#include "exec/explore_file.h"
#include "exec/flavour.h"

#define EXIT_BROKEN 1
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3
#define EXIT_UNDECIDED 5

static const char *const memory_name[] = { "sc", "tso" };

/* One scenario of one strategy under one memory model. */
struct row {
	const char *scenario;
	unsigned int index;
	enum explore_memory memory;
	int reached;		/* bound that was exhausted; -1: none */
	bool whole, over;
	uint64_t states, steps, ends, random;
	double seconds;
	char broke[200];
};

/* What a strategy's process tells the one that started it. */
struct report {
	unsigned int rows, broken, undecided;
	int reached;			/* by every row that is not whole; INT_MAX: all are */
	bool confused;
};

static struct {
	const struct explore_config *c;
	const char *strategy;
	const struct row *row;
	unsigned int bound;
	double start, shown;
	uint64_t before;
} now;

/* Of this process's CPU: what a busy machine takes away does not decide how far a search gets. */
static double clock_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *explore_scenario(unsigned int i, const char **what)
{
	return yield_flavour.explore_name(i, what);
}

/* --------------------------------------------------------------- progress */

static void tick(uint64_t states, uint64_t ends)
{
	double t = clock_seconds();

	if (now.c->quiet || !isatty(STDERR_FILENO) || t - now.shown < 0.2)
		return;
	now.shown = t;
	fprintf(stderr,
		"\r%-12s %-10s %-3s bound %u: %" PRIu64 " states, %" PRIu64
		" schedules, %.2f M states/s, %.0f s \033[K",
		now.strategy, now.row->scenario, memory_name[now.row->memory], now.bound, states, ends,
		(double)(now.before + states) / (t - now.start) / 1e6, t - now.start);
}

static void progress_row(const struct row *r)
{
	if (now.c->quiet || isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "dpamt: %s %s %s: bound %d, %" PRIu64 " states, %.1f s\n", now.strategy,
		r->scenario, memory_name[r->memory], r->reached, r->states, r->seconds);
}

/* ------------------------------------------------------------ one strategy */

static void keep_schedule(const struct explore_config *c, const struct row *row,
			  const struct explore_options *o, const struct explore_result *r, FILE *out)
{
	struct explore_file s = { .memory = row->memory, .schedule = r->schedule,
				  .nr = r->nr_schedule };
	struct explore_result again;
	char dir[2048], file[4096], err[4200];

	snprintf(s.strategy, sizeof(s.strategy), "%s", now.strategy);
	snprintf(s.scenario, sizeof(s.scenario), "%s", row->scenario);
	snprintf(s.broke, sizeof(s.broke), "%s", r->what);
	snprintf(dir, sizeof(dir), "%s/explore", c->out);
	snprintf(file, sizeof(file), "%s/%s-%s-%s.schedule", dir, now.strategy, row->scenario,
		 memory_name[row->memory]);
	fprintf(out, "\n%s, scenario %s, %s: %s\n\n", now.strategy, row->scenario,
		memory_name[row->memory], r->what);
	explore_replay(o, r->schedule, r->nr_schedule, out, &again);
	fprintf(out, "=> %s\n", r->what);
	if (again.end != EXPLORE_BROKEN)
		fprintf(out, "the schedule does not show it again: %s\n", again.what);
	free(again.schedule);
	if ((mkdir(c->out, 0777) && errno != EEXIST) || (mkdir(dir, 0777) && errno != EEXIST) ||
	    explore_file_write(file, &s, err, sizeof(err)))
		fprintf(out, "the schedule could not be kept in %s\n\n", file);
	else
		fprintf(out, "again: dpamt explore --replay %s\n\n", file);
}

static void search_row(const struct explore_config *c, struct row *row, unsigned int bound,
		       double until, struct report *rep, FILE *out)
{
	struct explore_options o = { .memory = row->memory, .bound = bound, .tick = tick };
	double start = clock_seconds();
	struct explore_result r;

	now.row = row;
	now.bound = bound;
	o.deadline_ns = (uint64_t)(until * 1e9);
	explore_search(&o, &r);
	row->states += r.states;
	row->steps += r.steps;
	row->ends += r.ends;
	row->seconds += clock_seconds() - start;
	now.before += r.states;
	switch (r.end) {
	case EXPLORE_EXHAUSTED:
		row->reached = (int)bound;
		row->whole = row->over = r.whole;
		break;
	case EXPLORE_TIME:
		row->over = true;
		break;
	case EXPLORE_CONFUSED:
		rep->confused = row->over = true;
		snprintf(row->broke, sizeof(row->broke), "%s", r.what);
		break;
	case EXPLORE_BROKEN:
		row->over = true;
		snprintf(row->broke, sizeof(row->broke), "%s", r.what);
		keep_schedule(c, row, &o, &r, out);
		break;
	}
	free(r.schedule);
}

static void random_row(const struct explore_config *c, struct row *row, double until, FILE *out)
{
	/* Three changes of priority reach bugs that take four ordered events. */
	struct explore_options o = { .memory = row->memory, .bound = 3 };
	double start = clock_seconds();
	struct explore_result r;

	if (!c->random || row->broke[0] || row->whole)
		return;
	o.deadline_ns = (uint64_t)(until * 1e9);
	explore_random(&o, c->seed, c->random, &r);
	row->random = r.ends;
	row->seconds += clock_seconds() - start;
	if (r.end == EXPLORE_BROKEN) {
		snprintf(row->broke, sizeof(row->broke), "%s", r.what);
		keep_schedule(c, row, &o, &r, out);
	}
	free(r.schedule);
}

static void print_row(FILE *out, const struct row *r, const struct report *rep)
{
	char reached[64];

	if (r->broke[0])
		snprintf(reached, sizeof(reached), "BROKEN");
	else if (r->whole)
		snprintf(reached, sizeof(reached), "whole space");
	else if (r->reached < 0)
		snprintf(reached, sizeof(reached), "none");
	else
		snprintf(reached, sizeof(reached), "%d", r->reached);
	fprintf(out, "%-12s %-10s %-4s %-12s %11" PRIu64 " %10" PRIu64 " %8" PRIu64 " %7.1f  %s\n",
		now.strategy, r->scenario, memory_name[r->memory], reached, r->states, r->ends,
		r->random, r->seconds, r->broke);
	(void)rep;
}

static bool wants(const struct explore_config *c, const char *scenario)
{
	size_t i;

	for (i = 0; i < c->nr_scenarios; i++)
		if (!strcmp(c->scenarios[i], scenario))
			return true;
	return false;
}

static void count_row(const struct row *r, unsigned int bound, struct report *rep)
{
	rep->rows++;
	if (r->broke[0])
		rep->broken++;
	else if (!r->whole && r->reached < (int)bound)
		rep->undecided++;
	if (!r->whole && r->reached < rep->reached)
		rep->reached = r->reached;
}

/* One scenario: bound by bound in each memory model, then at random. */
static bool explore_one(const struct explore_config *c, unsigned int index, double until,
			struct report *rep, FILE *out)
{
	struct explore_program p;
	const char *what;
	char err[256] = "";
	int m;

	if (yield_flavour.explore_open(index, now.strategy, &p, err, sizeof(err))) {
		fprintf(out, "%s %s: %s\n", now.strategy, explore_scenario(index, &what), err);
		rep->confused = true;
		return false;
	}
	if (!explore_open(&p)) {
		fprintf(out, "%s: out of memory\n", now.strategy);
		rep->confused = true;
		yield_flavour.explore_close();
		return false;
	}
	for (m = EXPLORE_SC; m <= EXPLORE_TSO; m++) {
		struct row row = { .scenario = explore_scenario(index, &what), .index = index,
				   .memory = m, .reached = -1 };
		unsigned int bound;

		if (!c->memory[m])
			continue;
		for (bound = 0; bound <= c->bound && !row.over; bound++)
			search_row(c, &row, bound, until, rep, out);
		random_row(c, &row, until, out);
		print_row(out, &row, rep);
		progress_row(&row);
		count_row(&row, c->bound, rep);
	}
	explore_close();
	yield_flavour.explore_close();
	return true;
}

/* Each may take half of the time that is left, for most need next to nothing; the last all. */
static void explore_strategy(const struct explore_config *c, struct report *rep, FILE *out)
{
	double start = clock_seconds(), end = start + c->seconds;
	unsigned int i, todo = 0;
	const char *what, *name;

	rep->reached = INT_MAX;
	now.c = c;
	now.start = start;
	for (i = 0; (name = explore_scenario(i, &what)); i++)
		todo += wants(c, name) && yield_flavour.explore_applies(i, now.strategy);
	for (i = 0; (name = explore_scenario(i, &what)); i++) {
		double t = clock_seconds();

		if (!wants(c, name) || !yield_flavour.explore_applies(i, now.strategy))
			continue;
		explore_one(c, i, --todo ? t + (end - t) / 2 : end, rep, out);
	}
	if (!c->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* -------------------------------------------------------------- processes */

struct task {
	pid_t pid;
	FILE *out;
	int pipe;
	struct report rep;
};

static int start_task(const struct explore_config *c, size_t k, struct task *t)
{
	int fd[2];

	t->out = tmpfile();
	if (!t->out || pipe(fd))
		return -1;
	fflush(stdout);
	t->pid = fork();
	if (t->pid < 0)
		return -1;
	if (!t->pid) {
		now.strategy = c->strategies[k];
		explore_strategy(c, &t->rep, t->out);
		fflush(t->out);
		_exit(write(fd[1], &t->rep, sizeof(t->rep)) != sizeof(t->rep));
	}
	close(fd[1]);
	t->pipe = fd[0];
	return 0;
}

/* Wait for a task and print what it wrote; -1 if it died. */
static int end_task(struct task *t, const char *strategy)
{
	bool ok = read(t->pipe, &t->rep, sizeof(t->rep)) == sizeof(t->rep);
	int c, status;

	close(t->pipe);
	waitpid(t->pid, &status, 0);
	rewind(t->out);
	while ((c = fgetc(t->out)) != EOF)
		putchar(c);
	fclose(t->out);
	fflush(stdout);
	if (ok)
		return 0;
	fprintf(stderr, "dpamt: exploring %s ended early (%s %d)\n", strategy,
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return -1;
}

static int verdict(const struct explore_config *c, const struct report *sum)
{
	printf("explore: %u passed, %u failed; ", sum->rows - sum->broken, sum->broken);
	if (sum->broken)
		printf("broken\n");
	else if (sum->confused)
		printf("no result\n");
	else if (sum->undecided)
		printf("NOT exhausted to preemption bound %u: %u of %u rows (all to %d) when time was up\n",
		       c->bound, sum->undecided, sum->rows, sum->reached);
	else if (!sum->rows)
		printf("no scenario applies\n");
	else if (sum->reached == INT_MAX)
		printf("exhausted without a bound\n");
	else
		printf("exhausted to preemption bound %u\n", c->bound);
	if (sum->broken)
		return EXIT_BROKEN;
	if (sum->confused)
		return EXIT_ENVIRONMENT;
	if (!sum->rows)
		return 4;
	return sum->undecided ? EXIT_UNDECIDED : 0;
}

int explore_execute(const struct explore_config *c)
{
	struct task *t = calloc(c->nr_strategies, sizeof(*t));
	struct report sum = { .reached = INT_MAX };
	size_t started = 0, ended = 0;

	if (!t)
		return EXIT_ENVIRONMENT;
	printf("%-12s %-10s %-4s %-12s %11s %10s %8s %7s\n", "strategy", "scenario", "mem",
	       "bound", "states", "schedules", "random", "seconds");
	for (ended = 0; ended < c->nr_strategies; ended++) {
		while (started < c->nr_strategies && started < ended + c->jobs) {
			if (start_task(c, started, &t[started])) {
				fprintf(stderr, "dpamt: cannot start a process: %s\n",
					strerror(errno));
				free(t);
				return EXIT_ENVIRONMENT;
			}
			started++;
		}
		if (end_task(&t[ended], c->strategies[ended]))
			sum.confused = true;
		sum.rows += t[ended].rep.rows;
		sum.broken += t[ended].rep.broken;
		sum.undecided += t[ended].rep.undecided;
		sum.confused |= t[ended].rep.confused;
		if (t[ended].rep.reached < sum.reached)
			sum.reached = t[ended].rep.reached;
	}
	free(t);
	return verdict(c, &sum);
}

/* ----------------------------------------------------------------- replay */

static int find_scenario(const char *name)
{
	const char *what, *n;
	int i;

	for (i = 0; (n = explore_scenario((unsigned int)i, &what)); i++)
		if (!strcmp(n, name))
			return i;
	return -1;
}

int explore_replay_file(const char *file)
{
	struct explore_program p;
	struct explore_result r;
	struct explore_options o;
	struct explore_file s;
	char err[4400] = "";
	int i;

	if (explore_file_read(file, &s, err, sizeof(err))) {
		fprintf(stderr, "dpamt: %s\n", err);
		return EXIT_USAGE;
	}
	i = find_scenario(s.scenario);
	if (i < 0 || !yield_flavour.explore_applies((unsigned int)i, s.strategy)) {
		fprintf(stderr, "dpamt: %s: strategy %s has no scenario %s\n", file, s.strategy,
			s.scenario);
		free(s.schedule);
		return EXIT_USAGE;
	}
	if (yield_flavour.explore_open((unsigned int)i, s.strategy, &p, err, sizeof(err)) ||
	    !explore_open(&p)) {
		fprintf(stderr, "dpamt: %s\n", err[0] ? err : "out of memory");
		free(s.schedule);
		return EXIT_ENVIRONMENT;
	}
	o = (struct explore_options){ .memory = s.memory, .bound = UINT_MAX };
	explore_replay(&o, s.schedule, s.nr, stdout, &r);
	explore_close();
	yield_flavour.explore_close();
	free(r.schedule);
	free(s.schedule);
	if (r.end == EXPLORE_BROKEN) {
		printf("=> %s\n", r.what);
		return EXIT_BROKEN;
	}
	fprintf(stderr, "dpamt: %s: does not fit: %s\n", file,
		r.end == EXPLORE_CONFUSED ? r.what : "nothing breaks in it");
	return EXIT_USAGE;
}
