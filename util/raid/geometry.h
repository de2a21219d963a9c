/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Geometry: where each byte of an array lies on its members
 *
 * All functions are pure and may be called from any thread. Array offsets
 * count bytes of the guest's disk; member offsets count bytes from the start
 * of a member's data area (the superblock's data_offset is not included).
 *
 * Placement is that of Linux md (drivers/md/raid0.c, raid5.c, raid10.c), so
 * that either side can open what the other wrote.
 */
#ifndef UTIL_RAID_GEOMETRY_H
#define UTIL_RAID_GEOMETRY_H

#include "raid-types.h"

/* Among which members the far copies of a member's chunks stay. */
typedef enum RaidFarSets {
    RAID_FAR_ALL,                   /* all of them */
    RAID_FAR_SETS_BY_NUMBER,        /* as many sets as there are far copies */
    RAID_FAR_SETS_BY_SIZE,          /* sets of as many members as copies */
    RAID_FAR_SETS__MAX,
} RaidFarSets;

typedef struct RaidGeometryParams {
    RaidLevel level;
    RaidLayout layout;
    unsigned nr_slots;
    unsigned near_copies;           /* RAID10 only, >= 1 */
    unsigned far_copies;            /* RAID10 far and offset only, >= 1 */
    RaidFarSets far_sets;           /* of the same */
    uint32_t chunk_bytes;           /* ignored for RAID1 */
    /*
     * Data bytes that each member offers. Levels other than RAID0 use the
     * smallest of them on every member.
     */
    uint64_t member_bytes[RAID_MAX_MEMBERS];
} RaidGeometryParams;

/* Members of RAID0 that are longer than others form zones of fewer slots. */
typedef struct RaidZone {
    uint64_t array_end;             /* first array offset behind the zone */
    uint64_t member_start;          /* where the zone starts on each member */
    unsigned nr_slots;
    uint8_t slots[RAID_MAX_MEMBERS];
} RaidZone;

/*
 * Constant after raid_geometry_init(); but an array that grows gets another
 * member_bytes and array_bytes, on which no place depends, unless its layout is
 * far.
 */
typedef struct RaidGeometry {
    RaidLevel level;
    RaidLayout layout;
    unsigned nr_slots;
    unsigned nr_data;               /* data chunks in a stripe */
    unsigned nr_parity;             /* 0, 1 (P) or 2 (P and Q) */
    unsigned copies;                /* of each data byte; 1 without mirrors */
    unsigned near_copies;
    unsigned far_copies;
    RaidFarSets far_sets;
    unsigned far_set_slots;         /* the last set takes the rest, too */
    uint32_t chunk_bytes;
    unsigned chunk_shift;           /* log2(chunk_bytes) */
    unsigned period_stripes;        /* parity: then the placement repeats */
    uint64_t member_bytes;          /* used on each member (RAID0: smallest) */
    uint64_t array_bytes;
    uint64_t far_stride;            /* RAID10: to the next far copy, if any */
    unsigned nr_zones;              /* RAID0: >= 1 */
    RaidZone zones[RAID_MAX_MEMBERS];
} RaidGeometry;

/* A byte on a member. */
typedef struct RaidLoc {
    unsigned slot;
    uint64_t member_off;
} RaidLoc;

typedef enum RaidGeometryError {
    RAID_GEOMETRY_OK,
    RAID_GEOMETRY_BAD_LEVEL,
    RAID_GEOMETRY_BAD_LAYOUT,       /* not one of this level */
    RAID_GEOMETRY_TOO_FEW_SLOTS,
    RAID_GEOMETRY_TOO_MANY_SLOTS,
    RAID_GEOMETRY_BAD_COPIES,
    RAID_GEOMETRY_BAD_CHUNK,        /* no power of two, or out of range */
    RAID_GEOMETRY_MEMBER_TOO_SMALL, /* holds no whole chunk */
    RAID_GEOMETRY_UNSET_ZONES,      /* unequal RAID0, zone layout not given */
    RAID_GEOMETRY_TOO_LARGE,        /* more than INT64_MAX bytes */
} RaidGeometryError;

/**
 * raid_geometry_init: check @params and work out all constants
 * @geom: filled on success, unspecified otherwise
 *
 * RAID1 gets an internal chunk of 1 MiB: the unit in which requests are cut
 * and locked; placement does not depend on it.
 */
RaidGeometryError raid_geometry_init(RaidGeometry *geom,
                                     const RaidGeometryParams *params);

/* A sentence part for messages, e.g. "too few members". Never NULL. */
const char *raid_geometry_error_text(RaidGeometryError err);

/* "raid5", "left-symmetric", ... as mdadm and QAPI spell them. */
const char *raid_level_name(RaidLevel level);
const char *raid_layout_name(RaidLayout layout);

/* Fewest members that an array of this level may have. */
unsigned raid_level_min_slots(RaidLevel level);

/**
 * raid_from_md: translate the superblock's numbers
 *
 * Sets level, layout, copies and far sets of @params, nothing else.
 * Returns false when the level or the layout is not one that we know.
 */
bool raid_from_md(int32_t md_level, uint32_t md_layout,
                  RaidGeometryParams *params);

