// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every strategy over the software module, natively: what get, put, demote and
 * promote promise, what each failure leaves behind, what the statistics say,
 * and who waits for whom on two and three threads. test_stress.c is the other
 * half.
 */
#include "tests/strategy_bed.h"

/* -------------------------------------------------------- one CPU at a time */

/* Controls keep no count: nothing may happen at all. */
static void check_control(unsigned long r)
{
	u64 calls = w.cpu[0].seamcalls;
	bool there = pair_there(r);

	CHECK_EQ(there, ops->preinstalled);
	CHECK_EQ(get(r), 0);
	put(r);
	CHECK_EQ(pair_there(r), there);
	CHECK_EQ(w.cpu[0].seamcalls, calls);
}

static void basics(void)
{
	struct pamt_cache *cache = &cache_of[0];
	unsigned long r, at = 0, n;
	struct emu_page_info info;
	u64 page[2];

	up();
	r = region(0);
	if (!counted()) {
		check_control(r);
		down();
		return;
	}
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	CHECK_EQ(world_topup(&w, cache, 4), 0);
	page[0] = cache->page[3];
	page[1] = cache->page[2];
	CHECK_EQ(ops->get(p, r, cache), 0);
	CHECK_EQ(cache->nr, 2);
	CHECK_EQ(emu_page_info(&w.module, pamt_region_hpa(p, r), &info), 0);
	CHECK(info.has_pair);
	CHECK_EQ(info.pair[0], page[0]);
	CHECK_EQ(info.pair[1], page[1]);
	CHECK_EQ(pamt_idle(p, &at), -EBUSY);
	CHECK_EQ(at, r);
	/* What is not a transition makes no SEAMCALL and, uncontended, reads no clock. */
	clock_reads = 0;
	for (n = 2; n <= 5; n++) {
		CHECK_EQ(ops->get(p, r, cache), 0);
		CHECK_EQ(ops->users(p, r), n);
	}
	for (n = 5; n-- > 1;) {
		put(r);
		CHECK_EQ(ops->users(p, r), n);
		CHECK(pair_there(r));
	}
	CHECK_EQ(clock_reads, 0);
	CHECK_EQ(w.cpu[0].seamcalls, 1);
	CHECK_EQ(cache->nr, 2);
	put(r);
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	CHECK_EQ(pamt_idle(p, &at), 0);
	/* The pages are back in this CPU's list. */
	CHECK_EQ(phys_alloc_kernel(&w.phys) + phys_alloc_kernel(&w.phys), page[0] + page[1]);
	phys_free_kernel(&w.phys, page[0]);
	phys_free_kernel(&w.phys, page[1]);
	/* Without a cache; and other regions are not concerned. */
	CHECK_EQ(ops->get(p, r, NULL), 0);
	CHECK_EQ(ops->get(p, region(1), NULL), 0);
	put(r);
	CHECK(!pair_there(r) && pair_there(region(1)));
	put(region(1));
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.get_slow, 3);
	CHECK_EQ(sum.put_slow, 3);
	CHECK_EQ(sum.install, 3);
	CHECK_EQ(sum.remove, 3);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_ADD], 3);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_REMOVE], 3);
	CHECK_EQ(sum.get_failed + sum.lost_race + sum.leaked, 0);
	CHECK_EQ(sum.wait_count[0] + sum.wait_count[1], 0);
	CHECK(sum.irqoff_max_ns > 0);
	down();
}

static void alloc_fails(void)
{
	unsigned long r;
	/* With one lock around everything, a pair is taken before each get. */
	bool always = ops->primitive == PAMT_PRIM_LOCK;

	if (!counted())
		return;
	up();
	r = region(0);
	alloc_fn = alloc_none;
	CHECK_EQ(get(r), -ENOMEM);
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	alloc_fn = NULL;
	CHECK_EQ(get(r), 0);
	alloc_fn = alloc_none;
	CHECK_EQ(get(r), always ? -ENOMEM : 0);
	CHECK_EQ(ops->users(p, r), always ? 1 : 2);
	if (!always)
		put(r);
	put(r);
	CHECK_EQ(ops->users(p, r), 0);
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.get_failed, always ? 2 : 1);
	CHECK_EQ(sum.install, 1);
	down();
}

