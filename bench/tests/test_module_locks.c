// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks of the software TDX module: the primitives, rule by rule (tdx-abi.md
 * 1.4), and which locks each leaf holds while it runs, word by word (the Locks
 * column of 1.6, explicit and implicit operands of 1.5.2).
 */
#include "tests/module_world.h"

#define SH(n) ((n) * SHAREX_READER)

static struct world w;
static struct wtd td;

/* -------------------------------------------------------------- primitives */

static void sharex_shared(void)
{
	u16 word = 0;

	CHECK(sharex_try_sh(&word));
	CHECK_EQ(word, SH(1));
	CHECK(sharex_try_sh(&word));
	CHECK_EQ(word, SH(2));
	sharex_release_sh(&word);
	CHECK_EQ(word, SH(1));
	sharex_release_sh(&word);
	CHECK_EQ(word, 0);
}

/* A shared attempt under an exclusive owner stays counted and asks for priority. */
static void sharex_shared_under_exclusive(void)
{
	u16 word = 0;

	CHECK(sharex_try_ex(&word));
	CHECK_EQ(word, SHAREX_EX);
	CHECK(!sharex_try_sh(&word));
	CHECK_EQ(word, SHAREX_EX | SHAREX_HP | SH(1));
	CHECK(!sharex_try_sh(&word));
	CHECK_EQ(word, SHAREX_EX | SHAREX_HP | SH(2));
	sharex_release_ex(&word);
	CHECK_EQ(word, SHAREX_HP);
	CHECK(sharex_is_free(word));
}

static void sharex_priority(void)
{
	u16 word = SHAREX_HP;

	CHECK(sharex_try_sh(&word));
	CHECK_EQ(word, SH(1));
	word = SHAREX_HP;
	CHECK(sharex_try_ex(&word));
	CHECK_EQ(word, SHAREX_EX);
	sharex_release_ex(&word);
	CHECK_EQ(word, 0);
	word = SHAREX_HP | SH(1);
	sharex_release_sh(&word);
	CHECK_EQ(word, SHAREX_HP);
}

static void sharex_exclusive(void)
{
	u16 word = SH(1);

	CHECK(!sharex_try_ex(&word));
	CHECK_EQ(word, SH(1) | SHAREX_HP);
	word = SHAREX_EX;
	CHECK(!sharex_try_ex(&word));
	CHECK_EQ(word, SHAREX_EX | SHAREX_HP);
	sharex_release_ex(&word);
	CHECK_EQ(word, SHAREX_HP);
	CHECK(!sharex_is_free(SHAREX_EX));
	CHECK(!sharex_is_free(SH(1)));
}

static void sharex_promotion(void)
{
	u16 word = SH(1);

	CHECK(sharex_try_promote(&word));
	CHECK_EQ(word, SHAREX_EX);
	word = SH(1) | SHAREX_HP;
	CHECK(sharex_try_promote(&word));
	CHECK_EQ(word, SHAREX_EX);
	word = SH(2);
	CHECK(!sharex_try_promote(&word));
	CHECK_EQ(word, SH(2) | SHAREX_HP);
}

static void sharex_two_promoters_both_fail(void)
{
	u16 word = 0;

	CHECK(sharex_try_sh(&word));
	CHECK(sharex_try_sh(&word));
	CHECK(!sharex_try_promote(&word));
	CHECK(!sharex_try_promote(&word));
	CHECK_EQ(word, SH(2) | SHAREX_HP);
	sharex_release_sh(&word);
	CHECK(sharex_try_promote(&word));
}

static void sharex_plain(void)
{
	u16 word = 0;

	CHECK(sharex_plain_try_sh(&word));
	CHECK(sharex_plain_try_sh(&word));
	CHECK_EQ(word, 2 * SHAREX_PLAIN_READER);
	CHECK(!sharex_plain_try_ex(&word));
	CHECK_EQ(word, 2 * SHAREX_PLAIN_READER);
	held_release(&word, EMU_LOCK_PLAIN_SH);
	held_release(&word, EMU_LOCK_PLAIN_SH);
	CHECK_EQ(word, 0);
	CHECK(sharex_plain_try_ex(&word));
	CHECK_EQ(word, SHAREX_EX);
	CHECK(!sharex_plain_try_ex(&word));
	CHECK(!sharex_plain_try_sh(&word));
	held_release(&word, EMU_LOCK_PLAIN_EX);
	CHECK_EQ(word, 0);
}

