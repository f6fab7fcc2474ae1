// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt calibrate: machine file `this` from measurements of the machine at hand, and
 * dpamt simulate --measured: get and put of each strategy, measured here against
 * simulated on that machine.
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "exec/twin.h"
#include "measure/clock.h"
#include "td/units.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PAIRS 200u	/* of each kind; more are sampled evenly */
#define MAX_LINES 2048u	/* on which a kind of pairs is measured, all pairs together */
#define LINE_ROUNDS 300u
#define MEASURED_PASSES 24u

/* Pairs of CPUs by where they sit. */
enum kind { SIBLING, LOCAL, REMOTE, KINDS };

static const char *const kind_names[KINDS] = {
	"threads of a core", "cores of a socket", "sockets",
};

struct class {
	unsigned int found, measured;
	uint64_t low, high;		/* of a pair's transfer */
	struct twin_pair sum;
};

struct calibration {
	struct topology *topo;
	const struct topology_cpu *cpu;
	size_t nr;
	struct twin_lines lines;
	struct class class[KINDS];
	struct twin_share share;	/* of the first two CPUs */
	unsigned int sockets, cores, threads;
};

static enum kind kind_of(const struct topology_cpu *a, const struct topology_cpu *b)
{
	return a->core == b->core ? SIBLING : a->package == b->package ? LOCAL : REMOTE;
}

static void shape(struct calibration *c)
{
	unsigned int first = c->cpu[0].package, i, j;

	for (i = 0; i < c->nr; i++) {
		bool new_package = true, new_core = true;

		for (j = 0; j < i; j++) {
			new_package &= c->cpu[j].package != c->cpu[i].package;
			new_core &= c->cpu[j].core != c->cpu[i].core;
		}
		c->sockets += new_package;
		c->cores += new_core && c->cpu[i].package == first;
		if (c->cpu[i].thread + 1 > c->threads)
			c->threads = c->cpu[i].thread + 1;
	}
}

/* Few pairs get many lines each, many pairs a few. */
static unsigned int lines_of(const struct class *k)
{
	unsigned int pairs = k->found < MAX_PAIRS ? k->found : MAX_PAIRS;

	return MAX_LINES / pairs < 128 ? MAX_LINES / pairs : 128;
}

static int measure_pairs(struct calibration *c, bool quiet)
{
	unsigned int seen[KINDS] = { 0 };
	struct twin_pair p;

	for (size_t i = 0; i < c->nr; i++)
		for (size_t j = i + 1; j < c->nr; j++)
			c->class[kind_of(&c->cpu[i], &c->cpu[j])].found++;
	for (size_t i = 0; i < c->nr; i++)
		for (size_t j = i + 1; j < c->nr; j++) {
			enum kind kind = kind_of(&c->cpu[i], &c->cpu[j]);
			struct class *k = &c->class[kind];
			unsigned int a = c->cpu[i].cpu, b = c->cpu[j].cpu;

			if (seen[kind]++ % ((k->found - 1) / MAX_PAIRS + 1))
				continue;
			if (twin_pair_measure(c->topo, a, b, lines_of(k), &p) ||
			    twin_handover_measure(c->topo, a, b, lines_of(k), &p)) {
				complain(0, "CPUs %u and %u are left out: they never ran side by side", a, b);
				continue;
			}
			k->low = k->low && k->low < p.transfer ? k->low : p.transfer;
			k->high = k->high > p.transfer ? k->high : p.transfer;
			k->sum.transfer += p.transfer;
			k->sum.spread += p.spread;
			k->sum.contended += p.contended;
			k->sum.handover += p.handover;
			k->measured++;
			if (!quiet)
				complain(0, "CPUs %u and %u, %s: transfer %.1f ns, contended add %.1f ns, "
					    "spinlock section %.1f ns",
					 a, b, kind_names[kind],
					 p.transfer / 1e3, p.contended / 1e3, p.handover / 1e3);
		}
	for (enum kind kind = 0; kind < KINDS; kind++)
		if (c->class[kind].found && !c->class[kind].measured)
			return complain(DPAMT_ENVIRONMENT,
					"no two CPUs on %s ever ran side by side: the machine is busy",
					kind_names[kind]);
	return DPAMT_FINE;
}

/* ---------------------------------------------------------------- writing */

static uint64_t most(uint64_t v, uint64_t limit)
{
	return v < limit ? v : limit;
}

#define BELOW_PS 1000u	/* what differences of loops cannot tell from nothing */

