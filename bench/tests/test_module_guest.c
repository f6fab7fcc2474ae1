// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests in the software TDX module: TDH.VP.ENTER and TD exits (tdx-abi.md 1.7), the
 * image and its mailbox, every operation of a program, private and shared memory,
 * the TLB and its epochs, the checks of ownership and contents, posted
 * interrupts, the zero-step filter. The host here answers exits as KVM does.
 */
#include "tests/guest_world.h"

#define END { .op = TD_OP_END }
#define TOUCH(page, nr) { .op = TD_OP_TOUCH, .a = (page) * TD_PAGE_4K, .b = TD_PAGE_4K, .n = (nr) }
#define IDLE(ns) { .op = TD_OP_IDLE, .b = (ns) }
#define PHASE(nr) { .op = TD_OP_PHASE, .n = (nr) }
#define START(insn) g_start(&g, insn, ARRAY_SIZE(insn))
#define SHUTDOWN (EMU_NON_RECOVERABLE_VCPU | EXIT_TRIPLE_FAULT)

static struct guest_world g;

static u64 page_gpa(unsigned int page)
{
	return TD_MEMORY_GPA + page * TD_PAGE_4K;
}

static u64 mapped_page(u64 gpa)
{
	return *td_entry(&g.w, &g.td, gpa, 0) & SEPT_PA_MASK;
}

/* ------------------------------------------------------------------ a program */

static void whole_program(void)
{
	const struct td_insn insn[] = {
		PHASE(3), TOUCH(0, 20), PHASE(4), TOUCH(10, 20), { .op = TD_OP_BARRIER, .n = 4 },
		{ .op = TD_OP_BARRIER, .n = 5, .arg = TD_SCOPE_ALL }, IDLE(1000000),
		{ .op = TD_OP_FLIP, .arg = 3, .n = 2, .a = 0, .b = TD_PAGE_4K }, END,
	};
	struct vcpu_box *box;
	struct emu_census c;
	u32 sum = 0, i;

	START(insn);
	box = g.vcpu[0].box;
	CHECK_EQ(g_run(&g, 0, 2000), TD_VCPU_DONE);
	CHECK_EQ(g_events(&g), 0);
	CHECK_EQ(box->state, TD_VCPU_DONE);
	CHECK_EQ(box->error, 0);
	CHECK_EQ(box->phase, 4);
	CHECK_EQ(box->nr_marks, 2);
	CHECK_EQ(box->marks[0].phase, 3);
	CHECK_EQ(box->marks[1].phase, 4);
	CHECK(box->marks[0].tsc < box->marks[1].tsc);
	CHECK(box->start_tsc && box->end_tsc > box->marks[1].tsc);
	CHECK_EQ(box->tsc_khz, G_KHZ);
	/* 30 pages, 10 of them touched again; 3 pages flipped twice, touched after. */
	CHECK_EQ(g.faults, 30 + 6);
	CHECK_EQ(box->accepts, 30 + 6);
	CHECK_EQ(box->touches, 40 + 6);
	CHECK_EQ(box->conversions, 12);
	CHECK_EQ(g.conversions, 12);
	CHECK(box->idles >= 1);
	CHECK_EQ(g.halts, box->idles);
	/* A touch that found its page has no latency. */
	CHECK_EQ(box->hist_count, 36);
	for (i = 0; i < TD_HIST_BINS; i++)
		sum += box->bins[i];
	CHECK_EQ(sum, 36);
	CHECK(box->hist_min && box->hist_min <= box->hist_max);
	CHECK_EQ(g.td_box->barrier[4].joined, 1);
	CHECK_EQ(g.all_box->barrier[5].joined, 1);
	/* The pages are the TD's: 30 of memory, 4 of the image. */
	emu_census(&g.w.m, &c);
	CHECK_EQ(c.pages[EMU_PT_REG], 30 + G_IMAGE_PAGES);
	/* Over: it halts, for ever, and that changes nothing. */
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_answer(&g, 0);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_exit(&g);
}

static void huge_touch_over_small_pages(void)
{
	const struct td_insn insn[] = {
		{ .op = TD_OP_TOUCH, .flags = TD_TOUCH_2M, .a = 0, .b = TD_PAGE_2M, .n = 1 }, END,
	};

	START(insn);
	CHECK_EQ(g_run(&g, 0, 5000), TD_VCPU_DONE);
	CHECK_EQ(g.faults, 512);
	CHECK_EQ(g.vcpu[0].box->touches, 1);
	CHECK_EQ(g.vcpu[0].box->accepts, 512);
	CHECK_EQ(g.vcpu[0].box->hist_count, 1);
	g_exit(&g);
}

