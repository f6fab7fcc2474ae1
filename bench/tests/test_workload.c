// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workload files: units, every message of every bad fixture in full, the
 * canonical text, overrides, scaling, the shipped set, lookup by name, and a
 * second of random mutations of good files (for the sanitizers).
 */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "td/compile.h"
#include "td/find.h"
#include "td/units.h"
#include "td/workload.h"
#include "tests/td_fixtures.h"

static const char *const ship_dirs[] = {"workloads", NULL};
static const char *const good_dirs[] = {FIXTURES "/workload/good", NULL};
static const char *const shipped[] = {"boot-10x16g", "conversion-storm", "create-destroy",
				      "fault-storm", "fragmented",	 "hot-spot",
				      "huge",	      "unfragmented"};
#define NR_SHIPPED (sizeof(shipped) / sizeof(shipped[0]))

static struct workload *load(const char *name, const char *const *dirs)
{
	struct td_error err = {""};
	struct workload *w;

	CHECK_EQ(workload_load(name, dirs, &w, &err), 0);
	CHECK_STR(err.text, "");
	if (!w) {
		printf("cannot go on without %s: %s\n", name, err.text);
		exit(1);
	}
	return w;
}

static void sizes(void)
{
	static const struct {
		const char *text;
		int ret;
		uint64_t v;
	} cases[] = {
		{"0", 0, 0},
		{"4K", 0, 4096},
		{"2M", 0, 2 << 20},
		{"16G", 0, 16ULL << 30},
		{"1T", 0, 1ULL << 40},
		{"16777215T", 0, 16777215ULL << 40},
		{"16777216T", -ERANGE, 0},
		{"99999999999999999999G", -ERANGE, 0},
		{"18446744073709551616K", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"4096", -EINVAL, 0},
		{"4k", -EINVAL, 0},
		{"4KB", -EINVAL, 0},
		{"4 K", -EINVAL, 0},
		{" 4K", -EINVAL, 0},
		{"4K ", -EINVAL, 0},
		{"-4K", -EINVAL, 0},
		{"+4K", -EINVAL, 0},
		{"0x4K", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"16X", -EINVAL, 0},
		{"99999999999999999999", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t v = 77;

		CHECK_EQ(parse_size(cases[i].text, &v), cases[i].ret);
		CHECK_EQ(v, cases[i].ret ? 77 : cases[i].v);
	}
}

static void times_shares_scales(void)
{
	char buf[UNITS_TEXT_MAX];
	uint64_t v = 0, den = 0;

	CHECK_EQ(parse_time("100ns", &v), 0);
	CHECK_EQ(v, 100);
	CHECK_EQ(parse_time("4us", &v), 0);
	CHECK_EQ(v, 4000);
	CHECK_EQ(parse_time("2ms", &v), 0);
	CHECK_EQ(v, 2000000);
	CHECK_EQ(parse_time("1s", &v), 0);
	CHECK_EQ(v, 1000000000);
	CHECK_EQ(parse_time("5", &v), -EINVAL);
	CHECK_EQ(parse_time("5m", &v), -EINVAL);
	CHECK_EQ(parse_time("18446744074s", &v), -ERANGE);
	CHECK_EQ(parse_share("50%", &v), 0);
	CHECK_EQ(v, 50);
	CHECK_EQ(parse_share("101%", &v), -ERANGE);
	CHECK_EQ(parse_share("50", &v), -EINVAL);
	CHECK_EQ(parse_share("5.5%", &v), -EINVAL);
	CHECK_EQ(parse_count("18446744073709551615", &v), 0);
	CHECK_EQ(v, UINT64_MAX);
	CHECK_EQ(parse_count("18446744073709551616", &v), -ERANGE);
	CHECK_EQ(parse_count("1e3", &v), -EINVAL);
	CHECK_EQ(parse_scale("3/16", &v, &den), 0);
	CHECK(v == 3 && den == 16);
	CHECK_EQ(parse_scale("1", &v, &den), 0);
	CHECK(v == 1 && den == 1);
	CHECK_EQ(parse_scale("0", &v, &den), -ERANGE);
	CHECK_EQ(parse_scale("2", &v, &den), -ERANGE);
	CHECK_EQ(parse_scale("1/0", &v, &den), -ERANGE);
	CHECK_EQ(parse_scale("1/1048577", &v, &den), -ERANGE);
	CHECK_EQ(parse_scale("1/", &v, &den), -EINVAL);
	CHECK_EQ(parse_scale("1/2/3", &v, &den), -EINVAL);
	CHECK_STR(format_size(buf, 0), "0");
	CHECK_STR(format_size(buf, 1028 << 10), "1028K");
	CHECK_STR(format_size(buf, 5ULL << 40), "5T");
	CHECK_STR(format_time(buf, 3500), "3500ns");
	CHECK_STR(format_time(buf, 2000000), "2ms");
	CHECK_STR(format_scale(buf, 1, 512), "1/512");
	CHECK_STR(format_scale(buf, 1, 1), "1");
}

static void check_bad(const char *path)
{
	struct td_error err = {""};
	char want[TD_ERROR_MAX];
	struct workload *w;

	if (!CHECK(wanted_message(path, want, sizeof(want))))
		return;
	CHECK_EQ(workload_load(path, ship_dirs, &w, &err), -EINVAL);
	CHECK_STR(err.text, want);
	CHECK(!w);
	workload_free(w);
}

static void bad_fixtures(void)
{
	CHECK(for_each_fixture(FIXTURES "/workload/bad", check_bad) >= 70);
}

static void bad_files(void)
{
	struct td_error err;
	struct workload *w;

	CHECK_EQ(workload_load("workloads/none.wl", ship_dirs, &w, &err), -ENOENT);
	CHECK_STR(err.text, "workloads/none.wl: No such file or directory");
	CHECK_EQ(workload_load("workloads/", ship_dirs, &w, &err), -EISDIR);
	CHECK_STR(err.text, "workloads/: is a directory, not a file");
	CHECK_EQ(workload_load("/dev/null", ship_dirs, &w, &err), -EINVAL);
	CHECK_STR(err.text, "/dev/null: not a regular file");
	CHECK_EQ(workload_load("boot", ship_dirs, &w, &err), -ENOENT);
	CHECK_STR(err.text, "unknown workload \"boot\"; valid: boot-10x16g, conversion-storm, "
			    "create-destroy, fault-storm, fragmented, hot-spot, huge, unfragmented");
	CHECK_EQ(workload_load("", ship_dirs, &w, &err), -ENOENT);
	CHECK_EQ(workload_load("..", ship_dirs, &w, &err), -ENOENT);
	CHECK_EQ(workload_load("x", (const char *const[]){"nowhere", NULL}, &w, &err), -ENOENT);
	CHECK_STR(err.text, "unknown workload \"x\"; valid: none, there is no such file");
	CHECK(!w);
}

static void large_file(void)
{
	char path[] = "/tmp/dpamt-test-XXXXXX";
	struct td_error err;
	struct workload *w;
	char want[128];
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, (1 << 20) + 1), 0);
	CHECK_EQ(workload_load(path, ship_dirs, &w, &err), -EFBIG);
	snprintf(want, sizeof(want), "%s: longer than 1M", path);
	CHECK_STR(err.text, want);
	close(fd);
	unlink(path);
}

