// SPDX-License-Identifier: GPL-2.0-only
/*
 * Facts about the environment, from /proc, /sys, CPUID and git; see
 * environment.h for the contract.
 *
 * Hashes are SHA-256 made by sha256sum, programs are started by posix_spawnp
 * without a shell: the kernel configuration's hash is what
 * `zcat /proc/config.gz | sha256sum` prints, so that anybody can check it and
 * that /boot/config-RELEASE gives the same one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "measure/environment.h"
#include "measure/clock.h"
#include "td/units.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern char **environ;

#define SHA256_HEX 64

/* First line of @path without its newline; NULL if there is none. In @buf. */
static const char *first_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	const char *line;

	if (!f)
		return NULL;
	line = fgets(buf, (int)size, f);
	fclose(f);
	if (!line)
		return NULL;
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

static json_t *text_or_null(const char *text)
{
	json_t *value = text ? json_string(text) : NULL;

	return value ? value : json_null();
}

static json_t *file_text(const char *path)
{
	char buf[512];

	return text_or_null(first_line(path, buf, sizeof(buf)));
}

/* The word in brackets of "always [madvise] never". */
static json_t *file_choice(const char *path)
{
	char buf[256], *open, *close;

	if (!first_line(path, buf, sizeof(buf)))
		return json_null();
	open = strchr(buf, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return json_string(buf);
	*close = 0;
	return json_string(open + 1);
}

static json_t *file_integer(const char *path)
{
	char buf[64], *end;
	long long value;

	if (!first_line(path, buf, sizeof(buf)))
		return json_null();
	errno = 0;
	value = strtoll(buf, &end, 10);
	return errno || end == buf ? json_null() : json_integer(value);
}

/* Start @argv with stdin @in and stdout @out (-1: /dev/null); errors are dropped. */
static pid_t spawn(char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int ret;

	if (posix_spawn_file_actions_init(&actions))
		return -1;
	if (in >= 0)
		ret = posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		ret = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!ret && out >= 0)
		ret = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (!ret)
		ret = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!ret)
		ret = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return ret ? -1 : pid;
}

