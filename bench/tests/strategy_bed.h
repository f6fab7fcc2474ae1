/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bed for native tests of the strategies: a host with one of them over the
 * software module, hooks that a test sets, what must add up in its statistics,
 * references and pairs by region number, and a crew of threads, one per CPU.
 *
 * No strategy is named: what is expected of one follows from its ops.
 */
#ifndef STRATEGY_BED_H
#define STRATEGY_BED_H

#include <linux/errno.h>
#include <linux/hash.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/module/abi.h"
#include "emu/module/leaves.h"
#include "exec/world.h"
#include "measure/clock.h"
#include "shim_runtime.h"
#include "tests/test.h"

#define CPUS 4
#define HOST_BYTES EMU_1G_SIZE
#define PATIENCE_NS 20000000000ull

static struct world w;
static struct pamt *const p = &w.pamt;
static const struct pamt_ops *ops;
static struct pamt_stats sum;
static struct pamt_cache cache_of[CPUS];
static char *arena;

/* What the hooks do in the test at hand; NULL: nothing. Set before threads start. */
static u64 (*inject_fn)(const struct emu_call *c);
static void (*hold_fn)(const struct emu_call *c);
static bool (*alloc_fn)(void);

static __thread unsigned long clock_reads;

u64 shim_clock(void)
{
	clock_reads++;
	return clock_ns();
}

/* -------------------------------------------------------------------- bed */

static inline u64 on_inject(struct world *world, const struct emu_call *c)
{
	return inject_fn ? inject_fn(c) : 0;
}

static inline void on_hold(struct world *world, const struct emu_call *c)
{
	if (hold_fn)
		hold_fn(c);
}

static inline bool on_alloc(struct world *world)
{
	return alloc_fn && alloc_fn();
}

/* What may be expected: */
static inline bool counted(void)
{
	return ops->users;
}

static inline bool serial(void)
{
	return ops->has_locks && !ops->lock_bits;
}

static inline bool same_lock(unsigned long a, unsigned long b)
{
	return ops->has_locks && (!ops->lock_bits || hash_64(a, ops->lock_bits) ==
						     hash_64(b, ops->lock_bits));
}

static inline void up(void)
{
	struct world_config c = {
		.host_bytes = HOST_BYTES, .placement = PHYS_BUDDY, .seed = 1, .ops = ops,
		.hooks = { .inject = on_inject, .hold = on_hold, .fail_alloc = on_alloc },
		.mem = arena,
	};
	char err[256] = "";

	inject_fn = NULL;
	hold_fn = NULL;
	alloc_fn = NULL;
	memset(cache_of, 0, sizeof(cache_of));
	shim_clear_warnings();
	madvise(arena, HOST_BYTES, MADV_DONTNEED);
	if (!CHECK_EQ(world_init(&w, &c, err, sizeof(err)), 0)) {
		printf("%s: %s\n", ops->name, err);
		exit(test_end());
	}
}

static inline u64 hist_count(const struct pamt_hist *h)
{
	u64 n = 0;
	unsigned int i;

	for (i = 0; i < PAMT_HIST_BINS; i++)
		n += h->bin[i];
	return n;
}

