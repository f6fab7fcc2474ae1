/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A TD program: what one vCPU does, as an array of 24-byte instructions behind
 * a 24-byte header, little endian, without pointers. The same bytes are
 * stepped by the executors on the host and, behind an x86-64 payload, by the
 * guest itself. There are no jumps: a program runs from the first instruction
 * to TD_OP_END, and only FLIP can last for ever.
 *
 * This header and interp.c compile in user space, in the kernel, and
 * freestanding: integer types and nothing else.
 */
#ifndef DPAMT_TD_PROGRAM_H
#define DPAMT_TD_PROGRAM_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#define TD_PROGRAM_MAGIC 0x50544444U /* "DDTP" in memory */
#define TD_PROGRAM_VERSION 1U
#define TD_PROGRAM_MAX 65536U /* instructions */
#define TD_MEMORY_MAX (1ULL << 48)

#define TD_PAGE_4K 4096ULL
#define TD_PAGE_2M (2ULL << 20)

enum td_op {
	TD_OP_END,
	/* Touch @n private pages: @a, @a + @b, ... TD_TOUCH_2M: 2M pages. */
	TD_OP_TOUCH,
	/* The chunks of the WALKs that follow: @n chunks of 2M from @a, permuted by seed @b. */
	TD_OP_RANGE,
	/* Touch every page of @n chunks: the permuted chunks number @a, @a + @b, ... */
	TD_OP_WALK,
	/*
	 * @n rounds (0: until stop) over @arg pages @a, @a + @b, ...: each page is
	 * converted to shared, to private, touched (unless TD_FLIP_NO_TOUCH), then
	 * the vCPU idles for the gap.
	 */
	TD_OP_FLIP,
	/* Gap of the FLIPs that follow: @b ns. */
	TD_OP_GAP,
	/* Barrier @n over scope @arg. */
	TD_OP_BARRIER,
	/* Idle for @b ns. */
	TD_OP_IDLE,
	/* From here on first touches arrive every @b ns; 0: closed loop. */
	TD_OP_PACE,
	/* What follows belongs to phase @n of the workload. */
	TD_OP_PHASE,
	TD_OP_NR,
};

#define TD_TOUCH_2M 1U	    /* flag of TOUCH and WALK */
#define TD_FLIP_NO_TOUCH 1U /* flag of FLIP */

enum td_scope { TD_SCOPE_TD, TD_SCOPE_ALL };

struct td_insn {
	uint8_t op, flags;
	uint16_t arg;
	uint32_t n;
	uint64_t a, b;
};

struct td_program {
	uint32_t magic, version;
	uint32_t count; /* of insn[] */
	uint32_t reserved;
	uint64_t memory; /* bytes: every page lies below */
	struct td_insn insn[];
};

_Static_assert(sizeof(struct td_insn) == 24, "the layout of an instruction is fixed");
_Static_assert(sizeof(struct td_program) == 24, "the layout of the header is fixed");

/* Bytes of a program of @count instructions. */
static inline size_t td_program_size(uint32_t count)
{
	return sizeof(struct td_program) + (size_t)count * sizeof(struct td_insn);
}

/* "Not yet: ask again"; what the callbacks return for it, -EAGAIN of Linux. */
#define TD_EAGAIN 11

/*
 * What a program acts on. Callbacks return 0 when the thing is done,
 * -TD_EAGAIN to be called again with the same arguments at the next step, or
 * another negative errno, which ends the program with TD_STEP_ERROR.
 */
struct td_env {
	void *ctx;
	/*
	 * First touch, and accept, of the private page at @gpa; @level is 0 for
	 * 4K and 1 for 2M. 0 at once if the page is there already.
	 */
	int (*touch)(void *ctx, uint64_t gpa, int level);
	/* The 4K page at @gpa becomes private (accepted by the next touch) or shared. */
	int (*convert)(void *ctx, uint64_t gpa, int to_private);
	/* Meets the others at barrier @id, once, however often it is called. */
	int (*barrier)(void *ctx, uint32_t id, enum td_scope scope);
	/* The first call starts the time. */
	int (*idle)(void *ctx, uint64_t ns);
	/*
	 * Open loop only: 0 if the next first touch is due. The n-th one of a
	 * phase is due n * @ns after the phase began, however late the others
	 * were: latency counts from there.
	 */
	int (*pace)(void *ctx, uint64_t ns);
	void (*phase)(void *ctx, uint32_t n);
	/* Non-zero: end what goes on for ever. */
	int (*stop)(void *ctx);
	/*
	 * Only for a vCPU set up by td_cpu_init_fetched(): copies instruction @pc to
	 * *@in, once for each step, from wherever the program lies.
	 */
	int (*fetch)(void *ctx, uint32_t pc, struct td_insn *in);
};

enum td_step {
	TD_STEP_DONE,	 /* progress */
	TD_STEP_BLOCKED, /* the environment said -TD_EAGAIN: the same step comes again */
	TD_STEP_END,	 /* the program is over; also ever after */
	TD_STEP_ERROR,	 /* malformed, or a callback failed (cpu->error); also ever after */
};

/* Where a vCPU stands. Plain data: copying it copies the vCPU. */
struct td_cpu {
	const struct td_program *program;
	uint32_t pc, count; /* instruction; their number, as checked by td_cpu_init() */
	uint32_t index;	    /* page of TOUCH, chunk of WALK, round of FLIP */
	uint32_t sub;	    /* page in the chunk of WALK, page of the round of FLIP */
	uint8_t half;	    /* of a FLIP: to shared, to private, touch, gap */
	uint8_t due;	    /* pace() has let the touch through */
	uint8_t ended;
	int32_t error;	 /* 0, or negative errno once TD_STEP_ERROR was returned */
	uint32_t chunks; /* RANGE */
	uint64_t memory; /* of the header */
	uint64_t base, seed;
	uint64_t chunk;	    /* WALK: GPA of the chunk at hand */
	uint64_t gap, pace; /* ns */
};

/*
 * Puts @cpu at the start of the program in @size bytes at @program, which must
 * be 8-byte aligned and stay. 0, or -22 (-EINVAL) if the program is malformed:
 * bad header, size, operation, flag, alignment, page beyond memory, no END;
 * then td_step() answers TD_STEP_ERROR.
 */
int td_cpu_init(struct td_cpu *cpu, const void *program, size_t size);

/*
 * The same for a program that is not in one piece of memory: its instructions
 * come from fetch(), each checked when it is its turn. @header is a copy of the
 * program's, @size is the bytes of the whole program.
 */
int td_cpu_init_fetched(struct td_cpu *cpu, const struct td_program *header, size_t size);

/*
 * Exactly one step: one touch, one half of a conversion, one poll of a
 * barrier, one instruction without any of them. Never loops, never reads
 * outside of the program, also if somebody changes the program meanwhile.
 */
enum td_step td_step(struct td_cpu *cpu, const struct td_env *env);

/* The @i-th of @chunks chunks in the order of @seed; i < chunks, chunks > 0. */
uint32_t td_permute(uint32_t i, uint32_t chunks, uint64_t seed);

#endif
