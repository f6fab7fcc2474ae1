// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt-guest churn [SECONDS]: TDs come and go while allocations of their VMMs fail
 * (fault injection of the kernel, where it was built with it) and the module answers
 * BUSY: at random to the leaves of which KVM expects it, and to the first attempt of
 * those that KVM tries once more with all vCPUs out. Many TDs die of it; a TD that is
 * not told of an error must run to its end, nothing may be left behind, and the kernel
 * log must stay clean.
 *
 * A round is ten seconds with one strategy and one rate of failures, from where hardly
 * a TD is created to where most live; behind each everything must be back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/guest.h"
#include "guest/life.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"

#define SECONDS 30
#define ROUND_NS 10000000000ULL
#define ERRNO_MAX 136
#define WORKERS_MAX 64

/* What KVM retries on its own or in the VMM; then what it retries once. */
static const char *const rules[] = {
	"mem.sept.add busy:sept-tree 30%",	"mem.page.add busy:sept-tree 30%",
	"mem.page.aug busy:sept-tree 30%",	"vp.enter busy:sept-tree 30%",
	"phymem.pamt.add busy:rcx 30% alternate",
	"phymem.pamt.remove busy:rcx 30% alternate",
	"mem.range.block busy:sept-tree 100% alternate",
	"mem.track busy:td-epoch 100% alternate",
	"mem.page.remove busy:sept-tree 100% alternate",
};

/* One failure in so many allocations. */
static const unsigned int intervals[] = { 3000, 1000, 300, 50 };

struct tally {
	volatile int stop;
	uint64_t answered[sizeof(rules) / sizeof(rules[0])];	/* by the rules */
	uint64_t lives, created, ended;
	uint64_t failed[ERRNO_MAX];
	int hung;
};

static void live(const struct kvm_host *host, const struct workload *w, uint64_t seed,
		 struct tally *t)
{
	char err[KVM_ERROR_MAX];
	struct kvm_td *td;
	int ret;

	__atomic_fetch_add(&t->lives, 1, __ATOMIC_RELAXED);
	ret = life_make(host, w, seed, &td, err, sizeof(err));
	if (!ret) {
		__atomic_fetch_add(&t->created, 1, __ATOMIC_RELAXED);
		ret = life_run(td, &t->stop);
		kvm_td_free(td);
	}
	if (ret == -ETIMEDOUT)
		t->hung = 1;
	__atomic_fetch_add(ret ? &t->failed[-ret < ERRNO_MAX ? -ret : 0] : &t->ended, 1,
			   __ATOMIC_RELAXED);
}

/* A process: its TDs one after the other, all of its allocations in danger. */
static void worker(const struct workload *w, unsigned int index, uint64_t seed, bool failing,
		   struct tally *t)
{
	struct kvm_host host;

	life_pin(index, 1);
	if (life_open(&host))
		_exit(EXIT_ENVIRONMENT);
	if (failing && kernel_stats_write("/proc/self", "make-it-fail", "1"))
		_exit(EXIT_ENVIRONMENT);
	for (uint64_t n = 0; !t->stop; n++)
		live(&host, w, seed + n, t);
	_exit(EXIT_FINE);
}

/* ---------------------------------------------------------------- injection */

static bool inject(const char *rule)
{
	int err = kernel_stats_write(EMU_DIR, "inject", rule);

	if (err)
		guest_say("churn: %s/inject does not take \"%s\": %s", EMU_DIR, rule, strerror(-err));
	return !err;
}

static bool inject_busy(void)
{
	if (!inject("clear"))
		return false;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!inject(rules[i]))
			return false;
	return true;
}

/* What the rules have answered in this round, in their order: " .. answered=N" a line. */
static void count_answers(struct tally *t)
{
	char *text = kernel_stats_read(EMU_DIR, "inject"), *at = text;

	for (size_t i = 0; at && i < sizeof(rules) / sizeof(rules[0]); i++) {
		at = strstr(at, "answered=");
		if (at)
			t->answered[i] += strtoull(at += 9, NULL, 10);
	}
	free(text);
}

