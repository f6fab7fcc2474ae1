// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a workload must be as a whole: its pages fit into its TDs and those
 * into the host; every phase has somebody to run it; barriers can be reached
 * by all who meet there; something ends the phases that go on for ever. And
 * what shrinking it does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "td/units.h"
#include "td/workload_check.h"

#define HOST_MAX (1ULL << 50)
#define NAMES_MAX 640 /* WL_GROUPS_MAX names, with commas */
#define ROUND_DOWN(x, to) ((x) / (to) * (to))
#define ROUND_UP(x, to) (((x) + (to)-1) / (to) * (to))

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* @percent of @bytes; in pages, so that 16T times 100 fits. */
static uint64_t part_of(uint64_t bytes, uint64_t percent)
{
	return bytes / WL_PAGE * percent / 100 * WL_PAGE;
}

uint64_t workload_huge_start(const struct wl_td *td)
{
	uint64_t huge = ROUND_DOWN(part_of(td->memory, td->huge), WL_2M);

	return at_least(td->memory - huge, ROUND_UP(td->image, WL_2M));
}

uint64_t workload_convert_start(const struct wl_td *td, const struct wl_phase *phase)
{
	uint64_t at = ROUND_UP(part_of(td->memory, phase->at), WL_2M);

	return at_least(at, td->image);
}

bool workload_takes_part(const struct workload *w, unsigned int phase, unsigned int group)
{
	int wanted = w->phases[phase].group;

	return wanted < 0 || (unsigned int)wanted == group;
}

static bool is_forever(const struct wl_phase *p)
{
	return p->work.pick == WL_CONVERT && p->flips.forever;
}

bool workload_forever(const struct workload *w, unsigned int group)
{
	for (unsigned int i = 0; i < w->nr_phases; i++)
		if (is_forever(&w->phases[i]) && workload_takes_part(w, i, group))
			return true;
	return false;
}

uint64_t workload_barrier_vcpus(const struct workload *w, unsigned int phase)
{
	uint64_t vcpus = 0;

	for (unsigned int g = 0; g < w->nr_tds; g++)
		if (workload_takes_part(w, phase, g))
			vcpus += w->tds[g].count * w->tds[g].vcpus;
	return vcpus;
}

static uint64_t td_memory(const struct workload *w)
{
	uint64_t bytes = 0;

	for (unsigned int g = 0; g < w->nr_tds; g++)
		bytes += w->tds[g].count * w->tds[g].memory;
	return bytes;
}

uint64_t workload_host_need(const struct workload *w)
{
	uint64_t bytes = td_memory(w), lone = 0;

	/* beyond the limit nobody needs the exact figure, which might not fit */
	if (bytes <= HOST_MAX && w->placement.pick == WL_SCATTERED) {
		/* 2M mappings cannot be scattered */
		for (unsigned int g = 0; g < w->nr_tds; g++)
			lone += w->tds[g].count *
				(part_of(workload_huge_start(&w->tds[g]), w->placement.arg) /
				 WL_PAGE);
	}
	return bytes + lone * (WL_2M - WL_PAGE);
}

/* The default: a quarter more than the guest pages need, in whole GiB. */
static uint64_t host_default(uint64_t need)
{
	return ROUND_UP(need + need / 4, 1ULL << 30);
}

struct checker {
	struct workload *w;
	const char *where;
	struct td_error *err;
};

static struct key_place place_of(const struct checker *c, unsigned int line)
{
	if (c->where)
		return (struct key_place){.file = c->where};
	return (struct key_place){.file = c->w->file, .line = line};
}

/* "a, b" of the groups */
static const char *group_names(const struct workload *w, char buf[NAMES_MAX])
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int g = 0; g < w->nr_tds; g++)
		used += snprintf(buf + used, NAMES_MAX - used, "%s%s", g ? ", " : "",
				 w->tds[g].name);
	return buf;
}

static int find_group(const struct workload *w, const char *name, size_t len)
{
	for (unsigned int g = 0; g < w->nr_tds; g++)
		if (strlen(w->tds[g].name) == len && !memcmp(w->tds[g].name, name, len))
			return (int)g;
	return -1;
}

