// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making, describing and resuming a plan (plan.h).
 */
#define _GNU_SOURCE
#include "exec/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exec/emu.h"
#include "measure/environment.h"
#include "td/units.h"

#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3

static int fail(int code, const char *text)
{
	fprintf(stderr, "dpamt: %s\n", text);
	return code;
}

/* ------------------------------------------------------------------ sizes */

u64 plan_arena_bytes(const struct plan *p)
{
	u64 most = 0;
	unsigned int i;

	for (i = 0; i < p->nr_workloads; i++)
		most = max(most, model_host_bytes(p->workload[i]));
	return most;
}

/*
 * What a cell touches for real. Per 4K page of guest memory: 16 bytes of PAMT
 * and 8 of S-EPT; control pages; per 2M region the 2M entry, the count and the
 * allocator's record; the bitmap. Pairs of all regions if a strategy preinstalls them.
 */
static u64 workload_memory(const struct plan *p, const struct workload *w)
{
	u64 guest = 0, host = model_host_bytes(w), regions = host >> PMD_SHIFT, all = 0, lone = 0;
	unsigned int i;

	for (i = 0; i < w->nr_tds; i++) {
		guest += w->tds[i].count * w->tds[i].memory;
		all += w->tds[i].count * (32 + 6 * w->tds[i].vcpus) * PAGE_SIZE;
	}
	if (w->placement.pick == WL_SCATTERED)
		lone = guest / PAGE_SIZE * w->placement.arg / 100 * 2 * PAGE_SIZE;
	all += guest / PAGE_SIZE * (16 + 8 + 1) + lone + regions * (16 + 4 + 96) + host / PAGE_SIZE / 8;
	for (i = 0; i < p->nr_ops; i++)
		if (p->ops[i]->preinstalled || !p->ops[i]->dynamic)
			return max(all, host / PAGE_SIZE * 16 + guest / PAGE_SIZE * 9 + regions * 116);
	return all;
}

u64 plan_memory_bytes(const struct plan *p)
{
	u64 most = 0;
	unsigned int i;

	for (i = 0; i < p->nr_workloads; i++)
		most = max(most, workload_memory(p, p->workload[i]));
	return most + (64ul << 20);
}

static int check_memory(const struct plan *p)
{
	u64 need = plan_memory_bytes(p), have = environment_memory_available();
	char text[256];

	if (!have || need <= have)
		return 0;
	snprintf(text, sizeof(text),
		 "the workloads need %" PRIu64 " MiB of memory at this scale, %" PRIu64
		 " MiB are available; shrink them with --scale 1/N",
		 need >> 20, have >> 20);
	return fail(EXIT_USAGE, text);
}

/* ---------------------------------------------------------------- loading */

/* "name:key=value" is for the workload of that name, "key=value" for all of them. */
static int pick_sets(const struct run_options *o, const struct workload *w, struct plan_source *s)
{
	size_t i, len = strlen(w->name);

	s->sets = calloc(o->nr_sets + 1, sizeof(*s->sets));
	if (!s->sets)
		return -1;
	for (i = 0; i < o->nr_sets; i++) {
		const char *set = o->sets[i];

		if (strcspn(set, ":") < strcspn(set, "=")) {
			if (strncmp(set, w->name, len) || set[len] != ':')
				continue;
			set += len + 1;
		}
		s->sets[s->nr_sets] = strdup(set);
		if (!s->sets[s->nr_sets])
			return -1;
		s->nr_sets++;
	}
	return 0;
}

/* An override for a workload that is not there is a slip of the pen. */
static int check_sets(const struct run_options *o, const struct plan *p)
{
	char text[256];
	unsigned int w;
	size_t i;

	for (i = 0; i < o->nr_sets; i++) {
		size_t len = strcspn(o->sets[i], ":");

		if (len > strcspn(o->sets[i], "="))
			continue;
		for (w = 0; w < p->nr_workloads; w++)
			if (strlen(p->workload[w]->name) == len &&
			    !strncmp(p->workload[w]->name, o->sets[i], len))
				break;
		if (w < p->nr_workloads)
			continue;
		snprintf(text, sizeof(text), "--set: %s: no workload \"%.*s\" in this run", o->sets[i],
			 (int)len, o->sets[i]);
		return fail(EXIT_USAGE, text);
	}
	return 0;
}

