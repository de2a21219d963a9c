/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fewest reads: the least number of columns from which a band can be served
 *
 * Every column is a vector over the old data: data column i is the unit
 * vector i, P is all ones, Q has 2^i at i. A set of columns serves a read if
 * the unit vectors of the wanted data are in its span. It serves a write if
 * those parts of P and Q are in it which the data not written makes up: new
 * data is known, and turns them into the new P and Q.
 */
#include <glib.h>
#include <string.h>

#include "fewest-reads.h"
#include "slow-parity.h"

#define MAX_ROWS    (FEWEST_MAX_ROLES + 1)

static uint8_t slow_inverse(uint8_t a)
{
    uint8_t b = 1;

    while (slow_times(a, b) != 1) {
        b++;
    }
    return b;
}

/* Rank of @nr rows of @width, by elimination in a copy of them. */
static unsigned rank(uint8_t rows[][FEWEST_MAX_ROLES], unsigned nr,
                     unsigned width)
{
    uint8_t m[MAX_ROWS][FEWEST_MAX_ROLES];
    unsigned done = 0;

    memcpy(m, rows, nr * sizeof(m[0]));
    for (unsigned col = 0; col < width; col++) {
        unsigned pivot = done;
        uint8_t inverse;

        while (pivot < nr && m[pivot][col] == 0) {
            pivot++;
        }
        if (pivot == nr) {
            continue;
        }
        for (unsigned i = 0; i < width; i++) {
            uint8_t swap = m[pivot][i];

            m[pivot][i] = m[done][i];
            m[done][i] = swap;
        }
        inverse = slow_inverse(m[done][col]);
        for (unsigned row = done + 1; row < nr; row++) {
            uint8_t factor = slow_times(m[row][col], inverse);

            for (unsigned i = 0; factor && i < width; i++) {
                m[row][i] ^= slow_times(factor, m[done][i]);
            }
        }
        done++;
    }
    return done;
}

/* The part that the data in @mask has of column @role. */
static void column(const RaidGeometry *geom, unsigned role, RaidMask mask,
                   uint8_t *row)
{
    memset(row, 0, FEWEST_MAX_ROLES);
    for (unsigned i = 0; i < geom->nr_data; i++) {
        if (mask & RAID_BIT(i)) {
            row[i] = role == geom->nr_data ? 1
                     : role > geom->nr_data ? slow_power(i) : role == i;
        }
    }
}

static RaidMask parity_to_write(const RaidGeometry *geom,
                                const FewestReadsCase *c)
{
    return raid_mask_first(geom->nr_slots) & ~raid_mask_first(geom->nr_data) &
           ~c->missing;
}

/* Does all that @c needs follow from the columns in @set? */
static bool serves(const RaidGeometry *geom, const FewestReadsCase *c,
                   RaidMask set)
{
    RaidMask all = raid_mask_first(geom->nr_data);
    RaidMask need = c->write ? parity_to_write(geom, c) : c->want;
    uint8_t rows[MAX_ROWS][FEWEST_MAX_ROLES];
    unsigned nr = 0, before;

    RAID_MASK_FOREACH(role, set) {
        column(geom, role, all, rows[nr++]);
    }
    before = rank(rows, nr, geom->nr_data);
    RAID_MASK_FOREACH(role, need) {
        column(geom, role, c->write ? all & ~c->want : all, rows[nr]);
        if (rank(rows, nr + 1, geom->nr_data) != before) {
            return false;
        }
    }
    return true;
}

static unsigned try_all_sets(const RaidGeometry *geom,
                             const FewestReadsCase *c)
{
    RaidMask may = raid_mask_first(c->use_parity ? geom->nr_slots
                                                 : geom->nr_data);
    unsigned best = UINT_MAX;

    may &= ~c->unreadable;
    for (RaidMask set = 0; set <= may; set++) {
        if (!(set & ~may) && raid_mask_count(set) < best &&
            serves(geom, c, set)) {
            best = raid_mask_count(set);
        }
    }
    g_assert_cmpuint(best, !=, UINT_MAX);
    return best;
}

/* What the small stripes have taught, for those that are too wide. */
static unsigned count_methods(const RaidGeometry *geom,
                              const FewestReadsCase *c)
{
    RaidMask data = raid_mask_first(geom->nr_data);
    RaidMask others = data & ~c->want;
    RaidMask parity = parity_to_write(geom, c);
    unsigned best = geom->nr_data;

    if (!c->write) {
        return c->want & c->unreadable ? best : raid_mask_count(c->want);
    }
    if (!parity) {
        return 0;
    }
    if (!(others & c->unreadable)) {
        best = MIN(best, raid_mask_count(others));
    }
    if (!((c->want | parity) & c->unreadable) && c->use_parity) {
        best = MIN(best, raid_mask_count(c->want | parity));
    }
    return best;
}

unsigned fewest_reads(FewestReads *cache, const RaidGeometry *geom,
                      const FewestReadsCase *c)
{
    uint8_t *found;

    if (geom->nr_slots > FEWEST_MAX_ROLES) {
        return count_methods(geom, c);
    }
    found = &cache->found[c->write * 2 + c->use_parity]
                         [parity_to_write(geom, c) >> geom->nr_data]
                         [c->unreadable][c->want];
    if (*found == 0) {
        *found = 1 + try_all_sets(geom, c);
    }
    return *found - 1;
}
