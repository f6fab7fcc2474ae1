// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bringing a host up and down, the services that the strategies ask of their
 * surroundings (SEAMCALL wrappers, page pairs), and the audit of a host at rest.
 */
#include "exec/world.h"

#include <stdio.h>

#include "shim_exec.h"
#include "shim_runtime.h"
#include "emu/module/leaves.h"

/* First physical byte of the PAMT areas; below lies what firmware keeps. */
#define WORLD_PAMT_BASE (1UL << 16)
#define WORLD_HKID_SHIFT 46
#define WORLD_FIRST_HKID 32
#define WORLD_NR_HKIDS 32

/* ------------------------------------------------------------- SEAMCALLs */

static void module_hold(struct emu_module *m, const struct emu_call *c)
{
	struct world *w = m->priv;

	w->hooks.hold(w, c);
}

static u64 module_inject(struct emu_module *m, const struct emu_call *c)
{
	struct world *w = m->priv;

	return w->hooks.inject(w, c);
}

u64 world_seamcall(struct world *w, u64 leaf, struct tdx_module_args *args)
{
	world_this_cpu(w)->seamcalls++;
	return emu_seamcall(&w->module, leaf, args);
}

int world_error(struct world *w, const char *leaf, u64 status)
{
	if (!__atomic_fetch_add(&w->errors, 1, __ATOMIC_RELAXED))
		snprintf(w->error, sizeof(w->error), "%s answered %#llx", leaf,
			 (unsigned long long)status);
	return -EIO;
}

u64 tdh_phymem_pamt_add(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct world *w = world_of(p);
	struct tdx_module_args args = {
		.rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M,
		.rdx = pair->hpa[0],
		.r8 = pair->hpa[1],
	};
	u64 status = world_seamcall(w, EMU_TDH_PHYMEM_PAMT_ADD, &args);

	if (!status)
		world_pair_event(w, 1);
	return status;
}

u64 tdh_phymem_pamt_remove(struct pamt *p, unsigned long region, struct pamt_pair *pair)
{
	struct world *w = world_of(p);
	struct tdx_module_args args = { .rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M };
	u64 status = world_seamcall(w, EMU_TDH_PHYMEM_PAMT_REMOVE, &args);

	if (!status) {
		pair->hpa[0] = args.rdx;
		pair->hpa[1] = args.r8;
		world_pair_event(w, -1);
	}
	return status;
}

void world_pair_event(struct world *w, int delta)
{
	if (w->hooks.pair)
		w->hooks.pair(w, delta);
}

/* ------------------------------------------------------------ page supply */

/*
 * Fault the backing of a page in, outside whatever is being timed. Where time is virtual
 * nothing needs it: the access is made, the memory stays as it is.
 */
static void touch_backing(struct world *w, u64 hpa)
{
	u64 *word = (u64 *)(w->phys.mem + hpa);

#if defined(SHIM_YIELD) && !defined(SHIM_TSAN)
	SHIM_ACCESS(word, SHIM_WRITE, __ATOMIC_RELAXED);
#else
	WRITE_ONCE(*word, 0);
#endif
}

/* The time of an allocation that may have refilled this CPU's list since @refills. */
static void spend_alloc(struct world *w, u64 refills)
{
	world_spend(w, COST_page_alloc);
	for (; refills != w->phys.cpu[shim_cpu].refills; refills++)
		world_spend(w, COST_cache_refill);
}

static u64 supply_page(struct world *w)
{
	u64 refills = w->phys.cpu[shim_cpu].refills, hpa = phys_alloc_kernel(&w->phys);

	spend_alloc(w, refills);
	return hpa;
}

u64 world_guest_page(struct world *w, unsigned int td, u64 gfn, u64 *chunk)
{
	u64 refills = w->phys.cpu[shim_cpu].refills;
	u64 hpa = phys_alloc_guest(&w->phys, td, gfn, chunk);

	spend_alloc(w, refills);
	return hpa;
}

int world_fill(struct world *w, struct pamt_cache *cache, u64 *page, unsigned int *nr,
	       unsigned int want)
{
	while (*nr < want) {
		u64 refills = w->phys.cpu[shim_cpu].refills;
		u64 hpa = phys_alloc_kernel(&w->phys);

		if (!hpa)
			return -ENOMEM;
		touch_backing(w, hpa);
		page[(*nr)++] = hpa;
		cache->owed++;
		cache->owed_refills += w->phys.cpu[shim_cpu].refills - refills;
	}
	return 0;
}

