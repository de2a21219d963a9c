/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array: the live object; its states, its members' failures, its dirty mark
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_ARRAY_H
#define BLOCK_OPUS_RAID_ARRAY_ARRAY_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_array_write_begin: announce a write that touches redundancy
 *
 * When it returns 0, the superblocks say durably that the array is dirty.
 * Every success needs one opus_array_write_end(). Levels without redundancy
 * need neither.
 *
 * Returns 0, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_write_begin(OpusRaid *s);
void opus_array_write_end(OpusRaid *s);

/**
 * opus_array_fail_member: stop using a member
 * @slot:   its slot; nothing happens when it is not in use any more
 * @reason: what failed, e.g. "write"
 * @err:    negative errno
 *
 * When it returns 0, the superblocks of the survivors say durably that the
 * member is faulty, and no request that starts later uses it (I5).
 *
 * Returns -EIO when the array has failed, now or before. Then no superblock
 * is written any more, so that the array can be looked at as it was.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_fail_member(OpusRaid *s, unsigned slot, const char *reason,
                       int err);

/**
 * opus_array_fail_spare_member: the same, if the array can do without it
 *
 * Whether it can is asked when no other failure is under way. If not, the
 * member stays, and its requests are waited for again, however long.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_fail_spare_member(OpusRaid *s, unsigned slot, const char *reason,
                             int err);

/**
 * opus_array_write_failed: the same for the member of a slot, or for one that
 * is going to replace it; the latter is then given up.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_write_failed(OpusRaid *s, OpusMember *m, const char *reason,
                        int err);

/**
 * opus_array_write_update: write all superblocks, with a new event count
 *
 * Returns 0 when it is durable, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_write_update(OpusRaid *s);

/**
 * opus_array_flush: flush all members in use at the same time
 *
 * A member that can't be flushed is failed. Returns 0 when what is left holds
 * all data durably (I4), or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_flush(OpusRaid *s);

/**
 * opus_array_start_writing: first step of an array that was opened writable
 *
 * Brings superblocks that are one update behind up to the others, so that an
 * update that is cut later never leaves any of them two behind (I6); and
 * records members that failed while the array was at rest.
 * Returns 0, or -EIO when too many members can't be written.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_start_writing(OpusRaid *s);

/**
 * opus_array_record_retaken: members that were taken back by force are in sync
 *
 * Those that took them for gone are told first, with the event count that there
 * is: until all of them know, a cut leaves an array that needs force again, and
 * never one that contradicts itself. Spares are told nothing: one more event
 * makes the others newer than what they say. Returns 0 or -EIO; then somebody
 * may have been told, and the array must not be used.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_record_retaken(OpusRaid *s);

/**
 * opus_array_give_up: the array has failed, whatever its members are
 *
 * When it could not be made ready to be written, and there is no way back. No
 * request succeeds any more, and no superblock is written.
 */
void coroutine_fn GRAPH_RDLOCK opus_array_give_up(OpusRaid *s);

