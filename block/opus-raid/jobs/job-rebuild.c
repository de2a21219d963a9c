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
    unsigned slot;
    int64_t next_checkpoint_ms;
    bool replaces;              /* all is copied to a replacement */
} RebuildJob;

static RebuildJob *rebuild_job(Job *job)
{
    return container_of(opus_job(job), RebuildJob, common);
}

/* One step, and a checkpoint if it is time for one. */
static int coroutine_fn GRAPH_RDLOCK rebuild_step(OpusJob *job,
                                                  uint64_t *bytes)
{
    RebuildJob *r = container_of(job, RebuildJob, common);
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    OpusStepLimit limit = opus_pace_limit(&job->pace);
    int ret = opus_rebuild_step(job->s, r->slot, &limit, bytes);

    if (ret == 0 && *bytes && now >= r->next_checkpoint_ms) {
        ret = opus_array_rebuild_checkpoint(job->s, r->slot);
        r->next_checkpoint_ms = now + CHECKPOINT_MS;
    }
    return ret;
}

static void GRAPH_RDLOCK explain_failure(const RebuildJob *r, int ret,
                                         Error **errp)
{
    const OpusRaid *s = r->common.s;
    uint64_t done = qatomic_read(&s->rebuilds[r->slot].done);

    if (!opus_rebuild_is_active(s, r->slot)) {
        error_setg(errp, "The member that was being rebuilt, or the array, "
                   "has failed");
    } else if (ret == -ENOSPC) {
        error_setg(errp, "Slot %u can't be rebuilt at byte %" PRIu64
                   " of the members' data areas: too few members can be "
                   "read there, and member '%s' has no room to record it",
                   r->slot, done,
                   opus_member_name(opus_rebuild_target(s, r->slot)));
    } else {
        error_setg_errno(errp, -ret, "Slot %u can't be rebuilt at byte %"
                         PRIu64 " of the members' data areas", r->slot, done);
    }
}

static int coroutine_fn rebuild_run(Job *job, Error **errp)
{
    RebuildJob *r = rebuild_job(job);
    OpusRaid *s = r->common.s;
    int ret;

    r->next_checkpoint_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                            CHECKPOINT_MS;
    ret = opus_job_run(&r->common, rebuild_step, &s->rebuilds[r->slot].done,
                       s->geom.member_bytes);

    WITH_GRAPH_RDLOCK_GUARD() {
        if (job_is_cancelled(job) || ret < 0) {
            /* What is done need not be done again. */
            if (opus_rebuild_is_active(s, r->slot)) {
                opus_array_rebuild_checkpoint(s, r->slot);
            }
        } else if (opus_replacement_of(s, r->slot)) {
            r->replaces = true;
        } else {
            ret = opus_rebuild_finish(s, r->slot);
        }
        if (ret < 0) {
            explain_failure(r, ret, errp);
        }
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK finish_co(OpusRaid *s, void *opaque,
                                               Error **errp)
{
    unsigned *slot = opaque;
    int ret = opus_array_replace_finish(s, *slot);

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
    RebuildJob *r = rebuild_job(job);
    OpusRaid *s = r->common.s;
    int ret;

    if (!r->replaces) {
        return 0;
    }
    bdrv_drained_begin(s->bs);
    ret = opus_control_run(s, finish_co, &r->slot, &job->err);
    bdrv_drained_end(s->bs);
    return ret;
}

/* The slot may be given to another spare, or there may be another slot. */
static void rebuild_clean(Job *job)
{
    RebuildJob *r = rebuild_job(job);
    OpusRaid *s = r->common.s;

    s->rebuilds[r->slot].job = NULL;
    s->rebuilds[r->slot].held = opus_rebuild_is_active(s, r->slot);
    if (!opus_rebuild_is_active(s, r->slot)) {
        opus_array_changed(s);
    }
    opus_job_let_go(&r->common);
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

/* Slots that are rebuilt in part, and that no job is at. */
static RaidMask idle_rebuilds(const OpusRaid *s, bool held_too)
{
    RaidMask slots = 0;

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        if (opus_rebuild_is_active(s, slot) && !s->rebuilds[slot].job &&
            (held_too || !s->rebuilds[slot].held)) {
            slots |= RAID_BIT(slot);
        }
    }
    return slots;
}

static bool any_job_runs(const OpusRaid *s)
{
    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        if (s->rebuilds[slot].job) {
            return true;
        }
    }
    return false;
}

static bool may_be_replaced(const OpusRaid *s, unsigned slot)
{
    return slot < s->geom.nr_slots && s->slots[slot] &&
           s->slots[slot]->state == RAID_MEMBER_IN_SYNC &&
           !opus_replacement_of(s, slot) && !s->rebuilds[slot].job;
}

/* What is to be begun: which member for which slot. */
typedef struct Begin {
    OpusMember *m;
    unsigned slot;
    bool replace;               /* the slot has a member, which stays */
} Begin;

/* A replacement of an earlier run, whose slot is still to be replaced. */
static bool find_half_done(OpusRaid *s, Begin *begin)
{
    if (s->state != RAID_ARRAY_OPTIMAL) {
        return false;           /* it may be needed for a slot without any */
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (opus_member_was_replacement(m) && is_large_enough(s, m) &&
            may_be_replaced(s, md_super_role(&m->super))) {
            *begin = (Begin) {
                .m = m, .slot = md_super_role(&m->super), .replace = true,
            };
            return true;
        }
    }
    return false;
}

/*
 * Slots without a member that holds all or some of them. A job whose member has
 * just failed is to end first.
 */
static RaidMask empty_slots(const OpusRaid *s)
{
    RaidMask slots = opus_missing_slots(s);

    if (s->state != RAID_ARRAY_DEGRADED) {
        return 0;
    }
    RAID_MASK_FOREACH(slot, slots) {
        if (opus_rebuild_is_active(s, slot) || s->rebuilds[slot].job) {
            slots &= ~RAID_BIT(slot);
        }
    }
    return slots;
}

/* A spare for a slot; false when one of them is not there. */
static bool find_spare(OpusRaid *s, Begin *begin)
{
    RaidMask slots = empty_slots(s);

    if (!slots) {
        return false;
    }
    /* The least work first. */
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];
        unsigned role = md_super_role(&m->super);

        if (m->state == RAID_MEMBER_STALE && opus_bad_log_is_known(m) &&
            opus_member_can_return(s, &m->super) && (slots & RAID_BIT(role))) {
            *begin = (Begin) { .m = m, .slot = role };
            return true;
        }
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if ((m->state == RAID_MEMBER_SPARE ||
             opus_member_was_replacement(m)) && is_large_enough(s, m)) {
            *begin = (Begin) { .m = m, .slot = raid_mask_lowest(slots) };
            return true;
        }
    }
    return false;
}

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
    if (!opus_rebuild_is_active(s, begin->slot)) {
        error_setg(errp, "The spare of array '%s' failed when it was taken "
                   "into use", bdrv_get_node_name(s->bs));
        return false;
    }
    return true;
}

