/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timeout: give up requests that a member does not answer
 *
 * Owns: requests that have been given up.
 * Must not know: what is done about a member that does not answer.
 * Threads: calls are made and given up in the thread they came from; the main
 * loop only looks how old they are.
 * Invariants: I5, I14: nothing that was given up touches memory of others.
 *
 * Time is counted in ticks of the main loop, an eighth of the limit each, and
 * the waiter is asked twice, a tick apart, in its own thread. So neither a
 * process that was stopped nor a thread that was busy takes an answer that has
 * come meanwhile for one that is missing. A request is given up when it is
 * between 1 and 1 1/4 times the limit old.
 *
 * An abandoned request no longer has the graph lock, for that would stop the
 * main loop with the first change of the graph. Its node can't go away,
 * because it is in flight there; its child stays because the member is not
 * removed before.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block-io.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "block/opus-raid/base/bounce.h"
#include "block/opus-raid/base/stats.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/member/timeout.h"
#include "block/opus-raid/trace.h"

#define LIMIT_TICKS     8

QEMU_BUILD_BUG_ON(OPUS_TIMEOUT_SHARDS != OPUS_STATS_SHARDS);

struct OpusTimedCall {
    OpusChildCall call;         /* with its own qiov */
    OpusTimeouts *timeouts;
    QEMUIOVector qiov;
    void *buf;                  /* or NULL */
    Coroutine *waiter;
    AioContext *ctx;            /* where all happens but the looking */
    uint32_t start_tick;
    bool waiting;               /* atomic: to clear it is to wake @waiter */
    bool done;
    bool abandoned;
    int ret;
    QTAILQ_ENTRY(OpusTimedCall) next;
    QLIST_ENTRY(OpusTimedCall) next_abandoned;
};

void opus_timeouts_init(OpusTimeouts *t, OpusMayGiveUpFn *may_give_up,
                        void *opaque)
{
    t->may_give_up = may_give_up;
    t->opaque = opaque;
    qemu_mutex_init(&t->abandoned_lock);
    QLIST_INIT(&t->abandoned);
    for (unsigned i = 0; i < OPUS_TIMEOUT_SHARDS; i++) {
        qemu_mutex_init(&t->shards[i].lock);
        QTAILQ_INIT(&t->shards[i].calls);
    }
}

void opus_timeouts_destroy(OpusTimeouts *t, const char *array)
{
    unsigned nr = qatomic_read(&t->nr_abandoned);

    GLOBAL_STATE_CODE();

    if (nr) {
        warn_report("opus-raid node '%s': waiting for %u request(s) that "
                    "members have not answered", array, nr);
        AIO_WAIT_WHILE_UNLOCKED(NULL, qatomic_read(&t->nr_abandoned));
    }
    timer_free(t->timer);
    for (unsigned i = 0; i < OPUS_TIMEOUT_SHARDS; i++) {
        assert(QTAILQ_EMPTY(&t->shards[i].calls));
        qemu_mutex_destroy(&t->shards[i].lock);
    }
    qemu_mutex_destroy(&t->abandoned_lock);
}

static void arm_timer(OpusTimeouts *t)
{
    timer_mod(t->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                        MAX(t->limit_ms / LIMIT_TICKS, 1));
}

static void tick(void *opaque)
{
    OpusTimeouts *t = opaque;
    uint32_t now = t->tick + 1;

    qatomic_set(&t->tick, now);
    for (unsigned i = 0; i < OPUS_TIMEOUT_SHARDS; i++) {
        OpusTimeoutShard *shard = &t->shards[i];
        OpusTimedCall *c;

        QEMU_LOCK_GUARD(&shard->lock);
        QTAILQ_FOREACH(c, &shard->calls, next) {
            if (now - c->start_tick < LIMIT_TICKS) {
                break;
            }
            if (qatomic_xchg(&c->waiting, false)) {
                aio_co_schedule(c->ctx, c->waiter);
            }
        }
    }
    arm_timer(t);
}

void opus_timeouts_set(OpusTimeouts *t, uint32_t limit_ms)
{
    GLOBAL_STATE_CODE();

    t->limit_ms = limit_ms;
    timer_free(t->timer);
    t->timer = NULL;
    if (limit_ms) {
        t->timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME,
                                 SCALE_MS, tick, t);
        arm_timer(t);
    }
}

unsigned opus_timeouts_abandoned(OpusTimeouts *t, const BdrvChild *child)
{
    OpusTimedCall *c;
    unsigned nr = 0;

    QEMU_LOCK_GUARD(&t->abandoned_lock);
    QLIST_FOREACH(c, &t->abandoned, next_abandoned) {
        nr += c->call.child == child;
    }
    return nr;
}

