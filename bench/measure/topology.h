/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine's shape, through hwloc: which CPUs this process may use, in the
 * order in which workers should take them (one PU per core first, spread as
 * hwloc numbers the cores; then the SMT siblings), where each one sits, and
 * how to bind a thread to it. The affinity mask of the process (taskset,
 * cgroup cpusets) is respected: a CPU outside it is present but not usable.
 */
#ifndef DPAMT_MEASURE_TOPOLOGY_H
#define DPAMT_MEASURE_TOPOLOGY_H

#include <jansson.h>
#include <stddef.h>

struct topology_cpu {
	unsigned int cpu;	/* the kernel's number */
	unsigned int package;	/* logical index, from 0 */
	unsigned int node;	/* NUMA node, the kernel's number */
	unsigned int core;	/* logical index over the machine, from 0 */
	unsigned int thread;	/* 0: first PU of its core, 1: its sibling, .. */
};

struct topology;

/*
 * Discover the machine. Returns 0 and *@topo, or -errno with one line in @err
 * (no newline). topology_free(NULL) is fine.
 */
int topology_open(struct topology **topo, char *err, size_t err_size);
void topology_free(struct topology *topo);

/* The usable CPUs in worker order; *@nr >= 1. Owned by @topo. */
const struct topology_cpu *topology_cpus(const struct topology *topo, size_t *nr);

/* CPUs that are online in the machine, usable or not. */
size_t topology_nr_present(const struct topology *topo);

/*
 * Bind the calling thread to CPU number @cpu alone. Returns 0, or -errno with
 * one line in @err that names the CPU and the cause. Safe from many threads.
 */
int topology_bind(const struct topology *topo, unsigned int cpu, char *err, size_t err_size);

/*
 * Describe the machine: {"model","sockets","numa_nodes","cores","cpus_present",
 * "cpus_usable","smt","threads_per_core","caches":[{"level","type","bytes",
 * "line_bytes","count","cpus_sharing"}],"cpus":[{"cpu","package","node","core",
 * "thread"}],"hwloc"}. A new reference, NULL without memory.
 */
json_t *topology_json(const struct topology *topo);

/* The kernel's list format, "0-3,8": the usable CPUs by number. Returns @buf. */
char *topology_cpu_list(const struct topology *topo, char *buf, size_t size);

#endif
