/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy: another consistency policy for a running array
 */
#ifndef BLOCK_OPUS_RAID_SETUP_CHANGE_POLICY_H
#define BLOCK_OPUS_RAID_SETUP_CHANGE_POLICY_H

#include "block/opus-raid/array/life.h"

/*
 * Would a crash at this moment be made up for as the policy promises? Not while
 * a log is void because redundancy is not known to be right.
 */
static inline bool opus_policy_is_in_force(const OpusRaid *s)
{
    if (!s->ppl && !s->journal) {
        return true;
    }
    return raid_life_is_writable(opus_life(s)) ? opus_log_is_on(s) :
           qatomic_read(&s->resync_done) == UINT64_MAX && !s->forced;
}

/* What the array keeps now. */
static inline OpusRaidConsistencyPolicy opus_policy_of(const OpusRaid *s)
{
    return s->bitmap ? OPUS_RAID_CONSISTENCY_POLICY_BITMAP :
           s->ppl ? OPUS_RAID_CONSISTENCY_POLICY_PPL :
           s->journal ? OPUS_RAID_CONSISTENCY_POLICY_JOURNAL :
                        OPUS_RAID_CONSISTENCY_POLICY_RESYNC;
}

/**
 * opus_policy_set: change what the array keeps
 * @bitmap_chunk_bytes: for a bitmap; 0: what mdadm would take
 *
 * Main loop. Requests wait meanwhile. Returns true when the superblocks say
 * so durably, or the array kept just that before; otherwise false with @errp
 * set.
 */
bool opus_policy_set(OpusRaid *s, OpusRaidConsistencyPolicy policy,
                     uint64_t bitmap_chunk_bytes, Error **errp);

#endif /* BLOCK_OPUS_RAID_SETUP_CHANGE_POLICY_H */
