/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Geometry, the cold half: from parameters to the constants of an array
 *
 * Owns:      which levels, layouts, numbers of members and chunks there are;
 *            array sizes; names; md's numbers for level and layout.
 * Knows not: superblocks, I/O, how requests are placed (geometry-map.c).
 * Threads:   any; nothing here keeps state.
 * Keeps:     a geometry that was accepted has sizes in whole chunks (RAID1: in
 *            sectors) that fit int64_t.
 */
#include <string.h>

#include "geometry.h"
#include "geometry-odd.h"

/* RAID1 has no chunks; this is only a unit to cut requests by. */
#define RAID1_CHUNK_BYTES   (1u << 20)

/* Parity layouts as md numbers them. */
#define MD_LEFT_ASYMMETRIC  0
#define MD_RIGHT_ASYMMETRIC 1
#define MD_LEFT_SYMMETRIC   2
#define MD_RIGHT_SYMMETRIC  3
#define MD_PARITY_FIRST     4
#define MD_PARITY_LAST      5
#define MD_DDF_ZERO_RESTART 8       /* RAID6, from here on */
#define MD_DDF_N_RESTART    9
#define MD_DDF_N_CONTINUE   10
#define MD_LEFT_ASYMMETRIC_6    16
#define MD_RIGHT_ASYMMETRIC_6   17
#define MD_LEFT_SYMMETRIC_6     18
#define MD_RIGHT_SYMMETRIC_6    19
#define MD_PARITY_FIRST_6       20

#define MD_RAID0_ORIGINAL   1
#define MD_RAID0_ALTERNATE  2

/* RAID10: near copies in the low byte, far copies in the next. */
#define MD_RAID10_FAR_SHIFT 8
#define MD_RAID10_OFFSET    (1u << 16)
#define MD_RAID10_SETS_SHIFT    17
#define MD_RAID10_SETS      (3u << MD_RAID10_SETS_SHIFT)
#define MD_RAID10_KNOWN     (0xffffu | MD_RAID10_OFFSET | MD_RAID10_SETS)

static inline uint32_t in_chunk(const RaidGeometry *geom, uint64_t off)
{
    return off & (geom->chunk_bytes - 1);
}

/*
 * Names
 */

const char *raid_geometry_error_text(RaidGeometryError err)
{
    switch (err) {
    case RAID_GEOMETRY_OK:
        return "no error";
    case RAID_GEOMETRY_BAD_LEVEL:
        return "unknown level";
    case RAID_GEOMETRY_BAD_LAYOUT:
        return "the level has no such layout";
    case RAID_GEOMETRY_TOO_FEW_SLOTS:
        return "too few members";
    case RAID_GEOMETRY_TOO_MANY_SLOTS:
        return "too many members";
    case RAID_GEOMETRY_BAD_COPIES:
        return "number of copies is not possible";
    case RAID_GEOMETRY_BAD_CHUNK:
        return "chunk size is no power of two or out of range";
    case RAID_GEOMETRY_MEMBER_TOO_SMALL:
        return "a member holds no whole chunk";
    case RAID_GEOMETRY_UNSET_ZONES:
        return "members differ in size and the zone layout is not given";
    case RAID_GEOMETRY_TOO_LARGE:
        return "the array would be too large";
    }
    return "unknown error";
}

const char *raid_level_name(RaidLevel level)
{
    static const char *const names[RAID_LEVEL__MAX] = {
        [RAID_LEVEL_0] = "raid0",
        [RAID_LEVEL_1] = "raid1",
        [RAID_LEVEL_4] = "raid4",
        [RAID_LEVEL_5] = "raid5",
        [RAID_LEVEL_6] = "raid6",
        [RAID_LEVEL_10] = "raid10",
    };

    return (unsigned)level < RAID_LEVEL__MAX ? names[level] : "unknown";
}

