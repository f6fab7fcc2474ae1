// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host around the strategies: the page allocator and its placements, lives
 * of TDs from creation to an audit that finds nothing, 2M mappings, failures at
 * every step, shares of page pairs, and TDs on threads.
 */
#include <linux/errno.h>

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "exec/cell.h"
#include "exec/host_internal.h"
#include "measure/clock.h"
#include "shim_runtime.h"
#include "tests/test.h"

#define CPUS 3
#define HOST_BYTES EMU_1G_SIZE
#define TD_BYTES (8UL << 20)
#define TD_PAGES (TD_BYTES / PAGE_SIZE)
#define TDS 3
#define VCPUS 2
/* TDR, TDCS, two vCPUs, and S-EPT pages of levels 3 and 2 with TDs of up to 1G. */
#define CONTROL_PAGES (1 + HOST_TDCS_PAGES + VCPUS * HOST_TDVPS_PAGES + 2)
#define PAIR_BYTES (2 * PAGE_SIZE)

static struct world w;
static const struct pamt_ops *ops;
static enum phys_placement placement;
static unsigned int lone_pct;
static u64 seed = 1;
static char *arena;
static struct host_td *td[TDS];
static u64 page_of[TDS][TD_PAGES];	/* as AUG and ADD saw them */

static struct {
	u64 leaf, status;
	unsigned int left;
} shot;
static unsigned int allocs, fail_at;	/* of page pairs */
static atomic_t faults;
static s64 pairs;

static u64 on_inject(struct world *world, const struct emu_call *c)
{
	unsigned int i;

	for (i = 0; i < TDS && (c->leaf == EMU_TDH_MEM_PAGE_AUG || c->leaf == EMU_TDH_MEM_PAGE_ADD);
	     i++)
		if (td[i] && td[i]->tdr == c->args->rdx && !(c->args->rcx & 7))
			page_of[i][c->args->rcx >> PAGE_SHIFT] = c->args->r8;
	if (!shot.left || c->leaf != shot.leaf)
		return 0;
	shot.left--;
	return shot.status;
}

static bool on_alloc(struct world *world)
{
	return allocs++ == fail_at;
}

static void on_fault(struct world *world, unsigned int group, u64 start)
{
	atomic_inc(&faults);
}

static void on_pair(struct world *world, int delta)
{
	pairs += delta;
}

static void up(bool hooked)
{
	struct world_config c = {
		.host_bytes = HOST_BYTES, .placement = placement, .lone_pct = lone_pct,
		.seed = seed, .ops = ops, .mem = arena, .hooks = { .fault = on_fault },
	};
	char err[256] = "";

	if (hooked) {
		c.hooks.inject = on_inject;
		c.hooks.fail_alloc = on_alloc;
		c.hooks.pair = on_pair;
	}
	fail_at = ~0u;
	allocs = 0;
	pairs = 0;
	atomic_set(&faults, 0);
	memset(td, 0, sizeof(td));
	memset(page_of, 0, sizeof(page_of));
	shim_clear_warnings();
	madvise(arena, HOST_BYTES, MADV_DONTNEED);
	if (!CHECK_EQ(world_init(&w, &c, err, sizeof(err)), 0)) {
		printf("%s: %s\n", ops->name, err);
		exit(test_end());
	}
}

static void audit(void)
{
	char err[256] = "";

	if (!CHECK_EQ(world_audit(&w, err, sizeof(err)), 0))
		printf("\t%s: %s\n", ops->name, err);
}

static void down(void)
{
	audit();
	world_exit(&w);
}

static u64 sum_cpu(size_t offset)
{
	unsigned int i;
	u64 n = 0;

	for (i = 0; i < CPUS; i++)
		n += *(u64 *)((char *)&w.cpu[i] + offset);
	return n;
}

#define COUNT(field) sum_cpu(offsetof(struct world_cpu, field))

static u64 all_users(void)
{
	unsigned long r;
	u64 n = 0;

	for (r = 0; r < w.pamt.nr_regions; r++)
		n += ops->users(&w.pamt, r);
	return n;
}

