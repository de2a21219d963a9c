/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Create: a new array on member nodes
 */
#ifndef BLOCK_OPUS_RAID_SETUP_CREATE_H
#define BLOCK_OPUS_RAID_SETUP_CREATE_H

#include "qapi/qapi-types-block-core.h"
#include "block/graph-lock.h"

/* .bdrv_co_create: see qapi, BlockdevCreateOptionsOpusRaid. */
int coroutine_fn GRAPH_UNLOCKED opus_co_create(BlockdevCreateOptions *options,
                                               Error **errp);

#endif /* BLOCK_OPUS_RAID_SETUP_CREATE_H */
