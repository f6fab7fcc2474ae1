// SPDX-License-Identifier: GPL-2.0-only
/*
 * TDMRs: the checks of TDH.SYS.CONFIG on the host's description, and
 * TDH.SYS.TDMR.INIT, which makes memory usable piece by piece [1.6.5].
 *
 * Zero is "not directly assigned" everywhere. Where the PAMT areas are known to
 * be zero, initialising means only marking reserved pages: RSVD entries in a static 4K array,
 * ones in the bitmap of Dynamic PAMT. A piece is usable once its 1G is complete.
 */
#include "state.h"

/* 4K pages that one call initialises: 4 MB static, 16 MB dynamic at 512 entries. */
#define INIT_PAGES_STATIC (2 * EMU_ENTRIES)
#define INIT_PAGES_DYNAMIC (8 * EMU_ENTRIES)

struct span {
	u64 base, size;
};

static bool spans_overlap(struct span a, struct span b)
{
	return a.base < b.base + b.size && b.base < a.base + a.size;
}

static struct span pamt_span(const struct emu_tdmr *t, unsigned int level)
{
	switch (level) {
	case EMU_LEVEL_1G:
		return (struct span){ t->pamt_1g_base, t->pamt_1g_size };
	case EMU_LEVEL_2M:
		return (struct span){ t->pamt_2m_base, t->pamt_2m_size };
	}
	return (struct span){ t->pamt_4k_base, t->pamt_4k_size };
}

static u64 pamt_size_needed(const struct emu_module *m, const struct emu_tdmr *t,
			    unsigned int level)
{
	u64 entries = t->size / level_size(level);

	if (level == EMU_LEVEL_4K && m->dynamic)
		return DIV_ROUND_UP(entries, 8);
	return entries * sizeof(struct pamt_entry);
}

/* Does @r lie in memory of @t that a TD may own? */
static bool in_usable_tdmr(const struct emu_tdmr *t, struct span r)
{
	u64 at = r.base > t->base ? r.base : t->base;
	u64 end = r.base + r.size < t->base + t->size ? r.base + r.size : t->base + t->size;
	unsigned int i;

	/* Reserved areas ascend, so one pass walks the overlap from its start. */
	for (i = 0; i < t->nr_reserved && at < end; i++) {
		u64 base = t->base + t->reserved[i].offset;

		if (base <= at && at < base + t->reserved[i].size)
			at = base + t->reserved[i].size;
	}
	return at < end;
}

/* Does @r lie in convertible memory? CMRs ascend, and may touch. */
static bool is_convertible(const struct emu_module *m, struct span r)
{
	u64 at = r.base, end = r.base + r.size;
	unsigned int i;

	if (!m->hw.nr_cmrs)
		return true;
	for (i = 0; i < m->hw.nr_cmrs && at < end; i++)
		if (at - m->hw.cmr[i].base < m->hw.cmr[i].size)
			at = m->hw.cmr[i].base + m->hw.cmr[i].size;
	return at >= end;
}

/* Does all of @t that is not reserved, reserved areas being in order? */
static bool usable_is_convertible(const struct emu_module *m, const struct emu_tdmr *t)
{
	u64 at = t->base;
	unsigned int i;

	for (i = 0; i < t->nr_reserved; i++) {
		u64 base = t->base + t->reserved[i].offset;

		if (base > at && !is_convertible(m, (struct span){ at, base - at }))
			return false;
		at = base + t->reserved[i].size;
	}
	return at == t->base + t->size ||
	       is_convertible(m, (struct span){ at, t->base + t->size - at });
}

static u64 check_reserved(const struct emu_tdmr *t, unsigned int index)
{
	u64 end = 0;
	unsigned int i;

	if (t->nr_reserved > EMU_MAX_RESERVED)
		return EMU_INVALID_RESERVED_IN_TDMR | index;
	for (i = 0; i < t->nr_reserved; i++) {
		const struct emu_reserved *r = &t->reserved[i];
		u64 operand = (u64)i << 8 | index;

		if (!r->size || !IS_ALIGNED(r->offset, EMU_4K_SIZE) ||
		    !IS_ALIGNED(r->size, EMU_4K_SIZE) || r->offset >= t->size ||
		    r->size > t->size - r->offset)
			return EMU_INVALID_RESERVED_IN_TDMR | operand;
		if (r->offset < end)
			return EMU_NON_ORDERED_RESERVED_IN_TDMR | operand;
		end = r->offset + r->size;
	}
	return 0;
}

