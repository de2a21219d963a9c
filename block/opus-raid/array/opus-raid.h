/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * opus-raid: what the driver's files share
 *
 * The driver is a shell around util/raid: that decides, this does the I/O.
 * Rooms, each with files that may include only what lies below them:
 *
 *     control              what QEMU and users call
 *     setup                from members to a running array, and changes of it
 *     jobs, io             block jobs; one guest request
 *     members, redundancy  who belongs; data, parity and copies
 *     consistency          what is durable before a write begins
 *     array                states, members that fail, superblocks
 *     member               I/O to one child
 *     base                 what knows no array
 *
 * Threads: requests may come from any AioContext at the same time, and each
 * stays in the one it came from.
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_OPUS_RAID_H
#define BLOCK_OPUS_RAID_ARRAY_OPUS_RAID_H

#include "block/block_int.h"
#include <linux/raid/md_p.h>
#include "qapi/qapi-types-block-core.h"
#include "qapi/qapi-types-opus-raid-types.h"
#include "qemu/coroutine.h"
#include "util/raid/array-life.h"
#include "util/raid/assemble.h"
#include "util/raid/plan.h"
#include "block/opus-raid/base/sabotage.h"
#include "block/opus-raid/base/stats.h"
#include "block/opus-raid/base/stripe-lock.h"
#include "block/opus-raid/base/uninitialized.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/member/timeout.h"

/*
 * Failed reads that a member may have had before it is failed; those of hours
 * ago count for less, as md has it.
 */
#define OPUS_READ_ERROR_LIMIT   20

/* A rebuild gives up on no more than this where it can't go on. */
#define OPUS_CRUMB_BYTES        4096

typedef struct OpusConsistency OpusConsistency;

/* What the user asked for. Changes only while no request is in flight. */
typedef struct OpusRaidOptions {
    RaidPolicy policy;          /* of assembly */
    uint8_t *want_uuid;         /* 16 bytes to insist on, or NULL */
    char *want_name;
    uint32_t read_error_limit;
    uint64_t rebuild_speed;     /* of jobs, bytes per second; 0: no limit */
    /* Atomic. That of jobs while the guest is busy, bytes per second. */
    uint64_t rebuild_speed_min;
} OpusRaidOptions;

/*
 * What is rebuilt in a slot: its member, or one that is to replace that. See
 * target.c.
 */
typedef struct OpusRebuild {
    /*
     * Atomic: below it, in member bytes, the slot holds what it should. Moves
     * up only while the stripes it passes are locked (I10), so the holder of
     * a stripe's lock knows on which side the stripe is. 0 when the member
     * failed, or none was ever rebuilt; UINT64_MAX once it is in sync.
     */
    uint64_t done;
    bool by_bitmap;     /* only what that names; changes as @replacement */
    uint64_t checkpoint;        /* member bytes; under meta_lock */
    /*
     * Atomic: the member that is to take over the slot from the one that holds
     * it, or NULL. What is said above of the slot's member is then said of
     * this one: below @done it holds what the other does, and gets all writes.
     * No read goes to it. Set while no request is in flight.
     */
    OpusMember *replacement;
    bool replacement_failed;    /* atomic: it is to be dropped */
    /* Main loop only */
    struct BlockJob *job;       /* or NULL */
    bool held;                  /* its job ended early; goes on by command */
} OpusRebuild;

/* Main loop only, but for what is atomic. */
typedef struct OpusRaidJobs {
    QEMUBH *changed_bh;         /* looks whether there is a job to start */
    QEMUTimer *look_again;      /* looks again, a little later */
    struct BlockJob *resync;    /* or NULL */
    struct BlockJob *check;     /* or NULL */
    bool none_starts;           /* atomic: not until something else is done */
} OpusRaidJobs;

typedef struct OpusRaidCheck {
    OpusRaidLastCheck *last;    /* main loop only; NULL: none has ended */
    /* Atomic: of the check that began last. */
    uint64_t mismatch_sectors;
    uint64_t unrepaired_sectors;
} OpusRaidCheck;

