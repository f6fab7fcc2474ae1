// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TD's life, from MNG.CREATE to KEY.FREEID [1.6.1, 1.6.6, 2.6]: the TDR and
 * TDCS pages, the table of private HKIDs (KOT), the operand and state checks
 * that most leaves begin with.
 *
 * Life cycle: HKID_ASSIGNED -KEY.CONFIG-> KEYS_CONFIGURED -VPFLUSHDONE->
 * BLOCKED -KEY.FREEID-> TEARDOWN, in which pages are reclaimed. Operation
 * states: UNINITIALIZED -MNG.INIT-> INITIALIZED -MR.FINALIZE-> RUNNABLE.
 */
#include "state.h"

#define XFAM_AVX BIT_ULL(2)
#define XFAM_AVX512 (7ULL << 5)
#define XFAM_CET (3ULL << 11)
#define XFAM_AMX (3ULL << 17)
#define TD_CONFIG_FLAGS_ALLOWED 0x1fULL
#define TD_CONFIG_GPAW BIT_ULL(0)
#define TD_CONFIG_MAXPA_VIRT BIT_ULL(3)
#define TD_CONFIG_MAXGPA_VIRT BIT_ULL(4)
#define EPTP_MT_WB 6
#define EPTP_PWL_SHIFT 3
#define EPTP_PWL_MASK 7
#define MAX_L2_VMS 3
#define CPUID_7_HLE BIT(4)
#define CPUID_7_RTM BIT(11)
#define TSC_STEP_KHZ 25000ULL
#define TSC_FREQUENCY_MIN 4
#define TSC_FREQUENCY_MAX 400
#define TD_PARAMS_ALIGN 1024

/* TD_PARAMS as the host writes it, 1024 bytes; measured but unused fields are left to skip. */
struct emu_td_params {
	u64 attributes;
	u64 xfam;
	u16 max_vcpus;
	u8 num_l2_vms;
	u8 msr_config_ctls;
	u8 reserved0[4];
	u64 eptp_controls;
	u64 config_flags;
	u16 tsc_frequency;
	u8 reserved1[38];
	u64 mrconfigid[6];
	u64 mrowner[6];
	u64 mrownerconfig[6];
	u64 ia32_arch_capabilities;
	u64 reserved2[3];
	u32 cpuid[48][4];
};
_Static_assert(sizeof(struct emu_td_params) == TD_PARAMS_ALIGN, "layout of TD_PARAMS");
_Static_assert(sizeof(struct tdcs) <= EMU_4K_SIZE, "TDCS control page");
_Static_assert(sizeof(struct pamt_entry) == 16, "PAMT entry size of the ABI");

/* --------------------------------------------------------- what leaves share */

u64 emu_td_lock(struct emu_call *c, u64 tdr_pa, bool ex, unsigned int op, struct tdr **tdr)
{
	struct pamt_ref ref;
	u64 status = emu_pamt_lock_page(c, tdr_pa, EMU_PT_TDR, ex, op, &ref);

	if (!status)
		*tdr = emu_va(c->m, tdr_pa);
	return status;
}

u64 emu_td_lock_owner(struct emu_call *c, u64 tdr_pa, bool ex, struct tdr **tdr)
{
	struct pamt_ref ref;

	*tdr = emu_va(c->m, tdr_pa);
	return emu_pamt_lock_implicit(c, tdr_pa, EMU_LEVEL_4K, ex, EMU_OP_TDR, &ref);
}

u64 emu_td_check(struct emu_call *c, struct tdr *tdr, unsigned int allowed, bool lock,
		 struct tdcs **tdcs)
{
	unsigned int op_state;

	if (unlikely(READ_ONCE(tdr->fatal)))
		return EMU_TD_FATAL;
	if (unlikely(READ_ONCE(tdr->lifecycle) != TD_KEYS_CONFIGURED))
		return EMU_TD_KEYS_NOT_CONFIGURED;
	if (unlikely(READ_ONCE(tdr->num_tdcx) < MIN_TDCS_PAGES))
		return EMU_TDCS_NOT_ALLOCATED;
	*tdcs = td_tdcs(c->m, tdr);
	if (lock && !call_lock(c, &(*tdcs)->op_state_lock, EMU_LOCK_SH))
		return EMU_OPERAND_BUSY | EMU_OP_OP_STATE;
	op_state = READ_ONCE((*tdcs)->op_state);
	if (unlikely(!(allowed >> op_state & 1)))
		return EMU_OP_STATE_INCORRECT | op_state;
	return 0;
}

