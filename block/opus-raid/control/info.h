/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Info: what users are shown of an array
 */
#ifndef BLOCK_OPUS_RAID_CONTROL_INFO_H
#define BLOCK_OPUS_RAID_CONTROL_INFO_H

#include "block/opus-raid/array/opus-raid.h"

/* All return new QAPI objects that the caller owns. Main loop. */
OpusRaidInfo *GRAPH_RDLOCK opus_info(BlockDriverState *bs);
ImageInfoSpecific *GRAPH_RDLOCK opus_get_specific_info(BlockDriverState *bs,
                                                       Error **errp);
BlockStatsSpecific *opus_get_specific_stats(BlockDriverState *bs);

#endif /* BLOCK_OPUS_RAID_CONTROL_INFO_H */
