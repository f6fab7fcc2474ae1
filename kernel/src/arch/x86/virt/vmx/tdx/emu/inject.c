// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault injection: rules that answer a share of a leaf's calls with a status, in
 * place of running it. debugfs tdx_emu/inject takes one rule per line,
 *
 *	LEAF STATUS[:OPERAND] PERCENT% [alternate] [times=N]
 *
 * or "clear", and reads back the rules with what they have answered so far.
 * LEAF is a name as in the ABI without TDH (mem.page.aug), STATUS one of
 * status_names[] or a number (with 63:32 alone, OPERAND is added to it).
 * "alternate" never answers the same call twice in a row: for leaves that KVM
 * tries once more and then requires to succeed. With the status "interrupted" a
 * leaf runs, and is told midway that the host has an interrupt pending: for
 * phymem.cache.wb and mem.page.demote.
 *
 * Readers run with interrupts off under the die notifier's RCU section; the set
 * of rules is replaced as a whole.
 */
#define pr_fmt(fmt) "tdx_emu: " fmt

#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "emu.h"
#include "module/leaves.h"

#define MAX_RULES 32
#define MAX_LINE 128

struct rule {
	u16 leaf;
	u8 percent;
	bool alternate;
	u64 status;
	unsigned long times;	/* still to answer; ULONG_MAX: no limit */
	atomic_long_t hits;
};

struct rules {
	struct rcu_head rcu;
	unsigned int nr;
	struct rule rule[];
};

static struct rules __rcu *rules;
/* Held by who replaces the rules. */
static DEFINE_MUTEX(rules_mutex);

/*
 * A CPU's random numbers, and per rule its leaf's last call, if that was answered. A
 * call of another leaf in between, from an interrupt say, changes nothing.
 */
struct inject_cpu {
	struct rnd_state rnd;
	struct last_call {
		bool hit;
		u64 rcx, rdx;
	} last[MAX_RULES];
};

static DEFINE_PER_CPU(struct inject_cpu, inject_cpu);

struct name {
	const char *name;
	u64 value;
};

static const struct name status_names[] = {
	{ "busy", EMU_OPERAND_BUSY },
	{ "epoch-busy", EMU_PREVIOUS_TLB_EPOCH_BUSY },
	{ "no-entropy", EMU_RND_NO_ENTROPY },
	{ "interrupted", EMU_INTERRUPTED_RESUMABLE },
	{ "invalid", EMU_OPERAND_INVALID },
	{ "metadata", EMU_PAGE_METADATA_INCORRECT },
	{ "not-tracked", EMU_TLB_TRACKING_NOT_DONE },
	{ "not-empty", EMU_PAMT_PAGE_NOT_EMPTY },
	{ "not-free", EMU_HPA_RANGE_NOT_FREE },
	{ }
};

static const struct name operand_names[] = {
	{ "rax", EMU_OP_RAX },		 { "rcx", EMU_OP_RCX },
	{ "rdx", EMU_OP_RDX },		 { "r8", EMU_OP_R8 },
	{ "r9", EMU_OP_R9 },		 { "r12", EMU_OP_R12 },
	{ "r13", EMU_OP_R13 },		 { "tdr", EMU_OP_TDR },
	{ "sept-tree", EMU_OP_SEPT_TREE }, { "td-epoch", EMU_OP_TD_EPOCH },
	{ "op-state", EMU_OP_OP_STATE }, { "kot", EMU_OP_KOT },
	{ "wbcache", EMU_OP_WBCACHE },	 { }
};

static const struct name leaf_names[] = {
#define LEAF_NAME(nr, fn, name, version) { #name, nr },
	EMU_LEAVES(LEAF_NAME)
#undef LEAF_NAME
	{ }
};

/* ------------------------------------------------------------------ answers */

static bool is_repetition(const struct last_call *last, const struct emu_call *c)
{
	return last->hit && last->rcx == c->args->rcx && last->rdx == c->args->rdx;
}

static bool rule_interrupts(const struct rule *rule)
{
	return rule->status == EMU_INTERRUPTED_RESUMABLE;
}

static bool rule_answers(struct rule *rule, struct inject_cpu *cpu, struct last_call *last,
			 const struct emu_call *c)
{
	unsigned long left = READ_ONCE(rule->times);

	if ((rule->alternate && is_repetition(last, c)) ||
	    prandom_u32_state(&cpu->rnd) % 100 >= rule->percent)
		return false;
	while (left != ULONG_MAX) {
		if (!left)
			return false;
		if (try_cmpxchg(&rule->times, &left, left - 1))
			break;
	}
	atomic_long_inc(&rule->hits);
	return true;
}

/* The first rule that speaks up on this call, or NULL. */
static struct rule *find_rule(const struct emu_call *c, bool interrupts)
{
	struct rules *now = rcu_dereference_check(rules, irqs_disabled());
	struct inject_cpu *cpu;
	unsigned int i;

	if (likely(!now))
		return NULL;
	cpu = this_cpu_ptr(&inject_cpu);
	for (i = 0; i < now->nr; i++) {
		struct rule *rule = &now->rule[i];
		struct last_call *last = &cpu->last[i];

		if (rule->leaf != c->leaf || rule_interrupts(rule) != interrupts)
			continue;
		last->hit = rule_answers(rule, cpu, last, c);
		if (!last->hit)
			continue;
		last->rcx = c->args->rcx;
		last->rdx = c->args->rdx;
		return rule;
	}
	return NULL;
}

