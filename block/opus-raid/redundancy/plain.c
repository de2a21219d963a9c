/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain: RAID0, where there is no redundancy
 *
 * Owns: nothing.
 * Must not know: how members make zeroes.
 * Threads: any.
 *
 * Nothing has to be kept in step: the guest's buffer will do for a write, and
 * whatever the members do with a discard is right.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/redundancy.h"

static int coroutine_fn GRAPH_RDLOCK
plain_read_others(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                  QEMUIOVector *qiov, size_t qiov_offset, int bad_slot,
                  int err)
{
    return err;
}

static int coroutine_fn GRAPH_RDLOCK
plain_write(OpusRaid *s, uint64_t array_off, uint64_t bytes,
            QEMUIOVector *qiov, size_t qiov_offset, BdrvRequestFlags flags)
{
    OpusMember *m;
    RaidLoc loc;

    raid_map(&s->geom, array_off, &loc);
    m = s->slots[loc.slot];
    opus_count(&s->stats, OPUS_COUNT_PLAIN_WRITES);
    return opus_member_pwritev(m, opus_member_data(m, loc.member_off), bytes,
                               qiov, qiov_offset, flags);
}

static int coroutine_fn GRAPH_RDLOCK
plain_zero(OpusRaid *s, uint64_t array_off, uint64_t bytes,
           BdrvRequestFlags flags)
{
    int ret = 0;

    while (bytes && ret == 0) {
        RaidLoc loc;
        uint64_t here = MIN(bytes, raid_map(&s->geom, array_off, &loc));
        OpusMember *m = s->slots[loc.slot];

        ret = opus_member_pwrite_zeroes(m, opus_member_data(m, loc.member_off),
                                        here, flags);
        array_off += here;
        bytes -= here;
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
plain_discard(OpusRaid *s, uint64_t array_off, uint64_t bytes)
{
    int ret = 0;

    while (bytes && ret == 0) {
        RaidLoc loc;
        uint64_t here = MIN(bytes, raid_map(&s->geom, array_off, &loc));
        OpusMember *m = s->slots[loc.slot];

        ret = opus_member_pdiscard(m, opus_member_data(m, loc.member_off),
                                   here);
        array_off += here;
        bytes -= here;
    }
    return ret;
}

const OpusRedundancyOps opus_plain_ops = {
    .read_others = plain_read_others,
    .write = plain_write,
    .zero = plain_zero,
    .discard = plain_discard,
};
