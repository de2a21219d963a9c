/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array target: members that are rebuilt, and how they come into use
 *
 * Owns: OpusRaid.rebuilds.
 * Must not know: what is copied, and when.
 * Threads: any; meta_lock is held across superblock writes.
 * Invariants: I6, I8.
 *
 * A slot without a member in use is given to the target at once, so all
 * requests know it by the slot. One that is to replace a member in use stands
 * beside the slot until it holds all of it.
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
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/io.h"
#include "block/opus-raid/trace.h"
#include "util/raid/recover.h"

int coroutine_fn GRAPH_RDLOCK
opus_array_rebuild_begin(OpusRaid *s, OpusMember *m, unsigned slot)
{
    OpusRebuild *r = &s->rebuilds[slot];

    QEMU_LOCK_GUARD(&s->meta_lock);

    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        if (s->slots[slot]) {
            s->slots[slot]->slot = -1;
        }
        r->by_bitmap = m->state == RAID_MEMBER_STALE;
        raid_member_state_set(&m->state, RAID_MEMBER_REBUILDING);
        m->slot = slot;
        s->slots[slot] = m;
        r->checkpoint = 0;
        qatomic_set(&r->done, 0);
        opus_note_flags(s);
    }
    /*
     * One that comes back has a superblock that says it holds its slot. Before
     * others say so, too, its own must not any more: alone it would be started.
     * If it can't be written, the update finds that out.
     */
    if (r->by_bitmap) {
        opus_metadata_write_spare(s, m);
    }
    return opus_array_update(s, 0, NULL, 0);
}

/* What the target holds becomes durable; one that can't do so has failed. */
static int coroutine_fn GRAPH_RDLOCK flush_target(OpusRaid *s, OpusMember *m)
{
    int ret = OPUS_SABOTAGED(CHECKPOINT_BEFORE_FLUSH) ? 0 :
              opus_member_flush(m);

    return ret < 0 ? opus_array_write_failed(s, m, "flush", ret) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_checkpoint(OpusRaid *s,
                                                            unsigned slot)
{
    OpusRebuild *r = &s->rebuilds[slot];
    OpusMember *m = opus_rebuild_target(s, slot);
    uint64_t done = qatomic_read(&r->done);
    RaidMask failed_slots;
    int ret = flush_target(s, m);

    if (ret < 0) {
        return ret;
    }
    QEMU_LOCK_GUARD(&s->meta_lock);
    if (s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (m->state != RAID_MEMBER_REBUILDING || m->slot < 0 ||
        qatomic_read(&r->replacement_failed)) {
        return 0;
    }
    r->checkpoint = done;
    failed_slots = opus_metadata_write(s, RAID_BIT(slot));
    trace_opus_raid_checkpoint(s->bs, slot, done, failed_slots ? -EIO : 0);
    return failed_slots ? opus_array_update(s, failed_slots,
                                            "superblock write", -EIO) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_finish(OpusRaid *s,
                                                        unsigned slot)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    OpusMember *m = s->slots[slot];
    RaidArrayState state_before;
    RaidMask failed_slots = 0;
    int ret = flush_target(s, m);

    if (ret < 0) {
        return ret;
    }
    QEMU_LOCK_GUARD(&s->meta_lock);
    if (m->state != RAID_MEMBER_REBUILDING || s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    /* While it was not in sync its bitmap did not count, and may lack bits. */
    if (regions) {
        failed_slots = regions->join(s, RAID_BIT(slot));
        if (failed_slots) {
            ret = opus_array_update(s, failed_slots, "bitmap write", -EIO);
        }
        if (ret < 0 || m->state != RAID_MEMBER_REBUILDING) {
            return -EIO;
        }
        failed_slots = 0;
        opus_array_arm_idle(s);
    }
    state_before = s->state;
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        raid_member_state_set(&m->state, RAID_MEMBER_IN_SYNC);
        raid_array_state_set(&s->state,
            raid_array_state_of(&s->geom, opus_array_lost_slots(s),
                                s->resync_offset == MD_RESYNC_DONE,
                                s->forced));
    }
    ret = opus_array_commit(s, &failed_slots);
    if (!(failed_slots & RAID_BIT(slot))) {
        qatomic_set(&s->rebuilds[slot].done, UINT64_MAX);
    }
    opus_array_publish(s, failed_slots, state_before, 0, NULL, 0);
    if (ret == 0 && m->state == RAID_MEMBER_IN_SYNC) {
        qapi_event_send_opus_raid_member_in_sync(
            bdrv_get_node_name(s->bs), opus_member_node(m), slot);
        return 0;
    }
    return -EIO;
}

/* The slot has one member, or none, from now on. Under state_lock. */
static void end_replacement(OpusRaid *s, unsigned slot, uint64_t done)
{
    qatomic_set(&s->rebuilds[slot].done, done);
    qatomic_set(&s->replaced_slots, s->replaced_slots & ~RAID_BIT(slot));
    qatomic_set(&s->rebuilds[slot].replacement, NULL);
}

void opus_array_forget_rebuilds(OpusRaid *s, RaidMask failed_slots)
{
    QEMU_LOCK_GUARD(&s->state_lock);
    RAID_MASK_FOREACH(slot, failed_slots) {
        end_replacement(s, slot, 0);
    }
}

/* It is faulty, and gets no more writes. Called with meta_lock held. */
static void coroutine_fn GRAPH_RDLOCK
forget_replacement(OpusRaid *s, unsigned slot, const char *reason, int err)
{
    OpusMember *m = opus_replacement_of(s, slot);
    g_autofree char *text = g_strdup_printf("%s: %s", reason, strerror(-err));

    opus_assert_meta_locked(s);
    qatomic_set(&s->rebuilds[slot].replacement_failed, false);
    if (!m) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        end_replacement(s, slot, 0);
        raid_member_state_set(&m->state, RAID_MEMBER_FAULTY);
        qatomic_set(&m->slot, -1);
    }
    error_report("opus-raid node '%s': member '%s' failed, which was going to "
                 "replace slot %u: %s", bdrv_get_node_name(s->bs),
                 opus_member_name(m), slot, text);
    qapi_event_send_opus_raid_member_failed(bdrv_get_node_name(s->bs),
                                            opus_member_node(m), slot, text);
}

RaidMask coroutine_fn GRAPH_RDLOCK
opus_array_forget_failed_replacements(OpusRaid *s, const char *reason)
{
    RaidMask failed_slots = 0;

    opus_assert_meta_locked(s);
    RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
        if (qatomic_read(&s->rebuilds[slot].replacement_failed)) {
            forget_replacement(s, slot, reason, -EIO);
            failed_slots |= RAID_BIT(slot);
        }
    }
    return failed_slots;
}

