/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Redundancy: which of its kinds an array has
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_REDUNDANCY_H
#define BLOCK_OPUS_RAID_REDUNDANCY_REDUNDANCY_H

#include "block/opus-raid/redundancy/mirror/copies.h"
#include "block/opus-raid/redundancy/ops.h"

extern const OpusRedundancyOps opus_plain_ops;
extern const OpusRedundancyOps opus_parity_ops;
extern const OpusRedundancyOps opus_mirror_ops;

static inline const OpusRedundancyOps *opus_redundancy(const OpusRaid *s)
{
    return raid_has_parity(&s->geom) ? &opus_parity_ops :
           raid_has_mirrors(&s->geom) ? &opus_mirror_ops : &opus_plain_ops;
}

/**
 * opus_map_read: the member that a read of one byte should take
 * @loc: as raid_map() says; changed to that of another copy
 *
 * On the way of every read, so it is no function of the table. Returns false
 * when there is none.
 */
static inline bool opus_map_read(OpusRaid *s, uint64_t array_off, RaidLoc *loc)
{
    if (raid_has_mirrors(&s->geom)) {
        int copy = opus_copies_choose(s, array_off);

        if (copy < 0) {
            return false;
        }
        raid_map_copy(&s->geom, array_off, copy, loc);
        return true;
    }
    return opus_slot_usable(s, loc->slot);
}

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_REDUNDANCY_H */
