// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which accesses matter to another CPU: a table of all bytes that were ever
 * accessed, by whom, in which of his operations and under which locks.
 *
 * An access is a scheduling point if another CPU may still make an access that
 * conflicts with it and has no lock in common with it: "may still" as far as any schedule
 * has shown, counted by operations. Who was not seen to write a byte from his
 * present operation on does not write it, or the search finds out and starts over.
 * Additions to a counter, and changes of different bits of a bitmap, do not conflict.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/explore_internal.h"

struct word *sharing_recent[SHARING_RECENT];
static struct word none;

static struct word *words;
static size_t nr_words, words_size;

static bool inside(const struct explore_range *r, uintptr_t addr)
{
	for (unsigned int i = 0; i < EXPLORE_RANGES && r[i].addr; i++)
		if (addr - (uintptr_t)r[i].addr < r[i].size)
			return true;
	return false;
}

/* ------------------------------------------------------------------ words */

static void forget_recent(void)
{
	for (unsigned int i = 0; i < SHARING_RECENT; i++)
		sharing_recent[i] = &none;
}

static struct word *find(uintptr_t key)
{
	struct word **r = &sharing_recent[key >> 3 & (SHARING_RECENT - 1)];
	size_t i;

	if ((*r)->key == key)
		return *r;
	i = (key >> 3) * 0x9E3779B97F4A7C15ull >> 40 & (words_size - 1);
	while (words[i].key && words[i].key != key)
		i = (i + 1) & (words_size - 1);
	return *r = &words[i];
}

/*
 * What instrumented code reads to find the executor is no access of the CPU: between a look at
 * a word and the wait for it nobody else may come.
 */
static bool ours(uintptr_t key)
{
	return key == ((uintptr_t)&exec_now & ~7ul) ||
	       key - (uintptr_t)&explore_ops < sizeof(explore_ops);
}

/* The program's answer is instrumented code, too: what it reads is no access of the CPU. */
static bool ignored(uintptr_t key)
{
	const struct exec_ops *ops = exec_now;
	bool yes;

	if (!x.p.ignored)
		return false;
	exec_now = NULL;
	yes = x.p.ignored(x.p.arg, key);
	exec_now = ops;
	return yes;
}

static void look_up_counters(struct word *w)
{
	for (unsigned int i = 0; i < EXPLORE_COUNTERS && x.p.counters[i].addr; i++) {
		const struct explore_counters *c = &x.p.counters[i];

		for (unsigned int b = 0; b < 8; b++) {
			uintptr_t at = w->key + b - (uintptr_t)c->addr;

			if (at >= (uintptr_t)c->nr * c->stride || at % c->stride >= c->size)
				continue;
			w->counted |= 1u << b;
			w->counter_mask = c->mask;
			w->counter_loads = c->loads;
		}
	}
}

static struct word *word_of(uintptr_t key)
{
	struct word *w = find(key);

	if (w->key)
		return w;
	if (2 * ++nr_words > words_size) {
		size_t size = words_size, i;
		struct word *old = words;

		words = calloc(2 * size, sizeof(*words));
		if (!words) {
			words = old;
			x.out_of_memory = true;
			return &words[0];
		}
		words_size = 2 * size;
		forget_recent();
		for (i = 0; i < size; i++)
			if (old[i].key)
				*find(old[i].key) = old[i];
		free(old);
		w = find(key);
	}
	w->key = key;
	for (unsigned int b = 0; b < 8; b++)
		w->read_locks[b] = w->write_locks[b] = NO_ACCESS;
	w->kind = ours(key) || inside(x.p.ignore, key) || ignored(key) ? WORD_ASIDE :
		  inside(x.p.quiet, key)		  ? WORD_QUIET :
							    WORD_STATE;
	w->bitmap = x.p.bitmap.addr && key - (uintptr_t)x.p.bitmap.addr < x.p.bitmap.size;
	look_up_counters(w);
	for (unsigned int l = 0; l < EXPLORE_LOCKS && x.p.lock[l].addr; l++)
		if (((uintptr_t)x.p.lock[l].addr & ~7ul) == key)
			w->locks |= 1u << l;
	return w;
}

