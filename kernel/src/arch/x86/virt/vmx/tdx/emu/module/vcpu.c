// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs [1.6.2]: TDVPR and its TDCX pages, initialisation, and the tie between
 * a vCPU and the logical processor that it last ran or was touched on.
 *
 * The TDVPR is an explicit operand; its TD is found through the page's PAMT
 * entry and locked as an implicit one, so no entry above the TDR's is taken.
 */
#include "state.h"

/* An explicit TDVPR, in mode @ex, and the TD that owns it, in mode @tdr_ex. */
static u64 vcpu_lock_mode(struct emu_call *c, u64 pa, bool ex, unsigned int op, bool tdr_ex,
			  struct tdvpr **vp, struct tdr **tdr, u64 *tdr_pa)
{
	struct pamt_ref ref;
	u64 status = emu_pamt_lock_page(c, pa, EMU_PT_TDVPR, ex, op, &ref);

	if (status)
		return status;
	*vp = emu_va(c->m, pa);
	*tdr_pa = pamt_owner(ref.entry);
	return emu_td_lock_owner(c, *tdr_pa, tdr_ex, tdr);
}

static u64 vcpu_lock(struct emu_call *c, u64 pa, unsigned int op, bool tdr_ex, struct tdvpr **vp,
		     struct tdr **tdr, u64 *tdr_pa)
{
	return vcpu_lock_mode(c, pa, true, op, tdr_ex, vp, tdr, tdr_pa);
}

/* The TDVPR is held shared, so others may try to tie the vCPU to theirs. */
static u64 associate(struct emu_module *m, struct tdvpr *vp, struct tdcs *tdcs)
{
	u32 lp = current_lp(m), old = NO_LP;

	if (READ_ONCE(vp->assoc_lp) == lp)
		return 0;
	if (!try_cmpxchg(&vp->assoc_lp, &old, lp))
		return old == lp ? 0 : EMU_VCPU_ASSOCIATED;
	xadd(&tdcs->num_assoc_vcpus, 1);
	WRITE_ONCE(vp->tlb_flush, 1);
	return 0;
}

u64 emu_vcpu_begin(struct emu_call *c, unsigned int allowed, struct vcpu_ref *v)
{
	u64 status;

	v->vp_pa = c->args->rcx;
	status = vcpu_lock_mode(c, v->vp_pa, false, EMU_OP_RCX, false, &v->vp, &v->tdr, &v->tdr_pa);
	if (status)
		return status;
	status = emu_td_check(c, v->tdr, allowed, true, &v->tdcs);
	if (status)
		return status;
	if (v->vp->num_pages < MIN_TDVPS_PAGES)
		return EMU_TDCX_NUM_INCORRECT;
	if (v->vp->state != VCPU_READY)
		return EMU_VCPU_STATE_INCORRECT | v->vp->state;
	return associate(c->m, v->vp, v->tdcs);
}

u64 emu_tdh_vp_create(struct emu_call *c)
{
	u64 page = c->args->rcx, tdr_pa = c->args->rdx, status;
	struct pamt_ref ref;
	struct tdcs *tdcs;
	struct tdvpr *vp;
	struct tdr *tdr;

	status = emu_td_lock(c, tdr_pa, false, EMU_OP_RDX, &tdr);
	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_VP_CREATE, true, &tdcs);
	if (status)
		return status;
	status = emu_pamt_lock_page(c, page, EMU_PT_NDA, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	vp = emu_va(c->m, page);
	memset(vp, 0, sizeof(*vp));
	vp->state = VCPU_UNINITIALIZED;
	vp->assoc_lp = NO_LP;
	vp->num_pages = 1;
	vp->pages[0] = page;
	xadd(&tdr->chldcnt, 1);
	emu_pamt_assign(&ref, EMU_PT_TDVPR, tdr_pa);
	return 0;
}

