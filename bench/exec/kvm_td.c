// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making and ending a TD. Every ioctl that fails is one line: what it was for, the
 * error, and what the TDX module said where KVM tells.
 */
#define _GNU_SOURCE
#include "exec/kvm_td.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exec/kvm_abi.h"

#define GPA_BITS 48
#define IOAPIC_PINS 24
#define CPUID_ENTRIES 256
#define PIECE_PAGES 512		/* of INIT_MEM_REGION; so that a signal is seen */
#define BUSY_TRIES 1000

enum slot { SLOT_MEMORY, SLOT_IMAGE, SLOT_ALL_BOX, SLOT_BOX };

struct errors {
	char *text;
	size_t size;
};

static int fail(struct errors *e, int err, const char *what)
{
	snprintf(e->text, e->size, "%s: %s", what, strerror(-err));
	return err;
}

/* KVM_ENABLE_CAP, or any ioctl of which only the failure matters. */
static int call(struct errors *e, int fd, unsigned long request, void *arg, const char *what)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? fail(e, -errno, what) : ret;
}

/* -------------------------------------------------------------------- host */

static int open_kvm(struct errors *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV) {
		snprintf(e->text, e->size, "there is no /dev/kvm: a TDX host needs kvm_intel loaded "
			 "with tdx=1; an emulated one is booted by make bench ON=emu");
		return -ENODEV;
	}
	return fail(e, -errno, "/dev/kvm cannot be opened (to go on: group kvm, or root)");
}

static int check_caps(struct errors *e, int fd)
{
	int types;

	if (ioctl(fd, KVM_GET_API_VERSION, 0) != 12) {
		snprintf(e->text, e->size, "/dev/kvm does not speak version 12 of KVM's ABI");
		return -ENODEV;
	}
	types = ioctl(fd, KVM_CHECK_EXTENSION, ABI_KVM_CAP_VM_TYPES);
	if (types < 0 || !(types & 1 << ABI_KVM_X86_TDX_VM)) {
		snprintf(e->text, e->size, "KVM here has no TDs (VM type 5): it takes Linux 6.16 or "
			 "later, TDX enabled in the BIOS, and kvm_intel.tdx=1; the kernel log says "
			 "what is missing; an emulated host is booted by make bench ON=emu");
		return -ENODEV;
	}
	return 0;
}

static int get_cpuid(struct errors *e, struct kvm_host *host)
{
	host->cpuid = calloc(1, sizeof(*host->cpuid) +
					CPUID_ENTRIES * sizeof(host->cpuid->entries[0]));
	if (!host->cpuid)
		return fail(e, -ENOMEM, "CPUID");
	host->cpuid->nent = CPUID_ENTRIES;
	return call(e, host->fd, KVM_GET_SUPPORTED_CPUID, host->cpuid,
		    "KVM_GET_SUPPORTED_CPUID");
}

