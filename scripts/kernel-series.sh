#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# One series for git am out of kernel/patches and kernel/src, in build/series.
#
# usage: scripts/kernel-series.sh [--signoff] [--check [--boot]] [--tree=DIR | --tar=FILE]
#
# kernel/series says which patches there are and what enters with each, and
# kernel/changelogs what they say. Author: user.name and user.email of git.
# --signoff adds your Signed-off-by. The cover letter names the base, and what
# make kernel-check found when it ran last, if that was this very source.
#
# --check applies the patches one by one with git am to an untouched Linux,
# configures and compiles after each what it touches (W=1, no warning in a
# touched file), and runs checkpatch --strict on each: no error and no warning
# without a reason in kernel/checkpatch.ignore. At the end the tree must be that
# of kernel-source.sh, and is built in full: without Dynamic PAMT, without TDX,
# with KVM as modules, and as it is booted. 10 minutes at first; when nothing
# changed since it was in order, only that is said. --boot builds the whole kernel
# after each and boots it in QEMU under TCG too; 20 minutes.
#
# stdout: the patches, and a verdict in one line. Exit 0 made, and in order; 1
# not in order; 2 usage; 3 something is missing here, and one line says what.

set -u

prog=kernel-series
root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"

usage()
{
	echo "usage: scripts/kernel-series.sh [--signoff] [--check [--boot]]" \
		"[--tree=DIR | --tar=FILE]" >&2
	exit 2
}

signoff=
check=
boot=
source=
for arg; do
	case $arg in
	--signoff) signoff=$arg ;;
	--check) check=yes ;;
	--boot) boot=yes ;;
	--tree=?* | --tar=?*)
		[ -z "$source" ] || usage
		source=$arg
		;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) usage ;;
	esac
done

[ -z "$boot" ] || [ -n "$check" ] || usage

kernel_init
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
mkdir -p "${BUILD:-$root/build}/kernel" 2>/dev/null ||
	give_up "cannot write to ${BUILD:-$root/build}"
top=$(cd "${BUILD:-$root/build}/kernel" && pwd) || exit 3
no_blanks "$top"
series=${top%/kernel}/series
take_lock "$top"
for tool in git python3; do
	command -v $tool >/dev/null 2>&1 ||
		give_up "no $tool; to go on: scripts/setup.sh kernel"
done
"$root/scripts/kernel-source.sh" ${source:+"$source"} >"$top/source" 8>&- || exit
get_pristine "${source#--t*=}"

# -------------------------------------------------------------------- series

# What the cover letter says of base and tests; a line is a paragraph.
facts()
{
	echo "Base: Linux $version, from $origin."
	if [ ! -e "$top/check.txt" ]; then
		echo "Not tested: make kernel-check has not been run."
	elif [ "$(sed -n 's/^source\t//p' "$top/check.txt")" != "$(source_id "$top")" ]; then
		echo "Not tested as it is: make kernel-check last ran on another state of it."
	else
		echo
		echo "Tested, without TDX hardware:"
		sed -n 's/^\(passed\|failed\|skipped\|warned\)\t\(.*\)\t\(.*\)$/- \2: \1; \3/p' \
			"$top/check.txt"
	fi
}

rm -rf "$series"
mkdir -p "$series" || give_up "cannot write to ${top%/kernel}"
facts >"$series/facts"
python3 "$root/scripts/kernel_series.py" "$root" "$pristine" "$series" "$series/facts" $signoff \
	>"$series/steps" || exit 1
rm -rf "$series/full" "$series/cut" "$series/facts"
(cd "$series" && ls ./v1-*.patch) | sed "s,^\.,$series,"

# Added and removed lines in files that Linux has, but for those of the emulation.
upstream_lines()
{
	cat "$series"/v1-0*.patch | awk '
		/^(diff --git|From) / { count = head = 0 }
		/^diff --git / { head = 1; next }
		head && /^--- / { old = $2; next }
		head && /^\+\+\+ / {
			if (old == "/dev/null")
				made[substr($2, 3)] = 1
			path = substr(old, 3)
			count = old != "/dev/null" && !made[path] &&
				path !~ /^Documentation\/|\/emu\//
			head = 0
			next
		}
		count && /^[-+]/ { n++ }
		END { print n + 0 }'
}

