// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata of TDs and vCPUs in the software TDX module (tdx-abi.md 1.8, 1.6.2):
 * TDH.MNG.RD, VP.RD and VP.WR; CPUID values in TD_PARAMS (1.6.6); the TD's clock;
 * MRTD against a hash computed elsewhere; the leaves that a host's interrupt
 * ends early (1.6.1, 1.6.3).
 */
#include "tests/guest_world.h"

static struct guest_world g;

static u64 mng_rd(u64 id)
{
	return CALL(&g.w, TDH_MNG_RD, .rcx = g.td.tdr, .rdx = id, .r8 = 0x55);
}

static u64 vp_rd(u64 id)
{
	return CALL(&g.w, TDH_VP_RD, .rcx = g.vcpu[0].vp, .rdx = id, .r8 = 0x55);
}

static u64 vp_wr(u64 id, u64 data, u64 mask)
{
	return CALL(&g.w, TDH_VP_WR, .rcx = g.vcpu[0].vp, .rdx = id, .r8 = data, .r9 = mask);
}

static void start(void)
{
	const struct td_insn insn[] = { { .op = TD_OP_END } };

	g_start(&g, insn, 1);
}

static u64 cpuid_id(u32 leaf, int subleaf, unsigned int element)
{
	return 0x9410000300000000ULL | (u64)(leaf >> 31) << 16 | (leaf & 0x7f) << 9 |
	       (subleaf < 0 ? 0x1fe : (u64)subleaf << 1) | element;
}

static void td_fields(void)
{
	struct tdcs *tdcs;

	start();
	tdcs = td_cs(&g.w, &g.td);
	/* As Linux spells them, and as the module does. */
	CHECK_EQ(mng_rd(17ULL << 56 | 10), 0);
	CHECK_EQ(g.w.out.r8, tdcs->tsc_offset);
	CHECK_EQ(mng_rd(0x111000030000000B), 0);
	CHECK_EQ(g.w.out.r8, 1ULL << 48);
	CHECK_EQ(mng_rd(cpuid_id(0, -1, 0)), 0);
	CHECK_EQ(g.w.out.r8, 0x756e654700000023ULL);
	CHECK_EQ(mng_rd(cpuid_id(0x15, -1, 0)), 0);
	CHECK_EQ(g.w.out.r8, 1 | (u64)G_TSC_FREQUENCY << 32);
	CHECK_EQ(mng_rd(cpuid_id(1, -1, 1)), 0);
	CHECK(g.w.out.r8 & BIT(24));
	CHECK_EQ(mng_rd(cpuid_id(4, 3, 0)), 0);
	CHECK_EQ(mng_rd(cpuid_id(4, 4, 0)), EMU_METADATA_FIELD_NOT_READABLE);
	CHECK_EQ(g.w.out.r8, 0);
	CHECK_EQ(mng_rd(cpuid_id(2, -1, 0)), EMU_METADATA_FIELD_NOT_READABLE);
	CHECK_EQ(mng_rd(cpuid_id(0, -1, 0) | 1 << 20), EMU_METADATA_FIELD_ID_INCORRECT);
	CHECK_EQ(mng_rd(17ULL << 56 | 12), EMU_METADATA_FIELD_ID_INCORRECT);
	CHECK_EQ(mng_rd(63ULL << 56), EMU_METADATA_FIELD_ID_INCORRECT);
	tdcs->op_state = OP_STATE_UNINITIALIZED;
	CHECK_EQ(mng_rd(17ULL << 56 | 10), EMU_OP_STATE_INCORRECT | OP_STATE_UNINITIALIZED);
	tdcs->op_state = OP_STATE_RUNNABLE;
	tdcs->op_state_lock = SHAREX_EX;
	CHECK_EQ(mng_rd(17ULL << 56 | 10), EMU_OPERAND_BUSY | EMU_OP_OP_STATE);
	tdcs->op_state_lock = 0;
	g_exit(&g);
}

