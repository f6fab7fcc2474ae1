// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every strategy on real threads over the software module: ADDs whose pages lie
 * in each other's regions, a demotion's references dropped by others, promotion
 * against gets, failing removals, random gets and puts with BUSY and failed
 * allocations thrown in, uses ordered against transitions; and the locks of the
 * shim below them all. Meant for ThreadSanitizer as much as for a plain run.
 *
 * STRESS_SECONDS: seconds of random gets and puts in total, 2 if not set.
 */
#include "tests/strategy_bed.h"

/* ------------------------------------------------------- cross-region BUSY */

/* A's pages lie in B and B's in A; each ADD takes the same time. */
#define MUTUAL_ROUNDS 40

static u64 mutual_block[2];

static void spin_ns(u64 ns)
{
	u64 end = clock_ns() + ns;

	while (clock_ns() < end)
		sched_yield();
}

static void mutual_hold(const struct emu_call *c)
{
	if (c->leaf == EMU_TDH_PHYMEM_PAMT_ADD)
		spin_ns(100000);
}

static void mutual_body(unsigned int cpu)
{
	unsigned long r = pamt_region(p, mutual_block[cpu]);
	u64 page = mutual_block[!cpu] + (1 + cpu) * 2 * PAGE_SIZE;
	struct pamt_cache *cache = &cache_of[cpu];
	unsigned int n;

	cache->page[0] = page;
	cache->page[1] = page + PAGE_SIZE;
	for (n = 0; n < MUTUAL_ROUNDS; n++) {
		cache->nr = 2;
		meet();
		if (ops->get(p, r, cache)) {
			broke("a get of the mutual case failed");
			cache->nr = 0;
			continue;
		}
		check_pair(r);
		put(r);
		/* The pages have gone to this CPU's list, last in, first out. */
		cache->page[0] = phys_alloc_kernel(&w.phys);
		cache->page[1] = phys_alloc_kernel(&w.phys);
		if (cache->page[0] + cache->page[1] != 2 * page + PAGE_SIZE)
			broke("a put returned other pages than its get gave");
	}
	cache->nr = 0;
}

static void mutual(void)
{
	u64 busy;

	if (!counted())
		return;
	up();
	mutual_block[0] = phys_alloc_2m(&w.phys);
	mutual_block[1] = phys_alloc_2m(&w.phys);
	hold_fn = mutual_hold;
	crew(2, mutual_body);
	hold_fn = NULL;
	phys_free_2m(&w.phys, mutual_block[0]);
	phys_free_2m(&w.phys, mutual_block[1]);
	pamt_stats_sum(p, &sum);
	busy = sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION] + sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_PAGE];
	CHECK_EQ(sum.install, 2 * MUTUAL_ROUNDS);
	CHECK_EQ(sum.remove, 2 * MUTUAL_ROUNDS);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_ADD], sum.install + busy);
	CHECK_EQ(busy > 0, !serial());
	down();
}

/* ------------------------------------------------- demotions and promotions */

#define BULK_ROUNDS 12
#define BULK_CPUS 3

static atomic_t bulk_ready, bulk_promoted;

/* CPU 0 demotes a region; all drop its references while they take and drop others. */
static void bulk_body(unsigned int cpu)
{
	unsigned int n, i, mine = PAMT_REGION_PAGES / BULK_CPUS;

	if (!cpu)
		mine = PAMT_REGION_PAGES - (BULK_CPUS - 1) * mine;
	for (n = 0; n < BULK_ROUNDS; n++) {
		unsigned long r = region(n % 3);

		if (!cpu && demote(r))
			broke("a demotion failed");
		meet();
		for (i = 0; i < mine; i++) {
			check_pair(r);
			put(r);
			if (i % 16)
				continue;
			if (get(r))
				broke("a get beside a demotion failed");
			check_pair(r);
			put(r);
		}
		meet();
		if (!cpu && (ops->users(p, r) || pair_there(r)))
			broke("a demotion's references do not sum to its puts");
		meet();
	}
}

