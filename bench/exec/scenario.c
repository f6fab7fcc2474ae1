// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scenarios for fibers: small hosts (tables of 4 entries, regions of 4 pages)
 * on which a few CPUs use one strategy over the software module, with BUSY,
 * failed allocations and failed removals thrown in. Every scenario checks, each
 * time it holds a reference, that the region has its pair, and audits the
 * host at its end.
 */
#include "exec/flavour.h"

#include <stdio.h>
#include <sys/mman.h>

#include "exec/host_internal.h"
#include "shim_runtime.h"

#define HOST_BYTES (4UL << 20)
#define MAX_CPUS 4

struct scenario {
	const struct scenario_kind *kind;
	struct world world;
	unsigned int cpus;
	u64 rng[MAX_CPUS];
	unsigned int busy_rate, alloc_rate, add_rate, remove_rate; /* of 256 */
	struct pamt_cache cache[MAX_CPUS];
	u64 hpa[16];
	atomic_t ready;
	u64 failed_gets, demotes;
	u64 failed_adds, failed_removes, failed_promotes, failed_allocs;
	char broken[160];
};

struct scenario_kind {
	const char *name, *what;
	unsigned int cpus;
	unsigned int busy_rate, alloc_rate, add_rate, remove_rate;
	bool needs_counts;	/* strategies without a count have nothing to show */
	bool one_region;	/* only one is ever used: every wait but those for BUSY is true */
	int (*setup)(struct scenario *s);
	void (*body)(struct scenario *s, unsigned int cpu);
	void (*teardown)(struct scenario *s);
};

static char *arena;

u64 shim_clock(void)
{
	return exec_clock();
}

