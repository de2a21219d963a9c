/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: how commands reach the kernel, from each thread by a ring of its own
 */
#ifndef BLOCK_NVME_URING_RING_H
#define BLOCK_NVME_URING_RING_H

#include <linux/nvme_ioctl.h>

#include "qemu/coroutine.h"

/* All rings of one namespace. */
typedef struct NvmeRings NvmeRings;

/* @fd is the namespace's, which must stay open. Main loop. */
NvmeRings *nvme_rings_new(int fd);

/* There are no commands in flight. Main loop; waits for other threads. */
void nvme_rings_free(NvmeRings *rings);

/**
 * nvme_rings_try: one command by the ring of this thread, waited for
 *
 * Main loop, while nothing else is in flight. Returns what nvme_rings_co_run()
 * does.
 */
int nvme_rings_try(NvmeRings *rings, const struct nvme_uring_cmd *cmd);

/**
 * nvme_rings_co_run: one command
 * @cmd:    what is to be done; it and its buffers must stay
 * @vector: its buffer is an array of struct iovec
 *
 * Any thread that runs an AioContext; it returns in that.
 * Returns 0, a status of util/nvme/status, or a negative errno: -EINTR when the
 * kernel has given up the command, because it took too long, or others of that
 * drive did.
 */
int coroutine_fn nvme_rings_co_run(NvmeRings *rings,
                                   const struct nvme_uring_cmd *cmd,
                                   bool vector);

#endif /* BLOCK_NVME_URING_RING_H */
