// SPDX-License-Identifier: GPL-2.0-only
/*
 * Strict readers and writers of sizes, times, shares, counts and scales.
 * A number is decimal digits only; the overflow checks are exact.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "td/units.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"T", 1ULL << 40}, {"G", 1ULL << 30}, {"M", 1ULL << 20}, {"K", 1ULL << 10}, {0},
};

static const struct unit time_units[] = {
	{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}, {0},
};

/* Reads digits; *end is what follows them. */
static int parse_digits(const char *s, uint64_t *v, const char **end)
{
	uint64_t value = 0;
	int overflow = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value);
	}
	*end = s;
	*v = value;
	return overflow ? -ERANGE : 0;
}

static int parse_units(const char *s, const struct unit *units, uint64_t *v)
{
	const char *end;
	uint64_t value;
	int ret = parse_digits(s, &value, &end);

	if (ret == -EINVAL)
		return ret;
	if (!ret && !value && !*end) {
		*v = 0;
		return 0;
	}
	for (; units->suffix; units++) {
		if (strcmp(end, units->suffix))
			continue;
		if (ret || __builtin_mul_overflow(value, units->factor, &value))
			return -ERANGE;
		*v = value;
		return 0;
	}
	return -EINVAL;
}

int parse_size(const char *s, uint64_t *v)
{
	return parse_units(s, size_units, v);
}

int parse_time(const char *s, uint64_t *v)
{
	return parse_units(s, time_units, v);
}

int parse_share(const char *s, uint64_t *v)
{
	const char *end;
	uint64_t value;
	int ret = parse_digits(s, &value, &end);

	if (ret == -EINVAL || strcmp(end, "%"))
		return -EINVAL;
	if (ret || value > 100)
		return -ERANGE;
	*v = value;
	return 0;
}

int parse_count(const char *s, uint64_t *v)
{
	const char *end;
	uint64_t value;
	int ret = parse_digits(s, &value, &end);

	if (ret == -EINVAL || *end)
		return -EINVAL;
	if (!ret)
		*v = value;
	return ret;
}

int parse_scale(const char *s, uint64_t *num, uint64_t *den)
{
	const char *end;
	uint64_t n, d = 1;
	int ret = parse_digits(s, &n, &end);

	if (ret == -EINVAL)
		return ret;
	if (*end == '/') {
		int below = parse_digits(end + 1, &d, &end);

		if (below == -EINVAL)
			return below;
		if (!ret)
			ret = below;
	}
	if (*end)
		return -EINVAL;
	if (ret || !n || n > d || d > 1 << 20)
		return -ERANGE;
	*num = n;
	*den = d;
	return 0;
}

static const char *format_units(char *buf, const struct unit *units, uint64_t v)
{
	for (; units->suffix; units++) {
		if (v && !(v % units->factor)) {
			snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "%s", v / units->factor,
				 units->suffix);
			return buf;
		}
	}
	snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64, v);
	return buf;
}

const char *format_size(char buf[UNITS_TEXT_MAX], uint64_t bytes)
{
	return format_units(buf, size_units, bytes);
}

const char *format_time(char buf[UNITS_TEXT_MAX], uint64_t ns)
{
	return format_units(buf, time_units, ns);
}

const char *format_scale(char buf[UNITS_TEXT_MAX], uint64_t num, uint64_t den)
{
	if (num == den)
		snprintf(buf, UNITS_TEXT_MAX, "1");
	else
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "/%" PRIu64, num, den);
	return buf;
}

uint64_t fnv1a64(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3ULL;
	return hash;
}
