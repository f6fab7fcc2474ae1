// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the sparse count words: which exist for a memory map, that each
 * can be used, and that what they take follows the memory and not its addresses.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "host.h"

#define PFN(bytes) ((unsigned long)((bytes) >> PAGE_SHIFT))
#define MAX_BLOCKS 4

struct map_case {
	const char *name;
	unsigned int nr;
	u64 start[MAX_BLOCKS], end[MAX_BLOCKS];
	unsigned int ranges;
	unsigned long regions, pages;
};

static const struct map_case map_cases[] = {
	{ "one region", 1, { SZ_2M }, { 2 * SZ_2M }, 1, 1, 1 },
	{ "part of a region", 1, { SZ_1M }, { SZ_1M + SZ_4K }, 1, 1, 1 },
	{ "unaligned ends", 1, { SZ_1M }, { SZ_1G - SZ_4K }, 1, 512, 1 },
	{ "two in one region", 2, { SZ_2M, SZ_2M + SZ_1M }, { SZ_2M + SZ_4K, 2 * SZ_2M }, 1, 1, 1 },
	{ "neighbours join", 2, { SZ_2M, SZ_1G }, { SZ_1G, SZ_2G }, 1, 1023, 1 },
	{ "two ranges in a page", 2, { SZ_1M, SZ_1G + SZ_512M }, { SZ_1G, SZ_2G }, 2, 768, 1 },
	/* A page of words covers 2 GiB: a hole below 4G, the rest above. */
	{ "hole", 2, { SZ_1M, 4ULL * SZ_1G }, { 3ULL * SZ_1G, 6ULL * SZ_1G }, 2,
	  1536 + 1024, 3 },
	/* 1 TiB apart: the hole has no words. */
	{ "far apart", 3, { SZ_1M, 1ULL << 40, 3ULL << 40 },
	  { SZ_1G, (1ULL << 40) + SZ_4G, (3ULL << 40) + SZ_2M }, 3, 512 + 2048 + 1, 4 },
	{ "top of 48 bits", 2, { SZ_1M, (1ULL << 48) - SZ_4M }, { SZ_4M, 1ULL << 48 }, 2, 4, 2 },
};

static void describe(const struct map_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(map, map_cases, describe);

static void words_map(struct kunit *test)
{
	const struct map_case *c = test->param_value;
	unsigned long start[MAX_BLOCKS], end[MAX_BLOCKS], region, seen = 0;
	struct pamt_words w;
	unsigned int i, r;

	for (i = 0; i < c->nr; i++) {
		start[i] = PFN(c->start[i]);
		end[i] = PFN(c->end[i]);
	}
	KUNIT_ASSERT_EQ(test, pamt_words_alloc(&w, start, end, c->nr), 0);
	KUNIT_EXPECT_EQ(test, w.base, ALIGN_DOWN(c->start[0], SZ_2M));
	KUNIT_EXPECT_EQ(test, w.nr_ranges, c->ranges);
	KUNIT_EXPECT_EQ(test, w.nr_regions, c->regions);
	KUNIT_EXPECT_EQ(test, w.nr_pages, c->pages);
	/* Each word can be used, starts at zero, and is nobody else's. */
	for (r = 0; r < w.nr_ranges; r++)
		for (region = w.ranges[r].first; region < w.ranges[r].end; region++)
			seen += !atomic_fetch_add(1, &w.count[region]);
	KUNIT_EXPECT_EQ(test, seen, c->regions);
	/* First and last page of every block have a word. */
	for (i = 0; i < c->nr; i++) {
		KUNIT_EXPECT_TRUE(test, pamt_words_have(&w, (c->start[i] - w.base) / SZ_2M));
		KUNIT_EXPECT_TRUE(test, pamt_words_have(&w, (c->end[i] - 1 - w.base) / SZ_2M));
	}
	/* Behind the last range there is none, mapped or not. */
	KUNIT_EXPECT_FALSE(test, pamt_words_have(&w, w.ranges[w.nr_ranges - 1].end));
	pamt_words_free(&w);
}

/* Where there is no memory nothing is mapped. */
static void words_hole(struct kunit *test)
{
	unsigned long start[2] = { PFN(SZ_1M), PFN(1ULL << 40) };
	unsigned long end[2] = { PFN(SZ_1G), PFN((1ULL << 40) + SZ_1G) };
	struct pamt_words w;
	unsigned long hole;

	KUNIT_ASSERT_EQ(test, pamt_words_alloc(&w, start, end, 2), 0);
	hole = (512ULL << 30) / SZ_2M;
	KUNIT_EXPECT_FALSE(test, pamt_words_have(&w, hole));
	KUNIT_EXPECT_NULL(test, vmalloc_to_page(&w.count[hole]));
	KUNIT_EXPECT_NOT_NULL(test, vmalloc_to_page(&w.count[0]));
	pamt_words_free(&w);
	KUNIT_EXPECT_NULL(test, w.area);
}

static struct kunit_case words_cases[] = {
	KUNIT_CASE_PARAM(words_map, map_gen_params),
	KUNIT_CASE(words_hole),
	{}
};

static struct kunit_suite words_suite = {
	.name = "tdx_pamt_words",
	.test_cases = words_cases,
};
kunit_test_suite(words_suite);

MODULE_DESCRIPTION("KUnit tests of the count words of Dynamic PAMT");
MODULE_LICENSE("GPL");