static void septe_lock(void)
{
	const u64 value = sept_make(SEPT_MAPPED, 0x1234000);
	u64 e = value;

	CHECK(septe_try_lock(&e));
	CHECK_EQ(e, value | SEPTE_LOCK);
	CHECK(!septe_try_lock(&e));
	CHECK_EQ(e, value | SEPTE_LOCK | SEPTE_HP);
	septe_release(&e);
	CHECK_EQ(e, value | SEPTE_HP);
	CHECK(septe_try_lock(&e));
	CHECK_EQ(e, value | SEPTE_LOCK);
}

/* Setting a locked entry keeps a priority bit that comes in between. */
static void septe_set_keeps_priority(void)
{
	u64 e = sept_make(SEPT_MAPPED, 0x5000) | SEPTE_LOCK;
	struct sept_ref s = { .entry = &e, .value = e };

	e |= SEPTE_HP;
	emu_sept_set(&s, sept_make(SEPT_FREE, 0));
	CHECK_EQ(e, SEPTE_LOCK | SEPTE_HP);
	emu_sept_set(&s, sept_make(SEPT_NL_MAPPED, 0xfffff7000));
	CHECK_EQ(e, sept_make(SEPT_NL_MAPPED, 0xfffff7000) | SEPTE_LOCK | SEPTE_HP);
}

/* Released in reverse; a partial release keeps what was there before. */
static void call_records(void)
{
	struct emu_call c = { 0 };
	u16 a = 0, b = 0;

	CHECK(call_lock(&c, &a, EMU_LOCK_SH));
	CHECK(call_lock(&c, &b, EMU_LOCK_SH));
	CHECK(call_promote(&c));
	CHECK_EQ(b, SHAREX_EX);
	CHECK(!call_lock(&c, &b, EMU_LOCK_EX));
	CHECK_EQ(c.nr_locks, 2);
	call_unlock_to(&c, 1);
	CHECK_EQ(a, SH(1));
	CHECK_EQ(b, SHAREX_HP);
	call_unlock_to(&c, 0);
	CHECK_EQ(a, 0);
}

/* ------------------------------------------------------ locks held per leaf */

static struct want l;

static void fresh(void)
{
	memset(&l, 0, sizeof(l));
}

static void want_td(enum emu_lock_mode mode)
{
	fresh();
	want_page(&w, &l, td.tdr, mode);
}

static void want_memory(u64 gpa, unsigned int level, enum emu_lock_mode tree)
{
	want_td(EMU_LOCK_SH);
	want(&l, &td_cs(&w, &td)->op_state_lock, EMU_LOCK_SH);
	want(&l, &td_cs(&w, &td)->tree_lock, tree);
	want(&l, (u16 *)td_entry(&w, &td, gpa, level), EMU_LOCK_SEPTE);
}

/* Run a call that must succeed with exactly the locks in l held. */
#define HOLDS(call)                         \
	do {                                \
		w.holds = 0;                \
		CHECK_EQ((call), 0);        \
		CHECK_EQ(w.holds, 1);       \
		CHECK_LOCKS(&w, &l);        \
	} while (0)

static void leaves_of_creation(void)
{
	u64 page;
	int i;

	memset(&td, 0, sizeof(td));
	td.hkid = W_FIRST_HKID + 1;
	td.tdr = w_page(&w);
	want_td(EMU_LOCK_EX);
	want(&l, &w.m.kot_lock, EMU_LOCK_PLAIN_EX);
	HOLDS(CALL(&w, TDH_MNG_CREATE, .rcx = td.tdr, .rdx = td.hkid));

	want_td(EMU_LOCK_EX);
	want(&l, &w.m.ket_lock[0], EMU_LOCK_PLAIN_EX);
	HOLDS(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr));
	for (i = 0; i < MIN_TDCS_PAGES; i++) {
		page = td_give(&td, w_page(&w));
		want_td(EMU_LOCK_EX);
		want_page(&w, &l, page, EMU_LOCK_EX);
		HOLDS(CALL(&w, TDH_MNG_ADDCX, .rcx = page, .rdx = td.tdr));
	}
	w_params(&w);
	want_td(EMU_LOCK_EX);
	HOLDS(td_init(&w, &td));
}

