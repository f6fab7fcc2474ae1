// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instructions that the CPU does not have raise #UD in the kernel; a die
 * notifier sees that first, decodes and does them. What would be #UD on a CPU
 * that has them too (no VMXON before, say) is left to the kernel, whose
 * exception tables know. SEAMCALL is tried first, by its bytes alone.
 */
#include <linux/kdebug.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <asm/insn.h>
#include <asm/insn-eval.h>
#include <asm/ptrace.h>
#include <asm/trapnr.h>

#include "emu.h"

/* The first bytes of an instruction, read as a little-endian number. */
#define OPCODE_SEAMCALL 0xcf010f66
#define OPCODE_VMLAUNCH 0xc2010f
#define OPCODE_VMRESUME 0xc3010f
#define OPCODE_VMXOFF 0xc4010f

/* ----------------------------------------------------------------- SEAMCALL */

static bool do_seamcall(struct pt_regs *regs)
{
	struct tdx_module_args args = {
		.rcx = regs->cx, .rdx = regs->dx, .r8 = regs->r8, .r9 = regs->r9,
		.r10 = regs->r10, .r11 = regs->r11, .r12 = regs->r12, .r13 = regs->r13,
		.r14 = regs->r14, .r15 = regs->r15, .rbx = regs->bx, .rdi = regs->di,
		.rsi = regs->si,
	};
	struct tdx_module_args in;
	u64 leaf = regs->ax & 0xffff, status;

	if (!this_cpu_read(emu_cpu.root))
		return false;
	if (unlikely(emu_guard_is_on))
		in = args;
	status = emu_seamcall(&emu_module, regs->ax, &args);
	if (unlikely(emu_guard_is_on) && !status)
		emu_guard_call(leaf, &in, &args);
	if (unlikely(status == EMU_TD_ASSOCIATED_PAGES_EXIST))
		emu_tell_left(regs->cx);
	if (status == EMU_SEAMCALL_VMFAILINVALID) {
		emu_vm_finish(regs, EMU_VM_FAIL_INVALID);
		return true;
	}
	emu_vm_finish(regs, EMU_VM_SUCCEED);
	regs->ax = status;
	regs->cx = args.rcx;
	regs->dx = args.rdx;
	regs->r8 = args.r8;
	regs->r9 = args.r9;
	regs->r10 = args.r10;
	regs->r11 = args.r11;
	regs->r12 = args.r12;
	regs->r13 = args.r13;
	regs->r14 = args.r14;
	regs->r15 = args.r15;
	regs->bx = args.rbx;
	regs->di = args.rdi;
	regs->si = args.rsi;
	return true;
}

/* ----------------------------------------------------- with memory operands */

static unsigned int prefix(const struct insn *insn)
{
	unsigned int i;

	for (i = 0; i < insn->prefixes.nbytes && i < 4; i++)
		switch (insn->prefixes.bytes[i]) {
		case 0x66:
		case 0xf2:
		case 0xf3:
			return insn->prefixes.bytes[i];
		}
	return 0;
}

static bool is_memory_form(const struct insn *insn)
{
	return X86_MODRM_MOD(insn->modrm.value) != 3;
}

static bool read_memory(struct insn *insn, struct pt_regs *regs, void *data, size_t size)
{
	void __user *at = insn_get_addr_ref(insn, regs);

	return at != (void __user *)-1L &&
	       !copy_from_kernel_nofault(data, (__force void *)at, size);
}

static unsigned long *rm_register(struct insn *insn, struct pt_regs *regs)
{
	return (void *)regs + insn_get_modrm_rm_off(insn, regs);
}

/* 0F C7 /6 with a memory operand: which one, the prefix says. */
static int do_pointer_group(struct insn *insn, struct pt_regs *regs)
{
	u64 pa;

	if (X86_MODRM_REG(insn->modrm.value) != 6 || !is_memory_form(insn) ||
	    !read_memory(insn, regs, &pa, sizeof(pa)))
		return EMU_VM_UD;
	switch (prefix(insn)) {
	case 0:
		return emu_vmptrld(pa);
	case 0x66:
		return emu_vmclear(pa);
	case 0xf3:
		return emu_vmxon(pa);
	}
	return EMU_VM_UD;
}

static int do_vmread(struct insn *insn, struct pt_regs *regs)
{
	unsigned long *field = insn_get_modrm_reg_ptr(insn, regs);
	int answer;
	u64 value;

	if (prefix(insn) || !field)
		return EMU_VM_UD;
	answer = emu_vmread(*field, &value);
	if (answer != EMU_VM_SUCCEED)
		return answer;
	if (is_memory_form(insn)) {
		void __user *at = insn_get_addr_ref(insn, regs);

		if (at == (void __user *)-1L ||
		    copy_to_kernel_nofault((__force void *)at, &value, sizeof(value)))
			return EMU_VM_UD;
	} else {
		*rm_register(insn, regs) = value;
	}
	return EMU_VM_SUCCEED;
}

