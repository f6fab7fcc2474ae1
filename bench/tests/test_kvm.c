// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMM against a KVM of this process (kvm_fake.h): whole workloads, every call
 * that can fail, every way in which a TD can die. After each cell nothing is left: no
 * file, no VM, no KeyID.
 */
#define _GNU_SOURCE
#include "tests/kvm_fake.h"

#include "exec/kvm.h"
#include "exec/kvm_perf.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"
#include "td/find.h"
#include "tests/td_fixtures.h"

static char stats_dir[64];
static const unsigned int cpus[] = { 0 };

static void stats_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", stats_dir, name);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static void stats_files(void)
{
	stats_file("strategy", "global [tuned] \n");
	stats_file("memory", "static_bytes 1000\nboot_bytes 100\npairs 3\ncount_bytes 8\n"
			     "strategy_bytes 16\ntds 0\n");
	stats_file("stats", "get_slow 7\ninstall 40\nremove 40\nwait_count_true 2\nwait_ns_true 500\n"
			    "busy_add_region 1\nseamcall_add 41\n");
	stats_file("histograms", "histogram wait sub_bits 4 max_bits 34 sum_ns 500 max_ns 300\n"
				 "192 1\n288 1\n");
	stats_file("reset", "");
	stats_file("audit", "regions 10\ncounted 0\nwith_pair 3\nmismatches 0\n");
}

/* What an emulated host has while TDs 1 and 2 run, and after them: 3 pairs, retained. */
static void emulated_files(void)
{
	stats_file("count", "");
	stats_file("census", "tdr 0\ntdcx 0\ntdvpr 0\nsept 0\nprivate 0\npairs 3\npamt_pages 6\n"
			     "hkids 0\nlocked 0\nreserved 9\n");
	stats_file("census.live", "tdr 2\ntdcx 12\ntdvpr 7\nsept 9\nprivate 490\npairs 5\n"
				  "pamt_pages 10\nhkids 2\nlocked 0\nreserved 9\n");
	stats_file("events", "stale_tlb 0\nownership 0\ncontents 0\nimage 0\nfatal 0\n");
	stats_file("memory.live", "static_bytes 1000000\nboot_bytes 100\npairs 5\ncount_bytes 8\n"
				  "strategy_bytes 16\ntds 2\n");
	stats_file("placement.live", "regions 10\nused 4\nlone 1\nusers 520\n");
	stats_file("regions.live", "td 0x1000 2\nregion 0x0 1 0x1000=1\n"
				  "td 0x202000 1\nregion 0x200000 1 0x202000=511 0x1000=1\n"
				  "region 0x400000 1 0x1000=2 0x202000=1\nregion 0x600000 1\n"
				  "region 0x800000 1 0x202000=4\n");
	stats_file("stats.live", "install 2\n");
}

static void emulated_gone(void)
{
	static const char *const name[] = { "count", "census", "census.live", "events", "memory.live",
					    "placement.live", "regions.live", "stats.live" };
	char path[128];

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", stats_dir, name[i]);
		unlink(path);
	}
}

static struct workload *parse(const char *text)
{
	struct workload *w = NULL;
	struct td_error err;

	if (!CHECK_EQ(workload_parse("test.wl", text, strlen(text), &w, &err), 0))
		printf("\t%s\n", err.text);
	return w;
}

#define HEAD "[global]\ntitle = t\nquestion = q\nasked_by = a\nprimary = fault_p50_ns\n"
#define SMALL HEAD "[td one]\ncount = 1\nvcpus = 2\nmemory = 8M\nimage = 64K\n" \
	"[phase fault]\ntd = one\ndo = fault\n"

/* As long as it takes a TD of a busy machine to go; a run that is to fail waits less. */
#define PATIENCE_NS 60000000000ULL
static u64 keyid_wait_ns = PATIENCE_NS;

