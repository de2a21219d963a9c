/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: messages whose frame is wrong.
 *
 * Where the next message begins, or whose the files are, cannot be told, so
 * the connection ends; the files do not stay, and the next client is served.
 */
#include <glib.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

typedef struct FrameCase {
    uint32_t request;
    uint32_t size;              /* in the header */
    uint32_t sent;              /* bytes of payload that follow */
    uint32_t flags;
    unsigned nr_fds;
    const char *what;
} FrameCase;

#define OK  (WIRE_VERSION | WIRE_NEED_REPLY)

static const FrameCase frame_cases[] = {
    { WIRE_SET_FEATURES, 4, 4, OK, 0, "features of 4 bytes" },
    { WIRE_SET_FEATURES, 16, 16, OK, 0, "features of 16 bytes" },
    { WIRE_GET_FEATURES, 8, 8, OK, 0, "a question with a payload" },
    { WIRE_SET_VRING_NUM, 4, 4, OK, 0, "a ring's size of 4 bytes" },
    { WIRE_SET_VRING_ADDR, 8, 8, OK, 0, "addresses of 8 bytes" },
    { WIRE_SET_VRING_ADDR, 48, 48, OK, 0, "addresses of 48 bytes" },
    { WIRE_GET_CONFIG, 4, 4, OK, 0, "a config request of 4 bytes" },
    { WIRE_SET_MEM_TABLE, 4, 4, OK, 1, "a memory table of 4 bytes" },
    { WIRE_SET_MEM_TABLE, 400, 400, OK, 1, "a memory table of 400 bytes" },
    { WIRE_ADD_MEM_REG, 32, 32, OK, 1, "a memory region of 32 bytes" },
    { WIRE_SET_INFLIGHT_FD, 8, 8, OK, 1, "an in-flight buffer of 8 bytes" },
    { WIRE_SET_FEATURES, 1 << 20, 8, OK, 0, "a size of a megabyte" },
    { WIRE_SET_FEATURES, UINT32_MAX, 8, OK, 0, "the largest size of all" },
    { WIRE_UNKNOWN, 1 << 20, 8, OK, 0, "an unknown request of a megabyte" },
    { WIRE_SET_FEATURES, 8, 8, WIRE_NEED_REPLY, 0, "version 0" },
    { WIRE_SET_FEATURES, 8, 8, 2 | WIRE_NEED_REPLY, 0, "version 2" },
    { WIRE_SET_OWNER, 0, 0, OK, 1, "a file with a request that has none" },
    { WIRE_GET_FEATURES, 0, 0, OK, 8, "eight files with a question" },
    { WIRE_SET_VRING_CALL, 8, 8, OK, 2, "two call files" },
    { WIRE_ADD_MEM_REG, 40, 40, OK, 2, "two files with one region" },
    { WIRE_SET_MEM_TABLE, 40, 40, OK, 9, "nine files" },
    { WIRE_SET_MEM_TABLE, 40, 40, OK, 16, "sixteen files" },
};

static void send_frame(Front *front, const FrameCase *c)
{
    g_autofree uint8_t *bytes = g_malloc0(sizeof(WireHeader) + c->sent);
    WireHeader header = { c->request, c->flags, c->size };
    int fds[16];

    memcpy(bytes, &header, sizeof(header));
    for (unsigned i = 0; i < c->nr_fds; i++) {
        fds[i] = front->mem_fd;
    }
    front_send_bytes(front, bytes, sizeof(header) + c->sent, fds, c->nr_fds);
}

/* How many there are with a client that did nothing wrong. */
static unsigned files_with_client(Rig *rig)
{
    rig_reconnect(rig, SPLIT);
    expect_works(rig->ring);
    return daemon_open_files(rig->daemon);
}

static void bad_frame(const void *arg)
{
    unsigned files;
    WireMsg reply;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    files = files_with_client(&rig);
    for (unsigned i = 0; i < 20; i++) {
        send_frame(rig.front, arg);
        g_assert_false(front_receive(rig.front, &reply));
        g_assert_cmpuint(files_with_client(&rig), <, files + 8);
    }
    rig_close(&rig);
}

/* A stream has no borders: a message may come in any number of parts. */
static void in_parts(const void *arg)
{
    struct {
        WireHeader header;
        struct vhost_vring_state state;
    } message = { { WIRE_SET_VRING_ENABLE, OK, 8 }, { 0, 1 } };
    const uint8_t *bytes = (const uint8_t *)&message;
    WireMsg reply;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    for (unsigned i = 0; i < sizeof(message); i++) {
        front_send_bytes(rig.front, bytes + i, 1, NULL, 0);
        g_usleep(1000);
    }
    g_assert_true(front_receive(rig.front, &reply));
    g_assert_cmpuint(reply.header.request, ==, WIRE_SET_VRING_ENABLE);
    g_assert_cmpuint(reply.u64, ==, 0);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void many_at_once(const void *arg)
{
    WireHeader burst[100];
    WireMsg reply;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    for (unsigned i = 0; i < G_N_ELEMENTS(burst); i++) {
        burst[i] = (WireHeader) {
            i % 2 ? WIRE_GET_FEATURES : WIRE_GET_PROTOCOL_FEATURES,
            WIRE_VERSION, 0,
        };
    }
    front_send_bytes(rig.front, burst, sizeof(burst), NULL, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(burst); i++) {
        g_assert_true(front_receive(rig.front, &reply));
        g_assert_cmpuint(reply.header.request, ==, burst[i].request);
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

/* A client that asks and never listens must not hold the daemon up. */
static void replies_nobody_reads(const void *arg)
{
    WireHeader burst[1000];
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    for (unsigned i = 0; i < G_N_ELEMENTS(burst); i++) {
        burst[i] = (WireHeader) { WIRE_GET_FEATURES, WIRE_VERSION, 0 };
    }
    for (unsigned i = 0; i < 5; i++) {
        front_send_bytes(rig.front, burst, sizeof(burst), NULL, 0);
    }
    daemon_qmp(rig.daemon, "{\"execute\": \"query-block-exports\"}");
    expect_works(rig.ring);
    rig_reconnect(&rig, SPLIT);
    expect_works(rig.ring);
    rig_close(&rig);
}

void add_framing_cases(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(frame_cases); i++) {
        case_add(bad_frame, &frame_cases[i],
                 "framing: the connection ends at %s", frame_cases[i].what);
    }
    case_add(in_parts, NULL, "framing: a message may come byte by byte");
    case_add(many_at_once, NULL, "framing: many messages may come at once");
    case_add(replies_nobody_reads, NULL,
             "framing: replies nobody reads hold nothing up");
}
