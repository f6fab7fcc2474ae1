// SPDX-License-Identifier: GPL-2.0-only
/*
 * Progress and time estimates (progress.h).
 */
#include "exec/progress.h"

#include "exec/emu.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + ts.tv_nsec;
}

void progress_init(struct progress *g, const struct plan *p, bool quiet)
{
	*g = (struct progress){
		.p = p, .total = plan_left(p), .start = now_ns(), .quiet = quiet,
		.terminal = isatty(STDERR_FILENO),
	};
	if (!quiet)
		fprintf(stderr, "dpamt: %u cells on %u %s into %s\n", g->total, p->threads,
			p->emu ? "CPUs of an emulated host" : p->sim ? "simulated CPUs" : "workers",
			p->dir);
}

static void eta(const struct progress *g, char *text, size_t size)
{
	double spent = (now_ns() - g->start) / 1e9;

	if (g->done)
		snprintf(text, size, "%.0f s left", spent / g->done * (g->total - g->done));
	else
		snprintf(text, size, "about %.0f s", progress_estimate(g->p));
}

void progress_begin(struct progress *g, const char *workload, const char *strategy)
{
	char left[48];

	if (g->quiet || !g->terminal)
		return;
	eta(g, left, sizeof(left));
	fprintf(stderr, "\r\033[K[%u/%u] %s %s, %s", g->done, g->total, workload, strategy, left);
	fflush(stderr);
}

void progress_cell(struct progress *g, const char *workload, const char *strategy,
		   const char *status, const char *reason)
{
	bool plain = !status || !strcmp(status, "ok");
	char left[48];

	g->done++;
	if (!plain && strcmp(status, "skipped"))
		fprintf(stderr, "%sdpamt: %s %s: %s: %s\n", g->terminal ? "\r\033[K" : "", workload,
			strategy, status, reason ? reason : "");
	if (g->quiet || g->terminal)
		return;
	eta(g, left, sizeof(left));
	fprintf(stderr, "dpamt: [%u/%u] %s %s %s, %s\n", g->done, g->total, workload, strategy,
		plain ? "ok" : status, left);
}

void progress_end(struct progress *g)
{
	if (!g->quiet && g->terminal)
		fprintf(stderr, "\r\033[K");
}

static double mean_us(const struct plan *p, enum cost cost)
{
	return machine_cost_mean(p->machine, cost) / 1e3;
}

/* Each page is faulted, accepted and zapped once per life; lone pages install and remove a pair. */
static double workload_seconds(const struct plan *p, const struct workload *w)
{
	double page = mean_us(p, COST_fault_base) + mean_us(p, COST_page_aug) +
		      mean_us(p, COST_page_alloc) + mean_us(p, COST_accept) +
		      mean_us(p, COST_range_block) + mean_us(p, COST_track) +
		      mean_us(p, COST_page_remove) + mean_us(p, COST_wbinvd);
	double pair = mean_us(p, COST_pamt_add) + mean_us(p, COST_pamt_remove), us = 0;
	unsigned int g;

	if (w->placement.pick == WL_SCATTERED)
		page += pair * w->placement.arg / 100;
	for (g = 0; g < w->nr_tds; g++) {
		const struct wl_td *td = &w->tds[g];
		double one = td->memory / 4096.0 * (100 - td->huge) / 100 * page +
			     mean_us(p, COST_td_create_base) + td->vcpus * 2 * mean_us(p, COST_vp_init_base);

		us += one * td->count * td->lives;
	}
	/* A simulated page takes its accesses, on one CPU, whatever it is said to cost. */
	return us / 1e6 / (p->sim ? 1 : p->threads);
}

double progress_estimate(const struct plan *p)
{
	double s = 0;
	unsigned int i;

	if (p->emu)
		return emu_estimate(p);
	for (i = 0; i < p->nr_workloads; i++)
		s += workload_seconds(p, p->workload[i]) * p->nr_ops;
	return (s + 0.1 * p->nr_ops) * p->blocks;
}
