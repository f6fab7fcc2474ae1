// SPDX-License-Identifier: GPL-2.0-only
/*
 * The comparison on runs built in memory: each verdict from figures that must
 * give it, the gate against an injected slowdown and its mirror image, both
 * directions of metrics, what is missing or undefined, what differs between
 * two runs, and the documents (valid, aligned, never a nan or inf).
 */
#include "tests/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "report/compare.h"

#define MAX_SAMPLES 400
#define LATENCY "victim.fault_p99_ns"

static struct result_sample sample_store[2][MAX_SAMPLES];
static struct result_run run_store[2];
static char run_id[2][40];

/* What a fixture varies. */
struct shape {
	const char *primary;
	int blocks;
	double waits;			/* wait_count of every cell but the null control's */
	double noise;			/* relative, alternating by block */
	double factor[5];		/* of null, global-fast, lockless, hashed, rwlock */
	double base;			/* the metric of global-fast */
};

static const char *const names[] = { "null", "global-fast", "lockless", "hashed", "rwlock" };
static const struct shape normal = {
	LATENCY, 8, 1000, 0.002, { 0.5, 1, 0.77, 1.001, 1.4 }, 12000,
};

static void add_cell(struct result_run *run, const char *workload, const char *strategy,
		     int block, const char *status, json_t *metrics)
{
	struct result_sample *s = &run->samples[run->nr_samples++];

	s->json = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:o}", "kind", "cell", "workload",
			    workload, "strategy", strategy, "block", block, "status", status,
			    "reason", "as the test wants it", "metrics", metrics);
	s->kind = RESULT_CELL;
	s->workload = json_string_value(json_object_get(s->json, "workload"));
	s->strategy = json_string_value(json_object_get(s->json, "strategy"));
	s->block = block;
	s->status = json_string_value(json_object_get(s->json, "status"));
	s->ok = !strcmp(status, "ok");
	s->reason = s->ok ? NULL : json_string_value(json_object_get(s->json, "reason"));
}

static double value_of(const struct shape *shape, int strategy, int block)
{
	/* blocks drift together; the sign pattern of the noise differs by strategy */
	double drift = 1 + 0.1 * (block % 3), sign = (block >> (strategy % 3)) & 1 ? 1 : -1;

	return shape->base * shape->factor[strategy] * drift * (1 + sign * shape->noise);
}

static struct result_run *make_run(int which, const struct shape *shape)
{
	struct result_run *run = &run_store[which];
	int block, i;

	memset(run, 0, sizeof(*run));
	sprintf(run_id[which], "20260101-00000%d-model", which);
	run->run_id = run_id[which];
	run->samples = sample_store[which];
	run->meta = json_pack("{s:i, s:s, s:s, s:s, s:f, s:{s:i}, s:[{s:s, s:s, s:s, s:s}], s:[]}",
			      "schema", RESULT_SCHEMA, "run_id", run->run_id, "on", "model",
			      "machine", "spr-2s", "scale", 0.125, "topology", "cpus", 2,
			      "workloads", "name", "fault-storm", "title", "Fault storm",
			      "primary", shape->primary, "hash", "abcd", "strategies");
	for (i = 0; i < 5; i++)
		json_array_append_new(json_object_get(run->meta, "strategies"),
				      json_pack("{s:s, s:b}", "name", names[i], "control", !i));
	for (block = 0; block < shape->blocks; block++)
		for (i = 4; i >= 0; i--)
			add_cell(run, "fault-storm", names[i], block, "ok",
				 json_pack("{s:f, s:f}", shape->primary,
					   value_of(shape, i, block), "wait_count",
					   i ? shape->waits : 0.0));
	return run;
}

static void drop_run(int which)
{
	struct result_run *run = &run_store[which];
	size_t i;

	for (i = 0; i < run->nr_samples; i++)
		json_decref(run->samples[i].json);
	json_decref(run->meta);
}

