#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run cells on an emulated TDX host: boots a kernel of kernel-build.sh in QEMU with
# build/dpamt-guest as process 1, which runs them one after the other.
#
# usage: scripts/emu-run.sh [--kernel=KERNEL] [--out=FILE] [--smp=CPUS[,sockets=N]]
#		[--memory=SIZE] [--timeout=SECONDS] [--append=TEXT] [--log=FILE]
#		[--accel=auto|kvm|tcg] [--fio=JOB] [--perf] CELLS | --do=VERB [--warnings]
#	scripts/emu-run.sh --check
#
# CELLS is a file of lines, or - for standard input: workload file, strategy, block,
# seed, 1/scale (0: the workload's own bench_scale), overrides as in --set; separated
# by tabs. A line of samples.jsonl per cell goes to FILE, else to stdout, as it lands;
# there a last line of kind "host" says accelerator and kernel. What the
# console said is in the log (build/kernel/emu-run.log), and judged by boot.sh.
# --do: instead of cells, a verb of dpamt-guest with its words: "kill 200" (bench/guest/).
# --fio=JOB: fio goes along, with its libraries, and this job of workloads/fio/: memory is
# fragmented by it before cells whose workload asks for scattered placement.
# --perf: so does perf, which records the locks' contention events (with a kernel that has
# LOCK_STAT).
# --warnings: what the kernel says is meant and judged by the verb.
# --check: is all there that a boot takes? ACCEL of the environment: the default of --accel.
# Defaults: kernel emu, 4 CPUs (a TD may have as many vCPUs, so hot-spot needs 8), 4G,
# 600 s.
#
# Exit 0: all cells ran; 1: a broken invariant, a log that is not clean, or a host
# that died; 2 usage; 3 something is missing, or a cell failed.

set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
build=${BUILD:-$root/build}

say()
{
	echo "emu-run: $*" >&2
}

usage()
{
	sed -n '/^# usage/,/^#$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

kernel=emu
out=
smp=4
memory=4G
timeout=600
append=
accel=${ACCEL:-auto}
log=$build/kernel/emu-run.log
fio=
perf=
cells=
verb=
warnings=
while [ $# -gt 0 ]; do
	value=${1#*=}
	case $1 in
	--kernel=*) kernel=$value ;;
	--out=*) out=$value ;;
	--smp=*) smp=$value ;;
	--memory=*) memory=$value ;;
	--timeout=*) timeout=$value ;;
	--append=*) append=$value ;;
	--log=*) log=$value ;;
	--accel=*) accel=$value ;;
	--do=?*)
		verb=$value
		cells=/dev/null
		;;
	--fio=*) fio=$value ;;
	--perf) perf=yes ;;
	--warnings) warnings=yes ;;
	--check) cells=--check ;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	--*) say "unknown option $1" && usage ;;
	*)
		[ -z "$cells" ] || usage
		cells=$1
		;;
	esac
	shift
done
[ -n "$cells" ] || usage
[ "$cells" = - ] || [ "$cells" = --check ] || [ -r "$cells" ] || { say "no such file: $cells" && exit 2; }
guest=$build/dpamt-guest
[ -x "$guest" ] || { say "no $guest yet; to go on: make guest" && exit 3; }
image=$kernel
case $kernel in
emu | emu-debug | emu-kcsan) image=$build/kernel/$kernel/arch/x86/boot/bzImage ;;
esac
[ -r "$image" ] || { say "no kernel $kernel yet; to go on: make kernel" && exit 3; }
for tool in cpio qemu-system-x86_64; do
	command -v $tool >/dev/null 2>&1 || "$root/scripts/setup.sh" kernel >&2 || exit 3