int kvm_host_open(struct kvm_host *host, char *err, size_t size)
{
	struct errors e = { err, size };
	int ret;

	*host = (struct kvm_host){ .fd = open_kvm(&e) };
	if (host->fd < 0)
		return host->fd;
	ret = check_caps(&e, host->fd);
	if (!ret)
		ret = get_cpuid(&e, host);
	if (!ret) {
		host->run_size = ioctl(host->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
		host->all = mmap(NULL, sizeof(*host->all), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (host->all == MAP_FAILED)
			ret = fail(&e, -errno, "the page that all TDs share");
	}
	if (ret)
		kvm_host_close(host);
	return ret;
}

void kvm_host_close(struct kvm_host *host)
{
	if (host->all && host->all != MAP_FAILED)
		munmap(host->all, sizeof(*host->all));
	free(host->cpuid);
	if (host->fd >= 0)
		close(host->fd);
	*host = (struct kvm_host){ .fd = -1 };
}

/* ------------------------------------------------------------- TDX commands */

static int tdx(struct errors *e, int fd, enum abi_tdx_cmd id, uint32_t flags, uint64_t data,
	       const char *what)
{
	struct abi_tdx_cmd_args cmd = { .id = id, .flags = flags, .data = data };
	int err, tries = 0;

	do {
		cmd.hw_error = 0;
		err = ioctl(fd, ABI_KVM_MEMORY_ENCRYPT_OP, &cmd) < 0 ? -errno : 0;
		/* no entropy for a key, or the module's locks are taken */
	} while ((err == -EAGAIN || err == -EBUSY) && ++tries < BUSY_TRIES && !usleep(100));
	if (!err)
		return 0;
	if (cmd.hw_error)
		snprintf(e->text, e->size, "%s: %s (TDX module: %#" PRIx64 ")", what,
			 strerror(-err), cmd.hw_error);
	else
		snprintf(e->text, e->size, "%s: %s", what, strerror(-err));
	return err;
}

static struct kvm_cpuid_entry2 *find_cpuid(struct kvm_cpuid2 *cpuid, uint32_t fn, uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == fn && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

/*
 * What a TD's CPUID gets of the bits that can be configured: what KVM supports. Leaves
 * of topology and caches stay as the module has them, and so does the CPU's model.
 */
static void fill_cpuid(const struct kvm_host *host, const struct abi_tdx_capabilities *caps,
		       struct kvm_cpuid2 *to)
{
	for (uint32_t i = 0; i < caps->cpuid.nent; i++) {
		const struct kvm_cpuid_entry2 *can = &caps->cpuid.entries[i];
		const struct kvm_cpuid_entry2 *has = find_cpuid(host->cpuid, can->function, can->index);
		struct kvm_cpuid_entry2 *entry = &to->entries[to->nent];

		if (can->function != 1 && can->function != 7 && can->function != 0x80000008)
			continue;
		*entry = *can;
		entry->eax &= has ? has->eax : 0;
		entry->ebx &= has ? has->ebx : 0;
		entry->ecx &= has ? has->ecx : 0;
		entry->edx &= has ? has->edx : 0;
		/* without it KVM takes the first subleaf for all of them */
		if (can->function == 7)
			entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		if (can->function == 1)
			entry->eax = 0;
		if (can->function == 0x80000008)
			entry->eax = (entry->eax & 0xff) | GPA_BITS << 16;
		to->nent++;
	}
}

static int init_vm(struct errors *e, struct kvm_td *td, uint64_t number)
{
	size_t entries = CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
	struct abi_tdx_capabilities *caps = calloc(1, sizeof(*caps) + entries);
	struct abi_tdx_init_vm *init = calloc(1, sizeof(*init) + entries);
	int ret = -ENOMEM;

	if (!caps || !init) {
		fail(e, ret, "KVM_TDX_INIT_VM");
		goto out;
	}
	caps->cpuid.nent = CPUID_ENTRIES;
	ret = tdx(e, td->fd, ABI_TDX_CAPABILITIES, 0, (uint64_t)caps, "KVM_TDX_CAPABILITIES");
	if (ret)
		goto out;
	init->attributes = caps->supported_attrs & ABI_TDX_ATTR_SEPT_VE_DISABLE;
	init->xfam = caps->supported_xfam & 3;
	init->mrownerconfig[0] = number;
	fill_cpuid(td->host, caps, &init->cpuid);
	ret = tdx(e, td->fd, ABI_TDX_INIT_VM, 0, (uint64_t)init, "KVM_TDX_INIT_VM");
	if (ret == -ENOSPC)
		snprintf(e->text, e->size, "KVM_TDX_INIT_VM: all of the host's TDX KeyIDs are in use, "
			 "one per TD: fewer TDs at a time (count), or end others");
out:
	free(caps);
	free(init);
	return ret;
}

/* --------------------------------------------------------------------- VM */

static int enable_cap(struct errors *e, int fd, uint32_t cap, uint64_t value, const char *what)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { value } };

	return call(e, fd, KVM_ENABLE_CAP, &c, what);
}

static int check_vcpus(struct errors *e, const struct kvm_td *td)
{
	int most = ioctl(td->fd, KVM_CHECK_EXTENSION, ABI_KVM_CAP_MAX_VCPUS);

	if (most <= 0 || td->vcpus <= (unsigned int)most)
		return 0;
	snprintf(e->text, e->size, "a TD of %u vCPUs: KVM allows a TD as many as the host has CPUs, %d",
		 td->vcpus, most);
	return -ERANGE;
}

static int create_vm(struct errors *e, struct kvm_td *td)
{
	int ret;

	td->fd = ioctl(td->host->fd, KVM_CREATE_VM, ABI_KVM_X86_TDX_VM);
	if (td->fd < 0)
		return fail(e, -errno, "KVM_CREATE_VM of a TD");
	ret = check_vcpus(e, td);
	if (!ret)
		ret = enable_cap(e, td->fd, ABI_KVM_CAP_SPLIT_IRQCHIP, IOAPIC_PINS,
				 "KVM_CAP_SPLIT_IRQCHIP");
	if (!ret && td->vcpus > 255)
		ret = enable_cap(e, td->fd, ABI_KVM_CAP_X2APIC_API, 3, "KVM_CAP_X2APIC_API");
	if (!ret)
		ret = enable_cap(e, td->fd, ABI_KVM_CAP_EXIT_HYPERCALL,
				 1 << ABI_KVM_HC_MAP_GPA_RANGE, "KVM_CAP_EXIT_HYPERCALL of MapGPA");
	return ret;
}

/* ------------------------------------------------------------------ memory */

static char *unbacked(uint64_t size)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int set_slot(struct errors *e, struct kvm_td *td, enum slot slot, uint64_t gpa,
		    uint64_t size, void *hva, int memfd, const char *what)
{
	struct abi_kvm_memory_region2 r = {
		.slot = slot,
		.flags = memfd >= 0 ? ABI_KVM_MEM_GUEST_MEMFD : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uint64_t)hva,
		.guest_memfd = memfd >= 0 ? memfd : 0,
	};

	return call(e, td->fd, ABI_KVM_SET_USER_MEMORY_REGION2, &r, what);
}

