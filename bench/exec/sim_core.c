// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler of the simulated machine (sim_core.h): a heap of clocks, one
 * fiber per CPU, and the executor's side of shim_exec.h.
 *
 * A key of the heap is clock and CPU in one number, so that comparing two keys
 * is one instruction and a tie has an order; the clock has what is left of 64 bits.
 * The CPU that runs is not in the heap.
 */
#define _GNU_SOURCE
#include "exec/sim_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "exec/context.h"
#include "shim/shim_exec.h"

#define CPU_BITS 10
#define CPU_MASK ((1u << CPU_BITS) - 1)
#define LINE_SHIFT 6
#define WAITED 256
_Static_assert(SIM_END == 1ull << (64 - CPU_BITS), "a key is a clock and a CPU");
/* How far a CPU runs ahead of the others at most, in ps, on lines that only it has touched. */
#define RUN_AHEAD 200000ull

struct sim_cpu {
	struct context context;
	uint64_t now, queued;
	uint64_t drained;	/* when the last store has landed */
	const volatile void *changed;	/* by its last locked instruction */
	uint64_t busy;		/* until when it executes what stands before its next locked instruction */
	const struct exec_ops *host, *strategy;	/* while it does not run */
	const struct sim_line *waits;	/* for this line */
	uint16_t next_waiter;	/* of the same bucket, plus one */
	bool idle;		/* waits for an event */
	bool asleep;		/* the same, in the heap with the time when it wakes by itself */
	bool blocked;
	bool in_call;
};

static struct {
	const struct sim_setup *s;
	struct sim_lines lines;
	struct sim_line *shadow, *extra_shadow;
	struct sim_cpu cpu[SIM_CPUS_MAX];
	uint64_t heap[SIM_CPUS_MAX + 1];
	unsigned int nr_heap, current, left, nr_blocked, nr_idle;
	bool late;		/* a clock came to SIM_END */
	uint16_t waited[WAITED];	/* first CPU that waits for a line of this bucket, plus one */
	struct context main;
	struct sim_figures figures;
	struct sim_line stranger;
} sim;

/* The strategies' files have a pointer of their own: see the Makefile. */
__thread const struct exec_ops *exec_strategy;
static const struct exec_ops muted_ops;

/* ------------------------------------------------------------------- heap */

static void heap_push(uint64_t key)
{
	unsigned int i = ++sim.nr_heap;

	while (i > 1 && sim.heap[i / 2] > key) {
		sim.heap[i] = sim.heap[i / 2];
		i /= 2;
	}
	sim.heap[i] = key;
}

/* Put @key in place of the first one, and in its place. */
static void heap_sift(uint64_t key)
{
	unsigned int i = 1, child;

	while ((child = 2 * i) <= sim.nr_heap) {
		child += child < sim.nr_heap && sim.heap[child + 1] < sim.heap[child];
		if (sim.heap[child] >= key)
			break;
		sim.heap[i] = sim.heap[child];
		i = child;
	}
	sim.heap[i] = key;
}

static uint64_t heap_pop(void)
{
	uint64_t first = sim.heap[1], last = sim.heap[sim.nr_heap--];

	if (sim.nr_heap)
		heap_sift(last);
	return first;
}

static void leave(void)
{
	context_switch(&sim.cpu[sim.current].context, &sim.main);
}

static uint64_t key_of(uint64_t at, unsigned int cpu)
{
	if (__builtin_expect(at >= SIM_END, 0)) {
		sim.late = true;
		leave();
	}
	return at << CPU_BITS | cpu;
}

/* @cpu is in the heap with a later time: take it out. */
static void heap_remove(unsigned int cpu)
{
	unsigned int i, n = sim.nr_heap;

	for (i = 1; (sim.heap[i] & CPU_MASK) != cpu; i++)
		;
	/* Rare, and the rest is nearly a heap: build it again. */
	sim.heap[i] = sim.heap[n];
	sim.nr_heap = 0;
	for (i = 1; i < n; i++)
		heap_push(sim.heap[i]);
}

/* --------------------------------------------------------------- switching */

static void go_to(uint64_t key)
{
	unsigned int to = key & CPU_MASK;
	struct sim_cpu *old = &sim.cpu[sim.current], *new = &sim.cpu[to];

	if (new->asleep) {
		new->asleep = false;
		sim.nr_idle--;
	}
	new->now = key >> CPU_BITS;
	old->host = exec_now;
	old->strategy = exec_strategy;
	sim.current = to;
	exec_now = new->host;
	exec_strategy = new->strategy;
	sim.s->switched(to);
	context_switch(&old->context, &new->context);
	/* Back: whoever waits now must see what this CPU does. */
	if (sim.nr_blocked && exec_now == &muted_ops)
		sim_unmute();
}

