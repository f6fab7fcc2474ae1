// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatcher: decodes RAX, refuses in the documented order [1.1], runs the
 * leaf, lets the executor pass time with the leaf's locks held, releases them.
 *
 * A leaf takes locks through its call and never releases them on its way out,
 * so what hold() sees is what the real module holds for the length of the call.
 */
#include "state.h"

#define RAX_LEAF 0xffffULL
#define RAX_VERSION_SHIFT 16
#define RAX_RESERVED GENMASK_ULL(62, 24)
#define RAX_SEAMLDR (1ULL << 63)

#define LEAF_LP_SHUTDOWN 44

/* SYS.* leaves that bring the module up: the only ones before SYS_READY. */
static bool leaf_runs_before_ready(u64 leaf)
{
	switch (leaf) {
	case 31: /* SYS.KEY.CONFIG */
	case 32: /* SYS.INFO */
	case 33: /* SYS.INIT */
	case 34: /* SYS.RD */
	case 35: /* SYS.LP.INIT */
	case 37: /* SYS.RDALL */
	case LEAF_LP_SHUTDOWN:
	case 45: /* SYS.CONFIG */
	case 53: /* SYS.UPDATE */
		return true;
	}
	return false;
}

static unsigned int leaf_max_version(u64 leaf)
{
	switch (leaf) {
#define LEAF_VERSION(nr, fn, name, version) \
	case nr:                            \
		return version;
		EMU_LEAVES(LEAF_VERSION)
#undef LEAF_VERSION
	}
	return 0;
}

static u64 leaf_run(struct emu_call *c)
{
	switch (c->leaf) {
#define LEAF_RUN(nr, fn, name, version) \
	case nr:                        \
		return fn(c);
		EMU_LEAVES(LEAF_RUN)
#undef LEAF_RUN
	}
	return EMU_OPERAND_INVALID | EMU_OP_RAX;
}

static u64 dispatch(struct emu_call *c, u64 rax)
{
	struct emu_module *m = c->m;
	u64 status;

	/* P-SEAMLDR is not there, and a module that failed a check of its own is gone. */
	if (unlikely(rax & RAX_SEAMLDR) || unlikely(READ_ONCE(m->fatal)))
		return EMU_SEAMCALL_VMFAILINVALID;
	if (unlikely(rax & RAX_RESERVED))
		return EMU_OPERAND_INVALID | EMU_OP_RAX;
	if (unlikely(c->version) && c->version > leaf_max_version(c->leaf))
		return EMU_OPERAND_INVALID | EMU_OP_RAX;
	if (unlikely(!smp_load_acquire(&m->ready))) {
		if (READ_ONCE(m->sys_state) == EMU_SYS_SHUTDOWN && c->leaf != LEAF_LP_SHUTDOWN)
			return EMU_SYS_SHUT_DOWN;
		if (!leaf_runs_before_ready(c->leaf))
			return EMU_SYS_NOT_READY;
	}
	if (m->inject) {
		status = m->inject(m, c);
		if (status)
			return status;
	}
	return leaf_run(c);
}

u64 emu_seamcall(struct emu_module *m, u64 rax, struct tdx_module_args *args)
{
	struct emu_call c;

	/* Field by field: locks[] is large and written before it is read. */
	c.m = m;
	c.args = args;
	c.leaf = rax & RAX_LEAF;
	c.version = (rax >> RAX_VERSION_SHIFT) & 0xff;
	c.status = 0;
	c.nr_locks = 0;

	c.status = dispatch(&c, rax);
	if (m->hold)
		m->hold(m, &c);
	call_unlock_to(&c, 0);
	return c.status;
}

const char *emu_leaf_name(u64 leaf)
{
	switch (leaf) {
#define LEAF_NAME(nr, fn, name, version) \
	case nr:                         \
		return #name;
		EMU_LEAVES(LEAF_NAME)
#undef LEAF_NAME
	}
	return NULL;
}

u64 emu_module_fatal(struct emu_call *c)
{
	struct emu_module *m = c->m;
	struct emu_event e = { .type = EMU_EVENT_FATAL, .what = emu_leaf_name(c->leaf) };

	xadd(&m->events[EMU_EVENT_FATAL], 1);
	if (m->event)
		m->event(m, &e);
	WRITE_ONCE(c->m->fatal, EMU_SEAMCALL_VMFAILINVALID);
	return EMU_SEAMCALL_VMFAILINVALID;
}
