/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver: what of the BlockDriver others need to see
 */
#ifndef BLOCK_OPUS_RAID_CONTROL_DRIVER_H
#define BLOCK_OPUS_RAID_CONTROL_DRIVER_H

#include "block/block_int.h"

/* Is @bs an array of this driver? */
bool opus_is_array(const BlockDriverState *bs);

/* What all members of @bs can do; again when one was added. Main loop. */
void opus_set_request_flags(BlockDriverState *bs);

/* .bdrv_co_create: see qapi, BlockdevCreateOptionsOpusRaid. */
int coroutine_fn GRAPH_UNLOCKED opus_co_create(BlockdevCreateOptions *options,
                                               Error **errp);

#endif /* BLOCK_OPUS_RAID_CONTROL_DRIVER_H */
