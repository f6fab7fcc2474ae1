/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small machine for tests of the software TDX module: an arena as physical
 * memory, two TDMRs, a page allocator that installs PAMT page pairs where Dynamic
 * PAMT needs them, one function per SEAMCALL, TDs built and torn down in one
 * call, and the locks that a call holds compared with a list.
 *
 * TDMR 0 is for the tests, by region number; its upper half is the allocator's
 * (control and S-EPT pages). TDMR 1 backs pairs. Everything works with any
 * number of entries per table.
 */
#ifndef MODULE_WORLD_H
#define MODULE_WORLD_H

#include <linux/compiler.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "emu/module/state.h"
#include "tests/test.h"

#define W_TDMR0_1G (EMU_ENTRIES >= 512 ? 2UL : 64UL)
#define W_TDMR1_1G (EMU_ENTRIES >= 512 ? 1UL : 64UL)
#define W_REGIONS (W_TDMR0_1G * EMU_ENTRIES)
#define W_HKIDS 8
#define W_FIRST_HKID 32
#define W_HKID_SHIFT 46
#define W_VCPU_PAGES 6
#define W_MAX_TD_PAGES 1024

struct world {
	struct emu_module m;
	struct emu_tdmr tdmr[2];
	u64 size;
	u64 base;		/* of TDMR 0 */
	u64 next_page;		/* the allocator's, grows up */
	u64 next_backing;	/* pair pages, in TDMR 1 */
	u64 host;		/* a host page outside all TDMRs: TD_PARAMS, sources */
	struct tdx_module_args out;	/* registers after the last call */
	unsigned int lp;

	/* What hold() saw of the last call. */
	unsigned int holds;
	struct emu_call held;
	u16 words[EMU_MAX_LOCKS];
	void (*on_hold)(struct world *w, const struct emu_call *c);

	u64 regions[256];	/* with a pair installed by w_pair() */
	unsigned int nr_regions;
};

/* A TD under test: its control pages, and the S-EPT pages it was given. */
struct wtd {
	u64 tdr;
	u64 hkid;
	u64 vp;			/* one TDVPR, 0 = none */
	u64 pages[W_MAX_TD_PAGES];	/* all but the TDR */
	unsigned int nr_pages;
};

u64 shim_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* --------------------------------------------------------------- SEAMCALLs */

static inline u64 w_call(struct world *w, u64 rax, struct tdx_module_args a)
{
	u64 status = emu_seamcall(&w->m, rax, &a);

	w->out = a;
	return status;
}

#define CALL(w, leaf, ...) w_call((w), EMU_##leaf, (struct tdx_module_args){ __VA_ARGS__ })

static inline u64 w_pamt_add(struct world *w, u64 region, u64 p0, u64 p1)
{
	return CALL(w, TDH_PHYMEM_PAMT_ADD, .rcx = region | EMU_LEVEL_2M, .rdx = p0, .r8 = p1);
}

static inline u64 w_pamt_remove(struct world *w, u64 region)
{
	return CALL(w, TDH_PHYMEM_PAMT_REMOVE, .rcx = region | EMU_LEVEL_2M);
}

static inline u64 w_sept_add(struct world *w, u64 tdr, u64 gpa, unsigned int level, u64 page)
{
	return CALL(w, TDH_MEM_SEPT_ADD, .rcx = gpa | level, .rdx = tdr, .r8 = page);
}

static inline u64 w_page_add(struct world *w, u64 tdr, u64 gpa, u64 page, u64 source)
{
	return CALL(w, TDH_MEM_PAGE_ADD, .rcx = gpa, .rdx = tdr, .r8 = page, .r9 = source);
}

static inline u64 w_aug(struct world *w, u64 tdr, u64 gpa, unsigned int level, u64 page)
{
	return CALL(w, TDH_MEM_PAGE_AUG, .rcx = gpa | level, .rdx = tdr, .r8 = page);
}

static inline u64 w_block(struct world *w, u64 tdr, u64 gpa, unsigned int level)
{
	return CALL(w, TDH_MEM_RANGE_BLOCK, .rcx = gpa | level, .rdx = tdr);
}

static inline u64 w_track(struct world *w, u64 tdr)
{
	return CALL(w, TDH_MEM_TRACK, .rcx = tdr);
}

