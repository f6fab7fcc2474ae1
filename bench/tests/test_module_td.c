// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatcher, module configuration and the life of a TD in the software TDX
 * module, against tdx-abi.md: order of refusals (1.1), TDMRs (1.6.5), the TD
 * and vCPU leaves with their statuses (1.6.1, 1.6.2), TD_PARAMS (1.6.6), and
 * which leaf is allowed in which operation state (1.6.7).
 */
#include "tests/module_world.h"

static struct world w;
static struct wtd td;

static u64 raw(u64 rax)
{
	return w_call(&w, rax, (struct tdx_module_args){ 0 });
}

/* --------------------------------------------------------------- dispatcher */

static void dispatcher(void)
{
	const u64 invalid = EMU_OPERAND_INVALID | EMU_OP_RAX;
	static const unsigned int unknown[] = {
		5, 12, 13, 14, 25, 27, 39, 42, 60, 69, 255, 0xffff
	};
	unsigned int i;

	w_prepare(&w, true);
	/* Not ready: after reserved bits and version, before the leaf is known. */
	CHECK_EQ(raw(58 | 1ULL << 24), invalid);
	CHECK_EQ(raw(58 | 1ULL << 62), invalid);
	CHECK_EQ(raw(58 | EMU_LEAF_VERSION(1)), invalid);
	CHECK_EQ(raw(58), EMU_SYS_NOT_READY);
	CHECK_EQ(raw(36), EMU_SYS_NOT_READY);
	CHECK_EQ(raw(0x1234), EMU_SYS_NOT_READY);
	CHECK_EQ(raw(32), invalid);
	CHECK_EQ(raw(45), EMU_SYS_CONFIG_NOT_PENDING);
	CHECK_EQ(emu_module_config(&w.m, w.tdmr, 2, true), 0);
	CHECK_EQ(w_tdmr_init_all(&w), 0);

	for (i = 0; i < ARRAY_SIZE(unknown); i++)
		CHECK_EQ(raw(unknown[i]), invalid);
	/* Versions: one leaf that has a second, one that has a third only. */
	CHECK_EQ(raw(EMU_TDH_MEM_TRACK | EMU_LEAF_VERSION(1)), invalid);
	CHECK_EQ(raw(EMU_TDH_VP_INIT | EMU_LEAF_VERSION(2)), invalid);
	CHECK_EQ(raw(EMU_TDH_VP_INIT | EMU_LEAF_VERSION(1)),
		 EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	/* Nothing answers as P-SEAMLDR. */
	CHECK_EQ(raw(1ULL << 63), EMU_SEAMCALL_VMFAILINVALID);
	CHECK_EQ(raw(1ULL << 63 | 1), EMU_SEAMCALL_VMFAILINVALID);
	w_exit(&w);
}

/* ------------------------------------------------------------ configuration */

static struct emu_tdmr cfg[2];

static u64 configure(unsigned int nr)
{
	u64 status = emu_module_config(&w.m, cfg, nr, true);

	CHECK_EQ(w.m.ready, status == 0);
	cfg[0] = w.tdmr[0];
	cfg[1] = w.tdmr[1];
	return status;
}

static void config_tdmrs(void)
{
	CHECK_EQ(configure(0), EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(configure(EMU_MAX_TDMRS + 1), EMU_OPERAND_INVALID | EMU_OP_RDX);
	cfg[1].base += EMU_2M_SIZE;
	CHECK_EQ(configure(2), EMU_INVALID_TDMR | 1);
	cfg[0].size += EMU_4K_SIZE;
	CHECK_EQ(configure(2), EMU_INVALID_TDMR | 0);
	cfg[0].size = 0;
	CHECK_EQ(configure(2), EMU_INVALID_TDMR | 0);
	cfg[0] = w.tdmr[1];
	cfg[1] = w.tdmr[0];
	CHECK_EQ(configure(2), EMU_NON_ORDERED_TDMR | 1);
	cfg[1].base = cfg[0].base;
	CHECK_EQ(configure(2), EMU_NON_ORDERED_TDMR | 1);
	cfg[1].base = ALIGN(w.m.max_pa, EMU_1G_SIZE);
	CHECK_EQ(configure(2), EMU_TDMR_OUTSIDE_CMRS | 1);
	CHECK_EQ(configure(2), 0);
}

static void config_pamts(void)
{
	cfg[0].pamt_1g_base += 0x10;
	CHECK_EQ(configure(2), EMU_INVALID_PAMT | EMU_LEVEL_1G << 8 | 0);
	cfg[1].pamt_4k_size = 0;
	CHECK_EQ(configure(2), EMU_INVALID_PAMT | EMU_LEVEL_4K << 8 | 1);
	cfg[1].pamt_2m_base = ALIGN(w.m.max_pa, EMU_4K_SIZE);
	CHECK_EQ(configure(2), EMU_PAMT_OUTSIDE_CMRS | EMU_LEVEL_2M << 8 | 1);
	cfg[1].pamt_1g_base = cfg[0].pamt_2m_base;
	CHECK_EQ(configure(2), EMU_PAMT_OVERLAP | EMU_LEVEL_1G << 8 | 1);
	cfg[0].pamt_4k_base = cfg[1].base;
	CHECK_EQ(configure(2), EMU_PAMT_OVERLAP | EMU_LEVEL_4K << 8 | 0);
	/* In a reserved area of a TDMR it is fine. */
	cfg[0].pamt_4k_base = cfg[1].base + EMU_1G_SIZE / 2;
	cfg[1].nr_reserved = 1;
	cfg[1].reserved[0].offset = EMU_1G_SIZE / 2;
	cfg[1].reserved[0].size = ALIGN(cfg[0].pamt_4k_size, EMU_4K_SIZE);
	CHECK_EQ(configure(2), 0);
	/* Static PAMT needs more for its 4K level. */
	CHECK_EQ(emu_module_config(&w.m, cfg, 2, false), EMU_INVALID_PAMT | EMU_LEVEL_4K << 8 | 0);
}

static void config_reserved(void)
{
	cfg[1].nr_reserved = EMU_MAX_RESERVED + 1;
	CHECK_EQ(configure(2), EMU_INVALID_RESERVED_IN_TDMR | 1);
	cfg[1].nr_reserved = 1;
	CHECK_EQ(configure(2), EMU_INVALID_RESERVED_IN_TDMR | 1);
	cfg[1].nr_reserved = 1;
	cfg[1].reserved[0].offset = cfg[1].size;
	cfg[1].reserved[0].size = EMU_4K_SIZE;
	CHECK_EQ(configure(2), EMU_INVALID_RESERVED_IN_TDMR | 1);
	cfg[0].nr_reserved = 2;
	cfg[0].reserved[0].size = EMU_4K_SIZE;
	cfg[0].reserved[1].size = 8;
	CHECK_EQ(configure(2), EMU_INVALID_RESERVED_IN_TDMR | 1 << 8 | 0);
	cfg[0].nr_reserved = 2;
	cfg[0].reserved[0].offset = EMU_2M_SIZE;
	cfg[0].reserved[0].size = EMU_4K_SIZE;
	cfg[0].reserved[1].offset = EMU_2M_SIZE;
	cfg[0].reserved[1].size = EMU_4K_SIZE;
	CHECK_EQ(configure(2), EMU_NON_ORDERED_RESERVED_IN_TDMR | 1 << 8 | 0);
}

static void config(void)
{
	w_prepare(&w, true);
	cfg[0] = w.tdmr[0];
	cfg[1] = w.tdmr[1];
	config_tdmrs();
	config_pamts();
	config_reserved();
	w.m.nr_hkids = EMU_MAX_HKIDS + 1;
	CHECK_EQ(configure(2), EMU_OPERAND_INVALID | EMU_OP_R8);
	munmap(w.m.mem, w.size);
}

static void tdmr_init(bool dynamic)
{
	const u64 step = (dynamic ? 8 : 2) * EMU_2M_SIZE;
	u64 base, size, done = 0;
	unsigned int reserved_page = 2;

	w_prepare(&w, dynamic);
	w.tdmr[1].nr_reserved = 1;
	w.tdmr[1].reserved[0].offset = reserved_page * EMU_4K_SIZE;
	w.tdmr[1].reserved[0].size = EMU_4K_SIZE;
	CHECK_EQ(emu_module_config(&w.m, w.tdmr, 2, dynamic), 0);
	base = w.tdmr[1].base;
	size = w.tdmr[1].size;
	CHECK_EQ(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = base + EMU_1G_SIZE / 2),
		 EMU_OPERAND_INVALID | EMU_OP_RCX);
	w.m.tdmr[1].lock = SHAREX_EX;
	CHECK_EQ(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = base), EMU_OPERAND_BUSY | EMU_OP_RCX);
	w.m.tdmr[1].lock = 0;
	/* Memory is usable per completed 1G, and RDX says how far. */
	CHECK_EQ(w_rdmd(&w, base, 0), EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	while (done < size) {
		CHECK_EQ(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = base), 0);
		done = min(done + step, size);
		CHECK_EQ(w.out.rdx, base + (done & ~(EMU_1G_SIZE - 1)));
		CHECK_EQ(w_rdmd(&w, base, 0),
			 done < EMU_1G_SIZE ? EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX : 0);
		if (done < size)
			CHECK_EQ(w_rdmd(&w, base + size - EMU_4K_SIZE, 0),
				 EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX);
	}
	CHECK_EQ(CALL(&w, TDH_SYS_TDMR_INIT, .rcx = base), EMU_TDMR_ALREADY_INITIALIZED);
	CHECK_EQ(w_rdmd(&w, base + size - EMU_4K_SIZE, 0), 0);
	/* A reserved page is in PAMT use, or of a type of its own. */
	CHECK_EQ(w_rdmd(&w, w_page_of(base, reserved_page), 0), 0);
	CHECK_EQ(w.out.rcx, dynamic ? EMU_PT_PAMT : EMU_PT_RSVD);
	CHECK_EQ(w_rdmd(&w, w_page_of(base, reserved_page + 1), 0), 0);
	CHECK_EQ(w.out.rcx, EMU_PT_NDA);
	CHECK_EQ(w_reclaim(&w, w_page_of(base, reserved_page)),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	if (dynamic)
		CHECK_EQ(w_pamt_add(&w, base, w_page_of(base, reserved_page), base),
			 EMU_PAGE_NOT_FREE | EMU_OP_RDX);
	w_exit(&w);
}

static void tdmr_init_dynamic(void)
{
	tdmr_init(true);
}

static void tdmr_init_static(void)
{
	tdmr_init(false);
}

/* ----------------------------------------------------------------- creation */

static void mng_create(void)
{
	u64 page = w_page(&w), used;

	/* The HKID before the page: both are wrong. */
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = 1, .rdx = 0), EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = 1, .rdx = 0x8000),
		 EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = 1, .rdx = W_FIRST_HKID + W_HKIDS),
		 EMU_OPERAND_INVALID | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = 1, .rdx = 1ULL << 32 | (W_FIRST_HKID + 1)),
		 EMU_OPERAND_INVALID | EMU_OP_RDX);
	/* The page before the KOT, the KOT before the HKID's state. */
	w.m.kot_lock = SHAREX_EX;
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = 1, .rdx = W_FIRST_HKID),
		 EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = page, .rdx = W_FIRST_HKID),
		 EMU_OPERAND_BUSY | EMU_OP_KOT);
	w.m.kot_lock = 0;
	/* The module's own. */
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = page, .rdx = W_FIRST_HKID), EMU_HKID_NOT_FREE);
	td_create(&w, &td, 0);
	used = td.tdr;
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = page, .rdx = td.hkid), EMU_HKID_NOT_FREE);
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = used, .rdx = W_FIRST_HKID + 2),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
}

