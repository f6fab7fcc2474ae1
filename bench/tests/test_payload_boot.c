// SPDX-License-Identifier: GPL-2.0-only
/*
 * The payload from its first instruction on, in an x86 emulator (Unicorn): 32-bit
 * protected mode at the reset vector, as the TDX ABI starts a vCPU, through 64-bit
 * mode to the end of a program. TDCALL is an undefined opcode there; what answers it
 * is the least that the program needs, the rest is test_payload.c's. The page tables
 * are walked here, in C. Without libunicorn they and the image's shape are all that
 * is looked at.
 */
#include <stdlib.h>

#include "exec/kvm_image.h"
#include "tests/test.h"

#define MB (1ULL << 20)
#define GB (1ULL << 30)

static struct td_program *program(void)
{
	static struct {
		struct td_program p;
		struct td_insn insn[4];
	} s = {
		{ .magic = TD_PROGRAM_MAGIC, .version = TD_PROGRAM_VERSION, .count = 4,
		  .memory = 4 * MB },
		{ { .op = TD_OP_PHASE, .n = 5 },
		  { .op = TD_OP_TOUCH, .n = 10, .a = MB, .b = 8192 },
		  { .op = TD_OP_FLIP, .n = 2, .arg = 1, .a = 2 * MB, .b = 4096 },
		  { .op = TD_OP_END } },
	};

	return &s.p;
}

static void build(struct kvm_image *image, uint32_t vcpus)
{
	const struct td_program *p[] = { program(), program(), program() };
	struct kvm_image_config c = { .memory = 4 * MB, .vcpus = vcpus, .program = p };

	CHECK_EQ(kvm_image_build(&c, image), 0);
}

/* The last 16 bytes before 4G jump into the payload. */
static void test_reset_vector(void)
{
	struct kvm_image image;
	const uint8_t *reset;
	int32_t to;

	build(&image, 3);
	reset = (uint8_t *)image.bytes + image.size - 16;
	memcpy(&to, reset + 1, 4);
	CHECK_EQ(reset[0], 0xe9);
	CHECK(to < 0 && to > -(int32_t)PAYLOAD_SIZE);
	CHECK_EQ(image.gpa + image.size, TD_IMAGE_END);
	CHECK_EQ(image.stacks + image.stacks_size, TD_IMAGE_END - PAYLOAD_SIZE);
	kvm_image_free(&image);
}

/* The GPA behind @address by the payload's page tables; all ones if there is none. */
static uint64_t translate(const struct kvm_image *image, uint64_t address)
{
	uint64_t base = TD_IMAGE_END - PAYLOAD_SIZE, entry;
	const char *payload = image->bytes + image->size - PAYLOAD_SIZE;

	entry = ((const uint64_t *)(payload + 0x2000))[address >> 39 & 511];
	if ((entry & 0x83) != 3 || (entry & ~0xfffULL) - base >= PAYLOAD_SIZE)
		return ~0ULL;
	entry = ((const uint64_t *)(payload + ((entry & ~0xfffULL) - base)))[address >> 30 & 511];
	return (entry & 0x83) == 0x83 ? (entry & ~0x3fffffffULL) | (address & 0x3fffffff) : ~0ULL;
}

/* Private memory at its GPA, shared memory with the shared bit, nothing else. */
static void test_page_tables(void)
{
	const uint64_t gpas[] = { 0, 0x123456789, KVM_IMAGE_ALL_BOX, TD_IMAGE_END - 16,
				  TD_MEMORY_GPA + MB, PAYLOAD_GPA_MAX - 1 };
	struct kvm_image image;

	build(&image, 3);
	for (size_t i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++) {
		CHECK_EQ(translate(&image, gpas[i]), gpas[i]);
		CHECK_EQ(translate(&image, PAYLOAD_SHARED + gpas[i]),
			 gpas[i] | 1ULL << PAYLOAD_SHARED_BIT_NR);
	}
	CHECK_EQ(translate(&image, PAYLOAD_GPA_MAX), ~0ULL);
	CHECK_EQ(translate(&image, PAYLOAD_SHARED - 1), ~0ULL);
	kvm_image_free(&image);
}

