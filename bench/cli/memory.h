/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation for the command line: its tables are small and it has nothing to
 * save, so lack of memory ends the program with a message and exit code 3.
 */
#ifndef DPAMT_CLI_MEMORY_H
#define DPAMT_CLI_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

void *must_calloc(size_t nr, size_t size);
/* @old resized to @nr members of @size. */
void *must_grow(void *old, size_t nr, size_t size);
char *must_copy(const char *text);
char *must_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
