#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Are our figures of waiting true? Cells on an emulated TDX host whose kernel has LOCK_STAT,
# and a table: waits by our statistics, by lock_stat of the same locks, by the locks' own
# contention events, and by perf lock contention, which knows those events alone.
#
# usage: scripts/emu-waits.sh [--strategies=A,B..] [--from=FILE] [--log=FILE]
#
# A wait of ours begins at a trylock that failed, and encloses what lock_stat counts. So:
# ours must not be below lock_stat's, in number or in time; a lock that came free in between
# is in ours alone: at most half of them. There must be an event for each of our waits, and
# a contention_begin; what there is more of those is the queued spinlock's own, of which
# there must be no more than lock_stat has contentions, since its first waiter makes none.
# perf may lose events: it must not have more waits than we, and not none. Without perf
# (Debian: linux-perf) the rest is judged, and the cells that it has not seen are counted.
# --from=FILE judges lines of samples.jsonl instead of a run. fio makes the host's memory
# scattered; without it global-fast has hardly a transition to wait for.
# Default: global and global-fast, which wait at one lock. Takes the kernel emu-debug.
#
# Exit 0: all of that holds; 1: it does not; 2 usage; 3 something is missing; 5: too few
# waits to tell (fewer than 20 with one of the strategies).

set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
build=${BUILD:-$root/build}
strategies=global,global-fast
from=
log=$build/kernel/emu-waits.log
for arg; do
	value=${arg#*=}
	case $arg in
	--strategies=?*) strategies=$value ;;
	--from=?*) from=$value ;;
	--log=?*) log=$value ;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*)
		echo "emu-waits: $arg: unknown; usage: scripts/emu-waits.sh" \
			"[--strategies=A,B..] [--from=FILE] [--log=FILE]" >&2
		exit 2
		;;
	esac
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpamt-waits.XXXXXX") || exit 3
trap 'rm -rf "$scratch"' EXIT
trap 'exit 3' HUP INT TERM

if [ -z "$from" ]; then
	from=$scratch/lines
	# many waits with one lock for all; with locks at transitions alone, they come where
	# hardly two pages share a region
	for strategy in $(echo "$strategies" | tr ',' ' '); do
		printf '%s/workloads/create-destroy.wl\t%s\t0\t1\t32\ttd.torture.lives=3\n' "$root" "$strategy"
	done >"$scratch/cells"
	for strategy in $(echo "$strategies" | tr ',' ' '); do
		[ "$strategy" != global ] || continue
		for block in 0 1; do
			printf '%s/workloads/conversion-storm.wl\t%s\t%s\t2\t4\tplacement=scattered:100%%\n' \
				"$root" "$strategy" $block
		done
	done >>"$scratch/cells"
	fio= perf=
	! command -v perf >/dev/null 2>&1 || perf=--perf
	! command -v fio >/dev/null 2>&1 || fio=--fio=$root/workloads/fio/fragment.fio
	"$root/scripts/emu-run.sh" --kernel=emu-debug --append=no_hash_pointers --out="$from" \
		$fio $perf --timeout=900 --log="$log" "$scratch/cells" >&2 || exit
fi
[ -r "$from" ] || { echo "emu-waits: no such file: $from" >&2 && exit 2; }

# One line of JSON per cell: the figures are numbers behind names that occur once.
awk '
function number(name,	at) {
	at = match($0, "\"" name "\":[-0-9.e+]+")
	return at ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : -1
}
function word(name) {
	return match($0, "\"" name "\":\"[^\"]*\"") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5) : ""
}
function ratio(a, b) {
	return b ? sprintf("%.2f", a / b) : "-"
}
function wrong(text) {
	print "WRONG: " name[s] ": " text
	bad = 1
}
/"kind":"cell"/ {
	if (number("lock_stat_contentions") < 0) {
		print "emu-waits: " word("workload") " " word("strategy") ": no lock_stat in this cell" \
			(word("reason") == "" ? "" : ": " word("reason")) > "/dev/stderr"
		missing = 1
		next
	}
	w = word("strategy")
	if (!(w in index_of)) {
		index_of[w] = ++nr
		name[nr] = w
	}
	s = index_of[w]
	ours[s] += number("wait_count")
	ours_ns[s] += number("wait_total_ns")
	lock[s] += number("lock_stat_contentions")
	lock_ns[s] += number("lock_stat_wait_ns")
	events[s] += number("event_waits")
	begins[s] += number("event_begins")
	lost[s] += number("events_lost")
	if (number("perf_waits") < 0)
		blind[s]++
	else {
		perf[s] += number("perf_waits")
		perf_ns[s] += number("perf_wait_ns")
		seen[s] += number("wait_count")
	}
}
END {
	if (missing || !nr) {
		if (!missing)
			print "emu-waits: no cells" > "/dev/stderr"
		exit 3
	}
	printf "%-12s %8s %9s %6s %10s %12s %6s %8s %12s %8s %10s\n", "strategy", "waits", "lock_stat",
		"ratio", "wait, us", "lock_stat,us", "ratio", "events", "lock events", "perf", "perf, us"
	for (s = 1; s <= nr; s++) {
		printf "%-12s %8d %9d %6s %10.0f %12.0f %6s %8d %12d %8s %10s\n", name[s], ours[s], lock[s],
			ratio(ours[s], lock[s]), ours_ns[s] / 1e3, lock_ns[s] / 1e3,
			ratio(ours_ns[s], lock_ns[s]), events[s], begins[s] - events[s],
			s in perf ? perf[s] : "-", s in perf ? sprintf("%.0f", perf_ns[s] / 1e3) : "-"
		if (blind[s])
			print "emu-waits: " name[s] ": " blind[s] " cells without perf" > "/dev/stderr"
		few = few || ours[s] < 20
	}
	for (s = 1; s <= nr; s++) {
		if (ours[s] < lock[s])
			wrong(sprintf("%d waits counted, lock_stat has %d contentions", ours[s], lock[s]))
		if (ours_ns[s] < lock_ns[s])
			wrong(sprintf("%d ns of waiting counted, lock_stat has %d", ours_ns[s], lock_ns[s]))
		if (ours[s] > 2 * lock[s] + 20)
			wrong(sprintf("%d waits counted, lock_stat has only %d contentions", ours[s], lock[s]))
		if (events[s] >= 0 && !lost[s] && events[s] != ours[s])
			wrong(sprintf("%d waits counted, %d events of them", ours[s], events[s]))
		if (events[s] >= 0 && !lost[s] && begins[s] < events[s])
			wrong(sprintf("%d waits, %d contention events of their locks", events[s], begins[s]))
		if (begins[s] - events[s] > lock[s])
			wrong(sprintf("%d contention events of the lock, lock_stat has %d",
				begins[s] - events[s], lock[s]))
		if (s in perf && perf[s] > seen[s])
			wrong(sprintf("%d waits counted, perf has %d", seen[s], perf[s]))
		if (s in perf && !perf[s] && seen[s])
			wrong(sprintf("%d waits counted, perf has none", seen[s]))
	}
	if (!bad && few)
		print "emu-waits: fewer than 20 waits: too few to tell" > "/dev/stderr"
	exit bad ? 1 : few ? 5 : 0
}' "$from"
