// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a vCPU does: from the reset vector to its record, image and mailbox, then
 * the TD program, step by step, then a last report. Everything that it knows it
 * has read from the TD's private memory; every word that it has for the VMM goes
 * through the shared mailbox of td/image.h. The payload does the same on a
 * TDX processor.
 *
 * Each touched page is stamped; whoever finds a page that is there already
 * expects the stamp, or zeroes where another vCPU is about to write it.
 */
#include "guest.h"

#define NO_LATENCY (~0ULL)
#define NS_PER_MS 1000000ULL
#define STAMP 0x9e3779b97f4a7c15ULL
#define PAGES_PER_2M (TD_PAGE_2M / TD_PAGE_4K)

/* ---------------------------------------------------------------------- time */

static u64 cycles(const struct guest *g, u64 ns)
{
	u64 khz = guest_khz(g);

	return ns / NS_PER_MS * khz + ns % NS_PER_MS * khz / NS_PER_MS;
}

static u64 nanoseconds(const struct guest *g, u64 tsc)
{
	u64 khz = guest_khz(g);

	return tsc / khz * NS_PER_MS + tsc % khz * NS_PER_MS / khz;
}

/* Arms the timer and halts, again and again, until the clock says @end. */
static int idle_until(struct guest *g, u64 end)
{
	struct vcpu_run *r = g->r;
	int ret;

	if (!r->idle) {
		if (guest_tsc(g) >= end)
			return 0;
		ret = guest_vmcall(g, VMCALL_WRMSR, MSR_TSC_DEADLINE, end, 0, 0);
		if (ret)
			return ret;
		if (r->vmcall_r10)
			return -GUEST_EIO;
		r->idle = 1;
	}
	ret = guest_vmcall(g, VMCALL_HLT, 0, 0, 0, 0);
	if (ret)
		return ret;
	r->idle = 0;
	r->idles++;
	r->dirty = 1;
	return guest_tsc(g) >= end ? 0 : -TD_EAGAIN;
}

static int nap(struct guest *g, u64 ns)
{
	struct vcpu_run *r = g->r;
	int ret;

	if (!r->napping) {
		r->nap_end = guest_tsc(g) + cycles(g, ns);
		r->napping = 1;
	}
	ret = idle_until(g, r->nap_end);
	if (!ret)
		r->napping = 0;
	return ret;
}

/* ------------------------------------------------------------------- mailbox */

static enum td_vcpu_state box_state(const struct vcpu_run *r)
{
	if (r->phase < RUN_REPORT)
		return TD_VCPU_RUNNING;
	return r->error ? TD_VCPU_FAILED : TD_VCPU_DONE;
}

static void write_box(const struct guest *g, struct vcpu_box *b)
{
	const struct vcpu_run *r = g->r;

	WRITE_ONCE(b->error, r->error);
	WRITE_ONCE(b->phase, r->phase_nr);
	WRITE_ONCE(b->tsc_khz, guest_khz(g));
	WRITE_ONCE(b->touches, r->touches);
	WRITE_ONCE(b->accepts, r->accepts);
	WRITE_ONCE(b->conversions, r->conversions);
	WRITE_ONCE(b->idles, r->idles);
	WRITE_ONCE(b->interrupts, r->interrupts);
	WRITE_ONCE(b->start_tsc, r->start_tsc);
	WRITE_ONCE(b->end_tsc, r->end_tsc);
	WRITE_ONCE(b->hist_count, r->hist_count);
	WRITE_ONCE(b->hist_sum, r->hist_sum);
	WRITE_ONCE(b->hist_min, r->hist_min);
	WRITE_ONCE(b->hist_max, r->hist_max);
	if (r->nr_marks && r->nr_marks <= TD_MARKS) {
		struct td_mark *mark = &b->marks[r->nr_marks - 1];

		WRITE_ONCE(mark->phase, r->mark.phase);
		WRITE_ONCE(mark->tsc, r->mark.tsc);
	}
	WRITE_ONCE(b->nr_marks, r->nr_marks);
	/* What the state is about is there before it: the VMM's acquire is the other half. */
	smp_store_release(&b->state, (u32)box_state(r));
}

static void count_latency(struct vcpu_run *r, u32 *bin)
{
	WRITE_ONCE(*bin, READ_ONCE(*bin) + 1);
	if (!r->hist_count || r->latency < r->hist_min)
		r->hist_min = r->latency;
	if (r->latency > r->hist_max)
		r->hist_max = r->latency;
	r->hist_sum += r->latency;
	r->hist_count++;
	r->latency = NO_LATENCY;
}