static int do_vmwrite(struct insn *insn, struct pt_regs *regs)
{
	unsigned long *field = insn_get_modrm_reg_ptr(insn, regs);
	u64 value;

	if (prefix(insn) || !field)
		return EMU_VM_UD;
	if (!is_memory_form(insn))
		value = *rm_register(insn, regs);
	else if (!read_memory(insn, regs, &value, sizeof(value)))
		return EMU_VM_UD;
	return emu_vmwrite(*field, value);
}

static int do_invalidate(struct insn *insn, struct pt_regs *regs, bool vpid)
{
	unsigned long *type = insn_get_modrm_reg_ptr(insn, regs);
	u64 operand[2];

	if (prefix(insn) != 0x66 || !type || !is_memory_form(insn) ||
	    !read_memory(insn, regs, operand, sizeof(operand)))
		return EMU_VM_UD;
	return vpid ? emu_invvpid(*type, operand[0], operand[0] >> 16) : emu_invept(*type);
}

/* 64 bytes at once, from memory to where the register operand points. */
static bool do_movdir64b(struct insn *insn, struct pt_regs *regs)
{
	unsigned long *to = insn_get_modrm_reg_ptr(insn, regs);
	u64 data[8];

	return prefix(insn) == 0x66 && to && is_memory_form(insn) &&
	       IS_ALIGNED(*to, sizeof(data)) && read_memory(insn, regs, data, sizeof(data)) &&
	       !copy_to_kernel_nofault((void *)*to, data, sizeof(data));
}

static bool decode(struct insn *insn, unsigned long ip)
{
	u8 bytes[MAX_INSN_SIZE];
	size_t size = sizeof(bytes);

	/* The page after the instruction's own may not be there. */
	if (copy_from_kernel_nofault(bytes, (void *)ip, size)) {
		size = min(size, PAGE_SIZE - offset_in_page(ip));
		if (copy_from_kernel_nofault(bytes, (void *)ip, size))
			return false;
	}
	return !insn_decode(insn, bytes, size, INSN_MODE_KERN);
}

static bool do_decoded(struct pt_regs *regs)
{
	struct insn insn;
	int answer = EMU_VM_UD;

	if (!decode(&insn, regs->ip) || insn.vex_prefix.nbytes || insn.opcode.bytes[0] != 0x0f)
		return false;
	switch (insn.opcode.bytes[1]) {
	case 0x78:
		answer = do_vmread(&insn, regs);
		break;
	case 0x79:
		answer = do_vmwrite(&insn, regs);
		break;
	case 0xc7:
		answer = do_pointer_group(&insn, regs);
		break;
	case 0x38:
		if (insn.opcode.bytes[2] == 0x80 || insn.opcode.bytes[2] == 0x81) {
			answer = do_invalidate(&insn, regs, insn.opcode.bytes[2] == 0x81);
		} else if (insn.opcode.bytes[2] == 0xf8 && do_movdir64b(&insn, regs)) {
			regs->ip += insn.length;
			return true;
		}
		break;
	}
	if (answer == EMU_VM_UD)
		return false;
	emu_vm_finish(regs, answer);
	regs->ip += insn.length;
	return true;
}

/* -------------------------------------------------------------------- trap */

static int do_short(u32 opcode)
{
	switch (opcode & 0xffffff) {
	case OPCODE_VMLAUNCH:
		return emu_vmlaunch(false);
	case OPCODE_VMRESUME:
		return emu_vmlaunch(true);
	case OPCODE_VMXOFF:
		return emu_vmxoff();
	}
	return EMU_VM_UD;
}

static bool emulate(struct pt_regs *regs)
{
	int answer;
	u32 opcode;

	if (get_kernel_nofault(opcode, (u32 *)regs->ip))
		return do_decoded(regs);
	if (opcode == OPCODE_SEAMCALL) {
		if (!do_seamcall(regs))
			return false;
		regs->ip += 4;
		return true;
	}
	answer = do_short(opcode);
	if (answer == EMU_VM_UD)
		return do_decoded(regs);
	emu_vm_finish(regs, answer);
	regs->ip += 3;
	return true;
}

static int emu_die(struct notifier_block *nb, unsigned long why, void *data)
{
	struct die_args *args = data;

	if (why != DIE_TRAP || args->trapnr != X86_TRAP_UD || user_mode(args->regs))
		return NOTIFY_DONE;
	return emulate(args->regs) ? NOTIFY_STOP : NOTIFY_DONE;
}

static struct notifier_block emu_die_nb = {
	.notifier_call = emu_die,
	.priority = INT_MAX,
};

void emu_install_trap(void)
{
	register_die_notifier(&emu_die_nb);
}
