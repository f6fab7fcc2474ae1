// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer's hooks: which bytes are shared, what a write undoes to, the hash
 * of memory, store buffers, and conflicting plain accesses.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/explore_internal.h"

/* Who has ever read and written each byte of an aligned word. */
struct word {
	uintptr_t key;
	uint8_t readers[EXPLORE_CPUS], writers[EXPLORE_CPUS];
	uint16_t locks[8];		/* held at every access to the byte so far */
	uint8_t shared;
	uint8_t kind;			/* enum word_kind */
};

enum word_kind { WORD_STATE, WORD_ASIDE, WORD_QUIET };

/* A plain write that is about to happen: its result is looked at in the next hook. */
struct pending {
	uint64_t *word;
	uint64_t old;
};

static struct word *words;
static size_t nr_words, words_size;
static struct pending *pending;
static size_t nr_pending, pending_room;

static struct cpu *me(void)
{
	return &x.live.cpu[x.live.current];
}

bool explore_grow(void *array, size_t *room, size_t n, size_t size)
{
	void **a = array, *p;
	size_t want = *room ? *room : 256;

	if (n <= *room)
		return true;
	while (want < n)
		want *= 2;
	p = realloc(*a, want * size);
	if (!p) {
		x.out_of_memory = true;
		return false;
	}
	*a = p;
	*room = want;
	return true;
}

static bool inside(const struct explore_range *r, const volatile void *addr)
{
	for (unsigned int i = 0; i < EXPLORE_RANGES && r[i].addr; i++)
		if ((uintptr_t)addr - (uintptr_t)r[i].addr < r[i].size)
			return true;
	return false;
}

static bool on_stack(const volatile void *addr)
{
	return (uintptr_t)addr - (uintptr_t)x.stacks < EXPLORE_CPUS * (STACK_SIZE + 4096);
}

static bool overlap(const volatile void *a, unsigned int na, const volatile void *b, unsigned int nb)
{
	uintptr_t p = (uintptr_t)a, q = (uintptr_t)b;

	return p < q + nb && q < p + na;
}

/* ---------------------------------------------------------------- sharing */

static struct word *find(uintptr_t key)
{
	static struct word *last;
	size_t i;

	/* One access asks several times in a row. */
	if (last >= words && last < words + words_size && last->key == key)
		return last;
	i = (key >> 3) * 0x9E3779B97F4A7C15ull >> 40 & (words_size - 1);
	while (words[i].key && words[i].key != key)
		i = (i + 1) & (words_size - 1);
	return last = &words[i];
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
		for (i = 0; i < size; i++)
			if (old[i].key)
				*find(old[i].key) = old[i];
		free(old);
		w = find(key);
	}
	w->key = key;
	memset(w->locks, 0xff, sizeof(w->locks));
	w->kind = inside(x.p.ignore, (void *)key) || ignored(key) ?
			  WORD_ASIDE :
		  inside(x.p.quiet, (void *)key) ? WORD_QUIET :
						   WORD_STATE;
	return w;
}

static enum word_kind kind_of(const volatile void *addr)
{
	return word_of((uintptr_t)addr & ~7ul)->kind;
}

/* No part of the state, or restored with the fiber's stack. */
static bool aside(const volatile void *addr)
{
	return on_stack(addr) || kind_of(addr) == WORD_ASIDE;
}

static bool conflict(struct word *w)
{
	uint8_t shared = 0;

	for (unsigned int i = 0; i < x.p.nr; i++)
		for (unsigned int j = 0; j < x.p.nr; j++)
			if (i != j)
				shared |= w->writers[i] & (w->readers[j] | w->writers[j]);
	for (unsigned int b = 0; b < 8; b++)
		if (w->locks[b] & ~x.bad_locks)
			shared &= ~(1u << b);
	if (shared == w->shared)
		return false;
	w->shared = shared;
	return true;
}

/* The bytes of word @key that an access to @size bytes at @a touches. */
static uint8_t bytes_in(uintptr_t key, uintptr_t a, unsigned int size)
{
	uint8_t mask = 0;

	for (unsigned int b = 0; b < 8; b++)
		if (key + b - a < size)
			mask |= 1u << b;
	return mask;
}

