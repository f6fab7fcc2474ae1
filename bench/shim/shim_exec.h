/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the yielding flavour and whatever executor runs it on fibers: what the
 * code tells of each shared access, and whom. One executor at a time per thread;
 * with none (exec_now is NULL: set-up, audits) an access is just an access.
 */
#ifndef SHIM_EXEC_H
#define SHIM_EXEC_H

#include <stddef.h>
#include <stdint.h>

enum shim_access { SHIM_READ, SHIM_WRITE, SHIM_RMW, SHIM_FENCE };
/* What an RMW does, if it is one of these. */
enum shim_fetch { SHIM_FETCH_other, SHIM_FETCH_add, SHIM_FETCH_or, SHIM_FETCH_and };

struct exec_ops {
	/*
	 * A scheduling point: the CPU is about to make this access, @order as in
	 * __ATOMIC_*; others may run before this returns. A fence has an address
	 * that nobody shares. @pc: in the code that makes the access. NULL: nobody
	 * wants to know (not in the instrumented build).
	 */
	void (*access)(const volatile void *addr, unsigned int size, enum shim_access kind,
		       int order, const void *pc);
	/* The CPU cannot go on until somebody has written to @addr. */
	void (*block)(const volatile void *addr);
	uint64_t (*clock)(void);
	/*
	 * The rest is for the instrumented build (SHIM_TSAN) and may be NULL. load
	 * and store make the access themselves, after access(): an executor with
	 * store buffers delivers and keeps values there. plain() comes before a plain
	 * access, wrote() after an RMW: the code sees what it returns. fetch() says before
	 * an RMW's access() what it does.
	 */
	uint64_t (*load)(const volatile void *addr, unsigned int size);
	void (*store)(volatile void *addr, unsigned int size, uint64_t value);
	void (*fetch)(enum shim_fetch op, uint64_t operand);
	uint64_t (*wrote)(const volatile void *addr, unsigned int size, uint64_t old);
	void (*plain)(const volatile void *addr, unsigned int size, enum shim_access kind,
		      const void *pc);
	/*
	 * For scenarios, may be NULL: a number below @n that the executor chooses; the
	 * CPU is between two of its operations; it reads or writes something of the checker's
	 * (no memory is accessed, no buffer emptied); something broke.
	 */
	unsigned int (*choose)(unsigned int n);
	void (*rest)(void);
	void (*mark)(const void *what, enum shim_access kind);
	void (*fail)(const char *what);
};

extern __thread const struct exec_ops *exec_now;

/* Memory of whose plain accesses exec_now does not want to know: the fibers' stacks. */
struct exec_untold {
	uintptr_t from;
	size_t size;
};
extern __thread struct exec_untold exec_untold;

static inline void exec_access(const volatile void *addr, unsigned int size,
			       enum shim_access kind, int order)
{
	const struct exec_ops *x = exec_now;

	if (__builtin_expect(!!x, 1) && x->access)
		x->access(addr, size, kind, order, NULL);
}

static inline void exec_block(const volatile void *addr)
{
	if (exec_now)
		exec_now->block(addr);
}

static inline uint64_t exec_clock(void)
{
	return exec_now ? exec_now->clock() : 0;
}

#endif
