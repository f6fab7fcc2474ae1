// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine facts: the clock against CLOCK_MONOTONIC_RAW, topology and
 * binding against the kernel's affinity calls, counters against a known amount
 * of work where the machine has them and a note where it has not, and the
 * environment's JSON against /proc.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "measure/clock.h"
#include "measure/counters.h"
#include "measure/environment.h"
#include "measure/topology.h"
#include "tests/test.h"

static void clock_fallback(void)
{
	uint64_t a, b;

	/* Before clock_init() the clock is the system call, not garbage. */
	CHECK_EQ(clock_cost_ns(), 0);
	a = clock_raw_ns();
	b = clock_ns();
	CHECK(b >= a && b - a < 1000000000u);
	CHECK(strstr(clock_name(), "clock_gettime") != NULL);
}

static void clock_calibration(void)
{
	bool tsc = clock_init();
	uint64_t mult = clock_state.mult;

	CHECK(clock_init() == tsc);
	CHECK_EQ(clock_state.mult, mult);
	CHECK(clock_cost_ns() >= 1 && clock_cost_ns() < 10000);
	CHECK(!strncmp(clock_name(), tsc ? "tsc " : "clock_gettime", 4));
	if (!tsc) {
		CHECK_EQ(mult, 0);
		return;
	}
	CHECK(clock_state.hz > 100000000u && clock_state.hz < 20000000000u);
	CHECK(clock_state.error_ppm <= 200);
	/* mult and hz say the same: a second of ticks is a second, to 1 us. */
	CHECK(llabs((long long)clock_ticks_to_ns(clock_state.hz) - 1000000000) < 1000);
	/* A year of ticks does not overflow. */
	CHECK(llabs((long long)(clock_ticks_to_ns(clock_state.hz * 31536000u) / 1000000000u) -
		    31536000) < 2);
}

/* Over 50 ms both clocks agree within 0.2%, the best of three (a preemption between reads). */
static void clock_rate(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		uint64_t raw = clock_raw_ns(), fast = clock_ns(), diff;

		usleep(50000);
		raw = clock_raw_ns() - raw;
		fast = clock_ns() - fast;
		diff = raw > fast ? raw - fast : fast - raw;
		if (diff * 1000000 / raw < best)
			best = diff * 1000000 / raw;
	}
	CHECK(best < 2000);
}

static void clock_forward(void)
{
	uint64_t last = clock_ns();
	unsigned int back = 0;

	for (int i = 0; i < 100000; i++) {
		uint64_t now = clock_ns();

		back += now < last;
		last = now;
	}
	CHECK_EQ(back, 0);
}

static json_int_t integer_at(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	CHECK(json_is_integer(value));
	return json_integer_value(value);
}

static void topology_lists(void)
{
	struct topology *topo = NULL;
	const struct topology_cpu *cpus;
	cpu_set_t allowed, seen;
	char err[256], list[256];
	unsigned int siblings = 0, disorder = 0;
	size_t nr;

	CHECK_EQ(topology_open(&topo, err, sizeof(err)), 0);
	cpus = topology_cpus(topo, &nr);
	CHECK_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	CHECK_EQ(nr, CPU_COUNT(&allowed));
	CHECK(topology_nr_present(topo) >= nr);
	CPU_ZERO(&seen);
	for (size_t i = 0; i < nr; i++) {
		CHECK(CPU_ISSET(cpus[i].cpu, &allowed));
		CHECK(!CPU_ISSET(cpus[i].cpu, &seen));
		CPU_SET(cpus[i].cpu, &seen);
		siblings += cpus[i].thread > 0;
		/* Once siblings begin, no first PU follows. */
		disorder += i && cpus[i].thread < cpus[i - 1].thread;
	}
	CHECK_EQ(disorder, 0);
	CHECK(siblings < nr);
	CHECK(topology_cpu_list(topo, list, sizeof(list))[0] != 0);
	topology_free(topo);
	topology_free(NULL);
}

static void topology_mask(void)
{
	struct topology *topo = NULL;
	const struct topology_cpu *cpus;
	cpu_set_t allowed, one;
	char err[256], list[64], want[64];
	int last = -1;
	size_t nr;

	CHECK_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &allowed))
			last = i;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	CHECK_EQ(topology_open(&topo, err, sizeof(err)), 0);
	cpus = topology_cpus(topo, &nr);
	CHECK_EQ(nr, 1);
	CHECK_EQ(cpus[0].cpu, last);
	CHECK_EQ(cpus[0].thread, 0);
	snprintf(want, sizeof(want), "%d", last);
	CHECK_STR(topology_cpu_list(topo, list, sizeof(list)), want);
	CHECK_EQ(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
	topology_free(topo);
}

