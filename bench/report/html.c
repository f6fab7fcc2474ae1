// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of a document as one HTML page that needs nothing else: style and
 * plots are in it, there is no script. It follows the reader's light or dark
 * preference; the black that gnuplot draws with follows the text's colour.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/document.h"

static const char style[] =
	":root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#57606a;--line:#d0d7de;"
	"--soft:#f6f8fa;--bad-fg:#82071e;--bad-bg:#ffebe9}\n"
	"@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9198a1;"
	"--line:#3d444d;--soft:#151b23;--bad-fg:#ffb3ad;--bad-bg:#3c1618}}\n"
	"body{margin:0 auto;padding:1.5rem;max-width:76rem;background:var(--bg);color:var(--fg);"
	"font:15px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:1px solid "
	"var(--line)}h3{font-size:1.05rem;margin-top:1.6rem}\n"
	".wide{overflow-x:auto;margin:.8rem 0}table{border-collapse:collapse;"
	"font-variant-numeric:tabular-nums;font-size:.86rem}\n"
	"caption{text-align:left;font-weight:600;padding:.3rem 0}"
	"th,td{padding:.22rem .6rem;border-bottom:1px solid var(--line);text-align:right;"
	"vertical-align:top}th{vertical-align:bottom;background:var(--soft)}"
	"th:first-child,td:first-child,.l{text-align:left}th small{color:var(--dim);"
	"font-weight:400;display:block}tr.strong td{font-weight:600}\n"
	".note{color:var(--dim);font-size:.85rem;margin:.3rem 0}.bad{color:var(--bad-fg);"
	"background:var(--bad-bg);border-left:4px solid;padding:.6rem 1rem;font-weight:600}\n"
	"pre{background:var(--soft);padding:.7rem 1rem;overflow-x:auto}"
	"figure{margin:1rem 0}figure svg{max-width:100%;height:auto}"
	"figcaption{color:var(--dim);font-size:.85rem}\n"
	"figure svg [stroke=black],figure svg [stroke=\"rgb(  0,   0,   0)\"]"
	"{stroke:currentColor}figure svg [fill=black],"
	"figure svg [fill=\"rgb(0,0,0)\"]{fill:currentColor}figure svg [color=black]{color:inherit}"
	"figure svg rect[fill=\"#ffffff\"]{fill:none}\n";

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
		else if (c == '"')
			fputs("&quot;", out);
		else if (c < 0x20 || c == 0x7f)
			putc(' ', out);
		else
			putc(c, out);
	}
}

static void put_element(FILE *out, const char *open, const char *text, const char *close)
{
	fputs(open, out);
	put_escaped(out, text);
	fputs(close, out);
}

static void html_begin(struct doc *doc, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n",
	      doc->out);
	put_element(doc->out, "<title>", title, "</title>\n");
	fprintf(doc->out, "<style>\n%s</style>\n</head>\n<body>\n", style);
	put_element(doc->out, "<h1>", title, "</h1>\n");
}

static void html_end(struct doc *doc)
{
	fputs("</body>\n</html>\n", doc->out);
}

static void html_heading(struct doc *doc, int level, const char *text)
{
	fprintf(doc->out, "<h%d>", level);
	put_escaped(doc->out, text);
	fprintf(doc->out, "</h%d>\n", level);
}

static void html_paragraph(struct doc *doc, const char *text)
{
	put_element(doc->out, "<p>", text, "</p>\n");
}

static void html_note(struct doc *doc, const char *text)
{
	put_element(doc->out, "<p class=\"note\">", text, "</p>\n");
}

static void html_alert(struct doc *doc, const char *text)
{
	put_element(doc->out, "<p class=\"bad\" role=\"alert\">", text, "</p>\n");
}

static void html_list(struct doc *doc, const struct names *items)
{
	fputs("<ul>\n", doc->out);
	for (size_t i = 0; i < items->nr; i++)
		put_element(doc->out, "<li>", items->name[i], "</li>\n");
	fputs("</ul>\n", doc->out);
}

static void html_code(struct doc *doc, const char *text)
{
	put_element(doc->out, "<pre><code>", text, "</code></pre>\n");
}

static void html_row(FILE *out, const struct table *t, const struct table_row *row)
{
	fputs(row->strong ? "<tr class=\"strong\">" : "<tr>", out);
	for (size_t c = 0; c < t->nr_columns; c++) {
		const char *text = row->cells[c];

		if (c && row->span) {
			fprintf(out, "<td class=\"l\" colspan=\"%zu\">", t->nr_columns - 1);
			put_element(out, "", row->span, "</td>");
			break;
		}
		if (!text)
			text = t->columns[c].left ? "" : "-";
		put_element(out, t->columns[c].left ? "<td class=\"l\">" : "<td>", text, "</td>");
	}
	fputs("</tr>\n", out);
}

static void html_table(struct doc *doc, const struct table *t)
{
	fputs("<div class=\"wide\"><table>\n", doc->out);
	if (*t->caption)
		put_element(doc->out, "<caption>", t->caption, "</caption>\n");
	fputs("<thead><tr>", doc->out);
	for (size_t c = 0; c < t->nr_columns; c++) {
		put_element(doc->out, t->columns[c].left ? "<th class=\"l\">" : "<th>",
			    t->columns[c].title, "");
		if (*t->columns[c].unit)
			put_element(doc->out, "<small>", t->columns[c].unit, "</small>");
		fputs("</th>", doc->out);
	}
	fputs("</tr></thead>\n<tbody>\n", doc->out);
	for (size_t r = 0; r < t->nr_rows; r++)
		html_row(doc->out, t, &t->rows[r]);
	fputs("</tbody></table></div>\n", doc->out);
}

/* --- plots ------------------------------------------------------------- */

/*
 * The SVG element of @text. Names in it ("id=", "#") get a number in front,
 * since each plot brings the same ones.
 */
static void put_svg(FILE *out, const char *text, unsigned int number)
{
	static const char *const before[] = { " id=\"", " id='", "href='#", "href=\"#", "url(#" };
	const char *at = strstr(text, "<svg");

	while (at && *at) {
		size_t len = 0;

		for (size_t i = 0; !len && i < sizeof(before) / sizeof(before[0]); i++)
			if (!strncmp(at, before[i], strlen(before[i])))
				len = strlen(before[i]);
		if (len) {
			fwrite(at, 1, len, out);
			fprintf(out, "f%u-", number);
			at += len;
		} else {
			putc(*at++, out);
		}
	}
}

/* All of @path; NULL, with errno, if it cannot be read. */
static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0, got;

	if (!file)
		return NULL;
	do {
		text = report_realloc(text, size + 65536 + 1, 1);
		got = fread(text + size, 1, 65536, file);
		size += got;
	} while (got);
	text[size] = '\0';
	fclose(file);
	return text;
}

static void html_figure(struct doc *doc, const char *file, const char *caption)
{
	char *path = report_format("%s/plots/%s", doc->dir, file), *text = read_text(path);

	if (text) {
		fputs("<figure>\n", doc->out);
		put_svg(doc->out, text, ++doc->figures);
		put_element(doc->out, "<figcaption>", caption, "</figcaption>\n</figure>\n");
	} else {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	}
	free(text);
	free(path);
}

const struct doc_ops doc_html = {
	.begin = html_begin,
	.end = html_end,
	.heading = html_heading,
	.paragraph = html_paragraph,
	.note = html_note,
	.alert = html_alert,
	.list = html_list,
	.code = html_code,
	.table = html_table,
	.figure = html_figure,
};
