// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reader and writer of results: fixtures that are good, cut off, foreign,
 * newer or damaged, and a writer whose disk is full, whose folder is not one,
 * or whose last line a crash cut off.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/result.h"
#include "tests/test.h"

static char fixtures[4096], temp[] = "/tmp/dpamt-test-result-XXXXXX";
static char error[1024];

/* Load a fixture; what is wrong goes to error[]. */
static int load(const char *name, struct result_run **run)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", fixtures, name);
	return result_load(path, run, error, sizeof(error));
}

/* The fixture is refused with @want, in one line that has all of the words. */
static void refused(const char *name, int want, const char *word, const char *word2)
{
	struct result_run *run = (struct result_run *)fixtures;

	CHECK_EQ(load(name, &run), want);
	CHECK(!run);
	if (!CHECK(strstr(error, word) && strstr(error, word2) && !strchr(error, '\n')))
		printf("\t%s: \"%s\"\n", name, error);
}

static void reads_a_good_run(void)
{
	struct result_run *run;
	size_t kinds[3] = { 0 };

	if (!CHECK_EQ(load("good", &run), 0))
		return;
	CHECK_STR(run->run_id, "good");
	CHECK_EQ(run->truncated, 0);
	CHECK_EQ(json_integer_value(json_object_get(run->meta, "blocks")), 4);
	for (size_t i = 0; i < run->nr_samples; i++)
		kinds[run->samples[i].kind]++;
	CHECK_EQ(kinds[RESULT_CELL], 4 * 4 * 2);
	CHECK_EQ(kinds[RESULT_CONTROL], 4);
	CHECK_EQ(kinds[RESULT_COST], 4 * 3);
	CHECK(!run->samples[0].workload && !run->samples[0].strategy);
	CHECK(result_metric(&run->samples[0], "floor_clock_ns") == 18.2);
	CHECK(isnan(result_metric(&run->samples[0], "no_such_ns")));
	result_free(run);
}

static void drops_a_cut_last_line(void)
{
	static const char *const cut[] = { "truncated", "truncated-newline" };
	struct result_run *run;

	for (size_t i = 0; i < 2; i++) {
		if (!CHECK_EQ(load(cut[i], &run), 0))
			continue;
		CHECK_EQ(run->truncated, 1);
		CHECK_EQ(run->nr_samples, 2);
		CHECK(result_metric(&run->samples[1], "fault_p99_ns") == 8000);
		result_free(run);
	}
	/* whole, but for its newline */
	if (CHECK_EQ(load("no-newline", &run), 0)) {
		CHECK_EQ(run->truncated, 0);
		CHECK_EQ(run->nr_samples, 3);
		result_free(run);
	}
}

static void refuses_what_is_not_a_result(void)
{
	refused("foreign", -EINVAL, "foreign/run.json", "not a dpamt result");
	refused("foreign-array", -EINVAL, "foreign-array/run.json", "not a dpamt result");
	refused("not-json", -EINVAL, "not-json/run.json:1:", "not JSON");
	refused("no-id", -EINVAL, "no-id/run.json", "run_id");
	refused("newer", -ENOTSUP, "newer/run.json: schema 2", "newer");
	refused("good/run.json", -EINVAL, "good/run.json", "not a result folder");
	refused("no-such-run", -ENOENT, "no-such-run/run.json", "no such file");
}

static void refuses_damage_in_the_middle(void)
{
	refused("garbage", -EINVAL, "garbage/samples.jsonl:2:", "not JSON");
	/* a line that ends was not cut off */
	refused("garbage-end", -EINVAL, "garbage-end/samples.jsonl:2:", "not JSON");
	refused("glued", -EINVAL, "glued/samples.jsonl:2:", "not JSON");
	refused("bare-nan", -EINVAL, "bare-nan/samples.jsonl:2:", "not JSON");
	refused("bad-kind", -EINVAL, "bad-kind/samples.jsonl:3:", "\"sweep\"");
	refused("bad-status", -EINVAL, "bad-status/samples.jsonl:2:", "\"fine\"");
	refused("bad-metric", -EINVAL, "bad-metric/samples.jsonl:2:", "\"fault_p99_ns\"");
	refused("bad-block", -EINVAL, "bad-block/samples.jsonl:1:", "\"block\"");
}

