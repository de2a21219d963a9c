/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request: what a virtio-blk chain asks for
 *
 * A chain becomes an operation on the disk, checked against its bounds, or a
 * status to answer at once. The header is read once, before it is checked.
 */

#ifndef OPUS_VUB_REQUEST_H
#define OPUS_VUB_REQUEST_H

#include <linux/virtio_blk.h>
#include <stdbool.h>
#include <stdint.h>

#include "vub-chain.h"

#define VUB_SECTOR_BYTES 512

/* The disk, as requests are checked against it. */
typedef struct VubDisk {
    uint64_t capacity_bytes;    /* atomic: changes when the node is resized */
    uint32_t block_bytes;       /* logical block; requests are multiples */
    uint32_t max_bytes;         /* of a read or write */
    uint32_t max_discard_sectors;
    uint32_t max_zeroes_sectors;
    bool writable;
    char serial[VIRTIO_BLK_ID_BYTES];   /* padded with zeroes */
} VubDisk;

typedef enum VubOp {
    VUB_OP_READ,
    VUB_OP_WRITE,
    VUB_OP_FLUSH,
    VUB_OP_DISCARD,
    VUB_OP_ZEROES,
    VUB_OP_DONE,                /* nothing to do but to answer @answer */
} VubOp;

typedef struct VubRequest {
    VubOp op;
    uint8_t answer;             /* VIRTIO_BLK_S_* */
    bool unmap;                 /* ZEROES: the blocks may be deallocated */
    uint64_t off_bytes;
    uint64_t bytes;
    uint64_t written_bytes;     /* of the "in" buffers, status left aside */
    struct iovec *iov;          /* of the chain's: the data of READ and WRITE */
    unsigned nr_iov;
    uint8_t *status;            /* where the guest waits for VIRTIO_BLK_S_* */
} VubRequest;

/*
 * Reads @chain into @req, and takes header and status away from its vectors.
 * False if the chain has no byte for a status: there is no way to answer then.
 */
bool vub_request_decode(VubRequest *req, VubChain *chain, const VubDisk *disk);

#endif /* OPUS_VUB_REQUEST_H */
