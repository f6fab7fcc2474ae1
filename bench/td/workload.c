// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workload files: the tables of keys, reading, overrides and the canonical
 * text. What a single value may be stands in the tables; what the values must
 * be together is workload_check() in workload_check.c, run after every change.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "td/find.h"
#include "td/units.h"
#include "td/workload.h"
#include "td/workload_check.h"

#define TIME_MAX (1000 * 1000000000ULL)
#define SIZE_MAX_TD (16ULL << 40)

static const struct key_option placements[] = {
	{"contiguous", KEY_NONE},
	{"buddy", KEY_NONE},
	{"scattered", KEY_SHARE},
	{0},
};

static const struct key_option arrivals[] = {{"closed", KEY_NONE}, {"open", KEY_TIME}, {0}};
static const struct key_option starts[] = {
	{"together", KEY_NONE},
	{"staggered", KEY_TIME},
	{0},
};

static const struct key_option shutdowns[] = {{"together", KEY_NONE}, {"own", KEY_NONE}, {0}};
static const struct key_option works[] = {
	{"fault", KEY_NONE},
	{"convert", KEY_NONE},
	{"idle", KEY_NONE},
	{0},
};

static const struct key_option orders[] = {
	{"split", KEY_NONE},
	{"interleave", KEY_NONE},
	{"random", KEY_NONE},
	{0},
};

static const struct key_option no_yes[] = {{"no", KEY_NONE}, {"yes", KEY_NONE}, {0}};

/* [a-z0-9][a-z0-9_-]*, shorter than WL_NAME_MAX */
static bool is_name(const char *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t len = strlen(s);

	return len && len < WL_NAME_MAX && strspn(s, set) == len && *s != '-' && *s != '_';
}

static int parse_group(const char *value, void *field)
{
	if (!is_name(value))
		return -EINVAL;
	strcpy(field, value);
	return 0;
}

static void print_string(FILE *f, const void *field)
{
	fputs(field, f);
}

/* "key" or "group.key": the form; whether there is such a group is checked later */
static int parse_primary(const char *value, void *field)
{
	const char *dot = strchr(value, '.'), *key = dot ? dot + 1 : value;
	size_t len = strlen(value);

	if (len >= sizeof(((struct workload *)0)->primary) || !*key ||
	    strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(key))
		return -EINVAL;
	if (dot) {
		char group[WL_NAME_MAX];

		if (dot - value >= WL_NAME_MAX)
			return -EINVAL;
		*(char *)mempcpy(group, value, dot - value) = '\0';
		if (!is_name(group))
			return -EINVAL;
	}
	memcpy(field, value, len + 1);
	return 0;
}

static int parse_bench_scale(const char *value, void *field)
{
	uint64_t *scale = field;

	return parse_scale(value, &scale[0], &scale[1]);
}

static void print_bench_scale(FILE *f, const void *field)
{
	const uint64_t *scale = field;
	char buf[UNITS_TEXT_MAX];

	fputs(format_scale(buf, scale[0], scale[1]), f);
}

static int parse_rest(const char *value, void *field)
{
	uint64_t v;
	int ret;

	if (!strcmp(value, "rest")) {
		*(uint64_t *)field = WL_REST;
		return 0;
	}
	ret = parse_share(value, &v);
	if (!ret && !v)
		ret = -ERANGE;
	if (!ret)
		*(uint64_t *)field = v;
	return ret;
}

static void print_rest(FILE *f, const void *field)
{
	uint64_t v = *(const uint64_t *)field;

	if (v == WL_REST)
		fputs("rest", f);
	else
		fprintf(f, "%" PRIu64 "%%", v);
}

/* "forever", "8" or "974,476,156" */
static int parse_flips(const char *value, void *field)
{
	struct wl_flips flips = {0};

	if (!strcmp(value, "forever")) {
		*(struct wl_flips *)field = (struct wl_flips){.forever = true, .nr = 1};
		return 0;
	}
	for (;;) {
		const char *comma = strchrnul(value, ',');
		char number[24];
		uint64_t v;
		int ret;

		if ((size_t)(comma - value) >= sizeof(number) || flips.nr == WL_FLIPS_MAX)
			return -ERANGE;
		*(char *)mempcpy(number, value, comma - value) = '\0';
		ret = parse_count(number, &v);
		if (ret || !v || v > UINT32_MAX)
			return ret ? ret : -ERANGE;
		flips.count[flips.nr++] = v;
		if (!*comma)
			break;
		value = comma + 1;
	}
	*(struct wl_flips *)field = flips;
	return 0;
}

