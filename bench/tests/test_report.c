// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reports: the median over blocks, the same figures in table and JSON, the sum
 * over TDs to the byte (and that a wrong one is found), what must be said
 * loudly, what a foreign name must not do, and every document of every fixture.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/tables.h"
#include "tests/test.h"

static char fixtures[4096], temp[] = "/tmp/dpamt-test-report-XXXXXX";

static struct result_run *load(const char *name)
{
	struct result_run *run = NULL;
	char path[8192], error[1024];

	snprintf(path, sizeof(path), "%s/%s", fixtures, name);
	if (!CHECK_EQ(result_load(path, &run, error, sizeof(error)), 0))
		printf("\t%s\n", error);
	return run;
}

/* The document that @write makes of @run; to be freed. */
static char *document(int (*write)(FILE *, const struct result_run *),
		      const struct result_run *run)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CHECK_EQ(write(out, run), 0);
	fclose(out);
	return text;
}

static bool says(const char *text, const char *what)
{
	bool found = text && strstr(text, what);

	if (!found)
		printf("\tmissing: \"%s\"\n", what);
	return found;
}

/* --- figures ----------------------------------------------------------- */

static void medians_over_usable_blocks(void)
{
	struct result_run *run = load("states"), *good = load("good");
	struct report_stat stat;

	/* block 0 of global-fast was interrupted and then repeated, block 1 was ok twice */
	stat = report_stat(run, "boot", "global-fast", "fault_p99_ns");
	CHECK_EQ(stat.n, 2);
	CHECK(stat.median == 7000 && stat.min == 5000 && stat.max == 9000);
	/* a violation that was repeated, and a failure */
	stat = report_stat(run, "boot", "hashed", "fault_p99_ns");
	CHECK_EQ(stat.n, 1);
	CHECK(stat.median == 7000);
	stat = report_stat(run, "boot", "lockless", "fault_p99_ns");
	CHECK(!stat.n && isnan(stat.median) && isnan(stat.min));
	/* what cells lack comes from the cost loop, other things do not */
	CHECK(report_value(good, "boot-10x16g", "lockless", "get_fast_ns") ==
	      report_value(good, NULL, "lockless", "get_fast_ns"));
	CHECK(report_value(good, "boot-10x16g", "lockless", "cost_many_ns") == 12 + 1.1);
	CHECK(isnan(report_value(good, "boot-10x16g", "lockless", "floor_empty_ns")));
	CHECK(report_value(good, NULL, NULL, "floor_empty_ns") == 0.31);
	CHECK(isnan(report_value(good, "boot-10x16g", "static", "get_fast_ns")));
	CHECK(isnan(report_value(good, "boot-10x16g", "lockless", "cycles_per_page")));
	result_free(good);
	result_free(run);
}

static void null_is_left_out(void)
{
	struct result_run *run = load("null");
	struct report_stat stat = report_stat(run, "boot", "global-fast", "fault_p99_ns");
	json_t *json = report_json(run);
	json_t *median;

	CHECK_EQ(stat.n, 1);
	CHECK(stat.median == 9000);
	CHECK(!json_unpack(json, "{s:{s:{s:{s:{s:{s:{s:o}}}}}}}", "workloads", "boot", "strategies",
			   "lockless", "metrics", "fault_p99_ns", "median", &median));
	CHECK(json_is_null(median));
	json_decref(json);
	result_free(run);
}

static void shown(double value, struct scale scale, bool whole, const char *want)
{
	char *text = scale_value(scale, value, whole);

	CHECK_STR(text, want);
	free(text);
}

static void numbers_have_three_digits(void)
{
	struct scale us = scale_for(UNIT_NS, 5000), one = { 1, "" };

	CHECK_STR(us.unit, "us");
	CHECK_STR(scale_for(UNIT_NS, 999).unit, "ns");
	CHECK_STR(scale_for(UNIT_NS, 2e9).unit, "ms");
	CHECK_STR(scale_for(UNIT_BYTES, 8192).unit, "B");
	CHECK_STR(scale_for(UNIT_BYTES, 1 << 20).unit, "KiB");
	CHECK_STR(scale_for(UNIT_BYTES, 1 << 30).unit, "MiB");
	CHECK_STR(scale_for(UNIT_BYTES, NAN).unit, "B");
	shown(8344, us, false, "8.34");
	shown(123456, us, false, "123");
	shown(12, us, false, "0.0120");
	shown(0, us, false, "0");
	shown(-12345, us, false, "-12.3");
	shown(NAN, us, false, "-");
	shown(0.00012, one, false, "1.20e-04");
	shown(1136, one, true, "1136");
	shown(0.5, one, true, "0.500");
}

