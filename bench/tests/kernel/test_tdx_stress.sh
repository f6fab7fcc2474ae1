#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Stress of the emulated TDX host, in QEMU, by what build/dpamt-guest does there:
#
#	kill [N]	a VMM with many TDs is killed by SIGKILL at a random moment, N times
#	churn [SECONDS]	TDs come and go under BUSY and, in emu-debug, failing allocations
#	faults		errors where KVM expects none: its words, what is lost, the next TD
#	owners		whose the module's pages are, as it tells; with APPEND=tdx_emu=on,guard
#			none of them can be read by the kernel
#
# usage: bench/tests/kernel/test_tdx_stress.sh [emu|emu-debug]
#		[kill [N] | churn [SECONDS] | faults | owners]
#
# Without a verb all, short: 20 kills (emu-debug: 5), 30 seconds, all faults; then owners,
# and 10 seconds of churn in guard mode; two minutes. APPEND of the environment goes onto the
# kernel's command line.
# The log of the last boot is left in build/kernel/stress.log. CPUS of the environment:
# that of the emulated host, default 4. Of all that is done on emu-debug only kills and
# churn: the rest is about what is said, not about races.
#
# Exit 0 passed; 1 failed; 2 usage; 3 something is missing here; 4 no kernel was built yet.

set -u

prog=test_tdx_stress
root=$(cd "$(dirname "$0")/../../.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"
build=${BUILD:-$root/build}
case ${1:-} in
-h | --help)
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
	exit 0
	;;
emu | emu-debug | emu-kcsan)
	kernel=$1
	shift
	;;
*) kernel=emu ;;
esac
case ${1:-}${2+ }${2:-} in
'') verbs='kill churn faults' ;;
kill | churn | faults | owners | "kill "[1-9]* | "churn "[1-9]*) verbs= ;;
*)
	sed -n '/^# usage/,/^#$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
[ -r "$build/kernel/$kernel/arch/x86/boot/bzImage" ] || {
	echo "test_tdx_stress: skipped: no kernel $kernel yet (make kernel)"
	exit 4
}
# Always: one that is there may be of another source.
make -s -C "$root" BUILD="$build" guest >&2 || exit 3
log=$build/kernel/stress.log
said=$(mktemp "${TMPDIR:-/tmp}/$prog.XXXXXX") || exit 3
trap 'end_attended; rm -f "$said"' EXIT
trap 'exit 3' HUP INT TERM
passed=0
failed=0

# More than enough for kills of a few seconds each, or for the seconds asked for.
limit()
{
	case $1 in
	churn) echo $((${2:-30} * 2 + 300)) ;;
	kill) echo $((${2:-20} * 20 + 300)) ;;
	*) echo 600 ;;
	esac
}

append=${APPEND:-}

verb()
{
	warnings=
	[ "$1" != faults ] || warnings=--warnings
	attend "$root/scripts/emu-run.sh" --kernel="$kernel" --smp="${CPUS:-4}" \
		--timeout="$(limit "$@")" --log="$log" --append="$append" --do="$*" $warnings >"$said" 2>&1
	status=$?
	line=$(sed -n "s/^dpamt-guest: \($1: [^[]*\).*/\1/p" "$said" | tail -n 1)
	if [ $status = 0 ]; then
		passed=$((passed + 1))
		echo "$kernel: $line"
	elif [ $status = 3 ]; then
		tail -n 5 "$said" >&2
		exit 3
	else
		failed=$((failed + 1))
		tail -n 20 "$said"
		echo "test_tdx_stress: FAIL $*, on $kernel; its log: $log"
	fi
}

if [ -n "$verbs" ]; then
	for v in $verbs; do
		case $kernel-$v in
		emu-debug-faults) ;;
		emu-debug-kill) verb kill 5 ;;
		*) verb "$v" ;;
		esac
	done
	append="$append tdx_emu=on,guard"
	if [ "$kernel" = emu ]; then
		verb owners
		verb churn 10
	fi
else
	verb "$@"
fi
echo "test_tdx_stress: $passed passed, $failed failed"
[ $failed = 0 ]
