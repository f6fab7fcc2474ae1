// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who gets BUSY from whom (tdx-abi.md 1.5.7 and Part 3), without threads: the
 * outer call is held in its hold() hook, with its locks, and an inner call is
 * made from there as another CPU would make it. Every row is run in both
 * orders where both are possible.
 */
#include "tests/module_world.h"

static struct world w;
static struct wtd td;

/* The inner call, its answer, and the registers it left. */
static u64 inner_rax;
static struct tdx_module_args inner_args, inner_out;
static u64 inner_status;
static bool inner_ran;

static void run_inner(struct world *world, const struct emu_call *c)
{
	(void)c;
	world->m.hold = NULL;
	inner_ran = true;
	inner_out = inner_args;
	inner_status = emu_seamcall(&world->m, inner_rax, &inner_out);
	world->m.hold = w_hold;
}

/* Make @outer, and inside it the call set up by INNER(): the inner one's status. */
static u64 during(u64 rax, struct tdx_module_args outer)
{
	u64 status;

	inner_ran = false;
	w.on_hold = run_inner;
	status = w_call(&w, rax, outer);
	w.on_hold = NULL;
	CHECK_EQ(status, 0);
	CHECK(inner_ran);
	return inner_status;
}

#define INNER(leaf, ...)                                              \
	do {                                                          \
		inner_rax = EMU_##leaf;                               \
		inner_args = (struct tdx_module_args){ __VA_ARGS__ }; \
	} while (0)
#define DURING(leaf, ...) during(EMU_##leaf, (struct tdx_module_args){ __VA_ARGS__ })

static void begin(void)
{
	w_init(&w, true);
	td_run(&w, &td, 0);
	td_tables(&w, &td, 0, 1);
}

static void end(void)
{
	td_destroy(&w, &td);
	w_exit(&w);
}

/* ------------------------------------- explicit 4K operands against a region */

/* The pages that a TD is built from, each alone in a region of its own. */
enum { R_TDR = 1, R_TDVPR, R_NEW, R_LONE };

static u64 lone(unsigned int region)
{
	w_pair(&w, w_region(&w, region));
	return w_page_of(w_region(&w, region), 1);
}

static void inner_remove(unsigned int region)
{
	INNER(TDH_PHYMEM_PAMT_REMOVE, .rcx = w_region(&w, region) | 1);
}

static const u64 BUSY_RCX = EMU_OPERAND_BUSY | EMU_OP_RCX;
static const u64 BUSY_RDX = EMU_OPERAND_BUSY | EMU_OP_RDX;
static const u64 BUSY_R8 = EMU_OPERAND_BUSY | EMU_OP_R8;

/* A TD whose TDR and TDVPR are alone in their regions, built under PAMT.REMOVE attempts. */
static void region_against_control_pages(void)
{
	u64 tdr, vp, page;
	int i;

	w_init(&w, true);
	tdr = lone(R_TDR);
	vp = lone(R_TDVPR);
	page = lone(R_NEW);
	memset(&td, 0, sizeof(td));
	td.tdr = tdr;

	inner_remove(R_TDR);
	CHECK_EQ(DURING(TDH_MNG_CREATE, .rcx = tdr, .rdx = W_FIRST_HKID + 1), BUSY_RCX);
	CHECK_EQ(DURING(TDH_MNG_KEY_CONFIG, .rcx = tdr), BUSY_RCX);
	inner_remove(R_NEW);
	CHECK_EQ(DURING(TDH_MNG_ADDCX, .rcx = td_give(&td, page), .rdx = tdr), BUSY_RCX);
	for (i = 1; i < MIN_TDCS_PAGES; i++)
		CHECK_EQ(td_addcx(&w, &td), 0);
	w_params(&w);
	inner_remove(R_TDR);
	CHECK_EQ(DURING(TDH_MNG_INIT, .rcx = tdr, .rdx = w.host), BUSY_RCX);

	inner_remove(R_TDVPR);
	CHECK_EQ(DURING(TDH_VP_CREATE, .rcx = td_give(&td, vp), .rdx = tdr), BUSY_RCX);
	CHECK_EQ(DURING(TDH_VP_ADDCX, .rcx = td_give(&td, w_page(&w)), .rdx = vp), BUSY_RCX);
	/* The owner TDR is implicit here: its region shows only that it is in use. */
	inner_remove(R_TDR);
	CHECK_EQ(DURING(TDH_VP_ADDCX, .rcx = td_give(&td, w_page(&w)), .rdx = vp),
		 EMU_PAMT_PAGE_NOT_EMPTY);
	td_tables(&w, &td, 0, 1);
	inner_remove(R_NEW);
	CHECK_EQ(DURING(TDH_MEM_PAGE_ADD, .rcx = 0, .rdx = tdr, .r9 = w.host,
			.r8 = td_give(&td, w_page_of(w_region(&w, R_NEW), 2))),
		 BUSY_RCX);
	CHECK_EQ(DURING(TDH_MEM_SEPT_ADD, .rcx = EMU_2M_SIZE | 1, .rdx = tdr,
			.r8 = td_give(&td, w_page_of(w_region(&w, R_NEW), 3))),
		 BUSY_RCX);
	td_stop(&w, &td);
	inner_remove(R_TDVPR);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RECLAIM, .rcx = vp), BUSY_RCX);
	while (td.nr_pages)
		if (td.pages[--td.nr_pages] != vp)
			CHECK_EQ(w_reclaim(&w, td.pages[td.nr_pages]), 0);
	CHECK_EQ(w_reclaim(&w, tdr), 0);
	w_exit(&w);
}

