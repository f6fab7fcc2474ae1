// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cell on KVM. Per TD a thread that is its VMM (create, run, tear down, lives), per
 * vCPU a thread inside KVM_RUN until its program is over, and the caller, which watches
 * (kvm_watch.c). See kvm_cell.h for who may touch what.
 */
#define _GNU_SOURCE
#include "exec/kvm_cell.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "measure/clock.h"
#include "measure/environment.h"
#include "td/compile.h"

#define KEYID_WAIT_NS 10000000000ULL
#define STACK_BYTES (256 << 10)

volatile int kvm_interrupted;

void kvm_stop_run(struct kvm_cell *r, enum cell_status status, const char *reason)
{
	pthread_mutex_lock(&r->lock);
	if (r->cell->status == CELL_OK) {
		r->cell->status = status;
		snprintf(r->cell->reason, sizeof(r->cell->reason), "%s", reason);
	}
	r->stop = true;
	WRITE_ONCE(r->host.all->stop, 1);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void kvm_fail_run(struct kvm_cell *r, const char *format, ...)
{
	char text[sizeof(r->cell->reason)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	kvm_stop_run(r, CELL_FAILED, text);
}

void kvm_wait_change(struct kvm_cell *r, u64 ns)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ns % 1000000000;
	ts.tv_sec += ns / 1000000000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&r->changed, &r->lock, &ts);
}

/* ------------------------------------------------------------------- vCPUs */

