// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the histogram that is not on a hot path: merging, quantiles,
 * and its form in the result files. Decoding trusts nothing: a histogram that
 * contradicts itself would merge into figures that look sound.
 */
#include "measure/hist.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t hist_bin_low(unsigned int index)
{
	unsigned int shift;

	if (index < 2 * HIST_SUB_COUNT)
		return index;
	shift = (index >> HIST_SUB_BITS) - 1;
	return (uint64_t)(index - (shift << HIST_SUB_BITS)) << shift;
}

uint64_t hist_bin_high(unsigned int index)
{
	unsigned int shift;

	if (index < 2 * HIST_SUB_COUNT)
		return index;
	shift = (index >> HIST_SUB_BITS) - 1;
	return hist_bin_low(index) + ((1ull << shift) - 1);
}

void hist_reset(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

void hist_merge(struct hist *into, const struct hist *from)
{
	unsigned int i;

	if (!from->count)
		return;
	for (i = 0; i < HIST_NR_BINS; i++)
		into->bins[i] += from->bins[i];
	if (!into->count || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->count += from->count;
	into->sum += from->sum;
}

uint64_t hist_quantile(const struct hist *h, uint64_t num, uint64_t den)
{
	uint64_t rank, seen = 0, high;
	unsigned int i;

	if (!h->count)
		return 0;
	rank = (uint64_t)(((unsigned __int128)h->count * num + den - 1) / den);
	if (!rank)
		rank = 1;
	for (i = 0; i < HIST_NR_BINS; i++) {
		seen += h->bins[i];
		if (seen >= rank) {
			high = hist_bin_high(i);
			return high < h->max ? high : h->max;
		}
	}
	return h->max;
}

double hist_mean(const struct hist *h)
{
	return h->count ? (double)h->sum / (double)h->count : NAN;
}

static json_t *encode_bins(const struct hist *h)
{
	json_t *bins = json_array();
	unsigned int i;

	for (i = 0; bins && i < HIST_NR_BINS; i++) {
		json_t *pair;

		if (!h->bins[i])
			continue;
		pair = json_pack("[I, I]", (json_int_t)i, (json_int_t)h->bins[i]);
		if (!pair || json_array_append_new(bins, pair)) {
			json_decref(bins);
			return NULL;
		}
	}
	return bins;
}

json_t *hist_encode(const struct hist *h)
{
	json_t *bins;

	if (h->count > INT64_MAX || h->sum > INT64_MAX || h->max > INT64_MAX)
		return NULL;
	bins = encode_bins(h);
	if (!bins)
		return NULL;
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:o}", "sub_bits", HIST_SUB_BITS,
			 "count", (json_int_t)h->count, "sum", (json_int_t)h->sum,
			 "min", (json_int_t)h->min, "max", (json_int_t)h->max, "bins", bins);
}

__attribute__((format(printf, 4, 5)))
static int refuse(int error, char *err, size_t err_size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (err && err_size)
		vsnprintf(err, err_size, format, args);
	va_end(args);
	return error;
}

static int decode_uint(const json_t *json, const char *key, uint64_t *value, char *err,
		       size_t err_size)
{
	const json_t *item = json_object_get(json, key);

	if (!json_is_integer(item) || json_integer_value(item) < 0)
		return refuse(-EINVAL, err, err_size,
			      "histogram: \"%s\" is missing or not an integer >= 0", key);
	*value = (uint64_t)json_integer_value(item);
	return 0;
}

