// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a TD in the software TDX module, against tdx-abi.md 1.6.3 and
 * 1.6.4: S-EPT walks and the details they return, adding, blocking, tracking
 * and removing, PROMOTE and DEMOTE, reclaiming and flushing, each leaf's
 * statuses in order, in dynamic and static mode.
 */
#include "tests/module_world.h"

static struct world w;
static struct wtd td;

#define PAGE(n) ((n) * EMU_4K_SIZE)
#define HUGE(n) ((n) * EMU_2M_SIZE)
#define NOTHING 0x8000000000000000ULL

static struct emu_page_info info_of(u64 pa)
{
	struct emu_page_info info;

	CHECK_EQ(emu_page_info(&w.m, pa, &info), 0);
	return info;
}

static enum sept_state state_of(u64 gpa, unsigned int level)
{
	return sept_state(*td_entry(&w, &td, gpa, level));
}

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

/* The last call carried the S-EPT entry, its level and state. */
static void details(u64 entry, unsigned int level, enum sept_state state)
{
	CHECK_EQ(w.out.rcx, entry);
	CHECK_EQ(w.out.rdx, level | state << 8);
}

/* ----------------------------------------------------------------- operands */

static void gpa_operands(void)
{
	const u64 bad = EMU_OPERAND_INVALID | EMU_OP_RCX;
	u64 limit = 1ULL << td_cs(&w, &td)->gpa_bits, page = w_page(&w);

	/* The TD before the GPA, the GPA before the tree. */
	CHECK_EQ(w_aug(&w, 1, 7, 0, page), EMU_OPERAND_INVALID | EMU_OP_RDX);
	td_cs(&w, &td)->tree_lock = SHAREX_EX;
	CHECK_EQ(w_aug(&w, td.tdr, 0, 2, page), bad);
	CHECK_EQ(w_aug(&w, td.tdr, 8, 0, page), bad);
	CHECK_EQ(w_aug(&w, td.tdr, 0x800, 0, page), bad);
	CHECK_EQ(w_aug(&w, td.tdr, PAGE(1), 1, page), bad);
	CHECK_EQ(w_aug(&w, td.tdr, limit, 0, page), bad);
	CHECK_EQ(w_aug(&w, td.tdr, 1ULL << 63, 0, page), bad);
	CHECK_EQ(w_sept_add(&w, td.tdr, 0, 0, page), bad);
	CHECK_EQ(w_sept_add(&w, td.tdr, 0, 4, page), bad);
	CHECK_EQ(w_block(&w, td.tdr, 0, 4), bad);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 3), bad);
	CHECK_EQ(w_promote(&w, td.tdr, 0, 0), bad);
	CHECK_EQ(w_promote(&w, td.tdr, 0, 3), bad);
	CHECK_EQ(w_demote(&w, td.tdr, 0, 0, page, page, page), bad);
	CHECK_EQ(w.out.rcx, 0);
	CHECK_EQ(w.out.rdx, 0);
	/* The tree before the walk. */
	CHECK_EQ(w_aug(&w, td.tdr, limit - PAGE(1), 0, page), EMU_OPERAND_BUSY | EMU_OP_SEPT_TREE);
	td_cs(&w, &td)->tree_lock = 0;
}