static void check_good(const char *path)
{
	struct workload *w = load(path, good_dirs), *again = NULL;
	char *text = workload_text(w), *text2 = NULL;
	struct td_error err = {""};

	CHECK_EQ(workload_parse("again.wl", text, strlen(text), &again, &err), 0);
	CHECK_STR(err.text, "");
	if (again) {
		text2 = workload_text(again);
		CHECK_STR(text2, text);
		CHECK_EQ(workload_hash(again), workload_hash(w));
	}
	free(text);
	free(text2);
	workload_free(w);
	workload_free(again);
}

static void good_fixtures(void)
{
	CHECK_EQ(for_each_fixture(FIXTURES "/workload/good", check_good), 5);
	for (size_t i = 0; i < NR_SHIPPED; i++) {
		char path[64];

		snprintf(path, sizeof(path), "workloads/%s.wl", shipped[i]);
		check_good(path);
	}
}

/* Line ends, blanks, a byte order mark and comments change nothing. */
static void forms_are_one(void)
{
	static const char *const names[] = {"minimal", "crlf", "bom", "blanks"};
	uint64_t hash = 0;

	for (size_t i = 0; i < 4; i++) {
		struct workload *w = load(names[i], good_dirs);

		hash = i ? hash : workload_hash(w);
		CHECK_EQ(workload_hash(w), hash);
		CHECK_STR(w->name, names[i]);
		CHECK_EQ(w->tds[0].memory, 8 << 20);
		CHECK_EQ(w->tds[0].image, 4 << 20);
		CHECK_EQ(w->host_memory, 1 << 30);
		workload_free(w);
	}
}

