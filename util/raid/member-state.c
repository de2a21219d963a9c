/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member and array states: names, transition tables, checked setters
 *
 * Owns: which state may follow which, and which array state follows from the
 * members that are there.
 * Must not know: who keeps the states, why they change, locks.
 * Threads: any; the caller serialises access to the state it passes.
 * Keeps: I16 (the tables are the only way to change a state).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "member-state.h"

/*
 * Rows: from; columns: to. To stay is not a change, hence always allowed.
 *
 *   MISSING     a node is given to the slot: what it is, its superblock says
 *   IN_SYNC     leaves only by failing: nothing may drop out unrecorded (P5)
 *   FAULTY      stays so until it is removed; only then can it come back
 *   STALE       is removed, or rebuilt where it is
 *   REBUILDING  gets done or fails
 *   SPARE       is taken for a slot, fails, or is removed
 */
static const bool member_stt[RAID_MEMBER__MAX][RAID_MEMBER__MAX] = {
    /*                           M  I  F  T  R  S */
    [RAID_MEMBER_MISSING]    = { 1, 1, 0, 1, 1, 1 },
    [RAID_MEMBER_IN_SYNC]    = { 0, 1, 1, 0, 0, 0 },
    [RAID_MEMBER_FAULTY]     = { 1, 0, 1, 0, 0, 0 },
    [RAID_MEMBER_STALE]      = { 1, 0, 0, 1, 1, 0 },
    [RAID_MEMBER_REBUILDING] = { 0, 1, 1, 0, 1, 0 },
    [RAID_MEMBER_SPARE]      = { 1, 0, 1, 0, 1, 1 },
};

/* FAILED is final: an array comes back only by being assembled anew. */
static const bool array_stt[RAID_ARRAY__MAX][RAID_ARRAY__MAX] = {
    /*                              O  P  D  F */
    [RAID_ARRAY_OPTIMAL]        = { 1, 1, 1, 1 },
    [RAID_ARRAY_RESYNC_PENDING] = { 1, 1, 1, 1 },
    [RAID_ARRAY_DEGRADED]       = { 1, 1, 1, 1 },
    [RAID_ARRAY_FAILED]         = { 0, 0, 0, 1 },
};

const char *raid_member_state_name(RaidMemberState state)
{
    static const char *const names[RAID_MEMBER__MAX] = {
        [RAID_MEMBER_MISSING] = "missing",
        [RAID_MEMBER_IN_SYNC] = "in-sync",
        [RAID_MEMBER_FAULTY] = "faulty",
        [RAID_MEMBER_STALE] = "stale",
        [RAID_MEMBER_REBUILDING] = "rebuilding",
        [RAID_MEMBER_SPARE] = "spare",
    };

    assert((unsigned)state < RAID_MEMBER__MAX);
    return names[state];
}

const char *raid_array_state_name(RaidArrayState state)
{
    static const char *const names[RAID_ARRAY__MAX] = {
        [RAID_ARRAY_OPTIMAL] = "optimal",
        [RAID_ARRAY_RESYNC_PENDING] = "resync-pending",
        [RAID_ARRAY_DEGRADED] = "degraded",
        [RAID_ARRAY_FAILED] = "failed",
    };

    assert((unsigned)state < RAID_ARRAY__MAX);
    return names[state];
}

bool raid_member_state_can_change(RaidMemberState from, RaidMemberState to)
{
    assert((unsigned)from < RAID_MEMBER__MAX);
    assert((unsigned)to < RAID_MEMBER__MAX);
    return member_stt[from][to];
}

bool raid_array_state_can_change(RaidArrayState from, RaidArrayState to)
{
    assert((unsigned)from < RAID_ARRAY__MAX);
    assert((unsigned)to < RAID_ARRAY__MAX);
    return array_stt[from][to];
}

/* Not an assertion: the check stays even where those are compiled out. */
static void forbid(const char *what, const char *from, const char *to)
{
    fprintf(stderr, "raid: illegal change of %s state: %s to %s\n",
            what, from, to);
    abort();
}

void raid_member_state_set(RaidMemberState *state, RaidMemberState to)
{
    if (!raid_member_state_can_change(*state, to)) {
        forbid("member", raid_member_state_name(*state),
               raid_member_state_name(to));
    }
    *state = to;
}

void raid_array_state_set(RaidArrayState *state, RaidArrayState to)
{
    if (!raid_array_state_can_change(*state, to)) {
        forbid("array", raid_array_state_name(*state),
               raid_array_state_name(to));
    }
    *state = to;
}

/*
 * The fewest and the most copies that a chunk of a mirrored array keeps. Where
 * the copies of chunk k lie depends on k modulo the number of slots only, so as
 * many chunks as there are slots show every case.
 */
static void copies_kept(const RaidGeometry *geom, RaidMask missing_slots,
                        unsigned *fewest, unsigned *most)
{
    *fewest = geom->copies;
    *most = 0;
    for (unsigned k = 0; k < geom->nr_slots; k++) {
        uint64_t array_off = (uint64_t)k << geom->chunk_shift;
        unsigned kept = 0;

        if (array_off >= geom->array_bytes) {
            break;
        }
        for (unsigned copy = 0; copy < geom->copies; copy++) {
            RaidLoc loc;

            raid_map_copy(geom, array_off, copy, &loc);
            kept += !(missing_slots & RAID_BIT(loc.slot));
        }
        *fewest = kept < *fewest ? kept : *fewest;
        *most = kept > *most ? kept : *most;
    }
}

static bool copies_suffice(const RaidGeometry *geom, RaidMask missing_slots)
{
    unsigned fewest, most;

    copies_kept(geom, missing_slots, &fewest, &most);
    return fewest > 0;
}

bool raid_has_two_copies(const RaidGeometry *geom, RaidMask missing_slots)
{
    unsigned fewest, most;

    copies_kept(geom, missing_slots, &fewest, &most);
    return most > 1;
}

static bool data_suffices(const RaidGeometry *geom, RaidMask missing_slots)
{
    if (raid_has_parity(geom)) {
        return raid_mask_count(missing_slots) <= geom->nr_parity;
    }
    if (raid_has_mirrors(geom)) {
        return copies_suffice(geom, missing_slots);
    }
    return missing_slots == 0;
}

RaidArrayState raid_array_state_of(const RaidGeometry *geom,
                                   RaidMask missing_slots, bool clean,
                                   bool forced)
{
    missing_slots &= raid_mask_first(geom->nr_slots);
    if (!data_suffices(geom, missing_slots)) {
        return RAID_ARRAY_FAILED;
    }
    if (missing_slots) {
        bool doubtful = raid_has_parity(geom) && !clean && !forced;
        return doubtful ? RAID_ARRAY_FAILED : RAID_ARRAY_DEGRADED;
    }
    if (!clean && (raid_has_parity(geom) || raid_has_mirrors(geom))) {
        return RAID_ARRAY_RESYNC_PENDING;
    }
    return RAID_ARRAY_OPTIMAL;
}

#define HOUR_MS     (INT64_C(3600) * 1000)

uint64_t raid_errors_left(uint64_t errors, int64_t ms)
{
    int64_t hours = ms > 0 ? ms / HOUR_MS : 0;

    return hours < 64 ? errors >> hours : 0;
}

bool raid_can_resync(const RaidGeometry *geom, RaidArrayState state,
                     bool clean)
{
    return !clean && (state == RAID_ARRAY_RESYNC_PENDING ||
                      (state == RAID_ARRAY_DEGRADED &&
                       raid_has_mirrors(geom)));
}