/* ------------------------------------------------------------------- TDs */

static int create(unsigned int i, u64 huge_start, struct host_td **out)
{
	struct host_td_config c = {
		.index = i, .vcpus = VCPUS, .memory = TD_BYTES, .image = 16 * PAGE_SIZE,
		.huge_start = huge_start,
	};

	return host_td_create(&w, &c, out);
}

static int build(struct host_td *t)
{
	int err;

	while ((err = host_td_build(t, 5)) == -EAGAIN)
		;
	return err;
}

static int touch(struct host_td *t, unsigned int vcpu, u64 gfn)
{
	unsigned int n = 0;
	int err;

	while ((err = host_touch(&t->vcpu[vcpu], gfn * PAGE_SIZE, 0)) == -EAGAIN && ++n < 100000)
		if (n % 16 == 0)
			sched_yield();
	return err;
}

static int to_shared(struct host_td *t, unsigned int vcpu, u64 gfn)
{
	unsigned int n = 0;
	int err;

	while ((err = host_convert(&t->vcpu[vcpu], gfn * PAGE_SIZE, false)) == -EAGAIN &&
	       ++n < 100000)
		if (n % 16 == 0)
			sched_yield();
	return err;
}

static int destroy(struct host_td **t)
{
	int err;

	while ((err = host_td_destroy(t, 100)) == -EAGAIN)
		;
	return err;
}

static void run_td(unsigned int i, u64 huge_start)
{
	CHECK_EQ(create(i, huge_start, &td[i]), 0);
	CHECK_EQ(build(td[i]), 0);
}

static void end_td(unsigned int i)
{
	CHECK_EQ(destroy(&td[i]), 0);
	CHECK(!td[i]);
}

static void life(void)
{
	struct world_share share[2] = { { 0 } };
	u64 n, mapped = 512 + 10;
	unsigned int rounds = 0;
	int err;

	up(true);
	CHECK_EQ(create(0, TD_BYTES, &td[0]), 0);
	while ((err = host_td_build(td[0], 5)) == -EAGAIN)
		rounds++;
	CHECK_EQ(err, 0);
	CHECK_EQ(rounds, 3);
	CHECK(td[0]->finalised);
	CHECK_EQ(COUNT(tds), 1);
	CHECK_EQ(COUNT(pages), 16);
	for (n = 0; n < mapped; n++)
		CHECK_EQ(touch(td[0], n % VCPUS, n), 0);
	CHECK_EQ(COUNT(pages), mapped);
	CHECK_EQ(atomic_read(&faults), mapped - 16);
	/* Again: nothing to do. */
	for (n = 0; n < mapped; n++)
		CHECK_EQ(host_touch(&td[0]->vcpu[0], n * PAGE_SIZE, 0), 0);
	CHECK_EQ(COUNT(pages), mapped);
	CHECK_EQ(atomic_read(&faults), mapped - 16);
	/* Two tables of level 1. */
	share[0].tdr = td[0]->tdr;
	CHECK_EQ(world_shares(&w, share, 1), (ops->dynamic ? w.preinstalled + pairs : 0) * PAIR_BYTES);
	if (ops->dynamic) {
		CHECK_EQ(share[0].pages, mapped + CONTROL_PAGES + 2);
		CHECK_EQ(share[1].pages, 0);
	}
	if (ops->users)
		CHECK_EQ(all_users(), mapped + CONTROL_PAGES + 2);
	/* To shared and back; what is not mapped can be shared too. */
	for (n = 100; n < 200; n++)
		CHECK_EQ(to_shared(td[0], 1, n), 0);
	CHECK_EQ(to_shared(td[0], 0, 150), 0);
	CHECK_EQ(to_shared(td[0], 0, TD_PAGES - 1), 0);
	CHECK_EQ(COUNT(flips), 102);
	if (ops->users)
		CHECK_EQ(all_users(), mapped - 100 + CONTROL_PAGES + 2);
	CHECK_EQ(host_convert(&td[0]->vcpu[0], 100 * PAGE_SIZE, true), 0);
	for (n = 100; n < 200; n++)
		CHECK_EQ(touch(td[0], 0, n), 0);
	CHECK_EQ(COUNT(pages), mapped + 100);
	CHECK_EQ(COUNT(flips), 102);
	/* 522 pages at most 100 a call. */
	for (rounds = 0; (err = host_td_destroy(&td[0], 100)) == -EAGAIN; rounds++)
		;
	CHECK_EQ(err, 0);
	CHECK_EQ(rounds, 5);
	CHECK_EQ(pairs, 0);
	down();
}

