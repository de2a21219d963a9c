/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deal: where each chunk of an array lies, found by dealing chunks out like
 * cards
 *
 * The oracle for util/raid/geometry. It knows the rules of each level only as
 * a player does who lays cards on a table: who comes next, how often, and when
 * to begin a new round. There is no formula and no division in it.
 */
#ifndef TESTS_UNIT_DEAL_H
#define TESTS_UNIT_DEAL_H

#include "util/raid/geometry.h"

/* What lies on one place, which is one chunk of a member. */
typedef struct Place {
    RaidUse use;
    unsigned card;              /* number of the chunk; data only */
    unsigned copy;
    unsigned role;              /* parity levels only */
    unsigned coef;              /* RAID6 data only, as the next */
    unsigned exponent;          /* of its coefficient */
} Place;

typedef struct Deal {
    unsigned nr_slots;
    unsigned nr_rows;           /* of the longest member */
    unsigned nr_cards;
    Place *places;              /* [slot * nr_rows + row] */
} Deal;

static inline Place *deal_place(const Deal *deal, unsigned slot, unsigned row)
{
    return &deal->places[slot * deal->nr_rows + row];
}

/* Deal to members with room for @chunks[] chunks; free with deal_free(). */
void deal_cards(Deal *deal, const RaidGeometryParams *params,
                const unsigned *chunks);
void deal_free(Deal *deal);

#endif /* TESTS_UNIT_DEAL_H */
