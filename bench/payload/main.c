// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest side of a TD program: the interpreter's callbacks by TDCALL.
 *
 * A first touch is TDG.MEM.PAGE.ACCEPT, which exits with an EPT violation until
 * the VMM has given the page, and a store. Its latency is the guest's own clock
 * around both. Waiting never spins for long: it arms the local APIC's timer and
 * halts, so that a host with fewer CPUs than vCPUs makes progress.
 *
 * Freestanding, position independent, no variables: the state of a vCPU is the
 * struct guest at the bottom of its stack page.
 */
#include <stddef.h>
#include <stdint.h>

#include "image.h"
#include "payload.h"

#define EINVAL 22
#define EFAULT 14
#define EIO 5

#define TDG_VP_VMCALL 0
#define TDG_MEM_PAGE_ACCEPT 6

#define VMCALL_REGS 0xfc00 /* R10 .. R15 */
#define VMCALL_HLT 12
#define VMCALL_IO 30
#define VMCALL_WRMSR 32
#define VMCALL_MAP_GPA 0x10001
#define VMCALL_RETRY 1

#define STATUS(st) ((st) >> 32)
#define ST_INTERRUPTED 0x80000003ULL
#define ST_OPERAND_BUSY 0x80000200ULL
#define ST_HOST_PRIORITY 0x80000204ULL
#define ST_ALREADY_ACCEPTED 0x00000b0aULL
#define ST_SIZE_MISMATCH 0xc0000b0bULL

#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_SVR 0x80f
#define MSR_X2APIC_LVT_TIMER 0x832
#define SVR_ENABLE 0x1ff
#define LVT_TSC_DEADLINE 0x40000

#define SPIN_NS 20000 /* a wait shorter than this is not worth a timer */

struct guest {
	uint64_t wakeups;
	const struct td_image *image;
	volatile struct td_box *all, *td;
	volatile struct vcpu_box *box;
	uint64_t tsc_mult;   /* ns = ticks * tsc_mult >> 32 */
	uint32_t timer;	     /* the local APIC's works */
	uint32_t barrier;    /* that was joined, plus one; 0: none */
	uint32_t target;     /* the count that opens it */
	uint32_t naps;	     /* at it */
	uint64_t idle_until; /* ns; 0: not idle */
	uint64_t pace, pace_next, due;
	struct td_cpu cpu;
};

_Static_assert(PAYLOAD_VECTOR == TD_TIMER_VECTOR, "the gates end there");
_Static_assert(offsetof(struct td_image, nr_vcpus) == IMAGE_VCPUS, "start.S reads it");
_Static_assert(offsetof(struct td_record, vcpu) == RECORD_VCPU, "start.S reads it");
_Static_assert(offsetof(struct td_record, image) == RECORD_IMAGE, "start.S reads it");
_Static_assert(offsetof(struct guest, wakeups) == GUEST_WAKEUPS, "start.S counts there");
_Static_assert(sizeof(struct guest) < 1024, "the stack above it needs its room");

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void pause(void)
{
	asm volatile("pause" : : : "memory");
}

static uint64_t now_ns(const struct guest *g)
{
	return (uint64_t)((unsigned __int128)rdtsc() * g->tsc_mult >> 32);
}

/* Ticks in @ns < 2^60. */
static uint64_t ns_ticks(const struct guest *g, uint64_t ns)
{
	uint64_t q, r;

	asm("divq %4" : "=a"(q), "=d"(r) : "a"(ns << 32), "d"(ns >> 32), "r"(g->tsc_mult));
	return q;
}

static volatile void *shared(uint64_t gpa)
{
	return (volatile void *)(PAYLOAD_SHARED + gpa);
}

/* ----------------------------------------------------------------- TDCALLs */

static uint64_t vmcall(uint64_t fn, uint64_t r12, uint64_t r13, uint64_t r14, uint64_t r15,
		       uint64_t *r11)
{
	struct tdcall t = {
		.rcx = VMCALL_REGS, .r11 = fn, .r12 = r12, .r13 = r13, .r14 = r14, .r15 = r15,
	};

	payload_tdcall(TDG_VP_VMCALL, &t);
	if (r11)
		*r11 = t.r11;
	return t.r10;
}

static uint64_t write_msr(uint32_t msr, uint64_t value)
{
	return vmcall(VMCALL_WRMSR, msr, value, 0, 0, NULL);
}

static int retry(uint64_t status)
{
	return STATUS(status) == ST_OPERAND_BUSY || STATUS(status) == ST_HOST_PRIORITY ||
	       STATUS(status) == ST_INTERRUPTED;
}