static void add_fails(void)
{
	unsigned long r;

	if (!counted())
		return;
	up();
	r = region(0);
	shoot_at(EMU_TDH_PHYMEM_PAMT_ADD, EMU_OPERAND_INVALID | EMU_OP_RCX, 1);
	CHECK_EQ(get(r), -EIO);
	CHECK_EQ(shot.left, 0);
	expect_warnings();
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	CHECK_EQ(cache_of[0].nr, 4);	/* the pair is back */
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.get_failed, 1);
	CHECK_EQ(sum.install, 0);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_ADD], 1);
	CHECK_EQ(get(r), 0);
	CHECK_EQ(ops->users(p, r), 1);
	put(r);
	down();
}

static void remove_fails(void)
{
	unsigned long r;

	if (!counted())
		return;
	up();
	r = region(0);
	CHECK_EQ(get(r), 0);
	shoot_at(EMU_TDH_PHYMEM_PAMT_REMOVE, EMU_PAMT_PAGE_NOT_EMPTY, 1);
	put(r);
	CHECK_EQ(shot.left, 0);
	expect_warnings();
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.leaked, 1);
	CHECK_EQ(sum.remove, 0);
	/* The pair stays, one user stands for it, and the region is as good as before. */
	CHECK(pair_there(r));
	CHECK_EQ(ops->users(p, r), 1);
	CHECK_EQ(get(r), 0);
	CHECK_EQ(ops->users(p, r), 2);
	put(r);
	CHECK_EQ(ops->users(p, r), 1);
	CHECK(pair_there(r));
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.install, 1);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_REMOVE], 1);
	CHECK(recover(r));
	down();
}

static void busy_once(enum pamt_leaf leaf, u64 operand, enum pamt_operand want)
{
	u64 status = EMU_OPERAND_BUSY | operand;
	unsigned long r;
	bool whole = leaf == PAMT_LEAF_DEMOTE || leaf == PAMT_LEAF_PROMOTE;
	unsigned int l, o;

	up();
	r = region(0);
	if (leaf == PAMT_LEAF_ADD)
		shoot_at(EMU_TDH_PHYMEM_PAMT_ADD, status, 1);
	call_status = status;
	call_left = leaf == PAMT_LEAF_DEMOTE;
	CHECK_EQ(whole ? demote(r) : get(r), 0);
	CHECK_EQ(ops->users(p, r), whole ? PAMT_REGION_PAGES : 1);
	CHECK(pair_there(r));
	if (leaf == PAMT_LEAF_REMOVE)
		shoot_at(EMU_TDH_PHYMEM_PAMT_REMOVE, status, 1);
	call_left = leaf == PAMT_LEAF_PROMOTE;
	if (whole)
		CHECK_EQ(promote(r), 0);
	else
		put(r);
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	CHECK_EQ(shot.left + call_left, 0);
	pamt_stats_sum(p, &sum);
	for (l = 0; l < PAMT_NR_LEAVES; l++)
		for (o = 0; o < PAMT_NR_OPERANDS; o++)
			CHECK_EQ(sum.busy[l][o], l == leaf && o == want);
	/* Exactly one retry. */
	CHECK_EQ(sum.seamcall[leaf], 2);
	CHECK_EQ(sum.install, 1);
	CHECK_EQ(sum.remove, 1);
	CHECK_EQ(sum.wait_count[0], 1);
	CHECK_EQ(sum.wait_count[1], 0);
	down();
}

static void busy(void)
{
	unsigned int leaf;

	if (!counted())
		return;
	for (leaf = 0; leaf < PAMT_NR_LEAVES; leaf++) {
		busy_once(leaf, EMU_OP_RCX, PAMT_BUSY_REGION);
		busy_once(leaf, EMU_OP_RDX, PAMT_BUSY_PAGE);
		busy_once(leaf, EMU_OP_R8, PAMT_BUSY_PAGE);
		busy_once(leaf, EMU_OP_R12, PAMT_BUSY_PAGE);
		busy_once(leaf, EMU_OP_R13, PAMT_BUSY_PAGE);
		busy_once(leaf, EMU_OP_TDR, PAMT_BUSY_OTHER);
	}
}

