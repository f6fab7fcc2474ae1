#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The scripts that get, patch, configure and boot the kernel, without a kernel:
# a copy of the scripts works on a toy tree that calls itself Linux 7.3.4, with
# a cache, a build folder and kernel/ of its own, and a QEMU that only writes a
# log. No network is used: apt is pointed at a proxy that nobody answers.
#
# usage: bench/tests/kernel/test_kernel_scripts.sh	(from anywhere)

set -u

here=$(realpath "$(dirname "$0")/../../..")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/test_kernel.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
root=$tmp/project
work=$root/build/kernel/src
mkdir -p "$root/scripts" "$root/kernel/patches" "$root/kernel/config" \
	"$root/kernel/src/arch/x86/virt" "$tmp/bin" "$tmp/home"
cp "$here"/scripts/{kernel-lib,kernel-source,kernel-build,kernel-series,kernel-check,kernel-breaks,boot,bench,setup}.sh \
	"$here"/scripts/kernel_series.py "$root/scripts"
cd "$tmp" || exit 1
export HOME=$tmp/home http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1
unset XDG_CACHE_HOME BUILD FOR CC
export PATH=$tmp/bin:$PATH

passed=0
failed=0
code=0
out=
err=

check() # WHAT CONDITION..
{
	local what=$1

	shift
	if "$@"; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "test_kernel_scripts.sh: FAIL $what"
	echo "	code $code, stdout: ${out:0:400}"
	echo "	stderr: ${err:0:800}"
}

run() # SCRIPT ARGUMENT..
{
	"$root/scripts/$1" "${@:2}" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
}

contains() # TEXT PART
{
	[[ $1 == *"$2"* ]]
}

one_line() # TEXT
{
	[ "$(printf '%s\n' "$1" | wc -l)" = 1 ]
}

