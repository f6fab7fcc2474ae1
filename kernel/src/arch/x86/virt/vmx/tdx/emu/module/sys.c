// SPDX-License-Identifier: GPL-2.0-only
/*
 * The leaves that bring the module up and down [1.6.5]: SYS.INIT, LP.INIT on
 * every logical processor, SYS.RD, SYS.CONFIG over the host's TDMR_INFO
 * structures, KEY.CONFIG on every package, SYS.SHUTDOWN. One lock covers them,
 * exclusive but for LP.INIT; who finds it taken is told SYS_BUSY.
 */
#include "state.h"

/* R8 of SYS.CONFIG: the module's own HKID, and whether it runs Dynamic PAMT. */
#define CONFIG_HKID GENMASK_ULL(15, 0)
#define CONFIG_DYNAMIC_PAMT BIT_ULL(16)

/* RCX of SYS.SHUTDOWN: version of the hand-off data, and "avoid incompatible updates". */
#define SHUTDOWN_HANDOFF GENMASK_ULL(15, 0)
#define SHUTDOWN_AVOID_COMPAT BIT_ULL(16)

/* Above this lowest HKID bit an address does not fit a PAMT node's fields. */
#define DYNAMIC_MAX_PA_BITS 48

#define TDMR_INFO_ALIGN 512

/* TDMR_INFO as the host writes it; a reserved area of size 0 ends the list. */
struct tdmr_description {
	u64 base, size;
	u64 pamt_1g_base, pamt_1g_size;
	u64 pamt_2m_base, pamt_2m_size;
	u64 pamt_4k_base, pamt_4k_size;
	struct emu_reserved reserved[EMU_MAX_RESERVED];
};

static u64 lock_module(struct emu_call *c, enum emu_lock_mode mode)
{
	return call_lock(c, &c->m->global_lock, mode) ? 0 : EMU_SYS_BUSY;
}

static bool lp_is_initialised(struct emu_module *m)
{
	unsigned int lp = current_lp(m);

	return lp < EMU_MAX_LPS && READ_ONCE(m->lp_initialised[lp]);
}

static void set_state(struct emu_module *m, enum emu_sys_state state)
{
	WRITE_ONCE(m->sys_state, state);
	/* Who sees it ready (dispatch()) sees the TDMRs too. */
	smp_store_release(&m->ready, state == EMU_SYS_READY);
}

u64 emu_tdh_sys_init(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 status = lock_module(c, EMU_LOCK_PLAIN_EX);

	if (status)
		return status;
	if (c->args->rcx)
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	if (m->sys_state != EMU_SYS_INIT_PENDING)
		return EMU_SYS_INIT_NOT_PENDING;
	set_state(m, EMU_SYS_INIT_DONE);
	return 0;
}

u64 emu_tdh_sys_lp_init(struct emu_call *c)
{
	struct emu_module *m = c->m;
	unsigned int lp = current_lp(m);
	u64 status = lock_module(c, EMU_LOCK_PLAIN_SH);

	if (status)
		return status;
	if (READ_ONCE(m->sys_state) == EMU_SYS_INIT_PENDING || lp >= EMU_MAX_LPS)
		return EMU_SYS_LP_INIT_NOT_PENDING;
	if (m->lp_initialised[lp])
		return EMU_SYS_LP_INIT_DONE;
	WRITE_ONCE(m->lp_initialised[lp], 1);
	c->args->rcx = 0;
	c->args->rdx = 0;
	c->args->r8 = 0;
	return 0;
}

/* ------------------------------------------------------------- SYS.CONFIG */

/* An address in memory of the host's own, without HKID, where an object of @align may be. */
static bool is_host_memory(const struct emu_module *m, u64 pa, u64 align)
{
	return IS_ALIGNED(pa, align) && pa < m->max_pa;
}

static void read_tdmr(struct emu_tdmr *t, const struct tdmr_description *d)
{
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->base = d->base;
	t->size = d->size;
	t->pamt_1g_base = d->pamt_1g_base;
	t->pamt_1g_size = d->pamt_1g_size;
	t->pamt_2m_base = d->pamt_2m_base;
	t->pamt_2m_size = d->pamt_2m_size;
	t->pamt_4k_base = d->pamt_4k_base;
	t->pamt_4k_size = d->pamt_4k_size;
	for (i = 0; i < EMU_MAX_RESERVED && d->reserved[i].size; i++)
		t->reserved[i] = d->reserved[i];
	t->nr_reserved = i;
}

