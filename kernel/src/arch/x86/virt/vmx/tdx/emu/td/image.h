/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The image of a TD, and the mailbox in which it tells the VMM how it fares.
 * Three parties include this file: the VMM, which lays both out; the x86-64
 * payload, which runs from the image on a TDX CPU; and the emulated TDX module,
 * which recognises the image and interprets the programs itself.
 *
 * Image: one contiguous private range, measured in, that ends at 4G:
 *
 *	header | one record per vCPU | programs | payload code, ends with the
 *	(a page)                      (8-aligned)  reset vector at 4G - 16
 *
 * A vCPU starts at the reset vector, in the initial state of the TDX ABI; RCX
 * and R8 hold what the VMM gave KVM_TDX_INIT_VCPU: the GPA of the vCPU's record.
 * Address p of a program is GPA header.memory_gpa + p, private.
 *
 * Mailbox: shared pages (the GPA with the shared bit set), mapped by the VMM: the
 * TD's own page, a page shared by all TDs (the same host memory in each), and
 * TD_MAILBOX_VCPU_PAGES per vCPU. Each word has one writer: the VMM before
 * the vCPUs start, the vCPU after; but for barriers, which all add to, and
 * "stop", which the VMM may set at any time. Words are aligned and written
 * whole, so readers need no lock; a vCPU writes "state" last, with release.
 *
 * This header is freestanding, as program.h is.
 */
#ifndef DPAMT_TD_IMAGE_H
#define DPAMT_TD_IMAGE_H

#include "program.h"

#define TD_IMAGE_MAGIC 0x474d49544d415044ULL /* "DPAMTIMG" in memory */
#define TD_RECORD_MAGIC 0x55504356U	     /* "VCPU" */
#define TD_MAILBOX_MAGIC 0x584f424cU	     /* "LBOX" */
#define TD_IMAGE_VERSION 1U

#define TD_IMAGE_END (1ULL << 32)
#define TD_RESET_VECTOR (TD_IMAGE_END - 16)
/* A place for program memory that meets neither the image nor the mailbox: 2M aligned. */
#define TD_MEMORY_GPA (1ULL << 32)
#define TD_IMAGE_VCPUS_MAX 576U

/* After a page became shared, write to it once through the shared bit. */
#define TD_IMAGE_TOUCH_SHARED 1U

struct td_image {
	uint64_t magic;
	uint32_t version;
	uint32_t nr_vcpus;
	uint64_t gpa;	      /* of this header, 4K aligned */
	uint64_t payload_gpa; /* of the code, 4K aligned: it goes on to TD_IMAGE_END */
	uint64_t memory_gpa;  /* of program address 0 */
	uint64_t memory_size; /* bytes; no program goes beyond */
	uint64_t td_box;      /* GPA of struct td_box, without the shared bit */
	uint64_t all_box;     /* of the page that all TDs share */
	uint64_t vcpu_box;    /* of vCPU 0's struct vcpu_box; the others follow */
	uint32_t shared_bit;  /* number of the shared bit: 47 or 51 */
	uint32_t flags;	      /* TD_IMAGE_* */
	uint64_t reserved[6];
};

/* Records stand behind the header, vCPU by vCPU. */
struct td_record {
	uint32_t magic;
	uint32_t vcpu;	       /* its number, 0 .. nr_vcpus - 1 */
	uint64_t image;	       /* GPA of the header */
	uint64_t program;      /* GPA of struct td_program, 8-byte aligned */
	uint64_t program_size; /* bytes */
};

_Static_assert(sizeof(struct td_image) == 128, "the layout of the image is fixed");
_Static_assert(sizeof(struct td_record) == 32, "the layout of a record is fixed");

/* -------------------------------------------------------------------- mailbox */

#define TD_BARRIERS 64U /* more than phases of a workload */
#define TD_MARKS 64U	/* phases that are timed */

/*
 * A vCPU joins by adding one to "joined"; the sum before is its ticket. The
 * barrier is open to it once joined >= (ticket / members + 1) * members, or when
 * "stop" of the same page is set. Set by the VMM: members (at least 1).
 */
struct td_barrier {
	uint32_t joined;
	uint32_t members;
};

