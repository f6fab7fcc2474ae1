# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Of the shell tests that run dpamt, sourced by them: from the root of the tree, with a folder
# $tmp of their own, and the counts that they print at their end.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 3
dpamt=${DPAMT:-build/dpamt}
tmp=$(mktemp -d) || exit 3
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# ok WHAT GOT WANT
ok() {
	if [ "$2" = "$3" ]; then passed=$((passed + 1)); else
		failed=$((failed + 1))
		echo "FAIL $1: got \"$2\", want \"$3\""
	fi
}

# check WHAT COMMAND..: and what stands in $tmp/out and $tmp/err if it fails.
check() {
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL: $text"
		head -n 3 "$tmp/out" "$tmp/err" 2>/dev/null
	fi
}

# finish NAME: the last line, and the exit code.
finish() {
	echo "$1: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
