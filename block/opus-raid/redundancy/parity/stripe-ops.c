/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe ops: the reads and writes of a plan, on the members
 *
 * Owns: what goes on at the same time, and what becomes of its errors.
 * Must not know: which plan it is, what is computed between.
 * Threads: any; the holder of the stripe's lock.
 * Invariants: I5, I9.
 *
 * A write that fails is none of the plan's business: the other members hold
 * what the failed one should hold, so it is enough to record the failure
 * before the request ends.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/no-room.h"
#include "block/opus-raid/redundancy/parity/stripe-ops.h"

/* One read or write of a member. */
typedef struct StripeOp {
    OpusMember *m;
    uint64_t member_off;
    uint8_t *buf;
    uint32_t bytes;
    bool recorded;              /* it was not read, as it is known to be bad */
    int ret;
} StripeOp;

/* All that go on at the same time. */
typedef struct StripeOps {
    OpusRaid *s;
    BdrvRequestFlags flags;
    unsigned nr;
    StripeOp ops[RAID_MAX_MEMBERS * 2 * RAID_PLAN_MAX_BANDS];
} StripeOps;

static void coroutine_fn GRAPH_RDLOCK read_task(void *opaque, unsigned i)
{
    StripeOps *ops = opaque;
    StripeOp *op = &ops->ops[i];
    int64_t off = opus_member_data(op->m, op->member_off);

    op->recorded = opus_member_is_bad(op->m, off, op->bytes);
    op->ret = op->recorded ? -EIO : opus_member_pread(op->m, off, op->buf,
                                                      op->bytes);
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

/* What a slot's member gets, one that is going to replace it gets, too. */
static void add_replacement_ops(OpusRaid *s, const RaidPlan *plan,
                                StripeOps *ops)
{
    uint64_t off = raid_stripe_member_off(&s->geom, plan->stripe);
    unsigned nr = ops->nr;

    RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
        OpusMember *m = opus_replacement_at(s, slot, off);

        for (unsigned i = 0; i < nr && m; i++) {
            if (ops->ops[i].m == s->slots[slot]) {
                ops->ops[ops->nr] = ops->ops[i];
                ops->ops[ops->nr++].m = m;
            }
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

int coroutine_fn GRAPH_RDLOCK
opus_stripe_read_members(OpusRaid *s, const OpusColumns *c,
                         OpusUnreadable *unreadable)
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
        unreadable->slots |= RAID_BIT(slot);
        if (ops.ops[i].recorded) {
            unreadable->recorded = true;
        } else {
            ret = opus_array_read_failed(s, slot, ops.ops[i].ret);
            if (ret < 0) {
                return ret;
            }
        }
        ret = -EAGAIN;
    }
    return ret;
}

/*
 * Not all is written. Returns 0 when it is enough that members have failed.
 */
static int coroutine_fn GRAPH_RDLOCK write_failed(StripeOps *ops,
                                                  uint64_t stripe)
{
    OpusRefusal refusal = { 0 };
    int ret;

    for (unsigned i = 0; i < ops->nr; i++) {
        opus_refusal_note(ops->s, &refusal, ops->ops[i].m, ops->ops[i].ret);
    }
    ret = opus_stripe_settle_refusal(ops->s, stripe, &refusal);
    if (ret < 0) {
        return ret;
    }
    for (unsigned i = 0; i < ops->nr; i++) {
        if (ops->ops[i].ret < 0 &&
            opus_array_write_failed(ops->s, ops->ops[i].m, "write",
                                    ops->ops[i].ret) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_write_members(OpusRaid *s, const OpusColumns *c,
                          BdrvRequestFlags flags)
{
    OPUS_UNINITIALIZED StripeOps ops;

    collect_ops(s, c, true, &ops);
    add_replacement_ops(s, c->plan, &ops);
    ops.flags = flags;
    run_ops(&ops, write_task);
    for (unsigned i = 0; i < ops.nr; i++) {
        if (unlikely(ops.ops[i].ret < 0) &&
            !OPUS_SABOTAGED(WRITE_ERROR_IGNORED)) {
            return write_failed(&ops, c->plan->stripe);
        }
    }
    return 0;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_rewrite_members(OpusRaid *s, const OpusColumns *c, RaidMask slots)
{
    const RaidPlan *plan = c->plan;
    int ret = 0;

    for (unsigned i = 0; i < plan->nr_bands; i++) {
        const RaidBand *band = &plan->bands[i];

        RAID_MASK_FOREACH(role, band->recover) {
            unsigned slot = raid_stripe_slot(&s->geom, plan->stripe, role);
            OpusMember *m = s->slots[slot];
            bool recorded;
            int64_t off;
            int err;

            if (!(slots & RAID_BIT(slot))) {
                continue;
            }
            off = opus_member_data(m, raid_stripe_member_off(&s->geom,
                                                             plan->stripe) +
                                      band->lo);
            recorded = opus_member_is_bad(m, off, band->hi - band->lo);
            err = opus_member_pwrite(m, off, opus_column(c, role, i),
                                     band->hi - band->lo, 0);
            if (recorded) {
                continue;       /* no news, and it may well stay bad */
            }
            if (err == 0) {
                qatomic_inc(&m->corrected_reads);
            } else if (opus_array_fail_member(s, slot, "rewrite", err) < 0) {
                ret = -EIO;
            }
            qapi_event_send_opus_raid_read_error(bdrv_get_node_name(s->bs),
                                                 opus_member_node(m), slot,
                                                 off, band->hi - band->lo,
                                                 err == 0);
        }
    }
    return ret;
}
