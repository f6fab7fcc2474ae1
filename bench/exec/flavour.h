/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the yielding build of strategies, module and host shows to the executors
 * that run it on fibers: scenarios. The rest of its names are local to its one
 * object, so that the same sources can be linked natively beside it.
 */
#ifndef DPAMT_FLAVOUR_H
#define DPAMT_FLAVOUR_H

#include <stddef.h>
#include <stdint.h>

struct scenario;
struct explore_program;

struct scenario_result {
	uint64_t installs, removes, busy, lost_races, waits, leaked, failed_gets, demotes;
};

struct flavour {
	/* Name and purpose of scenario @i; NULL past the end. */
	const char *(*scenario_name)(unsigned int i, const char **what);
	/* Does the strategy take part in scenario @i? */
	int (*applies)(unsigned int i, const char *strategy);
	/* Set one up for @strategy; *@cpus fibers are to run body(). NULL with @err. */
	struct scenario *(*open)(unsigned int i, const char *strategy, uint64_t seed,
				 unsigned int *cpus, char *err, size_t err_size);
	void (*body)(struct scenario *s, unsigned int cpu);
	/* After all bodies returned (or a fiber run was given up): 0, or -EIO with what broke. */
	int (*close)(struct scenario *s, struct scenario_result *r, char *err, size_t err_size);
	/* The fiber being switched to is @cpu. */
	void (*set_cpu)(unsigned int cpu);

	/* The explorer's own scenarios. open: 0, or -errno with @err; one at a time. */
	const char *(*explore_name)(unsigned int i, const char **what);
	int (*explore_applies)(unsigned int i, const char *strategy);
	int (*explore_open)(unsigned int i, const char *strategy, struct explore_program *p,
			    char *err, size_t err_size);
	void (*explore_close)(void);
};

extern const struct flavour yield_flavour;

#endif
