// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt help: the texts of --help, made from the tables of verbs and options.
 */
#include "cli/cli.h"

#include <string.h>

#define WIDTH 80

const char *const exit_codes[NR_EXIT_CODES] = {
	[DPAMT_FINE] = "fine",
	[DPAMT_REGRESSED] = "a regression, or a broken invariant",
	[DPAMT_USAGE] = "usage: an option, a name, a value or a file is wrong",
	[DPAMT_ENVIRONMENT] = "environment: this machine or its file system does not allow it",
	[DPAMT_SKIPPED] = "skipped: not possible here, or not built yet",
	[DPAMT_INCONCLUSIVE] = "inconclusive: more runs are needed, or the time was up",
};

void help_wrap(FILE *out, const char *text, int indent, int width, bool first)
{
	int column = first ? 0 : indent;

	if (first)
		column = fprintf(out, "%*s", indent, "");
	while (*text) {
		int word = (int)strcspn(text, " ");

		if (column > indent && column + 1 + word > width) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		}
		if (column > indent)
			column += fprintf(out, " ");
		column += fprintf(out, "%.*s", word, text);
		text += word + strspn(text + word, " ");
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct option *opt, enum verb_id verb)
{
	const char *preset = option_preset(opt, verb);
	char head[128], text[512];
	int n;

	n = snprintf(head, sizeof(head), "  --%s%s%s", opt->name, opt->metavar ? "=" : "",
		     opt->metavar ? opt->metavar : "");
	snprintf(text, sizeof(text), "%s%s%s%s%s", opt->help, preset ? " (default " : "",
		 preset ? preset : "", preset ? ")" : "",
		 opt->source ? "; help lists the values" : "");
	fputs(head, out);
	if (n > 22)
		fputc('\n', out);
	fprintf(out, "%*s", n > 22 ? 24 : 24 - n, "");
	help_wrap(out, text, 24, WIDTH, false);
}

void help_verb(FILE *out, enum verb_id id)
{
	const struct verb *verb = &verbs[id];

	fprintf(out, "usage: dpamt %s%s%s [options]\n\n", verb->name, verb->args[0] ? " " : "",
		verb->args);
	fprintf(out, "%s\n", verb->what);
	if (verb->more[0])
		fprintf(out, "\n%s\n", verb->more);
	fputs("\noptions:\n", out);
	for (int i = 0; i < NR_OPTIONS; i++)
		if (options_table[i].verbs & (1u << id))
			print_option(out, &options_table[i], id);
	fprintf(out, "\nexample:\n  %s\n", verb->example);
}

void help_global(FILE *out)
{
	fputs("usage: dpamt VERB [options]\n\n"
	      "Compare refcount strategies of Dynamic PAMT (Intel TDX).\n\nverbs:\n", out);
	for (int i = 0; i < NR_VERBS; i++)
		fprintf(out, "  %-10s%s\n", verbs[i].name, verbs[i].what);
	fputs("\nexit codes:\n", out);
	for (int i = 0; i < NR_EXIT_CODES; i++)
		fprintf(out, "  %d  %s\n", i, exit_codes[i]);
	fputs("\n\"dpamt VERB --help\" lists the options of a verb; an option that takes one of\n"
	      "a list of names takes \"help\", too. First steps:\n"
	      "  dpamt list\n"
	      "  dpamt run --dry-run\n"
	      "  dpamt run --workload fault-storm --strategy global-fast,lockless\n", out);
}

int verb_help(const struct options *o)
{
	const char *names[NR_VERBS], *near;
	char quote[TD_QUOTE_MAX];

	if (o->v[OPT_MAN].set + o->v[OPT_COMPLETION].set + (int)o->nr_args > 1)
		return complain(DPAMT_USAGE, "help: one of VERB, --man and --completion");
	if (o->v[OPT_MAN].set)
		help_man(stdout);
	else if (o->v[OPT_COMPLETION].set)
		help_completion(stdout);
	else if (!o->nr_args)
		help_global(stdout);
	if (!o->nr_args)
		return DPAMT_FINE;
	for (int i = 0; i < NR_VERBS; i++) {
		names[i] = verbs[i].name;
		if (strcmp(names[i], o->args[0]))
			continue;
		help_verb(stdout, (enum verb_id)i);
		return DPAMT_FINE;
	}
	near = nearest(o->args[0], names, NR_VERBS);
	return complain(DPAMT_USAGE, "help: unknown verb \"%s\"%s%s%s",
			td_quote(quote, o->args[0]), near ? "; did you mean " : "; see dpamt help",
			near ? near : "", near ? "?" : "");
}