static uint64_t accept(uint64_t gpa, int level)
{
	uint64_t status;

	do {
		struct tdcall t = { .rcx = gpa | (unsigned int)level };

		status = payload_tdcall(TDG_MEM_PAGE_ACCEPT, &t);
	} while (retry(status));
	return status;
}

/* -------------------------------------------------------------- waiting */

static void halt_until(struct guest *g, uint64_t until)
{
	struct tdcall t = { .rcx = VMCALL_REGS, .r11 = VMCALL_HLT };
	uint64_t now;

	asm volatile("cli" : : : "memory");
	now = now_ns(g);
	if (now < until &&
	    !write_msr(MSR_TSC_DEADLINE, rdtsc() + ns_ticks(g, until - now))) {
		payload_tdcall_sti(TDG_VP_VMCALL, &t);
		g->box->idles++;
	}
	asm volatile("sti" : : : "memory");
	g->box->interrupts = g->wakeups;
}

/* Some of the time until @until passes. */
static void pass_time(struct guest *g, uint64_t until)
{
	uint64_t now = now_ns(g);

	if (now < until && until - now > SPIN_NS && g->timer)
		halt_until(g, until);
	else
		pause();
}

static int env_idle(void *ctx, uint64_t ns)
{
	struct guest *g = ctx;
	uint64_t now = now_ns(g);

	if (!g->idle_until)
		g->idle_until = now + ns;
	if (now < g->idle_until) {
		pass_time(g, g->idle_until);
		return -TD_EAGAIN;
	}
	g->idle_until = 0;
	return 0;
}

static int env_pace(void *ctx, uint64_t ns)
{
	struct guest *g = ctx;
	uint64_t now = now_ns(g);

	if (g->pace != ns) {
		g->pace = ns;
		g->pace_next = now;
	}
	if (now < g->pace_next) {
		pass_time(g, g->pace_next);
		return -TD_EAGAIN;
	}
	g->due = g->pace_next;
	g->pace_next += ns;
	return 0;
}

/* Arrivals are counted for ever: each knows the count at which its round is complete. */
static int join(struct guest *g, uint32_t id, volatile struct td_barrier *b)
{
	uint32_t ticket, members = b->members;

	if (!members)
		return -EINVAL;
	ticket = __atomic_fetch_add(&b->joined, 1, __ATOMIC_ACQ_REL);
	g->barrier = id + 1;
	g->naps = 0;
	g->target = (ticket / members + 1) * members;
	return 0;
}

static int env_barrier(void *ctx, uint32_t id, enum td_scope scope)
{
	struct guest *g = ctx;
	volatile struct td_box *box = scope == TD_SCOPE_ALL ? g->all : g->td;
	volatile struct td_barrier *b = &box->barrier[id];
	uint64_t begin = now_ns(g);
	int ret = 0;

	if (id >= TD_BARRIERS)
		return -EINVAL;
	if (g->barrier != id + 1)
		ret = join(g, id, b);
	if (ret)
		return ret;
	while ((int32_t)(__atomic_load_n(&b->joined, __ATOMIC_ACQUIRE) - g->target) < 0 &&
	       !box->stop) {
		if (now_ns(g) - begin >= SPIN_NS) {
			pass_time(g, now_ns(g) + td_barrier_nap(g->naps++));
			return -TD_EAGAIN;
		}
		pause();
	}
	g->barrier = 0;
	return 0;
}

/* ------------------------------------------------------------------ memory */

static void add_latency(struct guest *g, uint64_t start)
{
	volatile struct vcpu_box *b = g->box;
	uint64_t now = now_ns(g), ns = now > start ? now - start : 0;

	b->bins[td_hist_index(ns)]++;
	b->hist_sum += ns;
	if (!b->hist_count || ns < b->hist_min)
		b->hist_min = ns;
	if (ns > b->hist_max)
		b->hist_max = ns;
	b->hist_count++;
	b->touches++;
}

static int accept_4k_pages(struct guest *g, uint64_t gpa)
{
	uint64_t status, end = gpa + TD_PAGE_2M;

	for (; gpa < end; gpa += TD_PAGE_4K) {
		status = accept(gpa, 0);
		if (STATUS(status) == ST_ALREADY_ACCEPTED)
			continue;
		if (status)
			return -EIO;
		g->box->accepts++;
	}
	return 0;
}

static int env_touch(void *ctx, uint64_t at, int level)
{
	struct guest *g = ctx;
	uint64_t gpa = g->image->memory_gpa + at, start = g->due ? g->due : now_ns(g), status;
	int ret;

	g->due = 0;
	status = accept(gpa, level);
	if (STATUS(status) == ST_ALREADY_ACCEPTED)
		return 0;
	if (STATUS(status) == ST_SIZE_MISMATCH && level) {
		/* KVM mapped it 4K by 4K */
		ret = accept_4k_pages(g, gpa);
		if (ret)
			return ret;
	} else if (status) {
		return -EIO;
	} else {
		g->box->accepts++;
	}
	*(volatile uint64_t *)gpa = gpa;
	add_latency(g, start);
	return 0;
}

