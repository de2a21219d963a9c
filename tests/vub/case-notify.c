/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: calls and kicks, and how each side does without them.
 */
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

#define EVENT_IDX   FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)

/* The field of a split ring in which the driver says when to call it. */
static uint16_t *used_event(FrontRing *ring)
{
    return &ring->avail->ring[ring->num];
}

/* Wait for all, by looking only; nothing must be left to call later. */
static uint64_t calls_for(FrontRing *ring, unsigned nr)
{
    unsigned came = 0;

    event_count(ring->call);
    for (unsigned i = 0; i < nr; i++) {
        Request r = request_make(ring, VIRTIO_BLK_T_IN, 0, 512);

        request_send(&r, false);
    }
    while (came < nr) {
        came += ring_reap(ring);
    }
    let_it_be();
    front_sync(ring->front);
    return event_count(ring->call);
}

static void always_without_event_idx(const void *way)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", ((const Way *)way)->without | EVENT_IDX);
    g_assert_cmpuint(calls_for(rig.ring, 1), ==, 1);
    g_assert_cmpuint(calls_for(rig.ring, 20), >=, 1);
    rig_close(&rig);
}

static void not_when_told(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", SPLIT | EVENT_IDX);
    rig.ring->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
    g_assert_cmpuint(calls_for(rig.ring, 20), ==, 0);
    rig.ring->avail->flags = 0;
    g_assert_cmpuint(calls_for(rig.ring, 1), ==, 1);
    rig_close(&rig);
}

static void not_when_told_packed(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", EVENT_IDX);
    rig.ring->driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
    g_assert_cmpuint(calls_for(rig.ring, 20), ==, 0);
    rig.ring->driver->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
    g_assert_cmpuint(calls_for(rig.ring, 1), ==, 1);
    rig_close(&rig);
}

/* Call when the used index passes the event, and only then. */
static void at_the_event(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", SPLIT);
    *used_event(rig.ring) = 10;
    calls_for(rig.ring, 1);     /* the first of a ring may call anyhow */
    g_assert_cmpuint(calls_for(rig.ring, 9), ==, 0);
    g_assert_cmpuint(calls_for(rig.ring, 1), ==, 1);
    g_assert_cmpuint(calls_for(rig.ring, 20), ==, 0);
    *used_event(rig.ring) = rig.ring->next_used + 7;
    g_assert_cmpuint(calls_for(rig.ring, 20), ==, 1);
    rig_close(&rig);
}

/* Each read has three descriptors; the event is one of the ring's places. */
static void at_the_event_packed(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", 0);
    rig.ring->driver->flags = VRING_PACKED_EVENT_FLAG_DESC;
    rig.ring->driver->off_wrap = 30 | 1 << VRING_PACKED_EVENT_F_WRAP_CTR;
    calls_for(rig.ring, 1);
    g_assert_cmpuint(calls_for(rig.ring, 9), ==, 0);
    g_assert_cmpuint(calls_for(rig.ring, 1), ==, 1);
    g_assert_cmpuint(calls_for(rig.ring, 20), ==, 0);
    rig_close(&rig);
}

/*
 * A driver kicks only if it is asked to. One that goes by that must not be
 * left waiting: what the back-end says and what it looks at agree.
 */
static bool wants_kick(FrontRing *ring, bool event_idx)
{
    if (!event_idx) {
        return !(__atomic_load_n(&ring->used->flags, __ATOMIC_ACQUIRE) &
                 VRING_USED_F_NO_NOTIFY);
    }
    return __atomic_load_n((uint16_t *)&ring->used->ring[ring->num],
                           __ATOMIC_ACQUIRE) ==
           (uint16_t)(ring->next_avail - 1);
}

static void kicks_as_asked(FrontRing *ring, bool event_idx)
{
    Front *front = ring->front;
    Request r = request_make(ring, VIRTIO_BLK_T_IN, 0, 512);
    RingBuf buf[] = {
        buf_of(front, r.header, 16, false),
        buf_of(front, r.data, 512, true),
        buf_of(front, r.status, 1, true),
    };

    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned n = 0; n <= i % 3; n++) {
            r.id = ring_add(ring, buf, 3, false);
            if (wants_kick(ring, event_idx)) {
                ring_kick(ring);
            }
        }
        /* Sooner or later the back-end sleeps again: catch it at that. */
        if (i % 7 == 0) {
            g_usleep(i % 100);
        }
        ring_wait_all(ring);
    }
}

