// SPDX-License-Identifier: GPL-2.0-only
/*
 * One cell on a simulated machine (sim.h): the tasks of tasks.c on simulated CPUs,
 * the hooks that let time pass, and block mode. Built into the simulator's own
 * copy of strategies, module and host, whose names meet no other copy's; this
 * file itself is not instrumented, so the tasks' own bookkeeping costs nothing.
 */
#include "exec/sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "emu/module/abi.h"
#include "exec/leaf_cost.h"
#include "exec/sim_heap.h"
#include "exec/tasks.h"
#include "shim/shim_exec.h"
#include "shim_runtime.h"

/*
 * Of so many blocks one and a half are simulated in full, by all CPUs at the same time: what an
 * access costs depends on what the others do, so nobody charges while anybody learns.
 */
#define BLOCK_SAMPLE 128
/* Pages at the front of every block that are simulated. */
#define BLOCK_FRONT 2
/* Pages that are simulated before those that are learnt from: CPUs that begin together meet more. */
#define BLOCK_WARM 256

/* What a block's accesses cost, by what is done to its pages. */
enum block_work { BLOCK_FAULT, BLOCK_ZAP, BLOCK_NR };

struct block_mean {
	u64 sum_ps, pages, warm;
	u64 charged;		/* pages since they were learnt */
	u64 over;		/* ps that charged pages have paid beyond their mean */
	u32 window;		/* that it has learnt in, or learns in; 0: not at this work */
	bool learning;
};

/* A page under way. */
struct page {
	bool open, full;	/* full: nothing left out, and get and put were fast */
	u64 start, constants;
};

struct cpu {
	unsigned int nr_tasks;
	struct task *task;
	struct pamt_stats *stats;
	u64 entered, queued;	/* of the SEAMCALL under way */
	u64 constants;		/* ps charged from the machine file */
	u32 draws[COST_NR];
	struct block_mean mean[BLOCK_NR];
	struct page page;
	bool zapping;
};

struct task {
	struct run_td *td;
	struct run_vcpu *vcpu;	/* NULL: the TD's VMM */
};

static struct {
	struct run *r;
	struct cpu *cpu;
	bool block, locks;	/* locks: every get and put takes one, so that waiting is no slow path */
	u64 muted;
	u32 window[BLOCK_NR];
	unsigned int learning[BLOCK_NR];	/* CPUs */
} sc;

static struct cpu *this_cpu(void)
{
	return &sc.cpu[shim_cpu];
}

u64 shim_clock(void)
{
	return exec_now ? exec_now->clock() : 0;
}

/*
 * The clock that the strategies read (see the Makefile): only a slow path does,
 * as its first act. A page that was being charged is simulated from here on.
 */
u64 sim_strategy_clock(void)
{
	if (!exec_now)
		return 0;
	if (sc.cpu && !sc.locks) {
		this_cpu()->page.full = false;
		if (sim_muted()) {
			sim_unmute();
			sim_sync();
		}
	}
	sim_charge_clock();
	return shim_clock();
}

/* ------------------------------------------------------------------ costs */