static inline u64 w_remove(struct world *w, u64 tdr, u64 gpa, unsigned int level)
{
	return CALL(w, TDH_MEM_PAGE_REMOVE, .rcx = gpa | level, .rdx = tdr);
}

static inline u64 w_promote(struct world *w, u64 tdr, u64 gpa, unsigned int level)
{
	return CALL(w, TDH_MEM_PAGE_PROMOTE, .rcx = gpa | level, .rdx = tdr);
}

static inline u64 w_demote(struct world *w, u64 tdr, u64 gpa, unsigned int level, u64 table, u64 p0,
			   u64 p1)
{
	return CALL(w, TDH_MEM_PAGE_DEMOTE, .rcx = gpa | level, .rdx = tdr, .r8 = table, .r12 = p0,
		    .r13 = p1);
}

static inline u64 w_reclaim(struct world *w, u64 page)
{
	return CALL(w, TDH_PHYMEM_PAGE_RECLAIM, .rcx = page);
}

static inline u64 w_rdmd(struct world *w, u64 page, unsigned int level)
{
	return CALL(w, TDH_PHYMEM_PAGE_RDMD, .rcx = page | level);
}

/* ---------------------------------------------------------------- the world */

static void w_hold(struct emu_module *m, const struct emu_call *c)
{
	struct world *w = m->priv;
	unsigned int i;

	w->holds++;
	w->held = *c;
	for (i = 0; i < c->nr_locks; i++)
		w->words[i] = READ_ONCE(*c->locks[i].word);
	if (w->on_hold)
		w->on_hold(w, c);
}

static unsigned int w_lp(struct emu_module *m)
{
	return ((struct world *)m->priv)->lp;
}

static u64 w_layout_pamt(struct emu_tdmr *t, u64 at, bool dynamic)
{
	u64 pages = t->size >> EMU_4K_SHIFT;

	t->pamt_1g_base = at;
	t->pamt_1g_size = ALIGN((t->size >> EMU_1G_SHIFT) * 16, EMU_4K_SIZE);
	t->pamt_2m_base = t->pamt_1g_base + t->pamt_1g_size;
	t->pamt_2m_size = ALIGN((t->size >> EMU_2M_SHIFT) * 16, EMU_4K_SIZE);
	t->pamt_4k_base = t->pamt_2m_base + t->pamt_2m_size;
	t->pamt_4k_size = ALIGN(dynamic ? DIV_ROUND_UP(pages, 8) : pages * 16, EMU_4K_SIZE);
	return t->pamt_4k_base + t->pamt_4k_size;
}

static inline u64 w_tdmr_init_all(struct world *w)
{
	u64 status = 0;
	int i;

	for (i = 0; i < 2 && !status; i++)
		do {
			status = CALL(w, TDH_SYS_TDMR_INIT, .rcx = w->tdmr[i].base);
		} while (!status && w->out.rdx < w->tdmr[i].base + w->tdmr[i].size);
	return status;
}

/* Memory and description of two TDMRs, not yet configured. */
static inline void w_prepare(struct world *w, bool dynamic)
{
	u64 at;

	memset(w, 0, sizeof(*w));
	w->base = EMU_1G_SIZE;
	w->tdmr[0].base = w->base;
	w->tdmr[0].size = W_TDMR0_1G * EMU_1G_SIZE;
	w->tdmr[1].base = w->base + w->tdmr[0].size + EMU_1G_SIZE;
	w->tdmr[1].size = W_TDMR1_1G * EMU_1G_SIZE;
	at = w->tdmr[1].base + w->tdmr[1].size;
	at = w_layout_pamt(&w->tdmr[0], at, dynamic);
	at = w_layout_pamt(&w->tdmr[1], at, dynamic);
	w->host = at;
	w->size = at + 8 * EMU_4K_SIZE;
	w->next_page = w->base + w->tdmr[0].size / 2;
	w->next_backing = w->tdmr[1].base;
	w->m.mem = mmap(NULL, w->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->m.mem == MAP_FAILED) {
		perror("mmap");
		exit(3);
	}
	w->m.max_pa = w->size;
	w->m.hkid_shift = W_HKID_SHIFT;
	w->m.first_hkid = W_FIRST_HKID;
	w->m.nr_hkids = W_HKIDS;
	w->m.priv = w;
	w->m.hold = w_hold;
	w->m.lp = w_lp;
}

