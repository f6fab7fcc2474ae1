// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader of the kernel's statistics, on texts as the kernel writes them, texts
 * of a newer kernel, and texts that are none.
 */
#define _GNU_SOURCE
#include "measure/kernel_stats.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

static void test_values(void)
{
	static const char text[] = "get_slow 17\nget 3\nbig 18446744073709551615\nname tuned\n"
				   "neg -1\nhuge 18446744073709551616\nhalf 12x\nlast 9";
	uint64_t v = 5;

	CHECK(kernel_stats_value(text, "get_slow", &v) && v == 17);
	CHECK(kernel_stats_value(text, "get", &v) && v == 3);
	CHECK(kernel_stats_value(text, "big", &v) && v == UINT64_MAX);
	CHECK(kernel_stats_value(text, "last", &v) && v == 9);
	CHECK(!kernel_stats_value(text, "slow", &v));
	CHECK(!kernel_stats_value(text, "name", &v));
	CHECK(!kernel_stats_value(text, "neg", &v));
	CHECK(!kernel_stats_value(text, "huge", &v));
	CHECK(!kernel_stats_value(text, "half", &v));
	CHECK(!kernel_stats_value("", "get", &v));
	CHECK_EQ(kernel_stats_get(text, "get_slow"), 17);
	CHECK_EQ(kernel_stats_get(text, "missing"), 0);
}

static void test_hists(void)
{
	static const char text[] = "histogram wait sub_bits 4 max_bits 34 sum_ns 900 max_ns 600\n"
				   "96 2\n512 1\n"
				   "histogram get sub_bits 4 max_bits 34 sum_ns 0 max_ns 0\n"
				   "histogram put sub_bits 4 max_bits 34 sum_ns 7 max_ns 7 new 3\n7 1\n"
				   "histogram odd sub_bits 4\n1 1\n"
				   "histogram half sub_bits 4 max_bits 34 sum_ns 1 max_ns 1\n7\n";
	struct kernel_hist h;

	CHECK_EQ(kernel_stats_hist(text, "wait", &h), 0);
	CHECK_EQ(h.sub_bits, 4);
	CHECK_EQ(h.max_bits, 34);
	CHECK_EQ(h.sum_ns, 900);
	CHECK_EQ(h.max_ns, 600);
	CHECK_EQ(h.nr, 2);
	CHECK_EQ(h.bin[0].low, 96);
	CHECK_EQ(h.bin[0].count, 2);
	CHECK_EQ(h.bin[1].low, 512);
	CHECK_EQ(kernel_stats_hist(text, "get", &h), 0);
	CHECK_EQ(h.nr, 0);
	CHECK_EQ(kernel_stats_hist(text, "put", &h), 0);
	CHECK_EQ(h.nr, 1);
	CHECK_EQ(kernel_stats_hist(text, "odd", &h), -EINVAL);
	CHECK_EQ(kernel_stats_hist(text, "half", &h), -EINVAL);
	CHECK_EQ(kernel_stats_hist(text, "wai", &h), -ENOENT);
	CHECK_EQ(kernel_stats_hist("", "wait", &h), -ENOENT);
}

static void test_too_many_bins(void)
{
	char *text = malloc(KERNEL_HIST_BINS * 8 + 200);
	struct kernel_hist h;
	size_t at = sprintf(text, "histogram w sub_bits 4 max_bits 34 sum_ns 1 max_ns 1\n");

	for (int i = 0; i <= KERNEL_HIST_BINS; i++)
		at += sprintf(text + at, "%d 1\n", i);
	CHECK_EQ(kernel_stats_hist(text, "w", &h), -E2BIG);
	free(text);
}

static void test_choice(void)
{
	char name[8];

	CHECK(kernel_stats_choice("global [tuned] hashed \n", name, sizeof(name)));
	CHECK_STR(name, "tuned");
	CHECK(!kernel_stats_choice("global tuned\n", name, sizeof(name)));
	CHECK(!kernel_stats_choice("[much-too-long]\n", name, sizeof(name)));
	CHECK(kernel_stats_choice("[seven77]", name, sizeof(name)));
	CHECK(!kernel_stats_choice("[]", name, sizeof(name)));
	CHECK(!kernel_stats_choice("[open", name, sizeof(name)));
}

static void test_files(void)
{
	char dir[] = "/tmp/dpamt-kernel-stats.XXXXXX", path[64];
	char *text;
	FILE *f;

	CHECK(mkdtemp(dir) != NULL);
	CHECK(!kernel_stats_read(dir, "stats"));
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(kernel_stats_write(dir, "reset", "1"), -ENOENT);
	snprintf(path, sizeof(path), "%s/stats", dir);
	f = fopen(path, "w");
	for (int i = 0; i < 5000; i++)
		fprintf(f, "key%d %d\n", i, i);
	fclose(f);
	text = kernel_stats_read(dir, "stats");
	CHECK(text && kernel_stats_get(text, "key4999") == 4999);
	free(text);
	CHECK_EQ(kernel_stats_write(dir, "stats", "x"), 0);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	test_begin("test_kernel_stats");
	TEST(test_values);
	TEST(test_hists);
	TEST(test_too_many_bins);
	TEST(test_choice);
	TEST(test_files);
	return test_end();
}
