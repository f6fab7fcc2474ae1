#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Linux with Dynamic PAMT and its strategies in it, as a work tree.
#
# usage: scripts/kernel-source.sh [--tree=DIR | --tar=FILE] [--force]
#
# An untouched Linux comes from DIR, from FILE, from the cache, or from where
# kernel/base says. The work tree, build/kernel/src, is a copy of it with
# kernel/patches applied in order and kernel/src laid over. Another call
# rewrites only the files that change, so that make rebuilds only those. Edits
# of the work tree by hand are not overwritten without --force. stdout: the
# version, where it came from, what was put in.
#
# Exit 0 there; 1 a patch does not apply, or edits by hand; 2 usage, or a
# source that will not do; 3 something is missing here, and one line says what.

set -u

prog=kernel-source
root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"

usage()
{
	echo "usage: scripts/kernel-source.sh [--tree=DIR | --tar=FILE] [--force]" >&2
	exit 2
}

source=
force=
while [ $# -gt 0 ]; do
	case $1 in
	--tree=?* | --tar=?*)
		[ -z "$source" ] || usage
		source=${1#*=}
		;;
	--tree | --tar)
		[ $# -gt 1 ] && [ -z "$source" ] || usage
		source=$2
		shift
		;;
	--force) force=yes ;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) usage ;;
	esac
	shift
done

kernel_init
command -v git >/dev/null 2>&1 || give_up "no git; to go on: scripts/setup.sh kernel"
mkdir -p "${BUILD:-$root/build}/kernel" 2>/dev/null ||
	give_up "cannot write to ${BUILD:-$root/build}"
build=$(cd "${BUILD:-$root/build}/kernel" && pwd) || exit 3
no_blanks "$build"
get_pristine "$source"
tree=$build/src
overlay=$build/src.overlay

# In build/kernel: src.from names the tree that was copied, src.files has the
# hash and path of every file in src that is not as in Linux; "-" if removed.
# src.files is absent while src is being written.

patches=$(find "$root/kernel/patches" -name '*.patch' 2>/dev/null | LC_ALL=C sort)

# Paths that the patches name, which may be absent before or after them.
patched_files()
{
	[ -n "$patches" ] || return 0
	# shellcheck disable=SC2086
	sed -n -e 's,^diff --git a/\([^ ]*\) b/\([^ ]*\)$,\1\n\2,p' \
		-e 's,^--- a/\([^\t]*\).*,\1,p' -e 's,^+++ b/\([^\t]*\).*,\1,p' $patches | sort -u
}

src_files()
{
	(cd "$root/kernel/src" && find . -type f | sed 's,^\./,,' | sort)
}

apply_patches()
{
	for patch in $patches; do
		# Not as part of a repository around the build folder.
		(cd "$overlay" && GIT_CEILING_DIRECTORIES=$build git apply "$patch") \
			2>"$build/src.log" && continue
		say "kernel/patches/${patch##*/} does not apply to Linux $version:" \
			"$(sed -n -e 's/^error: patch failed: \(.*\):\([0-9]*\)$/the hunk at line \2 of \1/' \
				-e 's/^error: //' -e '1p' "$build/src.log" | cut -c 1-200)"
		rm -rf "$overlay"
		exit 1
	done
}

# Every file that is to differ from Linux, in a folder of their own.
make_overlay()
{
	rm -rf "$overlay"
	mkdir -p "$overlay" || give_up "cannot write to $build"
	patched_files >"$build/src.patched"
	while read -r file; do
		[ -f "$pristine/$file" ] || continue
		mkdir -p "$overlay/${file%/*}" && cp -p "$pristine/$file" "$overlay/$file" ||
			give_up "cannot write to $overlay: is the disk full?"
	done <"$build/src.patched"
	apply_patches
	for file in $(src_files); do
		[ ! -e "$overlay/$file" ] && [ ! -e "$pristine/$file" ] || {
			say "Linux $version with kernel/patches has kernel/src/$file already"
			rm -rf "$overlay"
			exit 1
		}
	done
	cp -R "$root/kernel/src/." "$overlay" || give_up "cannot write to $overlay"
}

list_overlay()
{
	{
		cat "$build/src.patched"
		src_files
	} | sort -u | while read -r file; do
		if [ -f "$overlay/$file" ]; then
			(cd "$overlay" && sha256sum "$file")
		else
			echo "-  $file"
		fi
	done
}

# Files of the list $1 that the work tree has otherwise.
edited()
{
	grep -v '^-' "$1" | (cd "$tree" && sha256sum --check --quiet - 2>/dev/null) |
		sed -n 's/: FAILED.*//p'
	sed -n 's/^-  //p' "$1" | while read -r file; do
		[ ! -e "$tree/$file" ] || echo "$file"
	done
}

copy_linux()
{
	need_space "$build" 2200 "the work tree"
	say "copying Linux $version into $tree"
	rm -rf "$tree" "$build/src.files" "$build/src.from"
	cp -R --preserve=mode,timestamps,links --reflink=auto "$pristine" "$tree" ||
		give_up "cannot copy to $tree: is the disk full?"
	: >"$build/src.files"
	echo "$version $origin" >"$build/src.from"
}

# Make the work tree's file $1 what the overlay, or else Linux, has.
put_file()
{
	from=$overlay/$1
	if [ ! -f "$from" ]; then
		from=$pristine/$1
		if [ ! -f "$from" ] || grep -qxF -- "-  $1" "$build/src.new"; then
			rm -f "$tree/$1"
			return
		fi
	fi
	cmp -s "$from" "$tree/$1" && return
	# Without -p: also a file put back must look new to make.
	mkdir -p "$(dirname "$tree/$1")" && rm -f "$tree/$1" && cp "$from" "$tree/$1" ||
		give_up "cannot write to $tree: is the disk full?"
	changed=$((changed + 1))
}

if [ ! -e "$build/src.files" ] ||
	[ "$version $origin" != "$(cat "$build/src.from" 2>/dev/null)" ]; then
	copy_linux
fi
if [ -z "$force" ]; then
	by_hand=$(edited "$build/src.files" | head -n 1)
	[ -z "$by_hand" ] || {
		say "$tree/$by_hand was edited by hand;" \
			"to drop such edits: scripts/kernel-source.sh --force"
		exit 1
	}
fi
make_overlay
list_overlay >"$build/src.new"
sed -E 's/^(-|[0-9a-f]{64})  //' "$build/src.files" "$build/src.new" | sort -u >"$build/src.paths"
mv "$build/src.files" "$build/src.old"
changed=0
while read -r file; do
	put_file "$file"
done <"$build/src.paths"
mv "$build/src.new" "$build/src.files"
rm -rf "$overlay" "$build/src.paths" "$build/src.patched" "$build/src.old" "$build/src.log"

echo "Linux $version from $origin, $(echo "$patches" | grep -c .) patches," \
	"$(src_files | wc -l) files of kernel/src, $changed files written: $tree"