void coroutine_fn GRAPH_RDLOCK
opus_array_drop_replacement(OpusRaid *s, unsigned slot, const char *reason,
                            int err)
{
    QEMU_LOCK_GUARD(&s->meta_lock);

    if (opus_replacement_of(s, slot) && s->state != RAID_ARRAY_FAILED) {
        forget_replacement(s, slot, reason, err);
        opus_array_update(s, 0, NULL, 0);
    }
}

void coroutine_fn GRAPH_RDLOCK
opus_array_drop_failed_replacements(OpusRaid *s, const char *reason)
{
    QEMU_LOCK_GUARD(&s->meta_lock);

    if (s->state != RAID_ARRAY_FAILED &&
        opus_array_forget_failed_replacements(s, reason)) {
        opus_array_update(s, 0, NULL, 0);
    }
}

void coroutine_fn GRAPH_RDLOCK opus_array_restart_replacements(OpusRaid *s)
{
    opus_assert_meta_locked(s);
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (opus_member_was_replacement(m) && m->super.recovery_offset &&
            opus_metadata_restart_recovery(m) < 0) {
            QEMU_LOCK_GUARD(&s->state_lock);
            raid_member_state_set(&m->state, RAID_MEMBER_FAULTY);
        }
    }
}

int coroutine_fn GRAPH_RDLOCK
opus_array_replace_begin(OpusRaid *s, OpusMember *m, unsigned slot)
{
    OpusRebuild *r = &s->rebuilds[slot];

    QEMU_LOCK_GUARD(&s->meta_lock);

    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        raid_member_state_set(&m->state, RAID_MEMBER_REBUILDING);
        m->slot = slot;
        r->by_bitmap = false;
        r->checkpoint = 0;
        r->replacement_failed = false;
        qatomic_set(&r->done, 0);
        qatomic_set(&r->replacement, m);
        qatomic_set(&s->replaced_slots, s->replaced_slots | RAID_BIT(slot));
    }
    return opus_array_update(s, 0, NULL, 0);
}

/*
 * What the successor of a slot's member needs before it may say that it is one:
 * bitmap and log of its own, then its superblock. All that it holds is durable.
 * Returns false when it did not take any of these.
 */
static bool coroutine_fn GRAPH_RDLOCK prepare_successor(OpusRaid *s,
                                                        unsigned slot)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    const OpusConsistencyOps *log = opus_active_log(s);
    OpusMember *old = s->slots[slot];
    OpusMember *m = opus_replacement_of(s, slot);
    RaidMask failed_slots = 0;

    /* Nothing is in flight that would look for the other here. */
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        s->slots[slot] = m;
        s->events++;
    }
    if (regions) {
        failed_slots = regions->join(s, RAID_BIT(slot));
    }
    if (!failed_slots && log) {
        failed_slots = log->start(s, RAID_BIT(slot));
    }
    if (!failed_slots && opus_metadata_write_successor(s, m, old) < 0) {
        failed_slots = RAID_BIT(slot);
    }
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        s->slots[slot] = old;
    }
    return !failed_slots;
}

