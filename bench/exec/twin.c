// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measuring the machine at hand (twin.h): loops on one or two pinned threads.
 *
 * How long a line takes from one core to the other depends on the line as much as on the
 * cores (its home among the slices of the last-level cache: a factor of two and more), so
 * everything on two CPUs is done on many lines, and means are taken over them.
 */
#define _GNU_SOURCE
#include "exec/twin.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "exec/duo.h"
#include "measure/clock.h"
#include "pamt/pamt.h"
#include "shim_runtime.h"

#define LOOPS 8192u
#define WORDS 1024u
#define MEMORY_BYTES (64ul << 20)
#define ARENA (4ul << 20)	/* where the lines of a pair are taken from */
#define PAIR_LINES_MAX 256u
#define GIVE_UP 16u		/* lines on which the two did not meet */

/* Words that two threads work on: each in a pair of lines of its own. */
struct words {
	atomic_t turn __aligned(128);
	atomic_t word __aligned(128);
	spinlock_t lock __aligned(128);
	u64 data __aligned(128);
};

/* All that waiting needs of a strategy. */
struct lone_lock {
	struct pamt pamt;
	struct pamt_lock lock;
};

static u64 per_loop(u64 ns, u64 loops)
{
	return ns * 1000 / loops;
}

static void keep_least(u64 *best, u64 v)
{
	if (!*best || v < *best)
		*best = v;
}

/* ---------------------------------------------------------------- one CPU */

static noinline u64 loop_rmw(struct words *w)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS; i++)
		atomic_inc(&w->word);
	return per_loop(clock_ns() - t, LOOPS);
}

/*
 * What a load in front of a cmpxchg on the same line adds to it, in the way that a count
 * is taken and dropped, on @words words in turn: on one it waits for the cmpxchg
 * before it (a reload), on many every other one does.
 */
static noinline u64 loop_cas(atomic_t *word, unsigned int words)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS / 2; i++) {
		atomic_t *at = &word[i % words];
		int v;

		if (unlikely(!atomic_inc_not_zero(at)))
			atomic_set(at, 1);
		v = atomic_read(at);
		while (likely(v > 1))
			if (likely(atomic_try_cmpxchg_release(at, &v, v - 1)))
				break;
	}
	return per_loop(clock_ns() - t, LOOPS);
}

/* A locked section without its contention: one load and two stores between locked instructions. */
static noinline u64 loop_section(struct words *w)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS; i++) {
		atomic_inc(&w->word);
		WRITE_ONCE(w->data, READ_ONCE(w->data) + 1);
		WRITE_ONCE(w->lock.val, 0);
	}
	return per_loop(clock_ns() - t, LOOPS);
}

/*
 * A slow path reads the clock twice for each time that it notes. What it takes to wait for
 * a lock that is free, beyond taking it, is two reads with all that goes with them.
 */
static noinline u64 loop_wait(struct pamt *p, struct pamt_lock *l)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS; i++) {
		pamt_lock_slow(p, l, i);
		pamt_unlock(l);
	}
	return per_loop(clock_ns() - t, LOOPS);
}

static noinline u64 loop_lock(struct pamt *p, struct pamt_lock *l)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS; i++) {
		pamt_lock(p, l, i);
		pamt_unlock(l);
	}
	return per_loop(clock_ns() - t, LOOPS);
}

/* Loads that depend on each other, one a line, in an order that nothing can guess. */
static u64 loop_memory(char *mem)
{
	u64 lines = MEMORY_BYTES / SMP_CACHE_BYTES, at = 0, i, t;

	for (i = 0; i < lines; i++)
		*(u64 *)(void *)(mem + i * SMP_CACHE_BYTES) =
			(i * 0x9E3779B1u + 12345) % lines * SMP_CACHE_BYTES;
	for (i = 0; i < lines; i++)
		_mm_clflush(mem + i * SMP_CACHE_BYTES);
	__asm__ volatile("mfence" ::: "memory");
	t = clock_ns();
	for (i = 0; i < LOOPS; i++)
		at = *(volatile u64 *)(void *)(mem + at);
	return per_loop(clock_ns() - t, LOOPS);
}

int twin_lines_measure(const struct topology *t, unsigned int a, unsigned int rounds,
		       struct twin_lines *out)
{
	struct words *w = aligned_alloc(__alignof__(*w), sizeof(*w));
	atomic_t *word = shim_zalloc(WORDS * sizeof(*word));
	struct lone_lock *p = shim_zalloc(sizeof(*p));
	char *mem = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char err[128];
	unsigned int i;
	int ret = -ENOMEM;