/* Run @text; the status that is expected, and a part of the reason. */
static struct cell *run_text(const char *text, enum cell_status status, const char *part)
{
	unsigned int files = fake_files();
	struct workload *w = parse(text);
	struct cell *cell = cell_new();
	struct kvm_config c = {
		.workload = w, .strategy = "tuned", .stats_dir = stats_dir,
		.emu_dir = stats_dir, .cpu = cpus,
		.nr_cpus = 1, .seed = 7, .keyid_wait_ns = keyid_wait_ns,
		.stall_ns = 2000000000,
	};

	kvm_run(&c, cell);
	if (!CHECK_EQ(cell->status, status))
		printf("\t%s\n", cell->reason);
	if (!CHECK(strstr(cell->reason, part) && !strchr(cell->reason, '\n')))
		printf("\treason \"%s\", wanted \"%s\"\n", cell->reason, part);
	CHECK_EQ(fake_files(), files);
	CHECK_EQ(fake.keys_used, 0);
	for (int i = 0; i < FAKE_VMS; i++)
		CHECK(!fake.vm[i].fd);
	workload_free(w);
	return cell;
}

static void fake_new(void)
{
	fake.keys = 63;
	fake.keys_used = fake.most_keys = 0;
	fake.fail_call = fake.hw_error = fake.runs = fake.created = fake.map_gpa = 0;
	fake.fail_times = -1;
	fake.no_tdx = fake.all_shared = fake.stuck_once = false;
	fake.faults = fake.fault_shift = fake.stuck_vcpu = fake.moving = 0;
	kvm_interrupted = 0;
	stats_files();
}

/* ------------------------------------------------------------------- cells */

static void test_one_td(void)
{
	struct cell *c;

	fake_new();
	c = run_text(SMALL, CELL_OK, "");
	CHECK_EQ(c->sum.tds, 1);
	CHECK_EQ(c->fault.count, (8 << 20) / 4096 - 16);
	CHECK_EQ(c->mean[0].count, c->fault.count);
	CHECK_EQ(hist_quantile(&c->fault, 1, 1), c->fault.max);
	CHECK_EQ(c->fault.min, 1016);
	CHECK_EQ(c->fault.max, 1000 + 2047);
	CHECK(c->sum.pages > 2048);
	cell_free(c);
}

static void test_statistics(void)
{
	struct cell *c;
	json_t *j, *m;
	struct workload *w = parse(SMALL);

	fake_new();
	c = run_text(SMALL, CELL_OK, "");
	CHECK_EQ(c->static_bytes, 1000);
	CHECK_EQ(c->fixed_bytes, 100);
	CHECK_EQ(c->strategy_bytes, 16);
	CHECK_EQ(c->stats.get_slow, 7);
	CHECK_EQ(c->stats.install, 0);	/* 40 before, 40 after */
	CHECK_EQ(c->stats.wait_ns[1], 500);
	CHECK_EQ(c->stats.busy[PAMT_LEAF_ADD][PAMT_BUSY_REGION], 1);
	CHECK_EQ(c->stats.wait.max_ns, 300);
	CHECK_EQ(c->stats.wait.bin[pamt_hist_index(192)], 1);
	CHECK_EQ(c->pairs_peak_bytes, 3 * 8192);
	j = kvm_cell_json(c, w, "tuned", 2, 9);
	m = json_object_get(j, "metrics");
	CHECK_EQ(json_integer_value(json_object_get(m, "fault_count")), c->fault.count);
	CHECK(json_is_null(json_object_get(m, "pamt_ns_per_page")));
	CHECK_EQ(json_integer_value(json_object_get(j, "block")), 2);
	json_decref(j);
	workload_free(w);
	cell_free(c);
}

/* Barriers over all TDs, conversions, lives, staggered starts, for-ever phases. */
static void test_many_tds(void)
{
	struct cell *c;

	fake_new();
	c = run_text(HEAD "[td a]\ncount = 5\nvcpus = 4\nmemory = 8M\n"
		     "[td b]\ncount = 3\nvcpus = 1\nmemory = 8M\nlives = 3\nshutdown = own\n"
		     "start = staggered:5ms\n"
		     "[td c]\ncount = 2\nvcpus = 2\nmemory = 8M\n"
		     "[phase fault]\ntd = a\ndo = fault\ntogether = yes\n"
		     "[phase flip]\ntd = a\ndo = convert\npages = 8\nflips = 20\n"
		     "[phase short]\ntd = b\ndo = fault\n"
		     "[phase storm]\ntd = c\ndo = convert\npages = 4\nflips = forever\n",
		     CELL_OK, "");
	CHECK_EQ(c->sum.tds, 5 + 9 + 2);
	CHECK_EQ(fake.created, 16);
	CHECK(c->sum.flips >= 5 * 8 * 20);
	CHECK(c->group_fault[1].count > 0);
	cell_free(c);
}

