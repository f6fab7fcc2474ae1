/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interleaving explorer: every schedule of a small program of a few CPUs, up
 * to a number of preemptions, under sequential consistency or with x86's
 * store buffers.
 *
 * The search is depth first. A branch goes back by undoing memory writes from a
 * log and copying the fibers' stacks back, so a step is paid once. A state
 * is memory, each CPU's place (what it has read, of what others write too, since it was
 * last at rest determines it), store buffers and the running CPU; a state that was seen
 * with at least as many preemptions left is not searched again. States are told
 * apart by a 60-bit hash.
 *
 * Reduction: an access is no scheduling point if no other CPU will access the byte
 * in conflict with it any more, or if it has a lock in common with all who will. Who
 * accesses what, from which of his operations on and under which locks is found by the search
 * itself, which starts over when it meets something new: when it ends, no explored schedule
 * had a conflict elsewhere, nor two holders of a lock. Running on to the next scheduling point
 * before a preemption changes neither the order of conflicting accesses nor the number
 * of preemptions, so the reduction is exact at every bound. Additions to declared counters and
 * changes of different bits of a declared bitmap commute: they are no conflict, and the code
 * does not see what the others have done to it.
 *
 * Store buffers (TSO): a store to shared bytes waits in its CPU's buffer. When
 * another CPU reads or writes one of these bytes the search chooses how much of
 * the buffer has become visible; locked instructions and fences empty it. That
 * is each behaviour that flushing at any time would give, because a flush
 * commutes with everything but accesses to the same bytes. Flushes are no preemptions.
 */
#ifndef DPAMT_EXPLORE_H
#define DPAMT_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "shim/shim_exec.h"

#define EXPLORE_CPUS 4
#define EXPLORE_RANGES 12

#define EXPLORE_LOCKS 16
#define EXPLORE_COUNTERS 3

/* Preemptions that the table of seen states tells apart. */
#define EXPLORE_BOUND_MAX 14

enum explore_memory { EXPLORE_SC, EXPLORE_TSO };

struct explore_range {
	const void *addr;
	size_t size;
};

/*
 * A lock word: its holder is the CPU whose write turned a bit of @mask on, until it
 * clears all; with @held, whose write made that true of the word.
 */
struct explore_lock {
	const void *addr;
	unsigned int size;
	uint64_t mask;
	bool (*held)(uint64_t value);
};

/*
 * @nr counters of @size bytes, @stride apart. Additions to one commute, as long as nothing
 * else is ever done to it and no bit of @mask is ever on; who adds sees these bits of what
 * was there, and no others. With @loads the same goes for who reads it. One that does not keep
 * to it is a word like any other.
 */
struct explore_counters {
	const void *addr;
	unsigned int nr, stride, size;
	uint64_t mask;
	bool loads;
};

struct explore_access {
	const volatile void *addr;
	const void *pc;
	uint64_t value;		/* read, or written */
	uint8_t cpu, size, kind, plain;
};

/*
 * What to explore: @nr bodies, run with @set_cpu called before each switch. All
 * memory that they write lies in @memory, or on their stacks. @ignore: not
 * part of the state (statistics); @quiet: the checker's own books, part of the state but
 * no shared data. Unused ranges are NULL.
 */
struct explore_program {
	unsigned int nr;
	void *arg;
	void (*body)(void *arg, unsigned int cpu);
	void (*set_cpu)(unsigned int cpu);
	/* NULL, or what broke: before each shared access; when all bodies have returned. */
	const char *(*step)(void *arg);
	const char *(*end)(void *arg);
	/*
	 * Every complete schedule: its accesses to shared bytes in order, a buffered store where
	 * it becomes visible; where their code is, is not kept. May be NULL.
	 */
	void (*trace)(void *arg, const struct explore_access *a, size_t nr);
	/* A name for an address, "" if there is none. May be NULL. */
	void (*describe)(void *arg, const volatile void *addr, char *buf, size_t size);
	/* The same as @ignore, as a question per 8-byte word. May be NULL. */
	bool (*ignored)(void *arg, uintptr_t word);
	/* Exclusive locks; what is only ever touched by their holders need not be interrupted. */
	struct explore_lock lock[EXPLORE_LOCKS];
	struct explore_counters counters[EXPLORE_COUNTERS];
	/* Each bit of it is somebody's: who sets or clears one sees this bit alone. */
	struct explore_range bitmap;
	struct explore_range memory[EXPLORE_RANGES], ignore[EXPLORE_RANGES], quiet[EXPLORE_RANGES];
};

struct explore_options {
	enum explore_memory memory;
	unsigned int bound;	/* preemptions, to EXPLORE_BOUND_MAX; UINT_MAX: any number */
	bool no_reduction;	/* every access is a scheduling point */
	bool no_cache;		/* search states again that were seen */
	uint64_t deadline_ns;	/* CLOCK_PROCESS_CPUTIME_ID; 0: none */
	/* Now and then: true ends it, as if the time were up. May be NULL. */
	bool (*tick)(uint64_t states, uint64_t ends);
};

enum explore_end {
	EXPLORE_EXHAUSTED,	/* no schedule within the bound breaks anything */
	EXPLORE_TIME,
	EXPLORE_BROKEN,
	EXPLORE_CONFUSED,	/* the explorer itself is at fault, or out of memory */
};

/* One decision: a CPU makes this many accesses, or a choice is made. */
struct explore_decision {
	int cpu;		/* -1: a choice */
	unsigned int n;
};

struct explore_result {
	enum explore_end end;
	bool whole;		/* no schedule was cut by the bound: this is the whole space */
	uint64_t states, steps, ends;
	char what[200];		/* what broke */
	struct explore_decision *schedule;	/* leading there; free() */
	size_t nr_schedule;
};

/* Take a program up; one at a time. false: out of memory. explore_close() frees. */
bool explore_open(const struct explore_program *p);
void explore_close(void);

/* All schedules within o->bound preemptions. */
void explore_search(const struct explore_options *o, struct explore_result *r);

/*
 * @runs schedules by random priorities with o->bound points of change (PCT,
 * Burckhardt et al. 2010), drawn from @seed; run i is a function of @seed + i, of
 * the length of those before, and of what was seen to be shared until then.
 */
void explore_random(const struct explore_options *o, uint64_t seed, uint64_t runs,
		    struct explore_result *r);

/*
 * Run one schedule again; with @out, print it in one column per CPU. r->end is
 * BROKEN with what broke, EXHAUSTED if nothing did, CONFUSED if it does not fit.
 */
void explore_replay(const struct explore_options *o, const struct explore_decision *d, size_t nr,
		    FILE *out, struct explore_result *r);

#endif