/* Is the byte accessed with a lock less than ever before? */
static bool fewer_locks(struct word *w, uint8_t mask)
{
	uint16_t holds = me()->holds;
	bool fewer = false;

	for (unsigned int b = 0; b < 8; b++) {
		if (!(mask & 1u << b) || !(w->locks[b] & ~holds))
			continue;
		w->locks[b] &= holds;
		fewer = true;
	}
	return fewer;
}

/* Note the access; is it to shared bytes? *@grew: bytes that were thought private are not. */
static bool note(const volatile void *addr, unsigned int size, enum shim_access kind, bool *grew)
{
	uintptr_t a = (uintptr_t)addr, key;
	bool shared = false;

	for (key = a & ~7ul; key < a + size; key += 8) {
		struct word *w = word_of(key);
		uint8_t mask = bytes_in(key, a, size);
		uint8_t *r = &w->readers[x.live.current], *o = &w->writers[x.live.current];

		if ((kind != SHIM_WRITE && mask & ~*r) || (kind != SHIM_READ && mask & ~*o) ||
		    fewer_locks(w, mask)) {
			if (kind != SHIM_WRITE)
				*r |= mask;
			if (kind != SHIM_READ)
				*o |= mask;
			if (conflict(w))
				*grew = true;
		}
		shared |= w->shared & mask;
	}
	return shared || x.o.no_reduction;
}

bool memory_shared(const volatile void *addr, unsigned int size)
{
	uintptr_t a = (uintptr_t)addr, key;

	if (x.o.no_reduction)
		return true;
	for (key = a & ~7ul; key < a + size; key += 8)
		if (find(key)->shared & bytes_in(key, a, size))
			return true;
	return false;
}

/* ------------------------------------------------------ undo log and hash */

static void log_undo(uint64_t *word, uint64_t old)
{
	if (!explore_grow(&x.undo, &x.undo_room, x.live.undo + 1, sizeof(*x.undo)))
		return;
	x.undo[x.live.undo++] = (struct undo){ word, old };
}

static void hash_change(uint64_t *word, uint64_t old, uint64_t now)
{
	x.live.memory ^= mix((uintptr_t)word, old) ^ mix((uintptr_t)word, now);
}

static void settle(void)
{
	while (nr_pending) {
		struct pending *p = &pending[--nr_pending];

		if (*p->word != p->old)
			hash_change(p->word, p->old, *p->word);
	}
}

void memory_undo(size_t nr)
{
	nr_pending = 0;
	while (x.live.undo > nr) {
		x.live.undo--;
		*x.undo[x.live.undo].word = x.undo[x.live.undo].old;
	}
}

static void wake(const volatile void *addr, unsigned int size)
{
	for (unsigned int i = 0; i < x.p.nr; i++)
		if (x.live.cpu[i].waits_for && overlap(x.live.cpu[i].waits_for, x.live.cpu[i].last_size, addr,
								 size))
			x.live.cpu[i].waits_for = NULL;
}

/* @size bytes at @addr were @old; they lie in one word. */
static void changed(const volatile void *addr, unsigned int size, uint64_t old)
{
	uint64_t *word = (uint64_t *)((uintptr_t)addr & ~7ul), now = *word, before = now;

	memcpy((char *)&before + ((uintptr_t)addr & 7), &old, size);
	if (before == now)
		return;
	log_undo(word, before);
	hash_change(word, before, now);
	wake(addr, size);
}

static void write_now(volatile void *addr, unsigned int size, uint64_t value)
{
	uint64_t old = 0;

	memcpy(&old, (void *)addr, size);
	memcpy((void *)addr, &value, size);
	changed(addr, size, old);
}

/*
 * The current CPU has written @now over @old (as it sees them): does it hold one
 * more lock, or one less? Of a lock with two holders nothing can be concluded.
 */
static void note_locks(const volatile void *addr, unsigned int size, uint64_t old, uint64_t now)
{
	for (unsigned int l = 0; l < EXPLORE_LOCKS && x.p.lock[l].addr; l++) {
		const struct explore_lock *k = &x.p.lock[l];
		uint32_t bit = 1u << l;

		if (addr != k->addr)
			continue;
		if (size < 8)
			old &= (1ull << 8 * size) - 1;
		if (!(now & k->mask)) {
			me()->holds &= ~bit;
		} else if (!(old & k->mask)) {
			for (unsigned int i = 0; i < x.p.nr; i++)
				if (i != x.live.current && x.live.cpu[i].holds & bit & ~x.bad_locks) {
					x.bad_locks |= bit;
					x.distrust = true;
				}
			me()->holds |= bit;
		}
	}
}

