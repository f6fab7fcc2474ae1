// SPDX-License-Identifier: GPL-2.0-only
/* Cells of sweeps (sweep.h). */
#include "exec/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/sim.h"
#include "td/compile.h"
#include "td/units.h"

#define SWEEP_TDS 16u		/* TDs at most: HKIDs are scarce, and big hosts have big TDs */
#define SWEEP_TD_VCPUS 4u	/* vCPUs of a TD while there are fewer TDs */
#define SWEEP_VCPU_MIB 1u

/* ----------------------------------------------------------------- grids */

static int axis_fail(char *err, size_t size, const char *axis, const char *what)
{
	snprintf(err, size, "\"%s\" %s; valid: vcpus=A..B or A:B:C from 1 to %u, lone=A..B%% or "
			    "A:B:C%% from 0 to 100",
		 axis, what, SIM_CPUS_MAX);
	return -EINVAL;
}

static int add_value(struct sweep_axis *a, uint64_t v)
{
	if (a->nr == SWEEP_VALUES_MAX)
		return -EINVAL;
	a->value[a->nr++] = v;
	return 0;
}

/* The steps of a ladder between @from and @to, both included. */
static void climb(struct sweep_axis *a, uint64_t from, uint64_t to, bool lone)
{
	static const uint64_t percent[] = { 0, 10, 25, 50, 75, 100 };
	uint64_t v;
	size_t i;

	add_value(a, from);
	if (lone) {
		for (i = 0; i < ARRAY_SIZE(percent); i++)
			if (percent[i] > from && percent[i] < to)
				add_value(a, percent[i]);
	} else {
		for (v = 1; v < to; v *= 2)
			if (v > from)
				add_value(a, v);
	}
	if (to > from)
		add_value(a, to);
}

static int parse_axis(char *text, struct sweep_axis *a, uint64_t low, uint64_t high, bool lone)
{
	char *dots = strstr(text, ".."), *part;
	uint64_t from, to;
	size_t len = strlen(text);

	if (lone && len && text[len - 1] == '%')
		text[len - 1] = 0;
	a->nr = 0;
	if (dots) {
		*dots = 0;
		if (parse_count(text, &from) || parse_count(dots + 2, &to) || from > to ||
		    from < low || to > high)
			return -EINVAL;
		climb(a, from, to, lone);
		return 0;
	}
	while ((part = strsep(&text, ":")))
		if (parse_count(part, &from) || from < low || from > high || add_value(a, from) ||
		    (a->nr > 1 && from <= a->value[a->nr - 2]))
			return -EINVAL;
	return 0;
}

/* @vcpus vCPUs as TDs: how many, and how many vCPUs each has. */
static uint64_t share_tds(uint64_t vcpus, uint64_t *per)
{
	uint64_t tds = vcpus / SWEEP_TD_VCPUS;

	tds = tds < 1 ? 1 : tds > SWEEP_TDS ? SWEEP_TDS : tds;
	*per = vcpus / tds;
	return tds;
}

/* What is simulated is what the axis says: whole TDs, and each number once. */
static bool round_vcpus(struct sweep_axis *a)
{
	unsigned int i, nr = 0;
	bool rounded = false;
	uint64_t per, v;

	for (i = 0; i < a->nr; i++) {
		v = share_tds(a->value[i], &per) * per;
		rounded |= v != a->value[i];
		if (!nr || v != a->value[nr - 1])
			a->value[nr++] = v;
	}
	a->nr = nr;
	return rounded;
}

int sweep_parse(const char *text, struct sweep_grid *g, char *err, size_t err_size)
{
	char copy[256], *rest = copy, *axis, name[256];
	bool vcpus = false, lone = false;

	if (strlen(text) >= sizeof(copy))
		return axis_fail(err, err_size, "..", "is too long");
	strcpy(copy, text);
	*g = (struct sweep_grid){ .vcpus = { 1, { 16 } }, .lone = { 1, { 50 } } };
	while ((axis = strsep(&rest, ","))) {
		bool is_vcpus = !strncmp(axis, "vcpus=", 6), is_lone = !strncmp(axis, "lone=", 5);
		int ret;

		strcpy(name, axis);
		if (!is_vcpus && !is_lone)
			return axis_fail(err, err_size, name, "is no axis");
		if ((is_vcpus && vcpus) || (is_lone && lone))
			return axis_fail(err, err_size, name, "is an axis that was given before");
		ret = is_vcpus ? parse_axis(axis + 6, &g->vcpus, 1, SIM_CPUS_MAX, false) :
				 parse_axis(axis + 5, &g->lone, 0, 100, true);
		if (ret)
			return axis_fail(err, err_size, name, "is empty or out of range");
		vcpus |= is_vcpus;
		lone |= is_lone;
	}
	g->rounded = round_vcpus(&g->vcpus);
	return 0;
}

