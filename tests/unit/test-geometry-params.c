/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/geometry: what is refused, sizes, md's numbers, names.
 */
#include <glib.h>

#include "util/raid/geometry.h"

#define CHUNK   RAID_MIN_CHUNK_BYTES

/*
 * What is refused
 */

static RaidGeometryError try_init(RaidLevel level, RaidLayout layout,
                                  unsigned nr_slots, uint32_t chunk_bytes,
                                  uint64_t member_bytes)
{
    RaidGeometryParams params = {
        .level = level, .layout = layout, .nr_slots = nr_slots,
        .near_copies = 2, .far_copies = 2, .chunk_bytes = chunk_bytes,
    };
    RaidGeometry geom;

    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        params.member_bytes[slot] = member_bytes;
    }
    return raid_geometry_init(&geom, &params);
}

static bool legal_layout(RaidLevel level, RaidLayout layout)
{
    switch (level) {
    case RAID_LEVEL_0:
        return layout == RAID_LAYOUT_NONE || layout == RAID_LAYOUT_ORIGINAL ||
               layout == RAID_LAYOUT_ALTERNATE;
    case RAID_LEVEL_1:
        return layout == RAID_LAYOUT_NONE;
    case RAID_LEVEL_4:
        return layout == RAID_LAYOUT_PARITY_LAST;
    case RAID_LEVEL_10:
        return layout == RAID_LAYOUT_NEAR || layout == RAID_LAYOUT_FAR ||
               layout == RAID_LAYOUT_OFFSET;
    case RAID_LEVEL_6:
        return layout != RAID_LAYOUT_NONE && (layout < RAID_LAYOUT_NEAR ||
               layout > RAID_LAYOUT_ALTERNATE);
    default:
        return layout != RAID_LAYOUT_NONE && layout < RAID_LAYOUT_NEAR;
    }
}

static void test_refused_levels(void)
{
    static const unsigned min_slots[RAID_LEVEL__MAX] = {
        [RAID_LEVEL_0] = 1, [RAID_LEVEL_1] = 1, [RAID_LEVEL_4] = 2,
        [RAID_LEVEL_5] = 2, [RAID_LEVEL_6] = 4, [RAID_LEVEL_10] = 2,
    };

    g_assert_cmpint(try_init(RAID_LEVEL__MAX, RAID_LAYOUT_NONE, 4, CHUNK,
                             1 << 20), ==, RAID_GEOMETRY_BAD_LEVEL);
    for (RaidLevel level = 0; level < RAID_LEVEL__MAX; level++) {
        g_assert_cmpuint(raid_level_min_slots(level), ==, min_slots[level]);
        for (RaidLayout layout = 0; layout <= RAID_LAYOUT__MAX; layout++) {
            bool legal = layout < RAID_LAYOUT__MAX &&
                         legal_layout(level, layout);

            g_assert_cmpint(try_init(level, layout, 4, CHUNK, 1 << 20), ==,
                            legal ? RAID_GEOMETRY_OK
                                  : RAID_GEOMETRY_BAD_LAYOUT);
            if (legal) {
                g_assert_cmpint(try_init(level, layout, min_slots[level] - 1,
                                         CHUNK, 1 << 20), ==,
                                RAID_GEOMETRY_TOO_FEW_SLOTS);
                g_assert_cmpint(try_init(level, layout, 64, CHUNK, 1 << 20),
                                ==, RAID_GEOMETRY_OK);
                g_assert_cmpint(try_init(level, layout, 65, CHUNK, 1 << 20),
                                ==, RAID_GEOMETRY_TOO_MANY_SLOTS);
            }
        }
    }
}

