#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Do the strategies and the software TDX module compile inside Linux 7.3.y?
#
# usage: scripts/kernel-compile-check.sh [--tar=FILE]
#
# Every .c file of kernel/src/arch/x86/virt/vmx/tdx/{pamt,emu/module,emu/td} is built
# as an object of the kernel, unchanged, with W=1. The source is the untouched
# Linux of the cache, from where kernel/base says, or the tarball FILE: see
# scripts/kernel-lib.sh. stdout: what was said of these files, checkpatch's
# totals, a verdict in one line; progress is on stderr. CC picks the compiler.
#
# The first run fetches 170 MB, takes 1 to 2 minutes, and leaves 1.9 GB in
# ${XDG_CACHE_HOME:-$HOME/.cache}/dpamt-bench; later runs only compile (10 s).
# Packages that the build lacks are installed where that needs no password.
#
# Exit 0 all compile; 1 an error or a warning in one of the files; 2 usage; 3
# something is missing here, and one line says what.

set -u

prog=kernel-compile-check
root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"

tdx=arch/x86/virt/vmx/tdx
dirs="pamt emu/module emu/td"

tarball=
for arg; do
	case $arg in
	--tar=?*) tarball=${arg#--tar=} ;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*)
		echo "usage: scripts/kernel-compile-check.sh [--tar=FILE]" >&2
		exit 2
		;;
	esac
done
files=$root/kernel/src/$tdx
[ -d "$files" ] || give_up "no $files"

# ------------------------------------------------------------------ source

kernel_init
check=$cache/compile-check
mkdir -p "$check" 2>/dev/null || give_up "cannot write to $cache"
need_tools "$check/log"
get_pristine "$tarball"
source=$check/src
build=$check/build
log=$check/log

# A tree of hard links, in which files are replaced and never written to.
if [ "$version $origin" != "$(cat "$check/from" 2>/dev/null)" ]; then
	say "linking Linux $version from $origin"
	rm -rf "$check/from" "$source" "$build"
	cp -al "$pristine" "$source" || give_up "cannot write to $check"
	cp "$source/$tdx/Makefile" "$source/$tdx/Makefile.dist" || exit 3
	echo "$version $origin" >"$check/from"
fi

# ----------------------------------------------------------- configuration

# tinyconfig, and what INTEL_TDX_HOST and KVM_INTEL_TDX depend on.
options()
{
	cat <<-END
		CONFIG_64BIT=y
		CONFIG_SMP=y
		CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y
		CONFIG_CPU_SUP_INTEL=y
		CONFIG_ACPI=y
		CONFIG_PCI=y
		CONFIG_PCI_MSI=y
		CONFIG_IOMMU_SUPPORT=y
		CONFIG_IRQ_REMAP=y
		CONFIG_X86_X2APIC=y
		CONFIG_X86_MCE=y
		CONFIG_HYPERVISOR_GUEST=y
		CONFIG_PARAVIRT=y
		CONFIG_COMPACTION=y
		CONFIG_MIGRATION=y
		CONFIG_CMA=y
		CONFIG_CONTIG_ALLOC=y
		CONFIG_HIGH_RES_TIMERS=y
		CONFIG_PRINTK=y
		CONFIG_BUG=y
		CONFIG_FTRACE=y
		CONFIG_PERF_EVENTS=y
		CONFIG_VIRTUALIZATION=y
		CONFIG_KVM=y
		CONFIG_KVM_INTEL=y
		CONFIG_INTEL_TDX_HOST=y
		CONFIG_KVM_INTEL_TDX=y
	END
}

compiler=${CC:-gcc}
if command -v ccache >/dev/null 2>&1; then
	compiler="ccache $compiler"
fi
jobs=$(nproc)

kmake()
{
	nice make -C "$source" O="$build" CC="$compiler" -j"$jobs" "$@"
}

configure()
{
	rm -rf "$build"
	mkdir "$build" || exit 3
	say "configuring Linux $version"
	options >"$build/options"
	{
		kmake -s tinyconfig &&
			sh "$source/scripts/kconfig/merge_config.sh" -m -O "$build" \
				"$build/.config" "$build/options" &&
			kmake -s olddefconfig
	} >"$log" 2>&1 || give_up "cannot configure Linux $version: $(why "$log")"
	while read -r option; do
		grep -qx "$option" "$build/.config" ||
			give_up "Linux $version did not take $option with this compiler"
	done <"$build/options"
	kmake -s prepare >"$log" 2>&1 || give_up "cannot prepare Linux $version: $(why "$log")"
}

stamp="$(options | cksum) $compiler $(${CC:-gcc} --version | head -n 1)"
if [ "$stamp" != "$(cat "$build/prepared" 2>/dev/null)" ]; then
	configure
	echo "$stamp" >"$build/prepared"
fi

# ------------------------------------------------------------------- files

objects()
{
	for file in "$1"/*.c; do
		file=${file##*/}
		printf ' %s' "${file%.c}.o"
	done
}

