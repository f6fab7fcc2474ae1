// SPDX-License-Identifier: GPL-2.0-only
/*
 * Floors and cost loops (cost.h). Each figure is the least of many short rounds
 * in which all loops take turns: what disturbs a round only ever makes it longer.
 */
#include "exec/cost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pamt/strategies.h"
#include "measure/clock.h"
#include "shim_runtime.h"

#define COST_DECLARE(sym, name) extern const struct cost_loops cost_##sym##_loops;
PAMT_STRATEGIES(COST_DECLARE)

static const struct {
	const char *name;
	const struct cost_loops *loops;
} loops[] = {
#define COST_ENTRY(sym, nm) { nm, &cost_##sym##_loops },
	PAMT_STRATEGIES(COST_ENTRY)
};

#define ROUNDS 25
#define ITERATIONS 8192ul

/* ------------------------------------------------------------------ floors */

enum floor {
	FLOOR_EMPTY,
	FLOOR_CLOCK,
	FLOOR_ADD_ONE,
	FLOOR_ADD_MANY,
	FLOOR_CAS_ONE,
	FLOOR_CAS_MANY,
	FLOOR_LOCK_ONE,
	FLOOR_LOCK_MANY,
	NR_FLOORS,
};

static const char *const floor_key[NR_FLOORS] = {
	"floor_empty_ns",	 "floor_clock_ns",	 "floor_add_pair_one_ns",
	"floor_add_pair_many_ns", "floor_cas_pair_one_ns", "floor_cas_pair_many_ns",
	"floor_lock_pair_one_ns", "floor_lock_pair_many_ns",
};

static __always_inline void cas_add(atomic_t *v, int n)
{
	int old = atomic_read(v);

	while (!atomic_try_cmpxchg(v, &old, old + n))
		;
}

/* A get and a put as one lock around each would have them, and a page pair taken and returned. */
static __always_inline void locked_pair(struct pamt *p, unsigned long lock, unsigned long w,
					struct pamt_cache *cache)
{
	struct pamt_pair pair;

	pamt_pair_alloc(p, cache, &pair);
	spin_lock(&p->locks[lock].lock);
	WRITE_ONCE(p->count[w].counter, READ_ONCE(p->count[w].counter) + 1);
	spin_unlock(&p->locks[lock].lock);
	pamt_pair_free(p, cache, &pair);
	spin_lock(&p->locks[lock].lock);
	WRITE_ONCE(p->count[w].counter, READ_ONCE(p->count[w].counter) - 1);
	spin_unlock(&p->locks[lock].lock);
}

/* One floor loop of @n iterations, in the same shape and over the same words as cost_loop.c. */
static noinline void floor_loop(enum floor f, struct pamt *p, struct pamt_cache *cache,
				unsigned long n)
{
	unsigned long i;

	switch (f) {
	case FLOOR_EMPTY:
		for (i = 0; i < n; i++)
			barrier();
		break;
	case FLOOR_CLOCK:
		for (i = 0; i < n; i++) {
			(void)clock_ns();
			barrier();
		}
		break;
	case FLOOR_ADD_ONE:
		for (i = 0; i < n; i++) {
			atomic_inc(&p->count[0]);
			atomic_dec(&p->count[0]);
		}
		break;
	case FLOOR_ADD_MANY:
		for (i = 0; i < n; i++) {
			atomic_inc(&p->count[i % COST_WORDS]);
			atomic_dec(&p->count[i % COST_WORDS]);
		}
		break;
	case FLOOR_CAS_ONE:
		for (i = 0; i < n; i++) {
			cas_add(&p->count[0], 1);
			cas_add(&p->count[0], -1);
		}
		break;
	case FLOOR_CAS_MANY:
		for (i = 0; i < n; i++) {
			cas_add(&p->count[i % COST_WORDS], 1);
			cas_add(&p->count[i % COST_WORDS], -1);
		}
		break;
	case FLOOR_LOCK_ONE:
		for (i = 0; i < n; i++)
			locked_pair(p, 0, i % COST_WORDS, cache);
		break;
	case FLOOR_LOCK_MANY:
		for (i = 0; i < n; i++)
			locked_pair(p, i % 256, i % COST_WORDS, cache);
		break;
	case NR_FLOORS:
		break;
	}
}

static void least(double *best, u64 ns)
{
	double per = (double)ns / ITERATIONS;

	if (!*best || per < *best)
		*best = per;
}

static void round_floors(struct world *w, struct pamt_cache *cache, double *best)
{
	unsigned int f;
	u64 t;

	for (f = 0; f < NR_FLOORS; f++) {
		t = clock_ns();
		floor_loop(f, &w->pamt, cache, ITERATIONS);
		least(&best[f], clock_ns() - t);
	}
}

/* -------------------------------------------------------------- strategies */

struct costs {
	const struct pamt_ops *ops;
	const struct cost_loops *loops;
	struct world world;
	struct pamt_cache cache;
	double one, many, get, put;
};

static double timed(void (*loop)(struct pamt *, struct pamt_cache *, unsigned long),
		    struct costs *c, double *best)
{
	u64 t = clock_ns();

	loop(&c->world.pamt, &c->cache, ITERATIONS);
	least(best, clock_ns() - t);
	return *best;
}