static int load_workload(const struct run_options *o, const char *name, unsigned int scale_den,
			 struct workload **out, struct plan_source *source)
{
	static const char *const no_dirs[] = { NULL };
	struct td_error err;
	u64 num = 1, den = scale_den;
	int ret = workload_load(name, no_dirs, out, &err);

	source->path = strdup(name);
	if (!source->path || (!ret && pick_sets(o, *out, source)))
		return fail(EXIT_ENVIRONMENT, "out of memory");
	if (!ret)
		ret = workload_set_all(*out, (const char *const *)source->sets, source->nr_sets, &err);
	if (!ret && !den) {
		num = (*out)->bench_scale.num ? (*out)->bench_scale.num : 1;
		den = (*out)->bench_scale.den ? (*out)->bench_scale.den : 1;
	}
	if (!ret)
		ret = workload_scale(*out, num, den, &err);
	return ret ? fail(EXIT_USAGE, err.text) : 0;
}

static int load_strategies(const struct run_options *o, struct plan *p)
{
	size_t i;

	p->ops = calloc(o->nr_strategies, sizeof(*p->ops));
	if (!p->ops)
		return fail(EXIT_ENVIRONMENT, "out of memory");
	for (i = 0; i < o->nr_strategies; i++) {
		p->ops[i] = pamt_find_ops(o->strategies[i]);
		if (!p->ops[i]) {
			fprintf(stderr, "dpamt: unknown strategy \"%s\"\n", o->strategies[i]);
			return EXIT_USAGE;
		}
	}
	p->nr_ops = o->nr_strategies;
	return 0;
}

/* The CPUs that the largest workload uses of the machine that is simulated. */
static int load_simulated(struct plan *p)
{
	unsigned int i, g;
	u64 most = 0;

	if (!p->machine->has_shape) {
		fprintf(stderr,
			"dpamt: --machine: %s has no [topology] and [line] sections, which a simulated "
			"machine needs\n",
			p->machine->file);
		return EXIT_USAGE;
	}
	for (i = 0; i < p->nr_workloads; i++) {
		u64 vcpus = 0;

		for (g = 0; g < p->workload[i]->nr_tds; g++)
			vcpus += p->workload[i]->tds[g].count * p->workload[i]->tds[g].vcpus;
		most = max(most, vcpus);
	}
	p->threads = min(most, (u64)machine_cpus(p->machine));
	return 0;
}

static int load(const struct run_options *o, struct plan *p)
{
	static const char *const no_dirs[] = { NULL };
	struct td_error err;
	size_t i, usable;
	int ret = load_strategies(o, p);
	char text[256];

	if (ret)
		return ret;
	p->workload = calloc(o->nr_workloads, sizeof(*p->workload));
	p->source = calloc(o->nr_workloads, sizeof(*p->source));
	if (!p->workload || !p->source)
		return fail(EXIT_ENVIRONMENT, "out of memory");
	for (i = 0; i < o->nr_workloads; i++) {
		ret = load_workload(o, o->workloads[i], o->scale_den, &p->workload[i],
				    &p->source[i]);
		p->nr_workloads = i + 1;
		if (ret)
			return ret;
	}
	ret = check_sets(o, p);
	if (ret)
		return ret;
	if (machine_load(o->machine, no_dirs, &p->machine, &err))
		return fail(EXIT_USAGE, err.text);
	if (topology_open(&p->topology, text, sizeof(text)))
		return fail(EXIT_ENVIRONMENT, text);
	topology_cpus(p->topology, &usable);
	p->emu = o->on && !strcmp(o->on, "emu");
	p->scale_den = o->scale_den;
	p->threads = o->threads ? o->threads : p->emu ? emu_cpus(p) : usable;
	if (p->emu && p->threads < emu_cpus(p)) {
		snprintf(text, sizeof(text), "--threads: %u CPUs of the emulated host are fewer than a TD's "
			 "vCPUs: %u", p->threads, emu_cpus(p));
		return fail(EXIT_USAGE, text);
	}
	p->sim = o->sim;
	p->block = o->block;
	if (p->sim)
		ret = load_simulated(p);
	p->blocks = o->blocks;
	p->seed = o->seed & INT64_MAX;
	return ret;
}