/* The state checks in front of most leaves, as the TD grows. */
static void state_checks(void)
{
	int i;

	CHECK_EQ(w_track(&w, td.tdr), EMU_TD_KEYS_NOT_CONFIGURED);
	CHECK_EQ(td_addcx(&w, &td), EMU_TD_KEYS_NOT_CONFIGURED);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), EMU_LIFECYCLE_STATE_INCORRECT);
	for (i = 0; i < MIN_TDCS_PAGES; i++) {
		CHECK_EQ(w_track(&w, td.tdr), EMU_TDCS_NOT_ALLOCATED);
		CHECK_EQ(td_addcx(&w, &td), 0);
	}
	CHECK_EQ(w_track(&w, td.tdr), EMU_OP_STATE_INCORRECT | OP_STATE_UNINITIALIZED);
	td_cs(&w, &td)->op_state_lock = SHAREX_EX;
	CHECK_EQ(w_track(&w, td.tdr), EMU_OPERAND_BUSY | EMU_OP_OP_STATE);
	td_cs(&w, &td)->op_state_lock = 0;
	/* Fatal comes before everything else. */
	td_tdr(&w, &td)->fatal = 1;
	CHECK_EQ(w_track(&w, td.tdr), EMU_TD_FATAL);
	CHECK_EQ(td_addcx(&w, &td), EMU_TD_FATAL);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), EMU_TD_FATAL);
	td_tdr(&w, &td)->fatal = 0;
}

