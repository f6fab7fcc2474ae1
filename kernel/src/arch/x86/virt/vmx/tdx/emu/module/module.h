/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The software TDX module: what the host sees of it.
 *
 * One instance answers SEAMCALLs as the TDX module does: same leaves, operands,
 * order of checks, status codes and try-locks. Nothing in it waits, allocates
 * or sleeps; a conflict answers TDX_OPERAND_BUSY. All of its state but the
 * instance itself (the module's own range on real hardware) lives in memory
 * that the host donates: PAMT in the PAMT areas, TD state in TDR and TDCS
 * pages, Secure EPT in the pages given by TDH.MEM.SEPT.ADD.
 *
 * The facts come from the sources of TDX module 1.5.25, collected in the
 * project's tdx-abi.md; numbers in brackets in the code are its sections.
 */
#ifndef EMU_MODULE_H
#define EMU_MODULE_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/types.h>
#include <asm/shared/tdx.h>

#include "abi.h"

/*
 * Geometry. A table has EMU_ENTRIES entries; 512 everywhere but in the
 * explorer's build, where small tables keep the state space small. "2M" and
 * "1G" in names mean one and two levels above 4K, whatever the geometry.
 */
#ifndef TDX_LEVEL_BITS
#define TDX_LEVEL_BITS 9
#endif
#define EMU_ENTRIES (1UL << TDX_LEVEL_BITS)
#define EMU_4K_SHIFT 12
#define EMU_2M_SHIFT (EMU_4K_SHIFT + TDX_LEVEL_BITS)
#define EMU_1G_SHIFT (EMU_2M_SHIFT + TDX_LEVEL_BITS)
#define EMU_4K_SIZE (1UL << EMU_4K_SHIFT)
#define EMU_2M_SIZE (1UL << EMU_2M_SHIFT)
#define EMU_1G_SIZE (1UL << EMU_1G_SHIFT)

#define EMU_MAX_TDMRS 64
#define EMU_MAX_RESERVED 16
#define EMU_MAX_HKIDS 64
#define EMU_MAX_PACKAGES 8
#define EMU_MAX_CMRS 32
#define EMU_MAX_LPS 4096

/* Level of a mapping or a PAMT entry, as in the ABI. */
enum emu_level { EMU_LEVEL_4K, EMU_LEVEL_2M, EMU_LEVEL_1G };

/* PAMT page types [1.5.1]. */
enum emu_page_type {
	EMU_PT_NDA = 0,
	EMU_PT_RSVD = 1,
	EMU_PT_REG = 3,
	EMU_PT_TDR = 4,
	EMU_PT_TDCX = 5,
	EMU_PT_TDVPR = 6,
	EMU_PT_EPT = 8,
	EMU_PT_PAMT = 15,
};

/* A range of a TDMR that holds no TD memory. Bytes, relative to the TDMR's base. */
struct emu_reserved {
	u64 offset;
	u64 size;
};

/* One TDMR as the host describes it to TDH.SYS.CONFIG (sizes in bytes, physical addresses). */
struct emu_tdmr {
	u64 base;
	u64 size;
	u64 pamt_1g_base, pamt_1g_size;
	u64 pamt_2m_base, pamt_2m_size;
	u64 pamt_4k_base, pamt_4k_size;	/* the bitmap, with Dynamic PAMT */
	struct emu_reserved reserved[EMU_MAX_RESERVED];
	unsigned int nr_reserved;
	u64 initialised;		/* bytes from base that TDMR.INIT has completed */
	u64 init_next;			/* module-private: where TDMR.INIT goes on */
	u16 lock;			/* module-private: mutex of TDMR.INIT */
};

/* How far SYS.INIT, SYS.CONFIG, KEY.CONFIG and SYS.SHUTDOWN have brought the module. */
enum emu_sys_state {
	EMU_SYS_INIT_PENDING,
	EMU_SYS_INIT_DONE,
	EMU_SYS_CONFIG_DONE,
	EMU_SYS_READY,
	EMU_SYS_SHUTDOWN,
};

/* What the module finds out about the machine at TDH.SYS.INIT. */
struct emu_platform {
	unsigned int nr_lps;		/* logical processors that LP.INIT has to see */
	unsigned int max_pa_bits;	/* MAXPA, HKID bits included */
	u64 xfam;			/* state components that the CPU has, XCR0 | XSS */
	bool lass;
	bool dynamic;			/* the module supports Dynamic PAMT */
	/* The host's PAMT areas hold anything: TDMR.INIT clears them. */
	bool clear_pamt;
	/* Convertible memory, ascending; none: all below max_pa. Bytes. */
	struct {
		u64 base, size;
	} cmr[EMU_MAX_CMRS];
	unsigned int nr_cmrs;
};

struct emu_call;

/* What must never happen: found by the module, reported by event(). */
enum emu_event_type {
	EMU_EVENT_STALE_TLB,	/* a vCPU uses a translation that is no longer the TD's */
	EMU_EVENT_OWNERSHIP,	/* the S-EPT leads to a page that is not the TD's */
	EMU_EVENT_CONTENTS,	/* a private page does not hold what its TD wrote */
	EMU_EVENT_IMAGE,	/* a vCPU that cannot run: no image, or a malformed one */
	EMU_EVENT_FATAL,	/* a sanity check of the module failed: it is dead */
	EMU_NR_EVENTS,
};

struct emu_event {
	enum emu_event_type type;
	u64 tdr, tdvpr;		/* 0: no TD */
	u64 gpa, hpa;
	const char *what;	/* a few words */
};

struct emu_module {
	/* Virtual address of physical address 0 (the direct map, or the arena). */
	void *mem;
	u64 max_pa;			/* exclusive limit of addresses, without HKID bits */
	unsigned int hkid_shift;	/* lowest HKID bit of an address */
	bool dynamic;			/* Dynamic PAMT enabled by SYS.CONFIG */
	bool ready;			/* SYS_READY */
	/*
	 * The pages of the host exist in full, so PAGE.ADD copies its source.
	 * Off where guest memory is an address range with nothing behind it.
	 */
	bool contents;
	struct emu_platform hw;
	struct emu_tdmr tdmr[EMU_MAX_TDMRS];
	unsigned int nr_tdmrs;

	/*
	 * Hooks of the executor, all optional. inject() may answer a call with a
	 * status instead of running it (0 = run it). hold() is called when the
	 * leaf is done, with every lock of the call still held: an executor makes
	 * time pass there.
	 */
	u64 (*inject)(struct emu_module *m, const struct emu_call *c);
	void (*hold)(struct emu_module *m, const struct emu_call *c);
	/*
	 * event() hears of what must never happen, with locks held; the counts are
	 * there without it too. interrupted() is asked by the leaves that a host's
	 * interrupt may end early.
	 */
	void (*event)(struct emu_module *m, const struct emu_event *e);
	bool (*interrupted)(struct emu_module *m, const struct emu_call *c);
	/*
	 * Number of the logical processor that makes the call, for the leaves
	 * that tie a vCPU or a key to one; none: one processor, 0. Package =
	 * number / lps_per_package; 0 in either count means one package.
	 */
	unsigned int (*lp)(struct emu_module *m);
	unsigned int lps_per_package, nr_packages;
	/* The host's clock, and its frequency; none: it stands still. */
	u64 (*tsc)(void);
	u64 tsc_khz;
	void *priv;

	/* Module-private state (KOT and the like): see state.h. */
	u64 fatal;			/* status that killed the module, 0 = alive */
	enum emu_sys_state sys_state;
	u64 packages_keyed;		/* that KEY.CONFIG has run on */
	u8 lp_initialised[EMU_MAX_LPS];
	u16 global_lock;
	u16 kot_lock;
	u16 wbt_lock[EMU_MAX_PACKAGES];
	u16 ket_lock[EMU_MAX_PACKAGES];
	u8 wb_resume[EMU_MAX_PACKAGES];	/* where an interrupted CACHE.WB goes on; 0: none */
	u32 events[EMU_NR_EVENTS];
	u8 hkid_state[EMU_MAX_HKIDS];
	u8 hkid_wb[EMU_MAX_HKIDS];	/* packages whose caches are still to be written back */
	unsigned int first_hkid, nr_hkids;	/* private HKIDs */
	unsigned int own_hkid;		/* the module's own, counted from first_hkid */
};

#define EMU_MAX_LOCKS 24

enum emu_lock_mode {
	EMU_LOCK_SH,		/* sharex with host priority [1.4] */
	EMU_LOCK_EX,
	EMU_LOCK_PLAIN_SH,	/* sharex without it, and mutexes */
	EMU_LOCK_PLAIN_EX,
	EMU_LOCK_SEPTE,		/* bit lock in an S-EPT entry */
};

/* One SEAMCALL in flight: what it is, what it answered, what it holds. */
struct emu_call {
	struct emu_module *m;
	struct tdx_module_args *args;
	u64 leaf;			/* leaf number, version stripped */
	unsigned int version;
	u64 status;			/* set before hold() */
	unsigned int nr_locks;
	struct emu_held {
		u16 *word;	/* an S-EPT entry's low 16 bits in mode EMU_LOCK_SEPTE */
		u8 mode;	/* enum emu_lock_mode */
	} locks[EMU_MAX_LOCKS];
};

static inline void *emu_va(const struct emu_module *m, u64 pa)
{
	return (char *)m->mem + pa;
}

/*
 * Answer one SEAMCALL: @rax is the leaf with its version, @args the registers
 * in and out. Returns RAX. Safe to call from any number of CPUs at once.
 */
u64 emu_seamcall(struct emu_module *m, u64 rax, struct tdx_module_args *args);

/*
 * Set up an instance over @nr TDMRs (sorted, 1G aligned), as TDH.SYS.CONFIG and
 * KEY.CONFIG would; TDH.SYS.TDMR.INIT is still the host's to call. The PAMT
 * areas must be zero. Returns a TDX status: 0, or the documented code with the
 * TDMR's index. @m's mem, max_pa, hkid_shift, first_hkid and nr_hkids are set
 * by the caller before.
 */
u64 emu_module_config(struct emu_module *m, const struct emu_tdmr *tdmr, unsigned int nr,
		      bool dynamic);

/* The name of a leaf, "TDH.VP.ENTER" in the ABI: "TDH_VP_ENTER"; NULL: no such leaf. */
const char *emu_leaf_name(u64 leaf);

/* ------------------------------------------------------------- inspection */

/*
 * For checkers and reports, with no SEAMCALL in flight (plain reads): what the
 * PAMT says of the page at @pa.
 */
struct emu_page_info {
	enum emu_page_type type;	/* of the entry reached */
	enum emu_level level;		/* where the walk ended */
	u64 owner;			/* the TDR's address (a TDR: its own), 0 = none */
	bool has_pair;			/* Dynamic PAMT: the 2M region has a pair */
	u64 pair[2];			/* its pages */
	unsigned int page_count;	/* of the 2M node */
	bool pamt_page;			/* bitmap bit set: a PAMT page (or reserved) */
	bool locked;			/* any lock word on the path is not free */
};
int emu_page_info(const struct emu_module *m, u64 pa, struct emu_page_info *info);

/*
 * Owner and type of each 4K page of the 2M region at @pa, EMU_ENTRIES long. Owner
 * as above. 0 or -EINVAL, as emu_page_info(): not usable memory, or not aligned.
 */
struct emu_region_page {
	u64 owner;
	enum emu_page_type type;
};
int emu_region_pages(const struct emu_module *m, u64 pa, struct emu_region_page *pages);

/*
 * The first 8 bytes of MROWNERCONFIG, in which a VMM may give its TD a number. 0,
 * -EINVAL: no such TD, or not initialised yet.
 */
int emu_td_owner_config(const struct emu_module *m, u64 tdr_pa, u64 *value);

/* MRTD: SHA-384 over what PAGE.ADD and MR.EXTEND have told; valid once finalised. */
#define EMU_MRTD_SIZE 48
int emu_td_mrtd(const struct emu_module *m, u64 tdr_pa, u8 mrtd[EMU_MRTD_SIZE]);

/* What the module owns, by page type, in pages of any size; and what is still locked. */
struct emu_census {
	u64 pages[16];		/* by enum emu_page_type, RSVD and PAMT nodes apart */
	u64 pairs;		/* regions with a PAMT page pair */
	u64 bitmap_pages;	/* bitmap bits set outside reserved areas */
	u64 locked;		/* entries whose lock word is not free */
	u64 hkids;		/* HKIDs in use, the module's own apart */
};
void emu_census(const struct emu_module *m, struct emu_census *c);

#endif
