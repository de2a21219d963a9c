/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounce: private buffers for what must not change while it is in flight
 *
 * A guest may write to its buffer while a request is being served. Data and
 * parity that come from different versions of it destroy other blocks of the
 * stripe when a member is lost, so redundancy is computed from a copy, and
 * that same copy is written (I2).
 */
#ifndef BLOCK_OPUS_RAID_BASE_BOUNCE_H
#define BLOCK_OPUS_RAID_BASE_BOUNCE_H

#include "qemu/coroutine.h"
#include "qemu/iov.h"

/* Alignment of every buffer: enough for O_DIRECT and for DMA by page. */
#define OPUS_BOUNCE_ALIGN   4096

/**
 * opus_bounce_alloc: get a buffer
 * @bytes: at least 1
 *
 * Waits while the thread has more than its budget in use, so a request holds
 * one buffer at most. Returns NULL when there is no memory. The content is
 * undefined. Give it back by opus_bounce_free() in the same AioContext.
 */
void *coroutine_fn opus_bounce_alloc(size_t bytes);
void coroutine_fn opus_bounce_free(void *buf, size_t bytes);

/*
 * The same beside the budget: never waits, for a request that holds a buffer
 * already. @buf is not NULL when it is given back.
 */
void *opus_bounce_alloc_extra(size_t bytes);
void opus_bounce_free_extra(void *buf, size_t bytes);

/* A place in a QEMUIOVector, for copying from or to it piece by piece. */
typedef struct OpusIovCursor {
    const struct iovec *iov;
    size_t skip;                /* bytes of *iov that are done */
} OpusIovCursor;

void opus_iov_cursor_init(OpusIovCursor *cursor, const QEMUIOVector *qiov,
                          size_t qiov_offset);

/* Copy the next @bytes to @buf, reading each byte once, and move on. */
void opus_iov_cursor_read(OpusIovCursor *cursor, void *buf, size_t bytes);

#endif /* BLOCK_OPUS_RAID_BASE_BOUNCE_H */
