/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: rebuild
 *
 * Owns: when a rebuild starts, its pace, when checkpoints are made.
 * Must not know: how a stripe is rebuilt, what superblocks look like.
 * Threads: main loop; the job's coroutine runs in the array's AioContext.
 * Invariants: I8, by way of opus_array_rebuild_checkpoint().
 *
 * The job is paused by draining the array, and only between steps: so while
 * the array is drained nothing of a rebuild is in flight.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "block/blockjob_int.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "array.h"
#include "control.h"
#include "job-rebuild.h"
#include "member.h"
#include "membership.h"
#include "rebuild.h"

/* Work that may have to be done again after a crash. */
#define CHECKPOINT_MS   1000

/* Until another look, where a job of the same name is in the way. */
#define RETRY_MS        100

typedef struct RebuildJob {
    BlockJob common;
    OpusRaid *s;
    int64_t next_checkpoint_ms;
} RebuildJob;

/* One step, and a checkpoint if it is time for one. */
static int coroutine_fn GRAPH_RDLOCK job_step(RebuildJob *r, uint64_t *bytes)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    int ret = opus_rebuild_step(r->s, bytes);

    if (ret == 0 && *bytes && now >= r->next_checkpoint_ms) {
        ret = opus_array_rebuild_checkpoint(r->s);
        r->next_checkpoint_ms = now + CHECKPOINT_MS;
    }
    return ret;
}

/* How far it is; what need not be rebuilt counts, too. */
static void show_progress(RebuildJob *r, uint64_t *shown)
{
    uint64_t done = MIN(qatomic_read(&r->s->rebuild_done),
                        r->s->geom.member_bytes);

    if (done > *shown) {
        job_progress_update(&r->common.job, done - *shown);
        *shown = done;
    }
}