/* ------------------------------------------------------------------- order */

static u64 mix(u64 *state)
{
	u64 z = *state += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

static void shuffle(unsigned int *v, unsigned int n, u64 *state)
{
	unsigned int i, j, t;

	for (i = 0; i < n; i++)
		v[i] = i;
	for (i = n; i > 1; i--) {
		j = mix(state) % i;
		t = v[i - 1];
		v[i - 1] = v[j];
		v[j] = t;
	}
}

unsigned int plan_order(const struct plan *p, unsigned int block, struct plan_cell *cell)
{
	unsigned int *w = calloc(p->nr_workloads + p->nr_ops, sizeof(*w)), *s, i, j, n = 0;
	u64 state = p->seed + block;

	if (!w)
		return 0;
	s = w + p->nr_workloads;
	shuffle(w, p->nr_workloads, &state);
	for (i = 0; i < p->nr_workloads; i++) {
		shuffle(s, p->nr_ops, &state);
		for (j = 0; j < p->nr_ops; j++)
			cell[n++] = (struct plan_cell){ .workload = w[i], .strategy = s[j] };
	}
	free(w);
	return n;
}

u64 plan_cell_seed(const struct plan *p, unsigned int block, unsigned int workload)
{
	u64 state = p->seed ^ (u64)block << 32 ^ workload;

	return mix(&state) & INT64_MAX;
}

/* --------------------------------------------------------------- what is done */

static size_t done_index(const struct plan *p, unsigned int block, unsigned int workload,
			 unsigned int strategy)
{
	return (size_t)block * (p->nr_workloads * p->nr_ops + 1) + workload * p->nr_ops + strategy;
}

bool plan_is_done(const struct plan *p, unsigned int block, const struct plan_cell *c)
{
	return p->done[done_index(p, block, c->workload, c->strategy)];
}

bool plan_controls_done(const struct plan *p, unsigned int block)
{
	/* A simulated machine has none: its floors are in the machine file. */
	return p->sim || p->done[done_index(p, block, p->nr_workloads, 0)];
}

unsigned int plan_left(const struct plan *p)
{
	unsigned int b, w, s, left = 0;

	for (b = 0; b < p->blocks; b++)
		for (w = 0; w < p->nr_workloads; w++)
			for (s = 0; s < p->nr_ops; s++)
				left += !p->done[done_index(p, b, w, s)];
	return left;
}

static void mark_done(struct plan *p, const struct result_sample *s)
{
	unsigned int w, i;

	if (s->block < 0 || (unsigned int)s->block >= p->blocks)
		return;
	if (s->kind == RESULT_CONTROL && s->ok)
		p->done[done_index(p, s->block, p->nr_workloads, 0)] = 1;
	if (s->kind != RESULT_CELL || !(s->ok || !strcmp(s->status, "skipped")))
		return;
	for (w = 0; w < p->nr_workloads; w++)
		for (i = 0; i < p->nr_ops; i++)
			if (!strcmp(s->workload, p->workload[w]->name) &&
			    !strcmp(s->strategy, p->ops[i]->name))
				p->done[done_index(p, s->block, w, i)] = 1;
}

/* ---------------------------------------------------------------- run.json */

static json_t *hex(u64 v)
{
	char text[32];

	snprintf(text, sizeof(text), "%016" PRIx64, v);
	return json_string(text);
}

static json_t *command_json(const struct run_options *o)
{
	json_t *a = json_array();
	int i;

	for (i = 0; i < o->argc; i++)
		json_array_append_new(a, json_string(o->argv[i]));
	return a;
}

static json_t *strategies_json(const struct plan *p)
{
	json_t *a = json_array();
	unsigned int i;

	for (i = 0; i < p->nr_ops; i++)
		json_array_append_new(a, json_pack("{s:s,s:b,s:s,s:s}", "name", p->ops[i]->name,
						   "control", p->ops[i]->control, "what",
						   p->ops[i]->what, "read_back", p->ops[i]->name));
	return a;
}

static json_t *workloads_json(const struct plan *p)
{
	json_t *a = json_array();
	unsigned int i, g;

	for (i = 0; i < p->nr_workloads; i++) {
		const struct workload *w = p->workload[i];
		u64 tds = 0, vcpus = 0, memory = 0;
		char scale[UNITS_TEXT_MAX];
		const char *placement[] = { "contiguous", "buddy", "scattered" };
		char place[64];

		for (g = 0; g < w->nr_tds; g++) {
			tds += w->tds[g].count;
			vcpus += w->tds[g].count * w->tds[g].vcpus;
			memory += w->tds[g].count * w->tds[g].memory;
		}
		snprintf(place, sizeof(place), "%s", placement[w->placement.pick]);
		if (w->placement.pick == WL_SCATTERED)
			snprintf(place, sizeof(place), "scattered:%" PRIu64 "%%", w->placement.arg);
		json_array_append_new(
			a, json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:I,s:I,s:I,s:I,s:s}", "name",
				     w->name, "title", w->title, "question", w->question,
				     "asked_by", w->asked_by, "primary",
				     p->emu ? emu_primary() : w->primary, "hash",
				     hex(workload_hash(w)), "scale",
				     format_scale(scale, w->scale_num, w->scale_den), "tds",
				     (json_int_t)tds, "vcpus", (json_int_t)vcpus, "memory_bytes",
				     (json_int_t)memory, "host_bytes",
				     (json_int_t)model_host_bytes(w), "placement", place));
	}
	return a;
}