static void vcpu_fields(void)
{
	const u64 details = BIT_ULL(63) | 17ULL << 56 | 0x100;
	struct tdcs *tdcs;

	start();
	tdcs = td_cs(&g.w, &g.td);
	CHECK_EQ(vp_wr(0x0002, 0xf2, 0xffff), 0);
	CHECK_EQ(vp_rd(0x0002), 0);
	CHECK_EQ(g.w.out.r8, 0xf2);
	/* The old value comes back; only the bits of the mask change. */
	CHECK_EQ(vp_wr(0x0002, 0xffff, 0x0f00), 0);
	CHECK_EQ(g.w.out.r8, 0xf2);
	CHECK_EQ(vp_rd(0x0002), 0);
	CHECK_EQ(g.w.out.r8, 0xff2);
	CHECK_EQ(vp_wr(0x4000, 0x80, 0x80), 0);
	CHECK_EQ(vp_wr(0x4000, 0x81, 0x81), EMU_METADATA_WR_MASK_NOT_VALID);
	CHECK_EQ(vp_wr(0x4000, 0x80, 0), EMU_METADATA_WR_MASK_NOT_VALID);
	CHECK_EQ(vp_wr(0x401E, BIT_ULL(30), BIT_ULL(30)), 0);
	CHECK_EQ(vp_wr(0x401E, 1, 1), EMU_METADATA_WR_MASK_NOT_VALID);
	CHECK_EQ(vp_wr(0x2016, 0x1040, ~0ULL), 0);
	CHECK_EQ(vp_wr(0x2016, 0x1020, ~0ULL), EMU_METADATA_FIELD_VALUE_NOT_VALID);
	CHECK_EQ(vp_wr(0x203C, g.w.m.max_pa, ~0ULL), EMU_METADATA_FIELD_VALUE_NOT_VALID);
	CHECK_EQ(vp_wr(0x203C, 0x1800, ~0ULL), EMU_METADATA_FIELD_VALUE_NOT_VALID);
	CHECK_EQ(vp_wr(32ULL << 56 | 11, 1, 0xff), 0);
	CHECK_EQ(vp_wr(0x6800, 0, ~0ULL), EMU_METADATA_FIELD_ID_INCORRECT);
	CHECK_EQ(vp_wr(details, 1, 1), EMU_METADATA_FIELD_NOT_WRITABLE);
	CHECK_EQ(vp_rd(details), 0);
	CHECK_EQ(g.w.out.r8, 0);
	CHECK_EQ(vp_rd(0x6800), EMU_METADATA_FIELD_ID_INCORRECT);
	CHECK_EQ(g.w.out.r8, 0);

	/* Reading and writing tie the vCPU to the processor. */
	CHECK_EQ(tdcs->num_assoc_vcpus, 1);
	CHECK_EQ(CALL(&g.w, TDH_VP_FLUSH, .rcx = g.vcpu[0].vp), 0);
	g.w.lp = 3;
	CHECK_EQ(vp_rd(details), 0);
	CHECK_EQ(tdcs->num_assoc_vcpus, 1);
	g.w.lp = 2;
	CHECK_EQ(vp_rd(details), EMU_VCPU_ASSOCIATED);
	CHECK_EQ(vp_wr(0x0002, 1, 1), EMU_VCPU_ASSOCIATED);
	g.w.lp = 3;
	g_exit(&g);
}