/*
 * Its own superblock comes first, and is durable before the others change. Cut
 * before that, nothing has happened; cut after it, it says that the other is
 * faulty, and who holds the slot all the others know already. If it can't be
 * written, or perhaps is and does not say so, all the others get one event more
 * than it may have.
 */
static bool coroutine_fn GRAPH_RDLOCK take_over(OpusRaid *s, unsigned slot)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    const OpusConsistencyOps *log = opus_active_log(s);
    OpusMember *m = opus_replacement_of(s, slot);
    OpusMember *old = s->slots[slot];
    bool ok = prepare_successor(s, slot);
    RaidMask others = opus_array_active_slots(s);
    RaidMask lost_log = 0;
    RaidMask failed_slots;

    if (!ok) {
        /* The old one's log has been written to as if it were another's. */
        lost_log = log ? log->start(s, RAID_BIT(slot)) : 0;
        forget_replacement(s, slot, "superblock or log write", -EIO);
    } else {
        QEMU_LOCK_GUARD(&s->state_lock);
        raid_member_state_set(&old->state, RAID_MEMBER_FAULTY);
        qatomic_set(&old->slot, -1);
        raid_member_state_set(&m->state, RAID_MEMBER_IN_SYNC);
        s->slots[slot] = m;
        end_replacement(s, slot, UINT64_MAX);
        opus_note_flags(s);
        others &= ~RAID_BIT(slot);
    }
    /* There may be no other left. */
    failed_slots = regions && others
                   ? regions->count_event(s, others, s->events) : 0;
    if (!failed_slots) {
        failed_slots = opus_metadata_write(s, others);
    }
    failed_slots |= lost_log;
    if (failed_slots || !ok) {
        opus_array_update(s, failed_slots, "superblock write", -EIO);
    }
    return ok;
}

int coroutine_fn GRAPH_RDLOCK opus_array_replace_finish(OpusRaid *s,
                                                        unsigned slot)
{
    const OpusConsistencyOps *log = opus_active_log(s);
    OpusMember *m = opus_replacement_of(s, slot);

    if (m && log) {
        /* An empty log says that what was written before is durable. */
        opus_array_flush(s);
        log->start(s, 0);
    } else if (m) {
        flush_target(s, m);
    }
    opus_array_drop_failed_replacements(s, "superblock write or flush");
    QEMU_LOCK_GUARD(&s->meta_lock);
    m = opus_replacement_of(s, slot);
    if (!m || s->state == RAID_ARRAY_FAILED || !take_over(s, slot)) {
        return -EIO;
    }
    qapi_event_send_opus_raid_member_in_sync(bdrv_get_node_name(s->bs),
                                             opus_member_node(m), slot);
    return 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_add_spare(OpusRaid *s, OpusMember *m)
{
    int ret;

    QEMU_LOCK_GUARD(&s->meta_lock);
    /* It must not be older than what it tells; then the others know of it. */
    ret = opus_metadata_write_spare(s, m);
    return ret < 0 ? ret : opus_array_update(s, 0, NULL, 0);
}

void opus_array_teach_target(OpusRaid *s, OpusMember *m)
{
    const MdSuper *model = NULL;
    RaidIntent intent;

    for (unsigned i = 0; i < s->nr_members && !model; i++) {
        if (s->members[i].state == RAID_MEMBER_IN_SYNC) {
            model = &s->members[i].super;
        }
    }
    intent = model ? raid_intent_of(model->feature_map) : RAID_INTENT_RESYNC;
    if (m->state == RAID_MEMBER_STALE) {
        /*
         * It comes back for what the bitmap names, so it knew this bitmap: that
         * is where it was, and so is the log of what the member does not hold.
         */
        return;
    }
    if (!model || (intent == raid_intent_of(m->super.feature_map) &&
                   intent != RAID_INTENT_BITMAP)) {
        return;
    }
    QEMU_LOCK_GUARD(&s->state_lock);
    raid_intent_copy(&m->super, model);
    if (m->super.bblog_offset_sectors != model->bblog_offset_sectors ||
        m->super.bblog_size_sectors != model->bblog_size_sectors) {
        /* It may be where bitmap or log go; and all will be written anyway. */
        opus_bad_log_close(m);
        m->super.feature_map &= ~MD_FEATURE_BAD_BLOCKS;
        m->super.bblog_offset_sectors = 0;
        m->super.bblog_size_sectors = 0;
    }
}
