#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `make bench`: compare all strategies on this machine over three workloads
# that can tell them apart, in 8 interleaved blocks; at most 90 seconds on 2 cores.
# ON=model (default) needs neither root nor TDX. BLOCKS, WORKLOADS, STRATEGIES and
# OUT override.
set -u
cd "$(dirname "$0")/.." || exit 3

dpamt=${1:-build/dpamt}
out=${OUT:-results}
"$dpamt" run --on "${ON:-model}" --strategy "${STRATEGIES:-all}" \
	--workload "${WORKLOADS:-boot-10x16g,fault-storm,conversion-storm}" \
	--runs "${BLOCKS:-8}" --out "$out" || exit
[ "${ON:-model}" = model ] && [ "${PROJECT:-gnr-2s}" != none ] || exit 0
echo
echo "Projection onto a large host"
echo "============================"
exec "$dpamt" simulate --sweep vcpus=64:256,lone=0:50% --machine "${PROJECT:-gnr-2s}" \
	--strategy "${STRATEGIES:-all}" --out "$out"
