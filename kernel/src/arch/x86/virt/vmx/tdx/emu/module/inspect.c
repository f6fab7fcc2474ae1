// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inspection for checkers and reports: what the PAMT says, without a SEAMCALL.
 * The census visits the 1G and 2M entries of all initialised memory, and 4K
 * entries only below a node (below every 2M entry in static mode), so its cost
 * goes with what is in use under Dynamic PAMT.
 */
#include <linux/errno.h>

#include "state.h"

static bool entry_is_locked(const struct pamt_entry *e)
{
	return !sharex_is_free(READ_ONCE(e->lock));
}

/* A TDR has no owner in the PAMT; for whoever attributes pages to TDs it is its own. */
static u64 page_td(const struct pamt_entry *e, u64 pa)
{
	return READ_ONCE(e->type) == EMU_PT_TDR ? pa & ~(EMU_4K_SIZE - 1) : pamt_owner(e);
}

int emu_page_info(const struct emu_module *m, u64 pa, struct emu_page_info *info)
{
	const struct emu_tdmr *t = emu_pamt_tdmr(m, pa);
	const struct pamt_entry *e, *node;

	memset(info, 0, sizeof(*info));
	if (!t)
		return -EINVAL;
	e = emu_pamt_1g(m, t, pa);
	info->level = EMU_LEVEL_1G;
	info->locked = entry_is_locked(e);
	if (READ_ONCE(e->type) != EMU_PT_NDA)
		goto out;
	e = emu_pamt_2m(m, t, pa);
	info->level = EMU_LEVEL_2M;
	info->locked |= entry_is_locked(e);
	if (m->dynamic) {
		info->pamt_page = emu_pamt_page_in_use(m, t, pa);
		if (READ_ONCE(e->type) != EMU_PT_PAMT)
			goto out;
		node = e;
		info->has_pair = true;
		info->pair[0] = pamt_owner(node);
		info->pair[1] = node->info >> NODE_PFN_SHIFT << EMU_4K_SHIFT;
		info->page_count = NODE_COUNT(node->info);
		e = emu_pamt_4k_of_node(m, node, pa);
	} else {
		if (READ_ONCE(e->type) != EMU_PT_NDA)
			goto out;
		e = emu_pamt_4k_static(m, t, pa);
	}
	info->level = EMU_LEVEL_4K;
	info->locked |= entry_is_locked(e);
out:
	info->type = READ_ONCE(e->type);
	info->owner = info->type == EMU_PT_PAMT ? 0 : page_td(e, pa);
	return 0;
}

int emu_region_pages(const struct emu_module *m, u64 pa, struct emu_region_page *pages)
{
	const struct emu_tdmr *t = emu_pamt_tdmr(m, pa);
	const struct pamt_entry *e, *e2m;
	unsigned long i;

	if (!t || !IS_ALIGNED(pa, EMU_2M_SIZE))
		return -EINVAL;
	e = emu_pamt_1g(m, t, pa);
	e2m = emu_pamt_2m(m, t, pa);
	if (READ_ONCE(e->type) == EMU_PT_NDA)
		e = e2m;
	for (i = 0; i < EMU_ENTRIES; i++) {
		const struct pamt_entry *p = e;
		u64 at = pa + i * EMU_4K_SIZE;

		if (m->dynamic && e->type == EMU_PT_PAMT)
			p = emu_pamt_4k_of_node(m, e, at);
		else if (!m->dynamic && e == e2m && e->type == EMU_PT_NDA)
			p = emu_pamt_4k_static(m, t, at);
		pages[i].type = p->type;
		pages[i].owner = page_td(p, at);
	}
	return 0;
}

/* The TDR at @tdr_pa of a TD that MNG.INIT has run on, or NULL. */
static struct tdr *initialised_td(const struct emu_module *m, u64 tdr_pa)
{
	struct emu_page_info info;
	struct tdr *tdr;

