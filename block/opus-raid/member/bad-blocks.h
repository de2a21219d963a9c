/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad blocks: the places of a member that hold nothing, by md's log of them
 *
 * Offsets are as in io.h.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_BAD_BLOCKS_H
#define BLOCK_OPUS_RAID_MEMBER_BAD_BLOCKS_H

#include "system/block-backend.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/member/member.h"

/**
 * opus_bad_log_open: read the log of a member, if its superblock names one
 *
 * Members without one stay without. Returns 0, -EINVAL when it can't be
 * understood, or another negative errno when it can't be read.
 */
int coroutine_fn GRAPH_RDLOCK opus_bad_log_open(OpusMember *m);

/**
 * opus_bad_log_open_new: the same for one that is not a member yet
 * @log: set to what opus_bad_log_take() makes the member's, or NULL
 */
int coroutine_fn opus_bad_log_open_new(BlockBackend *blk,
                                       const MdSuper *super,
                                       struct OpusBadLog **log);
void opus_bad_log_take(OpusMember *m, struct OpusBadLog *log);

/* NULL is fine. */
void opus_bad_log_free(struct OpusBadLog *log);

/* Is all known that the member does not hold? */
static inline bool opus_bad_log_is_known(const OpusMember *m)
{
    return m->bad || !(m->super.feature_map & MD_FEATURE_BAD_BLOCKS);
}

/* An empty one for a member whose superblock was just made. */
void opus_bad_log_new(OpusMember *m);

/* Forget it; the member is not in use. */
void opus_bad_log_close(OpusMember *m);

/* See opus_member_is_bad(), which asks whether there is anything at all. */
bool opus_bad_log_hits(OpusMember *m, int64_t off, int64_t bytes);

/**
 * opus_member_is_bad: is any of a range recorded as bad? It must not be read
 * then (I9). Any thread; one comparison for a member that has none.
 */
static inline bool opus_member_is_bad(OpusMember *m, int64_t off,
                                      int64_t bytes)
{
    return unlikely(qatomic_read(&m->nr_bad)) &&
           opus_bad_log_hits(m, off, bytes);
}

/**
 * opus_bad_log_add: record durably that a range is bad
 *
 * The superblock need not say yet that there are any: the caller sees to it,
 * and is the only one at a time. Returns 0, -ENOSPC when the member has no log
 * or a full one, or another negative errno of the member.
 */
int coroutine_fn GRAPH_RDLOCK opus_bad_log_add(OpusMember *m, int64_t off,
                                               int64_t bytes);

/**
 * opus_bad_log_written: a range was written, so it is good again
 *
 * What was written is flushed before the log says so, and the log is durable
 * when this returns. Called by write.h only. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_bad_log_written(OpusMember *m, int64_t off,
                                                   int64_t bytes);

/* How much of the member is bad. Any thread. */
uint64_t opus_bad_log_bytes(OpusMember *m);

#endif /* BLOCK_OPUS_RAID_MEMBER_BAD_BLOCKS_H */