static int add_private(struct errors *e, struct kvm_td *td, enum slot slot, uint64_t gpa,
		       uint64_t size, char **hva, int *memfd, const char *what)
{
	struct abi_kvm_create_guest_memfd create = { .size = size };
	struct abi_kvm_memory_attributes attrs = {
		.address = gpa,
		.size = size,
		.attributes = ABI_KVM_MEMORY_ATTRIBUTE_PRIVATE,
	};
	int ret;

	*hva = unbacked(size);
	if (!*hva)
		return fail(e, -errno, what);
	*memfd = ioctl(td->fd, ABI_KVM_CREATE_GUEST_MEMFD, &create);
	if (*memfd < 0)
		return fail(e, -errno, "KVM_CREATE_GUEST_MEMFD");
	ret = set_slot(e, td, slot, gpa, size, *hva, *memfd, what);
	return ret ? ret :
		     call(e, td->fd, ABI_KVM_SET_MEMORY_ATTRIBUTES, &attrs,
			  "KVM_SET_MEMORY_ATTRIBUTES");
}

static int add_memory(struct errors *e, struct kvm_td *td)
{
	uint64_t mailbox = kvm_image_mailbox(td->vcpus);
	int ret;

	td->box = (struct td_box *)unbacked(mailbox);
	if (!td->box)
		return fail(e, -errno, "the mailbox");
	td->vcpu_box = (struct vcpu_box *)(td->box + 1);
	ret = add_private(e, td, SLOT_MEMORY, TD_MEMORY_GPA, td->memory, &td->shared_memory,
			  &td->memory_fd, "the TD's memory");
	if (!ret)
		ret = add_private(e, td, SLOT_IMAGE, td->image.gpa, td->image.size,
				  &td->shared_image, &td->image_fd, "the TD's image");
	if (!ret)
		ret = set_slot(e, td, SLOT_ALL_BOX, KVM_IMAGE_ALL_BOX, sizeof(*td->host->all),
			       td->host->all, -1, "the page that all TDs share");
	if (!ret)
		ret = set_slot(e, td, SLOT_BOX, KVM_IMAGE_TD_BOX, mailbox, td->box, -1,
			       "the mailbox");
	return ret;
}

