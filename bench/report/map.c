// SPDX-License-Identifier: GPL-2.0-only
/* The decision map (map.h). */
#define _GNU_SOURCE
#include "report/map.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MUCH 1.0	/* percent of CPU time: the line that the map draws */
#define NEAR 1.02	/* as cheap as the cheapest */
#define TIE 1.10	/* what another seed may turn (METHODOLOGY.md, 3a) */

static const struct map_value *at(const struct map *m, size_t lone, size_t vcpus, size_t s)
{
	return &m->value[(lone * m->nr_vcpus + vcpus) * m->nr_strategies + s];
}

static size_t index_of(const struct map *m, const char *name)
{
	size_t s;

	for (s = 0; s < m->nr_strategies && strcmp(m->strategy[s], name); s++)
		;
	return s;
}

static bool has_baseline(const struct map *m)
{
	return index_of(m, m->baseline) < m->nr_strategies;
}

/* The cheapest candidate of a cell; nr_strategies if none ran. */
static size_t cheapest(const struct map *m, size_t lone, size_t vcpus)
{
	size_t s, best = m->nr_strategies;

	for (s = 0; s < m->nr_strategies; s++)
		if (at(m, lone, vcpus, s)->ok && !m->control[s] &&
		    (best == m->nr_strategies ||
		     at(m, lone, vcpus, s)->pamt_ns < at(m, lone, vcpus, best)->pamt_ns))
			best = s;
	return best;
}

/* The baseline where it is within 2% of the cheapest: no reason to change. */
static size_t choice(const struct map *m, size_t lone, size_t vcpus)
{
	size_t best = cheapest(m, lone, vcpus), base = index_of(m, m->baseline);

	if (best < m->nr_strategies && base < m->nr_strategies && at(m, lone, vcpus, base)->ok &&
	    at(m, lone, vcpus, base)->pamt_ns <= NEAR * at(m, lone, vcpus, best)->pamt_ns)
		return base;
	return best;
}

static bool base_ran(const struct map *m, size_t lone, size_t vcpus)
{
	return has_baseline(m) && at(m, lone, vcpus, index_of(m, m->baseline))->ok;
}

static bool base_waits(const struct map *m, size_t lone, size_t vcpus)
{
	return base_ran(m, lone, vcpus) &&
	       at(m, lone, vcpus, index_of(m, m->baseline))->wait_pct > WAIT_MUCH;
}

/* ------------------------------------------------------------- in words */

/* Cells in which @s is cheapest, or so near that it might be. */
static size_t ties(const struct map *m, size_t s)
{
	size_t l, v, nr = 0;

	for (l = 0; l < m->nr_lone; l++)
		for (v = 0; v < m->nr_vcpus; v++) {
			size_t best = cheapest(m, l, v);

			nr += !m->control[s] && at(m, l, v, s)->ok &&
			      at(m, l, v, s)->pamt_ns <= TIE * at(m, l, v, best)->pamt_ns;
		}
	return nr;
}

static void say_ties(FILE *out, const struct map *m)
{
	size_t s, nr, said = 0;

	for (s = 0; s < m->nr_strategies; s++) {
		nr = ties(m, s);
		if (nr)
			fprintf(out, "%s%s in %zu", said++ ? ", " : " Cheapest or within 10% of it: ",
				m->strategy[s], nr);
	}
	fprintf(out, "%s", said ? "." : "");
}

static void say_choice(FILE *out, const struct map *m)
{
	size_t l, v, s, cells = m->nr_lone * m->nr_vcpus, *won;

	won = calloc(m->nr_strategies + 1, sizeof(*won));
	if (!won)
		return;
	for (l = 0; l < m->nr_lone; l++)
		for (v = 0; v < m->nr_vcpus; v++)
			won[choice(m, l, v)]++;
	fprintf(out, "On %s, of %zu cells ", m->machine, cells);
	for (s = 0, l = 0; s < m->nr_strategies; s++)
		if (won[s])
			fprintf(out, "%s%s is cheapest in %zu", l++ ? ", " : "", m->strategy[s],
				won[s]);
	fprintf(out, "%s.", l ? "" : "none could be decided");
	say_ties(out, m);
	if (has_baseline(m))
		fprintf(out, " ");
	free(won);
}

