// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader of machine files, and sampling from their quantiles. A cost line
 * is held to what it says: the mean lies in its range, the quantiles rise from
 * 0 to 100 percent, and their own mean is within 5% of the one given. Every cost
 * with a source, or the file is refused.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "td/find.h"
#include "td/ini.h"
#include "td/keys.h"
#include "td/machine.h"
#include "td/units.h"

#define COST_FORM \
	"TIME range LOW..HIGH [quantiles 0:TIME,..,100:TIME] source \"TEXT\", TIME from 0 to 1s"

#define LINE_FORM "TIME range LOW..HIGH source \"TEXT\", TIME from 0 to 100us, in ps or ns"
#define LINE_NS_MAX 100000u

static const char *const cost_names[] = {
#define COST(key, what) #key,
	MACHINE_COSTS(COST)
#undef COST
};

static const char *const line_names[] = {
#define LINE(key, what) #key,
	MACHINE_LINES(LINE)
#undef LINE
};

static const char *const line_covers[] = {
#define LINE(key, what) what,
	MACHINE_LINES(LINE)
#undef LINE
};

static const char *const cost_covers[] = {
#define COST(key, what) what,
	MACHINE_COSTS(COST)
#undef COST
};

const char *machine_cost_name(enum cost cost)
{
	return cost_names[cost];
}

const char *machine_cost_covers(enum cost cost)
{
	return cost_covers[cost];
}

const char *machine_line_name(enum line_cost line)
{
	return line_names[line];
}

const char *machine_line_covers(enum line_cost line)
{
	return line_covers[line];
}

/* The mean of piecewise-linear quantiles, times 200. */
static uint64_t mean_times_200(const struct machine_cost *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 1; i < c->nr_quantiles; i++) {
		const struct machine_quantile *a = &c->quantiles[i - 1], *b = a + 1;

		sum += (b->percent - a->percent) * (a->ns + b->ns);
	}
	return sum;
}

uint64_t machine_cost_mean(const struct machine *m, enum cost cost)
{
	const struct machine_cost *c = &m->costs[cost];

	return c->nr_quantiles ? mean_times_200(c) / 200 : c->ns;
}

uint64_t machine_cost(const struct machine *m, enum cost cost, uint64_t rnd)
{
	const struct machine_cost *c = &m->costs[cost];
	const struct machine_quantile *q = c->quantiles;
	uint64_t place, into, width;

	if (!c->nr_quantiles)
		return c->ns;
	/* percent with 24 bits behind the point; ns below 2^30: no product beyond 2^61 */
	place = (rnd >> 40) * 100;
	while (place >= q[1].percent << 24)
		q++;
	into = place - (q[0].percent << 24);
	width = (q[1].percent - q[0].percent) << 24;
	return q[0].ns + (q[1].ns - q[0].ns) * into / width;
}

/* A cost line being read: a cursor over the value, and the first thing wrong. */
struct cost_reader {
	char text[INI_LINE_MAX + 1], *at;
	const char *wrong; /* what is wrong, NULL while nothing is */
	bool ps;	   /* times are picoseconds, "5600ps" or "6ns" */
};

/* The next word, ended at a blank; "" at the end. */
static char *next_word(struct cost_reader *r)
{
	char *word = r->at + strspn(r->at, " \t");

	r->at = word + strcspn(word, " \t");
	if (*r->at)
		*r->at++ = '\0';
	return word;
}

static int parse_ps(const char *text, uint64_t *ps)
{
	size_t len = strlen(text);
	char number[24];
	int ret;

	if (len > 2 && len < sizeof(number) && !strcmp(text + len - 2, "ps")) {
		*(char *)mempcpy(number, text, len - 2) = '\0';
		return parse_count(number, ps);
	}
	ret = parse_time(text, ps);
	if (!ret && *ps > LINE_NS_MAX)
		ret = -ERANGE;
	*ps *= 1000;
	return ret;
}

static void read_ns(struct cost_reader *r, const char *text, uint64_t *ns, const char *wrong)
{
	if (r->wrong)
		return;
	if (r->ps) {
		if (parse_ps(text, ns) || *ns > LINE_NS_MAX * 1000)
			r->wrong = wrong;
		return;
	}
	if (parse_time(text, ns) || *ns > MACHINE_NS_MAX)
		r->wrong = wrong;
}

