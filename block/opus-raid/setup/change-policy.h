/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy: another consistency policy for a running array
 */
#ifndef BLOCK_OPUS_RAID_SETUP_CHANGE_POLICY_H
#define BLOCK_OPUS_RAID_SETUP_CHANGE_POLICY_H

#include "block/opus-raid/array/consistency.h"

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
