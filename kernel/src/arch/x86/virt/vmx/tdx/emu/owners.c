// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose the module's pages are: debugfs tdx_emu/tds has a line per TD; a line in the log
 * tells of a TD that cannot be taken down because pages of it are left; tdx_emu/guard
 * tells how many pages of the module the kernel could read (guard.c).
 *
 * All of it is a walk over the regions that have PAMT. Exact while no SEAMCALL runs.
 */
#define pr_fmt(fmt) "tdx_emu: " fmt

#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "emu.h"

/* Pages of one TD, by enum emu_page_type. */
struct owner {
	u64 tdr;
	u32 pages[16];
};

struct walk {
	struct owner owner[EMU_MAX_HKIDS];
	unsigned int nr;
	bool look;		/* whether the kernel can read them */
	u64 owned, readable;
	struct emu_region_page page[EMU_ENTRIES];
};

static struct owner *find_owner(struct walk *w, u64 tdr)
{
	unsigned int i;

	for (i = 0; i < w->nr; i++)
		if (w->owner[i].tdr == tdr)
			return &w->owner[i];
	if (w->nr == ARRAY_SIZE(w->owner))
		return NULL;
	w->owner[w->nr] = (struct owner){ .tdr = tdr };
	return &w->owner[w->nr++];
}

static void walk_region(struct walk *w, u64 pa)
{
	unsigned int i;

	if (emu_region_pages(&emu_module, pa, w->page))
		return;
	for (i = 0; i < EMU_ENTRIES; i++) {
		const struct emu_region_page *p = &w->page[i];
		struct owner *o;

		if (p->type == EMU_PT_NDA || p->type == EMU_PT_RSVD)
			continue;
		w->owned++;
		w->readable += w->look && emu_guard_readable(pa + i * EMU_4K_SIZE);
		o = find_owner(w, p->owner);
		if (o)
			o->pages[p->type & 15]++;
	}
}

static void walk_all(struct walk *w)
{
	unsigned int t;
	u64 pa;

	for (t = 0; t < emu_module.nr_tdmrs; t++) {
		const struct emu_tdmr *tdmr = &emu_module.tdmr[t];

		for (pa = tdmr->base; pa < tdmr->base + tdmr->initialised; pa += EMU_2M_SIZE) {
			struct emu_page_info info;

			if (!emu_page_info(&emu_module, pa, &info) && info.level == EMU_LEVEL_4K)
				walk_region(w, pa);
		}
	}
}

/* --------------------------------------------------------------- debugfs */

static int tds_show(struct seq_file *s, void *unused)
{
	struct walk *w = kzalloc_obj(*w);
	unsigned int i;

	if (!w)
		return -ENOMEM;
	walk_all(w);
	for (i = 0; i < w->nr; i++) {
		const struct owner *o = &w->owner[i];

		seq_printf(s, "0x%llx tdr %u tdcx %u tdvpr %u sept %u private %u\n", o->tdr,
			   o->pages[EMU_PT_TDR], o->pages[EMU_PT_TDCX], o->pages[EMU_PT_TDVPR],
			   o->pages[EMU_PT_EPT], o->pages[EMU_PT_REG]);
	}
	kfree(w);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tds);

static int guard_show(struct seq_file *s, void *unused)
{
	struct walk *w = kzalloc_obj(*w);

	if (!w)
		return -ENOMEM;
	w->look = true;
	walk_all(w);
	seq_printf(s, "guard %d\nowned %llu\nreadable %llu\n", emu_guard_is_on, w->owned,
		   w->readable);
	kfree(w);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(guard);

void __init emu_owners_setup(struct dentry *folder)
{
	debugfs_create_file("tds", 0400, folder, NULL, &tds_fops);
	debugfs_create_file("guard", 0400, folder, NULL, &guard_fops);
}

/* ---------------------------------------------------------------- the log */

void emu_tell_left(u64 tdr)
{
	/* Interrupts are off. One teller at a time: the other's TD is in tds. */
	static struct walk w;
	static unsigned long busy;
	const struct owner *o;

	if (test_and_set_bit_lock(0, &busy))
		return;
	memset(&w, 0, sizeof(w));
	walk_all(&w);
	o = find_owner(&w, tdr);
	if (o)
		pr_err("TD 0x%llx is not gone: the module still has %u tdcx, %u tdvpr, %u sept, %u private\n",
		       tdr, o->pages[EMU_PT_TDCX], o->pages[EMU_PT_TDVPR], o->pages[EMU_PT_EPT],
		       o->pages[EMU_PT_REG]);
	clear_bit_unlock(0, &busy);
}
