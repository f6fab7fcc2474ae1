/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sizes, times, shares, counts and scales as people write them in workload
 * files, machine files and on the command line, and back. Strict: no blanks,
 * no sign, no fraction, no other suffix. All parsers return 0, -EINVAL (not of
 * this form) or -ERANGE (of this form, but beyond what fits), and leave *v
 * alone on error.
 */
#ifndef DPAMT_TD_UNITS_H
#define DPAMT_TD_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "4K", "2M", "16G", "1T" (binary) or "0"; bytes. */
int parse_size(const char *s, uint64_t *v);
/* "100ns", "4us", "2ms", "1s" or "0"; nanoseconds. */
int parse_time(const char *s, uint64_t *v);
/* "0%" to "100%"; percent. */
int parse_share(const char *s, uint64_t *v);
/* "1234"; at most 2^64 - 1. */
int parse_count(const char *s, uint64_t *v);
/* "1" or "1/512": 1 <= num <= den <= 2^20. */
int parse_scale(const char *s, uint64_t *num, uint64_t *den);

/* The shortest exact form that the parsers read back; returns @buf. */
#define UNITS_TEXT_MAX 32
const char *format_size(char buf[UNITS_TEXT_MAX], uint64_t bytes);
const char *format_time(char buf[UNITS_TEXT_MAX], uint64_t ns);
const char *format_scale(char buf[UNITS_TEXT_MAX], uint64_t num, uint64_t den);

/* 64-bit FNV-1a of @len bytes, continued from @hash (start with FNV_START). */
#define FNV_START 0xcbf29ce484222325ULL
uint64_t fnv1a64(uint64_t hash, const void *data, size_t len);

#endif