static void leaves_of_vcpus(void)
{
	u64 page, vp[2];
	int i, v;

	for (v = 0; v < 2; v++) {
		vp[v] = td_give(&td, w_page(&w));
		want_td(EMU_LOCK_SH);
		want(&l, &td_cs(&w, &td)->op_state_lock, EMU_LOCK_SH);
		want_page(&w, &l, vp[v], EMU_LOCK_EX);
		HOLDS(CALL(&w, TDH_VP_CREATE, .rcx = vp[v], .rdx = td.tdr));
		for (i = 1; i < W_VCPU_PAGES; i++) {
			page = td_give(&td, w_page(&w));
			fresh();
			want_page(&w, &l, vp[v], EMU_LOCK_EX);
			want(&l, &e4k(&w, td.tdr)->lock, EMU_LOCK_SH);
			want(&l, &td_cs(&w, &td)->op_state_lock, EMU_LOCK_SH);
			want_page(&w, &l, page, EMU_LOCK_EX);
			HOLDS(CALL(&w, TDH_VP_ADDCX, .rcx = page, .rdx = vp[v]));
		}
		/* Version 1 takes the TDR exclusively, version 0 shared. */
		fresh();
		want_page(&w, &l, vp[v], EMU_LOCK_EX);
		want(&l, &e4k(&w, td.tdr)->lock, v ? EMU_LOCK_EX : EMU_LOCK_SH);
		want(&l, &td_cs(&w, &td)->op_state_lock, EMU_LOCK_SH);
		HOLDS(td_vp_init(&w, vp[v], v, 9));

		fresh();
		want_page(&w, &l, vp[v], EMU_LOCK_EX);
		want(&l, &e4k(&w, td.tdr)->lock, EMU_LOCK_SH);
		HOLDS(CALL(&w, TDH_VP_FLUSH, .rcx = vp[v]));
	}
}

static void leaves_of_building(void)
{
	unsigned int level;
	u64 page;

	for (level = 3; level >= 1; level--) {
		page = td_give(&td, w_page(&w));
		want_memory(0, level, EMU_LOCK_SH);
		want_page(&w, &l, page, EMU_LOCK_EX);
		HOLDS(w_sept_add(&w, td.tdr, 0, level, page));
	}
	/* PAGE.ADD and the MR leaves: TDR exclusively, nothing in the tree. */
	page = td_give(&td, w_page(&w));
	want_td(EMU_LOCK_EX);
	want_page(&w, &l, page, EMU_LOCK_EX);
	HOLDS(w_page_add(&w, td.tdr, 0, page, w.host));
	want_td(EMU_LOCK_EX);
	HOLDS(CALL(&w, TDH_MR_EXTEND, .rcx = 0x100, .rdx = td.tdr));
	HOLDS(CALL(&w, TDH_MR_FINALIZE, .rcx = td.tdr));
}

static void leaves_of_memory(void)
{
	u64 page = w_page(&w);

	want_memory(EMU_4K_SIZE, 0, EMU_LOCK_SH);
	want_page(&w, &l, page, EMU_LOCK_EX);
	HOLDS(w_aug(&w, td.tdr, EMU_4K_SIZE, 0, page));

	/* No PAMT lock for the blocked page. */
	want_memory(EMU_4K_SIZE, 0, EMU_LOCK_EX);
	HOLDS(w_block(&w, td.tdr, EMU_4K_SIZE, 0));

	want_td(EMU_LOCK_SH);
	want(&l, &td_cs(&w, &td)->op_state_lock, EMU_LOCK_SH);
	want(&l, &td_cs(&w, &td)->epoch_lock, EMU_LOCK_PLAIN_EX);
	HOLDS(w_track(&w, td.tdr));

	/* The removed page is implicit: its 4K entry, no parents. */
	want_memory(EMU_4K_SIZE, 0, EMU_LOCK_SH);
	want(&l, &e4k(&w, page)->lock, EMU_LOCK_EX);
	HOLDS(w_remove(&w, td.tdr, EMU_4K_SIZE, 0));

	fresh();
	want_page(&w, &l, page, EMU_LOCK_SH);
	HOLDS(CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = page | td.hkid << W_HKID_SHIFT));
	HOLDS(w_rdmd(&w, page, 0));
}

