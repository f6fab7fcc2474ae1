// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parsing by the table of options.h. The first thing that is wrong ends it,
 * with one line that names the option, the value and what would be valid.
 * `--OPTION help` of an enumerated option prints its list and ends it, too.
 */
#include "cli/options.h"
#include "cli/cli.h"
#include "cli/memory.h"
#include "td/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GO_ON (-1)

const struct option options_table[NR_OPTIONS] = {
#define OPTION(id, name, type, metavar, preset, min, max, source, verbs, help) \
	[OPT_##id] = { name, TYPE_##type, metavar, preset, min, max, source, verbs, help },
	OPTIONS(OPTION)
#undef OPTION
};

/* Edits (insert, delete, replace, swap of neighbours) from @a to @b; 99 if too long to say. */
static unsigned int distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	unsigned int d[MAX + 1][MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > MAX || m > MAX)
		return 99;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

const char *nearest(const char *word, const char *const *names, size_t nr)
{
	unsigned int limit = strlen(word) < 3 ? 1 : strlen(word) < 6 ? 2 : 3, best = limit + 1;
	const char *found = NULL;

	for (size_t i = 0; i < nr; i++) {
		unsigned int d = distance(word, names[i]);

		if (d < best && d < strlen(names[i])) {
			best = d;
			found = names[i];
		}
	}
	return found;
}

/* "; did you mean X" in @buf, or "". */
static const char *suggestion(char buf[80], const char *head, const char *near)
{
	buf[0] = 0;
	if (near)
		snprintf(buf, 80, "; did you mean %s%s?", head, near);
	return buf;
}

static char *keep(struct options *o, char *text)
{
	o->texts = must_grow(o->texts, o->nr_texts + 1, sizeof(*o->texts));
	o->texts[o->nr_texts++] = text;
	return text;
}

static void append(struct option_value *v, const char *name)
{
	for (size_t i = 0; i < v->nr; i++)
		if (!strcmp(v->list[i], name))
			return;
	v->list = must_grow(v->list, v->nr + 2, sizeof(*v->list));
	v->list[v->nr++] = name;
	v->list[v->nr] = NULL;
}

static int print_choices(const struct choices *c)
{
	int width = 0;

	for (size_t i = 0; i < c->nr; i++)
		if ((int)strlen(c->of[i].name) > width)
			width = (int)strlen(c->of[i].name);
	for (size_t i = 0; i < c->nr; i++)
		printf("%-*s  %s%s%s%s\n", width, c->of[i].name, c->of[i].what,
		       c->of[i].note[0] ? " (" : "", c->of[i].note, c->of[i].note[0] ? ")" : "");
	return DPAMT_FINE;
}

const char *option_preset(const struct option *opt, enum verb_id verb)
{
	if (verb == VERB_COMPARE && (opt->type == TYPE_CHOICES || opt->type == TYPE_FILES))
		return "all";
	if (verb == VERB_SIMULATE && opt == &options_table[OPT_MACHINE])
		return "spr-2s";
	if (verb == VERB_SIMULATE && opt == &options_table[OPT_WORKLOAD])
		return "fault-storm";
	if (verb == VERB_SIMULATE && opt == &options_table[OPT_RUNS])
		return "1";
	return opt->preset;
}

static int unknown_choice(const struct options *o, const struct option *opt,
			  const struct choices *c, const char *name)
{
	char *valid = choices_valid(c, o->verb == VERB_RUN);
	char quote[TD_QUOTE_MAX];

	complain(0, "--%s: unknown %s \"%s\"; valid: %s", opt->name, c->kind, td_quote(quote, name),
		 valid[0] ? valid : "none was found");
	free(valid);
	return DPAMT_USAGE;
}

/* GO_ON if @name may be used. */
static int check_choice(const struct options *o, const struct option *opt,
			const struct choices *c, const char *name)
{
	const struct choice *found = choices_find(c, name);
	char *valid;

	if (!found)
		return unknown_choice(o, opt, c, name);
	if (!found->not_built)
		return GO_ON;
	valid = choices_valid(c, false);
	complain(0, "--%s: %s is not built yet: %s; valid: %s", opt->name, name, found->what,
		 valid);
	free(valid);
	return DPAMT_SKIPPED;
}

static void append_all(struct options *o, struct option_value *v, const struct choices *c)
{
	for (size_t i = 0; i < c->nr; i++)
		if (!c->of[i].not_in_all && !c->of[i].not_built)
			append(v, keep(o, must_copy(c->of[i].name)));
}

static int parse_list(struct options *o, const struct option *opt, struct option_value *v,
		      const struct choices *c, const char *text)
{
	char *rest = keep(o, must_copy(text)), *name;
	int ret;

	free(v->list);
	v->list = NULL;
	v->nr = 0;
	while ((name = strsep(&rest, ","))) {
		if (!strcmp(name, "all")) {
			append_all(o, v, c);
			continue;
		}
		ret = opt->type == TYPE_CHOICES ? check_choice(o, opt, c, name) : GO_ON;
		if (ret == GO_ON && !name[0])
			ret = unknown_choice(o, opt, c, name);
		if (ret != GO_ON)
			return ret;
		append(v, name);
	}
	if (!v->nr)
		return complain(DPAMT_ENVIRONMENT, "--%s: no %s was found", opt->name, c->kind);
	return GO_ON;
}

/* An option with a source: `help`, one name or a list. */
static int parse_enumerated(struct options *o, const struct option *opt, struct option_value *v,
			    const char *text)
{
	struct choices c = { 0 };
	int ret = GO_ON;

	opt->source(&c);
	if (!strcmp(text, "help"))
		ret = print_choices(&c);
	else if (opt->type == TYPE_CHOICE)
		ret = check_choice(o, opt, &c, text);
	else if (opt->type == TYPE_CHOICES || opt->type == TYPE_FILES)
		ret = parse_list(o, opt, v, &c, text);
	choices_free(&c);
	return ret;
}

static int parse_number(const struct option *opt, struct option_value *v, const char *text)
{
	char quote[TD_QUOTE_MAX];
	uint64_t n;

	if (parse_count(text, &n) || n < opt->min || n > opt->max)
		return complain(DPAMT_USAGE, "--%s: \"%s\" is not a number from %llu to %llu",
				opt->name, td_quote(quote, text), (unsigned long long)opt->min,
				(unsigned long long)opt->max);
	v->number = n;
	return GO_ON;
}

static int parse_percent(const struct option *opt, struct option_value *v, const char *text)
{
	char quote[TD_QUOTE_MAX], *end;
	double n;

	errno = 0;
	n = strtod(text, &end);
	if (errno || strspn(text, "0123456789.") == 0 || strcspn(text, "xX") != strlen(text) ||
	    (*end && strcmp(end, "%")) || n < (double)opt->min || n > (double)opt->max)
		return complain(DPAMT_USAGE, "--%s: \"%s\" is not a percentage from %llu to %llu",
				opt->name, td_quote(quote, text), (unsigned long long)opt->min,
				(unsigned long long)opt->max);
	v->real = n / 100;
	return GO_ON;
}

static int parse_one_over(const struct option *opt, struct option_value *v, const char *text)
{
	char quote[TD_QUOTE_MAX];
	uint64_t num, den;

	if (parse_scale(text, &num, &den) || num != 1)
		return complain(DPAMT_USAGE,
				"--%s: \"%s\" is no scale; valid: 1, or 1/N with N to %llu",
				opt->name, td_quote(quote, text), (unsigned long long)opt->max);
	v->number = den;
	return GO_ON;
}

static int parse_set(const struct option *opt, struct option_value *v, const char *text)
{
	const char *equals = strchr(text, '=');
	char quote[TD_QUOTE_MAX];

	if (!equals || equals == text)
		return complain(DPAMT_USAGE, "--%s: \"%s\"; valid: KEY=VALUE, td.GROUP.KEY=VALUE, "
				"phase.NAME.KEY=VALUE", opt->name, td_quote(quote, text));
	append(v, text);
	return GO_ON;
}

static int parse_value(struct options *o, enum option_id id, const char *text)
{
	const struct option *opt = &options_table[id];
	struct option_value *v = &o->v[id];

	v->set = true;
	v->text = text;
	switch (opt->type) {
	case TYPE_FLAG:
		v->number = 1;
		return GO_ON;
	case TYPE_COUNT:
		return parse_number(opt, v, text);
	case TYPE_PERCENT:
		return parse_percent(opt, v, text);
	case TYPE_SCALE:
		return parse_one_over(opt, v, text);
	case TYPE_SETS:
		return parse_set(opt, v, text);
	case TYPE_TEXT:
		if (!text[0])
			return complain(DPAMT_USAGE, "--%s: \"\"; valid: %s", opt->name,
					opt->metavar);
		return GO_ON;
	default:
		return parse_enumerated(o, opt, v, text);
	}
}

/* Name up to '=' or the end. */
static enum option_id find_option(const char *name, size_t len)
{
	for (int id = 0; id < NR_OPTIONS; id++)
		if (strlen(options_table[id].name) == len &&
		    !strncmp(options_table[id].name, name, len))
			return (enum option_id)id;
	return NR_OPTIONS;
}

static int unknown_option(const struct options *o, const char *arg, size_t len)
{
	const char *names[NR_OPTIONS];
	char near[80], quote[TD_QUOTE_MAX], name[64];
	size_t nr = 0;

	for (int id = 0; id < NR_OPTIONS; id++)
		if (options_table[id].verbs & (1u << o->verb))
			names[nr++] = options_table[id].name;
	snprintf(name, sizeof(name), "%.*s", (int)(len < 60 ? len : 60), arg);
	suggestion(near, "--", nearest(name + strspn(name, "-"), names, nr));
	return complain(DPAMT_USAGE, "%s: unknown option \"%s\"%s%s", verbs[o->verb].name,
			td_quote(quote, name), near, near[0] ? "" : "; see --help");
}

static int wrong_verb(const struct options *o, const struct option *opt)
{
	char list[128] = "";

	for (int i = 0; i < NR_VERBS; i++) {
		size_t used = strlen(list);

		if (opt->verbs & (1u << i))
			snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
				 verbs[i].name);
	}
	return complain(DPAMT_USAGE, "%s: --%s is an option of: %s", verbs[o->verb].name, opt->name,
			list);
}

