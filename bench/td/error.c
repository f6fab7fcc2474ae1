// SPDX-License-Identifier: GPL-2.0-only
/*
 * Error lines: formatting, and the guarantee that hostile input cannot make
 * them longer than one line or put control characters on a terminal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "td/error.h"

int td_fail(struct td_error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	for (char *c = err->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return code;
}

const char *td_quote(char buf[TD_QUOTE_MAX], const char *value)
{
	size_t len = strlen(value);

	if (len < TD_QUOTE_MAX)
		memcpy(buf, value, len + 1);
	else
		snprintf(buf, TD_QUOTE_MAX, "%.*s...", TD_QUOTE_MAX - 4, value);
	return buf;
}
