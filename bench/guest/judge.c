// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a host on which no TD should be left: the kernel's own counts
 * (tdx_pamt), the emulated module's (tdx_emu; a TDX host has none and is judged by
 * the former), and what the kernel log says. A record of the log is of interest by
 * its level, or by what it says.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/guest.h"
#include "measure/kernel_stats.h"

#define LATE_TRIES 500		/* of 10 ms: a VM goes when the last of its files does */
#define SYSFS_DIR "/sys/devices/faux/tdx_host/pamt"
#define RECORD_MAX 8192
#define LEVEL_WARNING 4
#define MEMORY_SLACK_KB 4096
#define SETTLED_KB 256
#define LIST_BYTES (32ul << 20)
#define SETTLED_TRIES 20	/* of 50 ms without growth */

/* ---------------------------------------------------------------- counts */

static uint64_t value_in(const char *dir, const char *file, const char *key)
{
	char *text = kernel_stats_read(dir, file);
	uint64_t value = text ? kernel_stats_get(text, key) : 0;

	free(text);
	return value;
}

uint64_t judge_census(const char *key)
{
	return value_in(EMU_DIR, "census", key);
}

uint64_t judge_pamt(const char *file, const char *key)
{
	return value_in(KERNEL_STATS_DIR, file, key);
}

static bool kernel_has(const char *symbol)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, symbol);
	if (f)
		fclose(f);
	return found;
}

/* KASAN keeps objects that were freed: there slabs count as free, and only whole pages are missed. */
static uint64_t free_kb(bool slabs_too)
{
	uint64_t sum = 0, kb;
	char line[128];
	FILE *f;

	kernel_stats_write("/proc/sys/vm", "drop_caches", "7");
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %" SCNu64, &kb) == 1 ||
		    (slabs_too && sscanf(line, "Slab: %" SCNu64, &kb) == 1))
			sum += kb;
	if (f)
		fclose(f);
	return sum;
}

/*
 * Pages on the lists of CPUs are not seen as free, and there may be 10 MB of them on each: let
 * the lists be short, and free memory on each CPU, for that is when they are looked at.
 */
static void empty_cpu_lists(void)
{
	cpu_set_t was, one;

	kernel_stats_write("/proc/sys/vm", "percpu_pagelist_high_fraction", "1000000");
	sched_getaffinity(0, sizeof(was), &was);
	for (unsigned int i = 0; i < guest_nr_cpus; i++) {
		void *p;

		CPU_ZERO(&one);
		CPU_SET(guest_cpus[i], &one);
		sched_setaffinity(0, sizeof(one), &one);
		p = mmap(NULL, LIST_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (p != MAP_FAILED)
			munmap(p, LIST_BYTES);
	}
	sched_setaffinity(0, sizeof(was), &was);
}

uint64_t judge_free_kb(void)
{
	bool kasan = kernel_has(" kasan_quarantine_put\n");
	uint64_t most;

	empty_cpu_lists();
	most = free_kb(kasan);
	/* What the last TD had is freed by and by. */
	for (int same = 0; same < SETTLED_TRIES; same++) {
		uint64_t now;

		usleep(50000);
		now = free_kb(kasan);
		if (now > most + SETTLED_KB) {
			most = now;
			same = 0;
		}
	}
	return most;
}

bool judge_memory_back(uint64_t before, char *why, size_t size)
{
	uint64_t now = judge_free_kb();

	if (now + MEMORY_SLACK_KB >= before)
		return true;
	snprintf(why, size, "no TD, and %" PRIu64 " KB of memory are gone", before - now);
	return false;
}

/* The first line "key value" of @text whose value is not 0, but for those in @except. */
static bool first_nonzero(const char *text, const char *except, char *key, size_t size,
			  uint64_t *value)
{
	char name[48];

	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += !!at) {
		if (sscanf(at, "%47s %" SCNu64, name, value) != 2 || !*value)
			continue;
		if (except && !strcmp(name, except))
			continue;
		snprintf(key, size, "%s", name);
		return true;
	}
	return false;
}

static bool module_owns_nothing(char *why, size_t size)
{
	char *census = kernel_stats_read(EMU_DIR, "census");
	char *events = kernel_stats_read(EMU_DIR, "events");
	char key[48];
	uint64_t n;
	bool ok = true;

	if ((!census || !events) && !access(EMU_DIR, F_OK)) {
		snprintf(why, size, "%s/census or events cannot be read", EMU_DIR);
		ok = false;
	} else if (census && first_nonzero(census, "reserved", key, sizeof(key), &n)) {
		snprintf(why, size, "no TD, and the module has %s %" PRIu64, key, n);
		ok = false;
	} else if (events && first_nonzero(events, NULL, key, sizeof(key), &n)) {
		snprintf(why, size, "the module has seen what must never happen: %s %" PRIu64, key, n);
		ok = false;
	}
	free(census);
	free(events);
	return ok;
}