static void *vcpu_main(void *arg)
{
	struct task_vcpu *tv = arg;
	struct task *t = tv->task;

	int ret;

	do {
		kvm_gate_enter(t->r);
		ret = kvm_vcpu_run(tv->v);
		kvm_gate_leave(t->r);
	} while (ret == -ERESTART);
	if (ret && ret != -EINTR)
		kvm_fail_run(t->r, "TD %u: %s", t->index, t->td->error);
	pthread_mutex_lock(&t->r->lock);
	if (!--t->running)
		pthread_cond_broadcast(&t->r->changed);
	pthread_mutex_unlock(&t->r->lock);
	__atomic_store_n(&tv->out, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool start_vcpu(struct task *t, unsigned int i)
{
	struct task_vcpu *tv = &t->vcpu[i];
	pthread_attr_t attr;
	cpu_set_t set;
	int err;

	*tv = (struct task_vcpu){ .task = t, .v = &t->td->vcpu[i] };
	tv->cpu = t->r->c->cpu[(t->first_cpu + i) % t->r->c->nr_cpus];
	CPU_ZERO(&set);
	CPU_SET(tv->cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	err = pthread_create(&tv->v->thread, &attr, vcpu_main, tv);
	pthread_attr_destroy(&attr);
	if (err)
		kvm_fail_run(t->r, "TD %u: no thread on CPU %u for vCPU %u: %s", t->index, tv->cpu, i,
			     strerror(err));
	pthread_mutex_lock(&t->r->lock);
	t->kickable += !err;
	pthread_mutex_unlock(&t->r->lock);
	return !err;
}

static void stop_vcpus(struct task *t, unsigned int started)
{
	t->td->leave = true;
	pthread_mutex_lock(&t->r->lock);
	t->kickable = 0;
	pthread_mutex_unlock(&t->r->lock);
	for (unsigned int i = 0; i < started; i++) {
		while (!__atomic_load_n(&t->vcpu[i].out, __ATOMIC_ACQUIRE)) {
			kvm_vcpu_kick(t->vcpu[i].v);
			usleep(200);
		}
		pthread_join(t->vcpu[i].v->thread, NULL);
	}
}

/* ---------------------------------------------------------- life of one TD */

static u64 life_seed(const struct task *t)
{
	return t->r->c->seed + t->index * 0x9E3779B97F4A7C15ull + t->life * 0xBF58476D1CE4E5B9ull;
}

static void free_programs(struct td_program **p, unsigned int nr)
{
	for (unsigned int i = 0; p && i < nr; i++)
		free(p[i]);
	free(p);
}

static struct td_program **compile(struct task *t)
{
	const struct workload *w = t->r->wl;
	unsigned int vcpus = w->tds[t->group].vcpus;
	struct td_program **p = calloc(vcpus, sizeof(*p));
	struct td_error err;

	for (unsigned int i = 0; p && i < vcpus; i++) {
		if (td_compile(w, t->group, i, life_seed(t), &p[i], &err)) {
			kvm_fail_run(t->r, "%s", err.text);
			free_programs(p, i);
			return NULL;
		}
	}
	return p;
}

/*
 * KeyIDs come back when other TDs go, and a little later than they: wait for one as
 * long as they do. The TD that exists then is counted in r->alive.
 */
static int create(struct task *t, const struct kvm_td_config *c, char *err, size_t size)
{
	struct kvm_cell *r = t->r;
	u64 patience = r->c->keyid_wait_ns ? r->c->keyid_wait_ns : KEYID_WAIT_NS;
	u64 since = clock_ns();
	unsigned int gone;
	bool wait = true;
	int ret;

	pthread_mutex_lock(&r->lock);
	gone = r->gone;
	for (;;) {
		r->making++;
		pthread_mutex_unlock(&r->lock);
		kvm_gate_enter(r);
		ret = kvm_td_create(&r->host, c, &t->td, err, size);
		kvm_gate_leave(r);
		pthread_mutex_lock(&r->lock);
		r->making--;
		r->alive += !ret;
		if (ret != -ENOSPC || !wait)
			break;
		if (gone != r->gone) {
			gone = r->gone;
			since = clock_ns();
		}
		wait = (r->alive || r->making || gone) && !r->stop &&
		       clock_ns() < since + patience;
		if (wait)
			kvm_wait_change(r, 20000000);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static bool make_td(struct task *t)
{
	const struct wl_td *g = &t->r->wl->tds[t->group];
	struct td_program **p = compile(t);
	struct kvm_td_config c = {
		.number = t->index + 1,
		.pause = &t->r->gate.closed,
		.memory = g->memory,
		.image = g->image,
		.vcpus = g->vcpus,
		.program = (const struct td_program *const *)p,
	};
	char err[KVM_ERROR_MAX];
	int ret;

	if (!p)
		return false;
	ret = create(t, &c, err, sizeof(err));
	free_programs(p, g->vcpus);
	if (ret) {
		kvm_fail_run(t->r, "TD %u: %s", t->index, err);
		return false;
	}
	pthread_mutex_lock(&t->r->lock);
	t->r->cell->sum.tds++;
	t->r->cell->sum.pages += (g->image + t->td->image.size) / TD_PAGE_4K;
	pthread_mutex_unlock(&t->r->lock);
	return true;
}

/* What the guest measured. A histogram has the bins of measure/hist.h. */
static void add_box(struct hist *h, const struct vcpu_box *box)
{
	_Static_assert(HIST_NR_BINS == TD_HIST_BINS && HIST_SUB_BITS == TD_HIST_SUB_BITS,
		       "the guest's histogram is ours");
	if (!box->hist_count)
		return;
	for (unsigned int i = 0; i < TD_HIST_BINS; i++)
		h->bins[i] += box->bins[i];
	h->sum += box->hist_sum;
	if (!h->count || box->hist_min < h->min)
		h->min = box->hist_min;
	if (box->hist_max > h->max)
		h->max = box->hist_max;
	h->count += box->hist_count;
}

static void collect_td(struct task *t)
{
	struct cell *c = t->r->cell;
	const struct vcpu_box *failed = NULL;
	u64 start = ~0ull, end = 0, khz = 0;

	pthread_mutex_lock(&t->r->lock);
	for (unsigned int i = 0; i < t->td->vcpus; i++) {
		const struct vcpu_box *box = &t->td->vcpu_box[i];

		if (box->state == TD_VCPU_FAILED)
			failed = box;
		start = min(start, (u64)box->start_tsc);
		end = max(end, (u64)box->end_tsc);
		khz = box->tsc_khz;
		add_box(&c->fault, box);
		add_box(&c->group_fault[t->group], box);
		c->mean[t->group].sum_ns += box->hist_sum;
		c->mean[t->group].count += box->hist_count;
		c->sum.pages += box->accepts;
		c->sum.flips += box->conversions / 2;
	}
	if (khz && end > start)
		c->guest_ns = max(c->guest_ns, (u64)((double)(end - start) * 1e6 / khz));
	pthread_mutex_unlock(&t->r->lock);
	if (failed)
		kvm_fail_run(t->r, "TD %u: the program of vCPU %u ended with error %d", t->index,
			 (unsigned int)(failed - t->td->vcpu_box), failed->error);
}

static void wait_for_programs(struct task *t)
{
	struct kvm_cell *r = t->r;

	pthread_mutex_lock(&r->lock);
	t->shown = t->td;
	while (t->running && !r->stop)
		kvm_wait_change(r, 1000000000);
	t->shown = NULL;
	pthread_mutex_unlock(&r->lock);
}

static bool may_go_down(const struct task *t)
{
	const struct kvm_cell *r = t->r;

	/* As in the other executors: together after the last life only. */
	if (r->wl->tds[t->group].shutdown.pick == WL_OWN || t->lives_left > 1 || r->stop)
		return true;
	for (unsigned int g = 0; g < r->wl->nr_tds; g++)
		if (r->wl->tds[g].shutdown.pick == WL_SHUTDOWN_TOGETHER && r->running_down[g])
			return false;
	return true;
}

/* The programs of this life are over: tell, and wait for those that go down together. */
static void programs_over(struct task *t, bool made)
{
	struct kvm_cell *r = t->r;

	pthread_mutex_lock(&r->lock);
	if (t->lives_left == 1) {
		r->running_down[t->group]--;
		if (!workload_forever(r->wl, t->group) && !--r->finite_left)
			WRITE_ONCE(r->host.all->stop, 1);
		pthread_cond_broadcast(&r->changed);
	}
	while (!may_go_down(t))
		kvm_wait_change(r, 1000000000);
	pthread_mutex_unlock(&r->lock);
	if (made)
		kvm_shot(r);
}

static void live(struct task *t)
{
	unsigned int vcpus = t->r->wl->tds[t->group].vcpus, started = 0;
	bool made = !READ_ONCE(t->r->stop) && make_td(t);

	t->life++;
	t->running = vcpus;
	while (made && started < vcpus && start_vcpu(t, started))
		started++;
	if (made && started == vcpus)
		wait_for_programs(t);
	if (!made || READ_ONCE(t->r->stop))
		t->lives_left = 1;
	programs_over(t, made);
	t->lives_left--;
	if (!made)
		return;
	stop_vcpus(t, started);
	collect_td(t);
	kvm_gate_enter(t->r);
	kvm_td_free(t->td);
	t->td = NULL;
	kvm_gate_leave(t->r);
	pthread_mutex_lock(&t->r->lock);
	t->r->alive--;
	t->r->gone++;
	pthread_cond_broadcast(&t->r->changed);
	pthread_mutex_unlock(&t->r->lock);
}

/*
 * The VMM stays on one CPU, that of the first vCPU. It must: in Linux 7.3 a thread that
 * migrates inside KVM_TDX_INIT_VCPU, between TDH.VP.INIT and TDH.VP.WR, gets
 * VCPU_ASSOCIATED, because tdx_flush_vp() takes the vCPU for uninitialised still.
 */
static void pin_vmm(const struct task *t)
{
	const struct kvm_config *c = t->r->c;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(c->cpu[t->first_cpu % c->nr_cpus], &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *task_main(void *arg)
{
	struct task *t = arg;
	struct kvm_cell *r = t->r;
	u64 now;

	pin_vmm(t);
	pthread_mutex_lock(&r->lock);
	while (!r->stop && (now = clock_ns()) < r->start + t->start_at)
		kvm_wait_change(r, r->start + t->start_at - now);
	pthread_mutex_unlock(&r->lock);
	while (t->lives_left)
		live(t);
	pthread_mutex_lock(&r->lock);
	r->left--;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ------------------------------------------------------------------- setup */

static void init_world(struct kvm_cell *r)
{
	struct td_box *all = r->host.all;

	all->magic = TD_MAILBOX_MAGIC;
	all->version = TD_IMAGE_VERSION;
	for (unsigned int i = 0; i < r->wl->nr_phases; i++)
		all->barrier[i].members = workload_barrier_vcpus(r->wl, i);
}

static int init_tasks(struct kvm_cell *r)
{
	unsigned int g, i = 0, cpu = 0;

	for (g = 0; g < r->wl->nr_tds; g++)
		r->nr_tasks += r->wl->tds[g].count;
	r->task = calloc(r->nr_tasks, sizeof(*r->task));
	if (!r->task)
		return -ENOMEM;
	for (g = 0; g < r->wl->nr_tds; g++) {
		const struct wl_td *td = &r->wl->tds[g];

		for (u64 n = 0; n < td->count; n++, i++) {
			r->task[i] = (struct task){
				.r = r, .index = i, .group = g, .lives_left = td->lives,
				.start_at = td->start.pick == WL_STAGGERED ? n * td->start.arg : 0,
				.vcpu = calloc(td->vcpus, sizeof(struct task_vcpu)),
				.first_cpu = cpu,
			};
			cpu += td->vcpus;
			if (!r->task[i].vcpu)
				return -ENOMEM;
		}
		r->running_down[g] = td->count;
		if (!workload_forever(r->wl, g))
			r->finite_left += td->count;
	}
	return 0;
}

static void free_tasks(struct kvm_cell *r)
{
	for (unsigned int i = 0; r->task && i < r->nr_tasks; i++)
		free(r->task[i].vcpu);
	free(r->task);
	free(r->event);
}

/* A few files per TD and vCPU. */
static void raise_files(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static void run_tasks(struct kvm_cell *r)
{
	unsigned int started;

	r->left = r->nr_tasks;
	r->start = clock_ns();
	r->pairs = kvm_pairs(r->c);
	for (started = 0; started < r->nr_tasks; started++) {
		int err = pthread_create(&r->task[started].thread, NULL, task_main,
					 &r->task[started]);

		if (!err)
			continue;
		kvm_fail_run(r, "no thread for TD %u: %s", started, strerror(err));
		pthread_mutex_lock(&r->lock);
		r->left -= r->nr_tasks - started;
		pthread_mutex_unlock(&r->lock);
		break;
	}
	kvm_watch(r);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(r->task[i].thread, NULL);
}

static const char *unsupported(const struct workload *w)
{
	for (unsigned int g = 0; g < w->nr_tds; g++)
		if (w->tds[g].huge)
			return "KVM maps a TD's memory in 4K pages only: huge runs on model alone";
	return NULL;
}

static void run_cell(struct kvm_cell *r)
{
	struct cell *cell = r->cell;
	struct cpu_times before_times, after_times;
	struct kvm_stats *before = calloc(1, sizeof(*before));
	bool timed = !environment_cpu_times(&before_times);

	if (!before || init_tasks(r)) {
		cell->status = CELL_FAILED;
		snprintf(cell->reason, sizeof(cell->reason), "out of memory");
		free(before);
		return;
	}
	init_world(r);
	kvm_stats_begin(r->c, before);
	kvm_audit(r->c, before, cell, "before the cell");
	/* figures of a host that is broken already are none */
	if (cell->status != CELL_OK) {
		free(before);
		return;
	}
	run_tasks(r);
	cell->elapsed_ns = clock_ns() - r->start - r->paused_ns;
	cell->cpu_ns = cell->elapsed_ns * r->c->nr_cpus;
	if (timed && !environment_cpu_times(&after_times))
		cell->steal_pct = environment_steal_pct(&before_times, &after_times);
	kvm_audit(r->c, before, cell, "after the cell");
	kvm_stats_end(r->c, before, cell);
	cell_pairs(cell, r->event, r->nr_events, before->pairs);
	free(before);
}

int kvm_probe(char *err, size_t size)
{
	struct kvm_host host;
	int ret = kvm_host_open(&host, err, size);

	if (!ret)
		kvm_host_close(&host);
	return ret;
}

void kvm_run(const struct kvm_config *c, struct cell *cell)
{
	struct kvm_cell r = { .c = c, .wl = c->workload, .cell = cell };
	const char *why = unsupported(c->workload);

	cell->workers = c->nr_cpus;
	if (why) {
		cell->status = CELL_SKIPPED;
		snprintf(cell->reason, sizeof(cell->reason), "%s", why);
		return;
	}
	cell->status = CELL_FAILED;
	if (kvm_host_open(&r.host, cell->reason, sizeof(cell->reason)))
		return;
	if (!kvm_strategy_set(c, cell)) {
		cell->status = CELL_OK;
		pthread_mutex_init(&r.lock, NULL);
		pthread_cond_init(&r.changed, NULL);
		raise_files();
		kvm_kick_init();
		run_cell(&r);
		free_tasks(&r);
	}
	kvm_host_close(&r.host);
}
