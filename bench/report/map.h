/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decision map of a sweep: for each cell of the grid the strategy whose gets and
 * puts cost least, and where the baseline spends more than 1% of CPU time waiting; as
 * table, CSV, JSON, SVG, and one paragraph of plain words.
 */
#ifndef DPAMT_REPORT_MAP_H
#define DPAMT_REPORT_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct map_value {
	bool ok;
	double wait_pct, pamt_ns;	/* get and put, per page; both finite where ok */
	unsigned int cpus;		/* that it ran on; fewer than vCPUs: they took turns */
};

struct map {
	const char *workload, *machine;
	const char *const *strategy;	/* controls are not candidates */
	const bool *control;
	size_t nr_strategies;
	const uint64_t *vcpus, *lone;
	uint64_t others;		/* vCPUs of groups that are not swept */
	size_t nr_vcpus, nr_lone;
	/* value[(lone * nr_vcpus + vcpus) * nr_strategies + strategy] */
	const struct map_value *value;
	const char *baseline;		/* may be missing among the strategies */
};

/* "text", "markdown" or "csv". */
void map_print(FILE *out, const struct map *m, const char *format);
json_t *map_json(const struct map *m);
/* Draw DIR/map.svg. 0; -ENOENT when there is no gnuplot; -ENOMEM; -EIO. */
int map_svg(const struct map *m, const char *dir);

#endif
