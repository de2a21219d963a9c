/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Room: what is free between superblock and data
 *
 * Owns: which sectors are in use there: those of the superblock, and of the
 * bad-block log, even while that is not in use.
 * Must not know: what the room is for.
 * Threads: any; pure.
 * Keeps: I13.
 *
 *   | super | ... | bad-block log | ............ | tail | data ..........
 *           |-----|               |--------------|
 */
#include "room.h"

#define SUPER_SECTORS   (MD_SUPER_MAX_BYTES / RAID_SECTOR_BYTES)

static const RaidRoom no_room;

static uint64_t align_up(uint64_t sector)
{
    return (sector + RAID_ROOM_ALIGN_SECTORS - 1) /
           RAID_ROOM_ALIGN_SECTORS * RAID_ROOM_ALIGN_SECTORS;
}

static bool has_bad_log(const MdSuper *sb)
{
    return sb->bblog_offset_sectors && sb->bblog_size_sectors;
}

/* Decoding has seen to it that it lies on the member. */
static RaidRoom bad_log(const MdSuper *sb)
{
    uint64_t start = sb->super_offset_sectors + sb->bblog_offset_sectors;

    return (RaidRoom) { start, start + sb->bblog_size_sectors };
}

/* All between superblock and data; false when that is no room of ours. */
static bool whole_room(const MdSuper *const *supers, unsigned nr,
                       uint64_t tail_sectors, RaidRoom *whole)
{
    uint64_t super = supers[0]->super_offset_sectors;

    *whole = (RaidRoom) { align_up(super + SUPER_SECTORS), UINT64_MAX };
    for (unsigned i = 0; i < nr; i++) {
        const MdSuper *sb = supers[i];
        uint64_t data = sb->data_offset_sectors;

        if (sb->minor_version == 0 || sb->super_offset_sectors != super ||
            data < whole->start + tail_sectors) {
            return false;
        }
        if (has_bad_log(sb) && bad_log(sb).start < data &&
            bad_log(sb).end > data - tail_sectors) {
            return false;
        }
        if (data - tail_sectors < whole->end) {
            whole->end = data - tail_sectors;
        }
    }
    return true;
}

/* From @start to what comes first behind it. */
static RaidRoom room_at(const MdSuper *const *supers, unsigned nr,
                        RaidRoom whole, uint64_t start)
{
    RaidRoom room = { start, whole.end };

    for (unsigned i = 0; i < nr; i++) {
        RaidRoom log = bad_log(supers[i]);

        if (!has_bad_log(supers[i]) || log.end <= start) {
            continue;
        }
        if (log.start <= start) {
            return no_room;
        }
        if (log.start < room.end) {
            room.end = log.start;
        }
    }
    room.end = room.end / RAID_ROOM_ALIGN_SECTORS * RAID_ROOM_ALIGN_SECTORS;
    return room.end > start ? room : no_room;
}

/* Rooms begin behind the superblock, or behind a log of some member. */
RaidRoom raid_room_find(const MdSuper *const *supers, unsigned nr,
                        uint64_t tail_sectors, uint64_t want_sectors)
{
    RaidRoom best = no_room;
    RaidRoom whole;

    if (!whole_room(supers, nr, tail_sectors, &whole)) {
        return no_room;
    }
    for (unsigned i = 0; i <= nr; i++) {
        uint64_t start = whole.start;
        bool fits, best_fits = raid_room_sectors(best) >= want_sectors;
        RaidRoom room;

        if (i < nr) {
            if (!has_bad_log(supers[i])) {
                continue;
            }
            start = align_up(bad_log(supers[i]).end);
        }
        if (start < whole.start || start >= whole.end) {
            continue;
        }
        room = room_at(supers, nr, whole, start);
        fits = raid_room_sectors(room) >= want_sectors;
        if (fits && best_fits ? room.start < best.start :
            raid_room_sectors(room) > raid_room_sectors(best)) {
            best = room;
        }
    }
    return best;
}