static void region_against_memory(void)
{
	u64 page, r;

	begin();
	page = lone(R_LONE);
	r = w_region(&w, R_LONE);
	inner_remove(R_LONE);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_WBINVD, .rcx = page), BUSY_RCX);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = page), BUSY_RCX);
	CHECK_EQ(DURING(TDH_MEM_PAGE_AUG, .rcx = 0, .rdx = td.tdr, .r8 = page), BUSY_RCX);
	/* No conflict: nothing above the page's own entry is held. */
	CHECK_EQ(DURING(TDH_MEM_RANGE_BLOCK, .rcx = 0, .rdx = td.tdr), EMU_PAMT_PAGE_NOT_EMPTY);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_aug(&w, td.tdr, EMU_4K_SIZE, 0, w_page_of(r, 0)), 0);
	CHECK_EQ(DURING(TDH_MEM_PAGE_REMOVE, .rcx = 0, .rdx = td.tdr), EMU_PAMT_PAGE_NOT_EMPTY);
	CHECK_EQ(td_zap(&w, &td, EMU_4K_SIZE, 0), 0);

	/* The other way round: the region is held, the operand comes second. */
	INNER(TDH_MEM_PAGE_AUG, .rcx = 0, .rdx = td.tdr, .r8 = page);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_REMOVE, .rcx = r | 1), BUSY_R8);
	w_forget(&w, r);
	INNER(TDH_PHYMEM_PAGE_WBINVD, .rcx = page);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = w_backing(&w),
			.r8 = w_backing(&w)),
		 BUSY_RCX);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	/* Without a pair, WBINVD and RDMD hold the 2M entry against ADD. */
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = w_backing(&w), .r8 = w_backing(&w));
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_WBINVD, .rcx = page), BUSY_RCX);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = page), BUSY_RCX);
	end();
}

/* A leaf with a TDR operand conflicts with the TDR's own region as well. */
static void region_against_tdr(void)
{
	u64 r;

	begin();
	r = td.tdr & ~(EMU_2M_SIZE - 1);
	INNER(TDH_PHYMEM_PAMT_REMOVE, .rcx = r | 1);
	CHECK_EQ(DURING(TDH_MEM_TRACK, .rcx = td.tdr), BUSY_RCX);
	CHECK_EQ(w_pamt_remove(&w, r), EMU_PAMT_PAGE_NOT_EMPTY);
	/* A failed REMOVE holds the region too. */
	w.on_hold = NULL;
	inner_ran = false;
	INNER(TDH_MEM_TRACK, .rcx = td.tdr);
	w.on_hold = run_inner;
	CHECK_EQ(w_pamt_remove(&w, r), EMU_PAMT_PAGE_NOT_EMPTY);
	w.on_hold = NULL;
	CHECK(inner_ran);
	CHECK_EQ(inner_status, BUSY_RCX);
	end();
}

/* ----------------------------------------------------- PAMT.ADD against itself */

