/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A workload: groups of TDs, the phases that their vCPUs go through, and where
 * the host puts their pages. Read from a .wl file (its keys are the tables in
 * workload.c), changed by --set, shrunk by --scale, compiled into TD programs
 * (td/compile.h).
 *
 * The guest memory map of a TD is GPA 0 to ->memory. The host adds the image
 * [0, ->image) before the TD is finalised; the rest is faulted by phases. The
 * top ->huge percent are mapped as 2M, from workload_huge_start().
 */
#ifndef DPAMT_TD_WORKLOAD_H
#define DPAMT_TD_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "td/error.h"
#include "td/keys.h"

#define WL_NAME_MAX 32 /* of a workload, group or phase, with the NUL */
#define WL_GROUPS_MAX 16
#define WL_PHASES_MAX 32
#define WL_FLIPS_MAX 64 /* pages of a convert phase with a flips list */
#define WL_PAGE 4096ULL
#define WL_2M (2ULL << 20)

enum wl_placement {
	WL_CONTIGUOUS, /* a TD's memory is one run of host memory */
	WL_BUDDY,      /* per-CPU lists over a buddy allocator shared by everybody */
	WL_SCATTERED,  /* .arg percent of the guest's 4K pages lie alone in their 2M region */
};

enum wl_arrivals { WL_CLOSED, WL_OPEN /* .arg: ns between first touches of a vCPU */ };
enum wl_start { WL_START_TOGETHER, WL_STAGGERED /* .arg: ns from TD to TD */ };
enum wl_shutdown { WL_SHUTDOWN_TOGETHER, WL_OWN };
enum wl_work { WL_FAULT, WL_CONVERT, WL_IDLE };
enum wl_order { WL_SPLIT, WL_INTERLEAVE, WL_RANDOM };
enum wl_yes { WL_NO, WL_YES };

/* [td NAME]; all TDs of a group are alike. */
struct wl_td {
	char name[WL_NAME_MAX];
	uint64_t count; /* TDs; 0 takes the group out */
	uint64_t vcpus;
	uint64_t memory, image; /* bytes */
	uint64_t lives;		/* rounds of create, run, destroy */
	uint64_t huge;		/* percent */
	struct key_choice start, shutdown;
	uint64_t seen;
	unsigned int line;
};

struct wl_flips {
	bool forever;
	uint32_t nr; /* 1: count[0] for every page, else one count a page */
	uint32_t count[WL_FLIPS_MAX];
};

/* [phase NAME] */
struct wl_phase {
	char name[WL_NAME_MAX];
	char td[WL_NAME_MAX]; /* a group or "all" */
	int group;	      /* of ->td; -1 for all */
	struct key_choice work;
	struct key_choice together; /* a barrier over all TDs that take part, before the phase */
	/* fault */
	struct key_choice order;
	uint64_t share; /* percent of the memory behind the image; WL_REST: what is left */
	/* convert: page i is flipped by vCPU i modulo vcpus */
	uint64_t pages, stride, gap; /* pages; bytes; ns between flips of a vCPU */
	uint64_t at;		     /* first page, in percent of the memory, rounded up to 2M */
	struct wl_flips flips;
	struct key_choice touch; /* page is touched again after each flip */
	/* idle */
	uint64_t time; /* ns */
	uint64_t seen;
	unsigned int line;
};

#define WL_REST UINT64_MAX

struct workload {
	char name[WL_NAME_MAX], *file;
	char title[128], question[512], asked_by[256], primary[64];
	struct key_choice placement, arrivals;
	uint64_t host_memory; /* bytes */
	bool host_memory_given;
	struct {
		uint64_t num, den;
	} bench_scale;
	uint64_t scale_num, scale_den; /* 1/1 until workload_scale() */
	uint64_t hash;		       /* of what runs, before scaling */
	unsigned int nr_tds, nr_phases;
	struct wl_td tds[WL_GROUPS_MAX];
	struct wl_phase phases[WL_PHASES_MAX];
	uint64_t seen;
	unsigned int line;
};

/*
 * Reads a workload: a path, or a bare name looked up in @dirs (NULL-ended).
 * -errno with one line in @err: -ENOENT (unknown name: the line lists the
 * names), -EINVAL (bad file: file, line, value, valid ones), or the error of
 * open or read.
 */
int workload_load(const char *name_or_path, const char *const *dirs, struct workload **out,
		  struct td_error *err);
/* The same from @len bytes of text; @file is its name in messages. */
int workload_parse(const char *file, const char *text, size_t len, struct workload **out,
		   struct td_error *err);
void workload_free(struct workload *w);
/* A copy to be changed on its own; NULL if there is no memory. */
struct workload *workload_copy(const struct workload *w);
/* Names of the workloads in @dirs, sorted; free with td_free_names(). 0 or -ENOMEM. */
int workload_list(const char *const *dirs, char ***names, size_t *nr);

/*
 * Overrides: "key=value" of [global], "td.GROUP.key=value" or
 * "phase.NAME.key=value". All of @sets are applied, then the whole is checked;
 * on error -EINVAL with @err and @w as it was. Before workload_scale() only.
 */
int workload_set_all(struct workload *w, const char *const *sets, size_t nr, struct td_error *err);
int workload_set(struct workload *w, const char *set, struct td_error *err);

/*
 * Shrinks memory to @num/@den, and it only: TD memory to a multiple of 2M
 * and at least the image plus one 2M chunk and 4M; the image to a multiple of
 * 4K and at least 64K; host memory in proportion, and at least what the TDs
 * need. Events are not memory: counts of TDs, vCPUs, lives and flips stay. A
 * convert phase whose pages no longer fit loses its last pages, unless its
 * flips are a list, which is -ERANGE. -EINVAL: no scale, or scaled already.
 */
int workload_scale(struct workload *w, uint64_t num, uint64_t den, struct td_error *err);

/* 64-bit FNV-1a of the canonical text of what runs (no texts, no bench_scale), before scaling. */
uint64_t workload_hash(const struct workload *w);
/* The canonical text, with all values written out; reads back as the same workload. malloc'ed. */
char *workload_text(const struct workload *w);

/* First GPA that is mapped as 2M; ->memory if none is. */
uint64_t workload_huge_start(const struct wl_td *td);
/* GPA of the first page of a convert phase in a TD of this group. */
uint64_t workload_convert_start(const struct wl_td *td, const struct wl_phase *phase);
/* Bytes of host memory that the guest pages of all TDs take in the workload's placement. */
uint64_t workload_host_need(const struct workload *w);
/* Does the phase run in TDs of this group? */
bool workload_takes_part(const struct workload *w, unsigned int phase, unsigned int group);
/* Does a TD of this group have a phase that ends only when the others are done? */
bool workload_forever(const struct workload *w, unsigned int group);
/* vCPUs, of all TDs, that meet at the barrier of a together phase. */
uint64_t workload_barrier_vcpus(const struct workload *w, unsigned int phase);

#endif
