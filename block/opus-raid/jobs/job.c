/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: what the block jobs of an array have in common
 *
 * Owns: their frame: creation, pace, progress, pause, cancel.
 * Must not know: what they do.
 * Threads: main loop; a job's coroutine runs in the array's AioContext.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "block/blockjob_int.h"
#include "qapi/error.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/jobs/job.h"

OpusJob *opus_job_create(OpusRaid *s, const BlockJobDriver *driver,
                         const char *id, uint64_t speed, int flags,
                         Error **errp)
{
    g_autofree char *default_id =
        opus_job_default_id(s, driver->job_driver.job_type);
    OpusJob *job;

    GLOBAL_STATE_CODE();

    job = block_job_create(id ?: default_id, driver, NULL, s->bs, 0,
                           BLK_PERM_ALL, speed, flags, NULL, NULL, errp);
    if (!job) {
        return NULL;
    }
    bdrv_graph_rdlock_main_loop();
    bdrv_op_unblock_all(s->bs, job->common.blocker);
    bdrv_op_block(s->bs, BLOCK_OP_TYPE_DRIVE_DEL, job->common.blocker);
    bdrv_graph_rdunlock_main_loop();
    job->s = s;
    opus_pace_init(&job->pace, s, &job->common);
    return job;
}

int opus_job_flags(bool has_auto_finalize, bool auto_finalize,
                   bool has_auto_dismiss, bool auto_dismiss)
{
    return JOB_DEFAULT |
           (has_auto_finalize && !auto_finalize ? JOB_MANUAL_FINALIZE : 0) |
           (has_auto_dismiss && !auto_dismiss ? JOB_MANUAL_DISMISS : 0);
}

char *opus_job_default_id(const OpusRaid *s, JobType type)
{
    return g_strdup_printf("%s-%s", JobType_str(type),
                           bdrv_get_node_name(s->bs));
}

/* Ended, and not to be kept for its user. */
static bool is_going(const Job *job, JobType type)
{
    return job_type(job) == type && job->auto_dismiss &&
           job_is_completed_locked((Job *)job);
}

char *opus_job_free_id(const OpusRaid *s, JobType type)
{
    g_autofree char *id = opus_job_default_id(s, type);
    const Job *job;

    GLOBAL_STATE_CODE();
    JOB_LOCK_GUARD();
    job = job_get_locked(id);
    if (!job) {
        return g_steal_pointer(&id);
    }
    if (is_going(job, type)) {
        return NULL;
    }
    for (unsigned n = 2; ; n++) {
        g_autofree char *other = g_strdup_printf("%s-%u", id, n);

        if (!job_get_locked(other)) {
            return g_steal_pointer(&other);
        }
    }
}

int coroutine_fn opus_job_run(OpusJob *job, OpusJobStep *step,
                              const uint64_t *done, uint64_t total)
{
    uint64_t shown = MIN(qatomic_read(done), total);
    uint64_t bytes = 0;
    int ret = 0;

    job_progress_set_remaining(&job->common.job, total);
    job_progress_update(&job->common.job, shown);
    WITH_GRAPH_RDLOCK_GUARD() {
        ret = opus_array_check_lengths(job->s);
    }
    while (ret == 0) {
        uint64_t now;

        opus_pace_wait(&job->pace, bytes);
        if (job_is_cancelled(&job->common.job)) {
            break;
        }
        WITH_GRAPH_RDLOCK_GUARD() {
            ret = step(job, &bytes);
        }
        now = MIN(qatomic_read(done), total);
        job_progress_update(&job->common.job, MAX(now, shown) - shown);
        shown = MAX(now, shown);
        if (!bytes) {
            break;
        }
    }
    return ret;
}

/*
 * When a job lets go of the array, QEMU tries to move it to the main loop, and
 * drains it with the graph locked for writing. A request that has just begun
 * would wait for that lock, and the drain for the request: so let there be
 * none.
 */
void opus_job_let_go(OpusJob *job)
{
    BlockDriverState *bs = job->s->bs;

    bdrv_ref(bs);
    bdrv_drained_begin(bs);
    block_job_remove_all_bdrv(&job->common);
    bdrv_drained_end(bs);
    bdrv_unref(bs);
}

/* Those of the slots, and the two others; NULL where there is none. */
static BlockJob *job_at(const OpusRaid *s, unsigned i)
{
    return i < RAID_MAX_MEMBERS ? s->rebuilds[i].job :
           i == RAID_MAX_MEMBERS ? s->jobs.resync : s->jobs.check;
}

void opus_job_set_speed(OpusRaid *s, uint64_t speed)
{
    JOB_LOCK_GUARD();
    for (unsigned i = 0; i < RAID_MAX_MEMBERS + 2; i++) {
        BlockJob *job = job_at(s, i);

        if (job) {
            /* One that has just ended does not mind. */
            block_job_set_speed_locked(job, speed, NULL);
        }
    }
}

bool opus_job_none_running(const OpusRaid *s, Error **errp)
{
    const BlockJob *job = NULL;

    for (unsigned i = 0; i < RAID_MAX_MEMBERS + 2 && !job; i++) {
        job = job_at(s, i);
    }
    if (job) {
        error_setg(errp, "Array '%s' is in use by job '%s': cancel it first",
                   bdrv_get_node_name(s->bs), job->job.id);
    }
    return !job;
}