const char *raid_layout_name(RaidLayout layout)
{
    static const char *const names[RAID_LAYOUT__MAX] = {
        [RAID_LAYOUT_NONE] = "none",
        [RAID_LAYOUT_LEFT_ASYMMETRIC] = "left-asymmetric",
        [RAID_LAYOUT_RIGHT_ASYMMETRIC] = "right-asymmetric",
        [RAID_LAYOUT_LEFT_SYMMETRIC] = "left-symmetric",
        [RAID_LAYOUT_RIGHT_SYMMETRIC] = "right-symmetric",
        [RAID_LAYOUT_PARITY_FIRST] = "parity-first",
        [RAID_LAYOUT_PARITY_LAST] = "parity-last",
        [RAID_LAYOUT_NEAR] = "near",
        [RAID_LAYOUT_FAR] = "far",
        [RAID_LAYOUT_OFFSET] = "offset",
        [RAID_LAYOUT_ORIGINAL] = "original",
        [RAID_LAYOUT_ALTERNATE] = "alternate",
        [RAID_LAYOUT_DDF_ZERO_RESTART] = "ddf-zero-restart",
        [RAID_LAYOUT_DDF_N_RESTART] = "ddf-n-restart",
        [RAID_LAYOUT_DDF_N_CONTINUE] = "ddf-n-continue",
        [RAID_LAYOUT_LEFT_ASYMMETRIC_6] = "left-asymmetric-6",
        [RAID_LAYOUT_RIGHT_ASYMMETRIC_6] = "right-asymmetric-6",
        [RAID_LAYOUT_LEFT_SYMMETRIC_6] = "left-symmetric-6",
        [RAID_LAYOUT_RIGHT_SYMMETRIC_6] = "right-symmetric-6",
        [RAID_LAYOUT_PARITY_FIRST_6] = "parity-first-6",
    };

    return (unsigned)layout < RAID_LAYOUT__MAX ? names[layout] : "unknown";
}

unsigned raid_level_min_slots(RaidLevel level)
{
    switch (level) {
    case RAID_LEVEL_0:
    case RAID_LEVEL_1:
        return 1;
    case RAID_LEVEL_6:
        return 4;
    default:
        return 2;
    }
}

/*
 * md's numbers
 */

/* RAID_LAYOUT_NONE: it has no such number. */
static bool parity_layout_from_md(RaidLevel level, uint32_t md_layout,
                                  RaidLayout *layout)
{
    static const RaidLayout layouts[] = {
        [MD_LEFT_ASYMMETRIC] = RAID_LAYOUT_LEFT_ASYMMETRIC,
        [MD_RIGHT_ASYMMETRIC] = RAID_LAYOUT_RIGHT_ASYMMETRIC,
        [MD_LEFT_SYMMETRIC] = RAID_LAYOUT_LEFT_SYMMETRIC,
        [MD_RIGHT_SYMMETRIC] = RAID_LAYOUT_RIGHT_SYMMETRIC,
        [MD_PARITY_FIRST] = RAID_LAYOUT_PARITY_FIRST,
        [MD_PARITY_LAST] = RAID_LAYOUT_PARITY_LAST,
        [MD_DDF_ZERO_RESTART] = RAID_LAYOUT_DDF_ZERO_RESTART,
        [MD_DDF_N_RESTART] = RAID_LAYOUT_DDF_N_RESTART,
        [MD_DDF_N_CONTINUE] = RAID_LAYOUT_DDF_N_CONTINUE,
        [MD_LEFT_ASYMMETRIC_6] = RAID_LAYOUT_LEFT_ASYMMETRIC_6,
        [MD_RIGHT_ASYMMETRIC_6] = RAID_LAYOUT_RIGHT_ASYMMETRIC_6,
        [MD_LEFT_SYMMETRIC_6] = RAID_LAYOUT_LEFT_SYMMETRIC_6,
        [MD_RIGHT_SYMMETRIC_6] = RAID_LAYOUT_RIGHT_SYMMETRIC_6,
        [MD_PARITY_FIRST_6] = RAID_LAYOUT_PARITY_FIRST_6,
    };

    if (md_layout >= sizeof(layouts) / sizeof(layouts[0])) {
        return false;
    }
    *layout = layouts[md_layout];
    return *layout != RAID_LAYOUT_NONE &&
           (level == RAID_LEVEL_6 || md_layout <= MD_PARITY_LAST);
}

static bool raid10_from_md(uint32_t md_layout, RaidGeometryParams *params)
{
    params->far_sets = (md_layout & MD_RAID10_SETS) >> MD_RAID10_SETS_SHIFT;
    if ((md_layout & ~MD_RAID10_KNOWN) ||
        params->far_sets >= RAID_FAR_SETS__MAX) {
        return false;
    }
    params->near_copies = md_layout & 0xff;
    params->far_copies = (md_layout >> MD_RAID10_FAR_SHIFT) & 0xff;
    if (md_layout & MD_RAID10_OFFSET) {
        params->layout = RAID_LAYOUT_OFFSET;
    } else if (params->far_copies > 1) {
        params->layout = RAID_LAYOUT_FAR;
    } else {
        params->layout = RAID_LAYOUT_NEAR;
    }
    return params->near_copies > 0 && params->far_copies > 0;
}

