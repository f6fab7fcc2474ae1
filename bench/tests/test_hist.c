// SPDX-License-Identifier: GPL-2.0-only
/*
 * The histogram against brute force: bin bounds tile the whole range of
 * uint64, quantiles against the sorted values within the derived error bound,
 * merging against one histogram that took everything, the JSON form there and
 * back, and every way in which a stored histogram can contradict itself.
 */
#include "tests/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "measure/hist.h"
#include "stats/rng.h"

static struct hist one, two, both;

static void bins_tile_the_range(void)
{
	unsigned int i;

	CHECK_EQ(HIST_NR_BINS, 3776);
	CHECK_EQ(hist_bin_low(0), 0);
	for (i = 0; i < HIST_NR_BINS; i++) {
		uint64_t low = hist_bin_low(i), high = hist_bin_high(i);

		if (i && hist_bin_high(i - 1) + 1 != low)
			CHECK_EQ(hist_bin_high(i - 1) + 1, low);
		if (hist_index(low) != i || hist_index(high) != i)
			CHECK_EQ(hist_index(low), i);
		/* the derived bound: width - 1 < low / 64 */
		if ((high - low) && (high - low) >= low / HIST_SUB_COUNT)
			CHECK(high - low < low / HIST_SUB_COUNT);
	}
	CHECK_EQ(hist_bin_high(HIST_NR_BINS - 1), UINT64_MAX);
	CHECK_EQ(hist_index(UINT64_MAX), HIST_NR_BINS - 1);
}

static void known_bins(void)
{
	CHECK_EQ(hist_index(0), 0);
	CHECK_EQ(hist_index(63), 63);
	CHECK_EQ(hist_index(64), 64);
	CHECK_EQ(hist_index(127), 127);
	CHECK_EQ(hist_index(128), 128);
	CHECK_EQ(hist_index(129), 128);
	CHECK_EQ(hist_index(130), 129);
	CHECK_EQ(hist_index(1000), 3 * 64 + 125);
	CHECK_EQ(hist_bin_low(3 * 64 + 125), 1000);
	CHECK_EQ(hist_bin_high(3 * 64 + 125), 1007);
}

static void empty(void)
{
	hist_reset(&one);
	CHECK_EQ(hist_quantile(&one, 1, 2), 0);
	CHECK(isnan(hist_mean(&one)));
	hist_reset(&two);
	hist_add(&two, 7);
	hist_merge(&two, &one);
	CHECK_EQ(two.min, 7);
	hist_merge(&one, &two);
	CHECK_EQ(one.min, 7);
	CHECK_EQ(one.max, 7);
	CHECK_EQ(one.count, 1);
}

static void exact_ranks(void)
{
	int i;

	hist_reset(&one);
	for (i = 1; i <= 100; i++)
		hist_add(&one, (uint64_t)i);
	CHECK_EQ(hist_quantile(&one, 0, 100), 1);
	CHECK_EQ(hist_quantile(&one, 1, 100), 1);
	CHECK_EQ(hist_quantile(&one, 50, 100), 50);
	CHECK_EQ(hist_quantile(&one, 501, 1000), 51);
	CHECK_EQ(hist_quantile(&one, 99, 100), 99);
	CHECK_EQ(hist_quantile(&one, 999, 1000), 100);
	CHECK_EQ(hist_quantile(&one, 1, 1), 100);
	CHECK_EQ(one.sum, 5050);
	CHECK(hist_mean(&one) == 50.5);
}

static void never_above_the_maximum(void)
{
	hist_reset(&one);
	hist_add(&one, 1000);
	CHECK_EQ(hist_quantile(&one, 1, 2), 1000);
	hist_add(&one, 1006);
	CHECK_EQ(hist_quantile(&one, 1, 2), 1006);
	hist_add(&one, 5000);
	CHECK_EQ(hist_quantile(&one, 1, 2), 1007);
}

