/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O: guest requests, cut into what one chunk or stripe can serve
 *
 * Owns: the way of a read that takes no lock, and the cutting.
 * Must not know: plans, parity, superblocks.
 * Threads: any.
 *
 * A read inside one chunk of a member in use is a call of that member with
 * the guest's own buffer: no lock, no copy, no allocation. Everything else is
 * cut: reads at chunks, writes at stripes, so that each piece is served by
 * one call of stripe.c or mirror.c.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/consistency/announce.h"
#include "block/opus-raid/io/requests.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "block/opus-raid/trace.h"

/* Pieces of one request that are under way at the same time. */
#define MAX_PIECES  64

/* A request that is being cut; pieces are numbered from 0. */
typedef struct Request {
    OpusRaid *s;
    uint64_t start;             /* array bytes */
    uint64_t end;
    uint64_t unit;              /* pieces end at its multiples */
    uint64_t first;             /* start / unit */
    QEMUIOVector *qiov;
    size_t qiov_offset;
    BdrvRequestFlags flags;
    int ret;                    /* the first error */
} Request;

/* Returns the number of pieces. */
static unsigned request_init(Request *req, OpusRaid *s, uint64_t start,
                             uint64_t bytes, uint64_t unit,
                             QEMUIOVector *qiov, size_t qiov_offset,
                             BdrvRequestFlags flags)
{
    *req = (Request) {
        .s = s,
        .start = start,
        .end = start + bytes,
        .unit = unit,
        .first = start / unit,
        .qiov = qiov,
        .qiov_offset = qiov_offset,
        .flags = flags,
    };
    return (req->end - 1) / unit - req->first + 1;
}

typedef struct Piece {
    uint64_t start;             /* array bytes */
    uint64_t bytes;
    size_t qiov_offset;
} Piece;

static Piece request_piece(const Request *req, unsigned i)
{
    uint64_t unit_start = (req->first + i) * req->unit;
    uint64_t start = MAX(req->start, unit_start);

    return (Piece) {
        .start = start,
        .bytes = MIN(req->end, unit_start + req->unit) - start,
        .qiov_offset = req->qiov_offset + (start - req->start),
    };
}

static void request_done(Request *req, int ret)
{
    if (ret < 0 && req->ret == 0) {
        req->ret = ret;
    }
}

/* The member holds nothing there, or there is none (bad_slot -1). */
static int coroutine_fn GRAPH_RDLOCK
read_others(OpusRaid *s, const Piece *piece, QEMUIOVector *qiov, int bad_slot,
            int err)
{
    return opus_redundancy(s)->read_others(s, piece->start, piece->bytes, qiov,
                                           piece->qiov_offset, bad_slot, err);
}

/* What to do when the member could not be read. */
static int coroutine_fn GRAPH_RDLOCK
recover_piece(OpusRaid *s, const Piece *piece, QEMUIOVector *qiov,
              int bad_slot, int err)
{
    int ret = opus_array_read_failed(s, bad_slot, err);

    return ret < 0 ? ret : read_others(s, piece, qiov, bad_slot, err);
}

/* Read inside one chunk. */
static inline int coroutine_fn GRAPH_RDLOCK
read_piece(OpusRaid *s, const Piece *piece, RaidLoc loc, QEMUIOVector *qiov,
           BdrvRequestFlags flags)
{
    OpusMember *m;
    int64_t off;
    int ret;

    if (unlikely(!opus_map_read(s, piece->start, &loc))) {
        return read_others(s, piece, qiov, -1, -EIO);
    }
    m = s->slots[loc.slot];
    off = opus_member_data(m, loc.member_off);
    if (unlikely(opus_member_is_bad(m, off, piece->bytes))) {
        return read_others(s, piece, qiov, loc.slot, -EIO);
    }
    ret = opus_member_preadv(m, off, piece->bytes, qiov, piece->qiov_offset,
                             flags);
    if (unlikely(ret < 0)) {
        return recover_piece(s, piece, qiov, loc.slot, ret);
    }
    opus_count(&s->stats, OPUS_COUNT_READS);
    return 0;
}

