// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plots by gnuplot: a script with its data in it, on gnuplot's standard input,
 * one process a plot, no shell. The script comes from a file, not a pipe, so
 * a gnuplot that dies cannot take us with it. File names are made of harmless
 * letters and gnuplot works inside plots/: no path is quoted anywhere.
 *
 * Colours are those of Okabe and Ito, told apart by the colour-blind too, by
 * the place of the strategy in run.json; controls are grey and dashed.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/plots.h"
#include "report/table.h"

#define SERIES "pamt_bytes"
#define MAX_POINTS 400	/* of a line over time */

static const char *const palette[] = {
	"#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7a5195", "#8c6d1f",
};

static const char *const greys[] = { "#7f7f7f", "#a8a8a8" };

/* Look of a strategy: the n-th control, or the n-th of the others. */
struct look {
	const char *colour;
	int dash;
};

static struct look look_of(const struct result_run *run, const struct names *strategies, size_t s)
{
	bool control = run_is_control(run, strategies->name[s]);
	size_t place = 0;

	for (size_t i = 0; i < s; i++)
		place += run_is_control(run, strategies->name[i]) == control;
	if (control)
		return (struct look){ greys[place % 2], 2 + (int)(place % 2) };
	return (struct look){ palette[place % 8], place < 8 ? 1 : 4 };
}

/* --- which plots ------------------------------------------------------- */

static char *file_name(const char *workload, const char *what)
{
	char *name = report_format("%s-%s.svg", workload, what);

	for (char *c = name; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			    *c))
			*c = '_';
	if (*name == '.' || *name == '-')
		*name = '_';
	return name;
}

static void add_plot(struct plots *plots, enum plot_kind kind, const char *workload,
		     const char *hist)
{
	static const char *const words[] = {
		[PLOT_LATENCY] = "", [PLOT_WAIT] = "wait", [PLOT_MEMORY] = "memory",
		[PLOT_TRANSITIONS] = "transitions",
	};
	static const char *const captions[] = {
		[PLOT_LATENCY] = "share of faults that took longer, all blocks",
		[PLOT_WAIT] = "time waiting for another CPU in get or put, median over blocks",
		[PLOT_MEMORY] = "PAMT pairs resident over time, one block",
		[PLOT_TRANSITIONS] = "installs and removes, median over blocks",
	};
	struct plot *plot;

	plots->plot = report_realloc(plots->plot, plots->nr + 1, sizeof(*plots->plot));
	plot = &plots->plot[plots->nr++];
	*plot = (struct plot){
		.kind = kind,
		.workload = report_format("%s", workload),
		.hist = hist ? report_format("%s", hist) : NULL,
		.file = file_name(workload, hist ? hist : words[kind]),
		.caption = report_format("%s%s%s: %s", workload, hist ? ", " : "",
					 hist ? hist : "", captions[kind]),
	};
}

/* Of a fault: "fault_ns", "victim.fault_ns". */
static bool is_fault_hist(const char *name)
{
	const char *dot = strrchr(name, '.');

	return !strncmp(dot ? dot + 1 : name, "fault", 5);
}

static bool has_figure(const struct result_run *run, const char *workload, const char *key)
{
	struct names strategies = run_strategies(run);
	bool found = false;

	for (size_t s = 0; !found && s < strategies.nr; s++)
		found = report_stat(run, workload, strategies.name[s], key).n;
	names_free(&strategies);
	return found;
}

/* The series of the representative block, NULL if it has none. */
static const json_t *series_of(const struct result_run *run, const char *workload,
			       const char *strategy)
{
	const struct result_sample *s = run_representative(run, workload, strategy, "series");
	const json_t *series;

	if (!s)
		return NULL;
	series = json_object_get(json_object_get(s->json, "series"), SERIES);
	return json_array_size(series) ? series : NULL;
}

static bool has_series(const struct result_run *run, const char *workload)
{
	struct names strategies = run_strategies(run);
	bool found = false;

	for (size_t s = 0; !found && s < strategies.nr; s++)
		found = series_of(run, workload, strategies.name[s]);
	names_free(&strategies);
	return found;
}

