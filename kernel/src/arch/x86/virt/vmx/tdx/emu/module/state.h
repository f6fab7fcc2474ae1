/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layouts of what the module keeps in donated pages: PAMT entries, the TDR
 * page, the TDCS pages, the TDVPR page, S-EPT entries; the states of a TD and
 * the operation states in which a leaf is allowed [1.6.7].
 *
 * Who may touch what: a PAMT entry's type and owner change under its exclusive
 * lock, and the type is also read without one (the scans of PAMT.REMOVE and
 * 2M AUG, implicit operands); TDR fields change under TDR EX, chldcnt by
 * atomic add under TDR SH too; TDCS fields likewise; an S-EPT entry changes
 * under its bit lock.
 */
#ifndef EMU_STATE_H
#define EMU_STATE_H

#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "leaves.h"
#include "locks.h"
#include "module.h"

/*
 * One PAMT entry [1.5.1]. In a node (EMU_PT_PAMT) the owner field holds the frame
 * number of the first PAMT page, and info the page count (bits 9:0) and the
 * second page's frame number (from bit 28); else info is BEPOCH.
 */
struct pamt_entry {
	u16 lock;
	u8 type;
	u8 owner_hi;		/* frame number of the TDR: 40 bits */
	u32 owner_lo;
	u64 info;
};

#define NODE_COUNT(info) ((info) & 0x3ff)
#define NODE_PFN_SHIFT 28

static inline u64 pamt_owner(const struct pamt_entry *e)
{
	u64 pfn = (u64)READ_ONCE(e->owner_hi) << 32 | READ_ONCE(e->owner_lo);

	return pfn << EMU_4K_SHIFT;
}

static inline void pamt_set_owner(struct pamt_entry *e, u64 pa)
{
	WRITE_ONCE(e->owner_hi, (u8)(pa >> (EMU_4K_SHIFT + 32)));
	WRITE_ONCE(e->owner_lo, (u32)(pa >> EMU_4K_SHIFT));
}

enum td_lifecycle {
	TD_HKID_ASSIGNED,
	TD_KEYS_CONFIGURED,
	TD_BLOCKED,
	TD_TEARDOWN,
};

enum td_op_state {
	OP_STATE_UNINITIALIZED,
	OP_STATE_INITIALIZED,
	OP_STATE_RUNNABLE,
};

/* Allowed operation states, one bit per state; states of migration included. */
enum op_state_mask {
	OPS_MNG_ADDCX = 0x001,
	OPS_MNG_INIT = 0x001,
	OPS_BUILD = 0x002,		/* PAGE.ADD, MR.EXTEND, MR.FINALIZE, VP.INIT */
	OPS_VP_CREATE = 0x082,		/* VP.CREATE, VP.ADDCX */
	OPS_MNG_RD = 0x7fe,
	OPS_VP_RD = 0x7fe,
	OPS_VP_WR = 0x7ce,
	OPS_VP_ENTER = 0x20c,
	OPS_SEPT_ADD = 0x3ce,
	OPS_PAGE_AUG = 0x20e,
	OPS_RANGE_BLOCK = 0x33e,	/* RANGE.BLOCK, PROMOTE, DEMOTE */
	OPS_PAGE_REMOVE = 0x73e,
	OPS_MEM_TRACK = 0x3fe,
};

enum hkid_state { HKID_FREE, HKID_RESERVED, HKID_ASSIGNED, HKID_FLUSHED };

#define MIN_TDCS_PAGES 6
#define MAX_TDCS_PAGES 9
#define MIN_TDVPS_PAGES 6
#define MAX_TDVPS_PAGES 15
#define MAX_VCPUS 576

/* What a TD may have, and has to: attributes and extended features [1.8]. */
#define EMU_ATTRIBUTES_ALLOWED                                                              \
	(BIT_ULL(0) | BIT_ULL(16) | BIT_ULL(27) | BIT_ULL(28) | BIT_ULL(29) | BIT_ULL(30) | \
	 BIT_ULL(63))
#define EMU_XFAM_ALLOWED 0x6DBE7ULL
#define EMU_XFAM_REQUIRED 0x3ULL

#define TDCS_CONTROL_PAGE 0
#define TDCS_X2APIC_PAGE 1
#define TDCS_SEPT_ROOT_PAGE 3

