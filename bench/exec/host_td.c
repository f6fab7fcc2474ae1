// SPDX-License-Identifier: GPL-2.0-only
/*
 * Building a TD and tearing it down, in KVM's order of SEAMCALLs (tdx-abi.md,
 * 2.6). Every control page takes a reference when it is allocated and drops it
 * when the module has given it back; a page that could not be reclaimed keeps
 * its reference and is leaked knowingly, which the audit reports.
 */
#include "exec/host_internal.h"

/* TD_PARAMS as TDH.MNG.INIT reads them (tdx-abi.md, 1.6.6); 1024 bytes. */
struct td_params {
	u64 attributes;
	u64 xfam;
	u16 max_vcpus;
	u8 num_l2_vms;
	u8 reserved0[5];
	u64 eptp_controls;
	u64 config_flags;
	u16 tsc_frequency;
	u8 reserved1[982];
};

#define PARAMS_ATTRIBUTES 0x10000000ull	/* SEPT_VE_DISABLE, as KVM sets it */
#define PARAMS_XFAM 0xe7ull
#define PARAMS_EPTP 0x1eull		/* write-back, 4 levels */
#define PARAMS_TSC 84			/* x 25 MHz */

static int seamcall(struct world *w, u64 leaf, struct tdx_module_args args, const char *name)
{
	u64 status = world_seamcall(w, leaf, &args);

	return status ? world_error(w, name, status) : 0;
}

/* ------------------------------------------------------------------ HKIDs */

static int alloc_hkid(struct host_td *td)
{
	struct world *w = td->w;
	int err = -EAGAIN;

	spin_lock(&w->tdx_lock);
	if (w->hkid_free) {
		td->hkid = w->module.first_hkid + __builtin_ctzll(w->hkid_free);
		w->hkid_free &= w->hkid_free - 1;
		err = 0;
	}
	spin_unlock(&w->tdx_lock);
	return err;
}

static void free_hkid(struct host_td *td)
{
	struct world *w = td->w;

	spin_lock(&w->tdx_lock);
	w->hkid_free |= BIT_ULL(td->hkid - w->module.first_hkid);
	spin_unlock(&w->tdx_lock);
}

/* ----------------------------------------------------------------- create */

static int alloc_tables(struct host_td *td)
{
	u64 pages = DIV_ROUND_UP(td->c.memory, PAGE_SIZE);
	unsigned int level;

	for (level = 1; level <= HOST_SEPT_LEVELS; level++) {
		td->nr[level] = ((td->c.memory - 1) >> host_shift(level)) + 1;
		td->entry[level] = shim_zalloc(td->nr[level] * sizeof(atomic_t));
		td->table[level] = shim_zalloc(td->nr[level] * sizeof(u64));
		if (!td->entry[level] || !td->table[level])
			return -ENOMEM;
	}
	td->mapped = shim_zalloc(DIV_ROUND_UP(pages, 64) * 8);
	td->page_2m = shim_zalloc(td->nr[1] * sizeof(u64));
	td->vcpu = shim_zalloc(td->c.vcpus * sizeof(*td->vcpu));
	if (td->w->phys.placement == PHYS_CONTIGUOUS) {
		td->chunk = shim_zalloc(td->nr[1] * sizeof(u64));
		if (!td->chunk)
			return -ENOMEM;
	}
	return td->mapped && td->page_2m && td->vcpu ? 0 : -ENOMEM;
}

static void free_td(struct host_td *td)
{
	unsigned int level;

	for (level = 1; level <= HOST_SEPT_LEVELS; level++) {
		shim_free(td->entry[level]);
		shim_free(td->table[level]);
	}
	shim_free(td->mapped);
	shim_free(td->page_2m);
	shim_free(td->chunk);
	shim_free(td->vcpu);
	shim_free(td);
}

static int add_tdcs(struct host_td *td)
{
	struct world *w = td->w;
	unsigned int i;
	int err;

	for (i = 0; i < HOST_TDCS_PAGES; i++) {
		u64 hpa = world_control_alloc(w, &td->cache);

		if (!hpa)
			return -ENOMEM;
		err = seamcall(w, EMU_TDH_MNG_ADDCX,
			       (struct tdx_module_args){ .rcx = hpa, .rdx = td->tdr },
			       "TDH.MNG.ADDCX");
		if (err) {
			world_control_free(w, hpa);
			return err;
		}
		td->tdcs[i] = hpa;
	}
	return 0;
}