static const struct compare_row *row_of(const struct compare *c, const char *strategy)
{
	size_t i;

	for (i = 0; i < c->workloads[0].nr_rows; i++)
		if (!strcmp(c->workloads[0].rows[i].strategy, strategy))
			return &c->workloads[0].rows[i];
	return NULL;
}

static const char *verdict_of(const struct compare *c, const char *strategy)
{
	const struct compare_row *row = row_of(c, strategy);

	return row ? verdict_name(row->verdict) : "no such row";
}

static struct compare *compare_one(const struct result_run *run)
{
	struct compare *c = NULL;
	char err[300] = "";

	if (!CHECK(compare_run(run, NULL, &c, err, sizeof(err)) == 0))
		printf("\t%s\n", err);
	return c;
}

static struct compare *compare_two(const struct result_run *a, const struct result_run *b)
{
	struct compare *c = NULL;
	char err[300] = "";

	if (!CHECK(compare_runs(a, b, NULL, &c, err, sizeof(err)) == 0))
		printf("\t%s\n", err);
	return c;
}

static int has_word(const char *text, const char *word)
{
	int found = text && strstr(text, word);

	if (!found)
		printf("\t\"%s\" is not in:\n%s\n", word, text ? text : "(null)");
	return found;
}

/* Every document of @c: made, no nan or inf, text within 100 columns, JSON that parses. */
static void check_documents(const struct compare *c)
{
	char *list[] = { compare_text(c), compare_csv(c), compare_markdown(c), NULL };
	json_t *json = compare_json(c), *again;
	const char *line;
	int i;

	CHECK(json != NULL);
	list[3] = json_dumps(json, JSON_INDENT(1));
	again = json_loads(list[3] ? list[3] : "", 0, NULL);
	CHECK(again != NULL && json_equal(json, again));
	for (i = 0; i < 4; i++) {
		CHECK(list[i] && *list[i]);
		CHECK(!strstr(list[i], "nan") && !strstr(list[i], "NaN"));
		CHECK(!strstr(list[i], "inf") && !strstr(list[i], "Inf"));
	}
	for (line = list[0]; *line; line += strcspn(line, "\n") + 1)
		if (!CHECK(strcspn(line, "\n") <= 100))
			printf("\t%.*s\n", (int)strcspn(line, "\n"), line);
	for (i = 0; i < 4; i++)
		free(list[i]);
	json_decref(json);
	json_decref(again);
}

static void verdicts_within_a_run(void)
{
	struct result_run *run = make_run(0, &normal);
	struct compare *c = compare_one(run);
	const struct compare_row *row = row_of(c, "lockless");

	CHECK_EQ(c->workloads[0].nr_rows, 3);
	CHECK(!row_of(c, "null") && !row_of(c, "global-fast"));
	CHECK_STR(verdict_of(c, "lockless"), "improved");
	CHECK_STR(verdict_of(c, "hashed"), "no change");
	CHECK_STR(verdict_of(c, "rwlock"), "regressed");
	CHECK_STR(c->workloads[0].label, "victim fault p99");
	CHECK(row->effect.paired && row->effect.na == 8);
	CHECK(fabs(row->effect.estimate - 0.77) < 0.005);
	CHECK(row->effect.p == 2 / 256.0);
	CHECK(row->p_holm == 3 * 2 / 256.0);
	/* the drift of the blocks is shared, so the interval does not see it */
	CHECK(row->effect.high - row->effect.low < 0.01);
	CHECK(row->effect.low <= 0.77 + 0.005 && row->effect.high >= 0.77 - 0.005);
	CHECK_EQ(c->nr_warnings, 0);
	check_documents(c);
	compare_free(c);
	drop_run(0);
}