struct tdr {
	u8 lifecycle;		/* enum td_lifecycle */
	u8 fatal;
	u16 hkid;
	u32 num_tdcx;
	u64 pkg_configured;	/* packages that have the TD's key */
	u64 chldcnt;		/* 4K pages that name this TDR as owner */
	u64 tdcs[MAX_TDCS_PAGES];
};

/* SHA-384 in progress, over whole blocks. */
#define EMU_MEASURE_BLOCK 128
struct emu_measure {
	u64 state[8];
	u64 blocks;
};

/* CPUID bits of one leaf that the host may choose. */
struct emu_cpuid_config {
	u32 leaf, subleaf;
	u32 eax, ebx, ecx, edx;
};

#define EMU_NO_SUBLEAF (~0u)
#define EMU_NR_CPUID_CONFIG 28

/* The control page of the TDCS. Each lock that leaves contend for has its own line. */
struct tdcs {
	u16 op_state_lock;
	u8 op_state;		/* enum td_op_state */
	u8 pwl;			/* level of the root table: 3 or 4 */
	u8 shared_bit;		/* number of the GPA's */
	u8 gpa_bits;		/* private GPAs are below 1 << gpa_bits */
	u16 max_vcpus;
	u16 tsc_frequency;
	u32 num_vcpus;
	u32 num_assoc_vcpus;
	u64 attributes;
	u64 xfam;
	u64 config_flags;
	u64 owner_config;	/* the first 8 bytes of MROWNERCONFIG */
	u64 tsc_offset;
	u64 tsc_multiplier;	/* guest TSC per host TSC, 48 bits of fraction */
	u32 cpuid[EMU_NR_CPUID_CONFIG][4];
	struct emu_measure mrtd;
	u16 tree_lock __aligned(64);
	u16 epoch_lock __aligned(64);
	u32 refcount[2];	/* vCPUs that run under an epoch of that parity */
	u64 epoch;
};

#define VCPU_UNINITIALIZED 0
#define VCPU_READY 2
#define VCPU_DISABLED 3
#define NO_LP (~0u)
#define NO_X2APIC_ID (~0u)

/* Fields of a vCPU that the host writes with VP.WR. */
enum vcpu_field_index {
	VCPU_POSTED_VECTOR,
	VCPU_POSTED_DESC,
	VCPU_SHARED_EPTP,
	VCPU_PIN_CONTROLS,
	VCPU_SECONDARY_CONTROLS,
	VCPU_NOTIFY_WINDOW,
	VCPU_NMI_PENDING,
	VCPU_NR_FIELDS,
};

struct tdvpr {
	u8 state;
	u8 num_pages;
	u8 tlb_flush;		/* tied to another processor since it last ran */
	u32 assoc_lp;
	u32 index;
	u32 x2apic_id;
	u64 initial_rcx;
	u64 pages[MAX_TDVPS_PAGES];
	u64 field[VCPU_NR_FIELDS];
	u8 started;		/* the pages of guest.h are set up */
	u64 epoch;		/* of the translations in its TLB */
};

/*
 * An S-EPT entry: lock and host priority (bits 1:0), frame, and the state as
 * the ABI shows it (bits 63:56); zero is FREE.
 */
enum sept_state {
	SEPT_FREE = 0,
	SEPT_BLOCKED = 1,
	SEPT_PENDING = 2,
	SEPT_PENDING_BLOCKED = 3,
	SEPT_MAPPED = 4,
	SEPT_REMOVED = 5,
	SEPT_NL_BLOCKED = 0x81,
	SEPT_NL_MAPPED = 0x84,
};

#define SEPT_STATE_SHIFT 56
#define SEPT_PA_MASK GENMASK_ULL(51, 12)

static inline enum sept_state sept_state(u64 entry)
{
	return entry >> SEPT_STATE_SHIFT;
}

static inline u64 sept_make(enum sept_state state, u64 pa)
{
	return (u64)state << SEPT_STATE_SHIFT | pa;
}

static inline bool sept_is_leaf(enum sept_state s)
{
	return s == SEPT_MAPPED || s == SEPT_PENDING || s == SEPT_BLOCKED ||
	       s == SEPT_PENDING_BLOCKED;
}

static inline bool sept_is_blocked(enum sept_state s)
{
	return s == SEPT_BLOCKED || s == SEPT_PENDING_BLOCKED || s == SEPT_NL_BLOCKED;
}

/* Bytes that an entry of @level maps; level 0 is a 4K page. */
static inline u64 level_size(unsigned int level)
{
	return EMU_4K_SIZE << (level * TDX_LEVEL_BITS);
}

