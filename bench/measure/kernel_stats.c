// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader of the kernel's statistics.
 */
#define _GNU_SOURCE
#include "measure/kernel_stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_file(const char *dir, const char *file, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return open(path, flags | O_CLOEXEC);
}

/* Sizes of files there are 0: read until nothing more comes. */
char *kernel_stats_read(const char *dir, const char *file)
{
	size_t size = 0, room = 8192;
	int fd = open_file(dir, file, O_RDONLY);
	char *text = NULL, *more;
	ssize_t got = 1;

	while (fd >= 0 && got > 0) {
		more = realloc(text, size + room + 1);
		if (!more) {
			got = -1;
			errno = ENOMEM;
			break;
		}
		text = more;
		got = read(fd, text + size, room);
		if (got > 0)
			size += got;
	}
	if (fd >= 0)
		close(fd);
	if (fd < 0 || got < 0) {
		free(text);
		return NULL;
	}
	text[size] = 0;
	return text;
}

int kernel_stats_write(const char *dir, const char *file, const char *text)
{
	int fd = open_file(dir, file, O_WRONLY), err = 0;
	ssize_t len = strlen(text);

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

static const char *next_line(const char *at)
{
	at = strchr(at, '\n');
	return at && at[1] ? at + 1 : NULL;
}

bool kernel_stats_value(const char *text, const char *key, uint64_t *value)
{
	size_t len = strlen(key);
	char *end;

	for (; text; text = next_line(text)) {
		if (strncmp(text, key, len) || text[len] != ' ')
			continue;
		if (text[len + 1] < '0' || text[len + 1] > '9')
			return false;
		errno = 0;
		*value = strtoull(text + len + 1, &end, 10);
		return !errno && (*end == '\n' || !*end);
	}
	return false;
}

uint64_t kernel_stats_get(const char *text, const char *key)
{
	uint64_t value;

	return kernel_stats_value(text, key, &value) ? value : 0;
}

static int read_bins(const char *line, struct kernel_hist *h)
{
	for (; line && *line >= '0' && *line <= '9'; line = next_line(line)) {
		if (h->nr == KERNEL_HIST_BINS)
			return -E2BIG;
		if (sscanf(line, "%" SCNu64 " %" SCNu64, &h->bin[h->nr].low,
			   &h->bin[h->nr].count) != 2)
			return -EINVAL;
		h->nr++;
	}
	return 0;
}

int kernel_stats_hist(const char *text, const char *name, struct kernel_hist *h)
{
	char found[32];

	memset(h, 0, sizeof(*h));
	for (; text; text = next_line(text)) {
		if (sscanf(text, "histogram %31s", found) != 1 || strcmp(found, name))
			continue;
		if (sscanf(text, "histogram %*s sub_bits %u max_bits %u sum_ns %" SCNu64
			   " max_ns %" SCNu64, &h->sub_bits, &h->max_bits, &h->sum_ns,
			   &h->max_ns) != 4)
			return -EINVAL;
		return read_bins(next_line(text), h);
	}
	return -ENOENT;
}

bool kernel_stats_choice(const char *text, char *name, size_t size)
{
	const char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;

	if (!to || (size_t)(to - from) > size)
		return false;
	memcpy(name, from + 1, to - from - 1);
	name[to - from - 1] = 0;
	return name[0] != 0;
}