static u64 lock_kot(struct emu_call *c, enum emu_lock_mode mode)
{
	return call_lock(c, &c->m->kot_lock, mode) ? 0 : EMU_OPERAND_BUSY | EMU_OP_KOT;
}

/* ---------------------------------------------------------------- creation */

u64 emu_tdh_mng_create(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 hkid = c->args->rdx, index = hkid - m->first_hkid, status;
	struct pamt_ref ref;
	struct tdr *tdr;

	if (index >= m->nr_hkids)
		return EMU_OPERAND_INVALID | EMU_OP_RDX;
	status = emu_pamt_lock_page(c, c->args->rcx, EMU_PT_NDA, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	status = lock_kot(c, EMU_LOCK_PLAIN_EX);
	if (status)
		return status;
	if (m->hkid_state[index] != HKID_FREE)
		return EMU_HKID_NOT_FREE;

	m->hkid_state[index] = HKID_ASSIGNED;
	tdr = emu_va(m, c->args->rcx);
	memset(tdr, 0, sizeof(*tdr));
	tdr->lifecycle = TD_HKID_ASSIGNED;
	tdr->hkid = hkid;
	emu_pamt_assign(&ref, EMU_PT_TDR, 0);
	return 0;
}

u64 emu_tdh_mng_key_config(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 package = 1ULL << package_of(m, current_lp(m)), status;
	struct tdr *tdr;

	status = emu_td_lock(c, c->args->rcx, true, EMU_OP_RCX, &tdr);
	if (status)
		return status;
	if (tdr->fatal)
		return EMU_TD_FATAL;
	if (tdr->lifecycle != TD_HKID_ASSIGNED)
		return EMU_LIFECYCLE_STATE_INCORRECT;
	if (!call_lock(c, &m->ket_lock[package_of(m, current_lp(m))], EMU_LOCK_PLAIN_EX))
		return EMU_OPERAND_BUSY | EMU_OP_KET;
	if (tdr->pkg_configured & package)
		return EMU_KEY_CONFIGURED;
	tdr->pkg_configured |= package;
	if (tdr->pkg_configured == all_packages(m))
		WRITE_ONCE(tdr->lifecycle, TD_KEYS_CONFIGURED);
	return 0;
}

static void init_tdcs_page(void *page, unsigned int index)
{
	if (index == TDCS_CONTROL_PAGE)
		memset(page, 0, sizeof(struct tdcs));
	else if (index == TDCS_SEPT_ROOT_PAGE)
		memset(page, 0, EMU_ENTRIES * sizeof(u64));
}

u64 emu_tdh_mng_addcx(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 page = c->args->rcx, tdr_pa = c->args->rdx, status;
	struct pamt_ref ref;
	struct tdr *tdr;
	unsigned int op_state;

	status = emu_td_lock(c, tdr_pa, true, EMU_OP_RDX, &tdr);
	if (status)
		return status;
	if (tdr->fatal)
		return EMU_TD_FATAL;
	if (tdr->lifecycle != TD_KEYS_CONFIGURED)
		return EMU_TD_KEYS_NOT_CONFIGURED;
	if (tdr->num_tdcx >= MAX_TDCS_PAGES)
		return EMU_TDCX_NUM_INCORRECT;
	status = emu_pamt_lock_page(c, page, EMU_PT_NDA, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	if (tdr->num_tdcx >= MIN_TDCS_PAGES) {
		op_state = READ_ONCE(td_tdcs(m, tdr)->op_state);
		if (!(OPS_MNG_ADDCX >> op_state & 1))
			return EMU_OP_STATE_INCORRECT | op_state;
	}
	init_tdcs_page(emu_va(m, page), tdr->num_tdcx);
	WRITE_ONCE(tdr->tdcs[tdr->num_tdcx], page);
	WRITE_ONCE(tdr->num_tdcx, tdr->num_tdcx + 1);
	xadd(&tdr->chldcnt, 1);
	emu_pamt_assign(&ref, EMU_PT_TDCX, tdr_pa);
	return 0;
}

/* ---------------------------------------------------------------- MNG.INIT */

static bool bytes_are_zero(const void *p, size_t n)
{
	const u8 *b = p;

	while (n--)
		if (*b++)
			return false;
	return true;
}

static bool all_or_none(u64 xfam, u64 group)
{
	return !(xfam & group) || (xfam & group) == group;
}

static bool xfam_is_valid(u64 xfam)
{
	if (xfam & ~EMU_XFAM_ALLOWED || (xfam & EMU_XFAM_REQUIRED) != EMU_XFAM_REQUIRED)
		return false;
	if (xfam & XFAM_AVX512 && !(xfam & XFAM_AVX))
		return false;
	return all_or_none(xfam, XFAM_AVX512) && all_or_none(xfam, XFAM_CET) &&
	       all_or_none(xfam, XFAM_AMX);
}

static bool config_flags_are_valid(u64 flags)
{
	return !(flags & ~TD_CONFIG_FLAGS_ALLOWED) &&
	       (flags & (TD_CONFIG_MAXPA_VIRT | TD_CONFIG_MAXGPA_VIRT)) !=
		       (TD_CONFIG_MAXPA_VIRT | TD_CONFIG_MAXGPA_VIRT);
}

static bool eptp_is_valid(u64 eptp, u64 flags)
{
	u64 pwl = eptp >> EPTP_PWL_SHIFT & EPTP_PWL_MASK;

	if (eptp != (pwl << EPTP_PWL_SHIFT | EPTP_MT_WB))
		return false;
	return pwl == 4 || (pwl == 3 && !(flags & TD_CONFIG_GPAW));
}

static bool cpuid_is_valid(const struct emu_cpuid_config *c, const u32 v[4])
{
	if (!c)		/* slots behind the last leaf */
		return !(v[0] | v[1] | v[2] | v[3]);
	if (v[0] & ~c->eax || v[1] & ~c->ebx || v[2] & ~c->ecx || v[3] & ~c->edx)
		return false;
	/* A TD has HLE and RTM, or neither. */
	return c->leaf != 7 || c->subleaf || !(v[1] & CPUID_7_HLE) == !(v[1] & CPUID_7_RTM);
}

/* Only bits that the host may choose; else RCX names the leaf. */
static u64 check_cpuid(struct emu_call *c, const struct emu_td_params *p)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p->cpuid); i++) {
		const struct emu_cpuid_config *config = emu_cpuid_config(i);

		if (cpuid_is_valid(config, p->cpuid[i]))
			continue;
		c->args->rcx = config ? config->leaf | (u64)config->subleaf << 32 : EMU_NULL_PA;
		return EMU_OPERAND_INVALID | EMU_OP_CPUID_CONFIG;
	}
	return 0;
}

