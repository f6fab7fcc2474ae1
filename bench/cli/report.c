// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt report: a run's document again, in any format.
 */
#include "cli/cli.h"
#include "report/report.h"

int verb_report(const struct options *o)
{
	const char *name = o->nr_args ? o->args[0] : "latest";
	struct result_run *run = NULL;
	int ret = run_open(name, o->v[OPT_OUT].text, &run);

	if (ret)
		return ret;
	if (o->v[OPT_WRITE].set && report_write_all(run))
		ret = DPAMT_ENVIRONMENT;
	if (print_run(run, o->v[OPT_FORMAT].text, true))
		ret = DPAMT_ENVIRONMENT;
	result_free(run);
	return ret;
}
