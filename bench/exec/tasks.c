// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stepping TDs: the VMM's life cycle and the callbacks behind a TD program.
 */
#include "exec/tasks.h"

#include <pthread.h>
#include <stdlib.h>

/* Pages of image or teardown per step: a worker's other vCPUs wait no longer than this. */
#define STEP_PAGES 32

/* -------------------------------------------------------------- callbacks */

static int env_touch(void *ctx, uint64_t gpa, int level)
{
	struct run_vcpu *v = ctx;

	(void)level;
	return host_touch(&v->td->host->vcpu[v->id], gpa, v->intended);
}

static int env_convert(void *ctx, uint64_t gpa, int to_private)
{
	struct run_vcpu *v = ctx;

	return host_convert(&v->td->host->vcpu[v->id], gpa, to_private);
}

/*
 * Barriers are used again by every life, so arrivals are counted for ever and
 * each arrival knows the count at which its own round is complete.
 */
static int env_barrier(void *ctx, uint32_t id, enum td_scope scope)
{
	struct run_vcpu *v = ctx;
	struct run *r = v->td->run;
	atomic_t *count = scope == TD_SCOPE_ALL ? &r->barrier[id] : &v->td->barrier[id];
	u64 members = scope == TD_SCOPE_ALL ? workload_barrier_vcpus(r->wl, id) :
					      r->wl->tds[v->td->group].vcpus;

	if (v->barrier_id != id + 1) {
		u64 ticket = atomic_fetch_add(1, count);

		v->barrier_id = id + 1;
		v->barrier_target = (ticket / members + 1) * members;
	}
	if ((u64)atomic_read_acquire(count) < v->barrier_target && !atomic_read(&r->stop))
		return -TD_EAGAIN;
	v->barrier_id = 0;
	return 0;
}

static int env_idle(void *ctx, uint64_t ns)
{
	struct run_vcpu *v = ctx;
	u64 now = shim_clock();

	if (!v->idle_until)
		v->idle_until = now + ns;
	if (now < v->idle_until && !atomic_read(&v->td->run->stop))
		return -TD_EAGAIN;
	v->idle_until = 0;
	return 0;
}

static int env_pace(void *ctx, uint64_t ns)
{
	struct run_vcpu *v = ctx;
	struct run *r = v->td->run;
	u64 now = shim_clock();

	if (v->pace_ns != ns) {
		v->pace_ns = ns;
		v->pace_next = now;
	}
	/* The world stood still for the snapshot: that time was nobody's fault. */
	if (now < v->pace_next + READ_ONCE(r->paused_ns))
		return -TD_EAGAIN;
	v->intended = v->pace_next + READ_ONCE(r->paused_ns);
	v->pace_next += ns;
	return 0;
}

static void env_phase(void *ctx, uint32_t n)
{
	struct run_vcpu *v = ctx;

	(void)n;
	v->pace_ns = 0;
	v->intended = 0;
}

static int env_stop(void *ctx)
{
	struct run_vcpu *v = ctx;
	struct run *r = v->td->run;

	return !atomic_read(&r->finite_left) || atomic_read(&r->stop);
}

static const struct td_env env_ops = {
	.touch = env_touch,
	.convert = env_convert,
	.barrier = env_barrier,
	.idle = env_idle,
	.pace = env_pace,
	.phase = env_phase,
	.stop = env_stop,
};

/* -------------------------------------------------------------- vCPU tasks */

static u64 life_seed(const struct run *r, const struct run_td *td, u32 life)
{
	return r->c->seed + td->index * 0x9E3779B97F4A7C15ull + life * 0xBF58476D1CE4E5B9ull;
}

static int begin_life(struct run_vcpu *v, u32 life)
{
	struct run *r = v->td->run;
	struct td_error err;
	int ret;

	free(v->program);
	v->program = NULL;
	ret = td_compile(r->wl, v->td->group, v->id, life_seed(r, v->td, life), &v->program, &err);
	if (!ret)
		ret = td_cpu_init(&v->cpu, v->program, td_program_size(v->program->count));
	v->life = life;
	v->ended = false;
	v->idle_until = v->pace_ns = v->intended = 0;
	v->barrier_id = 0;
	return ret;
}

static void end_life(struct run_vcpu *v)
{
	v->ended = true;
	atomic_sub_return_release(1, &v->td->vcpus_left);
}

bool task_step_vcpu(struct run_worker *w, struct run_vcpu *v)
{
	struct run *r = v->td->run;
	u32 life = smp_load_acquire(&v->td->running_life);
	struct td_env env = env_ops;
	enum td_step step;

	if (v->life != life) {
		int err = begin_life(v, life);

		if (err) {
			run_fail(w, err, "a TD program");
			end_life(v);
			return true;
		}
	}
	if (!life || v->ended)
		return false;
	if (atomic_read(&r->stop)) {
		end_life(v);
		return true;
	}
	env.ctx = v;
	step = td_step(&v->cpu, &env);
	if (step == TD_STEP_BLOCKED)
		return false;
	if (step == TD_STEP_ERROR)
		run_fail(w, v->cpu.error, "a guest access");
	if (step != TD_STEP_DONE)
		end_life(v);
	return true;
}

/* --------------------------------------------------------------- VMM tasks */

static bool forever(const struct run_td *td)
{
	return workload_forever(td->run->wl, td->group);
}

