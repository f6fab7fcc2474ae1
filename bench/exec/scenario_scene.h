/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host that the explorer's scenarios run on, between those who run it
 * (scenario_explore.c) and those who judge it (scenario_judge.c).
 */
#ifndef DPAMT_SCENARIO_SCENE_H
#define DPAMT_SCENARIO_SCENE_H

#include "exec/scenario_explore.h"

#include "emu/module/leaves.h"
#include "emu/module/state.h"
#include "shim_runtime.h"

#define SCENE_BYTES (1UL << 20)
#define SCENE_PAGES 64

/* The checker's own books: part of the state, but no data that CPUs share. */
struct books {
	u8 held[EXPLORE_CPUS][PROGRAM_REGIONS];
	u8 users[PROGRAM_REGIONS];
	bool huge[PROGRAM_REGIONS];
	bool leaked[PROGRAM_REGIONS];
	u8 busy, no_pages, bad_add, bad_remove;	/* still to be injected */
	u8 warnings;				/* that injected failures excuse */
	u8 in_flight, alone;			/* PAMT SEAMCALLs; those that retry after BUSY */
	bool retry[EXPLORE_CPUS], injected[EXPLORE_CPUS], is_alone[EXPLORE_CPUS];
	bool switched;
} __aligned(64);

struct scene {
	const struct program *prog;
	struct world world;
	struct pamt_cache cache[EXPLORE_CPUS] __aligned(64);
	struct pamt_pair pair[PROGRAM_REGIONS] __aligned(64);	/* of SEAMCALLs alone */
	atomic_t through __aligned(64);		/* CPUs that have come to their end */
	atomic_t ready __aligned(64);		/* a demotion has put its pair into place */
	struct books books;
	/* Fixed from here on. */
	bool adopts;			/* ADD may find the pair in place: v3 */
	const struct pamt_ops *other;	/* that takes over */
	u64 region[PROGRAM_REGIONS];
	u64 page[SCENE_PAGES];
	unsigned int nr_pages;
};

extern struct scene scene;

static struct books *const books = &scene.books;

static inline unsigned long scene_nr(unsigned int r)
{
	return pamt_region(&scene.world.pamt, scene.region[r]);
}

static inline struct pamt_entry *scene_entry(unsigned int r)
{
	struct emu_module *m = &scene.world.module;

	return emu_pamt_2m(m, &m->tdmr[0], scene.region[r]);
}

/* Is @addr in @obj, and *@at which byte of it? */
static inline bool scene_of(const volatile void *addr, const void *obj, size_t size, size_t *at)
{
	*at = (uintptr_t)addr - (uintptr_t)obj;
	return obj && *at < size;
}

/* explore_program's step, end and describe. */
const char *scene_step(void *arg);
const char *scene_end(void *arg);
void scene_describe(void *arg, const volatile void *addr, char *buf, size_t size);

#endif
