/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: when a ring starts and stops, and what changes while it runs.
 */
#include <glib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

/* A daemon and a front-end; the rings are the case's own business. */
static void open_without_ring(Rig *rig, DiskKind kind, const char *options,
                              uint64_t without)
{
    rig->daemon = daemon_start(kind, options);
    rig->front = front_open(rig->daemon->socket, without);
}

/* A call too many, from the set-up, does no harm: count from here on. */
static void forget_calls(FrontRing *ring)
{
    front_sync(ring->front);
    event_count(ring->call);
}

static void expect_untouched(FrontRing *ring)
{
    let_it_be();
    front_sync(ring->front);
    g_assert_cmpuint(ring_reap(ring), ==, 0);
    g_assert_cmpuint(event_count(ring->call), ==, 0);
}

static Request pending_read(FrontRing *ring)
{
    Request r = request_make(ring, VIRTIO_BLK_T_IN, 0, 512);

    request_send(&r, false);
    return r;
}

static void not_started(const void *way)
{
    Request r;
    Rig rig;

    open_without_ring(&rig, DISK_FILE, "", ((const Way *)way)->without);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    ring_enable(rig.ring, true);
    forget_calls(rig.ring);
    r = pending_read(rig.ring);
    expect_untouched(rig.ring);
    ring_start(rig.ring);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static void not_enabled(const void *way)
{
    Request r;
    Rig rig;

    open_without_ring(&rig, DISK_FILE, "", ((const Way *)way)->without);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    ring_start(rig.ring);
    forget_calls(rig.ring);
    r = pending_read(rig.ring);
    expect_untouched(rig.ring);
    ring_enable(rig.ring, true);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);

    ring_enable(rig.ring, false);
    forget_calls(rig.ring);
    r = pending_read(rig.ring);
    expect_untouched(rig.ring);
    ring_enable(rig.ring, true);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

/* The kick that came before the back-end had the file is not lost. */
static void looks_at_start(const void *way)
{
    Request r;
    Rig rig;

    open_without_ring(&rig, DISK_FILE, "", ((const Way *)way)->without);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    ring_enable(rig.ring, true);
    r = pending_read(rig.ring);
    event_count(rig.ring->kick);
    ring_start(rig.ring);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static void legacy_enables_all(const void *arg)
{
    Rig rig;

    rig.daemon = daemon_start(DISK_FILE, "num-queues=2");
    rig.front = front_connect(rig.daemon->socket);
    front_negotiate(rig.front, ~(SPLIT | FRONT_BIT(VHOST_F_LOG_ALL) |
                                 FRONT_BIT(WIRE_F_PROTOCOL_FEATURES)), ~0ull);
    front_share_memory(rig.front);
    for (unsigned i = 0; i < 2; i++) {
        rig.ring = ring_new(rig.front, i, RING_DEFAULT);
        ring_start(rig.ring);
        expect_works(rig.ring);
    }
    rig_close(&rig);
}

static void base_is_next_avail(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", SPLIT);
    for (unsigned i = 0; i < 5; i++) {
        expect_works(rig.ring);
    }
    g_assert_cmphex(front_get_base(rig.front, 0), ==, 5);
    rig_close(&rig);
}

/* Each of the reads takes three descriptors. */
static void base_of_packed(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", 0);
    for (unsigned i = 0; i < 5; i++) {
        expect_works(rig.ring);
    }
    g_assert_cmphex(front_get_base(rig.front, 0), ==, 0x800f800f);
    rig_close(&rig);
}

static void base_of_packed_wraps(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "", 0);
    for (unsigned i = 0; i < 50; i++) {
        expect_works(rig.ring);
    }
    /* 150 descriptors in a ring of 128: both counters turned once. */
    g_assert_cmphex(front_get_base(rig.front, 0), ==, 0x00160016);
    rig_close(&rig);
}

static void base_is_kept(const void *arg)
{
    Rig rig;

    open_without_ring(&rig, DISK_FILE, "", SPLIT);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    front_ask_state(rig.front, WIRE_SET_VRING_BASE, 0, 0x1234);
    g_assert_cmphex(front_get_base(rig.front, 0), ==, 0x1234);
    rig_close(&rig);
}

static void base_waits(const void *way)
{
    Request r[4];
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", ((const Way *)way)->without);
    for (unsigned i = 0; i < 4; i++) {
        r[i] = request_make(rig.ring, i % 2 ? VIRTIO_BLK_T_OUT
                                            : VIRTIO_BLK_T_IN, i, 512);
        request_send(&r[i], false);
    }
    let_it_be();
    g_assert_cmphex(front_get_base(rig.front, 0) & 0x7fff, ==,
                    rig.ring->packed ? 12 : 4);
    /* Now, not later: what was taken has been given back. */
    g_assert_cmpuint(ring_reap(rig.ring), ==, 4);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpuint(*r[i].status, ==, VIRTIO_BLK_S_OK);
    }
    rig_close(&rig);
}