/* A 2M page of the host is accepted in one step. */
static void huge_page(void)
{
	const struct td_insn insn[] = { TOUCH(7, 1), TOUCH(9, 1), END };
	u64 region;

	START(insn);
	region = w_region(&g.w, 3);
	td_tables(&g.w, &g.td, TD_MEMORY_GPA, 2);
	CHECK_EQ(w_aug(&g.w, g.td.tdr, TD_MEMORY_GPA, 1, region), 0);
	CHECK_EQ(g_run(&g, 0, 2000), TD_VCPU_DONE);
	CHECK_EQ(g.faults, 0);
	CHECK_EQ(g.vcpu[0].box->accepts, 512);
	CHECK_EQ(g.vcpu[0].box->touches, 2);
	CHECK_EQ(g_events(&g), 0);
	CHECK_EQ(td_zap(&g.w, &g.td, TD_MEMORY_GPA, 1), 0);
	g_exit(&g);
}

static void open_loop(void)
{
	const struct td_insn insn[] = {
		PHASE(0), { .op = TD_OP_PACE, .b = 50000 }, TOUCH(0, 10), END,
	};
	struct vcpu_box *box;

	START(insn);
	box = g.vcpu[0].box;
	CHECK_EQ(g_run(&g, 0, 2000), TD_VCPU_DONE);
	/* The last of ten is due 9 intervals after the first. */
	CHECK(box->end_tsc - box->marks[0].tsc >= 9 * 50 * G_KHZ / 1000);
	CHECK(box->idles >= 9);
	g_exit(&g);
}

static void endless_until_stop(void)
{
	const struct td_insn insn[] = {
		{ .op = TD_OP_FLIP, .arg = 1, .n = 0, .a = 0, .b = TD_PAGE_4K }, END,
	};

	START(insn);
	CHECK_EQ(g_run(&g, 0, 500), 0);
	CHECK(g.vcpu[0].box->conversions > 20);
	g.all_box->stop = 1;
	CHECK_EQ(g_run(&g, 0, 500), TD_VCPU_DONE);
	g_exit(&g);
}

static void two_at_a_barrier(void)
{
	const struct td_insn insn[] = { TOUCH(0, 1), { .op = TD_OP_BARRIER, .n = 9 }, END };
	unsigned int halts;

	g_init(&g, 2);
	g_set_program(&g, 0, G_IMAGE + 0x800, insn, ARRAY_SIZE(insn));
	g_set_program(&g, 1, G_IMAGE + 0xc00, insn, ARRAY_SIZE(insn));
	g_load(&g);
	CHECK_EQ(g_run(&g, 0, 100), 0);
	CHECK_EQ(g.td_box->barrier[9].joined, 1);
	halts = g.halts;
	CHECK(halts > 2);
	CHECK_EQ(g_run(&g, 1, 100), TD_VCPU_DONE);
	CHECK_EQ(g.td_box->barrier[9].joined, 2);
	CHECK_EQ(g_run(&g, 0, 100), TD_VCPU_DONE);
	/* The page was there for the second one. */
	CHECK_EQ(g.faults, 1);
	CHECK_EQ(g_events(&g), 0);
	g_exit(&g);
}

/* The host takes the mailbox's pages away; not a word is lost or said twice. */
static void mailbox_that_goes_away(void)
{
	const struct td_insn insn[] = { TOUCH(0, 50), END };
	struct vcpu_box *box;
	unsigned int i, page;

	START(insn);
	box = g.vcpu[0].box;
	for (i = 0; i < 1000 && !g.vcpu[0].done; i++) {
		g_enter(&g, 0);
		g_answer(&g, 0);
		for (page = 0; page < 5 && !(i % 5); page++)
			*g_ept_entry(&g, G_VCPU_BOX + page * EMU_4K_SIZE) = BIT_ULL(63);
	}
	CHECK_EQ(g.vcpu[0].done, TD_VCPU_DONE);
	CHECK(g.shared_faults > 20);
	CHECK_EQ(box->touches, 50);
	CHECK_EQ(box->hist_count, 50);
	g_exit(&g);
}

