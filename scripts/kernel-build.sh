#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the kernel with Dynamic PAMT, out of tree, in build/kernel/VARIANT.
#
# usage: [FOR=emu|host] [CONFIG_FROM=FILE] scripts/kernel-build.sh [--debug | --kcsan] [--config-only]
#		[--tree=DIR | --tar=FILE] [--force]
#
# FOR=emu (default): a small bzImage for QEMU, from tinyconfig. FOR=host: Debian
# packages to install beside the distribution's kernel, from the configuration
# of the running kernel, or from that in the file CONFIG_FROM. Both take kernel/config/host.config on top; emu,
# --debug and --kcsan add the fragment of that name. Every line of a fragment
# is looked up in the .config that was built. CC picks the compiler; ccache is
# used where there is one. --tree, --tar and --force: as kernel-source.sh.
# stdout: the kernel's version and where it is; the build's own output is in
# build/kernel/VARIANT/log.
#
# Exit 0 built; 1 the build failed, or a line of a fragment did not take; 2
# usage; 3 something is missing here, and one line says what.

set -u

prog=kernel-build
root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"

usage()
{
	echo "usage: [FOR=emu|host] scripts/kernel-build.sh [--debug | --kcsan] [--config-only]" \
		"[--tree=DIR | --tar=FILE] [--force]" >&2
	exit 2
}

goal=${FOR:-emu}
checks=
config_only=
nargs=$#
while [ $nargs -gt 0 ]; do
	arg=$1
	shift
	nargs=$((nargs - 1))
	case $arg in
	--debug | --kcsan)
		[ -z "$checks" ] || usage
		checks=${arg#--}
		;;
	--config-only) config_only=yes ;;
	--tree | --tar)
		[ $nargs -gt 0 ] || usage
		set -- "$@" "$arg=$1"
		shift
		nargs=$((nargs - 1))
		;;
	--tree=?* | --tar=?* | --force) set -- "$@" "$arg" ;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) usage ;;
	esac
done
case $goal in
emu | host) ;;
*)
	say "FOR=$goal: unknown; valid: emu, host"
	exit 2
	;;
esac
variant=$goal${checks:+-$checks}

kernel_init
unset FOR
fragments=$root/kernel/config/host.config
[ "$goal" = host ] || fragments="$fragments $root/kernel/config/emu.config"
[ -z "$checks" ] || fragments="$fragments $root/kernel/config/$checks.config"
mkdir -p "${BUILD:-$root/build}/kernel/$variant" 2>/dev/null ||
	give_up "cannot write to ${BUILD:-$root/build}"
top=$(cd "${BUILD:-$root/build}/kernel" && pwd) || exit 3
no_blanks "$top"
no_blanks "$root"
build=$top/$variant
tree=$top/src
log=$build/log

take_lock "$top"
need_tools "$log"
"$root/scripts/kernel-source.sh" "$@" >"$top/source" 8>&- || exit
say "$(cat "$top/source")"
version=$(tree_version "$tree")

use_ccache "$top"
# The same sources make the same image: what passed with one need not run again.
[ "$goal" = host ] || export KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=dpamt KBUILD_BUILD_HOST=dpamt

kmake()
{
	nice make -C "$tree" O="$build" CC="$compiler" -j"$(nproc)" "$@" 8>&-
}

# ----------------------------------------------------------- configuration

# The running kernel's configuration, as $1.
running_config()
{
	if [ -n "${CONFIG_FROM:-}" ]; then
		gzip -dcf "$CONFIG_FROM" 2>/dev/null >"$1" && grep -q '^CONFIG_' "$1" && return
		give_up "CONFIG_FROM=$CONFIG_FROM is no configuration of a kernel"
	fi
	for file in "/boot/config-$(uname -r)" /proc/config.gz; do
		[ -r "$file" ] || continue
		gzip -dcf "$file" >"$1" && return
	done
	give_up "FOR=host starts from the running kernel's configuration, and there is neither" \
		"/boot/config-$(uname -r) nor /proc/config.gz; give one with CONFIG_FROM=FILE"
}

# What a distribution's configuration $1 needs to be built elsewhere: its
# certificates and its key are not at hand.
adapt_to_host()
{
	"$tree/scripts/config" --file "$1" --set-str LOCALVERSION "-dpamt${checks:+-$checks}" \
		--disable LOCALVERSION_AUTO --set-str SYSTEM_TRUSTED_KEYS "" \
		--set-str SYSTEM_REVOCATION_KEYS "" --set-str MODULE_SIG_KEY certs/signing_key.pem
}

