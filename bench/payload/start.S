/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a TD begins, and where its interrupts arrive.
 *
 * A vCPU of a TD starts in 32-bit protected mode, flat segments, paging off, at
 * 4G - 16, with EFER.LME set for good; RCX is what the VMM gave to
 * KVM_TDX_INIT_VCPU: the GPA of the vCPU's struct td_record, below 4G. vCPU i has
 * the i-th page below the payload for its stack. The page tables
 * are read-only constants, common to all vCPUs: private memory is mapped at its
 * GPA, shared memory (GPA bit 47) at PAYLOAD_SHARED.
 */
#include "payload.h"

#define CR0_PE_NE_PG 0x80000021
#define CR4_PAE 0x20
#define PTE_P_RW 3
#define PTE_P_RW_PS 0x83
#define CODE64 8
#define DATA64 16

/* ---------------------------------------------- offset 0: entered in 64-bit mode */

	.section .entry, "ax"
	.code64
	.globl payload
payload:
	/* RBP: the vCPU's record. The address of the gates follows, for tests. */
	jmp	entry
	.balign	8
	.quad	idt
entry:
	movl	RECORD_VCPU(%rbp), %eax
	movq	RECORD_IMAGE(%rbp), %rdx
	cmpl	IMAGE_VCPUS(%rdx), %eax
	jae	nobody
	shlq	$12, %rax
	leaq	payload(%rip), %rsp
	subq	%rax, %rsp
	leaq	-4096(%rsp), %rdi
	movq	%rbp, %rsi
	xorl	%ebp, %ebp
	call	payload_main
nobody:
	/* A vCPU without a program, or after its end: out of the way. HLT, interrupts off. */
	cli
1:	xorl	%eax, %eax
	movl	$0x1c00, %ecx
	xorl	%r10d, %r10d
	movl	$12, %r11d
	movl	$1, %r12d
	.byte	0x66, 0x0f, 0x01, 0xcc
	jmp	1b

/* ------------------------------------------------------------ 32 bit to 64 bit */

	.section .text, "ax"
	.code32
start32:
	movl	%ecx, %ebp
	lgdtl	gdtr
	movl	$pml4, %eax
	movl	%eax, %cr3
	/* MCE and VMXE are set in a TD and must stay so */
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	%cr0, %eax
	orl	$CR0_PE_NE_PG, %eax
	movl	%eax, %cr0
	ljmpl	$CODE64, $start64

	.code64
start64:
	movl	$DATA64, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%ebp, %ebp
	lidt	idtr(%rip)
	jmp	payload

/* ------------------------------------------------------------------ interrupts */

/* The timer: count it, and tell the local APIC. */
irq:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	movq	%rsp, %rax
	andq	$-4096, %rax
	incq	GUEST_WAKEUPS(%rax)
	movl	$0x80b, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq

/* An exception: nothing here raises one on purpose. */
fault:
	movq	%rsp, %rdi
	andq	$-4096, %rdi
	andq	$-16, %rsp
	call	payload_fault
	jmp	nobody

/*
 * u64 payload_tdcall(u64 leaf, struct tdcall *regs): regs in and out, RAX back.
 * RBX, R12 .. R15 belong to the caller; what a VMCALL does not pass keeps its value.
 */
	.globl	payload_tdcall
payload_tdcall:
	xorl	%eax, %eax
	jmp	1f
/* The same with interrupts let in from the TDCALL on, not earlier. */
	.globl	payload_tdcall_sti
payload_tdcall_sti:
	movl	$1, %eax
1:	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi
	movl	%eax, %ebx
	movq	%rdi, %rax
	movq	0(%rsi), %rcx
	movq	8(%rsi), %rdx
	movq	16(%rsi), %r8
	movq	24(%rsi), %r9
	movq	32(%rsi), %r10
	movq	40(%rsi), %r11
	movq	48(%rsi), %r12
	movq	56(%rsi), %r13
	movq	64(%rsi), %r14
	movq	72(%rsi), %r15
	testl	%ebx, %ebx
	jz	2f
	sti
2:	.byte	0x66, 0x0f, 0x01, 0xcc
	popq	%rsi
	movq	%rcx, 0(%rsi)
	movq	%rdx, 8(%rsi)
	movq	%r8, 16(%rsi)
	movq	%r9, 24(%rsi)
	movq	%r10, 32(%rsi)
	movq	%r11, 40(%rsi)
	movq	%r12, 48(%rsi)
	movq	%r13, 56(%rsi)
	movq	%r14, 64(%rsi)
	movq	%r15, 72(%rsi)
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	ret

/* -------------------------------------------------------------------- constants */

	.section .data, "aw"
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdtr:
	.word	gdtr - gdt - 1
	.long	gdt
	.balign	8
idtr:
	.word	idt_end - idt - 1
	.quad	idt

/* Gates: the payload ends at 4G, so bits 31:16 of its addresses are all set. */
.macro	gate to
	.word	\to - payload_low, CODE64, 0x8e00, 0xffff
	.quad	0
.endm
	.set	payload_low, 0xffff0000
	.balign	16
idt:
	.rept	32
	gate	fault
	.endr
	.rept	PAYLOAD_VECTOR - 32
	gate	irq
	.endr
	gate	irq
idt_end:

	.section .tables, "aw"
	.balign	4096
	/* [0]: private, 512G at their GPA; [PAYLOAD_SHARED]: shared */
pml4:
	.quad	private + PTE_P_RW
	.fill	(PAYLOAD_SHARED >> 39) - 1, 8, 0
	.quad	shared + PTE_P_RW
	.fill	511 - (PAYLOAD_SHARED >> 39), 8, 0
private:
	.set	gpa, 0
	.rept	512
	.quad	gpa + PTE_P_RW_PS
	.set	gpa, gpa + (1 << 30)
	.endr
shared:
	.set	gpa, 1 << PAYLOAD_SHARED_BIT_NR
	.rept	512
	.quad	gpa + PTE_P_RW_PS
	.set	gpa, gpa + (1 << 30)
	.endr

	.section .reset, "ax"
	.code32
	.globl	reset_vector
reset_vector:
	jmp	start32
	.section .note.GNU-stack, "", @progbits
