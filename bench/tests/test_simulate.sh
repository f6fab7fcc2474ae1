#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The simulated machine gives the same bytes with FMA and AVX2 masked, and with another seed
# others. Where clang is installed the same bytes from its build, too (half a minute on a cold
# cache).
source "$(dirname "$0")/lib.sh"

grid="--sweep vcpus=2:4,lone=0:100% --machine edge --quiet --strategy global,global-fast,lockless"
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

# Beyond the clock's end: known before, so nothing runs.
sed 's/^together = yes//' workloads/fault-storm.wl >"$tmp/long.wl"
printf '[phase rest]\ntd = storm\ndo = idle\ntime = 1000s\n' >>"$tmp/long.wl"
for how in "--scale 1/64 --strategy lockless --set td.storm.count=20 --set td.storm.start=staggered:1000s" \
	"--sweep vcpus=8 --set td.storm.lives=20"; do
	# shellcheck disable=SC2086
	text=$(timeout 60 "$dpamt" simulate --workload "$tmp/long.wl" $how --machine edge --quiet \
		--out "$tmp/long" 2>&1)
	ok "5 hours of virtual time, $how: exit" "$?" 2
	ok "5 hours of virtual time, $how: one line that says so" \
		"$(grep -c 'more than 5 hours.*shorten' <<<"$text") of $(wc -l <<<"$text")" "1 of 1"
done

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
finish test_simulate
