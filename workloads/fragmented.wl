; SPDX-License-Identifier: GPL-2.0-only
; Physical contiguity is the main input variable: a pair serves up to 512 pages, or one. A quarter
; of the pages lie alone here. Sweep it: --set placement=scattered:0% up to scattered:100%, and
; --set placement=contiguous or buddy.
[global]
title = Faults on fragmented memory
question = What do PAMT references cost, and how much memory do pairs take, when the \
	pages of a TD share their 2M regions with no other?
asked_by = Vishal Annapurve, 10 Sep 2025 (pairs against page size and fragmentation); \
	Yan Zhao, 26 Sep 2025 (BUSY when pairs share regions with targets)
primary = pamt_ns_per_page
placement = scattered:25%
bench_scale = 1/4

[td frag]
count = 4
vcpus = 4
memory = 64M

[phase fault]
td = frag
do = fault
order = split
together = yes
