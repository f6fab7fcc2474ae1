// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers of the model executor: pinning, the start gate, deadlines, the loop
 * over tasks, the snapshot, and the collection of a cell's figures.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "exec/tasks.h"
#include "emu/module/abi.h"
#include "emu/module/leaves.h"
#include "measure/clock.h"
#include "measure/environment.h"
#include "shim_runtime.h"

volatile int model_interrupted;

static __thread struct run_worker *self;

u64 shim_clock(void)
{
	return clock_ns();
}

/* -------------------------------------------------------- costs as deadlines */

static u64 next_random(struct run_worker *w)
{
	u64 z = w->rng += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

static void wait_until(u64 deadline)
{
	while (clock_ns() < deadline)
		cpu_relax();
}

static enum cost leaf_cost(u64 leaf)
{
	switch (leaf) {
	case EMU_TDH_PHYMEM_PAMT_ADD:
		return COST_pamt_add;
	case EMU_TDH_PHYMEM_PAMT_REMOVE:
		return COST_pamt_remove;
	case EMU_TDH_MEM_PAGE_AUG:
		return COST_page_aug;
	case EMU_TDH_MEM_PAGE_ADD:
		return COST_page_add;
	case EMU_TDH_MEM_SEPT_ADD:
		return COST_sept_add;
	case EMU_TDH_MEM_RANGE_BLOCK:
		return COST_range_block;
	case EMU_TDH_MEM_TRACK:
		return COST_track;
	case EMU_TDH_MEM_PAGE_REMOVE:
		return COST_page_remove;
	case EMU_TDH_MEM_PAGE_PROMOTE:
		return COST_page_promote;
	case EMU_TDH_MEM_PAGE_DEMOTE:
		return COST_page_demote;
	case EMU_TDH_PHYMEM_PAGE_RECLAIM:
		return COST_page_reclaim;
	case EMU_TDH_MNG_CREATE:
		return COST_mng_create;
	case EMU_TDH_VP_CREATE:
		return COST_vp_create;
	case EMU_TDH_MNG_ADDCX:
	case EMU_TDH_VP_ADDCX:
		return COST_addcx;
	case EMU_TDH_PHYMEM_PAGE_RDMD:
		return COST_rdmd;
	case EMU_TDH_PHYMEM_PAGE_WBINVD:
		return COST_wbinvd;
	default:
		return COST_other_seamcall;
	}
}

/* Runs first in a SEAMCALL: its deadline counts from here. */
static u64 hook_enter(struct world *world, const struct emu_call *c)
{
	(void)world;
	(void)c;
	self->entered = clock_ns();
	return 0;
}

static void hook_hold(struct world *world, const struct emu_call *c)
{
	struct run *r = world->hooks.ctx;
	bool busy = EMU_ST_CLASS(c->status) == EMU_OPERAND_BUSY;
	u64 ns = machine_cost(r->c->machine, busy ? COST_seamcall_busy : leaf_cost(c->leaf),
			      next_random(self));

	self->seamcalls++;
	if (unlikely(clock_ns() > self->entered + ns))
		self->overruns++;
	wait_until(self->entered + ns);
}

static void hook_spend(struct world *world, enum cost cost)
{
	struct run *r = world->hooks.ctx;
	u64 start = clock_ns();

	wait_until(start + machine_cost(r->c->machine, cost, next_random(self)));
}

static void hook_pair(struct world *world, int delta)
{
	struct run *r = world->hooks.ctx;
	struct run_worker *w = self;

	if (unlikely(w->nr_events == w->max_events)) {
		size_t max = w->max_events ? 2 * w->max_events : 1 << 16;
		struct pair_event *e = realloc(w->event, max * sizeof(*e));

		if (!e) {
			run_fail(w, -ENOMEM, "recording the pairs");
			return;
		}
		w->event = e;
		w->max_events = max;
	}
	w->event[w->nr_events++] = (struct pair_event){
		.ns = clock_ns() - r->start - READ_ONCE(r->paused_ns), .delta = delta,
	};
}

static void hook_fault(struct world *world, unsigned int group, u64 start)
{
	struct cell_mean *mean = &self->mean[group];
	struct run *r = world->hooks.ctx;
	u64 now = clock_ns(), ns = now - start, at = READ_ONCE(r->paused_at);

	/* A fault that was under way when the world stood still. */
	if (unlikely(at && start < at && now > at + r->paused_ns))
		ns -= r->paused_ns;
	hist_add(&self->fault, ns);
	hist_add(&self->group_fault[group], ns);
	if (unlikely(ns > world->stall_ns) && r->wl->arrivals.pick == WL_CLOSED) {
		mean->stalls++;
		return;
	}
	mean->sum_ns += ns;
	mean->count++;
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

/* ---------------------------------------------------------------- snapshot */

static void park(struct run *r)
{
	atomic_fetch_add(1, &r->parked);
	while (atomic_read_acquire(&r->pause))
		cpu_relax();
	atomic_sub_return_release(1, &r->parked);
}

/* Every TD's share of the pairs. Under static PAMT a page's share is its own entry. */
static void take_shares(struct run *r)
{
	struct world_share *share = calloc(r->nr_tds + 1, sizeof(*share));
	struct cell *c = r->cell;
	unsigned int i;
	u64 sum = 0;

	c->td = calloc(r->nr_tds, sizeof(*c->td));
	if (!share || !c->td) {
		free(share);
		return;
	}
	for (i = 0; i < r->nr_tds; i++)
		share[i].tdr = r->td[i].host ? r->td[i].host->tdr : ~0ull;
	c->snapshot_bytes = world_shares(&r->world, share, r->nr_tds);
	c->lone_pct = world_lone_pct(&r->world);
	c->nr_tds = r->nr_tds;
	if (!r->c->ops->dynamic)
		c->snapshot_bytes = r->world.phys.size / PAGE_SIZE * 16;
	for (i = 0; i < r->nr_tds; i++) {
		c->td[i] = (struct cell_td){
			.td = i, .group = r->td[i].group, .pages = share[i].pages,
			.memory = r->wl->tds[r->td[i].group].memory,
			.pamt_bytes = share[i].bytes,
		};
		if (!r->c->ops->dynamic)
			c->td[i].pamt_bytes = c->td[i].memory / PAGE_SIZE * 16;
		sum += c->td[i].pamt_bytes;
	}
	c->kernel_bytes = r->c->ops->dynamic ? share[r->nr_tds].bytes : c->snapshot_bytes - sum;
	c->kernel_pages = share[r->nr_tds].pages;
	c->snapshot = true;
	free(share);
}

void run_snapshot(struct run_worker *w)
{
	struct run *r = w->run;
	u64 start;

	if (atomic_read(&r->snapshot_taken) || atomic_read(&r->stop) ||
	    atomic_cmpxchg(&r->snapshot_taken, 0, 1))
		return;
	start = clock_ns();
	WRITE_ONCE(r->paused_at, start);
	atomic_set(&r->pause, 1);
	while (atomic_read_acquire(&r->parked) != (int)r->c->workers - 1)
		cpu_relax();
	take_shares(r);
	WRITE_ONCE(r->paused_ns, clock_ns() - start);
	atomic_set_release(&r->pause, 0);
}

/* ----------------------------------------------------------------- workers */

static bool step_tasks(struct run_worker *w)
{
	struct run *r = w->run;
	struct pamt_stats *st = this_cpu_ptr(r->world.pamt.stats);
	unsigned int i, j, n = 0;
	bool progress = false;

	for (i = 0; i < r->nr_tds; i++) {
		struct run_td *td = &r->td[i];
		u64 vcpus = r->wl->tds[td->group].vcpus, before;

		before = st->wait_ns[0] + st->wait_ns[1];
		if (i % r->c->workers == w->id && td->state != TD_DONE)
			progress |= task_step_td(w, td);
		for (j = 0; j < vcpus; j++, n++)
			if (n % r->c->workers == w->id)
				progress |= task_step_vcpu(w, &td->vcpu[j]);
		before = st->wait_ns[0] + st->wait_ns[1] - before;
		if (unlikely(before))
			__atomic_fetch_add(&td->wait_ns, before, __ATOMIC_RELAXED);
		if (unlikely(atomic_read(&r->pause)))
			park(r);
	}
	return progress;
}

static void *worker_main(void *arg)
{
	struct run_worker *w = arg;
	struct run *r = w->run;
	char err[128] = "";
	size_t nr;
	const struct topology_cpu *cpu = topology_cpus(r->c->topology, &nr);
	char note[COUNTERS_NOTE_SIZE];

	self = w;
	shim_set_cpu(w->id);
	if (topology_bind(r->c->topology, cpu[w->id % nr].cpu, err, sizeof(err)))
		fprintf(stderr, "dpamt: worker %u is not bound: %s\n", w->id, err);
	counters_open(&w->counters, note);

	/* The gate: all workers are here, the last one starts the clock. */
	if (atomic_add_return(1, &r->gate) == (int)r->c->workers) {
		WRITE_ONCE(r->start, clock_ns());
		atomic_fetch_add(1, &r->gate);
	}
	while (atomic_read_acquire(&r->gate) <= (int)r->c->workers)
		cpu_relax();

	counters_start(&w->counters);
	while (atomic_read_acquire(&r->tds_left)) {
		if (unlikely(model_interrupted))
			atomic_set(&r->stop, 1);
		if (!step_tasks(w))
			cpu_relax();
	}
	counters_stop(&w->counters);
	counters_read(&w->counters, &w->values);
	counters_close(&w->counters);
	return NULL;
}

/* --------------------------------------------------------------- collection */

static void add_cpu(struct world_cpu *to, const struct world_cpu *from)
{
	to->pages += from->pages;
	to->pages_2m += from->pages_2m;
	to->flips += from->flips;
	to->demotes += from->demotes;
	to->tds += from->tds;
	to->retries += from->retries;
	to->pamt_ns += from->pamt_ns;
	to->gets += from->gets;
	to->puts += from->puts;
	to->stalls += from->stalls;
	to->busy_other += from->busy_other;
	to->seamcalls += from->seamcalls;
}

static void collect_worker(struct cell *c, struct run_worker *w, const struct run *r)
{
	unsigned int g, i;

	hist_merge(&c->fault, &w->fault);
	for (g = 0; g < r->wl->nr_tds; g++) {
		hist_merge(&c->group_fault[g], &w->group_fault[g]);
		c->mean[g].sum_ns += w->mean[g].sum_ns;
		c->mean[g].count += w->mean[g].count;
		c->mean[g].stalls += w->mean[g].stalls;
	}
	c->overruns += w->overruns;
	c->seamcalls += w->seamcalls;
	for (i = 0; i < NR_COUNTERS; i++) {
		c->counters.value[i] += w->values.value[i];
		c->counters.valid[i] = w->values.valid[i] && (w->id == 0 || c->counters.valid[i]);
	}
}

static void collect_pairs(struct cell *c, struct run *r)
{
	struct pair_event *all;
	size_t nr = 0, at = 0;
	unsigned int i;

	for (i = 0; i < c->workers; i++)
		nr += r->worker[i].nr_events;
	all = malloc((nr + 1) * sizeof(*all));
	if (!all)
		return;
	for (i = 0; i < c->workers; i++) {
		memcpy(all + at, r->worker[i].event, r->worker[i].nr_events * sizeof(*all));
		at += r->worker[i].nr_events;
	}
	cell_pairs(c, all, nr, r->world.preinstalled);
	free(all);
}

static void collect(struct cell *c, struct run *r, u64 end)
{
	struct world *w = &r->world;
	unsigned int i;

	c->elapsed_ns = end - r->start - r->paused_ns;
	c->cpu_ns = c->elapsed_ns * c->workers;
	for (i = 0; i < c->workers; i++) {
		collect_worker(c, &r->worker[i], r);
		add_cpu(&c->sum, &w->cpu[i]);
	}
	pamt_stats_sum(&w->pamt, &c->stats);
	collect_pairs(c, r);
	for (i = 0; i < c->nr_tds; i++)
		c->td[i].wait_ns = r->td[i].wait_ns;
	c->fixed_bytes = w->fixed_bytes;
	c->static_bytes = w->static_bytes;
	c->count_bytes = w->pamt.ops->users ? w->pamt.nr_regions * sizeof(atomic_t) : 0;
	c->strategy_bytes = w->pamt.strategy_bytes;
}

static bool shares_sum(const struct cell *c)
{
	u64 sum = c->kernel_bytes;
	unsigned int i;

	for (i = 0; i < c->nr_tds; i++)
		sum += c->td[i].pamt_bytes;
	return sum == c->snapshot_bytes;
}

/* In order: what the run itself met, then what the host at rest shows. */
static void judge(struct cell *c, struct run *r)
{
	char err[200];
	unsigned int i;

	for (i = 0; i < c->workers; i++) {
		if (r->worker[i].error) {
			c->status = r->worker[i].error == -EIO ? CELL_VIOLATION : CELL_FAILED;
			snprintf(c->reason, sizeof(c->reason), "%s", r->worker[i].error_text);
		}
	}
	for (i = 0; i < c->workers && c->status != CELL_VIOLATION; i++)
		if (r->worker[i].error == -EOPNOTSUPP)
			c->status = CELL_SKIPPED;
	if (world_audit(&r->world, err, sizeof(err))) {
		c->status = CELL_VIOLATION;
		snprintf(c->reason, sizeof(c->reason), "%s", err);
	} else if (c->snapshot && !shares_sum(c)) {
		c->status = CELL_VIOLATION;
		snprintf(c->reason, sizeof(c->reason),
			 "the TDs' shares do not sum to the host's pairs");
	} else if (model_interrupted && c->status == CELL_OK) {
		c->status = CELL_INTERRUPTED;
		snprintf(c->reason, sizeof(c->reason), "interrupted");
	}
}

/* ----------------------------------------------------------------- one cell */

u64 model_host_bytes(const struct workload *w)
{
	return ALIGN(w->host_memory, EMU_1G_SIZE);
}

static const char *unsupported(const struct model_config *c)
{
	unsigned int g;

	for (g = 0; g < c->workload->nr_tds; g++)
		if (c->workload->tds[g].huge && !c->ops->demote)
			return "pairs are installed for all regions, so the module refuses 2M mappings";
	return NULL;
}

static bool start_workers(struct run *r, struct cell *cell)
{
	unsigned int i, started;

	for (started = 0; started < r->c->workers; started++) {
		struct run_worker *w = &r->worker[started];

		w->run = r;
		w->id = started;
		w->rng = r->c->seed * 0x9E3779B97F4A7C15ull + started;
		if (pthread_create(&w->thread, NULL, worker_main, w))
			break;
	}
	if (started == r->c->workers)
		return true;
	/* The gate would never open: open it with nothing to do. */
	cell->status = CELL_FAILED;
	snprintf(cell->reason, sizeof(cell->reason), "no thread can be created for worker %u",
		 started);
	atomic_set(&r->tds_left, 0);
	atomic_set(&r->gate, (int)r->c->workers + 1);
	for (i = 0; i < started; i++)
		pthread_join(r->worker[i].thread, NULL);
	return false;
}

static void run_cell(struct run *r, struct cell *cell)
{
	struct cpu_times before, after;
	unsigned int i;
	bool timed;
	u64 end;

	timed = !environment_cpu_times(&before);
	if (!start_workers(r, cell))
		return;
	for (i = 0; i < cell->workers; i++)
		pthread_join(r->worker[i].thread, NULL);
	end = clock_ns();
	if (timed && !environment_cpu_times(&after))
		cell->steal_pct = environment_steal_pct(&before, &after);
	collect(cell, r, end);
	judge(cell, r);
}

/* Small PAMT areas are faulted in now, so that no SEAMCALL of the run pays for it. */
static void prefault(const struct world *w)
{
	if (w->phys.reserved <= 256UL << 20)
		madvise(w->phys.mem, w->phys.reserved, MADV_POPULATE_WRITE);
}

void model_run(const struct model_config *c, struct cell *cell)
{
	struct world_config wc = {
		.host_bytes = model_host_bytes(c->workload),
		.placement = (enum phys_placement)c->workload->placement.pick,
		.lone_pct = c->workload->placement.arg,
		.seed = c->seed,
		.ops = c->ops,
		.mem = c->mem,
		.clock_cost_ns = clock_cost_ns(),
	};
	struct run *r = calloc(1, sizeof(*r));
	const char *why = unsupported(c);
	unsigned int i;

	cell->workers = c->workers;
	if (why || !r) {
		cell->status = why ? CELL_SKIPPED : CELL_FAILED;
		snprintf(cell->reason, sizeof(cell->reason), "%s", why ? why : "out of memory");
		free(r);
		return;
	}
	r->c = c;
	r->wl = c->workload;
	r->cell = cell;
	wc.hooks = (struct world_hooks){
		.spend = hook_spend,
		.hold = hook_hold,
		.inject = hook_enter,
		.pair = hook_pair,
		.fault = hook_fault,
		.ctx = r,
	};
	shim_set_nr_cpus(c->workers);
	shim_clear_warnings();
	/* The PAMT areas start zeroed; nothing else of the arena is read before it is written. */
	madvise(c->mem, wc.host_bytes / 100 + (64UL << 20), MADV_DONTNEED);
	cell->status = CELL_FAILED;
	r->worker = calloc(c->workers, sizeof(*r->worker));
	if (!r->worker || tasks_init(r)) {
		snprintf(cell->reason, sizeof(cell->reason), "out of memory");
	} else if (!world_init(&r->world, &wc, cell->reason, sizeof(cell->reason))) {
		cell->status = CELL_OK;
		prefault(&r->world);
		run_cell(r, cell);
		world_exit(&r->world);
	}
	tasks_free(r);
	for (i = 0; r->worker && i < c->workers; i++)
		free(r->worker[i].event);
	free(r->worker);
	free(r);
}
