/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small strict INI reader for workload and machine files.
 *
 *   [section] or [section ARGUMENT]	each at most once
 *   key = value			each at most once in its section
 *   ; or #				comment, at the start of a line only
 *   a line that ends in \		goes on in the next one
 *
 * Values are text with the blanks around them cut off; every section and key
 * keeps its line. What keys exist and what they mean is the caller's affair
 * (td/keys.h). CRLF and a leading byte order mark are fine.
 */
#ifndef DPAMT_TD_INI_H
#define DPAMT_TD_INI_H

#include <stddef.h>

#include "td/error.h"

#define INI_LINE_MAX 1000	 /* characters of one line of the file */
#define INI_FILE_MAX (1UL << 20) /* bytes of a file */
#define INI_ENTRIES_MAX 256	 /* sections of a file, keys of a section */

struct ini_key {
	const char *key, *value;
	unsigned int line;
};

struct ini_section {
	const char *name;
	const char *arg;   /* NULL if there is none */
	const char *title; /* as in the file, without brackets: "td boot" */
	unsigned int line;
	size_t nr;
	struct ini_key *keys;
};

struct ini {
	char *file;
	size_t nr;
	struct ini_section *sections;
	char **texts; /* owns every string above */
	size_t nr_texts;
};

/* Reads the whole regular file @path; *len excludes the NUL put behind it. -errno, with @err. */
int ini_read_file(const char *path, char **text, size_t *len, struct td_error *err);
/* Parses @len bytes; @file is the name for messages. 0, -EINVAL or -ENOMEM, with @err. */
int ini_parse(const char *file, const char *text, size_t len, struct ini **out,
	      struct td_error *err);
void ini_free(struct ini *ini);

#endif