static void takes_null_unknown_and_nothing(void)
{
	struct result_run *run;

	if (CHECK_EQ(load("null", &run), 0)) {
		CHECK(isnan(result_metric(&run->samples[0], "fault_p99_ns")));
		CHECK(result_metric(&run->samples[1], "fault_p99_ns") == 9000);
		result_free(run);
	}
	if (CHECK_EQ(load("unknown-fields", &run), 0)) {
		CHECK(result_metric(&run->samples[0], "future_ns") == 12);
		result_free(run);
	}
	if (CHECK_EQ(load("empty", &run), 0)) {
		CHECK_EQ(run->nr_samples, 0);
		result_free(run);
	}
	if (CHECK_EQ(load("no-cells", &run), 0)) {
		CHECK_EQ(run->nr_samples, 2);
		result_free(run);
	}
}

static void finds_metrics(void)
{
	static const struct {
		const char *suffix;
		enum metric_unit unit;
	} units[] = {
		{ "_ns", UNIT_NS }, { "_bytes", UNIT_BYTES }, { "_pct", UNIT_PCT },
		{ "_per_sec", UNIT_PER_SEC },
	};
	const struct metric *m;
	size_t nr;

	m = metric_find("victim.fault_p99_ns");
	CHECK(m && !strcmp(m->key, "fault_p99_ns"));
	CHECK(metric_find("fault_p99_ns") == m);
	CHECK(!metric_find("fault_p99") && !metric_find("") && !metric_find("victim."));
	for (m = metric_list(&nr); nr--; m++) {
		CHECK(metric_find(m->key) == m);
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			size_t len = strlen(m->key), end = strlen(units[i].suffix);

			if (len > end && !strcmp(m->key + len - end, units[i].suffix))
				CHECK_EQ(m->unit, units[i].unit);
		}
	}
}

/* --- writer ------------------------------------------------------------ */

static char *in_temp(const char *name)
{
	/* enough for the names that one test has in use */
	static char path[8][8192];
	static int turn;

	turn = (turn + 1) % 8;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", temp, name);
	return path[turn];
}

static json_t *meta(int note)
{
	return json_pack("{s:i,s:s,s:i}", "schema", RESULT_SCHEMA, "run_id", "x", "note", note);
}

static json_t *sample(int block)
{
	return json_pack("{s:s,s:i,s:s,s:{s:f,s:n}}", "kind", "control", "block", block, "status",
			 "ok", "metrics", "floor_empty_ns", 0.5 + block, "floor_clock_ns");
}

static int append(const char *dir, int block)
{
	json_t *s = sample(block);
	int err = result_append(dir, s);

	json_decref(s);
	return err;
}

static int create(const char *dir, int note)
{
	json_t *m = meta(note);
	int err = result_create(dir, m);

	json_decref(m);
	return err;
}

static int finish(const char *dir, int note)
{
	json_t *m = meta(note);
	int err = result_finish(dir, m);

	json_decref(m);
	return err;
}

/* The run in @dir has blocks 0..nr-1, note @note, and no cut line. */
static void holds(const char *dir, size_t nr, int note)
{
	struct result_run *run;

	if (!CHECK_EQ(result_load(dir, &run, error, sizeof(error)), 0)) {
		printf("\t%s\n", error);
		return;
	}
	CHECK_EQ(run->nr_samples, nr);
	CHECK_EQ(run->truncated, 0);
	CHECK_EQ(json_integer_value(json_object_get(run->meta, "note")), note);
	for (size_t i = 0; i < run->nr_samples; i++)
		CHECK(run->samples[i].block == (int)i &&
		      result_metric(&run->samples[i], "floor_empty_ns") == 0.5 + (double)i);
	result_free(run);
}

