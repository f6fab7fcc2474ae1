// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaves about physical pages [1.6.4]: PAGE.RECLAIM takes pages back from a TD
 * that is being torn down, PAGE.WBINVD flushes a page that was taken back,
 * PAGE.RDMD tells what the PAMT says of a page.
 */
#include "state.h"

#define RDMD_LEVEL_MASK 7ULL
#define RDMD_RESERVED GENMASK_ULL(11, 3)

static void clear_outputs(struct tdx_module_args *a)
{
	a->rcx = 0;
	a->rdx = 0;
	a->r8 = 0;
	a->r9 = 0;
	a->r10 = 0;
	a->r11 = 0;
}

/* TEARDOWN only; a TDR last of all. The page's lock is held. */
static u64 reclaim_checked(struct emu_call *c, u64 pa, const struct pamt_ref *ref, u64 owner)
{
	struct tdr *tdr;
	u64 status;

	if (READ_ONCE(ref->entry->type) == EMU_PT_TDR) {
		tdr = emu_va(c->m, pa);
		if (tdr->lifecycle != TD_TEARDOWN)
			return EMU_LIFECYCLE_STATE_INCORRECT;
		return READ_ONCE(tdr->chldcnt) ? EMU_TD_ASSOCIATED_PAGES_EXIST : 0;
	}
	status = emu_td_lock_owner(c, owner, false, &tdr);
	if (status)
		return status;
	if (READ_ONCE(tdr->lifecycle) != TD_TEARDOWN)
		return EMU_LIFECYCLE_STATE_INCORRECT;
	xadd(&tdr->chldcnt, -(level_size(ref->level) >> EMU_4K_SHIFT));
	return 0;
}

u64 emu_tdh_phymem_page_reclaim(struct emu_call *c)
{
	const struct emu_module *m = c->m;
	u64 pa = c->args->rcx, owner, status;
	const struct emu_tdmr *t;
	struct pamt_ref ref;
	u8 type;

	clear_outputs(c->args);
	if (!emu_hpa_is_valid(m, pa, EMU_LEVEL_4K))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	t = emu_pamt_tdmr(m, pa);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX;
	status = emu_pamt_walk(c, t, pa, EMU_LEVEL_4K, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	type = READ_ONCE(ref.entry->type);
	if (type == EMU_PT_NDA || type == EMU_PT_RSVD)
		return EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX;
	owner = pamt_owner(ref.entry);
	c->args->rcx = type;
	c->args->rdx = owner;
	c->args->r8 = ref.level;
	if (!IS_ALIGNED(pa, level_size(ref.level)))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	status = reclaim_checked(c, pa, &ref, owner);
	if (status)
		return status;
	c->args->r9 = emu_pamt_free(&ref);
	return 0;
}

u64 emu_tdh_phymem_page_wbinvd(struct emu_call *c)
{
	const struct emu_module *m = c->m;
	/* The operand names its HKID in the upper bits; the page is what is below. */
	u64 pa = c->args->rcx & (BIT_ULL(m->hkid_shift) - 1);
	const struct emu_tdmr *t;
	struct pamt_ref ref;
	u64 status;

	if (c->args->rcx >> 52 || !emu_hpa_is_valid(m, pa, EMU_LEVEL_4K))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	t = emu_pamt_tdmr(m, pa);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX;
	status = emu_pamt_walk(c, t, pa, EMU_LEVEL_4K, false, EMU_OP_RCX, &ref);
	if (status)
		return status;
	/* A free page, at whatever level that shows. Its caches are the host's: nothing to do. */
	if (READ_ONCE(ref.entry->type) != EMU_PT_NDA ||
	    (m->dynamic && emu_pamt_page_in_use(m, t, pa)))
		return EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX;
	return 0;
}

u64 emu_tdh_phymem_page_rdmd(struct emu_call *c)
{
	const struct emu_module *m = c->m;
	u64 rcx = c->args->rcx, pa = rcx & ~(RDMD_LEVEL_MASK | RDMD_RESERVED), status;
	unsigned int level = rcx & RDMD_LEVEL_MASK;
	const struct emu_tdmr *t;
	struct pamt_ref ref;
	u8 type;

	clear_outputs(c->args);
	if (rcx & RDMD_RESERVED || level > EMU_LEVEL_1G || (level && !m->dynamic) ||
	    !emu_hpa_is_valid(m, pa, level))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	t = emu_pamt_tdmr(m, pa);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX;
	status = emu_pamt_walk(c, t, pa, level, false, EMU_OP_RCX, &ref);
	if (status)
		return status;
	type = READ_ONCE(ref.entry->type);
	if (m->dynamic && level == EMU_LEVEL_4K && type == EMU_PT_NDA &&
	    emu_pamt_page_in_use(m, t, pa)) {
		c->args->rcx = EMU_PT_PAMT;
		c->args->r8 = EMU_LEVEL_4K;
		return 0;
	}
	c->args->rcx = type;
	c->args->r8 = ref.level;
	if (type == EMU_PT_PAMT) {
		c->args->rcx |= EMU_RDMD_NON_LEAF;
		c->args->r10 = pamt_owner(ref.entry);
		c->args->r11 = READ_ONCE(ref.entry->info) >> NODE_PFN_SHIFT << EMU_4K_SHIFT;
		return 0;
	}
	c->args->rdx = pamt_owner(ref.entry);
	if (type == EMU_PT_REG || type == EMU_PT_EPT)
		c->args->r9 = READ_ONCE(ref.entry->info);
	return 0;
}