/* BUSY with nobody else in the module cannot be: it warns, and nothing hangs on it. */
static void busy_alone(void)
{
	unsigned long r;

	if (!counted())
		return;
	up();
	r = region(0);
	shoot_at(EMU_TDH_PHYMEM_PAMT_ADD, EMU_OPERAND_BUSY | EMU_OP_RCX, 2);
	CHECK_EQ(get(r), -EIO);
	expect_warnings();
	CHECK_EQ(ops->users(p, r), 0);
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_ADD], 2);
	CHECK_EQ(sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION], 2);
	CHECK_EQ(get(r), 0);
	put(r);
	/* The second BUSY counts without a wait. */
	per_cpu_ptr(p->stats, 0)->busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION]--;
	down();
}

static void demote_promote(void)
{
	unsigned long r;
	unsigned int n;

	if (!counted())
		return;
	up();
	r = region(0);
	CHECK_EQ(demote(r), 0);
	CHECK_EQ(ops->users(p, r), PAMT_REGION_PAGES);
	CHECK_EQ(PAMT_REGION_PAGES, EMU_ENTRIES);
	CHECK(pair_there(r));
	/* A foreign reference, and one that is missing: not to be promoted, nothing changes. */
	CHECK_EQ(get(r), 0);
	CHECK_EQ(promote(r), -EBUSY);
	CHECK_EQ(ops->users(p, r), PAMT_REGION_PAGES + 1);
	put(r);
	put(r);
	CHECK_EQ(promote(r), -EBUSY);
	CHECK_EQ(ops->users(p, r), PAMT_REGION_PAGES - 1);
	CHECK_EQ(get(r), 0);
	/* The module refuses. */
	call_status = EMU_EPT_INVALID_PROMOTE_CONDITIONS;
	call_left = 1;
	CHECK_EQ(promote(r), -EIO);
	CHECK_EQ(ops->users(p, r), PAMT_REGION_PAGES);
	CHECK(pair_there(r));
	CHECK_EQ(promote(r), 0);
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	/* A demotion that fails leaves nothing. */
	call_status = EMU_OPERAND_INVALID | EMU_OP_RCX;
	call_left = 1;
	CHECK_EQ(demote(r), -EIO);
	expect_warnings();
	CHECK_EQ(ops->users(p, r), 0);
	CHECK(!pair_there(r));
	/* Page by page to the end: the last put removes. */
	CHECK_EQ(demote(r), 0);
	for (n = 0; n < PAMT_REGION_PAGES; n++) {
		CHECK(pair_there(r));
		put(r);
	}
	CHECK(!pair_there(r));
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.install, 2);
	CHECK_EQ(sum.remove, 2);
	CHECK_EQ(sum.get_failed, 1);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_DEMOTE], 3);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_PROMOTE], 2);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_ADD], 0);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_REMOVE], 1);
	/* A region in use is not mapped at 2M: demoting it is the caller's bug. */
	CHECK_EQ(get(r), 0);
	CHECK_EQ(demote(r), -EIO);
	expect_warnings();
	CHECK_EQ(ops->users(p, r), 1);
	put(r);
	down();
}

static void underflow(void)
{
	unsigned long r;

	if (!counted())
		return;
	up();
	r = region(0);
	put(r);
	expect_warnings();
	/* One put too many, and everything goes on as if it had not been. */
	CHECK_EQ(ops->users(p, r), 0);
	CHECK_EQ(get(r), 0);
	CHECK_EQ(shim_warnings(NULL), 0);
	CHECK_EQ(ops->users(p, r), 1);
	put(r);
	CHECK_EQ(shim_warnings(NULL), 0);
	put(r);
	expect_warnings();
	CHECK_EQ(ops->users(p, r), 0);
	down();
}

/* Regions that share a lock share nothing else. */
static void alike(void)
{
	unsigned long a, b;

	if (!counted())
		return;
	up();
	a = region(0);
	for (b = a - 1; b > 1 && ops->has_locks && !same_lock(a, b); b--)
		;
	CHECK(b > 1);
	CHECK_EQ(get(a), 0);
	CHECK_EQ(ops->users(p, b), 0);
	CHECK_EQ(get(b), 0);
	CHECK_EQ(get(b), 0);
	CHECK(pair_there(a) && pair_there(b));
	put(a);
	CHECK(!pair_there(a) && pair_there(b));
	CHECK_EQ(ops->users(p, b), 2);
	put(b);
	put(b);
	CHECK(!pair_there(b));
	down();
}

/* ------------------------------------------------------------- statistics */

