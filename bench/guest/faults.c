// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpamt-guest faults [NAME..]: the module answers with an error where KVM does not
 * expect one. Each case must end with exactly what KVM says then, a TD that does not
 * run any more, exactly what is known to be lost with it still counted, and a host on
 * which the next TD runs as if nothing had been.
 *
 * The cases follow one another in one boot: what is lost stays lost, so counts are
 * compared with those before the case. WARN_ON_ONCE() is reset before each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exec/kvm_abi.h"
#include "guest/guest.h"
#include "guest/life.h"
#include "measure/clock.h"
#include "measure/kernel_stats.h"

#define FILLER_BYTES (128UL << 20)

/* When the rule is in force. */
enum when {
	AT_CREATE,	/* from KVM_CREATE_VM to FINALIZE */
	AT_RUN,		/* while its vCPUs run */
	AT_ZAP,		/* while a page of it is given back by a hole in its memory */
	AT_END,		/* while its files are closed */
	AT_BARE_END,	/* the same, of a TD that has given all of its memory back */
};

/* What is counted of a host; of a case, by how much that changes for good. */
struct holdings {
	uint64_t tds;		/* that the kernel believes exist */
	uint64_t hkids, tdr, tdcx, tdvpr, sept, private;	/* that the module has */
	uint64_t references;	/* that regions keep */
	uint64_t leaked;	/* statistics: pairs that the module did not give back */
	uint64_t mismatches;	/* between counts and pairs: never */
};

/* A TD of life.c: 4 pages of TDCS, 6 of each vCPU beside its TDVPR, its S-EPT. */
#define LEFT_WITH_KEYID { .tds = 1, .hkids = 1, .tdr = 1, .tdcx = 16, .tdvpr = 2, .sept = 5, \
			  .references = 24 }

struct fault_case {
	const char *name, *rule;
	enum when when;
	const char *says;	/* normalised: see take_line() */
	struct holdings left;
};

#include "guest/faults_table.h"

#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

/* ------------------------------------------------------------------ the log */

static void hide_numbers(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		bool hex = from[0] == '0' && from[1] == 'x';
		size_t length = hex ? 2 + strspn(from + 2, "0123456789abcdef") :
				      strspn(from, "0123456789");

		if (!length) {
			*to++ = *from++;
			continue;
		}
		if (hex) {
			*to++ = '0';
			*to++ = 'x';
		}
		*to++ = '#';
		from += length;
	}
	*to = '\0';
}

/*
 * "WARNING: ../src/arch/x86/kvm/vmx/tdx.c:1871 at ..." is "WARN tdx.c", "kvm_intel:
 * SEAMCALL TDH_X failed: 0xSTATUS, ..." is "TDH_X 0xSTATUS"; other lines are themselves
 * without what stands before ": ", numbers as # or 0x#.
 */
static void take_line(const char *line, size_t length, char *to, size_t size)
{
	char text[400], leaf[64];
	unsigned long long status;
	const char *at;

	snprintf(text, sizeof(text), "%.*s", (int)length, line);
	at = strstr(text, "WARNING: ");
	if (at) {
		const char *slash, *colon;

		at += strlen("WARNING: ");
		colon = strchr(at, ':');
		slash = colon ? memrchr(at, '/', colon - at) : NULL;
		snprintf(to, size, "WARN %.*s\n", slash ? (int)(colon - slash - 1) : 40,
			 slash ? slash + 1 : at);
		return;
	}
	at = strstr(text, "SEAMCALL ");
	if (at && sscanf(at, "SEAMCALL %63s failed: 0x%llx", leaf, &status) == 2) {
		snprintf(to, size, "%s 0x%llx\n", leaf, status);
		return;
	}
	at = strstr(text, ": ");
	at = at ? at + 2 : text;
	snprintf(to, size, "%s\n", at);
	hide_numbers(to);
}

static void normalise(const struct judge_log *log, char *to, size_t size)
{
	to[0] = '\0';
	for (const char *at = log->text; *at;) {
		size_t length = strcspn(at, "\n"), used = strlen(to);

		take_line(at, length, to + used, size - used);
		at += length + !!at[length];
	}
}

/* ------------------------------------------------------------------- counts */

static void count(struct holdings *h)
{
	*h = (struct holdings){
		.tds = judge_pamt("memory", "tds"),
		.hkids = judge_census("hkids"),
		.tdr = judge_census("tdr"),
		.tdcx = judge_census("tdcx"),
		.tdvpr = judge_census("tdvpr"),
		.sept = judge_census("sept"),
		.private = judge_census("private"),
		.references = judge_pamt("audit", "references"),
		.leaked = judge_pamt("stats", "leaked"),
		.mismatches = judge_pamt("audit", "mismatches"),
	};
}