static void walks(void)
{
	u64 page = w_page(&w), far = level_size(3), entry;

	CHECK_EQ(w_aug(&w, td.tdr, far, 0, page), EMU_EPT_WALK_FAILED | EMU_OP_RCX);
	details(NOTHING, 3, SEPT_FREE);
	CHECK_EQ(w_aug(&w, td.tdr, level_size(2), 0, page), EMU_EPT_WALK_FAILED | EMU_OP_RCX);
	details(NOTHING, 2, SEPT_FREE);
	CHECK_EQ(w_aug(&w, td.tdr, HUGE(1), 0, page), EMU_EPT_WALK_FAILED | EMU_OP_RCX);
	details(NOTHING, 1, SEPT_FREE);
	/* Down into a large page; up to a table. */
	CHECK_EQ(w_aug(&w, td.tdr, HUGE(1), 1, w_region(&w, 3)), 0);
	CHECK_EQ(w_remove(&w, td.tdr, HUGE(1), 0), EMU_EPT_WALK_FAILED | EMU_OP_RCX);
	details(w_region(&w, 3) | NOTHING, 1, SEPT_PENDING);
	entry = *td_entry(&w, &td, 0, 1) & SEPT_PA_MASK;
	CHECK_EQ(w_remove(&w, td.tdr, 0, 1), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	details(entry | 7, 1, SEPT_NL_MAPPED);
	CHECK_EQ(td_zap(&w, &td, HUGE(1), 1), 0);
}

static void sept_add(void)
{
	u64 page = w_page(&w), used = td.pages[0];

	/* The entry before the page. */
	CHECK_EQ(w_sept_add(&w, td.tdr, 0, 1, used), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w.out.rdx, 1 | SEPT_NL_MAPPED << 8);
	CHECK_EQ(w_sept_add(&w, td.tdr, HUGE(3), 1, used),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	memset(emu_va(&w.m, page), 0xff, EMU_4K_SIZE);
	CHECK_EQ(w_call(&w, EMU_TDH_MEM_SEPT_ADD | EMU_LEAF_VERSION(1),
			(struct tdx_module_args){ .rcx = HUGE(3) | 1, .rdx = td.tdr, .r8 = page }),
		 0);
	CHECK_EQ(w.out.rcx | w.out.rdx, 0);
	CHECK_EQ(state_of(HUGE(3), 1), SEPT_NL_MAPPED);
	CHECK_EQ(state_of(HUGE(3), 0), SEPT_FREE);
	CHECK_EQ(state_of(HUGE(4) - PAGE(1), 0), SEPT_FREE);
	CHECK_EQ(info_of(page).type, EMU_PT_EPT);
	CHECK_EQ(info_of(page).owner, td.tdr);
	td_give(&td, page);
}

static void aug(void)
{
	u64 page = w_page(&w);
	s64 children = td_tdr(&w, &td)->chldcnt;

	CHECK_EQ(w_aug(&w, td.tdr, PAGE(1), 0, page), 0);
	CHECK_EQ(w.out.rcx | w.out.rdx, 0);
	CHECK_EQ(state_of(PAGE(1), 0), SEPT_PENDING);
	CHECK_EQ(info_of(page).type, EMU_PT_REG);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, children + 1);
	/* Mapped twice: the entry before the page. */
	CHECK_EQ(w_aug(&w, td.tdr, PAGE(1), 0, 1), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	details(page | NOTHING, 0, SEPT_PENDING);
	CHECK_EQ(w_aug(&w, td.tdr, PAGE(2), 0, page), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	/* A removed entry takes a page as a free one does. */
	*td_entry(&w, &td, PAGE(2), 0) = sept_make(SEPT_REMOVED, 0);
	CHECK_EQ(w_aug(&w, td.tdr, PAGE(2), 0, w_page(&w)), 0);
	CHECK_EQ(td_zap(&w, &td, PAGE(2), 0), 0);
	CHECK_EQ(td_zap(&w, &td, PAGE(1), 0), 0);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, children);

	CHECK_EQ(w_aug(&w, td.tdr, HUGE(2), 1, w_region(&w, 3)), 0);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, children + EMU_ENTRIES);
	CHECK_EQ(td_zap(&w, &td, HUGE(2), 1), 0);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, children);
}

/* ---------------------------------------------- blocking, tracking, removing */

static void block_track_remove(void)
{
	u64 page = w_page(&w), epoch;

	CHECK_EQ(w_block(&w, td.tdr, 0, 0), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	details(NOTHING, 0, SEPT_FREE);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, page), 0);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), EMU_GPA_RANGE_NOT_BLOCKED | EMU_OP_RCX);
	details(page | NOTHING, 0, SEPT_PENDING);
	epoch = td_cs(&w, &td)->epoch;
	CHECK_EQ(w_block(&w, td.tdr, 0, 0), 0);
	CHECK_EQ(state_of(0, 0), SEPT_PENDING_BLOCKED);
	CHECK_EQ(e4k(&w, page)->info, epoch);
	CHECK_EQ(w_block(&w, td.tdr, 0, 0), EMU_GPA_RANGE_ALREADY_BLOCKED | EMU_OP_RCX);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), EMU_TLB_TRACKING_NOT_DONE | EMU_OP_RCX);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(td_cs(&w, &td)->epoch, epoch + 1);
	/* The page's lock before tracking. */
	e4k(&w, page)->lock = SHAREX_READER;
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e4k(&w, page)->lock = 0;
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), 0);
	CHECK_EQ(w.out.rcx & ~EMU_HINT_EMPTY, page);
	CHECK_EQ(state_of(0, 0), SEPT_FREE);
	CHECK_EQ(info_of(page).type, EMU_PT_NDA);
	CHECK_EQ(e4k(&w, page)->owner_lo, 0);
}

