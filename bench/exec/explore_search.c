// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which CPU is next: the depth-first search over schedules with undo, seen states
 * and a bound on preemptions, and random schedules by priorities (explore.h).
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "exec/explore_internal.h"

#define SEEN_MAX (1ul << 25)
#define LARGE_PAGE (2ul << 20)

struct explorer x;

struct node {
	struct state s;
	bool is_choice;
	unsigned int next, nr;			/* alternatives: the next one, how many */
	uint8_t cpu[EXPLORE_CPUS], cost[EXPLORE_CPUS];
	size_t blobs;				/* the blob arena's end before it */
};

static struct node *node;
static size_t nr_nodes, node_room;
static char *blob;
static size_t blob_end, blob_room;
static uint64_t blob_serial;
/*
 * Open addressing. The low bits are the number of preemptions left, plus 1, or LEFT if any
 * number may be made. 0: free.
 */
#define LEFT (EXPLORE_BOUND_MAX + 1ull)
_Static_assert(!(LEFT & (LEFT + 1)), "bits of a key");
static uint64_t *seen;
static size_t nr_seen, seen_size;
static uint64_t now_at[EXPLORE_CPUS];	/* which saved copy a stack is equal to */
static bool cut;

/* ----------------------------------------------------------------- fibers */

void explore_yield(enum event ev)
{
	struct cpu *c = me();

	x.event = ev;
#ifdef CONTEXT_OWN
	context_switch(&c->context, &x.main);
#else
	/* How far down swapcontext() itself goes is not known: a page below is plenty. */
	c->low = (char *)__builtin_frame_address(0) - 4096;
	context_switch(&c->context, &x.main);
#endif
}

static void entry(void)
{
	x.p.body(x.p.arg, x.live.current);
	explore_finish();
	abort();
}

enum event explore_resume(void)
{
	struct cpu *c = &x.live.cpu[x.live.current];

	x.me = c;
	c->saved = 0;
	x.turn = &x.decision[x.live.decisions - 1];
	x.turn_from = x.turn->n;
	x.p.set_cpu(x.live.current);
	exec_now = &explore_ops;
	exec_untold = (struct exec_untold){ (uintptr_t)x.stacks, STACKS_SIZE };
	context_switch(&x.main, &c->context);
	exec_now = NULL;
#ifdef CONTEXT_OWN
	c->low = c->context.sp;
#endif
	return x.event;
}

void explore_decide(int cpu, unsigned int n)
{
	struct explore_decision *d;

	if (!explore_grow(&x.decision, &x.decision_room, x.live.decisions + 1, sizeof(*d)))
		return;
	d = &x.decision[x.live.decisions];
	if (cpu >= 0 && x.live.decisions && d[-1].cpu == cpu)
		return;
	*d = (struct explore_decision){ cpu, n };
	x.live.decisions++;
}

bool explore_begin(void)
{
	unsigned int i;

	memset(&x.live, 0, sizeof(x.live));
	for (i = 0; i < x.p.nr; i++) {
		char *stack = context_stack_of(x.stacks, i, STACK_SIZE);
		struct cpu *c = &x.live.cpu[i];

		context_make(&c->context, stack, STACK_SIZE, entry);
		c->low = stack + STACK_SIZE - 256;
		c->place = c->place_before = mix(0, 3);
		c->next.kind = SHIM_FENCE;
		now_at[i] = 0;
	}
	x.live.current = x.p.nr;
	x.shortcut = !x.o.no_reduction && !x.every_access;
	x.failed = NULL;
	return !x.out_of_memory;
}

void explore_unwind(void)
{
	memory_undo(0);
	nr_nodes = 0;
	blob_end = 0;
	blob_serial = 0;
}

bool explore_open(const struct explore_program *p)
{
	explore_close();
	x.p = *p;
	x.stacks = context_stacks(EXPLORE_CPUS, STACK_SIZE);
	return x.stacks && memory_open();
}