static void want_huge(u64 gpa, u64 region, enum emu_lock_mode mode)
{
	want_memory(gpa, 1, EMU_LOCK_SH);
	want(&l, &e1g(&w, region)->lock, EMU_LOCK_SH);
	want(&l, &e2m(&w, region)->lock, mode);
}

static void leaves_of_resizing(void)
{
	const u64 gpa = EMU_2M_SIZE, region = w_region(&w, 3);
	u64 table = w_page(&w), p[2] = { w_page(&w), w_backing(&w) };

	want_huge(gpa, region, EMU_LOCK_EX);
	HOLDS(w_aug(&w, td.tdr, gpa, 1, region));
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);

	/* The split page's entry directly, the PAMT pages explicitly and shared. */
	want_memory(gpa, 1, EMU_LOCK_SH);
	want_page(&w, &l, table, EMU_LOCK_EX);
	want(&l, &e2m(&w, region)->lock, EMU_LOCK_EX);
	if (w.m.dynamic) {
		want_page(&w, &l, p[0], EMU_LOCK_SH);
		want(&l, &e1g(&w, p[1])->lock, EMU_LOCK_SH);
		want(&l, &e2m(&w, p[1])->lock, EMU_LOCK_SH);
	}
	HOLDS(w_demote(&w, td.tdr, gpa, 1, table, p[0], p[1]));

	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	want_memory(gpa, 1, EMU_LOCK_EX);
	want(&l, &e4k(&w, table)->lock, EMU_LOCK_EX);
	want(&l, &e2m(&w, region)->lock, EMU_LOCK_EX);
	HOLDS(w_promote(&w, td.tdr, gpa, 1));

	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	want_memory(gpa, 1, EMU_LOCK_SH);
	want(&l, &e2m(&w, region)->lock, EMU_LOCK_EX);
	HOLDS(w_remove(&w, td.tdr, gpa, 1));
}

static void leaves_of_teardown(void)
{
	want_td(EMU_LOCK_EX);
	want(&l, &w.m.kot_lock, EMU_LOCK_PLAIN_EX);
	HOLDS(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = td.tdr));
	fresh();
	want(&l, &w.m.wbt_lock[0], EMU_LOCK_PLAIN_EX);
	want(&l, &w.m.kot_lock, EMU_LOCK_PLAIN_SH);
	HOLDS(CALL(&w, TDH_PHYMEM_CACHE_WB));
	want_td(EMU_LOCK_EX);
	want(&l, &w.m.kot_lock, EMU_LOCK_PLAIN_EX);
	HOLDS(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr));
	while (td.nr_pages) {
		fresh();
		want_page(&w, &l, td.pages[--td.nr_pages], EMU_LOCK_EX);
		want(&l, &e4k(&w, td.tdr)->lock, EMU_LOCK_SH);
		HOLDS(w_reclaim(&w, td.pages[td.nr_pages]));
	}
	want_td(EMU_LOCK_EX);
	HOLDS(w_reclaim(&w, td.tdr));
}

static void all_leaves(bool dynamic)
{
	w_init(&w, dynamic);
	leaves_of_creation();
	leaves_of_vcpus();
	leaves_of_building();
	leaves_of_memory();
	leaves_of_resizing();
	leaves_of_teardown();
	w_exit(&w);
}

static void leaves_dynamic(void)
{
	all_leaves(true);
}

static void leaves_static(void)
{
	all_leaves(false);
}

static void want_region(u64 region)
{
	fresh();
	want(&l, &e1g(&w, region)->lock, EMU_LOCK_SH);
	want(&l, &e2m(&w, region)->lock, EMU_LOCK_EX);
}