static void shared_page_touched(void)
{
	const struct td_insn insn[] = {
		{ .op = TD_OP_FLIP, .arg = 1, .n = 1, .a = 0, .b = TD_PAGE_4K }, END,
	};
	u64 entry;

	g_init(&g, 1);
	g.image.flags = TD_IMAGE_TOUCH_SHARED;
	g_set_program(&g, 0, G_IMAGE + 0x800, insn, ARRAY_SIZE(insn));
	g_load(&g);
	CHECK_EQ(g_run(&g, 0, 200), TD_VCPU_DONE);
	entry = *g_ept_entry(&g, TD_MEMORY_GPA);
	CHECK_EQ(entry & 7, 7);
	CHECK(*(u64 *)emu_va(&g.w.m, entry & SEPT_PA_MASK) != 0);
	g_exit(&g);
}

/* -------------------------------------------------------------------- registers */

static void exit_registers(void)
{
	const struct td_insn insn[] = { TOUCH(0, 1), END };
	struct tdx_module_args *a = &g.vcpu[0].regs;

	START(insn);
	/* Code, record, header and program are there: the mailbox is not. */
	a->r10 = a->r15 = a->rbx = a->rsi = 0x55;
	CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
	CHECK_EQ(a->r8, G_TD_BOX | BIT_ULL(G_SHARED_BIT));
	CHECK_EQ(a->rcx, EPT_QUAL_WRITE);
	CHECK_EQ(a->rdx | a->r9 | a->r10 | a->r11 | a->r12 | a->r13 | a->r14 | a->r15, 0);
	CHECK_EQ(a->rbx | a->rsi | a->rdi, 0);
	/* Present, but not for writing. */
	g_map_shared(&g, G_TD_BOX);
	*g_ept_entry(&g, G_TD_BOX) &= ~2ULL;
	CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
	CHECK_EQ(a->rcx, EPT_QUAL_WRITE | 5 << EPT_QUAL_ALLOWS_SHIFT);

	CHECK(g_run_to(&g, 0, VMCALL_WRMSR));
	CHECK_EQ(g.vcpu[0].status, EXIT_TDCALL);
	CHECK_EQ(a->rcx, 0xfc00);
	CHECK_EQ(a->r10, 0);
	CHECK_EQ(a->r12, 0x80f);
	CHECK_EQ(a->r13, 0x1ff);
	CHECK_EQ(a->rdx | a->r8 | a->r9 | a->r14 | a->r15, 0);
	g_answer(&g, 0);
	CHECK(g_run_to(&g, 0, VMCALL_WRMSR));
	CHECK_EQ(a->r12, 0x832);
	CHECK_EQ(a->r13, BIT(18) | TD_TIMER_VECTOR);
	g_answer(&g, 0);

	do {
		g_enter(&g, 0);
	} while (a->r8 >> G_SHARED_BIT & 1 && g_answer(&g, 0));
	/* A private page that is accepted before it is touched. */
	CHECK_EQ(g.vcpu[0].status, EXIT_EPT_VIOLATION);
	CHECK_EQ(a->r8, page_gpa(0));
	CHECK_EQ(a->rdx & 15, EXT_QUAL_ACCEPT);
	g_exit(&g);
}