/* Two packages of two cores of two threads: first all first threads, then the siblings. */
static void topology_siblings(void)
{
	struct topology *topo = NULL;
	const struct topology_cpu *cpus;
	json_t *json;
	char err[256];
	size_t nr;

	setenv("HWLOC_SYNTHETIC", "pack:2 core:2 pu:2", 1);
	CHECK_EQ(topology_open(&topo, err, sizeof(err)), 0);
	unsetenv("HWLOC_SYNTHETIC");
	cpus = topology_cpus(topo, &nr);
	CHECK_EQ(nr, 8);
	for (size_t i = 0; i < nr; i++) {
		CHECK_EQ(cpus[i].thread, i / 4);
		CHECK_EQ(cpus[i].core, i % 4);
		CHECK_EQ(cpus[i].package, i % 4 / 2);
		CHECK_EQ(cpus[i].cpu, i % 4 * 2 + i / 4);
	}
	json = topology_json(topo);
	CHECK_EQ(integer_at(json, "sockets"), 2);
	CHECK_EQ(integer_at(json, "cores"), 4);
	CHECK_EQ(integer_at(json, "threads_per_core"), 2);
	CHECK(json_is_true(json_object_get(json, "smt")));
	json_decref(json);
	topology_free(topo);
}

struct bound {
	const struct topology *topo;
	unsigned int cpu;
	int ret, ran_on;
	char err[256];
};

static void *bind_thread(void *arg)
{
	struct bound *b = arg;

	b->ret = topology_bind(b->topo, b->cpu, b->err, sizeof(b->err));
	sched_yield();
	b->ran_on = sched_getcpu();
	return NULL;
}

static void topology_binding(void)
{
	const struct topology_cpu *cpus;
	struct topology *topo = NULL;
	cpu_set_t before, after;
	struct bound b = { 0 };
	char err[256];
	size_t nr;

	CHECK_EQ(topology_open(&topo, err, sizeof(err)), 0);
	cpus = topology_cpus(topo, &nr);
	CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
	for (size_t i = 0; i < nr; i++) {
		pthread_t thread;

		b = (struct bound){ .topo = topo, .cpu = cpus[i].cpu };
		CHECK_EQ(pthread_create(&thread, NULL, bind_thread, &b), 0);
		pthread_join(thread, NULL);
		CHECK_EQ(b.ret, 0);
		CHECK_EQ(b.ran_on, cpus[i].cpu);
	}
	/* Only the thread that asked is bound. */
	CHECK_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
	CHECK(CPU_EQUAL(&before, &after));
	CHECK(topology_bind(topo, 100000, err, sizeof(err)) < 0);
	CHECK(strstr(err, "CPU 100000") != NULL);
	topology_free(topo);
}

static void topology_document(void)
{
	struct topology *topo = NULL;
	json_t *json;
	char err[256];
	size_t nr;

	CHECK_EQ(topology_open(&topo, err, sizeof(err)), 0);
	topology_cpus(topo, &nr);
	json = topology_json(topo);
	CHECK(json_is_object(json));
	CHECK(integer_at(json, "sockets") >= 1);
	CHECK(integer_at(json, "cores") >= 1);
	CHECK_EQ(integer_at(json, "cpus_usable"), nr);
	CHECK_EQ(integer_at(json, "cpus_present"), sysconf(_SC_NPROCESSORS_ONLN));
	CHECK_EQ(json_array_size(json_object_get(json, "cpus")), nr);
	CHECK(json_is_array(json_object_get(json, "caches")));
	CHECK(json_is_string(json_object_get(json, "model")));
	CHECK_EQ(json_is_true(json_object_get(json, "smt")),
		 integer_at(json, "threads_per_core") > 1);
	json_decref(json);
	topology_free(topo);
}

static void work(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		__asm__ volatile("nop");
}

static void counters_work(void)
{
	char note[COUNTERS_NOTE_SIZE];
	struct counter_values v;
	struct counters c;
	int ret = counters_open(&c, note);

	CHECK(!strncmp(note, "hardware counters: ", 19));
	CHECK(!strchr(note, '\n'));
	if (ret) {
		printf("test_measure: note: %s\n", note);
		CHECK(strstr(note, "none (") != NULL && strchr(note, ')') != NULL);
		counters_start(&c);
		counters_stop(&c);
		CHECK(counters_read(&c, &v) < 0);
		for (int i = 0; i < NR_COUNTERS; i++)
			CHECK(!v.valid[i]);
		counters_close(&c);
		return;
	}
	work(100000);	/* not counted */
	counters_start(&c);
	work(1000000);
	counters_stop(&c);
	CHECK_EQ(counters_read(&c, &v), 0);
	if (v.valid[COUNTER_INSTRUCTIONS]) {
		CHECK(v.value[COUNTER_INSTRUCTIONS] >= 1000000);
		CHECK(v.value[COUNTER_INSTRUCTIONS] < 20000000);
	}
	counters_reset(&c);
	CHECK_EQ(counters_read(&c, &v), 0);
	CHECK(v.value[COUNTER_INSTRUCTIONS] < 1000000);
	counters_close(&c);
	counters_close(&c);
}

