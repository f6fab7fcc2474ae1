// SPDX-License-Identifier: GPL-2.0-only
/*
 * One schedule again, and as a picture with a column per CPU: each access to
 * shared bytes, with the line of source that makes it. Lines come from addr2line
 * where there is one.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/explore_internal.h"

#define COLUMN 46

/* Run the CPU of decision *@i until its accesses are made, choices included. */
static const char *follow_one(const struct explore_decision *d, size_t nr, size_t *i,
			      struct explore_result *r)
{
	struct cpu *c = &x.live.cpu[d[*i].cpu];
	unsigned int todo = d[*i].n;
	bool over = false;
	const char *what;

	for (;;) {
		bool last = *i + 1 == nr;

		if (c->at_access && !todo) {
			/* The step that breaks something is not counted: one more at the end. */
			if (!last || over)
				return NULL;
			over = true;
		} else if (c->at_access) {
			todo--;
		}
		explore_resume();
		while (x.event == EV_CHOOSE) {
			if (*i + 2 >= nr || d[*i + 1].cpu >= 0 || d[*i + 1].n >= x.choices ||
			    d[*i + 2].cpu != (int)x.live.current)
				return "a choice is to be made that is not in it";
			x.choice = d[*i + 1].n;
			explore_decide(-1, x.choice);
			*i += 2;
			explore_decide(d[*i].cpu, 0);
			todo = d[*i].n;
			explore_resume();
		}
		if (x.event == EV_GREW)
			return NULL;
		x.live.depth++;
		r->steps++;
		what = explore_check();
		if (what) {
			explore_broke(r, what);
			return NULL;
		}
		if (x.event != EV_ACCESS)
			return todo ? "a CPU makes fewer accesses than it says" : NULL;
	}
}

/* Follow @d. NULL, or why it does not fit. */
static const char *follow(const struct explore_decision *d, size_t nr, struct explore_result *r)
{
	const char *wrong;
	size_t i;

	explore_begin();
	for (i = 0; i < nr; i++) {
		if (d[i].cpu < 0 || d[i].cpu >= (int)x.p.nr)
			return "a choice where none is to be made";
		if (!explore_enabled(d[i].cpu))
			return "a CPU that cannot run";
		x.live.current = d[i].cpu;
		explore_decide(d[i].cpu, 0);
		wrong = follow_one(d, nr, &i, r);
		if (wrong || x.event == EV_GREW || r->end == EXPLORE_BROKEN)
			return wrong;
	}
	return NULL;
}

/* ------------------------------------------------------------------ source */

struct lines {
	const void *pc;
	char where[96];
};

static uintptr_t load_base;

static int find_base(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	/* The program itself comes first. */
	load_base = info->dlpi_addr;
	return 1;
}

/* Function and line of each pc that occurs: one run of addr2line for all. */
static struct lines *source_lines(const struct explore_access *a, size_t nr, size_t *found)
{
	struct lines *l = calloc(nr + 1, sizeof(*l));
	char exe[256], function[256], line[512], *cmd;
	size_t n = 0, i, k, len;
	bool known = false;
	FILE *pipe;

	*found = 0;
	if (!l)
		return NULL;
	for (i = 0; i < nr; i++) {
		for (k = 0; k < n && l[k].pc != a[i].pc; k++)
			;
		if (k == n)
			l[n++].pc = a[i].pc;
	}
	*found = n;
	dl_iterate_phdr(find_base, NULL);
	for (i = 0; i < n; i++)
		snprintf(l[i].where, sizeof(l[i].where), "%#lx",
			 (unsigned long)((uintptr_t)l[i].pc - load_base));
	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len == (size_t)-1 || !(cmd = malloc(64 + sizeof(exe) + 20 * n)))
		return l;
	exe[len] = 0;
	k = sprintf(cmd, "addr2line -a -i -f -e '%s' 2>/dev/null", exe);
	for (i = 0; i < n; i++)
		k += sprintf(cmd + k, " %#lx", (unsigned long)((uintptr_t)l[i].pc - load_base - 1));
	pipe = popen(cmd, "r");
	/* For each address itself, then function and place, the innermost inlined one first. */
	for (i = (size_t)-1; pipe && fgets(function, sizeof(function), pipe);) {
		char *base;

		if (!strncmp(function, "0x", 2)) {
			i++;
			known = false;
			continue;
		}
		if (!fgets(line, sizeof(line), pipe) || i >= n)
			break;
		function[strcspn(function, "\n")] = 0;
		line[strcspn(line, " \n")] = 0;
		base = strrchr(line, '/');
		base = base ? base + 1 : line;
		/* The kernel's atomics say nothing: whoever calls them does. */
		if (known || function[0] == '?' || !strncmp(base, "shim", 4))
			continue;
		known = true;
		snprintf(l[i].where, sizeof(l[i].where), "%.40s %.50s", function, base);
	}
	if (pipe)
		pclose(pipe);
	free(cmd);
	return l;
}

static void print_in_column(FILE *out, unsigned int cpu, const char *text)
{
	fprintf(out, "%*s%s\n", (int)(cpu * COLUMN), "", text);
}

static void print_access(FILE *out, const struct explore_access *a, const struct lines *l, size_t nr)
{
	static const char *const verb[] = { "reads", "writes", "changes", "fence" };
	char name[64] = "", text[300];
	size_t k;

	for (k = 0; k < nr && l[k].pc != a->pc; k++)
		;
	if (x.p.describe)
		x.p.describe(x.p.arg, a->addr, name, sizeof(name));
	if (!name[0])
		snprintf(name, sizeof(name), "%p", (const void *)a->addr);
	snprintf(text, sizeof(text), "%s%s %s %s%#llx  [%s]", a->plain ? "plainly " : "",
		 verb[a->kind], name, a->kind == SHIM_READ ? "= " : ":= ",
		 (unsigned long long)a->value, k < nr ? l[k].where : "?");
	print_in_column(out, a->cpu, text);
}

void explore_replay(const struct explore_options *o, const struct explore_decision *d, size_t nr,
		    FILE *out, struct explore_result *r)
{
	const char *wrong;
	struct lines *l;
	size_t n, i;

	memset(r, 0, sizeof(*r));
	x.o = *o;
	x.every_access = true;
	/* New shared bytes may come up until all of it has run: then once more. */
	for (i = 0; i < 10000; i++) {
		r->end = EXPLORE_EXHAUSTED;
		sharing_restart();
		wrong = follow(d, nr, r);
		if (x.event != EV_GREW)
			break;
		explore_unwind();
	}
	if (wrong) {
		r->end = EXPLORE_CONFUSED;
		snprintf(r->what, sizeof(r->what), "%s", wrong);
	} else if (out) {
		l = source_lines(x.access, x.live.accesses, &n);
		for (i = 0; i < x.p.nr; i++)
			fprintf(out, "CPU%u%*s", (unsigned int)i, COLUMN - 4, "");
		fputc('\n', out);
		for (i = 0; l && i < x.live.accesses; i++)
			print_access(out, &x.access[i], l, n);
		free(l);
	}
	explore_unwind();
	x.every_access = false;
}
