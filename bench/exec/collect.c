// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the state of a run to its cell: figures, shares, verdict. Common to the
 * executors that run tasks (threads.c, sim_cell.c), and compiled once for each.
 */
#include <stdlib.h>

#include "exec/tasks.h"
#include "emu/module/abi.h"

const char *run_unsupported(const struct model_config *c)
{
	unsigned int g;

	for (g = 0; g < c->workload->nr_tds; g++)
		if (c->workload->tds[g].huge && !c->ops->demote)
			return "pairs are installed for all regions, so the module refuses 2M mappings";
	return NULL;
}

void run_take_shares(struct run *r)
{
	struct world_share *share = calloc(r->nr_tds + 1, sizeof(*share));
	struct cell *c = r->cell;
	unsigned int i;
	u64 sum = 0;

	c->td = calloc(r->nr_tds, sizeof(*c->td));
	if (!share || !c->td) {
		free(share);
		return;
	}
	for (i = 0; i < r->nr_tds; i++)
		share[i].tdr = r->td[i].host ? r->td[i].host->tdr : ~0ull;
	c->snapshot_bytes = world_shares(&r->world, share, r->nr_tds);
	c->lone_pct = world_lone_pct(&r->world);
	c->nr_tds = r->nr_tds;
	if (!r->c->ops->dynamic)
		c->snapshot_bytes = r->world.phys.size / PAGE_SIZE * 16;
	for (i = 0; i < r->nr_tds; i++) {
		c->td[i] = (struct cell_td){
			.td = i, .group = r->td[i].group, .pages = share[i].pages,
			.memory = r->wl->tds[r->td[i].group].memory,
			.pamt_bytes = share[i].bytes,
		};
		if (!r->c->ops->dynamic)
			c->td[i].pamt_bytes = c->td[i].memory / PAGE_SIZE * 16;
		sum += c->td[i].pamt_bytes;
	}
	c->kernel_bytes = r->c->ops->dynamic ? share[r->nr_tds].bytes : c->snapshot_bytes - sum;
	c->kernel_pages = share[r->nr_tds].pages;
	c->snapshot = true;
	free(share);
}

/* --------------------------------------------------------------- collection */

static void add_cpu(struct world_cpu *to, const struct world_cpu *from)
{
	to->pages += from->pages;
	to->pages_2m += from->pages_2m;
	to->flips += from->flips;
	to->demotes += from->demotes;
	to->tds += from->tds;
	to->retries += from->retries;
	to->pamt_ns += from->pamt_ns;
	to->gets += from->gets;
	to->puts += from->puts;
	to->stalls += from->stalls;
	to->busy_other += from->busy_other;
	to->seamcalls += from->seamcalls;
}

static void collect_worker(struct cell *c, struct run_worker *w, const struct run *r)
{
	unsigned int g, i;

	hist_merge(&c->fault, &w->fault);
	for (g = 0; g < r->wl->nr_tds; g++) {
		hist_merge(&c->group_fault[g], &w->group_fault[g]);
		c->mean[g].sum_ns += w->mean[g].sum_ns;
		c->mean[g].count += w->mean[g].count;
		c->mean[g].stalls += w->mean[g].stalls;
	}
	c->overruns += w->overruns;
	c->seamcalls += w->seamcalls;
	for (i = 0; i < NR_COUNTERS; i++) {
		c->counters.value[i] += w->values.value[i];
		c->counters.valid[i] = w->values.valid[i] && (w->id == 0 || c->counters.valid[i]);
	}
}

static void collect_pairs(struct cell *c, struct run *r)
{
	struct pair_event *all;
	size_t nr = 0, at = 0;
	unsigned int i;

	for (i = 0; i < c->workers; i++)
		nr += r->worker[i].nr_events;
	all = malloc((nr + 1) * sizeof(*all));
	if (!all)
		return;
	for (i = 0; i < c->workers; i++) {
		memcpy(all + at, r->worker[i].event, r->worker[i].nr_events * sizeof(*all));
		at += r->worker[i].nr_events;
	}
	cell_pairs(c, all, nr, r->world.preinstalled);
	free(all);
}

void run_collect(struct cell *c, struct run *r, u64 end)
{
	struct world *w = &r->world;
	unsigned int i;

	c->elapsed_ns = end - r->start - r->paused_ns;
	c->cpu_ns = c->elapsed_ns * c->workers;
	for (i = 0; i < c->workers; i++) {
		collect_worker(c, &r->worker[i], r);
		add_cpu(&c->sum, &w->cpu[i]);
	}
	pamt_stats_sum(&w->pamt, &c->stats);
	collect_pairs(c, r);
	for (i = 0; i < c->nr_tds; i++)
		c->td[i].wait_ns = r->td[i].wait_ns;
	c->fixed_bytes = w->fixed_bytes;
	c->static_bytes = w->static_bytes;
	c->count_bytes = w->pamt.ops->users ? w->pamt.nr_regions * sizeof(atomic_t) : 0;
	c->strategy_bytes = w->pamt.strategy_bytes;
}

static bool shares_sum(const struct cell *c)
{
	u64 sum = c->kernel_bytes;
	unsigned int i;

	for (i = 0; i < c->nr_tds; i++)
		sum += c->td[i].pamt_bytes;
	return sum == c->snapshot_bytes;
}

void run_judge(struct cell *c, struct run *r)
{
	char err[200];
	unsigned int i;

	for (i = 0; i < c->workers; i++) {
		if (r->worker[i].error) {
			c->status = r->worker[i].error == -EIO ? CELL_VIOLATION : CELL_FAILED;
			snprintf(c->reason, sizeof(c->reason), "%s", r->worker[i].error_text);
		}
	}
	for (i = 0; i < c->workers && c->status != CELL_VIOLATION; i++)
		if (r->worker[i].error == -EOPNOTSUPP)
			c->status = CELL_SKIPPED;
	if (world_audit(&r->world, err, sizeof(err))) {
		c->status = CELL_VIOLATION;
		snprintf(c->reason, sizeof(c->reason), "%s", err);
	} else if (c->snapshot && !shares_sum(c)) {
		c->status = CELL_VIOLATION;
		snprintf(c->reason, sizeof(c->reason),
			 "the TDs' shares do not sum to the host's pairs");
	} else if (model_interrupted && c->status == CELL_OK) {
		c->status = CELL_INTERRUPTED;
		snprintf(c->reason, sizeof(c->reason), "interrupted");
	}
}