/* CPU 0 promotes a region as soon as it may, the others come and go. */
static void promote_body(unsigned int cpu)
{
	unsigned int n, i;
	int err;

	for (n = 0; n < BULK_ROUNDS * 4; n++) {
		if (!cpu) {
			atomic_set(&bulk_promoted, 0);
			if (demote(region(0)))
				broke("a demotion failed");
		}
		meet();
		if (!cpu) {
			while ((err = promote(region(0))) == -EBUSY)
				sched_yield();
			if (err)
				broke("a promotion failed");
			atomic_set_release(&bulk_promoted, 1);
		}
		for (i = 0; cpu && !atomic_read_acquire(&bulk_promoted); i++) {
			if (get(region(0)))
				broke("a get beside a promotion failed");
			check_pair(region(0));
			put(region(0));
			if (i % 4 == 0)
				sched_yield();
		}
		meet();
		if (!cpu && (ops->users(p, region(0)) || pair_there(region(0))))
			broke("a promotion and the gets beside it leave something behind");
		meet();
	}
}

static void bulk(void)
{
	if (!counted())
		return;
	up();
	crew(BULK_CPUS, bulk_body);
	crew(2, promote_body);
	pamt_stats_sum(p, &sum);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_DEMOTE],
		 5 * BULK_ROUNDS + sum.busy[PAMT_LEAF_DEMOTE][PAMT_BUSY_REGION]);
	CHECK_EQ(sum.install, sum.remove);
	down();
}

/* ------------------------------------------------------ random gets and puts */

/* The first ones are regions that the pairs' own pages come from. */
#define REGIONS 6
#define BACKING 3
#define HELD_MAX 3
#define STRESS_ROUNDS 100	/* at least, however busy the machine is */

static struct {
	unsigned long region[REGIONS];
	atomic_t users[REGIONS];	/* references that threads know they have */
	atomic_t pair[REGIONS];		/* as the SEAMCALLs say */
	atomic_t in_flight, exclusive;
	struct {
		u64 rng;
		bool retry;		/* the last PAMT SEAMCALL was answered BUSY: the tail's turn */
		bool alone;		/* it is running */
		u64 gets, failed, puts;
	} ____cacheline_aligned cpu[CPUS];
	unsigned int busy_rate, alloc_rate, remove_rate; /* of 256 */
	atomic_t injected, failed_removes;
	u64 end;
} stress;

static unsigned int stress_index(const struct emu_call *c)
{
	unsigned long r = pamt_region(p, c->args->rcx & ~(u64)(PMD_SIZE - 1));
	unsigned int i;

	for (i = 0; i < REGIONS; i++)
		if (stress.region[i] == r)
			return i;
	broke("a PAMT SEAMCALL for a region that nobody asked for");
	return 0;
}

static bool stress_leaf(const struct emu_call *c)
{
	return c->leaf == EMU_TDH_PHYMEM_PAMT_ADD || c->leaf == EMU_TDH_PHYMEM_PAMT_REMOVE;
}

static bool chance(unsigned int rate)
{
	return (draw(&stress.cpu[shim_cpu].rng) & 255) < rate;
}

/*
 * BUSY is never injected twice in a row on one CPU: after a BUSY, injected or
 * the module's own, the tail runs alone.
 */
