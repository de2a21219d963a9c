/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe locks: one writer in a stripe at a time (I10)
 */
#ifndef BLOCK_OPUS_RAID_BASE_STRIPE_LOCK_H
#define BLOCK_OPUS_RAID_BASE_STRIPE_LOCK_H

#include "qemu/coroutine.h"
#include "qemu/queue.h"
#include "qemu/thread.h"

#define OPUS_STRIPE_BUCKETS 1024

/* A lock of a stripe, held or waited for; on the stack. */
typedef struct OpusStripeLock {
    uint64_t stripe;
    Coroutine *co;
    bool granted;
    QTAILQ_ENTRY(OpusStripeLock) next;
} OpusStripeLock;

typedef struct OpusStripeBucket {
    QemuMutex mutex;
    /* Holders and waiters; of one stripe, the first is the holder. */
    QTAILQ_HEAD(, OpusStripeLock) entries;
} QEMU_ALIGNED(64) OpusStripeBucket;

typedef struct OpusStripeLocks {
    OpusStripeBucket *buckets;
} OpusStripeLocks;

void opus_stripe_locks_init(OpusStripeLocks *locks);
void opus_stripe_locks_destroy(OpusStripeLocks *locks);

/**
 * opus_stripe_lock: wait until no other holds @stripe
 * @lock: the caller's; must stay where it is until opus_stripe_unlock()
 *
 * Coroutines get it in the order they came, whichever AioContext they are
 * in. The caller holds none: see opus_stripe_lock_next().
 */
void coroutine_fn opus_stripe_lock(OpusStripeLocks *locks, uint64_t stripe,
                                   OpusStripeLock *lock);

/**
 * opus_stripe_lock_next: the same for a holder of locks
 * @highest: of these the one of the highest stripe; NULL: holds none
 *
 * @stripe must be above it. So all wait upwards only, and none for one
 * that waits for it. In another order there is only
 * opus_stripe_trylock().
 */
void coroutine_fn opus_stripe_lock_next(OpusStripeLocks *locks,
                                        uint64_t stripe, OpusStripeLock *lock,
                                        const OpusStripeLock *highest);

/* Take it if it is not held or waited for. Does not wait. */
bool coroutine_fn opus_stripe_trylock(OpusStripeLocks *locks, uint64_t stripe,
                                      OpusStripeLock *lock);

void coroutine_fn opus_stripe_unlock(OpusStripeLocks *locks,
                                     OpusStripeLock *lock);

#endif /* BLOCK_OPUS_RAID_BASE_STRIPE_LOCK_H */