static void only_asked_kicks(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_NULL, "", SPLIT | EVENT_IDX);
    kicks_as_asked(rig.ring, false);
    rig_close(&rig);
}

static void only_asked_kicks_event_idx(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_NULL, "", SPLIT);
    /* All calls wanted: the event is always the next one. */
    kicks_as_asked(rig.ring, true);
    rig_close(&rig);
}

/* That belongs to the open file, which both sides have. */
static void set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    g_assert_cmpint(fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK
                                                : flags | O_NONBLOCK), ==, 0);
}

static void run_by_looking(FrontRing *ring)
{
    Request r = request_make(ring, VIRTIO_BLK_T_IN, 0, 512);

    request_send(&r, false);
    for (unsigned ms = 0; ring_reap(ring) == 0; ms++) {
        if (ms > patience_ms()) {
            g_error("the request does not come back");
        }
        g_usleep(1000);
    }
}

/* To add one more to the counter would be to wait until it is read. */
static void full_call(const void *way)
{
    uint64_t count = UINT64_MAX - 1;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", ((const Way *)way)->without | EVENT_IDX);
    expect_works(rig.ring);
    event_count(rig.ring->call);
    g_assert_cmpint(write(rig.ring->call, &count, sizeof(count)), ==,
                    sizeof(count));
    set_blocking(rig.ring->call, true);
    for (unsigned i = 0; i < 3; i++) {
        run_by_looking(rig.ring);
    }
    front_sync(rig.front);
    daemon_qmp(rig.daemon, "{\"execute\": \"query-block-exports\"}");
    set_blocking(rig.ring->call, false);
    rig_close(&rig);
}

typedef struct Thief {
    int fd;
    bool stop, done;
} Thief;

static void *steal(void *opaque)
{
    Thief *thief = opaque;
    struct pollfd there = { .fd = thief->fd, .events = POLLIN };
    uint64_t count;

    while (!__atomic_load_n(&thief->stop, __ATOMIC_RELAXED)) {
        /* If it is too late it waits for the next one. */
        if (poll(&there, 1, 1) == 1) {
            (void)!read(thief->fd, &count, sizeof(count));
        }
    }
    __atomic_store_n(&thief->done, true, __ATOMIC_RELAXED);
    return NULL;
}

/* The back-end hears of a kick, and then there is none. */
static void stolen_kicks(const void *arg)
{
    Thief thief = { 0 };
    GThread *thread;
    Rig rig;

    rig_open(&rig, DISK_NULL, "", SPLIT | EVENT_IDX);
    set_blocking(rig.ring->kick, true);
    thief.fd = rig.ring->kick;
    thread = g_thread_new("thief", steal, &thief);
    for (unsigned i = 0; i < 20000; i++) {
        ring_kick(rig.ring);
    }
    __atomic_store_n(&thief.stop, true, __ATOMIC_RELAXED);
    front_sync(rig.front);
    daemon_qmp(rig.daemon, "{\"execute\": \"query-block-exports\"}");
    while (!__atomic_load_n(&thief.done, __ATOMIC_RELAXED)) {
        ring_kick(rig.ring);
        g_usleep(1000);
    }
    g_thread_join(thread);
    set_blocking(rig.ring->kick, false);
    rig_close(&rig);
}

void add_notify_cases(void)
{
    case_add(always_without_event_idx, WAY_SPLIT,
             "calls: each round of requests is called (split)");
    case_add(always_without_event_idx, WAY_PACKED,
             "calls: each round of requests is called (packed)");
    case_add(not_when_told, NULL, "calls: not while told not to (split)");
    case_add(not_when_told_packed, NULL,
             "calls: not while told not to (packed)");
    case_add(at_the_event, NULL, "calls: at the used event only (split)");
    case_add(at_the_event_packed, NULL,
             "calls: at the used event only (packed)");
    case_add(only_asked_kicks, NULL,
             "kicks: those that were asked for are enough");
    case_add(only_asked_kicks_event_idx, NULL,
             "kicks: those at the avail event are enough");
    case_add(full_call, WAY_SPLIT, "calls: one that blocks (split)");
    case_add(full_call, WAY_PACKED, "calls: one that blocks (packed)");
    case_add(stolen_kicks, NULL, "kicks: one that is stolen, and blocks");
}