/* Injection that did not happen tests nothing. */
static bool was_injected(const struct tally *t, bool failing)
{
	bool can_fail = !access("/sys/kernel/debug/failslab", F_OK);

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!t->answered[i]) {
			guest_say("churn: the rule \"%s\" answered nothing", rules[i]);
			return false;
		}
	if (can_fail && (!failing || !t->failed[ENOMEM])) {
		guest_say("churn: this kernel can fail allocations, and %s", failing ?
			  "no life met one" : "does not take how");
		return false;
	}
	return true;
}

/*
 * KVM 7.3 takes an APIC map that cannot be allocated for one that is not unique, and
 * inhibits APICv, which is a bug of the VM where that is a TD:
 * kvm_recalculate_apic_map(), vt_refresh_apicv_exec_ctrl(). It is spared.
 */
static int spare_apic_map(const char *dir)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char name[128], start[32] = "", end[32] = "";
	unsigned long long at, from = 0, to = ~0ULL;

	while (f && fscanf(f, "%llx %*c %127s%*[^\n]", &at, name) == 2)
		if (!strncmp(name, "kvm_recalculate_apic_map", 24))
			from = at;
	if (f)
		rewind(f);
	/* not sorted where modules are */
	while (f && fscanf(f, "%llx %*c %127s%*[^\n]", &at, name) == 2)
		if (at > from && at < to)
			to = at;
	if (f)
		fclose(f);
	if (!from)
		return -ENOENT;
	snprintf(start, sizeof(start), "0x%llx", from);
	snprintf(end, sizeof(end), "0x%llx", to);
	return kernel_stats_write(dir, "reject-start", start) ?:
	       kernel_stats_write(dir, "reject-end", end);
}

/* One in @interval allocations of the tasks that are marked; false: this kernel cannot. */
static bool fail_allocations(unsigned int interval)
{
	static const char *const dirs[] = { "/sys/kernel/debug/failslab",
					    "/sys/kernel/debug/fail_page_alloc" };
	char text[16];
	int err = 0;

	snprintf(text, sizeof(text), "%u", interval);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && !err; i++) {
		err = kernel_stats_write(dirs[i], "task-filter", "Y");
		err = err ?: kernel_stats_write(dirs[i], "ignore-gfp-wait", "N");
		err = err ?: kernel_stats_write(dirs[i], "verbose", "0");
		err = err ?: kernel_stats_write(dirs[i], "times", "-1");
		err = err ?: spare_apic_map(dirs[i]);
		err = err ?: kernel_stats_write(dirs[i], "interval", text);
		err = err ?: kernel_stats_write(dirs[i], "probability", "100");
	}
	/* of pages, single ones too */
	err = err ?: kernel_stats_write(dirs[1], "min-order", "0");
	return !err;
}

/* ------------------------------------------------------------------- rounds */

static int reap(pid_t *child, unsigned int n, struct tally *t)
{
	int ret = EXIT_FINE, status;

	t->stop = 1;
	for (unsigned int i = 0; i < n; i++) {
		if (waitpid(child[i], &status, 0) != child[i] || !status)
			continue;
		if (WIFSIGNALED(status))
			guest_say("churn: a VMM died of signal %d", WTERMSIG(status));
		ret = EXIT_REGRESSED;
	}
	return ret;
}

static int round_of(const struct workload *w, uint64_t ns, uint64_t seed, bool failing,
		    struct tally *t)
{
	unsigned int n = guest_nr_cpus < WORKERS_MAX ? guest_nr_cpus : WORKERS_MAX, i;
	uint64_t until = clock_ns() + ns;
	char why[300];
	pid_t child[WORKERS_MAX];
	int ret;

