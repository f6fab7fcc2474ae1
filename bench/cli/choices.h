/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lists behind the enumerated options and behind `dpamt list`: strategies,
 * workloads, machines, executors, formats, metrics, scenarios. Each list has one source
 * function; nothing else in the command line names a member.
 */
#ifndef DPAMT_CLI_CHOICES_H
#define DPAMT_CLI_CHOICES_H

#include <stdbool.h>
#include <stddef.h>

struct choice {
	char *name;
	char *what;		/* one line */
	char *note;		/* a short property, "" if there is none */
	bool not_built;		/* known, but answered with exit 4 */
	bool not_in_all;	/* "all" leaves it out */
};

struct choices {
	const char *kind;	/* "strategy" */
	struct choice *of;
	size_t nr;
};

/*
 * Fill @c; free with choices_free(). Members that cannot be read are listed with
 * the reason in ->what. Lack of memory ends the program with a message.
 */
typedef void (*choice_source)(struct choices *c);

void strategy_choices(struct choices *c);
void workload_choices(struct choices *c);
void machine_choices(struct choices *c);
void executor_choices(struct choices *c);
void format_choices(struct choices *c);
void metric_choices(struct choices *c);
void scenario_choices(struct choices *c);
void memory_choices(struct choices *c);

void choices_free(struct choices *c);
const struct choice *choices_find(const struct choices *c, const char *name);
/* "null, static, global": those that are built, and belong to "all" if @in_all. malloc()ed. */
char *choices_valid(const struct choices *c, bool in_all);

#endif
