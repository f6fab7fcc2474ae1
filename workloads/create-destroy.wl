; SPDX-License-Identifier: GPL-2.0-only
; The torture test: loops that create and tear down TDs on many CPUs. In one TD nearly all PAMT
; work comes from one vCPU, so it is many TDs in parallel (Kirill A. Shutemov's answer). Each lives
; briefly: control pages, image, a quarter of its memory; then it goes, on its own.
[global]
title = Create and destroy many TDs in loops
question = What do PAMT references cost on the creation and destruction of TDs, and does \
	anything break when many come and go at once?
asked_by = Dave Hansen, 7 May 2025 (torture test); Zhi Wang, May 2025 (cost on create and destroy)
primary = tds_per_sec
placement = buddy
bench_scale = 1/8

[td torture]
count = 16
vcpus = 1
memory = 64M
lives = 16
start = staggered:50us
shutdown = own

[phase run]
td = torture
do = fault
order = split
share = 25%