/* 0, or OPERAND_INVALID with the field's operand id, in the module's order. */
static u64 check_td_params(struct emu_call *c, const struct emu_td_params *p)
{
	u64 status;

	if (p->attributes & ~EMU_ATTRIBUTES_ALLOWED)
		return EMU_OPERAND_INVALID | EMU_OP_ATTRIBUTES;
	if (!xfam_is_valid(p->xfam))
		return EMU_OPERAND_INVALID | EMU_OP_XFAM;
	if (!p->max_vcpus || p->max_vcpus > MAX_VCPUS)
		return EMU_OPERAND_INVALID | EMU_OP_MAX_VCPUS;
	if (p->num_l2_vms > MAX_L2_VMS)
		return EMU_OPERAND_INVALID | EMU_OP_NUM_L2_VMS;
	if (!bytes_are_zero(p->reserved0, sizeof(p->reserved0)))
		return EMU_OPERAND_INVALID | EMU_OP_RDX;
	if (!config_flags_are_valid(p->config_flags))
		return EMU_OPERAND_INVALID | EMU_OP_EXEC_CONTROLS;
	if (!eptp_is_valid(p->eptp_controls, p->config_flags))
		return EMU_OPERAND_INVALID | EMU_OP_EPTP_CONTROLS;
	status = check_cpuid(c, p);
	if (status)
		return status;
	if (p->tsc_frequency < TSC_FREQUENCY_MIN || p->tsc_frequency > TSC_FREQUENCY_MAX)
		return EMU_OPERAND_INVALID | EMU_OP_TSC_FREQUENCY;
	if (!bytes_are_zero(p->reserved1, sizeof(p->reserved1)) ||
	    !bytes_are_zero(p->reserved2, sizeof(p->reserved2)))
		return EMU_OPERAND_INVALID | EMU_OP_RDX;
	return 0;
}

