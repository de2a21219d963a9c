/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: rebuild
 *
 * Owns: which spare is taken for which slot, when checkpoints are made.
 * Must not know: how a stripe is rebuilt, what superblocks look like.
 * Threads: main loop; the job's coroutine runs in the array's AioContext.
 * Invariants: I8, by way of opus_array_rebuild_checkpoint().
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "block/blockjob_int.h"
#include "qapi/error.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/base/blocking.h"
#include "block/opus-raid/jobs/job-rebuild.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/members/membership.h"
#include "block/opus-raid/redundancy/rebuild.h"

/* Work that may have to be done again after a crash. */
#define CHECKPOINT_MS   1000

typedef struct RebuildJob {
    OpusJob common;
    int64_t next_checkpoint_ms;
    bool replaces;              /* all is copied to a replacement */
} RebuildJob;

/* One step, and a checkpoint if it is time for one. */
static int coroutine_fn GRAPH_RDLOCK rebuild_step(OpusJob *job,
                                                  uint64_t *bytes)
{
    RebuildJob *r = container_of(job, RebuildJob, common);
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    OpusStepLimit limit = opus_pace_limit(&job->pace);
    int ret = opus_rebuild_step(job->s, &limit, bytes);

    if (ret == 0 && *bytes && now >= r->next_checkpoint_ms) {
        ret = opus_array_rebuild_checkpoint(job->s);
        r->next_checkpoint_ms = now + CHECKPOINT_MS;
    }
    return ret;
}

