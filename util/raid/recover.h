/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recover: what must happen before an assembled array may be written
 *
 * raid_assemble() judges by the superblocks alone. They say whether there are
 * bitmaps or logs; the caller reads these, and what they say is judged here.
 * This verdict is the last. Pure, no I/O; any thread.
 */
#ifndef UTIL_RAID_RECOVER_H
#define UTIL_RAID_RECOVER_H

#include "assemble.h"

/* How an array keeps track of writes under way: its consistency policy. */
typedef enum RaidIntent {
    RAID_INTENT_RESYNC,         /* not at all: after a crash all is redone */
    RAID_INTENT_BITMAP,
    RAID_INTENT_PPL,
    RAID_INTENT_JOURNAL,
} RaidIntent;

/* From the feature bits of the freshest superblock. */
RaidIntent raid_intent_of(uint32_t feature_map);

/* Let a superblock say of the consistency policy what another one says. */
void raid_intent_copy(MdSuper *to, const MdSuper *from);

/* "resync", "bitmap", "ppl", "journal": as mdadm and QAPI spell them. */
const char *raid_intent_name(RaidIntent intent);

/* What was found besides the superblocks; all masks are sets of slots. */
typedef struct RaidFindings {
    RaidIntent intent;
    RaidPolicy policy;
    bool read_only;             /* nothing will be written to any member */
    RaidMask bitmaps;           /* that md_bitmap_judge() calls OK */
    RaidMask foreign_bitmaps;   /* that are, to md_bitmap_is_foreign() */
    /*
     * One of those is lockless: superblocks that say clean do not say that
     * there is redundancy for what was never written.
     */
    bool lockless;
    RaidMask logs;              /* that are valid: scan.found, md_ppl_check() */
    RaidMask logs_used;         /* of those: md_ppl_scan_used() */
    RaidMask logs_filled;       /* of those: the newest unit has entries */
    /*
     * With a journal: @logs have a valid unit, @logs_filled the newest of all,
     * if that has entries; @logs_used means nothing.
     */
} RaidFindings;

typedef enum RaidRecovery {
    RAID_RECOVERY_NOTHING,      /* it may be written at once */
    RAID_RECOVERY_REPLAY,       /* replay replay_slots, then it is clean */
    RAID_RECOVERY_RESYNC,       /* replay, then resync; may be in use by then */
    RAID_RECOVERY_READ_ONLY,    /* it may be read, and nothing be written */
    RAID_RECOVERY_REFUSE,       /* see refusal */
    RAID_RECOVERY__MAX,
} RaidRecovery;

typedef struct RaidRecoverPlan {
    RaidRecovery what;
    RaidRefusal refusal;
    int slot;                   /* that the refusal is about, or -1 */
    RaidArrayState state;       /* once the logs are replayed */
    bool forced;                /* data may be wrong, and FORCE accepts it */

    RaidMask replay_slots;      /* logs to replay first, durably */
    RaidMask merge_slots;       /* bitmaps to merge; none: set all bits */
    /*
     * With RESYNC: where the merged bitmap has bits, or from here on to the
     * end of each member, in sectors. Redundancy is not to be trusted there.
     */
    bool resync_by_bitmap;
    uint64_t resync_start;
    bool clean_bitmap;          /* the bits that are set need no resync */
} RaidRecoverPlan;

/**
 * raid_recover_decides: is this refusal of raid_assemble() one that bitmap or
 * log may lift?
 *
 * It is for DIRTY_DEGRADED, BITMAP and PPL; the array's fields of the assembly
 * are valid then, as they are without refusal (but for state and forced).
 */
bool raid_recover_decides(RaidRefusal refusal);

/**
 * raid_recover: the last verdict
 * @assembly: not refused, or with a refusal that raid_recover_decides()
 * @found:    of the members in sync; what could not be read is not in there
 * @plan:     wholly overwritten
 *
 * Rules, in this order:
 * - A bitmap of a kind that is not known here: to be written, it is refused as
 *   BITMAP, under every policy. Read-only it is as if there were none; but with
 *   a lockless one, parity says nothing of a missing member: then only FORCE
 *   reads it.
 * - Clean: nothing to do, unless the array keeps a bitmap that no member has a
 *   current one of: a program that ran it without the bitmap may have written
 *   anywhere, so all is resynced, as md does. While a member is missing there
 *   is no resync; then every bit is set, so that the member can't come back by
 *   bitmap.
 * - Doubtful: neither bitmap nor logs count, whatever they say.
 * - Dirty, parity, a member missing: only a log makes it safe (P4). Every log
 *   of the members that are there must be valid, and one of them used. Of a
 *   journal each unit is on one member more than parity makes up for, or on
 *   all: so no more members than that may be missing or have a journal that is
 *   not valid. All else is refused as DIRTY_DEGRADED; FORCE starts it, and
 *   replays what can be replayed. Nothing can be resynced.
 * - Dirty: the log is replayed if all logs are valid and one was used; the
 *   bitmap tells what to resync if there is a current one; or all is resynced
 *   from the superblock's resync offset on.
 * - A resync offset that is not 0 is that of a resync which was not over; no
 *   log makes up for that.
 * - Read-only: as it is, if all can be had right without writing.
 *
 * Returns plan->what != RAID_RECOVERY_REFUSE. Keeps: P2, P4.
 */
bool raid_recover(const RaidAssembly *assembly, const RaidFindings *found,
                  RaidRecoverPlan *plan);

/**
 * raid_recover_readd: may a member that is stale come back by the bitmap?
 * @assembly:       the array as it runs
 * @in_sync:        @nr superblocks of its members in sync
 * @member:         the stale member's superblock
 * @slot:           the missing slot it is to fill
 * @events_cleared: highest of the current bitmaps
 *
 * Otherwise it has to be rebuilt as a whole, like a new one. It may when it
 * is of this array, kept its bitmap, held this slot and all of it when it went
 * (or was already coming back by bitmap), is as large as its slot, missed no
 * clearing, and did not run without the others meanwhile: what it was given
 * then, no bit names.
 */
bool raid_recover_readd(const RaidAssembly *assembly,
                        const MdSuper *const *in_sync, unsigned nr,
                        const MdSuper *member, unsigned slot,
                        uint64_t events_cleared);

/* "nothing", "replay", ...: stable names for messages and tests. */
const char *raid_recovery_name(RaidRecovery what);

#endif /* UTIL_RAID_RECOVER_H */