/* ---------------------------------------------------------- store buffers */

static unsigned int choose(unsigned int n)
{
	x.choices = n;
	explore_yield(EV_CHOOSE);
	return x.choice;
}

static void before_write(unsigned int cpu, const volatile void *addr, unsigned int size);

static void flush_one(unsigned int cpu)
{
	struct cpu *c = &x.live.cpu[cpu];
	struct stored s = c->stored[0];

	before_write(cpu, s.addr, s.size);
	memmove(c->stored, c->stored + 1, --c->nr_stored * sizeof(s));
	write_now(s.addr, s.size, s.value);
}

static void flush(unsigned int cpu, unsigned int n)
{
	unsigned int outer = x.live.flushing;

	x.live.flushing |= 1u << cpu;
	while (n--)
		flush_one(cpu);
	x.live.flushing = outer;
}

/*
 * Somebody else is about to meet bytes that CPU @other has stores to in its
 * buffer: choose how many of these are visible by now, at least @least.
 */
static void reveal(unsigned int other, const volatile void *addr, unsigned int size,
		   unsigned int least)
{
	struct cpu *c = &x.live.cpu[other];
	unsigned int upto[BUFFER_MAX + 1] = { 0 }, n = 1, i, k;

	for (i = 0; i < c->nr_stored; i++)
		if (overlap(c->stored[i].addr, c->stored[i].size, addr, size))
			upto[n++] = i + 1;
	if (n == 1)
		return;
	k = n - least > 1 ? choose(n - least) : 0;
	flush(other, upto[k + least]);
}

/*
 * A write by CPU @cpu to these bytes is about to become visible: stores of others
 * to them may come first. One that is being flushed cannot: it is being
 * flushed for the sake of what must come later.
 */
static void before_write(unsigned int cpu, const volatile void *addr, unsigned int size)
{
	for (unsigned int i = 0; i < x.p.nr; i++)
		if (i != cpu && !(x.live.flushing & 1u << i) && x.live.cpu[i].nr_stored)
			reveal(i, addr, size, 0);
}

static void drain(void)
{
	if (me()->nr_stored)
		flush(x.live.current, me()->nr_stored);
}

bool memory_in_buffer(unsigned int cpu, const volatile void *addr, unsigned int size)
{
	const struct cpu *c = &x.live.cpu[cpu];

	for (unsigned int k = 0; k < c->nr_stored; k++)
		if (overlap(c->stored[k].addr, c->stored[k].size, addr, size))
			return true;
	return false;
}

uint64_t memory_buffers_hash(unsigned int cpu)
{
	const struct cpu *c = &x.live.cpu[cpu];
	uint64_t h = 0;

	for (unsigned int i = 0; i < c->nr_stored; i++)
		h = mix(mix(h, (uintptr_t)c->stored[i].addr), c->stored[i].value);
	return h;
}

/* ------------------------------------------------------------------ hooks */

static void record(const volatile void *addr, unsigned int size, enum shim_access kind, bool plain,
		   uint64_t value)
{
	if (!x.p.trace && !x.every_access)
		return;
	if (!explore_grow(&x.access, &x.access_room, x.live.accesses + 1, sizeof(*x.access)))
		return;
	x.access[x.live.accesses++] = (struct explore_access){
		.addr = addr, .pc = me()->next.pc, .value = value, .size = size,
		.cpu = x.live.current, .kind = kind, .plain = plain,
	};
}

/* Two CPUs are about to make these accesses, in either order, and one is plain. */
static void check_plain(const struct explore_access *a)
{
	for (unsigned int i = 0; i < x.p.nr; i++) {
		const struct cpu *c = &x.live.cpu[i];

		if (i == x.live.current || !c->at_access || c->done || c->next.kind == SHIM_FENCE)
			continue;
		if (!(a->plain || c->next.plain) ||
		    (a->kind == SHIM_READ && c->next.kind == SHIM_READ))
			continue;
		if (overlap(a->addr, a->size, c->next.addr, c->next.size)) {
			x.failed = "a plain access conflicts with another CPU's access";
			explore_yield(EV_FAIL);
		}
	}
}

#define PRIVATE_RUN_MAX 20000

