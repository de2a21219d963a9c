/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32C: ISA-L's, with the inversions that it leaves to its caller
 *
 * Owns: nothing.
 * Must not know: what is checksummed.
 * Threads: any; nothing here has state.
 */
#include <isa-l.h>
#include <limits.h>

#include "crc32c.h"

uint32_t raid_crc32c(uint32_t crc, const void *buf, size_t bytes)
{
    const uint8_t *at = buf;

    crc = ~crc;
    while (bytes) {
        /* ISA-L counts in an int, and forgot to say const. */
        int part_bytes = bytes < INT_MAX ? bytes : INT_MAX;

        crc = crc32_iscsi((uint8_t *)at, part_bytes, crc);
        at += part_bytes;
        bytes -= part_bytes;
    }
    return ~crc;
}
