#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Does this machine have what a TDX host needs?
#
# usage: scripts/preflight.sh
#
# One line per item on stdout: "ok" or "missing", the item, what was found,
# and what to do about it. Exit 0 if all is there, 3 if not. Nothing is
# changed; root is not needed, but sees more (MSRs, the kernel's log). The
# items follow the gates of Linux 7.3: arch/x86/virt/vmx/tdx/tdx.c (tdx_init,
# tdx_enable) and arch/x86/kvm/vmx/tdx.c (tdx_hardware_setup).

set -u

case ${1:-} in
"") ;;
-h | --help)
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
	exit 0
	;;
*)
	echo "usage: scripts/preflight.sh" >&2
	exit 2
	;;
esac

# A prefix for /proc, /sys and /dev, for tests.
root=${PREFLIGHT_ROOT:-}
missing=0
items=0

item() # STATE NAME FOUND [WHAT-TO-DO]
{
	items=$((items + 1))
	if [ "$1" = ok ]; then
		printf 'ok       %-22s %s\n' "$2" "$3"
	else
		missing=$((missing + 1))
		printf 'missing  %-22s %s; %s\n' "$2" "$3" "$4"
	fi
}

flags=" $(sed -n 's/^flags[[:space:]]*: *//p' "$root/proc/cpuinfo" 2>/dev/null | head -n 1) "
has_flag()
{
	case "$flags" in *" $1 "*) return 0 ;; esac
	return 1
}

flag_item() # FLAG NAME WHAT-TO-DO
{
	if has_flag "$1"; then
		item ok "$2" "CPU flag $1"
	else
		item missing "$2" "no CPU flag $1" "$3"
	fi
}

first_line()
{
	head -n 1 "$root$1" 2>/dev/null
}

release=$(first_line /proc/sys/kernel/osrelease)
config_text=
config_from=
if [ -r "$root/proc/config.gz" ]; then
	config_from=/proc/config.gz
	config_text=$(gzip -dc "$root/proc/config.gz" 2>/dev/null)
elif [ -r "$root/boot/config-$release" ]; then
	config_from=/boot/config-$release
	config_text=$(cat "$root/boot/config-$release")
fi

config_value()
{
	printf '%s\n' "$config_text" | sed -n "s/^$1=//p" | head -n 1
}

config_item() # SYMBOL WHAT-TO-DO
{
	if [ -z "$config_text" ]; then
		item missing "CONFIG_$1" "the kernel's configuration cannot be read" \
			"enable CONFIG_IKCONFIG_PROC or put it into /boot/config-$release"
		return
	fi
	value=$(config_value "CONFIG_$1")
	case $value in
	y | m) item ok "CONFIG_$1" "$value in $config_from" ;;
	*) item missing "CONFIG_$1" "not in $config_from" "$2" ;;
	esac
}

kernel_log()
{
	if [ -n "$root" ]; then
		cat "$root/dmesg" 2>/dev/null
	else
		dmesg 2>/dev/null
	fi
}

# IA32_MKTME_KEYID_PARTITIONING: the high half is the number of TDX KeyIDs. A
# decimal number, or nothing where it cannot be read.
msr_keyids()
{
	dd if="$root/dev/cpu/0/msr" bs=8 count=1 skip=135 iflag=skip_bytes 2>/dev/null |
		od -A n -t u4 2>/dev/null | awk 'NF == 2 { print $2 }'
}

# KeyIDs that KVM may hand out to TDs.
cgroup_keyids()
{
	sed -n 's/^tdx //p' "$root/sys/fs/cgroup/misc.capacity" 2>/dev/null
}

kvm_tdx=$(first_line /sys/module/kvm_intel/parameters/tdx)
log=$(kernel_log | grep -E 'virt/tdx|tdx:' | tail -n 40)

check_cpu()
{
	vendor=$(sed -n 's/^vendor_id[[:space:]]*: *//p' "$root/proc/cpuinfo" | head -n 1)
	model=$(sed -n 's/^model name[[:space:]]*: *//p' "$root/proc/cpuinfo" | head -n 1)
	if [ "$vendor" = GenuineIntel ]; then
		item ok "CPU" "$model"
	else
		item missing "CPU" "${vendor:-unknown} ${model:-}" \
			"TDX needs an Intel Xeon of the 5th generation or later (some of the 4th)"
	fi
	if has_flag hypervisor; then
		item missing "bare metal" "this is a virtual machine" \
			"TDX hosts are bare metal; use --on model here"
	else
		item ok "bare metal" "no hypervisor"
	fi
	flag_item vmx "VMX" "enable VT-x in the BIOS; in a virtual machine there is none"
	flag_item movdir64b "MOVDIR64B" "this CPU is too old for TDX"
	flag_item ss "self-snoop" "this CPU is too old for TDX"
	flag_item xsave "XSAVE" "remove noxsave from the kernel command line"
}

