/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests for tests of the software TDX module: a TD with an image and a mailbox,
 * a shared EPT as KVM keeps one, and a host that answers TD exits as KVM does, but
 * that each test may answer any of them itself. Time is a counter that every
 * look at it moves on, and that HLT moves to the armed deadline.
 */
#ifndef GUEST_WORLD_H
#define GUEST_WORLD_H

#include "emu/module/guest.h"
#include "tests/module_world.h"

#define G_VCPUS_MAX 4
#define G_TSC_FREQUENCY 0x58 /* x 25 MHz */
#define G_KHZ (G_TSC_FREQUENCY * 25000ULL)
#define G_IMAGE_PAGES 4
#define G_IMAGE (TD_IMAGE_END - G_IMAGE_PAGES * EMU_4K_SIZE)
#define G_PAYLOAD (TD_IMAGE_END - EMU_4K_SIZE)
#define G_TD_BOX 0x10000000ULL
#define G_ALL_BOX (G_TD_BOX + EMU_4K_SIZE)
#define G_VCPU_BOX (G_ALL_BOX + EMU_4K_SIZE)
#define G_SHARED_BIT 47
#define G_HOST_MEMORY 0x100000ULL /* outside the TDMRs */
#define G_PROGRAM_MAX 32

static u64 g_clock;

static u64 g_tsc(void)
{
	return __atomic_add_fetch(&g_clock, 100, __ATOMIC_RELAXED);
}

struct gvcpu {
	u64 vp;
	u64 box_gpa;
	struct vcpu_box *box;	/* its pages are contiguous */
	u64 deadline;		/* of the host's clock */
	u64 done;		/* what it said at TD_DONE_PORT; 0: nothing yet */
	struct tdx_module_args regs;	/* for the next entry, and of the last exit */
	u64 status;
};

struct guest_world {
	struct world w;
	struct wtd td;
	u64 next_host;
	u64 ept_root;
	struct td_box *td_box, *all_box;
	struct td_image image;
	struct td_record record[G_VCPUS_MAX];
	u8 bytes[G_IMAGE_PAGES * 4096];	/* the image */
	struct gvcpu vcpu[G_VCPUS_MAX];
	unsigned int nr;
	unsigned int faults, shared_faults, conversions, halts;
	u64 map_gpa_answer;
	u32 events[EMU_NR_EVENTS];
	struct emu_event last_event;
};

static void g_event(struct emu_module *m, const struct emu_event *e)
{
	struct guest_world *g = container_of(m, struct guest_world, w.m);

	g->events[e->type]++;
	g->last_event = *e;
}

static inline u64 g_host_page(struct guest_world *g)
{
	u64 page = g->next_host;

	g->next_host += EMU_4K_SIZE;
	return page;
}

/* ------------------------------------------------------------------ shared EPT */

static inline u64 g_ept_table(struct guest_world *g)
{
	u64 pa = g_host_page(g), *table = emu_va(&g->w.m, pa);
	unsigned int i;

	for (i = 0; i < 512; i++)
		table[i] = BIT_ULL(63);
	return pa;
}

static inline u64 *g_ept_entry(struct guest_world *g, u64 gpa)
{
	u64 *table = emu_va(&g->w.m, g->ept_root), *e;
	int level;

	gpa |= BIT_ULL(G_SHARED_BIT);
	for (level = 3;; level--) {
		e = &table[gpa >> (12 + 9 * level) & 511];
		if (!level)
			return e;
		if (!(*e & 7))
			*e = g_ept_table(g) | 7;
		table = emu_va(&g->w.m, *e & SEPT_PA_MASK);
	}
}

/* The host page behind a shared GPA: mailbox pages have theirs, others get one. */
static inline u64 g_backing(struct guest_world *g, u64 gpa)
{
	unsigned int i;

	if (gpa == G_TD_BOX)
		return (char *)g->td_box - (char *)g->w.m.mem;
	if (gpa == G_ALL_BOX)
		return (char *)g->all_box - (char *)g->w.m.mem;
	for (i = 0; i < g->nr; i++)
		if (gpa - g->vcpu[i].box_gpa < sizeof(struct vcpu_box))
			return (char *)g->vcpu[i].box - (char *)g->w.m.mem +
			       (gpa - g->vcpu[i].box_gpa);
	return g_host_page(g);
}

static inline void g_map_shared(struct guest_world *g, u64 gpa)
{
	gpa &= ~(BIT_ULL(G_SHARED_BIT) | (EMU_4K_SIZE - 1));
	*g_ept_entry(g, gpa) = g_backing(g, gpa) | 7;
}

/* -------------------------------------------------------------------- building */

static inline void g_set_program(struct guest_world *g, unsigned int vcpu, u64 at,
				 const struct td_insn *insn, unsigned int count)
{
	struct td_program p = { TD_PROGRAM_MAGIC, TD_PROGRAM_VERSION, count, 0, 64ULL << 20 };
	u8 *to = g->bytes + (at - G_IMAGE);

	memcpy(to, &p, sizeof(p));
	memcpy(to + sizeof(p), insn, count * sizeof(*insn));
	g->record[vcpu].program = at;
	g->record[vcpu].program_size = td_program_size(count);
}

