/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A KVM with TDs for the tests of the VMM: open(), ioctl() of this process answer for
 * /dev/kvm, its VMs and vCPUs, which are memfds here. KVM_RUN interprets the vCPU's
 * program out of the memory that the VMM has measured in, against the attributes and
 * slots that it has set. Any call can be made to fail, any exit to happen.
 */
#ifndef DPAMT_KVM_FAKE_H
#define DPAMT_KVM_FAKE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/kvm_abi.h"
#include "exec/kvm_td.h"
#include "td/program.h"

#define FAKE_VMS 64
#define FAKE_VCPUS 8
#define FAKE_SLOTS 8
#define FAKE_RUN_SIZE 12288

/* What a call is, to make it fail: the ioctl, with the TDX command or capability above. */
#define FAKE_OPEN 1ULL
#define FAKE_CALL(request, sub) ((uint64_t)(uint32_t)(request) | (uint64_t)(sub) << 32)

struct fake_vcpu {
	struct fake_vm *vm;
	int fd;
	struct kvm_run *run;
	uint64_t rcx;
	struct td_cpu cpu;
	bool started;
	uint32_t barrier, target;
	bool stuck;
	bool hypercall;		/* MapGPA is with the VMM */
	int converted;		/* its answer, plus one */
	uint64_t fault_at;	/* of a touch of what is shared */
};

struct fake_vm {
	int fd;			/* 0: free */
	bool keyed, finalised;
	struct abi_kvm_memory_region2 slot[FAKE_SLOTS];
	char *image;		/* private memory below 4G */
	uint64_t image_gpa, image_size;
	uint8_t *attr, *there;	/* per page of the TD's memory */
	uint64_t memory, added;
	struct fake_vcpu vcpu[FAKE_VCPUS];
	unsigned int nr_vcpus;
};

