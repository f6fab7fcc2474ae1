#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The concurrent and the parsing tests under ThreadSanitizer, and under
# AddressSanitizer with UndefinedBehaviorSanitizer. Any report fails the run. One
# line per test; the last line counts. Under 90 seconds on 2 cores, builds included.
set -u
cd "$(dirname "$0")/.." || exit 3

build=${BUILD:-build}
jobs=$(nproc)
log=$(mktemp) || exit 3
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# build_and_run NAME FLAGS TESTS..
build_and_run() {
	local name=$1 flags=$2 t
	shift 2
	local dir=$build/$name
	# shellcheck disable=SC2046
	if ! make -s -j"$jobs" BUILD="$dir" OPT=-O1 CFLAGS="$flags" LDFLAGS="$flags" \
		$(printf "$dir/tests/%s " "$@") >"$log" 2>&1; then
		tail -n 20 "$log"
		echo "FAILED the $name build"
		failed=$((failed + 1))
		return
	fi
	for t in "$@"; do
		if STRESS_SECONDS=2 TSAN_OPTIONS="halt_on_error=1 exitcode=66" \
			ASAN_OPTIONS="detect_leaks=1" UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1" \
			timeout 120 "$dir/tests/$t" >"$log" 2>&1; then
			echo "ok $name $t"
			passed=$((passed + 1))
		else
			tail -n 40 "$log"
			echo "FAILED $name $t"
			failed=$((failed + 1))
		fi
	done
}

build_and_run tsan "-fsanitize=thread" test_strategies test_stress test_host test_module_mt \
	test_module_guest_mt
build_and_run asan "-fsanitize=address,undefined -fno-sanitize-recover=all" test_strategies \
	test_stress test_host test_module_pamt test_module_mem test_module_td test_module_guest \
	test_module_fields test_workload \
	test_interp test_result

echo "check-sanitize: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
