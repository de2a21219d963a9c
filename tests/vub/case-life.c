/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: clients that come, go, flood and die.
 */
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

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

#define FIRST_RING      60000
#define LAST_RING       60001
#define NR_BETWEEN      500

static void append(GByteArray *bytes, uint32_t request, uint32_t flags,
                   const void *payload, uint32_t size)
{
    WireHeader header = { request, WIRE_VERSION | flags, size };

    g_byte_array_append(bytes, (uint8_t *)&header, sizeof(header));
    g_byte_array_append(bytes, payload, size);
}

/* Many messages at once; the first and the last are refused, which is said. */
static void flood(Front *front)
{
    struct vhost_vring_state state = { FIRST_RING, 1 };
    GByteArray *bytes = g_byte_array_new();

    append(bytes, WIRE_SET_VRING_NUM, WIRE_NEED_REPLY, &state, sizeof(state));
    for (unsigned i = 0; i < NR_BETWEEN; i++) {
        append(bytes, WIRE_SET_OWNER, 0, NULL, 0);
    }
    state.index = LAST_RING;
    append(bytes, WIRE_SET_VRING_NUM, WIRE_NEED_REPLY, &state, sizeof(state));
    g_assert_true(front_send_bytes(front, bytes->data, bytes->len, NULL, 0));
    g_byte_array_unref(bytes);
}

static const char *refusal(const char *log, const char *export, unsigned ring)
{
    g_autofree char *text = g_strdup_printf(
        "export '%s': the client's SET_VRING_NUM is refused: there is no ring "
        "%u", export, ring);
    const char *place = strstr(log, text);

    if (!place) {
        g_error("the daemon does not say \"%s\"", text);
    }
    return place;
}

/* Both are there when the daemon looks; none is done before the other begins */
static void floods(const void *arg)
{
    g_autofree char *path = g_build_filename(case_dir(), "second", NULL);
    g_autofree char *command = g_strdup_printf(
        "{\"execute\": \"block-export-add\", \"arguments\": {"
        "\"type\": \"vhost-user-blk\", \"id\": \"second\", "
        "\"node-name\": \"disk\", "
        "\"addr\": {\"type\": \"unix\", \"path\": \"%s\"}}}", path);
    g_autofree char *log = NULL;
    Front *second;
    WireMsg reply;
    int status;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", SPLIT);
    daemon_qmp(rig.daemon, command);
    second = front_open(path, SPLIT);
    kill(rig.daemon->pid, SIGSTOP);
    g_assert_cmpint(waitpid(rig.daemon->pid, &status, WUNTRACED), ==,
                    rig.daemon->pid);
    flood(rig.front);
    flood(second);
    kill(rig.daemon->pid, SIGCONT);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(front_receive(rig.front, &reply));
        g_assert_true(front_receive(second, &reply));
    }
    g_assert_true(g_file_get_contents(rig.daemon->log, &log, NULL, NULL));
    g_assert_true(refusal(log, "exp", FIRST_RING) <
                  refusal(log, "second", LAST_RING));
    g_assert_true(refusal(log, "second", FIRST_RING) <
                  refusal(log, "exp", LAST_RING));
    expect_works(rig.ring);
    front_close(second);
    rig_close(&rig);
}

/* What a client does wrong is said, but not as often as it likes. */
static void many_refusals(const void *arg)
{
    struct vhost_vring_state state = { FIRST_RING, 1 };
    g_autofree char *log = NULL;
    unsigned nr_lines = 0;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", SPLIT);
    for (unsigned i = 0; i < 1000; i++) {
        g_assert_cmpint(front_try(rig.front, WIRE_SET_VRING_NUM, &state,
                                  sizeof(state), NULL, 0), ==, FRONT_REFUSED);
    }
    g_assert_true(g_file_get_contents(rig.daemon->log, &log, NULL, NULL));
    for (const char *at = log; (at = strchr(at, '\n')); at++) {
        nr_lines++;
    }
    /* Some; and if this took a minute, and another one, some more. */
    g_assert_cmpuint(nr_lines, >=, 10);
    g_assert_cmpuint(nr_lines, <=, 200);
    rig_close(&rig);
}

void add_life_cases(void)
{
    case_add(reconnect, NULL, "clients: a hundred in a row, and no file stays");
    case_add(hang_up_early, NULL, "clients: one may hang up at any step");
    case_add(starts_anew, NULL, "clients: the next one starts anew");
    case_add(dies_in_a_message, NULL,
             "clients: one may hang up in a message");
    case_add(half_a_message_holds_nothing_up, NULL,
             "clients: half a message holds nothing up");
    case_add(floods, NULL, "clients: a flood of one leaves room for others");
    case_add(many_refusals, NULL, "clients: not each refusal is said");
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
