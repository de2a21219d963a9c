/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nvme-uring: an NVMe namespace through the kernel, without its block layer
 */
#ifndef BLOCK_NVME_URING_NVME_URING_H
#define BLOCK_NVME_URING_NVME_URING_H

#include "block/block_int-common.h"
#include "block/device/claim.h"
#include "block/nvme-uring/ring.h"
#include "util/nvme/identify.h"

typedef struct NvmeUring {
    /* Constant while it is open */
    char *filename;
    int fd;                     /* the character device */
    int block_fd;               /* the block device beside it, or -1 */
    bool writable;              /* the descriptor is */
    uint32_t nsid;
    NvLimits limits;
    uint32_t max_transfer;      /* bytes of a read or write */
    unsigned max_pages;         /* that its buffer may lie in */

    /* Any thread; each touches its own. */
    NvmeRings *rings;

    /* Main loop */
    DeviceClaim *claim;         /* while it may write */
    bool claim_is_new;          /* not before the permissions are set */
} NvmeUring;

#endif /* BLOCK_NVME_URING_NVME_URING_H */
