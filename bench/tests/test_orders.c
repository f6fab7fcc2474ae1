// SPDX-License-Identifier: GPL-2.0-only
/*
 * The explorer against a machine that could not be simpler: 50 random programs of 3 CPUs, each
 * step tried in each state, a buffered store becoming visible at any time. At every bound
 * and in both memory models the explorer, with its reductions and without, must give
 * the same happens-before traces, and the same final states as dpamt explore searches.
 *
 * A trace is who reads from which write, and the order of the writes to each word: under SC
 * that is the order of all conflicting accesses. No value is written twice, so a value says
 * which write it is from.
 */
#include "tests/explore_bed.h"

#define PROGRAMS 50
#define CPUS 3
#define OPS 3

enum { READ, WRITE, ADD, FENCE };

static struct {
	uint8_t op, var;
} op[CPUS][OPS];

/*
 * Write the order of writes down where it is a part of the state: seen states then differ if
 * their traces do. A body sees the order under SC only.
 */
static bool keep_order;

/*
 * Say between two operations that all that a CPU keeps is in m.out. Otherwise it keeps it for
 * itself, and the explorer has to know what it has read.
 */
static bool rests;

static struct set traces[2], finals[2];
static unsigned int to;			/* which of the two is being filled */

static uint32_t written(unsigned int cpu, unsigned int k)
{
	return cpu * OPS + k + 1;
}

static uint32_t added(unsigned int cpu, unsigned int k)
{
	return 16u << (cpu * OPS + k);
}

static uint32_t append(uint32_t list, uint32_t value)
{
	return list * 131 + value + 1;
}

/* ---------------------------------------------------------------- the explorer */

static void keep(unsigned int var, uint32_t value)
{
	if (keep_order && var < 2)
		out(4 + var, append(m.out[4 + var], value));
}

static void body(void *arg, unsigned int cpu)
{
	uint32_t v, list = 0;
	unsigned int k, var;

	for (k = 0; k < OPS; k++) {
		if (rests) {
			out(cpu, list);
			exec_now->rest();
		}
		var = op[cpu][k].var;
		switch (op[cpu][k].op) {
		case READ:
			list = append(list, get(var));
			break;
		case WRITE:
			set(var, written(cpu, k));
			keep(var, written(cpu, k));
			break;
		case ADD:
			v = add(var, added(cpu, k));
			list = append(list, v);
			keep(var, v + added(cpu, k));
			break;
		default:
			fence();
		}
	}
	out(cpu, list);
}

static uint64_t of_read(unsigned int cpu, unsigned int nth, uint32_t value)
{
	return stir(stir(cpu, nth), value);
}

static uint64_t of_write(unsigned int var, unsigned int nth, uint32_t value)
{
	return stir(stir(64 + var, nth), value);
}

static void on_trace(void *arg, const struct explore_access *a, size_t nr)
{
	unsigned int reads[CPUS] = { 0 }, writes[8] = { 0 }, var;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		var = (const volatile uint32_t *)a[i].addr - m.v;
		if (a[i].kind == SHIM_READ)
			sum += of_read(a[i].cpu, reads[a[i].cpu]++, a[i].value);
		else
			sum += of_write(var, writes[var]++, a[i].value);
	}
	put_in(&traces[to], sum);
}

static uint64_t final_state(const uint32_t *v, const uint32_t *o)
{
	uint64_t h = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		h = stir(stir(h, v[i]), o[i]);
	return h;
}

static const char *on_end(void *arg)
{
	put_in(&finals[to], final_state(m.v, m.out));
	return NULL;
}

static void clear(unsigned int which)
{
	to = which;
	memset(&traces[to], 0, sizeof(traces[to]));
	memset(&finals[to], 0, sizeof(finals[to]));
}

static void search(const struct explore_program *p, enum explore_memory memory, unsigned int bound,
		   bool no_reduction, bool no_cache)
{
	struct explore_options o = { .memory = memory, .bound = bound, .no_reduction = no_reduction,
				     .no_cache = no_cache };

	clear(1);
	CHECK(explore_open(p));
	explore_search(&o, &result);
	CHECK_EQ(result.end, EXPLORE_EXHAUSTED);
	explore_close();
}

/* --------------------------------------------------------- the simplest machine */

struct machine {
	uint64_t trace;
	uint32_t v[8], out[8];
	struct {
		uint32_t var, value;
	} buffer[CPUS][OPS];
	uint8_t pc[CPUS], buffered[CPUS], reads[CPUS], writes[8];
	uint8_t last, preemptions;	/* last: who could have gone on, CPUS: nobody */
};

static struct set been;
static enum explore_memory model;
static unsigned int limit;

static void becomes_visible(struct machine *s, unsigned int var, uint32_t value)
{
	s->v[var] = value;
	s->trace += of_write(var, s->writes[var]++, value);
	if (keep_order && var < 2)
		s->out[4 + var] = append(s->out[4 + var], value);
}

static void flush_one(struct machine *s, unsigned int cpu)
{
	becomes_visible(s, s->buffer[cpu][0].var, s->buffer[cpu][0].value);
	s->buffered[cpu]--;
	/* What is not used is 0: equal states have equal bytes. */
	memmove(&s->buffer[cpu][0], &s->buffer[cpu][1], (OPS - 1) * sizeof(s->buffer[cpu][0]));
	memset(&s->buffer[cpu][OPS - 1], 0, sizeof(s->buffer[cpu][0]));
}

