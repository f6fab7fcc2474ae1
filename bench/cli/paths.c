// SPDX-License-Identifier: GPL-2.0-only
/*
 * How names become files: workloads and machines are looked for in the source
 * tree that holds this executable, then in share/dpamt beside an installed one,
 * then in the working directory's tree; runs are folders under --out.
 */
#include "cli/cli.h"
#include "cli/memory.h"
#include "report/result.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DIRS 4

/*
 * The root of the tree of this executable (TREE/build/dpamt, PREFIX/bin/dpamt);
 * "." if that is the working directory, so that paths in messages and results are short.
 */
static const char *tree(void)
{
	static char path[PATH_MAX];
	static const char *root;
	struct stat here, there;
	ssize_t n;

	if (root)
		return root;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	root = n > 0 ? dirname(dirname(path)) : ".";
	if (!stat(root, &there) && !stat(".", &here) && here.st_dev == there.st_dev &&
	    here.st_ino == there.st_ino)
		root = ".";
	return root;
}

/* Fill @dirs once; @in_tree below a source tree, @installed below share/dpamt. */
static const char *const *find_dirs(const char *dirs[MAX_DIRS], const char *in_tree,
				    const char *installed)
{
	bool here = !strcmp(tree(), ".");

	if (dirs[0])
		return dirs;
	dirs[0] = here ? in_tree : must_print("%s/%s", tree(), in_tree);
	dirs[1] = must_print("%s/share/dpamt/%s", tree(), installed);
	dirs[2] = here ? NULL : in_tree;
	return dirs;
}

const char *const *workload_dirs(void)
{
	static const char *dirs[MAX_DIRS];

	return find_dirs(dirs, "workloads", "workloads");
}

const char *const *machine_dirs(void)
{
	static const char *dirs[MAX_DIRS];

	return find_dirs(dirs, "bench/machines", "machines");
}

/* What a folder holds that is looked for by name. */
struct holder {
	const char *what, *file, *verb;
};

static const struct holder run_holder = { "run", "run.json", "dpamt run" };
static const struct holder sweep_holder = { "sweep", "sweep.json", "dpamt simulate --sweep" };

static bool holds(const struct holder *h, const char *dir, struct timespec *when)
{
	char *path = must_print("%s/%s", dir, h->file);
	struct stat st;
	int ret = stat(path, &st);

	free(path);
	if (ret)
		return false;
	*when = st.st_mtim;
	return true;
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static char *latest(const struct holder *h, const char *out)
{
	struct timespec best = { 0 }, when;
	char *found = NULL;
	struct dirent *e;
	DIR *d = opendir(out);

	if (!d) {
		complain(0, "%s: %s; make a %s first: %s", out, strerror(errno), h->what, h->verb);
		return NULL;
	}
	while ((e = readdir(d))) {
		char *dir = must_print("%s/%s", out, e->d_name);

		if (e->d_name[0] != '.' && holds(h, dir, &when) && (!found || later(when, best))) {
			free(found);
			found = dir;
			best = when;
		} else {
			free(dir);
		}
	}
	closedir(d);
	if (!found)
		complain(0, "%s: no %s there; make one first: %s", out, h->what, h->verb);
	return found;
}

static char *folder(const struct holder *h, const char *name, const char *out)
{
	struct timespec when;
	char *dir;

	if (!strcmp(name, "latest"))
		return latest(h, out);
	if (holds(h, name, &when))
		return must_copy(name);
	dir = must_print("%s/%s", out, name);
	if (holds(h, dir, &when))
		return dir;
	complain(0, "no %s \"%s\": neither %s nor %s has a %s; valid: its id, its folder, latest",
		 h->what, name, name, dir, h->file);
	free(dir);
	return NULL;
}

char *run_folder(const char *name, const char *out)
{
	return folder(&run_holder, name, out);
}

char *sweep_folder(const char *name, const char *out)
{
	return folder(&sweep_holder, name, out);
}

int run_open(const char *name, const char *out, struct result_run **run)
{
	char err[1024], *dir = run_folder(name, out);
	int ret;

	if (!dir)
		return DPAMT_USAGE;
	ret = result_load(dir, run, err, sizeof(err));
	free(dir);
	return ret ? complain(DPAMT_USAGE, "%s", err) : DPAMT_FINE;
}
