/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dpamt explore: strategies over the explorer's scenarios, the table, schedule
 * files.
 */
#ifndef DPAMT_EXPLORE_RUN_H
#define DPAMT_EXPLORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct explore_config {
	const char **strategies;
	size_t nr_strategies;
	const char **scenarios;
	size_t nr_scenarios;
	bool memory[2];			/* by enum explore_memory */
	unsigned int bound;		/* preemptions */
	unsigned int seconds;		/* per strategy, of CPU time of each of @jobs */
	uint64_t random, seed;		/* random schedules per scenario and memory model */
	unsigned int jobs;		/* scenarios at a time; 0: one on each CPU */
	const char *out;		/* folder of schedule files */
	bool quiet;
};

/* 0: all exhausted to the bound; 1: something is broken; 3; 5: time was up, or a signal came. */
int explore_execute(const struct explore_config *c);

/*
 * Run the schedule in @file again and print it. 1 with what broke, as when it was
 * written; 2 with one line if it cannot be read or is not of this build.
 */
int explore_replay_file(const char *file);

/* Name and purpose of scenario @i; NULL past the end. */
const char *explore_scenario(unsigned int i, const char **what);

#endif
