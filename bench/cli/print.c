// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one place where a verb's document goes to stdout, and the one-line messages to
 * stderr.
 */
#include "cli/cli.h"
#include "report/report.h"

#include <stdarg.h>
#include <string.h>

int complain(int code, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* What the user typed, or a file says, must not drive the terminal. */
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	fflush(stdout);
	fprintf(stderr, "dpamt: %s\n", line);
	return code;
}

/* main() tells of an error of stdout itself, once. */
static int not_printed(const char *why)
{
	return ferror(stdout) ? DPAMT_ENVIRONMENT :
				complain(DPAMT_ENVIRONMENT, "the document: %s", why);
}

int print_json(json_t *json)
{
	int ret;

	if (!json)
		return complain(DPAMT_ENVIRONMENT, "out of memory");
	ret = json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(json);
	putchar('\n');
	return ret ? not_printed("cannot write the document") : DPAMT_FINE;
}

int print_run(const struct result_run *run, const char *format, bool full)
{
	int ret;

	if (!strcmp(format, "json"))
		return print_json(report_json(run));
	if (!strcmp(format, "csv"))
		ret = report_csv(stdout, run);
	else if (!strcmp(format, "markdown"))
		ret = report_markdown(stdout, run);
	else
		ret = full ? report_text(stdout, run) : report_summary(stdout, run);
	return ret ? not_printed(strerror(-ret)) : DPAMT_FINE;
}
