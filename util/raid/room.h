/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Room: what is free between superblock and data
 *
 * Bitmap and logs go there. What an array keeps of these already is not
 * looked at: that is up to who replaces it. Pure; any thread.
 */
#ifndef UTIL_RAID_ROOM_H
#define UTIL_RAID_ROOM_H

#include "md-super.h"

/* A run of sectors from the start of a member; empty when end == start. */
typedef struct RaidRoom {
    uint64_t start;
    uint64_t end;
} RaidRoom;

/* Starts and ends of rooms are multiples of this. */
#define RAID_ROOM_ALIGN_SECTORS     8

/**
 * raid_room_find: a run of sectors that is free on all members
 * @supers:       of the members, decoded; @nr > 0
 * @tail_sectors: right in front of each member's data, that must be free, too,
 *                and are not part of the room
 * @want_sectors: > 0; the first room of at least so many, or the largest if
 *                there is none
 *
 * Members whose superblock comes last (version 1.0) have no room, nor have
 * members whose superblocks are in different places. Keeps: I13.
 */
RaidRoom raid_room_find(const MdSuper *const *supers, unsigned nr,
                        uint64_t tail_sectors, uint64_t want_sectors);

static inline uint64_t raid_room_sectors(RaidRoom room)
{
    return room.end - room.start;
}

#endif /* UTIL_RAID_ROOM_H */