static const struct {
	enum phys_placement placement;
	unsigned int lone_pct;
} placements[] = {
	{ PHYS_CONTIGUOUS, 0 }, { PHYS_BUDDY, 0 }, { PHYS_SCATTERED, 20 },
};

static void lives(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(placements); i++) {
		placement = placements[i].placement;
		lone_pct = placements[i].lone_pct;
		life();
	}
	placement = PHYS_BUDDY;
}

/* TDs that end early, in every state that they can be left in; and all HKIDs. */
static void short_lives(void)
{
	struct host_td_config c = { .vcpus = 1, .memory = PMD_SIZE, .image = 8 * PAGE_SIZE,
				    .huge_start = PMD_SIZE };
	struct host_td *many[32], *more = NULL;
	unsigned int n, i;

	up(true);
	CHECK_EQ(create(0, TD_BYTES, &td[0]), 0);
	end_td(0);
	CHECK_EQ(create(0, TD_BYTES, &td[0]), 0);
	CHECK_EQ(host_td_build(td[0], 7), -EAGAIN);
	end_td(0);
	run_td(0, TD_BYTES);
	end_td(0);
	audit();
	for (n = 0; n < ARRAY_SIZE(many) && !host_td_create(&w, &c, &many[n]); n++)
		;
	CHECK_EQ(n, 31);
	CHECK_EQ(host_td_create(&w, &c, &more), -EAGAIN);
	CHECK(!more);
	CHECK_EQ(destroy(&many[5]), 0);
	CHECK_EQ(host_td_create(&w, &c, &many[5]), 0);
	for (i = 0; i < n; i++)
		CHECK_EQ(destroy(&many[i]), 0);
	down();
}

static void huge(void)
{
	u64 first = 512, base, n;

	if (!ops->demote)
		return;
	up(true);
	run_td(0, PMD_SIZE);
	base = pairs;
	CHECK_EQ(touch(td[0], 0, first + 3), 0);
	CHECK_EQ(COUNT(pages_2m), 1);
	CHECK_EQ(atomic_read(&faults), 1);
	for (n = first; n < first + 512; n++)
		CHECK_EQ(host_touch(&td[0]->vcpu[1], n * PAGE_SIZE, 0), 0);
	CHECK_EQ(atomic_read(&faults), 1);
	CHECK_EQ(pairs, base);
	if (ops->users)
		CHECK_EQ(all_users(), 16 + CONTROL_PAGES + 1);
	/* One page to shared splits it. */
	CHECK_EQ(to_shared(td[0], 0, first + 7), 0);
	CHECK_EQ(COUNT(demotes), 1);
	if (ops->dynamic)
		CHECK_EQ(pairs, base + 1);
	if (ops->users)
		CHECK_EQ(all_users(), 16 + CONTROL_PAGES + 2 + 511);
	for (n = first; n < first + 512; n++)
		if (n != first + 7)
			CHECK_EQ(host_touch(&td[0]->vcpu[1], n * PAGE_SIZE, 0), 0);
	CHECK_EQ(atomic_read(&faults), 1);
	/* And is 4K from then on. */
	CHECK_EQ(touch(td[0], 0, first + 7), 0);
	CHECK_EQ(COUNT(pages_2m), 1);
	CHECK_EQ(COUNT(pages), 16 + 1);
	CHECK_EQ(to_shared(td[0], 1, first + 8), 0);
	CHECK_EQ(COUNT(demotes), 1);
	/* One more stays whole until the end. */
	CHECK_EQ(touch(td[0], 0, 2 * first), 0);
	CHECK_EQ(COUNT(pages_2m), 2);
	end_td(0);
	CHECK_EQ(pairs, 0);
	down();
}