static void test_refused_sizes(void)
{
    static const uint32_t bad_chunks[] = {
        0, 512, 2048, 4095, 4097, 12288, 1u << 31, UINT32_MAX
    };
    const RaidLayout ls = RAID_LAYOUT_LEFT_SYMMETRIC;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad_chunks); i++) {
        g_assert_cmpint(try_init(RAID_LEVEL_5, ls, 4, bad_chunks[i],
                                 1ull << 40), ==, RAID_GEOMETRY_BAD_CHUNK);
        g_assert_cmpint(try_init(RAID_LEVEL_1, RAID_LAYOUT_NONE, 2,
                                 bad_chunks[i], 1 << 20), ==,
                        RAID_GEOMETRY_OK);
    }
    g_assert_cmpint(try_init(RAID_LEVEL_5, ls, 4, 1u << 30, 1ull << 40), ==,
                    RAID_GEOMETRY_OK);
    g_assert_cmpint(try_init(RAID_LEVEL_5, ls, 4, CHUNK, CHUNK - 1), ==,
                    RAID_GEOMETRY_MEMBER_TOO_SMALL);
    g_assert_cmpint(try_init(RAID_LEVEL_1, RAID_LAYOUT_NONE, 2, 0, 511), ==,
                    RAID_GEOMETRY_MEMBER_TOO_SMALL);
    g_assert_cmpint(try_init(RAID_LEVEL_10, RAID_LAYOUT_FAR, 4, CHUNK,
                             2 * CHUNK - 1), ==,
                    RAID_GEOMETRY_MEMBER_TOO_SMALL);
    g_assert_cmpint(try_init(RAID_LEVEL_5, ls, 4, CHUNK, INT64_MAX / 3 + CHUNK),
                    ==, RAID_GEOMETRY_TOO_LARGE);
    g_assert_cmpint(try_init(RAID_LEVEL_0, RAID_LAYOUT_NONE, 64, CHUNK,
                             1ull << 58), ==, RAID_GEOMETRY_TOO_LARGE);
    g_assert_cmpint(try_init(RAID_LEVEL_0, RAID_LAYOUT_NONE, 2, CHUNK,
                             1ull << 62), ==, RAID_GEOMETRY_TOO_LARGE);
    g_assert_cmpint(try_init(RAID_LEVEL_10, RAID_LAYOUT_NEAR, 2, CHUNK,
                             1ull << 62), ==, RAID_GEOMETRY_TOO_LARGE);
    g_assert_cmpint(try_init(RAID_LEVEL_0, RAID_LAYOUT_NONE, 2, CHUNK,
                             (1ull << 62) - CHUNK), ==, RAID_GEOMETRY_OK);
    g_assert_cmpint(try_init(RAID_LEVEL_1, RAID_LAYOUT_NONE, 2, 0, UINT64_MAX),
                    ==, RAID_GEOMETRY_TOO_LARGE);
    g_assert_cmpint(try_init(RAID_LEVEL_10, RAID_LAYOUT_NEAR, 64, CHUNK,
                             1ull << 62), ==, RAID_GEOMETRY_TOO_LARGE);
}

/* Without a zone layout, only zones that are the same in both. */
static void test_unset_zones(void)
{
    RaidGeometryParams params = {
        .level = RAID_LEVEL_0, .nr_slots = 3, .chunk_bytes = CHUNK,
        .member_bytes = { 4 * CHUNK, 5 * CHUNK - 1, 4 * CHUNK },
    };
    RaidGeometry geom;

    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    g_assert_cmpuint(geom.nr_zones, ==, 1);
    params.member_bytes[1] = 5 * CHUNK;
    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    g_assert_cmpuint(geom.nr_zones, ==, 2);
    params.member_bytes[0] = 6 * CHUNK;
    g_assert_cmpint(raid_geometry_init(&geom, &params), ==,
                    RAID_GEOMETRY_UNSET_ZONES);
    params.layout = RAID_LAYOUT_ALTERNATE;
    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    g_assert_cmpuint(geom.nr_zones, ==, 3);
    g_assert_cmpuint(geom.member_bytes, ==, 4 * CHUNK);
}

/*
 * md's numbers, and names
 */

static void test_md_numbers(void)
{
    static const int32_t levels[] = { -4, -1, 0, 1, 2, 4, 5, 6, 10, 11 };
    unsigned known = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        for (uint32_t layout = 0; layout < 0x80000; layout++) {
            RaidGeometryParams params;

            if (!raid_from_md(levels[i], layout, &params)) {
                continue;
            }
            g_assert_cmpint(raid_level_to_md(params.level), ==, levels[i]);
            if (levels[i] == 1 || levels[i] == 4) {
                /* md does not look at a layout here. */
                g_assert_cmphex(raid_layout_to_md(params.level, params.layout,
                                                  1, 1, RAID_FAR_ALL), ==, 0);
                continue;
            }
            g_assert_cmphex(raid_layout_to_md(params.level, params.layout,
                                              params.near_copies,
                                              params.far_copies,
                                              params.far_sets), ==, layout);
            known++;
        }
    }
    /* RAID0: 3, RAID5: 6, RAID6: 8 more, RAID10: 255 * 255 * 2 * 3 */
    g_assert_cmpuint(known, ==, 3 + 6 + 14 + 255 * 255 * 2 * 3);
}

