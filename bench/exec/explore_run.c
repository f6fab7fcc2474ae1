// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt explore: each scenario of each strategy in a process of its own, with a bound
 * that grows from 0, so that what breaks is shown with the fewest preemptions; then
 * random priorities. The table goes to stdout in the order of strategies and scenarios,
 * as far as they are through, progress to stderr. A signal is as if the time were up.
 */
#include "exec/explore_run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exec/explore.h"
#include "exec/explore_file.h"
#include "exec/flavour.h"
#include "exec/pool.h"

#define EXIT_BROKEN 1
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3
#define EXIT_UNDECIDED 5

static const char *const memory_name[] = { "sc", "tso" };

/* One scenario of one strategy under one memory model. */
struct row {
	const char *scenario;
	enum explore_memory memory;
	int reached;		/* bound that was exhausted; -1: none */
	bool whole, over;
	uint64_t states, ends, random;
	double seconds;
	char broke[200];
};

/* What a process tells the one that started it. */
struct report {
	unsigned int rows, broken, undecided;
	unsigned int hurried;		/* rows with fewer random schedules than asked for */
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

static bool tick(uint64_t states, uint64_t ends)
{
	double t = clock_seconds();

	if (now.c->quiet || !isatty(STDERR_FILENO) || t - now.shown < 0.2)
		return pool_stopped();
	now.shown = t;
	fprintf(stderr,
		"\r%-12s %-10s %-3s bound %u: %" PRIu64 " states, %" PRIu64
		" schedules, %.2f M states/s, %.0f s \033[K",
		now.strategy, now.row->scenario, memory_name[now.row->memory], now.bound, states, ends,
		(double)(now.before + states) / (t - now.start) / 1e6, t - now.start);
	return pool_stopped();
}

/* Its figures are no states: nothing is shown. */
static bool random_tick(uint64_t states, uint64_t ends)
{
	(void)states;
	(void)ends;
	return pool_stopped();
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
	char dir[2048], file[4096], err[4200] = "";

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
	if ((mkdir(c->out, 0777) && errno != EEXIST) || (mkdir(dir, 0777) && errno != EEXIST))
		snprintf(err, sizeof(err), "%s: %s", dir, strerror(errno));
	else
		explore_file_write(file, &s, err, sizeof(err));
	if (err[0])
		fprintf(out, "the schedule could not be kept: %s\n\n", err);
	else
		fprintf(out, "again: dpamt explore --replay %s\n\n", file);
}

/* What broke, or why nothing can be said: the row is at its end. */
static void settle_row(const struct explore_config *c, struct row *row,
		       const struct explore_options *o, struct explore_result *r, struct report *rep,
		       FILE *out)
{
	if (r->end == EXPLORE_CONFUSED || r->end == EXPLORE_BROKEN) {
		row->over = true;
		snprintf(row->broke, sizeof(row->broke), "%s", r->what);
	}
	if (r->end == EXPLORE_CONFUSED)
		rep->confused = true;
	if (r->end == EXPLORE_BROKEN)
		keep_schedule(c, row, o, r, out);
	free(r->schedule);
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
	row->ends += r.ends;
	row->seconds += clock_seconds() - start;
	now.before += r.states;
	if (r.end == EXPLORE_EXHAUSTED) {
		row->reached = (int)bound;
		row->whole = row->over = r.whole;
	} else if (r.end == EXPLORE_TIME) {
		row->over = true;
	}
	settle_row(c, row, &o, &r, rep, out);
}

static void random_row(const struct explore_config *c, struct row *row, double until,
		       struct report *rep, FILE *out)
{
	/* Three changes of priority reach bugs that take four ordered events. */
	struct explore_options o = { .memory = row->memory, .bound = 3, .tick = random_tick };
	double start = clock_seconds();
	struct explore_result r;

	if (!c->random || row->broke[0] || row->whole || pool_stopped())
		return;
	o.deadline_ns = (uint64_t)(until * 1e9);
	explore_random(&o, c->seed, c->random, &r);
	row->random = r.ends;
	row->seconds += clock_seconds() - start;
	settle_row(c, row, &o, &r, rep, out);
}

static void print_row(FILE *out, const struct row *r)
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
}

static bool wants(const struct explore_config *c, const char *scenario)
{
	size_t i;

	for (i = 0; i < c->nr_scenarios; i++)
		if (!strcmp(c->scenarios[i], scenario))
			return true;
	return false;
}

