# SPDX-License-Identifier: GPL-2.0-only
#
# make		build build/dpamt
# make bench	set up, build, compare all strategies on this machine (ON=emu: on an emulated TDX host)
# make check	set up, build, run the tests (4 to 6 minutes on two cores)
# make check-breaks	apply each committed break; every one must turn a test red (KERNEL=yes: the kernel's)
# make kernel	get Linux 7.3.y, add kernel/src and kernel/patches, build it for QEMU (FOR=host: a package;
#		TREE=DIR, TAR=FILE: of that Linux)
# make kernel-check	build that kernel, also with run-time checks, boot both in QEMU, check the series
# make kernel-series	build/series/: kernel/patches and kernel/src as one series for git am
# make guest	build/dpamt-guest, which runs cells inside an emulated TDX host (scripts/emu-run.sh)
# make help	all targets
#
# The strategies and the software TDX module are compiled several times from
# the same files: natively (threads), yielding (fibers), and under sanitizers.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
AR := ar
LD := ld
BUILD ?= build
ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
OPT ?= -O2
PYTHON ?= python3
CCACHE := $(if $(shell command -v ccache 2>/dev/null),ccache)

# "make guest" alone finds nothing set up, and below the compiler is asked what there is.
ifneq ($(filter guest,$(MAKECMDGOALS)),)
ifneq ($(shell scripts/setup.sh build >&2 || echo no),)
$(error packages are missing, see above)
endif
endif

KSRC := kernel/src/arch/x86/virt/vmx/tdx
CFLAGS_ALL := -std=gnu11 -g $(OPT) -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wvla -fno-strict-aliasing -fno-common -MMD -MP $(CFLAGS)
# TD programs (td/program.h, td/image.h) live with the emulated module.
INC_PLAIN := -Ibench -I$(KSRC)/emu
# Kernel sources see bench/shim where the kernel has include/.
INC_SHIM := -Ibench -Ibench/shim -I$(KSRC) -I$(KSRC)/emu
# libpfm4 can be done without: then there are no counter names, and a note says so.
PFM := $(if $(shell printf '\043include <perfmon/pfmlib.h>' | $(CC) -E - 2>/dev/null),-lpfm)
LIBS := -ljansson -lhwloc $(PFM) -lpthread -lm

# ------------------------------------------------------------------ sources

