// SPDX-License-Identifier: GPL-2.0-only
/*
 * TD programs: the compiled programs of every shipped workload touch each page
 * exactly once, at the right level, between all vCPUs; steps, retries, barriers,
 * paces, stops and errors of the interpreter one by one; malformed programs,
 * and a second of random ones (for the sanitizers).
 */
#include <errno.h>
#include <time.h>

#include "td/compile.h"
#include "td/program.h"
#include "td/workload.h"
#include "tests/td_fixtures.h"

static const char *const dirs[] = {"workloads", FIXTURES "/workload/good", NULL};

/* An environment that records: one state a 4K page, and a log of calls. */
struct world {
	const struct td_insn *insn; /* being stepped */
	uint64_t pages, huge_start;
	uint8_t *touched; /* by TOUCH and WALK */
	uint8_t *shared, *present;
	uint64_t calls; /* of touch, by TOUCH and WALK */
	uint64_t faults, flips, wrong, idles, idle_ns, paces, stops_asked, phases, barriers;
	uint64_t stop_after; /* flips, for stop() */
	unsigned int again;  /* every call is refused so often first */
	unsigned int refused;
	int error; /* what touch() answers, if not 0 */
	uint64_t last_gpa;
	uint32_t last_phase, last_barrier;
	enum td_scope last_scope;
};

/* -EAGAIN ->again times, then through. */
static int refuse(struct world *w)
{
	if (w->refused < w->again) {
		w->refused++;
		return -EAGAIN;
	}
	w->refused = 0;
	return 0;
}

static int world_touch(void *ctx, uint64_t gpa, int level)
{
	struct world *w = ctx;
	uint64_t page = gpa / 4096, nr = level ? 512 : 1;

	if (w->error)
		return w->error;
	if (refuse(w))
		return -EAGAIN;
	w->last_gpa = gpa;
	w->calls += w->insn->op != TD_OP_FLIP;
	if (page + nr > w->pages || gpa % (level ? 2 << 20 : 4096)) {
		w->wrong++;
		return 0;
	}
	for (uint64_t i = page; i < page + nr; i++) {
		w->wrong += w->shared[i];
		w->faults += !w->present[i];
		w->present[i] = 1;
		if (w->insn->op == TD_OP_FLIP)
			continue;
		w->touched[i] += w->touched[i] < 255;
		w->wrong += level != (gpa >= w->huge_start);
	}
	return 0;
}

static int world_convert(void *ctx, uint64_t gpa, int to_private)
{
	struct world *w = ctx;

	if (refuse(w))
		return -EAGAIN;
	w->last_gpa = gpa;
	if (gpa / 4096 >= w->pages || gpa % 4096) {
		w->wrong++;
		return 0;
	}
	w->wrong += w->shared[gpa / 4096] != !!to_private;
	w->shared[gpa / 4096] = !to_private;
	w->present[gpa / 4096] = 0;
	w->flips += to_private;
	return 0;
}

static int world_barrier(void *ctx, uint32_t id, enum td_scope scope)
{
	struct world *w = ctx;

	if (refuse(w))
		return -EAGAIN;
	w->barriers++;
	w->last_barrier = id;
	w->last_scope = scope;
	return 0;
}

static int world_idle(void *ctx, uint64_t ns)
{
	struct world *w = ctx;

	if (refuse(w))
		return -EAGAIN;
	w->idles++;
	w->idle_ns += ns;
	return 0;
}

static int world_pace(void *ctx, uint64_t ns)
{
	struct world *w = ctx;

	if (refuse(w))
		return -EAGAIN;
	w->paces++;
	w->wrong += ns != 25000;
	return 0;
}

static void world_phase(void *ctx, uint32_t n)
{
	struct world *w = ctx;

	w->phases++;
	w->last_phase = n;
}

static int world_stop(void *ctx)
{
	struct world *w = ctx;

	w->stops_asked++;
	return w->flips >= w->stop_after;
}

