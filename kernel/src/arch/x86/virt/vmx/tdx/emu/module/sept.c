// SPDX-License-Identifier: GPL-2.0-only
/*
 * Secure EPT and the memory leaves [1.6.3]: SEPT.ADD, PAGE.ADD, PAGE.AUG,
 * RANGE.BLOCK, MEM.TRACK, PAGE.REMOVE, MR.EXTEND. PROMOTE and DEMOTE are in
 * resize.c.
 *
 * The tree lock is shared for leaves that change one entry, which its bit lock
 * protects, and exclusive for those that cut off a subtree. Tables are
 * published with release and walked with acquire. The build leaves (PAGE.ADD,
 * MR.*) have TDR exclusively instead and lock nothing in the tree.
 */
#include "state.h"

#define GPA_LEVEL_MASK 7ULL
#define GPA_RESERVED GENMASK_ULL(11, 3)
#define ARCH_RWX 7ULL
#define ARCH_MT_WB (6ULL << 3)
#define ARCH_PAGE_SIZE BIT_ULL(7)
#define ARCH_SUPPRESS_VE BIT_ULL(63)
#define MR_EXTEND_ALIGN 256
#define LEVEL_PWL 5 /* in emu_sept_begin(): up to the TD's root level */

/* ------------------------------------------------------------------- walking */

/* The entry as hardware would see it: no lock bits, no software state. */
static u64 arch_entry(u64 value, unsigned int level)
{
	u64 pa = value & SEPT_PA_MASK;

	switch (sept_state(value)) {
	case SEPT_MAPPED:
		return pa | ARCH_RWX | ARCH_MT_WB | (level ? ARCH_PAGE_SIZE : 0);
	case SEPT_NL_MAPPED:
		return pa | ARCH_RWX;
	default:
		return pa | ARCH_SUPPRESS_VE;
	}
}

u64 emu_sept_error(struct emu_call *c, const struct sept_ref *s, u64 status)
{
	c->args->rcx = arch_entry(s->value, s->level);
	c->args->rdx = s->level | (u64)sept_state(s->value) << 8;
	return status | EMU_OP_RCX;
}

/* Down from the root to the entry of @s->level; where a table is missing, to the gap. */
static u64 sept_walk(struct emu_call *c, struct sept_ref *s)
{
	const struct emu_module *m = c->m;
	u64 *table = emu_va(m, READ_ONCE(s->tdr->tdcs[TDCS_SEPT_ROOT_PAGE]));
	unsigned int level = READ_ONCE(s->tdcs->pwl), want = s->level;

	for (;; level--) {
		s->entry = &table[s->gpa >> (EMU_4K_SHIFT + level * TDX_LEVEL_BITS) &
				  (EMU_ENTRIES - 1)];
		s->level = level;
		s->value = smp_load_acquire(s->entry);
		if (level == want)
			return 0;
		if (sept_state(s->value) != SEPT_NL_MAPPED)
			return emu_sept_error(c, s, EMU_EPT_WALK_FAILED);
		table = emu_va(m, s->value & SEPT_PA_MASK);
	}
}

void emu_sept_lookup(const struct emu_module *m, struct sept_ref *s, bool blocked)
{
	u64 *table = emu_va(m, READ_ONCE(s->tdr->tdcs[TDCS_SEPT_ROOT_PAGE]));
	unsigned int level = READ_ONCE(s->tdcs->pwl);
	enum sept_state state;

	for (;; level--) {
		s->entry = &table[s->gpa >> (EMU_4K_SHIFT + level * TDX_LEVEL_BITS) &
				  (EMU_ENTRIES - 1)];
		s->level = level;
		s->value = smp_load_acquire(s->entry);
		state = sept_state(s->value);
		if (!level || (state != SEPT_NL_MAPPED && !(blocked && state == SEPT_NL_BLOCKED)))
			return;
		table = emu_va(m, s->value & SEPT_PA_MASK);
	}
}

/* RCX of most leaves: GPA and level. */
static u64 parse_gpa(struct sept_ref *s, u64 rcx, unsigned int min, unsigned int max)
{
	unsigned int pwl = READ_ONCE(s->tdcs->pwl);

	s->level = rcx & GPA_LEVEL_MASK;
	s->gpa = rcx & ~(GPA_LEVEL_MASK | GPA_RESERVED);
	if (rcx & GPA_RESERVED || s->level < min || s->level > (max < LEVEL_PWL ? max : pwl) ||
	    !IS_ALIGNED(s->gpa, level_size(s->level)) || s->gpa >> READ_ONCE(s->tdcs->gpa_bits))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	return 0;
}

u64 emu_sept_begin(struct emu_call *c, unsigned int allowed, unsigned int min, unsigned int max,
		   enum emu_lock_mode tree, struct sept_ref *s)
{
	u64 rcx = c->args->rcx, status;

