/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The list of metrics: one line each. The run writes them by key, the reader
 * takes them by key, and every table, plot, comparison and JSON document is
 * made from this list, so a metric costs one line here and the line that
 * measures it.
 *
 * METRIC(key, title, unit, direction, column)
 *   key		unit in the suffix: _ns, _bytes, _pct, _per_sec, else a count
 *   direction	LOWER or HIGHER is better; INFO has no better
 *   column	SHOW puts it into the main table; MORE into the full report
 *
 * A per-group figure has the group's name in front: "victim.fault_p99_ns"; it
 * uses the line of the part behind the dot.
 */
#define METRICS(METRIC)                                                                              \
	/* latency of a private fault; the KVM part is a constant of the machine file */       \
	METRIC(fault_p50_ns, "fault p50", NS, LOWER, SHOW)                                     \
	METRIC(fault_p90_ns, "fault p90", NS, LOWER, MORE)                                     \
	METRIC(fault_p99_ns, "fault p99", NS, LOWER, SHOW)                                     \
	METRIC(fault_p999_ns, "fault p99.9", NS, LOWER, MORE)                                  \
	METRIC(fault_max_ns, "fault max", NS, LOWER, SHOW)                                     \
	METRIC(fault_mean_ns, "fault mean", NS, LOWER, MORE)                                   \
	METRIC(fault_stall_count, "faults left out of the mean", COUNT, LOWER, MORE)           \
	METRIC(fault_count, "faults", COUNT, INFO, MORE)                                       \
	METRIC(pages_per_sec, "pages/s", PER_SEC, HIGHER, SHOW)                                \
	/* time inside get and put; fast by batch (cost loop), slow per call */                \
	METRIC(cost_one_ns, "get+put fast, one word", NS, LOWER, SHOW)                         \
	METRIC(cost_many_ns, "get+put fast, 1024 words", NS, LOWER, SHOW)                      \
	METRIC(get_fast_ns, "get alone, throughput", NS, LOWER, MORE)                          \
	METRIC(put_fast_ns, "put alone, throughput", NS, LOWER, MORE)                          \
	METRIC(get_slow_ns, "get slow", NS, LOWER, SHOW)                                       \
	METRIC(put_slow_ns, "put slow", NS, LOWER, SHOW)                                       \
	METRIC(get_slow_p99_ns, "get slow p99", NS, LOWER, MORE)                               \
	METRIC(put_slow_p99_ns, "put slow p99", NS, LOWER, MORE)                               \
	METRIC(get_slow_count, "slow gets", COUNT, INFO, MORE)                                 \
	METRIC(put_slow_count, "slow puts", COUNT, INFO, MORE)                                 \
	METRIC(get_count, "gets", COUNT, INFO, MORE)                                           \
	METRIC(put_count, "puts", COUNT, INFO, MORE)                                           \
	METRIC(pamt_ns_per_page, "get+put per page", NS, LOWER, SHOW)                          \
	/* waiting for another CPU inside get or put */                                        \
	METRIC(wait_pct, "wait", PCT, LOWER, SHOW)                                             \
	METRIC(wait_true_pct, "wait true", PCT, LOWER, SHOW)                                   \
	METRIC(wait_false_pct, "wait false", PCT, LOWER, SHOW)                                 \
	METRIC(wait_total_ns, "wait total", NS, LOWER, MORE)                                   \
	METRIC(wait_count, "waits", COUNT, LOWER, SHOW)                                        \
	METRIC(wait_true_count, "waits true", COUNT, LOWER, MORE)                              \
	METRIC(wait_false_count, "waits false", COUNT, LOWER, MORE)                            \
	METRIC(wait_mean_ns, "wait mean", NS, LOWER, MORE)                                     \
	METRIC(wait_per_fault_ns, "wait per fault", NS, LOWER, MORE)                           \
	METRIC(wait_p99_ns, "wait p99", NS, LOWER, MORE)                                       \
	METRIC(wait_max_ns, "longest wait", NS, LOWER, MORE)                                   \
	METRIC(irqoff_max_ns, "longest IRQ-off", NS, LOWER, MORE)                              \
	/* SEAMCALLs answered BUSY */                                                          \
	METRIC(busy_count, "BUSY", COUNT, LOWER, SHOW)                                         \
	METRIC(busy_add_rcx, "BUSY ADD region", COUNT, LOWER, MORE)                            \
	METRIC(busy_add_page, "BUSY ADD page", COUNT, LOWER, MORE)                             \
	METRIC(busy_remove_rcx, "BUSY REMOVE region", COUNT, LOWER, MORE)                      \
	METRIC(busy_demote, "BUSY DEMOTE", COUNT, LOWER, MORE)                                 \
	METRIC(busy_other, "BUSY other leaves", COUNT, LOWER, MORE)                            \
	METRIC(busy_per_seamcall, "BUSY per PAMT SEAMCALL", RATIO, LOWER, MORE)                \
	/* transitions */                                                                      \
	METRIC(install_count, "installs", COUNT, INFO, SHOW)                                   \
	METRIC(remove_count, "removes", COUNT, INFO, SHOW)                                     \
	METRIC(lost_race_count, "lost races", COUNT, LOWER, MORE)                              \
	METRIC(retained_hit_count, "retained hits", COUNT, INFO, MORE)                         \
	METRIC(leaked_pair_count, "leaked pairs", COUNT, LOWER, MORE)                          \
	METRIC(transitions_per_sec, "transitions/s", PER_SEC, INFO, MORE)                      \
	/* memory of the host, in bytes */                                                     \
	METRIC(pamt_mean_bytes, "PAMT mean", BYTES, LOWER, SHOW)                               \
	METRIC(pamt_peak_bytes, "PAMT peak", BYTES, LOWER, SHOW)                               \
	METRIC(pairs_mean_bytes, "pairs mean", BYTES, LOWER, MORE)                             \
	METRIC(pairs_peak_bytes, "pairs peak", BYTES, LOWER, MORE)                             \
	METRIC(pamt_static_bytes, "static PAMT", BYTES, INFO, MORE)                            \
	METRIC(pamt_fixed_bytes, "1G+2M arrays, bitmap", BYTES, INFO, MORE)                    \
	METRIC(pamt_count_bytes, "counts", BYTES, LOWER, MORE)                                 \
	METRIC(strategy_bytes, "strategy's own", BYTES, LOWER, MORE)                           \
	METRIC(saved_mean_bytes, "saved mean", BYTES, HIGHER, SHOW)                            \
	METRIC(saved_peak_bytes, "saved at peak", BYTES, HIGHER, MORE)                         \
	METRIC(saved_per_td_bytes, "saved per TD", BYTES, HIGHER, SHOW)                        \
	/* who pays, and what gets done */                                                     \
	METRIC(fairness, "max/mean wait per TD", RATIO, LOWER, MORE)                           \
	METRIC(tds_per_sec, "TDs/s", PER_SEC, HIGHER, MORE)                                    \
	METRIC(flips_per_sec, "flips/s", PER_SEC, HIGHER, MORE)                                \
	METRIC(elapsed_ns, "elapsed", NS, LOWER, MORE)                                         \
	METRIC(lone_region_pct, "lone regions", PCT, INFO, MORE)                               \
	/* quality of the measurement */                                                       \
	METRIC(overrun_count, "SEAMCALL overruns", COUNT, LOWER, MORE)                         \
	METRIC(stall_count, "stalls left out", COUNT, LOWER, MORE)                             \
	METRIC(overrun_pct, "overruns", PCT, LOWER, MORE)                                      \
	METRIC(steal_pct, "steal", PCT, LOWER, MORE)                                           \
	/* hardware counters, null where the machine has none */                               \
	METRIC(cycles_per_page, "cycles/page", COUNT, LOWER, MORE)                             \
	METRIC(instructions_per_page, "instr/page", COUNT, LOWER, MORE)                        \
	METRIC(cache_misses_per_page, "LLC misses/page", COUNT, LOWER, MORE)                   \
	/* the controls: floors of the same machine, same invocation */                        \
	METRIC(floor_empty_ns, "empty loop", NS, INFO, MORE)                                   \
	METRIC(floor_clock_ns, "clock read", NS, INFO, MORE)                                   \
	METRIC(floor_add_pair_one_ns, "locked add pair, one word", NS, INFO, MORE)             \
	METRIC(floor_add_pair_many_ns, "locked add pair, 1024 words", NS, INFO, MORE)          \
	METRIC(floor_cas_pair_one_ns, "cmpxchg pair, one word", NS, INFO, MORE)                \
	METRIC(floor_cas_pair_many_ns, "cmpxchg pair, 1024 words", NS, INFO, MORE)             \
	METRIC(floor_lock_pair_one_ns, "two spinlock sections with a page pair, one lock", NS, INFO, MORE)\
	METRIC(floor_lock_pair_many_ns, "two spinlock sections with a page pair, 256 locks", NS, INFO, MORE)\
	/* the cost loop of each strategy against its own primitive and the locked add pair */ \
	METRIC(cost_ratio_one, "over its primitive, one word", RATIO, LOWER, MORE)             \
	METRIC(cost_ratio_many, "over its primitive, 1024 words", RATIO, LOWER, MORE)          \
	METRIC(cost_add_ratio_one, "over locked add pair, one word", RATIO, LOWER, MORE)       \
	METRIC(cost_add_ratio_many, "over locked add pair, 1024 words", RATIO, LOWER, MORE)
