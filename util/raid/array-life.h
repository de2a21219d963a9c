/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array life: from assembly to rest, and what superblocks say meanwhile
 *
 * An array is at rest while this process may not write to its members: before
 * it is assembled, and read-only. To make it writable is to assemble it anew,
 * for what is known is what was there when it came to rest. An inactive array
 * may be at rest or clean; it too is assembled anew when it is to be used.
 *
 *     AT_REST --open--> CLEAN <----------------------- cleaned ----+
 *        |                |                                        |
 *        |              write                                      |
 *        |                v                                        |
 *        |             MARKING --marked--> DIRTY --quiet--> FLUSHING
 *        |                                   ^                | |
 *        |                                   +----- busy -----+ |
 *        |                                                   flushed
 *        |                                                      v
 *        +--replay--> REPLAYING ----------- replayed -------> CLEANING
 *
 * From everywhere: fail, to FAILED, where no superblock is written any more;
 * and from CLEAN and FAILED: rest.
 *
 * What is durable before what:
 *   marked    all superblocks say dirty, before the first write (DIRTY is the
 *             only state in which writes to redundancy go on)
 *   flushed   what was written is durable on all members, and no write is in
 *             flight, before the first superblock says clean
 *   replayed  so is what a log made right: from then on it may be overwritten,
 *             and is never replayed again
 *   cleaned   all superblocks say so
 *
 * To change an option of a writable array is no event: it has no say in any of
 * this.
 *
 * Pure; the caller serialises.
 */
#ifndef UTIL_RAID_ARRAY_LIFE_H
#define UTIL_RAID_ARRAY_LIFE_H

#include <stdbool.h>

typedef enum RaidLife {
    RAID_LIFE_AT_REST,
    RAID_LIFE_REPLAYING,        /* a log makes up for what was in flight */
    RAID_LIFE_CLEAN,
    RAID_LIFE_MARKING,          /* some superblocks say dirty already */
    RAID_LIFE_DIRTY,
    RAID_LIFE_FLUSHING,         /* writes wait */
    RAID_LIFE_CLEANING,         /* some superblocks say clean already */
    RAID_LIFE_FAILED,
    RAID_LIFE__MAX,
} RaidLife;

typedef enum RaidLifeEvent {
    RAID_LIFE_EVENT_OPEN,       /* assembled to be written, nothing to replay */
    RAID_LIFE_EVENT_REPLAY,     /* the same, with a log to be replayed */
    RAID_LIFE_EVENT_REPLAYED,
    RAID_LIFE_EVENT_WRITE,
    RAID_LIFE_EVENT_MARKED,
    RAID_LIFE_EVENT_QUIET,
    RAID_LIFE_EVENT_BUSY,       /* a write came, or a member can't be flushed */
    RAID_LIFE_EVENT_FLUSHED,
    RAID_LIFE_EVENT_CLEANED,
    RAID_LIFE_EVENT_REST,
    RAID_LIFE_EVENT_FAIL,
    RAID_LIFE_EVENT__MAX,
} RaidLifeEvent;

/* "clean", "marking", ... */
const char *raid_life_name(RaidLife life);
const char *raid_life_event_name(RaidLifeEvent event);

/* Set *@to to what follows; false when @event is not legal in @from. */
bool raid_life_next(RaidLife from, RaidLifeEvent event, RaidLife *to);

/* The same for *@life; abort the program when the table forbids it. */
void raid_life_change(RaidLife *life, RaidLifeEvent event);

/* Does a superblock that is written now say that writes may be in flight? */
bool raid_life_says_dirty(RaidLife life);

/* May any superblock say so? What users are shown. */
bool raid_life_may_be_dirty(RaidLife life);

/* May this process write to the members? */
bool raid_life_is_writable(RaidLife life);

/*
 * The log of an array that keeps one. It is in force only while redundancy is
 * known to be right but for what it names.
 */
typedef enum RaidLogState {
    RAID_LOG_OLD,               /* what it holds is from before assembly */
    RAID_LOG_VOID,              /* it was made invalid: nothing is logged */
    RAID_LOG_ON,                /* every write is logged first */
} RaidLogState;

#endif /* UTIL_RAID_ARRAY_LIFE_H */