limit=600
changed=$(upstream_lines)
[ "$changed" -lt $limit ] || {
	echo "$changed changed lines in files that Linux has; less than $limit are wanted"
	exit 1
}
patches=$(grep -c . "$series/steps")
if [ -z "$check" ]; then
	echo "made: $patches patches for Linux $version, $changed changed lines in files that it" \
		"has, the rest in new ones"
	exit 0
fi

# --------------------------------------------------------------------- check

# All that the outcome hangs on.
stamp=$({
	source_id "$top"
	cd "$root" && cat kernel/series kernel/changelogs/* kernel/checkpatch.ignore \
		kernel/config/host.config kernel/config/emu.config scripts/kernel-series.sh \
		scripts/kernel_series.py scripts/kernel-lib.sh
	echo "${CC:-gcc} $signoff $boot"
	${CC:-gcc} --version
} 2>/dev/null | sha256sum)
if [ "$stamp" = "$(head -n 1 "$top/series.ok" 2>/dev/null)" ]; then
	sed -n 2p "$top/series.ok"
	exit 0
fi
rm -f "$top/series.ok"

tree=$top/series.src
build=$top/series.build
log=$top/series.log
bad=0
: >"$log"
need_tools "$log"
use_ccache "$top"

kmake()
{
	nice make -C "$tree" O="$build" CC="$compiler" -j"$(nproc)" "$@" 8>&-
}

wrong()
{
	echo "$*"
	bad=$((bad + 1))
}

git_tree()
{
	git -C "$tree" -c core.autocrlf=false -c commit.gpgsign=false \
		-c user.name=check -c user.email=check@localhost "$@"
}

# Linux by hard links, and a repository of only the files that a patch touches:
# git replaces a file, it never writes into one.
make_tree()
{
	if [ "$version $origin" != "$(cat "$tree.from" 2>/dev/null)" ]; then
		say "linking Linux $version"
		rm -rf "$tree.from" "$tree" "$build"
		cp -al "$pristine" "$tree" 2>/dev/null ||
			{ rm -rf "$tree" && need_space "$top" 2200 "a tree to apply to" &&
				cp -R --preserve=mode,timestamps,links "$pristine" "$tree"; } ||
			give_up "cannot copy Linux to $tree"
		git -C "$tree" init -q -b base
		echo '*' >"$tree/.git/info/exclude"
		git_tree commit -q --allow-empty -m Linux
		git -C "$tree" tag linux
		echo "$version $origin" >"$tree.from"
	fi
	git_tree am --abort >/dev/null 2>&1
	git_tree reset -q --hard || give_up "cannot write to $tree"
	# What was new in the last series goes, what was changed comes back.
	git_tree diff --name-only base HEAD 2>/dev/null | while read -r path; do
		rm -f "$tree/$path"
		[ ! -e "$pristine/$path" ] || cp -p "$pristine/$path" "$tree/$path"
	done
	git_tree checkout -q --detach linux 2>/dev/null || git_tree checkout -q -f --detach linux
	cut -f 2- "$series/steps" | tr '\t' '\n' | sort -u | while read -r path; do
		[ -e "$pristine/$path" ] || continue
		rm -f "$tree/$path" && cp "$pristine/$path" "$tree/$path" &&
			git_tree add -f "$path"
	done
	git_tree commit -q --allow-empty -m Linux
	git_tree branch -f base
}

# Folders to compile after a patch that touches the paths $*.
folders()
{
	for path; do
		case $path in
		arch/x86/virt/* | include/*) echo arch/x86/virt/ ;;
		arch/x86/kvm/*) echo arch/x86/kvm/ ;;
		arch/x86/include/*) printf '%s\n' arch/x86/virt/ arch/x86/kvm/ ;;
		Documentation/* | */Kconfig) ;;
		*) echo "${path%/*}/" ;;
		esac
	done | sort -u
}