/*
 * The TD's clock begins at 0 now and runs at the frequency that its host has
 * asked for. A host whose own frequency is not known gives its clock as it is.
 *
 * A TDX platform's TSC is a multiple of 25 MHz, and KVM relies on a TD of its own
 * frequency not being scaled: kvm_arch_vcpu_create() overwrites the multiplier that it
 * has read from the TD with 1, and computes timers with that. So a frequency
 * within a step of the host's, which was measured, counts as the host's.
 */
static void set_clock(struct emu_module *m, struct tdcs *tdcs)
{
	u64 khz = tdcs->tsc_frequency * TSC_STEP_KHZ, whole;

	tdcs->tsc_multiplier = 1ULL << EMU_TSC_FRACTION;
	tdcs->tsc_offset = 0;
	if (!m->tsc || !m->tsc_khz)
		return;
	/* More than a step away from the host's own. */
	if (khz - m->tsc_khz + TSC_STEP_KHZ >= 2 * TSC_STEP_KHZ) {
		whole = (khz << 32) / m->tsc_khz;
		tdcs->tsc_multiplier =
			whole << 16 | (((khz << 32) % m->tsc_khz) << 16) / m->tsc_khz;
	}
	tdcs->tsc_offset = -emu_td_tsc(m, tdcs);
}

static void apply_td_params(struct emu_module *m, struct tdcs *tdcs, const struct emu_td_params *p)
{
	unsigned int shared_bit = p->config_flags & TD_CONFIG_GPAW ? 51 : 47;
	unsigned int table_bits;

	tdcs->pwl = p->eptp_controls >> EPTP_PWL_SHIFT & EPTP_PWL_MASK;
	table_bits = EMU_4K_SHIFT + (tdcs->pwl + 1) * TDX_LEVEL_BITS;
	tdcs->shared_bit = shared_bit;
	tdcs->gpa_bits = min(shared_bit, table_bits);
	tdcs->max_vcpus = p->max_vcpus;
	tdcs->tsc_frequency = p->tsc_frequency;
	tdcs->attributes = p->attributes;
	tdcs->xfam = p->xfam;
	tdcs->config_flags = p->config_flags;
	tdcs->owner_config = p->mrownerconfig[0];
	memcpy(tdcs->cpuid, p->cpuid, sizeof(tdcs->cpuid));
	set_clock(m, tdcs);
	emu_measure_init(&tdcs->mrtd);
	tdcs->epoch = 1;
	WRITE_ONCE(tdcs->op_state, OP_STATE_INITIALIZED);
}

u64 emu_tdh_mng_init(struct emu_call *c)
{
	struct emu_module *m = c->m;
	u64 params_pa = c->args->rdx, status;
	const struct emu_td_params *params;
	struct tdcs *tdcs;
	struct tdr *tdr;

	status = emu_td_lock(c, c->args->rcx & ~1ULL, true, EMU_OP_RCX, &tdr);
	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_MNG_INIT, false, &tdcs);
	if (status)
		return status;
	if (!IS_ALIGNED(params_pa, (u64)TD_PARAMS_ALIGN) || params_pa >= m->max_pa)
		return EMU_OPERAND_INVALID | EMU_OP_RDX;
	params = emu_va(m, params_pa);
	status = check_td_params(c, params);
	if (status)
		return status;
	apply_td_params(m, tdcs, params);
	return 0;
}

u64 emu_tdh_mr_finalize(struct emu_call *c)
{
	struct tdcs *tdcs;
	struct tdr *tdr;
	u64 status = emu_td_lock(c, c->args->rcx, true, EMU_OP_RCX, &tdr);

	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_BUILD, false, &tdcs);
	if (status)
		return status;
	if (!READ_ONCE(tdcs->num_vcpus))
		return EMU_NO_VCPUS;
	WRITE_ONCE(tdcs->op_state, OP_STATE_RUNNABLE);
	return 0;
}

