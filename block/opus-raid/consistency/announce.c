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
#include "block/opus-raid/consistency/announce.h"
#include "block/opus-raid/consistency/bitmap.h"

/* Until a write's bits are durable, failing members that do not take them. */
static int coroutine_fn GRAPH_RDLOCK
await_bits(OpusRaid *s, uint64_t array_off, uint64_t bytes)
{
    RaidMask failed_slots;

    while (!opus_bitmap_await(s, array_off, bytes, &failed_slots)) {
        int ret = failed_slots ? 0 : -EIO;

        RAID_MASK_FOREACH(slot, failed_slots) {
            if (opus_array_fail_member(s, slot, "bitmap write", -EIO) < 0) {
                ret = -EIO;
            }
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

int coroutine_fn GRAPH_RDLOCK
opus_intent_begin(OpusRaid *s, uint64_t array_off, uint64_t bytes)
{
    int ret = opus_array_write_begin(s);

    if (ret < 0 || !s->bitmap ||
        likely(opus_bitmap_start_write(s, array_off, bytes))) {
        return ret;
    }
    if (OPUS_SABOTAGED(INTENT_NOT_AWAITED)) {
        return 0;
    }
    ret = await_bits(s, array_off, bytes);
    if (ret < 0) {
        opus_intent_end(s, array_off, bytes, ret);
    }
    return ret;
}

void coroutine_fn
opus_intent_end(OpusRaid *s, uint64_t array_off, uint64_t bytes, int ret)
{
    if (s->bitmap) {
        opus_bitmap_end_write(s, array_off, bytes, ret == 0);
    }
    opus_array_write_end(s);
}
