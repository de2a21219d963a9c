/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member and array states, and which changes between them are legal
 *
 * The tables in member-state.c are the only authority on transitions (I16);
 * a state is changed only through the checked setters below.
 */
#ifndef UTIL_RAID_MEMBER_STATE_H
#define UTIL_RAID_MEMBER_STATE_H

#include "geometry.h"

typedef enum RaidMemberState {
    RAID_MEMBER_MISSING,        /* no node fills the slot */
    RAID_MEMBER_IN_SYNC,        /* holds what its slot should hold */
    RAID_MEMBER_FAULTY,         /* failed while the array ran */
    RAID_MEMBER_STALE,          /* missed writes of an earlier run */
    RAID_MEMBER_REBUILDING,     /* holds its slot only in part */
    RAID_MEMBER_SPARE,          /* fills no slot */
    RAID_MEMBER__MAX,
} RaidMemberState;

typedef enum RaidArrayState {
    RAID_ARRAY_OPTIMAL,         /* all members in sync, redundancy right */
    RAID_ARRAY_RESYNC_PENDING,  /* all members there, redundancy not known */
    RAID_ARRAY_DEGRADED,        /* members missing, all data to be had */
    RAID_ARRAY_FAILED,          /* more missing than the level bears: final */
    RAID_ARRAY__MAX,
} RaidArrayState;

/* "in-sync", "resync-pending", ...; the same words as in QAPI. */
const char *raid_member_state_name(RaidMemberState state);
const char *raid_array_state_name(RaidArrayState state);

bool raid_member_state_can_change(RaidMemberState from, RaidMemberState to);
bool raid_array_state_can_change(RaidArrayState from, RaidArrayState to);

/*
 * Change *@state to @to; abort the program when the table forbids it. To set
 * the state that it has already is always allowed.
 */
void raid_member_state_set(RaidMemberState *state, RaidMemberState to);
void raid_array_state_set(RaidArrayState *state, RaidArrayState to);

/**
 * raid_array_state_of: the state that the members' states make
 * @missing_slots: slots without a member in sync
 * @clean:         redundancy is known to be right
 * @forced:        the user accepts that data recovered from redundancy which
 *                 is not known to be right may be wrong
 *
 * A parity array that is both degraded and not clean is FAILED unless
 * @forced: what parity recovers might be wrong, and nothing would tell (P4).
 */
RaidArrayState raid_array_state_of(const RaidGeometry *geom,
                                   RaidMask missing_slots, bool clean,
                                   bool forced);

/**
 * raid_errors_left: how many of a member's read errors still count
 * @errors: that counted at the last one
 * @ms:     since then
 *
 * Half of them each hour, as md has it: a drive may have some in its life.
 */
uint64_t raid_errors_left(uint64_t errors, int64_t ms);

/**
 * raid_can_resync: may a resync make redundancy right?
 * @clean: as for raid_array_state_of()
 *
 * Mirrors that are degraded, too: the copies that are left may differ, and a
 * reader must not get another one of them after the next loss.
 */
bool raid_can_resync(const RaidGeometry *geom, RaidArrayState state,
                     bool clean);

/**
 * raid_has_two_copies: are there chunks that still have more than one copy?
 *
 * If not, there is nothing that may differ. For mirrored levels.
 */
bool raid_has_two_copies(const RaidGeometry *geom, RaidMask missing_slots);

#endif /* UTIL_RAID_MEMBER_STATE_H */