static void print_flips(FILE *f, const void *field)
{
	const struct wl_flips *flips = field;

	if (flips->forever)
		fputs("forever", f);
	for (uint32_t i = 0; !flips->forever && i < flips->nr; i++)
		fprintf(f, "%s%" PRIu32, i ? "," : "", flips->count[i]);
}

#define GLOBAL(field) .name = #field, .offset = offsetof(struct workload, field)
#define TEXT(field) GLOBAL(field), .kind = KEY_TEXT, .max = sizeof(((struct workload *)0)->field)

static const struct key global_keys[] = {
	{TEXT(title), .flags = KEY_REQUIRED | KEY_UNHASHED},
	{TEXT(question), .flags = KEY_REQUIRED | KEY_UNHASHED},
	{TEXT(asked_by), .flags = KEY_REQUIRED | KEY_UNHASHED},
	{GLOBAL(primary), .kind = KEY_OTHER, .flags = KEY_REQUIRED, .parse = parse_primary,
	 .print = print_string, .valid = "METRIC or GROUP.METRIC, such as victim.fault_p99_ns"},
	{GLOBAL(placement), .kind = KEY_CHOICE, .options = placements},
	{GLOBAL(host_memory), .kind = KEY_SIZE, .min = 1ULL << 30, .max = 1ULL << 50,
	 .multiple = WL_2M},
	{GLOBAL(arrivals), .kind = KEY_CHOICE, .options = arrivals},
	{GLOBAL(bench_scale), .kind = KEY_OTHER, .flags = KEY_UNHASHED, .parse = parse_bench_scale,
	 .print = print_bench_scale, .valid = "1 or a fraction such as 1/512"},
	{0},
};

#define TD(field) .name = #field, .offset = offsetof(struct wl_td, field)

static const struct key td_keys[] = {
	{TD(count), .kind = KEY_COUNT, .flags = KEY_REQUIRED, .max = 4096},
	{TD(vcpus), .kind = KEY_COUNT, .flags = KEY_REQUIRED, .min = 1, .max = 1024},
	{TD(memory), .kind = KEY_SIZE, .flags = KEY_REQUIRED, .min = 2 * WL_2M, .max = SIZE_MAX_TD,
	 .multiple = WL_2M},
	{TD(image), .kind = KEY_SIZE, .min = 64 << 10, .max = 1ULL << 30, .multiple = WL_PAGE},
	{TD(lives), .kind = KEY_COUNT, .min = 1, .max = 1000000},
	{TD(huge), .kind = KEY_SHARE, .max = 100},
	{TD(start), .kind = KEY_CHOICE, .options = starts},
	{TD(shutdown), .kind = KEY_CHOICE, .options = shutdowns},
	{0},
};

#define PHASE(field) .name = #field, .offset = offsetof(struct wl_phase, field)
/* A key that only one kind of work takes. */
#define ONLY(work) .flags = KEY_USER << (work)

static const struct key phase_keys[] = {
	{PHASE(td), .kind = KEY_OTHER, .flags = KEY_REQUIRED, .parse = parse_group,
	 .print = print_string, .valid = "the name of a [td NAME] section, or all"},
	{.name = "do",
	 .offset = offsetof(struct wl_phase, work),
	 .kind = KEY_CHOICE,
	 .flags = KEY_REQUIRED,
	 .options = works},
	{PHASE(together), .kind = KEY_CHOICE, .options = no_yes},
	{PHASE(order), ONLY(WL_FAULT), .kind = KEY_CHOICE, .options = orders},
	{PHASE(share), ONLY(WL_FAULT), .kind = KEY_OTHER, .parse = parse_rest, .print = print_rest,
	 .valid = "a share from 1% to 100%, or rest"},
	{PHASE(pages), ONLY(WL_CONVERT), .kind = KEY_COUNT, .min = 1, .max = 65535},
	{PHASE(flips), ONLY(WL_CONVERT), .kind = KEY_OTHER, .parse = parse_flips,
	 .print = print_flips,
	 .valid = "a number from 1 to 4294967295, a list of up to 64 such as 974,476,156, or "
		  "forever"},
	{PHASE(stride), ONLY(WL_CONVERT), .kind = KEY_SIZE, .min = WL_PAGE, .max = SIZE_MAX_TD,
	 .multiple = WL_PAGE},
	{PHASE(gap), ONLY(WL_CONVERT), .kind = KEY_TIME, .max = TIME_MAX},
	{PHASE(touch), ONLY(WL_CONVERT), .kind = KEY_CHOICE, .options = no_yes},
	{PHASE(at), ONLY(WL_CONVERT), .kind = KEY_SHARE, .max = 99},
	{PHASE(time), ONLY(WL_IDLE), .kind = KEY_TIME, .min = 1, .max = TIME_MAX},
	{0},
};