# Changes when the configuration might: it takes 8 s to make.
config_stamp()
{
	{
		echo "$compiler"
		${CC:-gcc} --version
		cat "$top/src.from" "$0"
		grep Kconfig "$top/src.files"
		# shellcheck disable=SC2086
		cat $fragments "$build/.config"
		if [ "$goal" = host ]; then
			uname -r
			gzip -dcf "${CONFIG_FROM:-/dev/null}"
		fi
	} 2>/dev/null | sha256sum
}

# The merged configuration as $build/config.new, and as .config if that differs.
configure()
{
	new=$build/config.new
	[ "$goal" != host ] || running_config "$new"
	# shellcheck disable=SC2086
	{
		if [ "$goal" = host ]; then
			adapt_to_host "$new"
		else
			kmake -s KCONFIG_CONFIG="$new" tinyconfig
		fi &&
			KCONFIG_CONFIG=$new sh "$tree/scripts/kconfig/merge_config.sh" -m -Q \
				-O "$build" "$new" $fragments &&
			kmake -s KCONFIG_CONFIG="$new" olddefconfig
	} >"$log" 2>&1 || give_up "cannot configure Linux $version: $(why "$log")"
	cmp -s "$new" "$build/.config" || cp "$new" "$build/.config" ||
		give_up "cannot write to $build"
}

# The last word of the fragments on each option: what .config must say.
wanted()
{
	# shellcheck disable=SC2086
	sed -nE 's/^(CONFIG_[A-Za-z0-9_]+)=.*/\1 &/p
		s/^# (CONFIG_[A-Za-z0-9_]+) is not set$/\1 &/p' $fragments |
		awk '{ option = $1; sub(/^[^ ]+ /, ""); line[option] = $0 }
			!seen[option]++ { order[++n] = option }
			END { for (i = 1; i <= n; i++) print line[order[i]] }'
}

# Every fragment line against .config. An option that is off may be absent too;
# one that is a module in the fragment may be built in.
verify()
{
	wanted >"$build/wanted"
	bad=0
	while read -r line; do
		option=${line#\# }
		option=${option%%[= ]*}
		is=$(grep -E "^(# )?$option(=| is not set)" "$build/.config")
		case $line in
		"$is") continue ;;
		\#*) [ -n "$is" ] || continue ;;
		*=m) [ "$is" != "$option=y" ] || continue ;;
		esac
		say "$variant: $line did not take: ${is:-$option is not there (a dependency?)}"
		bad=$((bad + 1))
	done <"$build/wanted"
	[ $bad = 0 ] || exit 1
}

# ------------------------------------------------------------------- build

failed()
{
	say "$variant: the build failed: $(grep -E -m 1 '(error|Error|undefined reference)' "$log" |
		cut -c 1-200) (see $log)"
	grep -qi 'no space left' "$log" && give_up "the disk is full"
	exit 1
}

build_emu()
{
	[ -e "$build/vmlinux" ] || need_space "$build" 1500 "the build"
	kmake bzImage >"$log" 2>&1 || failed
	verify
	echo "Linux $(kmake -s kernelrelease): $build/arch/x86/boot/bzImage"
}

build_host()
{
	for tool in dpkg-buildpackage:dpkg-dev dh:debhelper rsync:rsync kmod:kmod; do
		command -v "${tool%:*}" >/dev/null 2>&1 ||
			give_up "no ${tool%:*}; to go on: scripts/setup.sh kernel-host"
	done
	space=25000
	[ -z "${CONFIG_FROM:-}" ] || space=4000
	[ -e "$build/vmlinux" ] || need_space "$build" $space "the build of a host's kernel"
	# The package of debug information is large, and not needed to run it.
	DEB_BUILD_PROFILES=pkg.linux-upstream.nokerneldbg kmake bindeb-pkg >"$log" 2>&1 || failed
	verify
	release=$(kmake -s kernelrelease)
	echo "Linux $release; to install: sudo apt-get install" \
		"$(find "$top" -maxdepth 1 -name "linux-image-${release}_*.deb" -printf '%T@ %p\n' |
			sort -n | sed -n '$s/^[^ ]* //p')"
}

if [ "$(config_stamp)" != "$(cat "$build/config.stamp" 2>/dev/null)" ]; then
	say "configuring $variant"
	configure
	config_stamp >"$build/config.stamp"
fi
verify
if [ -n "$config_only" ]; then
	echo "Linux $version, $variant: $(wc -l <"$build/wanted") fragment lines took:" \
		"$build/.config"
	exit 0
fi
say "building $variant"
"build_$goal"