static void mng_addcx(void)
{
	u64 used = td.pages[0];
	int i;

	CHECK_EQ(CALL(&w, TDH_MNG_ADDCX, .rcx = used, .rdx = td.tdr),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	for (i = MIN_TDCS_PAGES; i < MAX_TDCS_PAGES; i++)
		CHECK_EQ(td_addcx(&w, &td), 0);
	/* The number before the page. */
	CHECK_EQ(CALL(&w, TDH_MNG_ADDCX, .rcx = used, .rdx = td.tdr), EMU_TDCX_NUM_INCORRECT);
}

/* -------------------------------------------------------------------- INIT */

static u64 init_with(void (*spoil)(struct w_td_params *p))
{
	spoil(w_params(&w));
	return td_init(&w, &td);
}

#define SPOIL(name, statement)                          \
	static void spoil_##name(struct w_td_params *p) \
	{                                               \
		statement;                              \
	}
SPOIL(attributes, p->attributes |= 2; p->xfam = 0)
SPOIL(xfam_bit, p->xfam |= 8; p->max_vcpus = 0)
SPOIL(xfam_fixed, p->xfam &= ~2ULL)
SPOIL(xfam_avx512, p->xfam &= ~(1ULL << 6))
SPOIL(xfam_avx512_alone, p->xfam &= ~4ULL)
SPOIL(xfam_amx, p->xfam &= ~(1ULL << 18))
SPOIL(xfam_cet, p->xfam |= 1ULL << 11)
SPOIL(no_vcpus, p->max_vcpus = 0; p->num_l2_vms = 4)
SPOIL(many_vcpus, p->max_vcpus = MAX_VCPUS + 1)
SPOIL(l2_vms, p->num_l2_vms = 4; p->reserved0[3] = 1)
SPOIL(reserved0, p->reserved0[3] = 1; p->config_flags = 1ULL << 40)
SPOIL(flags, p->config_flags = 1ULL << 40; p->eptp_controls = 0)
SPOIL(flags_both, p->config_flags = 0x18)
SPOIL(eptp_type, p->eptp_controls = 0x18; p->tsc_frequency = 0)
SPOIL(eptp_ad, p->eptp_controls |= 0x40)
SPOIL(eptp_high, p->eptp_controls |= 1ULL << 40)
SPOIL(eptp_pwl2, p->eptp_controls = 0x16)
SPOIL(eptp_pwl5, p->eptp_controls = 0x2e)
SPOIL(gpaw_4level, p->config_flags = 1)
SPOIL(tsc_low, p->tsc_frequency = 3; p->reserved1[0] = 1)
SPOIL(tsc_high, p->tsc_frequency = 401)
SPOIL(reserved1, p->reserved1[37] = 1)
SPOIL(reserved2, p->rest[170] = 1)

static void mng_init(void)
{
	const u64 bad = EMU_OPERAND_INVALID;

	w_params(&w);
	CHECK_EQ(CALL(&w, TDH_MNG_INIT, .rcx = td.tdr, .rdx = w.host + 512), bad | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_MNG_INIT, .rcx = td.tdr, .rdx = w.m.max_pa), bad | EMU_OP_RDX);
	CHECK_EQ(CALL(&w, TDH_MNG_INIT, .rcx = td.pages[0], .rdx = 1),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	/* Each spoils the next check as well. */
	CHECK_EQ(init_with(spoil_attributes), bad | EMU_OP_ATTRIBUTES);
	CHECK_EQ(init_with(spoil_xfam_bit), bad | EMU_OP_XFAM);
	CHECK_EQ(init_with(spoil_xfam_fixed), bad | EMU_OP_XFAM);
	CHECK_EQ(init_with(spoil_xfam_avx512), bad | EMU_OP_XFAM);
	CHECK_EQ(init_with(spoil_xfam_avx512_alone), bad | EMU_OP_XFAM);
	CHECK_EQ(init_with(spoil_xfam_amx), bad | EMU_OP_XFAM);
	CHECK_EQ(init_with(spoil_xfam_cet), bad | EMU_OP_XFAM);
	CHECK_EQ(init_with(spoil_no_vcpus), bad | EMU_OP_MAX_VCPUS);
	CHECK_EQ(init_with(spoil_many_vcpus), bad | EMU_OP_MAX_VCPUS);
	CHECK_EQ(init_with(spoil_l2_vms), bad | EMU_OP_NUM_L2_VMS);
	CHECK_EQ(init_with(spoil_reserved0), bad | EMU_OP_RDX);
	CHECK_EQ(init_with(spoil_flags), bad | EMU_OP_EXEC_CONTROLS);
	CHECK_EQ(init_with(spoil_flags_both), bad | EMU_OP_EXEC_CONTROLS);
	CHECK_EQ(init_with(spoil_eptp_type), bad | EMU_OP_EPTP_CONTROLS);
	CHECK_EQ(init_with(spoil_eptp_ad), bad | EMU_OP_EPTP_CONTROLS);
	CHECK_EQ(init_with(spoil_eptp_high), bad | EMU_OP_EPTP_CONTROLS);
	CHECK_EQ(init_with(spoil_eptp_pwl2), bad | EMU_OP_EPTP_CONTROLS);
	CHECK_EQ(init_with(spoil_eptp_pwl5), bad | EMU_OP_EPTP_CONTROLS);
	CHECK_EQ(init_with(spoil_gpaw_4level), bad | EMU_OP_EPTP_CONTROLS);
	CHECK_EQ(init_with(spoil_tsc_low), bad | EMU_OP_TSC_FREQUENCY);
	CHECK_EQ(init_with(spoil_tsc_high), bad | EMU_OP_TSC_FREQUENCY);
	CHECK_EQ(init_with(spoil_reserved1), bad | EMU_OP_RDX);
	CHECK_EQ(init_with(spoil_reserved2), bad | EMU_OP_RDX);
	CHECK_EQ(td_cs(&w, &td)->op_state, OP_STATE_UNINITIALIZED);

	w_params(&w)->max_vcpus = 2;
	CHECK_EQ(td_init(&w, &td), 0);
	CHECK_EQ(td_cs(&w, &td)->op_state, OP_STATE_INITIALIZED);
	CHECK_EQ(td_cs(&w, &td)->epoch, 1);
	/* Once; and no more TDCS pages after it. */
	CHECK_EQ(td_init(&w, &td), EMU_OP_STATE_INCORRECT | OP_STATE_INITIALIZED);
}

static void creation(void)
{
	w_init(&w, true);
	mng_create();
	state_checks();
	mng_addcx();
	mng_init();
	td_destroy(&w, &td);
	w_exit(&w);
}

/* A page of the TDCS beyond the sixth is for an uninitialised TD, found after the page. */
static void addcx_after_init(void)
{
	w_init(&w, true);
	td_build(&w, &td, 0);
	CHECK_EQ(CALL(&w, TDH_MNG_ADDCX, .rcx = td.pages[0], .rdx = td.tdr),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(td_addcx(&w, &td), EMU_OP_STATE_INCORRECT | OP_STATE_INITIALIZED);
	td_destroy(&w, &td);
	w_exit(&w);
}

/* A 5-level TD as a kernel of 2024 made it, with GPAW: bit 51 is the shared bit. */
static void five_levels(void)
{
	u64 page;
	int i;

	w_init(&w, true);
	td_create(&w, &td, 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), 0);
	for (i = 0; i < MIN_TDCS_PAGES; i++)
		CHECK_EQ(td_addcx(&w, &td), 0);
	w_params(&w)->eptp_controls = 0x26;
	((struct w_td_params *)emu_va(&w.m, w.host))->config_flags = 1;
	CHECK_EQ(td_init(&w, &td), 0);
	for (i = 4; i >= 1; i--) {
		page = w_page(&w);
		CHECK_EQ(w_sept_add(&w, td.tdr, 0, i, page), 0);
		td_give(&td, page);
	}
	CHECK_EQ(w_sept_add(&w, td.tdr, 0, 5, w_page(&w)), EMU_OPERAND_INVALID | EMU_OP_RCX);
	td_destroy(&w, &td);
	w_exit(&w);
}

/* ------------------------------------------------------------------- vCPUs */

static void vcpus(void)
{
	u64 vp, vp2, vp3, full;

	w_init(&w, true);
	td_build(&w, &td, 0);
	td_cs(&w, &td)->max_vcpus = 2;
	/* A page that is no TDVPR, a TDVPR that is no TDR. */
	CHECK_EQ(CALL(&w, TDH_VP_ADDCX, .rcx = 1, .rdx = td.tdr),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RDX);
	vp = td_vcpu_pages(&w, &td, MIN_TDVPS_PAGES - 1);
	CHECK_EQ(CALL(&w, TDH_VP_CREATE, .rcx = w_page(&w), .rdx = vp),
		 EMU_PAGE_METADATA_INCORRECT | EMU_OP_RDX);
	CHECK_EQ(td_vp_init(&w, vp, 1, 0), EMU_TDCX_NUM_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = vp), EMU_TDCX_NUM_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_VP_ADDCX, .rcx = td_give(&td, w_page(&w)), .rdx = vp), 0);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = vp), EMU_VCPU_NOT_ASSOCIATED);
	CHECK_EQ(CALL(&w, TDH_MR_FINALIZE, .rcx = td.tdr), EMU_NO_VCPUS);
	CHECK_EQ(td_vp_init(&w, vp, 1, 1ULL << 32), EMU_OPERAND_INVALID | EMU_OP_R8);
	w.lp = 5;
	CHECK_EQ(td_vp_init(&w, vp, 1, 7), 0);
	CHECK_EQ(td_cs(&w, &td)->num_vcpus, 1);
	CHECK_EQ(td_cs(&w, &td)->num_assoc_vcpus, 1);
	CHECK_EQ(td_vp_init(&w, vp, 1, 8), EMU_VCPU_STATE_INCORRECT | VCPU_READY);
	CHECK_EQ(CALL(&w, TDH_VP_ADDCX, .rcx = 1, .rdx = vp),
		 EMU_VCPU_STATE_INCORRECT | VCPU_READY);

	vp2 = td_vcpu_pages(&w, &td, W_VCPU_PAGES);
	CHECK_EQ(td_vp_init(&w, vp2, 1, 7), EMU_X2APIC_ID_NOT_UNIQUE | 7);
	CHECK_EQ(td_cs(&w, &td)->num_vcpus, 1);
	CHECK_EQ(td_vp_init(&w, vp2, 0, 7), 0);
	vp3 = td_vcpu_pages(&w, &td, W_VCPU_PAGES);
	CHECK_EQ(td_vp_init(&w, vp3, 1, 9), EMU_MAX_VCPUS_EXCEEDED);
	CHECK_EQ(td_cs(&w, &td)->num_vcpus, 2);
	full = td_vcpu_pages(&w, &td, MAX_TDVPS_PAGES);
	CHECK_EQ(CALL(&w, TDH_VP_ADDCX, .rcx = 1, .rdx = full), EMU_TDCX_NUM_INCORRECT);

	/* Flush where it is associated, once. */
	w.lp = 4;
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = vp), EMU_VCPU_NOT_ASSOCIATED);
	CHECK_EQ(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = td.tdr), EMU_FLUSHVP_NOT_DONE);
	w.lp = 5;
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = vp), 0);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = vp), EMU_VCPU_NOT_ASSOCIATED);
	CHECK_EQ(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = td.tdr), EMU_FLUSHVP_NOT_DONE);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = vp2), 0);
	td_destroy(&w, &td);
	w_exit(&w);
}