/* The reverse; copies and far sets count for RAID10 only. */
int32_t raid_level_to_md(RaidLevel level);
uint32_t raid_layout_to_md(RaidLevel level, RaidLayout layout,
                           unsigned near_copies, unsigned far_copies,
                           RaidFarSets far_sets);

/* That of an array. */
static inline uint32_t raid_geometry_md_layout(const RaidGeometry *geom)
{
    return raid_layout_to_md(geom->level, geom->layout, geom->near_copies,
                             geom->far_copies, geom->far_sets);
}

/* Parity levels keep redundancy per stripe; the others by copies, or none. */
static inline bool raid_has_parity(const RaidGeometry *geom)
{
    return geom->nr_parity != 0;
}

/* Also one that has a single member for now. */
static inline bool raid_has_mirrors(const RaidGeometry *geom)
{
    return geom->copies > 1 || geom->level == RAID_LEVEL_1;
}

/* Can it lose a member? Also one of which that has happened. */
static inline bool raid_has_redundancy(const RaidGeometry *geom)
{
    return raid_has_parity(geom) || raid_has_mirrors(geom);
}

/*
 * Sync bytes: what a resync goes through, and the bits of a bitmap stand for.
 * They count along the members' data areas, or along an array of copies.
 */
static inline uint64_t raid_sync_bytes(const RaidGeometry *geom)
{
    return raid_has_parity(geom) ? geom->member_bytes : geom->array_bytes;
}

/* Are they the same as member bytes? */
static inline bool raid_syncs_along_members(const RaidGeometry *geom)
{
    return geom->level != RAID_LEVEL_10;
}

/* Array bytes in one stripe. For RAID1 and RAID10 this is one chunk. */
static inline uint64_t raid_stripe_bytes(const RaidGeometry *geom)
{
    return (uint64_t)geom->nr_data << geom->chunk_shift;
}

/**
 * raid_map: place one array byte
 * @array_off: below geom->array_bytes
 * @loc:       its first copy
 *
 * Returns how many bytes from @array_off on lie in the same chunk, so on the
 * same member without a gap: 1 .. chunk_bytes.
 */
uint32_t raid_map(const RaidGeometry *geom, uint64_t array_off, RaidLoc *loc);

/**
 * raid_map_copy: place one array byte on one of its copies
 * @copy: 0 .. geom->copies - 1; different copies are on different slots
 */
void raid_map_copy(const RaidGeometry *geom, uint64_t array_off,
                   unsigned copy, RaidLoc *loc);

/* What a byte of a member's data area is. */
typedef enum RaidUse {
    RAID_USE_DATA,                  /* @array_off tells which array byte */
    RAID_USE_P,
    RAID_USE_Q,
    RAID_USE_NONE,                  /* behind the last whole chunk */
} RaidUse;

/**
 * raid_unmap: the reverse of raid_map() and raid_map_copy()
 * @array_off: set for RAID_USE_DATA only
 */
RaidUse raid_unmap(const RaidGeometry *geom, RaidLoc loc, uint64_t *array_off);

/*
 * Parity levels only, from here on.
 */

/* Stripe number of an array offset. */
static inline uint64_t raid_stripe_of(const RaidGeometry *geom,
                                      uint64_t array_off)
{
    return (array_off >> geom->chunk_shift) / geom->nr_data;
}

/* Where a stripe starts on every member. */
static inline uint64_t raid_stripe_member_off(const RaidGeometry *geom,
                                              uint64_t stripe)
{
    return stripe << geom->chunk_shift;
}

/* Slot that holds @role (0 .. nr_data + nr_parity - 1) in @stripe. */
unsigned raid_stripe_slot(const RaidGeometry *geom, uint64_t stripe,
                          unsigned role);

/* Role of @slot in @stripe. */
unsigned raid_stripe_role(const RaidGeometry *geom, uint64_t stripe,
                          unsigned slot);

/* Translate a set of slots into the set of roles they have in @stripe. */
RaidMask raid_stripe_roles(const RaidGeometry *geom, uint64_t stripe,
                           RaidMask slots);

/**
 * raid_stripe_coef: which coefficient a data role has in Q
 *
 * Q = sum over the data roles of 2^coef * data, unless raid_stripe_exponents()
 * has it otherwise. md counts from the slot behind Q, so in some layouts this
 * differs from the role. The coefs of the nr_data roles are a permutation of
 * 0 .. nr_data - 1.
 */
unsigned raid_stripe_coef(const RaidGeometry *geom, uint64_t stripe,
                          unsigned role);

/**
 * raid_stripe_exponents: of the generator, for each coefficient
 * @exps: room for RAID_MAX_MEMBERS
 *
 * Returns NULL where coefficient c stands for 2^c; otherwise @exps, and it
 * stands for 2^exps[c]: DDF counts all slots, those of P and Q too.
 */
const uint8_t *raid_stripe_exponents(const RaidGeometry *geom, uint64_t stripe,
                                     uint8_t *exps);

/*
 * Any level.
 */

/**
 * raid_survives: can every array byte still be had without these members?
 * @missing_slots: slots that can't be used
 */
bool raid_survives(const RaidGeometry *geom, RaidMask missing_slots);

#endif /* UTIL_RAID_GEOMETRY_H */
