// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer's scenarios at work: a small host, the programs' operations on it,
 * and what SEAMCALLs must not do (double ADD or REMOVE, REMOVE under a user, a
 * retry after BUSY that is not alone).
 */
#include "exec/scenario_scene.h"

#include <stdio.h>

struct scene scene;

static char *explore_arena;

static void fail(const char *what)
{
	if (exec_now && exec_now->fail)
		exec_now->fail(what);
}

static unsigned int choose(unsigned int n)
{
	return exec_now && exec_now->choose ? exec_now->choose(n) : 0;
}

static void mark(const void *what, enum shim_access kind)
{
	if (exec_now && exec_now->mark)
		exec_now->mark(what, kind);
}

/* Which region of the program lies at @hpa; PROGRAM_REGIONS: none. */
static unsigned int region_at(u64 hpa)
{
	unsigned int r;

	for (r = 0; r < PROGRAM_REGIONS; r++)
		if (hpa >> PMD_SHIFT == scene.region[r] >> PMD_SHIFT)
			break;
	return r;
}

/* ---------------------------------------------------- what SEAMCALLs may do */

static bool is_pamt_call(const struct emu_call *c)
{
	return c->leaf == EMU_TDH_PHYMEM_PAMT_ADD || c->leaf == EMU_TDH_PHYMEM_PAMT_REMOVE;
}

/*
 * Who retries after BUSY is alone: nobody else begins or is in a PAMT SEAMCALL. The marks
 * let the search tell the one that begins before from the one that begins after.
 */
static void enter_call(unsigned int cpu)
{
	bool retry = books->retry[cpu];
	unsigned int i;

	mark(&scene.alone, retry ? SHIM_WRITE : SHIM_READ);
	for (i = 0; i < EXPLORE_CPUS; i++)
		if (books->is_alone[i] || (retry && books->in_flight[i]))
			fail("the retry after a BUSY is not alone");
	books->in_flight[cpu] = true;
	books->is_alone[cpu] = retry;
}

static void leave_call(unsigned int cpu, bool busy)
{
	mark(&scene.alone, books->is_alone[cpu] ? SHIM_WRITE : SHIM_READ);
	books->retry[cpu] = busy;
	books->in_flight[cpu] = false;
	books->is_alone[cpu] = false;
}

static u64 inject(struct world *w, const struct emu_call *c)
{
	unsigned int cpu = shim_cpu, r = region_at(c->args->rcx);
	bool remove = c->leaf == EMU_TDH_PHYMEM_PAMT_REMOVE, retry = books->retry[cpu];

	if (!is_pamt_call(c))
		return 0;
	if (r == PROGRAM_REGIONS)
		fail("a PAMT SEAMCALL for a region that nobody asked for");
	if (remove && books->users[r])
		fail("PAMT.REMOVE of a region that has a user");
	if (!remove && books->huge[r])
		fail("PAMT.ADD of a region that is mapped at 2M");
	if (!scene.prog->module)
		enter_call(cpu);
	if (books->busy && !retry && choose(2)) {
		books->busy--;
		books->injected[cpu] = true;
		return EMU_OPERAND_BUSY | EMU_OP_RCX;
	}
	if (!remove && books->bad_add && choose(2)) {
		books->bad_add--;
		books->warnings++;
		books->injected[cpu] = books->refused[cpu] = true;
		return EMU_PAGE_NOT_FREE | EMU_OP_RDX;
	}
	if (remove && books->bad_remove && choose(2)) {
		books->bad_remove--;
		books->warnings++;
		books->leaked[r] = true;
		books->injected[cpu] = true;
		return EMU_PAMT_PAGE_NOT_EMPTY;
	}
	return 0;
}

static void judge(const struct emu_call *c)
{
	u64 class = EMU_ST_CLASS(c->status);

	if (!c->status || class == EMU_OPERAND_BUSY)
		return;
	if (class == EMU_HPA_RANGE_NOT_FREE && scene.adopts)
		return;
	if (class == EMU_HPA_RANGE_NOT_FREE)
		fail("PAMT.ADD of a region that has its pair (double ADD)");
	else if (class == EMU_NO_PAMT_PAGE_PAIR)
		fail("PAMT.REMOVE of a region that has no pair (double REMOVE)");
	else if (class == EMU_PAGE_NOT_FREE)
		fail("PAMT.ADD with a page that is a PAMT page already (pair used twice)");
	else
		fail("a PAMT SEAMCALL failed for no reason");
}

