/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/geometry: against Linux md itself (golden-geometry.inc),
 * and every geometry against an oracle that deals chunks out like cards.
 */
#include <glib.h>
#include <string.h>

#include "deal.h"
#include "golden-geometry.h"

#define CHUNK   RAID_MIN_CHUNK_BYTES

static const RaidLayout parity_layouts[] = {
    RAID_LAYOUT_LEFT_ASYMMETRIC, RAID_LAYOUT_RIGHT_ASYMMETRIC,
    RAID_LAYOUT_LEFT_SYMMETRIC, RAID_LAYOUT_RIGHT_SYMMETRIC,
    RAID_LAYOUT_PARITY_FIRST, RAID_LAYOUT_PARITY_LAST,
    RAID_LAYOUT_DDF_ZERO_RESTART, RAID_LAYOUT_DDF_N_RESTART,
    RAID_LAYOUT_DDF_N_CONTINUE, RAID_LAYOUT_LEFT_ASYMMETRIC_6,
    RAID_LAYOUT_RIGHT_ASYMMETRIC_6, RAID_LAYOUT_LEFT_SYMMETRIC_6,
    RAID_LAYOUT_RIGHT_SYMMETRIC_6, RAID_LAYOUT_PARITY_FIRST_6,
};

/* 2 to 9, and some where masks and divisions come to their ends */
static const unsigned slot_counts[] = {
    2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 32, 33, 62, 63, 64
};

/*
 * md
 */

static RaidUse golden_use(const char *cell)
{
    switch (cell[0]) {
    case 'P':
        return RAID_USE_P;
    case 'Q':
        return RAID_USE_Q;
    case '-':
        return RAID_USE_NONE;
    default:
        return RAID_USE_DATA;
    }
}

/* Is this one of the array byte's copies? */
static bool is_copy(const RaidGeometry *geom, uint64_t array_off, RaidLoc loc)
{
    for (unsigned copy = 0; copy < geom->copies; copy++) {
        RaidLoc found;

        raid_map_copy(geom, array_off, copy, &found);
        if (found.slot == loc.slot && found.member_off == loc.member_off) {
            return true;
        }
    }
    return false;
}

/* One cell of the table; returns how many bytes of the array it holds. */
static uint64_t check_golden_cell(const RaidGeometry *geom, const char *cell,
                                  unsigned slot, unsigned row)
{
    uint64_t held = 0;

    for (unsigned at = 0; at < GOLDEN_CHUNK_BYTES; at += RAID_SECTOR_BYTES) {
        RaidLoc loc = { slot, (uint64_t)row * GOLDEN_CHUNK_BYTES + at };
        uint64_t array_off = UINT64_MAX, want;
        RaidUse use = raid_unmap(geom, loc, &array_off);

        if (golden_use(cell) != RAID_USE_DATA) {
            g_assert_cmpint(use, ==, golden_use(cell));
            continue;
        }
        want = g_ascii_strtoull(cell, NULL, 10) * GOLDEN_CHUNK_BYTES + at;
        if (want >= geom->array_bytes) {        /* RAID1's last chunk */
            g_assert_cmpint(use, ==, RAID_USE_NONE);
            continue;
        }
        if (use == RAID_USE_P && geom->nr_data == 1) {
            continue;           /* P of one column equals it */
        }
        g_assert_cmpint(use, ==, RAID_USE_DATA);
        g_assert_cmpuint(array_off, ==, want);
        g_assert_true(is_copy(geom, array_off, loc));
        held += RAID_SECTOR_BYTES;
    }
    return held;
}

static void test_golden(gconstpointer data)
{
    const GoldenArray *golden = data;
    RaidGeometryParams params;
    RaidGeometry geom;
    uint64_t held = 0;

    g_assert_true(golden_params(golden, &params));
    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    g_assert_cmpuint(geom.array_bytes, ==, golden->array_bytes);

    for (unsigned slot = 0; slot < golden->nr_slots; slot++) {
        g_auto(GStrv) cells = g_strsplit(golden->cells[slot], " ", -1);

        for (unsigned row = 0; cells[row]; row++) {
            held += check_golden_cell(&geom, cells[row], slot, row);
        }
    }
    /* So each copy of each byte was somewhere in the table. */
    g_assert_cmpuint(held, ==, geom.array_bytes * geom.copies);
}