static json_t *machine_json(const struct machine *m)
{
	json_t *a = json_array(), *o;
	unsigned int i;

	for (i = 0; i < COST_NR; i++)
		json_array_append_new(
			a, json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "key", machine_cost_name(i),
				     "covers", machine_cost_covers(i), "value_ns",
				     (json_int_t)m->costs[i].ns, "low_ns",
				     (json_int_t)m->costs[i].low, "high_ns",
				     (json_int_t)m->costs[i].high, "source", m->costs[i].source));
	o = json_pack("{s:s,s:s,s:o,s:o}", "name", m->name, "title", m->title, "hash",
		      hex(machine_hash(m)), "constants", a);
	if (!m->has_shape)
		return o;
	json_object_set_new(o, "topology",
			    json_pack("{s:I,s:I,s:I}", "sockets", (json_int_t)m->sockets, "cores",
				      (json_int_t)m->cores, "threads", (json_int_t)m->threads));
	a = json_array();
	for (i = 0; i < LINE_NR; i++)
		json_array_append_new(
			a, json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "key", machine_line_name(i),
				     "covers", machine_line_covers(i), "value_ps",
				     (json_int_t)m->lines[i].ns, "low_ps",
				     (json_int_t)m->lines[i].low, "high_ps",
				     (json_int_t)m->lines[i].high, "source", m->lines[i].source));
	json_object_set_new(o, "lines", a);
	return o;
}

static void add_mark(json_t *marks, const char *text)
{
	json_array_append_new(marks, json_pack("{s:s}", "text", text));
}

