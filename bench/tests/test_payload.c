// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TD payload against the interpreter run natively: for every operation, and for
 * every workload that ships, what the payload does by TDCALL is what the program
 * says. The path from the reset vector to 64-bit mode is test_payload_boot.c's.
 */
#define _GNU_SOURCE
#include "tests/payload_host.h"

#include "td/compile.h"
#include "td/find.h"
#include "td/workload.h"
#include "tests/td_fixtures.h"

#define MB (1ULL << 20)

/* ------------------------------------------------- the interpreter, natively */

struct record {
	struct host_op log[HOST_LOG];
	uint32_t nr, phase[TD_MARKS], nr_phases, stop_after;
	uint64_t touches, accepts, conversions;
	bool *there;
};

static void record_op(struct record *r, char what, uint64_t at)
{
	if (r->nr < HOST_LOG)
		r->log[r->nr++] = (struct host_op){ what, at };
}

static int record_touch(void *ctx, uint64_t at, int level)
{
	struct record *r = ctx;

	if (r->there[at / TD_PAGE_4K])
		return 0;
	r->touches++;
	for (uint64_t i = 0; i < (level ? 512 : 1); i++) {
		r->there[at / TD_PAGE_4K + i] = true;
		if (level && host.huge && i)
			continue;
		record_op(r, 't', at + i * TD_PAGE_4K);
		r->accepts++;
	}
	return 0;
}

static int record_convert(void *ctx, uint64_t at, int to_private)
{
	struct record *r = ctx;

	r->conversions++;
	r->there[at / TD_PAGE_4K] = false;
	record_op(r, to_private ? 'p' : 's', at);
	return 0;
}

static int record_barrier(void *ctx, uint32_t id, enum td_scope scope)
{
	(void)ctx;
	(void)id;
	(void)scope;
	return 0;
}

static int record_idle(void *ctx, uint64_t ns)
{
	(void)ctx;
	(void)ns;
	return 0;
}

static void record_phase(void *ctx, uint32_t n)
{
	struct record *r = ctx;

	if (r->nr_phases < TD_MARKS)
		r->phase[r->nr_phases++] = n;
}

static int record_stop(void *ctx)
{
	struct record *r = ctx;

	return r->nr >= r->stop_after;
}

static int record_program(struct record *r, const struct td_program *p, uint32_t stop_after)
{
	const struct td_env env = {
		.ctx = r,
		.touch = record_touch,
		.convert = record_convert,
		.barrier = record_barrier,
		.idle = record_idle,
		.pace = record_idle,
		.phase = record_phase,
		.stop = record_stop,
	};
	enum td_step step = TD_STEP_DONE;
	struct td_cpu cpu;

	memset(r, 0, sizeof(*r));
	r->stop_after = stop_after;
	r->there = calloc(p->memory / TD_PAGE_4K + 512, sizeof(bool));
	if (td_cpu_init(&cpu, p, td_program_size(p->count)))
		return -1;
	while (step == TD_STEP_DONE || step == TD_STEP_BLOCKED)
		step = td_step(&cpu, &env);
	free(r->there);
	return step == TD_STEP_END ? 0 : -1;
}

/* --------------------------------------------------------------- comparing */

static void check_vcpu(uint32_t i, const struct td_program *p, uint32_t stop_after)
{
	struct record *r = malloc(sizeof(*r));
	const struct host_cpu *c = &host.cpu[i];
	const struct vcpu_box *box = &host.box[i];
	uint64_t in_hist = 0;

	CHECK_EQ(record_program(r, p, stop_after), 0);
	CHECK_EQ(box->state, TD_VCPU_DONE);
	CHECK_EQ(box->error, 0);
	CHECK_EQ(c->nr_log, r->nr);
	CHECK(!memcmp(c->log, r->log, r->nr * sizeof(r->log[0])));
	CHECK_EQ(box->touches, r->touches);
	CHECK_EQ(box->conversions, r->conversions);
	CHECK_EQ(box->nr_marks, r->nr_phases);
	for (uint32_t n = 0; n < r->nr_phases; n++) {
		CHECK_EQ(box->marks[n].phase, r->phase[n]);
		CHECK(box->marks[n].tsc >= (n ? box->marks[n - 1].tsc : box->start_tsc));
	}
	for (uint32_t n = 0; n < TD_HIST_BINS; n++)
		in_hist += box->bins[n];
	CHECK_EQ(in_hist, box->touches);
	CHECK_EQ(box->hist_count, box->touches);
	CHECK_EQ(box->accepts, r->accepts);
	CHECK(box->start_tsc && box->end_tsc > box->start_tsc);
	CHECK(!box->touches ||
	      (box->hist_min <= box->hist_max && box->hist_sum >= box->hist_max));
	CHECK_EQ(box->interrupts, c->irqs);
	CHECK_EQ(box->idles, c->halts);
	CHECK_EQ(c->eoi, c->irqs);
	free(r);
}

