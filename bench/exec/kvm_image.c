// SPDX-License-Identifier: GPL-2.0-only
/*
 * Building the image of a TD.
 */
#include "exec/kvm_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t pages(uint64_t bytes)
{
	return (bytes + TD_PAGE_4K - 1) / TD_PAGE_4K * TD_PAGE_4K;
}

/* Programs are read in place: each at an address that its alignment allows. */
static uint64_t program_bytes(const struct td_program *p)
{
	return (td_program_size(p->count) + 7) / 8 * 8;
}

static uint64_t header_bytes(const struct kvm_image_config *c)
{
	return sizeof(struct td_image) + c->vcpus * sizeof(struct td_record);
}

static void fill_header(const struct kvm_image_config *c, struct kvm_image *image)
{
	*(struct td_image *)image->bytes = (struct td_image){
		.magic = TD_IMAGE_MAGIC,
		.version = TD_IMAGE_VERSION,
		.nr_vcpus = c->vcpus,
		.gpa = image->gpa,
		.payload_gpa = image->stacks,
		.memory_gpa = TD_MEMORY_GPA,
		.memory_size = c->memory,
		.td_box = KVM_IMAGE_TD_BOX,
		.all_box = KVM_IMAGE_ALL_BOX,
		.vcpu_box = KVM_IMAGE_TD_BOX + sizeof(struct td_box),
		.shared_bit = PAYLOAD_SHARED_BIT_NR,
	};
}

static void fill(const struct kvm_image_config *c, struct kvm_image *image)
{
	struct td_record *record = (struct td_record *)(image->bytes + sizeof(struct td_image));
	uint64_t at = header_bytes(c);

	fill_header(c, image);
	for (uint32_t i = 0; i < c->vcpus; i++) {
		uint64_t size = td_program_size(c->program[i]->count);

		record[i] = (struct td_record){
			.magic = TD_RECORD_MAGIC,
			.vcpu = i,
			.image = image->gpa,
			.program = image->gpa + at,
			.program_size = size,
		};
		memcpy(image->bytes + at, c->program[i], size);
		at += program_bytes(c->program[i]);
	}
	memcpy(image->bytes + image->size - PAYLOAD_SIZE, td_payload, PAYLOAD_SIZE);
}

int kvm_image_build(const struct kvm_image_config *c, struct kvm_image *image)
{
	uint64_t low = header_bytes(c);

	*image = (struct kvm_image){ 0 };
	if (!c->vcpus || c->vcpus > TD_IMAGE_VCPUS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < c->vcpus; i++) {
		if (!c->program[i])
			return -EINVAL;
		low += program_bytes(c->program[i]);
	}
	image->stacks_size = c->vcpus * TD_PAGE_4K;
	image->size = pages(low) + image->stacks_size + PAYLOAD_SIZE;
	if (image->size > TD_IMAGE_END - KVM_IMAGE_GPA_MIN || c->memory > KVM_IMAGE_MEMORY_MAX)
		return -E2BIG;
	image->gpa = TD_IMAGE_END - image->size;
	image->stacks = image->gpa + pages(low);
	image->records = image->gpa + sizeof(struct td_image);
	image->bytes = aligned_alloc(TD_PAGE_4K, image->size);
	if (!image->bytes)
		return -ENOMEM;
	memset(image->bytes, 0, image->size);
	fill(c, image);
	return 0;
}

void kvm_image_free(struct kvm_image *image)
{
	free(image->bytes);
	*image = (struct kvm_image){ 0 };
}
