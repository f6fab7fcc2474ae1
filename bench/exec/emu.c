// SPDX-License-Identifier: GPL-2.0-only
/*
 * The executor `emu` (emu.h): which cells share a boot, the process that boots, and
 * its lines.
 *
 * The script answers in lines of samples.jsonl, in the order of its cells. So a cell
 * whose line does not come is known by name, and those before it are kept.
 */
#define _GNU_SOURCE
#include "exec/emu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure/environment.h"

#define EXIT_FINE 0
#define EXIT_REGRESSED 1
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3

#define CELL_SECONDS 320	/* the guest gives up on a cell before that */
#define BOOT_SECONDS 120
#define MIN_CPUS 4
#define MIN_MEMORY (4ul << 30)
/* As many regions as this host can hold: with few of them no page is alone. */
#define FRAGMENTED_MEMORY (8ul << 30)

/* One boot: its cells, and the script at work. */
struct boot {
	const struct plan *p;
	unsigned int block, nr, got;
	const struct plan_cell **cell;	/* in order; @got of them have answered */
	bool violation;			/* a cell has said so itself */
	bool measure;			/* faults per second too */
	char *log, *messages;		/* files: console; what the script says */
	FILE *pipe;
	pid_t script;
	u64 started;			/* when the script was */
};

/* --------------------------------------------------------------- the script */

/* @file of the tree that TREE/build/dpamt is of. */
static void tree_path(char *path, size_t size, const char *file)
{
	char exe[PATH_MAX - 64];
	char *slash;
	ssize_t n;
	int i;

	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = 0;
	for (i = 0; i < 2; i++) {
		slash = strrchr(exe, '/');
		if (slash)
			*slash = 0;
	}
	snprintf(path, size, "%s/%s", exe, file);
}

/* DPAMT_SCRIPTS names another folder. */
static void script_path(char *path, size_t size)
{
	const char *dir = getenv("DPAMT_SCRIPTS");

	if (dir && *dir)
		snprintf(path, size, "%s/emu-run.sh", dir);
	else
		tree_path(path, size, "scripts/emu-run.sh");
}

/* ---------------------------------------------------------------- placement */

static bool wants_scattered(const struct workload *w)
{
	return w->placement.pick == WL_SCATTERED;
}

static bool in_path(const char *name)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];

	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)len, dirs, name);
		if (!access(path, X_OK))
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

/* The job that fragments the host's memory; false: nobody wants it, or there is no fio. */
static bool fio_job(const struct plan *p, char *path, size_t size)
{
	bool wanted = false;

	for (unsigned int i = 0; i < p->nr_workloads; i++)
		wanted |= wants_scattered(p->workload[i]);
	tree_path(path, size, "workloads/fio/fragment.fio");
	return wanted && in_path("fio") && !access(path, R_OK);
}

/* Start the script with @argv; its stdin and stdout in @in and @out where wanted. */
static pid_t start(char **argv, int *in, int *out, const char *messages)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, err = -1;
	pid_t pid = -1;

	if ((in && pipe2(to, O_CLOEXEC)) || (out && pipe2(from, O_CLOEXEC)))
		goto out;
	if (messages) {
		err = open(messages, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (err < 0)
			goto out;
	}
	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		/* a page that the emulated host touches would cost 2M of this one, zeroed */
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		signal(SIGPIPE, SIG_DFL);
		if (in)
			dup2(to[0], 0);
		dup2(out ? from[1] : 2, 1);
		if (err >= 0)
			dup2(err, 2);
		execv(argv[0], argv);
		fprintf(stderr, "dpamt: %s: %s\n", argv[0], strerror(errno));
		_exit(EXIT_ENVIRONMENT);
	}
out:
	if (err >= 0)
		close(err);
	if (in)
		close(to[0]);
	if (out)
		close(from[1]);
	if (pid > 0) {
		if (in)
			*in = to[1];
		if (out)
			*out = from[0];
		return pid;
	}
	if (in)
		close(to[1]);
	if (out)
		close(from[0]);
	return -1;
}

static int finish(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_ENVIRONMENT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_ENVIRONMENT;
}

