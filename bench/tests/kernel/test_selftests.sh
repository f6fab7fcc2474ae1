#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# KVM's own selftests on the emulated TDX host in QEMU: those that need no ordinary
# guest, which the emulated CPU does not run. Built from the tree that the kernel was
# built from; of guest_memfd_test a copy without the one part that enters a guest.
#
# usage: bench/tests/kernel/test_selftests.sh [emu|emu-debug]	(from anywhere)
#
# stdout: what those that failed said; the outcome, with how many of KVM's tests for x86
# are left out. Which, and why, is in build/kernel/selftests.skipped, a line each. A test
# that is neither run nor known to be left out for a reason fails. Exit 0 passed; 1 failed; 3 something is missing here; 4 no
# kernel was built yet.

set -u

prog=test_selftests
root=$(cd "$(dirname "$0")/../../.." && pwd) || exit 3
# shellcheck source=scripts/kernel-lib.sh
. "$root/scripts/kernel-lib.sh"
kernel=${1:-emu}
build=${BUILD:-$root/build}/kernel
[ -r "$build/$kernel/arch/x86/boot/bzImage" ] && [ -d "$build/src/tools" ] || {
	echo "$prog: skipped: no kernel $kernel yet (make kernel)"
	exit 4
}
for tool in "${CC:-gcc}" make cpio gzip busybox; do
	command -v "$tool" >/dev/null 2>&1 ||
		give_up "no $tool; to go on: scripts/setup.sh kernel"
done
tests="irqfd_test kvm_binary_stats_test kvm_create_max_vcpus vm_types_test guest_memfd_test
	x86/feature_msrs_test x86/hwcr_msr_test x86/max_vcpuid_cap_test
	x86/nested_set_state_test x86/recalc_apic_map_test x86/set_sregs_test
	x86/vmx_msrs_test"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/test_selftests.XXXXXX") || exit 3
trap 'end_attended; rm -rf "$tmp"' EXIT
trap 'exit 3' HUP INT TERM

# ------------------------------------------------------------------- left out

from=$build/src/tools/testing/selftests/kvm
skipped=$build/selftests.skipped

# Why the test $1 is not run here; nothing for one that nobody looked at.
reason()
{
	case $1 in
	x86/sev_*) echo "needs SEV, which AMD has" ;;
	x86/xss_msr_test) echo "needs XSAVES, which the emulated CPU does not have" ;;
	*)
		! grep -qE 'vcpu_run|guest_code' "$from/$1.c" ||
			echo "enters an ordinary guest, which the emulated CPU does not run"
		;;
	esac
}

all=$(sed -nE 's/^TEST_GEN_PROGS_(COMMON|x86|EXTENDED_x86) \+?= *([a-z].*)/\2/p' \
	"$from/Makefile.kvm" 2>/dev/null)
[ -n "$all" ] || {
	echo "$prog: $from/Makefile.kvm is not as it was: where does it name the tests?"
	exit 1
}
exec 3>&1
for name in $all; do
	case " $(echo "$tests" | tr -s '\n\t' '  ') " in
	*" $name "*) continue ;;
	esac
	cause=$(reason "$name")
	[ -n "$cause" ] || {
		echo "$prog: $name is neither run nor known to need what is not here" >&3
		exit 1
	}
	printf '%s\t%s\n' "$name" "$cause"
done >"$skipped"
exec 3>&-
left=$(grep -c . "$skipped")
guests=$(grep -c 'an ordinary guest' "$skipped")
# Of one that is run, a part.
printf 'guest_memfd_test: test_guest_memfd_guest()\tenters an ordinary guest\n' >>"$skipped"

# ------------------------------------------------------------------- building

out=$build/selftests
clean_environment
use_ccache "$build"
# shellcheck disable=SC2154 # set by use_ccache
cc=$compiler
mkdir -p "$out" "$tmp/root/tests" || give_up "cannot write to $build"
make -C "$build/src" O="$build/$kernel" headers >"$tmp/make" 2>&1 ||
	give_up "the kernel's headers: $(why "$tmp/make")"
headers="-isystem $build/$kernel/usr/include"
# The definition of test_guest_memfd_guest(void) gets another name; its call, without an
# argument, becomes nothing.
grep -qx '	test_guest_memfd_guest();' "$from/guest_memfd_test.c" || {
	echo "$prog: guest_memfd_test.c is not as it was: where does it enter a guest?"
	exit 1
}
cat >"$tmp/left_out.h" <<'END'
#define test_guest_memfd_guest(x) left_out_##x(x)
#define left_out_() (void)left_out_void
END
cmp -s "$tmp/left_out.h" "$out/left_out.h" || cp "$tmp/left_out.h" "$out/left_out.h" || exit 3
# CFLAGS and LDFLAGS of the environment are added to the tests' own.
objects=
for name in $tests; do
	objects="$objects $out/$name"
done
# shellcheck disable=SC2086
CFLAGS="-include $out/left_out.h" LDFLAGS=-static make -C "$from" OUTPUT="$out" CC="$cc" \
	ARCH=x86 KHDR_INCLUDES="$headers" -j"$(nproc)" $objects >"$tmp/make" 2>&1 || {
	echo "$prog: KVM's selftests do not build: $(why "$tmp/make")"
	exit 1
}
for name in $tests; do
	cp "$out/$name" "$tmp/root/tests/${name##*/}" || exit 3
done

# ---------------------------------------------------------------------- boot

mkdir -p "$tmp/root/bin" "$tmp/root/proc" "$tmp/root/sys" "$tmp/root/dev" "$tmp/root/tmp"
cp "$(command -v busybox)" "$tmp/root/bin/busybox" || exit 3
cat >"$tmp/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
for test in /tests/*; do
	echo "selftest: begin ${test##*/}"
	timeout 120 "$test" </dev/null
	echo "selftest: end ${test##*/} $?"
done
poweroff -f
END
chmod 755 "$tmp/root/init"
(cd "$tmp/root" && find . | cpio -o -H newc -R 0:0 2>/dev/null | gzip -1) >"$tmp/initramfs"
attend "$root/scripts/boot.sh" "$kernel" --tdx --accel=tcg --timeout=600 \
	--initramfs="$tmp/initramfs" --append=kunit.enable=0 --log="$build/selftests.log" \
	>"$tmp/said" 2>&1 || {
	cat "$tmp/said"
	echo "$prog: the boot was not clean"
	exit 1
}

passed=0
failed=
for name in $tests; do
	name=${name##*/}
	case $(tr -d '\r' <"$build/selftests.log" | sed -n "s/.*selftest: end $name //p") in
	0) passed=$((passed + 1)) ;;
	*)
		failed="$failed $name"
		tr -d '\r' <"$build/selftests.log" |
			sed -n "/selftest: begin $name/,/selftest: end $name/p" | head -n 20
		;;
	esac
done
if [ -n "$failed" ]; then
	echo "$prog: $passed passed, failed:$failed"
	exit 1
fi
echo "$passed of KVM's selftests for x86 passed, $left are left out ($guests of them enter an" \
	"ordinary guest): ${skipped#"$root"/}"