static void test_shipped_workloads(void)
{
	static const char *const names[] = { "boot-10x16g", "conversion-storm", "create-destroy",
					     "hot-spot", "fragmented" };
	const char *const dirs[] = { "workloads", NULL };
	struct td_error err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct workload *w;
		char *text;

		fake_new();
		CHECK_EQ(workload_load(names[i], dirs, &w, &err), 0);
		CHECK_EQ(workload_scale(w, 1, 2048, &err), 0);
		text = workload_text(w);
		cell_free(run_text(text, CELL_OK, ""));
		free(text);
		workload_free(w);
	}
}

/* A private access to a page that is shared: the VMM makes it private. */
static void test_memory_fault(void)
{
	struct cell *c;

	fake_new();
	fake.all_shared = true;
	c = run_text(SMALL, CELL_OK, "");
	CHECK_EQ(fake.faults, (8 << 20) / 4096 - 16);
	CHECK_EQ(c->fault.count, (8 << 20) / 4096 - 16);
	cell_free(c);
	fake.fault_shift = 64 << 20;
	cell_free(run_text(SMALL, CELL_FAILED, "where there is no memory"));
}

/* ---------------------------------------------------------------- KeyIDs */

static void test_too_few_keyids(void)
{
	fake_new();
	fake.keys = 3;
	/* they go one by one, and others come */
	cell_free(run_text(HEAD "[td one]\ncount = 8\nvcpus = 1\nmemory = 8M\nshutdown = own\n"
			   "lives = 2\n[phase fault]\ntd = one\ndo = fault\n", CELL_OK, ""));
	CHECK_EQ(fake.most_keys, 3);
	/* all of them at once: never */
	keyid_wait_ns = 200000000;
	cell_free(run_text(HEAD "[td one]\ncount = 8\nvcpus = 1\nmemory = 8M\n"
			   "[phase fault]\ntd = one\ndo = fault\ntogether = yes\n", CELL_FAILED,
			   "KeyIDs are in use"));
	fake.keys = 0;
	cell_free(run_text(SMALL, CELL_FAILED, "KeyIDs are in use"));
	keyid_wait_ns = PATIENCE_NS;
}

static void test_too_many_vcpus(void)
{
	fake_new();
	cell_free(run_text(HEAD "[td one]\ncount = 1\nvcpus = 9\nmemory = 64M\n"
			   "[phase f]\ntd = one\ndo = fault\n",
			   CELL_FAILED, "9 vCPUs: KVM allows a TD as many as the host has CPUs, 8"));
}

/* ---------------------------------------------------------------- failures */