static struct td_program *program(uint64_t memory, uint32_t count, const struct td_insn *insn)
{
	struct td_program *p = calloc(1, td_program_size(count + 1));

	*p = (struct td_program){ .magic = TD_PROGRAM_MAGIC, .version = TD_PROGRAM_VERSION,
				  .count = count + 1, .memory = memory };
	memcpy(p->insn, insn, count * sizeof(*insn));
	p->insn[count] = (struct td_insn){ .op = TD_OP_END };
	return p;
}

static bool begin(uint64_t memory, uint32_t vcpus, struct td_program *const *p)
{
	struct kvm_image_config c = {
		.memory = memory,
		.vcpus = vcpus,
		.program = (const struct td_program *const *)p,
	};

	return host_begin(&c);
}

/* One vCPU runs @insn and must do what they say. */
static void run_insns(uint64_t memory, uint32_t count, const struct td_insn *insn)
{
	struct td_program *p = program(memory, count, insn);

	if (begin(memory, 1, &p)) {
		host_run();
		check_vcpu(0, p, 0);
	}
}

#define RUN(memory, ...)                                                               \
	do {                                                                           \
		const struct td_insn insns[] = { __VA_ARGS__ };                        \
		run_insns((memory), sizeof(insns) / sizeof(insns[0]), insns);          \
	} while (0)

/* -------------------------------------------------------------- operations */

static void test_end_at_once(void)
{
	struct td_program *p = program(MB, 0, NULL);

	if (begin(MB, 1, &p)) {
		host_run();
		check_vcpu(0, p, 0);
		host_end();
	}
}

static void test_touch(void)
{
	RUN(64 * MB, { .op = TD_OP_TOUCH, .n = 100, .a = MB, .b = 8192 });
	CHECK_EQ(host.box[0].touches, 100);
	CHECK_EQ(host.cpu[0].faults, 100);
	CHECK_EQ(*(uint64_t *)(TD_MEMORY_GPA + MB + 99 * 8192), TD_MEMORY_GPA + MB + 99 * 8192);
	host_end();
}

/* A page is touched for the first time once. */
static void test_touch_again(void)
{
	RUN(64 * MB, { .op = TD_OP_TOUCH, .n = 10, .a = MB, .b = 4096 },
	    { .op = TD_OP_TOUCH, .n = 10, .a = MB, .b = 4096 });
	CHECK_EQ(host.box[0].touches, 10);
	host_end();
}

static void test_touch_2m(void)
{
	host.huge = true;
	RUN(64 * MB, { .op = TD_OP_TOUCH, .flags = TD_TOUCH_2M, .n = 3, .a = 2 * MB, .b = 4 * MB });
	CHECK_EQ(host.box[0].touches, 3);
	host_end();
	/* KVM has 4K mappings: the same pages one by one */
	RUN(64 * MB, { .op = TD_OP_TOUCH, .flags = TD_TOUCH_2M, .n = 3, .a = 2 * MB, .b = 4 * MB });
	CHECK_EQ(host.box[0].touches, 3);
	CHECK_EQ(host.cpu[0].nr_log, 3 * 512);
	host_end();
}

static void test_walk(void)
{
	RUN(64 * MB, { .op = TD_OP_RANGE, .n = 20, .a = 2 * MB, .b = 0x123456789abcdef },
	    { .op = TD_OP_WALK, .n = 7, .a = 1, .b = 3 },
	    { .op = TD_OP_WALK, .flags = TD_TOUCH_2M, .n = 3, .a = 0, .b = 6 });
	CHECK_EQ(host.box[0].touches, 7 * 512 + 3);
	host_end();
}

