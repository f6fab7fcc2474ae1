// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata fields of a TD and of a vCPU [1.8]: TDH.MNG.RD, VP.RD and VP.WR, as
 * far as a host of a TD that is not for debugging may go.
 *
 * A field is found by class and code; the size, mask and sequence bits of an id
 * are not looked at, because Linux builds ids without them. Reading or writing
 * a vCPU's field ties the vCPU to the processor that does it.
 */
#include "state.h"

#define FIELD_CLASS(id) ((id) >> 56 & 0x3f)
#define FIELD_CODE(id) ((id) & GENMASK_ULL(23, 0))

#define CLASS_VMCS 0
#define CLASS_TD_EXEC 17
#define CLASS_VCPU_OTHER 17
#define CLASS_TD_CPUID 20
#define CLASS_VCPU_MANAGEMENT 32

#define TD_TSC_OFFSET 10
#define TD_TSC_MULTIPLIER 11
#define VCPU_STATE_DETAILS 0x100
#define VCPU_PEND_NMI 11

#define CPUID_ELEMENT(code) ((code) & 1)
#define CPUID_SUBLEAF(code) ((code) >> 1 & 0x7f)
#define CPUID_NO_SUBLEAF(code) ((code) >> 8 & 1)
#define CPUID_LEAF(code) (((code) >> 9 & 0x7f) | ((code) >> 16 & 1) << 31)
#define CPUID_RESERVED GENMASK_ULL(23, 17)

/* ------------------------------------------------------------------- TD's own */

struct cpuid_regs4 {
	u32 eax, ebx, ecx, edx;
};

/* Leaves and bits that every TD has, whatever its host configures. */
static bool fixed_cpuid(const struct tdcs *tdcs, u32 leaf, struct cpuid_regs4 *r)
{
	switch (leaf) {
	case 0:		/* highest leaf, GenuineIntel */
		*r = (struct cpuid_regs4){ 0x23, 0x756e6547, 0x6c65746e, 0x49656e69 };
		return true;
	case 0x15:	/* TSC against the core crystal clock of 25 MHz */
		*r = (struct cpuid_regs4){ 1, READ_ONCE(tdcs->tsc_frequency), 25000000, 0 };
		return true;
	case 0x21:	/* IntelTDX, then blanks */
		*r = (struct cpuid_regs4){ 0, 0x65746e49, 0x20202020, 0x5844546c };
		return true;
	case 0x80000000:
		*r = (struct cpuid_regs4){ 0x80000008, 0, 0, 0 };
		return true;
	}
	return false;
}

static bool configured_cpuid(const struct tdcs *tdcs, u64 code, struct cpuid_regs4 *r)
{
	u32 subleaf = CPUID_NO_SUBLEAF(code) ? EMU_NO_SUBLEAF : CPUID_SUBLEAF(code);
	const struct emu_cpuid_config *c;
	unsigned int i;

	for (i = 0; (c = emu_cpuid_config(i)); i++)
		if (c->leaf == CPUID_LEAF(code) && c->subleaf == subleaf)
			break;
	if (!c)
		return false;
	r->eax = tdcs->cpuid[i][0];
	r->ebx = tdcs->cpuid[i][1];
	r->ecx = tdcs->cpuid[i][2];
	r->edx = tdcs->cpuid[i][3];
	if (c->leaf == 1)	/* x2APIC, TSC deadline timer, hypervisor */
		r->ecx |= BIT(21) | BIT(24) | BIT(31);
	return true;
}

static u64 read_cpuid(const struct tdcs *tdcs, u64 code, u64 *value)
{
	struct cpuid_regs4 r;

	if (code & CPUID_RESERVED)
		return EMU_METADATA_FIELD_ID_INCORRECT;
	if (!configured_cpuid(tdcs, code, &r) &&
	    !(CPUID_NO_SUBLEAF(code) && fixed_cpuid(tdcs, CPUID_LEAF(code), &r)))
		return EMU_METADATA_FIELD_NOT_READABLE;
	*value = CPUID_ELEMENT(code) ? r.ecx | (u64)r.edx << 32 : r.eax | (u64)r.ebx << 32;
	return 0;
}

static u64 read_td_field(const struct tdcs *tdcs, u64 id, u64 *value)
{
	u64 code = FIELD_CODE(id);

	if (FIELD_CLASS(id) == CLASS_TD_CPUID)
		return read_cpuid(tdcs, code, value);
	if (FIELD_CLASS(id) == CLASS_TD_EXEC && code == TD_TSC_OFFSET)
		*value = tdcs->tsc_offset;
	else if (FIELD_CLASS(id) == CLASS_TD_EXEC && code == TD_TSC_MULTIPLIER)
		*value = tdcs->tsc_multiplier;
	else
		return EMU_METADATA_FIELD_ID_INCORRECT;
	return 0;
}

