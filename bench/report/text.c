// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of a document as plain text of at most TEXT_WIDTH columns.
 *
 * A table that is wider is drawn in pieces that repeat the first column. Words
 * in a last column of words are wrapped, heads are wrapped to the width of
 * the figures. Control characters, which a foreign file may hold, are drawn as
 * '?': they would reach the terminal.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>

#include "report/document.h"

#define HEAD_WIDTH 8	/* heads are wrapped to this, or their longest word */
#define GAP 2

/* Characters of the first @len bytes, one column each: bytes that do not continue one. */
static size_t width_of(const char *text, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

static void put_bytes(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		putc(c < 0x20 || c == 0x7f ? '?' : c, out);
	}
}

/*
 * The next line of at most @width columns of *text: its length; *text moves
 * behind it. A word that is longer stays whole. 0 at the end.
 */
static size_t next_line(const char **text, const char **line, size_t width)
{
	const char *at, *end;

	*text += strspn(*text, " \n");
	*line = end = at = *text;
	while (*at) {
		size_t word = strcspn(at, " \n");

		if (end != *line && width_of(*line, (size_t)(at + word - *line)) > width)
			break;
		end = at + word;
		at = end + strspn(end, " \n");
		if (memchr(end, '\n', (size_t)(at - end)))
			break;
	}
	*text = at;
	return (size_t)(end - *line);
}

/* @text wrapped, the first line behind @first, others behind as many spaces. */
static void put_wrapped(FILE *out, const char *first, const char *text, size_t width)
{
	size_t indent = strlen(first), len;
	const char *line;

	while ((len = next_line(&text, &line, width - indent))) {
		fprintf(out, "%*s", (int)indent, first);
		put_bytes(out, line, len);
		putc('\n', out);
		first = "";
	}
}

static void text_begin(struct doc *doc, const char *title)
{
	put_wrapped(doc->out, "", title, TEXT_WIDTH);
}

static void text_end(struct doc *doc)
{
	(void)doc;
}

static void text_heading(struct doc *doc, int level, const char *text)
{
	size_t width = width_of(text, strlen(text));

	putc('\n', doc->out);
	put_bytes(doc->out, text, strlen(text));
	putc('\n', doc->out);
	for (size_t i = 0; i < width && i < TEXT_WIDTH; i++)
		putc(level == 2 ? '=' : '-', doc->out);
	putc('\n', doc->out);
}

static void text_paragraph(struct doc *doc, const char *text)
{
	put_wrapped(doc->out, "", text, TEXT_WIDTH);
}

static void text_note(struct doc *doc, const char *text)
{
	put_wrapped(doc->out, "  ", text, TEXT_WIDTH);
}

static void text_alert(struct doc *doc, const char *text)
{
	put_wrapped(doc->out, "!!! ", text, TEXT_WIDTH);
}

static void text_list(struct doc *doc, const struct names *items)
{
	for (size_t i = 0; i < items->nr; i++)
		put_wrapped(doc->out, "- ", items->name[i], TEXT_WIDTH);
}

static void text_code(struct doc *doc, const char *text)
{
	fputs("    ", doc->out);
	put_bytes(doc->out, text, strlen(text));
	putc('\n', doc->out);
}

/* --- tables ------------------------------------------------------------ */

static size_t longest_word(const char *text)
{
	size_t longest = 0;

	while (*text) {
		size_t len = strcspn(text, " "), width = width_of(text, len);

		longest = width > longest ? width : longest;
		text += len + strspn(text + len, " ");
	}
	return longest;
}

static const char *cell_text(const struct table *t, size_t row, size_t column)
{
	const char *text = t->rows[row].cells[column];

	return text ? text : t->columns[column].left ? "" : "-";
}

static size_t max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t column_width(const struct table *t, size_t column)
{
	const struct table_column *c = &t->columns[column];
	size_t head = width_of(c->title, strlen(c->title)), width;

	width = head <= HEAD_WIDTH ? head : longest_word(c->title);
	width = max(width, width_of(c->unit, strlen(c->unit)));
	for (size_t r = 0; r < t->nr_rows; r++) {
		const char *text = cell_text(t, r, column);

		if (!column || !t->rows[r].span)
			width = max(width, width_of(text, strlen(text)));
	}
	return width;
}

/* Blanks are drawn when something follows them: no line ends in one. */
struct pen {
	FILE *out;
	size_t blanks;
};

static void pen_text(struct pen *pen, const char *text, size_t len)
{
	if (!len)
		return;
	fprintf(pen->out, "%*s", (int)pen->blanks, "");
	put_bytes(pen->out, text, len);
	pen->blanks = 0;
}

static void pen_newline(struct pen *pen)
{
	putc('\n', pen->out);
	pen->blanks = 0;
}

/* @len bytes of @text in @width columns. */
static void pen_cell(struct pen *pen, const char *text, size_t len, size_t width, bool left)
{
	size_t used = width_of(text, len), pad = used < width ? width - used : 0;

	if (!left)
		pen->blanks += pad;
	pen_text(pen, text, len);
	pen->blanks += len ? (left ? pad : 0) : (left ? width : 0);
}

