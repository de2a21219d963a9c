/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmap size: have the bitmap of a running array cover another length
 *
 * Owns: the order in which a bitmap becomes another one, in the same place.
 * Must not know: why.
 * Threads: the array's AioContext; writes wait in theirs.
 * Invariants: I1, I13.
 *
 * A bitmap says itself how long it is and what a bit stands for, and each
 * member's is read by what it says. So with as many bytes for a bit as before,
 * the members may get theirs one after the other: all bits stay where they are.
 *
 * With more, each bit moves, and what is cut in between would be read by the
 * wrong measure. But there is one thing that reads the same by any: all bits
 * set. So all are set first; then all are once more, with a superblock of the
 * bitmap that says what they stand for; then those are cleared that need not be
 * set.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/trace.h"
#include "util/raid/recover.h"

/* Of every member that has the bitmap, or is going to. Returns 0: none fits. */
static uint32_t coroutine_fn GRAPH_RDLOCK choose_chunk(OpusRaid *s,
                                                       uint64_t sync_sectors)
{
    g_autofree MdSuper *copies = g_new(MdSuper, s->nr_members);
    g_autofree const MdSuper **supers = g_new(const MdSuper *, s->nr_members);
    g_autofree uint64_t *device_bytes = g_new(uint64_t, s->nr_members);
    const MdSuper *model = NULL;
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];
        int64_t bytes = bdrv_co_getlength(m->child->bs);

        if (m->state == RAID_MEMBER_FAULTY || bytes < 0) {
            continue;
        }
        if (!model && m->state == RAID_MEMBER_IN_SYNC) {
            model = &m->super;
        }
        copies[nr] = m->super;
        supers[nr] = &copies[nr];
        device_bytes[nr++] = bytes;
    }
    for (unsigned i = 0; i < nr && model; i++) {
        raid_intent_copy(&copies[i], model);    /* as a spare will have it */
    }
    return nr && model ? md_bitmap_fitting_chunk(supers, device_bytes, nr,
                                        sync_sectors,
                                        opus_bitmap(s)->bits.super.chunk_bytes,
                                        OPUS_BITMAP_MAX_BITS) : 0;
}

static MdBitmap *bits_new(const MdBitmapSuper *super, uint64_t sync_sectors)
{
    uint64_t nr_bits = md_bitmap_nr_bits(sync_sectors, super->chunk_bytes);
    void *memory = qemu_try_memalign(MD_BITMAP_BLOCK_BYTES,
                                     md_bitmap_memory_bytes(nr_bits));
    MdBitmap *bits;

    if (!memory) {
        return NULL;
    }
    bits = g_new(MdBitmap, 1);
    md_bitmap_init(bits, super, sync_sectors, memory);
    return bits;
}

static void bits_free(MdBitmap *bits)
{
    if (bits) {
        qemu_vfree(bits->image);
        g_free(bits);
    }
}

/*
 * From now on the array has this one, and all members get it. One that does
 * not fails at once: what it has may be half of one and half of another.
 */
static int coroutine_fn GRAPH_RDLOCK take(OpusRaid *s, MdBitmap *bits)
{
    OpusBitmap *b = opus_bitmap(s);
    RaidMask failed_slots = 0;

    WITH_QEMU_LOCK_GUARD(&s->meta_lock) {
        WITH_QEMU_LOCK_GUARD(&b->lock) {
            bits->super.events = b->bits.super.events;
            bits->super.events_cleared = b->bits.super.events_cleared;
            b->bits = *bits;
            b->memory = bits->image;
        }
        if (opus_written_slots(s)) {
            failed_slots = opus_bitmap_write_all(s, 0);
        }
    }
    trace_opus_raid_bitmap_take(s->bs, bits->sync_sectors,
                                bits->super.chunk_bytes, failed_slots);
    RAID_MASK_FOREACH(slot, failed_slots) {
        opus_array_fail_member(s, slot, "bitmap write", -EIO);
    }
    return s->state == RAID_ARRAY_FAILED ? -EIO : 0;
}

/* While no write is under way: so no bits change. */
static int coroutine_fn GRAPH_RDLOCK change(OpusRaid *s,
                                            const MdBitmapSuper *super,
                                            uint64_t sync_sectors)
{
    MdBitmap *old = g_memdup2(&opus_bitmap(s)->bits, sizeof(*old));
    MdBitmap *all = bits_new(super, sync_sectors);
    MdBitmap *new = bits_new(super, sync_sectors);
    MdBitmap *steps[] = { old, all, new };
    unsigned next = super->chunk_bytes == old->super.chunk_bytes ? 2 : 0;
    unsigned have = 0;
    int ret = all && new ? 0 : -ENOMEM;

    if (ret == 0) {
        md_bitmap_inherit(new, old);
        md_bitmap_set_all(all, false);
    }
    if (ret == 0 && next == 0) {
        md_bitmap_set_all(old, false);
    }
    while (ret == 0 && next < ARRAY_SIZE(steps)) {
        have = next++;
        ret = take(s, steps[have]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        if (i == have) {
            g_free(steps[i]);   /* the array has its memory */
        } else {
            bits_free(steps[i]);
        }
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_bitmap_cover(OpusRaid *s, const RaidGeometry *geom, Error **errp)
{
    uint64_t sync_sectors = md_bitmap_sync_sectors(geom);
    const char *node = bdrv_get_node_name(s->bs);
    MdBitmapSuper super = opus_bitmap(s)->bits.super;
    uint64_t file_sectors;
    int ret;

    super.chunk_bytes = choose_chunk(s, sync_sectors);
    if (!super.chunk_bytes) {
        error_setg(errp, "Array '%s' has no room for the write-intent bitmap "
                   "of that size", node);
        return -ENOSPC;
    }
    file_sectors = md_bitmap_file_sectors(
        md_bitmap_nr_bits(sync_sectors, super.chunk_bytes));
    if (super.sectors_reserved && super.sectors_reserved < file_sectors) {
        super.sectors_reserved = file_sectors;
    }

    opus_bitmap_hold(s);
    ret = change(s, &super, sync_sectors);
    opus_bitmap_release(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot change the write-intent bitmap of "
                         "array '%s'", node);
    }
    return ret;
}
