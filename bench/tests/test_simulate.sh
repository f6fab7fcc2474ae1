#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dpamt simulate: one line and exit 2 for bad input; a sweep with its map, interrupted
# and resumed; the same bytes with FMA and AVX2 masked, and with another seed others.
# Where clang is installed the same bytes from its build, too (half a minute on a cold cache).
set -u
cd "$(dirname "$0")/../.." || exit 3
dpamt=${DPAMT:-build/dpamt}
tmp=$(mktemp -d) || exit 3
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

ok() {
	if [ "$2" = "$3" ]; then passed=$((passed + 1)); else
		failed=$((failed + 1))
		echo "FAIL $1: got \"$2\", want \"$3\""
	fi
}

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
refuse 'loses waits' --sweep vcpus=1 --block
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
printf '{"cell":' >>"$tmp/some"
cp "$tmp/some" "$dir/cells.jsonl"
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format csv --out "$tmp/a" --resume "$dir" >"$tmp/b.csv" 2>/dev/null
ok "resume" "$?" 0
ok "the same map" "$(cmp "$tmp/a.csv" "$tmp/b.csv" 2>&1)" ""
refuse 'is another sweep' --sweep vcpus=2:4 --resume "$dir"

# shellcheck disable=SC2086
GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F "$dpamt" simulate $grid --format json \
	--out "$tmp/c" >"$tmp/c.json" 2>/dev/null
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format json --out "$tmp/d" >"$tmp/d.json" 2>/dev/null
ok "FMA and AVX2 masked" "$(cmp "$tmp/c.json" "$tmp/d.json" 2>&1)" ""
ok "cells with both masked" "$(cmp <(sort "$tmp"/c/*/cells.jsonl) <(sort "$tmp"/d/*/cells.jsonl) 2>&1)" ""
# shellcheck disable=SC2086
"$dpamt" simulate $grid --format json --seed 2 --out "$tmp/e" >"$tmp/e.json" 2>/dev/null
ok "another seed" "$(cmp -s "$tmp/d.json" "$tmp/e.json" && echo same)" ""

# Another compiler: the same map, and the same cells to the last digit.
if command -v clang >/dev/null; then
	clang=$(dirname "$dpamt")/clang
	make -s -j"$(nproc)" BUILD="$clang" CC=clang "$clang/dpamt" >"$tmp/clang.log" 2>&1
	ok "build by clang" "$?" 0
	# shellcheck disable=SC2086
	"$clang/dpamt" simulate $grid --format json --out "$tmp/f" >"$tmp/f.json" 2>/dev/null
	ok "map by clang" "$(cmp "$tmp/d.json" "$tmp/f.json" 2>&1)" ""
	ok "cells by clang" "$(cmp <(sort "$tmp"/d/*/cells.jsonl) <(sort "$tmp"/f/*/cells.jsonl) 2>&1)" ""
else
	echo "skipped: the same bytes by clang: clang is not installed"
fi
echo "test_simulate: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
