/* SPDX-License-Identifier: GPL-2.0-only */
/* libc's own headers include this name too: give them theirs first. */
#include_next <linux/types.h>
#include "shim.h"