static void test_flip(void)
{
	RUN(64 * MB, { .op = TD_OP_TOUCH, .n = 4, .a = MB, .b = 4096 },
	    { .op = TD_OP_FLIP, .arg = 4, .n = 25, .a = MB, .b = 4096 },
	    { .op = TD_OP_FLIP, .flags = TD_FLIP_NO_TOUCH, .arg = 1, .n = 5, .a = 2 * MB, .b = 4096 });
	CHECK_EQ(host.box[0].touches, 4 + 100);
	CHECK_EQ(host.box[0].conversions, 200 + 10);
	host_end();
}

static void test_flip_gap(void)
{
	RUN(64 * MB, { .op = TD_OP_GAP, .b = 200000 },
	    { .op = TD_OP_FLIP, .arg = 1, .n = 10, .a = MB, .b = 4096 },
	    { .op = TD_OP_GAP, .b = 5000 },
	    { .op = TD_OP_FLIP, .arg = 1, .n = 10, .a = MB, .b = 4096 });
	CHECK(host.cpu[0].halts >= 10);
	host_end();
}

/* Once something was done, but for @arg: not at once. */
static void *stop_soon(void *arg)
{
	const volatile uint32_t *done = &host.cpu[0].nr_log;

	usleep(20000);
	for (int i = 0; !arg && *done < 12 && i < 10000; i++)
		usleep(1000);
	host.all->stop = 1;
	return NULL;
}

static void test_flip_for_ever(void)
{
	const struct td_insn insn[] = {
		{ .op = TD_OP_FLIP, .arg = 3, .a = MB, .b = 4096 },
		{ .op = TD_OP_TOUCH, .n = 1, .a = 4 * MB, .b = 4096 },
	};
	struct td_program *p = program(64 * MB, 2, insn);
	pthread_t stopper;

	if (!begin(64 * MB, 1, &p))
		return;
	pthread_create(&stopper, NULL, stop_soon, NULL);
	host_run();
	pthread_join(stopper, NULL);
	CHECK(host.cpu[0].nr_log > 3);
	/* it stops between flips, and goes on behind */
	check_vcpu(0, p, host.cpu[0].nr_log - 1);
	host_end();
}

static void test_idle(void)
{
	RUN(MB, { .op = TD_OP_IDLE, .b = 3000 });
	CHECK_EQ(host.cpu[0].halts, 0);
	host_end();
	RUN(MB, { .op = TD_OP_IDLE, .b = 4000000 }, { .op = TD_OP_IDLE, .b = 1000000 });
	CHECK(host.cpu[0].halts >= 2);
	CHECK_EQ(host.cpu[0].irqs, host.cpu[0].halts);
	CHECK((host.box[0].end_tsc - host.box[0].start_tsc) / (clock_state.hz / 1000000) >= 5000);
	host_end();
}

/* Each touch waits until it is due, however early the one before was. */
static void test_pace(void)
{
	uint64_t us;

	RUN(64 * MB, { .op = TD_OP_PHASE, .n = 3 }, { .op = TD_OP_PACE, .b = 300000 },
	    { .op = TD_OP_TOUCH, .n = 20, .a = MB, .b = 4096 });
	us = (host.box[0].end_tsc - host.box[0].marks[0].tsc) / (clock_state.hz / 1000000);
	CHECK(us >= 19 * 300);
	host_end();
}

static void test_phases(void)
{
	RUN(64 * MB, { .op = TD_OP_PHASE, .n = 0 }, { .op = TD_OP_TOUCH, .n = 5, .a = MB, .b = 4096 },
	    { .op = TD_OP_PHASE, .n = 31 });
	CHECK_EQ(host.box[0].phase, 31);
	host_end();
}

