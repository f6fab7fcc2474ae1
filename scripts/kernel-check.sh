#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the kernel plain and with checks at run time, boot both, and judge them.
#
# usage: scripts/kernel-check.sh [--again] [--kcsan] [--no-series | --short]
#
# In this order: the tests of the scripts; the builds, of dpamt-guest too; sparse on the files that the
# patches touch, where it can read an untouched one; for each build a boot without
# TDX, with its KUnit suites, and the emulated TDX host; KVM's own selftests that
# need no ordinary guest; the series, patch by patch. --kcsan adds a build with
# KCSAN; --no-series leaves the last out; --short also the build with checks: that is
# what CI does. A boot that hangs is killed (BOOT_LIMIT, 300 s) and the tail of its log
# shown.
#
# What passed is not done again for the same kernel, tests and QEMU: the line then says
# since when. --again does all of it again.
#
# stdout: one line per check, "passed", "failed" or "skipped", and a verdict.
# build/kernel/check.txt has the same for the cover letter of kernel-series.sh.
#
# Exit 0 nothing failed; 1 something did; 2 usage; 3 something is missing here,
# and one line says what.

set -u

prog=kernel-check
root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"

variants="emu emu-debug"
series=yes
again=
for arg; do
	case $arg in
	--again) again=yes ;;
	--kcsan) variants="$variants emu-kcsan" ;;
	--no-series) series= ;;
	--short)
		variants=emu
		series=
		;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*)
		echo "usage: scripts/kernel-check.sh [--again] [--kcsan] [--no-series | --short]" >&2
		exit 2
		;;
	esac
done

kernel_init
unset FOR
mkdir -p "${BUILD:-$root/build}/kernel" 2>/dev/null ||
	give_up "cannot write to ${BUILD:-$root/build}"
top=$(cd "${BUILD:-$root/build}/kernel" && pwd) || exit 3
limit=${BOOT_LIMIT:-300}
take_lock "$top"
# Of this run alone: what an interrupted one left running may still write.
log=$top/check.$$
list=$log.list
known=$top/check.known
failed=0
begun=$(date +%s)
: >"$list" || give_up "cannot write to $top"
qemu-system-x86_64 --version >"$list.qemu" 2>/dev/null
trap 'end_attended; rm -f "$log" "$log".*' EXIT
# What runs has its words elsewhere: descriptor 6.
exec 6>&2
trap 'say "stopped by a signal" 2>&6; exit 3' HUP INT TERM

# tell STATUS NAME DETAIL: a line of the outcome.
tell()
{
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$list"
	echo "$1: $2: $3"
	[ "$1" != failed ] || failed=$((failed + 1))
}

# What tells the files (or folders) "$@", and who boots them, from others.
key()
{
	for file; do
		[ -e "$file" ] || continue
		find "$file" -type f ! -name '.*' -exec cksum {} +
	done | sort | cat - "$list.qemu" | cksum | tr ' ' :
}

# Run the command $2.., whose last line says how it went: the check called $1. If it
# depends on the files $given alone, it is run once for each state of them.
given=
judge()
{
	name=$1
	shift
	state=
	if [ -n "$given" ]; then
		# shellcheck disable=SC2086
		state=$(key "$root/scripts" $given)
		given=
		old=$(grep -F "$name	$state	" "$known" 2>/dev/null)
		if [ -n "$old" ] && [ -z "$again" ]; then
			tell passed "$name" "$(echo "$old" | cut -f 4) (on $(echo "$old" | cut -f 3), \
of the same)"
			return 0
		fi
	fi
	attend "$@" >"$log" 2>"$log.err" 8>&-
	code=$?
	# Of a build, what was built, and not where it is.
	detail=$(tail -n 1 "$log" | sed 's,: /[^ ]*/bzImage$,,' | cut -c 1-300)
	case $code in
	0)
		tell passed "$name" "${detail:-done}"
		[ -z "$state" ] || remember "$name" "$state" "$detail"
		;;
	4) tell skipped "$name" "${detail:-$(tail -n 1 "$log.err")}" ;;
	3)
		cat "$log.err" >&2
		give_up "$name: could not be done"
		;;
	*)
		tail -n 40 "$log" | cut -c 1-300
		tail -n 5 "$log.err" >&2
		tell failed "$name" "${detail:-$(tail -n 1 "$log.err" | cut -c 1-300)}"
		;;
	esac
	return "$code"
}

