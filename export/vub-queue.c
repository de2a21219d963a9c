/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue: one virtqueue, served by one AioContext
 *
 * Owns: the ring while it runs, its kick and call, the slab of tasks.
 * Must not know: messages, how a request is executed, other queues.
 * Threads: all but init, destroy, pause, resume and busy runs in the thread of
 * @ctx. What the main loop wants reaches it by bottom halves.
 * Invariants: I14, I15. @in_flight counts chains until the guest can see that
 * they are given back. Nothing is taken from the ring unless @attached.
 *
 * Pausing must take effect at once: a drained section that begins by taking the
 * graph's writer lock, and a wait for requests under that lock, would never end
 * if a request had been started meanwhile, for it would wait for the lock too.
 * So the thread says that it is @taking, then looks if there was a pause, and
 * the main loop does it the other way round. And as the lock's owner resumes us
 * before it lets go of it, the way back from any pause leads through a gate.
 *
 * A round takes all there is, with kicks off; what is given back meanwhile
 * becomes visible in batches, the last one at the end of the round or of the
 * event that completed it (defer_call()).
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "qemu/defer-call.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"

#include "vub-guard.h"
#include "vub-task.h"
#include "trace.h"

/*
 * A round shows its results in parts, so that a guest on another core goes on
 * while we do. It costs little: as long as the guest has not yet seen the last
 * notification, it gets no other one.
 */
#define PUBLISH_BATCH 8

/* A broken ring is told of at most this often: guests can break it at will. */
#define REPORT_INTERVAL_NS (60 * NANOSECONDS_PER_SECOND)

void vub_queue_init(VubQueue *q, VubBackend *backend, unsigned index,
                    AioContext *ctx)
{
    *q = (VubQueue) {
        .backend = backend,
        .index = index,
        .ctx = ctx,
        .told = VUB_NOTIFY_INIT,
        .call = VUB_NOTIFY_INIT,
        .err = VUB_NOTIFY_INIT,
        .last_report_ns = -REPORT_INTERVAL_NS,
    };
}

static void report_broken(VubQueue *q)
{
    int64_t now_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    trace_vub_queue_broken(q->backend->name, q->index, q->ring.broken);
    if (vub_ring_lost(&q->ring)) {
        /* Not the guest's doing; the server cuts the client, and says so. */
        return;
    }
    if (now_ns - q->last_report_ns >= REPORT_INTERVAL_NS) {
        q->last_report_ns = now_ns;
        error_report("export '%s': queue %u is stopped, its guest queued %s; "
                     "a reset of the device starts it again",
                     q->backend->name, q->index, q->ring.broken);
    }
    vub_notify_tell(&q->err);
}

/* Shows the guest what has been given back, and lets go of it. */
static void publish(void *opaque)
{
    VubQueue *q = opaque;
    unsigned left = q->in_flight - q->nr_done;

    if (q->nr_done == 0) {
        return;
    }
    q->nr_done = 0;
    if (vub_ring_publish(&q->ring)) {
        vub_notify_tell(&q->call);
    }
    qatomic_set(&q->in_flight, left);
    if (unlikely(left == 0)) {
        Coroutine *waiter = q->idle_waiter;

        if (qatomic_read(&q->paused)) {
            aio_wait_kick();
        }
        /* Last: who waits for that may free the queue. */
        if (waiter) {
            q->idle_waiter = NULL;
            aio_co_wake(waiter);
        }
    }
}

void vub_queue_complete(VubQueue *q, VubTask *task, uint64_t written_bytes)
{
    vub_ring_push(&q->ring, &task->chain, MIN(written_bytes, UINT32_MAX));
    task->next_free = q->free_tasks;
    q->free_tasks = task;
    if (++q->nr_done >= PUBLISH_BATCH) {
        publish(q);
    } else {
        defer_call(publish, q);
    }
}

