/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log-linear histogram of uint64 values, nanoseconds as a rule.
 *
 * Values below 2 * 2^HIST_SUB_BITS have a bin each. Above, each power of two
 * is cut into 2^HIST_SUB_BITS bins of equal width: a value v with
 * 2^k <= v < 2^(k+1) lies in a bin of width 2^(k - HIST_SUB_BITS), so the
 * upper bound of the bin exceeds v by less than v / 2^HIST_SUB_BITS. With 6
 * bits a quantile is at most 1/64 = 1.6% above the true value, never below it
 * and, being clamped, never above the maximum, which is exact as are minimum,
 * sum and count.
 *
 * One writer at a time; no lock, no division, no branch on the value's size.
 * A zero-filled struct is an empty histogram.
 */
#ifndef DPAMT_HIST_H
#define DPAMT_HIST_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_SUB_BITS 6
#define HIST_SUB_COUNT (1u << HIST_SUB_BITS)
/* The highest shift is 63 - HIST_SUB_BITS; the linear part takes one more share. */
#define HIST_NR_BINS ((65 - HIST_SUB_BITS) * HIST_SUB_COUNT)

struct hist {
	/* the fields that every hist_add() touches share a line */
	uint64_t count, sum, min, max;
	uint64_t bins[HIST_NR_BINS];
};

/* Index of the bin that holds @value: 0 .. HIST_NR_BINS - 1. */
static inline unsigned int hist_index(uint64_t value)
{
	unsigned int shift = 63 - HIST_SUB_BITS - __builtin_clzll(value | HIST_SUB_COUNT);

	return (shift << HIST_SUB_BITS) + (unsigned int)(value >> shift);
}

/* Count @value. The sum wraps beyond 2^64 (584 years of nanoseconds). */
static inline void hist_add(struct hist *h, uint64_t value)
{
	h->bins[hist_index(value)]++;
	h->sum += value;
	if (value < h->min || !h->count)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
}

/* Smallest and largest value that bin @index (< HIST_NR_BINS) counts. */
uint64_t hist_bin_low(unsigned int index);
uint64_t hist_bin_high(unsigned int index);

void hist_reset(struct hist *h);
/* Add all of @from to @into; the result is as if one histogram had taken both. */
void hist_merge(struct hist *into, const struct hist *from);

/*
 * The value of rank ceil(count * num / den), at least 1: num/den = 99/100 is
 * p99, 1/1 the maximum. The rank is exact integer arithmetic; num <= den and
 * den > 0. Returns the upper bound of the value's bin, at most h->max; 0 when
 * the histogram is empty, so look at h->count first.
 */
uint64_t hist_quantile(const struct hist *h, uint64_t num, uint64_t den);

/* Exact arithmetic mean; NAN (null in the result format) when empty. */
double hist_mean(const struct hist *h);

/*
 * HIST of report/result.h: {"sub_bits","count","sum","min","max","bins"}, bins
 * sparse and in ascending order. Returns a new reference, or NULL when memory
 * is short or a figure exceeds INT64_MAX, the end of a JSON integer here.
 */
json_t *hist_encode(const struct hist *h);

/*
 * Read what hist_encode() wrote into @h. Returns 0; -ENOTSUP when sub_bits is
 * not HIST_SUB_BITS; -EINVAL when a field is missing, of the wrong type, or
 * contradicts another (count, sum, min and max are checked against the bins).
 * On error @h is unchanged and @err holds one line that names the field.
 */
int hist_decode(const json_t *json, struct hist *h, char *err, size_t err_size);

#endif
