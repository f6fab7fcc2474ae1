// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt calibrate: machine file `this` from measurements of the machine at hand, and
 * dpamt simulate --measured: get and put of each strategy, measured here against
 * simulated on that machine.
 *
 * How long an owner goes on using a line that was asked for (keep) cannot be seen
 * directly. Two CPUs that add to one word make keep / rmw additions each, rounded up, in
 * the time of two transfers, so it follows from what one addition takes them.
 */
#include "cli/simulate.h"
#include "cli/memory.h"
#include "exec/twin.h"
#include "measure/clock.h"
#include "td/units.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PAIRS 200u	/* of each kind; more are sampled evenly */

/* Pairs of CPUs by where they sit. */
enum kind { SIBLING, LOCAL, REMOTE, KINDS };

static const char *const kind_names[KINDS] = {
	"threads of a core", "cores of a socket", "sockets",
};

struct class {
	unsigned int found, measured;
	uint64_t low, high, sum;
	uint64_t contended, handover;	/* sums */
};

struct calibration {
	struct topology *topo;
	const struct topology_cpu *cpu;
	size_t nr;
	struct twin_lines lines;
	struct class class[KINDS];
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

			if (seen[kind]++ % (k->found / MAX_PAIRS + 1))
				continue;
			if (twin_pair_measure(c->topo, c->cpu[i].cpu, c->cpu[j].cpu, &p))
				return complain(DPAMT_ENVIRONMENT, "CPUs %u and %u cannot be measured",
						c->cpu[i].cpu, c->cpu[j].cpu);
			k->low = k->low && k->low < p.transfer ? k->low : p.transfer;
			k->high = k->high > p.transfer ? k->high : p.transfer;
			k->sum += p.transfer;
			k->contended += p.contended;
			k->handover += p.handover;
			k->measured++;
			if (!quiet)
				complain(0, "CPUs %u and %u, %s: transfer %.1f ns, contended add %.1f ns, "
					    "spinlock section %.1f ns",
					 c->cpu[i].cpu, c->cpu[j].cpu, kind_names[kind],
					 p.transfer / 1e3, p.contended / 1e3, p.handover / 1e3);
		}
	return DPAMT_FINE;
}

/* ---------------------------------------------------------------- writing */

static uint64_t most(uint64_t v, uint64_t limit)
{
	return v < limit ? v : limit;
}

static void line(FILE *f, const char *key, uint64_t ps, uint64_t low, uint64_t high,
		 const char *source)
{
	fprintf(f, "%s = %llups range %llups..%llups \\\n\tsource \"%s\"\n", key,
		(unsigned long long)ps, (unsigned long long)(low < ps ? low : ps),
		(unsigned long long)(high > ps ? high : ps), source);
}