static bool has_hist(const struct result_run *run, const char *workload, const char *name)
{
	struct names strategies = run_strategies(run);
	struct hist *h = report_alloc(1, sizeof(*h));
	bool found = false;

	for (size_t s = 0; !found && s < strategies.nr; s++)
		found = run_hist(run, workload, strategies.name[s], name, h, NULL) && h->count;
	free(h);
	names_free(&strategies);
	return found;
}

struct plots plots_of(const struct result_run *run, const char *workload)
{
	struct names hists = run_hist_names(run, workload);
	struct plots plots = { 0 };

	for (size_t i = 0; i < hists.nr; i++)
		if (is_fault_hist(hists.name[i]) && has_hist(run, workload, hists.name[i]))
			add_plot(&plots, PLOT_LATENCY, workload, hists.name[i]);
	if (has_figure(run, workload, "wait_false_pct"))
		add_plot(&plots, PLOT_WAIT, workload, NULL);
	if (has_series(run, workload))
		add_plot(&plots, PLOT_MEMORY, workload, NULL);
	if (has_figure(run, workload, "install_count"))
		add_plot(&plots, PLOT_TRANSITIONS, workload, NULL);
	names_free(&hists);
	return plots;
}

void plots_free(struct plots *plots)
{
	for (size_t i = 0; i < plots->nr; i++) {
		free(plots->plot[i].workload);
		free(plots->plot[i].hist);
		free(plots->plot[i].file);
		free(plots->plot[i].caption);
	}
	free(plots->plot);
	*plots = (struct plots){ 0 };
}

/* --- scripts ----------------------------------------------------------- */

/* In single quotes gnuplot takes all but a quote as it stands. */
static void put_quoted(FILE *script, const char *text)
{
	putc('\'', script);
	for (; *text; text++) {
		if (*text == '\'')
			putc('\'', script);
		putc((unsigned char)*text < 0x20 ? ' ' : *text, script);
	}
	putc('\'', script);
}

static void put_setting(FILE *script, const char *setting, const char *text)
{
	fprintf(script, "set %s ", setting);
	put_quoted(script, text);
	putc('\n', script);
}

static void put_head(FILE *script, const struct plot *plot)
{
	fputs("set encoding utf8\n"
	      "set terminal svg size 900,460 noenhanced font 'sans-serif,14' "
	      "background rgb '#ffffff' linewidth 1.5\n"
	      "set border 3 lc rgb 'black'\nset tics nomirror\n"
	      "set grid back lt 1 lw 0.5 lc rgb '#b8b8b8'\n"
	      "set key outside right top vertical Left reverse samplen 2 spacing 1.3\n", script);
	put_setting(script, "title", plot->caption);
}

/* A data block $d@s as gnuplot reads it; the numbers follow, then "EOD". */
static void begin_data(FILE *script, size_t s)
{
	fprintf(script, "$d%zu << EOD\n", s);
}

/* plot $d0 .., $d1 ..: of the strategies that have data. */
static void plot_lines(FILE *script, const struct result_run *run, const struct names *strategies,
		       const bool *has)
{
	const char *before = "plot ";

	for (size_t s = 0; s < strategies->nr; s++) {
		struct look look = look_of(run, strategies, s);

		if (!has[s])
			continue;
		fprintf(script, "%s$d%zu using 1:2 with steps lw 1.6 lc rgb '%s' dt %d title ",
			before, s, look.colour, look.dash);
		put_quoted(script, strategies->name[s]);
		before = ", ";
	}
	putc('\n', script);
}

/* Points (x us, share of values above x in percent) of @h; the last share is 0: not drawn. */
static void put_ccdf(FILE *script, const struct hist *h)
{
	uint64_t above = h->count;
	double share = 100;

	fprintf(script, "%.9g 100\n", (double)(h->min ? h->min : 1) / 1e3);
	for (unsigned int i = 0; i < HIST_NR_BINS && above; i++) {
		double x = (double)hist_bin_high(i);

		if (!h->bins[i])
			continue;
		above -= h->bins[i];
		if (!above)
			break;
		share = 100.0 * (double)above / (double)h->count;
		fprintf(script, "%.9g %.9g\n", fmax(x, 1) / 1e3, share);
	}
	fprintf(script, "%.9g %.9g\n", (double)(h->max ? h->max : 1) / 1e3, share);
}