/* Not an access of the code under test: the executor must not see it. */
static __attribute__((__no_sanitize_thread__)) noinline u16 lock_word(u64 pa)
{
	struct emu_module *m = &scene.world.module;

	return *(volatile u16 *)&emu_pamt_2m(m, &m->tdmr[0], pa)->lock;
}

/* Likewise: is the page a PAMT page? */
static __attribute__((__no_sanitize_thread__)) noinline bool bitmap_bit(struct emu_module *m, u64 pa)
{
	const volatile unsigned long *map = emu_va(m, m->tdmr[0].pamt_4k_base);

	return map[pa >> PAGE_SHIFT >> 6] >> (pa >> PAGE_SHIFT & 63) & 1;
}

/* What a call must still hold when its work is done [tdx-abi.md 1.5.4, 1.5.5]. */
static void check_held(const struct emu_call *c)
{
	u64 region = c->args->rcx & ~(u64)(PMD_SIZE - 1), page[2] = { c->args->rdx, c->args->r8 };
	unsigned int i;

	if (!(lock_word(region) & SHAREX_EX))
		fail("a region's pair changes and its 2M entry is not locked");
	for (i = 0; c->leaf == EMU_TDH_PHYMEM_PAMT_ADD && i < 2; i++)
		if (page[i] >> PMD_SHIFT != region >> PMD_SHIFT &&
		    lock_word(page[i]) < SHAREX_READER)
			fail("PAMT.ADD does not hold the regions of its pages");
}

static void hold(struct world *w, const struct emu_call *c)
{
	unsigned int cpu = shim_cpu;

	if (!is_pamt_call(c))
		return;
	if (!books->injected[cpu] && !scene.prog->module)
		judge(c);
	books->injected[cpu] = false;
	if (!c->status)
		check_held(c);
	if (!scene.prog->module)
		leave_call(cpu, EMU_ST_CLASS(c->status) == EMU_OPERAND_BUSY);
}

/* ------------------------------------------------------------------ pages */

/*
 * A CPU's pages for a region are taken in one order, lowest first, and put back to where
 * they came from, whoever has freed them: how many pairs came and went by whom
 * is no part of the state.
 */
static void take_pair(unsigned int cpu)
{
	struct pamt_cache *cache = &scene.cache[cpu];
	unsigned int r = books->region[cpu], n;

	for (n = 0; n < GIVEN_PAGES; n += 2) {
		if ((books->free[cpu][r] >> n & 3) != 3)
			continue;
		books->free[cpu][r] &= ~(3u << n);
		cache->page[cache->nr++] = scene.page[cpu][r][n + 1];
		cache->page[cache->nr++] = scene.page[cpu][r][n];
		return;
	}
}

static void page_back(u64 page)
{
	unsigned int at = page < SCENE_BYTES ? scene.owner[page >> PAGE_SHIFT] : 0, n;
	struct emu_module *m = &scene.world.module;
	u8 *free;

	if (!at--) {
		fail("a page came back that nobody gave");
		return;
	}
	n = at % GIVEN_PAGES;
	free = &books->free[0][0] + at / GIVEN_PAGES;
	if (*free >> n & 1)
		fail("a page was given back twice");
	if (bitmap_bit(m, page))
		fail("a page was given back that the module still has");
	*free |= 1u << n;
}

/* What an operation left over, or gave to the page allocator. */
static void collect_pages(unsigned int cpu)
{
	struct phys_cpu *list = &scene.world.phys.cpu[cpu];
	struct pamt_cache *cache = &scene.cache[cpu];

	while (cache->nr) {
		page_back(cache->page[--cache->nr]);
		cache->page[cache->nr] = 0;
	}
	while (list->nr) {
		page_back(list->page[--list->nr]);
		list->page[list->nr] = 0;
	}
	list->freed = 0;
}

static bool fail_alloc(struct world *w)
{
	unsigned int cpu = shim_cpu;

	if (books->no_pages && choose(2)) {
		books->no_pages--;
		books->refused[cpu] = true;
		return true;
	}
	take_pair(cpu);
	return false;
}

/* ------------------------------------------------------------- operations */

static u64 call_in(struct pamt *p, unsigned long region, void *ctx)
{
	u64 status = tdh_phymem_pamt_add(p, region, ctx);

	/* The others come as soon as there is a pair, before its references are counted. */
	if (!status)
		atomic_set_release(&scene.ready, 1);
	return status;
}

