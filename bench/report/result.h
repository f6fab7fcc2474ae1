/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The result format, as read and written (schema RESULT_SCHEMA).
 *
 * results/RUN-ID/run.json	one object: schema, run_id, and what ran
 * results/RUN-ID/samples.jsonl	one object a line, written as it lands:
 *
 *   {"kind":"cell","workload":W,"strategy":S,"block":B,"status":"ok",
 *    "seed":N,"metrics":{key:number|null,..},"hist":{name:HIST,..},
 *    "series":{name:[[ns,value],..],..},"tds":[{..}],"warnings":[text,..]}
 *   {"kind":"control","block":B,"status":"ok","metrics":{..}}
 *   {"kind":"cost","strategy":S,"block":B,"status":"ok","metrics":{..}}
 *
 * status: ok | skipped | violation | interrupted | failed, with "reason" when not ok.
 * HIST: {"sub_bits":6,"count":N,"sum":N,"min":N,"max":N,"bins":[[index,count],..]}
 * "tds": {"td":n,"group":name,"pages":n,"pamt_bytes":n,"saved_bytes":n,"wait_ns":n} and one
 * {"td":-1,"group":"kernel",..}; pamt_bytes sum exactly to the snapshot's
 * metrics of the host (key "snapshot_pamt_bytes" in the cell object).
 *
 * Unknown fields are ignored, NaN is null, a last line that is cut off (a
 * crash, a full disk) is dropped and counted in run->truncated.
 */
#ifndef DPAMT_RESULT_H
#define DPAMT_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESULT_SCHEMA 1

enum metric_unit { UNIT_NS, UNIT_BYTES, UNIT_PCT, UNIT_PER_SEC, UNIT_COUNT, UNIT_RATIO };
enum metric_direction { DIR_LOWER, DIR_HIGHER, DIR_INFO };
enum metric_column { COLUMN_SHOW, COLUMN_MORE };

struct metric {
	const char *key;
	const char *title;
	enum metric_unit unit;
	enum metric_direction direction;
	enum metric_column column;
};

/* The list of metrics.h; *nr entries. */
const struct metric *metric_list(size_t *nr);
/* The metric of @key; a prefix up to the last '.' is skipped. NULL if there is none. */
const struct metric *metric_find(const char *key);

enum result_kind { RESULT_CELL, RESULT_CONTROL, RESULT_COST };

/* One line of samples.jsonl. Strings belong to @json. */
struct result_sample {
	enum result_kind kind;
	const char *workload;	/* NULL unless a cell */
	const char *strategy;	/* NULL for a control */
	int block;
	bool ok;
	const char *status, *reason;
	json_t *json;
};

struct result_run {
	char *dir;
	char *run_id;
	json_t *meta;		/* run.json */
	struct result_sample *samples;
	size_t nr_samples;
	unsigned int truncated;	/* last lines dropped because they were cut off */
};

/*
 * Read results/RUN-ID (@dir). Returns 0, or -ENOENT, -EINVAL (foreign or
 * damaged), -ENOTSUP (newer schema) with one clear line in @err that names
 * file, line and what is wrong.
 */
int result_load(const char *dir, struct result_run **run, char *err, size_t err_size);
void result_free(struct result_run *run);

/* Value of @key in @s: a finite number, or NAN when null or absent. */
double result_metric(const struct result_sample *s, const char *key);

/*
 * Writer. result_create() makes @dir (and parents) and run.json (atomically, by
 * rename); result_append() adds one line with one write and fdatasync;
 * result_finish() rewrites run.json with the final fields. All return 0 or
 * -errno (-EROFS, -EACCES, -ENOSPC, ..).
 */
int result_create(const char *dir, json_t *meta);
int result_append(const char *dir, json_t *sample);
/* The same into another file of the folder. */
int result_append_to(const char *dir, const char *file, const json_t *sample);
int result_finish(const char *dir, json_t *meta);

#endif
