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
 * of them begins. In the original layout it is the one that would come next if
 * there had been only these members from the very first card.
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

/* One stripe, with P on slot @p and Q, if there is one, on @last_parity. */
static void deal_stripe(Deal *deal, unsigned row, unsigned p,
                        unsigned last_parity, unsigned nr_parity,
                        unsigned first_data, unsigned first_coef,
                        bool count_parity)
{
    unsigned nr_data = deal->nr_slots - nr_parity;
    unsigned slot = first_data;
    unsigned exponent = 0;

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

    slot = first_coef;
    for (unsigned coef = 0; nr_parity == 2 && coef < nr_data;) {
        Place *place = deal_place(deal, slot, row);

        if (place->use == RAID_USE_DATA) {
            place->coef = coef++;
            place->exponent = exponent++;
        } else {
            exponent += count_parity;
        }
        slot = next(deal, slot);
    }
}

/*
 * Layouts of RAID6 that have something of their own. Those of DDF count the
 * coefficients from slot 0 and go on counting at P and Q. In the others Q is
 * on the last slot, where the rest never comes to; they count from slot 0, too.
 */
static void deal_odd(Deal *deal, RaidLayout layout)
{
    unsigned last = deal->nr_slots - 1;
    bool ddf = layout <= RAID_LAYOUT_DDF_N_CONTINUE;
    bool left = layout == RAID_LAYOUT_DDF_N_RESTART ||
                layout == RAID_LAYOUT_DDF_N_CONTINUE ||
                layout == RAID_LAYOUT_LEFT_ASYMMETRIC_6 ||
                layout == RAID_LAYOUT_LEFT_SYMMETRIC_6;
    unsigned ring = ddf ? last : last - 1;      /* last slot P comes to */
    unsigned p = left ? ring : 0;

    if (layout == RAID_LAYOUT_DDF_N_RESTART) {
        p--;                    /* the first stripe is data, P, Q */
    }
    for (unsigned row = 0; row < deal->nr_rows; row++) {
        unsigned behind = p == ring ? 0 : p + 1;
        unsigned before = p == 0 ? ring : p - 1;
        unsigned q = !ddf ? last : layout == RAID_LAYOUT_DDF_N_CONTINUE ?
                     before : behind;
        bool symmetric = layout == RAID_LAYOUT_DDF_N_CONTINUE ||
                         layout == RAID_LAYOUT_LEFT_SYMMETRIC_6 ||
                         layout == RAID_LAYOUT_RIGHT_SYMMETRIC_6;

        deal_stripe(deal, row, p, q, 2, symmetric ? behind : 0, 0, ddf);
        if (layout != RAID_LAYOUT_PARITY_FIRST_6) {
            p = left ? before : behind;
        }
    }
}

static void deal_parity(Deal *deal, const RaidGeometryParams *params)
{
    unsigned nr_parity = params->level == RAID_LEVEL_6 ? 2 : 1;
    bool symmetric = params->layout == RAID_LAYOUT_LEFT_SYMMETRIC ||
                     params->layout == RAID_LAYOUT_RIGHT_SYMMETRIC;
    unsigned last = deal->nr_slots - 1;
    unsigned p;

    if (params->layout > RAID_LAYOUT_ALTERNATE) {
        deal_odd(deal, params->layout);
        return;
    }
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
        unsigned last_parity = nr_parity == 2 ? next(deal, p) : p;

        /* md counts the coefficients of Q on from the slot behind Q. */
        deal_stripe(deal, row, p, last_parity, nr_parity,
                    symmetric ? next(deal, last_parity) : 0,
                    next(deal, last_parity), false);
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
 * The slot near_copies further on; with far sets, round the set. Slots
 * behind the last whole set belong to that set.
 */
static unsigned next_far(const Deal *deal, const RaidGeometryParams *params,
                         unsigned slot)
{
    unsigned size = deal->nr_slots, first = 0, behind;

    if (params->far_sets == RAID_FAR_SETS_BY_SIZE) {
        size = params->near_copies * params->far_copies;
    } else if (params->far_sets == RAID_FAR_SETS_BY_NUMBER) {
        for (size = 0; (size + 1) * params->far_copies <= deal->nr_slots;) {
            size++;
        }
    }
    while (first + 2 * size <= deal->nr_slots && slot >= first + size) {
        first += size;
    }
    behind = first + 2 * size <= deal->nr_slots ? first + size
                                                : deal->nr_slots;
    for (unsigned i = 0; i < params->near_copies; i++) {
        slot = slot + 1 == behind ? first : slot + 1;
    }
    return slot;
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
                if (f > 0) {
                    other = next_far(deal, params, other);
                }
                put_data(deal, other,
                         offset ? row * far + f : f * nr_rows + row,
                         deal->nr_cards, near * far + f);
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
