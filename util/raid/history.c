/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History: which superblocks of one array hold the current state of it
 *
 * Owns: the rules that tell the current members from stale ones, and an array
 * that ran in two halves from one that did not.
 * Must not know: policies, geometry, anything besides superblocks.
 * Threads: any; pure.
 * Keeps: I6 (a cut update reads as the state before or after it), I7 as far as
 * superblocks tell.
 *
 * Words used below:
 *
 * - A member *claims* a slot when its own superblock says that it holds all
 *   data of that slot. Spares and members being rebuilt claim none.
 * - a *disowns* b when a's table of roles does not say of b what b says of
 *   itself. md marks a member that failed as faulty, but one that was not
 *   there when the array started is merely left out of the table, so both
 *   count alike.
 * - A superblock disowned by one that is not older is *condemned*. Equal event
 *   counts do occur: md takes one event back when it goes from dirty to clean,
 *   and may have to record a failure right after that.
 */
#include <assert.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "history.h"

#define MD_TIME_SEC_BITS    40

typedef struct Judge {
    const MdSuper *const *supers;
    unsigned nr;
    uint64_t newest;            /* highest event count of all claims */
    RaidHistory *out;
} Judge;

static bool has_slot(const MdSuper *sb)
{
    return md_super_role(sb) < MD_ROLE_MAX;
}

static bool claims_slot(const MdSuper *sb)
{
    return has_slot(sb) && !(sb->feature_map & MD_FEATURE_RECOVERY_OFFSET);
}

static uint16_t role_given_by(const MdSuper *a, const MdSuper *b)
{
    return b->dev_number < a->max_dev ? a->roles[b->dev_number]
                                      : MD_ROLE_SPARE;
}

static bool disowns(const MdSuper *a, const MdSuper *b)
{
    return role_given_by(a, b) != md_super_role(b);
}

/* Behind by more than one cut update can explain. */
static bool is_behind(const MdSuper *sb, uint64_t events)
{
    return sb->events < events && events - sb->events > 1;
}

static void find_newest(Judge *judge)
{
    for (unsigned i = 0; i < judge->nr; i++) {
        const MdSuper *sb = judge->supers[i];

        if (claims_slot(sb) && sb->events > judge->newest) {
            judge->newest = sb->events;
        }
    }
}

/*
 * Spares and half-rebuilt members are witnesses too: they were there when the
 * other failed. Only their event count means nothing for the others.
 */
static bool is_condemned(const Judge *judge, const MdSuper *sb)
{
    for (unsigned i = 0; i < judge->nr; i++) {
        const MdSuper *a = judge->supers[i];

        if (a != sb && a->events >= sb->events && disowns(a, sb)) {
            return true;
        }
    }
    return false;
}

static bool is_here(const Judge *judge, uint32_t dev)
{
    for (unsigned i = 0; i < judge->nr; i++) {
        if (judge->supers[i]->dev_number == dev) {
            return true;
        }
    }
    return false;
}

/*
 * Does @new give the slot of some third member to the same one? If that is
 * here, it speaks for itself: it may have been put back from an old copy.
 */
static bool knew_same(const Judge *judge, const MdSuper *old,
                      const MdSuper *new)
{
    for (uint32_t dev = 0; dev < old->max_dev && dev < new->max_dev; dev++) {
        if (old->roles[dev] < MD_ROLE_MAX &&
            old->roles[dev] == new->roles[dev] && !is_here(judge, dev)) {
            return true;
        }
    }
    return false;
}

/* Is each slot given to the number that was made for it? */
static bool knew_the_first(const MdSuper *sb)
{
    for (uint32_t dev = 0; dev < sb->raid_disks; dev++) {
        if (dev >= sb->max_dev || sb->roles[dev] != dev) {
            return false;
        }
    }
    return true;
}

