// SPDX-License-Identifier: GPL-2.0-only
/*
 * The physical address metadata table: explicit and implicit operands [1.5.2],
 * the page checks in their order [1.5.3], TDH.PHYMEM.PAMT.ADD and REMOVE
 * [1.5.4, 1.5.5], and the merging and splitting of entries for PROMOTE and
 * DEMOTE [1.6.3].
 *
 * An explicit operand holds its 1G and 2M entries shared for the whole call;
 * one that needs the 2M entry exclusively promotes its shared lock, which two
 * walkers at once cannot. An implicit operand touches its leaf entry only.
 */
#include "state.h"

#define ENTRIES_PER_PAMT_PAGE (EMU_ENTRIES / 2)
#define RANGE_LEVEL_MASK 7ULL

/* ------------------------------------------------------------------ lookup */

const struct emu_tdmr *emu_pamt_tdmr(const struct emu_module *m, u64 pa)
{
	unsigned int i;

	for (i = 0; i < m->nr_tdmrs; i++) {
		const struct emu_tdmr *t = &m->tdmr[i];

		if (pa - t->base < smp_load_acquire(&t->initialised))
			return t;
	}
	return NULL;
}

struct pamt_entry *emu_pamt_1g(const struct emu_module *m, const struct emu_tdmr *t, u64 pa)
{
	return (struct pamt_entry *)emu_va(m, t->pamt_1g_base) + ((pa - t->base) >> EMU_1G_SHIFT);
}

struct pamt_entry *emu_pamt_2m(const struct emu_module *m, const struct emu_tdmr *t, u64 pa)
{
	return (struct pamt_entry *)emu_va(m, t->pamt_2m_base) + ((pa - t->base) >> EMU_2M_SHIFT);
}

struct pamt_entry *emu_pamt_4k_static(const struct emu_module *m, const struct emu_tdmr *t, u64 pa)
{
	return (struct pamt_entry *)emu_va(m, t->pamt_4k_base) + ((pa - t->base) >> EMU_4K_SHIFT);
}

static u64 node_page(const struct pamt_entry *node, unsigned int page)
{
	return page ? READ_ONCE(node->info) >> NODE_PFN_SHIFT << EMU_4K_SHIFT : pamt_owner(node);
}

struct pamt_entry *emu_pamt_4k_of_node(const struct emu_module *m, const struct pamt_entry *node,
				       u64 pa)
{
	unsigned long index = (pa >> EMU_4K_SHIFT) & (EMU_ENTRIES - 1);
	struct pamt_entry *e = emu_va(m, node_page(node, index >= ENTRIES_PER_PAMT_PAGE));

	return e + index % ENTRIES_PER_PAMT_PAGE;
}

static unsigned long *bitmap(const struct emu_module *m, const struct emu_tdmr *t)
{
	return emu_va(m, t->pamt_4k_base);
}

static unsigned long bitmap_index(const struct emu_tdmr *t, u64 pa)
{
	return (pa - t->base) >> EMU_4K_SHIFT;
}

bool emu_pamt_page_in_use(const struct emu_module *m, const struct emu_tdmr *t, u64 pa)
{
	return test_bit(bitmap_index(t, pa), bitmap(m, t));
}

bool emu_hpa_is_valid(const struct emu_module *m, u64 pa, unsigned int level)
{
	return IS_ALIGNED(pa, level_size(level)) && pa < m->max_pa;
}

/* -------------------------------------------------------- explicit operands */

static u64 walk_failed(struct emu_call *c, unsigned int nr, unsigned int op)
{
	call_unlock_to(c, nr);
	return EMU_OPERAND_BUSY | op;
}