/* Bytes at @from, or zeros, become private memory before the TD runs. */
static int populate(struct errors *e, struct kvm_td *td, uint64_t gpa, const char *from,
		    uint64_t size, uint32_t flags)
{
	static const char zeros[PIECE_PAGES * TD_PAGE_4K] __attribute__((aligned(4096)));
	uint64_t piece;

	for (; size; gpa += piece, size -= piece, from = from ? from + piece : NULL) {
		struct abi_tdx_mem_region region;
		int ret;

		piece = size < sizeof(zeros) ? size : sizeof(zeros);
		region = (struct abi_tdx_mem_region){
			.source_addr = (uint64_t)(from ? from : zeros),
			.gpa = gpa,
			.nr_pages = piece / TD_PAGE_4K,
		};
		ret = tdx(e, td->vcpu[0].fd, ABI_TDX_INIT_MEM_REGION, flags, (uint64_t)&region,
			  "KVM_TDX_INIT_MEM_REGION");
		if (ret)
			return ret;
	}
	return 0;
}

static int populate_all(struct errors *e, struct kvm_td *td)
{
	const struct kvm_image *i = &td->image;
	uint64_t low = i->stacks - i->gpa, high = i->stacks + i->stacks_size;
	uint32_t measure = ABI_TDX_MEASURE_MEMORY_REGION;
	int ret;

	ret = populate(e, td, i->gpa, i->bytes, low, measure);
	if (!ret)
		ret = populate(e, td, i->stacks, NULL, i->stacks_size, 0);
	if (!ret)
		ret = populate(e, td, high, i->bytes + (high - i->gpa), TD_IMAGE_END - high, measure);
	if (!ret && td->image_bytes)
		ret = populate(e, td, TD_MEMORY_GPA, NULL, td->image_bytes, measure);
	return ret;
}

/* ------------------------------------------------------------------- vCPUs */

