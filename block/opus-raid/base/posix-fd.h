/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptor of a node of QEMU's file-posix.c, which it does not show
 */
#ifndef BLOCK_OPUS_RAID_BASE_POSIX_FD_H
#define BLOCK_OPUS_RAID_BASE_POSIX_FD_H

#include "block/block_int-common.h"

/*
 * What a node of driver file, host_device or host_cdrom has open; of any other
 * -1. Main loop; it may change when the node is reopened.
 */
int bdrv_posix_fd(BlockDriverState *bs);

#endif /* BLOCK_OPUS_RAID_BASE_POSIX_FD_H */