/*
 * The oracle
 */

static void check_place(const RaidGeometry *geom, const Place *place,
                        unsigned slot, unsigned row, unsigned at)
{
    RaidLoc loc = { slot, ((uint64_t)row << geom->chunk_shift) + at }, found;
    uint64_t array_off = UINT64_MAX;
    uint64_t want = ((uint64_t)place->card << geom->chunk_shift) + at;

    g_assert_cmpint(raid_unmap(geom, loc, &array_off), ==, place->use);
    if (place->use != RAID_USE_DATA) {
        g_assert_cmpuint(array_off, ==, UINT64_MAX);
        return;
    }
    g_assert_cmpuint(array_off, ==, want);
    raid_map_copy(geom, want, place->copy, &found);
    g_assert_cmpuint(found.slot, ==, slot);
    g_assert_cmpuint(found.member_off, ==, loc.member_off);
    if (place->copy == 0) {
        g_assert_cmpuint(raid_map(geom, want, &found), ==,
                         geom->chunk_bytes - at);
        g_assert_cmpuint(found.slot, ==, slot);
        g_assert_cmpuint(found.member_off, ==, loc.member_off);
    }
}

static void check_role(const RaidGeometry *geom, const Place *place,
                       unsigned slot, unsigned row)
{
    RaidMask roles = raid_stripe_roles(geom, row, RAID_BIT(slot));

    g_assert_cmpuint(raid_stripe_role(geom, row, slot), ==, place->role);
    g_assert_cmpuint(raid_stripe_slot(geom, row, place->role), ==, slot);
    g_assert_cmphex(roles, ==, RAID_BIT(place->role));
    g_assert_cmpuint(raid_stripe_member_off(geom, row), ==,
                     (uint64_t)row << geom->chunk_shift);
    if (place->use == RAID_USE_DATA) {
        uint8_t exps_buf[RAID_MAX_MEMBERS];
        const uint8_t *exps = raid_stripe_exponents(geom, row, exps_buf);
        unsigned coef = raid_stripe_coef(geom, row, place->role);

        g_assert_cmpuint(raid_stripe_of(geom, (uint64_t)place->card
                                              << geom->chunk_shift), ==, row);
        g_assert_cmpuint(coef, ==,
                         geom->nr_parity == 2 ? place->coef : place->role);
        g_assert_cmpuint(exps ? exps[coef] : coef, ==, geom->nr_parity == 2 ?
                         place->exponent : place->role);
    }
}

/* Compare one geometry with the oracle, place by place. */
static void check_dealt(RaidGeometryParams *params, const unsigned *chunks)
{
    static const unsigned ats[] = { 0, 1, RAID_SECTOR_BYTES, CHUNK - 1 };
    g_autofree RaidGeometry *geom = g_new(RaidGeometry, 1);
    Deal deal;
    uint64_t data_places = 0;

    g_assert_cmpint(raid_geometry_init(geom, params), ==, RAID_GEOMETRY_OK);
    deal_cards(&deal, params, chunks);
    g_assert_cmpuint(geom->array_bytes, ==,
                     (uint64_t)deal.nr_cards << geom->chunk_shift);

    for (unsigned slot = 0; slot < deal.nr_slots; slot++) {
        for (unsigned row = 0; row < deal.nr_rows; row++) {
            const Place *place = deal_place(&deal, slot, row);

            data_places += place->use == RAID_USE_DATA;
            for (unsigned i = 0; i < G_N_ELEMENTS(ats); i++) {
                check_place(geom, place, slot, row, ats[i]);
            }
            if (raid_has_parity(geom)) {
                check_role(geom, place, slot, row);
            }
        }
        /* Behind the last row is nothing. */
        check_place(geom, &(Place) { .use = RAID_USE_NONE }, slot,
                    deal.nr_rows, 0);
    }
    g_assert_cmpuint(data_places, ==, (uint64_t)deal.nr_cards * geom->copies);
    if (raid_has_parity(geom)) {
        RaidMask all = raid_mask_first(geom->nr_slots);

        g_assert_cmphex(raid_stripe_roles(geom, 1, all), ==, all);
        g_assert_cmphex(raid_stripe_roles(geom, 1, ~all), ==, 0);
        g_assert_cmpuint(raid_stripe_bytes(geom), ==,
                         (uint64_t)geom->nr_data * geom->chunk_bytes);
    }
    deal_free(&deal);
}