static bool was_paused(VubQueue *q)
{
    return qatomic_read(&q->pauses) != q->gate_pauses;
}

/* False: the gate is to be passed first; else end_taking() is called soon. */
static bool begin_taking(VubQueue *q)
{
    qatomic_set(&q->taking, true);
    smp_mb(); /* pairs with vub_queue_pause() */
    if (unlikely(was_paused(q))) {
        qatomic_store_release(&q->taking, false);
        return false;
    }
    return true;
}

static void end_taking(VubQueue *q)
{
    qatomic_store_release(&q->taking, false);
}

/* Takes and starts all there is. False: the ring broke. */
static bool take_all(VubQueue *q)
{
    VubTask *task;

    while (likely(!was_paused(q)) && (task = q->free_tasks) &&
           vub_ring_pop(&q->ring, &task->chain)) {
        q->free_tasks = task->next_free;
        qatomic_set(&q->in_flight, q->in_flight + 1);
        if (unlikely(!vub_task_start(task))) {
            vub_ring_break(&q->ring, "a request without a status byte");
            task->next_free = q->free_tasks;
            q->free_tasks = task;
            qatomic_set(&q->in_flight, q->in_flight - 1);
            break;
        }
    }
    return !q->ring.broken;
}

static void sync_attached(VubQueue *q);

static void run(VubQueue *q)
{
    bool good;

    /* If it was paused, the gate has us run. */
    if (unlikely(!q->attached) || !begin_taking(q)) {
        return;
    }
    defer_call_begin();
    if (q->polling) {
        good = take_all(q);
    } else {
        do {
            vub_ring_set_notify(&q->ring, false);
            good = take_all(q);
            vub_ring_set_notify(&q->ring, true);
        } while (good && q->free_tasks && !was_paused(q) &&
                 !vub_ring_empty(&q->ring));
    }
    end_taking(q);
    defer_call_end();
    if (unlikely(!good)) {
        report_broken(q);
        sync_attached(q);
    }
}

static void kick_read(EventNotifier *kick)
{
    VubQueue *q = container_of(kick, VubQueue, kick);

    /* Once is enough: what comes later makes it ready again. */
    if (!vub_notify_take(&q->told)) {
        vub_ring_break(&q->ring, "kicks through a pipe that it then closed");
    }
    run(q);
}

static bool kick_poll(void *opaque)
{
    VubQueue *q = container_of(opaque, VubQueue, kick);

    return !vub_ring_empty(&q->ring);
}

static void kick_poll_ready(EventNotifier *kick)
{
    run(container_of(kick, VubQueue, kick));
}

static void kick_poll_begin(EventNotifier *kick)
{
    VubQueue *q = container_of(kick, VubQueue, kick);

    q->polling = true;
    vub_ring_set_notify(&q->ring, false);
}

/* Our caller looks at the ring once more after this. */
static void kick_poll_end(EventNotifier *kick)
{
    VubQueue *q = container_of(kick, VubQueue, kick);

    q->polling = false;
    vub_ring_set_notify(&q->ring, true);
}

static void attach(VubQueue *q)
{
    vub_guard_this_thread();
    q->attached = true;
    q->polling = false;
    vub_ring_set_notify(&q->ring, true);
    aio_set_event_notifier(q->ctx, &q->kick, kick_read, kick_poll,
                           kick_poll_ready);
    aio_set_event_notifier_poll(q->ctx, &q->kick, kick_poll_begin,
                                kick_poll_end);
    /*
     * The descriptor was not watched until now. And a handler is polled only
     * after its descriptor has been ready once.
     */
    if (q->told.kind == VUB_NOTIFY_EVENTFD) {
        vub_notify_tell(&q->told);
    }
}

static void detach(VubQueue *q)
{
    q->attached = false;
    aio_set_event_notifier(q->ctx, &q->kick, NULL, NULL, NULL);
    q->polling = false;
}

