// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt-guest owners: what the emulated module tells of a TD's pages is true: tds, guard
 * and census agree on them while it exists, and know of none when it is gone; in guard
 * mode the kernel cannot read a single one, without it all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/guest.h"
#include "guest/life.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"

static uint64_t census_pages(void)
{
	return judge_census("tdr") + judge_census("tdcx") + judge_census("tdvpr") +
	       judge_census("sept") + judge_census("private");
}

/* Sum of a line "0xTDR tdr A tdcx B tdvpr C sept D private E"; false: none, or another. */
static bool line_pages(const char *line, uint64_t *pages)
{
	unsigned int n[5];

	if (!line || sscanf(line, "%*x tdr %u tdcx %u tdvpr %u sept %u private %u", &n[0], &n[1],
			    &n[2], &n[3], &n[4]) != 5)
		return false;
	*pages = 0;
	for (int i = 0; i < 5; i++)
		*pages += n[i];
	return true;
}

static unsigned int complain(const char *what, uint64_t got, uint64_t want)
{
	if (got == want)
		return 0;
	guest_say("owners: %s: %" PRIu64 ", expected %" PRIu64, what, got, want);
	return 1;
}

/* With @tds TDs on the host, of which the first has all pages. */
static unsigned int look(unsigned int tds)
{
	char *list = kernel_stats_read(EMU_DIR, "tds"), *guard = kernel_stats_read(EMU_DIR, "guard");
	uint64_t pages = census_pages(), listed = 0, lines = 0, owned;
	unsigned int wrong = 0;

	if (!list || !guard) {
		guest_say("owners: %s has no tds and guard: the kernel must be that of make kernel",
			  EMU_DIR);
		free(list);
		free(guard);
		return 1;
	}
	for (const char *at = list; *at; at++)
		lines += *at == '\n';
	owned = kernel_stats_get(guard, "owned");
	wrong += complain("TDs in tds", lines, tds);
	if (tds && !line_pages(list, &listed))
		wrong += complain("lines of tds that can be read", 0, tds);
	wrong += complain("pages in tds", listed, pages);
	wrong += complain("pages in guard", owned, pages);
	wrong += complain("references", judge_pamt("audit", "references"), pages);
	wrong += complain("pages that the kernel can read", kernel_stats_get(guard, "readable"),
			  kernel_stats_get(guard, "guard") ? 0 : owned);
	if (tds && !wrong)
		guest_say("owners: %" PRIu64 " pages of a TD, %" PRIu64 " can be read by the kernel",
			  owned, kernel_stats_get(guard, "readable"));
	free(list);
	free(guard);
	return wrong;
}

int guest_owners(int argc, char **argv)
{
	struct workload *w = life_workload();
	char err[KVM_ERROR_MAX] = "";
	struct kvm_host host;
	struct kvm_td *td;
	unsigned int wrong;

	if (argc) {
		guest_say("owners: takes no \"%s\"", argv[0]);
		return EXIT_USAGE;
	}
	clock_init();
	judge_log_skip(true);
	life_pin(0, 0);
	if (!w || life_open(&host))
		return EXIT_ENVIRONMENT;
	if (life_make(&host, w, 1, &td, err, sizeof(err))) {
		guest_say("owners: %s", err);
		return EXIT_REGRESSED;
	}
	wrong = complain("error of its vCPUs", -life_run(td, NULL), 0) + look(1);
	kvm_td_free(td);
	if (!judge_all_back(err, sizeof(err))) {
		guest_say("owners: %s", err);
		wrong++;
	}
	wrong += look(0);
	guest_say("owners: %u findings", wrong);
	kvm_host_close(&host);
	workload_free(w);
	return wrong ? EXIT_REGRESSED : EXIT_FINE;
}
