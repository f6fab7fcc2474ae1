// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of metrics.h as a table, and the search by key.
 *
 * A key may carry prefixes that end in a dot ("victim.fault_p99_ns"); the
 * part behind the last dot decides.
 */
#include <string.h>

#include "report/metrics.h"
#include "report/result.h"

static const struct metric metrics[] = {
#define METRIC(key_, title_, unit_, direction_, column_)                                           \
	{ #key_, title_, UNIT_##unit_, DIR_##direction_, COLUMN_##column_ },
	METRICS(METRIC)
#undef METRIC
};

#define NR_METRICS (sizeof(metrics) / sizeof(metrics[0]))

const struct metric *metric_list(size_t *nr)
{
	*nr = NR_METRICS;
	return metrics;
}

const struct metric *metric_find(const char *key)
{
	const char *dot = strrchr(key, '.');

	if (dot)
		key = dot + 1;
	for (size_t i = 0; i < NR_METRICS; i++)
		if (!strcmp(metrics[i].key, key))
			return &metrics[i];
	return NULL;
}
