// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page allocator of phys.h: 2M blocks with a bitmap of used pages; for each node two
 * lists (partly used, wholly free) and a lock; per-CPU lists in front.
 */
#include "exec/phys.h"

#include <sys/mman.h>

#define BLOCK_PAGES (1u << TDX_LEVEL_BITS)
#define BLOCK_WORDS ((BLOCK_PAGES + 63) / 64)
#define BLOCK_MASK (BLOCK_PAGES >= 64 ? ~0ull : (1ull << (BLOCK_PAGES & 63)) - 1)
#define BLOCK_NONE (~0u)

/* How a block is used: page by page, as one guest chunk, or for one lone page. */
enum block_kind { BLOCK_FREE, BLOCK_PAGES_OUT, BLOCK_CHUNK, BLOCK_LONE };

struct phys_block {
	u64 used[BLOCK_WORDS];
	u32 next, prev;
	u16 nr_used;
	u8 kind;
	u8 listed;
};

char *phys_map(u64 size)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

void phys_unmap(char *mem, u64 size)
{
	if (mem)
		munmap(mem, size);
}

/* ------------------------------------------------------------------ lists */

static void list_add_first(struct phys *ph, struct phys_list *l, u32 i)
{
	struct phys_block *b = &ph->block[i];

	b->prev = BLOCK_NONE;
	b->next = l->first;
	if (l->first != BLOCK_NONE)
		ph->block[l->first].prev = i;
	else
		l->last = i;
	l->first = i;
	b->listed = 1;
}

static void list_add_last(struct phys *ph, struct phys_list *l, u32 i)
{
	struct phys_block *b = &ph->block[i];

	b->next = BLOCK_NONE;
	b->prev = l->last;
	if (l->last != BLOCK_NONE)
		ph->block[l->last].next = i;
	else
		l->first = i;
	l->last = i;
	b->listed = 1;
}

static void list_del(struct phys *ph, struct phys_list *l, u32 i)
{
	struct phys_block *b = &ph->block[i];

	if (b->prev != BLOCK_NONE)
		ph->block[b->prev].next = b->next;
	else
		l->first = b->next;
	if (b->next != BLOCK_NONE)
		ph->block[b->next].prev = b->prev;
	else
		l->last = b->prev;
	b->listed = 0;
}

static struct phys_node *node_of(struct phys *ph, u64 block)
{
	return &ph->node[block / ph->node_blocks];
}

int phys_init(struct phys *ph, char *mem, u64 size, u64 reserved, u64 seed, unsigned int nodes)
{
	unsigned int cpu, n;
	u64 i;

	memset(ph, 0, sizeof(*ph));
	ph->mem = mem;
	ph->size = size;
	ph->reserved = ALIGN(reserved, PMD_SIZE);
	ph->seed = seed;
	ph->nr_blocks = size >> PMD_SHIFT;
	ph->nr_nodes = nodes;
	ph->node_blocks = DIV_ROUND_UP(ph->nr_blocks, nodes);
	ph->block = shim_zalloc(ph->nr_blocks * sizeof(*ph->block));
	ph->cpu = shim_zalloc(shim_nr_cpus * sizeof(*ph->cpu));
	if (!ph->block || !ph->cpu) {
		phys_exit(ph);
		return -ENOMEM;
	}
	i = (size >> PAGE_SHIFT) / 8 / shim_nr_cpus;
	ph->high_max = max(min(i, (u64)PHYS_HIGH_MAX), (u64)PHYS_HIGH);
	for_each_possible_cpu(cpu)
		ph->cpu[cpu].high = PHYS_HIGH;
	spin_lock_init(&ph->chunk_lock);
	for (n = 0; n < nodes; n++) {
		spin_lock_init(&ph->node[n].lock);
		ph->node[n].partial = ph->node[n].free = (struct phys_list){ BLOCK_NONE, BLOCK_NONE };
	}
	for (i = ph->reserved >> PMD_SHIFT; i < ph->nr_blocks; i++)
		list_add_last(ph, &node_of(ph, i)->free, i);
	return 0;
}

void phys_exit(struct phys *ph)
{
	shim_free(ph->block);
	shim_free(ph->cpu);
	ph->block = NULL;
	ph->cpu = NULL;
}

/* ---------------------------------------------- blocks, under their node's lock */

static u32 take_free_block(struct phys *ph, struct phys_node *node, enum block_kind kind)
{
	u32 i = node->free.first;

	if (i == BLOCK_NONE)
		return i;
	list_del(ph, &node->free, i);
	ph->block[i].kind = kind;
	return i;
}

/*
 * Takes the lock of a node that has a free block, this CPU's first, and a block of it.
 * NULL with no lock held when memory is out.
 */
static struct phys_node *lock_free_block(struct phys *ph, enum block_kind kind, u32 *i)
{
	struct phys_node *node;
	unsigned int n;

