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
#include "block/opus-raid/redundancy/mirror/copies.h"
#include "block/opus-raid/redundancy/mirror/mirror.h"
#include "block/opus-raid/redundancy/parity/stripe.h"
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

static RaidStripeRange piece_range(const OpusRaid *s, const Piece *piece)
{
    uint64_t stripe = raid_stripe_of(&s->geom, piece->start);
    uint64_t start = piece->start - stripe * raid_stripe_bytes(&s->geom);

    return (RaidStripeRange) {
        .stripe = stripe, .start = start, .end = start + piece->bytes,
    };
}

/* The copy of a byte that a read should take; false when there is none. */
static inline bool map_read(OpusRaid *s, uint64_t array_off, RaidLoc *loc)
{
    if (raid_has_mirrors(&s->geom)) {
        int copy = opus_copies_choose(s, array_off);

        if (copy < 0) {
            return false;
        }
        raid_map_copy(&s->geom, array_off, copy, loc);
        return true;
    }
    return opus_slot_usable(s, loc->slot);
}

/* The member holds nothing there, or there is none (bad_slot -1). */
static int coroutine_fn GRAPH_RDLOCK
recover_from_others(OpusRaid *s, const Piece *piece, QEMUIOVector *qiov,
                    int bad_slot, int err)
{
    RaidStripeRange range;

    if (raid_has_parity(&s->geom)) {
        range = piece_range(s, piece);
        return opus_stripe_read(s, &range, qiov, piece->qiov_offset,
                                bad_slot);
    }
    if (raid_has_mirrors(&s->geom) && bad_slot >= 0) {
        return opus_mirror_recover(s, piece->start, piece->bytes, qiov,
                                   piece->qiov_offset, bad_slot);
    }
    return err;
}

/* What to do when the member could not be read. */
static int coroutine_fn GRAPH_RDLOCK
recover_piece(OpusRaid *s, const Piece *piece, QEMUIOVector *qiov,
              int bad_slot, int err)
{
    int ret = opus_array_read_failed(s, bad_slot, err);

    return ret < 0 ? ret : recover_from_others(s, piece, qiov, bad_slot, err);
}

/* Read inside one chunk. */
static inline int coroutine_fn GRAPH_RDLOCK
read_piece(OpusRaid *s, const Piece *piece, RaidLoc loc, QEMUIOVector *qiov,
           BdrvRequestFlags flags)
{
    OpusMember *m;
    int64_t off;
    int ret;

    if (unlikely(!map_read(s, piece->start, &loc))) {
        return recover_from_others(s, piece, qiov, -1, -EIO);
    }
    m = s->slots[loc.slot];
    off = opus_member_data(m, loc.member_off);
    if (unlikely(opus_member_is_bad(m, off, piece->bytes))) {
        return recover_from_others(s, piece, qiov, loc.slot, -EIO);
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

/* Does any data of a stripe range lie on a missing member? */
static bool range_needs_recovery(const OpusRaid *s,
                                 const RaidStripeRange *range,
                                 RaidMask missing_slots)
{
    RaidMask missing = raid_stripe_roles(&s->geom, range->stripe,
                                         missing_slots);
    unsigned first = range->start >> s->geom.chunk_shift;
    unsigned last = (range->end - 1) >> s->geom.chunk_shift;

    return missing & raid_mask_first(last + 1) & ~raid_mask_first(first);
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
    RaidStripeRange range = piece_range(s, &piece);
    RaidMask missing_slots = opus_missing_slots(s);
    int ret;

    if (!missing_slots || missing_slots == ~(RaidMask)0 ||
        range_needs_recovery(s, &range, missing_slots)) {
        ret = opus_stripe_read(s, &range, req->qiov, piece.qiov_offset, -1);
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

    if (!raid_has_parity(&s->geom) || !opus_missing_slots(s)) {
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

/* RAID0: there is no redundancy to keep, so the guest's buffer will do. */
static void coroutine_fn GRAPH_RDLOCK write_plain_task(void *opaque,
                                                       unsigned i)
{
    Request *req = opaque;
    OpusRaid *s = req->s;
    Piece piece = request_piece(req, i);
    OpusMember *m;
    RaidLoc loc;
    int ret;

    raid_map(&s->geom, piece.start, &loc);
    m = s->slots[loc.slot];
    ret = opus_member_pwritev(m, opus_member_data(m, loc.member_off),
                              piece.bytes, req->qiov, piece.qiov_offset,
                              req->flags);
    opus_count(&s->stats, OPUS_COUNT_PLAIN_WRITES);
    request_done(req, ret);
}

static void coroutine_fn GRAPH_RDLOCK write_mirror_task(void *opaque,
                                                        unsigned i)
{
    Request *req = opaque;
    Piece piece = request_piece(req, i);

    request_done(req, opus_mirror_write(req->s, piece.start, piece.bytes,
                                        req->qiov, piece.qiov_offset,
                                        req->flags));
}

static void coroutine_fn GRAPH_RDLOCK write_stripe_task(void *opaque,
                                                        unsigned i)
{
    Request *req = opaque;
    Piece piece = request_piece(req, i);
    RaidStripeRange range = piece_range(req->s, &piece);

    request_done(req, opus_stripe_write(req->s, &range, req->qiov,
                                        piece.qiov_offset, req->flags));
}

int coroutine_fn GRAPH_RDLOCK
opus_co_pwritev_part(BlockDriverState *bs, int64_t offset, int64_t bytes,
                     QEMUIOVector *qiov, size_t qiov_offset,
                     BdrvRequestFlags flags)
{
    OpusRaid *s = bs->opaque;
    Request req;
    unsigned nr;
    int ret;

    if (unlikely(bytes == 0)) {
        return 0;
    }
    if (s->geom.level == RAID_LEVEL_0) {
        nr = request_init(&req, s, offset, bytes, s->geom.chunk_bytes, qiov,
                          qiov_offset, flags);
        opus_parallel(write_plain_task, &req, nr, MAX_PIECES);
        return req.ret;
    }

    ret = opus_intent_begin(s, offset, bytes);
    if (ret < 0) {
        return ret;
    }
    nr = request_init(&req, s, offset, bytes, raid_stripe_bytes(&s->geom),
                      qiov, qiov_offset, flags & BDRV_REQ_FUA);
    opus_parallel(raid_has_parity(&s->geom) ? write_stripe_task
                                            : write_mirror_task,
                  &req, nr, MAX_PIECES);
    opus_intent_end(s, offset, bytes, req.ret);
    return req.ret;
}
