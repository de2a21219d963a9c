/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PPL: the partial parity logs of a running RAID5 array
 */
#ifndef BLOCK_OPUS_RAID_CONSISTENCY_PPL_H
#define BLOCK_OPUS_RAID_CONSISTENCY_PPL_H

#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/base/columns.h"
#include "util/raid/md-ppl.h"

/* A stripe write that is to be logged; lives on its coroutine's stack. */
typedef struct OpusPplRequest {
    unsigned nr;                    /* entries; 0: it needs no log */
    unsigned slot;                  /* whose log */
    MdPplWrite writes[RAID_PLAN_MAX_BANDS];
    const void *pp[RAID_PLAN_MAX_BANDS];
    bool taken;                     /* is in a unit */
    bool logged;
    int ret;
    QSIMPLEQ_ENTRY(OpusPplRequest) next;
} OpusPplRequest;

/* The log of one member. */
typedef struct OpusPplLog {
    /* Constant while the array runs */
    MdPplHeader found;              /* newest unit when it was assembled */
    uint32_t found_at;
    bool replay;                    /* has to be, before the array is written */

    /* Under OpusPpl.lock */
    MdPplRing ring;
    bool ready;                     /* begun on the member */
    bool busy;                      /* a unit is written, or its stripes are */
    bool unflushed;                 /* stripes of the last unit */
    unsigned nr_pending;            /* stripes of the unit that are under way */
    QSIMPLEQ_HEAD(, OpusPplRequest) queue;
    CoQueue waiters;

    /* Used by the request that writes a unit */
    MdPplHeader unit;
} OpusPplLog;

typedef struct OpusPpl {
    OpusConsistency common;
    QemuMutex lock;                 /* never held while waiting */
    OpusPplLog logs[];              /* one for each slot */
} OpusPpl;

extern const OpusConsistencyOps opus_ppl_ops;

/* That of an array which has one. */
static inline OpusPpl *opus_ppl(const OpusRaid *s)
{
    assert(s->consistency->ops == &opus_ppl_ops);
    return container_of(s->consistency, OpusPpl, common);
}

OpusPpl *opus_ppl_new(const RaidGeometry *geom);

/**
 * opus_ppl_scan: look for the newest unit of a member's log
 * @log: @found and @found_at are set when the return value is true
 *
 * Returns whether the log is valid. One that can't be read is not.
 */
bool coroutine_fn GRAPH_RDLOCK
opus_ppl_scan(const OpusMember *m, const RaidGeometry *geom, unsigned slot,
              OpusPplLog *log);

/**
 * opus_ppl_replay: make the parity right of what was being written
 *
 * For an array that was assembled to be written. Flushes what it wrote.
 * Returns 0 or a negative errno with @errp set.
 */
int coroutine_fn GRAPH_RDLOCK opus_ppl_replay(OpusRaid *s, Error **errp);

/* Where the log of a member lies on it. */
static inline int64_t opus_ppl_off(const MdSuper *super)
{
    return ((int64_t)super->super_offset_sectors + super->ppl_offset_sectors) *
           RAID_SECTOR_BYTES;
}

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_PPL_H */