void explore_close(void)
{
	memory_close();
	context_stacks_free(x.stacks, EXPLORE_CPUS, STACK_SIZE);
	free(x.undo);
	free(x.decision);
	free(x.access);
	memset(&x, 0, sizeof(x));
	free(node);
	free(blob);
	free(seen);
	node = NULL;
	blob = NULL;
	seen = NULL;
	nr_nodes = node_room = blob_end = blob_room = seen_size = nr_seen = 0;
}

/* ------------------------------------------------------------------ nodes */

static void save_stacks(void)
{
	for (unsigned int i = 0; i < x.p.nr; i++) {
		struct cpu *c = &x.live.cpu[i];
		char *top = context_stack_of(x.stacks, i, STACK_SIZE) + STACK_SIZE;

		if (c->saved)
			continue;
		c->blob = blob_end;
		c->blob_size = top - c->low;
		if (!explore_grow(&blob, &blob_room, blob_end + c->blob_size, 1))
			return;
		memcpy(blob + blob_end, c->low, c->blob_size);
		blob_end += c->blob_size;
		c->saved = now_at[i] = ++blob_serial;
	}
}

/* What there is no CPU for, and the empty part of buffers, is not copied. */
static void copy_state(struct state *to, const struct state *from)
{
	memcpy(to, from, offsetof(struct state, cpu));
	for (unsigned int i = 0; i < x.p.nr; i++)
		memcpy(&to->cpu[i], &from->cpu[i],
		       offsetof(struct cpu, stored[from->cpu[i].nr_stored]));
}

static struct node *push(void)
{
	size_t blobs = blob_end;
	struct node *n;

	if (!explore_grow(&node, &node_room, nr_nodes + 1, sizeof(*node)))
		return NULL;
	save_stacks();
	n = &node[nr_nodes++];
	copy_state(&n->s, &x.live);
	n->s.last_count = x.live.decisions ? x.decision[x.live.decisions - 1].n : 0;
	n->blobs = blobs;
	n->next = 1;
	return n;
}

static void restore(const struct node *n)
{
	unsigned int i;

	memory_undo(n->s.undo);
	for (i = 0; i < x.p.nr; i++) {
		const struct cpu *c = &n->s.cpu[i];

		/* What lies there now: a copy that it has run on from, or not. */
		if (x.live.cpu[i].saved != c->saved || now_at[i] != c->saved) {
			memcpy(c->low, blob + c->blob, c->blob_size);
			now_at[i] = c->saved;
		}
	}
	copy_state(&x.live, &n->s);
	if (x.live.decisions)
		x.decision[x.live.decisions - 1].n = n->s.last_count;
}

/* -------------------------------------------------------------- seen states */

static uint64_t state_key(void)
{
	unsigned int cur = x.live.current;
	const struct cpu *on = &x.live.cpu[cur];
	bool goes_on = cur < x.p.nr && !on->done && !on->waits_for && !on->ended;
	uint64_t h = mix(x.live.memory, goes_on ? cur : EXPLORE_CPUS);

	for (unsigned int i = 0; i < x.p.nr; i++) {
		const struct cpu *c = &x.live.cpu[i];

		h = mix(h, c->done ? 1 : c->ended ? 2 : c->place);
		h = mix(h, (uintptr_t)c->waits_for);
		h = mix(h, memory_buffers_hash(i));
	}
	return h;
}

/* Every look-up is a miss: in large pages it is one only. */
static uint64_t *alloc_keys(size_t size)
{
	size_t bytes = size * sizeof(uint64_t);
	void *keys;

	if (bytes < LARGE_PAGE)
		return calloc(size, sizeof(uint64_t));
	if (posix_memalign(&keys, LARGE_PAGE, bytes))
		return NULL;
	madvise(keys, bytes, MADV_HUGEPAGE);
	return memset(keys, 0, bytes);
}