static int wait_for(pid_t pid)
{
	int status;

	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* All that comes out of @fd, NUL-terminated, cut at @size - 1; the rest is drained. */
static size_t drain(int fd, char *buf, size_t size)
{
	size_t used = 0;
	char sink[4096];

	for (;;) {
		bool room = used + 1 < size;
		ssize_t n = room ? read(fd, buf + used, size - 1 - used) :
				   read(fd, sink, sizeof(sink));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (room)
			used += (size_t)n;
	}
	buf[used] = 0;
	return used;
}

/* Output of @argv in @buf. Returns its exit status, -1 if it could not run. */
static int output_of(char *const argv[], int in, char *buf, size_t size)
{
	int fds[2];
	pid_t pid;

	buf[0] = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = spawn(argv, in, fds[1]);
	close(fds[1]);
	drain(fds[0], buf, size);
	close(fds[0]);
	return wait_for(pid);
}

/* SHA-256 in hex of what @argv prints, or NULL. */
static const char *hash_of(char *const argv[], char hex[SHA256_HEX + 1])
{
	char *const sum[] = { "sha256sum", NULL };
	char buf[SHA256_HEX + 32];
	int fds[2], made, hashed;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return NULL;
	pid = spawn(argv, -1, fds[1]);
	close(fds[1]);
	hashed = output_of(sum, fds[0], buf, sizeof(buf));
	close(fds[0]);
	made = wait_for(pid);
	if (made || hashed || strspn(buf, "0123456789abcdef") != SHA256_HEX)
		return NULL;
	memcpy(hex, buf, SHA256_HEX);
	hex[SHA256_HEX] = 0;
	return hex;
}

static json_t *config_hash(const char *release)
{
	char hex[SHA256_HEX + 1], path[512];
	char *const unzip[] = { "gzip", "-dc", "/proc/config.gz", NULL };
	char *const cat[] = { "cat", path, NULL };

	if (!access("/proc/config.gz", R_OK))
		return text_or_null(hash_of(unzip, hex));
	snprintf(path, sizeof(path), "/boot/config-%s", release);
	if (!access(path, R_OK))
		return text_or_null(hash_of(cat, hex));
	snprintf(path, sizeof(path), "/lib/modules/%s/config", release);
	if (!access(path, R_OK))
		return text_or_null(hash_of(cat, hex));
	return json_null();
}

/* Every fact under its own key: what run.json, the report and a diff of two runs see. */
static void fact(json_t *all, const char *key, json_t *value)
{
	json_object_set_new(all, key, value ? value : json_null());
}

static void kernel_facts(json_t *all)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	fact(all, "kernel", text_or_null(u.release));
	fact(all, "kernel_version", text_or_null(u.version));
	fact(all, "arch", text_or_null(u.machine));
	fact(all, "config_hash", config_hash(u.release));
	fact(all, "clocksource",
	     file_text("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
}

/* The distinct first lines of the files that match @pattern, joined by ",". */
static json_t *distinct(const char *pattern)
{
	char joined[256] = "", line[64];
	json_t *seen = json_object();
	const char *key;
	json_t *value;
	glob_t g;

	if (glob(pattern, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			if (first_line(g.gl_pathv[i], line, sizeof(line)))
				json_object_set_new(seen, line, json_true());
		globfree(&g);
	}
	json_object_foreach(seen, key, value) {
		size_t used = strlen(joined);

		snprintf(joined + used, sizeof(joined) - used, "%s%s", used ? "," : "", key);
	}
	json_decref(seen);
	return joined[0] ? json_string(joined) : json_null();
}

/* "on", "off" or null: two drivers, opposite senses. */
static json_t *turbo(void)
{
	char buf[16];

	if (first_line("/sys/devices/system/cpu/intel_pstate/no_turbo", buf, sizeof(buf)))
		return json_string(buf[0] == '0' ? "on" : "off");
	if (first_line("/sys/devices/system/cpu/cpufreq/boost", buf, sizeof(buf)))
		return json_string(buf[0] == '1' ? "on" : "off");
	return json_null();
}

/* Only those that concern this CPU: what is not affected is left out. */
static json_t *mitigations(void)
{
	json_t *list = json_object();
	char line[512];
	glob_t g;

	if (glob("/sys/devices/system/cpu/vulnerabilities/*", 0, NULL, &g))
		return list;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *name = strrchr(g.gl_pathv[i], '/') + 1;

		if (first_line(g.gl_pathv[i], line, sizeof(line)) && strcmp(line, "Not affected"))
			json_object_set_new(list, name, text_or_null(line));
	}
	globfree(&g);
	return list;
}

static json_t *cpu_model(void)
{
	char line[512], *value;
	json_t *model = NULL;
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return json_null();
	while (!model && fgets(line, sizeof(line), f)) {
		value = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
		if (!value)
			continue;
		value += 1 + strspn(value + 1, " ");
		value[strcspn(value, "\n")] = 0;
		model = text_or_null(value);
	}
	fclose(f);
	return model ? model : json_null();
}

static void cpu_facts(json_t *all)
{
	fact(all, "cpu_model", cpu_model());
	fact(all, "microcode", distinct("/sys/devices/system/cpu/cpu*/microcode/version"));
	fact(all, "governor",
	     distinct("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"));
	fact(all, "frequency_driver",
	     distinct("/sys/devices/system/cpu/cpu*/cpufreq/scaling_driver"));
	fact(all, "turbo", turbo());
	fact(all, "smt", file_text("/sys/devices/system/cpu/smt/control"));
	fact(all, "isolated_cpus", file_text("/sys/devices/system/cpu/isolated"));
	fact(all, "mitigations", mitigations());
}

#if defined(__x86_64__)
bool environment_virtual(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 31));
}

/* "KVMKVMKVM" and the like; NULL if there is none. */
static const char *hypervisor_signature(char sig[13])
{
	unsigned int a, b, c, d;

	if (!environment_virtual())
		return NULL;
	__cpuid(0x40000000, a, b, c, d);
	memcpy(sig, &b, 4);
	memcpy(sig + 4, &c, 4);
	memcpy(sig + 8, &d, 4);
	sig[12] = 0;
	for (int i = 0; i < 12; i++)
		if (sig[i] && (sig[i] < ' ' || sig[i] > '~'))
			sig[i] = '?';
	return sig;
}
#else
bool environment_virtual(void)
{
	return !access("/sys/hypervisor/type", F_OK);
}

static const char *hypervisor_signature(char sig[13])
{
	(void)sig;
	return NULL;
}
#endif

/* "none", the hypervisor's signature, or "yes" where it does not say. */
static json_t *virtualisation(void)
{
	char sig[13];

	if (!environment_virtual())
		return json_string("none");
	if (!hypervisor_signature(sig) || !sig[0])
		return json_string("yes");
	return text_or_null(sig);
}

