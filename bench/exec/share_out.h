/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dividing a page pair over the pages in use in its region, as PSS divides a shared
 * page over its mappers. Integers, so that the parts sum to the whole exactly.
 */
#ifndef DPAMT_SHARE_OUT_H
#define DPAMT_SHARE_OUT_H

#include <linux/types.h>

/*
 * @whole over @nr users in proportion to their @pages: added to *@bytes[i]. What does
 * not divide goes to the largest remainders. @rem: room for @nr.
 */
static inline void share_out(u64 whole, unsigned int nr, const unsigned int *pages,
			     u64 *const *bytes, u64 *rem)
{
	u64 left = whole, total = 0;
	unsigned int j, best;

	for (j = 0; j < nr; j++)
		total += pages[j];
	for (j = 0; j < nr; j++) {
		u64 part = whole * pages[j];

		*bytes[j] += part / total;
		rem[j] = part % total;
		left -= part / total;
	}
	while (left && nr) {
		for (best = 0, j = 1; j < nr; j++)
			if (rem[j] > rem[best])
				best = j;
		(*bytes[best])++;
		rem[best] = 0;
		left--;
	}
}

#endif
