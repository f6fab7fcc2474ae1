// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sources of the enumerations; see choices.h. Strategies come from
 * the executor's list, metrics from report/metrics.h, workloads and machines from the files
 * that there are: each is read for its title, and one that is broken says so.
 */
#include "cli/choices.h"
#include "cli/cli.h"
#include "cli/memory.h"
#include "exec/explore_run.h"
#include "exec/strategy.h"
#include "report/result.h"
#include "td/find.h"
#include "td/machine.h"
#include "td/workload.h"

#include <stdlib.h>
#include <string.h>

static struct choice *add(struct choices *c, const char *name, const char *what, const char *note)
{
	struct choice *new;

	c->of = must_grow(c->of, c->nr + 1, sizeof(*c->of));
	new = &c->of[c->nr++];
	memset(new, 0, sizeof(*new));
	new->name = must_copy(name);
	new->what = must_copy(what);
	new->note = must_copy(note);
	return new;
}

void choices_free(struct choices *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		free(c->of[i].name);
		free(c->of[i].what);
		free(c->of[i].note);
	}
	free(c->of);
	memset(c, 0, sizeof(*c));
}

const struct choice *choices_find(const struct choices *c, const char *name)
{
	for (size_t i = 0; i < c->nr; i++)
		if (!strcmp(c->of[i].name, name))
			return &c->of[i];
	return NULL;
}

char *choices_valid(const struct choices *c, bool in_all)
{
	char *valid = must_copy("");

	for (size_t i = 0; i < c->nr; i++) {
		char *longer;

		if (c->of[i].not_built || (in_all && c->of[i].not_in_all))
			continue;
		longer = must_print("%s%s%s", valid, valid[0] ? ", " : "", c->of[i].name);
		free(valid);
		valid = longer;
	}
	return valid;
}

void strategy_choices(struct choices *c)
{
	size_t nr;
	const struct strategy_info *list = strategy_list(&nr);

	c->kind = "strategy";
	for (size_t i = 0; i < nr; i++) {
		const char *note = list[i].explore_only ? "explore only" :
				   list[i].control	? "control" :
							  "";

		add(c, list[i].name, list[i].what, note)->not_in_all = list[i].explore_only;
	}
}

void workload_choices(struct choices *c)
{
	char **names = NULL;
	size_t nr = 0;

	c->kind = "workload";
	if (workload_list(workload_dirs(), &names, &nr))
		return;
	for (size_t i = 0; i < nr; i++) {
		struct workload *w = NULL;
		struct td_error err;

		if (workload_load(names[i], workload_dirs(), &w, &err)) {
			add(c, names[i], err.text, "broken")->not_in_all = true;
			continue;
		}
		add(c, names[i], w->title, w->primary);
		workload_free(w);
	}
	td_free_names(names, nr);
}

void machine_choices(struct choices *c)
{
	char **names = NULL;
	size_t nr = 0;

	c->kind = "machine";
	if (machine_list(machine_dirs(), &names, &nr))
		return;
	for (size_t i = 0; i < nr; i++) {
		struct machine *m = NULL;
		struct td_error err;

		if (machine_load(names[i], machine_dirs(), &m, &err)) {
			add(c, names[i], err.text, "broken");
			continue;
		}
		add(c, names[i], m->title, "");
		machine_free(m);
	}
	td_free_names(names, nr);
}

void executor_choices(struct choices *c)
{
	static const struct {
		const char *name, *what;
		bool built;
	} list[] = {
		{ "model", "strategy and module on pinned threads, real contention, modelled costs",
		  true },
		{ "sim", "the same on a simulated machine, beyond the CPUs present", true },
		{ "explore", "every interleaving within bounds, for correctness", false },
		{ "emu", "patched kernel on an emulated TDX host", true },
		{ "hw", "patched kernel on a TDX host", false },
	};

	c->kind = "executor";
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		const char *note = list[i].built ? "" : "not built yet";

		add(c, list[i].name, list[i].what, note)->not_built = !list[i].built;
	}
}

void format_choices(struct choices *c)
{
	c->kind = "format";
	add(c, "text", "tables for a terminal", "");
	add(c, "json", "one JSON document", "");
	add(c, "csv", "one line per value", "");
	add(c, "markdown", "tables for a mail or an issue", "");
}

void metric_choices(struct choices *c)
{
	static const char *const units[] = {
		[UNIT_NS] = "ns",	[UNIT_BYTES] = "bytes", [UNIT_PCT] = "%",
		[UNIT_PER_SEC] = "1/s", [UNIT_COUNT] = "count", [UNIT_RATIO] = "ratio",
	};
	static const char *const better[] = {
		[DIR_LOWER] = ", lower is better",
		[DIR_HIGHER] = ", higher is better",
		[DIR_INFO] = "",
	};
	size_t nr;
	const struct metric *list = metric_list(&nr);

	c->kind = "metric";
	for (size_t i = 0; i < nr; i++) {
		char *note = must_print("%s%s", units[list[i].unit], better[list[i].direction]);

		add(c, list[i].key, list[i].title, note);
		free(note);
	}
}

void scenario_choices(struct choices *c)
{
	const char *name, *what;

	c->kind = "scenario";
	for (unsigned int i = 0; (name = explore_scenario(i, &what)); i++)
		add(c, name, what, "");
}

void memory_choices(struct choices *c)
{
	c->kind = "memory model";
	add(c, "sc", "each access takes effect at once", "");
	add(c, "tso", "stores wait in buffers, as on x86", "");
	add(c, "all", "one after the other", "");
}