static int coroutine_fn rebuild_run(Job *job, Error **errp)
{
    RebuildJob *r = container_of(job, RebuildJob, common.job);
    OpusRaid *s = r->s;
    uint64_t shown = 0;
    uint64_t bytes = 0;
    int ret;

    job_progress_set_remaining(job, s->geom.member_bytes);
    show_progress(r, &shown);
    r->next_checkpoint_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                            CHECKPOINT_MS;
    do {
        block_job_ratelimit_sleep(&r->common);
        if (job_is_cancelled(job)) {
            break;
        }
        WITH_GRAPH_RDLOCK_GUARD() {
            ret = job_step(r, &bytes);
        }
        show_progress(r, &shown);
        block_job_ratelimit_processed_bytes(&r->common, bytes);
    } while (ret == 0 && bytes);

    WITH_GRAPH_RDLOCK_GUARD() {
        if (job_is_cancelled(job) || ret < 0) {
            /* What is done need not be done again. */
            if (opus_rebuild_is_active(s)) {
                opus_array_rebuild_checkpoint(s);
            }
        } else {
            ret = opus_rebuild_finish(s);
        }
        if (ret == -ENOSPC && opus_rebuild_is_active(s)) {
            error_setg(errp, "Slot %d can't be rebuilt at byte %" PRIu64
                       " of the members' data areas: too few members can be "
                       "read there, and member '%s' has no room to record it",
                       s->rebuild_slot, qatomic_read(&s->rebuild_done),
                       opus_member_name(s->slots[s->rebuild_slot]));
        } else if (ret < 0 && opus_rebuild_is_active(s)) {
            error_setg_errno(errp, -ret, "Slot %d can't be rebuilt at byte %"
                             PRIu64 " of the members' data areas",
                             s->rebuild_slot,
                             qatomic_read(&s->rebuild_done));
        } else if (ret < 0) {
            error_setg(errp, "The member that was being rebuilt, or the "
                       "array, has failed");
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
static void let_go(BlockJob *job, BlockDriverState *bs)
{
    bdrv_drained_begin(bs);
    block_job_remove_all_bdrv(job);
    bdrv_drained_end(bs);
}

/* The slot may be given to another spare, or there may be another slot. */
static void rebuild_clean(Job *job)
{
    RebuildJob *r = container_of(job, RebuildJob, common.job);
    BlockDriverState *bs = r->s->bs;

    bdrv_ref(bs);
    let_go(&r->common, bs);
    r->s->rebuild_job = NULL;
    if (!opus_rebuild_is_active(r->s)) {
        opus_rebuild_look(r->s);
    }
    bdrv_unref(bs);
}

static const BlockJobDriver rebuild_job_driver = {
    .job_driver = {
        .instance_size = sizeof(RebuildJob),
        .job_type      = JOB_TYPE_OPUS_RAID_REBUILD,
        .free          = block_job_free,
        .user_resume   = block_job_user_resume,
        .run           = rebuild_run,
        .clean         = rebuild_clean,
    },
};

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

        if (m->state == RAID_MEMBER_STALE &&
            opus_member_can_return(s, &m->super)) {
            *spare = m;
            *slot = md_super_role(&m->super);
            return true;
        }
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (m->state == RAID_MEMBER_SPARE &&
            m->super.data_size_sectors * RAID_SECTOR_BYTES >=
            s->geom.member_bytes) {
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
} Begin;

static int coroutine_fn GRAPH_RDLOCK begin_co(OpusRaid *s, void *opaque,
                                              Error **errp)
{
    Begin *begin = opaque;

    return opus_array_rebuild_begin(s, begin->m, begin->slot);
}

/* Is there a member with a slot that is partly rebuilt? If not, make one. */
static bool choose_target(OpusRaid *s, Error **errp)
{
    Begin begin;

    if (s->state != RAID_ARRAY_DEGRADED) {
        error_setg(errp, "Array '%s' is %s: there is nothing to rebuild",
                   bdrv_get_node_name(s->bs),
                   raid_array_state_name(s->state));
        return false;
    }
    if (opus_rebuild_is_active(s)) {
        return true;
    }
    if (!find_spare(s, &begin.m, &begin.slot)) {
        error_setg(errp, "Array '%s' has no spare to rebuild",
                   bdrv_get_node_name(s->bs));
        return false;
    }
    /* Members that requests know by their slot must not lose it meanwhile. */
    bdrv_drained_begin(s->bs);
    opus_control_run(s, begin_co, &begin, NULL);
    bdrv_drained_end(s->bs);
    if (!opus_rebuild_is_active(s)) {
        error_setg(errp, "The spare of array '%s' failed when it was taken "
                   "into use", bdrv_get_node_name(s->bs));
        return false;
    }
    return true;
}

bool opus_rebuild_start(OpusRaid *s, const char *job_id, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);
    RebuildJob *r;

    GLOBAL_STATE_CODE();

    if (s->rebuild_job || s->rebuild_starting) {
        error_setg(errp, "Array '%s' is being rebuilt already", node);
        return false;
    }
    if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
        return false;
    }
    /* Both of these wait, and other work of the main loop may come between. */
    s->rebuild_starting = true;
    r = !choose_target(s, errp) ? NULL :
        block_job_create(job_id, &rebuild_job_driver, NULL, s->bs, 0,
                         BLK_PERM_ALL, s->rebuild_speed, JOB_DEFAULT, NULL,
                         NULL, errp);
    s->rebuild_starting = false;
    if (!r) {
        return false;
    }
    /* It goes on beside anything but the end of the array. */
    bdrv_graph_rdlock_main_loop();
    bdrv_op_unblock_all(s->bs, r->common.blocker);
    bdrv_op_block(s->bs, BLOCK_OP_TYPE_DRIVE_DEL, r->common.blocker);
    bdrv_graph_rdunlock_main_loop();
    r->s = s;
    s->rebuild_job = &r->common;
    job_start(&r->common.job);
    return true;
}

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

/* A job that has ended is still known by its ID for a moment. */
static bool id_is_taken(const char *id)
{
    JOB_LOCK_GUARD();
    return job_get_locked(id) != NULL;
}

char *opus_rebuild_default_id(const OpusRaid *s)
{
    return g_strdup_printf("opus-raid-rebuild-%s",
                           bdrv_get_node_name(s->bs));
}

static void rebuild_bh(void *opaque)
{
    OpusRaid *s = opaque;
    g_autofree char *id = opus_rebuild_default_id(s);
    Error *err = NULL;
    OpusMember *spare;
    unsigned slot;

    if (s->rebuild_job || s->rebuild_starting || !opus_is_writable(s->bs) ||
        !belongs_to_monitor(s->bs) || s->state != RAID_ARRAY_DEGRADED ||
        !(opus_rebuild_is_active(s) || find_spare(s, &spare, &slot))) {
        return;
    }
    if (id_is_taken(id)) {
        timer_mod(s->rebuild_retry,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + RETRY_MS);
    } else if (!opus_rebuild_start(s, id, &err)) {
        error_report_err(err);
    }
}

void opus_rebuild_watch(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    s->rebuild_bh = aio_bh_new(qemu_get_aio_context(), rebuild_bh, s);
    s->rebuild_retry = aio_timer_new(qemu_get_aio_context(),
                                     QEMU_CLOCK_REALTIME, SCALE_MS,
                                     rebuild_bh, s);
    opus_rebuild_look(s);
}

void opus_rebuild_unwatch(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    qemu_bh_delete(s->rebuild_bh);
    s->rebuild_bh = NULL;
    timer_free(s->rebuild_retry);
    s->rebuild_retry = NULL;
}

void opus_rebuild_look(OpusRaid *s)
{
    qemu_bh_schedule(s->rebuild_bh);
}
