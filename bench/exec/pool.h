/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Independent jobs on all CPUs, each in a process of its own: what one answers is a
 * JSON object, what it does to the process nobody else sees.
 */
#ifndef DPAMT_POOL_H
#define DPAMT_POOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What the jobs' processes took. */
struct pool_use {
	double cpu_s;		/* all together */
	long peak_kib;		/* of memory, the largest of them */
};

struct pool {
	size_t nr;
	/* In a child: the answer of job @i, a new reference; NULL is a failure. */
	json_t *(*job)(void *ctx, size_t i);
	/*
	 * In the parent, in the order of arrival; @answer (borrowed) is NULL if there was none,
	 * which says nothing about a job that was made to end. Anything but 0 ends all jobs, and
	 * is what pool_run() returns.
	 */
	int (*done)(void *ctx, size_t i, const json_t *answer);
	bool (*skip)(void *ctx, size_t i);	/* may be NULL */
	void *ctx;
	const char *what;	/* for progress on stderr; NULL: quiet */
	unsigned int jobs;	/* at a time; 0: as many as there are CPUs */
	bool ask;		/* jobs look at pool_stopped(), and answer with what they have */
	struct pool_use *use;	/* may be NULL */
};

/* CPUs that this process may use. */
unsigned int pool_cpus(void);
/* Has SIGINT or SIGTERM come? In the parent and in jobs; what the parent gets, jobs do too. */
bool pool_stopped(void);
/*
 * Run all jobs. 0; -EINTR after SIGINT or SIGTERM; -errno when no process can be made; or
 * what done() returned.
 */
int pool_run(const struct pool *p);

#endif
