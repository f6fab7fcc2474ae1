#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/emu-waits.sh over fixtures: what it lets pass, and that each figure that is off
# by what a lost or doubled wait would be is found.
set -u

cd "$(dirname "$0")/../.." || exit 3
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# A cell of $1 with waits, ns, lock_stat's, its ns, our events, all of them, lost events,
# perf's waits (if it was there).
cell() {
	printf '{"kind":"cell","workload":"w","strategy":"%s","status":"ok","metrics":{"wait_count":%s,' "$1" "$2"
	printf '"wait_total_ns":%s},"waits":{"lock_stat_contentions":%s,"lock_stat_wait_ns":%s,' "$3" "$4" "$5"
	printf '"event_waits":%s,"event_begins":%s,"events_lost":%s' "$6" "$7" "$8"
	[ $# -lt 9 ] || printf ',"perf_waits":%s,"perf_wait_ns":700000' "$9"
	printf '}}\n'
}

# Exit code $1, and a line that has $2.
judged() {
	scripts/emu-waits.sh --from="$dir/lines" >"$dir/out" 2>&1
	local code=$?
	if [ $code = "$1" ] && grep -q -- "$2" "$dir/out"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL line ${BASH_LINENO[0]}: exit $code, want $1 and \"$2\":"
		cat "$dir/out"
	fi
}

{ cell global 100 900000 90 800000 100 140 0; cell global-fast 30 60000 25 50000 30 30 0; } >"$dir/lines"
judged 0 'global  *100  *90  *1.11  *900  *800  *1.12  *100  *40  *-  *-$'
{ cell global 100 900000 90 800000 100 140 0 98; cell global 30 90000 25 80000 30 40 0 30; } >"$dir/lines"
judged 0 'global .* 128  *1400$'
cell global 100 900000 90 800000 100 140 0 101 >"$dir/lines"
judged 1 'WRONG: global: 100 waits counted, perf has 101'
cell global 100 900000 90 800000 100 140 0 0 >"$dir/lines"
judged 1 'WRONG: global: 100 waits counted, perf has none'
{ cell global 60 900000 50 800000 60 80 0; cell global 40 10000 30 5000 40 41 0; } >"$dir/lines"
judged 0 'global  *100  *80 '
cell global 89 900000 90 800000 89 129 0 >"$dir/lines"
judged 1 'WRONG: global: 89 waits counted, lock_stat has 90 contentions'
cell global 100 700000 90 800000 100 140 0 >"$dir/lines"
judged 1 'WRONG: global: 700000 ns of waiting counted, lock_stat has 800000'
cell global 201 900000 90 800000 201 241 0 >"$dir/lines"
judged 1 'lock_stat has only 90 contentions'
cell global 100 900000 90 800000 99 139 0 >"$dir/lines"
judged 1 '100 waits counted, 99 events of them'
cell global 100 900000 90 800000 99 139 7 >"$dir/lines"
judged 0 global
cell global 100 900000 90 800000 100 191 0 >"$dir/lines"
judged 1 '91 contention events of the lock, lock_stat has 90'
cell global 100 900000 90 800000 100 99 0 >"$dir/lines"
judged 1 '100 waits, 99 contention events of their locks'
cell global 19 900000 19 800000 19 19 0 >"$dir/lines"
judged 5 'too few to tell'
{ cell global 100 900000 90 800000 100 140 0 100; cell global 50 90000 40 80000 50 60 0; } >"$dir/lines"
judged 0 'global: 1 cells without perf'
echo '{"kind":"cell","workload":"w","strategy":"global","status":"failed","reason":"no KVM"}' >"$dir/lines"
judged 3 'w global: no lock_stat in this cell: no KVM'
: >"$dir/lines"
judged 3 'no cells'

echo "test_waits: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