/* A world with a TD of @nr vCPUs, INITIALIZED; g_load() makes it run. */
static inline void g_init(struct guest_world *g, unsigned int nr)
{
	struct w_td_params *p;
	unsigned int i;

	memset(g, 0, sizeof(*g));
	w_init(&g->w, true);
	g->w.m.contents = true;
	g->w.m.event = g_event;
	g->w.m.tsc = g_tsc;
	g->w.m.tsc_khz = G_KHZ;
	g->next_host = G_HOST_MEMORY;
	g->nr = nr;
	td_create(&g->w, &g->td, 0);
	CHECK_EQ(CALL(&g->w, TDH_MNG_KEY_CONFIG, .rcx = g->td.tdr), 0);
	for (i = 0; i < MIN_TDCS_PAGES; i++)
		CHECK_EQ(td_addcx(&g->w, &g->td), 0);
	p = w_params(&g->w);
	p->tsc_frequency = G_TSC_FREQUENCY;
	CHECK_EQ(td_init(&g->w, &g->td), 0);
	for (i = 0; i < nr; i++)
		g->vcpu[i].vp = td_vcpu_pages(&g->w, &g->td, W_VCPU_PAGES);

	g->ept_root = g_ept_table(g);
	g->td_box = emu_va(&g->w.m, g_host_page(g));
	g->all_box = emu_va(&g->w.m, g_host_page(g));
	g->td_box->magic = TD_MAILBOX_MAGIC;
	g->td_box->version = TD_IMAGE_VERSION;
	*g->all_box = *g->td_box;
	for (i = 0; i < TD_BARRIERS; i++) {
		g->td_box->barrier[i].members = nr;
		g->all_box->barrier[i].members = nr;
	}
	g->image = (struct td_image){
		.magic = TD_IMAGE_MAGIC, .version = TD_IMAGE_VERSION, .nr_vcpus = nr,
		.gpa = G_IMAGE, .payload_gpa = G_PAYLOAD, .memory_gpa = TD_MEMORY_GPA,
		.memory_size = 64ULL << 20, .td_box = G_TD_BOX, .all_box = G_ALL_BOX,
		.vcpu_box = G_VCPU_BOX, .shared_bit = G_SHARED_BIT,
	};
	for (i = 0; i < nr; i++) {
		struct gvcpu *v = &g->vcpu[i];

		v->box_gpa = G_VCPU_BOX + i * sizeof(struct vcpu_box);
		v->box = emu_va(&g->w.m, g->next_host);
		g->next_host += sizeof(struct vcpu_box);
		g->record[i] = (struct td_record){ TD_RECORD_MAGIC, i, G_IMAGE, 0, 0 };
	}
}

static inline u64 g_record_gpa(const struct guest_world *g, unsigned int i)
{
	return G_IMAGE + sizeof(struct td_image) + i * sizeof(struct td_record);
}

/* Initialise the vCPUs, add the image, finalise. */
static inline void g_load(struct guest_world *g)
{
	struct world *w = &g->w;
	u64 source = g_host_page(g), page, at;
	unsigned int i;

	memcpy(g->bytes, &g->image, sizeof(g->image));
	for (i = 0; i < g->nr; i++)
		memcpy(g->bytes + g_record_gpa(g, i) - G_IMAGE, &g->record[i],
		       sizeof(g->record[i]));
	for (i = 0; i < g->nr; i++) {
		struct gvcpu *v = &g->vcpu[i];

		CHECK_EQ(w_call(w, EMU_TDH_VP_INIT | EMU_LEAF_VERSION(1),
				(struct tdx_module_args){ .rcx = v->vp, .rdx = g_record_gpa(g, i),
							  .r8 = i }), 0);
		CHECK_EQ(CALL(w, TDH_VP_WR, .rcx = v->vp, .rdx = 0x203C, .r8 = g->ept_root,
			      .r9 = ~0ULL), 0);
		v->regs.rcx = v->vp;
	}
	td_tables(w, &g->td, G_IMAGE, 1);
	for (i = 0; i < G_IMAGE_PAGES; i++) {
		page = w_page(w);
		memcpy(emu_va(&w->m, source), g->bytes + i * EMU_4K_SIZE, EMU_4K_SIZE);
		CHECK_EQ(w_page_add(w, g->td.tdr, G_IMAGE + i * EMU_4K_SIZE, page, source), 0);
		td_give(&g->td, page);
		for (at = 0; at < EMU_4K_SIZE; at += 256)
			CHECK_EQ(CALL(w, TDH_MR_EXTEND, .rcx = G_IMAGE + i * EMU_4K_SIZE + at,
				      .rdx = g->td.tdr), 0);
	}
	CHECK_EQ(CALL(w, TDH_MR_FINALIZE, .rcx = g->td.tdr), 0);
}

