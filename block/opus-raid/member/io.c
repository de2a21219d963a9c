/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member I/O: requests to one child of an array
 *
 * Owns: error counters, and which way a request takes to the child.
 * Must not know: stripes, states, superblocks.
 * Threads: any AioContext; a request returns in the one it came from.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "block/opus-raid/base/sabotage.h"
#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/io.h"
#include "block/opus-raid/member/timeout.h"
#include "block/opus-raid/trace.h"

/*
 * Not straight to the child, but by another context or with a time limit; or
 * again, after EAGAIN or EFAULT.
 */
static int coroutine_fn GRAPH_RDLOCK __attribute__((noinline))
member_detour(OpusMember *m, OpusChildCall call)
{
    call.child = m->child;
    call.home_only = m->home_only;
    /* A spare holds nothing that others could do instead of it. */
    return m->timed_by && m->slot >= 0 ? opus_timed_call(m, &call)
                                       : opus_child_call(&call);
}

static int coroutine_fn GRAPH_RDLOCK member_flush(OpusMember *m)
{
    int ret = likely(!m->detour) ? bdrv_co_flush(m->child->bs) : -EAGAIN;

    if (unlikely(ret == -EAGAIN)) {
        ret = member_detour(m, (OpusChildCall) { .kind = OPUS_CALL_FLUSH });
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_member_preadv(OpusMember *m, int64_t off, int64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset,
                   BdrvRequestFlags flags)
{
    int ret = -EAGAIN;

    if (unlikely(off + bytes > m->child->bs->total_sectors *
                               BDRV_SECTOR_SIZE)) {
        ret = -EIO;             /* the block layer would make zeroes of it */
    } else if (likely(!m->detour)) {
        ret = bdrv_co_preadv_part(m->child, off, bytes, qiov, qiov_offset,
                                  flags);
    }
    if (unlikely(ret == -EAGAIN || ret == -EFAULT)) {
        ret = member_detour(m, (OpusChildCall) {
            .kind = OPUS_CALL_READ, .off = off, .bytes = bytes,
            .qiov = qiov, .qiov_offset = qiov_offset, .flags = flags,
        });
    }
    if (unlikely(ret < 0)) {
        qatomic_inc(&m->read_errors);
        trace_opus_raid_member_error(m->child->bs->node_name, "read", off,
                                     bytes, ret);
        return ret;
    }
    return 0;
}

static int GRAPH_RDLOCK member_write_done(OpusMember *m, const char *what,
                                          int64_t off, int64_t bytes, int ret)
{
    if (unlikely(ret < 0)) {
        qatomic_inc(&m->write_errors);
        trace_opus_raid_member_error(m->child->bs->node_name, what, off,
                                     bytes, ret);
        return ret;
    }
    return 0;
}

/*
 * FUA for a child that does not know it. The block layer would flush before it
 * counts the write (bdrv_co_write_req_finish()), and leaves a flush out if it
 * has counted none since the last one: so that is not done by it, but here.
 */
static int coroutine_fn GRAPH_RDLOCK member_flush_after(OpusMember *m, int ret,
                                                        BdrvRequestFlags fua)
{
    return ret >= 0 && fua ? member_flush(m) : ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_member_pwritev_raw(OpusMember *m, int64_t off, int64_t bytes,
                        QEMUIOVector *qiov, size_t qiov_offset,
                        BdrvRequestFlags flags)
{
    BdrvRequestFlags fua = OPUS_SABOTAGED(FUA_EMULATED) ? 0 :
                           flags & BDRV_REQ_FUA &
                           ~m->child->bs->supported_write_flags;
    int ret = -EAGAIN;

    if (likely(!m->detour)) {
        ret = bdrv_co_pwritev_part(m->child, off, bytes, qiov, qiov_offset,
                                   flags & ~fua);
    }
    if (unlikely(ret == -EAGAIN || ret == -EFAULT)) {
        ret = member_detour(m, (OpusChildCall) {
            .kind = OPUS_CALL_WRITE, .off = off, .bytes = bytes,
            .qiov = qiov, .qiov_offset = qiov_offset, .flags = flags & ~fua,
        });
    }
    ret = member_flush_after(m, ret, fua);
    return member_write_done(m, "write", off, bytes, ret);
}

int coroutine_fn GRAPH_RDLOCK
opus_member_pwrite_zeroes_raw(OpusMember *m, int64_t off, int64_t bytes,
                              BdrvRequestFlags flags)
{
    BdrvRequestFlags fua = flags & BDRV_REQ_FUA &
                           ~m->child->bs->supported_zero_flags;
    int ret = -EAGAIN;

    if (likely(!m->detour)) {
        ret = bdrv_co_pwrite_zeroes(m->child, off, bytes, flags & ~fua);
    }
    if (unlikely(ret == -EAGAIN)) {
        ret = member_detour(m, (OpusChildCall) {
            .kind = OPUS_CALL_ZEROES, .off = off, .bytes = bytes,
            .flags = flags & ~fua,
        });
    }
    ret = member_flush_after(m, ret, fua);
    return member_write_done(m, "zeroes", off, bytes, ret);
}

int coroutine_fn GRAPH_RDLOCK
opus_member_pdiscard(OpusMember *m, int64_t off, int64_t bytes)
{
    int ret = -EAGAIN;

    if (likely(!m->detour)) {
        ret = bdrv_co_pdiscard(m->child, off, bytes);
    }
    if (unlikely(ret == -EAGAIN)) {
        ret = member_detour(m, (OpusChildCall) {
            .kind = OPUS_CALL_DISCARD, .off = off, .bytes = bytes,
        });
    }
    return member_write_done(m, "discard", off, bytes, ret);
}

int coroutine_fn GRAPH_RDLOCK opus_member_flush(OpusMember *m)
{
    return member_write_done(m, "flush", 0, 0, member_flush(m));
}

int coroutine_fn GRAPH_RDLOCK
opus_member_pread(OpusMember *m, int64_t off, void *buf, size_t bytes)
{
    QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, buf, bytes);

    return opus_member_preadv(m, off, bytes, &qiov, 0, 0);
}