static struct td_env world_env(struct world *w)
{
	return (struct td_env){
		.ctx = w,
		.touch = world_touch,
		.convert = world_convert,
		.barrier = world_barrier,
		.idle = world_idle,
		.pace = world_pace,
		.phase = world_phase,
		.stop = world_stop,
	};
}

static void world_init(struct world *w, uint64_t memory, uint64_t huge_start)
{
	*w = (struct world){.pages = memory / 4096, .huge_start = huge_start};
	w->touched = calloc(w->pages, 1);
	w->shared = calloc(w->pages, 1);
	w->present = calloc(w->pages, 1);
}

static void world_free(struct world *w)
{
	free(w->touched);
	free(w->shared);
	free(w->present);
}

/* Steps until END or ERROR, at most @limit times. */
static enum td_step run(struct world *w, struct td_cpu *cpu, uint64_t limit)
{
	struct td_env env = world_env(w);
	enum td_step step = TD_STEP_BLOCKED;

	while (limit-- && step != TD_STEP_END && step != TD_STEP_ERROR) {
		if (cpu->pc < cpu->count)
			w->insn = &cpu->program->insn[cpu->pc];
		step = td_step(cpu, &env);
	}
	return step;
}

static struct workload *load(const char *name)
{
	struct td_error err = {""};
	struct workload *w;

	if (workload_load(name, dirs, &w, &err)) {
		printf("cannot go on: %s\n", err.text);
		exit(1);
	}
	return w;
}

static struct td_program *compile(const struct workload *w, unsigned int group, unsigned int vcpu,
				  uint64_t seed)
{
	struct td_error err = {""};
	struct td_program *program;

	CHECK_EQ(td_compile(w, group, vcpu, seed, &program, &err), 0);
	CHECK_STR(err.text, "");
	return program;
}

/* Percent of the memory that the fault phases of a group ask for. */
static uint64_t faulted_share(const struct workload *w, unsigned int group)
{
	uint64_t share = 0;

	for (unsigned int i = 0; i < w->nr_phases; i++) {
		if (w->phases[i].work.pick != WL_FAULT || !workload_takes_part(w, i, group))
			continue;
		share = w->phases[i].share == WL_REST ? 100 : share + w->phases[i].share;
	}
	return share;
}

/* Runs all vCPUs of one TD, step by step in turn; barriers are those of the phases. */
static void run_td(const struct workload *w, unsigned int group, struct world *world)
{
	const struct wl_td *td = &w->tds[group];
	struct td_program **programs = calloc(td->vcpus, sizeof(*programs));
	struct td_cpu *cpus = calloc(td->vcpus, sizeof(*cpus));
	struct td_env env = world_env(world);
	uint64_t touches = 0, running = td->vcpus, waiting = 0, limit = 0;

	for (unsigned int v = 0; v < td->vcpus; v++) {
		programs[v] = compile(w, group, v, 99);
		touches += td_program_touches(programs[v]);
		CHECK(programs[v]->count < 64);
		CHECK_EQ(td_cpu_init(&cpus[v], programs[v], td_program_size(programs[v]->count)),
			 0);
	}
	while (running && limit++ < 100000000) {
		running = waiting = 0;
		for (unsigned int v = 0; v < td->vcpus; v++) {
			world->insn = &programs[v]->insn[cpus[v].pc];
			running += !cpus[v].ended;
			/* who stands at a barrier waits until all who still run do */
			if (cpus[v].ended || world->insn->op == TD_OP_BARRIER) {
				waiting++;
				continue;
			}
			if (td_step(&cpus[v], &env) == TD_STEP_ERROR)
				world->wrong++;
		}
		for (unsigned int v = 0; waiting == td->vcpus && v < td->vcpus; v++)
			td_step(&cpus[v], &env);
	}
	CHECK_EQ(running, 0);
	CHECK_EQ(touches, world->calls);
	for (unsigned int v = 0; v < td->vcpus; v++)
		free(programs[v]);
	free(programs);
	free(cpus);
}