static void virtualisation_facts(json_t *all)
{
	fact(all, "virtualisation", virtualisation());
	fact(all, "hypervisor_type", file_text("/sys/hypervisor/type"));
	fact(all, "dmi_vendor", file_text("/sys/class/dmi/id/sys_vendor"));
	fact(all, "dmi_product", file_text("/sys/class/dmi/id/product_name"));
}

/* A line of /proc/meminfo in bytes, 0 if it is not there. */
static uint64_t meminfo(const char *key)
{
	unsigned long long kb = 0;
	size_t len = strlen(key);
	char line[256];
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, len) || line[len] != ':')
			continue;
		if (sscanf(line + len + 1, "%llu", &kb) != 1)
			kb = 0;
		break;
	}
	fclose(f);
	return (uint64_t)kb * 1024;
}

static bool read_bytes(const char *path, uint64_t *value)
{
	char buf[64], *end;

	if (!first_line(path, buf, sizeof(buf)))
		return false;
	errno = 0;
	*value = strtoull(buf, &end, 10);
	return !errno && end != buf && !*end;
}

/* Path of our cgroup (v2) in @buf, "" if there is none. */
static void cgroup_path(char *buf, size_t size)
{
	char line[PATH_MAX];

	buf[0] = 0;
	if (first_line("/proc/self/cgroup", line, sizeof(line)) && !strncmp(line, "0::", 3))
		snprintf(buf, size, "%s", line + 3);
}

/* What the tightest cgroup above us leaves, UINT64_MAX without a limit. */
static uint64_t cgroup_room(void)
{
	char group[PATH_MAX], path[PATH_MAX + 64];
	uint64_t room = UINT64_MAX, limit, used;
	char *slash;

	cgroup_path(group, sizeof(group));
	do {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
		if (read_bytes(path, &limit)) {
			snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group);
			if (!read_bytes(path, &used))
				used = 0;
			limit = limit > used ? limit - used : 0;
			if (limit < room)
				room = limit;
		}
		slash = strrchr(group, '/');
		if (slash)
			*slash = 0;
	} while (slash);
	return room;
}

uint64_t environment_memory_available(void)
{
	uint64_t available = meminfo("MemAvailable"), room = cgroup_room();

	return available && room < available ? room : available;
}

static void memory_facts(json_t *all)
{
	fact(all, "memory_total_bytes", json_integer((json_int_t)meminfo("MemTotal")));
	fact(all, "memory_available_bytes",
	     json_integer((json_int_t)environment_memory_available()));
	fact(all, "swap_total_bytes", json_integer((json_int_t)meminfo("SwapTotal")));
	fact(all, "transparent_hugepage",
	     file_choice("/sys/kernel/mm/transparent_hugepage/enabled"));
	fact(all, "numa_balancing", file_integer("/proc/sys/kernel/numa_balancing"));
	fact(all, "overcommit_memory", file_integer("/proc/sys/vm/overcommit_memory"));
}

static json_t *load_json(void)
{
	double avg[3];

	if (getloadavg(avg, 3) != 3)
		return json_null();
	return json_pack("[f, f, f]", avg[0], avg[1], avg[2]);
}

int environment_cpu_times(struct cpu_times *t)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, NR };
	unsigned long long v[NR] = { 0 };
	uint64_t tick_ns, total = 0;
	long hz = sysconf(_SC_CLK_TCK);
	char line[512];
	int n;

	memset(t, 0, sizeof(*t));
	if (!first_line("/proc/stat", line, sizeof(line)))
		return -ENOENT;
	n = sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[USER], &v[NICE],
		   &v[SYSTEM], &v[IDLE], &v[IOWAIT], &v[IRQ], &v[SOFTIRQ], &v[STEAL]);
	if (n < 4)
		return -EINVAL;
	tick_ns = 1000000000u / (uint64_t)(hz > 0 ? hz : 100);
	for (int i = 0; i < NR; i++)
		total += v[i];
	t->total_ns = total * tick_ns;
	t->steal_ns = v[STEAL] * tick_ns;
	t->busy_ns = (total - v[IDLE] - v[IOWAIT] - v[STEAL]) * tick_ns;
	return 0;
}

double environment_steal_pct(const struct cpu_times *from, const struct cpu_times *to)
{
	if (to->total_ns <= from->total_ns || to->steal_ns <= from->steal_ns)
		return 0;
	return 100.0 * (double)(to->steal_ns - from->steal_ns) /
	       (double)(to->total_ns - from->total_ns);
}

