// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bringing the module up by SEAMCALLs alone: the states and what each leaf says
 * outside its own, SYS.CONFIG over TDMR_INFO structures in memory, keys per
 * package, metadata, PAMT areas that come dirty, and the end.
 */
#include "tests/module_world.h"

#define OWN_HKID (W_FIRST_HKID + 2)
#define DYNAMIC BIT_ULL(16)
#define FIELD_TOP 0x9100000100000008ULL

static struct world w;

/* TDMR_INFO, at the world's host pages behind a list of their addresses. */
struct info {
	u64 base, size, pamt_1g_base, pamt_1g_size, pamt_2m_base, pamt_2m_size, pamt_4k_base,
		pamt_4k_size;
	struct emu_reserved reserved[EMU_MAX_RESERVED];
};

static u64 info_pa(unsigned int i)
{
	return w.host + EMU_4K_SIZE + i * 512;
}

static struct info *info(unsigned int i)
{
	return emu_va(&w.m, info_pa(i));
}

static void describe(void)
{
	u64 *list = emu_va(&w.m, w.host);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct emu_tdmr *t = &w.tdmr[i];

		list[i] = info_pa(i);
		memset(info(i), 0, sizeof(*info(i)));
		*info(i) = (struct info){
			.base = t->base, .size = t->size,
			.pamt_1g_base = t->pamt_1g_base, .pamt_1g_size = t->pamt_1g_size,
			.pamt_2m_base = t->pamt_2m_base, .pamt_2m_size = t->pamt_2m_size,
			.pamt_4k_base = t->pamt_4k_base, .pamt_4k_size = t->pamt_4k_size,
		};
	}
}

static u64 configure(u64 r8)
{
	return CALL(&w, TDH_SYS_CONFIG, .rcx = w.host, .rdx = 2, .r8 = r8);
}

static u64 lp_init(unsigned int lp)
{
	w.lp = lp;
	return CALL(&w, TDH_SYS_LP_INIT, 0);
}

static u64 key_config(unsigned int lp)
{
	w.lp = lp;
	return CALL(&w, TDH_SYS_KEY_CONFIG, 0);
}

/* Two packages of two processors each. */
static void prepare(bool dynamic)
{
	w_prepare(&w, dynamic);
	w.m.lps_per_package = 2;
	w.m.nr_packages = 2;
	w.m.hw.nr_lps = 4;
	w.m.hw.max_pa_bits = 52;
	w.m.hw.xfam = 0xe7;
	w.m.hw.dynamic = dynamic;
	describe();
}

static void bring_up(void)
{
	unsigned int lp;

	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), 0);
	for (lp = 0; lp < 4; lp++)
		CHECK_EQ(lp_init(lp), 0);
	CHECK_EQ(configure(OWN_HKID | (w.m.hw.dynamic ? DYNAMIC : 0)), 0);
	CHECK_EQ(key_config(0), 0);
	CHECK_EQ(key_config(3), 0);
	CHECK_EQ(w_tdmr_init_all(&w), 0);
}

static void states(void)
{
	unsigned int lp;

	prepare(true);
	CHECK_EQ(lp_init(0), EMU_SYS_LP_INIT_NOT_PENDING);
	CHECK_EQ(configure(OWN_HKID), EMU_SYS_CONFIG_NOT_PENDING);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, .rcx = 1), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), 0);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), EMU_SYS_INIT_NOT_PENDING);
	CHECK_EQ(CALL(&w, TDH_SYS_RD, .rdx = FIELD_TOP), EMU_SYS_LP_INIT_NOT_DONE);
	for (lp = 0; lp < 4; lp++) {
		/* Every processor is wanted. */
		CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_SYS_CONFIG_NOT_PENDING);
		CHECK_EQ(lp_init(lp), 0);
		CHECK_EQ(lp_init(lp), EMU_SYS_LP_INIT_DONE);
	}
	CHECK_EQ(key_config(0), EMU_SYS_KEY_CONFIG_NOT_PENDING);
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), 0);
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_SYS_CONFIG_NOT_PENDING);
	CHECK_EQ(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = w.base), EMU_SYS_NOT_READY);
	CHECK_EQ(key_config(1), 0);
	CHECK_EQ(key_config(0), EMU_KEY_CONFIGURED);
	CHECK_EQ(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = w.base), EMU_SYS_NOT_READY);
	CHECK_EQ(key_config(2), 0);
	CHECK_EQ(key_config(2), EMU_SYS_KEY_CONFIG_NOT_PENDING);
	CHECK_EQ(w_tdmr_init_all(&w), 0);
	CHECK(w.m.dynamic);
	w_exit(&w);
}

