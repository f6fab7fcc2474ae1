/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cases of faults.c: rule, moment, KVM's words, what stays. Where nothing depends on
 * it, what BUSY names is the leaf's first operand.
 *
 * Three of them are first, because a leak leaves regions with a reference, in which no pair
 * is to be installed any more.
 */
/* What the emulated module's own line about it is. */
#define LEFT_BEHIND "TD 0x# is not gone: the module still has # tdcx, # tdvpr, # sept, # private\n"

static const struct fault_case cases[] = {
	/* The pair's own SEAMCALLs: no reference, no TD; a pair that stays has one. */
	{
		.name = "pamt-add", .when = AT_CREATE,
		.rule = "phymem.pamt.add busy:rcx 100%",
		.says = "WARN core.c\nWARN core.c\n",
	},
	{
		.name = "pamt-add-run", .when = AT_RUN,
		.rule = "phymem.pamt.add busy:rcx 100%",
		.says = "WARN core.c\nWARN core.c\nWARN tdx.c\n",
	},
	{
		/* asked twice before it is given up */
		.name = "pamt-remove", .when = AT_END,
		.rule = "phymem.pamt.remove busy:rcx 100% times=2",
		.says = "WARN core.c\nWARN core.c\n",
		.left = { .leaked = 1, .references = 1 },
	},
	/* Nothing has been given yet, or the teardown gets it back. */
	{
		.name = "mng-create", .when = AT_CREATE,
		.rule = "mng.create busy:kot 100%",
		.says = "WARN tdx.c\nTDH_MNG_CREATE 0x80000200000000ba\n",
	},
	{
		.name = "key-config", .when = AT_CREATE,
		.rule = "mng.key.config busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_MNG_KEY_CONFIG 0x8000020000000001\n",
	},
	{
		.name = "addcx", .when = AT_CREATE,
		.rule = "mng.addcx busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_MNG_ADDCX 0x8000020000000001\n",
	},
	{
		.name = "mng-init", .when = AT_CREATE,
		.rule = "mng.init busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_MNG_INIT 0x8000020000000001\n",
	},
	{
		.name = "vp-create", .when = AT_CREATE,
		.rule = "vp.create busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_VP_CREATE 0x8000020000000001\n",
	},
	{
		.name = "vp-addcx", .when = AT_CREATE,
		.rule = "vp.addcx busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_VP_ADDCX 0x8000020000000001\n",
	},
	{
		.name = "vp-init", .when = AT_CREATE,
		.rule = "vp.init busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_VP_INIT 0x8000020000000001\n",
	},
	{
		.name = "vp-wr", .when = AT_CREATE,
		.rule = "vp.wr busy:rcx 100%",
		.says = "WARN tdx.c\n"
			"TDH_VP_WR[VMCS.0x#] = 0x# failed: 0x#\n"
			"TDH_VP_WR[VMCS.0x#] = 0x# failed: 0x#\n"
			"TDH_VP_WR[VMCS.0x#] |= 0x# failed: 0x#\n",
	},
	{
		.name = "extend", .when = AT_CREATE,
		.rule = "mr.extend busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_MR_EXTEND 0x8000020000000001\n",
	},
	{
		.name = "finalize", .when = AT_CREATE,
		.rule = "mr.finalize invalid 100%",
		.says = "WARN tdx.c\nTDH_MR_FINALIZE 0xc000010000000000\n",
	},
	{
		.name = "page-add", .when = AT_CREATE,
		.rule = "mem.page.add invalid 100%",
		.says = "WARN tdx.c\nTDH_MEM_PAGE_ADD 0xc000010000000000\n",
	},
	{
		.name = "sept-add", .when = AT_CREATE,
		.rule = "mem.sept.add invalid 100%",
		.says = "WARN tdx.c\nTDH_MEM_SEPT_ADD 0xc000010000000000\n",
	},
	{
		.name = "aug", .when = AT_RUN,
		.rule = "mem.page.aug invalid 100% times=1",
		.says = "WARN tdx.c\nTDH_MEM_PAGE_AUG 0xc000010000000000\n",
	},
	/*
	 * A page of the guest's that is not given back is lost, and with it the TD: the
	 * TDR goes last, and not while the module has a page of it.
	 */
	{
		.name = "block", .when = AT_ZAP,
		.rule = "mem.range.block busy:sept-tree 100%",
		.says = "WARN tdx.c\nTDH_MEM_RANGE_BLOCK 0x8000020000000092\n"
			LEFT_BEHIND "WARN tdx.c\nTDH_PHYMEM_PAGE_RECLAIM 0xc000040000000000\n",
		.left = { .tds = 1, .tdr = 1, .private = 1, .references = 2 },
	},
	{
		/* REMOVE then refuses, of which KVM says nothing more */
		.name = "track", .when = AT_ZAP,
		.rule = "mem.track busy:td-epoch 100%",
		.says = "WARN tdx.c\nTDH_MEM_TRACK 0x80000200000000a9\n"
			LEFT_BEHIND "WARN tdx.c\nTDH_PHYMEM_PAGE_RECLAIM 0xc000040000000000\n",
		.left = { .tds = 1, .tdr = 1, .private = 1, .references = 2 },
	},
	{
		.name = "remove", .when = AT_ZAP,
		.rule = "mem.page.remove busy:sept-tree 100%",
		.says = "WARN tdx.c\nTDH_MEM_PAGE_REMOVE 0x8000020000000092\n"
			LEFT_BEHIND "WARN tdx.c\nTDH_PHYMEM_PAGE_RECLAIM 0xc000040000000000\n",
		.left = { .tds = 1, .tdr = 1, .private = 1, .references = 2 },
	},
	/* The module has given it back, but what its caches hold may come down on it. */
	{
		.name = "wbinvd", .when = AT_ZAP,
		.rule = "phymem.page.wbinvd busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_PHYMEM_PAGE_WBINVD 0x8000020000000001\n",
		.left = { .references = 1 },
	},
	{
		.name = "wbinvd-tdr", .when = AT_BARE_END,
		.rule = "phymem.page.wbinvd busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_PHYMEM_PAGE_WBINVD 0x8000020000000001\n",
		.left = { .tds = 1, .references = 1 },
	},
	/* The first page that is reclaimed is one of a vCPU's. */
	{
		.name = "reclaim", .when = AT_END,
		.rule = "phymem.page.reclaim busy:rcx 100% times=1",
		.says = "WARN tdx.c\nTDH_PHYMEM_PAGE_RECLAIM 0x8000020000000001\n"
			LEFT_BEHIND "TDH_PHYMEM_PAGE_RECLAIM 0xc000040000000000\n",
		.left = { .tds = 1, .tdr = 1, .tdcx = 1, .references = 2 },
	},
	/* Without its KeyID back nothing of a TD is taken down but its guest's pages. */
	{
		.name = "vp-flush", .when = AT_END,
		.rule = "vp.flush busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_VP_FLUSH 0x8000020000000001\n",
		.left = LEFT_WITH_KEYID,
	},
	{
		.name = "vpflushdone", .when = AT_END,
		.rule = "mng.vpflushdone busy:rcx 100%",
		.says = "WARN tdx.c\nTDH_MNG_VPFLUSHDONE 0x8000020000000001\n"
			"tdh_mng_vpflushdone() failed. HKID # is leaked.\n",
		.left = LEFT_WITH_KEYID,
	},
	{
		.name = "cache-wb", .when = AT_END,
		.rule = "phymem.cache.wb busy:kot 100%",
		.says = "WARN tdx.c\nTDH_PHYMEM_CACHE_WB 0x80000200000000ba\n"
			"WARN tdx.c\nTDH_MNG_KEY_FREEID 0x8000081700000000\n"
			"tdh_mng_key_freeid() failed. HKID # is leaked.\n",
		.left = LEFT_WITH_KEYID,
	},
	{
		.name = "freeid", .when = AT_END,
		.rule = "mng.key.freeid busy:kot 100%",
		.says = "WARN tdx.c\nTDH_MNG_KEY_FREEID 0x80000200000000ba\n"
			"tdh_mng_key_freeid() failed. HKID # is leaked.\n",
		.left = LEFT_WITH_KEYID,
	},
};