/*
 * A front-end that pauses its guest in this way takes memory and rings as they
 * are then, for a snapshot or a migration.
 */
static void disable_waits(const void *way)
{
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", ((const Way *)way)->without);
    for (unsigned i = 0; i < 8; i++) {
        Request r = request_make(rig.ring, VIRTIO_BLK_T_IN, i, 4096);

        request_send(&r, false);
    }
    let_it_be();
    ring_enable(rig.ring, false);
    /* Those that were taken; the others are left alone. */
    ring_reap(rig.ring);
    g_usleep(700 * 1000);
    g_assert_cmpuint(ring_reap(rig.ring), ==, 0);
    ring_enable(rig.ring, true);
    ring_wait_all(rig.ring);
    rig_close(&rig);
}

static void stopped_is_left_alone(const void *way)
{
    uint32_t base;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", ((const Way *)way)->without);
    expect_works(rig.ring);
    base = front_get_base(rig.front, 0);
    forget_calls(rig.ring);
    r = pending_read(rig.ring);
    expect_untouched(rig.ring);
    ring_describe(rig.ring, base);
    ring_start(rig.ring);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(rig.ring->nr_out, ==, 0);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void suspended_is_silent(const void *arg)
{
    g_autofree uint8_t *before = g_malloc(FRONT_MEM_BYTES);
    uint8_t config[8];
    WireMsg msg;
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", SPLIT);
    front_open_channel(rig.front);
    for (unsigned i = 0; i < 8; i++) {
        pending_read(rig.ring);
    }
    let_it_be();
    front_get_base(rig.front, 0);
    event_count(rig.ring->call);
    memcpy(before, rig.front->mem, FRONT_MEM_BYTES);
    daemon_qmp(rig.daemon, "{\"execute\": \"block_resize\", \"arguments\": "
               "{\"node-name\": \"disk\", \"size\": 33554432}}");
    g_assert_cmpuint(front_get_config(rig.front, 0, 8, config), ==, 8);
    g_usleep(700 * 1000);       /* as long as a request takes, and more */
    g_assert_true(memcmp(before, rig.front->mem, FRONT_MEM_BYTES) == 0);
    g_assert_cmpuint(event_count(rig.ring->call), ==, 0);
    g_assert_false(front_channel_receive(rig.front, &msg, 0));
    rig_close(&rig);
}

static void rings_are_apart(const void *arg)
{
    FrontRing *other;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_SLOW, "num-queues=2", SPLIT);
    other = ring_open(rig.front, 1);
    r = request_make(other, VIRTIO_BLK_T_IN, 0, 512);
    request_send(&r, false);
    front_get_base(rig.front, 0);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    ring_enable(rig.ring, false);
    expect_works(other);
    ring_free(other);
    rig_close(&rig);
}

static void swap_files(const void *way)
{
    FrontRing old;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_SLOW, "", ((const Way *)way)->without);
    forget_calls(rig.ring);
    r = pending_read(rig.ring);
    let_it_be();
    old = *rig.ring;
    rig.ring->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    rig.ring->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    front_ask_fd(rig.front, WIRE_SET_VRING_CALL, 0, rig.ring->call);
    front_ask_fd(rig.front, WIRE_SET_VRING_KICK, 0, rig.ring->kick);
    event_wait(rig.ring->call, "the new call file");
    g_assert_cmpuint(event_count(old.call), ==, 0);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    expect_works(rig.ring);
    close(old.call);
    close(old.kick);
    rig_close(&rig);
}

/* No file: the front-end looks at the ring by itself. */
static void no_call_file(const void *arg)
{
    uint64_t none = WIRE_NO_FD;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", SPLIT);
    front_ask_u64(rig.front, WIRE_SET_VRING_CALL, none);
    front_ask_u64(rig.front, WIRE_SET_VRING_ERR, none);
    expect_works(rig.ring);
    g_assert_cmpuint(event_count(rig.ring->call), ==, 0);
    rig_close(&rig);
}

/*
 * No file means that the back-end polls. One that cannot says so, and can
 * still be given a file.
 */
