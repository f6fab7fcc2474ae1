// SPDX-License-Identifier: GPL-2.0-only
/* Measuring the machine at hand (twin.h): loops on one or two pinned threads. */
#define _GNU_SOURCE
#include "exec/twin.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "exec/cost.h"
#include "exec/sim.h"
#include "measure/clock.h"
#include "shim_runtime.h"

#define LOOPS 8192u
#define ROUNDS 300
#define WORDS 1024u
#define COST_PASSES 5
#define MEMORY_BYTES (64ul << 20)

/* Words that two threads work on: each in a pair of lines of its own. */
struct words {
	atomic_t turn __aligned(128);
	atomic_t word[2] __aligned(128);
	spinlock_t lock __aligned(128);
	u64 data __aligned(128);
	atomic_t here __aligned(128);
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
		atomic_inc(&w->word[0]);
	return per_loop(clock_ns() - t, LOOPS);
}

/*
 * What a load in front of a cmpxchg on the same line adds to it, in the way that a count
 * is taken and dropped, on @words words in turn: on one it waits for the cmpxchg
 * before it, on many it does not.
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

/* What a store between locked instructions adds to them, as unlocking does. */
static noinline u64 loop_rmw_store(struct words *w)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS; i++) {
		atomic_inc(&w->word[0]);
		WRITE_ONCE(w->data, i);
	}
	return per_loop(clock_ns() - t, LOOPS);
}