/* The same draw for the same call of a CPU whatever the strategy did in between. */
static u64 draw(struct cpu *c, enum cost cost)
{
	u64 z = sc.r->c->seed + (shim_cpu * (u64)COST_NR + cost) * 0x9E3779B97F4A7C15ull +
		++c->draws[cost] * 0xD1B54A32D192ED03ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

static u64 cost_ps(struct cpu *c, enum cost cost)
{
	return machine_cost(sc.r->c->machine, cost, draw(c, cost)) * SIM_PS;
}

static void pass(struct cpu *c, u64 ps)
{
	c->constants += ps;
	if (sim_muted())
		sim_charge(ps);
	else
		sim_spend(ps);
}

static void hook_spend(struct world *world, enum cost cost)
{
	struct cpu *c = this_cpu();

	(void)world;
	pass(c, cost_ps(c, cost));
}

/* ------------------------------------------------------------- block mode */

static void window_leave(struct cpu *c, enum block_work work)
{
	struct block_mean *m = &c->mean[work];

	sc.learning[work] -= m->learning;
	m->learning = false;
	m->window = 0;
}

/* This CPU is at @work: does it know what a page costs, and does everybody else? */
static bool window_known(struct cpu *c, enum block_work work)
{
	struct block_mean *m = &c->mean[work];

	if (m->window != sc.window[work]) {
		sc.learning[work] += !m->learning;
		m->window = sc.window[work];
		m->learning = true;
		m->sum_ps = m->pages = m->warm = m->charged = m->over = 0;
	}
	return !sc.learning[work];
}

static void window_learn(struct cpu *c, enum block_work work, u64 ps)
{
	struct block_mean *m = &c->mean[work];

	/* What comes while only the others learn is as they find it, so it counts too. */
	if (m->warm < BLOCK_WARM) {
		m->warm++;
		return;
	}
	m->sum_ps += ps;
	if (++m->pages < EMU_ENTRIES - BLOCK_FRONT || !m->learning)
		return;
	m->learning = false;
	sc.learning[work]--;
}

/* Who comes first to a block builds its tree: that is never charged, so nothing is learnt from it. */
static bool is_front(u64 gpa)
{
	return (gpa >> PAGE_SHIFT & (EMU_ENTRIES - 1)) < BLOCK_FRONT;
}

/* Is page @gpa to be charged? */
static bool may_charge(struct cpu *c, enum block_work work, u64 gpa)
{
	struct block_mean *m = &c->mean[work];

	if (!sc.block || !window_known(c, work) || is_front(gpa))
		return false;
	if (++m->charged < (u64)BLOCK_SAMPLE * EMU_ENTRIES)
		return true;
	sc.window[work]++;
	return false;
}

static void page_begin(struct cpu *c, enum block_work work, u64 gpa)
{
	bool charge = may_charge(c, work, gpa);

	c->page = (struct page){
		.open = true, .full = !charge && !is_front(gpa), .start = sim_now(), .constants = c->constants,
	};
	if (!charge)
		return;
	sc.muted++;
	/* The allocator gives pages out in the order of time. */
	sim_sync();
	sim_mute(sc.locks);
}

/*
 * Learn from a page that was simulated; charge one that was not for its accesses, of which
 * it may have paid some, or more than they cost on average: where it waited for a lock.
 */
static void page_end(struct cpu *c, enum block_work work)
{
	struct block_mean *m = &c->mean[work];
	struct page *p = &c->page;
	u64 paid, mean;

	if (!p->open)
		return;
	p->open = false;
	paid = sim_now() - p->start - (c->constants - p->constants);
	if (sim_muted()) {
		mean = m->sum_ps / m->pages;
		m->over += paid;
		sim_charge(mean > m->over ? mean - m->over : 0);
		m->over -= min(mean, m->over);
		sim_unmute();
	} else if (p->full && sc.learning[work]) {
		window_learn(c, work, paid);
	}
}

/* The page that a vCPU is about to touch, if it streams. */
static bool streams(const struct run_vcpu *v, u64 *gpa)
{
	const struct td_insn *in;

	if (v->cpu.pc >= v->cpu.count || v->cpu.pace)
		return false;
	in = &v->program->insn[v->cpu.pc];
	if (in->flags)
		return false;
	if (in->op == TD_OP_TOUCH && in->b == TD_PAGE_4K) {
		*gpa = in->a + (u64)v->cpu.index * in->b;
		return true;
	}
	if (in->op == TD_OP_WALK) {
		*gpa = v->cpu.chunk + (u64)v->cpu.sub * TD_PAGE_4K;
		return v->cpu.sub != 0;
	}
	return false;
}

/* --------------------------------------------------------------- SEAMCALLs */

static u64 hook_enter(struct world *world, const struct emu_call *call)
{
	struct cpu *c = this_cpu();

	(void)world;
	if (c->zapping && call->leaf == EMU_TDH_MEM_RANGE_BLOCK) {
		u64 gpa = call->args->rcx & ~(PAGE_SIZE - 1);

		page_end(c, BLOCK_ZAP);
		if (!(call->args->rcx & 7))
			page_begin(c, BLOCK_ZAP, gpa);
	}
	c->entered = sim_now();
	c->queued = sim_queued();
	sim_in_call(true);
	return 0;
}

static void hook_hold(struct world *world, const struct emu_call *call)
{
	bool busy = EMU_ST_CLASS(call->status) == EMU_OPERAND_BUSY;
	struct cpu *c = this_cpu();
	u64 ps = cost_ps(c, busy ? COST_seamcall_busy : leaf_cost(call->leaf));
	u64 until = c->entered + ps + (sim_queued() - c->queued), now = sim_now();

	(void)world;
	sim_in_call(false);
	sc.r->worker[0].seamcalls++;
	/* Somebody is in the way: from here on it matters when things happen. */
	if (busy && sim_muted())
		sim_unmute();
	c->constants += ps;
	if (now > until)
		sc.r->worker[0].overruns++;
	else if (sim_muted())
		sim_charge(until - now);
	else
		sim_spend(until - now);
}

static void hook_pair(struct world *world, int delta)
{
	struct run_worker *w = &sc.r->worker[0];

	(void)world;
	if (w->nr_events == w->max_events) {
		size_t max = w->max_events ? 2 * w->max_events : 1 << 16;
		struct pair_event *e = realloc(w->event, max * sizeof(*e));

		if (!e) {
			run_fail(w, -ENOMEM, "recording the pairs");
			return;
		}
		w->event = e;
		w->max_events = max;
	}
	w->event[w->nr_events++] = (struct pair_event){ .ns = shim_clock(), .delta = delta };
}

static void hook_fault(struct world *world, unsigned int group, u64 start)
{
	struct run_worker *w = &sc.r->worker[0];
	u64 ns;

	page_end(this_cpu(), BLOCK_FAULT);
	ns = shim_clock() - start;
	hist_add(&w->fault, ns);
	hist_add(&w->group_fault[group], ns);
	if (ns > world->stall_ns && sc.r->wl->arrivals.pick == WL_CLOSED) {
		w->mean[group].stalls++;
		return;
	}
	w->mean[group].sum_ns += ns;
	w->mean[group].count++;
}

void run_fail(struct run_worker *w, int err, const char *what)
{
	if (!w->error) {
		w->error = err;
		snprintf(w->error_text, sizeof(w->error_text), "%s failed: %s", what,
			 err == -ENOMEM ? "the host's memory is out" : strerror(-err));
	}
	atomic_set(&w->run->stop, 1);
}

/* Nobody has to stop: one thread runs them all, and no time passes meanwhile. */
void run_snapshot(struct run_worker *w)
{
	const struct exec_ops *host = exec_now;

	if (atomic_read(&w->run->snapshot_taken) || atomic_read(&w->run->stop))
		return;
	atomic_set(&w->run->snapshot_taken, 1);
	exec_now = NULL;
	run_take_shares(w->run);
	exec_now = host;
}

/* -------------------------------------------------------------- simulated CPUs */

/* Others may wait for what the next step does. The first step of a life loads its program. */
static bool may_pass_barrier(const struct run_vcpu *v)
{
	if (v->life != v->td->running_life)
		return true;
	return v->program && v->cpu.pc < v->cpu.count &&
	       v->program->insn[v->cpu.pc].op == TD_OP_BARRIER;
}

static bool step_vcpu(struct run_worker *w, struct cpu *c, struct run_vcpu *v)
{
	bool ended = v->ended, progress;
	bool barrier = may_pass_barrier(v);
	bool runs = v->life && !v->ended && v->life == v->td->running_life;
	u64 gpa, wait;

	if (runs && !v->td->host->vcpu[v->id].fault_start) {
		if (streams(v, &gpa))
			page_begin(c, BLOCK_FAULT, gpa);
		else
			window_leave(c, BLOCK_FAULT);
	}
	wait = c->stats->wait_ns[0] + c->stats->wait_ns[1];
	progress = task_step_vcpu(w, v);
	v->td->wait_ns += c->stats->wait_ns[0] + c->stats->wait_ns[1] - wait;
	if (sim_muted())
		sim_unmute();
	if (v->ended != ended || (barrier && progress))
		sim_wake_idle();
	if (progress || !v->td->host || !v->td->host->vcpu[v->id].fault_start)
		return progress;
	/* A fault to be tried again, by a CPU that has done nothing yet that takes time. */
	hook_spend(&sc.r->world, COST_seamcall_busy);
	return true;
}

static bool step_td(struct run_worker *w, struct cpu *c, struct run_td *td)
{
	enum td_state state = td->state;
	u64 wait = c->stats->wait_ns[0] + c->stats->wait_ns[1];
	bool progress;

	c->zapping = state == TD_TEARDOWN_STATE;
	progress = task_step_td(w, td);
	page_end(c, BLOCK_ZAP);
	c->zapping = false;
	if (state == TD_TEARDOWN_STATE && td->state != state)
		window_leave(c, BLOCK_ZAP);
	td->wait_ns += c->stats->wait_ns[0] + c->stats->wait_ns[1] - wait;
	if (td->state != state)
		sim_wake_idle();
	return progress;
}

/* When a task of @c goes on by itself, in ps; UINT64_MAX if none does. */
static u64 earliest(const struct cpu *c)
{
	u64 now = shim_clock(), at = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < c->nr_tasks; i++) {
		const struct run_td *td = c->task[i].td;
		const struct run_vcpu *v = c->task[i].vcpu;

		if (!v && td->state == TD_WAITING)
			at = min(at, td->start_at);
		if (v && v->idle_until > now)
			at = min(at, v->idle_until);
		if (v && v->pace_ns && v->pace_next > now)
			at = min(at, v->pace_next);
	}
	return at == UINT64_MAX ? at : min(at, SIM_END / SIM_PS + 1) * SIM_PS;
}

