// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop around KVM_RUN. A TD program leaves KVM for MapGPA, and at its end by a
 * write to TD_DONE_PORT; everything else that comes out here is a signal, a page
 * whose attribute was wrong, or the death of the TD.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "exec/kvm_abi.h"
#include "exec/kvm_td.h"

#define PROGRAM_OVER 1

static void on_kick(int sig)
{
	(void)sig;
}

void kvm_kick_init(void)
{
	struct sigaction sa = { .sa_handler = on_kick };

	sigaction(KVM_KICK_SIGNAL, &sa, NULL);
}

void kvm_vcpu_kick(struct kvm_vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELAXED);
	pthread_kill(v->thread, KVM_KICK_SIGNAL);
}

/* The TD's first failure is what it died of; what follows is its consequence. */
__attribute__((format(printf, 3, 4)))
static int died(struct kvm_vcpu *v, int err, const char *format, ...)
{
	struct kvm_td *td = v->td;
	char text[KVM_ERROR_MAX - 16];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	pthread_mutex_lock(&td->lock);
	if (!td->error[0])
		snprintf(td->error, sizeof(td->error), "vCPU %u: %s", v->id, text);
	pthread_mutex_unlock(&td->lock);
	return err;
}

/*
 * Convert [gpa, gpa + size) of the TD's memory, and give back what backed it before,
 * as a host that does not want to pay twice does.
 */
static int convert(struct kvm_vcpu *v, uint64_t gpa, uint64_t size, bool private)
{
	struct kvm_td *td = v->td;
	struct abi_kvm_memory_attributes attrs = {
		.address = gpa,
		.size = size,
		.attributes = private ? ABI_KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};
	uint64_t at = gpa - TD_MEMORY_GPA;

	if (gpa < TD_MEMORY_GPA || at > td->memory || size > td->memory - at)
		return -EINVAL;
	if (ioctl(td->fd, ABI_KVM_SET_MEMORY_ATTRIBUTES, &attrs) < 0)
		return -errno;
	if (private)
		madvise(td->shared_memory + at, size, MADV_DONTNEED);
	else if (fallocate(td->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size))
		return -errno;
	return 0;
}

static int on_hypercall(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t gpa = run->hypercall.args[0], size = run->hypercall.args[1] * TD_PAGE_4K;
	int ret;

	if (run->hypercall.nr != ABI_KVM_HC_MAP_GPA_RANGE)
		return died(v, -EIO, "hypercall %llu, which nobody asked for", run->hypercall.nr);
	ret = convert(v, gpa, size, run->hypercall.args[2] & ABI_KVM_MAP_GPA_ENCRYPTED);
	run->hypercall.ret = ret == -EINVAL ? EINVAL : 0;
	if (ret && ret != -EINVAL)
		return died(v, ret, "converting GPA %#" PRIx64 ": %s", gpa, strerror(-ret));
	return 0;
}

/* An access without MapGPA before it: the page becomes what the access wants. */
static int on_memory_fault(struct kvm_vcpu *v, int err)
{
	const struct abi_kvm_memory_fault *f = (const void *)&v->run->hw;
	bool private = f->flags & ABI_KVM_MEMORY_EXIT_FLAG_PRIVATE;
	int ret;

	if (err == -EHWPOISON)
		return died(v, err, "memory error at GPA %#" PRIx64, f->gpa);
	ret = convert(v, f->gpa, f->size, private);
	if (ret == -EINVAL)
		return died(v, -EFAULT, "%s access to GPA %#" PRIx64 ", where there is no memory",
			    private ? "private" : "shared", f->gpa);
	if (ret)
		return died(v, ret, "%s access to GPA %#" PRIx64 ": %s",
			    private ? "private" : "shared", f->gpa, strerror(-ret));
	return 0;
}

static int on_internal_error(struct kvm_vcpu *v)
{
	const struct kvm_run *run = v->run;

	if (run->internal.suberror == ABI_KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON &&
	    run->internal.ndata)
		return died(v, -EIO, "TDH.VP.ENTER ended with %#llx, which KVM does not know",
			    run->internal.data[0]);
	return died(v, -EIO, "KVM gave up with internal error %u", run->internal.suberror);
}

static int on_system_event(struct kvm_vcpu *v)
{
	const struct kvm_run *run = v->run;

	if (run->system_event.type == ABI_KVM_SYSTEM_EVENT_TDX_FATAL)
		return died(v, -EIO, "the TD reported a fatal error");
	return died(v, -EIO, "system event %u", run->system_event.type);
}

static int on_exit(struct kvm_vcpu *v)
{
	const struct kvm_run *run = v->run;

	if (run->exit_reason < sizeof(v->exits) / sizeof(v->exits[0]))
		v->exits[run->exit_reason]++;
	switch (run->exit_reason) {
	case KVM_EXIT_HYPERCALL:
		return on_hypercall(v);
	case ABI_KVM_EXIT_TDX: /* a service of the VMM: KVM's answer is that there is none */
	case KVM_EXIT_HLT:
	case KVM_EXIT_INTR:
		return 0;
	case KVM_EXIT_SHUTDOWN:
		return died(v, -EIO, "the guest died of a triple fault");
	case KVM_EXIT_SYSTEM_EVENT:
		return on_system_event(v);
	case KVM_EXIT_FAIL_ENTRY:
		return died(v, -EIO, "the TDX module refused to enter the TD (%#llx)",
			    run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return on_internal_error(v);
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == TD_DONE_PORT)
			return PROGRAM_OVER;
		return died(v, -EIO, "access to I/O port %#x, where there is no device",
			    run->io.port);
	case KVM_EXIT_MMIO:
		return died(v, -EIO, "access to shared GPA %#llx, where there is no memory",
			    run->mmio.phys_addr);
	default:
		return died(v, -EIO, "exit %u, which nobody handles", run->exit_reason);
	}
}

int kvm_vcpu_run(struct kvm_vcpu *v)
{
	struct kvm_td *td = v->td;
	int ret = 0, err;

	while (!ret) {
		/* of an earlier kick; a later one is seen below, or sends KVM_RUN back */
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (td->leave)
			return -EINTR;
		if (td->pause && *td->pause)
			return -ERESTART;
		if (!ioctl(v->fd, KVM_RUN, 0)) {
			ret = on_exit(v);
			continue;
		}
		err = -errno;
		if (err == -EINTR || err == -EAGAIN)
			continue;
		if ((err == -EFAULT || err == -EHWPOISON) &&
		    v->run->exit_reason == ABI_KVM_EXIT_MEMORY_FAULT)
			ret = on_memory_fault(v, err);
		else
			ret = died(v, err, "KVM_RUN: %s%s", strerror(-err),
				   err == -EIO ? " (KVM gave the TD up; the kernel log says why)" : "");
	}
	return ret == PROGRAM_OVER ? 0 : ret;
}
