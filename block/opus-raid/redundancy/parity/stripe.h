/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe: carry out plans on one stripe of a parity array
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_PARITY_STRIPE_H
#define BLOCK_OPUS_RAID_REDUNDANCY_PARITY_STRIPE_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_stripe_read: read part of a stripe, computing what can't be read
 * @range:       what to read
 * @qiov:        @range's bytes go there from @qiov_offset on
 * @bad_slot:    a slot whose data could not be read although it is in use, or
 *               -1: its part is computed, and written back to it
 *
 * Takes the stripe lock. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_read(OpusRaid *s, const RaidStripeRange *range,
                 QEMUIOVector *qiov, size_t qiov_offset, int bad_slot);

/**
 * opus_stripe_write: write part of a stripe, and its parity
 * @flags: BDRV_REQ_FUA or 0
 *
 * The caller is between opus_array_write_begin() and _end(). Takes the stripe
 * lock. When it returns 0, every member write is done or its member is
 * durably recorded as failed (I5). Returns 0 or a negative errno; after an
 * error each of the range's sectors is old or new.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_write(OpusRaid *s, const RaidStripeRange *range,
                  QEMUIOVector *qiov, size_t qiov_offset,
                  BdrvRequestFlags flags);

/**
 * opus_stripe_rebuild: give a member what a slot has in a stripe
 * @to: the slot's member, or the one that is going to replace it; the latter
 *      gets a copy where that can be read
 *
 * Called with the stripe's lock held. Members that can't be read are done
 * without as long as parity makes up for them, and get back what they lack.
 * What can't be computed is recorded as bad. Returns 0 when that is done or
 * the slot's member has failed, -ENOSPC when it can't be recorded, or another
 * negative errno.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripe_rebuild(OpusRaid *s, uint64_t stripe, OpusMember *to,
                    unsigned slot);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_PARITY_STRIPE_H */
