; SPDX-License-Identifier: GPL-2.0-only
; Seen when a TD of 4 GiB with 8 vCPUs boots: frames 0x7d3ff to 0x7e7fe are converted back and
; forth, the three hottest of them 974, 476 and 156 times. at = 49% is where they lie. Four TDs, so
; that hot spots of different guests meet.
[global]
title = The conversion hot spot of a booting TD
question = What do the conversions of an ordinary boot cost, all in one 2M region that \
	holds little else?
asked_by = Yan Zhao, June and July 2025 (the counts); Sean Christopherson, 11 Aug 2025 \
	(precise reclaim on zap has little value)
primary = pamt_ns_per_page
placement = contiguous
bench_scale = 1/64

[td boot]
count = 4
vcpus = 8
memory = 4G

[phase early]
td = boot
do = fault
order = split
share = 25%
together = yes

[phase convert]
td = boot
do = convert
at = 49%
pages = 3
stride = 4K
flips = 974,476,156

[phase late]
td = boot
do = fault
order = split
share = 50%
