/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds workload and machine files: by path, or by bare name in a list of
 * directories (first wins), and lists the names that there are.
 */
#ifndef DPAMT_TD_FIND_H
#define DPAMT_TD_FIND_H

#include <stddef.h>

#include "td/error.h"

/*
 * The names (without @ext, such as ".wl") of the files in @dirs, sorted, each
 * once; @dirs ends with NULL, a directory that is not there counts as empty.
 * Free with td_free_names(). 0 or -ENOMEM.
 */
int td_list_names(const char *const *dirs, const char *ext, char ***names, size_t *nr);
void td_free_names(char **names, size_t nr);

/*
 * The path of @name: itself if it has a '/' or ends in @ext, else the first
 * DIR/NAME@ext; malloc'ed. -ENOENT with "unknown @kind "NAME"; valid: ...".
 */
int td_find_file(const char *kind, const char *name, const char *const *dirs, const char *ext,
		 char **path, struct td_error *err);

#endif