static void no_kick_file(const void *arg)
{
    uint64_t none = WIRE_NO_FD;
    FrontOutcome outcome;
    Request r;
    Rig rig;

    open_without_ring(&rig, DISK_FILE, "", SPLIT);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    ring_enable(rig.ring, true);
    outcome = front_try(rig.front, WIRE_SET_VRING_KICK, &none, 8, NULL, 0);
    if (outcome != FRONT_ACCEPTED) {
        g_assert_cmpint(outcome, ==, FRONT_REFUSED);
        ring_start(rig.ring);
    }
    r = pending_read(rig.ring);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static void same_memory_again(const void *way)
{
    Request r[8];
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", ((const Way *)way)->without);
    for (unsigned i = 0; i < 8; i++) {
        r[i] = request_make(rig.ring, VIRTIO_BLK_T_OUT, i, 512);
        memset(r[i].data, 0x60 + i, 512);
        request_send(&r[i], false);
    }
    let_it_be();
    front_share_memory(rig.front);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t sector[512];

        g_assert_cmpuint(request_wait(&r[i]), ==, VIRTIO_BLK_S_OK);
        daemon_peek(rig.daemon, sector, 512, i * 512);
        g_assert_true(filled_with(sector, 512, 0x60 + i));
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

/* Index 65535 is followed by 0, in a ring and in what counts its rounds. */
static void indexes_wrap(const void *arg)
{
    Rig rig;

    open_without_ring(&rig, DISK_NULL, "", SPLIT);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    rig.ring->next_avail = rig.ring->next_used = 65500;
    rig.ring->avail->idx = rig.ring->used->idx = 65500;
    ring_describe(rig.ring, 65500);
    ring_start(rig.ring);
    ring_enable(rig.ring, true);
    for (unsigned i = 0; i < 100; i++) {
        expect_works(rig.ring);
    }
    g_assert_cmpuint(rig.ring->used->idx, ==, 64);
    g_assert_cmphex(front_get_base(rig.front, 0), ==, 64);
    rig_close(&rig);
}

static void sizes(const void *arg)
{
    static const unsigned nums[] = { 4, 8, 64, 128 };
    Rig rig;

    open_without_ring(&rig, DISK_NULL, "", SPLIT);
    for (unsigned i = 0; i < G_N_ELEMENTS(nums); i++) {
        rig.ring = ring_new(rig.front, 0, nums[i]);
        ring_start(rig.ring);
        ring_enable(rig.ring, true);
        for (unsigned n = 0; n < 20; n++) {
            expect_works(rig.ring);
        }
        front_get_base(rig.front, 0);
        if (i + 1 < G_N_ELEMENTS(nums)) {
            ring_free(rig.ring);
        }
    }
    rig_close(&rig);
}

static void full_ring(const void *way)
{
    const Way *w = way;
    Rig rig;

    rig_open(&rig, DISK_NULL, "", w->without);
    for (unsigned round = 0; round < 200; round++) {
        unsigned nr = w->indirect ? RING_DEFAULT : RING_DEFAULT / 3;
        size_t mem = rig.front->mem_used;

        for (unsigned i = 0; i < nr; i++) {
            Request r = request_make(rig.ring, VIRTIO_BLK_T_IN, i, 512);

            request_send(&r, w->indirect);
        }
        ring_wait_all(rig.ring);
        rig.front->mem_used = mem;
    }
    rig_close(&rig);
}

void add_ring_cases(void)
{
    for (unsigned i = 0; i < NR_WAYS; i += 2) {
        const Way *way = &ways[i];

        case_add(not_started, way,
                 "rings: one that was not started is left alone (%s)",
                 way->name);
        case_add(not_enabled, way,
                 "rings: a disabled one is left alone until it is enabled "
                 "(%s)", way->name);
        case_add(looks_at_start, way,
                 "rings: the start needs no kick to see what is there (%s)",
                 way->name);
        case_add(base_waits, way,
                 "rings: a stop is answered when all requests are done (%s)",
                 way->name);
        case_add(disable_waits, way,
                 "rings: a disable is answered when all requests are done "
                 "(%s)", way->name);
        case_add(stopped_is_left_alone, way,
                 "rings: a stopped one is left alone until it is started "
                 "(%s)", way->name);
        case_add(swap_files, way,
                 "rings: kick and call files can be changed under way (%s)",
                 way->name);
        case_add(same_memory_again, way,
                 "rings: the memory table can be set under way (%s)",
                 way->name);
    }
    case_add(legacy_enables_all, NULL,
             "rings: without PROTOCOL_FEATURES all are enabled");
    case_add(base_is_next_avail, NULL,
             "rings: the base is the next available index");
    case_add(base_of_packed, NULL,
             "rings: the base of a packed one is both positions");
    case_add(base_of_packed_wraps, NULL,
             "rings: the base of a packed one has both wrap counters");
    case_add(base_is_kept, NULL,
             "rings: the base of one that never ran is what was set");
    case_add(suspended_is_silent, NULL,
             "rings: with all stopped nothing is written, called or sent");
    case_add(rings_are_apart, NULL,
             "rings: stop and disable are of that ring only");
    case_add(no_call_file, NULL, "rings: a call file is not needed");
    case_add(no_kick_file, NULL,
             "rings: one without a kick file is polled, or refused");
    case_add(indexes_wrap, NULL, "rings: the indexes wrap at 65536");
    case_add(sizes, NULL, "rings: they come in all sizes");
    case_add_in_each_way(full_ring, "rings: a full one is served");
}
