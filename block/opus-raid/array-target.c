/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array target: the member that is rebuilt, and how it comes into use
 *
 * Owns: OpusRaid.rebuild_slot, .rebuild_checkpoint.
 * Must not know: what is computed, and when.
 * Threads: any; meta_lock is held across superblock writes.
 * Invariants: I6, I8.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "qemu/lockable.h"
#include "array.h"
#include "array-parts.h"
#include "bitmap.h"
#include "member.h"
#include "metadata.h"
#include "read-error.h"
#include "trace.h"

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
    return opus_array_update(s, 0, NULL, 0);
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
    return failed_slots ? opus_array_update(s, failed_slots,
                                            "superblock write", -EIO) : 0;
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
        qatomic_set(&s->rebuild_done, UINT64_MAX);
    }
    opus_array_publish(s, failed_slots, state_before, 0, NULL, 0);
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
    return ret < 0 ? ret : opus_array_update(s, 0, NULL, 0);
}