static void cpuid_of_params(void)
{
	struct w_td_params *p;
	u32 *cpuid;

	w_init(&g.w, true);
	td_create(&g.w, &g.td, 0);
	CHECK_EQ(CALL(&g.w, TDH_MNG_KEY_CONFIG, .rcx = g.td.tdr), 0);
	while (g.td.nr_pages < MIN_TDCS_PAGES)
		CHECK_EQ(td_addcx(&g.w, &g.td), 0);
	p = w_params(&g.w);
	cpuid = (u32 *)(void *)((char *)p + 256);
	cpuid[9 * 4] = 1 << 16;			/* 0x80000008: GPAW is not the host's */
	CHECK_EQ(td_init(&g.w, &g.td), EMU_OPERAND_INVALID | EMU_OP_CPUID_CONFIG);
	CHECK_EQ(g.w.out.rcx, 0x80000008 | (u64)EMU_NO_SUBLEAF << 32);
	cpuid[9 * 4] = 46;
	cpuid[5 * 4 + 1] = BIT(4);		/* HLE without RTM */
	CHECK_EQ(td_init(&g.w, &g.td), EMU_OPERAND_INVALID | EMU_OP_CPUID_CONFIG);
	CHECK_EQ(g.w.out.rcx, 7);
	cpuid[5 * 4 + 1] = BIT(4) | BIT(11);
	cpuid[28 * 4] = 1;			/* behind the last leaf */
	CHECK_EQ(td_init(&g.w, &g.td), EMU_OPERAND_INVALID | EMU_OP_CPUID_CONFIG);
	cpuid[28 * 4] = 0;
	CHECK_EQ(td_init(&g.w, &g.td), 0);
	CHECK_EQ(mng_rd(cpuid_id(0x80000008, -1, 0)), 0);
	CHECK_EQ(g.w.out.r8, 46);
	CHECK_EQ(mng_rd(cpuid_id(7, 0, 0)), 0);
	CHECK_EQ(g.w.out.r8, (BIT_ULL(4) | BIT_ULL(11)) << 32);
	td_destroy(&g.w, &g.td);
	w_exit(&g.w);
}

/* 2.2 GHz on several hosts: the multiplier has 48 bits of fraction. */
static void clock_of_a_td(void)
{
	static const struct {
		u64 host_khz, multiplier;
	} host[] = {
		{ 2200000, 1ULL << 48 },
		/* A measured frequency, a little off: the same clock. */
		{ 2199980, 1ULL << 48 },
		{ 2200021, 1ULL << 48 },
		{ 2224999, 1ULL << 48 },
		{ 1100000, 2ULL << 48 },
		{ 4400000, 1ULL << 47 },
		{ 3000000, 0xbbbbbbbbbbbbULL },
	};
	struct w_td_params *p;
	struct tdcs *tdcs;
	unsigned int i;
	u64 a, b;

	for (i = 0; i < ARRAY_SIZE(host); i++) {
		w_init(&g.w, true);
		g.w.m.tsc = g_tsc;
		g.w.m.tsc_khz = host[i].host_khz;
		td_create(&g.w, &g.td, 0);
		CHECK_EQ(CALL(&g.w, TDH_MNG_KEY_CONFIG, .rcx = g.td.tdr), 0);
		while (g.td.nr_pages < MIN_TDCS_PAGES)
			CHECK_EQ(td_addcx(&g.w, &g.td), 0);
		p = w_params(&g.w);
		p->tsc_frequency = 88;
		CHECK_EQ(td_init(&g.w, &g.td), 0);
		tdcs = td_cs(&g.w, &g.td);
		CHECK_EQ(tdcs->tsc_multiplier, host[i].multiplier);
		/* It began at 0, and 100 of the host's are so many of its own. */
		a = emu_td_tsc(&g.w.m, tdcs);
		b = emu_td_tsc(&g.w.m, tdcs);
		CHECK(a <= 201);
		CHECK(b - a - (100 * (host[i].multiplier >> 16) >> 32) <= 1);
		td_destroy(&g.w, &g.td);
		w_exit(&g.w);
	}
}

static const char expected_mrtd[] = "1d6a39508485f397068c05784a4b63a370570e76aece69da"
				    "8d9803c7ec110b31872fb82a115e9bb2ba454fad78293be6";