/* One [index, count] into @h->bins; the index must be above @last. Returns it or -EINVAL. */
static int decode_bin(const json_t *pair, size_t nr, int last, struct hist *h, char *err,
		      size_t err_size)
{
	const json_t *first = json_array_get(pair, 0), *second = json_array_get(pair, 1);
	long long index, count;

	if (json_array_size(pair) != 2 || !json_is_integer(first) || !json_is_integer(second))
		return refuse(-EINVAL, err, err_size, "histogram: bin %zu is not [index, count]",
			      nr);
	index = json_integer_value(first);
	count = json_integer_value(second);
	if (index <= last || index >= HIST_NR_BINS)
		return refuse(-EINVAL, err, err_size,
			      "histogram: bin %zu: index %lld is not above %d and below %u", nr,
			      index, last, HIST_NR_BINS);
	if (count <= 0)
		return refuse(-EINVAL, err, err_size,
			      "histogram: bin %zu: count %lld is not above 0", nr, count);
	h->bins[index] = (uint64_t)count;
	return (int)index;
}

static int decode_bins(const json_t *bins, struct hist *h, char *err, size_t err_size)
{
	const json_t *pair;
	int last = -1;
	size_t i;

	if (!json_is_array(bins))
		return refuse(-EINVAL, err, err_size, "histogram: \"bins\" is not an array");
	json_array_foreach(bins, i, pair) {
		last = decode_bin(pair, i, last, h, err, err_size);
		if (last < 0)
			return last;
	}
	return 0;
}

/* Do count, sum, min and max agree with the bins? */
static int check_bins(const struct hist *h, char *err, size_t err_size)
{
	unsigned __int128 count = 0, low = 0, high = 0;
	unsigned int i, first = HIST_NR_BINS, last = 0;

	for (i = 0; i < HIST_NR_BINS; i++) {
		if (!h->bins[i])
			continue;
		if (first == HIST_NR_BINS)
			first = i;
		last = i;
		count += h->bins[i];
		low += (unsigned __int128)h->bins[i] * hist_bin_low(i);
		high += (unsigned __int128)h->bins[i] * hist_bin_high(i);
	}
	if (count != h->count)
		return refuse(-EINVAL, err, err_size,
			      "histogram: \"count\" is not the sum of the bins");
	if (h->sum < low || h->sum > high)
		return refuse(-EINVAL, err, err_size,
			      "histogram: \"sum\" is outside what the bins allow");
	if (!count)
		return h->min || h->max ? refuse(-EINVAL, err, err_size,
						 "histogram: empty, yet with \"min\" or \"max\"")
					: 0;
	if (h->min > h->max || hist_index(h->min) != first)
		return refuse(-EINVAL, err, err_size, "histogram: \"min\" is not in the first bin");
	if (hist_index(h->max) != last)
		return refuse(-EINVAL, err, err_size, "histogram: \"max\" is not in the last bin");
	return 0;
}

static int decode_into(const json_t *json, struct hist *h, char *err, size_t err_size)
{
	uint64_t sub_bits;
	int ret;

	if (!json_is_object(json))
		return refuse(-EINVAL, err, err_size, "histogram: not an object");
	ret = decode_uint(json, "sub_bits", &sub_bits, err, err_size);
	if (ret)
		return ret;
	if (sub_bits != HIST_SUB_BITS)
		return refuse(-ENOTSUP, err, err_size,
			      "histogram: \"sub_bits\" is %llu, this program reads %d",
			      (unsigned long long)sub_bits, HIST_SUB_BITS);
	ret = decode_uint(json, "count", &h->count, err, err_size);
	if (!ret)
		ret = decode_uint(json, "sum", &h->sum, err, err_size);
	if (!ret)
		ret = decode_uint(json, "min", &h->min, err, err_size);
	if (!ret)
		ret = decode_uint(json, "max", &h->max, err, err_size);
	if (!ret)
		ret = decode_bins(json_object_get(json, "bins"), h, err, err_size);
	return ret ? ret : check_bins(h, err, err_size);
}

int hist_decode(const json_t *json, struct hist *h, char *err, size_t err_size)
{
	struct hist *read = calloc(1, sizeof(*read));
	int ret;

	if (!read)
		return refuse(-ENOMEM, err, err_size, "histogram: out of memory");
	ret = decode_into(json, read, err, err_size);
	if (!ret)
		*h = *read;
	free(read);
	return ret;
}
