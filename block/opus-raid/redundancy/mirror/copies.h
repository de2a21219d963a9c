/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies: which copy of a chunk of a RAID1 or RAID10 array is read
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_COPIES_H
#define BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_COPIES_H

#include "block/opus-raid/array/opus-raid.h"

/* Until a resync, copies may differ: then everybody reads the same one. */
static inline bool opus_copies_may_differ(OpusRaid *s, uint64_t array_off)
{
    return array_off >= qatomic_load_acquire(&s->resync_done);
}

/**
 * opus_copies_choose: the copy that a read should be served from
 *
 * Returns the number of a copy that can be used, or -1 when there is none.
 */
int opus_copies_choose(OpusRaid *s, uint64_t array_off);

/**
 * opus_copies_first: the copy that everybody reads while copies may differ
 * @unreadable_slots: those whose copy can't be read there
 *
 * So this is the one that others are made to follow. Returns its number, or -1
 * when there is none.
 */
int opus_copies_first(OpusRaid *s, uint64_t array_off,
                      RaidMask unreadable_slots);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_COPIES_H */