static u64 call_out(struct pamt *p, unsigned long region, void *ctx)
{
	return tdh_phymem_pamt_remove(p, region, ctx);
}

/*
 * A user of the region uses it. Between a get and its put that is once or twice, when the
 * use begins and before it ends: a pair that goes meanwhile is gone in between, in the
 * search's order too.
 */
static void use(unsigned int r)
{
	if (scene.dynamic && READ_ONCE(scene_entry(r)->type) != EMU_PT_PAMT)
		fail("a region is in use and has no PAMT page pair");
}

static void op_get(unsigned int cpu, unsigned int r)
{
	struct pamt *p = &scene.world.pamt;

	if (p->ops->get(p, scene_nr(r), &scene.cache[cpu])) {
		if (!books->refused[cpu])
			fail("a get failed for no reason");
		return;
	}
	books->held[cpu][r]++;
	books->users[r]++;
	use(r);
}

/* @at_once: nothing was done since the get. */
static void op_put(unsigned int cpu, unsigned int r, bool at_once)
{
	struct pamt *p = &scene.world.pamt;

	if (!books->held[cpu][r])
		return;
	if (books->held[cpu][r] == 1 && !at_once)
		use(r);
	books->held[cpu][r]--;
	books->users[r]--;
	books->putting[r]++;
	p->ops->put(p, scene_nr(r));
	books->putting[r]--;
}

static void op_demote(unsigned int cpu, unsigned int r)
{
	struct pamt *p = &scene.world.pamt;
	struct pamt_pair pair;

	if (pamt_pair_alloc(p, &scene.cache[cpu], &pair))
		return;
	if (p->ops->demote(p, scene_nr(r), call_in, &pair)) {
		fail("a demotion failed");
		return;
	}
	books->held[cpu][r] += PAMT_REGION_PAGES;
	books->users[r] += PAMT_REGION_PAGES;
	use(r);
}

static void op_promote(unsigned int cpu, unsigned int r)
{
	struct pamt *p = &scene.world.pamt;
	struct pamt_pair pair;
	int err;

	use(r);
	books->users[r] -= PAMT_REGION_PAGES;
	err = p->ops->promote(p, scene_nr(r), call_out, &pair);
	if (!err) {
		books->held[cpu][r] -= PAMT_REGION_PAGES;
		pamt_pair_free(p, &scene.cache[cpu], &pair);
		return;
	}
	books->users[r] += PAMT_REGION_PAGES;
	if (err != -EBUSY)
		fail("a promotion met an unexpected error");
	use(r);
}

/* The same for a 2M mapping, which has no pair. */
static void use_2m(unsigned int r)
{
	if (READ_ONCE(scene_entry(r)->type) == EMU_PT_PAMT)
		fail("a region is mapped at 2M and has a PAMT page pair");
}

static void op_map_2m(unsigned int cpu, unsigned int r)
{
	int err = pamt_map_2m(&scene.world.pamt, scene_nr(r));

	if (err && err != -EBUSY)
		fail("a 2M mapping met an unexpected error");
	/* Who has all of the region's pages knows that their puts are over: here nobody has. */
	if (err || books->putting[r])
		return;
	books->huge[r] = true;
	use_2m(r);
}

/*
 * The host switches strategies when nothing is counted, as the kernel does at run time: pairs
 * that are retained go first, and one user anywhere is enough to be refused.
 */
static void switch_over(void)
{
	struct pamt *p = &scene.world.pamt;
	unsigned int r, users = 0;
	unsigned long region;
	int err;

	for (r = 0; r < PROGRAM_REGIONS; r++) {
		users += books->users[r];
		if (p->ops->drop)
			p->ops->drop(p, scene_nr(r));
	}
	err = pamt_idle(p, &region);
	if (err && !users)
		fail("at rest a region still counts users");
	if (!err && users)
		fail("at rest a region does not count the user that it has");
	if (err)
		return;
	p->ops = scene.heir[choose(scene.nr_heirs)];
	p->fallback.use_rwlock = p->ops->use_rwlock;
	for (r = 0; r < PROGRAM_REGIONS; r++)
		atomic_set(&p->count[scene_nr(r)], p->ops->absent);
	atomic_set_release(&scene.switched, 1);
}

