/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Supervisor: starts the jobs that an array needs, and its log
 *
 * Owns: when they start by themselves.
 * Must not know: what they do.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/consistency/start.h"
#include "block/opus-raid/jobs/job-rebuild.h"
#include "block/opus-raid/jobs/job-resync.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/jobs/supervisor.h"

/* Until another look, where a job of the same name has just ended. */
#define RETRY_MS        100

static bool belongs_to_monitor(const BlockDriverState *bs)
{
    for (BlockDriverState *owned = bdrv_next_monitor_owned(NULL); owned;
         owned = bdrv_next_monitor_owned(owned)) {
        if (owned == bs) {
            return true;
        }
    }
    return false;
}

/*
 * Whoever has drained it may be about to make it read-only or inactive, and has
 * seen to it that there is no job; and when it becomes active, its node is
 * before it has been assembled.
 */
static bool must_wait(const OpusRaid *s)
{
    return qatomic_read(&s->bs->quiesce_counter) ||
           qatomic_read(&s->jobs.none_starts);
}

static void look_again_soon(OpusRaid *s)
{
    timer_mod(s->jobs.look_again,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + RETRY_MS);
}

static bool job_is_wanted(OpusRaid *s)
{
    return belongs_to_monitor(s->bs) &&
           (opus_rebuild_is_wanted(s) || opus_resync_is_wanted(s));
}

static void start_job(OpusRaid *s)
{
    bool rebuild = opus_rebuild_is_wanted(s);
    g_autofree char *id = opus_job_free_id(s, rebuild
                                           ? JOB_TYPE_OPUS_RAID_REBUILD
                                           : JOB_TYPE_OPUS_RAID_RESYNC);
    Error *err = NULL;

    if (!id) {
        look_again_soon(s);
    } else if (!(rebuild ? opus_rebuild_start(s, id, JOB_DEFAULT, &err)
                         : opus_resync_start(s, id, &err))) {
        error_report_err(err);
    }
}

static void look(void *opaque)
{
    OpusRaid *s = opaque;
    Error *err = NULL;

    if (!opus_is_writable(s->bs) ||
        !(job_is_wanted(s) || opus_log_is_due(s))) {
        return;
    }
    if (must_wait(s)) {
        look_again_soon(s);
        return;
    }
    if (opus_start_log(s, &err) < 0) {
        error_report_err(err);
    }
    if (job_is_wanted(s)) {
        start_job(s);
    }
}

void opus_supervisor_begin(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    s->jobs.changed_bh = aio_bh_new(qemu_get_aio_context(), look, s);
    s->jobs.look_again = aio_timer_new(qemu_get_aio_context(),
                                   QEMU_CLOCK_REALTIME, SCALE_MS, look,
                                   s);
    opus_array_changed(s);
}

void opus_supervisor_end(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    qemu_bh_delete(s->jobs.changed_bh);
    s->jobs.changed_bh = NULL;
    timer_free(s->jobs.look_again);
    s->jobs.look_again = NULL;
}
