/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk for disk-load: a block device (disk-file.c), or the socket of a
 * vhost-user-blk export, of which each thread has a queue (disk-blkio.c)
 */
#ifndef TESTS_GUEST_DISK_H
#define TESTS_GUEST_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns 0, or -1 with errno. */
int disk_open(const char *path, unsigned nr_threads);

/* For the requests of one thread, page-aligned; NULL if there is no memory. */
uint8_t *disk_buffer(unsigned thread, size_t bytes);

/* All of it, in the thread of that number. Returns 0 or a negative errno. */
int disk_transfer(unsigned thread, bool is_write, uint8_t *buf, size_t bytes,
                  uint64_t off_bytes);

#endif /* TESTS_GUEST_DISK_H */
