; SPDX-License-Identifier: GPL-2.0-only
; The control of fragmented: the same TDs, where memory comes as from a host that was just booted.
[global]
title = Faults on memory that is not fragmented
question = What do PAMT references cost, and how much memory do pairs take, when the \
	pages of a TD lie together?
asked_by = Vishal Annapurve, 10 Sep 2025 (pairs against page size and fragmentation)
primary = pamt_ns_per_page
placement = buddy
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
