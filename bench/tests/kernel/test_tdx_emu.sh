#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The emulated TDX host in QEMU: tdx_init.c as process 1, on 2 CPUs, on 4 in two
# packages, and without Dynamic PAMT; the kernel says that the module is
# initialised, and what it prints is clean. An option that is none is refused with
# a line, and nothing is emulated.
#
# usage: bench/tests/kernel/test_tdx_emu.sh [emu|emu-debug]	(from anywhere)
#
# Exit 0 passed; 1 failed; 3 something is missing here; 4 no kernel was built yet.

set -u

# Read by the file below.
# shellcheck disable=SC2034
prog=test_tdx_emu
root=$(cd "$(dirname "$0")/../../.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"
kernel=${1:-emu}
build=${BUILD:-$root/build}/kernel
[ -r "$build/$kernel/arch/x86/boot/bzImage" ] || {
	echo "test_tdx_emu.sh: skipped: no kernel $kernel yet (make kernel)"
	exit 4
}
for tool in "${CC:-gcc}" cpio gzip; do
	command -v "$tool" >/dev/null 2>&1 || {
		echo "test_tdx_emu.sh: no $tool; to go on: scripts/setup.sh kernel" >&2
		exit 3
	}
done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/test_tdx_emu.XXXXXX") || exit 3
trap 'end_attended; rm -rf "$tmp"' EXIT
trap 'exit 3' HUP INT TERM
mkdir -p "$tmp/root/dev" "$tmp/root/sys" "$tmp/root/proc"
"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -static -o "$tmp/root/init" \
	"$root/bench/tests/kernel/tdx_init.c" || exit 3
(cd "$tmp/root" && find . | cpio -o -H newc -R 0:0 2>/dev/null | gzip -1) >"$tmp/initramfs"

passed=0
failed=0

fail()
{
	failed=$((failed + 1))
	echo "test_tdx_emu.sh: FAIL $1: $2"
}

# A boot with the options $2.. is clean, and its log has the line $1.
boots()
{
	line=$1
	shift
	attend "$root/scripts/boot.sh" "$kernel" --accel=tcg --timeout=120 \
		--initramfs="$tmp/initramfs" --log="$tmp/log" "$@" >"$tmp/said" 2>&1 || {
		fail "$*" "$(cat "$tmp/said")"
		return
	}
	if ! tr -d '\r' <"$tmp/log" | grep -q "$line"; then
		fail "$*" "no \"$line\" in the log"
	elif ! grep -q 'tdx-init: 0 failures' "$tmp/log"; then
		fail "$*" "$(grep -a 'not ok' "$tmp/log" | head -n 3)"
	else
		passed=$((passed + 1))
	fi
}

# The emulation is refused with a line that has $1; KVM offers no TDs then.
refuses()
{
	line=$1
	shift
	attend "$root/scripts/boot.sh" "$kernel" --accel=tcg --timeout=120 \
		--initramfs="$tmp/initramfs" --log="$tmp/log" "$@" >/dev/null 2>&1
	if ! grep -aq "tdx_emu: .*$line" "$tmp/log"; then
		fail "$*" "no line that says \"$line\""
	elif grep -aq 'TDX-Module initialized' "$tmp/log"; then
		fail "$*" "TDX was brought up"
	else
		passed=$((passed + 1))
	fi
}

# The KUnit suites have boots of their own.
quiet=kunit.enable=0
boots 'TDX-Module initialized' --tdx --append=$quiet
boots 'TDX-Module initialized' --tdx --append=$quiet --smp=4,sockets=2
boots 'TDX-Module initialized' "--append=tdx_emu=on,static $quiet"
refuses 'no such option; valid: on, off, static, guard' "--append=tdx_emu=on,fast $quiet"
echo "test_tdx_emu: $passed passed, $failed failed"
[ $failed = 0 ]