/* Members of equal size, but for a rest shorter than a chunk. */
static void check_equal(RaidGeometryParams *params, unsigned nr_chunks)
{
    unsigned chunks[RAID_MAX_MEMBERS];
    uint32_t chunk = params->level == RAID_LEVEL_1 ? 1 << 20
                                                   : params->chunk_bytes;

    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        chunks[slot] = nr_chunks;
        params->member_bytes[slot] = (uint64_t)nr_chunks * chunk;
        if (params->level != RAID_LEVEL_1) {
            params->member_bytes[slot] += (slot * 1024u) & (chunk - 1);
        }
    }
    check_dealt(params, chunks);
}

static void test_dealt_raid0(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(slot_counts); i++) {
        RaidGeometryParams params = {
            .level = RAID_LEVEL_0, .nr_slots = slot_counts[i],
            .chunk_bytes = CHUNK,
        };

        check_equal(&params, 1);
        check_equal(&params, 11);
        params.layout = RAID_LAYOUT_ORIGINAL;
        check_equal(&params, 7);
        params.layout = RAID_LAYOUT_ALTERNATE;
        check_equal(&params, 7);
    }
}

static void test_dealt_raid0_zones(void)
{
    for (unsigned round = 0; round < 400; round++) {
        unsigned chunks[RAID_MAX_MEMBERS];
        RaidGeometryParams params = {
            .level = RAID_LEVEL_0,
            .layout = round & 1 ? RAID_LAYOUT_ORIGINAL
                                : RAID_LAYOUT_ALTERNATE,
            .nr_slots = g_test_rand_int_range(1, round < 390 ? 10 : 65),
            .chunk_bytes = CHUNK << (round % 3),
        };

        for (unsigned slot = 0; slot < params.nr_slots; slot++) {
            chunks[slot] = g_test_rand_int_range(1, 30);
            params.member_bytes[slot] =
                (uint64_t)chunks[slot] * params.chunk_bytes +
                g_test_rand_int_range(0, params.chunk_bytes);
        }
        check_dealt(&params, chunks);
    }
}

/* The most zones that there can be: all members differ. */
static void test_dealt_raid0_all_zones(void)
{
    unsigned chunks[RAID_MAX_MEMBERS];
    RaidGeometryParams params = {
        .level = RAID_LEVEL_0, .layout = RAID_LAYOUT_ORIGINAL,
        .nr_slots = RAID_MAX_MEMBERS, .chunk_bytes = CHUNK,
    };

    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        chunks[slot] = 1 + (slot * 37 & (RAID_MAX_MEMBERS - 1));
        params.member_bytes[slot] = (uint64_t)chunks[slot] * CHUNK;
    }
    check_dealt(&params, chunks);
}

static void test_dealt_raid1(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(slot_counts); i++) {
        RaidGeometryParams params = {
            .level = RAID_LEVEL_1, .nr_slots = slot_counts[i],
        };

        check_equal(&params, 5);
    }
}