/* Stop before the access if it is a scheduling point. */
static void stop(const volatile void *addr, unsigned int size, enum shim_access kind, bool plain,
		 const void *pc)
{
	bool grew = false, shared;

	me()->next = (struct explore_access){ .addr = addr, .pc = pc, .size = size, .kind = kind,
					      .plain = plain };
	shared = kind == SHIM_FENCE ? x.o.no_reduction : note(addr, size, kind, &grew);
	/* What empties a buffer that has something in it is a step that others can see. */
	if (kind == SHIM_FENCE || kind == SHIM_RMW)
		shared |= me()->nr_stored > 0;
	if (grew || x.distrust) {
		x.distrust = false;
		explore_yield(EV_GREW);
	}
	/* A loop over private memory, or over what nobody was seen to write yet: is there an end? */
	if (!shared && ++x.private_run == PRIVATE_RUN_MAX) {
		x.private_run = 0;
		x.live.depth += EXPLORE_DEPTH_MAX / 10;
		shared = true;
	}
	if (shared || x.every_access) {
		me()->at_access = true;
		explore_yield(EV_ACCESS);
		me()->at_access = false;
		if (shared) {
			me()->place = mix(me()->place, (uintptr_t)pc ^ (uintptr_t)addr << 20);
			check_plain(&me()->next);
		}
	}
	x.decision[x.live.decisions - 1].n++;
}

static void on_access(const volatile void *addr, unsigned int size, enum shim_access kind,
		      int order, const void *pc)
{
	(void)order;
	settle();
	if (aside(addr))
		return;
	stop(addr, size, kind, false, pc);
	if (x.o.memory == EXPLORE_SC)
		return;
	if (kind == SHIM_RMW || kind == SHIM_FENCE)
		drain();
	if (kind == SHIM_READ || kind == SHIM_RMW)
		before_write(x.live.current, addr, size);
}

static uint64_t on_load(const volatile void *addr, unsigned int size)
{
	struct cpu *c = me();
	uint64_t v = 0;
	unsigned int i, b;

	memcpy(&v, (void *)addr, size);
	for (i = 0; i < c->nr_stored; i++) {
		const struct stored *s = &c->stored[i];

		for (b = 0; b < s->size; b++) {
			uintptr_t at = (uintptr_t)s->addr + b - (uintptr_t)addr;

			if (at < size)
				((char *)&v)[at] = ((const char *)&s->value)[b];
		}
	}
	c->place_before = c->place;
	c->last_size = size;
	if (memory_shared(addr, size)) {
		c->place = mix(c->place, v);
		record(addr, size, SHIM_READ, false, v);
	}
	return v;
}

static void on_store(volatile void *addr, unsigned int size, uint64_t value)
{
	struct cpu *c = me();

	if (aside(addr)) {
		memcpy((void *)addr, &value, size);
		return;
	}
	/* Whoever stores into a lock's word has it, or takes it. */
	note_locks(addr, size, 0, value);
	if (memory_shared(addr, size)) {
		record(addr, size, SHIM_WRITE, false, value);
		if (x.o.memory == EXPLORE_TSO) {
			if (c->nr_stored == BUFFER_MAX)
				flush(x.live.current, 1);
			c->stored[c->nr_stored++] = (struct stored){ addr, value, size };
			return;
		}
	}
	write_now(addr, size, value);
}

static void on_wrote(const volatile void *addr, unsigned int size, uint64_t old)
{
	struct cpu *c = me();
	uint64_t now = 0;

	if (aside(addr))
		return;
	c->place_before = c->place;
	if (memory_shared(addr, size)) {
		c->place = mix(c->place, old);
		memcpy(&now, (void *)addr, size);
		record(addr, size, SHIM_RMW, false, now);
	}
	memcpy(&now, (void *)addr, size);
	if (now != old)
		note_locks(addr, size, old, now);
	changed(addr, size, old);
}

