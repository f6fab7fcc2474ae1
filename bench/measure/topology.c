// SPDX-License-Identifier: GPL-2.0-only
/*
 * Topology through hwloc; see topology.h for the contract.
 *
 * hwloc's own default filter already drops CPUs outside of the cgroup; the
 * affinity mask of the process is applied on top when the usable CPUs are
 * listed. Everything that a worker needs is copied out at open time, so that
 * binding only reads the topology, which hwloc allows from many threads.
 */
#include "measure/topology.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct topology {
	hwloc_topology_t hw;
	struct topology_cpu *cpus;
	size_t nr;
	size_t nr_present;
};

static unsigned int index_or_zero(hwloc_obj_t obj)
{
	return obj ? obj->logical_index : 0;
}

static unsigned int node_of(hwloc_obj_t pu)
{
	int bit = pu->nodeset ? hwloc_bitmap_first(pu->nodeset) : -1;

	return bit < 0 ? 0 : (unsigned int)bit;
}

/* Position of @pu among the PUs of @core. */
static unsigned int thread_of(hwloc_topology_t hw, hwloc_obj_t core, hwloc_obj_t pu)
{
	hwloc_obj_t other = NULL;
	unsigned int n = 0;

	if (!core)
		return 0;
	while ((other = hwloc_get_next_obj_inside_cpuset_by_type(hw, core->cpuset, HWLOC_OBJ_PU,
								 other))) {
		if (other == pu)
			return n;
		n++;
	}
	return 0;
}

static int by_worker_order(const void *a, const void *b)
{
	const struct topology_cpu *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->core != y->core)
		return x->core < y->core ? -1 : 1;
	return x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

/*
 * Of a core whose first PU is outside the mask, the sibling is the first usable
 * one: number the threads over the usable PUs only.
 */
static void renumber_threads(struct topology *topo)
{
	for (size_t i = 0; i < topo->nr; i++) {
		unsigned int before = 0;

		for (size_t j = 0; j < topo->nr; j++)
			before += topo->cpus[j].core == topo->cpus[i].core &&
				  topo->cpus[j].cpu != topo->cpus[i].cpu &&
				  (topo->cpus[j].thread & 0xffff) < (topo->cpus[i].thread & 0xffff);
		topo->cpus[i].thread |= before << 16;
	}
	for (size_t i = 0; i < topo->nr; i++)
		topo->cpus[i].thread >>= 16;
}

static int list_cpus(struct topology *topo, hwloc_const_cpuset_t usable)
{
	hwloc_obj_t pu = NULL;
	int weight = hwloc_bitmap_weight(usable);

	if (weight <= 0)
		return -ENODEV;
	topo->cpus = calloc((size_t)weight, sizeof(*topo->cpus));
	if (!topo->cpus)
		return -ENOMEM;
	while ((pu = hwloc_get_next_obj_by_type(topo->hw, HWLOC_OBJ_PU, pu))) {
		hwloc_obj_t core, package;
		struct topology_cpu *cpu;

		if (!hwloc_bitmap_isset(usable, pu->os_index) || topo->nr == (size_t)weight)
			continue;
		core = hwloc_get_ancestor_obj_by_type(topo->hw, HWLOC_OBJ_CORE, pu);
		package = hwloc_get_ancestor_obj_by_type(topo->hw, HWLOC_OBJ_PACKAGE, pu);
		cpu = &topo->cpus[topo->nr++];
		cpu->cpu = pu->os_index;
		cpu->package = index_or_zero(package);
		cpu->node = node_of(pu);
		cpu->core = core ? core->logical_index : pu->logical_index;
		cpu->thread = thread_of(topo->hw, core, pu);
	}
	if (!topo->nr)
		return -ENODEV;
	renumber_threads(topo);
	qsort(topo->cpus, topo->nr, sizeof(*topo->cpus), by_worker_order);
	return 0;
}

/* The CPUs that both hwloc and the affinity mask of the process allow. */
static int find_usable(struct topology *topo)
{
	hwloc_cpuset_t mask = hwloc_bitmap_alloc();
	int ret;

	if (!mask)
		return -ENOMEM;
	if (hwloc_get_cpubind(topo->hw, mask, HWLOC_CPUBIND_PROCESS) < 0)
		hwloc_bitmap_copy(mask, hwloc_topology_get_allowed_cpuset(topo->hw));
	hwloc_bitmap_and(mask, mask, hwloc_topology_get_topology_cpuset(topo->hw));
	ret = list_cpus(topo, mask);
	hwloc_bitmap_free(mask);
	return ret;
}

int topology_open(struct topology **out, char *err, size_t err_size)
{
	struct topology *topo = calloc(1, sizeof(*topo));
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int ret;

	if (!topo) {
		snprintf(err, err_size, "topology: out of memory");
		return -ENOMEM;
	}
	if (hwloc_topology_init(&topo->hw) < 0) {
		free(topo);
		snprintf(err, err_size, "topology: hwloc cannot be initialised");
		return -ENOMEM;
	}
	if (hwloc_topology_load(topo->hw) < 0) {
		ret = errno ? -errno : -EIO;
		snprintf(err, err_size, "topology: hwloc cannot read this machine: %s",
			 strerror(-ret));
		topology_free(topo);
		return ret;
	}
	topo->nr_present = online > 0 ? (size_t)online : 1;
	ret = find_usable(topo);
	if (ret) {
		snprintf(err, err_size, "topology: no usable CPU: %s", strerror(-ret));
		topology_free(topo);
		return ret;
	}
	if (topo->nr_present < topo->nr)
		topo->nr_present = topo->nr;
	*out = topo;
	return 0;
}