static inline void w_init(struct world *w, bool dynamic)
{
	w_prepare(w, dynamic);
	CHECK_EQ(emu_module_config(&w->m, w->tdmr, 2, dynamic), 0);
	CHECK_EQ(w_tdmr_init_all(w), 0);
}

/* Ends a world; nothing may be left in it but what the test says. */
static inline void w_exit(struct world *w)
{
	struct emu_census c;
	unsigned int i, pages = 0;

	while (w->nr_regions)
		CHECK_EQ(w_pamt_remove(w, w->regions[--w->nr_regions]), 0);
	emu_census(&w->m, &c);
	for (i = EMU_PT_REG; i < 16; i++)
		pages += c.pages[i];
	CHECK_EQ(pages, 0);
	CHECK_EQ(c.pairs, 0);
	CHECK_EQ(c.bitmap_pages, 0);
	CHECK_EQ(c.locked, 0);
	CHECK_EQ(c.hkids, 0);
	CHECK(sharex_is_free(w->m.kot_lock));
	munmap(w->m.mem, w->size);
}

static inline u64 w_region(const struct world *w, unsigned int nr)
{
	return w->base + nr * EMU_2M_SIZE;
}

static inline u64 w_page_of(u64 region, unsigned int index)
{
	return region + index * EMU_4K_SIZE;
}

static inline u64 w_backing(struct world *w)
{
	u64 page = w->next_backing;

	w->next_backing += EMU_4K_SIZE;
	return page;
}

/* Give @region a pair, if this is Dynamic PAMT and it has none; w_exit() takes it back. */
static inline void w_pair(struct world *w, u64 region)
{
	struct emu_page_info info;
	u64 p0, p1;

	emu_page_info(&w->m, region, &info);
	if (!w->m.dynamic || info.has_pair)
		return;
	p0 = w_backing(w);
	p1 = w_backing(w);
	CHECK_EQ(w_pamt_add(w, region, p0, p1), 0);
	w->regions[w->nr_regions++] = region;
}

/* The pair of @region, if it had one from w_pair(), is gone. */
static inline void w_forget(struct world *w, u64 region)
{
	unsigned int i;

	for (i = 0; i < w->nr_regions; i++)
		if (w->regions[i] == region)
			w->regions[i--] = w->regions[--w->nr_regions];
}

/* A page that a leaf may take. */
static inline u64 w_page(struct world *w)
{
	u64 page = w->next_page;

	w->next_page += EMU_4K_SIZE;
	w_pair(w, page & ~(EMU_2M_SIZE - 1));
	return page;
}

/* ---------------------------------------------------------------------- TDs */

struct w_td_params {
	u64 attributes, xfam;
	u16 max_vcpus;
	u8 num_l2_vms, msr_config_ctls, reserved0[4];
	u64 eptp_controls, config_flags;
	u16 tsc_frequency;
	u8 reserved1[38];
	u8 rest[944];
};

/* TD_PARAMS that are accepted: those that a kernel of 2024 was seen to use. */
static inline struct w_td_params *w_params(struct world *w)
{
	struct w_td_params *p = emu_va(&w->m, w->host);

	_Static_assert(sizeof(*p) == 1024, "TD_PARAMS");
	memset(p, 0, sizeof(*p));
	p->attributes = 0x10000000;
	p->xfam = 0x602E7;
	p->max_vcpus = 16;
	p->eptp_controls = 0x1e;
	p->tsc_frequency = 0x58;
	return p;
}

static inline u64 td_give(struct wtd *td, u64 page)
{
	td->pages[td->nr_pages++] = page;
	return page;
}

static inline u64 td_addcx(struct world *w, struct wtd *td)
{
	u64 page = w_page(w), status = CALL(w, TDH_MNG_ADDCX, .rcx = page, .rdx = td->tdr);

	if (!status)
		td_give(td, page);
	return status;
}

