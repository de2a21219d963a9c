/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array life: from assembly to rest, and what superblocks say meanwhile
 *
 * Owns: which event is legal when, and what follows.
 * Must not know: members, who causes an event, locks.
 * Threads: any; the caller serialises access to the state it passes.
 * Keeps: I16 (the table is the only way to change a state).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "array-life.h"

/* What is not listed is not legal: AT_REST is 0, and only REST leads there. */
static const RaidLife next[RAID_LIFE__MAX][RAID_LIFE_EVENT__MAX] = {
    [RAID_LIFE_AT_REST] = {
        [RAID_LIFE_EVENT_OPEN] = RAID_LIFE_CLEAN,
        [RAID_LIFE_EVENT_REPLAY] = RAID_LIFE_REPLAYING,
    },
    [RAID_LIFE_REPLAYING] = {
        [RAID_LIFE_EVENT_REPLAYED] = RAID_LIFE_CLEANING,
    },
    [RAID_LIFE_CLEAN] = {
        [RAID_LIFE_EVENT_WRITE] = RAID_LIFE_MARKING,
    },
    [RAID_LIFE_MARKING] = {
        [RAID_LIFE_EVENT_MARKED] = RAID_LIFE_DIRTY,
    },
    [RAID_LIFE_DIRTY] = {
        [RAID_LIFE_EVENT_QUIET] = RAID_LIFE_FLUSHING,
    },
    [RAID_LIFE_FLUSHING] = {
        [RAID_LIFE_EVENT_BUSY] = RAID_LIFE_DIRTY,
        [RAID_LIFE_EVENT_FLUSHED] = RAID_LIFE_CLEANING,
    },
    [RAID_LIFE_CLEANING] = {
        [RAID_LIFE_EVENT_CLEANED] = RAID_LIFE_CLEAN,
    },
};

const char *raid_life_name(RaidLife life)
{
    static const char *const names[RAID_LIFE__MAX] = {
        [RAID_LIFE_AT_REST] = "at rest",
        [RAID_LIFE_REPLAYING] = "replaying",
        [RAID_LIFE_CLEAN] = "clean",
        [RAID_LIFE_MARKING] = "marking",
        [RAID_LIFE_DIRTY] = "dirty",
        [RAID_LIFE_FLUSHING] = "flushing",
        [RAID_LIFE_CLEANING] = "cleaning",
        [RAID_LIFE_FAILED] = "failed",
    };

    assert((unsigned)life < RAID_LIFE__MAX);
    return names[life];
}

const char *raid_life_event_name(RaidLifeEvent event)
{
    static const char *const names[RAID_LIFE_EVENT__MAX] = {
        [RAID_LIFE_EVENT_OPEN] = "open",
        [RAID_LIFE_EVENT_REPLAY] = "replay",
        [RAID_LIFE_EVENT_REPLAYED] = "replayed",
        [RAID_LIFE_EVENT_WRITE] = "write",
        [RAID_LIFE_EVENT_MARKED] = "marked",
        [RAID_LIFE_EVENT_QUIET] = "quiet",
        [RAID_LIFE_EVENT_BUSY] = "busy",
        [RAID_LIFE_EVENT_FLUSHED] = "flushed",
        [RAID_LIFE_EVENT_CLEANED] = "cleaned",
        [RAID_LIFE_EVENT_REST] = "rest",
        [RAID_LIFE_EVENT_FAIL] = "fail",
    };

    assert((unsigned)event < RAID_LIFE_EVENT__MAX);
    return names[event];
}

bool raid_life_next(RaidLife from, RaidLifeEvent event, RaidLife *to)
{
    assert((unsigned)from < RAID_LIFE__MAX);
    assert((unsigned)event < RAID_LIFE_EVENT__MAX);
    if (event == RAID_LIFE_EVENT_FAIL) {
        *to = RAID_LIFE_FAILED;
        return true;
    }
    if (event == RAID_LIFE_EVENT_REST) {
        *to = RAID_LIFE_AT_REST;
        return from == RAID_LIFE_AT_REST || from == RAID_LIFE_CLEAN ||
               from == RAID_LIFE_FAILED;
    }
    *to = next[from][event];
    return *to != RAID_LIFE_AT_REST;
}

/* Not an assertion: the check stays even where those are compiled out. */
void raid_life_change(RaidLife *life, RaidLifeEvent event)
{
    RaidLife to;

    if (!raid_life_next(*life, event, &to)) {
        fprintf(stderr, "raid: illegal event %s of an array that is %s\n",
                raid_life_event_name(event), raid_life_name(*life));
        abort();
    }
    *life = to;
}

bool raid_life_says_dirty(RaidLife life)
{
    return life == RAID_LIFE_REPLAYING || life == RAID_LIFE_MARKING ||
           life == RAID_LIFE_DIRTY || life == RAID_LIFE_FLUSHING;
}

bool raid_life_may_be_dirty(RaidLife life)
{
    return raid_life_says_dirty(life) || life == RAID_LIFE_CLEANING;
}

bool raid_life_is_writable(RaidLife life)
{
    return life != RAID_LIFE_AT_REST && life != RAID_LIFE_FAILED;
}