/* What must add up in the statistics of any strategy at rest, after whatever happened. */
static inline void check_sums(void)
{
	u64 busy[PAMT_NR_LEAVES] = { 0 };
	unsigned int l, o;

	pamt_stats_sum(p, &sum);
	for (l = 0; l < PAMT_NR_LEAVES; l++)
		for (o = 0; o < PAMT_NR_OPERANDS; o++)
			busy[l] += sum.busy[l][o];
	CHECK_EQ(hist_count(&sum.wait), sum.wait_count[0] + sum.wait_count[1]);
	CHECK_EQ(sum.wait.sum_ns, sum.wait_ns[0] + sum.wait_ns[1]);
	CHECK_EQ(hist_count(&sum.get_ns), sum.get_slow);
	CHECK_EQ(hist_count(&sum.put_ns), sum.put_slow);
	CHECK(sum.wait.max_ns <= sum.wait.sum_ns);
	CHECK(sum.get_ns.max_ns <= sum.get_ns.sum_ns);
	CHECK(sum.wait_count[0] >= busy[0] + busy[1] + busy[2] + busy[3]);
	CHECK(sum.get_slow + sum.put_slow + sum.seamcall[PAMT_LEAF_PROMOTE] >=
	      sum.install + sum.remove);
	CHECK(sum.seamcall[PAMT_LEAF_ADD] + sum.seamcall[PAMT_LEAF_DEMOTE] >= sum.install);
	CHECK(sum.seamcall[PAMT_LEAF_REMOVE] + sum.seamcall[PAMT_LEAF_PROMOTE] >= sum.remove);
}

static inline void down(void)
{
	char err[256] = "";
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		world_cache_drain(&w, &cache_of[cpu]);
	check_sums();
	if (!CHECK_EQ(world_audit(&w, err, sizeof(err)), 0))
		printf("\t%s: %s\n", ops->name, err);
	world_exit(&w);
}

/* The code has warned, as it should; the audit need not hear of it. */
static inline void expect_warnings(void)
{
	CHECK(shim_warnings(NULL) > 0);
	shim_clear_warnings();
}

/* Regions that the allocator hands out last: nobody else uses them. */
static inline unsigned long region(unsigned int i)
{
	return p->nr_regions - 1 - i;
}

static inline bool pair_there(unsigned long r)
{
	struct emu_page_info info;

	return !emu_page_info(&w.module, pamt_region_hpa(p, r), &info) && info.has_pair;
}

static inline int get(unsigned long r)
{
	struct pamt_cache *cache = &cache_of[shim_cpu];

	if (world_topup(&w, cache, 4))
		return -ENOMEM;
	return ops->get(p, r, cache);
}

static inline void put(unsigned long r)
{
	ops->put(p, r);
}

/* What a demotion and a promotion do to the pair, without a TD. */
static struct pamt_pair moved;
static u64 call_status;		/* answered by the first call_left calls instead */
static unsigned int call_left;

static inline u64 call_in(struct pamt *pamt, unsigned long r, void *ctx)
{
	if (call_left && call_left--)
		return call_status;
	return tdh_phymem_pamt_add(pamt, r, ctx);
}

static inline u64 call_out(struct pamt *pamt, unsigned long r, void *ctx)
{
	if (call_left && call_left--)
		return call_status;
	return tdh_phymem_pamt_remove(pamt, r, ctx);
}

static inline int demote(unsigned long r)
{
	int err = pamt_pair_alloc(p, NULL, &moved);

	if (!err && (err = ops->demote(p, r, call_in, &moved)))
		pamt_pair_free(p, NULL, &moved);
	return err;
}

static inline int promote(unsigned long r)
{
	int err = ops->promote(p, r, call_out, &moved);

	if (!err)
		pamt_pair_free(p, NULL, &moved);
	return err;
}

/* Take out by hand the pair of @r, whose only user is the failed removal; false if it is not. */
static inline bool recover(unsigned long r)
{
	struct pamt_pair pair;

	if (ops->users(p, r) != 1)
		return false;
	atomic_set(&p->count[r], ops->absent);
	if (tdh_phymem_pamt_remove(p, r, &pair))
		return false;
	pamt_pair_free(p, NULL, &pair);
	return true;
}

/* --------------------------------------------------------------- injection */

/* Answer the next @left calls of @leaf on CPU 0 with @status. */
static struct {
	u64 leaf, status;
	unsigned int left;
} shot;

static inline u64 shoot(const struct emu_call *c)
{
	if (shim_cpu || !shot.left || c->leaf != shot.leaf)
		return 0;
	shot.left--;
	return shot.status;
}