static void lock(void)
{
	prepare(true);
	w.m.global_lock = SHAREX_EX;
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), EMU_SYS_BUSY);
	w.m.global_lock = 0;
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), 0);
	/* LP.INIT goes beside LP.INIT, nothing else does. */
	w.m.global_lock = SHAREX_PLAIN_READER;
	CHECK_EQ(lp_init(0), 0);
	CHECK_EQ(configure(OWN_HKID), EMU_SYS_BUSY);
	CHECK_EQ(key_config(0), EMU_SYS_BUSY);
	w.m.global_lock = 0;
	w_exit(&w);
}

static void operands(void)
{
	unsigned int lp;

	prepare(true);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), 0);
	for (lp = 0; lp < 4; lp++)
		CHECK_EQ(lp_init(lp), 0);
	CHECK_EQ(CALL(&w, TDH_SYS_CONFIG, .rcx = w.host + 256, .rdx = 2, .r8 = OWN_HKID),
		 EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_SYS_CONFIG, .rcx = w.host, .rdx = 0, .r8 = OWN_HKID),
		 EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_SYS_CONFIG, .rcx = w.host, .rdx = EMU_MAX_TDMRS + 1, .r8 = OWN_HKID),
		 EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(configure(W_FIRST_HKID - 1), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(configure(W_FIRST_HKID + W_HKIDS), EMU_OPERAND_INVALID | EMU_OP_R8);
	CHECK_EQ(configure(OWN_HKID | DYNAMIC << 1), EMU_OPERAND_INVALID | EMU_OP_R8);
	w.m.hkid_shift = 49;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_OPERAND_INVALID | EMU_OP_R8);
	w.m.hkid_shift = W_HKID_SHIFT;
	w.m.hw.dynamic = false;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_OPERAND_INVALID | EMU_OP_R8);
	w.m.hw.dynamic = true;
	((u64 *)emu_va(&w.m, w.host))[1] += 64;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_OPERAND_INVALID | EMU_OP_RCX);
	describe();

	/* What the checks of TDMRs find comes through, and may be put right. */
	info(1)->pamt_2m_size -= EMU_4K_SIZE;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_INVALID_PAMT | EMU_LEVEL_2M << 8 | 1);
	describe();
	info(0)->reserved[0] = (struct emu_reserved){ EMU_4K_SIZE, EMU_4K_SIZE };
	info(0)->reserved[1] = (struct emu_reserved){ 0, EMU_4K_SIZE };
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_NON_ORDERED_RESERVED_IN_TDMR | 1 << 8);
	/* A size of 0 ends the list, whatever follows. */
	info(0)->reserved[0].size = 0;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), 0);
	CHECK_EQ(w.m.tdmr[0].nr_reserved, 0);
	w_exit(&w);
}

/* Convertible memory: all that is not reserved, and the PAMT areas, must be. */
static void cmrs(void)
{
	unsigned int lp;

	prepare(true);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), 0);
	for (lp = 0; lp < 4; lp++)
		CHECK_EQ(lp_init(lp), 0);
	w.m.hw.nr_cmrs = 2;
	w.m.hw.cmr[0].base = w.base;
	w.m.hw.cmr[0].size = w.tdmr[0].size;
	w.m.hw.cmr[1].base = w.tdmr[1].base + EMU_4K_SIZE;
	w.m.hw.cmr[1].size = w.size - w.m.hw.cmr[1].base;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_TDMR_OUTSIDE_CMRS | 1);
	info(1)->reserved[0] = (struct emu_reserved){ 0, EMU_4K_SIZE };
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), 0);
	w_exit(&w);

	prepare(true);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), 0);
	for (lp = 0; lp < 4; lp++)
		CHECK_EQ(lp_init(lp), 0);
	/* Two ranges that touch hold what lies across their border. */
	w.m.hw.nr_cmrs = 2;
	w.m.hw.cmr[0].size = w.base + EMU_2M_SIZE;
	w.m.hw.cmr[1].base = w.base + EMU_2M_SIZE;
	w.m.hw.cmr[1].size = w.tdmr[1].pamt_4k_base - w.m.hw.cmr[1].base;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), EMU_PAMT_OUTSIDE_CMRS | EMU_LEVEL_4K << 8 | 1);
	w.m.hw.cmr[1].size += w.tdmr[1].pamt_4k_size;
	CHECK_EQ(configure(OWN_HKID | DYNAMIC), 0);
	w_exit(&w);
}