#if __has_include(<unicorn/unicorn.h>)
#include <unicorn/unicorn.h>

/*
 * The emulator has neither 1G pages nor physical addresses of 48 bits: the entries of
 * the payload's tables that the program needs point to tables of 2M pages here, and
 * the shared bit is a lower one.
 */
#define SHARED_BIT (1ULL << 39)
#define LARGE 0x83
#define EMULATOR_US 20000000

struct machine {
	uc_engine *uc;
	struct kvm_image image;
	struct td_box all __attribute__((aligned(4096))), td __attribute__((aligned(4096)));
	struct vcpu_box *box;
	uint64_t accepts, to_shared, to_private, msrs, done;
	bool over;
	const char *broken;
};

static uint64_t get(uc_engine *uc, int reg)
{
	uint64_t v = 0;

	uc_reg_read(uc, reg, &v);
	return v;
}

static void set(uc_engine *uc, int reg, uint64_t v)
{
	uc_reg_write(uc, reg, &v);
}

static void vmcall(struct machine *m)
{
	uint64_t fn = get(m->uc, UC_X86_REG_R11), a = get(m->uc, UC_X86_REG_R12);

	set(m->uc, UC_X86_REG_R10, 0);
	if (fn == 12 && a)
		m->over = true;
	else if (fn == 30 && get(m->uc, UC_X86_REG_R14) == TD_DONE_PORT)
		m->done++;
	else if (fn == 32)
		m->msrs++;
	else if (fn == 0x10001 && a >> PAYLOAD_SHARED_BIT_NR)
		m->to_shared++;
	else if (fn == 0x10001)
		m->to_private++;
	else
		m->broken = "a VMCALL that the program does not need";
}

/* An undefined opcode: TDCALL, or the end. */
static bool on_undefined(uc_engine *uc, void *data)
{
	struct machine *m = data;
	uint64_t rip = get(uc, UC_X86_REG_RIP);
	uint8_t code[4] = { 0 };

	uc_mem_read(uc, rip, code, sizeof(code));
	if (memcmp(code, "\x66\x0f\x01\xcc", 4)) {
		m->broken = "an undefined opcode";
		return false;
	}
	if (get(uc, UC_X86_REG_RAX) == 6)
		m->accepts++;
	else
		vmcall(m);
	set(uc, UC_X86_REG_RAX, 0);
	set(uc, UC_X86_REG_RIP, rip + 4);
	return !m->over && !m->broken;
}

/* Of the 1G at @address, by 2M pages from @gpa, in the free page @at of the payload. */
static void split(struct machine *m, uint64_t address, uint64_t gpa, uint64_t at)
{
	char *payload = m->image.bytes + m->image.size - PAYLOAD_SIZE;
	uint64_t *pml4 = (uint64_t *)(payload + 0x2000), *entry = (uint64_t *)(payload + at);
	uint64_t base = TD_IMAGE_END - PAYLOAD_SIZE, table = pml4[address >> 39] & ~0xfffULL;
	uint64_t *pdpt = (uint64_t *)(payload + (table - base));
	uint64_t was = pdpt[address >> 30 & 511];

	CHECK_EQ(was & 0xfff, LARGE);
	CHECK_EQ(was & (1ULL << PAYLOAD_SHARED_BIT_NR),
		 address >= PAYLOAD_SHARED ? 1ULL << PAYLOAD_SHARED_BIT_NR : 0);
	CHECK_EQ(was & 0x7fc0000000, gpa & 0x7fc0000000);
	for (int i = 0; i < 512; i++)
		entry[i] = gpa + i * 2 * MB + LARGE;
	pdpt[address >> 30 & 511] = (base + at) | 3;
}

