/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Length: members that became shorter while they were in use
 *
 * Owns: comparing what a member has with what its nodes say.
 * Must not know: what it is read or written for.
 * Threads: any.
 *
 * A file that was truncated, or a device that was resized, has lost data. It
 * may look as if it had not: what is behind the end reads as zeroes in much of
 * the software there is, and a write makes a file long again, with a hole in
 * front. A node keeps the length that it had when it was opened, and QEMU
 * changes it when it changes the file itself; so one that has less than its
 * node says was changed by somebody else. It has failed, whatever it answers.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/array/array-private.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/lengths.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/member/member.h"

/* A file may have a part of its last sector only. */
static bool coroutine_fn GRAPH_RDLOCK protocol_is_short(BlockDriverState *bs)
{
    int64_t known = bs->total_sectors * BDRV_SECTOR_SIZE;
    int64_t bytes;

    if (!bs->drv->protocol_name || !bs->drv->bdrv_co_getlength ||
        bs->bl.has_variable_length) {
        return false;
    }
    bytes = bs->drv->bdrv_co_getlength(bs);
    return bytes >= 0 && bytes <= known - BDRV_SECTOR_SIZE;
}

static bool coroutine_fn GRAPH_RDLOCK node_is_short(BlockDriverState *bs)
{
    BdrvChild *child;

    if (!bs->drv || opus_is_array(bs)) {
        return false;
    }
    if (protocol_is_short(bs)) {
        return true;
    }
    QLIST_FOREACH(child, &bs->children, next) {
        /* What a backing file lacks reads as zeroes by its format. */
        if (!(child->role & BDRV_CHILD_COW) && node_is_short(child->bs)) {
            return true;
        }
    }
    return false;
}

bool coroutine_fn GRAPH_RDLOCK opus_member_is_short(const OpusRaid *s,
                                                    const OpusMember *m)
{
    BlockDriverState *bs = m->child->bs;
    uint64_t needed = m->data_off + s->geom.member_bytes;

    /* A node that was made smaller by QEMU knows it. */
    return bs->total_sectors * BDRV_SECTOR_SIZE < needed || node_is_short(bs);
}

int coroutine_fn GRAPH_RDLOCK opus_array_check_lengths(OpusRaid *s)
{
    RAID_MASK_FOREACH(slot, opus_array_active_slots(s)) {
        if (opus_member_is_short(s, s->slots[slot]) &&
            opus_array_fail_spare_member(s, slot, OPUS_SHORTER, -EIO) < 0) {
            return -EIO;
        }
    }
    RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
        OpusMember *m = opus_replacement_of(s, slot);

        if (m && opus_member_is_short(s, m) &&
            opus_array_write_failed(s, m, OPUS_SHORTER, -EIO) < 0) {
            return -EIO;
        }
    }
    return 0;
}
