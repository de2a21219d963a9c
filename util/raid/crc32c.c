/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32C: by the processor's own instruction where it has one
 *
 * Owns: the two ways to compute it.
 * Must not know: what is checksummed.
 * Threads: any; nothing here has state.
 */
#include <string.h>

#include "crc32c.h"

/* The remainders of the 16 values of four bits; polynomial 0x82f63b78. */
static const uint32_t remainders[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
    0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t raid_crc32c_portable(uint32_t crc, const void *buf, size_t bytes)
{
    const uint8_t *at = buf;

    crc = ~crc;
    for (; bytes; bytes--, at++) {
        crc ^= *at;
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t bytes)
{
    uint64_t wide = crc;

    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = wide;
    for (; bytes; bytes--, at++) {
        crc = __builtin_ia32_crc32qi(crc, *at);
    }
    return crc;
}
#endif

uint32_t raid_crc32c(uint32_t crc, const void *buf, size_t bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return ~by_instruction(~crc, buf, bytes);
    }
#endif
    return raid_crc32c_portable(crc, buf, bytes);
}
