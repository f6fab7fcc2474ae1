// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests under threads: two vCPUs touch the same pages over and over; at each exit
 * of one the host takes a page away, while the other runs, and uses it itself. A
 * vCPU that used a translation too long, or a page that was not accepted anew, is
 * seen by the module's checks and by ThreadSanitizer. Takes about a second.
 */
#include "tests/guest_world.h"

#include <pthread.h>
#include <sched.h>

#define VCPUS 2
#define PAGES 96
#define ROUNDS 200
#define GIVE_UP_NS 20000000000ULL

static struct guest_world g;
static pthread_mutex_t host = PTHREAD_MUTEX_INITIALIZER;
static u64 page_at[PAGES];	/* under host: the page behind each GPA, 0: none */
static u64 spare[PAGES];
static unsigned int nr_spare;
static unsigned long zaps, augs, busy, bad;
static __thread unsigned int my_lp;

static unsigned int thread_lp(struct emu_module *m)
{
	return my_lp;
}

/* Until it is neither BUSY nor waiting for vCPUs to leave. */
static void must(u64 leaf, struct tdx_module_args a)
{
	u64 end = shim_clock() + GIVE_UP_NS, status;

	for (;;) {
		struct tdx_module_args args = a;

		status = emu_seamcall(&g.w.m, leaf, &args);
		if (!status)
			return;
		if ((EMU_ST_CLASS(status) != EMU_OPERAND_BUSY &&
		     EMU_ST_CLASS(status) != EMU_PREVIOUS_TLB_EPOCH_BUSY &&
		     EMU_ST_CLASS(status) != EMU_TLB_TRACKING_NOT_DONE) || shim_clock() > end)
			break;
		busy++;
		sched_yield();
	}
	if (!bad++)
		printf("leaf %" PRIu64 ": %#" PRIx64 "\n", leaf, status);
}

static void fault(u64 gpa)
{
	unsigned int i = (gpa - TD_MEMORY_GPA) / TD_PAGE_4K;

	pthread_mutex_lock(&host);
	if (!page_at[i]) {
		page_at[i] = spare[--nr_spare];
		augs++;
		must(EMU_TDH_MEM_PAGE_AUG, (struct tdx_module_args){
			.rcx = TD_MEMORY_GPA + i * TD_PAGE_4K, .rdx = g.td.tdr, .r8 = page_at[i] });
	}
	pthread_mutex_unlock(&host);
}

static void zap(unsigned int i)
{
	u64 gpa = TD_MEMORY_GPA + i * TD_PAGE_4K;

	must(EMU_TDH_MEM_RANGE_BLOCK, (struct tdx_module_args){ .rcx = gpa, .rdx = g.td.tdr });
	must(EMU_TDH_MEM_TRACK, (struct tdx_module_args){ .rcx = g.td.tdr });
	must(EMU_TDH_MEM_PAGE_REMOVE, (struct tdx_module_args){ .rcx = gpa, .rdx = g.td.tdr });
	/* The page is the host's: it writes to all of it. */
	memset(emu_va(&g.w.m, page_at[i]), 0xaa, EMU_4K_SIZE);
	spare[nr_spare++] = page_at[i];
	page_at[i] = 0;
	zaps++;
}

/* The host wants one of the pages back: which one, goes round. */
static void zap_next(void)
{
	static unsigned int next;

	pthread_mutex_lock(&host);
	next = (next + 7) % PAGES;
	if (page_at[next])
		zap(next);
	pthread_mutex_unlock(&host);
}

static void *vcpu(void *arg)
{
	unsigned int i = (unsigned long)arg;
	struct gvcpu *v = &g.vcpu[i];
	u64 end = shim_clock() + GIVE_UP_NS;

	my_lp = i;
	while (!v->done && shim_clock() < end) {
		g_enter(&g, i);
		zap_next();
		if (v->status == EXIT_EPT_VIOLATION && !(v->regs.r8 >> G_SHARED_BIT & 1)) {
			fault(v->regs.r8);
			continue;
		}
		if (EMU_ST_CLASS(v->status) == EMU_OPERAND_BUSY)
			continue;
		pthread_mutex_lock(&host);
		if (!g_answer(&g, i))
			v->done = ~0ULL;
		pthread_mutex_unlock(&host);
	}
	return NULL;
}

static void vcpus_and_hosts(void)
{
	struct td_insn insn[ROUNDS + 2] = { { .op = TD_OP_BARRIER } };
	pthread_t thread[VCPUS];
	unsigned int i;

	for (i = 1; i <= ROUNDS; i++)
		insn[i] = (struct td_insn){ .op = TD_OP_TOUCH, .n = PAGES, .b = TD_PAGE_4K };
	g_init(&g, VCPUS);
	g.w.m.lp = thread_lp;
	g.w.m.hold = NULL;
	for (i = 0; i < VCPUS; i++)
		g_set_program(&g, i, G_IMAGE + 0x400 + i * 0x1500, insn, ROUNDS + 2);
	g_load(&g);
	for (i = 0; i < VCPUS; i++)
		must(EMU_TDH_VP_FLUSH, (struct tdx_module_args){ .rcx = g.vcpu[i].vp });
	td_tables(&g.w, &g.td, TD_MEMORY_GPA, 1);
	for (i = 0; i < PAGES; i++)
		spare[nr_spare++] = w_page(&g.w);
	for (i = 0; i < VCPUS; i++)
		pthread_create(&thread[i], NULL, vcpu, (void *)(unsigned long)i);
	for (i = 0; i < VCPUS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < VCPUS; i++) {
		CHECK_EQ(g.vcpu[i].done, TD_VCPU_DONE);
		CHECK_EQ(g.vcpu[i].box->touches, ROUNDS * PAGES);
		my_lp = i;
		must(EMU_TDH_VP_FLUSH, (struct tdx_module_args){ .rcx = g.vcpu[i].vp });
	}
	for (i = 0; i < PAGES; i++)
		if (page_at[i])
			zap(i);
	CHECK_EQ(bad, 0);
	CHECK(zaps > 4 * PAGES);
	CHECK_EQ(zaps, augs);
	CHECK_EQ(g_events(&g), 0);
	CHECK_EQ(td_cs(&g.w, &g.td)->refcount[0] | td_cs(&g.w, &g.td)->refcount[1], 0);
	printf("%lu pages taken and given back, %lu answers to try again\n", zaps, busy);
	g.w.m.lp = w_lp;
	g_exit(&g);
}

int main(void)
{
	test_begin("test_module_guest_mt");
	TEST(vcpus_and_hosts);
	return test_end();
}