/* A 2M range of 4K pages becomes one leaf, and is one for faults and conversions too. */
static void promotion(void)
{
	s64 before;
	u64 n;

	if (!ops->promote)
		return;
	placement = PHYS_CONTIGUOUS;
	up(true);
	run_td(0, TD_BYTES);
	for (n = 512; n < 1023; n++)
		CHECK_EQ(touch(td[0], 0, n), 0);
	CHECK_EQ(host_promote(&td[0]->vcpu[0], PMD_SIZE), -EBUSY);
	CHECK_EQ(touch(td[0], 0, n), 0);
	before = pairs;
	CHECK_EQ(host_promote(&td[0]->vcpu[0], PMD_SIZE), 0);
	if (ops->dynamic)
		CHECK_EQ(pairs, before - 1);
	if (ops->users)
		CHECK_EQ(all_users(), 16 + CONTROL_PAGES + 1);
	CHECK_EQ(touch(td[0], 0, 600), 0);
	CHECK_EQ(COUNT(pages), 16 + 512);
	CHECK_EQ(to_shared(td[0], 0, 600), 0);
	CHECK_EQ(COUNT(demotes), 1);
	if (ops->users)
		CHECK_EQ(all_users(), 16 + CONTROL_PAGES + 2 + 511);
	end_td(0);
	placement = PHYS_BUDDY;
	down();
}

/* -------------------------------------------------------------- failures */

/* A life with everything in it; what fails for lack of memory is tried once more. */
static int fragile_life(void)
{
	u64 gfn[] = { 20, 511, 513, 700, 1030 };
	unsigned int i;
	int err = create(0, ops->demote ? PMD_SIZE : TD_BYTES, &td[0]), again;

	if (err) {
		CHECK(!td[0]);
		return err;
	}
	err = build(td[0]);
	for (i = 0; i < ARRAY_SIZE(gfn) && !err; i++) {
		again = touch(td[0], 0, gfn[i]);
		if (again == -ENOMEM && fail_at != ~0u)
			again = touch(td[0], 0, gfn[i]);
		err = again;
	}
	for (i = 0; i < ARRAY_SIZE(gfn) && !err; i++) {
		again = to_shared(td[0], 1, gfn[i]);
		if (again == -ENOMEM && fail_at != ~0u)
			again = to_shared(td[0], 1, gfn[i]);
		err = again;
	}
	end_td(0);
	return err;
}

static void pair_alloc_fails(void)
{
	unsigned int n, failed = 0;
	int err;

	up(true);
	for (n = 0; n < 1000; n++) {
		allocs = 0;
		fail_at = n;
		err = fragile_life();
		fail_at = ~0u;
		audit();
		if (err) {
			CHECK_EQ(err, -ENOMEM);
			failed++;
		}
		if (allocs <= n)
			break;
	}
	CHECK(n < 1000);
	CHECK_EQ(err, 0);
	CHECK_EQ(failed > 0, ops->users != NULL);
	down();
}

/* The host has n pages, for all n up to what a life takes. */
static void memory_runs_out(void)
{
	static u64 hog[HOST_BYTES / PAGE_SIZE];
	struct emu_census c;
	unsigned long r;
	u64 nr = 0, out;
	int err = -ENOMEM;

	if (ops->demote)
		return;	/* 2M pages need more than pages: see null and static */
	up(true);
	while ((hog[nr] = phys_alloc_kernel(&w.phys)))
		nr++;
	for (out = nr; err && nr; nr--) {
		phys_free_kernel(&w.phys, hog[nr - 1]);
		out--;
		err = fragile_life();
		CHECK(!err || err == -ENOMEM);
		CHECK_EQ(phys_in_use(&w.phys), out + 2 * w.preinstalled);
		CHECK_EQ(pamt_idle(&w.pamt, &r), 0);
		emu_census(&w.module, &c);
		CHECK_EQ(c.hkids + c.locked + c.pages[EMU_PT_REG] + c.pages[EMU_PT_TDR] + c.pages[EMU_PT_TDCX] +
				 c.pages[EMU_PT_TDVPR] + c.pages[EMU_PT_EPT], 0);
	}
	CHECK_EQ(err, 0);
	while (nr)
		phys_free_kernel(&w.phys, hog[--nr]);
	down();
}