static OpusTimedCall *coroutine_fn timed_call_new(OpusMember *m,
                                                  const OpusChildCall *call)
{
    OpusTimedCall *c = g_new0(OpusTimedCall, 1);

    c->timeouts = m->timed_by;
    c->call = *call;
    c->call.given_up = &c->abandoned;
    c->waiter = qemu_coroutine_self();
    c->ctx = qemu_get_current_aio_context();
    c->start_tick = qatomic_read(&c->timeouts->tick);
    if (call->kind == OPUS_CALL_READ || call->kind == OPUS_CALL_WRITE) {
        c->buf = opus_bounce_alloc_extra(call->bytes);
        if (!c->buf) {
            g_free(c);
            return NULL;
        }
        if (call->kind == OPUS_CALL_WRITE) {
            qemu_iovec_to_buf(call->qiov, call->qiov_offset, c->buf,
                              call->bytes);
        }
        qemu_iovec_init_buf(&c->qiov, c->buf, call->bytes);
        c->call.qiov = &c->qiov;
        c->call.qiov_offset = 0;
        c->call.flags &= ~BDRV_REQ_REGISTERED_BUF;
    }
    return c;
}

static void coroutine_fn timed_call_free(OpusTimedCall *c)
{
    if (c->buf) {
        opus_bounce_free_extra(c->buf, c->call.bytes);
    }
    g_free(c);
}

/* Its thread and its coroutine have forgotten it: now the array does too. */
static void coroutine_fn abandoned_call_end(OpusTimedCall *c)
{
    OpusTimeouts *t = c->timeouts;

    trace_opus_raid_abandoned_end(c, opus_call_name(c->call.kind), c->ret);
    WITH_QEMU_LOCK_GUARD(&t->abandoned_lock) {
        QLIST_REMOVE(c, next_abandoned);
    }
    timed_call_free(c);
    qatomic_dec(&t->nr_abandoned);
    aio_wait_kick();
}

static void coroutine_fn GRAPH_RDLOCK timed_call_co(void *opaque)
{
    OpusTimedCall *c = opaque;

    c->ret = opus_child_call(&c->call);
    if (c->abandoned) {
        abandoned_call_end(c);
        return;
    }
    c->done = true;
    /* When it was cleared before, the waiter is about to look anyway. */
    if (qatomic_xchg(&c->waiting, false)) {
        aio_co_wake(c->waiter);
    }
}

/* Returns false when the call is to be given up. */
static bool coroutine_fn wait_for_call(OpusMember *m, OpusTimedCall *c)
{
    OpusTimeoutShard *shard = &c->timeouts->shards[opus_stats_shard()];
    unsigned asked = 0;
    bool give_up = false;

    WITH_QEMU_LOCK_GUARD(&shard->lock) {
        QTAILQ_INSERT_TAIL(&shard->calls, c, next);
    }
    while (!c->done && !give_up) {
        qatomic_set(&c->waiting, true);
        qemu_coroutine_yield();
        give_up = !c->done && ++asked > 1 &&
                  c->timeouts->may_give_up(m, c->timeouts->opaque);
    }
    WITH_QEMU_LOCK_GUARD(&shard->lock) {
        QTAILQ_REMOVE(&shard->calls, c, next);
    }
    return !give_up;
}

static void GRAPH_RDLOCK abandon(OpusMember *m, OpusTimedCall *c)
{
    OpusTimeouts *t = c->timeouts;

    trace_opus_raid_timeout(bdrv_get_node_name(c->call.child->bs), c,
                            opus_call_name(c->call.kind), c->call.off,
                            c->call.bytes);
    qatomic_inc(&m->timeouts);
    qatomic_inc(&t->nr_abandoned);
    WITH_QEMU_LOCK_GUARD(&t->abandoned_lock) {
        QLIST_INSERT_HEAD(&t->abandoned, c, next_abandoned);
    }
    qatomic_set(&c->abandoned, true);
}

int coroutine_fn GRAPH_RDLOCK opus_timed_call(OpusMember *m,
                                              const OpusChildCall *call)
{
    OpusTimedCall *c;
    int ret;

    if (qatomic_read(&m->condemned)) {
        return -ETIMEDOUT;
    }
    c = timed_call_new(m, call);
    if (!c) {
        /* It can't be given up then, but it can be done. */
        return opus_child_call(call);
    }
    qemu_coroutine_enter(qemu_coroutine_create(timed_call_co, c));
    if (!c->done && !wait_for_call(m, c)) {
        abandon(m, c);
        return -ETIMEDOUT;
    }
    ret = c->ret;
    if (ret == 0 && call->kind == OPUS_CALL_READ) {
        qemu_iovec_from_buf(call->qiov, call->qiov_offset, c->buf,
                            call->bytes);
    }
    timed_call_free(c);
    return ret;
}