static void test_failing_calls(void)
{
	static const struct {
		uint64_t call;
		int err;
		const char *part;
	} table[] = {
		{ FAKE_OPEN, ENOENT, "no /dev/kvm" },
		{ FAKE_OPEN, EACCES, "/dev/kvm cannot be opened" },
		{ FAKE_CALL(KVM_GET_SUPPORTED_CPUID, 0), E2BIG, "KVM_GET_SUPPORTED_CPUID" },
		{ FAKE_CALL(KVM_CREATE_VM, 0), ENOMEM, "KVM_CREATE_VM of a TD" },
		{ FAKE_CALL(KVM_ENABLE_CAP, ABI_KVM_CAP_SPLIT_IRQCHIP), EINVAL, "SPLIT_IRQCHIP" },
		{ FAKE_CALL(KVM_ENABLE_CAP, ABI_KVM_CAP_EXIT_HYPERCALL), EINVAL, "MapGPA" },
		{ FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_CAPABILITIES), E2BIG,
		  "KVM_TDX_CAPABILITIES" },
		{ FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_INIT_VM), EINVAL, "0xc000010000000045" },
		{ FAKE_CALL(ABI_KVM_CREATE_GUEST_MEMFD, 0), EMFILE, "KVM_CREATE_GUEST_MEMFD" },
		{ FAKE_CALL(ABI_KVM_SET_USER_MEMORY_REGION2, 0), EEXIST, "the TD's memory" },
		{ FAKE_CALL(ABI_KVM_SET_MEMORY_ATTRIBUTES, 0), ENOMEM, "KVM_SET_MEMORY_ATTRIBUTES" },
		{ FAKE_CALL(KVM_CREATE_VCPU, 0), ENOMEM, "KVM_CREATE_VCPU" },
		{ FAKE_CALL(KVM_SET_CPUID2, 0), EINVAL, "KVM_SET_CPUID2" },
		{ FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_INIT_VCPU), EIO, "KVM_TDX_INIT_VCPU" },
		{ FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_INIT_MEM_REGION), EFAULT,
		  "KVM_TDX_INIT_MEM_REGION" },
		{ FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_FINALIZE_VM), EIO,
		  "KVM_TDX_FINALIZE_VM" },
		{ FAKE_CALL(KVM_RUN, 0), EIO, "the kernel log says why" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_new();
		fake.fail_call = table[i].call;
		fake.fail_errno = table[i].err;
		fake.hw_error = 0xc000010000000045;
		cell_free(run_text(SMALL, CELL_FAILED, table[i].part));
	}
}

/* A vCPU of the third TD is the one that cannot be made: those before are torn down. */
static void test_late_failure(void)
{
	fake_new();
	fake.fail_call = FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_FINALIZE_VM);
	fake.fail_errno = EIO;
	fake.fail_times = 1;
	cell_free(run_text(HEAD "[td one]\ncount = 6\nvcpus = 2\nmemory = 8M\n"
			   "[phase fault]\ntd = one\ndo = fault\ntogether = yes\n", CELL_FAILED,
			   "KVM_TDX_FINALIZE_VM"));
}

/* The module's locks: tried again. */
static void test_busy_is_retried(void)
{
	fake_new();
	fake.fail_call = FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, ABI_TDX_INIT_MEM_REGION);
	fake.fail_errno = EBUSY;
	fake.fail_times = 20;
	cell_free(run_text(SMALL, CELL_OK, ""));
	CHECK_EQ(fake.fail_times, 0);
}