static void seamcalls_fail(void)
{
	static const u64 busy[] = { EMU_TDH_MEM_SEPT_ADD, EMU_TDH_MEM_PAGE_AUG };
	static const u64 again[] = { EMU_TDH_MEM_RANGE_BLOCK, EMU_TDH_MEM_TRACK,
				     EMU_TDH_MEM_PAGE_REMOVE, EMU_TDH_PHYMEM_PAGE_WBINVD };
	char err[256];
	unsigned int i;

	up(true);
	run_td(0, TD_BYTES);
	for (i = 0; i < ARRAY_SIZE(busy); i++) {
		shot.leaf = busy[i];
		shot.status = EMU_OPERAND_BUSY | EMU_OP_RCX;
		shot.left = 1;
		CHECK_EQ(host_touch(&td[0]->vcpu[0], (1 + i) * PMD_SIZE, 0), -EAGAIN);
		CHECK_EQ(shot.left, 0);
		CHECK_EQ(COUNT(retries), i + 1);
		CHECK_EQ(COUNT(busy_other), i + 1);
		CHECK_EQ(host_touch(&td[0]->vcpu[0], (1 + i) * PMD_SIZE, 0), 0);
	}
	for (i = 0; i < ARRAY_SIZE(again); i++) {
		shot.leaf = again[i];
		shot.left = 3;
		CHECK_EQ(to_shared(td[0], 0, 512 * 2), 0);
		CHECK_EQ(shot.left, 0);
		CHECK_EQ(touch(td[0], 0, 512 * 2), 0);
	}
	CHECK_EQ(COUNT(busy_other), 2 + 3 * ARRAY_SIZE(again));
	/* Any other answer voids the run, and says so. */
	shot.leaf = EMU_TDH_MEM_PAGE_AUG;
	shot.status = EMU_PAGE_METADATA_INCORRECT | EMU_OP_R8;
	shot.left = 1;
	CHECK_EQ(touch(td[0], 0, 1500), -EIO);
	CHECK_EQ(w.errors, 1);
	end_td(0);
	CHECK_EQ(world_audit(&w, err, sizeof(err)), -EIO);
	CHECK(strstr(err, "TDH.MEM.PAGE.AUG answered 0xc000030000000008"));
	w.errors = 0;
	down();
}

static void audit_finds(const char *what)
{
	char err[256] = "";

	CHECK_EQ(world_audit(&w, err, sizeof(err)), -EIO);
	if (!CHECK(strstr(err, what)))
		printf("\t\"%s\" is not in \"%s\"\n", what, err);
}

static void audits(void)
{
	struct pamt_pair pair;
	u64 page;

	up(true);
	audit();
	page = phys_alloc_kernel(&w.phys);
	audit_finds("1 pages were not returned");
	phys_free_kernel(&w.phys, page);
	run_td(0, TD_BYTES);
	audit_finds("still owns");
	end_td(0);
	audit();
	WARN_ON_ONCE(ops);
	audit_finds("warning: ");
	shim_clear_warnings();
	w.module.fatal = EMU_SEAMCALL_VMFAILINVALID;
	audit_finds("the module died");
	w.module.fatal = 0;
	w.module.hkid_state[3] = 2;
	audit_finds("HKIDs");
	w.module.hkid_state[3] = 0;
	if (ops->users) {
		CHECK_EQ(pamt_pair_alloc(&w.pamt, NULL, &pair), 0);
		CHECK_EQ(tdh_phymem_pamt_add(&w.pamt, 9, &pair), 0);
		audit_finds("1 pairs (2 pages) are installed, 0 expected");
		CHECK_EQ(tdh_phymem_pamt_remove(&w.pamt, 9, &pair), 0);
		pamt_pair_free(&w.pamt, NULL, &pair);
		atomic_add(1, &w.pamt.count[9]);
		audit_finds("region 9 still counts 1 users");
		atomic_sub(1, &w.pamt.count[9]);
	}
	down();
}

