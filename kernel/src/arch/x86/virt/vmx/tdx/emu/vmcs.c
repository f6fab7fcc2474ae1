// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMCS in the 4K page that the kernel gives for it. A field's encoding holds a
 * width, a type and an index; each pair of width and type has a run of 8-byte
 * slots, as long as the largest index that the architecture defines needs.
 */
#include <linux/bitfield.h>
#include <linux/mm.h>

#include "emu.h"

#define FIELD_HIGH BIT(0)
#define FIELD_INDEX GENMASK(9, 1)
#define FIELD_TYPE GENMASK(11, 10)
#define FIELD_WIDTH GENMASK(14, 13)
#define FIELD_RESERVED (~(u64)(FIELD_HIGH | FIELD_INDEX | FIELD_TYPE | FIELD_WIDTH))

#define TYPE_READ_ONLY 1
#define NR_TYPES 4
#define NR_WIDTHS 4

/* By width (16, 64, 32, natural) and type (control, read-only, guest, host). */
static const u8 nr_slots[NR_WIDTHS][NR_TYPES] = {
	{ 16, 0, 16, 16 },
	{ 64, 8, 32, 16 },
	{ 32, 16, 32, 8 },
	{ 16, 16, 32, 16 },
};

#define NR_SLOTS 336

struct emu_vmcs {
	u32 revision;
	u32 abort;
	u32 launch_state;
	u32 reserved;
	u64 slots[NR_SLOTS];
};

static_assert(sizeof(struct emu_vmcs) <= PAGE_SIZE);

struct emu_vmcs *emu_vmcs_at(u64 pa)
{
	return pfn_valid(PHYS_PFN(pa)) ? __va(pa) : NULL;
}

bool emu_vmcs_revision_is_ours(const struct emu_vmcs *vmcs)
{
	return vmcs->revision == EMU_VMCS_REVISION;
}

enum emu_launch_state emu_vmcs_launch_state(const struct emu_vmcs *vmcs)
{
	return vmcs->launch_state;
}

void emu_vmcs_clear(struct emu_vmcs *vmcs)
{
	vmcs->launch_state = EMU_VMCS_CLEAR;
}

u64 *emu_vmcs_field(struct emu_vmcs *vmcs, u64 encoding, bool *read_only)
{
	unsigned int width, type, index, first = 0, i;

	if (encoding & FIELD_RESERVED)
		return NULL;
	width = FIELD_GET(FIELD_WIDTH, encoding);
	type = FIELD_GET(FIELD_TYPE, encoding);
	index = FIELD_GET(FIELD_INDEX, encoding);
	if (index >= nr_slots[width][type])
		return NULL;
	for (i = 0; i < width * NR_TYPES + type; i++)
		first += nr_slots[i / NR_TYPES][i % NR_TYPES];
	*read_only = type == TYPE_READ_ONLY;
	return &vmcs->slots[first + index];
}
