/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dpamt-guest: what its verbs share. Beside the cells of main.c there are four, each
 * a stress of the host, or a look at it, that ends with the question whether all of it
 * came back: kill, churn, faults, owners, each in its file. Exit codes are those of dpamt.
 */
#ifndef DPAMT_GUEST_H
#define DPAMT_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec/kvm.h"

#define EXIT_FINE 0
#define EXIT_REGRESSED 1
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3

#define EMU_DIR "/sys/kernel/debug/tdx_emu"

/* The CPUs of this process, in the order in which vCPUs take them; cpus.c. */
extern unsigned int guest_cpus[], guest_nr_cpus;

void guest_find_cpus(void);

/* A line for who watches, with a newline put behind it. */
__attribute__((format(printf, 1, 2)))
void guest_say(const char *format, ...);

/* @text as a number above 0, or false. */
bool guest_number(const char *text, uint64_t *to);

/*
 * /workloads/@name.wl or, outside of an initramfs, workloads/@name.wl, at its
 * bench_scale, changed by @set[]; NULL with a line said.
 */
struct workload *guest_workload(const char *name, const char *const *set, size_t nr);

/* ------------------------------------------------------------------ judge.c */

/*
 * Whether a host without TDs is as it was: no TD, no count, no pair, no page and no
 * KeyID with the module, nothing that must never happen, the kernel log clean.
 * Waits a little for what the kernel frees late. False with the first reason in @why.
 */
bool judge_all_back(char *why, size_t size);

/*
 * Begin with the log's end: what was said before is not judged. Without @warnings only
 * what WARN() and its like say counts: where allocations fail the kernel says so.
 */
void judge_log_skip(bool warnings);

/*
 * Lines of level warning and above, a newline behind each. Of what WARN() and
 * an oops print between "cut here" and "end trace" only the line that says what it is.
 */
struct judge_log {
	char text[16384];
};

/* What the kernel has said since the last call. */
void judge_log_read(struct judge_log *log);

/* Value of @key in the module's census, or of tdx_pamt's file @file; 0 if there is none. */
uint64_t judge_census(const char *key);
uint64_t judge_pamt(const char *file, const char *key);

/*
 * Free memory in KB, after caches were dropped and it has stopped to grow; half a second or
 * more. With KASAN, slabs count as free. From the first call on CPUs keep few pages for themselves.
 */
uint64_t judge_free_kb(void);
/*
 * Is memory gone since there were @before KB free? With more than 4 MB, one line in @why:
 * less is what the kernel's own lists come and go by.
 */
bool judge_memory_back(uint64_t before, char *why, size_t size);

/* -------------------------------------------------------------------- verbs */

/* Each takes what stands behind its name; exit code. */
int guest_kill(int argc, char **argv);
int guest_churn(int argc, char **argv);
int guest_faults(int argc, char **argv);
int guest_owners(int argc, char **argv);

#endif