check_keyids()
{
	keyids=$(msr_keyids)
	[ -n "$keyids" ] || keyids=$(printf '%s\n' "$log" |
		sed -n 's/.*private KeyID range \[\([0-9]*\), *\([0-9]*\)).*/\1 \2/p' |
		awk 'END { if (NF == 2) print $2 - $1 }')
	if [ -z "$keyids" ]; then
		keyids=$(cgroup_keyids)
		[ -z "$keyids" ] || keyids=$((keyids + 1))
	fi
	if [ "${keyids:-0}" -ge 2 ]; then
		item ok "TDX KeyIDs" "$keyids, one of them the module's own"
	elif [ -n "$keyids" ]; then
		item missing "TDX KeyIDs" "$keyids, at least 2 are needed" \
			"BIOS: enable TME, TME-MT and TDX, and split the KeyIDs in favour of TDX"
	else
		item missing "TDX KeyIDs" "no sign of them (MSR 0x87, kernel log, cgroup)" \
			"BIOS: TME, TME-MT, TDX, SEAM loader on (root and msr.ko show more)"
	fi
}

check_config()
{
	config_item KVM_INTEL "use a kernel that is built with it"
	config_item INTEL_TDX_HOST "use a kernel that is built with it"
	config_item KVM_INTEL_TDX "use a kernel that is built with it"
	config_item CONTIG_ALLOC "use a kernel that is built with it"
}

check_boot()
{
	line=$(first_line /proc/cmdline)
	case "$(config_value CONFIG_HIBERNATION) $line" in
	y*nohibernate*) item ok "no hibernation" "nohibernate on the command line" ;;
	y*)
		if grep -q '\[confidentiality\]' "$root/sys/kernel/security/lockdown" \
			2>/dev/null; then
			item ok "no hibernation" "locked down"
		else
			item missing "no hibernation" "the kernel may hibernate, so it bars TDX" \
				"add nohibernate to the kernel command line"
		fi
		;;
	*) item ok "no hibernation" "not in this kernel" ;;
	esac
	offline=$(first_line /sys/devices/system/cpu/offline)
	present=$(first_line /sys/devices/system/cpu/present)
	if [ -z "$offline" ]; then
		item ok "all CPUs online" "${present:-unknown}"
	else
		item missing "all CPUs online" "offline: $offline" \
			"the module wants all of them at boot: no maxcpus=, no nosmt"
	fi
}

check_kvm()
{
	case $kvm_tdx in
	Y) item ok "kvm_intel.tdx" "Y" ;;
	"") item missing "kvm_intel.tdx" "kvm_intel is not loaded, or knows no TDX" \
		"modprobe kvm_intel tdx=1, and see the kernel log" ;;
	*) item missing "kvm_intel.tdx" "$kvm_tdx" \
		"add kvm_intel.tdx=1 to the kernel command line; if it is there: dmesg" ;;
	esac
	if [ "$kvm_tdx" = Y ] || printf '%s\n' "$log" | grep -q 'module initialized'; then
		item ok "TDX module" "initialised"
	else
		item missing "TDX module" "no sign that it was initialised" \
			"dmesg | grep tdx says why; the module comes with the BIOS"
	fi
	if [ ! -e "$root/dev/kvm" ]; then
		item missing "/dev/kvm" "not there" "modprobe kvm_intel"
	elif [ -r "$root/dev/kvm" ] && [ -w "$root/dev/kvm" ]; then
		item ok "/dev/kvm" "may be used"
	else
		item missing "/dev/kvm" "may not be used by this user" \
			"sudo usermod -aG kvm \$USER, and log in again"
	fi
}

check_memory()
{
	kb=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' "$root/proc/meminfo")
	gib=$((${kb:-0} / 1048576))
	if [ "$gib" -ge 16 ]; then
		item ok "memory" "$gib GiB available; boot-10x16g at full size takes 165"
	else
		item missing "memory" "$gib GiB available" \
			"at least 16 for small TDs (--scale), 165 for boot-10x16g at full size"
	fi
}

check_cpu
check_keyids
check_config
check_boot
check_kvm
check_memory

if [ "$missing" -eq 0 ]; then
	echo "preflight: all $items there: this is a TDX host"
	exit 0
fi
echo "preflight: $missing of $items missing: this is no TDX host yet; without one: --on model"
exit 3
