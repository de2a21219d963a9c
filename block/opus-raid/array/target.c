/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array target: the member that is rebuilt, and how it comes into use
 *
 * Owns: OpusRaid.rebuild.
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
    QEMU_LOCK_GUARD(&s->meta_lock);

    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        if (s->slots[slot]) {
            s->slots[slot]->slot = -1;
        }
        s->rebuild.by_bitmap = m->state == RAID_MEMBER_STALE;
        raid_member_state_set(&m->state, RAID_MEMBER_REBUILDING);
        m->slot = slot;
        s->slots[slot] = m;
        s->rebuild.slot = slot;
        s->rebuild.checkpoint = 0;
        qatomic_set(&s->rebuild.done, 0);
        opus_note_flags(s);
    }
    /*
     * One that comes back has a superblock that says it holds its slot. Before
     * others say so, too, its own must not any more: alone it would be started.
     * If it can't be written, the update finds that out.
     */
    if (s->rebuild.by_bitmap) {
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

int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_checkpoint(OpusRaid *s)
{
    unsigned slot = s->rebuild.slot;
    OpusMember *m = opus_rebuild_target(s);
    uint64_t done = qatomic_read(&s->rebuild.done);
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
        qatomic_read(&s->rebuild.replacement_failed)) {
        return 0;
    }
    s->rebuild.checkpoint = done;
    failed_slots = opus_metadata_write(s, RAID_BIT(slot));
    trace_opus_raid_checkpoint(s->bs, slot, done, failed_slots ? -EIO : 0);
    return failed_slots ? opus_array_update(s, failed_slots,
                                            "superblock write", -EIO) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_rebuild_finish(OpusRaid *s)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    unsigned slot = s->rebuild.slot;
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
        qatomic_set(&s->rebuild.done, UINT64_MAX);
    }
    opus_array_publish(s, failed_slots, state_before, 0, NULL, 0);
    if (ret == 0 && m->state == RAID_MEMBER_IN_SYNC) {
        qapi_event_send_opus_raid_member_in_sync(
            bdrv_get_node_name(s->bs), opus_member_node(m), slot);
        return 0;
    }
    return -EIO;
}

void coroutine_fn GRAPH_RDLOCK opus_array_forget_replacement(OpusRaid *s)
{
    OpusMember *m = s->rebuild.replacement;

    opus_assert_meta_locked(s);
    qatomic_set(&s->rebuild.replacement_failed, false);
    if (!m) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        qatomic_set(&s->rebuild.done, 0);
        qatomic_set(&s->rebuild.replacement, NULL);
        raid_member_state_set(&m->state, RAID_MEMBER_FAULTY);
        m->slot = -1;
    }
    error_report("opus-raid node '%s': member '%s' failed, which was going to "
                 "replace slot %d", bdrv_get_node_name(s->bs),
                 opus_member_name(m), s->rebuild.slot);
}

void coroutine_fn GRAPH_RDLOCK
opus_array_drop_replacement(OpusRaid *s, const char *reason, int err)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    OpusMember *m = s->rebuild.replacement;
    g_autofree char *text = g_strdup_printf("%s: %s", reason, strerror(-err));

    if (m && s->state != RAID_ARRAY_FAILED) {
        opus_array_forget_replacement(s);
        opus_array_update(s, 0, NULL, 0);
        qapi_event_send_opus_raid_member_failed(bdrv_get_node_name(s->bs),
                                                opus_member_node(m),
                                                s->rebuild.slot, text);
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
    QEMU_LOCK_GUARD(&s->meta_lock);

    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        raid_member_state_set(&m->state, RAID_MEMBER_REBUILDING);
        m->slot = slot;
        s->rebuild.slot = slot;
        s->rebuild.by_bitmap = false;
        s->rebuild.checkpoint = 0;
        s->rebuild.replacement_failed = false;
        qatomic_set(&s->rebuild.done, 0);
        qatomic_set(&s->rebuild.replacement, m);
    }
    return opus_array_update(s, 0, NULL, 0);
}

/*
 * Its own superblock comes first, and is durable before the others change. Cut
 * before that, nothing has happened; cut after it, it says that the other is
 * faulty, and who holds the slot all the others know already.
 */
static int coroutine_fn GRAPH_RDLOCK take_over(OpusRaid *s, OpusMember *m)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    unsigned slot = s->rebuild.slot;
    OpusMember *old = s->slots[slot];
    RaidMask others = raid_mask_first(s->geom.nr_slots) &
                      ~opus_array_lost_slots(s) & ~RAID_BIT(slot);
    RaidMask failed_slots;

    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        raid_member_state_set(&old->state, RAID_MEMBER_FAULTY);
        old->slot = -1;
        raid_member_state_set(&m->state, RAID_MEMBER_IN_SYNC);
        s->slots[slot] = m;
        qatomic_set(&s->rebuild.replacement, NULL);
        qatomic_set(&s->rebuild.done, UINT64_MAX);
        opus_note_flags(s);
        s->events++;
    }
    failed_slots = regions ? regions->join(s, RAID_BIT(slot)) : 0;
    if (!failed_slots && opus_metadata_write_spare(s, m) < 0) {
        failed_slots = RAID_BIT(slot);
    }
    /* There may be no other left. */
    if (!failed_slots && regions && others) {
        failed_slots = regions->count_event(s, others, s->events);
    }
    if (!failed_slots) {
        failed_slots = opus_metadata_write(s, others);
    }
    if (failed_slots) {
        opus_array_update(s, failed_slots, "superblock write", -EIO);
    }
    return failed_slots & RAID_BIT(slot) ? -EIO : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_replace_finish(OpusRaid *s)
{
    OpusMember *m = qatomic_read(&s->rebuild.replacement);

    if (m) {
        flush_target(s, m);
    }
    if (qatomic_read(&s->rebuild.replacement_failed)) {
        opus_array_drop_replacement(s, "superblock write or flush", -EIO);
    }
    QEMU_LOCK_GUARD(&s->meta_lock);
    m = s->rebuild.replacement;
    if (!m || s->state == RAID_ARRAY_FAILED || take_over(s, m) < 0) {
        return -EIO;
    }
    qapi_event_send_opus_raid_member_in_sync(bdrv_get_node_name(s->bs),
                                             opus_member_node(m), m->slot);
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
