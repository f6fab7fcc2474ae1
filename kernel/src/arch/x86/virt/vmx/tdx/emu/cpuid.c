// SPDX-License-Identifier: GPL-2.0-only
/*
 * What CPUID and the MSRs of a TDX host say, and CR4.VMXE, through pv_ops. What
 * is not named here is the CPU's own answer. The VMX capabilities are what
 * KVM requires or TDs need: EPT, VPID, APIC virtualisation with posted
 * interrupts; nothing else is claimed.
 */
#include <linux/init.h>
#include <linux/printk.h>
#include <asm/cpufeature.h>
#include <asm/cpuid/api.h>
#include <asm/msr.h>
#include <asm/paravirt.h>
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <asm/vmx.h>

#include "emu.h"

#define MSR_IA32_TME_ACTIVATE 0x982
#define TME_ACTIVATE (BIT_ULL(0) | BIT_ULL(1) | (u64)EMU_HKID_BITS << 32)

#define FEAT_CTL (FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)
#define KEYID_PARTITIONING ((u64)EMU_NR_TDX_HKIDS << 32 | EMU_NR_MKTME_HKIDS)
/* No data of the host leaks through a cache that VM entry would have to flush. */
#define ARCH_CAP (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_VMENTRY_L1DFLUSH | ARCH_CAP_PSCHANGE_MC_NO)

#define feature_mask(name) BIT(X86_FEATURE_##name & 31)

/* Memory type write-back, as VMX_BASIC gives it. */
#define VMX_BASIC_WB (6ULL << 50)
#define VMX_BASIC                                                                 \
	(EMU_VMCS_REVISION | PAGE_SIZE << 32 | VMX_BASIC_WB | VMX_BASIC_INOUT |   \
	 VMX_BASIC_TRUE_CTLS | VMX_BASIC_NO_SEAMRET_INVD_VMCS)

#define PIN_MAY                                                                   \
	(PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS | \
	 PIN_BASED_POSTED_INTR)