/* ---------------------------------------------------------------- teardown */

static void teardown(void)
{
	u64 page;

	w_init(&w, true);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB, .rcx = 2), EMU_OPERAND_INVALID | EMU_OP_RCX);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB, .rcx = 0), EMU_NO_HKID_READY_TO_WBCACHE);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB, .rcx = 1), EMU_WBCACHE_RESUME_ERROR);
	td_run(&w, &td, 0);
	page = td.pages[0];
	CHECK_EQ(w_reclaim(&w, page), EMU_LIFECYCLE_STATE_INCORRECT);
	/* The outputs say what the page is, although it stays. */
	CHECK_EQ(w.out.rcx, EMU_PT_TDCX);
	CHECK_EQ(w.out.rdx, td.tdr);
	CHECK_EQ(w.out.r8, EMU_LEVEL_4K);
	CHECK_EQ(w_reclaim(&w, td.tdr), EMU_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr), EMU_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = td.vp), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = td.tdr), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = td.tdr), EMU_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_VP_FLUSH, .rcx = td.vp), EMU_TD_KEYS_NOT_CONFIGURED);
	CHECK_EQ(w_track(&w, td.tdr), EMU_TD_KEYS_NOT_CONFIGURED);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr), EMU_WBCACHE_NOT_COMPLETE);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB, .rcx = 0), 0);
	/* The HKID is not free yet, and then is. */
	CHECK_EQ(CALL(&w, TDH_MNG_CREATE, .rcx = w_page(&w), .rdx = td.hkid), EMU_HKID_NOT_FREE);
	CHECK_EQ(w_reclaim(&w, page), EMU_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr), EMU_LIFECYCLE_STATE_INCORRECT);

	CHECK_EQ(w_reclaim(&w, td.tdr), EMU_TD_ASSOCIATED_PAGES_EXIST);
	CHECK_EQ(w.out.rcx, EMU_PT_TDR);
	CHECK_EQ(w.out.rdx, 0);
	while (td.nr_pages)
		CHECK_EQ(w_reclaim(&w, td.pages[--td.nr_pages]), 0);
	CHECK_EQ(w_reclaim(&w, page), EMU_PAGE_METADATA_INCORRECT | EMU_OP_RCX);
	CHECK_EQ(w.out.rcx, 0);
	CHECK_EQ(w_reclaim(&w, td.tdr), 0);
	CHECK_EQ(w.out.r10 | w.out.r11, 0);
	w_exit(&w);
}