int world_topup(struct world *w, struct pamt_cache *cache, unsigned int want)
{
	return world_fill(w, cache, cache->page, &cache->nr, want);
}

void world_settle(struct world *w, struct pamt_cache *cache)
{
	for (; cache->owed; cache->owed--)
		world_spend(w, COST_page_alloc);
	for (; cache->owed_refills; cache->owed_refills--)
		world_spend(w, COST_cache_refill);
}

void world_cache_drain(struct world *w, struct pamt_cache *cache)
{
	while (cache->nr)
		phys_free_kernel(&w->phys, cache->page[--cache->nr]);
}

/* A simulated CPU pays for the pair that it takes or returns, too: the count and two pages. */
static __always_inline void touch_cache(struct pamt_cache *cache, int kind)
{
	SHIM_ACCESS(&cache->nr, SHIM_READ, __ATOMIC_RELAXED);
	SHIM_ACCESS(&cache->page[cache->nr], kind, __ATOMIC_RELAXED);
	SHIM_ACCESS(&cache->page[cache->nr + 1], kind, __ATOMIC_RELAXED);
	SHIM_ACCESS(&cache->nr, SHIM_WRITE, __ATOMIC_RELAXED);
}

int pamt_pair_alloc(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair)
{
	struct world *w = world_of(p);

	if (w->hooks.fail_alloc && w->hooks.fail_alloc(w))
		return -ENOMEM;
	if (likely(cache && cache->nr >= 2)) {
		pair->hpa[0] = cache->page[--cache->nr];
		pair->hpa[1] = cache->page[--cache->nr];
		touch_cache(cache, SHIM_READ);
		return 0;
	}
	/* A cache was filled for all that its owner may need: it must not be short (R11). */
	WARN_ON_ONCE(cache);
	pair->hpa[0] = supply_page(w);
	pair->hpa[1] = pair->hpa[0] ? supply_page(w) : 0;
	if (likely(pair->hpa[1]))
		return 0;
	if (pair->hpa[0])
		phys_free_kernel(&w->phys, pair->hpa[0]);
	return -ENOMEM;
}

void pamt_pair_free(struct pamt *p, struct pamt_cache *cache, struct pamt_pair *pair)
{
	struct world *w = world_of(p);

	if (likely(cache && cache->nr + 2 <= WORLD_CACHE_PAGES)) {
		touch_cache(cache, SHIM_WRITE);
		cache->page[cache->nr++] = pair->hpa[1];
		cache->page[cache->nr++] = pair->hpa[0];
		return;
	}
	world_spend(w, COST_page_free);
	world_spend(w, COST_page_free);
	phys_free_kernel(&w->phys, pair->hpa[0]);
	phys_free_kernel(&w->phys, pair->hpa[1]);
}

/* ------------------------------------------------------------- references */

static void account(struct world *w, u64 start)
{
	struct world_cpu *c = world_this_cpu(w);
	u64 ns = shim_clock() - start;

	if (unlikely(ns > w->stall_ns)) {
		c->stalls++;
		return;
	}
	c->pamt_ns += ns > w->clock_cost_ns ? ns - w->clock_cost_ns : 0;
}

int world_get(struct world *w, u64 hpa, struct pamt_cache *cache)
{
	struct pamt *p = &w->pamt;
	u64 start = shim_clock();
	int err = p->ops->get(p, pamt_region(p, hpa), cache);

	account(w, start);
	world_this_cpu(w)->gets++;
	return err;
}

void world_put(struct world *w, u64 hpa)
{
	struct pamt *p = &w->pamt;
	u64 start = shim_clock();

	p->ops->put(p, pamt_region(p, hpa));
	account(w, start);
	world_this_cpu(w)->puts++;
}

u64 world_control_alloc(struct world *w, struct pamt_cache *cache)
{
	u64 hpa;

	if (world_topup(w, cache, 3))
		return 0;
	world_settle(w, cache);
	hpa = cache->page[--cache->nr];
	if (!world_get(w, hpa, cache))
		return hpa;
	phys_free_kernel(&w->phys, hpa);
	return 0;
}

