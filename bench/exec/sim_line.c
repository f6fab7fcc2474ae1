// SPDX-License-Identifier: GPL-2.0-only
/* What an access to a cache line of a simulated machine costs (sim_line.h). */
#include "exec/sim_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SETS 1024u

static uint64_t *set_of(const struct sim_lines *s, uint32_t set)
{
	return s->sets + (size_t)set * s->words;
}

static void set_add(uint64_t *set, unsigned int cpu)
{
	set[cpu / 64] |= 1ull << cpu % 64;
}

static bool set_has(const uint64_t *set, unsigned int cpu)
{
	return set[cpu / 64] >> cpu % 64 & 1;
}

int sim_lines_init(struct sim_lines *s, const struct machine *m, const struct sim_place *place,
		   unsigned int nr_cpus, uint64_t seed)
{
	unsigned int i, j;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < LINE_NR; i++)
		s->ps[i] = m->lines[i].ns;
	s->rng = seed;
	s->spread = s->ps[LINE_local] ? s->ps[LINE_spread] * 1024 / s->ps[LINE_local] : 0;
	/* No transfer takes less than no time, whatever a study makes of the constants. */
	s->spread = s->spread < 1024 ? s->spread : 1024;
	s->nr_cpus = nr_cpus;
	s->words = (nr_cpus + 63) / 64;
	s->place = place;
	s->max_sets = FIRST_SETS;
	s->nr_sets = 1;
	s->sets = calloc((size_t)s->max_sets * s->words, sizeof(*s->sets));
	s->socket_cpus = calloc(m->sockets * s->words, sizeof(*s->socket_cpus));
	s->sibling = calloc(nr_cpus, sizeof(*s->sibling));
	if (!s->sets || !s->socket_cpus || !s->sibling) {
		sim_lines_free(s);
		return -ENOMEM;
	}
	for (i = 0; i < nr_cpus; i++) {
		set_add(s->socket_cpus + place[i].socket * s->words, i);
		/* Into the ring of the first CPU on its core. */
		s->sibling[i] = (uint16_t)i;
		for (j = 0; j < i && place[j].core != place[i].core; j++)
			;
		if (j < i) {
			s->sibling[i] = s->sibling[j];
			s->sibling[j] = (uint16_t)i;
		}
	}
	return 0;
}

void sim_lines_free(struct sim_lines *s)
{
	free(s->sets);
	free(s->socket_cpus);
	free(s->sibling);
	s->sibling = NULL;
	s->sets = NULL;
	s->socket_cpus = NULL;
}

/*
 * An empty set. Whoever makes an access has no way to say that memory is out: the process
 * ends here, and whoever started it counts the cell as failed.
 */
static uint32_t set_new(struct sim_lines *s)
{
	uint32_t set = s->free_set;

	if (set) {
		s->free_set = (uint32_t)*set_of(s, set);
	} else {
		if (s->nr_sets == s->max_sets) {
			size_t bytes = (size_t)s->max_sets * s->words * sizeof(*s->sets);

			s->sets = realloc(s->sets, 2 * bytes);
			if (!s->sets) {
				fprintf(stderr, "dpamt: out of memory: %u sets of CPUs that read a line\n",
					2 * s->max_sets);
				_exit(3);
			}
			s->max_sets *= 2;
		}
		set = s->nr_sets++;
	}
	memset(set_of(s, set), 0, s->words * sizeof(*s->sets));
	return set;
}

static void set_drop(struct sim_lines *s, struct sim_line *line)
{
	if (!line->set)
		return;
	*set_of(s, line->set) = s->free_set;
	s->free_set = line->set;
	line->set = 0;
}

/* Evenly from 0 to 2 * @mean. */
static uint64_t draw(struct sim_lines *s, uint64_t mean)
{
	uint64_t z = s->rng += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return mean * ((z ^ z >> 31) & 1023) / 512;
}

/* One transfer between cores whose mean is @line's. */
static uint64_t drawn(struct sim_lines *s, enum line_cost line)
{
	uint64_t mean = s->ps[line], spread = mean * s->spread / 1024;

	return mean - spread + draw(s, spread);
}

static uint64_t transfer(struct sim_lines *s, unsigned int from, unsigned int to)
{
	const struct sim_place *a = &s->place[from], *b = &s->place[to];

	if (a->core == b->core)
		return s->ps[from == to ? LINE_read_hit : LINE_sibling];
	return drawn(s, a->socket == b->socket ? LINE_local : LINE_remote);
}

/* Has another hardware thread of @cpu's core the line? */
static bool sibling_has(const struct sim_lines *s, const uint64_t *set, unsigned int cpu)
{
	unsigned int i;

	for (i = s->sibling[cpu]; i != cpu; i = s->sibling[i])
		if (set_has(set, i))
			return true;
	return false;
}