#define CPU_MAY                                                                   \
	(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_USE_TSC_OFFSETTING |           \
	 CPU_BASED_HLT_EXITING | CPU_BASED_INVLPG_EXITING |                       \
	 CPU_BASED_MWAIT_EXITING | CPU_BASED_RDPMC_EXITING |                      \
	 CPU_BASED_RDTSC_EXITING | CPU_BASED_CR3_LOAD_EXITING |                   \
	 CPU_BASED_CR3_STORE_EXITING | CPU_BASED_CR8_LOAD_EXITING |               \
	 CPU_BASED_CR8_STORE_EXITING | CPU_BASED_TPR_SHADOW |                     \
	 CPU_BASED_NMI_WINDOW_EXITING | CPU_BASED_MOV_DR_EXITING |                \
	 CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_IO_BITMAPS |                 \
	 CPU_BASED_MONITOR_TRAP_FLAG | CPU_BASED_USE_MSR_BITMAPS |                \
	 CPU_BASED_MONITOR_EXITING | CPU_BASED_PAUSE_EXITING |                    \
	 CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
#define SECONDARY_MAY                                                             \
	(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_ENABLE_EPT |    \
	 SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |   \
	 SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_UNRESTRICTED_GUEST |         \
	 SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_APIC_REGISTER_VIRT |      \
	 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY | SECONDARY_EXEC_ENABLE_INVPCID |   \
	 SECONDARY_EXEC_ENABLE_XSAVES | SECONDARY_EXEC_TSC_SCALING)
#define EXIT_MAY                                                                  \
	(VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE |             \
	 VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL | VM_EXIT_ACK_INTR_ON_EXIT |          \
	 VM_EXIT_SAVE_IA32_PAT | VM_EXIT_LOAD_IA32_PAT | VM_EXIT_SAVE_IA32_EFER | \
	 VM_EXIT_LOAD_IA32_EFER)
#define ENTRY_MAY                                                                 \
	(VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_IA32E_MODE |                     \
	 VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL | VM_ENTRY_LOAD_IA32_PAT |           \
	 VM_ENTRY_LOAD_IA32_EFER)
/* What TRUE_ MSRs leave to choose: debug controls, and CR3 exiting. */
#define CPU_TRUE_MUST \
	(CPU_BASED_ALWAYSON_WITHOUT_TRUE_MSR & \
	 ~(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING))

#define VMX_MISC_CR3_TARGETS (4ULL << 16)
#define VMX_MISC \
	(VMX_MISC_SAVE_EFER_LMA | VMX_MISC_ACTIVITY_HLT | VMX_MISC_ACTIVITY_WAIT_SIPI | \
	 VMX_MISC_CR3_TARGETS)
#define EPT_CAP                                                                   \
	(VMX_EPT_EXECUTE_ONLY_BIT | VMX_EPT_PAGE_WALK_4_BIT | VMX_EPT_PAGE_WALK_5_BIT | \
	 VMX_EPTP_WB_BIT | VMX_EPT_2MB_PAGE_BIT | VMX_EPT_1GB_PAGE_BIT |          \
	 VMX_EPT_INVEPT_BIT | VMX_EPT_AD_BIT | VMX_EPT_ADVANCED_VMEXIT_INFO_BIT | \
	 VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT)
#define VPID_CAP                                                                  \
	(VMX_VPID_INVVPID_BIT | VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT |             \
	 VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT | VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT | \
	 VMX_VPID_EXTENT_SINGLE_NON_GLOBAL_BIT)
/* Twice the highest field index. */
#define VMCS_ENUM 0x2e

/* A control MSR: what must be 1 in the low half, what may be 1 in the high one. */
static u64 controls(u32 must, u32 may)
{
	return (u64)(must | may) << 32 | must;
}

/* A control of an instruction comes with the instruction. */
static u32 secondary_may(void)
{
	u32 may = SECONDARY_MAY, eax = 0xd, ebx, ecx = 1, edx;

	if (!(native_cpuid_ecx(1) & feature_mask(PCID)) ||
	    !(native_cpuid_ebx(7) & feature_mask(INVPCID)))
		may &= ~SECONDARY_EXEC_ENABLE_INVPCID;
	native_cpuid(&eax, &ebx, &ecx, &edx);
	if (!(eax & feature_mask(XSAVES)))
		may &= ~SECONDARY_EXEC_ENABLE_XSAVES;
	return may;
}

/* Does MSR @msr have an emulated value? */
static bool emulated_msr(u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_IA32_FEAT_CTL:
		*value = FEAT_CTL;
		return true;
	case MSR_IA32_MKTME_KEYID_PARTITIONING:
		*value = KEYID_PARTITIONING;
		return true;
	case MSR_IA32_TME_ACTIVATE:
		*value = TME_ACTIVATE;
		return true;
	case MSR_IA32_ARCH_CAPABILITIES:
		*value = 0;
		if (native_cpuid_edx(7) & feature_mask(ARCH_CAPABILITIES))
			native_read_msr_safe(msr, value);
		*value |= ARCH_CAP;
		return true;
	case MSR_IA32_VMX_BASIC:
		*value = VMX_BASIC;
		return true;
	case MSR_IA32_VMX_PINBASED_CTLS:
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
		*value = controls(PIN_BASED_ALWAYSON_WITHOUT_TRUE_MSR, PIN_MAY);
		return true;
	case MSR_IA32_VMX_PROCBASED_CTLS:
		*value = controls(CPU_BASED_ALWAYSON_WITHOUT_TRUE_MSR, CPU_MAY);
		return true;
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
		*value = controls(CPU_TRUE_MUST, CPU_MAY);
		return true;
	case MSR_IA32_VMX_EXIT_CTLS:
		*value = controls(VM_EXIT_ALWAYSON_WITHOUT_TRUE_MSR, EXIT_MAY);
		return true;
	case MSR_IA32_VMX_TRUE_EXIT_CTLS:
		*value = controls(VM_EXIT_ALWAYSON_WITHOUT_TRUE_MSR & ~VM_EXIT_SAVE_DEBUG_CONTROLS,
				  EXIT_MAY);
		return true;
	case MSR_IA32_VMX_ENTRY_CTLS:
		*value = controls(VM_ENTRY_ALWAYSON_WITHOUT_TRUE_MSR, ENTRY_MAY);
		return true;
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS:
		*value = controls(VM_ENTRY_ALWAYSON_WITHOUT_TRUE_MSR &
				  ~VM_ENTRY_LOAD_DEBUG_CONTROLS, ENTRY_MAY);
		return true;
	case MSR_IA32_VMX_PROCBASED_CTLS2:
		*value = controls(0, secondary_may());
		return true;
	case MSR_IA32_VMX_MISC:
		*value = VMX_MISC;
		return true;
	case MSR_IA32_VMX_CR0_FIXED0:
		*value = X86_CR0_PG | X86_CR0_NE | X86_CR0_PE;
		return true;
	case MSR_IA32_VMX_CR0_FIXED1:
		*value = GENMASK_ULL(31, 0);
		return true;
	case MSR_IA32_VMX_CR4_FIXED0:
		*value = X86_CR4_VMXE;
		return true;
	case MSR_IA32_VMX_CR4_FIXED1:
		*value = GENMASK_ULL(25, 0);
		return true;
	case MSR_IA32_VMX_VMCS_ENUM:
		*value = VMCS_ENUM;
		return true;
	case MSR_IA32_VMX_EPT_VPID_CAP:
		*value = (u64)VPID_CAP << 32 | EPT_CAP;
		return true;
	case MSR_IA32_VMX_VMFUNC:
	case MSR_IA32_VMX_PROCBASED_CTLS3:
		*value = 0;
		return true;
	}
	return false;
}

