/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a read is worth that met the end of a file
 *
 * QEMU's file-posix.c fills with zeroes what a file does not have any more,
 * for the last sector may be there in part. A file that became shorter than
 * its node says would so be read as zeroes that were never written.
 */
#ifndef BLOCK_OPUS_RAID_BASE_FILE_END_H
#define BLOCK_OPUS_RAID_BASE_FILE_END_H

#include "block/block_int-common.h"

/**
 * bdrv_after_padding: the result of a read that may have been padded
 * @end: where the read ends, in bytes
 * @ret: a negative errno, or how many bytes of it are padding
 *
 * Returns a negative errno; 0 when the padding begins in the last sector that
 * the node has, or behind it.
 */
static inline int bdrv_after_padding(BlockDriverState *bs, int64_t end,
                                     int ret)
{
    int64_t bytes = bs->total_sectors * BDRV_SECTOR_SIZE;

    if (likely(ret <= 0)) {
        return ret;
    }
    return end - ret > bytes - BDRV_SECTOR_SIZE ||
           bs->bl.has_variable_length ? 0 : -EIO;
}

#endif /* BLOCK_OPUS_RAID_BASE_FILE_END_H */
