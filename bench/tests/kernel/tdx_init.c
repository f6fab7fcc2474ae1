// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process 1 of a boot with tdx_emu=on: what KVM does for a TD up to the point
 * where its vCPUs could run, through the public ABI, and what it does for an
 * ordinary VM, which the emulated CPU cannot run. Prints a line per step and
 * powers off. Built statically and put into an initramfs of its own by
 * test_tdx_emu.sh; boot.sh judges the log by "kunit: not ok".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#define VM_TYPE_TDX 5
#define CAP_VM_TYPES 235
#define NR_TDS 3
#define NR_VCPUS 2
#define MAX_CPUID 256
#define DEBUGFS "/sys/kernel/debug/tdx_emu/"

/* From the kernel's asm/kvm.h, which the C library's headers may be too old for. */
enum { TDX_CAPABILITIES, TDX_INIT_VM, TDX_INIT_VCPU, TDX_INIT_MEM, TDX_FINALIZE, TDX_GET_CPUID };

struct tdx_cmd {
	uint32_t id;
	uint32_t flags;
	uint64_t data;
	uint64_t hw_error;
};

struct cpuid_list {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entries[MAX_CPUID];
};

struct tdx_caps {
	uint64_t supported_attrs;
	uint64_t supported_xfam;
	uint64_t tdvmcallinfo[4];
	uint64_t reserved[250];
	struct cpuid_list cpuid;
};

struct tdx_init_vm {
	uint64_t attributes;
	uint64_t xfam;
	uint64_t mr[18];
	uint64_t reserved[12];
	struct cpuid_list cpuid;
};

static int kvm;
static struct tdx_caps caps;
static struct cpuid_list supported;
static unsigned int failures;

static int tdx_ioctl(int fd, uint32_t id, const void *data)
{
	struct tdx_cmd cmd = { .id = id, .data = (uint64_t)(uintptr_t)data };
	int r = ioctl(fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

	if (r && cmd.hw_error)
		printf("tdx-init: command %u: module says 0x%llx\n", id,
		       (unsigned long long)cmd.hw_error);
	return r;
}

static void check(const char *step, int ok)
{
	printf("kunit: %s tdx-init: %s%s%s\n", ok ? "ok" : "not ok", step, ok ? "" : ": ",
	       ok ? "" : strerror(errno));
	failures += !ok;
}

static struct kvm_cpuid_entry2 *find(struct cpuid_list *list, uint32_t leaf)
{
	for (uint32_t i = 0; i < list->nent; i++)
		if (list->entries[i].function == leaf)
			return &list->entries[i];
	return NULL;
}

/* Width of a TD's physical addresses, in the place that both CPUID lists have for it. */
static void set_gpaw(struct cpuid_list *list, uint32_t bits)
{
	struct kvm_cpuid_entry2 *e = find(list, 0x80000008);

	if (e)
		e->eax = (e->eax & ~0xff0000u) | bits << 16;
}

static int create_td(void)
{
	static struct tdx_init_vm init;
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	int vm = ioctl(kvm, KVM_CREATE_VM, VM_TYPE_TDX);

	if (vm < 0 || ioctl(vm, KVM_ENABLE_CAP, &split))
		return -1;
	memset(&init, 0, sizeof(init));
	init.xfam = caps.supported_xfam;
	init.cpuid = caps.cpuid;
	/* Of what may be configured take nothing, but say that there is an x2APIC. */
	for (uint32_t i = 0; i < init.cpuid.nent; i++) {
		struct kvm_cpuid_entry2 *e = &init.cpuid.entries[i];

		e->eax = e->ebx = e->ecx = e->edx = 0;
	}
	set_gpaw(&init.cpuid, 48);
	return tdx_ioctl(vm, TDX_INIT_VM, &init) ? -1 : vm;
}

static int create_td_vcpu(int vm, int id)
{
	struct cpuid_list list = supported;
	struct kvm_cpuid_entry2 *e = find(&list, 1);
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, id);

	if (vcpu < 0)
		return -1;
	if (e)
		e->ecx |= 1u << 21;
	set_gpaw(&list, 48);
	if (ioctl(vcpu, KVM_SET_CPUID2, &list) || tdx_ioctl(vcpu, TDX_INIT_VCPU, NULL))
		return -1;
	return vcpu;
}

static void print_file(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		printf("%s: %s", path, line);
	if (f)
		fclose(f);
}