/* Every page of the TD that was asked for was touched once, no other was. */
static void check_coverage(const struct workload *w, unsigned int group)
{
	const struct wl_td *td = &w->tds[group];
	uint64_t first = td->image / 4096, share = faulted_share(w, group);
	uint64_t end = first + (td->memory / 4096 - first) * share / 100;
	uint64_t huge = workload_huge_start(td) / 4096;
	uint64_t odd = 0, forever = workload_forever(w, group);
	struct world world;

	if (end > huge)
		end = end / 512 * 512; /* half a 2M page cannot be touched */
	world_init(&world, td->memory, workload_huge_start(td));
	world.stop_after = 20;
	run_td(w, group, &world);
	for (uint64_t i = 0; i < world.pages; i++)
		odd += world.touched[i] != (i >= first && i < end);
	CHECK_EQ(odd, 0);
	CHECK_EQ(world.wrong, 0);
	if (forever)
		CHECK(world.flips >= 20);
	for (uint64_t i = 0; i < world.pages; i++)
		odd += world.shared[i];
	CHECK_EQ(odd, 0);
	world_free(&world);
}

static void coverage(void)
{
	static const char *const names[] = {
		"boot-10x16g", "conversion-storm", "create-destroy", "fault-storm",
		"fragmented",  "hot-spot",	   "huge",	     "full",
		"minimal",     "unfragmented"};
	struct td_error err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct workload *w = load(names[i]);

		CHECK_EQ(workload_scale(w, w->bench_scale.num, w->bench_scale.den, &err), 0);
		for (unsigned int g = 0; g < w->nr_tds; g++)
			check_coverage(w, g);
		workload_free(w);
	}
}

/* Every order, with vCPUs that do and do not divide the memory, huge parts, odd images. */
static void coverage_of_orders(void)
{
	static const char *const orders[] = {"order=split", "order=interleave", "order=random"};
	static const char *const vcpus[] = {"1", "3", "4", "7", "64", "1000"};
	static const char *const memories[] = {"8M", "10M", "66M"};
	static const char *const huges[] = {"0%", "50%", "100%"};

	for (unsigned int i = 0; i < 3 * 6 * 3 * 3 * 2; i++) {
		struct workload *w = load("minimal");
		char sets[4][64] = {"td.a.image=1028K"}, order[64];
		const char *const all[] = {sets[0], sets[1], sets[2],
					   sets[3], order,   i % 2 ? "phase.f.share=61%" : order};
		struct td_error err = {""};

		snprintf(sets[1], 64, "td.a.vcpus=%s", vcpus[i / 2 % 6]);
		snprintf(sets[2], 64, "td.a.memory=%s", memories[i / 12 % 3]);
		snprintf(sets[3], 64, "td.a.huge=%s", huges[i / 36 % 3]);
		snprintf(order, 64, "phase.f.%s", orders[i / 108]);
		CHECK_EQ(workload_set_all(w, all, 6, &err), 0);
		CHECK_STR(err.text, "");
		check_coverage(w, 0);
		workload_free(w);
	}
}

/* A program as text: an operation a line, with what matters of it. */
static void disassemble(const struct td_program *p, char *out, size_t size)
{
	static const char *const ops[] = {"end", "touch",   "range", "walk", "flip",
					  "gap", "barrier", "idle",  "pace", "phase"};
	size_t used = 0;

	for (uint32_t i = 0; i < p->count && used < size; i++) {
		const struct td_insn *in = &p->insn[i];

		used += snprintf(out + used, size - used,
				 "%s %u %u %" PRIu32 " %" PRIx64 " %" PRIx64 "\n", ops[in->op],
				 in->flags, in->arg, in->n, in->a, in->b);
	}
}