static bool grow_seen(void)
{
	size_t size = seen_size ? 2 * seen_size : 1 << 14, i, k;
	uint64_t *keys = alloc_keys(size);

	if (!keys)
		return false;
	for (i = 0; i < seen_size; i++) {
		if (!seen[i])
			continue;
		for (k = seen[i] >> 8 & (size - 1); keys[k]; k = (k + 1) & (size - 1))
			;
		keys[k] = seen[i];
	}
	free(seen);
	seen = keys;
	seen_size = size;
	return true;
}

/* Its place in the table, which is far away, will be looked at soon. */
static void expect(uint64_t key)
{
	if (seen_size)
		__builtin_prefetch(&seen[key >> 8 & (seen_size - 1)]);
}

/* Was this state searched with as many preemptions left? If not, it is now. */
static bool was_seen(uint64_t key, unsigned int remaining)
{
	uint64_t now = (key & ~LEFT) | (remaining < LEFT ? remaining + 1 : LEFT);
	size_t i;

	if (2 * nr_seen >= seen_size && nr_seen < SEEN_MAX && !grow_seen())
		return false;
	for (i = key >> 8 & (seen_size - 1); seen[i]; i = (i + 1) & (seen_size - 1)) {
		if ((seen[i] ^ now) & ~LEFT)
			continue;
		if (seen[i] >= now)
			return true;
		seen[i] = now;
		return false;
	}
	/* Full: what is not remembered is searched again, which is only slow. */
	if (2 * nr_seen >= seen_size)
		return false;
	seen[i] = now;
	nr_seen++;
	return false;
}

/* ----------------------------------------------------------------- search */

/* It waits: is there a store for it in a buffer? */
bool explore_may_wake(unsigned int cpu)
{
	const struct cpu *c = &x.live.cpu[cpu];

	for (unsigned int i = 0; i < x.p.nr; i++)
		if (i != cpu && memory_in_buffer(i, c->waits_for, c->last_size))
			return true;
	return false;
}

void explore_broke(struct explore_result *r, const char *what)
{
	size_t n = x.live.decisions;

	r->end = EXPLORE_BROKEN;
	snprintf(r->what, sizeof(r->what), "%s", what);
	free(r->schedule);
	r->schedule = malloc(n * sizeof(*r->schedule) + 1);
	r->nr_schedule = r->schedule ? n : 0;
	if (r->schedule)
		memcpy(r->schedule, x.decision, n * sizeof(*r->schedule));
}

const char *explore_check(void)
{
	const char *what = NULL;
	unsigned int i, done = 0, enabled = 0;

	if (x.event == EV_FAIL)
		return x.failed;
	if (x.p.step)
		what = x.p.step(x.p.arg);
	if (what)
		return what;
	for (i = 0; i < x.p.nr; i++) {
		done += x.live.cpu[i].done;
		enabled += explore_enabled(i);
	}
	if (done == x.p.nr)
		return x.p.end ? x.p.end(x.p.arg) : NULL;
	if (!enabled)
		return "deadlock: CPUs wait for each other";
	if (x.live.depth > EXPLORE_DEPTH_MAX)
		return "livelock: a schedule that does not end";
	return NULL;
}

static uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static bool late(struct explore_result *r)
{
	if (r->steps & 0xfff)
		return false;
	if (x.o.tick && x.o.tick(r->states, r->ends))
		return true;
	return x.o.deadline_ns && clock_now() > x.o.deadline_ns;
}

static void turn_to(unsigned int cpu)
{
	x.live.current = cpu;
	explore_decide(cpu, 0);
}

/*
 * Before the next step of somebody: fills @n with who may come next and what it
 * costs. The current CPU comes first if it can go on.
 */
