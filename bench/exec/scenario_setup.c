// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer's host before the start: where the programs' pages lie, and what the
 * search is told about memory (its ranges, locks, counters, bitmap).
 */
#include "exec/scenario_scene.h"

/* ------------------------------------------------------------------ pages */

/*
 * Where the pages lie that CPU @cpu has for region @r. Only four fit into a region, so
 * of those that are to lie in A and B the third CPU has none.
 */
static u64 page_at(const struct program *prog, unsigned int cpu, unsigned int r, unsigned int n)
{
	u64 pool = scene.region[0] - 32 * PMD_SIZE;

	if (n < 2 && cpu < 2 && r < 2 && prog->pages == PAGES_CROSS)
		return scene.region[!r] + (2 * cpu + n) * PAGE_SIZE;
	if (n < 2 && cpu < 2 && r < 2 && prog->pages == PAGES_INSIDE)
		return scene.region[r] + (2 * cpu + n) * PAGE_SIZE;
	n += r * GIVEN_PAGES;
	if (prog->pages == PAGES_ONE_POOL)
		return pool + n * PMD_SIZE + cpu * PAGE_SIZE;
	return pool + cpu * 8 * PMD_SIZE + n * PAGE_SIZE;
}

void scene_give_pages(const struct program *prog)
{
	unsigned int cpu, r, n, at = 0;

	for (cpu = 0; cpu < EXPLORE_CPUS; cpu++) {
		for (r = 0; r < PROGRAM_REGIONS; r++) {
			for (n = 0; n < GIVEN_PAGES; n++) {
				u64 page = page_at(prog, cpu, r, n);

				at++;
				if (cpu >= prog->cpus)
					continue;
				scene.page[cpu][r][n] = page;
				scene.owner[page >> PAGE_SHIFT] = at;
				books->free[cpu][r] |= 1u << n;
				scene.nr_pages++;
			}
		}
	}
}

/* ----------------------------------------------------------------- memory */

static bool statistics_only(void *arg, uintptr_t word)
{
	const struct pamt *p = &scene.world.pamt;
	size_t at;

	if (scene_of((void *)word, p->locks, sizeof(*p->locks) << p->lock_bits, &at))
		return at % sizeof(*p->locks) >= offsetof(struct pamt_lock, region);
	return false;
}

static void add_range(struct explore_range *r, const void *addr, size_t size)
{
	while (r->addr)
		r++;
	*r = (struct explore_range){ addr, size };
}

/*
 * Strategies whose word for "absent" is negative claim a region in it: what is neither that,
 * nor "no user" (-1), nor a number of users, is somebody's who installs or removes. (The
 * explorer asks in the middle of an access.)
 */
static __attribute__((__no_sanitize_thread__)) bool claimed(u64 value)
{
	int absent = scene.absent, v = (int)value;

	return absent < 0 && v < 0 && v >> 28 != absent >> 28 && v >> 28 != -1;
}

/* No @mask: a count word. */
static void add_lock(struct explore_lock *l, const void *addr, unsigned int size, u64 mask)
{
	const struct explore_lock *const end = l + EXPLORE_LOCKS;

	while (l < end && l->addr && l->addr != addr)
		l++;
	if (l < end)
		*l = (struct explore_lock){ addr, size, mask, mask ? NULL : claimed };
}

/* Who holds one of these has what is under it to himself. */
static void add_locks(struct explore_lock *l)
{
	struct pamt *p = &scene.world.pamt;
	unsigned int r;

	add_lock(l, &p->fallback.writer.lock, 4, 0xff);
	if (p->ops->use_rwlock) {
		add_lock(l, &p->fallback.rwlock.cnts, 4, SHIM_QW_LOCKED);
		add_lock(l, &p->fallback.rwlock.wait, 4, 0xff);
	}
	for (r = 0; r < PROGRAM_REGIONS; r++) {
		add_lock(l, &p->count[scene_nr(r)], 4, 0);
		add_lock(l, &scene_entry(r)->lock, 2, SHAREX_EX);
		if (p->locks)
			add_lock(l, &p->locks[p->lock_bits ? hash_64(scene_nr(r), p->lock_bits) : 0].lock,
				 4, 0xff);
	}
}

/*
 * The module's locks, and the rwlock, are counters of readers as long as nobody wants them for
 * himself, and of the bitmap each bit is a page's.
 */
static void add_counters(struct explore_program *p)
{
	const struct emu_module *m = &scene.world.module;
	const struct emu_tdmr *t = &m->tdmr[0];
	struct explore_counters c = { .stride = sizeof(struct pamt_entry), .size = 2,
				      .mask = SHAREX_EX | SHAREX_HP };

	c.addr = &emu_pamt_1g(m, t, 0)->lock;
	c.nr = SCENE_BYTES >> EMU_1G_SHIFT;
	p->counters[0] = c;
	c.addr = &emu_pamt_2m(m, t, 0)->lock;
	c.nr = SCENE_BYTES >> PMD_SHIFT;
	p->counters[1] = c;
	if (scene.world.pamt.ops->use_rwlock)
		p->counters[2] = (struct explore_counters){
			.addr = &scene.world.pamt.fallback.rwlock.cnts, .nr = 1, .stride = 4,
			.size = 4, .mask = SHIM_QW_WMASK, .loads = true,
		};
	p->bitmap = (struct explore_range){ emu_va(m, t->pamt_4k_base),
					    SCENE_BYTES >> PAGE_SHIFT >> 3 };
}

void scene_fill(struct explore_program *p, const struct program *prog)
{
	struct pamt *pamt = &scene.world.pamt;
	size_t percpu = EXPLORE_CPUS * SHIM_PERCPU_STRIDE;

	*p = (struct explore_program){
		.nr = prog->cpus, .set_cpu = shim_set_cpu, .step = scene_step,
		.end = scene_end, .describe = scene_describe, .ignored = statistics_only,
	};
	add_range(p->memory, &scene, sizeof(scene));
	add_range(p->memory, scene.world.phys.mem, SCENE_BYTES);
	add_range(p->memory, pamt->count, pamt->nr_regions * sizeof(*pamt->count));
	if (pamt->locks)
		add_range(p->memory, pamt->locks, sizeof(*pamt->locks) << pamt->lock_bits);
	add_range(p->memory, pamt->fallback.readers, percpu);
	add_range(p->memory, scene.world.phys.cpu,
		  EXPLORE_CPUS * sizeof(*scene.world.phys.cpu));
	add_range(p->ignore, pamt->stats, percpu);
	add_range(p->ignore, scene.world.cpu, EXPLORE_CPUS * sizeof(*scene.world.cpu));
	/* Who works on what: nothing but the statistics of waits reads it. */
	add_range(p->ignore, &pamt->fallback.region, sizeof(pamt->fallback.region));
	add_range(p->ignore, &pamt->fallback.writer.region, sizeof(pamt->fallback.writer.region));
	add_range(p->quiet, &scene.books, sizeof(scene.books));
	add_locks(p->lock);
	add_counters(p);
}
