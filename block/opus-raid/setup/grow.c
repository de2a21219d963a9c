/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grow: use more of each member
 *
 * Owns: the order in which an array becomes larger.
 * Must not know: how parents are told; the block layer does that.
 * Threads: the array's AioContext; requests to what there was go on meanwhile.
 * Invariants: I6.
 *
 * First the bitmap covers the new area; it may cover more than there is. Then
 * that is zeroed on all members, for zero data has zero parity and equal
 * copies, and flushed. Then the superblocks tell, in two updates, how much room
 * there is (data_size) and that it is used (size). So whatever update is cut, a
 * member that did not get it has room for what the others say, and the area is
 * in order. Only then the block layer lets requests in.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/lockable.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/io/requests.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/setup/grow.h"
#include "block/opus-raid/trace.h"

/* Zeroed with one request, so that a long one does not stand in the way. */
#define ZERO_BYTES  (1024 * 1024 * 1024)

static bool check_growable(const OpusRaid *s, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);

    if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
    } else if (s->geom.level == RAID_LEVEL_0) {
        error_setg(errp, "Array '%s' is a raid0: it can't grow, because data "
                   "would have to move (reshape)", node);
    } else if (s->geom.layout == RAID_LAYOUT_FAR) {
        error_setg(errp, "Array '%s' has layout far: it can't grow, because "
                   "copies would have to move (reshape)", node);
    } else if (qatomic_read(&s->growing)) {
        error_setg(errp, "Array '%s' is growing already", node);
    } else if (s->state != RAID_ARRAY_OPTIMAL) {
        error_setg(errp, "Array '%s' is %s: it can grow when it is optimal",
                   node, raid_array_state_name(s->state));
    } else if (opus_replaced_slots(s)) {
        error_setg(errp, "Array '%s' can't grow while a member of it is being "
                   "replaced", node);
    } else if (s->slots[0]->super.minor_version == 0) {
        error_setg(errp, "Array '%s' has its superblocks at the end of its "
                   "members (metadata 1.0): grow it with mdadm", node);
    } else {
        return true;
    }
    return false;
}

/* Bytes that a member has behind its data offset, or a negative errno. */
static int64_t coroutine_fn GRAPH_RDLOCK member_room(const OpusMember *m)
{
    int64_t bytes = bdrv_co_getlength(m->child->bs);

    if (bytes < 0) {
        return bytes;
    }
    return QEMU_ALIGN_DOWN(MAX(bytes - (int64_t)m->data_off, 0),
                           RAID_SECTOR_BYTES);
}

/* The same array with other members' sizes. */
static bool larger_geometry(const OpusRaid *s, uint64_t member_bytes,
                            RaidGeometry *geom)
{
    RaidGeometryParams params = {
        .level = s->geom.level,
        .layout = s->geom.layout,
        .nr_slots = s->geom.nr_slots,
        .near_copies = s->geom.near_copies,
        .far_copies = s->geom.far_copies,
        .far_sets = s->geom.far_sets,
        .chunk_bytes = s->geom.chunk_bytes,
    };

    for (unsigned slot = 0; slot < params.nr_slots; slot++) {
        params.member_bytes[slot] = member_bytes;
    }
    return raid_geometry_init(geom, &params) == RAID_GEOMETRY_OK;
}

/* What all members have room for; 0 and @errp if that can't be told. */
static uint64_t coroutine_fn GRAPH_RDLOCK smallest_room(const OpusRaid *s,
                                                        const OpusMember **who,
                                                        Error **errp)
{
    uint64_t smallest = UINT64_MAX;

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        int64_t room = member_room(s->slots[slot]);

        if (room < 0) {
            error_setg_errno(errp, -room, "Cannot get the size of member '%s'",
                             opus_member_name(s->slots[slot]));
            return 0;
        }
        if (room < smallest) {
            smallest = room;
            *who = s->slots[slot];
        }
    }
    return smallest;
}

int64_t coroutine_fn GRAPH_RDLOCK
opus_grow_size(OpusRaid *s, uint64_t member_bytes, Error **errp)
{
    const OpusMember *smallest = NULL;
    g_autofree RaidGeometry *geom = g_new(RaidGeometry, 1);
    const char *node = bdrv_get_node_name(s->bs);
    uint64_t room;

    if (!check_growable(s, errp)) {
        return -EINVAL;
    }
    room = smallest_room(s, &smallest, errp);
    if (!room) {
        return -EINVAL;
    }
    if (member_bytes > room) {
        error_setg(errp, "Member '%s' has room for %" PRIu64 " bytes of data "
                   "only", opus_member_name(smallest), room);
    } else if (!larger_geometry(s, member_bytes ?: room, geom)) {
        error_setg(errp, "Array '%s' can't have members of that size", node);
    } else if (geom->array_bytes < s->geom.array_bytes) {
        error_setg(errp, "Array '%s' can't shrink", node);
    } else if (geom->array_bytes == s->geom.array_bytes) {
        error_setg(errp, "Array '%s' uses all that member '%s' has; make all "
                   "its members larger first (their number can't be changed: "
                   "there is no reshape)", node, opus_member_name(smallest));
    } else {
        return geom->array_bytes;
    }
    return -EINVAL;
}

