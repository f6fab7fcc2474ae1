// SPDX-License-Identifier: GPL-2.0-only
/*
 * The global metadata that TDH.SYS.RD answers with [1.8, 2.3]: one row per field
 * or array of fields, in the order in which the host is led through them.
 *
 * A field is named by class and code. Element size, write mask, context and
 * the top bit of the id that the host gives are not compared; the numbers of
 * elements and of fields in a sequence, and reserved bits, must be 0.
 */
#include "state.h"

#define ID_CODE GENMASK_ULL(23, 0)
#define ID_CLASS GENMASK_ULL(61, 56)
#define ID_MUST_BE_ZERO                                                               \
	(GENMASK_ULL(31, 24) | GENMASK_ULL(46, 34) | GENMASK_ULL(49, 47) | BIT_ULL(55) | \
	 BIT_ULL(62))

/*
 * Features of module 1.5.25 but two: there is no P-SEAMLDR to come back from (bit
 * 1, preserving TDs over an update), and bit 36 is the platform's to choose.
 */
#define FEATURES0 0x0000D1226F3F0EBDULL
#define FEATURES0_DYNAMIC_PAMT BIT_ULL(36)

#define ATTRIBUTES_FIXED0_LASS BIT_ULL(27)

static u64 read_features0(const struct emu_module *m, unsigned int i)
{
	return FEATURES0 | (m->hw.dynamic ? FEATURES0_DYNAMIC_PAMT : 0);
}

static u64 read_min_hkid_bits(const struct emu_module *m, unsigned int i)
{
	return m->hw.max_pa_bits > 48 ? m->hw.max_pa_bits - 48 : 0;
}

static u64 read_attributes_fixed0(const struct emu_module *m, unsigned int i)
{
	return EMU_ATTRIBUTES_ALLOWED & ~(m->hw.lass ? 0 : ATTRIBUTES_FIXED0_LASS);
}

static u64 read_xfam_fixed0(const struct emu_module *m, unsigned int i)
{
	return EMU_XFAM_ALLOWED & m->hw.xfam;
}

static u64 read_cmr_base(const struct emu_module *m, unsigned int i)
{
	return m->hw.cmr[i].base;
}

static u64 read_cmr_size(const struct emu_module *m, unsigned int i)
{
	return m->hw.cmr[i].size;
}

static u64 read_cpuid_leaf(const struct emu_module *m, unsigned int i)
{
	const struct emu_cpuid_config *c = emu_cpuid_config(i);

	return c->leaf | (u64)c->subleaf << 32;
}

static u64 read_cpuid_value(const struct emu_module *m, unsigned int i)
{
	const struct emu_cpuid_config *c = emu_cpuid_config(i / 2);

	return i % 2 ? c->ecx | (u64)c->edx << 32 : c->eax | (u64)c->ebx << 32;
}

#define VALUE(id_, value_) { .id = (id_), .nr = 1, .value = (value_) }
#define TABLE(id_, nr_, read_) { .id = (id_), .nr = (nr_), .read = (read_) }

/* @nr consecutive ids; the value comes from @read, or is @value. */
static const struct {
	u64 id;
	unsigned int nr;
	u64 value;
	u64 (*read)(const struct emu_module *m, unsigned int i);
} fields[] = {
	VALUE(0x0800000100000003, 5),			/* minor version */
	VALUE(0x0800000100000004, 1),			/* major */
	VALUE(0x0800000100000005, 25),			/* update */
	VALUE(0x8900000100000000, EMU_HANDOFF_VERSION),
	TABLE(0x0A00000300000008, 1, read_features0),
	VALUE(0x9000000100000000, EMU_MAX_CMRS),
	TABLE(0x9000000300000080, EMU_MAX_CMRS, read_cmr_base),
	TABLE(0x9000000300000100, EMU_MAX_CMRS, read_cmr_size),
	VALUE(0x9100000100000008, EMU_MAX_TDMRS),
	VALUE(0x9100000100000009, EMU_MAX_RESERVED),
	VALUE(0x9100000100000010, sizeof(struct pamt_entry)),	/* PAMT entry: 4K, 2M, 1G */
	VALUE(0x9100000100000011, sizeof(struct pamt_entry)),
	VALUE(0x9100000100000012, sizeof(struct pamt_entry)),
	VALUE(0x9100000000000013, 1),			/* bits per page in the bitmap */
	TABLE(0x9100000000000014, 1, read_min_hkid_bits),
	VALUE(0x9800000100000000, EMU_4K_SIZE),			/* TDR, TDCS, TDVPS */
	VALUE(0x9800000100000100, MIN_TDCS_PAGES * EMU_4K_SIZE),
	VALUE(0x9800000100000200, MIN_TDVPS_PAGES * EMU_4K_SIZE),
	TABLE(0x1900000300000000, 1, read_attributes_fixed0),
	VALUE(0x1900000300000001, 0),
	TABLE(0x1900000300000002, 1, read_xfam_fixed0),
	VALUE(0x1900000300000003, EMU_XFAM_REQUIRED),
	VALUE(0x9900000100000004, EMU_NR_CPUID_CONFIG),
	VALUE(0x9900000100000008, MAX_VCPUS),
	TABLE(0x9900000300000400, EMU_NR_CPUID_CONFIG, read_cpuid_leaf),
	TABLE(0x9900000300000500, 2 * EMU_NR_CPUID_CONFIG, read_cpuid_value),
};

u64 emu_metadata_first(void)
{
	return fields[0].id;
}

u64 emu_metadata_read(const struct emu_module *m, u64 id, u64 *value, u64 *next)
{
	unsigned int row;
	u64 i;

	if (id & ID_MUST_BE_ZERO)
		return EMU_METADATA_FIELD_ID_INCORRECT;
	for (row = 0; row < ARRAY_SIZE(fields); row++) {
		i = (id & ID_CODE) - (fields[row].id & ID_CODE);
		if ((id & ID_CLASS) == (fields[row].id & ID_CLASS) && i < fields[row].nr)
			break;
	}
	if (row == ARRAY_SIZE(fields))
		return EMU_METADATA_FIELD_ID_INCORRECT;
	*value = fields[row].read ? fields[row].read(m, i) : fields[row].value;
	if (i + 1 < fields[row].nr)
		*next = fields[row].id + i + 1;
	else
		*next = row + 1 < ARRAY_SIZE(fields) ? fields[row + 1].id : EMU_NO_FIELD;
	return 0;
}