done
[ "$cells" != --check ] || exit 0

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpamt-emu.XXXXXX") || exit 3
boot=
stop()
{
	if [ -n "$boot" ]; then
		kill "$boot" 2>/dev/null
		wait "$boot"
	fi
	rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 3' HUP INT TERM
mkdir -p "$scratch/root/workloads" "$scratch/root/dev" "$scratch/root/proc" \
	"$scratch/root/sys" "$scratch/root/tmp" || exit 3

# The files that cells name go along, under their own names.
tab=$(printf '\t')
[ "$cells" != - ] || cells=/dev/stdin
while IFS= read -r line; do
	case $line in '' | '#'*) continue ;; esac
	file=${line%%"$tab"*}
	[ -r "$file" ] || { say "no such workload file: $file" && exit 2; }
	cp "$file" "$scratch/root/workloads/" || exit 3
	printf '/workloads/%s\t%s\n' "${file##*/}" "${line#*"$tab"}" \
		>>"$scratch/root/cells" || exit 3
done <"$cells"
[ -n "$verb" ] || [ -s "$scratch/root/cells" ] || { say "no cells in $cells" && exit 2; }
[ -z "$verb" ] || cp "$root"/workloads/*.wl "$scratch/root/workloads/" || exit 3
cp "$guest" "$scratch/root/init" || exit 3

# A program with all that it is linked to: too much to be worth packing.
pack='gzip -1'
bring()
{
	program=$(command -v "$1") ||
		{ say "no $1; to go on: sudo apt-get install -y $2" && exit 3; }
	mkdir -p "$scratch/root/bin" && cp "$program" "$scratch/root/bin/$1" || exit 3
	ldd "$program" | grep -o '/[^ )]*' | sort -u | while read -r library; do
		mkdir -p "$scratch/root${library%/*}" &&
			cp -L "$library" "$scratch/root$library" || exit 3
	done || exit 3
	pack=cat
}
if [ -n "$fio" ]; then
	[ -r "$fio" ] || { say "no such job: $fio" && exit 2; }
	mkdir -p "$scratch/root/fio" && cp "$fio" "$scratch/root/fio/" || exit 3
	bring fio fio
fi
[ -z "$perf" ] || bring perf linux-perf
(cd "$scratch/root" && find . | cpio -o -H newc -R 0:0 2>/dev/null | $pack) \
	>"$scratch/initramfs" || { say "cannot write to $scratch" && exit 3; }

# In the background: a shell that waits for a program in the foreground hears no signal.
: >"$scratch/data"
"$root/scripts/boot.sh" "$kernel" --tdx --initramfs="$scratch/initramfs" --smp="$smp" \
	--memory="$memory" --timeout="$timeout" --accel="$accel" --log="$log" \
	--append="kunit.enable=0 $append${verb:+ -- $verb}" --data="$scratch/data" >"$scratch/verdict" &
boot=$!
[ -z "$out" ] || exec 3>&1 >"$out" || exit 3
tail -n +1 -s 0.2 -f --pid=$boot "$scratch/data" 2>/dev/null |
	grep -a --line-buffered '"kind"' | grep -av --line-buffered '"kind":"end"' &
reader=$!
wait "$boot"
status=$?
boot=
wait "$reader"
if [ -z "$out" ]; then
	used=$(sed -n 's/.* on \(tcg\|kvm\)\( .*\)*$/\1/p' "$scratch/verdict" | tail -n 1)
	cost=$(tr -d '\r' <"$log" |
		sed -n 's/.*SEAMCALL costs \([0-9]*\) ns through #UD, \([0-9]*\) ns.*/,"seamcall_trap_ns":\1,"seamcall_call_ns":\2/p')
	[ -z "$used" ] || printf '{"kind":"host","accelerator":"%s","kernel":"%s"%s}\n' "$used" \
		"$(tr -d '\r' <"$log" | sed -n 's/.*Linux version \([^ "\\]*\) .*/\1/p' | head -n 1)" \
		"$cost"
fi
tr -d '\r' <"$log" | sed -n 's/^.*\(dpamt-guest: .*\)/\1/p' >&2
cat "$scratch/verdict" >&2
[ $status = 0 ] || [ "$warnings$status" = yes1 ] || exit $status
end=$(sed -n 's/.*"kind":"end","exit":\([0-9]*\).*/\1/p' "$scratch/data")
[ -n "$end" ] || { say "the host ended before its cells did; its console: $log" && exit 1; }
exit "$end"