static void put_file(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0666);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void writes_what_it_reads(void)
{
	const char *dir = in_temp("a/b/run");
	char *tmp_file;

	CHECK_EQ(create(dir, 1), 0);
	holds(dir, 0, 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(append(dir, i), 0);
	holds(dir, 3, 1);
	CHECK_EQ(finish(dir, 2), 0);
	holds(dir, 3, 2);
	tmp_file = in_temp("a/b/run/run.json.tmp");
	CHECK(access(tmp_file, F_OK) && errno == ENOENT);
}

static void mends_a_cut_line(void)
{
	const char *dir = in_temp("cut");
	char long_line[70000];

	CHECK_EQ(create(dir, 1), 0);
	CHECK_EQ(append(dir, 0), 0);
	put_file(in_temp("cut/samples.jsonl"), "{\"kind\":\"con", O_APPEND);
	CHECK_EQ(append(dir, 1), 0);
	holds(dir, 2, 1);
	/* one that only lacks its newline stays */
	put_file(in_temp("cut/samples.jsonl"),
		 "{\"kind\":\"control\",\"block\":2,\"status\":\"ok\","
		 "\"metrics\":{\"floor_empty_ns\":2.5}}", O_APPEND);
	CHECK_EQ(append(dir, 3), 0);
	holds(dir, 4, 1);
	/* longer than one read */
	memset(long_line, '[', sizeof(long_line));
	long_line[sizeof(long_line) - 1] = '\0';
	put_file(in_temp("cut/samples.jsonl"), long_line, O_APPEND);
	CHECK_EQ(append(dir, 4), 0);
	holds(dir, 5, 1);
	/* nothing but a cut line */
	put_file(in_temp("cut/samples.jsonl"), long_line, O_TRUNC);
	CHECK_EQ(append(dir, 0), 0);
	holds(dir, 1, 1);
}

/* A disk with room for @bytes in a file. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void survives_a_full_disk(void)
{
	const char *dir = in_temp("full");
	struct stat st;
	int err;

	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(create(dir, 1), 0);
	CHECK_EQ(append(dir, 0), 0);
	CHECK(!stat(in_temp("full/samples.jsonl"), &st));
	/* half a line fits: it must not stay */
	limit_files((rlim_t)st.st_size + 20);
	CHECK_EQ(append(dir, 1), -ENOSPC);
	limit_files(20);
	err = finish(dir, 2);
	limit_files(RLIM_INFINITY);
	CHECK(err == -EFBIG || err == -ENOSPC);
	/* the old run.json is there, whole */
	holds(dir, 1, 1);
	CHECK_EQ(append(dir, 1), 0);
	holds(dir, 2, 1);

	CHECK(!unlink(in_temp("full/samples.jsonl")));
	CHECK(!symlink("/dev/full", in_temp("full/samples.jsonl")));
	CHECK_EQ(append(dir, 0), -ENOSPC);
}

static void names_a_bad_folder(void)
{
	put_file(in_temp("file"), "x", 0);
	CHECK_EQ(create(in_temp("file"), 1), -ENOTDIR);
	CHECK_EQ(create(in_temp("file/below"), 1), -ENOTDIR);
	CHECK_EQ(append(in_temp("nowhere"), 0), -ENOENT);
	CHECK_EQ(create("/proc/nowhere", 1), -ENOENT);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

int main(void)
{
	char here[] = __FILE__;

	test_begin("result");
	snprintf(fixtures, sizeof(fixtures), "%s/fixtures/results", dirname(here));
	if (!mkdtemp(temp)) {
		perror(temp);
		return 1;
	}
	TEST(reads_a_good_run);
	TEST(drops_a_cut_last_line);
	TEST(refuses_what_is_not_a_result);
	TEST(refuses_damage_in_the_middle);
	TEST(takes_null_unknown_and_nothing);
	TEST(finds_metrics);
	TEST(writes_what_it_reads);
	TEST(mends_a_cut_line);
	TEST(survives_a_full_disk);
	TEST(names_a_bad_folder);
	nftw(temp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return test_end();
}