static void read_range(struct cost_reader *r, struct machine_cost *c)
{
	char *text = next_word(r), *dots = strstr(text, "..");

	if (r->wrong)
		return;
	if (!dots) {
		r->wrong = "the range is not LOW..HIGH";
		return;
	}
	*dots = '\0';
	read_ns(r, text, &c->low, "the range's LOW is not a time");
	read_ns(r, dots + 2, &c->high, "the range's HIGH is not a time");
	if (!r->wrong && (c->low > c->ns || c->ns > c->high))
		r->wrong = "the mean is outside of its range";
}

/* "50:3500ns" */
static void read_quantile(struct cost_reader *r, struct machine_cost *c, char *text)
{
	const struct machine_quantile *last = c->quantiles;
	struct machine_quantile q;
	char *colon = strchr(text, ':');

	if (c->nr_quantiles == MACHINE_QUANTILES_MAX || !colon) {
		r->wrong = colon ? "there are more than 16 quantiles"
				 : "a quantile is not PERCENT:TIME";
		return;
	}
	*colon = '\0';
	if (parse_count(text, &q.percent) || q.percent > 100) {
		r->wrong = "a quantile's PERCENT is not 0 to 100";
		return;
	}
	read_ns(r, colon + 1, &q.ns, "a quantile's TIME is not a time");
	if (r->wrong)
		return;
	if (c->nr_quantiles)
		last += c->nr_quantiles - 1;
	if (c->nr_quantiles ? q.percent <= last->percent || q.ns < last->ns : q.percent)
		r->wrong = "the quantiles do not rise from 0 to 100";
	else
		c->quantiles[c->nr_quantiles++] = q;
}

static void read_quantiles(struct cost_reader *r, struct machine_cost *c)
{
	char *list = next_word(r), *text;
	uint64_t mean;

	while (!r->wrong && (text = strsep(&list, ",")))
		read_quantile(r, c, text);
	if (r->wrong)
		return;
	if (c->quantiles[c->nr_quantiles - 1].percent != 100) {
		r->wrong = "the quantiles do not rise from 0 to 100";
		return;
	}
	mean = mean_times_200(c);
	if (mean < c->ns * 190 || mean > c->ns * 210)
		r->wrong = "the mean of the quantiles is not within 5% of the mean given";
}

static void read_source(struct cost_reader *r, struct machine_cost *c)
{
	char *text = r->at + strspn(r->at, " \t");
	size_t len = strlen(text);

	if (r->wrong)
		return;
	if (len < 3 || *text != '"' || text[len - 1] != '"' || memchr(text + 1, '"', len - 2))
		r->wrong = "the source is not a \"TEXT\" at the end";
	else if (len - 2 >= sizeof(c->source))
		r->wrong = "the source is longer than 511 characters";
	else
		*(char *)mempcpy(c->source, text + 1, len - 2) = '\0';
}

/* Reads one cost line; what is wrong with it, or NULL. */
static const char *read_cost(const char *value, struct machine_cost *c, bool ps)
{
	struct cost_reader r = {.at = r.text, .ps = ps};
	char *word;

	if (strlen(value) > INI_LINE_MAX)
		return "the line is too long";
	strcpy(r.text, value);
	*c = (struct machine_cost){0};
	read_ns(&r, next_word(&r), &c->ns, "the mean is not a time");
	if (strcmp(next_word(&r), "range") && !r.wrong)
		r.wrong = "there is no \"range\" behind the mean";
	read_range(&r, c);
	word = next_word(&r);
	if (!strcmp(word, "quantiles") && !ps) {
		read_quantiles(&r, c);
		word = next_word(&r);
	}
	if (strcmp(word, "source") && !r.wrong)
		r.wrong = "there is no \"source\" behind the numbers";
	read_source(&r, c);
	return r.wrong;
}

#define MACHINE(field)                                                   \
	{                                                                \
		.name = #field, .kind = KEY_TEXT, .flags = KEY_REQUIRED, \
		.offset = offsetof(struct machine, field),               \
		.max = sizeof(((struct machine *)0)->field)              \
	}

