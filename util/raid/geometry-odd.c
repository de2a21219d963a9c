/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Odd geometry: placements that few arrays have
 *
 * Owns:      RAID6 as DDF has it; RAID6 that was RAID5 before, with all Q on
 *            the last slot; far sets of RAID10.
 * Knows not: superblocks, I/O, which members are there.
 * Threads:   any; nothing here keeps state.
 * Keeps:     what geometry-map.c keeps.
 *
 * None of it is on the way of other arrays, so it is made to be read, not fast.
 */
#include "geometry-odd.h"

/* As RAID5 lies on all slots but the last, which has Q. */
static bool has_q_apart(const RaidGeometry *geom)
{
    return geom->layout >= RAID_LAYOUT_LEFT_ASYMMETRIC_6;
}

unsigned raid_odd_period(const RaidGeometry *geom)
{
    return has_q_apart(geom) ? geom->nr_slots - 1 : geom->nr_slots;
}

static unsigned slot_of_p(const RaidGeometry *geom, unsigned stripe_mod)
{
    unsigned last = geom->nr_slots - 1;

    switch (geom->layout) {
    case RAID_LAYOUT_DDF_ZERO_RESTART:
    case RAID_LAYOUT_RIGHT_ASYMMETRIC_6:
    case RAID_LAYOUT_RIGHT_SYMMETRIC_6:
        return stripe_mod;
    case RAID_LAYOUT_DDF_N_RESTART:
        /* One stripe ahead of the others that go left. */
        return last - (stripe_mod + 1) % geom->nr_slots;
    case RAID_LAYOUT_DDF_N_CONTINUE:
        return last - stripe_mod;
    case RAID_LAYOUT_LEFT_ASYMMETRIC_6:
    case RAID_LAYOUT_LEFT_SYMMETRIC_6:
        return last - 1 - stripe_mod;
    default:
        return 0;
    }
}

static unsigned slot_of_q(const RaidGeometry *geom, unsigned p)
{
    unsigned nr = geom->nr_slots;

    if (has_q_apart(geom)) {
        return nr - 1;
    }
    return geom->layout == RAID_LAYOUT_DDF_N_CONTINUE ? (p + nr - 1) % nr
                                                      : (p + 1) % nr;
}

/* The data of these begin behind P; those of all others on slot 0. */
static bool is_symmetric(const RaidGeometry *geom)
{
    return geom->layout == RAID_LAYOUT_DDF_N_CONTINUE ||
           geom->layout == RAID_LAYOUT_LEFT_SYMMETRIC_6 ||
           geom->layout == RAID_LAYOUT_RIGHT_SYMMETRIC_6;
}

unsigned raid_odd_slot(const RaidGeometry *geom, unsigned stripe_mod,
                       unsigned role)
{
    unsigned p = slot_of_p(geom, stripe_mod);
    unsigned q = slot_of_q(geom, p);
    unsigned slot = 0;

    if (role >= geom->nr_data) {
        return role == geom->nr_data ? p : q;
    }
    if (is_symmetric(geom)) {
        return (p + 1 + role) % geom->period_stripes;
    }
    for (;; slot++) {
        if (slot != p && slot != q && role-- == 0) {
            return slot;
        }
    }
}

unsigned raid_odd_role(const RaidGeometry *geom, unsigned stripe_mod,
                       unsigned slot)
{
    unsigned role = 0;

    while (raid_odd_slot(geom, stripe_mod, role) != slot) {
        role++;
    }
    return role;
}

/* All of them count from slot 0 on. */
unsigned raid_odd_coef(const RaidGeometry *geom, unsigned stripe_mod,
                       unsigned role)
{
    unsigned p = slot_of_p(geom, stripe_mod);
    unsigned q = slot_of_q(geom, p);
    unsigned slot = raid_odd_slot(geom, stripe_mod, role);

    return slot - (slot > p) - (slot > q);
}

const uint8_t *raid_odd_exponents(const RaidGeometry *geom,
                                  unsigned stripe_mod, uint8_t *exps)
{
    unsigned p = slot_of_p(geom, stripe_mod);
    unsigned q = slot_of_q(geom, p);
    unsigned coef = 0;

    if (has_q_apart(geom)) {
        return NULL;
    }
    for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
        if (slot != p && slot != q) {
            exps[coef++] = slot;
        }
    }
    return exps;
}

/*
 * Far sets
 *
 * The members are cut into sets, and each far copy lies near_copies further on
 * in the set, which is a ring. What remains belongs to the last set.
 */

unsigned raid_far_slot(const RaidGeometry *geom, unsigned slot, unsigned far)
{
    unsigned size = geom->far_set_slots;
    unsigned rest = geom->nr_slots % size;
    unsigned last_start = (geom->nr_slots / size - 1) * size;

    for (unsigned i = 0; i < far; i++) {
        unsigned start = slot / size * size;

        slot += geom->near_copies;
        if (rest && slot > last_start) {
            slot = last_start + (slot - last_start) % (size + rest);
        } else {
            slot = start + slot % size;
        }
    }
    return slot;
}

unsigned raid_near_slot(const RaidGeometry *geom, unsigned slot, unsigned far)
{
    unsigned near = 0;

    while (raid_far_slot(geom, near, far) != slot) {
        near++;
    }
    return near;
}

static unsigned set_slots(const RaidGeometry *geom)
{
    switch (geom->far_sets) {
    case RAID_FAR_SETS_BY_NUMBER:
        return geom->nr_slots / geom->far_copies;
    case RAID_FAR_SETS_BY_SIZE:
        return geom->near_copies * geom->far_copies;
    default:
        return geom->nr_slots;
    }
}

/* Does each slot get one far copy of each kind? */
static bool far_slots_differ(const RaidGeometry *geom)
{
    for (unsigned far = 1; far < geom->far_copies; far++) {
        RaidMask slots = 0;

        for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
            slots |= RAID_BIT(raid_far_slot(geom, slot, far));
        }
        if (slots != raid_mask_first(geom->nr_slots)) {
            return false;
        }
    }
    return true;
}

/* All copies of the chunk whose first one lies on @slot. */
static RaidMask slots_of_copies(const RaidGeometry *geom, unsigned slot)
{
    RaidMask slots = 0;

    for (unsigned near = 0; near < geom->near_copies; near++) {
        for (unsigned far = 0; far < geom->far_copies; far++) {
            slots |= RAID_BIT(raid_far_slot(geom, (slot + near) %
                                                  geom->nr_slots, far));
        }
    }
    return slots;
}

bool raid_far_sets_init(RaidGeometry *geom, RaidFarSets far_sets)
{
    geom->far_sets = far_sets;
    geom->far_set_slots = set_slots(geom);
    if (far_sets == RAID_FAR_ALL) {
        return true;
    }
    if (geom->far_set_slots == 0 || !far_slots_differ(geom)) {
        return false;
    }
    for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
        if (raid_mask_count(slots_of_copies(geom, slot)) != geom->copies) {
            return false;
        }
    }
    return true;
}