static void stats_sum(void)
{
	const size_t slow = offsetof(struct pamt_stats, get_slow) / 8;
	const size_t end = offsetof(struct pamt_stats, irqoff_max_ns) / 8;
	u64 *to = (u64 *)&sum;
	unsigned int cpu, i;

	if (!counted())
		return;
	up();
	for (cpu = 0; cpu < CPUS; cpu++) {
		struct pamt_stats *s = per_cpu_ptr(p->stats, cpu);
		u64 *word = (u64 *)s;

		for (i = slow; i < end; i++)
			word[i] = (i << 16) + (1 << cpu);
		s->irqoff_max_ns = cpu == 2 ? 77 : cpu;
		pamt_hist_add(&s->wait, 1000 + cpu);
		pamt_hist_add(&s->get_ns, cpu == 1 ? 1 << 20 : 3);
		pamt_hist_add(&s->put_ns, 5);
	}
	pamt_stats_sum(p, &sum);
	for (i = slow; i < end; i++)
		CHECK_EQ(to[i], ((u64)i << 16) * CPUS + 15);
	CHECK_EQ(sum.irqoff_max_ns, 77);
	CHECK_EQ(sum.wait.sum_ns, 4006);
	CHECK_EQ(sum.wait.max_ns, 1003);
	CHECK_EQ(hist_count(&sum.wait), 4);
	CHECK_EQ(sum.get_ns.max_ns, 1 << 20);
	CHECK_EQ(sum.get_ns.bin[3], 3);
	CHECK_EQ(sum.get_ns.bin[pamt_hist_index(1 << 20)], 1);
	CHECK_EQ(sum.put_ns.bin[5], 4);
	world_exit(&w);
}

static void hist_bins(void)
{
	static struct pamt_hist h;
	u64 low, next;
	unsigned int i;

	for (i = 0; i < PAMT_HIST_BINS; i++) {
		low = pamt_hist_low(i);
		next = pamt_hist_low(i + 1);
		CHECK(next > low);
		CHECK_EQ(pamt_hist_index(low), i);
		CHECK_EQ(pamt_hist_index(low + (next - low) / 2), i);
		CHECK_EQ(pamt_hist_index(next - 1), i);
		CHECK((next - low) << PAMT_HIST_SUB <= (low ? low : 1 << PAMT_HIST_SUB) ||
		      next - low == 1);
		pamt_hist_add(&h, low);
		CHECK_EQ(h.bin[i], 1);
		CHECK_EQ(h.max_ns, low);
	}
	CHECK_EQ(pamt_hist_low(0), 0);
	CHECK_EQ(pamt_hist_low(PAMT_HIST_BINS), 1ull << PAMT_HIST_MAX);
	CHECK_EQ(pamt_hist_index(1ull << PAMT_HIST_MAX), PAMT_HIST_BINS - 1);
	CHECK_EQ(pamt_hist_index(~0ull), PAMT_HIST_BINS - 1);
}

/* ------------------------------------------------------ who waits for whom */

/*
 * CPU 0 does first() and is held inside its SEAMCALL until CPU 1 has finished
 * second() or, if that has to wait, has had two milliseconds to begin waiting.
 */
static struct {
	void (*first)(void), (*second)(void);
	u64 leaf;
	bool blocks;
	atomic_t held, announced, done;
	u64 ns;		/* of second() */
} duel;

static void duel_hold(const struct emu_call *c)
{
	u64 end;

	if (shim_cpu || c->leaf != duel.leaf || atomic_read(&duel.held))
		return;
	atomic_set_release(&duel.held, 1);
	await(&duel.announced, 1);
	end = clock_ns() + (duel.blocks ? 2000000 : PATIENCE_NS);
	while (!atomic_read_acquire(&duel.done) && clock_ns() < end)
		sched_yield();
	if (duel.blocks && atomic_read_acquire(&duel.done))
		broke("a CPU did not wait for a SEAMCALL that it depends on");
	if (!duel.blocks && !atomic_read_acquire(&duel.done))
		broke("a CPU waits for a SEAMCALL that it has nothing to do with");
}

static void duel_body(unsigned int cpu)
{
	u64 start;

	if (!cpu) {
		duel.first();
		return;
	}
	await(&duel.held, 1);
	atomic_set_release(&duel.announced, 1);
	start = clock_ns();
	duel.second();
	duel.ns = clock_ns() - start;
	atomic_set_release(&duel.done, 1);
}