static void round_costs(struct costs *c)
{
	timed(c->loops->one, c, &c->one);
	timed(c->loops->many, c, &c->many);
	timed(c->loops->gets, c, &c->get);
	timed(c->loops->puts, c, &c->put);
}

/* A host in which each of the words has a user, so that every get and put of the loops is fast. */
static int costs_init(struct costs *c, const struct pamt_ops *ops, char *mem, char *err,
		      size_t err_size)
{
	struct world_config wc = {
		.host_bytes = COST_ARENA, .placement = PHYS_BUDDY, .ops = ops, .mem = mem,
	};
	unsigned long i;
	int ret;

	c->ops = ops;
	for (i = 0; i < ARRAY_SIZE(loops); i++)
		if (!strcmp(loops[i].name, ops->name))
			c->loops = loops[i].loops;
	madvise(mem, COST_ARENA, MADV_DONTNEED);
	ret = world_init(&c->world, &wc, err, err_size);
	if (ret)
		return ret;
	ret = world_topup(&c->world, &c->cache, 8);
	for (i = 0; i < COST_WORDS && !ret; i++)
		ret = ops->get(&c->world.pamt, i, NULL);
	if (ret)
		snprintf(err, err_size, "%s: a first get failed", ops->name);
	return ret;
}

static int costs_exit(struct costs *c, char *err, size_t err_size)
{
	unsigned long i;
	int ret;

	for (i = 0; i < COST_WORDS; i++)
		c->ops->put(&c->world.pamt, i);
	world_cache_drain(&c->world, &c->cache);
	ret = world_audit(&c->world, err, err_size);
	world_exit(&c->world);
	return ret;
}

static json_t *real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static void primitive_floor(const struct pamt_ops *ops, const double *floor, double *one,
			    double *many)
{
	enum floor f = ops->primitive == PAMT_PRIM_ADD	   ? FLOOR_ADD_ONE :
		       ops->primitive == PAMT_PRIM_CMPXCHG ? FLOOR_CAS_ONE :
		       ops->primitive == PAMT_PRIM_LOCK	   ? FLOOR_LOCK_ONE :
							     FLOOR_EMPTY;

	*one = floor[f];
	/* One lock is one lock, whatever the word under it. */
	*many = floor[f == FLOOR_EMPTY || f == FLOOR_LOCK_ONE ? f : f + 1];
}

static json_t *costs_json(const struct costs *c, const double *floor, int block)
{
	double one, many;
	json_t *m = json_object();

	primitive_floor(c->ops, floor, &one, &many);
	json_object_set_new(m, "cost_one_ns", real(c->one));
	json_object_set_new(m, "cost_many_ns", real(c->many));
	json_object_set_new(m, "cost_ratio_one", real(c->one / one));
	json_object_set_new(m, "cost_ratio_many", real(c->many / many));
	json_object_set_new(m, "cost_add_ratio_one", real(c->one / floor[FLOOR_ADD_ONE]));
	json_object_set_new(m, "cost_add_ratio_many", real(c->many / floor[FLOOR_ADD_MANY]));
	json_object_set_new(m, "get_fast_ns", real(c->get));
	json_object_set_new(m, "put_fast_ns", real(c->put));
	return json_pack("{s:s,s:s,s:i,s:s,s:o}", "kind", "cost", "strategy", c->ops->name, "block",
			 block, "status", "ok", "metrics", m);
}

static json_t *floors_json(const double *floor, int block)
{
	json_t *m = json_object();
	unsigned int f;

	for (f = 0; f < NR_FLOORS; f++)
		json_object_set_new(m, floor_key[f], real(floor[f]));
	return json_pack("{s:s,s:i,s:s,s:o}", "kind", "control", "block", block, "status", "ok",
			 "metrics", m);
}

json_t *cost_measure(const struct pamt_ops *const *ops, unsigned int nr, char *mem, int block,
		     char *err, size_t err_size)
{
	/* The floors need words and locks: those of an instance with many locks. */
	const struct pamt_ops floor_ops = { .name = "floor", .has_locks = true, .lock_bits = 8 };
	struct costs *c = calloc(nr, sizeof(*c));
	double floor[NR_FLOORS] = { 0 };
	unsigned int i, round, up = 0;
	json_t *out = NULL;
	struct pamt_cache pages = { .nr = 4, .page = { 1, 2, 3, 4 } };
	struct world bare = { 0 };

	if (!c || pamt_init(&bare.pamt, &floor_ops, 0, COST_WORDS)) {
		snprintf(err, err_size, "out of memory");
		free(c);
		return NULL;
	}
	/* Each world has a share of the arena's address space of its own. */
	for (up = 0; up < nr; up++)
		if (costs_init(&c[up], ops[up], mem + up * COST_ARENA, err, err_size))
			goto out;
	for (round = 0; round < ROUNDS; round++) {
		round_floors(&bare, &pages, floor);
		for (i = 0; i < nr; i++)
			round_costs(&c[(i + round) % nr]);
	}
	out = json_array();
	json_array_append_new(out, floors_json(floor, block));
	for (i = 0; i < nr; i++)
		json_array_append_new(out, costs_json(&c[i], floor, block));
out:
	for (i = 0; i < up; i++) {
		if (costs_exit(&c[i], err, err_size)) {
			json_decref(out);
			out = NULL;
		}
	}
	pamt_destroy(&bare.pamt);
	free(c);
	return out;
}
