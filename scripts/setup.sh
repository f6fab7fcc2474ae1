#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Make sure that the packages for a purpose are there.
#
# usage: scripts/setup.sh [build|check|plots|counters|kernel|kernel-host|all ...]
#
# Without a purpose: build and plots.
#
# kernel: to build the small kernel and boot it in QEMU; kernel-host: to build a
# host's kernel as packages. "all" leaves both out.
#
# All there: silent, one dpkg-query, exit 0. Something missing: installed with
# apt-get when that is possible without asking (root, or sudo without a
# password), otherwise the one line to run is printed and the exit code is 3.
# gnuplot and libpfm4 can be done without: when they cannot be had, what is
# lost is said, and it goes on. The document on stdout is that one line;
# progress is on stderr.

set -u

usage()
{
	echo "usage: scripts/setup.sh [build|check|plots|counters|kernel|kernel-host|all ...]" >&2
	exit 2
}

say()
{
	echo "setup: $*" >&2
}

# Packages that a purpose cannot do without, and those that it can.
required=
optional=
purpose()
{
	case $1 in
	build)
		required="$required gcc libc6-dev make pkg-config libjansson-dev libhwloc-dev"
		optional="$optional libpfm4-dev"
		;;
	check)
		purpose build
		required="$required git python3"
		optional="$optional libunicorn-dev"
		;;
	plots)
		optional="$optional gnuplot-nox"
		;;
	counters)
		optional="$optional libpfm4-dev"
		;;
	kernel)
		required="$required gcc libc6-dev make flex bison bc xz-utils gzip git perl"
		required="$required python3 util-linux libelf-dev libssl-dev uuid-dev"
		required="$required qemu-system-x86 busybox-static cpio"
		optional="$optional ccache fio linux-perf"
		;;
	kernel-host)
		purpose kernel
		required="$required dpkg-dev debhelper rsync kmod libdw-dev"
		optional="$optional dwarves"
		;;
	all)
		purpose check
		purpose plots
		;;
	*)
		say "unknown purpose \"$1\"; valid: build, check, plots, counters, kernel," \
			"kernel-host, all"
		usage
		;;
	esac
}

# What a package is for, for those who have other names for it.
what_for()
{
	case $1 in
	gcc) echo "a C compiler (gnu11)" ;;
	libc6-dev) echo "the C library's headers" ;;
	make) echo "GNU make" ;;
	pkg-config) echo "pkg-config" ;;
	libjansson-dev) echo "jansson, with headers (JSON)" ;;
	libhwloc-dev) echo "hwloc, with headers (topology, binding)" ;;
	libpfm4-dev) echo "libpfm4, with headers (hardware counters; optional)" ;;
	gnuplot-nox) echo "gnuplot (plots; optional)" ;;
	git) echo "git" ;;
	python3) echo "Python 3 (tests)" ;;
	libelf-dev) echo "libelf, with headers" ;;
	uuid-dev) echo "libuuid, with headers (KVM's selftests)" ;;
	libdw-dev) echo "libdw, with headers" ;;
	libssl-dev) echo "OpenSSL, with headers" ;;
	qemu-system-x86) echo "QEMU for x86-64 (qemu-system-x86_64)" ;;
	busybox-static) echo "busybox, linked statically" ;;
	ccache) echo "ccache (optional)" ;;
	fio) echo "fio (fragments an emulated host's memory; optional)" ;;
	linux-perf) echo "perf (the kernel's locks on an emulated host; optional)" ;;
	libunicorn-dev) echo "Unicorn, with headers (an x86 emulator, for a test; optional)" ;;
	dwarves) echo "pahole (BTF; optional)" ;;
	*) echo "$1" ;;
	esac
}

lost_without()
{
	case $1 in
	gnuplot-nox) echo "no plots in the report" ;;
	fio) echo "the memory of an emulated host is not fragmented" ;;
	linux-perf) echo "what waits for the kernel's locks on an emulated host is not recorded" ;;
	libunicorn-dev) echo "the payload's way into 64-bit mode is not run by a test" ;;
	ccache) echo "a kernel is compiled anew where it could be taken from a cache" ;;
	dwarves) echo "a host's kernel has no BTF" ;;
	libpfm4-dev) echo "no hardware counters (cycles, instructions, cache misses)" ;;
	esac
}

