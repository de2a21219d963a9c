/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusal: a write that members did not take because there is no room
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_NO_ROOM_H
#define BLOCK_OPUS_RAID_REDUNDANCY_NO_ROOM_H

#include "block/opus-raid/array/opus-raid.h"

/* What became of one write to the members of a stripe, or to copies. */
typedef struct OpusRefusal {
    RaidMask took_slots;
    RaidMask refused_slots;
    int err;                    /* of the first that refused */
    bool failed;                /* one failed in another way */
} OpusRefusal;

/* @ret: what @m said to the write */
void opus_refusal_note(const OpusRaid *s, OpusRefusal *r, const OpusMember *m,
                       int ret);

/**
 * opus_stripe_settle_refusal: may the array go on without the write?
 *
 * Called with the lock of the stripe held, when not all members took a write.
 * If no copy was written, or if a stripe has all its members, then members
 * that refused need not fail: redundancy is made right with what they hold, and
 * the write has failed. What it should have written may be old, new, or, in a
 * stripe of which some data and no parity was written, neither.
 *
 * Returns the error for the request, -EIO when the array has failed over it, or
 * 0 when members that did not take the write have to fail.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_settle_refusal(OpusRaid *s, uint64_t stripe, const OpusRefusal *r);

/* The same for the copies of a chunk. */
int coroutine_fn GRAPH_RDLOCK
opus_copies_settle_refusal(OpusRaid *s, uint64_t chunk, const OpusRefusal *r);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_NO_ROOM_H */
