// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workload compiler. A fault phase takes the next share of the TD's
 * memory; what of it lies below the huge part is touched in 4K pages, the rest
 * in 2M pages, each part divided among the vCPUs by the phase's order. Ranges
 * become one or two instructions, so a program has a few instructions a phase
 * whatever the size of the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "td/compile.h"

_Static_assert(TD_EAGAIN == EAGAIN, "the interpreter knows EAGAIN by its number");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "programs are little endian");
_Static_assert(WL_PAGE == TD_PAGE_4K && WL_2M == TD_PAGE_2M, "one idea of pages");

struct compiler {
	const struct workload *w;
	const struct wl_td *td;
	unsigned int group;
	uint64_t vcpu, seed;
	struct td_program *program;
	uint64_t shares; /* percent taken by the fault phases so far */
	int error;	 /* the first one */
};

static void emit(struct compiler *c, struct td_insn insn)
{
	struct td_program *grown;
	uint32_t count = c->program->count;

	if (c->error)
		return;
	if (count == TD_PROGRAM_MAX) {
		c->error = -E2BIG;
		return;
	}
	grown = realloc(c->program, td_program_size(count + 1));
	if (!grown) {
		c->error = -ENOMEM;
		return;
	}
	c->program = grown;
	grown->insn[count] = insn;
	grown->count++;
}

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

/* Pages of @size from @lo to @hi, one after the other. */
static void emit_touch(struct compiler *c, uint64_t lo, uint64_t hi, uint64_t size)
{
	if (lo >= hi)
		return;
	emit(c, (struct td_insn){.op = TD_OP_TOUCH,
				 .flags = size == TD_PAGE_2M ? TD_TOUCH_2M : 0,
				 .n = (uint32_t)((hi - lo) / size),
				 .a = lo,
				 .b = size});
}

/*
 * Each vCPU streams one slice. Slices end at 2M boundaries, so that no region
 * of the guest has two vCPUs, unless there are fewer chunks than vCPUs.
 */
static void emit_split(struct compiler *c, uint64_t lo, uint64_t hi, uint64_t size)
{
	uint64_t vcpus = c->td->vcpus;
	uint64_t unit = hi - lo >= vcpus * TD_PAGE_2M ? TD_PAGE_2M : size;
	uint64_t units = (hi - lo) / unit;
	uint64_t from = lo + units * c->vcpu / vcpus * unit;
	uint64_t to = lo + units * (c->vcpu + 1) / vcpus * unit;

	if (unit == TD_PAGE_2M) {
		/* boundaries between slices are those of the regions */
		from = c->vcpu ? from / TD_PAGE_2M * TD_PAGE_2M : lo;
		to = c->vcpu + 1 < vcpus ? to / TD_PAGE_2M * TD_PAGE_2M : hi;
	}
	emit_touch(c, from, to, size);
}

/* Page by page in turn: all vCPUs are in the same region. */
static void emit_interleave(struct compiler *c, uint64_t lo, uint64_t hi, uint64_t size)
{
	uint64_t pages = (hi - lo) / size, vcpus = c->td->vcpus;

	if (c->vcpu >= pages)
		return;
	emit(c, (struct td_insn){.op = TD_OP_TOUCH,
				 .flags = size == TD_PAGE_2M ? TD_TOUCH_2M : 0,
				 .n = (uint32_t)((pages - c->vcpu + vcpus - 1) / vcpus),
				 .a = lo + c->vcpu * size,
				 .b = vcpus * size});
}

/*
 * Whole chunks in a permuted order, dealt out in turn; the pages before the
 * first and behind the last whole chunk are vCPU 0's.
 */
static void emit_random(struct compiler *c, uint64_t lo, uint64_t hi, uint64_t size)
{
	uint64_t first = round_up(lo, TD_PAGE_2M), last = hi / TD_PAGE_2M * TD_PAGE_2M;
	uint64_t chunks, vcpus = c->td->vcpus;

	if (first >= last) {
		emit_split(c, lo, hi, size);
		return;
	}
	chunks = (last - first) / TD_PAGE_2M;
	if (!c->vcpu)
		emit_touch(c, lo, first, size);
	if (c->vcpu < chunks) {
		emit(c,
		     (struct td_insn){
			     .op = TD_OP_RANGE, .n = (uint32_t)chunks, .a = first, .b = c->seed});
		emit(c, (struct td_insn){.op = TD_OP_WALK,
					 .flags = size == TD_PAGE_2M ? TD_TOUCH_2M : 0,
					 .n = (uint32_t)((chunks - c->vcpu + vcpus - 1) / vcpus),
					 .a = c->vcpu,
					 .b = vcpus});
	}
	if (!c->vcpu)
		emit_touch(c, last, hi, size);
}

static void emit_range(struct compiler *c, const struct wl_phase *p, uint64_t lo, uint64_t hi,
		       uint64_t size)
{
	if (lo >= hi)
		return;
	if (p->order.pick == WL_SPLIT)
		emit_split(c, lo, hi, size);
	else if (p->order.pick == WL_INTERLEAVE)
		emit_interleave(c, lo, hi, size);
	else
		emit_random(c, lo, hi, size);
}