/* From below the least value to above the greatest, labelled at 1, 2 and 5 times powers of ten. */
static void put_log_axis(FILE *script, double low, double high)
{
	static const double steps[] = { 1, 2, 5 };
	const char *before = "set xtics (";

	low /= 1.1;
	high *= 1.1;
	fprintf(script, "set logscale xy\nset xrange [%.9g:%.9g]\n", low, high);
	for (double decade = pow(10, floor(log10(low))); decade <= high; decade *= 10) {
		for (int i = 0; i < 3; i++) {
			double at = decade * steps[i];

			/* over many decades, the powers only */
			if (at < low || at > high || (i && high > 1e3 * low))
				continue;
			fprintf(script, "%s'%g' %.9g", before, at, at);
			before = ", ";
		}
	}
	fputs(*before == ',' ? ")\n" : "", script);
}

static void latency_script(FILE *script, const struct result_run *run, const struct plot *plot,
			   const struct names *strategies, bool *has)
{
	struct hist *h = report_alloc(1, sizeof(*h));
	double low = INFINITY, high = 1;

	for (size_t s = 0; s < strategies->nr; s++) {
		has[s] = run_hist(run, plot->workload, strategies->name[s], plot->hist, h, NULL) &&
			 h->count;
		if (!has[s])
			continue;
		low = fmin(low, fmax((double)h->min, 1));
		high = fmax(high, (double)h->max);
		begin_data(script, s);
		put_ccdf(script, h);
		fputs("EOD\n", script);
	}
	free(h);
	put_log_axis(script, low / 1e3, high / 1e3);
	fputs("set format y '%g%%'\nset yrange [*:100]\nset xlabel 'fault latency, us'\n"
	      "set ylabel 'faults that took longer'\n", script);
	plot_lines(script, run, strategies, has);
}

/* Time of the last point and greatest value over all strategies. */
static void series_extent(const struct result_run *run, const char *workload,
			  const struct names *strategies, double *time, double *value)
{
	*time = *value = 0;
	for (size_t s = 0; s < strategies->nr; s++) {
		const json_t *series = series_of(run, workload, strategies->name[s]), *point;
		size_t i;

		json_array_foreach(series, i, point) {
			*time = fmax(*time, json_number_value(json_array_get(point, 0)));
			*value = fmax(*value, json_number_value(json_array_get(point, 1)));
		}
	}
}

/* At most MAX_POINTS of @series: of each stretch the greatest value, at its time. */
static void put_series(FILE *script, const json_t *series, struct scale x, struct scale y)
{
	size_t nr = json_array_size(series), stretch = (nr + MAX_POINTS - 1) / MAX_POINTS;

	for (size_t i = 0; i < nr; i += stretch) {
		double best = -1, at = 0;

		for (size_t k = i; k < nr && k < i + stretch; k++) {
			const json_t *point = json_array_get(series, k);
			double value = json_number_value(json_array_get(point, 1));

			/* the end of the line is the end of the run, whatever its value */
			if (value > best || k + 1 == nr) {
				best = value;
				at = json_number_value(json_array_get(point, 0));
			}
		}
		fprintf(script, "%.9g %.9g\n", at / x.divisor, best / y.divisor);
	}
}

static void memory_script(FILE *script, const struct result_run *run, const struct plot *plot,
			  const struct names *strategies, bool *has)
{
	double time, value;
	struct scale x, y;

	series_extent(run, plot->workload, strategies, &time, &value);
	x = time < 10e9 ? (struct scale){ 1e6, "ms" } : (struct scale){ 1e9, "s" };
	y = scale_for(UNIT_BYTES, value);
	for (size_t s = 0; s < strategies->nr; s++) {
		const json_t *series = series_of(run, plot->workload, strategies->name[s]);

		has[s] = series;
		if (!series)
			continue;
		begin_data(script, s);
		put_series(script, series, x, y);
		fputs("EOD\n", script);
	}
	fprintf(script, "set xlabel 'time, %s'\nset ylabel 'PAMT pairs, %s'\nset yrange [0:*]\n",
		x.unit, y.unit);
	plot_lines(script, run, strategies, has);
}

