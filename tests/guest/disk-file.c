/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block device for disk-load
 *
 * Threads: they share the descriptor.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk.h"

#define ALIGNMENT   4096

static int fd;

int disk_open(const char *path, unsigned nr_threads)
{
    (void)nr_threads;
    fd = open(path, O_RDWR | O_DIRECT);
    return fd < 0 ? -1 : 0;
}

uint8_t *disk_buffer(unsigned thread, size_t bytes)
{
    void *buf;

    (void)thread;
    return posix_memalign(&buf, ALIGNMENT, bytes) ? NULL : buf;
}

int disk_transfer(unsigned thread, bool is_write, uint8_t *buf, size_t bytes,
                  uint64_t off_bytes)
{
    ssize_t done = is_write ? pwrite(fd, buf, bytes, off_bytes) :
                              pread(fd, buf, bytes, off_bytes);

    (void)thread;
    if (done < 0) {
        return -errno;
    }
    return done == (ssize_t)bytes ? 0 : -EIO;
}
