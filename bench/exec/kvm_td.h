/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One TD on KVM's public ABI: what QEMU does for a TD, less everything that a TD
 * program does not need. The same calls go to a TDX host and to an emulated one.
 *
 * Memory of a TD: its private memory and its image are guest_memfd with the private
 * attribute; the mailbox is plain memory of this process. Every vCPU has a thread
 * of the caller's, which calls kvm_vcpu_run() until it returns.
 */
#ifndef DPAMT_KVM_TD_H
#define DPAMT_KVM_TD_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec/kvm_image.h"

#define KVM_ERROR_MAX 256

/* What one open /dev/kvm says. */
struct kvm_host {
	int fd;
	size_t run_size;		/* of struct kvm_run and what follows it */
	struct kvm_cpuid2 *cpuid;	/* KVM_GET_SUPPORTED_CPUID */
	struct td_box *all;		/* the page that all TDs share */
};

struct kvm_td;

struct kvm_vcpu {
	struct kvm_td *td;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	pthread_t thread;	/* the caller's, set before kvm_td_kick() */
	uint64_t exits[64];	/* by KVM_EXIT_* */
};

struct kvm_td {
	const struct kvm_host *host;
	unsigned int vcpus;
	uint64_t memory, image_bytes;
	int fd, memory_fd, image_fd;
	struct kvm_image image;
	char *shared_memory;	/* this process's side of the private memory, unbacked */
	char *shared_image;
	struct td_box *box;	/* the mailbox */
	struct vcpu_box *vcpu_box;
	struct kvm_vcpu *vcpu;
	volatile bool leave;	/* vCPU threads: return */
	const volatile bool *pause;	/* the caller's, may be NULL: return, and come again */
	pthread_mutex_t lock;
	char error[KVM_ERROR_MAX];	/* the first failure of a vCPU; "": none */
};

struct kvm_td_config {
	uint64_t number;	/* in MROWNERCONFIG, for who looks in from outside */
	const volatile bool *pause;
	uint64_t memory;	/* of the programs */
	uint64_t image;		/* bytes of it to be measured in, all zero */
	unsigned int vcpus;
	const struct td_program *const *program;
};

/*
 * Open /dev/kvm and see that it has TDs. 0; -errno with one line in @err that says
 * what is missing and how to get it.
 */
int kvm_host_open(struct kvm_host *host, char *err, size_t size);
void kvm_host_close(struct kvm_host *host);

/* A TD, measured and finalised, whose vCPUs may run. -ENOSPC: no free KeyID. As above. */
int kvm_td_create(const struct kvm_host *host, const struct kvm_td_config *c, struct kvm_td **td,
		  char *err, size_t size);
/* No thread may be in kvm_vcpu_run(). The KeyID is free again afterwards. */
void kvm_td_free(struct kvm_td *td);

/*
 * Run the vCPU until its program is over (0; its box says how it ended), or td->leave
 * (-EINTR) or *td->pause (-ERESTART) is set and the thread is kicked, or it fails: then
 * -errno, with td->error.
 */
int kvm_vcpu_run(struct kvm_vcpu *v);

#define KVM_KICK_SIGNAL SIGUSR1
/* Once in the process: a handler that does nothing but end KVM_RUN. */
void kvm_kick_init(void);
/* Send the thread of @v out of KVM_RUN. Again if it does not come out: a kick may be early. */
void kvm_vcpu_kick(struct kvm_vcpu *v);

#endif