	for (n = 0; n < ph->nr_nodes; n++) {
		node = &ph->node[(ph->cpu[shim_cpu].node + n) % ph->nr_nodes];
		spin_lock(&node->lock);
		*i = take_free_block(ph, node, kind);
		if (*i != BLOCK_NONE)
			return node;
		spin_unlock(&node->lock);
	}
	return NULL;
}

static u64 take_page(struct phys *ph, struct phys_node *node, u32 i)
{
	struct phys_block *b = &ph->block[i];
	unsigned int w, bit;

	for (w = 0; !(~b->used[w] & BLOCK_MASK); w++)
		;
	bit = __builtin_ctzll(~b->used[w]);
	b->used[w] |= 1ull << bit;
	if (++b->nr_used == BLOCK_PAGES)
		list_del(ph, &node->partial, i);
	node->used_pages++;
	return ((u64)i << PMD_SHIFT) + ((u64)(w * 64 + bit) << PAGE_SHIFT);
}

static unsigned int take_batch(struct phys *ph, struct phys_node *node, u64 *page, unsigned int nr)
{
	unsigned int n;

	for (n = 0; n < nr; n++) {
		if (node->partial.first == BLOCK_NONE) {
			u32 i = take_free_block(ph, node, BLOCK_PAGES_OUT);

			if (i == BLOCK_NONE)
				break;
			list_add_first(ph, &node->partial, i);
		}
		page[n] = take_page(ph, node, node->partial.first);
	}
	return n;
}

static void return_page(struct phys *ph, u64 hpa)
{
	u32 i = hpa >> PMD_SHIFT, pg = (hpa >> PAGE_SHIFT) & (BLOCK_PAGES - 1);
	struct phys_block *b = &ph->block[i];
	struct phys_node *node = node_of(ph, i);

	b->used[pg / 64] &= ~(1ull << pg % 64);
	b->nr_used--;
	node->used_pages--;
	if (!b->nr_used) {
		if (b->listed)
			list_del(ph, &node->partial, i);
		b->kind = BLOCK_FREE;
		list_add_first(ph, &node->free, i);
	} else if (b->kind == BLOCK_PAGES_OUT && !b->listed) {
		list_add_first(ph, &node->partial, i);
	}
}

/* ---------------------------------------------------------- per-CPU lists */

/* Pages of the next refill: twice as many as of the last one, if nothing was freed since. */
static unsigned int next_batch(const struct phys *ph, struct phys_cpu *c)
{
	unsigned int batch = PHYS_BATCH << c->scale, most;

	c->high = min(c->high + batch, ph->high_max);
	most = max(c->high - PHYS_BATCH, (u32)PHYS_BATCH);
	if (batch > most)
		return most;
	if (c->scale < PHYS_SCALE)
		c->scale++;
	return batch;
}

static noinline bool refill(struct phys *ph, struct phys_cpu *c)
{
	unsigned int want = next_batch(ph, c), i, n;
	struct phys_node *node;
	u64 low;

	for (n = 0; n < ph->nr_nodes && !c->nr; n++) {
		node = &ph->node[(c->node + n) % ph->nr_nodes];
		spin_lock(&node->lock);
		c->nr = take_batch(ph, node, c->page, want);
		spin_unlock(&node->lock);
	}
	/* The list is a stack: hand out low pages first. */
	for (i = 0; i < c->nr / 2; i++) {
		low = c->page[i];
		c->page[i] = c->page[c->nr - 1 - i];
		c->page[c->nr - 1 - i] = low;
	}
	c->refills += DIV_ROUND_UP(c->nr, PHYS_BATCH);
	return c->nr;
}

u64 phys_alloc_kernel(struct phys *ph)
{
	struct phys_cpu *c = &ph->cpu[shim_cpu];

	if (unlikely(!c->nr) && !refill(ph, c))
		return 0;
	c->freed >>= 1;
	return c->page[--c->nr];
}

/* The list is full: the pages that have been on it for longest go, more if many are being freed. */
static noinline void give_back(struct phys *ph, struct phys_cpu *c)
{
	struct phys_node *locked = NULL;
	unsigned int i, n = c->freed;

	if (c->high < c->freed + PHYS_BATCH)
		c->high = min(c->freed + PHYS_BATCH, ph->high_max);
	n = max(n, (u32)PHYS_BATCH);
	n = min(n, min(c->high - PHYS_BATCH, c->nr));
	for (i = 0; i < n; i++) {
		struct phys_node *node = node_of(ph, c->page[i] >> PMD_SHIFT);

		if (node != locked && locked)
			spin_unlock(&locked->lock);
		if (node != locked)
			spin_lock(&node->lock);
		locked = node;
		return_page(ph, c->page[i]);
	}
	spin_unlock(&locked->lock);
	c->nr -= n;
	memmove(c->page, c->page + n, c->nr * sizeof(c->page[0]));
}