static void entry_operands(void)
{
	const struct td_insn insn[] = { END };
	struct gvcpu *v = &g.vcpu[0];
	struct tdcs *tdcs;

	START(insn);
	tdcs = td_cs(&g.w, &g.td);
	CHECK_EQ(CALL(&g.w, TDH_VP_ENTER, .rcx = v->vp | 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&g.w, TDH_VP_ENTER, .rcx = g.td.tdr),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	tdcs->op_state = OP_STATE_INITIALIZED;
	CHECK_EQ(g_enter(&g, 0), EMU_OP_STATE_INCORRECT | OP_STATE_INITIALIZED);
	tdcs->op_state = OP_STATE_RUNNABLE;
	tdcs->epoch_lock = SHAREX_EX;
	CHECK_EQ(g_enter(&g, 0), EMU_OPERAND_BUSY | EMU_OP_TD_EPOCH);
	tdcs->epoch_lock = 0;
	CHECK_EQ(tdcs->refcount[0] | tdcs->refcount[1], 0);
	/* Only the processor that it is tied to may enter it. */
	g.w.lp = 1;
	CHECK_EQ(g_enter(&g, 0), EMU_VCPU_ASSOCIATED);
	CHECK_EQ(CALL(&g.w, TDH_VP_FLUSH, .rcx = v->vp), EMU_VCPU_NOT_ASSOCIATED);
	g.w.lp = 0;
	CHECK_EQ(CALL(&g.w, TDH_VP_FLUSH, .rcx = v->vp), 0);
	CHECK_EQ(tdcs->num_assoc_vcpus, 0);
	g.w.lp = 1;
	CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
	CHECK_EQ(tdcs->num_assoc_vcpus, 1);
	g.w.m.contents = false;
	CHECK_EQ(g_enter(&g, 0), EMU_OPERAND_INVALID | EMU_OP_RAX);
	g.w.m.contents = true;
	g_exit(&g);
}

/* ----------------------------------------------------- locks while the guest runs */

static unsigned int looks;

/* Called by the guest that reads its clock: the middle of a run. */
static u64 look_at_locks(void)
{
	struct gvcpu *v = &g.vcpu[0];
	struct tdcs *tdcs = td_cs(&g.w, &g.td);
	struct tdx_module_args a = { .rcx = v->vp };

	/* The interpreter's own, and before it runs there is none. */
	if (looks++ > 3 || !v->vp)
		return g_tsc();
	CHECK_EQ(e4k(&g.w, v->vp)->lock, SHAREX_READER);
	CHECK(e2m(&g.w, v->vp)->lock >= SHAREX_READER);
	CHECK(e1g(&g.w, v->vp)->lock >= SHAREX_READER);
	CHECK_EQ(e4k(&g.w, g.td.tdr)->lock, SHAREX_READER);
	CHECK_EQ(tdcs->op_state_lock, 0);
	CHECK_EQ(tdcs->tree_lock, 0);
	CHECK_EQ(tdcs->epoch_lock, 0);
	CHECK_EQ(tdcs->refcount[tdcs->epoch & 1], 1);
	/* What needs the vCPU, or the TD, exclusively is BUSY. */
	CHECK_EQ(emu_seamcall(&g.w.m, EMU_TDH_VP_FLUSH, &a), EMU_OPERAND_BUSY | EMU_OP_RCX);
	a.rcx = g.td.tdr;
	CHECK_EQ(emu_seamcall(&g.w.m, EMU_TDH_MNG_VPFLUSHDONE, &a), EMU_OPERAND_BUSY | EMU_OP_RCX);
	return g_tsc();
}

static void locks_of_a_run(void)
{
	const struct td_insn insn[] = { TOUCH(0, 1), END };

	START(insn);
	looks = 0;
	g.w.m.tsc = look_at_locks;
	CHECK_EQ(g_run(&g, 0, 200), TD_VCPU_DONE);
	CHECK(looks > 2);
	g.w.m.tsc = g_tsc;
	CHECK_EQ(td_cs(&g.w, &g.td)->refcount[0] | td_cs(&g.w, &g.td)->refcount[1], 0);
	g_exit(&g);
}

/* The first tracking may pass a running vCPU, the next has to wait until it has left. */
static u64 track_twice(void)
{
	struct tdx_module_args a = { .rcx = g.td.tdr };

	if (looks++)
		return g_tsc();
	CHECK_EQ(emu_seamcall(&g.w.m, EMU_TDH_MEM_TRACK, &a), 0);
	CHECK_EQ(emu_seamcall(&g.w.m, EMU_TDH_MEM_TRACK, &a), EMU_PREVIOUS_TLB_EPOCH_BUSY);
	return g_tsc();
}

static void tracking_waits_for_vcpus(void)
{
	const struct td_insn insn[] = { TOUCH(0, 1), END };

	START(insn);
	looks = 0;
	g.w.m.tsc = track_twice;
	CHECK_EQ(g_run(&g, 0, 200), TD_VCPU_DONE);
	CHECK(looks > 1);
	CHECK_EQ(w_track(&g.w, g.td.tdr), 0);
	g.w.m.tsc = g_tsc;
	g_exit(&g);
}

/* A guest gives way to a host that holds, or wants, the tree or the entry. */
static void accept_gives_way(void)
{
	const struct td_insn insn[] = { TOUCH(0, 1), IDLE(1000), TOUCH(1, 1), END };
	const u16 tree[] = { SHAREX_EX, SHAREX_HP };
	struct tdcs *tdcs;
	unsigned int i;
	u64 *entry;

	START(insn);
	tdcs = td_cs(&g.w, &g.td);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_answer(&g, 0);
	g_aug(&g, page_gpa(1));
	entry = td_entry(&g.w, &g.td, page_gpa(1), 0);
	for (i = 0; i < 2; i++) {
		tdcs->tree_lock = tree[i];
		CHECK_EQ(g_enter(&g, 0), EXIT_OTHER_SMI);
		CHECK_EQ(g.vcpu[0].regs.rcx | g.vcpu[0].regs.r8, 0);
		CHECK_EQ(tdcs->tree_lock, tree[i]);
		CHECK_EQ(sept_state(*entry), SEPT_PENDING);
		tdcs->tree_lock = 0;
		*entry |= i ? SEPTE_HP : SEPTE_LOCK;
		CHECK_EQ(g_enter(&g, 0), EXIT_OTHER_SMI);
		CHECK_EQ(tdcs->tree_lock, 0);
		CHECK_EQ(sept_state(*entry), SEPT_PENDING);
		*entry &= ~(SEPTE_LOCK | SEPTE_HP);
	}
	CHECK_EQ(g_run(&g, 0, 100), TD_VCPU_DONE);
	CHECK_EQ(*entry & (SEPTE_LOCK | SEPTE_HP), 0);
	CHECK_EQ(sept_state(*entry), SEPT_MAPPED);
	g_exit(&g);
}

/* ------------------------------------------------------------------ TLB, contents */

/* A page is taken away while the vCPU halts: it must not be used again. */
static void tlb_forgets_with_the_epoch(void)
{
	const struct td_insn insn[] = { TOUCH(5, 1), IDLE(1000), TOUCH(5, 1), END };
	struct tdcs *tdcs;
	u64 page;

	START(insn);
	tdcs = td_cs(&g.w, &g.td);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	page = mapped_page(page_gpa(5));
	CHECK_EQ(w_block(&g.w, g.td.tdr, page_gpa(5), 0), 0);
	CHECK_EQ(w_remove(&g.w, g.td.tdr, page_gpa(5), 0), EMU_TLB_TRACKING_NOT_DONE | EMU_OP_RCX);
	CHECK_EQ(w_track(&g.w, g.td.tdr), 0);
	CHECK_EQ(tdcs->epoch, 2);
	CHECK_EQ(w_remove(&g.w, g.td.tdr, page_gpa(5), 0), 0);
	CHECK_EQ(g.w.out.rcx & SEPT_PA_MASK, page);
	memset(emu_va(&g.w.m, page), 0xaa, 8);
	g_answer(&g, 0);
	g.faults = 0;
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(g.faults, 1);
	CHECK_EQ(g_events(&g), 0);
	CHECK_EQ(*(u64 *)emu_va(&g.w.m, page), 0xaaaaaaaaaaaaaaaaULL);
	CHECK(mapped_page(page_gpa(5)) != page);
	while (g.td.pages[g.td.nr_pages - 1] != mapped_page(page_gpa(5)))
		g.td.nr_pages--;
	for (unsigned int i = 0; i < g.td.nr_pages; i++)
		if (g.td.pages[i] == page)
			g.td.pages[i] = g.td.pages[--g.td.nr_pages];
	g_exit(&g);
}

/* A blocked page goes on being used by who has it in its TLB, until it is tracked. */
static void tlb_keeps_blocked_pages(void)
{
	const struct td_insn insn[] = { TOUCH(5, 1), IDLE(1000), TOUCH(5, 1), END };

	START(insn);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	CHECK_EQ(w_block(&g.w, g.td.tdr, page_gpa(5), 0), 0);
	g_answer(&g, 0);
	g.faults = 0;
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(g.faults, 0);
	CHECK_EQ(g_events(&g), 0);
	g_exit(&g);
}

/* On another processor the vCPU has no translations from before. */
static void tlb_stays_behind(void)
{
	const struct td_insn insn[] = { TOUCH(5, 1), IDLE(1000), TOUCH(5, 1), END };

	START(insn);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	CHECK_EQ(w_block(&g.w, g.td.tdr, page_gpa(5), 0), 0);
	CHECK_EQ(CALL(&g.w, TDH_VP_FLUSH, .rcx = g.vcpu[0].vp), 0);
	g_answer(&g, 0);
	g.w.lp = 1;
	do {
		g_enter(&g, 0);
	} while (g.vcpu[0].regs.r8 >> G_SHARED_BIT & 1 && g_answer(&g, 0));
	CHECK_EQ(g.vcpu[0].status, EXIT_EPT_VIOLATION);
	CHECK_EQ(g.vcpu[0].regs.r8, page_gpa(5));
	CHECK_EQ(CALL(&g.w, TDH_VP_FLUSH, .rcx = g.vcpu[0].vp), 0);
	g_exit(&g);
}

/* The checkers can fail: tables changed behind the module's back. */
static void stale_translation_is_seen(void)
{
	const struct td_insn insn[] = { TOUCH(5, 1), IDLE(1000), TOUCH(5, 1), END };
	u64 *entry, old;

	START(insn);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_answer(&g, 0);
	entry = td_entry(&g.w, &g.td, page_gpa(5), 0);
	old = *entry;
	*entry = 0;
	g_enter(&g, 0);
	CHECK_EQ(g.events[EMU_EVENT_STALE_TLB], 1);
	CHECK_EQ(g.w.m.events[EMU_EVENT_STALE_TLB], 1);
	CHECK_EQ(g.last_event.gpa, page_gpa(5));
	CHECK_EQ(g.last_event.hpa, old & SEPT_PA_MASK);
	CHECK_EQ(g.last_event.tdr, g.td.tdr);
	CHECK_EQ(g.last_event.tdvpr, g.vcpu[0].vp);
	*entry = old;
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(g_events(&g), 1);
	g_exit(&g);
}

static void page_of_another_is_seen(void)
{
	const struct td_insn insn[] = { TOUCH(5, 1), IDLE(1000), TOUCH(6, 1), END };
	u64 *entry, stranger;

	START(insn);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_answer(&g, 0);
	/* The S-EPT leads to a page that no TD has. */
	stranger = w_page(&g.w);
	entry = td_entry(&g.w, &g.td, page_gpa(6), 0);
	*entry = sept_make(SEPT_MAPPED, stranger);
	CHECK(g_run(&g, 0, 50) != TD_VCPU_DONE);
	CHECK_EQ(g.events[EMU_EVENT_OWNERSHIP], 1);
	CHECK_EQ(g.last_event.hpa, stranger);
	CHECK_EQ(*(u64 *)emu_va(&g.w.m, stranger), 0);
	*entry = 0;
	g_exit(&g);
}

static void foreign_contents_are_seen(void)
{
	const struct td_insn insn[] = { TOUCH(5, 1), IDLE(1000), TOUCH(5, 1), END };

	START(insn);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_answer(&g, 0);
	*(u64 *)emu_va(&g.w.m, mapped_page(page_gpa(5))) ^= 1;
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(g.events[EMU_EVENT_CONTENTS], 1);
	CHECK_EQ(g_events(&g), 1);
	g_exit(&g);
}

/* ------------------------------------------------------------------- host's part */

static void zero_step_filter(void)
{
	const struct td_insn insn[] = { TOUCH(0, 1), END };
	struct tdcs *tdcs;
	struct gvcpu *v = &g.vcpu[0];
	unsigned int i;

	START(insn);
	tdcs = td_cs(&g.w, &g.td);
	do {
		g_enter(&g, 0);
	} while ((v->status != EXIT_EPT_VIOLATION || v->regs.r8 >> G_SHARED_BIT & 1) &&
		 g_answer(&g, 0));
	CHECK_EQ(v->regs.r8, page_gpa(0));
	for (i = 1; i < EPF_THRESHOLD; i++) {
		CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
		CHECK_EQ(v->regs.rdx & 15, EXT_QUAL_ACCEPT);
	}
	/* From here on it is not entered: fewer registers say something. */
	CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
	CHECK_EQ(v->regs.r8, page_gpa(0));
	CHECK_EQ(v->regs.rcx, EPT_QUAL_WRITE);
	CHECK_EQ(v->regs.rdx, 0);
	tdcs->tree_lock = SHAREX_EX;
	CHECK_EQ(g_enter(&g, 0), EMU_OPERAND_BUSY | EMU_OP_SEPT_TREE);
	tdcs->tree_lock = 0;
	CHECK_EQ(tdcs->refcount[0] | tdcs->refcount[1], 0);
	g_answer(&g, 0);
	g_aug(&g, page_gpa(0));
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(tdcs->tree_lock, 0);
	g_exit(&g);
}

static void posted_interrupts(void)
{
	const struct td_insn insn[] = { IDLE(1000), IDLE(1000), END };
	struct gvcpu *v = &g.vcpu[0];
	u64 *pid;

	START(insn);
	pid = emu_va(&g.w.m, G_HOST_MEMORY + 0x800000);
	CHECK_EQ(CALL(&g.w, TDH_VP_WR, .rcx = v->vp, .rdx = 0x2016,
		      .r8 = G_HOST_MEMORY + 0x800000, .r9 = ~0ULL), 0);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	g_answer(&g, 0);
	pid[1] = BIT_ULL(0) | BIT_ULL(5);
	pid[3] = BIT_ULL(63);
	pid[4] = 1;
	/* Not before the vCPU processes posted interrupts. */
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	CHECK_EQ(pid[1], BIT_ULL(0) | BIT_ULL(5));
	CHECK_EQ(CALL(&g.w, TDH_VP_WR, .rcx = v->vp, .rdx = 0x4000, .r8 = BIT(7), .r9 = BIT(7)), 0);
	g_answer(&g, 0);
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(pid[1] | pid[3], 0);
	CHECK_EQ(pid[4] & 1, 0);
	CHECK_EQ(v->box->interrupts, 3);
	g_exit(&g);
}

/* The timer fires before the guest halts: the interrupt stays posted, and ends the HLT. */
static void timer_before_halt(void)
{
	const struct td_insn insn[] = { IDLE(1000), END };
	struct gvcpu *v = &g.vcpu[0];
	u64 *pid;

	START(insn);
	pid = emu_va(&g.w.m, G_HOST_MEMORY + 0x800000);
	CHECK_EQ(CALL(&g.w, TDH_VP_WR, .rcx = v->vp, .rdx = 0x2016,
		      .r8 = G_HOST_MEMORY + 0x800000, .r9 = ~0ULL), 0);
	CHECK_EQ(CALL(&g.w, TDH_VP_WR, .rcx = v->vp, .rdx = 0x4000, .r8 = BIT(7), .r9 = BIT(7)), 0);
	do {
		CHECK(g_run_to(&g, 0, VMCALL_WRMSR));
		if (v->regs.r12 != MSR_TSC_DEADLINE)
			g_answer(&g, 0);
	} while (v->regs.r12 != MSR_TSC_DEADLINE);
	pid[1] = BIT_ULL(0);
	pid[4] = 1;
	g_answer(&g, 0);
	CHECK(g_run_to(&g, 0, VMCALL_HLT));
	CHECK_EQ(pid[1], BIT_ULL(0));
	CHECK_EQ(pid[4] & 1, 1);
	g_answer(&g, 0);
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	CHECK_EQ(pid[1], 0);
	CHECK_EQ(v->box->interrupts, 1);
	g_exit(&g);
}

static void map_gpa_answers(void)
{
	const struct td_insn insn[] = {
		{ .op = TD_OP_FLIP, .arg = 1, .n = 1, .a = 0, .b = TD_PAGE_4K }, END,
	};

	START(insn);
	g.map_gpa_answer = VMCALL_RETRY;
	CHECK_EQ(g_run(&g, 0, 50), 0);
	CHECK_EQ(g.vcpu[0].box->conversions, 0);
	g.map_gpa_answer = 0;
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_DONE);
	g_exit(&g);

	START(insn);
	g.map_gpa_answer = BIT_ULL(63);
	CHECK_EQ(g_run(&g, 0, 50), TD_VCPU_FAILED);
	CHECK_EQ(g.vcpu[0].box->state, TD_VCPU_FAILED);
	CHECK_EQ(g.vcpu[0].box->error, -GUEST_EIO);
	g_exit(&g);
}