u64 emu_pamt_walk(struct emu_call *c, const struct emu_tdmr *t, u64 pa, enum emu_level target,
		  bool ex, unsigned int op, struct pamt_ref *ref)
{
	const struct emu_module *m = c->m;
	unsigned int nr = c->nr_locks;
	struct pamt_entry *e = emu_pamt_1g(m, t, pa);
	u8 type;

	ref->node = NULL;
	if (!call_lock(c, &e->lock, EMU_LOCK_SH))
		return walk_failed(c, nr, op);
	if (unlikely(target == EMU_LEVEL_1G) || unlikely(READ_ONCE(e->type) != EMU_PT_NDA)) {
		ref->level = EMU_LEVEL_1G;
		goto stop;
	}

	e = emu_pamt_2m(m, t, pa);
	if (!call_lock(c, &e->lock, EMU_LOCK_SH))
		return walk_failed(c, nr, op);
	type = READ_ONCE(e->type);
	if (target == EMU_LEVEL_2M || (m->dynamic ? type != EMU_PT_PAMT : type != EMU_PT_NDA)) {
		ref->level = EMU_LEVEL_2M;
		goto stop;
	}

	if (m->dynamic) {
		ref->node = e;
		e = emu_pamt_4k_of_node(m, e, pa);
	} else {
		e = emu_pamt_4k_static(m, t, pa);
	}
	if (!call_lock(c, &e->lock, ex ? EMU_LOCK_EX : EMU_LOCK_SH))
		return walk_failed(c, nr, op);
	ref->level = EMU_LEVEL_4K;
	ref->entry = e;
	return 0;
stop:
	if (ex && !call_promote(c))
		return walk_failed(c, nr, op);
	ref->entry = e;
	return 0;
}

/* Is the page or range found by a walk what the leaf expects? */
static u64 check_type(const struct emu_module *m, const struct emu_tdmr *t, u64 pa,
		      enum emu_page_type expected, enum emu_level level, const struct pamt_ref *ref)
{
	u8 type = READ_ONCE(ref->entry->type);

	if (unlikely(ref->level != level)) {
		if (m->dynamic && ref->level == EMU_LEVEL_2M && type == EMU_PT_NDA &&
		    expected == EMU_PT_NDA)
			return EMU_MISSING_PAMT_PAGE_PAIR;
		return EMU_PAGE_METADATA_INCORRECT;
	}
	if (type != expected)
		return EMU_PAGE_METADATA_INCORRECT;
	if (m->dynamic && level == EMU_LEVEL_4K && type == EMU_PT_NDA &&
	    emu_pamt_page_in_use(m, t, pa))
		return EMU_PAGE_METADATA_INCORRECT;
	return 0;
}

u64 emu_pamt_lock_page(struct emu_call *c, u64 pa, enum emu_page_type type, bool ex,
		       unsigned int op, struct pamt_ref *ref)
{
	const struct emu_module *m = c->m;
	unsigned int nr = c->nr_locks;
	const struct emu_tdmr *t;
	u64 status;

	if (!emu_hpa_is_valid(m, pa, EMU_LEVEL_4K))
		return EMU_OPERAND_INVALID | op;
	t = emu_pamt_tdmr(m, pa);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | op;
	status = emu_pamt_walk(c, t, pa, EMU_LEVEL_4K, ex, op, ref);
	if (status)
		return status;
	status = check_type(m, t, pa, type, EMU_LEVEL_4K, ref);
	if (likely(!status))
		return 0;
	call_unlock_to(c, nr);
	return status | op;
}

static bool bitmap_range_is_zero(const struct emu_module *m, const struct emu_tdmr *t, u64 pa)
{
	unsigned long first = bitmap_index(t, pa), i;
	unsigned long *map = bitmap(m, t);

	if (EMU_ENTRIES < 64) {
		unsigned long mask = ((1UL << (EMU_ENTRIES % 64)) - 1) << first % 64;

		return !(READ_ONCE(map[first / 64]) & mask);
	}
	for (i = first / 64; i < (first + EMU_ENTRIES) / 64; i++)
		if (READ_ONCE(map[i]))
			return false;
	return true;
}

static bool static_range_is_free(const struct emu_module *m, const struct emu_tdmr *t, u64 pa)
{
	struct pamt_entry *e = emu_pamt_4k_static(m, t, pa);
	unsigned long i;

	for (i = 0; i < EMU_ENTRIES; i++)
		if (READ_ONCE(e[i].type) != EMU_PT_NDA)
			return false;
	return true;
}