/* Every kind of phase, as vCPU 1 of 3 sees it: 64M, image 1028K, the upper half huge. */
static void listing(void)
{
	struct workload *w = load("full");
	struct td_program *p = compile(w, 0, 1, 0x5eed);
	char text[2048] = "";

	disassemble(p, text, sizeof(text));
	CHECK_STR(text, "phase 0 0 0 0 0\n"
			"pace 0 0 0 0 61a8\n"
			"touch 0 0 1613 102000 3000\n"
			"barrier 0 0 1 0 0\n"
			"phase 0 0 1 0 0\n"
			"pace 0 0 0 0 61a8\n"
			"range 0 0 6 1400000 5eed\n"
			"walk 0 0 2 1 3\n"
			"range 0 0 16 2000000 5eed\n"
			"walk 1 0 5 1 3\n"
			"barrier 0 1 2 0 0\n"
			"phase 0 0 2 0 0\n"
			"gap 0 0 0 0 1f4\n"
			"flip 1 1 8 1002000 2000\n"
			"barrier 0 0 3 0 0\n"
			"phase 0 0 3 0 0\n"
			"idle 0 0 0 0 77359400\n"
			"barrier 0 0 4 0 0\n"
			"phase 0 0 4 0 0\n"
			"gap 0 0 0 0 0\n"
			"flip 0 2 0 301000 600000\n"
			"end 0 0 0 0 0\n");
	free(p);
	p = compile(w, 1, 0, 0x5eed);
	disassemble(p, text, sizeof(text));
	CHECK_STR(text, "phase 0 0 0 0 0\n"
			"pace 0 0 0 0 61a8\n"
			"touch 0 0 78489 200000 1000\n"
			"phase 0 0 3 0 0\n"
			"idle 0 0 0 0 77359400\n"
			"end 0 0 0 0 0\n");
	free(p);
	workload_free(w);
}

/* 16 GiB at full size stay a few instructions; nothing is lost to 32-bit counts. */
static void full_size(void)
{
	struct workload *w = load("boot-10x16g");
	uint64_t touches = 0;

	for (unsigned int v = 0; v < 4; v++) {
		struct td_program *p = compile(w, 0, v, 1);

		CHECK(p->count <= 8);
		CHECK_EQ(p->memory, 16ULL << 30);
		touches += td_program_touches(p);
		free(p);
	}
	CHECK_EQ(touches, ((16ULL << 30) - (4 << 20)) / 4096);
	workload_free(w);
}

static void permutations(void)
{
	static const uint32_t sizes[] = {1, 2, 3, 5, 512, 513, 1000, 8192};
	unsigned int moved = 0;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (uint64_t seed = 0; seed < 20; seed++) {
			uint8_t *seen = calloc(sizes[s], 1);
			uint32_t missing = 0;

			for (uint32_t i = 0; i < sizes[s]; i++) {
				uint32_t at = td_permute(i, sizes[s], seed * 0x9e3779b97f4a7c15);

				CHECK(at < sizes[s]);
				seen[at] = 1;
				moved += at != i;
			}
			for (uint32_t i = 0; i < sizes[s]; i++)
				missing += !seen[i];
			CHECK_EQ(missing, 0);
			free(seen);
		}
	}
	CHECK(moved > 200000); /* of 203 thousand and some */
	CHECK(td_permute(1, 8192, 1) != td_permute(1, 8192, 2));
	CHECK_EQ(td_permute(1, 8192, 1), 955); /* the same on every machine */
	CHECK_EQ(td_permute(777, 1000, 0x123456789abcdef), 420);
}

static void bad_compile(void)
{
	struct workload *w = load("minimal");
	struct td_program *p;
	struct td_error err;

	CHECK_EQ(td_compile(w, 1, 0, 0, &p, &err), -EINVAL);
	CHECK_STR(err.text, "minimal: there is no vCPU 0 in group 1");
	CHECK_EQ(td_compile(w, 0, 1, 0, &p, &err), -EINVAL);
	CHECK_STR(err.text, "minimal: there is no vCPU 1 in group 0");
	CHECK(!p);
	workload_free(w);
}

/* A program built by hand. */
union hand {
	struct td_program header;
	struct {
		uint64_t space[3]; /* of the header */
		struct td_insn insn[8];
	};
};

static struct td_cpu start(union hand *h, uint32_t count)
{
	struct td_cpu cpu;

