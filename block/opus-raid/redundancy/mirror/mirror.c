/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mirror: one chunk of a RAID1 or RAID10 array
 *
 * Owns: keeping its copies the same.
 * Must not know: how requests are cut.
 * Threads: any; the stripe lock of the chunk keeps writers apart (I10).
 * Invariants: I5, I10; all copies are written from one private buffer.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/bounce.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/mirror/copies.h"
#include "block/opus-raid/redundancy/mirror/mirror.h"
#include "block/opus-raid/redundancy/no-room.h"
#include "block/opus-raid/redundancy/salvage.h"

/* One write to each usable copy of a piece of a chunk. */
typedef struct CopyWrite {
    BdrvRequestFlags flags;
    bool zero;
    size_t bytes;
    uint8_t *buf;
    unsigned nr;
    OpusMember *members[RAID_MAX_MEMBERS * 2];      /* replacements, too */
    uint64_t member_off[RAID_MAX_MEMBERS * 2];
    int rets[RAID_MAX_MEMBERS * 2];
} CopyWrite;

static void coroutine_fn GRAPH_RDLOCK copy_write_task(void *opaque, unsigned i)
{
    CopyWrite *w = opaque;
    OpusMember *m = w->members[i];
    int64_t off = opus_member_data(m, w->member_off[i]);

    if (w->zero) {
        w->rets[i] = opus_member_pwrite_zeroes(m, off, w->bytes, w->flags);
    } else {
        w->rets[i] = opus_member_pwrite(m, off, w->buf, w->bytes, w->flags);
    }
}

/* With the chunk's lock held: those in use, and one that is rebuilt here. */
static RaidMask copies_to_write(OpusRaid *s, uint64_t array_off)
{
    RaidMask missing_slots = opus_missing_slots(s);
    RaidMask copies = raid_plan_copies(&s->geom, array_off, missing_slots);

    if (likely(!missing_slots) || missing_slots == OPUS_ALL_SLOTS) {
        return copies;
    }
    for (unsigned copy = 0; copy < s->geom.copies; copy++) {
        RaidLoc loc;

        raid_map_copy(&s->geom, array_off, copy, &loc);
        if (!(opus_missing_at(s, loc.member_off) & RAID_BIT(loc.slot))) {
            copies |= RAID_BIT(copy);
        }
    }
    return copies;
}

/* @m may be NULL. */
static void add_write(CopyWrite *w, OpusMember *m, uint64_t member_off)
{
    if (m) {
        w->members[w->nr] = m;
        w->member_off[w->nr] = member_off;
        w->nr++;
    }
}

/*
 * Not all copies are written. Returns 0 when it is enough that their members
 * have failed.
 */
