; SPDX-License-Identifier: GPL-2.0-only
; The named objection to one lock: a guest that converts a page from private to shared and back,
; for ever, must not hurt the other guests of the host. Victims boot meanwhile.
; Half of the pages are alone in their 2M region, as on a host that has run for long: only there
; does a flip make the last page of a region go and come. An attacker flips four pages in turn.
; The primary metric is what the others cost a victim: its waiting inside get and put, per fault.
; Without attackers: --set td.attacker.count=0
[global]
title = Conversion storm: attackers flip pages for ever while victims boot
question = How much longer do the faults of a booting TD take while others convert pages \
	between shared and private for ever?
asked_by = Sean Christopherson, 11 Aug 2025 (noisy neighbour); Kiryl Shutsemau, June \
	2026 (one looping guest can hurt every guest of the host)
primary = victim.wait_per_fault_ns
placement = scattered:50%
bench_scale = 1/16

[td attacker]
count = 4
vcpus = 1
memory = 64M

[td victim]
count = 2
vcpus = 2
memory = 256M

[phase storm]
td = attacker
do = convert
pages = 4
stride = 64K
flips = forever

[phase boot]
td = victim
do = fault
order = split