void topology_free(struct topology *topo)
{
	if (!topo)
		return;
	hwloc_topology_destroy(topo->hw);
	free(topo->cpus);
	free(topo);
}

const struct topology_cpu *topology_cpus(const struct topology *topo, size_t *nr)
{
	*nr = topo->nr;
	return topo->cpus;
}

size_t topology_nr_present(const struct topology *topo)
{
	return topo->nr_present;
}

int topology_bind(const struct topology *topo, unsigned int cpu, char *err, size_t err_size)
{
	hwloc_cpuset_t set = hwloc_bitmap_alloc();
	int ret = 0;

	if (!set) {
		snprintf(err, err_size, "cannot bind a worker to CPU %u: out of memory", cpu);
		return -ENOMEM;
	}
	hwloc_bitmap_only(set, cpu);
	if (hwloc_set_cpubind(topo->hw, set, HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT) < 0) {
		ret = errno ? -errno : -EIO;
		snprintf(err, err_size, "cannot bind a worker to CPU %u: %s", cpu,
			 ret == -EINVAL ? "it is offline, or outside the CPU set of this process" :
					  strerror(-ret));
	}
	hwloc_bitmap_free(set);
	return ret;
}

static const char *cpu_model(const struct topology *topo)
{
	hwloc_obj_t package = hwloc_get_obj_by_type(topo->hw, HWLOC_OBJ_PACKAGE, 0);
	const char *name = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;

	if (!name)
		name = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topo->hw), "CPUModel");
	return name ? name : "unknown";
}

static const char *cache_type(hwloc_obj_t obj)
{
	switch (obj->attr->cache.type) {
	case HWLOC_OBJ_CACHE_DATA:
		return "data";
	case HWLOC_OBJ_CACHE_INSTRUCTION:
		return "instruction";
	default:
		return "unified";
	}
}

static void add_cache(json_t *list, const struct topology *topo, hwloc_obj_type_t type)
{
	int count = hwloc_get_nbobjs_by_type(topo->hw, type);
	hwloc_obj_t obj = hwloc_get_obj_by_type(topo->hw, type, 0);

	if (count <= 0 || !obj)
		return;
	json_array_append_new(
		list, json_pack("{s:i, s:s, s:I, s:i, s:i, s:i}", "level",
				(int)obj->attr->cache.depth, "type", cache_type(obj), "bytes",
				(json_int_t)obj->attr->cache.size, "line_bytes",
				(int)obj->attr->cache.linesize, "count", count, "cpus_sharing",
				hwloc_bitmap_weight(obj->cpuset)));
}

static json_t *caches_json(const struct topology *topo)
{
	static const hwloc_obj_type_t types[] = { HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L1ICACHE,
						  HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
						  HWLOC_OBJ_L4CACHE };
	json_t *list = json_array();

	for (size_t i = 0; list && i < sizeof(types) / sizeof(types[0]); i++)
		add_cache(list, topo, types[i]);
	return list;
}

static json_t *cpus_json(const struct topology *topo)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < topo->nr; i++) {
		const struct topology_cpu *c = &topo->cpus[i];

		json_array_append_new(list, json_pack("{s:i, s:i, s:i, s:i, s:i}", "cpu",
						      (int)c->cpu, "package", (int)c->package,
						      "node", (int)c->node, "core", (int)c->core,
						      "thread", (int)c->thread));
	}
	return list;
}

static int count_of(const struct topology *topo, hwloc_obj_type_t type)
{
	int n = hwloc_get_nbobjs_by_type(topo->hw, type);

	return n > 0 ? n : 1;
}

json_t *topology_json(const struct topology *topo)
{
	int pus = count_of(topo, HWLOC_OBJ_PU);
	int cores = hwloc_get_nbobjs_by_type(topo->hw, HWLOC_OBJ_CORE);

	if (cores <= 0)
		cores = pus;
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:b, s:i, s:o, s:o, s:s}", "model",
			 cpu_model(topo), "sockets", count_of(topo, HWLOC_OBJ_PACKAGE),
			 "numa_nodes", count_of(topo, HWLOC_OBJ_NUMANODE), "cores", cores,
			 "cpus_present", (int)topo->nr_present, "cpus_usable", (int)topo->nr, "smt",
			 pus > cores, "threads_per_core", (pus + cores - 1) / cores, "caches",
			 caches_json(topo), "cpus", cpus_json(topo), "hwloc", HWLOC_VERSION);
}

char *topology_cpu_list(const struct topology *topo, char *buf, size_t size)
{
	hwloc_cpuset_t set = hwloc_bitmap_alloc();

	if (size)
		buf[0] = 0;
	if (!set)
		return buf;
	for (size_t i = 0; i < topo->nr; i++)
		hwloc_bitmap_set(set, topo->cpus[i].cpu);
	hwloc_bitmap_list_snprintf(buf, size, set);
	hwloc_bitmap_free(set);
	return buf;
}
