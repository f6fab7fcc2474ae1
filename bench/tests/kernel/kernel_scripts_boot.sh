# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of test_kernel_scripts.sh on the scripts that boot what was built: boot.sh,
# bench.sh, kernel-check.sh and kernel-breaks.sh, with a QEMU that only writes a log.
# To be sourced, with $tmp, $root, $work, the toy tree and the functions of that file.
#
# shellcheck disable=SC2154

# --------------------------------------------------------------------- boot

# A QEMU whose serial console says what is in $tmp/console.
cat >"$tmp/bin/qemu-system-x86_64" <<-END
	#!/bin/sh
	echo "\$*" >"$tmp/qemu-args"
	for arg; do
		case \$arg in file:*) cat "$tmp/console" >"\${arg#file:}" ;; esac
	done
	[ ! -e "$tmp/hang" ] || { echo \$\$ >"$tmp/sleeper"; exec sleep 60; }
	[ ! -e "$tmp/refuse" ] || { echo "qemu: no such machine" >&2; exit 1; }
END
chmod +x "$tmp/bin/qemu-system-x86_64"
touch "$tmp/bzImage" "$tmp/initramfs"

boot() # ARGUMENT..
{
	run boot.sh "$tmp/bzImage" --accel=tcg --log="$tmp/log" "$@"
}

console() # LINE..
{
	{
		echo "[    0.000000] Linux version 7.3.4"
		echo "dpamt-init: up on 2 CPUs, Linux 7.3.4"
		printf '%s\n' "$@"
		echo "dpamt-init: done"
		echo "[    4.775889] reboot: Power down"
	} >"$tmp/console"
}

# Texts as the kernel prints them; each must spoil the boot.
splats()
{
	cat <<-'END'
		WARNING: CPU: 0 PID: 1 at kernel/foo.c:12 foo+0x1/0x2
		WARNING: kernel/foo.c:12 at foo+0x1/0x2, CPU#0: init/1
		BUG: kernel NULL pointer dereference, address: 0000000000000000
		BUG: KASAN: slab-use-after-free in foo+0x1/0x2
		BUG: KCSAN: data-race in foo / bar
		BUG: sleeping function called from invalid context at mm/slab.h:1
		BUG: scheduling while atomic: init/1/0x00000002
		BUG: spinlock bad magic on CPU#0, init/1
		kernel BUG at kernel/foo.c:12!
		Oops: 0002 [#1] SMP
		Oops: general protection fault, probably for non-canonical address
		WARNING: possible circular locking dependency detected
		WARNING: inconsistent lock state
		WARNING: suspicious RCU usage
		[ BUG: Invalid wait context ]
		DEBUG_LOCKS_WARN_ON(1)
		rcu: INFO: rcu_preempt self-detected stall on CPU
		rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
		watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]
		INFO: task init:1 blocked for more than 120 seconds.
		Kernel panic - not syncing: Attempted to kill init!
		refcount_t: underflow; use-after-free.
		list_add corruption. next->prev should be prev
		unchecked MSR access error: RDMSR from 0x1
		------------[ cut here ]------------
		BUG: Bad page state in process init  pfn:1234
		virt/tdx: TDH.SYS.DISABLE failed: 0x8000020000000092
		virt/tdx: TDH.SYS.CONFIG failed: 0xc000010000000000
		kvm_intel: SEAMCALL TDH_MNG_RD failed: 0xc000010000000000
		kvm_intel: TDH_VP_RD[VMCS.0x681e] failed 0xc000010000000000
		kvm_intel: TDH_VP_WR[VMCS.0x4000] |= 0x1 failed: 0xc000010000000000
		kvm_intel: tdh_mng_key_freeid() failed. HKID 33 is leaked.
		TDX_OPERAND_BUSY failed
	END
}

test_boot_log()
{
	console "all quiet" "[    0.1] debug: bugs: warnings 0" "kunit:     ok 1 first" \
		"[    0.2] TDH.MEM.PAGE.AUG fails once, tdh_mem_page_aug() is called again" \
		"[    0.3] virt/tdx: TDH.SYS.DISABLE failed: 0xc000010000000000"
	boot --initramfs="$tmp/initramfs"
	check "clean: exit 0" [ "$code" = 0 ]
	check "clean: says so" contains "$out" "clean: 2 CPUs, Linux 7.3.4 on tcg"
	check "clean: counts KUnit tests" contains "$out" ", 1 KUnit tests passed, 0 skipped"
	while read -r line; do
		console "[    1.234567] $line"
		boot --initramfs="$tmp/initramfs"
		check "$line: exit 1" [ "$code" = 1 ]
		check "$line: shown" contains "$out" "$line"
	done < <(splats)
	console "kunit:     not ok 2 second"
	boot --initramfs="$tmp/initramfs"
	check "a KUnit test that failed: exit 1" [ "$code" = 1 ]
	check "a KUnit test that failed: shown" contains "$out" "not ok 2 second"
}