# The base's own warnings, without their line numbers, in the files that are edited.
known_warnings()
{
	objects=
	: >"$log.known"
	for path in $(cut -f 2- "$series/steps" | tr '\t' '\n' | sort -u | grep '\.c$'); do
		[ ! -e "$tree/$path" ] || objects="$objects ${path%.c}.o"
	done
	[ -n "$objects" ] || return 0
	cp "$top/emu/config.new" "$build/.config" && kmake -s olddefconfig >"$log" 2>&1 ||
		give_up "cannot configure the untouched Linux: $(why "$log")"
	# Some are no objects of their own but included: those fail, and do not matter.
	# shellcheck disable=SC2086
	kmake -k W=1 $objects >"$log" 2>&1
	all=$(cut -f 2- "$series/steps" | tr '\t\n' '  ')
	warnings_in "$log" "$tree" "$all" | sed 's/:[0-9:]*:* /: /' >"$log.known"
}

# The first error of the log: a file that is compiled may have the word in its name.
first_error()
{
	grep -m 1 -iE '(error: |undefined reference|error [0-9]+$)' "$log" | cut -c 1-200
}

# Warnings of the last build in touched files, but for the base's own; $1: what was built.
judge_warnings()
{
	warnings_in "$log" "$tree" "$touched" | while read -r line; do
		echo "$line" | sed 's/:[0-9:]*:* /: /' | grep -qxFf - "$log.known" || echo "$line"
	done >"$log.w"
	[ ! -s "$log.w" ] || wrong "$1: $(cat "$log.w")"
}

# Apply patch file $1, and compile what its paths, the other arguments, ask for.
step()
{
	patch=$1
	name=${1##*/}
	shift
	git_tree am -q "$patch" >"$log" 2>&1 8>&- || {
		wrong "$name: git am fails: $(head -n 1 "$log" | cut -c 1-200)"
		return 1
	}
	cp "$top/emu/config.new" "$build/.config" && kmake -s olddefconfig >"$log" 2>&1 || {
		wrong "$name: cannot configure: $(why "$log")"
		return 1
	}
	targets=$(folders "$@")
	# shellcheck disable=SC2086
	[ -z "$targets" ] || kmake W=1 $targets >"$log" 2>&1 ||
		wrong "$name: does not compile: $(first_error) (see $log.$name)"
	touched="$touched $*"
	judge_warnings "$name"
	[ -z "$boot" ] || start "$name"
	[ $bad = 0 ] || cp "$log" "$log.$name"
}

# Boot what the tree is after the patch $1.
start()
{
	kmake bzImage >"$log" 2>&1 || {
		wrong "$1: the whole kernel does not build: $(first_error)"
		return
	}
	said=$("$root/scripts/boot.sh" "$build/arch/x86/boot/bzImage" --accel=tcg --timeout=120 \
		--log="$top/series.boot.log" 8>&- | tail -n 1)
	case $said in
	clean:*) say "$said" ;;
	*) wrong "$1: boot: $said" ;;
	esac
}

# Build the tree, called $1, whole, with the options that the arguments of scripts/config $2.. set.
variation()
{
	name=$1
	shift
	say "the whole kernel $name"
	cp "$top/emu/config.new" "$build/.config" &&
		"$tree/scripts/config" --file "$build/.config" "$@" &&
		kmake -s olddefconfig >"$log" 2>&1 || {
		wrong "$name: cannot configure: $(why "$log")"
		return
	}
	while [ $# -gt 0 ]; do
		is=$("$tree/scripts/config" --file "$build/.config" --state "$2")
		case $1:$is in
		--enable:y | --module:m | --disable:n | --disable:undef) ;;
		*) wrong "$name: $1 $2 did not take: it is $is" ;;
		esac
		shift 2
	done
	modules=
	! grep -qx CONFIG_MODULES=y "$build/.config" || modules=modules
	# shellcheck disable=SC2086
	kmake W=1 arch/x86/virt/ arch/x86/kvm/ >"$log" 2>&1 && kmake vmlinux $modules >>"$log" 2>&1 ||
		wrong "$name: does not build: $(first_error)"
	judge_warnings "$name"
}