static void sentences(void)
{
	struct result_run *run = make_run(0, &normal);
	struct compare *c = compare_one(run);
	const char *lockless = row_of(c, "lockless")->sentence;

	CHECK(has_word(lockless, "fault-storm: lockless has 23% lower victim fault p99 than "
				 "global-fast (95% interval 22.8..23.2%, p=0.0078, Holm 0.023, "
				 "8 blocks): improved."));
	CHECK(has_word(row_of(c, "rwlock")->sentence, "rwlock has 40% higher victim fault p99"));
	CHECK(has_word(row_of(c, "rwlock")->sentence, ": regressed."));
	CHECK(has_word(row_of(c, "hashed")->sentence, ": no change (margin 2.0%)."));
	CHECK(has_word(c->workloads[0].sentence, lockless + strlen("fault-storm: ") +
		       strlen(lockless + strlen("fault-storm: ")) - strlen("improved.")));
	CHECK(has_word(c->workloads[0].sentence,
		       "improved. Others: regressed: rwlock; no change: hashed."));
	compare_free(c);
	drop_run(0);
}

static void one_seed_one_result(void)
{
	struct result_run *run = make_run(0, &normal);
	static const char *const only[] = { "lockless", NULL };
	struct compare_options few = COMPARE_DEFAULTS, other = COMPARE_DEFAULTS;
	struct compare *all = compare_one(run), *one = NULL, *seeded = NULL;

	few.strategies = only;
	other.seed = 2;
	CHECK_EQ(compare_run(run, &few, &one, NULL, 0), 0);
	CHECK_EQ(compare_run(run, &other, &seeded, NULL, 0), 0);
	CHECK_EQ(one->workloads[0].nr_rows, 1);
	/* a row does not depend on its neighbours, but for Holm */
	CHECK(row_of(one, "lockless")->effect.low == row_of(all, "lockless")->effect.low);
	CHECK(row_of(one, "lockless")->p_holm == 2 / 256.0);
	CHECK(row_of(seeded, "lockless")->effect.low != row_of(all, "lockless")->effect.low);
	compare_free(all);
	compare_free(one);
	compare_free(seeded);
	drop_run(0);
}

static void direction_comes_from_the_metric(void)
{
	struct shape shape = normal;
	struct compare *c;

	shape.primary = "pages_per_sec";
	c = compare_one(make_run(0, &shape));
	CHECK_STR(verdict_of(c, "lockless"), "regressed");
	CHECK_STR(verdict_of(c, "rwlock"), "improved");
	CHECK(has_word(c->workloads[0].sentence, "rwlock has 40% higher pages/s than"));
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_REGRESSED);
	compare_free(c);
	drop_run(0);

	shape.primary = "install_count";	/* no direction */
	c = compare_one(make_run(0, &shape));
	CHECK_STR(verdict_of(c, "lockless"), "no data");
	CHECK(has_word(row_of(c, "lockless")->reason, "no better direction"));
	check_documents(c);
	compare_free(c);
	drop_run(0);

	shape.primary = "no_such_metric_ns";
	c = compare_one(make_run(0, &shape));
	CHECK(has_word(row_of(c, "lockless")->reason, "unknown metric"));
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_INCONCLUSIVE);
	check_documents(c);
	compare_free(c);
	drop_run(0);
}

static void noise_is_said(void)
{
	struct shape shape = normal;
	const struct compare_row *row;
	struct compare *c;

	shape.noise = 0.3;
	shape.factor[2] = 0.95;
	shape.factor[4] = 1;
	c = compare_one(make_run(0, &shape));
	row = row_of(c, "lockless");
	CHECK_STR(verdict_of(c, "lockless"), "too noisy");
	CHECK(row->needed > 8 && !row->too_few);
	CHECK(has_word(row->sentence, "too noisy, about "));
	CHECK(has_word(row->sentence, " blocks would decide."));
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_INCONCLUSIVE);
	check_documents(c);
	compare_free(c);
	drop_run(0);
}

static void few_blocks_never_decide(void)
{
	struct shape shape = normal;
	const struct compare_row *row;
	struct compare *c;
	int blocks;

	for (blocks = 1; blocks <= 6; blocks++) {
		shape.blocks = blocks;
		c = compare_one(make_run(0, &shape));
		row = row_of(c, "lockless");
		CHECK_STR(verdict_of(c, "lockless"), "too noisy");
		CHECK_EQ(row->needed, 8);
		CHECK(has_word(row->sentence, "too noisy, needs at least 8 blocks."));
		CHECK_EQ(compare_gate(c, NULL, 0), GATE_INCONCLUSIVE);
		check_documents(c);
		compare_free(c);
		drop_run(0);
	}
}

