/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grow: use more of each member
 */
#ifndef BLOCK_OPUS_RAID_SETUP_GROW_H
#define BLOCK_OPUS_RAID_SETUP_GROW_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_grow_size: what size does the array have with that much of each member?
 * @member_bytes: 0: all that the smallest member has
 *
 * Returns bytes, or -EINVAL with @errp set when the array can't grow to that.
 */
int64_t coroutine_fn GRAPH_RDLOCK
opus_grow_size(OpusRaid *s, uint64_t member_bytes, Error **errp);

/* BlockDriver callback: grows only. */
int coroutine_fn GRAPH_RDLOCK
opus_co_truncate(BlockDriverState *bs, int64_t bytes, bool exact,
                 PreallocMode prealloc, BdrvRequestFlags flags, Error **errp);

#endif /* BLOCK_OPUS_RAID_SETUP_GROW_H */
