/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe ops: the reads and writes of a plan, on the members
 *
 * All are called with the stripe's lock held.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_PARITY_STRIPE_OPS_H
#define BLOCK_OPUS_RAID_REDUNDANCY_PARITY_STRIPE_OPS_H

#include "block/opus-raid/base/columns.h"

/* Members in use that can't be read where a request needs them. */
typedef struct OpusUnreadable {
    RaidMask slots;
    bool recorded;              /* one is so by its bad-block log */
} OpusUnreadable;

/**
 * opus_stripe_read_members: carry out the reads of a plan
 *
 * Returns 0, -EAGAIN when a new plan is needed, as members that could not be
 * read were added to @unreadable, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_read_members(OpusRaid *s, const OpusColumns *c,
                         OpusUnreadable *unreadable);

/**
 * opus_stripe_write_members: carry out the writes of a plan
 *
 * What the member of a slot gets, one that is going to replace it gets, too.
 * Returns 0, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_write_members(OpusRaid *s, const OpusColumns *c,
                          BdrvRequestFlags flags);

/**
 * opus_stripe_rewrite_members: give members of @slots back what they could not
 * read
 *
 * Each is still in use, and takes it or is failed. Returns 0, or -EIO when the
 * array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_rewrite_members(OpusRaid *s, const OpusColumns *c,
                            RaidMask slots);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_PARITY_STRIPE_OPS_H */
