/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the parts of the explorer: explore_memory.c (what code does to memory:
 * hooks, undo log, hash, store buffers), explore_sharing.c (which accesses matter to
 * others), explore_search.c (which CPU is next) and explore_trace.c (running one schedule again, and printing it).
 */
#ifndef DPAMT_EXPLORE_INTERNAL_H
#define DPAMT_EXPLORE_INTERNAL_H

#include "exec/context.h"
#include "exec/explore.h"

#define STACK_SIZE (64ul << 10)
#define STACKS_SIZE (EXPLORE_CPUS * (STACK_SIZE + 4096))
#define BUFFER_MAX 8
/* A schedule this long has a loop that no other CPU's doing ends. */
#define EXPLORE_DEPTH_MAX 100000
/* Operations of a CPU that are told apart; all later ones count as one. */
#define EXPLORE_STEPS 10

enum word_kind { WORD_STATE, WORD_ASIDE, WORD_QUIET, WORD_UNKNOWN };

/* An access that is about to be made. */
struct touch {
	const volatile void *addr;
	uint64_t operand;		/* of @op */
	uint64_t visible;		/* out: the bits of an RMW's old value that the code may see */
	unsigned int size;
	enum shim_access kind;
	enum shim_fetch op;
	bool counts;			/* out: an addition to a counter */
	uint8_t contended;		/* out: other CPUs access these bytes in conflict, some time */
	bool foreign;			/* out: to bytes that other CPUs write, locked or not */
};

struct stored {
	volatile void *addr;
	uint64_t value;
	unsigned int size;
};

enum event { EV_ACCESS, EV_CHOOSE, EV_BLOCK, EV_DONE, EV_FAIL, EV_GREW };

struct cpu {
	struct context context;
	char *low;			/* of the stack, while it does not run */
	const volatile void *waits_for;
	unsigned int last_size;		/* of its last load: what it waits for is that large */
	/*
	 * Hash of where it is: what it has read since it was last at rest, of what others
	 * write too. Before its last access.
	 */
	uint64_t place, place_before;
	unsigned int operation;		/* its number */
	unsigned int step;		/* the same, as far as they are told apart */
	uint64_t saved;			/* number of the saved copy of its stack; 0: it has run since */
	size_t blob, blob_size;		/* where that lies */
	struct explore_access next;	/* what it is about to do */
	uint32_t holds;			/* locks of p.lock, a bit each */
	bool done, at_access;
	bool ended;			/* returned from its body, its buffer is not empty */
	bool woken;			/* its next access is what it was woken for */
	unsigned int nr_stored;
	struct stored stored[BUFFER_MAX];
};

/* All that a node of the search restores, memory and stacks apart. */
struct state {
	uint64_t memory;		/* hash of what differs from the beginning */
	unsigned int current, preemptions;
	unsigned int flushing;		/* CPUs whose buffer is being emptied, a bit each */
	uint64_t depth;			/* steps from the beginning */
	size_t undo, decisions, accesses;
	unsigned int last_count;	/* of the last decision */
	struct cpu cpu[EXPLORE_CPUS];	/* last: not all of it is copied */
};

struct undo {
	uint64_t *word;
	uint64_t old;
};

struct explorer {
	struct explore_program p;
	struct explore_options o;
	struct state live;
	struct context main;
	char *stacks;
	enum event event;
	unsigned int choices, choice;
	const char *failed;
	uint32_t bad_locks;		/* that two CPUs were seen to hold */
	bool distrust;			/* one more, or a counter that is none: start over */
	enum shim_fetch fetch;		/* what the RMW that comes next does */
	uint64_t operand, visible;	/* of the current one */
	bool counts, foreign;
	bool shortcut;			/* nothing is to be seen of what is nobody's business */
	struct cpu *me;			/* that runs */
	struct explore_decision *turn;	/* its decision */
	unsigned int turn_from;		/* accesses in it before it went on */
	bool every_access;		/* replay: stop at each access */

	struct undo *undo;
	size_t undo_room;
	struct explore_decision *decision;
	size_t decision_room;
	struct explore_access *access;
	size_t access_room;
	char *initial[EXPLORE_RANGES];	/* copies of p.memory */
	bool out_of_memory;
};

extern struct explorer x;