static bool all_lps_are_initialised(const struct emu_module *m)
{
	unsigned int i, n = 0;

	for (i = 0; i < EMU_MAX_LPS; i++)
		n += m->lp_initialised[i];
	return n >= m->hw.nr_lps;
}

static u64 check_config_operands(const struct emu_module *m, const struct tdx_module_args *args)
{
	u64 hkid = args->r8 & CONFIG_HKID;

	if (!is_host_memory(m, args->rcx, TDMR_INFO_ALIGN))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	if (!args->rdx || args->rdx > EMU_MAX_TDMRS)
		return EMU_OPERAND_INVALID | EMU_OP_RDX;
	if (args->r8 & ~(CONFIG_HKID | CONFIG_DYNAMIC_PAMT) || hkid - m->first_hkid >= m->nr_hkids)
		return EMU_OPERAND_INVALID | EMU_OP_R8;
	if (args->r8 & CONFIG_DYNAMIC_PAMT &&
	    (!m->hw.dynamic || m->hkid_shift > DYNAMIC_MAX_PA_BITS))
		return EMU_OPERAND_INVALID | EMU_OP_R8;
	return 0;
}

u64 emu_tdh_sys_config(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 nr = c->args->rdx, r8 = c->args->r8, i;
	u64 status = lock_module(c, EMU_LOCK_PLAIN_EX);
	const u64 *list;

	if (status)
		return status;
	if (m->sys_state != EMU_SYS_INIT_DONE || !all_lps_are_initialised(m))
		return EMU_SYS_CONFIG_NOT_PENDING;
	status = check_config_operands(m, c->args);
	if (status)
		return status;
	list = emu_va(m, c->args->rcx);
	for (i = 0; i < nr; i++) {
		if (!is_host_memory(m, list[i], TDMR_INFO_ALIGN))
			return EMU_OPERAND_INVALID | EMU_OP_RCX;
		read_tdmr(&m->tdmr[i], emu_va(m, list[i]));
	}
	m->own_hkid = (r8 & CONFIG_HKID) - m->first_hkid;
	status = emu_tdmr_config(m, nr, r8 & CONFIG_DYNAMIC_PAMT);
	if (status)
		return status;
	m->packages_keyed = 0;
	set_state(m, EMU_SYS_CONFIG_DONE);
	return 0;
}

u64 emu_tdh_sys_key_config(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 package = 1ULL << package_of(m, current_lp(m));
	u64 status = lock_module(c, EMU_LOCK_PLAIN_EX);

	if (status)
		return status;
	if (m->sys_state != EMU_SYS_CONFIG_DONE)
		return EMU_SYS_KEY_CONFIG_NOT_PENDING;
	if (m->packages_keyed & package)
		return EMU_KEY_CONFIGURED;
	m->packages_keyed |= package;
	if (m->packages_keyed == all_packages(m))
		set_state(m, EMU_SYS_READY);
	return 0;
}

u64 emu_tdh_sys_shutdown(struct emu_call *c)
{
	u64 rcx = c->args->rcx, status = lock_module(c, EMU_LOCK_PLAIN_EX);

	if (status)
		return status;
	if (rcx & ~(SHUTDOWN_HANDOFF | SHUTDOWN_AVOID_COMPAT) ||
	    (rcx & SHUTDOWN_HANDOFF) != EMU_HANDOFF_VERSION)
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	/* Calls in flight on other processors run to their end; new ones are refused. */
	set_state(c->m, EMU_SYS_SHUTDOWN);
	return 0;
}

/* ----------------------------------------------------------------- SYS.RD */

u64 emu_tdh_sys_rd(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 field = c->args->rdx;

	c->args->r8 = 0;
	if (!lp_is_initialised(m))
		return EMU_SYS_LP_INIT_NOT_DONE;
	if (field == EMU_NO_FIELD) {
		c->args->rdx = emu_metadata_first();
		return EMU_FIRST_FIELD_ID_IN_CONTEXT;
	}
	return emu_metadata_read(m, field, &c->args->r8, &c->args->rdx);
}
