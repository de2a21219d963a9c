/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O: guest requests, cut into what one chunk or stripe can serve
 */
#ifndef BLOCK_OPUS_RAID_IO_REQUESTS_H
#define BLOCK_OPUS_RAID_IO_REQUESTS_H

#include "block/opus-raid/array/opus-raid.h"

/* The driver's callbacks of the same names; any AioContext. */
int coroutine_fn GRAPH_RDLOCK
opus_co_preadv_part(BlockDriverState *bs, int64_t offset, int64_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    BdrvRequestFlags flags);
int coroutine_fn GRAPH_RDLOCK
opus_co_pwritev_part(BlockDriverState *bs, int64_t offset, int64_t bytes,
                     QEMUIOVector *qiov, size_t qiov_offset,
                     BdrvRequestFlags flags);
int coroutine_fn GRAPH_RDLOCK
opus_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                      BdrvRequestFlags flags);
int coroutine_fn GRAPH_RDLOCK
opus_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes);

#endif /* BLOCK_OPUS_RAID_IO_REQUESTS_H */