/* A TD that never got keys is torn down the same way. */
static void teardown_without_keys(void)
{
	w_init(&w, true);
	td_create(&w, &td, 0);
	td_destroy(&w, &td);
	td_create(&w, &td, 0);
	td_destroy(&w, &td);
	w_exit(&w);
}

static void packages(void)
{
	w_init(&w, true);
	w.m.lps_per_package = 4;
	w.m.nr_packages = 2;
	td_create(&w, &td, 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), 0);
	w.lp = 3;
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), EMU_KEY_CONFIGURED);
	CHECK_EQ(td_addcx(&w, &td), EMU_TD_KEYS_NOT_CONFIGURED);
	w.lp = 4;
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_CONFIG, .rcx = td.tdr), 0);
	CHECK_EQ(td_addcx(&w, &td), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_VPFLUSHDONE, .rcx = td.tdr), 0);
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr), EMU_WBCACHE_NOT_COMPLETE);
	w.lp = 0;
	CHECK_EQ(CALL(&w, TDH_PHYMEM_CACHE_WB), 0);
	CHECK_EQ(CALL(&w, TDH_MNG_KEY_FREEID, .rcx = td.tdr), 0);
	CHECK_EQ(w_reclaim(&w, td.pages[0]), 0);
	CHECK_EQ(w_reclaim(&w, td.tdr), 0);
	w_exit(&w);
}