static json_t *sim_marks_json(const struct plan *p)
{
	json_t *marks = json_array();
	char text[300];

	snprintf(text, sizeof(text),
		 "Simulated: %u CPUs of machine file \"%s\" in virtual time. Strategies, module and their "
		 "conflicts are the real sources; what SEAMCALLs, KVM and cache lines cost is the file's.",
		 p->threads, p->machine->name);
	add_mark(marks, text);
	add_mark(marks, "Read shapes and ratios, not absolute figures, and how far they move with the "
			"constants: dpamt simulate --sensitivity.");
	if (p->block)
		add_mark(marks, "Block mode: of pages that a vCPU streams through most are charged, not "
				"simulated; times hold within 2%, counts of waits do not.");
	return marks;
}

/* What must be read with every table. */
static json_t *marks_json(const struct plan *p)
{
	json_t *marks;
	char text[300];

	if (p->sim)
		return sim_marks_json(p);
	marks = json_array();
	snprintf(text, sizeof(text),
		 "Modelled: KVM's share of a fault (base) and every SEAMCALL take the time that machine "
		 "file \"%s\" says; locking, waiting, allocation and the module's own conflicts are real.",
		 p->machine->name);
	add_mark(marks, text);
	add_mark(marks,
		 "Fault latency: the base is a constant, so differences between strategies are to be read, "
		 "not the absolute figures; no claim about a real host's fault latency is made.");
	snprintf(text, sizeof(text),
		 "Contention is that of %u workers; vCPUs beyond them share a worker and never "
		 "contend with each other.",
		 p->threads);
	add_mark(marks, text);
	add_mark(marks,
		 "Saved per TD: a page that lies alone in its region costs 8 KiB of pairs against 16 bytes of "
		 "static PAMT, and a TD that has faulted all of its memory in 4K pages saves nothing; what the "
		 "host saves is its unused and its 2M-mapped memory.");
	add_mark(marks, p->note);
	return marks;
}

/* The same in one line, for each table. */
static json_t *mark_json(const struct plan *p)
{
	if (p->sim)
		return json_sprintf("Simulated: %u CPUs of machine file \"%s\"%s; see what it can and "
				    "cannot claim.",
				    p->threads, p->machine->name, p->block ? ", block mode" : "");
	return json_sprintf("Modelled: the times of SEAMCALLs and of KVM are machine file \"%s\"'s; %u "
			    "workers; see what it can and cannot claim.",
			    p->machine->name, p->threads);
}

static json_t *strings_json(const char *const *v, size_t nr)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < nr; i++)
		json_array_append_new(a, json_string(v[i]));
	return a;
}

/* What --resume needs to make the same plan again. */
static json_t *inputs_json(const struct run_options *o)
{
	return json_pack("{s:o,s:o,s:o,s:s,s:i,s:i,s:b,s:b}", "strategies",
			 strings_json(o->strategies, o->nr_strategies), "workloads",
			 strings_json(o->workloads, o->nr_workloads), "sets",
			 strings_json(o->sets, o->nr_sets), "machine", o->machine, "scale_den",
			 (int)o->scale_den, "threads", (int)o->threads, "sim", o->sim, "block",
			 o->block);
}

static const char *executor_name(const struct plan *p)
{
	return p->emu ? "emu" : p->sim ? "sim" : "model";
}

