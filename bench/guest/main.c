// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt-guest: runs cells on the KVM of this kernel, as process 1 of an initramfs or
 * as an ordinary program. One static file: what it shares with dpamt is the executor
 * (exec/kvm*) and everything below it.
 *
 *	dpamt-guest [CELLS [SAMPLES]]
 *	dpamt-guest kill [N [STRATEGY]] | churn [SECONDS] | faults [NAME..] | owners
 *
 * CELLS (default /cells): a line per cell, fields separated by tabs: workload file,
 * strategy, block, seed, 1/scale (0: the workload's bench_scale), then any number of
 * --set overrides. SAMPLES (default: /dev/ttyS1 as process 1, else stdout): a line of
 * samples.jsonl for each. What a person reads goes to stderr. The verbs (guest.h)
 * take their words from the command line, that of the kernel for process 1, behind "--".
 *
 * Each cell is a process: one that dies costs itself, one that lasts too long is
 * interrupted and says where it was. As process 1 it mounts
 * what it needs, says "dpamt-init: done" at the end, and powers off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "exec/kvm_place.h"
#include "exec/kvm_waits.h"
#include "guest/guest.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"

#define MAX_SETS 64
#define CELL_SECONDS 300	/* then it hangs; or DPAMT_CELL_SECONDS of the environment */
#define CELL_GRACE 20		/* to say where it was */

struct cell_line {
	const char *workload, *strategy;
	unsigned int block, scale_den;
	u64 seed;
	const char *set[MAX_SETS];
	size_t nr_sets;
};

static FILE *samples;

/* ----------------------------------------------------------------- a line */

static bool number(const char *text, u64 *to)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*to = strtoull(text, &end, 10);
	return !errno && !*end;
}

static bool parse_line(char *text, struct cell_line *l)
{
	u64 block, scale;
	char *field;

	*l = (struct cell_line){ 0 };
	text[strcspn(text, "\r\n")] = 0;
	l->workload = strsep(&text, "\t");
	l->strategy = strsep(&text, "\t");
	if (!l->strategy || !*l->workload || !*l->strategy || !number(strsep(&text, "\t"), &block) ||
	    !number(strsep(&text, "\t"), &l->seed) || !number(strsep(&text, "\t"), &scale))
		return false;
	l->block = block;
	l->scale_den = scale;
	while ((field = strsep(&text, "\t"))) {
		if (l->nr_sets == MAX_SETS)
			return false;
		l->set[l->nr_sets++] = field;
	}
	return true;
}

/* -------------------------------------------------------- what verbs share */

void guest_say(const char *format, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* in one piece, whoever else writes */
	fprintf(stderr, "dpamt-guest: %s\n", text);
}

bool guest_number(const char *text, uint64_t *to)
{
	return number(text, to) && *to;
}

struct workload *guest_workload(const char *name, const char *const *set, size_t nr)
{
	static const char *const dirs[] = { "/workloads", "workloads", NULL };
	struct workload *w = NULL;
	struct td_error err;
	int ret = workload_load(name, dirs, &w, &err);

	if (!ret)
		ret = workload_set_all(w, set, nr, &err);
	if (!ret)
		ret = workload_scale(w, w->bench_scale.num ? w->bench_scale.num : 1,
				     w->bench_scale.den ? w->bench_scale.den : 1, &err);
	if (!ret)
		return w;
	guest_say("%s", err.text);
	workload_free(w);
	return NULL;
}

/* ----------------------------------------------------------------- a cell */

static void send_sample(json_t *j)
{
	if (j) {
		json_dumpf(j, samples, JSON_COMPACT | JSON_REAL_PRECISION(12));
		fputc('\n', samples);
		fflush(samples);
	}
	json_decref(j);
}

static void send_failure(const struct cell_line *l, const char *workload, const char *status,
			 const char *reason)
{
	send_sample(json_pack("{s:s,s:s,s:s,s:i,s:s,s:I,s:s}", "kind", "cell", "workload", workload,
			      "strategy", l->strategy, "block", (int)l->block, "status", status,
			      "seed", (json_int_t)l->seed, "reason", reason));
}

static struct workload *load(const struct cell_line *l, struct td_error *err)
{
	static const char *const no_dirs[] = { NULL };
	u64 num = 1, den = l->scale_den;
	struct workload *w = NULL;
	int ret = workload_load(l->workload, no_dirs, &w, err);

	if (!ret)
		ret = workload_set_all(w, l->set, l->nr_sets, err);
	if (!ret && !den) {
		num = w->bench_scale.num ? w->bench_scale.num : 1;
		den = w->bench_scale.den ? w->bench_scale.den : 1;
	}
	if (!ret)
		ret = workload_scale(w, num, den, err);
	return ret ? NULL : w;
}