#define ONLY_MASK ((KEY_USER << WL_FAULT) | (KEY_USER << WL_CONVERT) | (KEY_USER << WL_IDLE))

/* Keys that were given but do not go with the phase's work. */
static int check_phase_keys(const struct workload *w, const struct wl_phase *p, const char *where,
			    struct td_error *err)
{
	struct key_place place = {where ? where : w->file, where ? 0 : p->line, NULL};
	unsigned int wanted = KEY_USER << p->work.pick;
	char valid[256] = "";
	const char *odd = NULL;

	for (size_t i = 0; phase_keys[i].name; i++) {
		unsigned int only = phase_keys[i].flags & ONLY_MASK;

		if (only && only != wanted) {
			if (!odd && (p->seen & (1ULL << i)))
				odd = phase_keys[i].name;
			continue;
		}
		if (*valid)
			strcat(valid, ", ");
		strcat(valid, phase_keys[i].name);
	}
	if (odd)
		return key_fail(err, &place,
				"[phase %s]: \"%s\" does not go with do = %s; valid: %s", p->name,
				odd, works[p->work.pick].name, valid);
	if (p->work.pick == WL_IDLE && !p->time)
		return key_fail(err, &place, "[phase %s] has no \"time\", which it needs", p->name);
	return 0;
}

static bool is_given(const struct key *table, uint64_t seen, const char *name)
{
	for (size_t i = 0; table[i].name; i++)
		if (!strcmp(table[i].name, name))
			return seen & (1ULL << i);
	return false;
}

static void print_all(const struct workload *w, unsigned int skip, FILE *f)
{
	fputs("[global]\n", f);
	key_print(global_keys, w, skip, f);
	for (unsigned int i = 0; i < w->nr_tds; i++) {
		fprintf(f, "\n[td %s]\n", w->tds[i].name);
		key_print(td_keys, &w->tds[i], skip, f);
	}
	for (unsigned int i = 0; i < w->nr_phases; i++) {
		const struct wl_phase *p = &w->phases[i];

		fprintf(f, "\n[phase %s]\n", p->name);
		key_print(phase_keys, p, skip | (ONLY_MASK & ~(KEY_USER << p->work.pick)), f);
	}
}

static char *make_text(const struct workload *w, unsigned int skip)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool bad;

	if (!f)
		return NULL;
	print_all(w, skip, f);
	bad = ferror(f);
	if (fclose(f) || bad) {
		free(text);
		return NULL;
	}
	return text;
}

char *workload_text(const struct workload *w)
{
	return make_text(w, 0);
}

uint64_t workload_hash(const struct workload *w)
{
	return w->hash;
}

/* All that a workload must be as a whole, and what follows from its values. */
static int check_all(struct workload *w, const char *where, struct td_error *err)
{
	char *text;
	int ret;

	w->host_memory_given = is_given(global_keys, w->seen, "host_memory");
	for (unsigned int i = 0; i < w->nr_phases; i++) {
		ret = check_phase_keys(w, &w->phases[i], where, err);
		if (ret)
			return ret;
	}
	ret = workload_check(w, where, err);
	if (ret)
		return ret;
	text = make_text(w, KEY_UNHASHED);
	if (!text)
		return td_fail(err, -ENOMEM, "%s: out of memory", w->file);
	w->hash = fnv1a64(FNV_START, text, strlen(text));
	free(text);
	return 0;
}

static void set_defaults(struct workload *w)
{
	w->placement.pick = WL_BUDDY;
	w->bench_scale.num = w->bench_scale.den = 1;
	w->scale_num = w->scale_den = 1;
}

/* The name of a [td NAME] or [phase NAME] section into @name. */
static int section_name(const struct key_place *place, const struct ini_section *s, char *name,
			struct td_error *err)
{
	char quote[TD_QUOTE_MAX];