static void add_against_add(void)
{
	u64 r, r2, p0, p1, q0, q1;

	begin();
	r = w_region(&w, R_TDR);
	r2 = w_region(&w, R_NEW);
	p0 = w_backing(&w);
	p1 = w_backing(&w);
	q0 = w_page_of(r, 0);
	q1 = w_page_of(r, 1);

	/* R2 takes its pages from R, and R is the other's target. */
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r2 | 1, .rdx = q0, .r8 = p1), BUSY_RCX);
	CHECK_EQ(w_pamt_remove(&w, r2), 0);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r2 | 1, .rdx = p0, .r8 = q1), BUSY_RCX);
	CHECK_EQ(w_pamt_remove(&w, r2), 0);
	/* The other order: either page of R2 meets R held exclusively. */
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r2 | 1, .rdx = q0, .r8 = q1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1), BUSY_RDX);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r2 | 1, .rdx = w_backing(&w), .r8 = q1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1), BUSY_R8);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	/* Mutual: A's pages in B, B's pages in A. */
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r2 | 1, .rdx = q0, .r8 = q1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = w_page_of(r2, 0),
			.r8 = w_page_of(r2, 1)),
		 BUSY_RCX);
	CHECK_EQ(w_pamt_remove(&w, r), 0);

	/* The same region from two CPUs; REMOVE against ADD. */
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = w_backing(&w), .r8 = w_backing(&w));
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1), BUSY_RCX);
	INNER(TDH_PHYMEM_PAMT_REMOVE, .rcx = r | 1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_REMOVE, .rcx = r | 1), BUSY_RCX);
	end();
}

/* PAMT.REMOVE locks nothing where its pages lie. */
static void remove_leaves_backing_alone(void)
{
	u64 r, r2;

	begin();
	r = w_region(&w, R_TDR);
	r2 = w_region(&w, R_NEW);
	CHECK_EQ(w_pamt_add(&w, r2, w_page_of(r, 0), w_page_of(r, 1)), 0);
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = w_backing(&w), .r8 = w_backing(&w));
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_REMOVE, .rcx = r2 | 1), 0);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	end();
}

/* Another region of the same 1G, and shared backing regions, do not conflict. */
static void no_conflict(void)
{
	u64 r, other;

	begin();
	r = w_region(&w, R_TDR);
	other = w_region(&w, R_TDVPR);
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = other | 1, .rdx = w_backing(&w), .r8 = w_backing(&w));
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = w_backing(&w),
			.r8 = w_backing(&w)),
		 0);
	INNER(TDH_PHYMEM_PAMT_REMOVE, .rcx = other | 1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_REMOVE, .rcx = r | 1), 0);
	end();
}

/* Two walkers that hold one 2M entry shared: neither can promote. */
static void two_promoters(void)
{
	u64 r;

	begin();
	r = w_region(&w, R_TDR);
	CHECK(sharex_try_sh(&e2m(&w, r)->lock));
	CHECK_EQ(w_pamt_add(&w, r, w_backing(&w), w_backing(&w)), BUSY_RCX);
	CHECK_EQ(e2m(&w, r)->lock, SHAREX_READER | SHAREX_HP);
	CHECK(sharex_try_promote(&e2m(&w, r)->lock));
	CHECK_EQ(w_pamt_add(&w, r, w_backing(&w), w_backing(&w)), BUSY_RCX);
	sharex_release_ex(&e2m(&w, r)->lock);
	CHECK_EQ(e2m(&w, r)->lock, SHAREX_HP);
	CHECK_EQ(w_pamt_add(&w, r, w_backing(&w), w_backing(&w)), 0);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	end();
}

/* -------------------------------------------------------------- resizing */

static void blocked_huge(u64 gpa, u64 region)
{
	CHECK_EQ(w_aug(&w, td.tdr, gpa, 1, region), 0);
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
}

