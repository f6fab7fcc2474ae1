// SPDX-License-Identifier: GPL-2.0-only
/*
 * What run.json says of a plan before anything has run: options, workloads, machine,
 * and the sentences that every table must carry.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exec/emu.h"
#include "exec/plan.h"
#include "measure/environment.h"
#include "td/units.h"

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
				"simulated. Elapsed time and mean fault hold within 2%, memory and "
				"transitions hold. Waits, BUSY, get and put and the spread of faults are "
				"not given, and there is no verdict on them.");
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

const char *plan_executor(const struct plan *p)
{
	return p->emu ? "emu" : p->sim ? "sim" : "model";
}

json_t *plan_meta(const struct run_options *o, struct plan *p)
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
			 "command", command_json(o), "resume_command", resume, "on", plan_executor(p),
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
