// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as a vCPU sees it. Private addresses go through the S-EPT in the
 * module's own tables, with a TLB in front; shared ones through the host's
 * EPT, where SHARED_EPT_POINTER says it is, each time anew.
 *
 * Two checks that no processor makes: a page is touched only if the PAMT says
 * that it belongs to the TD, and a TLB hit must still be what the S-EPT says,
 * blocked or not, because a page leaves the S-EPT only when no vCPU can have a
 * translation of it left [1.7, TLB tracking].
 */
#include "guest.h"

#define SHARED_EPT_BITS 9
#define SHARED_EPT_RWX 7ULL
#define SHARED_EPT_LARGE BIT_ULL(7)
#define SHARED_EPT_SUPPRESS_VE BIT_ULL(63)
#define SHARED_EPT_PA GENMASK_ULL(51, 12)

/* A host that asked for priority and never came back: after so many tries the guest goes on. */
#define GIVE_WAY_MAX 1000

#define PAGE_BITS (EMU_4K_SIZE - 1)

/* ----------------------------------------------------------------------- TLB */

static struct tlb_entry *tlb_slot(const struct guest *g, u64 gpa)
{
	u64 page = gpa >> EMU_4K_SHIFT;

	return &g->tlb[(page ^ page >> 8) & (TLB_ENTRIES - 1)];
}

void guest_tlb_flush(struct tlb_entry *tlb)
{
	memset(tlb, 0, TLB_ENTRIES * sizeof(*tlb));
}

static void walk(const struct guest *g, u64 gpa, bool blocked, struct sept_ref *s)
{
	s->tdr = g->v.tdr;
	s->tdcs = g->v.tdcs;
	s->tdr_pa = g->v.tdr_pa;
	s->gpa = gpa;
	emu_sept_lookup(g->m, s, blocked);
}

/* The 4K page at @gpa within the leaf. */
static u64 leaf_page(const struct sept_ref *s, u64 gpa)
{
	return (s->value & SEPT_PA_MASK) | (gpa & (level_size(s->level) - 1) & ~PAGE_BITS);
}

/* Is the translation what the S-EPT says, and the page the TD's? */
static bool tlb_hit_is_true(struct guest *g, u64 gpa, u64 hpa)
{
	struct sept_ref s;

	if (emu_pamt_memory_owner(g->m, hpa) == g->v.tdr_pa) {
		walk(g, gpa, true, &s);
		if ((sept_state(s.value) == SEPT_MAPPED || sept_state(s.value) == SEPT_BLOCKED) &&
		    leaf_page(&s, gpa) == hpa)
			return true;
	}
	guest_event(g, EMU_EVENT_STALE_TLB, gpa, hpa, "a vCPU uses a stale translation");
	return false;
}

bool guest_cached(struct guest *g, u64 gpa, u64 *hpa)
{
	struct tlb_entry *e = tlb_slot(g, gpa);

	if (e->gpa != ((gpa & ~PAGE_BITS) | TLB_VALID))
		return false;
	if (!tlb_hit_is_true(g, gpa, e->hpa)) {
		e->gpa = 0;
		return false;
	}
	*hpa = e->hpa;
	return true;
}

static void tlb_fill(struct guest *g, u64 gpa, u64 hpa)
{
	struct tlb_entry *e = tlb_slot(g, gpa);

	e->gpa = (gpa & ~PAGE_BITS) | TLB_VALID;
	e->hpa = hpa;
}

/* ------------------------------------------------------------------- private */

static bool page_is_ours(struct guest *g, u64 gpa, u64 hpa)
{
	if (emu_pamt_memory_owner(g->m, hpa) == g->v.tdr_pa)
		return true;
	guest_event(g, EMU_EVENT_OWNERSHIP, gpa, hpa, "the S-EPT maps a page that is not the TD's");
	return false;
}

bool guest_would_fault(const struct guest *g, u64 gpa)
{
	struct sept_ref s;

	walk(g, gpa, false, &s);
	return sept_state(s.value) != SEPT_MAPPED && sept_state(s.value) != SEPT_PENDING;
}

static enum guest_site site_of(u64 qual)
{
	return qual & EPT_QUAL_FETCH ? SITE_FETCH : SITE_DATA;
}

int guest_private(struct guest *g, u64 gpa, u64 qual, u64 *hpa)
{
	struct sept_ref s;

	if (g->exited)
		return -TD_EAGAIN;
	if (gpa >> READ_ONCE(g->v.tdcs->gpa_bits))
		return -GUEST_EFAULT;
	if (guest_cached(g, gpa, hpa))
		return 0;
	walk(g, gpa, false, &s);
	switch (sept_state(s.value)) {
	case SEPT_MAPPED:
		break;
	case SEPT_PENDING:
		/* With #VE disabled for the TD, as Linux has it, this is the host's to see. */
		return guest_exit_ept(g, gpa, qual, EXT_QUAL_PENDING, site_of(qual));
	default:
		return guest_exit_ept(g, gpa, qual, EXT_QUAL_NONE, site_of(qual));
	}
	*hpa = leaf_page(&s, gpa);
	if (!page_is_ours(g, gpa, *hpa))
		return -GUEST_EFAULT;
	tlb_fill(g, gpa, *hpa);
	return 0;
}

