/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual time: CPUs of a simulated machine as fibers, each with a clock of its
 * own, in picoseconds. Before a CPU touches a line that it shares with others it
 * lets every CPU whose clock is behind go first, so shared accesses happen in the
 * order of time; on lines that only it has touched it runs ahead. A load or a locked
 * instruction happens when the line is there, not when it is asked for: it sees what the
 * owner does meanwhile. A release store happens when it and those before it have landed; other
 * stores are seen at once. In a call whose time is known as a whole, accesses happen when
 * their turn at the line comes. Ties go to the lower number: the same set-up gives the same run.
 *
 * One simulation at a time per process.
 */
#ifndef DPAMT_SIM_CORE_H
#define DPAMT_SIM_CORE_H

#include "exec/sim_line.h"

#define SIM_CPUS_MAX 1024
#define SIM_STACK (64u << 10)
#define SIM_PS 1000ull		/* in a nanosecond */
#define SIM_END (1ull << 54)	/* ps; no clock gets there: 18014 s, 5 hours */
#define SIM_TOO_LONG "more than 5 hours (18014 s) of virtual time, where a simulated clock ends"

struct sim_setup {
	const struct machine *machine;
	unsigned int nr_cpus;
	const struct sim_place *place;	/* of each */
	/* Memory whose lines are simulated: one large piece, and a small one of statics. */
	const char *base, *extra;
	uint64_t size, extra_size;
	uint64_t seed;
	void (*body)(void *arg, unsigned int cpu);
	void *arg;
	/* @cpu runs from now on. */
	void (*switched)(unsigned int cpu);
};

struct sim_figures {
	uint64_t accesses;
	uint64_t shared;	/* of them, to lines that more than one CPU has met */
	uint64_t muted;		/* program steps that were charged, not simulated */
	uint64_t strangers;	/* accesses outside of the memory that was named: the run is void */
	unsigned int blocked;	/* CPUs that waited for ever: a deadlock if not 0 */
};

/*
 * Run all bodies to their end. 0; -ENOMEM; -EDEADLK when CPUs wait for each other,
 * -ETIME when a clock has come to SIM_END: then they are dropped where they stand;
 * -EFAULT when they met at memory that was not named, of which nothing is known.
 */
int sim_fibers(const struct sim_setup *s, struct sim_figures *f);

/* All below: only from a body. */
uint64_t sim_now(void);
/* The CPU is busy for @ps; then whoever is behind goes first. */
void sim_spend(uint64_t ps);
/* The same, and nobody goes first: for parts of a block. */
void sim_charge(uint64_t ps);
/*
 * It reads the clock. The core runs ahead meanwhile: the line of its next locked instruction
 * is asked for already, but that instruction ends no sooner.
 */
void sim_charge_clock(void);
void sim_sync(void);
/* Nothing to do until @at, or until somebody calls sim_wake_idle(). UINT64_MAX: no time. */
void sim_idle(uint64_t at);
void sim_wake_idle(void);
/*
 * In a call whose time is known as a whole an access costs only what it waits behind
 * others' transfers; the rest of it is in that time.
 */
void sim_in_call(bool in);
/* Time this CPU has waited behind transfers of lines so far. */
uint64_t sim_queued(void);
/*
 * Muted: accesses are made and cost nothing, until the CPU has to wait or
 * somebody waits for it. @through: it waits, is waited for, and stays muted.
 */
void sim_mute(bool through);
void sim_unmute(void);
bool sim_muted(void);

#endif