# What the results of two suites look like; the second had nothing to run on.
kunit_results()
{
	printf 'kunit: %s\n' "KTAP version 1" "    # Subtest: first" "        ok 1 a" \
		"        ok 2 b # SKIP no b here" "    ok 1 cases" "    ok 2 plain" \
		"    # first: pass:2 fail:0 skip:0 total:2" "ok 1 first" \
		"    ok 1 lone # SKIP nothing here" "ok 1 second # SKIP"
}

test_boot_kunit()
{
	console "$(kunit_results)"
	boot --initramfs="$tmp/initramfs"
	check "KUnit: counts tests alone" contains "$out" ", 2 KUnit tests passed, 2 skipped"
	boot --initramfs="$tmp/initramfs" --kunit=first
	check "KUnit: a suite that passed" [ "$code" = 0 ]
	boot --initramfs="$tmp/initramfs" --kunit=first,second,third,cases,fir
	check "KUnit: suites that did not: exit 1" [ "$code" = 1 ]
	check "KUnit: suites that did not: named" \
		contains "$out" "did not run and pass: second third cases fir, on"
	console "no results"
	boot --initramfs="$tmp/initramfs" --kunit=first
	check "KUnit: none at all: exit 1" [ "$code" = 1 ]
}

test_boot_usage()
{
	console
	boot --initramfs="$tmp/initramfs" --timeout=5x
	check "bad timeout: exit 2" [ "$code" = 2 ]
	boot --initramfs="$tmp/nowhere"
	check "no initramfs: exit 3" [ "$code" = 3 ]
	boot --initramfs="$tmp/initramfs" --smp=4,sockets=3
	check "CPUs over sockets: exit 2" [ "$code" = 2 ]
	check "CPUs over sockets: says so" contains "$err" "do not spread evenly over 3 sockets"
	run boot.sh
	check "no kernel: exit 2" [ "$code" = 2 ]
	run boot.sh emu-kcsan
	check "not built: exit 3" [ "$code" = 3 ]
	check "not built: says how" contains "$err" "make kernel"
	run boot.sh "$tmp/bzImage" --accel=warp
	check "bad accelerator: exit 2" [ "$code" = 2 ]
	check "bad accelerator: the valid ones" contains "$err" "valid: auto, kvm, tcg"
}

test_boot_tdx()
{
	console
	boot --initramfs="$tmp/initramfs"
	check "no TDX unless asked for" [ "$(grep -c tdx "$tmp/qemu-args")" = 0 ]
	boot --initramfs="$tmp/initramfs" --tdx --smp=4,sockets=2
	check "--tdx: exit 0" [ "$code" = 0 ]
	check "--tdx: on the command line" \
		contains "$(cat "$tmp/qemu-args")" "kvm_intel.tdx=1 memmap=1M\$1M tdx_emu=on"
	check "--tdx: 2 packages" contains "$(cat "$tmp/qemu-args")" "-smp 4,sockets=2"
	boot --initramfs="$tmp/initramfs" --append=tdx_emu=on,static
	check "tdx_emu= alone: KVM is told" \
		contains "$(cat "$tmp/qemu-args")" "kvm_intel.tdx=1 memmap=1M\$1M tdx_emu=on,static"
}

test_boot_ends()
{
	touch "$tmp/hang"
	echo "last words" >"$tmp/console"
	boot --initramfs="$tmp/initramfs" --timeout=1
	check "hang: exit 1" [ "$code" = 1 ]
	check "hang: says so" contains "$out" "hung: killed after 1 s"
	check "hang: the tail of the log" contains "$out" "last words"
	rm "$tmp/hang"
	touch "$tmp/refuse"
	boot --initramfs="$tmp/initramfs"
	check "QEMU does not start: exit 3" [ "$code" = 3 ]
	check "QEMU does not start: its words" contains "$err" "qemu: no such machine"
	rm "$tmp/refuse"
	boot --initramfs="$tmp/initramfs"
	check "died, with an initramfs of one's own: exit 1" [ "$code" = 1 ]
	check "died, with an initramfs of one's own: says so" \
		contains "$out" "died: the kernel was not shut down"
	if command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 &&
		command -v cpio >/dev/null; then
		boot
		check "died: exit 1" [ "$code" = 1 ]
		check "died: says so" contains "$out" "died: init did not reach its end"
		console
		boot
		check "own initramfs: clean" [ "$code" = 0 ]
	fi
}

