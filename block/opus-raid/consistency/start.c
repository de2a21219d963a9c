/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start: from an array that is assembled to one that may be written, and back
 *
 * Owns: the order of replay, superblocks and logs.
 * Must not know: how any of them is done; who wants the array.
 * Threads: main loop, before the first request or while drained.
 * Invariants: I6, I12.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/base/blocking.h"
#include "block/opus-raid/consistency/start.h"

/*
 * Logs are of use only while parity is right but for what they name; where it
 * is not yet, old ones would tell lies later.
 */
static bool redundancy_is_right(const OpusRaid *s)
{
    return qatomic_read(&s->resync_done) == UINT64_MAX &&
           !qatomic_read(&s->forced);
}

/* Returns 0, or -EIO when the array has failed. */
static int coroutine_fn GRAPH_RDLOCK fail_slots(OpusRaid *s,
                                                RaidMask failed_slots)
{
    int ret = 0;

    RAID_MASK_FOREACH(slot, failed_slots) {
        if (opus_array_fail_member(s, slot, "log write", -EIO) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK start_logs(OpusRaid *s)
{
    RaidMask slots = raid_mask_first(s->geom.nr_slots) &
                     ~opus_missing_slots(s);
    int ret = opus_array_logs_replayed(s);

    if (ret < 0) {
        return ret;
    }
    return fail_slots(s, opus_log(s)->start(s, slots));
}

static int coroutine_fn GRAPH_RDLOCK void_logs(OpusRaid *s)
{
    RaidMask slots = raid_mask_first(s->geom.nr_slots) &
                     ~opus_missing_slots(s);

    return fail_slots(s, opus_log(s)->invalidate(s, slots));
}

/*
 * Members that were stale may differ from the others anywhere. No log or bitmap
 * may say that they don't, so these are put right before any superblock says
 * that they are in sync.
 */
static int coroutine_fn GRAPH_RDLOCK record_retaken(OpusRaid *s)
{
    RaidMask slots = raid_mask_first(s->geom.nr_slots) &
                     ~opus_missing_slots(s);
    const OpusConsistencyOps *ops = opus_consistency(s);
    RaidMask failed_slots = 0;

    if (ops && ops->invalidate) {
        failed_slots = ops->invalidate(s, slots);
    } else if (ops && ops->join) {
        QEMU_LOCK_GUARD(&s->meta_lock);
        failed_slots = ops->join(s, slots);
    }
    return failed_slots ? -EIO : opus_array_record_retaken(s);
}

int coroutine_fn GRAPH_RDLOCK opus_start_co(OpusRaid *s, void *opaque,
                                            Error **errp)
{
    const OpusConsistencyOps *log = opus_log(s);
    int ret = log ? log->replay(s, errp) : 0;

    if (ret < 0) {
        return ret;
    }
    /* A daemon that was killed may have left what no drive was told to keep. */
    if (s->life == RAID_LIFE_REPLAYING &&
        !OPUS_SABOTAGED(REPLAY_NOT_FLUSHED)) {
        ret = opus_array_flush(s);
    }
    if (ret == 0 && s->retaken_slots) {
        ret = record_retaken(s);
    }
    if (ret == 0) {
        ret = opus_array_start_writing(s);
    }
    if (ret == 0 && log) {
        ret = redundancy_is_right(s) ? start_logs(s) : void_logs(s);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot write the superblocks of array "
                         "'%s'", bdrv_get_node_name(s->bs));
    }
    return ret;
}

bool opus_log_is_due(const OpusRaid *s)
{
    return opus_log(s) && !opus_log_is_on(s) && redundancy_is_right(s) &&
           raid_life_is_writable(opus_life(s));
}

static int coroutine_fn GRAPH_RDLOCK start_logs_co(OpusRaid *s, void *opaque,
                                                   Error **errp)
{
    int ret;

    if (!opus_log_is_due(s)) {
        return 0;
    }
    /* An empty log says that what was written before is durable. */
    ret = opus_array_flush(s);
    if (ret == 0) {
        ret = start_logs(s);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot start the log of array '%s'",
                         bdrv_get_node_name(s->bs));
    }
    return ret;
}

int opus_start_log(OpusRaid *s, Error **errp)
{
    int ret;

    GLOBAL_STATE_CODE();
    if (!opus_log_is_due(s)) {
        return 0;
    }
    bdrv_drained_begin(s->bs);
    ret = opus_control_run(s, start_logs_co, NULL, errp);
    bdrv_drained_end(s->bs);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_settle_co(OpusRaid *s, void *opaque,
                                             Error **errp)
{
    int ret = opus_array_mark_clean(s);

    /* A member that can't be flushed fails, and the next try is without it. */
    for (unsigned i = 0; i < s->geom.nr_slots && ret == 0 &&
                         opus_life_is_dirty(s); i++) {
        ret = opus_array_mark_clean(s);
    }
    if (ret == 0 && opus_life_is_dirty(s)) {
        ret = -EBUSY;
    }
    for (unsigned i = 0; i < OPUS_SWEEPS_TO_CLEAR && ret == 0; i++) {
        ret = opus_array_sweep(s);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot mark array '%s' clean",
                         bdrv_get_node_name(s->bs));
    }
    return ret;
}