/* Spelled out, for a table that is its own inverse may still be wrong. */
static void test_md_numbers_meaning(void)
{
    static const struct {
        int32_t md_level;
        uint32_t md_layout;
        RaidLayout layout;
        unsigned near, far;
    } table[] = {
        { 0, 1, RAID_LAYOUT_ORIGINAL, 1, 1 },
        { 0, 2, RAID_LAYOUT_ALTERNATE, 1, 1 },
        { 4, 0, RAID_LAYOUT_PARITY_LAST, 1, 1 },
        { 4, 5, RAID_LAYOUT_PARITY_LAST, 1, 1 },
        { 5, 0, RAID_LAYOUT_LEFT_ASYMMETRIC, 1, 1 },
        { 5, 1, RAID_LAYOUT_RIGHT_ASYMMETRIC, 1, 1 },
        { 5, 2, RAID_LAYOUT_LEFT_SYMMETRIC, 1, 1 },
        { 6, 3, RAID_LAYOUT_RIGHT_SYMMETRIC, 1, 1 },
        { 6, 4, RAID_LAYOUT_PARITY_FIRST, 1, 1 },
        { 6, 5, RAID_LAYOUT_PARITY_LAST, 1, 1 },
        { 10, 0x102, RAID_LAYOUT_NEAR, 2, 1 },
        { 10, 0x201, RAID_LAYOUT_FAR, 1, 2 },
        { 10, 0x10301, RAID_LAYOUT_OFFSET, 1, 3 },
        { 10, 0x202, RAID_LAYOUT_FAR, 2, 2 },
        { 6, 8, RAID_LAYOUT_DDF_ZERO_RESTART, 1, 1 },
        { 6, 9, RAID_LAYOUT_DDF_N_RESTART, 1, 1 },
        { 6, 10, RAID_LAYOUT_DDF_N_CONTINUE, 1, 1 },
        { 6, 16, RAID_LAYOUT_LEFT_ASYMMETRIC_6, 1, 1 },
        { 6, 17, RAID_LAYOUT_RIGHT_ASYMMETRIC_6, 1, 1 },
        { 6, 18, RAID_LAYOUT_LEFT_SYMMETRIC_6, 1, 1 },
        { 6, 19, RAID_LAYOUT_RIGHT_SYMMETRIC_6, 1, 1 },
        { 6, 20, RAID_LAYOUT_PARITY_FIRST_6, 1, 1 },
        { 10, 0x20201, RAID_LAYOUT_FAR, 1, 2 },
        { 10, 0x50201, RAID_LAYOUT_OFFSET, 1, 2 },
    };
    RaidGeometryParams params;

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_assert_true(raid_from_md(table[i].md_level, table[i].md_layout,
                                   &params));
        g_assert_cmpint(params.layout, ==, table[i].layout);
        g_assert_cmpuint(params.near_copies, ==, table[i].near);
        g_assert_cmpuint(params.far_copies, ==, table[i].far);
    }
    g_assert_true(raid_from_md(10, 0x20201, &params));
    g_assert_cmpint(params.far_sets, ==, RAID_FAR_SETS_BY_NUMBER);
    g_assert_true(raid_from_md(10, 0x40201, &params));
    g_assert_cmpint(params.far_sets, ==, RAID_FAR_SETS_BY_SIZE);
    /* What is RAID6's alone; both kinds of far sets at once; no layout */
    g_assert_false(raid_from_md(5, 8, &params));
    g_assert_false(raid_from_md(5, 18, &params));
    g_assert_false(raid_from_md(10, 0x60201, &params));
    g_assert_false(raid_from_md(10, 0x80201, &params));
    g_assert_false(raid_from_md(6, 7, &params));
    g_assert_false(raid_from_md(6, 11, &params));
    g_assert_false(raid_from_md(6, 21, &params));
}

static void check_name(GHashTable *seen, const char *name)
{
    g_assert_nonnull(name);
    g_assert_cmpstr(name, !=, "");
    g_assert_true(g_hash_table_add(seen, (gpointer)name));
}

