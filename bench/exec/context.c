// SPDX-License-Identifier: GPL-2.0-only
/* Switching between fibers and their stacks (context.h). */
#define _GNU_SOURCE
#include "exec/context.h"

#include <string.h>
#include <sys/mman.h>

#define GUARD 4096ul

#ifdef CONTEXT_OWN
__asm__(".text\n"
	".globl context_switch\n"
	".type context_switch, @function\n"
	"context_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq (%rsi), %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size context_switch, . - context_switch\n");

void context_make(struct context *c, char *stack, size_t size, void (*entry)(void))
{
	void **sp = (void **)(stack + size);

	*--sp = NULL;		/* keeps the stack aligned as after a call */
	*--sp = (void *)entry;	/* what context_switch returns to */
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	c->sp = sp;
}
#else
void context_make(struct context *c, char *stack, size_t size, void (*entry)(void))
{
	getcontext(&c->uc);
	c->uc.uc_stack.ss_sp = stack;
	c->uc.uc_stack.ss_size = size;
	c->uc.uc_link = NULL;
	makecontext(&c->uc, entry, 0);
}
#endif

char *context_stack_of(char *stacks, unsigned int i, size_t size)
{
	return stacks + i * (size + GUARD) + GUARD;
}

char *context_stacks(unsigned int nr, size_t size)
{
	char *s = mmap(NULL, nr * (size + GUARD), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned int i;

	if (s == MAP_FAILED)
		return NULL;
	for (i = 0; i < nr; i++) {
		if (mprotect(s + i * (size + GUARD), GUARD, PROT_NONE)) {
			context_stacks_free(s, nr, size);
			return NULL;
		}
	}
	return s;
}

void context_stacks_free(char *stacks, unsigned int nr, size_t size)
{
	if (stacks)
		munmap(stacks, nr * (size + GUARD));
}
