/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tables of a run. Each returns a new table, or NULL when it would have
 * no row or no figure.
 */
#ifndef DPAMT_REPORT_TABLES_H
#define DPAMT_REPORT_TABLES_H

#include "report/compare.h"
#include "report/table.h"

/*
 * The main table of @workload, rows are strategies: part 0 has latency and cost,
 * part 1 wait, BUSY, transitions, memory and rate. Columns are the SHOW
 * metrics, and the primary one wherever it belongs. A strategy with no usable
 * cell has its reason instead of figures.
 */
#define MAIN_PARTS 2
struct table *table_main(const struct result_run *run, const char *workload, int part);
/* The figures of groups ("victim.fault_p99_ns"), rows are strategy and group. */
struct table *table_groups(const struct result_run *run, const char *workload);
/* Every metric with its range over blocks: rows are metrics, columns strategies. */
struct table *table_all(const struct result_run *run, const char *workload);
/* Floors, then cost loops with their ratios and the cost of statistics. */
struct table *table_controls(const struct result_run *run);
/* @field of "tds" per TD of one representative block, with sum and check if @sum. */
struct table *table_tds(const struct result_run *run, const char *workload, const char *caption,
			const char *field, bool sum);
/* The verdicts of one workload of @c. */
struct table *table_verdicts(const struct compare_workload *w, bool paired);
/* What ran: the strategies; the machine file's constants; an object as name and value. */
struct table *table_strategies(const struct result_run *run);
struct table *table_machine(const struct result_run *run);
struct table *table_object(const json_t *object, const char *caption);

/* Lines about @workload: cells not usable, cells that cannot discriminate. */
struct names workload_notes(const struct result_run *run, const char *workload);
/* scale, TDs, vCPUs, workers, placement with the lone regions measured, blocks, machine file. */
char *workload_line(const struct result_run *run, const char *workload);

#endif