static void test_deaths(void)
{
	static const struct {
		struct kvm_run run;
		const char *part;
	} table[] = {
		{ { .exit_reason = KVM_EXIT_SHUTDOWN }, "triple fault" },
		{ { .exit_reason = KVM_EXIT_SYSTEM_EVENT, .system_event.type = 7 }, "fatal error" },
		{ { .exit_reason = KVM_EXIT_SYSTEM_EVENT, .system_event.type = 1 }, "system event 1" },
		{ { .exit_reason = KVM_EXIT_FAIL_ENTRY }, "refused to enter" },
		{ { .exit_reason = KVM_EXIT_INTERNAL_ERROR, .internal.suberror = 4,
		    .internal.ndata = 1, .internal.data[0] = 0x6000000500000000 },
		  "TDH.VP.ENTER ended with 0x6000000500000000" },
		{ { .exit_reason = KVM_EXIT_INTERNAL_ERROR, .internal.suberror = 1 },
		  "internal error 1" },
		{ { .exit_reason = KVM_EXIT_IO, .io.port = 0x80 }, "I/O port 0x80" },
		{ { .exit_reason = KVM_EXIT_MMIO, .mmio.phys_addr = 0xfee00000 }, "GPA 0xfee00000" },
		{ { .exit_reason = KVM_EXIT_HYPERCALL, .hypercall.nr = 5 }, "hypercall 5" },
		{ { .exit_reason = 77 }, "exit 77" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_new();
		fake.forced = table[i].run;
		fake.force_exit = table[i].run.exit_reason;
		cell_free(run_text(SMALL, CELL_FAILED, table[i].part));
	}
	/* and what is none: a service that nobody offers, a signal */
	fake_new();
	fake.force_exit = ABI_KVM_EXIT_TDX;
	memset(&fake.forced, 0, sizeof(fake.forced));
	cell_free(run_text(SMALL, CELL_OK, ""));
}

static void test_no_tdx(void)
{
	char err[256];

	fake_new();
	fake.no_tdx = true;
	cell_free(run_text(SMALL, CELL_FAILED, "KVM here has no TDs"));
	CHECK_EQ(kvm_probe(err, sizeof(err)), -ENODEV);
	fake.no_tdx = false;
	CHECK_EQ(kvm_probe(err, sizeof(err)), 0);
}

static void *interrupt_soon(void *arg)
{
	(void)arg;
	usleep(50000);
	kvm_interrupted = 1;
	return NULL;
}

static void test_interrupted(void)
{
	pthread_t thread;

	fake_new();
	pthread_create(&thread, NULL, interrupt_soon, NULL);
	cell_free(run_text(HEAD "[td c]\ncount = 3\nvcpus = 2\nmemory = 8M\nlives = 100000\n"
			   "[phase f]\ntd = c\ndo = convert\npages = 4\nflips = 10\n",
			   CELL_INTERRUPTED, "interrupted"));
	pthread_join(thread, NULL);
}

/* A barrier that one vCPU never reaches. */
static void test_stuck(void)
{
	fake_new();
	fake.stuck_vcpu = 2;
	cell_free(run_text(HEAD "[td one]\ncount = 2\nvcpus = 2\nmemory = 8M\nimage = 64K\n"
			   "[phase a]\ntd = one\ndo = fault\ntogether = yes\n", CELL_FAILED,
			   "nothing moves any more: TD "));
}

/* -------------------------------------------------------- the kernel's side */

static void test_kernel_side(void)
{
	fake_new();
	stats_file("strategy", "[global] tuned \n");
	/* a plain file takes any name: what is read back is not what was asked for */
	cell_free(run_text(SMALL, CELL_FAILED, "in force"));
	fake_new();
	stats_file("strategy", "nothing\n");
	cell_free(run_text(SMALL, CELL_FAILED, "strategy cannot be read"));
	fake_new();
	stats_file("audit", "counted 4\nmismatches 0\n");
	cell_free(run_text(SMALL, CELL_VIOLATION, "4 regions have users"));
	fake_new();
	stats_file("audit", "counted 0\nwith_pair 2\nmismatches 0\n");
	cell_free(run_text(SMALL, CELL_VIOLATION, "the kernel counts 3 pairs, the module tells of 2"));
	fake_new();
	stats_file("audit", "counted 0\nmismatches 2\n");
	cell_free(run_text(SMALL, CELL_VIOLATION, "disagree on 2 regions"));
	fake_new();
	stats_file("stats", "leaked 1\n");
	cell_free(run_text(SMALL, CELL_VIOLATION, "1 pairs were leaked"));
	fake_new();
	stats_file("memory", "tds 1\n");
	cell_free(run_text(SMALL, CELL_VIOLATION, "1 TDs still exist"));
}

/* -------------------------------------------------- an emulated host's module */

#define TWO HEAD "[td one]\ncount = 2\nvcpus = 2\nmemory = 8M\n[phase fault]\ntd = one\ndo = fault\n"

/* Every pair is divided over the pages in its region, and one without a page is the kernel's. */
static void test_snapshot(void)
{
	struct workload *w = parse(TWO);
	struct cell *c;
	json_t *j, *m;

	fake_new();
	emulated_files();
	c = run_text(TWO, CELL_OK, "");
	CHECK(c->snapshot);
	CHECK_EQ(c->snapshot_bytes, 5 * 8192);
	CHECK_EQ(c->nr_tds, 2);
	CHECK_EQ(c->td[0].td, 0);
	CHECK_EQ(c->td[0].pages, 511 + 1 + 4);
	/* 511/512 and a third of a pair, and a whole one; what is left over goes to the largest */
	CHECK_EQ(c->td[0].pamt_bytes, 8176 + 2731 + 8192);
	CHECK_EQ(c->td[1].pages, 1 + 1 + 2);
	CHECK_EQ(c->td[1].pamt_bytes, 8192 + 16 + 5461);
	CHECK_EQ(c->kernel_bytes, 8192);
	CHECK_EQ(c->kernel_pages, 0);
	CHECK_EQ((int)(c->lone_pct * 100), 2500);
	CHECK_EQ(c->pairs_peak_bytes, 5 * 8192);
	j = kvm_cell_json(c, w, "tuned", 2, 9);
	m = json_object_get(j, "metrics");
	CHECK_EQ(json_number_value(json_object_get(m, "lone_region_pct")), 25);
	CHECK(json_is_real(json_object_get(m, "saved_per_td_bytes")));
	CHECK(json_is_null(json_object_get(m, "fairness")));
	CHECK(json_is_null(json_object_get(m, "get_count")));
	CHECK(json_is_null(json_object_get(json_array_get(json_object_get(j, "tds"), 0), "wait_ns")));
	json_decref(j);
	workload_free(w);
	cell_free(c);
	emulated_gone();
}

/* One pair, page or region more or less with one of those that count: found. */
static void test_counts_differ(void)
{
	static const struct {
		const char *file, *text, *part;
	} table[] = {
		{ "memory.live", "pairs 6\n", "pairs: the kernel counts 6, the module's census 5, its regions 5" },
		{ "census.live", "tdr 2\ntdcx 12\ntdvpr 7\nsept 9\nprivate 490\npairs 4\n",
		  "the module's census 4" },
		{ "regions.live", "td 0x1000 2\ntd 0x202000 1\nregion 0x0 1 0x1000=1\n"
		  "region 0x200000 1 0x202000=512\n", "its regions 2, and the report's rows sum to 16384" },
		{ "regions.live", "td 0x1000 2\nregion 0x0 1 0x1000=1\nregion 0x200000 1 0x202000=511 0x1000=1\n"
		  "region 0x400000 1 0x1000=2 0x202000=1\nregion 0x600000 1\nregion 0x800000 1 0x202000=4\n",
		  "TD 0 exists, and the module has none of its number" },
		{ "placement.live", "used 4\nlone 1\nusers 521\n", "the kernel has 521 references" },
		{ "placement.live", "used 4\nlone 2\nusers 520\n", "4 regions in use by the kernel's counts, 2 of" },
		{ "audit", "regions 9\ncounted 0\nwith_pair 3\nunreadable 9\nmismatches 0\n",
		  "the TDX module tells of none of 9 regions" },
		{ "census", "pairs 3\npamt_pages 6\nprivate 1\n", "no TD exists, and the module has 1 private" },
		{ "census", "pairs 2\npamt_pages 4\n", "the kernel counts 3 pairs, the module has 2" },
		{ "census", "pairs 3\npamt_pages 7\n", "and 7 pages in its bitmap" },
		{ "events", "stale_tlb 1\n", "the module has seen \"stale_tlb\" 1 times" },
		{ "stats", "install 40\nremove 40\nget 9\nput 8\n", "9 gets and 8 puts" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_new();
		emulated_files();
		stats_file(table[i].file, table[i].text);
		cell_free(run_text(TWO, CELL_VIOLATION, table[i].part));
		emulated_gone();
	}
}

/* The world stops while TDs come, run and go, and goes on: one vCPU is inside until it is kicked. */
static void test_snapshot_of_many(void)
{
	struct cell *c;

	fake_new();
	emulated_files();
	fake.stuck_vcpu = 3;
	fake.stuck_once = true;
	/* too many for the fixture: what is tested is that nothing hangs */
	c = run_text(HEAD "[td a]\ncount = 6\nvcpus = 4\nmemory = 8M\n"
		     "[td b]\ncount = 6\nvcpus = 1\nmemory = 8M\nlives = 5\nshutdown = own\n"
		     "start = staggered:1ms\n"
		     "[td c]\ncount = 2\nvcpus = 2\nmemory = 8M\n"
		     "[phase fault]\ntd = a\ndo = fault\ntogether = yes\n"
		     "[phase short]\ntd = b\ndo = fault\n"
		     "[phase storm]\ntd = c\ndo = convert\npages = 4\nflips = forever\n",
		     CELL_VIOLATION, "has none of its number");
	CHECK_EQ(c->sum.tds, 6 + 30 + 2);
	CHECK(c->snapshot && c->nr_tds > 0);
	CHECK_EQ(fake.moving, 0);
	cell_free(c);
	emulated_gone();
}

/* Rows of perf lock contention: those with a strategy on their stack, once, in all units. */
static void test_perf_table(void)
{
	static char text[] =
		" contended   total wait     max wait     avg wait         type   caller\n"
		"\n"
		"       503      1.87 s      18.24 ms      3.72 ms     spinlock   tdx_pamt_get.part.0+0x41\n"
		"\t\t\t0xffffffff81c0de0a  pamt_lock_slow+0x5a\n"
		"\t\t\t0xffffffff81c0d01b  pamt_global_get+0x9b\n"
		"\t\t\t0xffffffff81c0c001  tdx_pamt_get.part.0+0x41\n"
		"        10     87.50 us     27.47 us      8.75 us     spinlock   tdx_free_control_page+0x42\n"
		"\t\t\t0xffffffff81c0d01b  pamt_global_put+0x9b\n"
		"         1       900 ns       900 ns       900 ns     rwlock:R   tdx_pamt_put+0x5\n"
		"\t\t\t0xffffffff81c0d01b  pamt_busy_wait+0x1\n"
		"         2      1.50 ms      1.47 ms     75.47 us        mutex   strategy_write+0x5\n"
		"\t\t\t0xffffffff81c0d01b  pamt_host_switch+0x1\n"
		"         6     22.80 ms      7.30 ms      3.80 ms     spinlock   tdx_free_control_page+0x42\n"
		"\t\t\t0xffffffff81c0d01b  __free_pages+0x1\n"
		"         7    294.85 us    294.85 us    294.85 us     spinlock   rcu_gp_fqs_loop+0x2af\n";
	FILE *f = fmemopen(text, sizeof(text) - 1, "r");
	uint64_t waits, ns;

	CHECK(f);
	kvm_perf_table(f, &waits, &ns);
	fclose(f);
	CHECK_EQ(waits, 514);
	CHECK_EQ(ns, 1870088400);
}

static void test_huge_is_skipped(void)
{
	fake_new();
	cell_free(run_text(HEAD "[td one]\ncount = 1\nvcpus = 1\nmemory = 64M\nhuge = 50%\n"
			   "[phase f]\ntd = one\ndo = fault\n", CELL_SKIPPED, "4K pages only"));
}

int main(void)
{
	char command[96];

	go_to_root(__FILE__);
	clock_init();
	snprintf(stats_dir, sizeof(stats_dir), "/tmp/dpamt-test-kvm.XXXXXX");
	if (!mkdtemp(stats_dir))
		return 1;
	test_begin("test_kvm");
	TEST(test_one_td);
	TEST(test_statistics);
	TEST(test_many_tds);
	TEST(test_shipped_workloads);
	TEST(test_memory_fault);
	TEST(test_too_few_keyids);
	TEST(test_too_many_vcpus);
	TEST(test_failing_calls);
	TEST(test_late_failure);
	TEST(test_busy_is_retried);
	TEST(test_deaths);
	TEST(test_no_tdx);
	TEST(test_interrupted);
	TEST(test_stuck);
	TEST(test_kernel_side);
	TEST(test_snapshot);
	TEST(test_counts_differ);
	TEST(test_snapshot_of_many);
	TEST(test_perf_table);
	TEST(test_huge_is_skipped);
	snprintf(command, sizeof(command), "rm -r %s", stats_dir);
	CHECK_EQ(system(command), 0);
	return test_end();
}