static int env_convert(void *ctx, uint64_t at, int to_private)
{
	struct guest *g = ctx;
	uint64_t gpa = g->image->memory_gpa + at, ret, next;
	uint64_t target = to_private ? gpa : gpa | 1ULL << g->image->shared_bit;

	do {
		ret = vmcall(VMCALL_MAP_GPA, target, TD_PAGE_4K, 0, 0, &next);
	} while (ret == VMCALL_RETRY);
	if (ret)
		return -EIO;
	if (!to_private && g->image->flags & TD_IMAGE_TOUCH_SHARED)
		*(volatile uint64_t *)shared(gpa) = gpa;
	g->box->conversions++;
	return 0;
}

static void env_phase(void *ctx, uint32_t n)
{
	struct guest *g = ctx;
	uint32_t nr = g->box->nr_marks;

	g->pace = 0;
	g->due = 0;
	g->box->phase = n;
	if (nr >= TD_MARKS)
		return;
	g->box->marks[nr].phase = n;
	g->box->marks[nr].tsc = rdtsc();
	g->box->nr_marks = nr + 1;
}

static int env_stop(void *ctx)
{
	struct guest *g = ctx;

	return g->all->stop || g->td->stop;
}

/* -------------------------------------------------------------- beginning, end */

static void finish(struct guest *g, enum td_vcpu_state state, int error)
{
	g->box->interrupts = g->wakeups;
	g->box->error = error;
	g->box->end_tsc = rdtsc();
	__atomic_store_n(&g->box->state, state, __ATOMIC_RELEASE);
	vmcall(VMCALL_IO, 4, 1, TD_DONE_PORT, state, NULL);
}

/* ns of a tick: the VMM says the clock's rate, else the CPU. */
static uint64_t clock_mult(uint64_t khz)
{
	uint32_t a = 0x15, b, c = 0, d;

	if (!khz) {
		asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		khz = a ? (uint64_t)c * b / a / 1000 : 0;
	}
	return khz ? (1000000ULL << 32) / khz : 0;
}

static void timer_init(struct guest *g)
{
	g->timer = !write_msr(MSR_X2APIC_SVR, SVR_ENABLE) &&
		   !write_msr(MSR_X2APIC_LVT_TIMER, LVT_TSC_DEADLINE | TD_TIMER_VECTOR);
}

static int init(struct guest *g, const struct td_record *record)
{
	const struct td_image *image = (const struct td_image *)record->image;

	*g = (struct guest){ .image = image };
	g->all = shared(image->all_box);
	g->td = shared(image->td_box);
	g->box = shared(image->vcpu_box + record->vcpu * sizeof(struct vcpu_box));
	g->tsc_mult = clock_mult(g->box->tsc_khz);
	g->box->start_tsc = rdtsc();
	__atomic_store_n(&g->box->state, TD_VCPU_RUNNING, __ATOMIC_RELEASE);
	if (image->magic != TD_IMAGE_MAGIC || image->version != TD_IMAGE_VERSION ||
	    record->magic != TD_RECORD_MAGIC || !g->tsc_mult)
		return -EINVAL;
	timer_init(g);
	asm volatile("sti" : : : "memory");
	return td_cpu_init(&g->cpu, (const void *)record->program, record->program_size);
}

/* Entered on the vCPU's own stack, with @g at the other end of it. Returns to idle for ever. */
void payload_main(struct guest *g, const struct td_record *record)
{
	const struct td_env env = {
		.ctx = g,
		.touch = env_touch,
		.convert = env_convert,
		.barrier = env_barrier,
		.idle = env_idle,
		.pace = env_pace,
		.phase = env_phase,
		.stop = env_stop,
	};
	int error = init(g, record);
	enum td_step step = error ? TD_STEP_ERROR : TD_STEP_DONE;

	while (step == TD_STEP_DONE || step == TD_STEP_BLOCKED)
		step = td_step(&g->cpu, &env);
	finish(g, step == TD_STEP_END ? TD_VCPU_DONE : TD_VCPU_FAILED,
	       error ? error : g->cpu.error);
}

void payload_fault(struct guest *g)
{
	finish(g, TD_VCPU_FAILED, -EFAULT);
}

/* The compiler may ask for these. */
void *memset(void *to, int c, size_t n);
void *memset(void *to, int c, size_t n)
{
	void *d = to;

	asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n);
void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}