static void tell(const struct workload *w, const struct cell_line *l, const struct cell *c)
{
	static const char *const name[] = { "ok", "skipped", "violation", "interrupted", "failed" };

	fprintf(stderr, "dpamt-guest: %s %s block %u: %s%s%s", w->name, l->strategy, l->block,
		name[c->status], c->reason[0] ? ": " : "", c->reason);
	if (c->elapsed_ns)
		fprintf(stderr, "; %" PRIu64 " TDs, %" PRIu64 " first touches (p50 %" PRIu64
			" ns), %" PRIu64 " flips, %" PRIu64 " installs in %.3f s", c->sum.tds,
			c->fault.count, hist_quantile(&c->fault, 1, 2), c->sum.flips,
			c->stats.install, c->elapsed_ns / 1e9);
	fputc('\n', stderr);
}

static void on_term(int sig)
{
	(void)sig;
	kvm_interrupted = 1;
}

/* The lines of samples.jsonl say how memory was. */
static void add_placement(json_t *j, double free_2m_pct)
{
	json_object_set_new(j, "fragmented", json_boolean(place_fragmented()));
	if (isfinite(free_2m_pct))
		json_object_set_new(j, "free_2m_pct", json_real(free_2m_pct));
}

/* For whoever knows when this host was started. */
static void tell_running(void)
{
	send_sample(json_pack("{s:s,s:b}", "kind", "host", "first_td", 1));
}

static int run_cell(const struct cell_line *l, bool first)
{
	struct sigaction sa = { .sa_handler = on_term };
	struct td_error err;
	struct workload *w = load(l, &err);
	struct cell *cell = cell_new();
	struct kvm_config c = {
		.workload = w, .strategy = l->strategy, .stats_dir = KERNEL_STATS_DIR,
		.emu_dir = KERNEL_EMU_DIR,
		.cpu = guest_cpus, .nr_cpus = guest_nr_cpus, .seed = l->seed,
		.running = first ? tell_running : NULL,
	};
	double free_2m_pct;
	json_t *j, *waits;
	int ret;

	if (!w || !cell) {
		fprintf(stderr, "dpamt-guest: %s\n", w ? "out of memory" : err.text);
		send_failure(l, l->workload, "failed", w ? "out of memory" : err.text);
		return EXIT_ENVIRONMENT;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	clock_init();
	free_2m_pct = place_free_2m_pct();
	kvm_waits_begin();
	kvm_run(&c, cell);
	waits = kvm_waits_end();
	tell(w, l, cell);
	j = kvm_cell_json(cell, w, l->strategy, l->block, l->seed);
	add_placement(j, free_2m_pct);
	if (waits)
		json_object_set_new(j, "waits", waits);
	send_sample(j);
	ret = cell->status == CELL_VIOLATION ? EXIT_REGRESSED :
	      cell->status == CELL_FAILED || cell->status == CELL_INTERRUPTED ? EXIT_ENVIRONMENT :
									EXIT_FINE;
	cell_free(cell);
	workload_free(w);
	return ret;
}

static time_t cell_seconds(void)
{
	const char *text = getenv("DPAMT_CELL_SECONDS");
	u64 seconds;

	return number(text, &seconds) && seconds ? (time_t)seconds : CELL_SECONDS;
}

/* Memory as the workload wants it, where it can be had; the cell runs anyway. */
static void place(const struct cell_line *l)
{
	struct td_error error;
	struct workload *w = place_can() ? load(l, &error) : NULL;
	char err[128];

	if (w && !place_wants(w))
		place_release();
	else if (w && place_fragment(err, sizeof(err)))
		fprintf(stderr, "dpamt-guest: %s: %s\n", w->name, err);
	workload_free(w);
}

/* 0, or the exit code of the process that ran the cell. */
static int run_line(const struct cell_line *l)
{
	time_t start = time(NULL), limit = cell_seconds();
	static bool begun;
	int status = 0;
	char reason[96];
	pid_t child;

	place(l);
	fflush(NULL);
	child = fork();
	if (!child)
		_exit(run_cell(l, !begun));
	begun = true;
	while (child > 0 && !waitpid(child, &status, WNOHANG)) {
		if (time(NULL) - start > limit)
			kill(child, time(NULL) - start > limit + CELL_GRACE ? SIGKILL : SIGTERM);
		usleep(20000);
	}
	if (child > 0 && WIFEXITED(status))
		return WEXITSTATUS(status);
	if (child < 0)
		snprintf(reason, sizeof(reason), "no process for the cell: %s", strerror(errno));
	else if (time(NULL) - start > limit)
		snprintf(reason, sizeof(reason), "hung: killed after %d s", (int)limit);
	else
		snprintf(reason, sizeof(reason), "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	fprintf(stderr, "dpamt-guest: %s %s: %s\n", l->workload, l->strategy, reason);
	send_failure(l, l->workload, "failed", reason);
	return EXIT_ENVIRONMENT;
}

/* What all cells together want of memory. */
static void expect_places(const char *path)
{
	FILE *f = place_can() ? fopen(path, "r") : NULL;
	char *text = NULL;
	struct cell_line l;
	struct td_error err;
	size_t size = 0;

	while (f && getline(&text, &size, f) > 0) {
		struct workload *w = parse_line(text, &l) ? load(&l, &err) : NULL;

		if (w)
			place_expect(w);
		workload_free(w);
	}
	free(text);
	if (f)
		fclose(f);
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	struct cell_line l;
	size_t size = 0;
	int worst = EXIT_FINE, ret, nr = 0;

	if (!f) {
		fprintf(stderr, "dpamt-guest: %s: %s\n", path, strerror(errno));
		return EXIT_USAGE;
	}
	expect_places(path);
	while (getline(&text, &size, f) > 0) {
		nr++;
		if (text[0] == '\n' || text[0] == '#')
			continue;
		if (!parse_line(text, &l)) {
			fprintf(stderr, "dpamt-guest: %s:%d: not a cell: workload, strategy, block, "
				"seed, scale, overrides, separated by tabs\n", path, nr);
			worst = EXIT_USAGE;
			continue;
		}
		ret = run_line(&l);
		/* a broken invariant is the worst that can be found */
		if (ret && worst != EXIT_REGRESSED)
			worst = ret;
	}
	free(text);
	fclose(f);
	return worst;
}

/* "dpamt.rate" on the kernel's command line: what a fault takes here, before the cells. */
static void measure_rate(void)
{
	char *words = kernel_stats_read("/proc", "cmdline"), *text, now[32] = "";
	struct kvm_config c = {
		.stats_dir = KERNEL_STATS_DIR, .emu_dir = KERNEL_EMU_DIR, .strategy = now,
		.cpu = guest_cpus, .nr_cpus = guest_nr_cpus,
	};
	bool wanted = words && strstr(words, "dpamt.rate");
	char err[256];
	double rate;

	free(words);
	text = wanted ? kernel_stats_read(KERNEL_STATS_DIR, "strategy") : NULL;
	if (text && kernel_stats_choice(text, now, sizeof(now))) {
		clock_init();
		rate = kvm_fault_rate(&c, err, sizeof(err));
		if (rate)
			send_sample(json_pack("{s:s,s:f,s:s}", "kind", "host", "faults_per_sec", rate,
					      "faults_strategy", now));
		else
			fprintf(stderr, "dpamt-guest: faults per second: %s\n", err);
	}
	free(text);
}

/* ------------------------------------------------------------- process 1 */

static void mount_on(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) && errno != EBUSY)
		fprintf(stderr, "dpamt-guest: %s on %s: %s\n", type, where, strerror(errno));
}

