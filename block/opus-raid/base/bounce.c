/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounce: private buffers for what must not change while it is in flight
 *
 * Owns: one pool of free buffers for each thread, and its budget.
 * Must not know: what the buffers are for.
 * Threads: a buffer is allocated and freed in the same thread, so pools need
 * no lock.
 *
 * Buffers come in classes of powers of two. A thread keeps what it frees up
 * to BOUNCE_KEEP_BYTES, so that a steady load allocates nothing.
 */

#include "qemu/osdep.h"
#include "qemu/coroutine-tls.h"
#include "qemu/host-utils.h"
#include "qemu/memalign.h"
#include "qemu/notify.h"
#include "qemu/thread.h"
#include "qemu/units.h"
#include "block/opus-raid/base/bounce.h"

#define BOUNCE_MIN_SHIFT    12
#define BOUNCE_CLASSES      20          /* 4 KiB to 2 GiB */
#define BOUNCE_KEEP_BYTES   (32 * MiB)
#define BOUNCE_BUDGET_BYTES (128 * MiB)

/* A free buffer holds its own link. */
typedef struct FreeBuffer {
    struct FreeBuffer *next;
} FreeBuffer;

typedef struct BouncePool {
    FreeBuffer *free[BOUNCE_CLASSES];
    size_t kept_bytes;
    size_t used_bytes;
    CoQueue waiters;                    /* for used_bytes to go down */
    Notifier thread_exit;
} BouncePool;

QEMU_DEFINE_STATIC_CO_TLS(BouncePool *, thread_pool)

static void pool_thread_exit(Notifier *notifier, void *opaque)
{
    BouncePool *pool = container_of(notifier, BouncePool, thread_exit);

    for (unsigned i = 0; i < BOUNCE_CLASSES; i++) {
        while (pool->free[i]) {
            FreeBuffer *buf = pool->free[i];

            pool->free[i] = buf->next;
            qemu_vfree(buf);
        }
    }
    set_thread_pool(NULL);
    g_free(pool);
}

static BouncePool *current_pool(void)
{
    BouncePool *pool = get_thread_pool();

    if (unlikely(!pool)) {
        pool = g_new0(BouncePool, 1);
        qemu_co_queue_init(&pool->waiters);
        pool->thread_exit.notify = pool_thread_exit;
        qemu_thread_atexit_add(&pool->thread_exit);
        set_thread_pool(pool);
    }
    return pool;
}

static unsigned class_of(size_t bytes)
{
    unsigned shift = bytes > 1 ? 64 - clz64(bytes - 1) : 0;

    shift = MAX(shift, BOUNCE_MIN_SHIFT);
    assert(shift < BOUNCE_MIN_SHIFT + BOUNCE_CLASSES);
    return shift - BOUNCE_MIN_SHIFT;
}

static size_t class_bytes(unsigned class)
{
    return (size_t)1 << (class + BOUNCE_MIN_SHIFT);
}

static void *take_buffer(BouncePool *pool, unsigned class)
{
    FreeBuffer *buf = pool->free[class];

    if (likely(buf)) {
        pool->free[class] = buf->next;
        pool->kept_bytes -= class_bytes(class);
        return buf;
    }
    return qemu_try_memalign(OPUS_BOUNCE_ALIGN, class_bytes(class));
}

static void give_buffer(BouncePool *pool, void *ptr, unsigned class)
{
    FreeBuffer *buf = ptr;

    if (pool->kept_bytes + class_bytes(class) <= BOUNCE_KEEP_BYTES) {
        buf->next = pool->free[class];
        pool->free[class] = buf;
        pool->kept_bytes += class_bytes(class);
    } else {
        qemu_vfree(buf);
    }
}

void *coroutine_fn opus_bounce_alloc(size_t bytes)
{
    BouncePool *pool = current_pool();
    unsigned class = class_of(bytes);
    void *buf;

    /* One request alone may be over the budget; it must not wait for itself. */
    while (pool->used_bytes &&
           pool->used_bytes + class_bytes(class) > BOUNCE_BUDGET_BYTES) {
        qemu_co_queue_wait(&pool->waiters, NULL);
    }
    buf = take_buffer(pool, class);
    if (likely(buf)) {
        pool->used_bytes += class_bytes(class);
    }
    return buf;
}

void coroutine_fn opus_bounce_free(void *buf, size_t bytes)
{
    BouncePool *pool = current_pool();
    unsigned class = class_of(bytes);

    if (!buf) {
        return;
    }
    pool->used_bytes -= class_bytes(class);
    give_buffer(pool, buf, class);
    if (unlikely(!qemu_co_queue_empty(&pool->waiters))) {
        qemu_co_queue_restart_all(&pool->waiters);
    }
}

void *opus_bounce_alloc_extra(size_t bytes)
{
    return take_buffer(current_pool(), class_of(bytes));
}

void opus_bounce_free_extra(void *buf, size_t bytes)
{
    give_buffer(current_pool(), buf, class_of(bytes));
}

void opus_iov_cursor_init(OpusIovCursor *cursor, const QEMUIOVector *qiov,
                          size_t qiov_offset)
{
    cursor->iov = qiov->iov;
    cursor->skip = qiov_offset;
    /* Never step behind the last element, not even for an empty rest. */
    while (cursor->skip && cursor->skip >= cursor->iov->iov_len &&
           cursor->iov + 1 < qiov->iov + qiov->niov) {
        cursor->skip -= cursor->iov->iov_len;
        cursor->iov++;
    }
}

void opus_iov_cursor_read(OpusIovCursor *cursor, void *buf, size_t bytes)
{
    while (bytes) {
        size_t here = cursor->iov->iov_len - cursor->skip;

        if (bytes < here) {
            memcpy(buf, cursor->iov->iov_base + cursor->skip, bytes);
            cursor->skip += bytes;
            return;
        }
        memcpy(buf, cursor->iov->iov_base + cursor->skip, here);
        buf += here;
        bytes -= here;
        cursor->iov++;
        cursor->skip = 0;
    }
}