/* Is it written? See dirty.c; in array.c, what is before a write. */
typedef struct OpusRaidIdle {
    bool wrote;                 /* atomic: a write since the last idle check */
    uint64_t active_writes;     /* atomic */
    QEMUTimer *timer;           /* in the main loop's AioContext */
    bool is_idle;               /* main loop only: no write for a while */
    int64_t next_sweep_ms;      /* main loop only */
} OpusRaidIdle;

typedef struct OpusRaid {
    /* Constant */
    BlockDriverState *bs;
    /*
     * meta_lock is held across superblock writes; state_lock is for those who
     * only want to look, and never held while waiting.
     */
    CoMutex meta_lock;
    QemuMutex state_lock;

    /* Change only while no request is in flight */
    OpusMember *members;        /* in the order the user gave */
    unsigned nr_members;
    OpusMember *slots[RAID_MAX_MEMBERS];    /* NULL: slot has no member */
    uint32_t block_bytes;       /* logical block; 0: superblocks don't say */
    /* Atomic: started dirty and degraded, and has not been optimal since. */
    bool forced;
    RaidMask retaken_slots;     /* of members that were stale, and forced */
    bool times_differ;          /* of superblocks; forced, too */
    OpusConsistency *consistency;   /* what it keeps of its writes; or NULL */
    OpusRaidOptions options;

    /* So does this, but for the lengths, which grow; see grow.c. */
    RaidGeometry geom;
    bool growing;               /* atomic: its geometry is ahead of it */

    /*
     * The view that requests work by. Atomic; slots are only ever added to
     * @missing_slots, and only after the superblocks of the other members
     * say so durably (I5). OPUS_ALL_SLOTS when the array has failed. Children
     * stay as they are while a request holds the graph lock, so this one word
     * is all that can change under it.
     */
    RaidMask missing_slots;
    /* Atomic: not read from as long as another copy is there. */
    RaidMask write_mostly_slots;
    /*
     * Atomic: below it redundancy is right but for writes in flight. In sync
     * bytes. Moves up only while the units it passes are locked (I10);
     * UINT64_MAX when all is right.
     */
    uint64_t resync_done;

    OpusRebuild rebuilds[RAID_MAX_MEMBERS];     /* by slot */
    /* Atomic: slots with a replacement; changes with those. */
    RaidMask replaced_slots;
    OpusRaidJobs jobs;
    OpusRaidCheck check;
    OpusRaidIdle idle;

    /* Written under meta_lock and state_lock, read under either */
    RaidArrayState state;       /* changes by array*.c only */
    uint64_t events;
    uint64_t utime;             /* of superblocks with this event count: */
    uint64_t utime_events;
    uint64_t resync_offset;     /* to write when clean; MD_RESYNC_DONE: ok */
    uint64_t size_sectors;      /* used on each member, as superblocks say */

    /* Atomic; changed by life.c only. */
    RaidLife life;
    RaidLogState log;

    int64_t refusal_quiet_until_ms;     /* atomic; users are not told before */
    bool keeps_claims;          /* main loop: has written since it is active */

    OpusStripeLocks stripe_locks;
    OpusTimeouts timeouts;
    OpusStats stats;
} OpusRaid;

/* Missing slots of an array that has failed. */
#define OPUS_ALL_SLOTS  (~(RaidMask)0)

static inline RaidMask opus_missing_slots(const OpusRaid *s)
{
    return qatomic_load_acquire(&s->missing_slots);
}

/* Is nothing to be had from it any more? Any thread. */
static inline bool opus_array_has_failed(const OpusRaid *s)
{
    return opus_missing_slots(s) == OPUS_ALL_SLOTS;
}

/*
 * The same for the holder of the lock of the stripe or chunk that lies at
 * @member_off: a slot that is being rebuilt counts where that is done (I9).
 */