static void become_init(void)
{
	int console;

	mount_on("devtmpfs", "/dev");
	console = open("/dev/console", O_RDWR);
	for (int fd = 0; console >= 0 && fd < 3; fd++)
		dup2(console, fd);
	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("debugfs", "/sys/kernel/debug");
	mount_on("tmpfs", "/tmp");
}

static FILE *open_samples(const char *path)
{
	struct termios t;
	int fd = open(path, O_WRONLY | O_CREAT | O_NOCTTY, 0644);

	if (fd < 0)
		return NULL;
	if (!tcgetattr(fd, &t)) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	return fdopen(fd, "w");
}

typedef int (*verb_t)(int argc, char **argv);

static verb_t find_verb(const char *name)
{
	static const struct {
		const char *name;
		verb_t run;
	} verbs[] = {
		{ "kill", guest_kill },
		{ "churn", guest_churn },
		{ "faults", guest_faults },
		{ "owners", guest_owners },
	};

	for (size_t i = 0; name && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(name, verbs[i].name))
			return verbs[i].run;
	return NULL;
}

/* Cells, or the verb with what stands behind its name. */
static int run(verb_t verb, const char *cells, int argc, char **argv)
{
	char err[256];

	guest_find_cpus();
	if (kvm_probe(err, sizeof(err))) {
		guest_say("%s", err);
		return EXIT_ENVIRONMENT;
	}
	if (!verb)
		measure_rate();
	return verb ? verb(argc - 2, argv + 2) : run_file(cells);
}

static void power_off(int ret)
{
	if (samples) {
		send_sample(json_pack("{s:s,s:i}", "kind", "end", "exit", ret));
		tcdrain(fileno(samples));
	}
	fprintf(stderr, "dpamt-guest: exit %d\ndpamt-init: done\n", ret);
	sync();
	reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
	bool init = getpid() == 1;
	verb_t verb = find_verb(argv[1]);
	const char *cells = argc > 1 && !init ? argv[1] : "/cells";
	const char *to = init ? "/dev/ttyS1" : argc > 2 && !verb ? argv[2] : NULL;
	int ret = EXIT_ENVIRONMENT;

	if (init)
		become_init();
	else if (!verb && (argc > 3 || (argc > 1 && argv[1][0] == '-'))) {
		fprintf(stderr, "usage: dpamt-guest [CELLS [SAMPLES]] | kill [N [STRATEGY]] | "
			"churn [SECONDS] | faults [NAME..] | owners\n");
		return EXIT_USAGE;
	}
	samples = to ? open_samples(to) : stdout;
	if (samples)
		ret = run(verb, cells, argc, argv);
	else
		guest_say("%s: %s", to, strerror(errno));
	if (init)
		power_off(ret);
	return ret;
}