enum word_kind sharing_kind(const volatile void *addr)
{
	return word_of((uintptr_t)addr & ~7ul)->kind;
}

unsigned int sharing_locks(const volatile void *addr)
{
	return word_of((uintptr_t)addr & ~7ul)->locks;
}

/* The bits of the byte at @addr have a word of their own, far from all addresses. */
static struct word *bits_of(uintptr_t addr)
{
	return word_of((uintptr_t)1 << 62 | addr << 3);
}

/* The bytes of word @key that an access to @size bytes at @a touches. */
static uint8_t bytes_in(uintptr_t key, uintptr_t a, unsigned int size)
{
	unsigned int all = size < 8 ? (1u << size) - 1 : 0xff;

	/* What lies before the word falls out on the right, what lies behind it on the left. */
	if (a >= key)
		return all << (a - key);
	return a + size >= key + 8 ? 0xff : (1u << (a + size - key)) - 1;
}

/* ---------------------------------------------------------------- sharing */

/* Bytes that two CPUs access in conflict, some time and with no lock in common. */
static uint8_t contended(const struct word *w)
{
	uint8_t ww = 0, rw = 0;

	for (unsigned int i = 0; i < x.p.nr; i++)
		for (unsigned int j = 0; j < x.p.nr; j++)
			if (i != j) {
				ww |= w->writes[i][0] & w->writes[j][0];
				rw |= w->writes[i][0] & w->reads[j][0];
			}
	for (unsigned int b = 0; b < 8; b++) {
		if (w->write_locks[b] & ~x.bad_locks)
			ww &= ~(1u << b);
		if (w->write_locks[b] & w->read_locks[b] & ~x.bad_locks)
			rw &= ~(1u << b);
	}
	return ww | rw;
}

static bool fewer_locks(const uint16_t *locks, uint8_t mask, uint16_t holds)
{
	for (; mask; mask &= mask - 1)
		if (locks[__builtin_ctz(mask)] & ~holds)
			return true;
	return false;
}

/* What is left of a byte's locks; the sum of it over the bytes that were accessed: *@needs. */
static void keep_locks(uint16_t *locks, uint8_t mask, uint16_t holds, uint16_t *needs)
{
	unsigned int b;

	for (; mask; mask &= mask - 1)
		locks[__builtin_ctz(mask)] &= holds;
	for (b = 0, *needs = 0; b < 8; b++)
		*needs |= locks[b] != NO_ACCESS ? locks[b] : 0;
}

static void add_access(uint8_t *from, unsigned int step, uint8_t mask)
{
	for (unsigned int s = 0; s <= step; s++)
		from[s] |= mask;
}

/* The first access of its sort. True if somebody may have gone past a scheduling point for it. */
static bool learn(struct word *w, uint8_t mask, bool reads, bool writes)
{
	unsigned int cpu = x.live.current;

	if (reads) {
		add_access(w->reads[cpu], me()->step, mask);
		keep_locks(w->read_locks, mask, me()->holds, &w->read_needs);
	}
	if (writes) {
		add_access(w->writes[cpu], me()->step, mask);
		keep_locks(w->write_locks, mask, me()->holds, &w->write_needs);
	}
	if (writes)
		for (unsigned int i = 0; i < EXPLORE_CPUS; i++)
			if (i != cpu)
				w->foreign[i] |= mask;
	w->contended = contended(w);
	return w->contended & mask;
}

/* Is one of these bytes locked for @cpu's accesses of that sort? Then none but holders make them. */
static bool open_to(const uint16_t *locks, uint8_t mask)
{
	uint16_t holds = me()->holds & ~x.bad_locks;

	for (; mask; mask &= mask - 1)
		if (!(locks[__builtin_ctz(mask)] & holds))
			return true;
	return false;
}

