/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of strings, and how numbers become strings.
 *
 * A table is built once and drawn as text, markdown or HTML (document.h), so
 * all three show the same. Numbers of a column share one unit, which stands
 * in the column's head; they have three significant digits, more only where
 * digits before the point need it. "-" is a figure that was not measured.
 */
#ifndef DPAMT_REPORT_TABLE_H
#define DPAMT_REPORT_TABLE_H

#include "report/aggregate.h"

struct table_column {
	char *title, *unit;	/* unit may be "" */
	bool left;		/* words rather than numbers */
};

struct table_row {
	char **cells;		/* one a column; NULL is "-" */
	char *span;		/* instead of cells 1.., a sentence */
	bool strong;
};

struct table {
	char *caption;
	struct table_column *columns;
	struct table_row *rows;
	size_t nr_columns, nr_rows;
};

struct table *table_new(const char *caption);
void table_free(struct table *t);
/* Returns the column's number. Rows that exist get an empty cell. */
size_t table_column(struct table *t, const char *title, const char *unit, bool left);
/* Returns the row's number; its first cell is @name. There is a column already. */
size_t table_row(struct table *t, const char *name);
void table_set(struct table *t, size_t row, size_t column, const char *text);
void __attribute__((format(printf, 4, 5)))
table_setf(struct table *t, size_t row, size_t column, const char *format, ...);
void table_span(struct table *t, size_t row, const char *text);
/* Take out columns (but the first) with no figure in any row. */
void table_drop_empty(struct table *t);

/* The unit that a group of values is shown in. */
struct scale {
	double divisor;
	const char *unit;	/* "" for counts and ratios */
};

/* The scale in which @largest (absolute; in the unit of the key) reads well. */
struct scale scale_for(enum metric_unit unit, double largest);
/* @value in @scale; "-" if not finite. @whole: a count, shown whole. A new string. */
char *scale_value(struct scale scale, double value, bool whole);

#endif