/* The CPU whose code runs. */
static inline struct cpu *me(void)
{
	return x.me;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = (a ^ b * 0x9E3779B97F4A7C15ull) + 0x7F4A7C15F39CC060ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

/* explore_memory.c */
extern const struct exec_ops explore_ops;
bool memory_open(void);
void memory_close(void);
/* Back to @nr entries of the undo log. */
void memory_undo(size_t nr);
/* At the beginning again: is all memory as it was? */
bool memory_intact(const void **where);
bool memory_in_buffer(unsigned int cpu, const volatile void *addr, unsigned int size);
uint64_t memory_buffers_hash(unsigned int cpu);
/* Make room for @n more elements of @size bytes at *@array. */
bool explore_grow(void *array, size_t *room, size_t n, size_t size);

/* explore_sharing.c */

/* The locks of a byte that nobody has accessed. */
#define NO_ACCESS 0xffff

/* Who accesses which bytes of an aligned word, or which bits of a byte of the bitmap. */
struct word {
	uintptr_t key;
	uint8_t kind;			/* enum word_kind */
	uint8_t contended;		/* by any two CPUs with no lock in common */
	uint8_t counted;		/* bytes of counters that nobody has touched otherwise */
	bool bitmap;
	uint8_t foreign[EXPLORE_CPUS];	/* bytes that others write */
	uint16_t locks;			/* of p.lock, that lie in it, a bit each */
	uint16_t read_needs, write_needs;	/* who holds these learns nothing new about locks */
	/* In the operation of that number, or a later one. */
	uint8_t reads[EXPLORE_CPUS][EXPLORE_STEPS], writes[EXPLORE_CPUS][EXPLORE_STEPS];
	uint16_t read_locks[8], write_locks[8];	/* held at all of them */
	uint64_t counter_mask;
	bool counter_loads;
};

/* Words by their address, those that were asked for last; never NULL. */
#define SHARING_RECENT 4096
extern struct word *sharing_recent[SHARING_RECENT];

/*
 * WORD_STATE: an access like one before that was nobody's business, so is this one;
 * *@foreign as in struct touch. WORD_UNKNOWN: ask sharing_note().
 */
static inline __attribute__((always_inline)) enum word_kind
sharing_known(const volatile void *addr, unsigned int size, enum shim_access kind, bool *foreign)
{
	uintptr_t a = (uintptr_t)addr;
	const struct word *w = sharing_recent[a >> 3 & (SHARING_RECENT - 1)];
	const struct cpu *c = me();
	unsigned int needs = 0;
	uint8_t mask, news;

	if (w->key != (a & ~7ul) || (a & 7) + size > 8)
		return WORD_UNKNOWN;
	if (w->kind != WORD_STATE)
		return w->kind;
	mask = ((1u << size) - 1) << (a & 7);
	news = w->contended;
	if (kind != SHIM_WRITE) {
		news |= ~w->reads[x.live.current][c->step];
		needs = w->read_needs;
	}
	if (kind != SHIM_READ) {
		news |= ~w->writes[x.live.current][c->step];
		needs |= w->write_needs;
	}
	*foreign = w->foreign[x.live.current] & mask;
	return mask & news || needs & ~c->holds ? WORD_UNKNOWN : WORD_STATE;
}

bool sharing_open(void);
void sharing_close(void);
/* Count again what is shared: a lock protects no more. */
void sharing_restart(void);
enum word_kind sharing_kind(const volatile void *addr);
/* Locks of p.lock in the word at @addr, a bit each. */
unsigned int sharing_locks(const volatile void *addr);
/* Note an access; is it a scheduling point? *@grew: one like it was none before. */
bool sharing_note(struct touch *t, bool *grew);
/* The word at @addr is no counter. */
void sharing_no_counter(const volatile void *addr);
/* Does any other CPU ever access these bytes in conflict? */
bool memory_shared(const volatile void *addr, unsigned int size);

/* explore_search.c: run the current CPU until something is to be decided. */
enum event explore_resume(void);
void explore_finish(void);
void explore_yield(enum event ev);
bool explore_begin(void);
void explore_unwind(void);
bool explore_may_wake(unsigned int cpu);
/* Can it go on? */
static inline bool explore_enabled(unsigned int cpu)
{
	const struct cpu *c = &x.live.cpu[cpu];

	return !c->done && (!c->waits_for || explore_may_wake(cpu));
}
void explore_decide(int cpu, unsigned int n);
void explore_broke(struct explore_result *r, const char *what);
/* What the state itself shows to be broken, NULL if nothing. */
const char *explore_check(void);

#endif
