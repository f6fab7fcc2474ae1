// SPDX-License-Identifier: GPL-2.0-only
/*
 * "tdx_emu=on[,static][,guard]": this machine becomes an emulated TDX host. The hooks go in
 * while the command line is parsed: before the boot CPU is identified, and before
 * pv_ops calls are patched into direct ones. The software module is told about
 * memory and processors later, when they are known.
 *
 * On a machine with TDX or VMX of its own nothing is done but a line in the log.
 */
#define pr_fmt(fmt) "tdx_emu: " fmt

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <asm/e820/api.h>
#include <asm/fpu/xcr.h>
#include <asm/cpuid/api.h>
#include <asm/tsc.h>

#include "emu.h"

struct emu_module emu_module;

static bool emu_on __initdata;
static bool emu_static __initdata;
static bool emu_guard __initdata;

static bool __init take_option(const char *option)
{
	if (!strcmp(option, "on"))
		emu_on = true;
	else if (!strcmp(option, "off"))
		emu_on = false;
	else if (!strcmp(option, "static"))
		emu_static = true;
	else if (!strcmp(option, "guard"))
		emu_guard = true;
	else
		return false;
	return true;
}

static int __init emu_setup(char *options)
{
	const char *refusal;
	char *option;

	while ((option = strsep(&options, ",")))
		if (!take_option(option)) {
			pr_err("tdx_emu=%s: no such option; valid: on, off, static, guard\n",
			       option);
			emu_on = false;
			return 0;
		}
	if (!emu_on)
		return 0;
	refusal = emu_cpu_refusal();
	if (refusal) {
		pr_err("not emulating: %s\n", refusal);
		emu_on = false;
		return 0;
	}
	emu_install_pv_ops();
	emu_install_trap();
	pr_info("this is not a TDX host: VMX, SEAM and the TDX module are emulated\n");
	return 0;
}
early_param("tdx_emu", emu_setup);

/* ------------------------------------------------------------------- module */

/* Packages are told apart by number / nr_cpu_ids, whatever way the CPUs are numbered. */
static unsigned int emu_lp(struct emu_module *m)
{
	unsigned int cpu = raw_smp_processor_id();

	return topology_logical_package_id(cpu) * m->lps_per_package + cpu;
}

/* Convertible memory is what the firmware calls RAM. */
static unsigned int __init find_cmrs(struct emu_platform *hw)
{
	unsigned int i, n = 0;

	for (i = 0; i < e820_table->nr_entries; i++) {
		const struct e820_entry *e = &e820_table->entries[i];
		u64 base = PAGE_ALIGN(e->addr), end = (e->addr + e->size) & PAGE_MASK;

		if (e->type != E820_TYPE_RAM || end <= base)
			continue;
		if (n == EMU_MAX_CMRS) {
			pr_warn("more than %d ranges of RAM: those from 0x%llx are not for TDs\n",
				EMU_MAX_CMRS, base);
			break;
		}
		hw->cmr[n].base = base;
		hw->cmr[n++].size = end - base;
	}
	return n;
}

/* State components of XCR0 and IA32_XSS. */
static u64 __init cpu_xfam(void)
{
	u32 eax, ebx, ecx, edx;
	u64 xfam;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return 0;
	cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx);
	xfam = (u64)edx << 32 | eax;
	cpuid_count(0xd, 1, &eax, &ebx, &ecx, &edx);
	return xfam | (u64)edx << 32 | ecx;
}

/* What must never happen has: a finding, whoever's fault it is. */
static void emu_event(struct emu_module *m, const struct emu_event *e)
{
	if (e->type == EMU_EVENT_IMAGE)
		pr_err("TD 0x%llx, vCPU 0x%llx: %s (GPA 0x%llx)\n", e->tdr, e->tdvpr, e->what,
		       e->gpa);
	else
		WARN(1, "tdx_emu: %s: TD 0x%llx, vCPU 0x%llx, GPA 0x%llx, page 0x%llx\n",
		     e->what ?: "the module is dead", e->tdr, e->tdvpr, e->gpa, e->hpa);
}

/* Before the kernel's first SEAMCALL, at subsys_initcall(). */
static int __init emu_module_setup(void)
{
	struct emu_module *m = &emu_module;

	if (!emu_on)
		return 0;
	m->mem = __va(0);
	if (emu_guard)
		emu_guard_setup(m);
	m->max_pa = 1ULL << EMU_HKID_SHIFT;
	m->hkid_shift = EMU_HKID_SHIFT;
	m->first_hkid = EMU_NR_MKTME_HKIDS + 1;
	m->nr_hkids = EMU_NR_TDX_HKIDS;
	m->contents = true;
	m->lp = emu_lp;
	m->event = emu_event;
	m->inject = emu_inject;
	m->interrupted = emu_interrupted;
	m->tsc = rdtsc_ordered;
	m->tsc_khz = tsc_khz;
	m->lps_per_package = nr_cpu_ids;
	m->nr_packages = topology_max_packages();
	if (m->nr_packages > EMU_MAX_PACKAGES || m->nr_packages * nr_cpu_ids > EMU_MAX_LPS) {
		pr_err("too many CPUs: the module takes %d packages and %d CPUs in all\n",
		       EMU_MAX_PACKAGES, EMU_MAX_LPS);
		m->fatal = EMU_SEAMCALL_VMFAILINVALID;
		return 0;
	}
	m->hw.nr_lps = num_present_cpus();
	m->hw.max_pa_bits = EMU_MAX_PA_BITS;
	m->hw.xfam = cpu_xfam();
	m->hw.lass = boot_cpu_has(X86_FEATURE_LASS);
	m->hw.dynamic = !emu_static;
	m->hw.clear_pamt = true;
	m->hw.nr_cmrs = find_cmrs(&m->hw);
	return 0;
}
arch_initcall(emu_module_setup);
