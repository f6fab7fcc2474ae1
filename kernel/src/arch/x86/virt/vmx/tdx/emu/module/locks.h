/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's locks [1.4]. All are try-locks; nothing ever waits for one.
 *
 * sharex with host priority, 16 bits: bit 0 exclusive, bit 1 host priority,
 * bits 15:2 readers. A shared attempt that meets an exclusive owner leaves its
 * reader counted: the owner's release wipes all but the priority bit. The
 * priority bit is set by a host attempt that failed and cleared by one that
 * succeeded; only guest-side attempts give way to it.
 *
 * Every acquisition is recorded in the call and released by the dispatcher in
 * reverse order, so a leaf returns from anywhere without unlocking.
 */
#ifndef EMU_LOCKS_H
#define EMU_LOCKS_H

#include "module.h"

#define SHAREX_EX 1u
#define SHAREX_HP 2u
#define SHAREX_READER 4u
#define SHAREX_PLAIN_READER 2u

#define SEPTE_LOCK 1ULL
#define SEPTE_HP 2ULL

/* No owner, of either kind; the priority bit alone does not lock. */
static inline bool sharex_is_free(u16 word)
{
	return !(word & ~SHAREX_HP);
}

static inline void sharex_set_hp(u16 *word)
{
	u16 old = READ_ONCE(*word);

	while (!(old & SHAREX_HP))
		if (try_cmpxchg(word, &old, old | SHAREX_HP))
			break;
}

static inline void sharex_clear_hp(u16 *word)
{
	u16 old = READ_ONCE(*word);

	while (old & SHAREX_HP)
		if (try_cmpxchg(word, &old, old & ~SHAREX_HP))
			break;
}

static inline bool sharex_try_sh(u16 *word)
{
	u16 old = xadd(word, (u16)SHAREX_READER);

	if (likely(!(old & (SHAREX_EX | SHAREX_HP))))
		return true;
	if (old & SHAREX_EX) {
		sharex_set_hp(word);
		return false;
	}
	sharex_clear_hp(word);
	return true;
}

/* A TDCALL's attempt: it gives way to a host that has asked for priority. */
static inline bool sharex_try_sh_guest(u16 *word)
{
	u16 old;

	if (READ_ONCE(*word) & (SHAREX_EX | SHAREX_HP))
		return false;
	old = xadd(word, (u16)SHAREX_READER);
	if (likely(!(old & (SHAREX_EX | SHAREX_HP))))
		return true;
	/* Under an exclusive owner the reader stays counted: the release wipes it. */
	if (!(old & SHAREX_EX))
		xadd(word, (u16)-SHAREX_READER);
	return false;
}

static inline bool sharex_try_ex(u16 *word)
{
	u16 old = 0;

	for (;;) {
		if (likely(try_cmpxchg(word, &old, SHAREX_EX)))
			return true;
		if (old & ~SHAREX_HP)
			break;
	}
	sharex_set_hp(word);
	return false;
}

/* Shared to exclusive, for the only reader; a failure keeps the shared lock. */
static inline bool sharex_try_promote(u16 *word)
{
	u16 old = SHAREX_READER;

	for (;;) {
		if (likely(try_cmpxchg(word, &old, SHAREX_EX)))
			return true;
		if ((old & ~SHAREX_HP) != SHAREX_READER)
			break;
	}
	sharex_set_hp(word);
	return false;
}

static inline void sharex_release_sh(u16 *word)
{
	xadd(word, (u16)-SHAREX_READER);
}

static inline void sharex_release_ex(u16 *word)
{
	u16 old = SHAREX_EX;

	while (!try_cmpxchg(word, &old, old & SHAREX_HP))
		;
}

/* The plain form: bit 0 exclusive, bits 15:1 readers; otherwise the same. */
static inline bool sharex_plain_try_sh(u16 *word)
{
	return !(xadd(word, (u16)SHAREX_PLAIN_READER) & SHAREX_EX);
}

static inline bool sharex_plain_try_ex(u16 *word)
{
	u16 old = 0;

	return try_cmpxchg(word, &old, SHAREX_EX);
}

static inline bool septe_try_lock(u64 *entry)
{
	u64 old = READ_ONCE(*entry);

	while (!(old & SEPTE_LOCK))
		if (likely(try_cmpxchg(entry, &old, (old | SEPTE_LOCK) & ~SEPTE_HP)))
			return true;
	while (!(old & SEPTE_HP))
		if (try_cmpxchg(entry, &old, old | SEPTE_HP))
			break;
	return false;
}

static inline bool septe_try_lock_guest(u64 *entry)
{
	u64 old = READ_ONCE(*entry);

	while (!(old & (SEPTE_LOCK | SEPTE_HP)))
		if (likely(try_cmpxchg(entry, &old, old | SEPTE_LOCK)))
			return true;
	return false;
}

static inline void septe_release(u64 *entry)
{
	xadd(entry, (u64)-SEPTE_LOCK);
}

static inline bool held_try(u16 *word, enum emu_lock_mode mode)
{
	switch (mode) {
	case EMU_LOCK_SH:
		return sharex_try_sh(word);
	case EMU_LOCK_EX:
		return sharex_try_ex(word);
	case EMU_LOCK_PLAIN_SH:
		return sharex_plain_try_sh(word);
	case EMU_LOCK_PLAIN_EX:
		return sharex_plain_try_ex(word);
	case EMU_LOCK_SEPTE:
		return septe_try_lock((u64 *)(void *)word);
	}
	return false;
}

static inline void held_release(u16 *word, enum emu_lock_mode mode)
{
	switch (mode) {
	case EMU_LOCK_SH:
		sharex_release_sh(word);
		break;
	case EMU_LOCK_EX:
		sharex_release_ex(word);
		break;
	case EMU_LOCK_PLAIN_SH:
		xadd(word, (u16)-SHAREX_PLAIN_READER);
		break;
	case EMU_LOCK_PLAIN_EX:
		xchg(word, 0);
		break;
	case EMU_LOCK_SEPTE:
		septe_release((u64 *)(void *)word);
		break;
	}
}

/* ----------------------------------------------- locks of a call in flight */

static inline bool call_lock(struct emu_call *c, u16 *word, enum emu_lock_mode mode)
{
	struct emu_held *held = &c->locks[c->nr_locks];

	if (unlikely(!held_try(word, mode)))
		return false;
	held->word = word;
	held->mode = mode;
	c->nr_locks++;
	return true;
}

/* A lock that a TDCALL takes, in mode EMU_LOCK_SH or EMU_LOCK_SEPTE. */
static inline bool call_lock_guest(struct emu_call *c, u16 *word, enum emu_lock_mode mode)
{
	struct emu_held *held = &c->locks[c->nr_locks];

	if (mode == EMU_LOCK_SH ? !sharex_try_sh_guest(word) :
				  !septe_try_lock_guest((u64 *)(void *)word))
		return false;
	held->word = word;
	held->mode = mode;
	c->nr_locks++;
	return true;
}

/* Make the lock taken last, a shared one, exclusive. */
static inline bool call_promote(struct emu_call *c)
{
	struct emu_held *held = &c->locks[c->nr_locks - 1];

	if (!sharex_try_promote(held->word))
		return false;
	held->mode = EMU_LOCK_EX;
	return true;
}

/* Release what was taken since the call held @nr locks. */
static inline void call_unlock_to(struct emu_call *c, unsigned int nr)
{
	while (c->nr_locks > nr) {
		struct emu_held *held = &c->locks[--c->nr_locks];

		held_release(held->word, held->mode);
	}
}

#endif
