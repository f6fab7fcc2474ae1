/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host that the explorer's scenarios run on, between those who set it up
 * (scenario_setup.c), run it (scenario_explore.c) and judge it (scenario_judge.c).
 */
#ifndef DPAMT_SCENARIO_SCENE_H
#define DPAMT_SCENARIO_SCENE_H

#include "exec/scenario_explore.h"

#include "emu/module/leaves.h"
#include "emu/module/state.h"
#include "shim_runtime.h"

#define SCENE_BYTES (1UL << 20)
/* Each CPU has so many pages for the pairs of each region, two next to each other a pair. */
#define GIVEN_PAGES 8
#define MAX_HEIRS 16

/* The checker's own books: part of the state, but no data that CPUs share. */
struct books {
	u8 free[EXPLORE_CPUS][PROGRAM_REGIONS];	/* GIVEN_PAGES that are nowhere, a bit each */
	u8 held[EXPLORE_CPUS][PROGRAM_REGIONS];
	u8 users[PROGRAM_REGIONS];
	bool huge[PROGRAM_REGIONS];
	bool leaked[PROGRAM_REGIONS];
	u8 putting[PROGRAM_REGIONS];		/* puts under way */
	u8 busy, no_pages, bad_add, bad_remove;	/* still to be injected */
	u8 warnings;				/* that injected failures excuse */
	u8 region[EXPLORE_CPUS];		/* of the operation */
	/* In a PAMT SEAMCALL; one that retries after BUSY, or will. */
	bool in_flight[EXPLORE_CPUS], is_alone[EXPLORE_CPUS], retry[EXPLORE_CPUS];
	bool injected[EXPLORE_CPUS];		/* into this SEAMCALL */
	bool refused[EXPLORE_CPUS];		/* pages or ADD, in this operation */
} __aligned(64);

struct scene {
	const struct program *prog;
	struct world world;
	struct pamt_cache cache[EXPLORE_CPUS] __aligned(64);
	atomic_t through __aligned(64);		/* CPUs that have come to the switch */
	atomic_t switched __aligned(64);	/* it is over */
	atomic_t ready __aligned(64);		/* a demotion has put its pair into place */
	struct books books;
	/* Fixed from here on. */
	bool adopts;			/* ADD may find the pair in place: v3 */
	bool dynamic;			/* regions in use have pairs */
	int absent;			/* pamt_ops.absent of the strategy */
	const struct pamt_ops *heir[MAX_HEIRS];	/* that can take over */
	unsigned int nr_heirs;
	char alone;			/* what marks are about: who retries after BUSY */
	u64 region[PROGRAM_REGIONS];
	u64 page[EXPLORE_CPUS][PROGRAM_REGIONS][GIVEN_PAGES];
	u8 owner[SCENE_BYTES >> PAGE_SHIFT];	/* of a page: 1 + its place in page[], 0: none */
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

/* Give each CPU the pages that @prog says; tell the search about the host's memory. */
void scene_give_pages(const struct program *prog);
void scene_fill(struct explore_program *p, const struct program *prog);

/* explore_program's step, end and describe. */
const char *scene_step(void *arg);
const char *scene_end(void *arg);
void scene_describe(void *arg, const volatile void *addr, char *buf, size_t size);

#endif