/* ----------------------------------------------------------------- shares */

/* Two TDs in one region of control pages, guest pages each alone in theirs. */
static void shares_by_hand(void)
{
	struct world_share share[3] = { { 0 } };
	u64 a = CONTROL_PAGES + 2, b = CONTROL_PAGES + 1, part_a, total, left, n, regions;
	struct pamt_pair pair;

	if (!ops->users)
		return;
	placement = PHYS_SCATTERED;
	lone_pct = 100;
	up(true);
	run_td(0, TD_BYTES);
	run_td(1, TD_BYTES);
	for (n = 500; n < 540; n++)
		CHECK_EQ(touch(td[0], 0, n), 0);
	for (n = 100; n < 130; n++)
		CHECK_EQ(touch(td[1], 0, n), 0);
	share[0].tdr = td[0]->tdr;
	share[1].tdr = td[1]->tdr;
	total = world_shares(&w, share, 2);
	/* 16 pages of each image and those touched are lone; the rest is in one region. */
	regions = 2 * 16 + 40 + 30 + 1;
	CHECK_EQ(total, regions * PAIR_BYTES);
	part_a = PAIR_BYTES * a / (a + b);
	left = PAIR_BYTES - part_a - PAIR_BYTES * b / (a + b);
	CHECK_EQ(left, 1);
	/* 8192 x 21 / 41 leaves 37/41, 8192 x 20 / 41 leaves 4/41: but by the pages at hand. */
	part_a += PAIR_BYTES * a % (a + b) > PAIR_BYTES * b % (a + b);
	CHECK_EQ(share[0].bytes, (16 + 40) * PAIR_BYTES + part_a);
	CHECK_EQ(share[1].bytes, (16 + 30) * PAIR_BYTES + PAIR_BYTES - part_a);
	CHECK_EQ(share[0].pages, 16 + 40 + a);
	CHECK_EQ(share[1].pages, 16 + 30 + b);
	CHECK_EQ(share[2].bytes + share[2].pages, 0);
	CHECK(fabs(world_lone_pct(&w) - 100.0 * (regions - 1) / regions) < 1e-9);
	/* An idle pair is the kernel's, and so are the pages of a TD that is not listed. */
	CHECK_EQ(pamt_pair_alloc(&w.pamt, NULL, &pair), 0);
	CHECK_EQ(tdh_phymem_pamt_add(&w.pamt, w.pamt.nr_regions - 1, &pair), 0);
	memset(share, 0, sizeof(share));
	share[0].tdr = td[0]->tdr;
	CHECK_EQ(world_shares(&w, share, 1), total + PAIR_BYTES);
	CHECK_EQ(share[0].bytes, (16 + 40) * PAIR_BYTES + part_a);
	CHECK_EQ(share[1].bytes, (16 + 30) * PAIR_BYTES + PAIR_BYTES - part_a + PAIR_BYTES);
	CHECK_EQ(share[1].pages, 16 + 30 + b);
	CHECK_EQ(tdh_phymem_pamt_remove(&w.pamt, w.pamt.nr_regions - 1, &pair), 0);
	pamt_pair_free(&w.pamt, NULL, &pair);
	end_td(0);
	end_td(1);
	placement = PHYS_BUDDY;
	down();
}

/* The PSS of one TD by another way: in units of a byte over the product of the counts. */
static long double pss(unsigned int i)
{
	static struct emu_region_page page[EMU_ENTRIES];
	long double bytes = 0;
	unsigned long r, n;

	for (r = 0; r < w.pamt.nr_regions; r++) {
		u64 hpa = pamt_region_hpa(&w.pamt, r);
		unsigned int used = 0, mine = 0;
		struct emu_page_info info;

		if (emu_page_info(&w.module, hpa, &info) || !info.has_pair)
			continue;
		CHECK_EQ(emu_region_pages(&w.module, hpa, page), 0);
		for (n = 0; n < EMU_ENTRIES; n++) {
			used += page[n].type != EMU_PT_NDA;
			mine += page[n].type != EMU_PT_NDA && page[n].owner == td[i]->tdr;
		}
		if (used)
			bytes += (long double)PAIR_BYTES * mine / used;
	}
	return bytes;
}