static void every_key(void)
{
	struct workload *w = load("full", good_dirs);

	CHECK_STR(w->question,
		  "Is every key read, kept and written back; and #not cut at comment signs?");
	CHECK_STR(w->primary, "two.fault_p99_ns");
	CHECK(w->placement.pick == WL_SCATTERED && w->placement.arg == 7);
	CHECK(w->arrivals.pick == WL_OPEN && w->arrivals.arg == 25000);
	CHECK(w->bench_scale.num == 3 && w->bench_scale.den == 16);
	CHECK_EQ(w->host_memory, 512ULL << 30);
	CHECK(w->nr_tds == 2 && w->nr_phases == 5);
	CHECK(w->tds[0].start.pick == WL_STAGGERED && w->tds[0].start.arg == 3000000);
	CHECK(w->tds[0].shutdown.pick == WL_OWN && w->tds[0].lives == 5 && w->tds[0].huge == 50);
	CHECK(w->tds[1].count == 4 && w->tds[1].vcpus == 1 && w->tds[1].image == 2 << 20);
	CHECK(w->phases[0].group == -1 && w->phases[0].order.pick == WL_INTERLEAVE);
	CHECK(w->phases[1].group == 0 && w->phases[1].order.pick == WL_RANDOM);
	CHECK_EQ(w->phases[1].share, WL_REST);
	CHECK(w->phases[2].flips.nr == 3 && w->phases[2].flips.count[2] == 9);
	CHECK(w->phases[2].gap == 500 && w->phases[2].touch.pick == WL_NO);
	CHECK_EQ(workload_convert_start(&w->tds[0], &w->phases[2]), 16 << 20);
	CHECK_EQ(w->phases[3].time, 2000000000);
	CHECK(w->phases[4].flips.forever);
	CHECK(workload_forever(w, 0) && !workload_forever(w, 1));
	CHECK_EQ(workload_barrier_vcpus(w, 2), 6);
	CHECK_EQ(workload_barrier_vcpus(w, 0), 10);
	CHECK_EQ(workload_huge_start(&w->tds[0]), 32 << 20);
	CHECK_EQ(workload_huge_start(&w->tds[1]), 1 << 30);
	workload_free(w);
}

static void bad_set(struct workload *w, const char *set, const char *want)
{
	uint64_t hash = workload_hash(w), memory = w->tds[0].memory;
	struct td_error err = {""};

	CHECK_EQ(workload_set(w, set, &err), -EINVAL);
	CHECK_STR(err.text, want);
	CHECK(workload_hash(w) == hash && w->tds[0].memory == memory);
}

static void overrides(void)
{
	struct workload *w = load("conversion-storm", ship_dirs);
	static const char *const pair[] = {"td.victim.memory=64G", "host_memory=9T"};
	uint64_t hash = workload_hash(w);
	struct td_error err = {""};

	CHECK_EQ(workload_set(w, "td.attacker.count=0", &err), 0);
	CHECK_EQ(w->tds[0].count, 0);
	CHECK(workload_hash(w) != hash);
	CHECK_EQ(workload_set(w, "td.attacker.count=4", &err), 0);
	CHECK_EQ(workload_hash(w), hash);
	CHECK_EQ(workload_set(w, "placement=scattered:0%", &err), 0);
	CHECK_EQ(w->host_memory, 1 << 30); /* worked out anew */
	CHECK_EQ(workload_set(w, "phase.storm.gap=5us", &err), 0);
	CHECK_EQ(w->phases[0].gap, 5000);
	CHECK_EQ(workload_set(w, "title=a=b", &err), 0);
	CHECK_STR(w->title, "a=b");
	CHECK_EQ(workload_set_all(w, pair, 2, &err), 0);
	CHECK_EQ(w->tds[1].memory, 64ULL << 30);
	workload_free(w);
}