/* --- bars -------------------------------------------------------------- */

struct bars {
	const char *keys[2];	/* drawn solid; drawn light */
	const char *titles[2];
	bool stacked;		/* the second upon the first, else beside it */
};

static double finite_or_0(double value)
{
	return isfinite(value) ? value : 0;
}

/* The names under the bars, and room for them. */
static void put_names(FILE *script, const struct names *strategies)
{
	fprintf(script, "set xrange [-0.7:%zu - 0.3]\nset xtics scale 0%s (", strategies->nr,
		strategies->nr > 8 ? " rotate by -30" : "");
	for (size_t s = 0; s < strategies->nr; s++) {
		fputs(s ? ", " : "", script);
		put_quoted(script, strategies->name[s]);
		fprintf(script, " %zu", s);
	}
	fputs(")\nset grid noxtics\n", script);
}

/* @value above a bar: @unit "%", or "" for a count, which is shortened to fit. */
static void put_label(FILE *script, double x, double y, double value, const char *unit)
{
	struct scale scale = { 1, unit };
	char *text, *label;

	if (!*unit && value >= 1e5)
		scale = value < 1e6 ? (struct scale){ 1e3, "k" } : (struct scale){ 1e6, "M" };
	text = scale_value(scale, value, scale.divisor == 1);
	label = report_format("%s%s", text, scale.unit);

	fputs("set label ", script);
	put_quoted(script, label);
	fprintf(script, " at %.9g,%.9g center offset 0,0.5 font ',11'\n", x, y);
	free(label);
	free(text);
}

/* Data and labels of one strategy; returns the height of its bars, -1 if it has no figure. */
static double put_bar(FILE *script, const struct result_run *run, const char *workload,
		      const char *strategy, size_t s, const struct bars *bars)
{
	double a = report_value(run, workload, strategy, bars->keys[0]);
	double b = report_value(run, workload, strategy, bars->keys[1]);
	bool known = isfinite(a) || isfinite(b);

	a = finite_or_0(a);
	b = finite_or_0(b);
	begin_data(script, s);
	if (bars->stacked)
		fprintf(script, "%zu %.9g 0.6\n%zu %.9g 0.6\nEOD\n", s, a, s, a + b);
	else
		fprintf(script, "%.2f %.9g 0.36\n%.2f %.9g 0.36\nEOD\n", (double)s - 0.2, a,
			(double)s + 0.2, b);
	if (!known)
		return -1;
	if (bars->stacked) {
		put_label(script, (double)s, a + b, a + b, "%");
		return a + b;
	}
	put_label(script, (double)s - 0.2, a, a, "");
	put_label(script, (double)s + 0.2, b, b, "");
	return fmax(a, b);
}

static void bars_script(FILE *script, const struct result_run *run, const struct plot *plot,
			const struct names *strategies, const struct bars *bars)
{
	double highest = 0;

	for (size_t s = 0; s < strategies->nr; s++)
		highest = fmax(highest, put_bar(script, run, plot->workload, strategies->name[s],
						s, bars));
	put_names(script, strategies);
	fprintf(script, "set yrange [0:%.9g]\nset style fill solid 1.0 noborder\nplot ",
		highest > 0 ? highest * 1.12 : 1);
	for (size_t s = 0; s < strategies->nr; s++) {
		const char *colour = look_of(run, strategies, s).colour;

		/* the light bar first: a stacked one reaches up from the axis */
		fprintf(script,
			"$d%zu every ::1::1 using 1:2:3 with boxes fs solid 0.35 lc rgb '%s' "
			"notitle, $d%zu every ::0::0 using 1:2:3 with boxes fs solid 1.0 lc rgb "
			"'%s' notitle, ", s, colour, s, colour);
	}
	/* the key in the order in which the bars stand */
	for (int k = 0; k < 2; k++) {
		int i = bars->stacked ? !k : k;

		fprintf(script, "NaN with boxes fs solid %s lc rgb '#808080' title ",
			i ? "0.35" : "1.0");
		put_quoted(script, bars->titles[i]);
		fputs(k ? "\n" : ", ", script);
	}
}

