# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts that handle the Linux source share: to be sourced, by a
# script that has set $prog (its name, for messages) and $root (this project).
#
# The cache, ${XDG_CACHE_HOME:-$HOME/.cache}/dpamt-bench/linux-VERSION, holds
# tree/ (Linux as it came, never written to) and from (one line: where it came
# from). One run at a time holds the lock, dpamt-bench/lock. A tree enters the
# cache whole or not at all: it is unpacked beside its place and then renamed.
# Nothing here touches apt's own configuration or lists.
#
# shellcheck disable=SC2154

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say()
{
	echo "$prog: $*" >&2
}

# Something is missing here, and this is what.
give_up()
{
	say "$*"
	exit 3
}

# The line of the log $1 that says why.
why()
{
	if grep -qiE -e 'could not (resolve|connect)' -e 'temporary failure' \
		-e 'connection (failed|timed out|refused)' -e 'unable to connect' \
		-e 'network is unreachable' "$1"; then
		echo "no network, or no package server in reach"
	elif grep -qi 'no space left' "$1"; then
		echo "the disk is full"
	else
		{
			grep -v '^make' "$1" |
				grep -iE -m 1 'error|too old|not found|unable|^[EW]: |\*\*\* .' ||
				tail -n 1 "$1"
		} | cut -c 1-200
	fi
}

# What a calling make or shell exports would steer the kernel's make too.
clean_environment()
{
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CFLAGS LDFLAGS ARCH CROSS_COMPILE LLVM \
		KBUILD_OUTPUT KCFLAGS KCPPFLAGS KCONFIG_CONFIG KCONFIG_ALLCONFIG V W C O
	export LC_ALL=C
}

# Run the program "$@" to its end, in a process group of its own. A shell that waits
# for it like this hears a signal at once, and its trap on EXIT ends the group: what the
# program started in turn, as QEMU or a compiler, does not outlive this script.
attended=
attend()
{
	setsid "$@" &
	attended=$!
	wait "$attended"
	set -- $?
	attended=
	return "$1"
}

end_attended()
{
	[ -n "$attended" ] || return 0
	# At its very beginning it has no group yet.
	kill -TERM "-$attended" 2>/dev/null || kill -TERM "$attended" 2>/dev/null
	wait "$attended" 2>/dev/null
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 "-$attended" 2>/dev/null || return 0
		sleep 0.5
	done
	kill -KILL "-$attended" 2>/dev/null
}

# One build at a time works in the folder $1: descriptor 8. A script that was
# started by the holder goes on.
take_lock()
{
	[ "${DPAMT_LOCKED:-}" != "$1" ] || return 0
	exec 8>"$1/lock"
	flock -n 8 || {
		say "waiting for another build"
		flock 8
	}
	export DPAMT_LOCKED="$1"
}

# $compiler, through ccache where there is one. Paths below the build folder $1
# count relative to it: a clone elsewhere hits too.
use_ccache()
{
	compiler=${CC:-gcc}
	command -v ccache >/dev/null 2>&1 || return 0
	compiler="ccache $compiler"
	export CCACHE_BASEDIR="$1" CCACHE_NOHASHDIR=1
}

# What tells the source that the folder $1 builds from another one.
source_id()
{
	cat "$1/src.from" "$1/src.files" 2>/dev/null | sha256sum | cut -c 1-16
}

# Warnings and errors of the compiler's log $1 about the paths in $3, relative to
# the tree $2.
warnings_in()
{
	grep -E '(^|: )([Ww]arning|(fatal )?error): ' "$1" | grep -v '^make' |
		sed "s,^.*$2/,,; s,^\(\.\./\)*,," | awk '!seen[$0]++' | while read -r line; do
		case " $3 " in
		*" ${line%%:*} "*) echo "$line" ;;
		esac
	done
}