u64 emu_pamt_lock_free_range(struct emu_call *c, u64 pa, enum emu_level level, unsigned int op,
			     struct pamt_ref *ref)
{
	const struct emu_module *m = c->m;
	unsigned int nr = c->nr_locks;
	const struct emu_tdmr *t;
	u64 status;

	if (level == EMU_LEVEL_4K)
		return emu_pamt_lock_page(c, pa, EMU_PT_NDA, true, op, ref);
	if (!emu_hpa_is_valid(m, pa, level))
		return EMU_OPERAND_INVALID | op;
	t = emu_pamt_tdmr(m, pa);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | op;
	status = emu_pamt_walk(c, t, pa, level, true, op, ref);
	if (status)
		return status;
	status = check_type(m, t, pa, EMU_PT_NDA, level, ref);
	if (!status &&
	    !(m->dynamic ? bitmap_range_is_zero(m, t, pa) : static_range_is_free(m, t, pa)))
		status = EMU_PAGE_METADATA_INCORRECT;
	if (!status)
		return 0;
	call_unlock_to(c, nr);
	return status | op;
}

/* -------------------------------------------------------- implicit operands */

struct pamt_entry *emu_pamt_implicit(struct emu_call *c, u64 pa, enum emu_level level,
				     struct pamt_ref *ref)
{
	const struct emu_module *m = c->m;
	const struct emu_tdmr *t = emu_pamt_tdmr(m, pa);
	struct pamt_entry *e;
	u8 type;

	ref->node = NULL;
	ref->level = level;
	if (!t)
		goto corrupted;
	if (level == EMU_LEVEL_1G) {
		e = emu_pamt_1g(m, t, pa);
	} else if (level == EMU_LEVEL_2M) {
		e = emu_pamt_2m(m, t, pa);
	} else if (m->dynamic) {
		ref->node = emu_pamt_2m(m, t, pa);
		if (READ_ONCE(ref->node->type) != EMU_PT_PAMT)
			goto corrupted;
		e = emu_pamt_4k_of_node(m, ref->node, pa);
	} else {
		e = emu_pamt_4k_static(m, t, pa);
	}
	type = READ_ONCE(e->type);
	if (type == EMU_PT_NDA || type == EMU_PT_RSVD || type == EMU_PT_PAMT)
		goto corrupted;
	ref->entry = e;
	return e;
corrupted:
	emu_module_fatal(c);
	return NULL;
}

u64 emu_pamt_lock_implicit(struct emu_call *c, u64 pa, enum emu_level level, bool ex,
			   unsigned int op, struct pamt_ref *ref)
{
	struct pamt_entry *e = emu_pamt_implicit(c, pa, level, ref);

	if (!e)
		return EMU_SEAMCALL_VMFAILINVALID;
	if (!call_lock(c, &e->lock, ex ? EMU_LOCK_EX : EMU_LOCK_SH))
		return EMU_OPERAND_BUSY | op;
	return 0;
}

u64 emu_pamt_memory_owner(const struct emu_module *m, u64 pa)
{
	const struct emu_tdmr *t = emu_pamt_tdmr(m, pa);
	const struct pamt_entry *e;
	u8 type;

	if (!t)
		return 0;
	e = emu_pamt_1g(m, t, pa);
	if (READ_ONCE(e->type) == EMU_PT_NDA) {
		e = emu_pamt_2m(m, t, pa);
		type = READ_ONCE(e->type);
		if (m->dynamic && type == EMU_PT_PAMT)
			e = emu_pamt_4k_of_node(m, e, pa);
		else if (!m->dynamic && type == EMU_PT_NDA)
			e = emu_pamt_4k_static(m, t, pa);
	}
	return READ_ONCE(e->type) == EMU_PT_REG ? pamt_owner(e) : 0;
}

void emu_pamt_assign(struct pamt_ref *ref, enum emu_page_type type, u64 owner)
{
	struct pamt_entry *e = ref->entry;

	pamt_set_owner(e, owner);
	WRITE_ONCE(e->info, 0);
	WRITE_ONCE(e->type, type);
	if (ref->node)
		xadd(&ref->node->info, 1);
}

