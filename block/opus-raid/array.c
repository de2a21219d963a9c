/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array: the live object; its states, its members' failures, its dirty mark
 *
 * Owns: OpusRaid.state, the view in missing_slots, the dirty mark.
 * Must not know: what requests do between write_begin and write_end.
 * Threads: any; meta_lock is held across superblock writes.
 * Invariants: I4, I5, I6, I16.
 *
 * Dirty and clean. A write counts itself in active_writes, then looks at
 * dirty; the idle check clears dirty, then looks at active_writes. Both have
 * a full barrier between, so one of them sees the other: either the write
 * finds the array not dirty and waits for meta_lock to mark it, or the check
 * finds the write and leaves the array dirty.
 *
 * Failure. A member is taken out of the view only when the survivors'
 * superblocks call it faulty. Until then requests go on using it, run into
 * the same error, and wait for meta_lock.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include <linux/raid/md_p.h>
#include "array.h"
#include "bitmap.h"
#include "member.h"
#include "metadata.h"
#include "parallel.h"
#include "read-error.h"
#include "trace.h"

/* md's safe_mode_delay is 200 ms by default; no need to differ. */
#define IDLE_CHECK_MS   200

static RaidMask in_sync_slots(const OpusRaid *s)
{
    RaidMask slots = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].state == RAID_MEMBER_IN_SYNC) {
            slots |= RAID_BIT(s->members[i].slot);
        }
    }
    return slots;
}

/* Is it written to: in sync, or on the way there? */
static bool member_is_active(const OpusMember *m)
{
    return m->slot >= 0 && (m->state == RAID_MEMBER_IN_SYNC ||
                            m->state == RAID_MEMBER_REBUILDING);
}

static RaidMask active_slots(const OpusRaid *s)
{
    RaidMask slots = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (member_is_active(&s->members[i])) {
            slots |= RAID_BIT(s->members[i].slot);
        }
    }
    return slots;
}

static RaidMask lost_slots(const OpusRaid *s)
{
    return raid_mask_first(s->geom.nr_slots) & ~in_sync_slots(s);
}

/* Take note of a failure. Called with meta_lock held. */
static void GRAPH_RDLOCK note_failed(OpusRaid *s, unsigned slot,
                                     const char *reason, int err)
{
    OpusMember *m = s->slots[slot];
    RaidArrayState state;

    QEMU_LOCK_GUARD(&s->state_lock);

    raid_member_state_set(&m->state, RAID_MEMBER_FAULTY);
    state = raid_array_state_of(&s->geom, lost_slots(s),
                                s->resync_offset == MD_RESYNC_DONE,
                                s->forced);
    trace_opus_raid_member_failed(s->bs, opus_member_name(m), slot, reason,
                                  err, raid_array_state_name(state));
    error_report("opus-raid node '%s': member '%s' (slot %u) failed: "
                 "%s: %s; the array is %s",
                 bdrv_get_node_name(s->bs), opus_member_name(m), slot, reason,
                 strerror(-err), raid_array_state_name(state));
    if (state != s->state) {
        raid_array_state_set(&s->state, state);
    }
}

/*
 * Write the superblocks of all members in use, with a new event count, until
 * that works for all that are left; those for which it did not are added to
 * @failed_slots. A read-only array only remembers. Called with meta_lock held.
 *
 * The count is never more than one ahead of what all survivors have (I6): it
 * goes up only for superblocks that are written.
 */
