/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pace: how fast a job goes, and when it gives way to the guest
 */
#ifndef BLOCK_OPUS_RAID_JOBS_PACE_H
#define BLOCK_OPUS_RAID_JOBS_PACE_H

#include "block/blockjob.h"
#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/redundancy/window.h"

/* What md has by default: 1000 KiB/s, but for a round number. */
#define OPUS_PACE_MIN_DEFAULT   (1024 * 1024)

typedef struct OpusPace {
    OpusRaid *s;
    BlockJob *job;
    uint64_t seen_requests;     /* of the guest, when last looked */
    int64_t seen_ns;            /* when it was last seen to be busy */
    int64_t next_ns;            /* not before, while the guest is busy */
    bool busy;
} OpusPace;

void opus_pace_init(OpusPace *pace, OpusRaid *s, BlockJob *job);

/**
 * opus_pace_guest_is_busy: are there requests of the guest, or were there any
 * a moment ago?
 *
 * Costs the guest's requests nothing: looks at what they count anyway.
 */
bool opus_pace_guest_is_busy(OpusPace *pace);

/*
 * What the next step may do: less, and no more units than one at a time, while
 * the guest is busy.
 */
OpusStepLimit opus_pace_limit(OpusPace *pace);

/**
 * opus_pace_wait: wait until it is time for the next step
 * @bytes: what was done since the last call
 *
 * Keeps to the job's speed, and to the option rebuild-speed-min while the guest
 * is busy. Pauses when the job is to be paused; returns early when it is
 * cancelled. Not under the graph lock.
 */
void coroutine_fn opus_pace_wait(OpusPace *pace, uint64_t bytes);

#endif /* BLOCK_OPUS_RAID_JOBS_PACE_H */