/* vCPUs that entered in the epoch before hold up REMOVE and the next TRACK. */
static void epochs(void)
{
	u64 page = w_page(&w), epoch = td_cs(&w, &td)->epoch;
	u32 *running = td_cs(&w, &td)->refcount;

	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, page), 0);
	running[epoch & 1] = 1;
	CHECK_EQ(w_block(&w, td.tdr, 0, 0), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), EMU_TLB_TRACKING_NOT_DONE | EMU_OP_RCX);
	CHECK_EQ(w_track(&w, td.tdr), EMU_PREVIOUS_TLB_EPOCH_BUSY);
	CHECK_EQ(td_cs(&w, &td)->epoch, epoch + 1);
	running[epoch & 1] = 0;
	CHECK_EQ(w_track(&w, td.tdr), 0);
	/* Two epochs on, whoever runs. */
	running[0] = 1;
	running[1] = 1;
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), 0);
	running[0] = 0;
	running[1] = 0;
}

static void block_of_tables(void)
{
	u64 table, page = w_page(&w);

	/* A table is cut off: entries below it cannot be reached. */
	table = *td_entry(&w, &td, 0, 1) & SEPT_PA_MASK;
	CHECK_EQ(w_block(&w, td.tdr, 0, 1), 0);
	CHECK_EQ(state_of(0, 1), SEPT_NL_BLOCKED);
	CHECK_EQ(e4k(&w, table)->info, td_cs(&w, &td)->epoch);
	CHECK_EQ(w_block(&w, td.tdr, 0, 1), EMU_GPA_RANGE_ALREADY_BLOCKED | EMU_OP_RCX);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, page), EMU_EPT_WALK_FAILED | EMU_OP_RCX);
	details(table | NOTHING, 1, SEPT_NL_BLOCKED);
	*td_entry(&w, &td, 0, 1) = sept_make(SEPT_NL_MAPPED, table);
}

/* ---------------------------------------------------------------- resizing */

/* The 4K pages of @region, mapped in order at @gpa as PENDING pages. */
static void map_small(u64 gpa, u64 region)
{
	unsigned long i;

	w_pair(&w, region);
	for (i = 0; i < EMU_ENTRIES; i++)
		CHECK_EQ(w_aug(&w, td.tdr, gpa + PAGE(i), 0, w_page_of(region, i)), 0);
}

static void block_and_track(u64 gpa, unsigned int level)
{
	CHECK_EQ(w_block(&w, td.tdr, gpa, level), 0);
	CHECK_EQ(w_track(&w, td.tdr), 0);
}

static u64 no_promote(u64 gpa)
{
	u64 status = w_promote(&w, td.tdr, gpa, 1);

	CHECK_EQ(w.out.rdx, 1 | SEPT_NL_BLOCKED << 8);
	return status;
}

/* Children of every wrong kind; @region's pages are mapped at HUGE(1). */
static void promote_conditions(u64 region)
{
	const u64 gpa = HUGE(1), refused = EMU_EPT_INVALID_PROMOTE_CONDITIONS | EMU_OP_RCX;
	const unsigned int last = EMU_ENTRIES - 1;
	u64 *entry = td_entry(&w, &td, gpa, 0), saved;

	saved = entry[last];
	entry[last] = 0;
	CHECK_EQ(no_promote(gpa), refused);
	entry[last] = sept_make(SEPT_MAPPED, saved & SEPT_PA_MASK);
	CHECK_EQ(no_promote(gpa), refused);
	entry[last] = sept_make(SEPT_PENDING_BLOCKED, saved & SEPT_PA_MASK);
	CHECK_EQ(no_promote(gpa), refused);
	entry[last] = sept_make(SEPT_PENDING, w_page_of(region, 0));
	CHECK_EQ(no_promote(gpa), refused);
	entry[last] = saved;
	saved = entry[0];
	entry[0] = sept_make(SEPT_PENDING_BLOCKED, saved & SEPT_PA_MASK);
	CHECK_EQ(no_promote(gpa), refused);
	entry[0] = saved;
	/* A priority bit in a child is no difference. */
	entry[1] |= SEPTE_HP;
}

