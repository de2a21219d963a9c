/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array: the live object; its states, its members' failures, its dirty mark
 *
 * Owns: OpusRaid.state, the view in missing_slots, the dirty mark. What is
 * recorded while nothing is written is in dirty.c, the member that is
 * rebuilt in target.c.
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
#include "block/opus-raid/array/array-private.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/life.h"
#include "block/opus-raid/array/may-lose.h"
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/io.h"
#include "block/opus-raid/trace.h"

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

RaidMask opus_array_active_slots(const OpusRaid *s)
{
    RaidMask slots = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (member_is_active(&s->members[i])) {
            slots |= RAID_BIT(s->members[i].slot);
        }
    }
    return slots;
}

RaidMask opus_array_lost_slots(const OpusRaid *s)
{
    return raid_mask_first(s->geom.nr_slots) & ~in_sync_slots(s);
}

/* Take note of a failure. Called with meta_lock held. */
static void coroutine_fn GRAPH_RDLOCK note_failed(OpusRaid *s, unsigned slot,
                                                  const char *reason, int err)
{
    OpusMember *m = s->slots[slot];
    RaidArrayState state;

    opus_assert_meta_locked(s);
    QEMU_LOCK_GUARD(&s->state_lock);

    raid_member_state_set(&m->state, RAID_MEMBER_FAULTY);
    m->unrecorded = !opus_is_writable(s->bs);
    if (opus_replacement_of(s, slot)) {
        /* What it has so far misses what is written from now on. */
        s->rebuilds[slot].checkpoint = 0;
        qatomic_set(&opus_replacement_of(s, slot)->slot, -1);
    }
    state = raid_array_state_of(&s->geom, opus_array_lost_slots(s),
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
        if (state == RAID_ARRAY_FAILED) {
            opus_life_event(s, RAID_LIFE_EVENT_FAIL);
        }
    }
}

int coroutine_fn GRAPH_RDLOCK opus_array_commit(OpusRaid *s,
                                                RaidMask *failed_slots)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    bool counted = false;

    opus_assert_meta_locked(s);
    while (s->state != RAID_ARRAY_FAILED && opus_is_writable(s->bs)) {
        RaidMask now_failed;

        if (!counted) {
            QEMU_LOCK_GUARD(&s->state_lock);
            s->events++;
        }
        /* First the bitmap, or it would be taken for out of date. */
        now_failed = regions ? regions->count_event(s,
                                                    opus_array_active_slots(s),
                                                    s->events) : 0;
        counted = now_failed && !OPUS_SABOTAGED(EVENT_COUNT_SKIPS);
        if (!now_failed) {
            now_failed = opus_metadata_write(s, opus_array_active_slots(s));
        }
        if (!opus_array_forget_failed_replacements(s, "superblock write") &&
            !now_failed) {
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
                                            opus_member_node(s->slots[slot]),
                                            slot, text);
}

void opus_array_changed(OpusRaid *s)
{
    if (s->jobs.changed_bh) {
        qemu_bh_schedule(s->jobs.changed_bh);
    }
}

void coroutine_fn GRAPH_RDLOCK
opus_array_publish(OpusRaid *s, RaidMask failed_slots,
                   RaidArrayState state_before, RaidMask slots,
                   const char *reason, int err)
{
    RaidMask lost = opus_array_lost_slots(s);

    opus_assert_meta_locked(s);
    /* First, or the slot would seem to be rebuilt when it goes missing. */
    opus_array_forget_rebuilds(s, failed_slots);
    qatomic_store_release(&s->missing_slots,
                          s->state == RAID_ARRAY_FAILED ? OPUS_ALL_SLOTS
                                                        : lost);

    if (s->state == RAID_ARRAY_OPTIMAL) {
        /* It was, perhaps, the user's word that redundancy is right. It is. */
        qatomic_set(&s->forced, false);
    }

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
    if (failed_slots || s->state != state_before) {
        opus_array_changed(s);
    }
}

int coroutine_fn GRAPH_RDLOCK opus_array_update(OpusRaid *s, RaidMask slots,
                                                const char *reason, int err)
{
    RaidArrayState state_before = s->state;
    RaidMask failed_slots = slots;
    int ret;

    opus_assert_meta_locked(s);
    RAID_MASK_FOREACH(slot, slots) {
        note_failed(s, slot, reason, err);
    }
    ret = slots && OPUS_SABOTAGED(FAILURE_UNRECORDED) ? 0 :
          opus_array_commit(s, &failed_slots);
    opus_array_publish(s, failed_slots, state_before, slots, reason, err);
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
    return opus_array_update(s, RAID_BIT(slot), reason, err);
}

