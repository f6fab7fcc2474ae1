// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs tdx_emu/regions: whose the pages are that the module has, by 2M region,
 * for whoever divides the cost of page pairs over TDs.
 *
 *	td TDR NUMBER			a TD, with what its VMM put first into MROWNERCONFIG
 *	region PA PAIR TDR=PAGES..	with a pair (1) or without (0), and 4K pages by owner
 *
 * Addresses are hexadecimal. A TDR page is its own TD's. Exact while no SEAMCALL is
 * under way. One region is shown at a time, so that a large host needs no large buffer.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "emu.h"
#include "module/abi.h"

struct region_owners {
	struct emu_region_page page[EMU_ENTRIES];
	/* Owners found in the region at hand, and their pages. */
	u64 owner[EMU_ENTRIES];
	unsigned int pages[EMU_ENTRIES];
};

static u64 end_of_memory(void)
{
	return PFN_PHYS(max_pfn);
}

static void *regions_at(loff_t *pos)
{
	u64 pa = (u64)*pos * EMU_2M_SIZE;

	return pa < end_of_memory() ? pos : NULL;
}

static void *regions_start(struct seq_file *s, loff_t *pos)
{
	return READ_ONCE(emu_module.ready) ? regions_at(pos) : NULL;
}

static void *regions_next(struct seq_file *s, void *v, loff_t *pos)
{
	++*pos;
	return regions_at(pos);
}

static void regions_stop(struct seq_file *s, void *v)
{
}

static void show_td(struct seq_file *s, u64 tdr)
{
	u64 number;

	if (!emu_td_owner_config(&emu_module, tdr, &number))
		seq_printf(s, "td 0x%llx %llu\n", tdr, number);
}

static unsigned int count_owner(struct region_owners *o, unsigned int nr, u64 owner)
{
	unsigned int i;

	for (i = 0; i < nr && o->owner[i] != owner; i++)
		;
	if (i == nr) {
		o->owner[nr] = owner;
		o->pages[nr++] = 0;
	}
	o->pages[i]++;
	return nr;
}

static int regions_show(struct seq_file *s, void *v)
{
	struct region_owners *o = s->private;
	u64 pa = (u64)*(loff_t *)v * EMU_2M_SIZE;
	struct emu_page_info info;
	unsigned int i, nr = 0;

	if (emu_page_info(&emu_module, pa, &info) || emu_region_pages(&emu_module, pa, o->page))
		return 0;
	for (i = 0; i < EMU_ENTRIES; i++) {
		if (o->page[i].type == EMU_PT_NDA || o->page[i].type == EMU_PT_RSVD)
			continue;
		if (o->page[i].type == EMU_PT_TDR)
			show_td(s, pa + i * EMU_4K_SIZE);
		nr = count_owner(o, nr, o->page[i].owner);
	}
	if (!nr && !info.has_pair)
		return 0;
	seq_printf(s, "region 0x%llx %u", pa, info.has_pair);
	for (i = 0; i < nr; i++)
		seq_printf(s, " 0x%llx=%u", o->owner[i], o->pages[i]);
	seq_putc(s, '\n');
	return 0;
}

static const struct seq_operations regions_ops = {
	.start = regions_start,
	.next = regions_next,
	.stop = regions_stop,
	.show = regions_show,
};

static int regions_open(struct inode *inode, struct file *file)
{
	return __seq_open_private(file, &regions_ops, sizeof(struct region_owners)) ? 0 : -ENOMEM;
}

static const struct file_operations regions_fops = {
	.owner = THIS_MODULE,
	.open = regions_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

void emu_regions_setup(struct dentry *folder)
{
	debugfs_create_file("regions", 0400, folder, NULL, &regions_fops);
}
