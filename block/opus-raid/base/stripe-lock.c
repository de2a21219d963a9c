/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stripe locks: one writer in a stripe at a time (I10)
 *
 * Owns: the hash table of stripes that are locked or waited for.
 * Must not know: what a stripe is.
 * Threads: any; a bucket's mutex is never held while waiting.
 *
 * An entry lives on its coroutine's stack. Ownership is handed to the next
 * waiter at unlock, so none overtakes and none is woken in vain.
 *
 * The holder of a lock waits for higher ones only. That keeps a write of
 * zeroes, a check and a rebuild, each with many locks, from waiting for each
 * other in a ring.
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "block/opus-raid/base/sabotage.h"
#include "block/opus-raid/base/stripe-lock.h"

void opus_stripe_locks_init(OpusStripeLocks *locks)
{
    locks->buckets = qemu_memalign(__alignof__(OpusStripeBucket),
                                   OPUS_STRIPE_BUCKETS *
                                   sizeof(OpusStripeBucket));
    for (unsigned i = 0; i < OPUS_STRIPE_BUCKETS; i++) {
        qemu_mutex_init(&locks->buckets[i].mutex);
        QTAILQ_INIT(&locks->buckets[i].entries);
    }
}

void opus_stripe_locks_destroy(OpusStripeLocks *locks)
{
    if (!locks->buckets) {
        return;
    }
    for (unsigned i = 0; i < OPUS_STRIPE_BUCKETS; i++) {
        assert(QTAILQ_EMPTY(&locks->buckets[i].entries));
        qemu_mutex_destroy(&locks->buckets[i].mutex);
    }
    qemu_vfree(locks->buckets);
    locks->buckets = NULL;
}

/* Neighbouring stripes are used together, so they get different buckets. */
static OpusStripeBucket *bucket_of(OpusStripeLocks *locks, uint64_t stripe)
{
    return &locks->buckets[stripe % OPUS_STRIPE_BUCKETS];
}

static OpusStripeLock *first_of(OpusStripeBucket *bucket, uint64_t stripe)
{
    OpusStripeLock *entry;

    QTAILQ_FOREACH(entry, &bucket->entries, next) {
        if (entry->stripe == stripe) {
            return entry;
        }
    }
    return NULL;
}

#ifdef OPUS_SABOTAGE
/*
 * Holds this coroutine none? That is to look at all that is locked, so only
 * programs that are made for tests do it.
 */
static void assert_holds_none(OpusStripeLocks *locks)
{
    for (unsigned i = 0; i < OPUS_STRIPE_BUCKETS; i++) {
        OpusStripeLock *entry;

        QEMU_LOCK_GUARD(&locks->buckets[i].mutex);
        QTAILQ_FOREACH(entry, &locks->buckets[i].entries, next) {
            assert(entry->co != qemu_coroutine_self());
        }
    }
}
#else
static void assert_holds_none(OpusStripeLocks *locks)
{
}
#endif

void coroutine_fn opus_stripe_lock(OpusStripeLocks *locks, uint64_t stripe,
                                   OpusStripeLock *lock)
{
    opus_stripe_lock_next(locks, stripe, lock, NULL);
}

void coroutine_fn opus_stripe_lock_next(OpusStripeLocks *locks,
                                        uint64_t stripe, OpusStripeLock *lock,
                                        const OpusStripeLock *highest)
{
    OpusStripeBucket *bucket = bucket_of(locks, stripe);
    bool granted;

    if (highest) {
        assert(highest->stripe < stripe);
    } else {
        assert_holds_none(locks);
    }
    lock->stripe = stripe;
    lock->co = qemu_coroutine_self();

    qemu_mutex_lock(&bucket->mutex);
    granted = !first_of(bucket, stripe) || OPUS_SABOTAGED(WRITES_UNLOCKED);
    lock->granted = granted;
    QTAILQ_INSERT_TAIL(&bucket->entries, lock, next);
    qemu_mutex_unlock(&bucket->mutex);

    /*
     * The holder may grant the lock before we have yielded: aio_co_wake()
     * then schedules us, and the yield returns as it should.
     */
    if (!granted) {
        qemu_coroutine_yield();
        assert(lock->granted);
    }
}

bool coroutine_fn opus_stripe_trylock(OpusStripeLocks *locks, uint64_t stripe,
                                      OpusStripeLock *lock)
{
    OpusStripeBucket *bucket = bucket_of(locks, stripe);

    QEMU_LOCK_GUARD(&bucket->mutex);
    if (first_of(bucket, stripe)) {
        return false;
    }
    lock->stripe = stripe;
    lock->co = qemu_coroutine_self();
    lock->granted = true;
    QTAILQ_INSERT_TAIL(&bucket->entries, lock, next);
    return true;
}

void coroutine_fn opus_stripe_unlock(OpusStripeLocks *locks,
                                     OpusStripeLock *lock)
{
    OpusStripeBucket *bucket = bucket_of(locks, lock->stripe);
    OpusStripeLock *heir;
    Coroutine *co = NULL;

    qemu_mutex_lock(&bucket->mutex);
    QTAILQ_REMOVE(&bucket->entries, lock, next);
    heir = first_of(bucket, lock->stripe);
    if (heir && !OPUS_SABOTAGED(WRITES_UNLOCKED)) {
        heir->granted = true;
        /* Once the mutex is released, @heir may be gone. */
        co = heir->co;
    }
    qemu_mutex_unlock(&bucket->mutex);

    if (co) {
        aio_co_wake(co);
    }
}