static void cpu_main(void *arg, unsigned int id)
{
	struct run *r = arg;
	struct run_worker *w = &r->worker[0];
	struct cpu *c = &sc.cpu[id];
	unsigned int i;

	while (atomic_read(&r->tds_left)) {
		bool progress = false;

		if (model_interrupted)
			atomic_set(&r->stop, 1);
		for (i = 0; i < c->nr_tasks; i++) {
			struct run_td *td = c->task[i].td;

			if (c->task[i].vcpu)
				progress |= step_vcpu(w, c, c->task[i].vcpu);
			else if (td->state != TD_DONE)
				progress |= step_td(w, c, td);
		}
		if (!progress)
			sim_idle(earliest(c));
	}
	if (r->paused_at < sim_now())
		r->paused_at = sim_now();	/* here: the end of the run */
	sim_wake_idle();
}

static bool add_task(struct cpu *c, struct run_td *td, struct run_vcpu *v)
{
	struct task *grown = realloc(c->task, (c->nr_tasks + 1) * sizeof(*c->task));

	if (!grown)
		return false;
	c->task = grown;
	c->task[c->nr_tasks++] = (struct task){ td, v };
	return true;
}

/* vCPUs on their CPUs; a TD's VMM where its first vCPU is. False without memory. */
static bool deal(struct run *r, const uint16_t *cpu_of)
{
	unsigned int i, j, n = 0;
	bool ok = true;

	for (i = 0; i < r->nr_tds; i++) {
		struct run_td *td = &r->td[i];
		u64 vcpus = r->wl->tds[td->group].vcpus;

		ok = ok && add_task(&sc.cpu[cpu_of[n]], td, NULL);
		for (j = 0; j < vcpus; j++)
			ok = ok && add_task(&sc.cpu[cpu_of[n++]], td, &td->vcpu[j]);
	}
	return ok;
}

