// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the explorer runs: small programs of gets, puts and resizes, each after a
 * question about a race (dynamic-pamt.md A.6). A and B are 2M regions.
 */
#include "exec/scenario_explore.h"

#define A 0
#define B 1
#define C 2
#define GET(r) { OP_GET, r }
#define PUT(r) { OP_PUT, r }

const struct program programs[] = {
	{ .name = "first", .what = "two first gets of one region, and their puts",
	  .cpus = 2, .pages = PAGES_OWN_POOL,
	  .step = { { GET(A), PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "last", .what = "the last put against a get that may be the first",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .held = { { 1 } },
	  .step = { { PUT(A), GET(A), PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "puts", .what = "two CPUs drop the last two references, a third comes",
	  .cpus = 3, .pages = PAGES_ONE_POOL, .held = { { 1 }, { 1 } },
	  .step = { { PUT(A) }, { PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "cross", .what = "two ADDs whose PAMT pages lie in each other's regions",
	  .cpus = 2, .pages = PAGES_CROSS,
	  .step = { { GET(A), PUT(A) }, { GET(B), PUT(B) } } },
	{ .name = "across", .what = "an ADD and a REMOVE whose pages lie in each other's regions",
	  .cpus = 2, .pages = PAGES_CROSS, .held = { { 1 } },
	  .step = { { PUT(A), GET(A) }, { GET(B), PUT(B) } } },
	{ .name = "inside", .what = "pairs that lie in the regions that they are for",
	  .cpus = 2, .pages = PAGES_INSIDE,
	  .step = { { GET(A), GET(B), PUT(A) }, { GET(B), GET(A), PUT(A) } } },
	{ .name = "busy", .what = "BUSY at any call, answered while others are at work",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .busy = 2, .held = { { 1 } },
	  .step = { { PUT(A), GET(A) }, { GET(B), PUT(B) } } },
	{ .name = "busywait", .what = "BUSY for a first get while another get waits for its end",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .busy = 1,
	  .step = { { GET(A), PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "nomem", .what = "no pages for a first get that others wait for or overtake",
	  .cpus = 3, .pages = PAGES_OWN_POOL, .no_pages = 2,
	  .step = { { GET(A), PUT(A) }, { GET(A), PUT(A) }, { GET(A) } } },
	{ .name = "badadd", .what = "PAMT.ADD fails while another get waits for its end",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .bad_add = 1,
	  .step = { { GET(A), PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "badremove", .what = "PAMT.REMOVE fails while a get waits for its end",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .bad_remove = 1, .held = { { 1 } },
	  .step = { { PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "map2m", .what = "a region without users is mapped at 2M: its pair must be gone",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .held = { { 0 }, { 1 } },
	  .step = { { { OP_MAP_2M, A }, { OP_UNMAP_2M, A } }, { PUT(A), GET(B), PUT(B) } } },
	{ .name = "demote", .what = "a demotion's references against the fast path",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .resizes = true,
	  .step = { { { OP_DEMOTE, A }, PUT(A), PUT(A), PUT(A), PUT(A) },
		    { { OP_AWAIT, A }, GET(A), PUT(A) } } },
	{ .name = "promote", .what = "a promotion against gets and puts of its region",
	  .cpus = 2, .pages = PAGES_OWN_POOL, .resizes = true, .held = { { EMU_ENTRIES } },
	  .step = { { { OP_PROMOTE, A } }, { GET(A), PUT(A) } } },
	{ .name = "switch", .what = "at rest another strategy takes over",
	  .cpus = 2, .pages = PAGES_OWN_POOL,
	  .step = { { { OP_SWITCH, 0 }, GET(A), PUT(A) }, { GET(A), PUT(A) } } },
	{ .name = "audit", .what = "a region's entry is read while its pair comes and goes",
	  .cpus = 2, .pages = PAGES_OWN_POOL,
	  .step = { { { OP_AUDIT, A }, { OP_AUDIT, A } }, { GET(A), PUT(A) } } },
	{ .name = "locks", .what = "the module's locks: ADDs whose pages cross, REMOVE, RDMD",
	  .cpus = 3, .pages = PAGES_CROSS, .module = true,
	  .step = { { { OP_ADD, A }, { OP_REMOVE, A } }, { { OP_ADD, B }, { OP_REMOVE, B } },
		    { { OP_READ, A } } } },
	/*
	 * The same questions with 3 CPUs, 2 regions, at least 3 operations each, as far as
	 * each strategy is through with bound 3 in a minute.
	 */
	{ .name = "last3", .what = "as last, with a third CPU and a second region",
	  .cpus = 3, .pages = PAGES_OWN_POOL, .held = { { 1 }, { 0 }, { 0, 1 } },
	  .step = { { PUT(A), GET(A), PUT(A) }, { GET(A), PUT(A), GET(B) },
		    { PUT(B), GET(A), PUT(A) } } },
	{ .name = "map2m3", .what = "as map2m, with a third CPU",
	  .cpus = 3, .pages = PAGES_OWN_POOL, .held = { { 0 }, { 1 }, { 0, 1 } },
	  .step = { { { OP_MAP_2M, A }, { OP_UNMAP_2M, A }, GET(B) },
		    { PUT(A), GET(B), PUT(B) }, { PUT(B), GET(B), PUT(B) } } },
	{ .name = "demote3", .what = "as demote, with a third CPU and a second region",
	  .cpus = 3, .pages = PAGES_OWN_POOL, .resizes = true,
	  .step = { { { OP_DEMOTE, A }, PUT(A), PUT(A), PUT(A), PUT(A) },
		    { { OP_AWAIT, A }, GET(A), PUT(A) },
		    { GET(B), { OP_AWAIT, A }, GET(A), PUT(A), PUT(B) } } },
	{ .name = "switch3", .what = "as switch, with a third CPU and a second region",
	  .cpus = 3, .pages = PAGES_OWN_POOL,
	  .step = { { { OP_SWITCH, 0 }, GET(A), PUT(A) }, { GET(A), GET(B), PUT(A), PUT(B) },
		    { GET(B), PUT(B), GET(A), PUT(A) } } },
	/* The largest comes last: it gets the time that the others left. */
	{ .name = "three", .what = "3 CPUs, 2 regions, 3 operations each",
	  .cpus = 3, .pages = PAGES_OWN_POOL, .held = { { 0 }, { 0 }, { 0, 1 } },
	  .step = { { GET(A), PUT(A), GET(B) }, { GET(B), PUT(B), GET(A) },
		    { GET(A), PUT(A), PUT(B) } } },
};

const unsigned int nr_programs = ARRAY_SIZE(programs);