static bool kernel_counts_nothing(char *why, size_t size)
{
	static const struct {
		const char *file, *key, *what;
	} zero[] = {
		{ "memory", "tds", "TDs exist" },
		{ "audit", "counted", "regions have users" },
		{ "audit", "mismatches", "regions differ between the counts and the module" },
		{ "stats", "leaked", "pairs were leaked" },
		{ "memory", "pairs", "pairs are in place" },
	};

	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++) {
		char *text = kernel_stats_read(KERNEL_STATS_DIR, zero[i].file);
		uint64_t n = 0;
		bool told = text && kernel_stats_value(text, zero[i].key, &n);

		free(text);
		if (!told) {
			snprintf(why, size, "%s/%s does not tell \"%s\"", KERNEL_STATS_DIR,
				 zero[i].file, zero[i].key);
			return false;
		}
		if (!n)
			continue;
		snprintf(why, size, "all TDs were closed, and %" PRIu64 " %s", n, zero[i].what);
		return false;
	}
	return true;
}

/* What is in sysfs for users without debugfs is the same. */
static bool sysfs_agrees(char *why, size_t size)
{
	static const struct {
		const char *name, *key;
	} same[] = {
		{ "pairs", "pairs" }, { "boot_bytes", "boot_bytes" }, { "static_bytes", "static_bytes" },
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		char *text = kernel_stats_read(SYSFS_DIR, same[i].name), *end;
		uint64_t want = judge_pamt("memory", same[i].key);
		bool ok = text && strtoull(text, &end, 10) == want && *end == '\n';

		if (!ok)
			snprintf(why, size, "%s/%s says \"%.20s\", debugfs %" PRIu64, SYSFS_DIR,
				 same[i].name, text ? text : "nothing", want);
		free(text);
		if (!ok)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------- log */

static int log_fd = -1;
static bool by_level = true;

void judge_log_skip(bool warnings)
{
	by_level = warnings;
	if (log_fd < 0)
		log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lseek(log_fd, 0, SEEK_END);
}

static bool never_clean(const char *text)
{
	static const char *const words[] = {
		"WARNING: ", "BUG: ", "kernel BUG at", "Oops", "general protection", "KASAN: ",
		"UBSAN: ", "possible circular", "possible recursive", "suspicious RCU",
		"unable to handle", "soft lockup", "blocked for more than",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/* In the picture of a WARN() or an oops: registers, trace, modules. */
static bool in_splat;

/* A record is "level,number,time,flags;text\n" and lines of its own details behind that. */
static void take_record(struct judge_log *log, char *record)
{
	char *text = strchr(record, ';'), *end;
	size_t used = strlen(log->text);
	bool never;

	if (!text)
		return;
	end = strchr(++text, '\n');
	if (end)
		*end = '\0';
	never = never_clean(text);
	if (strstr(text, "[ end trace ")) {
		in_splat = false;
		return;
	}
	if (strstr(text, "[ cut here ]")) {
		in_splat = true;
		return;
	}
	if (never || (by_level && !in_splat && (strtoul(record, NULL, 10) & 7) <= LEVEL_WARNING))
		snprintf(log->text + used, sizeof(log->text) - used, "%s\n", text);
}

void judge_log_read(struct judge_log *log)
{
	static char record[RECORD_MAX];

	log->text[0] = '\0';
	for (;;) {
		ssize_t n = read(log_fd, record, sizeof(record) - 1);

		if (n < 0 && errno == EPIPE)	/* the oldest were overwritten */
			continue;
		if (n <= 0)
			return;
		record[n] = '\0';
		take_record(log, record);
	}
}

/* --------------------------------------------------------------- verdict */

bool judge_all_back(char *why, size_t size)
{
	struct judge_log log;

	for (int i = 0; i < LATE_TRIES && judge_pamt("memory", "tds"); i++)
		usleep(10000);
	judge_log_read(&log);
	if (log.text[0]) {
		snprintf(why, size, "the kernel log says: %.*s", (int)strcspn(log.text, "\n"), log.text);
		return false;
	}
	return kernel_counts_nothing(why, size) && sysfs_agrees(why, size) &&
	       module_owns_nothing(why, size);
}