/* ----------------------------------------------------------------- one cell */

struct seating {
	uint16_t *cpu_of;
	struct sim_place place[MACHINE_CPUS_MAX];
	unsigned int nr;
};

static bool seat(struct seating *s, const struct model_config *c, struct cell *cell)
{
	u64 vcpus = 0;
	unsigned int g;

	for (g = 0; g < c->workload->nr_tds; g++)
		vcpus += c->workload->tds[g].count * c->workload->tds[g].vcpus;
	s->cpu_of = calloc(vcpus + 1, sizeof(*s->cpu_of));
	if (!s->cpu_of)
		return false;
	s->nr = sim_place_vcpus(c->machine, c->workload, s->cpu_of, s->place);
	cell->workers = s->nr;
	return s->nr;
}

/*
 * A host that has run for a while: each CPU's page list is used up to some point of
 * its own. With lists that all begin empty the CPUs would fill them in step for ever.
 */
static bool warm_lists(struct run *r, unsigned int nr, u64 **held, u64 *nr_held)
{
	unsigned int cpu, i;
	u64 z, hpa;

	*nr_held = 0;
	*held = calloc((size_t)nr * PHYS_BATCH, sizeof(**held));
	for (cpu = 0; *held && cpu < nr; cpu++) {
		shim_set_cpu(cpu);
		z = (r->c->seed + cpu) * 0x9E3779B97F4A7C15ull;
		for (i = (z >> 32) % PHYS_BATCH; i; i--) {
			hpa = phys_alloc_kernel(&r->world.phys);
			if (!hpa)
				break;
			(*held)[(*nr_held)++] = hpa;
		}
	}
	shim_set_cpu(0);
	return *held;
}

static void run_cell(struct run *r, const struct seating *seats, const char *base,
		     struct cell *cell, struct sim_figures *f)
{
	struct sim_setup setup = {
		.machine = r->c->machine,
		.nr_cpus = seats->nr,
		.place = seats->place,
		.base = base,
		.size = sim_memory_size(),
		.extra = (const char *)shim_mcs,
		.extra_size = sizeof(shim_mcs),
		.seed = r->c->seed,
		.body = cpu_main,
		.arg = r,
		.switched = shim_set_cpu,
	};
	u64 end, *held, nr_held;
	unsigned int i;
	int ret;

