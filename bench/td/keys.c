// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one parser of values. A value is read by its kind, then held against
 * the row's bounds; whatever fails ends in the same message, built from the
 * row: bad value "X" for "KEY" in [SECTION]; valid: ...
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "td/keys.h"
#include "td/units.h"

#define KEY_TIME_MAX (1000 * 1000000000ULL)

int key_fail(struct td_error *err, const struct key_place *place, const char *fmt, ...)
{
	char text[TD_ERROR_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (place->line)
		return td_fail(err, -EINVAL, "%s:%u: %s", place->file, place->line, text);
	return td_fail(err, -EINVAL, "%s: %s", place->file, text);
}

static int parse_number(enum key_kind kind, const char *value, uint64_t *v)
{
	switch (kind) {
	case KEY_SIZE:
		return parse_size(value, v);
	case KEY_TIME:
		return parse_time(value, v);
	case KEY_SHARE:
		return parse_share(value, v);
	default:
		return parse_count(value, v);
	}
}

static int parse_bounded(const struct key *key, const char *value, uint64_t *field)
{
	uint64_t v;
	int ret = parse_number(key->kind, value, &v);

	if (ret)
		return ret;
	if (v < key->min || v > key->max || (key->multiple && v % key->multiple))
		return -ERANGE;
	*field = v;
	return 0;
}

static int parse_text(const struct key *key, const char *value, char *field)
{
	size_t len = strlen(value);

	if (!len || len >= key->max)
		return -ERANGE;
	memcpy(field, value, len + 1);
	return 0;
}

static int parse_option(const struct key *key, const char *value, struct key_choice *field)
{
	const char *colon = strchrnul(value, ':');
	size_t len = colon - value;

	for (size_t i = 0; key->options[i].name; i++) {
		const struct key_option *o = &key->options[i];
		uint64_t arg = 0;
		int ret;

		if (strlen(o->name) != len || memcmp(o->name, value, len))
			continue;
		if ((o->arg == KEY_NONE) != !*colon)
			return -EINVAL;
		if (*colon) {
			ret = parse_number(o->arg, colon + 1, &arg);
			if (ret)
				return ret;
			if (o->arg == KEY_TIME && (!arg || arg > KEY_TIME_MAX))
				return -ERANGE;
		}
		*field = (struct key_choice){.pick = i, .arg = arg};
		return 0;
	}
	return -EINVAL;
}

static int parse_value(const struct key *key, const char *value, void *field)
{
	switch (key->kind) {
	case KEY_TEXT:
		return parse_text(key, value, field);
	case KEY_CHOICE:
		return parse_option(key, value, field);
	case KEY_OTHER:
		return key->parse(value, field);
	default:
		return parse_bounded(key, value, field);
	}
}

static void print_number(enum key_kind kind, uint64_t v, FILE *f)
{
	char buf[UNITS_TEXT_MAX];

	if (kind == KEY_SIZE)
		fputs(format_size(buf, v), f);
	else if (kind == KEY_TIME)
		fputs(format_time(buf, v), f);
	else
		fprintf(f, "%" PRIu64 "%s", v, kind == KEY_SHARE ? "%" : "");
}

static void print_value(const struct key *key, const void *field, FILE *f)
{
	const struct key_choice *choice = field;

	switch (key->kind) {
	case KEY_TEXT:
		fputs(field, f);
		break;
	case KEY_CHOICE:
		fputs(key->options[choice->pick].name, f);
		if (key->options[choice->pick].arg != KEY_NONE) {
			fputc(':', f);
			print_number(key->options[choice->pick].arg, choice->arg, f);
		}
		break;
	case KEY_OTHER:
		key->print(f, field);
		break;
	default:
		print_number(key->kind, *(const uint64_t *)field, f);
	}
}

/* "contiguous, buddy, scattered:SHARE" */
static void print_options(const struct key_option *o, FILE *f)
{
	for (const char *comma = ""; o->name; o++, comma = ", ")
		fprintf(f, "%s%s%s", comma, o->name,
			o->arg == KEY_TIME    ? ":TIME (such as 4us)"
			: o->arg == KEY_SHARE ? ":SHARE (0% to 100%)"
					      : "");
}

/* What a message lists behind "valid: ". */
static void print_valid(const struct key *key, FILE *f)
{
	static const char *const nouns[] = {
		[KEY_SIZE] = "a size",
		[KEY_TIME] = "a time",
		[KEY_SHARE] = "a share",
		[KEY_COUNT] = "a number",
	};

	if (key->valid) {
		fputs(key->valid, f);
		return;
	}
	if (key->kind == KEY_TEXT) {
		fprintf(f, "a text of 1 to %" PRIu64 " characters", key->max - 1);
		return;
	}
	if (key->kind == KEY_CHOICE) {
		print_options(key->options, f);
		return;
	}
	fprintf(f, "%s from ", nouns[key->kind]);
	print_number(key->kind, key->min, f);
	fputs(" to ", f);
	print_number(key->kind, key->max, f);
	if (key->multiple > 1) {
		fputs(", a multiple of ", f);
		print_number(key->kind, key->multiple, f);
	}
}

static int bad_value(const struct key *key, const struct key_place *place, const char *value,
		     struct td_error *err)
{
	char quote[TD_QUOTE_MAX], valid[256] = "";
	FILE *f = fmemopen(valid, sizeof(valid), "w");

	if (f) {
		print_valid(key, f);
		fclose(f);
		valid[sizeof(valid) - 1] = '\0';
	}
	return key_fail(err, place, "bad value \"%s\" for \"%s\" in [%s]; valid: %s",
			td_quote(quote, value), key->name, place->section, valid);
}

static int bad_key(const struct key *table, const struct key_place *place, const char *name,
		   struct td_error *err)
{
	char quote[TD_QUOTE_MAX], valid[512];
	size_t used = 0;

	for (size_t i = 0; table[i].name && used < sizeof(valid); i++)
		used += snprintf(valid + used, sizeof(valid) - used, "%s%s", i ? ", " : "",
				 table[i].name);
	return key_fail(err, place, "unknown key \"%s\" in [%s]; valid: %s", td_quote(quote, name),
			place->section, valid);
}

int key_set(const struct key *table, void *object, uint64_t *seen, const struct key_place *place,
	    const char *name, const char *value, struct td_error *err)
{
	for (size_t i = 0; table[i].name; i++) {
		if (strcmp(table[i].name, name))
			continue;
		if (parse_value(&table[i], value, (char *)object + table[i].offset))
			return bad_value(&table[i], place, value, err);
		*seen |= 1ULL << i;
		return 0;
	}
	return bad_key(table, place, name, err);
}

int key_set_section(const struct key *table, void *object, uint64_t *seen, const char *file,
		    const struct ini_section *section, struct td_error *err)
{
	struct key_place place = {.file = file, .section = section->title};

	for (size_t i = 0; i < section->nr; i++) {
		const struct ini_key *k = &section->keys[i];
		int ret;

		place.line = k->line;
		ret = key_set(table, object, seen, &place, k->key, k->value, err);
		if (ret)
			return ret;
	}
	place.line = section->line;
	for (size_t i = 0; table[i].name; i++)
		if ((table[i].flags & KEY_REQUIRED) && !(*seen & (1ULL << i)))
			return key_fail(err, &place, "[%s] has no \"%s\", which it needs",
					section->title, table[i].name);
	return 0;
}

void key_print(const struct key *table, const void *object, unsigned int skip, FILE *f)
{
	for (; table->name; table++) {
		if (table->flags & skip)
			continue;
		fprintf(f, "%s = ", table->name);
		print_value(table, (const char *)object + table->offset, f);
		fputc('\n', f);
	}
}