# The packages of "$@" that are not installed. A package that another one
# provides (gnuplot-qt for gnuplot-nox, pkgconf for pkg-config) counts as there.
missing()
{
	there=$(dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Provides}\n' "$@" \
		pkgconf gnuplot-qt gnuplot-x11 2>/dev/null |
		awk -F '\t' '$1 ~ /^[ih]i/ { print $2; gsub(/ \([^)]*\)|,/, " ", $3); print $3 }')
	# A set of words, each between blanks.
	there=" $(echo "$there" | tr '\n' ' ') "
	for package; do
		case "$there" in
		*" $package "*) continue ;;
		esac
		case $package in
		gnuplot-nox)
			case "$there" in
			*" gnuplot-qt "* | *" gnuplot-x11 "*) continue ;;
			esac
			;;
		pkg-config)
			case "$there" in *" pkgconf "*) continue ;; esac
			;;
		esac
		echo "$package"
	done
}

# Words, each once, on one line.
once()
{
	echo "$*" | tr -s ' ' '\n' | awk 'NF && !seen[$0]++' | tr '\n' ' ' | sed 's/ $//'
}

# How apt-get may be run without asking: prints the command's prefix, or fails.
privilege()
{
	if [ "$(id -u)" = 0 ]; then
		echo env
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		echo "sudo -n env"
	else
		return 1
	fi
}

log=
apt()
{
	# $prefix and "$@" come from this file, never from outside.
	# shellcheck disable=SC2086
	$prefix DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
		-o Acquire::Retries=2 "$@" >"$log" 2>&1 </dev/null
}

# Whether the lists of packages were ever fetched.
have_lists()
{
	for list in "${APT_LISTS:-/var/lib/apt/lists}"/*_Packages*; do
		[ -e "$list" ] && return 0
	done
	return 1
}

updated=
update()
{
	[ -n "$updated" ] && return 1
	updated=yes
	say "apt-get update"
	apt update
}

install_packages()
{
	say "apt-get install $*"
	if have_lists && apt install -y --no-install-recommends "$@"; then
		return 0
	fi
	update && apt install -y --no-install-recommends "$@"
}

# One line for why apt-get failed, from its output.
why()
{
	if grep -qiE -e 'could not resolve|failed to fetch|temporary failure' \
		-e 'connection (failed|timed out|refused)' "$log"; then
		echo "no network, or no package server in reach"
	elif grep -qiE 'could not get lock|unable to (acquire|lock)' "$log"; then
		echo "another package manager holds the lock, and did not let go in 120 s"
	elif grep -qi 'no space left' "$log"; then
		echo "the disk is full"
	elif grep -qiE 'unable to locate package|has no installation candidate' "$log"; then
		echo "$(grep -ioE -e 'unable to locate package [^ ]*' \
			-e 'package .* has no installation candidate' "$log" | head -n 1);" \
			"are the main package sources enabled?"
	else
		grep -E '^E:' "$log" | head -n 1 | cut -c 1-200
	fi
}

foreign()
{
	say "this is not Debian or a relative; install these and go on:"
	for package in $required $optional; do
		say "  $(what_for "$package")"
	done
	exit 3
}

# Without dpkg the programs themselves tell whether there is anything to do.
foreign_has_all()
{
	for program in cc make pkg-config; do
		command -v "$program" >/dev/null 2>&1 || return 1
	done
	pkg-config --exists jansson hwloc
}

[ $# -gt 0 ] || set -- build plots
for arg; do
	case $arg in -*) usage ;; esac
	purpose "$arg"
done
required=$(once "$required")
optional=$(once "$optional")

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
	foreign_has_all && exit 0
	foreign
fi

# shellcheck disable=SC2086
all_missing=$(missing $required $optional)
[ -n "$all_missing" ] || exit 0

need=
wish=
for package in $all_missing; do
	case " $required " in
	*" $package "*) need="$need $package" ;;
	*) wish="$wish $package" ;;
	esac
done
need=$(once "$need")
wish=$(once "$wish")

if ! prefix=$(privilege); then
	if [ -n "$need" ]; then
		echo "sudo apt-get install -y --no-install-recommends $(once "$need $wish")"
		exit 3
	fi
	for package in $wish; do
		say "without $package: $(lost_without "$package");" \
			"to have it: sudo apt-get install -y $package"
	done
	exit 0
fi

log=$(mktemp "${TMPDIR:-/tmp}/dpamt-setup.XXXXXX") || exit 3
trap 'rm -f "$log"' EXIT
trap 'exit 3' HUP INT TERM

if [ -n "$need" ]; then
	# shellcheck disable=SC2086
	if ! install_packages $need; then
		say "apt-get failed: $(why); to see it all: sudo apt-get install -y $need"
		exit 3
	fi
fi
for package in $wish; do
	install_packages "$package" ||
		say "without $package: $(lost_without "$package") ($(why))"
done
exit 0