/* What is new goes to the mailbox: all of it, or, if the guest exits, nothing yet. */
static int flush_report(struct guest *g)
{
	struct vcpu_run *r = g->r;
	u64 box = r->image.vcpu_box + r->record.vcpu * sizeof(struct vcpu_box), at;
	void *b, *bins;
	int ret;

	if (!r->dirty && r->latency == NO_LATENCY)
		return 0;
	ret = guest_shared(g, box, &b);
	if (ret)
		return ret;
	if (r->latency != NO_LATENCY) {
		at = box + offsetof(struct vcpu_box, bins) +
		     td_hist_index(r->latency) * sizeof(u32);
		ret = guest_shared(g, at, &bins);
		if (ret)
			return ret;
		count_latency(r, bins);
	}
	write_box(g, b);
	r->dirty = 0;
	return 0;
}

static int box_page(struct guest *g, u64 gpa, struct td_box **box)
{
	void *va;
	int ret = guest_shared(g, gpa, &va);

	if (!ret)
		*box = va;
	return ret;
}

/* ------------------------------------------------------------ what programs do */

static u64 stamp_of(const struct guest *g, u64 gpa)
{
	return (gpa + g->v.tdr_pa) * STAMP | 1;
}

static void use_page(struct guest *g, u64 gpa, u64 hpa)
{
	u64 *word = emu_va(g->m, hpa), found = READ_ONCE(*word), stamp = stamp_of(g, gpa);

	if (found && found != stamp)
		guest_event(g, EMU_EVENT_CONTENTS, gpa, hpa, "a private page has foreign contents");
	WRITE_ONCE(*word, stamp);
}

/* Accepts the page if need be, and writes to it. *@level is that of its mapping. */
static int touch_page(struct guest *g, u64 gpa, unsigned int *level)
{
	int accepted = 0, ret;
	u64 hpa;

	*level = 0;
	if (!guest_cached(g, gpa, &hpa)) {
		accepted = guest_accept(g, gpa, level);
		if (accepted < 0)
			return accepted;
		ret = guest_private(g, gpa, EPT_QUAL_WRITE, &hpa);
		if (ret)
			return ret;
	}
	use_page(g, gpa, hpa);
	if (accepted)
		g->r->slow = 1;
	return 0;
}

static int env_touch(void *ctx, uint64_t address, int level)
{
	struct guest *g = ctx;
	struct vcpu_run *r = g->r;
	u64 gpa = r->image.memory_gpa + address;
	unsigned int mapped;
	int ret;

	if (g->exited)
		return -TD_EAGAIN;
	if (!r->touching) {
		r->touch_start = guest_tsc(g);
		r->touching = 1;
		r->slow = 0;
	}
	ret = touch_page(g, gpa + r->touch_page * TD_PAGE_4K, &mapped);
	if (ret)
		return ret;
	/* A 2M touch that the host backs with 4K pages is that of them all. */
	if (level && !mapped && ++r->touch_page < PAGES_PER_2M)
		return -TD_EAGAIN;
	if (r->slow)
		r->latency = nanoseconds(g, guest_tsc(g) - r->touch_start);
	r->touch_page = 0;
	r->touching = 0;
	r->touches++;
	r->dirty = 1;
	return 0;
}

static int env_convert(void *ctx, uint64_t address, int to_private)
{
	struct guest *g = ctx;
	struct vcpu_run *r = g->r;
	u64 gpa = r->image.memory_gpa + address;
	void *va;
	int ret;

	if (!r->converted) {
		ret = guest_vmcall(g, VMCALL_MAP_GPA, to_private ? gpa : gpa | guest_shared_bit(g),
				   TD_PAGE_4K, 0, 0);
		if (ret)
			return ret;
		if (r->vmcall_r10 == VMCALL_RETRY)
			return -TD_EAGAIN;
		if (r->vmcall_r10)
			return -GUEST_EIO;
		r->converted = 1;
	}
	if (!to_private && r->image.flags & TD_IMAGE_TOUCH_SHARED) {
		ret = guest_shared(g, gpa, &va);
		if (ret)
			return ret;
		WRITE_ONCE(*(u64 *)va, stamp_of(g, gpa));
	}
	r->converted = 0;
	r->conversions++;
	r->dirty = 1;
	return 0;
}