static void test_dealt_parity(void)
{
    static const RaidLevel levels[] = {
        RAID_LEVEL_4, RAID_LEVEL_5, RAID_LEVEL_6
    };

    for (unsigned l = 0; l < G_N_ELEMENTS(levels); l++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(slot_counts); i++) {
            RaidGeometryParams params = {
                .level = levels[l], .nr_slots = slot_counts[i],
                .chunk_bytes = CHUNK,
            };

            if (params.nr_slots < raid_level_min_slots(params.level)) {
                continue;
            }
            for (unsigned j = 0; j < G_N_ELEMENTS(parity_layouts); j++) {
                params.layout = parity_layouts[j];
                if ((params.level == RAID_LEVEL_4 &&
                     params.layout != RAID_LAYOUT_PARITY_LAST) ||
                    (params.level != RAID_LEVEL_6 &&
                     params.layout > RAID_LAYOUT_ALTERNATE)) {
                    continue;
                }
                check_equal(&params, 1);
                check_equal(&params, 2 * params.nr_slots + 3);
            }
        }
    }
}

/* Every row of every kind that is legal; the others must be refused. */
static void check_raid10(RaidGeometryParams *params)
{
    unsigned far = params->layout == RAID_LAYOUT_NEAR ? 1
                                                      : params->far_copies;
    bool legal = params->near_copies * far >= 2 &&
                 params->near_copies * far <= params->nr_slots &&
                 (params->layout == RAID_LAYOUT_NEAR || far >= 2);

    if (params->layout == RAID_LAYOUT_OFFSET &&
        params->nr_slots % params->near_copies) {
        legal = false;          /* md's copies would overwrite each other */
    }
    if (legal) {
        for (unsigned nr_chunks = far; nr_chunks < 2 * far + 9; nr_chunks++) {
            check_equal(params, nr_chunks);
        }
    } else {
        RaidGeometry geom;

        for (unsigned slot = 0; slot < params->nr_slots; slot++) {
            params->member_bytes[slot] = 64 * CHUNK;
        }
        g_assert_cmpint(raid_geometry_init(&geom, params), ==,
                        RAID_GEOMETRY_BAD_COPIES);
    }
}

static void test_dealt_raid10(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(slot_counts); i++) {
        RaidGeometryParams params = {
            .level = RAID_LEVEL_10, .nr_slots = slot_counts[i],
            .chunk_bytes = CHUNK,
        };

        for (RaidLayout layout = RAID_LAYOUT_NEAR;
             layout <= RAID_LAYOUT_OFFSET; layout++) {
            params.layout = layout;
            for (unsigned copies = 0; copies < 25; copies++) {
                params.near_copies = 1 + copies / 5;
                params.far_copies = 1 + copies % 5;
                check_raid10(&params);
            }
        }
    }
}

/*
 * With far sets a shape is legal where the sets come out even, and more: where
 * md itself gives each copy a place of its own.
 */
static void test_dealt_far_sets(void)
{
    unsigned nr_legal = 0;

    for (unsigned i = 0; i < 12 * 25 * 2 * 2; i++) {
        RaidGeometryParams params = {
            .level = RAID_LEVEL_10, .nr_slots = 1 + i % 12,
            .near_copies = 1 + i / 12 % 5, .far_copies = 2 + i / 60 % 5,
            .layout = i / 300 % 2 ? RAID_LAYOUT_FAR : RAID_LAYOUT_OFFSET,
            .far_sets = 1 + i / 600, .chunk_bytes = CHUNK,
            .member_bytes = { [0 ... RAID_MAX_MEMBERS - 1] = 64 * CHUNK },
        };
        unsigned copies = params.near_copies * params.far_copies;
        unsigned size = params.far_sets == RAID_FAR_SETS_BY_SIZE ? copies :
                        params.nr_slots / params.far_copies;
        bool even = size && params.nr_slots % size == 0 && copies <= size &&
                    params.nr_slots % params.near_copies == 0;
        g_autofree RaidGeometry *geom = g_new(RaidGeometry, 1);

        if (raid_geometry_init(geom, &params) == RAID_GEOMETRY_OK) {
            nr_legal++;
            for (unsigned n = params.far_copies; n < 20; n += 5) {
                check_equal(&params, n);
            }
        } else {
            g_assert_false(even);
        }
    }
    g_assert_cmpuint(nr_legal, >, 100);
}

