#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `make bench`: compare all strategies over workloads that can tell them apart, in
# interleaved blocks. ON=model (default): on this machine, with neither root nor TDX, 8
# blocks, at most 90 seconds on 2 cores. ON=emu: on an emulated TDX host, whose kernel is
# built if it is not that of this source, 3 blocks, at most 6 minutes once it is; with fio
# installed, the memory of that host is fragmented for the workloads that ask for it.
# BLOCKS, WORKLOADS, STRATEGIES and OUT override; PROJECT: the machine file of the projection at
# the end, or none; ACCEL=tcg|kvm: QEMU's accelerator.
set -u
cd "$(dirname "$0")/.." || exit 3

dpamt=${1:-build/dpamt}
on=${ON:-model}
workloads=boot-10x16g,fault-storm,conversion-storm
blocks=8
out=${OUT:-results}
sets=()

# The kernel of the source as it is now. Not a word if it is built already, but that another
# build is waited for.
build_kernel() {
	local kernel=${BUILD:-build}/kernel line said=

	if [ ! -r "$kernel/emu/arch/x86/boot/bzImage" ]; then
		echo "bench: no kernel yet: building it, 10 to 20 minutes at first" >&2
	elif [ ! -w "$kernel" ]; then
		echo "bench: cannot write to $kernel: measuring the kernel that is there" >&2
		return 0
	fi
	set -o pipefail
	FOR=emu scripts/kernel-build.sh 2>&1 >/dev/null | while IFS= read -r line; do
		case $said$line in
		*', 0 files written: '* | 'kernel-build: building emu') continue ;;
		esac
		echo "$line" >&2
		said=yes
	done
}

if [ "$on" = emu ]; then
	blocks=3
	# Under TCG a TD's life takes long enough: 2 of its 16 lives. And a TD's pages are
	# alone in their regions only where there are fewer of them than regions.
	if [ -z "${WORKLOADS:-}" ]; then
		workloads=$workloads,create-destroy,fragmented,unfragmented
		sets=(--set create-destroy:td.torture.lives=2
			--set fragmented:bench_scale=1/32 --set unfragmented:bench_scale=1/32)
	fi
	build_kernel || exit 3
fi
"$dpamt" run --on "$on" --strategy "${STRATEGIES:-all}" \
	--workload "${WORKLOADS:-$workloads}" "${sets[@]}" \
	--runs "${BLOCKS:-$blocks}" --out "$out" || exit
[ "$on" = model ] && [ "${PROJECT:-gnr-2s}" != none ] || exit 0
echo
echo "Projection onto a large host"
echo "============================"
exec "$dpamt" simulate --sweep vcpus=64:256,lone=0:50% --machine "${PROJECT:-gnr-2s}" \
	--strategy "${STRATEGIES:-all}" --out "$out"
