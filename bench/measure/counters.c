// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware counters over perf_event_open(2), with event names encoded by
 * libpfm4; see counters.h for the contract.
 *
 * LLC misses try the generic name first and the PMU's architectural one next.
 * When the group cannot be opened the reason is told from errno plus what the
 * machine says about itself: no PMU in a virtual machine (ENOENT),
 * perf_event_paranoid (EACCES), seccomp or capabilities (EPERM), no perf in
 * the kernel (ENOSYS).
 */
#include "measure/counters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<perfmon/pfmlib_perf_event.h>) && !defined(DPAMT_NO_LIBPFM)
#define HAVE_LIBPFM 1
#endif
#endif

static const char *const names[NR_COUNTERS] = {
	[COUNTER_CYCLES] = "cycles",
	[COUNTER_INSTRUCTIONS] = "instructions",
	[COUNTER_LLC_MISSES] = "llc_misses",
};

const char *counter_name(enum counter c)
{
	return names[c];
}

static void counters_none(struct counters *c)
{
	c->leader = -1;
	for (int i = 0; i < NR_COUNTERS; i++) {
		c->fd[i] = -1;
		c->id[i] = 0;
	}
}

#ifdef HAVE_LIBPFM

#include <perfmon/pfmlib_perf_event.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static const char *const pfm_names[NR_COUNTERS][4] = {
	[COUNTER_CYCLES] = { "perf::PERF_COUNT_HW_CPU_CYCLES", "cycles" },
	[COUNTER_INSTRUCTIONS] = { "perf::PERF_COUNT_HW_INSTRUCTIONS", "instructions" },
	[COUNTER_LLC_MISSES] = { "perf::PERF_COUNT_HW_CACHE_MISSES", "LLC_MISSES",
				 "LONGEST_LAT_CACHE:MISS" },
};

static pthread_once_t pfm_once = PTHREAD_ONCE_INIT;
static int pfm_ready;

static void pfm_setup(void)
{
	pfm_ready = pfm_initialize();
}

static int encode(const char *name, struct perf_event_attr *attr)
{
	pfm_perf_encode_arg_t arg = { .attr = attr, .size = sizeof(arg), .cpu = -1 };

	memset(attr, 0, sizeof(*attr));
	attr->size = sizeof(*attr);
	return pfm_get_os_event_encoding(name, PFM_PLM3, PFM_OS_PERF_EVENT, &arg);
}

static int event_open(struct perf_event_attr *attr, int group)
{
	attr->disabled = group < 0;
	attr->exclude_kernel = 1;
	attr->exclude_hv = 1;
	attr->read_format = PERF_FORMAT_GROUP | PERF_FORMAT_ID | PERF_FORMAT_TOTAL_TIME_ENABLED |
			    PERF_FORMAT_TOTAL_TIME_RUNNING;
	return (int)syscall(SYS_perf_event_open, attr, 0, -1, group, PERF_FLAG_FD_CLOEXEC);
}

/* Returns 0 or the -errno of the last name tried; -ENOENT if libpfm knows none of them. */
static int counter_open(struct counters *c, enum counter which)
{
	int ret = -ENOENT;

	for (int i = 0; i < 4 && pfm_names[which][i]; i++) {
		int group = c->leader < 0 ? -1 : c->fd[c->leader];
		struct perf_event_attr attr;
		int fd;

		if (encode(pfm_names[which][i], &attr) != PFM_SUCCESS)
			continue;
		fd = event_open(&attr, group);
		if (fd < 0) {
			ret = -errno;
			continue;
		}
		if (ioctl(fd, PERF_EVENT_IOC_ID, &c->id[which]) < 0) {
			ret = -errno;
			close(fd);
			continue;
		}
		c->fd[which] = fd;
		if (c->leader < 0)
			c->leader = (int)which;
		return 0;
	}
	return ret;
}

static bool in_virtual_machine(void)
{
	char line[8192];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "flags", 5) && strstr(line, " hypervisor");
	fclose(f);
	return found;
}

static int paranoid_level(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &level) != 1)
		level = 0;
	fclose(f);
	return level;
}

