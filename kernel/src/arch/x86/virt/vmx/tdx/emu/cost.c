// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the emulation adds to each SEAMCALL, measured at boot: the same cheap leaf
 * through the instruction and #UD, and as a call of the module. The median of
 * many is printed, since an interrupted one costs anything.
 */
#define pr_fmt(fmt) "tdx_emu: " fmt

#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/sort.h>
#include <asm/tsc.h>

#include "emu.h"
#include "module/leaves.h"

#define SAMPLES 101
#define FIELD_MAX_TDMRS 0x9100000100000008ULL

static u32 samples[SAMPLES] __initdata;

static u64 __init by_instruction(void)
{
	register u64 r8 asm("r8");
	u64 status = EMU_TDH_SYS_RD, rdx = FIELD_MAX_TDMRS;

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcf"
		     : "+a" (status), "+d" (rdx), "=r" (r8)
		     :
		     : "rcx", "r9", "r10", "r11", "cc", "memory");
	return status;
}

static u64 __init by_call(void)
{
	struct tdx_module_args args = { .rdx = FIELD_MAX_TDMRS };

	return emu_seamcall(&emu_module, EMU_TDH_SYS_RD, &args);
}

static int __init compare(const void *a, const void *b)
{
	return cmp_int(*(const u32 *)a, *(const u32 *)b);
}

/* Median time of @call, in nanoseconds; 0 if it fails. */
static u64 __init median_ns(u64 (*call)(void))
{
	unsigned int i;
	u64 start;

	for (i = 0; i < SAMPLES; i++) {
		start = rdtsc_ordered();
		if (call())
			return 0;
		samples[i] = rdtsc_ordered() - start;
	}
	sort(samples, SAMPLES, sizeof(samples[0]), compare, NULL);
	return tsc_khz ? samples[SAMPLES / 2] * 1000000ULL / tsc_khz : 0;
}

static int __init emu_print_cost(void)
{
	unsigned long flags;
	u64 trap, call;

	local_irq_save(flags);
	if (!this_cpu_read(emu_cpu.root) || !READ_ONCE(emu_module.ready)) {
		local_irq_restore(flags);
		return 0;
	}
	trap = median_ns(by_instruction);
	call = median_ns(by_call);
	local_irq_restore(flags);
	pr_info("an emulated SEAMCALL costs %llu ns through #UD, %llu ns as a plain call\n",
		trap, call);
	return 0;
}
late_initcall(emu_print_cost);
