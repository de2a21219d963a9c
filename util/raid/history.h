/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History: which superblocks of one array hold the current state of it
 *
 * The part of assembly that compares event counts and role tables. Pure, no
 * I/O; any thread.
 */
#ifndef UTIL_RAID_HISTORY_H
#define UTIL_RAID_HISTORY_H

#include "md-super.h"
#include "member-state.h"

/* More than fill the slots: spares and members left out count too. */
#define RAID_MAX_CANDIDATES     (2 * RAID_MAX_MEMBERS)

/* Numbers below are indices of the superblocks given. */
typedef struct RaidHistory {
    bool conflict;              /* @member and @other ran apart */
    int member;
    int other;
    int freshest;               /* in sync with most events, or -1: none is */
    RaidMemberState verdicts[RAID_MAX_CANDIDATES];  /* void after conflict */
} RaidHistory;

/**
 * raid_history_judge: tell current superblocks from old ones
 * @supers: @nr of one array, at most RAID_MAX_CANDIDATES; among equals the
 *          first one is named, so sort them where that matters
 * @out:    wholly overwritten
 *
 * In sync are those that hold a whole slot by their own word, that are at most
 * one event behind the newest of these, and that none which is not older calls
 * anything else. So no member in sync calls another one faulty.
 *
 * Returns false, with @out->conflict, when members ran apart.
 */
bool raid_history_judge(const MdSuper *const *supers, unsigned nr,
                        RaidHistory *out);

/**
 * raid_update_time: what an update at this time says in every superblock
 * @us: microseconds since 1970
 *
 * Low 40 bits seconds, microseconds above, as md has it. Earlier versions wrote
 * single superblocks with a time of their own, so the microseconds tell that
 * this one is shared by all that have its event count.
 */
uint64_t raid_update_time(int64_t us);

/* Is @utime from there, or from md, which shares it, too? */
bool raid_is_update_time(uint64_t utime);

/* Does @a's table of roles not say of @b what @b says of itself? */
bool raid_history_disowns(const MdSuper *a, const MdSuper *b);

/**
 * raid_history_is_one: did @member run with these, or leave before?
 * @supers: @nr of the members in sync, fewer than RAID_MAX_CANDIDATES
 * @member: one that left; it may be half on its way back
 *
 * False when it ran apart, so that it holds what these lack, as far as the
 * superblocks tell.
 */
bool raid_history_is_one(const MdSuper *const *supers, unsigned nr,
                         const MdSuper *member);

#endif /* UTIL_RAID_HISTORY_H */
