/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulated TDX host: a CPU that has neither VMX nor TDX looks, to the kernel
 * that runs on it, like one that has both, at the level of instructions: #UD is
 * trapped (trap.c), CPUID, MSRs and CR4 go through pv_ops (cpuid.c), VMX root
 * operation and VMCS pages are kept per CPU (vmx.c, vmcs.c), SEAMCALLs are
 * answered by the software TDX module (module/). Nothing above these
 * instructions knows. Everything here runs with interrupts off, as the
 * instructions do: it does not sleep, allocate, or call other CPUs.
 */
#ifndef TDX_EMU_H
#define TDX_EMU_H

#include <linux/percpu.h>
#include <linux/types.h>

#include "module/module.h"

struct pt_regs;

/* Addresses have 52 bits, of which the highest 6 are the HKID. */
#define EMU_MAX_PA_BITS 52
#define EMU_HKID_BITS 6
#define EMU_HKID_SHIFT (EMU_MAX_PA_BITS - EMU_HKID_BITS)
/* HKIDs 1 to 63, of which TDX has the upper 48: 16 for the module, the rest for TDs. */
#define EMU_NR_MKTME_HKIDS 15
#define EMU_NR_TDX_HKIDS 48

#define EMU_NO_VMCS (~0ULL)

/* VMX state of one CPU. Touched by that CPU alone, with interrupts off. */
struct emu_cpu {
	bool vmxe;		/* CR4.VMXE as the kernel set it; the CPU's own stays clear */
	bool root;		/* in VMX root operation: after VMXON */
	u64 vmxon_pa;
	u64 vmcs_pa;		/* current VMCS, or EMU_NO_VMCS */
};
DECLARE_PER_CPU(struct emu_cpu, emu_cpu);

/* The one software TDX module of this machine. */
extern struct emu_module emu_module;

/* ------------------------------------------------------------------ cpuid.c */

/* Why this CPU cannot or must not be emulated upon, or NULL. */
const char *emu_cpu_refusal(void);
void emu_install_pv_ops(void);
#define EMU_VMCS_REVISION 0x0dbe7dc1

/* ------------------------------------------------------------------- trap.c */

void emu_install_trap(void);

/* -------------------------------------------------------------------- vmx.c */

/*
 * What a VMX instruction answers: EMU_VM_SUCCEED, VMfailValid with this error
 * number (VMfailInvalid where there is no current VMCS), or one of the others.
 */
enum emu_vm_answer {
	EMU_VM_UD = -2,			/* not emulated: the kernel's own #UD handling */
	EMU_VM_FAIL_INVALID = -1,
	EMU_VM_SUCCEED = 0,
};

int emu_vmxon(u64 pa);
int emu_vmxoff(void);
int emu_vmclear(u64 pa);
int emu_vmptrld(u64 pa);
int emu_vmread(u64 field, u64 *value);
int emu_vmwrite(u64 field, u64 value);
int emu_vmlaunch(bool resume);
int emu_invept(u64 type);
int emu_invvpid(u64 type, u16 vpid, u64 reserved);
/* Set RFLAGS, and the VM-instruction error field, for @answer. */
void emu_vm_finish(struct pt_regs *regs, int answer);

/* ---------------------------------------------------------------- regions.c */

struct dentry;
void emu_regions_setup(struct dentry *folder);

/* ----------------------------------------------------------------- inject.c */

/* The module's inject(): a status from debugfs's rules, or 0. */
u64 emu_inject(struct emu_module *m, const struct emu_call *c);
/* The module's interrupted(): a rule says that an interrupt is pending. */
bool emu_interrupted(struct emu_module *m, const struct emu_call *c);
void emu_inject_setup(struct dentry *folder);

/* ------------------------------------------------------------------ guard.c */

/* Pages of the module are not in the direct map. */
extern bool emu_guard_is_on;
/* Give @m a mapping of its own; where that fails the log says so, and there is no guard. */
void emu_guard_setup(struct emu_module *m);
/* A SEAMCALL has succeeded: what it gave or took. */
void emu_guard_call(u64 leaf, const struct tdx_module_args *in, const struct tdx_module_args *out);
/* Whether the kernel can read the page at @pa. */
bool emu_guard_readable(u64 pa);

/* ----------------------------------------------------------------- owners.c */

void emu_owners_setup(struct dentry *folder);
/* The TDR at @tdr could not be reclaimed: a line of what is left. */
void emu_tell_left(u64 tdr);

/* ------------------------------------------------------------------- vmcs.c */

struct emu_vmcs;

enum emu_launch_state { EMU_VMCS_CLEAR, EMU_VMCS_LAUNCHED };

/* A VMCS page at @pa, or NULL if there is no memory. */
struct emu_vmcs *emu_vmcs_at(u64 pa);
bool emu_vmcs_revision_is_ours(const struct emu_vmcs *vmcs);
enum emu_launch_state emu_vmcs_launch_state(const struct emu_vmcs *vmcs);
void emu_vmcs_clear(struct emu_vmcs *vmcs);
/* The field's place, or NULL: no such field. @read_only: VMWRITE is refused. */
u64 *emu_vmcs_field(struct emu_vmcs *vmcs, u64 encoding, bool *read_only);

#endif
