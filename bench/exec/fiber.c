// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fibers and the random scheduler (fiber.h). On x86-64 a switch saves the six
 * callee-saved registers and the stack pointer; elsewhere ucontext does it.
 */
#include "exec/fiber.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "shim.h"

/* The access hooks of the yielding flavour; shim.h declares them there only. */
void exec_access(const volatile void *addr, unsigned int size, enum shim_access kind);
void exec_block(const volatile void *addr);
u64 exec_clock(void);

#ifdef __x86_64__
/* The stack pointer of a fiber that does not run; its registers lie above it. */
typedef void *fiber_context;

void fiber_switch(fiber_context *from, fiber_context to);
__asm__(".text\n"
	".globl fiber_switch\n"
	".type fiber_switch, @function\n"
	"fiber_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size fiber_switch, . - fiber_switch\n");

static void context_make(fiber_context *c, char *stack, size_t size, void (*entry)(void))
{
	void **sp = (void **)(stack + size);

	*--sp = NULL;		/* keeps the stack aligned as after a call */
	*--sp = entry;		/* what fiber_switch returns to */
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	*c = sp;
}

static void context_switch(fiber_context *from, fiber_context *to)
{
	fiber_switch(from, *to);
}
#else
#include <ucontext.h>

typedef ucontext_t fiber_context;

static void context_make(fiber_context *c, char *stack, size_t size, void (*entry)(void))
{
	getcontext(c);
	c->uc_stack.ss_sp = stack;
	c->uc_stack.ss_size = size;
	c->uc_link = NULL;
	makecontext(c, entry, 0);
}

static void context_switch(fiber_context *from, fiber_context *to)
{
	swapcontext(from, to);
}
#endif

struct fiber {
	fiber_context context;
	const volatile void *waits_for;	/* NULL: can run */
	bool done;
};

static struct {
	const struct fiber_run *r;
	struct fiber fiber[FIBER_MAX];
	fiber_context main;
	unsigned int current;
	bool inside;		/* a fiber runs: accesses are scheduling points */
	enum fiber_end end;
	u64 rng, steps, switches;
} f;

static char *stacks;

static u64 draw(void)
{
	u64 z = f.rng += 0x9E3779B97F4A7C15ull;

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

void exec_access(const volatile void *addr, unsigned int size, enum shim_access kind)
{
	unsigned int i;

	if (!f.inside)
		return;
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

void exec_block(const volatile void *addr)
{
	if (!f.inside)
		return;
	f.fiber[f.current].waits_for = addr;
	reschedule();
}

u64 exec_clock(void)
{
	return f.steps;
}

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
		stacks = mmap(NULL, (size_t)FIBER_MAX * FIBER_STACK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stacks == MAP_FAILED) {
			stacks = NULL;
			return -ENOMEM;
		}
	}
	memset(&f, 0, sizeof(f));
	f.r = r;
	f.rng = r->seed;
	for (i = 0; i < r->nr; i++)
		context_make(&f.fiber[i].context, stacks + (size_t)i * FIBER_STACK, FIBER_STACK, entry);
	f.current = draw() % r->nr;
	r->switched(f.current);
	f.inside = true;
	context_switch(&f.main, &f.fiber[f.current].context);
	f.inside = false;

	*stats = (struct fiber_stats){ .steps = f.steps, .switches = f.switches };
	for (i = 0; i < r->nr; i++) {
		if (f.fiber[i].done || !f.fiber[i].waits_for)
			continue;
		if (!stats->blocked++)
			stats->blocked_on = f.fiber[i].waits_for;
	}
	return f.end;
}
