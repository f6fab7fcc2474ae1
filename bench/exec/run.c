// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a plan. Each block is a process of its own (address space layout,
 * allocator and page tables are part of the noise that blocks sample, and a
 * crash costs one cell): it runs the controls and every cell of the block, and
 * sends each sample as a line of JSON through a pipe. The parent writes the
 * samples as they land, shows progress, and survives whatever the child meets.
 */
#define _GNU_SOURCE
#include "exec/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exec/cost.h"
#include "exec/emu.h"
#include "exec/plan.h"
#include "exec/progress.h"
#include "exec/sim.h"
#include "exec/sweep.h"
#include "measure/clock.h"

#define EXIT_FINE 0
#define EXIT_REGRESSED 1
#define EXIT_ENVIRONMENT 3
#define EXIT_SKIPPED 4
#define EXIT_INCONCLUSIVE 5

static volatile sig_atomic_t signals;
static pid_t child;

static void on_signal(int sig)
{
	model_interrupted = 1;
	/* The child finishes its cell's record at the first one; the second one means it. */
	signals++;
	if (child > 0)
		kill(child, signals > 1 ? SIGKILL : sig);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ------------------------------------------------------------- the child */

static bool send_json(FILE *pipe, json_t *j)
{
	int ret = j ? json_dumpf(j, pipe, JSON_COMPACT | JSON_REAL_PRECISION(12)) : -1;

	json_decref(j);
	return !ret && fputc('\n', pipe) != EOF && !fflush(pipe);
}

static bool announce(FILE *pipe, const char *workload, const char *strategy)
{
	return send_json(pipe, json_pack("{s:s,s:s,s:s}", "kind", "begin", "workload", workload,
					 "strategy", strategy));
}

static bool child_controls(const struct plan *p, unsigned int block, FILE *pipe)
{
	size_t i, nr, bytes = p->nr_ops * COST_ARENA;
	char err[256] = "no address space for the cost loops", text[128];
	char *mem = phys_map(bytes);
	json_t *samples = NULL;
	bool ok = true;

	announce(pipe, "controls", "");
	topology_bind(p->topology, topology_cpus(p->topology, &nr)[0].cpu, text, sizeof(text));
	if (mem)
		samples = cost_measure(p->ops, p->nr_ops, mem, block, err, sizeof(err));
	if (!samples)
		ok = send_json(pipe, json_pack("{s:s,s:i,s:s,s:s}", "kind", "control", "block",
					       (int)block, "status", "violation", "reason", err));
	for (i = 0; i < json_array_size(samples) && ok; i++)
		ok = send_json(pipe, json_incref(json_array_get(samples, i)));
	json_decref(samples);
	phys_unmap(mem, bytes);
	return ok;
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Apart from the cell: its line is the same in every run of a seed, this is not. */
static bool send_effort(FILE *pipe, const struct sim_figures *f, double seconds)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return send_json(pipe, json_pack("{s:s,s:I,s:I,s:f,s:I}", "kind", "effort", "accesses",
					 (json_int_t)f->accesses, "shared", (json_int_t)f->shared,
					 "cpu_s", seconds, "peak_kib", (json_int_t)r.ru_maxrss));
}

static bool child_cell(const struct plan *p, unsigned int block, const struct plan_cell *pc,
		       char *mem, FILE *pipe)
{
	const struct workload *w = p->workload[pc->workload];
	const struct pamt_ops *ops = p->ops[pc->strategy];
	u64 seed = plan_cell_seed(p, block, pc->workload);
	struct model_config c = {
		.workload = w,
		.machine = p->machine,
		.ops = ops,
		.topology = p->topology,
		.workers = p->threads,
		.seed = seed,
		.mem = mem,
	};
	struct cell *cell = cell_new();
	bool ok = true;

	if (!cell || !announce(pipe, w->name, ops->name))
		return false;
	if (p->sim) {
		struct sim_options o = { .block = p->block };
		struct sim_figures f;
		double from = cpu_seconds();

		sim_flavour.run(&c, &o, cell, &f);
		ok = send_effort(pipe, &f, cpu_seconds() - from);
	} else {
		model_run(&c, cell);
	}
	ok = ok && send_json(pipe, cell_json(cell, w, ops->name, block, seed));
	cell_free(cell);
	return ok;
}

static void emu_child(const struct plan *p, unsigned int block, int fd)
{
	FILE *pipe = fdopen(fd, "w");
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = pipe ? emu_block(p, block, pipe) : EXIT_ENVIRONMENT;
	if (pipe)
		fclose(pipe);
	_exit(ret);
}

static void child_block(const struct plan *p, unsigned int block, int fd)
{
	struct plan_cell *cell = calloc(p->nr_workloads * p->nr_ops, sizeof(*cell));
	FILE *pipe = fdopen(fd, "w");
	char *mem = phys_map(p->sim ? PAGE_SIZE : plan_arena_bytes(p));
	unsigned int i, nr;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!pipe || !cell)
		_exit(EXIT_ENVIRONMENT);
	if (!mem) {
		fprintf(stderr, "dpamt: %" PRIu64 " MiB of address space cannot be had (ulimit -v?)\n",
			plan_arena_bytes(p) >> 20);
		_exit(EXIT_ENVIRONMENT);
	}
	clock_init();
	if (!plan_controls_done(p, block) && !child_controls(p, block, pipe))
		_exit(EXIT_ENVIRONMENT);
	nr = plan_order(p, block, cell);
	for (i = 0; i < nr && !model_interrupted; i++)
		if (!plan_is_done(p, block, &cell[i]) && !child_cell(p, block, &cell[i], mem, pipe))
			_exit(EXIT_ENVIRONMENT);
	fclose(pipe);
	_exit(EXIT_FINE);
}

