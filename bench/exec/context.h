/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The switch between fibers. On x86-64 it saves the six callee-saved registers
 * and the stack pointer (a few nanoseconds, any number of fibers); elsewhere, and
 * with -DCONTEXT_PORTABLE, ucontext does it. No executor uses floating point across a switch.
 */
#ifndef DPAMT_CONTEXT_H
#define DPAMT_CONTEXT_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(CONTEXT_PORTABLE)
#define CONTEXT_OWN
#endif

#ifdef CONTEXT_OWN
/* The stack pointer of what does not run; its registers lie above it. */
struct context {
	void *sp;
};

void context_switch(struct context *from, const struct context *to);
#else
#include <ucontext.h>

struct context {
	ucontext_t uc;
};

static inline void context_switch(struct context *from, const struct context *to)
{
	swapcontext(&from->uc, &to->uc);
}
#endif

/* @entry runs on @stack at the first switch to @c; it must never return. */
void context_make(struct context *c, char *stack, size_t size, void (*entry)(void));

/*
 * @nr stacks of @size bytes each, touched pages only cost memory, with a page
 * that faults below each. NULL: no address space. stack_of() is the lowest byte.
 */
char *context_stacks(unsigned int nr, size_t size);
void context_stacks_free(char *stacks, unsigned int nr, size_t size);
char *context_stack_of(char *stacks, unsigned int i, size_t size);

#endif