static inline unsigned int current_lp(struct emu_module *m)
{
	return m->lp ? m->lp(m) : 0;
}

static inline unsigned int package_of(const struct emu_module *m, unsigned int lp)
{
	return m->lps_per_package && m->nr_packages > 1 ? lp / m->lps_per_package : 0;
}

static inline u64 all_packages(const struct emu_module *m)
{
	return m->nr_packages > 1 ? (1ULL << m->nr_packages) - 1 : 1;
}

/* ------------------------------------------------------------------- pamt.c */

/* An operand page, found and locked. */
struct pamt_ref {
	struct pamt_entry *entry;
	struct pamt_entry *node;	/* the 2M node that counts the page, or NULL */
	enum emu_level level;		/* where the walk ended */
};

/* The TDMR that covers @pa with PAMT initialised there, or NULL. */
const struct emu_tdmr *emu_pamt_tdmr(const struct emu_module *m, u64 pa);
bool emu_pamt_page_in_use(const struct emu_module *m, const struct emu_tdmr *t, u64 pa);
struct pamt_entry *emu_pamt_1g(const struct emu_module *m, const struct emu_tdmr *t, u64 pa);
struct pamt_entry *emu_pamt_2m(const struct emu_module *m, const struct emu_tdmr *t, u64 pa);
struct pamt_entry *emu_pamt_4k_of_node(const struct emu_module *m, const struct pamt_entry *node,
				       u64 pa);
struct pamt_entry *emu_pamt_4k_static(const struct emu_module *m, const struct emu_tdmr *t, u64 pa);

/* Is @pa a physical address without HKID bits, aligned to a page of @level? */
bool emu_hpa_is_valid(const struct emu_module *m, u64 pa, unsigned int level);

/*
 * Explicit walk [1.5.2] to @target or the leaf above it. Returns 0 with the
 * path's locks held, or OPERAND_BUSY | @op with none of them.
 */
u64 emu_pamt_walk(struct emu_call *c, const struct emu_tdmr *t, u64 pa, enum emu_level target,
		  bool ex, unsigned int op, struct pamt_ref *ref);
/* An explicit 4K operand of type @type: all checks of 1.5.3, and the walk. */
u64 emu_pamt_lock_page(struct emu_call *c, u64 pa, enum emu_page_type type, bool ex,
		       unsigned int op, struct pamt_ref *ref);
/* An explicit free range of @level (4K or 2M), for AUG. */
u64 emu_pamt_lock_free_range(struct emu_call *c, u64 pa, enum emu_level level, unsigned int op,
			     struct pamt_ref *ref);
/*
 * Implicit operand: only the leaf entry, no lock, nothing of its parents. A
 * page that is not there is a corrupted module: NULL, and the module is dead.
 */
struct pamt_entry *emu_pamt_implicit(struct emu_call *c, u64 pa, enum emu_level level,
				     struct pamt_ref *ref);
/* The same with its lock; OPERAND_BUSY | @op. */
u64 emu_pamt_lock_implicit(struct emu_call *c, u64 pa, enum emu_level level, bool ex,
			   unsigned int op, struct pamt_ref *ref);
/* A free page, locked exclusively, becomes @type of the TD at @owner; counted in its node. */
void emu_pamt_assign(struct pamt_ref *ref, enum emu_page_type type, u64 owner);
/* The reverse: free first, uncounted after [1.5.5]. Returns the hint bit. */
u64 emu_pamt_free(struct pamt_ref *ref);
/* 4K entries (2M entries for a 1G page) merge into one, or come out of it; see 1.6.3. */
u64 emu_pamt_promote(struct emu_call *c, u64 pa, enum emu_level level, u64 pair[2]);
u64 emu_pamt_demote(struct emu_call *c, u64 pa, enum emu_level level, u64 page0, u64 page1);
/* The TD that owns the page at @pa, at whatever level, if it is in a TD's memory; else 0. */
u64 emu_pamt_memory_owner(const struct emu_module *m, u64 pa);
/* A sanity check failed: the module shuts down, as the real one does. */
u64 emu_module_fatal(struct emu_call *c);

/* ------------------------------------------------------- tdmr.c, metadata.c */

/* Check the first @nr of m->tdmr and start from them with everything free [1.6.5]. */
u64 emu_tdmr_config(struct emu_module *m, unsigned int nr, bool dynamic);
/* Global metadata: a field's value, and the id of the field after it or EMU_NO_FIELD. */
u64 emu_metadata_first(void);
u64 emu_metadata_read(const struct emu_module *m, u64 id, u64 *value, u64 *next);