/* Sum of the census's line @which, or of all lines that TDs may change. */
static unsigned long long owned(const char *which)
{
	unsigned long long n, sum = 0;
	char name[32];
	FILE *f = fopen(DEBUGFS "census", "r");

	if (!f)
		return ~0ULL;
	while (fscanf(f, "%31s %llu", name, &n) == 2)
		if (which ? !strcmp(name, which) : strcmp(name, "reserved") != 0)
			sum += n;
	fclose(f);
	return sum;
}

static int inject(const char *rule)
{
	int fd = open(DEBUGFS "inject", O_WRONLY), ok;

	ok = fd >= 0 && write(fd, rule, strlen(rule)) == (ssize_t)strlen(rule);
	close(fd);
	return ok;
}

static void try_tds(void)
{
	int vm[NR_TDS], vcpu;

	for (int t = 0; t < NR_TDS; t++) {
		vm[t] = create_td();
		check("KVM_CREATE_VM and KVM_TDX_INIT_VM", vm[t] >= 0);
		for (int i = 0; vm[t] >= 0 && i < NR_VCPUS; i++) {
			vcpu = create_td_vcpu(vm[t], i);
			check("KVM_CREATE_VCPU and KVM_TDX_INIT_VCPU", vcpu >= 0);
			close(vcpu);
		}
	}
	check("the module counts the TDs",
	      owned("tdr") == NR_TDS && owned("hkids") == NR_TDS &&
	      owned("tdvpr") == NR_TDS * NR_VCPUS && owned("locked") == 0);
	/* Teardown is the kernel's: what it says is in the log. */
	for (int t = 0; t < NR_TDS; t++)
		close(vm[t]);
}

/* An ordinary VM is created and configured; entering it fails, and KVM survives. */
static void try_ordinary_vm(void)
{
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu, size;
	struct kvm_run *run;

	check("KVM_CREATE_VM of an ordinary VM", vm >= 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	check("its vCPU", vcpu >= 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return check("its kvm_run", 0);
	ioctl(vcpu, KVM_RUN, 0);
	check("KVM_RUN of it fails to enter, with VMX error 7",
	      run->exit_reason == KVM_EXIT_FAIL_ENTRY &&
	      run->fail_entry.hardware_entry_failure_reason == 7);
	close(vcpu);
	close(vm);
}

/* What all rules have answered. */
static long answered(void)
{
	char line[256];
	long sum = 0;
	FILE *f = fopen(DEBUGFS "inject", "r");

	while (f && fgets(line, sizeof(line), f)) {
		const char *n = strstr(line, "answered=");

		sum += n ? atol(n + strlen("answered=")) : 0;
	}
	if (f)
		fclose(f);
	return sum;
}

/*
 * RND_NO_ENTROPY is for the kernel to try again, an interrupted write-back to
 * resume; a bad rule is refused.
 */
static void try_injection(void)
{
	int vm;

	check("a rule for fault injection", inject("mng.create no-entropy 100% times=3"));
	check("a rule that is none is refused", !inject("mng.creat busy 100%"));
	vm = create_td();
	check("a TD in spite of no entropy", vm >= 0);
	check("a rule for an interrupted leaf", inject("phymem.cache.wb interrupted 100% times=1"));
	close(vm);
	check("both have answered", answered() == 4);
	print_file(DEBUGFS "inject");
	check("injection off", inject("clear"));
}

int main(void)
{
	int types;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	kvm = open("/dev/kvm", O_RDWR);
	check("/dev/kvm", kvm >= 0);
	types = ioctl(kvm, KVM_CHECK_EXTENSION, CAP_VM_TYPES);
	printf("tdx-init: VM types 0x%x\n", types);
	check("KVM offers TDs", types >= 0 && types >> VM_TYPE_TDX & 1);
	supported.nent = MAX_CPUID;
	check("KVM_GET_SUPPORTED_CPUID", !ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &supported));

	int vm = ioctl(kvm, KVM_CREATE_VM, VM_TYPE_TDX);

	caps.cpuid.nent = MAX_CPUID;
	check("KVM_TDX_CAPABILITIES", vm >= 0 && !tdx_ioctl(vm, TDX_CAPABILITIES, &caps));
	printf("tdx-init: attributes 0x%llx, xfam 0x%llx, %u CPUID leaves to configure\n",
	       (unsigned long long)caps.supported_attrs, (unsigned long long)caps.supported_xfam,
	       caps.cpuid.nent);
	close(vm);

	try_tds();
	try_ordinary_vm();
	try_injection();
	print_file(DEBUGFS "census");
	check("the module owns nothing", owned(NULL) == 0);
	printf("tdx-init: %u failures\n", failures);
	printf("dpamt-init: done\n");
	reboot(RB_POWER_OFF);
	return 0;
}
