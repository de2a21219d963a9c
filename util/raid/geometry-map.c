/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Geometry, the hot half: array offset to member offset and back
 *
 * Owns:      the placement rules of every level and layout.
 * Knows not: how a geometry comes about, superblocks, I/O, which members are
 *            there (but for raid_survives()).
 * Threads:   any; nothing here keeps state.
 * Keeps:     raid_unmap() is the inverse of raid_map_copy(); all copies of a
 *            chunk, and all roles of a stripe, are on different slots.
 *
 * A row of RAID0 and RAID10 is one chunk from every slot at the same member
 * offset. Positions count the chunks of all rows, slot by slot.
 */
#include "geometry.h"
#include "geometry-odd.h"

/* Add modulo @nr; both are below @nr. */
static inline unsigned wrap_add(unsigned a, unsigned b, unsigned nr)
{
    unsigned sum = a + b;

    return sum >= nr ? sum - nr : sum;
}

static inline unsigned wrap_sub(unsigned a, unsigned b, unsigned nr)
{
    return a >= b ? a - b : a + nr - b;
}

static inline uint32_t in_chunk(const RaidGeometry *geom, uint64_t off)
{
    return off & (geom->chunk_bytes - 1);
}

/*
 * Parity levels, but for what geometry-odd.c does
 *
 * Q, if there is one, is on the slot behind P, and the first slot is behind
 * the last. The symmetric layouts deal data out from the slot behind parity;
 * all others from slot 0 on, leaving parity out.
 */

/* Slot of P; @stripe_mod is the stripe's number modulo nr_slots. */
static inline unsigned slot_of_p(const RaidGeometry *geom, unsigned stripe_mod)
{
    switch (geom->layout) {
    case RAID_LAYOUT_LEFT_SYMMETRIC:
    case RAID_LAYOUT_LEFT_ASYMMETRIC:
        return geom->nr_slots - 1 - stripe_mod;
    case RAID_LAYOUT_RIGHT_SYMMETRIC:
    case RAID_LAYOUT_RIGHT_ASYMMETRIC:
        return stripe_mod;
    case RAID_LAYOUT_PARITY_FIRST:
        return 0;
    default:
        return geom->nr_data;
    }
}

static inline bool is_symmetric(const RaidGeometry *geom)
{
    return geom->layout == RAID_LAYOUT_LEFT_SYMMETRIC ||
           geom->layout == RAID_LAYOUT_RIGHT_SYMMETRIC;
}

/* Data slots in front of P when data is dealt out from slot 0 on. */
static inline unsigned data_before_p(const RaidGeometry *geom, unsigned p)
{
    /* Q has wrapped to slot 0 when P is last. */
    return p > geom->nr_data ? geom->nr_data : p;
}

static inline unsigned role_to_slot(const RaidGeometry *geom, unsigned p,
                                    unsigned role)
{
    if (role >= geom->nr_data) {
        return wrap_add(p, role - geom->nr_data, geom->nr_slots);
    }
    if (is_symmetric(geom)) {
        return wrap_add(p, geom->nr_parity + role, geom->nr_slots);
    }
    if (p > geom->nr_data) {
        return role + 1;        /* Q, data, P */
    }
    return role < p ? role : role + geom->nr_parity;
}

static inline unsigned slot_to_role(const RaidGeometry *geom, unsigned p,
                                    unsigned slot)
{
    unsigned behind_p = wrap_sub(slot, p, geom->nr_slots);

    if (behind_p < geom->nr_parity) {
        return geom->nr_data + behind_p;
    }
    if (is_symmetric(geom)) {
        return behind_p - geom->nr_parity;
    }
    if (p > geom->nr_data) {
        return slot - 1;
    }
    return slot < p ? slot : slot - geom->nr_parity;
}