static int check_names(const struct checker *c)
{
	struct workload *w = c->w;
	struct key_place place = place_of(c, w->line);
	const char *dot = strchr(w->primary, '.');
	char names[NAMES_MAX];

	if (!w->nr_tds)
		return key_fail(c->err, &place, "there is no [td NAME] section");
	if (!w->nr_phases)
		return key_fail(c->err, &place, "there is no [phase NAME] section");
	if (dot && find_group(w, w->primary, dot - w->primary) < 0)
		return key_fail(c->err, &place,
				"bad value \"%s\" for \"primary\": no such group; valid: %s",
				w->primary, group_names(w, names));
	for (unsigned int i = 0; i < w->nr_phases; i++) {
		struct wl_phase *p = &w->phases[i];

		p->group = find_group(w, p->td, strlen(p->td));
		if (p->group >= 0 || !strcmp(p->td, "all"))
			continue;
		place = place_of(c, p->line);
		return key_fail(
			c->err, &place,
			"bad value \"%s\" for \"td\" in [phase %s]: no such group; valid: %s, all",
			p->td, p->name, group_names(w, names));
	}
	return 0;
}

static int check_td(const struct checker *c, unsigned int g)
{
	const struct wl_td *td = &c->w->tds[g];
	struct key_place place = place_of(c, td->line);
	char memory[UNITS_TEXT_MAX], image[UNITS_TEXT_MAX];
	uint64_t shares = 0;

	if (td->image + WL_2M > td->memory)
		return key_fail(c->err, &place,
				"[td %s]: memory %s does not hold image %s and 2M more", td->name,
				format_size(memory, td->memory), format_size(image, td->image));
	for (unsigned int i = 0; i < c->w->nr_phases; i++) {
		const struct wl_phase *p = &c->w->phases[i];

		if (p->work.pick != WL_FAULT || !workload_takes_part(c->w, i, g))
			continue;
		if (shares >= 100 || (p->share != WL_REST && shares + p->share > 100)) {
			place = place_of(c, p->line);
			return key_fail(c->err, &place,
					"[phase %s]: the fault phases of td %s take more than "
					"100%% of its memory",
					p->name, td->name);
		}
		shares = p->share == WL_REST ? 100 : shares + p->share;
	}
	return 0;
}

/* How many pages of a convert phase fit into a TD of the group. */
static uint64_t pages_that_fit(const struct wl_td *td, const struct wl_phase *p)
{
	uint64_t start = workload_convert_start(td, p);

	if (start + WL_PAGE > td->memory)
		return 0;
	return (td->memory - WL_PAGE - start) / p->stride + 1;
}

static int check_convert(const struct checker *c, unsigned int phase)
{
	const struct wl_phase *p = &c->w->phases[phase];
	struct key_place place = place_of(c, p->line);

	if (p->flips.nr > 1 && p->flips.nr != p->pages)
		return key_fail(c->err, &place,
				"[phase %s]: flips lists %" PRIu32 " counts for %" PRIu64 " pages",
				p->name, p->flips.nr, p->pages);
	for (unsigned int g = 0; g < c->w->nr_tds; g++) {
		const struct wl_td *td = &c->w->tds[g];

		if (workload_takes_part(c->w, phase, g) && pages_that_fit(td, p) < p->pages)
			return key_fail(
				c->err, &place,
				"[phase %s]: %" PRIu64
				" pages reach beyond the memory of td %s; valid: at most %" PRIu64,
				p->name, p->pages, td->name, pages_that_fit(td, p));
	}
	return 0;
}

/* All who meet at a barrier must come equally often, and must be able to come. */
static int check_barrier(const struct checker *c, unsigned int phase)
{
	const struct workload *w = c->w;
	const struct wl_phase *p = &w->phases[phase];
	struct key_place place = place_of(c, p->line);
	const struct wl_td *first = NULL;

	for (unsigned int g = 0; g < w->nr_tds; g++) {
		const struct wl_td *td = &w->tds[g];

		if (!workload_takes_part(w, phase, g) || !td->count)
			continue;
		if (first && first->lives != td->lives)
			return key_fail(
				c->err, &place,
				"[phase %s]: together needs equal lives, but td %s has %" PRIu64
				" and td %s %" PRIu64,
				p->name, first->name, first->lives, td->name, td->lives);
		first = first ? first : td;
		for (unsigned int i = 0; i < phase; i++)
			if (is_forever(&w->phases[i]) && workload_takes_part(w, i, g))
				return key_fail(c->err, &place,
						"[phase %s]: together cannot come after [phase "
						"%s], which flips for ever",
						p->name, w->phases[i].name);
	}
	return 0;
}

static int check_phases(const struct checker *c)
{
	for (unsigned int i = 0; i < c->w->nr_phases; i++) {
		const struct wl_phase *p = &c->w->phases[i];
		int ret = 0;

		if (p->work.pick == WL_CONVERT)
			ret = check_convert(c, i);
		if (!ret && p->together.pick == WL_YES)
			ret = check_barrier(c, i);
		if (ret)
			return ret;
	}
	return 0;
}

