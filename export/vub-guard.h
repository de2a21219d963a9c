/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guard: memory of a client that may vanish
 *
 * A client can truncate a file that we have mapped; whoever touches the memory
 * then gets SIGBUS, which would be the end of all clients. Guarded memory is
 * replaced, as a whole, by zeroes of our own: the guest behind it is lost, and
 * nobody else.
 */

#ifndef OPUS_VUB_GUARD_H
#define OPUS_VUB_GUARD_H

#include <stddef.h>

/* Guards a mapping from now on; any thread. */
void vub_guard_add(void *base, size_t bytes);
/* To be called before the mapping goes; any thread. */
void vub_guard_remove(void *base);

/*
 * To be called in each thread that touches guarded memory: QEMU blocks the
 * signal in all of its threads. Touching it in the kernel needs no guard.
 */
void vub_guard_this_thread(void);

#endif /* OPUS_VUB_GUARD_H */