	if (emu_page_info(m, tdr_pa, &info) || info.type != EMU_PT_TDR)
		return NULL;
	tdr = emu_va(m, tdr_pa);
	if (READ_ONCE(tdr->num_tdcx) < MIN_TDCS_PAGES ||
	    READ_ONCE(td_tdcs(m, tdr)->op_state) == OP_STATE_UNINITIALIZED)
		return NULL;
	return tdr;
}

int emu_td_owner_config(const struct emu_module *m, u64 tdr_pa, u64 *value)
{
	struct tdr *tdr = initialised_td(m, tdr_pa);

	if (!tdr)
		return -EINVAL;
	*value = td_tdcs(m, tdr)->owner_config;
	return 0;
}

int emu_td_mrtd(const struct emu_module *m, u64 tdr_pa, u8 mrtd[EMU_MRTD_SIZE])
{
	struct tdr *tdr = initialised_td(m, tdr_pa);
	struct emu_measure s;

	if (!tdr)
		return -EINVAL;
	s = td_tdcs(m, tdr)->mrtd;
	emu_measure_finish(&s, mrtd);
	return 0;
}

static void census_entry(struct emu_census *c, const struct pamt_entry *e)
{
	if (e->type != EMU_PT_NDA)
		c->pages[e->type & 15]++;
	c->locked += entry_is_locked(e);
}

static void census_2m(const struct emu_module *m, const struct emu_tdmr *t, u64 pa,
		      struct emu_census *c)
{
	const struct pamt_entry *e = emu_pamt_2m(m, t, pa), *child;
	unsigned long i, page;

	if (m->dynamic ? e->type != EMU_PT_PAMT : e->type != EMU_PT_NDA) {
		census_entry(c, e);
		return;
	}
	c->locked += entry_is_locked(e);
	if (!m->dynamic) {
		child = emu_pamt_4k_static(m, t, pa);
		for (i = 0; i < EMU_ENTRIES; i++)
			census_entry(c, &child[i]);
		return;
	}
	c->pairs++;
	for (page = 0; page < 2; page++) {
		child = emu_pamt_4k_of_node(m, e, pa + page * (EMU_2M_SIZE / 2));
		for (i = 0; i < EMU_ENTRIES / 2; i++)
			census_entry(c, &child[i]);
	}
}

static bool is_reserved(const struct emu_tdmr *t, u64 offset)
{
	unsigned int i;

	for (i = 0; i < t->nr_reserved; i++)
		if (offset - t->reserved[i].offset < t->reserved[i].size)
			return true;
	return false;
}

/* Bitmap bits outside reserved areas, whole zero words skipped. */
static u64 count_bitmap(const struct emu_module *m, const struct emu_tdmr *t)
{
	const unsigned long *map = emu_va(m, t->pamt_4k_base);
	u64 pages = t->initialised >> EMU_4K_SHIFT, i, n = 0;

	for (i = 0; i < pages; i++) {
		if (!(i % 64) && !READ_ONCE(map[i / 64])) {
			i += 63;
			continue;
		}
		if (READ_ONCE(map[i / 64]) >> i % 64 & 1 && !is_reserved(t, i << EMU_4K_SHIFT))
			n++;
	}
	return n;
}

static void census_tdmr(const struct emu_module *m, const struct emu_tdmr *t, struct emu_census *c)
{
	u64 end = t->base + t->initialised, pa, region;

	for (pa = t->base; pa < end; pa += EMU_1G_SIZE) {
		const struct pamt_entry *e = emu_pamt_1g(m, t, pa);

		census_entry(c, e);
		if (e->type != EMU_PT_NDA)
			continue;
		for (region = pa; region < pa + EMU_1G_SIZE; region += EMU_2M_SIZE)
			census_2m(m, t, region, c);
	}
	if (m->dynamic)
		c->bitmap_pages += count_bitmap(m, t);
}

void emu_census(const struct emu_module *m, struct emu_census *c)
{
	unsigned int i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < m->nr_tdmrs; i++)
		census_tdmr(m, &m->tdmr[i], c);
	for (i = 0; i < m->nr_hkids; i++)
		c->hkids += m->hkid_state[i] != HKID_FREE && m->hkid_state[i] != HKID_RESERVED;
}
