/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between workload.c and workload_check.c: what a workload must be as a whole.
 */
#ifndef DPAMT_TD_WORKLOAD_CHECK_H
#define DPAMT_TD_WORKLOAD_CHECK_H

#include "td/workload.h"

/*
 * Resolves names of groups, works out host_memory if it was not given, and
 * checks that the workload can run and will end. @where stands in messages in
 * place of the file ("--set x=y"), NULL for the file. -EINVAL with @err.
 */
int workload_check(struct workload *w, const char *where, struct td_error *err);

#endif