static u64 check_tdmr(const struct emu_module *m, const struct emu_tdmr *tdmr, unsigned int i)
{
	const struct emu_tdmr *t = &tdmr[i];
	u64 status;

	if (!t->size || !IS_ALIGNED(t->base, EMU_1G_SIZE) || !IS_ALIGNED(t->size, EMU_1G_SIZE))
		return EMU_INVALID_TDMR | i;
	if (i && t->base < tdmr[i - 1].base + tdmr[i - 1].size)
		return EMU_NON_ORDERED_TDMR | i;
	if (t->base >= m->max_pa || t->size > m->max_pa - t->base)
		return EMU_TDMR_OUTSIDE_CMRS | i;
	status = check_reserved(t, i);
	if (!status && !usable_is_convertible(m, t))
		status = EMU_TDMR_OUTSIDE_CMRS | i;
	return status;
}

static u64 check_pamt(const struct emu_module *m, const struct emu_tdmr *tdmr, unsigned int nr,
		      unsigned int i, unsigned int level)
{
	struct span r = pamt_span(&tdmr[i], level);
	u64 operand = (u64)level << 8 | i;
	unsigned int j, l;

	if (!IS_ALIGNED(r.base, EMU_4K_SIZE) || !IS_ALIGNED(r.size, EMU_4K_SIZE) ||
	    r.size < pamt_size_needed(m, &tdmr[i], level))
		return EMU_INVALID_PAMT | operand;
	if (r.base >= m->max_pa || r.size > m->max_pa - r.base || !is_convertible(m, r))
		return EMU_PAMT_OUTSIDE_CMRS | operand;
	for (j = 0; j < nr; j++) {
		if (in_usable_tdmr(&tdmr[j], r))
			return EMU_PAMT_OVERLAP | operand;
		for (l = EMU_LEVEL_4K; l <= EMU_LEVEL_1G; l++)
			if ((j < i || (j == i && l < level)) &&
			    spans_overlap(r, pamt_span(&tdmr[j], l)))
				return EMU_PAMT_OVERLAP | operand;
	}
	return 0;
}

static void reset_state(struct emu_module *m)
{
	unsigned int i;

	m->fatal = 0;
	m->kot_lock = 0;
	for (i = 0; i < EMU_MAX_PACKAGES; i++)
		m->wbt_lock[i] = 0;
	for (i = 0; i < EMU_MAX_HKIDS; i++) {
		m->hkid_state[i] = i == m->own_hkid ? HKID_RESERVED : HKID_FREE;
		m->hkid_wb[i] = 0;
	}
}

u64 emu_tdmr_config(struct emu_module *m, unsigned int nr, bool dynamic)
{
	unsigned int i, level;
	u64 status;

	m->nr_tdmrs = 0;
	m->dynamic = dynamic;
	for (i = 0; i < nr; i++) {
		status = check_tdmr(m, m->tdmr, i);
		if (status)
			return status;
	}
	for (i = 0; i < nr; i++)
		for (level = EMU_LEVEL_4K; level <= EMU_LEVEL_1G; level++) {
			status = check_pamt(m, m->tdmr, nr, i, level);
			if (status)
				return status;
		}
	for (i = 0; i < nr; i++) {
		m->tdmr[i].initialised = 0;
		m->tdmr[i].init_next = 0;
		m->tdmr[i].lock = 0;
	}
	m->nr_tdmrs = nr;
	reset_state(m);
	return 0;
}