static struct {
	pthread_mutex_t lock;
	struct fake_vm vm[FAKE_VMS];
	unsigned int keys, keys_used, most_keys;
	uint64_t fail_call, hw_error;	/* this call fails with fail_errno .. */
	int fail_errno, fail_times;	/* .. so many times; -1: always */
	uint32_t force_exit;		/* KVM_RUN ends so once */
	struct kvm_run forced;
	uint64_t runs, created, map_gpa;
	bool no_tdx;
	bool all_shared;		/* at the start, whatever the VMM has set */
	uint64_t fault_shift;		/* memory faults are told of another place */
	uint64_t faults;
	uint64_t stuck_vcpu;		/* the vCPU that runs as the n-th does not */
	bool stuck_once;		/* .. until it is kicked, or "regions" opened without a kick */
	unsigned int running;		/* vCPUs inside KVM_RUN */
	unsigned int moving;		/* who ran or was made while "regions" was opened */
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool fake_fails(uint64_t call)
{
	if (!fake.fail_call || fake.fail_call != call || !fake.fail_times)
		return false;
	if (fake.fail_times > 0)
		fake.fail_times--;
	errno = fake.fail_errno;
	return true;
}

/* The module's regions are read while nothing moves. */
static void fake_owners(void)
{
	fake.moving += __atomic_load_n(&fake.running, __ATOMIC_RELAXED);
	if (fake.stuck_once)
		__atomic_store_n(&fake.stuck_vcpu, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < FAKE_VMS; i++)
		fake.moving += fake.vm[i].keyed && !fake.vm[i].finalised;
}

/* While a TD can run, FILE.live is what FILE says, where there is one. */
static const char *fake_path(const char *path, char *live, size_t size)
{
	bool any = false;

	for (int i = 0; i < FAKE_VMS; i++)
		any |= fake.vm[i].finalised;
	snprintf(live, size, "%s.live", path);
	return any && !access(live, R_OK) ? live : path;
}

int open(const char *path, int flags, ...)
{
	char live[256];
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (strstr(path, "/regions"))
		fake_owners();
	if (strcmp(path, "/dev/kvm"))
		return syscall(SYS_openat, AT_FDCWD, fake_path(path, live, sizeof(live)), flags, mode);
	return fake_fails(FAKE_OPEN) ? -1 : memfd_create("fake-kvm", MFD_CLOEXEC);
}

static struct fake_vm *fake_vm(int fd)
{
	for (int i = 0; i < FAKE_VMS; i++)
		if (fake.vm[i].fd == fd)
			return &fake.vm[i];
	return NULL;
}

static struct fake_vcpu *fake_vcpu(int fd)
{
	for (int i = 0; i < FAKE_VMS; i++)
		for (unsigned int v = 0; fake.vm[i].fd && v < fake.vm[i].nr_vcpus; v++)
			if (fake.vm[i].vcpu[v].fd == fd)
				return &fake.vm[i].vcpu[v];
	return NULL;
}

/* A VM goes when its file does: close() is the VMM's word that it has no more use for it. */
int close(int fd)
{
	struct fake_vcpu *v;
	struct fake_vm *vm;

	pthread_mutex_lock(&fake.lock);
	v = fake_vcpu(fd);
	if (v)
		v->fd = -1;
	vm = fd > 0 ? fake_vm(fd) : NULL;
	if (vm) {
		fake.keys_used -= vm->keyed;
		for (unsigned int i = 0; i < vm->nr_vcpus; i++)
			munmap(vm->vcpu[i].run, FAKE_RUN_SIZE);
		free(vm->image);
		free(vm->attr);
		free(vm->there);
		memset(vm, 0, sizeof(*vm));
	}
	pthread_mutex_unlock(&fake.lock);
	return syscall(SYS_close, fd);
}

/* ------------------------------------------------------------------ memory */

static void *fake_shared(struct fake_vm *vm, uint64_t gpa)
{
	for (int i = 0; i < FAKE_SLOTS; i++) {
		struct abi_kvm_memory_region2 *s = &vm->slot[i];

		if (s->memory_size && gpa >= s->guest_phys_addr &&
		    gpa < s->guest_phys_addr + s->memory_size)
			return (char *)s->userspace_addr + (gpa - s->guest_phys_addr);
	}
	return NULL;
}

static void *fake_private(struct fake_vm *vm, uint64_t gpa)
{
	if (gpa < vm->image_gpa || gpa >= vm->image_gpa + vm->image_size)
		return NULL;
	return vm->image + (gpa - vm->image_gpa);
}

static int fake_slot(struct fake_vm *vm, const struct abi_kvm_memory_region2 *r)
{
	if (r->slot >= FAKE_SLOTS || r->memory_size % 4096 || r->userspace_addr % 4096)
		return -EINVAL;
	vm->slot[r->slot] = *r;
	if (r->guest_phys_addr == TD_MEMORY_GPA) {
		vm->memory = r->memory_size;
		vm->attr = calloc(1, r->memory_size / 4096);
		vm->there = calloc(1, r->memory_size / 4096);
	} else if (r->flags & ABI_KVM_MEM_GUEST_MEMFD) {
		vm->image_gpa = r->guest_phys_addr;
		vm->image_size = r->memory_size;
		vm->image = malloc(r->memory_size);
		memset(vm->image, 0xff, r->memory_size);
	}
	return 0;
}

static int fake_attributes(struct fake_vm *vm, const struct abi_kvm_memory_attributes *a)
{
	uint64_t at = a->address - TD_MEMORY_GPA;

	if (a->address < TD_MEMORY_GPA)
		return 0;
	if (at + a->size > vm->memory)
		return -EINVAL;
	memset(vm->attr + at / 4096, a->attributes ? 1 : 0, a->size / 4096);
	if (!a->attributes)
		memset(vm->there + at / 4096, 0, a->size / 4096);
	return 0;
}

static int fake_add(struct fake_vm *vm, const struct abi_tdx_mem_region *r)
{
	uint64_t size = r->nr_pages * 4096;

	if (fake_private(vm, r->gpa))
		memcpy(fake_private(vm, r->gpa), (void *)r->source_addr, size);
	else
		memset(vm->there + (r->gpa - TD_MEMORY_GPA) / 4096, 1, r->nr_pages);
	vm->added += r->nr_pages;
	return 0;
}

/* --------------------------------------------------------------- the guest */

static const struct td_image *fake_image(struct fake_vcpu *v)
{
	const struct td_record *r = fake_private(v->vm, v->rcx);

	return fake_private(v->vm, r->image);
}

static struct vcpu_box *fake_box(struct fake_vcpu *v)
{
	const struct td_record *r = fake_private(v->vm, v->rcx);

