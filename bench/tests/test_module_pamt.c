// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PAMT of the software TDX module against tdx-abi.md: page checks in order
 * (1.5.3), PAMT.ADD and REMOVE step by step (1.5.4, 1.5.5), counts and hints
 * (1.5.6), what RDMD says, in dynamic and static mode. When two errors apply,
 * the earlier check must answer: each row keeps the later error in place.
 * Conflicts between calls (1.5.7) are in test_module_busy.c.
 */
#include "tests/module_world.h"

static struct world w;
static struct wtd td;

static struct emu_page_info info_of(u64 pa)
{
	struct emu_page_info info;

	CHECK_EQ(emu_page_info(&w.m, pa, &info), 0);
	return info;
}

/* A runnable TD with tables for its first 2M and 4K pages. */
static void begin(bool dynamic)
{
	w_init(&w, dynamic);
	td_run(&w, &td, 0);
	td_tables(&w, &td, 0, 1);
}

static void end(void)
{
	td_destroy(&w, &td);
	w_exit(&w);
}

/* ----------------------------------------------------------- page checks */

static u64 aug(u64 page)
{
	return w_aug(&w, td.tdr, 0, 0, page);
}

static void page_checks_common(void)
{
	u64 used = td.pages[0];

	CHECK_EQ(aug(w.base + 1), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(aug(w.base + 0x800), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(aug(w.m.max_pa), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(aug(w.base | 1ULL << W_HKID_SHIFT), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(aug(0), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R8);
	CHECK_EQ(aug(w.host), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R8);
	CHECK_EQ(aug(w.tdmr[1].base - EMU_4K_SIZE), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R8);
	CHECK_EQ(aug(used), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	/* Locked by the call's own TDR operand before its type is looked at. */
	CHECK_EQ(aug(td.tdr), EMU_OPERAND_BUSY | EMU_OP_R8);
	/* A TDR operand of another type, and the id of its register. */
	CHECK_EQ(w_track(&w, used), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_aug(&w, used, 0, 0, 1), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = used), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
}

/* A lock on the path is in the way: at each level, before the type is looked at. */
static void page_checks_busy(void)
{
	u64 page = w_page_of(w_region(&w, 3), 1);
	u16 *word[3];
	int i, j;

	w_pair(&w, w_region(&w, 3));
	word[0] = &e1g(&w, page)->lock;
	word[1] = &e2m(&w, page)->lock;
	word[2] = &e4k(&w, page)->lock;
	for (i = 0; i < 3; i++) {
		*word[i] = SHAREX_EX;
		CHECK_EQ(aug(page), EMU_OPERAND_BUSY | EMU_OP_R8);
		CHECK_EQ(*word[i], i < 2 ? SHAREX_EX | SHAREX_HP | SHAREX_READER :
					   SHAREX_EX | SHAREX_HP);
		for (j = 0; j < i; j++)
			CHECK_EQ(*word[j], 0);
		*word[i] = 0;
	}
	*word[2] = SHAREX_READER;
	CHECK_EQ(aug(page), EMU_OPERAND_BUSY | EMU_OP_R8);
	*word[2] = SHAREX_HP;
	CHECK_EQ(aug(page), 0);
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	CHECK_EQ(*word[2], 0);
}

/* Every leaf that takes a new 4K page asks for a pair, with its own operand. */
static void missing_pair(void)
{
	u64 bare = w_region(&w, 9), vp;
	struct wtd building;

	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = bare, .rdx = W_FIRST_HKID + 3),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_MNG_ADDCX, .rcx = bare, .rdx = td.tdr),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_RCX);
	td_build(&w, &building, 1);
	vp = td_vcpu_pages(&w, &building, 2);
	CHECK_EQ(CALL(&w, TDH_VP_ADDCX, .rcx = bare, .rdx = vp),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_VP_CREATE, .rcx = bare, .rdx = building.tdr),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_RCX);
	td_tables(&w, &building, 0, 1);
	CHECK_EQ(w_page_add(&w, building.tdr, 0, bare, w.host),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_R8);
	CHECK_EQ(w_sept_add(&w, building.tdr, EMU_2M_SIZE, 1, bare),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_R8);
	CHECK_EQ(w_aug(&w, building.tdr, 0, 0, bare), EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_R8);
	/* An operand that must be in use already cannot be missing a pair. */
	CHECK_EQ(w_track(&w, bare), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_reclaim(&w, bare), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	/* A 2M operand needs none. */
	CHECK_EQ(CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = bare), 0);
	td_destroy(&w, &building);
}

/* With EX asked for, the missing pair is found under the promoted 2M entry. */
static void missing_pair_needs_promotion(void)
{
	u64 bare = w_region(&w, 9);

	e2m(&w, bare)->lock = SHAREX_READER;
	CHECK_EQ(aug(bare), EMU_OPERAND_BUSY | EMU_OP_R8);
	CHECK_EQ(e2m(&w, bare)->lock, SHAREX_READER | SHAREX_HP);
	/* Shared asks for no promotion. */
	CHECK_EQ(w_rdmd(&w, bare, 0), 0);
	e2m(&w, bare)->lock = 0;
}

static void page_in_pamt_use(void)
{
	u64 region = w_region(&w, 4), holder = w_region(&w, 5);
	u64 p0 = w_page_of(holder, 0), p1 = w_page_of(holder, 1);

	w_pair(&w, holder);
	CHECK_EQ(w_pamt_add(&w, region, p0, p1), 0);
	CHECK_EQ(aug(p0), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = p1),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_reclaim(&w, p1), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_pamt_remove(&w, region), 0);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = p1), 0);
}

