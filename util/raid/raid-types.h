/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits, levels and layouts: the words that every other file here uses
 *
 * Chunk:  the run of array bytes that lies together on one member.
 * Stripe: one chunk from every slot at the same member offset.
 * Slot:   position of a member in the array, 0 .. nr_slots - 1.
 * Role:   what a slot holds in one particular stripe: data chunk 0 ..
 *         nr_data - 1 in array order, then P (nr_data), then Q (nr_data + 1).
 *
 * Slots and roles both fit the bits of one RaidMask.
 */
#ifndef UTIL_RAID_TYPES_H
#define UTIL_RAID_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAID_MAX_MEMBERS    64
#define RAID_SECTOR_BYTES   512

/* Smallest and largest chunk that md can have on this page size. */
#define RAID_MIN_CHUNK_BYTES    4096u
#define RAID_MAX_CHUNK_BYTES    (1u << 30)

/* A set of slots or of roles; which one is always in the name. */
typedef uint64_t RaidMask;

#define RAID_BIT(n)     ((RaidMask)1 << (n))

/* The first @n bits, 0 <= @n <= 64. */
static inline RaidMask raid_mask_first(unsigned n)
{
    return n >= 64 ? ~(RaidMask)0 : RAID_BIT(n) - 1;
}

static inline unsigned raid_mask_count(RaidMask mask)
{
    return __builtin_popcountll(mask);
}

/* Lowest member of a mask that is not empty. */
static inline unsigned raid_mask_lowest(RaidMask mask)
{
    return __builtin_ctzll(mask);
}

/* for (each bit of a mask, lowest first); evaluates @mask once */
#define RAID_MASK_FOREACH(bit, mask)                                    \
    for (RaidMask mask_##bit##_ = (mask), bit = 0;                      \
         mask_##bit##_ && (bit = raid_mask_lowest(mask_##bit##_), true); \
         mask_##bit##_ &= mask_##bit##_ - 1)

typedef enum RaidLevel {
    RAID_LEVEL_0,
    RAID_LEVEL_1,
    RAID_LEVEL_4,
    RAID_LEVEL_5,
    RAID_LEVEL_6,
    RAID_LEVEL_10,
    RAID_LEVEL__MAX,
} RaidLevel;

typedef enum RaidLayout {
    RAID_LAYOUT_NONE,               /* RAID1, and RAID0 of equal members */
    RAID_LAYOUT_LEFT_ASYMMETRIC,
    RAID_LAYOUT_RIGHT_ASYMMETRIC,
    RAID_LAYOUT_LEFT_SYMMETRIC,
    RAID_LAYOUT_RIGHT_SYMMETRIC,
    RAID_LAYOUT_PARITY_FIRST,       /* parity on the first slot(s) */
    RAID_LAYOUT_PARITY_LAST,        /* parity on the last slot(s); RAID4 */
    RAID_LAYOUT_NEAR,               /* RAID10 */
    RAID_LAYOUT_FAR,
    RAID_LAYOUT_OFFSET,
    RAID_LAYOUT_ORIGINAL,           /* RAID0 zones as before Linux 3.14 */
    RAID_LAYOUT_ALTERNATE,          /* RAID0 zones since then */
    RAID_LAYOUT_DDF_ZERO_RESTART,   /* RAID6, from here on: those of DDF, */
    RAID_LAYOUT_DDF_N_RESTART,
    RAID_LAYOUT_DDF_N_CONTINUE,
    RAID_LAYOUT_LEFT_ASYMMETRIC_6,  /* and RAID5 with Q on one slot more */
    RAID_LAYOUT_RIGHT_ASYMMETRIC_6,
    RAID_LAYOUT_LEFT_SYMMETRIC_6,
    RAID_LAYOUT_RIGHT_SYMMETRIC_6,
    RAID_LAYOUT_PARITY_FIRST_6,
    RAID_LAYOUT__MAX,
} RaidLayout;

#endif /* UTIL_RAID_TYPES_H */