static void without_contention(void)
{
	static const struct {
		const char *primary, *verdict;
		double waits;
	} cases[] = {
		{ LATENCY, "cannot discriminate", 19.9 },
		{ LATENCY, "improved", 20 },
		{ "wait_pct", "cannot discriminate", 3 },
		{ "get_slow_ns", "cannot discriminate", 0 },
		{ "fairness", "cannot discriminate", 0 },
		{ "pamt_ns_per_page", "improved", 0 },
		{ "cost_one_ns", "improved", 0 },
		{ "get_fast_ns", "improved", 0 },
		{ "pamt_peak_bytes", "improved", 0 },
		{ "pages_per_sec", "regressed", 0 },
	};
	struct shape shape = normal;
	struct compare *c;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		shape.primary = cases[i].primary;
		shape.waits = cases[i].waits;
		c = compare_one(make_run(0, &shape));
		CHECK_STR(verdict_of(c, "lockless"), cases[i].verdict);
		/* the figure stays */
		CHECK(fabs(row_of(c, "lockless")->effect.estimate - 0.77) < 0.005);
		check_documents(c);
		compare_free(c);
		drop_run(0);
	}
	shape.primary = LATENCY;
	shape.waits = 3;
	c = compare_one(make_run(0, &shape));
	CHECK(has_word(row_of(c, "lockless")->sentence,
		       "cannot discriminate here: 3 contended events per cell."));
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_INCONCLUSIVE);
	compare_free(c);
	drop_run(0);
}

static void ending_all_waits_discriminates(void)
{
	struct result_run *run = make_run(0, &normal);
	struct compare *c;
	size_t i;

	for (i = 0; i < run->nr_samples; i++)
		if (!strcmp(run->samples[i].strategy, "lockless"))
			json_object_set_new(json_object_get(run->samples[i].json, "metrics"),
					    "wait_count", json_integer(0));
	c = compare_one(run);
	CHECK_STR(verdict_of(c, "lockless"), "improved");
	CHECK(row_of(c, "lockless")->contended == 1000);
	compare_free(c);
	drop_run(0);
}

static void set_metric(struct result_run *run, const char *strategy, int block, json_t *value)
{
	size_t i;

	for (i = 0; i < run->nr_samples; i++)
		if (!strcmp(run->samples[i].strategy, strategy) &&
		    (block < 0 || run->samples[i].block == block))
			json_object_set(json_object_get(run->samples[i].json, "metrics"),
					json_string_value(json_object_get(json_array_get(
						json_object_get(run->meta, "workloads"), 0),
						"primary")), value);
	json_decref(value);
}

static void zeros_and_nulls(void)
{
	struct result_run *run = make_run(0, &normal);
	struct compare *c;

	/* a base of 0: no ratio, but a difference in words */
	set_metric(run, "global-fast", -1, json_real(0));
	set_metric(run, "hashed", -1, json_real(0));
	set_metric(run, "rwlock", -1, json_null());
	c = compare_one(run);
	CHECK_EQ(row_of(c, "lockless")->effect.kind, EFFECT_DIFFERENCE);
	CHECK_STR(verdict_of(c, "lockless"), "regressed");
	CHECK(has_word(row_of(c, "lockless")->sentence,
		       "lockless has victim fault p99 10.0 us higher than global-fast"));
	CHECK_STR(verdict_of(c, "hashed"), "no change");
	CHECK(has_word(row_of(c, "hashed")->sentence, "hashed has the same victim fault p99 as"));
	CHECK_STR(verdict_of(c, "rwlock"), "no data");
	CHECK(has_word(row_of(c, "rwlock")->sentence, "of rwlock is null"));
	/* no data takes no part in the family */
	CHECK(row_of(c, "lockless")->p_holm == 2 * 2 / 256.0);
	check_documents(c);
	compare_free(c);
	drop_run(0);

	/* to zero: a ratio of 0 */
	run = make_run(0, &normal);
	set_metric(run, "lockless", -1, json_real(0));
	/* one zero in the base would make resampled ratios infinite */
	set_metric(run, "global-fast", 3, json_real(0));
	c = compare_one(run);
	CHECK_EQ(row_of(c, "lockless")->effect.kind, EFFECT_DIFFERENCE);
	check_documents(c);
	compare_free(c);
	set_metric(run, "global-fast", 3, json_real(10000));
	c = compare_one(run);
	CHECK_EQ(row_of(c, "lockless")->effect.kind, EFFECT_RATIO);
	CHECK_STR(verdict_of(c, "lockless"), "improved");
	CHECK(has_word(row_of(c, "lockless")->sentence, "100% lower"));
	check_documents(c);
	compare_free(c);
	drop_run(0);
}