static int coroutine_fn rebuild_run(Job *job, Error **errp)
{
    OpusJob *j = opus_job(job);
    RebuildJob *r = container_of(j, RebuildJob, common);
    OpusRaid *s = j->s;
    int ret;

    r->next_checkpoint_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                            CHECKPOINT_MS;
    ret = opus_job_run(j, rebuild_step, &s->rebuild.done,
                       s->geom.member_bytes);

    WITH_GRAPH_RDLOCK_GUARD() {
        if (job_is_cancelled(job) || ret < 0) {
            /* What is done need not be done again. */
            if (opus_rebuild_is_active(s)) {
                opus_array_rebuild_checkpoint(s);
            }
        } else if (qatomic_read(&s->rebuild.replacement)) {
            r->replaces = true;
        } else {
            ret = opus_rebuild_finish(s);
        }
        if (ret == -ENOSPC && opus_rebuild_is_active(s)) {
            error_setg(errp, "Slot %d can't be rebuilt at byte %" PRIu64
                       " of the members' data areas: too few members can be "
                       "read there, and member '%s' has no room to record it",
                       s->rebuild.slot, qatomic_read(&s->rebuild.done),
                       opus_member_name(opus_rebuild_target(s)));
        } else if (ret < 0 && opus_rebuild_is_active(s)) {
            error_setg_errno(errp, -ret, "Slot %d can't be rebuilt at byte %"
                             PRIu64 " of the members' data areas",
                             s->rebuild.slot,
                             qatomic_read(&s->rebuild.done));
        } else if (ret < 0) {
            error_setg(errp, "The member that was being rebuilt, or the "
                       "array, has failed");
        }
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK finish_co(OpusRaid *s, void *opaque,
                                               Error **errp)
{
    int ret = opus_array_replace_finish(s);

    if (ret < 0) {
        error_setg(errp, "The member that was to replace another, that one, "
                   "or the array has failed");
    }
    return ret;
}

/*
 * All is copied. The members change places while no request is in flight, so
 * there is no instant in which a write could miss one of them. Either of them
 * may have failed since, above all if the job waited for its user.
 */
static int rebuild_prepare(Job *job)
{
    OpusRaid *s = opus_job(job)->s;
    int ret;

    if (!container_of(opus_job(job), RebuildJob, common)->replaces) {
        return 0;
    }
    bdrv_drained_begin(s->bs);
    ret = opus_control_run(s, finish_co, NULL, &job->err);
    bdrv_drained_end(s->bs);
    return ret;
}

/* The slot may be given to another spare, or there may be another slot. */
static void rebuild_clean(Job *job)
{
    OpusRaid *s = opus_job(job)->s;

    s->jobs.rebuild = NULL;
    if (!opus_rebuild_is_active(s)) {
        opus_array_changed(s);
    }
    opus_job_let_go(opus_job(job));
}

static const BlockJobDriver rebuild_job_driver = {
    .job_driver = {
        .instance_size = sizeof(RebuildJob),
        .job_type      = JOB_TYPE_OPUS_RAID_REBUILD,
        .free          = block_job_free,
        .user_resume   = block_job_user_resume,
        .run           = rebuild_run,
        .prepare       = rebuild_prepare,
        .clean         = rebuild_clean,
    },
};

static bool is_large_enough(const OpusRaid *s, const OpusMember *m)
{
    return m->super.data_size_sectors * RAID_SECTOR_BYTES >=
           s->geom.member_bytes;
}

/* A replacement of an earlier run, whose slot is still to be replaced. */
static OpusMember *find_half_done(OpusRaid *s)
{
    if (s->state != RAID_ARRAY_OPTIMAL || opus_log(s) ||
        opus_rebuild_is_active(s)) {
        return NULL;
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (opus_member_was_replacement(m) && is_large_enough(s, m) &&
            md_super_role(&m->super) < s->geom.nr_slots) {
            return m;
        }
    }
    return NULL;
}

/* Which slot for which spare; false when one of them is not there. */
static bool find_spare(OpusRaid *s, OpusMember **spare, unsigned *slot)
{
    RaidMask missing_slots = opus_missing_slots(s);

    if (!missing_slots || s->state != RAID_ARRAY_DEGRADED) {
        return false;
    }
    /* The least work first. */
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (m->state == RAID_MEMBER_STALE && opus_bad_log_is_known(m) &&
            opus_member_can_return(s, &m->super)) {
            *spare = m;
            *slot = md_super_role(&m->super);
            return true;
        }
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if ((m->state == RAID_MEMBER_SPARE ||
             opus_member_was_replacement(m)) && is_large_enough(s, m)) {
            *spare = m;
            *slot = raid_mask_lowest(missing_slots);
            return true;
        }
    }
    return false;
}

typedef struct Begin {
    OpusMember *m;
    unsigned slot;
    bool replace;               /* the slot has a member, which stays */
} Begin;

static int coroutine_fn GRAPH_RDLOCK begin_co(OpusRaid *s, void *opaque,
                                              Error **errp)
{
    Begin *begin = opaque;

    opus_array_teach_target(s, begin->m);
    return begin->replace
           ? opus_array_replace_begin(s, begin->m, begin->slot)
           : opus_array_rebuild_begin(s, begin->m, begin->slot);
}

/* Members that requests know by their slot must not lose it meanwhile. */
static bool begin_drained(OpusRaid *s, Begin *begin, Error **errp)
{
    bdrv_drained_begin(s->bs);
    opus_control_run(s, begin_co, begin, NULL);
    bdrv_drained_end(s->bs);
    if (!opus_rebuild_is_active(s)) {
        error_setg(errp, "The spare of array '%s' failed when it was taken "
                   "into use", bdrv_get_node_name(s->bs));
        return false;
    }
    return true;
}

/* Is there a member that is partly rebuilt? If not, make one. */
static bool choose_target(OpusRaid *s, Error **errp)
{
    Begin begin = { .m = find_half_done(s), .replace = true };

    if (opus_rebuild_is_active(s) && s->state != RAID_ARRAY_FAILED) {
        return true;
    }
    if (begin.m) {
        begin.slot = md_super_role(&begin.m->super);
        return begin_drained(s, &begin, errp);
    }
    if (s->state != RAID_ARRAY_DEGRADED) {
        error_setg(errp, "Array '%s' is %s: there is nothing to rebuild",
                   bdrv_get_node_name(s->bs),
                   raid_array_state_name(s->state));
        return false;
    }
    begin.replace = false;
    if (!find_spare(s, &begin.m, &begin.slot)) {
        error_setg(errp, "Array '%s' has no spare to rebuild",
                   bdrv_get_node_name(s->bs));
        return false;
    }
    return begin_drained(s, &begin, errp);
}

/* @begin: what is to be done; NULL: what there is to do */
static bool rebuild_start(OpusRaid *s, Begin *begin, const char *job_id,
                          int flags, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);
    OpusJob *job;

    GLOBAL_STATE_CODE();

    if (s->jobs.rebuild || s->jobs.none_starts) {
        error_setg(errp, "Array '%s' is being rebuilt already", node);
        return false;
    }
    if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
        return false;
    }
    /* Both of these wait, and other work of the main loop may come between. */
    s->jobs.none_starts = true;
    job = !(begin ? begin_drained(s, begin, errp) : choose_target(s, errp)) ?
          NULL : opus_job_create(s, &rebuild_job_driver, job_id,
                                 s->options.rebuild_speed, flags, errp);
    s->jobs.none_starts = false;
    if (!job) {
        return false;
    }
    s->jobs.rebuild = &job->common;
    job_start(&job->common.job);
    return true;
}

