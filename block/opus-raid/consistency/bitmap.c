/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmap: the write-intent bitmap of a running array, and its copies on the
 * members
 *
 * Owns: when blocks of the bitmap are written, and where to.
 * Must not know: what a failed member means, when sweeps are made.
 * Threads: any; lock is held for looking and changing, never across I/O.
 * Invariants: I1, I3; util/raid/md-bitmap-bits.c knows which bit is where.
 *
 * A block is on its way once at a time. A write that needs it meanwhile waits,
 * and
 * finds either that his bits went along, or takes the next turn for himself and
 * all who came later: so many writers cost few writes.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "system/block-backend.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/trace.h"
#include "util/raid/recover.h"

OpusBitmap *opus_bitmap_new(const MdBitmapSuper *super, uint64_t sync_sectors)
{
    uint64_t nr_bits = md_bitmap_nr_bits(sync_sectors, super->chunk_bytes);
    void *memory = qemu_try_memalign(MD_BITMAP_BLOCK_BYTES,
                                     md_bitmap_memory_bytes(nr_bits));
    OpusBitmap *b;

    if (!memory) {
        return NULL;
    }
    b = g_new0(OpusBitmap, 1);
    b->common.ops = &opus_bitmap_ops;
    qemu_mutex_init(&b->lock);
    qemu_co_queue_init(&b->waiters);
    b->memory = memory;
    md_bitmap_init(&b->bits, super, sync_sectors, memory);
    return b;
}

static void bitmap_free(OpusConsistency *c)
{
    OpusBitmap *b = container_of(c, OpusBitmap, common);

    qemu_mutex_destroy(&b->lock);
    qemu_vfree(b->memory);
    g_free(b);
}

/* One block, to all members at the same time. */
typedef struct BlockWrite {
    OpusRaid *s;
    void *buf;
    uint32_t block;
    uint32_t bytes;
    uint8_t slots[RAID_MAX_MEMBERS];
    RaidMask failed_slots;
} BlockWrite;

static void coroutine_fn GRAPH_RDLOCK block_write_task(void *opaque,
                                                       unsigned i)
{
    BlockWrite *w = opaque;
    OpusMember *m = w->s->slots[w->slots[i]];
    int64_t off = (int64_t)m->super_off + (int64_t)w->block *
                  MD_BITMAP_BLOCK_BYTES +
                  (int64_t)m->super.bitmap_offset_sectors * RAID_SECTOR_BYTES;

    if (opus_member_pwrite(m, off, w->buf, w->bytes, BDRV_REQ_FUA) < 0) {
        w->failed_slots |= RAID_BIT(w->slots[i]);
    }
}

/* Called with the lock held, which it drops meanwhile; @block is not going. */
static RaidMask coroutine_fn GRAPH_RDLOCK
write_block(OpusRaid *s, uint32_t block, RaidMask slots)
{
    OpusBitmap *b = opus_bitmap(s);
    OPUS_UNINITIALIZED BlockWrite w;
    unsigned nr = 0;

    assert(slots);
    w.s = s;
    w.buf = qemu_memalign(MD_BITMAP_BLOCK_BYTES, MD_BITMAP_BLOCK_BYTES);
    w.block = block;
    w.bytes = md_bitmap_block_bytes(&b->bits, block);
    w.failed_slots = 0;
    RAID_MASK_FOREACH(slot, slots) {
        w.slots[nr++] = slot;
    }

    md_bitmap_block_begin(&b->bits, block, w.buf);
    qemu_mutex_unlock(&b->lock);
    opus_parallel(block_write_task, &w, nr, nr);
    trace_opus_raid_bitmap_write(s->bs, block, w.bytes, slots,
                                 w.failed_slots);
    qemu_vfree(w.buf);
    qemu_mutex_lock(&b->lock);
    md_bitmap_block_end(&b->bits, block, !w.failed_slots);
    qemu_co_queue_restart_all(&b->waiters);
    return w.failed_slots;
}

static bool is_going(OpusBitmap *b, uint32_t first, uint32_t last)
{
    for (uint32_t block = first; block <= last; block++) {
        if (md_bitmap_block_is_going(&b->bits, block)) {
            return true;
        }
    }
    return false;
}

static void coroutine_fn wait_for_block(OpusBitmap *b, uint32_t block)
{
    while (md_bitmap_block_is_going(&b->bits, block)) {
        qemu_co_queue_wait(&b->waiters, &b->lock);
    }
}

void coroutine_fn opus_bitmap_hold(OpusRaid *s)
{
    OpusBitmap *b = opus_bitmap(s);

    QEMU_LOCK_GUARD(&b->lock);
    while (b->held) {
        qemu_co_queue_wait(&b->waiters, &b->lock);
    }
    b->held = true;
    while (b->nr_writes) {
        qemu_co_queue_wait(&b->waiters, &b->lock);
    }
}