static noinline u64 loop_clock(void)
{
	u64 t = clock_ns();
	unsigned int i;

	for (i = 0; i < LOOPS; i++) {
		(void)clock_ns();
		barrier();
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

int twin_lines_measure(const struct topology *t, unsigned int a, struct twin_lines *out)
{
	struct words *w = shim_zalloc(sizeof(*w));
	char *mem = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 cas[2] = { 0 }, both = 0;
	atomic_t *word = shim_zalloc(WORDS * sizeof(*word));
	char err[128];
	int i;

	memset(out, 0, sizeof(*out));
	if (!w || !word || mem == MAP_FAILED || topology_bind(t, a, err, sizeof(err))) {
		shim_free(w);
		shim_free(word);
		return -ENOMEM;
	}
	for (i = 0; i < ROUNDS; i++) {
		keep_least(&out->rmw, loop_rmw(w));
		keep_least(&cas[0], loop_cas(word, 1));
		keep_least(&cas[1], loop_cas(word, WORDS));
		keep_least(&both, loop_rmw_store(w));
		keep_least(&out->clock, loop_clock());
	}
	for (i = 0; i < 3; i++)
		keep_least(&out->memory, loop_memory(mem));
	out->read = cas[0] + cas[1] > 2 * out->rmw ? (cas[0] + cas[1]) / 2 - out->rmw : 0;
	shim_free(word);
	out->write = both > out->rmw ? both - out->rmw : 0;
	munmap(mem, MEMORY_BYTES);
	shim_free(w);
	return 0;
}

/* --------------------------------------------------------------- two CPUs */

/*
 * Two threads do the same, in chunks that are timed one by one. A chunk counts only if
 * the other thread got between half and twice as far meanwhile: else it did not run,
 * and nothing was contended. Of those that count the lower quartile is taken: the rest of
 * the machine only ever makes a chunk longer.
 */
#define BURST 32u		/* operations between two looks at the clock of progress */
#define CHUNK 8u		/* bursts */
#define CHUNKS 4096u
#define ENOUGH 64u		/* chunks that count */
#define TRIES 20

struct progress_word {
	u64 bursts;
} __aligned(128);

struct side {
	struct duo *duo;
	unsigned int id, cpu, nr;
	pthread_t thread;
	u64 ps[CHUNKS];
};

struct duo {
	const struct topology *t;
	struct words *w;
	void (*op)(struct duo *d, unsigned int id, unsigned int n);
	struct side side[2];
	struct progress_word progress[2];
	struct pamt *pamt;
	struct pamt_cache cache[2];
	unsigned long apart;
};

/* Hands the turn back and forth: each hand-over is one transfer. */
static void pass_turn(struct duo *d, unsigned int id, unsigned int n)
{
	while (n--) {
		while ((atomic_read(&d->w->turn) & 1) != (int)id)
			;
		atomic_inc(&d->w->turn);
	}
}

static void add_both(struct duo *d, unsigned int id, unsigned int n)
{
	(void)id;
	while (n--)
		atomic_inc(&d->w->word[0]);
}

static void lock_both(struct duo *d, unsigned int id, unsigned int n)
{
	(void)id;
	while (n--) {
		spin_lock(&d->w->lock);
		d->w->data++;
		spin_unlock(&d->w->lock);
	}
}

static void chunks(struct side *s)
{
	struct duo *d = s->duo;
	u64 *mine = &d->progress[s->id].bursts, *other = &d->progress[!s->id].bursts;
	u64 start, seen, t;
	unsigned int i, b;

	for (i = 0; i < CHUNKS; i++) {
		seen = READ_ONCE(*other);
		start = clock_ns();
		for (b = 0; b < CHUNK; b++) {
			d->op(d, s->id, BURST);
			WRITE_ONCE(*mine, *mine + 1);
		}
		t = clock_ns() - start;
		seen = READ_ONCE(*other) - seen;
		if (2 * seen >= CHUNK && seen <= 2 * CHUNK)
			s->ps[s->nr++] = per_loop(t, CHUNK * BURST);
	}
}

static void *side_main(void *arg)
{
	struct side *s = arg;
	struct duo *d = s->duo;
	char err[128];

	shim_set_cpu(s->id);
	topology_bind(d->t, s->cpu, err, sizeof(err));
	atomic_inc(&d->w->here);
	while (atomic_read_acquire(&d->w->here) < 2)
		cpu_relax();
	chunks(s);
	return NULL;
}

/* 0, or -EAGAIN when no thread can be made. */
static int both(struct duo *d)
{
	unsigned int i;

	memset(d->w, 0, sizeof(*d->w));
	memset(d->progress, 0, sizeof(d->progress));
	for (i = 0; i < 2; i++) {
		d->side[i].duo = d;
		d->side[i].id = i;
		d->side[i].nr = 0;
		if (!pthread_create(&d->side[i].thread, NULL, side_main, &d->side[i]))
			continue;
		if (i) {
			atomic_inc(&d->w->here);
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

/* ps per operation of one side alone; the least. */
static u64 alone(struct duo *d, void (*op)(struct duo *, unsigned int, unsigned int))
{
	u64 best = 0, t;
	char err[128];
	int i;

	shim_set_cpu(0);
	topology_bind(d->t, d->side[0].cpu, err, sizeof(err));
	for (i = 0; i < ROUNDS; i++) {
		t = clock_ns();
		op(d, 0, CHUNK * BURST);
		keep_least(&best, per_loop(clock_ns() - t, CHUNK * BURST));
	}
	return best;
}

/* ps per operation; 0 when the two never ran side by side. */
static u64 contend(struct duo *d, void (*op)(struct duo *, unsigned int, unsigned int))
{
	u64 all[2 * CHUNKS];
	unsigned int nr = 0;
	int try;

	d->op = op;
	for (try = 0; try < TRIES && nr < ENOUGH; try++) {
		if (both(d))
			return 0;
		nr = d->side[0].nr + d->side[1].nr;
		memcpy(all, d->side[0].ps, d->side[0].nr * sizeof(all[0]));
		memcpy(all + d->side[0].nr, d->side[1].ps, d->side[1].nr * sizeof(all[0]));
	}
	if (!nr)
		return 0;
	qsort(all, nr, sizeof(all[0]), by_value);
	return all[nr / 4];
}

int twin_pair_measure(const struct topology *t, unsigned int a, unsigned int b,
		      struct twin_pair *out)
{
	struct duo *d = shim_zalloc(sizeof(*d));
	int ret = -ENOMEM;

	if (d)
		d->w = shim_zalloc(sizeof(*d->w));
	if (d && d->w) {
		d->t = t;
		d->side[0].cpu = a;
		d->side[1].cpu = b;
		/* An operation of each side is two hand-overs. */
		out->transfer = contend(d, pass_turn) / 2;
		out->contended = contend(d, add_both);
		out->handover = contend(d, lock_both);
		ret = out->transfer && out->contended && out->handover ? 0 : -EAGAIN;
		shim_free(d->w);
	}
	shim_free(d);
	return ret;
}

/* -------------------------------------------------------------- strategies */

static void get_put(struct duo *d, unsigned int id, unsigned int n)
{
	unsigned long word = id * d->apart;

	while (n--) {
		d->pamt->ops->get(d->pamt, word, &d->cache[id]);
		d->pamt->ops->put(d->pamt, word);
	}
}

#define APART_WORDS 64	/* as sim_micro.c */

int twin_micro_measure(const struct topology *t, unsigned int a, unsigned int b,
		       const char *strategy, struct twin_micro *out, char *err, size_t err_size)
{
	struct world_config wc = {
		.host_bytes = COST_ARENA, .placement = PHYS_BUDDY,
		.ops = pamt_find_ops(strategy), .mem = phys_map(COST_ARENA),
	};
	struct duo *d = shim_zalloc(sizeof(*d));
	struct words *words = shim_zalloc(sizeof(*words));
	struct world *w = shim_zalloc(sizeof(*w));
	unsigned int i;
	int ret = -ENOMEM;

	snprintf(err, err_size, "out of memory");
	shim_set_nr_cpus(2);
	shim_clear_warnings();
	if (wc.mem && d && words && w)
		ret = world_init(w, &wc, err, err_size);
	if (!ret) {
		d->t = t;
		d->w = words;
		d->pamt = &w->pamt;
		d->side[0].cpu = a;
		d->side[1].cpu = b;
		for (i = 0; i < 2; i++)
			world_topup(w, &d->cache[i], 8);
		/* A user each, so that all in the loops is fast. */
		w->pamt.ops->get(&w->pamt, 0, NULL);
		w->pamt.ops->get(&w->pamt, APART_WORDS, NULL);
		out->call = alone(d, get_put);
		out->same = contend(d, get_put);
		d->apart = APART_WORDS;
		out->apart = contend(d, get_put);
		w->pamt.ops->put(&w->pamt, 0);
		w->pamt.ops->put(&w->pamt, APART_WORDS);
		for (i = 0; i < 2; i++)
			world_cache_drain(w, &d->cache[i]);
		ret = world_audit(w, err, err_size);
		world_exit(w);
	}
	phys_unmap(wc.mem, COST_ARENA);
	shim_free(d);
	shim_free(words);
	shim_free(w);
	return ret;
}

/* ----------------------------------------------------- measured, simulated */

static void least_ns(double *best, double ns)
{
	if (*best == 0 || ns < *best)
		*best = ns;
}

static void take_costs(const json_t *samples, struct twin_row *r)
{
	const json_t *s, *m;
	size_t i;

	json_array_foreach(samples, i, s) {
		const char *name = json_string_value(json_object_get(s, "strategy"));

		if (!name || strcmp(name, r->strategy))
			continue;
		m = json_object_get(s, "metrics");
		least_ns(&r->measured[TWIN_ONE_WORD],
			 json_number_value(json_object_get(m, "cost_one_ns")));
		least_ns(&r->measured[TWIN_MANY_WORDS],
			 json_number_value(json_object_get(m, "cost_many_ns")));
	}
}

static int fill_row(struct twin_row *r, const struct topology *t, const struct machine *m, char *err,
		    size_t err_size)
{
	struct twin_micro twin;
	struct sim_micro sim;
	double call;
	size_t nr;
	const struct topology_cpu *cpu = topology_cpus(t, &nr);
	int ret = sim_flavour.micro(m, r->strategy, &sim, err, err_size);

	if (!ret)
		ret = twin_micro_measure(t, cpu[0].cpu, cpu[1].cpu, r->strategy, &twin, err, err_size);
	if (ret)
		return ret;
	/* Less the two calls, which the kernel makes directly and the cost loops inline. */
	call = twin.call / 1e3 - r->measured[TWIN_ONE_WORD];
	call = call > 0 ? call : 0;
	r->measured[TWIN_SAME_WORD] = twin.same / 1e3 - call;
	r->measured[TWIN_OWN_WORDS] = twin.apart / 1e3 - call;
	r->simulated[TWIN_ONE_WORD] = sim.alone / 1e3;
	r->simulated[TWIN_MANY_WORDS] = sim.alone_many / 1e3;
	r->simulated[TWIN_SAME_WORD] = sim.same / 1e3;
	r->simulated[TWIN_OWN_WORDS] = sim.apart / 1e3;
	return 0;
}

int twin_rows(struct twin_row *row, size_t nr, const struct topology *t, const struct machine *m,
	      char *err, size_t err_size)
{
	const struct pamt_ops **ops = calloc(nr + 1, sizeof(*ops));
	char *mem = phys_map(nr * COST_ARENA), text[128];
	json_t *samples;
	size_t i, cpus;
	int ret = -ENOMEM, pass;

	snprintf(err, err_size, "out of memory");
	for (i = 0; ops && i < nr; i++)
		ops[i] = pamt_find_ops(row[i].strategy);
	topology_bind(t, topology_cpus(t, &cpus)[0].cpu, text, sizeof(text));
	/* Several times: a neighbour on the core lasts longer than one measurement. */
	for (pass = 0; pass < COST_PASSES && mem && ops; pass++) {
		samples = cost_measure(ops, (unsigned int)nr, mem, 0, err, err_size);
		for (i = 0; i < nr && samples; i++)
			take_costs(samples, &row[i]);
		ret = samples ? 0 : -EIO;
		json_decref(samples);
		if (ret)
			break;
	}
	for (i = 0; i < nr && !ret; i++)
		ret = fill_row(&row[i], t, m, err, err_size);
	phys_unmap(mem, nr * COST_ARENA);
	free(ops);
	return ret;
}