static int env_barrier(void *ctx, uint32_t id, enum td_scope scope)
{
	struct guest *g = ctx;
	struct vcpu_run *r = g->r;
	struct td_barrier *b;
	struct td_box *box;
	int ret;

	if (id >= TD_BARRIERS)
		return -GUEST_EINVAL;
	/* The nap between two looks first: its VMCALLs are under way. */
	if (r->napping) {
		ret = nap(g, td_barrier_nap(r->barrier_naps));
		if (ret)
			return ret;
		r->barrier_naps++;
	}
	ret = box_page(g, scope == TD_SCOPE_ALL ? r->image.all_box : r->image.td_box, &box);
	if (ret)
		return ret;
	b = &box->barrier[id];
	if (r->barrier != id + 1) {
		u64 members = READ_ONCE(b->members), ticket;

		if (!members)
			return -GUEST_EINVAL;
		ticket = xadd(&b->joined, 1);
		r->barrier_target = (ticket / members + 1) * members;
		r->barrier = id + 1;
		r->barrier_naps = 0;
	}
	/* Behind the barrier is what others did before they joined, by xadd(). */
	if (smp_load_acquire(&b->joined) < r->barrier_target && !READ_ONCE(box->stop)) {
		ret = nap(g, td_barrier_nap(r->barrier_naps));
		return ret ? ret : -TD_EAGAIN;
	}
	r->barrier = 0;
	return 0;
}

static int env_idle(void *ctx, uint64_t ns)
{
	return nap(ctx, ns);
}

static int env_pace(void *ctx, uint64_t ns)
{
	struct guest *g = ctx;
	struct vcpu_run *r = g->r;
	int ret;

	if (r->pace_ns != ns) {
		r->pace_ns = ns;
		r->pace_next = guest_tsc(g);
	}
	ret = idle_until(g, r->pace_next);
	if (ret)
		return ret;
	r->touch_start = r->pace_next;
	r->touching = 1;
	r->slow = 0;
	r->pace_next += cycles(g, ns);
	return 0;
}

static void env_phase(void *ctx, uint32_t n)
{
	struct guest *g = ctx;
	struct vcpu_run *r = g->r;

	r->phase_nr = n;
	r->pace_ns = 0;
	r->mark.phase = n;
	r->mark.tsc = guest_tsc(g);
	r->nr_marks++;
	r->dirty = 1;
}

static int env_stop(void *ctx)
{
	struct guest *g = ctx;
	struct td_box *td, *all;

	/* If the guest exits here nothing else is done in this step, and it comes again. */
	if (box_page(g, g->r->image.td_box, &td) || box_page(g, g->r->image.all_box, &all))
		return 0;
	return READ_ONCE(td->stop) || READ_ONCE(all->stop);
}

static int env_fetch(void *ctx, uint32_t pc, struct td_insn *in)
{
	struct guest *g = ctx;

	return guest_read(g, g->r->record.program + sizeof(struct td_program) + pc * sizeof(*in),
			  in, sizeof(*in));
}

static void step_program(struct guest *g)
{
	struct vcpu_run *r = g->r;
	const struct td_env env = {
		.ctx = g,
		.touch = env_touch,
		.convert = env_convert,
		.barrier = env_barrier,
		.idle = env_idle,
		.pace = env_pace,
		.phase = env_phase,
		.stop = env_stop,
		.fetch = env_fetch,
	};
	enum td_step step = td_step(&r->cpu, &env);

	if (step == TD_STEP_DONE || step == TD_STEP_BLOCKED || g->exited)
		return;
	if (step == TD_STEP_ERROR)
		r->error = r->cpu.error;
	r->end_tsc = guest_tsc(g);
	r->dirty = 1;
	r->phase = RUN_REPORT;
}

/* -------------------------------------------------------------- getting there */

static bool is_page(u64 gpa)
{
	return gpa && !(gpa & (TD_PAGE_4K - 1));
}

/* NULL if the record and the header agree with each other and with the TD. */
static const char *image_fault(const struct guest *g)
{
	const struct td_image *i = &g->r->image;
	const struct td_record *r = &g->r->record;

	if (i->magic != TD_IMAGE_MAGIC || i->version != TD_IMAGE_VERSION || i->gpa != r->image)
		return "no image header of this version";
	if (!i->nr_vcpus || i->nr_vcpus > TD_IMAGE_VCPUS_MAX || r->vcpu >= i->nr_vcpus ||
	    g->v.vp->initial_rcx != i->gpa + sizeof(*i) + r->vcpu * sizeof(*r))
		return "the vCPU's record is not one of the image's";
	if (i->shared_bit != g->v.tdcs->shared_bit)
		return "the image has another shared bit than the TD";
	if (!is_page(i->td_box) || !is_page(i->all_box) || !is_page(i->vcpu_box))
		return "the mailbox is not at page boundaries";
	if (!is_page(i->payload_gpa) || i->payload_gpa >= TD_IMAGE_END || i->gpa >= i->payload_gpa)
		return "the payload does not end the image";
	if (i->memory_gpa & (TD_PAGE_2M - 1) || i->memory_size > TD_MEMORY_MAX ||
	    (i->memory_gpa < TD_IMAGE_END && i->memory_gpa + i->memory_size > i->gpa))
		return "the programs' memory meets the image";
	if (r->program % 8 || r->program < i->gpa || r->program > i->payload_gpa ||
	    r->program_size < sizeof(struct td_program) ||
	    r->program_size > i->payload_gpa - r->program)
		return "the program is not in the image";
	return NULL;
}

