// SPDX-License-Identifier: GPL-2.0-only
/*
 * global-fast: the locking of series v6 as posted. A conditional increment
 * outside the lock, transitions under one spinlock for the whole host. The
 * baseline: the variant that upstream is about to take. On top of v6 it has the
 * BUSY tail of all strategies here, whose use is counted and expected to be 0.
 */
#include "locked.h"

#define lock_of(p, region) ((void)(region), &(p)->locks[0])

PAMT_LOCKED_OPS(global_fast, lock_of)

const struct pamt_ops pamt_global_fast_ops = {
	.name = "global-fast",
	.what = "series v6: conditional increment, transitions under one spinlock",
	.dynamic = true,
	.primitive = PAMT_PRIM_CMPXCHG,
	.has_locks = true,
	.get = pamt_global_fast_get,
	.put = pamt_global_fast_put,
	.demote = pamt_global_fast_demote,
	.promote = pamt_global_fast_promote,
	.users = locked_users,
};
