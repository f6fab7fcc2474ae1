// SPDX-License-Identifier: GPL-2.0-only
/*
 * The INI reader. It works on bytes and lengths, so that a NUL or a missing
 * last newline needs no special care. Lines are first cut and joined (a
 * trailing backslash), then read as section, key or comment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "td/ini.h"

struct reader {
	struct ini *ini;
	const char *at, *end;
	unsigned int line;   /* of the physical line last cut */
	unsigned int number; /* where the joined line began */
	struct td_error *err;
};

static int read_all(int fd, char *text, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, text + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += n;
	}
	return (int)got;
}

static int read_open_file(int fd, const char *path, char **text, size_t *len, struct td_error *err)
{
	struct stat st;
	int got;

	if (fstat(fd, &st))
		return td_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return td_fail(err, -EISDIR, "%s: is a directory, not a file", path);
	if (!S_ISREG(st.st_mode))
		return td_fail(err, -EINVAL, "%s: not a regular file", path);
	*text = malloc(INI_FILE_MAX + 2);
	if (!*text)
		return td_fail(err, -ENOMEM, "%s: out of memory", path);
	got = read_all(fd, *text, INI_FILE_MAX + 1);
	if (got < 0)
		td_fail(err, got, "%s: %s", path, strerror(-got));
	else if ((size_t)got > INI_FILE_MAX)
		got = td_fail(err, -EFBIG, "%s: longer than 1M", path);
	if (got < 0) {
		free(*text);
		*text = NULL;
		return got;
	}
	(*text)[got] = '\0';
	*len = got;
	return 0;
}

int ini_read_file(const char *path, char **text, size_t *len, struct td_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int ret;

	*text = NULL;
	if (fd < 0)
		return td_fail(err, -errno, "%s: %s", path, strerror(errno));
	ret = read_open_file(fd, path, text, len, err);
	close(fd);
	return ret;
}

/* @array with room for one element more, zeroed; NULL if there is no memory. */
static void *grow(void *array, size_t nr, size_t size)
{
	char *grown = realloc(array, (nr + 1) * size);

	if (grown)
		memset(grown + nr * size, 0, size);
	return grown;
}

static int no_memory(struct reader *r)
{
	return td_fail(r->err, -ENOMEM, "%s: out of memory", r->ini->file);
}

