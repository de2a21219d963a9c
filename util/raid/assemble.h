/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assemble: from what the members' superblocks say to an array, or to a
 * named refusal
 *
 * The verdict depends on the set of members alone, never on their order (P8).
 * Pure, no I/O; any thread.
 */
#ifndef UTIL_RAID_ASSEMBLE_H
#define UTIL_RAID_ASSEMBLE_H

#include "history.h"

typedef enum RaidPolicy {
    RAID_POLICY_STRICT,         /* every slot filled and in sync */
    RAID_POLICY_DEGRADED,       /* as long as all data can be had */
    RAID_POLICY_FORCE,          /* also when dirty and degraded */
} RaidPolicy;

typedef struct RaidCandidate {
    MdSuperError super_error;   /* what decoding said */
    unsigned super_error_at;    /* and of which byte: MdSuper.error_at */
    const MdSuper *super;       /* valid when that was MD_SUPER_OK */
    uint64_t device_bytes;
    uint32_t block_bytes;       /* no less can be written at once; 0: 512 */
    bool bad_log_unknown;       /* its bad-block log makes no sense */
    bool failed;                /* it has, since: nothing else counts */
} RaidCandidate;

typedef struct RaidAssembleOptions {
    RaidPolicy policy;
    bool read_only;             /* nothing will be written to any member */
    /*
     * Slots that the running array does without; 0 when it is not started yet.
     * The strict policy asks before a start, not again while it runs.
     */
    RaidMask known_missing_slots;
    const uint8_t *uuid;        /* 16 bytes to insist on, or NULL */
    const char *name;           /* "host:name" or "name", or NULL */
} RaidAssembleOptions;

typedef enum RaidRefusal {
    RAID_REFUSE_NONE,
    RAID_REFUSE_NO_SUPERBLOCK,      /* or one that is damaged */
    RAID_REFUSE_BAD_SUPERBLOCK,     /* whole, but impossible: see super_error */
    RAID_REFUSE_FOREIGN,            /* belongs to another array */
    RAID_REFUSE_WRONG_UUID,         /* not the array that was asked for */
    RAID_REFUSE_WRONG_NAME,
    RAID_REFUSE_DUPLICATE,          /* two members for one slot */
    RAID_REFUSE_STALE,              /* missed writes; strict policy */
    RAID_REFUSE_SLOT_RANGE,         /* slot beyond the array */
    RAID_REFUSE_TOO_SMALL,          /* than its data area, or the array's */
    RAID_REFUSE_BLOCK_SIZE,         /* member's is larger than the array's */
    /* Feature bits not known, or not together; or a field: see super_error */
    RAID_REFUSE_UNKNOWN_FEATURE,
    RAID_REFUSE_GEOMETRY,           /* see geometry_error */
    RAID_REFUSE_MISMATCH,           /* same array, other level, chunk, ... */
    RAID_REFUSE_RESHAPE,            /* reshape in progress */
    RAID_REFUSE_JOURNAL,            /* array with a journal device */
    /* To be written, and its bitmap can't be kept, or is of an unknown kind */
    RAID_REFUSE_BITMAP,
    RAID_REFUSE_PPL,                /* to be written, and it keeps a PPL */
    RAID_REFUSE_BAD_BLOCKS,         /* member's bad-block log is nonsense */
    RAID_REFUSE_REPLACEMENT,        /* member is replacing another */
    RAID_REFUSE_SPLIT_BRAIN,        /* halves ran apart from each other */
    RAID_REFUSE_TOO_FEW,            /* members in sync for this level */
    RAID_REFUSE_INCOMPLETE,         /* strict policy, a slot not filled */
    RAID_REFUSE_DIRTY_DEGRADED,     /* unclean parity array, member missing */
    RAID_REFUSE__MAX,
} RaidRefusal;

typedef struct RaidAssembly {
    RaidRefusal refusal;
    /* Why; those that the refusal does not use are -1 or 0. */
    int member;                     /* index of the candidate refused */
    int other;                      /* index of the one it conflicts with */
    int slot;
    uint32_t features;              /* bits that are not known */
    uint32_t block_bytes;           /* of the array */
    MdSuperError super_error;
    unsigned super_error_at;
    RaidGeometryError geometry_error;
    int bitmap_error;               /* MdBitmapError; not set by assemble.c */
    uint64_t member_events;
    uint64_t array_events;

    /* The array; valid without refusal. */
    RaidGeometry geom;
    int freshest;                   /* candidate whose superblock counts */
    uint64_t events;                /* of the freshest */
    uint64_t resync_offset;         /* sectors; MD_RESYNC_DONE when clean */
    RaidArrayState state;
    int slots[RAID_MAX_MEMBERS];    /* candidate in sync on each slot, or -1 */
    RaidMask missing_slots;         /* those that are -1 */
    /*
     * In sync, but one update behind. They must be written with the event
     * count above, durably, before any update raises it: or the next cut
     * leaves them two behind, which is stale.
     */
    RaidMask lagging_slots;
    RaidMemberState verdicts[RAID_MAX_CANDIDATES];
    /*
     * Stale, and taken back by FORCE: then they are in sync above. Refused as
     * TOO_FEW, they are those that FORCE would take; none, if it can't help.
     */
    bool retaken[RAID_MAX_CANDIDATES];
    bool times_differ;              /* one event count, several times */
    /* Members may hold different data anywhere: bitmap and logs don't tell. */
    bool doubtful;
    bool forced;                    /* only started because of FORCE */
} RaidAssembly;

/**
 * raid_assemble: decide what the candidates make
 * @candidates: @nr of them, 1 .. RAID_MAX_CANDIDATES, in any order
 * @out:        wholly overwritten
 *
 * Rules: the freshest superblock has the highest event count of those that
 * hold a slot. A member that it calls faulty or does not know, or that is more
 * than one event behind, is stale: STRICT refuses it, the other policies leave
 * it out. One event behind is in sync: a superblock update may have been cut
 * between two members (I6). A superblock with a wrong checksum may have been
 * torn and is treated as a stale one. Members that call each other faulty ran
 * apart: split brain, under every policy; unless the older one is more than
 * one event behind and another member was with both, for then it is merely
 * stale. Spares and members being rebuilt are left out and take no slot.
 *
 * One update writes one time into all superblocks. So members in sync with one
 * event count and several times come from copies of the array that ran apart:
 * split brain, but FORCE takes them, as doubtful.
 *
 * Where those in sync are too few, FORCE takes back stale ones (retake.c), and
 * the array is dirty and doubtful.
 *
 * The first refusal that applies is given, in the order in which assemble.c
 * checks; of several members, the one with the lowest slot.
 *
 * Returns out->refusal == RAID_REFUSE_NONE.
 */
bool raid_assemble(const RaidCandidate *candidates, unsigned nr,
                   const RaidAssembleOptions *options, RaidAssembly *out);

/* "STALE", "DIRTY_DEGRADED", ...: stable names for messages and tests. */
const char *raid_refusal_name(RaidRefusal refusal);

#endif /* UTIL_RAID_ASSEMBLE_H */
