/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of Dynamic PAMT. Addresses are those of the 2M region, but for get
 * and put, which name the page; leaf is enum pamt_leaf (ADD, REMOVE, DEMOTE,
 * PROMOTE), status the TDX module's answer.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tdx_pamt

#if !defined(_TRACE_TDX_PAMT_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_TDX_PAMT_H

#include <linux/tracepoint.h>
#include <linux/types.h>

TRACE_EVENT(tdx_pamt_get,
	TP_PROTO(u64 pfn, int error),
	TP_ARGS(pfn, error),
	TP_STRUCT__entry(
		__field(u64, pfn)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->pfn = pfn;
		__entry->error = error;
	),
	TP_printk("pfn=0x%llx error=%d", __entry->pfn, __entry->error)
);

TRACE_EVENT(tdx_pamt_put,
	TP_PROTO(u64 pfn),
	TP_ARGS(pfn),
	TP_STRUCT__entry(
		__field(u64, pfn)
	),
	TP_fast_assign(
		__entry->pfn = pfn;
	),
	TP_printk("pfn=0x%llx", __entry->pfn)
);

DECLARE_EVENT_CLASS(tdx_pamt_seamcall,
	TP_PROTO(u64 hpa, unsigned int leaf, u64 status),
	TP_ARGS(hpa, leaf, status),
	TP_STRUCT__entry(
		__field(u64, hpa)
		__field(u64, status)
		__field(unsigned int, leaf)
	),
	TP_fast_assign(
		__entry->hpa = hpa;
		__entry->status = status;
		__entry->leaf = leaf;
	),
	TP_printk("hpa=0x%llx leaf=%s status=0x%llx", __entry->hpa,
		  __print_symbolic(__entry->leaf, { 0, "ADD" }, { 1, "REMOVE" },
				   { 2, "DEMOTE" }, { 3, "PROMOTE" }),
		  __entry->status)
);

DEFINE_EVENT(tdx_pamt_seamcall, tdx_pamt_install,
	TP_PROTO(u64 hpa, unsigned int leaf, u64 status),
	TP_ARGS(hpa, leaf, status)
);

DEFINE_EVENT(tdx_pamt_seamcall, tdx_pamt_remove,
	TP_PROTO(u64 hpa, unsigned int leaf, u64 status),
	TP_ARGS(hpa, leaf, status)
);

DEFINE_EVENT(tdx_pamt_seamcall, tdx_pamt_busy,
	TP_PROTO(u64 hpa, unsigned int leaf, u64 status),
	TP_ARGS(hpa, leaf, status)
);

TRACE_EVENT(tdx_pamt_wait,
	TP_PROTO(void *what, bool same_region, u64 ns),
	TP_ARGS(what, same_region, ns),
	TP_STRUCT__entry(
		__field(void *, what)
		__field(u64, ns)
		__field(bool, same_region)
	),
	TP_fast_assign(
		__entry->what = what;
		__entry->ns = ns;
		__entry->same_region = same_region;
	),
	TP_printk("what=%p same_region=%d ns=%llu", __entry->what, __entry->same_region,
		  __entry->ns)
);

#endif

#include <trace/define_trace.h>