/* @stripe_mod: the stripe's number modulo period_stripes */
static inline unsigned slot_in_period(const RaidGeometry *geom,
                                      unsigned stripe_mod, unsigned role)
{
    if (raid_layout_is_odd(geom->layout)) {
        return raid_odd_slot(geom, stripe_mod, role);
    }
    return role_to_slot(geom, slot_of_p(geom, stripe_mod), role);
}

unsigned raid_stripe_slot(const RaidGeometry *geom, uint64_t stripe,
                          unsigned role)
{
    return slot_in_period(geom, stripe % geom->period_stripes, role);
}

unsigned raid_stripe_role(const RaidGeometry *geom, uint64_t stripe,
                          unsigned slot)
{
    unsigned stripe_mod = stripe % geom->period_stripes;

    if (raid_layout_is_odd(geom->layout)) {
        return raid_odd_role(geom, stripe_mod, slot);
    }
    return slot_to_role(geom, slot_of_p(geom, stripe_mod), slot);
}

RaidMask raid_stripe_roles(const RaidGeometry *geom, uint64_t stripe,
                           RaidMask slots)
{
    RaidMask roles = 0;
    unsigned p;

    slots &= raid_mask_first(geom->nr_slots);
    if (slots == 0) {
        return 0;
    }
    if (raid_layout_is_odd(geom->layout)) {
        RAID_MASK_FOREACH(slot, slots) {
            roles |= RAID_BIT(raid_stripe_role(geom, stripe, slot));
        }
        return roles;
    }
    p = slot_of_p(geom, stripe % geom->nr_slots);
    RAID_MASK_FOREACH(slot, slots) {
        roles |= RAID_BIT(slot_to_role(geom, p, slot));
    }
    return roles;
}

unsigned raid_stripe_coef(const RaidGeometry *geom, uint64_t stripe,
                          unsigned role)
{
    unsigned p;

    if (geom->nr_parity < 2 || is_symmetric(geom)) {
        return role;
    }
    if (raid_layout_is_odd(geom->layout)) {
        return raid_odd_coef(geom, stripe % geom->period_stripes, role);
    }
    /* Count from the slot behind Q: the data in front of P comes last. */
    p = slot_of_p(geom, stripe % geom->nr_slots);
    return wrap_sub(role, data_before_p(geom, p) % geom->nr_data,
                    geom->nr_data);
}

const uint8_t *raid_stripe_exponents(const RaidGeometry *geom, uint64_t stripe,
                                     uint8_t *exps)
{
    if (!raid_layout_is_odd(geom->layout)) {
        return NULL;
    }
    return raid_odd_exponents(geom, stripe % geom->period_stripes, exps);
}

static inline void map_parity(const RaidGeometry *geom, uint64_t chunk,
                              RaidLoc *loc)
{
    /*
     * The placement repeats after some stripes. One long division gives the
     * period, and short ones do within it.
     */
    uint32_t period_chunks = geom->nr_data * geom->period_stripes;
    uint64_t period = chunk / period_chunks;
    uint32_t rest = chunk % period_chunks;
    uint32_t stripe_mod = rest / geom->nr_data;
    uint32_t role = rest % geom->nr_data;

    loc->slot = slot_in_period(geom, stripe_mod, role);
    loc->member_off = (period * geom->period_stripes + stripe_mod)
                      << geom->chunk_shift;
}

static RaidUse unmap_parity(const RaidGeometry *geom, RaidLoc loc,
                            uint64_t *array_off)
{
    uint64_t stripe = loc.member_off >> geom->chunk_shift;
    unsigned role = raid_stripe_role(geom, stripe, loc.slot);

    if (role >= geom->nr_data) {
        return role == geom->nr_data ? RAID_USE_P : RAID_USE_Q;
    }
    *array_off = ((stripe * geom->nr_data + role) << geom->chunk_shift) +
                 in_chunk(geom, loc.member_off);
    return RAID_USE_DATA;
}

/*
 * RAID0
 *
 * A zone's rows hold its chunks in order. The first chunk of a row is on the
 * zone's first slot in the alternate layout; in the original layout, chunk c
 * of the array is on the zone's slot number c modulo the slots in it.
 */

