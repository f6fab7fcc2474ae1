// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interpreter of TD programs, the only one: host executors, the software
 * TDX module's VP.ENTER and the guest payload all run this file. Freestanding:
 * no libc, no globals, no allocation, no recursion.
 *
 * A step is done when its callback returns 0, and only then does the state
 * move; a callback that answers -TD_EAGAIN therefore sees the same call again.
 * td_cpu_init() checks the whole program. td_step() trusts only what it copied
 * into td_cpu, because the memory that a program lives in may belong to a
 * guest.
 */
#include "program.h"

#define TD_EINVAL 22

enum flip_half { FLIP_SHARED, FLIP_PRIVATE, FLIP_TOUCH, FLIP_GAP };

/*
 * A bijection of [0, 2^bits), walked until it lands below @chunks. 2^bits is
 * less than twice @chunks, and a cycle leads back to i < chunks at the latest,
 * so the walk ends, after less than two steps on average.
 */
uint32_t td_permute(uint32_t i, uint32_t chunks, uint64_t seed)
{
	uint32_t bits = chunks > 1 ? 32 - (uint32_t)__builtin_clz(chunks - 1) : 1;
	uint32_t mask = bits < 32 ? (1U << bits) - 1 : ~0U;
	uint32_t shift = (bits + 1) / 2;
	uint32_t add = (uint32_t)seed, multiply = (uint32_t)(seed >> 32) | 1;

	do {
		for (int round = 0; round < 3; round++) {
			i = (i + add) & mask;
			i = (i * multiply) & mask;
			i ^= i >> shift;
			i = (i * 0x9e3779b1U) & mask;
			i ^= i >> shift;
		}
	} while (i >= chunks);
	return i;
}

/* Do @n pages of @size bytes from @a at every @b bytes lie below @memory? */
static int pages_ok(uint64_t a, uint64_t b, uint64_t n, uint64_t size, uint64_t memory)
{
	if (!n || !b || a % size || b % size || a > memory || size > memory - a)
		return 0;
	return n - 1 <= (memory - size - a) / b;
}

static int walk_ok(const struct td_insn *in, uint64_t chunks)
{
	return in->n && in->a < chunks && in->b && in->flags <= TD_TOUCH_2M &&
	       in->n - 1 <= (chunks - 1 - in->a) / in->b;
}

/* Is the instruction well-formed behind a RANGE of *chunks? */
static int insn_ok(const struct td_insn *in, uint64_t memory, uint32_t *chunks)
{
	switch (in->op) {
	case TD_OP_TOUCH:
		return in->flags <= TD_TOUCH_2M &&
		       pages_ok(in->a, in->b, in->n,
				in->flags & TD_TOUCH_2M ? TD_PAGE_2M : TD_PAGE_4K, memory);
	case TD_OP_RANGE:
		*chunks = in->n;
		return !in->flags && pages_ok(in->a, TD_PAGE_2M, in->n, TD_PAGE_2M, memory);
	case TD_OP_WALK:
		return walk_ok(in, *chunks);
	case TD_OP_FLIP:
		return in->flags <= TD_FLIP_NO_TOUCH &&
		       pages_ok(in->a, in->b, in->arg, TD_PAGE_4K, memory);
	case TD_OP_BARRIER:
		return !in->flags && in->arg <= TD_SCOPE_ALL;
	case TD_OP_END:
	case TD_OP_GAP:
	case TD_OP_IDLE:
	case TD_OP_PACE:
	case TD_OP_PHASE:
		return !in->flags;
	default:
		return 0;
	}
}

static int header_ok(const struct td_program *p, size_t size)
{
	if (p->magic != TD_PROGRAM_MAGIC || p->version != TD_PROGRAM_VERSION || p->reserved)
		return 0;
	if (!p->count || p->count > TD_PROGRAM_MAX || size < td_program_size(p->count))
		return 0;
	return p->memory <= TD_MEMORY_MAX;
}