static u64 stress_inject(const struct emu_call *c)
{
	unsigned int i;
	bool alone;

	if (!stress_leaf(c))
		return 0;
	i = stress_index(c);
	if (atomic_read_acquire(&stress.users[i]))
		broke("a region's pair comes or goes under a user");
	alone = stress.cpu[shim_cpu].alone = stress.cpu[shim_cpu].retry;
	stress.cpu[shim_cpu].retry = false;
	if (alone)
		atomic_fetch_add(1, &stress.exclusive);
	if (atomic_fetch_add(1, &stress.in_flight) && alone)
		broke("the retry after a BUSY is not alone");
	if (atomic_fetch_add(0, &stress.exclusive) > alone)
		broke("a PAMT SEAMCALL beside the retry after a BUSY");
	if (c->leaf == EMU_TDH_PHYMEM_PAMT_REMOVE && chance(stress.remove_rate)) {
		atomic_inc(&stress.failed_removes);
		return EMU_PAMT_PAGE_NOT_EMPTY;
	}
	if (alone || !chance(stress.busy_rate))
		return 0;
	atomic_inc(&stress.injected);
	return EMU_OPERAND_BUSY | EMU_OP_RCX;
}

static void stress_hold(const struct emu_call *c)
{
	bool add = c->leaf == EMU_TDH_PHYMEM_PAMT_ADD;
	u64 end;

	if (!stress_leaf(c))
		return;
	if (!c->status) {
		if (atomic_fetch_add(add ? 1 : -1, &stress.pair[stress_index(c)]) != !add)
			broke("two ADDs or two REMOVEs in a row");
		/* Long enough to be met, and now and then taken off the CPU in the middle. */
		for (end = clock_ns() + (draw(&stress.cpu[shim_cpu].rng) & 2047); clock_ns() < end;)
			cpu_relax();
		if (chance(2))
			sched_yield();
	}
	stress.cpu[shim_cpu].retry = EMU_ST_CLASS(c->status) == EMU_OPERAND_BUSY;
	if (stress.cpu[shim_cpu].alone)
		atomic_sub_return(1, &stress.exclusive);
	stress.cpu[shim_cpu].alone = false;
	atomic_sub_return(1, &stress.in_flight);
}

static bool stress_alloc(void)
{
	return chance(stress.alloc_rate);
}

static void stress_get(unsigned int cpu, unsigned int i, unsigned int *held)
{
	int err = get(stress.region[i]);

	stress.cpu[cpu].gets++;
	if (!err) {
		++*held;
		atomic_inc(&stress.users[i]);
		check_pair(stress.region[i]);
		return;
	}
	stress.cpu[cpu].failed++;
	if (err != -ENOMEM || !stress.alloc_rate)
		broke("a get failed for no reason");
}

static void stress_put(unsigned int cpu, unsigned int i, unsigned int *held)
{
	check_pair(stress.region[i]);
	stress.cpu[cpu].puts++;
	--*held;
	atomic_sub_return_release(1, &stress.users[i]);
	put(stress.region[i]);
}

static void stress_body(unsigned int cpu)
{
	unsigned int held[REGIONS] = { 0 }, i, n;

	for (n = 0; n < STRESS_ROUNDS || clock_ns() < stress.end; n++) {
		i = draw(&stress.cpu[cpu].rng) % REGIONS;
		if (held[i] && chance(held[i] < HELD_MAX ? 160 : 256))
			stress_put(cpu, i, &held[i]);
		else
			stress_get(cpu, i, &held[i]);
	}
	for (i = 0; i < REGIONS; i++)
		while (held[i])
			stress_put(cpu, i, &held[i]);
}

/* Give each CPU's list pages from all over the first regions, so that pairs lie across. */
static void scatter_lists(u64 *page, unsigned int nr)
{
	u64 rng = 5, tmp;
	unsigned int i, j;

	for (i = 0; i < nr; i++)
		if (!(page[i] = phys_alloc_kernel(&w.phys)))
			abort();
	for (i = nr - 1; i; i--) {
		j = draw(&rng) % (i + 1);
		tmp = page[i];
		page[i] = page[j];
		page[j] = tmp;
	}
	for (i = 0; i < CPUS * 48; i++) {
		shim_set_cpu(i % CPUS);
		phys_free_kernel(&w.phys, page[i]);
	}
	shim_set_cpu(0);
}