	s->tdr_pa = c->args->rdx;
	c->args->rcx = 0;
	c->args->rdx = 0;
	status = emu_td_lock(c, s->tdr_pa, false, EMU_OP_RDX, &s->tdr);
	if (status)
		return status;
	status = emu_td_check(c, s->tdr, allowed, true, &s->tdcs);
	if (status)
		return status;
	status = parse_gpa(s, rcx, min, max);
	if (status)
		return status;
	if (!call_lock(c, &s->tdcs->tree_lock, tree))
		return EMU_OPERAND_BUSY | EMU_OP_SEPT_TREE;
	status = sept_walk(c, s);
	if (status)
		return status;
	if (!call_lock(c, (u16 *)(void *)s->entry, EMU_LOCK_SEPTE))
		return emu_sept_error(c, s, EMU_OPERAND_BUSY);
	s->value = READ_ONCE(*s->entry);
	return 0;
}

void emu_sept_set(struct sept_ref *s, u64 value)
{
	const u64 bits = SEPTE_LOCK | SEPTE_HP;

	/* Others may set the priority bit meanwhile: add the difference of the rest. */
	xadd(s->entry, (value & ~bits) - (s->value & ~bits));
	s->value = value;
}

u64 emu_sept_check_tracked(struct emu_call *c, const struct sept_ref *s, struct pamt_entry *e)
{
	u64 bepoch, epoch;

	if (READ_ONCE(s->tdcs->op_state) == OP_STATE_INITIALIZED)
		return 0;
	if (!sept_is_blocked(sept_state(s->value)))
		return emu_sept_error(c, s, EMU_GPA_RANGE_NOT_BLOCKED);
	bepoch = READ_ONCE(e->info);
	epoch = smp_load_acquire(&s->tdcs->epoch);
	if (bepoch + 1 < epoch)
		return 0;
	/* Pairs with the exit of the last vCPU: what it did to the page comes before. */
	if (bepoch + 1 == epoch && !smp_load_acquire(&s->tdcs->refcount[bepoch & 1]))
		return 0;
	return EMU_TLB_TRACKING_NOT_DONE | EMU_OP_RCX;
}

/* ---------------------------------------------------------------- adding */

u64 emu_tdh_mem_sept_add(struct emu_call *c)
{
	u64 page = c->args->r8, status;
	struct pamt_ref ref;
	struct sept_ref s;

	/* No flags: a low bit of RDX is a misaligned TDR. No L2 VMs: no pages in R9-R11. */
	status = emu_sept_begin(c, OPS_SEPT_ADD, 1, LEVEL_PWL, EMU_LOCK_SH, &s);
	if (status)
		return status;
	if (sept_state(s.value) != SEPT_FREE)
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	status = emu_pamt_lock_page(c, page, EMU_PT_NDA, true, EMU_OP_R8, &ref);
	if (status)
		return status;
	memset(emu_va(c->m, page), 0, EMU_ENTRIES * sizeof(u64));
	emu_pamt_assign(&ref, EMU_PT_EPT, s.tdr_pa);
	xadd(&s.tdr->chldcnt, 1);
	emu_sept_set(&s, sept_make(SEPT_NL_MAPPED, page));
	return 0;
}

/* What the build leaves begin with: TDR EX, state, no lock in the tree. */
static u64 build_begin(struct emu_call *c, struct sept_ref *s)
{
	u64 status;

	s->tdr_pa = c->args->rdx;
	c->args->rcx = 0;
	c->args->rdx = 0;
	status = emu_td_lock(c, s->tdr_pa, true, EMU_OP_RDX, &s->tdr);
	if (status)
		return status;
	return emu_td_check(c, s->tdr, OPS_BUILD, false, &s->tdcs);
}

u64 emu_tdh_mem_page_add(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 gpa = c->args->rcx, page = c->args->r8, source = c->args->r9, status;
	struct pamt_ref ref;
	struct sept_ref s;

	status = build_begin(c, &s);
	if (status)
		return status;
	status = parse_gpa(&s, gpa, 0, 0);
	if (status)
		return status;
	status = sept_walk(c, &s);
	if (status)
		return status;
	if (sept_state(s.value) != SEPT_FREE)
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	if (!emu_hpa_is_valid(m, source, EMU_LEVEL_4K))
		return EMU_OPERAND_INVALID | EMU_OP_R9;
	status = emu_pamt_lock_page(c, page, EMU_PT_NDA, true, EMU_OP_R8, &ref);
	if (status)
		return status;
	if (m->contents) {
		memcpy(emu_va(m, page), emu_va(m, source), EMU_4K_SIZE);
		emu_measure_page(&s.tdcs->mrtd, s.gpa);
	}
	emu_pamt_assign(&ref, EMU_PT_REG, s.tdr_pa);
	xadd(&s.tdr->chldcnt, 1);
	emu_sept_set(&s, sept_make(SEPT_MAPPED, page));
	return 0;
}