	h->header.magic = TD_PROGRAM_MAGIC;
	h->header.version = TD_PROGRAM_VERSION;
	h->header.count = count;
	h->header.memory = 8 << 20;
	CHECK_EQ(td_cpu_init(&cpu, h, sizeof(*h)), 0);
	return cpu;
}

static void layout(void)
{
	static const unsigned char bytes[48] = {
		'D', 'D',  'T',	 'P', 1, 0, 0, 0, 2,	       0,    0, 0, 0, 0, 0, 0,
		0,   0,	   0x80, 0,   0, 0, 0, 0, TD_OP_TOUCH, 0,    0, 0, 4, 3, 2, 1,
		0,   0x10, 0,	 0,   0, 0, 0, 0, 0,	       0x20, 0, 0, 0, 0, 0, 0,
	};
	union hand h = {.insn[0] = {.op = TD_OP_TOUCH, .n = 0x01020304, .a = 0x1000, .b = 0x2000}};

	h.header = (struct td_program){TD_PROGRAM_MAGIC, TD_PROGRAM_VERSION, 2, 0, 8 << 20};
	CHECK(!memcmp(&h, bytes, sizeof(bytes)));
	CHECK_EQ(TD_OP_TOUCH, 1);
	CHECK_EQ(TD_OP_PHASE, 9);
	CHECK_EQ(td_program_size(3), 96);
}

/* The steps of two flips with a gap, each seen on its own. */
static void flip_steps(void)
{
	union hand h = {.insn = {{.op = TD_OP_GAP, .b = 500},
				 {.op = TD_OP_FLIP, .arg = 1, .n = 2, .a = 0x5000, .b = 4096},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 3);
	struct world w;
	struct td_env env;

	world_init(&w, 8 << 20, 8 << 20);
	env = world_env(&w);
	w.insn = &h.insn[1];
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE); /* GAP */
	for (unsigned int flip = 0; flip < 2; flip++) {
		CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE);
		CHECK(w.shared[5] && w.flips == flip);
		CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE);
		CHECK(!w.shared[5] && !w.present[5] && w.flips == flip + 1);
		CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE);
		CHECK(w.present[5] && w.faults == flip + 1 && w.idles == flip);
		CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE);
		CHECK(w.idles == flip + 1);
	}
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_END);
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_END);
	CHECK(w.idle_ns == 1000 && w.stops_asked == 0 && w.wrong == 0);
	world_free(&w);
}

