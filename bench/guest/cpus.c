// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPUs that vCPUs are pinned to, in turn: a CPU of each core, package by package,
 * then the cores' second threads; as bench/measure/topology.h orders workers. From
 * sysfs: this program is linked statically, and hwloc's static library needs udev.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/guest.h"

unsigned int guest_cpus[CPU_SETSIZE], guest_nr_cpus;

struct place {
	unsigned int cpu, thread;
	int package, core;
};

/* Number in a file of the CPU's topology folder; 0 where there is none. */
static int of_topology(unsigned int cpu, const char *name)
{
	char path[96];
	int value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/%s", cpu, name);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%d", &value) != 1)
			value = 0;
		fclose(f);
	}
	return value;
}

static int by_place(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	if (a->thread != b->thread)
		return a->thread < b->thread ? -1 : 1;
	if (a->package != b->package)
		return a->package < b->package ? -1 : 1;
	if (a->core != b->core)
		return a->core < b->core ? -1 : 1;
	return a->cpu < b->cpu ? -1 : 1;
}

void guest_find_cpus(void)
{
	static struct place place[CPU_SETSIZE];
	unsigned int nr = 0;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	for (unsigned int i = 0; i < CPU_SETSIZE; i++) {
		struct place *p = &place[nr];

		if (!CPU_ISSET(i, &set))
			continue;
		*p = (struct place){ .cpu = i, .package = of_topology(i, "physical_package_id"),
				     .core = of_topology(i, "core_id") };
		for (unsigned int j = 0; j < nr; j++)
			p->thread += place[j].package == p->package && place[j].core == p->core;
		nr++;
	}
	qsort(place, nr, sizeof(place[0]), by_place);
	for (guest_nr_cpus = 0; guest_nr_cpus < nr; guest_nr_cpus++)
		guest_cpus[guest_nr_cpus] = place[guest_nr_cpus].cpu;
}
