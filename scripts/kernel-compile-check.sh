#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Do the strategies and the software TDX module compile inside Linux 7.3.y?
#
# usage: scripts/kernel-compile-check.sh [--tar=FILE]
#
# Every .c file of kernel/src/arch/x86/virt/vmx/tdx/{pamt,emu/module} is built
# as an object of the kernel, unchanged, with W=1. The source is Debian's
# linux-source-7.3, from the Debian mirror that this machine's apt uses, or the
# tarball FILE. stdout: what was said of these files, checkpatch's totals, a
# verdict in one line; progress is on stderr. CC picks the compiler.
#
# The first run fetches 170 MB, takes 1 to 2 minutes, and leaves 0.4 GB in
# ${XDG_CACHE_HOME:-$HOME/.cache}/dpamt-bench; later runs only compile (10 s).
# apt's own configuration and lists are left alone; packages that the build
# lacks are installed where that needs no password.
#
# Exit 0 all compile; 1 an error or a warning in one of the files; 2 usage; 3
# something is missing here, and one line says what.

set -u

base=7.3
suite=trixie-backports
package=linux-source-$base
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
tdx=arch/x86/virt/vmx/tdx
dirs="pamt emu/module"

say()
{
	echo "kernel-compile-check: $*" >&2
}

give_up()
{
	say "$*"
	exit 3
}

# The line of the log that says why.
why()
{
	grep -v '^make' "$log" | grep -iE -m 1 'error|too old|not found|unable|^[EW]: |\*\*\* .' ||
		tail -n 1 "$log"
}

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
if [ -n "$tarball" ]; then
	tarball=$(realpath -e -- "$tarball" 2>/dev/null) || give_up "no such tarball"
fi

# What a calling make or shell exports would steer the kernel's make too.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CFLAGS LDFLAGS ARCH CROSS_COMPILE LLVM \
	KBUILD_OUTPUT KCFLAGS KCPPFLAGS KCONFIG_CONFIG KCONFIG_ALLCONFIG V W C O
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
files=$root/kernel/src/$tdx
[ -d "$files" ] || give_up "no $files"

# ------------------------------------------------------------- environment

[ "$(uname -m)" = x86_64 ] || give_up "needs an x86-64 machine, this is $(uname -m)"

[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || give_up "neither XDG_CACHE_HOME nor HOME is set"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpamt-bench/linux-$base
case $cache in
*[\ :]*) give_up "the kernel does not build in a path with blanks or colons: $cache" ;;
esac
mkdir -p "$cache" 2>/dev/null || give_up "cannot write to $cache"
source=$cache/src
build=$cache/build
log=$cache/log

# Package for what is missing of the tools that the kernel's build wants.
missing_packages()
{
	for pair in gcc:gcc make:make flex:flex bison:bison bc:bc xz:xz-utils \
		perl:perl python3:python3 flock:util-linux; do
		command -v "${pair%:*}" >/dev/null 2>&1 || echo "${pair##*:}"
	done
	for pair in libelf.h:libelf-dev gelf.h:libelf-dev openssl/opensslv.h:libssl-dev; do
		echo "#include <${pair%:*}>" | ${CC:-gcc} -E -x c - >/dev/null 2>&1 ||
			echo "${pair##*:}"
	done
}

[ -z "${CC:-}" ] || command -v "${CC%% *}" >/dev/null 2>&1 || give_up "no compiler $CC"
missing=$(missing_packages | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ]; then
		as_root="env"
	else
		as_root="sudo -n env"
	fi
	say "apt-get install ${missing% }"
	# shellcheck disable=SC2086
	$as_root DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y \
		--no-install-recommends $missing >"$log" 2>&1 </dev/null
	missing=$(missing_packages | sort -u | tr '\n' ' ')
	[ -z "$missing" ] || give_up "to go on: sudo apt-get install -y ${missing% }"
fi

# One run at a time in one cache.
exec 9>"$cache/lock"
flock -n 9 || {
	say "waiting for another run"
	flock 9
}

# ------------------------------------------------------------------ source