/* The smallest geometry that has at least @bytes; false: none. */
static bool geometry_of_size(const OpusRaid *s, uint64_t bytes, uint64_t room,
                             RaidGeometry *geom)
{
    unsigned shares = raid_has_parity(&s->geom) ? s->geom.nr_data
                                                : s->geom.nr_slots;
    uint64_t copies = s->geom.level == RAID_LEVEL_10 ? s->geom.copies : 1;
    uint64_t unit = s->geom.level == RAID_LEVEL_1 ? RAID_SECTOR_BYTES
                                                  : s->geom.chunk_bytes;
    uint64_t need;

    if (s->geom.level == RAID_LEVEL_1) {
        shares = 1;
    }
    if (bytes > INT64_MAX / copies) {
        return false;
    }
    need = QEMU_ALIGN_UP(DIV_ROUND_UP(bytes * copies, shares), unit);
    while (need <= room) {
        if (larger_geometry(s, need, geom) && geom->array_bytes >= bytes) {
            return true;
        }
        need += unit;
        if (need > s->geom.member_bytes + room) {
            break;
        }
    }
    return false;
}

static int coroutine_fn GRAPH_RDLOCK zero_new_area(OpusRaid *s, uint64_t from,
                                                   uint64_t end)
{
    uint64_t unit = raid_has_parity(&s->geom) ? raid_stripe_bytes(&s->geom)
                                              : s->geom.chunk_bytes;
    uint64_t step = MAX(QEMU_ALIGN_DOWN(ZERO_BYTES, unit), unit);
    int ret = 0;

    while (from < end && ret == 0) {
        uint64_t bytes = MIN(end - from, step);

        ret = opus_co_pwrite_zeroes(s->bs, from, bytes, BDRV_REQ_MAY_UNMAP);
        from += bytes;
    }
    return ret == 0 ? opus_array_flush(s) : ret;
}

/* Returns 0, or -EIO when the array has failed. */
static int coroutine_fn GRAPH_RDLOCK record_size(OpusRaid *s)
{
    int ret;

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        OpusMember *m = s->slots[slot];
        int64_t room = member_room(m);

        QEMU_LOCK_GUARD(&s->state_lock);
        if (room > 0 && room / RAID_SECTOR_BYTES >
                        m->super.data_size_sectors) {
            m->super.data_size_sectors = room / RAID_SECTOR_BYTES;
        }
    }
    ret = opus_array_write_update(s);
    if (ret < 0) {
        return ret;
    }
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        s->size_sectors = s->geom.member_bytes / RAID_SECTOR_BYTES;
    }
    return opus_array_write_update(s);
}

static int coroutine_fn GRAPH_RDLOCK grow(OpusRaid *s,
                                          const RaidGeometry *geom,
                                          Error **errp)
{
    const OpusConsistencyOps *kept = opus_consistency(s);
    uint64_t old_member_bytes = s->geom.member_bytes;
    uint64_t old_bytes = s->geom.array_bytes;
    int ret;

    qatomic_set(&s->growing, true);
    if (kept && kept->cover) {
        ret = kept->cover(s, geom, errp);
        if (ret < 0) {
            qatomic_set(&s->growing, false);
            return ret;
        }
    }
    /*
     * Where bytes lie does not depend on these, so requests in flight don't
     * care; new ones are still bounded by the block layer.
     */
    qatomic_set(&s->geom.member_bytes, geom->member_bytes);
    qatomic_set(&s->geom.array_bytes, geom->array_bytes);
    ret = zero_new_area(s, old_bytes, geom->array_bytes);
    if (ret < 0) {
        qatomic_set(&s->geom.array_bytes, old_bytes);
        qatomic_set(&s->geom.member_bytes, old_member_bytes);
        if (kept && kept->cover && s->state != RAID_ARRAY_FAILED) {
            kept->cover(s, &s->geom, NULL);
        }
        qatomic_set(&s->growing, false);
        error_setg_errno(errp, -ret, "Cannot zero the new area of array '%s'",
                         bdrv_get_node_name(s->bs));
        return ret;
    }
    ret = record_size(s);
    qatomic_set(&s->growing, false);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot write the new size of array '%s'",
                         bdrv_get_node_name(s->bs));
    }
    trace_opus_raid_grow(s->bs, old_bytes, geom->array_bytes, ret);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_co_truncate(BlockDriverState *bs, int64_t bytes, bool exact,
                 PreallocMode prealloc, BdrvRequestFlags flags, Error **errp)
{
    OpusRaid *s = bs->opaque;
    const OpusMember *smallest = NULL;
    g_autofree RaidGeometry *geom = g_new(RaidGeometry, 1);
    uint64_t room;

    if (bytes == s->geom.array_bytes) {
        return 0;
    }
    if (bytes < s->geom.array_bytes) {
        error_setg(errp, "Array '%s' can't shrink", bdrv_get_node_name(bs));
        return -ENOTSUP;
    }
    if (prealloc != PREALLOC_MODE_OFF) {
        error_setg(errp, "Array '%s' can't preallocate",
                   bdrv_get_node_name(bs));
        return -ENOTSUP;
    }
    if (!check_growable(s, errp)) {
        return -EINVAL;
    }
    room = smallest_room(s, &smallest, errp);
    if (!room) {
        return -EINVAL;
    }
    if (!geometry_of_size(s, bytes, room, geom)) {
        error_setg(errp, "Array '%s' can't have %" PRId64 " bytes: member '%s' "
                   "has room for %" PRIu64 " bytes of data only",
                   bdrv_get_node_name(bs), bytes, opus_member_name(smallest),
                   room);
        return -ENOSPC;
    }
    if (exact && geom->array_bytes != bytes) {
        error_setg(errp, "Array '%s' can't have exactly %" PRId64 " bytes; the "
                   "next size is %" PRIu64, bdrv_get_node_name(bs), bytes,
                   geom->array_bytes);
        return -EINVAL;
    }
    return grow(s, geom, errp);
}