static void explain(int error, char *note)
{
	const char *head = "hardware counters: none (perf_event_open:";

	switch (error) {
	case ENOENT:
	case ENODEV:
	case EOPNOTSUPP:
		snprintf(note, COUNTERS_NOTE_SIZE, "%s %s, %s)", head,
			 error == ENOENT ? "ENOENT" : error == ENODEV ? "ENODEV" : "EOPNOTSUPP",
			 in_virtual_machine() ? "virtual machine without a PMU" :
						"no PMU that the kernel knows");
		return;
	case EACCES:
		snprintf(note, COUNTERS_NOTE_SIZE,
			 "%s EACCES, kernel.perf_event_paranoid is %d; 2 or less is needed)", head,
			 paranoid_level());
		return;
	case EPERM:
		snprintf(note, COUNTERS_NOTE_SIZE,
			 "%s EPERM, forbidden by seccomp or a security module)", head);
		return;
	case ENOSYS:
		snprintf(note, COUNTERS_NOTE_SIZE, "%s ENOSYS, a kernel without perf or seccomp)",
			 head);
		return;
	default:
		snprintf(note, COUNTERS_NOTE_SIZE, "%s %s)", head, strerror(error));
	}
}

static void describe(const struct counters *c, char *note)
{
	size_t used = (size_t)snprintf(note, COUNTERS_NOTE_SIZE, "hardware counters:");

	for (int i = 0; i < NR_COUNTERS; i++)
		used += (size_t)snprintf(note + used, COUNTERS_NOTE_SIZE - used, " %s%s", names[i],
					 c->fd[i] < 0 ? " (not on this PMU)" : "");
}

int counters_open(struct counters *c, char *note)
{
	int ret = 0;

	counters_none(c);
	pthread_once(&pfm_once, pfm_setup);
	if (pfm_ready != PFM_SUCCESS) {
		snprintf(note, COUNTERS_NOTE_SIZE, "hardware counters: none (libpfm4: %s)",
			 pfm_strerror(pfm_ready));
		return -ENODEV;
	}
	for (int i = 0; i < NR_COUNTERS; i++) {
		int one = counter_open(c, (enum counter)i);

		if (!ret)
			ret = one;
	}
	if (c->leader < 0) {
		explain(-ret, note);
		return ret;
	}
	describe(c, note);
	return 0;
}

static void group_ioctl(struct counters *c, unsigned long request)
{
	if (c->leader >= 0)
		ioctl(c->fd[c->leader], request, PERF_IOC_FLAG_GROUP);
}

void counters_start(struct counters *c)
{
	group_ioctl(c, PERF_EVENT_IOC_ENABLE);
}

void counters_stop(struct counters *c)
{
	group_ioctl(c, PERF_EVENT_IOC_DISABLE);
}

void counters_reset(struct counters *c)
{
	group_ioctl(c, PERF_EVENT_IOC_RESET);
}

int counters_read(struct counters *c, struct counter_values *v)
{
	struct {
		uint64_t nr, enabled, running;
		struct {
			uint64_t value, id;
		} of[NR_COUNTERS];
	} data;
	ssize_t got;

	memset(v, 0, sizeof(*v));
	if (c->leader < 0)
		return -ENODEV;
	got = read(c->fd[c->leader], &data, sizeof(data));
	if (got < 0)
		return -errno;
	if ((size_t)got < offsetof(__typeof__(data), of) || data.nr > NR_COUNTERS)
		return -EIO;
	if (!data.running)
		return data.enabled ? -EAGAIN : 0;
	v->running = (double)data.running / (double)data.enabled;
	for (uint64_t i = 0; i < data.nr; i++) {
		for (int k = 0; k < NR_COUNTERS; k++) {
			if (c->fd[k] < 0 || c->id[k] != data.of[i].id)
				continue;
			v->value[k] = (uint64_t)((unsigned __int128)data.of[i].value *
						 data.enabled / data.running);
			v->valid[k] = true;
		}
	}
	return 0;
}

#else

int counters_open(struct counters *c, char *note)
{
	counters_none(c);
	snprintf(note, COUNTERS_NOTE_SIZE, "hardware counters: none (%s)",
		 "built without libpfm4; install libpfm4-dev and build again");
	return -ENOSYS;
}

void counters_start(struct counters *c)
{
	(void)c;
}

void counters_stop(struct counters *c)
{
	(void)c;
}

void counters_reset(struct counters *c)
{
	(void)c;
}

int counters_read(struct counters *c, struct counter_values *v)
{
	(void)c;
	memset(v, 0, sizeof(*v));
	return -ENODEV;
}

#endif

void counters_close(struct counters *c)
{
	for (int i = 0; i < NR_COUNTERS; i++)
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	counters_none(c);
}