static int program_ok(const struct td_program *p, size_t size)
{
	uint32_t chunks = 0;

	if ((uintptr_t)p % _Alignof(struct td_program) || size < sizeof(*p))
		return 0;
	if (!header_ok(p, size))
		return 0;
	for (uint32_t i = 0; i < p->count; i++)
		if (!insn_ok(&p->insn[i], p->memory, &chunks))
			return 0;
	return p->insn[p->count - 1].op == TD_OP_END;
}

static enum td_step fail(struct td_cpu *cpu, int error)
{
	cpu->error = error;
	return TD_STEP_ERROR;
}

int td_cpu_init(struct td_cpu *cpu, const void *program, size_t size)
{
	const struct td_program *p = program;

	*cpu = (struct td_cpu){.program = p};
	if (!program_ok(p, size)) {
		fail(cpu, -TD_EINVAL);
		return -TD_EINVAL;
	}
	cpu->count = p->count;
	cpu->memory = p->memory;
	return 0;
}

int td_cpu_init_fetched(struct td_cpu *cpu, const struct td_program *header, size_t size)
{
	*cpu = (struct td_cpu){0};
	if (!header_ok(header, size)) {
		fail(cpu, -TD_EINVAL);
		return -TD_EINVAL;
	}
	cpu->count = header->count;
	cpu->memory = header->memory;
	return 0;
}

static enum td_step next_insn(struct td_cpu *cpu)
{
	cpu->pc++;
	cpu->index = 0;
	cpu->sub = 0;
	cpu->half = 0;
	return TD_STEP_DONE;
}

static enum td_step not_done(struct td_cpu *cpu, int ret)
{
	return ret == -TD_EAGAIN ? TD_STEP_BLOCKED : fail(cpu, ret);
}

/* A first touch: when it is due. 0 once it is done. */
static int touch(struct td_cpu *cpu, const struct td_env *env, uint64_t gpa, int level)
{
	int ret;

	if (gpa >= cpu->memory)
		return -TD_EINVAL;
	if (cpu->pace && !cpu->due) {
		ret = env->pace(env->ctx, cpu->pace);
		if (ret < 0)
			return ret;
		cpu->due = 1;
	}
	ret = env->touch(env->ctx, gpa, level);
	if (ret >= 0)
		cpu->due = 0;
	return ret;
}

static enum td_step step_touch(struct td_cpu *cpu, const struct td_env *env,
			       const struct td_insn *in)
{
	int ret = touch(cpu, env, in->a + cpu->index * in->b, in->flags & TD_TOUCH_2M);

	if (ret < 0)
		return not_done(cpu, ret);
	if (++cpu->index >= in->n)
		return next_insn(cpu);
	return TD_STEP_DONE;
}

static enum td_step step_range(struct td_cpu *cpu, const struct td_insn *in)
{
	cpu->base = in->a;
	cpu->chunks = in->n;
	cpu->seed = in->b;
	return next_insn(cpu);
}

static enum td_step step_walk(struct td_cpu *cpu, const struct td_env *env,
			      const struct td_insn *in)
{
	int level = in->flags & TD_TOUCH_2M;
	uint64_t i = in->a + cpu->index * in->b;
	int ret;

	if (i >= cpu->chunks)
		return fail(cpu, -TD_EINVAL);
	if (!cpu->sub)
		cpu->chunk =
			cpu->base + td_permute((uint32_t)i, cpu->chunks, cpu->seed) * TD_PAGE_2M;
	ret = touch(cpu, env, cpu->chunk + cpu->sub * TD_PAGE_4K, level);
	if (ret < 0)
		return not_done(cpu, ret);
	if (!level && ++cpu->sub < TD_PAGE_2M / TD_PAGE_4K)
		return TD_STEP_DONE;
	cpu->sub = 0;
	if (++cpu->index >= in->n)
		return next_insn(cpu);
	return TD_STEP_DONE;
}

/* The flip of one page is over. */
static enum td_step next_flip(struct td_cpu *cpu, const struct td_insn *in)
{
	cpu->half = FLIP_SHARED;
	if (++cpu->sub < in->arg)
		return TD_STEP_DONE;
	cpu->sub = 0;
	if (in->n && ++cpu->index >= in->n)
		return next_insn(cpu);
	return TD_STEP_DONE;
}

