/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The list of strategies: S(symbol, name). Adding one costs its file and its
 * line here. The default's and those chosen at boot only are named where that
 * matters; documentation names all.
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
