/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Window: through an array unit by unit, in order, several under way at a time
 *
 * Owns: the window of units that are locked.
 * Must not know: what is done with a unit, jobs.
 * Threads: one AioContext for each call.
 * Invariants: I10.
 *
 * While one unit writes, others read: that keeps all members busy. Units end
 * in any order, but are passed in order; one that is done early keeps its lock
 * until then.
 *
 * Chunks of a member need not belong to ever higher chunks of the array. A lock
 * that is not above all those of the window is never waited for: if somebody
 * has it, the window runs empty first.
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/units.h"
#include "block/opus-raid/base/sabotage.h"
#include "block/opus-raid/redundancy/window.h"

/* On each member: enough to keep it busy, little enough for writers to wait. */
#define WINDOW_BYTES    (4 * MiB)

typedef struct Unit {
    struct Progress *window;
    uint64_t number;
    OpusStripeLock lock;
    bool locked;
    bool done;
    int ret;
} Unit;

typedef struct Progress {
    OpusWindow *window;
    uint64_t first;
    uint64_t head;              /* the first unit that was not passed */
    uint64_t tail;              /* the next one to begin */
    Coroutine *waiter;          /* for the head to be done */
    Unit units[OPUS_WINDOW_MAX];
} Progress;

unsigned opus_window_width(const OpusRaid *s)
{
    return MIN(MAX(WINDOW_BYTES >> s->geom.chunk_shift, 1), OPUS_WINDOW_MAX);
}

static Unit *window_unit(Progress *w, uint64_t number)
{
    return &w->units[number % OPUS_WINDOW_MAX];
}

/* The graph lock of opus_window_run() covers it, for that waits for all. */
static void coroutine_fn unit_co(void *opaque)
{
    Unit *unit = opaque;
    Progress *w = unit->window;

    unit->ret = w->window->ops->work(w->window, unit->number);
    unit->done = true;
    if (w->waiter && unit == window_unit(w, w->head)) {
        Coroutine *co = w->waiter;

        w->waiter = NULL;
        aio_co_wake(co);
    }
}

/* Of the locks that the window holds, that of the highest key. */
static const OpusStripeLock *highest_lock(Progress *w)
{
    const OpusStripeLock *highest = NULL;

    for (uint64_t number = w->head; number < w->tail; number++) {
        const Unit *unit = window_unit(w, number);

        if (unit->locked &&
            (!highest || highest->stripe < unit->lock.stripe)) {
            highest = &unit->lock;
        }
    }
    return highest;
}

/* False when that would be to wait while others may wait for the window. */
static bool coroutine_fn lock_unit(Progress *w, Unit *unit, uint64_t key)
{
    OpusStripeLocks *locks = &w->window->s->stripe_locks;
    const OpusStripeLock *highest = highest_lock(w);

    if (highest && key <= highest->stripe) {
        return opus_stripe_trylock(locks, key, &unit->lock);
    }
    opus_stripe_lock_next(locks, key, &unit->lock, highest);
    return true;
}

/* False: not before the window is empty. */
static bool coroutine_fn begin_unit(Progress *w)
{
    OpusWindow *window = w->window;
    Unit *unit = window_unit(w, w->tail);
    uint64_t key = w->tail;
    bool lock = (!window->ops->key ||
                 window->ops->key(window, w->tail, &key)) &&
                !OPUS_SABOTAGED(REBUILD_UNLOCKED);

    if (lock && !lock_unit(w, unit, key)) {
        return false;
    }
    unit->window = w;
    unit->number = w->tail;
    unit->done = false;
    unit->locked = lock;
    w->tail++;
    qemu_coroutine_enter(qemu_coroutine_create(unit_co, unit));
    return true;
}

static bool may_begin(Progress *w)
{
    const OpusWindow *window = w->window;
    const OpusStepLimit *limit = window->limit;

    return w->tail < window->end && w->tail - w->head < window->max &&
           (w->tail == w->first || !limit->go_on ||
            limit->go_on(limit->opaque));
}

/* Pass the units that are done, as far as there is no gap. */
static int retire_units(Progress *w, int ret)
{
    while (w->head < w->tail && window_unit(w, w->head)->done) {
        Unit *unit = window_unit(w, w->head);

        if (ret == 0) {
            ret = unit->ret;
        }
        if (ret == 0) {
            w->window->ops->passed(w->window, unit->number);
            w->window->next = unit->number + 1;
        }
        if (unit->locked) {
            opus_stripe_unlock(&w->window->s->stripe_locks, &unit->lock);
        }
        w->head++;
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_window_run(OpusWindow *window)
{
    Progress w = {
        .window = window, .first = window->next, .head = window->next,
        .tail = window->next,
    };
    bool more = true;
    bool stuck = false;
    int ret = 0;

    assert(window->max >= 1 && window->max <= OPUS_WINDOW_MAX);
    for (;;) {
        while (more && !stuck && ret == 0 && w.tail - w.head < window->max) {
            more = may_begin(&w);
            if (more) {
                stuck = !begin_unit(&w);
            }
        }
        if (w.head == w.tail) {
            return ret;
        }
        if (!window_unit(&w, w.head)->done) {
            w.waiter = qemu_coroutine_self();
            qemu_coroutine_yield();
        }
        ret = retire_units(&w, ret);
        stuck = stuck && w.head < w.tail;
    }
}