static inline void shoot_at(u64 leaf, u64 status, unsigned int left)
{
	shot.leaf = leaf;
	shot.status = status;
	shot.left = left;
	inject_fn = shoot;
}

static inline bool alloc_none(void)
{
	return true;
}

/* ---------------------------------------------------------------- threads */

static atomic_t violations;
static const char *violation;

static inline void broke(const char *what)
{
	if (!atomic_fetch_add(1, &violations))
		WRITE_ONCE(violation, what);
}

static inline void check_violations(void)
{
	const char *what = READ_ONCE(violation);

	if (!CHECK_EQ(atomic_read(&violations), 0))
		printf("\t%s\n", what ? what : "");
	atomic_set(&violations, 0);
}

struct hand {
	pthread_t thread;
	unsigned int cpu;
	void (*fn)(unsigned int cpu);
};

static pthread_barrier_t barrier;

static inline void meet(void)
{
	pthread_barrier_wait(&barrier);
}

static inline void *hand_main(void *arg)
{
	struct hand *h = arg;

	shim_set_cpu(h->cpu);
	meet();
	h->fn(h->cpu);
	if (shim_lock_depth)
		broke("a thread ends inside the queue of a lock");
	return NULL;
}

/* Run @fn on CPUs 0 .. @nr - 1, one thread each, all starting together. */
static inline void crew(unsigned int nr, void (*fn)(unsigned int cpu))
{
	struct hand hand[CPUS];
	unsigned int i;

	pthread_barrier_init(&barrier, NULL, nr);
	for (i = 0; i < nr; i++) {
		hand[i].cpu = i;
		hand[i].fn = fn;
		if (pthread_create(&hand[i].thread, NULL, hand_main, &hand[i]))
			abort();
	}
	for (i = 0; i < nr; i++)
		pthread_join(hand[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	check_violations();
}

/* Let others run until @a is at least @v. */
static inline void await(const atomic_t *a, int v)
{
	u64 end = clock_ns() + PATIENCE_NS;

	while (atomic_read_acquire(a) < v && clock_ns() < end)
		sched_yield();
	if (atomic_read_acquire(a) < v)
		broke("what was waited for did not come");
}

static inline u64 draw(u64 *rng)
{
	u64 z = *rng += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

/* Whoever holds a reference asks the module by SEAMCALL: safe while others work. */
static inline void check_pair(unsigned long r)
{
	struct tdx_module_args args = { .rcx = pamt_region_hpa(p, r) | EMU_LEVEL_2M };

	if (!w.module.dynamic)
		return;
	if (world_seamcall(&w, EMU_TDH_PHYMEM_PAGE_RDMD, &args))
		broke("the 2M entry of a region in use cannot be read");
	else if (!(args.rcx & EMU_RDMD_NON_LEAF))
		broke("a region is in use and has no PAMT page pair");
}

/* ----------------------------------------------------------------- running */

/* A test that hangs (a livelock, a lost hand-over) fails. */
static inline void on_alarm(int sig)
{
	static const char text[] = ": FAIL: hangs\n";

	if (write(1, test_current, strlen(test_current)) < 0 ||
	    write(1, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static inline void bed_begin(const char *program)
{
	test_begin(program);
	signal(SIGALRM, on_alarm);
	alarm(240);
	clock_init();
	shim_set_nr_cpus(CPUS);
	arena = phys_map(HOST_BYTES);
	if (!arena) {
		printf("%s: no address space\n", program);
		exit(3);
	}
}

#define EACH_STRATEGY(fn)                                                          \
	do {                                                                       \
		static char each_name[64];                                         \
		unsigned int each;                                                 \
										   \
		for (each = 0; (ops = pamt_ops_at(each)); each++) {                \
			snprintf(each_name, sizeof(each_name), #fn "(%s)", ops->name); \
			test_current = each_name;                                  \
			fn();                                                      \
		}                                                                  \
	} while (0)

#endif
