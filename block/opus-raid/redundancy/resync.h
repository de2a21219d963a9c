/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resync: make redundancy right where it is not known to be
 *
 * Places are told as md tells them: "sync bytes" count along the data area of
 * the members of a parity array, and along a mirrored array itself.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_RESYNC_H
#define BLOCK_OPUS_RAID_REDUNDANCY_RESYNC_H

#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/redundancy/verify.h"
#include "block/opus-raid/redundancy/window.h"

/**
 * opus_resync_next: where redundancy is to be made right next
 * @from:        sync bytes
 * @start, @end: set to the first range at or after @from; whole units, but for
 *               the end of the array
 *
 * Returns false when there is none.
 */
bool opus_resync_next(OpusRaid *s, uint64_t from, uint64_t *start,
                      uint64_t *end);

/**
 * opus_resync_step: resync the next few units
 * @v:     counts what was wrong; its mode is OPUS_VERIFY_RESYNC
 * @bytes: set to the sync bytes that were done; 0: nothing is left
 *
 * Locks the units against writers; afterwards those that were done are below
 * OpusRaid.resync_done. Returns 0, or a negative errno when redundancy can't
 * be made right at OpusRaid.resync_done, or a member or the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_resync_step(OpusRaid *s,
                                               const OpusStepLimit *limit,
                                               OpusVerify *v,
                                               uint64_t *bytes);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_RESYNC_H */
