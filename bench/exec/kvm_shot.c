// SPDX-License-Identifier: GPL-2.0-only
/*
 * The snapshot of a cell on KVM: pairs in place, how the pages in use lie, and on an
 * emulated host whose they are. Three count the same things there, and must agree: the
 * kernel (tdx_pamt/memory, placement), the module's census, and the module's regions,
 * from which the report's rows per TD come. A difference of one is a violation.
 *
 * A real module tells nobody whose a page is: there the snapshot has no rows, and the
 * TDs run on while it is taken.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/kvm_cell.h"
#include "exec/share_out.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"

#define PAIR_BYTES (2 * PAGE_SIZE)
#define STATIC_BYTES_PER_PAGE 16
#define REGION_PAGES 512

/* What the module's regions sum up to. */
struct regions {
	u64 with_pair, used, lone, pages;
	u64 *tdr;	/* of c->td[i]; 0: not told of */
};

/* ------------------------------------------------------------- whose pages */

static int find_td(const struct cell *c, const struct regions *r, u64 tdr)
{
	for (unsigned int i = 0; i < c->nr_tds; i++)
		if (r->tdr[i] == tdr)
			return i;
	return -1;
}

/* "td TDR NUMBER": the number is a TD's index, plus one. */
static void take_td(struct cell *c, struct regions *r, const char *line)
{
	u64 tdr, number;

	if (sscanf(line, "td %" SCNx64 " %" SCNu64, &tdr, &number) != 2)
		return;
	for (unsigned int i = 0; i < c->nr_tds; i++)
		if (c->td[i].td + 1 == number)
			r->tdr[i] = tdr;
}

/* "region PA PAIR TDR=PAGES ..": its pair is divided; what is no TD's here is the kernel's. */
static void take_region(struct cell *c, struct regions *r, const char *line)
{
	u64 *bytes[REGION_PAGES], rem[REGION_PAGES], tdr, total = 0;
	unsigned int pages[REGION_PAGES], nr = 0, pair, n;
	int at = 0;

	if (sscanf(line, "region %*x %u%n", &pair, &at) != 1)
		return;
	for (line += at; nr < REGION_PAGES && sscanf(line, " %" SCNx64 "=%u%n", &tdr, &n, &at) == 2;
	     line += at, nr++) {
		int td = find_td(c, r, tdr);

		*(td < 0 ? &c->kernel_pages : &c->td[td].pages) += n;
		bytes[nr] = td < 0 ? &c->kernel_bytes : &c->td[td].pamt_bytes;
		pages[nr] = n;
		total += n;
	}
	r->with_pair += pair;
	r->used += total > 0;
	r->lone += total == 1;
	r->pages += total;
	if (pair && nr)
		share_out(PAIR_BYTES, nr, pages, bytes, rem);
	else if (pair)
		c->kernel_bytes += PAIR_BYTES;
}

static void each_line(struct cell *c, struct regions *r, const char *text,
		      void (*take)(struct cell *c, struct regions *r, const char *line))
{
	for (; text && *text; text = strchr(text, '\n'), text += text != NULL)
		take(c, r, text);
}

static void take_owners(struct cell *c, struct regions *r, const char *text)
{
	each_line(c, r, text, take_td);
	each_line(c, r, text, take_region);
}

/* The TDs that exist, in order. */
static bool list_tds(struct kvm_cell *r)
{
	struct cell *c = r->cell;

	c->td = calloc(r->nr_tasks, sizeof(*c->td));
	for (unsigned int i = 0; c->td && i < r->nr_tasks; i++) {
		const struct task *t = &r->task[i];

		if (t->td)
			c->td[c->nr_tds++] = (struct cell_td){
				.td = i, .group = t->group, .memory = t->td->memory,
			};
	}
	return c->td;
}

/* ------------------------------------------------------------ do they agree? */

static u64 sum_rows(const struct cell *c)
{
	u64 sum = c->kernel_bytes;

	for (unsigned int i = 0; i < c->nr_tds; i++)
		sum += c->td[i].pamt_bytes;
	return sum;
}

static void check_pairs(struct cell *c, const struct regions *r, u64 kernel, u64 census)
{
	u64 report = sum_rows(c);

	if (kernel != census || kernel != r->with_pair || report != kernel * PAIR_BYTES)
		kvm_violation(c, "pairs: the kernel counts %" PRIu64 ", the module's census %" PRIu64
			      ", its regions %" PRIu64 ", and the report's rows sum to %" PRIu64
			      " bytes, %" PRIu64 " pairs", kernel, census, r->with_pair, report,
			      report / PAIR_BYTES);
	for (unsigned int i = 0; i < c->nr_tds; i++)
		if (!r->tdr[i])
			kvm_violation(c, "TD %u exists, and the module has none of its number",
				      c->td[i].td);
}

