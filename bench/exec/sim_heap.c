// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a simulated host (sim_heap.h): powers of two, first from the list
 * of freed ones, then from the end. Each block has a line in front with its size.
 */
#include "exec/sim_heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEAP_BYTES (16ull << 30)
#define HEAD 64u
#define CLASSES 40
#define PAGE 4096u

struct block {
	unsigned int class;
	struct block *next;
};

static struct {
	char *base;
	uint64_t arena, used;
	struct block *freed[CLASSES];
} mem;

char *sim_memory_open(uint64_t arena)
{
	void *p;

	if (mem.base)
		return NULL;
	p = mmap(NULL, arena + HEAP_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	mem.base = p;
	mem.arena = arena;
	return mem.base;
}

void sim_memory_close(void)
{
	unsigned int i;

	munmap(mem.base, sim_memory_size());
	mem.base = NULL;
	mem.used = 0;
	for (i = 0; i < CLASSES; i++)
		mem.freed[i] = NULL;
}

uint64_t sim_memory_size(void)
{
	return mem.arena + HEAP_BYTES;
}

int sim_memalign(void **p, size_t align, size_t size)
{
	unsigned int class = 7;
	struct block *b;

	(void)align;	/* every block begins with a line; nobody needs more */
	while ((1ull << class) < size + HEAD)
		class++;
	b = mem.freed[class];
	if (b) {
		mem.freed[class] = b->next;
	} else {
		if (!mem.base || HEAP_BYTES - mem.used < 1ull << class)
			return ENOMEM;
		b = (struct block *)(void *)(mem.base + mem.arena + mem.used);
		mem.used += 1ull << class;
		b->class = class;
	}
	*p = (char *)b + HEAD;
	return 0;
}

void sim_free(void *p)
{
	struct block *b;

	if (!mem.base || (char *)p < mem.base || (char *)p >= mem.base + sim_memory_size()) {
		free(p);
		return;
	}
	b = (struct block *)(void *)((char *)p - HEAD);
	b->next = mem.freed[b->class];
	mem.freed[b->class] = b;
}

static bool is_zero(const void *p, size_t size)
{
	const uint64_t *word = p;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/*
 * Every pair is two pages that the module zeroes, of which a lone page needs 16 bytes. What
 * nobody has written is the kernel's one page of zeroes, and may remain so.
 */
void *sim_memset(void *p, int value, size_t size)
{
	char *at = p, *end = at + size;

	if (value || !mem.base || at < mem.base || at >= mem.base + mem.arena || (uintptr_t)at % PAGE)
		return memset(p, value, size);
	for (; end - at >= PAGE; at += PAGE)
		if (!is_zero(at, PAGE))
			memset(at, 0, PAGE);
	memset(at, 0, (size_t)(end - at));
	return p;
}
