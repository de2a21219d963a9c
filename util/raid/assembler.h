/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assembler: what the steps of an assembly share; the rest of the world has
 * assemble.h. Pure, no I/O; any thread.
 */
#ifndef UTIL_RAID_ASSEMBLER_H
#define UTIL_RAID_ASSEMBLER_H

#include "assemble.h"

typedef struct RaidAssembler {
    const RaidCandidate *first;     /* the caller's array */
    unsigned nr;
    const RaidAssembleOptions *options;
    RaidAssembly *out;
    /* With a superblock; after step 1, of the array. Sorted. */
    const RaidCandidate *valid[RAID_MAX_CANDIDATES];
    unsigned nr_valid;
    const RaidCandidate *in_sync[RAID_MAX_CANDIDATES];  /* subset of valid[] */
    unsigned nr_in_sync;
    const RaidCandidate *freshest;  /* of in_sync[] */
} RaidAssembler;

/* Must every candidate be in sync? Not those of an array that runs without. */
bool raid_is_strict(const RaidAssembler *as);

/*
 * Refusals. Both return false; @other, or NULL, is whom @member is measured by.
 */
bool raid_refuse(RaidAssembler *as, RaidRefusal why);
bool raid_refuse_member(RaidAssembler *as, RaidRefusal why,
                        const RaidCandidate *member,
                        const RaidCandidate *other);

/**
 * raid_find_members: step 1, from candidates to members of one array
 *
 * Fills @as->valid[], and the verdicts of those that are left out. Returns
 * false when a candidate makes no sense here.
 */
bool raid_find_members(RaidAssembler *as);

/* What keeps a member in sync from being used, given the freshest; or NONE. */
RaidRefusal raid_member_objection(const RaidAssembler *as,
                                  const RaidCandidate *c);

/**
 * raid_retake: whom to take back where those in sync are too few
 *
 * Needs the geometry and the slots of those in sync. Sets @as->out->retaken[].
 * Returns false when the array would not start with all that might come back.
 */
bool raid_retake(RaidAssembler *as);

#endif /* UTIL_RAID_ASSEMBLER_H */