static const struct key machine_keys[] = {
	MACHINE(name),
	MACHINE(title),
	MACHINE(note),
	{
		.name = "costs",
		.kind = KEY_TEXT,
		.offset = offsetof(struct machine, base),
		.max = sizeof(((struct machine *)0)->base),
	},
	{0},
};

#define SHAPE(field, most)                                     \
	{                                                      \
		.name = #field, .kind = KEY_COUNT,             \
		.flags = KEY_REQUIRED,                         \
		.offset = offsetof(struct machine, field),     \
		.min = 1, .max = most,                         \
	}

static const struct key shape_keys[] = {
	SHAPE(sockets, 16), SHAPE(cores, MACHINE_CPUS_MAX), SHAPE(threads, 2), {0},
};

/* A section of constants: [cost] or [line]. */
struct constants {
	const char *section, *const *names, *form;
	int nr;
	bool ps;
	uint32_t may_be_zero;	/* a bit each; what the others take can be told */
};

#define BIT_OF(constant) (1u << (constant))

static const struct constants cost_constants = {
	"cost", cost_names, COST_FORM, COST_NR, false,
	BIT_OF(COST_page_alloc) | BIT_OF(COST_page_free) | BIT_OF(COST_cache_refill) |
		BIT_OF(COST_td_create_base) | BIT_OF(COST_vp_init_base),
};
static const struct constants line_constants = {
	"line", line_names, LINE_FORM, LINE_NR, true,
	BIT_OF(LINE_read_hit) | BIT_OF(LINE_reload) | BIT_OF(LINE_write_hit) | BIT_OF(LINE_keep) |
		BIT_OF(LINE_spread) | BIT_OF(LINE_clock),
};

static int find_constant(const struct constants *k, const char *name)
{
	for (int i = 0; i < k->nr; i++)
		if (!strcmp(k->names[i], name))
			return i;
	return -ENOENT;
}

static int unknown_constant(const struct constants *k, const struct key_place *place,
			    const char *name, struct td_error *err)
{
	char quote[TD_QUOTE_MAX], valid[512];
	size_t used = 0;

	for (int i = 0; i < k->nr && used < sizeof(valid); i++)
		used += snprintf(valid + used, sizeof(valid) - used, "%s%s", i ? ", " : "",
				 k->names[i]);
	return key_fail(err, place, "unknown key \"%s\" in [%s]; valid: %s",
			td_quote(quote, name), k->section, valid);
}

static int read_constants(const struct constants *k, struct machine *m, struct machine_cost *c,
			  bool *seen, const struct ini_section *s, struct td_error *err)
{
	struct key_place place = {.file = m->file, .section = k->section};
	char quote[TD_QUOTE_MAX];

	for (size_t i = 0; i < s->nr; i++) {
		int n = find_constant(k, s->keys[i].key);
		const char *wrong;

		place.line = s->keys[i].line;
		if (n < 0)
			return unknown_constant(k, &place, s->keys[i].key, err);
		wrong = read_cost(s->keys[i].value, &c[n], k->ps);
		if (wrong)
			return key_fail(err, &place,
					"bad value \"%s\" for \"%s\" in [%s]: %s; valid: %s",
					td_quote(quote, s->keys[i].value), s->keys[i].key,
					k->section, wrong, k->form);
		if (!c[n].ns && !(k->may_be_zero & BIT_OF(n)))
			return key_fail(err, &place, "\"%s\" in [%s] is 0, which no machine does",
					k->names[n], k->section);
		seen[n] = true;
	}
	return 0;
}

static int check_costs(const struct machine *m, const bool *seen, unsigned int line,
		       struct td_error *err)
{
	struct key_place place = {.file = m->file, .section = "cost", .line = line};

	for (int i = 0; i < COST_NR && !m->base[0]; i++)
		if (!seen[i])
			return key_fail(err, &place, "[cost] has no \"%s\", which it needs",
					cost_names[i]);
	return 0;
}

