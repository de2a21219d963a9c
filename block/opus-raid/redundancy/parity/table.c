/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parity: RAID4, RAID5 and RAID6, stripe by stripe
 *
 * Owns: the table of functions, and which stripe a range lies in.
 * Must not know: plans.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/redundancy/parity/stripe.h"
#include "block/opus-raid/redundancy/parity/verify.h"
#include "block/opus-raid/redundancy/parity/zero.h"
#include "block/opus-raid/redundancy/redundancy.h"

static RaidStripeRange stripe_range(const OpusRaid *s, uint64_t array_off,
                                    uint64_t bytes)
{
    uint64_t stripe = raid_stripe_of(&s->geom, array_off);
    uint64_t start = array_off - stripe * raid_stripe_bytes(&s->geom);

    return (RaidStripeRange) {
        .stripe = stripe, .start = start, .end = start + bytes,
    };
}

static bool parity_is_lost(const OpusRaid *s, uint64_t array_off,
                           uint64_t bytes)
{
    RaidStripeRange range = stripe_range(s, array_off, bytes);
    RaidMask missing_slots = opus_missing_slots(s);
    RaidMask roles;
    unsigned first = range.start >> s->geom.chunk_shift;
    unsigned last = (range.end - 1) >> s->geom.chunk_shift;

    if (missing_slots == OPUS_ALL_SLOTS) {
        return true;
    }
    roles = raid_stripe_roles(&s->geom, range.stripe, missing_slots);
    return roles & raid_mask_first(last + 1) & ~raid_mask_first(first);
}

static int coroutine_fn GRAPH_RDLOCK
parity_read_others(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset, int bad_slot,
                   int err)
{
    RaidStripeRange range = stripe_range(s, array_off, bytes);

    return opus_stripe_read(s, &range, qiov, qiov_offset, bad_slot);
}

static int coroutine_fn GRAPH_RDLOCK
parity_write(OpusRaid *s, uint64_t array_off, uint64_t bytes,
             QEMUIOVector *qiov, size_t qiov_offset, BdrvRequestFlags flags)
{
    RaidStripeRange range = stripe_range(s, array_off, bytes);

    return opus_stripe_write(s, &range, qiov, qiov_offset,
                             flags & BDRV_REQ_FUA);
}

/* All chunks of a stripe lie at the same place of their members. */
static bool parity_sync_range(const OpusRaid *s, RaidLoc loc,
                              uint64_t *sync_off, uint64_t *bytes)
{
    *sync_off = loc.member_off;
    *bytes = MIN(s->geom.chunk_bytes, s->geom.member_bytes - loc.member_off);
    return true;
}

static int coroutine_fn GRAPH_RDLOCK
parity_rebuild(OpusRaid *s, uint64_t sync_off, uint64_t bytes, OpusMember *to,
               RaidLoc loc)
{
    return opus_stripe_rebuild(s, sync_off >> s->geom.chunk_shift, to,
                               loc.slot);
}

static bool parity_is_always_right(const OpusRaid *s)
{
    return false;
}

const OpusRedundancyOps opus_parity_ops = {
    .by_stripe = true,
    .redundant = true,
    .is_lost = parity_is_lost,
    .read_others = parity_read_others,
    .write = parity_write,
    .zero = opus_stripes_zero,
    .sync_space = "the members' data areas",
    .sync_range = parity_sync_range,
    .rebuild = parity_rebuild,
    .is_always_right = parity_is_always_right,
    .lay_out = opus_parity_lay_out,
    .verify = opus_parity_verify,
    .resync_needs_all = true,
};
