/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guard: memory of a client that may vanish
 *
 * A client can truncate a file that we have mapped; a page of it may have a
 * memory error, or no page may be had for it. A thread that touches the
 * memory then gets SIGBUS, which would be the end of all clients. Guarded
 * memory is replaced, as a whole, by zeroes of our own, and is lost from then
 * on: what was read from it may be wrong, and what is written to it is not
 * seen. Users of the memory ask whether it is lost before they say that
 * something was done.
 */

#ifndef OPUS_VUB_GUARD_H
#define OPUS_VUB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct VubGuard VubGuard;

/* Guards a mapping from now on; any thread. */
VubGuard *vub_guard_add(void *base, size_t bytes);
/* To be called before the mapping goes; any thread. */
void vub_guard_remove(VubGuard *guard);

/* True once the mapping was replaced; any thread. */
bool vub_guard_lost(const VubGuard *guard);

/* How many mappings were ever lost, of all clients: cheap to compare. */
extern unsigned vub_guard_nr_lost;
static inline unsigned vub_guard_losses(void)
{
    return __atomic_load_n(&vub_guard_nr_lost, __ATOMIC_ACQUIRE);
}

/* An eventfd that is signalled when a mapping is lost; -1: there is none. */
int vub_guard_event_fd(void);

/*
 * To be called in each thread that touches guarded memory, unless it does not
 * block the signal anyway. Touching it in the kernel needs no guard: that
 * fails with EFAULT.
 */
void vub_guard_this_thread(void);

#endif /* OPUS_VUB_GUARD_H */