# $cache and $base. The versions known are the first words of kernel/base.
kernel_init()
{
	clean_environment
	[ "$(uname -m)" = x86_64 ] || give_up "needs an x86-64 machine, this is $(uname -m)"
	[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || give_up "neither XDG_CACHE_HOME nor HOME is set"
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpamt-bench
	no_blanks "$cache"
	mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || give_up "cannot write to $cache"
	base=$root/kernel/base
	[ -r "$base" ] || give_up "no $base"
}

no_blanks()
{
	case $1 in
	*[[:space:]:]*) give_up "Linux does not build in a path with blanks or colons: $1" ;;
	esac
}

known_versions()
{
	awk '/^[0-9]/ && !seen[$1]++ { print $1 }' "$base"
}

is_known()
{
	known_versions | grep -qxF -- "$1"
}

# At least $2 MB free in the existing folder $1, which $3 needs.
need_space()
{
	free=$(df -Pm "$1" 2>/dev/null | awk 'NR == 2 { print $4 }')
	[ "${free:-$2}" -ge "$2" ] || give_up "no space: $3 needs $2 MB, $1 has $free MB left"
}

# ---------------------------------------------------------------- packages

# Package for what is missing of the tools that the kernel's build wants.
missing_tools()
{
	for pair in gcc:gcc make:make flex:flex bison:bison bc:bc xz:xz-utils git:git \
		perl:perl python3:python3 flock:util-linux; do
		command -v "${pair%:*}" >/dev/null 2>&1 || echo "${pair##*:}"
	done
	for pair in libelf.h:libelf-dev gelf.h:libelf-dev openssl/opensslv.h:libssl-dev; do
		echo "#include <${pair%:*}>" | ${CC:-gcc} -E -x c - >/dev/null 2>&1 ||
			echo "${pair##*:}"
	done
}

# Install them where that needs no password; log in $1.
need_tools()
{
	[ -z "${CC:-}" ] || command -v "${CC%% *}" >/dev/null 2>&1 || give_up "no compiler $CC"
	missing=$(missing_tools | sort -u | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" = 0 ]; then
		as_root="env"
	else
		as_root="sudo -n env"
	fi
	say "apt-get install ${missing% }"
	# shellcheck disable=SC2086
	$as_root DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y \
		--no-install-recommends $missing >"$1" 2>&1 </dev/null
	missing=$(missing_tools | sort -u | tr '\n' ' ')
	[ -z "$missing" ] || give_up "to go on: sudo apt-get install -y ${missing% }"
}

# ------------------------------------------------------------------- fetch

# apt with lists, cache and sources of its own; all else as the machine has it.
private_apt()
{
	tool=$1
	shift
	"$tool" -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State="$apt/state" -o Dir::State::Lists="$apt/lists" \
		-o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Retries=2 \
		-o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@" </dev/null
}

# URIs of the Debian archives that this machine's apt is set up for.
mirrors()
{
	apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\(.*\)/dists/[^']*'.*|\1|p" | grep debian | grep -v security |
		awk '!seen[$0]++'
}

# Package $2 of suite $3 at version $4 from the archive $1.
fetch_from()
{
	echo "deb [signed-by=$keyring] $1 $3 main" >"$apt/sources.list"
	private_apt apt-get update >>"$log" 2>&1 &&
		(cd "$apt" && private_apt apt-get download "$2=$4") >>"$log" 2>&1
}

# Debian's package $2 of suite $3 at version $4: $tarball and $origin, or 1 and
# a line in $failed.
fetch_debian()
{
	failed="no apt-get here"
	command -v apt-get >/dev/null 2>&1 || return 1
	failed="no $keyring (package debian-archive-keyring)"
	[ -r "$keyring" ] || return 1
	apt=$work/apt
	mkdir -p "$apt/state" "$apt/lists/partial" "$apt/cache/archives/partial" ||
		give_up "cannot write to $work"
	say "fetching $2 $4 from $3 (170 MB)"
	for mirror in $(mirrors); do
		fetch_from "$mirror" "$2" "$3" "$4" && break
	done
	deb=$(find "$apt" -maxdepth 1 -name "$2_*.deb")
	failed="no $2 $4 in $3: $(why "$log")"
	[ -n "$deb" ] || return 1
	origin="Debian's $2 $(dpkg-deb -f "$deb" Version)"
	dpkg-deb -x "$deb" "$apt" 2>>"$log" || give_up "cannot unpack $deb: $(why "$log")"
	rm -f "$deb"
	tarball=$apt/usr/src/$2.tar.xz
}

# The tarball $2 of the folder $3, if its SHA-256 is $4: as fetch_debian().
fetch_upstream()
{
	failed="no checksum for $2 in kernel/base, so it is not downloaded"
	[ "$4" != - ] || return 1
	say "fetching $2"
	if command -v curl >/dev/null 2>&1; then
		curl -fsSL --retry 2 --connect-timeout 20 -o "$work/$2" "$3/$2" >>"$log" 2>&1
	else
		wget -q --tries=3 --timeout=20 -O "$work/$2" "$3/$2" >>"$log" 2>&1
	fi || {
		failed="$3/$2: $(why "$log")"
		return 1
	}
	failed="$3/$2 is not what kernel/base names: its SHA-256 differs"
	echo "$4  $work/$2" | sha256sum --check --status || return 1
	origin="kernel.org's $2"
	tarball=$work/$2
}

# The first source of version $1 that answers, in $tarball and $origin.
fetch()
{
	reasons=
	awk -v version="$1" '$1 == version { print $2, $3, $4, $5 }' "$base" >"$work/sources"
	while read -r kind what from mark; do
		failed="kernel/base: no such kind of source, \"$kind\""
		case $kind in
		debian) fetch_debian "$1" "$what" "$from" "$mark" && return ;;
		upstream) fetch_upstream "$1" "$what" "$from" "$mark" && return ;;
		esac
		reasons="$reasons${reasons:+; }$failed"
	done <"$work/sources"
	give_up "no source of Linux $1 ($reasons); give it with make kernel TREE=DIR or TAR=FILE" \
		"(of the scripts --tree=DIR or --tar=FILE)"
}