/* At how many vCPUs the baseline waits much; "from N on" only if no later cell says otherwise. */
static void say_where(FILE *out, const struct map *m, size_t l)
{
	size_t v, first, nr = 0, gap = 0;

	for (v = first = 0; v < m->nr_vcpus; v++) {
		if (base_waits(m, l, v) && !nr++)
			first = v;
		gap += nr && !base_waits(m, l, v);
	}
	fprintf(out, "with %" PRIu64 "%% of the pages in lone regions ", m->lone[l]);
	if (!gap) {
		fprintf(out, "from %" PRIu64 " vCPUs on", m->vcpus[first]);
		return;
	}
	fprintf(out, "at");
	for (v = first; v < m->nr_vcpus; v++)
		if (base_waits(m, l, v))
			fprintf(out, "%s %" PRIu64, v > first ? "," : "", m->vcpus[v]);
	fprintf(out, " vCPUs");
}

static void say_wait(FILE *out, const struct map *m)
{
	size_t l, v, over = 0, ran = 0, cells = m->nr_lone * m->nr_vcpus;
	char where[64] = "them";

	for (l = 0; l < m->nr_lone; l++)
		for (v = 0; v < m->nr_vcpus; v++) {
			over += base_waits(m, l, v);
			ran += base_ran(m, l, v);
		}
	if (!ran) {
		fprintf(out, "Of %s no cell ran.", m->baseline);
		return;
	}
	if (ran < cells)
		snprintf(where, sizeof(where), "the %zu in which it ran", ran);
	if (!over) {
		fprintf(out, "%s spends at most %.0f%% of CPU time waiting in all of %s.", m->baseline,
			WAIT_MUCH, where);
		return;
	}
	fprintf(out, "%s spends more than %.0f%% of CPU time waiting in %zu of %s: ", m->baseline,
		WAIT_MUCH, over, where);
	for (l = 0, over = 0; l < m->nr_lone; l++) {
		for (v = 0; v < m->nr_vcpus && !base_waits(m, l, v); v++)
			;
		if (v == m->nr_vcpus)
			continue;
		fprintf(out, "%s", over++ ? "; " : "");
		say_where(out, m, l);
	}
	fprintf(out, ".");
}

/* Cells in which vCPUs outnumber the CPUs are of another kind: there waiting is also for a CPU. */
static void say_cpus(FILE *out, const struct map *m)
{
	size_t l, v, s;

	if (m->others)
		fprintf(out, " Beside the vCPUs of the table there are %" PRIu64 " of other TDs.",
			m->others);
	for (v = 0; v < m->nr_vcpus; v++)
		for (l = 0; l < m->nr_lone; l++)
			for (s = 0; s < m->nr_strategies; s++)
				if (at(m, l, v, s)->ok &&
				    at(m, l, v, s)->cpus < m->vcpus[v] + m->others) {
					fprintf(out, " From %" PRIu64 " vCPUs on several take turns on "
						     "each of the %u CPUs.",
						m->vcpus[v], at(m, l, v, s)->cpus);
					return;
				}
}

/* ---------------------------------------------------------------- tables */

static void print_csv(FILE *out, const struct map *m)
{
	size_t l, v, s;

	fprintf(out, "vcpus,lone_pct,strategy,ok,wait_pct,pamt_ns_per_page,choice,cpus\n");
	for (l = 0; l < m->nr_lone; l++)
		for (v = 0; v < m->nr_vcpus; v++)
			for (s = 0; s < m->nr_strategies; s++) {
				const struct map_value *x = at(m, l, v, s);

				fprintf(out, "%" PRIu64 ",%" PRIu64 ",%s,%d,", m->vcpus[v], m->lone[l],
					m->strategy[s], x->ok);
				if (x->ok)
					fprintf(out, "%.4f,%.2f", x->wait_pct, x->pamt_ns);
				else
					fprintf(out, ",");
				fprintf(out, ",%d,%u\n", choice(m, l, v) == s, x->cpus);
			}
}

static void print_grid(FILE *out, const struct map *m, bool markdown,
		       void (*cell)(FILE *out, const struct map *m, size_t l, size_t v))
{
	const char *bar = markdown ? " | " : "  ";
	size_t l, v;

	fprintf(out, "%s%6s", markdown ? "| " : "", "lone");
	for (v = 0; v < m->nr_vcpus; v++)
		fprintf(out, "%s%11" PRIu64, bar, m->vcpus[v]);
	fprintf(out, "%s\n", markdown ? " |" : " vCPUs");
	for (v = 0; markdown && v <= m->nr_vcpus; v++)
		fprintf(out, "| ---%s", v == m->nr_vcpus ? " |\n" : " ");
	for (l = 0; l < m->nr_lone; l++) {
		fprintf(out, "%s%5" PRIu64 "%%", markdown ? "| " : "", m->lone[l]);
		for (v = 0; v < m->nr_vcpus; v++) {
			fprintf(out, "%s", bar);
			cell(out, m, l, v);
		}
		fprintf(out, "%s\n", markdown ? " |" : "");
	}
	fprintf(out, "\n");
}

