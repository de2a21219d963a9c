/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmap size: have the bitmap of a running array cover another length
 */
#ifndef BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_RESIZE_H
#define BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_RESIZE_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_bitmap_cover: cover so many sectors from now on
 * @sync_sectors: see md_bitmap_sync_sectors(); > 0
 *
 * Writes are held meanwhile. When it returns 0, all members in use have the new
 * bitmap durably; one that did not take it has failed. Cut before that, what is
 * there can be read by whoever expects the length that it had, and by whoever
 * expects the new one if that is shorter. Bits stand for more than before where
 * there is no room for as many as it would take.
 *
 * Returns a negative errno with @errp set, and the bitmap as it was, or when
 * the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_bitmap_cover(OpusRaid *s, uint64_t sync_sectors, Error **errp);

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_RESIZE_H */