bool opus_rebuild_start(OpusRaid *s, const char *job_id, int flags,
                        Error **errp)
{
    return rebuild_start(s, NULL, job_id, flags, errp);
}

bool opus_replace_start(OpusRaid *s, OpusMember *m, unsigned slot,
                        const char *job_id, int flags, Error **errp)
{
    Begin begin = { .m = m, .slot = slot, .replace = true };
    const char *node = bdrv_get_node_name(s->bs);

    if (opus_rebuild_is_active(s)) {
        error_setg(errp, "Array '%s' is being rebuilt, or was and is to go "
                   "on", node);
    } else if (m->state != RAID_MEMBER_SPARE &&
               !opus_member_was_replacement(m)) {
        error_setg(errp, "Member '%s' is %s, and no spare",
                   opus_member_name(m), raid_member_state_name(m->state));
    } else if (!is_large_enough(s, m)) {
        error_setg(errp, "The spare '%s' of array '%s' is too small",
                   opus_member_name(m), node);
    } else {
        return rebuild_start(s, &begin, job_id, flags, errp);
    }
    return false;
}

bool opus_replace_is_possible(OpusRaid *s, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);

    if (opus_log(s)) {
        error_setg(errp, "Array '%s' has a %s: no member of such an array can "
                   "be replaced; fail it, and have it rebuilt", node,
                   opus_log(s)->name);
    } else if (!raid_has_redundancy(&s->geom)) {
        error_setg(errp, "Array '%s' has no redundancy: no member of it can "
                   "be replaced", node);
    } else if (s->state != RAID_ARRAY_OPTIMAL) {
        error_setg(errp, "Array '%s' is %s: a member can be replaced when it "
                   "is optimal", node, raid_array_state_name(s->state));
    } else if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
    } else {
        return true;
    }
    return false;
}

OpusMember *opus_find_spare(OpusRaid *s)
{
    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].state == RAID_MEMBER_SPARE &&
            is_large_enough(s, &s->members[i])) {
            return &s->members[i];
        }
    }
    return NULL;
}

bool opus_rebuild_is_wanted(OpusRaid *s)
{
    OpusMember *spare;
    unsigned slot;

    if (s->jobs.rebuild || s->jobs.none_starts) {
        return false;
    }
    if (s->state == RAID_ARRAY_DEGRADED) {
        return opus_rebuild_is_active(s) || find_spare(s, &spare, &slot);
    }
    return find_half_done(s);
}
