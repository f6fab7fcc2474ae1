// SPDX-License-Identifier: GPL-2.0-only
/* Jobs in processes (pool.h): one per CPU at a time, each with a pipe for its answer. */
#define _GNU_SOURCE
#include "exec/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 256
#define PATIENCE 10	/* seconds until who was asked to end is made to */

struct worker {
	pid_t pid;
	int fd;
	size_t job, len, size;
	char *text;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

bool pool_stopped(void)
{
	return stopped;
}

unsigned int pool_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n > MAX_CPUS ? MAX_CPUS : (unsigned int)n;
}

static void child(const struct pool *p, size_t i, int fd)
{
	FILE *out = fdopen(fd, "w");
	json_t *j;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A terminal sends it to all; the parent says by SIGTERM, whose handler is still there. */
	signal(SIGINT, SIG_IGN);
	j = p->job(p->ctx, i);
	if (!out || !j || json_dumpf(j, out, JSON_COMPACT | JSON_REAL_PRECISION(12)) ||
	    fclose(out))
		_exit(1);
	_exit(0);
}

static int start(const struct pool *p, struct worker *w, size_t i)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	w->pid = fork();
	if (w->pid < 0) {
		int err = -errno;

		close(fd[0]);
		close(fd[1]);
		w->pid = 0;
		return err;
	}
	if (!w->pid) {
		close(fd[0]);
		child(p, i, fd[1]);
	}
	close(fd[1]);
	w->fd = fd[0];
	w->job = i;
	w->len = 0;
	return 0;
}

/* Read what there is; true at the end. */
static bool more(struct worker *w)
{
	ssize_t n;

	if (w->size - w->len < 4096) {
		char *text = realloc(w->text, w->size + 65536);

		if (!text)
			return true;
		w->text = text;
		w->size += 65536;
	}
	n = read(w->fd, w->text + w->len, w->size - w->len);
	if (n > 0)
		w->len += (size_t)n;
	return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static void add_use(struct pool_use *use, const struct rusage *r)
{
	use->cpu_s += (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
		      (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e6;
	if (r->ru_maxrss > use->peak_kib)
		use->peak_kib = r->ru_maxrss;
}

static int finish(const struct pool *p, struct worker *w)
{
	json_t *j = json_loadb(w->text ? w->text : "", w->len, 0, NULL);
	struct rusage r = { 0 };
	int status = 0, ret;

	close(w->fd);
	while (wait4(w->pid, &status, 0, &r) < 0 && errno == EINTR)
		;
	w->pid = 0;
	if (p->use)
		add_use(p->use, &r);
	ret = p->done(p->ctx, w->job, status ? NULL : j);
	json_decref(j);
	return ret;
}

static double since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

/* @nr: of the jobs that are to be done; what was skipped took no time. */
static void tell(const struct pool *p, size_t done, size_t nr, const struct timespec *from)
{
	double left;

	if (!p->what)
		return;
	left = since(from) / (double)done * (double)(nr - done);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K[%zu/%zu] %s, %.0f s left", done, nr, p->what, left);
	else if (done == nr || done % (nr / 10 + 1) == 0)
		fprintf(stderr, "dpamt: [%zu/%zu] %s, %.0f s left\n", done, nr, p->what, left);
}

static size_t to_do(const struct pool *p)
{
	size_t i, nr = 0;

	for (i = 0; i < p->nr; i++)
		nr += !p->skip || !p->skip(p->ctx, i);
	return nr;
}

static int fill(const struct pool *p, struct worker *w, unsigned int cpus, size_t *next)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < cpus && !ret; i++) {
		while (*next < p->nr && p->skip && p->skip(p->ctx, *next))
			++*next;
		if (!w[i].pid && *next < p->nr)
			ret = start(p, &w[i], (*next)++);
	}
	return ret;
}

static void end_all(const struct pool *p, const struct worker *w, unsigned int cpus,
		    const struct timespec *from)
{
	unsigned int i;

	for (i = 0; i < cpus; i++)
		if (w[i].pid)
			kill(w[i].pid, p->ask && since(from) < PATIENCE ? SIGTERM : SIGKILL);
}

int pool_run(const struct pool *p)
{
	struct sigaction sa = { .sa_handler = on_signal }, old_int, old_term;
	unsigned int cpus = p->jobs ? p->jobs : pool_cpus(), i, n;
	struct worker w[MAX_CPUS] = { 0 };
	struct pollfd fd[MAX_CPUS];
	size_t next = 0, done = 0, nr = to_do(p);
	struct timespec from, asked = { 0 };
	int ret = 0, err;

	if (cpus > MAX_CPUS)
		cpus = MAX_CPUS;
	stopped = 0;
	sigaction(SIGINT, &sa, &old_int);
	sigaction(SIGTERM, &sa, &old_term);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (;;) {
		if (!ret && !stopped)
			ret = fill(p, w, cpus, &next);
		for (i = n = 0; i < cpus; i++) {
			fd[i] = (struct pollfd){ .fd = w[i].pid ? w[i].fd : -1, .events = POLLIN };
			n += w[i].pid != 0;
		}
		if (!n)
			break;
		if (poll(fd, cpus, 500) < 0 && errno != EINTR)
			break;
		if (stopped || ret) {
			if (!asked.tv_sec)
				clock_gettime(CLOCK_MONOTONIC, &asked);
			end_all(p, w, cpus, &asked);
		}
		for (i = 0; i < cpus; i++) {
			if (!w[i].pid || !fd[i].revents || !more(&w[i]))
				continue;
			err = finish(p, &w[i]);
			ret = ret ? ret : err;
			tell(p, ++done, nr, &from);
		}
	}
	if (p->what && done && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	for (i = 0; i < cpus; i++)
		free(w[i].text);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	return stopped ? -EINTR : ret;
}
