/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plots of a run: SVG files in plots/ of its folder, drawn by gnuplot. One
 * strategy has one colour in all of them.
 */
#ifndef DPAMT_REPORT_PLOTS_H
#define DPAMT_REPORT_PLOTS_H

#include "report/aggregate.h"

enum plot_kind { PLOT_LATENCY, PLOT_WAIT, PLOT_MEMORY, PLOT_TRANSITIONS };

struct plot {
	enum plot_kind kind;
	char *workload;
	char *hist;	/* PLOT_LATENCY: name of the histogram */
	char *file;	/* name in plots/: letters, digits, '.', '-' and '_' only */
	char *caption;
};

struct plots {
	struct plot *plot;
	size_t nr;
};

/* Those that the data of @workload suffices for. */
struct plots plots_of(const struct result_run *run, const char *workload);
void plots_free(struct plots *plots);

/*
 * Draw all plots of all workloads. Each file appears whole or not at all. Returns 0,
 * -ENOENT when there is no gnuplot (a note on stderr), or the first -errno;
 * -EIO is a plot that gnuplot refused.
 */
int plots_write(const struct result_run *run);

#endif