void coroutine_fn opus_bitmap_release(OpusRaid *s)
{
    OpusBitmap *b = opus_bitmap(s);

    QEMU_LOCK_GUARD(&b->lock);
    b->held = false;
    qemu_co_queue_restart_all(&b->waiters);
}

/*
 * A write to @bytes at @array_off is about to begin
 *
 * Waits while writes are held.
 * Returns true when its bits are durable; otherwise await_bits() is
 * needed before any data is written. Needs an bitmap_write_end() in any
 * case.
 */
static bool coroutine_fn
start_write(OpusRaid *s, uint64_t array_off, uint64_t bytes)
{
    OpusBitmap *b = opus_bitmap(s);
    uint64_t start, end;
    MdBitmapWait wait;

    md_bitmap_range(&s->geom, array_off, bytes, &start, &end);
    QEMU_LOCK_GUARD(&b->lock);
    while (unlikely(b->held)) {
        qemu_co_queue_wait(&b->waiters, &b->lock);
    }
    b->nr_writes++;
    return md_bitmap_start_write(&b->bits, start, end, &wait);
}

/*
 * Write what is needed until the bits of a write are durable
 * @failed_slots: set when false is returned
 *
 * Returns true when they are. Returns false when members failed: fail them,
 * and call again; with no slot in @failed_slots the array has failed.
 */
static bool coroutine_fn GRAPH_RDLOCK
await_bits(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                  RaidMask *failed_slots)
{
    OpusBitmap *b = opus_bitmap(s);
    uint64_t start, end;
    bool durable;

    md_bitmap_range(&s->geom, array_off, bytes, &start, &end);
    *failed_slots = 0;
    qemu_mutex_lock(&b->lock);
    while (!(durable = md_bitmap_is_durable(&b->bits, start, end)) &&
           !*failed_slots) {
        /* Bits of others that want the same blocks or later ones go along. */
        uint32_t block = md_bitmap_next_block(&b->bits, 0, MD_BITMAP_URGENT);
        RaidMask slots = opus_written_slots(s);

        if (!slots) {
            break;
        } else if (block < b->bits.nr_blocks) {
            *failed_slots = write_block(s, block, slots);
        } else {
            assert(is_going(b, 0, b->bits.nr_blocks - 1));
            qemu_co_queue_wait(&b->waiters, &b->lock);
        }
    }
    qemu_mutex_unlock(&b->lock);
    return durable;
}

/* @redundant: see md_bitmap_end_write() */
static void coroutine_fn
bitmap_write_end(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                      bool redundant)
{
    OpusBitmap *b = opus_bitmap(s);
    uint64_t start, end;

    md_bitmap_range(&s->geom, array_off, bytes, &start, &end);
    QEMU_LOCK_GUARD(&b->lock);
    md_bitmap_end_write(&b->bits, start, end, redundant);
    if (--b->nr_writes == 0 && unlikely(b->held)) {
        qemu_co_queue_restart_all(&b->waiters);
    }
}

/* Members that do not take the bits fail. */
static int coroutine_fn GRAPH_RDLOCK
bitmap_write_begin(OpusRaid *s, uint64_t array_off, uint64_t bytes)
{
    RaidMask failed_slots;
    int ret = 0;

    if (likely(start_write(s, array_off, bytes)) ||
        OPUS_SABOTAGED(INTENT_NOT_AWAITED)) {
        return 0;
    }
    while (ret == 0 && !await_bits(s, array_off, bytes, &failed_slots)) {
        ret = failed_slots ? 0 : -EIO;
        RAID_MASK_FOREACH(slot, failed_slots) {
            if (opus_array_fail_member(s, slot, "bitmap write", -EIO) < 0) {
                ret = -EIO;
            }
        }
    }
    if (ret < 0) {
        bitmap_write_end(s, array_off, bytes, false);
    }
    return ret;
}

/*
 * Superblocks with this event count come next
 *
 * Without it a bitmap would be taken for out of date. Called with meta_lock
 * held.
 */
static RaidMask coroutine_fn GRAPH_RDLOCK
bitmap_count_event(OpusRaid *s, RaidMask slots, uint64_t events)
{
    OpusBitmap *b = opus_bitmap(s);
    RaidMask failed_slots;

    qemu_mutex_lock(&b->lock);
    wait_for_block(b, 0);
    md_bitmap_set_events(&b->bits, events);
    failed_slots = write_block(s, 0, slots);
    qemu_mutex_unlock(&b->lock);
    return failed_slots;
}

/* Called with the lock held, which it drops meanwhile. */
static RaidMask coroutine_fn GRAPH_RDLOCK write_changes_locked(OpusRaid *s,
                                                               RaidMask slots)
{
    OpusBitmap *b = opus_bitmap(s);
    RaidMask failed_slots = 0;
    uint32_t block = 0;

    while ((block = md_bitmap_next_block(&b->bits, block, MD_BITMAP_ANY)) <
           b->bits.nr_blocks) {
        failed_slots |= write_block(s, block, slots);
        block++;
    }
    return failed_slots;
}