# apt with lists, cache and sources of its own; all else as the machine has it.
private_apt()
{
	tool=$1
	shift
	"$tool" -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State="$apt/state" -o Dir::State::Lists="$apt/lists" \
		-o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Retries=2 "$@" >>"$log" 2>&1 </dev/null
}

# URIs of the Debian archives that this machine's apt is set up for.
mirrors()
{
	apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\(.*\)/dists/[^']*'.*|\1|p" | grep debian | grep -v security | uniq
}

fetch_from()
{
	echo "deb [signed-by=$keyring] $1 $suite main" >"$apt/sources.list"
	private_apt apt-get update && (cd "$apt" && private_apt apt-get download "$package")
}

# The tarball of Debian's package, in $tarball.
fetch()
{
	command -v apt-get >/dev/null 2>&1 ||
		give_up "no apt-get here; give Linux $base.y with --tar=FILE"
	[ -r "$keyring" ] ||
		give_up "no $keyring; to go on: sudo apt-get install -y debian-archive-keyring"
	apt=$cache/apt
	rm -rf "$apt"
	mkdir -p "$apt/state" "$apt/lists/partial" "$apt/cache/archives/partial" ||
		give_up "cannot write to $cache"
	: >"$log"
	say "fetching $package from $suite"
	for mirror in $(mirrors); do
		fetch_from "$mirror" && break
	done
	deb=$(find "$apt" -maxdepth 1 -name "${package}_*.deb")
	[ -n "$deb" ] ||
		give_up "no $package from $suite ($(why)); give Linux $base.y with --tar=FILE"
	dpkg-deb -x "$deb" "$apt" 2>>"$log" || give_up "cannot unpack $deb: is the disk full?"
	rm -f "$deb"
	tarball=$apt/usr/src/$package.tar.xz
}

# Of drivers and the like only the Kconfig and Makefiles are wanted.
unpack()
{
	say "unpacking Linux $base.y into $cache"
	rm -rf "$source.new"
	mkdir "$source.new" || exit 3
	top=$(tar -tf "$tarball" 2>/dev/null | sed -n '1s|/.*||p;1q')
	tar -xf "$tarball" -C "$source.new" --strip-components=1 --anchored --wildcards \
		--exclude="$top/drivers/*.[chS]" --exclude="$top/sound/*.[chS]" \
		--exclude="$top/fs/*.[chS]" --exclude="$top/net/*.[chS]" \
		--exclude="$top/Documentation/*.rst" --exclude="$top/Documentation/*.yaml" \
		--exclude="$top/tools/testing/*" --exclude='*.dts' --exclude='*.dtsi' 2>"$log" ||
		give_up "cannot unpack $tarball: $(why)"
	version=$(make -s -C "$source.new" kernelversion 2>"$log")
	case $version in
	"$base" | "$base".* | "$base"-*) ;;
	*) give_up "not Linux $base.y: ${version:-$(tail -n 1 "$log")}" ;;
	esac
	cp "$source.new/$tdx/Makefile" "$source.new/$tdx/Makefile.dist" || exit 3
	echo "$1" >"$source.new/.unpacked-from"
	rm -rf "$source" "$build"
	mv "$source.new" "$source" || exit 3
}

from=
[ -z "$tarball" ] || from="$tarball $(stat -c '%s %Y' "$tarball")"
if [ ! -e "$source/.unpacked-from" ] ||
	{ [ -n "$from" ] && [ "$from" != "$(cat "$source/.unpacked-from")" ]; }; then
	[ -n "$tarball" ] || fetch
	unpack "$from"
	rm -rf "$cache/apt"
fi
version=$(make -s -C "$source" kernelversion)

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
	} >"$log" 2>&1 || give_up "cannot configure Linux $version: $(why)"
	while read -r option; do
		grep -qx "$option" "$build/.config" ||
			give_up "Linux $version did not take $option with this compiler"
	done <"$build/options"
	kmake -s prepare >"$log" 2>&1 || give_up "cannot prepare Linux $version: $(why)"
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
		give_up "the build broke outside our files: $(why) (see $log)"
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
