/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zero: whole stripes of zeroes
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_PARITY_ZERO_H
#define BLOCK_OPUS_RAID_REDUNDANCY_PARITY_ZERO_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * The range is of whole stripes. Takes their locks. The caller is between
 * opus_array_write_begin() and _end(). Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK
opus_stripes_zero(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                  BdrvRequestFlags flags);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_PARITY_ZERO_H */