/* Three TDs mixed page by page over many regions: remainders everywhere. */
static void shares_of_many(void)
{
	struct world_share share[TDS + 1] = { { 0 } };
	u64 n, sum = 0, total;
	unsigned int i;

	if (!ops->dynamic)
		return;
	up(true);
	for (i = 0; i < TDS; i++)
		run_td(i, TD_BYTES);
	for (n = 16; n < TD_PAGES; n++)
		for (i = 0; i < TDS; i++)
			if (n % (i + 2) != 1)
				CHECK_EQ(touch(td[i], 0, n), 0);
	for (i = 0; i < TDS; i++)
		share[i].tdr = td[i]->tdr;
	total = world_shares(&w, share, TDS);
	CHECK_EQ(total, (w.preinstalled + pairs) * PAIR_BYTES);
	for (i = 0; i <= TDS; i++)
		sum += share[i].bytes;
	CHECK_EQ(sum, total);
	for (i = 0; i < TDS; i++)
		CHECK(fabsl(share[i].bytes - pss(i)) < 16);
	/* Without pairs in advance, none is idle here. */
	if (!ops->preinstalled)
		CHECK_EQ(share[TDS].bytes, 0);
	else
		CHECK(share[TDS].bytes >= (w.preinstalled - 64) * PAIR_BYTES);
	for (i = 0; i < TDS; i++)
		end_td(i);
	down();
}

/* ------------------------------------------------------------- placement */

static void contiguous(void)
{
	struct emu_page_info info;
	u64 n, order;

	placement = PHYS_CONTIGUOUS;
	up(true);
	run_td(0, TD_BYTES);
	run_td(1, TD_BYTES);
	for (n = 16; n < TD_PAGES; n++) {
		order = (n * 773) % TD_PAGES;
		CHECK_EQ(touch(td[0], 0, order), 0);
		if (n % 3)
			CHECK_EQ(touch(td[1], 0, order), 0);
	}
	CHECK_EQ(touch(td[0], 0, 777), 0);
	for (n = 0; n < TD_PAGES; n++) {
		u64 chunk = page_of[0][n & ~511ull];

		if (!page_of[0][n])
			continue;
		CHECK_EQ(chunk % PMD_SIZE, 0);
		CHECK_EQ(page_of[0][n], chunk + n % 512 * PAGE_SIZE);
		CHECK_EQ(td[0]->chunk[n / 512], chunk);
		CHECK_EQ(emu_page_info(&w.module, page_of[0][n], &info), 0);
		if (ops->dynamic || !ops->preinstalled)
			CHECK_EQ(info.owner, td[0]->tdr);
		if (page_of[1][n])
			CHECK(page_of[1][n] / PMD_SIZE != page_of[0][n] / PMD_SIZE);
	}
	CHECK(!ops->users || world_lone_pct(&w) == 0);
	/* A chunk goes with its last page and comes back with the next first one. */
	for (n = 1024; n < 1536; n++) {
		CHECK(td[0]->chunk[2]);
		CHECK_EQ(to_shared(td[0], 0, n), 0);
	}
	CHECK(!td[0]->chunk[2]);
	CHECK_EQ(touch(td[0], 0, 1100), 0);
	CHECK_EQ(page_of[0][1100], td[0]->chunk[2] + 1100 % 512 * PAGE_SIZE);
	end_td(0);
	end_td(1);
	placement = PHYS_BUDDY;
	down();
}