u64 emu_inject(struct emu_module *m, const struct emu_call *c)
{
	struct rule *rule = find_rule(c, false);

	return rule ? rule->status : 0;
}

bool emu_interrupted(struct emu_module *m, const struct emu_call *c)
{
	return find_rule(c, true);
}

/* -------------------------------------------------------------------- rules */

/* Leaf names are told with dots or underscores, and in any case. */
static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (tolower(*a) != tolower(*b) && !(*a == '_' && *b == '.'))
			return false;
	return *a == *b;
}

static bool take_name(const struct name *names, const char *text, u64 *value)
{
	for (; names->name; names++)
		if (same_name(names->name, text)) {
			*value = names->value;
			return true;
		}
	return !kstrtoull(text, 0, value);
}

static bool take_leaf(struct rule *rule, const char *text)
{
	const struct name *n;

	for (n = leaf_names; n->name; n++)
		if (same_name(n->name, text) || same_name(n->name + strlen("TDH_"), text)) {
			rule->leaf = n->value;
			return true;
		}
	return false;
}

static bool take_status(struct rule *rule, char *text)
{
	const char *status = strsep(&text, ":");
	u64 operand = 0;

	if (text && (!take_name(operand_names, text, &operand) || operand > U32_MAX))
		return false;
	if (!take_name(status_names, status, &rule->status) || !rule->status)
		return false;
	rule->status |= operand;
	return true;
}

static bool take_percent(struct rule *rule, char *text)
{
	size_t length = strlen(text);

	if (!length || text[length - 1] != '%')
		return false;
	text[length - 1] = '\0';
	return !kstrtou8(text, 10, &rule->percent) && rule->percent <= 100;
}

/* What is wrong with @line, or NULL. */
static const char *parse_rule(char *line, struct rule *rule)
{
	char *word = strsep(&line, " ");

	if (!take_leaf(rule, word))
		return "no such leaf";
	word = strsep(&line, " ");
	if (!word || !take_status(rule, word))
		return "no such status or operand";
	word = strsep(&line, " ");
	if (!word || !take_percent(rule, word))
		return "a share of calls is wanted, as in 30%";
	rule->times = ULONG_MAX;
	while ((word = strsep(&line, " "))) {
		if (!strcmp(word, "alternate"))
			rule->alternate = true;
		else if (strncmp(word, "times=", 6) || kstrtoul(word + 6, 10, &rule->times))
			return "after the share come only \"alternate\" and \"times=N\"";
	}
	return NULL;
}

static void replace_rules(struct rules *new)
{
	struct rules *old = rcu_replace_pointer(rules, new, lockdep_is_held(&rules_mutex));

	if (old)
		kfree_rcu(old, rcu);
}

static int add_rule(const struct rule *rule)
{
	struct rules *old, *new;
	unsigned int nr;

	guard(mutex)(&rules_mutex);
	old = rcu_dereference_protected(rules, lockdep_is_held(&rules_mutex));
	nr = old ? old->nr : 0;
	if (nr == MAX_RULES)
		return -ENOSPC;
	new = kzalloc(struct_size(new, rule, nr + 1), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	if (nr)
		memcpy(new->rule, old->rule, nr * sizeof(*rule));
	new->rule[nr] = *rule;
	new->nr = nr + 1;
	replace_rules(new);
	return 0;
}

static ssize_t inject_write(struct file *file, const char __user *data, size_t size, loff_t *at)
{
	char line[MAX_LINE], *text;
	struct rule rule = { };
	const char *wrong;
	int err;

	if (size >= sizeof(line))
		return -E2BIG;
	if (copy_from_user(line, data, size))
		return -EFAULT;
	line[size] = '\0';
	text = strim(line);
	if (!strcmp(text, "clear")) {
		guard(mutex)(&rules_mutex);
		replace_rules(NULL);
		return size;
	}
	wrong = parse_rule(text, &rule);
	if (wrong) {
		pr_err("inject: %s; a rule is: LEAF STATUS[:OPERAND] PERCENT%% [alternate] [times=N]\n",
		       wrong);
		return -EINVAL;
	}
	err = add_rule(&rule);
	return err ?: size;
}

static const char *leaf_name(u16 leaf)
{
	const struct name *n;

	for (n = leaf_names; n->name && n->value != leaf;)
		n++;
	return n->name;
}

static int inject_show(struct seq_file *s, void *unused)
{
	struct rules *now;
	unsigned int i;

	guard(mutex)(&rules_mutex);
	now = rcu_dereference_protected(rules, lockdep_is_held(&rules_mutex));
	for (i = 0; now && i < now->nr; i++) {
		struct rule *rule = &now->rule[i];

		seq_printf(s, "%s 0x%016llx %u%%%s answered=%ld\n", leaf_name(rule->leaf),
			   rule->status, rule->percent, rule->alternate ? " alternate" : "",
			   atomic_long_read(&rule->hits));
	}
	return 0;
}

static int inject_open(struct inode *inode, struct file *file)
{
	return single_open(file, inject_show, NULL);
}

static const struct file_operations inject_fops = {
	.owner = THIS_MODULE,
	.open = inject_open,
	.read = seq_read,
	.write = inject_write,
	.llseek = seq_lseek,
	.release = single_release,
};

void __init emu_inject_setup(struct dentry *folder)
{
	int cpu;

	for_each_possible_cpu(cpu)
		prandom_seed_state(&per_cpu(inject_cpu, cpu).rnd, cpu + 1);
	debugfs_create_file("inject", 0600, folder, NULL, &inject_fops);
}
