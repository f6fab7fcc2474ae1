// SPDX-License-Identifier: GPL-2.0-only
/*
 * TDH.MEM.PAGE.PROMOTE and DEMOTE [1.6.3]: a table of small pages becomes one
 * large page and back, in the S-EPT and in the PAMT. Both need the entry
 * blocked and tracked where the TD may be running. With Dynamic PAMT, going to
 * 2M gives the region's PAMT page pair back (R12, R13), and DEMOTE brings one.
 */
#include "state.h"

/* All entries leaves of one state, over one aligned, contiguous range: its first entry, else 0. */
static u64 mergeable(const u64 *table, unsigned int level)
{
	u64 first = READ_ONCE(table[0]) & ~(SEPTE_LOCK | SEPTE_HP);
	enum sept_state state = sept_state(first);
	u64 step = level_size(level - 1);
	unsigned long i;

	if ((state != SEPT_MAPPED && state != SEPT_PENDING) ||
	    !IS_ALIGNED(first & SEPT_PA_MASK, level_size(level)))
		return 0;
	for (i = 1; i < EMU_ENTRIES; i++)
		if ((READ_ONCE(table[i]) & ~(SEPTE_LOCK | SEPTE_HP)) != first + i * step)
			return 0;
	return first;
}

u64 emu_tdh_mem_page_promote(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 table_pa, first, status, pair[2];
	struct pamt_ref table_ref;
	enum sept_state state;
	struct sept_ref s;

	if (c->version > 0) {
		/* No L2 VMs: no S-EPT pages of theirs are freed. */
		c->args->r9 = EMU_NULL_PA;
		c->args->r10 = EMU_NULL_PA;
		c->args->r11 = EMU_NULL_PA;
	}
	status = emu_sept_begin(c, OPS_RANGE_BLOCK, 1, 2, EMU_LOCK_EX, &s);
	if (status)
		return status;
	state = sept_state(s.value);
	if (state != SEPT_NL_MAPPED && state != SEPT_NL_BLOCKED)
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	table_pa = s.value & SEPT_PA_MASK;
	status = emu_pamt_lock_implicit(c, table_pa, EMU_LEVEL_4K, true, EMU_OP_RCX, &table_ref);
	if (status)
		return status;
	status = emu_sept_check_tracked(c, &s, table_ref.entry);
	if (status)
		return status;
	first = mergeable(emu_va(m, table_pa), s.level);
	if (!first)
		return emu_sept_error(c, &s, EMU_EPT_INVALID_PROMOTE_CONDITIONS);
	status = emu_pamt_promote(c, first & SEPT_PA_MASK, s.level, pair);
	if (status)
		return status;

	emu_sept_set(&s, first);
	xadd(&s.tdr->chldcnt, (u64)-1);
	c->args->rcx = table_pa | emu_pamt_free(&table_ref);
	if (m->dynamic && s.level == EMU_LEVEL_2M) {
		c->args->r12 = pair[0];
		c->args->r13 = pair[1];
	}
	return 0;
}

static void fill_table(u64 *table, enum sept_state state, u64 pa, u64 step)
{
	unsigned long i;

	for (i = 0; i < EMU_ENTRIES; i++)
		table[i] = sept_make(state, pa + i * step);
}

u64 emu_tdh_mem_page_demote(struct emu_call *c)
{
	u64 table_pa = c->args->r8, pa, status;
	struct pamt_ref table_ref, page_ref;
	enum sept_state state;
	struct sept_ref s;

	status = emu_sept_begin(c, OPS_RANGE_BLOCK, 1, 2, EMU_LOCK_SH, &s);
	if (status)
		return status;
	if (c->m->interrupted && c->m->interrupted(c->m, c))
		return EMU_INTERRUPTED_RESTARTABLE;
	state = sept_state(s.value);
	if (!sept_is_leaf(state))
		return emu_sept_error(c, &s, EMU_EPT_ENTRY_STATE_INCORRECT);
	pa = s.value & SEPT_PA_MASK;
	if (!emu_pamt_implicit(c, pa, s.level, &page_ref))
		return EMU_SEAMCALL_VMFAILINVALID;
	status = emu_sept_check_tracked(c, &s, page_ref.entry);
	if (status)
		return status;
	status = emu_pamt_lock_page(c, table_pa, EMU_PT_NDA, true, EMU_OP_R8, &table_ref);
	if (status)
		return status;
	status = emu_pamt_demote(c, pa, s.level, c->args->r12, c->args->r13);
	if (status)
		return status;

	state = state == SEPT_PENDING || state == SEPT_PENDING_BLOCKED ? SEPT_PENDING : SEPT_MAPPED;
	fill_table(emu_va(c->m, table_pa), state, pa, level_size(s.level - 1));
	emu_pamt_assign(&table_ref, EMU_PT_EPT, s.tdr_pa);
	xadd(&s.tdr->chldcnt, 1);
	emu_sept_set(&s, sept_make(SEPT_NL_MAPPED, table_pa));
	return 0;
}
