/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Journal: the stripe journal of a running RAID5 or RAID6 array
 */
#ifndef BLOCK_OPUS_RAID_CONSISTENCY_JOURNAL_H
#define BLOCK_OPUS_RAID_CONSISTENCY_JOURNAL_H

#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/base/columns.h"
#include "util/raid/extension.h"
#include "util/raid/stripe-journal.h"

/* A write that is to be logged; lives on its coroutine's stack. */
typedef struct OpusJournalRequest {
    unsigned nr;                    /* entries; 0: it is not logged */
    RaidJournalEntry entries[RAID_PLAN_MAX_BANDS];
    const void *content[RAID_PLAN_MAX_BANDS * RAID_MAX_MEMBERS];
    bool taken;                     /* is in a unit */
    bool logged;
    int ret;
    QSIMPLEQ_ENTRY(OpusJournalRequest) next;
} OpusJournalRequest;

typedef struct OpusJournal {
    OpusConsistency common;
    /* Constant while the array runs */
    uint64_t start_sector;          /* on each member */
    uint64_t sectors;
    uint32_t half_bytes;

    /* What was found when the array was assembled */
    RaidJournalUnit found;          /* newest unit */
    uint8_t *found_image;           /* all of it; NULL: no valid one */
    RaidMask found_slots;           /* that hold it */
    RaidMask valid_slots;           /* that hold any */
    bool replay;                    /* before the array is written */

    QemuMutex lock;                 /* never held while waiting */
    /* Under lock */
    uint64_t generation;            /* of the last unit; no member has newer */
    bool busy;                      /* a unit is written, or its stripes are */
    bool unflushed;                 /* stripes of the last unit */
    unsigned nr_pending;            /* writes of the unit that are under way */
    QSIMPLEQ_HEAD(, OpusJournalRequest) queue;
    CoQueue waiters;

    /* Used by the request that writes a unit */
    RaidJournalUnit unit;
} OpusJournal;

extern const OpusConsistencyOps opus_journal_ops;

/* That of an array which has one. */
static inline OpusJournal *opus_journal(const OpusRaid *s)
{
    assert(s->consistency->ops == &opus_journal_ops);
    return container_of(s->consistency, OpusJournal, common);
}

/**
 * opus_journal_scan: find the journal, and the newest unit, of an array
 * @members: by slot; NULL where none is in sync
 * @dirty:   look at the content of units, too
 *
 * Returns NULL with @errp set when there is none that could be used.
 */
OpusJournal *coroutine_fn GRAPH_RDLOCK
opus_journal_scan(OpusMember **members, const RaidGeometry *geom, bool dirty,
                  Error **errp);

/* One that was never used; where it is must fit all members. */
OpusJournal *opus_journal_new(uint64_t start_sector, uint64_t sectors);
void opus_journal_free(OpusConsistency *c);

/**
 * opus_journal_replay: write again what the newest unit holds
 *
 * For an array that was assembled to be written. First brings the unit to all
 * members, so that another crash, after which others are missing, finds it.
 * Flushes what it wrote. Returns 0 or a negative errno with @errp set.
 */
int coroutine_fn GRAPH_RDLOCK opus_journal_replay(OpusRaid *s, Error **errp);

/* Where a unit of a generation lies on each member, in bytes. */
static inline int64_t opus_journal_off(const OpusJournal *j,
                                       uint64_t generation)
{
    return j->start_sector * RAID_SECTOR_BYTES +
           raid_journal_at(generation, j->half_bytes);
}

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_JOURNAL_H */
