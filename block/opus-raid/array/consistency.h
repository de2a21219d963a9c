/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Consistency: what an array keeps, so that it can be told after a crash where
 * redundancy may be wrong
 *
 * The seam to the consistency policies. An array has one of them or none.
 * s->consistency changes only while no request is in flight.
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_CONSISTENCY_H
#define BLOCK_OPUS_RAID_ARRAY_CONSISTENCY_H

#include "block/opus-raid/array/life.h"
#include "block/opus-raid/array/opus-raid.h"

struct OpusColumns;

/* What is to be done once it is logged. Returns 0 or a negative errno. */
typedef int coroutine_fn GRAPH_RDLOCK_PTR OpusLoggedFn(void *opaque);

/*
 * Functions that return slots return those whose members did not take what they
 * were to take; their callers fail them. A NULL pointer: there is nothing to
 * do.
 */
typedef struct OpusConsistencyOps {
    OpusRaidConsistencyPolicy policy;
    const char *name;           /* "partial parity log" */
    const char *write_failed;   /* why a member fails that does not take it */
    uint32_t feature;           /* feature_map of superblocks that tell of it */

    void (*free)(OpusConsistency *c);

    /* --- on members -- */

    /* The first time on these, whatever lay there. */
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*init)(OpusRaid *s, RaidMask slots);
    /* A member is to be in sync; with meta_lock held. */
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*join)(OpusRaid *s, RaidMask slots);
    /*
     * Superblocks are going to count @events, or the assembly has changed what
     * is kept; with meta_lock held.
     */
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*count_event)(OpusRaid *s, RaidMask slots, uint64_t events);
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*catch_up)(OpusRaid *s, RaidMask slots);
    /* Is there room for it on a device so large, by such a superblock? */
    bool (*fits)(const OpusRaid *s, const MdSuper *super,
                 uint64_t device_bytes);
    /* The array is going to be as @geom says. Returns 0 or a negative errno. */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*cover)(OpusRaid *s, const RaidGeometry *geom, Error **errp);

    /* --- regions: what writes there were -- */

    /* Durable before the write; returns 0, or -EIO: the array has failed. */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*write_begin)(OpusRaid *s, uint64_t array_off, uint64_t bytes);
    void coroutine_fn (*write_end)(OpusRaid *s, uint64_t array_off,
                                   uint64_t bytes, bool redundant);
    /* Redundancy is right up to @end, in sync bytes. */
    void (*resynced)(OpusRaid *s, uint64_t end);
    /* The next sync bytes from @from on that a resync has to look at. */
    bool (*next_needed)(OpusRaid *s, uint64_t from, uint64_t *start,
                        uint64_t *end);
    /* May a member that left lack any of these sync sectors? */
    bool (*names)(OpusRaid *s, uint64_t start, uint64_t end);
    /* Move @watermark to the first place that @target lacks; returns it. */
    uint64_t (*skip)(OpusRaid *s, const OpusMember *target,
                     uint64_t *watermark);
    /* Is all named that a member lacks whose superblock this is? */
    bool (*covers)(OpusRaid *s, const RaidAssembly *a, const MdSuper *super);

    /* --- sweeps: what need not be kept any more; with meta_lock held -- */

    /* Returns whether a flush is needed before sweep_end(). */
    bool (*sweep_begin)(OpusRaid *s, bool degraded);
    void (*sweep_abort)(OpusRaid *s);
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*sweep_end)(OpusRaid *s, RaidMask slots, bool degraded);
    bool (*has_marks)(OpusRaid *s);
    int64_t (*sweep_interval_ms)(const OpusRaid *s);

    /* --- logs: of stripes, while the log is on -- */

    /*
     * Empty, and written to from now on; a unit may be waited for. What was
     * logged before is made durable first, without meta_lock; with @slots
     * empty that is all. Once it is, this may be called with meta_lock held.
     */
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*start)(OpusRaid *s, RaidMask slots);
    /* What members have is not to be believed. */
    RaidMask coroutine_fn GRAPH_RDLOCK_PTR
    (*invalidate)(OpusRaid *s, RaidMask slots);
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*replay)(OpusRaid *s, Error **errp);
    bool partial_parity;        /* needs columns with a place for it */
    /* Most array bytes of a stripe in one write of @bytes to it. */
    uint64_t (*max_write)(const OpusRaid *s, uint64_t bytes);
    unsigned max_zero_stripes;  /* in one go */
    /* With the stripes' locks held; @write is called once they are logged. */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*write_stripe)(OpusRaid *s, const struct OpusColumns *c,
                    OpusLoggedFn *write, void *opaque);
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*zero_stripes)(OpusRaid *s, uint64_t stripe, unsigned nr,
                    OpusLoggedFn *write, void *opaque);
} OpusConsistencyOps;

/* The first field of what each of them keeps. */
struct OpusConsistency {
    const OpusConsistencyOps *ops;
};

static inline void opus_consistency_free(OpusConsistency *c)
{
    if (c) {
        c->ops->free(c);
    }
}

/* What the array keeps, if it does, by the functions of its policy. */
static inline const OpusConsistencyOps *opus_consistency(const OpusRaid *s)
{
    return s->consistency ? s->consistency->ops : NULL;
}

static inline OpusRaidConsistencyPolicy opus_policy_of(const OpusRaid *s)
{
    return s->consistency ? s->consistency->ops->policy
                          : OPUS_RAID_CONSISTENCY_POLICY_RESYNC;
}

/* Are there regions, and so sweeps? */
static inline const OpusConsistencyOps *opus_regions(const OpusRaid *s)
{
    const OpusConsistencyOps *ops = opus_consistency(s);

    return ops && ops->write_begin ? ops : NULL;
}

/* Is there a log, be it on or off? */
static inline const OpusConsistencyOps *opus_log(const OpusRaid *s)
{
    const OpusConsistencyOps *ops = opus_consistency(s);

    return unlikely(ops) && ops->write_stripe ? ops : NULL;
}

/* That to which every write goes first, now; NULL: there is none. */
static inline const OpusConsistencyOps *opus_active_log(const OpusRaid *s)
{
    const OpusConsistencyOps *ops = opus_log(s);

    return unlikely(ops) && opus_log_is_on(s) ? ops : NULL;
}

/*
 * Would a crash at this moment be made up for as the policy promises? Not while
 * a log is void because redundancy is not known to be right.
 */
static inline bool opus_policy_is_in_force(const OpusRaid *s)
{
    if (!opus_log(s)) {
        return true;
    }
    return raid_life_is_writable(opus_life(s)) ? opus_log_is_on(s) :
           qatomic_read(&s->resync_done) == UINT64_MAX &&
           !qatomic_read(&s->forced);
}

#endif /* BLOCK_OPUS_RAID_ARRAY_CONSISTENCY_H */