static int coroutine_fn GRAPH_RDLOCK
write_failed(OpusRaid *s, uint64_t array_off, const CopyWrite *w)
{
    OpusRefusal refusal = { 0 };
    int ret;

    for (unsigned i = 0; i < w->nr; i++) {
        opus_refusal_note(s, &refusal, w->members[i], w->rets[i]);
    }
    ret = opus_copies_settle_refusal(s, array_off >> s->geom.chunk_shift,
                                     &refusal);
    if (ret < 0) {
        return ret;
    }
    for (unsigned i = 0; i < w->nr; i++) {
        if (w->rets[i] < 0 &&
            opus_array_write_failed(s, w->members[i], "write",
                                    w->rets[i]) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

/*
 * Write all copies. Returns 0, -EIO when the array has failed, or what all
 * members said that had no room.
 */
static int coroutine_fn GRAPH_RDLOCK
write_copies(OpusRaid *s, uint64_t array_off, CopyWrite *w)
{
    RaidMask copies = copies_to_write(s, array_off);
    int ret = 0;

    if (!copies) {
        return -EIO;
    }
    w->nr = 0;
    RAID_MASK_FOREACH(copy, copies) {
        RaidLoc loc;

        raid_map_copy(&s->geom, array_off, copy, &loc);
        add_write(w, s->slots[loc.slot], loc.member_off);
        add_write(w, opus_replacement_at(s, loc.slot, loc.member_off),
                  loc.member_off);
    }
    opus_parallel(copy_write_task, w, w->nr, w->nr);
    for (unsigned i = 0; i < w->nr; i++) {
        if (unlikely(w->rets[i] < 0) &&
            !OPUS_SABOTAGED(WRITE_ERROR_IGNORED)) {
            ret = write_failed(s, array_off, w);
            break;
        }
    }
    opus_count(&s->stats, OPUS_COUNT_PLAIN_WRITES);
    if (raid_mask_count(copies) < s->geom.copies) {
        opus_count(&s->stats, OPUS_COUNT_DEGRADED_WRITES);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_mirror_write(OpusRaid *s, uint64_t array_off, size_t bytes,
                  QEMUIOVector *qiov, size_t qiov_offset,
                  BdrvRequestFlags flags)
{
    OPUS_UNINITIALIZED CopyWrite w;
    OpusStripeLock lock;
    int ret;

    opus_stripe_lock(&s->stripe_locks, array_off >> s->geom.chunk_shift,
                     &lock);
    w.flags = flags;
    w.zero = false;
    w.bytes = bytes;
    if (OPUS_SABOTAGED(NO_BOUNCE)) {
        w.buf = qiov->iov->iov_base + qiov_offset;
        ret = write_copies(s, array_off, &w);
        opus_stripe_unlock(&s->stripe_locks, &lock);
        return ret;
    }
    w.buf = opus_bounce_alloc(bytes);
    if (w.buf) {
        qemu_iovec_to_buf(qiov, qiov_offset, w.buf, bytes);
        ret = write_copies(s, array_off, &w);
    } else {
        ret = -ENOMEM;
    }
    opus_bounce_free(w.buf, bytes);
    opus_stripe_unlock(&s->stripe_locks, &lock);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_mirror_zero(OpusRaid *s, uint64_t array_off, size_t bytes,
                 BdrvRequestFlags flags)
{
    OPUS_UNINITIALIZED CopyWrite w;
    OpusStripeLock lock;
    int ret;

    w.flags = flags;
    w.zero = true;
    w.bytes = bytes;
    opus_stripe_lock(&s->stripe_locks, array_off >> s->geom.chunk_shift,
                     &lock);
    ret = write_copies(s, array_off, &w);
    opus_stripe_unlock(&s->stripe_locks, &lock);
    return ret;
}

/* Give @bad_slot back what another copy had. */
static int coroutine_fn GRAPH_RDLOCK
rewrite_copy(OpusRaid *s, uint64_t array_off, const void *buf, size_t bytes,
             unsigned bad_slot)
{
    for (unsigned copy = 0; copy < s->geom.copies; copy++) {
        OpusMember *m;
        RaidLoc loc;
        bool recorded;
        int64_t off;
        int err;

        raid_map_copy(&s->geom, array_off, copy, &loc);
        if (loc.slot != bad_slot || !opus_slot_usable(s, bad_slot)) {
            continue;
        }
        m = s->slots[bad_slot];
        off = opus_member_data(m, loc.member_off);
        recorded = opus_member_is_bad(m, off, bytes);
        err = opus_member_pwrite(m, off, buf, bytes, 0);
        if (recorded) {
            return 0;           /* no news, and it may well stay bad */
        }
        if (err == 0) {
            qatomic_inc(&m->corrected_reads);
        }
        qapi_event_send_opus_raid_read_error(bdrv_get_node_name(s->bs),
                                             opus_member_node(m), bad_slot,
                                             off, bytes, err == 0);
        return err == 0 ? 0 : opus_array_fail_member(s, bad_slot, "rewrite",
                                                     err);
    }
    return 0;
}

/*
 * Read the first usable copy but those in @unreadable_slots, which may grow.
 * Returns 0, -ENODATA when there is no other, or -EIO when the array has
 * failed; or -EAGAIN when part of it may be readable where reads take it from,
 * and another copy may hold something else there: then do it in crumbs.
 */
static int coroutine_fn GRAPH_RDLOCK
read_other_copy(OpusRaid *s, uint64_t array_off, void *buf, size_t bytes,
                RaidMask *unreadable_slots)
{
    for (;;) {
        int copy = opus_copies_first(s, array_off, *unreadable_slots);
        RaidLoc loc;
        OpusMember *m;
        int64_t off;
        int ret;

        if (copy < 0) {
            return -ENODATA;
        }
        if (*unreadable_slots && bytes > OPUS_CRUMB_BYTES &&
            opus_copies_may_differ(s, array_off)) {
            return -EAGAIN;
        }
        raid_map_copy(&s->geom, array_off, copy, &loc);
        m = s->slots[loc.slot];
        off = opus_member_data(m, loc.member_off);
        if (opus_member_is_bad(m, off, bytes)) {
            *unreadable_slots |= RAID_BIT(loc.slot);
            continue;
        }
        ret = opus_member_pread(m, off, buf, bytes);
        if (ret == 0) {
            return 0;
        }
        *unreadable_slots |= RAID_BIT(loc.slot);
        ret = opus_array_read_failed(s, loc.slot, ret);
        if (ret < 0) {
            return ret;
        }
    }
}

/* The same, where copies are unreadable in different places. */
static int coroutine_fn GRAPH_RDLOCK
read_crumbs(OpusRaid *s, uint64_t array_off, void *buf, size_t bytes)
{
    int ret = 0;

    for (size_t done = 0; done < bytes && ret == 0; ) {
        size_t here = MIN(bytes - done, OPUS_CRUMB_BYTES);
        RaidMask unreadable_slots = 0;

        ret = read_other_copy(s, array_off + done, buf + done, here,
                              &unreadable_slots);
        done += here;
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_mirror_recover(OpusRaid *s, uint64_t array_off, size_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    unsigned bad_slot)
{
    RaidMask unreadable_slots = RAID_BIT(bad_slot);
    OpusStripeLock lock;
    void *buf;
    int ret = -ENOMEM;

    opus_stripe_lock(&s->stripe_locks, array_off >> s->geom.chunk_shift,
                     &lock);
    buf = opus_bounce_alloc(bytes);
    if (buf) {
        ret = read_other_copy(s, array_off, buf, bytes, &unreadable_slots);
    }
    if (ret == -ENODATA || ret == -EAGAIN) {
        unreadable_slots = 0;       /* no copy of it lacks all of it */
        ret = read_crumbs(s, array_off, buf, bytes);
    }
    if (ret == 0) {
        qemu_iovec_from_buf(qiov, qiov_offset, buf, bytes);
        if (opus_is_writable(s->bs)) {
            RAID_MASK_FOREACH(slot, unreadable_slots) {
                if (rewrite_copy(s, array_off, buf, bytes, slot) < 0) {
                    ret = -EIO;
                }
            }
        }
    }
    opus_bounce_free(buf, bytes);
    opus_stripe_unlock(&s->stripe_locks, &lock);
    opus_count(&s->stats, OPUS_COUNT_DEGRADED_READS);
    return ret == -ENODATA ? -EIO : ret;
}

static void GRAPH_RDLOCK send_unreadable(OpusRaid *s, uint64_t array_off,
                                         uint64_t bytes, RaidMask slots)
{
    for (unsigned copy = 0; copy < s->geom.copies; copy++) {
        OpusMember *m;
        RaidLoc loc;

        raid_map_copy(&s->geom, array_off, copy, &loc);
        if (slots & RAID_BIT(loc.slot)) {
            m = s->slots[loc.slot];
            qapi_event_send_opus_raid_read_error(
                bdrv_get_node_name(s->bs), opus_member_node(m), loc.slot,
                opus_member_data(m, loc.member_off), bytes, false);
        }
    }
}

/* A chunk of a copy that is rebuilt. */
typedef struct MirrorRebuild {
    OpusRaid *s;
    uint64_t array_off;
    void *buf;                  /* of all of it */
    OpusMember *to;
    uint64_t member_off;
} MirrorRebuild;

/* From any other copy; an OpusSalvageFn. */
static int coroutine_fn GRAPH_RDLOCK rebuild_piece(void *opaque, uint32_t off,
                                                   uint32_t bytes)
{
    const MirrorRebuild *r = opaque;
    OpusRaid *s = r->s;
    uint64_t array_off = r->array_off + off;
    RaidMask unreadable_slots = 0;
    int ret = read_other_copy(s, array_off, r->buf, bytes, &unreadable_slots);

    if (ret == -ENODATA) {
        send_unreadable(s, array_off, bytes, unreadable_slots);
    }
    if (ret < 0) {
        return ret;
    }
    ret = opus_member_pwrite(r->to,
                             opus_member_data(r->to, r->member_off + off),
                             r->buf, bytes, 0);
    if (ret < 0) {
        ret = opus_array_write_failed(s, r->to, "write", ret);
    }
    RAID_MASK_FOREACH(slot, unreadable_slots) {
        if (ret == 0 && rewrite_copy(s, array_off, r->buf, bytes, slot) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_mirror_rebuild(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                    OpusMember *to, RaidLoc loc)
{
    MirrorRebuild r = {
        .s = s,
        .array_off = array_off,
        .buf = opus_bounce_alloc(bytes),
        .to = to,
        .member_off = loc.member_off,
    };
    int ret = r.buf ? opus_salvage(s, to, loc.member_off, bytes, rebuild_piece,
                                   &r) : -ENOMEM;

    opus_bounce_free(r.buf, bytes);
    return ret;
}
