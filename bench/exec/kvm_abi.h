/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What of KVM's TDX ABI the build host's <linux/kvm.h> may be too old to have, under
 * names of its own. Source: Linux 7.3, include/uapi/linux/kvm.h and
 * arch/x86/include/uapi/asm/kvm.h; described in Documentation/virt/kvm/api.rst and
 * Documentation/virt/kvm/x86/intel-tdx.rst.
 */
#ifndef DPAMT_KVM_ABI_H
#define DPAMT_KVM_ABI_H

#include <linux/kvm.h>
#include <stdint.h>

#define ABI_KVM_X86_TDX_VM 5

#define ABI_KVM_CAP_MAX_VCPUS 66
#define ABI_KVM_CAP_SPLIT_IRQCHIP 121
#define ABI_KVM_CAP_X2APIC_API 129
#define ABI_KVM_CAP_EXIT_HYPERCALL 201
#define ABI_KVM_CAP_VM_TYPES 235

#define ABI_KVM_HC_MAP_GPA_RANGE 12
#define ABI_KVM_MAP_GPA_ENCRYPTED (1ULL << 4)

#define ABI_KVM_EXIT_MEMORY_FAULT 39
#define ABI_KVM_EXIT_TDX 40
#define ABI_KVM_MEMORY_EXIT_FLAG_PRIVATE (1ULL << 3)
#define ABI_KVM_SYSTEM_EVENT_TDX_FATAL 7
#define ABI_KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON 4

#define ABI_KVM_MEM_GUEST_MEMFD (1U << 2)
#define ABI_KVM_MEMORY_ATTRIBUTE_PRIVATE (1ULL << 3)

#define ABI_KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct abi_kvm_memory_region2)
#define ABI_KVM_MEMORY_ENCRYPT_OP _IOWR(KVMIO, 0xba, unsigned long)
#define ABI_KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct abi_kvm_memory_attributes)
#define ABI_KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct abi_kvm_create_guest_memfd)

struct abi_kvm_memory_region2 {
	uint32_t slot, flags;
	uint64_t guest_phys_addr, memory_size, userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd, pad1;
	uint64_t pad2[14];
};

struct abi_kvm_memory_attributes {
	uint64_t address, size, attributes, flags;
};

struct abi_kvm_create_guest_memfd {
	uint64_t size, flags, reserved[6];
};

/* Of KVM_EXIT_MEMORY_FAULT, where struct kvm_run has its union. */
struct abi_kvm_memory_fault {
	uint64_t flags, gpa, size;
};

/* KVM_MEMORY_ENCRYPT_OP of a TD */
enum abi_tdx_cmd {
	ABI_TDX_CAPABILITIES,
	ABI_TDX_INIT_VM,
	ABI_TDX_INIT_VCPU,
	ABI_TDX_INIT_MEM_REGION,
	ABI_TDX_FINALIZE_VM,
};

#define ABI_TDX_MEASURE_MEMORY_REGION 1U
#define ABI_TDX_ATTR_SEPT_VE_DISABLE (1ULL << 28)

struct abi_tdx_cmd_args {
	uint32_t id, flags;
	uint64_t data, hw_error;
};

struct abi_tdx_capabilities {
	uint64_t supported_attrs, supported_xfam;
	uint64_t tdvmcallinfo[4];
	uint64_t reserved[250];
	struct kvm_cpuid2 cpuid;
};

struct abi_tdx_init_vm {
	uint64_t attributes, xfam;
	uint64_t mrconfigid[6], mrowner[6], mrownerconfig[6];
	uint64_t reserved[12];
	struct kvm_cpuid2 cpuid;
};

struct abi_tdx_mem_region {
	uint64_t source_addr, gpa, nr_pages;
};

_Static_assert(sizeof(struct abi_kvm_memory_region2) == 160, "as the kernel has it");
_Static_assert(sizeof(struct abi_tdx_cmd_args) == 24, "as the kernel has it");
_Static_assert(sizeof(struct abi_tdx_init_vm) == 256 + sizeof(struct kvm_cpuid2),
	       "as the kernel has it");

#endif