enum wait_class { WAIT_FALSE, WAIT_TRUE, WAIT_NONE };

/* A thread may be too late to wait: tried until it was not. @again makes the start state. */
static void fight(void (*first)(void), u64 leaf, void (*second)(void), enum wait_class want,
		  void (*again)(void))
{
	struct pamt_stats *s = per_cpu_ptr(p->stats, 1);
	unsigned int try;

	duel.first = first;
	duel.second = second;
	duel.leaf = leaf;
	duel.blocks = want != WAIT_NONE;
	for (try = 0; try < 50; try++) {
		atomic_set(&duel.held, 0);
		atomic_set(&duel.announced, 0);
		atomic_set(&duel.done, 0);
		memset(p->stats, 0, SHIM_PERCPU_STRIDE);
		memset(s, 0, sizeof(*s));
		if (again)
			again();
		hold_fn = duel_hold;
		crew(2, duel_body);
		hold_fn = NULL;
		CHECK_EQ(s->wait_count[WAIT_FALSE] && want != WAIT_FALSE, 0);
		CHECK_EQ(s->wait_count[WAIT_TRUE] && want != WAIT_TRUE, 0);
		CHECK(s->wait_ns[0] + s->wait_ns[1] <= duel.ns);
		CHECK(s->get_ns.sum_ns + s->put_ns.sum_ns <= duel.ns);
		CHECK(s->get_ns.sum_ns + s->put_ns.sum_ns >= s->wait_ns[0] + s->wait_ns[1]);
		check_sums();
		if (want == WAIT_NONE || s->wait_count[want])
			return;
	}
	CHECK(!"a wait was seen");
}

static unsigned long reg_a, reg_b;
static int err_a;

static void get_a(void)
{
	err_a = get(reg_a);
}

static void get_b(void)
{
	if (get(reg_b))
		broke("a get failed");
}

static void put_a(void)
{
	put(reg_a);
}

static void demote_a(void)
{
	err_a = demote(reg_a);
}

static void drop_all(void)
{
	while (ops->users(p, reg_a))
		put(reg_a);
	while (reg_b != reg_a && ops->users(p, reg_b))
		put(reg_b);
}

static void drop_all_but_one(void)
{
	drop_all();
	CHECK_EQ(get(reg_a), 0);
}

static void drop_all_and_shoot(void)
{
	drop_all();
	shim_clear_warnings();
	shoot_at(EMU_TDH_PHYMEM_PAMT_ADD, EMU_OPERAND_INVALID | EMU_OP_RCX, 1);
}

static void waits_same_region(void)
{
	if (!counted())
		return;
	up();
	reg_a = reg_b = region(0);
	/* A get waits for another's ADD, and is a user then, with one pair for both. */
	fight(get_a, EMU_TDH_PHYMEM_PAMT_ADD, get_b, WAIT_TRUE, drop_all);
	CHECK_EQ(err_a, 0);
	CHECK_EQ(ops->users(p, reg_a), 2);
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.install, 1);
	/* For a REMOVE, and installs anew. */
	fight(put_a, EMU_TDH_PHYMEM_PAMT_REMOVE, get_b, WAIT_TRUE, drop_all_but_one);
	CHECK_EQ(ops->users(p, reg_a), 1);
	CHECK(pair_there(reg_a));
	/* For a demotion: all its references at once, and one more. */
	fight(demote_a, EMU_TDH_PHYMEM_PAMT_ADD, get_b, WAIT_TRUE, drop_all);
	CHECK_EQ(err_a, 0);
	CHECK_EQ(ops->users(p, reg_a), PAMT_REGION_PAGES + 1);
	/* For an ADD that fails: the other goes on by itself. */
	fight(get_a, EMU_TDH_PHYMEM_PAMT_ADD, get_b, WAIT_TRUE, drop_all_and_shoot);
	expect_warnings();
	CHECK_EQ(err_a, -EIO);
	CHECK_EQ(ops->users(p, reg_a), 1);
	CHECK(pair_there(reg_a));
	drop_all();
	down();
}

