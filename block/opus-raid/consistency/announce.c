/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intent: what must be durable before a write that touches redundancy begins
 *
 * Owns: the order: dirty mark, bits of the bitmap, data.
 * Must not know: how any of them is written.
 * Threads: any.
 * Invariants: I1.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/consistency/announce.h"

int coroutine_fn GRAPH_RDLOCK
opus_intent_begin(OpusRaid *s, uint64_t array_off, uint64_t bytes)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    int ret = opus_array_write_begin(s);

    if (ret == 0 && regions) {
        ret = regions->write_begin(s, array_off, bytes);
        if (ret < 0) {
            opus_array_write_end(s);
        }
    }
    return ret;
}

void coroutine_fn
opus_intent_end(OpusRaid *s, uint64_t array_off, uint64_t bytes, int ret)
{
    const OpusConsistencyOps *regions = opus_regions(s);

    if (regions) {
        regions->write_end(s, array_off, bytes, ret == 0);
    }
    opus_array_write_end(s);
}