/* What KVM believes of the TD's CPU: the APIC's timer mode and the width of GPAs. */
static int set_cpuid(struct errors *e, const struct kvm_vcpu *v)
{
	size_t size = sizeof(struct kvm_cpuid2) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *cpuid = malloc(size);
	struct kvm_cpuid_entry2 *entry;
	int ret;

	if (!cpuid)
		return fail(e, -ENOMEM, "KVM_SET_CPUID2");
	memcpy(cpuid, v->td->host->cpuid, size);
	entry = find_cpuid(cpuid, 1, 0);
	if (entry) {
		entry->ebx = (entry->ebx & 0x00ffffff) | v->id << 24;
		entry->ecx |= 1 << 24 | 1 << 21;	/* TSC deadline, x2APIC */
	}
	entry = find_cpuid(cpuid, 0x80000008, 0);
	if (entry)
		entry->eax = (entry->eax & 0xff00ffff) | GPA_BITS << 16;
	ret = call(e, v->fd, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
	free(cpuid);
	return ret;
}

static int add_vcpu(struct errors *e, struct kvm_td *td, unsigned int id)
{
	struct kvm_vcpu *v = &td->vcpu[id];
	int ret;

	v->fd = ioctl(td->fd, KVM_CREATE_VCPU, id);
	if (v->fd < 0)
		return fail(e, -errno, "KVM_CREATE_VCPU");
	v->run = mmap(NULL, td->host->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return fail(e, -errno, "struct kvm_run");
	}
	ret = set_cpuid(e, v);
	return ret ? ret :
		     tdx(e, v->fd, ABI_TDX_INIT_VCPU, 0,
			 td->image.records + id * sizeof(struct td_record), "KVM_TDX_INIT_VCPU");
}

/* The guest's clock: KVM gives a TD its own, in steps of 25 MHz. */
static void fill_mailbox(struct kvm_td *td)
{
	int khz = ioctl(td->fd, KVM_GET_TSC_KHZ, 0);

	td->box->magic = TD_MAILBOX_MAGIC;
	td->box->version = TD_IMAGE_VERSION;
	for (unsigned int i = 0; i < TD_BARRIERS; i++)
		td->box->barrier[i].members = td->vcpus;
	for (unsigned int i = 0; i < td->vcpus; i++)
		td->vcpu_box[i].tsc_khz = khz > 0 ? khz / 25000 * 25000 : 0;
}

/* ------------------------------------------------------------------ making */

static struct kvm_td *new_td(const struct kvm_host *host, const struct kvm_td_config *c)
{
	struct kvm_td *td = calloc(1, sizeof(*td));

	if (!td)
		return NULL;
	td->host = host;
	td->vcpus = c->vcpus;
	td->memory = c->memory;
	td->image_bytes = c->image;
	td->pause = c->pause;
	td->fd = td->memory_fd = td->image_fd = -1;
	pthread_mutex_init(&td->lock, NULL);
	td->vcpu = calloc(c->vcpus, sizeof(*td->vcpu));
	for (unsigned int i = 0; td->vcpu && i < c->vcpus; i++)
		td->vcpu[i] = (struct kvm_vcpu){ .td = td, .id = i, .fd = -1 };
	return td;
}

static int build_image(struct errors *e, struct kvm_td *td, const struct kvm_td_config *c)
{
	struct kvm_image_config image = {
		.memory = c->memory, .vcpus = c->vcpus, .program = c->program,
	};
	int ret = td->vcpu ? kvm_image_build(&image, &td->image) : -ENOMEM;

	if (ret == -E2BIG)
		snprintf(e->text, e->size, "a TD of %" PRIu64 " MiB: the payload maps at most %llu GiB",
			 c->memory >> 20, KVM_IMAGE_MEMORY_MAX >> 30);
	else if (ret)
		fail(e, ret, "the TD's image");
	return ret;
}

int kvm_td_create(const struct kvm_host *host, const struct kvm_td_config *c, struct kvm_td **out,
		  char *err, size_t size)
{
	struct kvm_td *td = new_td(host, c);
	struct errors e = { err, size };
	int ret;

	*out = NULL;
	if (!td)
		return fail(&e, -ENOMEM, "a TD");
	ret = build_image(&e, td, c);
	if (!ret)
		ret = create_vm(&e, td);
	if (!ret)
		ret = init_vm(&e, td, c->number);
	if (!ret)
		ret = add_memory(&e, td);
	for (unsigned int i = 0; i < c->vcpus && !ret; i++)
		ret = add_vcpu(&e, td, i);
	if (!ret)
		ret = populate_all(&e, td);
	if (!ret) {
		fill_mailbox(td);
		ret = tdx(&e, td->fd, ABI_TDX_FINALIZE_VM, 0, 0, "KVM_TDX_FINALIZE_VM");
	}
	if (ret)
		kvm_td_free(td);
	else
		*out = td;
	return ret;
}

static void unmap(void *at, uint64_t size)
{
	if (at)
		munmap(at, size);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Whoever holds a file of the VM holds the VM, and its KeyID: all of them go. */
void kvm_td_free(struct kvm_td *td)
{
	if (!td)
		return;
	for (unsigned int i = 0; td->vcpu && i < td->vcpus; i++) {
		unmap(td->vcpu[i].run, td->host->run_size);
		close_fd(td->vcpu[i].fd);
	}
	close_fd(td->memory_fd);
	close_fd(td->image_fd);
	close_fd(td->fd);
	unmap(td->shared_memory, td->memory);
	unmap(td->shared_image, td->image.size);
	unmap(td->box, kvm_image_mailbox(td->vcpus));
	kvm_image_free(&td->image);
	pthread_mutex_destroy(&td->lock);
	free(td->vcpu);
	free(td);
}