bool raid_from_md(int32_t md_level, uint32_t md_layout,
                  RaidGeometryParams *params)
{
    params->near_copies = 1;
    params->far_copies = 1;
    params->far_sets = RAID_FAR_ALL;
    params->layout = RAID_LAYOUT_NONE;

    switch (md_level) {
    case 0:
        params->level = RAID_LEVEL_0;
        if (md_layout == MD_RAID0_ORIGINAL) {
            params->layout = RAID_LAYOUT_ORIGINAL;
        } else if (md_layout == MD_RAID0_ALTERNATE) {
            params->layout = RAID_LAYOUT_ALTERNATE;
        }
        return md_layout <= MD_RAID0_ALTERNATE;
    case 1:
        params->level = RAID_LEVEL_1;
        return true;            /* md looks at no layout */
    case 4:
        params->level = RAID_LEVEL_4;
        params->layout = RAID_LAYOUT_PARITY_LAST;
        return true;            /* nor here */
    case 5:
        params->level = RAID_LEVEL_5;
        return parity_layout_from_md(RAID_LEVEL_5, md_layout, &params->layout);
    case 6:
        params->level = RAID_LEVEL_6;
        return parity_layout_from_md(RAID_LEVEL_6, md_layout, &params->layout);
    case 10:
        params->level = RAID_LEVEL_10;
        return raid10_from_md(md_layout, params);
    default:
        return false;
    }
}

int32_t raid_level_to_md(RaidLevel level)
{
    static const int32_t levels[RAID_LEVEL__MAX] = {
        [RAID_LEVEL_0] = 0,
        [RAID_LEVEL_1] = 1,
        [RAID_LEVEL_4] = 4,
        [RAID_LEVEL_5] = 5,
        [RAID_LEVEL_6] = 6,
        [RAID_LEVEL_10] = 10,
    };

    return levels[level];
}

uint32_t raid_layout_to_md(RaidLevel level, RaidLayout layout,
                           unsigned near_copies, unsigned far_copies,
                           RaidFarSets far_sets)
{
    static const uint32_t numbers[RAID_LAYOUT__MAX] = {
        [RAID_LAYOUT_LEFT_ASYMMETRIC] = MD_LEFT_ASYMMETRIC,
        [RAID_LAYOUT_RIGHT_ASYMMETRIC] = MD_RIGHT_ASYMMETRIC,
        [RAID_LAYOUT_LEFT_SYMMETRIC] = MD_LEFT_SYMMETRIC,
        [RAID_LAYOUT_RIGHT_SYMMETRIC] = MD_RIGHT_SYMMETRIC,
        [RAID_LAYOUT_PARITY_FIRST] = MD_PARITY_FIRST,
        [RAID_LAYOUT_PARITY_LAST] = MD_PARITY_LAST,
        [RAID_LAYOUT_ORIGINAL] = MD_RAID0_ORIGINAL,
        [RAID_LAYOUT_ALTERNATE] = MD_RAID0_ALTERNATE,
        [RAID_LAYOUT_DDF_ZERO_RESTART] = MD_DDF_ZERO_RESTART,
        [RAID_LAYOUT_DDF_N_RESTART] = MD_DDF_N_RESTART,
        [RAID_LAYOUT_DDF_N_CONTINUE] = MD_DDF_N_CONTINUE,
        [RAID_LAYOUT_LEFT_ASYMMETRIC_6] = MD_LEFT_ASYMMETRIC_6,
        [RAID_LAYOUT_RIGHT_ASYMMETRIC_6] = MD_RIGHT_ASYMMETRIC_6,
        [RAID_LAYOUT_LEFT_SYMMETRIC_6] = MD_LEFT_SYMMETRIC_6,
        [RAID_LAYOUT_RIGHT_SYMMETRIC_6] = MD_RIGHT_SYMMETRIC_6,
        [RAID_LAYOUT_PARITY_FIRST_6] = MD_PARITY_FIRST_6,
    };
    uint32_t copies = near_copies | far_copies << MD_RAID10_FAR_SHIFT |
                      far_sets << MD_RAID10_SETS_SHIFT;

    if (level == RAID_LEVEL_4) {
        return 0;               /* as mdadm writes it */
    }
    switch (layout) {
    case RAID_LAYOUT_NEAR:
        return near_copies | 1u << MD_RAID10_FAR_SHIFT |
               far_sets << MD_RAID10_SETS_SHIFT;
    case RAID_LAYOUT_FAR:
        return copies;
    case RAID_LAYOUT_OFFSET:
        return copies | MD_RAID10_OFFSET;
    default:
        return (unsigned)layout < RAID_LAYOUT__MAX ? numbers[layout] : 0;
    }
}

/*
 * Working out the constants
 */