static bool map(struct machine *m, uint64_t gpa, uint64_t size, void *at)
{
	return CHECK_EQ(uc_mem_map_ptr(m->uc, gpa, size, UC_PROT_ALL, at), UC_ERR_OK);
}

/*
 * The emulator starts in 64-bit mode. A vCPU of a TD starts in 32-bit protected mode
 * without paging and with EFER.LME set, and there is only the CPU's own way from here
 * to there: paging on, a jump into a 32-bit segment, paging off.
 */
static void reset_state(struct machine *m, uint32_t vcpu)
{
	static const uint8_t leave64[] = { 0xff, 0x2c, 0x25, 0x40, 0x10, 0, 0 }; /* ljmp *0x1040 */
	static const uint8_t target[] = { 0x80, 0x10, 0, 0, 8, 0 }; /* 8:0x1080 */
	static const uint8_t leave_paging[] = {
		0x0f, 0x20, 0xc0,		/* mov %cr0, %eax */
		0x25, 0xff, 0xff, 0xff, 0x7f,	/* and $0x7fffffff, %eax */
		0x0f, 0x22, 0xc0,		/* mov %eax, %cr0 */
		0x90,
	};
	const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	const uint64_t pml4 = 0x4003, pdpt = 0x5003, pd = LARGE;
	uc_x86_mmr gdtr = { .base = 0x2000, .limit = sizeof(gdt) - 1 };

	CHECK_EQ(uc_mem_map(m->uc, 0, 0x8000, UC_PROT_ALL), UC_ERR_OK);
	uc_mem_write(m->uc, 0x1000, leave64, sizeof(leave64));
	uc_mem_write(m->uc, 0x1040, target, sizeof(target));
	uc_mem_write(m->uc, 0x1080, leave_paging, sizeof(leave_paging));
	uc_mem_write(m->uc, 0x2000, gdt, sizeof(gdt));
	uc_mem_write(m->uc, 0x3000, &pml4, 8);
	uc_mem_write(m->uc, 0x4000, &pdpt, 8);
	uc_mem_write(m->uc, 0x5000, &pd, 8);
	uc_reg_write(m->uc, UC_X86_REG_GDTR, &gdtr);
	set(m->uc, UC_X86_REG_CR3, 0x3000);
	set(m->uc, UC_X86_REG_CR4, 0x60);
	set(m->uc, UC_X86_REG_CR0, 0x80000021);
	CHECK_EQ(uc_emu_start(m->uc, 0x1000, 0x108b, 1000000, 0), UC_ERR_OK);
	CHECK_EQ(get(m->uc, UC_X86_REG_CR0) & 0x80000021, 0x21);
	gdtr.limit = 0;
	uc_reg_write(m->uc, UC_X86_REG_GDTR, &gdtr);
	set(m->uc, UC_X86_REG_CR3, 0);
	set(m->uc, UC_X86_REG_CR4, 0x40);
	set(m->uc, UC_X86_REG_RAX, 0);
	set(m->uc, UC_X86_REG_RSI, vcpu);
	set(m->uc, UC_X86_REG_RBX, 48);
	set(m->uc, UC_X86_REG_RCX, m->image.records + vcpu * sizeof(struct td_record));
}

/*
 * The shared pages, by their GPA; and by their address, because Unicorn 2.0.1 looks
 * for a page there whatever the page tables say.
 */
static bool map_boxes(struct machine *m, uint64_t at, uint32_t vcpus)
{
	return map(m, at | KVM_IMAGE_ALL_BOX, 4096, &m->all) &&
	       map(m, at | KVM_IMAGE_TD_BOX, 4096, &m->td) &&
	       map(m, at | (KVM_IMAGE_TD_BOX + 4096), vcpus * sizeof(*m->box), m->box);
}

