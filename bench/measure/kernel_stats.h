/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading what the kernel says of Dynamic PAMT: /sys/kernel/debug/tdx_pamt (its
 * Documentation/ABI/testing/debugfs-tdx-pamt). Files are "key value" lines; keys that
 * are not asked for are passed over, so a newer kernel may have more of them.
 */
#ifndef DPAMT_KERNEL_STATS_H
#define DPAMT_KERNEL_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_STATS_DIR "/sys/kernel/debug/tdx_pamt"
/* Of the emulated TDX module. */
#define KERNEL_EMU_DIR "/sys/kernel/debug/tdx_emu"
#define KERNEL_HIST_BINS 2048

struct kernel_hist {
	uint64_t sum_ns, max_ns;
	unsigned int sub_bits, max_bits, nr;
	struct {
		uint64_t low, count;
	} bin[KERNEL_HIST_BINS];
};

/* All of @file in @dir, NUL-ended; free() it. NULL with errno. */
char *kernel_stats_read(const char *dir, const char *file);
/* Write @text there. 0, -errno. */
int kernel_stats_write(const char *dir, const char *file, const char *text);

/* The value of @key in a file's text. False: no such key, or no number. */
bool kernel_stats_value(const char *text, const char *key, uint64_t *value);
/* The same, 0 if it is not there. */
uint64_t kernel_stats_get(const char *text, const char *key);

/* 0; -ENOENT: no histogram @name; -EINVAL: not of the form; -E2BIG: more bins than fit. */
int kernel_stats_hist(const char *text, const char *name, struct kernel_hist *h);

/* The word in brackets, of a list of choices. False: none, or longer than @size. */
bool kernel_stats_choice(const char *text, char *name, size_t size);

#endif
