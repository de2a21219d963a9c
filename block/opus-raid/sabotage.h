/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sabotage: steps that can be left out, so that it shows whether a test notices
 *
 * Each is one that the promises rest on. In a program that anybody uses,
 * OPUS_SABOTAGE is not defined, and OPUS_SABOTAGED() is false at compile time.
 * Otherwise it is the number of the step that is left out, or -1: then the
 * program's environment variable OPUS_SABOTAGE says which one.
 */
#ifndef BLOCK_OPUS_RAID_SABOTAGE_H
#define BLOCK_OPUS_RAID_SABOTAGE_H

#define OPUS_SABOTAGE_LIST(X) \
    X(1, FAILURE_UNRECORDED, "a failed member is not recorded (I5)") \
    X(2, SUPER_NOT_DURABLE, "superblocks are written without FUA (I6)") \
    X(3, CLEAN_BEFORE_FLUSH, "marked clean without a flush") \
    X(4, FLUSH_ONE_MEMBER, "a flush goes to one member only (I4)") \
    X(5, FLUSH_ERROR_IGNORED, "a member that can't flush stays (I4)") \
    X(6, NO_BOUNCE, "copies are written from the guest's memory (I2)") \
    X(7, WRITE_ERROR_IGNORED, "a member that can't be written stays (I5)") \
    X(8, CHECKPOINT_BEFORE_FLUSH, "a checkpoint runs ahead of a flush (I8)") \
    X(9, REBUILD_UNLOCKED, "a rebuild does not lock stripes (I10)") \
    X(10, WRITES_UNLOCKED, "writers do not lock stripes (I10)") \
    X(11, LAGGING_SUPERS, "superblocks that lag behind stay so (I6)") \
    X(12, DIRTY_NOT_MARKED, "an array that is written is not marked dirty") \
    X(13, INTENT_NOT_AWAITED, "data go ahead of the bitmap (I1)") \
    X(14, INTENT_CLEARED_EARLY, "bits are cleared without a flush (I3)") \
    X(15, EVENT_COUNT_SKIPS, "the event count goes up by two (I6)") \
    X(16, FUA_EMULATED, "FUA is left to the block layer (I6)") \
    X(17, REBUILT_TOO_EARLY, "a target is read before it is rebuilt (I9)") \
    X(18, WRITES_PASS_REBUILD, "a target misses writes behind the rebuild")

typedef enum OpusSabotage {
#define OPUS_SABOTAGE_ENUM(number, name, text) OPUS_SABOTAGE_##name = number,
    OPUS_SABOTAGE_LIST(OPUS_SABOTAGE_ENUM)
#undef OPUS_SABOTAGE_ENUM
} OpusSabotage;

#ifdef OPUS_SABOTAGE
bool opus_sabotaged(OpusSabotage step);
#define OPUS_SABOTAGED(name)    opus_sabotaged(OPUS_SABOTAGE_##name)
#else
#define OPUS_SABOTAGED(name)    false
#endif

#endif /* BLOCK_OPUS_RAID_SABOTAGE_H */