/* --- the table and the JSON document ------------------------------------ */

/* Nanoseconds of "us", bytes of "KiB", ..: what a unit stands for. */
static double unit_factor(const char *unit)
{
	static const struct {
		const char *unit;
		double factor;
	} units[] = {
		{ "us", 1e3 }, { "ms", 1e6 }, { "KiB", 1024 }, { "MiB", 1048576 },
		{ "GiB", 1073741824 }, { "1000/s", 1e3 }, { "10^6/s", 1e6 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(unit, units[i].unit))
			return units[i].factor;
	return 1;
}

/* The metric whose title the head of a column begins with, the longest such. */
static const struct metric *metric_of_head(const char *head)
{
	const struct metric *m, *found = NULL;
	size_t nr;

	for (m = metric_list(&nr); nr--; m++)
		if (!strncmp(head, m->title, strlen(m->title)) &&
		    (!found || strlen(m->title) > strlen(found->title)))
			found = m;
	return found;
}

static unsigned int compare_table(const struct table *t, const json_t *strategies)
{
	unsigned int figures = 0;

	for (size_t r = 0; r < t->nr_rows; r++) {
		json_t *s = json_object_get(strategies, t->rows[r].cells[0]);
		json_t *metrics = json_object_get(s, "metrics");

		for (size_t c = 1; c < t->nr_columns; c++) {
			const struct metric *m = metric_of_head(t->columns[c].title);
			json_t *stat = json_object_get(metrics, m->key);
			json_t *median = json_object_get(stat, "median");
			const char *cell = t->rows[r].cells[c];
			double shown_value;

			if (!cell || !strcmp(cell, "-")) {
				CHECK(!json_is_number(median));
				continue;
			}
			shown_value = strtod(cell, NULL) * unit_factor(t->columns[c].unit);
			figures++;
			if (!CHECK(fabs(shown_value - json_number_value(median)) <=
				   0.0051 * fabs(shown_value)))
				printf("\t%s, %s: table %s %s, JSON %g\n", t->rows[r].cells[0],
				       m->key, cell, t->columns[c].unit,
				       json_number_value(median));
		}
	}
	return figures;
}

/* The row of the text that begins with @name has the cells of row @r of @t, in order. */
static void row_is_drawn(const char *text, const struct table *t, size_t r)
{
	char line[512];
	size_t used = 0;
	bool found = false;

	for (size_t c = 0; c < t->nr_columns && used < sizeof(line); c++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s ",
					 t->rows[r].cells[c] ? t->rows[r].cells[c] : "-");
	/* compare with blanks squeezed */
	for (const char *row = text; row && !found; row = strchr(row, '\n')) {
		char squeezed[512];
		size_t len = 0;

		row += *row == '\n';
		for (const char *p = row; *p && *p != '\n' && len + 2 < sizeof(squeezed); p++)
			if (*p != ' ' || (len && squeezed[len - 1] != ' '))
				squeezed[len++] = *p;
		squeezed[len++] = ' ';
		squeezed[len] = '\0';
		found = !strcmp(squeezed, line);
	}
	if (!CHECK(found))
		printf("\tnot drawn: %s\n", line);
}

static void json_has_the_tables_numbers(void)
{
	struct result_run *run = load("good");
	json_t *json = report_json(run);
	char *text = document(report_summary, run);
	struct names workloads = run_workloads(run);

	for (size_t w = 0; w < workloads.nr; w++) {
		json_t *strategies = NULL;

		CHECK(!json_unpack(json, "{s:{s:{s:o}}}", "workloads", workloads.name[w],
				   "strategies", &strategies));
		for (int part = 0; part < MAIN_PARTS; part++) {
			struct table *t = table_main(run, workloads.name[w], part);

			CHECK(compare_table(t, strategies) >= 20);
			for (size_t r = 0; r < t->nr_rows; r++)
				row_is_drawn(text, t, r);
			table_free(t);
		}
	}
	CHECK_EQ(workloads.nr, 2);
	names_free(&workloads);
	free(text);
	json_decref(json);
	result_free(run);
}

static void json_merges_histograms(void)
{
	struct result_run *run = load("good");
	json_t *json = report_json(run), *merged = NULL;
	struct hist *h = calloc(1, sizeof(*h));
	char error[256];
	uint64_t want = 0;

	for (size_t i = 0; i < run->nr_samples; i++)
		if (sample_matches(&run->samples[i], "conversion-storm", "lockless"))
			want += (uint64_t)result_metric(&run->samples[i], "fault_count");
	CHECK(!json_unpack(json, "{s:{s:{s:{s:{s:{s:o}}}}}}", "workloads", "conversion-storm",
			   "strategies", "lockless", "hist", "victim.fault_ns", &merged));
	CHECK_EQ(hist_decode(merged, h, error, sizeof(error)), 0);
	CHECK(want > 0);
	CHECK_EQ(h->count, want);
	free(h);
	json_decref(json);
	result_free(run);
}

/* --- the sum over TDs --------------------------------------------------- */

static const char *cell_of(const struct table *t, const char *row, const char *column)
{
	for (size_t r = 0; t && r < t->nr_rows; r++)
		for (size_t c = 0; c < t->nr_columns && !strcmp(t->rows[r].cells[0], row); c++)
			if (!strcmp(t->columns[c].title, column))
				return t->rows[r].cells[c];
	return NULL;
}

static void sums_are_checked_to_the_byte(void)
{
	struct result_run *run = load("sums"), *good = load("good");
	struct table *t = table_tds(run, "boot", "", "pamt_bytes", true);
	json_t *json = report_json(run);
	char *text = document(report_summary, run);
	int exact = -1;

	CHECK_STR(cell_of(t, "sums exactly", "global-fast"), "NO (1 of 2)");
	CHECK_STR(cell_of(t, "sums exactly", "lockless"), "yes (2 of 2)");
	CHECK_STR(cell_of(t, "sum", "lockless"), "8192");
	CHECK_STR(cell_of(t, "host's figure", "lockless"), "8192");
	CHECK_STR(cell_of(t, "TD 1, all", "global-fast"), "4000");
	CHECK_EQ(report_violations(run), 1);
	CHECK(says(text, "BROKEN INVARIANT: boot, global-fast, block 1"));
	CHECK(says(text, "8193 bytes"));
	CHECK(!json_unpack(json, "{s:{s:{s:{s:{s:b}}}}}", "workloads", "boot", "strategies",
			   "global-fast", "tds_sum_exact", &exact));
	CHECK_EQ(exact, 0);
	CHECK_EQ(report_violations(good), 0);
	free(text);
	json_decref(json);
	table_free(t);
	result_free(good);
	result_free(run);
}

static struct td_sum sum_of(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	struct result_sample s = { .json = json, .ok = true };
	struct td_sum sum = cell_td_sum(&s);

	CHECK(json);
	json_decref(json);
	return sum;
}

static void sums_need_whole_bytes(void)
{
	struct td_sum sum;

	sum = sum_of("{\"tds\":[{\"pamt_bytes\":1},{\"pamt_bytes\":2.0}],"
		     "\"snapshot_pamt_bytes\":3}");
	CHECK(sum.known && sum.exact && sum.sum == 3);
	/* half bytes make a whole by luck only */
	sum = sum_of("{\"tds\":[{\"pamt_bytes\":1.5},{\"pamt_bytes\":1.5}],"
		     "\"snapshot_pamt_bytes\":3}");
	CHECK(sum.known && !sum.exact);
	sum = sum_of("{\"tds\":[{\"pamt_bytes\":3},{}],\"snapshot_pamt_bytes\":3}");
	CHECK(sum.known && !sum.exact);
	sum = sum_of("{\"tds\":[{\"pamt_bytes\":3}]}");
	CHECK(!sum.known && !sum.exact);
	sum = sum_of("{\"tds\":[],\"snapshot_pamt_bytes\":0}");
	CHECK(!sum.known);
	sum = sum_of("{\"tds\":[{\"pamt_bytes\":9223372036854775807},{\"pamt_bytes\":1}],"
		     "\"snapshot_pamt_bytes\":0}");
	CHECK(sum.known && !sum.exact);
}

/* --- what must be said, and how ----------------------------------------- */

static void loud_things_are_said(void)
{
	struct result_run *run = load("states"), *cut = load("truncated"), *none = load("empty");
	char *text = document(report_summary, run), *cut_text = document(report_text, cut);
	char *none_text = document(report_text, none);

	CHECK(says(text, "!!! BROKEN INVARIANT: boot, hashed, block 0: region 7"));
	CHECK_EQ(report_violations(run), 1);
	CHECK(says(text, "skipped: no | huge <pages>"));
	CHECK(says(text, "cannot discriminate here: hashed (3 waits)"));
	CHECK(says(text, "hashed: 1 of 2 blocks usable; block 1 failed"));
	CHECK(says(text, "scale 1/512"));
	CHECK(!strchr(text, '\x1b'));
	CHECK(says(cut_text, "cut off"));
	CHECK(says(none_text, "no samples"));
	free(none_text);
	free(cut_text);
	free(text);
	result_free(none);
	result_free(cut);
	result_free(run);
}

static void text_fits_a_terminal(void)
{
	struct result_run *run = load("good");
	char *text = document(report_text, run), *line, *rest = text;
	unsigned int marks = 0, tables = 0;

	while ((line = strsep(&rest, "\n"))) {
		size_t len = strlen(line);

		if (!CHECK(len <= 120 && (!len || line[len - 1] != ' ')))
			printf("\t\"%s\"\n", line);
		marks += strstr(line, "  [1] fault latency") != NULL;
		tables += !strncmp(line, "strategy", 8) || !strncmp(line, "metric ", 7);
	}
	CHECK(tables >= 6);
	CHECK(marks >= 6);
	free(text);
	result_free(run);
}

static void groups_and_primary_are_shown(void)
{
	struct result_run *run = load("good");
	struct table *groups = table_groups(run, "conversion-storm");
	struct table *main_table = table_main(run, "boot-10x16g", 0);
	char *line = workload_line(run, "boot-10x16g");

	CHECK(cell_of(groups, "victim, lockless", "fault p99[1] (primary)"));
	CHECK(!table_groups(run, "boot-10x16g"));
	CHECK(cell_of(main_table, "lockless", "fault p99[1] (primary)"));
	CHECK(says(line, "scale 1/512, 10 TDs, 40 vCPUs, 2 workers"));
	CHECK(says(line, "placement contiguous, 0.4% lone regions (measured), 4 of 4 blocks, "
			 "machine granite-rapids"));
	free(line);
	table_free(main_table);
	table_free(groups);
	result_free(run);
}

static void markup_is_escaped(void)
{
	struct result_run *run = load("states");
	char *md = document(report_markdown, run), *html = document(report_html, run);

	CHECK(says(md, "skipped: no \\| huge &lt;pages&gt;"));
	CHECK(says(html, "skipped: no | huge &lt;pages&gt;"));
	CHECK(!strstr(html, "<pages>") && !strchr(html, '\x1b') && !strchr(md, '\x1b'));
	CHECK(says(html, "</html>"));
	free(html);
	free(md);
	result_free(run);
}

static void csv_has_every_usable_number(void)
{
	struct result_run *run = load("states"), *nulls = load("null");
	char *csv = document(report_csv, run), *nulls_csv = document(report_csv, nulls);

	CHECK_STR(csv, "workload,strategy,block,key,value\n"
		       "boot,global-fast,1,fault_p99_ns,5000\n"
		       "boot,global-fast,1,wait_count,50\n"
		       "boot,global-fast,0,fault_p99_ns,9000\n"
		       "boot,global-fast,0,wait_count,50\n"
		       "boot,hashed,0,fault_p99_ns,7000\n"
		       "boot,hashed,0,wait_count,3\n");
	CHECK(says(nulls_csv, "boot,lockless,0,fault_p99_ns,\n"));
	free(nulls_csv);
	free(csv);
	result_free(nulls);
	result_free(run);
}

/* --- all documents, and files ------------------------------------------ */

static void every_fixture_has_every_document(void)
{
	static const char *const names[] = {
		"good", "truncated", "no-newline", "null", "empty", "unknown-fields", "no-cells",
		"sums", "states",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct result_run *run = load(names[i]);
		json_t *json = report_json(run);
		char *text = json_dumps(json, 0);

		CHECK(text);
		free(text);
		json_decref(json);
		free(document(report_summary, run));
		free(document(report_text, run));
		free(document(report_markdown, run));
		free(document(report_html, run));
		free(document(report_csv, run));
		result_free(run);
	}
}

static void a_full_disk_is_an_error(void)
{
	struct result_run *run = load("good");
	FILE *full = fopen("/dev/full", "w");

	CHECK_EQ(report_text(full, run), -ENOSPC);
	fclose(full);
	full = fopen("/dev/full", "w");
	CHECK_EQ(report_csv(full, run), -ENOSPC);
	fclose(full);
	result_free(run);
}

static bool exists(const char *dir, const char *name)
{
	char path[8192];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !stat(path, &st) && st.st_size > 0;
}

/* As if the run lay in @dir. */
static struct result_run *load_into(const char *name, const char *dir)
{
	struct result_run *run = load(name);

	free(run->dir);
	run->dir = strdup(dir);
	return run;
}

static bool have_gnuplot(void)
{
	return !system("gnuplot --version > /dev/null 2>&1");
}

static void files_are_written(void)
{
	struct result_run *run = load_into("good", temp);
	char *html;

	if (!have_gnuplot()) {
		printf("gnuplot is not installed: plots are not tested\n");
		result_free(run);
		return;
	}
	CHECK_EQ(report_write_all(run), 0);
	CHECK(exists(temp, "report.md") && exists(temp, "report.html"));
	CHECK(exists(temp, "plots/boot-10x16g-fault_ns.svg"));
	CHECK(exists(temp, "plots/boot-10x16g-wait.svg"));
	CHECK(exists(temp, "plots/boot-10x16g-memory.svg"));
	CHECK(exists(temp, "plots/boot-10x16g-transitions.svg"));
	CHECK(exists(temp, "plots/conversion-storm-victim.fault_ns.svg"));
	CHECK(!exists(temp, "plots/boot-10x16g-wait.svg.tmp"));
	html = document(report_html, run);
	CHECK(says(html, "<svg") && says(html, "id=\"f2-"));
	free(html);
	result_free(run);
}

static void no_gnuplot_is_no_failure(void)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : "");
	char dir[sizeof(temp) + 16];
	struct result_run *run;

	snprintf(dir, sizeof(dir), "%s/bare", temp);
	CHECK(!mkdir(dir, 0777));
	run = load_into("good", dir);
	setenv("PATH", "/nonexistent", 1);
	CHECK_EQ(report_write_all(run), 0);
	setenv("PATH", path, 1);
	CHECK(exists(dir, "report.md") && exists(dir, "report.html"));
	CHECK(!exists(dir, "plots/boot-10x16g-wait.svg"));
	free(run->dir);
	run->dir = strdup("/proc/nowhere");
	CHECK_EQ(report_write_all(run), -ENOENT);
	free(path);
	result_free(run);
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

	test_begin("report");
	snprintf(fixtures, sizeof(fixtures), "%s/fixtures/results", dirname(here));
	if (!mkdtemp(temp)) {
		perror(temp);
		return 1;
	}
	TEST(medians_over_usable_blocks);
	TEST(null_is_left_out);
	TEST(numbers_have_three_digits);
	TEST(json_has_the_tables_numbers);
	TEST(json_merges_histograms);
	TEST(sums_are_checked_to_the_byte);
	TEST(sums_need_whole_bytes);
	TEST(loud_things_are_said);
	TEST(text_fits_a_terminal);
	TEST(groups_and_primary_are_shown);
	TEST(markup_is_escaped);
	TEST(csv_has_every_usable_number);
	TEST(every_fixture_has_every_document);
	TEST(a_full_disk_is_an_error);
	TEST(files_are_written);
	TEST(no_gnuplot_is_no_failure);
	nftw(temp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return test_end();
}
