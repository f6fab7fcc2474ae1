// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs tdx_emu/: census, what the module owns, counted from its PAMT; events,
 * what it has seen that must never happen; inject, fault injection (inject.c); tds and
 * guard, whose the pages are (owners.c); regions, the same by 2M region (regions.c).
 * The counts are exact while no SEAMCALL is under way; after the last TD all but
 * "reserved" are 0.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include "emu.h"

static int census_show(struct seq_file *s, void *unused)
{
	struct emu_census c;

	if (!READ_ONCE(emu_module.ready))
		return -ENXIO;
	emu_census(&emu_module, &c);
	seq_printf(s, "tdr %llu\n", c.pages[EMU_PT_TDR]);
	seq_printf(s, "tdcx %llu\n", c.pages[EMU_PT_TDCX]);
	seq_printf(s, "tdvpr %llu\n", c.pages[EMU_PT_TDVPR]);
	seq_printf(s, "sept %llu\n", c.pages[EMU_PT_EPT]);
	seq_printf(s, "private %llu\n", c.pages[EMU_PT_REG]);
	seq_printf(s, "pairs %llu\n", c.pairs);
	seq_printf(s, "pamt_pages %llu\n", c.bitmap_pages);
	seq_printf(s, "hkids %llu\n", c.hkids);
	seq_printf(s, "locked %llu\n", c.locked);
	seq_printf(s, "reserved %llu\n", c.pages[EMU_PT_RSVD]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(census);

/* What must never happen, counted since the boot. */
static int events_show(struct seq_file *s, void *unused)
{
	static const char * const names[EMU_NR_EVENTS] = {
		[EMU_EVENT_STALE_TLB] = "stale_tlb", [EMU_EVENT_OWNERSHIP] = "ownership",
		[EMU_EVENT_CONTENTS] = "contents",   [EMU_EVENT_IMAGE] = "image",
		[EMU_EVENT_FATAL] = "fatal",
	};
	unsigned int i;

	for (i = 0; i < EMU_NR_EVENTS; i++)
		seq_printf(s, "%s %u\n", names[i], READ_ONCE(emu_module.events[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(events);

static int __init emu_debugfs_setup(void)
{
	struct dentry *folder;

	if (!emu_module.mem)
		return 0;
	folder = debugfs_create_dir("tdx_emu", NULL);
	debugfs_create_file("census", 0400, folder, NULL, &census_fops);
	debugfs_create_file("events", 0400, folder, NULL, &events_fops);
	emu_inject_setup(folder);
	emu_owners_setup(folder);
	emu_regions_setup(folder);
	return 0;
}
late_initcall(emu_debugfs_setup);
