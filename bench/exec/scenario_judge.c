// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must hold on the explorer's host: before each shared access (a region in use has
 * its pair), and when all CPUs are through (no pair lost, leaked or used twice, no
 * lock held, counts even). And the names of its memory, for pictures.
 */
#include "exec/scenario_scene.h"

#include <stdio.h>

/* ------------------------------------------------------------- invariants */

const char *scene_step(void *arg)
{
	unsigned int r;

	for (r = 0; r < PROGRAM_REGIONS; r++) {
		if (!books->users[r] && !books->huge[r])
			continue;
		if (scene.world.pamt.ops->dynamic && books->users[r] &&
		    scene_entry(r)->type != EMU_PT_PAMT)
			return "a region is in use and has no PAMT page pair";
		if (books->huge[r] && scene_entry(r)->type == EMU_PT_PAMT)
			return "a region is mapped at 2M and has a PAMT page pair";
	}
	if (scene.world.module.fatal)
		return "the module died";
	if (shim_warnings(NULL) > books->warnings)
		return "the code warned (WARN_ON_ONCE)";
	if (scene.world.errors)
		return "a SEAMCALL was answered with an error";
	return NULL;
}

/* Each page of the program is free, or in a pair that is in place. */
static const char *check_pages(unsigned int pairs)
{
	unsigned int found = 2 * pairs, cpu, r;

	for (cpu = 0; cpu < EXPLORE_CPUS; cpu++)
		for (r = 0; r < PROGRAM_REGIONS; r++)
			found += __builtin_popcount(books->free[cpu][r]);
	if (found == scene.nr_pages)
		return NULL;
	return found < scene.nr_pages ? "a page pair was lost" : "a page pair is in two places";
}

static const char *check_locks(void)
{
	struct pamt *p = &scene.world.pamt;
	unsigned int cpu;
	unsigned long i;

	for (i = 0; p->locks && i < 1ul << p->lock_bits; i++)
		if (p->locks[i].lock.val)
			return "a lock is still held";
	if (p->fallback.exclusive.counter || p->fallback.writer.lock.val || p->fallback.rwlock.cnts ||
	    p->fallback.rwlock.wait.val)
		return "the fallback is still held";
	for (cpu = 0; cpu < EXPLORE_CPUS; cpu++)
		if (per_cpu_ptr(p->fallback.readers, cpu)->active.counter)
			return "the fallback is still shared";
	return NULL;
}

const char *scene_end(void *arg)
{
	struct pamt *p = &scene.world.pamt;
	unsigned int pairs = 0, r, cpu;
	struct emu_census census;
	const char *what;

	for (r = 0; r < PROGRAM_REGIONS; r++) {
		bool there = scene_entry(r)->type == EMU_PT_PAMT, retained;
		unsigned int users = 0;

		for (cpu = 0; cpu < EXPLORE_CPUS; cpu++)
			users += books->held[cpu][r];
		if (scene.prog->module)
			users = books->users[r];
		else if (users != books->users[r])
			return "the checker's own books do not agree";
		users += books->leaked[r];
		if (p->ops->users && !scene.prog->module && p->ops->users(p, scene_nr(r)) != users)
			return "a region does not count the users that it has";
		/* Who retains pairs may have one in place for nobody. */
		retained = p->ops->drop && there && !users;
		if (p->ops->users && !users && !scene.prog->module && !retained &&
		    p->count[scene_nr(r)].counter != p->ops->absent)
			return "a region without users is not absent";
		if (p->ops->users && there != !!users && !retained)
			return there ? "a pair stayed in place without a user (leaked)" :
				       "users are left without a pair";
		pairs += there && !p->ops->preinstalled;
	}
	what = check_locks();
	if (!what && p->ops->dynamic)
		what = check_pages(pairs);
	if (what)
		return what;
	emu_census(&scene.world.module, &census);
	if (census.locked)
		return "a PAMT entry is still locked";
	if (census.pairs != pairs + scene.world.preinstalled ||
	    census.bitmap_pages != 2 * census.pairs)
		return "the bitmap of PAMT pages does not match the pairs";
	return NULL;
}

/* ---------------------------------------------------------------- describe */

void scene_describe(void *arg, const volatile void *addr, char *buf, size_t size)
{
	struct pamt *p = &scene.world.pamt;
	struct emu_module *m = &scene.world.module;
	size_t at;
	unsigned int r;

	buf[0] = 0;
	for (r = 0; r < PROGRAM_REGIONS; r++) {
		if (scene_of(addr, &p->count[scene_nr(r)], 4, &at))
			snprintf(buf, size, "count[%c]", 'A' + r);
		if (scene_of(addr, scene_entry(r), sizeof(struct pamt_entry), &at))
			snprintf(buf, size, "PAMT_2M[%c].%s", 'A' + r,
				 at < 2 ? "lock" : at == 2 ? "type" : at < 8 ? "owner" : "info");
	}
	if (buf[0])
		return;
	if (scene_of(addr, emu_pamt_1g(m, &m->tdmr[0], scene.region[0]), 2, &at))
		snprintf(buf, size, "PAMT_1G.lock");
	else if (scene_of(addr, emu_pamt_2m(m, &m->tdmr[0], 0), (SCENE_BYTES >> PMD_SHIFT) * 16, &at))
		snprintf(buf, size, "PAMT_2M[%zu].%s", at / 16, at % 16 < 2 ? "lock" : "entry");
	else if (scene_of(addr, emu_va(m, m->tdmr[0].pamt_4k_base), PAGE_SIZE, &at))
		snprintf(buf, size, "bitmap");
	else if (p->locks && scene_of(addr, p->locks, sizeof(*p->locks) << p->lock_bits, &at))
		snprintf(buf, size, "lock[%zu]", at / sizeof(*p->locks));
	else if (scene_of(addr, &p->fallback.exclusive, 4, &at))
		snprintf(buf, size, "fallback.exclusive");
	else if (scene_of(addr, &p->fallback.rwlock, sizeof(rwlock_t), &at))
		snprintf(buf, size, "fallback.rwlock");
	else if (scene_of(addr, &p->fallback.writer, sizeof(p->fallback.writer), &at))
		snprintf(buf, size, "fallback.writer");
	else if (scene_of(addr, p->fallback.readers, EXPLORE_CPUS * SHIM_PERCPU_STRIDE, &at))
		snprintf(buf, size, "fallback.reader[%zu]", at / SHIM_PERCPU_STRIDE);
	else if (scene_of(addr, &scene.alone, 1, &at))
		snprintf(buf, size, "(retry after BUSY)");
	else if (scene_of(addr, &scene.through, 4, &at))
		snprintf(buf, size, "through");
	else if (scene_of(addr, &scene.switched, 4, &at))
		snprintf(buf, size, "switched");
}