static void check_stress_counts(unsigned int cpus)
{
	u64 gets = 0, failed = 0, puts = 0;
	unsigned int i;

	for (i = 0; i < cpus; i++) {
		gets += stress.cpu[i].gets;
		failed += stress.cpu[i].failed;
		puts += stress.cpu[i].puts;
	}
	pamt_stats_sum(p, &sum);
	CHECK(gets > failed);
	CHECK_EQ(gets - failed, puts);
	CHECK_EQ(sum.get_failed, failed);
	CHECK_EQ(sum.install, sum.remove + sum.leaked);
	CHECK_EQ(sum.leaked, atomic_read(&stress.failed_removes));
	CHECK_EQ(atomic_read(&stress.in_flight), 0);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_ADD],
		 sum.install + sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION] +
			 sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_PAGE]);
	CHECK_EQ(sum.seamcall[PAMT_LEAF_REMOVE],
		 sum.remove + sum.leaked + sum.busy[PAMT_LEAF_REMOVE][PAMT_BUSY_REGION]);
	CHECK(sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION] +
		      sum.busy[PAMT_LEAF_REMOVE][PAMT_BUSY_REGION] >=
	      atomic_read(&stress.injected));
	if (serial()) {
		CHECK_EQ(sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_PAGE], 0);
		CHECK_EQ(sum.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION] +
				 sum.busy[PAMT_LEAF_REMOVE][PAMT_BUSY_REGION],
			 atomic_read(&stress.injected));
	}
}

static void stress_run(unsigned int cpus, u64 ns)
{
	static u64 page[BACKING * EMU_ENTRIES];
	unsigned int i;

	for (i = 0; i < REGIONS; i++)
		stress.region[i] = i < BACKING ? pamt_region(p, w.phys.reserved) + i : region(i);
	for (i = 0; i < CPUS; i++)
		stress.cpu[i].rng = 1000 * cpus + i;
	scatter_lists(page, ARRAY_SIZE(page));
	inject_fn = stress_inject;
	hold_fn = stress_hold;
	alloc_fn = stress_alloc;
	stress.end = clock_ns() + ns;
	crew(cpus, stress_body);
	inject_fn = NULL;
	hold_fn = NULL;
	alloc_fn = NULL;
	for (i = CPUS * 48; i < ARRAY_SIZE(page); i++)
		phys_free_kernel(&w.phys, page[i]);
	check_stress_counts(cpus);
}

static u64 stress_ns;

static void stress_with(unsigned int cpus)
{
	up();
	memset(&stress, 0, sizeof(stress));
	stress.busy_rate = 24;
	stress.alloc_rate = counted() ? 8 : 0;
	stress_run(cpus, stress_ns);
	down();
}

static void stress_2(void)
{
	stress_with(2);
}

static void stress_4(void)
{
	stress_with(CPUS);
}

/* Removals fail: the pair of each stays, with one user, and gets go on finding it. */
static void stress_leaks(void)
{
	unsigned int i;
	u64 leaked = 0;

	if (!counted())
		return;
	up();
	memset(&stress, 0, sizeof(stress));
	stress.remove_rate = 64;
	stress_run(2, stress_ns / 4);
	for (i = 0; i < REGIONS; i++) {
		if (!ops->users(p, stress.region[i]))
			continue;
		leaked++;
		CHECK(recover(stress.region[i]));
	}
	CHECK_EQ(sum.leaked, leaked);
	CHECK(leaked > 0);
	shim_clear_warnings();
	down();
}

/* ------------------------------------------------- uses against transitions */

/*
 * What a reference protects, as plain memory: written by the SEAMCALLs, read by
 * whoever holds a reference, ordered by nothing but the strategy. Odd: the pair
 * is there. ThreadSanitizer sees when a release or an acquire is missing.
 */
static struct {
	unsigned long region;
	u64 word;
} ____cacheline_aligned guarded[2];

#define ORDERED_ROUNDS 3000

/* Written by whoever holds the fallback exclusively, read by those who hold it shared. */
static u64 guarded_tail;
static __thread bool guarded_retry;

