// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading /proc/lock_stat and tracefs (kvm_waits.h).
 *
 * lock_stat counts what the lock itself found taken. A strategy's wait begins earlier,
 * at a trylock that failed, so every contention of lock_stat lies inside one of ours,
 * in number and in time; and ours may be over before the lock is tried again.
 *
 * A queued spinlock emits contention events only behind its pending bit: its first
 * waiter is never seen. The strategies emit a pair of their own around it, of the same
 * address; what is more than those is the lock's. perf takes the outer one.
 */
#include "exec/kvm_waits.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "exec/kvm_perf.h"
#include "measure/kernel_stats.h"

#define LOCK_STAT "/proc/lock_stat"
#define TRACING "/sys/kernel/tracing"
#define BUFFER_KB "8192"	/* per CPU */

/* The classes that a get or put can wait for: locks, and what is none (lockdep maps). */
static const char *const classes[] = {
	"&p->locks[i].lock", "&f->writer.lock", "&f->rwlock", "tdx_pamt_wait", "tdx_pamt_fallback",
};

struct lock_stat {
	uint64_t contentions;
	double wait_us;
};

static bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	bool ok = f && fputs(text, f) >= 0;

	return f && !fclose(f) && ok;
}

static bool write_tracing(const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), TRACING "/%s", name);
	return write_file(path, text);
}

/* ---------------------------------------------------------------- lock_stat */

/*
 * "CLASS: con-bounces contentions waittime-min -max -total ..", readers and writers of
 * one lock as "CLASS-R:" and "CLASS-W:".
 */
static void add_line(const char *line, struct lock_stat *s)
{
	unsigned long long bounces, contentions;
	double min, max, total;

	line += strspn(line, " ");
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		size_t len = strlen(classes[i]);
		const char *at = line + len;

		if (strncmp(line, classes[i], len))
			continue;
		/* two classes of one name are told apart by a suffix */
		at += strcspn(at, ":");
		if (*at && sscanf(at + 1, "%llu %llu %lf %lf %lf", &bounces, &contentions, &min, &max,
				  &total) == 5) {
			s->contentions += contentions;
			s->wait_us += total;
		}
	}
}

static bool read_lock_stat(struct lock_stat *s)
{
	FILE *f = fopen(LOCK_STAT, "r");
	char line[512];

	*s = (struct lock_stat){ 0 };
	while (f && fgets(line, sizeof(line), f))
		add_line(line, s);
	return f && !fclose(f);
}

/* ------------------------------------------------------------------- events */

static bool tracing, recording;

static void start_tracing(void)
{
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	write_tracing("tracing_on", "0");
	write_tracing("trace", "");
	write_tracing("buffer_size_kb", BUFFER_KB);
	tracing = write_tracing("events/tdx_pamt/tdx_pamt_wait/enable", "1") &&
		  write_tracing("events/lock/contention_begin/enable", "1") &&
		  write_tracing("tracing_on", "1");
}

/* Entries that a CPU's buffer had no room for. */
static uint64_t lost_entries(void)
{
	uint64_t lost = 0;
	char name[64];

	for (unsigned int cpu = 0; cpu < 1024; cpu++) {
		char *text, *at;

		snprintf(name, sizeof(name), "per_cpu/cpu%u/stats", cpu);
		text = kernel_stats_read(TRACING, name);
		if (!text)
			break;
		at = strstr(text, "overrun: ");
		lost += at ? strtoull(at + 9, NULL, 10) : 0;
		free(text);
	}
	return lost;
}

/* Addresses that waits were for: few, as a cell runs one strategy. */
struct places {
	unsigned int nr;
	uint64_t at[512];
};

static bool is_place(const struct places *p, uint64_t at)
{
	for (unsigned int i = 0; i < p->nr; i++)
		if (p->at[i] == at)
			return true;
	return false;
}

/* "..: tdx_pamt_wait: what=0xADDR ..", "..: contention_begin: ADDR (flags=..)": the address, or 0. */
static uint64_t field(const char *line, const char *event, const char *name)
{
	const char *at = strstr(line, event);

	at = at ? strstr(at, name) : NULL;
	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

static void read_trace(struct places *p, uint64_t *waits, uint64_t *begins)
{
	char line[512];
	uint64_t at;
	FILE *f;

	*waits = *begins = 0;
	for (int pass = 0; pass < 2; pass++) {
		f = fopen(TRACING "/trace", "r");
		while (f && fgets(line, sizeof(line), f)) {
			at = field(line, "tdx_pamt_wait:", "what=");
			if (!pass && at) {
				++*waits;
				if (!is_place(p, at) && p->nr < sizeof(p->at) / sizeof(p->at[0]))
					p->at[p->nr++] = at;
			}
			at = pass ? field(line, "contention_begin:", "begin: ") : 0;
			*begins += at && is_place(p, at);
		}
		if (f)
			fclose(f);
	}
}

static void stop_tracing(json_t *o)
{
	struct places *p = calloc(1, sizeof(*p));
	uint64_t waits, begins, lost;

	write_tracing("tracing_on", "0");
	write_tracing("events/enable", "0");
	lost = lost_entries();
	if (p) {
		read_trace(p, &waits, &begins);
		json_object_set_new(o, "event_waits", json_integer(waits));
		json_object_set_new(o, "event_begins", json_integer(begins));
		json_object_set_new(o, "events_lost", json_integer(lost));
	}
	write_tracing("trace", "");
	free(p);
}

/* ----------------------------------------------------------------- the cell */

void kvm_waits_begin(void)
{
	if (access(LOCK_STAT, R_OK))
		return;
	start_tracing();
	recording = tracing && kvm_perf_can() && kvm_perf_begin();
	write_file(LOCK_STAT, "0");
}

json_t *kvm_waits_end(void)
{
	uint64_t waits, ns;
	struct lock_stat s;
	json_t *o;

	if (access(LOCK_STAT, R_OK) || !read_lock_stat(&s))
		return NULL;
	o = json_pack("{s:I,s:I}", "lock_stat_contentions", (json_int_t)s.contentions,
		      "lock_stat_wait_ns", (json_int_t)llround(s.wait_us * 1000));
	if (recording && kvm_perf_end(&waits, &ns)) {
		json_object_set_new(o, "perf_waits", json_integer(waits));
		json_object_set_new(o, "perf_wait_ns", json_integer(ns));
	}
	if (tracing)
		stop_tracing(o);
	return o;
}
