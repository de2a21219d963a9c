/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies: which copy of a chunk of a RAID1 or RAID10 array is read
 *
 * Owns: the choice.
 * Must not know: who reads, and what becomes of an error.
 * Threads: any.
 * Invariants: I5.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/redundancy/mirror/copies.h"

/* Runs of this size go to one copy; the next ones go to the others. */
#define BALANCE_SHIFT   16

/* Copies that can be read; of those, the ones that should be. May be none. */
static RaidMask copies_to_read(OpusRaid *s, uint64_t array_off,
                               RaidMask unreadable_slots)
{
    return raid_plan_copies_to_read(&s->geom, array_off,
                                    opus_missing_slots(s) | unreadable_slots,
                                    qatomic_read(&s->write_mostly_slots));
}

int opus_copies_first(OpusRaid *s, uint64_t array_off,
                      RaidMask unreadable_slots)
{
    RaidMask copies = copies_to_read(s, array_off, unreadable_slots);

    return copies ? raid_mask_lowest(copies) : -1;
}

int opus_copies_choose(OpusRaid *s, uint64_t array_off)
{
    RaidMask copies = copies_to_read(s, array_off, 0);
    unsigned wish = (array_off >> BALANCE_SHIFT) % s->geom.copies;
    RaidMask from_wish = copies & ~raid_mask_first(wish);

    if (unlikely(!copies)) {
        return -1;
    }
    if (!from_wish || opus_copies_may_differ(s, array_off)) {
        return raid_mask_lowest(copies);
    }
    return raid_mask_lowest(from_wish);
}