static void cells_left_out(void)
{
	struct result_run *run = make_run(0, &normal);
	struct compare *c;

	/* lockless lost block 2, and block 5 was run again: the last one counts */
	set_metric(run, "lockless", 2, json_null());
	set_metric(run, "lockless", 5, json_real(1e9));
	add_cell(run, "fault-storm", "lockless", 5, "ok",
		 json_pack("{s:f, s:f}", LATENCY, 0.77 * 12000 * 1.2, "wait_count", 1000.0));
	/* another workload, and a strategy that run.json does not list, are ignored */
	add_cell(run, "elsewhere", "lockless", 6, "ok", json_pack("{s:f}", LATENCY, 1e9));
	add_cell(run, "fault-storm", "unlisted", 6, "ok", json_pack("{s:f}", LATENCY, 1e9));
	c = compare_one(run);
	CHECK_EQ(row_of(c, "lockless")->effect.nb, 7);
	CHECK_STR(verdict_of(c, "lockless"), "improved");
	CHECK(fabs(row_of(c, "lockless")->effect.estimate - 0.77) < 0.005);
	CHECK_EQ(c->nr_warnings, 2);
	CHECK(has_word(c->warnings[0], "fault-storm, lockless: 1 cells left out"));
	CHECK(has_word(c->warnings[1], "7 of 8 blocks have both sides"));
	CHECK_EQ(row_of(c, "hashed")->effect.nb, 8);
	check_documents(c);
	compare_free(c);
	drop_run(0);
}

/* A drift of 1000% is no noise as long as block meets block, in any order on disk. */
static void pairs_are_by_block(void)
{
	struct result_run *run = make_run(0, &normal);
	struct result_sample other;
	struct compare *c;
	size_t i, j;

	for (i = 0; i < run->nr_samples; i++) {
		struct result_sample *s = &run->samples[i];

		json_object_set_new(json_object_get(s->json, "metrics"), LATENCY,
				    json_real((1 + s->block) * result_metric(s, LATENCY)));
	}
	for (i = 0; i < run->nr_samples; i++) {
		j = (i * 7 + 3) % run->nr_samples;
		other = run->samples[j];
		run->samples[j] = run->samples[i];
		run->samples[i] = other;
	}
	c = compare_one(run);
	CHECK_STR(verdict_of(c, "lockless"), "improved");
	CHECK(row_of(c, "rwlock")->effect.low > 1.38 && row_of(c, "rwlock")->effect.high < 1.42);
	CHECK_EQ(row_of(c, "rwlock")->effect.na, 8);
	compare_free(c);
	drop_run(0);
}