int guest_read(struct guest *g, u64 gpa, void *to, size_t size)
{
	size_t part;
	u64 hpa;
	int ret;

	for (; size; size -= part, gpa += part, to = (char *)to + part) {
		ret = guest_private(g, gpa, EPT_QUAL_READ, &hpa);
		if (ret)
			return ret;
		part = min(size, (size_t)(EMU_4K_SIZE - (gpa & PAGE_BITS)));
		memcpy(to, (char *)emu_va(g->m, hpa) + (gpa & PAGE_BITS), part);
	}
	return 0;
}

/* ------------------------------------------------------------------- accepting */

/* The host wants a lock first, or has it: it gets time to. */
static int give_way(struct guest *g)
{
	g->r->gave_way++;
	return guest_exit(g, EXIT_OTHER_SMI);
}

static bool lock_guest(struct guest *g, u16 *word, enum emu_lock_mode mode)
{
	if (call_lock_guest(g->c, word, mode))
		return true;
	return g->r->gave_way >= GIVE_WAY_MAX && call_lock(g->c, word, mode);
}

/* The leaf is pending and locked: zero its pages and map it. */
static int accept_locked(struct guest *g, struct sept_ref *s, u64 gpa)
{
	u64 pa = s->value & SEPT_PA_MASK;

	if (!page_is_ours(g, gpa, pa))
		return -GUEST_EFAULT;
	memset(emu_va(g->m, pa), 0, level_size(s->level));
	emu_sept_set(s, sept_make(SEPT_MAPPED, pa));
	g->r->accepts += level_size(s->level) >> EMU_4K_SHIFT;
	return 1;
}

static u64 accept_qualification(const struct sept_ref *s)
{
	bool leaf = !(sept_state(s->value) & 0x80) && sept_state(s->value) != SEPT_FREE;

	/* Level asked for (4K), level and state of the entry found, is it a leaf. */
	return EXT_QUAL_ACCEPT | (u64)s->level << 35 | (u64)sept_state(s->value) << 38 |
	       (u64)leaf << 46;
}

int guest_accept(struct guest *g, u64 gpa, unsigned int *level)
{
	struct sept_ref s;
	unsigned int nr;
	int ret;

	if (g->exited)
		return -TD_EAGAIN;
	if (gpa >> READ_ONCE(g->v.tdcs->gpa_bits))
		return -GUEST_EFAULT;
	walk(g, gpa, false, &s);
	*level = s.level;
	if (sept_state(s.value) == SEPT_MAPPED)
		return 0;
	if (sept_state(s.value) != SEPT_PENDING)
		return guest_exit_ept(g, gpa, EPT_QUAL_WRITE, accept_qualification(&s),
				      SITE_ACCEPT);

	nr = g->c->nr_locks;
	if (!lock_guest(g, &g->v.tdcs->tree_lock, EMU_LOCK_SH))
		return give_way(g);
	walk(g, gpa, false, &s);
	if (!lock_guest(g, (u16 *)(void *)s.entry, EMU_LOCK_SEPTE)) {
		call_unlock_to(g->c, nr);
		return give_way(g);
	}
	g->r->gave_way = 0;
	s.value = READ_ONCE(*s.entry);
	/* If it is not pending any more the walk begins anew. */
	ret = -TD_EAGAIN;
	if (sept_state(s.value) == SEPT_PENDING)
		ret = accept_locked(g, &s, gpa);
	*level = s.level;
	call_unlock_to(g->c, nr);
	return ret;
}

/* --------------------------------------------------------------------- shared */

int guest_shared(struct guest *g, u64 gpa, void **va)
{
	u64 full = gpa | guest_shared_bit(g), *table, entry;
	u64 root = READ_ONCE(g->v.vp->field[VCPU_SHARED_EPTP]);
	int level = READ_ONCE(g->v.tdcs->pwl);

	if (g->exited)
		return -TD_EAGAIN;
	if (!root)
		return guest_exit_shutdown(g, "no shared EPT");
	table = emu_va(g->m, root);
	for (;; level--) {
		unsigned int shift = EMU_4K_SHIFT + level * SHARED_EPT_BITS;

		entry = READ_ONCE(table[full >> shift & (BIT(SHARED_EPT_BITS) - 1)]);
		if (!(entry & SHARED_EPT_RWX)) {
			/* #VE: device memory, which no image has business with. */
			if (!(entry & SHARED_EPT_SUPPRESS_VE))
				return guest_exit_shutdown(g, "the mailbox is not in memory");
			return guest_exit_ept(g, full, EPT_QUAL_WRITE, EXT_QUAL_NONE, SITE_DATA);
		}
		if (!(entry & EPT_QUAL_WRITE))
			return guest_exit_ept(g, full,
					      EPT_QUAL_WRITE | (entry & SHARED_EPT_RWX)
								       << EPT_QUAL_ALLOWS_SHIFT,
					      EXT_QUAL_NONE, SITE_DATA);
		if (!level || entry & SHARED_EPT_LARGE) {
			u64 pa = (entry & SHARED_EPT_PA & ~(BIT_ULL(shift) - 1)) |
				 (full & (BIT_ULL(shift) - 1));

			if (pa >= g->m->max_pa)
				return guest_exit_shutdown(g, "the shared EPT leads beyond memory");
			*va = emu_va(g->m, pa);
			return 0;
		}
		table = emu_va(g->m, entry & SHARED_EPT_PA & (BIT_ULL(g->m->hkid_shift) - 1));
	}
}