static u64 notrace emu_read_msr(u32 msr)
{
	u64 value;

	return emulated_msr(msr, &value) ? value : native_read_msr(msr);
}

static int notrace emu_read_msr_safe(u32 msr, u64 *value)
{
	return emulated_msr(msr, value) ? 0 : native_read_msr_safe(msr, value);
}

/* All emulated MSRs are read-only or locked. */
static void notrace emu_write_msr(u32 msr, u64 value)
{
	u64 old;

	if (WARN_ONCE(emulated_msr(msr, &old), "tdx_emu: write of read-only MSR 0x%x\n", msr))
		return;
	native_write_msr(msr, value);
}

static int notrace emu_write_msr_safe(u32 msr, u64 value)
{
	u64 old;

	return emulated_msr(msr, &old) ? -EIO : native_write_msr_safe(msr, value);
}

static void notrace emu_cpuid_hook(unsigned int *eax, unsigned int *ebx, unsigned int *ecx,
				   unsigned int *edx)
{
	unsigned int leaf = *eax, subleaf = *ecx;

	native_cpuid(eax, ebx, ecx, edx);
	switch (leaf) {
	case 1:
		*ecx |= feature_mask(VMX);
		*edx |= feature_mask(SELFSNOOP);
		break;
	case 7:
		if (subleaf)
			break;
		*ecx |= feature_mask(TME) | feature_mask(MOVDIR64B);
		*edx |= feature_mask(ARCH_CAPABILITIES);
		break;
	case 0x80000008:
		*eax = (*eax & ~0xffu) | EMU_MAX_PA_BITS;
		break;
	}
}

static void notrace emu_write_cr4(unsigned long cr4)
{
	this_cpu_write(emu_cpu.vmxe, !!(cr4 & X86_CR4_VMXE));
	native_write_cr4(cr4 & ~X86_CR4_VMXE);
}

/*
 * As the native one, which writes CR4 without pv_ops, from a shadow that has
 * VMXE: the CPU must not see that bit.
 */
static void notrace emu_flush_tlb_global(void)
{
	unsigned long flags;

	if (cpu_feature_enabled(X86_FEATURE_INVPCID)) {
		invpcid_flush_all();
		return;
	}
	raw_local_irq_save(flags);
	__native_tlb_flush_global(this_cpu_read(cpu_tlbstate.cr4) & ~X86_CR4_VMXE);
	raw_local_irq_restore(flags);
}

static bool vmx_is_usable(void)
{
	u64 feat_ctl;

	if (!(native_cpuid_ecx(1) & feature_mask(VMX)))
		return false;
	return native_read_msr_safe(MSR_IA32_FEAT_CTL, &feat_ctl) ||
	       !(feat_ctl & FEAT_CTL_LOCKED) || feat_ctl & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
}

const char * __init emu_cpu_refusal(void)
{
	u64 partitioning;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_INTEL)
		return "the CPU is not Intel's (QEMU: -cpu max,vendor=GenuineIntel)";
	if (!native_read_msr_safe(MSR_IA32_MKTME_KEYID_PARTITIONING, &partitioning) &&
	    partitioning >> 32)
		return "this machine has TDX itself";
	if (vmx_is_usable())
		return "this machine has VMX itself";
	if (native_cpuid_eax(0) < 7 || native_cpuid_eax(0x80000000) < 0x80000008 ||
	    (native_cpuid_eax(0x80000008) & 0xff) < EMU_HKID_SHIFT)
		return "physical addresses have fewer than 46 bits (QEMU: -cpu max,phys-bits=52)";
	return NULL;
}

void __init emu_install_pv_ops(void)
{
	pv_ops.cpu.cpuid = emu_cpuid_hook;
	pv_ops.cpu.read_msr = emu_read_msr;
	pv_ops.cpu.read_msr_safe = emu_read_msr_safe;
	pv_ops.cpu.write_msr = emu_write_msr;
	pv_ops.cpu.write_msr_safe = emu_write_msr_safe;
	pv_ops.cpu.write_cr4 = emu_write_cr4;
	pv_ops.mmu.flush_tlb_kernel = emu_flush_tlb_global;
	/* Bugs were looked for before the hooks were there; ARCH_CAP denies this one. */
	clear_bit(X86_BUG_L1TF, (unsigned long *)cpu_caps_set);
	setup_clear_cpu_cap(X86_BUG_L1TF);
}
