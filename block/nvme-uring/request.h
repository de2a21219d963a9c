/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request: what a block driver is asked for, by an NVMe drive
 *
 * Offsets and lengths are multiples of the drive's blocks and within its
 * limits. Any thread that runs an AioContext; they return in that, 0 or a
 * negative errno.
 */
#ifndef BLOCK_NVME_URING_REQUEST_H
#define BLOCK_NVME_URING_REQUEST_H

#include "block/nvme-uring/nvme-uring.h"

int coroutine_fn nvme_request_rw(NvmeUring *n, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, bool is_write, bool fua);
int coroutine_fn nvme_request_flush(NvmeUring *n);

/* -ENOTSUP if the drive can't. */
int coroutine_fn nvme_request_zero(NvmeUring *n, int64_t offset, int64_t bytes,
                                   bool deallocate, bool fua);
int coroutine_fn nvme_request_discard(NvmeUring *n, int64_t offset,
                                      int64_t bytes);

#endif /* BLOCK_NVME_URING_REQUEST_H */