u64 emu_module_config(struct emu_module *m, const struct emu_tdmr *tdmr, unsigned int nr,
		      bool dynamic)
{
	unsigned int i;
	u64 status;

	if (nr == 0 || nr > EMU_MAX_TDMRS)
		return EMU_OPERAND_INVALID | EMU_OP_RDX;
	if (m->nr_hkids == 0 || m->nr_hkids > EMU_MAX_HKIDS || m->nr_packages > EMU_MAX_PACKAGES)
		return EMU_OPERAND_INVALID | EMU_OP_R8;
	m->ready = false;
	m->global_lock = 0;
	for (i = 0; i < nr; i++)
		m->tdmr[i] = tdmr[i];
	status = emu_tdmr_config(m, nr, dynamic);
	if (status)
		return status;
	m->sys_state = EMU_SYS_READY;
	/* As in set_state(). */
	smp_store_release(&m->ready, true);
	return 0;
}

static void mark_reserved(struct emu_module *m, const struct emu_tdmr *t, u64 offset)
{
	u64 page = offset >> EMU_4K_SHIFT;
	struct pamt_entry *e;

	if (m->dynamic) {
		set_bit(page, emu_va(m, t->pamt_4k_base));
		return;
	}
	e = (struct pamt_entry *)emu_va(m, t->pamt_4k_base) + page;
	WRITE_ONCE(e->type, EMU_PT_RSVD);
}

/* Make all of [@start, @end), bytes from the TDMR's base, free, in all three tables. */
static void clear_range(struct emu_module *m, const struct emu_tdmr *t, u64 start, u64 end)
{
	u64 page = start >> EMU_4K_SHIFT, pages = (end - start) >> EMU_4K_SHIFT;
	u64 first = start >> EMU_2M_SHIFT, last = end >> EMU_2M_SHIFT;
	struct pamt_entry *e;

	if (m->dynamic)
		memset((char *)emu_va(m, t->pamt_4k_base) + page / 8, 0, pages / 8);
	else
		memset((struct pamt_entry *)emu_va(m, t->pamt_4k_base) + page, 0,
		       pages * sizeof(*e));
	e = emu_va(m, t->pamt_2m_base);
	memset(&e[first], 0, (last - first) * sizeof(*e));
	if (IS_ALIGNED(start, EMU_1G_SIZE)) {
		e = emu_va(m, t->pamt_1g_base);
		memset(&e[start >> EMU_1G_SHIFT], 0, sizeof(*e));
	}
}

/* Mark what is reserved in [@start, @end), bytes from the TDMR's base. */
static void init_range(struct emu_module *m, const struct emu_tdmr *t, u64 start, u64 end)
{
	unsigned int i;

	if (m->hw.clear_pamt)
		clear_range(m, t, start, end);
	for (i = 0; i < t->nr_reserved; i++) {
		u64 at = max(start, t->reserved[i].offset);
		u64 stop = min(end, t->reserved[i].offset + t->reserved[i].size);

		for (; at < stop; at += EMU_4K_SIZE)
			mark_reserved(m, t, at);
	}
}

u64 emu_tdh_sys_tdmr_init(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 base = c->args->rcx, step, next;
	struct emu_tdmr *t = NULL;
	unsigned int i;

	c->args->rdx = 0;
	for (i = 0; i < m->nr_tdmrs; i++)
		if (m->tdmr[i].base == base)
			t = &m->tdmr[i];
	if (!t)
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	if (!call_lock(c, &t->lock, EMU_LOCK_PLAIN_EX))
		return EMU_OPERAND_BUSY | EMU_OP_RCX;
	if (t->init_next >= t->size)
		return EMU_TDMR_ALREADY_INITIALIZED;

	step = (m->dynamic ? INIT_PAGES_DYNAMIC : INIT_PAGES_STATIC) << EMU_4K_SHIFT;
	next = min(t->init_next + step, t->size);
	init_range(m, t, t->init_next, next);
	t->init_next = next;
	/* With what was marked above, for who finds the page in here (emu_pamt_tdmr()). */
	smp_store_release(&t->initialised, next & ~(EMU_1G_SIZE - 1));
	c->args->rdx = t->base + (next & ~(EMU_1G_SIZE - 1));
	return 0;
}