u64 emu_tdh_mr_extend(struct emu_call *c)
{
	u64 gpa = c->args->rcx, status;
	struct sept_ref s;

	status = build_begin(c, &s);
	if (status)
		return status;
	if (!IS_ALIGNED(gpa, (u64)MR_EXTEND_ALIGN))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	status = parse_gpa(&s, gpa & ~(EMU_4K_SIZE - 1), 0, 0);
	if (status)
		return status;
	status = sept_walk(c, &s);
	if (status || sept_state(s.value) != SEPT_MAPPED)
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_NOT_PRESENT);
	if (c->m->contents)
		emu_measure_chunk(&s.tdcs->mrtd, gpa,
				  (char *)emu_va(c->m, s.value & SEPT_PA_MASK) +
					  (gpa & (EMU_4K_SIZE - 1)));
	return 0;
}

u64 emu_tdh_mem_page_aug(struct emu_call *c)
{
	u64 page = c->args->r8, status;
	struct pamt_ref ref;
	struct sept_ref s;

	status = emu_sept_begin(c, OPS_PAGE_AUG, 0, 1, EMU_LOCK_SH, &s);
	if (status)
		return status;
	if (sept_state(s.value) != SEPT_FREE && sept_state(s.value) != SEPT_REMOVED)
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	status = emu_pamt_lock_free_range(c, page, s.level, EMU_OP_R8, &ref);
	if (status)
		return status;
	emu_pamt_assign(&ref, EMU_PT_REG, s.tdr_pa);
	xadd(&s.tdr->chldcnt, level_size(s.level) >> EMU_4K_SHIFT);
	emu_sept_set(&s, sept_make(SEPT_PENDING, page));
	return 0;
}

/* -------------------------------------------------------------- removing */

u64 emu_tdh_mem_range_block(struct emu_call *c)
{
	enum sept_state state, blocked;
	struct pamt_ref ref;
	struct sept_ref s;
	u64 pa, status;

	status = emu_sept_begin(c, OPS_RANGE_BLOCK, 0, LEVEL_PWL, EMU_LOCK_EX, &s);
	if (status)
		return status;
	state = sept_state(s.value);
	if (sept_is_blocked(state))
		return emu_sept_error(c, &s, EMU_GPA_RANGE_ALREADY_BLOCKED);
	if (state == SEPT_MAPPED)
		blocked = SEPT_BLOCKED;
	else if (state == SEPT_PENDING)
		blocked = SEPT_PENDING_BLOCKED;
	else if (state == SEPT_NL_MAPPED)
		blocked = SEPT_NL_BLOCKED;
	else
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	pa = s.value & SEPT_PA_MASK;
	if (!emu_pamt_implicit(c, pa, sept_is_leaf(state) ? s.level : EMU_LEVEL_4K, &ref))
		return EMU_SEAMCALL_VMFAILINVALID;
	emu_sept_set(&s, sept_make(blocked, pa));
	WRITE_ONCE(ref.entry->info, READ_ONCE(s.tdcs->epoch));
	return 0;
}

u64 emu_tdh_mem_track(struct emu_call *c)
{
	struct tdcs *tdcs;
	struct tdr *tdr;
	u64 status, epoch;

	status = emu_td_lock(c, c->args->rcx, false, EMU_OP_RCX, &tdr);
	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_MEM_TRACK, true, &tdcs);
	if (status)
		return status;
	if (!call_lock(c, &tdcs->epoch_lock, EMU_LOCK_PLAIN_EX))
		return EMU_OPERAND_BUSY | EMU_OP_TD_EPOCH;
	epoch = READ_ONCE(tdcs->epoch);
	if (smp_load_acquire(&tdcs->refcount[1 - (epoch & 1)]))
		return EMU_PREVIOUS_TLB_EPOCH_BUSY;
	smp_store_release(&tdcs->epoch, epoch + 1);
	return 0;
}

u64 emu_tdh_mem_page_remove(struct emu_call *c)
{
	struct pamt_ref ref;
	struct sept_ref s;
	u64 pa, status;

	status = emu_sept_begin(c, OPS_PAGE_REMOVE, 0, 2, EMU_LOCK_SH, &s);
	if (status)
		return status;
	if (!sept_is_leaf(sept_state(s.value)))
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	pa = s.value & SEPT_PA_MASK;
	status = emu_pamt_lock_implicit(c, pa, s.level, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	status = emu_sept_check_tracked(c, &s, ref.entry);
	if (status)
		return status;
	emu_sept_set(&s, sept_make(SEPT_FREE, 0));
	xadd(&s.tdr->chldcnt, -(level_size(s.level) >> EMU_4K_SHIFT));
	c->args->rcx = pa | emu_pamt_free(&ref);
	return 0;
}
