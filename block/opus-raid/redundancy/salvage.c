/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Salvage: what can be had of a place that can't be had as a whole
 *
 * Owns: how small the pieces are, and what becomes of those that are lost.
 * Must not know: where the data come from.
 * Threads: any; the holder of the lock of the stripe or chunk.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/redundancy/salvage.h"

/* Crumbs that are lost one behind the other are recorded together. */
static int coroutine_fn GRAPH_RDLOCK
give_crumbs(OpusRaid *s, OpusMember *to, uint64_t member_off, uint32_t bytes,
            OpusSalvageFn *give, void *opaque)
{
    uint32_t bad_bytes = 0;     /* in front of @off */
    uint32_t off = 0;
    int ret = 0;

    while (off < bytes && ret == 0) {
        uint32_t here = MIN(bytes - off, OPUS_CRUMB_BYTES);

        ret = give(opaque, off, here);
        if (ret == -ENODATA) {
            bad_bytes += here;
            ret = 0;
        } else if (ret == 0 && bad_bytes) {
            ret = opus_array_record_bad(s, to, member_off + off - bad_bytes,
                                        bad_bytes);
            bad_bytes = 0;
        }
        off += here;
    }
    if (ret == 0 && bad_bytes) {
        ret = opus_array_record_bad(s, to, member_off + off - bad_bytes,
                                    bad_bytes);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_salvage(OpusRaid *s, OpusMember *to, uint64_t member_off, uint32_t bytes,
             OpusSalvageFn *give, void *opaque)
{
    int ret = give(opaque, 0, bytes);

    return ret == -ENODATA || ret == -EAGAIN
           ? give_crumbs(s, to, member_off, bytes, give, opaque) : ret;
}