/*
 * Is @old merely an early leaver, though it and @new disown each other? (Two
 * members fail one after the other, and only the first one is replaced.) So it
 * is when a line leads from @old to @new, each member of which knew the next:
 * the next one then was there all the time that the one before it was, hence
 * lacks nothing of it. The line may pass through members that left, too.
 *
 * Two more signs need no superblock of the next one. Where @new gives a slot to
 * a number that a member of the line gave the same slot, that one is merely not
 * here: what it would say, @new says. And a member that gives each slot to the
 * number that was made for it, for numbers below that of the slots are given at
 * creation only, never ran without any of the first members; so whatever @new
 * descends from had all that it has.
 *
 * This rests on a device number meaning one history: who rebuilds a member
 * that ran apart gives it a new number, as mdadm does.
 */
static bool is_ancestor(const Judge *judge, const MdSuper *old,
                        const MdSuper *new)
{
    const MdSuper *line[RAID_MAX_CANDIDATES] = { old };
    bool reached[RAID_MAX_CANDIDATES] = { false };
    unsigned n = 1;

    for (unsigned i = 0; i < n; i++) {
        if (!disowns(line[i], new) || knew_same(judge, line[i], new) ||
            knew_the_first(line[i])) {
            return true;
        }
        for (unsigned j = 0; j < judge->nr; j++) {
            const MdSuper *sb = judge->supers[j];

            if (!reached[j] && sb != old && has_slot(sb) &&
                !disowns(line[i], sb) && !is_behind(sb, line[i]->events)) {
                reached[j] = true;
                line[n++] = sb;
            }
        }
    }
    return false;
}

/* One that it knew well has since seen it fail: plainly out, no conflict. */
static bool was_left_behind(const Judge *judge, const MdSuper *sb)
{
    for (unsigned i = 0; i < judge->nr; i++) {
        const MdSuper *a = judge->supers[i];

        if (a->events >= sb->events && disowns(a, sb) && !disowns(sb, a)) {
            return true;
        }
    }
    return false;
}

/* @a is not newer than @b. */
static bool ran_apart(const Judge *judge, const MdSuper *a, const MdSuper *b)
{
    if (!disowns(a, b) || !disowns(b, a) || was_left_behind(judge, b)) {
        return false;
    }
    return !is_behind(a, b->events) || !is_ancestor(judge, a, b);
}

static bool conflict(Judge *judge, unsigned member, unsigned other)
{
    judge->out->conflict = true;
    judge->out->member = member;
    judge->out->other = other;
    return false;
}

static bool check_split_brain(Judge *judge)
{
    for (unsigned i = 0; i < judge->nr; i++) {
        for (unsigned j = 0; j < judge->nr; j++) {
            const MdSuper *a = judge->supers[i];
            const MdSuper *b = judge->supers[j];

            if (i != j && claims_slot(a) && claims_slot(b) &&
                a->events <= b->events && ran_apart(judge, a, b)) {
                return conflict(judge, i, j);
            }
        }
    }
    return true;
}

static RaidMemberState verdict(const Judge *judge, const MdSuper *sb)
{
    if (md_super_role(sb) == MD_ROLE_SPARE) {
        return RAID_MEMBER_SPARE;
    }
    if (!has_slot(sb) || is_behind(sb, judge->newest) ||
        is_condemned(judge, sb)) {
        return RAID_MEMBER_STALE;
    }
    return claims_slot(sb) ? RAID_MEMBER_IN_SYNC : RAID_MEMBER_REBUILDING;
}

static void find_freshest(const Judge *judge)
{
    RaidHistory *out = judge->out;

    for (unsigned i = 0; i < judge->nr; i++) {
        if (out->verdicts[i] == RAID_MEMBER_IN_SYNC &&
            (out->freshest < 0 || judge->supers[i]->events >
             judge->supers[out->freshest]->events)) {
            out->freshest = i;
        }
    }
}

/* A spare that failed is none. */
static void drop_failed_spares(const Judge *judge)
{
    RaidHistory *out = judge->out;

    for (unsigned i = 0; i < judge->nr && out->freshest >= 0; i++) {
        if (out->verdicts[i] == RAID_MEMBER_SPARE &&
            role_given_by(judge->supers[out->freshest], judge->supers[i]) ==
            MD_ROLE_FAULTY) {
            out->verdicts[i] = RAID_MEMBER_STALE;
        }
    }
}

