// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks up files by bare name. A name that is not there is answered with all
 * those that are, so that nobody needs to know where the files live.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "td/find.h"

static bool has_ext(const char *name, const char *ext)
{
	size_t len = strlen(name), ext_len = strlen(ext);

	return len > ext_len && !strcmp(name + len - ext_len, ext);
}

static bool has_name(char **names, size_t nr, const char *name, size_t len)
{
	for (size_t i = 0; i < nr; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return true;
	return false;
}

static int add_name(char ***names, size_t *nr, const char *name, size_t len)
{
	char **grown = realloc(*names, (*nr + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*names = grown;
	grown[*nr] = strndup(name, len);
	if (!grown[*nr])
		return -ENOMEM;
	++*nr;
	return 0;
}

static int list_dir(const char *dir, const char *ext, char ***names, size_t *nr)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int ret = 0;

	if (!d)
		return 0;
	while (!ret && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name) - strlen(ext);

		if (entry->d_name[0] == '.' || !has_ext(entry->d_name, ext) ||
		    has_name(*names, *nr, entry->d_name, len))
			continue;
		ret = add_name(names, nr, entry->d_name, len);
	}
	closedir(d);
	return ret;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int td_list_names(const char *const *dirs, const char *ext, char ***names, size_t *nr)
{
	*names = NULL;
	*nr = 0;
	for (; *dirs; dirs++) {
		if (list_dir(*dirs, ext, names, nr)) {
			td_free_names(*names, *nr);
			return -ENOMEM;
		}
	}
	if (*nr)
		qsort(*names, *nr, sizeof(**names), compare_names);
	return 0;
}

void td_free_names(char **names, size_t nr)
{
	while (nr--)
		free(names[nr]);
	free(names);
}

static int unknown_name(const char *kind, const char *name, const char *const *dirs,
			const char *ext, struct td_error *err)
{
	char valid[TD_ERROR_MAX / 2] = "none, there is no such file";
	char quote[TD_QUOTE_MAX];
	size_t nr, used = 0;
	char **names;

	if (td_list_names(dirs, ext, &names, &nr))
		return td_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < nr && used < sizeof(valid); i++)
		used += snprintf(valid + used, sizeof(valid) - used, "%s%s", i ? ", " : "",
				 names[i]);
	td_free_names(names, nr);
	return td_fail(err, -ENOENT, "unknown %s \"%s\"; valid: %s", kind, td_quote(quote, name),
		       valid);
}

int td_find_file(const char *kind, const char *name, const char *const *dirs, const char *ext,
		 char **path, struct td_error *err)
{
	*path = NULL;
	if (strchr(name, '/') || has_ext(name, ext)) {
		*path = strdup(name);
		return *path ? 0 : td_fail(err, -ENOMEM, "out of memory");
	}
	for (const char *const *dir = dirs; *name && *dir; dir++) {
		if (asprintf(path, "%s/%s%s", *dir, name, ext) < 0) {
			*path = NULL;
			return td_fail(err, -ENOMEM, "out of memory");
		}
		if (!access(*path, F_OK))
			return 0;
		free(*path);
		*path = NULL;
	}
	return unknown_name(kind, name, dirs, ext, err);
}