static inline RaidMask opus_missing_at(OpusRaid *s, uint64_t member_off)
{
    RaidMask missing_slots = opus_missing_slots(s);

    if (likely(!missing_slots) || missing_slots == OPUS_ALL_SLOTS ||
        OPUS_SABOTAGED(WRITES_PASS_REBUILD)) {
        return missing_slots;
    }
    RAID_MASK_FOREACH(slot, missing_slots) {
        if (member_off < qatomic_load_acquire(&s->rebuilds[slot].done) ||
            (OPUS_SABOTAGED(REBUILT_TOO_EARLY) && s->slots[slot] &&
             s->slots[slot]->state == RAID_MEMBER_REBUILDING)) {
            missing_slots &= ~RAID_BIT(slot);
        }
    }
    return missing_slots;
}

/* Slots whose members are written to in some place at least. */
static inline RaidMask opus_written_slots(OpusRaid *s)
{
    return raid_mask_first(s->geom.nr_slots) & ~opus_missing_at(s, 0);
}

static inline OpusMember *opus_replacement_of(const OpusRaid *s, unsigned slot)
{
    return qatomic_read(&s->rebuilds[slot].replacement);
}

/* Slots that two members get the writes of, in some place at least. */
static inline RaidMask opus_replaced_slots(const OpusRaid *s)
{
    return qatomic_read(&s->replaced_slots);
}

/*
 * For the holder of the same lock: the member that must be written beside that
 * of the slot, or NULL.
 */
static inline OpusMember *opus_replacement_at(OpusRaid *s, unsigned slot,
                                              uint64_t member_off)
{
    if (likely(!(opus_replaced_slots(s) & RAID_BIT(slot))) ||
        member_off >= qatomic_load_acquire(&s->rebuilds[slot].done)) {
        return NULL;
    }
    return opus_replacement_of(s, slot);
}

/* Does it stand beside the member of its slot? */
static inline bool opus_is_replacement(const OpusRaid *s, const OpusMember *m)
{
    int slot = qatomic_read(&m->slot);

    return slot >= 0 && opus_replacement_of(s, slot) == m;
}

/* One that was going to replace another, and is not any more. */
static inline bool opus_member_was_replacement(const OpusMember *m)
{
    return m->state == RAID_MEMBER_REBUILDING && m->slot < 0 &&
           (m->super.feature_map & MD_FEATURE_REPLACEMENT);
}

/* The member of a slot that is rebuilt, if any is; it may be NULL. */
static inline OpusMember *opus_rebuild_target(const OpusRaid *s, unsigned slot)
{
    return opus_replacement_of(s, slot) ?: s->slots[slot];
}

static inline bool opus_slot_usable(OpusRaid *s, unsigned slot)
{
    return !(opus_missing_slots(s) & RAID_BIT(slot));
}

/* Where a function is called with meta_lock held, it says so. */
static inline void coroutine_fn opus_assert_meta_locked(OpusRaid *s)
{
    qemu_co_mutex_assert_locked(&s->meta_lock);
}

/* Users see whole blocks; where there are no chunks, something may remain. */
static inline uint64_t opus_length(const OpusRaid *s)
{
    return s->block_bytes ? QEMU_ALIGN_DOWN(s->geom.array_bytes,
                                            s->block_bytes)
                          : s->geom.array_bytes;
}

/* May this process write to the members? */
static inline bool opus_is_writable(BlockDriverState *bs)
{
    return (bs->open_flags & BDRV_O_RDWR) &&
           !(bs->open_flags & BDRV_O_INACTIVE);
}

/*
 * May what redundancy says be given out as data (P4)? For the holder of the
 * lock of the stripe or chunk at @sync_off, see resync_done.
 */
static inline bool opus_redundancy_trusted(OpusRaid *s, uint64_t sync_off)
{
    return sync_off < qatomic_load_acquire(&s->resync_done) ||
           qatomic_read(&s->forced);
}

/* Is there redundancy that a resync can make right? Under either lock. */
static inline bool opus_can_resync(const OpusRaid *s)
{
    return raid_can_resync(&s->geom, s->state,
                           s->resync_offset == MD_RESYNC_DONE);
}

#endif /* BLOCK_OPUS_RAID_ARRAY_OPUS_RAID_H */
