// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt help --man: the manual page, in roff (man macros), from the tables of
 * verbs, options and exit codes.
 */
#include "cli/cli.h"

#include <string.h>

/* @text with what roff would take for its own escaped. */
static void roff(FILE *out, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		start = *text == '\n';
	}
}

static void man_verb(FILE *out, const struct verb *verb)
{
	fputs(".TP\n.B ", out);
	roff(out, verb->name);
	fputc('\n', out);
	if (verb->args[0]) {
		fputs(".I ", out);
		roff(out, verb->args);
		fputs("\n.br\n", out);
	}
	roff(out, verb->what);
	fputs(".\n", out);
	if (verb->more[0]) {
		roff(out, verb->more);
		fputc('\n', out);
	}
}

static void man_option(FILE *out, const struct option *opt)
{
	const char *between = "";

	fputs(".TP\n.B \\-\\-", out);
	roff(out, opt->name);
	if (opt->metavar) {
		fputc('=', out);
		roff(out, opt->metavar);
	}
	fputc('\n', out);
	roff(out, opt->help);
	if (opt->preset) {
		fputs(" (default ", out);
		roff(out, opt->preset);
		fputc(')', out);
	}
	fputs(opt->source ? ";\n.B help\nlists the values.\n" : ".\n", out);
	fputs("Verbs: ", out);
	for (int i = 0; i < NR_VERBS; i++) {
		if (!(opt->verbs & (1u << i)))
			continue;
		fprintf(out, "%s%s", between, verbs[i].name);
		between = ", ";
	}
	fputs(".\n", out);
}

void help_man(FILE *out)
{
	fputs(".TH DPAMT 1 \"\" \"dpamt-bench\" \"User Commands\"\n"
	      ".SH NAME\ndpamt \\- compare refcount strategies of Dynamic PAMT\n"
	      ".SH SYNOPSIS\n.B dpamt\n.I VERB\n[options]\n"
	      ".SH DESCRIPTION\n"
	      "Dynamic PAMT installs and removes the TDX module's metadata for a 2M region of\n"
	      "memory with the first and the last 4K page that is used in it. A strategy decides\n"
	      "how that is serialised.\n.B dpamt\n"
	      "runs the kernel's source of each strategy under workloads of many TDs and compares\n"
	      "latency, waiting and memory.\n"
	      "The result document goes to stdout, everything else to stderr.\n"
	      ".SH VERBS\n", out);
	for (int i = 0; i < NR_VERBS; i++)
		man_verb(out, &verbs[i]);
	fputs(".SH OPTIONS\n", out);
	for (int i = 0; i < NR_OPTIONS; i++)
		man_option(out, &options_table[i]);
	fputs(".SH EXIT STATUS\n", out);
	for (int i = 0; i < NR_EXIT_CODES; i++) {
		fprintf(out, ".TP\n.B %d\n", i);
		roff(out, exit_codes[i]);
		fputs(".\n", out);
	}
	fputs(".SH FILES\n.TP\n.I results/RUN\\-ID/\n"
	      "run.json, samples.jsonl, report.md, report.html, plots/\n"
	      ".TP\n.I workloads/*.wl\nthe workloads\n"
	      ".TP\n.I bench/machines/*.mach\nthe cost models\n"
	      ".SH EXAMPLES\n.nf\n", out);
	for (int i = 0; i < NR_VERBS; i++) {
		roff(out, verbs[i].example);
		fputc('\n', out);
	}
	fputs(".fi\n", out);
}