static void op_switch(unsigned int cpu)
{
	int others = (int)scene.prog->cpus - 1;

	if (cpu) {
		atomic_add_return_release(1, &scene.through);
		smp_cond_load_acquire(&scene.switched.counter, VAL);
		return;
	}
	smp_cond_load_acquire(&scene.through.counter, VAL == others);
	switch_over();
}

/* Memory is short, say: a user is no reason to fail, and goes on undisturbed. */
static void op_drop(unsigned int r)
{
	struct pamt *p = &scene.world.pamt;
	int err = p->ops->drop(p, scene_nr(r));

	if (err && err != -EBUSY)
		fail("a drop met an unexpected error");
}

static void op_seamcall(unsigned int cpu, enum program_op op, unsigned int r)
{
	struct pamt *p = &scene.world.pamt;
	struct pamt_cache *cache = &scene.cache[cpu];
	struct tdx_module_args args = { .rcx = scene.region[r] };
	struct pamt_pair pair;
	u64 status;

	switch (op) {
	case OP_ADD:
		take_pair(cpu);
		pair.hpa[0] = cache->page[1];
		pair.hpa[1] = cache->page[0];
		status = tdh_phymem_pamt_add(p, scene_nr(r), &pair);
		if (!status) {
			cache->nr = 0;
			books->users[r] = 1;
		} else if (EMU_ST_CLASS(status) != EMU_OPERAND_BUSY) {
			fail("PAMT.ADD met an unexpected error");
		}
		break;
	case OP_REMOVE:
		if (!books->users[r])
			break;
		books->users[r] = 0;
		status = tdh_phymem_pamt_remove(p, scene_nr(r), &pair);
		if (!status) {
			cache->page[cache->nr++] = pair.hpa[1];
			cache->page[cache->nr++] = pair.hpa[0];
		} else if (EMU_ST_CLASS(status) == EMU_OPERAND_BUSY) {
			books->users[r] = 1;
			books->held[cpu][r] = 1;
		} else {
			fail("PAMT.REMOVE met an unexpected error");
		}
		break;
	default:
		status = world_seamcall(&scene.world, EMU_TDH_PHYMEM_PAGE_RDMD, &args);
		if (status && EMU_ST_CLASS(status) != EMU_OPERAND_BUSY &&
		    EMU_ST_CLASS(status) != EMU_PAGE_METADATA_INCORRECT)
			fail("PAGE.RDMD met an unexpected error");
	}
}

static u64 read_entry(struct pamt *p, unsigned long region, void *unused)
{
	struct tdx_module_args args = { .rcx = pamt_region_hpa(p, region) | EMU_LEVEL_2M };

	return world_seamcall(&scene.world, EMU_TDH_PHYMEM_PAGE_RDMD, &args);
}

/* It may meet an ADD or a REMOVE, and must not be what either meets when it is alone. */
static void op_audit(unsigned int r)
{
	u64 status = pamt_seamcall_beside(&scene.world.pamt, scene_nr(r), read_entry, NULL);

	if (status && EMU_ST_CLASS(status) != EMU_OPERAND_BUSY)
		fail("PAGE.RDMD of an entry met an unexpected error");
}

static void operate(unsigned int cpu, const struct program_step *s, bool at_once)
{
	switch (s->op) {
	case OP_GET:
		op_get(cpu, s->region);
		break;
	case OP_PUT:
		op_put(cpu, s->region, at_once);
		break;
	case OP_DEMOTE:
		op_demote(cpu, s->region);
		break;
	case OP_PROMOTE:
		op_promote(cpu, s->region);
		break;
	case OP_MAP_2M:
		op_map_2m(cpu, s->region);
		break;
	case OP_UNMAP_2M:
		if (books->huge[s->region])
			use_2m(s->region);
		books->huge[s->region] = false;
		break;
	case OP_AUDIT:
		op_audit(s->region);
		break;
	case OP_AWAIT:
		smp_cond_load_acquire(&scene.ready.counter, VAL);
		break;
	case OP_DROP:
		op_drop(s->region);
		break;
	case OP_SWITCH:
		op_switch(cpu);
		break;
	default:
		op_seamcall(cpu, s->op, s->region);
	}
}

static void body(void *arg, unsigned int cpu)
{
	const struct program_step *s = scene.prog->step[cpu];
	unsigned int k;

	for (k = 0; k < PROGRAM_STEPS && s[k].op != OP_END; k++) {
		if (exec_now && exec_now->rest)
			exec_now->rest();
		books->region[cpu] = s[k].region;
		operate(cpu, &s[k], k && s[k - 1].op == OP_GET && s[k - 1].region == s[k].region);
		books->refused[cpu] = false;
		collect_pages(cpu);
	}
}

