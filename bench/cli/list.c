// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt list: the members of each enumeration, from the same sources as the
 * options take them.
 */
#include "cli/cli.h"
#include "cli/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct list {
	const char *name, *note;	/* plural; what choice->note is */
	choice_source source;
} lists[] = {
	{ "strategies", "kind", strategy_choices },
	{ "workloads", "primary", workload_choices },
	{ "machines", "note", machine_choices },
	{ "executors", "note", executor_choices },
	{ "metrics", "unit", metric_choices },
};

#define NR_LISTS (sizeof(lists) / sizeof(lists[0]))

static void print_text(const struct list *l, const struct choices *c, bool heading)
{
	int width = 0;

	if (heading)
		printf("%s\n", l->name);
	for (size_t i = 0; i < c->nr; i++)
		if ((int)strlen(c->of[i].name) > width)
			width = (int)strlen(c->of[i].name);
	for (size_t i = 0; i < c->nr; i++)
		printf("%s%-*s  %s%s%s%s\n", heading ? "  " : "", width, c->of[i].name,
		       c->of[i].what, c->of[i].note[0] ? " (" : "", c->of[i].note,
		       c->of[i].note[0] ? ")" : "");
}

static void print_csv_field(const char *text, char end)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	printf("\"%c", end);
}

static void print_csv(const struct list *l, const struct choices *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		printf("%s,", l->name);
		print_csv_field(c->of[i].name, ',');
		print_csv_field(c->of[i].what, ',');
		print_csv_field(c->of[i].note, '\n');
	}
}

static void print_markdown(const struct list *l, const struct choices *c)
{
	printf("| %s | what | %s |\n| --- | --- | --- |\n", l->name, l->note);
	for (size_t i = 0; i < c->nr; i++)
		printf("| `%s` | %s | %s |\n", c->of[i].name, c->of[i].what, c->of[i].note);
}

static json_t *list_json(const struct list *l, const struct choices *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->nr; i++) {
		json_t *one = json_pack("{s:s, s:s, s:s}", "name", c->of[i].name, "what",
					c->of[i].what, l->note, c->of[i].note);

		json_array_append_new(all, one ? one : json_null());
	}
	return all;
}

static void print_list(const struct list *l, const char *format, bool one, json_t *all)
{
	struct choices c = { 0 };

	l->source(&c);
	if (!strcmp(format, "json"))
		json_object_set_new(all, l->name, list_json(l, &c));
	else if (!strcmp(format, "csv"))
		print_csv(l, &c);
	else if (!strcmp(format, "markdown"))
		print_markdown(l, &c);
	else
		print_text(l, &c, !one);
	if (!one && l != &lists[NR_LISTS - 1] && strcmp(format, "json") && strcmp(format, "csv"))
		putchar('\n');
	choices_free(&c);
}

static int unknown_list(const char *name)
{
	const char *names[NR_LISTS], *near;
	char quote[TD_QUOTE_MAX];

	for (size_t i = 0; i < NR_LISTS; i++)
		names[i] = lists[i].name;
	near = nearest(name, names, NR_LISTS);
	return complain(DPAMT_USAGE, "list: unknown list \"%s\"%s%s%s valid: %s, %s, %s, %s, %s",
			td_quote(quote, name), near ? "; did you mean " : ";", near ? near : "",
			near ? "?" : "", names[0], names[1], names[2], names[3], names[4]);
}

int verb_list(const struct options *o)
{
	const char *format = o->v[OPT_FORMAT].text;
	const struct list *only = NULL;
	json_t *all;

	for (size_t i = 0; o->nr_args && i < NR_LISTS; i++)
		if (!strcmp(lists[i].name, o->args[0]))
			only = &lists[i];
	if (o->nr_args && !only)
		return unknown_list(o->args[0]);
	all = json_object();
	if (!strcmp(format, "csv"))
		puts("list,name,what,note");
	for (size_t i = 0; i < NR_LISTS; i++)
		if (!only || only == &lists[i])
			print_list(&lists[i], format, only, all);
	if (!strcmp(format, "json"))
		return print_json(all);
	json_decref(all);
	return DPAMT_FINE;
}