# checkpatch on the patch $1; findings without a reason are told. What the
# list forgives is noted, so that an entry without use can be told.
style()
{
	(cd "$tree" && perl scripts/checkpatch.pl --strict --terse --showfile --show-types \
		${signoff:-"--no-signoff"} "$1" 2>/dev/null) |
		sed "s,^$1:,${1##*/}:," |
		sed -nE 's/^([^:]*):[0-9]*: (ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)/\2 \3 \1 \4/p' \
			>>"$series/checkpatch"
}

judge_style()
{
	awk -v list="$root/kernel/checkpatch.ignore" '
		BEGIN {
			while ((getline line < list) > 0) {
				if (line ~ /^[ \t]*(#|$)/)
					continue
				split(line, word, /[ \t]+/)
				type[++n] = word[1]
				pattern[n] = word[2]
				whole[n] = line
				if (word[3] == "")
					print "kernel/checkpatch.ignore: no reason: " line
			}
		}
		{ total[$1]++; open = $1 != "CHECK" }
		{
			for (i = 1; i <= n; i++)
				if ($2 == type[i] && $3 ~ pattern[i]) {
					used[i] = 1
					open = 0
				}
			if (open)
				print "checkpatch: " $0
		}
		END {
			for (i = 1; i <= n; i++)
				if (!used[i])
					print "kernel/checkpatch.ignore: not needed: " whole[i]
			printf "checkpatch --strict: %d errors, %d warnings, %d checks\n",
				total["ERROR"], total["WARNING"], total["CHECK"]
		}' "$series/checkpatch" >"$series/style"
	sed '$d' "$series/style"
	bad=$((bad + $(sed '$d' "$series/style" | grep -c .)))
}

make_tree
# What follows runs scripts that take the cache's lock themselves.
exec 9>&-
FOR=emu "$root/scripts/kernel-build.sh" --config-only >/dev/null 8>&- || exit
mkdir -p "$build"
touched=
: >"$series/checkpatch"
say "the untouched files"
known_warnings
for patch in "$series"/v1-0*.patch; do
	[ "${patch##*/}" != v1-0000-cover-letter.patch ] || continue
	number=${patch##*/v1-}
	number=$(echo "${number%%-*}" | sed 's/^0*//')
	say "$number/$patches ${patch##*/}"
	style "$patch"
	# shellcheck disable=SC2046
	step "$patch" $(sed -n "${number}p" "$series/steps" | cut -f 2- | tr '\t' ' ') || break
done
judge_style

# The same as what make kernel builds.
grep -v '^-' "$top/src.files" | (cd "$tree" && sha256sum --check --quiet - 2>/dev/null) |
	sed -n 's/: FAILED.*//p' >"$log.differ"
while read -r path; do
	wrong "after the series $path is not that of make kernel"
done <"$log.differ"
if [ $bad = 0 ]; then
	variation "without Dynamic PAMT" --disable TDX_DYNAMIC_PAMT
	variation "without TDX" --disable INTEL_TDX_HOST
	# Modules get at nothing that is not exported. Last: it changes every object.
	variation "with KVM as modules" --enable MODULES --module KVM --module KVM_INTEL
fi
if [ $bad = 0 ]; then
	say "the whole kernel"
	FOR=emu "$root/scripts/kernel-build.sh" >"$log" 8>&- || wrong "the whole kernel: $(cat "$log")"
fi
if [ $bad != 0 ]; then
	echo "not in order: $bad findings in $patches patches for Linux $version"
	exit 1
fi
rm -f "$log".*
{
	echo "$stamp"
	echo "ok: $patches patches apply one by one to Linux $version and compile after each," \
		"W=1, no warning${boot:+, and each boots}, the last without Dynamic PAMT," \
		"without TDX and with KVM as modules too; $changed changed lines in files that it has;" \
		"$(tail -n 1 "$series/style"), each with its reason"
} >"$top/series.ok"
sed -n 2p "$top/series.ok"
