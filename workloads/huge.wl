; SPDX-License-Identifier: GPL-2.0-only
; A 2M mapping takes no pair. Then every vCPU converts single pages in the huge part: each first
; conversion in a region demotes its mapping into 512 of 4K, which takes a pair for good.
; Where the host maps 4K only (KVM of Linux 7.3), this workload is skipped.
[global]
title = 2M mappings, and their demotion by conversions
question = What do 2M mappings save in pairs and in time, and how much of it do conversions eat?
asked_by = Vishal Annapurve, May and 10 Sep 2025 (pairs only for what is mapped as 4K); \
	Yan Zhao, 6 Jan 2026 (huge page series)
primary = pamt_ns_per_page
placement = contiguous
bench_scale = 1/32

[td huge]
count = 4
vcpus = 4
memory = 4G
huge = 90%

[phase fault]
td = huge
do = fault
order = split
together = yes

[phase demote]
td = huge
do = convert
at = 25%
pages = 512
stride = 2M
flips = 1