/**
 * opus_array_logs_replayed: write what superblocks do not say yet
 *
 * That a log made the array clean; and that logs may have several units, for
 * kernels that don't know of it would look at the first one only. Before any
 * log begins anew. Returns 0, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_logs_replayed(OpusRaid *s);

/**
 * opus_array_mark_clean: flush, and say so in the superblocks
 *
 * Does nothing while writes are in flight. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_mark_clean(OpusRaid *s);

/**
 * opus_array_rebuild_begin: give a slot to a member that is to be rebuilt
 * @m:    a spare; or one that is stale and lacks what the bitmap names
 * @slot: one without a member in use
 *
 * Called while no request is in flight, because they know members by slot.
 * Returns 0 or -EIO when the array has failed; the member may have failed in
 * either case.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_rebuild_begin(OpusRaid *s, OpusMember *m, unsigned slot);

/**
 * opus_array_rebuild_checkpoint: record durably how far the rebuild is
 *
 * Flushes the target first, so that the record never runs ahead of the data
 * (I8). Returns 0, or -EIO when the array has failed; a target that could not
 * be written has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_checkpoint(OpusRaid *s,
                                                            unsigned slot);

/**
 * opus_array_rebuild_finish: the target holds all of its slot
 *
 * When it returns 0, all superblocks say so durably and requests use it like
 * the others. Otherwise the target or the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_finish(OpusRaid *s,
                                                        unsigned slot);

/**
 * opus_array_record_bad: record durably that a member holds nothing somewhere
 * @member_off: bytes, in the member's data area
 *
 * Called with the lock of the stripes or chunks held. From then on that range
 * is not read from the member, until it has been written. Returns 0, -ENOSPC
 * when there is no room to record it, or -EIO when the array has failed; a
 * member whose log can't be written has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_record_bad(OpusRaid *s, OpusMember *m, uint64_t member_off,
                      uint64_t bytes);

/**
 * opus_array_replace_begin: give a slot a second member, to replace the first
 * @m:    a spare, or one that was about to replace the slot's in another run
 * @slot: its member is in sync
 *
 * Called while no request is in flight. Returns 0 or -EIO when the array has
 * failed; the member may have failed in either case.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_replace_begin(OpusRaid *s, OpusMember *m, unsigned slot);

/**
 * opus_array_replace_finish: the replacement holds all of the slot, so it
 * takes over, and the member that had it is faulty
 *
 * Called while no request is in flight. Returns 0, or -EIO when the
 * replacement, the slot's member or the array has failed. If it is the
 * replacement, the member that had the slot has it still.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_replace_finish(OpusRaid *s,
                                                        unsigned slot);

/* Give a slot's replacement up: tell, durably, and go on without. */
void coroutine_fn GRAPH_RDLOCK
opus_array_drop_replacement(OpusRaid *s, unsigned slot, const char *reason,
                            int err);

/* The same for all that were found to have failed, if any were. */
void coroutine_fn GRAPH_RDLOCK
opus_array_drop_failed_replacements(OpusRaid *s, const char *reason);

/**
 * opus_array_resync_checkpoint: record durably how far the resync is
 *
 * Flushes all members first (I8). A dirty array has nothing to record: after
 * a crash redundancy may be wrong anywhere. Returns 0, or -EIO when the array
 * has failed; members that could not be written have failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_resync_checkpoint(OpusRaid *s);

/**
 * opus_array_resync_finish: redundancy is right everywhere
 *
 * When it returns 0, all superblocks say so durably, but for writes in flight.
 * Otherwise a member or the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_resync_finish(OpusRaid *s);

/**
 * opus_array_add_spare: write the superblock of a new spare, and tell it to
 * the other members. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_add_spare(OpusRaid *s, OpusMember *m);

#define OPUS_SWEEPS_TO_CLEAR    2

/**
 * opus_array_sweep: clear bits of the bitmap that are no longer needed
 *
 * That takes OPUS_SWEEPS_TO_CLEAR after the last write. Does nothing without
 * a bitmap.
 * Returns 0, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_sweep(OpusRaid *s);

/**
 * opus_array_check_lengths: fail members that became shorter
 *
 * Those that the array can do without. Returns 0, or -EIO when the array has
 * failed.
 */
int coroutine_fn GRAPH_RDLOCK opus_array_check_lengths(OpusRaid *s);

/*
 * The idle check marks an array clean that was not written to for a while. It
 * runs in the main loop's context, where both of these are called too: so it
 * is never running while it is stopped.
 */
void opus_array_idle_start(OpusRaid *s);
void opus_array_idle_stop(OpusRaid *s);

/**
 * opus_array_teach_target: a spare is going to get a slot
 *
 * Lets its superblock say of the policy what those of the members in sync say,
 * should it have changed while the spare was away. Called while no request is
 * in flight.
 */
void opus_array_teach_target(OpusRaid *s, OpusMember *m);

/*
 * Members or states have changed: the supervisor looks whether there is a job
 * to start. Any thread, any lock.
 */
void opus_array_changed(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_ARRAY_ARRAY_H */
