// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fibers and the random scheduler (fiber.h).
 */
#include "exec/fiber.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "exec/context.h"
#include "shim_exec.h"

struct fiber {
	struct context context;
	const volatile void *waits_for;	/* NULL: can run */
	bool done;
};

static struct {
	const struct fiber_run *r;
	struct fiber fiber[FIBER_MAX];
	struct context main;
	unsigned int current;
	enum fiber_end end;
	uint64_t rng, steps, switches;
} f;

static char *stacks;

static uint64_t draw(void)
{
	uint64_t z = f.rng += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

static bool runnable(unsigned int i)
{
	return !f.fiber[i].done && !f.fiber[i].waits_for;
}

/* A runnable fiber, drawn evenly; f.r->nr if there is none. */
static unsigned int pick(void)
{
	unsigned int i, n = 0, k;

	for (i = 0; i < f.r->nr; i++)
		n += runnable(i);
	if (!n)
		return f.r->nr;
	k = draw() % n;
	for (i = 0;; i++)
		if (runnable(i) && !k--)
			return i;
}

static void go_to(unsigned int to)
{
	unsigned int from = f.current;

	if (to == from)
		return;
	f.switches++;
	f.current = to;
	f.r->switched(to);
	context_switch(&f.fiber[from].context, &f.fiber[to].context);
}

/* Leave for good: the run is over, one way or the other. */
static void leave(enum fiber_end end)
{
	f.end = end;
	context_switch(&f.fiber[f.current].context, &f.main);
}

static void reschedule(void)
{
	unsigned int to = pick();

	if (to == f.r->nr)
		leave(FIBER_DEADLOCK);
	go_to(to);
}

static void on_access(const volatile void *addr, unsigned int size, enum shim_access kind,
		      int order, const void *pc)
{
	unsigned int i;

	(void)order;
	(void)pc;
	if (++f.steps > f.r->max_steps)
		leave(FIBER_LIVELOCK);
	if ((draw() & 255) < f.r->switch_rate)
		reschedule();
	if (kind == SHIM_READ || kind == SHIM_FENCE)
		return;
	/* The write happens when this returns: whoever waits for it may look again. */
	for (i = 0; i < f.r->nr; i++) {
		const volatile char *w = f.fiber[i].waits_for;

		if (w && w + 8 > (const volatile char *)addr && w < (const volatile char *)addr + size)
			f.fiber[i].waits_for = NULL;
	}
}

static void on_block(const volatile void *addr)
{
	f.fiber[f.current].waits_for = addr;
	reschedule();
}

static uint64_t on_clock(void)
{
	return f.steps;
}

static const struct exec_ops ops = { .access = on_access, .block = on_block, .clock = on_clock };

static void entry(void)
{
	f.r->body(f.r->arg, f.current);
	f.fiber[f.current].done = true;
	for (unsigned int i = 0; i < f.r->nr; i++)
		if (!f.fiber[i].done)
			reschedule();
	leave(FIBER_ALL_DONE);
}

int fiber_run(const struct fiber_run *r, struct fiber_stats *stats)
{
	unsigned int i;

	if (r->nr > FIBER_MAX)
		return -EINVAL;
	if (!stacks) {
		stacks = context_stacks(FIBER_MAX, FIBER_STACK);
		if (!stacks)
			return -ENOMEM;
	}
	memset(&f, 0, sizeof(f));
	f.r = r;
	f.rng = r->seed;
	for (i = 0; i < r->nr; i++)
		context_make(&f.fiber[i].context, context_stack_of(stacks, i, FIBER_STACK),
			     FIBER_STACK, entry);
	f.current = draw() % r->nr;
	r->switched(f.current);
	exec_now = &ops;
	context_switch(&f.main, &f.fiber[f.current].context);
	exec_now = NULL;

	*stats = (struct fiber_stats){ .steps = f.steps, .switches = f.switches };
	for (i = 0; i < r->nr; i++) {
		if (f.fiber[i].done || !f.fiber[i].waits_for)
			continue;
		if (!stats->blocked++)
			stats->blocked_on = f.fiber[i].waits_for;
	}
	return f.end;
}
