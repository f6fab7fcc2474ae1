// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMX root operation, as far as a host of TDs needs it: VMXON and VMXOFF, the
 * current VMCS, VMREAD and VMWRITE, and flushes that have nothing to flush. There
 * is no VMX non-root operation: VMLAUNCH and VMRESUME fail on their controls,
 * so an ordinary VM can be created and configured, and does not run.
 */
#include <linux/mm.h>
#include <asm/processor-flags.h>
#include <asm/ptrace.h>
#include <asm/vmx.h>

#include "emu.h"

DEFINE_PER_CPU(struct emu_cpu, emu_cpu) = { .vmcs_pa = EMU_NO_VMCS };

/* VM-instruction error numbers. */
enum vm_error {
	ERR_VMCLEAR_ADDRESS = 2,
	ERR_VMCLEAR_VMXON_POINTER = 3,
	ERR_VMLAUNCH_NOT_CLEAR = 4,
	ERR_VMRESUME_NOT_LAUNCHED = 5,
	ERR_ENTRY_CONTROLS = 7,
	ERR_VMPTRLD_ADDRESS = 9,
	ERR_VMPTRLD_VMXON_POINTER = 10,
	ERR_VMPTRLD_REVISION = 11,
	ERR_UNSUPPORTED_FIELD = 12,
	ERR_READ_ONLY_FIELD = 13,
	ERR_VMXON_IN_ROOT = 15,
	ERR_INVALIDATE_OPERAND = 28,
};

static bool pa_is_valid(u64 pa)
{
	return PAGE_ALIGNED(pa) && pa < 1ULL << EMU_HKID_SHIFT && emu_vmcs_at(pa);
}

int emu_vmxon(u64 pa)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);

	if (!cpu->vmxe)
		return EMU_VM_UD;
	if (cpu->root)
		return ERR_VMXON_IN_ROOT;
	if (!pa_is_valid(pa) || !emu_vmcs_revision_is_ours(emu_vmcs_at(pa)))
		return EMU_VM_FAIL_INVALID;
	cpu->root = true;
	cpu->vmxon_pa = pa;
	cpu->vmcs_pa = EMU_NO_VMCS;
	return EMU_VM_SUCCEED;
}

int emu_vmxoff(void)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);

	if (!cpu->root)
		return EMU_VM_UD;
	cpu->root = false;
	cpu->vmcs_pa = EMU_NO_VMCS;
	return EMU_VM_SUCCEED;
}

int emu_vmclear(u64 pa)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);

	if (!cpu->root)
		return EMU_VM_UD;
	if (!pa_is_valid(pa))
		return ERR_VMCLEAR_ADDRESS;
	if (pa == cpu->vmxon_pa)
		return ERR_VMCLEAR_VMXON_POINTER;
	emu_vmcs_clear(emu_vmcs_at(pa));
	if (pa == cpu->vmcs_pa)
		cpu->vmcs_pa = EMU_NO_VMCS;
	return EMU_VM_SUCCEED;
}

int emu_vmptrld(u64 pa)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);

	if (!cpu->root)
		return EMU_VM_UD;
	if (!pa_is_valid(pa))
		return ERR_VMPTRLD_ADDRESS;
	if (pa == cpu->vmxon_pa)
		return ERR_VMPTRLD_VMXON_POINTER;
	if (!emu_vmcs_revision_is_ours(emu_vmcs_at(pa)))
		return ERR_VMPTRLD_REVISION;
	cpu->vmcs_pa = pa;
	return EMU_VM_SUCCEED;
}

/* Bits of a natural or 64-bit field that @encoding names; 0 is the whole of it. */
static u64 width_mask(u64 encoding)
{
	switch (encoding >> 13 & 3) {
	case 0:
		return GENMASK_ULL(15, 0);
	case 2:
		return GENMASK_ULL(31, 0);
	}
	return ~0ULL;
}

int emu_vmread(u64 encoding, u64 *value)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);
	bool read_only;
	u64 *field;

	if (!cpu->root)
		return EMU_VM_UD;
	if (cpu->vmcs_pa == EMU_NO_VMCS)
		return EMU_VM_FAIL_INVALID;
	field = emu_vmcs_field(emu_vmcs_at(cpu->vmcs_pa), encoding, &read_only);
	if (!field)
		return ERR_UNSUPPORTED_FIELD;
	*value = encoding & 1 ? *field >> 32 : *field & width_mask(encoding);
	return EMU_VM_SUCCEED;
}

int emu_vmwrite(u64 encoding, u64 value)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);
	bool read_only;
	u64 *field;

	if (!cpu->root)
		return EMU_VM_UD;
	if (cpu->vmcs_pa == EMU_NO_VMCS)
		return EMU_VM_FAIL_INVALID;
	field = emu_vmcs_field(emu_vmcs_at(cpu->vmcs_pa), encoding, &read_only);
	if (!field)
		return ERR_UNSUPPORTED_FIELD;
	if (read_only)
		return ERR_READ_ONLY_FIELD;
	if (encoding & 1)
		*field = (*field & GENMASK_ULL(31, 0)) | value << 32;
	else
		*field = value & width_mask(encoding);
	return EMU_VM_SUCCEED;
}

int emu_vmlaunch(bool resume)
{
	struct emu_cpu *cpu = this_cpu_ptr(&emu_cpu);
	enum emu_launch_state state;

	if (!cpu->root)
		return EMU_VM_UD;
	if (cpu->vmcs_pa == EMU_NO_VMCS)
		return EMU_VM_FAIL_INVALID;
	state = emu_vmcs_launch_state(emu_vmcs_at(cpu->vmcs_pa));
	if (resume && state != EMU_VMCS_LAUNCHED)
		return ERR_VMRESUME_NOT_LAUNCHED;
	if (!resume && state != EMU_VMCS_CLEAR)
		return ERR_VMLAUNCH_NOT_CLEAR;
	return ERR_ENTRY_CONTROLS;
}

int emu_invept(u64 type)
{
	if (!this_cpu_read(emu_cpu.root))
		return EMU_VM_UD;
	if (type != VMX_EPT_EXTENT_CONTEXT && type != VMX_EPT_EXTENT_GLOBAL)
		return ERR_INVALIDATE_OPERAND;
	return EMU_VM_SUCCEED;
}

int emu_invvpid(u64 type, u16 vpid, u64 reserved)
{
	if (!this_cpu_read(emu_cpu.root))
		return EMU_VM_UD;
	if (type > VMX_VPID_EXTENT_SINGLE_NON_GLOBAL || reserved ||
	    (!vpid && type != VMX_VPID_EXTENT_ALL_CONTEXT))
		return ERR_INVALIDATE_OPERAND;
	return EMU_VM_SUCCEED;
}

void emu_vm_finish(struct pt_regs *regs, int answer)
{
	u64 pa = this_cpu_read(emu_cpu.vmcs_pa);
	bool read_only;

	regs->flags &= ~(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF |
			 X86_EFLAGS_SF | X86_EFLAGS_OF);
	if (answer == EMU_VM_SUCCEED)
		return;
	if (answer == EMU_VM_FAIL_INVALID || pa == EMU_NO_VMCS) {
		regs->flags |= X86_EFLAGS_CF;
		return;
	}
	regs->flags |= X86_EFLAGS_ZF;
	*emu_vmcs_field(emu_vmcs_at(pa), VM_INSTRUCTION_ERROR, &read_only) = answer;
}
