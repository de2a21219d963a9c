/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Create options: which of them go together, and what is taken without them
 */
#ifndef BLOCK_OPUS_RAID_SETUP_CREATE_OPTIONS_H
#define BLOCK_OPUS_RAID_SETUP_CREATE_OPTIONS_H

#include "qapi/qapi-types-block-core.h"
#include "util/raid/geometry.h"

/**
 * opus_create_params: the shape of the array that @opts ask for
 * @params: gets all but the number of members and their sizes
 *
 * Returns false and sets @errp where options contradict each other.
 */
bool opus_create_params(const BlockdevCreateOptionsOpusRaid *opts,
                        RaidGeometryParams *params, Error **errp);

/* How its redundancy becomes right. */
OpusRaidInitialSync opus_create_sync(const BlockdevCreateOptionsOpusRaid *opts);

#endif /* BLOCK_OPUS_RAID_SETUP_CREATE_OPTIONS_H */
