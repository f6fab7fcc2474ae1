// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recording with perf around a cell (kvm_perf.h). perf is told through two pipes when to
 * begin and answers when it has, so that no event is missed. Its own events are left
 * out: what writes them down makes more of them, for ever.
 */
#include "exec/kvm_perf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERF "/bin/perf"
#define DATA "/tmp/perf.data"
#define TABLE "/tmp/perf.table"
#define SAID "/tmp/perf.said"

static pid_t recorder;
static int control = -1, answer = -1;

bool kvm_perf_can(void)
{
	return !access(PERF, X_OK);
}

/* perf with @argv; all that it prints goes to @file: its tables are on stderr. */
static pid_t start(char *argv[], const char *file)
{
	pid_t child = fork();

	if (child)
		return child;
	if (freopen("/dev/null", "r", stdin) && freopen(file, "w", stdout) && dup2(1, 2) == 2)
		execv(PERF, argv);
	_exit(127);
}

static bool ended_well(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void close_pipes(void)
{
	close(control);
	close(answer);
	control = answer = -1;
}

static bool tell(const char *word)
{
	char said[16] = "";

	return write(control, word, strlen(word)) == (ssize_t)strlen(word) &&
	       read(answer, said, sizeof(said) - 1) > 0 && !strncmp(said, "ack", 3);
}

/* What perf said goes to the console. */
static void show(const char *file)
{
	FILE *f = fopen(file, "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "dpamt-guest: perf: %s", line);
	if (f)
		fclose(f);
}

bool kvm_perf_begin(void)
{
	char pipes[40];
	char *argv[] = { "perf", "record", "-q", "-a", "-R", "-c", "1", "-m", "512", "--call-graph", "fp",
			 "-D", "-1", "--control", pipes, "-e", "lock:contention_begin",
			 "--exclude-perf", "-e", "lock:contention_end", "--exclude-perf",
			 "-o", DATA, NULL };
	int to[2], from[2];

	/* one that dies must not take the cell along */
	signal(SIGPIPE, SIG_IGN);
	if (pipe(to))
		return false;
	if (pipe(from)) {
		close(to[0]);
		close(to[1]);
		return false;
	}
	fcntl(to[1], F_SETFD, FD_CLOEXEC);
	fcntl(from[0], F_SETFD, FD_CLOEXEC);
	snprintf(pipes, sizeof(pipes), "fd:%d,%d", to[0], from[1]);
	recorder = start(argv, SAID);
	close(to[0]);
	close(from[1]);
	control = to[1];
	answer = from[0];
	if (recorder > 0 && tell("enable\n"))
		return true;
	if (recorder > 0) {
		kill(recorder, SIGKILL);
		ended_well(recorder);
	}
	close_pipes();
	show(SAID);
	return false;
}

/* "4.16 ms" in nanoseconds; @end behind it. */
static double duration(const char *text, char **end)
{
	static const struct {
		const char *name;
		double ns;
	} unit[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 } };
	double value = strtod(text, end);
	size_t len;

	*end += strspn(*end, " ");
	len = strcspn(*end, " \t\n");
	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		if (strlen(unit[i].name) == len && !strncmp(*end, unit[i].name, len)) {
			*end += len;
			return value * unit[i].ns;
		}
	}
	return NAN;
}

/* " 1  4.16 ms  4.16 ms  4.16 ms  spinlock  caller+0x29": false if it is no row. */
static bool row(const char *line, uint64_t *waits, uint64_t *ns)
{
	char *at;
	unsigned long long count = strtoull(line, &at, 10);
	double total = duration(at, &at);

	duration(at, &at);
	duration(at, &at);
	at += strspn(at, " ");
	if (isnan(total))
		return false;
	*waits = count;
	*ns = llround(total);
	/* a strategy spins; the mutex is that of creation and switching */
	if (!strncmp(at, "mutex", 5))
		*waits = *ns = 0;
	return true;
}

void kvm_perf_table(FILE *table, uint64_t *waits, uint64_t *ns)
{
	uint64_t row_waits = 0, row_ns = 0;
	char line[512], symbol[128];

	*waits = *ns = 0;
	while (fgets(line, sizeof(line), table)) {
		if (row(line, &row_waits, &row_ns))
			continue;
		/* of its stack, the innermost function first: "\t\t\t0xADDRESS  symbol+0x41" */
		if (sscanf(line, " 0x%*x %127s", symbol) != 1 || strncmp(symbol, "pamt_", 5))
			continue;
		*waits += row_waits;
		*ns += row_ns;
		row_waits = row_ns = 0;
	}
}

static bool read_table(uint64_t *waits, uint64_t *ns)
{
	FILE *f = fopen(TABLE, "r");

	if (!f)
		return false;
	kvm_perf_table(f, waits, ns);
	return !fclose(f);
}

bool kvm_perf_end(uint64_t *waits, uint64_t *ns)
{
	char *argv[] = { "perf", "lock", "contention", "-v", "-i", DATA, NULL };
	pid_t reader;
	bool ok;

	ok = tell("disable\n");
	kill(recorder, SIGINT);
	/* perf ends by the signal that it was sent */
	ended_well(recorder);
	close_pipes();
	reader = start(argv, TABLE);
	ok = reader > 0 && ended_well(reader) && ok && read_table(waits, ns);
	if (!ok) {
		show(SAID);
		show(TABLE);
	}
	unlink(DATA);
	return ok;
}