/* All vCPUs are past barrier 0 before any is past barrier 1. */
static void test_barriers(void)
{
	struct td_insn insn[] = {
		{ .op = TD_OP_TOUCH, .n = 1, .a = 0, .b = 4096 },
		{ .op = TD_OP_BARRIER, .n = 0, .arg = TD_SCOPE_ALL },
		{ .op = TD_OP_PHASE, .n = 0 },
		{ .op = TD_OP_IDLE, .b = 2000000 },
		{ .op = TD_OP_BARRIER, .n = 1, .arg = TD_SCOPE_TD },
		{ .op = TD_OP_PHASE, .n = 1 },
		{ .op = TD_OP_BARRIER, .n = 2, .arg = TD_SCOPE_TD },
	};
	struct td_program *p[HOST_VCPUS];
	uint64_t latest = 0;

	for (int i = 0; i < HOST_VCPUS; i++) {
		insn[0].a = (i + 1) * MB;
		insn[0].n = i * 20 + 1;
		insn[3].b = i + 1 < HOST_VCPUS ? i * 2000000 : 50000000;
		p[i] = program(64 * MB, 7, insn);
	}
	if (!begin(64 * MB, HOST_VCPUS, p))
		return;
	/* An earlier round, and a counter about to wrap. */
	host.td->barrier[1].joined = -2 * HOST_VCPUS;
	host.td->barrier[2].joined = -HOST_VCPUS;
	host_run();
	CHECK_EQ(host.all->barrier[0].joined, HOST_VCPUS);
	CHECK_EQ(host.td->barrier[1].joined, (uint32_t)-HOST_VCPUS);
	CHECK_EQ(host.td->barrier[2].joined, 0);
	for (int i = 0; i < HOST_VCPUS; i++) {
		check_vcpu(i, p[i], 0);
	}
	/* the last one comes to barrier 1 after an idle of 50 ms */
	latest = host.box[HOST_VCPUS - 1].marks[0].tsc + clock_state.hz / 20;
	for (int i = 0; i < HOST_VCPUS; i++)
		CHECK(host.box[i].marks[1].tsc >= latest);
	CHECK(host.cpu[0].halts > 0);
	host_end();
}

/* What may never happen is not waited for: "stop" opens barriers. */
static void test_barrier_stopped(void)
{
	const struct td_insn insn = { .op = TD_OP_BARRIER, .n = 7, .arg = TD_SCOPE_ALL };
	struct td_program *p = program(MB, 1, &insn);
	pthread_t stopper;

	if (!begin(MB, 1, &p))
		return;
	host.all->barrier[7].members = 2;
	pthread_create(&stopper, NULL, stop_soon, &p);
	host_run();
	pthread_join(stopper, NULL);
	check_vcpu(0, p, 0);
	host_end();
	/* and a barrier of nobody is a mistake of the VMM */
	if (!begin(MB, 1, &p))
		return;
	host.all->barrier[7].members = 0;
	host_run();
	CHECK_EQ(host.box[0].state, TD_VCPU_FAILED);
	CHECK_EQ(host.box[0].error, -22);
	host_end();
}

/* What the module and KVM may refuse for the moment is asked for again. */
static void test_busy(void)
{
	host.busy = true;
	RUN(64 * MB, { .op = TD_OP_TOUCH, .n = 100, .a = MB, .b = 4096 },
	    { .op = TD_OP_FLIP, .arg = 2, .n = 25, .a = MB, .b = 4096 });
	CHECK(host.cpu[0].refusals > 100);
	host_end();
}

/* ---------------------------------------------------------------- failures */

static void test_refused_accept(void)
{
	const struct td_insn insn = { .op = TD_OP_TOUCH, .n = 4, .a = MB, .b = 4096 };
	struct td_program *p = program(64 * MB, 1, &insn);

	host.bad_gpa = TD_MEMORY_GPA + MB + 8192;
	if (!begin(64 * MB, 1, &p))
		return;
	host_run();
	CHECK_EQ(host.box[0].state, TD_VCPU_FAILED);
	CHECK_EQ(host.box[0].error, -5);
	CHECK_EQ(host.box[0].touches, 2);
	host_end();
}

static void test_bad_program(void)
{
	const struct td_insn insn = { .op = TD_OP_TOUCH, .n = 4, .a = 64 * MB, .b = 4096 };
	struct td_program *p = program(64 * MB, 1, &insn);

	if (!begin(64 * MB, 1, &p))
		return;
	host_run();
	CHECK_EQ(host.box[0].state, TD_VCPU_FAILED);
	CHECK_EQ(host.box[0].error, -22);
	host_end();
}