/* ---------------------------------------------------------- operation states */

/* One row of 1.6.7: bit n of @states allows state n. All operands but the TD are wrong. */
static void op_state_row(u64 leaf, u64 rcx, u64 rdx, unsigned int states)
{
	unsigned int state;

	for (state = 0; state <= 10; state++) {
		struct tdx_module_args a = { .rcx = rcx, .rdx = rdx, .r8 = 1, .r9 = 1 };
		u64 status;

		td_cs(&w, &td)->op_state = state;
		status = w_call(&w, leaf, a);
		if (states >> state & 1)
			CHECK(EMU_ST_CLASS(status) != EMU_OP_STATE_INCORRECT);
		else
			CHECK_EQ(status, EMU_OP_STATE_INCORRECT | state);
	}
	td_cs(&w, &td)->op_state = OP_STATE_RUNNABLE;
}

#define STATES_1_TO_5 0x3e

static void op_states(void)
{
	u64 vp;

	w_init(&w, true);
	td_build(&w, &td, 0);
	vp = td_vcpu_pages(&w, &td, 2);
	td_vcpu(&w, &td);
	/* Operands fail after the state check: no row changes anything. */
	op_state_row(EMU_TDH_MEM_PAGE_ADD, 7, td.tdr, 0x2);
	op_state_row(EMU_TDH_MR_EXTEND, 7, td.tdr, 0x2);
	op_state_row(EMU_TDH_VP_INIT, vp, 0, 0x2);
	op_state_row(EMU_TDH_MEM_SEPT_ADD, 7, td.tdr, 0x3ce);
	op_state_row(EMU_TDH_VP_CREATE, 1, td.tdr, 0x82);
	op_state_row(EMU_TDH_VP_ADDCX, 1, vp, 0x82);
	op_state_row(EMU_TDH_MEM_PAGE_AUG, 7, td.tdr, 0x20e);
	op_state_row(EMU_TDH_MEM_RANGE_BLOCK, 7, td.tdr, STATES_1_TO_5 | 0x300);
	op_state_row(EMU_TDH_MEM_PAGE_DEMOTE, 7, td.tdr, STATES_1_TO_5 | 0x300);
	op_state_row(EMU_TDH_MEM_PAGE_PROMOTE, 7, td.tdr, STATES_1_TO_5 | 0x300);
	op_state_row(EMU_TDH_MEM_PAGE_REMOVE, 7, td.tdr, STATES_1_TO_5 | 0x700);
	op_state_row(EMU_TDH_MNG_INIT, td.tdr, 1, 0x1);
	op_state_row(EMU_TDH_MEM_TRACK, td.tdr, 0, 0x3fe);
	/* ADDCX checks only after its page; FINALIZE has no other operand. */
	td_cs(&w, &td)->op_state = OP_STATE_UNINITIALIZED;
	CHECK_EQ(CALL(&w, TDH_MR_FINALIZE, .rcx = td.tdr), EMU_OP_STATE_INCORRECT | 0);
	td_cs(&w, &td)->op_state = OP_STATE_INITIALIZED;
	CHECK_EQ(CALL(&w, TDH_MR_FINALIZE, .rcx = td.tdr), 0);
	CHECK_EQ(CALL(&w, TDH_MR_FINALIZE, .rcx = td.tdr),
		 EMU_OP_STATE_INCORRECT | OP_STATE_RUNNABLE);
	td_destroy(&w, &td);
	w_exit(&w);
}

int main(void)
{
	test_begin("test_module_td");
	TEST(dispatcher);
	TEST(config);
	TEST(tdmr_init_dynamic);
	TEST(tdmr_init_static);
	TEST(creation);
	TEST(addcx_after_init);
	TEST(five_levels);
	TEST(vcpus);
	TEST(teardown);
	TEST(teardown_without_keys);
	TEST(packages);
	TEST(op_states);
	return test_end();
}