/* ------------------------------------------------------------------ bad images */

static void no_magic(void) { g.image.magic++; }
static void other_version(void) { g.image.version++; }
static void other_gpa(void) { g.image.gpa += EMU_4K_SIZE; }
static void no_vcpus(void) { g.image.nr_vcpus = 0; }
static void other_shared_bit(void) { g.image.shared_bit = 51; }
static void mailbox_crooked(void) { g.image.td_box += 8; }
static void mailbox_nowhere(void) { g.image.all_box = 0; }
static void payload_beyond(void) { g.image.payload_gpa = TD_IMAGE_END; }
static void memory_over_image(void) { g.image.memory_gpa = TD_PAGE_2M; g.image.memory_size = 1ULL << 32; }
static void record_no_magic(void) { g.record[0].magic++; }
static void record_of_another(void) { g.record[0].vcpu = 1; }
static void program_outside(void) { g.record[0].program = G_PAYLOAD + 8; }
static void program_too_big(void) { g.record[0].program_size = 1 << 20; }
static void box_no_magic(void) { g.td_box->magic = 0; }

static void bad_images(void)
{
	const struct td_insn insn[] = { END };
	void (*const spoil[])(void) = {
		no_magic, other_version, other_gpa, no_vcpus, other_shared_bit, mailbox_crooked,
		mailbox_nowhere, payload_beyond, memory_over_image, record_no_magic,
		record_of_another, program_outside, program_too_big, box_no_magic,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spoil); i++) {
		g_init(&g, 1);
		g_set_program(&g, 0, G_IMAGE + 0x800, insn, 1);
		spoil[i]();
		g_load(&g);
		CHECK_EQ(g_run(&g, 0, 50), 0);
		if (!CHECK_EQ(g.vcpu[0].status, SHUTDOWN))
			printf("\tspoilt image %u\n", i);
		CHECK_EQ(g.events[EMU_EVENT_IMAGE], 1);
		CHECK_EQ(g_enter(&g, 0), EMU_VCPU_STATE_INCORRECT | VCPU_DISABLED);
		g_exit(&g);
	}
}

