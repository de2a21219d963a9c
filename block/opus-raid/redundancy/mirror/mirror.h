/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mirror: one chunk of a RAID1 or RAID10 array
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_MIRROR_H
#define BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_MIRROR_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_mirror_recover: read from another copy what could not be read from
 * @bad_slot, and write it back there
 * @array_off, @bytes: inside one chunk
 *
 * Takes the chunk's lock. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK
opus_mirror_recover(OpusRaid *s, uint64_t array_off, size_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    unsigned bad_slot);

/**
 * opus_mirror_write: write inside one chunk to all its copies
 * @flags: BDRV_REQ_FUA or 0
 *
 * The caller is between opus_array_write_begin() and _end(). Takes the
 * chunk's lock, so that overlapping writes leave all copies the same. When it
 * returns 0, every copy is written or its member is durably recorded as
 * failed (I5).
 */
int coroutine_fn GRAPH_RDLOCK
opus_mirror_write(OpusRaid *s, uint64_t array_off, size_t bytes,
                  QEMUIOVector *qiov, size_t qiov_offset,
                  BdrvRequestFlags flags);

/* The same with zeroes; @flags may have BDRV_REQ_MAY_UNMAP too. */
int coroutine_fn GRAPH_RDLOCK
opus_mirror_zero(OpusRaid *s, uint64_t array_off, size_t bytes,
                 BdrvRequestFlags flags);

/**
 * opus_mirror_rebuild: copy inside one chunk from a usable copy
 * @to:  the member of the slot that is rebuilt, or its replacement
 * @loc: where the copy of @array_off lies there
 *
 * Called with the chunk's lock held. What no copy has is recorded as bad.
 * Returns 0 when that is done or the slot's member has failed, -ENOSPC when it
 * can't be recorded, or another negative errno.
 */
int coroutine_fn GRAPH_RDLOCK
opus_mirror_rebuild(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                    OpusMember *to, RaidLoc loc);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_MIRROR_H */