static json_t *meta_json(const struct run_options *o, struct plan *p)
{
	char started[32], resume[PATH_MAX + 64], scale[64] = "", one[UNITS_TEXT_MAX];
	time_t now = time(NULL);
	unsigned int i;
	json_t *meta;
	u64 vcpus = 0;

	strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	snprintf(resume, sizeof(resume), "%s run --resume %s", o->argc ? o->argv[0] : "dpamt", p->dir);
	for (i = 0; i < p->nr_workloads; i++) {
		unsigned int g;

		format_scale(one, p->workload[i]->scale_num, p->workload[i]->scale_den);
		if (i && strcmp(scale, one))
			snprintf(scale, sizeof(scale), "per workload");
		else if (!i)
			snprintf(scale, sizeof(scale), "%s", one);
		for (g = 0; g < p->workload[i]->nr_tds; g++)
			vcpus = max(vcpus, p->workload[i]->tds[g].count * p->workload[i]->tds[g].vcpus);
	}
	meta = json_pack("{s:i,s:s,s:s,s:o,s:s,s:s,s:o,s:o,s:o,s:s,s:i,s:i,s:I,s:i,s:o,s:o}",
			 "schema", RESULT_SCHEMA, "run_id", p->run_id, "started", started,
			 "command", command_json(o), "resume_command", resume, "on", executor_name(p),
			 "strategies", strategies_json(p), "workloads", workloads_json(p),
			 "machine", machine_json(p->machine), "scale", scale, "blocks",
			 (int)p->blocks, "blocks_done", 0, "seed", (json_int_t)p->seed, "threads",
			 (int)p->threads, "topology", topology_json(p->topology), "environment",
			 environment_json(NULL));
	if (!meta)
		return NULL;
	json_object_set(meta, "options", o->echo);
	json_object_set_new(meta, "plan", inputs_json(o));
	json_object_set(meta, "git",
			json_object_get(json_object_get(meta, "environment"), "git"));
	json_object_set_new(meta, "counters", json_pack("{s:b,s:s}", "available", p->counters,
							"note", p->note));
	if (p->emu) {
		/* no machine file has a part in it */
		json_object_del(meta, "machine");
		emu_describe(p, meta);
	} else {
		json_object_set_new(meta, "marks", marks_json(p));
		json_object_set_new(meta, "mark", mark_json(p));
	}
	json_object_set_new(meta, "status", json_string("running"));
	return meta;
}

/* --------------------------------------------------------------- new, resume */

static int new_run(const struct run_options *o, struct plan *p)
{
	time_t now = time(NULL);
	char stamp[32];
	int ret;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&now));
	if (asprintf(&p->run_id, "%s-%s-%04x", stamp, executor_name(p),
		     (unsigned int)getpid() & 0xffff) < 0 ||
	    asprintf(&p->dir, "%s/%s", o->out, p->run_id) < 0)
		return fail(EXIT_ENVIRONMENT, "out of memory");
	p->meta = meta_json(o, p);
	if (!p->meta)
		return fail(EXIT_ENVIRONMENT, "run.json cannot be made: out of memory");
	ret = result_create(p->dir, p->meta);
	if (ret) {
		fprintf(stderr, "dpamt: --out: results folder %s cannot be written: %s\n", p->dir,
			strerror(-ret));
		return EXIT_USAGE;
	}
	return 0;
}

/* What must be as it was for cells of one run to belong together. */
static const char *const same_keys[] = { "strategies", "workloads", "scale", "threads", "blocks" };

static int check_same(const struct plan *p, const struct result_run *old, const json_t *now)
{
	const json_t *a, *b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(same_keys); i++) {
		a = json_object_get(old->meta, same_keys[i]);
		b = json_object_get(now, same_keys[i]);
		if (!json_equal(a, b)) {
			fprintf(stderr,
				"dpamt: --resume: %s: \"%s\" differs from what was run; give the same options, "
				"or start a new run\n",
				p->dir, same_keys[i]);
			return EXIT_USAGE;
		}
	}
	a = json_object_get(json_object_get(old->meta, "machine"), "hash");
	b = json_object_get(json_object_get(now, "machine"), "hash");
	if (!p->emu && !json_equal(a, b)) {
		fprintf(stderr, "dpamt: --resume: the machine file differs from the one that was run\n");
		return EXIT_USAGE;
	}
	return 0;
}

/* An array of strings of run.json's plan; the strings stay owned by @meta. */
static int read_strings(const json_t *plan, const char *key, const char ***v, size_t *nr)
{
	const json_t *a = json_object_get(plan, key);
	size_t i;

	*nr = json_array_size(a);
	*v = calloc(*nr + 1, sizeof(**v));
	if (!*v)
		return -ENOMEM;
	for (i = 0; i < *nr; i++) {
		(*v)[i] = json_string_value(json_array_get(a, i));
		if (!(*v)[i])
			return -EINVAL;
	}
	return 0;
}