# ------------------------------------------------------------ pristine tree

# What the Makefile of the tree $1 says it is.
tree_version()
{
	awk -F '[ =]+' '/^VERSION/ { v = $2 } /^PATCHLEVEL/ { p = $2 } /^SUBLEVEL/ { s = $2 }
		/^EXTRAVERSION/ { print v "." p "." s $2; exit }' "$1/Makefile" 2>/dev/null
}

# Exit 2 unless the tree $1, called $2, is Linux of a known version.
want_known()
{
	version=$(tree_version "$1")
	[ -n "$version" ] || {
		say "$2 is no Linux source"
		exit 2
	}
	is_known "$version" || {
		say "$2 is Linux $version; known versions: $(known_versions | tr '\n' ' ')"
		exit 2
	}
}

# Exit 2 if the tree $1, called $2, is not as Linux came.
want_untouched()
{
	for file in $(cd "$root/kernel/src" && find . -type f); do
		[ ! -e "$1/$file" ] || {
			say "$2 is patched already: it has ${file#./}"
			exit 2
		}
	done
	for patch in "$root"/kernel/patches/*.patch; do
		[ -e "$patch" ] || continue
		# Not as part of a repository around the tree.
		if (cd "$1" && GIT_DIR=/nonexistent git apply --reverse --check "$patch") \
			2>/dev/null; then
			say "$2 is patched already: ${patch##*/}"
			exit 2
		fi
	done
	[ ! -e "$1/.config" ] && [ ! -e "$1/include/config" ] || {
		say "$2 was built in; to go on: make -C $2 mrproper"
		exit 2
	}
}

is_git()
{
	[ -e "$1/.git" ] && git -C "$1" rev-parse -q --verify HEAD >/dev/null 2>&1
}

# Exit 2 if the git tree $1 has what no commit has: it would not get in.
want_committed()
{
	[ -z "$(git -C "$1" status --porcelain --untracked-files=no | head -n 1)" ] || {
		say "$1 is dirty; to go on: git -C $1 stash"
		exit 2
	}
}