lay_out()
{
	into=$source/$tdx
	rm -rf "$into/pamt" "$into/emu" "$build/$tdx/pamt" "$build/$tdx/emu"
	mkdir "$into/emu" || exit 3
	for dir in $dirs; do
		cp -R "$files/$dir" "$into/$dir" || give_up "cannot copy $files/$dir"
		echo "obj-y +=$(objects "$into/$dir")" >"$into/$dir/Makefile"
	done
	echo "obj-y += module/" >"$into/emu/Makefile"
	rm -f "$into/Makefile"
	{
		cat "$into/Makefile.dist"
		echo "obj-y += pamt/ emu/"
	} >"$into/Makefile"
}

say "compiling"
lay_out
kmake -k W=1 "$tdx/pamt/" "$tdx/emu/" >"$log" 2>&1

# The lines of the log about our files, with paths as in our tree.
grep -E '(^|: )([Ww]arning|(fatal )?error): ' "$log" | grep -v '^make' |
	sed -n "s,[^ ]*\($tdx/\(pamt\|emu\)/\),kernel/src/\1,gp" | awk '!seen[$0]++' >"$log.ours"

# make says nothing when it finds nothing to do, so the objects are counted.
built=0
absent=
for dir in $dirs; do
	for file in "$files/$dir"/*.c; do
		object=$dir/$(basename "$file" .c).o
		if [ -e "$build/$tdx/$object" ]; then
			built=$((built + 1))
		else
			absent="$absent $object"
		fi
	done
done
if [ -n "$absent" ] && [ ! -s "$log.ours" ]; then
	# In a header of the kernel, on the way from one of our files; or elsewhere.
	grep -qE "^make.*\*\*\* .*$tdx/(pamt|emu)/.*\.o\]" "$log" ||
		give_up "the build broke outside our files: $(why "$log") (see $log)"
	grep -E 'error: ' "$log" >"$log.ours"
fi
cat "$log.ours"

(
	cd "$source" || exit
	for dir in $dirs; do
		for file in "$tdx/$dir"/*.[ch]; do
			perl scripts/checkpatch.pl --no-tree --strict --terse --show-types \
				-f "$file" 2>/dev/null
		done
	done
) | grep -v '^total:' >"$log.checkpatch"
echo "checkpatch --strict: $(grep -c ': ERROR:' "$log.checkpatch") errors," \
	"$(grep -c ': WARNING:' "$log.checkpatch") warnings," \
	"$(grep -c ': CHECK:' "$log.checkpatch") checks (advice only; $log.checkpatch)"

if [ -n "$absent" ] || [ -s "$log.ours" ]; then
	echo "not clean with Linux $version, W=1, ${stamp##*"$compiler" }: $built files compiled;" \
		"without an object:${absent:- none} (see $log)"
	exit 1
fi
echo "ok: $built files compile with Linux $version, W=1, ${stamp##*"$compiler" }, no warning"