static void skipped_and_violated(void)
{
	struct shape shape = normal;
	struct result_run *run;
	struct compare *c;
	char why[200];
	size_t i;

	shape.factor[4] = 1;
	run = make_run(0, &shape);
	for (i = 0; i < run->nr_samples; i++) {
		struct result_sample *s = &run->samples[i];

		if (!strcmp(s->strategy, "hashed")) {
			s->ok = false;
			s->status = "skipped";
			s->reason = "maps 4K only";
		}
	}
	c = compare_one(run);
	CHECK(has_word(row_of(c, "hashed")->sentence, "no data: hashed skipped: maps 4K only."));
	CHECK_EQ(compare_gate(c, why, sizeof(why)), GATE_PASS);
	CHECK(has_word(why, "2 primary metrics, none regressed"));
	CHECK_EQ(c->nr_warnings, 0);
	check_documents(c);
	compare_free(c);
	/* a broken invariant fails the gate, even in a cell that is no part of a row */
	add_cell(run, "fault-storm", "null", 3, "violation", json_object());
	c = compare_one(run);
	CHECK_EQ(compare_gate(c, why, sizeof(why)), GATE_REGRESSED);
	CHECK(has_word(why, "1 cells of run"));
	compare_free(c);
	drop_run(0);
}

/* The gate must fail on a slower B, and only then. */
static void gate_of_two_runs(void)
{
	static const struct {
		double factor;
		enum compare_gate gate;
		const char *verdict;
	} cases[] = {
		{ 1.0, GATE_PASS, "no change" },
		{ 1.5, GATE_REGRESSED, "regressed" },
		{ 1.04, GATE_REGRESSED, "regressed" },
		{ 0.6, GATE_PASS, "improved" },
	};
	struct shape before = normal, after = normal;
	struct compare *c;
	char why[200];
	size_t i;
	int block;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct result_run *a = make_run(0, &before), *b;

		after.factor[2] = before.factor[2] * cases[i].factor;
		b = make_run(1, &after);
		/* nothing pairs across runs: let the drift of the fixture be small */
		for (block = 0; block < 8; block++) {
			double v = 9000 + 10 * block;
			int k;

			for (k = 0; k < 5; k++) {
				set_metric(a, names[k], block, json_real(v));
				set_metric(b, names[k], block,
					   json_real((k == 2 ? cases[i].factor : 1) * (v + 3)));
			}
		}
		c = compare_two(a, b);
		CHECK_STR(verdict_of(c, "lockless"), cases[i].verdict);
		CHECK_STR(verdict_of(c, "rwlock"), "no change");
		CHECK_STR(verdict_of(c, "null"), "no change");
		CHECK_EQ(compare_gate(c, why, sizeof(why)), cases[i].gate);
		CHECK(!row_of(c, "lockless")->effect.paired);
		CHECK(row_of(c, "null")->control && isnan(row_of(c, "null")->p_holm));
		CHECK_EQ(c->nr_warnings, 0);
		if (i == 1)
			CHECK(has_word(c->workloads[0].sentence,
				       "lockless in 20260101-000001-model has 50% higher victim fault p99 than in "
				       "20260101-000000-model (95% interval 49"));
		check_documents(c);
		compare_free(c);
		/* the mirror image: B as base turns the verdict round */
		c = compare_two(b, a);
		CHECK_EQ(compare_gate(c, NULL, 0),
			 cases[i].factor < 1 ? GATE_REGRESSED : GATE_PASS);
		compare_free(c);
		drop_run(0);
		drop_run(1);
	}
}

/* Without contention a slowdown between runs is a slowdown, a gain is not shown. */
static void two_runs_without_contention(void)
{
	struct shape quiet = normal, slow;
	struct compare *c;
	int i;

	quiet.waits = 0;
	slow = quiet;
	for (i = 0; i < 5; i++)
		slow.factor[i] *= 2.4;
	make_run(0, &quiet);
	make_run(1, &slow);
	c = compare_two(&run_store[0], &run_store[1]);
	CHECK_STR(verdict_of(c, "lockless"), "regressed");
	CHECK(has_word(row_of(c, "lockless")->sentence,
		       "lockless in 20260101-000001-model has 2.4 times the victim fault p99 of "
		       "20260101-000000-model ("));
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_REGRESSED);
	CHECK_EQ(c->nr_warnings, 1);
	CHECK(has_word(c->warnings[0], "control null regressed between the runs"));
	compare_free(c);
	c = compare_two(&run_store[1], &run_store[0]);
	CHECK_STR(verdict_of(c, "lockless"), "cannot discriminate");
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_INCONCLUSIVE);
	compare_free(c);
	drop_run(0);
	drop_run(1);
}

