/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest side of the software module: a vCPU that interprets the TD program of
 * its image, in the memory of its TD and nowhere else. What a vCPU keeps
 * between two entries lies in two of its TDVPS pages: struct vcpu_run, and its
 * TLB. A run ends with a TD exit: guest_exit_*() fill in the registers of
 * the host [1.7] and say so in @exited, after which nothing more is done.
 *
 * Functions that may exit return 0 when the thing is done, -TD_EAGAIN when the
 * guest has exited or must try again, or another negative errno.
 */
#ifndef EMU_GUEST_H
#define EMU_GUEST_H

#include "../td/image.h"
#include "state.h"

/* TDVPS pages by number; the others hold nothing. */
#define TDVPS_RUN_PAGE 1
#define TDVPS_TLB_PAGE 2

/* Reasons of TD exits, as of VM exits. */
#define EXIT_TRIPLE_FAULT 2
#define EXIT_OTHER_SMI 6
#define EXIT_EPT_VIOLATION 48
#define EXIT_TDCALL 77

/* Exit qualification of EPT violations: the access, and what the entry allows. */
#define EPT_QUAL_READ BIT(0)
#define EPT_QUAL_WRITE BIT(1)
#define EPT_QUAL_FETCH BIT(2)
#define EPT_QUAL_ALLOWS_SHIFT 3

/* Extended exit qualification. */
#define EXT_QUAL_NONE 0
#define EXT_QUAL_ACCEPT 1
#define EXT_QUAL_PENDING 6

/* Sub-functions of TDG.VP.VMCALL: reasons of VM exits, and the GHCI's own. */
#define VMCALL_HLT 12
#define VMCALL_IO 30
#define VMCALL_WRMSR 32
#define VMCALL_MAP_GPA 0x10001
#define VMCALL_RETRY 1

#define MSR_APIC_SVR 0x80f
#define APIC_SVR_ENABLE 0x1ff
#define MSR_APIC_LVT_TIMER 0x832
#define APIC_TIMER_DEADLINE BIT(18)
#define MSR_TSC_DEADLINE 0x6e0

#define GUEST_EFAULT 14
#define GUEST_EIO 5
#define GUEST_EINVAL 22

struct tlb_entry {
	u64 gpa;	/* page; bit 0: valid */
	u64 hpa;	/* of that 4K page */
};

#define TLB_VALID 1ULL
#define TLB_ENTRIES 256

/* How far a vCPU has come. */
enum run_phase {
	RUN_RESET,	/* fetches from the reset vector */
	RUN_RECORD,	/* finds its record, the header and the program */
	RUN_IMAGE,
	RUN_LOAD,
	RUN_BOX,	/* finds its mailbox */
	RUN_APIC,	/* software-enables its APIC */
	RUN_TIMER,	/* sets the mode of its timer */
	RUN_PROGRAM,
	RUN_REPORT,	/* writes its last words */
	RUN_DONE,	/* tells the VMM */
	RUN_OVER,	/* halts, for ever */
};

enum vmcall_state { VMCALL_NONE, VMCALL_SENT, VMCALL_ANSWERED };

/* Where the vCPU "is" for the zero-step filter: the place in the payload. */
enum guest_site { SITE_FETCH, SITE_DATA, SITE_ACCEPT };

#define EPF_THRESHOLD 6
#define EPF_LIST 32

struct vcpu_run {
	struct td_cpu cpu;
	struct td_image image;
	struct td_record record;
	u8 phase;		/* enum run_phase */
	u8 vmcall;		/* enum vmcall_state */
	u8 idle;		/* of guest_idle_until(): the timer is armed */
	u8 converted;		/* of convert(): the host has done its part */
	u8 dirty;		/* the counts below are newer than the mailbox */
	u8 slow;		/* the touch at hand had to wait for something */
	u8 touching, napping;	/* touch_start, nap_end are set */
	u64 vmcall_nr, vmcall_r10, vmcall_r11;