static void line(FILE *f, const char *key, uint64_t ps, uint64_t low, uint64_t high,
		 const char *source)
{
	if (!ps && !high) {
		fprintf(f, "%s = 0ps range 0ps..%ups \\\n\tsource \"below what can be told here; %s\"\n", key,
			BELOW_PS, source);
		return;
	}
	fprintf(f, "%s = %llups range %llups..%llups \\\n\tsource \"%s\"\n", key,
		(unsigned long long)ps, (unsigned long long)(low < ps ? low : ps),
		(unsigned long long)(high > ps ? high : ps), source);
}

static struct twin_pair class_mean(const struct class *k)
{
	return (struct twin_pair){
		.transfer = k->sum.transfer / k->measured, .spread = k->sum.spread / k->measured,
		.contended = k->sum.contended / k->measured, .handover = k->sum.handover / k->measured,
	};
}

/* Pairs that stand for cores of a socket, where there are none: one CPU a socket, or one core. */
static enum kind nearest_kind(const struct calibration *c)
{
	return c->class[LOCAL].measured ? LOCAL : c->class[REMOTE].measured ? REMOTE : SIBLING;
}

/* A transfer between pairs of @k: from the nearest to the farthest, give or take what lines differ by. */
static void pairs_line(FILE *f, const char *key, uint64_t ps, const struct class *k,
		       const char *source)
{
	uint64_t spread = class_mean(k).spread;

	line(f, key, ps, k->low > spread ? k->low - spread : 0, k->high + spread, source);
}

/* A constant of which the measurement is good to a fifth. */
static void own_line(FILE *f, const char *key, uint64_t ps, const char *source)
{
	line(f, key, ps, ps * 4 / 5, ps * 6 / 5, source);
}

static void write_lines(FILE *f, const struct calibration *c)
{
	enum kind kind = nearest_kind(c);
	const struct class *near = &c->class[kind];
	struct twin_pair p = class_mean(near);
	uint64_t ps[LINE_NR], local, far;
	char text[200];

	twin_constants(&c->lines, &p, ps);
	local = ps[LINE_local];
	fprintf(f, "\n[line]\n");
	own_line(f, "read_hit", ps[LINE_read_hit],
		 "measured: what a load adds to a cmpxchg on another word, 1024 words in turn");
	own_line(f, "reload", ps[LINE_reload],
		 "measured: what a load adds to the cmpxchg before it on the same word");
	own_line(f, "write_hit", ps[LINE_write_hit],
		 "measured: half of what a load and two stores between locked adds add, less the load");
	own_line(f, "rmw_hit", ps[LINE_rmw_hit], "measured: locked add on an own line");
	line(f, "shared", ps[LINE_shared], ps[LINE_shared] / 2, ps[LINE_shared],
	     "derived: as local, but no more than memory");
	if (c->threads > 1) {
		const struct class *k = &c->class[SIBLING];

		pairs_line(f, "sibling", most(class_mean(k).transfer, local), k,
			   "measured: a turn handed over between threads of a core, mean over the pairs");
	}
	snprintf(text, sizeof(text),
		 "measured: a turn handed over between %s, mean over %u of %u pairs and %u lines; a "
		 "queued spinlock section takes %.0f ns",
		 kind_names[kind], near->measured, near->found, lines_of(near),
		 (double)p.handover / 1e3);
	line(f, "local", local, local > p.spread ? local - p.spread : 0, local + p.spread, text);
	if (c->sockets > 1) {
		const struct class *k = &c->class[REMOTE];

		far = class_mean(k).transfer;
		pairs_line(f, "remote", far > local ? far : local, k,
			   "measured: a turn handed over between sockets, mean over the pairs");
	}
	own_line(f, "memory", ps[LINE_memory],
		 "measured: dependent loads over 64 MiB that was flushed");
	snprintf(text, sizeof(text),
		 "measured: a locked add takes %.1f ns where two CPUs add to one word; derived: keep = (2 "
		 "x local / that - 1/2) x rmw_hit", (double)p.contended / 1e3);
	line(f, "keep", ps[LINE_keep], 0, 2 * ps[LINE_keep], text);
	line(f, "spread", ps[LINE_spread], 0, 2 * ps[LINE_spread],
	     "measured: half of what lies between the quartiles of that turn over the lines");
	snprintf(text, sizeof(text), "measured: half of what waiting for a free lock adds to taking it (clock: %s)",
		 clock_name());
	own_line(f, "clock", ps[LINE_clock], text);
}

static void write_costs(FILE *f, const struct machine *m)
{
	char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], c[UNITS_TEXT_MAX];

	fprintf(f, "\n[cost]\n");
	for (int i = 0; i < COST_NR; i++) {
		const struct machine_cost *k = &m->costs[i];

		fprintf(f, "%s = %s range %s..%s", machine_cost_name((enum cost)i), format_time(a, k->ns),
			format_time(b, k->low), format_time(c, k->high));
		for (uint32_t q = 0; q < k->nr_quantiles; q++)
			fprintf(f, "%s%llu:%s", q ? "," : " quantiles ",
				(unsigned long long)k->quantiles[q].percent,
				format_time(a, k->quantiles[q].ns));
		fprintf(f, " \\\n\tsource \"%s\"\n", k->source);
	}
}

