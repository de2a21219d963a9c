/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-device-state.c: what the driver chose for its cache goes
 * to another host and is in force there; what can't be understood changes
 * nothing and is said; and no channel, however bad, makes us wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "device-rig.h"

#define FEATURES (1ull << VUB_F_PROTOCOL_FEATURES | 1ull << VIRTIO_F_VERSION_1)
#define STATE_BYTES 16
#define NO_FD 0x100

static const uint8_t state_on[STATE_BYTES] = {
    'o', 'p', 'u', 's', 'v', 'u', 'b', 0, 1, 0, 0, 0, 1, 0, 0, 0,
};

/* Sends @fd, which is taken over; returns the answer. */
static uint64_t set_fd(DeviceRig *rig, uint32_t direction, uint32_t phase,
                       int fd)
{
    const VubMsgTransfer transfer = { direction, phase };

    g_assert_true(device_rig_send(rig, VUB_SET_DEVICE_STATE_FD, &transfer,
                                  sizeof(transfer), &fd, 1));
    g_assert_true(rig->has_reply);
    g_assert_cmpuint(rig->reply.header.payload_bytes, ==, 8);
    g_assert_cmpuint(rig->reply.nr_fds, ==, 0);
    return rig->reply.payload.u64;
}

static uint64_t ask(DeviceRig *rig)
{
    g_assert_true(device_rig_send(rig, VUB_CHECK_DEVICE_STATE, NULL, 0, NULL,
                                  0));
    g_assert_true(rig->has_reply);
    g_assert_cmpuint(rig->reply.header.payload_bytes, ==, 8);
    return rig->reply.payload.u64;
}

static void channel(bool is_socket, int *ends)
{
    if (is_socket) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    } else {
        g_assert_cmpint(pipe(ends), ==, 0);
    }
}

static void test_saved(void)
{
    for (unsigned i = 0; i < 4; i++) {
        DeviceRig *rig = device_rig_new();
        uint8_t state[STATE_BYTES + 1], expected[STATE_BYTES];
        int ends[2];

        device_rig_guest(rig, FEATURES);
        rig->cache_on = i & 1;
        memcpy(expected, state_on, STATE_BYTES);
        expected[12] = i & 1;
        channel(i & 2, ends);
        g_assert_cmphex(set_fd(rig, VUB_TRANSFER_SAVE, 0, ends[1]), ==, NO_FD);
        /* And its end. */
        g_assert_cmpint(read(ends[0], state, sizeof(state)), ==, STATE_BYTES);
        g_assert_cmpint(read(ends[0], state, sizeof(state)), ==, 0);
        close(ends[0]);
        g_assert_cmpuint(ask(rig), ==, 0);
        /* Once. */
        g_assert_cmpuint(ask(rig), ==, 1);
        device_rig_free(rig);
    }
}

/* Returns what the check says. */
static uint64_t load(DeviceRig *rig, bool is_socket, const uint8_t *state,
                     unsigned bytes, bool end)
{
    int ends[2];
    uint64_t ret;

    channel(is_socket, ends);
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_LOAD, 0, ends[0]), ==, NO_FD);
    g_assert_cmpint(write(ends[1], state, bytes), ==, bytes);
    if (end) {
        close(ends[1]);
    }
    ret = ask(rig);
    g_assert_cmpuint(ask(rig), ==, 1);
    if (!end) {
        close(ends[1]);
    }
    return ret;
}

static void test_loaded(void)
{
    for (unsigned i = 0; i < 8; i++) {
        DeviceRig *rig = device_rig_new();
        uint8_t state[STATE_BYTES];

        device_rig_guest(rig, FEATURES);
        rig->cache_on = i & 4;
        memcpy(state, state_on, STATE_BYTES);
        state[12] = i & 1;
        g_assert_cmpuint(load(rig, i & 2, state, STATE_BYTES, true), ==, 0);
        g_assert_cmpint(rig->cache_on, ==, i & 1);
        device_rig_free(rig);
    }
}

