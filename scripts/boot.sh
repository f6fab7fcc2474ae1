#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Boot a kernel in QEMU, and judge it by its log.
#
# usage: scripts/boot.sh KERNEL [--append=TEXT] [--initramfs=FILE] [--timeout=SECONDS]
#		[--smp=CPUS[,sockets=N]] [--memory=SIZE] [--accel=auto|kvm|tcg] [--log=FILE]
#		[--tdx] [--data=FILE] [--kunit=SUITE,..]
#
# KERNEL is a bzImage, or emu, emu-debug, emu-kcsan for the one that
# kernel-build.sh made. Without --initramfs: a small one of busybox, which
# prints the results of the KUnit suites and powers off. --accel=auto takes
# /dev/kvm if this very kernel boots on it, otherwise TCG. --tdx boots an emulated
# TDX host: tdx_emu=on, unless --append has a tdx_emu= of its own, and KVM's tdx
# parameter. --data=FILE: a second serial port, written there. --kunit: the KUnit
# suites that must have run and passed, as the small initramfs tells. Defaults: 300 s, 2
# CPUs, 2G, log in build/kernel/boot.log (the serial console, all of it).
# stdout: what is wrong with the log (WARNING, BUG, lockdep, RCU, KASAN, KCSAN,
# Oops, SEAMCALLs and KUnit tests that failed), and a verdict in one line.
#
# Exit 0 clean; 1 something in the log, or the end was not reached; 2 usage; 3
# something is missing here, and one line says what.

set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
build=${BUILD:-$root/build}/kernel
done_mark="dpamt-init: done"

say()
{
	echo "boot: $*" >&2
}

give_up()
{
	say "$*"
	exit 3
}

usage()
{
	echo "usage: scripts/boot.sh KERNEL [--append=TEXT] [--initramfs=FILE]" \
		"[--timeout=SECONDS] [--smp=CPUS] [--memory=SIZE] [--accel=auto|kvm|tcg]" \
		"[--log=FILE] [--tdx] [--data=FILE] [--kunit=SUITE,..]" >&2
	exit 2
}

number()
{
	case $1 in
	'' | *[!0-9]* | 0*) say "$2=$1: not a positive number" && usage ;;
	esac
}

kernel=
append=
initramfs=
timeout=300
smp=2
memory=2G
accel=auto
tdx=
data=
suites=
log=$build/boot.log
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	--tdx)
		tdx=yes
		shift
		continue
		;;
	--*=*)
		option=${1%%=*}
		value=${1#*=}
		;;
	--*)
		[ $# -gt 1 ] || usage
		option=$1
		value=$2
		shift
		;;
	*)
		[ -z "$kernel" ] || usage
		kernel=$1
		shift
		continue
		;;
	esac
	shift
	case $option in
	--append) append=$value ;;
	--initramfs) initramfs=$value ;;
	--timeout) timeout=$value ;;
	--smp) smp=$value ;;
	--memory) memory=$value ;;
	--accel) accel=$value ;;
	--log) log=$value ;;
	--data) data=$value ;;
	--kunit) suites=$value ;;
	*) usage ;;
	esac
done
[ -n "$kernel" ] || usage
number "$timeout" --timeout
cpus=${smp%%,*}
number "$cpus" --smp
case $smp in
"$cpus") ;;
*)
	sockets=${smp#"$cpus",sockets=}
	number "$sockets" --smp
	[ $((cpus % sockets)) = 0 ] ||
		{ say "--smp=$smp: $cpus CPUs do not spread evenly over $sockets sockets" && usage; }
	;;
esac
case $append in
*tdx_emu=*) tdx=yes ;;
*) append="${tdx:+tdx_emu=on }$append" ;;
esac
# With Dynamic PAMT a small host's PAMT fits below 2M, and alloc_contig_pages() of 7.3
# then isolates page block 0, which begins before its zone: VM_BUG_ON_PAGE() in a
# kernel with DEBUG_VM. Nothing is lost without that megabyte.
[ -z "$tdx" ] || append="kvm_intel.tdx=1 memmap=1M\$1M $append"
levels=
case $accel in
auto | kvm | tcg) ;;
*) say "--accel=$accel: unknown; valid: auto, kvm, tcg" && usage ;;
esac
case $kernel in
emu | emu-debug | emu-kcsan)
	[ -r "$build/$kernel/arch/x86/boot/bzImage" ] ||
		give_up "no kernel $kernel yet; to go on: make kernel"
	# identify_cpu() of 7.3 clears the boot CPU's flags for a moment. An interrupt there
	# finds no LA57, and KASAN, with 5-level paging, a wild access at every address.
	! grep -qx CONFIG_KASAN=y "$build/$kernel/.config" || levels=,-la57
	kernel=$build/$kernel/arch/x86/boot/bzImage
	;;