static uint32_t load(const struct machine *s, unsigned int cpu, unsigned int var)
{
	uint32_t v = s->v[var];
	unsigned int i;

	for (i = 0; i < s->buffered[cpu]; i++)
		if (s->buffer[cpu][i].var == var)
			v = s->buffer[cpu][i].value;
	return v;
}

/* The next operation of @cpu. false: its buffer must be empty first. */
static bool do_one(struct machine *s, unsigned int cpu)
{
	unsigned int k = s->pc[cpu]++, var = op[cpu][k].var;
	uint32_t v;

	switch (op[cpu][k].op) {
	case READ:
		v = load(s, cpu, var);
		s->trace += of_read(cpu, s->reads[cpu]++, v);
		s->out[cpu] = append(s->out[cpu], v);
		return true;
	case WRITE:
		if (model == EXPLORE_SC) {
			becomes_visible(s, var, written(cpu, k));
			return true;
		}
		s->buffer[cpu][s->buffered[cpu]].var = var;
		s->buffer[cpu][s->buffered[cpu]++].value = written(cpu, k);
		return true;
	case ADD:
		if (s->buffered[cpu])
			return false;
		s->out[cpu] = append(s->out[cpu], s->v[var]);
		becomes_visible(s, var, s->v[var] + added(cpu, k));
		return true;
	default:
		return !s->buffered[cpu];
	}
}

static void go(const struct machine *s)
{
	struct machine next;
	bool over = true;
	unsigned int cpu;
	uint64_t h = 0, w;
	size_t i;

	for (i = 0; i < sizeof(*s); i += sizeof(w)) {
		memcpy(&w, (const char *)s + i, sizeof(w));
		h = stir(h, w);
	}
	if (!put_in(&been, h))
		return;
	for (cpu = 0; cpu < CPUS; cpu++) {
		if (s->buffered[cpu]) {
			over = false;
			next = *s;
			flush_one(&next, cpu);
			go(&next);
		}
		if (s->pc[cpu] == OPS)
			continue;
		over = false;
		next = *s;
		next.preemptions += s->last < CPUS && s->last != cpu;
		if (next.preemptions > limit || !do_one(&next, cpu))
			continue;
		next.last = next.pc[cpu] < OPS ? cpu : CPUS;
		go(&next);
	}
	if (over) {
		put_in(&traces[0], s->trace);
		put_in(&finals[0], final_state(s->v, s->out));
	}
}

static void simplest(enum explore_memory memory, unsigned int bound)
{
	struct machine s;

	_Static_assert(sizeof(s) % sizeof(uint64_t) == 0, "hashed by words");
	clear(0);
	memset(&been, 0, sizeof(been));
	memset(&s, 0, sizeof(s));
	s.last = CPUS;
	model = memory;
	limit = bound;
	go(&s);
}

/* ------------------------------------------------------------------- programs */

static void draw_program(uint64_t *seed, unsigned int n)
{
	unsigned int cpu, k;

	for (cpu = 0; cpu < CPUS; cpu++) {
		for (k = 0; k < OPS; k++) {
			*seed = stir(*seed, n);
			op[cpu][k].op = *seed >> 8 & 3;
			/* Two for all, one of one's own: the reduction has something to do. */
			op[cpu][k].var = (*seed >> 16) % 3 < 2 ? (*seed >> 16) % 3 : 2 + cpu;
		}
	}
}

/* How many traces; @states without the reduction, and with it. */
static unsigned int one_program(enum explore_memory memory, unsigned int bound, uint64_t states[2])
{
	struct explore_program p = program(CPUS, body), plain;
	unsigned int nr;

	p.end = on_end;
	plain = p;
	p.trace = on_trace;
	keep_order = memory == EXPLORE_SC;
	simplest(memory, bound);
	nr = traces[0].nr;
	search(&p, memory, bound, true, true);
	states[0] += result.states;
	CHECK(same(&traces[0], &traces[1]));
	CHECK(same(&finals[0], &finals[1]));
	search(&p, memory, bound, false, true);
	states[1] += result.states;
	CHECK(same(&traces[0], &traces[1]));
	CHECK(same(&finals[0], &finals[1]));
	/* As dpamt explore does it; under SC the order of the writes is in the final state. */
	search(&plain, memory, bound, false, false);
	CHECK(same(&finals[0], &finals[1]));
	if (keep_order) {
		keep_order = false;
		simplest(memory, bound);
		search(&plain, memory, bound, false, false);
		CHECK(same(&finals[0], &finals[1]));
	}
	return nr;
}

int main(void)
{
	static const char *const name[] = { "sc", "tso" };
	uint64_t seed = 1, states[2][2] = { 0 };
	unsigned int n, bound, memory, nr, most[2] = { 0 };
	char now[64];

	test_begin("test_orders");
	for (n = 0; n < PROGRAMS; n++) {
		draw_program(&seed, n);
		rests = n & 1;
		for (memory = EXPLORE_SC; memory <= EXPLORE_TSO; memory++) {
			for (bound = 0; bound < 4; bound++) {
				snprintf(now, sizeof(now), "program %u, %s, bound %u", n, name[memory],
					 bound);
				test_current = now;
				nr = one_program(memory, bound, states[memory]);
				if (nr > most[memory])
					most[memory] = nr;
			}
		}
	}
	/* Or it would have shown nothing. */
	test_current = "random programs";
	CHECK(most[EXPLORE_SC] > 50 && most[EXPLORE_TSO] > most[EXPLORE_SC]);
	CHECK(states[EXPLORE_SC][1] * 2 < states[EXPLORE_SC][0]);
	CHECK(states[EXPLORE_TSO][1] * 2 < states[EXPLORE_TSO][0]);
	return test_end();
}
