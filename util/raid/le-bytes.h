/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Little-endian loads and stores at a byte offset of an image, whatever its
 * alignment
 */
#ifndef UTIL_RAID_LE_BYTES_H
#define UTIL_RAID_LE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t le_get_u16(const uint8_t *image, size_t at)
{
    uint16_t value;

    memcpy(&value, image + at, sizeof(value));
    return le16toh(value);
}

static inline uint32_t le_get_u32(const uint8_t *image, size_t at)
{
    uint32_t value;

    memcpy(&value, image + at, sizeof(value));
    return le32toh(value);
}

static inline uint64_t le_get_u64(const uint8_t *image, size_t at)
{
    uint64_t value;

    memcpy(&value, image + at, sizeof(value));
    return le64toh(value);
}

static inline void le_put_u16(uint8_t *image, size_t at, uint16_t value)
{
    value = htole16(value);
    memcpy(image + at, &value, sizeof(value));
}

static inline void le_put_u32(uint8_t *image, size_t at, uint32_t value)
{
    value = htole32(value);
    memcpy(image + at, &value, sizeof(value));
}

static inline void le_put_u64(uint8_t *image, size_t at, uint64_t value)
{
    value = htole64(value);
    memcpy(image + at, &value, sizeof(value));
}

#endif /* UTIL_RAID_LE_BYTES_H */
