/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request: what a virtio-blk chain asks for
 *
 * Owns: virtio-blk's request format and its limits.
 * Must not know: rings, threads, the block layer.
 * Threads: any; a request belongs to one.
 * Invariants: I14, I15. A request that is to be executed lies inside of the
 * disk; it is whole blocks long.
 */

#include "vub-request.h"

#include <glib.h>
#include <string.h>

/*
 * Takes @bytes from the front of the "out" vectors into @buf; false if there
 * are fewer. A guest may split its header as it likes.
 */
static bool take_front(VubChain *chain, void *buf, size_t bytes)
{
    uint8_t *to = buf;

    if (chain->out_bytes < bytes) {
        return false;
    }
    chain->out_bytes -= bytes;
    while (bytes) {
        size_t part_bytes = MIN(bytes, chain->iov->iov_len);

        memcpy(to, chain->iov->iov_base, part_bytes);
        chain->iov->iov_base = (uint8_t *)chain->iov->iov_base + part_bytes;
        chain->iov->iov_len -= part_bytes;
        if (chain->iov->iov_len == 0) {
            chain->iov++;
            chain->nr_out--;
        }
        to += part_bytes;
        bytes -= part_bytes;
    }
    return true;
}

/* Takes the last "in" byte, NULL if there is none. */
static uint8_t *take_status(VubChain *chain)
{
    struct iovec *last;

    if (chain->nr_in == 0) {
        return NULL;
    }
    last = &chain->iov[chain->nr_out + chain->nr_in - 1];
    chain->in_bytes--;
    if (--last->iov_len == 0) {
        chain->nr_in--;
    }
    return (uint8_t *)last->iov_base + last->iov_len;
}

static void answer(VubRequest *req, uint8_t status)
{
    req->op = VUB_OP_DONE;
    req->answer = status;
    req->written_bytes = 0;
}

static bool in_bounds(const VubRequest *req, const VubDisk *disk)
{
    uint64_t capacity = __atomic_load_n(&disk->capacity_bytes,
                                        __ATOMIC_RELAXED);

    return req->off_bytes <= capacity &&
           req->bytes <= capacity - req->off_bytes &&
           (req->off_bytes | req->bytes) % disk->block_bytes == 0;
}

static void decode_read_write(VubRequest *req, VubChain *chain,
                              const VubDisk *disk, VubOp op)
{
    req->op = op;
    if (op == VUB_OP_WRITE) {
        req->iov = chain->iov;
        req->nr_iov = chain->nr_out;
        req->bytes = chain->out_bytes;
    } else {
        req->iov = chain->iov + chain->nr_out;
        req->nr_iov = chain->nr_in;
        req->bytes = chain->in_bytes;
        req->written_bytes = chain->in_bytes;
    }
    if ((op == VUB_OP_WRITE && !disk->writable) ||
        req->bytes > disk->max_bytes || !in_bounds(req, disk)) {
        answer(req, VIRTIO_BLK_S_IOERR);
    } else if (req->bytes == 0) {
        answer(req, VIRTIO_BLK_S_OK);
    }
}

/* One segment at a time, as the configuration space says. */
static void decode_range(VubRequest *req, VubChain *chain,
                         const VubDisk *disk, VubOp op)
{
    struct virtio_blk_discard_write_zeroes range;
    uint32_t sectors, flags;
    uint32_t max_sectors = op == VUB_OP_DISCARD ? disk->max_discard_sectors
                                                : disk->max_zeroes_sectors;

    if (!disk->writable) {
        answer(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (chain->out_bytes > sizeof(range)) {
        answer(req, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    if (!take_front(chain, &range, sizeof(range))) {
        answer(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    flags = GUINT32_FROM_LE(range.flags);
    /* Virtio: unknown flags, and "unmap" for a discard, are unsupported. */
    if (flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP ||
        (flags && op == VUB_OP_DISCARD)) {
        answer(req, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    sectors = GUINT32_FROM_LE(range.num_sectors);
    req->op = op;
    req->unmap = flags;
    req->bytes = (uint64_t)sectors * VUB_SECTOR_BYTES;
    if (GUINT64_FROM_LE(range.sector) > INT64_MAX / VUB_SECTOR_BYTES) {
        answer(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    req->off_bytes = GUINT64_FROM_LE(range.sector) * VUB_SECTOR_BYTES;
    if (sectors > max_sectors || !in_bounds(req, disk)) {
        answer(req, VIRTIO_BLK_S_IOERR);
    } else if (sectors == 0) {
        answer(req, VIRTIO_BLK_S_OK);
    }
}

static void give_serial(VubRequest *req, const VubChain *chain,
                        const VubDisk *disk)
{
    const struct iovec *iov = chain->iov + chain->nr_out;
    size_t done = 0;

    /* What doesn't fit is cut off; that is no error (virtio 1.x, 5.2.6). */
    for (unsigned i = 0; i < chain->nr_in && done < sizeof(disk->serial);
         i++) {
        size_t part_bytes = MIN(iov[i].iov_len, sizeof(disk->serial) - done);

        memcpy(iov[i].iov_base, disk->serial + done, part_bytes);
        done += part_bytes;
    }
    answer(req, VIRTIO_BLK_S_OK);
    req->written_bytes = done;
}

bool vub_request_decode(VubRequest *req, VubChain *chain, const VubDisk *disk)
{
    struct virtio_blk_outhdr header;
    uint64_t sector;

    *req = (VubRequest) { .status = take_status(chain) };
    if (!req->status) {
        return false;
    }
    if (!take_front(chain, &header, sizeof(header))) {
        answer(req, VIRTIO_BLK_S_IOERR);
        return true;
    }
    sector = GUINT64_FROM_LE(header.sector);
    req->off_bytes = sector * VUB_SECTOR_BYTES;
    switch (GUINT32_FROM_LE(header.type) & ~VIRTIO_BLK_T_BARRIER) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        if (sector > INT64_MAX / VUB_SECTOR_BYTES) {
            answer(req, VIRTIO_BLK_S_IOERR);
        } else {
            decode_read_write(req, chain, disk,
                              GUINT32_FROM_LE(header.type) & VIRTIO_BLK_T_OUT
                              ? VUB_OP_WRITE : VUB_OP_READ);
        }
        break;
    case VIRTIO_BLK_T_FLUSH:
        req->op = VUB_OP_FLUSH;
        break;
    case VIRTIO_BLK_T_DISCARD:
        decode_range(req, chain, disk, VUB_OP_DISCARD);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        decode_range(req, chain, disk, VUB_OP_ZEROES);
        break;
    case VIRTIO_BLK_T_GET_ID:
        give_serial(req, chain, disk);
        break;
    default:
        answer(req, VIRTIO_BLK_S_UNSUPP);
    }
    return true;
}
