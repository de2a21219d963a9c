/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Salvage: what can be had of a place that can't be had as a whole
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_SALVAGE_H
#define BLOCK_OPUS_RAID_REDUNDANCY_SALVAGE_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * Give a member @bytes that belong @off bytes into the place. Returns 0;
 * -ENODATA when they can't be had; -EAGAIN when they have to be tried in
 * smaller pieces, and they are more than OPUS_CRUMB_BYTES; or another negative
 * errno.
 */
typedef int coroutine_fn GRAPH_RDLOCK_PTR OpusSalvageFn(void *opaque,
                                                        uint32_t off,
                                                        uint32_t bytes);

/**
 * opus_salvage: give a member what can be had of a place
 * @to:         the member
 * @member_off: the place, in its data area
 * @bytes:      how large that is
 *
 * At first as a whole, else in crumbs of OPUS_CRUMB_BYTES; those that can't be
 * had are recorded as bad. Called with the lock of the stripe or chunk held.
 * Returns 0, -ENOSPC when there is no room to record them, or another negative
 * errno.
 */
int coroutine_fn GRAPH_RDLOCK
opus_salvage(OpusRaid *s, OpusMember *to, uint64_t member_off, uint32_t bytes,
             OpusSalvageFn *give, void *opaque);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_SALVAGE_H */