static int find_record(struct guest *g)
{
	u64 gpa = g->v.vp->initial_rcx;
	int ret;

	if (gpa % 8 || gpa >= TD_IMAGE_END)
		return guest_exit_shutdown(g, "the initial RCX is not in an image");
	ret = guest_read(g, gpa, &g->r->record, sizeof(g->r->record));
	if (!ret && (g->r->record.magic != TD_RECORD_MAGIC || g->r->record.image >= gpa))
		return guest_exit_shutdown(g, "the initial RCX leads to no vCPU record");
	return ret;
}

static int read_image(struct guest *g)
{
	int ret = guest_read(g, g->r->record.image, &g->r->image, sizeof(g->r->image));
	const char *fault;

	if (ret)
		return ret;
	fault = image_fault(g);
	return fault ? guest_exit_shutdown(g, fault) : 0;
}

/* A malformed program is reported in the mailbox, as the program's own failure. */
static int load_program(struct guest *g)
{
	struct td_program header;
	int ret = guest_read(g, g->r->record.program, &header, sizeof(header));

	if (ret)
		return ret;
	if (!td_cpu_init_fetched(&g->r->cpu, &header, g->r->record.program_size) &&
	    header.memory > g->r->image.memory_size)
		g->r->cpu.error = -GUEST_EINVAL;
	return 0;
}

static int find_box(struct guest *g)
{
	struct td_box *td, *all;
	int ret = box_page(g, g->r->image.td_box, &td);

	if (!ret)
		ret = box_page(g, g->r->image.all_box, &all);
	if (ret)
		return ret;
	if (td->magic != TD_MAILBOX_MAGIC || td->version != TD_IMAGE_VERSION ||
	    all->magic != TD_MAILBOX_MAGIC || all->version != TD_IMAGE_VERSION)
		return guest_exit_shutdown(g, "no mailbox of this version");
	g->r->start_tsc = guest_tsc(g);
	g->r->dirty = 1;
	return 0;
}

static int write_msr(struct guest *g, u64 msr, u64 value)
{
	int ret = guest_vmcall(g, VMCALL_WRMSR, msr, value, 0, 0);

	if (!ret && g->r->vmcall_r10)
		return guest_exit_shutdown(g, "the host refuses the APIC timer");
	return ret;
}

static int step_phase(struct guest *g)
{
	struct vcpu_run *r = g->r;
	u64 hpa;
	int ret;

	switch ((enum run_phase)r->phase) {
	case RUN_RESET:
		return guest_private(g, TD_RESET_VECTOR, EPT_QUAL_FETCH, &hpa);
	case RUN_RECORD:
		return find_record(g);
	case RUN_IMAGE:
		return read_image(g);
	case RUN_LOAD:
		return load_program(g);
	case RUN_BOX:
		return find_box(g);
	case RUN_APIC:
		return write_msr(g, MSR_APIC_SVR, APIC_SVR_ENABLE);
	case RUN_TIMER:
		return write_msr(g, MSR_APIC_LVT_TIMER, APIC_TIMER_DEADLINE | TD_TIMER_VECTOR);
	case RUN_PROGRAM:
		ret = flush_report(g);
		if (!ret)
			step_program(g);
		return ret ? ret : -TD_EAGAIN;
	case RUN_REPORT:
		return flush_report(g);
	case RUN_DONE:
		return guest_vmcall(g, VMCALL_IO, 4, 1, TD_DONE_PORT, box_state(r));
	case RUN_OVER:
		ret = guest_vmcall(g, VMCALL_HLT, 0, 0, 0, 0);
		return ret ? ret : -TD_EAGAIN;
	}
	return -GUEST_EFAULT;
}

int guest_step(struct guest *g)
{
	int ret = step_phase(g);

	/* Most phases are one thing, and then comes the next one; PROGRAM sets it itself. */
	if (!ret && !g->exited)
		g->r->phase++;
	if (ret && ret != -TD_EAGAIN && !g->exited)
		guest_exit_shutdown(g, "the vCPU cannot go on");
	return ret;
}
