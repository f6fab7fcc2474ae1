// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a report says, and in which order: text, markdown and HTML are the same
 * parts drawn three ways.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/document.h"
#include "report/plots.h"
#include "report/tables.h"

static void put_table(struct doc *doc, struct table *t)
{
	if (t && t->nr_rows)
		doc->ops->table(doc, t);
	table_free(t);
}

static void put_list(struct doc *doc, struct names *items)
{
	if (items->nr)
		doc->ops->list(doc, items);
	names_free(items);
}

/* A name and its value, unless the value is empty. Frees @value. */
static void add_item(struct names *items, const char *name, char *value)
{
	if (*value)
		names_addf(items, "%s: %s", name, value);
	free(value);
}

/* The sentences that belong under every table. */
static void put_marks(struct doc *doc, const struct result_run *run)
{
	const char *mark = json_string_value(json_object_get(run->meta, "mark"));
	struct names marks = { 0 };

	/* One line where the run has one, and all of it in the section of claims. */
	if (mark)
		doc->ops->note(doc, mark);
	else
		marks = run_marks(run);
	for (size_t i = 0; i < marks.nr; i++)
		doc->ops->note(doc, marks.name[i]);
	names_free(&marks);
}

/* An argument as the shell wants it. */
static char *quoted(const char *arg)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+=:,./@%";
	char *out, *to;

	if (*arg && strspn(arg, plain) == strlen(arg))
		return report_format("%s", arg);
	to = out = report_alloc(4 * strlen(arg) + 3, 1);
	*to++ = '\'';
	for (; *arg; arg++) {
		if (*arg == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *arg;
	}
	*to++ = '\'';
	return out;
}

/* An array of arguments, or a string, as one command line. */
static char *command_text(const json_t *command)
{
	char *line = report_format("%s", json_is_string(command) ? json_string_value(command) : "");
	const json_t *arg;
	size_t i;

	json_array_foreach(command, i, arg) {
		char *word = quoted(json_string_value(arg) ? json_string_value(arg) : "");
		char *longer = report_format("%s%s%s", line, *line ? " " : "", word);

		free(word);
		free(line);
		line = longer;
	}
	return line;
}

/* --- head -------------------------------------------------------------- */

static char *title_text(const struct result_run *run)
{
	struct names workloads = run_workloads(run), strategies = run_strategies(run);
	char *on = member_text(run->meta, "on"), *status = member_text(run->meta, "status");
	char *title = report_format("dpamt run %s%s%s: %zu workload%s, %zu strateg%s%s%s",
				    run->run_id, *on ? " on " : "", on, workloads.nr,
				    workloads.nr == 1 ? "" : "s", strategies.nr,
				    strategies.nr == 1 ? "y" : "ies", *status ? ", " : "", status);

	free(status);
	free(on);
	names_free(&strategies);
	names_free(&workloads);
	return title;
}

static void put_alerts(struct doc *doc, const struct result_run *run)
{
	struct names violations = run_violations(run);
	char *status = member_text(run->meta, "status");

	for (size_t i = 0; i < violations.nr; i++)
		doc->ops->alert(doc, violations.name[i]);
	if (!strcmp(status, "interrupted"))
		doc->ops->alert(doc, "This run was interrupted: figures are over fewer blocks than "
				     "planned.");
	if (run->truncated)
		doc->ops->alert(doc, "The last line of samples.jsonl was cut off and is left out.");
	if (!run->nr_samples)
		doc->ops->alert(doc, "This run has no samples: nothing was measured.");
	free(status);
	names_free(&violations);
}

static char *git_text(const struct result_run *run)
{
	const json_t *git = json_object_get(run->meta, "git");
	char *commit = member_text(git, "commit"), *hash = member_text(git, "diff_hash"), *text;
	bool dirty = json_is_true(json_object_get(git, "dirty"));

	text = report_format("%s%s%s%s", commit, dirty ? ", with changes" : "",
			     dirty && *hash ? " of hash " : "", dirty ? hash : "");
	free(hash);
	free(commit);
	return text;
}

static void put_what_ran(struct doc *doc, const struct result_run *run)
{
	const json_t *environment = json_object_get(run->meta, "environment");
	const json_t *host = json_object_get(run->meta, "host");
	struct names items = { 0 };
	char *command = command_text(json_object_get(run->meta, "command"));

	doc->ops->heading(doc, 2, "What ran");
	add_item(&items, "executor", member_text(run->meta, "on"));
	add_item(&items, "started", member_text(run->meta, "started"));
	add_item(&items, "finished", member_text(run->meta, "finished"));
	add_item(&items, "scale", member_text(run->meta, "scale"));
	add_item(&items, "blocks planned", member_text(run->meta, "blocks"));
	add_item(&items, "blocks done", member_text(run->meta, "blocks_done"));
	add_item(&items, "workers", member_text(run->meta, "threads"));
	add_item(&items, "seed", member_text(run->meta, "seed"));
	add_item(&items, "machine file",
		 member_text(json_object_get(run->meta, "machine"), "name"));
	add_item(&items, "CPU", member_text(environment, "cpu_model"));
	add_item(&items, "kernel", member_text(environment, "kernel"));
	add_item(&items, "emulated host: accelerator", member_text(host, "accelerator"));
	add_item(&items, "emulated host: kernel", member_text(host, "kernel"));
	add_item(&items, "git", git_text(run));
	put_list(doc, &items);
	if (*command)
		doc->ops->code(doc, command);
	free(command);
	put_table(doc, table_strategies(run));
}