u64 emu_pamt_free(struct pamt_ref *ref)
{
	struct pamt_entry *e = ref->entry;

	pamt_set_owner(e, 0);
	/* The order is the real module's, and so is its race with PAMT.REMOVE [1.5.5]. */
	WRITE_ONCE(e->type, EMU_PT_NDA);
	if (ref->node && NODE_COUNT(xadd(&ref->node->info, (u64)-1)) == 1)
		return EMU_HINT_EMPTY;
	return 0;
}

/* --------------------------------------------------- PAMT.ADD, PAMT.REMOVE */

/* A PAMT page operand that lies in a region of its own: must be free [steps 8, 9]. */
static u64 lock_new_pamt_page(struct emu_call *c, const struct emu_tdmr *t, u64 pa, unsigned int op)
{
	struct pamt_ref ref;
	u64 status = emu_pamt_walk(c, t, pa, EMU_LEVEL_4K, false, op, &ref);

	if (status)
		return status;
	return READ_ONCE(ref.entry->type) == EMU_PT_NDA ? 0 : EMU_PAGE_NOT_FREE | op;
}

/* Both pages become PAMT pages, or none [step 11]. */
static u64 claim_pamt_pages(struct emu_call *c, const struct emu_tdmr *const t[2],
			    const u64 page[2], unsigned int op0)
{
	const struct emu_module *m = c->m;

	if (test_and_set_bit(bitmap_index(t[0], page[0]), bitmap(m, t[0])))
		return EMU_PAGE_NOT_FREE | op0;
	if (!test_and_set_bit(bitmap_index(t[1], page[1]), bitmap(m, t[1])))
		return 0;
	clear_bit(bitmap_index(t[0], page[0]), bitmap(m, t[0]));
	return EMU_PAGE_NOT_FREE | (op0 == EMU_OP_RDX ? EMU_OP_R8 : EMU_OP_R13);
}

/* The locked 2M entry becomes a node over two filled pages. */
static void make_node(struct pamt_entry *e, const u64 page[2], u64 count)
{
	pamt_set_owner(e, page[0]);
	WRITE_ONCE(e->info, page[1] >> EMU_4K_SHIFT << NODE_PFN_SHIFT | count);
	smp_store_release(&e->type, EMU_PT_PAMT);
}

/* RCX of both leaves: a 2M region and its level, 1. */
static u64 parse_region(const struct emu_module *m, u64 rcx, u64 *region)
{
	*region = rcx & ~RANGE_LEVEL_MASK;
	if ((rcx & RANGE_LEVEL_MASK) != EMU_LEVEL_2M || !emu_hpa_is_valid(m, *region, EMU_LEVEL_2M))
		return EMU_OPERAND_INVALID | EMU_OP_RCX;
	return 0;
}

static u64 parse_pamt_page(const struct emu_module *m, u64 pa, unsigned int op,
			   const struct emu_tdmr **t)
{
	if (!emu_hpa_is_valid(m, pa, EMU_LEVEL_4K))
		return EMU_OPERAND_INVALID | op;
	*t = emu_pamt_tdmr(m, pa);
	return *t ? 0 : EMU_OPERAND_ADDR_RANGE_ERROR | op;
}

