/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member: I/O to one child of an array
 *
 * Offsets here count from the start of the child node. All functions return
 * 0 or a negative errno of the child; they count errors, and leave what to do
 * about them to the caller.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_MEMBER_H
#define BLOCK_OPUS_RAID_MEMBER_MEMBER_H

#include "block/opus-raid/array/opus-raid.h"

/* Where a byte of the data area lies on the child. */
static inline int64_t opus_member_data(const OpusMember *m,
                                       uint64_t member_off)
{
    return m->data_off + member_off;
}

int coroutine_fn GRAPH_RDLOCK
opus_member_preadv(OpusMember *m, int64_t off, int64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset,
                   BdrvRequestFlags flags);

int coroutine_fn GRAPH_RDLOCK
opus_member_pwritev(OpusMember *m, int64_t off, int64_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    BdrvRequestFlags flags);

int coroutine_fn GRAPH_RDLOCK
opus_member_pwrite_zeroes(OpusMember *m, int64_t off, int64_t bytes,
                          BdrvRequestFlags flags);

int coroutine_fn GRAPH_RDLOCK
opus_member_pdiscard(OpusMember *m, int64_t off, int64_t bytes);

int coroutine_fn GRAPH_RDLOCK opus_member_flush(OpusMember *m);

/* The same with one buffer. */
int coroutine_fn GRAPH_RDLOCK
opus_member_pread(OpusMember *m, int64_t off, void *buf, size_t bytes);
int coroutine_fn GRAPH_RDLOCK
opus_member_pwrite(OpusMember *m, int64_t off, const void *buf, size_t bytes,
                   BdrvRequestFlags flags);

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

/**
 * opus_node_label: what a user would call a node
 *
 * The name that he gave to it, or to one below; or else a file name, because
 * nobody knows what "#block483" is. To be freed. Main loop.
 */
char *GRAPH_RDLOCK opus_node_label(BlockDriverState *bs);

#endif /* BLOCK_OPUS_RAID_MEMBER_MEMBER_H */