# A line that changes when the user's tree or tarball does.
identity()
{
	if [ -f "$1" ]; then
		echo "$1 $(stat -c '%s %Y' "$1")"
	elif is_git "$1"; then
		echo "$1 $(git -C "$1" rev-parse HEAD)"
	else
		echo "$1 $(cd "$1" && find . -path ./.git -prune -o -type f -printf '%p %s %T@\n' |
			sort | sha256sum | cut -c 1-16)"
	fi
}

# The user's tree $1 into the empty folder $2.
copy_tree()
{
	want_known "$1" "$1"
	want_untouched "$1" "$1"
	if is_git "$1"; then
		git -C "$1" archive HEAD 2>"$log" | tar -xf - -C "$2" 2>>"$log"
	else
		tar -C "$1" --exclude=./.git -cf - . 2>"$log" | tar -xf - -C "$2" 2>>"$log"
	fi && [ ! -s "$log" ] || give_up "cannot copy $1: $(why "$log")"
}

unpack_tarball()
{
	say "unpacking ${1##*/}"
	tar -xf "$1" -C "$2" --strip-components=1 2>"$log" ||
		give_up "cannot unpack $1: $(why "$log")"
	want_known "$2" "$1"
	want_untouched "$2" "$1"
}

# Whether the cache's folder $1 has a whole tree, and its origin is $2 if given.
has_tree()
{
	[ -d "$1/tree" ] && [ -e "$1/from" ] && { [ -z "$2" ] || [ "$2" = "$(cat "$1/from")" ]; }
}

# $version and $origin of a tree that the cache has and that will do.
find_cached()
{
	origin=
	[ -z "$given" ] || origin=$(identity "$given")
	candidates=$version
	[ -z "$given" ] || candidates=$(known_versions)
	for known in $candidates; do
		has_tree "$cache/linux-$known" "$origin" || continue
		version=$known
		origin=$(cat "$cache/linux-$known/from")
		return 0
	done
	return 1
}

fill_cache()
{
	need_space "$cache" 2600 "the Linux source"
	mkdir -p "$work/tree" || give_up "cannot write to $work"
	log=$work/log
	: >"$log"
	if [ -n "$given" ] && [ -d "$given" ]; then
		copy_tree "$given" "$work/tree"
	else
		tarball=$given
		[ -n "$tarball" ] || fetch "$version"
		unpack_tarball "$tarball" "$work/tree"
	fi
	mkdir -p "$cache/linux-$version"
	rm -rf "$cache/linux-$version/from" "$cache/linux-$version/tree"
	mv "$work/tree" "$cache/linux-$version/tree" &&
		echo "$origin" >"$cache/linux-$version/from" || give_up "cannot write to $cache"
}

# An untouched Linux in the cache: $pristine, $version, $origin. $1 is the
# user's tree or tarball, or nothing for what the cache has or kernel/base names.
# Holds the cache's lock from here on.
get_pristine()
{
	given=$1
	version=$(known_versions | head -n 1)
	[ -n "$version" ] || give_up "no version in $base"
	if [ -n "$given" ]; then
		given=$(realpath -e -- "$1" 2>/dev/null) || give_up "no such tree or tarball: $1"
	fi
	exec 9>"$cache/lock"
	flock -n 9 || {
		say "waiting for another run"
		flock -w 1800 9 || give_up "another run has held $cache/lock for half an hour"
	}
	work=$cache/new
	trap 'rm -rf "$work"' EXIT
	trap 'exit 3' HUP INT TERM
	rm -rf "$work"
	[ -z "$given" ] || ! is_git "$given" || want_committed "$given"
	find_cached || fill_cache
	rm -rf "$work"
	trap - EXIT HUP INT TERM
	# Read by the scripts that source this file.
	# shellcheck disable=SC2034
	pristine=$cache/linux-$version/tree
}