/* Bit per page: is it alone in its region? Returns how many are. */
static unsigned int lone_pages(unsigned char *lone)
{
	unsigned int n = 0, i;

	up(true);
	run_td(0, TD_BYTES);
	for (i = 16; i < 700; i++)
		CHECK_EQ(touch(td[0], 0, i), 0);
	for (i = 0; i < 700; i++) {
		/* Lone pages are the first of their block, and the allocator has no other there. */
		lone[i] = !(page_of[0][i] % PMD_SIZE) && page_of[0][i] / PMD_SIZE >
								 w.phys.reserved / PMD_SIZE + 4;
		n += lone[i];
	}
	end_td(0);
	down();
	return n;
}

static void scattered(void)
{
	static unsigned char first[700], lone[700], other[700];
	static bool have_first;
	unsigned int n;

	placement = PHYS_SCATTERED;
	lone_pct = 100;
	up(true);
	run_td(0, TD_BYTES);
	for (n = 16; n < 400; n++)
		CHECK_EQ(touch(td[0], 0, n), 0);
	for (n = 0; n < 400; n++)
		CHECK_EQ(page_of[0][n] % PMD_SIZE, 0);
	if (ops->users)
		CHECK(fabs(world_lone_pct(&w) - 100.0 * 400 / 401) < 1e-9);
	end_td(0);
	down();

	lone_pct = 50;
	n = lone_pages(lone);
	CHECK(n > 290 && n < 400);
	/*
	 * The same pages for every strategy; others with another seed. Where all
	 * pairs are installed, ordinary pages lie among the blocks of lone ones.
	 */
	if (!have_first && ops->users)
		memcpy(first, lone, sizeof(first));
	have_first |= !!ops->users;
	CHECK(!ops->users || !memcmp(first, lone, sizeof(first)));
	seed = 2;
	lone_pages(other);
	CHECK(memcmp(first, other, sizeof(first)));
	seed = 1;
	lone_pct = 0;
	CHECK_EQ(lone_pages(other), 0);
	placement = PHYS_BUDDY;
}

/* ----------------------------------------------------------- TDs on threads */

static void *thread(void *arg)
{
	unsigned int i = (uintptr_t)arg, n, round;
	struct host_td *mine = NULL;

	shim_set_cpu(i);
	for (round = 0; round < 2; round++) {
		struct host_td_config c = { .index = i, .vcpus = 1, .memory = TD_BYTES,
					    .image = 16 * PAGE_SIZE, .huge_start = TD_BYTES };

		if (host_td_create(&w, &c, &mine) || build(mine))
			return "a TD could not be built";
		for (n = 16; n < 1200; n++)
			if (touch(mine, 0, n))
				return "a page could not be touched";
		for (n = 16; n < 1200; n += 7)
			if (to_shared(mine, 0, n))
				return "a page could not be converted";
		if (destroy(&mine))
			return "a TD could not be torn down";
	}
	return NULL;
}

static void on_threads(void)
{
	pthread_t t[CPUS];
	unsigned int i;
	void *broken;

	up(false);
	for (i = 0; i < CPUS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, thread, (void *)(uintptr_t)i), 0);
	for (i = 0; i < CPUS; i++) {
		pthread_join(t[i], &broken);
		if (!CHECK(!broken))
			printf("\t%s: %s\n", ops->name, (char *)broken);
	}
	shim_set_cpu(0);
	down();
}

int main(void)
{
	unsigned int i;

	test_begin("test_host");
	clock_init();
	shim_set_nr_cpus(CPUS);
	arena = phys_map(HOST_BYTES);
	if (!CHECK(arena))
		return test_end();
	for (i = 0; (ops = pamt_ops_at(i)); i++) {
		TEST(lives);
		TEST(short_lives);
		if (ops->demote)
			TEST(huge);
		if (ops->promote)
			TEST(promotion);
		if (ops->users) {
			TEST(pair_alloc_fails);
			TEST(audits);
			TEST(shares_by_hand);
		}
		TEST(memory_runs_out);
		TEST(seamcalls_fail);
		TEST(shares_of_many);
		TEST(contiguous);
		TEST(scattered);
		TEST(on_threads);
	}
	phys_unmap(arena, HOST_BYTES);
	return test_end();
}
