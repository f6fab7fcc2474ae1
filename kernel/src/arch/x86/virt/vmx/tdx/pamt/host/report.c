// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of Dynamic PAMT on this host: the number of pairs, the counts
 * against what the TDX module says, and the few facts that have a place in sysfs,
 * for users without debugfs.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/sysfs.h>
#include <asm/tdx.h>
#include <asm/tdx_pamt.h>

#include "../../seamcall_internal.h"
#include "../../tdx.h"
#include "host.h"

/* TDH.PHYMEM.PAGE.RDMD: the type's low bits; the answer of an entry that has a pair. */
#define RDMD_TYPE GENMASK_ULL(7, 0)
#define RDMD_PT_PAMT 15
/* Regions to ask about with the mutex held: a SEAMCALL each. */
#define AUDIT_BATCH 256

u64 pamt_host_pairs(void)
{
	unsigned int cpu;
	s64 pairs = 0;

	lockdep_assert_held(&pamt_host_mutex);
	if (!pamt_host.pamt)
		return 0;
	if (pamt_host.pamt->ops->preinstalled)
		return pamt_host.preinstalled;
	for_each_possible_cpu(cpu) {
		const struct pamt_stats *s = per_cpu_ptr(pamt_host.pamt->stats, cpu);

		pairs += READ_ONCE(s->install) - READ_ONCE(s->remove);
	}
	/* A pair may have been put into place on a CPU seen before, and taken on this one. */
	return max(pairs, 0);
}

static u64 read_entry(struct pamt *p, unsigned long region, void *type)
{
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | TDX_PS_2M,
	};
	u64 status = seamcall_ret(TDH_PHYMEM_PAGE_RDMD, &args);

	*(u64 *)type = args.rcx & RDMD_TYPE;
	return status;
}

bool pamt_host_count(bool on)
{
	unsigned int cpu;

	lockdep_assert_held(&pamt_host_mutex);
	if (on == static_key_enabled(&pamt_host_counting.key))
		return false;
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(&pamt_host_calls, cpu), 0, sizeof(struct pamt_host_calls));
	if (on)
		static_branch_enable(&pamt_host_counting);
	else
		static_branch_disable(&pamt_host_counting);
	return true;
}

void pamt_host_sum_calls(struct pamt_host_calls *sum)
{
	unsigned int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		sum->get += per_cpu(pamt_host_calls, cpu).get;
		sum->put += per_cpu(pamt_host_calls, cpu).put;
	}
}

int pamt_host_placement(struct pamt_placement *at)
{
	struct pamt *p = pamt_host.pamt;
	unsigned int r, users;
	unsigned long i;

	lockdep_assert_held(&pamt_host_mutex);
	memset(at, 0, sizeof(*at));
	if (!p->ops->users)
		return -EOPNOTSUPP;
	for (r = 0; r < p->nr_ranges; r++) {
		for (i = p->ranges[r].first; i < p->ranges[r].end; i++) {
			at->regions++;
			users = p->ops->users(p, i);
			if (!users)
				continue;
			at->used++;
			at->lone += users == 1;
			at->users += users;
			at->bin[min(fls(users) - 1, PAMT_PLACEMENT_BINS - 1)]++;
		}
		cond_resched();
	}
	return 0;
}

/* 1: the module has a pair for @region; 0: it has none; -EIO: it does not say. */
static int module_has_pair(struct pamt *p, unsigned long region)
{
	u64 type;

	if (pamt_seamcall_beside(p, region, read_entry, &type))
		return -EIO;
	return type == RDMD_PT_PAMT;
}

static void audit_region(struct pamt *p, unsigned long region, struct pamt_audit *a)
{
	unsigned int users = p->ops->users ? p->ops->users(p, region) : 0;
	int pair = module_has_pair(p, region);

	a->regions++;
	a->counted += !!users;
	a->references += users;
	if (pair < 0) {
		a->unreadable++;
		return;
	}
	a->with_pair += pair;
	/* A strategy may retain the pair of a region without users. */
	if (!p->ops->users || (users && pair) || (!users && (!pair || p->ops->drop)))
		return;
	if (!a->mismatches++)
		a->first = pamt_region_hpa(p, region);
}

/* AUDIT_BATCH regions from @next on. 1: there are more; 0: there are not; or -ENODEV. */
static int audit_some(unsigned long *next, struct pamt_audit *a)
{
	unsigned int r, n = 0;
	unsigned long i;
	struct pamt *p;

	guard(mutex)(&pamt_host_mutex);
	p = pamt_host.pamt;
	if (!p)
		return -ENODEV;
	for (r = 0; r < p->nr_ranges; r++) {
		for (i = max(*next, p->ranges[r].first); i < p->ranges[r].end; i++) {
			if (n++ == AUDIT_BATCH) {
				*next = i;
				return 1;
			}
			audit_region(p, i, a);
		}
	}
	return 0;
}

int pamt_host_audit(struct pamt_audit *a)
{
	unsigned long next = 0;
	int more;

	memset(a, 0, sizeof(*a));
	while ((more = audit_some(&next, a)) > 0)
		cond_resched();
	return more;
}

/* ----------------------------------------------------------------- sysfs */

static ssize_t strategy_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	guard(mutex)(&pamt_host_mutex);
	return sysfs_emit(buf, "%s\n", pamt_host.ops ? pamt_host.ops->name : "static");
}
static DEVICE_ATTR_RO(strategy);

static ssize_t pairs_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	guard(mutex)(&pamt_host_mutex);
	return sysfs_emit(buf, "%llu\n", pamt_host_pairs());
}
static DEVICE_ATTR_RO(pairs);

static ssize_t boot_bytes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pamt_host.boot_bytes);
}
static DEVICE_ATTR_RO(boot_bytes);

static ssize_t static_bytes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pamt_host.static_bytes);
}
static DEVICE_ATTR_RO(static_bytes);

static struct attribute *pamt_attrs[] = {
	&dev_attr_strategy.attr,
	&dev_attr_pairs.attr,
	&dev_attr_boot_bytes.attr,
	&dev_attr_static_bytes.attr,
	NULL,
};

const struct attribute_group tdx_pamt_group = {
	.name = "pamt",
	.attrs = pamt_attrs,
};
EXPORT_SYMBOL_FOR_MODULES(tdx_pamt_group, "tdx-host");