static u64 draw(struct scenario *s, unsigned int cpu)
{
	u64 z = s->rng[cpu] += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

static void broke(struct scenario *s, const char *what)
{
	if (!s->broken[0])
		snprintf(s->broken, sizeof(s->broken), "%s", what);
}

/* --------------------------------------------------------------- injection */

static bool is_pamt_leaf(u64 leaf)
{
	return leaf == EMU_TDH_PHYMEM_PAMT_ADD || leaf == EMU_TDH_PHYMEM_PAMT_REMOVE ||
	       leaf == EMU_TDH_MEM_PAGE_DEMOTE;
}

/*
 * Does this CPU hold the fallback exclusively? Every PAMT SEAMCALL runs with
 * it shared or exclusive, and alone the module cannot answer BUSY.
 */
static bool alone(struct world *w)
{
	struct pamt_fallback *f = &w->pamt.fallback;

	if (f->use_rwlock)
		return (f->rwlock.cnts & SHIM_QW_LOCKED) == SHIM_QW_LOCKED;
	return f->exclusive.counter && !this_cpu_ptr(f->readers)->active.counter;
}

static u64 inject(struct world *w, const struct emu_call *c)
{
	struct scenario *s = w->hooks.ctx;
	unsigned int cpu = shim_cpu;

	if (c->leaf == EMU_TDH_PHYMEM_PAMT_REMOVE && (draw(s, cpu) & 255) < s->remove_rate) {
		s->failed_removes++;
		return EMU_PAMT_PAGE_NOT_EMPTY;
	}
	if (c->leaf == EMU_TDH_PHYMEM_PAMT_ADD && (draw(s, cpu) & 255) < s->add_rate) {
		s->failed_adds++;
		return EMU_PAGE_NOT_FREE | EMU_OP_RDX;
	}
	if (!is_pamt_leaf(c->leaf) || alone(w) || (draw(s, cpu) & 255) >= s->busy_rate)
		return 0;
	return EMU_OPERAND_BUSY | EMU_OP_RCX;
}

static bool fail_alloc(struct world *w)
{
	struct scenario *s = w->hooks.ctx;
	bool fail = (draw(s, shim_cpu) & 255) < s->alloc_rate;

	s->failed_allocs += fail;
	return fail;
}

/* ------------------------------------------------------------- invariants */

/* Whoever holds a reference may use the region: its pair must be there. */
static void check_pair(struct scenario *s, u64 hpa)
{
	struct emu_page_info info;

	if (!s->world.module.dynamic)
		return;
	if (emu_page_info(&s->world.module, hpa, &info))
		broke(s, "a page of the host is outside every TDMR");
	else if (!info.has_pair)
		broke(s, "a region is in use and has no PAMT page pair");
}

/* --------------------------------------------- references to a few regions */

#define REF_PAGES 6	/* three regions, two pages each */

static int setup_refs(struct scenario *s)
{
	u64 first = ALIGN(s->world.phys.reserved, PMD_SIZE);
	unsigned int i;

	/* Pages of blocks that the allocator will not hand out: the host's last ones. */
	first = s->world.phys.size - 3 * PMD_SIZE;
	for (i = 0; i < REF_PAGES; i++)
		s->hpa[i] = first + i / 2 * PMD_SIZE + i % 2 * PAGE_SIZE;
	return 0;
}

static void body_refs(struct scenario *s, unsigned int cpu)
{
	unsigned int held[REF_PAGES] = { 0 }, i, n;

	for (n = 0; n < 24; n++) {
		i = draw(s, cpu) % REF_PAGES;
		if (held[i] && draw(s, cpu) & 1) {
			held[i]--;
			world_put(&s->world, s->hpa[i]);
		} else if (held[i] < 2) {
			if (world_topup(&s->world, &s->cache[cpu], 4))
				broke(s, "the host's memory is out");
			if (!world_get(&s->world, s->hpa[i], &s->cache[cpu]))
				held[i]++;
			else
				s->failed_gets++;
		}
		for (i = 0; i < REF_PAGES; i++)
			if (held[i])
				check_pair(s, s->hpa[i]);
	}
	for (i = 0; i < REF_PAGES; i++)
		while (held[i]--)
			world_put(&s->world, s->hpa[i]);
}

/* ------------------------------------------------------- cross-region BUSY */

/* CPU 0 installs region A with pages of B, CPU 1 B with pages of A: neither may starve. */
static int setup_cross(struct scenario *s)
{
	u64 a = s->world.phys.size - 2 * PMD_SIZE, b = a + PMD_SIZE;

	s->hpa[0] = a;
	s->hpa[1] = b;
	s->hpa[2] = b + PAGE_SIZE;
	s->hpa[3] = b + 2 * PAGE_SIZE;
	s->hpa[4] = a + PAGE_SIZE;
	s->hpa[5] = a + 2 * PAGE_SIZE;
	return 0;
}

static void body_cross(struct scenario *s, unsigned int cpu)
{
	struct pamt_cache *cache = &s->cache[cpu];
	u64 mine = s->hpa[cpu], page[2] = { s->hpa[2 + 2 * cpu], s->hpa[3 + 2 * cpu] };
	struct world *w = &s->world;
	struct pamt *p = &w->pamt;
	struct pamt_pair pair;
	unsigned int n;

	for (n = 0; n < 6; n++) {
		cache->page[0] = page[0];
		cache->page[1] = page[1];
		cache->nr = 2;
		if (p->ops->get(p, pamt_region(p, mine), cache)) {
			broke(s, "a get of the mutual case failed");
			return;
		}
		check_pair(s, mine);
		/* The pair goes back to the allocator's list of this CPU: take it from there. */
		p->ops->put(p, pamt_region(p, mine));
		if (w->phys.cpu[cpu].nr >= 2) {
			pair.hpa[0] = w->phys.cpu[cpu].page[--w->phys.cpu[cpu].nr];
			pair.hpa[1] = w->phys.cpu[cpu].page[--w->phys.cpu[cpu].nr];
			if (pair.hpa[0] + pair.hpa[1] != page[0] + page[1])
				broke(s, "a put returned other pages than its get gave");
		}
	}
	cache->nr = 0;
}

/* ------------------------------------------------- demote, promote and puts */

enum ready { READY_PAIR = 1, READY_COUNTED };

/* The others come as soon as there is a pair, before its references are counted. */
static u64 call_add(struct pamt *p, unsigned long region, void *ctx)
{
	struct scenario *s = world_of(p)->hooks.ctx;
	u64 status = tdh_phymem_pamt_add(p, region, ctx);

	if (!status)
		atomic_set_release(&s->ready, READY_PAIR);
	return status;
}

static u64 call_remove(struct pamt *p, unsigned long region, void *ctx)
{
	struct scenario *s = world_of(p)->hooks.ctx;

	if ((draw(s, shim_cpu) & 255) >= s->kind->remove_rate)
		return tdh_phymem_pamt_remove(p, region, ctx);
	s->failed_promotes++;
	return EMU_PAMT_PAGE_NOT_EMPTY;
}

static int setup_bulk(struct scenario *s)
{
	s->hpa[0] = s->world.phys.size - PMD_SIZE;
	return 0;
}

/* CPU 0 "demotes" a region: its pair comes, and a reference for each 4K page, in one step. */
static void demote(struct scenario *s)
{
	struct pamt *p = &s->world.pamt;
	struct pamt_pair pair;

	if (pamt_pair_alloc(p, NULL, &pair) ||
	    p->ops->demote(p, pamt_region(p, s->hpa[0]), call_add, &pair))
		broke(s, "a demotion failed");
	s->demotes++;
	atomic_set_release(&s->ready, READY_COUNTED);
}

/* A reference of the CPU's own to the region that is being resized. */
static void visit(struct scenario *s, unsigned int cpu)
{
	if (world_topup(&s->world, &s->cache[cpu], 4) ||
	    world_get(&s->world, s->hpa[0], &s->cache[cpu])) {
		broke(s, "a get beside a demotion failed");
		return;
	}
	check_pair(s, s->hpa[0]);
	world_put(&s->world, s->hpa[0]);
}

/* The others visit, and drop the references of the demotion page by page (race R13). */
static void body_bulk(struct scenario *s, unsigned int cpu)
{
	unsigned int n;

	if (cpu == 0) {
		demote(s);
		return;
	}
	atomic_cond_read_acquire(&s->ready, VAL);
	visit(s, cpu);
	atomic_cond_read_acquire(&s->ready, VAL == READY_COUNTED);
	for (n = 0; n < EMU_ENTRIES / 2; n++) {
		check_pair(s, s->hpa[0]);
		world_put(&s->world, s->hpa[0]);
		visit(s, cpu);
	}
}

/*
 * CPU 0 demotes and promotes again while the others visit: the promotion takes all
 * references and the pair in one step, or none (race R13).
 */
static void body_resize(struct scenario *s, unsigned int cpu)
{
	struct pamt *p = &s->world.pamt;
	struct pamt_pair pair;
	unsigned int n;
	int err = -EBUSY;

	if (cpu) {
		atomic_cond_read_acquire(&s->ready, VAL);
		for (n = 0; n < 6; n++)
			visit(s, cpu);
		return;
	}
	demote(s);
	for (n = 0; n < 8 && err; n++) {
		check_pair(s, s->hpa[0]);
		err = p->ops->promote(p, pamt_region(p, s->hpa[0]), call_remove, &pair);
		if (err && err != -EBUSY && err != -EIO)
			broke(s, "a promotion met an unexpected error");
	}
	if (!err)
		pamt_pair_free(p, NULL, &pair);
	for (n = 0; n < EMU_ENTRIES && err; n++)
		world_put(&s->world, s->hpa[0]);
}

/* ------------------------------------------------------------ lives of TDs */

static int life(struct scenario *s, unsigned int cpu, struct host_td **td)
{
	struct host_td_config c = {
		.index = cpu, .vcpus = 1, .memory = 4 * PMD_SIZE, .image = PAGE_SIZE,
		.huge_start = s->world.pamt.ops->demote ? 2 * PMD_SIZE : 4 * PMD_SIZE,
	};
	unsigned int n;
	int err = host_td_create(&s->world, &c, td);

	while (!err && (err = host_td_build(*td, 8)) == -EAGAIN)
		;
	for (n = 0; n < 12 && !err; n++) {
		struct host_vcpu *v = &(*td)->vcpu[0];
		u64 gpa = (1 + draw(s, cpu) % (4 * EMU_ENTRIES - 1)) * PAGE_SIZE;

		do {
			err = host_touch(v, gpa, 0);
		} while (err == -EAGAIN);
		if (!err && draw(s, cpu) % 2)
			do {
				err = host_convert(v, gpa, false);
			} while (err == -EAGAIN);
	}
	return err;
}

static void body_life(struct scenario *s, unsigned int cpu)
{
	struct host_td *td = NULL;
	unsigned int n;
	int err;

	for (n = 0; n < 2; n++) {
		err = life(s, cpu, &td);
		if (err && err != -ENOMEM && err != -EAGAIN)
			broke(s, "a TD met an unexpected error");
		while (td && (err = host_td_destroy(&td, 4)) == -EAGAIN)
			;
		if (err && err != -ENOMEM)
			broke(s, "tearing a TD down failed");
	}
}

static void drain(struct scenario *s)
{
	unsigned int cpu;

	for (cpu = 0; cpu < s->cpus; cpu++)
		world_cache_drain(&s->world, &s->cache[cpu]);
}

static void teardown_none(struct scenario *s)
{
	(void)s;
}

static const struct scenario_kind kinds[] = {
	{ .name = "refs",
	  .what = "gets and puts of three regions by 3 CPUs, with BUSY and failed allocations",
	  .cpus = 3, .busy_rate = 50, .alloc_rate = 12, .setup = setup_refs, .body = body_refs,
	  .teardown = drain },
	{ .name = "cross", .what = "two ADDs whose PAMT pages lie in each other's regions",
	  .cpus = 2, .needs_counts = true, .setup = setup_cross, .body = body_cross,
	  .teardown = teardown_none },
	{ .name = "bulk", .what = "a demotion's references against gets and puts of the same region",
	  .cpus = 3, .busy_rate = 40, .needs_counts = true, .one_region = true,
	  .setup = setup_bulk, .body = body_bulk, .teardown = drain },
	{ .name = "resize", .what = "a demotion and promotions against gets and puts of the region",
	  .cpus = 3, .busy_rate = 40, .remove_rate = 40, .needs_counts = true, .one_region = true,
	  .setup = setup_bulk, .body = body_resize, .teardown = drain },
	{ .name = "leak", .what = "PAMT.REMOVE fails: the pair stays; ADD fails: nothing changes",
	  .cpus = 3, .add_rate = 24, .remove_rate = 64, .needs_counts = true, .setup = setup_refs,
	  .body = body_refs, .teardown = drain },
	{ .name = "life", .what = "TDs created, faulted, converted, demoted and torn down at once",
	  .cpus = 3, .busy_rate = 40, .alloc_rate = 3, .setup = NULL, .body = body_life,
	  .teardown = teardown_none },
};

/* -------------------------------------------------------------- the flavour */

static const char *scenario_name(unsigned int i, const char **what)
{
	if (i >= ARRAY_SIZE(kinds))
		return NULL;
	*what = kinds[i].what;
	return kinds[i].name;
}

static int applies(unsigned int i, const char *strategy)
{
	const struct pamt_ops *ops = pamt_find_ops(strategy);

	return ops && (ops->users || !kinds[i].needs_counts);
}

static void set_cpu(unsigned int cpu)
{
	shim_set_cpu(cpu);
}

static struct scenario *scenario_open(unsigned int i, const char *strategy, uint64_t seed,
				      unsigned int *cpus, char *err, size_t err_size)
{
	struct scenario *s = shim_zalloc(sizeof(*s));
	struct world_config c = {
		.host_bytes = HOST_BYTES, .placement = PHYS_BUDDY, .seed = seed,
		.ops = pamt_find_ops(strategy),
		.hooks = { .inject = inject, .fail_alloc = fail_alloc, .ctx = s },
	};
	unsigned int cpu;

	memset(shim_lock_depths, 0, sizeof(shim_lock_depths));
	shim_set_nr_cpus(MAX_CPUS);
	set_cpu(0);
	shim_clear_warnings();
	if (!arena)
		arena = phys_map(HOST_BYTES);
	if (!s || !arena) {
		snprintf(err, err_size, "out of memory");
		shim_free(s);
		return NULL;
	}
	memset(arena, 0, HOST_BYTES / 8);
	c.mem = arena;
	s->kind = &kinds[i];
	s->cpus = *cpus = kinds[i].cpus;
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		s->rng[cpu] = seed * 31 + cpu * 0x9E3779B97F4A7C15ull;
	if (world_init(&s->world, &c, err, err_size)) {
		shim_free(s);
		return NULL;
	}
	s->busy_rate = kinds[i].busy_rate;
	s->alloc_rate = kinds[i].alloc_rate;
	s->add_rate = kinds[i].add_rate;
	if (kinds[i].body == body_refs)
		s->remove_rate = kinds[i].remove_rate;
	if (kinds[i].setup && kinds[i].setup(s)) {
		world_exit(&s->world);
		shim_free(s);
		return NULL;
	}
	return s;
}

static void scenario_body(struct scenario *s, unsigned int cpu)
{
	s->kind->body(s, cpu);
}

/*
 * With failed removals the pairs in question must be exactly where they were,
 * each with one user in the count: take them out by hand, then audit.
 */
static void recover_leaks(struct scenario *s, const struct pamt_stats *sum)
{
	struct pamt *p = &s->world.pamt;
	struct pamt_pair pair;
	unsigned int i;
	u64 leaked = 0;

	s->remove_rate = 0;
	for (i = 0; i < REF_PAGES; i += 2) {
		unsigned long r = pamt_region(p, s->hpa[i]);

		if (!p->ops->users(p, r))
			continue;
		if (p->ops->users(p, r) != 1)
			broke(s, "a pair that could not be removed counts other than one user");
		leaked++;
		atomic_set(&p->count[r], p->ops->absent);
		if (tdh_phymem_pamt_remove(p, r, &pair))
			broke(s, "a pair that could not be removed is not there any more");
		else
			pamt_pair_free(p, NULL, &pair);
	}
	if (sum->leaked != leaked || sum->leaked != s->failed_removes)
		broke(s, "the count of leaked pairs is not the number of failed removals");
	/* A failed ADD or REMOVE warns, as it should. */
	shim_clear_warnings();
}

static u64 samples(const struct pamt_hist *h)
{
	u64 n = 0;
	unsigned int i;

	for (i = 0; i < PAMT_HIST_BINS; i++)
		n += h->bin[i];
	return n;
}

static u64 busy(const struct pamt_stats *sum, enum pamt_leaf leaf)
{
	return sum->busy[leaf][PAMT_BUSY_REGION] + sum->busy[leaf][PAMT_BUSY_PAGE] +
	       sum->busy[leaf][PAMT_BUSY_OTHER];
}

/* The statistics against what the scenario knows, and against each other. */
static void check_stats(struct scenario *s, const struct pamt_stats *sum)
{
	u64 busy_in = busy(sum, PAMT_LEAF_ADD) + busy(sum, PAMT_LEAF_DEMOTE);
	u64 busy_out = busy(sum, PAMT_LEAF_REMOVE) + busy(sum, PAMT_LEAF_PROMOTE);

	if (samples(&sum->wait) != sum->wait_count[0] + sum->wait_count[1] ||
	    sum->wait.sum_ns != sum->wait_ns[0] + sum->wait_ns[1])
		broke(s, "the histogram of waits is not of the waits that were counted");
	if (samples(&sum->get_ns) != sum->get_slow || samples(&sum->put_ns) != sum->put_slow)
		broke(s, "the histograms of slow calls are not of those that were counted");
	if (s->kind->one_region && sum->wait_count[0] != busy_in + busy_out)
		broke(s, "waits for the same region were not counted as true, or BUSY waits were");
	if (!s->world.pamt.ops->users)
		return;
	if (sum->install != sum->remove + sum->leaked)
		broke(s, "pairs were counted in that were not counted out");
	if (sum->get_slow < sum->install ||
	    sum->put_slow + sum->seamcall[PAMT_LEAF_PROMOTE] < sum->remove + sum->leaked)
		broke(s, "a transition was not counted as a slow call");
	if (sum->seamcall[PAMT_LEAF_ADD] + sum->seamcall[PAMT_LEAF_DEMOTE] !=
		    sum->install + busy_in + s->failed_adds ||
	    sum->seamcall[PAMT_LEAF_REMOVE] + sum->seamcall[PAMT_LEAF_PROMOTE] !=
		    sum->remove + busy_out + s->failed_removes + s->failed_promotes)
		broke(s, "SEAMCALLs were not counted, or counted twice");
	if (s->kind->body == body_refs &&
	    (sum->get_failed != s->failed_gets ||
	     s->failed_gets > s->failed_adds + s->failed_allocs))
		broke(s, "failed gets were miscounted, or a get failed for no reason");
}

static void results(struct scenario *s, const struct pamt_stats *sum, struct scenario_result *r)
{
	enum pamt_leaf l;

	r->installs += sum->install;
	r->removes += sum->remove;
	r->lost_races += sum->lost_race;
	r->leaked += sum->leaked;
	r->failed_gets += sum->get_failed;
	r->waits += sum->wait_count[0] + sum->wait_count[1];
	r->demotes += s->demotes;
	for (l = 0; l < PAMT_NR_LEAVES; l++)
		r->busy += busy(sum, l);
}

/* What broke during the run, then what the host looks like after it, then the figures. */
static void finish(struct scenario *s, struct scenario_result *r, char *err, size_t err_size)
{
	struct pamt_stats *sum = shim_zalloc(sizeof(*sum));

	if (!sum) {
		snprintf(err, err_size, "out of memory");
		return;
	}
	pamt_stats_sum(&s->world.pamt, sum);
	results(s, sum, r);
	if (s->remove_rate)
		recover_leaks(s, sum);
	if (!s->broken[0])
		world_audit(&s->world, err, err_size);
	if (!err[0])
		check_stats(s, sum);
	if (s->broken[0])
		snprintf(err, err_size, "%s", s->broken);
	shim_free(sum);
}

static int scenario_close(struct scenario *s, struct scenario_result *r, char *err,
			  size_t err_size)
{
	int ret = 0;

	set_cpu(0);
	if (!err[0]) {
		s->kind->teardown(s);
		finish(s, r, err, err_size);
	}
	ret = err[0] ? -EIO : 0;
	world_exit(&s->world);
	shim_free(s);
	return ret;
}

const struct flavour yield_flavour = {
	.scenario_name = scenario_name,
	.applies = applies,
	.open = scenario_open,
	.body = scenario_body,
	.close = scenario_close,
	.set_cpu = set_cpu,
};