static unsigned int alternatives(struct node *n)
{
	unsigned int cur = x.live.current, nr = 0, i;
	bool on = cur < x.p.nr && explore_enabled(cur) && !x.live.cpu[cur].waits_for;
	/* Emptying a buffer after the end is not the CPU's own progress. */
	bool costs = on && !x.live.cpu[cur].ended;

	if (on) {
		n->cpu[nr] = cur;
		n->cost[nr++] = 0;
	}
	for (i = 0; i < x.p.nr; i++) {
		if ((on && i == cur) || !explore_enabled(i))
			continue;
		if (costs && x.live.preemptions >= x.o.bound) {
			cut = true;
			continue;
		}
		n->cpu[nr] = i;
		n->cost[nr++] = costs;
	}
	return nr;
}

static bool no_memory(struct explore_result *r)
{
	r->end = EXPLORE_CONFUSED;
	snprintf(r->what, sizeof(r->what), "out of memory");
	return false;
}

/* Forward to the end of a schedule, or to a state that was seen. false: stop searching. */
static bool forward(struct explore_result *r)
{
	struct node alt, *n;
	const char *what;
	uint64_t key = 0;

	for (;;) {
		if (x.live.current < x.p.nr) {
			enum event ev = explore_resume();

			if (x.out_of_memory)
				return no_memory(r);
			if (ev == EV_GREW) {
				r->end = EXPLORE_CONFUSED;	/* search() starts over */
				r->what[0] = 0;
				return false;
			}
			if (ev == EV_CHOOSE) {
				explore_decide(-1, 0);
				n = push();
				if (!n)
					continue;
				n->is_choice = true;
				n->nr = x.choices;
				x.choice = 0;
				turn_to(x.live.current);
				continue;
			}
			r->steps++;
			x.live.depth++;
			key = state_key();
			expect(key);
			what = explore_check();
			if (what) {
				explore_broke(r, what);
				return false;
			}
		}
		if (late(r)) {
			r->end = EXPLORE_TIME;
			return false;
		}
		alt.nr = alternatives(&alt);
		if (!alt.nr) {
			r->ends++;
			if (x.p.trace)
				x.p.trace(x.p.arg, x.access, x.live.accesses);
			return true;
		}
		if (!x.o.no_cache &&
		    was_seen(key, x.o.bound == UINT_MAX ? UINT_MAX :
								     x.o.bound - x.live.preemptions))
			return true;
		r->states++;
		if (alt.nr > 1) {
			n = push();
			if (!n)
				continue;
			n->is_choice = false;
			n->nr = alt.nr;
			memcpy(n->cpu, alt.cpu, sizeof(alt.cpu));
			memcpy(n->cost, alt.cost, sizeof(alt.cost));
		}
		x.live.preemptions += alt.cost[0];
		turn_to(alt.cpu[0]);
	}
}

/* The next alternative of the deepest node that has one. false: there is none. */
static bool back(void)
{
	while (nr_nodes) {
		struct node *n = &node[nr_nodes - 1];
		unsigned int k = n->next++;

		if (k >= n->nr) {
			nr_nodes--;
			blob_end = n->blobs;
			continue;
		}
		restore(n);
		if (n->is_choice) {
			x.choice = k;
			x.decision[x.live.decisions - 1].n = k;
			turn_to(x.live.current);
		} else {
			x.live.preemptions += n->cost[k];
			turn_to(n->cpu[k]);
		}
		return true;
	}
	return false;
}

static void forget(void)
{
	/* The first of many small searches after a large one. */
	if (nr_seen < seen_size / 64) {
		free(seen);
		seen = NULL;
		seen_size = 0;
	}
	if (seen_size)
		memset(seen, 0, seen_size * sizeof(*seen));
	nr_seen = 0;
}

/* Nothing went past the hooks, or what was searched means nothing. */
static void check_intact(struct explore_result *r)
{
	const void *where;

	if (r->end == EXPLORE_CONFUSED || memory_intact(&where))
		return;
	r->end = EXPLORE_CONFUSED;
	snprintf(r->what, sizeof(r->what), "memory at %p was written unseen", where);
}