/* A host that gives PAMT areas with anything in them. */
static void dirty(bool dynamic)
{
	u64 page;

	prepare(dynamic);
	w.m.hw.clear_pamt = true;
	info(0)->reserved[0] = (struct emu_reserved){ 0, EMU_4K_SIZE };
	memset(emu_va(&w.m, w.tdmr[0].pamt_1g_base), 0xa5,
	       w.tdmr[1].pamt_4k_base + w.tdmr[1].pamt_4k_size - w.tdmr[0].pamt_1g_base);
	bring_up();
	w_pair(&w, w.base);
	/* Reserved is reserved, the page after it is free. */
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = w.base, .rdx = W_FIRST_HKID),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	page = w.base + EMU_4K_SIZE;
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = page, .rdx = OWN_HKID), EMU_HKID_NOT_FREE);
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = page, .rdx = W_FIRST_HKID), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = page), 0);
	w.lp = 0;
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB, 0), 0);
	w.lp = 3;
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB, 0), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = page), 0);
	CHECK_EQ(w_reclaim(&w, page), 0);
	w_exit(&w);
}

static void dirty_pamt(void)
{
	dirty(true);
	dirty(false);
}

static u64 field(u64 id)
{
	CHECK_EQ(CALL(&w, TDH_SYS_RD, .rdx = id), 0);
	return w.out.r8;
}

static void metadata(void)
{
	u64 id, n = 0;

	prepare(true);
	bring_up();
	CHECK_EQ(field(0x0A00000300000008) >> 36 & 1, 1);
	CHECK_EQ(field(0x0A00000300000008) & (1 << 18 | 1 << 20), 1 << 18 | 1 << 20);
	w.m.hw.dynamic = false;
	CHECK_EQ(field(0x0A00000300000008) >> 36 & 1, 0);
	CHECK_EQ(field(0x9100000100000010), 16);
	CHECK_EQ(field(0x9800000100000100), 6 * 4096);
	CHECK_EQ(field(0x9900000100000004), 28);
	CHECK_EQ(field(0x9900000300000400), 1 | 0xffffffffULL << 32);
	CHECK_EQ(field(0x9900000300000400 + 9), 0x80000008 | 0xffffffffULL << 32);
	CHECK_EQ(field(0x9900000300000500 + 1), 0x31044d88 | 0xb8445080ULL << 32);
	CHECK_EQ(field(0x1900000300000002), 0xe7);
	CHECK_EQ(field(0x9100000000000014), 4);
	/* The element size in an id is not looked at. */
	CHECK_EQ(field(0x9100000100000013), 1);
	CHECK_EQ(field(0x1100000000000013), 1);

	CHECK_EQ(CALL(&w, TDH_SYS_RD, .rdx = 0x91000000000000ff), EMU_METADATA_FIELD_ID_INCORRECT);
	CHECK_EQ(w.out.r8, 0);
	CHECK_EQ(CALL(&w, TDH_SYS_RD, .rdx = FIELD_TOP | 1ULL << 34),
		 EMU_METADATA_FIELD_ID_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_SYS_RD, .rdx = EMU_NO_FIELD), EMU_FIRST_FIELD_ID_IN_CONTEXT);
	/* From the first to the last by what each says comes next. */
	for (id = w.out.rdx; id != EMU_NO_FIELD && n < 1000; id = w.out.rdx, n++)
		field(id);
	CHECK_EQ(n, 22 + 2 * 32 + 3 * 28);
	w_exit(&w);
}

static void shutdown(void)
{
	prepare(true);
	bring_up();
	CHECK_EQ(CALL(&w, TDH_SYS_SHUTDOWN, .rcx = 1 << 17), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_SYS_SHUTDOWN, .rcx = EMU_HANDOFF_VERSION + 1),
		 EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_SYS_SHUTDOWN, .rcx = EMU_HANDOFF_VERSION), 0);
	CHECK_EQ(CALL(&w, TDH_SYS_SHUTDOWN, .rcx = EMU_HANDOFF_VERSION), EMU_SYS_SHUT_DOWN);
	CHECK_EQ(CALL(&w, TDH_SYS_RD, .rdx = FIELD_TOP), EMU_SYS_SHUT_DOWN);
	CHECK_EQ(CALL(&w, TDH_SYS_INIT, 0), EMU_SYS_SHUT_DOWN);
	CHECK_EQ(w_call(&w, 44, (struct tdx_module_args){ 0 }), EMU_OPERAND_INVALID | EMU_OP_RAX);
	w_exit(&w);
}

int main(void)
{
	test_begin("test_module_sys");
	TEST(states);
	TEST(lock);
	TEST(operands);
	TEST(cmrs);
	TEST(dirty_pamt);
	TEST(metadata);
	TEST(shutdown);
	return test_end();
}
