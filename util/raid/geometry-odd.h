/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Odd geometry: placements that few arrays have, for geometry*.c
 *
 * Pure; any thread.
 */
#ifndef UTIL_RAID_GEOMETRY_ODD_H
#define UTIL_RAID_GEOMETRY_ODD_H

#include "geometry.h"

/* RAID6 as DDF has it, or as it is after a RAID5 got a second parity slot. */
static inline bool raid_layout_is_odd(RaidLayout layout)
{
    return layout >= RAID_LAYOUT_DDF_ZERO_RESTART && layout < RAID_LAYOUT__MAX;
}

/* Stripes after which the placement repeats; also for all other layouts. */
unsigned raid_odd_period(const RaidGeometry *geom);

/* Slot of a role, for odd layouts; @stripe_mod is below the period. */
unsigned raid_odd_slot(const RaidGeometry *geom, unsigned stripe_mod,
                       unsigned role);

/* The reverse. */
unsigned raid_odd_role(const RaidGeometry *geom, unsigned stripe_mod,
                       unsigned slot);

/* See raid_stripe_coef() and raid_stripe_exponents(). */
unsigned raid_odd_coef(const RaidGeometry *geom, unsigned stripe_mod,
                       unsigned role);
const uint8_t *raid_odd_exponents(const RaidGeometry *geom,
                                  unsigned stripe_mod, uint8_t *exps);

/**
 * raid_far_sets_init: RAID10 whose far copies stay among some members
 *
 * False when md's rule puts two chunks into one place, or two copies of a chunk
 * on one slot: then no reader could tell what lies there.
 */
bool raid_far_sets_init(RaidGeometry *geom, RaidFarSets far_sets);

/* Slot of far copy @far of what lies on @slot. */
unsigned raid_far_slot(const RaidGeometry *geom, unsigned slot, unsigned far);

/* The reverse. */
unsigned raid_near_slot(const RaidGeometry *geom, unsigned slot, unsigned far);

#endif /* UTIL_RAID_GEOMETRY_ODD_H */
