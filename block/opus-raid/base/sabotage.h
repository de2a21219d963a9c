/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sabotage: steps that can be left out, so that it shows whether a test notices
 *
 * Each is one that the promises rest on. In a program that anybody uses,
 * OPUS_SABOTAGE is not defined, and OPUS_SABOTAGED() is false at compile time.
 * Otherwise it is the number of the step that is left out, or -1: then the
 * program's environment variable OPUS_SABOTAGE says which one.
 */
#ifndef BLOCK_OPUS_RAID_BASE_SABOTAGE_H
#define BLOCK_OPUS_RAID_BASE_SABOTAGE_H

typedef enum OpusSabotage {
    /* a failed member is not recorded (I5) */
    OPUS_SABOTAGE_FAILURE_UNRECORDED = 1,
    /* superblocks are written without FUA (I6) */
    OPUS_SABOTAGE_SUPER_NOT_DURABLE = 2,
    /* marked clean without a flush */
    OPUS_SABOTAGE_CLEAN_BEFORE_FLUSH = 3,
    /* a flush goes to one member only (I4) */
    OPUS_SABOTAGE_FLUSH_ONE_MEMBER = 4,
    /* a member that can't flush stays (I4) */
    OPUS_SABOTAGE_FLUSH_ERROR_IGNORED = 5,
    /* copies are written from the guest's memory (I2) */
    OPUS_SABOTAGE_NO_BOUNCE = 6,
    /* a member that can't be written stays (I5) */
    OPUS_SABOTAGE_WRITE_ERROR_IGNORED = 7,
    /* a checkpoint runs ahead of a flush (I8) */
    OPUS_SABOTAGE_CHECKPOINT_BEFORE_FLUSH = 8,
    /* a rebuild does not lock stripes (I10) */
    OPUS_SABOTAGE_REBUILD_UNLOCKED = 9,
    /* writers do not lock stripes (I10) */
    OPUS_SABOTAGE_WRITES_UNLOCKED = 10,
    /* superblocks that lag behind stay so (I6) */
    OPUS_SABOTAGE_LAGGING_SUPERS = 11,
    /* an array that is written is not marked dirty */
    OPUS_SABOTAGE_DIRTY_NOT_MARKED = 12,
    /* data go ahead of the bitmap (I1) */
    OPUS_SABOTAGE_INTENT_NOT_AWAITED = 13,
    /* bits are cleared without a flush (I3) */
    OPUS_SABOTAGE_INTENT_CLEARED_EARLY = 14,
    /* the event count goes up by two (I6) */
    OPUS_SABOTAGE_EVENT_COUNT_SKIPS = 15,
    /* FUA is left to the block layer (I6) */
    OPUS_SABOTAGE_FUA_EMULATED = 16,
    /* a target is read before it is rebuilt (I9) */
    OPUS_SABOTAGE_REBUILT_TOO_EARLY = 17,
    /* a target misses writes behind the rebuild */
    OPUS_SABOTAGE_WRITES_PASS_REBUILD = 18,
    /* stripes are written before their journal unit is durable */
    OPUS_SABOTAGE_JOURNAL_NOT_DURABLE = 19,
    /* journal space is used again before members were flushed (I12) */
    OPUS_SABOTAGE_JOURNAL_REUSED_EARLY = 20,
    /* stripes are written before their partial parity is durable */
    OPUS_SABOTAGE_PPL_NOT_DURABLE = 21,
    /* log space is used again before members were flushed (I12) */
    OPUS_SABOTAGE_PPL_REUSED_EARLY = 22,
    /* a resync counts what was not flushed (I8) */
    OPUS_SABOTAGE_RESYNC_BEFORE_FLUSH = 23,
    /* units are replayed on the members, and not flushed before new ones */
    OPUS_SABOTAGE_REPLAY_NOT_FLUSHED = 24,
    /* bits stay marked when a sweep can't flush, and the next clears them */
    OPUS_SABOTAGE_SWEEP_MARKS_STAY = 25,
} OpusSabotage;

#ifdef OPUS_SABOTAGE
bool opus_sabotaged(OpusSabotage step);
#define OPUS_SABOTAGED(name)    opus_sabotaged(OPUS_SABOTAGE_##name)
#else
#define OPUS_SABOTAGED(name)    false
#endif

#endif /* BLOCK_OPUS_RAID_BASE_SABOTAGE_H */