void explore_search(const struct explore_options *o, struct explore_result *r)
{
	memset(r, 0, sizeof(*r));
	x.o = *o;
	x.every_access = false;
	if (o->bound > EXPLORE_BOUND_MAX && o->bound != UINT_MAX) {
		r->end = EXPLORE_CONFUSED;
		snprintf(r->what, sizeof(r->what), "a bound above %u, which none of the keys holds",
			 EXPLORE_BOUND_MAX);
		return;
	}
again:
	sharing_restart();
	forget();
	cut = false;
	r->states = r->steps = r->ends = 0;
	explore_begin();
	r->end = EXPLORE_EXHAUSTED;
	while (forward(r) && back())
		;
	explore_unwind();
	if (r->end == EXPLORE_CONFUSED && !r->what[0])
		goto again;
	check_intact(r);
	r->whole = r->end == EXPLORE_EXHAUSTED && !cut;
}

/* -------------------------------------------------------- random priorities */

static uint64_t rng;

static uint64_t draw(void)
{
	return mix(rng += 0x9E3779B97F4A7C15ull, 7);
}

/* The current CPU to its next step, choices drawn. */
static void random_step(void)
{
	unsigned int cpu = x.live.current;

	while (explore_resume() == EV_CHOOSE) {
		x.choice = draw() % x.choices;
		explore_decide(-1, x.choice);
		turn_to(cpu);
	}
}

/* One schedule, of about @length steps; its length, if nothing ended it (x.event, r->end). */
static uint64_t one_random(struct explore_result *r, uint64_t length)
{
	uint64_t change[16];
	unsigned int prio[EXPLORE_CPUS], i, k, d = x.o.bound < 16 ? x.o.bound : 16;
	unsigned int low = 0;

	for (i = 0; i < d; i++)
		change[i] = draw() % (length + 1);
	for (i = 0; i < x.p.nr; i++)
		prio[i] = 1000 + i;
	for (i = x.p.nr - 1; i; i--) {
		unsigned int t = prio[i];

		k = draw() % (i + 1);
		prio[i] = prio[k];
		prio[k] = t;
	}
	explore_begin();
	for (;;) {
		const char *what;

		for (i = 0, k = x.p.nr; i < x.p.nr; i++)
			if (explore_enabled(i) && (k == x.p.nr || prio[i] > prio[k]))
				k = i;
		if (k == x.p.nr)
			return x.live.depth;
		for (i = 0; i < d; i++)
			if (change[i] == x.live.depth && low < 999)
				prio[k] = 999 - ++low;
		turn_to(k);
		random_step();
		if (x.out_of_memory)
			return no_memory(r);
		if (x.event == EV_GREW)
			return 0;
		r->steps++;
		x.live.depth++;
		what = explore_check();
		if (what) {
			explore_broke(r, what);
			return 0;
		}
	}
}

void explore_random(const struct explore_options *o, uint64_t seed, uint64_t runs,
		    struct explore_result *r)
{
	uint64_t length = 100, len, n;

	memset(r, 0, sizeof(*r));
	x.o = *o;
	x.every_access = false;
	r->end = EXPLORE_EXHAUSTED;
	for (n = 0; n < runs && r->end == EXPLORE_EXHAUSTED; n++) {
		/* Shared bytes that come up in it are scheduling points from now on: again. */
		do {
			sharing_restart();
			rng = seed + n;
			len = one_random(r, length);
			explore_unwind();
		} while (x.event == EV_GREW && r->end == EXPLORE_EXHAUSTED);
		if (r->end != EXPLORE_EXHAUSTED)
			break;
		r->ends++;
		if (len > length)
			length = len;
		if ((o->deadline_ns && clock_now() > o->deadline_ns) ||
		    (o->tick && !(n & 0xf) && o->tick(r->steps, r->ends)))
			r->end = EXPLORE_TIME;
	}
	check_intact(r);
}
