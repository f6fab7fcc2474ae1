/* SPDX-License-Identifier: GPL-2.0-only */
/* The registers of a SEAMCALL, in the order of the kernel's header of this name. */
#ifndef SHIM_ASM_SHARED_TDX_H
#define SHIM_ASM_SHARED_TDX_H

#include "shim.h"

struct tdx_module_args {
	u64 rcx;
	u64 rdx;
	u64 r8;
	u64 r9;
	u64 r10;
	u64 r11;
	u64 r12;
	u64 r13;
	u64 r14;
	u64 r15;
	u64 rbx;
	u64 rdi;
	u64 rsi;
};

#endif
