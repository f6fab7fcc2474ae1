// SPDX-License-Identifier: GPL-2.0-only
/*
 * The software TDX module under threads: each drives its own pages through one
 * shared TD, installs and removes pairs whose pages lie in its neighbour's
 * region (cross-region BUSY), resizes a 2M page, and makes and unmakes a small
 * TD of its own. Every call must answer success or BUSY, and at the end nothing
 * is left. Meant to be run under ThreadSanitizer as well. Takes about a second.
 */
#include "tests/module_world.h"

#include <pthread.h>
#include <sched.h>

#define THREADS 4
#define RUN_NS 250000000ULL
#define GIVE_UP_NS 20000000000ULL

static struct world w;
static struct wtd td;
static u64 deadline;

struct worker {
	pthread_t thread;
	unsigned int id;
	u64 seed;
	u64 target;		/* region whose pair comes and goes */
	u64 lender;		/* region that the pair's pages lie in: the neighbour's target */
	u64 huge;		/* a 2M page */
	u64 table;		/* S-EPT page for splitting it */
	u64 split[2];		/* PAMT pages for splitting it */
	u64 own_tdr;
	u64 gpa;		/* its 2M of 4K entries; the 2M page is at gpa + 2M */
	unsigned long ok, busy, bad;
	u64 bad_rax, bad_status;
};

static u64 draw(struct worker *k)
{
	k->seed ^= k->seed << 13;
	k->seed ^= k->seed >> 7;
	k->seed ^= k->seed << 17;
	return k->seed;
}

static bool is_busy(u64 status)
{
	return EMU_ST_CLASS(status) == EMU_OPERAND_BUSY;
}

/* Until it is not BUSY. Everything but success is a finding. */
static struct tdx_module_args must(struct worker *k, u64 rax, struct tdx_module_args a)
{
	struct tdx_module_args out;
	u64 status;

	for (;;) {
		out = a;
		status = emu_seamcall(&w.m, rax, &out);
		if (!is_busy(status))
			break;
		k->busy++;
		if (shim_clock() > deadline + GIVE_UP_NS)
			break;
		if (draw(k) & 1)
			sched_yield();
	}
	if (!status) {
		k->ok++;
	} else {
		if (!k->bad++) {
			k->bad_rax = rax;
			k->bad_status = status;
		}
	}
	return out;
}

#define MUST(k, leaf, ...) must((k), EMU_##leaf, (struct tdx_module_args){ __VA_ARGS__ })

static void expect(struct worker *k, u64 got, u64 want)
{
	if (got != want && !k->bad++)
		k->bad_status = got;
}

static void zap(struct worker *k, u64 gpa, unsigned int level, u64 page)
{
	struct tdx_module_args out;

	MUST(k, TDH_MEM_RANGE_BLOCK, .rcx = gpa | level, .rdx = td.tdr);
	MUST(k, TDH_MEM_TRACK, .rcx = td.tdr);
	out = MUST(k, TDH_MEM_PAGE_REMOVE, .rcx = gpa | level, .rdx = td.tdr);
	expect(k, out.rcx & ~EMU_HINT_EMPTY, page);
	MUST(k, TDH_PHYMEM_PAGE_WBINVD, .rcx = page);
}

/* A pair from the neighbour's region, a page or two, and all of it back. */
static void small_pages(struct worker *k)
{
	u64 p0 = w_page_of(k->lender, EMU_ENTRIES - 2), p1 = w_page_of(k->lender, EMU_ENTRIES - 1);
	unsigned int i, nr = 1 + draw(k) % 2;
	struct tdx_module_args out;

	MUST(k, TDH_PHYMEM_PAMT_ADD, .rcx = k->target | 1, .rdx = p0, .r8 = p1);
	for (i = 0; i < nr; i++)
		MUST(k, TDH_MEM_PAGE_AUG, .rcx = k->gpa + i * EMU_4K_SIZE, .rdx = td.tdr,
		     .r8 = w_page_of(k->target, i));
	out = MUST(k, TDH_PHYMEM_PAGE_RDMD, .rcx = k->target);
	expect(k, out.rcx, EMU_PT_REG);
	expect(k, out.rdx, td.tdr);
	for (i = 0; i < nr; i++)
		zap(k, k->gpa + i * EMU_4K_SIZE, 0, w_page_of(k->target, i));
	out = MUST(k, TDH_PHYMEM_PAMT_REMOVE, .rcx = k->target | 1);
	expect(k, out.rdx, p0);
	expect(k, out.r8, p1);
}

static void block_and_track(struct worker *k, u64 gpa)
{
	MUST(k, TDH_MEM_RANGE_BLOCK, .rcx = gpa | 1, .rdx = td.tdr);
	MUST(k, TDH_MEM_TRACK, .rcx = td.tdr);
}

