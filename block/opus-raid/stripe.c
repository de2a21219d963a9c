/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe: carry out plans on one stripe of a parity array
 *
 * Owns: the order of steps: lock, plan, read, compute, write, failures.
 * Must not know: how requests are cut, what superblocks look like.
 * Threads: any; the stripe lock keeps writers of a stripe apart (I10).
 * Invariants: I5, I10, I11.
 *
 * A read that fails makes its member unreadable for this request, and a new
 * plan is made without it. A write that fails is none of the plan's business:
 * the other members hold what the failed one should hold, so it is enough to
 * record the failure before the request ends.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "array.h"
#include "columns.h"
#include "member.h"
#include "parallel.h"
#include "ppl.h"
#include "stripe.h"
#include "trace.h"

/* A chunk is rebuilt in pieces of this size, so that buffers stay small. */
#define REBUILD_BYTES   (256u * 1024)

/* One read or write of a member. */
typedef struct StripeOp {
    OpusMember *m;
    uint64_t member_off;
    uint8_t *buf;
    uint32_t bytes;
    int ret;
} StripeOp;

/* All that go on at the same time. */
typedef struct StripeOps {
    OpusRaid *s;
    BdrvRequestFlags flags;
    unsigned nr;
    StripeOp ops[RAID_MAX_MEMBERS * RAID_PLAN_MAX_BANDS];
} StripeOps;

/* With the stripe's lock held. */
static RaidMask missing_in_stripe(OpusRaid *s, uint64_t stripe)
{
    return opus_missing_at(s, raid_stripe_member_off(&s->geom, stripe));
}

static void coroutine_fn GRAPH_RDLOCK read_task(void *opaque, unsigned i)
{
    StripeOps *ops = opaque;
    StripeOp *op = &ops->ops[i];

    op->ret = opus_member_pread(op->m, opus_member_data(op->m, op->member_off),
                                op->buf, op->bytes);
}

static void coroutine_fn GRAPH_RDLOCK write_task(void *opaque, unsigned i)
{
    StripeOps *ops = opaque;
    StripeOp *op = &ops->ops[i];

    op->ret = opus_member_pwrite(op->m,
                                 opus_member_data(op->m, op->member_off),
                                 op->buf, op->bytes, ops->flags);
}

/*
 * Collect the reads or the writes of a plan. Bands that follow each other on
 * a member and in memory are one operation.
 */
static void collect_ops(OpusRaid *s, const OpusColumns *c, bool writes,
                        StripeOps *ops)
{
    const RaidPlan *plan = c->plan;
    uint64_t base = raid_stripe_member_off(&s->geom, plan->stripe);

    ops->s = s;
    ops->flags = 0;
    ops->nr = 0;
    RAID_MASK_FOREACH(role, c->used) {
        unsigned slot = raid_stripe_slot(&s->geom, plan->stripe, role);
        StripeOp *last = NULL;

        for (unsigned i = 0; i < plan->nr_bands; i++) {
            const RaidBand *band = &plan->bands[i];
            uint8_t *buf;

            if (!((writes ? band->write : band->read) & RAID_BIT(role))) {
                continue;
            }
            buf = writes ? opus_column(c, role, i)
                         : opus_column_read_to(c, role, i);
            if (last && last->buf + last->bytes == buf &&
                last->member_off + last->bytes == base + band->lo) {
                last->bytes += band->hi - band->lo;
                continue;
            }
            last = &ops->ops[ops->nr++];
            *last = (StripeOp) {
                .m = s->slots[slot],
                .member_off = base + band->lo,
                .buf = buf,
                .bytes = band->hi - band->lo,
            };
        }
    }
}

static void coroutine_fn GRAPH_RDLOCK run_ops(StripeOps *ops,
                                              OpusParallelFn *fn)
{
    if (ops->nr) {
        opus_parallel(fn, ops, ops->nr, ops->nr);
    }
}