static inline uint64_t zone_start(const RaidGeometry *geom,
                                  const RaidZone *zone)
{
    return zone == geom->zones ? 0 : zone[-1].array_end;
}

static inline unsigned zone_turn(const RaidGeometry *geom,
                                 const RaidZone *zone)
{
    if (geom->layout != RAID_LAYOUT_ORIGINAL || zone == geom->zones) {
        return 0;
    }
    return (zone[-1].array_end >> geom->chunk_shift) % zone->nr_slots;
}

static inline void map_raid0(const RaidGeometry *geom, uint64_t array_off,
                             RaidLoc *loc)
{
    const RaidZone *zone = geom->zones;
    uint64_t chunk, row;
    unsigned index;

    while (array_off >= zone->array_end) {
        zone++;
    }
    chunk = (array_off - zone_start(geom, zone)) >> geom->chunk_shift;
    row = chunk / zone->nr_slots;
    index = chunk % zone->nr_slots;
    if (zone != geom->zones) {
        index = wrap_add(index, zone_turn(geom, zone), zone->nr_slots);
    }
    loc->slot = zone->slots[index];
    loc->member_off = zone->member_start + (row << geom->chunk_shift);
}

/* Index of a slot in a zone, or nr_slots if it is not in it. */
static unsigned zone_index(const RaidZone *zone, unsigned slot)
{
    unsigned index = 0;

    while (index < zone->nr_slots && zone->slots[index] != slot) {
        index++;
    }
    return index;
}

static RaidUse unmap_raid0(const RaidGeometry *geom, RaidLoc loc,
                           uint64_t *array_off)
{
    const RaidZone *zone = &geom->zones[geom->nr_zones - 1];
    uint64_t row, chunk, off;
    unsigned index;

    while (loc.member_off < zone->member_start) {
        zone--;
    }
    index = zone_index(zone, loc.slot);
    if (index == zone->nr_slots) {
        return RAID_USE_NONE;
    }
    row = (loc.member_off - zone->member_start) >> geom->chunk_shift;
    index = wrap_sub(index, zone_turn(geom, zone), zone->nr_slots);
    chunk = row * zone->nr_slots + index;
    off = zone_start(geom, zone) + (chunk << geom->chunk_shift);
    if (off >= zone->array_end) {
        return RAID_USE_NONE;   /* behind the longest member's end */
    }
    *array_off = off + in_chunk(geom, loc.member_off);
    return RAID_USE_DATA;
}

/*
 * RAID10
 *
 * Near copies of a chunk are on successive positions, the next chunk follows
 * them. Far copies repeat all rows, each time near_copies slots further on:
 * far_stride behind each other, where the offset layout repeats every row
 * before the next one comes. With far sets the way goes round in a set.
 */

static inline void map_raid10(const RaidGeometry *geom, uint64_t chunk,
                              unsigned copy, RaidLoc *loc)
{
    uint64_t position = chunk * geom->near_copies;
    unsigned near = 0, far = 0;
    uint64_t row;
    unsigned slot;

    if (copy) {
        near = copy / geom->far_copies;
        far = copy % geom->far_copies;
    }
    position += near;
    row = position / geom->nr_slots;
    slot = position % geom->nr_slots;
    if (geom->layout == RAID_LAYOUT_OFFSET) {
        row *= geom->far_copies;
    }
    loc->slot = geom->far_sets ? raid_far_slot(geom, slot, far)
                               : wrap_add(slot, far * geom->near_copies,
                                          geom->nr_slots);
    loc->member_off = (row << geom->chunk_shift) + far * geom->far_stride;
}

