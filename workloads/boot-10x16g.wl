; SPDX-License-Identifier: GPL-2.0-only
; The one contention figure that has been published: 10 TDs of 16 GiB with 4 vCPUs, all memory
; faulted from 4 threads, then shut down: 1136 contentions, 4 ms of waiting, about 60 s.
; In full it faults 160 GiB; bench_scale makes it a matter of a second.
[global]
title = Boot 10 TDs of 16 GiB at once
question = Does taking and dropping PAMT references cost anything when many TDs fault in \
	all of their memory at the same time, and does the lock show?
asked_by = Rick Edgecombe, 13 and 14 Aug 2025 (the measurement); Sean Christopherson, 11 Aug 2025
primary = pamt_ns_per_page
placement = buddy
bench_scale = 1/1024

[td boot]
count = 10
vcpus = 4
memory = 16G
start = together
shutdown = together

[phase fault]
td = boot
do = fault
order = split
together = yes
