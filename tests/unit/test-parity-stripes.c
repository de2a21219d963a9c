/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of geometry and parity together: whole stripes of every parity layout,
 * every slot and every erasure, and md's own P and Q.
 */
#include <glib.h>
#include <string.h>

#include "deal.h"
#include "golden-geometry.h"
#include "slow-parity.h"
#include "util/raid/parity.h"

#define CELL_BYTES  64u         /* stands for a chunk */
#define MAX_COLUMNS (RAID_MAX_MEMBERS + 1)

/*
 * md's P and Q
 */

/* What sector @number of the array held; see golden-geometry.py. */
static void golden_sector(uint64_t number, uint8_t *sector)
{
    uint64_t x = (number + 1) << 32;

    for (unsigned i = 0; i < RAID_SECTOR_BYTES / 8; i++) {
        uint64_t z;

        x += 0x9e3779b97f4a7c15;
        z = x;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z = GUINT64_TO_LE(z ^ (z >> 31));
        memcpy(sector + i * 8, &z, 8);
    }
}

static uint32_t crc32_add(uint32_t crc, const uint8_t *bytes, size_t nr)
{
    crc = ~crc;
    for (size_t i = 0; i < nr; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    return ~crc;
}

/* Compute all parity of the array as it was filled, and compare the sums. */
static void test_golden(gconstpointer opaque)
{
    const GoldenArray *golden = opaque;
    uint32_t p_crc = 0, q_crc = 0;
    RaidGeometryParams params;
    RaidGeometry geom;
    uint8_t *chunks;

    g_assert_true(golden_params(golden, &params));
    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    chunks = g_aligned_alloc(geom.nr_slots, GOLDEN_CHUNK_BYTES,
                             RAID_PARITY_ALIGN);

    for (uint64_t stripe = 0; stripe * raid_stripe_bytes(&geom) <
         geom.array_bytes; stripe++) {
        void *columns[GOLDEN_MAX_SLOTS];
        uint8_t exps[RAID_MAX_MEMBERS];
        uint8_t *p = chunks + geom.nr_data * GOLDEN_CHUNK_BYTES;
        uint8_t *q = p + GOLDEN_CHUNK_BYTES;

        for (unsigned role = 0; role < geom.nr_data; role++) {
            uint64_t chunk = stripe * geom.nr_data + role;
            uint8_t *at = chunks + role * GOLDEN_CHUNK_BYTES;

            columns[raid_stripe_coef(&geom, stripe, role)] = at;
            for (unsigned i = 0; i < 8; i++) {
                golden_sector(chunk * 8 + i, at + i * RAID_SECTOR_BYTES);
            }
        }
        raid_parity_generate(geom.nr_data,
                             raid_stripe_exponents(&geom, stripe, exps),
                             GOLDEN_CHUNK_BYTES, columns, p,
                             geom.nr_parity == 2 ? q : NULL);
        p_crc = crc32_add(p_crc, p, GOLDEN_CHUNK_BYTES);
        if (geom.nr_parity == 2) {
            q_crc = crc32_add(q_crc, q, GOLDEN_CHUNK_BYTES);
        }
    }
    g_assert_cmphex(p_crc, ==, golden->p_crc32);
    g_assert_cmphex(q_crc, ==, golden->q_crc32);
    g_aligned_free(chunks);
}

/*
 * Every erasure
 */

/* Members, with CELL_BYTES for each chunk, as the oracle fills them. */
typedef struct Members {
    Deal deal;
    uint8_t *cells;             /* [slot * nr_rows + row] */
} Members;

static uint8_t *cell_at(const Members *m, unsigned slot, unsigned row)
{
    return m->cells + (slot * m->deal.nr_rows + row) * CELL_BYTES;
}

static void fill_row(Members *m, unsigned nr_data, unsigned row)
{
    static const uint8_t nothing[CELL_BYTES];
    const uint8_t *columns[RAID_MAX_MEMBERS];

    /* By exponent, of which some may stand for nothing. */
    for (unsigned slot = 0; slot < m->deal.nr_slots; slot++) {
        columns[slot] = nothing;
    }
    for (unsigned slot = 0; slot < m->deal.nr_slots; slot++) {
        const Place *place = deal_place(&m->deal, slot, row);
        uint8_t *cell = cell_at(m, slot, row);

        if (place->use != RAID_USE_DATA) {
            continue;
        }
        for (unsigned i = 0; i < CELL_BYTES; i++) {
            cell[i] = place->card * 151 + i * 31 + row;
        }
        /* RAID4 and RAID5 have no coefs: any order gives the same P. */
        columns[m->deal.nr_slots - nr_data == 2 ? place->exponent
                                                : place->role] = cell;
    }
    for (unsigned slot = 0; slot < m->deal.nr_slots; slot++) {
        const Place *place = deal_place(&m->deal, slot, row);

        for (unsigned i = 0; i < CELL_BYTES; i++) {
            if (place->use != RAID_USE_DATA) {
                cell_at(m, slot, row)[i] =
                    slow_parity(m->deal.nr_slots, columns, i,
                                place->use == RAID_USE_Q);
            }
        }
    }
}

static void members_init(Members *m, const RaidGeometryParams *params,
                         unsigned nr_data, unsigned nr_rows)
{
    unsigned chunks[RAID_MAX_MEMBERS];

    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        chunks[slot] = nr_rows;
    }
    deal_cards(&m->deal, params, chunks);
    m->cells = g_aligned_alloc(params->nr_slots * nr_rows, CELL_BYTES,
                               RAID_PARITY_ALIGN);
    for (unsigned row = 0; row < nr_rows; row++) {
        fill_row(m, nr_data, row);
    }
}