static void foreign_runs(void)
{
	static const char *const keys[] = { "machine", "topology", "scale", "on" };
	struct compare *c;
	json_t *workload;
	char why[200];
	size_t i;

	for (i = 0; i < 4; i++) {
		struct result_run *a = make_run(0, &normal), *b = make_run(1, &normal);

		json_object_set_new(b->meta, keys[i], json_string("another"));
		c = compare_two(a, b);
		CHECK_EQ(c->nr_warnings, 1);
		CHECK(has_word(c->warnings[0], keys[i]) && has_word(c->warnings[0], "another"));
		CHECK(!c->workloads[0].comparable);
		CHECK_EQ(compare_gate(c, why, sizeof(why)), GATE_INCONCLUSIVE);
		CHECK(has_word(why, "not comparable"));
		check_documents(c);
		compare_free(c);
		drop_run(0);
		drop_run(1);
	}
	make_run(0, &normal);
	make_run(1, &normal);
	workload = json_array_get(json_object_get(run_store[1].meta, "workloads"), 0);
	json_object_set_new(workload, "hash", json_string("ef01"));
	json_object_set_new(run_store[1].meta, "governor", json_string("powersave"));
	run_store[1].truncated = 1;
	c = compare_two(&run_store[0], &run_store[1]);
	CHECK_EQ(c->nr_warnings, 3);
	CHECK(has_word(c->warnings[0], "governor"));
	CHECK(has_word(c->warnings[1], "workload fault-storm: \"hash\""));
	CHECK(has_word(c->warnings[2], "cut off"));
	CHECK(!c->workloads[0].comparable);
	check_documents(c);
	compare_free(c);
	drop_run(0);
	drop_run(1);
}

static void missing_in_the_other_run(void)
{
	struct result_run *a = make_run(0, &normal), *b = make_run(1, &normal);
	struct compare *c;
	size_t i;

	for (i = 0; i < b->nr_samples; i++)
		if (!strcmp(b->samples[i].strategy, "hashed"))
			b->samples[i].strategy = "renamed";
	c = compare_two(a, b);
	CHECK_STR(verdict_of(c, "hashed"), "no data");
	CHECK(has_word(row_of(c, "hashed")->reason, "no cell of 20260101-000001-model"));
	CHECK_EQ(compare_gate(c, NULL, 0), GATE_INCONCLUSIVE);
	check_documents(c);
	compare_free(c);
	drop_run(0);
	drop_run(1);
}

static void errors(void)
{
	static const char *const unknown[] = { "lockless", "lokless", NULL };
	struct compare_options o = COMPARE_DEFAULTS;
	struct result_run *run = make_run(0, &normal);
	struct compare *c = NULL;
	char err[300];

	o.baseline = "tuned";
	CHECK_EQ(compare_run(run, &o, &c, err, sizeof(err)), -ENOENT);
	CHECK(has_word(err, "\"tuned\"") && has_word(err, "null, global-fast, lockless"));
	o = (struct compare_options)COMPARE_DEFAULTS;
	o.strategies = unknown;
	CHECK_EQ(compare_run(run, &o, &c, err, sizeof(err)), -ENOENT);
	CHECK(has_word(err, "\"lokless\"") && has_word(err, "rwlock"));
	o.strategies = NULL;
	o.workloads = unknown;
	CHECK_EQ(compare_runs(run, run, &o, &c, err, sizeof(err)), -ENOENT);
	CHECK(has_word(err, "fault-storm"));
	json_object_del(json_array_get(json_object_get(run->meta, "workloads"), 0), "primary");
	CHECK_EQ(compare_run(run, NULL, &c, err, sizeof(err)), -EINVAL);
	CHECK(has_word(err, "primary"));
	json_object_del(run->meta, "strategies");
	CHECK_EQ(compare_run(run, NULL, &c, err, sizeof(err)), -EINVAL);
	CHECK(has_word(err, "\"strategies\""));
	json_object_del(run->meta, "workloads");
	CHECK_EQ(compare_run(run, NULL, &c, err, sizeof(err)), -EINVAL);
	CHECK(has_word(err, "\"workloads\""));
	CHECK(c == NULL);
	drop_run(0);
}