static void load_facts(json_t *all)
{
	struct cpu_times t, zero = { 0 };

	fact(all, "load_average", load_json());
	if (environment_cpu_times(&t))
		return;
	fact(all, "steal_since_boot_ns", json_integer((json_int_t)t.steal_ns));
	fact(all, "steal_since_boot_pct", json_real(environment_steal_pct(&zero, &t)));
}

static void build_facts(json_t *all)
{
#ifdef __clang__
	fact(all, "compiler", text_or_null(__VERSION__));
#else
	fact(all, "compiler", text_or_null("gcc " __VERSION__));
#endif
#ifdef DPAMT_CFLAGS
	fact(all, "compiler_flags", text_or_null(DPAMT_CFLAGS));
#endif
}

static void clock_facts(json_t *all)
{
	clock_init();
	fact(all, "clock", text_or_null(clock_name()));
	fact(all, "clock_cost_ns", json_integer(clock_cost_ns()));
	fact(all, "clock_error_ppm", json_integer(clock_state.error_ppm));
}

/* Output of `git -C @dir --no-optional-locks ARGS`, without its last newline. */
static int git(const char *dir, char *const args[], char *buf, size_t size)
{
	char *argv[16] = { "git", "-C", (char *)dir, "--no-optional-locks" };
	size_t n = 4;
	int status;

	for (size_t i = 0; args[i] && n < 15; i++)
		argv[n++] = args[i];
	status = output_of(argv, -1, buf, size);
	n = strlen(buf);
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	return status;
}

/* True if @dir is the root of a checkout of this project. */
static bool is_source_tree(const char *dir)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/bench/report/metrics.h", dir);
	return !access(path, R_OK);
}

/* The root of the tree above @dir, or above this executable, in @root. */
static bool find_tree(const char *dir, char *root, size_t size)
{
	char *const top[] = { "rev-parse", "--show-toplevel", NULL };
	char exe[PATH_MAX];
	ssize_t n;

	if (!dir) {
		n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
		if (n <= 0)
			return false;
		exe[n] = 0;
		dir = dirname(exe);
	}
	return !git(dir, top, root, size) && is_source_tree(root);
}

static json_t *count_untracked(const char *status)
{
	int n = 0;

	for (const char *line = status; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		n += !strncmp(line, "??", 2);
		if (!*line)
			break;
	}
	return json_integer(n);
}

uint64_t environment_program(void)
{
	unsigned char buf[65536];
	FILE *f = fopen("/proc/self/exe", "rbe");
	uint64_t hash = FNV_START;
	size_t n;

	if (!f)
		return 0;
	while ((n = fread(buf, 1, sizeof(buf), f)))
		hash = fnv1a64(hash, buf, n);
	if (ferror(f))
		hash = 0;
	fclose(f);
	return hash;
}

json_t *environment_git(const char *dir)
{
	char *const head[] = { "rev-parse", "--verify", "-q", "HEAD", NULL };
	char *const status[] = { "status", "--porcelain", NULL };
	static char changes[1 << 16];
	char root[PATH_MAX], commit[128], hex[SHA256_HEX + 1];
	char *const diff[] = { "git", "-C", root, "--no-optional-locks", "diff",
			       "--no-ext-diff", "--no-color", "--binary", "HEAD", NULL };
	bool dirty;

	if (!find_tree(dir, root, sizeof(root)))
		return json_null();
	if (git(root, head, commit, sizeof(commit)))
		return json_pack("{s:n, s:b, s:n, s:n}", "commit", "dirty", 1, "diff_hash",
				 "untracked");
	if (git(root, status, changes, sizeof(changes)))
		return json_pack("{s:s, s:n, s:n, s:n}", "commit", commit, "dirty", "diff_hash",
				 "untracked");
	dirty = changes[0];
	return json_pack("{s:s, s:b, s:o, s:o}", "commit", commit, "dirty", dirty, "diff_hash",
			 text_or_null(dirty ? hash_of(diff, hex) : NULL), "untracked",
			 count_untracked(changes));
}

json_t *environment_json(const char *dir)
{
	json_t *all = json_object();

	if (!all)
		return NULL;
	kernel_facts(all);
	cpu_facts(all);
	virtualisation_facts(all);
	memory_facts(all);
	load_facts(all);
	build_facts(all);
	clock_facts(all);
	fact(all, "git", environment_git(dir));
	return all;
}