static void demote_against_add(void)
{
	const u64 gpa = EMU_2M_SIZE;
	u64 huge, r, table, p0, p1;

	begin();
	huge = w_region(&w, R_LONE);
	r = w_region(&w, R_NEW);
	table = w_page(&w);
	p0 = w_backing(&w);
	p1 = w_backing(&w);
	blocked_huge(gpa, huge);

	/* A region held by ADD, DEMOTE's R12 or R13 in it. */
	INNER(TDH_MEM_PAGE_DEMOTE, .rcx = gpa | 1, .rdx = td.tdr, .r8 = table,
	      .r12 = w_page_of(r, 0), .r13 = w_page_of(r, 1));
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1),
		 EMU_OPERAND_BUSY | EMU_OP_R12);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	INNER(TDH_MEM_PAGE_DEMOTE, .rcx = gpa | 1, .rdx = td.tdr, .r8 = table,
	      .r12 = w_backing(&w), .r13 = w_page_of(r, 1));
	CHECK_EQ(DURING(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1),
		 EMU_OPERAND_BUSY | EMU_OP_R13);
	CHECK_EQ(w_pamt_remove(&w, r), 0);
	/* No exemption for pages inside the split page: its entry is held exclusively. */
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, w_page_of(huge, 0), p1),
		 EMU_OPERAND_BUSY | EMU_OP_R12);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, p0, w_page_of(huge, 0)),
		 EMU_OPERAND_BUSY | EMU_OP_R13);
	/* A walker on the split page keeps DEMOTE off. */
	INNER(TDH_MEM_PAGE_DEMOTE, .rcx = gpa | 1, .rdx = td.tdr, .r8 = table, .r12 = p0,
	      .r13 = p1);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = huge), BUSY_RCX);
	/* DEMOTE holds where its pages lie: ADD of that region comes second. */
	INNER(TDH_PHYMEM_PAMT_ADD, .rcx = r | 1, .rdx = p0, .r8 = p1);
	CHECK_EQ(DURING(TDH_MEM_PAGE_DEMOTE, .rcx = gpa | 1, .rdx = td.tdr, .r8 = table,
			.r12 = w_page_of(r, 0), .r13 = w_page_of(r, 1)),
		 BUSY_RCX);

	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(td_zap(&w, &td, gpa, 1), 0);
	end();
}

static void promote_holds_merged_region(void)
{
	const u64 gpa = EMU_2M_SIZE;
	u64 huge, table;

	begin();
	huge = w_region(&w, R_LONE);
	table = lone(R_TDVPR);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, table - EMU_4K_SIZE), 0);
	blocked_huge(gpa, huge);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, w_backing(&w), w_backing(&w)), 0);
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	INNER(TDH_MEM_PAGE_PROMOTE, .rcx = gpa | 1, .rdx = td.tdr);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = huge), BUSY_RCX);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = table), BUSY_RCX);
	INNER(TDH_PHYMEM_PAGE_RDMD, .rcx = huge);
	CHECK_EQ(DURING(TDH_MEM_PAGE_PROMOTE, .rcx = gpa | 1, .rdx = td.tdr), BUSY_RCX);
	/* And nothing above the S-EPT page that it frees. */
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, w_backing(&w), w_backing(&w)), 0);
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	inner_remove(R_TDVPR);
	CHECK_EQ(DURING(TDH_MEM_PAGE_PROMOTE, .rcx = gpa | 1, .rdx = td.tdr),
		 EMU_PAMT_PAGE_NOT_EMPTY);
	CHECK_EQ(td_zap(&w, &td, gpa, 1), 0);
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	end();
}

/* ------------------------------------------------- TD, tree, entry and epoch */

static void td_locks(void)
{
	u64 page;

	begin();
	page = w_page(&w);
	/* TDR shared against exclusive, and two shared users. */
	INNER(TDH_MR_FINALIZE, .rcx = td.tdr);
	CHECK_EQ(DURING(TDH_MEM_TRACK, .rcx = td.tdr), BUSY_RCX);
	INNER(TDH_MEM_TRACK, .rcx = td.tdr);
	CHECK_EQ(DURING(TDH_MEM_TRACK, .rcx = td.tdr), EMU_OPERAND_BUSY | EMU_OP_TD_EPOCH);
	CHECK_EQ(DURING(TDH_MEM_PAGE_AUG, .rcx = 0, .rdx = td.tdr, .r8 = page), 0);
	/* Tree: BLOCK is exclusive, AUG and REMOVE are shared. */
	INNER(TDH_MEM_PAGE_AUG, .rcx = EMU_4K_SIZE, .rdx = td.tdr, .r8 = page);
	CHECK_EQ(DURING(TDH_MEM_RANGE_BLOCK, .rcx = 0, .rdx = td.tdr),
		 EMU_OPERAND_BUSY | EMU_OP_SEPT_TREE);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	INNER(TDH_MEM_RANGE_BLOCK, .rcx = 0, .rdx = td.tdr);
	CHECK_EQ(DURING(TDH_MEM_PAGE_REMOVE, .rcx = 0, .rdx = td.tdr),
		 EMU_OPERAND_BUSY | EMU_OP_SEPT_TREE);
	/* Entry: the same one busy with details, another one free. */
	INNER(TDH_MEM_PAGE_AUG, .rcx = 0, .rdx = td.tdr, .r8 = w_page(&w));
	CHECK_EQ(DURING(TDH_MEM_PAGE_AUG, .rcx = 0, .rdx = td.tdr, .r8 = page), BUSY_RCX);
	CHECK_EQ(inner_out.rdx, 0 | SEPT_PENDING << 8);
	CHECK_EQ(*td_entry(&w, &td, 0, 0) & 3, SEPTE_HP);
	INNER(TDH_MEM_PAGE_AUG, .rcx = EMU_4K_SIZE, .rdx = td.tdr, .r8 = w_page(&w));
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = page), 0);
	CHECK_EQ(td_zap(&w, &td, EMU_4K_SIZE, 0), 0);
	/* OP_STATE is only ever shared by these leaves. */
	td_cs(&w, &td)->op_state_lock = SHAREX_EX;
	CHECK_EQ(w_track(&w, td.tdr), EMU_OPERAND_BUSY | EMU_OP_OP_STATE);
	td_cs(&w, &td)->op_state_lock = 0;
	CHECK_EQ(td_zap(&w, &td, 0, 0), 0);
	end();
}

