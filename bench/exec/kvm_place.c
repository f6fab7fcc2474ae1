// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragmenting a host's memory (kvm_place.h). What stays free is what the TDs need and
 * some, in single pages; how they then lie is not decided here but by the kernel's
 * allocator, and is measured (tdx_pamt/placement).
 *
 * The kernel must not tidy up meanwhile: proactive compaction is turned off.
 */
#define _GNU_SOURCE
#include "exec/kvm_place.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD "/held"
#define MIB (1ull << 20)
#define SLACK (320 * MIB)	/* of the kernel and of processes, free beside the TDs' pages */
#define FIRST_REST (64 * MIB)	/* stays free while the holes are made */
#define MAX_ORDER 10
#define ORDER_2M 9
#define ORDER_REST 2	/* holes that touch make blocks of order 1, seldom more */

static uint64_t most;		/* bytes that the workloads need */
static uint64_t held_for;	/* bytes that were left; 0: memory is not fragmented */

/* ------------------------------------------------------------ free memory */

/* Free blocks by order, all zones and nodes: "Node 0, zone NAME N0 N1 .. N10". */
static void free_blocks(uint64_t blocks[MAX_ORDER + 1])
{
	FILE *f = fopen("/proc/buddyinfo", "r");
	char line[512], *at, *end;
	int skip;

	memset(blocks, 0, (MAX_ORDER + 1) * sizeof(*blocks));
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "zone ");
		skip = 0;
		if (!at || sscanf(at, "zone %*s%n", &skip) < 0 || !skip)
			continue;
		at += skip;
		for (int order = 0; order <= MAX_ORDER; order++, at = end)
			blocks[order] += strtoull(at, &end, 10);
	}
	if (f)
		fclose(f);
}

/* Free bytes in blocks of @order and more. */
static uint64_t free_bytes(int order)
{
	uint64_t blocks[MAX_ORDER + 1], bytes = 0;

	free_blocks(blocks);
	for (; order <= MAX_ORDER; order++)
		bytes += blocks[order] * 4096 << order;
	return bytes;
}

double place_free_2m_pct(void)
{
	uint64_t all = free_bytes(0);

	return all ? 100.0 * free_bytes(ORDER_2M) / all : NAN;
}

/* ------------------------------------------------------------------- fio */

static void set_bytes(const char *name, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	setenv(name, text, 1);
}

/* Run the named sections of the job; what fio says goes to the console if it fails. */
static int run_fio(const char *first, const char *second)
{
	char one[64], two[64];
	char *argv[] = { "fio", "--minimal", "--eta=never", "--output=/tmp/fio.out", one, second ? two : PLACE_JOB,
			 second ? PLACE_JOB : NULL, NULL };
	int status = -1;
	pid_t child;

	snprintf(one, sizeof(one), "--section=%s", first);
	snprintf(two, sizeof(two), "--section=%s", second ? second : "");
	child = fork();
	if (!child) {
		execv("/bin/fio", argv);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ------------------------------------------------------------ what is asked */

bool place_wants(const struct workload *w)
{
	return w->placement.pick == WL_SCATTERED;
}

bool place_can(void)
{
	return !access(PLACE_JOB, R_OK) && !access("/bin/fio", X_OK);
}

static uint64_t need(const struct workload *w)
{
	uint64_t all = SLACK;

	for (unsigned int g = 0; g < w->nr_tds; g++)
		all += w->tds[g].count * (w->tds[g].memory * 5 / 4 + w->tds[g].vcpus * 128 * 1024 + MIB);
	return all;
}

static int fail(char *err, size_t size, int code, const char *what)
{
	snprintf(err, size, "memory could not be fragmented: %s (fio: exit %d)", what, code);
	place_release();
	return -EIO;
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static int fragment(uint64_t left, char *err, size_t size)
{
	uint64_t large;
	int code;

	/*
	 * Huge pages in memory that is short of them would raise the reserve to 64M and more,
	 * and the holes would end in the CPUs' own lists of free pages, 80M each, where no
	 * other CPU finds them.
	 */
	write_to("/proc/sys/vm/percpu_pagelist_high_fraction", "1000000");
	write_to("/proc/sys/vm/compaction_proactiveness", "0");
	write_to("/proc/sys/vm/watermark_boost_factor", "0");
	write_to("/proc/sys/vm/min_free_kbytes", "8192");
	mkdir(HELD, 0700);
	if (mount("tmpfs", HELD, "tmpfs", 0, "huge=always,size=100%")) {
		snprintf(err, size, "a tmpfs of huge pages on %s: %s", HELD, strerror(errno));
		return -errno;
	}
	held_for = left;
	large = free_bytes(ORDER_2M);
	if (large < left + FIRST_REST + 256 * MIB)
		return fail(err, size, 0, "there is too little of it");
	set_bytes("FILL", (large - FIRST_REST) & -(2 * MIB));
	set_bytes("HOLES", left & -4096ull);
	set_bytes("REST", 2 * MIB);
	setenv("HELD", HELD, 1);
	code = run_fio("fill", "holes");
	if (code)
		return fail(err, size, code, "fill and holes");
	/* What the allocator would give to TDs before it comes to the holes. */
	set_bytes("REST", free_bytes(ORDER_REST));
	code = run_fio("rest", NULL);
	return code ? fail(err, size, code, "rest") : 0;
}

void place_expect(const struct workload *w)
{
	if (place_wants(w) && need(w) > most)
		most = need(w);
}

int place_fragment(char *err, size_t size)
{
	int ret = -EAGAIN;

	if (held_for)
		return 0;
	/* fio takes memory of its own where hardly any is left: once more, with more of it */
	for (unsigned int tries = 1; ret && tries <= 2; tries++)
		ret = fragment(most + (tries - 1) * SLACK, err, size);
	return ret;
}

bool place_fragmented(void)
{
	return held_for;
}

void place_release(void)
{
	if (held_for && umount(HELD))
		fprintf(stderr, "dpamt-guest: %s stays mounted: %s\n", HELD, strerror(errno));
	if (held_for)
		write_to("/proc/sys/vm/compact_memory", "1");
	held_for = 0;
}
