/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member writes: what was written is bad no more
 *
 * As in io.h.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_WRITE_H
#define BLOCK_OPUS_RAID_MEMBER_WRITE_H

#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/io.h"

static inline int coroutine_fn GRAPH_RDLOCK
opus_member_pwritev(OpusMember *m, int64_t off, int64_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    BdrvRequestFlags flags)
{
    int ret = opus_member_pwritev_raw(m, off, bytes, qiov, qiov_offset, flags);

    if (unlikely(qatomic_read(&m->nr_bad)) && ret == 0) {
        ret = opus_bad_log_written(m, off, bytes);
    }
    return ret;
}

static inline int coroutine_fn GRAPH_RDLOCK
opus_member_pwrite_zeroes(OpusMember *m, int64_t off, int64_t bytes,
                          BdrvRequestFlags flags)
{
    int ret = opus_member_pwrite_zeroes_raw(m, off, bytes, flags);

    if (unlikely(qatomic_read(&m->nr_bad)) && ret == 0) {
        ret = opus_bad_log_written(m, off, bytes);
    }
    return ret;
}

/* With one buffer. */
static inline int coroutine_fn GRAPH_RDLOCK
opus_member_pwrite(OpusMember *m, int64_t off, const void *buf, size_t bytes,
                   BdrvRequestFlags flags)
{
    QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, (void *)buf, bytes);

    return opus_member_pwritev(m, off, bytes, &qiov, 0, flags);
}

#endif /* BLOCK_OPUS_RAID_MEMBER_WRITE_H */
