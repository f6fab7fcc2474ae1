#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Do the tests in the booted kernel see bugs? Each bench/tests/kernel/breaks/*.patch
# puts one bug into the work tree of the emu kernel; the boot that it names must
# then fail, with the text that it names. One line per break; exit 1 if any stays
# green. Half a minute a break, after `make kernel`.
#
#	scripts/kernel-breaks.sh [NAME..]	all breaks, or those named
#	scripts/kernel-breaks.sh --table	the breaks as a Markdown table
#
# A patch begins with lines of "Break: what is broken", "Class: area", what is run,
# and "Seen-as: extended regular expression", which a line of the output must match.
# What is run: "Boot: arguments of boot.sh" (may be empty), "Tds: STRATEGY", TDs of
# a few workloads on the emulated host, or "Do: VERB" of dpamt-guest there (emu-run.sh), for
# both with what "Append:" adds to the kernel's command line. Paths are those of Linux.
set -u
cd "$(dirname "$0")/.." || exit 3

prog=kernel-breaks
root=$PWD
# shellcheck source=scripts/kernel-lib.sh
. scripts/kernel-lib.sh
breaks=$root/bench/tests/kernel/breaks
build=${BUILD:-build}
case $build in /*) ;; *) build=$root/$build ;; esac
tree=$build/kernel/src
log=$build/kernel/breaks.log
said=$build/kernel/breaks.said
cells=$build/kernel/breaks.cells
applied=
# Whether the kernel may be one with a break.
broken=

# header KEY FILE: its value.
header() {
	sed -n -e '/^--- /q' -e "s/^$1: *//p" "$2"
}

# The work tree as kernel-source.sh left it. The patch may not be in it yet.
restore() {
	if [ -n "$applied" ] &&
		patch -s -f -R --dry-run -p1 -d "$tree" <"$applied" >>"$log" 2>&1; then
		patch -s -f -R -p1 -d "$tree" <"$applied" >>"$log" 2>&1
	fi
	applied=
}

# No broken kernel stays behind: better none.
leave() {
	end_attended
	restore
	[ -z "$broken" ] || rm -f "$build/kernel/emu/vmlinux" "$build/kernel/emu/arch/x86/boot/bzImage"
	rm -f "$said" "$cells"
}

# The tree as it is; kernel-build.sh would put it right.
compile() {
	# shellcheck disable=SC2154 # of use_ccache
	attend nice make -C "$tree" O="$build/kernel/emu" CC="$compiler" -j"$(nproc)" bzImage \
		>>"$log" 2>&1
}

# On the emulated host, with $1 on the kernel's command line: what $2.. says.
on_emu() {
	local append=$1

	shift
	attend scripts/emu-run.sh ${accel:+--accel=tcg} --timeout=180 --append="$append" \
		--log="$build/kernel/breaks.boot.log" "$@"
}

# Short cells that fault, convert and tear down, with strategy $2.
run_tds() {
	{
		printf 'workloads/%s.wl\t%s\t0\t1\t0\n' fault-storm "$2" conversion-storm "$2"
		printf 'workloads/create-destroy.wl\t%s\t0\t1\t0\ttd.torture.lives=2\n' "$2"
	} >"$cells"
	on_emu "$1" "$cells"
}

case ${1:-} in
--table)
	echo '| break | seen as |'
	echo '| --- | --- |'
	for patch in "$breaks"/*.patch; do
		echo "| $(header Break "$patch") | \`$(header Seen-as "$patch")\` |"
	done
	exit 0
	;;
-h | --help)
	sed -n '4,17s/^#\s\?//p' scripts/kernel-breaks.sh
	exit 0
	;;
-*)
	echo "kernel-breaks: unknown option $1; valid: --table, --help" >&2
	exit 2
	;;
esac

patches=()
for name in "$@"; do
	[ -f "$breaks/$name.patch" ] || {
		echo "kernel-breaks: no break $name; valid: $(cd "$breaks" && echo *.patch |
			sed 's/\.patch//g')" >&2
		exit 2
	}
	patches+=("$breaks/$name.patch")
done
[ $# -gt 0 ] || patches=("$breaks"/*.patch)

clean_environment
mkdir -p "$build/kernel" 2>/dev/null || give_up "cannot write to $build"
build=$(cd "$build" && pwd)
# For the whole run: who built meanwhile would find the tree edited by hand.
take_lock "$build/kernel"
trap leave EXIT
trap 'exit 130' HUP INT TERM
use_ccache "$build/kernel"
FOR=emu attend scripts/kernel-build.sh >/dev/null 8>&- || exit
attend make -s BUILD="$build" guest 8>&- || give_up "cannot build dpamt-guest"
: >"$log"
# A kernel that was changed would be probed again.
accel=
[ ! -e "$build/kernel/boot.no-kvm" ] || accel=--accel=tcg
missed=0

for patch in "${patches[@]}"; do
	name=$(basename "$patch" .patch)
	applied=$patch
	broken=yes
	patch -s -f -p1 -d "$tree" <"$patch" >>"$log" 2>&1 || {
		patch -s -f -R -p1 -d "$tree" <"$patch" >/dev/null 2>&1
		give_up "$name does not apply to $tree: see $log"
	}
	begin=$SECONDS
	if ! compile 8>&-; then
		echo "BROKEN  $name: does not compile, see $log"
		missed=$((missed + 1))
		restore
		continue
	fi
	strategy=$(header Tds "$patch")
	verb=$(header Do "$patch")
	append=$(header Append "$patch")
	if [ -n "$strategy" ]; then
		run_tds "$append" "$strategy"
	elif [ -n "$verb" ]; then
		on_emu "$append" --do="$verb"
	else
		# shellcheck disable=SC2046,SC2086 # several arguments
		attend scripts/boot.sh emu $accel --log "$build/kernel/breaks.boot.log" \
			$(header Boot "$patch")
	fi >"$said" 2>&1 8>&-
	status=$?
	out=$(cat "$said")
	if [ $status = 1 ] && grep -qE -e "$(header Seen-as "$patch")" <<<"$out"; then
		echo "caught  $name ($((SECONDS - begin)) s)"
	else
		echo "MISSED  $name ($((SECONDS - begin)) s): exit $status, $(tail -n 1 <<<"$out")"
		missed=$((missed + 1))
	fi
	printf '%s\n' "== $name" "$out" >>"$log"
	restore
done
compile 8>&- || give_up "the kernel without a break does not build: see $log"
broken=
echo "kernel-breaks: $((${#patches[@]} - missed)) of ${#patches[@]} caught"
[ $missed = 0 ]
