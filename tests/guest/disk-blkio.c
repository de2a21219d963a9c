/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket of a vhost-user-blk export for disk-load
 *
 * Threads: each has the queue of its number, and its part of the memory.
 */
#include <blkio.h>
#include <errno.h>

#include "disk.h"

#define PART_BYTES  (64 * 1024)

static struct blkio *blkio;
static struct blkio_mem_region memory;

int disk_open(const char *path, unsigned nr_threads)
{
    int ret = blkio_create("virtio-blk-vhost-user", &blkio);

    ret = ret ? ret : blkio_set_str(blkio, "path", path);
    ret = ret ? ret : blkio_connect(blkio);
    ret = ret ? ret : blkio_set_int(blkio, "num-queues", nr_threads);
    ret = ret ? ret : blkio_start(blkio);
    ret = ret ? ret : blkio_alloc_mem_region(blkio, &memory,
                                             (size_t)nr_threads * PART_BYTES);
    ret = ret ? ret : blkio_map_mem_region(blkio, &memory);
    errno = -ret;
    return ret ? -1 : 0;
}

uint8_t *disk_buffer(unsigned thread, size_t bytes)
{
    return bytes > PART_BYTES ? NULL :
           (uint8_t *)memory.addr + (size_t)thread * PART_BYTES;
}

int disk_transfer(unsigned thread, bool is_write, uint8_t *buf, size_t bytes,
                  uint64_t off_bytes)
{
    struct blkioq *queue = blkio_get_queue(blkio, thread);
    struct blkio_completion completion;
    int ret;

    if (is_write) {
        blkioq_write(queue, off_bytes, buf, bytes, NULL, 0);
    } else {
        blkioq_read(queue, off_bytes, buf, bytes, NULL, 0);
    }
    ret = blkioq_do_io(queue, &completion, 1, 1, NULL);
    return ret < 0 ? ret : completion.ret;
}