esac
[ -r "$kernel" ] || give_up "no such kernel: $kernel"
[ -z "$initramfs" ] || [ -r "$initramfs" ] || give_up "no such initramfs: $initramfs"
mkdir -p "$build" "$(dirname "$log")" 2>/dev/null && : >"$log" || give_up "cannot write to $log"

command -v qemu-system-x86_64 >/dev/null 2>&1 || "$root/scripts/setup.sh" kernel || exit 3
command -v qemu-system-x86_64 >/dev/null 2>&1 || give_up "no qemu-system-x86_64"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpamt-boot.XXXXXX") || exit 3
qemu=
stop()
{
	if [ -n "$qemu" ]; then
		kill -KILL "$qemu" 2>/dev/null
	fi
	rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 3' HUP INT TERM

# --------------------------------------------------------------- initramfs

# What runs as process 1. The marks tell a boot that ended from one that died.
init_script()
{
	cat <<-'SCRIPT'
		#!/bin/busybox sh
		/bin/busybox mkdir -p /proc /sys /dev /tmp
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs devtmpfs /dev 2>/dev/null
		mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
		echo "dpamt-init: up on $(grep -c ^processor /proc/cpuinfo) CPUs," \
			"Linux $(uname -r)"
		if ! grep -q dpamt.probe /proc/cmdline; then
			for results in /sys/kernel/debug/kunit/*/results; do
				[ -e "$results" ] && sed 's/^/kunit: /' "$results"
			done
		fi
		echo "dpamt-init: done"
		poweroff -f
	SCRIPT
}

make_initramfs()
{
	busybox=$(command -v busybox) || {
		"$root/scripts/setup.sh" kernel || exit 3
		busybox=$(command -v busybox) || give_up "no busybox"
	}
	command -v cpio >/dev/null 2>&1 || "$root/scripts/setup.sh" kernel || exit 3
	! ldd "$busybox" >/dev/null 2>&1 ||
		give_up "$busybox is not static; to go on: sudo apt-get install -y busybox-static"
	mkdir -p "$scratch/root/bin" && cp "$busybox" "$scratch/root/bin/busybox" &&
		init_script >"$scratch/root/init" && chmod 755 "$scratch/root/init" &&
		(cd "$scratch/root" && find . | cpio -o -H newc -R 0:0 2>/dev/null | gzip -1) \
			>"$scratch/initramfs" || give_up "cannot write to $scratch"
	own=$scratch/initramfs
}

# -------------------------------------------------------------------- QEMU

# A model with CPUID and MSRs near enough to a TDX host's. With a hypervisor
# bit the kernel would swap its queued spinlocks for test-and-set ones; WRPKRU
# is a full TLB flush in TCG, and REP STOSB a loop over bytes: without ERMS the kernel
# clears pages by words; 52 bits as with TME and 6 KeyID bits.
machine()
{
	features=vendor=GenuineIntel,family=6,model=106,stepping=6,phys-bits=52,-pku,-hypervisor$levels
	case $1 in
	kvm) echo "-accel kvm -cpu host,-vmx,${tdx:+$features,}-hypervisor$levels" ;;
	tcg) echo "-accel tcg,thread=multi -cpu max,$features,-erms,-fsrm" ;;
	esac
}

# On a busy machine the timer of a virtual one ticks late: no_timer_check, or Linux takes
# it for broken and panics.
# Boot on the accelerator $1, for at most $2 s, console to $3, with $4 on the
# command line too, with the initramfs $5. 0: QEMU ended by itself; 1: killed; 2: it did not start.
boot()
{
	# shellcheck disable=SC2046
	qemu-system-x86_64 -M q35 $(machine "$1") -smp "$smp" -m "$memory" -display none \
		-monitor none -nodefaults -serial "file:$3" \
		${data:+-serial "file:$data"} -no-reboot -kernel "$kernel" \
		-initrd "$5" \
		-append "console=ttyS0 tsc=reliable no_timer_check panic=-1 $4 $append" \
		>"$scratch/qemu" 2>&1 </dev/null &
	qemu=$!
	waited=0
	while kill -0 "$qemu" 2>/dev/null; do
		if [ "$waited" -ge $((5 * $2)) ]; then
			kill -KILL "$qemu"
			wait "$qemu" 2>/dev/null
			qemu=
			return 1
		fi
		sleep 0.2
		waited=$((waited + 1))
	done
	wait "$qemu"
	status=$?
	qemu=
	[ $status = 0 ] || return 2
}

# Does this kernel boot on /dev/kvm? A file that opens is not enough. A no is
# remembered for this kernel until the machine is rebooted.
kvm_works()
{
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	id="$(cat /proc/sys/kernel/random/boot_id) $(cksum <"$kernel")"
	[ "$id" != "$(cat "$build/boot.no-kvm" 2>/dev/null)" ] || return 1
	boot kvm 20 "$scratch/probe" dpamt.probe "$own" && grep -aq "$done_mark" "$scratch/probe" &&
		return
	echo "$id" >"$build/boot.no-kvm"
	return 1
}

# --------------------------------------------------------------------- log

# Lines of the log that no clean boot has. At a shutdown Linux 7.3 calls a leaf, 69, that no
# published TDX module has: OPERAND_INVALID is its answer.
scan()
{
	grep -aE -e 'WARNING: |WARNING! |BUG: |kernel BUG at|\bOops\b|general protection fault' \
		-e 'Kernel panic|\[ cut here \]|KASAN: |KCSAN: |UBSAN: |refcount_t: ' \
		-e 'rcu: INFO: .*(stall|detected)|rcu.*(self-detected|detected stall)|INFO: rcu' \
		-e 'possible (circular|recursive|irq)|inconsistent lock state|lock held when' \
		-e 'held lock freed|bad unlock balance|suspicious RCU usage|invalid wait context' \
		-e 'DEBUG_LOCKS_WARN_ON|turning off the locking correctness validator' \
		-e 'sleeping function called|scheduling while atomic|soft lockup|hard LOCKUP' \
		-e 'blocked for more than|unchecked MSR access|(list|slab)_?[a-z]* corruption' \
		-e 'stack guard page|unable to handle|nobody cared|ODEBUG: ' \
		-e '\<TD[HX][._][A-Z0-9._]+(\[.*)? failed|\<tdh_[a-z_]+\(\) failed' \
		-e '^kunit: *not ok|failed to start|No working init' "$1" |
		grep -av 'TDH\.SYS\.DISABLE failed: 0xc0000100'
}

verdict()
{
	bad=$(scan "$log" | tr -d '\r' | cut -c 1-300 | awk '!seen[$0]++')
	if [ -n "$bad" ]; then
		echo "$bad" | head -n 40
		echo "not clean: $(echo "$bad" | grep -c .) lines of $log" \
			"on $used after $seconds s"
		exit 1
	fi
}

# The KUnit tests of the log: how many passed, in words. A line that ends a suite, or
# the cases of a parameterised test, is less indented than what it ends, and no test.
kunit_counts()
{
	tr -d '\r' <"$log" | sed -n 's/^kunit: \( *\)\(not \)\{0,1\}\(ok .*\)/\1\3/p' | awk '
		{ depth = match($0, /o/) }
		depth >= last { if (/# SKIP/) skipped++; else passed++ }
		{ last = depth }
		END { printf "%d KUnit tests passed, %d skipped\n", passed, skipped }'
}

# Of the suites wanted, those that did not run, or were skipped.
suites_missing()
{
	for suite in $(echo "$suites" | tr , ' '); do
		tr -d '\r' <"$log" | grep -aqE "^kunit: ok [0-9]+ $suite\$" || echo "$suite"
	done | tr '\n' ' '
}

# Our own initramfs, unless the user's is all that is needed.
own=
if [ -z "$initramfs" ] || [ "$accel" = auto ]; then
	make_initramfs
fi
used=$accel
if [ "$accel" = auto ]; then
	used=tcg
	if kvm_works; then
		used=kvm
	elif [ -e /dev/kvm ]; then
		say "this kernel does not boot on /dev/kvm here: TCG"
	fi
fi
start=$(date +%s)
boot "$used" "$timeout" "$log" "" "${initramfs:-$own}"
ended=$?
seconds=$(($(date +%s) - start))

if [ $ended = 2 ]; then
	[ "$status" -le 128 ] || give_up "QEMU was killed by signal $((status - 128)): out of memory?"
	give_up "QEMU: $(head -n 1 "$scratch/qemu" | cut -c 1-200)"
fi
verdict
if [ $ended = 1 ]; then
	tail -n 20 "$log" | tr -d '\r'
	echo "hung: killed after $timeout s on $used; the tail of $log is above"
	exit 1
fi
# A triple fault ends QEMU as a power-off does.
why=
if [ -z "$initramfs" ] && ! grep -aq "$done_mark" "$log"; then
	why="init did not reach its end"
elif ! grep -aqE 'reboot: (Power down|Restarting|System halted)' "$log"; then
	why="the kernel was not shut down"
fi
if [ -n "$why" ]; then
	tail -n 20 "$log" | tr -d '\r'
	echo "died: $why on $used; the tail of $log is above"
	exit 1
fi
missed=$(suites_missing)
if [ -n "$missed" ]; then
	echo "not clean: these KUnit suites did not run and pass: ${missed% }, on $used after" \
		"$seconds s; $log"
	exit 1
fi
echo "clean: $(tr -d '\r' <"$log" | sed -n 's/^dpamt-init: up on //p') on $used in $seconds s," \
	"$(kunit_counts)"