static void count_row(const struct explore_config *c, const struct row *r, struct report *rep)
{
	rep->rows++;
	if (r->broke[0])
		rep->broken++;
	else if (!r->whole && r->reached < (int)c->bound)
		rep->undecided++;
	else
		rep->hurried += !r->whole && r->random < c->random;
	if (!r->whole && r->reached < rep->reached)
		rep->reached = r->reached;
}

/* One scenario: bound by bound in each memory model, then at random. */
static void explore_one(const struct explore_config *c, unsigned int index, double share,
			struct report *rep, FILE *out)
{
	double start = clock_seconds();
	struct explore_program p;
	const char *what;
	char err[256] = "";
	int m;

	if (yield_flavour.explore_open(index, now.strategy, &p, err, sizeof(err))) {
		fprintf(out, "%s %s: %s\n", now.strategy, explore_scenario(index, &what), err);
		rep->confused = true;
		return;
	}
	if (!explore_open(&p)) {
		fprintf(out, "%s: out of memory\n", now.strategy);
		rep->confused = true;
		yield_flavour.explore_close();
		return;
	}
	for (m = EXPLORE_SC; m <= EXPLORE_TSO; m++) {
		struct row row = { .scenario = explore_scenario(index, &what), .memory = m,
				   .reached = -1 };
		/* The first of two leaves half of the time. */
		double until = start + (m == EXPLORE_SC && c->memory[EXPLORE_TSO] ? share / 2 : share);
		unsigned int bound;

		if (!c->memory[m] || pool_stopped())
			continue;
		for (bound = 0; bound <= c->bound && !row.over; bound++)
			search_row(c, &row, bound, until, rep, out);
		random_row(c, &row, until, rep, out);
		print_row(out, &row);
		progress_row(&row);
		count_row(c, &row, rep);
	}
	explore_close();
	yield_flavour.explore_close();
}

/* -------------------------------------------------------------- processes */

/* One scenario of one strategy. */
struct job {
	size_t strategy;
	unsigned int scenario;
	bool last;			/* of its strategy */
	bool ended;
	json_t *answer;
};

/* The jobs' answers, printed in their order. */
struct exploration {
	const struct explore_config *c;
	unsigned int jobs;		/* at a time */
	struct job *job;
	size_t nr, printed;
	double *used;			/* by each strategy, of its time */
	struct report sum;
};

/*
 * CPU seconds for a job. All that run at once may take what is left of their strategy's time
 * between them, one alone half of it, for most need next to nothing; the last one all.
 */
static double share(const struct exploration *e, const struct job *j)
{
	double left = (double)e->c->seconds * e->jobs - e->used[j->strategy];
	double part = j->last ? left : left / (e->jobs > 2 ? e->jobs : 2);

	return part < e->c->seconds ? part : e->c->seconds;
}