# The check $1 passed in the state $2 and said $3.
remember()
{
	{
		grep -vF "$1	" "$known" 2>/dev/null
		printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$(date +%F)" "$3"
	} >"$log.known" && mv "$log.known" "$known"
}

# --------------------------------------------------------------------- sparse

# Whether sparse reads an untouched file of Linux; if not, $unfit says why.
sparse_works()
{
	unfit="no sparse here"
	command -v sparse >/dev/null 2>&1 || return 1
	kmake C=2 virt/kvm/kvm_main.o >"$log" 2>&1
	if ! grep -q '^ *CHECK ' "$log"; then
		unfit="this Linux does not take sparse $(sparse --version) (not up to date)"
		return 1
	elif grep -qE ' error: |Segmentation' "$log"; then
		unfit="sparse $(sparse --version) cannot read this Linux's own virt/kvm/kvm_main.c"
		return 1
	fi
}

kmake()
{
	attend nice make -C "$top/src" O="$top/emu" CC="$compiler" -j"$(nproc)" "$@"
}

check_sparse()
{
	use_ccache "$top"
	sparse_works || {
		tell skipped sparse "$unfit"
		return
	}
	files=$(sed -E 's/^[^ ]* +//' "$top/src.files" | tr '\n' ' ')
	objects=$(for file in $files; do
		object=${file%.c}.o
		[ "$object" = "$file" ] || [ ! -e "$top/emu/$object" ] || echo "$object"
	done)
	# shellcheck disable=SC2086
	kmake C=2 $objects >"$log" 2>&1
	found=$(warnings_in "$log" "$top/src" "$files")
	if [ -n "$found" ]; then
		echo "$found" | head -n 40
		tell failed sparse "$(echo "$found" | grep -c .) findings in touched files"
	else
		tell passed sparse "$(echo "$objects" | grep -c .) objects, nothing in touched files"
	fi
}

# ------------------------------------------------------------------- in order

tests=$root/bench/tests/kernel
suites=tdx_pamt,tdx_pamt_host,tdx_pamt_words
given="$root/kernel $root/Makefile $tests/test_kernel_scripts.sh $tests/kernel_scripts_boot.sh"
judge "tests of the scripts" bash "$tests/test_kernel_scripts.sh"
# What runs on the emulated host.
guest=${top%/kernel}/dpamt-guest
judge "build of dpamt-guest" make -s -C "$root" BUILD="${top%/kernel}" guest
built=
for variant in $variants; do
	option=${variant#emu}
	judge "build of $variant" "$root/scripts/kernel-build.sh" ${option:+"-$option"} &&
		built="$built $variant"
done
[ ! -e "$top/emu/vmlinux" ] || check_sparse
for variant in $built; do
	image=$top/$variant/arch/x86/boot/bzImage
	given=$image
	judge "boot of $variant without TDX" \
		"$root/scripts/boot.sh" "$variant" --kunit=$suites --timeout="$limit" \
		--log="$top/$variant.boot.log"
	grep -qx CONFIG_TDX_EMU=y "$top/$variant/.config" || continue
	given=$image
	judge "boot of $variant as an emulated TDX host" "$root/scripts/boot.sh" "$variant" --tdx \
		--kunit=$suites --timeout="$limit" --log="$top/$variant.tdx.log"
	given="$image $tests/test_tdx_emu.sh $tests/tdx_init.c"
	judge "TDs on the emulated TDX host, $variant" \
		sh "$tests/test_tdx_emu.sh" "$variant"
	given="$image $tests/test_tdx_stress.sh $guest $root/workloads"
	judge "stress of the emulated TDX host, $variant" \
		sh "$tests/test_tdx_stress.sh" "$variant"
done
given="$top/emu/arch/x86/boot/bzImage $tests/test_selftests.sh $top/src.from"
judge "KVM's selftests" sh "$tests/test_selftests.sh" emu
[ -z "$series" ] || judge "series" "$root/scripts/kernel-series.sh" --check

{
	printf 'source\t%s\n' "$(source_id "$top")"
	cat "$list"
} >"$top/check.txt"
# The cover letter says what was found now.
[ -z "$series" ] || attend "$root/scripts/kernel-series.sh" >/dev/null 2>&1
seconds=$(($(date +%s) - begun))
if [ $failed != 0 ]; then
	echo "not in order: $failed checks failed, after $seconds s"
	exit 1
fi
echo "ok: $(grep -c ^passed "$top/check.txt") checks passed," \
	"$(grep -c ^skipped "$top/check.txt") skipped, in $seconds s"