static void ordered_hold(const struct emu_call *c)
{
	unsigned long r = pamt_region(p, c->args->rcx & ~(u64)(PMD_SIZE - 1));

	if (!stress_leaf(c))
		return;
	if (!c->status)
		guarded[r == guarded[1].region].word++;
	guarded_retry = EMU_ST_CLASS(c->status) == EMU_OPERAND_BUSY;
}

static u64 ordered_inject(const struct emu_call *c)
{
	if (!stress_leaf(c))
		return 0;
	if (guarded_retry) {
		guarded_tail++;
		return 0;
	}
	if (guarded_tail == ~0ull)
		broke("nobody has written this");
	return chance(32) ? EMU_OPERAND_BUSY | EMU_OP_RCX : 0;
}

static void ordered_body(unsigned int cpu)
{
	unsigned int i, n;

	for (n = 0; n < ORDERED_ROUNDS; n++) {
		i = draw(&stress.cpu[cpu].rng) & 1;
		if (get(guarded[i].region)) {
			broke("a get failed for no reason");
			continue;
		}
		if (!(guarded[i].word & 1))
			broke("a region is in use while its pair comes or goes");
		/* Others come while this one holds a reference, however few CPUs there are. */
		if (chance(64))
			sched_yield();
		put(guarded[i].region);
	}
}

static void ordered(void)
{
	unsigned int i;

	if (!counted())
		return;
	up();
	memset(&stress, 0, sizeof(stress));
	memset(guarded, 0, sizeof(guarded));
	for (i = 0; i < CPUS; i++)
		stress.cpu[i].rng = i;
	guarded[0].region = region(0);
	guarded[1].region = region(1);
	inject_fn = ordered_inject;
	hold_fn = ordered_hold;
	crew(3, ordered_body);
	inject_fn = NULL;
	hold_fn = NULL;
	CHECK(guarded[0].word && !(guarded[0].word & 1));
	CHECK(guarded[1].word && !(guarded[1].word & 1));
	down();
}

/* ------------------------------------------------------- the shim's own locks */

static spinlock_t lock_a, lock_b;
static rwlock_t rw;
static u64 plain_a, plain_b, plain_x, plain_y;	/* protected by them, and by nothing else */
static u64 done_a[CPUS], done_b[CPUS], done_w[CPUS];
static atomic_t inside;

static void spin_body(unsigned int cpu)
{
	u64 rng = cpu, end = stress.end;

	while (clock_ns() < end) {
		u64 what = draw(&rng) % 4;

		if (what == 0) {
			if (!spin_trylock(&lock_a))
				continue;
		} else {
			spin_lock(&lock_a);
		}
		if (atomic_fetch_add(1, &inside))
			broke("two CPUs hold one spinlock");
		plain_a++;
		done_a[cpu]++;
		if (what == 1) {
			spin_lock(&lock_b);
			plain_b++;
			done_b[cpu]++;
			spin_unlock(&lock_b);
		}
		atomic_sub_return(1, &inside);
		spin_unlock(&lock_a);
		if (what == 2) {
			spin_lock(&lock_b);
			plain_b++;
			done_b[cpu]++;
			spin_unlock(&lock_b);
		}
	}
}

static void rw_body(unsigned int cpu)
{
	u64 rng = cpu, end = stress.end;

	while (clock_ns() < end) {
		u64 what = draw(&rng) % 8;

		if (what < 2) {
			if (what)
				write_lock(&rw);
			else if (!write_trylock(&rw))
				continue;
			if (atomic_fetch_add(1, &inside))
				broke("a writer is not alone");
			plain_x++;
			plain_y = plain_x;
			done_w[cpu]++;
			atomic_sub_return(1, &inside);
			write_unlock(&rw);
		} else {
			if (what > 2)
				read_lock(&rw);
			else if (!read_trylock(&rw))
				continue;
			if (atomic_read(&inside))
				broke("a writer beside a reader");
			if (plain_x != plain_y)
				broke("a reader sees a writer at work");
			read_unlock(&rw);
		}
	}
}

