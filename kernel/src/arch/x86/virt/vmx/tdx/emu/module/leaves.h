/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SEAMCALL leaves that the software module answers: number, function and
 * name, highest version. A new leaf is its function and one line here.
 */
#ifndef EMU_LEAVES_H
#define EMU_LEAVES_H

#define EMU_LEAVES(X)                                        \
	X(0, emu_tdh_vp_enter, TDH_VP_ENTER, 0)                  \
	X(1, emu_tdh_mng_addcx, TDH_MNG_ADDCX, 0)                \
	X(2, emu_tdh_mem_page_add, TDH_MEM_PAGE_ADD, 0)          \
	X(3, emu_tdh_mem_sept_add, TDH_MEM_SEPT_ADD, 1)          \
	X(4, emu_tdh_vp_addcx, TDH_VP_ADDCX, 0)                  \
	X(6, emu_tdh_mem_page_aug, TDH_MEM_PAGE_AUG, 0)          \
	X(7, emu_tdh_mem_range_block, TDH_MEM_RANGE_BLOCK, 0)    \
	X(8, emu_tdh_mng_key_config, TDH_MNG_KEY_CONFIG, 0)      \
	X(9, emu_tdh_mng_create, TDH_MNG_CREATE, 0)              \
	X(10, emu_tdh_vp_create, TDH_VP_CREATE, 0)               \
	X(11, emu_tdh_mng_rd, TDH_MNG_RD, 1)                     \
	X(15, emu_tdh_mem_page_demote, TDH_MEM_PAGE_DEMOTE, 0)   \
	X(16, emu_tdh_mr_extend, TDH_MR_EXTEND, 0)               \
	X(17, emu_tdh_mr_finalize, TDH_MR_FINALIZE, 0)           \
	X(18, emu_tdh_vp_flush, TDH_VP_FLUSH, 0)                 \
	X(19, emu_tdh_mng_vpflushdone, TDH_MNG_VPFLUSHDONE, 0)   \
	X(20, emu_tdh_mng_key_freeid, TDH_MNG_KEY_FREEID, 0)     \
	X(21, emu_tdh_mng_init, TDH_MNG_INIT, 0)                 \
	X(22, emu_tdh_vp_init, TDH_VP_INIT, 1)                   \
	X(23, emu_tdh_mem_page_promote, TDH_MEM_PAGE_PROMOTE, 1) \
	X(24, emu_tdh_phymem_page_rdmd, TDH_PHYMEM_PAGE_RDMD, 0) \
	X(26, emu_tdh_vp_rd, TDH_VP_RD, 1)                       \
	X(28, emu_tdh_phymem_page_reclaim, TDH_PHYMEM_PAGE_RECLAIM, 0) \
	X(29, emu_tdh_mem_page_remove, TDH_MEM_PAGE_REMOVE, 0)   \
	X(31, emu_tdh_sys_key_config, TDH_SYS_KEY_CONFIG, 0)     \
	X(33, emu_tdh_sys_init, TDH_SYS_INIT, 1)                 \
	X(34, emu_tdh_sys_rd, TDH_SYS_RD, 0)                     \
	X(35, emu_tdh_sys_lp_init, TDH_SYS_LP_INIT, 0)           \
	X(36, emu_tdh_sys_tdmr_init, TDH_SYS_TDMR_INIT, 0)       \
	X(38, emu_tdh_mem_track, TDH_MEM_TRACK, 0)               \
	X(40, emu_tdh_phymem_cache_wb, TDH_PHYMEM_CACHE_WB, 0)   \
	X(41, emu_tdh_phymem_page_wbinvd, TDH_PHYMEM_PAGE_WBINVD, 0) \
	X(43, emu_tdh_vp_wr, TDH_VP_WR, 0)                       \
	X(45, emu_tdh_sys_config, TDH_SYS_CONFIG, 0)             \
	X(52, emu_tdh_sys_shutdown, TDH_SYS_SHUTDOWN, 0)         \
	X(58, emu_tdh_phymem_pamt_add, TDH_PHYMEM_PAMT_ADD, 0)   \
	X(59, emu_tdh_phymem_pamt_remove, TDH_PHYMEM_PAMT_REMOVE, 0)

/* EMU_TDH_xxx: the leaf numbers, for RAX. */
enum emu_leaf {
#define EMU_LEAF_NUMBER(nr, fn, name, version) EMU_##name = nr,
	EMU_LEAVES(EMU_LEAF_NUMBER)
#undef EMU_LEAF_NUMBER
};

/* Version bits of RAX. */
#define EMU_LEAF_VERSION(v) ((u64)(v) << 16)

#endif