	if (w)
		memset(w, 0, sizeof(*w));
	if (p)
		p->pamt.stats = alloc_percpu(struct pamt_stats);
	if (w && word && p && p->pamt.stats && mem != MAP_FAILED)
		ret = topology_bind(t, a, err, sizeof(err));
	for (i = 0; i < rounds && !ret; i++) {
		keep_least(&out->rmw, loop_rmw(w));
		keep_least(&out->cas[0], loop_cas(word, 1));
		keep_least(&out->cas[1], loop_cas(word, WORDS));
		keep_least(&out->section, loop_section(w));
		keep_least(&out->wait, loop_wait(&p->pamt, &p->lock));
		keep_least(&out->lock, loop_lock(&p->pamt, &p->lock));
	}
	for (i = 0; i < 1 + rounds / 100 && !ret; i++)
		keep_least(&out->memory, loop_memory(mem));
	if (mem != MAP_FAILED)
		munmap(mem, MEMORY_BYTES);
	if (p)
		free_percpu(p->pamt.stats);
	shim_free(p);
	shim_free(word);
	free(w);
	return ret;
}

/* --------------------------------------------------------------- two CPUs */

/* Hands the turn back and forth: each hand-over is one transfer. */
static void pass_turn(struct duo *d, unsigned int id, unsigned int n)
{
	struct words *w = d->arg;

	while (n--) {
		while ((atomic_read(&w->turn) & 1) != (int)id)
			;
		atomic_inc(&w->turn);
	}
}

static void add_both(struct duo *d, unsigned int id, unsigned int n)
{
	struct words *w = d->arg;

	(void)id;
	while (n--)
		atomic_inc(&w->word);
}

static void lock_both(struct duo *d, unsigned int id, unsigned int n)
{
	struct words *w = d->arg;

	(void)id;
	while (n--) {
		spin_lock(&w->lock);
		WRITE_ONCE(w->data, READ_ONCE(w->data) + 1);
		spin_unlock(&w->lock);
	}
}

static void chunks(struct duo_side *s)
{
	struct duo *d = s->duo;
	u64 *mine = &d->progress[s->id].bursts, *other = &d->progress[!s->id].bursts;
	u64 start, seen, t;
	unsigned int i, b;

	for (i = 0; i < DUO_CHUNKS; i++) {
		seen = READ_ONCE(*other);
		start = clock_ns();
		for (b = 0; b < DUO_CHUNK; b++) {
			d->op(d, s->id, DUO_BURST);
			WRITE_ONCE(*mine, *mine + 1);
		}
		t = clock_ns() - start;
		seen = READ_ONCE(*other) - seen;
		if (2 * seen >= DUO_CHUNK && seen <= 2 * DUO_CHUNK)
			s->ps[s->nr++] = per_loop(t, DUO_CHUNK * DUO_BURST);
	}
}

static void *side_main(void *arg)
{
	struct duo_side *s = arg;
	struct duo *d = s->duo;
	char err[128];

	shim_set_cpu(d->first_cpu + s->id);
	topology_bind(d->topo, s->cpu, err, sizeof(err));
	atomic_inc(&d->here);
	while (atomic_read_acquire(&d->here) < 2)
		cpu_relax();
	if (!READ_ONCE(d->alone))
		chunks(s);
	return NULL;
}

/* 0, or -EAGAIN when no thread can be made. */
static int both(struct duo *d)
{
	unsigned int i;

	memset(d->progress, 0, sizeof(d->progress));
	atomic_set(&d->here, 0);
	for (i = 0; i < 2; i++) {
		d->side[i].duo = d;
		d->side[i].id = i;
		d->side[i].nr = 0;
		if (!pthread_create(&d->side[i].thread, NULL, side_main, &d->side[i]))
			continue;
		if (i) {
			WRITE_ONCE(d->alone, true);
			atomic_inc(&d->here);
			pthread_join(d->side[0].thread, NULL);
		}
		return -EAGAIN;
	}
	for (i = 0; i < 2; i++)
		pthread_join(d->side[i].thread, NULL);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

u64 duo_run(struct duo *d)
{
	u64 all[2 * DUO_CHUNKS], sum = 0;
	unsigned int nr = 0, i;
	int try;

	for (try = 0; try < DUO_TRIES && nr < DUO_ENOUGH; try++) {
		if (both(d))
			return 0;
		/* The best try so far. */
		if (d->side[0].nr + d->side[1].nr <= nr)
			continue;
		nr = d->side[0].nr + d->side[1].nr;
		memcpy(all, d->side[0].ps, d->side[0].nr * sizeof(all[0]));
		memcpy(all + d->side[0].nr, d->side[1].ps, d->side[1].nr * sizeof(all[0]));
	}
	qsort(all, nr, sizeof(all[0]), by_value);
	nr -= nr / 10;
	for (i = 0; i < nr; i++)
		sum += all[i];
	return nr ? sum / nr : 0;
}

/*
 * What @op takes on each of @nr lines, somewhere in @arena; sorted. How many were measured: on
 * a busy machine the two may not meet at some of them. -EAGAIN: hardly at any.
 */
static int on_lines(struct duo *d, void (*op)(struct duo *, unsigned int, unsigned int), char *arena,
		    unsigned int nr, u64 *ps)
{
	u64 at = clock_ns();
	unsigned int i, got = 0;

	d->op = op;
	for (i = 0; i < nr && (got || i < GIVE_UP); i++) {
		at = at * 6364136223846793005ull + 1442695040888963407ull;
		d->arg = arena + (at >> 33) % (ARENA / sizeof(struct words)) * sizeof(struct words);
		memset(d->arg, 0, sizeof(struct words));
		ps[got] = duo_run(d);
		got += ps[got] != 0;
	}
	qsort(ps, got, sizeof(*ps), by_value);
	return got * 8 >= nr ? (int)got : -EAGAIN;
}

static u64 mean(const u64 *ps, int nr)
{
	u64 sum = 0;

	for (int i = 0; i < nr; i++)
		sum += ps[i];
	return nr > 0 ? sum / (unsigned int)nr : 0;
}

/* Two CPUs and memory to measure lines in. */
struct pair {
	struct duo *duo;
	char *arena;
};

static int pair_open(struct pair *p, const struct topology *t, unsigned int a, unsigned int b)
{
	p->duo = shim_zalloc(sizeof(*p->duo));
	p->arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!p->duo || p->arena == MAP_FAILED)
		return -ENOMEM;
	p->duo->topo = t;
	p->duo->side[0].cpu = a;
	p->duo->side[1].cpu = b;
	return 0;
}

