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
#include "exec/sim.h"
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

		if (sim_too_long(p->workload[i])) {
			fprintf(stderr, "dpamt: workload %s: %s; shorten its staggered starts or idle phases\n",
				p->workload[i]->name, SIM_TOO_LONG);
			return EXIT_USAGE;
		}
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

/* --------------------------------------------------------------- new, resume */

static int new_run(const struct run_options *o, struct plan *p)
{
	time_t now = time(NULL);
	char stamp[32];
	int ret;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&now));
	if (asprintf(&p->run_id, "%s-%s-%04x", stamp, plan_executor(p),
		     (unsigned int)getpid() & 0xffff) < 0 ||
	    asprintf(&p->dir, "%s/%s", o->out, p->run_id) < 0)
		return fail(EXIT_ENVIRONMENT, "out of memory");
	p->meta = plan_meta(o, p);
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
	now = p->dir && p->run_id ? plan_meta(r, p) : NULL;
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
