// SPDX-License-Identifier: GPL-2.0-only
/*
 * The out-of-line part of the shim: the queues of contended locks, memory, and
 * the warning counter. Compiled once per flavour, like the code that uses it.
 */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>

#include "shim_runtime.h"

__thread unsigned long shim_cpu_offset;
__thread unsigned int shim_cpu;
#ifdef SHIM_YIELD
unsigned int shim_lock_depths[SHIM_NR_CPUS];
#else
__thread unsigned int shim_lock_depth;
#endif
unsigned int shim_nr_cpus = 1;
struct shim_mcs shim_mcs[SHIM_NR_CPUS][SHIM_LOCK_NESTING];

static unsigned long warnings;
static char warning_text[256];

#ifdef SHIM_TSAN
/*
 * Whoever finds it free takes it: the orders that a queue allows are among these, and the
 * explorer sees only attempts, not how a queue is kept.
 */
void shim_spin_lock_slow(spinlock_t *l)
{
	do {
		exec_block(&l->val);
	} while (!spin_trylock(l));
}
#else
/*
 * Queue, wait to be at its head, then wait for the owner to leave; the tail
 * goes back to zero with the acquisition if nobody queued behind.
 */
void shim_spin_lock_slow(spinlock_t *l)
{
	struct shim_mcs *node = &shim_mcs[shim_cpu][shim_lock_depth++], *prev, *next;
	u16 me = shim_cpu * SHIM_LOCK_NESTING + (shim_lock_depth - 1) + 1, old;
	u32 val;

	WRITE_ONCE(node->next, NULL);
	WRITE_ONCE(node->ready, 0);
	SHIM_ACCESS(&l->tail, SHIM_RMW, __ATOMIC_ACQ_REL);
	old = __atomic_exchange_n(&l->tail, me, __ATOMIC_ACQ_REL);
	if (old) {
		prev = &shim_mcs[(old - 1) / SHIM_LOCK_NESTING][(old - 1) % SHIM_LOCK_NESTING];
		smp_store_release(&prev->next, node);
		smp_cond_load_acquire(&node->ready, VAL);
	}
	val = smp_cond_load_acquire(&l->val, !(VAL & 0xffff));
	if (val >> 16 == me && try_cmpxchg_acquire(&l->val, &val, 1))
		goto out;
	/* Somebody is behind: the lock is ours to take, nobody can steal past a tail. */
	WRITE_ONCE(l->locked, 1);
	next = smp_cond_load_acquire(&node->next, VAL);
	smp_store_release(&next->ready, 1);
out:
	shim_lock_depth--;
}
#endif

void shim_read_lock_slow(rwlock_t *l)
{
	spin_lock(&l->wait);
	SHIM_ACCESS(&l->cnts, SHIM_RMW, __ATOMIC_RELAXED);
	__atomic_fetch_add(&l->cnts, SHIM_QR_BIAS, __ATOMIC_RELAXED);
	smp_cond_load_acquire(&l->cnts, !(VAL & SHIM_QW_LOCKED));
	spin_unlock(&l->wait);
}

void shim_write_lock_slow(rwlock_t *l)
{
	u32 old;

	spin_lock(&l->wait);
	if (write_trylock(l))
		goto out;
	SHIM_ACCESS(&l->cnts, SHIM_RMW, __ATOMIC_RELAXED);
	__atomic_fetch_or(&l->cnts, SHIM_QW_WAITING, __ATOMIC_RELAXED);
	do {
		old = smp_cond_load_acquire(&l->cnts, VAL == SHIM_QW_WAITING);
	} while (!try_cmpxchg_acquire(&l->cnts, &old, SHIM_QW_LOCKED));
out:
	spin_unlock(&l->wait);
}

void shim_set_cpu(unsigned int cpu)
{
	shim_cpu = cpu;
	shim_cpu_offset = cpu * SHIM_PERCPU_STRIDE;
}

void shim_set_nr_cpus(unsigned int nr)
{
	if (nr > SHIM_NR_CPUS)
		abort();
	shim_nr_cpus = nr;
}

void *shim_zalloc(size_t size)
{
	void *p = NULL;

	size = ALIGN(size, (size_t)SMP_CACHE_BYTES);
	if (posix_memalign(&p, size >= 1 << 16 ? 4096 : SMP_CACHE_BYTES, size))
		return NULL;
	return memset(p, 0, size);
}

void *shim_alloc_percpu(size_t size)
{
	if (size > SHIM_PERCPU_STRIDE)
		return NULL;
	return shim_zalloc(shim_nr_cpus * SHIM_PERCPU_STRIDE);
}

void shim_free(void *p)
{
	free(p);
}

void shim_warn(const char *file, int line, const char *what)
{
	if (!__atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED))
		snprintf(warning_text, sizeof(warning_text), "%s:%d: %s", file, line, what);
}

unsigned long shim_warnings(const char **first)
{
	if (first)
		*first = warning_text;
	return __atomic_load_n(&warnings, __ATOMIC_RELAXED);
}

void shim_clear_warnings(void)
{
	__atomic_store_n(&warnings, 0, __ATOMIC_RELAXED);
	warning_text[0] = 0;
}
