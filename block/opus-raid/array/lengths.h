/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Length: members that became shorter while they were in use
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_LENGTHS_H
#define BLOCK_OPUS_RAID_ARRAY_LENGTHS_H

#include "block/opus-raid/array/opus-raid.h"

/* Where a member is failed for it. */
#define OPUS_SHORTER    "it has become shorter"

/**
 * opus_member_is_short: has it less than when it was opened?
 *
 * Asks the operating system, so this is not for the data path.
 */
bool coroutine_fn GRAPH_RDLOCK opus_member_is_short(const OpusRaid *s,
                                                    const OpusMember *m);

#endif /* BLOCK_OPUS_RAID_ARRAY_LENGTHS_H */