/* The GPA where @percent of the memory behind the image ends; whole pages. */
static uint64_t share_end(const struct wl_td *td, uint64_t percent)
{
	uint64_t pages = (td->memory - td->image) / TD_PAGE_4K;
	uint64_t huge = workload_huge_start(td);
	uint64_t end = td->image + pages * percent / 100 * TD_PAGE_4K;

	return end > huge ? end / TD_PAGE_2M * TD_PAGE_2M : end;
}

static void emit_fault(struct compiler *c, const struct wl_phase *p)
{
	uint64_t huge = workload_huge_start(c->td);
	uint64_t lo = share_end(c->td, c->shares), hi;

	c->shares = p->share == WL_REST ? 100 : c->shares + p->share;
	hi = share_end(c->td, c->shares);
	if (c->w->arrivals.pick == WL_OPEN)
		emit(c, (struct td_insn){.op = TD_OP_PACE, .b = c->w->arrivals.arg});
	emit_range(c, p, lo, hi < huge ? hi : huge, TD_PAGE_4K);
	emit_range(c, p, lo > huge ? lo : huge, hi, TD_PAGE_2M);
}

static struct td_insn flip_insn(const struct wl_phase *p, uint64_t gpa, uint64_t stride)
{
	return (struct td_insn){.op = TD_OP_FLIP,
				.flags = p->touch.pick == WL_YES ? 0 : TD_FLIP_NO_TOUCH,
				.arg = 1,
				.a = gpa,
				.b = stride};
}

/* Page i is vCPU (i modulo vcpus)'s: no page has two vCPUs. */
static void emit_convert(struct compiler *c, const struct wl_phase *p)
{
	uint64_t start = workload_convert_start(c->td, p), vcpus = c->td->vcpus;
	struct td_insn insn;

	if (c->vcpu >= p->pages)
		return;
	emit(c, (struct td_insn){.op = TD_OP_GAP, .b = p->gap});
	insn = flip_insn(p, start + c->vcpu * p->stride, vcpus * p->stride);
	if (p->flips.nr == 1) {
		insn.n = p->flips.forever ? 0 : p->flips.count[0];
		insn.arg = (uint16_t)((p->pages - c->vcpu + vcpus - 1) / vcpus);
		emit(c, insn);
		return;
	}
	for (uint64_t i = c->vcpu; i < p->pages; i += vcpus) {
		insn = flip_insn(p, start + i * p->stride, p->stride);
		insn.n = p->flips.count[i];
		emit(c, insn);
	}
}

static void emit_barrier(struct compiler *c, unsigned int phase, bool first)
{
	bool all = c->w->phases[phase].together.pick == WL_YES;

	if (all || (!first && c->td->vcpus > 1))
		emit(c, (struct td_insn){.op = TD_OP_BARRIER,
					 .arg = all ? TD_SCOPE_ALL : TD_SCOPE_TD,
					 .n = phase});
}

static void emit_phase(struct compiler *c, unsigned int phase)
{
	const struct wl_phase *p = &c->w->phases[phase];

	emit(c, (struct td_insn){.op = TD_OP_PHASE, .n = phase});
	if (p->work.pick == WL_FAULT)
		emit_fault(c, p);
	else if (p->work.pick == WL_CONVERT)
		emit_convert(c, p);
	else
		emit(c, (struct td_insn){.op = TD_OP_IDLE, .b = p->time});
}

static void emit_program(struct compiler *c)
{
	bool first = true;

	for (unsigned int i = 0; i < c->w->nr_phases; i++) {
		if (!workload_takes_part(c->w, i, c->group))
			continue;
		emit_barrier(c, i, first);
		emit_phase(c, i);
		first = false;
	}
	emit(c, (struct td_insn){.op = TD_OP_END});
}

int td_compile(const struct workload *w, unsigned int group, unsigned int vcpu, uint64_t seed,
	       struct td_program **out, struct td_error *err)
{
	struct compiler c = {.w = w, .group = group, .vcpu = vcpu, .seed = seed};

	*out = NULL;
	if (group >= w->nr_tds || vcpu >= w->tds[group].vcpus)
		return td_fail(err, -EINVAL, "%s: there is no vCPU %u in group %u", w->name, vcpu,
			       group);
	c.td = &w->tds[group];
	c.program = calloc(1, td_program_size(0));
	if (!c.program)
		return td_fail(err, -ENOMEM, "out of memory");
	c.program->magic = TD_PROGRAM_MAGIC;
	c.program->version = TD_PROGRAM_VERSION;
	c.program->memory = c.td->memory;
	emit_program(&c);
	if (c.error) {
		free(c.program);
		return td_fail(err, c.error, "%s: the program of td %s is too long", w->name,
			       c.td->name);
	}
	*out = c.program;
	return 0;
}

uint64_t td_program_touches(const struct td_program *program)
{
	uint64_t touches = 0;

	for (uint32_t i = 0; i < program->count; i++) {
		const struct td_insn *in = &program->insn[i];
		bool huge = in->flags & TD_TOUCH_2M;

		if (in->op == TD_OP_TOUCH)
			touches += in->n;
		else if (in->op == TD_OP_WALK)
			touches += in->n * (huge ? 1 : TD_PAGE_2M / TD_PAGE_4K);
	}
	return touches;
}

uint64_t td_program_flips(const struct td_program *program)
{
	uint64_t flips = 0;

	for (uint32_t i = 0; i < program->count; i++)
		if (program->insn[i].op == TD_OP_FLIP)
			flips += (uint64_t)program->insn[i].n * program->insn[i].arg;
	return flips;
}