static void leaves_of_pamt(void)
{
	u64 region = w_region(&w, 1), other = w_region(&w, 2), p[2];

	w_init(&w, true);
	/* PAMT pages in a region without a pair stop at its 2M entry; with one, at 4K. */
	p[0] = w_backing(&w);
	p[1] = w_page(&w);
	want_region(region);
	want(&l, &e1g(&w, p[0])->lock, EMU_LOCK_SH);
	want(&l, &e2m(&w, p[0])->lock, EMU_LOCK_SH);
	want_page(&w, &l, p[1], EMU_LOCK_SH);
	HOLDS(w_pamt_add(&w, region, p[0], p[1]));
	/* REMOVE locks the region only, never its pages. */
	want_region(region);
	HOLDS(w_pamt_remove(&w, region));

	/* Pages inside the region itself are not walked. */
	want_region(region);
	HOLDS(w_pamt_add(&w, region, w_page_of(region, 0), w_page_of(region, 1)));
	HOLDS(w_pamt_remove(&w, region));
	want_region(region);
	want(&l, &e1g(&w, other)->lock, EMU_LOCK_SH);
	want(&l, &e2m(&w, other)->lock, EMU_LOCK_SH);
	HOLDS(w_pamt_add(&w, region, w_page_of(region, 0), w_page_of(other, 1)));
	want_region(region);
	HOLDS(w_pamt_remove(&w, region));

	/* Free pages without a pair: WBINVD and RDMD stop at the 2M entry. */
	fresh();
	want(&l, &e1g(&w, region)->lock, EMU_LOCK_SH);
	want(&l, &e2m(&w, region)->lock, EMU_LOCK_SH);
	HOLDS(CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = region));
	HOLDS(w_rdmd(&w, region, 0));
	HOLDS(w_rdmd(&w, region, 1));
	fresh();
	want(&l, &e1g(&w, w.base)->lock, EMU_LOCK_SH);
	HOLDS(w_rdmd(&w, w.base, 2));
	w_exit(&w);
}

static void leaf_tdmr_init(void)
{
	w_prepare(&w, true);
	CHECK_EQ(emu_module_config(&w.m, w.tdmr, 2, true), 0);
	fresh();
	want(&l, &w.m.tdmr[1].lock, EMU_LOCK_PLAIN_EX);
	HOLDS(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = w.tdmr[1].base));
	w_exit(&w);
}

/* A failed operand gives back its own path; the operands before it stay locked. */
static void failed_operand(void)
{
	u64 bare = w_region(&w, 1);

	w_init(&w, true);
	td_run(&w, &td, 0);
	td_tables(&w, &td, 0, 1);
	want_memory(0, 0, EMU_LOCK_SH);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, bare), EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_R8);
	CHECK_LOCKS(&w, &l);
	CHECK_EQ(e2m(&w, bare)->lock, 0);
	CHECK_EQ(e1g(&w, bare)->lock, 0);
	/* BUSY half way down: the 1G entry above is not held while the call's time passes. */
	e2m(&w, bare)->lock = SHAREX_EX;
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, bare), EMU_OPERAND_BUSY | EMU_OP_R8);
	CHECK_LOCKS(&w, &l);
	e2m(&w, bare)->lock = 0;
	td_destroy(&w, &td);
	w_exit(&w);
}

static u64 refuse(struct emu_module *m, const struct emu_call *c)
{
	(void)m;
	return c->leaf == EMU_TDH_PHYMEM_PAGE_RDMD ? EMU_OPERAND_BUSY | EMU_OP_RCX : 0;
}

/* hold() runs once per call, whatever the answer; its status is the call's. */
static void hold_once(void)
{
	w_init(&w, true);
	w.holds = 0;
	CHECK_EQ(w_call(&w, 0x1234, (struct tdx_module_args){ 0 }), EMU_OPERAND_INVALID);
	CHECK_EQ(w.holds, 1);
	CHECK_EQ(w.held.status, EMU_OPERAND_INVALID);
	CHECK_EQ(w.held.nr_locks, 0);
	w.m.inject = refuse;
	CHECK_EQ(w_rdmd(&w, w.base, 0), EMU_OPERAND_BUSY | EMU_OP_RCX);
	CHECK_EQ(w.holds, 2);
	CHECK_EQ(w.held.status, EMU_OPERAND_BUSY | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = w.base), 0);
	CHECK_EQ(w.holds, 3);
	w_exit(&w);
}

int main(void)
{
	test_begin("test_module_locks");
	TEST(sharex_shared);
	TEST(sharex_shared_under_exclusive);
	TEST(sharex_priority);
	TEST(sharex_exclusive);
	TEST(sharex_promotion);
	TEST(sharex_two_promoters_both_fail);
	TEST(sharex_plain);
	TEST(septe_lock);
	TEST(septe_set_keeps_priority);
	TEST(call_records);
	TEST(leaves_dynamic);
	TEST(leaves_static);
	TEST(leaves_of_pamt);
	TEST(leaf_tdmr_init);
	TEST(failed_operand);
	TEST(hold_once);
	return test_end();
}