static void huge_counts(void)
{
	/* count * num overflows 64 bits: the rank must not */
	hist_reset(&one);
	one.bins[10] = 1ull << 62;
	one.bins[20] = 1ull << 62;
	one.count = 1ull << 63;
	one.min = 10;
	one.max = 20;
	CHECK_EQ(hist_quantile(&one, 500000, 1000000), 10);
	CHECK_EQ(hist_quantile(&one, 500001, 1000000), 20);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void against_sorted_values(void)
{
	static const uint64_t nums[] = { 1, 100, 500, 900, 990, 999, 1000 };
	static uint64_t values[5000];
	struct rng rng;
	size_t i, nr = sizeof(values) / sizeof(values[0]);

	rng_seed(&rng, 1);
	hist_reset(&one);
	hist_reset(&two);
	hist_reset(&both);
	for (i = 0; i < nr; i++) {
		values[i] = rng_next(&rng) >> (22 + rng_below(&rng, 40));
		hist_add(i % 3 ? &one : &two, values[i]);
		hist_add(&both, values[i]);
	}
	hist_merge(&one, &two);
	CHECK(!memcmp(&one, &both, sizeof(one)));
	qsort(values, nr, sizeof(values[0]), by_value);
	CHECK_EQ(both.min, values[0]);
	CHECK_EQ(both.max, values[nr - 1]);
	for (i = 0; i < sizeof(nums) / sizeof(nums[0]); i++) {
		uint64_t want = values[(nr * nums[i] + 999) / 1000 - 1];
		uint64_t got = hist_quantile(&both, nums[i], 1000);

		CHECK(got >= want);
		CHECK(got - want <= want / HIST_SUB_COUNT);
	}
}

static void json_round_trip(void)
{
	char err[200] = "";
	json_t *json, *again;
	char *text;

	json = hist_encode(&both);
	CHECK(json != NULL);
	text = json_dumps(json, JSON_COMPACT);
	again = json_loads(text, 0, NULL);
	hist_reset(&one);
	CHECK_EQ(hist_decode(again, &one, err, sizeof(err)), 0);
	CHECK(!memcmp(&one, &both, sizeof(one)));
	free(text);
	json_decref(json);
	json_decref(again);

	hist_reset(&one);
	json = hist_encode(&one);
	CHECK_EQ(hist_decode(json, &two, err, sizeof(err)), 0);
	CHECK_EQ(two.count, 0);
	json_decref(json);

	hist_add(&one, UINT64_MAX);
	CHECK(hist_encode(&one) == NULL);
}

static void known_json(void)
{
	json_t *json;
	char *text;

	hist_reset(&one);
	hist_add(&one, 1000);
	hist_add(&one, 1001);
	hist_add(&one, 3);
	json = hist_encode(&one);
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	CHECK_STR(text, "{\"bins\":[[3,1],[317,2]],\"count\":3,\"max\":1001,\"min\":3,"
			"\"sub_bits\":6,\"sum\":2004}");
	free(text);
	json_decref(json);
}

struct bad {
	const char *text, *names;
	int error;
};

static const struct bad bad_list[] = {
	{ "[]", "object", -EINVAL },
	{ "{\"count\":0,\"sum\":0,\"min\":0,\"max\":0,\"bins\":[]}", "sub_bits", -EINVAL },
	{ "{\"sub_bits\":5,\"count\":0,\"sum\":0,\"min\":0,\"max\":0,\"bins\":[]}", "sub_bits",
	  -ENOTSUP },
	{ "{\"sub_bits\":6,\"count\":-1,\"sum\":0,\"min\":0,\"max\":0,\"bins\":[]}", "count",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3.5,\"min\":3,\"max\":3,\"bins\":[[3,1]]}", "sum",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":3}", "bins", -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":3,\"bins\":[3]}", "bin 0",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":3,\"bins\":[[3,1,1]]}", "bin 0",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":3,\"bins\":[[3776,1]]}", "bin 0",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":3,\"bins\":[[-1,1]]}", "bin 0",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":2,\"sum\":6,\"min\":3,\"max\":3,\"bins\":[[3,1],[3,1]]}",
	  "bin 1", -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":3,\"bins\":[[3,1],[4,0]]}",
	  "bin 1", -EINVAL },
	{ "{\"sub_bits\":6,\"count\":2,\"sum\":3,\"min\":3,\"max\":3,\"bins\":[[3,1]]}", "count",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":4,\"min\":3,\"max\":3,\"bins\":[[3,1]]}", "sum",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":2,\"max\":3,\"bins\":[[3,1]]}", "min",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":1,\"sum\":3,\"min\":3,\"max\":4,\"bins\":[[3,1]]}", "max",
	  -EINVAL },
	{ "{\"sub_bits\":6,\"count\":0,\"sum\":0,\"min\":0,\"max\":4,\"bins\":[]}", "max",
	  -EINVAL },
};

static void bad_json(void)
{
	size_t i;

	for (i = 0; i < sizeof(bad_list) / sizeof(bad_list[0]); i++) {
		json_t *json = json_loads(bad_list[i].text, 0, NULL);
		char err[200] = "";

		hist_reset(&one);
		hist_add(&one, 42);
		CHECK(json != NULL);
		CHECK_EQ(hist_decode(json, &one, err, sizeof(err)), bad_list[i].error);
		if (!CHECK(strstr(err, bad_list[i].names) != NULL))
			printf("\tcase %zu: \"%s\"\n", i, err);
		CHECK_EQ(one.count, 1);
		json_decref(json);
	}
}

int main(void)
{
	test_begin("hist");
	TEST(bins_tile_the_range);
	TEST(known_bins);
	TEST(empty);
	TEST(exact_ranks);
	TEST(never_above_the_maximum);
	TEST(huge_counts);
	TEST(against_sorted_values);
	TEST(json_round_trip);
	TEST(known_json);
	TEST(bad_json);
	return test_end();
}