static void on_plain(const volatile void *addr, unsigned int size, enum shim_access kind,
		     const void *pc)
{
	uintptr_t a = (uintptr_t)addr, key;
	bool quiet;

	settle();
	if (aside(addr))
		return;
	quiet = kind_of(addr) == WORD_QUIET;
	if (!quiet) {
		stop(addr, size, kind, true, pc);
		/* It goes past the buffer, so what is in there for these bytes goes first. */
		for (unsigned int i = 0; i < me()->nr_stored; i++)
			if (overlap(me()->stored[i].addr, me()->stored[i].size, addr, size)) {
				drain();
				break;
			}
		if (memory_shared(addr, size)) {
			uint64_t v = 0;

			memcpy(&v, (void *)addr, size < 8 ? size : 8);
			record(addr, size, kind, true, v);
			if (kind == SHIM_READ)
				for (unsigned int i = 0; i < size; i++)
					me()->place = mix(me()->place, ((const volatile char *)addr)[i]);
		}
	}
	if (kind == SHIM_READ)
		return;
	for (key = a & ~7ul; key < a + size; key += 8) {
		uint64_t *w = (uint64_t *)key;

		if (!explore_grow(&pending, &pending_room, nr_pending + 1, sizeof(*pending)))
			return;
		log_undo(w, *w);
		pending[nr_pending++] = (struct pending){ w, *w };
	}
}

static void on_block(const volatile void *addr)
{
	unsigned int from[EXPLORE_CPUS], n = 0, i;
	struct cpu *c = me();

	settle();
	/* The value that was read does not matter: it was not the one. */
	c->place = c->place_before;
	c->waits_for = addr;
	explore_yield(EV_BLOCK);
	if (!c->waits_for)
		return;
	/* Nobody has written since, but a buffer holds something for it: it arrives now. */
	for (i = 0; i < x.p.nr; i++)
		if (i != x.live.current && memory_in_buffer(i, addr, c->last_size))
			from[n++] = i;
	if (n)
		reveal(from[n > 1 ? choose(n) : 0], addr, c->last_size, 1);
	c->waits_for = NULL;
}

/* Time stands still: a clock that moved would tell equal states apart. */
static uint64_t on_clock(void)
{
	return 0;
}

static unsigned int on_choose(unsigned int n)
{
	unsigned int k;

	settle();
	k = n > 1 ? choose(n) : 0;
	me()->place = mix(me()->place, n * 16 + k);
	return k;
}

static void on_rest(uint64_t tag)
{
	settle();
	me()->place = mix(tag, 3);
}

static void on_fail(const char *what)
{
	settle();
	x.failed = what;
	explore_yield(EV_FAIL);
}

/* A CPU has returned from its body; what is in its buffer becomes visible some time. */
void explore_finish(void)
{
	settle();
	me()->place = 0;
	if (me()->nr_stored) {
		me()->ended = true;
		me()->next = (struct explore_access){ .kind = SHIM_FENCE };
		explore_yield(EV_ACCESS);
		drain();
	}
	me()->done = true;
	explore_yield(EV_DONE);
}

const struct exec_ops explore_ops = {
	.access = on_access,
	.block = on_block,
	.clock = on_clock,
	.load = on_load,
	.store = on_store,
	.wrote = on_wrote,
	.plain = on_plain,
	.choose = on_choose,
	.rest = on_rest,
	.fail = on_fail,
};

/* -------------------------------------------------------------- up and down */

void memory_restart(void)
{
	for (size_t i = 0; i < words_size; i++)
		if (words[i].key)
			conflict(&words[i]);
}

bool memory_open(void)
{
	unsigned int i;

	words_size = 1024;
	nr_words = 0;
	nr_pending = 0;
	words = calloc(words_size, sizeof(*words));
	if (!words)
		return false;
	for (i = 0; i < EXPLORE_RANGES && x.p.memory[i].addr; i++) {
		x.initial[i] = malloc(x.p.memory[i].size);
		if (!x.initial[i])
			return false;
		memcpy(x.initial[i], x.p.memory[i].addr, x.p.memory[i].size);
	}
	return true;
}

bool memory_intact(const void **where)
{
	for (unsigned int i = 0; i < EXPLORE_RANGES && x.p.memory[i].addr; i++) {
		const char *now = x.p.memory[i].addr;

		if (!memcmp(now, x.initial[i], x.p.memory[i].size))
			continue;
		for (size_t k = 0; k < x.p.memory[i].size; k++) {
			if (now[k] != x.initial[i][k] && kind_of(now + k) != WORD_ASIDE) {
				*where = now + k;
				return false;
			}
		}
	}
	return true;
}

void memory_close(void)
{
	free(words);
	words = NULL;
	for (unsigned int i = 0; i < EXPLORE_RANGES; i++) {
		free(x.initial[i]);
		x.initial[i] = NULL;
	}
}