static bool machine_begin(struct machine *m, uint32_t vcpus, uint32_t vcpu)
{
	uc_hook hook;

	memset(m, 0, sizeof(*m));
	build(&m->image, vcpus);
	m->box = aligned_alloc(4096, vcpus * sizeof(*m->box));
	memset(m->box, 0, vcpus * sizeof(*m->box));
	if (!CHECK_EQ(uc_open(UC_ARCH_X86, UC_MODE_64, &m->uc), UC_ERR_OK) ||
	    !CHECK_EQ(uc_ctl_set_cpu_model(m->uc, UC_CPU_X86_ICELAKE_SERVER), UC_ERR_OK))
		return false;
	m->box[vcpu].tsc_khz = 1000000;
	split(m, 3 * GB, 3 * GB, 0x8000);
	split(m, 4 * GB, 4 * GB, 0x9000);
	split(m, PAYLOAD_SHARED + 3 * GB, SHARED_BIT | 3 * GB, 0xa000);
	uc_hook_add(m->uc, &hook, UC_HOOK_INSN_INVALID, on_undefined, m, 1, 0);
	if (!map(m, m->image.gpa, m->image.size, m->image.bytes) ||
	    !CHECK_EQ(uc_mem_map(m->uc, TD_MEMORY_GPA, 4 * MB, UC_PROT_ALL), UC_ERR_OK) ||
	    !map_boxes(m, SHARED_BIT, vcpus) || !map_boxes(m, PAYLOAD_SHARED, vcpus))
		return false;
	reset_state(m, vcpu);
	return true;
}

static void machine_end(struct machine *m)
{
	uc_close(m->uc);
	free(m->box);
	kvm_image_free(&m->image);
}

static void boot(uint32_t vcpus, uint32_t vcpu)
{
	static struct machine m;
	uint64_t page = 0;

	if (!machine_begin(&m, vcpus, vcpu))
		return;
	uc_emu_start(m.uc, TD_IMAGE_END - 16, 0, EMULATOR_US, 0);
	/* the emulator stops where an instruction pointer is written */
	for (int i = 0; i < 1000 && !m.over && !m.broken; i++)
		uc_emu_start(m.uc, get(m.uc, UC_X86_REG_RIP), 0, EMULATOR_US, 0);
	CHECK_STR(m.broken ? m.broken : "", "");
	CHECK(m.over);
	CHECK_EQ(m.box[vcpu].state, TD_VCPU_DONE);
	CHECK_EQ(m.box[vcpu].error, 0);
	CHECK_EQ(m.box[vcpu].touches, 10 + 2);
	CHECK_EQ(m.box[vcpu].conversions, 4);
	CHECK_EQ(m.box[vcpu].marks[0].phase, 5);
	CHECK_EQ(m.accepts, 12);
	CHECK_EQ(m.to_shared, 2);
	CHECK_EQ(m.to_private, 2);
	CHECK_EQ(m.msrs, 2);
	CHECK_EQ(m.done, 1);
	CHECK_EQ(get(m.uc, UC_X86_REG_CR0) & 0x80000021, 0x80000021);
	CHECK_EQ(get(m.uc, UC_X86_REG_CR4) & 0x60, 0x60);
	uc_mem_read(m.uc, TD_MEMORY_GPA + MB + 9 * 8192, &page, 8);
	CHECK_EQ(page, TD_MEMORY_GPA + MB + 9 * 8192);
	if (!m.over)
		printf("\trip %#" PRIx64 " cr2 %#" PRIx64 "\n", get(m.uc, UC_X86_REG_RIP),
		       get(m.uc, UC_X86_REG_CR2));
	machine_end(&m);
}

static void test_boot(void)
{
	boot(1, 0);
}

static void test_boot_of_the_third(void)
{
	boot(3, 2);
}
#endif

int main(void)
{
	test_begin("test_payload_boot");
	TEST(test_reset_vector);
	TEST(test_page_tables);
#if __has_include(<unicorn/unicorn.h>)
	TEST(test_boot);
	TEST(test_boot_of_the_third);
#else
	printf("skipped: booting the payload, there is no libunicorn-dev\n");
#endif
	return test_end();
}
