// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a load take over a line that another CPU has modified (twin.h)? Two threads take turns
 * over the same lines, each access waiting for the one before it: the line says where
 * the next one is.
 */
#define _GNU_SOURCE
#include "exec/twin.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "measure/clock.h"
#include "shim.h"
#include "shim_runtime.h"

#define LINES 512u
#define STRIDE (4096u + 64)	/* no two in a page: nothing is fetched ahead; nor in a set */
#define ROUNDS 60u

/* One round: each step by one of the two, and where its time goes. */
static const struct step {
	unsigned int cpu;
	bool add;
	int figure;		/* of struct twin_share; -1: none */
} steps[] = {
	{ 0, true, -1 },	/* modified by 0 */
	{ 1, false, 0 },	/* loaded by 1: its own now, or shared? */
	{ 1, true, 1 },
	{ 0, false, -1 },	/* back to 0, clean; */
	{ 1, false, -1 },	/* shared for certain */
	{ 0, true, 2 },
};

struct share {
	const struct topology *topo;
	char *mem;
	unsigned int cpu[2], failed;
	u64 ps[3][ROUNDS];
	atomic_t turn __aligned(SMP_CACHE_BYTES);
};

struct share_side {
	struct share *share;
	unsigned int id;
};

static u64 walk(char *mem, bool add)
{
	u64 t = clock_ns();
	int at = 0;
	unsigned int i;

	for (i = 0; i < LINES; i++) {
		atomic_t *line = (atomic_t *)(void *)(mem + at);

		at = add ? atomic_add_return(0, line) : atomic_read(line);
	}
	return (clock_ns() - t) * 1000 / LINES;
}

static void *take_turns(void *arg)
{
	const struct share_side *side = arg;
	struct share *s = side->share;
	unsigned int i, nr = ARRAY_SIZE(steps);
	char err[128];

	if (topology_bind(s->topo, s->cpu[side->id], err, sizeof(err)))
		WRITE_ONCE(s->failed, 1);
	for (i = 0; i < ROUNDS * nr; i++) {
		const struct step *step = &steps[i % nr];
		u64 ps;

		if (step->cpu != side->id)
			continue;
		while ((unsigned int)atomic_read_acquire(&s->turn) != i)
			cpu_relax();
		ps = walk(s->mem, step->add);
		if (step->figure >= 0)
			s->ps[step->figure][i / nr] = ps;
		atomic_set_release(&s->turn, (int)i + 1);
	}
	return NULL;
}

/* A chain through all lines in an order that nothing can guess. */
static void link_lines(char *mem)
{
	unsigned int i, at = 0, next;

	for (i = 0; i < LINES; i++, at = next) {
		next = (at * 1664525u + 1013904223u) % LINES;
		atomic_set((atomic_t *)(void *)(mem + at * STRIDE), (int)(next * STRIDE));
	}
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 median(u64 *ps)
{
	qsort(ps, ROUNDS, sizeof(*ps), by_value);
	return ps[ROUNDS / 2];
}

int twin_share_measure(const struct topology *t, unsigned int a, unsigned int b,
		       struct twin_share *out)
{
	struct share *s = shim_zalloc(sizeof(*s));
	char *mem = mmap(NULL, LINES * STRIDE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct share_side side[2] = { { s, 0 }, { s, 1 } };
	int ret = s && mem != MAP_FAILED ? 0 : -ENOMEM;
	pthread_t thread;

	if (!ret) {
		link_lines(mem);
		s->topo = t;
		s->mem = mem;
		s->cpu[0] = a;
		s->cpu[1] = b;
		ret = -pthread_create(&thread, NULL, take_turns, &side[1]);
	}
	if (!ret) {
		take_turns(&side[0]);
		pthread_join(thread, NULL);
		ret = s->failed ? -EAGAIN : 0;
		*out = (struct twin_share){
			.load = median(s->ps[0]), .add_behind = median(s->ps[1]),
			.add_shared = median(s->ps[2]),
		};
	}
	if (mem != MAP_FAILED)
		munmap(mem, LINES * STRIDE);
	shim_free(s);
	return ret;
}