/* One page: the TD's (TD_SCOPE_TD), or that of all TDs (TD_SCOPE_ALL). */
struct td_box {
	uint32_t magic;	  /* the VMM's: TD_MAILBOX_MAGIC */
	uint32_t version; /* TD_IMAGE_VERSION */
	uint32_t stop;	  /* the VMM's: end what goes on for ever, open all barriers */
	uint32_t reserved[13];
	struct td_barrier barrier[TD_BARRIERS];
	uint8_t pad[4096 - 64 - TD_BARRIERS * sizeof(struct td_barrier)];
};

enum td_vcpu_state {
	TD_VCPU_NEW,	 /* has not written yet */
	TD_VCPU_RUNNING,
	TD_VCPU_DONE,	 /* the program is over; the vCPU idles */
	TD_VCPU_FAILED,	 /* "error" says why; the vCPU idles */
};

/*
 * Latency of first touches in ns of the guest's clock, from the touch (open
 * loop: from when it was due) until the page was there and accepted. Log-linear:
 * TD_HIST_SUB_BITS bits below the leading one, all values of 64 bits.
 */
#define TD_HIST_SUB_BITS 6
#define TD_HIST_BINS ((65 - TD_HIST_SUB_BITS) << TD_HIST_SUB_BITS)

static inline uint32_t td_hist_index(uint64_t value)
{
	uint32_t shift =
		63 - TD_HIST_SUB_BITS - (uint32_t)__builtin_clzll(value | 1ULL << TD_HIST_SUB_BITS);

	return (shift << TD_HIST_SUB_BITS) + (uint32_t)(value >> shift);
}

struct td_mark {
	uint32_t phase;
	uint32_t reserved;
	uint64_t tsc; /* when the vCPU entered the phase, guest TSC */
};

struct vcpu_box {
	uint32_t state; /* enum td_vcpu_state */
	int32_t error;	/* negative errno once FAILED */
	uint32_t phase; /* the phase at hand */
	uint32_t nr_marks;
	uint64_t tsc_khz;     /* the guest's, for the marks; written before RUNNING */
	uint64_t touches;     /* first touches done */
	uint64_t accepts;     /* pages accepted */
	uint64_t conversions; /* MapGPA done */
	uint64_t idles;	      /* HLTs that returned */
	uint64_t interrupts;  /* posted interrupts taken */
	uint64_t start_tsc, end_tsc;
	uint64_t hist_count, hist_sum, hist_min, hist_max;
	struct td_mark marks[TD_MARKS];
	uint8_t pad[4096 - 112 - TD_MARKS * sizeof(struct td_mark)];
	uint32_t bins[TD_HIST_BINS]; /* hist_count is their sum */
	uint8_t pad2[4096 * 4 - TD_HIST_BINS * 4];
};

#define TD_MAILBOX_VCPU_PAGES 5U

_Static_assert(sizeof(struct td_box) == 4096, "a page");
_Static_assert(sizeof(struct vcpu_box) == 4096 * TD_MAILBOX_VCPU_PAGES, "whole pages");
_Static_assert(offsetof(struct vcpu_box, bins) == 4096, "bins begin a page");

/*
 * Idling, and waiting at barriers: the vCPU arms its TSC deadline timer and
 * halts, so it gives its CPU up. Once, at the start, through TDG.VP.VMCALL:
 * WRMSR 0x80f (SVR) = 0x1ff, WRMSR 0x832 (LVT timer) = TSC deadline mode, vector
 * TD_TIMER_VECTOR. To wait: WRMSR 0x6e0 = deadline (guest TSC), then HLT with
 * interrupts open. At a barrier the deadline is td_barrier_nap() ahead. For KVM to
 * take the mode, the vCPU's CPUID must have the TSC deadline timer.
 */
#define TD_TIMER_VECTOR 0x40U
/*
 * When a program is over the vCPU, having written its box, tells the VMM by OUT of
 * 4 bytes, enum td_vcpu_state, to this port; from then on it halts. For a word
 * with the VMM before there is a box (no image found) there is only a triple
 * fault.
 */
#define TD_DONE_PORT 0xd9U
#define TD_BARRIER_NS 500000ULL

/*
 * How long the next nap at a barrier is, after @naps: about as long as the wait so
 * far, up to 16 ms, or vCPUs that wait would keep the others' CPUs busy with timers.
 */
static inline uint64_t td_barrier_nap(uint32_t naps)
{
	return TD_BARRIER_NS << (naps < 5 ? naps : 5);
}

#endif
