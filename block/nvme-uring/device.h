/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: the character device of a namespace, and the block device beside it
 */
#ifndef BLOCK_NVME_URING_DEVICE_H
#define BLOCK_NVME_URING_DEVICE_H

#include "block/nvme-uring/nvme-uring.h"

/**
 * nvme_device_open: open it and find out all that is constant
 *
 * @n->filename is set, the rest of it is filled in. Main loop; waits for the
 * drive. Returns 0, or a negative errno with an error that says what to do.
 */
int nvme_device_open(NvmeUring *n, Error **errp);
void nvme_device_close(NvmeUring *n);

/**
 * nvme_device_bytes: the size as the kernel knows it now
 *
 * Any thread; does not wait. -EIO when the drive was formatted to other blocks
 * since it was opened, -ENODEV when it is gone.
 */
int64_t nvme_device_bytes(const NvmeUring *n);

#endif /* BLOCK_NVME_URING_DEVICE_H */