static void test_bad_image(void)
{
	struct td_program *p = program(MB, 0, NULL);
	struct td_program *none[1] = { NULL };
	struct kvm_image_config c = { .memory = MB, .vcpus = 1,
				      .program = (const struct td_program *const *)none };
	struct kvm_image image;

	if (!begin(MB, 1, &p))
		return;
	((struct td_image *)host.image.gpa)->version++;
	host_run();
	CHECK_EQ(host.box[0].state, TD_VCPU_FAILED);
	host_end();
	CHECK_EQ(kvm_image_build(&c, &image), -22);
	c.program = (const struct td_program *const *)&p;
	c.memory = KVM_IMAGE_MEMORY_MAX + 4096;
	CHECK_EQ(kvm_image_build(&c, &image), -7);
	c.memory = MB;
	c.vcpus = TD_IMAGE_VCPUS_MAX + 1;
	CHECK_EQ(kvm_image_build(&c, &image), -22);
	kvm_image_free(&image);
}

/* A page that became shared is written through the shared bit, where the VMM sees it. */
static void test_touch_shared(void)
{
	const struct td_insn insn = { .op = TD_OP_FLIP, .flags = TD_FLIP_NO_TOUCH, .arg = 1,
				      .n = 1, .a = MB, .b = 4096 };
	uint64_t *page = (uint64_t *)(PAYLOAD_SHARED + TD_MEMORY_GPA + MB);
	struct td_program *p = program(64 * MB, 1, &insn);

	if (!begin(64 * MB, 1, &p))
		return;
	((struct td_image *)host.image.gpa)->flags = TD_IMAGE_TOUCH_SHARED;
	if (!CHECK(mmap(page, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == page))
		return;
	host_run();
	check_vcpu(0, p, 0);
	CHECK_EQ(*page, TD_MEMORY_GPA + MB);
	munmap(page, 4096);
	host_end();
}

/* --------------------------------------------------------------- workloads */

static void run_group(const struct workload *w, unsigned int group)
{
	uint32_t vcpus = w->tds[group].vcpus;
	struct td_program *p[HOST_VCPUS];
	struct td_error err;
	bool forever = workload_forever(w, group);
	pthread_t stopper;

	if (vcpus > HOST_VCPUS)
		return;
	for (uint32_t i = 0; i < vcpus; i++)
		if (!CHECK_EQ(td_compile(w, group, i, 42, &p[i], &err), 0))
			return;
	if (!begin(w->tds[group].memory, vcpus, p))
		return;
	if (forever)
		pthread_create(&stopper, NULL, stop_soon, NULL);
	host_run();
	if (forever)
		pthread_join(stopper, NULL);
	for (uint32_t i = 0; i < vcpus; i++)
		check_vcpu(i, p[i], forever ? host.cpu[i].nr_log : 0);
	host_end();
	for (uint32_t i = 0; i < vcpus; i++)
		free(p[i]);
}

static void test_workloads(void)
{
	const char *const dirs[] = { "workloads", NULL };
	struct td_error err;
	unsigned int ran = 0;
	struct workload *w;
	char **names;
	size_t nr;

	CHECK_EQ(workload_list(dirs, &names, &nr), 0);
	for (size_t i = 0; i < nr; i++) {
		if (!CHECK_EQ(workload_load(names[i], dirs, &w, &err), 0))
			continue;
		CHECK_EQ(workload_scale(w, 1, 4096, &err), 0);
		for (unsigned int g = 0; g < w->nr_tds; g++, ran++)
			run_group(w, g);
		workload_free(w);
	}
	CHECK(ran >= 7);
	td_free_names(names, nr);
}

int main(void)
{
	go_to_root(__FILE__);
	clock_init();
	test_begin("test_payload");
	if (!clock_state.hz) {
		CHECK(1);
		printf("skipped: no usable TSC here, and a TD has no other clock\n");
		return test_end();
	}
	TEST(test_end_at_once);
	TEST(test_touch);
	TEST(test_touch_again);
	TEST(test_touch_2m);
	TEST(test_walk);
	TEST(test_flip);
	TEST(test_touch_shared);
	TEST(test_flip_gap);
	TEST(test_flip_for_ever);
	TEST(test_idle);
	TEST(test_pace);
	TEST(test_phases);
	TEST(test_barriers);
	TEST(test_barrier_stopped);
	TEST(test_busy);
	TEST(test_refused_accept);
	TEST(test_bad_program);
	TEST(test_bad_image);
	TEST(test_workloads);
	return test_end();
}
