/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timeout: give up requests that a member does not answer
 *
 * A request that has taken too long returns -ETIMEDOUT to its caller, which
 * then fails the member and goes on without it. What was sent to the
 * node can't be called back, so it goes on with a buffer of its own, and is
 * said to be abandoned until the node returns it.
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_TIMEOUT_H
#define BLOCK_OPUS_RAID_MEMBER_TIMEOUT_H

#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/member.h"
#include "qemu/queue.h"
#include "qemu/thread.h"

#define OPUS_TIMEOUT_SHARDS 16

typedef struct OpusTimedCall OpusTimedCall;

/* Calls of some threads, the oldest first. */
typedef struct OpusTimeoutShard {
    QemuMutex lock;
    QTAILQ_HEAD(, OpusTimedCall) calls;
} QEMU_ALIGNED(64) OpusTimeoutShard;

/*
 * May @m be given up? When several members do not answer, only as many are as
 * the array can do without. Any thread. Sets m->condemned if so.
 */
typedef bool OpusMayGiveUpFn(OpusMember *m, void *opaque);

struct OpusTimeouts {
    /* Constant */
    OpusMayGiveUpFn *may_give_up;
    void *opaque;

    /* Main loop only */
    uint32_t limit_ms;          /* 0: requests may take as long as they like */
    QEMUTimer *timer;           /* or NULL */

    uint32_t tick;              /* atomic: time, in eighths of the limit */
    unsigned nr_abandoned;      /* atomic */
    QemuMutex abandoned_lock;
    QLIST_HEAD(, OpusTimedCall) abandoned;
    OpusTimeoutShard shards[OPUS_TIMEOUT_SHARDS];
};

void opus_timeouts_init(OpusTimeouts *t, OpusMayGiveUpFn *may_give_up,
                        void *opaque);

/**
 * opus_timeouts_destroy: the end of an array
 * @array: its node name
 *
 * Waits for abandoned requests as long as it takes: they use the node.
 */
void opus_timeouts_destroy(OpusTimeouts *t, const char *array);

/* Change the limit. Main loop, while the array is drained or not yet open. */
void opus_timeouts_set(OpusTimeouts *t, uint32_t limit_ms);

/* How many abandoned requests does a node still have? Any thread. */
unsigned opus_timeouts_abandoned(OpusTimeouts *t, const BdrvChild *child);

/**
 * opus_timed_call: opus_child_call() that gives up
 * @m: a member in a slot of an array with redundancy
 *
 * Data pass through a private buffer, so that neither the guest's memory nor
 * a buffer of the caller is touched after it has returned. As long as the
 * array can't do without @m there is nothing to be had from giving up, and it
 * waits. Returns 0, -ETIMEDOUT, or a negative errno of the child. After
 * -ETIMEDOUT, the member must be failed before the request is answered.
 */
int coroutine_fn GRAPH_RDLOCK opus_timed_call(OpusMember *m,
                                              const OpusChildCall *call);

#endif /* BLOCK_OPUS_RAID_MEMBER_TIMEOUT_H */