static bool wants_attached(VubQueue *q)
{
    return q->started && q->enabled && q->told.fd >= 0 && !q->ring.broken &&
           !qatomic_read(&q->paused);
}

static void end_pending(VubQueue *q)
{
    /* From here on the queue may be gone. */
    qatomic_dec(&q->nr_pending);
    aio_wait_kick();
}

/*
 * Waits until the graph's writer lock is free, then attaches if that is
 * still wanted. A drained section doesn't wait for this wait: no request has
 * been taken yet.
 */
static void coroutine_fn gate_entry(void *opaque)
{
    VubQueue *q = opaque;
    AioContext *ctx = qemu_get_current_aio_context();

    for (;;) {
        unsigned pauses = qatomic_read(&q->pauses);

        bdrv_graph_co_rdlock();
        bdrv_graph_co_rdunlock();
        /* Before we look if it's paused: who resumes it opens a new gate. */
        qatomic_set(&q->gated, false);
        qatomic_set(&q->taking, true);
        smp_mb(); /* pairs with vub_queue_pause() */
        if (qatomic_read(&q->paused)) {
            end_taking(q);
            break;
        }
        /* Nothing can pause us, or move us, until end_taking(). */
        if (qatomic_read(&q->pauses) == pauses && q->ctx == ctx) {
            q->gate_pauses = pauses;
            if (wants_attached(q) && !q->attached) {
                trace_vub_queue_attach(q->backend->name, q->index, true);
                attach(q);
            }
            end_taking(q);
            run(q);
            break;
        }
        ctx = q->ctx;
        end_taking(q);
        aio_co_reschedule_self(ctx);
    }
    end_pending(q);
}

/* Makes what is watched follow from what is wanted. */
static void sync_attached(VubQueue *q)
{
    bool wanted = wants_attached(q);

    if (q->attached && !wanted) {
        trace_vub_queue_attach(q->backend->name, q->index, false);
        detach(q);
    } else if (wanted && (!q->attached || was_paused(q)) &&
               !qatomic_read(&q->gated)) {
        qatomic_set(&q->gated, true);
        qatomic_inc(&q->nr_pending);
        qemu_coroutine_enter(qemu_coroutine_create(gate_entry, q));
    }
}

static void sync_bh(void *opaque)
{
    VubQueue *q = opaque;

    sync_attached(q);
    qatomic_dec(&q->nr_syncs);
    end_pending(q);
}

static void schedule_sync(VubQueue *q)
{
    if (!q->used) {
        return;
    }
    qatomic_inc(&q->nr_pending);
    qatomic_inc(&q->nr_syncs);
    aio_bh_schedule_oneshot(q->ctx, sync_bh, q);
}

void vub_queue_pause(VubQueue *q)
{
    qatomic_inc(&q->paused);
    qatomic_inc(&q->pauses);
    smp_mb(); /* pairs with begin_taking() and gate_entry() */
    while (q->ctx != qemu_get_current_aio_context() &&
           qatomic_load_acquire(&q->taking)) {
        cpu_relax();
    }
    schedule_sync(q);
}

void vub_queue_resume(VubQueue *q)
{
    qatomic_dec(&q->paused);
    schedule_sync(q);
}

bool vub_queue_busy(VubQueue *q)
{
    return qatomic_load_acquire(&q->nr_syncs) ||
           qatomic_load_acquire(&q->in_flight);
}

void vub_queue_destroy(VubQueue *q)
{
    assert(!q->started);
    AIO_WAIT_WHILE_UNLOCKED(NULL, qatomic_load_acquire(&q->nr_pending));
}

static void make_tasks(VubQueue *q)
{
    unsigned nr = q->ring.num;

    q->tasks = g_new0(VubTask, nr);
    /* Most will never be touched, so take no memory. */
    q->long_iov = g_new0(struct iovec, nr * VUB_CHAIN_MAX_IOV);
    q->free_tasks = NULL;
    for (unsigned i = nr; i-- > 0; ) {
        VubTask *task = &q->tasks[i];

        task->queue = q;
        task->chain.short_iov = task->short_iov;
        task->chain.short_max = VUB_TASK_SHORT_IOV;
        task->chain.long_iov = q->long_iov + i * VUB_CHAIN_MAX_IOV;
        task->next_free = q->free_tasks;
        q->free_tasks = task;
    }
}