static void promote(void)
{
	const u64 gpa = HUGE(1);
	u64 region = w_region(&w, 3), table;
	struct emu_page_info info;

	td_tables(&w, &td, gpa, 1);
	table = *td_entry(&w, &td, gpa, 1) & SEPT_PA_MASK;
	map_small(gpa, region);
	info = info_of(region);
	CHECK_EQ(w_promote(&w, td.tdr, HUGE(2), 1), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), EMU_GPA_RANGE_NOT_BLOCKED | EMU_OP_RCX);
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), EMU_TLB_TRACKING_NOT_DONE | EMU_OP_RCX);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	e4k(&w, table)->lock = SHAREX_READER;
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e4k(&w, table)->lock = 0;
	promote_conditions(region);
	e2m(&w, region)->lock = SHAREX_READER;
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e2m(&w, region)->lock = 0;

	CHECK_EQ(w_call(&w, EMU_TDH_MEM_PAGE_PROMOTE | EMU_LEAF_VERSION(1),
			(struct tdx_module_args){ .rcx = gpa | 1, .rdx = td.tdr }),
		 0);
	CHECK_EQ(w.out.rcx & ~EMU_HINT_EMPTY, table);
	CHECK_EQ(w.out.r9 & w.out.r10 & w.out.r11, EMU_NULL_PA);
	CHECK_EQ(state_of(gpa, 1), SEPT_PENDING);
	CHECK_EQ(info_of(table).type, EMU_PT_NDA);
	CHECK_EQ(info_of(region).level, EMU_LEVEL_2M);
	CHECK_EQ(info_of(region).type, EMU_PT_REG);
	CHECK_EQ(info_of(region).owner, td.tdr);
	if (w.m.dynamic) {
		CHECK_EQ(w.out.r12, info.pair[0]);
		CHECK_EQ(w.out.r13, info.pair[1]);
		CHECK(!info_of(info.pair[0]).pamt_page && !info_of(info.pair[1]).pamt_page);
		w_forget(&w, region);
	}
	/* The table's page is the host's again. */
	td.nr_pages--;
}

static void demote_statuses(u64 table, u64 p0, u64 p1)
{
	const u64 gpa = HUGE(1);
	u64 used = td.pages[0];

	CHECK_EQ(w_demote(&w, td.tdr, HUGE(3), 1, 1, 1, 1),
		 EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_demote(&w, td.tdr, 0, 1, 1, 1, 1), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, 1, 1, 1), EMU_GPA_RANGE_NOT_BLOCKED | EMU_OP_RCX);
	CHECK_EQ(w_block(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, 1, 1, 1), EMU_TLB_TRACKING_NOT_DONE | EMU_OP_RCX);
	CHECK_EQ(w_track(&w, td.tdr), 0);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, used, 1, 1), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, 1, 1, 1), EMU_OPERAND_INVALID | EMU_OP_R8);
	e2m(&w, w_region(&w, 3))->lock = SHAREX_READER;
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, 1, 1), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e2m(&w, w_region(&w, 3))->lock = 0;
	if (!w.m.dynamic)
		return;
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, w_region(&w, 9), p0, p1),
		 EMU_MISSING_PAMT_PAGE_PAIR | EMU_OP_R8);
	/* Formats of both, ranges of both, then the pages one by one. */
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, 1, 1), EMU_OPERAND_INVALID | EMU_OP_R12);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, 0, 1), EMU_OPERAND_INVALID | EMU_OP_R13);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, 0, 0),
		 EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R12);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, used, 0),
		 EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_R13);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, used, used), EMU_PAGE_NOT_FREE | EMU_OP_R12);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, p0, used), EMU_PAGE_NOT_FREE | EMU_OP_R13);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, p0, p0), EMU_PAGE_NOT_FREE | EMU_OP_R13);
	/* In PAMT use already. */
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, w.tdmr[1].base, p1),
		 EMU_PAGE_NOT_FREE | EMU_OP_R12);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, p0, w.tdmr[1].base),
		 EMU_PAGE_NOT_FREE | EMU_OP_R13);
	/* The S-EPT page itself is locked by the call. */
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, table, p1), EMU_OPERAND_BUSY | EMU_OP_R12);
	CHECK(!info_of(p0).pamt_page);
	CHECK_EQ(info_of(table).type, EMU_PT_NDA);
}