static void flip_without_touch(void)
{
	union hand h = {.insn = {{.op = TD_OP_FLIP,
				  .flags = TD_FLIP_NO_TOUCH,
				  .arg = 3,
				  .n = 2,
				  .a = 0,
				  .b = 8192},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 2);
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	CHECK_EQ(run(&w, &cpu, 13), TD_STEP_END); /* 6 flips of 2 steps, END */
	CHECK(w.flips == 6 && w.faults == 0 && w.wrong == 0 && w.last_gpa == 16384);
	world_free(&w);
}

/* For ever: round robin over the pages until stop, which leaves them private. */
static void forever(void)
{
	union hand h = {.insn = {{.op = TD_OP_FLIP, .arg = 4, .n = 0, .a = 0, .b = 2 << 20},
				 {.op = TD_OP_BARRIER, .n = 7, .arg = TD_SCOPE_ALL},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 3);
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	w.stop_after = UINT64_MAX;
	CHECK_EQ(run(&w, &cpu, 30000), TD_STEP_DONE);
	CHECK_EQ(w.flips, 10000);
	CHECK(w.present[0] && w.present[512] && w.present[1024] && w.present[1536]);
	w.stop_after = 10002;
	CHECK_EQ(run(&w, &cpu, 6 + 3), TD_STEP_END); /* two flips, the stop, barrier, END */
	CHECK_EQ(w.flips, 10002);
	CHECK_EQ(w.faults, 10002);
	/* the flip at hand was finished: private, and touched */
	CHECK(!w.shared[0] && !w.shared[512] && w.present[0] && w.present[512]);
	CHECK(w.barriers == 1 && w.last_barrier == 7 && w.last_scope == TD_SCOPE_ALL);
	world_free(&w);

	cpu = start(&h, 3);
	world_init(&w, 8 << 20, 8 << 20);
	CHECK_EQ(run(&w, &cpu, 3), TD_STEP_END); /* stopped before it began */
	CHECK_EQ(w.flips, 0);
	world_free(&w);
}

/* A stop ends a long gap, too. */
static void stop_in_gap(void)
{
	union hand h = {.insn = {{.op = TD_OP_GAP, .b = 1000000000},
				 {.op = TD_OP_FLIP, .arg = 1, .n = 0, .a = 0, .b = 4096},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 3);
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	w.stop_after = 1;
	CHECK_EQ(run(&w, &cpu, 4), TD_STEP_DONE);
	w.again = UINT32_MAX; /* idle() would never end */
	CHECK_EQ(run(&w, &cpu, 2), TD_STEP_END);
	CHECK_EQ(w.idles, 0);
	world_free(&w);
}

/* Refusals change nothing but the number of steps. */
static void retries(void)
{
	union hand h = {.insn = {{.op = TD_OP_PHASE, .n = 3},
				 {.op = TD_OP_PACE, .b = 25000},
				 {.op = TD_OP_TOUCH, .n = 3, .a = 0, .b = 4096},
				 {.op = TD_OP_BARRIER, .n = 5},
				 {.op = TD_OP_IDLE, .b = 77},
				 {.op = TD_OP_FLIP, .arg = 1, .n = 1, .a = 4096, .b = 4096},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 7);
	struct td_env env;
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	w.again = 4;
	env = world_env(&w);
	w.insn = &h.insn[2];
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE);
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_DONE);
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_BLOCKED);
	CHECK_EQ(cpu.index, 0);
	/* pace and touch of 3 pages, barrier, idle, 3 halves: 11 calls, 4 refusals each; END */
	CHECK_EQ(run(&w, &cpu, 1000), TD_STEP_END);
	CHECK(w.paces == 3 && w.faults == 4 && w.barriers == 1 && w.last_barrier == 5);
	CHECK(w.idle_ns == 77 && w.flips == 1 && w.phases == 1 && w.last_phase == 3);
	CHECK_EQ(w.last_scope, TD_SCOPE_TD);
	CHECK_EQ(w.wrong, 0);
	world_free(&w);
}

static void callback_errors(void)
{
	union hand h = {
		.insn = {{.op = TD_OP_TOUCH, .n = 3, .a = 0, .b = 4096}, {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 2);
	struct td_env env;
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	env = world_env(&w);
	w.insn = &h.insn[0];
	w.error = -EIO;
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_ERROR);
	CHECK_EQ(cpu.error, -EIO);
	w.error = 0;
	CHECK_EQ(td_step(&cpu, &env), TD_STEP_ERROR);
	CHECK_EQ(w.faults, 0);
	world_free(&w);
}

/* A copy of a vCPU goes on from where the first one stood. */
static void snapshots(void)
{
	union hand h = {.insn = {{.op = TD_OP_RANGE, .n = 3, .a = 2 << 20, .b = 42},
				 {.op = TD_OP_WALK, .n = 3, .a = 0, .b = 1},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 3), copy;
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	CHECK_EQ(run(&w, &cpu, 700), TD_STEP_DONE);
	copy = cpu;
	CHECK_EQ(run(&w, &cpu, 10000), TD_STEP_END);
	CHECK_EQ(w.faults, 1536);
	memset(w.present, 0, w.pages);
	CHECK_EQ(run(&w, &copy, 10000), TD_STEP_END);
	CHECK_EQ(w.faults, 1536 + 1536 - 699);
	world_free(&w);
}

/* Programs that must be refused, each one step away from a good one. */
static void malformed(void)
{
	static const struct td_insn bad[] = {
		{.op = TD_OP_NR},
		{.op = 255},
		{.op = TD_OP_END, .flags = 1},
		{.op = TD_OP_TOUCH, .n = 0, .a = 0, .b = 4096},
		{.op = TD_OP_TOUCH, .n = 1, .a = 0, .b = 0},
		{.op = TD_OP_TOUCH, .n = 1, .a = 1, .b = 4096},
		{.op = TD_OP_TOUCH, .n = 1, .a = 0, .b = 100},
		{.op = TD_OP_TOUCH, .n = 1, .a = 8 << 20, .b = 4096},
		{.op = TD_OP_TOUCH, .n = 2, .a = (8 << 20) - 4096, .b = 4096},
		{.op = TD_OP_TOUCH, .n = 2, .a = 4096, .b = UINT64_MAX - 4095},
		{.op = TD_OP_TOUCH, .n = UINT32_MAX, .a = 0, .b = 1ULL << 63},
		{.op = TD_OP_TOUCH, .flags = TD_TOUCH_2M, .n = 1, .a = 4096, .b = 2 << 20},
		{.op = TD_OP_TOUCH, .flags = TD_TOUCH_2M, .n = 5, .a = 0, .b = 2 << 20},
		{.op = TD_OP_TOUCH, .flags = 2, .n = 1, .a = 0, .b = 4096},
		{.op = TD_OP_RANGE, .n = 0, .a = 0},
		{.op = TD_OP_RANGE, .n = 5, .a = 0},
		{.op = TD_OP_RANGE, .n = 1, .a = 4096},
		{.op = TD_OP_WALK, .n = 0, .a = 0, .b = 1},
		{.op = TD_OP_WALK, .n = 1, .a = 0, .b = 0},
		{.op = TD_OP_WALK, .n = 1, .a = 2, .b = 1},
		{.op = TD_OP_WALK, .n = 3, .a = 0, .b = 1},
		{.op = TD_OP_WALK, .n = 2, .a = 1, .b = UINT64_MAX},
		{.op = TD_OP_FLIP, .arg = 0, .n = 1, .a = 0, .b = 4096},
		{.op = TD_OP_FLIP, .arg = 1, .n = 1, .a = 100, .b = 4096},
		{.op = TD_OP_FLIP, .arg = 2, .n = 1, .a = (8 << 20) - 4096, .b = 4096},
		{.op = TD_OP_FLIP, .flags = 2, .arg = 1, .n = 1, .a = 0, .b = 4096},
		{.op = TD_OP_BARRIER, .arg = 2},
	};
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		union hand h = {.insn = {{.op = TD_OP_RANGE, .n = 2, .a = 0},
					 {.op = TD_OP_END},
					 {.op = TD_OP_END}}};
		struct td_cpu cpu = start(&h, 3);
		struct td_env env = world_env(&w);

		h.insn[1] = bad[i];
		CHECK_EQ(td_cpu_init(&cpu, &h, sizeof(h)), -EINVAL);
		CHECK_EQ(td_step(&cpu, &env), TD_STEP_ERROR);
		CHECK_EQ(cpu.error, -EINVAL);
	}
	CHECK(!w.calls && !w.flips);
	world_free(&w);
}

static void malformed_headers(void)
{
	union hand h = {.insn = {{.op = TD_OP_GAP}, {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 2);
	union hand bad;

	CHECK_EQ(td_cpu_init(&cpu, &h, 0), -EINVAL);
	CHECK_EQ(td_cpu_init(&cpu, &h, 23), -EINVAL);
	CHECK_EQ(td_cpu_init(&cpu, &h, 71), -EINVAL);
	CHECK_EQ(td_cpu_init(&cpu, &h, 72), 0);
	CHECK_EQ(td_cpu_init(&cpu, (char *)&h + 1, 72), -EINVAL);
#define BAD(field, value)                                                \
	do {                                                             \
		bad = h;                                                 \
		bad.header.field = (value);                              \
		CHECK_EQ(td_cpu_init(&cpu, &bad, sizeof(bad)), -EINVAL); \
	} while (0)
	BAD(magic, 0);
	BAD(version, 2);
	BAD(count, 0);
	BAD(count, 1); /* no END at the end */
	BAD(count, 9); /* beyond the size */
	BAD(count, UINT32_MAX);
	BAD(reserved, 1);
	BAD(memory, UINT64_MAX);
#undef BAD
}

/* Somebody changes the program after it was checked: errors, at worst. */
static void changed_behind(void)
{
	union hand h = {.insn = {{.op = TD_OP_RANGE, .n = 2, .a = 0},
				 {.op = TD_OP_WALK, .n = 2, .a = 0, .b = 1},
				 {.op = TD_OP_END}}};
	struct td_cpu cpu = start(&h, 3);
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	CHECK_EQ(run(&w, &cpu, 2), TD_STEP_DONE);
	h.header.count = UINT32_MAX;
	h.insn[2].op = TD_OP_GAP;
	CHECK_EQ(run(&w, &cpu, 5000), TD_STEP_ERROR); /* ran into the end */
	CHECK_EQ(cpu.error, -EINVAL);
	CHECK_EQ(w.wrong, 0);

	h.insn[0] = (struct td_insn){.op = TD_OP_TOUCH, .n = 1, .a = 0, .b = 4096};
	h.insn[1] = (struct td_insn){.op = TD_OP_FLIP, .n = 1, .arg = 1, .a = 0, .b = 4096};
	h.insn[2] = (struct td_insn){.op = TD_OP_END};
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t a = h.insn[i].a;

		cpu = start(&h, 3);
		CHECK_EQ(run(&w, &cpu, i), i ? TD_STEP_DONE : TD_STEP_BLOCKED);
		h.insn[i].a = 8 << 20; /* beyond memory: no callback sees it */
		CHECK_EQ(run(&w, &cpu, 1), TD_STEP_ERROR);
		CHECK_EQ(w.wrong, 0);
		h.insn[i].a = a;
	}
	world_free(&w);
}

/* Random programs, with and without a check, on an environment that is exact. */
static void fuzz(void)
{
	clock_t end = clock() + CLOCKS_PER_SEC;
	unsigned int good = 0, tried = 0;
	uint64_t rnd = 20250813;
	struct world w;

	world_init(&w, 8 << 20, 8 << 20);
	for (; tried < 30000 && clock() < end; tried++) {
		union hand h = {.insn = {{.op = TD_OP_RANGE, .n = 4, .a = 0, .b = tried},
					 {.op = TD_OP_WALK, .n = 2, .a = 1, .b = 2},
					 {.op = TD_OP_FLIP, .arg = 2, .a = 0, .b = 4096},
					 {.op = TD_OP_TOUCH, .n = 9, .a = 0, .b = 4096},
					 {.op = TD_OP_GAP, .b = 3},
					 {.op = TD_OP_IDLE, .b = 3},
					 {.op = TD_OP_BARRIER},
					 {.op = TD_OP_END}}};
		struct td_cpu cpu = start(&h, 8);
		bool checked = test_random(&rnd) % 2;

		for (uint64_t edits = 1 + test_random(&rnd) % 4; edits--;)
			((uint8_t *)h.insn)[test_random(&rnd) % sizeof(h.insn)] ^=
				1 << test_random(&rnd) % 8;
		w.flips = 0;
		w.stop_after = 3;
		w.wrong = 0;
		memset(w.shared, 0, 8);
		if (checked && td_cpu_init(&cpu, &h, sizeof(h)))
			continue;
		run(&w, &cpu, 5000);
		good += cpu.ended;
		if (checked)
			CHECK_EQ(cpu.error, 0);
	}
	CHECK(good > tried / 100 && good < tried);
	world_free(&w);
}

int main(void)
{
	test_begin("interp");
	go_to_root(__FILE__);
	TEST(coverage);
	TEST(coverage_of_orders);
	TEST(listing);
	TEST(full_size);
	TEST(permutations);
	TEST(bad_compile);
	TEST(layout);
	TEST(flip_steps);
	TEST(flip_without_touch);
	TEST(forever);
	TEST(stop_in_gap);
	TEST(retries);
	TEST(callback_errors);
	TEST(snapshots);
	TEST(malformed);
	TEST(malformed_headers);
	TEST(changed_behind);
	TEST(fuzz);
	return test_end();
}
