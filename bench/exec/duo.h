/* SPDX-License-Identifier: GPL-2.0-only */
/* Two pinned threads that do the same at the same time, timed (twin.c). */
#ifndef DPAMT_DUO_H
#define DPAMT_DUO_H

#include <pthread.h>

#include "measure/topology.h"
#include "shim.h"

/*
 * Two threads that do the same, in chunks that are timed one by one. A chunk counts only
 * if the other thread got between half and twice as far meanwhile: else it did not
 * run, and nothing was contended. Of those that count the slowest tenth is left out
 * (interrupts, the rest of the machine).
 */
#define DUO_BURST 32u	/* operations between two notes of one's progress */
#define DUO_CHUNK 8u	/* bursts */
#define DUO_CHUNKS 64u
#define DUO_ENOUGH 16u	/* chunks that count */
#define DUO_TRIES 50

struct duo_progress {
	u64 bursts;
} __aligned(SMP_CACHE_BYTES);

struct duo_side {
	struct duo *duo;
	unsigned int id, cpu, nr;
	pthread_t thread;
	u64 ps[DUO_CHUNKS];
} __aligned(SMP_CACHE_BYTES);

struct duo {
	const struct topology *topo;
	/* @n operations of side @id (0, 1). */
	void (*op)(struct duo *d, unsigned int id, unsigned int n);
	void *arg;
	unsigned int first_cpu;		/* shim_cpu of the first side */
	bool alone;			/* the other thread could not be made */
	struct duo_side side[2];	/* .cpu is the caller's to set */
	struct duo_progress progress[2];
	atomic_t here __aligned(SMP_CACHE_BYTES);
};

/* ps per operation, the mean; 0 when the two never ran side by side. */
u64 duo_run(struct duo *d);

#endif