/* Also the one thing that the concurrent strategies are for. */
static void waits_two_regions(void)
{
	enum wait_class want = serial() ? WAIT_FALSE : WAIT_NONE;

	if (!counted())
		return;
	up();
	reg_a = region(0);
	for (reg_b = reg_a - 1; !serial() && same_lock(reg_a, reg_b); reg_b--)
		;
	fight(get_a, EMU_TDH_PHYMEM_PAMT_ADD, get_b, want, drop_all);
	fight(put_a, EMU_TDH_PHYMEM_PAMT_REMOVE, get_b, want, drop_all_but_one);
	/* Regions that hash alike. */
	drop_all();
	for (reg_b = reg_a - 1; ops->has_locks && !same_lock(reg_a, reg_b); reg_b--)
		;
	want = ops->has_locks ? WAIT_FALSE : WAIT_NONE;
	fight(get_a, EMU_TDH_PHYMEM_PAMT_ADD, get_b, want, drop_all);
	CHECK_EQ(ops->users(p, reg_b), 1);
	drop_all();
	down();
}

/*
 * CPU 2 holds the fallback shared, CPU 1 was answered BUSY and wants it alone,
 * CPU 0 comes and must wait for CPU 1, which works on another region, whatever
 * the fallback was used for before.
 */
static struct {
	atomic_t held, busy;
} chain;

static u64 chain_inject(const struct emu_call *c)
{
	if (shim_cpu != 1 || c->leaf != EMU_TDH_PHYMEM_PAMT_ADD || atomic_read(&chain.busy))
		return 0;
	atomic_set_release(&chain.busy, 1);
	return EMU_OPERAND_BUSY | EMU_OP_RCX;
}

static void chain_hold(const struct emu_call *c)
{
	u64 end;

	if (shim_cpu != 2 || c->leaf != EMU_TDH_PHYMEM_PAMT_ADD)
		return;
	atomic_set_release(&chain.held, 1);
	await(&chain.busy, 1);
	for (end = clock_ns() + 10000000; clock_ns() < end;)
		sched_yield();
}

static void chain_body(unsigned int cpu)
{
	u64 end;

	if (cpu)
		await(&chain.held, cpu == 1);
	else
		await(&chain.busy, 1);
	for (end = clock_ns() + 4000000; !cpu && clock_ns() < end;)
		sched_yield();
	if (get(region(cpu)))
		broke("a get failed");
}

static void waits_of_the_fallback(void)
{
	unsigned int cpu, i;
	u64 waits = 0;

	if (!counted() || serial())
		return;
	up();
	for (i = 0; i < 20 && !waits; i++) {
		/* Leave region 0 behind as the one that the fallback was last taken for. */
		shoot_at(EMU_TDH_PHYMEM_PAMT_ADD, EMU_OPERAND_BUSY | EMU_OP_RCX, 1);
		CHECK_EQ(get(region(0)), 0);
		put(region(0));
		memset(p->stats, 0, CPUS * SHIM_PERCPU_STRIDE);
		atomic_set(&chain.held, 0);
		atomic_set(&chain.busy, 0);
		inject_fn = chain_inject;
		hold_fn = chain_hold;
		crew(3, chain_body);
		inject_fn = NULL;
		hold_fn = NULL;
		for (cpu = 0; cpu < 3; cpu++)
			put(region(cpu));
		waits = per_cpu_ptr(p->stats, 0)->wait_count[WAIT_FALSE];
		CHECK_EQ(per_cpu_ptr(p->stats, 0)->wait_count[WAIT_TRUE], 0);
		CHECK_EQ(per_cpu_ptr(p->stats, 1)->wait_count[WAIT_TRUE], 0);
		if (per_cpu_ptr(p->stats, 0)->wait_count[WAIT_TRUE])
			break;
	}
	CHECK(waits);
	down();
}

int main(void)
{
	bed_begin("test_strategies");
	EACH_STRATEGY(basics);
	EACH_STRATEGY(alloc_fails);
	EACH_STRATEGY(add_fails);
	EACH_STRATEGY(remove_fails);
	EACH_STRATEGY(busy);
	EACH_STRATEGY(busy_alone);
	EACH_STRATEGY(demote_promote);
	EACH_STRATEGY(underflow);
	EACH_STRATEGY(alike);
	EACH_STRATEGY(stats_sum);
	TEST(hist_bins);
	EACH_STRATEGY(waits_same_region);
	EACH_STRATEGY(waits_two_regions);
	EACH_STRATEGY(waits_of_the_fallback);
	return test_end();
}