/* TDs that go down together do so after their last life; one life makes room for the next. */
static bool may_go_down(struct run_td *td)
{
	struct run *r = td->run;
	unsigned int g;

	if (r->wl->tds[td->group].shutdown.pick == WL_OWN || td->lives_left > 1 ||
	    atomic_read(&r->stop))
		return true;
	for (g = 0; g < r->wl->nr_tds; g++)
		if (r->wl->tds[g].shutdown.pick == WL_SHUTDOWN_TOGETHER &&
		    atomic_read_acquire(&r->running_down[g]))
			return false;
	return true;
}

static void start_running(struct run_td *td)
{
	td->state = TD_RUNNING;
	atomic_set(&td->vcpus_left, td->run->wl->tds[td->group].vcpus);
	smp_store_release(&td->running_life, td->running_life + 1);
}

static void finish_life(struct run_td *td)
{
	struct run *r = td->run;

	if (--td->lives_left && !atomic_read(&r->stop)) {
		td->state = TD_CREATING;
		return;
	}
	td->state = TD_DONE;
	atomic_sub_return_release(1, &r->tds_left);
}

/* The programs of this life are over. */
static void programs_over(struct run_td *td)
{
	struct run *r = td->run;

	td->state = TD_READY_DOWN;
	if (td->lives_left == 1) {
		atomic_sub_return_release(1, &r->running_down[td->group]);
		if (!forever(td))
			atomic_sub_return_release(1, &r->finite_left);
	}
}

static bool step_create(struct run_worker *w, struct run_td *td)
{
	const struct wl_td *g = &td->run->wl->tds[td->group];
	struct host_td_config c = {
		.index = td->index,
		.group = td->group,
		.vcpus = g->vcpus,
		.memory = g->memory,
		.image = g->image,
		.huge_start = workload_huge_start(g),
	};
	int err = host_td_create(&td->run->world, &c, &td->host);

	if (err == -EAGAIN && !atomic_read(&td->run->stop))
		return false;
	if (!err) {
		td->state = TD_BUILDING;
		return true;
	}
	if (err != -EAGAIN)
		run_fail(w, err, "creating a TD");
	/* There is no TD to tear down: straight to the end of its last life. */
	td->lives_left = 1;
	programs_over(td);
	finish_life(td);
	return true;
}

static bool step_teardown(struct run_worker *w, struct run_td *td)
{
	int err = host_td_destroy(&td->host, STEP_PAGES);

	if (err == -EAGAIN)
		return true;
	if (err)
		run_fail(w, err, "tearing a TD down");
	finish_life(td);
	return true;
}

static bool step_td(struct run_worker *w, struct run_td *td)
{
	struct run *r = td->run;
	int err;

	switch (td->state) {
	case TD_WAITING:
		if (shim_clock() < r->start + td->start_at && !atomic_read(&r->stop))
			return false;
		td->state = TD_CREATING;
		return true;
	case TD_CREATING:
		return step_create(w, td);
	case TD_BUILDING:
		err = host_td_build(td->host, STEP_PAGES);
		if (err && err != -EAGAIN)
			run_fail(w, err, "adding the image");
		if (!err || atomic_read(&r->stop))
			start_running(td);
		return true;
	case TD_RUNNING:
		if (atomic_read_acquire(&td->vcpus_left))
			return false;
		programs_over(td);
		return true;
	case TD_READY_DOWN:
		if (!may_go_down(td))
			return false;
		run_snapshot(w);
		td->state = TD_TEARDOWN_STATE;
		return true;
	case TD_TEARDOWN_STATE:
		return step_teardown(w, td);
	case TD_DONE:
		break;
	}
	return false;
}

bool task_step_td(struct run_worker *w, struct run_td *td)
{
	return step_td(w, td);
}

/* ------------------------------------------------------------------- setup */

static int init_td(struct run *r, struct run_td *td, unsigned int index, unsigned int group,
		   u64 nth)
{
	const struct wl_td *g = &r->wl->tds[group];
	unsigned int i;

	td->run = r;
	td->index = index;
	td->group = group;
	td->lives_left = g->lives;
	td->start_at = g->start.pick == WL_STAGGERED ? nth * g->start.arg : 0;
	td->vcpu = calloc(g->vcpus, sizeof(*td->vcpu));
	if (!td->vcpu)
		return -ENOMEM;
	for (i = 0; i < g->vcpus; i++) {
		td->vcpu[i].td = td;
		td->vcpu[i].id = i;
	}
	r->nr_vcpus += g->vcpus;
	return 0;
}

int tasks_init(struct run *r)
{
	unsigned int g, i = 0;
	u64 n;

	for (g = 0; g < r->wl->nr_tds; g++)
		r->nr_tds += r->wl->tds[g].count;
	r->td = calloc(r->nr_tds, sizeof(*r->td));
	if (!r->td)
		return -ENOMEM;
	for (g = 0; g < r->wl->nr_tds; g++) {
		for (n = 0; n < r->wl->tds[g].count; n++, i++)
			if (init_td(r, &r->td[i], i, g, n))
				return -ENOMEM;
		atomic_set(&r->running_down[g], r->wl->tds[g].count);
		if (!workload_forever(r->wl, g))
			atomic_add(r->wl->tds[g].count, &r->finite_left);
	}
	atomic_set(&r->tds_left, r->nr_tds);
	return 0;
}

void tasks_free(struct run *r)
{
	unsigned int i, j;

	for (i = 0; r->td && i < r->nr_tds; i++) {
		for (j = 0; r->td[i].vcpu && j < r->wl->tds[r->td[i].group].vcpus; j++)
			free(r->td[i].vcpu[j].program);
		free(r->td[i].vcpu);
	}
	free(r->td);
	r->td = NULL;
}