static void coroutine_fn GRAPH_RDLOCK read_chunk_task(void *opaque,
                                                      unsigned i)
{
    Request *req = opaque;
    Piece piece = request_piece(req, i);
    RaidLoc loc;

    raid_map(&req->s->geom, piece.start, &loc);
    request_done(req, read_piece(req->s, &piece, loc, req->qiov, req->flags));
}

static int coroutine_fn GRAPH_RDLOCK
read_chunks(OpusRaid *s, uint64_t start, uint64_t bytes, QEMUIOVector *qiov,
            size_t qiov_offset, BdrvRequestFlags flags)
{
    Request req;
    unsigned nr = request_init(&req, s, start, bytes, s->geom.chunk_bytes,
                               qiov, qiov_offset, flags);

    opus_parallel(read_chunk_task, &req, nr, MAX_PIECES);
    return req.ret;
}

/*
 * Part of a stripe of a degraded parity array. What is missing is computed
 * from the rest of the stripe, so that the rest is read once only.
 */
static void coroutine_fn GRAPH_RDLOCK read_stripe_task(void *opaque,
                                                       unsigned i)
{
    Request *req = opaque;
    OpusRaid *s = req->s;
    Piece piece = request_piece(req, i);
    int ret;

    if (opus_redundancy(s)->is_lost(s, piece.start, piece.bytes)) {
        ret = read_others(s, &piece, req->qiov, -1, -EIO);
    } else {
        ret = read_chunks(s, piece.start, piece.bytes, req->qiov,
                          piece.qiov_offset, req->flags);
    }
    request_done(req, ret);
}

static int coroutine_fn GRAPH_RDLOCK
read_cut(OpusRaid *s, uint64_t start, uint64_t bytes, QEMUIOVector *qiov,
         size_t qiov_offset, BdrvRequestFlags flags)
{
    Request req;
    unsigned nr;

    if (likely(!opus_missing_slots(s)) || !opus_redundancy(s)->is_lost) {
        return read_chunks(s, start, bytes, qiov, qiov_offset, flags);
    }
    nr = request_init(&req, s, start, bytes, raid_stripe_bytes(&s->geom),
                      qiov, qiov_offset, flags);
    opus_parallel(read_stripe_task, &req, nr, MAX_PIECES);
    return req.ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_co_preadv_part(BlockDriverState *bs, int64_t offset, int64_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    BdrvRequestFlags flags)
{
    OpusRaid *s = bs->opaque;
    RaidLoc loc;

    if (unlikely(bytes == 0)) {
        return 0;
    }
    if (likely(bytes <= raid_map(&s->geom, offset, &loc))) {
        Piece piece = {
            .start = offset, .bytes = bytes, .qiov_offset = qiov_offset,
        };

        return read_piece(s, &piece, loc, qiov, flags);
    }
    return read_cut(s, offset, bytes, qiov, qiov_offset, flags);
}

static void coroutine_fn GRAPH_RDLOCK write_task(void *opaque, unsigned i)
{
    Request *req = opaque;
    Piece piece = request_piece(req, i);

    request_done(req, opus_redundancy(req->s)->write(req->s, piece.start,
                                                     piece.bytes, req->qiov,
                                                     piece.qiov_offset,
                                                     req->flags));
}

int coroutine_fn GRAPH_RDLOCK
opus_co_pwritev_part(BlockDriverState *bs, int64_t offset, int64_t bytes,
                     QEMUIOVector *qiov, size_t qiov_offset,
                     BdrvRequestFlags flags)
{
    OpusRaid *s = bs->opaque;
    const OpusRedundancyOps *ops = opus_redundancy(s);
    Request req;
    unsigned nr;
    int ret;

    if (unlikely(bytes == 0)) {
        return 0;
    }
    nr = request_init(&req, s, offset, bytes,
                      ops->by_stripe ? raid_stripe_bytes(&s->geom)
                                     : s->geom.chunk_bytes,
                      qiov, qiov_offset, flags);
    if (!ops->redundant) {
        opus_parallel(write_task, &req, nr, MAX_PIECES);
        return req.ret;
    }
    ret = opus_intent_begin(s, offset, bytes);
    if (ret < 0) {
        return ret;
    }
    opus_parallel(write_task, &req, nr, MAX_PIECES);
    opus_intent_end(s, offset, bytes, req.ret);
    return req.ret;
}