static void put_claims(struct doc *doc, const struct result_run *run)
{
	struct names marks = run_marks(run);

	if (marks.nr)
		doc->ops->heading(doc, 2, "What it can and cannot claim");
	put_list(doc, &marks);
}

/* --- results ----------------------------------------------------------- */

static void put_figures(struct doc *doc, const struct result_run *run, const char *workload)
{
	struct plots plots = plots_of(run, workload);

	for (size_t i = 0; doc->ops->figure && i < plots.nr; i++) {
		char *path = report_format("%s/plots/%s", run->dir, plots.plot[i].file);

		if (!access(path, R_OK))
			doc->ops->figure(doc, plots.plot[i].file, plots.plot[i].caption);
		free(path);
	}
	plots_free(&plots);
}

static void put_workload(struct doc *doc, const struct result_run *run, const char *workload)
{
	struct names notes = workload_notes(run, workload);
	char *title = member_text(run_workload(run, workload), "title");
	char *asked = member_text(run_workload(run, workload), "asked_by");
	char *heading = report_format("%s%s%s", workload, *title ? ": " : "", title);
	char *line = workload_line(run, workload);

	doc->ops->heading(doc, 3, heading);
	doc->ops->paragraph(doc, line);
	if (*asked) {
		free(line);
		line = report_format("asked by: %s", asked);
		doc->ops->note(doc, line);
	}
	for (int part = 0; part < MAIN_PARTS; part++)
		put_table(doc, table_main(run, workload, part));
	put_table(doc, table_groups(run, workload));
	put_list(doc, &notes);
	put_marks(doc, run);
	put_figures(doc, run, workload);
	free(line);
	free(heading);
	free(asked);
	free(title);
}

static void put_results(struct doc *doc, const struct result_run *run)
{
	struct names workloads = run_workloads(run);

	if (workloads.nr)
		doc->ops->heading(doc, 2, "Results: median over blocks");
	for (size_t w = 0; w < workloads.nr; w++)
		put_workload(doc, run, workloads.name[w]);
	names_free(&workloads);
}

static void put_verdicts(struct doc *doc, const struct result_run *run)
{
	struct names warnings = { 0 };
	struct compare *c;
	char err[512];
	char *text;

	if (!run->nr_samples)
		return;
	doc->ops->heading(doc, 2, "Verdicts");
	if (compare_run(run, NULL, &c, err, sizeof(err))) {
		text = report_format("None: %s", err);
		doc->ops->paragraph(doc, text);
		free(text);
		return;
	}
	text = report_format("Effect: mean of the strategy over mean of %s, primary metric of each "
			     "workload; interval of %.0f%% by bootstrap over blocks; exact "
			     "permutation test, Holm over the workload's strategies; up to %.0f%% "
			     "is no change.", c->base, 100 * (1 - c->options.rule.alpha),
			     100 * c->options.rule.margin);
	doc->ops->note(doc, text);
	free(text);
	for (size_t w = 0; w < c->nr_workloads; w++) {
		doc->ops->heading(doc, 3, c->workloads[w].name);
		if (c->workloads[w].sentence)
			doc->ops->paragraph(doc, c->workloads[w].sentence);
		put_table(doc, table_verdicts(&c->workloads[w], !c->two_runs));
		put_marks(doc, run);
	}
	for (size_t i = 0; i < c->nr_warnings; i++)
		names_add(&warnings, c->warnings[i]);
	put_list(doc, &warnings);
	compare_free(c);
}

static void put_memory(struct doc *doc, const struct result_run *run)
{
	static const struct {
		const char *caption, *field;
		bool sum;
	} tables[] = {
		{ "PAMT pairs by TD, bytes: each pair divided over the pages in use in its region",
		  "pamt_bytes", true },
		{ "saved against static PAMT by TD, bytes", "saved_bytes", false },
		{ "pages in use by TD", "pages", false },
		{ "wait by TD, ns", "wait_ns", false },
	};
	struct names workloads = run_workloads(run);
	bool headed = false;

	for (size_t w = 0; w < workloads.nr; w++) {
		bool named = false;

		for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
			struct table *t = table_tds(run, workloads.name[w], tables[i].caption,
						    tables[i].field, tables[i].sum);

			if (t && !headed)
				doc->ops->heading(doc, 2, "Memory and wait by TD: one block each, "
							  "nearest to the median");
			headed |= t != NULL;
			if (t && !named)
				doc->ops->heading(doc, 3, workloads.name[w]);
			named |= t != NULL;
			put_table(doc, t);
		}
		if (named)
			put_marks(doc, run);
	}
	names_free(&workloads);
}

