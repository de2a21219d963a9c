/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stats: counters that the data path can afford
 *
 * Owns: which thread counts in which shard.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include "qemu/coroutine-tls.h"
#include "block/opus-raid/base/stats.h"

/* 0 is "none yet"; shards are handed out in the order threads come. */
QEMU_DEFINE_STATIC_CO_TLS(unsigned, shard_plus_one)

unsigned opus_stats_shard(void)
{
    static unsigned next_shard;
    unsigned shard = get_shard_plus_one();

    if (unlikely(!shard)) {
        shard = qatomic_fetch_inc(&next_shard) % OPUS_STATS_SHARDS + 1;
        set_shard_plus_one(shard);
    }
    return shard - 1;
}

uint64_t opus_stats_sum(const OpusStats *stats, OpusCounter counter)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < OPUS_STATS_SHARDS; i++) {
        sum += qatomic_read(&stats->shards[i].counters[counter]);
    }
    return sum;
}
