/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member I/O: requests to one child of an array
 *
 * Offsets count from the start of the child node. All functions return 0 or a
 * negative errno of the child; they count errors, and leave what to do about
 * them to the caller. Any AioContext.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_IO_H
#define BLOCK_OPUS_RAID_MEMBER_IO_H

#include "block/opus-raid/member/member.h"

int coroutine_fn GRAPH_RDLOCK
opus_member_preadv(OpusMember *m, int64_t off, int64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset,
                   BdrvRequestFlags flags);

int coroutine_fn GRAPH_RDLOCK
opus_member_pdiscard(OpusMember *m, int64_t off, int64_t bytes);

int coroutine_fn GRAPH_RDLOCK opus_member_flush(OpusMember *m);

/* The same with one buffer. */
int coroutine_fn GRAPH_RDLOCK
opus_member_pread(OpusMember *m, int64_t off, void *buf, size_t bytes);

/* Writes that leave the log of bad blocks as it is: all others use write.h. */
int coroutine_fn GRAPH_RDLOCK
opus_member_pwritev_raw(OpusMember *m, int64_t off, int64_t bytes,
                        QEMUIOVector *qiov, size_t qiov_offset,
                        BdrvRequestFlags flags);
int coroutine_fn GRAPH_RDLOCK
opus_member_pwrite_zeroes_raw(OpusMember *m, int64_t off, int64_t bytes,
                              BdrvRequestFlags flags);

#endif /* BLOCK_OPUS_RAID_MEMBER_IO_H */
