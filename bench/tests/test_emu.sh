#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dpamt run --on emu without an emulated host: a script in the place of
# scripts/emu-run.sh answers, so that what is tested is which cells share a boot,
# what becomes of their lines, and what is said when a boot goes wrong. DPAMT names the program.
set -u

dpamt=$(realpath "${DPAMT:-build/dpamt}")
cd "$(dirname "$0")/../.." || exit 3
dir=$(mktemp -d) || exit 3
trap 'umount -l "$dir/small" 2>/dev/null; rm -rf "$dir"' EXIT
passed=0 failed=0

ok() {
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL line ${BASH_LINENO[0]}: $2"
	fi
}

same() {
	[ "$1" = "$2" ]
	local ret=$?
	[ $ret = 0 ] && passed=$((passed + 1)) && return
	failed=$((failed + 1))
	echo "FAIL line ${BASH_LINENO[0]}: $3: got \"$1\", want \"$2\""
}

# A boot is a line of $dir/boots: the strategy on the kernel's command line, then its cells'.
# $dir/mode says how it goes: fine, die (after 2 cells), dirty (log), missing, lost (3, nothing),
# long (lines of 5 KB, which a pipe can hold, and then it stays).
mkdir "$dir/scripts"
cat >"$dir/scripts/emu-run.sh" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$0")/..
mode=$(cat "$here/mode")
if [ "$1" = --check ]; then
	[ "$mode" != missing ] || { echo "emu-run: no kernel emu yet; to go on: make kernel" >&2; exit 3; }
	exit 0
fi
for arg; do
	case $arg in --append=*) boot=${arg#--append=tdx_pamt=} ;; esac
done
[ "$mode" != lost ] || { echo "boot: QEMU: no such machine" >&2; exit 3; }
echo $$ >"$here/pid"
[ "$mode" != long ] || trap '' PIPE
n=0
tab=$(printf '\t')
while IFS="$tab" read -r file strategy block seed scale sets; do
	n=$((n + 1))
	boot="$boot $strategy"
	if [ "$mode" = die ] && [ $n = 3 ]; then
		echo "emu-run: the host ended before its cells did" >&2
		echo "dpamt-guest: w s block 0: ok" >&2
		echo "$boot" >>"$here/boots"
		exit 1
	fi
	echo "$file $strategy $sets" >>"$here/cells"
	words=
	[ "$mode" != long ] || words=$(printf '%05000d' 0)
	printf '{"kind":"cell","reason":"'"$words"'","workload":"%s","strategy":"%s","block":%s,"status":"ok","seed":%s,"metrics":{"install_count":%s}}\n' \
		"$file" "$strategy" "$block" "$seed" "$n"
done
echo "$boot" >>"$here/boots"
[ "$mode" != long ] || { sleep 15; : >"$here/slept"; exit 1; }
[ "$mode" != dirty ] || { echo "not clean: 1 lines" >&2; exit 1; }
echo '{"kind":"host","accelerator":"tcg","kernel":"7.3.4-fixture"}'
SCRIPT
chmod 755 "$dir/scripts/emu-run.sh"
export DPAMT_SCRIPTS=$dir/scripts

# go MODE OPTIONS..: code in $code, results in $run
go() {
	echo "$1" >"$dir/mode"
	rm -rf "$dir/boots" "$dir/cells" "$dir/out"
	shift
	"$dpamt" run --on emu --out "$dir/out" --quiet "$@" >"$dir/doc" 2>"$dir/err"
	code=$?
	run=$(echo "$dir"/out/*)
}

cells() {
	grep -c "\"kind\":\"cell\".*\"status\":\"$1\"" "$run/samples.jsonl"
}

# --- boots and lines --------------------------------------------------------

go fine --workload fault-storm,hot-spot --strategy null,static,global-fast,lockless --runs 2 \
	--set fault-storm:td.storm.count=2
same "$code" 0 "all cells ran: $(cat "$dir/err")"
same "$(cells ok)" 16 "a line per cell"
same "$(wc -l <"$dir/boots")" 6 "three boots per block"
same "$(grep -cE '^null null null$|^static static static$' "$dir/boots")" 4 "null and static on their own"
grep -q 'null.*lockless\|lockless.*static' "$dir/boots"
same $? 1 "no boot mixes them with others"
same "$(sort "$dir/cells" | uniq -c | awk '{ print $1 }' | sort -u)" 2 "each cell once per block"
same "$(grep -c 'fault-storm.wl.*td.storm.count=2' "$dir/cells")" 8 "an override reaches its workload"
same "$(grep -c 'hot-spot.wl.*td.storm' "$dir/cells")" 0 "and no other"
same "$(grep -c '"workload":"fault-storm"' "$run/samples.jsonl")" 8 "lines carry the workload's name"
for want in '"on": *"emu"' '"accelerator": *"tcg"' '"kernel": *"7.3.4-fixture"' '"cpus": *8'; do
	grep -q "$want" "$run/run.json"
	ok $? "run.json has $want"
done
grep -q "latency is distorted" "$run/report.md"
ok $? "the report has the mark"
grep -q "machine file" "$run/report.md"
same $? 1 "no machine file is named"

# --- what goes wrong ---------------------------------------------------------

go missing --workload fault-storm --runs 1
same "$code" 3 "no kernel"
same "$(cat "$dir/err")" "emu-run: no kernel emu yet; to go on: make kernel" "one line, and the way on"
[ ! -e "$dir/out" ]
ok $? "no results folder for nothing"

go die --workload fault-storm --strategy global-fast,lockless,hashed,rwlock --runs 1
same "$code" 1 "a host that dies"
same "$(cells ok)" 2 "what was measured stays"
same "$(cells violation)" 1 "the cell in hand is named"
grep -q "the emulated host ended before this cell did: emu-run: the host ended" "$run/samples.jsonl"
ok $? "with the reason"
echo fine >"$dir/mode"
"$dpamt" run --resume "$run" >/dev/null 2>"$dir/err"
same "$(cells ok)" 4 "--resume runs the rest: $(cat "$dir/err")"

go dirty --workload fault-storm --strategy lockless --runs 1
same "$code" 1 "a log that is not clean"
same "$(cells ok)" 1 "its cells stay"
grep -q "not clean" "$dir/err"
ok $? "and it is said"

go lost --workload fault-storm --strategy lockless --runs 1
same "$code" 3 "QEMU that does not start"
grep -q "no such machine" "$dir/err" "$run"/*.txt
ok $? "says why"

mkdir "$dir/small"
if mount -t tmpfs -o size=32k tmpfs "$dir/small" 2>/dev/null; then
	go long --workload fault-storm,hot-spot --strategy global-fast,lockless,hashed,rwlock --runs 1 --out "$dir/small"
	same "$code" 3 "a full disk is an error of the environment"
	grep -q 'No space left' "$dir/err"
	ok $? "it is named: $(cat "$dir/err")"
	for i in $(seq 100); do
		kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
		sleep 0.2
	done
	[ "$i" -lt 100 ] && [ ! -e "$dir/slept" ]
	ok $? "and the host was ended"
	run=$(echo "$dir"/small/*)
	[ "$(cells ok)" -gt 1 ] && "$dpamt" report "$run" --format csv >/dev/null
	ok $? "what was written can be read"
else
	echo "skipped: a full disk (a small file system cannot be mounted here)"
fi

go fine --workload fault-storm --set hotspot:placement=buddy
same "$code" 2 "an override for no workload"
DPAMT_SCRIPTS=$dir/none go fine --workload fault-storm
same "$code" 3 "no script"

echo "test_emu: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