/* ---------------------------------------------------------------- teardown */

u64 emu_tdh_mng_vpflushdone(struct emu_call *c)
{
	struct emu_module *m = c->m;
	struct tdr *tdr;
	u64 index, status;

	status = emu_td_lock(c, c->args->rcx, true, EMU_OP_RCX, &tdr);
	if (status)
		return status;
	status = lock_kot(c, EMU_LOCK_PLAIN_EX);
	if (status)
		return status;
	if (tdr->lifecycle != TD_KEYS_CONFIGURED && tdr->lifecycle != TD_HKID_ASSIGNED)
		return EMU_LIFECYCLE_STATE_INCORRECT;
	if (tdr->num_tdcx >= MIN_TDCS_PAGES) {
		struct tdcs *tdcs = td_tdcs(m, tdr);

		if (READ_ONCE(tdcs->op_state) != OP_STATE_UNINITIALIZED &&
		    READ_ONCE(tdcs->num_assoc_vcpus))
			return EMU_FLUSHVP_NOT_DONE;
	}
	index = tdr->hkid - m->first_hkid;
	WRITE_ONCE(m->hkid_wb[index], all_packages(m));
	m->hkid_state[index] = HKID_FLUSHED;
	WRITE_ONCE(tdr->lifecycle, TD_BLOCKED);
	return 0;
}

/* Package @package has written its caches back: one thing less before the HKID is free. */
static void wb_done(struct emu_module *m, unsigned int hkid, unsigned int package)
{
	u8 old = READ_ONCE(m->hkid_wb[hkid]);

	while (!try_cmpxchg(&m->hkid_wb[hkid], &old, (u8)(old & ~(1u << package))))
		;
}

u64 emu_tdh_phymem_cache_wb(struct emu_call *c)
{
	struct emu_module *m = c->m;
	unsigned int package = package_of(m, current_lp(m)), i;
	bool any, fresh;
	u64 status;

	if (c->args->rcx > 1)
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	if (!call_lock(c, &m->wbt_lock[package], EMU_LOCK_PLAIN_EX))
		return EMU_OPERAND_BUSY | EMU_OP_WBCACHE;
	status = lock_kot(c, EMU_LOCK_PLAIN_SH);
	if (status)
		return status;
	i = m->wb_resume[package];
	if (c->args->rcx == 1 && !i)
		return EMU_WBCACHE_RESUME_ERROR;
	any = c->args->rcx == 1;
	fresh = !any;
	m->wb_resume[package] = 0;
	for (i = any ? i - 1 : 0; i < m->nr_hkids; i++) {
		if (READ_ONCE(m->hkid_state[i]) != HKID_FLUSHED)
			continue;
		/* One that was resumed gets a step further, whatever the host's interrupts. */
		if (fresh && m->interrupted && m->interrupted(m, c)) {
			m->wb_resume[package] = i + 1;
			return EMU_INTERRUPTED_RESUMABLE;
		}
		fresh = true;
		any = true;
		wb_done(m, i, package);
	}
	return any ? 0 : EMU_NO_HKID_READY_TO_WBCACHE;
}

u64 emu_tdh_mng_key_freeid(struct emu_call *c)
{
	struct emu_module *m = c->m;
	struct tdr *tdr;
	u64 index, status;

	status = emu_td_lock(c, c->args->rcx, true, EMU_OP_RCX, &tdr);
	if (status)
		return status;
	if (tdr->lifecycle != TD_BLOCKED)
		return EMU_LIFECYCLE_STATE_INCORRECT;
	status = lock_kot(c, EMU_LOCK_PLAIN_EX);
	if (status)
		return status;
	index = tdr->hkid - m->first_hkid;
	if (READ_ONCE(m->hkid_wb[index]))
		return EMU_WBCACHE_NOT_COMPLETE;
	m->hkid_state[index] = HKID_FREE;
	WRITE_ONCE(tdr->lifecycle, TD_TEARDOWN);
	return 0;
}