static void demote(void)
{
	const u64 gpa = HUGE(1);
	u64 region = w_region(&w, 3), table = w_page(&w), p0 = w_backing(&w), p1 = w_backing(&w);
	s64 children = td_tdr(&w, &td)->chldcnt;
	unsigned long i;

	demote_statuses(table, p0, p1);
	memset(emu_va(&w.m, p1), 0xee, EMU_4K_SIZE);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, p0, p1), 0);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, children + 1);
	td_give(&td, table);
	CHECK_EQ(state_of(gpa, 1), SEPT_NL_MAPPED);
	CHECK_EQ(info_of(table).type, EMU_PT_EPT);
	for (i = 0; i < EMU_ENTRIES; i++) {
		CHECK_EQ(*td_entry(&w, &td, gpa + PAGE(i), 0),
			 sept_make(SEPT_PENDING, w_page_of(region, i)));
		CHECK_EQ(info_of(w_page_of(region, i)).type, EMU_PT_REG);
		CHECK_EQ(info_of(w_page_of(region, i)).owner, td.tdr);
		CHECK_EQ(e4k(&w, w_page_of(region, i))->info, 0);
	}
	if (w.m.dynamic) {
		CHECK_EQ(info_of(region).pair[0], p0);
		CHECK_EQ(info_of(region).pair[1], p1);
		CHECK_EQ(info_of(region).page_count, EMU_ENTRIES);
		w.regions[w.nr_regions++] = region;
	}
	for (i = 0; i < EMU_ENTRIES; i++) {
		CHECK_EQ(td_zap(&w, &td, gpa + PAGE(i), 0), 0);
		CHECK_EQ(w.out.rcx, w_page_of(region, i) |
			 (w.m.dynamic && i == EMU_ENTRIES - 1 ? EMU_HINT_EMPTY : 0));
	}
}

/* A table of 2M pages to a 1G page and back: no pairs take part. */
static void resize_1g(void)
{
	const u64 gpa = level_size(2);
	u64 table = w_page(&w);
	unsigned long i;

	CHECK_EQ(w_sept_add(&w, td.tdr, gpa, 2, table), 0);
	for (i = 0; i < EMU_ENTRIES; i++)
		CHECK_EQ(w_aug(&w, td.tdr, gpa + HUGE(i), 1, w_region(&w, i)), 0);
	block_and_track(gpa, 2);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 2), 0);
	CHECK_EQ(w.out.rcx & ~EMU_HINT_EMPTY, table);
	CHECK_EQ(w.out.r12 | w.out.r13, 0);
	CHECK_EQ(info_of(w_region(&w, 1)).level, EMU_LEVEL_1G);
	CHECK_EQ(info_of(w_region(&w, 1)).owner, td.tdr);
	CHECK_EQ(w_rdmd(&w, w_region(&w, 1), 0), 0);
	CHECK_EQ(w.out.r8, EMU_LEVEL_1G);
	if (w.m.dynamic)
		CHECK_EQ(w_pamt_add(&w, w_region(&w, 1), w_backing(&w), w_backing(&w)),
			 EMU_HPA_RANGE_NOT_FREE | EMU_OP_RCX);
	block_and_track(gpa, 2);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 2, table, 0, 0), 0);
	CHECK_EQ(info_of(w_region(&w, 1)).level, EMU_LEVEL_2M);
	CHECK_EQ(info_of(w_region(&w, EMU_ENTRIES - 1)).owner, td.tdr);
	block_and_track(gpa, 2);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 2), 0);
	CHECK_EQ(td_zap(&w, &td, gpa, 2), 0);
	CHECK_EQ(w.out.rcx, w.base);
	CHECK_EQ(info_of(w_region(&w, 1)).type, EMU_PT_NDA);
}

