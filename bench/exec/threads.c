// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers of the model executor: pinning, the start gate, deadlines, the loop
 * over tasks, the snapshot, and the collection of a cell's figures.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "exec/leaf_cost.h"
#include "exec/tasks.h"
#include "emu/module/abi.h"
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
	run_take_shares(r);
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

/* ----------------------------------------------------------------- one cell */

u64 model_host_bytes(const struct workload *w)
{
	return ALIGN(w->host_memory, EMU_1G_SIZE);
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
	run_collect(cell, r, end);
	run_judge(cell, r);
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
	const char *why = run_unsupported(c);
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