/*
 * Seen with md: sets too small for their copies have some on one member. And
 * where the last set takes a rest, md lets two near copies step into it from
 * the set before, onto what lies there.
 */
static void test_bad_far_sets(void)
{
    static const struct { unsigned nr_slots, near; } arrays[] = {
        { 2, 1 }, { 3, 1 }, { 4, 2 }, { 6, 2 }, { 9, 2 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++) {
        RaidGeometryParams params = {
            .level = RAID_LEVEL_10, .layout = RAID_LAYOUT_FAR,
            .nr_slots = arrays[i].nr_slots, .near_copies = arrays[i].near,
            .far_copies = 2, .far_sets = RAID_FAR_SETS_BY_NUMBER,
            .chunk_bytes = CHUNK,
            .member_bytes = { [0 ... RAID_MAX_MEMBERS - 1] = 64 * CHUNK },
        };
        RaidGeometry geom;

        g_assert_cmpint(raid_geometry_init(&geom, &params), ==,
                        RAID_GEOMETRY_BAD_COPIES);
    }
}

/*
 * Which members an array can do without
 */

static bool dealt_survives(const Deal *deal, unsigned nr_parity,
                           RaidMask missing)
{
    g_autofree bool *there = g_new0(bool, deal->nr_cards);

    for (unsigned row = 0; row < deal->nr_rows; row++) {
        unsigned lost = 0;

        for (unsigned slot = 0; slot < deal->nr_slots; slot++) {
            const Place *place = deal_place(deal, slot, row);

            lost += !!(missing & RAID_BIT(slot));
            if (place->use == RAID_USE_DATA && !(missing & RAID_BIT(slot))) {
                there[place->card] = true;
            }
        }
        if (nr_parity && lost > nr_parity) {
            return false;
        }
    }
    for (unsigned card = 0; !nr_parity && card < deal->nr_cards; card++) {
        if (!there[card]) {
            return false;
        }
    }
    return true;
}

static void check_survives(RaidGeometryParams *params, unsigned nr_chunks)
{
    unsigned chunks[RAID_MAX_MEMBERS];
    RaidMask all = raid_mask_first(params->nr_slots);
    RaidGeometry geom;
    Deal deal;

    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        chunks[slot] = nr_chunks;
        params->member_bytes[slot] = (uint64_t)nr_chunks << 20;
    }
    params->chunk_bytes = 1 << 20;
    if (raid_geometry_init(&geom, params) == RAID_GEOMETRY_BAD_COPIES) {
        return;
    }
    deal_cards(&deal, params, chunks);
    for (RaidMask missing = 0; missing <= all; missing++) {
        g_assert_cmpint(raid_survives(&geom, missing | ~all), ==,
                        dealt_survives(&deal, geom.nr_parity, missing));
    }
    deal_free(&deal);
}

static void test_survives(void)
{
    for (unsigned nr_slots = 2; nr_slots <= 8; nr_slots++) {
        RaidGeometryParams params = { .nr_slots = nr_slots };

        params.level = RAID_LEVEL_0;
        check_survives(&params, 3);
        params.level = RAID_LEVEL_1;
        check_survives(&params, 3);
        params.level = RAID_LEVEL_5;
        params.layout = RAID_LAYOUT_LEFT_SYMMETRIC;
        check_survives(&params, 3);
        if (nr_slots >= 4) {
            params.level = RAID_LEVEL_6;
            check_survives(&params, 3);
        }
        params.level = RAID_LEVEL_10;
        for (unsigned copies = 0; copies < 81; copies++) {
            params.far_sets = copies / 27;
            params.layout = RAID_LAYOUT_NEAR + copies / 9 % 3;
            params.near_copies = 1 + copies % 9 / 3;
            params.far_copies = 1 + copies % 3;
            check_survives(&params, 3);
            check_survives(&params, 13);
        }
    }
}

/*
 * Very large members: nothing may overflow
 */

