/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Per-CPU data and the clock. A "CPU" is a worker thread (native flavour) or a
 * fiber (yielding flavour); the executor sets shim_cpu before it runs code.
 * A per-CPU pointer is the address of CPU 0's copy; copies lie
 * SHIM_PERCPU_STRIDE apart (not a power of two, so that they do not fall into
 * the same cache sets), and an increment is one plain instruction, as the
 * kernel's %gs-relative one is.
 */
#ifndef SHIM_PERCPU_H
#define SHIM_PERCPU_H

#define SHIM_PERCPU_STRIDE ((1UL << 16) + 4 * SMP_CACHE_BYTES)

extern __thread unsigned long shim_cpu_offset; /* shim_cpu * SHIM_PERCPU_STRIDE */
extern __thread unsigned int shim_cpu;
extern unsigned int shim_nr_cpus;

void *shim_alloc_percpu(size_t size);
#define alloc_percpu(type) ((type *)shim_alloc_percpu(sizeof(type)))
#define free_percpu(p) shim_free(p)

#define SHIM_THIS_CPU(ptr) ((typeof(ptr))((char *)(ptr) + shim_cpu_offset))
#define this_cpu_ptr(ptr) SHIM_THIS_CPU(ptr)
#define raw_cpu_ptr(ptr) SHIM_THIS_CPU(ptr)
#define per_cpu_ptr(ptr, cpu) ((typeof(ptr))((char *)(ptr) + (cpu)*SHIM_PERCPU_STRIDE))
#define this_cpu_inc(pcp) ((void)(*SHIM_THIS_CPU(&(pcp)))++)
#define this_cpu_add(pcp, v) ((void)(*SHIM_THIS_CPU(&(pcp)) += (v)))
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < shim_nr_cpus; (cpu)++)
#define smp_processor_id() shim_cpu
#define num_possible_cpus() shim_nr_cpus

/* Nothing interrupts a worker or a fiber but the executor itself. */
#define preempt_disable() barrier()
#define preempt_enable() barrier()
#define local_irq_save(flags)  \
	do {                   \
		(flags) = 0;    \
		barrier();      \
	} while (0)
#define local_irq_restore(flags) \
	do {                     \
		(void)(flags);    \
		barrier();        \
	} while (0)

u64 shim_clock(void);
#define local_clock() shim_clock()

/* Tracepoints and lockdep exist in the kernel only. */
#define trace_contention_begin(lock, flags) ((void)0)
#define trace_contention_end(lock, ret) ((void)0)
#define trace_tdx_pamt_install(hpa, leaf, status) ((void)0)
#define trace_tdx_pamt_remove(hpa, leaf, status) ((void)0)
#define trace_tdx_pamt_busy(hpa, leaf, status) ((void)0)
#define trace_tdx_pamt_wait(what, same_region, ns) ((void)0)

struct lockdep_map;
#define _THIS_IP_ 0UL
#define lock_map_acquire(map) ((void)0)
#define lock_map_acquire_read(map) ((void)0)
#define lock_map_release(map) ((void)0)
#define lock_contended(map, ip) ((void)0)
#define lock_acquired(map, ip) ((void)0)

#endif