static void bad_overrides(void)
{
	static const char *const pair[] = {"td.victim.memory=64G", "host_memory=1G"};
	struct workload *w = load("conversion-storm", ship_dirs);
	struct td_error err;

	bad_set(w, "td.victim.memory=16X",
		"--set td.victim.memory=16X: bad value \"16X\" for \"memory\" in [td victim]; "
		"valid: a size from 4M to 16T, a multiple of 2M");
	bad_set(w, "placement=random",
		"--set placement=random: bad value \"random\" for \"placement\" in [global]; "
		"valid: contiguous, buddy, scattered:SHARE (0% to 100%)");
	bad_set(w, "plaecment=buddy",
		"--set plaecment=buddy: unknown key \"plaecment\" in [global]; valid: title, "
		"question, "
		"asked_by, primary, placement, host_memory, arrivals, bench_scale");
	bad_set(w, "td.storm.count=1",
		"--set td.storm.count=1: there is no such thing to set in conversion-storm; valid: "
		"KEY, td.attacker.KEY, td.victim.KEY, phase.storm.KEY, phase.boot.KEY");
	bad_set(w, "td.victim=1",
		"--set td.victim=1: there is no such thing to set in conversion-storm; valid: "
		"KEY, td.attacker.KEY, td.victim.KEY, phase.storm.KEY, phase.boot.KEY");
	bad_set(w, "td.attacker.memory",
		"--set td.attacker.memory: valid: KEY=VALUE, td.GROUP.KEY=VALUE, "
		"phase.NAME.KEY=VALUE");
	bad_set(w, "=1", "--set =1: valid: KEY=VALUE, td.GROUP.KEY=VALUE, phase.NAME.KEY=VALUE");
	bad_set(w, "host_memory=1G",
		"--set host_memory=1G: host_memory 1G is less than what the TDs need in this "
		"placement; valid: at least 196992M");
	bad_set(w, "phase.boot.flips=4",
		"--set phase.boot.flips=4: [phase boot]: \"flips\" does not go with do = fault; "
		"valid: td, do, together, order, share");
	CHECK_EQ(workload_set_all(w, pair, 2, &err), -EINVAL);
	CHECK_EQ(w->tds[1].memory, 256 << 20);
	workload_free(w);
}

static void scaling(void)
{
	struct workload *w = load("boot-10x16g", ship_dirs);
	uint64_t hash = workload_hash(w);
	struct td_error err = {""};
	char buf[UNITS_TEXT_MAX];

	CHECK_EQ(w->host_memory, 200ULL << 30);
	CHECK_EQ(workload_host_need(w), 160ULL << 30);
	CHECK_EQ(workload_scale(w, 1, 1, &err), 0);
	CHECK_EQ(w->tds[0].memory, 16ULL << 30);
	CHECK_EQ(workload_scale(w, 1, 512, &err), 0);
	CHECK_EQ(w->tds[0].memory, 32 << 20);
	CHECK_EQ(w->tds[0].image, 64 << 10);
	CHECK_EQ(w->tds[0].count, 10);
	CHECK_EQ(w->host_memory, 1 << 30);
	CHECK_EQ(workload_hash(w), hash);
	CHECK_STR(format_scale(buf, w->scale_num, w->scale_den), "1/512");
	CHECK_EQ(workload_scale(w, 1, 2, &err), -EINVAL);
	CHECK_STR(err.text, "boot-10x16g: is scaled already");
	CHECK_EQ(workload_set(w, "td.boot.count=1", &err), -EINVAL);
	CHECK_STR(err.text, "boot-10x16g: cannot be changed any more: it is scaled");
	workload_free(w);

	w = load("boot-10x16g", ship_dirs);
	CHECK_EQ(workload_scale(w, 1, 1 << 20, &err), 0); /* the floor */
	CHECK_EQ(w->tds[0].memory, 4 << 20);
	CHECK_EQ(workload_scale(w, 2, 1, &err), -EINVAL);
	CHECK_STR(err.text, "bad scale 2/1; valid: 1 or a fraction such as 1/512");
	workload_free(w);
}

static void scaling_events(void)
{
	struct workload *w = load("hot-spot", ship_dirs);
	struct td_error err = {""};

	CHECK_EQ(workload_scale(w, 1, 64, &err), 0);
	CHECK_EQ(w->phases[1].flips.count[0], 974);
	CHECK_EQ(w->phases[1].pages, 3);
	CHECK_EQ(workload_convert_start(&w->tds[0], &w->phases[1]), 32 << 20);
	workload_free(w);

	w = load("huge", ship_dirs);
	CHECK_EQ(w->phases[1].pages, 512);
	CHECK_EQ(workload_scale(w, 1, 32, &err), 0);
	CHECK_EQ(w->tds[0].memory, 128 << 20);
	CHECK_EQ(w->phases[1].pages, 48); /* what fits from 25% on, at 2M each */
	workload_free(w);

	w = load("hot-spot", ship_dirs);
	CHECK_EQ(workload_set(w, "phase.convert.stride=64M", &err), 0);
	CHECK_EQ(workload_scale(w, 1, 64, &err), -ERANGE);
	CHECK_STR(err.text,
		  "hot-spot: at scale 1/64 the pages of [phase convert] do not fit into td boot");
	CHECK(w->scale_den == 1 && w->tds[0].memory == 4ULL << 30);
	workload_free(w);
}