/*
 * A resumed run takes its plan from its own run.json; what the command line says
 * beside --resume is not looked at.
 */
static int resume_options(const struct run_options *o, struct plan *p, struct run_options *r)
{
	const json_t *plan;
	const char **sets;
	char err[1024];

	if (result_load(o->resume, &p->old, err, sizeof(err))) {
		fprintf(stderr, "dpamt: --resume: %s\n", err);
		return EXIT_USAGE;
	}
	plan = json_object_get(p->old->meta, "plan");
	*r = *o;
	r->on = json_string_value(json_object_get(p->old->meta, "on"));
	r->machine = json_string_value(json_object_get(plan, "machine"));
	r->scale_den = json_integer_value(json_object_get(plan, "scale_den"));
	r->threads = json_integer_value(json_object_get(plan, "threads"));
	r->sim = json_is_true(json_object_get(plan, "sim"));
	r->block = json_is_true(json_object_get(plan, "block"));
	r->blocks = json_integer_value(json_object_get(p->old->meta, "blocks"));
	r->seed = json_integer_value(json_object_get(p->old->meta, "seed"));
	if (read_strings(plan, "strategies", &r->strategies, &r->nr_strategies) ||
	    read_strings(plan, "workloads", &r->workloads, &r->nr_workloads) ||
	    read_strings(plan, "sets", &sets, &r->nr_sets) || !r->machine || !r->blocks) {
		fprintf(stderr, "dpamt: --resume: %s/run.json has no plan to go on with\n", o->resume);
		return EXIT_USAGE;
	}
	r->sets = sets;
	return 0;
}

static int reopen(const struct run_options *r, struct plan *p)
{
	json_t *now;
	size_t i;
	int ret;

	p->dir = strdup(r->resume);
	p->run_id = strdup(p->old->run_id);
	now = p->dir && p->run_id ? meta_json(r, p) : NULL;
	ret = now ? check_same(p, p->old, now) : EXIT_ENVIRONMENT;
	json_decref(now);
	for (i = 0; i < p->old->nr_samples && !ret; i++)
		mark_done(p, &p->old->samples[i]);
	p->meta = json_incref(p->old->meta);
	return ret;
}

static int make(const struct run_options *o, struct plan *p)
{
	struct counters c;
	int ret = load(o, p);

	if (!ret && !p->emu)
		ret = check_memory(p);
	else if (!ret && !o->dry_run)
		ret = emu_check(p);
	if (ret)
		return ret;
	p->done = calloc(p->blocks, p->nr_workloads * p->nr_ops + 1);
	if (!p->done)
		return fail(EXIT_ENVIRONMENT, "out of memory");
	p->counters = !counters_open(&c, p->note);
	counters_close(&c);
	return 0;
}

int plan_make(const struct run_options *o, struct plan *p)
{
	struct run_options r;
	int ret;

	memset(p, 0, sizeof(*p));
	if (!o->resume) {
		ret = make(o, p);
		return ret || o->dry_run ? ret : new_run(o, p);
	}
	ret = resume_options(o, p, &r);
	if (!ret)
		ret = make(&r, p);
	if (!ret)
		ret = reopen(&r, p);
	if (p->old) {
		free(r.strategies);
		free(r.workloads);
		free((void *)r.sets);
	}
	return ret;
}

void plan_free(struct plan *p)
{
	unsigned int i;

	for (i = 0; i < p->nr_workloads; i++) {
		workload_free(p->workload[i]);
		for (size_t s = 0; s < p->source[i].nr_sets; s++)
			free(p->source[i].sets[s]);
		free(p->source[i].sets);
		free(p->source[i].path);
	}
	free(p->source);
	free(p->workload);
	free(p->ops);
	machine_free(p->machine);
	topology_free(p->topology);
	free(p->done);
	free(p->dir);
	free(p->run_id);
	json_decref(p->meta);
	result_free(p->old);
}