u64 emu_tdh_phymem_pamt_add(struct emu_call *c)
{
	struct emu_module *m = c->m;
	const u64 page[2] = { c->args->rdx, c->args->r8 };
	const unsigned int op[2] = { EMU_OP_RDX, EMU_OP_R8 };
	const struct emu_tdmr *t, *pt[2];
	struct pamt_ref ref;
	u64 region, status;
	int i;

	if (!m->dynamic)
		return EMU_OPERAND_INVALID | EMU_OP_RAX;
	status = parse_region(m, c->args->rcx, &region);
	for (i = 0; i < 2 && !status; i++)
		status = parse_pamt_page(m, page[i], op[i], &pt[i]);
	if (status)
		return status;
	t = emu_pamt_tdmr(m, region);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX;

	status = emu_pamt_walk(c, t, region, EMU_LEVEL_2M, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	if (ref.level != EMU_LEVEL_2M || READ_ONCE(ref.entry->type) != EMU_PT_NDA)
		return EMU_HPA_RANGE_NOT_FREE | EMU_OP_RCX;
	for (i = 0; i < 2; i++) {
		if (page[i] >> EMU_2M_SHIFT == region >> EMU_2M_SHIFT)
			continue;
		status = lock_new_pamt_page(c, pt[i], page[i], op[i]);
		if (status)
			return status;
	}
	status = claim_pamt_pages(c, pt, page, EMU_OP_RDX);
	if (status)
		return status;
	for (i = 0; i < 2; i++)
		memset(emu_va(m, page[i]), 0, ENTRIES_PER_PAMT_PAGE * sizeof(struct pamt_entry));
	make_node(ref.entry, page, 0);
	return 0;
}

/* The first PAMT page with an entry in use, or -1. */
static int node_used_page(const struct emu_module *m, const struct pamt_entry *node)
{
	unsigned long i;
	int page;

	for (page = 0; page < 2; page++) {
		struct pamt_entry *e = emu_va(m, node_page(node, page));

		for (i = 0; i < ENTRIES_PER_PAMT_PAGE; i++)
			if (READ_ONCE(e[i].type) != EMU_PT_NDA)
				return page;
	}
	return -1;
}

/* The locked node is no more; its pages are the host's again, in pair[]. */
static u64 release_pair(struct emu_call *c, struct pamt_entry *node, u64 pair[2])
{
	const struct emu_module *m = c->m;
	int i;

	for (i = 0; i < 2; i++) {
		const struct emu_tdmr *t;

		pair[i] = node_page(node, i);
		t = emu_pamt_tdmr(m, pair[i]);
		if (!t)
			return emu_module_fatal(c);
		clear_bit(bitmap_index(t, pair[i]), bitmap(m, t));
	}
	return 0;
}

u64 emu_tdh_phymem_pamt_remove(struct emu_call *c)
{
	struct emu_module *m = c->m;
	const struct emu_tdmr *t;
	struct pamt_ref ref;
	u64 region, status, pair[2];
	int page;

	if (!m->dynamic)
		return EMU_OPERAND_INVALID | EMU_OP_RAX;
	status = parse_region(m, c->args->rcx, &region);
	if (status)
		return status;
	t = emu_pamt_tdmr(m, region);
	if (!t)
		return EMU_OPERAND_ADDR_RANGE_ERROR | EMU_OP_RCX;
	status = emu_pamt_walk(c, t, region, EMU_LEVEL_2M, true, EMU_OP_RCX, &ref);
	if (status)
		return status;
	if (ref.level != EMU_LEVEL_2M || READ_ONCE(ref.entry->type) != EMU_PT_PAMT)
		return EMU_NO_PAMT_PAGE_PAIR | EMU_OP_RCX;
	page = node_used_page(m, ref.entry);
	if (page >= 0)
		return EMU_PAMT_PAGE_NOT_EMPTY | (unsigned int)page;
	if (NODE_COUNT(READ_ONCE(ref.entry->info)))
		return emu_module_fatal(c);

	status = release_pair(c, ref.entry, pair);
	if (status)
		return status;
	pamt_set_owner(ref.entry, 0);
	WRITE_ONCE(ref.entry->info, 0);
	WRITE_ONCE(ref.entry->type, EMU_PT_NDA);
	c->args->rdx = pair[0];
	c->args->r8 = pair[1];
	return 0;
}

/* --------------------------------------------------------- PROMOTE, DEMOTE */

/* The first entry one level below the entry of @level at @pa, in an array. */
static struct pamt_entry *child_array(const struct emu_module *m, const struct emu_tdmr *t, u64 pa,
				      enum emu_level level)
{
	return level == EMU_LEVEL_1G ? emu_pamt_2m(m, t, pa) : emu_pamt_4k_static(m, t, pa);
}

u64 emu_pamt_promote(struct emu_call *c, u64 pa, enum emu_level level, u64 pair[2])
{
	struct emu_module *m = c->m;
	const struct emu_tdmr *t = emu_pamt_tdmr(m, pa);
	bool node = m->dynamic && level == EMU_LEVEL_2M;
	struct pamt_entry *e =
		level == EMU_LEVEL_1G ? emu_pamt_1g(m, t, pa) : emu_pamt_2m(m, t, pa);
	struct pamt_entry *child;
	unsigned long i;
	u64 owner;

	if (READ_ONCE(e->type) != (node ? EMU_PT_PAMT : EMU_PT_NDA))
		return emu_module_fatal(c);
	if (!call_lock(c, &e->lock, EMU_LOCK_EX))
		return EMU_OPERAND_BUSY | EMU_OP_RCX;
	child = node ? emu_pamt_4k_of_node(m, e, pa) : child_array(m, t, pa, level);
	owner = pamt_owner(child);
	if (node) {
		u64 status = release_pair(c, e, pair);

		if (status)
			return status;
	} else {
		for (i = 0; i < EMU_ENTRIES; i++) {
			if (READ_ONCE(child[i].type) != EMU_PT_REG ||
			    pamt_owner(&child[i]) != owner)
				return emu_module_fatal(c);
			WRITE_ONCE(child[i].type, EMU_PT_NDA);
			pamt_set_owner(&child[i], 0);
		}
	}
	pamt_set_owner(e, owner);
	WRITE_ONCE(e->info, 0);
	WRITE_ONCE(e->type, EMU_PT_REG);
	return 0;
}

static void fill_children(struct pamt_entry *child, unsigned long nr, u64 owner)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		pamt_set_owner(&child[i], owner);
		WRITE_ONCE(child[i].info, 0);
		WRITE_ONCE(child[i].type, EMU_PT_REG);
	}
}