	return fake_shared(v->vm, fake_image(v)->vcpu_box + r->vcpu * sizeof(struct vcpu_box));
}

static int fake_touch(void *ctx, uint64_t at, int level)
{
	struct fake_vcpu *v = ctx;
	struct vcpu_box *box = fake_box(v);

	(void)level;
	if (!v->vm->attr[at / 4096]) {
		v->fault_at = at;
		return -EFAULT;
	}
	if (v->vm->there[at / 4096])
		return 0;
	v->vm->there[at / 4096] = 1;
	box->bins[td_hist_index(1000 + at / 4096)]++;
	box->hist_sum += 1000 + at / 4096;
	if (!box->hist_count || box->hist_min > 1000 + at / 4096)
		box->hist_min = 1000 + at / 4096;
	if (box->hist_max < 1000 + at / 4096)
		box->hist_max = 1000 + at / 4096;
	box->hist_count++;
	box->touches++;
	box->accepts++;
	return 0;
}

static int fake_convert(void *ctx, uint64_t at, int to_private)
{
	struct fake_vcpu *v = ctx;
	struct kvm_run *run = v->run;

	if (v->converted) {
		v->converted--;
		fake_box(v)->conversions++;
		return v->converted ? v->converted-- * -1 : 0;
	}
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = ABI_KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = TD_MEMORY_GPA + at;
	run->hypercall.args[1] = 1;
	run->hypercall.args[2] = to_private ? ABI_KVM_MAP_GPA_ENCRYPTED : 0;
	run->hypercall.ret = 0;
	v->hypercall = true;
	__atomic_fetch_add(&fake.map_gpa, 1, __ATOMIC_RELAXED);
	return -TD_EAGAIN;
}

static int fake_barrier(void *ctx, uint32_t id, enum td_scope scope)
{
	struct fake_vcpu *v = ctx;
	const struct td_image *image = fake_image(v);
	struct td_box *box = fake_shared(v->vm, scope == TD_SCOPE_ALL ? image->all_box :
								       image->td_box);
	struct td_barrier *b = &box->barrier[id];

	if (v->barrier != id + 1) {
		uint32_t ticket = __atomic_fetch_add(&b->joined, 1, __ATOMIC_ACQ_REL);

		v->barrier = id + 1;
		v->target = (ticket / b->members + 1) * b->members;
	}
	if ((int32_t)(__atomic_load_n(&b->joined, __ATOMIC_ACQUIRE) - v->target) < 0 &&
	    !__atomic_load_n(&box->stop, __ATOMIC_RELAXED))
		return -TD_EAGAIN;
	v->barrier = 0;
	return 0;
}

static int fake_idle(void *ctx, uint64_t ns)
{
	(void)ctx;
	(void)ns;
	return 0;
}

static void fake_phase(void *ctx, uint32_t n)
{
	(void)ctx;
	(void)n;
}

static int fake_stop(void *ctx)
{
	struct fake_vcpu *v = ctx;
	struct td_box *all = fake_shared(v->vm, fake_image(v)->all_box);

	return __atomic_load_n(&all->stop, __ATOMIC_RELAXED);
}

static void fake_reset(struct fake_vcpu *v)
{
	const struct td_record *r = fake_private(v->vm, v->rcx);

	td_cpu_init(&v->cpu, fake_private(v->vm, r->program), r->program_size);
	fake_box(v)->state = TD_VCPU_RUNNING;
	v->started = true;
}

static void fake_done(struct fake_vcpu *v, enum td_step step)
{
	struct vcpu_box *box = fake_box(v);

	box->error = v->cpu.error;
	__atomic_store_n(&box->state, step == TD_STEP_END ? TD_VCPU_DONE : TD_VCPU_FAILED,
			 __ATOMIC_RELEASE);
	v->run->exit_reason = KVM_EXIT_IO;
	v->run->io.direction = KVM_EXIT_IO_OUT;
	v->run->io.port = TD_DONE_PORT;
}

static int fake_memory_fault(struct fake_vcpu *v)
{
	struct abi_kvm_memory_fault *f = (void *)&v->run->hw;

	v->cpu.error = 0;
	__atomic_fetch_add(&fake.faults, 1, __ATOMIC_RELAXED);
	v->run->exit_reason = ABI_KVM_EXIT_MEMORY_FAULT;
	*f = (struct abi_kvm_memory_fault){
		.flags = ABI_KVM_MEMORY_EXIT_FLAG_PRIVATE,
		.gpa = TD_MEMORY_GPA + v->fault_at + fake.fault_shift,
		.size = 4096,
	};
	return -EFAULT;
}

static int fake_run(struct fake_vcpu *v)
{
	const struct td_env env = {
		.ctx = v,
		.touch = fake_touch,
		.convert = fake_convert,
		.barrier = fake_barrier,
		.idle = fake_idle,
		.pace = fake_idle,
		.phase = fake_phase,
		.stop = fake_stop,
	};
	enum td_step step = TD_STEP_DONE;

	if (__atomic_add_fetch(&fake.runs, 1, __ATOMIC_RELAXED) == fake.stuck_vcpu)
		v->stuck = true;
	while (v->stuck && !__atomic_load_n(&v->run->immediate_exit, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&fake.stuck_vcpu, __ATOMIC_RELAXED))
		usleep(1000);
	if (fake.stuck_once)
		v->stuck = false;
	if (v->hypercall) {
		v->hypercall = false;
		v->converted = v->run->hypercall.ret ? EIO + 1 : 1;
	}
	if (!v->vm->finalised)
		return -EINVAL;
	if (!v->started)
		fake_reset(v);
	for (int i = 0; i < 200; i++) {
		if (__atomic_load_n(&v->run->immediate_exit, __ATOMIC_RELAXED))
			return -EINTR;
		step = td_step(&v->cpu, &env);
		if (v->hypercall)
			return 0;
		if (step == TD_STEP_ERROR && v->cpu.error == -EFAULT)
			return fake_memory_fault(v);
		if (step == TD_STEP_END || step == TD_STEP_ERROR) {
			fake_done(v, step);
			return 0;
		}
		if (step == TD_STEP_BLOCKED)
			usleep(100);
	}
	v->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/* ------------------------------------------------------------------ ioctls */

static int fake_tdx(int fd, struct abi_tdx_cmd_args *cmd)
{
	struct fake_vcpu *v = fake_vcpu(fd);
	struct fake_vm *vm = v ? v->vm : fake_vm(fd);
	struct abi_tdx_capabilities *caps = (void *)cmd->data;

	if (fake_fails(FAKE_CALL(ABI_KVM_MEMORY_ENCRYPT_OP, cmd->id))) {
		cmd->hw_error = fake.hw_error;
		return -errno;
	}
	if (cmd->hw_error)
		return -EINVAL;
	switch (cmd->id) {
	case ABI_TDX_CAPABILITIES:
		caps->supported_attrs = 1ULL << 28;
		caps->supported_xfam = 3;
		caps->cpuid.nent = 1;
		caps->cpuid.entries[0] = (struct kvm_cpuid_entry2){ .function = 0x80000008,
								    .eax = 0xffffff };
		return 0;
	case ABI_TDX_INIT_VM:
		if (fake.keys_used == fake.keys)
			return -ENOSPC;
		vm->keyed = true;
		if (++fake.keys_used > fake.most_keys)
			fake.most_keys = fake.keys_used;
		return 0;
	case ABI_TDX_INIT_VCPU:
		v->rcx = cmd->data;
		return 0;
	case ABI_TDX_INIT_MEM_REGION:
		return fake_add(vm, (void *)cmd->data);
	case ABI_TDX_FINALIZE_VM:
		vm->finalised = true;
		if (fake.all_shared)
			memset(vm->attr, 0, vm->memory / 4096);
		return 0;
	}
	return -EINVAL;
}

static int fake_create_vm(void)
{
	struct fake_vm *vm = fake_vm(0);

	*vm = (struct fake_vm){ .fd = memfd_create("fake-vm", MFD_CLOEXEC) };
	fake.created++;
	return vm->fd;
}

static int fake_create_vcpu(struct fake_vm *vm)
{
	struct fake_vcpu *v = &vm->vcpu[vm->nr_vcpus++];

	*v = (struct fake_vcpu){ .vm = vm, .fd = memfd_create("fake-vcpu", MFD_CLOEXEC) };
	if (ftruncate(v->fd, FAKE_RUN_SIZE))
		return -errno;
	v->run = mmap(NULL, FAKE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	return v->fd;
}

static int fake_create_memfd(const struct abi_kvm_create_guest_memfd *c)
{
	int fd = memfd_create("fake-gmem", MFD_CLOEXEC);

	return ftruncate(fd, c->size) ? -errno : fd;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_enable_cap *cap = arg;
	unsigned int sub = request == KVM_ENABLE_CAP ? cap->cap : 0;

	if (request == ABI_KVM_MEMORY_ENCRYPT_OP)
		return fake_tdx(fd, arg);
	if (fake_fails(FAKE_CALL(request, sub)))
		return -errno;
	switch (request) {
	case KVM_GET_API_VERSION:
		return 12;
	case KVM_CHECK_EXTENSION:
		return (long)arg == ABI_KVM_CAP_VM_TYPES ? (fake.no_tdx ? 1 : 0x21) : FAKE_VCPUS;
	case KVM_GET_SUPPORTED_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 0;
		return 0;
	case KVM_GET_VCPU_MMAP_SIZE:
		return FAKE_RUN_SIZE;
	case KVM_CREATE_VM:
		return (long)arg == ABI_KVM_X86_TDX_VM ? fake_create_vm() : -EINVAL;
	case KVM_CREATE_VCPU:
		return fake_create_vcpu(fake_vm(fd));
	case ABI_KVM_CREATE_GUEST_MEMFD:
		return fake_create_memfd(arg);
	case ABI_KVM_SET_USER_MEMORY_REGION2:
		return fake_slot(fake_vm(fd), arg);
	case ABI_KVM_SET_MEMORY_ATTRIBUTES:
		return fake_attributes(fake_vm(fd), arg);
	case KVM_GET_TSC_KHZ:
		return 2500000;
	case KVM_SET_CPUID2:
	case KVM_ENABLE_CAP:
		return 0;
	}
	return -ENOTTY;
}

static int fake_kvm_run(int fd)
{
	struct fake_vcpu *v;
	int ret = 0;

	pthread_mutex_lock(&fake.lock);
	v = fake_vcpu(fd);
	if (fake_fails(FAKE_CALL(KVM_RUN, 0))) {
		ret = -errno;
	} else if (fake.force_exit) {
		uint8_t immediate = v->run->immediate_exit;

		*v->run = fake.forced;
		v->run->immediate_exit = immediate;
		v->run->exit_reason = fake.force_exit;
		fake.force_exit = 0;
		pthread_mutex_unlock(&fake.lock);
		return 0;
	}
	pthread_mutex_unlock(&fake.lock);
	if (!ret) {
		__atomic_fetch_add(&fake.running, 1, __ATOMIC_RELAXED);
		ret = fake_run(v);
		__atomic_fetch_sub(&fake.running, 1, __ATOMIC_RELAXED);
	}
	return ret;
}

int ioctl(int fd, unsigned long request, ...)
{
	void *arg;
	va_list ap;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (_IOC_TYPE(request) != KVMIO)
		return syscall(SYS_ioctl, fd, request, arg);
	if (request == KVM_RUN) {
		ret = fake_kvm_run(fd);
	} else {
		pthread_mutex_lock(&fake.lock);
		ret = fake_ioctl(fd, request, arg);
		pthread_mutex_unlock(&fake.lock);
	}
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* Open files of this process. */
static unsigned int fake_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int nr = 0;

	while (d && readdir(d))
		nr++;
	if (d)
		closedir(d);
	return nr;
}

#endif