/* The hash of the records and contents of one page at 0x1000, from another SHA-384. */
static void measurement(void)
{
	u8 mrtd[EMU_MRTD_SIZE], *source;
	char text[2 * EMU_MRTD_SIZE + 1];
	struct world *w = &g.w;
	unsigned int i;
	u64 page;

	w_init(w, true);
	w->m.contents = true;
	CHECK_EQ(emu_td_mrtd(&w->m, w->base, mrtd), -EINVAL);
	td_build(w, &g.td, 0);
	td_vcpu(w, &g.td);
	td_tables(w, &g.td, 0x1000, 1);
	source = emu_va(&w->m, w->host);
	for (i = 0; i < EMU_4K_SIZE; i++)
		source[i] = i * 7 + 3;
	page = td_give(&g.td, w_page(w));
	CHECK_EQ(w_page_add(w, g.td.tdr, 0x1000, page, w->host), 0);
	memset(source, 0, EMU_4K_SIZE);
	for (i = 0; i < EMU_4K_SIZE; i += 256)
		CHECK_EQ(CALL(w, TDH_MR_EXTEND, .rcx = 0x1000 + i, .rdx = g.td.tdr), 0);
	CHECK_EQ(CALL(w, TDH_MR_FINALIZE, .rcx = g.td.tdr), 0);
	CHECK_EQ(emu_td_mrtd(&w->m, g.td.tdr, mrtd), 0);
	for (i = 0; i < EMU_MRTD_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", mrtd[i]);
	CHECK_STR(text, expected_mrtd);
	td_destroy(w, &g.td);
	w_exit(w);
}

/* ------------------------------------------------------------ interrupted leaves */

static unsigned int interrupts;

static bool interrupted(struct emu_module *m, const struct emu_call *c)
{
	return interrupts && interrupts--;
}

static void cache_wb_resumes(void)
{
	struct world *w = &g.w;

	w_init(w, true);
	w->m.interrupted = interrupted;
	td_run(w, &g.td, 0);
	CHECK_EQ(CALL(w, TDH_PHYMEM_CACHE_WB, .rcx = 1), EMU_WBCACHE_RESUME_ERROR);
	CHECK_EQ(CALL(w, TDH_VP_FLUSH, .rcx = g.td.vp), 0);
	CHECK_EQ(CALL(w, TDH_MNG_VPFLUSHDONE, .rcx = g.td.tdr), 0);
	interrupts = 1;
	CHECK_EQ(CALL(w, TDH_PHYMEM_CACHE_WB), EMU_INTERRUPTED_RESUMABLE);
	CHECK_EQ(CALL(w, TDH_MNG_KEY_FREEID, .rcx = g.td.tdr), EMU_WBCACHE_NOT_COMPLETE);
	/* Resumed, it gets on even if the next interrupt is there already. */
	interrupts = 1;
	CHECK_EQ(CALL(w, TDH_PHYMEM_CACHE_WB, .rcx = 1), 0);
	interrupts = 0;
	CHECK_EQ(CALL(w, TDH_PHYMEM_CACHE_WB, .rcx = 1), EMU_WBCACHE_RESUME_ERROR);
	CHECK_EQ(CALL(w, TDH_MNG_KEY_FREEID, .rcx = g.td.tdr), 0);
	while (g.td.nr_pages)
		CHECK_EQ(w_reclaim(w, g.td.pages[--g.td.nr_pages]), 0);
	CHECK_EQ(w_reclaim(w, g.td.tdr), 0);
	w_exit(w);
}

static void key_config_locks_its_package(void)
{
	struct world *w = &g.w;

	w_init(w, true);
	td_create(w, &g.td, 0);
	w->m.ket_lock[0] = SHAREX_EX;
	CHECK_EQ(CALL(w, TDH_MNG_KEY_CONFIG, .rcx = g.td.tdr), EMU_OPERAND_BUSY | EMU_OP_KET);
	w->m.ket_lock[0] = 0;
	CHECK_EQ(CALL(w, TDH_MNG_KEY_CONFIG, .rcx = g.td.tdr), 0);
	td_destroy(w, &g.td);
	w_exit(w);
}

int main(void)
{
	test_begin("test_module_fields");
	TEST(td_fields);
	TEST(vcpu_fields);
	TEST(cpuid_of_params);
	TEST(clock_of_a_td);
	TEST(measurement);
	TEST(cache_wb_resumes);
	TEST(key_config_locks_its_package);
	return test_end();
}
