// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calibration of the measuring clock.
 *
 * Pairs (TSC, CLOCK_MONOTONIC_RAW) are taken as the tightest of several
 * brackets, so that an interrupt or a steal between the two reads is thrown
 * away. The rate is taken over a window of CALIBRATE_NS; two halves of the
 * window must agree within ERROR_PPM_MAX, otherwise a longer window is tried
 * and at last the system call is used. Invariance is CPUID 0x80000007 EDX[8];
 * the kernel's own verdict counts too: a clock source other than tsc or a
 * paravirtual one means that it has found the TSC wanting.
 */
#include "measure/clock.h"

#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CALIBRATE_NS 25000000u	/* at least 20 ms */
#define CALIBRATE_TRIES 3
#define ERROR_PPM_MAX 200
#define BRACKETS 16
#define COST_READS 20000

struct clock_state clock_state;

static bool initialised;
static const char *reason = "clock_init() has not run";

#if defined(__x86_64__)

struct stamp {
	uint64_t tsc;
	uint64_t ns;
};

static bool tsc_invariant(void)
{
	unsigned int a, b, c, d;

	if (!__get_cpuid(0x80000007, &a, &b, &c, &d))
		return false;
	return d & (1u << 8);
}

/* False if the kernel has fallen back to a clock source outside the CPU. */
static bool kernel_trusts_tsc(void)
{
	char name[64] = "";
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (!f)
		return true;
	if (!fgets(name, sizeof(name), f))
		name[0] = 0;
	fclose(f);
	return strncmp(name, "hpet", 4) && strncmp(name, "acpi_pm", 7) &&
	       strncmp(name, "jiffies", 7);
}

static struct stamp stamp_take(void)
{
	struct stamp best = { 0, 0 };
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < BRACKETS; i++) {
		uint64_t before = __rdtsc();
		uint64_t ns = clock_raw_ns();
		uint64_t after = __rdtsc();

		if (after - before >= width)
			continue;
		width = after - before;
		best.tsc = before + (after - before) / 2;
		best.ns = ns;
	}
	return best;
}

static void sleep_until(uint64_t ns)
{
	uint64_t now = clock_raw_ns();

	while (now < ns) {
		struct timespec ts = { .tv_nsec = (long)(ns - now) };

		nanosleep(&ts, NULL);
		now = clock_raw_ns();
	}
}

static uint64_t rate(const struct stamp *from, const struct stamp *to)
{
	if (to->tsc <= from->tsc || to->ns <= from->ns)
		return 0;
	return (uint64_t)(((unsigned __int128)(to->ns - from->ns) << CLOCK_SHIFT) /
			  (to->tsc - from->tsc));
}

/* One window of @window ns. Returns mult, or 0 if its halves disagree. */
static uint64_t calibrate(uint64_t window, uint32_t *ppm)
{
	struct stamp start, middle, end;
	uint64_t first, second, diff;

	start = stamp_take();
	sleep_until(start.ns + window / 2);
	middle = stamp_take();
	sleep_until(start.ns + window);
	end = stamp_take();
	first = rate(&start, &middle);
	second = rate(&middle, &end);
	if (!first || !second)
		return 0;
	diff = first > second ? first - second : second - first;
	*ppm = (uint32_t)(diff * 1000000 / first);
	if (*ppm > ERROR_PPM_MAX)
		return 0;
	clock_state.base = start.tsc;
	return rate(&start, &end);
}

static void tsc_setup(void)
{
	uint64_t mult = 0;
	uint32_t ppm = 0;

	if (!tsc_invariant()) {
		reason = "the TSC is not invariant";
		return;
	}
	if (!kernel_trusts_tsc()) {
		reason = "the kernel does not use the TSC as clock source";
		return;
	}
	for (int i = 0; i < CALIBRATE_TRIES && !mult; i++)
		mult = calibrate((uint64_t)CALIBRATE_NS << i, &ppm);
	if (!mult) {
		reason = "the TSC and CLOCK_MONOTONIC_RAW disagree";
		return;
	}
	clock_state.hz = (uint64_t)(((unsigned __int128)1000000000u << CLOCK_SHIFT) / mult);
	clock_state.error_ppm = ppm;
	clock_state.mult = mult;
}

#else

static void tsc_setup(void)
{
	reason = "no TSC on this architecture";
}

#endif

/* Mean over the better of a few batches, rounded up. */
static uint32_t measure_cost(void)
{
	uint64_t best = UINT64_MAX;

	for (int batch = 0; batch < 5; batch++) {
		uint64_t start = clock_ns(), took;

		for (int i = 0; i < COST_READS; i++) {
			uint64_t now = clock_ns();

			__asm__ volatile("" : : "r"(now));
		}
		took = clock_ns() - start;
		if (took < best)
			best = took;
	}
	best = (best + COST_READS - 1) / COST_READS;
	return best ? (uint32_t)best : 1;
}

bool clock_init(void)
{
	if (initialised)
		return clock_state.mult;
	initialised = true;
	tsc_setup();
	clock_state.cost_ns = measure_cost();
	return clock_state.mult;
}

uint32_t clock_cost_ns(void)
{
	return clock_state.cost_ns;
}

const char *clock_name(void)
{
	static char name[128];

	if (clock_state.mult)
		snprintf(name, sizeof(name), "tsc %.3f GHz", (double)clock_state.hz / 1e9);
	else
		snprintf(name, sizeof(name), "clock_gettime(CLOCK_MONOTONIC_RAW): %s", reason);
	return name;
}