static void test_bad_state(void)
{
    uint8_t state[STATE_BYTES + 1] = { 0 };

    for (unsigned is_socket = 0; is_socket < 2; is_socket++) {
        DeviceRig *rig = device_rig_new();

        device_rig_guest(rig, FEATURES);
        /* Each byte that is not ours. */
        for (unsigned i = 0; i < STATE_BYTES; i++) {
            memcpy(state, state_on, STATE_BYTES);
            state[i] ^= 2;
            g_assert_cmpuint(load(rig, is_socket, state, STATE_BYTES, true),
                             ==, 1);
        }
        memcpy(state, state_on, STATE_BYTES);
        /* Too short, too long, without an end. */
        for (unsigned bytes = 0; bytes < STATE_BYTES; bytes++) {
            g_assert_cmpuint(load(rig, is_socket, state, bytes, true), ==, 1);
        }
        g_assert_cmpuint(load(rig, is_socket, state, STATE_BYTES + 1, true),
                         ==, 1);
        g_assert_cmpuint(load(rig, is_socket, state, STATE_BYTES, false), ==,
                         1);
        g_assert_false(rig->cache_on);
        device_rig_free(rig);
    }
}

/* What the front-end does to its descriptor must not have ours block. */
static void test_never_waits(void)
{
    DeviceRig *rig = device_rig_new();
    uint8_t byte = 0;
    int ends[2];

    device_rig_guest(rig, FEATURES);
    for (unsigned is_socket = 0; is_socket < 2; is_socket++) {
        /* Nothing to read, and it blocks. */
        channel(is_socket, ends);
        g_assert_cmphex(set_fd(rig, VUB_TRANSFER_LOAD, 0, ends[0]), ==, NO_FD);
        g_assert_cmpuint(ask(rig), ==, 1);
        close(ends[1]);

        /* Full, and it blocks. */
        channel(is_socket, ends);
        g_assert_cmpint(fcntl(ends[1], F_SETFL, O_NONBLOCK), ==, 0);
        while (write(ends[1], &byte, 1) == 1) {
            /* more */
        }
        g_assert_cmpint(errno, ==, EAGAIN);
        g_assert_cmpint(fcntl(ends[1], F_SETFL, 0), ==, 0);
        g_assert_cmphex(set_fd(rig, VUB_TRANSFER_SAVE, 0, ends[1]), ==,
                        NO_FD | 1);
        g_assert_cmpuint(ask(rig), ==, 1);
        close(ends[0]);
    }
    /* A file: it might be on a server that is gone. */
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_SAVE, 0, device_rig_file(4096)),
                    ==, NO_FD | 1);
    device_rig_free(rig);
}

static void test_refused(void)
{
    DeviceRig *rig = device_rig_new();
    int ends[2];

    device_rig_guest(rig, FEATURES);
    g_assert_cmpuint(ask(rig), ==, 1);
    channel(false, ends);
    g_assert_cmphex(set_fd(rig, 2, 0, dup(ends[1])), ==, NO_FD | 1);
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_SAVE, 1, dup(ends[1])), ==,
                    NO_FD | 1);
    /* Only while nothing runs. */
    g_assert_true(device_rig_start(rig, 1));
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_SAVE, 0, dup(ends[1])), ==,
                    NO_FD | 1);
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_LOAD, 0, dup(ends[0])), ==,
                    NO_FD | 1);
    g_assert_cmpuint(ask(rig), ==, 1);
    g_assert_true(device_rig_send_state(rig, VUB_GET_VRING_BASE, 1, 0));
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_SAVE, 0, ends[1]), ==, NO_FD);
    close(ends[0]);
    /* One that is never asked for goes with the connection. */
    channel(true, ends);
    g_assert_cmphex(set_fd(rig, VUB_TRANSFER_LOAD, 0, ends[0]), ==, NO_FD);
    close(ends[1]);
    device_rig_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-device-state/saved", test_saved);
    g_test_add_func("/export/vub-device-state/loaded", test_loaded);
    g_test_add_func("/export/vub-device-state/bad-state", test_bad_state);
    g_test_add_func("/export/vub-device-state/never-waits", test_never_waits);
    g_test_add_func("/export/vub-device-state/refused", test_refused);
    return g_test_run();
}
