// SPDX-License-Identifier: GPL-2.0-only
/*
 * TDH.VP.ENTER and TD exits [1.7]. For as long as the guest runs the call holds
 * the TDVPR explicitly shared and its TDR implicitly shared, and a count of
 * the epoch that it entered in, which a TLB tracking cycle waits for.
 *
 * The guest runs with the host's interrupts off: it comes back after a number
 * of steps at the latest, with an exit that means nothing (OTHER_SMI), so that
 * the host sees to its interrupts and enters again.
 */
#include "guest.h"

#define ENTER_RESERVED GENMASK_ULL(11, 0)
#define STEP_BUDGET 128

#define PIN_POSTED_INTERRUPTS BIT(7)
#define VMCALL_MASK 0xfc00ULL /* R10 to R15 are the guest's */

/* What KVM and the processor share: vectors posted, and "outstanding". */
struct posted_desc {
	u64 vectors[4];
	u64 control;		/* bit 0: something is outstanding */
};

#define POSTED_ON BIT_ULL(0)

/* ---------------------------------------------------------------------- exits */

static void set_registers(struct tdx_module_args *a, u64 rcx, u64 rdx, u64 r8)
{
	memset(a, 0, sizeof(*a));
	a->rcx = rcx;
	a->rdx = rdx;
	a->r8 = r8;
}

int guest_exit(struct guest *g, u64 status)
{
	set_registers(g->c->args, 0, 0, 0);
	g->exited = true;
	g->status = status;
	return -TD_EAGAIN;
}

int guest_exit_ept(struct guest *g, u64 gpa, u64 qual, u64 ext_qual, enum guest_site site)
{
	struct vcpu_run *r = g->r;
	unsigned int i;

	guest_exit(g, EXIT_EPT_VIOLATION);
	set_registers(g->c->args, qual, ext_qual, gpa);
	r->slow = 1;
	if (gpa & guest_shared_bit(g))
		return -TD_EAGAIN;

	/* The zero-step filter remembers what one place faults on. */
	if (r->epf_site != site) {
		r->epf_site = site;
		r->epf_count = 0;
		r->epf_listed = 0;
	}
	if (r->epf_count <= EPF_THRESHOLD)
		r->epf_count++;
	gpa &= ~(EMU_4K_SIZE - 1);
	for (i = 0; i < r->epf_listed; i++)
		if (r->epf_gpa[i] == gpa)
			return -TD_EAGAIN;
	if (r->epf_listed < EPF_LIST)
		r->epf_gpa[r->epf_listed++] = gpa;
	return -TD_EAGAIN;
}

int guest_exit_shutdown(struct guest *g, const char *what)
{
	guest_event(g, EMU_EVENT_IMAGE, g->v.vp->initial_rcx, 0, what);
	g->v.vp->state = VCPU_DISABLED;
	return guest_exit(g, EMU_NON_RECOVERABLE_VCPU | EXIT_TRIPLE_FAULT);
}

int guest_vmcall(struct guest *g, u64 nr, u64 r12, u64 r13, u64 r14, u64 r15)
{
	struct tdx_module_args *a = g->c->args;
	struct vcpu_run *r = g->r;

	if (g->exited)
		return -TD_EAGAIN;
	if (r->vmcall == VMCALL_ANSWERED && r->vmcall_nr == nr) {
		r->vmcall = VMCALL_NONE;
		return 0;
	}
	guest_exit(g, EXIT_TDCALL);
	a->rcx = VMCALL_MASK;
	a->r11 = nr;
	a->r12 = r12;
	a->r13 = r13;
	a->r14 = r14;
	a->r15 = r15;
	r->vmcall = VMCALL_SENT;
	r->vmcall_nr = nr;
	return -TD_EAGAIN;
}

void guest_event(struct guest *g, enum emu_event_type type, u64 gpa, u64 hpa, const char *what)
{
	struct emu_module *m = g->m;
	struct emu_event e = {
		.type = type, .tdr = g->v.tdr_pa, .tdvpr = g->v.vp_pa, .gpa = gpa, .hpa = hpa,
		.what = what,
	};

	xadd(&m->events[type], 1);
	if (m->event)
		m->event(m, &e);
}

/* ---------------------------------------------------------------------- entry */

/* The epoch whose translations the vCPU may have: older ones go. Its parity, or an error. */
static u64 enter_epoch(struct guest *g, unsigned int *parity)
{
	struct tdcs *tdcs = g->v.tdcs;
	struct tdvpr *vp = g->v.vp;
	unsigned int nr = g->c->nr_locks;
	u64 epoch;

	if (!call_lock(g->c, &tdcs->epoch_lock, EMU_LOCK_PLAIN_SH))
		return EMU_OPERAND_BUSY | EMU_OP_TD_EPOCH;
	epoch = READ_ONCE(tdcs->epoch);
	*parity = epoch & 1;
	xadd(&tdcs->refcount[*parity], 1);
	call_unlock_to(g->c, nr);
	if (vp->epoch != epoch || READ_ONCE(vp->tlb_flush))
		guest_tlb_flush(g->tlb);
	vp->epoch = epoch;
	WRITE_ONCE(vp->tlb_flush, 0);
	return 0;
}