/*
 * Go on with a slot that is partly rebuilt, one without a member first, or
 * begin with another. Sets @slot.
 */
static bool choose_slot(OpusRaid *s, unsigned *slot, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);
    RaidMask idle = idle_rebuilds(s, true);
    Begin begin;

    if (idle && s->state != RAID_ARRAY_FAILED) {
        RaidMask missing = idle & opus_missing_slots(s);

        *slot = raid_mask_lowest(missing ?: idle);
        return true;
    }
    if (find_half_done(s, &begin) || find_spare(s, &begin)) {
        *slot = begin.slot;
        return begin_drained(s, &begin, errp);
    }
    if (any_job_runs(s)) {
        error_setg(errp, "Array '%s' is being rebuilt already", node);
    } else if (s->state != RAID_ARRAY_DEGRADED) {
        error_setg(errp, "Array '%s' is %s: there is nothing to rebuild",
                   node, raid_array_state_name(s->state));
    } else {
        error_setg(errp, "Array '%s' has no spare to rebuild", node);
    }
    return false;
}

/* @begin: what is to be done; NULL: what there is to do */
static bool rebuild_start(OpusRaid *s, Begin *begin, const char *job_id,
                          int flags, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);
    unsigned slot = begin ? begin->slot : 0;
    g_autofree char *id = job_id ? g_strdup(job_id) :
                          opus_job_free_id(s, JOB_TYPE_OPUS_RAID_REBUILD);
    OpusJob *job;

    GLOBAL_STATE_CODE();

    if (s->jobs.none_starts) {
        error_setg(errp, "Array '%s' is busy with another change", node);
        return false;
    }
    if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
        return false;
    }
    /* Both of these wait, and other work of the main loop may come between. */
    s->jobs.none_starts = true;
    job = !(begin ? begin_drained(s, begin, errp)
                  : choose_slot(s, &slot, errp)) ?
          NULL : opus_job_create(s, &rebuild_job_driver, id,
                                 s->options.rebuild_speed, flags, errp);
    s->jobs.none_starts = false;
    if (!job) {
        return false;
    }
    container_of(job, RebuildJob, common)->slot = slot;
    s->rebuilds[slot].job = &job->common;
    s->rebuilds[slot].held = false;
    job_start(&job->common.job);
    /* There may be another slot, and another spare. */
    opus_array_changed(s);
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

    if (!may_be_replaced(s, slot)) {
        error_setg(errp, "Slot %u of array '%s' has no member in sync any "
                   "more, or is being replaced already", slot, node);
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

bool opus_replace_is_possible(OpusRaid *s, const OpusMember *m, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);

    if (!raid_has_redundancy(&s->geom)) {
        error_setg(errp, "Array '%s' has no redundancy: no member of it can "
                   "be replaced", node);
    } else if (s->state != RAID_ARRAY_OPTIMAL &&
               s->state != RAID_ARRAY_DEGRADED) {
        error_setg(errp, "Array '%s' is %s: a member can be replaced when it "
                   "is optimal or degraded", node,
                   raid_array_state_name(s->state));
    } else if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
    } else if (m->state != RAID_MEMBER_IN_SYNC) {
        error_setg(errp, "Member '%s' is %s: only one that is in sync can be "
                   "replaced", opus_member_name(m),
                   raid_member_state_name(m->state));
    } else if (!may_be_replaced(s, m->slot)) {
        error_setg(errp, "Member '%s' of array '%s' is being replaced, or was "
                   "and is to go on", opus_member_name(m), node);
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
    Begin begin;

    if (s->jobs.none_starts) {
        return false;
    }
    return (s->state == RAID_ARRAY_DEGRADED &&
            (idle_rebuilds(s, false) & opus_missing_slots(s))) ||
           find_spare(s, &begin) || find_half_done(s, &begin);
}