	u64 touch_start;	/* guest TSC */
	u32 touch_page;		/* of a 2M touch that the host backs with 4K pages */
	u64 latency;		/* ns, to be counted in the mailbox; ~0: none */
	u64 nap_end;		/* guest TSC */
	u64 pace_ns, pace_next;	/* guest TSC; as in program.h */
	u64 barrier_target;
	u32 barrier;		/* joined, plus one; 0: none */
	u32 barrier_naps;
	u32 gave_way;		/* to the host's priority, in a row */

	/* Kept here, shown in the mailbox. */
	u64 start_tsc, end_tsc;
	u64 touches, accepts, conversions, idles, interrupts, nmis;
	u64 hist_count, hist_sum, hist_min, hist_max;
	u32 phase_nr, nr_marks;
	struct td_mark mark;	/* the last one */
	int error;

	/* Zero-step filter [1.7]. */
	u8 epf_site;
	u8 epf_count;		/* violations in a row from that place */
	u8 epf_listed;
	u64 epf_gpa[EPF_LIST];
};

_Static_assert(sizeof(struct vcpu_run) <= 4096, "a page");
_Static_assert(TLB_ENTRIES * sizeof(struct tlb_entry) == 4096, "a page");
_Static_assert(sizeof(struct tdvpr) <= 4096, "a page");

/* One entry into one vCPU. */
struct guest {
	struct emu_call *c;
	struct emu_module *m;
	struct vcpu_ref v;
	struct vcpu_run *r;
	struct tlb_entry *tlb;
	bool exited;
	u64 status;
};

static inline u64 guest_tsc(const struct guest *g)
{
	return emu_td_tsc(g->m, g->v.tdcs);
}

static inline u64 guest_khz(const struct guest *g)
{
	return g->v.tdcs->tsc_frequency * 25000ULL;
}

static inline u64 guest_shared_bit(const struct guest *g)
{
	return BIT_ULL(g->v.tdcs->shared_bit);
}

/* --------------------------------------------------------------- guest_mem.c */

void guest_tlb_flush(struct tlb_entry *tlb);
/* Is there a translation of private @gpa in the TLB? */
bool guest_cached(struct guest *g, u64 gpa, u64 *hpa);
/* The host page behind private @gpa, which must be accepted; @qual is the access. */
int guest_private(struct guest *g, u64 gpa, u64 qual, u64 *hpa);
/* Copy from private memory, as data. */
int guest_read(struct guest *g, u64 gpa, void *to, size_t size);
/*
 * TDG.MEM.PAGE.ACCEPT of the 4K page at @gpa, or of the 2M page that it lies in
 * where the host has mapped one. *@level is that mapping's. 0: it is there; 1: it
 * has been accepted now.
 */
int guest_accept(struct guest *g, u64 gpa, unsigned int *level);
/* The shared page at @gpa (without the shared bit), through the host's own table. */
int guest_shared(struct guest *g, u64 gpa, void **va);
/* Would an access to private @gpa fault? */
bool guest_would_fault(const struct guest *g, u64 gpa);

/* ------------------------------------------------------------------- enter.c */

int guest_exit(struct guest *g, u64 status);
int guest_exit_ept(struct guest *g, u64 gpa, u64 qual, u64 ext_qual, enum guest_site site);
/* No image, or none that can run: the vCPU triple-faults. */
int guest_exit_shutdown(struct guest *g, const char *what);
/* TDG.VP.VMCALL: 0 once the host has answered, its answer in r->vmcall_r10, r11. */
int guest_vmcall(struct guest *g, u64 nr, u64 r12, u64 r13, u64 r14, u64 r15);
void guest_event(struct guest *g, enum emu_event_type type, u64 gpa, u64 hpa, const char *what);

/* ------------------------------------------------------------------- guest.c */

/* One step of the guest. Anything but 0 and -TD_EAGAIN stops it for good. */
int guest_step(struct guest *g);

#endif
