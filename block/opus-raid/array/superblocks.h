/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metadata: superblocks on the members
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_SUPERBLOCKS_H
#define BLOCK_OPUS_RAID_ARRAY_SUPERBLOCKS_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_metadata_read: find and decode the superblock of one member
 * @child:    the member
 * @super:    filled when the return value is MD_SUPER_OK; otherwise only
 *            error_at is
 * @io_error: 0, or the errno of a read that failed: then the return value
 *            means nothing
 *
 * Looks for versions 1.2, 1.1 and 1.0, in this order. When none is valid the
 * error of the one that came furthest is returned.
 */
MdSuperError coroutine_fn GRAPH_RDLOCK
opus_metadata_read(BdrvChild *child, MdSuper *super, int *io_error);

/**
 * opus_metadata_write: write the superblocks of @slots, durably
 * @slots: slots with a member
 *
 * Takes what they say from @s: event count, states, clean or dirty. All are
 * written at the same time, each with FUA; returns when all are done. So are
 * those of members that are going to replace others; where one can't be
 * written, the slot's replacement_failed is set.
 *
 * Returns the slots whose member could not be written. Called with meta_lock
 * held.
 */
RaidMask coroutine_fn GRAPH_RDLOCK opus_metadata_write(OpusRaid *s,
                                                       RaidMask slots);

/* The same for a spare, which has no slot. Returns 0 or a negative errno. */
int coroutine_fn GRAPH_RDLOCK opus_metadata_write_spare(OpusRaid *s,
                                                        OpusMember *m);

/**
 * opus_metadata_write_successor: @m, which replaces @old, says that it has
 *
 * No other superblock says so yet. Returns 0 or a negative errno. Called with
 * meta_lock held.
 */
int coroutine_fn GRAPH_RDLOCK
opus_metadata_write_successor(OpusRaid *s, OpusMember *m,
                              const OpusMember *old);

/**
 * opus_metadata_restart_recovery: @m claims to hold nothing of its slot
 *
 * All else in its superblock stays as it was. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_metadata_restart_recovery(OpusMember *m);

#endif /* BLOCK_OPUS_RAID_ARRAY_SUPERBLOCKS_H */
