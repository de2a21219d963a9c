/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: check and repair
 *
 * Owns: which arrays can be checked, what the check has found so far, and
 *       OpusRaid.last_check: how the last one ended.
 * Must not know: how a stripe is checked.
 * Threads: main loop; the job's coroutine runs in the array's AioContext.
 *
 * A repair writes to stripes that were wrong already, so the array need not be
 * dirty for it: cut in the middle, they are as wrong as they were. What it
 * wrote is flushed at its end.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/blockjob_int.h"
#include "qapi/error.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/jobs/job-check.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "block/opus-raid/redundancy/resync.h"
#include "block/opus-raid/redundancy/verify.h"
#include "block/opus-raid/redundancy/window.h"

typedef struct CheckJob {
    OpusJob common;
    OpusVerify verify;
    uint64_t done;              /* sync bytes */
    int64_t start;              /* host's clock, seconds */
    int64_t end;
} CheckJob;

typedef struct CheckWindow {
    OpusWindow window;
    OpusVerify *v;
} CheckWindow;

static int64_t host_seconds(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static int coroutine_fn GRAPH_RDLOCK check_unit(OpusWindow *window,
                                                uint64_t unit)
{
    CheckWindow *c = container_of(window, CheckWindow, window);
    OpusRaid *s = window->s;
    int ret = s->state == RAID_ARRAY_OPTIMAL
              ? opus_verify_unit(s, unit, c->v) : -EIO;

    qatomic_set(&s->check.mismatch_sectors, c->v->mismatch_sectors);
    qatomic_set(&s->check.unrepaired_sectors, c->v->unrepaired_sectors);
    return ret;
}

static void unit_passed(OpusWindow *window, uint64_t unit)
{
}

static const OpusWindowOps check_ops = {
    .work = check_unit,
    .passed = unit_passed,
};

static int coroutine_fn GRAPH_RDLOCK check_step(OpusJob *job, uint64_t *bytes)
{
    CheckJob *j = container_of(job, CheckJob, common);
    OpusRaid *s = job->s;
    uint64_t units = DIV_ROUND_UP(j->verify.end, s->geom.chunk_bytes);
    uint64_t first = j->done >> s->geom.chunk_shift;
    OpusStepLimit limit = opus_pace_limit(&job->pace);
    uint64_t wish = DIV_ROUND_UP(limit.bytes, s->geom.chunk_bytes);
    CheckWindow c = {
        .window = {
            .ops = &check_ops,
            .s = s,
            .next = first,
            .end = first + MIN(units - first, wish),
            .max = opus_window_width(s),
            .limit = &limit,
        },
        .v = &j->verify,
    };
    int ret = opus_window_run(&c.window);

    *bytes = (c.window.next - first) << s->geom.chunk_shift;
    j->done += *bytes;
    return ret;
}

static void set_error(const CheckJob *c, int ret, Error **errp)
{
    const OpusRaid *s = c->common.s;

    if (s->state != RAID_ARRAY_OPTIMAL) {
        error_setg(errp, "The array has become %s",
                   raid_array_state_name(s->state));
    } else {
        error_setg_errno(errp, -ret, "It can't be checked at byte %" PRIu64
                         " of %s", c->done,
                         opus_redundancy(s)->sync_space);
    }
}

static int coroutine_fn check_run(Job *job, Error **errp)
{
    OpusJob *j = opus_job(job);
    CheckJob *c = container_of(j, CheckJob, common);
    OpusRaid *s = j->s;
    int ret;

    ret = opus_job_run(j, check_step, &c->done, c->verify.end);

    WITH_GRAPH_RDLOCK_GUARD() {
        if (c->verify.mode == OPUS_VERIFY_REPAIR &&
            opus_array_flush(s) < 0 && ret == 0) {
            ret = -EIO;
        }
    }
    c->end = host_seconds();
    if (ret < 0) {
        set_error(c, ret, errp);
    } else if (c->verify.unreadable_bytes && !job_is_cancelled(job)) {
        error_setg(errp, "%" PRIu64 " bytes can't be read from so many "
                   "members that they could not be checked",
                   c->verify.unreadable_bytes);
        ret = -EIO;
    }
    return ret;
}

/* However it ended: the job may be gone before anybody looks at it. */
static void keep_result(OpusRaid *s, const CheckJob *c, const Job *job)
{
    OpusRaidLastCheck *last = g_new0(OpusRaidLastCheck, 1);

    last->mode = c->verify.mode == OPUS_VERIFY_REPAIR
                 ? OPUS_RAID_CHECK_MODE_REPAIR : OPUS_RAID_CHECK_MODE_CHECK;
    last->start = c->start;
    last->end = c->end;
    last->complete = job->ret == 0;
    if (job->ret < 0) {
        last->error = g_strdup(job->ret == -ECANCELED
                               ? "cancelled" : error_get_pretty(job->err));
    }
    last->done = MIN(c->done, c->verify.end);
    last->total = c->verify.end;
    last->mismatches = c->verify.mismatch_sectors;
    last->unrepaired = c->verify.unrepaired_sectors;
    last->corrected_reads = c->verify.corrected_reads;
    last->unreadable = c->verify.unreadable_bytes;
    qapi_free_OpusRaidLastCheck(s->check.last);
    s->check.last = last;
}

static void check_clean(Job *job)
{
    OpusJob *j = opus_job(job);

    keep_result(j->s, container_of(j, CheckJob, common), job);
    j->s->jobs.check = NULL;
    opus_job_let_go(j);
}

static const BlockJobDriver check_job_driver = {
    .job_driver = {
        .instance_size = sizeof(CheckJob),
        .job_type      = JOB_TYPE_OPUS_RAID_CHECK,
        .free          = block_job_free,
        .user_resume   = block_job_user_resume,
        .run           = check_run,
        .clean         = check_clean,
    },
};

static bool may_check(const OpusRaid *s, bool repair, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);

    if (!raid_has_redundancy(&s->geom)) {
        error_setg(errp, "Array '%s' has no redundancy to check", node);
    } else if (s->jobs.check) {
        error_setg(errp, "Array '%s' is being checked already", node);
    } else if (qatomic_read(&s->growing)) {
        error_setg(errp, "Array '%s' is growing: check it when it has grown",
                   node);
    } else if (s->state != RAID_ARRAY_OPTIMAL) {
        error_setg(errp, "Array '%s' is %s: only an optimal array can be "
                   "checked", node, raid_array_state_name(s->state));
    } else if (repair && !opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
    } else {
        return true;
    }
    return false;
}

bool opus_check_start(OpusRaid *s, const char *job_id, bool repair,
                      uint64_t speed, int flags, Error **errp)
{
    OpusJob *job;
    CheckJob *c;

    GLOBAL_STATE_CODE();

    if (!may_check(s, repair, errp)) {
        return false;
    }
    if (speed > INT64_MAX) {
        error_setg(errp, "'speed' must be below 2^63");
        return false;
    }
    job = opus_job_create(s, &check_job_driver, job_id, speed, flags, errp);
    if (!job) {
        return false;
    }
    c = container_of(job, CheckJob, common);
    /* It may grow meanwhile, and not yet be what it says it is. */
    c->verify.end = raid_sync_bytes(&s->geom);
    c->verify.mode = repair ? OPUS_VERIFY_REPAIR : OPUS_VERIFY_CHECK;
    c->start = host_seconds();
    qatomic_set(&s->check.mismatch_sectors, 0);
    qatomic_set(&s->check.unrepaired_sectors, 0);
    s->jobs.check = &job->common;
    job_start(&job->common.job);
    return true;
}