static u64 total(const u64 *v)
{
	return v[0] + v[1] + v[2] + v[3];
}

static void locks_exclude(void)
{
	unsigned int cpus;

	spin_lock_init(&lock_a);
	spin_lock_init(&lock_b);
	rwlock_init(&rw);
	for (cpus = 2; cpus <= CPUS; cpus++) {
		stress.end = clock_ns() + 60000000;
		crew(cpus, spin_body);
		stress.end = clock_ns() + 60000000;
		crew(cpus, rw_body);
	}
	CHECK_EQ(plain_a, total(done_a));
	CHECK_EQ(plain_b, total(done_b));
	CHECK_EQ(plain_x, total(done_w));
	CHECK(plain_a && plain_b && plain_x);
	CHECK(!spin_is_locked(&lock_a) && !spin_is_locked(&lock_b));
	CHECK_EQ(rw.cnts, 0);
	CHECK_EQ(rw.wait.val, 0);
}

/* Three threads: a reader inside, a writer that waits, and one that looks. */
static void rw_queue_body(unsigned int cpu)
{
	u64 end = clock_ns() + PATIENCE_NS;

	if (cpu == 0) {
		read_lock(&rw);
		atomic_set_release(&bulk_ready, 1);
		await(&bulk_ready, 2);
		read_unlock(&rw);
	} else if (cpu == 1) {
		await(&bulk_ready, 1);
		write_lock(&rw);
		if (atomic_read_acquire(&bulk_ready) < 2)
			broke("a writer came in beside a reader");
		write_unlock(&rw);
	} else {
		await(&bulk_ready, 1);
		/* A waiting writer keeps new readers out, or it would wait for ever. */
		while (read_trylock(&rw) && clock_ns() < end) {
			read_unlock(&rw);
			sched_yield();
		}
		if (clock_ns() >= end)
			broke("readers pass a writer that waits");
		atomic_set_release(&bulk_ready, 2);
		read_lock(&rw);
		read_unlock(&rw);
	}
}

static void locks_try(void)
{
	spin_lock(&lock_a);
	CHECK(spin_is_locked(&lock_a));
	CHECK(!spin_trylock(&lock_a));
	CHECK(spin_trylock(&lock_b));
	spin_unlock(&lock_b);
	spin_unlock(&lock_a);
	CHECK(spin_trylock(&lock_a));
	spin_unlock(&lock_a);

	read_lock(&rw);
	CHECK(read_trylock(&rw));
	CHECK(!write_trylock(&rw));
	read_unlock(&rw);
	CHECK(!write_trylock(&rw));
	read_unlock(&rw);
	CHECK(write_trylock(&rw));
	CHECK(!write_trylock(&rw));
	CHECK(!read_trylock(&rw));
	write_unlock(&rw);
	CHECK(read_trylock(&rw));
	read_unlock(&rw);

	atomic_set(&bulk_ready, 0);
	crew(3, rw_queue_body);
	CHECK_EQ(rw.cnts, 0);
}

int main(void)
{
	const char *seconds = getenv("STRESS_SECONDS");
	unsigned int strategies;

	bed_begin("test_stress");
	for (strategies = 0; pamt_ops_at(strategies); strategies++)
		;
	stress_ns = (seconds ? strtod(seconds, NULL) : 2) * 1e9 / strategies / 2.25;
	alarm(100 + (seconds ? strtoul(seconds, NULL, 10) : 2) * 2);
	TEST(locks_exclude);
	TEST(locks_try);
	EACH_STRATEGY(mutual);
	EACH_STRATEGY(bulk);
	EACH_STRATEGY(stress_2);
	EACH_STRATEGY(stress_4);
	EACH_STRATEGY(stress_leaks);
	EACH_STRATEGY(ordered);
	return test_end();
}