/* What one half of a flip does; 0 once it is done. */
static int flip_half(struct td_cpu *cpu, const struct td_env *env, uint64_t gpa)
{
	if (gpa >= cpu->memory)
		return -TD_EINVAL;
	switch (cpu->half) {
	case FLIP_SHARED:
		return env->convert(env->ctx, gpa, 0);
	case FLIP_PRIVATE:
		return env->convert(env->ctx, gpa, 1);
	case FLIP_TOUCH:
		return env->touch(env->ctx, gpa, 0);
	default:
		return env->idle(env->ctx, cpu->gap);
	}
}

static enum td_step step_flip(struct td_cpu *cpu, const struct td_env *env,
			      const struct td_insn *in)
{
	int boundary = cpu->half == FLIP_SHARED || cpu->half == FLIP_GAP;
	int ret;

	/* the page is private here */
	if (!in->n && boundary && env->stop(env->ctx))
		return next_insn(cpu);
	ret = flip_half(cpu, env, in->a + cpu->sub * in->b);
	if (ret < 0)
		return not_done(cpu, ret);
	cpu->half++;
	if (cpu->half == FLIP_TOUCH && (in->flags & TD_FLIP_NO_TOUCH))
		cpu->half++;
	if (cpu->half == FLIP_GAP && !cpu->gap)
		cpu->half++;
	if (cpu->half > FLIP_GAP)
		return next_flip(cpu, in);
	return TD_STEP_DONE;
}

/* An instruction that is done when @ret is not negative. */
static enum td_step step_simple(struct td_cpu *cpu, int ret)
{
	return ret < 0 ? not_done(cpu, ret) : next_insn(cpu);
}

static enum td_step step_insn(struct td_cpu *cpu, const struct td_env *env,
			      const struct td_insn *in)
{
	switch (in->op) {
	case TD_OP_END:
		cpu->ended = 1;
		return TD_STEP_END;
	case TD_OP_TOUCH:
		return step_touch(cpu, env, in);
	case TD_OP_RANGE:
		return step_range(cpu, in);
	case TD_OP_WALK:
		return step_walk(cpu, env, in);
	case TD_OP_FLIP:
		return step_flip(cpu, env, in);
	case TD_OP_GAP:
		cpu->gap = in->b;
		return next_insn(cpu);
	case TD_OP_BARRIER:
		if (in->arg > TD_SCOPE_ALL)
			return fail(cpu, -TD_EINVAL);
		return step_simple(cpu, env->barrier(env->ctx, in->n, (enum td_scope)in->arg));
	case TD_OP_IDLE:
		return step_simple(cpu, env->idle(env->ctx, in->b));
	case TD_OP_PACE:
		cpu->pace = in->b;
		return next_insn(cpu);
	case TD_OP_PHASE:
		env->phase(env->ctx, in->n);
		return next_insn(cpu);
	default:
		return fail(cpu, -TD_EINVAL);
	}
}

/* Instruction pc, from another's memory: checked as td_cpu_init() would have. */
static int fetch(struct td_cpu *cpu, const struct td_env *env, struct td_insn *in)
{
	uint32_t chunks = cpu->chunks;
	int ret = env->fetch(env->ctx, cpu->pc, in);

	if (ret < 0)
		return ret;
	return insn_ok(in, cpu->memory, &chunks) ? 0 : -TD_EINVAL;
}

enum td_step td_step(struct td_cpu *cpu, const struct td_env *env)
{
	struct td_insn in;

	if (cpu->error)
		return TD_STEP_ERROR;
	if (cpu->ended)
		return TD_STEP_END;
	if (cpu->pc >= cpu->count)
		return fail(cpu, -TD_EINVAL);
	if (!cpu->program) {
		int ret = fetch(cpu, env, &in);

		return ret < 0 ? not_done(cpu, ret) : step_insn(cpu, env, &in);
	}
	/* one read of each field, whatever others write meanwhile */
	in = *(const volatile struct td_insn *)&cpu->program->insn[cpu->pc];
	return step_insn(cpu, env, &in);
}
