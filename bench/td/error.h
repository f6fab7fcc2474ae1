/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One error, one line: what the parsers, the compiler and the machine reader
 * say about bad input. The text names file, line, wrong value and the valid
 * ones; control characters of the input never reach it.
 */
#ifndef DPAMT_TD_ERROR_H
#define DPAMT_TD_ERROR_H

#define TD_ERROR_MAX 1024

struct td_error {
	char text[TD_ERROR_MAX]; /* one line, no newline, always terminated */
};

/* Writes the line into @err (NULL: nowhere) and returns @code, a negative errno. */
int td_fail(struct td_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* @value cut to what a message can hold, in @buf; returns @buf. */
#define TD_QUOTE_MAX 64
const char *td_quote(char buf[TD_QUOTE_MAX], const char *value);

#endif