static u64 huge(u64 region)
{
	return w_aug(&w, td.tdr, EMU_2M_SIZE, 1, region);
}

/* A 2M page needs a region with no pair and no PAMT page in it. */
static void free_range(void)
{
	u64 region = w_region(&w, 4), p0 = w_page_of(region, EMU_ENTRIES - 1), p1 = w_backing(&w);

	CHECK_EQ(huge(region + EMU_4K_SIZE), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(huge(0), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R8);
	if (w.m.dynamic) {
		w_pair(&w, w_region(&w, 6));
		CHECK_EQ(huge(w_region(&w, 6)), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
		CHECK_EQ(w_pamt_add(&w, w_region(&w, 7), p0, p1), 0);
		CHECK_EQ(huge(region), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
		CHECK_EQ(w_pamt_remove(&w, w_region(&w, 7)), 0);
	} else {
		CHECK_EQ(aug(p0), 0);
		CHECK_EQ(huge(region), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
		CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	}
	e2m(&w, region)->lock = SHAREX_READER;
	CHECK_EQ(huge(region), EMU_OPERAND_BUSY | EMU_OP_R8);
	e2m(&w, region)->lock = 0;
	CHECK_EQ(huge(region), 0);
	CHECK_EQ(info_of(region).type, EMU_PT_REG);
	CHECK_EQ(info_of(p0).level, EMU_LEVEL_2M);
	/* In use as 2M: as a 4K page of any kind it is wrong. */
	CHECK_EQ(aug(p0), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	CHECK_EQ(w_aug(&w, td.tdr, 2 * EMU_2M_SIZE, 1, region),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	if (w.m.dynamic)
		CHECK_EQ(w_pamt_add(&w, region, w_backing(&w), w_backing(&w)),
			 EMU_HPA_RANGE_NOT_FREE | EMU_OP_RCX);
	CHECK_EQ(td_zap(&w, &td, EMU_2M_SIZE, 1), 0);
	CHECK_EQ(w.out.rcx, region);
}

static void checks_dynamic(void)
{
	begin(true);
	page_checks_common();
	page_checks_busy();
	missing_pair();
	missing_pair_needs_promotion();
	page_in_pamt_use();
	free_range();
	end();
}

static void checks_static(void)
{
	begin(false);
	page_checks_common();
	page_checks_busy();
	free_range();
	CHECK_EQ(w_pamt_add(&w, w_region(&w, 1), w_backing(&w), w_backing(&w)),
		 EMU_OPERAND_INVALID | EMU_OP_RAX);
	CHECK_EQ(w_pamt_remove(&w, w_region(&w, 1)), EMU_OPERAND_INVALID | EMU_OP_RAX);
	end();
}

/* ------------------------------------------------------------------ PAMT.ADD */

#define RAW_ADD(rcx_, rdx_, r8_) \
	CALL(&w, TDH_PHYMEM_PAMT_ADD, .rcx = (rcx_), .rdx = (rdx_), .r8 = (r8_))

static void add_formats(void)
{
	u64 r = w_region(&w, 3), bad = w.base + 8, out = w.host;

	/* Step 2 before 3: both wrong. */
	CHECK_EQ(RAW_ADD(r, bad, bad), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(RAW_ADD(r | 2, bad, bad), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(RAW_ADD(r | 9, bad, bad), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(RAW_ADD((r + EMU_4K_SIZE) | 1, bad, bad), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(RAW_ADD(r | 1 | 1ULL << W_HKID_SHIFT, bad, bad), EMU_OPERAND_INVALID | EMU_OP_RCX);
	/* Step 3: format, then range, of RDX before anything of R8. */
	CHECK_EQ(RAW_ADD(r | 1, bad, bad), EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(RAW_ADD(r | 1, w.m.max_pa, bad), EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(RAW_ADD(r | 1, out, bad), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RDX);
	/* Step 4 before 5: the region is out of range as well. */
	CHECK_EQ(RAW_ADD(0 | 1, w.base, bad), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(RAW_ADD(0 | 1, w.base, out), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R8);
	CHECK_EQ(RAW_ADD(0 | 1, w.base, w.base), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
}

static void add_states(void)
{
	u64 r = w_region(&w, 3), free0 = w_backing(&w), free1 = w_backing(&w);
	u64 used = td.tdr, pamt = w_backing(&w), pamt1 = w_backing(&w);

	CHECK_EQ(w_pamt_add(&w, w_region(&w, 4), pamt, pamt1), 0);
	/* Step 6 before 7: busy although it has a pair. */
	e2m(&w, w_region(&w, 4))->lock = SHAREX_READER;
	CHECK_EQ(w_pamt_add(&w, w_region(&w, 4), used, used), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e2m(&w, w_region(&w, 4))->lock = 0;
	e1g(&w, r)->lock = SHAREX_EX;
	CHECK_EQ(w_pamt_add(&w, r, free0, free1), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e1g(&w, r)->lock = 0;
	/* Step 7 before 8. */
	CHECK_EQ(w_pamt_add(&w, w_region(&w, 4), used, used), EMU_HPA_RANGE_NOT_FREE | EMU_OP_RCX);
	/* Step 8 before 9, of RDX before R8. */
	e4k(&w, used)->lock = SHAREX_EX;
	CHECK_EQ(w_pamt_add(&w, r, used, td.pages[0]), EMU_OPERAND_BUSY | EMU_OP_RDX);
	CHECK_EQ(w_pamt_add(&w, r, free0, used), EMU_OPERAND_BUSY | EMU_OP_R8);
	e4k(&w, used)->lock = 0;
	CHECK_EQ(w_pamt_add(&w, r, used, used), EMU_PAGE_NOT_FREE | EMU_OP_RDX);
	CHECK_EQ(w_pamt_add(&w, r, free0, used), EMU_PAGE_NOT_FREE | EMU_OP_R8);
	/* Step 10 (R8's type) before 11 (RDX's bit). */
	CHECK_EQ(w_pamt_add(&w, r, pamt, used), EMU_PAGE_NOT_FREE | EMU_OP_R8);
	/* Step 11: in use as a PAMT page, of this region's candidate or another's. */
	CHECK_EQ(w_pamt_add(&w, r, pamt, free1), EMU_PAGE_NOT_FREE | EMU_OP_RDX);
	CHECK_EQ(w_pamt_add(&w, r, free0, pamt1), EMU_PAGE_NOT_FREE | EMU_OP_R8);
	CHECK_EQ(w_pamt_add(&w, r, free0, free0), EMU_PAGE_NOT_FREE | EMU_OP_R8);
	/* None of the failures left a bit behind. */
	CHECK(!info_of(free0).pamt_page);
	CHECK(!info_of(free1).pamt_page);
	CHECK_EQ(w_pamt_add(&w, r, free0, free1), 0);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	CHECK_EQ(w_pamt_remove(&w, w_region(&w, 4)), 0);
}

/* A 2M page in use holds no PAMT page, even in a part of it that looks free. */
static void add_page_inside_huge(void)
{
	u64 region = w_region(&w, 4);

	CHECK_EQ(huge(region), 0);
	CHECK_EQ(w_pamt_add(&w, w_region(&w, 3), w_page_of(region, 2), w_backing(&w)),
		 EMU_PAGE_NOT_FREE | EMU_OP_RDX);
	CHECK_EQ(td_zap(&w, &td, EMU_2M_SIZE, 1), 0);
}

static void add_success(void)
{
	u64 r = w_region(&w, 3), p0 = w_backing(&w), p1 = w_backing(&w);

	memset(emu_va(&w.m, p0), 0xaa, EMU_4K_SIZE);
	memset(emu_va(&w.m, p1), 0xaa, EMU_4K_SIZE);
	CHECK_EQ(w_pamt_add(&w, r, p0, p1), 0);
	CHECK(info_of(r).has_pair);
	CHECK_EQ(info_of(r).pair[0], p0);
	CHECK_EQ(info_of(r).pair[1], p1);
	CHECK_EQ(info_of(r).page_count, 0);
	CHECK_EQ(info_of(r).type, EMU_PT_NDA);
	CHECK_EQ(info_of(r + EMU_2M_SIZE - EMU_4K_SIZE).type, EMU_PT_NDA);
	CHECK(info_of(p0).pamt_page && info_of(p1).pamt_page);
	/* First and last page of each half are distinct entries. */
	CHECK_EQ(e4k(&w, r), emu_va(&w.m, p0));
	CHECK_EQ(e4k(&w, w_page_of(r, EMU_ENTRIES / 2)), emu_va(&w.m, p1));
	CHECK_EQ(e4k(&w, w_page_of(r, EMU_ENTRIES - 1)) - e4k(&w, w_page_of(r, EMU_ENTRIES / 2)),
		 EMU_ENTRIES / 2 - 1);
	/* The same region again, with other pages. */
	CHECK_EQ(w_pamt_add(&w, r, w_backing(&w), w_backing(&w)),
		 EMU_HPA_RANGE_NOT_FREE | EMU_OP_RCX);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	CHECK_EQ(w.out.rdx, p0);
	CHECK_EQ(w.out.r8, p1);
	CHECK(!info_of(p0).pamt_page && !info_of(p1).pamt_page);
	CHECK(!info_of(r).has_pair);
}

/* Pages of the region itself back it, and are not free to a TD then. */
static void add_within_region(void)
{
	u64 r = w_region(&w, 3);

	CHECK_EQ(w_pamt_add(&w, r, w_page_of(r, 1), w_page_of(r, 2)), 0);
	CHECK_EQ(aug(w_page_of(r, 1)), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	CHECK_EQ(aug(w_page_of(r, 3)), 0);
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	CHECK_EQ(w.out.rdx, w_page_of(r, 1));
}

static void pamt_add(void)
{
	begin(true);
	add_formats();
	add_states();
	add_page_inside_huge();
	add_success();
	add_within_region();
	end();
}

/* --------------------------------------------------------------- PAMT.REMOVE */

#define RAW_REMOVE(rcx_) CALL(&w, TDH_PHYMEM_PAMT_REMOVE, .rcx = (rcx_), .rdx = 0x77, .r8 = 0x88)

static void remove_failed(u64 status, u64 want)
{
	CHECK_EQ(status, want);
	/* Outputs keep the caller's values. */
	CHECK_EQ(w.out.rdx, 0x77);
	CHECK_EQ(w.out.r8, 0x88);
}

static void pamt_remove(void)
{
	u64 r, half = EMU_ENTRIES / 2;

	begin(true);
	r = w_region(&w, 3);
	remove_failed(RAW_REMOVE(r), EMU_OPERAND_INVALID | EMU_OP_RCX);
	remove_failed(RAW_REMOVE((r + EMU_4K_SIZE) | 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	remove_failed(RAW_REMOVE(w.m.max_pa * 2 | 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	remove_failed(RAW_REMOVE(0 | 1), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	/* Busy before its type is looked at. */
	e2m(&w, r)->lock = SHAREX_READER;
	remove_failed(RAW_REMOVE(r | 1), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e2m(&w, r)->lock = 0;
	remove_failed(RAW_REMOVE(r | 1), EMU_NO_PAMT_PAGE_PAIR | EMU_OP_RCX);
	CHECK_EQ(huge(r), 0);
	remove_failed(RAW_REMOVE(r | 1), EMU_NO_PAMT_PAGE_PAIR | EMU_OP_RCX);
	CHECK_EQ(td_zap(&w, &td, EMU_2M_SIZE, 1), 0);

	/* Not empty: the index of the first page with an entry in use. */
	w_pair(&w, r);
	CHECK_EQ(aug(w_page_of(r, half)), 0);
	remove_failed(RAW_REMOVE(r | 1), EMU_PAMT_PAGE_NOT_EMPTY | 1);
	CHECK_EQ(w_aug(&w, td.tdr, EMU_4K_SIZE, 0, w_page_of(r, half - 1)), 0);
	remove_failed(RAW_REMOVE(r | 1), EMU_PAMT_PAGE_NOT_EMPTY | 0);
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	remove_failed(RAW_REMOVE(r | 1), EMU_PAMT_PAGE_NOT_EMPTY | 0);
	CHECK_EQ(td_zap(&w, &td, EMU_4K_SIZE, 0), 0);
	end();
}

/* All entries free and the count not zero kills the module: the race of 1.5.5. */
static void remove_fatal(void)
{
	u64 r, page;

	begin(true);
	r = w_region(&w, 3);
	page = w_page_of(r, 0);
	w_pair(&w, r);
	CHECK_EQ(aug(page), 0);
	/* PAGE.REMOVE on another CPU has set the entry free and not yet counted it. */
	e4k(&w, page)->type = EMU_PT_NDA;
	CHECK_EQ(w_pamt_remove(&w, r), EMU_SEAMCALL_VMFAILINVALID);
	CHECK(w.m.fatal);
	CHECK_EQ(w_rdmd(&w, page, 0), EMU_SEAMCALL_VMFAILINVALID);
	CHECK_EQ(w_call(&w, 0x1234, (struct tdx_module_args){ 0 }), EMU_SEAMCALL_VMFAILINVALID);
	munmap(w.m.mem, w.size);
}

/* --------------------------------------------------------- counts and hints */

static unsigned int count_of(u64 page)
{
	return info_of(page).page_count;
}

static void counts_and_hints(void)
{
	u64 r, gpa = EMU_2M_SIZE, huge_r, hpa;
	unsigned int n;

	begin(true);
	r = w_region(&w, 3);
	w_pair(&w, r);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, w_page_of(r, 0)), 0);
	CHECK_EQ(count_of(r), 1);
	CHECK_EQ(w_aug(&w, td.tdr, EMU_4K_SIZE, 0, w_page_of(r, 3)), 0);
	CHECK_EQ(count_of(r), 2);
	/* REMOVE: RCX is the page, with the hint only when the last one goes. */
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	CHECK_EQ(w.out.rcx, w_page_of(r, 0));
	CHECK_EQ(td_zap(&w, &td, EMU_4K_SIZE, 0), 0);
	CHECK_EQ(w.out.rcx, w_page_of(r, 3) | EMU_HINT_EMPTY);
	CHECK_EQ(count_of(r), 0);

	/* SEPT.ADD counts; a 2M page counts nowhere. */
	CHECK_EQ(w_sept_add(&w, td.tdr, gpa, 1, w_page_of(r, 1)), 0);
	CHECK_EQ(count_of(r), 1);
	huge_r = w_region(&w, 4);
	CHECK_EQ(w_aug(&w, td.tdr, 2 * gpa, 1, huge_r), 0);
	CHECK_EQ(count_of(huge_r), 0);

	/* DEMOTE: the new node is full, and its S-EPT page counts where it lies. */
	CHECK_EQ(w_block(&w, td.tdr, 2 * gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_demote(&w, td.tdr, 2 * gpa, 1, w_page_of(r, 2), w_backing(&w), w_backing(&w)),
		 0);
	CHECK_EQ(count_of(huge_r), EMU_ENTRIES);
	CHECK_EQ(count_of(r), 2);
	/* PROMOTE: the S-EPT page is uncounted; the pair comes back. */
	CHECK_EQ(w_block(&w, td.tdr, 2 * gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_promote(&w, td.tdr, 2 * gpa, 1), 0);
	CHECK_EQ(w.out.rcx, w_page_of(r, 2));
	CHECK_EQ(count_of(r), 1);
	CHECK(!info_of(huge_r).has_pair);
	CHECK_EQ(td_zap(&w, &td, 2 * gpa, 1), 0);
	CHECK_EQ(w.out.rcx, huge_r);

	/* RECLAIM: R9; control pages count as well. */
	td_stop(&w, &td);
	CHECK_EQ(w_reclaim(&w, w_page_of(r, 1)), 0);
	CHECK_EQ(w.out.r9, EMU_HINT_EMPTY);
	CHECK_EQ(count_of(r), 0);
	while (td.nr_pages) {
		hpa = td.pages[--td.nr_pages];
		n = count_of(hpa);
		CHECK_EQ(w_reclaim(&w, hpa), 0);
		CHECK_EQ(count_of(hpa), n - 1);
		CHECK_EQ(w.out.r9, n == 1 ? EMU_HINT_EMPTY : 0);
	}
	CHECK_EQ(w_reclaim(&w, td.tdr), 0);
	CHECK_EQ(w.out.r9, EMU_HINT_EMPTY);
	w_exit(&w);
}

/* Each leaf that takes a page counts it once, in the page's own region. */
static void every_leaf_counts(void)
{
	struct emu_census c;
	unsigned int i, counted = 0, pages = 0;

	begin(true);
	for (i = 0; i < w.nr_regions; i++)
		counted += count_of(w.regions[i]);
	CHECK_EQ(counted, td.nr_pages + 1);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, td.nr_pages);
	emu_census(&w.m, &c);
	for (i = EMU_PT_REG; i < EMU_PT_PAMT; i++)
		pages += c.pages[i];
	CHECK_EQ(pages, counted);
	CHECK_EQ(c.pages[EMU_PT_TDR], 1);
	CHECK_EQ(c.pages[EMU_PT_TDVPR], 1);
	CHECK_EQ(c.pages[EMU_PT_EPT], 3);
	CHECK_EQ(c.pages[EMU_PT_TDCX], MIN_TDCS_PAGES + W_VCPU_PAGES - 1);
	CHECK_EQ(c.pairs, w.nr_regions);
	CHECK_EQ(c.bitmap_pages, 2 * w.nr_regions);
	CHECK_EQ(c.hkids, 1);
	end();
}

/* ------------------------------------------------------------------- RDMD */

static void rdmd_is(u64 pa, unsigned int level, u64 rcx, u64 rdx, u64 r8, u64 r9)
{
	CHECK_EQ(w_rdmd(&w, pa, level), 0);
	CHECK_EQ(w.out.rcx, rcx);
	CHECK_EQ(w.out.rdx, rdx);
	CHECK_EQ(w.out.r8, r8);
	CHECK_EQ(w.out.r9, r9);
}

static void rdmd_common(void)
{
	u64 page = w_page(&w);

	rdmd_is(page, 0, EMU_PT_NDA, 0, EMU_LEVEL_4K, 0);
	rdmd_is(td.tdr, 0, EMU_PT_TDR, 0, EMU_LEVEL_4K, 0);
	rdmd_is(td.pages[0], 0, EMU_PT_TDCX, td.tdr, EMU_LEVEL_4K, 0);
	rdmd_is(td.vp, 0, EMU_PT_TDVPR, td.tdr, EMU_LEVEL_4K, 0);
	CHECK_EQ(aug(page), 0);
	rdmd_is(page, 0, EMU_PT_REG, td.tdr, EMU_LEVEL_4K, 0);
	CHECK_EQ(w_block(&w, td.tdr, 0, 0), 0);
	rdmd_is(page, 0, EMU_PT_REG, td.tdr, EMU_LEVEL_4K, td_cs(&w, &td)->epoch);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), 0);
	rdmd_is(page, 0, EMU_PT_NDA, 0, EMU_LEVEL_4K, 0);

	CHECK_EQ(w_rdmd(&w, w.base | 8, 0), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_rdmd(&w, w.base, 3), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_rdmd(&w, w.base | 1ULL << W_HKID_SHIFT, 0), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_rdmd(&w, 0, 0), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	e2m(&w, page)->lock = SHAREX_EX;
	w.out.rdx = w.out.r8 = 5;
	CHECK_EQ(w_call(&w, EMU_TDH_PHYMEM_PAGE_RDMD,
			(struct tdx_module_args){ .rcx = page, .rdx = 5, .r8 = 5, .r11 = 5 }),
		 EMU_OPERAND_BUSY | EMU_OP_RCX);
	CHECK_EQ(w.out.rdx | w.out.r8 | w.out.r11, 0);
	e2m(&w, page)->lock = 0;
}

static void rdmd_dynamic(void)
{
	u64 r, p0, p1;

	begin(true);
	rdmd_common();
	r = w_region(&w, 3);
	p0 = w_backing(&w);
	p1 = w_backing(&w);
	rdmd_is(r, 0, EMU_PT_NDA, 0, EMU_LEVEL_2M, 0);
	CHECK_EQ(w_pamt_add(&w, r, p0, p1), 0);
	rdmd_is(r, 0, EMU_PT_NDA, 0, EMU_LEVEL_4K, 0);
	rdmd_is(r, 1, EMU_PT_PAMT | EMU_RDMD_NON_LEAF, 0, EMU_LEVEL_2M, 0);
	CHECK_EQ(w.out.r10, p0);
	CHECK_EQ(w.out.r11, p1);
	rdmd_is(p0, 0, EMU_PT_PAMT, 0, EMU_LEVEL_4K, 0);
	rdmd_is(w.base, 2, EMU_PT_NDA, 0, EMU_LEVEL_1G, 0);
	CHECK_EQ(w_rdmd(&w, r + EMU_4K_SIZE, 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	rdmd_is(p0, 0, EMU_PT_NDA, 0, EMU_LEVEL_2M, 0);
	CHECK_EQ(huge(r), 0);
	rdmd_is(w_page_of(r, 2), 0, EMU_PT_REG, td.tdr, EMU_LEVEL_2M, 0);
	CHECK_EQ(td_zap(&w, &td, EMU_2M_SIZE, 1), 0);
	end();
}

static void rdmd_static(void)
{
	begin(false);
	rdmd_common();
	CHECK_EQ(w_rdmd(&w, w_region(&w, 3), 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(huge(w_region(&w, 3)), 0);
	rdmd_is(w_region(&w, 3), 0, EMU_PT_REG, td.tdr, EMU_LEVEL_2M, 0);
	CHECK_EQ(td_zap(&w, &td, EMU_2M_SIZE, 1), 0);
	end();
}

/* -------------------------------------------------------------- inspection */

static void inspect(bool dynamic)
{
	struct emu_region_page pages[EMU_ENTRIES];
	struct emu_page_info info;
	struct emu_census c;
	u64 r, huge_r;

	begin(dynamic);
	r = w_region(&w, 3);
	huge_r = w_region(&w, 4);
	w_pair(&w, r);
	CHECK_EQ(aug(w_page_of(r, 2)), 0);
	CHECK_EQ(huge(huge_r), 0);
	CHECK_EQ(emu_page_info(&w.m, 0, &info), -EINVAL);
	CHECK_EQ(emu_region_pages(&w.m, r + EMU_4K_SIZE, pages), -EINVAL);
	CHECK_EQ(emu_region_pages(&w.m, r, pages), 0);
	CHECK_EQ(pages[1].type, EMU_PT_NDA);
	CHECK_EQ(pages[2].type, EMU_PT_REG);
	CHECK_EQ(pages[2].owner, td.tdr);
	CHECK_EQ(emu_region_pages(&w.m, huge_r, pages), 0);
	CHECK_EQ(pages[0].owner, td.tdr);
	CHECK_EQ(pages[EMU_ENTRIES - 1].type, EMU_PT_REG);
	CHECK_EQ(info_of(td.tdr).owner, td.tdr);
	CHECK_EQ(info_of(td.vp).owner, td.tdr);
	CHECK(!info_of(r).locked);
	e4k(&w, r)->lock = SHAREX_EX;
	e2m(&w, huge_r)->lock = SHAREX_READER;
	CHECK(info_of(r).locked);
	emu_census(&w.m, &c);
	CHECK_EQ(c.locked, 2);
	CHECK_EQ(c.pages[EMU_PT_REG], 2);
	e4k(&w, r)->lock = SHAREX_HP;
	e2m(&w, huge_r)->lock = 0;
	emu_census(&w.m, &c);
	CHECK_EQ(c.locked, 0);
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	CHECK_EQ(td_zap(&w, &td, EMU_2M_SIZE, 1), 0);
	end();
}

static void inspect_dynamic(void)
{
	inspect(true);
}

static void inspect_static(void)
{
	inspect(false);
}

int main(void)
{
	test_begin("test_module_pamt");
	TEST(checks_dynamic);
	TEST(checks_static);
	TEST(pamt_add);
	TEST(pamt_remove);
	TEST(remove_fatal);
	TEST(counts_and_hints);
	TEST(every_leaf_counts);
	TEST(rdmd_dynamic);
	TEST(rdmd_static);
	TEST(inspect_dynamic);
	TEST(inspect_static);
	return test_end();
}
