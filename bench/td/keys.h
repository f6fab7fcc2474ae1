/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables of keys: one row a key says its name, what values it takes and where
 * in the object the value goes. From the row come the parser, the list of
 * valid values in an error message, the override from the command line, and
 * the canonical text that a file is hashed by.
 *
 * Numeric fields are uint64_t: bytes, ns, percent or a count. KEY_CHOICE
 * fields are struct key_choice, KEY_TEXT fields char[row->max].
 */
#ifndef DPAMT_TD_KEYS_H
#define DPAMT_TD_KEYS_H

#include <stdint.h>
#include <stdio.h>

#include "td/error.h"
#include "td/ini.h"

enum key_kind {
	KEY_NONE,
	KEY_TEXT,
	KEY_SIZE,
	KEY_TIME,
	KEY_SHARE,
	KEY_COUNT,
	KEY_CHOICE,
	KEY_OTHER, /* ->parse, ->print and ->valid say it */
};

/* One word of a choice, with what stands behind its colon ("open:4us"). */
struct key_option {
	const char *name; /* NULL ends the list */
	enum key_kind arg;
};

struct key_choice {
	uint64_t pick; /* index into the options */
	uint64_t arg;
};

#define KEY_REQUIRED 1U
#define KEY_UNHASHED 2U /* does not change what runs */
#define KEY_USER 16U	/* flags from here on belong to the table's owner */

struct key {
	const char *name; /* NULL ends the table */
	enum key_kind kind;
	unsigned int flags;
	size_t offset;
	uint64_t min, max, multiple;
	const struct key_option *options;
	const char *valid;
	int (*parse)(const char *value, void *field); /* 0, -EINVAL or -ERANGE */
	void (*print)(FILE *f, const void *field);
};

/* Where a value came from; line 0: @file is the whole place ("--set x=y"). */
struct key_place {
	const char *file;
	unsigned int line;
	const char *section; /* "td boot" */
};

/* td_fail() with "FILE:LINE: " or "FILE: " in front. */
int key_fail(struct td_error *err, const struct key_place *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets one key of @object; *seen gets the bit of the key's row. -EINVAL with @err. */
int key_set(const struct key *table, void *object, uint64_t *seen, const struct key_place *place,
	    const char *name, const char *value, struct td_error *err);
/* Sets every key of @section and checks that none that is required is missing. */
int key_set_section(const struct key *table, void *object, uint64_t *seen, const char *file,
		    const struct ini_section *section, struct td_error *err);
/* Prints "name = value" lines; rows with a flag of @skip are left out. */
void key_print(const struct key *table, const void *object, unsigned int skip, FILE *f);

#endif