u64 emu_tdh_vp_addcx(struct emu_call *c)
{
	u64 page = c->args->rcx, tdr_pa, status;
	struct pamt_ref ref;
	struct tdcs *tdcs;
	struct tdvpr *vp;
	struct tdr *tdr;

	status = vcpu_lock(c, c->args->rdx, EMU_OP_RDX, false, &vp, &tdr, &tdr_pa);
	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_VP_CREATE, true, &tdcs);
	if (status)
		return status;
	if (vp->state != VCPU_UNINITIALIZED)
		return EMU_VCPU_STATE_INCORRECT | vp->state;
	if (vp->num_pages >= MAX_TDVPS_PAGES)
		return EMU_TDCX_NUM_INCORRECT;
	status = emu_pamt_lock_page(c, page, EMU_PT_NDA, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	vp->pages[vp->num_pages++] = page;
	xadd(&tdr->chldcnt, 1);
	emu_pamt_assign(&ref, EMU_PT_TDCX, tdr_pa);
	return 0;
}

/* The vCPU takes the next index; its x2APIC id must be new where it has one. */
static u64 enumerate(struct emu_module *m, struct tdr *tdr, struct tdcs *tdcs, struct tdvpr *vp,
		     u64 x2apic_id, bool has_id)
{
	u32 *ids = emu_va(m, READ_ONCE(tdr->tdcs[TDCS_X2APIC_PAGE]));
	u32 index = xadd(&tdcs->num_vcpus, 1), i;
	u64 status = 0;

	if (index >= READ_ONCE(tdcs->max_vcpus)) {
		status = EMU_MAX_VCPUS_EXCEEDED;
	} else if (has_id && x2apic_id > ~0u) {
		status = EMU_OPERAND_INVALID | EMU_OP_R8;
	} else if (has_id) {
		for (i = 0; i < index && !status; i++)
			if (READ_ONCE(ids[i]) == x2apic_id)
				status = EMU_X2APIC_ID_NOT_UNIQUE | x2apic_id;
	}
	if (status) {
		xadd(&tdcs->num_vcpus, (u32)-1);
		return status;
	}
	vp->index = index;
	vp->x2apic_id = has_id ? (u32)x2apic_id : NO_X2APIC_ID;
	WRITE_ONCE(ids[index], vp->x2apic_id);
	return 0;
}

u64 emu_tdh_vp_init(struct emu_call *c)
{
	struct emu_module *m = c->m;
	struct tdcs *tdcs;
	struct tdvpr *vp;
	struct tdr *tdr;
	u64 tdr_pa, status;

	status = vcpu_lock(c, c->args->rcx, EMU_OP_RCX, c->version >= 1, &vp, &tdr, &tdr_pa);
	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_BUILD, true, &tdcs);
	if (status)
		return status;
	if (vp->num_pages < MIN_TDVPS_PAGES)
		return EMU_TDCX_NUM_INCORRECT;
	if (vp->state != VCPU_UNINITIALIZED)
		return EMU_VCPU_STATE_INCORRECT | vp->state;
	status = enumerate(m, tdr, tdcs, vp, c->args->r8, c->version >= 1);
	if (status)
		return status;
	vp->initial_rcx = c->args->rdx;
	vp->assoc_lp = current_lp(m);
	xadd(&tdcs->num_assoc_vcpus, 1);
	vp->tlb_flush = 1;
	vp->state = VCPU_READY;
	return 0;
}

u64 emu_tdh_vp_flush(struct emu_call *c)
{
	struct emu_module *m = c->m;
	struct tdvpr *vp;
	struct tdr *tdr;
	u64 tdr_pa, status;

	status = vcpu_lock(c, c->args->rcx, EMU_OP_RCX, false, &vp, &tdr, &tdr_pa);
	if (status)
		return status;
	if (READ_ONCE(tdr->lifecycle) != TD_KEYS_CONFIGURED)
		return EMU_TD_KEYS_NOT_CONFIGURED;
	if (vp->num_pages < MIN_TDVPS_PAGES)
		return EMU_TDCX_NUM_INCORRECT;
	if (READ_ONCE(vp->assoc_lp) != current_lp(m))
		return EMU_VCPU_NOT_ASSOCIATED;
	WRITE_ONCE(vp->assoc_lp, NO_LP);
	xadd(&td_tdcs(m, tdr)->num_assoc_vcpus, (u32)-1);
	return 0;
}