/* Another one has its number: the one that was given it later, if a spare. */
static bool is_replaced(const Judge *judge, unsigned spare)
{
    const MdSuper *sb = judge->supers[spare];

    for (unsigned i = 0; i < judge->nr; i++) {
        const MdSuper *other = judge->supers[i];
        RaidMemberState verdict = judge->out->verdicts[i];

        if (i != spare && other->dev_number == sb->dev_number &&
            (verdict == RAID_MEMBER_SPARE ? other->events >= sb->events
                                          : verdict != RAID_MEMBER_STALE)) {
            return true;
        }
    }
    return false;
}

/*
 * A device number has one owner. A spare that is taken away is told nothing,
 * and its number is given to the next one: when it comes back, it is too late.
 */
static void drop_replaced_spares(const Judge *judge)
{
    RaidMemberState *verdicts = judge->out->verdicts;
    bool replaced[RAID_MAX_CANDIDATES];

    for (unsigned i = 0; i < judge->nr; i++) {
        replaced[i] = verdicts[i] == RAID_MEMBER_SPARE &&
                      is_replaced(judge, i);
    }
    for (unsigned i = 0; i < judge->nr; i++) {
        if (replaced[i]) {
            verdicts[i] = RAID_MEMBER_STALE;
        }
    }
}

/* No single update lets a member in that was out before: it is rebuilt. */
static bool check_agreement(Judge *judge)
{
    const RaidMemberState *verdicts = judge->out->verdicts;

    for (unsigned i = 0; i < judge->nr; i++) {
        for (unsigned j = 0; j < judge->nr; j++) {
            if (verdicts[i] == RAID_MEMBER_IN_SYNC &&
                verdicts[j] == RAID_MEMBER_IN_SYNC &&
                disowns(judge->supers[i], judge->supers[j])) {
                return conflict(judge, i, j);
            }
        }
    }
    return true;
}

#define US_PER_SECOND   INT64_C(1000000)
#define US_PER_MS       1000
#define US_OF_UPDATES   1       /* in each millisecond */

uint64_t raid_update_time(int64_t us)
{
    uint64_t fraction = us % US_PER_SECOND / US_PER_MS * US_PER_MS +
                        US_OF_UPDATES;

    return ((us / US_PER_SECOND) & MD_SUPERBLOCK_1_TIME_SEC_MASK) |
           (fraction << MD_TIME_SEC_BITS);
}

/* The kernel counts seconds. */
bool raid_is_update_time(uint64_t utime)
{
    uint64_t fraction = utime >> MD_TIME_SEC_BITS;

    return !fraction || fraction % US_PER_MS == US_OF_UPDATES;
}

bool raid_history_disowns(const MdSuper *a, const MdSuper *b)
{
    return disowns(a, b);
}

bool raid_history_is_one(const MdSuper *const *supers, unsigned nr,
                         const MdSuper *member)
{
    const MdSuper *all[RAID_MAX_CANDIDATES] = { member };
    Judge judge = {
        .supers = all, .nr = nr + 1, .out = &(RaidHistory) { .member = -1 },
    };

    assert(nr < RAID_MAX_CANDIDATES);
    memcpy(&all[1], supers, nr * sizeof(all[0]));
    find_newest(&judge);
    for (unsigned i = 1; i < judge.nr; i++) {
        const MdSuper *a = member->events <= all[i]->events ? member : all[i];
        const MdSuper *b = a == member ? all[i] : member;

        if (claims_slot(all[i]) && ran_apart(&judge, a, b)) {
            return false;
        }
    }
    return true;
}

bool raid_history_judge(const MdSuper *const *supers, unsigned nr,
                        RaidHistory *out)
{
    Judge judge = { .supers = supers, .nr = nr, .out = out };

    *out = (RaidHistory) { .freshest = -1, .member = -1, .other = -1 };
    find_newest(&judge);
    if (!check_split_brain(&judge)) {
        return false;
    }
    for (unsigned i = 0; i < nr; i++) {
        out->verdicts[i] = verdict(&judge, supers[i]);
    }
    find_freshest(&judge);
    drop_failed_spares(&judge);
    drop_replaced_spares(&judge);
    return check_agreement(&judge);
}