static void write_script(FILE *script, const struct result_run *run, const struct plot *plot)
{
	static const struct bars wait = {
		{ "wait_false_pct", "wait_true_pct" },
		{ "other region (false)", "same region (true)" }, true,
	};
	static const struct bars transitions = {
		{ "install_count", "remove_count" }, { "installs", "removes" }, false,
	};
	struct names strategies = run_strategies(run);
	bool *has = report_alloc(strategies.nr, sizeof(*has));

	put_head(script, plot);
	switch (plot->kind) {
	case PLOT_LATENCY:
		latency_script(script, run, plot, &strategies, has);
		break;
	case PLOT_MEMORY:
		memory_script(script, run, plot, &strategies, has);
		break;
	case PLOT_WAIT:
		fputs("set ylabel 'share of CPU time, %'\n", script);
		bars_script(script, run, plot, &strategies, &wait);
		break;
	case PLOT_TRANSITIONS:
		fputs("set ylabel 'transitions'\n", script);
		bars_script(script, run, plot, &strategies, &transitions);
		break;
	}
	free(has);
	names_free(&strategies);
}

/* --- gnuplot ----------------------------------------------------------- */

#define EXIT_NO_GNUPLOT 127

/*
 * In the child: @script in, @out out. What gnuplot remarks (an empty range, a
 * locale without some character) helps nobody; that it failed, the caller says.
 */
static void __attribute__((noreturn)) exec_gnuplot(int script, int out)
{
	char *const argv[] = { "gnuplot", "-d", "-", NULL };

	int null = open("/dev/null", O_WRONLY);

	if (dup2(script, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	setenv("LC_ALL", "C.UTF-8", 1);
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? EXIT_NO_GNUPLOT : 126);
}

static int run_gnuplot(int script, int out)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child)
		exec_gnuplot(script, out);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return -EIO;
	if (WEXITSTATUS(status) == EXIT_NO_GNUPLOT)
		return -ENOENT;
	return WEXITSTATUS(status) ? -EIO : 0;
}

/* Draw @plot into @temp, which takes its place under plot->file only when it is whole. */
static int draw(const struct result_run *run, const struct plot *plot, const char *temp,
		const char *path)
{
	FILE *script = tmpfile();
	struct stat st;
	int out, err;

	if (!script)
		return -errno;
	write_script(script, run, plot);
	out = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out < 0 || fflush(script) || lseek(fileno(script), 0, SEEK_SET) < 0)
		err = -errno;
	else
		err = run_gnuplot(fileno(script), out);
	if (!err && (fstat(out, &st) || !st.st_size))
		err = -EIO;
	if (out >= 0 && close(out) && !err)
		err = -errno;
	fclose(script);
	if (!err && rename(temp, path))
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}

static int draw_plot(const struct result_run *run, const struct plot *plot)
{
	char *path = report_format("%s/plots/%s", run->dir, plot->file);
	char *temp = report_format("%s.tmp", path);
	int err = draw(run, plot, temp, path);

	if (err == -ENOENT)
		fputs("dpamt: gnuplot is not installed (Debian: gnuplot-nox): no plots; "
		      "the rest of the report is complete\n", stderr);
	else if (err)
		fprintf(stderr, "%s: %s\n", path,
			err == -EIO ? "gnuplot could not draw it" : strerror(-err));
	free(temp);
	free(path);
	return err;
}

int plots_write(const struct result_run *run)
{
	struct names workloads = run_workloads(run);
	char *dir = report_format("%s/plots", run->dir);
	int err = 0, first = 0;

	if (mkdir(dir, 0777) && errno != EEXIST) {
		first = -errno;
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
	}
	for (size_t w = 0; !first && err != -ENOENT && w < workloads.nr; w++) {
		struct plots plots = plots_of(run, workloads.name[w]);

		for (size_t i = 0; err != -ENOENT && i < plots.nr; i++) {
			int this = draw_plot(run, &plots.plot[i]);

			err = err && this != -ENOENT ? err : this;
		}
		plots_free(&plots);
	}
	if (!first)
		first = err;
	free(dir);
	names_free(&workloads);
	return first;
}
