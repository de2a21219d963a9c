/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Golden geometry: what Linux md itself wrote where
 *
 * Chunks are 4 KiB (RAID1 is described in such units, too). Each 512-byte
 * sector of the array held golden_sector() of its number.
 */
#ifndef TESTS_UNIT_GOLDEN_GEOMETRY_H
#define TESTS_UNIT_GOLDEN_GEOMETRY_H

#include "util/raid/geometry.h"

#define GOLDEN_CHUNK_BYTES  4096
#define GOLDEN_MAX_SLOTS    8

typedef struct GoldenArray {
    const char *name;
    int32_t md_level;
    uint32_t md_layout;
    unsigned nr_slots;
    uint64_t array_bytes;
    uint32_t p_crc32;           /* of all P, stripe by stripe; 0 without */
    uint32_t q_crc32;
    uint64_t member_bytes[GOLDEN_MAX_SLOTS];
    /*
     * A word for each chunk of each member's data area: the number of the
     * array's chunk, P, Q, or - for what md left alone.
     */
    const char *cells[GOLDEN_MAX_SLOTS];
} GoldenArray;

static const GoldenArray golden_arrays[] = {
#include "golden-geometry.inc"
};

#define NR_GOLDEN_ARRAYS (sizeof(golden_arrays) / sizeof(golden_arrays[0]))

/* Parameters as one that reads the superblocks would find them. */
static inline bool golden_params(const GoldenArray *golden,
                                 RaidGeometryParams *params)
{
    *params = (RaidGeometryParams) {
        .nr_slots = golden->nr_slots,
        .chunk_bytes = GOLDEN_CHUNK_BYTES,
    };
    for (unsigned slot = 0; slot < golden->nr_slots; slot++) {
        params->member_bytes[slot] = golden->member_bytes[slot];
    }
    return raid_from_md(golden->md_level, golden->md_layout, params);
}

#endif /* TESTS_UNIT_GOLDEN_GEOMETRY_H */
