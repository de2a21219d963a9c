/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rebuild: make a member hold what its slot should hold
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_REBUILD_H
#define BLOCK_OPUS_RAID_REDUNDANCY_REBUILD_H

#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/redundancy/window.h"

/*
 * Is a member being rebuilt for that slot? It may replace the one that holds
 * it. Where no job is running, that is still to go on.
 */
bool opus_rebuild_is_active(const OpusRaid *s, unsigned slot);

/**
 * opus_rebuild_step: rebuild the next few stripes of a slot
 * @limit: tells how much, and when to stop early
 * @bytes: set to the bytes of the member that were done; 0: nothing is left
 *
 * Locks the stripes against writers; afterwards those that were done are below
 * OpusRebuild.done. Returns 0, or a negative errno when the slot can't be
 * computed, or the target or the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_rebuild_step(OpusRaid *s, unsigned slot,
                                                const OpusStepLimit *limit,
                                                uint64_t *bytes);

/**
 * opus_rebuild_finish: nothing is left; the member is in sync from now on
 *
 * See opus_array_rebuild_finish().
 */
int coroutine_fn GRAPH_RDLOCK opus_rebuild_finish(OpusRaid *s, unsigned slot);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_REBUILD_H */
