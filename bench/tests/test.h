/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test harness: a test program is a main() of TEST() calls between
 * test_begin() and test_end(). CHECK*() count; the first failures are printed
 * with file, line and values. test_end() prints "NAME: N passed, N failed"
 * and gives the exit status (1 if any check failed, or if none ran).
 */
#ifndef DPAMT_TEST_H
#define DPAMT_TEST_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *test_program, *test_current = "";
static unsigned long test_passed, test_failed;

static inline void test_begin(const char *program)
{
	test_program = program;
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static inline int test_result(int ok, const char *file, int line, const char *what)
{
	if (ok) {
		test_passed++;
	} else {
		test_failed++;
		if (test_failed <= 50)
			printf("%s:%d: FAIL %s: %s\n", file, line, test_current, what);
	}
	return ok;
}

static inline int test_equal(uint64_t got, uint64_t want, const char *file, int line,
			     const char *what)
{
	int ok = got == want;

	test_result(ok, file, line, what);
	if (!ok && test_failed <= 50)
		printf("\tgot  %#" PRIx64 " (%" PRId64 ")\n\twant %#" PRIx64 " (%" PRId64 ")\n",
		       got, (int64_t)got, want, (int64_t)want);
	return ok;
}

static inline int test_string(const char *got, const char *want, const char *file, int line,
			      const char *what)
{
	int ok = got && want && !strcmp(got, want);

	test_result(ok, file, line, what);
	if (!ok && test_failed <= 50)
		printf("\tgot  \"%s\"\n\twant \"%s\"\n", got ? got : "(null)", want ? want : "(null)");
	return ok;
}

#define CHECK(cond) test_result(!!(cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ(got, want) \
	test_equal((uint64_t)(got), (uint64_t)(want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_STR(got, want) test_string((got), (want), __FILE__, __LINE__, #got " is " #want)
#define TEST(fn)                      \
	do {                          \
		test_current = #fn;   \
		fn();                 \
	} while (0)

static inline int test_end(void)
{
	printf("%s: %lu passed, %lu failed\n", test_program, test_passed, test_failed);
	return test_failed || !test_passed;
}

#endif
