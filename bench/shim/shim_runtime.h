/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an executor needs of the shim: say which CPU runs now, how many there
 * are, and ask whether the code under test warned (WARN_ON_ONCE in the
 * kernel): a warning is a violation of a run.
 */
#ifndef SHIM_RUNTIME_H
#define SHIM_RUNTIME_H

/* The calling thread (native) or the fiber being switched to acts as @cpu. */
void shim_set_cpu(unsigned int cpu);
/* Number of CPUs that per-CPU data is allocated for; at most SHIM_NR_CPUS. */
void shim_set_nr_cpus(unsigned int nr);
/* Warnings since the last clear; *@first is "file:line: condition" of the first. */
unsigned long shim_warnings(const char **first);
void shim_clear_warnings(void);

#endif