/* This CPU cannot go on by itself. */
static void give_way(void)
{
	uint64_t key;

	if (!sim.nr_heap)
		leave();
	key = heap_pop();
	/* It may be its own turn again. */
	if ((key & CPU_MASK) != sim.current) {
		go_to(key);
		return;
	}
	sim.cpu[sim.current].now = key >> CPU_BITS;
	if (sim.cpu[sim.current].asleep) {
		sim.cpu[sim.current].asleep = false;
		sim.nr_idle--;
	}
}

void sim_sync(void)
{
	uint64_t key = key_of(sim.cpu[sim.current].now, sim.current), first;

	if (!sim.nr_heap || sim.heap[1] > key)
		return;
	first = sim.heap[1];
	heap_sift(key);
	go_to(first);
}

uint64_t sim_now(void)
{
	return sim.cpu[sim.current].now;
}

uint64_t sim_queued(void)
{
	return sim.cpu[sim.current].queued;
}

void sim_charge(uint64_t ps)
{
	sim.cpu[sim.current].now += ps;
}

void sim_charge_clock(void)
{
	struct sim_cpu *c = &sim.cpu[sim.current];

	c->busy = (c->busy > c->now ? c->busy : c->now) + sim.lines.ps[LINE_clock];
}

void sim_in_call(bool in)
{
	sim.cpu[sim.current].in_call = in;
}

void sim_spend(uint64_t ps)
{
	sim.cpu[sim.current].now += ps;
	sim_sync();
}

void sim_idle(uint64_t at)
{
	struct sim_cpu *c = &sim.cpu[sim.current];

	sim.nr_idle++;
	if (at == UINT64_MAX) {
		c->idle = true;
	} else {
		c->asleep = true;
		heap_push(key_of(at > c->now ? at : c->now, sim.current));
	}
	give_way();
}

void sim_wake_idle(void)
{
	uint64_t now = sim.cpu[sim.current].now;
	unsigned int i;

	for (i = 0; sim.nr_idle && i < sim.s->nr_cpus; i++) {
		struct sim_cpu *c = &sim.cpu[i];

		if (!c->idle && !c->asleep)
			continue;
		if (c->asleep)
			heap_remove(i);
		c->idle = c->asleep = false;
		sim.nr_idle--;
		if (c->now < now)
			c->now = now;
		heap_push(key_of(c->now, i));
	}
}

/* --------------------------------------------------------------- accesses */

static struct sim_line *line_of(const volatile void *addr)
{
	uint64_t off = (uint64_t)((const volatile char *)addr - sim.s->base);

	if (__builtin_expect(off < sim.s->size, 1))
		return &sim.shadow[off >> LINE_SHIFT];
	off = (uint64_t)((const volatile char *)addr - sim.s->extra);
	if (off < sim.s->extra_size)
		return &sim.extra_shadow[off >> LINE_SHIFT];
	sim.figures.strangers++;
	return &sim.stranger;
}

static uint16_t *waited_at(const volatile void *addr)
{
	return &sim.waited[(uintptr_t)addr >> LINE_SHIFT & (WAITED - 1)];
}

/* Somebody has written: all who wait for the line look again once they can see it. */
static void wake(const struct sim_line *line, const volatile void *addr, uint64_t at)
{
	uint16_t *link = waited_at(addr);

	while (*link) {
		unsigned int i = *link - 1u;
		struct sim_cpu *c = &sim.cpu[i];

		if (c->waits != line) {
			link = &c->next_waiter;
			continue;
		}
		*link = c->next_waiter;
		if (c->now < at)
			c->now = at;
		c->blocked = false;
		sim.nr_blocked--;
		heap_push(key_of(c->now, i));
	}
}

static void on_access(const volatile void *addr, unsigned int size, enum shim_access kind,
		      int order, const void *pc)
{
	struct sim_cpu *c = &sim.cpu[sim.current];
	struct sim_line *line;
	struct sim_access a;
	bool publishes, late = false;

	(void)size;
	(void)pc;
	sim.figures.accesses++;
	if (kind != SHIM_READ && kind != SHIM_WRITE && c->now < c->drained)
		c->now = c->drained;
	if (kind == SHIM_FENCE) {
		c->now += c->in_call ? 0 : sim.lines.ps[LINE_rmw_hit];
		return;
	}
	line = line_of(addr);
	if (line->met || (line->owner && line->owner != sim.current + 1)) {
		sim.figures.shared++;
		sim_sync();
	} else if (sim.nr_heap && (sim.heap[1] >> CPU_BITS) + RUN_AHEAD < c->now) {
		sim_sync();
	}
	sim_line_access(&sim.lines, line, sim.current,
			kind == SHIM_READ ? SIM_READ : kind == SHIM_WRITE ? SIM_WRITE : SIM_RMW,
			c->now, &a);
	if (kind == SHIM_READ && !a.moved && addr == c->changed)
		a.done += sim.lines.ps[LINE_reload] - sim.lines.ps[LINE_read_hit];
	if (kind != SHIM_READ && kind != SHIM_WRITE) {
		c->changed = addr;
		if (a.done < c->busy) {
			a.done = c->busy;
			late = true;
		}
	}
	if (kind != SHIM_READ && a.visible > c->drained)
		c->drained = a.visible;
	/*
	 * What it reads or changes is what the line holds when it is there. A store goes
	 * to the store buffer and the CPU goes on; one that publishes (release) is made when
	 * it lands, behind those before it. That holds up the simulated CPU, not a real one,
	 * but nearly always a locked instruction is next, and waits for it in both.
	 */
	publishes = kind == SHIM_WRITE && order == __ATOMIC_RELEASE;
	c->now = c->in_call ? c->now + a.queued : publishes ? c->drained : a.done;
	c->queued += a.queued;
	if (publishes || late || (a.moved && kind != SHIM_WRITE))
		sim_sync();
	if (kind == SHIM_READ)
		return;
	if (*waited_at(addr))
		wake(line, addr, a.visible > c->now ? a.visible : c->now);
}

