/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Child call: one request to the node of a member, as data
 *
 * Requests that can't simply be made where they are wanted are written down
 * first: they travel to another AioContext, or get a coroutine of their own.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_CALL_H
#define BLOCK_OPUS_RAID_MEMBER_CALL_H

#include "block/block_int.h"

typedef enum OpusCallKind {
    OPUS_CALL_READ,
    OPUS_CALL_WRITE,
    OPUS_CALL_ZEROES,
    OPUS_CALL_DISCARD,
    OPUS_CALL_FLUSH,
} OpusCallKind;

typedef struct OpusChildCall {
    OpusCallKind kind;
    BdrvChild *child;
    bool home_only;             /* must run in the child's own AioContext */
    BdrvRequestFlags flags;
    int64_t off;                /* bytes of the child; not for FLUSH */
    int64_t bytes;
    QEMUIOVector *qiov;         /* READ and WRITE only */
    size_t qiov_offset;
    const bool *given_up;       /* atomic: the caller has left; or NULL */
} OpusChildCall;

/* "read", "write", ... */
const char *opus_call_name(OpusCallKind kind);

/**
 * opus_child_call: make the call
 *
 * EAGAIN is no answer: nothing was done and nothing is wrong, so it is made
 * again, after a pause, until there is one or the caller has left. A child
 * that never answers otherwise is one that does not answer (member-timeout).
 *
 * EFAULT says that the buffers are not there (any more), which is no fault of
 * the child: a guest's memory can vanish. The call is made again by a buffer of
 * ours. Who owns the others finds out when they are touched for that.
 *
 * Returns in the caller's AioContext: 0, or a negative errno of the child.
 */
int coroutine_fn GRAPH_RDLOCK opus_child_call(const OpusChildCall *call);

/* Read from a child that is not a member yet, in the same way. */
int coroutine_fn GRAPH_RDLOCK
opus_child_pread(BdrvChild *child, int64_t off, int64_t bytes, void *buf);

#endif /* BLOCK_OPUS_RAID_MEMBER_CALL_H */
