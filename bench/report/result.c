// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reader and writer of the result format of result.h.
 *
 * Writer: run.json is replaced by rename, so a reader sees the old one or the
 * new one. A sample is one write() of a whole line and an fdatasync(). A line
 * that could not be written whole (full disk) is taken back, and a line that
 * an earlier crash cut off is removed before the next one is added: what a
 * crash damages stays the last line, which is what the reader allows for.
 *
 * Reader: everything is checked here, so that the report and the comparison
 * need not: kinds, statuses, names, types of the metrics.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/result.h"

#define RUN_FILE "run.json"
#define SAMPLES_FILE "samples.jsonl"

static const char *const kind_names[] = {
	[RESULT_CELL] = "cell",
	[RESULT_CONTROL] = "control",
	[RESULT_COST] = "cost",
};

static const char *const status_names[] = {
	"ok", "skipped", "violation", "interrupted", "failed",
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

struct error {
	char *text;
	size_t size;
};

/* Put one line into @e and return @errnum, so that a check is one statement. */
static int __attribute__((format(printf, 3, 4)))
fail(const struct error *e, int errnum, const char *format, ...)
{
	va_list ap;

	if (e->text && e->size) {
		va_start(ap, format);
		vsnprintf(e->text, e->size, format, ap);
		va_end(ap);
	}
	return errnum;
}

static char *path_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);
	char *path;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (asprintf(&path, "%.*s/%s", (int)len, dir, name) < 0)
		return NULL;
	return path;
}

static const char *member_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* --- reader ------------------------------------------------------------ */

/* The whole of @path with a NUL behind it. */
static int read_whole(const char *path, char **text, size_t *size)
{
	FILE *file = fopen(path, "re");
	size_t room = 0, got;
	int err = 0;

	*text = NULL;
	*size = 0;
	if (!file)
		return -errno;
	do {
		if (*size + 1 >= room) {
			char *more = realloc(*text, room = room ? room * 2 : 65536);

			if (!more) {
				err = -ENOMEM;
				break;
			}
			*text = more;
		}
		got = fread(*text + *size, 1, room - *size - 1, file);
		*size += got;
	} while (got);
	if (!err && ferror(file))
		err = -errno;
	fclose(file);
	if (err) {
		free(*text);
		*text = NULL;
		return err;
	}
	(*text)[*size] = '\0';
	return 0;
}

static int check_meta(const json_t *meta, const char *path, const struct error *e)
{
	const json_t *schema = json_object_get(meta, "schema");
	const char *id = member_string(meta, "run_id");

	if (!json_is_object(meta))
		return fail(e, -EINVAL, "%s: not a dpamt result: not a JSON object", path);
	if (!json_is_integer(schema))
		return fail(e, -EINVAL, "%s: not a dpamt result: no integer \"schema\"", path);
	if (json_integer_value(schema) > RESULT_SCHEMA)
		return fail(e, -ENOTSUP,
			    "%s: schema %" JSON_INTEGER_FORMAT
			    " is newer than this dpamt reads (%d)",
			    path, json_integer_value(schema), RESULT_SCHEMA);
	if (json_integer_value(schema) < 1)
		return fail(e, -EINVAL, "%s: schema %" JSON_INTEGER_FORMAT " is not valid (1..%d)",
			    path, json_integer_value(schema), RESULT_SCHEMA);
	if (!id || !*id)
		return fail(e, -EINVAL, "%s: not a dpamt result: no \"run_id\"", path);
	return 0;
}

static int load_meta(struct result_run *run, const struct error *e)
{
	char *path = path_join(run->dir, RUN_FILE), *text;
	json_error_t je;
	size_t size;
	int err;

	if (!path)
		return -ENOMEM;
	err = read_whole(path, &text, &size);
	if (err == -ENOENT)
		fail(e, err, "%s: no such file: %s is not a result folder", path, run->dir);
	else if (err == -ENOTDIR)
		err = fail(e, -EINVAL, "%s: not a result folder", run->dir);
	else if (err)
		fail(e, err, "%s: %s", path, strerror(-err));
	if (err)
		goto out;
	run->meta = json_loadb(text, size, 0, &je);
	free(text);
	if (!run->meta) {
		err = fail(e, -EINVAL, "%s:%d: not JSON: %s", path, je.line, je.text);
		goto out;
	}
	err = check_meta(run->meta, path, e);
	if (!err)
		run->run_id = strdup(member_string(run->meta, "run_id"));
	if (!err && !run->run_id)
		err = -ENOMEM;
out:
	free(path);
	return err;
}

