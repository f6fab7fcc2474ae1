// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page allocator of user-space hosts: per-CPU lists whose batches grow and shrink as
 * Linux's do, low pages first, and every page back in the end.
 */
#include "exec/phys.h"
#include "shim_runtime.h"
#include "tests/test.h"

#define BYTES (1ull << 30)
#define PAGES 20000u

static struct phys ph;
static char *arena;
static u64 page[PAGES];

static void begin(u64 bytes, unsigned int nodes)
{
	shim_set_nr_cpus(2);
	shim_set_cpu(0);
	CHECK_EQ(phys_init(&ph, arena, bytes, PMD_SIZE, 1, nodes), 0);
}

static void end(void)
{
	CHECK_EQ(phys_in_use(&ph), 0);
	phys_exit(&ph);
}

/* Allocate until CPU 0's list is filled again; how many pages that took from the blocks. */
static unsigned int refill(unsigned int *n)
{
	const struct phys_cpu *c = &ph.cpu[0];

	while (c->nr)
		page[(*n)++] = phys_alloc_kernel(&ph);
	page[(*n)++] = phys_alloc_kernel(&ph);
	return c->nr + 1;
}

static void batches(void)
{
	static const unsigned int grows[] = { 63, 126, 252, 504, 1008, 2016, 2016 };
	unsigned int i, n = 0;
	u64 units = 0;

	begin(BYTES, 1);
	for (i = 0; i < ARRAY_SIZE(grows); i++) {
		CHECK_EQ(refill(&n), grows[i]);
		units += grows[i] / PHYS_BATCH;
		CHECK_EQ(ph.cpu[0].refills, units);
	}
	/* Nobody else takes pages: they come in order. */
	for (i = 1; i < n; i++)
		CHECK_EQ(page[i], page[i - 1] + PAGE_SIZE);
	/* A page freed halves how often the next batch is doubled. */
	phys_free_kernel(&ph, page[--n]);
	CHECK_EQ(refill(&n), PHYS_BATCH << PHYS_SCALE / 2);
	while (n)
		phys_free_kernel(&ph, page[--n]);
	end();
}

/* What many frees in a row leave on the list is bounded, and the rest is in the blocks again. */
static void gives_back(void)
{
	unsigned int n = 0;

	begin(BYTES, 1);
	while (n < PAGES)
		page[n++] = phys_alloc_kernel(&ph);
	CHECK_EQ(phys_in_use(&ph), PAGES);
	while (n) {
		phys_free_kernel(&ph, page[--n]);
		CHECK(ph.cpu[0].nr < PHYS_HIGH_MAX);
	}
	CHECK(ph.node[0].used_pages < PHYS_HIGH_MAX);
	end();
}

/* A list holds no more than the CPU's share of an eighth of the memory. */
static void small_host(void)
{
	unsigned int n = 0;

	begin(16ull << 20, 1);
	CHECK_EQ(ph.high_max, (16u << 20) / PAGE_SIZE / 8 / 2);
	while ((page[n] = phys_alloc_kernel(&ph))) {
		CHECK(ph.cpu[0].nr <= ph.high_max);
		n++;
	}
	CHECK_EQ(n, (14u << 20) / PAGE_SIZE);
	while (n)
		phys_free_kernel(&ph, page[--n]);
	end();
}

/* A CPU takes its own node's memory while there is some, then the other's. */
static void two_nodes(void)
{
	unsigned int n = 0, own = 0;

	begin(16ull << 20, 2);
	ph.cpu[0].node = 1;
	while ((page[n] = phys_alloc_kernel(&ph))) {
		if (page[n] >= 8ull << 20) {
			CHECK_EQ(own, n);
			own++;
		}
		n++;
	}
	CHECK_EQ(own, (8u << 20) / PAGE_SIZE);
	CHECK_EQ(n, (14u << 20) / PAGE_SIZE);
	while (n)
		phys_free_kernel(&ph, page[--n]);
	page[0] = phys_alloc_2m(&ph);
	CHECK(page[0] >= 8ull << 20);
	phys_free_2m(&ph, page[0]);
	end();
}

int main(void)
{
	test_begin("phys");
	arena = phys_map(BYTES);
	CHECK(arena);
	TEST(batches);
	TEST(gives_back);
	TEST(small_host);
	TEST(two_nodes);
	phys_unmap(arena, BYTES);
	return test_end();
}
