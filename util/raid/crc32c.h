/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32C (Castagnoli), as in iSCSI
 *
 * The kernel's crc32c() leaves out the inversions: what it stores as
 * ~crc32c(~0, ...) is raid_crc32c(0, ...). Pure; any thread.
 */
#ifndef UTIL_RAID_CRC32C_H
#define UTIL_RAID_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * raid_crc32c: checksum of bytes that follow others
 * @crc: checksum of those before, 0 when there are none
 */
uint32_t raid_crc32c(uint32_t crc, const void *buf, size_t bytes);

#endif /* UTIL_RAID_CRC32C_H */