static int find_name(const char *name, const char *const *names, size_t nr)
{
	for (size_t i = 0; name && i < nr; i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

static int check_metrics(const json_t *json, const char *where, const struct error *e)
{
	json_t *metrics = json_object_get(json, "metrics"), *value;
	const char *key;

	if (!metrics || json_is_null(metrics))
		return 0;
	if (!json_is_object(metrics))
		return fail(e, -EINVAL, "%s: \"metrics\" is not an object", where);
	json_object_foreach(metrics, key, value)
		if (!json_is_number(value) && !json_is_null(value))
			return fail(e, -EINVAL, "%s: metric \"%s\" is neither a number nor null",
				    where, key);
	return 0;
}

/* Fill @s from @json and check it; @where is "file:line". */
static int parse_sample(struct result_sample *s, json_t *json, const char *where,
			const struct error *e)
{
	const char *kind = member_string(json, "kind");
	const json_t *block = json_object_get(json, "block");
	int k = find_name(kind, kind_names, NR(kind_names));

	if (!json_is_object(json))
		return fail(e, -EINVAL, "%s: not a JSON object", where);
	if (k < 0)
		return fail(e, -EINVAL, "%s: kind \"%s\" is not valid (cell, control, cost)", where,
			    kind ? kind : "");
	s->kind = (enum result_kind)k;
	s->workload = k == RESULT_CELL ? member_string(json, "workload") : NULL;
	s->strategy = k != RESULT_CONTROL ? member_string(json, "strategy") : NULL;
	if (k == RESULT_CELL && !s->workload)
		return fail(e, -EINVAL, "%s: a cell without \"workload\"", where);
	if (k != RESULT_CONTROL && !s->strategy)
		return fail(e, -EINVAL, "%s: a %s without \"strategy\"", where, kind);
	if (!json_is_integer(block) || json_integer_value(block) < 0 ||
	    json_integer_value(block) > INT_MAX)
		return fail(e, -EINVAL, "%s: \"block\" is not a number from 0", where);
	s->block = (int)json_integer_value(block);
	s->status = member_string(json, "status");
	if (find_name(s->status, status_names, NR(status_names)) < 0)
		return fail(e, -EINVAL,
			    "%s: status \"%s\" is not valid "
			    "(ok, skipped, violation, interrupted, failed)",
			    where, s->status ? s->status : "");
	s->ok = !strcmp(s->status, "ok");
	s->reason = member_string(json, "reason");
	s->json = json;
	return check_metrics(json, where, e);
}

static int add_sample(struct result_run *run, json_t *json, const char *where,
		      const struct error *e)
{
	struct result_sample *s;

	/* room for a power of two samples */
	if (!(run->nr_samples & (run->nr_samples - 1))) {
		size_t room = run->nr_samples ? run->nr_samples * 2 : 1;

		s = realloc(run->samples, room * sizeof(*s));
		if (!s)
			return -ENOMEM;
		run->samples = s;
	}
	s = &run->samples[run->nr_samples];
	memset(s, 0, sizeof(*s));
	if (!parse_sample(s, json, where, e)) {
		json_incref(json);
		run->nr_samples++;
		return 0;
	}
	return -EINVAL;
}

/*
 * One line, @len bytes without its newline. Cut off is the last line if it
 * has no newline, or ends in the middle of its JSON.
 */
static int load_line(struct result_run *run, const char *line, size_t len, bool ended, bool last,
		     const char *where, const struct error *e)
{
	json_error_t je;
	json_t *json;
	int err;

	if (strspn(line, " \t\r") >= len)
		return 0;
	json = json_loadb(line, len, 0, &je);
	if (!json) {
		bool cut = json_error_code(&je) == json_error_premature_end_of_input;

		if (last && (!ended || cut)) {
			run->truncated++;
			return 0;
		}
		return fail(e, -EINVAL, "%s: not JSON: %s", where, je.text);
	}
	err = add_sample(run, json, where, e);
	json_decref(json);
	return err;
}

static int load_samples(struct result_run *run, const struct error *e)
{
	char *path = path_join(run->dir, SAMPLES_FILE), *text, *where;
	unsigned int number = 0;
	size_t size, at = 0;
	int err;

	if (!path)
		return -ENOMEM;
	err = read_whole(path, &text, &size);
	if (err) {
		/* a run that was stopped before its first cell has none */
		if (err == -ENOENT)
			err = 0;
		else
			fail(e, err, "%s: %s", path, strerror(-err));
		free(path);
		return err;
	}
	while (at < size && !err) {
		char *end = memchr(text + at, '\n', size - at);
		size_t len = end ? (size_t)(end - text) - at : size - at;

		if (asprintf(&where, "%s:%u", path, ++number) < 0) {
			err = -ENOMEM;
			break;
		}
		if (end)
			*end = '\0';
		err = load_line(run, text + at, len, end, at + len + 1 >= size, where, e);
		free(where);
		at += len + 1;
	}
	free(text);
	free(path);
	return err;
}

int result_load(const char *dir, struct result_run **run, char *err, size_t err_size)
{
	const struct error e = { err, err_size };
	struct result_run *r = calloc(1, sizeof(*r));
	int ret = -ENOMEM;

	*run = NULL;
	if (err && err_size)
		snprintf(err, err_size, "%s: %s", dir, strerror(ENOMEM));
	if (!r)
		return ret;
	r->dir = strdup(dir);
	if (r->dir)
		ret = load_meta(r, &e);
	if (!ret)
		ret = load_samples(r, &e);
	if (ret) {
		result_free(r);
		return ret;
	}
	if (err && err_size)
		*err = '\0';
	*run = r;
	return 0;
}

void result_free(struct result_run *run)
{
	if (!run)
		return;
	for (size_t i = 0; i < run->nr_samples; i++)
		json_decref(run->samples[i].json);
	free(run->samples);
	json_decref(run->meta);
	free(run->run_id);
	free(run->dir);
	free(run);
}

double result_metric(const struct result_sample *s, const char *key)
{
	const json_t *value = json_object_get(json_object_get(s->json, "metrics"), key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

/* --- writer ------------------------------------------------------------ */

/* mkdir -p */
static int make_dirs(const char *dir)
{
	char *path = strdup(dir);
	int err = 0;

	if (!path)
		return -ENOMEM;
	for (char *p = path + 1; !err && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0777) && errno != EEXIST)
			err = -errno;
		*p = '/';
	}
	if (!err && mkdir(path, 0777)) {
		struct stat st;

		err = -errno;
		if (err == -EEXIST)
			err = !stat(path, &st) && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	}
	free(path);
	return err;
}

/* All of @text in as many writes as it takes; -ENOSPC if the file takes no more. */
static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	/* some filesystems have no fsync of a folder: nothing is lost there */
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, text, strlen(text));
	if (!err)
		err = write_all(fd, "\n", 1);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

static int write_meta(const char *dir, json_t *meta)
{
	char *text = json_dumps(meta, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	char *path = path_join(dir, RUN_FILE), *temp = path_join(dir, RUN_FILE ".tmp");
	int err = text ? -ENOMEM : -EINVAL;

	if (text && path && temp) {
		err = write_file(temp, text);
		if (!err && rename(temp, path))
			err = -errno;
		if (err)
			unlink(temp);
		else
			err = sync_dir(dir);
	}
	free(temp);
	free(path);
	free(text);
	return err;
}

int result_create(const char *dir, json_t *meta)
{
	int err = make_dirs(dir);

	return err ? err : write_meta(dir, meta);
}

int result_finish(const char *dir, json_t *meta)
{
	return write_meta(dir, meta);
}

/* Where the last line of @fd begins, and whether that line is whole JSON. */
static int last_line(int fd, off_t size, off_t *start, bool *whole)
{
	size_t room = 65536;
	char *text = NULL, *newline, *more;
	json_t *json;

	for (;; room *= 2) {
		size_t len = (off_t)room < size ? room : (size_t)size;

		more = realloc(text, len);
		if (!more || pread(fd, more, len, size - (off_t)len) != (ssize_t)len) {
			free(more ? more : text);
			return more ? -EIO : -ENOMEM;
		}
		text = more;
		newline = memrchr(text, '\n', len);
		if (!newline && (off_t)len < size)
			continue;
		newline = newline ? newline + 1 : text;
		*start = size - (text + len - newline);
		json = json_loadb(newline, (size_t)(text + len - newline), 0, NULL);
		*whole = json;
		json_decref(json);
		free(text);
		return 0;
	}
}

/*
 * Make the file end in a newline: a last line that a crash cut off is removed,
 * one that only lacks its newline gets it. *size is where the next line goes.
 */
static int mend_tail(int fd, off_t *size)
{
	struct stat st;
	off_t start;
	bool whole;
	char last;
	int err;

	*size = -1;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	*size = st.st_size;
	if (!st.st_size)
		return 0;
	if (pread(fd, &last, 1, st.st_size - 1) != 1)
		return -EIO;
	if (last == '\n')
		return 0;
	err = last_line(fd, st.st_size, &start, &whole);
	if (err)
		return err;
	if (whole) {
		err = write_all(fd, "\n", 1);
		*size += 1;
		return err;
	}
	*size = start;
	return ftruncate(fd, start) ? -errno : 0;
}

int result_append(const char *dir, json_t *sample)
{
	return result_append_to(dir, SAMPLES_FILE, sample);
}

int result_append_to(const char *dir, const char *file, const json_t *sample)
{
	char *text = json_dumps(sample, JSON_COMPACT | JSON_PRESERVE_ORDER);
	char *path = path_join(dir, file), *line = NULL;
	int len, fd = -1, err = text ? -ENOMEM : -EINVAL;
	off_t size = -1;
	ssize_t n;

	if (!text || !path)
		goto out;
	len = asprintf(&line, "%s\n", text);
	if (len < 0) {
		line = NULL;
		goto out;
	}
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	err = fd < 0 ? -errno : mend_tail(fd, &size);
	if (err)
		goto out;
	do {
		n = write(fd, line, (size_t)len);
	} while (n < 0 && errno == EINTR);
	if (n != len) {
		err = n < 0 ? -errno : -ENOSPC;
		if (size >= 0 && ftruncate(fd, size))
			fprintf(stderr, "%s: cannot take back a half line: %s\n", path,
				strerror(errno));
	} else if (fdatasync(fd) && errno != EINVAL) {
		err = -errno;
	}
out:
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	free(line);
	free(path);
	free(text);
	return err;
}
