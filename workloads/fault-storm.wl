; SPDX-License-Identifier: GPL-2.0-only
; vCPUs of many TDs fault flat out, in random order of the 2M chunks. Half of the pages are alone
; in their 2M region, so that every second fault installs a pair: the most that faulting can ask.
; Sweep it: --set td.storm.count=N --set td.storm.vcpus=M
[global]
title = Fault storm: all vCPUs of all TDs fault flat out, half of the pages in lone regions
question = How does the mean fault grow with vCPUs and TDs when every second fault \
	changes the count of a region from 0 to 1?
asked_by = Sean Christopherson, 11 Aug 2025 (how many vCPUs, was all memory faulted); \
	Rick Edgecombe, 1 Jul 2026 (with and without the fast path); Dave Hansen, 13 Aug 2025 \
	(wait as a share of CPU time)
primary = wait_pct
placement = scattered:50%
bench_scale = 1/8

[td storm]
count = 8
vcpus = 4
memory = 64M

[phase fault]
td = storm
do = fault
order = random
together = yes
