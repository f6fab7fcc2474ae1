/* SPDX-License-Identifier: GPL-2.0-only */
/* The status codes that the strategies look at; names as in the kernel's header. */
#ifndef SHIM_ASM_SHARED_TDX_ERRNO_H
#define SHIM_ASM_SHARED_TDX_ERRNO_H

#define TDX_SEAMCALL_STATUS_MASK 0xFFFFFFFF00000000ULL
#define TDX_OPERAND_BUSY 0x8000020000000000ULL

#endif