int coroutine_fn GRAPH_RDLOCK
opus_array_fail_spare_member(OpusRaid *s, unsigned slot, const char *reason,
                             int err)
{
    OpusMember *m = s->slots[slot];

    QEMU_LOCK_GUARD(&s->meta_lock);

    if (s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (!member_is_active(m)) {
        return 0;
    }
    if (!opus_array_can_lose(s, slot)) {
        QEMU_LOCK_GUARD(&s->state_lock);
        qatomic_set(&m->condemned, false);
        return 0;
    }
    return opus_array_update(s, RAID_BIT(slot), reason, err);
}

int coroutine_fn GRAPH_RDLOCK
opus_array_write_failed(OpusRaid *s, OpusMember *m, const char *reason,
                        int err)
{
    int slot = qatomic_read(&m->slot);

    if (slot < 0) {
        return 0;       /* a replacement that was dropped meanwhile */
    }
    if (opus_replacement_of(s, slot) == m) {
        opus_array_drop_replacement(s, slot, reason, err);
        return opus_array_has_failed(s) ? -EIO : 0;
    }
    return opus_array_fail_member(s, slot, reason, err);
}

int coroutine_fn GRAPH_RDLOCK opus_array_write_update(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    return s->state == RAID_ARRAY_FAILED ? -EIO :
           opus_array_update(s, 0, NULL, 0);
}

static void coroutine_fn GRAPH_RDLOCK flush_task(void *opaque, unsigned i)
{
    OpusFlush *f = opaque;

    f->rets[i] = opus_member_flush(f->s->slots[f->slots[i]]);
}

void coroutine_fn GRAPH_RDLOCK opus_array_flush_all(OpusRaid *s, OpusFlush *f)
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
    RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
        OpusMember *replacement = opus_replacement_at(s, slot, 0);

        if (replacement && opus_member_flush(replacement) < 0) {
            qatomic_set(&s->rebuilds[slot].replacement_failed, true);
        }
    }
}

int coroutine_fn GRAPH_RDLOCK opus_array_flush(OpusRaid *s)
{
    OPUS_UNINITIALIZED OpusFlush f;
    int ret = 0;

    opus_array_flush_all(s, &f);
    if (!f.nr) {
        return -EIO;
    }
    for (unsigned i = 0; i < f.nr; i++) {
        if (f.rets[i] == 0 || OPUS_SABOTAGED(FLUSH_ERROR_IGNORED)) {
            continue;
        }
        if (!raid_has_redundancy(&s->geom)) {
            ret = f.rets[i];
        } else if (opus_array_fail_member(s, f.slots[i], "flush",
                                          f.rets[i]) < 0) {
            ret = -EIO;
        }
    }
    if (unlikely(opus_replaced_slots(s))) {
        opus_array_drop_failed_replacements(s, "flush");
    }
    return ret;
}