static void write_machine(FILE *f, const struct calibration *c, const struct machine *costs)
{
	fprintf(f,
		"; Written by dpamt calibrate. Lines are measured; costs are those of published.mach.\n"
		"[machine]\nname = this\ntitle = The machine at hand: %zu CPUs, measured\n"
		"note = Clocks and neighbours change: dpamt simulate --measured measures its lines anew. A load \\\n"
		"\tof a line that another CPU has modified takes %.0f ns, a locked add behind it %.0f, one to a \\\n"
		"\tline that both have loaded %.0f.\n"
		"\n[topology]\nsockets = %u\ncores = %u\nthreads = %u\n",
		c->nr, (double)c->share.load / 1e3, (double)c->share.add_behind / 1e3,
		(double)c->share.add_shared / 1e3, c->sockets, c->cores, c->threads);
	write_lines(f, c);
	write_costs(f, costs);
}

/* Where the file goes: beside its place at first, so that what is there stays until the new one is whole. */
struct target {
	const char *path;
	FILE *f;
};

static char temp_path[PATH_MAX + 16];	/* of the one that there is: "" while there is none */

static void on_signal(int sig)
{
	static const char text[] = "dpamt: interrupted; nothing is written\n";

	(void)sig;
	if (temp_path[0])
		unlink(temp_path);
	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? DPAMT_ENVIRONMENT : DPAMT_INCONCLUSIVE);
}