static void subtract(struct holdings *h, const struct holdings *before)
{
	h->tds -= before->tds;
	h->hkids -= before->hkids;
	h->tdr -= before->tdr;
	h->tdcx -= before->tdcx;
	h->tdvpr -= before->tdvpr;
	h->sept -= before->sept;
	h->private -= before->private;
	h->references -= before->references;
	h->leaked -= before->leaked;
}

static void describe(const struct holdings *h, char *text, size_t size)
{
	snprintf(text, size, "%" PRId64 " TDs, %" PRId64 " hkids, %" PRId64 " tdr, %" PRId64
		 " tdcx, %" PRId64 " tdvpr, %" PRId64 " sept, %" PRId64 " private, %" PRId64
		 " references, %" PRId64 " leaked, %" PRId64 " mismatches", h->tds, h->hkids,
		 h->tdr, h->tdcx, h->tdvpr, h->sept, h->private, h->references, h->leaked,
		 h->mismatches);
}

/* -------------------------------------------------------------------- a case */

struct bench {
	struct kvm_host host;
	struct workload *w;
	unsigned int done, failed;
};

static int rule(const char *text)
{
	int err = kernel_stats_write(EMU_DIR, "inject", text);

	if (err)
		guest_say("faults: %s/inject does not take \"%s\": %s; this takes an emulated TDX host",
			  EMU_DIR, text, strerror(-err));
	return err;
}

/* A TD up to the end of its programs, and no error: NULL with the reason. */
static struct kvm_td *whole_td(struct bench *b, uint64_t seed, char *err, size_t size)
{
	struct kvm_td *td;
	int ret = life_make(&b->host, b->w, seed, &td, err, size);

	if (ret)
		return NULL;
	ret = life_run(td, NULL);
	if (!ret)
		return td;
	snprintf(err, size, "%s: %.200s", strerror(-ret), td->error);
	kvm_td_free(td);
	return NULL;
}

/* The TD is dead: KVM_RUN says so. */
static bool is_dead(struct kvm_td *td)
{
	td->leave = false;
	return kvm_vcpu_run(&td->vcpu[0]) == -EIO;
}

static int give_back(int memory_fd, uint64_t size)
{
	return fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size);
}

/* The rule is in force while the TD is made, which must fail. */
static bool at_create(struct bench *b, const struct fault_case *c, char *why, size_t size)
{
	struct kvm_td *td;

	if (rule(c->rule) || life_make(&b->host, b->w, 1, &td, why, size))
		return true;
	snprintf(why, size, "the TD could be made");
	kvm_td_free(td);
	return false;
}

/*
 * Use up what is free in regions that have users already, by pages of the same kind: the
 * next page of a TD is its region's first. A file to be closed, or -1.
 */
static int use_up_fragments(const struct kvm_td *td)
{
	struct abi_kvm_create_guest_memfd c = { .size = FILLER_BYTES };
	int fd = ioctl(td->fd, ABI_KVM_CREATE_GUEST_MEMFD, &c);

	if (fd >= 0)
		fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, FILLER_BYTES);
	return fd;
}

static bool at_run(struct bench *b, const struct fault_case *c, char *why, size_t size)
{
	struct kvm_td *td;
	bool ok;
	int ret, filler;

	if (life_make(&b->host, b->w, 1, &td, why, size))
		return false;
	filler = use_up_fragments(td);
	rule(c->rule);
	ret = life_run(td, NULL);
	ok = ret == -EIO && is_dead(td);
	if (!ok)
		snprintf(why, size, "its vCPUs ended with %s", strerror(-ret));
	rule("clear");
	close(filler);
	kvm_td_free(td);
	return ok;
}

static bool at_zap(struct bench *b, const struct fault_case *c, char *why, size_t size)
{
	struct kvm_td *td = whole_td(b, 1, why, size);
	bool ok;

	if (!td)
		return false;
	rule(c->rule);
	give_back(td->memory_fd, TD_PAGE_4K);
	rule("clear");
	ok = is_dead(td);
	if (!ok)
		snprintf(why, size, "the TD lives on");
	kvm_td_free(td);
	return ok;
}

