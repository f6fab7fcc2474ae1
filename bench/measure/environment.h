/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a reader of a result has to know about the machine beside its topology:
 * kernel and its configuration, frequency policy, mitigations, virtualisation,
 * stolen time, memory, load, compiler, and the commit that was built. Facts
 * that cannot be had are null, never guessed. No host name, no user name, no
 * address and no path of this machine is recorded.
 */
#ifndef DPAMT_MEASURE_ENVIRONMENT_H
#define DPAMT_MEASURE_ENVIRONMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* CPU time of all CPUs together since boot. */
struct cpu_times {
	uint64_t total_ns;
	uint64_t busy_ns;	/* all but idle, iowait and steal */
	uint64_t steal_ns;	/* taken by the hypervisor while a CPU wanted to run */
};

/* From /proc/stat (resolution: one tick, mostly 10 ms). Returns 0 or -errno. */
int environment_cpu_times(struct cpu_times *t);

/* Steal between @from and @to as a percentage of the CPU time that passed, 0 if none passed. */
double environment_steal_pct(const struct cpu_times *from, const struct cpu_times *to);

/* MemAvailable in bytes, and the cgroup's limit if that is lower; 0 if unknown. */
uint64_t environment_memory_available(void);

/* True if CPUID says that a hypervisor is present. */
bool environment_virtual(void);

/*
 * A hash of the program that runs: what another build wrote means something else, and git
 * does not tell what was built. 0 if it cannot be read.
 */
uint64_t environment_program(void);

/*
 * The git state of the source tree at @dir (NULL: the tree that holds this
 * executable): {"commit","dirty","diff_hash","untracked"}. JSON null if it
 * is no git tree of this project or there is no git. diff_hash is the SHA-256 of
 * `git diff --binary HEAD`, null when the tree is clean. Takes about 20 ms.
 */
json_t *environment_git(const char *dir);

/*
 * All of it as one flat object: "kernel", "kernel_version", "arch", "config_hash",
 * "clocksource", "cpu_model", "microcode", "governor", "frequency_driver", "turbo",
 * "smt", "isolated_cpus", "mitigations" {}, "virtualisation", "hypervisor_type",
 * "dmi_vendor", "dmi_product", "memory_total_bytes", "memory_available_bytes",
 * "swap_total_bytes", "transparent_hugepage", "numa_balancing", "overcommit_memory",
 * "load_average" [], "steal_since_boot_ns", "steal_since_boot_pct", "compiler",
 * "compiler_flags", "clock", "clock_cost_ns", "clock_error_ppm", and "git" (of
 * @dir, as above). Text unless the name says otherwise. config_hash is the SHA-256
 * of the text of the kernel's .config. A new reference, NULL without memory. Takes
 * about 50 ms; not for a measured part.
 */
json_t *environment_json(const char *dir);

#endif