	t->stop = 0;
	fflush(NULL);
	for (i = 0; i < n; i++) {
		child[i] = fork();
		if (!child[i])
			worker(w, i, seed + i * 1000003, failing, t);
		if (child[i] < 0)
			break;
	}
	while (clock_ns() < until && !t->hung)
		usleep(100000);
	ret = reap(child, i, t);
	count_answers(t);
	inject("clear");
	if (!judge_all_back(why, sizeof(why))) {
		guest_say("churn: %s", why);
		ret = EXIT_REGRESSED;
	}
	if (t->hung) {
		guest_say("churn: a TD stood still");
		ret = EXIT_REGRESSED;
	}
	return ret;
}

static void tell(const struct tally *t, const char *verdict, unsigned int rounds, bool failing,
		 uint64_t seconds)
{
	char text[300] = "";

	for (int e = 0; e < ERRNO_MAX; e++) {
		size_t used = strlen(text);

		if (t->failed[e])
			snprintf(text + used, sizeof(text) - used, ", %" PRIu64 " %s", t->failed[e],
				 strerrorname_np(e) ?: "of something else");
	}
	guest_say("churn: %s: %" PRIu64 " lives in %u rounds, %" PRIu64 " TDs created, %" PRIu64
		  " ran to their end%s, %s, %" PRIu64 " s", verdict, t->lives, rounds, t->created,
		  t->ended, text, failing ? "allocations failed" : "no allocation failed: this "
		  "kernel has no fault injection (emu-debug has)", seconds);
}

/* The next one in the kernel's list of strategies. */
static bool next_strategy(unsigned int n)
{
	char *list = kernel_stats_read(KERNEL_STATS_DIR, "strategy"), *rest, *word;
	const char *names[16];
	unsigned int nr = 0;
	bool ok;

	for (word = list ? strtok_r(list, " []\n", &rest) : NULL; word && nr < 16;
	     word = strtok_r(NULL, " []\n", &rest))
		names[nr++] = word;
	ok = nr && !kernel_stats_write(KERNEL_STATS_DIR, "strategy", names[n % nr]);
	free(list);
	return ok;
}

int guest_churn(int argc, char **argv)
{
	uint64_t seconds = SECONDS, since, before = 0;
	struct workload *w;
	struct tally *t;
	bool failing = false;
	unsigned int n = 0;
	int ret = EXIT_FINE;
	char why[300];

	if (argc > 1 || (argc && !guest_number(argv[0], &seconds))) {
		guest_say("churn: usage: churn [SECONDS]");
		return EXIT_USAGE;
	}
	clock_init();
	judge_log_skip(false);
	judge_free_kb();	/* so that CPUs keep little from here on */
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	w = life_workload();
	if (t == MAP_FAILED || !w)
		return EXIT_ENVIRONMENT;
	since = clock_ns();
	for (; ret == EXIT_FINE && clock_ns() - since < seconds * 1000000000; n++) {
		uint64_t left = seconds * 1000000000 - (clock_ns() - since);

		failing = fail_allocations(intervals[n % (sizeof(intervals) / sizeof(intervals[0]))]);
		if (!next_strategy(n) || !inject_busy()) {
			ret = EXIT_ENVIRONMENT;
			break;
		}
		ret = round_of(w, left < ROUND_NS ? left : ROUND_NS, n * 7919, failing, t);
		/* the first one fills the kernel's caches */
		before = before ?: judge_free_kb();
	}
	if (ret == EXIT_FINE && !judge_memory_back(before, why, sizeof(why))) {
		guest_say("churn: %s", why);
		ret = EXIT_REGRESSED;
	}
	/* Something must have lived, or nothing was tested. */
	if (ret == EXIT_FINE && !t->ended) {
		guest_say("churn: no TD ran to its end");
		ret = EXIT_REGRESSED;
	}
	if (ret == EXIT_FINE && !was_injected(t, failing))
		ret = EXIT_REGRESSED;
	tell(t, ret ? "FAILED" : "all came back", n, failing, (clock_ns() - since) / 1000000000);
	workload_free(w);
	munmap(t, sizeof(*t));
	return ret;
}