	for (i = 0; i < seats->nr; i++) {
		sc.cpu[i].stats = per_cpu_ptr(r->world.pamt.stats, i);
		r->world.phys.cpu[i].node = seats->place[i].socket;
	}
	ret = warm_lists(r, seats->nr, &held, &nr_held) ? sim_fibers(&setup, f) : -ENOMEM;
	while (nr_held)
		phys_free_kernel(&r->world.phys, held[--nr_held]);
	free(held);
	f->muted = sc.muted;
	if (ret) {
		cell->status = ret == -EDEADLK ? CELL_VIOLATION : CELL_FAILED;
		snprintf(cell->reason, sizeof(cell->reason),
			 ret == -EDEADLK ? "deadlock: %u CPUs wait for each other" :
			 ret == -ETIME	 ? SIM_TOO_LONG :
			 ret == -EFAULT	 ? "accesses outside of the simulated memory" :
					   "out of memory",
			 f->blocked);
		return;
	}
	end = r->paused_at / SIM_PS;
	r->paused_at = 0;
	run_collect(cell, r, end);
	cell->steal_pct = 0;
	run_judge(cell, r);
}

static void free_run(struct run *r)
{
	unsigned int i;

	for (i = 0; sc.cpu && i < r->cell->workers; i++)
		free(sc.cpu[i].task);
	free(sc.cpu);
	if (r->worker)
		free(r->worker[0].event);
	free(r->worker);
	tasks_free(r);
	shim_free(r);
	memset(&sc, 0, sizeof(sc));
}

static bool prepare(struct run *r, const struct seating *s)
{
	unsigned int i;

	r->worker = calloc(s->nr, sizeof(*r->worker));
	sc.cpu = calloc(s->nr, sizeof(*sc.cpu));
	sc.r = r;
	if (!r->worker || !sc.cpu || tasks_init(r))
		return false;
	for (i = 0; i < s->nr; i++) {
		r->worker[i].run = r;
		r->worker[i].id = i;
	}
	return deal(r, s->cpu_of);
}

static void simulate(const struct model_config *c, const struct sim_options *o,
		     const struct seating *s, char *base, struct cell *cell, struct sim_figures *f)
{
	struct run *r = shim_zalloc(sizeof(*r));
	struct world_config wc = {
		.host_bytes = model_host_bytes(c->workload),
		.nodes = c->machine->sockets,
		.placement = (enum phys_placement)c->workload->placement.pick,
		.lone_pct = c->workload->placement.arg,
		.seed = c->seed,
		.ops = c->ops,
		.mem = base,
		.hooks = {
			.spend = hook_spend, .hold = hook_hold, .inject = hook_enter,
			.pair = hook_pair, .fault = hook_fault,
		},
	};

	if (!r)
		return;
	r->c = c;
	r->wl = c->workload;
	r->cell = cell;
	wc.hooks.ctx = r;
	shim_set_nr_cpus(s->nr);
	shim_set_cpu(0);
	shim_clear_warnings();
	sc.block = o->block;
	sc.window[BLOCK_FAULT] = sc.window[BLOCK_ZAP] = 1;
	sc.locks = c->ops->primitive == PAMT_PRIM_LOCK;
	if (prepare(r, s) && !world_init(&r->world, &wc, cell->reason, sizeof(cell->reason))) {
		cell->status = CELL_OK;
		run_cell(r, s, base, cell, f);
		world_exit(&r->world);
	}
	free_run(r);
}

static void sim_run(const struct model_config *given, const struct sim_options *o,
		    struct cell *cell, struct sim_figures *f)
{
	struct model_config c = *given;
	struct seating *s = calloc(1, sizeof(*s));
	const char *why;
	char *base;

	memset(f, 0, sizeof(*f));
	c.ops = pamt_find_ops(given->ops->name);
	why = run_unsupported(&c);
	cell->status = why ? CELL_SKIPPED : CELL_FAILED;
	cell->block = o->block;
	snprintf(cell->reason, sizeof(cell->reason), "%s", why ? why : "out of memory");
	base = why || !s ? NULL : sim_memory_open(model_host_bytes(c.workload));
	if (base && seat(s, &c, cell)) {
		c.workers = s->nr;
		simulate(&c, o, s, base, cell, f);
		if (cell->status == CELL_OK)
			cell->reason[0] = 0;
	}
	if (base)
		sim_memory_close();
	free(s ? s->cpu_of : NULL);
	free(s);
}

const struct sim_flavour sim_flavour = { .run = sim_run, .micro = sim_micro };