static void steal_share(void)
{
	struct cpu_times a = { 0 }, b = { .total_ns = 1000, .busy_ns = 500, .steal_ns = 250 }, now;

	CHECK(environment_steal_pct(&a, &b) == 25.0);
	CHECK(environment_steal_pct(&b, &a) == 0);
	CHECK(environment_steal_pct(&b, &b) == 0);
	CHECK_EQ(environment_cpu_times(&now), 0);
	CHECK(now.total_ns > 0 && now.busy_ns <= now.total_ns && now.steal_ns <= now.total_ns);
}

static void environment_document(void)
{
	static const char *const keys[] = { "kernel", "config_hash", "cpu_model", "governor",
					    "turbo", "smt", "mitigations", "virtualisation",
					    "transparent_hugepage", "load_average", "compiler",
					    "clock", "git" };
	json_t *json = environment_json("/");
	const char *hash, *virtual;
	struct utsname u;

	CHECK(json_is_object(json));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		CHECK(json_object_get(json, keys[i]) != NULL);
	CHECK_EQ(uname(&u), 0);
	CHECK_STR(json_string_value(json_object_get(json, "kernel")), u.release);
	hash = json_string_value(json_object_get(json, "config_hash"));
	if (!access("/proc/config.gz", R_OK))
		CHECK(hash != NULL);
	CHECK(!hash || strspn(hash, "0123456789abcdef") == 64);
	virtual = json_string_value(json_object_get(json, "virtualisation"));
	CHECK(virtual && environment_virtual() == !!strcmp(virtual, "none"));
	CHECK(json_integer_value(json_object_get(json, "memory_total_bytes")) > 1 << 20);
	CHECK(environment_memory_available() > 1 << 20);
	/* "/" is no checkout of this project. */
	CHECK(json_is_null(json_object_get(json, "git")));
	json_decref(json);
}

static int sh(const char *dir, const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && { %s; } >/dev/null 2>&1", dir, command);
	return system(line);
}

#define GIT_ENV "GIT_CONFIG_GLOBAL=/dev/null git -c user.name=t -c user.email=t@t "

static void environment_git_states(void)
{
	char dir[] = "/tmp/test_measure.XXXXXX", file[64];
	const char *hash;
	json_t *git;

	if (system("git --version >/dev/null 2>&1") || !mkdtemp(dir))
		return;
	CHECK_EQ(sh(dir, "mkdir -p bench/report && : >bench/report/metrics.h && git init -q ."), 0);
	git = environment_git(dir);
	CHECK(json_is_null(json_object_get(git, "commit")));
	CHECK(json_is_true(json_object_get(git, "dirty")));
	json_decref(git);

	CHECK_EQ(sh(dir, "git add -A && " GIT_ENV "commit -qm one"), 0);
	git = environment_git(dir);
	CHECK_EQ(strlen(json_string_value(json_object_get(git, "commit"))), 40);
	CHECK(json_is_false(json_object_get(git, "dirty")));
	CHECK(json_is_null(json_object_get(git, "diff_hash")));
	CHECK_EQ(json_integer_value(json_object_get(git, "untracked")), 0);
	json_decref(git);

	CHECK_EQ(sh(dir, "echo x >>bench/report/metrics.h; : >one; : >two"), 0);
	snprintf(file, sizeof(file), "%s/bench", dir);
	git = environment_git(file);
	CHECK(json_is_true(json_object_get(git, "dirty")));
	hash = json_string_value(json_object_get(git, "diff_hash"));
	CHECK(hash && strspn(hash, "0123456789abcdef") == 64);
	CHECK_EQ(json_integer_value(json_object_get(git, "untracked")), 2);
	json_decref(git);
	snprintf(file, sizeof(file), "rm -rf %s", dir);
	CHECK_EQ(sh("/tmp", file), 0);
}

int main(void)
{
	test_begin("test_measure");
	TEST(clock_fallback);
	TEST(clock_calibration);
	TEST(clock_rate);
	TEST(clock_forward);
	TEST(topology_lists);
	TEST(topology_mask);
	TEST(topology_siblings);
	TEST(topology_binding);
	TEST(topology_document);
	TEST(counters_work);
	TEST(steal_share);
	TEST(environment_document);
	TEST(environment_git_states);
	return test_end();
}
