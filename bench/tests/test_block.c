// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large cells of the simulated machine: block mode against full mode, strategy by strategy,
 * on all CPUs at once; and memory, of cells in processes of their own.
 */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/pool.h"
#include "tests/sim_bed.h"

/* -------------------------------------------------------------- block mode */

static const char *const names[] = { "global", "global-fast", "hashed", "rwlock", "lockless" };

static double off(double a, double b)
{
	return a > b ? a / b - 1 : b / a - 1;
}

static bool is_null(const char *line, const char *key)
{
	char text[80];

	snprintf(text, sizeof(text), "\"%s\":null", key);
	return strstr(line, text);
}

/* What a strategy's process found wrong: nothing, as it should be. */
static const char *compare(const struct result *full, const struct result *block)
{
	static const char *const lost[] = { "pamt_ns_per_page", "wait_pct", "wait_count", "wait_ns",
					    "get_slow_ns", "fault_p99_ns", "busy_count" };
	static const char *const kept[] = { "elapsed_ns", "fault_mean_ns", "pages_per_sec",
					    "install_count", "pamt_mean_bytes", "saved_per_td_bytes" };
	unsigned int k;

	if (full->status != CELL_OK || block->status != CELL_OK)
		return "a cell failed";
	if (full->f.muted || block->f.muted < 1000000)
		return "pages are charged in full mode, or hardly any in block mode";
	if (!strstr(full->text, "\"hist\"") || strstr(block->text, "\"hist\""))
		return "block mode has histograms";
	for (k = 0; k < ARRAY_SIZE(lost); k++)
		if (is_null(full->text, lost[k]) || !is_null(block->text, lost[k]))
			return lost[k];
	for (k = 0; k < ARRAY_SIZE(kept); k++)
		if (is_null(block->text, kept[k]))
			return kept[k];
	return "";
}

static json_t *block_job(void *ctx, size_t i)
{
	struct result full = run("spr-2s", "boot-10x16g", names[i], 64, false, NULL, 0);
	struct result block = run("spr-2s", "boot-10x16g", names[i], 64, true, NULL, 0);

	return json_pack("{s:f, s:f, s:s}", "elapsed", off(full.elapsed, block.elapsed), "fault",
			 off(full.fault, block.fault), "wrong", compare(&full, &block));
}

static int block_done(void *ctx, size_t i, const json_t *answer)
{
	double elapsed = json_number_value(json_object_get(answer, "elapsed"));
	double fault = json_number_value(json_object_get(answer, "fault"));

	if (!CHECK(answer != NULL))
		return 0;
	printf("block mode, %s: elapsed off by %.2f%%, mean fault by %.2f%%\n", names[i],
	       100 * elapsed, 100 * fault);
	CHECK_STR(json_string_value(json_object_get(answer, "wrong")), "");
	CHECK(elapsed < 0.02);
	CHECK(fault < 0.02);
	return 0;
}

static void block_mode(void)
{
	struct pool p = { .nr = ARRAY_SIZE(names), .job = block_job, .done = block_done };

	CHECK_EQ(pool_run(&p), 0);
}

/* ------------------------------------------------------------------ memory */

/* KiB at most of a cell in a process of its own, so that the peak is its own. */
static long peak(const char *strategy, u64 den, const char *const *sets, size_t nr_sets)
{
	struct rusage u;
	int status = 1;
	pid_t pid = fork();

	if (!pid) {
		struct result r = run("gnr-2s", "fault-storm", strategy, den, false, sets, nr_sets);

		_exit(r.status != CELL_OK);
	}
	CHECK(wait4(pid, &status, 0, &u) == pid);
	CHECK_EQ(status, 0);
	return u.ru_maxrss;
}

/*
 * 1000 vCPUs in less than 2 GiB. A sweep's largest cell (992 vCPUs of 1 MiB and 4 MiB a TD, each page
 * alone) has 270,336 pairs; what they need is taken from cells with 32,768 and 65,536.
 */
static void large(void)
{
	static const char *const sets[] = { "td.storm.count=20", "td.storm.vcpus=50",
					    "td.storm.memory=64M" };
	static const char *const few[] = { "td.storm.count=16", "td.storm.vcpus=62",
					   "td.storm.memory=8M", "placement=scattered:100%" };
	static const char *const more[] = { "td.storm.count=16", "td.storm.vcpus=62",
					    "td.storm.memory=16M", "placement=scattered:100%" };
	long kib = peak("global-fast", 8, sets, 3), a, b;

	printf("1000 vCPUs: %ld MiB\n", kib >> 10);
	CHECK(kib < 2l << 20);
	a = peak("lockless", 1, few, 4);
	b = peak("lockless", 1, more, 4);
	printf("992 vCPUs, 32768 and 65536 lone pages: %ld and %ld MiB\n", a >> 10, b >> 10);
	kib = a + (b - a) * (270336 - 32768) / 32768;
	printf("so 270336: %ld MiB\n", kib >> 10);
	CHECK(kib < 2l << 20);
}

int main(void)
{
	test_begin("test_block");
	go_to_root(__FILE__);
	TEST(large);
	TEST(block_mode);
	return test_end();
}