# Compiled once for each flavour of the shim.
# (KUnit tests are the kernel's alone.)
SRC_FLAVOUR := $(filter-out %_kunit.c,$(wildcard $(KSRC)/pamt/*.c $(KSRC)/emu/module/*.c \
	$(KSRC)/emu/td/*.c)) \
	bench/shim/shim.c \
	bench/exec/phys.c bench/exec/world.c bench/exec/shares.c bench/exec/host.c \
	bench/exec/host_td.c
# Fibers only: what runs on them.
SRC_YIELD := $(SRC_FLAVOUR) $(wildcard bench/exec/scenario*.c)
# The simulated machine: its own copy of the flavour's sources, and what steps them,
# which is not instrumented.
SRC_SIM := bench/exec/sim_cell.c bench/exec/sim_micro.c
SRC_SIM_TASKS := $(SRC_SIM) bench/exec/tasks.c bench/exec/collect.c
SRC_EXEC := $(filter-out $(SRC_YIELD) $(SRC_SIM) bench/exec/cost_loop.c,$(wildcard bench/exec/*.c))
SRC_PLAIN := $(wildcard bench/measure/*.c bench/stats/*.c bench/report/*.c bench/td/*.c)
SRC_CLI := $(wildcard bench/cli/*.c)
SRC_TEST := $(wildcard bench/tests/test_*.c)

STRATEGIES := $(notdir $(basename $(shell grep -l '^const struct pamt_ops pamt_' $(KSRC)/pamt/*.c)))

obj = $(patsubst %.c,$(BUILD)/$(2)/%.o,$(1))
OBJ_NATIVE := $(call obj,$(SRC_FLAVOUR) $(SRC_EXEC),native)
OBJ_YIELD := $(call obj,$(SRC_YIELD),yield)
OBJ_SIM := $(call obj,$(SRC_FLAVOUR),sim) $(call obj,$(SRC_SIM_TASKS),simtasks)
OBJ_PLAIN := $(call obj,$(SRC_PLAIN),plain)
OBJ_CLI := $(call obj,$(SRC_CLI),plain)
OBJ_COST := $(STRATEGIES:%=$(BUILD)/cost/%.o)

.PHONY: all bench check check-breaks kernel kernel-check kernel-series clean help tests distclean guest
all: $(BUILD)/dpamt

# ------------------------------------------------------------- the TD payload

# What runs in a TD: the same interpreter, built for no operating system at all.
# (gcc would make calls to memset out of loops; clang does not know the option.)
NO_PATTERNS := $(if $(shell echo 'int x;' | $(CC) -Werror -fno-tree-loop-distribute-patterns -c \
	-x c - -o /dev/null 2>&1),,-fno-tree-loop-distribute-patterns)
PAYLOAD_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-fno-strict-aliasing -ffreestanding -fpie -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-builtin \
	-fno-asynchronous-unwind-tables $(NO_PATTERNS) -MMD -MP \
	-I$(KSRC)/emu/td
OBJ_PAYLOAD := $(BUILD)/payload/start.o $(BUILD)/payload/main.o $(BUILD)/payload/interp.o

$(BUILD)/payload/%.o: bench/payload/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(PAYLOAD_CFLAGS) -c $< -o $@

$(BUILD)/payload/%.o: bench/payload/%.S $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -MMD -MP -c $< -o $@

$(BUILD)/payload/interp.o: $(KSRC)/emu/td/interp.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(PAYLOAD_CFLAGS) -c $< -o $@

$(BUILD)/payload/payload.bin: $(OBJ_PAYLOAD) bench/payload/payload.ld
	$(LD) -static --no-dynamic-linker -z noexecstack --no-warn-rwx-segments \
		-T bench/payload/payload.ld $(OBJ_PAYLOAD) -o $(BUILD)/payload/payload.elf
	objcopy -O binary -j payload $(BUILD)/payload/payload.elf $@

$(BUILD)/payload/embed.o: $(BUILD)/payload/payload.bin
	printf '.section .rodata\n.globl td_payload\n.balign 4096\ntd_payload: .incbin "$<"\n.section .note.GNU-stack,"",@progbits\n' | \
		$(CC) -x assembler -c - -o $@

# -------------------------------------------------------------------- rules

$(BUILD)/native/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_ALL) $(INC_SHIM) -c $< -o $@

# Small tables (4 entries), a call to the executor around every access: the
# compiler's thread-sanitizer instrumentation without its library (exec/tsan_hooks.c).
# It goes with no other sanitizer; those see the native flavour.
CFLAGS_YIELD = $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(CFLAGS_ALL)) -fsanitize=thread \
	-DSHIM_YIELD -DSHIM_TSAN -DTDX_LEVEL_BITS=2
$(BUILD)/yield/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_YIELD) $(INC_SHIM) -c $< -o $@

# One relocatable object whose names do not meet the native flavour's, nor those
# of a real ThreadSanitizer.
$(BUILD)/yield.o: $(OBJ_YIELD)
	$(LD) -r -o $@.tmp $^
	nm -u $@.tmp | sed -n 's/^ *U __tsan_\(.*\)/__tsan_\1 yield_tsan_\1/p' > $@.names
	objcopy --redefine-syms=$@.names --keep-global-symbol=yield_flavour $@.tmp $@
	rm -f $@.tmp $@.names

# Full tables, inline hooks. The strategies' files have an executor pointer and a
# clock of their own: block mode tells their accesses from others, and their slow path.
# One thread runs all of it, so where the assembler can leave lock prefixes out it does:
# they would be half of the time.
SIM_NOLOCK := $(if $(shell echo 'int x;' | $(CC) -Wa,-momit-lock-prefix=yes -c -x c - \
	-o /dev/null 2>&1),,-Wa,-momit-lock-prefix=yes)
# No sanitizer: fibers and a memory of its own would only confuse it.
CFLAGS_SIM = $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(CFLAGS_ALL)) -fno-builtin-memset
SIM_STRATEGY = $(if $(findstring /pamt/,$<),-Dexec_now=exec_strategy -Dshim_clock=sim_strategy_clock)
$(BUILD)/sim/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_SIM) $(INC_SHIM) -DSHIM_YIELD $(SIM_STRATEGY) $(SIM_NOLOCK) -c $< -o $@
$(BUILD)/simtasks/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_SIM) $(INC_SHIM) -c $< -o $@

# Its memory comes from exec/sim_heap.c: the same lines in every run.
$(BUILD)/sim.o: $(OBJ_SIM)
	$(LD) -r -o $@.tmp $^
	objcopy --redefine-sym posix_memalign=sim_memalign --redefine-sym free=sim_free \
		--redefine-sym memset=sim_memset \
		--keep-global-symbol=sim_flavour $@.tmp $@
	rm -f $@.tmp

$(BUILD)/plain/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_ALL) $(INC_PLAIN) -c $< -o $@

# The cost loops: each strategy's own file around them, so that its fast path is inlined.
$(BUILD)/cost/%.o: bench/exec/cost_loop.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_ALL) $(INC_SHIM) -DCOST_FILE='"pamt/$*.c"' -DCOST_SYMBOL=cost_$* \
		-DCOST_GET=pamt_$*_get -DCOST_PUT=pamt_$*_put -Dpamt_$*_ops=cost_$*_ops -c $< -o $@

$(BUILD)/libdpamt.a: $(OBJ_NATIVE) $(OBJ_PLAIN) $(OBJ_COST) $(BUILD)/yield.o $(BUILD)/sim.o $(BUILD)/payload/embed.o
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/dpamt: $(OBJ_CLI) $(BUILD)/libdpamt.a
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(OBJ_CLI) $(BUILD)/libdpamt.a $(LIBS) -o $@

# The same executor for the inside of an emulated host: static, without hwloc.
OBJ_GUEST := $(call obj,$(wildcard bench/guest/*.c),plain)
guest: $(BUILD)/dpamt-guest
$(BUILD)/dpamt-guest: $(OBJ_GUEST) $(BUILD)/libdpamt.a
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -static $(OBJ_GUEST) $(BUILD)/libdpamt.a -ljansson -lpthread -lm -o $@
$(OBJ_GUEST): INC_PLAIN := $(INC_SHIM)

# Rebuild everything when the flags change.
FLAGS_NOW := $(CC) $(CFLAGS_ALL) $(CFLAGS_SIM) $(INC_SHIM) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@
.PHONY: FORCE
FORCE:

# -------------------------------------------------------------------- tests

TESTS := $(patsubst bench/tests/%.c,$(BUILD)/tests/%,$(SRC_TEST))
tests: $(TESTS)

$(BUILD)/tests/%: bench/tests/%.c $(BUILD)/libdpamt.a
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_ALL) $(INC_SHIM) -MT $@ -c $< -o $@.o
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) $@.o $(BUILD)/libdpamt.a $(LIBS) -o $@

# The program once more, all fibers switched by ucontext, as on what is no x86-64: test_context.
SRC_CONTEXT := $(addprefix bench/exec/,context.c fiber.c sim_core.c explore_memory.c \
	explore_search.c explore_sharing.c explore_trace.c)
OBJ_CONTEXT := $(call obj,$(SRC_CONTEXT),portable)
$(BUILD)/portable/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS_ALL) $(INC_SHIM) -DCONTEXT_PORTABLE -c $< -o $@
$(BUILD)/tests/dpamt-portable: $(OBJ_CLI) $(OBJ_CONTEXT) $(BUILD)/libdpamt.a
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(OBJ_CLI) $(OBJ_CONTEXT) $(BUILD)/libdpamt.a $(LIBS) -o $@
tests: $(BUILD)/tests/dpamt-portable

# An x86 emulator, for the payload's way into 64-bit mode: that test does less without.
$(BUILD)/tests/test_payload_boot: LIBS += $(if $(wildcard /usr/include/unicorn/unicorn.h),-lunicorn)

# ------------------------------------------------------------ user's targets

bench:
	@scripts/setup.sh build plots $(if $(filter emu,$(ON)),kernel)
	@$(MAKE) --no-print-directory -s all $(if $(filter emu,$(ON)),$(BUILD)/dpamt-guest)
	@ON='$(ON)' BUILD='$(BUILD)' scripts/bench.sh $(BUILD)/dpamt

check:
	@scripts/setup.sh build check
	@scripts/check.sh

check-breaks:
	@scripts/setup.sh build check $(if $(KERNEL),kernel)
	@$(if $(KERNEL),scripts/kernel-breaks.sh,scripts/check-breaks.sh)

# Of the command line only: other things have such names in an environment.
given = $(if $(filter command,$(firstword $(origin $(1)))),$(2)='$($(1))')
kernel:
	@scripts/setup.sh kernel $(if $(filter host,$(FOR)),kernel-host)
	@FOR=$(or $(FOR),emu) scripts/kernel-build.sh $(call given,TREE,--tree) $(call given,TAR,--tar)

kernel-check:
	@scripts/setup.sh build kernel
	@scripts/kernel-check.sh

kernel-series:
	@scripts/setup.sh kernel
	@scripts/kernel-series.sh

# A kernel takes minutes to build: it stays until distclean.
clean:
	[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name kernel -exec rm -rf {} +
distclean:
	rm -rf build build-*

help:
	@sed -n '/^# make/,/^#$$/s/^# \{0,1\}\(..*\)/\1/p' Makefile

-include $(OBJ_GUEST:.o=.d) $(OBJ_NATIVE:.o=.d) $(OBJ_YIELD:.o=.d) $(OBJ_SIM:.o=.d) $(OBJ_PLAIN:.o=.d) $(OBJ_CLI:.o=.d) \
	$(OBJ_COST:.o=.d) $(OBJ_PAYLOAD:.o=.d) $(OBJ_CONTEXT:.o=.d) $(TESTS:=.d)