void world_control_free(struct world *w, u64 hpa)
{
	world_put(w, hpa);
	phys_free_kernel(&w->phys, hpa);
}

/* ---------------------------------------------------------- up and down */

static u64 area(u64 *at, u64 bytes)
{
	u64 base = *at;

	*at = ALIGN(base + bytes, PAGE_SIZE);
	return base;
}

/* Lay the PAMT areas out from WORLD_PAMT_BASE; returns where they end. */
static u64 lay_out_pamt(struct emu_tdmr *t, u64 host, bool dynamic)
{
	u64 at = WORLD_PAMT_BASE, pages = host >> PAGE_SHIFT;

	*t = (struct emu_tdmr){ .size = host };
	t->pamt_1g_size = ALIGN((host >> EMU_1G_SHIFT) * 16, PAGE_SIZE);
	t->pamt_2m_size = ALIGN((host >> EMU_2M_SHIFT) * 16, PAGE_SIZE);
	t->pamt_4k_size = ALIGN(dynamic ? DIV_ROUND_UP(pages, 8) : pages * 16, PAGE_SIZE);
	t->pamt_1g_base = area(&at, t->pamt_1g_size);
	t->pamt_2m_base = area(&at, t->pamt_2m_size);
	t->pamt_4k_base = area(&at, t->pamt_4k_size);
	at = ALIGN(at, PMD_SIZE);
	t->reserved[0] = (struct emu_reserved){ .offset = 0, .size = at };
	t->nr_reserved = 1;
	return at;
}

static u64 pamt_area_bytes(const struct emu_tdmr *t)
{
	return t->pamt_1g_size + t->pamt_2m_size + t->pamt_4k_size;
}

static int init_tdmr(struct world *w, const struct emu_tdmr *t, char *err, size_t err_size)
{
	struct tdx_module_args args;
	u64 status;

	do {
		args = (struct tdx_module_args){ .rcx = t->base };
		status = world_seamcall(w, EMU_TDH_SYS_TDMR_INIT, &args);
		if (status) {
			snprintf(err, err_size, "TDH.SYS.TDMR.INIT answered %#llx",
				 (unsigned long long)status);
			return -EIO;
		}
	} while (args.rdx < t->base + t->size);
	return 0;
}

static int install_all(struct world *w, char *err, size_t err_size)
{
	struct pamt_pair pair;
	unsigned long r;
	u64 status;

	for (r = 0; r < w->pamt.nr_regions; r++) {
		if (pamt_pair_alloc(&w->pamt, NULL, &pair)) {
			snprintf(err, err_size, "host memory is too small for the pairs of all regions");
			return -ENOMEM;
		}
		status = tdh_phymem_pamt_add(&w->pamt, r, &pair);
		if (status) {
			snprintf(err, err_size, "TDH.PHYMEM.PAMT.ADD at start answered %#llx",
				 (unsigned long long)status);
			return -EIO;
		}
		w->preinstalled++;
	}
	return 0;
}