int emu_check(const struct plan *p)
{
	u64 need = emu_memory(p), have = environment_memory_available();
	char script[PATH_MAX];
	char *argv[] = { script, "--check", NULL };
	pid_t pid;

	script_path(script, sizeof(script));
	if (access(script, X_OK)) {
		fprintf(stderr, "dpamt: --on emu: %s: %s; it boots the emulated host; DPAMT_SCRIPTS "
			"names its folder\n", script, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	if (have && need > have + (1ul << 30)) {
		fprintf(stderr, "dpamt: --on emu: the emulated host needs %" PRIu64 " MiB for these "
			"workloads, %" PRIu64 " MiB are available; shrink them with --scale 1/N\n",
			need >> 20, have >> 20);
		return EXIT_USAGE;
	}
	/* The script says itself what is missing, and the line to run. */
	pid = start(argv, NULL, NULL, NULL);
	return pid < 0 || finish(pid) ? EXIT_ENVIRONMENT : EXIT_FINE;
}

/* ----------------------------------------------------------------- the host */

unsigned int emu_cpus(const struct plan *p)
{
	u64 cpus = MIN_CPUS;
	unsigned int i, g;

	for (i = 0; i < p->nr_workloads; i++)
		for (g = 0; g < p->workload[i]->nr_tds; g++)
			cpus = max(cpus, (u64)p->workload[i]->tds[g].vcpus);
	return cpus;
}

/* All TDs' memory at once, shared copies of what is converted, and the host's own. */
u64 emu_memory(const struct plan *p)
{
	char job[PATH_MAX];
	u64 most = 0;
	unsigned int i, g;

	for (i = 0; i < p->nr_workloads; i++) {
		u64 all = 0;

		for (g = 0; g < p->workload[i]->nr_tds; g++)
			all += p->workload[i]->tds[g].count *
			       (p->workload[i]->tds[g].memory + (2ul << 20));
		most = max(most, all);
	}
	most = most * 5 / 4 + (2ul << 30);
	if (fio_job(p, job, sizeof(job)) &&
	    environment_memory_available() > FRAGMENTED_MEMORY + (2ul << 30))
		most = max(most, (u64)FRAGMENTED_MEMORY);
	return max((u64)MIN_MEMORY, (most + (1ul << 30) - 1) & -(1ul << 30));
}

bool emu_own_boot(const struct pamt_ops *ops)
{
	return ops->preinstalled || !ops->dynamic;
}

double emu_estimate(const struct plan *p)
{
	const double boot = 8, fragment = 8, fault = 1 / 15e3, td = 15e-3;
	char job[PATH_MAX];
	unsigned int i, g, boots = 0;
	double s = 0;

	for (i = 0; i < p->nr_workloads; i++)
		for (g = 0; g < p->workload[i]->nr_tds; g++) {
			const struct wl_td *t = &p->workload[i]->tds[g];

			s += t->count * t->lives * (t->memory / 4096.0 * fault + td);
		}
	for (i = 0; i < p->nr_ops; i++)
		boots += emu_own_boot(p->ops[i]);
	boots += boots < p->nr_ops;
	return (s * p->nr_ops +
		boots * (boot + (fio_job(p, job, sizeof(job)) ? fragment : 0))) * p->blocks;
}

static void add_mark(json_t *marks, const char *text)
{
	json_array_append_new(marks, json_pack("{s:s}", "text", text));
}

/* What the emulated host has said about itself, in words. */
static void add_facts(json_t *marks, const json_t *host)
{
	const json_t *first = json_object_get(host, "first_td_ns");
	const json_t *rate = json_object_get(host, "faults_per_sec");
	const json_t *trap = json_object_get(host, "seamcall_trap_ns");
	const json_t *call = json_object_get(host, "seamcall_call_ns");
	char text[400];

	if (first) {
		snprintf(text, sizeof(text), "From QEMU's start until the first TD ran: %.1f s, the longest "
			 "of all boots.", json_number_value(first) / 1e9);
		add_mark(marks, text);
	}
	if (rate) {
		snprintf(text, sizeof(text), "Private faults per second, one TD of 2 vCPUs on 2 CPUs, "
			 "strategy %s: %.1f thousand.",
			 json_string_value(json_object_get(host, "faults_strategy")),
			 json_number_value(rate) / 1e3);
		add_mark(marks, text);
	}
	if (trap && call) {
		snprintf(text, sizeof(text), "The emulation of a SEAMCALL, the same cheap leaf each time: %.0f "
			 "ns through #UD, %.0f ns as a plain call of the module.",
			 json_number_value(trap), json_number_value(call));
		add_mark(marks, text);
	}
}

void emu_describe(const struct plan *p, json_t *meta)
{
	json_t *host = json_object_get(meta, "host"), *marks = json_array();
	const char *accelerator = json_string_value(json_object_get(host, "accelerator"));
	/* Unless it is known to be KVM, what it says is what TCG allows. */
	bool kvm = accelerator && !strcmp(accelerator, "kvm");
	char job[PATH_MAX];
	bool fio = fio_job(p, job, sizeof(job));

	if (!host) {
		host = json_pack("{s:i,s:I,s:b}", "cpus", (int)p->threads, "memory_bytes",
				 (json_int_t)emu_memory(p), "fio", fio);
		json_object_set_new(meta, "host", host);
	}
	add_mark(marks, "Emulated: Linux with its own TDX and KVM code runs in QEMU; the instructions, "
			"CPUID and MSRs of a TDX host and the TDX module are software. Counts, memory, "
			"code paths and invariants are real; the cost of a SEAMCALL is that of its "
			"emulation.");
	add_mark(marks, kvm ? "Latency: the accelerator is KVM; the kernel's own code runs at its speed, "
			      "SEAMCALLs and TD entries at the emulation's." :
			      "Latency is distorted: under TCG every instruction is translated, and a vCPU "
			      "of the host is a thread that the machine below may preempt inside a lock. "
			      "No time and no share of time says anything about a TDX host; compare "
			      "strategies by counts and memory. So the primary metric is PAMT memory at "
			      "its peak, whatever a workload file names.");
	add_mark(marks, fio ? "Placement is the kernel's allocator's. Before workloads that ask for scattered "
			      "pages fio fragments the host's memory (workloads/fio/fragment.fio); the others "
			      "run before it, on memory as after the boot. What came out is in \"lone "
			      "regions\", by the kernel's counts when the first TD is about to go." :
			      "Placement is the kernel's allocator's: what a workload file asks for is not "
			      "imposed. With fio installed, memory would be fragmented for workloads that "
			      "ask for scattered pages.");
	add_mark(marks, "Exact: when the first TD is about to go, all vCPUs are stopped, and the kernel's "
			"number of pairs, the module's census and the sum of the report's rows must be the "
			"same, as must be references and pages that the module has; so they must before "
			"and after each cell, with the module's answer about every region. A cell where they "
			"differ is a violation.");
	add_mark(marks, "A boot is the unit of noise: strategies that are switched at run time share one "
			"per block, null and static have their own.");
	add_facts(marks, host);
	json_object_set_new(meta, "marks", marks);
	json_object_set_new(meta, "mark",
			    json_string(kvm ? "Emulated TDX host on KVM: SEAMCALL cost is the emulation's." :
					"Emulated TDX host under TCG: latency is distorted, SEAMCALL cost is "
					"the emulation's; read counts and memory."));
}

void emu_take_host(const struct plan *p, json_t *meta, const json_t *said)
{
	json_t *host = json_object_get(meta, "host"), *value;
	const char *key;

	json_object_foreach((json_t *)said, key, value) {
		const json_t *had = json_object_get(host, key);

		if (!strcmp(key, "kind") || !strcmp(key, "status") || !strcmp(key, "reason"))
			continue;
		/* the slowest of the boots */
		if (!strcmp(key, "first_td_ns") && had &&
		    json_number_value(had) > json_number_value(value))
			continue;
		json_object_set(host, key, value);
	}
	emu_describe(p, meta);
}

/*
 * A workload's primary metric here: what can be claimed. The time inside get and put
 * is not known from outside of the kernel, and TCG distorts all time.
 */
const char *emu_primary(void)
{
	return "pamt_peak_bytes";
}

/* -------------------------------------------------------------------- lines */

static bool send_line(FILE *pipe, json_t *j)
{
	int ret = j ? json_dumpf(j, pipe, JSON_COMPACT | JSON_REAL_PRECISION(12)) : -1;

	json_decref(j);
	return !ret && fputc('\n', pipe) != EOF && !fflush(pipe);
}

static const char *workload_name(const struct boot *b, unsigned int i)
{
	return b->p->workload[b->cell[i]->workload]->name;
}

static const char *strategy_name(const struct boot *b, unsigned int i)
{
	return b->p->ops[b->cell[i]->strategy]->name;
}

/* The cell in the guest's hands, for the progress line and for a death. */
static void announce(struct boot *b)
{
	if (b->got < b->nr)
		send_line(b->pipe, json_pack("{s:s,s:s,s:s}", "kind", "begin", "workload",
					     workload_name(b, b->got), "strategy",
					     strategy_name(b, b->got)));
}

/*
 * The end of the script's messages says why it failed: its last line that is not what
 * the guest said of its cells, where there is one.
 */
static void last_message(const struct boot *b, char *text, size_t size)
{
	FILE *f = fopen(b->messages, "r");
	bool guest, script = false;
	char *line = NULL;
	size_t room = 0;

	snprintf(text, size, "%s", "no message");
	while (f && getline(&line, &room, f) > 0)
		if (line[strcspn(line, "\r\n")] && line[0] != '\n') {
			line[strcspn(line, "\r\n")] = 0;
			guest = !strncmp(line, "dpamt-guest: ", 13);
			if (!guest || !script)
				snprintf(text, size, "%s", line);
			script |= !guest;
		}
	free(line);
	if (f)
		fclose(f);
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void take(struct boot *b, const char *line)
{
	json_error_t e;
	json_t *j = json_loads(line, 0, &e);
	const char *kind = json_string_value(json_object_get(j, "kind"));
	const char *strategy = json_string_value(json_object_get(j, "strategy"));
	const char *status = json_string_value(json_object_get(j, "status"));

	if (kind && !strcmp(kind, "host")) {
		/* the guest knows that a TD runs, and not since when QEMU does */
		if (json_is_true(json_object_get(j, "first_td"))) {
			json_object_del(j, "first_td");
			json_object_set_new(j, "first_td_ns", json_integer(now_ns() - b->started));
		}
		send_line(b->pipe, j);
		return;
	}
	if (!kind || strcmp(kind, "cell") || b->got == b->nr || !strategy ||
	    strcmp(strategy, strategy_name(b, b->got))) {
		fprintf(stderr, "dpamt: block %u: a line that no cell was asked for: %.80s\n", b->block,
			line);
		json_decref(j);
		return;
	}
	/* A cell that failed before its file was read has no more than the file's name. */
	json_object_set_new(j, "workload", json_string(workload_name(b, b->got)));
	b->violation |= status && !strcmp(status, "violation");
	b->got++;
	send_line(b->pipe, j);
	announce(b);
}

/* ------------------------------------------------------------------- a boot */

static bool write_cells(const struct boot *b, int fd)
{
	const struct plan *p = b->p;
	FILE *f = fdopen(fd, "w");
	unsigned int i;
	size_t s;

	if (!f) {
		close(fd);
		return false;
	}
	for (i = 0; i < b->nr; i++) {
		unsigned int w = b->cell[i]->workload;

		fprintf(f, "%s\t%s\t%u\t%" PRIu64 "\t%u", p->source[w].path, strategy_name(b, i),
			b->block, plan_cell_seed(p, b->block, w), p->scale_den);
		for (s = 0; s < p->source[w].nr_sets; s++)
			fprintf(f, "\t%s", p->source[w].sets[s]);
		fputc('\n', f);
	}
	return !fclose(f);
}


/* Read lines until the script closes its end; one that says nothing for too long is ended. */
static void follow(struct boot *b, int fd)
{
	u64 heard = now_ns();
	char *text = NULL, *eol;
	size_t len = 0, room = 0;
	bool stopped = false;
	ssize_t n;

	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		int ready = poll(&wait, 1, 500);

		if (!stopped && (model_interrupted ||
				 now_ns() - heard > (CELL_SECONDS + BOOT_SECONDS) * 1000000000ull)) {
			kill(b->script, SIGTERM);
			stopped = true;
		}
		if (ready <= 0)
			continue;
		if (room - len < 65536) {
			char *more = realloc(text, room + 262144);

			if (!more)
				break;
			text = more;
			room += 262144;
		}
		n = read(fd, text + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += n;
		heard = now_ns();
		while ((eol = memchr(text, '\n', len))) {
			*eol = 0;
			take(b, text);
			len -= eol + 1 - text;
			memmove(text, eol + 1, len);
		}
	}
	free(text);
}

/* What the exit code of the script adds to the lines that came. */
static int judge(struct boot *b, int code)
{
	char reason[512], last[400];
	const char *status = code == EXIT_REGRESSED ? "violation" : "failed";

	if (model_interrupted || (!code && b->got == b->nr))
		return EXIT_FINE;
	last_message(b, last, sizeof(last));
	if (b->got < b->nr) {
		snprintf(reason, sizeof(reason), "the emulated host ended before this cell did: %s", last);
		send_line(b->pipe, json_pack("{s:s,s:s,s:s,s:i,s:s,s:s}", "kind", "cell", "workload",
					     workload_name(b, b->got), "strategy",
					     strategy_name(b, b->got), "block", (int)b->block, "status",
					     status, "reason", reason));
		if (b->nr - b->got > 1)
			fprintf(stderr, "dpamt: block %u: %u more cells of that boot have not run\n",
				b->block, b->nr - b->got - 1);
	} else if (code == EXIT_REGRESSED && !b->violation) {
		snprintf(reason, sizeof(reason), "the emulated host's log: %s", last);
		send_line(b->pipe, json_pack("{s:s,s:s,s:s}", "kind", "host", "status", status, "reason",
					     reason));
	}
	return b->got || code == EXIT_REGRESSED ? EXIT_FINE : EXIT_ENVIRONMENT;
}

static int run_boot(struct boot *b)
{
	const struct pamt_ops *ops = b->p->ops[b->cell[0]->strategy];
	char script[PATH_MAX], log[PATH_MAX + 16], smp[32], memory[32], timeout[32], append[96];
	char job[PATH_MAX], fio[PATH_MAX + 16];
	char *argv[] = { script, log, smp, memory, timeout, append, "-", NULL, NULL };
	int in, out, code;
	bool sent;

	script_path(script, sizeof(script));
	snprintf(log, sizeof(log), "--log=%s", b->log);
	snprintf(smp, sizeof(smp), "--smp=%u", b->p->threads);
	snprintf(memory, sizeof(memory), "--memory=%" PRIu64 "M", emu_memory(b->p) >> 20);
	snprintf(timeout, sizeof(timeout), "--timeout=%u", BOOT_SECONDS + b->nr * CELL_SECONDS);
	/* once in a run, where it is a figure of Dynamic PAMT */
	snprintf(append, sizeof(append), "--append=tdx_pamt=%s%s", ops->name,
		 b->measure && !emu_own_boot(ops) ? " dpamt.rate" : "");
	if (fio_job(b->p, job, sizeof(job))) {
		snprintf(fio, sizeof(fio), "--fio=%s", job);
		argv[7] = argv[6];
		argv[6] = fio;
	}
	b->started = now_ns();
	b->script = start(argv, &in, &out, b->messages);
	if (b->script < 0) {
		fprintf(stderr, "dpamt: %s cannot be started: %s\n", script, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	announce(b);
	sent = write_cells(b, in);
	follow(b, out);
	close(out);
	code = finish(b->script);
	return judge(b, sent || code ? code : EXIT_ENVIRONMENT);
}

/*
 * Take the cells that go with @cell[@first] out of the list, in order; those that want
 * scattered memory last, since what was fragmented does not become whole again.
 */
static void collect(struct boot *b, const struct plan_cell *cell, unsigned int first,
		    unsigned int nr, bool *taken)
{
	bool own = emu_own_boot(b->p->ops[cell[first].strategy]);
	unsigned int i, scattered;

	for (scattered = 0; scattered < 2; scattered++) {
		for (i = first; i < nr; i++) {
			if (taken[i] || wants_scattered(b->p->workload[cell[i].workload]) != scattered ||
			    (own ? cell[i].strategy != cell[first].strategy :
				   emu_own_boot(b->p->ops[cell[i].strategy])))
				continue;
			b->cell[b->nr++] = &cell[i];
			taken[i] = true;
		}
	}
}

/*
 * The cells' order is random, and boots follow it: the first cell that has not run
 * decides which boot is next.
 */
int emu_block(const struct plan *p, unsigned int block, FILE *pipe)
{
	unsigned int room = p->nr_workloads * p->nr_ops, i, nr, boots = 0;
	struct plan_cell *cell = calloc(room, sizeof(*cell));
	const struct plan_cell **list = calloc(room, sizeof(*list));
	bool *taken = calloc(room, sizeof(*taken));
	int ret = EXIT_FINE;

	if (!cell || !list || !taken)
		return EXIT_ENVIRONMENT;
	nr = plan_order(p, block, cell);
	for (i = 0; i < nr; i++)
		taken[i] = plan_is_done(p, block, &cell[i]);
	for (i = 0; i < nr && !ret && !model_interrupted; i++) {
		struct boot b = { .p = p, .block = block, .cell = list, .pipe = pipe,
				  .measure = !block };

		if (taken[i])
			continue;
		collect(&b, cell, i, nr, taken);
		if (asprintf(&b.log, "%s/host-%u-%u.log", p->dir, block, boots) < 0 ||
		    asprintf(&b.messages, "%s/host-%u-%u.txt", p->dir, block, boots) < 0)
			return EXIT_ENVIRONMENT;
		boots++;
		ret = run_boot(&b);
		if (ret) {
			char last[400];

			last_message(&b, last, sizeof(last));
			fprintf(stderr, "dpamt: %s\n", last);
		}
		free(b.log);
		free(b.messages);
	}
	free(taken);
	free(list);
	free(cell);
	return ret;
}
