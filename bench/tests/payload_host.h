/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host for the TD payload in user space: the payload's 64-bit part runs in
 * threads of this process at the very addresses of a TD, private memory at its GPA
 * and shared memory at PAYLOAD_SHARED. TDCALL, MSRs and the interrupt flag are not
 * for user space: the signal handler answers them, as the TDX module, KVM and the
 * VMM would together.
 *
 * A private page is unmapped until its first access has faulted (an "EPT
 * violation": the TDCALL runs again), cannot be read or written before it is
 * accepted, and goes away when it is converted: an access that a TD would not
 * survive ends the test here.
 */
#ifndef DPAMT_PAYLOAD_HOST_H
#define DPAMT_PAYLOAD_HOST_H

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

#include "exec/kvm_image.h"
#include "measure/clock.h"
#include "tests/test.h"

#define TDG_ACCEPT_LEAF 6
#define SHARED_BIT (1ULL << PAYLOAD_SHARED_BIT_NR)
#define HOST_VCPUS 4
#define HOST_LOG 400000

enum host_page { PAGE_ABSENT, PAGE_PENDING, PAGE_ACCEPTED, PAGE_SHARED };

struct host_op {
	char what; /* 't'ouch, 's'hared, 'p'rivate */
	uint64_t at;
};

struct host_cpu {
	uint32_t id;
	pthread_t thread;
	sigjmp_buf out;
	struct host_op *log;
	uint32_t nr_log;
	uint64_t faults, halts, irqs, eoi, done, done_state, svr, lvt, deadline;
	bool interrupts;
	unsigned int refusals;	/* of MapGPA and ACCEPT, for the retry loops */
	const char *broken;	/* what the payload did that no TD may do */
};

static struct {
	struct kvm_image image;
	uint64_t memory;
	uint8_t *page;
	struct td_box *td, *all;
	struct vcpu_box *box;
	uint32_t vcpus;
	struct host_cpu cpu[HOST_VCPUS];
	bool busy;		/* refuse every third call with what must be tried again */
	bool huge;		/* ACCEPT of 2M finds a 2M mapping */
	uint64_t bad_gpa;	/* ACCEPT of this page fails for good */
} host;

static __thread struct host_cpu *host_self;

/* Offset in the program's memory, or -1. */
static uint64_t host_offset(uint64_t gpa)
{
	uint64_t at = gpa - TD_MEMORY_GPA;

	return at >= host.memory || at % TD_PAGE_4K ? ~0ULL : at;
}

static void host_broken(const char *what)
{
	if (!host_self->broken)
		host_self->broken = what;
	siglongjmp(host_self->out, 1);
}

static void host_log(char what, uint64_t at)
{
	if (host_self->nr_log < HOST_LOG)
		host_self->log[host_self->nr_log++] = (struct host_op){ what, at };
}

static void host_protect(uint64_t gpa, uint64_t size, int prot)
{
	void *want = (void *)gpa;

	if (mmap(want, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		 0) != want)
		host_broken("no memory at a GPA");
}

static bool host_refuse(void)
{
	return host.busy && host_self->refusals++ % 3 == 0;
}

/* ------------------------------------------------------------------ TDCALL */

/* TDG.MEM.PAGE.ACCEPT. True: RIP stays, the access faulted. */
static bool host_accept(greg_t *r)
{
	uint64_t gpa = r[REG_RCX] & ~0xfffULL, level = r[REG_RCX] & 7;
	uint64_t at = host_offset(gpa), size = level ? TD_PAGE_2M : TD_PAGE_4K;
	uint8_t *state;

	if (at == ~0ULL || level > 1 || (r[REG_RCX] & 0xff8) || gpa % size)
		host_broken("ACCEPT of what is no private page");
	state = &host.page[at / TD_PAGE_4K];
	r[REG_RAX] = 0;
	if (gpa == host.bad_gpa) {
		r[REG_RAX] = 0xc000010000000001;
	} else if (host_refuse()) {
		r[REG_RAX] = 0x8000020000000001;
	} else if (*state == PAGE_ABSENT || *state == PAGE_SHARED) {
		host_self->faults++;
		for (uint64_t i = 0; i < size / TD_PAGE_4K; i++)
			state[i] = PAGE_PENDING;
		r[REG_RAX] = TDG_ACCEPT_LEAF;
		return true;
	} else if (*state == PAGE_ACCEPTED) {
		r[REG_RAX] = 0x00000b0a00000000;
	} else if (level && !host.huge) {
		r[REG_RAX] = 0xc0000b0b00000001;
	} else {
		for (uint64_t i = 0; i < size / TD_PAGE_4K; i++)
			state[i] = PAGE_ACCEPTED;
		host_protect(gpa, size, PROT_READ | PROT_WRITE);
		host_log('t', at);
	}
	return false;
}

static void host_map_gpa(greg_t *r)
{
	uint64_t gpa = r[REG_R12] & ~SHARED_BIT, at = host_offset(gpa);
	bool shared = r[REG_R12] & SHARED_BIT;

	if (at == ~0ULL || r[REG_R13] != TD_PAGE_4K)
		host_broken("MapGPA of what is no page");
	if (host_refuse()) {
		r[REG_R10] = 1;
		r[REG_R11] = r[REG_R12];
		return;
	}
	host_protect(gpa, TD_PAGE_4K, PROT_NONE);
	host.page[at / TD_PAGE_4K] = shared ? PAGE_SHARED : PAGE_ABSENT;
	host_log(shared ? 's' : 'p', at);
}

/* An interrupt on the payload's own stack, as a CPU in 64-bit mode delivers it. */
static void host_interrupt(greg_t *r)
{
	const uint64_t *idt = *(const uint64_t **)(TD_IMAGE_END - PAYLOAD_SIZE + 8);
	uint64_t gate = idt[2 * PAYLOAD_VECTOR];
	uint64_t rsp = r[REG_RSP] & ~15ULL, *frame = (uint64_t *)rsp - 5;
	uint16_t ss;

	asm("mov %%ss, %0" : "=r"(ss));
	frame[0] = r[REG_RIP];
	frame[1] = r[REG_CSGSFS] & 0xffff;
	frame[2] = r[REG_EFL];
	frame[3] = r[REG_RSP];
	frame[4] = ss;
	r[REG_RSP] = (uint64_t)frame;
	r[REG_RIP] = (gate & 0xffff) | (gate >> 32 & 0xffff0000);
	host_self->irqs++;
}

static void host_halt(greg_t *r)
{
	struct host_cpu *c = host_self;

	/* Its program is over: interrupts off, for ever. */
	if (r[REG_R12])
		siglongjmp(host_self->out, 1);
	if (!c->interrupts || c->svr != 0x1ff || c->lvt != (0x40000 | PAYLOAD_VECTOR) ||
	    !c->deadline)
		host_broken("HLT that nothing would end");
	c->halts++;
	while (__rdtsc() < c->deadline)
		usleep(20);
	c->deadline = 0;
	host_interrupt(r);
}

static void host_write_msr(greg_t *r)
{
	switch (r[REG_R12]) {
	case 0x80f:
		host_self->svr = r[REG_R13];
		break;
	case 0x832:
		host_self->lvt = r[REG_R13];
		break;
	case 0x6e0:
		host_self->deadline = r[REG_R13];
		break;
	default:
		r[REG_R10] = 0x8000000000000000;
	}
}

/* The only port: a program is over. */
static void host_io(greg_t *r)
{
	if (r[REG_R12] != 4 || r[REG_R13] != 1 || r[REG_R14] != TD_DONE_PORT)
		host_broken("I/O that nobody answers");
	host_self->done++;
	host_self->done_state = r[REG_R15];
}

static void host_vmcall(greg_t *r)
{
	if ((uint64_t)r[REG_RCX] >> 16 || (r[REG_RCX] & 0x1c00) != 0x1c00 || r[REG_R10])
		host_broken("a VMCALL that passes no registers");
	r[REG_RAX] = 0;
	switch (r[REG_R11]) {
	case 12:
		host_halt(r);
		break;
	case 30:
		host_io(r);
		break;
	case 32:
		host_write_msr(r);
		break;
	case 0x10001:
		host_map_gpa(r);
		break;
	default:
		r[REG_R10] = 0x8000000000000000;
	}
}

static void host_tdcall(greg_t *r)
{
	if (r[REG_RAX] == TDG_ACCEPT_LEAF) {
		if (!host_accept(r))
			r[REG_RIP] += 4;
	} else if (!r[REG_RAX]) {
		r[REG_RIP] += 4;
		host_vmcall(r);
	} else {
		host_broken("an unknown TDCALL");
	}
}

/*
 * TDCALL is an undefined opcode (SIGILL), or privileged on a CPU that knows TDX
 * (SIGSEGV); so are CLI, STI and WRMSR.
 */
static void host_on_signal(int sig, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *code = (const uint8_t *)r[REG_RIP];

	if (sig == SIGSEGV && (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR))
		host_broken("an access to memory that is not there");
	if (!memcmp(code, "\x66\x0f\x01\xcc", 4)) {
		host_tdcall(r);
	} else if (code[0] == 0xfa || code[0] == 0xfb) {
		host_self->interrupts = code[0] == 0xfb;
		r[REG_RIP]++;
	} else if (code[0] == 0x0f && code[1] == 0x30 && r[REG_RCX] == 0x80b) {
		host_self->eoi++;
		r[REG_RIP] += 2;
	} else {
		host_broken("an instruction that is undefined or privileged");
	}
}

/* ----------------------------------------------------------------- running */

static void *host_thread(void *arg)
{
	struct host_cpu *c = arg;
	static __thread char stack[65536];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

	host_self = c;
	sigaltstack(&ss, NULL);
	if (!sigsetjmp(c->out, 1)) {
		register uint64_t entry = TD_IMAGE_END - PAYLOAD_SIZE;
		register uint64_t record = host.image.records + c->id * sizeof(struct td_record);

		asm volatile("mov %1, %%rbp\n\tjmp *%0"
			     : : "r"(entry), "r"(record) : "memory");
	}
	return NULL;
}

static uint64_t host_shared_size(uint32_t vcpus)
{
	return KVM_IMAGE_TD_BOX - KVM_IMAGE_ALL_BOX + kvm_image_mailbox(vcpus);
}

static bool host_begin(const struct kvm_image_config *c)
{
	struct sigaction sa = { .sa_sigaction = host_on_signal,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	uint64_t shared = PAYLOAD_SHARED + KVM_IMAGE_ALL_BOX;
	char *at;

	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	if (!CHECK_EQ(kvm_image_build(c, &host.image), 0))
		return false;
	host.memory = c->memory;
	host.vcpus = c->vcpus;
	host.page = calloc(c->memory / TD_PAGE_4K + 512, 1);
	at = mmap((void *)shared, host_shared_size(c->vcpus), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
	if (!CHECK(at == (char *)shared))
		return false;
	host.all = (struct td_box *)at;
	host.td = (struct td_box *)(at + (KVM_IMAGE_TD_BOX - KVM_IMAGE_ALL_BOX));
	host.box = (struct vcpu_box *)(host.td + 1);
	at = mmap((void *)host.image.gpa, host.image.size, PROT_READ | PROT_WRITE | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (!CHECK(at == (char *)host.image.gpa))
		return false;
	memcpy(at, host.image.bytes, host.image.size);
	for (uint32_t i = 0; i < TD_BARRIERS; i++)
		host.td->barrier[i].members = host.all->barrier[i].members = c->vcpus;
	for (uint32_t i = 0; i < c->vcpus; i++) {
		host.cpu[i] = (struct host_cpu){ .id = i };
		host.cpu[i].log = calloc(HOST_LOG, sizeof(struct host_op));
		host.box[i].tsc_khz = clock_state.hz / 1000;
	}
	return true;
}

/* All vCPUs to the end of their programs. */
static void host_run(void)
{
	for (uint32_t i = 0; i < host.vcpus; i++)
		pthread_create(&host.cpu[i].thread, NULL, host_thread, &host.cpu[i]);
	for (uint32_t i = 0; i < host.vcpus; i++) {
		pthread_join(host.cpu[i].thread, NULL);
		CHECK_EQ(host.cpu[i].done, 1);
		CHECK_EQ(host.cpu[i].done_state, host.box[i].state);
		if (!CHECK(!host.cpu[i].broken))
			printf("\tvCPU %u: %s\n", i, host.cpu[i].broken);
	}
}

static void host_end(void)
{

	for (uint32_t i = 0; i < host.vcpus; i++)
		free(host.cpu[i].log);
	for (uint64_t at = 0; at < host.memory; at += TD_PAGE_4K)
		if (host.page[at / TD_PAGE_4K] == PAGE_ACCEPTED)
			munmap((void *)(TD_MEMORY_GPA + at), TD_PAGE_4K);
	munmap((void *)host.image.gpa, host.image.size);
	munmap(host.all, host_shared_size(host.vcpus));
	kvm_image_free(&host.image);
	free(host.page);
	memset(&host, 0, sizeof(host));
}

#endif
