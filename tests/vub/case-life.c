/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: clients that come, go, wait and die.
 */
#include <glib.h>
#include <poll.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

/* A new client each time, that also does something. */
static void reconnect(const void *arg)
{
    unsigned files;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    for (unsigned i = 0; i < 10; i++) {
        rig_reconnect(&rig, SPLIT);
    }
    expect_works(rig.ring);
    files = daemon_open_files(rig.daemon);
    for (unsigned i = 0; i < 100; i++) {
        rig_reconnect(&rig, SPLIT);
        expect_write_and_read(rig.ring, i, i + 1);
    }
    /* It may still be at the last one's files: a few more are no leak. */
    g_assert_cmpuint(daemon_open_files(rig.daemon), <, files + 10);
    rig_close(&rig);
}

/* A hang-up at any step of the greeting. */
static void hang_up_early(const void *arg)
{
    Rig rig;

    rig.daemon = daemon_start(DISK_FILE, "writable=on");
    for (unsigned steps = 0; steps < 6; steps++) {
        rig.front = front_connect(rig.daemon->socket);
        if (steps > 0) {
            front_negotiate(rig.front, ~FRONT_BIT(VHOST_F_LOG_ALL), ~0ull);
        }
        if (steps > 1) {
            front_share_memory(rig.front);
        }
        if (steps > 2) {
            front_open_channel(rig.front);
        }
        if (steps > 3) {
            rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
        }
        if (steps > 4) {
            ring_enable(rig.ring, true);
        }
        front_close(rig.front);
    }
    rig.front = front_open(rig.daemon->socket, SPLIT);
    rig.ring = ring_open(rig.front, 0);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void second_client_waits(const void *arg)
{
    struct pollfd waiting = { .events = POLLIN };
    Front *second;
    WireMsg reply;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    second = front_connect(rig.daemon->socket);
    front_send(second, WIRE_GET_FEATURES, 0, NULL, 0, NULL, 0);
    waiting.fd = second->fd;
    let_it_be();
    g_assert_cmpint(poll(&waiting, 1, 0), ==, 0);
    expect_write_and_read(rig.ring, 0, 0x21);

    ring_free(rig.ring);
    front_close(rig.front);
    g_assert_true(front_receive(second, &reply));
    g_assert_cmpuint(reply.header.request, ==, WIRE_GET_FEATURES);
    rig.front = second;
    front_negotiate(second, ~(SPLIT | FRONT_BIT(VHOST_F_LOG_ALL)), ~0ull);
    front_share_memory(second);
    rig.ring = ring_open(second, 0);
    expect_write_and_read(rig.ring, 0, 0x22);
    rig_close(&rig);
}

/* Rings, memory, features: the next client finds nothing of the last one's. */
static void starts_anew(const void *arg)
{
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", 0);
    expect_works(rig.ring);
    ring_free(rig.ring);
    front_close(rig.front);

    rig.front = front_open(rig.daemon->socket, SPLIT);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    ring_start(rig.ring);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 512);
    request_send(&r, false);
    let_it_be();
    g_assert_cmpuint(ring_reap(rig.ring), ==, 0);   /* not enabled by anyone */
    ring_enable(rig.ring, true);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    g_assert_cmphex(front_get_base(rig.front, 0), ==, 1);
    rig_close(&rig);
}

static void dies_with_requests(const void *way)
{
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", ((const Way *)way)->without);
    for (unsigned i = 0; i < 16; i++) {
        Request r = request_make(rig.ring, i % 2 ? VIRTIO_BLK_T_OUT
                                                 : VIRTIO_BLK_T_IN, i, 4096);

        request_send(&r, false);
    }
    let_it_be();
    rig_reconnect(&rig, ((const Way *)way)->without);
    expect_write_and_read(rig.ring, 64, 0x33);
    rig_close(&rig);
}

static void dies_in_a_message(const void *arg)
{
    WireHeader header = { WIRE_SET_MEM_TABLE, WIRE_VERSION, 40 };
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    for (unsigned cut = 1; cut < sizeof(header) + 8; cut += 5) {
        uint8_t bytes[sizeof(header) + 8] = { 0 };

        memcpy(bytes, &header, sizeof(header));
        front_send_bytes(rig.front, bytes, cut, &rig.front->mem_fd, 1);
        rig_reconnect(&rig, SPLIT);
        expect_works(rig.ring);
    }
    rig_close(&rig);
}

/* As long as the client sends nothing more, there is nothing to wait for. */
static void half_a_message_holds_nothing_up(const void *arg)
{
    WireHeader header = { WIRE_SET_FEATURES, WIRE_VERSION, 8 };
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_send_bytes(rig.front, &header, sizeof(header), NULL, 0);
    expect_works(rig.ring);
    daemon_qmp(rig.daemon, "{\"execute\": \"query-block-exports\"}");
    front_send_bytes(rig.front, &rig.front->features, 8, NULL, 0);
    front_sync(rig.front);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void deleted_under_load(const void *way)
{
    struct pollfd waiting = { .events = POLLIN };
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", ((const Way *)way)->without);
    for (unsigned i = 0; i < 16; i++) {
        Request r = request_make(rig.ring, VIRTIO_BLK_T_IN, i, 4096);

        request_send(&r, false);
    }
    let_it_be();
    daemon_qmp(rig.daemon, "{\"execute\": \"block-export-del\", "
               "\"arguments\": {\"id\": \"exp\", \"mode\": \"hard\"}}");
    waiting.fd = rig.front->fd;
    g_assert_cmpint(poll(&waiting, 1, patience_ms()), ==, 1);
    g_assert_false(front_alive(rig.front));
    rig_close(&rig);
}

static void ends_under_load(const void *way)
{
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", ((const Way *)way)->without);
    for (unsigned i = 0; i < 16; i++) {
        Request r = request_make(rig.ring, VIRTIO_BLK_T_OUT, i, 4096);

        request_send(&r, false);
    }
    let_it_be();
    daemon_stop(rig.daemon);
}

void add_life_cases(void)
{
    case_add(reconnect, NULL, "clients: a hundred in a row, and no file stays");
    case_add(hang_up_early, NULL, "clients: one may hang up at any step");
    case_add(second_client_waits, NULL,
             "clients: a second waits until the first is gone");
    case_add(starts_anew, NULL, "clients: the next one starts anew");
    case_add(dies_in_a_message, NULL,
             "clients: one may hang up in a message");
    case_add(half_a_message_holds_nothing_up, NULL,
             "clients: half a message holds nothing up");
    for (unsigned i = 0; i < NR_WAYS; i += 2) {
        case_add(dies_with_requests, &ways[i],
                 "clients: one may hang up with requests under way (%s)",
                 ways[i].name);
        case_add(deleted_under_load, &ways[i],
                 "clients: an export is deleted with requests under way (%s)",
                 ways[i].name);
        case_add(ends_under_load, &ways[i],
                 "clients: the daemon ends with requests under way (%s)",
                 ways[i].name);
    }
}