static void huge_page(struct worker *k)
{
	u64 gpa = k->gpa + EMU_2M_SIZE;
	struct tdx_module_args out;

	MUST(k, TDH_MEM_PAGE_AUG, .rcx = gpa | 1, .rdx = td.tdr, .r8 = k->huge);
	if (draw(k) & 1) {
		block_and_track(k, gpa);
		MUST(k, TDH_MEM_PAGE_DEMOTE, .rcx = gpa | 1, .rdx = td.tdr, .r8 = k->table,
		     .r12 = k->split[0], .r13 = k->split[1]);
		block_and_track(k, gpa);
		out = MUST(k, TDH_MEM_PAGE_PROMOTE, .rcx = gpa | 1, .rdx = td.tdr);
		expect(k, out.rcx & ~EMU_HINT_EMPTY, k->table);
		expect(k, out.r12, k->split[0]);
		expect(k, out.r13, k->split[1]);
	}
	zap(k, gpa, 1, k->huge);
}

static void small_td(struct worker *k)
{
	MUST(k, TDH_MNG_CREATE, .rcx = k->own_tdr, .rdx = W_FIRST_HKID + 2 + k->id);
	MUST(k, TDH_MNG_KEY_CONFIG, .rcx = k->own_tdr);
	MUST(k, TDH_MNG_VPFLUSHDONE, .rcx = k->own_tdr);
	MUST(k, TDH_PHYMEM_CACHE_WB);
	MUST(k, TDH_MNG_KEY_FREEID, .rcx = k->own_tdr);
	MUST(k, TDH_PHYMEM_PAGE_RECLAIM, .rcx = k->own_tdr);
}

static void *work(void *arg)
{
	struct worker *k = arg;

	while (shim_clock() < deadline && !k->bad) {
		switch (draw(k) % 4) {
		case 0:
			huge_page(k);
			break;
		case 1:
			small_td(k);
			break;
		default:
			small_pages(k);
		}
	}
	return NULL;
}

static void prepare(struct worker *k, unsigned int id, unsigned int nr)
{
	memset(k, 0, sizeof(*k));
	k->id = id;
	k->seed = 0x9e3779b97f4a7c15ULL * (id + 1);
	k->target = w_region(&w, 1 + id);
	k->lender = w_region(&w, 1 + (id + 1) % nr);
	k->huge = w_region(&w, 1 + nr + id);
	k->table = w_page(&w);
	k->split[0] = w_page(&w);
	k->split[1] = w_backing(&w);
	k->own_tdr = w_page(&w);
	k->gpa = 2 * id * EMU_2M_SIZE;
	td_tables(&w, &td, k->gpa, 1);
}

static void threads(unsigned int nr)
{
	struct worker k[THREADS];
	unsigned long ok = 0, busy = 0;
	unsigned int i;

	w_init(&w, true);
	td_run(&w, &td, 0);
	for (i = 0; i < nr; i++)
		prepare(&k[i], i, nr);
	w.m.hold = NULL;
	deadline = shim_clock() + RUN_NS;
	for (i = 0; i < nr; i++)
		CHECK_EQ(pthread_create(&k[i].thread, NULL, work, &k[i]), 0);
	for (i = 0; i < nr; i++) {
		pthread_join(k[i].thread, NULL);
		CHECK_EQ(k[i].bad, 0);
		if (k[i].bad)
			printf("\tleaf %#" PRIx64 " answered %#" PRIx64 "\n", k[i].bad_rax,
			       k[i].bad_status);
		CHECK(k[i].ok > 0);
		ok += k[i].ok;
		busy += k[i].busy;
	}
	printf("%u threads: %lu calls, %lu busy\n", nr, ok, busy);
	w.m.hold = w_hold;
	td_destroy(&w, &td);
	w_exit(&w);
}

static void two_threads(void)
{
	threads(2);
}

static void four_threads(void)
{
	threads(4);
}

/* Many threads on one lock word: never two owners, never an owner with a reader. */
static u16 word;
static u64 inside;
static u64 overlaps;

static void *lock_hammer(void *arg)
{
	u64 seed = (uintptr_t)arg * 0x9e3779b97f4a7c15ULL + 1;
	unsigned long i;

	for (i = 0; i < 100000; i++) {
		struct emu_call c;
		bool ex;

		c.nr_locks = 0;
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		if (!call_lock(&c, &word, seed % 4 ? EMU_LOCK_SH : EMU_LOCK_EX))
			continue;
		ex = c.locks[0].mode == EMU_LOCK_EX || (seed & 64 && call_promote(&c));
		if (ex) {
			if (xadd(&inside, 1ULL << 32))
				xadd(&overlaps, 1);
			xadd(&inside, (u64)-(1ULL << 32));
		} else {
			if (xadd(&inside, 1) >> 32)
				xadd(&overlaps, 1);
			xadd(&inside, (u64)-1);
		}
		call_unlock_to(&c, 0);
	}
	return NULL;
}

static void lock_word(void)
{
	pthread_t t[THREADS];
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, lock_hammer, (void *)(i + 1)), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(overlaps, 0);
	CHECK(sharex_is_free(word));
}

int main(void)
{
	test_begin("test_module_mt");
	TEST(lock_word);
	TEST(two_threads);
	TEST(four_threads);
	return test_end();
}