static void write_lines(FILE *f, const struct calibration *c)
{
	const struct class *near = &c->class[c->class[LOCAL].measured ? LOCAL : SIBLING];
	uint64_t local = near->sum / near->measured, rmw = c->lines.rmw;
	uint64_t contended = near->contended / near->measured, keep;
	char text[200];

	rmw = most(rmw, local);
	/* The last of the additions begins before the time is over, on average half of one. */
	keep = 2 * local * rmw / contended;
	keep = keep > rmw / 2 ? keep - rmw / 2 : 0;
	fprintf(f, "\n[line]\n");
	line(f, "read_hit", most(c->lines.read, rmw), c->lines.read * 4 / 5, c->lines.read * 6 / 5,
	     "measured: what a load adds to a cmpxchg on the same line, mean of one word and 1024");
	line(f, "write_hit", most(c->lines.write, rmw), c->lines.write * 4 / 5, c->lines.write * 6 / 5,
	     "measured: what a store adds between locked adds");
	line(f, "rmw_hit", rmw, rmw * 4 / 5, rmw * 6 / 5, "measured: locked add on an own line");
	line(f, "shared", local, local / 2, local, "derived: as local");
	if (c->threads > 1) {
		const struct class *k = &c->class[SIBLING];

		line(f, "sibling", most(k->sum / k->measured, local), k->low, k->high,
		     "measured: a turn handed over between threads of a core, mean over the pairs");
	}
	snprintf(text, sizeof(text),
		 "measured: a turn handed over between %s, mean over %u of %u pairs; a queued spinlock "
		 "section takes %.0f ns",
		 kind_names[near == &c->class[LOCAL] ? LOCAL : SIBLING], near->measured, near->found,
		 (double)near->handover / near->measured / 1e3);
	line(f, "local", local, near->low, near->high, text);
	if (c->sockets > 1) {
		const struct class *k = &c->class[REMOTE];

		line(f, "remote", k->sum / k->measured > local ? k->sum / k->measured : local, k->low,
		     k->high, "measured: a turn handed over between sockets, mean over the pairs");
	}
	line(f, "memory", c->lines.memory, c->lines.memory * 4 / 5, c->lines.memory * 6 / 5,
	     "measured: dependent loads over 64 MiB that was flushed");
	snprintf(text, sizeof(text),
		 "measured: a locked add takes %.1f ns where two CPUs add to one word; derived: keep = (2 "
		 "x local / that - 1/2) x rmw_hit",
		 contended / 1e3);
	line(f, "keep", most(keep, local), 0, local, text);
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

static int write_file(const struct calibration *c, const char *path)
{
	struct machine *m = NULL;
	struct td_error err;
	FILE *f;

	if (machine_load("published", machine_dirs(), &m, &err))
		return complain(DPAMT_ENVIRONMENT, "%s", err.text);
	f = fopen(path, "w");
	if (f) {
		fprintf(f,
			"; Written by dpamt calibrate. Lines are measured; costs are those of published.mach.\n"
			"[machine]\nname = this\ntitle = The machine at hand: %zu CPUs, measured\n"
			"note = clock: %s, %.1f ns a read\n\n[topology]\nsockets = %u\ncores = %u\nthreads = %u\n",
			c->nr, clock_name(), c->lines.clock / 1e3, c->sockets, c->cores, c->threads);
		write_lines(f, c);
		write_costs(f, m);
	}
	machine_free(m);
	if (!f || fclose(f))
		return complain(DPAMT_USAGE, "--file: %s: %s", path, strerror(errno));
	if (machine_load(path, machine_dirs(), &m, &err))
		return complain(DPAMT_ENVIRONMENT, "what was measured makes no machine: %s", err.text);
	printf("%s\n", path);
	machine_free(m);
	return DPAMT_FINE;
}

int verb_calibrate(const struct options *o)
{
	struct calibration c = { 0 };
	char err[256], path[PATH_MAX];
	int ret = DPAMT_FINE;

	clock_init();
	if (topology_open(&c.topo, err, sizeof(err)))
		return complain(DPAMT_ENVIRONMENT, "%s", err);
	c.cpu = topology_cpus(c.topo, &c.nr);
	shape(&c);
	if (c.nr < 2)
		ret = complain(DPAMT_SKIPPED, "there is one CPU: no line can move between CPUs");
	if (!ret && twin_lines_measure(c.topo, c.cpu[0].cpu, &c.lines))
		ret = complain(DPAMT_ENVIRONMENT, "CPU %u cannot be measured", c.cpu[0].cpu);
	if (!ret)
		ret = measure_pairs(&c, o->v[OPT_QUIET].set);
	snprintf(path, sizeof(path), "%s/this.mach", machine_dirs()[0]);
	if (!ret)
		ret = write_file(&c, o->v[OPT_FILE].set ? o->v[OPT_FILE].text : path);
	topology_free(c.topo);
	return ret;
}

/* ----------------------------------------------------- measured, simulated */

static const char *const columns[TWIN_CASES] = {
	"1 CPU, 1 word", "1 CPU, 1024 words", "2 CPUs, same word", "2 CPUs, own words",
};

static int print_rows(const struct twin_row *r, size_t nr)
{
	unsigned int met = 0, all = 0;

	printf("get and put, ns: measured on this machine, simulated on machine `this`, and their ratio\n\n"
	       "%-12s", "");
	for (int c = 0; c < TWIN_CASES; c++)
		printf("  %24s", columns[c]);
	printf("\n");
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
		ret = complain(DPAMT_USAGE, "there is no machine `this` yet: run dpamt calibrate");
	else if (topology_open(&topo, text, sizeof(text)))
		ret = complain(DPAMT_ENVIRONMENT, "%s", text);
	else if (topology_cpus(topo, &cpus), cpus < 2)
		ret = complain(DPAMT_SKIPPED, "there is one CPU: nothing can contend");
	if (!ret && twin_rows(r, nr, topo, m, text, sizeof(text)))
		ret = complain(DPAMT_ENVIRONMENT, "%s", text);
	if (!ret)
		ret = print_rows(r, nr);
	topology_free(topo);
	machine_free(m);
	free(r);
	return ret;
}