static bool at_end(struct bench *b, const struct fault_case *c, char *why, size_t size)
{
	struct kvm_td *td = whole_td(b, 1, why, size);
	bool ok = td;

	if (!td)
		return false;
	if (c->when == AT_BARE_END && (give_back(td->memory_fd, td->memory) ||
				       give_back(td->image_fd, td->image.size))) {
		snprintf(why, size, "its memory cannot be given back: %s", strerror(errno));
		ok = false;
	}
	rule(c->rule);
	kvm_td_free(td);
	return ok;
}

/* Bring the fault about. False with what went otherwise than it should in @why. */
static bool provoke(struct bench *b, const struct fault_case *c, char *why, size_t size)
{
	bool ok = false;

	why[0] = '\0';
	switch (c->when) {
	case AT_CREATE:
		ok = at_create(b, c, why, size);
		break;
	case AT_RUN:
		ok = at_run(b, c, why, size);
		break;
	case AT_ZAP:
		ok = at_zap(b, c, why, size);
		break;
	case AT_END:
	case AT_BARE_END:
		ok = at_end(b, c, why, size);
		break;
	}
	rule("clear");
	return ok;
}

/* KVM's objects go a little after their last file. */
static void settle(uint64_t tds)
{
	for (int i = 0; i < 100 && judge_pamt("memory", "tds") > tds; i++)
		usleep(10000);
}

static bool healthy(struct bench *b, char *why, size_t size)
{
	struct judge_log log;
	uint64_t tds = judge_pamt("memory", "tds");
	struct kvm_td *td = whole_td(b, 2, why, size);

	if (!td)
		return false;
	kvm_td_free(td);
	settle(tds);
	judge_log_read(&log);
	if (log.text[0])
		snprintf(why, size, "%.*s", (int)strcspn(log.text, "\n"), log.text);
	return !log.text[0];
}

static void complain(struct bench *b, const struct fault_case *c, const char *what,
		     const char *got, const char *want)
{
	b->failed++;
	guest_say("faults: %s: %s: %s%s%s", c->name, what, got, want ? "; expected " : "",
		  want ? want : "");
}

static void run_case(struct bench *b, const struct fault_case *c)
{
	static struct judge_log log;
	static char said[16384];
	struct holdings before, after;
	char why[KVM_ERROR_MAX], got[200], want[200];
	unsigned int failed = b->failed;

	kernel_stats_write("/sys/kernel/debug", "clear_warn_once", "1");
	count(&before);
	if (!provoke(b, c, why, sizeof(why)))
		complain(b, c, "not as it should be", why, NULL);
	settle(before.tds + c->left.tds);
	judge_log_read(&log);
	normalise(&log, said, sizeof(said));
	if (strcmp(said, c->says))
		complain(b, c, "the kernel said", said, c->says);
	count(&after);
	subtract(&after, &before);
	describe(&after, got, sizeof(got));
	describe(&c->left, want, sizeof(want));
	if (strcmp(got, want))
		complain(b, c, "left", got, want);
	if (!healthy(b, why, sizeof(why)))
		complain(b, c, "the host afterwards", why, NULL);
	b->done++;
	if (failed == b->failed)
		guest_say("faults: %s: as expected; left: %s", c->name, got);
}

static bool is_asked(const struct fault_case *c, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], c->name))
			return true;
	return !argc;
}

static bool is_case(const char *name)
{
	for (size_t i = 0; i < NR_CASES; i++)
		if (!strcmp(cases[i].name, name))
			return true;
	guest_say("faults: no case %s", name);
	return false;
}

int guest_faults(int argc, char **argv)
{
	struct bench b = { 0 };
	char why[KVM_ERROR_MAX];

	for (int i = 0; i < argc; i++)
		if (!is_case(argv[i]))
			return EXIT_USAGE;
	clock_init();
	judge_log_skip(true);
	life_pin(0, 0);
	b.w = life_workload();
	if (!b.w || life_open(&b.host))
		return EXIT_ENVIRONMENT;
	if (rule("clear"))
		return EXIT_ENVIRONMENT;
	if (!healthy(&b, why, sizeof(why))) {
		guest_say("faults: before the first: %s", why);
		return EXIT_ENVIRONMENT;
	}
	for (size_t i = 0; i < NR_CASES; i++)
		if (is_asked(&cases[i], argc, argv))
			run_case(&b, &cases[i]);
	guest_say("faults: %u cases, %u findings", b.done, b.failed);
	kvm_host_close(&b.host);
	workload_free(b.w);
	return b.failed ? EXIT_REGRESSED : EXIT_FINE;
}
