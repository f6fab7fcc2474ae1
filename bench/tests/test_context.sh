#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The switch of our own between fibers against the portable one (exec/context.h): the
# same program built with each must say the same, of explored states (whose stacks are
# copied), of random schedules, and of a simulated machine.
source "$(dirname "$0")/lib.sh"
portable=$(dirname "$dpamt")/tests/dpamt-portable

# What differs between two runs of one program: seconds.
strip() {
	sed 's/ [0-9]*\.[0-9]  .*//'
}

# both NAME WANT ARGUMENTS..: exit code WANT and the same output from both.
both() {
	local name=$1 want=$2 one other
	shift 2
	"$dpamt" "$@" >"$tmp/own" 2>"$tmp/own.err"
	one=$?
	"$portable" "$@" >"$tmp/portable" 2>"$tmp/portable.err"
	other=$?
	check "$name: exit $want" [ $one -eq "$want" ]
	check "$name: exit $want, portable" [ $other -eq "$want" ]
	check "$name: something is said" [ -s "$tmp/own" ]
	check "$name: the same" diff <(strip <"$tmp/own") <(strip <"$tmp/portable")
}

check 'one program uses ucontext' grep -q swapcontext <(nm "$portable")
check 'the other does not' [ "$(nm "$dpamt" | grep -c swapcontext)" -eq 0 ]
both 'all schedules' 0 explore --quiet --strategy lockless,hashed --scenario first --bound 1 \
	--random 50 --out "$tmp"
both 'a double REMOVE' 1 explore --quiet --strategy v3 --scenario last --memory sc --out "$tmp"
both 'random schedules' 0 check --quiet --schedules 20
both 'a simulated machine' 0 simulate --quiet --sweep vcpus=4,lone=0:100% --machine edge \
	--format json --strategy global-fast,lockless --out "$tmp"

finish test_context