/* ------------------------------------------------------------- the parent */

struct tally {
	const struct plan *p;
	struct progress progress;
	unsigned int ok, skipped, violations, failed, interrupted;
	char workload[WL_NAME_MAX], strategy[WL_NAME_MAX];	/* in the child's hands */
	int error;						/* -errno of the results folder */
	struct sweep_effort effort;				/* of simulated cells */
};

static void count(struct tally *t, const json_t *j)
{
	const char *status = json_string_value(json_object_get(j, "status"));
	const char *kind = json_string_value(json_object_get(j, "kind"));
	const char *reason = json_string_value(json_object_get(j, "reason"));
	bool cell = kind && !strcmp(kind, "cell");

	if (!status || !strcmp(status, "ok"))
		t->ok += cell;
	else if (!strcmp(status, "skipped"))
		t->skipped++;
	else if (!strcmp(status, "interrupted"))
		t->interrupted++;
	else if (!strcmp(status, "violation"))
		t->violations++;
	else
		t->failed++;
	if (cell)
		progress_cell(&t->progress, t->workload, t->strategy, status, reason);
}

/* The emulated host about itself: what it ran on; or that its log is not clean. */
static void take_host(struct tally *t, const json_t *j)
{
	const char *reason = json_string_value(json_object_get(j, "reason"));

	emu_take_host(t->p, t->p->meta, j);
	if (!reason)
		return;
	fprintf(stderr, "dpamt: %s\n", reason);
	t->violations++;
}

static void take_effort(struct tally *t, const json_t *j)
{
	json_int_t kib = json_integer_value(json_object_get(j, "peak_kib"));

	t->effort.accesses += json_number_value(json_object_get(j, "accesses"));
	t->effort.shared += json_number_value(json_object_get(j, "shared"));
	t->effort.cpu_s += json_number_value(json_object_get(j, "cpu_s"));
	if (kib > t->effort.peak_kib)
		t->effort.peak_kib = (long)kib;
}

/* One line from the child: an announcement, or a sample to be written. */
static void take_line(struct tally *t, const char *line)
{
	json_error_t e;
	json_t *j = json_loads(line, 0, &e);
	const char *kind = j ? json_string_value(json_object_get(j, "kind")) : NULL;

	if (!kind) {
		json_decref(j);
		return;
	}
	if (!strcmp(kind, "begin")) {
		snprintf(t->workload, sizeof(t->workload), "%s",
			 json_string_value(json_object_get(j, "workload")));
		snprintf(t->strategy, sizeof(t->strategy), "%s",
			 json_string_value(json_object_get(j, "strategy")));
		progress_begin(&t->progress, t->workload, t->strategy);
	} else if (!strcmp(kind, "host")) {
		take_host(t, j);
	} else if (!strcmp(kind, "effort")) {
		take_effort(t, j);
	} else {
		if (!t->error)
			t->error = result_append(t->p->dir, j);
		count(t, j);
		t->workload[0] = 0;
	}
	json_decref(j);
}

/* The child ended without a word: its cell is lost, the run is not. */
static void record_death(struct tally *t, unsigned int block, int status)
{
	char reason[160];
	json_t *j;

	if (WIFSIGNALED(status))
		snprintf(reason, sizeof(reason), "the process of the block was killed by signal %d (%s)%s",
			 WTERMSIG(status), strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGKILL ? "; out of memory?" : "");
	else
		snprintf(reason, sizeof(reason), "the process of the block exited with %d",
			 WEXITSTATUS(status));
	fprintf(stderr, "dpamt: block %u: %s\n", block, reason);
	if (!t->workload[0] || !strcmp(t->workload, "controls")) {
		t->failed++;
		return;
	}
	j = json_pack("{s:s,s:s,s:s,s:i,s:s,s:s}", "kind", "cell", "workload", t->workload,
		      "strategy", t->strategy, "block", (int)block, "status",
		      signals > 1 ? "interrupted" : "failed", "reason", reason);
	if (!t->error)
		t->error = result_append(t->p->dir, j);
	count(t, j);
	json_decref(j);
	t->workload[0] = 0;
}

