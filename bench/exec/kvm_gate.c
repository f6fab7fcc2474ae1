// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stopping the world: vCPUs are kicked out of KVM_RUN and wait in front of the gate,
 * VMMs finish the TD that they are making or ending. Nobody waits for anybody inside
 * the gate but through the guests' barriers, out of which a kick leads.
 */
#include "exec/kvm_cell.h"

#define KICK_NS 1000000	/* a kick may come too early */

void kvm_gate_enter(struct kvm_cell *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->gate.closed)
		kvm_wait_change(r, 1000000000);
	r->gate.inside++;
	pthread_mutex_unlock(&r->lock);
}

void kvm_gate_leave(struct kvm_cell *r)
{
	pthread_mutex_lock(&r->lock);
	if (!--r->gate.inside && r->gate.closed)
		pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void kick_all(struct kvm_cell *r)
{
	for (unsigned int i = 0; i < r->nr_tasks; i++)
		for (unsigned int v = 0; v < r->task[i].kickable; v++)
			if (!__atomic_load_n(&r->task[i].vcpu[v].out, __ATOMIC_ACQUIRE))
				kvm_vcpu_kick(r->task[i].vcpu[v].v);
}

void kvm_gate_close(struct kvm_cell *r)
{
	pthread_mutex_lock(&r->lock);
	r->gate.closed = true;
	while (r->gate.inside) {
		kick_all(r);
		kvm_wait_change(r, KICK_NS);
	}
	pthread_mutex_unlock(&r->lock);
}

void kvm_gate_open(struct kvm_cell *r)
{
	pthread_mutex_lock(&r->lock);
	r->gate.closed = false;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}