static void set_signals(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

/* A new file beside @path, as others of this process would be made. */
static FILE *open_beside(const char *path)
{
	mode_t mask = umask(0);
	sigset_t all, old;
	FILE *f;
	int fd;

	umask(mask);
	/* A path, not a name to be looked up, to machine_load(). */
	snprintf(temp_path, sizeof(temp_path), "%s%s.XXXXXX", strchr(path, '/') ? "" : "./", path);
	/* The file and its name come to be known together. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	fd = mkstemp(temp_path);
	if (fd < 0)
		temp_path[0] = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (fd < 0)
		return NULL;
	fchmod(fd, 0666 & ~mask);
	f = fdopen(fd, "w");
	if (!f) {
		unlink(temp_path);
		close(fd);
	}
	return f;
}

static int target_open(struct target *t, const char *path)
{
	struct stat st;

	t->path = path;
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return complain(DPAMT_USAGE, "--file: %s is no regular file", path);
	set_signals(on_signal);
	t->f = open_beside(path);
	if (!t->f)
		return complain(DPAMT_USAGE, "--file: %s: %s", path, strerror(errno));
	return DPAMT_FINE;
}

/* Take it into place if all is well with it and @ret is. */
static int target_close(struct target *t, int ret)
{
	struct machine *m = NULL;
	struct td_error err;
	bool bad;

	if (!t->f)
		return ret;
	/* What is left takes no time. */
	set_signals(SIG_IGN);
	bad = ferror(t->f);
	bad |= fclose(t->f) != 0;
	if (bad && !ret)
		ret = complain(DPAMT_ENVIRONMENT, "%s: cannot be written: %s", t->path,
			       strerror(errno ? errno : EIO));
	if (!ret && machine_load(temp_path, machine_dirs(), &m, &err))
		ret = complain(DPAMT_ENVIRONMENT, "what was measured makes no machine: %s", err.text);
	if (!ret && rename(temp_path, t->path))
		ret = complain(DPAMT_ENVIRONMENT, "%s: %s", t->path, strerror(errno));
	machine_free(m);
	if (ret)
		unlink(temp_path);
	else
		printf("%s\n", t->path);
	return ret;
}

int verb_calibrate(const struct options *o)
{
	struct calibration c = { 0 };
	struct target target = { 0 };
	struct machine *costs = NULL;
	struct td_error err;
	char text[256], path[PATH_MAX];
	int ret;

	clock_init();
	if (topology_open(&c.topo, text, sizeof(text)))
		return complain(DPAMT_ENVIRONMENT, "%s", text);
	c.cpu = topology_cpus(c.topo, &c.nr);
	shape(&c);
	snprintf(path, sizeof(path), "%s/this.mach", machine_dirs()[0]);
	ret = target_open(&target, o->v[OPT_FILE].set ? o->v[OPT_FILE].text : path);
	if (!ret && machine_load("published", machine_dirs(), &costs, &err))
		ret = complain(DPAMT_ENVIRONMENT, "%s", err.text);
	if (!ret && c.sockets * c.cores * c.threads > MACHINE_CPUS_MAX)
		ret = complain(DPAMT_ENVIRONMENT, "this machine has %u CPUs, a machine file at most %u",
			       c.sockets * c.cores * c.threads, MACHINE_CPUS_MAX);
	if (!ret && c.nr < 2)
		ret = complain(DPAMT_SKIPPED, "there is one CPU: no line can move between CPUs");
	if (!ret && twin_lines_measure(c.topo, c.cpu[0].cpu, LINE_ROUNDS, &c.lines))
		ret = complain(DPAMT_ENVIRONMENT, "CPU %u cannot be measured", c.cpu[0].cpu);
	if (!ret)
		ret = measure_pairs(&c, o->v[OPT_QUIET].set);
	if (!ret && twin_share_measure(c.topo, c.cpu[0].cpu, c.cpu[1].cpu, &c.share))
		ret = complain(DPAMT_ENVIRONMENT, "CPUs %u and %u cannot be had", c.cpu[0].cpu,
			       c.cpu[1].cpu);
	if (!ret && c.cpu[0].core != c.cpu[1].core && !twin_migrates(&c.share))
		complain(0, "loads do not take over modified lines here (see the note in the file): the "
			    "simulated machine assumes that they do, and is too cheap");
	if (!ret)
		write_machine(target.f, &c, costs);
	ret = target_close(&target, ret);
	machine_free(costs);
	topology_free(c.topo);
	return ret;
}

/* ----------------------------------------------------- measured, simulated */

static const char *const columns[TWIN_CASES] = {
	"1 CPU, 1 word", "1 CPU, 1024 words", "2 CPUs, same word", "2 CPUs, own words",
};

static void print_conditions(const struct twin_conditions *c)
{
	printf("get and put, ns: measured on this machine, simulated on one with its lines, and the ratio; means over\n"
	       "%u passes, the lines of each pass measured in it: locked add %.1f ns, transfer %.0f ns +- %.0f, clock "
	       "%.0f ns\n\n%-12s",
	       c->passes, (double)c->ps[LINE_rmw_hit] / 1e3, (double)c->ps[LINE_local] / 1e3,
	       (double)c->ps[LINE_spread] / 1e3, (double)c->ps[LINE_clock] / 1e3, "");
	for (int i = 0; i < TWIN_CASES; i++)
		printf("  %24s", columns[i]);
	printf("\n");
}

static int print_rows(const struct twin_row *r, size_t nr, const struct twin_conditions *conditions)
{
	unsigned int met = 0, all = 0;

	print_conditions(conditions);
	for (size_t i = 0; i < nr; i++) {
		printf("%-12s", r[i].strategy);
		for (int c = 0; c < TWIN_CASES; c++) {
			double ratio = r[i].simulated[c] / r[i].measured[c];
			bool ok = ratio >= 0.8 && ratio <= 1.2;

			printf("  %8.1f %8.1f %5.2f%c", r[i].measured[c], r[i].simulated[c], ratio,
			       ok ? ' ' : '!');
			met += ok;
			all++;
		}
		printf("\n");
	}
	printf("\nwithin 20%%: %u of %u ('!': not)\n", met, all);
	return met == all ? DPAMT_FINE : DPAMT_REGRESSED;
}

int simulate_measured(const struct options *o)
{
	const struct option_value *v = &o->v[OPT_STRATEGY];
	struct twin_row *r = must_calloc(v->nr, sizeof(*r));
	struct twin_conditions conditions;
	struct topology *topo = NULL;
	struct machine *m = NULL;
	struct td_error err;
	char text[256];
	size_t nr = 0, cpus;
	int ret = DPAMT_FINE;

	/* Controls touch nothing: there is nothing to compare. */
	for (size_t i = 0; i < v->nr; i++)
		if (!strategy_is_control(v->list[i]))
			r[nr++].strategy = v->list[i];
	clock_init();
	if (machine_load("this", machine_dirs(), &m, &err))
		ret = complain(DPAMT_USAGE, "machine `this` (run dpamt calibrate): %s", err.text);
	else if (topology_open(&topo, text, sizeof(text)))
		ret = complain(DPAMT_ENVIRONMENT, "%s", text);
	else if (topology_cpus(topo, &cpus), cpus < 2)
		ret = complain(DPAMT_SKIPPED, "there is one CPU: nothing can contend");
	if (!ret && twin_rows(r, nr, MEASURED_PASSES, topo, m, &conditions, text, sizeof(text)))
		ret = complain(DPAMT_ENVIRONMENT, "%s", text);
	if (!ret)
		ret = print_rows(r, nr, &conditions);
	topology_free(topo);
	machine_free(m);
	free(r);
	return ret;
}