static void cell_choice(FILE *out, const struct map *m, size_t l, size_t v)
{
	size_t s = choice(m, l, v);

	fprintf(out, "%10s%c", s < m->nr_strategies ? m->strategy[s] : "-",
		base_waits(m, l, v) ? '!' : ' ');
}

static void cell_wait(FILE *out, const struct map *m, size_t l, size_t v)
{
	size_t s = index_of(m, m->baseline);

	if (s < m->nr_strategies && at(m, l, v, s)->ok)
		fprintf(out, "%11.3f", at(m, l, v, s)->wait_pct);
	else
		fprintf(out, "%11s", "-");
}

static void cell_gain(FILE *out, const struct map *m, size_t l, size_t v)
{
	size_t base = index_of(m, m->baseline), best = cheapest(m, l, v);

	if (base < m->nr_strategies && best < m->nr_strategies && at(m, l, v, base)->ok &&
	    at(m, l, v, best)->pamt_ns > 0)
		fprintf(out, "%11.2f", at(m, l, v, base)->pamt_ns / at(m, l, v, best)->pamt_ns);
	else
		fprintf(out, "%11s", "-");
}

static void cell_global(FILE *out, const struct map *m, size_t l, size_t v)
{
	size_t base = index_of(m, m->baseline), g = index_of(m, "global");

	if (base < m->nr_strategies && g < m->nr_strategies && at(m, l, v, base)->ok &&
	    at(m, l, v, g)->ok && at(m, l, v, base)->pamt_ns > 0)
		fprintf(out, "%11.2f", at(m, l, v, g)->pamt_ns / at(m, l, v, base)->pamt_ns);
	else
		fprintf(out, "%11s", "-");
}

/* What needs the baseline beside the others. */
static void print_baseline(FILE *out, const struct map *m, bool markdown)
{
	fprintf(out, "Waiting of %s, %% of CPU time.\n\n", m->baseline);
	print_grid(out, m, markdown, cell_wait);
	fprintf(out, "get and put per page, %s over the cheapest.\n\n", m->baseline);
	print_grid(out, m, markdown, cell_gain);
	if (index_of(m, "global") == m->nr_strategies)
		return;
	fprintf(out, "get and put per page, global over %s: what patch 06 of series v6 saves.\n\n",
		m->baseline);
	print_grid(out, m, markdown, cell_global);
}

void map_print(FILE *out, const struct map *m, const char *format)
{
	bool markdown = !strcmp(format, "markdown");

	if (!strcmp(format, "csv")) {
		print_csv(out, m);
		return;
	}
	fprintf(out, "Decision map: %s on %s (simulated)\n\n", m->workload, m->machine);
	fprintf(out, "Cheapest get and put per page");
	if (has_baseline(m))
		fprintf(out, "; %s where within 2%% of it. '!': %s waits for more than %.0f%% of CPU time",
			m->baseline, m->baseline, WAIT_MUCH);
	fprintf(out, ".\n\n");
	print_grid(out, m, markdown, cell_choice);
	if (has_baseline(m))
		print_baseline(out, m, markdown);
	say_choice(out, m);
	if (has_baseline(m))
		say_wait(out, m);
	say_cpus(out, m);
	fprintf(out, "\n");
}

json_t *map_json(const struct map *m)
{
	json_t *cells = json_array();
	size_t l, v, s;

	for (l = 0; l < m->nr_lone; l++)
		for (v = 0; v < m->nr_vcpus; v++) {
			size_t best = choice(m, l, v);
			json_t *of = json_object();

			for (s = 0; s < m->nr_strategies; s++) {
				const struct map_value *x = at(m, l, v, s);

				json_object_set_new(of, m->strategy[s],
						    x->ok ? json_pack("{s:f,s:f,s:i}", "wait_pct",
								      x->wait_pct, "pamt_ns_per_page",
								      x->pamt_ns, "cpus", (int)x->cpus) :
							    json_null());
			}
			json_array_append_new(
				cells,
				json_pack("{s:I,s:I,s:s?,s:b,s:o}", "vcpus", (json_int_t)m->vcpus[v],
					  "lone_pct", (json_int_t)m->lone[l], "choice",
					  best < m->nr_strategies ? m->strategy[best] : NULL,
					  "baseline_waits", base_waits(m, l, v), "strategies", of));
		}
	return json_pack("{s:s,s:s,s:s?,s:I,s:o}", "workload", m->workload, "machine", m->machine,
			 "baseline", has_baseline(m) ? m->baseline : NULL, "other_vcpus",
			 (json_int_t)m->others, "cells", cells);
}

