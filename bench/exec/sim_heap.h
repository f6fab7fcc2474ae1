/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of a simulated host: its physical memory (the arena) and, behind it,
 * a heap for what strategies, module and host allocate. One mapping, so that a line's
 * state is found by one subtraction; own allocator, so that two runs lay the same
 * objects on the same lines, whatever the process did before.
 */
#ifndef DPAMT_SIM_HEAP_H
#define DPAMT_SIM_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Map @arena bytes and the heap; the arena's address, or NULL. All zero. */
char *sim_memory_open(uint64_t arena);
void sim_memory_close(void);
/* Bytes of the whole mapping. */
uint64_t sim_memory_size(void);

/* What posix_memalign() and free() are in the simulated build (see the Makefile). */
int sim_memalign(void **p, size_t align, size_t size);
void sim_free(void *p);
/* memset() there: pages of the host's memory that are zero already are not given memory to be zeroed. */
void *sim_memset(void *p, int value, size_t size);

#endif
