// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses the page pairs: each installed pair is divided over the pages in use
 * in its region (share_out.h).
 */
#include "exec/share_out.h"
#include "exec/world.h"

#include <math.h>

#define PAIR_BYTES (2 * PAGE_SIZE)
#define REGION_PAGES (1u << TDX_LEVEL_BITS)

static unsigned int find_share(const struct world_share *share, unsigned int nr, u64 tdr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (share[i].tdr == tdr)
			return i;
	return nr;
}

/* Users of one region: at most as many owners as pages. */
struct region_users {
	unsigned int nr, total;
	struct {
		unsigned int share;
		unsigned int pages;
	} user[REGION_PAGES];
};

static void count_users(struct world *w, u64 hpa, const struct world_share *share,
			unsigned int nr, struct region_users *u)
{
	struct emu_region_page page[REGION_PAGES];
	unsigned int i, j, s;

	u->nr = u->total = 0;
	if (emu_region_pages(&w->module, hpa, page))
		return;
	for (i = 0; i < REGION_PAGES; i++) {
		if (page[i].type == EMU_PT_NDA || page[i].type == EMU_PT_RSVD)
			continue;
		/* A TDR owns itself. */
		s = find_share(share, nr,
			       page[i].type == EMU_PT_TDR ? hpa + ((u64)i << PAGE_SHIFT) : page[i].owner);
		u->total++;
		for (j = 0; j < u->nr && u->user[j].share != s; j++)
			;
		if (j == u->nr) {
			u->user[u->nr].share = s;
			u->user[u->nr++].pages = 0;
		}
		u->user[j].pages++;
	}
}

static void divide(const struct region_users *u, struct world_share *share)
{
	static u64 *bytes[REGION_PAGES], rem[REGION_PAGES];
	static unsigned int pages[REGION_PAGES];
	unsigned int j;

	for (j = 0; j < u->nr; j++) {
		share[u->user[j].share].pages += u->user[j].pages;
		bytes[j] = &share[u->user[j].share].bytes;
		pages[j] = u->user[j].pages;
	}
	share_out(PAIR_BYTES, u->nr, pages, bytes, rem);
}

u64 world_shares(struct world *w, struct world_share *share, unsigned int nr)
{
	static struct region_users u;
	struct emu_page_info info;
	u64 total = 0, hpa;
	unsigned long r;

	for (r = 0; r < w->pamt.nr_regions && w->pamt.ops->dynamic; r++) {
		hpa = pamt_region_hpa(&w->pamt, r);
		if (emu_page_info(&w->module, hpa, &info) || !info.has_pair)
			continue;
		total += PAIR_BYTES;
		count_users(w, hpa, share, nr, &u);
		if (u.total)
			divide(&u, share);
		else
			share[nr].bytes += PAIR_BYTES;
	}
	return total;
}

double world_lone_pct(struct world *w)
{
	struct emu_region_page page[REGION_PAGES];
	unsigned long r, with_pair = 0, lone = 0;
	struct emu_page_info info;

	/* Without a pair per region in use there is nothing to go by. */
	if (!w->pamt.ops->users)
		return NAN;
	for (r = 0; r < w->pamt.nr_regions; r++) {
		u64 hpa = pamt_region_hpa(&w->pamt, r);
		unsigned int i, used = 0, guest = 0;

		if (emu_page_info(&w->module, hpa, &info) || !info.has_pair ||
		    emu_region_pages(&w->module, hpa, page))
			continue;
		for (i = 0; i < REGION_PAGES; i++) {
			used += page[i].type != EMU_PT_NDA && page[i].type != EMU_PT_RSVD;
			guest += page[i].type == EMU_PT_REG;
		}
		with_pair++;
		lone += used == 1 && guest == 1;
	}
	return with_pair ? 100.0 * lone / with_pair : 0;
}