static json_t *explore_job(void *ctx, size_t i)
{
	const struct exploration *e = ctx;
	const struct job *j = &e->job[i];
	struct report rep = { .reached = INT_MAX };
	double start = clock_seconds();
	char *text = NULL;
	json_t *answer;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	now.c = e->c;
	now.strategy = e->c->strategies[j->strategy];
	now.start = start;
	explore_one(e->c, j->scenario, share(e, j), &rep, out);
	if (!e->c->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (fclose(out))
		return NULL;
	answer = json_pack("{s:s%, s:i, s:i, s:i, s:i, s:i, s:b, s:f}", "text", text, size, "rows",
			   (int)rep.rows, "broken", (int)rep.broken, "undecided", (int)rep.undecided,
			   "hurried", (int)rep.hurried, "reached", rep.reached, "confused",
			   rep.confused, "seconds", clock_seconds() - start);
	free(text);
	return answer;
}

static int figure(const json_t *answer, const char *key)
{
	return (int)json_integer_value(json_object_get(answer, key));
}

static void print_answer(struct exploration *e, const struct job *j)
{
	struct report *sum = &e->sum;
	const json_t *answer = j->answer;
	const char *what;

	if (!answer) {
		sum->confused = true;
		fprintf(stderr, "dpamt: exploring %s, scenario %s: its process ended without a result\n",
			e->c->strategies[j->strategy], explore_scenario(j->scenario, &what));
		return;
	}
	fputs(json_string_value(json_object_get(answer, "text")), stdout);
	fflush(stdout);
	sum->rows += (unsigned int)figure(answer, "rows");
	sum->broken += (unsigned int)figure(answer, "broken");
	sum->undecided += (unsigned int)figure(answer, "undecided");
	sum->hurried += (unsigned int)figure(answer, "hurried");
	sum->confused |= json_is_true(json_object_get(answer, "confused"));
	if (figure(answer, "reached") < sum->reached)
		sum->reached = figure(answer, "reached");
}

static int explore_done(void *ctx, size_t i, const json_t *answer)
{
	struct exploration *e = ctx;
	struct job *j = &e->job[i];

	j->answer = json_incref((json_t *)answer);
	j->ended = true;
	e->used[j->strategy] += json_real_value(json_object_get(answer, "seconds"));
	for (; e->printed < e->nr && e->job[e->printed].ended; e->printed++)
		print_answer(e, &e->job[e->printed]);
	return 0;
}

/* What was reached, in words. */
static const char *reached(const struct report *sum, char *buf, size_t size)
{
	if (sum->reached < 0)
		snprintf(buf, size, "some to none");
	else
		snprintf(buf, size, "all to %d", sum->reached);
	return buf;
}

static int verdict(const struct explore_config *c, const struct report *sum, bool interrupted)
{
	char how_far[32];

	printf("explore: %u passed, %u failed", sum->rows - sum->broken - sum->undecided, sum->broken);
	if (sum->undecided)
		printf(", %u undecided", sum->undecided);
	if (sum->broken)
		printf("; broken");
	else if (sum->confused)
		printf("; no result");
	else if (interrupted)
		printf("; interrupted, NOT exhausted to preemption bound %u", c->bound);
	else if (sum->undecided)
		printf("; NOT exhausted to preemption bound %u: %u of %u rows (%s) when time was up",
		       c->bound, sum->undecided, sum->rows,
		       reached(sum, how_far, sizeof(how_far)));
	else if (!sum->rows)
		printf("; no scenario applies");
	else if (sum->reached == INT_MAX)
		printf("; exhausted without a bound");
	else
		printf("; exhausted to preemption bound %u", c->bound);
	if (sum->hurried && !interrupted)
		printf("; random schedules cut short in %u rows", sum->hurried);
	printf("\n");
	if (sum->broken)
		return EXIT_BROKEN;
	if (sum->confused)
		return EXIT_ENVIRONMENT;
	if (interrupted)
		return EXIT_UNDECIDED;
	if (!sum->rows)
		return 4;
	return sum->undecided ? EXIT_UNDECIDED : 0;
}

static bool plan_jobs(struct exploration *e)
{
	const struct explore_config *c = e->c;
	const char *name, *what;
	unsigned int i, nr;
	size_t s;

	for (nr = 0; explore_scenario(nr, &what); nr++)
		;
	e->job = calloc(c->nr_strategies * nr, sizeof(*e->job));
	e->used = calloc(c->nr_strategies, sizeof(*e->used));
	if (!e->job || !e->used)
		return false;
	for (s = 0; s < c->nr_strategies; s++) {
		for (i = 0; (name = explore_scenario(i, &what)); i++)
			if (wants(c, name) && yield_flavour.explore_applies(i, c->strategies[s]))
				e->job[e->nr++] = (struct job){ .strategy = s, .scenario = i };
		if (e->nr)
			e->job[e->nr - 1].last = true;
	}
	return true;
}

int explore_execute(const struct explore_config *c)
{
	struct exploration e = { .c = c, .jobs = c->jobs ? c->jobs : pool_cpus(),
				 .sum = { .reached = INT_MAX } };
	struct pool p = { .job = explore_job, .done = explore_done, .ctx = &e, .jobs = e.jobs,
			  .ask = true };
	int ret, code = EXIT_ENVIRONMENT;
	size_t i;

	if (!plan_jobs(&e)) {
		fprintf(stderr, "dpamt: out of memory\n");
		goto out;
	}
	p.nr = e.nr;
	printf("%-12s %-10s %-4s %-12s %11s %10s %8s %7s\n", "strategy", "scenario", "mem",
	       "bound", "states", "schedules", "random", "seconds");
	ret = pool_run(&p);
	if (ret && ret != -EINTR) {
		e.sum.confused = true;
		fprintf(stderr, "dpamt: a process cannot be started: %s\n", strerror(-ret));
	}
	code = verdict(c, &e.sum, ret == -EINTR);
	for (i = 0; i < e.nr; i++)
		json_decref(e.job[i].answer);
out:
	free(e.job);
	free(e.used);
	return code;
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
