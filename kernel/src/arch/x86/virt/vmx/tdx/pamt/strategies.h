/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The list of strategies: S(symbol, name). Adding one costs its file and its
 * line here; nothing else in the tree names a strategy.
 */
#ifndef PAMT_STRATEGIES_H
#define PAMT_STRATEGIES_H

#define PAMT_STRATEGIES(S)            \
	S(null, "null")               \
	S(static, "static")           \
	S(global, "global")           \
	S(global_fast, "global-fast") \
	S(hashed, "hashed")           \
	S(rwlock, "rwlock")           \
	S(lockless, "lockless")

#endif