# ------------------------------------------------------------- kernel-check

# The tests that it runs: each notes its name, and passes.
check_fixture()
{
	local tests=$root/bench/tests/kernel name

	mkdir -p "$tests" "$root/workloads"
	rm -f "$tmp/sleeper"
	for name in kernel_scripts tdx_emu tdx_stress selftests; do
		printf 'echo %s >>"%s"\necho fine\n' "$name" "$tmp/ran" >"$tests/test_$name.sh"
	done
	printf 'guest:\n\t@mkdir -p $(BUILD) && cp workload.c $(BUILD)/dpamt-guest\n' \
		>"$root/Makefile"
	echo 'int guest;' >"$root/workload.c"
	echo 'a = 1' >"$root/workloads/a.wl"
	console "kunit: ok 1 tdx_pamt" "kunit: ok 1 tdx_pamt_host" "kunit: ok 1 tdx_pamt_words"
}

# What of its tests ran, as words.
kernel_check() # ARGUMENT..
{
	rm -f "$tmp/ran"
	touch "$tmp/ran"
	run kernel-check.sh --short "$@"
	ran=$(tr '\n' ' ' <"$tmp/ran")
}

test_kernel_check()
{
	local ran

	check_fixture
	kernel_check
	check "kernel-check: exit 0" [ "$code" = 0 ]
	check "kernel-check: runs all" [ "$ran" = "kernel_scripts tdx_emu tdx_stress selftests " ]
	check "kernel-check: names the kernel, not its place" \
		contains "$out" "passed: build of emu: Linux 7.3.4-toy
"
	kernel_check
	check "kernel-check: what passed is not run again" [ "$code-$ran" = 0- ]
	check "kernel-check: says since when" contains "$out" "of the same)"
	echo 'int guest2;' >"$root/workload.c"
	kernel_check
	check "kernel-check: another dpamt-guest" [ "$ran" = "tdx_stress " ]
	echo 'a = 2' >"$root/workloads/a.wl"
	kernel_check
	check "kernel-check: another workload" [ "$ran" = "tdx_stress " ]
	console "kunit: ok 1 tdx_pamt" "kunit: ok 1 tdx_pamt_words"
	kernel_check --again
	check "kernel-check: a suite that did not run: exit 1" [ "$code" = 1 ]
	check "kernel-check: a suite that did not run: named" \
		contains "$out" "did not run and pass: tdx_pamt_host"
}

# Whether the process whose id is in the file $1 is gone.
gone() # FILE
{
	[ -s "$1" ] && ! kill -0 "$(cat "$1")" 2>/dev/null
}

# TERM to the script $1 once $tmp/sleeper has the id of what it waits for.
stop() # PID
{
	for _ in {1..100}; do
		[ ! -s "$tmp/sleeper" ] || break
		sleep 0.1
	done
	SECONDS=0
	kill "$1"
	wait "$1"
	code=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
}

# TERM to a script ends what it runs, and that in turn: as QEMU, a sleep that a shell
# waits for in the foreground.
test_kernel_check_stopped()
{
	local pid

	check_fixture
	printf '%s\n' 'sh -c "echo \$\$ >'"$tmp/sleeper"'; exec sleep 60"; true' \
		>"$root/bench/tests/kernel/test_kernel_scripts.sh"
	"$root/scripts/kernel-check.sh" --short >"$tmp/out" 2>"$tmp/err" </dev/null &
	pid=$!
	stop "$pid"
	check "kernel-check stopped: exit 3" [ "$code" = 3 ]
	check "kernel-check stopped: at once" [ "$SECONDS" -lt 20 ]
	check "kernel-check stopped: says so" contains "$err" "stopped by a signal"
	check "kernel-check stopped: nothing goes on" gone "$tmp/sleeper"
	check "kernel-check stopped: no lock is held" flock -n "$root/build/kernel/lock" true
	gone "$tmp/sleeper" || kill "$(cat "$tmp/sleeper")"
}

# ------------------------------------------------------------ kernel-breaks