static void check_huge(RaidGeometryParams *params, uint64_t member_bytes)
{
    RaidGeometry geom;
    RaidLoc loc;

    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        params->member_bytes[slot] = member_bytes + slot * params->chunk_bytes;
    }
    g_assert_cmpint(raid_geometry_init(&geom, params), ==, RAID_GEOMETRY_OK);
    g_assert_cmpuint(geom.array_bytes, <=, INT64_MAX);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t want = ((uint64_t)(uint32_t)g_test_rand_int() << 32 |
                         (uint32_t)g_test_rand_int()) % geom.array_bytes;

        if (i == 0) {
            want = geom.array_bytes - 1;
        }
        for (unsigned copy = 0; copy < geom.copies; copy++) {
            uint64_t array_off = 0;

            raid_map_copy(&geom, want, copy, &loc);
            g_assert_cmpuint(loc.slot, <, geom.nr_slots);
            g_assert_cmpuint(loc.member_off, <,
                             params->member_bytes[loc.slot]);
            g_assert_cmpint(raid_unmap(&geom, loc, &array_off), ==,
                            RAID_USE_DATA);
            g_assert_cmpuint(array_off, ==, want);
        }
    }
}

static void test_huge(void)
{
    static const struct {
        RaidLevel level;
        RaidLayout layout;
        unsigned nr_slots, near, far;
        uint64_t divide;
    } arrays[] = {
        { RAID_LEVEL_0, RAID_LAYOUT_ORIGINAL, 5, 1, 1, 6 },
        { RAID_LEVEL_0, RAID_LAYOUT_ALTERNATE, 64, 1, 1, 65 },
        { RAID_LEVEL_1, RAID_LAYOUT_NONE, 3, 1, 1, 1 },
        { RAID_LEVEL_5, RAID_LAYOUT_LEFT_SYMMETRIC, 64, 1, 1, 63 },
        { RAID_LEVEL_6, RAID_LAYOUT_RIGHT_ASYMMETRIC, 64, 1, 1, 62 },
        { RAID_LEVEL_6, RAID_LAYOUT_DDF_N_RESTART, 64, 1, 1, 62 },
        { RAID_LEVEL_6, RAID_LAYOUT_LEFT_SYMMETRIC_6, 64, 1, 1, 62 },
        { RAID_LEVEL_10, RAID_LAYOUT_NEAR, 64, 3, 1, 65 },
        { RAID_LEVEL_10, RAID_LAYOUT_FAR, 63, 2, 3, 65 },
        { RAID_LEVEL_10, RAID_LAYOUT_OFFSET, 63, 3, 2, 65 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++) {
        RaidGeometryParams params = {
            .level = arrays[i].level, .layout = arrays[i].layout,
            .nr_slots = arrays[i].nr_slots, .near_copies = arrays[i].near,
            .far_copies = arrays[i].far, .chunk_bytes = CHUNK << (i & 1),
        };

        check_huge(&params, INT64_MAX / arrays[i].divide - (1 << 20));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < NR_GOLDEN_ARRAYS; i++) {
        g_autofree char *path = g_strconcat("/geometry/md/",
                                            golden_arrays[i].name, NULL);

        g_test_add_data_func(path, &golden_arrays[i], test_golden);
    }
    g_test_add_func("/geometry/dealt/raid0", test_dealt_raid0);
    g_test_add_func("/geometry/dealt/raid0-zones", test_dealt_raid0_zones);
    g_test_add_func("/geometry/dealt/raid0-all-zones",
                    test_dealt_raid0_all_zones);
    g_test_add_func("/geometry/dealt/raid1", test_dealt_raid1);
    g_test_add_func("/geometry/dealt/parity", test_dealt_parity);
    g_test_add_func("/geometry/dealt/raid10", test_dealt_raid10);
    g_test_add_func("/geometry/dealt/far-sets", test_dealt_far_sets);
    g_test_add_func("/geometry/bad-far-sets", test_bad_far_sets);
    g_test_add_func("/geometry/survives", test_survives);
    g_test_add_func("/geometry/huge", test_huge);
    return g_test_run();
}