static void put_controls(struct doc *doc, const struct result_run *run)
{
	struct table *t = table_controls(run);

	if (!t)
		return;
	doc->ops->heading(doc, 2, "Controls: median over blocks");
	put_table(doc, t);
	put_marks(doc, run);
}

static void put_all_metrics(struct doc *doc, const struct result_run *run)
{
	struct names workloads = run_workloads(run);

	if (workloads.nr && run->nr_samples)
		doc->ops->heading(doc, 2, "Every metric");
	for (size_t w = 0; w < workloads.nr; w++) {
		struct table *t = table_all(run, workloads.name[w]);

		if (!t)
			continue;
		doc->ops->heading(doc, 3, workloads.name[w]);
		put_table(doc, t);
		put_marks(doc, run);
	}
	names_free(&workloads);
}

/* --- tail -------------------------------------------------------------- */

static void put_environment(struct doc *doc, const struct result_run *run)
{
	static const char *const members[] = { "environment", "topology", "counters" };
	bool headed = false;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct table *t = table_object(json_object_get(run->meta, members[i]), members[i]);

		if (t && !headed)
			doc->ops->heading(doc, 2, "Environment");
		headed |= t != NULL;
		put_table(doc, t);
	}
}

static void put_machine(struct doc *doc, const struct result_run *run)
{
	struct table *t = table_machine(run);

	if (!t)
		return;
	doc->ops->heading(doc, 2, "Constants of the machine file");
	put_table(doc, t);
}

static void put_warnings(struct doc *doc, const struct result_run *run)
{
	struct names warnings = run_warnings(run);

	if (warnings.nr)
		doc->ops->heading(doc, 2, "Warnings");
	put_list(doc, &warnings);
}

static void put_rerun(struct doc *doc, const struct result_run *run)
{
	char *command = command_text(json_object_get(run->meta, "command"));
	char *resume = command_text(json_object_get(run->meta, "resume_command"));
	char *next = member_text(run->meta, "next_step");
	char *status = member_text(run->meta, "status");
	bool interrupted = !strcmp(status, "interrupted");

	if (*command) {
		doc->ops->heading(doc, 2, "How to run it again");
		doc->ops->code(doc, command);
	}
	if (*resume && interrupted) {
		doc->ops->paragraph(doc, "To go on where it stopped:");
		doc->ops->code(doc, resume);
	}
	if (*next) {
		doc->ops->heading(doc, 2, "Next step");
		doc->ops->paragraph(doc, next);
	}
	free(next);
	free(status);
	free(resume);
	free(command);
}

/* @full: all sections; else those of report_summary(). */
static int write_document(FILE *out, const struct result_run *run, const struct doc_ops *ops,
			  bool full)
{
	struct doc doc = { .ops = ops, .out = out, .dir = run->dir };
	char *title = title_text(run);

	errno = 0;
	ops->begin(&doc, title);
	put_alerts(&doc, run);
	if (full) {
		put_what_ran(&doc, run);
		put_claims(&doc, run);
	}
	put_results(&doc, run);
	put_verdicts(&doc, run);
	if (full)
		put_memory(&doc, run);
	put_controls(&doc, run);
	if (!full)
		put_claims(&doc, run);
	if (full) {
		put_all_metrics(&doc, run);
		put_environment(&doc, run);
		put_machine(&doc, run);
	}
	put_warnings(&doc, run);
	put_alerts(&doc, run);
	put_rerun(&doc, run);
	ops->end(&doc);
	free(title);
	if (!fflush(out) && !ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}

int report_summary(FILE *out, const struct result_run *run)
{
	return write_document(out, run, &doc_text, false);
}

int report_text(FILE *out, const struct result_run *run)
{
	return write_document(out, run, &doc_text, true);
}

int report_markdown(FILE *out, const struct result_run *run)
{
	return write_document(out, run, &doc_markdown, true);
}

int report_html(FILE *out, const struct result_run *run)
{
	return write_document(out, run, &doc_html, true);
}

/* --- files ------------------------------------------------------------- */

static int write_one(const struct result_run *run, const char *name,
		     int (*draw)(FILE *, const struct result_run *))
{
	char *path = report_format("%s/%s", run->dir, name);
	FILE *file = fopen(path, "we");
	int err;

	if (!file) {
		err = -errno;
	} else {
		err = draw(file, run);
		if (fclose(file) && !err)
			err = -errno;
	}
	if (err)
		fprintf(stderr, "%s: %s\n", path, strerror(-err));
	free(path);
	return err;
}

int report_write_all(const struct result_run *run)
{
	int plots = plots_write(run);
	int markdown = write_one(run, "report.md", report_markdown);
	int html = write_one(run, "report.html", report_html);

	/* a machine without gnuplot has been told so */
	if (plots && plots != -ENOENT)
		return plots;
	return markdown ? markdown : html;
}
