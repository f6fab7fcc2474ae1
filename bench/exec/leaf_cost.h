/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which constant of the machine file a SEAMCALL takes.
 */
#ifndef DPAMT_LEAF_COST_H
#define DPAMT_LEAF_COST_H

#include "emu/module/leaves.h"
#include "td/machine.h"

static inline enum cost leaf_cost(uint64_t leaf)
{
	switch (leaf) {
	case EMU_TDH_PHYMEM_PAMT_ADD:
		return COST_pamt_add;
	case EMU_TDH_PHYMEM_PAMT_REMOVE:
		return COST_pamt_remove;
	case EMU_TDH_MEM_PAGE_AUG:
		return COST_page_aug;
	case EMU_TDH_MEM_PAGE_ADD:
		return COST_page_add;
	case EMU_TDH_MEM_SEPT_ADD:
		return COST_sept_add;
	case EMU_TDH_MEM_RANGE_BLOCK:
		return COST_range_block;
	case EMU_TDH_MEM_TRACK:
		return COST_track;
	case EMU_TDH_MEM_PAGE_REMOVE:
		return COST_page_remove;
	case EMU_TDH_MEM_PAGE_PROMOTE:
		return COST_page_promote;
	case EMU_TDH_MEM_PAGE_DEMOTE:
		return COST_page_demote;
	case EMU_TDH_PHYMEM_PAGE_RECLAIM:
		return COST_page_reclaim;
	case EMU_TDH_MNG_CREATE:
		return COST_mng_create;
	case EMU_TDH_VP_CREATE:
		return COST_vp_create;
	case EMU_TDH_MNG_ADDCX:
	case EMU_TDH_VP_ADDCX:
		return COST_addcx;
	case EMU_TDH_PHYMEM_PAGE_RDMD:
		return COST_rdmd;
	case EMU_TDH_PHYMEM_PAGE_WBINVD:
		return COST_wbinvd;
	default:
		return COST_other_seamcall;
	}
}

#endif
