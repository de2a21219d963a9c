/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array parts: what the files of the array use of each other
 *
 * Unless it says otherwise, a function is called with meta_lock held.
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_ARRAY_PRIVATE_H
#define BLOCK_OPUS_RAID_ARRAY_ARRAY_PRIVATE_H

#include "block/opus-raid/array/opus-raid.h"

/* Slots with a member that is written to, in sync or on the way there. */
RaidMask opus_array_active_slots(const OpusRaid *s);

/* Slots without a member in sync. */
RaidMask opus_array_lost_slots(const OpusRaid *s);

/**
 * opus_array_commit: write the superblocks of all members in use, with a new
 * event count, until that works for all that are left
 *
 * Those for which it did not are added to @failed_slots. A read-only array
 * only remembers. The count is never more than one ahead of what all survivors
 * have (I6): it goes up only for superblocks that are written. Returns 0, or
 * -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_commit(OpusRaid *s,
                                                RaidMask *failed_slots);

/**
 * opus_array_publish: let requests and users see what was committed
 * @failed_slots: members that failed
 * @slots:        those of them that failed by @reason
 */
void coroutine_fn GRAPH_RDLOCK
opus_array_publish(OpusRaid *s, RaidMask failed_slots,
                   RaidArrayState state_before, RaidMask slots,
                   const char *reason, int err);

/**
 * opus_array_update: take members out of the array, write what it then is, and
 * publish that
 * @slots: may be empty, to write an update
 *
 * Returns 0, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_update(OpusRaid *s, RaidMask slots,
                                                const char *reason, int err);

/*
 * Replacements that were found to have failed are faulty, and get no more
 * writes. Returns their slots.
 */
RaidMask coroutine_fn GRAPH_RDLOCK
opus_array_forget_failed_replacements(OpusRaid *s, const char *reason);

/*
 * Members of slots have failed: what was rebuilt there, or was going to replace
 * them, counts no more.
 */
void opus_array_forget_rebuilds(OpusRaid *s, RaidMask failed_slots);

/**
 * opus_array_restart_replacements: what replacements of an earlier run hold
 * does not count any more
 *
 * Before the first write, for that does not reach them. One whose superblock
 * can't say so is faulty.
 */
void coroutine_fn GRAPH_RDLOCK opus_array_restart_replacements(OpusRaid *s);

/* How each member took a flush. */
typedef struct OpusFlush {
    OpusRaid *s;
    unsigned nr;
    uint8_t slots[RAID_MAX_MEMBERS];
    int rets[RAID_MAX_MEMBERS];
} OpusFlush;

/* Flush all members that are written to. Needs no lock. */
void coroutine_fn GRAPH_RDLOCK opus_array_flush_all(OpusRaid *s, OpusFlush *f);

/**
 * opus_array_flush_for_super: flush all members; those that can't be are failed
 *
 * Takes note of how far a resync was before. Returns 0, or -EIO when one
 * failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_flush_for_super(OpusRaid *s);

/*
 * Have the idle check run soon. Any thread, any lock. Before
 * opus_array_idle_start() it does nothing.
 */
void opus_array_arm_idle(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_ARRAY_ARRAY_PRIVATE_H */