/* A copy owned by the ini. */
static char *keep(struct ini *ini, const char *text, size_t len)
{
	char **grown = grow(ini->texts, ini->nr_texts, sizeof(*grown));

	if (!grown)
		return NULL;
	ini->texts = grown;
	grown[ini->nr_texts] = strndup(text, len);
	return grown[ini->nr_texts++];
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts one physical line; *len without the line end. */
static int cut_line(struct reader *r, const char **line, size_t *len)
{
	const char *nl = memchr(r->at, '\n', r->end - r->at);

	*line = r->at;
	*len = (nl ? nl : r->end) - r->at;
	r->at = nl ? nl + 1 : r->end;
	r->line++;
	if (*len && (*line)[*len - 1] == '\r')
		--*len;
	if (memchr(*line, '\0', *len))
		return td_fail(r->err, -EINVAL, "%s:%u: NUL byte; valid: text", r->ini->file,
			       r->line);
	if (*len > INI_LINE_MAX)
		return td_fail(r->err, -EINVAL, "%s:%u: line of %zu characters; valid: at most %d",
			       r->ini->file, r->line, *len, INI_LINE_MAX);
	return 0;
}

/* Joins the lines that end in a backslash; the result is malloc'ed and trimmed. */
static int next_line(struct reader *r, char **out)
{
	size_t len, used = 0;
	const char *line;
	bool more = true;
	char *text = NULL;

	r->number = r->line + 1;
	while (more && r->at < r->end) {
		char *grown;
		int ret = cut_line(r, &line, &len);

		if (ret) {
			free(text);
			return ret;
		}
		while (len && is_blank(*line)) {
			line++;
			len--;
		}
		more = len && line[len - 1] == '\\';
		len -= more;
		while (len && is_blank(line[len - 1]))
			len--;
		grown = realloc(text, used + len + 2);
		if (!grown) {
			free(text);
			return no_memory(r);
		}
		text = grown;
		if (used && len)
			text[used++] = ' ';
		memcpy(text + used, line, len);
		used += len;
		text[used] = '\0';
		/* a comment does not go on */
		more = more && text[0] != ';' && text[0] != '#';
	}
	*out = text;
	return 0;
}

static struct ini_section *find_section(struct ini *ini, const char *name, const char *arg)
{
	for (size_t i = 0; i < ini->nr; i++) {
		struct ini_section *s = &ini->sections[i];

		if (!strcmp(s->name, name) && !strcmp(s->arg ? s->arg : "", arg ? arg : ""))
			return s;
	}
	return NULL;
}

/* "[name]" or "[name arg]" */
static int read_section(struct reader *r, const char *text)
{
	const char *file = r->ini->file;
	size_t len = strlen(text), name_len;
	struct ini_section *s, *twin;
	char quote[TD_QUOTE_MAX];
	char *title, *name, *arg;

	if (text[len - 1] != ']')
		return td_fail(r->err, -EINVAL, "%s:%u: section \"%s\" does not end in \"]\"", file,
			       r->number, td_quote(quote, text));
	text++;
	len -= 2;
	for (; len && is_blank(*text); len--)
		text++;
	while (len && is_blank(text[len - 1]))
		len--;
	title = keep(r->ini, text, len);
	name_len = title ? strcspn(title, " \t") : 0;
	name = title ? keep(r->ini, title, name_len) : NULL;
	if (!name)
		return no_memory(r);
	arg = title + name_len + strspn(title + name_len, " \t");
	if (*arg) /* one blank between them in the title */
		arg = memmove(title + name_len + 1, arg, strlen(arg) + 1);
	else
		arg = NULL;
	twin = find_section(r->ini, name, arg);
	if (twin)
		return td_fail(r->err, -EINVAL,
			       "%s:%u: section [%s] appears twice, first in line %u", file,
			       r->number, td_quote(quote, title), twin->line);
	if (r->ini->nr == INI_ENTRIES_MAX)
		return td_fail(r->err, -EINVAL,
			       "%s:%u: section [%s] is one too many; valid: at most %d", file,
			       r->number, td_quote(quote, title), INI_ENTRIES_MAX);
	s = grow(r->ini->sections, r->ini->nr, sizeof(*s));
	if (!s)
		return no_memory(r);
	r->ini->sections = s;
	s += r->ini->nr++;
	s->name = name;
	s->arg = arg;
	s->title = title;
	s->line = r->number;
	return 0;
}

static int add_key(struct reader *r, struct ini_section *s, const char *key, const char *value)
{
	char quote[TD_QUOTE_MAX], quote2[TD_QUOTE_MAX];
	struct ini_key *k;

	for (size_t i = 0; i < s->nr; i++)
		if (!strcmp(s->keys[i].key, key))
			return td_fail(r->err, -EINVAL,
				       "%s:%u: key \"%s\" appears twice in [%s], first in line %u",
				       r->ini->file, r->number, td_quote(quote, key),
				       td_quote(quote2, s->title), s->keys[i].line);
	if (s->nr == INI_ENTRIES_MAX)
		return td_fail(r->err, -EINVAL,
			       "%s:%u: key \"%s\" is one too many; valid: at most %d", r->ini->file,
			       r->number, td_quote(quote, key), INI_ENTRIES_MAX);
	k = grow(s->keys, s->nr, sizeof(*k));
	if (!k)
		return no_memory(r);
	s->keys = k;
	k += s->nr++;
	k->key = key;
	k->value = value;
	k->line = r->number;
	return 0;
}

/* "key = value" */
static int read_key(struct reader *r, const char *text)
{
	const char *equals = strchr(text, '=');
	char quote[TD_QUOTE_MAX];
	char *key, *value;
	size_t len;

	if (!equals || equals == text)
		return td_fail(r->err, -EINVAL,
			       "%s:%u: \"%s\" is neither \"key = value\" nor \"[section]\"",
			       r->ini->file, r->number, td_quote(quote, text));
	if (!r->ini->nr)
		return td_fail(r->err, -EINVAL, "%s:%u: \"%s\" stands before the first [section]",
			       r->ini->file, r->number, td_quote(quote, text));
	for (len = equals - text; len && is_blank(text[len - 1]);)
		len--;
	key = keep(r->ini, text, len);
	equals++;
	equals += strspn(equals, " \t");
	value = key ? keep(r->ini, equals, strlen(equals)) : NULL;
	if (!value)
		return no_memory(r);
	return add_key(r, &r->ini->sections[r->ini->nr - 1], key, value);
}

static int read_lines(struct reader *r)
{
	while (r->at < r->end) {
		char *text = NULL;
		int ret = next_line(r, &text);

		if (ret)
			return ret;
		if (!text[0] || text[0] == ';' || text[0] == '#')
			ret = 0;
		else if (text[0] == '[')
			ret = read_section(r, text);
		else
			ret = read_key(r, text);
		free(text);
		if (ret)
			return ret;
	}
	return 0;
}

int ini_parse(const char *file, const char *text, size_t len, struct ini **out,
	      struct td_error *err)
{
	struct reader r = {.at = text, .end = text + len, .err = err};
	int ret;

	*out = NULL;
	r.ini = calloc(1, sizeof(*r.ini));
	if (!r.ini)
		return td_fail(err, -ENOMEM, "%s: out of memory", file);
	r.ini->file = strdup(file);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		r.at += 3;
	ret = r.ini->file ? read_lines(&r) : td_fail(err, -ENOMEM, "%s: out of memory", file);
	if (ret) {
		ini_free(r.ini);
		return ret;
	}
	*out = r.ini;
	return 0;
}

void ini_free(struct ini *ini)
{
	if (!ini)
		return;
	for (size_t i = 0; i < ini->nr; i++)
		free(ini->sections[i].keys);
	for (size_t i = 0; i < ini->nr_texts; i++)
		free(ini->texts[i]);
	free(ini->sections);
	free(ini->texts);
	free(ini->file);
	free(ini);
}
