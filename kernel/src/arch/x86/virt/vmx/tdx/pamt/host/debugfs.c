// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/tdx_pamt/: which strategy is in force (and switching it), its
 * statistics and histograms, what the memory is used for, how the pages in use
 * lie, and an audit of the counts against the TDX module. A line is "key value";
 * what exists is documented in Documentation/ABI/testing/debugfs-tdx-pamt.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/tdx.h>

#include "../../seamcall_internal.h"
#include "../../tdx.h"
#include "host.h"

/* ------------------------------------------------------------- strategy */

/* As the kernel's other choices: all that can be had, the one in force in brackets. */
static int strategy_show(struct seq_file *m, void *unused)
{
	const struct pamt_ops *ops, *now;
	unsigned int i;

	guard(mutex)(&pamt_host_mutex);
	now = pamt_host.ops;
	for (i = 0; (ops = pamt_ops_at(i)); i++) {
		bool can = pamt_host.pamt && pamt_host_switchable(now) && pamt_host_switchable(ops);

		if (ops == now)
			seq_printf(m, "[%s] ", ops->name);
		else if (can)
			seq_printf(m, "%s ", ops->name);
	}
	seq_putc(m, '\n');
	return 0;
}

static int strategy_open(struct inode *inode, struct file *file)
{
	return single_open(file, strategy_show, NULL);
}

static ssize_t strategy_write(struct file *file, const char __user *buf, size_t count,
			      loff_t *pos)
{
	const struct pamt_ops *ops;
	char name[32];
	int err;

	if (count >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buf, count))
		return -EFAULT;
	name[count] = '\0';
	ops = pamt_find_ops(strim(name));
	if (!ops)
		return -EINVAL;
	err = pamt_host_switch(ops);
	return err ?: count;
}