/* A malformed program fails by itself: the mailbox says so. */
static void bad_programs(void)
{
	const struct td_insn unknown[] = { TOUCH(0, 1), { .op = TD_OP_NR }, END };
	const struct td_insn beyond[] = { TOUCH(1 << 20, 1), END };
	const struct td_insn endless[] = { TOUCH(0, 1) };
	const struct { const struct td_insn *insn; unsigned int count; u64 touches; } bad[] = {
		{ unknown, 3, 1 }, { beyond, 2, 0 }, { endless, 1, 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		g_start(&g, bad[i].insn, bad[i].count);
		CHECK_EQ(g_run(&g, 0, 100), TD_VCPU_FAILED);
		CHECK_EQ(g.vcpu[0].box->error, -GUEST_EINVAL);
		CHECK_EQ(g.vcpu[0].box->touches, bad[i].touches);
		g_exit(&g);
	}
}

/* A page of the image that the host never added: the fetch faults there. */
static void image_in_holes(void)
{
	const struct td_insn insn[] = { END };
	u64 page;

	START(insn);
	page = mapped_page(G_PAYLOAD);
	CHECK_EQ(g_zap(&g, G_PAYLOAD), 0);
	CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
	CHECK_EQ(g.vcpu[0].regs.r8, TD_RESET_VECTOR);
	CHECK_EQ(g.vcpu[0].regs.rcx, EPT_QUAL_FETCH);
	/* A page that is pending there was never measured: executing it is the host's crime. */
	g_aug(&g, G_PAYLOAD);
	CHECK_EQ(g_enter(&g, 0), EXIT_EPT_VIOLATION);
	CHECK_EQ(g.vcpu[0].regs.rdx & 15, EXT_QUAL_PENDING);
	CHECK(mapped_page(G_PAYLOAD) != page);
	g_exit(&g);
}

int main(void)
{
	test_begin("test_module_guest");
	TEST(whole_program);
	TEST(huge_touch_over_small_pages);
	TEST(huge_page);
	TEST(open_loop);
	TEST(endless_until_stop);
	TEST(two_at_a_barrier);
	TEST(mailbox_that_goes_away);
	TEST(shared_page_touched);
	TEST(exit_registers);
	TEST(entry_operands);
	TEST(locks_of_a_run);
	TEST(tracking_waits_for_vcpus);
	TEST(accept_gives_way);
	TEST(tlb_forgets_with_the_epoch);
	TEST(tlb_keeps_blocked_pages);
	TEST(tlb_stays_behind);
	TEST(stale_translation_is_seen);
	TEST(page_of_another_is_seen);
	TEST(foreign_contents_are_seen);
	TEST(zero_step_filter);
	TEST(posted_interrupts);
	TEST(timer_before_halt);
	TEST(map_gpa_answers);
	TEST(bad_images);
	TEST(bad_programs);
	TEST(image_in_holes);
	return test_end();
}
