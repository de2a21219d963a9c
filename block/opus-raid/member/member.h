/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member: one child of an array
 *
 * Offsets count from the start of the child node.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_MEMBER_H
#define BLOCK_OPUS_RAID_MEMBER_MEMBER_H

#include "block/block_int.h"
#include "util/raid/assemble.h"

typedef struct OpusTimeouts OpusTimeouts;

typedef struct OpusMember {
    /* Constant while the graph is locked for reading */
    BdrvChild *child;
    int slot;                   /* -1: fills none */
    uint32_t nr_bad;            /* atomic: entries of its bad-block log */
    uint64_t data_off;          /* bytes: where the data area starts */
    uint64_t super_off;         /* bytes */
    bool home_only;             /* child I/O must run in the child's context */
    bool detour;                /* home_only, or with timeouts */
    OpusTimeouts *timed_by;     /* NULL: its requests are never given up */
    uint32_t corrected_before;  /* reads corrected before it was opened */
    struct OpusBadLog *bad;     /* NULL: it has no bad-block log */
    struct OpusClaim *claim;    /* main loop only; NULL: not claimed */
    char *label;                /* see opus_node_label(); from open to close */

    /* Written under OpusRaid.meta_lock and state_lock, read under either */
    MdSuper super;
    RaidMemberState state;

    /* Under OpusRaid.state_lock: see read-error.c */
    uint64_t recent_errors;
    uint64_t errors_counted;    /* of read_errors */
    int64_t last_error_ms;

    /* Atomic */
    uint64_t read_errors;
    uint64_t write_errors;
    uint64_t corrected_reads;
    uint64_t timeouts;

    /*
     * It left a request without an answer, and is about to be failed. Set
     * under OpusRaid.state_lock; atomic.
     */
    bool condemned;
    /*
     * It failed while the array was at rest: superblocks say so, before
     * anything else is written, when it is not any more. Main loop.
     */
    bool unrecorded;
} OpusMember;

/* Where a byte of the data area lies on the child. */
static inline int64_t opus_member_data(const OpusMember *m,
                                       uint64_t member_off)
{
    return m->data_off + member_off;
}

/**
 * opus_member_needs_home: must I/O to @bs run in @bs's own AioContext?
 *
 * True when a driver below resumes requests in its own context instead of
 * the one that submitted them.
 */
bool GRAPH_RDLOCK opus_member_needs_home(BlockDriverState *bs);

/*
 * For programs: the name of the member's node, be it generated. Never NULL.
 * Any thread with the graph lock.
 */
const char *GRAPH_RDLOCK opus_member_node(const OpusMember *m);

/* For people: the same if they gave that name, else opus_node_label(). */
const char *GRAPH_RDLOCK opus_member_name(const OpusMember *m);

#endif /* BLOCK_OPUS_RAID_MEMBER_MEMBER_H */