static const struct file_operations strategy_fops = {
	.owner = THIS_MODULE,
	.open = strategy_open,
	.read = seq_read,
	.write = strategy_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* ------------------------------------------------ statistics, histograms */

static const char *const leaf_names[PAMT_NR_LEAVES] = {
	[PAMT_LEAF_ADD] = "add",
	[PAMT_LEAF_REMOVE] = "remove",
	[PAMT_LEAF_DEMOTE] = "demote",
	[PAMT_LEAF_PROMOTE] = "promote",
};

static const char *const operand_names[PAMT_NR_OPERANDS] = {
	[PAMT_BUSY_REGION] = "region",
	[PAMT_BUSY_PAGE] = "page",
	[PAMT_BUSY_OTHER] = "other",
};

/* The sum over CPUs, NULL with *@err set; a host without Dynamic PAMT has all zeros. */
static struct pamt_stats *sum_stats(int *err)
{
	struct pamt_stats *s = kvzalloc_obj(*s);

	*err = s ? 0 : -ENOMEM;
	if (s) {
		guard(mutex)(&pamt_host_mutex);
		if (pamt_host.pamt)
			pamt_stats_sum(pamt_host.pamt, s);
	}
	return s;
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct pamt_host_calls calls;
	unsigned int i, j;
	int err;
	struct pamt_stats *s = sum_stats(&err);

	if (!s)
		return err;
	if (static_key_enabled(&pamt_host_counting.key)) {
		pamt_host_sum_calls(&calls);
		seq_printf(m, "get %llu\nput %llu\n", calls.get, calls.put);
	}
	seq_printf(m, "get_slow %llu\nput_slow %llu\n", s->get_slow, s->put_slow);
	seq_printf(m, "install %llu\nremove %llu\n", s->install, s->remove);
	seq_printf(m, "lost_race %llu\nretained_hit %llu\n", s->lost_race, s->retained_hit);
	seq_printf(m, "leaked %llu\nget_failed %llu\n", s->leaked, s->get_failed);
	for (i = 0; i < PAMT_NR_LEAVES; i++) {
		seq_printf(m, "seamcall_%s %llu\n", leaf_names[i], s->seamcall[i]);
		for (j = 0; j < PAMT_NR_OPERANDS; j++)
			seq_printf(m, "busy_%s_%s %llu\n", leaf_names[i], operand_names[j],
				   s->busy[i][j]);
	}
	seq_printf(m, "wait_count_false %llu\nwait_count_true %llu\n", s->wait_count[0],
		   s->wait_count[1]);
	seq_printf(m, "wait_ns_false %llu\nwait_ns_true %llu\n", s->wait_ns[0], s->wait_ns[1]);
	seq_printf(m, "wait_max_ns %llu\nirqoff_max_ns %llu\n", s->wait.max_ns, s->irqoff_max_ns);
	kvfree(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/* "low count" for each bin that is not empty: the bin's smallest value, in ns. */
static void show_hist(struct seq_file *m, const char *name, const struct pamt_hist *h)
{
	unsigned int i;

	seq_printf(m, "histogram %s sub_bits %u max_bits %u sum_ns %llu max_ns %llu\n", name,
		   PAMT_HIST_SUB, PAMT_HIST_MAX, h->sum_ns, h->max_ns);
	for (i = 0; i < PAMT_HIST_BINS; i++)
		if (h->bin[i])
			seq_printf(m, "%llu %u\n", pamt_hist_low(i), h->bin[i]);
}

static int histograms_show(struct seq_file *m, void *unused)
{
	int err;
	struct pamt_stats *s = sum_stats(&err);

	if (!s)
		return err;
	show_hist(m, "wait", &s->wait);
	show_hist(m, "get", &s->get_ns);
	show_hist(m, "put", &s->put_ns);
	kvfree(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(histograms);

/*
 * Statistics since boot, or since the strategy was switched, are set to zero. CPUs
 * may be counting: what they count meanwhile may get lost. The number of pairs is
 * the difference of the first two counters: those are not written.
 */
static ssize_t reset_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	unsigned int cpu;

	static_assert(offsetofend(struct pamt_stats, remove) == 2 * sizeof(u64));
	guard(mutex)(&pamt_host_mutex);
	if (!pamt_host.pamt)
		return -ENODEV;
	for_each_possible_cpu(cpu) {
		memset_after(per_cpu_ptr(pamt_host.pamt->stats, cpu), 0, remove);
		memset(per_cpu_ptr(&pamt_host_calls, cpu), 0, sizeof(struct pamt_host_calls));
	}
	return count;
}

static const struct file_operations reset_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = reset_write,
	.llseek = noop_llseek,
};

static int count_get(void *data, u64 *on)
{
	*on = static_key_enabled(&pamt_host_counting.key);
	return 0;
}

static int count_set(void *data, u64 on)
{
	if (on > 1)
		return -EINVAL;
	guard(mutex)(&pamt_host_mutex);
	if (!pamt_host.pamt)
		return -ENODEV;
	pamt_host_count(on);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(count_fops, count_get, count_set, "%llu\n");

/* -------------------------------------------------------------- memory */

static int memory_show(struct seq_file *m, void *unused)
{
	u64 pairs, words, saved, used, stats = 0;

	guard(mutex)(&pamt_host_mutex);
	pairs = pamt_host_pairs();
	words = (u64)pamt_host.words.nr_pages << PAGE_SHIFT;
	used = pamt_host.boot_bytes + pairs * sizeof_field(struct pamt_pair, hpa) / sizeof(u64) *
					      PAGE_SIZE + words;
	if (pamt_host.pamt) {
		stats = num_possible_cpus() * sizeof(struct pamt_stats);
		used += pamt_host.pamt->strategy_bytes + stats;
	}
	saved = pamt_host.static_bytes > used ? pamt_host.static_bytes - used : 0;
	seq_printf(m, "static_bytes %llu\n", pamt_host.static_bytes);
	seq_printf(m, "boot_bytes %llu\nbitmap_bytes %llu\n", pamt_host.boot_bytes,
		   pamt_host.bitmap_bytes);
	seq_printf(m, "pairs %llu\npair_bytes %llu\n", pairs, 2 * pairs * PAGE_SIZE);
	seq_printf(m, "count_bytes %llu\n", words);
	seq_printf(m, "strategy_bytes %zu\n", pamt_host.pamt ? pamt_host.pamt->strategy_bytes : 0);
	seq_printf(m, "stats_bytes %llu\nsaved_bytes %llu\n", stats, saved);
	seq_printf(m, "tds %u\n", pamt_host.nr_tds);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(memory);

/* ----------------------------------------------------------- placement */

static int placement_show(struct seq_file *m, void *unused)
{
	struct pamt_placement at;
	unsigned int i;
	int err;

	guard(mutex)(&pamt_host_mutex);
	if (!pamt_host.pamt)
		return -ENODEV;
	err = pamt_host_placement(&at);
	if (err)
		return err;
	seq_printf(m, "regions %llu\nused %llu\nlone %llu\nusers %llu\n", at.regions, at.used,
		   at.lone, at.users);
	for (i = 0; i < PAMT_PLACEMENT_BINS; i++)
		seq_printf(m, "used_%u %llu\n", 1U << i, at.bin[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(placement);

/* --------------------------------------------------------------- audit */

static int audit_show(struct seq_file *m, void *unused)
{
	struct pamt_audit a;
	int err = pamt_host_audit(&a);

	if (err)
		return err;
	seq_printf(m, "regions %lu\ncounted %lu\nreferences %lu\nwith_pair %lu\n", a.regions,
		   a.counted, a.references, a.with_pair);
	seq_printf(m, "unreadable %lu\nmismatches %lu\n", a.unreadable, a.mismatches);
	if (a.mismatches)
		seq_printf(m, "first 0x%llx\n", a.first);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(audit);

static int __init pamt_debugfs_init(void)
{
	struct dentry *dir;

	/* The TDX module is initialised by now, or never. */
	if (!pamt_host.boot_bytes)
		return 0;
	dir = debugfs_create_dir("tdx_pamt", NULL);
	debugfs_create_file("strategy", 0600, dir, NULL, &strategy_fops);
	debugfs_create_file("stats", 0400, dir, NULL, &stats_fops);
	debugfs_create_file("histograms", 0400, dir, NULL, &histograms_fops);
	debugfs_create_file("reset", 0200, dir, NULL, &reset_fops);
	debugfs_create_file_unsafe("count", 0600, dir, NULL, &count_fops);
	debugfs_create_file("memory", 0400, dir, NULL, &memory_fops);
	debugfs_create_file("placement", 0400, dir, NULL, &placement_fops);
	debugfs_create_file("audit", 0400, dir, NULL, &audit_fops);
	return 0;
}
late_initcall(pamt_debugfs_init);