/* REMOVE and RECLAIM lock the page and the owner implicitly. */
static void implicit_operands(void)
{
	u64 page, lock_page;

	begin();
	page = lone(R_LONE);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, page), 0);
	CHECK_EQ(w_block(&w, td.tdr, 0, 0), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	INNER(TDH_MEM_PAGE_REMOVE, .rcx = 0, .rdx = td.tdr);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = page), BUSY_RCX);
	/* Its parents may be held exclusively: they are not asked for. */
	e2m(&w, page)->lock = SHAREX_EX;
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), 0);
	e2m(&w, page)->lock = 0;
	/* Nothing of the blocked page is locked at all. */
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, page), 0);
	e4k(&w, page)->lock = SHAREX_EX;
	CHECK_EQ(w_block(&w, td.tdr, 0, 0), 0);
	e4k(&w, page)->lock = 0;
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), 0);

	/* The TDVPR's owner, through any vCPU leaf and RECLAIM. */
	e4k(&w, td.tdr)->lock = SHAREX_EX;
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = td.vp), EMU_OPERAND_BUSY | EMU_OP_TDR);
	CHECK_EQ(w_reclaim(&w, td.vp), EMU_OPERAND_BUSY | EMU_OP_TDR);
	lock_page = td.vp;
	e4k(&w, td.tdr)->lock = 0;
	INNER(TDH_VP_FLUSH, .rcx = lock_page);
	CHECK_EQ(DURING(TDH_PHYMEM_PAGE_RDMD, .rcx = lock_page), BUSY_RCX);
	end();
}

static void kot(void)
{
	struct wtd other;
	u64 page;

	begin();
	page = w_page(&w);
	memset(&other, 0, sizeof(other));
	INNER(TDH_MNG_CREATE, .rcx = page, .rdx = W_FIRST_HKID + 2);
	CHECK_EQ(DURING(TDH_MNG_CREATE, .rcx = other.tdr = w_page(&w), .rdx = W_FIRST_HKID + 1 + 3),
		 EMU_OPERAND_BUSY | EMU_OP_KOT);
	INNER(TDH_PHYMEM_CACHE_WB, .rcx = 0);
	CHECK_EQ(DURING(TDH_MNG_VPFLUSHDONE, .rcx = other.tdr), EMU_OPERAND_BUSY | EMU_OP_KOT);
	INNER(TDH_MNG_KEY_FREEID, .rcx = other.tdr);
	CHECK_EQ(DURING(TDH_PHYMEM_CACHE_WB, .rcx = 0), EMU_OPERAND_BUSY | EMU_OP_KOT);
	INNER(TDH_PHYMEM_CACHE_WB, .rcx = 0);
	CHECK_EQ(DURING(TDH_PHYMEM_CACHE_WB, .rcx = 0), EMU_OPERAND_BUSY | EMU_OP_WBCACHE);
	INNER(TDH_MNG_VPFLUSHDONE, .rcx = td.tdr);
	CHECK_EQ(DURING(TDH_MNG_KEY_FREEID, .rcx = other.tdr), EMU_OPERAND_BUSY | EMU_OP_KOT);
	CHECK_EQ(w_reclaim(&w, other.tdr), 0);
	end();
}

int main(void)
{
	test_begin("test_module_busy");
	TEST(region_against_control_pages);
	TEST(region_against_memory);
	TEST(region_against_tdr);
	TEST(add_against_add);
	TEST(remove_leaves_backing_alone);
	TEST(no_conflict);
	TEST(two_promoters);
	TEST(demote_against_add);
	TEST(promote_holds_merged_region);
	TEST(td_locks);
	TEST(implicit_operands);
	TEST(kot);
	return test_end();
}