static void test_names(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (RaidLevel level = 0; level <= RAID_LEVEL__MAX; level++) {
        check_name(seen, raid_level_name(level));
    }
    g_hash_table_remove_all(seen);
    for (RaidLayout layout = 0; layout <= RAID_LAYOUT__MAX; layout++) {
        check_name(seen, raid_layout_name(layout));
    }
    g_hash_table_remove_all(seen);
    for (RaidGeometryError err = 0; err <= RAID_GEOMETRY_TOO_LARGE + 1;
         err++) {
        check_name(seen, raid_geometry_error_text(err));
    }
    g_assert_cmpstr(raid_level_name(RAID_LEVEL_10), ==, "raid10");
    g_assert_cmpstr(raid_layout_name(RAID_LAYOUT_LEFT_SYMMETRIC), ==,
                    "left-symmetric");
}

/* RAID1 may end anywhere; its chunk is only a unit to cut requests by. */
static void test_raid1_rest(void)
{
    RaidGeometryParams params = {
        .level = RAID_LEVEL_1, .nr_slots = 2,
        .member_bytes = { (3 << 20) + 1536, (3 << 20) + 1024 + 511 },
    };
    uint64_t array_off;
    RaidGeometry geom;
    RaidLoc loc;

    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    g_assert_cmpuint(geom.array_bytes, ==, (3 << 20) + 1024);
    g_assert_cmpuint(raid_map(&geom, (3 << 20) + 100, &loc), ==, 924);
    g_assert_cmpuint(raid_map(&geom, (3 << 20) - 1, &loc), ==, 1);
    loc = (RaidLoc) { 1, (3 << 20) + 1023 };
    g_assert_cmpint(raid_unmap(&geom, loc, &array_off), ==, RAID_USE_DATA);
    loc.member_off++;
    g_assert_cmpint(raid_unmap(&geom, loc, &array_off), ==, RAID_USE_NONE);
}

static bool init_size(RaidGeometry *geom, RaidLevel level, RaidLayout layout,
                      unsigned nr_slots, uint64_t member_bytes)
{
    RaidGeometryParams params = {
        .level = level, .layout = layout, .nr_slots = nr_slots,
        .near_copies = layout == RAID_LAYOUT_OFFSET ? 1 : 2, .far_copies = 2,
        .chunk_bytes = 4096,
    };

    for (unsigned slot = 0; slot < nr_slots; slot++) {
        params.member_bytes[slot] = member_bytes;
    }
    return raid_geometry_init(geom, &params) == RAID_GEOMETRY_OK;
}

/*
 * An array that grows takes over the two sizes, and nothing else: all other
 * constants must be the same for any size. RAID0 and far copies don't grow.
 */
static void test_sizes_are_all_that_grows(void)
{
    unsigned seen = 0;

    for (RaidLevel level = RAID_LEVEL_1; level <= RAID_LEVEL_10; level++) {
        for (RaidLayout layout = 0; layout < RAID_LAYOUT__MAX; layout++) {
            for (unsigned nr_slots = 3; nr_slots < 8; nr_slots++) {
                RaidGeometry small, large;

                if (layout == RAID_LAYOUT_FAR ||
                    !init_size(&small, level, layout, nr_slots, 10 << 20)) {
                    continue;
                }
                g_assert_true(init_size(&large, level, layout, nr_slots,
                                        30 << 20));
                g_assert_cmpuint(small.member_bytes, <, large.member_bytes);
                g_assert_cmpuint(small.array_bytes, <, large.array_bytes);
                small.member_bytes = large.member_bytes;
                small.array_bytes = large.array_bytes;
                g_assert_cmpmem(&small, sizeof(small), &large, sizeof(large));
                seen++;
            }
        }
    }
    g_assert_cmpuint(seen, >, 50);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/geometry/refused/levels", test_refused_levels);
    g_test_add_func("/geometry/refused/sizes", test_refused_sizes);
    g_test_add_func("/geometry/raid1-rest", test_raid1_rest);
    g_test_add_func("/geometry/unset-zones", test_unset_zones);
    g_test_add_func("/geometry/sizes-are-all-that-grows",
                    test_sizes_are_all_that_grows);
    g_test_add_func("/geometry/md-numbers", test_md_numbers);
    g_test_add_func("/geometry/md-numbers-meaning", test_md_numbers_meaning);
    g_test_add_func("/geometry/names", test_names);
    return g_test_run();
}