/* --------------------------------------------------------------- up and down */

const char *scenario_explore_name(unsigned int i, const char **what)
{
	if (i >= nr_programs)
		return NULL;
	*what = programs[i].what;
	return programs[i].name;
}

static const struct pamt_ops *find_ops(const char *name)
{
	if (!strcmp(name, scenario_v3_ops.name))
		return &scenario_v3_ops;
	if (!strcmp(name, scenario_retain_ops.name))
		return &scenario_retain_ops;
	return pamt_find_ops(name);
}

/* Strategies that can take over the words and locks of @ops: they need no more locks. */
static unsigned int find_heirs(const struct pamt_ops *ops, const struct pamt_ops **heir)
{
	const struct pamt_ops *o;
	unsigned int i, nr = 0;

	for (i = 0; (o = pamt_ops_at(i)) && nr < MAX_HEIRS; i++)
		if (o != ops && o->users &&
		    (!o->has_locks || (ops->has_locks && o->lock_bits <= ops->lock_bits)))
			heir[nr++] = o;
	return nr;
}

int scenario_explore_applies(unsigned int i, const char *strategy)
{
	const struct pamt_ops *ops = find_ops(strategy), *heir[MAX_HEIRS];

	if (!ops || i >= nr_programs)
		return 0;
	/* Without counts there is nothing that the CPUs share but the module. */
	if (!ops->users)
		return programs[i].module && ops->dynamic && !ops->preinstalled;
	if ((programs[i].resizes && !ops->demote) || (programs[i].retains && !ops->drop))
		return 0;
	if (programs[i].step[0][0].op == OP_SWITCH)
		return ops != &scenario_v3_ops && find_heirs(ops, heir);
	return ops != &scenario_v3_ops || !programs[i].module;
}

static int take_initial(const struct program *prog, char *err, size_t err_size)
{
	unsigned int cpu, r, n;

	for (cpu = 0; cpu < prog->cpus; cpu++) {
		shim_set_cpu(cpu);
		for (r = 0; r < PROGRAM_REGIONS; r++) {
			for (n = 0; n < prog->held[cpu][r]; n++) {
				struct pamt *p = &scene.world.pamt;

				books->region[cpu] = r;
				if (p->ops->get(p, scene_nr(r), &scene.cache[cpu])) {
					snprintf(err, err_size, "a get before the start failed");
					return -EIO;
				}
				books->held[cpu][r]++;
				books->users[r]++;
			}
		}
	}
	shim_set_cpu(0);
	return 0;
}

int scenario_explore_open(unsigned int i, const char *strategy, struct explore_program *p,
			  char *err, size_t err_size)
{
	const struct program *prog = &programs[i];
	struct world_config c = {
		.host_bytes = SCENE_BYTES, .placement = PHYS_BUDDY, .seed = 1,
		.ops = find_ops(strategy),
		.hooks = { .inject = inject, .hold = hold, .fail_alloc = fail_alloc },
	};
	unsigned int r;

	shim_set_nr_cpus(EXPLORE_CPUS);
	shim_set_cpu(0);
	shim_clear_warnings();
	memset(&scene, 0, sizeof(scene));
	if (!explore_arena)
		explore_arena = phys_map(SCENE_BYTES);
	if (!explore_arena) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	memset(explore_arena, 0, SCENE_BYTES);
	c.mem = explore_arena;
	scene.prog = prog;
	scene.adopts = c.ops == &scenario_v3_ops;
	scene.nr_heirs = find_heirs(c.ops, scene.heir);
	scene.dynamic = c.ops->dynamic;
	scene.absent = c.ops->absent;
	if (world_init(&scene.world, &c, err, err_size))
		return -EIO;
	for (r = 0; r < PROGRAM_REGIONS; r++)
		scene.region[r] = SCENE_BYTES - (PROGRAM_REGIONS - r) * PMD_SIZE;
	scene_give_pages(prog);
	if (take_initial(prog, err, err_size)) {
		scenario_explore_close();
		return -EIO;
	}
	books->busy = prog->busy;
	books->no_pages = prog->no_pages;
	books->bad_add = prog->bad_add;
	books->bad_remove = prog->bad_remove;
	scene_fill(p, prog);
	p->body = body;
	return 0;
}

void scenario_explore_close(void)
{
	world_exit(&scene.world);
}