	if (!s->arg || !is_name(s->arg) || !strcmp(s->arg, "all"))
		return key_fail(
			err, place,
			"bad name \"%s\" in [%s NAME]; valid: up to %d of a-z 0-9 _ -, not all",
			td_quote(quote, s->arg ? s->arg : ""), s->name, WL_NAME_MAX - 1);
	strcpy(name, s->arg);
	return 0;
}

static int read_td(struct workload *w, const struct key_place *place, const struct ini_section *s,
		   struct td_error *err)
{
	struct wl_td *td = &w->tds[w->nr_tds];
	int ret;

	if (w->nr_tds == WL_GROUPS_MAX)
		return key_fail(err, place, "[%s] is one group too many; valid: at most %d",
				s->title, WL_GROUPS_MAX);
	ret = section_name(place, s, td->name, err);
	if (ret)
		return ret;
	td->image = 4 << 20;
	td->lives = 1;
	td->line = s->line;
	w->nr_tds++;
	return key_set_section(td_keys, td, &td->seen, w->file, s, err);
}

static int read_phase(struct workload *w, const struct key_place *place,
		      const struct ini_section *s, struct td_error *err)
{
	struct wl_phase *p = &w->phases[w->nr_phases];
	int ret;

	if (w->nr_phases == WL_PHASES_MAX)
		return key_fail(err, place, "[%s] is one phase too many; valid: at most %d",
				s->title, WL_PHASES_MAX);
	ret = section_name(place, s, p->name, err);
	if (ret)
		return ret;
	p->share = WL_REST;
	p->pages = 1;
	p->flips = (struct wl_flips){.nr = 1, .count = {1}};
	p->stride = WL_PAGE;
	p->touch.pick = WL_YES;
	p->line = s->line;
	w->nr_phases++;
	return key_set_section(phase_keys, p, &p->seen, w->file, s, err);
}

static int read_section(struct workload *w, const struct ini_section *s, struct td_error *err)
{
	struct key_place place = {w->file, s->line, s->title};
	char quote[TD_QUOTE_MAX];

	if (!strcmp(s->title, "global")) {
		w->line = s->line;
		return key_set_section(global_keys, w, &w->seen, w->file, s, err);
	}
	if (!strcmp(s->name, "td"))
		return read_td(w, &place, s, err);
	if (!strcmp(s->name, "phase"))
		return read_phase(w, &place, s, err);
	return key_fail(err, &place,
			"unknown section [%s]; valid: [global], [td NAME], [phase NAME]",
			td_quote(quote, s->title));
}

static int read_workload(struct workload *w, const struct ini *ini, struct td_error *err)
{
	set_defaults(w);
	for (size_t i = 0; i < ini->nr; i++) {
		int ret = read_section(w, &ini->sections[i], err);

		if (ret)
			return ret;
	}
	if (!w->line)
		return td_fail(err, -EINVAL, "%s: has no [global] section", w->file);
	return check_all(w, NULL, err);
}

/* The file's name without directory and ".wl". */
static void set_name(struct workload *w)
{
	const char *slash = strrchr(w->file, '/'), *base = slash ? slash + 1 : w->file;
	size_t len = strlen(base);

	if (len > 3 && !strcmp(base + len - 3, ".wl"))
		len -= 3;
	snprintf(w->name, sizeof(w->name), "%.*s", (int)len, base);
}

int workload_parse(const char *file, const char *text, size_t len, struct workload **out,
		   struct td_error *err)
{
	struct workload *w;
	struct ini *ini;
	int ret = ini_parse(file, text, len, &ini, err);

	*out = NULL;
	if (ret)
		return ret;
	w = calloc(1, sizeof(*w));
	if (w)
		w->file = strdup(file);
	if (!w || !w->file) {
		ret = td_fail(err, -ENOMEM, "%s: out of memory", file);
	} else {
		set_name(w);
		ret = read_workload(w, ini, err);
	}
	ini_free(ini);
	if (ret)
		workload_free(w);
	else
		*out = w;
	return ret;
}

int workload_load(const char *name_or_path, const char *const *dirs, struct workload **out,
		  struct td_error *err)
{
	char *path, *text;
	size_t len;
	int ret = td_find_file("workload", name_or_path, dirs, ".wl", &path, err);