/* Every page that the module has is one reference of the kernel's. */
static void check_pages(struct cell *c, const struct regions *r, const char *census,
			const char *placement)
{
	static const char *const types[] = { "tdr", "tdcx", "tdvpr", "sept", "private" };
	u64 has = 0, users = kernel_stats_get(placement, "users");

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		has += kernel_stats_get(census, types[i]);
	if (users != has || users != r->pages)
		kvm_violation(c, "pages: the kernel has %" PRIu64 " references, the module's census %"
			      PRIu64 " pages, its regions %" PRIu64, users, has, r->pages);
	if (kernel_stats_get(placement, "used") != r->used ||
	    kernel_stats_get(placement, "lone") != r->lone)
		kvm_violation(c, "placement: %" PRIu64 " regions in use by the kernel's counts, %" PRIu64
			      " of them lone; %" PRIu64 " and %" PRIu64 " in the module",
			      kernel_stats_get(placement, "used"), kernel_stats_get(placement, "lone"),
			      r->used, r->lone);
}

static double lone_pct(u64 lone, u64 used)
{
	return used ? 100.0 * lone / used : 0;
}

/* ------------------------------------------------------------- the snapshot */

/* Without Dynamic PAMT a TD's share is an entry for each of its pages. */
static void charge_static(struct cell *c, u64 static_bytes)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < c->nr_tds; i++) {
		c->td[i].pamt_bytes = c->td[i].memory / PAGE_SIZE * STATIC_BYTES_PER_PAGE;
		sum += c->td[i].pamt_bytes;
	}
	c->snapshot_bytes = static_bytes;
	c->kernel_bytes = static_bytes - sum;
}

static void shoot_module(struct kvm_cell *r, u64 since, const char *memory, const char *placement,
			 const char *census, const char *owners)
{
	u64 pairs = kernel_stats_get(memory, "pairs");
	struct cell *c = r->cell;
	struct regions found = { .tdr = calloc(r->nr_tasks + 1, sizeof(u64)) };

	if (!found.tdr || !list_tds(r)) {
		free(found.tdr);
		return;
	}
	take_owners(c, &found, owners);
	check_pairs(c, &found, pairs, kernel_stats_get(census, "pairs"));
	if (placement)
		check_pages(c, &found, census, placement);
	c->lone_pct = lone_pct(found.lone, found.used);
	c->snapshot_bytes = pairs * PAIR_BYTES;
	if (!strcmp(r->c->strategy, "static"))
		charge_static(c, kernel_stats_get(memory, "static_bytes"));
	c->snapshot = true;
	free(found.tdr);
	pthread_mutex_lock(&r->lock);
	kvm_note_pairs(r, since, pairs);
	pthread_mutex_unlock(&r->lock);
}

static void shoot(struct kvm_cell *r, u64 since)
{
	const struct kvm_config *c = r->c;
	char *memory = kernel_stats_read(c->stats_dir, "memory");
	char *placement = kernel_stats_read(c->stats_dir, "placement");
	char *census = c->emu_dir ? kernel_stats_read(c->emu_dir, "census") : NULL;
	char *owners = census ? kernel_stats_read(c->emu_dir, "regions") : NULL;

	r->cell->lone_pct = NAN;
	if (placement)
		r->cell->lone_pct = lone_pct(kernel_stats_get(placement, "lone"),
					     kernel_stats_get(placement, "used"));
	if (memory && owners)
		shoot_module(r, since, memory, placement, census, owners);
	free(memory);
	free(placement);
	free(census);
	free(owners);
}

/* The first that comes takes it; the others wait in front of the gate. */
void kvm_shot(struct kvm_cell *r)
{
	bool first, stop = kvm_emulated(r->c);
	u64 since = clock_ns();

	pthread_mutex_lock(&r->lock);
	first = !r->shot && !r->stop;
	r->shot = true;
	pthread_mutex_unlock(&r->lock);
	if (!first)
		return;
	if (stop)
		kvm_gate_close(r);
	shoot(r, since);
	if (!stop)
		return;
	pthread_mutex_lock(&r->lock);
	r->paused_ns = clock_ns() - since;
	pthread_mutex_unlock(&r->lock);
	kvm_gate_open(r);
}
