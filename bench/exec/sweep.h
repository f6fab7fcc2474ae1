/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Many cells on a simulated machine: sweeps, sensitivity, validation. What they
 * have in common is a list of cells that differ in workload or machine, run on
 * all CPUs, of which a few figures are kept.
 */
#ifndef DPAMT_SWEEP_H
#define DPAMT_SWEEP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "td/machine.h"
#include "td/workload.h"

#define SWEEP_VALUES_MAX 64

struct sweep_axis {
	unsigned int nr;
	uint64_t value[SWEEP_VALUES_MAX];
};

struct sweep_grid {
	struct sweep_axis vcpus, lone;
	bool rounded;		/* a number of vCPUs was not one of whole TDs */
};

/*
 * "vcpus=1..448,lone=0..100%": A..B is a ladder (doubling for vcpus; 0, 10, 25, 50,
 * 75, 100 for lone), "1:8:64" these values. An axis that is not named has one value:
 * 16 vCPUs, 50%. vCPUs come out as sweep_workload() can make them, each number once.
 * 0, or -EINVAL with one line in @err.
 */
int sweep_parse(const char *text, struct sweep_grid *g, char *err, size_t err_size);

/* The figures of a cell that sweeps keep. */
struct sweep_figures {
	bool ok;
	char status[16];
	double wait_pct, pamt_ns_per_page, fault_mean_ns;
	double wait_count, wait_false, wait_ns;
	double accesses, shared;	/* simulated; of them, to lines of more than one CPU */
	unsigned int cpus;
};

struct sweep_cell {
	const struct workload *workload;
	const struct machine *machine;
	const char *strategy;
	uint64_t seed;
};

/* Run one cell here and now. A new reference: its figures, for a file. */
json_t *sweep_run_cell(const struct sweep_cell *c);
/* Figures back from what sweep_run_cell() made; ok is false where @j says that it failed. */
void sweep_read(const json_t *j, struct sweep_figures *f);

/* The mean of the @nr cells at @f; not ok where one of them is not, with its status. */
struct sweep_figures sweep_mean(const struct sweep_figures *f, size_t nr);

/*
 * @w with @vcpus vCPUs in its first group, rounded down to whole TDs (up to 16 of 4 vCPUs or
 * more, 1 MiB a vCPU), and @lone percent of pages in lone regions. Other groups stay as they
 * are. NULL with @err.
 */
struct workload *sweep_workload(const struct workload *w, uint64_t vcpus, uint64_t lone,
				char *err, size_t err_size);
/* The axis that decides the key which --set @set changes, "vcpus" or "lone"; NULL: neither does. */
const char *sweep_axis_of(const struct workload *w, const char *set);

/* What it took to simulate cells. */
struct sweep_effort {
	double accesses, shared;	/* as in struct sweep_figures */
	double cpu_s;
	long peak_kib;			/* of the largest process */
};

#define SWEEP_EFFORT_TEXT 160
/* One line, in @buf of that size; returns @buf. */
const char *sweep_effort_text(const struct sweep_effort *e, char *buf);

/*
 * Seconds that a cell of @w on @m takes to simulate on one CPU, within a factor of about 2.5:
 * from the pages, conversions and lives of the workload.
 */
double sweep_seconds(const struct workload *w, const struct machine *m);

#endif
