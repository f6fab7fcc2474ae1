/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A document as a sequence of parts, and the three ways to draw them. What is
 * said, and in which order, is in document.c only; text.c, markdown.c and
 * html.c know how a part looks and nothing of runs.
 */
#ifndef DPAMT_REPORT_DOCUMENT_H
#define DPAMT_REPORT_DOCUMENT_H

#include "report/table.h"

struct doc {
	const struct doc_ops *ops;
	FILE *out;
	const char *dir;	/* of the run: plots/ are found there */
	unsigned int figures;	/* drawn so far */
};

/* Strings are plain; each drawing escapes what it must. */
struct doc_ops {
	void (*begin)(struct doc *doc, const char *title);
	void (*end)(struct doc *doc);
	void (*heading)(struct doc *doc, int level, const char *text);	/* level 2, 3 */
	void (*paragraph)(struct doc *doc, const char *text);
	void (*note)(struct doc *doc, const char *text);	/* small print */
	void (*alert)(struct doc *doc, const char *text);	/* cannot be overlooked */
	void (*list)(struct doc *doc, const struct names *items);
	void (*code)(struct doc *doc, const char *text);
	void (*table)(struct doc *doc, const struct table *t);
	/* plots/@file of doc->dir, which exists. May be NULL. */
	void (*figure)(struct doc *doc, const char *file, const char *caption);
};

extern const struct doc_ops doc_text, doc_markdown, doc_html;

/* Columns of a terminal that text is laid out for. */
#define TEXT_WIDTH 120

#endif