static int coroutine_fn GRAPH_RDLOCK array_commit(OpusRaid *s,
                                                  RaidMask *failed_slots)
{
    bool counted = false;

    while (s->state != RAID_ARRAY_FAILED && opus_is_writable(s->bs)) {
        RaidMask now_failed;

        if (!counted) {
            QEMU_LOCK_GUARD(&s->state_lock);
            s->events++;
        }
        /* First the bitmap, or it would be taken for out of date. */
        now_failed = s->bitmap ? opus_bitmap_write_events(s, active_slots(s),
                                                          s->events) : 0;
        counted = now_failed && !OPUS_SABOTAGED(EVENT_COUNT_SKIPS);
        if (!now_failed) {
            now_failed = opus_metadata_write(s, active_slots(s));
        }
        if (!now_failed) {
            break;
        }
        *failed_slots |= now_failed;
        RAID_MASK_FOREACH(slot, now_failed) {
            note_failed(s, slot, "superblock write", -EIO);
        }
    }
    return s->state == RAID_ARRAY_FAILED ? -EIO : 0;
}

static void GRAPH_RDLOCK send_member_failed(OpusRaid *s, unsigned slot,
                                            const char *reason, int err)
{
    g_autofree char *text = g_strdup_printf("%s: %s", reason, strerror(-err));

    qapi_event_send_opus_raid_member_failed(bdrv_get_node_name(s->bs),
                                            opus_member_name(s->slots[slot]),
                                            slot, text);
}

/*
 * Let requests and users see what changed: members of @failed_slots failed,
 * those of @slots among them by @reason. Called with meta_lock held, after
 * array_commit().
 */
static void GRAPH_RDLOCK array_publish(OpusRaid *s, RaidMask failed_slots,
                                       RaidArrayState state_before,
                                       RaidMask slots, const char *reason,
                                       int err)
{
    RaidMask lost = lost_slots(s);

    /* First, or the slot would seem to be rebuilt when it goes missing. */
    if (s->rebuild_slot >= 0 && (failed_slots & RAID_BIT(s->rebuild_slot))) {
        qatomic_set(&s->rebuild_done, 0);
    }
    qatomic_store_release(&s->missing_slots,
                          s->state == RAID_ARRAY_FAILED ? ~(RaidMask)0 : lost);

    RAID_MASK_FOREACH(slot, failed_slots) {
        if (slots & RAID_BIT(slot)) {
            send_member_failed(s, slot, reason, err);
        } else {
            send_member_failed(s, slot, "superblock write", -EIO);
        }
    }
    if (s->state != state_before) {
        qapi_event_send_opus_raid_state_changed(
            bdrv_get_node_name(s->bs),
            (OpusRaidArrayState)s->state, raid_mask_count(lost));
    }
    if ((failed_slots || s->state != state_before) && s->watch_bh) {
        qemu_bh_schedule(s->watch_bh);
    }
}

/*
 * Take members out of the array, write what it then is, and publish that.
 * @slots may be empty, to write an update. Called with meta_lock held.
 */