static bool level_has_layout(RaidLevel level, RaidLayout layout)
{
    switch (level) {
    case RAID_LEVEL_0:
        return layout == RAID_LAYOUT_NONE || layout == RAID_LAYOUT_ORIGINAL ||
               layout == RAID_LAYOUT_ALTERNATE;
    case RAID_LEVEL_1:
        return layout == RAID_LAYOUT_NONE;
    case RAID_LEVEL_4:
        return layout == RAID_LAYOUT_PARITY_LAST;
    case RAID_LEVEL_6:
        if (raid_layout_is_odd(layout)) {
            return true;
        }
        /* fall through */
    case RAID_LEVEL_5:
        return layout >= RAID_LAYOUT_LEFT_ASYMMETRIC &&
               layout <= RAID_LAYOUT_PARITY_LAST;
    case RAID_LEVEL_10:
        return layout >= RAID_LAYOUT_NEAR && layout <= RAID_LAYOUT_OFFSET;
    default:
        return false;
    }
}

static uint64_t smallest_member(const RaidGeometryParams *params)
{
    uint64_t bytes = params->member_bytes[0];

    for (unsigned slot = 1; slot < params->nr_slots; slot++) {
        if (params->member_bytes[slot] < bytes) {
            bytes = params->member_bytes[slot];
        }
    }
    return bytes;
}

/* The sum of both, or UINT64_MAX when that is more than QEMU can address. */
static uint64_t add_bytes(uint64_t sum, uint64_t bytes, unsigned times)
{
    uint64_t product;

    if (__builtin_mul_overflow(bytes, times, &product) ||
        __builtin_add_overflow(sum, product, &sum) || sum > INT64_MAX) {
        return UINT64_MAX;
    }
    return sum;
}

/*
 * A zone ends where its shortest member ends; the next has the members that
 * are longer, in slot order, and starts on them where the last one ended.
 * Returns the number of bytes that it takes of each of its members.
 */
static uint64_t init_zone(const RaidGeometry *geom,
                          const RaidGeometryParams *params,
                          uint64_t member_start, RaidZone *zone)
{
    uint64_t shortest = UINT64_MAX;

    zone->member_start = member_start;
    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        uint64_t bytes = params->member_bytes[slot];

        bytes -= in_chunk(geom, bytes);
        if (bytes > member_start) {
            zone->slots[zone->nr_slots++] = slot;
            shortest = bytes < shortest ? bytes : shortest;
        }
    }
    return zone->nr_slots ? shortest - member_start : 0;
}

static RaidGeometryError init_raid0(RaidGeometry *geom,
                                    const RaidGeometryParams *params)
{
    uint64_t member_start = 0;

    geom->nr_data = geom->nr_slots;
    while (geom->nr_zones < RAID_MAX_MEMBERS) {
        RaidZone *zone = &geom->zones[geom->nr_zones];
        uint64_t bytes = init_zone(geom, params, member_start, zone);

        if (bytes == 0) {
            break;
        }
        geom->array_bytes = add_bytes(geom->array_bytes, bytes,
                                      zone->nr_slots);
        if (geom->array_bytes == UINT64_MAX) {
            return RAID_GEOMETRY_TOO_LARGE;
        }
        zone->array_end = geom->array_bytes;
        member_start += bytes;
        geom->nr_zones++;
    }

    /* With one slot in it, a zone is the same in both layouts. */
    if (geom->layout == RAID_LAYOUT_NONE && geom->nr_zones > 1 &&
        geom->zones[1].nr_slots > 1) {
        return RAID_GEOMETRY_UNSET_ZONES;
    }
    return RAID_GEOMETRY_OK;
}

static RaidGeometryError init_raid1(RaidGeometry *geom)
{
    geom->nr_data = 1;
    geom->copies = geom->nr_slots;
    geom->array_bytes = geom->member_bytes;
    return geom->array_bytes <= INT64_MAX ? RAID_GEOMETRY_OK
                                          : RAID_GEOMETRY_TOO_LARGE;
}

static RaidGeometryError init_parity(RaidGeometry *geom)
{
    geom->nr_parity = geom->level == RAID_LEVEL_6 ? 2 : 1;
    geom->nr_data = geom->nr_slots - geom->nr_parity;
    geom->period_stripes = raid_odd_period(geom);
    geom->array_bytes = add_bytes(0, geom->member_bytes, geom->nr_data);
    return geom->array_bytes <= INT64_MAX ? RAID_GEOMETRY_OK
                                          : RAID_GEOMETRY_TOO_LARGE;
}