/* What the shipped workloads must be for `make bench`: named, scaled, small enough. */
static void shipped_set(void)
{
	size_t nr;
	char **names;

	CHECK_EQ(workload_list(ship_dirs, &names, &nr), 0);
	CHECK(nr >= NR_SHIPPED);
	for (size_t i = 0; i < NR_SHIPPED; i++) {
		struct workload *w = load(shipped[i], ship_dirs);
		struct td_error err = {""};

		CHECK_STR(w->name, shipped[i]);
		CHECK_EQ(workload_scale(w, w->bench_scale.num, w->bench_scale.den, &err), 0);
		CHECK_STR(err.text, "");
		CHECK(w->host_memory <= 256ULL << 30);
		workload_free(w);
	}
	td_free_names(names, nr);
}

static void scattered_needs(void)
{
	struct workload *w = load("fragmented", ship_dirs);
	struct td_error err;

	/* 4 x 64M = 65536 pages; every page in its own 2M */
	CHECK_EQ(workload_set(w, "placement=scattered:100%", &err), 0);
	CHECK_EQ(workload_host_need(w), 65536ULL << 21);
	CHECK_EQ(w->host_memory, 160ULL << 30);
	CHECK_EQ(workload_set(w, "placement=scattered:0%", &err), 0);
	CHECK_EQ(workload_host_need(w), 256 << 20);
	CHECK_EQ(workload_set(w, "td.frag.huge=50%", &err), 0);
	CHECK_EQ(workload_set(w, "placement=scattered:100%", &err), 0);
	CHECK_EQ(workload_host_need(w), (32768ULL << 21) + (128 << 20));
	workload_free(w);
}

/* The hash is of what runs, and is the same in every build. */
static void hashes(void)
{
	struct workload *w = load("minimal", good_dirs);
	uint64_t hash = workload_hash(w);
	struct td_error err;

	CHECK_EQ(hash, 0xc4569c963300d538);
	CHECK_EQ(workload_set(w, "title=Another", &err), 0);
	CHECK_EQ(workload_set(w, "bench_scale=1/4", &err), 0);
	CHECK_EQ(workload_hash(w), hash);
	CHECK_EQ(workload_set(w, "td.a.vcpus=2", &err), 0);
	CHECK(workload_hash(w) != hash);
	workload_free(w);
}

static bool is_one_line(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* A mutant either is refused with one line, or can be scaled and compiled. */
static unsigned int try_mutant(const char *text, size_t len)
{
	struct td_error err = {""};
	struct td_program *program;
	struct workload *w;

	if (workload_parse("mutant.wl", text, len, &w, &err)) {
		CHECK(is_one_line(err.text) && !strncmp(err.text, "mutant.wl:", 10));
		return 0;
	}
	if (!workload_scale(w, 1, 512, &err)) {
		for (unsigned int g = 0; g < w->nr_tds; g++) {
			struct td_cpu cpu;

			if (!CHECK(!td_compile(w, g, w->tds[g].vcpus - 1, 3, &program, &err)))
				continue;
			CHECK(!td_cpu_init(&cpu, program, td_program_size(program->count)));
			free(program);
		}
	}
	workload_free(w);
	return 1;
}

static void fuzz(void)
{
	static const char *const seeds[] = {FIXTURES "/workload/good/full.wl",
					    "workloads/conversion-storm.wl"};
	clock_t end = clock() + CLOCKS_PER_SEC;
	unsigned int parsed = 0, tried = 0;
	uint64_t rnd = 20250507;

	for (size_t i = 0; i < 2; i++) {
		struct td_error err;
		char *text, *mutant;
		size_t len;

		if (!CHECK(!ini_read_file(seeds[i], &text, &len, &err)))
			return;
		mutant = malloc(len + 64);
		for (int n = 0; n < 20000 && clock() < end; n++, tried++) {
			size_t mutant_len = mutate(text, len, mutant, &rnd);
			/* exactly as large as it is, so that a sanitizer sees an overrun */
			char *exact = malloc(mutant_len);

			memcpy(exact, mutant, mutant_len);
			parsed += try_mutant(exact, mutant_len);
			free(exact);
		}
		free(mutant);
		free(text);
	}
	/* both outcomes occur, or the fuzzer tests nothing */
	CHECK(parsed > tried / 100 && parsed < tried);
}

int main(void)
{
	test_begin("workload");
	go_to_root(__FILE__);
	TEST(sizes);
	TEST(times_shares_scales);
	TEST(bad_fixtures);
	TEST(bad_files);
	TEST(large_file);
	TEST(good_fixtures);
	TEST(forms_are_one);
	TEST(every_key);
	TEST(overrides);
	TEST(bad_overrides);
	TEST(scaling);
	TEST(scaling_events);
	TEST(shipped_set);
	TEST(scattered_needs);
	TEST(hashes);
	TEST(fuzz);
	return test_end();
}