bool vub_queue_start(VubQueue *q, const VubRingSetup *setup, GError **errp)
{
    assert(!q->started && q->in_flight == 0);
    vub_guard_this_thread();
    if (!vub_ring_init(&q->ring, setup, errp)) {
        return false;
    }
    make_tasks(q);
    q->started = true;
    trace_vub_queue_start(q->backend->name, q->index, q->ring.num,
                          q->ring.packed, vub_ring_base(&q->ring),
                          q->ring.nr_resubmit);
    /* A predecessor may have died between giving back and telling so. */
    vub_notify_tell(&q->call);
    sync_attached(q);
    return true;
}

/* Stops taking chains, and waits until those taken are given back. */
static void coroutine_fn settle(VubQueue *q)
{
    sync_attached(q);
    assert(!q->attached && !q->idle_waiter);
    while (q->in_flight) {
        q->idle_waiter = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
}

uint32_t coroutine_fn vub_queue_stop(VubQueue *q)
{
    uint32_t base;

    q->started = false;
    settle(q);
    q->lost |= vub_ring_lost(&q->ring);
    base = vub_ring_base(&q->ring);
    trace_vub_queue_stop(q->backend->name, q->index, base);
    for (unsigned i = 0; i < q->ring.num; i++) {
        vub_task_end(&q->tasks[i]);
    }
    vub_ring_destroy(&q->ring);
    g_free(q->tasks);
    g_free(q->long_iov);
    q->tasks = q->free_tasks = NULL;
    q->long_iov = NULL;
    return base;
}

void vub_queue_set_kick(VubQueue *q, int fd)
{
    if (q->attached) {
        detach(q);
    }
    vub_notify_close(&q->told);
    vub_notify_open(&q->told, fd, true);
    if (fd >= 0) {
        event_notifier_init_fd(&q->kick, q->told.fd);
    }
    sync_attached(q);
}

bool coroutine_fn vub_queue_change(VubQueue *q, const VubRingSetup *setup,
                                   bool settled, GError **errp)
{
    bool good;

    if (settled) {
        q->started = false;
        settle(q);
    }
    q->lost |= vub_ring_lost(&q->ring);
    good = vub_ring_change(&q->ring, setup, errp);
    q->started = true;
    sync_attached(q);
    return good;
}

bool vub_queue_take_lost(VubQueue *q)
{
    bool lost = q->lost;

    q->lost = false;
    return lost;
}

void vub_queue_set_call(VubQueue *q, int fd)
{
    vub_notify_close(&q->call);
    vub_notify_open(&q->call, fd, false);
    /* Of what was given back while there was no descriptor to tell it by. */
    if (q->started) {
        vub_notify_tell(&q->call);
    }
}

void vub_queue_set_err(VubQueue *q, int fd)
{
    vub_notify_close(&q->err);
    vub_notify_open(&q->err, fd, false);
    if (q->started && q->ring.broken) {
        vub_notify_tell(&q->err);
    }
}

int vub_queue_take_call(VubQueue *q)
{
    int fd = q->call.fd;

    q->call = (VubNotify) VUB_NOTIFY_INIT;
    return fd;
}

int vub_queue_take_err(VubQueue *q)
{
    int fd = q->err.fd;

    q->err = (VubNotify) VUB_NOTIFY_INIT;
    return fd;
}

void coroutine_fn vub_queue_set_enabled(VubQueue *q, bool enabled)
{
    q->enabled = enabled;
    if (enabled) {
        sync_attached(q);
    } else {
        settle(q);
    }
}