/* The columns of one piece: the first, then from..to-1. */
struct piece {
	const struct table *t;
	const size_t *widths;
	size_t from, to;
};

static size_t piece_column(const struct piece *p, size_t i)
{
	return i ? p->from + i - 1 : 0;
}

static size_t piece_columns(const struct piece *p)
{
	return p->to - p->from + 1;
}

/* Line @line of @nr of the heads, which stand at the bottom. */
static void put_head_line(FILE *out, const struct piece *p, size_t line, size_t nr)
{
	struct pen pen = { out, 0 };

	for (size_t i = 0; i < piece_columns(p); i++) {
		size_t c = piece_column(p, i), lines = 0, skip, len = 0;
		const char *at = p->t->columns[c].title, *text = "";

		while (next_line(&at, &text, p->widths[c]))
			lines++;
		skip = nr - lines;
		at = p->t->columns[c].title;
		for (size_t k = skip; k <= line; k++)
			len = next_line(&at, &text, p->widths[c]);
		pen.blanks += i ? GAP : 0;
		pen_cell(&pen, text, len, p->widths[c], p->t->columns[c].left);
	}
	pen_newline(&pen);
}

static void put_units(FILE *out, const struct piece *p)
{
	struct pen pen = { out, 0 };

	for (size_t i = 0; i < piece_columns(p); i++) {
		size_t c = piece_column(p, i);
		const char *unit = p->t->columns[c].unit;

		pen.blanks += i ? GAP : 0;
		pen_cell(&pen, unit, strlen(unit), p->widths[c], p->t->columns[c].left);
	}
	pen_newline(&pen);
}

static void put_heads(FILE *out, const struct piece *p)
{
	size_t nr = 0, total = 0;
	bool units = false;

	for (size_t i = 0; i < piece_columns(p); i++) {
		size_t c = piece_column(p, i), lines = 0;
		const char *at = p->t->columns[c].title, *line;

		while (next_line(&at, &line, p->widths[c]))
			lines++;
		nr = max(nr, lines);
		units |= *p->t->columns[c].unit;
		total += p->widths[c] + (i ? GAP : 0);
	}
	for (size_t line = 0; line < nr; line++)
		put_head_line(out, p, line, nr);
	if (units)
		put_units(out, p);
	for (size_t i = 0; i < total && i < TEXT_WIDTH; i++)
		putc('-', out);
	putc('\n', out);
}

/* The last cell of a row, words: wrapped under itself, which is at column @at. */
static void put_long_cell(struct pen *pen, const char *text, size_t at)
{
	size_t room = at + 20 < TEXT_WIDTH ? TEXT_WIDTH - at : 20, len;
	const char *line;

	while ((len = next_line(&text, &line, room))) {
		pen_text(pen, line, len);
		if (*text) {
			pen_newline(pen);
			pen->blanks = at;
		}
	}
	pen_newline(pen);
}

static void put_row(FILE *out, const struct piece *p, size_t row)
{
	const struct table *t = p->t;
	struct pen pen = { out, 0 };
	size_t at = 0;

	for (size_t i = 0; i < piece_columns(p); i++) {
		size_t c = piece_column(p, i);
		const char *text = cell_text(t, row, c);
		bool last = i + 1 == piece_columns(p), span = i && t->rows[row].span;

		pen.blanks += i ? GAP : 0;
		at += i ? GAP : 0;
		if (span || (i && last && t->columns[c].left)) {
			put_long_cell(&pen, span ? t->rows[row].span : text, at);
			return;
		}
		pen_cell(&pen, text, strlen(text), p->widths[c], t->columns[c].left);
		at += p->widths[c];
	}
	pen_newline(&pen);
}

/* How many columns from p->from fit. A last column of words always does: it is wrapped. */
static void fit_piece(struct piece *p)
{
	size_t used = p->widths[0];

	for (p->to = p->from; p->to < p->t->nr_columns; p->to++) {
		bool wraps = p->to + 1 == p->t->nr_columns && p->t->columns[p->to].left;
		size_t needs = wraps && p->widths[p->to] > 40 ? 40 : p->widths[p->to];

		used += GAP + needs;
		if (used > TEXT_WIDTH && p->to > p->from)
			return;
	}
}

static void text_table(struct doc *doc, const struct table *t)
{
	size_t *widths = report_alloc(t->nr_columns, sizeof(*widths));
	struct piece p = { t, widths, 1, 1 };

	for (size_t c = 0; c < t->nr_columns; c++)
		widths[c] = column_width(t, c);
	do {
		putc('\n', doc->out);
		if (*t->caption && p.from == 1)
			put_wrapped(doc->out, "", t->caption, TEXT_WIDTH);
		fit_piece(&p);
		put_heads(doc->out, &p);
		for (size_t r = 0; r < t->nr_rows; r++)
			put_row(doc->out, &p, r);
		p.from = p.to;
	} while (p.from < t->nr_columns);
	free(widths);
}

const struct doc_ops doc_text = {
	.begin = text_begin,
	.end = text_end,
	.heading = text_heading,
	.paragraph = text_paragraph,
	.note = text_note,
	.alert = text_alert,
	.list = text_list,
	.code = text_code,
	.table = text_table,
};
