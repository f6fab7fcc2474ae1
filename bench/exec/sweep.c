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

int sweep_parse(const char *text, struct sweep_grid *g, char *err, size_t err_size)
{
	char copy[256], *rest = copy, *axis, name[256];
	bool any = false;

	if (strlen(text) >= sizeof(copy))
		return axis_fail(err, err_size, "..", "is too long");
	strcpy(copy, text);
	*g = (struct sweep_grid){ .vcpus = { 1, { 16 } }, .lone = { 1, { 50 } } };
	while ((axis = strsep(&rest, ","))) {
		int ret;

		strcpy(name, axis);
		if (!strncmp(axis, "vcpus=", 6))
			ret = parse_axis(axis + 6, &g->vcpus, 1, SIM_CPUS_MAX, false);
		else if (!strncmp(axis, "lone=", 5))
			ret = parse_axis(axis + 5, &g->lone, 0, 100, true);
		else
			return axis_fail(err, err_size, name, "is no axis");
		if (ret)
			return axis_fail(err, err_size, name, "is empty or out of range");
		any = true;
	}
	return any ? 0 : axis_fail(err, err_size, text, "is empty");
}

/* ----------------------------------------------------------------- cells */

struct workload *sweep_workload(const struct workload *w, uint64_t vcpus, uint64_t lone, char *err,
				size_t err_size)
{
	uint64_t tds = vcpus / SWEEP_TD_VCPUS, per;
	char set[4][96];
	const char *const sets[] = { set[0], set[1], set[2], set[3] };
	struct workload *own = workload_copy(w);
	struct td_error e;

	tds = tds < 1 ? 1 : tds > SWEEP_TDS ? SWEEP_TDS : tds;
	per = vcpus / tds;
	snprintf(set[0], sizeof(set[0]), "td.%s.count=%" PRIu64, w->tds[0].name, tds);
	snprintf(set[1], sizeof(set[1]), "td.%s.vcpus=%" PRIu64, w->tds[0].name, per);
	snprintf(set[2], sizeof(set[2]), "td.%s.memory=%" PRIu64 "M", w->tds[0].name,
		 per * SWEEP_VCPU_MIB + (per * SWEEP_VCPU_MIB) % 2 + 4);
	snprintf(set[3], sizeof(set[3]), "placement=scattered:%" PRIu64 "%%", lone);
	if (!own || workload_set_all(own, sets, 4, &e)) {
		snprintf(err, err_size, "%s", own ? e.text : "out of memory");
		workload_free(own);
		return NULL;
	}
	return own;
}

/* From this machine's 25 to 35 million accesses a second, 250 of them a page, twice for lone ones. */
double sweep_seconds(uint64_t vcpus, uint64_t lone)
{
	return 0.05 + (double)vcpus * (1 + (double)lone / 50) * 256 * 12e-6 +
	       (double)vcpus * 0.0004;
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
	out = json_pack("{s:s,s:O,s:i}", "strategy", c->strategy, "status",
			json_object_get(line, "status"), "cpus", (int)cell->workers);
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
		.pages_per_sec = number(m, "pages_per_sec"),
		.wait_count = number(m, "wait_count"),
		.wait_false = number(m, "wait_false_count"),
		.wait_ns = number(m, "wait_total_ns"),
		.elapsed_ns = number(m, "elapsed_ns"),
		.install = number(m, "install_count"),
		.cpus = (unsigned int)json_integer_value(json_object_get(j, "cpus")),
	};
	snprintf(f->status, sizeof(f->status), "%s", status ? status : "failed");
}
