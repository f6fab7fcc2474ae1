#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs as a user has them: one valid JSON document with the table's numbers,
# invariants that hold, an interrupt that keeps what was measured and can be resumed,
# a killed block, a full disk, a changed workload under --resume. DPAMT names
# the program.
set -u

dpamt=${DPAMT:-build/dpamt}
dir=$(mktemp -d) || exit 3
trap 'umount "$dir/small" 2>/dev/null; rm -rf "$dir"' EXIT
passed=0 failed=0

ok() {
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL line ${BASH_LINENO[0]}: $2"
	fi
}

# check WHAT COMMAND..: the command must succeed.
check() {
	local what=$1
	shift
	"$@" >/dev/null 2>&1
	ok $? "$what"
}

same() {
	[ "$1" = "$2" ]
	ok $? "$3: got \"$1\", want \"$2\""
}

# A sample's field, by jq-free means: python3 is not required, the reader of dpamt is.
samples() {
	grep -c "\"kind\":\"cell\".*\"status\":\"$2\"" "$1/samples.jsonl"
}

# --- one document, the table's numbers -------------------------------------

"$dpamt" run --on model --workload boot-10x16g --strategy all --scale 1/4096 --runs 1 \
	--out "$dir/a" --quiet --format json >"$dir/doc.json" 2>"$dir/err"
ok $? "run --format json: $(cat "$dir/err")"
run=$(echo "$dir"/a/*)
same "$(samples "$run" ok)" 7 "a cell per strategy"
for f in run.json samples.jsonl report.md report.html; do check "$f is there" test -s "$run/$f"; done
"$dpamt" report "$run" --format json >"$dir/again.json" 2>/dev/null
check "the document is printed the same again" cmp "$dir/doc.json" "$dir/again.json"
"$dpamt" report "$run" --format csv >"$dir/doc.csv"
n=$(grep -c '^boot-10x16g,lockless,0,' "$dir/doc.csv")
[ "$n" -gt 40 ]
ok $? "the long form has the metrics ($n)"
installs=$(sed -n 's/^boot-10x16g,lockless,0,install_count,//p' "$dir/doc.csv")
removes=$(sed -n 's/^boot-10x16g,lockless,0,remove_count,//p' "$dir/doc.csv")
same "$installs" "$removes" "every pair that came has gone"
[ "${installs:-0}" -gt 0 ]
ok $? "pairs were installed"
row=$("$dpamt" report "$run" --format text | grep -E '^lockless .* '"$installs"' +'"$removes"' ')
[ -n "$row" ]
ok $? "the table has the CSV's transitions"

# --- an interrupt, and --resume ---------------------------------------------

"$dpamt" run --workload fault-storm --strategy global-fast,lockless --scale 1/4 --runs 6 \
	--out "$dir/b" >/dev/null 2>"$dir/err" &
pid=$!
for _ in $(seq 100); do
	[ "$(cat "$dir"/b/*/samples.jsonl 2>/dev/null | grep -c '"kind":"cell"')" -ge 2 ] && break
	sleep 0.1
done
kill -INT $pid
wait $pid
same $? 5 "an interrupted run is inconclusive"
check "it says how to go on" grep -q -- '--resume' "$dir/err"
run=$(echo "$dir"/b/*)
kept=$(samples "$run" ok)
[ "$kept" -ge 2 ] && [ "$kept" -lt 12 ]
ok $? "what was measured is kept ($kept cells)"
"$dpamt" run --resume "$(basename "$run")" --out "$dir/b" --quiet >/dev/null 2>"$dir/err"
same $? 0 "the resumed run ends well: $(cat "$dir/err")"
same "$(samples "$run" ok)" 12 "it has all cells"
check "and says so" grep -q '"status": "complete"' "$run/run.json"

# A signal to the program alone must end the cell in the block's process too.
"$dpamt" run --workload boot-10x16g --strategy static,global-fast,lockless --scale 1/64 --runs 1 \
	--out "$dir/g" >/dev/null 2>"$dir/err" &
pid=$!
for _ in $(seq 200); do
	grep -q '"kind":"cost"' "$dir"/g/*/samples.jsonl 2>/dev/null && break
	sleep 0.05
done
sleep 0.5
kill -INT $pid
wait $pid
same $? 5 "interrupted in its first cell"
run=$(echo "$dir"/g/*)
same "$(samples "$run" interrupted) $(samples "$run" ok)" "1 0" "the cell says so, and no other ran"

# --- a block that is killed -------------------------------------------------

"$dpamt" run --workload fault-storm --strategy global-fast,lockless --scale 1/4 --runs 3 \
	--out "$dir/c" >/dev/null 2>"$dir/err" &
pid=$!
for _ in $(seq 100); do
	grep -q '"kind":"cost"' "$dir"/c/*/samples.jsonl 2>/dev/null && break
	sleep 0.05
done
sleep 0.2
for child in $(cat /proc/$pid/task/$pid/children); do kill -KILL "$child"; done
wait $pid
same $? 3 "a killed block is an error of the environment"
check "it is named" grep -q 'killed by signal 9' "$dir/err"
run=$(echo "$dir"/c/*)
[ "$(samples "$run" ok)" -ge 4 ]
ok $? "the other blocks were measured"

# --- bad input to --resume and --out ----------------------------------------

"$dpamt" run --resume nothing --out "$dir/b" >"$dir/out" 2>"$dir/err"
same $? 2 "resuming nothing"
same "$(wc -c <"$dir/out")" 0 "nothing on stdout"
"$dpamt" run --workload huge --runs 1 --out /proc/nowhere >"$dir/out" 2>"$dir/err"
same $? 2 "an unwritable results folder"
same "$(wc -l <"$dir/err")" 1 "one line"
"$dpamt" run --workload boot-10x16g --scale 1 --set td.boot.memory=1T --runs 1 --out "$dir/d" \
	>"$dir/out" 2>"$dir/err"
same $? 2 "more memory than there is"
check "it says how to shrink" grep -q -- '--scale' "$dir/err"

# --- a full disk -------------------------------------------------------------

mkdir "$dir/small"
if mount -t tmpfs -o size=120k tmpfs "$dir/small" 2>/dev/null; then
	"$dpamt" run --workload fault-storm --strategy global-fast,lockless --scale 1/16 --runs 8 \
		--out "$dir/small" --quiet >/dev/null 2>"$dir/err"
	same $? 3 "a full disk is an error of the environment"
	check "it is named" grep -q 'No space left' "$dir/err"
	check "what was written can be read" "$dpamt" report "$(echo "$dir"/small/*)" --format csv
else
	echo "skipped: a full disk (a small file system cannot be mounted here)"
fi

# --- options that change what runs ------------------------------------------

"$dpamt" run --workload huge --strategy null --scale 1/64 --runs 1 --out "$dir/e" --quiet \
	>/dev/null 2>&1
same $? 4 "null cannot map 2M: skipped"
"$dpamt" run --workload hot-spot --strategy lockless --set arrivals=open:1ms --scale 1/16 --runs 1 \
	--out "$dir/f" --quiet --format csv >"$dir/out" 2>"$dir/err"
same $? 0 "open loop: $(cat "$dir/err")"

echo "test_run: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
