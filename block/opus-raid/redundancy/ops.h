/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Redundancy: how data is spread over members so that some may be lost
 *
 * The seam between requests and jobs, and the levels: plain (RAID0), parity
 * and mirror. All offsets and lengths are in bytes. Functions return 0 or a
 * negative errno; they take the locks that they need, but for those of jobs.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_OPS_H
#define BLOCK_OPUS_RAID_REDUNDANCY_OPS_H

#include "block/opus-raid/array/opus-raid.h"

struct OpusVerifyPiece;

typedef struct OpusRedundancyOps {
    /* Requests are cut at stripes, instead of at chunks. */
    bool by_stripe;
    /* Writes have to be announced; see announce.h. */
    bool redundant;

    /* --- requests */

    /*
     * Does any of a range inside one stripe lie on a missing member? NULL: no
     * matter, members are read one by one.
     */
    bool (*is_lost)(const OpusRaid *s, uint64_t array_off, uint64_t bytes);

    /**
     * read_others: read what a member can't give, inside one stripe or chunk
     * @bad_slot: it could not be read although it is in use, or -1
     * @err:      what to return if there is nothing else to read
     */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*read_others)(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset, int bad_slot,
                   int err);

    /* Write inside one stripe or chunk. */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*write)(OpusRaid *s, uint64_t array_off, uint64_t bytes,
             QEMUIOVector *qiov, size_t qiov_offset, BdrvRequestFlags flags);

    /* Zero any range; where @by_stripe is set, of whole stripes. */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*zero)(OpusRaid *s, uint64_t array_off, uint64_t bytes,
            BdrvRequestFlags flags);

    /* NULL: members must read as zeroes after it, so it is to zero. */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*discard)(OpusRaid *s, uint64_t array_off, uint64_t bytes);

    /* --- jobs; NULL where there is no redundancy. The unit is locked. */

    /* "the array", whose bytes sync bytes are */
    const char *sync_space;

    /*
     * The sync bytes for which a chunk of a member stands. False: it holds
     * nothing of the array.
     */
    bool (*sync_range)(const OpusRaid *s, RaidLoc loc, uint64_t *sync_off,
                       uint64_t *bytes);

    /*
     * Give @to what belongs at @loc. What can't be had is recorded as bad;
     * -ENOSPC when it can't be.
     */
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*rebuild)(OpusRaid *s, uint64_t sync_off, uint64_t bytes, OpusMember *to,
               RaidLoc loc);

    /* Is there nothing that could be wrong? */
    bool (*is_always_right)(const OpusRaid *s);

    /* A piece of a unit, @lo bytes into it: which columns, and what of them. */
    void (*lay_out)(struct OpusVerifyPiece *p, uint64_t unit, uint32_t lo);
    int coroutine_fn GRAPH_RDLOCK_PTR
    (*verify)(struct OpusVerifyPiece *p);
    bool resync_needs_all;      /* members */
} OpusRedundancyOps;

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_OPS_H */
