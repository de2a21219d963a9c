/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stats: counters that the data path can afford
 */
#ifndef BLOCK_OPUS_RAID_BASE_STATS_H
#define BLOCK_OPUS_RAID_BASE_STATS_H

#include "qemu/atomic.h"

typedef enum OpusCounter {
    OPUS_COUNT_READS,
    OPUS_COUNT_DEGRADED_READS,
    OPUS_COUNT_FULL_STRIPE,
    OPUS_COUNT_READ_MODIFY,
    OPUS_COUNT_RECONSTRUCT,
    OPUS_COUNT_DEGRADED_WRITES,
    OPUS_COUNT_PLAIN_WRITES,
    OPUS_COUNT_ZEROED,
    OPUS_COUNT__MAX,
} OpusCounter;

#define OPUS_STATS_SHARDS   16

/*
 * Each thread counts in a shard of its own as long as there are enough, so
 * that counting moves no cache line between cores.
 */
typedef struct OpusStatsShard {
    uint64_t counters[OPUS_COUNT__MAX];
} QEMU_ALIGNED(64) OpusStatsShard;

typedef struct OpusStats {
    OpusStatsShard shards[OPUS_STATS_SHARDS];
} OpusStats;

/* This thread's shard; any thread. */
unsigned opus_stats_shard(void);

static inline void opus_count(OpusStats *stats, OpusCounter counter)
{
    qatomic_inc(&stats->shards[opus_stats_shard()].counters[counter]);
}

/* The sum over all shards; counts that are being made may be missed. */
uint64_t opus_stats_sum(const OpusStats *stats, OpusCounter counter);

#endif /* BLOCK_OPUS_RAID_BASE_STATS_H */