static int init_td(struct host_td *td)
{
	struct world *w = td->w;
	u64 hpa = phys_alloc_kernel(&w->phys);
	struct td_params *params = emu_va(&w->module, hpa);
	int err;

	if (!hpa)
		return -ENOMEM;
	memset(params, 0, sizeof(*params));
	params->attributes = PARAMS_ATTRIBUTES;
	params->xfam = PARAMS_XFAM;
	params->max_vcpus = td->c.vcpus;
	params->eptp_controls = PARAMS_EPTP;
	params->tsc_frequency = PARAMS_TSC;
	err = seamcall(w, EMU_TDH_MNG_INIT,
		       (struct tdx_module_args){ .rcx = td->tdr, .rdx = hpa }, "TDH.MNG.INIT");
	phys_free_kernel(&w->phys, hpa);
	return err;
}

static int create_vcpu(struct host_td *td, unsigned int id)
{
	struct host_vcpu *v = &td->vcpu[id];
	struct world *w = td->w;
	unsigned int i;
	int err;

	v->td = td;
	for (i = 0; i < HOST_TDVPS_PAGES; i++) {
		u64 hpa = world_control_alloc(w, &td->cache);

		if (!hpa)
			return -ENOMEM;
		if (i == 0)
			err = seamcall(w, EMU_TDH_VP_CREATE,
				       (struct tdx_module_args){ .rcx = hpa, .rdx = td->tdr },
				       "TDH.VP.CREATE");
		else
			err = seamcall(w, EMU_TDH_VP_ADDCX,
				       (struct tdx_module_args){ .rcx = hpa, .rdx = v->page[0] },
				       "TDH.VP.ADDCX");
		if (err) {
			world_control_free(w, hpa);
			return err;
		}
		v->page[i] = hpa;
	}
	world_spend(w, COST_vp_init_base);
	err = seamcall(w, EMU_TDH_VP_INIT | EMU_LEAF_VERSION(1),
		       (struct tdx_module_args){ .rcx = v->page[0], .r8 = id }, "TDH.VP.INIT");
	v->initialised = !err;
	return err;
}

static int create(struct host_td *td)
{
	struct world *w = td->w;
	unsigned int i;
	int err;

	td->tdr = world_control_alloc(w, &td->cache);
	if (!td->tdr)
		return -ENOMEM;
	spin_lock(&w->tdx_lock);
	err = seamcall(w, EMU_TDH_MNG_CREATE,
		       (struct tdx_module_args){ .rcx = td->tdr, .rdx = td->hkid },
		       "TDH.MNG.CREATE");
	spin_unlock(&w->tdx_lock);
	if (err)
		return err;
	td->created = true;
	spin_lock(&w->key_lock);
	err = seamcall(w, EMU_TDH_MNG_KEY_CONFIG, (struct tdx_module_args){ .rcx = td->tdr },
		       "TDH.MNG.KEY.CONFIG");
	spin_unlock(&w->key_lock);
	if (!err)
		err = add_tdcs(td);
	if (!err)
		err = init_td(td);
	for (i = 0; i < td->c.vcpus && !err; i++)
		err = create_vcpu(td, i);
	return err;
}

int host_td_create(struct world *w, const struct host_td_config *c, struct host_td **out)
{
	struct host_td *td = shim_zalloc(sizeof(*td));
	int err;

	*out = NULL;
	if (!td)
		return -ENOMEM;
	td->w = w;
	td->c = *c;
	rwlock_init(&td->mmu_lock);
	err = alloc_tables(td);
	if (!err)
		err = alloc_hkid(td);
	if (err) {
		free_td(td);
		return err;
	}
	world_spend(w, COST_td_create_base);
	err = create(td);
	if (err) {
		while (host_td_destroy(&td, ~0u) == -EAGAIN)
			;
		return err;
	}
	*out = td;
	return 0;
}

/* ------------------------------------------------------------------ image */

static int add_image_page(struct host_td *td, u64 gpa)
{
	struct host_vcpu *v = &td->vcpu[0];
	int err = host_topup(v);

	if (err)
		return err;
	world_settle(td->w, &v->cache);
	read_lock(&td->mmu_lock);
	err = host_link(v, 1, gpa);
	if (!err)
		err = host_map_4k(v, gpa, EMU_TDH_MEM_PAGE_ADD, "TDH.MEM.PAGE.ADD");
	read_unlock(&td->mmu_lock);
	return err;
}

int host_td_build(struct host_td *td, unsigned int pages)
{
	int err;

	for (; td->built < td->c.image; td->built += PAGE_SIZE) {
		if (!pages--)
			return -EAGAIN;
		err = add_image_page(td, td->built);
		if (err)
			return err;
	}
	err = seamcall(td->w, EMU_TDH_MR_FINALIZE, (struct tdx_module_args){ .rcx = td->tdr },
		       "TDH.MR.FINALIZE");
	if (!err) {
		td->finalised = true;
		world_this_cpu(td->w)->tds++;
	}
	return err;
}

/* --------------------------------------------------------------- teardown */

