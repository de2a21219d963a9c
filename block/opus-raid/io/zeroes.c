/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zeroes: write-zeroes and discard
 *
 * Owns: what a discard is.
 * Must not know: levels.
 * Threads: any.
 *
 * Discarded blocks may read as anything, and as something else on the next
 * read, so on an array with redundancy a discard is a write of zeroes that
 * may unmap: redundancy is then right whatever the members do with it. Of an
 * array with parity only whole stripes are zeroed; the block layer writes the
 * fragments of a write-zeroes request as data, and drops those of a discard.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/consistency/announce.h"
#include "block/opus-raid/io/requests.h"
#include "block/opus-raid/redundancy/redundancy.h"

static bool is_whole_stripes(const OpusRaid *s, uint64_t offset,
                             uint64_t bytes)
{
    uint64_t stripe_bytes = raid_stripe_bytes(&s->geom);

    return offset % stripe_bytes == 0 && bytes % stripe_bytes == 0;
}

int coroutine_fn GRAPH_RDLOCK
opus_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                      BdrvRequestFlags flags)
{
    OpusRaid *s = bs->opaque;
    const OpusRedundancyOps *ops = opus_redundancy(s);
    int ret;

    if (ops->by_stripe && !is_whole_stripes(s, offset, bytes)) {
        return -ENOTSUP;
    }
    if (!ops->redundant) {
        return ops->zero(s, offset, bytes, flags);
    }
    ret = opus_intent_begin(s, offset, bytes);
    if (ret < 0) {
        return ret;
    }
    ret = ops->zero(s, offset, bytes, flags);
    opus_intent_end(s, offset, bytes, ret);
    return ret;
}

/* Can all members give space back and read as zero afterwards? */
static bool GRAPH_RDLOCK members_unmap_to_zero(OpusRaid *s)
{
    RaidMask use = raid_mask_first(s->geom.nr_slots) & ~opus_missing_slots(s);

    RAID_MASK_FOREACH(slot, use) {
        BlockDriverState *bs = s->slots[slot]->child->bs;

        if (!(bs->supported_zero_flags & BDRV_REQ_MAY_UNMAP) ||
            !(bs->open_flags & BDRV_O_UNMAP)) {
            return false;
        }
    }
    return true;
}

int coroutine_fn GRAPH_RDLOCK
opus_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    OpusRaid *s = bs->opaque;

    if (opus_redundancy(s)->discard) {
        return opus_redundancy(s)->discard(s, offset, bytes);
    }
    /* A hint is not worth writing real zeroes to all members. */
    if (!members_unmap_to_zero(s)) {
        return -ENOTSUP;
    }
    return opus_co_pwrite_zeroes(bs, offset, bytes, BDRV_REQ_MAY_UNMAP);
}
