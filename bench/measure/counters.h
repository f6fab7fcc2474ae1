/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware counters of one worker thread: cycles, instructions and last-level
 * cache misses of user space, as one perf event group that is scheduled and
 * read as a whole. Names come from libpfm4. A machine without a PMU, a kernel that
 * forbids it or a build without libpfm4 yields one note with the reason and
 * three nulls; a member that the PMU lacks is null alone.
 *
 * One struct per worker, used by that worker only:
 * counters_open(), then start .. stop around each measured part, then
 * counters_read(); counters_close() at the end.
 */
#ifndef DPAMT_MEASURE_COUNTERS_H
#define DPAMT_MEASURE_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum counter { COUNTER_CYCLES, COUNTER_INSTRUCTIONS, COUNTER_LLC_MISSES, NR_COUNTERS };

#define COUNTERS_NOTE_SIZE 192

struct counters {
	int fd[NR_COUNTERS];	/* -1: not counted; fd[leader] heads the group */
	uint64_t id[NR_COUNTERS];
	int leader;		/* index into fd, -1: nothing is counted */
};

struct counter_values {
	uint64_t value[NR_COUNTERS];	/* scaled up when the group was multiplexed */
	bool valid[NR_COUNTERS];
	double running;		/* share of the enabled time that was counted, 0..1 */
};

/* "cycles", "instructions", "llc_misses". */
const char *counter_name(enum counter c);

/*
 * Open the group on the calling thread, disabled and at zero. @note (of
 * COUNTERS_NOTE_SIZE bytes) receives one line: what is counted, or
 * "hardware counters: none (REASON)". Returns 0 if anything is counted,
 * otherwise -errno; @c may be used either way, and then reads as not valid.
 */
int counters_open(struct counters *c, char *note);
void counters_close(struct counters *c);

/* Count from here, from here no more. The value keeps adding up. */
void counters_start(struct counters *c);
void counters_stop(struct counters *c);
/* Back to zero. */
void counters_reset(struct counters *c);

/* The values since open or reset. Returns 0, or -errno (then none is valid). */
int counters_read(struct counters *c, struct counter_values *v);

#endif