static RaidGeometryError init_raid10(RaidGeometry *geom,
                                     const RaidGeometryParams *params)
{
    uint64_t rows;

    geom->near_copies = params->near_copies;
    if (geom->layout != RAID_LAYOUT_NEAR) {
        geom->far_copies = params->far_copies;
        if (geom->far_copies < 2) {
            return RAID_GEOMETRY_BAD_COPIES;
        }
    }
    if (geom->near_copies < 1 || geom->near_copies > geom->nr_slots ||
        geom->far_copies > geom->nr_slots) {
        return RAID_GEOMETRY_BAD_COPIES;
    }
    geom->nr_data = 1;
    geom->copies = geom->near_copies * geom->far_copies;
    if (geom->copies < 2 || geom->copies > geom->nr_slots) {
        return RAID_GEOMETRY_BAD_COPIES;
    }
    if (!raid_far_sets_init(geom, params->far_sets)) {
        return RAID_GEOMETRY_BAD_COPIES;
    }

    /*
     * Where near copies wrap to the next row, md's offset layout puts them on
     * the place of a far copy of another chunk: such an array has not all its
     * copies, and no reader could tell which.
     */
    if (geom->layout == RAID_LAYOUT_OFFSET &&
        geom->nr_slots % geom->near_copies) {
        return RAID_GEOMETRY_BAD_COPIES;
    }

    /* Each far copy of the array has the same number of whole rows. */
    rows = (geom->member_bytes >> geom->chunk_shift) / geom->far_copies;
    if (rows == 0) {
        return RAID_GEOMETRY_MEMBER_TOO_SMALL;
    }
    if (add_bytes(0, geom->member_bytes, geom->nr_slots) == UINT64_MAX) {
        return RAID_GEOMETRY_TOO_LARGE;
    }
    geom->member_bytes = rows * geom->far_copies << geom->chunk_shift;
    if (geom->layout == RAID_LAYOUT_OFFSET) {
        geom->far_stride = geom->chunk_bytes;
    } else if (geom->far_copies > 1) {
        geom->far_stride = rows << geom->chunk_shift;
    }
    /* A chunk whose near copies do not all fit the last row is left out. */
    geom->array_bytes = rows * geom->nr_slots / geom->near_copies
                        << geom->chunk_shift;
    return RAID_GEOMETRY_OK;
}

static RaidGeometryError init_chunk(RaidGeometry *geom,
                                    const RaidGeometryParams *params)
{
    uint32_t bytes = params->chunk_bytes;
    uint64_t unit;

    if (geom->level == RAID_LEVEL_1) {
        bytes = RAID1_CHUNK_BYTES;
    }
    if (bytes < RAID_MIN_CHUNK_BYTES || bytes > RAID_MAX_CHUNK_BYTES ||
        (bytes & (bytes - 1))) {
        return RAID_GEOMETRY_BAD_CHUNK;
    }
    geom->chunk_bytes = bytes;
    geom->chunk_shift = __builtin_ctz(bytes);

    unit = geom->level == RAID_LEVEL_1 ? RAID_SECTOR_BYTES : bytes;
    geom->member_bytes = smallest_member(params) & ~(unit - 1);
    return geom->member_bytes ? RAID_GEOMETRY_OK
                              : RAID_GEOMETRY_MEMBER_TOO_SMALL;
}

RaidGeometryError raid_geometry_init(RaidGeometry *geom,
                                     const RaidGeometryParams *params)
{
    RaidGeometryError err;

    if ((unsigned)params->level >= RAID_LEVEL__MAX) {
        return RAID_GEOMETRY_BAD_LEVEL;
    }
    if (!level_has_layout(params->level, params->layout)) {
        return RAID_GEOMETRY_BAD_LAYOUT;
    }
    if (params->nr_slots < raid_level_min_slots(params->level)) {
        return RAID_GEOMETRY_TOO_FEW_SLOTS;
    }
    if (params->nr_slots > RAID_MAX_MEMBERS) {
        return RAID_GEOMETRY_TOO_MANY_SLOTS;
    }

    memset(geom, 0, sizeof(*geom));
    geom->level = params->level;
    geom->layout = params->layout;
    geom->nr_slots = params->nr_slots;
    geom->copies = geom->near_copies = geom->far_copies = 1;
    err = init_chunk(geom, params);
    if (err != RAID_GEOMETRY_OK) {
        return err;
    }
    switch (geom->level) {
    case RAID_LEVEL_0:
        return init_raid0(geom, params);
    case RAID_LEVEL_1:
        return init_raid1(geom);
    case RAID_LEVEL_10:
        return init_raid10(geom, params);
    default:
        return init_parity(geom);
    }
}