/* Blocks that changed since they were last written, to members of @slots. */
static RaidMask coroutine_fn GRAPH_RDLOCK
bitmap_catch_up(OpusRaid *s, RaidMask slots)
{
    RaidMask failed_slots;

    qemu_mutex_lock(&opus_bitmap(s)->lock);
    failed_slots = write_changes_locked(s, slots);
    qemu_mutex_unlock(&opus_bitmap(s)->lock);
    return failed_slots;
}

RaidMask coroutine_fn GRAPH_RDLOCK
opus_bitmap_write_all(OpusRaid *s, RaidMask slots)
{
    OpusBitmap *b = opus_bitmap(s);
    RaidMask failed_slots = 0;

    qemu_mutex_lock(&b->lock);
    for (uint32_t block = 0; block < b->bits.nr_blocks; block++) {
        wait_for_block(b, block);
        /* To the others, too: what is new in it counts as written to all. */
        failed_slots |= write_block(s, block, slots | opus_written_slots(s));
    }
    qemu_mutex_unlock(&b->lock);
    return failed_slots;
}

/*
 * Look for bits that are no longer needed
 * @degraded: a member is missing or not rebuilt yet
 *
 * Returns whether there are any. Then: flush all members, and
 * bitmap_sweep_end(). Called with meta_lock held.
 */
static bool bitmap_sweep_begin(OpusRaid *s, bool degraded)
{
    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    if (degraded && OPUS_SABOTAGED(SWEEP_MARKS_STAY)) {
        return false;
    }
    return md_bitmap_clear_begin(&opus_bitmap(s)->bits, s->events, degraded);
}

/* Instead, when a member could not be flushed: it may lack what they name. */
static void bitmap_sweep_abort(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    md_bitmap_clear_commit(&opus_bitmap(s)->bits, true);
}

/* All members of @slots were flushed meanwhile. Clears none if @degraded. */
static RaidMask coroutine_fn GRAPH_RDLOCK
bitmap_sweep_end(OpusRaid *s, RaidMask slots, bool degraded)
{
    OpusBitmap *b = opus_bitmap(s);
    RaidMask failed_slots = 0;
    uint64_t cleared;

    qemu_mutex_lock(&b->lock);
    /* When bits were cleared must be known before any is. */
    wait_for_block(b, 0);
    if (md_bitmap_next_block(&b->bits, 0, MD_BITMAP_ANY) == 0) {
        failed_slots = write_block(s, 0, slots);
    }
    degraded = degraded && !OPUS_SABOTAGED(SWEEP_MARKS_STAY);
    cleared = md_bitmap_clear_commit(&b->bits, failed_slots || degraded);
    if (!failed_slots) {
        failed_slots = write_changes_locked(s, slots);
    }
    trace_opus_raid_bitmap_sweep(s->bs, cleared, b->bits.nr_set);
    qemu_mutex_unlock(&b->lock);
    return failed_slots;
}

/*
 * The next range that must be resynced
 * @from:        bytes of what the bits cover
 * @start, @end: bytes; whole sectors, from <= start < end
 */
static bool bitmap_next_needed(OpusRaid *s, uint64_t from, uint64_t *start,
                             uint64_t *end)
{
    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    if (!md_bitmap_next_range(&opus_bitmap(s)->bits, from / RAID_SECTOR_BYTES,
                              MD_BITMAP_NEEDED, start, end)) {
        return false;
    }
    *start = MAX(from, *start * RAID_SECTOR_BYTES);
    *end *= RAID_SECTOR_BYTES;
    return true;
}

/* Redundancy is right, durably, before @end bytes of what the bits cover. */
static void bitmap_resynced(OpusRaid *s, uint64_t end)
{
    MdBitmap *bits = &opus_bitmap(s)->bits;

    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    md_bitmap_resynced(bits, 0, MIN(end / RAID_SECTOR_BYTES,
                                    bits->sync_sectors));
}

/* Is a bit set in this range of what the bits cover? start < end, sectors. */
static bool bitmap_names(OpusRaid *s, uint64_t start, uint64_t end)
{
    uint64_t next, next_end;

    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    return md_bitmap_next_range(&opus_bitmap(s)->bits, start, MD_BITMAP_SET,
                                &next, &next_end) && next < end;
}

/*
 * Go on to the next bit that is set
 *
 * For arrays whose bits cover the members' data areas. Moves @watermark from
 * where it is to there, in member bytes: a write that finds it where it was
 * had its bit set before, so that it was not skipped. Returns the new place.
 * The mark of a target that has failed stays.
 */