/*
 * A place that has faulted again and again is entered only once all that it
 * faulted on would not fault. The tree lock is held until the guest runs.
 */
static u64 zero_step_filter(struct guest *g)
{
	struct vcpu_run *r = g->r;
	unsigned int i;

	if (r->epf_count < EPF_THRESHOLD)
		return 0;
	if (!call_lock(g->c, &g->v.tdcs->tree_lock, EMU_LOCK_SH))
		return EMU_OPERAND_BUSY | EMU_OP_SEPT_TREE;
	for (i = 0; i < r->epf_listed; i++)
		if (guest_would_fault(g, r->epf_gpa[i])) {
			set_registers(g->c->args, EPT_QUAL_WRITE, 0, r->epf_gpa[i]);
			return EXIT_EPT_VIOLATION;
		}
	r->epf_count = 0;
	r->epf_listed = 0;
	return 0;
}

/*
 * From the arming of its timer until it halts the guest has interrupts blocked, as the
 * payload has: a timer that fires in between is what the HLT must not sleep over.
 */
static bool interrupts_blocked(const struct vcpu_run *r)
{
	if (r->vmcall == VMCALL_ANSWERED)
		return r->vmcall_nr == VMCALL_WRMSR;
	return r->idle;
}

/* The guest takes what is posted, unless interrupts are blocked. */
static void take_interrupts(struct guest *g)
{
	struct tdvpr *vp = g->v.vp;
	struct posted_desc *pd;
	unsigned int i;
	u64 vectors;

	if (READ_ONCE(vp->field[VCPU_NMI_PENDING])) {
		WRITE_ONCE(vp->field[VCPU_NMI_PENDING], 0);
		g->r->nmis++;
	}
	if (interrupts_blocked(g->r) ||
	    !(READ_ONCE(vp->field[VCPU_PIN_CONTROLS]) & PIN_POSTED_INTERRUPTS) ||
	    !READ_ONCE(vp->field[VCPU_POSTED_DESC]))
		return;
	pd = emu_va(g->m, READ_ONCE(vp->field[VCPU_POSTED_DESC]));
	if (!(READ_ONCE(pd->control) & POSTED_ON))
		return;
	clear_bit(0, (unsigned long *)&pd->control);
	for (i = 0; i < 4; i++)
		for (vectors = xchg(&pd->vectors[i], 0); vectors; vectors &= vectors - 1)
			g->r->interrupts++;
	g->r->dirty = 1;
}

/* The host has come back from a TDG.VP.VMCALL: its registers are the guest's. */
static void take_answer(struct guest *g)
{
	struct vcpu_run *r = g->r;

	if (r->vmcall != VMCALL_SENT)
		return;
	r->vmcall = VMCALL_ANSWERED;
	r->vmcall_r10 = g->c->args->r10;
	r->vmcall_r11 = g->c->args->r11;
}

static void start(struct guest *g)
{
	struct tdvpr *vp = g->v.vp;

	memset(g->r, 0, sizeof(*g->r));
	g->r->latency = ~0ULL;
	g->r->phase = RUN_RESET;
	guest_tlb_flush(g->tlb);
	vp->started = 1;
}

static void run(struct guest *g)
{
	unsigned int steps = STEP_BUDGET;

	take_answer(g);
	take_interrupts(g);
	while (!g->exited && steps--)
		guest_step(g);
	if (!g->exited)
		guest_exit(g, EXIT_OTHER_SMI);
}

u64 emu_tdh_vp_enter(struct emu_call *c)
{
	struct guest g = { .c = c, .m = c->m };
	unsigned int parity, nr;
	u64 status;

	/* There is nothing to run where guest memory has no contents. */
	if (!c->m->contents)
		return EMU_OPERAND_INVALID | EMU_OP_RAX;
	if (c->args->rcx & ENTER_RESERVED)
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	status = emu_vcpu_begin(c, OPS_VP_ENTER, &g.v);
	if (status)
		return status;
	nr = c->nr_locks - 1;	/* without OP_STATE, the last one taken */
	g.r = emu_va(c->m, g.v.vp->pages[TDVPS_RUN_PAGE]);
	g.tlb = emu_va(c->m, g.v.vp->pages[TDVPS_TLB_PAGE]);
	if (!g.v.vp->started)
		start(&g);
	status = enter_epoch(&g, &parity);
	if (status)
		return status;
	status = zero_step_filter(&g);
	if (!status) {
		call_unlock_to(c, nr);
		run(&g);
		status = g.status;
	}
	xadd(&g.v.tdcs->refcount[parity], (u32)-1);
	return status;
}