/* ------------------------------------------------------------------- SVG */

static void script(FILE *g, const struct map *m)
{
	size_t l, v, s;

	fprintf(g, "set terminal svg size 900,420 background '#ffffff'\nset output 'map.svg.new'\n"
		   "set title 'Cheapest strategy: %s on %s' noenhanced\n"
		   "set xlabel 'vCPUs'\nset ylabel 'pages in lone regions, %%'\n"
		   "set xrange [-0.5:%zu.5]\nset yrange [-0.5:%zu.5]\nset key outside right noenhanced\n"
		   "set xtics (",
		m->workload, m->machine, m->nr_vcpus - 1, m->nr_lone - 1);
	for (v = 0; v < m->nr_vcpus; v++)
		fprintf(g, "%s'%" PRIu64 "' %zu", v ? "," : "", m->vcpus[v], v);
	fprintf(g, ")\nset ytics (");
	for (l = 0; l < m->nr_lone; l++)
		fprintf(g, "%s'%" PRIu64 "' %zu", l ? "," : "", m->lone[l], l);
	fprintf(g, ")\n");
	for (s = 0; s < m->nr_strategies; s++) {
		fprintf(g, "$s%zu << EOD\n-9 -9\n", s);
		for (l = 0; l < m->nr_lone; l++)
			for (v = 0; v < m->nr_vcpus; v++)
				if (choice(m, l, v) == s)
					fprintf(g, "%zu %zu\n", v, l);
		fprintf(g, "EOD\n");
	}
	fprintf(g, "$wait << EOD\n-9 -9\n");
	for (l = 0; l < m->nr_lone; l++)
		for (v = 0; v < m->nr_vcpus; v++)
			if (base_waits(m, l, v))
				fprintf(g, "%zu %zu\n", v, l);
	fprintf(g, "EOD\nset boxwidth 0.9\nset style fill solid 0.7 noborder\nplot ");
	for (s = 0; s < m->nr_strategies; s++)
		if (!m->control[s])
			fprintf(g, "$s%zu using 1:2:(0.45):(0.45) with boxxyerror lc %zu title '%s', ", s,
				s + 1, m->strategy[s]);
	if (!has_baseline(m)) {
		fprintf(g, "$wait using 1:2 with points pt 2 notitle\n");
		return;
	}
	fprintf(g, "$wait using 1:2 with points pt 2 ps 1.5 lc rgb 'black' title '%s waits > %.0f%%'\n",
		m->baseline, WAIT_MUCH);
}

int map_svg(const struct map *m, const char *dir)
{
	char *text = NULL;
	size_t len = 0;
	FILE *g = open_memstream(&text, &len);
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	int fd[2], status = 0;
	pid_t pid;

	if (!g)
		return -ENOMEM;
	script(g, m);
	if (fclose(g) || pipe(fd)) {
		free(text);
		return -EIO;
	}
	pid = fork();
	if (!pid) {
		dup2(fd[0], STDIN_FILENO);
		close(fd[0]);
		close(fd[1]);
		if (chdir(dir))
			_exit(126);
		execlp("gnuplot", "gnuplot", (char *)NULL);
		_exit(127);
	}
	close(fd[0]);
	/* A gnuplot that is not there, or that dies, reads nothing: its status says so below. */
	sigaction(SIGPIPE, &ignore, &old);
	g = fdopen(fd[1], "w");
	if (g) {
		fwrite(text, 1, len, g);
		fclose(g);
	}
	sigaction(SIGPIPE, &old, NULL);
	free(text);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -EIO;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return -EIO;
	text = NULL;
	if (asprintf(&text, "%s/map.svg.new", dir) > 0) {
		char *to = NULL;

		if (asprintf(&to, "%s/map.svg", dir) > 0)
			status = rename(text, to);
		free(to);
	}
	free(text);
	return status ? -EIO : 0;
}
