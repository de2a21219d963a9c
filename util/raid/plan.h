/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plan: what has to be read, computed and written for one stripe request
 *
 * This is the only place that decides between full-stripe write,
 * reconstruct-write, read-modify-write and the degraded forms of each.
 *
 * A request covers a run of a stripe's data, so its first and its last chunk
 * may be covered in part only. Parity is computed byte by byte across the
 * members, hence the plan cuts the chunk into at most three bands:
 *
 *              role 0        role 1        role 2       P
 *    lo = 0   +------+      +------+      |xxxxxx|      +--+
 *             |      |      |xxxxxx|      |xxxxxx|      |  | band 0: {1, 2}
 *      b      |      |      |xxxxxx|      +------+      |  |
 *             |      |      |xxxxxx|      |      |      |  | band 1: {1}
 *      a      |xxxxxx|      |xxxxxx|      |      |      |  |
 *             |xxxxxx|      |xxxxxx|      |      |      |  | band 2: {0, 1}
 *  chunk end  +------+      +------+      +------+      +--+
 *
 * in each of which every role is requested wholly or not at all. A band that
 * requests nothing is left out. Bands are ordered and do not overlap.
 *
 * Pure, no allocation, any thread.
 */
#ifndef UTIL_RAID_PLAN_H
#define UTIL_RAID_PLAN_H

#include "geometry.h"

#define RAID_PLAN_MAX_BANDS 3

typedef enum RaidMethod {
    RAID_METHOD_READ,           /* members hold all that is wanted */
    RAID_METHOD_RECOVER_READ,   /* read others, compute what is missing */
    RAID_METHOD_FULL,           /* parity from the new data alone */
    RAID_METHOD_RECONSTRUCT,    /* read the data not written, then as FULL */
    RAID_METHOD_MODIFY,         /* read old data and parity, apply the change */
    RAID_METHOD_RECOVER_WRITE,  /* first recover data not written, then FULL */
    RAID_METHOD_DATA_ONLY,      /* no parity member is there */
} RaidMethod;

/* One band; all masks are sets of roles. */
typedef struct RaidBand {
    uint32_t lo;                /* chunk-relative bytes: lo <= x < hi */
    uint32_t hi;
    RaidMethod method;
    RaidMask want;              /* data roles that the request covers */
    RaidMask read;              /* to read from their members, first of all */
    RaidMask recover;           /* to compute from what was read */
    RaidMask write;             /* to write to their members: data and parity */
    RaidMask lose;              /* parity that is wrong afterwards */
} RaidBand;

typedef struct RaidPlan {
    uint64_t stripe;
    unsigned nr_bands;
    RaidBand bands[RAID_PLAN_MAX_BANDS];
} RaidPlan;

/* Which part of a stripe's data a request covers. */
typedef struct RaidStripeRange {
    uint64_t stripe;
    uint64_t start;             /* bytes from the stripe's first data byte */
    uint64_t end;               /* start < end <= raid_stripe_bytes() */
} RaidStripeRange;

/**
 * raid_plan_read: plan to read part of a stripe
 * @missing_slots: members that must not be named
 * @plan:          filled on success, untouched otherwise
 *
 * Returns false when more members are missing than parity can make up for.
 */
bool raid_plan_read(const RaidGeometry *geom, const RaidStripeRange *range,
                    RaidMask missing_slots, RaidPlan *plan);

/**
 * raid_plan_write: plan to write part of a stripe
 * @missing_slots:    members that must not be named
 * @unreadable_slots: members that can be written, but not read in this stripe
 * @parity_trusted:   false while the array awaits a resync: old parity is then
 *                    never built upon as long as all members can be read
 * @plan:             filled on success, untouched otherwise
 *
 * The plan reads as few members as possible; among equals it prefers
 * RECONSTRUCT, which leaves right parity behind even where it was wrong. What
 * it recovers of an unreadable member it writes back to it.
 *
 * Returns false when more members are missing or unreadable than parity can
 * make up for.
 * Keeps: I2 (all parity that is written follows from the bytes written),
 * I11 (no step names a missing member).
 */
bool raid_plan_write(const RaidGeometry *geom, const RaidStripeRange *range,
                     RaidMask missing_slots, RaidMask unreadable_slots,
                     bool parity_trusted, RaidPlan *plan);

/**
 * raid_plan_write_past: plan to write where more is unreadable than parity can
 * make up for
 *
 * The same as raid_plan_write() for a stripe of which something is lost for
 * good. Redundancy is kept where what has to be read can be read. Where it
 * can't, only data are written, and band->lose names parity that must be
 * recorded as bad before: nothing that the stripe still had is lost by that,
 * as no member is missing.
 *
 * Returns false when data would have to go to a missing member alone.
 */
bool raid_plan_write_past(const RaidGeometry *geom,
                          const RaidStripeRange *range,
                          RaidMask missing_slots, RaidMask unreadable_slots,
                          RaidPlan *plan);

/**
 * raid_plan_rebuild: plan to compute what one slot has in part of a stripe
 * @lo, @hi:          chunk-relative bytes
 * @slot:             the slot to compute and to write
 * @missing_slots:    members that must not be read, @slot among them
 * @unreadable_slots: members that can be written, but not read here; what they
 *                    lack is computed too
 * @plan:             one band; filled on success, untouched otherwise
 *
 * Returns false when parity can't make up for all of them.
 */
bool raid_plan_rebuild(const RaidGeometry *geom, uint64_t stripe, uint32_t lo,
                       uint32_t hi, unsigned slot, RaidMask missing_slots,
                       RaidMask unreadable_slots, RaidPlan *plan);

/**
 * raid_plan_copies: the copies of a chunk that can be used (mirrored levels)
 *
 * Returns a set of copy numbers as raid_map_copy() counts them. Reads take any
 * one of them (the lowest while copies may differ), writes take all.
 */
RaidMask raid_plan_copies(const RaidGeometry *geom, uint64_t array_off,
                          RaidMask missing_slots);

/**
 * raid_plan_copies_to_read: of the copies that can be used, those to read
 * @avoid_slots: are read only where no other member has a copy
 *
 * A job that makes copies the same must take the lowest of these as the right
 * one: it is what reads may have given out.
 */
RaidMask raid_plan_copies_to_read(const RaidGeometry *geom,
                                  uint64_t array_off, RaidMask missing_slots,
                                  RaidMask avoid_slots);

/* "full-stripe", "reconstruct", ... for traces and statistics. */
const char *raid_method_name(RaidMethod method);

#endif /* UTIL_RAID_PLAN_H */