/* Parse the option at @argv[*i]; *i moves on over a value of its own. */
static int parse_option(struct options *o, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *equals, *value = NULL;
	const struct option *opt;
	enum option_id id;
	size_t len;

	equals = strchr(arg, '=');
	len = equals ? (size_t)(equals - arg) : strlen(arg);
	if (arg[1] != '-')
		return unknown_option(o, arg, len);
	id = find_option(arg + 2, len - 2);
	if (id == NR_OPTIONS)
		return unknown_option(o, arg, len);
	opt = &options_table[id];
	if (!(opt->verbs & (1u << o->verb)))
		return wrong_verb(o, opt);
	if (opt->type == TYPE_FLAG && equals)
		return complain(DPAMT_USAGE, "--%s takes no value", opt->name);
	if (equals)
		value = equals + 1;
	else if (opt->type != TYPE_FLAG && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2))
		value = argv[++*i];
	if (opt->type != TYPE_FLAG && !value)
		return complain(DPAMT_USAGE, "--%s needs a value: %s", opt->name, opt->metavar);
	o->v[id].given = true;
	return parse_value(o, id, value);
}

static int parse_argument(struct options *o, const char *arg)
{
	const struct verb *verb = &verbs[o->verb];
	char quote[TD_QUOTE_MAX];

	if (o->nr_args == verb->max_args)
		return complain(DPAMT_USAGE,
				"%s: unexpected argument \"%s\"; usage: dpamt %s%s%s [options]",
				verb->name, td_quote(quote, arg), verb->name,
				verb->args[0] ? " " : "", verb->args);
	o->args[o->nr_args++] = arg;
	return GO_ON;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static int find_verb(struct options *o, const char *name)
{
	const char *names[NR_VERBS];
	char near[80], quote[TD_QUOTE_MAX], list[128] = "";

	for (int i = 0; i < NR_VERBS; i++) {
		size_t used = strlen(list);

		if (!strcmp(verbs[i].name, name)) {
			o->verb = (enum verb_id)i;
			return GO_ON;
		}
		names[i] = verbs[i].name;
		snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", names[i]);
	}
	suggestion(near, "", nearest(name, names, NR_VERBS));
	return complain(DPAMT_USAGE, "unknown verb \"%s\"%s%s valid: %s", td_quote(quote, name),
			near, near[0] ? "" : ";", list);
}

/* Defaults, for what the command line left out. */
static int parse_presets(struct options *o)
{
	int ret = GO_ON;

	for (int id = 0; id < NR_OPTIONS && ret == GO_ON; id++) {
		const char *preset = option_preset(&options_table[id], o->verb);

		if (preset && !o->v[id].given && options_table[id].verbs & (1u << o->verb))
			ret = parse_value(o, (enum option_id)id, preset);
	}
	return ret;
}

int options_parse(struct options *o, int argc, char **argv)
{
	bool only_arguments = false;
	int ret;

	memset(o, 0, sizeof(*o));
	o->argc = argc;
	o->argv = argv;
	ret = find_verb(o, argv[1]);
	if (ret != GO_ON)
		return ret;
	if (wants_help(argc, argv)) {
		help_verb(stdout, o->verb);
		return DPAMT_FINE;
	}
	for (int i = 2; i < argc && ret == GO_ON; i++) {
		if (!only_arguments && !strcmp(argv[i], "--"))
			only_arguments = true;
		else if (!only_arguments && argv[i][0] == '-' && argv[i][1])
			ret = parse_option(o, argc, argv, &i);
		else
			ret = parse_argument(o, argv[i]);
	}
	return ret == GO_ON ? parse_presets(o) : ret;
}

void options_free(struct options *o)
{
	for (int id = 0; id < NR_OPTIONS; id++)
		free(o->v[id].list);
	for (size_t i = 0; i < o->nr_texts; i++)
		free(o->texts[i]);
	free(o->texts);
	memset(o, 0, sizeof(*o));
}

/* Text of the command line may be no UTF-8; JSON must be. */
static json_t *json_text(const char *text)
{
	json_t *value = text ? json_string(text) : json_null();

	return value ? value : json_string("(not UTF-8)");
}

static json_t *value_json(const struct option *opt, const struct option_value *v)
{
	json_t *list;

	switch (opt->type) {
	case TYPE_FLAG:
		return json_boolean(v->number);
	case TYPE_COUNT:
		return v->set ? json_integer((json_int_t)v->number) : json_null();
	case TYPE_CHOICES:
	case TYPE_FILES:
	case TYPE_SETS:
		list = json_array();
		for (size_t i = 0; i < v->nr; i++)
			json_array_append_new(list, json_text(v->list[i]));
		return list;
	default:
		return json_text(v->text);
	}
}

json_t *options_json(const struct options *o)
{
	json_t *all = json_object();

	for (int id = 0; id < NR_OPTIONS; id++)
		if (id != OPT_HELP && options_table[id].verbs & (1u << o->verb))
			json_object_set_new(all, options_table[id].name,
					    value_json(&options_table[id], &o->v[id]));
	return all;
}
