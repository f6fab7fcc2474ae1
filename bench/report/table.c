// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of strings and the formatting of numbers: see table.h.
 */
#define _GNU_SOURCE 1
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/table.h"

struct table *table_new(const char *caption)
{
	struct table *t = report_alloc(1, sizeof(*t));

	t->caption = report_format("%s", caption);
	return t;
}

static void free_row(const struct table *t, struct table_row *row)
{
	for (size_t c = 0; c < t->nr_columns; c++)
		free(row->cells[c]);
	free(row->cells);
	free(row->span);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t r = 0; r < t->nr_rows; r++)
		free_row(t, &t->rows[r]);
	for (size_t c = 0; c < t->nr_columns; c++) {
		free(t->columns[c].title);
		free(t->columns[c].unit);
	}
	free(t->rows);
	free(t->columns);
	free(t->caption);
	free(t);
}

size_t table_column(struct table *t, const char *title, const char *unit, bool left)
{
	t->columns = report_realloc(t->columns, t->nr_columns + 1, sizeof(*t->columns));
	t->columns[t->nr_columns] = (struct table_column){
		report_format("%s", title), report_format("%s", unit), left,
	};
	for (size_t r = 0; r < t->nr_rows; r++) {
		struct table_row *row = &t->rows[r];

		row->cells = report_realloc(row->cells, t->nr_columns + 1, sizeof(*row->cells));
		row->cells[t->nr_columns] = NULL;
	}
	return t->nr_columns++;
}

size_t table_row(struct table *t, const char *name)
{
	struct table_row *row;

	t->rows = report_realloc(t->rows, t->nr_rows + 1, sizeof(*t->rows));
	row = &t->rows[t->nr_rows];
	memset(row, 0, sizeof(*row));
	row->cells = report_alloc(t->nr_columns, sizeof(*row->cells));
	row->cells[0] = report_format("%s", name);
	return t->nr_rows++;
}

void table_set(struct table *t, size_t row, size_t column, const char *text)
{
	char **cell = &t->rows[row].cells[column];

	free(*cell);
	*cell = *text ? report_format("%s", text) : NULL;
}

void table_setf(struct table *t, size_t row, size_t column, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = report_vformat(format, ap);
	va_end(ap);
	table_set(t, row, column, text);
	free(text);
}

void table_span(struct table *t, size_t row, const char *text)
{
	free(t->rows[row].span);
	t->rows[row].span = report_format("%s", text);
}

static bool column_is_empty(const struct table *t, size_t column)
{
	for (size_t r = 0; r < t->nr_rows; r++) {
		const char *cell = t->rows[r].cells[column];

		if (cell && strcmp(cell, "-"))
			return false;
	}
	return true;
}

static void drop_column(struct table *t, size_t column)
{
	size_t behind = t->nr_columns - column - 1;

	free(t->columns[column].title);
	free(t->columns[column].unit);
	memmove(&t->columns[column], &t->columns[column + 1], behind * sizeof(*t->columns));
	for (size_t r = 0; r < t->nr_rows; r++) {
		char **cells = t->rows[r].cells;

		free(cells[column]);
		memmove(&cells[column], &cells[column + 1], behind * sizeof(*cells));
	}
	t->nr_columns--;
}

void table_drop_empty(struct table *t)
{
	for (size_t c = t->nr_columns; c-- > 1;)
		if (column_is_empty(t, c))
			drop_column(t, c);
}

/* --- numbers ----------------------------------------------------------- */

#define KIB 1024.0
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

struct scale scale_for(enum metric_unit unit, double largest)
{
	if (!isfinite(largest))
		largest = 0;
	switch (unit) {
	case UNIT_NS:
		if (largest < 1e3)
			return (struct scale){ 1, "ns" };
		return largest < 1e9 ? (struct scale){ 1e3, "us" } : (struct scale){ 1e6, "ms" };
	case UNIT_BYTES:
		if (largest < 10 * KIB)
			return (struct scale){ 1, "B" };
		if (largest < 10 * MIB)
			return (struct scale){ KIB, "KiB" };
		return largest < 10 * GIB ? (struct scale){ MIB, "MiB" } :
					    (struct scale){ GIB, "GiB" };
	case UNIT_PCT:
		return (struct scale){ 1, "%" };
	case UNIT_PER_SEC:
		if (largest < 1e4)
			return (struct scale){ 1, "1/s" };
		return largest < 1e7 ? (struct scale){ 1e3, "1000/s" } :
				       (struct scale){ 1e6, "10^6/s" };
	default:
		return (struct scale){ 1, "" };
	}
}

/* Digits behind the point for three significant ones. */
static int decimals(double magnitude)
{
	int digits = 0;

	while (digits < 5 && magnitude < 100) {
		magnitude *= 10;
		digits++;
	}
	return digits;
}

char *scale_value(struct scale scale, double value, bool whole)
{
	double shown = value / scale.divisor, magnitude = fabs(shown);

	if (!isfinite(shown))
		return report_format("-");
	if (shown == 0)
		return report_format("0");
	if (whole && shown == floor(shown))
		return report_format("%.0f", shown);
	if (magnitude < 0.001)
		return report_format("%.2e", shown);
	return report_format("%.*f", decimals(magnitude), shown);
}