static int run_block(struct tally *t, unsigned int block)
{
	int fd[2], status = 0;
	size_t size = 0;
	char *line = NULL;
	FILE *in;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	child = fork();
	if (child < 0) {
		int err = -errno;

		close(fd[0]);
		close(fd[1]);
		return err;
	}
	if (!child) {
		close(fd[0]);
		if (t->p->emu)
			emu_child(t->p, block, fd[1]);
		child_block(t->p, block, fd[1]);
	}
	close(fd[1]);
	in = fdopen(fd[0], "r");
	while (in) {
		errno = 0;
		if (getline(&line, &size, in) > 0) {
			take_line(t, line);
		} else if (errno == EINTR) {
			clearerr(in);
		} else {
			break;
		}
		if (t->error)
			kill(child, SIGKILL);
	}
	free(line);
	if (in)
		fclose(in);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	child = 0;
	if (!t->error && (WIFSIGNALED(status) || WEXITSTATUS(status)))
		record_death(t, block, status);
	return 0;
}

/* ------------------------------------------------------------------ the end */

static const char *next_step(const struct tally *t)
{
	if (t->violations)
		return t->p->emu ? "an invariant broke: the first reason is in samples.jsonl, or in host-*.txt of "
				   "this folder; the consoles are host-*.log" :
		       "an invariant broke: the first reason is in samples.jsonl; reproduce it with dpamt check";
	if (signals)
		return "go on with the resume command";
	return "open report.html in this folder; compare with another run by dpamt compare; "
	       "for fewer doubts add --runs";
}

static int finish(struct tally *t, unsigned int blocks_done)
{
	char text[32], effort[SWEEP_EFFORT_TEXT];
	const struct plan *p = t->p;
	time_t now = time(NULL);
	int ret;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	json_object_set_new(p->meta, "finished", json_string(text));
	json_object_set_new(p->meta, "blocks_done", json_integer(blocks_done));
	json_object_set_new(p->meta, "status",
			    json_string(signals || t->error ? "interrupted" : "complete"));
	json_object_set_new(p->meta, "next_step", json_string(next_step(t)));
	ret = result_finish(p->dir, p->meta);
	if (!t->error)
		t->error = ret;
	if (t->error) {
		fprintf(stderr, "dpamt: %s: %s; what was written before is kept\n", p->dir,
			strerror(-t->error));
		return EXIT_ENVIRONMENT;
	}
	if (t->effort.accesses && !t->progress.quiet)
		fprintf(stderr, "dpamt: %s\n", sweep_effort_text(&t->effort, effort));
	if (signals)
		fprintf(stderr, "dpamt: interrupted; measured cells are kept. Go on with: %s\n",
			json_string_value(json_object_get(p->meta, "resume_command")));
	if (t->violations)
		return EXIT_REGRESSED;
	if (signals)
		return EXIT_INCONCLUSIVE;
	if (t->failed)
		return EXIT_ENVIRONMENT;
	if (!t->ok && t->skipped && !p->old)
		return EXIT_SKIPPED;
	return EXIT_FINE;
}

static unsigned int blocks_complete(const struct plan *p, const struct tally *t, unsigned int ran)
{
	return signals || t->error ? (ran ? ran - 1 : 0) : p->blocks;
}

static int dry_run(const struct plan *p)
{
	struct plan_cell *cell = calloc(p->nr_workloads * p->nr_ops, sizeof(*cell));
	unsigned int b, i, nr;

	if (!cell)
		return EXIT_ENVIRONMENT;
	printf("%u blocks x %u workloads x %u strategies = %u cells, %u workers, about %" PRIu64
	       " MiB of memory\n",
	       p->blocks, p->nr_workloads, p->nr_ops, p->blocks * p->nr_workloads * p->nr_ops,
	       p->threads, (p->emu ? emu_memory(p) : plan_memory_bytes(p)) >> 20);
	printf("estimated time: %.0f s\n", progress_estimate(p));
	for (b = 0; b < p->blocks; b++) {
		nr = plan_order(p, b, cell);
		for (i = 0; i < nr; i++)
			printf("block %u: %s %s\n", b, p->workload[cell[i].workload]->name,
			       p->ops[cell[i].strategy]->name);
	}
	free(cell);
	return EXIT_FINE;
}

int run_execute(const struct run_options *o, char *run_dir, size_t run_dir_size)
{
	struct tally t = { 0 };
	struct plan p;
	unsigned int b;
	int ret;

	if (run_dir_size)
		run_dir[0] = 0;
	ret = plan_make(o, &p);
	if (ret || o->dry_run) {
		ret = ret ? ret : dry_run(&p);
		plan_free(&p);
		return ret;
	}
	snprintf(run_dir, run_dir_size, "%s", p.dir);
	catch_signals();
	t.p = &p;
	progress_init(&t.progress, &p, o->quiet);
	for (b = 0; b < p.blocks && !signals && !t.error && !ret; b++)
		ret = run_block(&t, b);
	progress_end(&t.progress);
	if (ret) {
		fprintf(stderr, "dpamt: a block's process cannot be started: %s\n", strerror(-ret));
		t.failed++;
	}
	ret = finish(&t, blocks_complete(&p, &t, b));
	plan_free(&p);
	return ret;
}
