// SPDX-License-Identifier: GPL-2.0-only
/*
 * "tdx_emu=on,guard": a page that the module has is taken out of the kernel's direct
 * map when a SEAMCALL gives it, and put back when one takes it back. On a TDX host the
 * kernel must not touch such a page; here whoever does faults, at once and with a
 * trace. The module itself sees memory through a mapping of its own.
 *
 * The direct map is split into 4K pages at boot, so that an entry can be changed with
 * interrupts off and without a lock: a page changes hands under the locks of who gives
 * it. Only this CPU's TLB is flushed: another one that used the page a moment before may
 * do so again unseen. The other way nothing is to be flushed, what is not present is
 * not in a TLB. PAMT that was given at boot is not guarded.
 */
#define pr_fmt(fmt) "tdx_emu: " fmt

#include <linux/io.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/set_memory.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/e820/api.h>
#include <asm/tlbflush.h>

#include "emu.h"
#include "module/leaves.h"

bool emu_guard_is_on __ro_after_init;

static void guard_page(u64 pa, bool on)
{
	unsigned long addr = (unsigned long)__va(pa);
	unsigned int level;
	pte_t *pte = lookup_address(addr, &level);

	if (WARN_ON_ONCE(!pte || level != PG_LEVEL_4K))
		return;
	set_pte(pte, pfn_pte(PHYS_PFN(pa), on ? __pgprot(0) : PAGE_KERNEL));
	if (on)
		flush_tlb_one_kernel(addr);
}

/* Low bits of an operand or a result are a level or flags. */
static u64 page_of(u64 operand)
{
	return operand & (BIT_ULL(EMU_HKID_SHIFT) - 1) & PAGE_MASK;
}

void emu_guard_call(u64 leaf, const struct tdx_module_args *in, const struct tdx_module_args *out)
{
	switch (leaf) {
	case EMU_TDH_MNG_CREATE:
	case EMU_TDH_MNG_ADDCX:
	case EMU_TDH_VP_CREATE:
	case EMU_TDH_VP_ADDCX:
		guard_page(page_of(in->rcx), true);
		break;
	case EMU_TDH_MEM_SEPT_ADD:
	case EMU_TDH_MEM_PAGE_ADD:
	case EMU_TDH_MEM_PAGE_AUG:
		guard_page(page_of(in->r8), true);
		break;
	case EMU_TDH_PHYMEM_PAMT_ADD:
		guard_page(page_of(in->rdx), true);
		guard_page(page_of(in->r8), true);
		break;
	case EMU_TDH_MEM_PAGE_REMOVE:
		guard_page(page_of(out->rcx), false);
		break;
	case EMU_TDH_PHYMEM_PAGE_RECLAIM:
		guard_page(page_of(in->rcx), false);
		break;
	case EMU_TDH_PHYMEM_PAMT_REMOVE:
		guard_page(page_of(out->rdx), false);
		guard_page(page_of(out->r8), false);
		break;
	}
}

bool emu_guard_readable(u64 pa)
{
	u64 word;

	return !get_kernel_nofault(word, (u64 *)__va(pa));
}

/* All RAM at @alias, and the direct map in 4K pages. */
static int __init map_ram(unsigned long alias)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < e820_table->nr_entries && !err; i++) {
		const struct e820_entry *e = &e820_table->entries[i];
		u64 start = PAGE_ALIGN(e->addr), end = (e->addr + e->size) & PAGE_MASK;

		if (e->type != E820_TYPE_RAM || end <= start)
			continue;
		err = vmap_page_range(alias + start, alias + end, start, PAGE_KERNEL);
		if (!err)
			err = set_memory_4k((unsigned long)__va(start), PHYS_PFN(end - start));
	}
	return err;
}

void __init emu_guard_setup(struct emu_module *m)
{
	struct vm_struct *area = get_vm_area(PFN_PHYS(max_pfn), VM_IOREMAP);

	if (!area || map_ram((unsigned long)area->addr)) {
		pr_err("no guard: there is no room to map memory twice\n");
		return;
	}
	m->mem = area->addr;
	emu_guard_is_on = true;
	pr_info("pages of the TDX module are not in the direct map\n");
}
