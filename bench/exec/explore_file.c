// SPDX-License-Identifier: GPL-2.0-only
/*
 * Schedule files: what was run, the build that ran it, and each decision: "1:57"
 * is CPU 1 making 57 accesses, "=2" the choice that comes next. The build is a
 * hash of the program file, for a schedule means something in that one only.
 */
#include "exec/explore_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "measure/environment.h"

#define HEAD "dpamt schedule 1"

static int fail(char *err, size_t size, const char *file, const char *what)
{
	snprintf(err, size, "%s: %s", file, what);
	return -1;
}

int explore_file_write(const char *file, const struct explore_file *s, char *err, size_t err_size)
{
	FILE *f = fopen(file, "w");
	bool bad;
	size_t i;

	if (!f)
		return fail(err, err_size, file, strerror(errno));
	fprintf(f, HEAD "\nbuild %016" PRIx64 "\nstrategy %s\nscenario %s\nmemory %s\nbroke %s\nrun",
		environment_program(), s->strategy, s->scenario,
		s->memory == EXPLORE_TSO ? "tso" : "sc", s->broke);
	for (i = 0; i < s->nr; i++) {
		if (s->schedule[i].cpu < 0)
			fprintf(f, " =%u", s->schedule[i].n);
		else
			fprintf(f, " %d:%u", s->schedule[i].cpu, s->schedule[i].n);
	}
	fputc('\n', f);
	bad = fflush(f) || ferror(f);
	if (fclose(f) || bad)
		return fail(err, err_size, file, strerror(errno));
	return 0;
}

static int parse_run(const char *text, struct explore_file *s)
{
	size_t room = 0;
	int used;

	s->nr = 0;
	while (sscanf(text, " %n", &used), text += used, *text) {
		struct explore_decision d = { .cpu = -1 };

		if (sscanf(text, "=%u%n", &d.n, &used) != 1 &&
		    (sscanf(text, "%d:%u%n", &d.cpu, &d.n, &used) != 2 || d.cpu < 0))
			return -1;
		text += used;
		if (s->nr == room) {
			void *p = realloc(s->schedule, (room = room ? 2 * room : 64) * sizeof(d));

			if (!p)
				return -1;
			s->schedule = p;
		}
		s->schedule[s->nr++] = d;
	}
	return s->nr ? 0 : -1;
}

int explore_file_read(const char *file, struct explore_file *s, char *err, size_t err_size)
{
	char *line = NULL, memory[8] = "", text[300];
	FILE *f = fopen(file, "r");
	uint64_t build = 0;
	size_t size = 0;
	int ret = -1;

	memset(s, 0, sizeof(*s));
	if (!f)
		return fail(err, err_size, file, strerror(errno));
	if (getline(&line, &size, f) < 0 || strcmp(line, HEAD "\n")) {
		fail(err, err_size, file, "no schedule file; the first line of one is \"" HEAD "\"");
		goto out;
	}
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		sscanf(line, "build %" SCNx64, &build);
		sscanf(line, "strategy %31s", s->strategy);
		sscanf(line, "scenario %31s", s->scenario);
		sscanf(line, "memory %7s", memory);
		if (!strncmp(line, "broke ", 6))
			snprintf(s->broke, sizeof(s->broke), "%s", line + 6);
		if (!strncmp(line, "run ", 4) && parse_run(line + 4, s)) {
			fail(err, err_size, file, "the line \"run\" is no list of CPU:ACCESSES and =CHOICE");
			goto out;
		}
	}
	s->memory = !strcmp(memory, "tso") ? EXPLORE_TSO : EXPLORE_SC;
	if (!s->strategy[0] || !s->scenario[0] || !s->nr || !build ||
	    (s->memory == EXPLORE_SC && strcmp(memory, "sc"))) {
		fail(err, err_size, file,
		     "incomplete; it must have lines build, strategy, scenario, memory and run");
		goto out;
	}
	if (build != environment_program()) {
		snprintf(text, sizeof(text),
			 "of build %016" PRIx64 ", this is build %016" PRIx64
			 "; explore again to get one that fits",
			 build, environment_program());
		fail(err, err_size, file, text);
		goto out;
	}
	ret = 0;
out:
	free(line);
	fclose(f);
	if (ret) {
		free(s->schedule);
		s->schedule = NULL;
	}
	return ret;
}
