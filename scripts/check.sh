#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests: every bench/tests/test_* program and script, the random schedules
# of `dpamt check`, the small bound of `dpamt explore`, and the sanitizer builds. Prints one line per program and the
# output of what failed; the last line counts checks. 4 to 6 minutes on 2
# cores. `scripts/check.sh NAME..` runs only those tests.
set -u
cd "$(dirname "$0")/.." || exit 3

build=${BUILD:-build}
jobs=$(nproc)
log=$(mktemp) || exit 3
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# Take "N passed, N failed" from the end of a test's output.
count() {
	local name=$1 status=$2 line
	line=$(grep -oE '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
	set -- $line
	local p=${1:-0} f=${3:-0}
	# A program that dies, or that runs no check, has failed.
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	if [ "$p" -eq 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	passed=$((passed + p)) failed=$((failed + f))
	if [ "$f" -gt 0 ]; then
		tail -n 40 "$log"
		echo "FAILED $name (exit $status)"
	else
		printf 'ok %-24s %6d checks, %s s\n' "$name" "$p" "$((SECONDS - started))"
	fi
}

run() {
	local name=$1
	shift
	started=$SECONDS
	"$@" >"$log" 2>&1
	count "$name" $?
}

wanted() {
	[ -z "$only" ] && return 0
	case " $only " in *" $1 "*) return 0 ;; esac
	return 1
}

only="$*"
make -s -j"$jobs" BUILD="$build" all tests || { echo "check: 0 passed, 1 failed"; exit 1; }

for t in "$build"/tests/test_*; do
	name=$(basename "$t")
	[ -x "$t" ] && [ "${name%.o}" = "$name" ] && [ "${name%.d}" = "$name" ] || continue
	wanted "$name" && run "$name" "$t"
done
for t in bench/tests/test_*.sh; do
	name=$(basename "$t" .sh)
	wanted "$name" && DPAMT="$build/dpamt" run "$name" bash "$t"
done
wanted schedules && run schedules "$build/dpamt" check --quiet --schedules "${SCHEDULES:-400}"
wanted explore && run explore "$build/dpamt" explore --quiet --bound 1 --random 100 --seconds 30 \
	--out "$build"
wanted sanitize && run sanitize scripts/check-sanitize.sh

echo "check: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
