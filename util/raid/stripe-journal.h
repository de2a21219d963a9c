/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stripe-journal: what is going to be written to stripes, logged before
 *
 * A unit holds the new content of every block that some stripe writes are
 * going to write, parity included. It is on more members than may go missing
 * before the first of these blocks is written, and the next unit is written
 * only when all of them are, durably. So after a crash only the newest unit
 * counts; writing its blocks again makes all stripes right, whichever members
 * are missing (I12).
 *
 * The journal of a member has two halves. A unit goes into the one that its
 * generation says, so a unit that is torn leaves the one before it as it was,
 * and a member whose journal is right has a valid unit at any time.
 * Pure, no I/O, no allocation; any thread.
 */
#ifndef UTIL_RAID_STRIPE_JOURNAL_H
#define UTIL_RAID_STRIPE_JOURNAL_H

#include "geometry.h"

#define RAID_JOURNAL_HEADER_BYTES   4096u
#define RAID_JOURNAL_MAX_ENTRIES    126
#define RAID_JOURNAL_MIN_BYTES      (128u * 1024)

/* No more than this of a half is used: replay has it in memory. */
#define RAID_JOURNAL_MAX_HALF_BYTES (32u * 1024 * 1024)

/*
 * The same rows of some roles of one stripe, whose content follows; or whole
 * stripes of zeroes, with no content.
 */
typedef struct RaidJournalEntry {
    uint64_t stripe;
    uint32_t zero_stripes;      /* 0: it has content */
    uint32_t lo;                /* chunk-relative bytes */
    uint32_t hi;
    RaidMask roles;             /* of zeroes: 0, all members are written */
} RaidJournalEntry;

typedef struct RaidJournalUnit {
    uint64_t generation;        /* one more than that of the unit before */
    uint32_t nr_entries;
    uint32_t content_bytes;     /* entry by entry, role by role */
    uint32_t content_crc;
    RaidJournalEntry entries[RAID_JOURNAL_MAX_ENTRIES];
} RaidJournalUnit;

typedef enum RaidJournalError {
    RAID_JOURNAL_OK,
    RAID_JOURNAL_NONE,          /* no magic: nothing was written here */
    RAID_JOURNAL_BAD_VERSION,
    RAID_JOURNAL_BAD_CHECKSUM,
    RAID_JOURNAL_FOREIGN,       /* another array's, or the other half's */
    RAID_JOURNAL_BAD_ENTRY,     /* partly outside of the array or the half */
    RAID_JOURNAL__MAX,
} RaidJournalError;

/* Bytes of each half of a journal. */
uint32_t raid_journal_half_bytes(uint64_t journal_sectors);

/* Where a unit goes, in bytes from the start of the journal. */
static inline uint64_t raid_journal_at(uint64_t generation,
                                       uint32_t half_bytes)
{
    return (generation & 1) * half_bytes;
}

/* Array bytes that a write to one stripe may have and fit a unit. */
uint64_t raid_journal_max_write(const RaidGeometry *geom,
                                uint32_t half_bytes);

/* Bytes of content that an entry has. */
static inline uint64_t raid_journal_entry_bytes(const RaidJournalEntry *entry)
{
    return entry->zero_stripes ? 0 : (uint64_t)raid_mask_count(entry->roles) *
                                     (entry->hi - entry->lo);
}

/**
 * raid_journal_add: add an entry to a unit that is being put together
 *
 * Returns false, and leaves the unit as it is, when there is no room.
 */
bool raid_journal_add(RaidJournalUnit *unit, uint32_t half_bytes,
                      const RaidJournalEntry *entry);

/* @buf: RAID_JOURNAL_HEADER_BYTES, wholly overwritten */
void raid_journal_encode(const RaidJournalUnit *unit, const uint8_t *set_uuid,
                         void *buf);

/**
 * raid_journal_decode: read and validate a header
 * @half: 0 or 1: where it was found
 * @unit: filled on OK, unspecified otherwise; entries behind the last are zero
 *
 * What is accepted stays inside the half. An entry may lie behind the end of
 * the array: it was about to grow, and was cut before its superblocks said so.
 * A replay leaves such entries out, and stays inside the array. Whether the
 * content arrived as well, content_crc tells.
 */
RaidJournalError raid_journal_decode(const void *buf, const RaidGeometry *geom,
                                     const uint8_t *set_uuid, unsigned half,
                                     uint32_t half_bytes,
                                     RaidJournalUnit *unit);

/* One write of a replay. */
typedef struct RaidJournalWrite {
    unsigned slot;
    uint64_t member_off;
    uint64_t bytes;
    bool zero;
    uint32_t content_off;       /* if it is not zero */
} RaidJournalWrite;

/* Zeroed to begin with. */
typedef struct RaidJournalCursor {
    unsigned entry;
    unsigned nr;                /* slots or roles of the entry that are done */
    uint32_t content_off;
} RaidJournalCursor;

/**
 * raid_journal_next: the next write of a replay, or false when there is none
 *
 * Those to members that are missing are left to the caller to leave out.
 */
bool raid_journal_next(const RaidGeometry *geom, const RaidJournalUnit *unit,
                       RaidJournalCursor *cursor, RaidJournalWrite *write);

/**
 * raid_journal_copies: the slots that get a unit
 * @use_slots: members in use; not those that are being rebuilt
 *
 * One more than parity makes up for, or all that there are. They take turns.
 */
RaidMask raid_journal_copies(const RaidGeometry *geom, RaidMask use_slots,
                             uint64_t generation);

#endif /* UTIL_RAID_STRIPE_JOURNAL_H */
