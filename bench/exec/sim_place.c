// SPDX-License-Identifier: GPL-2.0-only
/* What is known of a cell before it runs: where its vCPUs sit, that it lasts too long (sim.h). */
#include "exec/sim.h"

#include <string.h>

struct seats {
	const struct machine *m;
	unsigned int taken[16];		/* of each socket */
	unsigned int again;		/* the machine is full: how many sat down twice */
	uint16_t cpu_at[MACHINE_CPUS_MAX];	/* CPU plus one, by hardware thread */
	struct sim_place *place;
	unsigned int nr;
};

static unsigned int sit(struct seats *s, unsigned int socket, unsigned int seat)
{
	const struct machine *m = s->m;
	unsigned int core = socket * m->cores + seat % m->cores, thread = seat / m->cores;
	unsigned int hw = core * m->threads + thread;

	if (!s->cpu_at[hw]) {
		s->place[s->nr] = (struct sim_place){
			.socket = (uint16_t)socket, .core = (uint16_t)core,
		};
		s->cpu_at[hw] = (uint16_t)++s->nr;
	}
	return s->cpu_at[hw] - 1u;
}

static unsigned int find_seat(struct seats *s, unsigned int socket)
{
	unsigned int per = (unsigned int)(s->m->cores * s->m->threads), i;

	for (i = 0; i < s->m->sockets; i++) {
		unsigned int at = (unsigned int)((socket + i) % s->m->sockets);

		if (s->taken[at] < per)
			return sit(s, at, s->taken[at]++);
	}
	i = s->again++ % machine_cpus(s->m);
	return sit(s, (unsigned int)(i % s->m->sockets), (unsigned int)(i / s->m->sockets));
}

unsigned int sim_place_vcpus(const struct machine *m, const struct workload *w, uint16_t *cpu_of,
			     struct sim_place *place)
{
	struct seats s = { .m = m, .place = place };
	unsigned int g, td = 0, v, n = 0;
	uint64_t i;

	for (g = 0; g < w->nr_tds; g++)
		for (i = 0; i < w->tds[g].count; i++, td++)
			for (v = 0; v < w->tds[g].vcpus; v++)
				cpu_of[n++] = (uint16_t)find_seat(&s, (unsigned int)(td % m->sockets));
	return s.nr;
}

bool sim_too_long(const struct workload *w)
{
	unsigned int g, p;

	for (g = 0; g < w->nr_tds; g++) {
		const struct wl_td *td = &w->tds[g];
		double ns = 0;

		if (!td->count)
			continue;
		for (p = 0; p < w->nr_phases; p++)
			if (w->phases[p].work.pick == WL_IDLE && workload_takes_part(w, p, g))
				ns += (double)w->phases[p].time * (double)td->lives;
		if (td->start.pick == WL_STAGGERED)
			ns += (double)td->start.arg * (double)(td->count - 1);
		if (ns >= (double)(SIM_END / SIM_PS))
			return true;
	}
	return false;
}
