/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fixtures of the td parsers. Tests run with the root of the tree as working
 * directory, wherever they are started. The first line of a bad fixture says
 * the message that it must get: "; expect LINE: TEXT", or "-" for no line.
 */
#ifndef DPAMT_TD_FIXTURES_H
#define DPAMT_TD_FIXTURES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "td/error.h"
#include "tests/test.h"

#define FIXTURES "bench/tests/fixtures"

/* Goes to the root of the tree; @file is the test's __FILE__. */
static inline void go_to_root(const char *file)
{
	const char *tail = strstr(file, "bench/tests/");
	char root[4096];

	if (!tail || tail == file)
		return;
	snprintf(root, sizeof(root), "%.*s", (int)(tail - file), file);
	if (chdir(root))
		perror(root);
}

/* The message that the fixture @path wants, with its path and line in front. */
static inline bool wanted_message(const char *path, char *want, size_t size)
{
	char first[TD_ERROR_MAX], *text;
	FILE *f = fopen(path, "r");

	if (!f || !fgets(first, sizeof(first), f) || strncmp(first, "; expect ", 9)) {
		if (f)
			fclose(f);
		return false;
	}
	fclose(f);
	first[strcspn(first, "\r\n")] = '\0';
	text = first + 9;
	if (!strncmp(text, "-: ", 3))
		snprintf(want, size, "%s%s", path, text + 1);
	else
		snprintf(want, size, "%s:%s", path, text);
	return true;
}

/* Calls @check for every fixture in @dir; how many there were. */
static inline unsigned int for_each_fixture(const char *dir, void (*check)(const char *path))
{
	struct dirent **entries;
	unsigned int seen = 0;
	int nr = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < nr; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.') {
			check(path);
			seen++;
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return seen;
}

/* xorshift64*: the same numbers in every run. */
static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

/* Copies @text into @out (room for @len + 64) with a few random edits; the new length. */
static inline size_t mutate(const char *text, size_t len, char *out, uint64_t *rnd)
{
	static const char spice[] = "=[]:,\n\\;#%\"0914KMGT. \t";
	size_t edits = 1 + test_random(rnd) % 6;

	memcpy(out, text, len);
	while (edits--) {
		size_t at = test_random(rnd) % len;
		size_t run = 1 + test_random(rnd) % 8;

		switch (test_random(rnd) % 5) {
		case 0:
			out[at] = (char)test_random(rnd);
			break;
		case 1:
			out[at] = spice[test_random(rnd) % (sizeof(spice) - 1)];
			break;
		case 2: /* cut a run */
			run = run < len - at ? run : len - at;
			memmove(out + at, out + at + run, len - at - run);
			len -= run;
			len += !len;
			break;
		case 3: /* double a run */
			run = run < len - at ? run : len - at;
			memmove(out + at + run, out + at, len - at);
			len += run;
			break;
		default: /* a digit somewhere becomes another one */
			while (at < len && (out[at] < '0' || out[at] > '9'))
				at++;
			if (at < len)
				out[at] = '0' + test_random(rnd) % 10;
		}
	}
	return len;
}

#endif
