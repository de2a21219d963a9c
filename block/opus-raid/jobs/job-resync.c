/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: resync
 *
 * Owns: when checkpoints are made.
 * Must not know: how a stripe is made right, what superblocks look like.
 * Threads: main loop; the job's coroutine runs in the array's AioContext.
 * Invariants: I8, by way of opus_array_resync_checkpoint().
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/blockjob_int.h"
#include "qapi/error.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/consistency/start.h"
#include "block/opus-raid/jobs/job-resync.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "block/opus-raid/redundancy/resync.h"

/* Work that may have to be done again after a crash of a clean array. */
#define CHECKPOINT_MS   10000

typedef struct ResyncJob {
    OpusJob common;
    OpusVerify verify;
    int64_t next_checkpoint_ms;
} ResyncJob;

static int coroutine_fn GRAPH_RDLOCK resync_step(OpusJob *job, uint64_t *bytes)
{
    ResyncJob *r = container_of(job, ResyncJob, common);
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    OpusStepLimit limit = opus_pace_limit(&job->pace);
    int ret = opus_resync_step(job->s, &limit, &r->verify, bytes);

    if (ret == 0 && *bytes && now >= r->next_checkpoint_ms) {
        ret = opus_array_resync_checkpoint(job->s);
        r->next_checkpoint_ms = now + CHECKPOINT_MS;
    }
    return ret;
}

static void set_error(const OpusRaid *s, Error **errp)
{
    if (opus_can_resync(s)) {
        error_setg(errp, "Redundancy can't be made right at byte %" PRIu64
                   " of %s: data there can't be read; write to it, and open "
                   "the array again",
                   qatomic_read(&s->resync_done),
                   opus_redundancy(s)->sync_space);
    } else {
        error_setg(errp, "The array has become %s",
                   raid_array_state_name(s->state));
    }
}

static int coroutine_fn resync_run(Job *job, Error **errp)
{
    OpusJob *j = opus_job(job);
    ResyncJob *r = container_of(j, ResyncJob, common);
    OpusRaid *s = j->s;
    int ret;

    r->verify.mode = OPUS_VERIFY_RESYNC;
    r->next_checkpoint_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                            CHECKPOINT_MS;
    ret = opus_job_run(j, resync_step, &s->resync_done,
                       raid_sync_bytes(&s->geom));

    WITH_GRAPH_RDLOCK_GUARD() {
        if (ret == 0 && !job_is_cancelled(job)) {
            ret = opus_array_resync_finish(s);
        } else {
            /* What is done need not be done again. */
            opus_array_resync_checkpoint(s);
        }
        if (ret < 0) {
            set_error(s, errp);
        }
    }
    return ret;
}

/*
 * A log that was void is of use again. Should the job not come here, be it
 * cancelled now, the supervisor sees to it.
 */
static int resync_prepare(Job *job)
{
    return opus_start_log(opus_job(job)->s, &job->err);
}

static void resync_clean(Job *job)
{
    opus_job(job)->s->jobs.resync = NULL;
    opus_job_let_go(opus_job(job));
}

static const BlockJobDriver resync_job_driver = {
    .job_driver = {
        .instance_size = sizeof(ResyncJob),
        .job_type      = JOB_TYPE_OPUS_RAID_RESYNC,
        .free          = block_job_free,
        .user_resume   = block_job_user_resume,
        .run           = resync_run,
        .prepare       = resync_prepare,
        .clean         = resync_clean,
    },
};

bool opus_resync_is_wanted(const OpusRaid *s)
{
    return opus_can_resync(s) && !s->jobs.resync;
}

bool opus_resync_start(OpusRaid *s, const char *job_id, Error **errp)
{
    OpusJob *job = opus_job_create(s, &resync_job_driver, job_id,
                                   s->options.rebuild_speed, JOB_DEFAULT, errp);

    if (!job) {
        return false;
    }
    s->jobs.resync = &job->common;
    job_start(&job->common.job);
    return true;
}
