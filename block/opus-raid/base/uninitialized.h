/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uninitialized: large automatic variables of the data path
 */
#ifndef BLOCK_OPUS_RAID_BASE_UNINITIALIZED_H
#define BLOCK_OPUS_RAID_BASE_UNINITIALIZED_H

/*
 * QEMU is built with automatic variables zeroed. Large ones on the data path
 * opt out of it; they are written before they are read.
 */
#define OPUS_UNINITIALIZED __attribute__((uninitialized))

#endif /* BLOCK_OPUS_RAID_BASE_UNINITIALIZED_H */
