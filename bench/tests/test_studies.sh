#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The studies of dpamt simulate: one line and exit 2 for bad input, and for options that a
# study does not take; a sweep with its map, interrupted and resumed, on a full disk and
# without gnuplot; sensitivity; block mode.
source "$(dirname "$0")/lib.sh"

refuse() {
	local text=$1 out
	shift
	out=$("$dpamt" simulate --out "$tmp" "$@" 2>&1 >/dev/null)
	ok "exit of $*" "$?" 2
	ok "one line of $*" "$(printf '%s\n' "$out" | wc -l)" 1
	case $out in *"$text"*) ok "text" x x ;; *) ok "text of $*" "$out" "..$text.." ;; esac
}

refuse 'is empty or out of range' --sweep vcpus=9..3
refuse 'is no axis' --sweep cores=1..3
refuse 'more than --limit 1' --sweep vcpus=1..448,lone=0..100% --limit 1
refuse 'has no [topology] and [line]' --machine published --sweep vcpus=1
refuse 'has no [topology] and [line]' --machine published
refuse 'one at a time' --sweep vcpus=1 --validate
refuse 'block mode loses waits' --sweep vcpus=1 --block
refuse 'given before' --sweep vcpus=1,vcpus=2
refuse '--runs: not with --sweep' --sweep vcpus=1 --runs 2
refuse '--scale: not with --sweep' --sweep vcpus=1 --scale 1/2
refuse '--limit: not without a study' --limit 5
refuse 'reach beyond the memory' --sweep vcpus=16 --workload huge
# What a cell does decides, not only how many vCPUs it has.
refuse 'more than --limit 2' --sweep vcpus=16 --workload conversion-storm --limit 2
refuse 'more than --limit 3' --sweep vcpus=16 --workload create-destroy --set td.torture.lives=100 --limit 3

# Studies that write nothing: their own words, without --out.
refuse_study() {
	local text=$1 out
	shift
	out=$(timeout 10 "$dpamt" simulate "$@" 2>&1 >/dev/null)
	ok "exit of $*" "$?" 2
	ok "text of $*" "$(printf '%s\n' "$out" | grep -cF -- "$text")" 1
}

refuse_study '--out: not with --sensitivity' --sensitivity --out "$tmp/none"
refuse_study '--strategy: not with --sensitivity' --sensitivity --strategy lockless
refuse_study 'prints text, csv or json' --sensitivity --format markdown
refuse_study '--workload: not with --validate' --validate --workload fault-storm
refuse_study 'a host with 2 sockets, and edge has 1' --validate --machine edge
refuse_study '--format: not with --measured' --measured --format csv
for study in --sensitivity --validate --measured; do
	refuse_study 'more than --limit 1' $study --limit 1
	timeout 10 "$dpamt" simulate $study --dry-run >"$tmp/plan" 2>&1
	ok "dry run of $study" "$?" 0
	ok "plan of $study" "$(grep -cE ', about [0-9]+ s on [0-9]+ CPUs$' "$tmp/plan")" 1
	ok "only a plan of $study" "$(wc -l <"$tmp/plan")" 1
done
"$dpamt" simulate --sweep vcpus=4:8 --dry-run --out "$tmp/none" >"$tmp/plan" 2>&1
ok "dry run of a sweep" "$?" 0
ok "folder of a dry run" "$([ -e "$tmp/none" ] && echo there)" ""
for key in placement=buddy td.storm.count=2 td.storm.vcpus=2 td.storm.memory=8M; do
	refuse "--set ${key%%=*}: not with --sweep, whose axis" --sweep vcpus=1 --set "$key"
done
refuse 'dpamt: --set foo=1: unknown key' --sweep vcpus=1 --set foo=1
"$dpamt" simulate --sweep vcpus=4 --set td.storm.lives=2 --dry-run >"$tmp/plan" 2>&1
ok "a key that no axis decides" "$?" 0
refuse 'takes one workload' --workload fault-storm,boot-10x16g --sweep vcpus=1
refuse 'no sweep "nowhere"' --sweep vcpus=1 --resume nowhere