static int coroutine_fn GRAPH_RDLOCK array_update(OpusRaid *s, RaidMask slots,
                                                  const char *reason, int err)
{
    RaidArrayState state_before = s->state;
    RaidMask failed_slots = slots;
    int ret;

    RAID_MASK_FOREACH(slot, slots) {
        note_failed(s, slot, reason, err);
    }
    ret = slots && OPUS_SABOTAGED(FAILURE_UNRECORDED) ? 0 :
          array_commit(s, &failed_slots);
    array_publish(s, failed_slots, state_before, slots, reason, err);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_array_fail_member(OpusRaid *s, unsigned slot, const char *reason,
                       int err)
{
    QEMU_LOCK_GUARD(&s->meta_lock);

    if (s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (!member_is_active(s->slots[slot])) {
        return 0;
    }
    return array_update(s, RAID_BIT(slot), reason, err);
}

int coroutine_fn GRAPH_RDLOCK opus_array_write_update(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    return s->state == RAID_ARRAY_FAILED ? -EIO : array_update(s, 0, NULL, 0);
}

typedef struct FlushAll {
    OpusRaid *s;
    unsigned nr;
    uint8_t slots[RAID_MAX_MEMBERS];
    int rets[RAID_MAX_MEMBERS];
} FlushAll;

static void coroutine_fn GRAPH_RDLOCK flush_task(void *opaque, unsigned i)
{
    FlushAll *f = opaque;

    f->rets[i] = opus_member_flush(f->s->slots[f->slots[i]]);
}

static void coroutine_fn GRAPH_RDLOCK flush_all(OpusRaid *s, FlushAll *f)
{
    /* One that is being rebuilt holds guest data up to where that is done. */
    RaidMask use = raid_mask_first(s->geom.nr_slots) & ~opus_missing_at(s, 0);

    f->s = s;
    f->nr = 0;
    RAID_MASK_FOREACH(slot, use) {
        f->slots[f->nr++] = slot;
    }
    if (OPUS_SABOTAGED(FLUSH_ONE_MEMBER)) {
        f->nr = MIN(f->nr, 1);
    }
    if (f->nr) {
        opus_parallel(flush_task, f, f->nr, f->nr);
    }
}

int coroutine_fn GRAPH_RDLOCK opus_array_flush(OpusRaid *s)
{
    OPUS_UNINITIALIZED FlushAll f;
    int ret = 0;

    flush_all(s, &f);
    if (!f.nr) {
        return -EIO;
    }
    for (unsigned i = 0; i < f.nr; i++) {
        if (f.rets[i] == 0 || OPUS_SABOTAGED(FLUSH_ERROR_IGNORED)) {
            continue;
        }
        if (s->geom.level == RAID_LEVEL_0) {
            ret = f.rets[i];
        } else if (opus_array_fail_member(s, f.slots[i], "flush",
                                          f.rets[i]) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

/* Any thread. Before opus_array_idle_start() it does nothing. */
static void arm_idle_timer(OpusRaid *s)
{
    if (s->idle_timer) {
        timer_mod(s->idle_timer,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + IDLE_CHECK_MS);
    }
}

/* Called with meta_lock held. */
static int coroutine_fn GRAPH_RDLOCK mark_dirty_locked(OpusRaid *s)
{
    int ret = 0;

    if (s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (!s->dirty) {
        s->super_dirty = true;
        qatomic_set(&s->shown_dirty, true);
        ret = OPUS_SABOTAGED(DIRTY_NOT_MARKED) ? 0 :
              array_update(s, 0, NULL, 0);
        trace_opus_raid_dirty(s->bs, true, s->events, ret);
        if (ret == 0) {
            qatomic_set(&s->dirty, true);
            arm_idle_timer(s);
        }
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_array_write_begin(OpusRaid *s)
{
    int ret = 0;

    qatomic_inc(&s->active_writes);
    if (unlikely(!qatomic_read(&s->dirty))) {
        qemu_co_mutex_lock(&s->meta_lock);
        ret = mark_dirty_locked(s);
        qemu_co_mutex_unlock(&s->meta_lock);
        if (ret < 0) {
            opus_array_write_end(s);
        }
    }
    return ret;
}

void opus_array_write_end(OpusRaid *s)
{
    /* Read first: the line then stays shared while it is true already. */
    if (!qatomic_read(&s->wrote)) {
        qatomic_set(&s->wrote, true);
    }
    qatomic_dec(&s->active_writes);
}

int coroutine_fn GRAPH_RDLOCK opus_array_start_writing(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    RaidMask lagging_slots = 0;
    RaidMask failed_slots;

    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (member_is_active(m) && m->super.events != s->events) {
            lagging_slots |= RAID_BIT(m->slot);
        }
    }
    if (OPUS_SABOTAGED(LAGGING_SUPERS)) {
        lagging_slots = 0;
    }
    failed_slots = opus_metadata_write(s, lagging_slots);
    if (s->bitmap && active_slots(s) & ~failed_slots) {
        failed_slots |= opus_bitmap_write_changes(s, active_slots(s) &
                                                     ~failed_slots);
        arm_idle_timer(s);
    }
    if (!failed_slots) {
        return 0;
    }
    return array_update(s, failed_slots, "superblock write", -EIO);
}

int coroutine_fn GRAPH_RDLOCK opus_array_logs_replayed(OpusRaid *s)
{
    bool news = s->super_dirty;

    QEMU_LOCK_GUARD(&s->meta_lock);
    s->super_dirty = false;
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        for (unsigned i = 0; i < s->nr_members; i++) {
            MdSuper *super = &s->members[i].super;

            if (super->feature_map & MD_FEATURE_PPL) {
                super->feature_map &= ~MD_FEATURE_PPL;
                super->feature_map |= MD_FEATURE_MULTIPLE_PPLS;
                news = true;
            }
        }
    }
    return news ? array_update(s, 0, NULL, 0) : 0;
}

int coroutine_fn GRAPH_RDLOCK
opus_array_rebuild_begin(OpusRaid *s, OpusMember *m, unsigned slot)
{
    QEMU_LOCK_GUARD(&s->meta_lock);

    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        if (s->slots[slot]) {
            s->slots[slot]->slot = -1;
        }
        s->rebuild_by_bitmap = m->state == RAID_MEMBER_STALE;
        raid_member_state_set(&m->state, RAID_MEMBER_REBUILDING);
        m->slot = slot;
        s->slots[slot] = m;
        s->rebuild_slot = slot;
        s->rebuild_checkpoint = 0;
        qatomic_set(&s->rebuild_done, 0);
        opus_note_flags(s);
    }
    return array_update(s, 0, NULL, 0);
}

/* What the target holds becomes durable; one that can't do so has failed. */
static int coroutine_fn GRAPH_RDLOCK flush_target(OpusRaid *s, unsigned slot)
{
    int ret = OPUS_SABOTAGED(CHECKPOINT_BEFORE_FLUSH) ? 0 :
              opus_member_flush(s->slots[slot]);

    return ret < 0 ? opus_array_fail_member(s, slot, "flush", ret) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_checkpoint(OpusRaid *s)
{
    unsigned slot = s->rebuild_slot;
    OpusMember *m = s->slots[slot];
    uint64_t done = qatomic_read(&s->rebuild_done);
    RaidMask failed_slots;
    int ret = flush_target(s, slot);

    if (ret < 0) {
        return ret;
    }
    QEMU_LOCK_GUARD(&s->meta_lock);
    if (m->state != RAID_MEMBER_REBUILDING) {
        return 0;
    }
    s->rebuild_checkpoint = done;
    failed_slots = opus_metadata_write(s, RAID_BIT(slot));
    trace_opus_raid_checkpoint(s->bs, slot, done, failed_slots ? -EIO : 0);
    return failed_slots ? array_update(s, failed_slots, "superblock write",
                                       -EIO) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_finish(OpusRaid *s)
{
    unsigned slot = s->rebuild_slot;
    OpusMember *m = s->slots[slot];
    RaidArrayState state_before;
    RaidMask failed_slots = 0;
    int ret = flush_target(s, slot);

    if (ret < 0) {
        return ret;
    }
    QEMU_LOCK_GUARD(&s->meta_lock);
    if (m->state != RAID_MEMBER_REBUILDING || s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    /* While it was not in sync its bitmap did not count, and may lack bits. */
    if (s->bitmap) {
        failed_slots = opus_bitmap_write_all(s, RAID_BIT(slot));
        if (failed_slots) {
            ret = array_update(s, failed_slots, "bitmap write", -EIO);
        }
        if (ret < 0 || m->state != RAID_MEMBER_REBUILDING) {
            return -EIO;
        }
        failed_slots = 0;
        arm_idle_timer(s);
    }
    state_before = s->state;
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        raid_member_state_set(&m->state, RAID_MEMBER_IN_SYNC);
        raid_array_state_set(&s->state,
            raid_array_state_of(&s->geom, lost_slots(s),
                                s->resync_offset == MD_RESYNC_DONE,
                                s->forced));
    }
    ret = array_commit(s, &failed_slots);
    if (!(failed_slots & RAID_BIT(slot))) {
        qatomic_set(&s->rebuild_done, UINT64_MAX);
    }
    array_publish(s, failed_slots, state_before, 0, NULL, 0);
    if (ret == 0 && m->state == RAID_MEMBER_IN_SYNC) {
        qapi_event_send_opus_raid_member_in_sync(
            bdrv_get_node_name(s->bs), opus_member_name(m), slot);
        return 0;
    }
    return -EIO;
}

int coroutine_fn GRAPH_RDLOCK opus_array_add_spare(OpusRaid *s, OpusMember *m)
{
    int ret;

    QEMU_LOCK_GUARD(&s->meta_lock);
    /* It must not be older than what it tells; then the others know of it. */
    ret = opus_metadata_write_spare(s, m);
    return ret < 0 ? ret : array_update(s, 0, NULL, 0);
}

/*
 * Flush all members; those that can't be are failed. Takes note of how far a
 * resync was before. Called with meta_lock held. Returns 0, or -EIO when one
 * failed.
 */
static int coroutine_fn GRAPH_RDLOCK flush_for_super(OpusRaid *s)
{
    uint64_t done = qatomic_read(&s->resync_done);
    OPUS_UNINITIALIZED FlushAll f;
    RaidMask failed_slots = 0;

    f.nr = 0;
    if (!OPUS_SABOTAGED(CLEAN_BEFORE_FLUSH)) {
        flush_all(s, &f);
    }
    for (unsigned i = 0; i < f.nr; i++) {
        if (f.rets[i] < 0) {
            failed_slots |= RAID_BIT(f.slots[i]);
        }
    }
    if (failed_slots) {
        array_update(s, failed_slots, "flush", -EIO);
        return -EIO;
    }
    if (s->bitmap && s->state == RAID_ARRAY_RESYNC_PENDING) {
        opus_bitmap_resynced(s, done);
    }
    if (s->resync_offset != MD_RESYNC_DONE && done != UINT64_MAX) {
        QEMU_LOCK_GUARD(&s->state_lock);
        s->resync_offset = done / RAID_SECTOR_BYTES;
    }
    return 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_resync_checkpoint(OpusRaid *s)
{
    int ret;

    QEMU_LOCK_GUARD(&s->meta_lock);
    if (s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (flush_for_super(s) < 0) {
        return s->state == RAID_ARRAY_FAILED ? -EIO : 0;
    }
    if (s->resync_offset == MD_RESYNC_DONE || s->super_dirty) {
        return 0;
    }
    ret = array_update(s, 0, NULL, 0);
    trace_opus_raid_resync_checkpoint(s->bs, s->resync_offset *
                                      RAID_SECTOR_BYTES, ret);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_array_resync_finish(OpusRaid *s)
{
    RaidArrayState state_before;
    RaidMask failed_slots = 0;
    int ret;

    QEMU_LOCK_GUARD(&s->meta_lock);
    if (s->state != RAID_ARRAY_RESYNC_PENDING || flush_for_super(s) < 0) {
        return -EIO;
    }
    state_before = s->state;
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        s->resync_offset = MD_RESYNC_DONE;
        raid_array_state_set(&s->state,
            raid_array_state_of(&s->geom, lost_slots(s), true, s->forced));
    }
    if (s->bitmap) {
        opus_bitmap_resynced(s, UINT64_MAX);
        arm_idle_timer(s);
    }
    qatomic_set(&s->resync_done, UINT64_MAX);
    ret = array_commit(s, &failed_slots);
    array_publish(s, failed_slots, state_before, 0, NULL, 0);
    return ret;
}

/* Called with meta_lock held. */
static int coroutine_fn GRAPH_RDLOCK mark_clean_locked(OpusRaid *s)
{
    int ret;

    qatomic_set(&s->dirty, false);
    /* Pairs with the one in the increment in opus_array_write_begin(). */
    smp_mb();
    if (qatomic_read(&s->active_writes)) {
        qatomic_set(&s->dirty, true);
        return 0;
    }

    /*
     * A member that can't be flushed may have lost writes, and a later flush
     * of it may well succeed: it must not be used any more.
     */
    if (flush_for_super(s) < 0) {
        qatomic_set(&s->dirty, true);
        return s->state == RAID_ARRAY_FAILED ? -EIO : 0;
    }

    s->super_dirty = false;
    ret = array_update(s, 0, NULL, 0);
    qatomic_set(&s->shown_dirty, ret < 0);
    trace_opus_raid_dirty(s->bs, false, s->events, ret);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_array_mark_clean(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);

    if (!s->dirty || s->state == RAID_ARRAY_FAILED) {
        return 0;
    }
    return mark_clean_locked(s);
}

int coroutine_fn GRAPH_RDLOCK opus_array_sweep(OpusRaid *s)
{
    OPUS_UNINITIALIZED FlushAll f;
    RaidMask failed_slots = 0;
    RaidMask slots;

    QEMU_LOCK_GUARD(&s->meta_lock);
    if (!s->bitmap || s->state == RAID_ARRAY_FAILED) {
        return 0;
    }
    slots = active_slots(s);
    if (opus_bitmap_sweep_begin(s, lost_slots(s)) &&
        !OPUS_SABOTAGED(INTENT_CLEARED_EARLY)) {
        flush_all(s, &f);
        for (unsigned i = 0; i < f.nr; i++) {
            if (f.rets[i] < 0) {
                failed_slots |= RAID_BIT(f.slots[i]);
            }
        }
    }
    if (!failed_slots) {
        failed_slots = opus_bitmap_sweep_end(s, slots);
    }
    return failed_slots ? array_update(s, failed_slots, "flush or bitmap "
                                       "write", -EIO) : 0;
}

static bool sweeps_help(OpusRaid *s)
{
    return s->bitmap && !opus_missing_slots(s) && opus_bitmap_has_bits(s);
}

static void coroutine_fn idle_check_co(void *opaque)
{
    OpusRaid *s = opaque;
    BlockDriverState *bs = s->bs;
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    WITH_GRAPH_RDLOCK_GUARD() {
        if (s->bitmap && now >= s->bitmap->next_sweep_ms) {
            opus_array_sweep(s);
            s->bitmap->next_sweep_ms = now + opus_bitmap_sleep_ms(s);
        }
        if (s->idle) {
            opus_array_mark_clean(s);
        }
    }
    /* A failed array stays as it is. */
    if (opus_missing_slots(s) != ~(RaidMask)0 &&
        (qatomic_read(&s->dirty) || sweeps_help(s))) {
        arm_idle_timer(s);
    }
    bdrv_dec_in_flight(bs);
}

static void idle_timer_cb(void *opaque)
{
    OpusRaid *s = opaque;

    if (!qatomic_read(&s->dirty) && !sweeps_help(s)) {
        return;
    }

    /* First count, then look: whoever drains does it the other way round. */
    bdrv_inc_in_flight(s->bs);
    s->idle = !qatomic_xchg(&s->wrote, false) &&
              !qatomic_read(&s->active_writes);
    if ((!s->idle && !s->bitmap) || qatomic_read(&s->bs->quiesce_counter)) {
        arm_idle_timer(s);
        bdrv_dec_in_flight(s->bs);
        return;
    }
    qemu_coroutine_enter(qemu_coroutine_create(idle_check_co, s));
}

void opus_array_idle_start(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    s->idle_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME,
                                  SCALE_MS, idle_timer_cb, s);
    if (s->bitmap && opus_is_writable(s->bs)) {
        arm_idle_timer(s);
    }
}

void opus_array_idle_stop(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    timer_free(s->idle_timer);
    s->idle_timer = NULL;
}