u64 emu_tdh_mng_rd(struct emu_call *c)
{
	u64 id = c->args->rdx, status;
	struct tdcs *tdcs;
	struct tdr *tdr;

	c->args->r8 = 0;
	status = emu_td_lock(c, c->args->rcx, false, EMU_OP_RCX, &tdr);
	if (status)
		return status;
	status = emu_td_check(c, tdr, OPS_MNG_RD, true, &tdcs);
	if (status)
		return status;
	status = read_td_field(tdcs, id, &c->args->r8);
	/* Version 1 names the next field; a host that asks for one at a time needs none. */
	if (!status && c->version)
		c->args->rdx = EMU_NULL_PA;
	return status;
}

/* --------------------------------------------------------------------- vCPU's */

/* What a host may write to a vCPU: in the TD VMCS, and a pending NMI. */
static const struct vcpu_field {
	u32 class, code;
	enum vcpu_field_index index;
	u64 writable;		/* bits */
	u64 align;		/* of a value that is a physical address, or 0 */
} vcpu_fields[] = {
	{ CLASS_VMCS, 0x0002, VCPU_POSTED_VECTOR, 0xffff, 0 },
	{ CLASS_VMCS, 0x2016, VCPU_POSTED_DESC, ~0ULL, 64 },
	{ CLASS_VMCS, 0x203C, VCPU_SHARED_EPTP, ~0ULL, EMU_4K_SIZE },
	{ CLASS_VMCS, 0x4000, VCPU_PIN_CONTROLS, BIT(7), 0 },
	{ CLASS_VMCS, 0x401E, VCPU_SECONDARY_CONTROLS, BIT(30) | BIT(31), 0 },
	{ CLASS_VMCS, 0x4024, VCPU_NOTIFY_WINDOW, 0xffffffff, 0 },
	{ CLASS_VCPU_MANAGEMENT, VCPU_PEND_NMI, VCPU_NMI_PENDING, 0xff, 0 },
};

static const struct vcpu_field *find_vcpu_field(u64 id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vcpu_fields); i++)
		if (vcpu_fields[i].class == FIELD_CLASS(id) &&
		    vcpu_fields[i].code == FIELD_CODE(id))
			return &vcpu_fields[i];
	return NULL;
}

static bool is_state_details(u64 id)
{
	return FIELD_CLASS(id) == CLASS_VCPU_OTHER && FIELD_CODE(id) == VCPU_STATE_DETAILS;
}

u64 emu_tdh_vp_rd(struct emu_call *c)
{
	const struct vcpu_field *f;
	u64 id = c->args->rdx, status;
	struct vcpu_ref v;

	c->args->r8 = 0;
	status = emu_vcpu_begin(c, OPS_VP_RD, &v);
	if (status)
		return status;
	/*
	 * Bit 0 says that the vCPU's virtual APIC holds an interrupt that it could
	 * take. Ours takes each one as it is entered: none is ever left.
	 */
	if (is_state_details(id))
		return 0;
	f = find_vcpu_field(id);
	if (!f)
		return EMU_METADATA_FIELD_ID_INCORRECT;
	c->args->r8 = READ_ONCE(v.vp->field[f->index]);
	return 0;
}

u64 emu_tdh_vp_wr(struct emu_call *c)
{
	u64 id = c->args->rdx, data = c->args->r8, mask = c->args->r9, old, status;
	const struct vcpu_field *f;
	struct vcpu_ref v;

	c->args->r8 = 0;
	status = emu_vcpu_begin(c, OPS_VP_WR, &v);
	if (status)
		return status;
	if (is_state_details(id))
		return EMU_METADATA_FIELD_NOT_WRITABLE;
	f = find_vcpu_field(id);
	if (!f)
		return EMU_METADATA_FIELD_ID_INCORRECT;
	if (!mask || mask & ~f->writable)
		return EMU_METADATA_WR_MASK_NOT_VALID;
	old = READ_ONCE(v.vp->field[f->index]);
	data = (old & ~mask) | (data & mask);
	if (f->align && (!IS_ALIGNED(data, f->align) || data >= c->m->max_pa))
		return EMU_METADATA_FIELD_VALUE_NOT_VALID;
	WRITE_ONCE(v.vp->field[f->index], data);
	c->args->r8 = old;
	return 0;
}