/* --------------------------------------------------------------------- td.c */

#define EMU_TSC_FRACTION 48

/* The TD's clock now, as its vCPUs read it. */
static inline u64 emu_td_tsc(const struct emu_module *m, const struct tdcs *tdcs)
{
	u64 host = m->tsc ? m->tsc() : 0;

	return (u64)((unsigned __int128)host * tdcs->tsc_multiplier >> EMU_TSC_FRACTION) +
	       tdcs->tsc_offset;
}


/* An explicit TDR operand. *@tdr is set on success. */
u64 emu_td_lock(struct emu_call *c, u64 tdr_pa, bool ex, unsigned int op, struct tdr **tdr);
/* The owner of a page that the call has locked, implicit, |TDR. */
u64 emu_td_lock_owner(struct emu_call *c, u64 tdr_pa, bool ex, struct tdr **tdr);
/*
 * The state checks that most leaves begin with [1.6], and the TDCS; @lock takes
 * OP_STATE shared. Operation states outside @allowed are refused.
 */
u64 emu_td_check(struct emu_call *c, struct tdr *tdr, unsigned int allowed, bool lock,
		 struct tdcs **tdcs);
static inline struct tdcs *td_tdcs(const struct emu_module *m, struct tdr *tdr)
{
	return emu_va(m, READ_ONCE(tdr->tdcs[TDCS_CONTROL_PAGE]));
}

/* ---------------------------------------------------------------- measure.c */

void emu_measure_init(struct emu_measure *s);
/* What PAGE.ADD adds for the page at @gpa; what MR.EXTEND adds for 256 bytes of it. */
void emu_measure_page(struct emu_measure *s, u64 gpa);
void emu_measure_chunk(struct emu_measure *s, u64 gpa, const void *bytes);
void emu_measure_finish(struct emu_measure *s, u8 mrtd[EMU_MRTD_SIZE]);

/* ----------------------------------------------------------------- cpuids.c */

/* The @i-th leaf that a host may configure, or NULL. */
const struct emu_cpuid_config *emu_cpuid_config(unsigned int i);

/* ------------------------------------------------------------------- vcpu.c */

/* A vCPU that a call works on. */
struct vcpu_ref {
	struct tdvpr *vp;
	struct tdr *tdr;
	struct tdcs *tdcs;
	u64 vp_pa, tdr_pa;
};

/*
 * What VP.RD, VP.WR and VP.ENTER begin with: TDVPR SH, TDR SH, OP_STATE SH and the
 * state of the TD; then the vCPU is tied to this processor.
 */
u64 emu_vcpu_begin(struct emu_call *c, unsigned int allowed, struct vcpu_ref *v);

/* ------------------------------------------------------------------- sept.c */

/* A TD and one entry of its S-EPT, found for a GPA operand in RCX. */
struct sept_ref {
	struct tdr *tdr;
	struct tdcs *tdcs;
	u64 tdr_pa;
	u64 gpa;
	unsigned int level;
	u64 *entry;
	u64 value; /* of the entry, read after it was locked */
};

/*
 * What the memory leaves begin with: TDR SH, state, GPA operand of a level in
 * @min..@max (pwl for @max > 4), tree lock in @tree, walk, entry lock.
 */
u64 emu_sept_begin(struct emu_call *c, unsigned int allowed, unsigned int min, unsigned int max,
		   enum emu_lock_mode tree, struct sept_ref *s);
/*
 * Down the S-EPT as a processor does it: without locks, from the root to the
 * first entry that is no table. Passes blocked tables if @blocked.
 */
void emu_sept_lookup(const struct emu_module *m, struct sept_ref *s, bool blocked);
/* Set the locked entry, keeping its lock and priority bits. */
void emu_sept_set(struct sept_ref *s, u64 value);
/* @status | RCX, with the entry in RCX and level and state in RDX. */
u64 emu_sept_error(struct emu_call *c, const struct sept_ref *s, u64 status);
/* Blocked and tracked, where the TD may be running; @e is the page's PAMT entry. */
u64 emu_sept_check_tracked(struct emu_call *c, const struct sept_ref *s, struct pamt_entry *e);

#define EMU_LEAF_PROTO(nr, fn, name, version) u64 fn(struct emu_call *c);
EMU_LEAVES(EMU_LEAF_PROTO)
#undef EMU_LEAF_PROTO

#endif