is() # FILE CONTENT
{
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

# ---------------------------------------------------------------- toy Linux

toy() # DIR SUBLEVEL
{
	mkdir -p "$1/scripts/kconfig" "$1/init"
	cat >"$1/Makefile" <<-END
		# SPDX-License-Identifier: GPL-2.0
		VERSION = 7
		PATCHLEVEL = 3
		SUBLEVEL = $2
		EXTRAVERSION =
		NAME = Toy
		.RECIPEPREFIX = >
		tinyconfig:
		>echo '# CONFIG_MODULES is not set' >\$(KCONFIG_CONFIG)
		olddefconfig:
		>sed -i '/UNMET/d' \$(KCONFIG_CONFIG)
		bzImage:
		>mkdir -p \$(O)/arch/x86/boot && cat init/*.c >\$(O)/arch/x86/boot/bzImage
		kernelrelease:
		>@echo 7.3.$2-toy
	END
	# What .config has after a merge, whatever the fragments are.
	cat >"$1/scripts/kconfig/merge_config.sh" <<-'END'
		printf 'CONFIG_SMP=y\nCONFIG_KVM=y\nCONFIG_NAME="a b"\nCONFIG_TDX_EMU=y\n' \
			>>"$KCONFIG_CONFIG"
	END
	printf 'one\ntwo\nthree\n' >"$1/init/main.c"
	echo gone >"$1/init/old.c"
}

printf '%s\n' "# comment" "7.3.4 debian linux-source-7.3 trixie-backports 7.3.4-*" \
	"7.3.4 upstream linux-7.3.4.tar.xz http://127.0.0.1:1 -" >"$root/kernel/base"
toy "$tmp/linux" 4
echo 'int pamt;' >"$root/kernel/src/arch/x86/virt/pamt.c"
echo 'int tail;' >"$root/kernel/src/arch/x86/virt/tail.c"
cat >"$root/kernel/patches/0001-main.patch" <<-'END'
	Subject: two
	---
	diff --git a/init/main.c b/init/main.c
	--- a/init/main.c
	+++ b/init/main.c
	@@ -1,3 +1,3 @@
	 one
	-two
	+TWO
	 three
	diff --git a/init/old.c b/init/old.c
	deleted file mode 100644
	--- a/init/old.c
	+++ /dev/null
	@@ -1 +0,0 @@
	-gone
END

# ------------------------------------------------------------------- source

test_no_network()
{
	run kernel-source.sh
	check "no network: exit 3" [ "$code" = 3 ]
	check "no network: says that there is no source" \
		contains "$err" "no source of Linux 7.3.4 ("
	check "no network: says how to go on" contains "$err" "make kernel TREE=DIR or TAR=FILE"
	check "no network: nothing on stdout" [ -z "$out" ]
	check "no network: a line of progress and one of reasons" [ "$(wc -l <"$tmp/err")" -le 2 ]
	if command -v apt-get >/dev/null &&
		[ -r /usr/share/keyrings/debian-archive-keyring.gpg ]; then
		check "no network: the reason" contains "$err" "no network"
	fi
	check "no checksum: not downloaded" contains "$err" "no checksum for linux-7.3.4.tar.xz"
	check "nothing left in the cache" [ ! -e "$HOME/.cache/dpamt-bench/new" ]
}

test_work_tree()
{
	run kernel-source.sh --tree="$tmp/linux"
	check "tree: exit 0" [ "$code" = 0 ]
	check "tree: names the version" contains "$out" "Linux 7.3.4 from $tmp/linux"
	check "tree: patched" is "$work/init/main.c" $'one\nTWO\nthree'
	check "tree: a file removed by a patch" [ ! -e "$work/init/old.c" ]
	check "tree: kernel/src laid over" is "$work/arch/x86/virt/pamt.c" 'int pamt;'
	check "the user's tree is left alone" is "$tmp/linux/init/main.c" $'one\ntwo\nthree'
	check "the cache's tree is untouched" \
		is "$HOME/.cache/dpamt-bench/linux-7.3.4/tree/init/main.c" $'one\ntwo\nthree'
	touch -d 2001-01-01 "$work/init/main.c" "$work/arch/x86/virt/pamt.c"
	run kernel-source.sh
	check "again, from the cache: nothing written" contains "$out" ", 0 files written"
	check "again: times kept" [ "$work/init/main.c" -ot "$tmp/linux/init/main.c" ]
	echo 'int pamt2;' >"$root/kernel/src/arch/x86/virt/pamt.c"
	rm "$root/kernel/src/arch/x86/virt/tail.c"
	run kernel-source.sh
	check "one file changed: one written" contains "$out" ", 1 files written"
	check "changed" is "$work/arch/x86/virt/pamt.c" 'int pamt2;'
	check "a file that left kernel/src leaves the tree" [ ! -e "$work/arch/x86/virt/tail.c" ]
	mv "$root/kernel/patches/0001-main.patch" "$tmp"
	run kernel-source.sh
	check "patch gone: file as in Linux" is "$work/init/main.c" $'one\ntwo\nthree'
	check "patch gone: file back" is "$work/init/old.c" gone
	mv "$tmp/0001-main.patch" "$root/kernel/patches"
	run kernel-source.sh
	check "patch back" is "$work/init/main.c" $'one\nTWO\nthree'
	check "patch back: file gone" [ ! -e "$work/init/old.c" ]
}

test_edits_by_hand()
{
	echo edit >>"$work/init/main.c"
	run kernel-source.sh
	check "edited by hand: exit 1" [ "$code" = 1 ]
	check "edited by hand: named" contains "$err" "init/main.c was edited by hand"
	check "edited by hand: kept" contains "$(cat "$work/init/main.c")" edit
	run kernel-source.sh --force
	check "--force drops it" is "$work/init/main.c" $'one\nTWO\nthree'
}

test_bad_patches()
{
	sed 's/^-two/-zwei/' "$root/kernel/patches/0001-main.patch" \
		>"$root/kernel/patches/0002-later.patch"
	run kernel-source.sh
	check "bad patch: exit 1" [ "$code" = 1 ]
	check "bad patch: named" contains "$err" "kernel/patches/0002-later.patch does not apply"
	check "bad patch: the hunk" contains "$err" "the hunk at line 1 of init/main.c"
	check "bad patch: one line" one_line "$err"
	check "bad patch: the work tree as before" is "$work/init/main.c" $'one\nTWO\nthree'
	rm "$root/kernel/patches/0002-later.patch"
	mkdir "$root/kernel/src/scripts"
	echo mine >"$root/kernel/src/scripts/new.c"
	mkdir "$root/kernel/src/init"
	echo mine >"$root/kernel/src/init/old.c"
	run kernel-source.sh
	check "kernel/src over a file of Linux: exit 1" [ "$code" = 1 ]
	check "kernel/src over a file of Linux: named" \
		contains "$err" "kernel/src/init/old.c already"
	rm -r "$root/kernel/src/init" "$root/kernel/src/scripts"
	run kernel-source.sh
	check "and good again" [ "$code" = 0 ]
}

refused() # WHAT PART ARGUMENT..
{
	run kernel-source.sh "${@:3}"
	check "$1: exit 2" [ "$code" = 2 ]
	check "$1: says why" contains "$err" "$2"
	check "$1: nothing on stdout" [ -z "$out" ]
}

test_bad_sources()
{
	toy "$tmp/other" 99
	refused "unknown version" "is Linux 7.3.99; known versions: 7.3.4" --tree "$tmp/other"
	tar -C "$tmp" -cJf "$tmp/other.tar.xz" other
	refused "unknown tarball" "is Linux 7.3.99; known versions: 7.3.4" --tar="$tmp/other.tar.xz"
	mkdir "$tmp/empty"
	refused "no Linux" "is no Linux source" --tree="$tmp/empty"
	cp -R "$tmp/linux" "$tmp/built"
	touch "$tmp/built/.config"
	refused "built in" "mrproper" --tree="$tmp/built"
	cp -R "$work" "$tmp/patched"
	refused "patched" "is patched already: it has arch/x86/virt/pamt.c" --tree="$tmp/patched"
	cp -R "$tmp/linux" "$tmp/partly"
	sed -i s/two/TWO/ "$tmp/partly/init/main.c"
	rm "$tmp/partly/init/old.c"
	refused "has a patch" "is patched already: 0001-main.patch" --tree="$tmp/partly"
	refused "usage" "usage:" --tree
	refused "unknown option" "usage:" --nonsense
	run kernel-source.sh --tree="$tmp/nowhere"
	check "no such tree: exit 3" [ "$code" = 3 ]
	echo junk >"$tmp/junk.tar"
	run kernel-source.sh --tar="$tmp/junk.tar"
	check "junk: exit 3" [ "$code" = 3 ]
	check "junk: named" contains "$err" "cannot unpack $tmp/junk.tar"
}

test_git_tree()
{
	cp -R "$tmp/linux" "$tmp/git"
	git -C "$tmp/git" init -q 2>/dev/null
	git -C "$tmp/git" add -A
	git -C "$tmp/git" -c user.name=t -c user.email=t@example.org commit -qm t
	echo edit >>"$tmp/git/init/main.c"
	refused "dirty" "is dirty" --tree="$tmp/git"
	git -C "$tmp/git" checkout -q .
	run kernel-source.sh --tree="$tmp/git"
	check "clean git tree" [ "$code" = 0 ]
	check "its .git stays behind" [ ! -e "$work/.git" ]
	echo edit >>"$tmp/git/init/main.c"
	refused "dirty, of a commit that the cache has" "is dirty" --tree="$tmp/git"
	check "dirty: the work tree as before" is "$work/init/main.c" $'one\nTWO\nthree'
	git -C "$tmp/git" checkout -q .
	run kernel-source.sh --tree="$tmp/linux"
	check "another tree of the same version takes its place" contains "$out" "$tmp/linux"
}

# make kernel TREE=DIR, TAR=FILE.
test_make_given()
{
	out=$(TREE=/env make -n -C "$here" kernel TAR=/a/b.tar)
	check "make kernel TAR=" contains "$out" "--tar='/a/b.tar'"
	check "make kernel: no TREE of the environment" [ "$out" = "${out/--tree/}" ]
	out=$(make -n -C "$here" kernel TREE=/a/b)
	check "make kernel TREE=" contains "$out" "--tree='/a/b'"
}

test_no_space()
{
	printf '#!/bin/sh\necho head\necho "fs 9 9 17 9%% /"\n' >"$tmp/bin/df"
	chmod +x "$tmp/bin/df"
	XDG_CACHE_HOME=$tmp/cache2 run kernel-source.sh --tree="$tmp/linux"
	check "no space: exit 3" [ "$code" = 3 ]
	check "no space: says so" contains "$err" "no space"
	check "no space: one line" one_line "$err"
	rm "$tmp/bin/df"
}

test_upstream()
{
	local sum

	command -v curl >/dev/null || return
	tar -C "$tmp" -cJf "$tmp/linux-7.3.4.tar.xz" linux
	sum=$(sha256sum "$tmp/linux-7.3.4.tar.xz")
	sum=${sum%% *}
	cp "$root/kernel/base" "$tmp/base"
	echo "7.3.4 upstream linux-7.3.4.tar.xz file://$tmp $sum" >"$root/kernel/base"
	XDG_CACHE_HOME=$tmp/cache3 run kernel-source.sh
	check "upstream: exit 0" [ "$code" = 0 ]
	check "upstream: named" contains "$out" "kernel.org's linux-7.3.4.tar.xz"
	sum=$(echo "$sum" | tr 0-9a-f 1-9a-f0)
	echo "7.3.4 upstream linux-7.3.4.tar.xz file://$tmp $sum" >"$root/kernel/base"
	XDG_CACHE_HOME=$tmp/cache4 run kernel-source.sh
	check "wrong checksum: exit 3" [ "$code" = 3 ]
	check "wrong checksum: says so" contains "$err" "its SHA-256 differs"
	check "wrong checksum: not in the cache" [ ! -e "$tmp/cache4/dpamt-bench/linux-7.3.4" ]
	cp "$tmp/base" "$root/kernel/base"
}

# -------------------------------------------------------------------- build

# Without the tool $1, as far as a script can see.
hide_tool()
{
	rm -rf "$tmp/few"
	mkdir "$tmp/few"
	for tool in /usr/bin/* /bin/*; do
		[ "${tool##*/}" = "$1" ] || ln -sf "$tool" "$tmp/few/${tool##*/}"
	done
}

test_missing_tools()
{
	hide_tool git
	PATH=$tmp/few run kernel-source.sh --tree="$tmp/linux"
	check "no git: exit 3" [ "$code" = 3 ]
	check "no git: says so" contains "$err" "no git; to go on: scripts/setup.sh kernel"
	check "no git: one line" one_line "$err"
	hide_tool qemu-system-x86_64
	# No package manager to get it with either.
	rm -f "$tmp/few"/{apt-get,dpkg-query,sudo}
	printf 'x' >"$tmp/bzImage"
	PATH=$tmp/few run boot.sh "$tmp/bzImage" --accel=tcg --log="$tmp/log"
	check "no QEMU: exit 3" [ "$code" = 3 ]
	check "no QEMU: named" contains "$err$out" qemu
}

# ------------------------------------------------------------------- series

# A series of the toy: one edit, two files of which one grows with the second patch.
toy_series()
{
	local dir=$root/kernel/src/arch/x86/virt

	rm -rf "$root/kernel/src" "$root/kernel/changelogs"
	mkdir -p "$dir" "$root/kernel/changelogs"
	printf 'obj-y += one.o two.o\n' >"$dir/Makefile"
	printf 'int one;\n' >"$dir/one.c"
	printf 'int two;\n' >"$dir/two.c"
	printf 'config ONE\n\tbool\n\nconfig TWO\n\tbool\n' >"$dir/Kconfig"
	cat >"$root/kernel/series" <<-'END'
		# comment
		patch first
			edit 0001-*
			src arch/*
		patch second
			src arch/x86/virt/two.c
			part arch/x86/virt/Kconfig ^config TWO
	END
	printf 'Subject: x86: One\n\n%s %s %s\n\n  a picture  %070d\n' 'A line that is longer than' \
		'seventy-five characters will be wrapped at the seventy-fifth' 'or before.' 1 \
		>"$root/kernel/changelogs/first"
	printf 'Subject: x86: Two\n\nMore.\n' >"$root/kernel/changelogs/second"
	printf 'Subject: x86: Both\n\nThe cover.\n' >"$root/kernel/changelogs/cover"
	git -C "$root" init -q 2>/dev/null
	git -C "$root" config user.name Tester
	git -C "$root" config user.email tester@example.org
	git -C "$root" commit -q --allow-empty -m t
}

series() # ARGUMENT..
{
	run kernel-series.sh --tree="$tmp/linux" "$@"
}

test_series()
{
	local out_dir=$root/build/series one two am=$tmp/am

	toy_series
	series
	check "series: exit 0" [ "$code" = 0 ]
	check "series: says what it made" contains "$out" "made: 2 patches for Linux 7.3.4, 3 changed"
	one=$(cat "$out_dir"/v1-0001-*)
	two=$(cat "$out_dir"/v1-0002-*)
	check "series: author" contains "$one" "From: Tester <tester@example.org>"
	check "series: an object enters with its source" contains "$one" "+obj-y += one.o
"
	check "series: and then the other" contains "$two" "+obj-y += one.o two.o"
	check "series: a part is held back" [ "$one" = "${one/config TWO/}" ]
	check "series: a part enters" contains "$two" "+config TWO"
	check "series: a long line is wrapped" [ "$(sed '/^ /d; /^---/,$d' <<<"$one" |
		awk 'length > 75' | wc -l)" = 0 ]
	check "series: a picture is not" grep -q '^  a picture  0*1$' "$out_dir"/v1-0001-*
	check "series: not signed" [ "$one" = "${one/Signed-off-by/}" ]
	check "series: the cover says the base" grep -q 'Base: Linux 7.3.4' "$out_dir"/v1-0000-*
	check "series: the cover says that nothing was tested" \
		grep -q 'Not tested: make kernel-check' "$out_dir"/v1-0000-*
	printf 'source\tx\npassed\tboot\tclean\n' >"$root/build/kernel/check.txt"
	series
	check "series: tested in another state" grep -q 'Not tested as it is' "$out_dir"/v1-0000-*
	printf 'source\t%s\npassed\tboot\tclean\n' "$(cat "$root"/build/kernel/src.{from,files} |
		sha256sum | cut -c 1-16)" >"$root/build/kernel/check.txt"
	series --signoff
	check "series: tested" grep -q -- '- boot: passed; clean' "$out_dir"/v1-0000-*
	check "series: signed" grep -q '^Signed-off-by: Tester' "$out_dir"/v1-0002-*
	cp -R "$tmp/linux" "$am"
	git -C "$am" init -q 2>/dev/null
	git -C "$am" add -A
	git -C "$am" -c user.name=t -c user.email=t@example.org commit -qm t
	check "series: git am" git -C "$am" -c user.name=t -c user.email=t@example.org am -q \
		"$out_dir"/v1-000[12]-*
	check "series: the tree of kernel-source.sh" diff -r -x .git "$am" "$work"
}

bad_series() # WHAT PART
{
	series
	check "$1: exit 1" [ "$code" = 1 ]
	check "$1: says so" contains "$err" "$2"
	toy_series
}

test_bad_series()
{
	toy_series
	echo 'int three;' >"$root/kernel/src/three.c"
	bad_series "a file in no patch" "no patch takes kernel/src/three.c"
	sed -i '/edit/d' "$root/kernel/series"
	bad_series "a patch in no patch" "no patch takes kernel/patches/0001-main.patch"
	echo "	src nothing*" >>"$root/kernel/series"
	bad_series "a pattern for nothing" "second: src nothing* names nothing"
	sed -i 's/config TWO/config THREE/' "$root/kernel/series"
	bad_series "a part that is not there" "config THREE is not there"
	echo "nonsense" >>"$root/kernel/series"
	bad_series "a line that is none" "kernel/series:8: not one of: patch NAME"
	rm "$root/kernel/changelogs/second"
	bad_series "no changelog" "no kernel/changelogs/second"
	run kernel-series.sh --nonsense
	check "series: usage, exit 2" [ "$code" = 2 ]
}

test_build()
{
	local image=$root/build/kernel/emu/arch/x86/boot/bzImage

	printf 'CONFIG_SMP=y\nCONFIG_KVM=m\n' >"$root/kernel/config/host.config"
	printf '# a comment\n# CONFIG_MODULES is not set\nCONFIG_KVM=y\nCONFIG_NAME="a b"\n' \
		>"$root/kernel/config/emu.config"
	echo 'CONFIG_UNMET=y' >"$root/kernel/config/debug.config"
	echo '# CONFIG_SMP is not set' >"$root/kernel/config/kcsan.config"
	run kernel-source.sh --tree="$tmp/linux"
	run kernel-build.sh
	check "build: exit 0" [ "$code" = 0 ]
	check "build: names the kernel" contains "$out" "Linux 7.3.4-toy: $image"
	check "build: an image" [ -s "$image" ]
	run kernel-build.sh
	check "again: exit 0" [ "$code" = 0 ]
	check "again: not configured again" [ "$err" = "${err/configuring/}" ]
	run kernel-build.sh --debug
	check "a line that did not take: exit 1" [ "$code" = 1 ]
	check "a line that did not take: named" contains "$err" "CONFIG_UNMET=y did not take"
	check "a line that did not take: no build" [ "$err" = "${err/building/}" ]
	run kernel-build.sh --debug
	check "a line that did not take, again: exit 1" [ "$code" = 1 ]
	run kernel-build.sh --kcsan
	check "an option that is on: exit 1" [ "$code" = 1 ]
	check "an option that is on: named" \
		contains "$err" "# CONFIG_SMP is not set did not take: CONFIG_SMP=y"
	echo junk >"$tmp/config"
	FOR=host CONFIG_FROM=$tmp/config run kernel-build.sh --config-only
	check "CONFIG_FROM is none: exit 3" [ "$code" = 3 ]
	check "CONFIG_FROM is none: says so" contains "$err" "is no configuration of a kernel"
	FOR=hots run kernel-build.sh
	check "FOR unknown: exit 2" [ "$code" = 2 ]
	check "FOR unknown: the valid ones" contains "$err" "valid: emu, host"
	run kernel-build.sh --debug --kcsan
	check "debug and kcsan: exit 2" [ "$code" = 2 ]
	run kernel-build.sh --config-only
	check "config only" contains "$out" "4 fragment lines took"
	run kernel-build.sh --tree "$tmp/other"
	check "build: an unknown version, exit 2" [ "$code" = 2 ]
	check "build: an unknown version, named" contains "$err" "Linux 7.3.99; known versions"
}

# shellcheck source=bench/tests/kernel/kernel_scripts_boot.sh
. "$here/bench/tests/kernel/kernel_scripts_boot.sh"

test_no_network
test_work_tree
test_edits_by_hand
test_bad_patches
test_bad_sources
test_git_tree
test_make_given
test_no_space
test_upstream
test_missing_tools
test_build
test_bench
test_series
test_bad_series
test_boot_log
test_boot_kunit
test_boot_usage
test_boot_tdx
test_boot_ends
test_kernel_check
test_kernel_check_stopped
test_kernel_breaks
test_kernel_breaks_stopped

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
