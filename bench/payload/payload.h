/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the payload's assembly and C have in common.
 */
#ifndef DPAMT_PAYLOAD_H
#define DPAMT_PAYLOAD_H

#define PAYLOAD_SHARED 0x400000000000	  /* address of shared GPA 0 */
#define PAYLOAD_SHARED_BIT_NR 47	  /* of a GPA, with a GPA width of 48 */
#define PAYLOAD_VECTOR 0x40		  /* of the timer */

#define PAYLOAD_SIZE 0x10000		  /* ends at 4G; stacks lie below, a page each */
#define PAYLOAD_GPA_MAX 0x8000000000	  /* what the page tables map */

/* Offsets, checked in main.c. */
#define IMAGE_VCPUS 12
#define RECORD_VCPU 4
#define RECORD_IMAGE 8
#define GUEST_WAKEUPS 0

#ifndef __ASSEMBLER__
#include <stdint.h>

struct tdcall {
	uint64_t rcx, rdx, r8, r9, r10, r11, r12, r13, r14, r15;
};

uint64_t payload_tdcall(uint64_t leaf, struct tdcall *regs);
uint64_t payload_tdcall_sti(uint64_t leaf, struct tdcall *regs);

struct td_record;
struct guest;
void payload_main(struct guest *g, const struct td_record *record);
void payload_fault(struct guest *g);
#endif

#endif