/*
 * Carry out the reads of a plan. Returns 0, or -EAGAIN when a new plan is
 * needed: the members that could not be read are added to @unreadable_slots.
 */
static int coroutine_fn GRAPH_RDLOCK
read_members(OpusRaid *s, const OpusColumns *c, RaidMask *unreadable_slots)
{
    OPUS_UNINITIALIZED StripeOps ops;
    int ret = 0;

    collect_ops(s, c, false, &ops);
    run_ops(&ops, read_task);
    for (unsigned i = 0; i < ops.nr; i++) {
        unsigned slot = ops.ops[i].m->slot;

        if (ops.ops[i].ret == 0) {
            continue;
        }
        *unreadable_slots |= RAID_BIT(slot);
        ret = opus_array_read_failed(s, slot, ops.ops[i].ret);
        if (ret < 0) {
            return ret;
        }
        ret = -EAGAIN;
    }
    return ret;
}

/* Carry out the writes of a plan. Returns 0, or -EIO: the array failed. */
static int coroutine_fn GRAPH_RDLOCK
write_members(OpusRaid *s, const OpusColumns *c, BdrvRequestFlags flags)
{
    OPUS_UNINITIALIZED StripeOps ops;
    int ret = 0;

    collect_ops(s, c, true, &ops);
    ops.flags = flags;
    run_ops(&ops, write_task);
    for (unsigned i = 0; i < ops.nr; i++) {
        if (ops.ops[i].ret < 0 &&
            opus_array_fail_member(s, ops.ops[i].m->slot, "write",
                                   ops.ops[i].ret) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

/*
 * Give members back what they could not read. Each is still in use, and takes
 * it or is failed.
 */
static int coroutine_fn GRAPH_RDLOCK
rewrite_members(OpusRaid *s, const OpusColumns *c, RaidMask slots)
{
    const RaidPlan *plan = c->plan;
    int ret = 0;

    for (unsigned i = 0; i < plan->nr_bands; i++) {
        const RaidBand *band = &plan->bands[i];

        RAID_MASK_FOREACH(role, band->recover) {
            unsigned slot = raid_stripe_slot(&s->geom, plan->stripe, role);
            OpusMember *m = s->slots[slot];
            int64_t off;
            int err;

            if (!(slots & RAID_BIT(slot))) {
                continue;
            }
            off = opus_member_data(m, raid_stripe_member_off(&s->geom,
                                                             plan->stripe) +
                                      band->lo);
            err = opus_member_pwrite(m, off, opus_column(c, role, i),
                                     band->hi - band->lo, 0);
            if (err == 0) {
                qatomic_inc(&m->corrected_reads);
            } else if (opus_array_fail_member(s, slot, "rewrite", err) < 0) {
                ret = -EIO;
            }
            qapi_event_send_opus_raid_read_error(bdrv_get_node_name(s->bs),
                                                 opus_member_name(m), slot,
                                                 off, band->hi - band->lo,
                                                 err == 0);
        }
    }
    return ret;
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

/* One attempt; -EAGAIN when @unreadable_slots has become larger. */
static int coroutine_fn GRAPH_RDLOCK
try_read(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
         size_t qiov_offset, RaidMask *unreadable_slots)
{
    RaidMask missing_slots = missing_in_stripe(s, range->stripe);
    OPUS_UNINITIALIZED OpusColumns c;
    RaidPlan plan;
    int ret;

    if (*unreadable_slots && !opus_redundancy_trusted(s)) {
        return -EIO;
    }
    if (!raid_plan_read(&s->geom, range, missing_slots | *unreadable_slots,
                        &plan)) {
        return -EIO;
    }
    trace_opus_raid_stripe_read(s->bs, range->stripe, range->start,
                                range->end, missing_slots, *unreadable_slots);
    ret = opus_columns_alloc(&c, &s->geom, &plan, false);
    if (ret < 0) {
        return ret;
    }
    ret = read_members(s, &c, unreadable_slots);
    if (ret == 0) {
        opus_columns_recover(&c);
        give_out(&c, range->start, qiov, qiov_offset);
        if (*unreadable_slots && opus_is_writable(s->bs)) {
            ret = rewrite_members(s, &c,
                                  *unreadable_slots &
                                  ~missing_in_stripe(s, range->stripe));
        }
    }
    opus_columns_free(&c);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_read(OpusRaid *s, const RaidStripeRange *range,
                 QEMUIOVector *qiov, size_t qiov_offset, int bad_slot)
{
    RaidMask unreadable_slots = bad_slot < 0 ? 0 : RAID_BIT(bad_slot);
    OpusStripeLock lock;
    int ret;

    /* Every new attempt knows one member more to avoid, so this ends. */
    opus_stripe_lock(&s->stripe_locks, range->stripe, &lock);
    do {
        ret = try_read(s, range, qiov, qiov_offset, &unreadable_slots);
    } while (ret == -EAGAIN);
    opus_stripe_unlock(&s->stripe_locks, &lock);

    opus_count(&s->stats, OPUS_COUNT_DEGRADED_READS);
    return ret;
}

/* The log is durable before the first member is written. */
static int coroutine_fn GRAPH_RDLOCK
log_and_write(OpusRaid *s, const OpusColumns *c, BdrvRequestFlags flags)
{
    OpusPplRequest req;
    int ret = opus_ppl_log(s, &req, c);

    if (ret == 0) {
        ret = write_members(s, c, flags);
        opus_ppl_done(s, &req);
    }
    return ret;
}

static void count_write(OpusRaid *s, const RaidPlan *plan,
                        RaidMask missing_slots)
{
    static const OpusCounter counters[] = {
        [RAID_METHOD_FULL] = OPUS_COUNT_FULL_STRIPE,
        [RAID_METHOD_RECONSTRUCT] = OPUS_COUNT_RECONSTRUCT,
        [RAID_METHOD_MODIFY] = OPUS_COUNT_READ_MODIFY,
        [RAID_METHOD_RECOVER_WRITE] = OPUS_COUNT_RECONSTRUCT,
        [RAID_METHOD_DATA_ONLY] = OPUS_COUNT_PLAIN_WRITES,
    };
    RaidMask methods = 0;

    /* The kind of a stripe is the dearest of its bands. */
    for (unsigned i = 0; i < plan->nr_bands; i++) {
        methods |= RAID_BIT(plan->bands[i].method);
    }
    if (methods & RAID_BIT(RAID_METHOD_MODIFY)) {
        opus_count(&s->stats, OPUS_COUNT_READ_MODIFY);
    } else {
        opus_count(&s->stats, counters[63 - clz64(methods)]);
    }
    if (missing_slots & raid_mask_first(s->geom.nr_slots)) {
        opus_count(&s->stats, OPUS_COUNT_DEGRADED_WRITES);
    }
}

/* One attempt; -EAGAIN when @unreadable_slots has become larger. */
static int coroutine_fn GRAPH_RDLOCK
try_write(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
          size_t qiov_offset, BdrvRequestFlags flags,
          RaidMask *unreadable_slots)
{
    RaidMask missing_slots = missing_in_stripe(s, range->stripe);
    bool ppl = opus_ppl_is_active(s);
    OPUS_UNINITIALIZED OpusColumns c;
    RaidPlan plan;
    int ret;

    if (*unreadable_slots && !opus_redundancy_trusted(s)) {
        return -EIO;
    }
    if (!raid_plan_write(&s->geom, range, missing_slots, *unreadable_slots,
                         opus_redundancy_trusted(s), &plan)) {
        return -EIO;
    }
    trace_opus_raid_stripe_write(s->bs, range->stripe, range->start,
                                 range->end,
                                 raid_method_name(plan.bands[0].method),
                                 missing_slots, *unreadable_slots);
    ret = opus_columns_alloc(&c, &s->geom, &plan, ppl);
    if (ret < 0) {
        return ret;
    }
    ret = read_members(s, &c, unreadable_slots);
    if (ret == 0) {
        opus_columns_write(&c, range->start, qiov, qiov_offset);
        ret = ppl ? log_and_write(s, &c, flags) : write_members(s, &c, flags);
        count_write(s, &plan, missing_slots);
    }
    opus_columns_free(&c);
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
write_range(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
            size_t qiov_offset, BdrvRequestFlags flags)
{
    RaidMask unreadable_slots = 0;
    int ret;

    do {
        ret = try_write(s, range, qiov, qiov_offset, flags,
                        &unreadable_slots);
    } while (ret == -EAGAIN);
    return ret;
}

/* What is not a whole stripe must fit a unit of the log. */
static int coroutine_fn GRAPH_RDLOCK
write_in_pieces(OpusRaid *s, const RaidStripeRange *range, QEMUIOVector *qiov,
                size_t qiov_offset, BdrvRequestFlags flags)
{
    uint64_t max_bytes = opus_ppl_max_write(s);
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

int coroutine_fn GRAPH_RDLOCK
opus_stripe_write(OpusRaid *s, const RaidStripeRange *range,
                  QEMUIOVector *qiov, size_t qiov_offset,
                  BdrvRequestFlags flags)
{
    OpusStripeLock lock;
    int ret;

    opus_stripe_lock(&s->stripe_locks, range->stripe, &lock);
    if (opus_ppl_is_active(s) &&
        range->end - range->start < raid_stripe_bytes(&s->geom)) {
        ret = write_in_pieces(s, range, qiov, qiov_offset, flags);
    } else {
        ret = write_range(s, range, qiov, qiov_offset, flags);
    }
    opus_stripe_unlock(&s->stripe_locks, &lock);
    return ret;
}

/* One attempt; -EAGAIN when @unreadable_slots has become larger. */
static int coroutine_fn GRAPH_RDLOCK
try_rebuild(OpusRaid *s, uint64_t stripe, unsigned slot, uint32_t lo,
            uint32_t hi, RaidMask *unreadable_slots)
{
    RaidMask missing_slots = opus_missing_slots(s);
    OPUS_UNINITIALIZED OpusColumns c;
    RaidPlan plan;
    int ret;

    if (*unreadable_slots && !opus_redundancy_trusted(s)) {
        return -EIO;
    }
    if (!raid_plan_rebuild(&s->geom, stripe, lo, hi, slot, missing_slots,
                           *unreadable_slots, &plan)) {
        return -EIO;
    }
    ret = opus_columns_alloc(&c, &s->geom, &plan, false);
    if (ret < 0) {
        return ret;
    }
    ret = read_members(s, &c, unreadable_slots);
    if (ret == 0) {
        opus_columns_recover(&c);
        ret = write_members(s, &c, 0);
        if (ret == 0 && *unreadable_slots) {
            ret = rewrite_members(s, &c,
                                  *unreadable_slots & ~opus_missing_slots(s));
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
                                             opus_member_name(m), slot,
                                             opus_member_data(m, member_off),
                                             bytes, false);
    }
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_rebuild(OpusRaid *s, uint64_t stripe, unsigned slot)
{
    uint32_t chunk_bytes = s->geom.chunk_bytes;
    int ret = 0;

    for (uint32_t lo = 0; lo < chunk_bytes && ret == 0;
         lo += MIN(REBUILD_BYTES, chunk_bytes - lo)) {
        uint32_t hi = lo + MIN(REBUILD_BYTES, chunk_bytes - lo);
        RaidMask unreadable_slots = 0;

        do {
            ret = try_rebuild(s, stripe, slot, lo, hi, &unreadable_slots);
        } while (ret == -EAGAIN);
        if (ret < 0) {
            send_unreadable(s, raid_stripe_member_off(&s->geom, stripe) + lo,
                            hi - lo, unreadable_slots);
        }
    }
    return ret;
}
