/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metadata: superblocks on the members
 *
 * Owns: where superblocks lie and how they get there.
 * Must not know: why the state changed; array.c decides that.
 * Threads: callers hold meta_lock, or own the members alone.
 * Invariants: I6 (an update is durable when the call returns), I13.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/trace.h"

/* Looked for in this order: the first that is valid counts. */
static const unsigned minor_versions[] = { 2, 1, 0 };

MdSuperError coroutine_fn GRAPH_RDLOCK
opus_metadata_read(BdrvChild *child, MdSuper *super, int *io_error)
{
    int64_t device_bytes = bdrv_co_getlength(child->bs);
    MdSuperError best = MD_SUPER_NONE;
    unsigned best_at = 0;
    void *buf;

    if (device_bytes < 0) {
        *io_error = device_bytes;
        return MD_SUPER_NONE;
    }

    *io_error = 0;
    buf = qemu_blockalign(child->bs, MD_SUPER_MAX_BYTES);
    for (unsigned i = 0; i < ARRAY_SIZE(minor_versions); i++) {
        uint64_t off = md_super_offset(minor_versions[i], device_bytes);
        MdSuperError err;
        size_t bytes;

        if (off >= device_bytes) {
            continue;
        }
        bytes = MIN(MD_SUPER_MAX_BYTES, device_bytes - off);
        *io_error = opus_child_pread(child, off, bytes, buf);
        if (*io_error < 0) {
            break;
        }
        *io_error = 0;
        err = md_super_decode(buf, bytes, minor_versions[i], device_bytes,
                              super);
        if (err == MD_SUPER_OK) {
            best = MD_SUPER_OK;
            break;
        }
        if (err > best) {
            best = err;
            best_at = super->error_at;
        }
    }
    if (best != MD_SUPER_OK) {
        super->error_at = best_at;
    }
    qemu_vfree(buf);
    return best;
}

/*
 * All that have one event count have one time, whenever each is written: two
 * times tell that members come from copies of the array that ran apart. Called
 * with state_lock held.
 */
static uint64_t update_time(OpusRaid *s)
{
    if (s->utime_events != s->events) {
        s->utime = raid_update_time(g_get_real_time());
        s->utime_events = s->events;
    }
    return s->utime;
}

/* Make @m's superblock say what @s says. Called with meta_lock held. */
static void super_update(OpusRaid *s, OpusMember *m, uint64_t now)
{
    MdSuper *super = &m->super;

    super->utime = now;
    super->events = s->events;
    super->size_sectors = s->size_sectors;
    super->block_bytes = s->block_bytes;
    super->resync_offset = raid_life_says_dirty(s->life) ? 0
                                                         : s->resync_offset;
    super->cnt_corrected_read = m->corrected_before +
                                qatomic_read(&m->corrected_reads);

    super->feature_map &= ~MD_FEATURE_REPLACEMENT;
    if (opus_is_replacement(s, m)) {
        super->feature_map |= MD_FEATURE_REPLACEMENT;
    }
    if (m->state == RAID_MEMBER_REBUILDING) {
        /* Only this far does it claim to hold its slot (I8). */
        const OpusRebuild *r = m->slot >= 0 ? &s->rebuilds[m->slot] : NULL;

        super->feature_map |= MD_FEATURE_RECOVERY_OFFSET;
        super->feature_map &= ~MD_FEATURE_RECOVERY_BITMAP;
        super->recovery_offset = r ? r->checkpoint / RAID_SECTOR_BYTES : 0;
        if (r && r->by_bitmap) {
            super->feature_map |= MD_FEATURE_RECOVERY_BITMAP;
            super->recovery_offset = 0;
        }
    } else if (super->feature_map & MD_FEATURE_RECOVERY_OFFSET) {
        super->feature_map &= ~(MD_FEATURE_RECOVERY_OFFSET |
                                MD_FEATURE_RECOVERY_BITMAP);
        super->recovery_offset = 0;
    }

    if (m->bad) {
        /* As md has it: only while the log has entries. */
        super->feature_map &= ~MD_FEATURE_BAD_BLOCKS;
        if (qatomic_read(&m->nr_bad)) {
            super->feature_map |= MD_FEATURE_BAD_BLOCKS;
        }
    }

    /*
     * Device numbers that no usable member has are faulty; that is how md
     * records that a member is gone (I5). A spare that was not given this
     * time stays one: it has no data to miss.
     */
    for (unsigned i = 0; i < super->max_dev; i++) {
        if (super->roles[i] != MD_ROLE_SPARE) {
            super->roles[i] = MD_ROLE_FAULTY;
        }
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        const OpusMember *other = &s->members[i];
        uint32_t dev = other->super.dev_number;
        bool holds = other->state == RAID_MEMBER_IN_SYNC ||
                     (other->state == RAID_MEMBER_REBUILDING &&
                      other->slot >= 0);

        /* The table grows with the numbers, as it does when md writes it. */
        if ((holds || other->state == RAID_MEMBER_SPARE) &&
            md_super_add_devices(super, dev + 1)) {
            super->roles[dev] = holds ? other->slot : MD_ROLE_SPARE;
        }
    }
}

