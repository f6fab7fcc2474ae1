/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Machine files: what each operation costs on some machine, every constant
 * with the range in which it may lie and the source that says so. The model
 * executor spins these costs, the simulated machine adds them up; nothing else
 * in the tree holds one.
 *
 *   [machine]
 *   name, title, note = TEXT
 *   costs = NAME		costs that are not given are those of NAME.mach beside it
 *   [cost]
 *   KEY = TIME range LOW..HIGH source "TEXT"
 *   KEY = TIME range LOW..HIGH quantiles 0:TIME,50:TIME,..,100:TIME source "TEXT"
 *   [topology]
 *   sockets, cores, threads = N	cores of a socket, hardware threads of a core
 *   [line]
 *   KEY = TIME range LOW..HIGH source "TEXT"	in ps or ns
 *
 * TIME is the mean, LOW..HIGH what the mean may be (for sensitivity). Without
 * quantiles every call costs the mean. Every key of MACHINE_COSTS is required; none but
 * allocating, freeing and creating may be 0.
 * A machine that is to be simulated has [topology] and [line] too, with every
 * key of MACHINE_LINES that its topology needs: sibling where cores have several
 * threads, remote where there are several sockets.
 */
#ifndef DPAMT_TD_MACHINE_H
#define DPAMT_TD_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "td/error.h"

/* COST(key, what it covers) */
#define MACHINE_COSTS(COST)                                                                   \
	COST(pamt_add, "TDH.PHYMEM.PAMT.ADD")                                                 \
	COST(pamt_remove, "TDH.PHYMEM.PAMT.REMOVE")                                           \
	COST(page_aug, "TDH.MEM.PAGE.AUG")                                                    \
	COST(page_add, "TDH.MEM.PAGE.ADD with its TDH.MR.EXTENDs")                            \
	COST(sept_add, "TDH.MEM.SEPT.ADD")                                                    \
	COST(range_block, "TDH.MEM.RANGE.BLOCK")                                              \
	COST(track, "TDH.MEM.TRACK")                                                          \
	COST(page_remove, "TDH.MEM.PAGE.REMOVE")                                              \
	COST(page_promote, "TDH.MEM.PAGE.PROMOTE")                                            \
	COST(page_demote, "TDH.MEM.PAGE.DEMOTE")                                              \
	COST(page_reclaim, "TDH.PHYMEM.PAGE.RECLAIM")                                         \
	COST(mng_create, "TDH.MNG.CREATE")                                                    \
	COST(vp_create, "TDH.VP.CREATE")                                                      \
	COST(addcx, "TDH.MNG.ADDCX, TDH.VP.ADDCX")                                            \
	COST(rdmd, "TDH.PHYMEM.PAGE.RDMD")                                                    \
	COST(other_seamcall, "any other SEAMCALL")                                            \
	COST(seamcall_busy, "a SEAMCALL that answers TDX_OPERAND_BUSY")                       \
	COST(fault_base, "private fault: exit, KVM, entry, without SEAMCALLs and allocation") \
	COST(accept, "TDG.MEM.PAGE.ACCEPT of 4K, in the guest")                               \
	COST(convert_base, "MapGPA one way: exit, attributes, fixed part of the zap, IPI")    \
	COST(wbinvd, "TDH.PHYMEM.PAGE.WBINVD of 4K")                                          \
	COST(page_alloc, "4K from a per-CPU list")                                            \
	COST(page_free, "4K to a per-CPU list")                                               \
	COST(cache_refill, "refill of a per-CPU list from the buddy allocator")               \
	COST(td_create_base, "creating a TD, without the leaves above")                       \
	COST(vp_init_base, "creating a vCPU, without the leaves above")

enum cost {
#define COST(key, what) COST_##key,
	MACHINE_COSTS(COST)
#undef COST
		COST_NR
};