# One break of the toy, and a QEMU that sees it.
breaks_fixture()
{
	check_fixture
	mkdir -p "$root/bench/tests/kernel/breaks"
	printf '%s\n' "Break: three is four" "Boot: --accel=tcg" "Seen-as: WARNING" \
		"--- a/init/main.c" "+++ b/init/main.c" "@@ -2,2 +2,2 @@" " TWO" "-three" "+four" \
		>"$root/bench/tests/kernel/breaks/four.patch"
	console "WARNING: four"
}

test_kernel_breaks()
{
	local image=$root/build/kernel/emu/arch/x86/boot/bzImage

	breaks_fixture
	printf '%s\n' '#!/bin/sh' \
		"flock -n '$root/build/kernel/lock' true || echo held >'$tmp/held'" \
		"cat '$image' >'$tmp/booted'" "exec '$tmp/bin/qemu' \"\$@\"" >"$tmp/spy"
	chmod +x "$tmp/spy"
	mv "$tmp/bin/qemu-system-x86_64" "$tmp/bin/qemu"
	mv "$tmp/spy" "$tmp/bin/qemu-system-x86_64"
	run kernel-breaks.sh
	mv "$tmp/bin/qemu" "$tmp/bin/qemu-system-x86_64"
	check "breaks: exit 0" [ "$code" = 0 ]
	check "breaks: caught" contains "$out" "caught  four"
	check "breaks: the broken kernel was booted" grep -q four "$tmp/booted"
	check "breaks: under the lock" [ -e "$tmp/held" ]
	check "breaks: the kernel without it stays" [ -s "$image" ]
	check "breaks: not broken" [ "$(grep -c four "$image")" = 0 ]
	check "breaks: the work tree as before" is "$work/init/main.c" $'one\nTWO\nthree'
	console "all quiet"
	run kernel-breaks.sh
	check "breaks: missed, exit 1" [ "$code" = 1 ]
	check "breaks: missed, says so" contains "$out" "MISSED  four"
}

test_kernel_breaks_stopped()
{
	local image=$root/build/kernel/emu/arch/x86/boot/bzImage

	breaks_fixture
	touch "$tmp/hang"
	"$root/scripts/kernel-breaks.sh" >"$tmp/out" 2>"$tmp/err" </dev/null &
	stop $!
	rm -f "$tmp/hang"
	check "breaks stopped: exit 130" [ "$code" = 130 ]
	check "breaks stopped: at once" [ "$SECONDS" -lt 20 ]
	check "breaks stopped: no QEMU goes on" gone "$tmp/sleeper"
	check "breaks stopped: no broken kernel" [ ! -e "$image" ]
	check "breaks stopped: the work tree as before" is "$work/init/main.c" $'one\nTWO\nthree'
	run kernel-build.sh
	check "breaks stopped: the next build is whole" \
		[ "$code-$(grep -c four "$image")" = 0-0 ]
}

# -------------------------------------------------------------------- bench

# `make bench ON=emu`, with a dpamt that only says what it was asked for.
test_bench()
{
	local image=$root/build/kernel/emu/arch/x86/boot/bzImage

	printf '#!/bin/sh\necho "dpamt $*"\n' >"$tmp/bin/dpamt"
	chmod +x "$tmp/bin/dpamt"
	rm -f "$image"
	ON=emu run bench.sh dpamt
	check "bench: exit 0" [ "$code" = 0 ]
	check "bench: measures there" contains "$out" "dpamt run --on emu"
	check "bench: says that there is no kernel" contains "$err" "no kernel yet"
	check "bench: builds it" [ -s "$image" ]
	ON=emu run bench.sh dpamt
	check "bench: the same kernel, not a word" [ "$code-$err" = 0- ]
	echo stale >"$image"
	echo 'int pamt3;' >"$root/kernel/src/arch/x86/virt/pamt.c"
	ON=emu run bench.sh dpamt
	check "bench: a stale kernel is built anew" [ "$(cat "$image")" != stale ]
	check "bench: says so" contains "$err" "1 files written"
	echo 'edit' >>"$work/init/main.c"
	ON=emu run bench.sh dpamt
	check "bench: no build, exit 3" [ "$code-$out" = 3- ]
	check "bench: no build, why" contains "$err" "was edited by hand"
	run kernel-source.sh --force
	exec 7>"$root/build/kernel/lock"
	flock 7
	ON=emu timeout 9 "$root/scripts/bench.sh" dpamt >"$tmp/out" 2>"$tmp/err" </dev/null 7>&- &
	sleep 1
	err=$(cat "$tmp/err")
	check "bench: says that a build goes on" contains "$err" "waiting for another build"
	exec 7>&-
	wait $!
	check "bench: and goes on after it" grep -q 'dpamt run' "$tmp/out"
}