/* One vCPU with @insn as its program, at a place where it crosses pages. */
static inline void g_start(struct guest_world *g, const struct td_insn *insn, unsigned int count)
{
	g_init(g, 1);
	g_set_program(g, 0, G_IMAGE + EMU_4K_SIZE - 40, insn, count);
	g_load(g);
}

static inline void g_exit(struct guest_world *g)
{
	unsigned int i;

	for (i = 0; i < g->nr; i++)
		CALL(&g->w, TDH_VP_FLUSH, .rcx = g->vcpu[i].vp);
	td_destroy(&g->w, &g->td);
	w_exit(&g->w);
}

/* --------------------------------------------------------------------- running */

/* One entry; the registers of the exit are in v->regs. */
static inline u64 g_enter(struct guest_world *g, unsigned int i)
{
	struct gvcpu *v = &g->vcpu[i];

	v->regs.rcx = v->vp;
	v->status = emu_seamcall(&g->w.m, EMU_TDH_VP_ENTER, &v->regs);
	return v->status;
}

static inline void g_aug(struct guest_world *g, u64 gpa)
{
	u64 page = w_page(&g->w);

	gpa &= ~(EMU_4K_SIZE - 1);
	td_tables(&g->w, &g->td, gpa, 1);
	CHECK_EQ(w_aug(&g->w, g->td.tdr, gpa, 0, page), 0);
	td_give(&g->td, page);
}

/* Take a page out of the TD, as KVM does; it is the host's again. 0, or why not. */
static inline u64 g_zap(struct guest_world *g, u64 gpa)
{
	u64 status = td_zap(&g->w, &g->td, gpa, 0), page = g->w.out.rcx & SEPT_PA_MASK;
	unsigned int i;

	if (status)
		return status;
	for (i = 0; i < g->td.nr_pages; i++)
		if (g->td.pages[i] == page)
			g->td.pages[i--] = g->td.pages[--g->td.nr_pages];
	return 0;
}

static inline void g_answer_vmcall(struct guest_world *g, struct gvcpu *v)
{
	struct tdx_module_args *a = &v->regs;
	u64 gpa = a->r12;

	a->r10 = 0;
	switch (a->r11) {
	case VMCALL_WRMSR:
		if (a->r12 == MSR_TSC_DEADLINE)
			v->deadline = a->r13 - td_cs(&g->w, &g->td)->tsc_offset;
		break;
	case VMCALL_HLT:
		g->halts++;
		if (v->deadline > __atomic_load_n(&g_clock, __ATOMIC_RELAXED))
			__atomic_store_n(&g_clock, v->deadline, __ATOMIC_RELAXED);
		break;
	case VMCALL_IO:
		CHECK_EQ(a->r12, 4);
		CHECK_EQ(a->r13, 1);
		CHECK_EQ(a->r14, TD_DONE_PORT);
		v->done = a->r15;
		break;
	case VMCALL_MAP_GPA:
		CHECK_EQ(a->r13, EMU_4K_SIZE);
		a->r10 = g->map_gpa_answer;
		if (a->r10)
			break;
		g->conversions++;
		if (gpa >> G_SHARED_BIT & 1) {
			gpa &= ~BIT_ULL(G_SHARED_BIT);
			/* Not mapped yet is fine. */
			g_zap(g, gpa);
		}
		break;
	}
	a->r11 = 0;
}

/* Answer the last exit as KVM and a VMM would. False: there is nothing to answer. */
static inline bool g_answer(struct guest_world *g, unsigned int i)
{
	struct gvcpu *v = &g->vcpu[i];

	switch (v->status) {
	case EXIT_OTHER_SMI:
		return true;
	case EXIT_EPT_VIOLATION:
		if (v->regs.r8 >> G_SHARED_BIT & 1) {
			g->shared_faults++;
			g_map_shared(g, v->regs.r8);
		} else {
			g->faults++;
			g_aug(g, v->regs.r8);
		}
		return true;
	case EXIT_TDCALL:
		g_answer_vmcall(g, v);
		return true;
	}
	return false;
}

/* Until the vCPU says that it is done, an exit that cannot be answered, or @max entries. */
static inline u64 g_run(struct guest_world *g, unsigned int i, unsigned int max)
{
	while (max-- && !g->vcpu[i].done) {
		g_enter(g, i);
		if (!g_answer(g, i))
			break;
	}
	return g->vcpu[i].done;
}

/* Until a VMCALL of this number comes, which is left to be answered. */
static inline bool g_run_to(struct guest_world *g, unsigned int i, u64 vmcall)
{
	unsigned int max = 10000;

	while (max--) {
		g_enter(g, i);
		if (g->vcpu[i].status == EXIT_TDCALL && g->vcpu[i].regs.r11 == vmcall)
			return true;
		if (!g_answer(g, i))
			return false;
	}
	return false;
}

static inline u32 g_events(const struct guest_world *g)
{
	u32 sum = 0;
	int i;

	for (i = 0; i < EMU_NR_EVENTS; i++)
		sum += g->events[i];
	return sum;
}

#endif