grid="--sweep vcpus=2:4,lone=0:100% --machine edge --quiet --strategy global,global-fast,lockless"
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format csv --out "$tmp/a" >"$tmp/a.csv" 2>/dev/null
ok "sweep" "$?" 0
ok "cells of the map" "$(wc -l <"$tmp/a.csv")" 13
dir=$(ls -d "$tmp"/a/*-sweep-*)
ok "paragraph" "$(grep -c 'is cheapest in' "$dir/map.txt")" 1
if command -v gnuplot >/dev/null; then ok "svg" "$(grep -c '<svg' "$dir/map.svg")" 1; fi
# Lose cells, and half of a line; go on.
head -n 5 "$dir/cells.jsonl" >"$tmp/some"
printf '{"status":"ok","metrics":{"wait_pct":99,"pamt_ns_per_page":1}}\n{"cell":' >>"$tmp/some"
cp "$tmp/some" "$dir/cells.jsonl"
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format csv --out "$tmp/a" --resume "$dir" >"$tmp/b.csv" 2>/dev/null
ok "resume" "$?" 0
ok "the same map" "$(cmp "$tmp/a.csv" "$tmp/b.csv" 2>&1)" ""
refuse 'is another sweep' --sweep vcpus=2:4 --resume "$dir"

# Nothing is left to do: no cell runs again. One that failed does, and the last line counts.
lines=$(wc -l <"$dir/cells.jsonl")
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format csv --out "$tmp/a" --resume latest >"$tmp/b.csv" 2>/dev/null
ok "resume latest" "$?" 0
ok "no cell again" "$(wc -l <"$dir/cells.jsonl")" "$lines"
ok "the same map from latest" "$(cmp "$tmp/a.csv" "$tmp/b.csv" 2>&1)" ""
sed -i '2s/"status":"ok"/"status":"failed"/' "$dir/cells.jsonl"
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format csv --out "$tmp/a" --resume latest >"$tmp/b.csv" 2>/dev/null
ok "resume with a failed cell" "$?" 0
ok "the failed cell again" "$(wc -l <"$dir/cells.jsonl")" "$((lines + 1))"
ok "the same map after a failed cell" "$(cmp "$tmp/a.csv" "$tmp/b.csv" 2>&1)" ""
sed -i 's/"build": .*/"build": "other",/' "$dir/sweep.json"
# shellcheck disable=SC2086
refuse 'another build' $grid --resume "$dir"

# Nor is it the same build where no git tells it apart: in a copy of the program, one byte longer.
mkdir -p "$tmp/tree/build"
cp "$dpamt" "$tmp/tree/build/dpamt"
ln -s "$PWD/bench" "$PWD/workloads" "$tmp/tree/"
copy="$tmp/tree/build/dpamt simulate --sweep vcpus=2 --machine edge --strategy lockless --quiet --out $tmp/copy"
$copy >/dev/null 2>"$tmp/err"
ok "a sweep outside of git" "$?" 0
$copy --resume latest >/dev/null 2>"$tmp/err"
ok "resume outside of git" "$?" 0
printf x >>"$tmp/tree/build/dpamt"
$copy --resume latest >/dev/null 2>"$tmp/err"
ok "resume by another program" "$?" 2
ok "another program" "$(grep -c 'was begun by another build' "$tmp/err")" 1

# The axis says what runs: 9 vCPUs are two TDs of 4, and edge has 16 CPUs.
one="--machine edge --strategy lockless --quiet --format csv --out $tmp/g"
# shellcheck disable=SC2086
"$dpamt" simulate --sweep vcpus=8:9:20 $one 2>/dev/null | cut -d, -f1,8 >"$tmp/g.csv"
ok "vCPUs and CPUs" "$(tail -n +2 "$tmp/g.csv" | tr '\n' ' ')" "8,8 20,16 "

# Who draws may be missing, or die: the map is there all the same.
mkdir "$tmp/bin"
printf '#!/bin/sh\nexit 1\n' >"$tmp/bin/gnuplot"
chmod +x "$tmp/bin/gnuplot"
for path in "$tmp/nowhere" "$tmp/bin"; do
	# shellcheck disable=SC2086
	PATH=$path "$dpamt" simulate --sweep vcpus=2 $one >"$tmp/g.csv" 2>"$tmp/g.err"
	ok "gnuplot of $path" "$?" 0
	ok "map without gnuplot of $path" "$(wc -l <"$tmp/g.csv")" 2
	ok "warning without gnuplot of $path" "$(grep -c 'not drawn' "$tmp/g.err")" 1
done

# A file that cannot grow ends the sweep, and says which.
(
	trap '' XFSZ
	ulimit -f 1
	# shellcheck disable=SC2086
	"$dpamt" simulate ${grid/--quiet/} --out "$tmp/h" >/dev/null 2>"$tmp/h.err"
)
ok "exit when the disk is full" "$?" 3
ok "the file that cannot grow" "$(grep -c 'cells.jsonl: .*what was written before is kept' "$tmp/h.err")" 1
ok "cells after it" "$(grep -c '\[12/12\]' "$tmp/h.err")" 0

# Sensitivity: all constants, one that is 0 too, and longer SEAMCALLs mean longer waiting.
cp bench/machines/published.mach "$tmp"
sed -e '/^name/s/edge/zero/' -e 's/^clock = .*/clock = 0 range 0..40ns \\/' bench/machines/edge.mach >"$tmp/zero.mach"
"$dpamt" simulate --sensitivity --machine "$tmp/zero.mach" --scale 1/64 --set td.storm.count=2 --format csv \
	>"$tmp/s.csv" 2>"$tmp/s.err"
ok "sensitivity" "$?" 0
ok "lines that are no rows" "$(grep -vcE '^([a-z_]+|strategy global)(,[0-9.]*){4}(,[01]){2}$' "$tmp/s.csv")" 1
ok "rows of constants" "$([ "$(grep -cE '^[a-z_]+(,[0-9.]+){4}(,[01]){2}$' "$tmp/s.csv")" -ge 30 ] && echo all)" all
ok "a row of global" "$(grep -cE '^strategy global,,[0-9.]+,,[0-9.]+,0,0$' "$tmp/s.csv")" 1
ok "pamt_add halved and doubled" \
	"$(awk -F, '$1 == "pamt_add" { print ($2 < 1), ($3 > 1), ($4 < 1), ($5 > 1) }' "$tmp/s.csv")" "1 1 1 1"
ok "what is never called is noise, what decides is none" \
	"$(awk -F, '$1 ~ /^(rdmd|pamt_add)$/ { print $1, $6, $7 }' "$tmp/s.csv")" $'pamt_add 0 0\nrdmd 1 1'
ok "a constant of 0 is moved" "$(awk -F, '$1 == "clock" { print ($2 == 1), ($3 != 1) }' "$tmp/s.csv")" "1 1"
ok "accesses per second" "$(grep -c 'million a second of CPU time' "$tmp/s.err")" 1
"$dpamt" simulate --sensitivity --machine edge --scale 1/64 --set td.storm.count=1 \
	--set td.storm.vcpus=1 --set td.storm.memory=8M --quiet >"$tmp/s.txt" 2>"$tmp/s.err"
ok "sensitivity without waits" "$?" 5
ok "sensitivity without waits says so" "$(cat "$tmp/s.err")" \
	"dpamt: cannot discriminate here: 0.0 waits with the constants as they are, fewer than 20"
ok "seeds of the sensitivity table" "$(grep -c 'means of 4 seeds$' "$tmp/s.txt")" 1
ok "noise of the sensitivity table" "$(grep -cE '^noise: single seeds of these lie at 0\.9.* to 1\.' "$tmp/s.txt")" 1
ok "no number that is none" "$(grep -c nan "$tmp/s.txt")" 0
ok "reason for n/a" "$(grep -c '^n/a: nobody waits' "$tmp/s.txt")" 1

# Block mode: the same work with fewer accesses.
accesses() {
	"$dpamt" simulate --workload boot-10x16g --scale 1/256 --machine edge --strategy lockless \
		--out "$tmp/k" "$@" 2>&1 >/dev/null | sed -n 's/.*simulated \([0-9]*\).* million acc.*/\1/p'
}
full=$(accesses) block=$(accesses --block)
ok "block mode" "$([ "${block:-0}" -gt 0 ] && [ $((block * 2)) -lt "${full:-0}" ] && echo fewer)" fewer

# calibrate: no place for its file is found out before it measures; what is there stays.
calibrate_refuses() {
	"$dpamt" calibrate --quiet --file "$1" >/dev/null 2>"$tmp/err"
	ok "exit of calibrate --file $1" "$?" 2
	ok "line of calibrate --file $1" "$(cat "$tmp/err")" "dpamt: --file: $2"
}
calibrate_refuses /dev/null "/dev/null is no regular file"
calibrate_refuses "$tmp/none/x.mach" "$tmp/none/x.mach: No such file or directory"
if [ "$(nproc)" -gt 1 ]; then
	# Interrupted it leaves nothing, and what is there stays: a file of the user's own, too.
	echo old >"$tmp/own.mach"
	echo mine >"$tmp/own.mach.new"
	for signal in TERM INT; do
		"$dpamt" calibrate --quiet --file "$tmp/own.mach" >/dev/null 2>"$tmp/err" &
		for _ in {1..100}; do
			compgen -G "$tmp/own.mach.??????" >/dev/null && break
			sleep 0.01
		done
		kill -s $signal $!
		wait $!
		ok "exit of calibrate at SIG$signal" "$?" 5
		ok "words of calibrate at SIG$signal" "$(cat "$tmp/err")" "dpamt: interrupted; nothing is written"
		ok "left behind at SIG$signal" "$(cd "$tmp" && echo own.mach*)" "own.mach own.mach.new"
		ok "what was there at SIG$signal" "$(cat "$tmp/own.mach" "$tmp/own.mach.new")" $'old\nmine'
	done
	# A CPU a socket, as small virtual machines have them: no two cores of a socket.
	program=$(realpath "$dpamt")
	(cd "$tmp" && HWLOC_SYNTHETIC="pack:2 core:1 pu:1" HWLOC_THISSYSTEM=1 \
		"$program" calibrate --quiet --file two.mach >/dev/null 2>"$tmp/err")
	status=$?
	ok "left behind" "$(ls "$tmp"/two.mach?* 2>/dev/null)" ""
	if [ $status = 3 ] && grep -q 'the machine is busy$' "$tmp/err"; then
		echo "test_studies: calibrate not tested: the machine is busy"
	else
		ok "calibrate with a CPU a socket" "$status" 0
		ok "its sockets" "$(grep -c '^sockets = 2' "$tmp/two.mach")" 1
		ok "a constant without a range" "$(grep -c 'range \([0-9]*ps\)\.\.\1 ' "$tmp/two.mach")" 0
		ok "its mode" "$(stat -c %A "$tmp/two.mach")" "$(stat -c %A "$tmp/err")"
		"$dpamt" simulate --out "$tmp" --machine "$tmp/two.mach" --scale 1/32 \
			--strategy lockless >/dev/null 2>&1
		ok "a cell on what was calibrated" "$?" 0
	fi
fi

finish test_studies
