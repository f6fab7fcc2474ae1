// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt compare: the strategies of one run against the baseline, or one run
 * against another, and the gate.
 */
#include "cli/cli.h"
#include "report/compare.h"

#include <stdlib.h>
#include <string.h>

/* The names that option @id restricts the comparison to, NULL for all. */
static const char *const *only(const struct options *o, enum option_id id)
{
	return strcmp(o->v[id].text, "all") ? o->v[id].list : NULL;
}

static struct compare_options rules(const struct options *o)
{
	struct compare_options c = COMPARE_DEFAULTS;

	c.baseline = o->v[OPT_BASELINE].text;
	c.strategies = only(o, OPT_STRATEGY);
	c.workloads = only(o, OPT_WORKLOAD);
	c.rule.margin = o->v[OPT_MARGIN].real;
	c.seed = o->v[OPT_SEED].number;
	return c;
}

static int print_compare(const struct compare *c, const char *format)
{
	char *text;

	if (!strcmp(format, "json"))
		return print_json(compare_json(c));
	text = !strcmp(format, "csv")	   ? compare_csv(c) :
	       !strcmp(format, "markdown") ? compare_markdown(c) :
					     compare_text(c);
	if (!text)
		return complain(DPAMT_ENVIRONMENT, "out of memory");
	fputs(text, stdout);
	free(text);
	return DPAMT_FINE;
}

static int judge(const struct options *o, const struct result_run *a, const struct result_run *b)
{
	struct compare_options options = rules(o);
	struct compare *c = NULL;
	char err[1024], why[1024];
	int ret;

	ret = b ? compare_runs(a, b, &options, &c, err, sizeof(err)) :
		  compare_run(a, &options, &c, err, sizeof(err));
	if (ret)
		return complain(DPAMT_USAGE, "compare: %s", err);
	ret = print_compare(c, o->v[OPT_FORMAT].text);
	if (!ret && o->v[OPT_GATE].set) {
		ret = (int)compare_gate(c, why, sizeof(why));
		complain(0, "gate: %s", why);
	}
	compare_free(c);
	return ret;
}

int verb_compare(const struct options *o)
{
	const char *out = o->v[OPT_OUT].text, *first = o->nr_args ? o->args[0] : "latest";
	struct result_run *a = NULL, *b = NULL;
	int ret;

	if (o->nr_args == 2 && o->v[OPT_BASELINE].given)
		return complain(DPAMT_USAGE, "compare: --baseline belongs to the comparison within "
					     "one run; two were given");
	ret = run_open(first, out, &a);
	if (!ret && o->nr_args == 2)
		ret = run_open(o->args[1], out, &b);
	if (!ret)
		ret = judge(o, a, b);
	if (a)
		result_free(a);
	if (b)
		result_free(b);
	return ret;
}