static void memory(bool dynamic)
{
	begin(dynamic);
	gpa_operands();
	walks();
	aug();
	block_track_remove();
	epochs();
	block_of_tables();
	resize_1g();
	promote();
	demote();
	sept_add();
	end();
}

static void memory_dynamic(void)
{
	memory(true);
}

static void memory_static(void)
{
	memory(false);
}

/* ----------------------------------------------------------------- building */

static void page_add(void)
{
	u64 page = w_page(&w), used = td.pages[0], source = w.host + EMU_4K_SIZE;

	/* State (elsewhere), GPA, walk, entry, source, page. */
	CHECK_EQ(w_page_add(&w, td.tdr, 1, 1, 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_page_add(&w, td.tdr, HUGE(1), 1, 1), EMU_EPT_WALK_FAILED | EMU_OP_RCX);
	details(NOTHING, 1, SEPT_FREE);
	CHECK_EQ(w_page_add(&w, td.tdr, 0, used, source + 8), EMU_OPERAND_INVALID | EMU_OP_R9);
	CHECK_EQ(w_page_add(&w, td.tdr, 0, used, 1ULL << W_HKID_SHIFT),
		 EMU_OPERAND_INVALID | EMU_OP_R9);
	CHECK_EQ(w_page_add(&w, td.tdr, 0, used, source), EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8);
	memset(emu_va(&w.m, source), 0x5a, EMU_4K_SIZE);
	CHECK_EQ(w_page_add(&w, td.tdr, 0, page, source), 0);
	CHECK_EQ(w.out.rcx | w.out.rdx, 0);
	CHECK_EQ(((u8 *)emu_va(&w.m, page))[17], 0);
	CHECK_EQ(state_of(0, 0), SEPT_MAPPED);
	CHECK_EQ(w_page_add(&w, td.tdr, 0, 1, 1), EMU_EPT_ENTRY_STATE_INCORRECT | EMU_OP_RCX);
	details(page | 7 | 6 << 3, 0, SEPT_MAPPED);
	/* While it is being built, no blocking is needed; contents go with the page. */
	CHECK_EQ(w_remove(&w, td.tdr, 0, 0), 0);
	w.m.contents = true;
	CHECK_EQ(w_page_add(&w, td.tdr, 0, page, source), 0);
	CHECK_EQ(((u8 *)emu_va(&w.m, page))[EMU_4K_SIZE - 1], 0x5a);
	td_give(&td, page);
}

static void mr_extend(void)
{
	const u64 absent = EMU_EPT_ENTRY_NOT_PRESENT | EMU_OP_RCX;

	CHECK_EQ(CALL(&w, TDH_MR_EXTEND, .rcx = 0x80, .rdx = td.tdr),
		 EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_MR_EXTEND, .rcx = HUGE(1), .rdx = td.tdr), absent);
	CHECK_EQ(CALL(&w, TDH_MR_EXTEND, .rcx = PAGE(1), .rdx = td.tdr), absent);
	CHECK_EQ(CALL(&w, TDH_MR_EXTEND, .rcx = 0xf00, .rdx = td.tdr), 0);
	/* AUG is allowed while building; a pending page is not measured. */
	CHECK_EQ(w_aug(&w, td.tdr, PAGE(1), 0, td_give(&td, w_page(&w))), 0);
	CHECK_EQ(CALL(&w, TDH_MR_EXTEND, .rcx = PAGE(1), .rdx = td.tdr), absent);
}

/* Without blocking while INITIALIZED: PROMOTE and DEMOTE of mapped pages. */
static void resize_while_building(void)
{
	const u64 gpa = HUGE(2);
	u64 region = w_region(&w, 5), table, p0, p1;
	unsigned long i;

	w_pair(&w, region);
	p0 = info_of(region).pair[0];
	p1 = info_of(region).pair[1];
	td_tables(&w, &td, gpa, 1);
	table = td.pages[--td.nr_pages];
	for (i = 0; i < EMU_ENTRIES; i++)
		CHECK_EQ(w_page_add(&w, td.tdr, gpa + PAGE(i), w_page_of(region, i), w.host), 0);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(state_of(gpa, 1), SEPT_MAPPED);
	CHECK_EQ(w_demote(&w, td.tdr, gpa, 1, table, p0, p1), 0);
	CHECK_EQ(state_of(gpa, 0), SEPT_MAPPED);
	CHECK_EQ(w_promote(&w, td.tdr, gpa, 1), 0);
	w_forget(&w, region);
	CHECK_EQ(w_remove(&w, td.tdr, gpa, 1), 0);
	CHECK_EQ(w.out.rcx, region);
}