static int zap_leaf_2m(struct host_td *td, u64 i)
{
	u64 hpa;
	int err = host_zap(td, i << PMD_SHIFT, EMU_LEVEL_2M, &hpa);

	if (err)
		return err;
	phys_free_2m(&td->w->phys, td->page_2m[i]);
	atomic_set_release(&td->entry[1][i], HOST_NONE);
	return 0;
}

/* Zap guest pages from the cursor on; -EAGAIN when @pages were done and there is more. */
static int zap_pages(struct host_td *td, unsigned int *pages)
{
	u64 gpa, hpa;
	int err = 0;

	write_lock(&td->mmu_lock);
	for (gpa = td->cursor; gpa < td->c.memory && !err; gpa += PAGE_SIZE) {
		u64 i = gpa >> PMD_SHIFT;

		if (!(gpa & (PMD_SIZE - 1)) && atomic_read(&td->entry[1][i]) != HOST_TABLE) {
			if (atomic_read(&td->entry[1][i]) == HOST_LEAF_2M)
				err = zap_leaf_2m(td, i);
			gpa += PMD_SIZE - PAGE_SIZE;
			continue;
		}
		if (!test_bit(gpa >> PAGE_SHIFT, td->mapped))
			continue;
		if (!*pages) {
			err = -EAGAIN;
			break;
		}
		--*pages;
		err = host_zap(td, gpa, EMU_LEVEL_4K, &hpa);
		if (!err) {
			host_drop_4k(td, gpa, hpa);
			clear_bit(gpa >> PAGE_SHIFT, td->mapped);
		}
	}
	td->cursor = gpa;
	write_unlock(&td->mmu_lock);
	return err;
}

static int release_hkid(struct host_td *td)
{
	struct world *w = td->w;
	unsigned int i;
	int err = 0;

	for (i = 0; i < td->c.vcpus && !err; i++)
		if (td->vcpu[i].initialised)
			err = seamcall(w, EMU_TDH_VP_FLUSH,
				       (struct tdx_module_args){ .rcx = td->vcpu[i].page[0] },
				       "TDH.VP.FLUSH");
	spin_lock(&w->tdx_lock);
	if (!err)
		err = seamcall(w, EMU_TDH_MNG_VPFLUSHDONE,
			       (struct tdx_module_args){ .rcx = td->tdr }, "TDH.MNG.VPFLUSHDONE");
	if (!err)
		err = seamcall(w, EMU_TDH_PHYMEM_CACHE_WB, (struct tdx_module_args){ .rcx = 0 },
			       "TDH.PHYMEM.CACHE.WB");
	if (!err)
		err = seamcall(w, EMU_TDH_MNG_KEY_FREEID,
			       (struct tdx_module_args){ .rcx = td->tdr }, "TDH.MNG.KEY.FREEID");
	spin_unlock(&w->tdx_lock);
	return err;
}

/* The module gives a control or S-EPT page back, then its reference is dropped and it is freed. */
static int reclaim(struct host_td *td, u64 hpa)
{
	int err;

	if (!hpa)
		return 0;
	err = seamcall(td->w, EMU_TDH_PHYMEM_PAGE_RECLAIM, (struct tdx_module_args){ .rcx = hpa },
		       "TDH.PHYMEM.PAGE.RECLAIM");
	if (!err)
		world_control_free(td->w, hpa);
	return err;
}

static int reclaim_all(struct host_td *td)
{
	unsigned int level, i, j;
	int err = 0;
	u64 n;

	for (level = 1; level <= HOST_SEPT_LEVELS; level++)
		for (n = 0; n < td->nr[level]; n++)
			if (atomic_read(&td->entry[level][n]) == HOST_TABLE)
				err |= reclaim(td, td->table[level][n]);
	for (i = 0; i < td->c.vcpus; i++)
		for (j = HOST_TDVPS_PAGES; j-- > 0;)
			err |= reclaim(td, td->vcpu[i].page[j]);
	for (i = 0; i < HOST_TDCS_PAGES; i++)
		err |= reclaim(td, td->tdcs[i]);
	return err ? -EIO : reclaim(td, td->tdr);
}

int host_td_destroy(struct host_td **out, unsigned int pages)
{
	struct host_td *td = *out;
	unsigned int i;
	int err = 0;

	if (td->created) {
		err = zap_pages(td, &pages);
		if (err == -EAGAIN)
			return err;
		if (!err)
			err = release_hkid(td);
		if (!err)
			err = reclaim_all(td);
	} else if (td->tdr) {
		world_control_free(td->w, td->tdr);
	}
	for (i = 0; i < td->c.vcpus; i++) {
		struct host_vcpu *v = &td->vcpu[i];

		world_cache_drain(td->w, &v->cache);
		while (v->nr_sept)
			phys_free_kernel(&td->w->phys, v->sept[--v->nr_sept]);
	}
	world_cache_drain(td->w, &td->cache);
	free_hkid(td);
	free_td(td);
	*out = NULL;
	return err;
}