/* What no machine can be: a transfer that is faster than one from nearer by. */
static int check_lines(const struct machine *m, const bool *seen, unsigned int line,
		       struct td_error *err)
{
	static const enum line_cost rising[][2] = {
		{LINE_read_hit, LINE_reload},  {LINE_reload, LINE_rmw_hit},
		{LINE_write_hit, LINE_rmw_hit},
		{LINE_read_hit, LINE_shared},  {LINE_rmw_hit, LINE_local},
		{LINE_read_hit, LINE_sibling}, {LINE_shared, LINE_memory},
		{LINE_sibling, LINE_local},    {LINE_local, LINE_remote},
		{LINE_keep, LINE_local},       {LINE_spread, LINE_local},
	};
	struct key_place place = {.file = m->file, .section = "line", .line = line};

	for (int i = 0; i < LINE_NR; i++) {
		if (seen[i] || (i == LINE_sibling && m->threads == 1) ||
		    (i == LINE_remote && m->sockets == 1))
			continue;
		return key_fail(err, &place, "[line] has no \"%s\", which it needs", line_names[i]);
	}
	for (size_t i = 0; i < sizeof(rising) / sizeof(rising[0]); i++) {
		enum line_cost a = rising[i][0], b = rising[i][1];

		if (seen[a] && seen[b] && m->lines[a].ns > m->lines[b].ns)
			return key_fail(err, &place,
					"\"%s\" in [line] is more than \"%s\", which no machine does",
					line_names[a], line_names[b]);
	}
	return 0;
}

void machine_rehash(struct machine *m)
{
	const uint64_t shape[] = {m->sockets, m->cores, m->threads};
	uint64_t hash = FNV_START;

	for (int i = 0; i < COST_NR; i++) {
		const struct machine_cost *c = &m->costs[i];
		const uint64_t numbers[] = {c->ns, c->low, c->high, c->nr_quantiles};

		hash = fnv1a64(hash, cost_names[i], strlen(cost_names[i]));
		hash = fnv1a64(hash, numbers, sizeof(numbers));
		hash = fnv1a64(hash, c->quantiles, c->nr_quantiles * sizeof(*c->quantiles));
	}
	if (m->has_shape)
		hash = fnv1a64(hash, shape, sizeof(shape));
	for (int i = 0; i < LINE_NR && m->has_shape; i++)
		hash = fnv1a64(hash, &m->lines[i].ns, sizeof(m->lines[i].ns));
	m->hash = hash;
}

void machine_scale_cost(struct machine_cost *c, uint64_t num, uint64_t den)
{
	c->ns = c->ns * num / den;
	c->low = c->low * num / den;
	c->high = c->high * num / den;
	for (uint32_t i = 0; i < c->nr_quantiles; i++)
		c->quantiles[i].ns = c->quantiles[i].ns * num / den;
}

static int load(const char *name_or_path, const char *const *dirs, bool is_base,
		struct machine **out, struct td_error *err);

/* Costs that the file does not give, from the file that it names, in the same folder. */
static int read_base(struct machine *m, const bool *seen, struct td_error *err)
{
	const char *slash = strrchr(m->file, '/');
	struct key_place place = {.file = m->file};
	char dir[1024], quote[TD_QUOTE_MAX];
	const char *dirs[] = {dir, NULL};
	struct td_error inner;
	struct machine *base;
	int ret;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - m->file) : 1,
		 slash ? m->file : ".");
	ret = strchr(m->base, '/') ? -ENOENT : load(m->base, dirs, true, &base, &inner);
	if (ret == -ENOENT)
		return key_fail(err, &place, "costs = %s: no machine file of that name is beside it",
				td_quote(quote, m->base));
	if (ret)
		return key_fail(err, &place, "costs = %s: %s", td_quote(quote, m->base), inner.text);
	for (int i = 0; i < COST_NR; i++)
		if (!seen[i])
			m->costs[i] = base->costs[i];
	machine_free(base);
	return 0;
}

/* What was met of a machine file: the line of each section, 0 if there is none. */
struct sections {
	unsigned int machine, cost, topology, line;
	bool costs[COST_NR], lines[LINE_NR];
};