/* DEMOTE's PAMT pages: formats of both, ranges of both, then each page. */
static u64 lock_demote_pages(struct emu_call *c, const u64 page[2], const struct emu_tdmr *t[2])
{
	const unsigned int op[2] = { EMU_OP_R12, EMU_OP_R13 };
	struct emu_module *m = c->m;
	u64 status;
	int i;

	for (i = 0; i < 2; i++)
		if (!emu_hpa_is_valid(m, page[i], EMU_LEVEL_4K))
			return EMU_OPERAND_INVALID | op[i];
	for (i = 0; i < 2; i++) {
		t[i] = emu_pamt_tdmr(m, page[i]);
		if (!t[i])
			return EMU_OPERAND_ADDR_RANGE_ERROR | op[i];
	}
	for (i = 0; i < 2; i++) {
		status = lock_new_pamt_page(c, t[i], page[i], op[i]);
		if (status)
			return status;
	}
	return claim_pamt_pages(c, t, page, EMU_OP_R12);
}

u64 emu_pamt_demote(struct emu_call *c, u64 pa, enum emu_level level, u64 page0, u64 page1)
{
	struct emu_module *m = c->m;
	const struct emu_tdmr *t = emu_pamt_tdmr(m, pa), *pt[2];
	struct pamt_entry *e =
		level == EMU_LEVEL_1G ? emu_pamt_1g(m, t, pa) : emu_pamt_2m(m, t, pa);
	const u64 page[2] = { page0, page1 };
	u64 owner, status;
	int i;

	if (READ_ONCE(e->type) != EMU_PT_REG)
		return emu_module_fatal(c);
	if (!call_lock(c, &e->lock, EMU_LOCK_EX))
		return EMU_OPERAND_BUSY | EMU_OP_RCX;
	owner = pamt_owner(e);
	if (m->dynamic && level == EMU_LEVEL_2M) {
		status = lock_demote_pages(c, page, pt);
		if (status)
			return status;
		for (i = 0; i < 2; i++) {
			struct pamt_entry *child = emu_va(m, page[i]);

			memset(child, 0, ENTRIES_PER_PAMT_PAGE * sizeof(*child));
			fill_children(child, ENTRIES_PER_PAMT_PAGE, owner);
		}
		make_node(e, page, EMU_ENTRIES);
		return 0;
	}
	fill_children(child_array(m, t, pa, level), EMU_ENTRIES, owner);
	pamt_set_owner(e, 0);
	WRITE_ONCE(e->info, 0);
	WRITE_ONCE(e->type, EMU_PT_NDA);
	return 0;
}