int world_init(struct world *w, const struct world_config *c, char *err, size_t err_size)
{
	struct emu_tdmr tdmr, other;
	struct world_hooks hooks = c->hooks;
	u64 status, reserved;
	int ret;

	memset(w, 0, sizeof(*w));
	reserved = lay_out_pamt(&tdmr, c->host_bytes, c->ops->dynamic);
	lay_out_pamt(&other, c->host_bytes, false);
	w->static_bytes = pamt_area_bytes(&other);
	w->fixed_bytes = pamt_area_bytes(&tdmr);
	w->clock_cost_ns = c->clock_cost_ns;
	w->stall_ns = WORLD_STALL_NS(shim_nr_cpus);
	if (reserved + PMD_SIZE > c->host_bytes) {
		snprintf(err, err_size, "host memory of %llu MiB is too small for its PAMT",
			 (unsigned long long)(c->host_bytes >> 20));
		return -ENOMEM;
	}

	w->cpu = shim_zalloc(shim_nr_cpus * sizeof(*w->cpu));
	ret = w->cpu ? phys_init(&w->phys, c->mem, c->host_bytes, reserved, c->seed,
				    max(c->nodes, 1u)) : -ENOMEM;
	if (!ret)
		ret = pamt_init(&w->pamt, c->ops, reserved,
				(c->host_bytes - reserved) >> PMD_SHIFT);
	if (ret) {
		snprintf(err, err_size, "out of memory");
		world_exit(w);
		return ret;
	}
	w->phys.placement = c->placement;
	w->phys.lone_pct = c->lone_pct;
	spin_lock_init(&w->tdx_lock);
	spin_lock_init(&w->key_lock);
	w->hkid_free = GENMASK_ULL(WORLD_NR_HKIDS - 1, 1);

	w->module.mem = c->mem;
	w->module.max_pa = c->host_bytes;
	w->module.hkid_shift = WORLD_HKID_SHIFT;
	w->module.first_hkid = WORLD_FIRST_HKID;
	w->module.nr_hkids = WORLD_NR_HKIDS;
	w->module.priv = w;
	status = emu_module_config(&w->module, &tdmr, 1, c->ops->dynamic);
	if (status) {
		snprintf(err, err_size, "the module refused its configuration: %#llx",
			 (unsigned long long)status);
		world_exit(w);
		return -EIO;
	}
	ret = init_tdmr(w, &tdmr, err, err_size);
	if (!ret && c->ops->preinstalled)
		ret = install_all(w, err, err_size);
	if (ret) {
		world_exit(w);
		return ret;
	}
	/* Bringing up is not part of what is measured. */
	memset(w->cpu, 0, shim_nr_cpus * sizeof(*w->cpu));
	w->hooks = hooks;
	w->module.hold = hooks.hold ? module_hold : NULL;
	w->module.inject = hooks.inject ? module_inject : NULL;
	return 0;
}

void world_exit(struct world *w)
{
	pamt_destroy(&w->pamt);
	phys_exit(&w->phys);
	shim_free(w->cpu);
	w->cpu = NULL;
}

/* ------------------------------------------------------------------ audit */

static int audit_module(struct world *w, char *err, size_t err_size)
{
	struct emu_census c;
	unsigned int t;

	emu_census(&w->module, &c);
	for (t = EMU_PT_REG; t < EMU_PT_PAMT; t++) {
		if (c.pages[t]) {
			snprintf(err, err_size, "the module still owns %llu pages of type %u",
				 (unsigned long long)c.pages[t], t);
			return -EIO;
		}
	}
	if (c.locked) {
		snprintf(err, err_size, "%llu PAMT entries are still locked",
			 (unsigned long long)c.locked);
		return -EIO;
	}
	if (c.hkids) {
		snprintf(err, err_size, "%llu HKIDs are still in use", (unsigned long long)c.hkids);
		return -EIO;
	}
	if (c.pairs != w->preinstalled || c.bitmap_pages != 2 * w->preinstalled) {
		snprintf(err, err_size, "%llu pairs (%llu pages) are installed, %llu expected",
			 (unsigned long long)c.pairs, (unsigned long long)c.bitmap_pages,
			 (unsigned long long)w->preinstalled);
		return -EIO;
	}
	return 0;
}

int world_audit(struct world *w, char *err, size_t err_size)
{
	const char *warning;
	unsigned long region;

	if (w->errors) {
		snprintf(err, err_size, "%s (%llu such)", w->error, (unsigned long long)w->errors);
		return -EIO;
	}
	if (shim_warnings(&warning)) {
		snprintf(err, err_size, "warning: %s", warning);
		return -EIO;
	}
	if (w->module.fatal) {
		snprintf(err, err_size, "the module died with %#llx",
			 (unsigned long long)w->module.fatal);
		return -EIO;
	}
	if (audit_module(w, err, err_size))
		return -EIO;
	if (pamt_idle(&w->pamt, &region)) {
		snprintf(err, err_size, "region %lu still counts %u users", region,
			 w->pamt.ops->users(&w->pamt, region));
		return -EIO;
	}
	if (phys_in_use(&w->phys) != 2 * w->preinstalled) {
		snprintf(err, err_size, "%lld pages were not returned",
			 (long long)(phys_in_use(&w->phys) - 2 * w->preinstalled));
		return -EIO;
	}
	return 0;
}