/* ----------------------------------------------------------------- cells */

enum { SET_LONE, SET_COUNT, SET_VCPUS, SET_MEMORY, POINT_SETS };
typedef char point_sets[POINT_SETS][96];

/* What a point of the grid sets. */
static void make_sets(point_sets set, const struct workload *w, uint64_t vcpus, uint64_t lone)
{
	uint64_t per, tds = share_tds(vcpus, &per);
	const char *group = w->tds[0].name;

	snprintf(set[SET_LONE], sizeof(set[0]), "placement=scattered:%" PRIu64 "%%", lone);
	snprintf(set[SET_COUNT], sizeof(set[0]), "td.%s.count=%" PRIu64, group, tds);
	snprintf(set[SET_VCPUS], sizeof(set[0]), "td.%s.vcpus=%" PRIu64, group, per);
	snprintf(set[SET_MEMORY], sizeof(set[0]), "td.%s.memory=%" PRIu64 "M", group,
		 per * SWEEP_VCPU_MIB + (per * SWEEP_VCPU_MIB) % 2 + 4);
}

const char *sweep_axis_of(const struct workload *w, const char *set)
{
	point_sets own;

	make_sets(own, w, 1, 0);
	for (int i = 0; i < POINT_SETS; i++)
		if (!strncmp(set, own[i], strcspn(own[i], "=") + 1))
			return i == SET_LONE ? "lone" : "vcpus";
	return NULL;
}

struct workload *sweep_workload(const struct workload *w, uint64_t vcpus, uint64_t lone, char *err,
				size_t err_size)
{
	point_sets set;
	const char *const sets[] = { set[0], set[1], set[2], set[3] };
	struct workload *own = workload_copy(w);
	struct td_error e;

	make_sets(set, w, vcpus, lone);
	if (!own || workload_set_all(own, sets, POINT_SETS, &e)) {
		snprintf(err, err_size, "%s", own ? e.text : "out of memory");
		workload_free(own);
		return NULL;
	}
	if (sim_too_long(own)) {
		snprintf(err, err_size, "%s; shorten its staggered starts or idle phases", SIM_TOO_LONG);
		workload_free(own);
		return NULL;
	}
	return own;
}

/* -------------------------------------------------------------- estimates */

/* What a workload has its simulation do. */
struct effort {
	double pages, flips, tds, vcpus;	/* over all lives */
	double longest;		/* ns that the slowest vCPU of those that end takes */
	unsigned int forever;	/* vCPUs that flip until those have ended */
};

/* Virtual ns of a page that is faulted in, and of a flip, without waiting. */
static double page_ns(const struct machine *m)
{
	return (double)(machine_cost_mean(m, COST_fault_base) + machine_cost_mean(m, COST_page_aug) +
			machine_cost_mean(m, COST_page_alloc) + machine_cost_mean(m, COST_accept));
}

static double flip_ns(const struct machine *m)
{
	return page_ns(m) + (double)(2 * machine_cost_mean(m, COST_convert_base) +
				     machine_cost_mean(m, COST_range_block) +
				     machine_cost_mean(m, COST_track) +
				     machine_cost_mean(m, COST_page_remove));
}

static int add_vcpu(struct effort *e, const struct workload *w, const struct machine *m,
		    unsigned int group, unsigned int vcpu)
{
	const struct wl_td *td = &w->tds[group];
	double lives = (double)td->lives, touches, flips;
	struct td_program *p;
	struct td_error err;
	int ret = td_compile(w, group, vcpu, 1, &p, &err);

	if (ret)
		return ret;
	touches = (double)td_program_touches(p) * lives;
	flips = (double)td_program_flips(p) * lives;
	for (uint32_t i = 0; i < p->count; i++)
		if (p->insn[i].op == TD_OP_FLIP && !p->insn[i].n)
			e->forever += (unsigned int)td->count;
	free(p);
	e->pages += touches * (double)td->count;
	e->flips += flips * (double)td->count;
	e->longest = fmax(e->longest, touches * page_ns(m) + flips * flip_ns(m));
	return 0;
}

