// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer's hooks: what a write undoes to, the hash of memory, store
 * buffers, locks, and conflicting plain accesses.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/explore_internal.h"

/* A plain write that is about to happen: its result is looked at in the next hook. */
struct pending {
	uint64_t *word;
	uint64_t old;
};

static struct pending *pending;
static size_t nr_pending, pending_room;

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

static bool on_stack(const volatile void *addr)
{
	return (uintptr_t)addr - (uintptr_t)x.stacks < STACKS_SIZE;
}

static bool overlap(const volatile void *a, unsigned int na, const volatile void *b, unsigned int nb)
{
	uintptr_t p = (uintptr_t)a, q = (uintptr_t)b;

	return p < q + nb && q < p + na;
}

/* No part of the state, or restored with the fiber's stack. */
static bool aside(const volatile void *addr)
{
	return on_stack(addr) || sharing_kind(addr) == WORD_ASIDE;
}

/* ------------------------------------------------------ undo log and hash */

static inline void log_undo(uint64_t *word, uint64_t old)
{
	if (x.live.undo == x.undo_room &&
	    !explore_grow(&x.undo, &x.undo_room, x.live.undo + 1, sizeof(*x.undo)))
		return;
	x.undo[x.live.undo++] = (struct undo){ word, old };
}

static void hash_change(uint64_t *word, uint64_t old, uint64_t now)
{
	x.live.memory ^= mix((uintptr_t)word, old) ^ mix((uintptr_t)word, now);
}

static __attribute__((noinline)) void settle_pending(void)
{
	while (nr_pending) {
		struct pending *p = &pending[--nr_pending];

		if (*p->word != p->old)
			hash_change(p->word, p->old, *p->word);
	}
}