static void members_free(Members *m)
{
    deal_free(&m->deal);
    g_aligned_free(m->cells);
}

/* Index of a slot's column, as parity.h orders them. */
static unsigned column_of(const RaidGeometry *geom, uint64_t stripe,
                          unsigned slot)
{
    unsigned role = raid_stripe_role(geom, stripe, slot);

    return role < geom->nr_data ? raid_stripe_coef(geom, stripe, role) : role;
}

/* Lose the slots @lost in one stripe, and have them back as they were. */
static void recover_stripe(const RaidGeometry *geom, const Members *m,
                           unsigned stripe, RaidMask lost)
{
    _Alignas(RAID_PARITY_ALIGN) uint8_t out[2][CELL_BYTES];
    void *cols[MAX_COLUMNS] = { NULL };
    uint8_t exps[RAID_MAX_MEMBERS];
    RaidMask have = 0, want = 0;
    unsigned nr_lost = 0;

    for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
        unsigned column = column_of(geom, stripe, slot);

        if (lost & RAID_BIT(slot)) {
            cols[column] = out[nr_lost++];
            want |= RAID_BIT(column);
        } else {
            cols[column] = cell_at(m, slot, stripe);
            have |= RAID_BIT(column);
        }
    }
    g_assert_true(raid_parity_recover(geom->nr_data,
                                      raid_stripe_exponents(geom, stripe,
                                                            exps),
                                      CELL_BYTES, cols, have, want));
    RAID_MASK_FOREACH(slot, lost) {
        g_assert_cmpmem(cols[column_of(geom, stripe, slot)], CELL_BYTES,
                        cell_at(m, slot, stripe), CELL_BYTES);
    }
}

static void check_erasures(RaidGeometryParams *params)
{
    unsigned nr_rows = params->nr_slots + 1;
    RaidGeometry geom;
    Members m;

    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        params->member_bytes[slot] = (uint64_t)nr_rows * params->chunk_bytes;
    }
    g_assert_cmpint(raid_geometry_init(&geom, params), ==, RAID_GEOMETRY_OK);
    members_init(&m, params, geom.nr_data, nr_rows);
    for (unsigned stripe = 0; stripe < nr_rows; stripe++) {
        for (unsigned a = 0; a < geom.nr_slots; a++) {
            recover_stripe(&geom, &m, stripe, RAID_BIT(a));
            for (unsigned b = 0; geom.nr_parity == 2 && b < a; b++) {
                recover_stripe(&geom, &m, stripe, RAID_BIT(a) | RAID_BIT(b));
            }
        }
    }
    members_free(&m);
}

static void test_erasures(void)
{
    static const unsigned slot_counts[] = { 2, 3, 4, 5, 6, 7, 8, 17, 64 };

    for (unsigned i = 0; i < G_N_ELEMENTS(slot_counts); i++) {
        RaidGeometryParams params = {
            .nr_slots = slot_counts[i], .chunk_bytes = RAID_MIN_CHUNK_BYTES,
        };

        for (RaidLayout layout = RAID_LAYOUT_LEFT_ASYMMETRIC;
             layout <= RAID_LAYOUT_PARITY_LAST; layout++) {
            params.layout = layout;
            params.level = RAID_LEVEL_5;
            check_erasures(&params);
            params.level = RAID_LEVEL_6;
            if (params.nr_slots >= raid_level_min_slots(RAID_LEVEL_6) &&
                params.nr_slots <= 17) {
                check_erasures(&params);
            }
        }
        params.level = RAID_LEVEL_4;
        params.layout = RAID_LAYOUT_PARITY_LAST;
        check_erasures(&params);
        params.level = RAID_LEVEL_6;
        for (RaidLayout layout = RAID_LAYOUT_DDF_ZERO_RESTART;
             layout < RAID_LAYOUT__MAX && params.nr_slots >= 4 &&
             params.nr_slots <= 8; layout++) {
            params.layout = layout;
            check_erasures(&params);
        }
    }
}

/* All pairs of all rows would take long here: one row of each kind. */
static void test_erasures_widest(void)
{
    RaidGeometryParams params = {
        .level = RAID_LEVEL_6, .layout = RAID_LAYOUT_LEFT_ASYMMETRIC,
        .nr_slots = RAID_MAX_MEMBERS, .chunk_bytes = RAID_MIN_CHUNK_BYTES,
    };
    static const unsigned stripes[] = { 0, 1, 2, 31, 62, 63 };
    RaidGeometry geom;
    Members m;

    for (unsigned slot = 0; slot < params.nr_slots; slot++) {
        params.member_bytes[slot] = 64 * RAID_MIN_CHUNK_BYTES;
    }
    g_assert_cmpint(raid_geometry_init(&geom, &params), ==, RAID_GEOMETRY_OK);
    members_init(&m, &params, geom.nr_data, 64);
    for (unsigned i = 0; i < G_N_ELEMENTS(stripes); i++) {
        for (unsigned a = 0; a < geom.nr_slots; a++) {
            for (unsigned b = 0; b < a; b++) {
                recover_stripe(&geom, &m, stripes[i],
                               RAID_BIT(a) | RAID_BIT(b));
            }
        }
    }
    members_free(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < NR_GOLDEN_ARRAYS; i++) {
        const GoldenArray *golden = &golden_arrays[i];

        /* Two members with one parity are a mirror: md's table has no P. */
        if (golden->p_crc32) {
            g_autofree char *path = g_strconcat("/parity/md/", golden->name,
                                                NULL);

            g_test_add_data_func(path, golden, test_golden);
        }
    }
    g_test_add_func("/parity/erasures", test_erasures);
    g_test_add_func("/parity/erasures-widest", test_erasures_widest);
    return g_test_run();
}