/* May another CPU still access these bytes in conflict? */
static bool in_conflict(const struct word *w, uint8_t mask, bool writes)
{
	for (unsigned int i = 0; i < x.p.nr; i++) {
		const struct cpu *c = &x.live.cpu[i];

		if (i == x.live.current || c->done || c->ended)
			continue;
		if (open_to(w->write_locks, w->writes[i][c->step] & mask))
			return true;
		if (writes && open_to(w->read_locks, w->reads[i][c->step] & mask))
			return true;
	}
	return false;
}

/* Note an access; is it a scheduling point? */
static bool note_word(struct word *w, uint8_t mask, struct touch *t, bool *grew)
{
	enum shim_access kind = t->kind;
	bool reads = kind != SHIM_WRITE, writes = kind != SHIM_READ;
	unsigned int cpu = x.live.current, step = me()->step;

	if ((reads && (mask & ~w->reads[cpu][step] || fewer_locks(w->read_locks, mask, me()->holds))) ||
	    (writes && (mask & ~w->writes[cpu][step] || fewer_locks(w->write_locks, mask, me()->holds))))
		*grew |= learn(w, mask, reads, writes);
	t->contended |= w->contended & mask;
	return w->contended & mask && in_conflict(w, w->contended & mask, writes);
}

/* An access to the bitmap: these bits of the byte at @addr, each for itself. */
static bool note_bits(struct touch *t, uintptr_t addr, bool *grew)
{
	unsigned int shift = 8 * (addr - (uintptr_t)t->addr);
	uint8_t mask = t->op == SHIM_FETCH_or  ? t->operand >> shift :
		       t->op == SHIM_FETCH_and ? ~(t->operand >> shift) :
						 0xff;

	return mask && note_word(bits_of(addr), mask, t, grew);
}

/* Once a counter is accessed otherwise, it is none. */
static bool still_counts(struct word *w, const struct touch *t, uint8_t mask, bool *grew)
{
	if (!(w->counted & mask))
		return false;
	if (t->op == SHIM_FETCH_add || (t->kind == SHIM_READ && w->counter_loads))
		return true;
	w->counted &= ~mask;
	*grew = true;
	return false;
}

void sharing_no_counter(const volatile void *addr)
{
	word_of((uintptr_t)addr & ~7ul)->counted = 0;
}

bool sharing_note(struct touch *t, bool *grew)
{
	uintptr_t a = (uintptr_t)t->addr, key, b;
	bool point = false;

	t->visible = ~0ull;
	for (key = a & ~7ul; key < a + t->size; key += 8) {
		struct word *w = word_of(key);
		uint8_t mask = bytes_in(key, a, t->size);

		t->foreign |= w->bitmap || w->foreign[x.live.current] & mask;
		if (w->bitmap) {
			if (t->op == SHIM_FETCH_or)
				t->visible = t->operand;
			if (t->op == SHIM_FETCH_and)
				t->visible = ~t->operand;
			for (b = key > a ? key : a; b < key + 8 && b < a + t->size; b++)
				point |= note_bits(t, b, grew);
		} else if (still_counts(w, t, mask, grew)) {
			t->visible = w->counter_mask;
			t->counts = true;
			t->foreign = false;
		} else {
			point |= note_word(w, mask, t, grew);
		}
	}
	return point || x.o.no_reduction;
}

bool memory_shared(const volatile void *addr, unsigned int size)
{
	uintptr_t a = (uintptr_t)addr, key, b;

	if (x.o.no_reduction)
		return true;
	for (key = a & ~7ul; key < a + size; key += 8) {
		struct word *w = find(key);

		if (w->contended & bytes_in(key, a, size))
			return true;
		for (b = a; w->bitmap && b < a + size; b++)
			if (bits_of(b)->contended)
				return true;
	}
	return false;
}

/* -------------------------------------------------------------- up and down */

void sharing_restart(void)
{
	for (size_t i = 0; i < words_size; i++)
		if (words[i].key)
			words[i].contended = contended(&words[i]);
}

bool sharing_open(void)
{
	words_size = 1024;
	nr_words = 0;
	forget_recent();
	words = calloc(words_size, sizeof(*words));
	return words;
}

void sharing_close(void)
{
	free(words);
	words = NULL;
}