static void on_block(const volatile void *addr)
{
	struct sim_cpu *c = &sim.cpu[sim.current];

	c->waits = line_of(addr);
	c->next_waiter = *waited_at(addr);
	*waited_at(addr) = (uint16_t)(sim.current + 1);
	c->blocked = true;
	sim.nr_blocked++;
	give_way();
}

static uint64_t on_clock(void)
{
	return sim_now() / SIM_PS;
}

static const struct exec_ops ops = { .access = on_access, .block = on_block, .clock = on_clock };
/* Accesses are free and nobody looks at them; a CPU that has to wait is heard all the same. */
static void muted_block(const volatile void *addr)
{
	sim_unmute();
	on_block(addr);
}

static const struct exec_ops muted_ops = {
	.block = muted_block, .clock = on_clock,
};

/* Free as well, but whoever waits for what it writes is told. */
static void through_access(const volatile void *addr, unsigned int size, enum shim_access kind,
			   int order, const void *pc)
{
	(void)size;
	(void)order;
	(void)pc;
	if (kind == SHIM_READ || kind == SHIM_FENCE || !*waited_at(addr))
		return;
	wake(line_of(addr), addr, sim.cpu[sim.current].now);
}

static const struct exec_ops through_ops = {
	.access = through_access, .block = on_block, .clock = on_clock,
};

void sim_mute(bool through)
{
	exec_now = exec_strategy = through ? &through_ops : &muted_ops;
}

void sim_unmute(void)
{
	exec_now = &ops;
	exec_strategy = &ops;
}

bool sim_muted(void)
{
	return exec_now == &muted_ops || exec_now == &through_ops;
}

/* ------------------------------------------------------------------ a run */

static void entry(void)
{
	sim.s->body(sim.s->arg, sim.current);
	sim.left--;
	/* Who is left and idle would never be woken: an event that nobody made. */
	give_way();
	abort();
}

static void *shadow_map(uint64_t size)
{
	void *p = mmap(NULL, ((size >> LINE_SHIFT) + 1) * sizeof(struct sim_line),
		       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void shadow_unmap(void *p, uint64_t size)
{
	if (p)
		munmap(p, ((size >> LINE_SHIFT) + 1) * sizeof(struct sim_line));
}

/* All CPUs from their beginning to their end, or until nobody can go on. */
static void run_all(const struct sim_setup *s, char *stacks)
{
	unsigned int i;

	for (i = 0; i < s->nr_cpus; i++) {
		context_make(&sim.cpu[i].context, context_stack_of(stacks, i, SIM_STACK), SIM_STACK,
			     entry);
		sim.cpu[i].host = sim.cpu[i].strategy = &ops;
		if (i)
			heap_push(key_of(0, i));
	}
	s->switched(0);
	sim_unmute();
	context_switch(&sim.main, &sim.cpu[0].context);
	exec_now = exec_strategy = NULL;
}

int sim_fibers(const struct sim_setup *s, struct sim_figures *f)
{
	char *stacks;
	int ret = -ENOMEM;

	memset(f, 0, sizeof(*f));
	if (!s->nr_cpus || s->nr_cpus > SIM_CPUS_MAX)
		return -EINVAL;
	memset(&sim, 0, sizeof(sim));
	sim.s = s;
	sim.left = s->nr_cpus;
	stacks = context_stacks(s->nr_cpus, SIM_STACK);
	sim.shadow = shadow_map(s->size);
	sim.extra_shadow = shadow_map(s->extra_size);
	if (stacks && sim.shadow && sim.extra_shadow)
		ret = sim_lines_init(&sim.lines, s->machine, s->place, s->nr_cpus, s->seed);
	if (!ret) {
		run_all(s, stacks);
		*f = sim.figures;
		f->blocked = sim.left;
		ret = sim.late ? -ETIME : f->blocked ? -EDEADLK : f->strangers ? -EFAULT : 0;
	}
	sim_lines_free(&sim.lines);
	shadow_unmap(sim.shadow, s->size);
	shadow_unmap(sim.extra_shadow, s->extra_size);
	context_stacks_free(stacks, s->nr_cpus, SIM_STACK);
	return ret;
}