/* Called with meta_lock held. */
static int coroutine_fn GRAPH_RDLOCK mark_dirty_locked(OpusRaid *s)
{
    int ret = 0;

    opus_assert_meta_locked(s);
    if (s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (!opus_life_is_dirty(s)) {
        opus_life_event(s, RAID_LIFE_EVENT_WRITE);
        ret = OPUS_SABOTAGED(DIRTY_NOT_MARKED) ? 0 :
              opus_array_update(s, 0, NULL, 0);
        trace_opus_raid_dirty(s->bs, true, s->events, ret);
        if (ret == 0) {
            opus_life_event(s, RAID_LIFE_EVENT_MARKED);
            opus_array_arm_idle(s);
        }
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_array_write_begin(OpusRaid *s)
{
    int ret = 0;

    qatomic_inc(&s->idle.active_writes);
    if (unlikely(!opus_life_is_dirty(s))) {
        /* Before a write makes a file that was cut as long as it was. */
        ret = opus_array_check_lengths(s);
        qemu_co_mutex_lock(&s->meta_lock);
        if (ret == 0) {
            ret = mark_dirty_locked(s);
        }
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
    if (!qatomic_read(&s->idle.wrote)) {
        qatomic_set(&s->idle.wrote, true);
    }
    qatomic_dec(&s->idle.active_writes);
}

int coroutine_fn GRAPH_RDLOCK opus_array_start_writing(OpusRaid *s)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    QEMU_LOCK_GUARD(&s->meta_lock);
    RaidMask lagging_slots = 0;
    RaidMask failed_slots;
    RaidMask left_slots;
    bool unrecorded = false;

    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (member_is_active(m) && m->super.events != s->events) {
            lagging_slots |= RAID_BIT(m->slot);
        }
        unrecorded |= m->unrecorded;
    }
    opus_array_restart_replacements(s);
    if (OPUS_SABOTAGED(LAGGING_SUPERS)) {
        lagging_slots = 0;
    }
    failed_slots = opus_metadata_write(s, lagging_slots);
    left_slots = opus_array_active_slots(s) & ~failed_slots;
    if (regions && left_slots) {
        failed_slots |= regions->catch_up(s, left_slots);
        opus_array_arm_idle(s);
    }
    if (!failed_slots && !unrecorded) {
        return 0;
    }
    if (opus_array_update(s, failed_slots, "superblock write", -EIO) < 0) {
        return -EIO;
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        s->members[i].unrecorded = false;
    }
    return 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_record_retaken(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    RaidMask others = opus_array_active_slots(s) & ~s->retaken_slots;

    if (opus_metadata_write(s, others) ||
        opus_metadata_write(s, s->retaken_slots)) {
        return -EIO;
    }
    return opus_array_update(s, 0, NULL, 0);
}

void coroutine_fn GRAPH_RDLOCK opus_array_give_up(OpusRaid *s)
{
    RaidArrayState state_before;

    QEMU_LOCK_GUARD(&s->meta_lock);
    state_before = s->state;
    if (state_before == RAID_ARRAY_FAILED) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        raid_array_state_set(&s->state, RAID_ARRAY_FAILED);
    }
    opus_life_event(s, RAID_LIFE_EVENT_FAIL);
    opus_array_publish(s, 0, state_before, 0, NULL, 0);
}

int coroutine_fn GRAPH_RDLOCK opus_array_logs_replayed(OpusRaid *s)
{
    bool news;
    int ret;

    QEMU_LOCK_GUARD(&s->meta_lock);
    news = s->life == RAID_LIFE_REPLAYING;
    if (news) {
        opus_life_event(s, RAID_LIFE_EVENT_REPLAYED);
    }
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
    ret = news ? opus_array_update(s, 0, NULL, 0) : 0;
    if (ret == 0 && s->life == RAID_LIFE_CLEANING) {
        opus_life_event(s, RAID_LIFE_EVENT_CLEANED);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_array_flush_for_super(OpusRaid *s)
{
    uint64_t done = qatomic_read(&s->resync_done);
    OPUS_UNINITIALIZED OpusFlush f;
    RaidMask failed_slots = 0;

    opus_assert_meta_locked(s);
    f.nr = 0;
    if (!OPUS_SABOTAGED(CLEAN_BEFORE_FLUSH) &&
        !(OPUS_SABOTAGED(RESYNC_BEFORE_FLUSH) &&
          opus_can_resync(s))) {
        opus_array_flush_all(s, &f);
    }
    for (unsigned i = 0; i < f.nr; i++) {
        if (f.rets[i] < 0) {
            failed_slots |= RAID_BIT(f.slots[i]);
        }
    }
    if (failed_slots) {
        opus_array_update(s, failed_slots, "flush", -EIO);
        return -EIO;
    }
    if (opus_regions(s) && opus_can_resync(s)) {
        opus_regions(s)->resynced(s, done);
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
    if (opus_array_flush_for_super(s) < 0) {
        return s->state == RAID_ARRAY_FAILED ? -EIO : 0;
    }
    if (s->resync_offset == MD_RESYNC_DONE || raid_life_says_dirty(s->life)) {
        return 0;
    }
    ret = opus_array_update(s, 0, NULL, 0);
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
    do {
        if (!opus_can_resync(s)) {
            return -EIO;
        }
        /* Each failed flush takes a member away. */
    } while (opus_array_flush_for_super(s) < 0);
    state_before = s->state;
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        s->resync_offset = MD_RESYNC_DONE;
        raid_array_state_set(&s->state,
            raid_array_state_of(&s->geom, opus_array_lost_slots(s), true,
                                s->forced));
    }
    if (opus_regions(s)) {
        opus_regions(s)->resynced(s, UINT64_MAX);
        opus_array_arm_idle(s);
    }
    qatomic_set(&s->resync_done, UINT64_MAX);
    ret = opus_array_commit(s, &failed_slots);
    opus_array_publish(s, failed_slots, state_before, 0, NULL, 0);
    return ret;
}