static inline void td_create(struct world *w, struct wtd *td, unsigned int index)
{
	memset(td, 0, sizeof(*td));
	td->hkid = W_FIRST_HKID + 1 + index;
	td->tdr = w_page(w);
	CHECK_EQ(CALL(w, TDH_MNG_CREATE, .rcx = td->tdr, .rdx = td->hkid), 0);
}

static inline u64 td_init(struct world *w, const struct wtd *td)
{
	return CALL(w, TDH_MNG_INIT, .rcx = td->tdr, .rdx = w->host);
}

/* A TD in INITIALIZED: building may begin. */
static inline void td_build(struct world *w, struct wtd *td, unsigned int index)
{
	int i;

	td_create(w, td, index);
	CHECK_EQ(CALL(w, TDH_MNG_KEY_CONFIG, .rcx = td->tdr), 0);
	for (i = 0; i < MIN_TDCS_PAGES; i++)
		CHECK_EQ(td_addcx(w, td), 0);
	w_params(w);
	CHECK_EQ(td_init(w, td), 0);
}

/* A vCPU up to before VP.INIT, with @nr TDVPS pages. */
static inline u64 td_vcpu_pages(struct world *w, struct wtd *td, unsigned int nr)
{
	u64 vp = w_page(w), page;

	CHECK_EQ(CALL(w, TDH_VP_CREATE, .rcx = vp, .rdx = td->tdr), 0);
	td_give(td, vp);
	while (--nr) {
		page = w_page(w);
		CHECK_EQ(CALL(w, TDH_VP_ADDCX, .rcx = page, .rdx = vp), 0);
		td_give(td, page);
	}
	return vp;
}

static inline u64 td_vp_init(struct world *w, u64 vp, unsigned int version, u64 x2apic_id)
{
	return w_call(w, EMU_TDH_VP_INIT | EMU_LEAF_VERSION(version),
		      (struct tdx_module_args){ .rcx = vp, .r8 = x2apic_id });
}

static inline void td_vcpu(struct world *w, struct wtd *td)
{
	td->vp = td_vcpu_pages(w, td, W_VCPU_PAGES);
	CHECK_EQ(td_vp_init(w, td->vp, 1, 7), 0);
}

/* A TD in RUNNABLE with one vCPU. */
static inline void td_run(struct world *w, struct wtd *td, unsigned int index)
{
	td_build(w, td, index);
	td_vcpu(w, td);
	CHECK_EQ(CALL(w, TDH_MR_FINALIZE, .rcx = td->tdr), 0);
}

/* S-EPT tables for @gpa, down to level @down (1: 4K entries can be set). */
static inline void td_tables(struct world *w, struct wtd *td, u64 gpa, unsigned int down)
{
	unsigned int level;

	for (level = 3; level >= down; level--) {
		u64 page = w_page(w), at = gpa & ~(level_size(level) - 1);
		u64 status = w_sept_add(w, td->tdr, at, level, page);

		if (!status)
			td_give(td, page);
		else
			CHECK_EQ(EMU_ST_CLASS(status), EMU_EPT_ENTRY_STATE_INCORRECT);
	}
}

/* Block, track, remove: a page of @level leaves a TD. The status of the first that fails. */
static inline u64 td_zap(struct world *w, const struct wtd *td, u64 gpa, unsigned int level)
{
	u64 status = w_block(w, td->tdr, gpa, level);

	if (!status)
		status = w_track(w, td->tdr);
	return status ? status : w_remove(w, td->tdr, gpa, level);
}

/* To TEARDOWN: the HKID is free, nothing is reclaimed yet. */
static inline void td_stop(struct world *w, struct wtd *td)
{
	if (td->vp)
		CHECK_EQ(CALL(w, TDH_VP_FLUSH, .rcx = td->vp), 0);
	CHECK_EQ(CALL(w, TDH_MNG_VPFLUSHDONE, .rcx = td->tdr), 0);
	CHECK_EQ(CALL(w, TDH_PHYMEM_CACHE_WB), 0);
	CHECK_EQ(CALL(w, TDH_MNG_KEY_FREEID, .rcx = td->tdr), 0);
}

static inline void td_destroy(struct world *w, struct wtd *td)
{
	td_stop(w, td);
	while (td->nr_pages)
		CHECK_EQ(w_reclaim(w, td->pages[--td->nr_pages]), 0);
	CHECK_EQ(w_reclaim(w, td->tdr), 0);
}