static int coroutine_fn GRAPH_RDLOCK write_super(OpusMember *m)
{
    void *buf = qemu_blockalign(m->child->bs, MD_SUPER_MAX_BYTES);
    size_t bytes = md_super_encode(&m->super, buf);
    int ret;

    /* The block layer fills up to the child's own block, if that is larger. */
    bytes = QEMU_ALIGN_UP(bytes, RAID_SECTOR_BYTES);
    ret = opus_member_pwrite(m, m->super_off, buf, bytes,
                             OPUS_SABOTAGED(SUPER_NOT_DURABLE) ? 0 :
                             BDRV_REQ_FUA);
    qemu_vfree(buf);
    trace_opus_raid_super_write(m->child->bs->node_name, m->super.events,
                                m->super.resync_offset, ret);
    return ret;
}

typedef struct SuperWrite {
    OpusRaid *s;
    OpusMember *members[RAID_MAX_MEMBERS * 2];      /* replacements, too */
    RaidMask failed_slots;
} SuperWrite;

static void coroutine_fn GRAPH_RDLOCK super_write_task(void *opaque,
                                                       unsigned i)
{
    SuperWrite *w = opaque;
    OpusMember *m = w->members[i];

    if (write_super(m) == 0) {
        return;
    }
    if (opus_is_replacement(w->s, m)) {
        qatomic_set(&w->s->rebuilds[m->slot].replacement_failed, true);
    } else {
        w->failed_slots |= RAID_BIT(m->slot);
    }
}

RaidMask coroutine_fn GRAPH_RDLOCK opus_metadata_write(OpusRaid *s,
                                                       RaidMask slots)
{
    OPUS_UNINITIALIZED SuperWrite w;
    unsigned nr = 0;

    w.s = s;
    w.failed_slots = 0;

    opus_assert_meta_locked(s);
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        uint64_t now = update_time(s);

        RAID_MASK_FOREACH(slot, slots) {
            super_update(s, s->slots[slot], now);
            w.members[nr++] = s->slots[slot];
        }
        RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
            OpusMember *m = opus_replacement_of(s, slot);

            if (opus_is_replacement(s, m)) {
                super_update(s, m, now);
                w.members[nr++] = m;
            }
        }
    }
    if (nr) {
        opus_parallel(super_write_task, &w, nr, nr);
    }
    return w.failed_slots;
}

int coroutine_fn GRAPH_RDLOCK opus_metadata_write_spare(OpusRaid *s,
                                                        OpusMember *m)
{
    opus_assert_meta_locked(s);
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        super_update(s, m, update_time(s));
    }
    return write_super(m);
}

int coroutine_fn GRAPH_RDLOCK
opus_metadata_write_successor(OpusRaid *s, OpusMember *m,
                              const OpusMember *old)
{
    opus_assert_meta_locked(s);
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        MdSuper *super = &m->super;

        super_update(s, m, update_time(s));
        super->feature_map &= ~(MD_FEATURE_REPLACEMENT |
                                MD_FEATURE_RECOVERY_OFFSET);
        super->recovery_offset = 0;
        if (old->super.dev_number < super->max_dev) {
            super->roles[old->super.dev_number] = MD_ROLE_FAULTY;
        }
    }
    return write_super(m);
}

int coroutine_fn GRAPH_RDLOCK opus_metadata_restart_recovery(OpusMember *m)
{
    m->super.recovery_offset = 0;
    return write_super(m);
}