static void pair_close(struct pair *p)
{
	if (p->arena != MAP_FAILED)
		munmap(p->arena, ARENA);
	shim_free(p->duo);
}

int twin_pair_measure(const struct topology *t, unsigned int a, unsigned int b, unsigned int lines,
		      struct twin_pair *out)
{
	struct pair p;
	u64 ps[PAIR_LINES_MAX];
	int got = pair_open(&p, t, a, b);

	lines = lines < PAIR_LINES_MAX ? lines : PAIR_LINES_MAX;
	if (!got)
		got = on_lines(p.duo, pass_turn, p.arena, lines, ps);
	if (got > 0) {
		/* An operation of each side is two hand-overs. */
		out->transfer = mean(ps, got) / 2;
		/* Half of an even spread to both sides lies between the quartiles. */
		out->spread = (ps[got * 3 / 4] - ps[got / 4]) / 2;
		got = on_lines(p.duo, add_both, p.arena, lines, ps);
		out->contended = mean(ps, got);
	}
	pair_close(&p);
	return got < 0 ? got : 0;
}

int twin_handover_measure(const struct topology *t, unsigned int a, unsigned int b,
			  unsigned int lines, struct twin_pair *out)
{
	struct pair p;
	u64 ps[PAIR_LINES_MAX];
	int got = pair_open(&p, t, a, b);

	lines = lines < PAIR_LINES_MAX ? lines : PAIR_LINES_MAX;
	if (!got)
		got = on_lines(p.duo, lock_both, p.arena, lines, ps);
	out->handover = mean(ps, got);
	pair_close(&p);
	return got < 0 ? got : 0;
}

static u64 most(u64 v, u64 limit)
{
	return v < limit ? v : limit;
}

static u64 beyond(u64 v, u64 of_it)
{
	return v > of_it ? v - of_it : 0;
}

/*
 * How long an owner goes on using a line that was asked for (keep) cannot be seen
 * directly. Two CPUs that add to one word make keep / rmw additions each, rounded up, in
 * the time of two transfers, so it follows from what one addition takes them: the last
 * of them begins before the time is over, on average half of one.
 */
void twin_constants(const struct twin_lines *l, const struct twin_pair *p, u64 *ps)
{
	u64 rmw = most(l->rmw, p->transfer), keep = 2 * p->transfer * rmw / p->contended;

	memset(ps, 0, LINE_NR * sizeof(*ps));
	ps[LINE_reload] = most(beyond(l->cas[0], l->rmw), rmw);
	/* On many words every other load is a reload. */
	ps[LINE_read_hit] = most(beyond(2 * l->cas[1], l->cas[0] + l->rmw), ps[LINE_reload]);
	ps[LINE_write_hit] = most(beyond(l->section, l->rmw + ps[LINE_read_hit]) / 2, rmw);
	ps[LINE_rmw_hit] = rmw;
	ps[LINE_local] = p->transfer;
	ps[LINE_memory] = l->memory;
	ps[LINE_shared] = most(p->transfer, l->memory);
	ps[LINE_keep] = most(beyond(keep, rmw / 2), p->transfer);
	ps[LINE_spread] = most(p->spread, p->transfer);
	ps[LINE_clock] = beyond(l->wait, l->lock) / 2;
}
