// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of a document as GitHub markdown. Text is escaped, so that a name or a
 * reason cannot become markup; figures are links to plots/ beside the file.
 */
#include <string.h>

#include "report/document.h"

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '<')
			fputs("&lt;", out);
		else if (c == '>')
			fputs("&gt;", out);
		else if (c == '&')
			fputs("&amp;", out);
		else if (c < 0x20 || c == 0x7f)
			putc(' ', out);
		else if (strchr("\\|*_`[]#", c))
			fprintf(out, "\\%c", c);
		else
			putc(c, out);
	}
}

static void md_begin(struct doc *doc, const char *title)
{
	fputs("# ", doc->out);
	put_escaped(doc->out, title);
	fputs("\n\n", doc->out);
}

static void md_end(struct doc *doc)
{
	(void)doc;
}

static void md_heading(struct doc *doc, int level, const char *text)
{
	fprintf(doc->out, "%.*s ", level, "######");
	put_escaped(doc->out, text);
	fputs("\n\n", doc->out);
}

static void md_paragraph(struct doc *doc, const char *text)
{
	put_escaped(doc->out, text);
	fputs("\n\n", doc->out);
}

static void md_note(struct doc *doc, const char *text)
{
	fputs("<sub>", doc->out);
	put_escaped(doc->out, text);
	fputs("</sub>\n\n", doc->out);
}

static void md_alert(struct doc *doc, const char *text)
{
	fputs("> [!CAUTION]\n> **", doc->out);
	put_escaped(doc->out, text);
	fputs("**\n\n", doc->out);
}

static void md_list(struct doc *doc, const struct names *items)
{
	for (size_t i = 0; i < items->nr; i++) {
		fputs("- ", doc->out);
		put_escaped(doc->out, items->name[i]);
		putc('\n', doc->out);
	}
	putc('\n', doc->out);
}

static void md_code(struct doc *doc, const char *text)
{
	fputs("    ", doc->out);
	for (; *text; text++)
		putc((unsigned char)*text < 0x20 ? ' ' : *text, doc->out);
	fputs("\n\n", doc->out);
}

static void md_heads(FILE *out, const struct table *t)
{
	for (size_t c = 0; c < t->nr_columns; c++) {
		const struct table_column *column = &t->columns[c];

		fputs("| ", out);
		put_escaped(out, column->title);
		if (*column->unit) {
			fputs(", ", out);
			put_escaped(out, column->unit);
		}
		putc(' ', out);
	}
	fputs("|\n", out);
	for (size_t c = 0; c < t->nr_columns; c++)
		fputs(t->columns[c].left ? "| --- " : "| ---: ", out);
	fputs("|\n", out);
}

static void md_row(FILE *out, const struct table *t, const struct table_row *row)
{
	for (size_t c = 0; c < t->nr_columns; c++) {
		const char *text = row->cells[c];

		if (c && row->span)
			text = c == 1 ? row->span : "";
		else if (!text)
			text = t->columns[c].left ? "" : "-";
		fputs(row->strong && *text ? "| **" : "| ", out);
		put_escaped(out, text);
		fputs(row->strong && *text ? "** " : " ", out);
	}
	fputs("|\n", out);
}

static void md_table(struct doc *doc, const struct table *t)
{
	if (*t->caption) {
		fputs("**", doc->out);
		put_escaped(doc->out, t->caption);
		fputs("**\n\n", doc->out);
	}
	md_heads(doc->out, t);
	for (size_t r = 0; r < t->nr_rows; r++)
		md_row(doc->out, t, &t->rows[r]);
	putc('\n', doc->out);
}

static void md_figure(struct doc *doc, const char *file, const char *caption)
{
	doc->figures++;
	fputs("![", doc->out);
	put_escaped(doc->out, caption);
	fprintf(doc->out, "](plots/%s)\n\n", file);
}

const struct doc_ops doc_markdown = {
	.begin = md_begin,
	.end = md_end,
	.heading = md_heading,
	.paragraph = md_paragraph,
	.note = md_note,
	.alert = md_alert,
	.list = md_list,
	.code = md_code,
	.table = md_table,
	.figure = md_figure,
};