static void building(bool dynamic)
{
	w_init(&w, dynamic);
	td_build(&w, &td, 0);
	td_tables(&w, &td, 0, 1);
	page_add();
	mr_extend();
	w.m.contents = false;
	resize_while_building();
	end();
}

static void building_dynamic(void)
{
	building(true);
}

static void building_static(void)
{
	building(false);
}

/* ----------------------------------------------------------- physical pages */

static void reclaim(void)
{
	u64 page, region;

	begin(true);
	CHECK_EQ(w_reclaim(&w, w.base + 8), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_reclaim(&w, w.base | 1ULL << W_HKID_SHIFT), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w_reclaim(&w, 0), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	CHECK_EQ(w.out.rcx, 0);
	page = w_page(&w);
	region = w_region(&w, 3);
	CHECK_EQ(w_aug(&w, td.tdr, 0, 0, page), 0);
	CHECK_EQ(w_aug(&w, td.tdr, HUGE(1), 1, region), 0);
	e4k(&w, page)->lock = SHAREX_READER;
	CHECK_EQ(w_reclaim(&w, page), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e4k(&w, page)->lock = 0;
	td_stop(&w, &td);
	CHECK_EQ(w_reclaim(&w, page), 0);
	CHECK_EQ(w.out.rcx, EMU_PT_REG);
	CHECK_EQ(w.out.rdx, td.tdr);
	CHECK_EQ(w.out.r8, EMU_LEVEL_4K);
	/* A 2M page by its first address only. */
	CHECK_EQ(w_reclaim(&w, w_page_of(region, 1)), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(w.out.r8, EMU_LEVEL_2M);
	CHECK_EQ(w_reclaim(&w, region), 0);
	CHECK_EQ(w.out.r8, EMU_LEVEL_2M);
	CHECK_EQ(w.out.r9, 0);
	CHECK_EQ(td_tdr(&w, &td)->chldcnt, td.nr_pages);
	while (td.nr_pages)
		CHECK_EQ(w_reclaim(&w, td.pages[--td.nr_pages]), 0);
	CHECK_EQ(w_reclaim(&w, td.tdr), 0);
	w_exit(&w);
}

static u64 wbinvd(u64 pa)
{
	return CALL(&w, TDH_PHYMEM_PAGE_WBINVD, .rcx = pa);
}

static void page_wbinvd(bool dynamic)
{
	u64 page;

	begin(dynamic);
	page = w_page(&w);
	CHECK_EQ(wbinvd(page | td.hkid << W_HKID_SHIFT), 0);
	CHECK_EQ(wbinvd(page), 0);
	CHECK_EQ(wbinvd(w_region(&w, 7)), 0);
	CHECK_EQ(wbinvd(page + 8), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(wbinvd(page | 1ULL << 52), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(wbinvd(w.host), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	e4k(&w, page)->lock = SHAREX_EX;
	CHECK_EQ(wbinvd(page), EMU_OPERAND_BUSY | EMU_OP_RCX);
	e4k(&w, page)->lock = 0;
	CHECK_EQ(wbinvd(td.tdr), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w_aug(&w, td.tdr, HUGE(1), 1, w_region(&w, 7)), 0);
	CHECK_EQ(wbinvd(w_page_of(w_region(&w, 7), 1)), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(td_zap(&w, &td, HUGE(1), 1), 0);
	CHECK_EQ(wbinvd(w_region(&w, 7)), 0);
	end();
}

static void wbinvd_dynamic(void)
{
	page_wbinvd(true);
}

static void wbinvd_static(void)
{
	page_wbinvd(false);
}

int main(void)
{
	test_begin("test_module_mem");
	TEST(memory_dynamic);
	TEST(memory_static);
	TEST(building_dynamic);
	TEST(building_static);
	TEST(reclaim);
	TEST(wbinvd_dynamic);
	TEST(wbinvd_static);
	return test_end();
}
