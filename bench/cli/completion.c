// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt help --completion: the completion script for bash. Option names come
 * from the table at the time of printing; values are asked of
 * `dpamt VERB --OPTION=help` when they are needed, so that new workloads complete, too.
 */
#include "cli/cli.h"

#include <string.h>

static void options_of(FILE *out, enum verb_id verb)
{
	fprintf(out, "\t%s) opts=\"", verbs[verb].name);
	for (int i = 0; i < NR_OPTIONS; i++)
		if (options_table[i].verbs & (1u << verb))
			fprintf(out, "--%s%s ", options_table[i].name,
				options_table[i].type == TYPE_FLAG ? "" : "=");
	fputs("\" ;;\n", out);
}

/* The names of the options whose values can be listed, separated by "|". */
static void enumerated(FILE *out, bool lists)
{
	const char *between = "";

	for (int i = 0; i < NR_OPTIONS; i++) {
		bool list = options_table[i].type == TYPE_CHOICES ||
			    options_table[i].type == TYPE_FILES;

		if (!options_table[i].source || list != lists)
			continue;
		fprintf(out, "%s--%s", between, options_table[i].name);
		between = "|";
	}
}

static void complete_verb(FILE *out)
{
	fputs("\tif ((COMP_CWORD == 1)); then\n\t\tmapfile -t COMPREPLY < <(compgen -W \"", out);
	for (int i = 0; i < NR_VERBS; i++)
		fprintf(out, "%s ", verbs[i].name);
	fputs("\" -- \"$cur\")\n\t\treturn\n\tfi\n", out);
}

static void complete_value(FILE *out)
{
	fputs("\tcase $opt in\n\t", out);
	enumerated(out, true);
	fputs(")\n\t\tvalues=\"all $(\"$cmd\" \"$verb\" \"$opt=help\" 2>/dev/null | "
	      "awk '{print $1}')\"\n"
	      "\t\thead=${cur%\"${cur##*,}\"}\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -P \"$head\" -W \"$values\" "
	      "-- \"${cur##*,}\")\n"
	      "\t\tcompopt -o nospace\n\t\treturn ;;\n\t", out);
	enumerated(out, false);
	fputs(")\n\t\tvalues=$(\"$cmd\" \"$verb\" \"$opt=help\" 2>/dev/null | awk '{print $1}')\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$cur\")\n\t\treturn ;;\n"
	      "\t--out|--resume)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n\t\treturn ;;\n\tesac\n", out);
}

static void complete_argument(FILE *out)
{
	fputs("\tcase $verb in\n"
	      "\tlist) values=\"strategies workloads machines executors metrics\" ;;\n"
	      "\thelp) values=\"", out);
	for (int i = 0; i < NR_VERBS; i++)
		fprintf(out, "%s ", verbs[i].name);
	fputs("\" ;;\n\tcompare|report) values=\"latest $(ls results 2>/dev/null)\" ;;\n\tesac\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$cur\")\n", out);
}

void help_completion(FILE *out)
{
	fputs("# bash completion for dpamt; made by: dpamt help --completion\n"
	      "_dpamt()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal cmd=${COMP_WORDS[0]} verb=${COMP_WORDS[1]}\n"
	      "\tlocal opt='' opts='' values='' head=''\n\n"
	      "\tCOMPREPLY=()\n", out);
	complete_verb(out);
	fputs("\t# \"=\" is a word of its own: --opt = value\n"
	      "\tif [[ $cur == = ]]; then\n\t\topt=$prev cur=''\n"
	      "\telif [[ $prev == = ]]; then\n\t\topt=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\telif [[ $prev == --* ]]; then\n\t\topt=$prev\n\tfi\n", out);
	complete_value(out);
	fputs("\tcase $verb in\n", out);
	for (int i = 0; i < NR_VERBS; i++)
		options_of(out, (enum verb_id)i);
	fputs("\tesac\n\tif [[ $cur == -* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$opts\" -- \"$cur\")\n"
	      "\t\t[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n\t\treturn\n\tfi\n", out);
	complete_argument(out);
	fputs("}\ncomplete -F _dpamt dpamt\n", out);
}