	*out = NULL;
	if (ret)
		return ret;
	ret = ini_read_file(path, &text, &len, err);
	if (!ret)
		ret = workload_parse(path, text, len, out, err);
	free(text);
	free(path);
	return ret;
}

int workload_list(const char *const *dirs, char ***names, size_t *nr)
{
	return td_list_names(dirs, ".wl", names, nr);
}

void workload_free(struct workload *w)
{
	if (!w)
		return;
	free(w->file);
	free(w);
}

struct workload *workload_copy(const struct workload *w)
{
	struct workload *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *w;
	copy->file = strdup(w->file);
	if (!copy->file) {
		free(copy);
		return NULL;
	}
	return copy;
}

/* "a, b" of the sections that --set can name */
static int unknown_set(const struct workload *w, const struct key_place *place,
		       struct td_error *err)
{
	char valid[512] = "KEY";
	size_t used = strlen(valid);

	for (unsigned int i = 0; i < w->nr_tds && used < sizeof(valid); i++)
		used += snprintf(valid + used, sizeof(valid) - used, ", td.%s.KEY", w->tds[i].name);
	for (unsigned int i = 0; i < w->nr_phases && used < sizeof(valid); i++)
		used += snprintf(valid + used, sizeof(valid) - used, ", phase.%s.KEY",
				 w->phases[i].name);
	return key_fail(err, place, "there is no such thing to set in %s; valid: %s", w->name,
			valid);
}

/* Splits "td.GROUP.key" and sets the key in the section it names. */
static int set_path(struct workload *w, char *path, const char *value, struct key_place *place,
		    struct td_error *err)
{
	char *name = strchr(path, '.'), *key = name ? strchr(name + 1, '.') : NULL;
	char title[WL_NAME_MAX + 8];

	place->section = "global";
	if (!name)
		return key_set(global_keys, w, &w->seen, place, path, value, err);
	if (!key)
		return unknown_set(w, place, err);
	*name++ = '\0';
	*key++ = '\0';
	place->section = title;
	for (unsigned int i = 0; !strcmp(path, "td") && i < w->nr_tds; i++) {
		struct wl_td *td = &w->tds[i];

		snprintf(title, sizeof(title), "td %s", td->name);
		if (!strcmp(name, td->name))
			return key_set(td_keys, td, &td->seen, place, key, value, err);
	}
	for (unsigned int i = 0; !strcmp(path, "phase") && i < w->nr_phases; i++) {
		struct wl_phase *p = &w->phases[i];

		snprintf(title, sizeof(title), "phase %s", p->name);
		if (!strcmp(name, p->name))
			return key_set(phase_keys, p, &p->seen, place, key, value, err);
	}
	return unknown_set(w, place, err);
}

static int apply_set(struct workload *w, const char *set, struct td_error *err)
{
	char where[TD_QUOTE_MAX + 16], quote[TD_QUOTE_MAX], path[128];
	struct key_place place = {.file = where};
	const char *equals = strchr(set, '=');

	snprintf(where, sizeof(where), "--set %s", td_quote(quote, set));
	if (!equals || equals == set || (size_t)(equals - set) >= sizeof(path))
		return key_fail(err, &place,
				"valid: KEY=VALUE, td.GROUP.KEY=VALUE, phase.NAME.KEY=VALUE");
	*(char *)mempcpy(path, set, equals - set) = '\0';
	return set_path(w, path, equals + 1, &place, err);
}

int workload_set_all(struct workload *w, const char *const *sets, size_t nr, struct td_error *err)
{
	char where[TD_QUOTE_MAX + 16] = "--set", quote[TD_QUOTE_MAX];
	struct workload *saved;
	int ret = 0;

	if (w->scale_num != w->scale_den)
		return td_fail(err, -EINVAL, "%s: cannot be changed any more: it is scaled",
			       w->name);
	if (!nr)
		return 0;
	saved = workload_copy(w);
	if (!saved)
		return td_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; !ret && i < nr; i++)
		ret = apply_set(w, sets[i], err);
	if (nr == 1)
		snprintf(where, sizeof(where), "--set %s", td_quote(quote, sets[0]));
	if (!ret)
		ret = check_all(w, where, err);
	if (ret) {
		free(saved->file);
		saved->file = w->file;
		*w = *saved;
		free(saved);
		return ret;
	}
	workload_free(saved);
	return 0;
}

int workload_set(struct workload *w, const char *set, struct td_error *err)
{
	return workload_set_all(w, &set, 1, err);
}