static void documents_in_detail(void)
{
	struct result_run *run = make_run(0, &normal);
	struct compare *c;
	json_t *json, *row;
	char *text;

	json_object_set_new(json_array_get(json_object_get(run->meta, "workloads"), 0), "title",
			    json_string("Storm, \"flat out\" | N x M"));
	c = compare_one(run);
	text = compare_text(c);
	CHECK(has_word(text, "lockless       13.0 us   10.0 us     0.770"));
	CHECK(has_word(text, "victim fault p99, lower is better"));
	CHECK(has_word(text, "Gate: FAIL (fault-storm: victim fault p99 of rwlock regressed)."));
	free(text);
	text = compare_csv(c);
	CHECK(has_word(text, "\nfault-storm," LATENCY ",lower is better,lockless,false,"
			     "global-fast,ratio,8,8,"));
	free(text);
	text = compare_markdown(c);
	CHECK(has_word(text, "### Storm, \"flat out\" \\| N x M\n"));
	CHECK(has_word(text, "| lockless | "));
	free(text);
	json = compare_json(c);
	row = json_array_get(json_object_get(json_array_get(json_object_get(json, "workloads"), 0),
					     "rows"), 0);
	CHECK_STR(json_string_value(json_object_get(row, "verdict")), "improved");
	CHECK(json_is_null(json_object_get(row, "blocks_needed")));
	CHECK_EQ(json_integer_value(json_object_get(json_object_get(json, "gate"), "exit")), 1);
	json_decref(json);
	compare_free(c);
	drop_run(0);
}

static void extreme_figures_stay_aligned(void)
{
	static const double bases[] = { 1e-9, 0.5, 999.6, 1023.7, 999999, 1e12, 1e17 };
	static const char *const keys[] = { "pamt_ns_per_page", "pamt_peak_bytes",
					    "pages_per_sec", "busy_count", "wait_pct" };
	struct shape shape = normal;
	struct compare *c;
	size_t i;

	shape.factor[4] = 1e6;
	shape.factor[3] = 1e-6;
	for (i = 0; i < 35; i++) {
		struct result_run *run;

		shape.base = bases[i % 7];
		shape.primary = keys[i / 7];
		run = make_run(0, &shape);
		if (i & 1)
			set_metric(run, "global-fast", 1, json_real(0));
		json_object_set_new(json_array_get(json_object_get(run->meta, "workloads"), 0),
				    "title", json_string("a title of a length that nobody would "
				    "reasonably give to a workload but that must not break the "
				    "table that is made of it in any way at all"));
		c = compare_one(run);
		check_documents(c);
		compare_free(c);
		drop_run(0);
	}
}

int main(void)
{
	test_begin("compare");
	TEST(verdicts_within_a_run);
	TEST(sentences);
	TEST(one_seed_one_result);
	TEST(direction_comes_from_the_metric);
	TEST(noise_is_said);
	TEST(few_blocks_never_decide);
	TEST(without_contention);
	TEST(ending_all_waits_discriminates);
	TEST(zeros_and_nulls);
	TEST(cells_left_out);
	TEST(pairs_are_by_block);
	TEST(skipped_and_violated);
	TEST(gate_of_two_runs);
	TEST(two_runs_without_contention);
	TEST(foreign_runs);
	TEST(missing_in_the_other_run);
	TEST(errors);
	TEST(documents_in_detail);
	TEST(extreme_figures_stay_aligned);
	return test_end();
}