double sweep_seconds(const struct workload *w, const struct machine *m)
{
	double lone = w->placement.pick == WL_SCATTERED ? (double)w->placement.arg / 100 : 0;
	struct effort e = { 0 };

	for (unsigned int g = 0; g < w->nr_tds; g++) {
		const struct wl_td *td = &w->tds[g];

		for (unsigned int v = 0; v < td->vcpus && td->count; v++)
			if (add_vcpu(&e, w, m, g, v))
				return INFINITY;
		e.tds += (double)(td->count * td->lives);
		e.vcpus += (double)(td->count * td->lives * td->vcpus);
		e.pages += (double)(td->count * td->lives) * (double)td->image / WL_PAGE;
	}
	e.flips += e.forever * e.longest / flip_ns(m);
	/* Of one CPU, as measured: a page or a flip in a lone region has lines of its own. */
	return 0.03 + e.pages * (5e-6 + lone * 30e-6) + e.flips * (8e-6 + lone * 12e-6) +
	       (e.tds + e.vcpus) * 5e-5;
}

json_t *sweep_run_cell(const struct sweep_cell *c)
{
	struct model_config mc = {
		.workload = c->workload, .machine = c->machine,
		.ops = pamt_find_ops(c->strategy), .seed = c->seed,
	};
	struct sim_options o = { 0 };
	struct cell *cell = cell_new();
	struct sim_figures f;
	json_t *line, *out, *m;

	if (!cell)
		return NULL;
	sim_flavour.run(&mc, &o, cell, &f);
	line = cell_json(cell, c->workload, c->strategy, 0, c->seed);
	m = json_object_get(line, "metrics");
	out = json_pack("{s:s,s:O,s:i,s:I,s:I}", "strategy", c->strategy, "status",
			json_object_get(line, "status"), "cpus", (int)cell->workers, "accesses",
			(json_int_t)f.accesses, "shared_accesses", (json_int_t)f.shared);
	if (json_object_get(line, "reason"))
		json_object_set(out, "reason", json_object_get(line, "reason"));
	if (m)
		json_object_set(out, "metrics", m);
	json_decref(line);
	cell_free(cell);
	return out;
}

static double number(const json_t *m, const char *key)
{
	const json_t *v = json_object_get(m, key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

void sweep_read(const json_t *j, struct sweep_figures *f)
{
	const json_t *m = json_object_get(j, "metrics");
	const char *status = json_string_value(json_object_get(j, "status"));

	*f = (struct sweep_figures){
		.ok = m && status && !strcmp(status, "ok"),
		.wait_pct = number(m, "wait_pct"),
		.pamt_ns_per_page = number(m, "pamt_ns_per_page"),
		.fault_mean_ns = number(m, "fault_mean_ns"),
		.wait_count = number(m, "wait_count"),
		.wait_false = number(m, "wait_false_count"),
		.wait_ns = number(m, "wait_total_ns"),
		.accesses = json_number_value(json_object_get(j, "accesses")),
		.shared = json_number_value(json_object_get(j, "shared_accesses")),
		.cpus = (unsigned int)json_integer_value(json_object_get(j, "cpus")),
	};
	snprintf(f->status, sizeof(f->status), "%s", status ? status : "failed");
}

struct sweep_figures sweep_mean(const struct sweep_figures *f, size_t nr)
{
	struct sweep_figures sum = { .ok = true, .cpus = f->cpus };
	double of = (double)nr;

	snprintf(sum.status, sizeof(sum.status), "%s", f->status);
	for (size_t i = 0; i < nr; i++) {
		sum.wait_pct += f[i].wait_pct / of;
		sum.pamt_ns_per_page += f[i].pamt_ns_per_page / of;
		sum.fault_mean_ns += f[i].fault_mean_ns / of;
		sum.wait_count += f[i].wait_count / of;
		sum.wait_false += f[i].wait_false / of;
		sum.wait_ns += f[i].wait_ns / of;
		sum.accesses += f[i].accesses / of;
		sum.shared += f[i].shared / of;
		if (sum.ok && !f[i].ok) {
			sum.ok = false;
			snprintf(sum.status, sizeof(sum.status), "%s", f[i].status);
		}
	}
	return sum;
}

const char *sweep_effort_text(const struct sweep_effort *e, char *buf)
{
	snprintf(buf, SWEEP_EFFORT_TEXT,
		 "simulated %.2f million accesses, %.2f million of them to lines that CPUs share: %.1f "
		 "million a second of CPU time; memory: at most %ld MiB",
		 e->accesses / 1e6, e->shared / 1e6, e->cpu_s > 0 ? e->accesses / 1e6 / e->cpu_s : 0,
		 e->peak_kib >> 10);
	return buf;
}
