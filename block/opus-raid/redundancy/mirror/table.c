/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mirror: RAID1 and RAID10, chunk by chunk
 *
 * Owns: the table of functions.
 * Must not know: which copy is read.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/redundancy/mirror/mirror.h"
#include "block/opus-raid/redundancy/mirror/verify.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "util/raid/member-state.h"

static int coroutine_fn GRAPH_RDLOCK
mirror_read_others(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset, int bad_slot,
                   int err)
{
    return bad_slot >= 0 ? opus_mirror_recover(s, array_off, bytes, qiov,
                                               qiov_offset, bad_slot) : err;
}

static int coroutine_fn GRAPH_RDLOCK
mirror_write(OpusRaid *s, uint64_t array_off, uint64_t bytes,
             QEMUIOVector *qiov, size_t qiov_offset, BdrvRequestFlags flags)
{
    return opus_mirror_write(s, array_off, bytes, qiov, qiov_offset,
                             flags & BDRV_REQ_FUA);
}

static int coroutine_fn GRAPH_RDLOCK
mirror_zero(OpusRaid *s, uint64_t array_off, uint64_t bytes,
            BdrvRequestFlags flags)
{
    int ret = 0;

    while (bytes && ret == 0) {
        RaidLoc loc;
        uint64_t here = MIN(bytes, raid_map(&s->geom, array_off, &loc));

        ret = opus_mirror_zero(s, array_off, here, flags);
        array_off += here;
        bytes -= here;
    }
    return ret;
}

static bool mirror_sync_range(const OpusRaid *s, RaidLoc loc,
                              uint64_t *sync_off, uint64_t *bytes)
{
    if (raid_unmap(&s->geom, loc, sync_off) != RAID_USE_DATA) {
        return false;
    }
    *bytes = MIN(MIN(s->geom.chunk_bytes,
                     s->geom.member_bytes - loc.member_off),
                 s->geom.array_bytes - *sync_off);
    return true;
}

/* Copies of which no other is left differ from none. */
static bool mirror_is_always_right(const OpusRaid *s)
{
    return !raid_has_two_copies(&s->geom, opus_missing_slots(s));
}

const OpusRedundancyOps opus_mirror_ops = {
    .redundant = true,
    .read_others = mirror_read_others,
    .write = mirror_write,
    .zero = mirror_zero,
    .sync_space = "the array",
    .sync_range = mirror_sync_range,
    .rebuild = opus_mirror_rebuild,
    .is_always_right = mirror_is_always_right,
    .lay_out = opus_mirror_lay_out,
    .verify = opus_mirror_verify,
};
