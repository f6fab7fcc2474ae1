// SPDX-License-Identifier: GPL-2.0-only
/*
 * hashed: as global-fast, with a power-of-two array of spinlocks picked by a
 * multiplicative hash of the region (D. Hansen and K. Shutsemau, 2025). A hash
 * and not the low bits: TDs whose blocks lie a multiple of the array's size
 * apart would share locks for ever.
 *
 * Locks keyed by the target region do not keep PAMT.ADD from meeting an ADD
 * whose PAMT pages lie in that region, so this variant needs the BUSY tail.
 */
#include <linux/hash.h>

#include "locked.h"

#define HASHED_LOCK_BITS 8

#define lock_of(p, region) (&(p)->locks[hash_64((region), HASHED_LOCK_BITS)])

PAMT_LOCKED_OPS(hashed, lock_of)

const struct pamt_ops pamt_hashed_ops = {
	.name = "hashed",
	.what = "256 spinlocks picked by a hash of the region",
	.dynamic = true,
	.primitive = PAMT_PRIM_CMPXCHG,
	.has_locks = true,
	.lock_bits = HASHED_LOCK_BITS,
	.get = pamt_hashed_get,
	.put = pamt_hashed_put,
	.demote = pamt_hashed_demote,
	.promote = pamt_hashed_promote,
	.users = locked_users,
};