/* LINE(key, what it is): what an access to a cache line takes */
#define MACHINE_LINES(LINE)                                                                   \
	LINE(read_hit, "load of a line that the CPU holds")                                   \
	LINE(reload, "load of a word that the CPU's last locked instruction was on")          \
	LINE(write_hit, "store to a line that the CPU owns")                                  \
	LINE(rmw_hit, "locked instruction on a line that the CPU owns")                       \
	LINE(shared, "load of a line that others of the socket hold unmodified")              \
	LINE(sibling, "transfer from the other hardware thread of the core")                  \
	LINE(local, "transfer of a modified line from a core of the same socket")             \
	LINE(remote, "transfer of a line from another socket")                                \
	LINE(memory, "a line that no cache holds")                                            \
	LINE(keep, "how long its owner goes on using a line that another one has asked for, mean")   \
	LINE(spread, "how far a transfer inside a socket may be off its mean, evenly to both sides") \
	LINE(clock, "reading the clock in a slow path, with half of the note that is made of two")

enum line_cost {
#define LINE(key, what) LINE_##key,
	MACHINE_LINES(LINE)
#undef LINE
		LINE_NR
};

#define MACHINE_CPUS_MAX 1024

#define MACHINE_QUANTILES_MAX 16
#define MACHINE_NS_MAX 1000000000ULL /* of any cost */

struct machine_quantile {
	uint64_t percent, ns;
};

struct machine_cost {
	uint64_t ns, low, high;
	uint32_t nr_quantiles; /* 0: always ->ns */
	struct machine_quantile quantiles[MACHINE_QUANTILES_MAX];
	char source[512];
};

struct machine {
	char name[32], title[128], note[512], *file;
	char base[32]; /* "" or whose costs it takes */
	struct machine_cost costs[COST_NR];
	/* Of the simulated machine; Without has_shape all zero. */
	uint64_t sockets, cores, threads;
	struct machine_cost lines[LINE_NR]; /* in ps, no quantiles */
	bool has_shape;
	uint64_t hash;
};

/* CPUs (hardware threads) of a machine that has a shape. */
static inline unsigned int machine_cpus(const struct machine *m)
{
	return (unsigned int)(m->sockets * m->cores * m->threads);
}

/*
 * Reads a machine file: a path, or a bare name looked up in @dirs (NULL-ended)
 * as NAME.mach. Errors as workload_load().
 */
int machine_load(const char *name_or_path, const char *const *dirs, struct machine **out,
		 struct td_error *err);
int machine_parse(const char *file, const char *text, size_t len, struct machine **out,
		  struct td_error *err);
void machine_free(struct machine *m);
/* Names of the machines in @dirs, sorted; free with td_free_names(). 0 or -ENOMEM. */
int machine_list(const char *const *dirs, char ***names, size_t *nr);
/* 64-bit FNV-1a of the costs (not of names, notes and sources). */
uint64_t machine_hash(const struct machine *m);

/* "pamt_add", and what it covers. */
const char *machine_cost_name(enum cost cost);
const char *machine_cost_covers(enum cost cost);
/* "read_hit", and what it is. */
const char *machine_line_name(enum line_cost line);
const char *machine_line_covers(enum line_cost line);
/* Recompute ->hash after costs or lines were changed (sensitivity). */
void machine_rehash(struct machine *m);
/* @c times @num / @den, quantiles and range with it. */
void machine_scale_cost(struct machine_cost *c, uint64_t num, uint64_t den);

/*
 * One cost in ns. With quantiles, @rnd (uniform over 64 bits, of which the
 * top 24 count) is the place in the distribution, linear between the points:
 * 0 is the first point, and what rises in @rnd never falls in ns. Integer
 * only: the same on every machine.
 */
uint64_t machine_cost(const struct machine *m, enum cost cost, uint64_t rnd);
/* The mean of the quantiles, or ->ns without them; ns, rounded down. */
uint64_t machine_cost_mean(const struct machine *m, enum cost cost);

#endif
