// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation that ends the program when there is no memory; see memory.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (p)
		return p;
	fputs("dpamt: out of memory\n", stderr);
	exit(3);
}

void *must_calloc(size_t nr, size_t size)
{
	return must(calloc(nr ? nr : 1, size));
}

void *must_grow(void *old, size_t nr, size_t size)
{
	return must(reallocarray(old, nr ? nr : 1, size));
}

char *must_copy(const char *text)
{
	return must(strdup(text));
}

char *must_print(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return must(n < 0 ? NULL : text);
}