static int read_section(struct machine *m, struct sections *got, uint64_t *seen,
			const struct ini_section *s, struct td_error *err)
{
	struct key_place place = {m->file, s->line, s->title};
	char quote[TD_QUOTE_MAX];

	if (!strcmp(s->title, "machine")) {
		got->machine = s->line;
		return key_set_section(machine_keys, m, &seen[0], m->file, s, err);
	}
	if (!strcmp(s->title, "topology")) {
		got->topology = s->line;
		return key_set_section(shape_keys, m, &seen[1], m->file, s, err);
	}
	if (!strcmp(s->title, "cost")) {
		got->cost = s->line;
		return read_constants(&cost_constants, m, m->costs, got->costs, s, err);
	}
	if (!strcmp(s->title, "line")) {
		got->line = s->line;
		return read_constants(&line_constants, m, m->lines, got->lines, s, err);
	}
	return key_fail(err, &place,
			"unknown section [%s]; valid: [machine], [cost], [topology], [line]",
			td_quote(quote, s->title));
}

static int check_shape(const struct machine *m, const struct sections *got, struct td_error *err)
{
	struct key_place place = {.file = m->file, .section = "topology", .line = got->topology};

	if (!got->topology && !got->line)
		return 0;
	if (!got->topology || !got->line)
		return td_fail(err, -EINVAL, "%s: has no [%s] section, which its [%s] needs",
			       m->file, got->topology ? "line" : "topology",
			       got->topology ? "topology" : "line");
	if (m->sockets * m->cores * m->threads > MACHINE_CPUS_MAX)
		return key_fail(err, &place, "sockets x cores x threads is more than %d",
				MACHINE_CPUS_MAX);
	return check_lines(m, got->lines, got->line, err);
}

/* @is_base: another file takes its costs from this one, which must have them itself. */
static int read_machine(struct machine *m, const struct ini *ini, bool is_base,
			struct td_error *err)
{
	struct sections got = {0};
	uint64_t seen[2] = {0};
	int ret = 0;

	for (size_t i = 0; i < ini->nr && !ret; i++)
		ret = read_section(m, &got, seen, &ini->sections[i], err);
	if (ret)
		return ret;
	if (!got.machine || (!got.cost && !m->base[0]))
		return td_fail(err, -EINVAL, "%s: has no [%s] section", m->file,
			       got.machine ? "cost" : "machine");
	ret = check_costs(m, got.costs, got.cost, err);
	if (!ret)
		ret = check_shape(m, &got, err);
	if (!ret && m->base[0])
		ret = is_base ? td_fail(err, -EINVAL, "%s: takes its costs from another file itself",
					m->file) :
				read_base(m, got.costs, err);
	m->has_shape = got.topology;
	machine_rehash(m);
	return ret;
}

static int parse(const char *file, const char *text, size_t len, bool is_base,
		 struct machine **out, struct td_error *err)
{
	struct machine *m;
	struct ini *ini;
	int ret = ini_parse(file, text, len, &ini, err);

	*out = NULL;
	if (ret)
		return ret;
	m = calloc(1, sizeof(*m));
	if (m)
		m->file = strdup(file);
	if (!m || !m->file)
		ret = td_fail(err, -ENOMEM, "%s: out of memory", file);
	else
		ret = read_machine(m, ini, is_base, err);
	ini_free(ini);
	if (ret)
		machine_free(m);
	else
		*out = m;
	return ret;
}

int machine_parse(const char *file, const char *text, size_t len, struct machine **out,
		  struct td_error *err)
{
	return parse(file, text, len, false, out, err);
}

static int load(const char *name_or_path, const char *const *dirs, bool is_base,
		struct machine **out, struct td_error *err)
{
	char *path, *text;
	size_t len;
	int ret = td_find_file("machine", name_or_path, dirs, ".mach", &path, err);

	*out = NULL;
	if (ret)
		return ret;
	ret = ini_read_file(path, &text, &len, err);
	if (!ret)
		ret = parse(path, text, len, is_base, out, err);
	free(text);
	free(path);
	return ret;
}

int machine_load(const char *name_or_path, const char *const *dirs, struct machine **out,
		 struct td_error *err)
{
	return load(name_or_path, dirs, false, out, err);
}

int machine_list(const char *const *dirs, char ***names, size_t *nr)
{
	return td_list_names(dirs, ".mach", names, nr);
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	free(m->file);
	free(m);
}

uint64_t machine_hash(const struct machine *m)
{
	return m->hash;
}