void phys_free_kernel(struct phys *ph, u64 hpa)
{
	struct phys_cpu *c = &ph->cpu[shim_cpu];

	c->scale >>= 1;
	if (c->freed < PHYS_BATCH << PHYS_SCALE)
		c->freed++;
	c->page[c->nr++] = hpa;
	if (unlikely(c->nr >= c->high))
		give_back(ph, c);
}

/* ------------------------------------------------------------ guest pages */

/* The same pages are lone whatever the strategy: placement is common to a block's cells. */
static bool is_lone(const struct phys *ph, unsigned int td, u64 gfn)
{
	u64 h = (gfn + ((u64)td << 40) + ph->seed) * GOLDEN_RATIO_64;

	h ^= h >> 32;
	h *= GOLDEN_RATIO_64;
	return (h >> 33) % 100 < ph->lone_pct;
}

static u64 alloc_lone(struct phys *ph)
{
	struct phys_node *node;
	u32 i;

	node = lock_free_block(ph, BLOCK_LONE, &i);
	if (!node)
		return 0;
	ph->block[i].used[0] = 1;
	ph->block[i].nr_used = 1;
	node->used_pages++;
	spin_unlock(&node->lock);
	return (u64)i << PMD_SHIFT;
}

static u64 alloc_in_chunk(struct phys *ph, u64 gfn, u64 *chunk)
{
	u32 pg = gfn & (BLOCK_PAGES - 1);
	struct phys_node *node;
	struct phys_block *b;
	u64 old;
	u32 i;

	/* vCPUs of several nodes may come for the first page of a chunk at once. */
	spin_lock(&ph->chunk_lock);
	old = *chunk;
	if (old) {
		node = node_of(ph, old >> PMD_SHIFT);
		spin_lock(&node->lock);
	} else {
		node = lock_free_block(ph, BLOCK_CHUNK, &i);
		if (node)
			*chunk = (u64)i << PMD_SHIFT;
	}
	spin_unlock(&ph->chunk_lock);
	if (!node)
		return 0;
	b = &ph->block[*chunk >> PMD_SHIFT];
	b->used[pg / 64] |= 1ull << pg % 64;
	b->nr_used++;
	node->used_pages++;
	spin_unlock(&node->lock);
	return *chunk + ((u64)pg << PAGE_SHIFT);
}

u64 phys_alloc_guest(struct phys *ph, unsigned int td, u64 gfn, u64 *chunk)
{
	u64 hpa = 0;

	if (ph->placement == PHYS_CONTIGUOUS && chunk)
		hpa = alloc_in_chunk(ph, gfn, chunk);
	else if (ph->placement == PHYS_SCATTERED && is_lone(ph, td, gfn))
		hpa = alloc_lone(ph);
	return hpa ? hpa : phys_alloc_kernel(ph);
}

void phys_free_guest(struct phys *ph, u64 hpa, u64 *chunk)
{
	struct phys_block *b = &ph->block[hpa >> PMD_SHIFT];
	struct phys_node *node = node_of(ph, hpa >> PMD_SHIFT);

	/* The kind cannot change while a page of the block is ours. */
	if (READ_ONCE(b->kind) == BLOCK_PAGES_OUT) {
		phys_free_kernel(ph, hpa);
		return;
	}
	if (chunk)
		spin_lock(&ph->chunk_lock);
	spin_lock(&node->lock);
	return_page(ph, hpa);
	if (chunk && *chunk >> PMD_SHIFT == hpa >> PMD_SHIFT && !b->nr_used)
		*chunk = 0;
	spin_unlock(&node->lock);
	if (chunk)
		spin_unlock(&ph->chunk_lock);
}

u64 phys_alloc_2m(struct phys *ph)
{
	struct phys_node *node;
	unsigned int w;
	u32 i;

	node = lock_free_block(ph, BLOCK_CHUNK, &i);
	if (!node)
		return 0;
	for (w = 0; w < BLOCK_WORDS; w++)
		ph->block[i].used[w] = BLOCK_MASK;
	ph->block[i].nr_used = BLOCK_PAGES;
	node->used_pages += BLOCK_PAGES;
	spin_unlock(&node->lock);
	return (u64)i << PMD_SHIFT;
}

void phys_free_2m(struct phys *ph, u64 hpa)
{
	struct phys_node *node = node_of(ph, hpa >> PMD_SHIFT);
	unsigned int pg;

	spin_lock(&node->lock);
	for (pg = 0; pg < BLOCK_PAGES; pg++)
		return_page(ph, hpa + ((u64)pg << PAGE_SHIFT));
	spin_unlock(&node->lock);
}

u64 phys_in_use(const struct phys *ph)
{
	unsigned int cpu, n;
	u64 pages = 0;

	for (n = 0; n < ph->nr_nodes; n++)
		pages += ph->node[n].used_pages;
	for_each_possible_cpu(cpu)
		pages -= ph->cpu[cpu].nr;
	return pages;
}
