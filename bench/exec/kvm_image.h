/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The private memory that a TD starts with, ready to be measured in: header, records
 * and programs (emu/td/image.h has the layout), then the payload's stacks and code.
 */
#ifndef DPAMT_KVM_IMAGE_H
#define DPAMT_KVM_IMAGE_H

#include <stdint.h>

#include "emu/td/image.h"
#include "payload/payload.h"

/* Where the shared pages are: in the guest's hole below the image, and nothing else there. */
#define KVM_IMAGE_ALL_BOX 0xc0000000ULL
#define KVM_IMAGE_TD_BOX 0xc0200000ULL
#define KVM_IMAGE_GPA_MIN 0xe0000000ULL
#define KVM_IMAGE_MEMORY_MAX (PAYLOAD_GPA_MAX - TD_MEMORY_GPA)

struct kvm_image_config {
	uint64_t memory;	/* bytes, as in the programs */
	uint32_t vcpus;
	const struct td_program *const *program;	/* per vCPU */
};

struct kvm_image {
	char *bytes;		/* page-aligned; ends at GPA 4G */
	uint64_t gpa, size;	/* whole pages */
	uint64_t stacks, stacks_size;	/* GPA; part of it that is all zero and not measured */
	uint64_t records;	/* GPA of vCPU 0's struct td_record, its initial RCX; others follow */
};

/* PAYLOAD_SIZE bytes, page-aligned. */
extern const char td_payload[];

/* Bytes of the mailbox at KVM_IMAGE_TD_BOX: the TD's page, then the vCPUs'. */
static inline uint64_t kvm_image_mailbox(uint32_t vcpus)
{
	return sizeof(struct td_box) + vcpus * sizeof(struct vcpu_box);
}

/* 0; -EINVAL: no vCPU, too many, or no program; -E2BIG: too much memory; -ENOMEM. */
int kvm_image_build(const struct kvm_image_config *c, struct kvm_image *image);
void kvm_image_free(struct kvm_image *image);

#endif