/* There are TDs, and at least one whose end ends the others' "forever". */
static int check_end(const struct checker *c)
{
	const struct workload *w = c->w;
	struct key_place place = place_of(c, w->line);
	uint64_t tds = 0, ending = 0;

	for (unsigned int g = 0; g < w->nr_tds; g++) {
		tds += w->tds[g].count;
		ending += workload_forever(w, g) ? 0 : w->tds[g].count;
	}
	if (!tds)
		return key_fail(c->err, &place,
				"every [td NAME] has count = 0: there is nothing to run");
	if (!ending)
		return key_fail(c->err, &place,
				"every TD flips for ever: nothing ends the run; valid: one group "
				"without flips = forever");
	return 0;
}

static int check_host(const struct checker *c)
{
	struct workload *w = c->w;
	struct key_place place = place_of(c, w->line);
	char host[UNITS_TEXT_MAX], needed[UNITS_TEXT_MAX];
	uint64_t need = workload_host_need(w);

	if (need > HOST_MAX)
		return key_fail(c->err, &place,
				"the TDs need more than 1024T of host memory in this placement");
	if (!w->host_memory_given)
		w->host_memory = host_default(need);
	if (w->host_memory < need)
		return key_fail(c->err, &place,
				"host_memory %s is less than what the TDs need in this placement; "
				"valid: at least %s",
				format_size(host, w->host_memory), format_size(needed, need));
	return 0;
}

int workload_check(struct workload *w, const char *where, struct td_error *err)
{
	struct checker c = {w, where, err};
	int ret = check_names(&c);

	for (unsigned int g = 0; !ret && g < w->nr_tds; g++)
		ret = check_td(&c, g);
	if (!ret)
		ret = check_phases(&c);
	if (!ret)
		ret = check_end(&c);
	if (!ret)
		ret = check_host(&c);
	return ret;
}

/* @bytes * @num / @den in units of @unit; bytes/4K < 2^38 and num <= 2^20 */
static uint64_t shrink(uint64_t bytes, uint64_t num, uint64_t den, uint64_t unit)
{
	return ROUND_DOWN(bytes / WL_PAGE * num / den * WL_PAGE, unit);
}

static void scale_td(struct wl_td *td, uint64_t num, uint64_t den)
{
	uint64_t least;

	td->image = at_least(shrink(td->image, num, den, WL_PAGE), 64 << 10);
	least = at_least(ROUND_UP(td->image, WL_2M) + WL_2M, 2 * WL_2M);
	td->memory = at_least(shrink(td->memory, num, den, WL_2M), least);
}

static int scale_convert(struct workload *w, unsigned int phase, struct td_error *err)
{
	struct wl_phase *p = &w->phases[phase];

	for (unsigned int g = 0; g < w->nr_tds; g++) {
		const struct wl_td *td = &w->tds[g];
		uint64_t fit = pages_that_fit(td, p);

		if (!workload_takes_part(w, phase, g) || fit >= p->pages)
			continue;
		if (!fit || p->flips.nr > 1)
			return td_fail(err, -ERANGE,
				       "%s: at scale %" PRIu64 "/%" PRIu64
				       " the pages of [phase %s] do not fit into td %s",
				       w->name, w->scale_num, w->scale_den, p->name, td->name);
		p->pages = fit;
	}
	return 0;
}

static void scale_host(struct workload *w, uint64_t num, uint64_t den)
{
	uint64_t need = workload_host_need(w);

	if (w->host_memory_given)
		w->host_memory = at_least(shrink(w->host_memory, num, den, WL_2M),
					  ROUND_UP(need + need / 4, WL_2M));
	else
		w->host_memory = host_default(need);
}

int workload_scale(struct workload *w, uint64_t num, uint64_t den, struct td_error *err)
{
	struct workload saved = *w;

	if (!num || num > den || den > 1 << 20)
		return td_fail(err, -EINVAL,
			       "bad scale %" PRIu64 "/%" PRIu64
			       "; valid: 1 or a fraction such as 1/512",
			       num, den);
	if (w->scale_num != w->scale_den)
		return td_fail(err, -EINVAL, "%s: is scaled already", w->name);
	if (num == den)
		return 0;
	w->scale_num = num;
	w->scale_den = den;
	for (unsigned int g = 0; g < w->nr_tds; g++)
		scale_td(&w->tds[g], num, den);
	for (unsigned int i = 0; i < w->nr_phases; i++) {
		int ret = w->phases[i].work.pick == WL_CONVERT ? scale_convert(w, i, err) : 0;

		if (ret) {
			*w = saved;
			return ret;
		}
	}
	scale_host(w, num, den);
	return 0;
}