/* ------------------------------------------------------------- locks of a call */

static inline struct pamt_entry *e1g(struct world *w, u64 pa)
{
	return emu_pamt_1g(&w->m, emu_pamt_tdmr(&w->m, pa), pa);
}

static inline struct pamt_entry *e2m(struct world *w, u64 pa)
{
	return emu_pamt_2m(&w->m, emu_pamt_tdmr(&w->m, pa), pa);
}

/* NULL where the region has no pair. */
static inline struct pamt_entry *e4k(struct world *w, u64 pa)
{
	if (!w->m.dynamic)
		return emu_pamt_4k_static(&w->m, emu_pamt_tdmr(&w->m, pa), pa);
	if (e2m(w, pa)->type != EMU_PT_PAMT)
		return NULL;
	return emu_pamt_4k_of_node(&w->m, e2m(w, pa), pa);
}

static inline struct tdr *td_tdr(struct world *w, const struct wtd *td)
{
	return emu_va(&w->m, td->tdr);
}

static inline struct tdcs *td_cs(struct world *w, const struct wtd *td)
{
	return td_tdcs(&w->m, td_tdr(w, td));
}

static inline u64 *td_entry(struct world *w, const struct wtd *td, u64 gpa, unsigned int want)
{
	u64 *table = emu_va(&w->m, td_tdr(w, td)->tdcs[TDCS_SEPT_ROOT_PAGE]);
	unsigned int level = td_cs(w, td)->pwl;

	for (;; level--) {
		u64 *e = &table[gpa >> (EMU_4K_SHIFT + level * TDX_LEVEL_BITS) & (EMU_ENTRIES - 1)];

		if (level == want)
			return e;
		table = emu_va(&w->m, *e & SEPT_PA_MASK);
	}
}

/* The exact list of locks, in the order taken, that the last call held. */
struct want {
	struct emu_held lock[EMU_MAX_LOCKS];
	unsigned int nr;
};

static inline void want(struct want *l, u16 *word, enum emu_lock_mode mode)
{
	l->lock[l->nr].word = word;
	l->lock[l->nr++].mode = mode;
}

/* An explicit 4K operand: parents shared, the page in @mode [1.5.2]. */
static inline void want_page(struct world *w, struct want *l, u64 pa, enum emu_lock_mode mode)
{
	want(l, &e1g(w, pa)->lock, EMU_LOCK_SH);
	want(l, &e2m(w, pa)->lock, EMU_LOCK_SH);
	want(l, &e4k(w, pa)->lock, mode);
}

static inline u16 want_value(const struct want *l, unsigned int i, u16 seen)
{
	unsigned int j, readers = 0;

	switch (l->lock[i].mode) {
	case EMU_LOCK_EX:
	case EMU_LOCK_PLAIN_EX:
		return SHAREX_EX;
	case EMU_LOCK_PLAIN_SH:
		return SHAREX_PLAIN_READER;
	case EMU_LOCK_SEPTE:
		return (seen & ~3u) | SEPTE_LOCK;
	}
	for (j = 0; j < l->nr; j++)
		readers += l->lock[j].word == l->lock[i].word;
	return readers * SHAREX_READER;
}

static inline void w_check_locks(struct world *w, const struct want *l, const char *file, int line)
{
	char what[80];
	unsigned int i;

	snprintf(what, sizeof(what), "locks held: number");
	if (!test_equal(w->held.nr_locks, l->nr, file, line, what))
		return;
	for (i = 0; i < l->nr; i++) {
		snprintf(what, sizeof(what), "lock %u is the expected word", i);
		test_result(w->held.locks[i].word == l->lock[i].word, file, line, what);
		snprintf(what, sizeof(what), "mode of lock %u", i);
		test_equal(w->held.locks[i].mode, l->lock[i].mode, file, line, what);
		snprintf(what, sizeof(what), "word of lock %u while held", i);
		test_equal(w->words[i], want_value(l, i, w->words[i]), file, line, what);
	}
}

#define CHECK_LOCKS(w, l) w_check_locks((w), (l), __FILE__, __LINE__)

#endif
