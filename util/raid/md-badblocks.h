/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-badblocks: md's log of the places of a member that hold nothing
 *
 * On disk it is up to 8 sectors of little-endian 64-bit words, each the start
 * of a run shifted left by 10 and its length in the low bits, up to the first
 * word that is all ones. Starts count from the beginning of the device, the
 * data area's offset included; unit is the sector shifted left by bblog_shift.
 *
 * Here the entries stay in the order they have on disk, so that a change
 * touches few sectors of the log, and a log of which only some of them were
 * written is never wrong: see md_bad_blocks_clear(). They do not overlap.
 *
 * Ranges are in sectors of 512 bytes. Pure, no allocation; any thread, but
 * one at a time for each log.
 */
#ifndef UTIL_RAID_MD_BADBLOCKS_H
#define UTIL_RAID_MD_BADBLOCKS_H

#include "raid-types.h"

/* The kernel holds a log in one page. */
#define MD_BAD_BLOCKS_MAX_BYTES     4096
#define MD_BAD_BLOCKS_MAX           (MD_BAD_BLOCKS_MAX_BYTES / 8)

/* Nothing overflows 64 bits up to here. */
#define MD_BAD_BLOCKS_MAX_SHIFT     9

typedef struct MdBadRange {
    uint64_t start;             /* sectors: start <= x < end */
    uint64_t end;
} MdBadRange;

typedef struct MdBadBlocks {
    unsigned shift;             /* log2 of the unit in sectors */
    unsigned max;               /* entries that there is room for */
    unsigned nr;
    MdBadRange entries[MD_BAD_BLOCKS_MAX];
} MdBadBlocks;

/**
 * md_bad_blocks_init: an empty log
 * @shift: bblog_shift, at most MD_BAD_BLOCKS_MAX_SHIFT
 * @bytes: room on disk, at most MD_BAD_BLOCKS_MAX_BYTES
 */
void md_bad_blocks_init(MdBadBlocks *bb, unsigned shift, size_t bytes);

/**
 * md_bad_blocks_decode: read a log
 * @log:   as it is on disk, @bytes of it
 * @shift: bblog_shift, as the superblock has it
 *
 * What overlaps is taken in once. Returns false when the log can't be kept:
 * its unit, its length or a range is beyond what md can have, or it overlaps
 * itself so that there are more ranges than room.
 */
bool md_bad_blocks_decode(const void *log, size_t bytes, unsigned shift,
                          MdBadBlocks *bb);

/* Write @bb as it is on disk; @bytes of @log, as many as decoded or more. */
void md_bad_blocks_encode(const MdBadBlocks *bb, void *log, size_t bytes);

/**
 * md_bad_blocks_find: is any of a range bad?
 * @hit: the lowest of it, cut to the range; may be NULL
 */
bool md_bad_blocks_find(const MdBadBlocks *bb, uint64_t start,
                        uint64_t sectors, MdBadRange *hit);

/**
 * md_bad_blocks_add: all of a range is bad, to the whole units it touches
 *
 * Returns false when there is no room: @bb has a part of it then, so do this
 * to a copy.
 */
bool md_bad_blocks_add(MdBadBlocks *bb, uint64_t start, uint64_t sectors);

/**
 * md_bad_blocks_clear: a range is good again, as far as it has whole units
 *
 * Returns false when there is no room, as the middle of an entry was cleared:
 * @bb is as it was then.
 *
 * If a write of the log may be cut between two sectors, then what is bad both
 * before and after a change is bad in all that can be found, if the sectors
 * that differ are written one by one: from the last one down where @bb->nr has
 * grown, and from the first one up otherwise.
 */
bool md_bad_blocks_clear(MdBadBlocks *bb, uint64_t start, uint64_t sectors);

/* How many sectors are bad in all. */
uint64_t md_bad_blocks_sectors(const MdBadBlocks *bb);

#endif /* UTIL_RAID_MD_BADBLOCKS_H */
