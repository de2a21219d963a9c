/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe: carry out plans on one stripe of a parity array
 *
 * Owns: the order of steps: lock, plan, read, compute, write.
 * Must not know: how requests are cut, what superblocks look like.
 * Threads: any; the stripe lock keeps writers of a stripe apart (I10).
 * Invariants: I10, I11.
 *
 * A read that fails, or that would be of a place which is recorded as bad,
 * makes its member unreadable for this request, and a new plan is made without
 * it.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/bounce.h"
#include "block/opus-raid/base/columns.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/parity/stripe-ops.h"
#include "block/opus-raid/redundancy/parity/stripe.h"
#include "block/opus-raid/redundancy/salvage.h"
#include "block/opus-raid/trace.h"

/* A chunk is rebuilt in pieces of this size, so that buffers stay small. */
#define REBUILD_BYTES   (256u * 1024)

/* With the stripe's lock held. */
static RaidMask missing_in_stripe(OpusRaid *s, uint64_t stripe)
{
    return opus_missing_at(s, raid_stripe_member_off(&s->geom, stripe));
}

static bool trusted_in_stripe(OpusRaid *s, uint64_t stripe)
{
    return opus_redundancy_trusted(s, raid_stripe_member_off(&s->geom,
                                                             stripe));
}

/* Hand the data that was asked for to the guest. */
static void give_out(const OpusColumns *c, uint64_t start, QEMUIOVector *qiov,
                     size_t qiov_offset)
{
    for (unsigned i = 0; i < c->plan->nr_bands; i++) {
        const RaidBand *band = &c->plan->bands[i];

        RAID_MASK_FOREACH(role, band->want) {
            uint64_t stripe_off = ((uint64_t)role << c->geom->chunk_shift) +
                                  band->lo;

            qemu_iovec_from_buf(qiov, qiov_offset + (stripe_off - start),
                                opus_column(c, role, i), band->hi - band->lo);
        }
    }
}

/*
 * One attempt; -EAGAIN when @unreadable has become larger, -ENODATA when it is
 * too large.
 */
static int coroutine_fn GRAPH_RDLOCK
try_read(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
         size_t qiov_offset, OpusUnreadable *unreadable)
{
    RaidMask missing_slots = missing_in_stripe(s, range->stripe);
    OPUS_UNINITIALIZED OpusColumns c;
    RaidPlan plan;
    int ret;

    if (unreadable->slots && !trusted_in_stripe(s, range->stripe)) {
        return -EIO;
    }
    if (!raid_plan_read(&s->geom, range, missing_slots | unreadable->slots,
                        &plan)) {
        return -ENODATA;
    }
    trace_opus_raid_stripe_read(s->bs, range->stripe, range->start,
                                range->end, missing_slots, unreadable->slots);
    ret = opus_columns_alloc(&c, &s->geom, &plan, false);
    if (ret < 0) {
        return ret;
    }
    ret = opus_stripe_read_members(s, &c, unreadable);
    if (ret == 0) {
        opus_columns_recover(&c);
        give_out(&c, range->start, qiov, qiov_offset);
        if (unreadable->slots && opus_is_writable(s->bs)) {
            ret = opus_stripe_rewrite_members(
                s, &c, unreadable->slots &
                       ~missing_in_stripe(s, range->stripe));
        }
    }
    opus_columns_free(&c);
    return ret;
}

