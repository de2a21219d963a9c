/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-badblocks: md's log of the places of a member that hold nothing
 *
 * Owns: the format of the log, and which entries a set of ranges takes.
 * Must not know: where the log lies, who reads or writes the member.
 * Threads: any; no state beyond the struct.
 * Invariants: I9 rests on it.
 *
 * Entries are few and looked at only where a member has any, so a scan of all
 * of them will do.
 */
#include <assert.h>
#include <string.h>

#include "le-bytes.h"
#include "md-badblocks.h"

#define WORD_BYTES      sizeof(uint64_t)
#define LENGTH_BITS     10
#define LENGTH_MASK     ((1u << LENGTH_BITS) - 1)
#define FREE_WORD       UINT64_MAX
#define MAX_UNITS       ((uint64_t)1 << (64 - LENGTH_BITS))

/* In memory md has 9 bits for the length less one. */
#define RUN_UNITS       512

static uint64_t unit_sectors(const MdBadBlocks *bb)
{
    return (uint64_t)1 << bb->shift;
}

static bool is_empty(MdBadRange range)
{
    return range.start >= range.end;
}

static MdBadRange intersect(MdBadRange a, MdBadRange b)
{
    return (MdBadRange) {
        .start = a.start > b.start ? a.start : b.start,
        .end = a.end < b.end ? a.end : b.end,
    };
}

void md_bad_blocks_init(MdBadBlocks *bb, unsigned shift, size_t bytes)
{
    assert(shift <= MD_BAD_BLOCKS_MAX_SHIFT);
    assert(bytes <= MD_BAD_BLOCKS_MAX_BYTES);
    bb->shift = shift;
    bb->max = bytes / WORD_BYTES;
    bb->nr = 0;
}

/* The lowest part of @range that no entry has; false when there is none. */
static bool next_uncovered(const MdBadBlocks *bb, MdBadRange range,
                           MdBadRange *part)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned i = 0; i < bb->nr; i++) {
            if (bb->entries[i].start <= range.start &&
                bb->entries[i].end > range.start) {
                range.start = bb->entries[i].end;
                moved = true;
            }
        }
    }
    for (unsigned i = 0; i < bb->nr; i++) {
        if (bb->entries[i].start > range.start &&
            bb->entries[i].start < range.end) {
            range.end = bb->entries[i].start;
        }
    }
    *part = range;
    return !is_empty(range);
}

static bool append(MdBadBlocks *bb, MdBadRange range)
{
    if (bb->nr == bb->max) {
        return false;
    }
    bb->entries[bb->nr++] = range;
    return true;
}

bool md_bad_blocks_decode(const void *log, size_t bytes, unsigned shift,
                          MdBadBlocks *bb)
{
    const uint8_t *words = log;

    if (shift > MD_BAD_BLOCKS_MAX_SHIFT || bytes > MD_BAD_BLOCKS_MAX_BYTES) {
        return false;
    }
    md_bad_blocks_init(bb, shift, bytes);
    for (unsigned i = 0; i < bb->max; i++) {
        uint64_t word = le_get_u64(words, i * WORD_BYTES);
        MdBadRange entry = {
            .start = word >> LENGTH_BITS << shift,
            .end = ((word >> LENGTH_BITS) + (word & LENGTH_MASK)) << shift,
        };
        MdBadRange part;

        if (word == FREE_WORD) {
            break;
        }
        if (entry.end >> shift > MAX_UNITS) {
            return false;
        }
        while (next_uncovered(bb, entry, &part)) {
            if (!append(bb, part)) {
                return false;
            }
            entry.start = part.end;
        }
    }
    return true;
}

void md_bad_blocks_encode(const MdBadBlocks *bb, void *log, size_t bytes)
{
    uint8_t *words = log;

    assert(bb->nr * WORD_BYTES <= bytes);
    memset(words, 0xff, bytes);
    for (unsigned i = 0; i < bb->nr; i++) {
        uint64_t start = bb->entries[i].start >> bb->shift;
        uint64_t end = bb->entries[i].end >> bb->shift;

        le_put_u64(words, i * WORD_BYTES,
                   start << LENGTH_BITS | (end - start));
    }
}

bool md_bad_blocks_find(const MdBadBlocks *bb, uint64_t start,
                        uint64_t sectors, MdBadRange *hit)
{
    MdBadRange range = { start, start + sectors };
    MdBadRange lowest = { UINT64_MAX, 0 };

    for (unsigned i = 0; i < bb->nr; i++) {
        MdBadRange part = intersect(bb->entries[i], range);

        if (!is_empty(part) && part.start < lowest.start) {
            lowest = part;
        }
    }
    if (hit) {
        *hit = lowest;
    }
    return !is_empty(lowest);
}

/* The start of @part goes to an entry that it touches; returns the rest. */
static MdBadRange grow_entry(MdBadBlocks *bb, MdBadRange part)
{
    uint64_t run = RUN_UNITS * unit_sectors(bb);

    for (unsigned i = 0; i < bb->nr; i++) {
        MdBadRange *entry = &bb->entries[i];

        if (entry->end == part.start && entry->end - entry->start < run) {
            uint64_t room = run - (entry->end - entry->start);
            uint64_t taken = part.end - part.start;

            taken = taken < room ? taken : room;
            entry->end += taken;
            part.start += taken;
        } else if (entry->start == part.end &&
                   entry->end - part.start <= run) {
            entry->start = part.start;
            part.start = part.end;
        }
    }
    return part;
}

bool md_bad_blocks_add(MdBadBlocks *bb, uint64_t start, uint64_t sectors)
{
    uint64_t unit = unit_sectors(bb);
    MdBadRange range = {
        .start = start & ~(unit - 1),
        .end = (start + sectors + unit - 1) & ~(unit - 1),
    };
    MdBadRange part;

    while (next_uncovered(bb, range, &part)) {
        range.start = part.end;
        part = grow_entry(bb, part);
        while (!is_empty(part)) {
            MdBadRange run = intersect(part, (MdBadRange) {
                part.start, part.start + RUN_UNITS * unit,
            });

            if (!append(bb, run)) {
                return false;
            }
            part.start = run.end;
        }
    }
    return true;
}

bool md_bad_blocks_clear(MdBadBlocks *bb, uint64_t start, uint64_t sectors)
{
    uint64_t unit = unit_sectors(bb);
    MdBadRange range = {
        .start = (start + unit - 1) & ~(unit - 1),
        .end = (start + sectors) & ~(unit - 1),
    };
    unsigned i = 0;

    while (i < bb->nr) {
        MdBadRange *entry = &bb->entries[i];

        if (is_empty(intersect(*entry, range))) {
            i++;
        } else if (entry->start < range.start && entry->end > range.end) {
            /* They do not overlap, so this is the only one that is hit. */
            if (!append(bb, (MdBadRange) { range.end, entry->end })) {
                return false;
            }
            entry->end = range.start;
            return true;
        } else if (entry->start < range.start) {
            entry->end = range.start;
        } else if (entry->end > range.end) {
            entry->start = range.end;
        } else {
            *entry = bb->entries[--bb->nr];
        }
    }
    return true;
}

uint64_t md_bad_blocks_sectors(const MdBadBlocks *bb)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < bb->nr; i++) {
        sum += bb->entries[i].end - bb->entries[i].start;
    }
    return sum;
}