static RaidUse unmap_raid10(const RaidGeometry *geom, RaidLoc loc,
                            uint64_t *array_off)
{
    uint64_t row = loc.member_off >> geom->chunk_shift;
    uint64_t chunk;
    unsigned far = 0, slot;

    if (geom->layout == RAID_LAYOUT_OFFSET) {
        far = row % geom->far_copies;
        row /= geom->far_copies;
    } else if (geom->far_copies > 1) {
        uint64_t far_rows = geom->far_stride >> geom->chunk_shift;

        far = row / far_rows;
        row %= far_rows;
    }
    slot = geom->far_sets ? raid_near_slot(geom, loc.slot, far)
                          : wrap_sub(loc.slot, far * geom->near_copies,
                                     geom->nr_slots);
    chunk = (row * geom->nr_slots + slot) / geom->near_copies;
    if (chunk >= geom->array_bytes >> geom->chunk_shift) {
        return RAID_USE_NONE;   /* rest of a row too short for all copies */
    }
    *array_off = (chunk << geom->chunk_shift) +
                 in_chunk(geom, loc.member_off);
    return RAID_USE_DATA;
}

/*
 * The slots of a chunk's copies follow from that of its first one, which moves
 * on by near_copies from chunk to chunk: so after nr_slots chunks all repeats.
 */
static bool raid10_survives(const RaidGeometry *geom, RaidMask missing_slots)
{
    uint64_t chunks = geom->array_bytes >> geom->chunk_shift;

    for (unsigned chunk = 0; chunk < geom->nr_slots && chunk < chunks;
         chunk++) {
        RaidMask slots = 0;

        for (unsigned copy = 0; copy < geom->copies; copy++) {
            RaidLoc loc;

            map_raid10(geom, chunk, copy, &loc);
            slots |= RAID_BIT(loc.slot);
        }
        if (!(slots & ~missing_slots)) {
            return false;
        }
    }
    return true;
}

/*
 * Any level
 */

uint32_t raid_map(const RaidGeometry *geom, uint64_t array_off, RaidLoc *loc)
{
    uint32_t rest = geom->chunk_bytes - in_chunk(geom, array_off);

    raid_map_copy(geom, array_off, 0, loc);
    if (geom->level == RAID_LEVEL_1 && rest > geom->array_bytes - array_off) {
        rest = geom->array_bytes - array_off;   /* ends in a chunk */
    }
    return rest;
}

void raid_map_copy(const RaidGeometry *geom, uint64_t array_off,
                   unsigned copy, RaidLoc *loc)
{
    uint64_t chunk = array_off >> geom->chunk_shift;

    switch (geom->level) {
    case RAID_LEVEL_0:
        map_raid0(geom, array_off, loc);
        break;
    case RAID_LEVEL_1:
        loc->slot = copy;
        loc->member_off = array_off;
        return;
    case RAID_LEVEL_10:
        map_raid10(geom, chunk, copy, loc);
        break;
    default:
        map_parity(geom, chunk, loc);
        break;
    }
    loc->member_off += in_chunk(geom, array_off);
}

RaidUse raid_unmap(const RaidGeometry *geom, RaidLoc loc, uint64_t *array_off)
{
    if (geom->level == RAID_LEVEL_0) {
        return unmap_raid0(geom, loc, array_off);
    }
    if (loc.member_off >= geom->member_bytes) {
        return RAID_USE_NONE;
    }
    switch (geom->level) {
    case RAID_LEVEL_1:
        *array_off = loc.member_off;
        return RAID_USE_DATA;
    case RAID_LEVEL_10:
        return unmap_raid10(geom, loc, array_off);
    default:
        return unmap_parity(geom, loc, array_off);
    }
}

bool raid_survives(const RaidGeometry *geom, RaidMask missing_slots)
{
    missing_slots &= raid_mask_first(geom->nr_slots);
    switch (geom->level) {
    case RAID_LEVEL_0:
        return missing_slots == 0;
    case RAID_LEVEL_1:
        return missing_slots != raid_mask_first(geom->nr_slots);
    case RAID_LEVEL_10:
        return raid10_survives(geom, missing_slots);
    default:
        return raid_mask_count(missing_slots) <= geom->nr_parity;
    }
}