static uint64_t bitmap_skip(OpusRaid *s, const OpusMember *target,
                          uint64_t *watermark)
{
    uint64_t from = qatomic_read(watermark);
    uint64_t start, end;
    uint64_t to = s->geom.member_bytes;

    QEMU_LOCK_GUARD(&s->state_lock);
    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    /* A target that has failed holds nothing any more, and the mark is 0. */
    if (target->state != RAID_MEMBER_REBUILDING) {
        return from;
    }
    if (md_bitmap_next_range(&opus_bitmap(s)->bits, from / RAID_SECTOR_BYTES,
                             MD_BITMAP_SET, &start, &end)) {
        to = MAX(from, QEMU_ALIGN_DOWN(start * RAID_SECTOR_BYTES,
                                       s->geom.chunk_bytes));
    }
    qatomic_store_release(watermark, to);
    return to;
}

/* Is there a bit that sweeps may clear some time? Any thread. */
static bool bitmap_has_marks(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    return opus_bitmap(s)->bits.nr_set;
}

bool opus_bitmap_counts(const OpusRaid *s, uint64_t *chunk_bytes,
                        uint64_t *nr_bits, uint64_t *nr_set)
{
    if (opus_policy_of(s) != OPUS_RAID_CONSISTENCY_POLICY_BITMAP) {
        return false;
    }
    QEMU_LOCK_GUARD(&opus_bitmap(s)->lock);
    *chunk_bytes = opus_bitmap(s)->bits.super.chunk_bytes;
    *nr_bits = opus_bitmap(s)->bits.nr_bits;
    *nr_set = opus_bitmap(s)->bits.nr_set;
    return true;
}

int coroutine_fn opus_bitmap_write_new(BlockBackend *blk, int64_t off,
                                       const MdBitmapSuper *super, bool all)
{
    uint64_t bits = md_bitmap_nr_bits(super->sync_size_sectors,
                                      super->chunk_bytes);
    size_t bytes = md_bitmap_file_sectors(bits) * RAID_SECTOR_BYTES;
    uint8_t *buf = qemu_try_blockalign0(blk_bs(blk), bytes);
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    if (all) {
        memset(buf + MD_BITMAP_SUPER_BYTES, 0xff,
               bytes - MD_BITMAP_SUPER_BYTES);
    }
    md_bitmap_super_encode(super, buf);
    ret = blk_co_pwrite(blk, off, bytes, buf, BDRV_REQ_FUA);
    qemu_vfree(buf);
    return ret;
}

/*
 * Does the bitmap name all that a member lacks which left?
 * @a: geometry, events and missing slots of the array; members have states
 */
static bool bitmap_covers(OpusRaid *s, const RaidAssembly *a,
                        const MdSuper *super)
{
    const MdSuper *in_sync[RAID_MAX_MEMBERS];
    uint64_t events_cleared;
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].state == RAID_MEMBER_IN_SYNC) {
            in_sync[nr++] = &s->members[i].super;
        }
    }
    WITH_QEMU_LOCK_GUARD(&opus_bitmap(s)->lock) {
        events_cleared = opus_bitmap(s)->bits.super.events_cleared;
    }
    return raid_recover_readd(a, in_sync, nr, super, md_super_role(super),
                              events_cleared);
}

static int64_t bitmap_sweep_interval_ms(const OpusRaid *s)
{
    return opus_bitmap(s)->bits.super.daemon_sleep_seconds * INT64_C(1000);
}

static bool bitmap_fits(const OpusRaid *s, const MdSuper *super,
                        uint64_t device_bytes)
{
    return md_bitmap_check_room(super, device_bytes,
                                opus_bitmap(s)->bits.nr_bits) == MD_BITMAP_OK;
}

const OpusConsistencyOps opus_bitmap_ops = {
    .policy = OPUS_RAID_CONSISTENCY_POLICY_BITMAP,
    .name = "write-intent bitmap",
    .write_failed = "bitmap write",
    .feature = MD_FEATURE_BITMAP_OFFSET,
    .free = bitmap_free,
    .init = opus_bitmap_write_all,
    .join = opus_bitmap_write_all,
    .count_event = bitmap_count_event,
    .catch_up = bitmap_catch_up,
    .fits = bitmap_fits,
    .cover = opus_bitmap_cover,
    .write_begin = bitmap_write_begin,
    .write_end = bitmap_write_end,
    .resynced = bitmap_resynced,
    .next_needed = bitmap_next_needed,
    .names = bitmap_names,
    .skip = bitmap_skip,
    .covers = bitmap_covers,
    .sweep_begin = bitmap_sweep_begin,
    .sweep_abort = bitmap_sweep_abort,
    .sweep_end = bitmap_sweep_end,
    .has_marks = bitmap_has_marks,
    .sweep_interval_ms = bitmap_sweep_interval_ms,
};