/* Does anybody in @set but @cpu's core sit on its socket (@here), or elsewhere? */
static bool others(const struct sim_lines *s, const uint64_t *set, unsigned int cpu, bool here)
{
	const uint64_t *mine = s->socket_cpus + s->place[cpu].socket * s->words;
	unsigned int i, c;

	for (i = 0; i < s->words; i++) {
		uint64_t w = set[i] & (here ? mine[i] : ~mine[i]);

		if (!w)
			continue;
		c = cpu;
		do {
			if (c / 64 == i)
				w &= ~(1ull << c % 64);
			c = s->sibling[c];
		} while (c != cpu);
		if (w)
			return true;
	}
	return false;
}

static uint64_t hit(const struct sim_lines *s, enum sim_kind kind)
{
	return s->ps[kind == SIM_READ  ? LINE_read_hit :
		     kind == SIM_WRITE ? LINE_write_hit :
					 LINE_rmw_hit];
}

/* Nothing moves. */
static void own(const struct sim_lines *s, enum sim_kind kind, uint64_t now, struct sim_access *a)
{
	a->done = now + hit(s, kind);
	a->visible = a->done;
	a->queued = 0;
	a->moved = false;
}

static void queue(const struct sim_line *line, uint64_t now, struct sim_access *a)
{
	a->queued = line->free_at > now ? line->free_at - now : 0;
}

/* The owner loses the line by a transfer of @move ps, and may use it while the request is on its way. */
static void lend(struct sim_lines *s, struct sim_line *line, uint64_t move)
{
	uint64_t keep = draw(s, s->ps[LINE_keep]);

	line->prev = line->owner;
	line->keep = (uint32_t)(move > keep ? move - keep : 0);
}

static void read_line(struct sim_lines *s, struct sim_line *line, unsigned int cpu, uint64_t now,
		      struct sim_access *a)
{
	unsigned int owner = sim_owner(line);
	uint64_t *set, start;

	if (line->set && set_has(set_of(s, line->set), cpu)) {
		own(s, SIM_READ, now, a);
		return;
	}
	queue(line, now, a);
	a->moved = true;
	start = now + a->queued;
	if (line->set) {
		set = set_of(s, line->set);
		a->done = start + (sibling_has(s, set, cpu) ? s->ps[LINE_sibling] :
				   drawn(s, others(s, set, cpu, true) ? LINE_shared : LINE_remote));
		set_add(set, cpu);
	} else if (owner == SIM_NOBODY) {
		a->done = start + s->ps[LINE_memory];
		line->owner = (uint16_t)(cpu + 1);
	} else {
		a->done = start + transfer(s, owner, cpu);
		line->free_at = a->done;
		lend(s, line, a->done - start);
		if (line->dirty) {
			line->owner = (uint16_t)(cpu + 1);
			line->dirty = 0;
		} else {
			line->owner = 0;
			line->set = set_new(s);
			set = set_of(s, line->set);
			set_add(set, owner);
			set_add(set, cpu);
		}
	}
	a->visible = a->done;
}

/* What it takes until @cpu alone has the line. */
static uint64_t acquire(struct sim_lines *s, const struct sim_line *line, unsigned int cpu)
{
	unsigned int owner = sim_owner(line);
	const uint64_t *set;

	if (owner != SIM_NOBODY)
		return transfer(s, owner, cpu);
	if (!line->set)
		return s->ps[LINE_memory];
	set = set_of(s, line->set);
	if (others(s, set, cpu, false))
		return drawn(s, LINE_remote);
	if (others(s, set, cpu, true))
		return drawn(s, LINE_local);
	return sibling_has(s, set, cpu) ? s->ps[LINE_sibling] : 0;
}

static void write_line(struct sim_lines *s, struct sim_line *line, unsigned int cpu,
		       enum sim_kind kind, uint64_t now, struct sim_access *a)
{
	uint64_t move;

	queue(line, now, a);
	a->moved = true;
	move = acquire(s, line, cpu);
	lend(s, line, move);
	line->owner = (uint16_t)(cpu + 1);
	line->dirty = 1;
	set_drop(s, line);
	line->free_at = now + a->queued + move;
	a->visible = line->free_at + hit(s, kind);
	a->done = kind == SIM_RMW ? a->visible : now + hit(s, kind);
}

void sim_line_access(struct sim_lines *s, struct sim_line *line, unsigned int cpu,
		     enum sim_kind kind, uint64_t now, struct sim_access *a)
{
	if (line->owner == cpu + 1) {
		/* Its own transfer may still be under way: a store that has not landed. */
		own(s, kind, kind != SIM_RMW || now > line->free_at ? now : line->free_at, a);
		line->dirty |= kind != SIM_READ;
		return;
	}
	line->met = line->met || line->owner || line->set;
	if (line->prev == cpu + 1 && now + line->keep < line->free_at) {
		/* Before the line goes: what it writes is not its new owner's. */
		own(s, kind, now, a);
		return;
	}
	if (kind == SIM_READ)
		read_line(s, line, cpu, now, a);
	else
		write_line(s, line, cpu, kind, now, a);
}
