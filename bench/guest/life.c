// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TD of four megabytes from its making to the end of its programs, for verbs that
 * want to see each error. It faults in two orders and converts pages in between, so
 * that every leaf of the S-EPT is called.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest.h"
#include "guest/life.h"
#include "measure/clock.h"
#include "td/compile.h"

static const char text[] =
	"[global]\ntitle = One TD\nquestion = Does all come back?\nasked_by = the stress tests\n"
	"primary = tds_per_sec\nplacement = buddy\n"
	"[td one]\ncount = 1\nvcpus = 2\nmemory = 4M\nimage = 256K\n"
	"[phase fault]\ntd = one\ndo = fault\norder = random\nshare = 20%\n"
	"[phase convert]\ntd = one\ndo = convert\npages = 4\nstride = 64K\nflips = 5\n"
	"[phase more]\ntd = one\ndo = fault\norder = interleave\nshare = 20%\n";

static unsigned int life_cpu, life_step;

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(guest_cpus[cpu % guest_nr_cpus], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void life_pin(unsigned int cpu, unsigned int step)
{
	life_cpu = cpu;
	life_step = step;
	pin(cpu);
}

struct workload *life_workload(void)
{
	struct workload *w = NULL;
	struct td_error err;

	if (workload_parse("one", text, strlen(text), &w, &err))
		guest_say("%s", err.text);
	return w;
}

int life_open(struct kvm_host *host)
{
	char err[KVM_ERROR_MAX];
	int ret = kvm_host_open(host, err, sizeof(err));

	if (ret) {
		guest_say("%s", err);
		return ret;
	}
	kvm_kick_init();
	host->all->magic = TD_MAILBOX_MAGIC;
	host->all->version = TD_IMAGE_VERSION;
	return 0;
}

int life_make(const struct kvm_host *host, const struct workload *w, uint64_t seed,
	      struct kvm_td **td, char *err, size_t size)
{
	struct td_program *program[LIFE_VCPUS] = { NULL };
	struct kvm_td_config c = {
		.memory = w->tds[0].memory, .image = w->tds[0].image, .vcpus = LIFE_VCPUS,
		.program = (const struct td_program *const *)program,
	};
	struct td_error wrong;
	int ret = 0;

	for (unsigned int i = 0; i < LIFE_VCPUS && !ret; i++)
		ret = td_compile(w, 0, i, seed, &program[i], &wrong);
	if (!ret)
		ret = kvm_td_create(host, &c, td, err, size);
	for (unsigned int i = 0; i < LIFE_VCPUS; i++)
		free(program[i]);
	return ret;
}

struct runner {
	struct kvm_vcpu *v;
	int ret, out;
};

static void *run_vcpu(void *arg)
{
	struct runner *r = arg;

	pin(life_cpu + r->v->id * life_step);
	r->ret = kvm_vcpu_run(r->v);
	__atomic_store_n(&r->out, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* How many of @nr have come out; the first error of theirs goes to *@ret. */
static unsigned int count_out(const struct runner *r, unsigned int nr, int *ret)
{
	unsigned int out = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (!__atomic_load_n(&r[i].out, __ATOMIC_ACQUIRE))
			continue;
		out++;
		if (r[i].ret && !*ret)
			*ret = r[i].ret;
	}
	return out;
}

int life_run(struct kvm_td *td, const volatile int *stop)
{
	struct runner r[LIFE_VCPUS] = { 0 };
	uint64_t since = clock_ns();
	unsigned int n = 0, i;
	int ret = 0;

	for (; n < LIFE_VCPUS && !ret; n += !ret) {
		r[n].v = &td->vcpu[n];
		ret = -pthread_create(&td->vcpu[n].thread, NULL, run_vcpu, &r[n]);
	}
	while (count_out(r, n, &ret) < n) {
		if (!ret && clock_ns() - since > LIFE_NS)
			ret = -ETIMEDOUT;
		td->leave = ret || (stop && *stop);
		for (i = 0; i < n && td->leave; i++)
			if (!__atomic_load_n(&r[i].out, __ATOMIC_ACQUIRE))
				kvm_vcpu_kick(&td->vcpu[i]);
		usleep(1000);
	}
	for (i = 0; i < n; i++)
		pthread_join(td->vcpu[i].thread, NULL);
	for (i = 0; i < LIFE_VCPUS && !ret; i++)
		if (td->vcpu_box[i].state == TD_VCPU_FAILED)
			ret = -EPROTO;
	return ret;
}
