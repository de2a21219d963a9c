/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deal: where each chunk of an array lies, found by dealing chunks out
 *
 * Owns:      an own description of every placement, independent of
 *            util/raid/geometry*.c.
 * Knows not: bytes, formulas.
 */
#include <glib.h>

#include "deal.h"

static void put_data(Deal *deal, unsigned slot, unsigned row, unsigned card,
                     unsigned copy)
{
    Place *place = deal_place(deal, slot, row);

    g_assert_cmpuint(slot, <, deal->nr_slots);
    g_assert_cmpuint(row, <, deal->nr_rows);
    g_assert_cmpint(place->use, ==, RAID_USE_NONE);
    place->use = RAID_USE_DATA;
    place->card = card;
    place->copy = copy;
}

/* The next slot, round the table. */
static unsigned next(const Deal *deal, unsigned slot)
{
    return slot + 1 == deal->nr_slots ? 0 : slot + 1;
}

static unsigned previous(const Deal *deal, unsigned slot)
{
    return slot == 0 ? deal->nr_slots - 1 : slot - 1;
}

/*
 * In each round every member with room left gets one card. Usually the first
 * of them begins; in the original layout the one whose turn it would be had
 * these members been alone from the very first card.
 */
static void deal_raid0(Deal *deal, RaidLayout layout, const unsigned *chunks)
{
    for (unsigned row = 0; row < deal->nr_rows; row++) {
        unsigned players[RAID_MAX_MEMBERS], nr_players = 0, turn = 0;

        for (unsigned slot = 0; slot < deal->nr_slots; slot++) {
            if (chunks[slot] > row) {
                players[nr_players++] = slot;
            }
        }
        for (unsigned card = 0; layout == RAID_LAYOUT_ORIGINAL &&
             card < deal->nr_cards; card++) {
            turn = turn + 1 == nr_players ? 0 : turn + 1;
        }
        for (unsigned i = 0; i < nr_players; i++) {
            put_data(deal, players[turn], row, deal->nr_cards++, 0);
            turn = turn + 1 == nr_players ? 0 : turn + 1;
        }
    }
}

static void deal_raid1(Deal *deal)
{
    for (unsigned row = 0; row < deal->nr_rows; row++) {
        for (unsigned slot = 0; slot < deal->nr_slots; slot++) {
            put_data(deal, slot, row, deal->nr_cards, slot);
        }
        deal->nr_cards++;
    }
}

/* One stripe, with P on slot @p; Q on the slot behind it. */
static void deal_stripe(Deal *deal, unsigned row, unsigned p,
                        unsigned nr_parity, bool symmetric)
{
    unsigned nr_data = deal->nr_slots - nr_parity;
    unsigned last_parity = nr_parity == 2 ? next(deal, p) : p;
    unsigned slot = symmetric ? next(deal, last_parity) : 0;

    deal_place(deal, p, row)->use = RAID_USE_P;
    deal_place(deal, p, row)->role = nr_data;
    if (nr_parity == 2) {
        deal_place(deal, last_parity, row)->use = RAID_USE_Q;
        deal_place(deal, last_parity, row)->role = nr_data + 1;
    }
    for (unsigned role = 0; role < nr_data; role++) {
        while (deal_place(deal, slot, row)->use != RAID_USE_NONE) {
            slot = next(deal, slot);
        }
        put_data(deal, slot, row, deal->nr_cards++, 0);
        deal_place(deal, slot, row)->role = role;
    }

    /* md counts the coefficients of Q on from the slot behind Q. */
    slot = last_parity;
    for (unsigned coef = 0; nr_parity == 2 && coef < nr_data; coef++) {
        do {
            slot = next(deal, slot);
        } while (deal_place(deal, slot, row)->use != RAID_USE_DATA);
        deal_place(deal, slot, row)->coef = coef;
    }
}

static void deal_parity(Deal *deal, const RaidGeometryParams *params)
{
    unsigned nr_parity = params->level == RAID_LEVEL_6 ? 2 : 1;
    unsigned last = deal->nr_slots - 1;
    unsigned p;

    switch (params->layout) {
    case RAID_LAYOUT_LEFT_ASYMMETRIC:
    case RAID_LAYOUT_LEFT_SYMMETRIC:
        p = last;
        break;
    case RAID_LAYOUT_PARITY_LAST:
        p = nr_parity == 2 ? last - 1 : last;
        break;
    default:
        p = 0;
        break;
    }
    for (unsigned row = 0; row < deal->nr_rows; row++) {
        deal_stripe(deal, row, p, nr_parity,
                    params->layout == RAID_LAYOUT_LEFT_SYMMETRIC ||
                    params->layout == RAID_LAYOUT_RIGHT_SYMMETRIC);
        switch (params->layout) {
        case RAID_LAYOUT_LEFT_ASYMMETRIC:
        case RAID_LAYOUT_LEFT_SYMMETRIC:
            p = previous(deal, p);
            break;
        case RAID_LAYOUT_RIGHT_ASYMMETRIC:
        case RAID_LAYOUT_RIGHT_SYMMETRIC:
            p = next(deal, p);
            break;
        default:
            break;
        }
    }
}

/*
 * Every card is dealt near_copies times in a row, as long as all of these
 * still find room. Then each place is repeated near_copies slots further on,
 * and again for each further far copy: on the rows behind all rows, or (in
 * the offset layout) on rows left free behind each row.
 */
static void deal_raid10(Deal *deal, const RaidGeometryParams *params)
{
    bool offset = params->layout == RAID_LAYOUT_OFFSET;
    unsigned far = params->layout == RAID_LAYOUT_NEAR ? 1
                                                      : params->far_copies;
    unsigned slot = 0, row = 0, nr_rows = 0;

    while ((nr_rows + 1) * far <= deal->nr_rows) {
        nr_rows++;
    }
    for (;;) {
        unsigned room = (nr_rows - row) * deal->nr_slots - slot;

        if (room < params->near_copies) {
            break;
        }
        for (unsigned near = 0; near < params->near_copies; near++) {
            unsigned other = slot;

            for (unsigned f = 0; f < far; f++) {
                put_data(deal, other,
                         offset ? row * far + f : f * nr_rows + row,
                         deal->nr_cards, near * far + f);
                for (unsigned i = 0; i < params->near_copies; i++) {
                    other = next(deal, other);
                }
            }
            slot = next(deal, slot);
            row += slot == 0;
        }
        deal->nr_cards++;
    }
}

void deal_cards(Deal *deal, const RaidGeometryParams *params,
                const unsigned *chunks)
{
    unsigned longest = 0, shortest = UINT_MAX;

    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        longest = MAX(longest, chunks[slot]);
        shortest = MIN(shortest, chunks[slot]);
    }
    deal->nr_slots = params->nr_slots;
    deal->nr_rows = params->level == RAID_LEVEL_0 ? longest : shortest;
    deal->nr_cards = 0;
    deal->places = g_new0(Place, deal->nr_slots * deal->nr_rows);
    for (unsigned i = 0; i < deal->nr_slots * deal->nr_rows; i++) {
        deal->places[i].use = RAID_USE_NONE;
    }

    switch (params->level) {
    case RAID_LEVEL_0:
        deal_raid0(deal, params->layout, chunks);
        break;
    case RAID_LEVEL_1:
        deal_raid1(deal);
        break;
    case RAID_LEVEL_10:
        deal_raid10(deal, params);
        break;
    default:
        deal_parity(deal, params);
        break;
    }
}

void deal_free(Deal *deal)
{
    g_free(deal->places);
    deal->places = NULL;
}
