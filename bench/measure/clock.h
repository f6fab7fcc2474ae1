/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The measuring clock: nanoseconds from the time stamp counter.
 *
 * clock_init() calibrates an invariant TSC against CLOCK_MONOTONIC_RAW; then
 * ns = (tsc - base) * mult >> 32, a 64x64->128 multiplication and no system call.
 * Without an invariant TSC (or when the calibration does not settle)
 * clock_ns() is clock_gettime(CLOCK_MONOTONIC_RAW). rdtsc is not serialising:
 * a clock read may drift by some tens of cycles against its neighbours, which
 * clock_cost_ns() covers; nothing here orders memory.
 */
#ifndef DPAMT_MEASURE_CLOCK_H
#define DPAMT_MEASURE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define CLOCK_SHIFT 32

/* Read-mostly; a line of its own, so that no writer's neighbour slows a clock read. */
struct clock_state {
	uint64_t mult;		/* ns per tick << CLOCK_SHIFT; 0: no usable TSC */
	uint64_t base;		/* TSC at clock_init() */
	uint64_t hz;		/* ticks per second, 0 without TSC */
	uint32_t cost_ns;	/* of one clock_ns(), rounded up, at least 1 */
	uint32_t error_ppm;	/* spread of the last calibration intervals */
} __attribute__((aligned(64)));

extern struct clock_state clock_state;

/*
 * Calibrate, about 25 ms. Call once before any thread uses clock_ns(); later
 * calls return at once. Returns true if the TSC is used.
 */
bool clock_init(void);

/* Nanoseconds that one clock_ns() costs; 0 before clock_init(). */
uint32_t clock_cost_ns(void);

/* "tsc 2.100 GHz" or "clock_gettime(CLOCK_MONOTONIC_RAW): REASON". Static storage. */
const char *clock_name(void);

/* The slow clock: CLOCK_MONOTONIC_RAW in ns. */
static inline uint64_t clock_raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Duration of @ticks in ns; ticks are those of the TSC. */
static inline uint64_t clock_ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * clock_state.mult) >> CLOCK_SHIFT);
}

/* Nanoseconds since an arbitrary origin, the same one on every CPU. */
static inline uint64_t clock_ns(void)
{
#if defined(__x86_64__)
	if (__builtin_expect(clock_state.mult != 0, 1))
		return clock_ticks_to_ns(__rdtsc() - clock_state.base);
#endif
	return clock_raw_ns();
}

#endif