/* Bit by bit, where members are unreadable in different places. */
static int coroutine_fn GRAPH_RDLOCK
read_crumbs(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
            size_t qiov_offset)
{
    uint64_t start = range->start;
    int ret = 0;

    while (start < range->end && ret == 0) {
        RaidStripeRange crumb = {
            .stripe = range->stripe,
            .start = start,
            .end = MIN(range->end, QEMU_ALIGN_DOWN(start, OPUS_CRUMB_BYTES) +
                                   OPUS_CRUMB_BYTES),
        };
        OpusUnreadable unreadable = { 0 };

        do {
            ret = try_read(s, &crumb, qiov,
                           qiov_offset + (start - range->start), &unreadable);
        } while (ret == -EAGAIN);
        start = crumb.end;
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_read(OpusRaid *s, const RaidStripeRange *range,
                 QEMUIOVector *qiov, size_t qiov_offset, int bad_slot)
{
    OpusUnreadable unreadable = {
        .slots = bad_slot < 0 ? 0 : RAID_BIT(bad_slot),
    };
    OpusStripeLock lock;
    int ret;

    /* Every new attempt knows one member more to avoid, so this ends. */
    opus_stripe_lock(&s->stripe_locks, range->stripe, &lock);
    do {
        ret = try_read(s, range, qiov, qiov_offset, &unreadable);
    } while (ret == -EAGAIN);
    if (ret == -ENODATA && range->end - range->start > OPUS_CRUMB_BYTES) {
        ret = read_crumbs(s, range, qiov, qiov_offset);
    }
    opus_stripe_unlock(&s->stripe_locks, &lock);

    opus_count(&s->stats, OPUS_COUNT_DEGRADED_READS);
    return ret == -ENODATA ? -EIO : ret;
}

/* What a log is given to do once it is durable. */
typedef struct MembersWrite {
    OpusRaid *s;
    const OpusColumns *c;
    BdrvRequestFlags flags;
} MembersWrite;

static int coroutine_fn GRAPH_RDLOCK write_members(void *opaque)
{
    const MembersWrite *w = opaque;

    return opus_stripe_write_members(w->s, w->c, w->flags);
}

static void count_write(OpusRaid *s, const RaidPlan *plan,
                        RaidMask missing_slots)
{
    /* The kind of a stripe is the dearest of its bands: the first of these. */
    static const struct {
        RaidMethod method;
        OpusCounter counter;
    } kinds[] = {
        { RAID_METHOD_MODIFY, OPUS_COUNT_READ_MODIFY },
        { RAID_METHOD_DATA_ONLY, OPUS_COUNT_PLAIN_WRITES },
        { RAID_METHOD_RECOVER_WRITE, OPUS_COUNT_RECONSTRUCT },
        { RAID_METHOD_RECONSTRUCT, OPUS_COUNT_RECONSTRUCT },
        { RAID_METHOD_FULL, OPUS_COUNT_FULL_STRIPE },
    };
    RaidMask methods = 0;
    unsigned kind = 0;

    for (unsigned i = 0; i < plan->nr_bands; i++) {
        methods |= RAID_BIT(plan->bands[i].method);
    }
    while (!(methods & RAID_BIT(kinds[kind].method))) {
        kind++;
    }
    opus_count(&s->stats, kinds[kind].counter);
    if (missing_slots & raid_mask_first(s->geom.nr_slots)) {
        opus_count(&s->stats, OPUS_COUNT_DEGRADED_WRITES);
    }
}

/*
 * Parity that can't follow what is written is bad from now on, so that nothing
 * is ever computed from it.
 */
static int coroutine_fn GRAPH_RDLOCK lose_parity(OpusRaid *s,
                                                 const RaidPlan *plan)
{
    uint64_t base = raid_stripe_member_off(&s->geom, plan->stripe);
    int ret = 0;

    for (unsigned i = 0; i < plan->nr_bands; i++) {
        const RaidBand *band = &plan->bands[i];

        RAID_MASK_FOREACH(role, band->lose) {
            unsigned slot = raid_stripe_slot(&s->geom, plan->stripe, role);
            OpusMember *too = opus_replacement_at(s, slot, base);
            uint64_t off = base + band->lo;

            if (ret == 0) {
                ret = opus_array_record_bad(s, s->slots[slot], off,
                                            band->hi - band->lo);
            }
            if (ret == 0 && too) {
                ret = opus_array_record_bad(s, too, off, band->hi - band->lo);
            }
        }
    }
    return ret < 0 ? -EIO : 0;
}

/*
 * Which plan: one that keeps redundancy, or, where recorded places are among
 * what can't be read and that is too much, one that goes without.
 */
static bool plan_write(OpusRaid *s, const RaidStripeRange *range,
                       RaidMask missing_slots,
                       const OpusUnreadable *unreadable, RaidPlan *plan)
{
    return raid_plan_write(&s->geom, range, missing_slots, unreadable->slots,
                           trusted_in_stripe(s, range->stripe), plan) ||
           (unreadable->recorded &&
            raid_plan_write_past(&s->geom, range, missing_slots,
                                 unreadable->slots, plan));
}

/* One attempt; -EAGAIN when @unreadable has become larger. */
static int coroutine_fn GRAPH_RDLOCK
try_write(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
          size_t qiov_offset, BdrvRequestFlags flags,
          OpusUnreadable *unreadable)
{
    RaidMask missing_slots = missing_in_stripe(s, range->stripe);
    const OpusConsistencyOps *log = opus_active_log(s);
    OPUS_UNINITIALIZED OpusColumns c;
    MembersWrite w = { .s = s, .c = &c, .flags = flags };
    RaidPlan plan;
    int ret;

    if (unreadable->slots && !trusted_in_stripe(s, range->stripe)) {
        return -EIO;
    }
    if (!plan_write(s, range, missing_slots, unreadable, &plan)) {
        return -EIO;
    }
    trace_opus_raid_stripe_write(s->bs, range->stripe, range->start,
                                 range->end,
                                 raid_method_name(plan.bands[0].method),
                                 missing_slots, unreadable->slots);
    ret = opus_columns_alloc(&c, &s->geom, &plan,
                             log && log->partial_parity);
    if (ret < 0) {
        return ret;
    }
    ret = opus_stripe_read_members(s, &c, unreadable);
    if (ret == 0) {
        ret = lose_parity(s, &plan);
    }
    if (ret == 0) {
        opus_columns_write(&c, range->start, qiov, qiov_offset);
        ret = log ? log->write_stripe(s, &c, write_members, &w)
                  : write_members(&w);
        count_write(s, &plan, missing_slots);
    }
    opus_columns_free(&c);
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
write_range(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
            size_t qiov_offset, BdrvRequestFlags flags)
{
    OpusUnreadable unreadable = { 0 };
    int ret;

    do {
        ret = try_write(s, range, qiov, qiov_offset, flags, &unreadable);
    } while (ret == -EAGAIN);
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
write_in_pieces(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
                size_t qiov_offset, BdrvRequestFlags flags,
                uint64_t max_bytes)
{
    RaidStripeRange piece = *range;
    int ret = 0;

    while (piece.start < range->end && ret == 0) {
        piece.end = MIN(piece.start + max_bytes, range->end);
        ret = write_range(s, &piece, qiov,
                          qiov_offset + (piece.start - range->start), flags);
        piece.start = piece.end;
    }
    return ret;
}

/* What is logged must fit a unit. */
static uint64_t max_write(OpusRaid *s, const RaidStripeRange *range)
{
    const OpusConsistencyOps *log = opus_active_log(s);

    return log ? log->max_write(s, range->end - range->start) : UINT64_MAX;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_write(OpusRaid *s, const RaidStripeRange *range,
                  QEMUIOVector *qiov, size_t qiov_offset,
                  BdrvRequestFlags flags)
{
    uint64_t max_bytes;
    OpusStripeLock lock;
    int ret;

    opus_stripe_lock(&s->stripe_locks, range->stripe, &lock);
    max_bytes = max_write(s, range);
    if (range->end - range->start > max_bytes) {
        ret = write_in_pieces(s, range, qiov, qiov_offset, flags, max_bytes);
    } else {
        ret = write_range(s, range, qiov, qiov_offset, flags);
    }
    opus_stripe_unlock(&s->stripe_locks, &lock);
    return ret;
}

/* Part of a chunk that is rebuilt. */
typedef struct StripeRebuild {
    OpusRaid *s;
    uint64_t stripe;
    OpusMember *to;
    unsigned slot;
    uint32_t lo;
} StripeRebuild;

/*
 * One attempt; -EAGAIN when @unreadable has become larger, -ENODATA when it is
 * too large.
 */
static int coroutine_fn GRAPH_RDLOCK
try_rebuild(const StripeRebuild *r, uint32_t lo, uint32_t hi,
            OpusUnreadable *unreadable)
{
    OpusRaid *s = r->s;
    unsigned role = raid_stripe_role(&s->geom, r->stripe, r->slot);
    uint64_t off = raid_stripe_member_off(&s->geom, r->stripe) + lo;
    RaidMask missing_slots = opus_missing_at(s, off);
    OPUS_UNINITIALIZED OpusColumns c;
    RaidPlan plan;
    int ret;

    if (missing_slots == OPUS_ALL_SLOTS ||
        (unreadable->slots && !trusted_in_stripe(s, r->stripe))) {
        return -EIO;
    }
    missing_slots |= RAID_BIT(r->slot);
    if (!raid_plan_rebuild(&s->geom, r->stripe, lo, hi, r->slot,
                           missing_slots, unreadable->slots, &plan)) {
        return -ENODATA;
    }
    ret = opus_columns_alloc(&c, &s->geom, &plan, false);
    if (ret < 0) {
        return ret;
    }
    ret = opus_stripe_read_members(s, &c, unreadable);
    if (ret == 0) {
        opus_columns_recover(&c);
        ret = opus_member_pwrite(r->to, opus_member_data(r->to, off),
                                 opus_column(&c, role, 0), hi - lo, 0);
        if (ret < 0) {
            ret = opus_array_write_failed(s, r->to, "write", ret);
        }
        if (ret == 0 && unreadable->slots) {
            ret = opus_stripe_rewrite_members(
                s, &c, unreadable->slots & ~missing_slots);
        }
    }
    opus_columns_free(&c);
    return ret;
}

static void GRAPH_RDLOCK send_unreadable(OpusRaid *s, uint64_t member_off,
                                         uint64_t bytes, RaidMask slots)
{
    RAID_MASK_FOREACH(slot, slots) {
        OpusMember *m = s->slots[slot];

        qapi_event_send_opus_raid_read_error(bdrv_get_node_name(s->bs),
                                             opus_member_node(m), slot,
                                             opus_member_data(m, member_off),
                                             bytes, false);
    }
}

/*
 * From the member that is replaced, while that can be read. Returns 1 when
 * this is done, 0 when it has to be computed, or a negative errno.
 */
static int coroutine_fn GRAPH_RDLOCK
copy_piece(const StripeRebuild *r, uint32_t lo, uint32_t hi)
{
    OpusRaid *s = r->s;
    OpusMember *from = s->slots[r->slot];
    uint64_t off = raid_stripe_member_off(&s->geom, r->stripe) + lo;
    void *buf;
    int ret;

    if (from == r->to ||
        opus_member_is_bad(from, opus_member_data(from, off), hi - lo)) {
        return 0;
    }
    buf = opus_bounce_alloc(hi - lo);
    if (!buf) {
        return -ENOMEM;
    }
    ret = opus_member_pread(from, opus_member_data(from, off), buf, hi - lo);
    if (ret < 0) {
        ret = opus_array_read_failed(s, r->slot, ret);
    } else {
        ret = opus_member_pwrite(r->to, opus_member_data(r->to, off), buf,
                                 hi - lo, 0);
        ret = ret < 0 ? opus_array_write_failed(s, r->to, "write", ret) : 1;
    }
    opus_bounce_free(buf, hi - lo);
    return ret;
}

/* An OpusSalvageFn. */
static int coroutine_fn GRAPH_RDLOCK rebuild_piece(void *opaque, uint32_t off,
                                                   uint32_t bytes)
{
    const StripeRebuild *r = opaque;
    OpusUnreadable unreadable = { 0 };
    uint32_t lo = r->lo + off;
    int ret = copy_piece(r, lo, lo + bytes);

    if (ret) {
        return MIN(ret, 0);
    }
    do {
        ret = try_rebuild(r, lo, lo + bytes, &unreadable);
    } while (ret == -EAGAIN);
    if (ret == -ENODATA) {
        send_unreadable(r->s, raid_stripe_member_off(&r->s->geom, r->stripe) +
                              lo, bytes, unreadable.slots);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_rebuild(OpusRaid *s, uint64_t stripe, OpusMember *to,
                    unsigned slot)
{
    StripeRebuild r = { .s = s, .stripe = stripe, .to = to, .slot = slot };
    uint64_t base = raid_stripe_member_off(&s->geom, stripe);
    uint32_t chunk_bytes = s->geom.chunk_bytes;
    int ret = 0;

    for (; r.lo < chunk_bytes && ret == 0;
         r.lo += MIN(REBUILD_BYTES, chunk_bytes - r.lo)) {
        ret = opus_salvage(s, to, base + r.lo,
                           MIN(REBUILD_BYTES, chunk_bytes - r.lo),
                           rebuild_piece, &r);
    }
    return ret;
}