static inline void settle(void)
{
	if (nr_pending)
		settle_pending();
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

static bool lock_held(const struct explore_lock *k, uint64_t value)
{
	return k->held ? k->held(value) : value & k->mask;
}

static void mistrust(uint32_t lock)
{
	if (x.bad_locks & lock)
		return;
	x.bad_locks |= lock;
	x.distrust = true;
}

/*
 * The current CPU has written @now over @old: does it hold one more lock, or one
 * less? Of a lock with two holders, or that is opened by somebody else, nothing can be
 * concluded.
 */
static void note_locks(const volatile void *addr, unsigned int size, uint64_t old, uint64_t now)
{
	for (unsigned int in = sharing_locks(addr); in; in &= in - 1) {
		const struct explore_lock *k = &x.p.lock[__builtin_ctz(in)];
		uint32_t bit = in & -in;
		bool was;

		if (addr != k->addr)
			continue;
		if (size < 8)
			old &= (1ull << 8 * size) - 1;
		was = lock_held(k, old);
		if (!lock_held(k, now)) {
			if (was && !(me()->holds & bit))
				mistrust(bit);
			me()->holds &= ~bit;
		} else if (!was) {
			for (unsigned int i = 0; i < x.p.nr; i++)
				if (i != x.live.current && x.live.cpu[i].holds & bit)
					mistrust(bit);
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
static void keep_access(unsigned int cpu, const volatile void *addr, unsigned int size,
			enum shim_access kind, bool plain, uint64_t value);

/* For a trace or a picture. */
static inline void record(unsigned int cpu, const volatile void *addr, unsigned int size,
			  enum shim_access kind, bool plain, uint64_t value)
{
	if (x.p.trace || x.every_access)
		keep_access(cpu, addr, size, kind, plain, value);
}

static void flush_one(unsigned int cpu)
{
	struct cpu *c = &x.live.cpu[cpu];
	struct stored s = c->stored[0];

	before_write(cpu, s.addr, s.size);
	memmove(c->stored, c->stored + 1, --c->nr_stored * sizeof(s));
	write_now(s.addr, s.size, s.value);
	if (x.p.trace)
		record(cpu, s.addr, s.size, SHIM_WRITE, false, s.value);
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

static void keep_access(unsigned int cpu, const volatile void *addr, unsigned int size,
			enum shim_access kind, bool plain, uint64_t value)
{
	if (!x.p.trace && !memory_shared(addr, size))
		return;
	if (!explore_grow(&x.access, &x.access_room, x.live.accesses + 1, sizeof(*x.access)))
		return;
	x.access[x.live.accesses++] = (struct explore_access){
		.addr = addr, .pc = me()->next.pc, .value = value, .size = size,
		.cpu = cpu, .kind = kind, .plain = plain,
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

/* Is what the access will do another CPU's business now? */
static bool is_point(struct touch *t, bool *grew)
{
	bool point;

	if (t->kind == SHIM_FENCE)
		point = x.o.no_reduction;
	else
		point = sharing_note(t, grew);
	if (x.o.memory == EXPLORE_SC)
		return point;
	/* What empties a buffer that has something in it is a step that others can see. */
	if (t->kind == SHIM_FENCE || t->kind == SHIM_RMW)
		point |= me()->nr_stored > 0;
	for (unsigned int i = 0; i < x.p.nr && !point; i++)
		point = i != x.live.current && memory_in_buffer(i, t->addr, t->size);
	return point;
}

/* Stop before the access if it is a scheduling point. */
static void stop(struct touch *t, bool plain, const void *pc)
{
	bool grew = false, point, woken = me()->woken;

	me()->woken = false;
	point = is_point(t, &grew);
	if (point || !x.shortcut)
		me()->next = (struct explore_access){ .addr = t->addr, .pc = pc, .size = t->size,
						      .kind = t->kind, .plain = plain };
	if (grew || x.distrust) {
		x.distrust = false;
		explore_yield(EV_GREW);
	}
	/* A loop over private memory, or over what nobody was seen to write yet: is there an end? */
	if (!point && x.turn->n - x.turn_from >= PRIVATE_RUN_MAX) {
		x.turn_from = x.turn->n;
		x.live.depth += EXPLORE_DEPTH_MAX / 10;
		point = true;
	}
	/* Who would stop here again right after waking up might as well have slept on. */
	if ((point && !woken) || x.every_access) {
		me()->at_access = true;
		explore_yield(EV_ACCESS);
		me()->at_access = false;
	}
	me()->place_before = me()->place;
	/* Whether it is a point depends on the others, where it is does not. */
	if (point || t->contended)
		me()->place = mix(me()->place, (uintptr_t)pc ^ (uintptr_t)t->addr << 20);
	if (point)
		check_plain(&me()->next);
	x.turn->n++;
}

/*
 * What most accesses are: like one before, and nobody's business. False if that is not
 * known.
 */
static inline __attribute__((always_inline)) bool
nothing_to_say(const volatile void *addr, unsigned int size, enum shim_access kind,
	       enum word_kind *word, bool *foreign)
{
	struct cpu *c = me();

	if (!x.shortcut || c->nr_stored || c->woken || x.distrust)
		return false;
	*word = sharing_known(addr, size, kind, foreign);
	if (*word != WORD_STATE)
		return *word != WORD_UNKNOWN;
	if (x.turn->n - x.turn_from >= PRIVATE_RUN_MAX)
		return false;
	c->place_before = c->place;
	x.turn->n++;
	return true;
}

/* An access that was not seen before, or that may be somebody's business. */
static void meet(const volatile void *addr, unsigned int size, enum shim_access kind,
		 const void *pc)
{
	struct touch t = { .addr = addr, .size = size, .kind = kind, .op = x.fetch,
			   .operand = x.operand, .visible = ~0ull };

	x.fetch = SHIM_FETCH_other;
	if (aside(addr))
		return;
	stop(&t, false, pc);
	if (x.o.memory == EXPLORE_TSO) {
		if (kind == SHIM_RMW || kind == SHIM_FENCE)
			drain();
		if (kind == SHIM_READ || kind == SHIM_RMW)
			before_write(x.live.current, addr, size);
	}
	/* Others may have run until here. */
	x.visible = t.visible;
	x.counts = t.counts;
	x.foreign = t.foreign;
}

static void on_access(const volatile void *addr, unsigned int size, enum shim_access kind,
		      int order, const void *pc)
{
	enum word_kind word;

	(void)order;
	settle();
	x.visible = ~0ull;
	x.counts = x.foreign = false;
	if (kind != SHIM_FENCE && nothing_to_say(addr, size, kind, &word, &x.foreign))
		x.fetch = SHIM_FETCH_other;
	else
		meet(addr, size, kind, pc);
}

static void on_fetch(enum shim_fetch op, uint64_t operand)
{
	x.fetch = op;
	x.operand = operand;
}

/* Something of the checker's own: like an access, but there is none. */
static void on_mark(const void *what, enum shim_access kind)
{
	struct touch t = { .addr = what, .size = 1, .kind = kind };

	settle();
	stop(&t, false, __builtin_return_address(0));
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
	c->last_size = size;
	v &= x.visible;
	if (x.foreign)
		c->place = mix(c->place, v);
	record(x.live.current, addr, size, SHIM_READ, false, v);
	if (x.counts && v) {
		sharing_no_counter(addr);
		x.distrust = true;
	}
	return v;
}

static void on_store(volatile void *addr, unsigned int size, uint64_t value)
{
	struct cpu *c = me();
	uint64_t old = 0;
	bool later;

	if (aside(addr)) {
		memcpy((void *)addr, &value, size);
		return;
	}
	memcpy(&old, (void *)addr, size);
	note_locks(addr, size, old, value);
	later = x.o.memory == EXPLORE_TSO && memory_shared(addr, size);
	/* A picture shows it where it is made. */
	if (!later || !x.p.trace)
		record(x.live.current, addr, size, SHIM_WRITE, false, value);
	if (later) {
		if (c->nr_stored == BUFFER_MAX)
			flush(x.live.current, 1);
		c->stored[c->nr_stored++] = (struct stored){ addr, value, size };
		return;
	}
	write_now(addr, size, value);
}

static uint64_t on_wrote(const volatile void *addr, unsigned int size, uint64_t old)
{
	uint64_t now = 0;

	if (aside(addr))
		return old;
	me()->last_size = size;
	if (x.foreign)
		me()->place = mix(me()->place, old & x.visible);
	memcpy(&now, (void *)addr, size);
	record(x.live.current, addr, size, SHIM_RMW, false, now);
	if (now != old)
		note_locks(addr, size, old, now);
	changed(addr, size, old);
	if (x.counts && old & x.visible) {
		sharing_no_counter(addr);
		x.distrust = true;
	}
	return old & x.visible;
}

/* As meet(). False if nobody is to know of it. */
static __attribute__((noinline)) bool meet_plain(const volatile void *addr, unsigned int size, enum shim_access kind,
		       const void *pc, bool *foreign)
{
	struct touch t = { .addr = addr, .size = size, .kind = kind };
	uint64_t v = 0;

	*foreign = false;
	if (aside(addr))
		return false;
	if (sharing_kind(addr) == WORD_QUIET)
		return true;
	stop(&t, true, pc);
	/* It goes past the buffer, so what is in there for these bytes goes first. */
	if (memory_in_buffer(x.live.current, addr, size))
		drain();
	memcpy(&v, (void *)addr, size < 8 ? size : 8);
	record(x.live.current, addr, size, kind, true, v);
	*foreign = t.foreign;
	return true;
}

static __attribute__((noinline)) void meet_read(const volatile void *addr, unsigned int size,
						const void *pc, bool known)
{
	bool foreign = known;

	if (!known)
		meet_plain(addr, size, SHIM_READ, pc, &foreign);
	for (unsigned int i = 0; foreign && i < size; i++)
		me()->place = mix(me()->place, ((const volatile char *)addr)[i]);
}

static inline void plain_read(const volatile void *addr, unsigned int size, const void *pc)
{
	bool foreign = false, known;
	enum word_kind word;

	known = nothing_to_say(addr, size, SHIM_READ, &word, &foreign);
	if (!known || foreign)
		meet_read(addr, size, pc, known);
}

static __attribute__((noinline)) void plain_write(const volatile void *addr, unsigned int size,
						  const void *pc)
{
	uintptr_t a = (uintptr_t)addr, key;
	enum word_kind word;
	bool foreign;

	if (nothing_to_say(addr, size, SHIM_WRITE, &word, &foreign) ?
		    word == WORD_ASIDE :
		    !meet_plain(addr, size, SHIM_WRITE, pc, &foreign))
		return;
	for (key = a & ~7ul; key < a + size; key += 8) {
		uint64_t *w = (uint64_t *)key;

		if (nr_pending == pending_room &&
		    !explore_grow(&pending, &pending_room, nr_pending + 1, sizeof(*pending)))
			return;
		log_undo(w, *w);
		pending[nr_pending++] = (struct pending){ w, *w };
	}
}

static void on_plain(const volatile void *addr, unsigned int size, enum shim_access kind,
		     const void *pc)
{
	settle();
	if (kind == SHIM_READ)
		plain_read(addr, size, pc);
	else
		plain_write(addr, size, pc);
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
	c->woken = true;
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

static void on_rest(void)
{
	struct cpu *c = me();

	settle();
	c->step += c->step < EXPLORE_STEPS - 1;
	c->place = mix(++c->operation, 3);
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
	.fetch = on_fetch,
	.wrote = on_wrote,
	.plain = on_plain,
	.choose = on_choose,
	.rest = on_rest,
	.mark = on_mark,
	.fail = on_fail,
};

/* -------------------------------------------------------------- up and down */

bool memory_open(void)
{
	unsigned int i;

	nr_pending = 0;
	if (!sharing_open())
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
			if (now[k] != x.initial[i][k] && sharing_kind(now + k) != WORD_ASIDE) {
				*where = now + k;
				return false;
			}
		}
	}
	return true;
}

void memory_close(void)
{
	sharing_close();
	for (unsigned int i = 0; i < EXPLORE_RANGES; i++) {
		free(x.initial[i]);
		x.initial[i] = NULL;
	}
}
