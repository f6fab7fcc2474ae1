/* SPDX-License-Identifier: GPL-2.0-only */
/* Schedule files of the explorer (explore_file.c says what is in them). */
#ifndef DPAMT_EXPLORE_FILE_H
#define DPAMT_EXPLORE_FILE_H

#include "exec/explore.h"

struct explore_file {
	char strategy[32], scenario[32], broke[200];
	enum explore_memory memory;
	struct explore_decision *schedule;	/* after reading: free() */
	size_t nr;
};

/* 0, or -1 with one line in @err. Reading refuses what another build wrote. */
int explore_file_write(const char *file, const struct explore_file *s, char *err, size_t err_size);
int explore_file_read(const char *file, struct explore_file *s, char *err, size_t err_size);

#endif
