// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults per second of this host: one TD, two vCPUs that fault flat out, each in its
 * own half. By the guest's clock, from the first vCPU's start to the last one's end, so
 * that making and ending the TD is not in it.
 */
#include <stdio.h>
#include <string.h>

#include "exec/kvm.h"

static const char workload[] =
	"[global]\ntitle = faults\nquestion = how fast?\nasked_by = the report\n"
	"primary = pages_per_sec\nplacement = buddy\n"
	"[td one]\ncount = 1\nvcpus = 2\nmemory = 128M\n"
	"[phase fault]\ntd = one\ndo = fault\norder = split\ntogether = yes\n";

double kvm_fault_rate(const struct kvm_config *config, char *err, size_t size)
{
	struct kvm_config c = *config;
	struct cell *cell = cell_new();
	struct workload *w = NULL;
	struct td_error e;
	double rate = 0;

	if (!cell) {
		snprintf(err, size, "out of memory");
	} else if (workload_parse("faults.wl", workload, strlen(workload), &w, &e)) {
		snprintf(err, size, "%s", e.text);
	} else {
		c.workload = w;
		c.nr_cpus = c.nr_cpus > 2 ? 2 : c.nr_cpus;
		kvm_run(&c, cell);
		if (cell->status == CELL_OK && cell->guest_ns)
			rate = cell->fault.count * 1e9 / cell->guest_ns;
		else
			snprintf(err, size, "%s", cell->reason);
	}
	workload_free(w);
	cell_free(cell);
	return rate;
}
